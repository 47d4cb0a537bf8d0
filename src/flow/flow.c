#include "flow/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/internal.h"

#define TICK_NS (INT64_C(100) * CLOCK_MS)
#define PRUNE_EVERY_NS (INT64_C(3600) * CLOCK_SECOND)
enum { STEP_ARENA = 64 << 20, PRUNE_PIECE = 1000 };

// ---- the rules that packages bring

static bool mark_seen(struct database *db, void *payload, struct error *err)
{
    return flow_seen_set(db, payload, err);
}

static bool look_up_rule(struct store *store, const char *package, const char *rule, bool *seen,
                         struct flow_rule *standing, bool *stands, struct arena *arena, struct error *err)
{
    const char *text;
    struct database *db = store_read_begin(store, err);
    bool ok = db && flow_seen_get(db, package, seen, err) && named_row_get(db, "rule", rule, arena, &text, err);
    store_read_end(store, db);
    *stands = ok && text;
    if (*stands) {
        json_t *json = json_loads(text, 0, NULL);
        ok = flow_rule_from_json(json, standing, err);
        json_decref(json);
    }
    return ok;
}

// Of a rule that is there by its name, whoever entered it.
static json_t *tell_standing(const struct flow_rule *standing, const char *package)
{
    if (strcmp(standing->model, package) != 0)
        return json_sprintf(
            "rule '%s' is a rule of model '%s', and is kept: no rule asks for this package by that name",
            standing->name, standing->model);
    return json_sprintf("rule '%s' is there already, and is kept as it is, %s", standing->name,
                        standing->enabled ? "active" : "not active");
}

// Once for each package: a rule that was removed by a person stays removed, and one of the same name that a person has
// entered stays as it is. *said: what became of it; the caller's.
static bool enter_rule(const struct flow_options *options, const char *package, struct flow_rule *rule,
                       struct arena *arena, json_t **said, struct error *err)
{
    struct flow_rule standing;
    bool seen, stands, ok = true;
    if (!look_up_rule(options->store, package, rule->name, &seen, &standing, &stands, arena, err))
        return false;
    if (stands)
        *said = tell_standing(&standing, package);
    else if (seen)
        *said = json_sprintf("rule '%s' is not there, and is not entered: a package's rule is "
                             "entered once; `hilum config apply` or PUT /api/rules/%s enters it again",
                             rule->name, rule->name);
    else if (store_is_unconfirmed(options->store))
        *said = json_sprintf("rule '%s' is not entered, for a rebuild waits for its confirmation", rule->name);
    else {
        ok = flow_rule_put(options->store, options->access, rule, "package", err);
        *said = json_sprintf(
            "rule '%s' was entered, %s%s", rule->name, rule->enabled ? "active" : "not active",
            rule->send_to_count + rule->hl7_to_count > 0 ? "" : "; it sends to nobody yet: give it send_to or hl7_to");
    }
    return ok && (seen || store_write(options->store, STORE_DURABLE, mark_seen, (void *)(uintptr_t)package, err));
}

static bool enter_standard_rule(const struct flow_options *options, const struct model_package *package, json_t *rules,
                                struct arena *arena, struct error *err)
{
    struct flow_rule rule;
    const char *name = model_package_name(package);
    json_t *said = NULL;
    if (!*model_package_rule(package))
        return true;
    json_t *json = json_loads(model_package_rule(package), 0, NULL);
    bool ok = flow_rule_from_json(json, &rule, err);
    json_decref(json);
    if (ok) {
        ok = enter_rule(options, name, &rule, arena, &said, err);
    } else { // one bad package keeps no server from starting
        log_error("flow", "package %s brings no rule: %s", name, err->message);
        said = json_sprintf("the package's rule is refused: %s", err->message);
        ok = true;
    }
    if (rules && said)
        json_object_set(rules, name, said);
    json_decref(said);
    return ok;
}

static bool write_again(struct database *db, void *payload, struct error *err)
{
    char reason[QUEUE_REASON_MAX];
    size_t count;
    snprintf(reason, sizeof reason, FLOW_NOT_INSTALLED, (const char *)payload);
    if (!queue_job_again(db, FLOW_JOB_MODEL, reason, clock_now_ns(), &count, err))
        return false;
    if (count > 0)
        log_info("flow", "model %s is there: %zu jobs that were skipped without it are queued again",
                 (const char *)payload, count);
    return true;
}

static bool take_up(struct flow *flow, const struct model_package *package, struct error *err)
{
    return store_write(flow->options.store, STORE_DURABLE, write_again, (void *)(uintptr_t)model_package_name(package),
                       err) &&
           flow_ask_failed(flow, package, err);
}

bool flow_take_packages(struct flow *flow, json_t *rules, struct error *err)
{
    struct model_package *packages[MODEL_PACKAGES_MAX];
    struct arena arena;
    bool ok = true;
    arena_init(&arena, STEP_ARENA);
    size_t count = model_packages_list(flow->options.packages, packages);
    for (size_t i = 0; i < count; i++) {
        ok = ok && enter_standard_rule(&flow->options, packages[i], rules, &arena, err) &&
             take_up(flow, packages[i], err);
        model_package_close(packages[i]);
    }
    arena_free(&arena);
    return ok;
}

// ---- threads

struct prune {
    int64_t before_ns;
    bool more;
};

