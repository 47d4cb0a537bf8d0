// What carries the bytes of an association: a TCP socket, and in the fuzz target a block of memory. TLS is another
// body of the same four functions.
#ifndef DIMSE_WIRE_H
#define DIMSE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"

enum dimse_wire_result { DIMSE_WIRE_OK, DIMSE_WIRE_END, DIMSE_WIRE_TIMEOUT, DIMSE_WIRE_BROKEN };

struct dimse_wire {
    // At least one byte and at most `size`, in *got. END: the peer will send no more. BROKEN: *err says why.
    enum dimse_wire_result (*receive)(void *payload, uint8_t *data, size_t size, int64_t deadline_ns, size_t *got,
                                      struct error *err);
    // All of the parts, which are used up. A deadline in the past sends what fits without waiting.
    enum dimse_wire_result (*send)(void *payload, struct iovec *parts, size_t count, int64_t deadline_ns,
                                   struct error *err);
    void (*shut)(void *payload);  // both directions; from any thread; the descriptor stays taken
    void (*close)(void *payload); // frees `payload`
    void *payload;
};

// Takes `fd`, which is closed on failure too. Deadlines are of clock_monotonic_ns.
bool dimse_wire_socket(struct dimse_wire *wire, int fd, struct error *err);

// A connected socket, or -1.
int dimse_wire_connect(const char *host, uint16_t port, int64_t deadline_ns, struct error *err);

// The numeric address of the peer of `fd`; "local" when it has none.
void dimse_wire_address(int fd, char *out, size_t capacity);

#endif
