// GET /api/events: the log as server-sent events or by WebSocket, ids "EPOCH-NUMBER". A reader comes back with
// Last-Event-ID, or by WebSocket, where a page can set no header, with ?after=, and misses nothing; an id of another
// epoch, or past the end, is answered with a `reset` event: read the present state anew (docs/store-format.md, E2). So
// is a reader that is behind what the log still holds.
#include "service/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "store/event.h"

enum { EVENTS_AT_ONCE = 100, STREAM_ARENA = 4 << 20, ID_SIZE = 48 };

struct stream {
    struct store *store;
    struct service *service;
    struct service_login login;
    int64_t look_ns;           // monotonic: when it is asked again whether that counts
    struct access_scope scope; // of who listens
    uint64_t after;
    bool reset; // to be told first
    bool fresh; // came without an id: gets the one of now, so that it misses nothing should it break off before the
                // first event
    struct arena arena;
};

static const char *id_of(const struct stream *stream, uint64_t number, char out[ID_SIZE])
{
    snprintf(out, ID_SIZE, "%" PRIu64 "-%" PRIu64, store_event_epoch(stream->store), number);
    return out;
}

static void write_event(const struct stream *stream, const struct store_event *event, struct http_events *out)
{
    char id[ID_SIZE];
    struct buffer *data = http_event_begin(out, id_of(stream, event->number, id), store_event_name(event->kind));
    buffer_text(data, "{\"study\":");
    buffer_json_string(data, event->study, strlen(event->study));
    buffer_text(data, ",\"subject\":");
    buffer_json_string(data, event->subject, strlen(event->subject));
    buffer_byte(data, '}');
    http_event_end(out);
}

static void write_reset(const struct stream *stream, struct http_events *out)
{
    char id[ID_SIZE];
    buffer_text(http_event_begin(out, id_of(stream, stream->after, id), "reset"), "{}");
    http_event_end(out);
}

// Once a second: a stream goes no longer than the login that it was opened with.
static bool may_go_on(struct stream *stream)
{
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns < stream->look_ns)
        return true;
    stream->look_ns = now_ns + CLOCK_SECOND;
    return service_is_still(stream->service, &stream->login);
}

// Which events are told: those of studies that the listener sees, and what names no study. A delivery of a program
// before this one names none and is of one.
static bool mark_seen(const struct stream *stream, struct database *db, const struct store_event *events, size_t count,
                      bool *seen, struct error *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        seen[i] = stream->scope.hidden == 0 || (!*events[i].study && events[i].kind != STORE_EVENT_DELIVERY_DONE);
        ok = seen[i] || !*events[i].study || access_sees(db, stream->scope, events[i].study, &seen[i], err);
    }
    return ok;
}

static bool next(void *payload, int64_t timeout_ns, struct http_events *out)
{
    char id[ID_SIZE];
    struct stream *stream = payload;
    if (!may_go_on(stream))
        return false;
    struct store_event *events;
    struct error err;
    size_t count = 0;
    if (stream->reset) {
        stream->reset = false;
        write_reset(stream, out);
        return true;
    }
    if (stream->fresh) { // an id alone is no event to the reader, but it is kept and sent back
        stream->fresh = false;
        http_event_begin(out, id_of(stream, stream->after, id), NULL);
        http_event_end(out);
        return true;
    }
    if (!store_event_wait(stream->store, stream->after, timeout_ns))
        return true;
    arena_reset(&stream->arena);
    uint64_t last = store_event_last(stream->store);
    struct database *db = store_read_begin(stream->store, &err);
    bool seen[EVENTS_AT_ONCE];
    bool ok = db && store_event_read(db, stream->after, EVENTS_AT_ONCE, &stream->arena, &events, &count, &err) &&
              mark_seen(stream, db, events, count, seen, &err);
    if (db)
        store_read_end(stream->store, db);
    // Numbers have no gaps, so what is missing in front was dropped.
    if (ok && (count == 0 || events[0].number != stream->after + 1)) {
        stream->after = last;
        write_reset(stream, out);
        return true;
    }
    for (size_t i = 0; ok && i < count; i++) {
        if (seen[i])
            write_event(stream, &events[i], out);
        stream->after = events[i].number;
    }
    return ok;
}

static void end(void *payload)
{
    struct stream *stream = payload;
    arena_free(&stream->arena);
    free(stream);
}

// Without an id the stream begins now.
static void place(struct stream *stream, const char *id)
{
    uint64_t epoch, number, last = store_event_last(stream->store);
    const char *dash = id ? strchr(id, '-') : NULL;
    stream->after = last;
    stream->fresh = !id;
    if (!id)
        return;
    bool known = dash && text_to_u64(id, (size_t)(dash - id), &epoch) &&
                 text_to_u64(dash + 1, strlen(dash + 1), &number) && epoch == store_event_epoch(stream->store) &&
                 number <= last;
    if (known)
        stream->after = number;
    stream->reset = !known;
}

void api_events(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct stream *stream = calloc(1, sizeof *stream);
    struct error err;
    if (!stream) {
        error_set(&err, ERROR_MEMORY, "no memory for an event stream");
        http_reply_error(request, &err);
        return;
    }
    stream->store = service->store;
    stream->service = service;
    stream->login = *service_login(request);
    stream->scope = service_scope(request);
    arena_init(&stream->arena, STREAM_ARENA);
    const char *after = http_query(request, "after");
    place(stream, after ? after : http_header(request, "Last-Event-ID"));
    http_reply_events(request, next, end, stream);
}
