// Completeness, and from whole series to jobs: the consumer of the event log.
//
// OBJECT_STORED moves the series' due time on; ASSOCIATION_ENDED brings it near; a series whose due time has come gets
// a new version and SERIES_COMPLETE; SERIES_COMPLETE asks the rules and makes jobs. What reads files (the rules' look
// at headers) is done before the transaction that makes the jobs and moves the cursor.
#include "flow/internal.h"

#include <string.h>

#include "base/log.h"

enum { EVENTS_AT_ONCE = 256, DUE_AT_ONCE = 64, MATCHES_MAX = 2 * FLOW_ROWS_MAX }; // one series has no more than rules

struct step {
    struct flow *flow;
    const struct store_event *events;
    size_t count;
    struct flow_match *matches; // of the SERIES_COMPLETE events
    size_t match_count;
    int64_t now_ns;
};

// ---- one event into rows

static int64_t quiet_of(int64_t gap_ns)
{
    int64_t quiet_ns = gap_ns > FLOW_QUIET_MAX_NS / 4 ? FLOW_QUIET_MAX_NS : 4 * gap_ns;
    return quiet_ns < FLOW_QUIET_OPEN_NS ? FLOW_QUIET_OPEN_NS : quiet_ns;
}

struct known {
    int64_t last_ns, gap_ns;
    bool open; // the association that sent the last object
};

static bool look_up(struct database *db, const char *study, const char *series, struct known *out, struct error *err)
{
    bool row;
    struct sql *sql =
        sql_prepare(db, "SELECT last_ns, gap_ns, open FROM flow_series WHERE study=?1 AND series=?2", err);
    *out = (struct known){0};
    if (!sql)
        return false;
    sql_bind_text(sql, 1, study);
    sql_bind_text(sql, 2, series);
    bool ok = sql_step(sql, &row, err);
    if (ok && row)
        *out = (struct known){sql_int(sql, 0), sql_int(sql, 1), sql_int(sql, 2) != 0};
    sql_done(sql);
    return ok;
}

static bool on_stored(struct flow *flow, struct database *db, const struct store_event *event, struct error *err)
{
    struct known known;
    struct store_event_detail detail;
    if (!store_event_detail(event, &flow->arena, &detail, err))
        return false;
    // What jobs make is no input.
    if (!*detail.series || strcmp(detail.how, "job") == 0)
        return true;
    if (!look_up(db, event->study, detail.series, &known, err))
        return false;
    bool open = strcmp(detail.how, "c-store") == 0;
    int64_t gap_ns = known.open && event->time_ns > known.last_ns ? event->time_ns - known.last_ns : 0;
    // A pause between two sendings is no gap between two slices.
    if (gap_ns > FLOW_QUIET_MAX_NS || gap_ns < known.gap_ns)
        gap_ns = known.gap_ns;
    int64_t due_ns = event->time_ns + (open ? quiet_of(gap_ns) : FLOW_QUIET_NS);
    return sql_run(db, err,
                   "INSERT INTO flow_series(study, series, sender, last_ns, gap_ns, open, objects, version, "
                   "due_ns, association) VALUES(?1,?2,?3,?4,?5,?6,1,0,?7,?8)"
                   " ON CONFLICT(study, series) DO UPDATE SET sender=excluded.sender, "
                   "last_ns=excluded.last_ns, gap_ns=excluded.gap_ns, open=excluded.open,"
                   " objects=objects+1, due_ns=excluded.due_ns, association=excluded.association",
                   "tttiiiit", event->study, detail.series, detail.from, event->time_ns, gap_ns, (int64_t)open, due_ns,
                   detail.association);
}

static bool on_ended(struct database *db, const struct store_event *event, struct error *err)
{
    return sql_run(
        db, err,
        "UPDATE flow_series SET open=0, due_ns=last_ns+?2 WHERE association=?1 AND open=1 AND due_ns IS NOT NULL", "ti",
        event->subject, FLOW_QUIET_NS);
}

static bool write_step(struct database *db, void *payload, struct error *err)
{
    struct step *step = payload;
    for (size_t i = 0; i < step->count; i++) {
        const struct store_event *event = &step->events[i];
        if ((event->kind == STORE_EVENT_OBJECT_STORED && !on_stored(step->flow, db, event, err)) ||
            (event->kind == STORE_EVENT_ASSOCIATION_ENDED && !on_ended(db, event, err)))
            return false;
    }
    for (size_t i = 0; i < step->match_count; i++) {
        bool added;
        if (!queue_job_add(db, &step->matches[i].job, step->now_ns, &added, err))
            return false;
    }
    return queue_consumer_advance(db, step->flow->consumer, step->events[step->count - 1].number, err);
}

// ---- a step

// What passes by itself: the step is taken again.
static bool is_passing(enum error_code code)
{
    return code == ERROR_BUSY || code == ERROR_MEMORY;
}

