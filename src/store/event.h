// The event log: a numbered, append-only table, written in the same transaction as the fact it tells.
#ifndef STORE_EVENT_H
#define STORE_EVENT_H

#include <stdint.h>

#include "store/database.h"

// The kinds, one row each: name on the wire.
#define STORE_EVENTS(X)                                                                                                \
    X(OBJECT_STORED, "object.stored")                                                                                  \
    X(ASSOCIATION_ENDED, "association.ended")                                                                          \
    X(SERIES_COMPLETE, "series.complete")                                                                              \
    X(JOB_QUEUED, "job.queued")                                                                                        \
    X(JOB_DONE, "job.done")                                                                                            \
    X(FINDING_MADE, "finding.made")                                                                                    \
    X(FINDING_JUDGED, "finding.judged")                                                                                \
    X(DELIVERY_DONE, "delivery.done")                                                                                  \
    X(CONFIG_CHANGED, "config.changed")                                                                                \
    X(WORKLIST_CHANGED, "worklist.changed")

enum store_event_kind {
#define X(name, text) STORE_EVENT_##name,
    STORE_EVENTS(X)
#undef X
        STORE_EVENT_KIND_COUNT
};

const char *store_event_name(enum store_event_kind kind);

struct store_event {
    uint64_t number;
    enum store_event_kind kind;
    int64_t time_ns;     // when it was written: to show, never to order by
    const char *study;   // Study Instance UID or ""
    const char *subject; // what it is about: a series or SOP instance UID, a job's key ...
    const char *detail;  // JSON or ""
};

// Inside a write function: appends an event. Calls run one after the other and a call that is rolled back gives its
// numbers back, so numbers are gapless and in commit order. The texts are copied and must not be NULL.
bool store_event_add(struct database *db, enum store_event_kind kind, const char *study, const char *subject,
                     const char *detail, struct error *err);

// Up to `limit` events with numbers above `after`, in order, in `arena`. *count may be 0.
bool store_event_read(struct database *db, uint64_t after, size_t limit, struct arena *arena, struct store_event **out,
                      size_t *count, struct error *err);

uint64_t store_event_last(struct store *store);  // number of the last committed event; 0: none
uint64_t store_event_epoch(struct store *store); // raised by a replay; a new database begins at the seconds since 1970

// Waits until an event above `after` is committed or `timeout_ns` has passed. true: there is one. store_event_wake
// (server stop) ends all waits, and those that begin later end at once; a write waits for another process only briefly
// then. With a timeout it returns some 20 ms after the event, with all that came meanwhile; with 0 it only looks.
bool store_event_wait(struct store *store, uint64_t after, int64_t timeout_ns);
void store_event_wake(struct store *store);

// A consumer's place. Set inside the write function that does the consumer's work, with its fencing token; see queue.
bool store_cursor_get(struct database *db, const char *consumer, uint64_t *out, struct error *err);
bool store_cursor_set(struct database *db, const char *consumer, uint64_t number, struct error *err);

// Drops at most `most` events from the log's beginning, up to the first that a cursor has not passed or that is not
// older than `before_ns`. *more: another piece may go. Without any cursor nothing goes.
bool store_event_prune(struct database *db, int64_t before_ns, int64_t most, bool *more, struct error *err);

#endif
