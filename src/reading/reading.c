// The reading list: its order, its consumer of events, and what is marked read. reading_sql.c has the rows.
//
// What has to be seen: it brings a study that was read back, and raises the version of one that is on the list.
//
//   EVENT                 OF WHAT                                                       BY
//   object.stored         an image that no job of ours has made                         on_stored
//   object.served         an image that a person has taken for another                  on_served
//   object.kept_beside    what waits for a decision, or is held back                    on_kept_beside
//   event.passed_over     what happened to the study could not be followed              on_passed_over
//   result.changed made   a positive with findings that nobody has judged               is_news
//   result.changed ended  a positive: what was found stands no more                     is_taken_back
//   result.changed ended  a negative of the images that are there, when no answer is    is_taken_back
//                         in its place: that nothing was found stands no more
//
// Nothing else does: a negative, a failed look and one that was not analysed find nothing and are told beside the
// study; "changed" (told, a new SR of it, "of earlier images") is what was seen already, whichever result it is of; a
// judgement is a person's, who has just looked.
#include "reading/reading.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "queue/queue.h"
#include "reading/rows.h"

enum { EVENTS_AT_ONCE = 256, STEP_ARENA = 16 << 20 };

// ---- order
//
//   PLACE     WHO
//   stat      a stat finding; or waited past the cap, which nobody does who was imported
//   urgent    an urgent finding; or what happened to it could not be followed: it may be anything
//   routine   all else that somebody sent
//   imported  likewise, but it was imported or rebuilt: nobody waits for it
//
// Within a place by arrival. The rows come in nearly the same order (reading_sql.c): past the limit of the list it is
// the latest of the least urgent that are left out, imported ones first.

enum place { PLACE_IMPORTED, PLACE_ROUTINE, PLACE_URGENT, PLACE_STAT };

static enum place place_of(const struct reading_item *item)
{
    if (item->urgency == FINDING_STAT || item->capped)
        return PLACE_STAT;
    if (item->urgency == FINDING_URGENT || *item->passed_over)
        return PLACE_URGENT;
    return item->imported ? PLACE_IMPORTED : PLACE_ROUTINE;
}

// By the log's number; those of a program before this one have none and came first. Equal ones are told apart by the
// UID, so that the order is always the same.
static int compare(const void *left, const void *right)
{
    const struct reading_item *a = left, *b = right;
    if (place_of(a) != place_of(b))
        return (int)place_of(b) - (int)place_of(a);
    if (a->arrived_event != b->arrived_event)
        return a->arrived_event < b->arrived_event ? -1 : 1;
    if (a->arrived_ns != b->arrived_ns)
        return a->arrived_ns < b->arrived_ns ? -1 : 1;
    return strcmp(a->study, b->study);
}

// Why it stands there, before what was found; *why "" where that says it.
static bool say_place(struct reading_item *item, int64_t cap_ns, struct arena *arena, struct error *err)
{
    const char *why = item->reason;
    if (item->capped)
        why = arena_printf(arena, "waited %lld min: past the cap of %lld%s%s",
                           (long long)(item->waiting_ns / (60 * CLOCK_SECOND)),
                           (long long)(cap_ns / (60 * CLOCK_SECOND)), *item->reason ? "; " : "", item->reason);
    else if (place_of(item) == PLACE_IMPORTED)
        why = arena_printf(arena, "imported or rebuilt: after all that was sent%s%s", *item->reason ? "; " : "",
                           item->reason);
    if (!why)
        return error_set(err, ERROR_LIMIT, "no memory for the reading list");
    item->reason = why;
    return true;
}

bool reading_order(struct reading_item *items, size_t count, int64_t now_ns, int64_t cap_ns, struct arena *arena,
                   struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct reading_item *item = &items[i];
        item->waiting_ns = now_ns > item->arrived_ns ? now_ns - item->arrived_ns : 0;
        item->capped = item->waiting_ns >= cap_ns && item->urgency != FINDING_STAT && !item->imported;
        if (!say_place(item, cap_ns, arena, err))
            return false;
    }
    if (count > 0)
        qsort(items, count, sizeof *items, compare);
    return true;
}

// ---- the list

