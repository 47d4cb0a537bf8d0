// Replies from memory, and what every reply has.
#include "http/internal.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

// Bytes that end a header or hide one have no place in a value, whoever gave it (a file name, a patient's name).
static bool value_is_clean(const char *value)
{
    for (; *value; value++)
        if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7F)
            return false;
    return true;
}

void http_set_header(struct http_request *request, const char *name, const char *value)
{
    assert(!request->replied);
    if (!value_is_clean(value)) {
        log_warning("http", "header %s dropped: its value has a control character", name);
        return;
    }
    struct http_added_header *added = arena_alloc(&request->arena, sizeof *added);
    if (added)
        *added = (struct http_added_header){
            .name = arena_strdup(&request->arena, name),
            .value = arena_strdup(&request->arena, value),
        };
    if (!added || !added->name || !added->value) {
        log_warning("http", "header %s dropped: the request's memory is used up", name);
        return;
    }
    *request->added_end = added;
    request->added_end = &added->next;
}

// What every reply has for browsers: no cache keeps patients' data, nobody guesses a type, no page elsewhere has the
// answer or this window, and no link tells where it came from.
static const char *const always[][2] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
};
static const char page_policy[] = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
                                  "form-action 'self'; frame-ancestors 'none'";

static bool is_added(const struct http_request *request, const char *name)
{
    for (const struct http_added_header *added = request->added; added; added = added->next)
        if (text_same_fold(added->name, name))
            return true;
    return false;
}

static void add_headers(const struct http_request *request, struct MHD_Response *response, const char *type)
{
    if (type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        MHD_add_response_header(response, always[i][0], always[i][1]);
    if (!is_added(request, MHD_HTTP_HEADER_CACHE_CONTROL))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (request->secure)
        MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
    if (type && text_starts(type, "text/html"))
        MHD_add_response_header(response, "Content-Security-Policy", page_policy);
    for (const struct http_added_header *added = request->added; added; added = added->next)
        MHD_add_response_header(response, added->name, added->value);
    // libmicrohttpd takes chunk lines that end in a bare line feed, and keeps the bytes to itself. Who reads such a
    // body otherwise, a proxy in front, sees another request begin elsewhere: so none is read behind a chunked body.
    if (request->close || http_header(request, "Transfer-Encoding"))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

void http_queue(struct http_request *request, int status, const char *type, struct MHD_Response *response)
{
    assert(!request->replied);
    request->replied = true;
    request->status = status;
    request->response = response;
    if (response)
        add_headers(request, response, type);
}

void http_send(struct http_request *request)
{
    if (!request->response)
        log_error("http", "a reply was dropped: out of memory");
    else if (MHD_queue_response(request->mhd, (unsigned)request->status, request->response) != MHD_YES)
        log_error("http", "a reply with status %d was not taken", request->status);
    MHD_destroy_response(request->response); // NULL is fine
    request->response = NULL;
    if (!request->keeps_arena)
        arena_free(&request->arena); // the reader may take his time
}

void http_reply_instead(struct http_request *request, const struct error *err)
{
    MHD_destroy_response(request->response);
    buffer_free(&request->reply);
    request->response = NULL;
    request->replied = false;
    http_reply_error(request, err);
}

int http_spool_open(const struct http_request *request, uint64_t bytes)
{
    const struct http_server *server = request->connection->server;
    struct error err;
    if (!server->spool || (server->can_spool && !server->can_spool(server->payload, bytes, &err)))
        return -1;
    return open(server->spool, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

void http_reply_file(struct http_request *request, int status, const char *type, int fd, uint64_t size)
{
    http_connection_allow(request->connection, request->connection->server->idle_seconds, size);
    http_queue(request, status, type, MHD_create_response_from_fd64(size, fd));
    if (!request->response)
        close(fd);
}

// Whether the reply went to a file.
static bool reply_spooled(struct http_request *request, int status, const char *type, const struct buffer *body)
{
    struct error err;
    int fd = body->size > HTTP_REPLY_MEMORY_MAX ? http_spool_open(request, body->size) : -1;
    if (fd < 0)
        return false;
    if (file_write_fd(fd, body->data, body->size, &err)) {
        http_reply_file(request, status, type, fd, body->size);
        return true;
    }
    close(fd);
    return false;
}

// Takes the bytes.
static void reply_memory(struct http_request *request, int status, const char *type, struct buffer *body)
{
    if (reply_spooled(request, status, type, body)) {
        buffer_free(body);
        return;
    }
    request->reply = *body;
    buffer_init(body, 0);
    http_connection_allow(request->connection, request->connection->server->idle_seconds, request->reply.size);
    http_queue(request, status, type,
               MHD_create_response_from_buffer(request->reply.size, request->reply.data, MHD_RESPMEM_PERSISTENT));
}

void http_reply(struct http_request *request, int status, const char *type, const void *body, size_t size)
{
    struct buffer copy;
    buffer_init(&copy, size);
    buffer_append(&copy, body, size);
    http_reply_buffer(request, status, type, &copy);
}

void http_reply_buffer(struct http_request *request, int status, const char *type, struct buffer *body)
{
    struct error err;
    if (buffer_check(body, "the reply", &err)) {
        reply_memory(request, status, type, body);
        return;
    }
    buffer_free(body);
    if (err.code != ERROR_BUSY)
        err.code = ERROR_INTERNAL;
    http_reply_error(request, &err);
}

static void reply_problem(struct http_request *request, int status, const char *title, const char *detail)
{
    struct buffer json;
    buffer_init(&json, 8 * ERROR_MESSAGE_SIZE);
    buffer_text(&json, "{\"title\":");
    buffer_json_string(&json, title, strlen(title));
    buffer_printf(&json, ",\"status\":%d,\"detail\":", status);
    buffer_json_string(&json, detail, strlen(detail));
    buffer_text(&json, "}\n");
    char seconds[12];
    snprintf(seconds, sizeof seconds, "%d", HTTP_RETRY_SECONDS);
    if (status == MHD_HTTP_SERVICE_UNAVAILABLE)
        http_set_header(request, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
    reply_memory(request, status, "application/problem+json", &json);
}

void http_reply_status(struct http_request *request, int status, const struct error *err)
{
    if (budget_was_refused()) { // what could not be made for that says so, whatever it takes for the reason; it is
                                // logged
        budget_for_peer(false); // this answer is small, and has to be given
        reply_problem(request, MHD_HTTP_SERVICE_UNAVAILABLE, error_text(ERROR_BUSY), BUDGET_USED_UP);
        return;
    }
    if (status >= MHD_HTTP_INTERNAL_SERVER_ERROR)
        log_error("http", "%s answered with %d: %s", request->method, status, err->message);
    reply_problem(request, status, error_text(err->code), err->message);
}

void http_reply_error(struct http_request *request, const struct error *err)
{
    http_reply_status(request, error_http(err->code), err);
}

void http_reply_refusal(struct http_request *request)
{
    budget_for_peer(false); // this answer is small, and has to be given
    reply_problem(request, request->refused, MHD_get_reason_phrase_for((unsigned)request->refused),
                  request->refusal.message);
}
