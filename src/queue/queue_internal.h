// What the files of this room share.
#ifndef QUEUE_INTERNAL_H
#define QUEUE_INTERNAL_H

#include "queue/queue.h"

// The column's text in the arena, "" for NULL. NULL: no memory.
const char *queue_column(struct sql *sql, int column, struct arena *arena);

// LIMIT, naming `what`, when a text is longer than `most` bytes. NULL is fine.
bool queue_check_text(const char *what, const char *text, size_t most, struct error *err);

static inline const char *queue_text(const char *text)
{
    return text ? text : "";
}

// For a person, of whatever origin: control characters and bad UTF-8 escaped, cut at QUEUE_REASON_MAX. Returns `out`.
const char *queue_reason(char out[QUEUE_REASON_MAX + 1], const char *text);

// Reads one row into `to`; MEMORY when the arena is full.
typedef bool queue_row_fn(struct sql *sql, struct arena *arena, void *to, struct error *err);

// Runs the bound statement: at most `limit` rows of `size` bytes each, in `arena`. Ends it with sql_done.
bool queue_rows(struct sql *sql, queue_row_fn *read, size_t size, size_t limit, struct arena *arena, void **out,
                size_t *count, struct error *err);

#endif
