// Completeness, and what follows from events: the consumer of the log.
//
//   OBJECT_STORED, _SERVED, the series' due time moves on; what was said of it before is of earlier images until it is
//   _KEPT_BESIDE            whole (present.c)
//   ASSOCIATION_ENDED       the due time is near
//   (the due time comes)    the series has a new version: SERIES_COMPLETE
//   SERIES_COMPLETE         the rules are asked: labels of the study, jobs; and what was said is held against what is
//   there JOB_DONE                the same where there is no answer; of a job that was given up a report job
//   (given_up.c) FINDING_JUDGED          what was told is told anew: a report job (a study is quiet)      negatives
//   that waited are told: report jobs
//
// What reads files or rules is done before the transaction that makes the jobs and moves the cursor.
#include "flow/internal.h"

#include <string.h>

#include "base/log.h"

enum { EVENTS_AT_ONCE = 256, DUE_AT_ONCE = 64, MATCHES_MAX = 2 * FLOW_ROWS_MAX }; // one series has no more than rules

struct step {
    struct flow *flow;
    const struct store_event *events;
    size_t count;
    struct flow_doubts *doubts; // by event: of the series that is complete, or whose job has ended
    const char **labels;        // by event: what rules give its study; NULL or "": none
    const char **unmatched;     // by event: why its series gets no jobs; NULL: the rules were asked
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

static bool on_stored(struct step *step, struct database *db, const struct store_event *event, struct error *err)
{
    struct flow_series known;
    struct store_event_detail detail;
    struct arena *arena = &step->flow->arena;
    if (!store_event_detail(event, arena, &detail, err))
        return false;
    // What jobs make is no input.
    if (!*detail.series || strcmp(detail.how, "job") == 0)
        return true;
    if (!flow_series_get(db, event->study, detail.series, arena, &known, err))
        return false;
    struct flow_touch touch = {.study = event->study,
                               .series = detail.series,
                               .sender = detail.from,
                               .association = detail.association,
                               .last_ns = event->time_ns,
                               .gap_ns =
                                   known.open && event->time_ns > known.last_ns ? event->time_ns - known.last_ns : 0,
                               .open = strcmp(detail.how, "c-store") == 0};
    // A pause between two sendings is no gap between two slices.
    if (touch.gap_ns > FLOW_QUIET_MAX_NS || touch.gap_ns < known.gap_ns)
        touch.gap_ns = known.gap_ns;
    touch.due_ns = event->time_ns + (touch.open ? quiet_of(touch.gap_ns) : FLOW_QUIET_NS);
    // Of a series that comes for the first time nothing has been said.
    bool doubts = known.version > 0 && (detail.is_image || event->kind == STORE_EVENT_OBJECT_SERVED);
    return flow_series_touch(db, &touch, err) &&
           (!doubts || flow_doubts_raise(db, event->study, detail.series, step->now_ns, err));
}

// What is held back is missing where it came for, until somebody decides.
static bool on_kept_beside(struct step *step, struct database *db, const struct store_event *event, struct error *err)
{
    struct store_event_detail detail;
    return store_event_detail(event, &step->flow->arena, &detail, err) &&
           (!detail.is_image || on_stored(step, db, event, err));
}

static bool on_event(struct step *step, struct database *db, const struct store_event *event, struct error *err)
{
    switch (event->kind) {
    case STORE_EVENT_OBJECT_STORED:
    case STORE_EVENT_OBJECT_SERVED:
        return on_stored(step, db, event, err);
    case STORE_EVENT_OBJECT_KEPT_BESIDE:
        return on_kept_beside(step, db, event, err);
    case STORE_EVENT_ASSOCIATION_ENDED:
        return flow_association_ended(db, event->subject, FLOW_QUIET_NS, err);
    case STORE_EVENT_FINDING_JUDGED:
        return flow_report_judged(step->flow, db, event->subject, step->now_ns, err);
    case STORE_EVENT_JOB_DONE:
        return flow_note_given_up(step->flow, db, event->subject, step->now_ns, err);
    default:
        return true;
    }
}

static bool write_step(struct database *db, void *payload, struct error *err)
{
    struct step *step = payload;
    bool changed;
    for (size_t i = 0; i < step->count; i++)
        if (step->labels[i] && *step->labels[i] &&
            !access_study_label(db, step->events[i].study, step->labels[i], &changed, err))
            return false;
    for (size_t i = 0; i < step->count; i++)
        if (!on_event(step, db, &step->events[i], err) ||
            !flow_doubts_write(step->flow, db, &step->doubts[i], step->now_ns, err) ||
            (step->unmatched[i] && !queue_passed_over(db, "flow", &step->events[i], step->unmatched[i], err)))
            return false;
    for (size_t i = 0; i < step->match_count; i++) {
        bool added;
        if (!queue_job_add(db, &step->matches[i].job, step->now_ns, &added, err))
            return false;
    }
    for (size_t i = 0; i < step->count; i++)
        if (!flow_doubts_tell(step->flow, db, &step->doubts[i], step->now_ns, err))
            return false;
    return queue_consumer_advance(db, step->flow->consumer, step->events[step->count - 1].number, err);
}

// ---- a step

// What passes by itself: the step is taken again.
static bool is_passing(enum error_code code)
{
    return code == ERROR_BUSY || code == ERROR_MEMORY;
}

static bool read_job(struct step *step, const char *key, struct queue_job **out, struct error *err)
{
    struct database *db = store_read_begin(step->flow->options.store, err);
    bool ok = db && queue_job_get(db, key, &step->flow->arena, out, err);
    store_read_end(step->flow->options.store, db);
    return ok;
}

static bool doubt(struct step *step, const struct store_event *event, struct flow_doubts *out, struct error *err)
{
    struct arena *arena = &step->flow->arena;
    struct queue_job *job;
    if (event->kind == STORE_EVENT_SERIES_COMPLETE)
        return flow_doubts_find(step->flow, event->study, event->subject, false, arena, out, err);
    if (event->kind != STORE_EVENT_JOB_DONE)
        return true;
    if (!read_job(step, event->subject, &job, err))
        return false;
    bool has_answer = !job || job->state == QUEUE_JOB_DONE || strcmp(job->kind, FLOW_JOB_MODEL) != 0;
    return has_answer || flow_doubts_find(step->flow, job->study, job->series, true, arena, out, err);
}

// Jobs of the events that say a series is whole. One series' failure (its file is damaged, say) keeps no other from its
// jobs, and is told on its study. When the arena is full the series has the next step, and its whole arena, for itself.
static bool match_all(struct step *step, struct error *err)
{
    step->doubts = arena_calloc(&step->flow->arena, step->count, sizeof *step->doubts);
    step->unmatched = arena_calloc(&step->flow->arena, step->count, sizeof *step->unmatched);
    step->labels = arena_calloc(&step->flow->arena, step->count, sizeof *step->labels);
    if (!step->doubts || !step->unmatched || !step->labels)
        return error_set(err, ERROR_LIMIT, "no memory for %zu events", step->count);
    for (size_t i = 0; i < step->count; i++) {
        const struct store_event *event = &step->events[i];
        struct flow_match *found;
        struct error why;
        size_t count = 0;
        if (!doubt(step, event, &step->doubts[i], err))
            return false;
        if (event->kind != STORE_EVENT_SERIES_COMPLETE)
            continue;
        // Not for each step: while a series comes in there are many without a whole one.
        if (!step->matches)
            step->matches = arena_calloc(&step->flow->arena, MATCHES_MAX, sizeof *step->matches);
        if (!step->matches)
            return error_set(err, ERROR_LIMIT, "no memory for rules");
        if (!flow_match_series(step->flow, event->study, event->subject, false, &step->flow->arena, &found, &count,
                               &step->labels[i], &why)) {
            if (is_passing(why.code)) {
                *err = why;
                return false;
            }
            if (why.code == ERROR_LIMIT && i > 0) {
                step->count = i;
                break;
            }
            if (why.code == ERROR_NOT_FOUND) // all its images were taken into another study
                continue;
            step->unmatched[i] = arena_printf(&step->flow->arena, "the series gets no jobs: %s", why.message);
            if (!step->unmatched[i])
                return error_set(err, ERROR_LIMIT, "no memory for a reason");
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

static bool makes_jobs(const struct step *step)
{
    bool makes = step->match_count > 0;
    for (size_t i = 0; i < step->count; i++)
        makes = makes || step->doubts[i].count > 0 || step->unmatched[i] || (step->labels[i] && *step->labels[i]) ||
                step->events[i].kind == STORE_EVENT_OBJECT_SERVED ||
                step->events[i].kind == STORE_EVENT_FINDING_JUDGED || step->events[i].kind == STORE_EVENT_JOB_DONE;
    return makes;
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
    // Jobs are not in the lanes: they must be on the disk before anything is done for them. That an image casts doubt
    // is found again.
    enum store_durability durability = makes_jobs(&step) ? STORE_DURABLE : STORE_REPLAYABLE;
    if (!store_write(flow->options.store, durability, write_step, &step, err))
        return false;
    queue_consumer_advanced(flow->consumer, events[step.count - 1].number);
    *worked = true;
    return true;
}

struct due {
    struct flow *flow;
    int64_t now_ns;
    size_t count;
};

static bool complete_one(struct database *db, const char *study, const char *series, int64_t version, struct error *err)
{
    const struct store_event_detail detail = {.version = version};
    return flow_series_complete(db, study, series, version, err) &&
           store_event_add(db, STORE_EVENT_SERIES_COMPLETE, study, series, &detail, err);
}

static bool write_due(struct database *db, void *payload, struct error *err)
{
    struct due *due = payload;
    char study[DICOM_UID_SIZE], series[DICOM_UID_SIZE];
    int64_t version;
    bool found = true;
    for (due->count = 0; due->count < DUE_AT_ONCE; due->count++) {
        if (!flow_series_next_due(db, due->now_ns, study, series, &version, &found, err))
            return false;
        if (!found)
            return true;
        if (!complete_one(db, study, series, version + 1, err))
            return false;
    }
    return true;
}

// One negative that cannot be told keeps no other back.
static bool tell_held(struct due *due, struct database *db, const char *study, const char *result, struct error *err)
{
    struct error why;
    const struct store_event event = {.kind = STORE_EVENT_RESULT_CHANGED, .study = study, .subject = result};
    arena_reset(&due->flow->arena);
    if (flow_report_held(due->flow, db, result, due->now_ns, &why))
        return true;
    if (queue_is_own_fault(why.code))
        return queue_passed_over(db, "flow", &event, why.message, err);
    *err = why;
    return false;
}

static bool write_held(struct database *db, void *payload, struct error *err)
{
    struct due *due = payload;
    char study[DICOM_UID_SIZE], result[FINDING_ID_SIZE];
    bool found = true;
    for (due->count = 0; due->count < DUE_AT_ONCE; due->count++) {
        if (!flow_hold_next(db, due->now_ns, due->flow->options.negative_quiet_ns, study, result, &found, err))
            return false;
        if (!found)
            return true;
        if (!tell_held(due, db, study, result, err) || !flow_hold_remove(db, result, err))
            return false;
    }
    return true;
}

// A look costs no write.
static bool is_anything_due(struct flow *flow, int64_t now_ns, bool *due, bool *held, struct error *err)
{
    char study[DICOM_UID_SIZE], series[DICOM_UID_SIZE], result[FINDING_ID_SIZE];
    int64_t version;
    struct database *db = store_read_begin(flow->options.store, err);
    bool ok = db && flow_series_next_due(db, now_ns, study, series, &version, due, err) &&
              flow_hold_next(db, now_ns, flow->options.negative_quiet_ns, study, result, held, err);
    store_read_end(flow->options.store, db);
    return ok;
}

bool flow_complete_step(struct flow *flow, int64_t now_ns, bool *worked, struct error *err)
{
    struct due due = {.flow = flow, .now_ns = now_ns};
    bool any = false, held = false;
    *worked = false;
    arena_reset(&flow->arena);
    if (!take_events(flow, now_ns, worked, err) || !is_anything_due(flow, now_ns, &any, &held, err))
        return false;
    *worked = *worked || any || held;
    return (!any || store_write(flow->options.store, STORE_REPLAYABLE, write_due, &due, err)) &&
           (!held || store_write(flow->options.store, STORE_DURABLE, write_held, &due, err));
}
