// A request: its life, and what a handler asks of it.
#include "http/internal.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

void http_request_begin(struct http_request *request, struct MHD_Connection *mhd, const char *target)
{
    http_request_end(request);
    request->mhd = mhd;
    request->stage = HTTP_STAGE_LINE;
    request->target = arena_strdup(&request->arena, target);
    request->added_end = &request->added;
    buffer_init(&request->body, 0);
    request->body_fd = -1;
}

// Waking the watch thread after every request would be a system call and a switch each.
static void leave_busy(struct http_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->busy--;
    if (server->stopping)
        pthread_cond_broadcast(&server->change);
    pthread_mutex_unlock(&server->lock);
}

void http_request_end(struct http_request *request)
{
    if (request->stage == HTTP_STAGE_IDLE)
        return;
    struct http_server *server = request->connection->server;
    if (request->done)
        request->done(request->payload);
    buffer_free(&request->reply);
    buffer_free(&request->body);
    if (request->body_fd >= 0)
        close(request->body_fd);
    if (request->connection->streams_events)
        http_stream_end(request->connection);
    if (request->stage > HTTP_STAGE_LINE)
        leave_busy(server);
    struct http_connection *connection = request->connection;
    struct arena arena = request->arena;
    arena_reset(&arena);
    *request = (struct http_request){.connection = connection, .arena = arena};
}

struct arena *http_arena(struct http_request *request)
{
    return &request->arena;
}

void http_set_note(struct http_request *request, void *note)
{
    request->note = note;
}

void *http_note(const struct http_request *request)
{
    return request->note;
}

bool http_came_by_proxy(const struct http_request *request)
{
    static const char *const names[] = {"Forwarded",         "X-Forwarded-For", "X-Forwarded-Host",
                                        "X-Forwarded-Proto", "X-Real-IP",       "Via"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (http_header(request, names[i]))
            return true;
    return request->version && strcmp(request->version, "HTTP/1.0") == 0;
}

const char *http_method(const struct http_request *request)
{
    return request->method;
}

const char *http_path(const struct http_request *request)
{
    return request->path;
}

const char *http_path_part(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->part_count; i++)
        if (strcmp(request->parts[i].name, name) == 0)
            return request->parts[i].value;
    return NULL;
}

const char *http_header(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

size_t http_query_count(const struct http_request *request)
{
    return request->query_count;
}

void http_query_at(const struct http_request *request, size_t index, const char **name, const char **value)
{
    assert(index < request->query_count);
    *name = request->query[index].name;
    *value = request->query[index].value;
}

bool http_query_repeats(const struct http_request *request, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(request->query[i].name, request->query[index].name) == 0)
            return true;
    return false;
}

const char *http_query(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->query_count; i++)
        if (strcmp(request->query[i].name, name) == 0)
            return request->query[i].value;
    return NULL;
}

const char *http_address(const struct http_request *request)
{
    return request->client ? request->client : request->connection->address_text;
}

bool http_is_secure(const struct http_request *request)
{
    return request->secure;
}

int http_body_file(const struct http_request *request, uint64_t *size)
{
    *size = request->received;
    return request->body_fd;
}

const void *http_body(const struct http_request *request, size_t *size)
{
    *size = request->body.size;
    return request->body.data ? (const void *)request->body.data : "";
}
