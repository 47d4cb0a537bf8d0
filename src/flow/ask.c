// Asking again: by hand for a study, and for what failed when another package of its model is installed.
#include "flow/internal.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

enum { SERIES_ARENA = 64 << 20 };

struct asking {
    const struct flow_match *matches;
    size_t count;
    const char *study, *labels; // that it gets; "" none
    int64_t now_ns;
    struct arena *arena;
    int64_t jobs, waiting, answered;
};

static bool add_job(struct asking *asking, struct database *db, const struct queue_job *job, struct error *err)
{
    struct queue_job *known;
    bool added;
    if (!queue_job_add(db, job, asking->now_ns, &added, err) ||
        !queue_job_get(db, job->key, asking->arena, &known, err))
        return false;
    if (added)
        asking->jobs++;
    else if (known && known->state == QUEUE_JOB_DONE)
        asking->answered++;
    else
        asking->waiting++;
    return true;
}

static bool write_jobs(struct database *db, void *payload, struct error *err)
{
    struct asking *asking = payload;
    bool changed;
    asking->jobs = asking->waiting = asking->answered = 0;
    if (*asking->labels && !access_study_label(db, asking->study, asking->labels, &changed, err))
        return false;
    for (size_t i = 0; i < asking->count; i++)
        if (!add_job(asking, db, &asking->matches[i].job, err))
            return false;
    return true;
}

// ---- a study, by hand

static bool find_series(struct flow *flow, const char *study, char series[DICOM_UID_SIZE], bool *arrives, bool *found,
                        struct error *err)
{
    struct database *db = store_read_begin(flow->options.store, err);
    bool ok = db && flow_series_next(db, study, series, arrives, found, err);
    store_read_end(flow->options.store, db);
    return ok;
}

static bool ask_series(struct flow *flow, const char *study, const char *series, int64_t now_ns, struct arena *arena,
                       struct flow_asked *out, struct error *err)
{
    struct flow_match *matches;
    struct asking asking = {.study = study, .now_ns = now_ns, .arena = arena};
    if (!flow_match_series(flow, study, series, true, arena, &matches, &asking.count, &asking.labels, err))
        return err->code == ERROR_NOT_FOUND; // all its images were taken into another study
    out->series++;
    out->unasked += asking.count == 0;
    asking.matches = matches;
    if ((asking.count > 0 || *asking.labels) &&
        !store_write(flow->options.store, STORE_DURABLE, write_jobs, &asking, err))
        return false;
    out->jobs += asking.jobs;
    out->waiting += asking.waiting;
    out->answered += asking.answered;
    return true;
}

bool flow_ask(struct flow *flow, const char *study, int64_t now_ns, struct flow_asked *out, struct error *err)
{
    char series[DICOM_UID_SIZE] = "";
    struct arena arena;
    bool ok = true, found = true, arrives;
    *out = (struct flow_asked){0};
    arena_init(&arena, SERIES_ARENA);
    while (ok && found) {
        arena_reset(&arena);
        ok = find_series(flow, study, series, &arrives, &found, err);
        if (ok && found && arrives)
            out->arriving++;
        else if (ok && found)
            ok = ask_series(flow, study, series, now_ns, &arena, out, err);
    }
    arena_free(&arena);
    return ok && (out->series + out->arriving > 0 ||
                  error_set(err, ERROR_NOT_FOUND, "no images of study %.64s are here: there is nothing to ask", study));
}

// ---- what failed, when the package is another one

// The next current result of the model that is failed, by another package, behind *number; NULL in *out: none.
static bool find_failed(struct flow *flow, const struct model_package *package, int64_t *number, struct arena *arena,
                        struct finding_result **out, bool *arrives, struct error *err)
{
    struct flow_series series;
    struct database *db = store_read_begin(flow->options.store, err);
    *arrives = false;
    bool ok = db && finding_result_failed(db, model_package_name(package), model_package_digest(package), number, arena,
                                          out, err);
    if (ok && *out) {
        ok = flow_series_get(db, (*out)->study, (*out)->series, arena, &series, err);
        *arrives = ok && series.arrives;
    }
    store_read_end(flow->options.store, db);
    return ok;
}

// The job of this model alone: what other rules would ask of the series now, nobody has asked for.
static bool ask_model(struct flow *flow, const struct finding_result *failed, struct arena *arena, int64_t *jobs,
                      struct error *err)
{
    struct flow_match *matches;
    struct asking asking = {.study = failed->study, .now_ns = clock_now_ns(), .arena = arena};
    size_t count = 0;
    if (!flow_match_series(flow, failed->study, failed->series, false, arena, &matches, &count, &asking.labels, err))
        return err->code == ERROR_NOT_FOUND;
    for (size_t i = 0; i < count && !asking.matches; i++)
        if (strcmp(matches[i].rules[0]->model, failed->model) == 0) {
            asking.matches = &matches[i];
            asking.count = 1;
        }
    if (asking.count > 0 && !store_write(flow->options.store, STORE_DURABLE, write_jobs, &asking, err))
        return false;
    *jobs += asking.jobs;
    return true;
}

bool flow_ask_failed(struct flow *flow, const struct model_package *package, struct error *err)
{
    struct finding_result *failed = NULL;
    struct arena arena;
    int64_t number = 0, jobs = 0;
    bool ok, arrives;
    arena_init(&arena, SERIES_ARENA);
    do {
        arena_reset(&arena);
        ok = find_failed(flow, package, &number, &arena, &failed, &arrives, err) &&
             (!failed || arrives || ask_model(flow, failed, &arena, &jobs, err));
    } while (ok && failed);
    arena_free(&arena);
    if (jobs > 0)
        log_info("flow", "model %s %s is there: %lld series on which another package failed are looked at anew",
                 model_package_name(package), model_package_version(package), (long long)jobs);
    return ok;
}
