#include "base/reader.h"

#include <string.h>

#include "base/file.h"

bool reader_read(const struct reader *reader, uint64_t offset, void *out, size_t size, struct error *err)
{
    if (offset > reader->size || size > reader->size - offset)
        return error_set(err, ERROR_BAD_DATA, "%zu bytes at %llu lie past the end of %llu", size,
                         (unsigned long long)offset, (unsigned long long)reader->size);
    return size == 0 || reader->read(reader->payload, reader->start + offset, out, size, err);
}

void reader_narrow(struct reader *reader, uint64_t offset, uint64_t size)
{
    uint64_t passed = offset < reader->size ? offset : reader->size, left = reader->size - passed;
    reader->start += passed;
    reader->size = size < left ? size : left;
}

void reader_release(struct reader *reader)
{
    if (reader->release)
        reader->release(reader->payload);
    *reader = (struct reader){0};
}

static bool read_memory(void *payload, uint64_t offset, void *out, size_t size, struct error *err)
{
    (void)err;
    memcpy(out, (const uint8_t *)payload + offset, size);
    return true;
}

struct reader reader_from_memory(const void *data, uint64_t size)
{
    return (struct reader){.read = read_memory, .payload = (void *)(uintptr_t)data, .size = size};
}

static bool read_file(void *payload, uint64_t offset, void *out, size_t size, struct error *err)
{
    return file_pread((int)(intptr_t)payload, out, size, offset, err);
}

struct reader reader_from_fd(int fd, uint64_t offset, uint64_t size)
{
    return (struct reader){.read = read_file, .payload = (void *)(intptr_t)fd, .start = offset, .size = size};
}

static bool next_block(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    struct source_reader *from = payload;
    uint64_t left = from->reader.size - from->at;
    size_t want = left < from->block_size ? (size_t)left : from->block_size;
    if (!reader_read(&from->reader, from->at, from->block, want, err))
        return false;
    from->at += want;
    *data = from->block;
    *size = want;
    return true;
}

static uint64_t pass(void *payload, uint64_t size)
{
    struct source_reader *from = payload;
    uint64_t left = from->reader.size - from->at, passed = size < left ? size : left;
    from->at += passed;
    return passed;
}

struct source source_from_reader(struct source_reader *from)
{
    return (struct source){.next = next_block, .payload = from, .pass = pass};
}
