// An HTTP client for the program's own commands, deliveries and logins by a provider, over libcurl. Blocking; any
// thread. It follows no redirect: where something goes is the caller's decision.
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

struct http_call {
    const char *method;
    const char *url;
    const char *type;            // of the body; NULL: none
    const char *token;           // of the Authorization: Bearer; NULL: none
    const char *user, *password; // of the Authorization: Basic, as they go out; NULL: none
    const void *body;            // or, when NULL and fd >= 0, `size` bytes of the file from its start
    int fd;                      // -1: none
    uint64_t size;
    int64_t timeout_ns;      // of all of it
    int64_t connect_ns;      // of look-up, connection and handshake; 0: timeout_ns
    const char *authorities; // PEM file of those whose word counts for the server's certificate; NULL: the system's
    const char *authorities_text; // PEM text in place of the file; NULL: none
    int64_t *date_ns;             // out: of the answer's Date header, 0 without one; NULL: nobody asks
};

// Sends it and appends the answer's body to `out`. true for any answer; *status is its code. When there was none:
// NOT_FOUND (the host's name), CLOSED, TIMEOUT, FORBIDDEN (its certificate does not count, and why) or PROTOCOL (no TLS
// with it), with the URL and what to do; LIMIT, or BUSY, when `out` has no room.
bool http_client_call(const struct http_call *call, int *status, struct buffer *out, struct error *err);

#endif
