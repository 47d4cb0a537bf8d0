// The outbox.
//
//   FROM     TO       BY
//   -        WAITING  queue_delivery_add
//   WAITING  SENDING  queue_delivery_claim
//   SENDING  WAITING  queue_delivery_failed; queue_delivery_claim of anyone once the lease ran out
//   SENDING  DONE     queue_delivery_done
//   SENDING  DEAD     queue_delivery_failed, the QUEUE_REFUSALS_MAX-th refusal
//   DEAD, GIVEN_UP    WAITING   queue_delivery_replay
//   WAITING, DEAD     GIVEN_UP  queue_delivery_give_up; of a whole target SENDING too, whose sender loses its lease
//   WAITING, DEAD     OBSOLETE  queue_delivery_obsolete
//   OBSOLETE          WAITING   queue_delivery_again
#include "queue/queue_internal.h"

#include <stdio.h>

#include "base/clock.h"

#define COLUMNS                                                                                                        \
    "id, key, target, kind, subject, payload, state, attempts, created_ns, next_ns, done_ns, last_error, token,"       \
    " sequence, topic, batch, uncertain, study, result"

const char *queue_delivery_state_text(enum queue_delivery_state state)
{
    static const char *const texts[] = {"waiting", "sending", "done", "dead", "obsolete", "given up"};
    return (unsigned)state < sizeof texts / sizeof *texts ? texts[state] : "";
}

int64_t queue_backoff_ns(int64_t failures)
{
    if (failures > 6)
        return QUEUE_BACKOFF_MAX_NS;
    int64_t wait_ns = failures > 0 ? CLOCK_SECOND << (failures - 1) : 0;
    return wait_ns < QUEUE_BACKOFF_MAX_NS ? wait_ns : QUEUE_BACKOFF_MAX_NS;
}

static bool read_delivery(struct sql *sql, struct arena *arena, void *to, struct error *err)
{
    struct queue_delivery *delivery = to;
    *delivery = (struct queue_delivery){.id = sql_int(sql, 0),
                                        .key = queue_column(sql, 1, arena),
                                        .target = queue_column(sql, 2, arena),
                                        .kind = queue_column(sql, 3, arena),
                                        .subject = queue_column(sql, 4, arena),
                                        .payload = queue_column(sql, 5, arena),
                                        .state = (enum queue_delivery_state)sql_int(sql, 6),
                                        .attempts = sql_int(sql, 7),
                                        .created_ns = sql_int(sql, 8),
                                        .next_ns = sql_int(sql, 9),
                                        .done_ns = sql_int(sql, 10),
                                        .last_error = queue_column(sql, 11, arena),
                                        .token = sql_int(sql, 12),
                                        .sequence = queue_column(sql, 13, arena),
                                        .topic = queue_column(sql, 14, arena),
                                        .batch = queue_column(sql, 15, arena),
                                        .uncertain = sql_int(sql, 16) != 0,
                                        .study = queue_column(sql, 17, arena),
                                        .result = queue_column(sql, 18, arena)};
    return (delivery->key && delivery->target && delivery->kind && delivery->subject && delivery->payload &&
            delivery->last_error && delivery->sequence && delivery->topic && delivery->batch && delivery->study &&
            delivery->result) ||
           error_set(err, ERROR_MEMORY, "a delivery does not fit into the memory given");
}

// ---- add

static bool check_delivery(const struct queue_delivery *delivery, struct error *err)
{
    if (!delivery->key || !delivery->key[0])
        return error_set(err, ERROR_USAGE, "a delivery needs a key");
    return queue_check_text("the delivery's key", delivery->key, QUEUE_KEY_MAX, err) &&
           queue_check_text("the delivery's target", delivery->target, QUEUE_NAME_MAX, err) &&
           queue_check_text("the delivery's kind", delivery->kind, QUEUE_NAME_MAX, err) &&
           queue_check_text("the delivery's subject", delivery->subject, QUEUE_NAME_MAX, err) &&
           queue_check_text("the delivery's sequence", delivery->sequence, QUEUE_NAME_MAX, err) &&
           queue_check_text("the delivery's topic", delivery->topic, QUEUE_NAME_MAX, err) &&
           queue_check_text("the delivery's batch", delivery->batch, QUEUE_NAME_MAX, err) &&
           queue_check_text("the delivery's study", delivery->study, QUEUE_NAME_MAX, err) &&
           queue_check_text("the delivery's result", delivery->result, QUEUE_NAME_MAX, err) &&
           queue_check_text("the delivery's payload", delivery->payload, QUEUE_BODY_MAX, err);
}

