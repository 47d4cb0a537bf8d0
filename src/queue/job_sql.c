// Jobs: claimed with a lease, finished with the token of that lease.
//
//   FROM     TO       BY
//   -        QUEUED   queue_job_add
//   SKIPPED  QUEUED   the same: what was not done is wanted again (its package is back, say)
//   QUEUED   RUNNING  queue_job_claim
//   RUNNING  QUEUED   queue_job_claim of anyone once the lease ran out; queue_job_finish that gives it back
//   RUNNING  FAILED   the same two, after the last attempt
//   RUNNING  DONE, FAILED, SKIPPED   queue_job_finish
#include "queue/queue_internal.h"

#include <stdio.h>
#include <string.h>

#include "base/fault.h"

#define COLUMNS                                                                                                        \
    "key, kind, study, series, model, input, state, outcome, reason, result, priority, created_ns, started_ns,"        \
    " finished_ns, attempts, token, retry_ns, fixed, cause"

enum { EXPIRED_PER_CLAIM = 100, AGAIN_AT_ONCE = 16 };

static const char lease_lost[] = "the worker did not finish in time";

const char *queue_job_state_text(enum queue_job_state state)
{
    static const char *const texts[] = {"queued", "running", "done", "failed", "skipped"};
    return (unsigned)state < sizeof texts / sizeof *texts ? texts[state] : "";
}

static bool read_job(struct sql *sql, struct arena *arena, void *to, struct error *err)
{
    struct queue_job *job = to;
    *job = (struct queue_job){.key = queue_column(sql, 0, arena),
                              .kind = queue_column(sql, 1, arena),
                              .study = queue_column(sql, 2, arena),
                              .series = queue_column(sql, 3, arena),
                              .model = queue_column(sql, 4, arena),
                              .input = queue_column(sql, 5, arena),
                              .state = (enum queue_job_state)sql_int(sql, 6),
                              .outcome = queue_column(sql, 7, arena),
                              .reason = queue_column(sql, 8, arena),
                              .result = queue_column(sql, 9, arena),
                              .priority = sql_int(sql, 10),
                              .created_ns = sql_int(sql, 11),
                              .started_ns = sql_int(sql, 12),
                              .finished_ns = sql_int(sql, 13),
                              .attempts = sql_int(sql, 14),
                              .token = sql_int(sql, 15),
                              .retry_ns = sql_int(sql, 16),
                              .fixed = queue_column(sql, 17, arena),
                              .cause = queue_column(sql, 18, arena)};
    return (job->key && job->kind && job->study && job->series && job->model && job->input && job->outcome &&
            job->reason && job->result && job->fixed && job->cause) ||
           error_set(err, ERROR_MEMORY, "a job does not fit into the memory given");
}

// ---- add

static bool check_job(const struct queue_job *job, struct error *err)
{
    if (!job->key || !job->key[0])
        return error_set(err, ERROR_USAGE, "a job needs a key");
    return queue_check_text("the job's key", job->key, QUEUE_KEY_MAX, err) &&
           queue_check_text("the job's kind", job->kind, QUEUE_NAME_MAX, err) &&
           queue_check_text("the job's study", job->study, QUEUE_NAME_MAX, err) &&
           queue_check_text("the job's series", job->series, QUEUE_NAME_MAX, err) &&
           queue_check_text("the job's model", job->model, QUEUE_NAME_MAX, err) &&
           queue_check_text("the job's input", job->input, QUEUE_BODY_MAX, err);
}

// Counts the key's job, if its state is at least that one: all from DONE on have ended.
static bool tally(struct database *db, const char *key, enum queue_job_state least, int64_t more, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO job_tally (kind, model, state, outcome, cause, count)"
                   " SELECT kind, model, state, outcome, cause, ?3 FROM job WHERE key = ?1 AND state >= ?2"
                   " ON CONFLICT (kind, model, state, outcome, cause)"
                   " DO UPDATE SET count = job_tally.count + excluded.count",
                   "tii", key, (int64_t)least, more);
}

