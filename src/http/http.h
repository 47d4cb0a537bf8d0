// The http room: an HTTP/1.1 server over libmicrohttpd, one thread a connection, with limits; and (later) a client.
// What is answered is decided above.
//
// What a request holds in memory (body, arena, reply) counts against the budget for all who ask (base/budget.h); where
// that has no room the answer is 503 with Retry-After, whatever the handler took for the reason.
//
// A handler runs on the connection's thread with the whole (bounded) body at hand and answers with exactly one
// http_reply... call. Refused before any handler, in this order:
//   400       a NUL in the request line or a header, a bare line feed, a header over several lines; a header whose name
//   has a space or
//             separator or whose value has a control character; two Host headers; two Content-Length headers, one that
//             is no number or stands beside a Transfer-Encoding; a Transfer-Encoding other than "chunked" (the
//             connection is closed)
//   400       of a trusted proxy: Forwarded and X-Forwarded-For that tell two clients, or a Forwarded that cannot be
//   taken
//             apart at its commas and semicolons
//   400       a target that is no path, has a bad escape, NUL, control character, backslash, "//", a dot segment or
//             broken UTF-8 after decoding, or too many query parameters
//   400       a Host that is neither NAME nor ADDRESS, with or without :PORT
//   403       a Host that is a name neither "localhost" nor in options.hosts (a page elsewhere that rebinds its name to
//             us); numbers are not names, so any address will do
//   403       POST, PUT, PATCH, DELETE with an Origin that is not the Host (a form on a page elsewhere)
//   404, 405  an unknown path, an unknown method (with Allow)
//   400       a query parameter that the route does not know, or twice: what is passed over would be answered for all
//   415       a Content-Encoding other than "identity" (nothing is decoded, so nothing can explode)
//   413, 503  a body past the route's limit, or one in memory past the budget for all who ask (base/budget.h)
//   as it says  what options.admit refuses, before a byte of the body is taken
//   507       a body to a file for which options.can_spool sees no room
// What stands behind a chunked body is not read as a request: its connection ends with the answer.
// Headers past what libmicrohttpd's 32 kB hold are its own 431 or 414. Past HTTP_CONNECTIONS_MAX, or past
// HTTP_PER_ADDRESS_MAX of one address that is not loopback, the connection that has waited longest without a request
// makes room for the next: of that address, else of the one that has most of them; where none does the next is closed
// at once. Of handshakes that have not ended the oldest makes room in the same way. One log line a minute. A peer that
// sends its request, or takes its reply, slower than HTTP_RATE_MIN after the first seconds is cut off. Errors are
// problem+json (RFC 9457):
// {"title", "status", "detail"}; 503 has a Retry-After. What every reply has for browsers stands in reply.c's table.
// HEAD is served by GET's route.
//
// A GET that asks for an upgrade to a WebSocket (RFC 6455) goes to the route of that path whose method is
// HTTP_WEBSOCKET, where there is one; without one the upgrade is passed over. Refused besides, before admit:
//   400       not HTTP/1.1, no "Connection: Upgrade", no Sec-WebSocket-Key of 16 bytes
//   403       an Origin that is not the Host, as above: a page elsewhere would come with our cookie
//   426       another Sec-WebSocket-Version than 13
//
// What comes without TLS is looked at before libmicrohttpd has it (door.c): another protocol's first byte is told to
// options.foreign, and the connection closed.
//
// TLS is OpenSSL's, by the one policy of base/tls.h: a thread of each connection shakes hands and carries the bytes
// between its socket and one of a pair, whose other end libmicrohttpd has (front.c). libmicrohttpd's own TLS is
// GnuTLS's, with a policy of its own.
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/reader.h"
#include "base/tls.h"

enum {
    HTTP_CONNECTIONS_MAX = 256,
    HTTP_PER_ADDRESS_MAX = 64,
    HTTP_HANDSHAKES_MAX = 64,                // that have not ended, of all addresses
    HTTP_HANDSHAKE_SECONDS = 10,             // of one
    HTTP_EVENT_STREAMS_MAX = 64,             // WebSockets among them
    HTTP_EVENT_STREAMS_PER_ADDRESS_MAX = 16, // of one that is not loopback, so that it keeps connections for the rest
    HTTP_RETRY_SECONDS = 5,                  // what a problem of status 503 says in Retry-After
    HTTP_IDLE_SECONDS = 60,                  // between requests, and without a byte moving
    HTTP_REQUEST_SECONDS = 30,       // from the first byte to the last of the headers; start of the allowance below
    HTTP_RATE_MIN = 16 << 10,        // bytes a second, of a body or a reply
    HTTP_STOP_SECONDS = 10,          // what running replies get when the server stops
    HTTP_QUERY_MAX = 64,             // query parameters of a request
    HTTP_PATH_PARTS_MAX = 8,         // {variables} of a route
    HTTP_SPACE = 32 << 20,           // the request's arena: a reply of 20,000 objects fits
    HTTP_BODY_MAX = 512 << 20,       // of one in memory
    HTTP_REPLY_MEMORY_MAX = 1 << 20, // of a reply: a longer one made in memory goes to a file without a name, where its
                                     // reader may take his time
    HTTP_DISCARD_MAX = 1 << 20,   // what is read of a refused body, so that the client sees the reply; of one that was
                                  // on its way into a file all, up to the route's limit
    HTTP_EVENTS_BUFFER = 1 << 20, // what one call of http_events_fn may append
    HTTP_WEBSOCKET_SECONDS = 5,   // to take what is sent, at HTTP_RATE_MIN after them; who is slower is cut off
};

