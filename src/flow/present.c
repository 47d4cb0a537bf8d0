// What is said of a series against what the series is now.
//
//   an image comes, or is served in place of     what is said is of earlier images, until the series is whole again
//   another (OBJECT_STORED, _KEPT_BESIDE,
//   _SERVED)
//   the series is whole (SERIES_COMPLETE)        of earlier images is what was said of others than are there now; what
//                                                was said of a patient of whom none is there is withdrawn
//   a job ended without an answer (JOB_DONE)     what was said of a patient beside whom there is another is withdrawn
//                                                too: a job with an answer has done so itself
//
// A record that has an answer of earlier images hears so where no job follows, whose answer would tell it.
// All of it follows from rows, whoever is there to do a job. What is withdrawn is told by a report job (report.c).
#include "flow/internal.h"

#include <string.h>

// A result of the program before knows its patient by ID only, or not at all.
static bool is_of_patient(const struct finding_result *result, const struct archive_object *object)
{
    if (result->patient)
        return result->patient == object->patient;
    return !*result->digest ||
           (strcmp(result->patient_id, object->patient_id) == 0 && strcmp(result->issuer, object->issuer) == 0);
}

static size_t count_own(const struct finding_result *result, const struct archive_object *objects, size_t count)
{
    size_t own = 0;
    for (size_t i = 0; i < count; i++)
        own += is_of_patient(result, &objects[i]);
    return own;
}

const char *flow_why_withdrawn(const struct finding_result *result, const struct archive_object *objects, size_t count)
{
    size_t own = count_own(result, objects, count);
    if (count == 0)
        return "none of the images is here any more: they were taken into another series or study";
    if (own == 0)
        return "the images are not this patient's: they came again under another";
    return own < count ? "some of the images are another patient's" : NULL;
}

bool flow_series_objects(struct flow *flow, const char *study, const char *series, struct arena *arena,
                         struct archive_object **out, size_t *count, struct error *err)
{
    *count = 0;
    return archive_objects(flow->options.archive, ACCESS_ALL, study, series, NULL, arena, out, count, err) ||
           err->code == ERROR_NOT_FOUND;
}

// ---- what is to be written

// Those of one series.
static bool read_results(struct flow *flow, const char *study, const char *series, struct arena *arena,
                         struct finding_result **out, size_t *count, struct error *err)
{
    struct database *db = store_read_begin(flow->options.store, err);
    bool ok = db && finding_result_list(db, study, series, false, arena, out, count, err);
    store_read_end(flow->options.store, db);
    return ok;
}

// Beside another patient's images, what is no answer says no more than that.
static bool is_withdrawn(const struct finding_result *result, bool ended, const struct archive_object *objects,
                         size_t count)
{
    size_t own = count_own(result, objects, count);
    return own == 0 || (ended && finding_is_answer(result->outcome) && own < count);
}

static bool compare(struct flow *flow, const char *study, const char *series, bool ended,
                    const struct finding_result *results, struct flow_doubts *out, struct arena *scratch,
                    struct error *err)
{
    struct archive_object *objects;
    char content[65];
    size_t count;
    struct archive_held_back held_back;
    if (!flow_series_objects(flow, study, series, scratch, &objects, &count, err) ||
        !archive_held_back(flow->options.archive, study, series, &held_back, err) ||
        !flow_job_key(content, "", "", objects, count, &held_back, err))
        return false;
    for (size_t i = 0; i < out->count; i++) {
        const struct finding_result *result = &results[i];
        out->list[i] = (struct flow_doubt){.result = result->id,
                                           .is_earlier = *result->digest && strcmp(result->digest, content) != 0,
                                           .is_withdrawn = is_withdrawn(result, ended, objects, count)};
    }
    return true;
}

bool flow_doubts_find(struct flow *flow, const char *study, const char *series, bool ended, struct arena *arena,
                      struct flow_doubts *out, struct error *err)
{
    struct finding_result *results;
    struct arena scratch;
    *out = (struct flow_doubts){0};
    if (!read_results(flow, study, series, arena, &results, &out->count, err) || out->count == 0)
        return out->count == 0;
    out->list = arena_calloc(arena, out->count, sizeof *out->list);
    if (!out->list)
        return error_set(err, ERROR_LIMIT, "no memory for %zu results", out->count);
    arena_init(&scratch, FLOW_ARENA_MAX);
    bool ok = compare(flow, study, series, ended, results, out, &scratch, err);
    arena_free(&scratch);
    return ok;
}