bool queue_job_add(struct database *db, const struct queue_job *job, int64_t now_ns, bool *added, struct error *err)
{
    *added = false;
    if (!check_job(job, err) || !tally(db, job->key, QUEUE_JOB_SKIPPED, -1, err))
        return false;
    if (!sql_run(
            db, err,
            "INSERT INTO job (key, kind, study, series, model, input, state, priority, created_ns, retry_ns)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET state = 0,"
            " input = excluded.input, outcome = '', reason = '', cause = '', result = '', priority = excluded.priority,"
            " started_ns = 0, finished_ns = 0, fixed = '', retry_ns = excluded.retry_ns, attempts = 0, crashes = 0"
            " WHERE job.state = 4",
            "ttttttiii", job->key, queue_text(job->kind), queue_text(job->study), queue_text(job->series),
            queue_text(job->model), queue_text(job->input), job->priority, now_ns, job->retry_ns))
        return false;
    *added = sql_changes(db) > 0;
    if (!*added)
        return true;
    const struct store_event_detail detail = {.kind = job->kind, .model = job->model};
    return store_event_add(db, STORE_EVENT_JOB_QUEUED, queue_text(job->study), job->key, &detail, err);
}

static bool find_skipped(struct database *db, const char *kind, const char *reason, struct arena *arena,
                         struct queue_job **out, size_t *count, struct error *err)
{
    void *rows;
    struct sql *sql = sql_prepare(
        db, "SELECT " COLUMNS " FROM job WHERE kind = ? AND state = 4 AND reason = ? ORDER BY number LIMIT ?", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, kind);
    sql_bind_text(sql, 2, reason);
    sql_bind_int(sql, 3, AGAIN_AT_ONCE);
    bool ok = queue_rows(sql, read_job, sizeof(struct queue_job), AGAIN_AT_ONCE, arena, &rows, count, err);
    *out = ok ? rows : NULL;
    return ok;
}

bool queue_job_again(struct database *db, const char *kind, const char *reason, int64_t now_ns, size_t *count,
                     struct error *err)
{
    struct arena arena;
    struct queue_job *jobs;
    size_t found = 1;
    bool ok = true;
    *count = 0;
    arena_init(&arena, AGAIN_AT_ONCE * QUEUE_BODY_MAX);
    while (ok && found > 0) {
        arena_reset(&arena);
        ok = find_skipped(db, kind, reason, &arena, &jobs, &found, err);
        for (size_t i = 0; ok && i < found; i++) {
            bool added;
            jobs[i].retry_ns = 0;
            ok = queue_job_add(db, &jobs[i], now_ns, &added, err) && added;
            *count += ok;
        }
    }
    arena_free(&arena);
    return ok;
}

// ---- finish

// What the row itself says about a job whose lease is held.
struct held {
    char study[QUEUE_NAME_MAX + 1];
    char model[QUEUE_NAME_MAX + 1];
    char reason[QUEUE_REASON_MAX + 1];
    int64_t attempts;
};

static void read_held(struct sql *sql, struct held *held)
{
    snprintf(held->study, sizeof held->study, "%s", queue_text(sql_text(sql, 0)));
    snprintf(held->model, sizeof held->model, "%s", queue_text(sql_text(sql, 1)));
    snprintf(held->reason, sizeof held->reason, "%s", queue_text(sql_text(sql, 2)));
    held->attempts = sql_int(sql, 3);
}

static bool find_held(struct database *db, const char *key, int64_t token, struct held *held, struct error *err)
{
    bool row = false;
    struct sql *sql = sql_prepare(
        db, "SELECT study, model, reason, attempts FROM job WHERE key = ? AND token = ? AND state = 1", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, key);
    sql_bind_int(sql, 2, token);
    bool ok = sql_step(sql, &row, err);
    if (ok && row)
        read_held(sql, held);
    sql_done(sql);
    if (ok && !row)
        return error_set(err, ERROR_CONFLICT, "the lease of job %.64s was lost", key);
    return ok;
}

