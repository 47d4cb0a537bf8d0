// A growing byte buffer with a named ceiling. Appending past the ceiling, or out of memory, sets `failed` and drops the
// bytes; later appends do nothing, so that a writer appends freely and checks once at the end. What a thread takes that
// works for a peer counts against the budget (budget.h), past which there is no room either. Not shared between
// threads.
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct buffer {
    uint8_t *data; // owned; NULL when empty
    size_t size;
    size_t capacity;
    size_t limit;
    uint64_t charged; // to the budget, for the capacity
    bool failed;
};

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_byte(struct buffer *buffer, uint8_t byte);
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_u16le(struct buffer *buffer, uint16_t value);
void buffer_u32le(struct buffer *buffer, uint32_t value);
void buffer_u64le(struct buffer *buffer, uint64_t value);
void buffer_u16be(struct buffer *buffer, uint16_t value);
void buffer_u32be(struct buffer *buffer, uint32_t value);

// Room for `size` more bytes; the caller writes at data + size and then adds to size. NULL (and failed) past the
// ceiling.
uint8_t *buffer_reserve(struct buffer *buffer, size_t size);

// A JSON string with its quotes; invalid UTF-8 becomes U+FFFD. `size` bytes of `text`.
void buffer_json_string(struct buffer *buffer, const char *text, size_t size);
// Percent-encoded but for RFC 3986's unreserved characters: as a part of a path, a query's or a form's value.
void buffer_percent(struct buffer *buffer, const char *text);
void buffer_base64(struct buffer *buffer, const void *data, size_t size);

// false when an append failed: LIMIT, or BUSY where the budget had no room. `what` names the content.
bool buffer_check(const struct buffer *buffer, const char *what, struct error *err);

// Hands the bytes to the caller, who frees them with free() (they are off the budget); the buffer is empty afterwards,
// with the same limit.
uint8_t *buffer_take(struct buffer *buffer, size_t *size);

void buffer_clear(struct buffer *buffer); // keeps the memory
void buffer_free(struct buffer *buffer);

#endif
