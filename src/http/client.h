// An HTTP client for the program's own commands and deliveries, over libcurl. Blocking; any thread.
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

struct http_call {
    const char *method;
    const char *url;
    const char *type;  // of the body; NULL: none
    const char *token; // of the Authorization: Bearer; NULL: none
    const void *body;  // or, when NULL and fd >= 0, `size` bytes of the file from its start
    int fd;            // -1: none
    uint64_t size;
    int64_t timeout_ns;
};

// Sends it and appends the answer's body to `out`. true for any answer; *status is its code. CLOSED or TIMEOUT when
// there was none, with the URL and what to do.
bool http_client_call(const struct http_call *call, int *status, struct buffer *out, struct error *err);

#endif