bool reading_list(struct store *store, struct access_scope scope, const char *study, int64_t now_ns, int64_t cap_ns,
                  struct arena *arena, struct reading_item **out, size_t *count, int64_t *total, struct error *err)
{
    *count = 0;
    *total = 0;
    *out = arena_calloc(arena, READING_LIST_MAX, sizeof **out);
    struct database *db = *out ? store_read_begin(store, err) : NULL;
    if (!*out)
        return error_set(err, ERROR_LIMIT, "no memory for the reading list");
    bool ok = db && reading_rows(db, scope, study, arena, *out, count, err);
    bool whole = *count < READING_LIST_MAX;
    *total = (int64_t)*count;
    ok = ok && (whole || reading_rows_open(db, scope, total, err));
    store_read_end(store, db);
    return ok && reading_order(*out, *count, now_ns, cap_ns, arena, err);
}

bool reading_tally(struct store *store, struct reading_tally *out, struct error *err)
{
    *out = (struct reading_tally){0};
    struct database *db = store_read_begin(store, err);
    bool ok = db && reading_rows_tally(db, out, err);
    if (ok && out->open > READING_LIST_MAX) // those too that are of no images any more
        ok = reading_rows_open(db, ACCESS_ALL, &out->open, err);
    store_read_end(store, db);
    return ok;
}

static json_t *flags_to_json(const struct reading_item *item)
{
    const char *const sentences[] = {item->passed_over, item->identity,   item->conflicts,     item->held_back,
                                     item->rejected,    item->unreadable, item->shared_series, item->unidentified};
    json_t *flags = json_array();
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++)
        if (*sentences[i])
            json_array_append_new(flags, json_string(sentences[i]));
    return flags;
}

json_t *reading_item_to_json(const struct reading_item *item)
{
    char arrived[CLOCK_RFC3339_SIZE];
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:b, s:b, s:I, s:o}", "study",
                     item->study, "patientId", item->patient_id, "issuer", item->issuer, "patientName",
                     item->patient_name, "accession", item->accession, "modality", item->modality, "description",
                     item->description, "studyDate", item->date, "urgency", finding_urgency_text(item->urgency),
                     "reason", item->reason, "version", (json_int_t)item->version, "arrived",
                     clock_rfc3339(arrived, item->arrived_ns), "waiting_s",
                     (json_int_t)(item->waiting_ns / CLOCK_SECOND), "capped", item->capped, "imported", item->imported,
                     "findings", (json_int_t)item->findings, "flags", flags_to_json(item));
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
    bool imported = strcmp(detail.how, "import") == 0 || strcmp(detail.how, "rebuild") == 0;
    return reading_row_arrived(db, event, imported, &changed, err) && (!changed || tell(db, event->study, err));
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
    bool doubted;
    if (!store_event_detail(event, &reading->arena, &detail, err))
        return false;
    if (strcmp(detail.how, "kept") == 0) // a person has just looked
        return tell(db, event->study, err);
    return (!detail.is_image || reading_row_held_back(db, event, err)) &&
           reading_row_is_doubted(db, event->study, &doubted, err) &&
           (!doubted || reading_row_back(db, event, READING_DOUBT, err)) && tell(db, event->study, err);
}