bool queue_delivery_add(struct database *db, const struct queue_delivery *delivery, int64_t now_ns, bool *added,
                        struct error *err)
{
    *added = false;
    if (!check_delivery(delivery, err))
        return false;
    const char *kind = queue_text(delivery->kind), *target = queue_text(delivery->target);
    if (!sql_run(db, err,
                 "INSERT INTO delivery (key, target, kind, subject, payload, sequence, topic, batch, study, result,"
                 " state, created_ns, next_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)"
                 " ON CONFLICT (key) DO NOTHING",
                 "ttttttttttii", delivery->key, target, kind, queue_text(delivery->subject),
                 queue_text(delivery->payload), queue_text(delivery->sequence), queue_text(delivery->topic),
                 queue_text(delivery->batch), queue_text(delivery->study), queue_text(delivery->result), now_ns,
                 now_ns))
        return false;
    *added = sql_changes(db) > 0;
    return !*added || sql_run(db, err,
                              "INSERT INTO delivery_target (kind, target, added) VALUES (?, ?, 1)"
                              " ON CONFLICT (kind, target) DO UPDATE SET added = delivery_target.added + 1",
                              "tt", kind, target);
}

// What has ended is counted as it ends.
#define TALLIED " ON CONFLICT (kind, target, state) DO UPDATE SET count = delivery_tally.count + excluded.count"

// ---- what newer ones do to older ones

#define OLDER " topic = ?1 AND topic <> '' AND batch <> ?2 AND batch <> ?3 AND state IN (0, 3)"

bool queue_delivery_obsolete(struct database *db, const char *topic, const char *batch, const char *beside,
                             struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO delivery_tally (kind, target, state, count)"
                   " SELECT kind, target, 4, count(*) FROM delivery WHERE" OLDER " GROUP BY kind, target" TALLIED,
                   "ttt", topic, batch, beside) &&
           sql_run(db, err, "UPDATE delivery SET state = 4 WHERE" OLDER, "ttt", topic, batch, beside);
}

#define OBSOLETE " topic = ?1 AND topic <> '' AND batch = ?2 AND state = 4"

bool queue_delivery_again(struct database *db, const char *topic, const char *batch, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO delivery_tally (kind, target, state, count)"
                   " SELECT kind, target, 4, -count(*) FROM delivery WHERE" OBSOLETE " GROUP BY kind, target" TALLIED,
                   "tt", topic, batch) &&
           sql_run(db, err, "UPDATE delivery SET state = 0 WHERE" OBSOLETE, "tt", topic, batch);
}

bool queue_delivery_of_topic(struct database *db, const char *topic, struct arena *arena, struct queue_delivery **out,
                             size_t *count, struct error *err)
{
    void *rows;
    struct sql *sql =
        sql_prepare(db, "SELECT " COLUMNS " FROM delivery WHERE topic = ?1 AND topic <> '' ORDER BY id DESC", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, topic);
    if (!queue_rows(sql, read_delivery, sizeof(struct queue_delivery), QUEUE_TOPIC_MAX, arena, &rows, count, err))
        return false;
    *out = rows;
    return true;
}

bool queue_delivery_may_be_known(const struct queue_delivery *delivery)
{
    return delivery->state == QUEUE_DELIVERY_DONE || delivery->state == QUEUE_DELIVERY_SENDING || delivery->uncertain;
}

bool queue_delivery_is_off(const struct queue_delivery *delivery)
{
    return delivery->state == QUEUE_DELIVERY_OBSOLETE || delivery->state == QUEUE_DELIVERY_GIVEN_UP;
}

// ---- claim

// No earlier one of its sequence is under way to the same target.
#define IS_NEXT                                                                                                        \
    "(w.sequence = '' OR NOT EXISTS (SELECT 1 FROM delivery AS e WHERE e.kind = w.kind AND e.target = w.target"        \
    " AND e.sequence = w.sequence AND e.id < w.id AND e.state < 2))"

