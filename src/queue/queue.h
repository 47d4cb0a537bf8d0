// The queue room: consumers of the event log with cursors, leased jobs, and the outbox. It never knows what the work
// is.
//
// Every claim carries a fencing token that is checked in the transaction that commits the work: a worker that lost its
// lease cannot commit. All state is rows; a crash replays from them. All functions that take a `struct database *` and
// change rows run inside a write function, whose caller chooses the durability:
//   STORE_DURABLE     queue_job_add, queue_job_again, queue_job_fix, queue_job_finish, queue_delivery_add, _obsolete,
//                     _again, _done, _failed, _replay, _give_up and these two of a whole target;
//                     queue_consumer_advance when the same write function does one of these or writes findings
//   STORE_REPLAYABLE  queue_job_claim, _renew, queue_delivery_claim, queue_recover, queue_consumer_advance alone: what
//                     a power cut takes back is only done again
// Whatever is synced makes all earlier transactions durable too, so no order between the two kinds can be lost.
// Jobs:       queued -> running (leased) -> done | failed | skipped; skipped -> queued when it is asked for again; a
//             lease that runs out puts it back to queued; past attempts_max it is failed
// Deliveries: waiting -> sending (leased) -> done; a failure goes back to waiting with back-off; a permanent refusal,
// or replays without end, to dead; dead -> waiting by a person; waiting or dead -> obsolete, when there is something
// newer to say; obsolete -> waiting when it holds after all; waiting or dead -> given up by a person, and back
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/label.h"
#include "base/arena.h"
#include "base/error.h"
#include "store/database.h"
#include "store/event.h"

extern const struct store_migration queue_migration;

enum {
    QUEUE_CONSUMER_MAX = 64,  // bytes of a consumer's name
    QUEUE_EVENTS_MAX = 10000, // events in one queue_consumer_next
    QUEUE_STALLED_S = 60,     // a consumer that fails for so long is an alarm
    QUEUE_TRIES_ALONE = 3,    // of an event that fails by its own fault
    QUEUE_WAIT_MAX_S = 3600,  // longest wait in it
    QUEUE_KEY_MAX = 256,
    QUEUE_NAME_MAX = 256,     // kind, study, series, model, target, subject, outcome: longer ones are refused (LIMIT)
    QUEUE_REASON_MAX = 1000,  // reasons and errors: cut, and what is no printable text is escaped
    QUEUE_TOPIC_MAX = 10000,  // deliveries of one topic that are looked at, the newest
    QUEUE_COUNTS_MAX = 10000, // rows of queue_job_counts, queue_delivery_counts
    QUEUE_BODY_MAX = 4 << 20, // input, result, payload: refused past this (LIMIT)
};

// At start, while no worker of this store runs yet: what the last process held when it ended (a stop, a crash, a power
// cut) may be claimed at once, without waiting for its leases. That costs a job no attempt, so that restarts do not
// fail it, up to QUEUE_JOB_CRASHES_MAX times: a job that takes the process down each time must end too. Not for workers
// that share the database with others.
enum { QUEUE_JOB_CRASHES_MAX = 20 };
bool queue_recover(struct database *db, int64_t now_ns, struct error *err);

// The clock was set back: what waits longer than anything ever waits is due now. At a start, and when it is noticed.
bool queue_waits_end(struct database *db, int64_t now_ns, struct error *err);

// ---- consumers

struct queue_consumer; // one thread

// Claims the named cursor for this process: earlier claims' tokens end. A new name starts behind the newest event when
// `from_now`, else at the beginning.
struct queue_consumer *queue_consumer_open(struct store *store, const char *name, bool from_now, struct error *err);
void queue_consumer_close(struct queue_consumer *consumer);

// Waits up to timeout_ns for events behind the cursor, and reads up to `limit` of them into `arena`. *count 0 after the
// time-out or store_event_wake. The same events come again until queue_consumer_advanced.
bool queue_consumer_next(struct queue_consumer *consumer, int64_t timeout_ns, size_t limit, struct arena *arena,
                         struct store_event **out, size_t *count, struct error *err);

