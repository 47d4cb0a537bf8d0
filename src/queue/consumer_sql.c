// A reader of the event log with a cursor that is fenced: who claims the name anew takes it from its holder.
#include "queue/queue_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

enum { EVENT_ARENA = 64 << 10 }; // of one event

struct queue_consumer {
    struct store *store;
    char name[QUEUE_CONSUMER_MAX + 1];
    int64_t token;
    uint64_t cursor;
    size_t at_once, taken;    // events at most in a step; those that the last one has taken and not done
    unsigned failed_alone;    // how often the event behind the cursor has failed with no other beside it
    int64_t failing_since_ns; // on the monotonic clock; 0: the last step did not fail
};

struct claim {
    struct queue_consumer *consumer;
    uint64_t begin; // for a name without a cursor
};

static bool claim_token(struct database *db, struct queue_consumer *consumer, bool *known, struct error *err)
{
    int64_t token = 0;
    if (!sql_get_int(db, err, &token, known, "SELECT token FROM queue_consumer WHERE name = ?", "t", consumer->name))
        return false;
    consumer->token = token + 1;
    return sql_run(db, err,
                   "INSERT INTO queue_consumer (name, token) VALUES (?, ?)"
                   " ON CONFLICT (name) DO UPDATE SET token = excluded.token",
                   "ti", consumer->name, consumer->token);
}

static bool write_claim(struct database *db, void *payload, struct error *err)
{
    struct claim *claim = payload;
    struct queue_consumer *consumer = claim->consumer;
    bool known;
    if (!claim_token(db, consumer, &known, err))
        return false;
    if (known)
        return store_cursor_get(db, consumer->name, &consumer->cursor, err);
    consumer->cursor = claim->begin;
    return store_cursor_set(db, consumer->name, consumer->cursor, err);
}

struct queue_consumer *queue_consumer_open(struct store *store, const char *name, bool from_now, struct error *err)
{
    struct queue_consumer *consumer = calloc(1, sizeof *consumer);
    if (!consumer) {
        error_set(err, ERROR_MEMORY, "no memory for consumer %s", name);
        return NULL;
    }
    struct claim claim = {.consumer = consumer, .begin = from_now ? store_event_last(store) : 0};
    consumer->store = store;
    consumer->at_once = QUEUE_EVENTS_MAX;
    bool ok = text_copy(consumer->name, sizeof consumer->name, name) && name[0];
    if (!ok)
        error_set(err, ERROR_USAGE, "consumer \"%.64s\" needs a name of 1 to %d bytes", name, QUEUE_CONSUMER_MAX);
    // Not synced: what a power cut takes back, it takes back with all claims of that time, and their holders.
    if (ok && store_write(store, STORE_REPLAYABLE, write_claim, &claim, err))
        return consumer;
    free(consumer);
    return NULL;
}

void queue_consumer_close(struct queue_consumer *consumer)
{
    free(consumer);
}

uint64_t queue_consumer_cursor(const struct queue_consumer *consumer)
{
    return consumer->cursor;
}

static bool read_events(struct queue_consumer *consumer, size_t limit, struct arena *arena, struct store_event **out,
                        size_t *count, struct error *err)
{
    struct database *db = store_read_begin(consumer->store, err);
    if (!db)
        return false;
    bool ok = store_event_read(db, consumer->cursor, limit, arena, out, count, err);
    store_read_end(consumer->store, db);
    return ok;
}

bool queue_consumer_next(struct queue_consumer *consumer, int64_t timeout_ns, size_t limit, struct arena *arena,
                         struct store_event **out, size_t *count, struct error *err)
{
    const int64_t most = QUEUE_WAIT_MAX_S * CLOCK_SECOND;
    *count = 0;
    *out = NULL;
    if (limit > consumer->at_once)
        limit = consumer->at_once;
    if (!store_event_wait(consumer->store, consumer->cursor, timeout_ns < most ? timeout_ns : most))
        return true;
    bool ok = read_events(consumer, limit, arena, out, count, err);
    consumer->taken = ok ? *count : limit;
    return ok;
}

bool queue_consumer_advance(struct database *db, struct queue_consumer *consumer, uint64_t number, struct error *err)
{
    int64_t token = 0;
    bool found;
    if (!sql_get_int(db, err, &token, &found, "SELECT token FROM queue_consumer WHERE name = ?", "t", consumer->name))
        return false;
    if (!found || token != consumer->token)
        return error_set(err, ERROR_CONFLICT, "consumer %s was claimed by another worker", consumer->name);
    return store_cursor_set(db, consumer->name, number, err);
}

void queue_consumer_advanced(struct queue_consumer *consumer, uint64_t number)
{
    consumer->cursor = number;
    consumer->taken = 0;
    consumer->failed_alone = 0;
    consumer->at_once = consumer->at_once < QUEUE_EVENTS_MAX / 2 ? 2 * consumer->at_once : QUEUE_EVENTS_MAX;
}

// ---- what fails by its own fault

