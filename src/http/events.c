// Streams of events: replies without an end, made on the connection's thread. This file has what is said, and
// server-sent events; upgrade.c carries the same by WebSocket.
#include "http/internal.h"

#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static const int64_t slice_ns = 250 * CLOCK_MS;
static const int64_t silence_ns = 15 * CLOCK_SECOND;

enum { BLOCK = 8 << 10 };

static bool peer_left(const struct http_connection *connection)
{
    struct pollfd poll_fd = {.fd = connection->fd, .events = POLLRDHUP};
    return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

// Fills `out`, or sets `over`.
static void wait_for_event(struct http_events *events)
{
    buffer_clear(&events->out);
    events->sent = 0;
    while (events->out.size == 0 && !events->over) {
        if (events->connection->server->stopping || peer_left(events->connection)) {
            events->over = true;
            return;
        }
        if (!events->next(events->payload, slice_ns, events))
            events->over = true;
        else if (events->out.size == 0 && clock_monotonic_ns() - events->last_ns >= silence_ns)
            buffer_text(&events->out, ":\n\n");
    }
}

static ssize_t read_events(void *payload, uint64_t position, char *to, size_t room)
{
    (void)position;
    struct http_events *events = payload;
    if (events->sent == events->out.size && !events->over)
        wait_for_event(events);
    if (events->out.failed) {
        log_error("http", "an event stream was cut: events past %d bytes at once", HTTP_EVENTS_BUFFER);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t left = events->out.size - events->sent;
    if (left == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    size_t size = left < room ? left : room;
    memcpy(to, events->out.data + events->sent, size);
    events->sent += size;
    events->last_ns = clock_monotonic_ns();
    return (ssize_t)size;
}

static void end_events(void *payload)
{
    struct http_events *events = payload;
    buffer_free(&events->out);
    buffer_free(&events->event);
    if (events->done)
        events->done(events->payload);
}

bool http_stream_begin(struct http_connection *connection, struct error *err)
{
    struct http_server *server = connection->server;
    size_t all = 0, same = 0;
    pthread_mutex_lock(&server->lock);
    for (const struct http_connection *c = server->first; c; c = c->next) {
        all += c->streams_events;
        same += c->streams_events && memcmp(&c->address, &connection->address, sizeof c->address) == 0;
    }
    bool is_crowded = same >= HTTP_EVENT_STREAMS_PER_ADDRESS_MAX && !http_is_loopback(&connection->address);
    connection->streams_events = all < HTTP_EVENT_STREAMS_MAX && !is_crowded;
    pthread_mutex_unlock(&server->lock);
    if (all >= HTTP_EVENT_STREAMS_MAX)
        return error_set(err, ERROR_BUSY, "%zu event streams are open, which are the most at once", all);
    return !is_crowded || error_set(err, ERROR_BUSY, "%zu event streams of %s are open, the most of one address", same,
                                    connection->address_text);
}

void http_stream_end(struct http_connection *connection)
{
    pthread_mutex_lock(&connection->server->lock);
    connection->streams_events = false;
    pthread_mutex_unlock(&connection->server->lock);
}

// Kept open it would hold a connection that others need.
static void refuse_stream(struct http_request *request, void (*done)(void *payload), void *payload,
                          const struct error *err)
{
    if (done)
        done(payload);
    request->close = true;
    http_reply_error(request, err);
}

// ---- what is said

struct buffer *http_event_begin(struct http_events *events, const char *id, const char *name)
{
    events->is_named = name != NULL;
    if (!events->is_websocket) {
        buffer_printf(&events->out, "id: %s\n", id);
        if (name)
            buffer_printf(&events->out, "event: %s\ndata: ", name);
        return &events->out;
    }
    buffer_clear(&events->event);
    buffer_text(&events->event, "{\"id\":");
    buffer_json_string(&events->event, id, strlen(id));
    if (name) {
        buffer_text(&events->event, ",\"event\":");
        buffer_json_string(&events->event, name, strlen(name));
        buffer_text(&events->event, ",\"data\":");
    }
    return &events->event;
}

void http_event_end(struct http_events *events)
{
    if (!events->is_websocket) {
        buffer_text(&events->out, events->is_named ? "\n\n" : "\n");
        return;
    }
    buffer_byte(&events->event, '}');
    events->out.failed |= events->event.failed;
    websocket_write(&events->out, WEBSOCKET_TEXT, events->event.data, events->event.size, NULL);
}

void http_reply_events(struct http_request *request, http_events_fn *next, void (*done)(void *payload), void *payload)
{
    struct http_connection *connection = request->connection;
    struct http_events *events = arena_alloc(&request->arena, sizeof *events);
    struct error err;
    if ((!events && !error_set(&err, ERROR_MEMORY, "no memory for an event stream")) ||
        !http_stream_begin(connection, &err)) {
        refuse_stream(request, done, payload, &err);
        return;
    }
    *events = (struct http_events){.connection = connection,
                                   .next = next,
                                   .payload = payload,
                                   .is_websocket = strcmp(request->route->method, HTTP_WEBSOCKET) == 0,
                                   .last_ns = clock_monotonic_ns(),
                                   .done = done};
    buffer_init(&events->out, HTTP_EVENTS_BUFFER);
    buffer_init(&events->event, HTTP_EVENTS_BUFFER);
    request->keeps_arena = true;
    request->done = end_events;
    request->payload = events;
    connection->deadline_ns = 0;
    if (events->is_websocket) {
        http_upgrade(request, events);
        return;
    }
    buffer_text(&events->out, ":\n\n"); // so that the headers leave now, not with the first event
    http_set_header(request, "Cache-Control", "no-store");
    http_queue(request, MHD_HTTP_OK, "text/event-stream",
               MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_events, events, NULL));
}
