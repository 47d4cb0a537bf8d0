// An acceptor in a thread and a peer that writes raw bytes to it.
#ifndef DIMSE_TESTS_SUPPORT_H
#define DIMSE_TESTS_SUPPORT_H

#include <pthread.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "dimse/dimse.h"
#include "support/check.h"
#include "support/folder.h"
#include "support/program.h"

#define CT_STORAGE "1.2.840.10008.5.1.4.1.1.2"
#define REFUSED_CLASS "1.2.3.4" // the test's acceptor does not take it

extern const struct dimse_timers quick_timers; // ARTIM 400 ms, transfer 900 ms, idle 1300 ms: far enough apart to tell
extern const struct dimse_timers calm_timers;  // some seconds

// ---- the acceptor: takes every context but REFUSED_CLASS with its first transfer syntax, answers C-ECHO and C-STORE

enum acceptor_way {
    ACCEPTOR_READS,   // data sets to their ends
    ACCEPTOR_PASSES,  // answers without reading the data set
    ACCEPTOR_REJECTS, // transient, congestion
    ACCEPTOR_WAITS,   // reads messages, answers none
};

struct acceptor {
    int fd; // the peer's end
    int own_fd;
    enum acceptor_way way;
    struct dimse_timers timers;
    pthread_t thread;
    pthread_mutex_t lock;
    struct dimse_association *association; // under `lock`, while it may be interrupted

    // What happened; read after acceptor_end
    struct error err;
    bool asked; // a request came through to the application
    uint32_t peer_pdu_max;
    size_t context_count;
    size_t first_syntax_count;
    enum dimse_received outcome;
    bool data_broken; // the data source failed, with `err`
    size_t messages;
    struct dimse_message last;
    struct buffer data; // of the last C-STORE
    size_t pieces;
    int64_t took_ns;
};

void acceptor_start(struct acceptor *acceptor, const struct dimse_timers *timers);            // on a socket pair
void acceptor_start_on(struct acceptor *acceptor, int fd, const struct dimse_timers *timers); // fd: accepted
void acceptor_join(struct acceptor *acceptor);
void acceptor_end(struct acceptor *acceptor); // closes the peer's end, joins; then acceptor_free
void acceptor_free(struct acceptor *acceptor);
void acceptor_interrupt(struct acceptor *acceptor);

// ---- raw bytes

struct raw_request {
    uint16_t version;        // 0: 1
    const char *called;      // 16 bytes; NULL: "HILUM"
    const char *calling;     // NULL: "PEER"
    const char *application; // NULL: the standard one
    uint32_t maximum_length;
    size_t contexts;      // 0: 1
    uint8_t first_id;     // 0: 1
    uint8_t id_step;      // 0: 2
    const char *abstract; // NULL: CT_STORAGE
    size_t syntaxes;      // 0: 1
};

void raw_associate(struct buffer *out, const struct raw_request *request);
void raw_pdu(struct buffer *out, uint8_t type, uint32_t length, const void *data, size_t size);
// A P-DATA-TF of one value. control: 1 command, 2 last.
void raw_value(struct buffer *out, uint8_t context, uint8_t control, const void *data, size_t size);
void raw_element(struct buffer *out, uint16_t element, const void *value, size_t size);
// A C-STORE-RQ command set of message 7 (the bytes, no PDU)
void raw_store_command(struct buffer *out);
void raw_store(struct buffer *out); // the same in one P-DATA-TF on context 1

void peer_send(int fd, const struct buffer *bytes);
// The type of the next PDU, whose variable field goes into `out` (may be NULL); 0 when the connection ended, -1 after
// 3 s.
int peer_receive(int fd, struct buffer *out);
// Associates with one context, CT_STORAGE, identifier 1.
void peer_associate(int fd);

// A socket listening on loopback, and its port.
int listen_free(uint16_t *port);

#endif