// Whose fault a failure is. What passes by itself, or is this installation's, is tried for as long as it takes. What is
// an event's own fails as often as it is tried; where nobody can say, after a minute.
enum fault { PASSES, OWN, UNCLEAR };
static const enum fault faults[ERROR_CODE_COUNT] = {
    [ERROR_USAGE] = OWN,       [ERROR_BAD_VALUE] = OWN,  [ERROR_BAD_DATA] = OWN,     [ERROR_MISMATCH] = OWN,
    [ERROR_DUPLICATE] = OWN,   [ERROR_NOT_FOUND] = OWN,  [ERROR_UNSUPPORTED] = OWN,  [ERROR_LIMIT] = OWN,
    [ERROR_DAMAGED] = UNCLEAR, [ERROR_MEMORY] = UNCLEAR, [ERROR_INTERNAL] = UNCLEAR,
};

bool queue_is_own_fault(enum error_code code)
{
    return faults[code] == OWN;
}

bool queue_passed_over(struct database *db, const char *consumer, const struct store_event *event, const char *why,
                       struct error *err)
{
    const struct store_event_detail detail = {.by = consumer, .what = store_event_name(event->kind), .reason = why};
    log_error(consumer, "event %llu (%s of %s, study %s) is passed over: %s", (unsigned long long)event->number,
              store_event_name(event->kind), event->subject, event->study, why);
    if (*event->study && event->kind != STORE_EVENT_PASSED_OVER)
        return store_event_add(db, STORE_EVENT_PASSED_OVER, event->study, event->subject, &detail, err);
    char subject[ALARM_SUBJECT_SIZE];
    snprintf(subject, sizeof subject, "event %llu", (unsigned long long)event->number);
    alarm_raise(ALARM_STALLED, subject, "%s has passed over event %llu (%s), and no study can say so: %.120s", consumer,
                (unsigned long long)event->number, store_event_name(event->kind), why);
    return true;
}

struct passing {
    struct queue_consumer *consumer;
    const struct store_event *event;
    const char *why;
};

static bool write_passing(struct database *db, void *payload, struct error *err)
{
    const struct passing *passing = payload;
    return queue_passed_over(db, passing->consumer->name, passing->event, passing->why, err) &&
           queue_consumer_advance(db, passing->consumer, passing->event->number, err);
}

static bool pass_over(struct queue_consumer *consumer, const char *why, struct error *err)
{
    struct passing passing = {.consumer = consumer, .why = why};
    struct store_event *event;
    struct arena arena;
    size_t count;
    arena_init(&arena, EVENT_ARENA);
    bool ok = read_events(consumer, 1, &arena, &event, &count, err);
    if (ok && count == 1) {
        passing.event = event;
        ok = store_write(consumer->store, STORE_DURABLE, write_passing, &passing, err);
        if (ok)
            queue_consumer_advanced(consumer, event->number);
    }
    arena_free(&arena);
    return ok;
}

// Has the event behind the cursor had its tries?
static bool is_to_pass(struct queue_consumer *consumer, enum error_code code, int64_t failing_ns)
{
    if (consumer->taken != 1 || faults[code] == PASSES)
        return false;
    consumer->failed_alone++;
    return (faults[code] == OWN && consumer->failed_alone >= QUEUE_TRIES_ALONE) ||
           (faults[code] == UNCLEAR && failing_ns >= QUEUE_STALLED_S * CLOCK_SECOND);
}

static void goes_on(struct queue_consumer *consumer)
{
    if (consumer->failing_since_ns != 0)
        alarm_clear(ALARM_STALLED, consumer->name);
    consumer->failing_since_ns = 0;
}

static void step_failed(struct queue_consumer *consumer, const struct error *why, int64_t now_ns)
{
    struct error err;
    if (consumer->failing_since_ns == 0)
        consumer->failing_since_ns = now_ns;
    int64_t failing_ns = now_ns - consumer->failing_since_ns;
    log_warning(consumer->name, "the log cannot be followed behind event %llu, %zu at once: %s",
                (unsigned long long)consumer->cursor, consumer->taken, why->message);
    if (is_to_pass(consumer, why->code, failing_ns) && pass_over(consumer, why->message, &err)) {
        goes_on(consumer);
        return;
    }
    if (faults[why->code] != PASSES && consumer->taken > 1)
        consumer->at_once = consumer->taken / 2;
    if (failing_ns >= QUEUE_STALLED_S * CLOCK_SECOND)
        alarm_raise(ALARM_STALLED, consumer->name,
                    "for %lld s no event behind number %llu could be taken (%s): new studies are stored, and no more. "
                    "It goes on by itself once that is mended; a restart mends nothing",
                    (long long)(failing_ns / CLOCK_SECOND), (unsigned long long)consumer->cursor, why->message);
}

void queue_consumer_stepped(struct queue_consumer *consumer, const struct error *why, int64_t monotonic_ns)
{
    if (why)
        step_failed(consumer, why, monotonic_ns);
    else
        goes_on(consumer);
}