static bool expire(struct database *db, const char *kind, int64_t now_ns, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE delivery SET state = 0, uncertain = 1, next_ns = lease_ns,"
                   " last_error = 'the sender did not finish in time' WHERE kind = ? AND state = 1 AND lease_ns <= ?",
                   "ti", kind, now_ns);
}

// By target, so that one with ten thousand waiting costs no more than one with a single one.
static bool find_due(struct database *db, const char *kind, int64_t now_ns, int64_t *id, bool *found, struct error *err)
{
    return sql_get_int(db, err, id, found,
                       "SELECT d.id FROM delivery_target AS t JOIN delivery AS d ON d.id ="
                       "  (SELECT w.id FROM delivery AS w WHERE w.kind = t.kind AND w.target = t.target"
                       "   AND w.state = 0 AND w.next_ns <= ?2 AND " IS_NEXT " ORDER BY w.next_ns, w.id LIMIT 1)"
                       " WHERE t.kind = ?1 AND t.next_ns <= ?2 AND NOT EXISTS"
                       "  (SELECT 1 FROM delivery AS s WHERE s.kind = t.kind AND s.target = t.target AND s.state = 1)"
                       " ORDER BY d.next_ns, d.id LIMIT 1",
                       "ti", kind, now_ns);
}

// When a waiting one, or one whose sender has died, can be had; without what a sender at work will free sooner.
static bool find_next(struct database *db, const char *kind, int64_t *next_ns, struct error *err)
{
    bool found;
    return sql_get_int(db, err, next_ns, &found,
                       "SELECT coalesce(min(CASE WHEN due IS NULL THEN lease WHEN due < lease THEN lease"
                       "  ELSE due END), 9223372036854775807) FROM (SELECT"
                       "  (SELECT CASE WHEN min(w.next_ns) < t.next_ns THEN t.next_ns ELSE min(w.next_ns) END"
                       "   FROM delivery AS w WHERE w.kind = t.kind AND w.target = t.target"
                       "   AND w.state = 0 AND " IS_NEXT ") AS due,"
                       "  (SELECT min(s.lease_ns) FROM delivery AS s WHERE s.kind = t.kind"
                       "   AND s.target = t.target AND s.state = 1) AS lease"
                       "  FROM delivery_target AS t WHERE t.kind = ?) AS each_target",
                       "t", kind);
}

static bool take(struct database *db, int64_t id, int64_t now_ns, int64_t lease_ns, struct arena *arena,
                 struct queue_delivery **out, struct error *err)
{
    void *rows;
    size_t count;
    if (!sql_run(db, err,
                 "UPDATE delivery SET state = 1, token = token + 1, attempts = attempts + 1, lease_ns = ? WHERE id = ?",
                 "ii", now_ns + lease_ns, id))
        return false;
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM delivery WHERE id = ?", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, id);
    if (!queue_rows(sql, read_delivery, sizeof(struct queue_delivery), 1, arena, &rows, &count, err))
        return false;
    *out = rows;
    return true;
}

bool queue_delivery_claim(struct database *db, const char *kind, int64_t now_ns, int64_t lease_ns, struct arena *arena,
                          struct queue_delivery **out, int64_t *next_ns, struct error *err)
{
    int64_t id = 0;
    bool found;
    *out = NULL;
    *next_ns = INT64_MAX;
    if (!expire(db, kind, now_ns, err) || !find_due(db, kind, now_ns, &id, &found, err))
        return false;
    if (found)
        return take(db, id, now_ns, lease_ns, arena, out, err);
    return find_next(db, kind, next_ns, err);
}

// ---- what came of it

struct held {
    char target[QUEUE_NAME_MAX + 1];
    char kind[QUEUE_NAME_MAX + 1];
    char subject[QUEUE_NAME_MAX + 1];
    char study[QUEUE_NAME_MAX + 1];
    int64_t attempts, refusals;
};

static void read_held(struct sql *sql, struct held *held)
{
    snprintf(held->target, sizeof held->target, "%s", queue_text(sql_text(sql, 0)));
    snprintf(held->kind, sizeof held->kind, "%s", queue_text(sql_text(sql, 1)));
    snprintf(held->subject, sizeof held->subject, "%s", queue_text(sql_text(sql, 2)));
    held->attempts = sql_int(sql, 3);
    held->refusals = sql_int(sql, 4);
    snprintf(held->study, sizeof held->study, "%s", queue_text(sql_text(sql, 5)));
}

