// A server with one route for each thing a handler can do, and a client of bare bytes.
#ifndef HTTP_TESTS_FIXTURE_H
#define HTTP_TESTS_FIXTURE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "http/http.h"
#include "support/check.h"

enum { ANSWER_SIZE = 1 << 20, FILE_SIZE = 8 << 20 };

struct fixture {
    struct http_server *server;
    uint16_t port;
    _Atomic uint64_t room; // for bodies in files: each yes takes from it
    int file;              // FILE_SIZE bytes, byte i is (i * 7 + i / 1000)
    atomic_int handled;
    atomic_int done_calls;
    atomic_bool shut;          // options.admit refuses all
    atomic_bool unsaid;        // options.answered takes the answers back
    atomic_int answered;       // calls of options.answered
    _Atomic int answered_kind; // of the last: the route's kind,
    _Atomic int answered_status;
    _Atomic int answered_note; // what the handler noted
    atomic_int events_to_send; // of each stream
    char answer[ANSWER_SIZE];  // the last one
    size_t answer_size;
};

uint8_t fixture_byte(uint64_t position);

int fixture_start(void **state);       // default limits
int fixture_start_quick(void **state); // idle and request seconds are 1
int fixture_stop(void **state);

int fixture_connect(const struct fixture *fixture);
int fixture_connect_port(uint16_t port, const char *from); // from: local address
void fixture_send(int fd, const char *text, size_t size);
// Reads until the peer closes, `stop` is in the answer (may be NULL), or 5 s pass.
void fixture_read(struct fixture *fixture, int fd, const char *stop);
// One exchange over an own connection; the status, 0 when the connection was closed without one.
int fixture_ask(struct fixture *fixture, const char *request);
int fixture_ask_bytes(struct fixture *fixture, const char *request, size_t size);
int fixture_status(const struct fixture *fixture);
const char *fixture_body(const struct fixture *fixture);
bool fixture_wait(atomic_int *value, int wanted); // up to 5 s
// curl with these arguments and the URL of `path`: what it says. The caller frees.
char *fixture_curl(const struct fixture *fixture, const char *path, const char *const *arguments);

int test_requests(void);
int test_limits(void);
int test_replies(void);
int test_events(void);
int test_websocket(void);
int test_upgrade(void);
int test_client(void);

#endif