static bool close_job(struct database *db, const struct queue_job *job, const struct held *held, int64_t now_ns,
                      struct error *err)
{
    char reason[QUEUE_REASON_MAX + 1];
    const struct store_event_detail detail = {
        .state = queue_job_state_text(job->state), .outcome = job->outcome, .model = held->model};
    if (!sql_run(
            db, err,
            "UPDATE job SET state = ?, outcome = ?, reason = ?, cause = ?, result = ?, finished_ns = ? WHERE key = ?",
            "ittttit", (int64_t)job->state, queue_text(job->outcome), queue_reason(reason, job->reason),
            queue_text(job->cause), queue_text(job->result), now_ns, job->key) ||
        !tally(db, job->key, QUEUE_JOB_DONE, 1, err))
        return false;
    return store_event_add(db, STORE_EVENT_JOB_DONE, held->study, job->key, &detail, err);
}

static bool give_up(struct database *db, const char *key, const struct held *held, const char *last, int64_t now_ns,
                    struct error *err)
{
    char reason[QUEUE_REASON_MAX + 64];
    snprintf(reason, sizeof reason, "gave up after %lld attempts: %s", (long long)held->attempts, last);
    return close_job(db,
                     &(struct queue_job){.key = key, .state = QUEUE_JOB_FAILED, .reason = reason, .cause = "attempts"},
                     held, now_ns, err);
}

static bool give_back(struct database *db, const struct queue_job *job, const struct held *held, int64_t now_ns,
                      struct error *err)
{
    char reason[QUEUE_REASON_MAX + 1];
    queue_reason(reason, job->reason);
    if (held->attempts >= QUEUE_JOB_ATTEMPTS_MAX)
        return give_up(db, job->key, held, reason, now_ns, err);
    return sql_run(db, err, "UPDATE job SET state = 0, reason = ?, retry_ns = ? WHERE key = ?", "tit", reason,
                   job->retry_ns, job->key);
}

bool queue_job_finish(struct database *db, const struct queue_job *job, int64_t token, int64_t now_ns,
                      struct error *err)
{
    struct held held;
    if (job->state == QUEUE_JOB_RUNNING || job->state > QUEUE_JOB_SKIPPED)
        return error_set(err, ERROR_USAGE, "a job cannot be finished as state %d", (int)job->state);
    if (!queue_check_text("the job's outcome", job->outcome, QUEUE_NAME_MAX, err) ||
        !queue_check_text("the job's cause", job->cause, QUEUE_NAME_MAX, err) ||
        !queue_check_text("the job's result", job->result, QUEUE_BODY_MAX, err))
        return false;
    if (!find_held(db, job->key, token, &held, err))
        return false;
    bool ok = job->state == QUEUE_JOB_QUEUED ? give_back(db, job, &held, now_ns, err)
                                             : close_job(db, job, &held, now_ns, err);
    fault_point("job.in_commit");
    return ok;
}

// ---- claim

// The first job of the kind whose lease ran out after its last attempt; its key into `key`, "" when there is none.
static bool find_spent(struct database *db, const char *kind, int64_t now_ns, char key[QUEUE_KEY_MAX + 1],
                       int64_t *token, struct error *err)
{
    bool row = false;
    struct sql *sql = sql_prepare(
        db, "SELECT key, token FROM job WHERE kind = ? AND state = 1 AND lease_ns <= ? AND attempts >= ? LIMIT 1", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, kind);
    sql_bind_int(sql, 2, now_ns);
    sql_bind_int(sql, 3, QUEUE_JOB_ATTEMPTS_MAX);
    bool ok = sql_step(sql, &row, err);
    snprintf(key, QUEUE_KEY_MAX + 1, "%s", ok && row ? queue_text(sql_text(sql, 0)) : "");
    *token = ok && row ? sql_int(sql, 1) : 0;
    sql_done(sql);
    return ok;
}