// Whether an answer is in the ended one's place.
static bool is_answered(struct reading *reading, struct database *db, const struct finding_result *ended, bool *out,
                        struct error *err)
{
    struct finding_result *now;
    size_t count;
    *out = false;
    if (!finding_result_current(db, ended->study, ended->series, ended->model, &reading->arena, &now, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        *out = *out || finding_is_answer(now[i].outcome);
    return true;
}

// What a reader may have relied on stands no more.
static bool is_taken_back(struct reading *reading, struct database *db, const struct store_event *event, bool *news,
                          const char **reason, struct error *err)
{
    struct finding_result *ended;
    bool answered;
    if (!finding_result_get(db, event->subject, &reading->arena, &ended, err))
        return false;
    if (!ended || !finding_is_answer(ended->outcome))
        return true;
    if (!is_answered(reading, db, ended, &answered, err))
        return false;
    *news = ended->outcome == FINDING_POSITIVE || (!ended->is_earlier && !answered);
    if (*news)
        *reason = arena_printf(&reading->arena, "%s %s: %s stands no more%s%s", ended->model, ended->model_version,
                               ended->outcome == FINDING_POSITIVE ? "what was found" : "that nothing was found",
                               *ended->reason ? ": " : "", ended->reason);
    return true;
}

// What has to be seen of a change of a result; *reason "" unless something was taken back. What a program before this
// one has written does not say how.
static bool is_news(struct reading *reading, struct database *db, const struct store_event *event, bool *news,
                    const char **reason, struct error *err)
{
    struct store_event_detail detail;
    *news = false;
    if (!store_event_detail(event, &reading->arena, &detail, err))
        return false;
    if (strcmp(detail.how, "ended") == 0)
        return is_taken_back(reading, db, event, news, reason, err);
    return strcmp(detail.how, "changed") == 0 ||
           finding_waits(db, event->study, *detail.how ? event->subject : NULL, news, err);
}

// The worst of what stands gives urgency and reason.
static bool on_finding(struct reading *reading, struct database *db, const struct store_event *event, struct error *err)
{
    struct finding *worst;
    int64_t count;
    bool news = false;
    const char *reason = "";
    if (!finding_worst(db, event->study, &reading->arena, &worst, &count, err) ||
        (event->kind == STORE_EVENT_RESULT_CHANGED && !is_news(reading, db, event, &news, &reason, err)))
        return false;
    if (worst)
        reason = finding_sentence(worst, &reading->arena);
    if (!reason)
        return error_set(err, ERROR_LIMIT, "no memory for a reason");
    return reading_row_found(db, event->study, worst ? worst->urgency : FINDING_ROUTINE, reason, count, err) &&
           (!news || reading_row_back(db, event, READING_RESULT, err)) && tell(db, event->study, err);
}

// What could not be followed may be anything: its study is on the list, and says so until somebody has read it.
static bool on_passed_over(struct reading *reading, struct database *db, const struct store_event *event,
                           struct error *err)
{
    struct store_event_detail detail;
    if (!store_event_detail(event, &reading->arena, &detail, err))
        return false;
    const char *said = arena_printf(&reading->arena,
                                    "not all of it could be worked out here (%s of %s: %s): what the models say of it, "
                                    "and its place on the list, may be wrong; look at its images, and ask the models "
                                    "again",
                                    detail.what, detail.by, detail.reason);
    return (said || error_set(err, ERROR_LIMIT, "no memory for a sentence")) &&
           reading_row_passed_over(db, event, said, err) && tell(db, event->study, err);
}

typedef bool event_fn(struct reading *reading, struct database *db, const struct store_event *event, struct error *err);
static event_fn *const followed[STORE_EVENT_KIND_COUNT] = {
    [STORE_EVENT_OBJECT_STORED] = on_stored,           [STORE_EVENT_OBJECT_SERVED] = on_served,
    [STORE_EVENT_OBJECT_KEPT_BESIDE] = on_kept_beside, [STORE_EVENT_RESULT_CHANGED] = on_finding,
    [STORE_EVENT_FINDING_JUDGED] = on_finding,         [STORE_EVENT_PASSED_OVER] = on_passed_over,
};

static bool write_change(struct database *db, void *payload, struct error *err)
{
    struct change *change = payload;
    for (size_t i = 0; i < change->count; i++) {
        const struct store_event *event = &change->events[i];
        event_fn *follow = event->kind < STORE_EVENT_KIND_COUNT ? followed[event->kind] : NULL;
        if (follow && !follow(change->reading, db, event, err))
            return false;
    }
    return queue_consumer_advance(db, change->reading->consumer, change->events[change->count - 1].number, err);
}

// A study that came while the clock was ahead would wait for nothing until the clock has come there.
static bool write_clock(struct database *db, void *payload, struct error *err)
{
    return reading_rows_by(db, *(int64_t *)payload, err);
}

static bool mind_clock(struct reading *reading, int64_t now_ns, struct error *err)
{
    int64_t count = 0;
    struct database *db = store_read_begin(reading->store, err);
    bool ok = db && reading_rows_after(db, now_ns + CLOCK_SECOND, &count, err);
    store_read_end(reading->store, db);
    if (!ok || count == 0)
        return ok;
    log_warning("reading",
                "studies on the reading list that came while the clock was ahead of what it says now: %lld; they wait "
                "from now on, in the order in which they came",
                (long long)count);
    return store_write(reading->store, STORE_REPLAYABLE, write_clock, &now_ns, err);
}

static bool take_events(struct reading *reading, int64_t now_ns, bool *worked, struct error *err)
{
    struct change change = {.reading = reading};
    struct store_event *events;
    *worked = false;
    arena_reset(&reading->arena);
    if (!mind_clock(reading, now_ns, err) ||
        !queue_consumer_next(reading->consumer, 0, EVENTS_AT_ONCE, &reading->arena, &events, &change.count, err))
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

bool reading_step(struct reading *reading, int64_t now_ns, bool *worked, struct error *err)
{
    bool ok = take_events(reading, now_ns, worked, err);
    queue_consumer_stepped(reading->consumer, ok ? NULL : err, clock_monotonic_ns());
    return ok;
}

static void *run(void *payload)
{
    struct reading *reading = payload;
    while (!reading->stopping) {
        struct error err;
        bool worked = false;
        bool ok = reading_step(reading, clock_now_ns(), &worked, &err);
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

enum { CAME_SIZE = 192 };

struct mark {
    const char *study, *by;
    int64_t version, now_ns;
};

// CONFLICT, with what came since the version that was seen.
static bool check_seen(const struct mark *mark, const int64_t events[READING_NEWS_COUNT], const char *reason,
                       struct error *err)
{
    int64_t version = 0;
    for (int i = 0; i < READING_NEWS_COUNT; i++)
        version = events[i] > version ? events[i] : version;
    if (mark->version == version)
        return true;
    if (mark->version > version)
        return error_set(err, ERROR_CONFLICT, "version %lld of the study is none that the list has given; look again",
                         (long long)mark->version);
    const bool images = events[READING_IMAGE] > mark->version, result = events[READING_RESULT] > mark->version,
               doubt = events[READING_DOUBT] > mark->version;
    return error_set(err, ERROR_CONFLICT, "something came since the study was looked at: %s%s%s%.120s%s%s; look again",
                     images ? "images" : "", images && (result || doubt) ? "; " : "",
                     result ? "a model's answer: " : "", result ? reason : "", result && doubt ? "; " : "",
                     doubt ? "objects that wait for a decision" : "");
}

static bool write_mark(struct database *db, void *payload, struct error *err)
{
    const struct mark *mark = payload;
    int64_t events[READING_NEWS_COUNT];
    char reason[CAME_SIZE];
    bool found;
    if (!reading_row_news(db, mark->study, events, reason, sizeof reason, &found, err))
        return false;
    if (!found)
        return error_set(err, ERROR_NOT_FOUND, "study %.64s is not on the list", mark->study);
    return check_seen(mark, events, reason, err) && reading_row_read(db, mark->study, mark->by, mark->now_ns, err) &&
           tell(db, mark->study, err);
}

bool reading_mark_read(struct store *store, const char *study, int64_t version, const char *by, int64_t now_ns,
                       struct error *err)
{
    struct mark mark = {study, by, version, now_ns};
    return store_write(store, STORE_DURABLE, write_mark, &mark, err);
}

bool reading_mark_of(struct store *store, const char *study, struct reading_mark *out, struct error *err)
{
    bool found;
    struct database *db = store_read_begin(store, err);
    bool ok = db && reading_row_mark(db, study, out, &found, err);
    if (db)
        store_read_end(store, db);
    return ok;
}

static bool write_unmark(struct database *db, void *payload, struct error *err)
{
    const struct mark *unmark = payload;
    struct reading_mark now;
    char reason[READING_NAME_SIZE + 32];
    bool found;
    if (!reading_row_mark(db, unmark->study, &now, &found, err))
        return false;
    if (!found)
        return error_set(err, ERROR_NOT_FOUND, "study %.64s never was on the list", unmark->study);
    if (now.read_ns == 0)
        return error_set(err, ERROR_CONFLICT, "study %.64s is on the list; look again", unmark->study);
    if (now.version != unmark->version)
        return error_set(err, ERROR_CONFLICT, "the study was read in version %lld, by %.120s; look again",
                         (long long)now.version, now.by);
    snprintf(reason, sizeof reason, "marked as unread by %.512s", unmark->by);
    return reading_row_unread(db, unmark->study, reason, err) && tell(db, unmark->study, err);
}

bool reading_mark_unread(struct store *store, const char *study, int64_t version, const char *by, struct error *err)
{
    struct mark unmark = {.study = study, .by = by, .version = version};
    return store_write(store, STORE_DURABLE, write_unmark, &unmark, err);
}
