// The outbox, for a person: what was told to whom and when, what waits, what is dead, and sending it again.
#include "service/internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "queue/queue.h"

enum { DELIVERIES_MAX = 500 };

static bool parse_state(const char *text, enum queue_delivery_state *out)
{
    for (int state = QUEUE_DELIVERY_WAITING; state < QUEUE_DELIVERY_STATES; state++)
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

static bool list(struct service *service, struct http_request *request, const struct queue_delivery_filter *filter,
                 json_t *out, int64_t *total, struct error *err)
{
    struct queue_delivery *deliveries;
    size_t count = 0;
    int64_t of_state = 0;
    struct database *db = store_read_begin(service->store, err);
    bool ok = db &&
              queue_delivery_list(db, service_scope(request), filter, DELIVERIES_MAX, http_arena(request), &deliveries,
                                  &count, err) &&
              queue_delivery_total(db, service_scope(request), filter, &of_state, err);
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
    bool ok = !wanted || parse_state(wanted, &only) ||
              error_set(&err, ERROR_BAD_VALUE,
                        "state is '%.20s'; give waiting, sending, done, dead, obsolete or given up", wanted);
    for (int state = QUEUE_DELIVERY_WAITING; ok && state < QUEUE_DELIVERY_STATES; state++) {
        const struct queue_delivery_filter filter = {(enum queue_delivery_state)state, http_query(request, "study"),
                                                     http_query(request, "kind"), http_query(request, "target")};
        if (!wanted || state == (int)only)
            ok = list(payload, request, &filter, out, &total, &err);
    }
    if (ok) {
        service_tell_total(request, (uint64_t)total);
        service_reply_json(request, 200, out);
        return;
    }
    json_decref(out);
    http_reply_error(request, &err);
}

// ---- a person's word, of one or of all of a target

struct word {
    struct access_scope scope; // of who says so
    bool give_up;
    int64_t id;                // of one
    const char *kind, *target; // of all of a target; NULL: of one
    const char *why;
    int64_t count; // out
};

static bool write_word(struct database *db, void *payload, struct error *err)
{
    struct word *word = payload;
    int64_t now_ns = clock_now_ns();
    word->count = 1;
    if (!word->target)
        return word->give_up ? queue_delivery_give_up(db, word->scope, word->id, word->why, err)
                             : queue_delivery_replay(db, word->scope, word->id, now_ns, err);
    return word->give_up
               ? queue_delivery_give_up_target(db, word->scope, word->kind, word->target, word->why, &word->count, err)
               : queue_delivery_replay_target(db, word->scope, word->kind, word->target, now_ns, &word->count, err);
}

// Who gives up says why: both are kept with what is not sent.
static bool read_why(struct http_request *request, const json_t *body, struct word *word, struct error *err)
{
    const char *by = service_by(request, body, err);
    const char *reason = by ? service_member(body, "reason", err) : NULL;
    word->why = reason ? arena_printf(http_arena(request), "given up by %s: %s", by, reason) : NULL;
    return word->why || (reason && error_set(err, ERROR_MEMORY, "no memory for the reason"));
}

static bool read_target(const json_t *body, struct word *word, struct error *err)
{
    word->kind = service_member(body, "kind", err);
    word->target = word->kind ? service_member(body, "target", err) : NULL;
    if (!word->target)
        return false;
    return strcmp(word->kind, "dicom") == 0 || strcmp(word->kind, "hl7") == 0 ||
           error_set(err, ERROR_BAD_VALUE, "kind is '%.20s'; give dicom or hl7", word->kind);
}

static bool read_id(struct http_request *request, struct word *word, struct error *err)
{
    const char *text = http_path_part(request, "id");
    return text_to_i64(text, strlen(text), &word->id) ||
           error_set(err, ERROR_NOT_FOUND, "there is no delivery '%.20s'", text);
}

static void answer(struct service *service, struct http_request *request, struct word *word, bool ok, struct error *err)
{
    ok = ok && store_write(service->store, STORE_DURABLE, write_word, word, err);
    if (word->target)
        service_about(request, &(struct service_about){
                                   .detail = arena_printf(http_arena(request), "%s: %s target %s, %lld deliveries%s%s",
                                                          http_path(request), word->kind, word->target,
                                                          (long long)(ok ? word->count : 0), word->why ? ", " : "",
                                                          word->why ? word->why : "")});
    if (!ok)
        http_reply_error(request, err);
    else if (word->target)
        service_reply_json(request, 200, json_pack("{s:I}", "count", (json_int_t)word->count));
    else
        http_reply(request, 204, NULL, "", 0);
}

void api_delivery_replay(void *payload, struct http_request *request)
{
    struct word word = {.scope = service_scope(request), .give_up = false};
    struct error err;
    bool ok = read_id(request, &word, &err);
    answer(payload, request, &word, ok, &err);
}

void api_delivery_give_up(void *payload, struct http_request *request)
{
    struct word word = {.scope = service_scope(request), .give_up = true};
    struct error err;
    json_t *body = service_read_json(request, "by reason", &err);
    bool ok = body && read_id(request, &word, &err) && read_why(request, body, &word, &err);
    answer(payload, request, &word, ok, &err);
    json_decref(body);
}

void api_deliveries_replay(void *payload, struct http_request *request)
{
    struct word word = {.scope = service_scope(request), .give_up = false};
    struct error err;
    json_t *body = service_read_json(request, "kind target", &err);
    bool ok = body && read_target(body, &word, &err);
    answer(payload, request, &word, ok, &err);
    json_decref(body);
}

void api_deliveries_give_up(void *payload, struct http_request *request)
{
    struct word word = {.scope = service_scope(request), .give_up = true};
    struct error err;
    json_t *body = service_read_json(request, "kind target by reason", &err);
    bool ok = body && read_target(body, &word, &err) && read_why(request, body, &word, &err);
    answer(payload, request, &word, ok, &err);
    json_decref(body);
}
