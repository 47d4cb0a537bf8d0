// The reading list: its order, its consumer of events, and what is marked read. reading_sql.c has the rows.
#include "reading/reading.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "queue/queue.h"
#include "reading/rows.h"

enum { EVENTS_AT_ONCE = 256, STEP_ARENA = 16 << 20 };

// ---- order

static int class_of(const struct reading_item *item)
{
    return item->capped ? (int)FINDING_STAT : (int)item->urgency;
}

// Equal waits are told apart by the UID, so that the order is always the same.
static int compare(const void *left, const void *right)
{
    const struct reading_item *a = left, *b = right;
    if (class_of(a) != class_of(b))
        return class_of(b) - class_of(a);
    if (a->arrived_ns != b->arrived_ns)
        return a->arrived_ns < b->arrived_ns ? -1 : 1;
    return strcmp(a->study, b->study);
}

bool reading_order(struct reading_item *items, size_t count, int64_t now_ns, int64_t cap_ns, struct arena *arena,
                   struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct reading_item *item = &items[i];
        item->waiting_ns = now_ns > item->arrived_ns ? now_ns - item->arrived_ns : 0;
        item->capped = item->waiting_ns >= cap_ns && item->urgency != FINDING_STAT;
        if (!item->capped)
            continue;
        item->reason = arena_printf(arena, "waited %lld min: past the cap of %lld%s%s",
                                    (long long)(item->waiting_ns / (60 * CLOCK_SECOND)),
                                    (long long)(cap_ns / (60 * CLOCK_SECOND)), *item->reason ? "; " : "", item->reason);
        if (!item->reason)
            return error_set(err, ERROR_LIMIT, "no memory for the reading list");
    }
    if (count > 0)
        qsort(items, count, sizeof *items, compare);
    return true;
}

// ---- the list

bool reading_list(struct store *store, int64_t now_ns, int64_t cap_ns, struct arena *arena, struct reading_item **out,
                  size_t *count, struct error *err)
{
    *count = 0;
    *out = arena_calloc(arena, READING_LIST_MAX, sizeof **out);
    struct database *db = *out ? store_read_begin(store, err) : NULL;
    if (!*out)
        return error_set(err, ERROR_LIMIT, "no memory for the reading list");
    bool ok = db && reading_rows(db, arena, *out, count, err);
    if (db)
        store_read_end(store, db);
    return ok && reading_order(*out, *count, now_ns, cap_ns, arena, err);
}

static json_t *flags_to_json(const struct reading_item *item)
{
    const char *const sentences[] = {item->identity, item->conflicts,  item->held_back,
                                     item->rejected, item->unreadable, item->shared_series};
    json_t *flags = json_array();
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++)
        if (*sentences[i])
            json_array_append_new(flags, json_string(sentences[i]));
    return flags;
}

json_t *reading_item_to_json(const struct reading_item *item)
{
    char arrived[CLOCK_RFC3339_SIZE];
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:I, s:o}", "study", item->study, "patientId",
        item->patient_id, "patientName", item->patient_name, "accession", item->accession, "modality", item->modality,
        "description", item->description, "urgency", finding_urgency_text(item->urgency), "reason", item->reason,
        "arrived", clock_rfc3339(arrived, item->arrived_ns), "waiting_s", (json_int_t)(item->waiting_ns / CLOCK_SECOND),
        "capped", item->capped, "findings", (json_int_t)item->findings, "flags", flags_to_json(item));
}

// ---- the consumer

struct reading {
    struct store *store;
    struct queue_consumer *consumer;
    struct arena arena;
    pthread_t thread;
    bool thread_runs;
    _Atomic bool stopping;
};

struct change {
    struct reading *reading;
    const struct store_event *events;
    size_t count;
};

static bool tell(struct database *db, const char *study, struct error *err)
{
    return store_event_add(db, STORE_EVENT_WORKLIST_CHANGED, study, "", NULL, err);
}

// An image puts its study on the list, and brings one back that was read: nobody has read it. What our own jobs store,
// presentation states, key objects and reports are no images.
static bool on_stored(struct reading *reading, struct database *db, const struct store_event *event, struct error *err)
{
    struct store_event_detail detail;
    bool changed;
    if (!store_event_detail(event, &reading->arena, &detail, err))
        return false;
    if (!detail.is_image || strcmp(detail.how, "job") == 0)
        return true;
    return reading_row_arrived(db, event->study, event->time_ns, &changed, err) &&
           (!changed || tell(db, event->study, err));
}

// What a person has taken is as good as new; what a source's policy has served has the pixels that were there.
static bool on_served(struct reading *reading, struct database *db, const struct store_event *event, struct error *err)
{
    struct store_event_detail detail;
    if (!store_event_detail(event, &reading->arena, &detail, err))
        return false;
    return strcmp(detail.how, "taken") == 0 ? on_stored(reading, db, event, err) : tell(db, event->study, err);
}

// What waits for a decision is seen by nobody while its study is off the list; nor is what is held back of a study of
// which nothing else came.
static bool on_kept_beside(struct reading *reading, struct database *db, const struct store_event *event,
                           struct error *err)
{
    struct store_event_detail detail;
    if (!store_event_detail(event, &reading->arena, &detail, err))
        return false;
    if (strcmp(detail.how, "kept") == 0) // a person has just looked
        return tell(db, event->study, err);
    return (!detail.is_image || reading_row_held_back(db, event->study, event->time_ns, err)) &&
           reading_row_doubted(db, event->study, event->time_ns, err) && tell(db, event->study, err);
}