static bool find_held(struct database *db, int64_t id, int64_t token, struct held *held, struct error *err)
{
    bool row = false;
    struct sql *sql = sql_prepare(db,
                                  "SELECT target, kind, subject, attempts, refusals, study FROM delivery"
                                  " WHERE id = ? AND token = ? AND state = 1",
                                  err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, id);
    sql_bind_int(sql, 2, token);
    bool ok = sql_step(sql, &row, err);
    if (ok && row)
        read_held(sql, held);
    sql_done(sql);
    if (ok && !row)
        return error_set(err, ERROR_CONFLICT, "the lease of delivery %lld was lost", (long long)id);
    return ok;
}

// It answered: what waits for it may go.
static bool target_answers(struct database *db, const struct held *held, struct error *err)
{
    return sql_run(
        db, err, "UPDATE delivery_target SET failures = 0, next_ns = 0 WHERE kind = ? AND target = ? AND failures > 0",
        "tt", held->kind, held->target);
}

static bool target_fails(struct database *db, const struct held *held, int64_t now_ns, struct error *err)
{
    int64_t failures = 0;
    bool found;
    if (!sql_get_int(db, err, &failures, &found, "SELECT failures FROM delivery_target WHERE kind = ? AND target = ?",
                     "tt", held->kind, held->target))
        return false;
    return sql_run(db, err, "UPDATE delivery_target SET failures = ?, next_ns = ? WHERE kind = ? AND target = ?",
                   "iitt", failures + 1, now_ns + queue_backoff_ns(failures + 1), held->kind, held->target);
}

bool queue_delivery_done(struct database *db, int64_t id, int64_t token, const char *warning, int64_t now_ns,
                         struct error *err)
{
    struct held held;
    char shown[QUEUE_REASON_MAX + 1];
    if (!find_held(db, id, token, &held, err))
        return false;
    if (!sql_run(db, err, "UPDATE delivery SET state = 2, done_ns = ?, last_error = ? WHERE id = ?", "iti", now_ns,
                 queue_reason(shown, warning), id) ||
        !sql_run(db, err, "INSERT INTO delivery_tally (kind, target, state, count) VALUES (?, ?, 2, 1)" TALLIED, "tt",
                 held.kind, held.target) ||
        !target_answers(db, &held, err))
        return false;
    const struct store_event_detail detail = {.delivery = id, .kind = held.kind, .target = held.target};
    return store_event_add(db, STORE_EVENT_DELIVERY_DONE, held.study, held.subject, &detail, err);
}

bool queue_delivery_failed(struct database *db, int64_t id, int64_t token, enum queue_failure how, const char *reason,
                           int64_t now_ns, bool *dead, struct error *err)
{
    struct held held;
    char shown[QUEUE_REASON_MAX + 1];
    if (!find_held(db, id, token, &held, err))
        return false;
    bool refused = how == QUEUE_REFUSED || how == QUEUE_MISANSWERED;
    int64_t refusals = held.refusals + refused;
    *dead = refusals >= QUEUE_REFUSALS_MAX || how == QUEUE_DAMAGED;
    int64_t state = *dead ? QUEUE_DELIVERY_DEAD : QUEUE_DELIVERY_WAITING;
    return sql_run(db, err,
                   "UPDATE delivery SET state = ?, refusals = ?, uncertain = CASE WHEN ? = 1 THEN 1 ELSE uncertain "
                   "END, next_ns = ?, last_error = ?"
                   " WHERE id = ?",
                   "iiiiti", state, refusals, (int64_t)(how == QUEUE_UNCERTAIN || how == QUEUE_MISANSWERED),
                   now_ns + queue_backoff_ns(held.attempts), queue_reason(shown, reason), id) &&
           (refused || *dead ? target_answers(db, &held, err) : target_fails(db, &held, now_ns, err));
}

// ---- a person's word

static bool find_state(struct database *db, struct access_scope scope, int64_t id, enum queue_delivery_state *out,
                       struct error *err)
{
    int64_t state = 0;
    bool found;
    if (!sql_get_int(db, err, &state, &found,
                     "SELECT state FROM delivery WHERE id = ?1 AND " ACCESS_SEES("delivery.study", "?2"), "ii", id,
                     (int64_t)scope.hidden))
        return false;
    *out = (enum queue_delivery_state)state;
    return found || error_set(err, ERROR_NOT_FOUND, "no delivery has the number %lld", (long long)id);
}

