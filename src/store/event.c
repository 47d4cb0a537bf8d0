// The event log: its rows, its readers' cursors, and those who wait for its end. event.h is the contract.
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/internal.h"

// A waiter that has an event sleeps on for this long, so that it takes a burst at once. Else each of a thousand objects
// a second would wake every consumer, and each would commit its cursor: more work than the objects themselves.
enum { GATHER_NS = 20 * CLOCK_MS };

static const char *const names[STORE_EVENT_KIND_COUNT] = {
#define X(name, text, members) text,
    STORE_EVENTS(X)
#undef X
};

const char *store_event_name(enum store_event_kind kind)
{
    return (unsigned)kind < STORE_EVENT_KIND_COUNT ? names[kind] : "";
}

static enum store_event_kind kind_of(const char *name)
{
    int kind = 0;
    while (kind < STORE_EVENT_KIND_COUNT && strcmp(names[kind], name) != 0)
        kind++;
    return (enum store_event_kind)kind;
}

// ---- writing

// Only one transaction writes at a time and its calls run one after the other, so the numbers are in commit order; a
// call that is rolled back gives its back (write.c).
bool store_event_add(struct database *db, enum store_event_kind kind, const char *study, const char *subject,
                     const struct store_event_detail *detail, struct error *err)
{
    char text[EVENT_DETAIL_MAX];
    if (!event_detail_write(kind, detail, text, err) ||
        !sql_run(db, err, "INSERT INTO event(number, kind, time_ns, study, subject, detail) VALUES (?, ?, ?, ?, ?, ?)",
                 "itittt", (int64_t)db->event_next, store_event_name(kind), clock_now_ns(), study, subject, text))
        return false;
    db->event_next++;
    return true;
}

// ---- reading

static bool read_row(struct sql *sql, struct arena *arena, struct store_event *out, struct error *err)
{
    *out = (struct store_event){.number = (uint64_t)sql_int(sql, 0),
                                .kind = kind_of(sql_text(sql, 1)),
                                .time_ns = sql_int(sql, 2),
                                .study = arena_strdup(arena, sql_text(sql, 3)),
                                .subject = arena_strdup(arena, sql_text(sql, 4)),
                                .detail = arena_strdup(arena, sql_text(sql, 5))};
    return (out->study && out->subject && out->detail) ||
           error_set(err, ERROR_MEMORY, "no memory for event %llu", (unsigned long long)out->number);
}

static bool read_rows(struct sql *sql, size_t limit, struct arena *arena, struct store_event *events, size_t *count,
                      struct error *err)
{
    bool row = true;
    *count = 0;
    while (*count < limit) {
        if (!sql_step(sql, &row, err))
            return false;
        if (!row)
            return true;
        if (!read_row(sql, arena, &events[*count], err))
            return false;
        ++*count;
    }
    return true;
}

bool store_event_read(struct database *db, uint64_t after, size_t limit, struct arena *arena, struct store_event **out,
                      size_t *count, struct error *err)
{
    struct store_event *events = arena_calloc(arena, limit, sizeof *events);
    if (!events)
        return error_set(err, ERROR_MEMORY, "no memory for %zu events", limit);
    struct sql *sql = sql_prepare(
        db, "SELECT number, kind, time_ns, study, subject, detail FROM event WHERE number > ? ORDER BY number", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, (int64_t)after);
    bool ok = read_rows(sql, limit, arena, events, count, err);
    sql_done(sql);
    *out = events;
    return ok;
}

bool store_cursor_get(struct database *db, const char *consumer, uint64_t *out, struct error *err)
{
    int64_t number = 0;
    bool found = false;
    if (!sql_get_int(db, err, &number, &found, "SELECT number FROM cursor WHERE consumer = ?", "t", consumer))
        return false;
    *out = (uint64_t)number;
    return true;
}

bool store_cursor_set(struct database *db, const char *consumer, uint64_t number, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO cursor(consumer, number) VALUES (?, ?)"
                   " ON CONFLICT(consumer) DO UPDATE SET number = excluded.number",
                   "ti", consumer, (int64_t)number);
}

// The highest number in the table is the counter; only here, where it may go, the row takes it over, which spares every
// other commit a page of the WAL.
bool store_event_prune(struct database *db, int64_t before_ns, int64_t most, bool *more, struct error *err)
{
    // Times only choose among events that every cursor has passed; a clock that jumped costs no consumer anything.
    if (!sql_run(db, err, "UPDATE store_state SET event_last = ?", "i", (int64_t)db->event_next - 1) ||
        !sql_run(db, err,
                 "DELETE FROM event WHERE number <= (SELECT min(number) FROM cursor)"
                 " AND number < (SELECT min(number) FROM event) + ?2"
                 " AND number < coalesce((SELECT min(young.number) FROM event AS young WHERE young.time_ns >= ?1"
                 "  AND young.number < (SELECT min(number) FROM event) + ?2), 9223372036854775807)",
                 "ii", before_ns, most))
        return false;
    *more = sql_changes(db) == most;
    return true;
}

// ---- waiting

void event_board_init(struct event_board *board)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&board->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&board->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void event_board_close(struct event_board *board)
{
    pthread_cond_destroy(&board->changed);
    pthread_mutex_destroy(&board->lock);
}

void event_publish(struct store *store, uint64_t last)
{
    pthread_mutex_lock(&store->board.lock);
    atomic_store(&store->board.last, last);
    pthread_cond_broadcast(&store->board.changed);
    pthread_mutex_unlock(&store->board.lock);
}

uint64_t store_event_last(struct store *store)
{
    return atomic_load(&store->board.last);
}

uint64_t store_event_epoch(struct store *store)
{
    return atomic_load(&store->board.epoch);
}

bool store_event_wait(struct store *store, uint64_t after, int64_t timeout_ns)
{
    struct event_board *board = &store->board;
    int64_t until_ns = clock_monotonic_ns() + timeout_ns;
    struct timespec until = {.tv_sec = until_ns / CLOCK_SECOND, .tv_nsec = until_ns % CLOCK_SECOND};
    int code = 0;
    pthread_mutex_lock(&board->lock);
    while (atomic_load(&board->last) <= after && !board->woken && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&board->changed, &board->lock, &until);
    bool there = atomic_load(&board->last) > after;
    bool pause = there && timeout_ns > 0 && !board->woken;
    pthread_mutex_unlock(&board->lock);
    if (pause)
        clock_sleep_ns(GATHER_NS);
    return there;
}

void store_event_wake(struct store *store)
{
    pthread_mutex_lock(&store->board.lock);
    store->board.woken = true;
    atomic_store(&store->writes.db->stopping, true);
    pthread_cond_broadcast(&store->board.changed);
    pthread_mutex_unlock(&store->board.lock);
}
