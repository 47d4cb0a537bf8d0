// The outbox, for a person: what was told to whom and when, what waits, what is dead, and sending it again.
#include "service/internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "queue/queue.h"

enum { DELIVERIES_MAX = 500 };

static bool parse_state(const char *text, enum queue_delivery_state *out)
{
    for (int state = QUEUE_DELIVERY_WAITING; state <= QUEUE_DELIVERY_OBSOLETE; state++)
        if (strcmp(text, queue_delivery_state_text((enum queue_delivery_state)state)) == 0) {
            *out = (enum queue_delivery_state)state;
            return true;
        }
    return false;
}

static json_t *to_json(const struct queue_delivery *delivery)
{
    char created[CLOCK_RFC3339_SIZE], done[CLOCK_RFC3339_SIZE];
    bool is_done = delivery->state == QUEUE_DELIVERY_DONE;
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s?, s:s}", "id", (json_int_t)delivery->id,
                     "target", delivery->target, "kind", delivery->kind, "subject", delivery->subject, "study",
                     delivery->study, "result", delivery->result, "state", queue_delivery_state_text(delivery->state),
                     "attempts", (json_int_t)delivery->attempts, "created",
                     clock_rfc3339(created, delivery->created_ns), "delivered",
                     is_done ? clock_rfc3339(done, delivery->done_ns) : NULL, "lastError", delivery->last_error);
}

static bool list(struct service *service, struct http_request *request, enum queue_delivery_state state, json_t *out,
                 int64_t *total, struct error *err)
{
    struct queue_delivery *deliveries;
    const char *study = http_query(request, "study");
    size_t count = 0;
    int64_t of_state = 0;
    struct database *db = store_read_begin(service->store, err);
    bool ok = db &&
              queue_delivery_list(db, state, study, DELIVERIES_MAX, http_arena(request), &deliveries, &count, err) &&
              queue_delivery_total(db, state, study, &of_state, err);
    *total += of_state;
    if (db)
        store_read_end(service->store, db);
    for (size_t i = 0; ok && i < count; i++)
        json_array_append_new(out, to_json(&deliveries[i]));
    return ok;
}

void api_deliveries(void *payload, struct http_request *request)
{
    const char *wanted = http_query(request, "state");
    enum queue_delivery_state only = QUEUE_DELIVERY_WAITING;
    struct error err;
    int64_t total = 0;
    json_t *out = json_array();
    bool ok =
        !wanted || parse_state(wanted, &only) ||
        error_set(&err, ERROR_BAD_VALUE, "state is '%.20s'; give waiting, sending, done, dead or obsolete", wanted);
    for (int state = QUEUE_DELIVERY_WAITING; ok && state <= QUEUE_DELIVERY_OBSOLETE; state++)
        if (!wanted || state == (int)only)
            ok = list(payload, request, (enum queue_delivery_state)state, out, &total, &err);
    if (ok) {
        service_tell_total(request, (uint64_t)total);
        service_reply_json(request, 200, out);
        return;
    }
    json_decref(out);
    http_reply_error(request, &err);
}

static bool write_replay(struct database *db, void *payload, struct error *err)
{
    return queue_delivery_replay(db, *(const int64_t *)payload, clock_now_ns(), err);
}

void api_delivery_replay(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    int64_t id;
    const char *text = http_path_part(request, "id");
    bool ok =
        text_to_i64(text, strlen(text), &id) || error_set(&err, ERROR_NOT_FOUND, "there is no delivery '%.20s'", text);
    if (ok && store_write(service->store, STORE_DURABLE, write_replay, &id, &err))
        http_reply(request, 204, NULL, "", 0);
    else
        http_reply_error(request, &err);
}
