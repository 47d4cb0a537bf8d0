#include "base/source.h"

#include "base/file.h"

static bool memory_next(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    struct source_memory *memory = payload;
    (void)err;
    *data = memory->data;
    *size = memory->size;
    memory->data += memory->size;
    memory->size = 0;
    return true;
}

struct source source_from_memory(struct source_memory *memory)
{
    return (struct source){.next = memory_next, .payload = memory};
}

static bool file_next(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    struct source_file *file = payload;
    size_t want = file->size < file->block_size ? (size_t)file->size : file->block_size;
    if (want > 0 && !file_pread(file->fd, file->block, want, file->offset, err))
        return false;
    file->offset += want;
    file->size -= want;
    *data = file->block;
    *size = want;
    return true;
}

static uint64_t file_pass(void *payload, uint64_t size)
{
    struct source_file *file = payload;
    uint64_t skipped = size < file->size ? size : file->size;
    file->offset += skipped;
    file->size -= skipped;
    return skipped;
}

struct source source_from_file(struct source_file *file)
{
    return (struct source){.next = file_next, .payload = file, .pass = file_pass};
}
