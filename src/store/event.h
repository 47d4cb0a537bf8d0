// The event log: a numbered, append-only table, written in the same transaction as the fact it tells. This header is
// the contract between those who write events and those who follow them.
#ifndef STORE_EVENT_H
#define STORE_EVENT_H

#include <stdint.h>

#include "store/database.h"

// The members that an event's detail may have: member of struct store_event_detail, name in the JSON text, type. A kind
// has those that its row below names, and no other.
#define STORE_EVENT_MEMBERS(X)                                                                                         \
    X(series, "series", TEXT)           /* Series Instance UID */                                                      \
    X(sop_class, "class", TEXT)         /* SOP Class UID */                                                            \
    X(from, "from", TEXT)               /* calling AE title of the sender, "" when there is none */                    \
    X(how, "how", TEXT)                 /* "c-store", "import", "rebuild", "job" (made here), "taken"; of a result     \
                                           see there */                                                                \
    X(association, "association", TEXT) /* names it among all there ever were; else as `from` */                       \
    X(is_image, "image", NUMBER)        /* 1: pixels that a person reads, which no SEG, SR, PR or KO is */             \
    X(version, "version", NUMBER)       /* of the series, from 1 */                                                    \
    X(kind, "kind", TEXT)               /* of a job ("model") or a delivery ("dicom", "hl7") */                        \
    X(model, "model", TEXT)             /* package name; of a job: name and version */                                 \
    X(state, "state", TEXT)             /* of a job, or what a finding is judged */                                    \
    X(outcome, "outcome", TEXT)         /* "positive", "negative", "not analysed", "failed", "" */                     \
    X(standing, "standing", TEXT)       /* of a result: "current", "superseded", "withdrawn" */                        \
    X(by, "by", TEXT)                   /* who judged, or has passed over */                                           \
    X(target, "target", TEXT)           /* a peer's or HL7 target's name */                                            \
    X(delivery, "delivery", NUMBER)     /* its id */                                                                   \
    X(what, "what", TEXT)     /* of configuration: "peer", "rule", "hl7", "label"; passed over: the event's name */    \
    X(reason, "reason", TEXT) /* why it was passed over */

// The kinds: name, name on the wire, members of the detail.
//
//   kind                study       subject                 written by                      followed by
//   OBJECT_STORED       its UID     SOP Instance UID        archive: a new object           flow, reading
//   OBJECT_KEPT_BESIDE  its UID     SOP Instance UID        archive: other bytes under a    flow, reading
//                                                           known UID, not served (once
//                                                           for each study it is in), or
//                                                           somebody said so (how "kept")
//   OBJECT_SERVED       its UID     SOP Instance UID        archive: another version of an  flow, reading
//                                                           object is the one served now
//                                                           (once for each series it is in)
//   ASSOCIATION_ENDED   last one    name of association     service: something was stored   flow
//   SERIES_COMPLETE     its UID     Series Instance UID     flow                            flow
//   JOB_QUEUED          its UID     the job's key           queue                           SSE
//   JOB_DONE            its UID     the job's key           queue: done, failed, skipped    flow
//   RESULT_CHANGED      its UID     the result's id         finding: made, or its standing  reading
//                                                           or its series' images are
//                                                           others
//   FINDING_JUDGED      its UID     the finding's id        finding                         reading, flow
//   DELIVERY_DONE       its UID     SOP Instance UID or     queue                           SSE
//                                   MSH-10
//   CONFIG_CHANGED      ""          the entry's name        access, flow                    SSE
//   WORKLIST_CHANGED    its UID,    ""                      reading, archive: a conflict    SSE
//                       or "": of                           is settled, or a series' UID
//                       one that                            is another study's too; access:
//                       not all see                         a study has other labels
//   PASSED_OVER         its UID     that event's            queue: an event of the study    reading
//                                                           that nobody could follow
//
// The page follows all of them as server-sent events (GET /api/events), which tell kind, study and subject only.
#define STORE_EVENT_OBJECT_MEMBERS "series class from how association image"
#define STORE_EVENTS(X)                                                                                                \
    X(OBJECT_STORED, "object.stored", STORE_EVENT_OBJECT_MEMBERS)                                                      \
    X(OBJECT_KEPT_BESIDE, "object.kept_beside", STORE_EVENT_OBJECT_MEMBERS)                                            \
    X(OBJECT_SERVED, "object.served", STORE_EVENT_OBJECT_MEMBERS)                                                      \
    X(ASSOCIATION_ENDED, "association.ended", "")                                                                      \
    X(SERIES_COMPLETE, "series.complete", "version")                                                                   \
    X(JOB_QUEUED, "job.queued", "kind model")                                                                          \
    X(JOB_DONE, "job.done", "state outcome model")                                                                     \
    X(RESULT_CHANGED, "result.changed", "series model outcome standing how")                                           \
    X(FINDING_JUDGED, "finding.judged", "state by")                                                                    \
    X(DELIVERY_DONE, "delivery.done", "delivery kind target")                                                          \
    X(CONFIG_CHANGED, "config.changed", "what")                                                                        \
    X(WORKLIST_CHANGED, "worklist.changed", "")                                                                        \
    X(PASSED_OVER, "event.passed_over", "by what reason")

enum store_event_kind {
#define X(name, text, members) STORE_EVENT_##name,
    STORE_EVENTS(X)
#undef X
        STORE_EVENT_KIND_COUNT
};

const char *store_event_name(enum store_event_kind kind);

// An event's detail: the members of its kind; the others are "" and 0. Texts that are not set (NULL) are written as "".
struct store_event_detail {
#define STORE_EVENT_TEXT const char *
#define STORE_EVENT_NUMBER int64_t
#define X(member, name, type) STORE_EVENT_##type member;
    STORE_EVENT_MEMBERS(X)
#undef X
};

struct store_event {
    uint64_t number;
    enum store_event_kind kind; // STORE_EVENT_KIND_COUNT: of a program before this one, which nobody follows any more
    int64_t time_ns;            // when it was written: to show, never to order by
    const char *study;          // Study Instance UID or ""
    const char *subject;        // what it is about
    const char *detail;         // JSON: read it with store_event_detail
};

// Inside a write function: appends an event. Calls run one after the other and a call that is rolled back gives its
// numbers back, so numbers are gapless and in commit order. The texts are copied and must not be NULL; `detail` may be,
// for a kind without members.
bool store_event_add(struct database *db, enum store_event_kind kind, const char *study, const char *subject,
                     const struct store_event_detail *detail, struct error *err);

// The detail of an event that was read. A text that is no JSON object, or lacks a member, as an older program or a
// damaged row may leave it, gives "" and 0 for what is not there: never NULL. false: no memory in `arena`.
bool store_event_detail(const struct store_event *event, struct arena *arena, struct store_event_detail *out,
                        struct error *err);

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
