// An arena: memory of one request, association or job, given back at once. Not shared between threads. What a thread
// takes that works for a peer counts against the budget (budget.h), past which there is no room either.
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *head;
    size_t used;  // bytes handed out and wasted at block ends
    size_t limit; // arena_alloc answers NULL past this
};

// `limit` in bytes. Nothing is allocated until the first use.
void arena_init(struct arena *arena, size_t limit);

// Zeroed memory aligned to 16 bytes, valid until arena_reset or arena_free. NULL past the limit or out of memory. size
// 0 gives a unique pointer.
void *arena_alloc(struct arena *arena, size_t size);

// count * size with an overflow check.
void *arena_calloc(struct arena *arena, size_t count, size_t size);

// Copies; NUL-terminated. NULL past the limit.
char *arena_strndup(struct arena *arena, const char *text, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
void *arena_copy(struct arena *arena, const void *data, size_t size);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Keeps the first block for reuse.
void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);

#endif
