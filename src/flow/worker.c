// The worker: a leased job is prepared, computed and kept, or ended with the reason why not.
//
//   prepare   do the rules still ask for it, is the model the same, is the series the same (here); its objects,
//             headers and volumes (input.c)
//   compute   each volume through the model (results.c)
//   keep      objects, rows, deliveries, the job's end (results.c, tell.c)
#include "flow/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define RETRY_NS (INT64_C(5) * CLOCK_SECOND)
#define IDLE_NS (INT64_C(1) * CLOCK_SECOND)
// A job that cannot be ended is done again when its lease has run out, minutes later: a disk that is full for a moment
// is waited for.
#define ENDING_NS (INT64_C(30) * CLOCK_SECOND)
#define ENDING_STEP_NS (INT64_C(200) * CLOCK_MS)

// ---- ends without a result

struct verdict {
    struct queue_job job;
    const struct queue_job *successor; // to be added with it; NULL: none
    int64_t token;
    int64_t now_ns;
};

static bool write_verdict(struct database *db, void *payload, struct error *err)
{
    struct verdict *verdict = payload;
    bool added;
    return (!verdict->successor || queue_job_add(db, verdict->successor, verdict->now_ns, &added, err)) &&
           queue_job_finish(db, &verdict->job, verdict->token, verdict->now_ns, err);
}

static bool end_job(struct flow *flow, struct verdict *verdict, struct error *err)
{
    const int64_t until_ns = clock_monotonic_ns() + ENDING_NS;
    while (!store_write(flow->options.store, STORE_DURABLE, write_verdict, verdict, err)) {
        if (!flow_is_passing(err->code) || flow->stopping || clock_monotonic_ns() > until_ns)
            return false;
        clock_sleep_ns(ENDING_STEP_NS);
    }
    return true;
}

static void finish_otherwise(struct flow_work *work, enum queue_job_state state, const char *outcome,
                             const struct error *reason)
{
    struct error err;
    struct verdict verdict = {
        .job = *work->job, .successor = work->successor, .token = work->job->token, .now_ns = clock_now_ns()};
    verdict.job.state = state;
    verdict.job.outcome = outcome;
    verdict.job.reason = reason->message;
    verdict.job.cause = error_text(reason->code);
    verdict.job.result = "";
    verdict.job.retry_ns = verdict.now_ns + RETRY_NS;
    log_warning("flow", "%s job %.16s on series %s: %s: %s", work->job->kind, work->job->key, work->job->series,
                queue_job_state_text(state), reason->message);
    if (!end_job(work->flow, &verdict, &err))
        log_error("flow", "job %.16s cannot be ended: %s", work->job->key, err.message);
}

// ---- does somebody still ask for it

// Why the job's rule does not ask for it any more.
static bool explain_rule(struct flow_work *work, const char *name, struct error *err)
{
    struct flow_rule *rules;
    size_t count = 0;
    if (!flow_rule_list(work->flow->options.store, &work->arena, &rules, &count, err))
        return false;
    const struct flow_rule *rule = NULL;
    for (size_t i = 0; i < count && !rule; i++)
        rule = strcmp(rules[i].name, name) == 0 ? &rules[i] : NULL;
    return error_set(err, ERROR_NOT_FOUND, "rule '%s' %s, and no other asks %s of this series", name,
                     !rule            ? "was removed while the job waited"
                     : !rule->enabled ? "was disabled while the job waited"
                                      : "does not hold for the series any more",
                     work->job->model);
}

static bool note_successor(struct flow_work *work, struct queue_job *successor, struct error *err)
{
    work->successor = successor;
    if (strcmp(work->digest, model_package_name(work->package)) == 0) // see make_job
        return error_set(err, ERROR_CONFLICT,
                         "model %s was not installed when the job was made; a job of %s (%.12s) takes the series",
                         work->job->model, successor->model, model_package_digest(work->package));
    return error_set(err, ERROR_CONFLICT,
                     "model %s (%.12s) was replaced by %s (%.12s) while the job waited; a job of the new one takes the "
                     "series",
                     work->job->model, work->digest, successor->model, model_package_digest(work->package));
}

// Rules and packages may have changed since the job was made: those of now say whether it is done, by what, and for
// whom.
static bool ask_again(struct flow_work *work, const json_t *made, struct error *err)
{
    const char *name = json_string_value(json_object_get(made, "package")),
               *rule = json_string_value(json_object_get(made, "rule")),
               *digest = json_string_value(json_object_get(made, "digest")),
               *after = json_string_value(json_object_get(made, "after"));
    struct flow_match *matches, *match = NULL;
    const char *labels; // were given when the series was whole
    size_t count;
    work->package = name ? model_packages_find(work->flow->options.packages, name) : NULL;
    if (!work->package)
        return error_set(err, ERROR_NOT_FOUND, FLOW_NOT_INSTALLED, name ? name : work->job->model);
    work->digest = digest ? arena_strdup(&work->arena, digest) : model_package_digest(work->package);
    work->after = arena_strdup(&work->arena, after ? after : "");
    if (!work->digest || !work->after)
        return error_set(err, ERROR_LIMIT, "no memory for a job");
    memcpy(work->inputs_key, work->job->key, strnlen(work->job->key, sizeof work->inputs_key - 1));
    if (!flow_match_series(work->flow, work->job->study, work->job->series, false, &work->arena, &matches, &count,
                           &labels, err))
        return false;
    for (size_t i = 0; i < count && !match; i++)
        match = strcmp(matches[i].rules[0]->model, name) == 0 ? &matches[i] : NULL;
    if (!match)
        return explain_rule(work, rule ? rule : "", err);
    work->rules = match->rules;
    work->rule_count = match->rule_count;
    return flow_input_look(work, &work->objects, &work->count, err) &&
           (strcmp(work->digest, model_package_digest(work->package)) == 0 || note_successor(work, &match->job, err));
}