// The most urgent of what is present and not rejected gives urgency and reason.
static bool on_finding(struct reading *reading, struct database *db, const struct store_event *event, struct error *err)
{
    const char *study = event->study;
    struct finding *findings;
    const struct finding *worst = NULL;
    size_t count = 0, present = 0;
    bool unseen = false;
    if (!finding_list(db, study, false, &reading->arena, &findings, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (findings[i].state == FINDING_REJECTED)
            continue;
        present++;
        unseen = unseen || findings[i].state != FINDING_ACCEPTED;
        if (!worst || findings[i].urgency > worst->urgency ||
            (findings[i].urgency == worst->urgency && findings[i].volume_ml > worst->volume_ml))
            worst = &findings[i];
    }
    const char *reason = worst ? finding_sentence(worst, &reading->arena) : "";
    if (!reason)
        return error_set(err, ERROR_LIMIT, "no memory for a reason");
    // What a model found after the study was read has been seen by nobody.
    bool news = unseen && event->kind == STORE_EVENT_RESULT_CHANGED;
    return reading_row_found(db, study, worst ? worst->urgency : FINDING_ROUTINE, reason, (int64_t)present, err) &&
           (!news || reading_row_back(db, study, event->time_ns, err)) && tell(db, study, err);
}

static bool write_change(struct database *db, void *payload, struct error *err)
{
    struct change *change = payload;
    for (size_t i = 0; i < change->count; i++) {
        const struct store_event *event = &change->events[i];
        bool ok = true;
        if (event->kind == STORE_EVENT_OBJECT_STORED)
            ok = on_stored(change->reading, db, event, err);
        else if (event->kind == STORE_EVENT_OBJECT_SERVED)
            ok = on_served(change->reading, db, event, err);
        else if (event->kind == STORE_EVENT_OBJECT_KEPT_BESIDE)
            ok = on_kept_beside(change->reading, db, event, err);
        else if (event->kind == STORE_EVENT_RESULT_CHANGED || event->kind == STORE_EVENT_FINDING_JUDGED)
            ok = on_finding(change->reading, db, event, err);
        if (!ok)
            return false;
    }
    return queue_consumer_advance(db, change->reading->consumer, change->events[change->count - 1].number, err);
}

bool reading_step(struct reading *reading, int64_t now_ns, bool *worked, struct error *err)
{
    struct change change = {.reading = reading};
    struct store_event *events;
    (void)now_ns; // arrivals are the events' own times
    *worked = false;
    arena_reset(&reading->arena);
    if (!queue_consumer_next(reading->consumer, 0, EVENTS_AT_ONCE, &reading->arena, &events, &change.count, err))
        return false;
    if (change.count == 0)
        return true;
    change.events = events;
    if (!store_write(reading->store, STORE_REPLAYABLE, write_change, &change, err))
        return false;
    queue_consumer_advanced(reading->consumer, events[change.count - 1].number);
    *worked = true;
    return true;
}

static void *run(void *payload)
{
    struct reading *reading = payload;
    while (!reading->stopping) {
        struct error err;
        bool worked = false;
        bool ok = reading_step(reading, clock_now_ns(), &worked, &err);
        queue_consumer_stepped(reading->consumer, ok ? NULL : &err, clock_monotonic_ns());
        if (!ok)
            clock_sleep_ns(CLOCK_SECOND);
        if (!worked)
            store_event_wait(reading->store, queue_consumer_cursor(reading->consumer), CLOCK_SECOND);
    }
    return NULL;
}

struct reading *reading_start(struct store *store, bool thread, struct error *err)
{
    struct reading *reading = calloc(1, sizeof *reading);
    if (!reading) {
        error_set(err, ERROR_MEMORY, "no memory for the reading list");
        return NULL;
    }
    reading->store = store;
    arena_init(&reading->arena, STEP_ARENA);
    reading->consumer = queue_consumer_open(store, "reading", false, err);
    int number = reading->consumer && thread ? pthread_create(&reading->thread, NULL, run, reading) : 0;
    reading->thread_runs = reading->consumer && thread && number == 0;
    if (reading->consumer && number == 0)
        return reading;
    if (number != 0)
        error_errno(err, number, "cannot start the reading list's thread");
    reading_stop(reading);
    return NULL;
}

void reading_stop(struct reading *reading)
{
    if (!reading)
        return;
    reading->stopping = true;
    store_event_wake(reading->store);
    if (reading->thread_runs)
        pthread_join(reading->thread, NULL);
    queue_consumer_close(reading->consumer);
    arena_free(&reading->arena);
    free(reading);
}

// ---- read

struct mark {
    const char *study, *by;
    int64_t now_ns;
};

static bool write_mark(struct database *db, void *payload, struct error *err)
{
    const struct mark *mark = payload;
    bool found;
    if (!reading_row_read(db, mark->study, mark->by, mark->now_ns, &found, err))
        return false;
    if (!found)
        return error_set(err, ERROR_NOT_FOUND, "study %.64s is not on the list", mark->study);
    return tell(db, mark->study, err);
}

bool reading_mark_read(struct store *store, const char *study, const char *by, int64_t now_ns, struct error *err)
{
    struct mark mark = {study, by, now_ns};
    return store_write(store, STORE_DURABLE, write_mark, &mark, err);
}