static bool fail_spent(struct database *db, const char *kind, int64_t now_ns, struct error *err)
{
    for (int i = 0; i < EXPIRED_PER_CLAIM; i++) {
        char key[QUEUE_KEY_MAX + 1];
        struct held held;
        int64_t token;
        if (!find_spent(db, kind, now_ns, key, &token, err))
            return false;
        if (!key[0])
            return true;
        if (!find_held(db, key, token, &held, err) || !give_up(db, key, &held, lease_lost, now_ns, err))
            return false;
    }
    return true;
}

static bool expire(struct database *db, const char *kind, int64_t now_ns, struct error *err)
{
    return fail_spent(db, kind, now_ns, err) &&
           sql_run(db, err,
                   "UPDATE job SET state = 0, retry_ns = 0, reason = ?"
                   " WHERE kind = ? AND state = 1 AND lease_ns <= ? AND attempts < ?",
                   "ttii", lease_lost, kind, now_ns, (int64_t)QUEUE_JOB_ATTEMPTS_MAX);
}

static bool get_by_number(struct database *db, int64_t number, struct arena *arena, struct queue_job **out,
                          struct error *err)
{
    void *rows;
    size_t count;
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM job WHERE number = ?", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, number);
    if (!queue_rows(sql, read_job, sizeof(struct queue_job), 1, arena, &rows, &count, err))
        return false;
    *out = rows;
    return true;
}

bool queue_job_claim(struct database *db, const char *kind, int64_t now_ns, int64_t lease_ns, struct arena *arena,
                     struct queue_job **out, struct error *err)
{
    int64_t number = 0;
    bool found;
    *out = NULL;
    if (!expire(db, kind, now_ns, err))
        return false;
    if (!sql_get_int(db, err, &number, &found,
                     "SELECT number FROM job WHERE kind = ? AND state = 0 AND retry_ns <= ?"
                     " ORDER BY priority DESC, number LIMIT 1",
                     "ti", kind, now_ns))
        return false;
    if (!found)
        return true;
    return sql_run(db, err,
                   "UPDATE job SET state = 1, token = token + 1, attempts = attempts + 1, started_ns = ?, lease_ns = ?"
                   " WHERE number = ?",
                   "iii", now_ns, now_ns + lease_ns, number) &&
           get_by_number(db, number, arena, out, err);
}

bool queue_job_renew(struct database *db, const char *key, int64_t token, int64_t until_ns, struct error *err)
{
    if (!sql_run(db, err, "UPDATE job SET lease_ns = ? WHERE key = ? AND token = ? AND state = 1", "iti", until_ns, key,
                 token))
        return false;
    return sql_changes(db) == 1 || error_set(err, ERROR_CONFLICT, "the lease of job %.64s was lost", key);
}

bool queue_job_fix(struct database *db, const char *key, int64_t token, const char *text, struct arena *arena,
                   const char **out, struct error *err)
{
    struct queue_job *job;
    if (!sql_run(db, err,
                 "UPDATE job SET fixed = CASE fixed WHEN '' THEN ?1 ELSE fixed END WHERE key = ?2 AND"
                 " token = ?3 AND state = 1",
                 "tti", text, key, token))
        return false;
    if (sql_changes(db) != 1)
        return error_set(err, ERROR_CONFLICT, "the lease of job %.64s was lost", key);
    if (!queue_job_get(db, key, arena, &job, err))
        return false;
    *out = job->fixed;
    return true;
}

// ---- reading

bool queue_job_get(struct database *db, const char *key, struct arena *arena, struct queue_job **out, struct error *err)
{
    void *rows;
    size_t count;
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM job WHERE key = ?", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, key);
    if (!queue_rows(sql, read_job, sizeof(struct queue_job), 1, arena, &rows, &count, err))
        return false;
    *out = rows;
    return true;
}

#define SEEN "kind = ?1 AND " ACCESS_SEES("job.study", "?2")