static bool write_prune(struct database *db, void *payload, struct error *err)
{
    struct prune *prune = payload;
    return store_event_prune(db, prune->before_ns, PRUNE_PIECE, &prune->more, err);
}

// At start and then hourly; a piece between two steps, so that nobody waits for a long transaction.
static void prune_when_due(struct flow *flow, int64_t now_ns, bool *worked)
{
    struct prune prune = {.before_ns = now_ns - FLOW_EVENTS_KEPT_NS};
    struct error err;
    if (now_ns < flow->prune_ns && flow->prune_ns - now_ns <= PRUNE_EVERY_NS) // else the clock was set back
        return;
    if (!store_write(flow->options.store, STORE_REPLAYABLE, write_prune, &prune, &err))
        log_warning("flow", "old events stay in the log for now: %s", err.message);
    flow->prune_ns = prune.more ? now_ns : now_ns + PRUNE_EVERY_NS;
    *worked = *worked || prune.more;
}

static bool write_waits_end(struct database *db, void *payload, struct error *err)
{
    return flow_waits_end(db, *(const int64_t *)payload, err);
}

// At the first step, for the clock may have been set back while no server ran.
static bool mind_clock(struct flow *flow, int64_t now_ns, struct error *err)
{
    bool back = flow->stepped_ns != 0 && now_ns < flow->stepped_ns - CLOCK_SECOND;
    if (back)
        log_warning("flow", "the clock went back by %lld s: what waits beyond the longest wait is taken up now",
                    (long long)((flow->stepped_ns - now_ns) / CLOCK_SECOND));
    bool ok = (flow->stepped_ns != 0 && !back) ||
              store_write(flow->options.store, STORE_REPLAYABLE, write_waits_end, &now_ns, err);
    if (ok)
        flow->stepped_ns = now_ns;
    return ok;
}

bool flow_step(struct flow *flow, int64_t now_ns, bool *worked, struct error *err)
{
    bool ok = mind_clock(flow, now_ns, err) && flow_complete_step(flow, now_ns, worked, err);
    queue_consumer_stepped(flow->consumer, ok ? NULL : err, clock_monotonic_ns());
    if (!ok)
        return false;
    prune_when_due(flow, now_ns, worked);
    return true;
}

static void *run(void *payload)
{
    struct flow *flow = payload;
    while (!flow->stopping) {
        struct error err;
        bool worked = false;
        flow_leases_renew(flow);
        bool ok = flow_step(flow, clock_now_ns(), &worked, &err);
        if (!ok)
            clock_sleep_ns(CLOCK_SECOND);
        if (!worked)
            store_event_wait(flow->options.store, queue_consumer_cursor(flow->consumer), TICK_NS);
    }
    return NULL;
}

static bool start_threads(struct flow *flow, struct error *err)
{
    int number = pthread_create(&flow->thread, NULL, run, flow);
    if (number != 0)
        return error_errno(err, number, "cannot start the flow's thread");
    flow->thread_runs = true;
    unsigned wanted = flow->options.workers < FLOW_WORKERS_MAX ? flow->options.workers : FLOW_WORKERS_MAX;
    if (store_is_unconfirmed(flow->options.store))
        return true;
    for (; flow->options.runner && flow->worker_count < wanted; flow->worker_count++) {
        number = pthread_create(&flow->workers[flow->worker_count], NULL, flow_worker, flow);
        if (number != 0)
            return error_errno(err, number, "cannot start a worker");
    }
    return true;
}

struct flow *flow_start(const struct flow_options *options, struct error *err)
{
    struct flow *flow = calloc(1, sizeof *flow);
    if (!flow) {
        error_set(err, ERROR_MEMORY, "no memory for the flow");
        return NULL;
    }
    flow->options = *options;
    arena_init(&flow->arena, STEP_ARENA);
    pthread_mutex_init(&flow->lease_lock, NULL);
    bool ready = !options->packages || flow_take_packages(flow, NULL, err);
    flow->consumer = ready ? queue_consumer_open(options->store, "flow", false, err) : NULL;
    // Without workers the caller takes the steps: tests with a clock of their own.
    if (flow->consumer && (options->workers == 0 || start_threads(flow, err)))
        return flow;
    flow_stop(flow);
    return NULL;
}

void flow_stop(struct flow *flow)
{
    if (!flow)
        return;
    flow->stopping = true;
    if (flow->options.runner)
        model_runner_interrupt(flow->options.runner);
    store_event_wake(flow->options.store);
    if (flow->thread_runs)
        pthread_join(flow->thread, NULL);
    for (unsigned i = 0; i < flow->worker_count; i++)
        pthread_join(flow->workers[i], NULL);
    queue_consumer_close(flow->consumer);
    arena_free(&flow->arena);
    pthread_mutex_destroy(&flow->lease_lock);
    free(flow);
}

bool flow_pass_over(struct store *store, struct archive *archive, struct error *err)
{
    const struct flow_options options = {.store = store, .archive = archive};
    bool worked = true;
    struct flow *flow = flow_start(&options, err);
    bool ok = flow != NULL;
    while (ok && worked) { // at a time when nothing is on its way any more
        worked = false;
        ok = flow_step(flow, clock_now_ns() + 2 * FLOW_QUIET_MAX_NS, &worked, err);
    }
    flow_stop(flow);
    return ok;
}
