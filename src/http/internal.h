// What the files of this room share: the server, its connections and the request each of them carries.
//
// A request's way, and the function that takes each step (all but the first on the connection's own thread):
//   connection    on_connection   counted, given a deadline
//   request line  on_uri          http_request_begin; the raw target is kept
//   headers       on_request      http_screen: a route, or a refusal
//   body          on_request      take_body, discard_body
//   all read      on_request      the handler, http_reply...
//   reply sent    on_completed    http_request_end: `done`, memory given back
#ifndef HTTP_INTERNAL_H
#define HTTP_INTERNAL_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http/http.h"
#include "http/websocket.h"

enum http_stage { HTTP_STAGE_IDLE, HTTP_STAGE_LINE, HTTP_STAGE_BODY, HTTP_STAGE_REPLY };

struct http_pair {
    const char *name;
    const char *value;
};

struct http_added_header {
    struct http_added_header *next;
    const char *name;
    const char *value;
};

struct http_request {
    struct http_connection *connection;
    struct MHD_Connection *mhd;
    enum http_stage stage;
    struct arena arena;
    char *target; // raw; taken apart in place by http_target_parse

    const char *method;
    const char *version;
    const char *path;
    struct http_pair query[HTTP_QUERY_MAX];
    size_t query_count;
    const struct http_route *route;
    struct http_pair parts[HTTP_PATH_PARTS_MAX];
    size_t part_count;

    struct buffer body;
    int body_fd; // of a route with to_file; -1: none
    uint64_t received;
    uint64_t discarded; // of it, after a refusal
    int64_t body_start_ns;

    int refused; // HTTP status, or 0
    bool barred; // by options.admit
    bool close;  // after the reply
    struct error refusal;

    struct http_added_header *added; // in order
    struct http_added_header **added_end;
    bool replied;                  // a response was made
    int status;                    // of it
    struct MHD_Response *response; // until it is sent
    void *note;
    struct buffer reply; // the bytes of one from memory, until it is sent
    bool keeps_arena;    // the reply is read from what the arena holds
    void (*done)(void *payload);
    void *payload;
    const char *client; // as a trusted proxy tells; NULL: the connection's address
    bool secure;
};

struct http_connection {
    struct http_connection *next;
    struct http_connection *previous;
    struct http_server *server;
    int fd;
    bool secure;                // its bytes come over TLS
    _Atomic int64_t idle_since; // the number of what it waits for, rising; 0: a request is under way
    bool ousted;                // it makes room for others, and does not count any more; under the server's lock
    struct in6_addr address;
    char address_text[INET6_ADDRSTRLEN];
    _Atomic int64_t deadline_ns; // monotonic; 0: none. Past it the watch shuts the socket down
    bool streams_events;         // its request does; written under the server's lock
    struct http_request request;
};

struct http_server {
    struct MHD_Daemon *daemon;
    const struct http_route *routes;
    void *payload;
    const char *const *hosts;
    const char *spool;
    bool (*can_spool)(void *payload, uint64_t bytes, struct error *err);
    bool (*admit)(void *payload, struct http_request *request, const struct http_route *route, struct error *err);
    bool (*answered)(void *payload, struct http_request *request, const struct http_route *route, int status,
                     struct error *err);
    int idle_seconds;
    int request_seconds;
    uint16_t port;
    pthread_t watch;
    _Atomic int64_t waits; // what connections wait for, counted
    const char *trusted_proxies;
    struct http_fronts *fronts; // NULL: TLS is spoken nowhere
    struct http_door *door;

    atomic_bool stopping;

    pthread_mutex_t lock; // of what follows
    pthread_cond_t change;
    struct http_connection *first;
    size_t open;
    struct crowd {
        uint64_t ousted, refused; // not logged yet
        int64_t tell_ns;          // monotonic: when they are logged again
    } crowd;
    size_t busy; // requests between their headers and the end of their reply
};

// server.c: a listening socket that does not block. BAD_VALUE: no numeric address.
bool http_listen_on(const char *host, uint16_t port, int *fd, struct error *err);
uint16_t http_bound_port(int fd);