struct http_request; // lives until the reply was sent

typedef void http_handler(void *payload, struct http_request *request);

#define HTTP_WEBSOCKET "WS" // as a route's method

// A row of the routes table. `path` has literal segments and {name} segments, which match one non-empty segment; a last
// segment "{name...}" matches the rest, which may be empty. First match wins.
struct http_route {
    const char *method;
    const char *path;
    http_handler *handle;
    uint64_t body_max; // 0: a body is refused; at most HTTP_BODY_MAX unless to_file
    bool to_file;      // the body goes to a file without a name in options.spool as it comes: http_body_file
    int action, kind;  // the owner's, for options.admit and .answered; never looked at here
    const char *query; // the names of the query parameters that it knows, with spaces between; "": none. NULL: the
                       // handler looks at them all
};

struct http_server;

// Another protocol than the port's, by its first byte: at the one without TLS, and at the one with it.
enum http_foreign { HTTP_FOREIGN_DICOM, HTTP_FOREIGN_TLS, HTTPS_FOREIGN_DICOM, HTTPS_FOREIGN_HTTP };

struct http_options {
    const char *host; // numeric
    uint16_t port;    // 0: any free one
    // Where TLS is spoken besides: a numeric address, and a port (0: any free one). NULL: nowhere. `tls` gives the
    // context of a connection that comes, with `payload`; the server releases it. NULL: the connection is closed.
    const char *tls_host;
    uint16_t tls_port;
    struct tls *(*tls)(void *payload, struct error *err);
    // Numeric addresses of proxies in front, with commas between, whose word counts on where a request comes from and
    // whether it came over TLS (RFC 7239; X-Forwarded-For, X-Forwarded-Proto). NULL or "": none. Anybody else's is
    // passed over.
    const char *trusted_proxies;
    const struct http_route *routes; // ended by method NULL; must outlive the server
    void *payload;                   // for the handlers
    const char *const
        *hosts; // further names accepted in Host, ended by NULL; "*" is any; must outlive the server; may be NULL
    const char *spool; // folder for the bodies of routes with to_file, and for long replies; NULL: there are no such
                       // routes, and replies stay in memory
    // Whether `bytes` more of a body may be kept there, with `payload`: asked with the announced length before a byte
    // is taken, with each piece, and for a reply. false: the body is refused with the error's status. Any connection's
    // thread; NULL: yes.
    bool (*can_spool)(void *payload, uint64_t bytes, struct error *err);
    // Asked when a request has reached its route and its body is to come, on the connection's thread. false: the error
    // is the answer, nothing of the body is kept, and the handler is not called. NULL: yes.
    bool (*admit)(void *payload, struct http_request *request, const struct http_route *route, struct error *err);
    // Called once for each request that reached its route, when that has answered or `admit` has refused, with the
    // status given, on the connection's thread, before the reply is sent. false: the error is sent in its place. What
    // is refused otherwise is not told. NULL: none.
    bool (*answered)(void *payload, struct http_request *request, const struct http_route *route, int status,
                     struct error *err);
    // Somebody spoke another protocol to the port without TLS, and his connection was closed; with `payload`, on the
    // listener's thread. NULL: nobody is told.
    void (*foreign)(void *payload, enum http_foreign what, const char *address);
    int idle_seconds;    // 0: HTTP_IDLE_SECONDS
    int request_seconds; // 0: HTTP_REQUEST_SECONDS
};

// Whether options.trusted_proxies are what they must be: BAD_VALUE with the first that is not.
bool http_check_proxies(const char *text, struct error *err);

struct http_server *http_server_start(const struct http_options *options, struct error *err);
uint16_t http_server_port(const struct http_server *server);
uint16_t http_server_tls_port(const struct http_server *server); // 0: none
// Takes no more connections, ends the event streams, waits for running handlers and, up to HTTP_STOP_SECONDS, for their
// replies to be sent. NULL is fine.
void http_server_stop(struct http_server *server);

// ---- the request; all texts live as long as the request

