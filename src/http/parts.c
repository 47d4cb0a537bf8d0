// Replies put together from readers, read block by block as the peer takes them.
#include "http/internal.h"

#include <string.h>

#include "base/log.h"

enum { BLOCK = 256 << 10 }; // of 64 kB to 1 MB the quickest, mapped memory included; what a reply holds in memory

struct parts {
    const struct reader *at; // the part being sent
    uint64_t sent;           // of it
    const struct reader *end;
};

static bool copy_piece(const struct parts *parts, char *to, size_t size)
{
    struct error err;
    if (reader_read(parts->at, parts->sent, to, size, &err))
        return true;
    log_error("http", "a reply was cut: %s", err.message);
    return false;
}

static ssize_t read_parts(void *payload, uint64_t position, char *to, size_t room)
{
    (void)position;
    struct parts *parts = payload;
    size_t filled = 0;
    while (filled < room && parts->at < parts->end) {
        uint64_t left = parts->at->size - parts->sent;
        size_t size = left < room - filled ? (size_t)left : room - filled;
        if (!copy_piece(parts, to + filled, size))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        filled += size;
        parts->sent += size;
        if (parts->sent == parts->at->size) {
            parts->at++;
            parts->sent = 0;
        }
    }
    return (ssize_t)filled;
}

static bool total_size(const struct reader *parts, size_t count, uint64_t *total)
{
    *total = 0;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(*total, parts[i].size, total) || *total > INT64_MAX)
            return false;
    return true;
}

void http_reply_parts(struct http_request *request, int status, const char *type, const struct reader *parts,
                      size_t count, void (*done)(void *payload), void *payload)
{
    struct error err;
    uint64_t total;
    request->done = done;
    request->payload = payload;
    request->keeps_arena = true;
    struct parts *state = arena_alloc(&request->arena, sizeof *state);
    struct reader *copy = arena_calloc(&request->arena, count, sizeof *parts);
    if (!total_size(parts, count, &total) || !state || !copy) {
        error_set(&err, ERROR_MEMORY, "a reply of %zu parts does not fit the request's memory", count);
        http_reply_error(request, &err);
        return;
    }
    memcpy(copy, parts, count * sizeof *parts);
    *state = (struct parts){.at = copy, .end = copy + count};
    http_connection_allow(request->connection, request->connection->server->idle_seconds, total);
    http_queue(request, status, type,
               MHD_create_response_from_callback(total, total < BLOCK ? total : BLOCK, read_parts, state, NULL));
}