// Inside the write function that does the work of the events up to `number`: moves the cursor. CONFLICT when another
// claimed it since (the transaction must fail then).
bool queue_consumer_advance(struct database *db, struct queue_consumer *consumer, uint64_t number, struct error *err);
// After the commit of that write function.
void queue_consumer_advanced(struct queue_consumer *consumer, uint64_t number);
// How each step ended: `why` NULL, or what it failed of, which is logged. What does not pass by itself (BUSY, FULL, IO
// and their like do) is tried with half as many events, down to one. An event that fails alone is passed over, so that
// all behind it have their turn: by its own fault (queue_is_own_fault) after QUEUE_TRIES_ALONE, of what may be the
// process's (MEMORY, DAMAGED, INTERNAL) after QUEUE_STALLED_S. Steps that fail for QUEUE_STALLED_S raise an alarm, and
// one that does not clears it. A step that fails after its events were advanced is no event's failure.
void queue_consumer_stepped(struct queue_consumer *consumer, const struct error *why, int64_t monotonic_ns);
uint64_t queue_consumer_cursor(const struct queue_consumer *consumer);
bool queue_is_own_fault(enum error_code code); // of what was tried: it fails as often as it is tried again
// Inside a write function (STORE_DURABLE): what was to be done of an event is not done. An error in the log and an
// event PASSED_OVER, for whoever looks at its study (the reading list has a line); an alarm where no study can say so.
bool queue_passed_over(struct database *db, const char *consumer, const struct store_event *event, const char *why,
                       struct error *err);

// ---- jobs

enum queue_job_state { QUEUE_JOB_QUEUED, QUEUE_JOB_RUNNING, QUEUE_JOB_DONE, QUEUE_JOB_FAILED, QUEUE_JOB_SKIPPED };
const char *queue_job_state_text(enum queue_job_state state); // "queued" ...

struct queue_job {
    const char *key;   // hex digest of everything the result depends on: the same work is one job
    const char *kind;  // "model", "report"
    const char *study; // what it is about, for lists
    const char *series;
    const char *model; // package name and version
    const char *input; // JSON: what the worker needs
    enum queue_job_state state;
    const char *outcome; // "positive", "negative", "not analysed", ""
    const char *reason;  // of failed, skipped, not analysed; for a person
    const char *cause;   // the same in one word of few, for counting; ""
    const char *result;  // JSON of the finished work, or ""
    const char *fixed;   // JSON of what queue_job_fix fixed, or ""
    int64_t priority;    // higher first
    int64_t created_ns, started_ns, finished_ns;
    int64_t attempts;
    int64_t token;    // of the present lease
    int64_t retry_ns; // while queued: not claimed before this time
};

enum { QUEUE_JOB_ATTEMPTS_MAX = 3 };
#define QUEUE_RETRY_MAX_NS (INT64_C(3600) * 1000000000) // nobody gives a later retry_ns

// All of these run inside a write function (the caller's transaction) but queue_job_list and _get, which take any
// connection. Reads key, kind, study, series, model, input, priority, retry_ns (NULL is ""). A job of that key that was
// skipped is queued again; false in *added: it exists otherwise. Adds JOB_QUEUED.
bool queue_job_add(struct database *db, const struct queue_job *job, int64_t now_ns, bool *added, struct error *err);
// All jobs of `kind` that were skipped for exactly this reason, which holds no more, are queued again. Adds JOB_QUEUED
// for each.
bool queue_job_again(struct database *db, const char *kind, const char *reason, int64_t now_ns, size_t *count,
                     struct error *err);
// The next job of `kind`: highest priority, then oldest; also those whose lease ran out. NULL in *out: none. Jobs out
// of attempts become failed ("gave up after 3 attempts: " + last reason).
bool queue_job_claim(struct database *db, const char *kind, int64_t now_ns, int64_t lease_ns, struct arena *arena,
                     struct queue_job **out, struct error *err);
bool queue_job_renew(struct database *db, const char *key, int64_t token, int64_t until_ns,
                     struct error *err); // CONFLICT: lost
// Reads key, state, outcome, reason, cause, result, retry_ns. state is DONE, FAILED or SKIPPED, or QUEUED to give it
// back with a reason (not tried again before retry_ns; failed when this was its last attempt). CONFLICT when the lease
// was lost. Adds JOB_DONE (subject: the key) when it ends.
bool queue_job_finish(struct database *db, const struct queue_job *job, int64_t token, int64_t now_ns,
                      struct error *err);