bool queue_job_list(struct database *db, struct access_scope scope, const char *kind, const char *study, size_t limit,
                    struct arena *arena, struct queue_job **out, size_t *count, struct error *err)
{
    void *rows;
    struct sql *sql =
        study ? sql_prepare(db, "SELECT " COLUMNS " FROM job WHERE " SEEN " AND study = ?3 ORDER BY number DESC", err)
              : sql_prepare(db, "SELECT " COLUMNS " FROM job WHERE " SEEN " ORDER BY number DESC", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, kind);
    sql_bind_int(sql, 2, (int64_t)scope.hidden);
    if (study)
        sql_bind_text(sql, 3, study);
    if (!queue_rows(sql, read_job, sizeof(struct queue_job), limit, arena, &rows, count, err))
        return false;
    *out = rows;
    return true;
}

bool queue_job_total(struct database *db, struct access_scope scope, const char *kind, const char *study, int64_t *out,
                     struct error *err)
{
    bool found;
    const int64_t hidden = (int64_t)scope.hidden;
    return study ? sql_get_int(db, err, out, &found, "SELECT count(*) FROM job WHERE " SEEN " AND study = ?3", "tit",
                               kind, hidden, study)
                 : sql_get_int(db, err, out, &found,
                               "SELECT (SELECT coalesce(sum(count), 0) FROM job_tally WHERE kind = ?1)"
                               " + (SELECT count(*) FROM job WHERE kind = ?1 AND state = 0)"
                               " + (SELECT count(*) FROM job WHERE kind = ?1 AND state = 1)"
                               " - (SELECT count(*) FROM study_label JOIN job ON job.study = study_label.study"
                               " WHERE labels <> 0 AND (labels & ?2) <> 0 AND kind = ?1)",
                               "ti", kind, hidden);
}

bool queue_job_list_state(struct database *db, struct access_scope scope, const char *kind, enum queue_job_state state,
                          size_t limit, struct arena *arena, struct queue_job **out, size_t *count, int64_t *total,
                          struct error *err)
{
    void *rows;
    bool found;
    if (!sql_get_int(db, err, total, &found, "SELECT count(*) FROM job WHERE " SEEN " AND state = ?3", "tii", kind,
                     (int64_t)scope.hidden, (int64_t)state))
        return false;
    struct sql *sql =
        sql_prepare(db, "SELECT " COLUMNS " FROM job WHERE " SEEN " AND state = ?3 ORDER BY number DESC", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, kind);
    sql_bind_int(sql, 2, (int64_t)scope.hidden);
    sql_bind_int(sql, 3, (int64_t)state);
    if (!queue_rows(sql, read_job, sizeof(struct queue_job), limit, arena, &rows, count, err))
        return false;
    *out = rows;
    return true;
}

static bool read_count(struct sql *sql, struct arena *arena, void *to, struct error *err)
{
    struct queue_job_count *count = to;
    *count = (struct queue_job_count){.model = queue_column(sql, 0, arena),
                                      .state = (enum queue_job_state)sql_int(sql, 1),
                                      .outcome = queue_column(sql, 2, arena),
                                      .cause = queue_column(sql, 3, arena),
                                      .count = sql_int(sql, 4)};
    return (count->model && count->outcome && count->cause) ||
           error_set(err, ERROR_MEMORY, "the jobs' counts do not fit into the memory given");
}

bool queue_job_counts(struct database *db, const char *kind, struct arena *arena, struct queue_job_count **out,
                      size_t *count, struct error *err)
{
    void *rows;
    struct sql *sql = sql_prepare(db,
                                  "SELECT model, state, outcome, cause, count FROM job_tally"
                                  " WHERE kind = ?1 AND count > 0 UNION ALL"
                                  " SELECT model, state, '', '', count(*) FROM job WHERE kind = ?1 AND state = 0"
                                  " GROUP BY model, state UNION ALL"
                                  " SELECT model, state, '', '', count(*) FROM job WHERE kind = ?1 AND state = 1"
                                  " GROUP BY model, state ORDER BY 1, 2, 3, 4",
                                  err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, kind);
    if (!queue_rows(sql, read_count, sizeof(struct queue_job_count), QUEUE_COUNTS_MAX, arena, &rows, count, err))
        return false;
    *out = rows;
    return true;
}
