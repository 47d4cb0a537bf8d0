#include "base/source.h"

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