// ---- writing it

// Of earlier images nothing is told late that says nothing was found. When its images are back, what waited for a quiet
// study waits again, and what waited to be sent.
static bool mark_negative(struct database *db, const struct finding_result *result, bool is_earlier,
                          struct arena *arena, struct error *err)
{
    if (is_earlier)
        return queue_delivery_obsolete(db, result->topic, "", "", err);
    if (!result->told)
        return flow_hold_add(db, result->id, result->study, 0, err);
    const char *batch = flow_batch(result, arena);
    return batch ? queue_delivery_again(db, result->topic, batch, err)
                 : error_set(err, ERROR_LIMIT, "no memory for what is told of a result");
}

static bool mark(struct database *db, const struct finding_result *result, bool is_earlier, int64_t now_ns,
                 struct arena *arena, struct error *err)
{
    return result->is_earlier == is_earlier ||
           (finding_result_mark_earlier(db, result->id, is_earlier, now_ns, err) &&
            (result->outcome != FINDING_NEGATIVE || mark_negative(db, result, is_earlier, arena, err)));
}

bool flow_doubts_raise(struct database *db, const char *study, const char *series, int64_t now_ns, struct error *err)
{
    struct finding_result *results;
    struct arena arena; // of its own: one step may take many images
    size_t count;
    arena_init(&arena, FLOW_ARENA_MAX);
    bool ok = finding_result_list(db, study, series, false, &arena, &results, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        ok = mark(db, &results[i], true, now_ns, &arena, err);
    arena_free(&arena);
    return ok;
}

bool flow_doubts_write(struct flow *flow, struct database *db, const struct flow_doubts *doubts, int64_t now_ns,
                       struct error *err)
{
    for (size_t i = 0; i < doubts->count; i++) {
        const struct flow_doubt *doubt = &doubts->list[i];
        struct finding_result *result;
        if (!finding_result_get(db, doubt->result, &flow->arena, &result, err))
            return false;
        if (!result || result->standing != FINDING_CURRENT)
            continue;
        if (!mark(db, result, doubt->is_earlier, now_ns, &flow->arena, err) ||
            (!doubt->is_earlier && !flow_report_back(flow, db, result, now_ns, err)) ||
            (doubt->is_withdrawn && !flow_report_withdrawn(flow, db, result, now_ns, err)))
            return false;
    }
    return true;
}

// ---- telling it

enum { JOBS_MAX = 500 }; // of one study

// A job of the model on the series, or images that will make one: its answer is told.
static bool is_awaited(struct flow *flow, struct database *db, const struct finding_result *result, bool *out,
                       struct error *err)
{
    struct flow_series series;
    struct queue_job *jobs;
    size_t count, size = strlen(result->model);
    if (!flow_series_get(db, result->study, result->series, &flow->arena, &series, err) ||
        !queue_job_list(db, ACCESS_ALL, FLOW_JOB_MODEL, result->study, JOBS_MAX, &flow->arena, &jobs, &count, err))
        return false;
    *out = series.arrives;
    for (size_t i = 0; i < count; i++)
        *out =
            *out || ((jobs[i].state == QUEUE_JOB_QUEUED || jobs[i].state == QUEUE_JOB_RUNNING) &&
                     strcmp(jobs[i].series, result->series) == 0 && strncmp(jobs[i].model, result->model, size) == 0 &&
                     (jobs[i].model[size] == '\0' || jobs[i].model[size] == ' ')); // name, or name and version
    return true;
}

bool flow_doubts_tell(struct flow *flow, struct database *db, const struct flow_doubts *doubts, int64_t now_ns,
                      struct error *err)
{
    for (size_t i = 0; i < doubts->count; i++) {
        struct finding_result *result;
        bool awaited = false;
        if (!finding_result_get(db, doubts->list[i].result, &flow->arena, &result, err))
            return false;
        if (!result || result->standing != FINDING_CURRENT || !result->told || !finding_is_answer(result->outcome) ||
            doubts->list[i].is_withdrawn)
            continue;
        if ((result->is_earlier && !is_awaited(flow, db, result, &awaited, err)) ||
            (!awaited && !flow_tell_images(flow, db, result, now_ns, &flow->arena, err)))
            return false;
    }
    return true;
}