// ---- one job

bool flow_is_passing(enum error_code code)
{
    return code == ERROR_FULL || code == ERROR_BUSY || code == ERROR_IO || code == ERROR_MEMORY ||
           code == ERROR_CANCELLED;
}

static bool prepare(struct flow_work *work, struct error *err)
{
    json_t *made = json_loads(work->job->input, 0, NULL);
    bool ok = ask_again(work, made, err);
    json_decref(made);
    return ok;
}

// A series that cannot be read is a result too: it was not analysed.
static bool analyse(struct flow_work *work, struct error *err)
{
    struct error why;
    if (flow_input_read(work, &why))
        return flow_results_make(work, err);
    if (!flow_is_passing(why.code))
        return flow_results_unreadable(work, why.message, err);
    *err = why;
    return false;
}

// What becomes of a job that could not be done.
static void give_up(struct flow_work *work, enum queue_job_state state, const char *outcome, const struct error *err)
{
    if (err->code == ERROR_CANCELLED) // the program ends: the job stays claimed, and the next start frees it
        log_info("flow", "job %.16s is broken off: %s", work->job->key, err->message);
    else
        finish_otherwise(work, flow_is_passing(err->code) ? QUEUE_JOB_QUEUED : state, outcome, err);
}

static void run_model_job(struct flow_work *work)
{
    struct error err;
    if (!prepare(work, &err))
        give_up(work, QUEUE_JOB_SKIPPED, "not analysed", &err);
    else if (!analyse(work, &err))
        give_up(work, QUEUE_JOB_FAILED, "not analysed", &err);
    else if (!flow_results_keep(work, &err))
        give_up(work, err.code == ERROR_CONFLICT ? QUEUE_JOB_SKIPPED : QUEUE_JOB_FAILED, "", &err);
    flow_results_drop(work);
}

static void run_report_job(struct flow_work *work)
{
    struct error err;
    const char *given_up = flow_given_up_of(work);
    if (!(given_up ? flow_given_up_run(work, given_up, &err) : flow_report_run(work, &err)))
        give_up(work, err.code == ERROR_CONFLICT ? QUEUE_JOB_SKIPPED : QUEUE_JOB_FAILED, "", &err);
}

static void run_job(struct flow *flow, struct queue_job *job)
{
    struct flow_work *work = calloc(1, sizeof *work);
    if (!work)
        return; // the lease runs out and the job comes again
    work->flow = flow;
    work->job = job;
    work->key = job->key;
    work->claimed_ns = clock_monotonic_ns();
    arena_init(&work->arena, FLOW_ARENA_MAX);
    arena_init(&work->header_arena, FLOW_HEADERS_MAX);
    if (strcmp(job->kind, FLOW_JOB_REPORT) == 0)
        run_report_job(work);
    else
        run_model_job(work);
    model_package_close(work->package);
    arena_free(&work->header_arena);
    arena_free(&work->arena);
    free(work);
}

// ---- the thread

struct claim {
    struct arena *arena;
    struct queue_job *job;
    int64_t now_ns;
};

// What is to be told goes before what is to be computed: it is quick, and people wait for it.
static bool write_claim(struct database *db, void *payload, struct error *err)
{
    struct claim *claim = payload;
    return queue_job_claim(db, FLOW_JOB_REPORT, claim->now_ns, FLOW_LEASE_NS, claim->arena, &claim->job, err) &&
           (claim->job ||
            queue_job_claim(db, FLOW_JOB_MODEL, claim->now_ns, FLOW_LEASE_NS, claim->arena, &claim->job, err));
}

void *flow_worker(void *payload)
{
    struct flow *flow = payload;
    struct arena arena;
    arena_init(&arena, 16 << 20);
    while (!flow->stopping) {
        struct claim claim = {.arena = &arena, .now_ns = clock_now_ns()};
        struct error err;
        uint64_t seen = store_event_last(flow->options.store);
        arena_reset(&arena);
        if (!store_write(flow->options.store, STORE_REPLAYABLE, write_claim, &claim, &err)) {
            log_warning("flow", "no job can be claimed: %s", err.message);
            clock_sleep_ns(IDLE_NS);
        } else if (claim.job) {
            flow_lease_hold(flow, claim.job);
            run_job(flow, claim.job);
            flow_lease_drop(flow, claim.job);
        } else {
            store_event_wait(flow->options.store, seen, IDLE_NS);
        }
    }
    arena_free(&arena);
    return NULL;
}
