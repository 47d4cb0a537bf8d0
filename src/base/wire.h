// What carries the bytes of a connection, whatever is spoken over it: a TCP socket, and in fuzz targets a block of
// memory. TLS is another body of the same four functions. A wire is of one thread, but for shut.
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"

enum wire_result { WIRE_OK, WIRE_END, WIRE_TIMEOUT, WIRE_BROKEN };

struct wire {
    // At least one byte and at most `size`, in *got. END: the peer will send no more. BROKEN: *err says why.
    enum wire_result (*receive)(void *payload, uint8_t *data, size_t size, int64_t deadline_ns, size_t *got,
                                struct error *err);
    // All of the parts, which are used up. A deadline in the past sends what fits without waiting.
    enum wire_result (*send)(void *payload, struct iovec *parts, size_t count, int64_t deadline_ns, struct error *err);
    void (*shut)(void *payload);  // both directions; from any thread; the descriptor stays taken
    void (*close)(void *payload); // frees `payload`
    void *payload;
};

// Takes `fd`, which is closed on failure too. Deadlines are of clock_monotonic_ns.
bool wire_socket(struct wire *wire, int fd, struct error *err);

// A connected socket, or -1: NOT_FOUND (no address), TIMEOUT, CLOSED (refused, unreachable). `host` is a name or a
// numeric address; looking up a name may take longer than the deadline.
int wire_connect(const char *host, uint16_t port, int64_t deadline_ns, struct error *err);

// A TCP socket listening at `host`:`port` (0: any free one). -1 on failure.
int wire_listen(const char *host, uint16_t port, struct error *err);

// Where a listening socket listens; 0: it does not.
uint16_t wire_port(int fd);

// The host has an address; it may be looked up for a while.
bool wire_host_is_known(const char *host, struct error *err);

// The numeric address of the peer of `fd`, an IPv4 one as such on a dual-stack socket too; "local" when it has none.
void wire_address(int fd, char *out, size_t capacity);

#endif