// Jobs of the events that say a series is whole. One series' failure (its file is damaged, say) keeps no other from its
// jobs. When the arena is full the series has the next step, and its whole arena, for itself.
static bool match_all(struct step *step, struct error *err)
{
    for (size_t i = 0; i < step->count; i++) {
        const struct store_event *event = &step->events[i];
        struct flow_match *found;
        struct error why;
        size_t count = 0;
        if (event->kind != STORE_EVENT_SERIES_COMPLETE)
            continue;
        // Not for each step: while a series comes in there are many without a whole one.
        if (!step->matches)
            step->matches = arena_calloc(&step->flow->arena, MATCHES_MAX, sizeof *step->matches);
        if (!step->matches)
            return error_set(err, ERROR_LIMIT, "no memory for rules");
        if (!flow_match_series(step->flow, event->study, event->subject, &step->flow->arena, &found, &count, &why)) {
            if (is_passing(why.code)) {
                *err = why;
                return false;
            }
            if (why.code == ERROR_LIMIT && i > 0) {
                step->count = i;
                break;
            }
            log_warning("flow", "series %s gets no jobs: %s", event->subject, why.message);
            continue;
        }
        if (step->match_count + count > MATCHES_MAX && i > 0) {
            step->count = i; // the rest in the next step
            break;
        }
        if (count > 0)
            memcpy(step->matches + step->match_count, found, count * sizeof *found);
        step->match_count += count;
    }
    return true;
}

static bool take_events(struct flow *flow, int64_t now_ns, bool *worked, struct error *err)
{
    struct step step = {.flow = flow, .now_ns = now_ns};
    struct store_event *events;
    if (!queue_consumer_next(flow->consumer, 0, EVENTS_AT_ONCE, &flow->arena, &events, &step.count, err))
        return false;
    step.events = events;
    if (step.count == 0)
        return true;
    if (!match_all(&step, err))
        return false;
    // Jobs are not in the lanes: they must be on the disk before anything is done for them.
    enum store_durability durability = step.match_count > 0 ? STORE_DURABLE : STORE_REPLAYABLE;
    if (!store_write(flow->options.store, durability, write_step, &step, err))
        return false;
    queue_consumer_advanced(flow->consumer, events[step.count - 1].number);
    *worked = true;
    return true;
}

struct due {
    int64_t now_ns;
    size_t count;
};

static bool complete_one(struct database *db, const char *study, const char *series, int64_t version, struct error *err)
{
    const struct store_event_detail detail = {.version = version};
    return sql_run(db, err, "UPDATE flow_series SET version=?3, due_ns=NULL WHERE study=?1 AND series=?2", "tti", study,
                   series, version) &&
           store_event_add(db, STORE_EVENT_SERIES_COMPLETE, study, series, &detail, err);
}

static bool write_due(struct database *db, void *payload, struct error *err)
{
    struct due *due = payload;
    due->count = 0;
    for (;;) {
        char study[DICOM_UID_SIZE], series[DICOM_UID_SIZE];
        bool row;
        struct sql *sql = sql_prepare(
            db, "SELECT study, series, version FROM flow_series WHERE due_ns<=?1 ORDER BY due_ns LIMIT 1", err);
        if (!sql)
            return false;
        sql_bind_int(sql, 1, due->now_ns);
        bool ok = sql_step(sql, &row, err);
        int64_t version = 0;
        if (ok && row) {
            snprintf(study, sizeof study, "%s", sql_text(sql, 0));
            snprintf(series, sizeof series, "%s", sql_text(sql, 1));
            version = sql_int(sql, 2) + 1;
        }
        sql_done(sql);
        if (!ok || !row || due->count == DUE_AT_ONCE)
            return ok;
        if (!complete_one(db, study, series, version, err))
            return false;
        due->count++;
    }
}

static bool is_anything_due(struct flow *flow, int64_t now_ns, bool *due, struct error *err)
{
    int64_t one;
    struct database *db = store_read_begin(flow->options.store, err);
    if (!db)
        return false;
    bool ok = sql_get_int(db, err, &one, due, "SELECT 1 FROM flow_series WHERE due_ns<=?1 LIMIT 1", "i", now_ns);
    store_read_end(flow->options.store, db);
    return ok;
}

bool flow_complete_step(struct flow *flow, int64_t now_ns, bool *worked, struct error *err)
{
    struct due due = {.now_ns = now_ns};
    bool any = false;
    *worked = false;
    arena_reset(&flow->arena);
    if (!take_events(flow, now_ns, worked, err) || !is_anything_due(flow, now_ns, &any, err))
        return false;
    if (!any)
        return true;
    *worked = true;
    return store_write(flow->options.store, STORE_REPLAYABLE, write_due, &due, err);
}
