#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/budget.h"

enum { ALIGN = 16, BLOCK_MIN = 4096 - 64, BLOCK_MAX = 256 << 10 };

// `next` is the older block; the memory follows.
struct arena_block {
    struct arena_block *next;
    size_t size; // of the memory
    size_t used;
    uint64_t charged; // to the budget
    _Alignas(ALIGN) unsigned char memory[];
};

void arena_init(struct arena *arena, size_t limit)
{
    *arena = (struct arena){.limit = limit};
}

// Blocks double, so that a small arena stays small and a large one makes few calls.
static size_t block_size(const struct arena *arena, size_t need)
{
    size_t size = arena->head ? arena->head->size * 2 : BLOCK_MIN;
    if (size > BLOCK_MAX)
        size = BLOCK_MAX;
    return size < need ? need : size;
}

static struct arena_block *add_block(struct arena *arena, size_t need)
{
    size_t size = block_size(arena, need);
    uint64_t charged;
    if (!budget_take(sizeof(struct arena_block) + size, &charged))
        return NULL;
    struct arena_block *block = malloc(sizeof *block + size);
    if (!block) {
        budget_give(charged);
        return NULL;
    }
    block->charged = charged;
    block->size = size;
    block->used = 0;
    block->next = arena->head;
    arena->head = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size == 0)
        size = 1;
    if (size > arena->limit)
        return NULL;
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *block = arena->head;
    size_t wasted = 0;
    if (!block || block->size - block->used < size) {
        wasted = block ? block->size - block->used : 0;
        block = NULL;
    }
    if (arena->used + wasted + size > arena->limit)
        return NULL;
    if (!block) {
        block = add_block(arena, size);
        if (!block)
            return NULL;
    }
    arena->used += wasted + size;
    void *memory = block->memory + block->used;
    block->used += size;
    return memset(memory, 0, size);
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return arena_alloc(arena, total);
}

void *arena_copy(struct arena *arena, const void *data, size_t size)
{
    void *copy = arena_alloc(arena, size);
    if (copy && size > 0)
        memcpy(copy, data, size);
    return copy;
}

char *arena_strndup(struct arena *arena, const char *text, size_t size)
{
    if (size == SIZE_MAX)
        return NULL;
    char *copy = arena_alloc(arena, size + 1);
    if (copy && size > 0)
        memcpy(copy, text, size);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = size < 0 ? NULL : arena_alloc(arena, (size_t)size + 1);
    if (text)
        vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

static void free_block(struct arena_block *block)
{
    if (!block)
        return;
    budget_give(block->charged);
    free(block);
}

void arena_reset(struct arena *arena)
{
    struct arena_block *block = arena->head;
    while (block && block->next) {
        struct arena_block *older = block->next;
        free_block(block);
        block = older;
    }
    if (block)
        block->used = 0;
    arena->head = block;
    arena->used = 0;
}

void arena_free(struct arena *arena)
{
    arena_reset(arena);
    free_block(arena->head);
    arena->head = NULL;
}
