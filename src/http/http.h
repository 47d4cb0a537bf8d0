// The http room: an HTTP/1.1 server over libmicrohttpd, one thread a connection, with limits; and (later) a client. What is answered is decided above.
//
// A handler runs on the connection's thread with the whole (bounded) body at hand and answers with exactly one http_reply... call.
// Refused before any handler: two Content-Length headers or one with Transfer-Encoding (400), a body past the route's limit (413), a path with NUL, backslash, "//" or a dot segment
// after decoding (400), an unknown method (405 with Allow) or path (404), more than HTTP_CONNECTIONS_MAX connections or HTTP_PER_ADDRESS_MAX of one address that is not loopback.
// Errors are problem+json (RFC 9457): {"title", "status", "detail"}.
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

enum {
    HTTP_CONNECTIONS_MAX = 256,
    HTTP_PER_ADDRESS_MAX = 64,
    HTTP_IDLE_SECONDS = 60,
    HTTP_QUERY_MAX = 64,     // query parameters of a request
    HTTP_PATH_PARTS_MAX = 8, // {variables} of a route
    HTTP_SPACE = 4 << 20,    // the request's arena
};

struct http_request; // lives until the reply was sent

typedef void http_handler(void *payload, struct http_request *request);

// A row of the routes table. `path` has literal segments and {name} segments, which match one non-empty segment; a last segment "{name...}" matches the rest. First match wins.
struct http_route {
    const char *method;
    const char *path;
    http_handler *handle;
    size_t body_max; // 0: a body is refused
};

struct http_server;

struct http_options {
    const char *host;                // numeric
    uint16_t port;                   // 0: any free one
    const struct http_route *routes; // ended by method NULL; must outlive the server
    void *payload;                   // for the handlers
};

struct http_server *http_server_start(const struct http_options *options, struct error *err);
uint16_t http_server_port(const struct http_server *server);
void http_server_stop(
    struct http_server *server); // waits for the running requests (event streams are ended at once); NULL is fine

// ---- the request; all texts live as long as the request

struct arena *http_arena(struct http_request *request);
const char *http_method(const struct http_request *request);
const char *http_path(const struct http_request *request); // decoded
const char *http_path_part(const struct http_request *request,
                           const char *name);                                  // the route's {name}; asserted to exist
const char *http_header(const struct http_request *request, const char *name); // NULL when absent; folded look-up
size_t http_query_count(const struct http_request *request);
void http_query_at(const struct http_request *request, size_t index, const char **name,
                   const char **value);                                       // decoded, in order
const char *http_query(const struct http_request *request, const char *name); // the first; NULL when absent
const char *http_address(const struct http_request *request);                 // numeric, of the peer
const void *http_body(const struct http_request *request, size_t *size);
// The quality of `type` ("application/dicom+json") in the Accept header, 0 to 1000; parameters after ';' other than q are not looked at. 1000 without the header. RFC 9110, 12.5.1.
int http_accepts(const struct http_request *request, const char *type);

// ---- the reply

void http_set_header(struct http_request *request, const char *name,
                     const char *value); // before the reply; a value with CR or LF is dropped (and logged)

void http_reply(struct http_request *request, int status, const char *type, const void *body, size_t size); // copied
void http_reply_buffer(struct http_request *request, int status, const char *type,
                       struct buffer *body); // its bytes are taken; a failed buffer becomes 500
void http_reply_error(struct http_request *request, const struct error *err);

// Memory and pieces of files, one after the other, sent without holding them in memory. Memory parts must live in the request's arena. `done` (may be NULL) is called with `payload` when the
// reply was sent or given up, to give back descriptors. The sum of the sizes is the Content-Length.
struct http_part {
    const void *memory; // or NULL:
    int fd;
    uint64_t offset;
    uint64_t size;
};
void http_reply_parts(struct http_request *request, int status, const char *type, const struct http_part *parts,
                      size_t count, void (*done)(void *payload), void *payload);

// Server-sent events: `next` appends whole events ("id: ..\nevent: ..\ndata: ..\n\n") to `out`, waiting up to timeout_ns for one; nothing appended sends a comment line to keep the connection. false
// ends the stream. Runs on the connection's thread until the peer leaves or the server stops. `done` as above.
typedef bool http_events_fn(void *payload, int64_t timeout_ns, struct buffer *out);
void http_reply_events(struct http_request *request, http_events_fn *next, void (*done)(void *payload), void *payload);

#endif