// What the job's work rests on besides its key and must be the same at each try (what its documents take the place of,
// say): the first call of all tries keeps `text`, a later one changes nothing. What is kept is in *out, in `arena`.
// CONFLICT: the lease is lost.
bool queue_job_fix(struct database *db, const char *key, int64_t token, const char *text, struct arena *arena,
                   const char **out, struct error *err);
bool queue_job_get(struct database *db, const char *key, struct arena *arena, struct queue_job **out,
                   struct error *err); // NULL: none
// Newest first, of studies that `scope` sees; study NULL: of all.
bool queue_job_list(struct database *db, struct access_scope scope, const char *kind, const char *study, size_t limit,
                    struct arena *arena, struct queue_job **out, size_t *count, struct error *err);
// How many that list has without a limit.
bool queue_job_total(struct database *db, struct access_scope scope, const char *kind, const char *study, int64_t *out,
                     struct error *err);
// Those of one state, newest first, and how many there are.
bool queue_job_list_state(struct database *db, struct access_scope scope, const char *kind, enum queue_job_state state,
                          size_t limit, struct arena *arena, struct queue_job **out, size_t *count, int64_t *total,
                          struct error *err);

// For monitoring: how many there are of each kind of end, one row for each that there is. What has ended is counted as
// it ends; to ask walks only what waits.
struct queue_job_count {
    const char *model, *outcome, *cause;
    enum queue_job_state state;
    int64_t count;
};
bool queue_job_counts(struct database *db, const char *kind, struct arena *arena, struct queue_job_count **out,
                      size_t *count, struct error *err);

// ---- outbox

enum queue_delivery_state {
    QUEUE_DELIVERY_WAITING,
    QUEUE_DELIVERY_SENDING,
    QUEUE_DELIVERY_DONE,
    QUEUE_DELIVERY_DEAD,
    QUEUE_DELIVERY_OBSOLETE,
    QUEUE_DELIVERY_GIVEN_UP,
    QUEUE_DELIVERY_STATES
};
const char *queue_delivery_state_text(enum queue_delivery_state state);

struct queue_delivery {
    int64_t id;
    const char *key;     // the same key is one delivery, ever
    const char *target;  // a peer's or endpoint's name
    const char *kind;    // "dicom", "hl7"
    const char *subject; // SOP Instance UID, MSH-10
    const char *payload; // JSON or the message itself
    // Those of one sequence to one target go one after the other, in the order in which they were added: one that fails
    // holds up the later ones until it is done, dead or obsolete. "": in no order.
    const char *sequence;
    const char *topic; // what it tells of; what is said newly of a topic makes what waits obsolete. "": of nothing.
    const char *batch; // those of one topic that belong together
    const char *study, *result; // what it is of, for lists and the audit trail: Study Instance UID and the result's id
    enum queue_delivery_state state;
    int64_t attempts;
    bool uncertain; // a try ended without an answer: the target may have it
    int64_t created_ns, next_ns, done_ns;
    const char *last_error;
    int64_t token;
};

// How a try failed.
enum queue_failure {
    QUEUE_NOT_TAKEN,   // the target does not have it: it could not be reached, or said that it cannot take it now
    QUEUE_UNCERTAIN,   // it was sent, and no answer came
    QUEUE_REFUSED,     // the target does not want it
    QUEUE_MISANSWERED, // it was sent, and what came back is no answer to it: counts as a refusal, and it may be there
    QUEUE_DAMAGED,     // what is to be sent is not what was stored: dead at once, and the target does not have it
};

// Back-off: 1, 2, 4 ... seconds, at most QUEUE_BACKOFF_MAX_NS, for as long as it takes: a target that is down for three
// days misses nothing. A failure that is no refusal holds back all of the target's deliveries in the same way (1, 2, 4
// ... by the target's failures in a row), so that one that is down is asked once per back-off; its first answer lets
// all go.
#define QUEUE_BACKOFF_MAX_NS (INT64_C(60) * 1000000000)
enum { QUEUE_REFUSALS_MAX = 10 }; // permanent refusals by the target until a delivery is dead
int64_t queue_backoff_ns(int64_t failures);

