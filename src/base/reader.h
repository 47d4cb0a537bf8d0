// Bytes that are read anywhere: who reads a part of an object does not know whether it lies in a pack, a file or
// memory.
#ifndef BASE_READER_H
#define BASE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/source.h"

// read: exactly `size` bytes at `offset`, which is start or more and within the reader's size (reader_read sees to
// that). release: gives back what the reader holds; NULL where it holds nothing. A copy is a reader too, as long as one
// of them is released; one thread at a time.
struct reader {
    bool (*read)(void *payload, uint64_t offset, void *out, size_t size, struct error *err);
    void (*release)(void *payload);
    void *payload;
    uint64_t start; // of its first byte, as `read` counts
    uint64_t size;
};

// `size` bytes from its `offset` on, which counts from 0. BAD_DATA, and nothing read, when one of them lies past the
// end; else what `read` says.
bool reader_read(const struct reader *reader, uint64_t offset, void *out, size_t size, struct error *err);

// Leaves of it `size` bytes from its `offset` on, or what there is of them.
void reader_narrow(struct reader *reader, uint64_t offset, uint64_t size);

// Gives back what it holds; afterwards it has no bytes. One of zeros is fine.
void reader_release(struct reader *reader);

// `size` bytes, which must outlive the reader.
struct reader reader_from_memory(const void *data, uint64_t size);

// `size` bytes of the file from `offset` on, by pread; a file that ends early is ERROR_IO. The descriptor stays the
// caller's.
struct reader reader_from_fd(int fd, uint64_t offset, uint64_t size);

// A reader as a stream, from `at` to its end.
struct source_reader {
    struct reader reader; // not released by the source
    uint64_t at;          // moves on as it is read
    uint8_t *block;       // owned by the caller: `block_size` bytes
    size_t block_size;
};

// `from` must outlive the source.
struct source source_from_reader(struct source_reader *from);

#endif