// Those that a statement is about: one, or all of a target.
struct which {
    struct access_scope scope;
    int64_t id; // -1: of the target
    const char *kind, *target;
};
#define WHICH(is_in)                                                                                                   \
    " ((id = ?1 AND ?1 >= 0) OR (?1 < 0 AND kind = ?2 AND target = ?3)) AND state IN " is_in                           \
    " AND " ACCESS_SEES("delivery.study", "?4")

// What is given up has ended, and is counted as that.
static bool count_given_up(struct database *db, const struct which *which, struct error *err)
{
    return sql_run(
        db, err,
        "INSERT INTO delivery_tally (kind, target, state, count)"
        " SELECT kind, target, 5, count(*) FROM delivery WHERE" WHICH("(0, 1, 3)") " GROUP BY kind, target" TALLIED,
        "itti", which->id, which->kind, which->target, (int64_t)which->scope.hidden);
}

static bool give_up(struct database *db, const struct which *which, const char *why, int64_t *count, struct error *err)
{
    char shown[QUEUE_REASON_MAX + 1];
    if (!count_given_up(db, which, err) ||
        !sql_run(db, err,
                 "UPDATE delivery SET last_error = ?5, token = token + 1,"
                 " uncertain = CASE WHEN state = 1 THEN 1 ELSE uncertain END, state = 5 WHERE" WHICH("(0, 1, 3)"),
                 "ittit", which->id, which->kind, which->target, (int64_t)which->scope.hidden,
                 queue_reason(shown, why)))
        return false;
    *count = sql_changes(db);
    return true;
}

bool queue_delivery_give_up(struct database *db, struct access_scope scope, int64_t id, const char *why,
                            struct error *err)
{
    enum queue_delivery_state state;
    int64_t count;
    if (!find_state(db, scope, id, &state, err))
        return false;
    if (state != QUEUE_DELIVERY_WAITING && state != QUEUE_DELIVERY_DEAD)
        return error_set(err, ERROR_CONFLICT, "delivery %lld is %s: only a waiting or dead one can be given up",
                         (long long)id, queue_delivery_state_text(state));
    return give_up(db, &(struct which){scope, id, "", ""}, why, &count, err);
}

bool queue_delivery_give_up_target(struct database *db, struct access_scope scope, const char *kind, const char *target,
                                   const char *why, int64_t *count, struct error *err)
{
    return give_up(db, &(struct which){scope, -1, kind, target}, why, count, err);
}

bool queue_delivery_replay(struct database *db, struct access_scope scope, int64_t id, int64_t now_ns,
                           struct error *err)
{
    enum queue_delivery_state state;
    if (!find_state(db, scope, id, &state, err))
        return false;
    if (state != QUEUE_DELIVERY_DEAD && state != QUEUE_DELIVERY_GIVEN_UP)
        return error_set(err, ERROR_CONFLICT,
                         "delivery %lld is %s: only a dead one, or one that was given up, can be "
                         "replayed",
                         (long long)id, queue_delivery_state_text(state));
    return sql_run(db, err,
                   "INSERT INTO delivery_tally (kind, target, state, count)"
                   " SELECT kind, target, 5, -1 FROM delivery WHERE id = ? AND state = 5" TALLIED,
                   "i", id) &&
           sql_run(db, err, "UPDATE delivery SET state = 0, attempts = 0, refusals = 0, next_ns = ? WHERE id = ?", "ii",
                   now_ns, id);
}

bool queue_delivery_replay_target(struct database *db, struct access_scope scope, const char *kind, const char *target,
                                  int64_t now_ns, int64_t *count, struct error *err)
{
    if (!sql_run(db, err,
                 "UPDATE delivery SET state = 0, attempts = 0, refusals = 0, next_ns = ?"
                 " WHERE kind = ? AND target = ? AND state = 3 AND " ACCESS_SEES("delivery.study", "?"),
                 "itti", now_ns, kind, target, (int64_t)scope.hidden))
        return false;
    *count = sql_changes(db);
    return true;
}

