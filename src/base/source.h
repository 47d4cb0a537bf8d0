// A stream of bytes that is pulled: what reads an object does not know whether it comes from a socket, a file or
// memory.
#ifndef BASE_SOURCE_H
#define BASE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

// next: the next piece of the stream, of any size above 0. *data is valid until the following call and is the source's.
// At the end *size is 0, and stays 0. false when the stream broke; it must not be called again then. pass: passes over
// up to `size` bytes without looking at them, and says how many: fewer only at the end. NULL where bytes must flow to
// be passed.
struct source {
    bool (*next)(void *payload, const uint8_t **data, size_t *size, struct error *err);
    void *payload;
    uint64_t (*pass)(void *payload, uint64_t size);
};

struct source_memory {
    const uint8_t *data;
    size_t size;
};

// All of `memory` in one piece. `memory` must outlive the source.
struct source source_from_memory(struct source_memory *memory);

#endif
