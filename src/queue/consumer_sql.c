// A reader of the event log with a cursor that is fenced: who claims the name anew takes it from its holder.
#include "queue/queue_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

struct queue_consumer {
    struct store *store;
    char name[QUEUE_CONSUMER_MAX + 1];
    int64_t token;
    uint64_t cursor;
    size_t at_once, taken;    // events at most in a step; those in the last one
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
    consumer->at_once = consumer->at_once < QUEUE_EVENTS_MAX / 2 ? 2 * consumer->at_once : QUEUE_EVENTS_MAX;
}

static void step_failed(struct queue_consumer *consumer, const struct error *why, int64_t now_ns)
{
    if (consumer->failing_since_ns == 0)
        consumer->failing_since_ns = now_ns;
    if ((why->code == ERROR_LIMIT || why->code == ERROR_MEMORY) && consumer->taken > 1)
        consumer->at_once = consumer->taken / 2;
    log_warning(consumer->name, "the log cannot be followed behind event %llu, %zu at once: %s",
                (unsigned long long)consumer->cursor, consumer->taken, why->message);
    if (now_ns - consumer->failing_since_ns >= QUEUE_STALLED_S * CLOCK_SECOND)
        alarm_raise(ALARM_STALLED, consumer->name,
                    "for %lld s no event behind number %llu could be taken (%s): new studies are stored, and no more. "
                    "Mend what the log names, or restart",
                    (long long)((now_ns - consumer->failing_since_ns) / CLOCK_SECOND),
                    (unsigned long long)consumer->cursor, why->message);
}

void queue_consumer_stepped(struct queue_consumer *consumer, const struct error *why, int64_t monotonic_ns)
{
    if (why) {
        step_failed(consumer, why, monotonic_ns);
        return;
    }
    if (consumer->failing_since_ns != 0)
        alarm_clear(ALARM_STALLED, consumer->name);
    consumer->failing_since_ns = 0;
}