struct arena *http_arena(struct http_request *request);
const char *http_method(const struct http_request *request);
// It has come by a proxy, as far as anybody can see: HTTP/1.0, which nginx speaks by itself, or one of the headers that
// proxies add.
bool http_came_by_proxy(const struct http_request *request);
const char *http_path(const struct http_request *request); // decoded
const char *http_path_part(const struct http_request *request,
                           const char *name); // the route's {name}; NULL when the route has none
const char *http_header(const struct http_request *request, const char *name); // NULL when absent; folded look-up
size_t http_query_count(const struct http_request *request);
void http_query_at(const struct http_request *request, size_t index, const char **name,
                   const char **value);                                       // decoded, in order
const char *http_query(const struct http_request *request, const char *name); // the first; NULL when absent
// Has the parameter at `index` the name of one before it? The routes that name their parameters refuse that.
bool http_query_repeats(const struct http_request *request, size_t index);
// Numeric, of the peer; of one behind a trusted proxy (or several in a row) what the proxy tells.
const char *http_address(const struct http_request *request);
// It came over TLS, to us or to the trusted proxy that tells so.
bool http_is_secure(const struct http_request *request);
// Of a route with to_file: the descriptor of the body's file, the request's, and its size.
int http_body_file(const struct http_request *request, uint64_t *size);
const void *http_body(const struct http_request *request, size_t *size); // "" when there is none
// The quality of `type` ("application/dicom+json") in the Accept headers, 0 to 1000; 1000 without the header. RFC
// 9110, 12.5.1: the most specific range that covers it counts.
int http_accepts(const struct http_request *request, const char *type);
// The same of a type with parameters: a range that gives one of them another value (neither this one nor "*") does not
// cover it; one that gives it counts before one that does not.
struct http_parameter {
    const char *name, *value;
};
int http_accepts_with(const struct http_request *request, const char *type, const struct http_parameter *parameters,
                      size_t count);

// One pointer of the owner's, from options.admit over the handler to options.answered: what it points to must live as
// long as the request.
void http_set_note(struct http_request *request, void *note);
void *http_note(const struct http_request *request); // NULL: none was set

// ---- the reply

// Before the reply; a value with CR, LF or another control character is dropped (and logged).
void http_set_header(struct http_request *request, const char *name, const char *value);

// `type` may be NULL: no Content-Type.
void http_reply(struct http_request *request, int status, const char *type, const void *body, size_t size); // copied
void http_reply_buffer(struct http_request *request, int status, const char *type,
                       struct buffer *body); // its bytes are taken; a failed buffer becomes 500
// A reply that is too long for memory is made in a file without a name, the caller's (close) until it is the reply.
// `bytes` are about what it will hold; -1: the disk has no room for them, or options.spool is NULL.
int http_spool_open(const struct http_request *request, uint64_t bytes);
void http_reply_file(struct http_request *request, int status, const char *type, int fd, uint64_t size); // takes fd
void http_reply_error(struct http_request *request, const struct error *err);
void http_reply_status(struct http_request *request, int status,
                       const struct error *err); // another than the code's own

// Readers, each from its start to its end and one after the other, sent without holding them in memory. What is in
// memory must live in the request's arena. `done` (may be NULL) is called once with `payload`, on the connection's
// thread, when the reply was sent or given up, to release the readers. The sum of the sizes is the Content-Length. A
// reader that fails cuts the connection, before a byte of what it failed to read is sent.
void http_reply_parts(struct http_request *request, int status, const char *type, const struct reader *parts,
                      size_t count, void (*done)(void *payload), void *payload);

// A stream of events, server-sent or by WebSocket as the route was asked for. `next` adds whole events to `out`,
// waiting up to timeout_ns (a quarter of a second at most, so that a stop is seen) for one; false ends the stream. Runs
// on the connection's thread until the peer leaves or the server stops. `done` as above; past HTTP_EVENT_STREAMS_MAX,
// or HTTP_EVENT_STREAMS_PER_ADDRESS_MAX of one address, it is called at once and 503 sent, and the connection closed.
//
// Server-sent: "id: ..\nevent: ..\ndata: ..\n\n"; after 15 silent seconds a comment line keeps the connection.
// By WebSocket: one text message an event, {"id": .., "event": .., "data": ..}; nothing is taken but pings, pongs and
// close frames (1003). Half options.idle_seconds without a word a ping is sent, and after as long again without an
// answer the connection ends. It is closed with 1001 when `next` ends it or the server stops.
struct http_events;
typedef bool http_events_fn(void *payload, int64_t timeout_ns, struct http_events *out);
void http_reply_events(struct http_request *request, http_events_fn *next, void (*done)(void *payload), void *payload);

// One event: its data, JSON in one line, are appended to what _begin gives, until _end. `name` NULL: an id alone, which
// is no event to a reader but kept and sent back (Last-Event-ID), and has no data.
struct buffer *http_event_begin(struct http_events *out, const char *id, const char *name);
void http_event_end(struct http_events *out);

#endif