// door.c: who accepts without TLS. Takes the listening socket, on success.
struct http_door *http_door_start(struct http_server *server, const struct http_options *options, int listening,
                                  struct error *err);
void http_door_stop(struct http_door *door); // takes no more connections; NULL is fine

// front.c: what speaks TLS in front of libmicrohttpd.
struct http_fronts *http_fronts_start(struct http_server *server, const struct http_options *options,
                                      struct error *err);
uint16_t http_fronts_port(const struct http_fronts *fronts);
void http_fronts_quiesce(struct http_fronts *fronts); // takes no more connections; NULL is fine
void http_fronts_stop(struct http_fronts *fronts);    // after libmicrohttpd has ended its connections; NULL is fine
// Is this descriptor, libmicrohttpd's, of a connection over TLS?
bool http_fronts_have(struct http_fronts *fronts, int fd);
// Breaks off what is carried for it, whose reader does not take it.
void http_fronts_cut(struct http_fronts *fronts, int fd);

// forwarded.c: sets the request's client and whether it is secure; a check of http_screen.
bool http_look_at_proxies(struct http_request *request);

// connection.c
struct in6_addr http_address_of(const struct sockaddr *address);
void http_address_text(const struct in6_addr *v6, char text[INET6_ADDRSTRLEN]);
bool http_connection_admit(struct http_server *server,
                           const struct sockaddr *address); // a further one of this address?
bool http_is_loopback(const struct in6_addr *v6);
struct http_connection *http_connection_open(struct http_server *server, int fd, const struct sockaddr *address);
void http_connection_waits(struct http_connection *connection); // for the next request, or its first
void http_connection_close(struct http_connection *connection); // before libmicrohttpd closes the descriptor
void http_connection_allow(struct http_connection *connection, int seconds,
                           uint64_t bytes); // sets the deadline from now
void *http_connection_watch(void *server);  // a thread's body

// request.c
void http_request_begin(struct http_request *request, struct MHD_Connection *mhd, const char *target);
void http_request_end(struct http_request *request); // does nothing when there is none

// events.c: counts the connection's request as an event stream, until http_request_end. BUSY: there are too many of all
// addresses, or of its own.
bool http_stream_begin(struct http_connection *connection, struct error *err);
void http_stream_end(struct http_connection *connection);

// A stream of events of either kind, in the request's arena.
struct http_events {
    struct http_connection *connection;
    http_events_fn *next;
    void *payload;
    struct buffer out;   // whole events, framed
    struct buffer event; // by WebSocket: the one that is being made
    bool is_websocket, is_named;
    size_t sent; // of out
    int64_t last_ns;
    bool over;
    void (*done)(void *payload);
};

// upgrade.c: the answer to a handshake that http_screen has let pass; the stream is carried until its end.
void http_upgrade(struct http_request *request, struct http_events *events);
bool http_asks_upgrade(const struct http_request *request); // to a WebSocket
// false with the refusal set.
bool http_screen_upgrade(struct http_request *request);

// target.c: path and query out of request->target.
bool http_target_parse(struct http_request *request, struct error *err);

// route.c: sets the route and its parts. Without a match false, and `allow` has the methods of the routes whose path
// does match.
enum { HTTP_ALLOW_SIZE = 128 };
bool http_route_find(struct http_request *request, char allow[HTTP_ALLOW_SIZE]);

// screen.c: false with the refusal set.
bool http_screen(struct http_request *request);
bool http_origin_is_ours(struct http_request *request); // where it is told; a check
bool http_refuse(struct http_request *request, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4))); // false

// reply.c
void http_reply_refusal(struct http_request *request);
// Keeps `response` (taken; NULL: out of memory, the connection is closed) with the headers every reply has.
void http_queue(struct http_request *request, int status, const char *type, struct MHD_Response *response);
void http_reply_instead(struct http_request *request, const struct error *err); // of the one that is kept
void http_send(struct http_request *request);                                   // gives it to libmicrohttpd

#endif