// Reads key, target, kind, subject, payload, sequence, topic, batch, study, result (NULL is "").
bool queue_delivery_add(struct database *db, const struct queue_delivery *delivery, int64_t now_ns, bool *added,
                        struct error *err);
// There is something newer to say of the topic: whatever of another batch than these two (the newer one, and one that
// holds beside it; "" none) waits or is dead, for any target, becomes OBSOLETE and is never sent. What is being sent
// goes out; what follows in its sequence comes after it.
bool queue_delivery_obsolete(struct database *db, const char *topic, const char *batch, const char *beside,
                             struct error *err);
// It holds after all: whatever of the batch became OBSOLETE waits again.
bool queue_delivery_again(struct database *db, const char *topic, const char *batch, struct error *err);
// All that was ever to be told of a topic, newest first.
bool queue_delivery_of_topic(struct database *db, const char *topic, struct arena *arena, struct queue_delivery **out,
                             size_t *count, struct error *err);
// May the target know it? It took it, or a try ended without an answer, or goes on.
bool queue_delivery_may_be_known(const struct queue_delivery *delivery);
// It is not sent, and will not be by itself: obsolete or given up.
bool queue_delivery_is_off(const struct queue_delivery *delivery);
// The delivery of `kind` that is due longest, of targets that have none being sent (each gets one at a time). NULL in
// *out: none; then *next_ns is when one will be due, or a lease that keeps others waiting runs out (INT64_MAX: none
// waits).
bool queue_delivery_claim(struct database *db, const char *kind, int64_t now_ns, int64_t lease_ns, struct arena *arena,
                          struct queue_delivery **out, int64_t *next_ns, struct error *err);
// Adds DELIVERY_DONE. `warning`: what the target said though it took it, kept as last_error; "" nothing.
bool queue_delivery_done(struct database *db, int64_t id, int64_t token, const char *warning, int64_t now_ns,
                         struct error *err);
// *dead: that was the last refusal that is taken, or it is damaged; it goes among the dead.
bool queue_delivery_failed(struct database *db, int64_t id, int64_t token, enum queue_failure how, const char *reason,
                           int64_t now_ns, bool *dead, struct error *err);
// A person's word. `scope`: of who says so; what he does not see is not there, and stays as it is.
// DEAD, GIVEN_UP -> WAITING; CONFLICT otherwise.
bool queue_delivery_replay(struct database *db, struct access_scope scope, int64_t id, int64_t now_ns,
                           struct error *err);
// It is not sent: WAITING, DEAD -> GIVEN_UP; CONFLICT otherwise. What follows in its sequence goes
// on, and nothing but a replay brings it back. `why` is kept as last_error.
bool queue_delivery_give_up(struct database *db, struct access_scope scope, int64_t id, const char *why,
                            struct error *err);
// Of a target all that are dead, and all that wait, are being sent (which may be known then) or are dead. *count: how
// many; 0 is fine.
bool queue_delivery_replay_target(struct database *db, struct access_scope scope, const char *kind, const char *target,
                                  int64_t now_ns, int64_t *count, struct error *err);
bool queue_delivery_give_up_target(struct database *db, struct access_scope scope, const char *kind, const char *target,
                                   const char *why, int64_t *count, struct error *err);
struct queue_delivery_count {
    const char *kind, *target;
    enum queue_delivery_state state;
    int64_t count;
    int64_t oldest_ns; // when the oldest of them was made; 0 for DONE, OBSOLETE and GIVEN_UP
};
// By kind, target and state, in this order; the same for these. A target that was ever named has rows for WAITING and
// DEAD, with 0 if need be.
bool queue_delivery_counts(struct database *db, struct arena *arena, struct queue_delivery_count **out, size_t *count,
                           struct error *err);
// Newest first, of studies that `scope` sees.
struct queue_delivery_filter {
    enum queue_delivery_state state;
    const char *study, *kind, *target; // NULL: any
};
bool queue_delivery_list(struct database *db, struct access_scope scope, const struct queue_delivery_filter *filter,
                         size_t limit, struct arena *arena, struct queue_delivery **out, size_t *count,
                         struct error *err);
// How many that list has without a limit.
bool queue_delivery_total(struct database *db, struct access_scope scope, const struct queue_delivery_filter *filter,
                          int64_t *out, struct error *err);

#endif