// ---- lists

// What is not asked for is "". The study has an index of its own.
#define FILTERED                                                                                                       \
    " FROM delivery WHERE state = ?1 AND (?2 = '' OR kind = ?2) AND (?3 = '' OR target = ?3)"                          \
    " AND " ACCESS_SEES("delivery.study", "?4")
#define OF_STUDY " AND study = ?5"

bool queue_delivery_list(struct database *db, struct access_scope scope, const struct queue_delivery_filter *filter,
                         size_t limit, struct arena *arena, struct queue_delivery **out, size_t *count,
                         struct error *err)
{
    void *rows;
    struct sql *sql = sql_prepare(db,
                                  filter->study ? "SELECT " COLUMNS FILTERED OF_STUDY " ORDER BY id DESC"
                                                : "SELECT " COLUMNS FILTERED " ORDER BY id DESC",
                                  err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, (int64_t)filter->state);
    sql_bind_text(sql, 2, queue_text(filter->kind));
    sql_bind_text(sql, 3, queue_text(filter->target));
    sql_bind_int(sql, 4, (int64_t)scope.hidden);
    if (filter->study)
        sql_bind_text(sql, 5, filter->study);
    if (!queue_rows(sql, read_delivery, sizeof(struct queue_delivery), limit, arena, &rows, count, err))
        return false;
    *out = rows;
    return true;
}

bool queue_delivery_total(struct database *db, struct access_scope scope, const struct queue_delivery_filter *filter,
                          int64_t *out, struct error *err)
{
    bool found;
    return filter->study
               ? sql_get_int(db, err, out, &found, "SELECT count(*)" FILTERED OF_STUDY, "ittit", (int64_t)filter->state,
                             queue_text(filter->kind), queue_text(filter->target), (int64_t)scope.hidden, filter->study)
               : sql_get_int(db, err, out, &found, "SELECT count(*)" FILTERED, "itti", (int64_t)filter->state,
                             queue_text(filter->kind), queue_text(filter->target), (int64_t)scope.hidden);
}

static bool read_count(struct sql *sql, struct arena *arena, void *to, struct error *err)
{
    struct queue_delivery_count *count = to;
    *count = (struct queue_delivery_count){.kind = queue_column(sql, 0, arena),
                                           .target = queue_column(sql, 1, arena),
                                           .state = (enum queue_delivery_state)sql_int(sql, 2),
                                           .count = sql_int(sql, 3),
                                           .oldest_ns = sql_int(sql, 4)};
    return (count->kind && count->target) ||
           error_set(err, ERROR_MEMORY, "the deliveries' counts do not fit into the memory given");
}

// Of one target an index says how many of a state there are, and which is the oldest, without their rows. Those that
// wait may be very many: they are what is left of all that were added.
#define OF_TARGET "FROM delivery WHERE delivery.kind = t.kind AND delivery.target = t.target AND state = "
#define SENDING "(SELECT count(*) " OF_TARGET "1)"
#define DEAD "(SELECT count(*) " OF_TARGET "3)"
#define ENDED "(SELECT coalesce(sum(count), 0) FROM delivery_tally AS e WHERE e.kind = t.kind AND e.target = t.target)"
#define WAITING "added - " ENDED " - " SENDING " - " DEAD
#define OLDEST "(SELECT min(created_ns) " OF_TARGET

bool queue_delivery_counts(struct database *db, struct arena *arena, struct queue_delivery_count **out, size_t *count,
                           struct error *err)
{
    void *rows;
    struct sql *sql =
        sql_prepare(db,
                    "SELECT kind, target, state, count, 0 FROM delivery_tally UNION ALL"
                    " SELECT kind, target, 1, count(*), min(created_ns) FROM delivery WHERE state = 1"
                    " GROUP BY kind, target UNION ALL"
                    " SELECT kind, target, 0, " WAITING ", " OLDEST "0) FROM delivery_target AS t UNION ALL"
                    " SELECT kind, target, 3, " DEAD ", " OLDEST "3) FROM delivery_target AS t ORDER BY 1, 2, 3",
                    err);
    if (!sql ||
        !queue_rows(sql, read_count, sizeof(struct queue_delivery_count), QUEUE_COUNTS_MAX, arena, &rows, count, err))
        return false;
    *out = rows;
    return true;
}
