// Model jobs that were given up without a word of their worker: the server went down in each of their tries, say.
//
//   JOB_DONE of such a job          a report job, by which a worker ends it as a run that fails ends (results.c): what
//                                   was said before is replaced, and all who were told it hear so
//   JOB_DONE of that report job,    the result alone, so that nobody reads the absence of an answer as one
//   which failed too
#include "flow/internal.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

// What a model job was made for.
struct made {
    const char *package, *digest, *after;
};

static bool read_made(const struct queue_job *job, struct arena *arena, struct made *out, struct error *err)
{
    json_t *input = json_loads(job->input, 0, NULL);
    const char *package = json_string_value(json_object_get(input, "package")),
               *digest = json_string_value(json_object_get(input, "digest")),
               *after = json_string_value(json_object_get(input, "after"));
    *out = (struct made){.package = arena_strdup(arena, package ? package : job->model),
                         .digest = arena_strdup(arena, digest ? digest : ""),
                         .after = arena_strdup(arena, after ? after : "")};
    json_decref(input);
    return (out->package && out->digest && out->after) || error_set(err, ERROR_LIMIT, "no memory for a job");
}

// Of a job's model, which is name and version.
static const char *version_of(const struct queue_job *job)
{
    const char *space = strchr(job->model, ' ');
    return space ? space + 1 : "";
}

static const char *given_up_of(const struct queue_job *report, struct arena *arena)
{
    json_t *input = json_loads(report->input, 0, NULL);
    const char *key = json_string_value(json_object_get(input, "gave_up"));
    key = key ? arena_strdup(arena, key) : NULL;
    json_decref(input);
    return key;
}

const char *flow_given_up_of(struct flow_work *work)
{
    return given_up_of(work->job, &work->arena);
}

// ---- noting it

static bool is_known(struct flow *flow, struct database *db, const char *key, bool *out, struct error *err)
{
    char id[FINDING_ID_SIZE];
    struct finding_result *known = NULL;
    finding_result_id(id, key, "");
    bool ok = finding_result_get(db, id, &flow->arena, &known, err);
    *out = known != NULL;
    return ok;
}

static bool add_report(struct flow *flow, struct database *db, const struct queue_job *of, int64_t now_ns,
                       struct error *err)
{
    char key[65];
    bool added;
    const char *what = arena_printf(&flow->arena, "given up %s", of->key),
               *input = arena_printf(&flow->arena, "{\"gave_up\":\"%s\"}", of->key);
    if (!what || !input)
        return error_set(err, ERROR_LIMIT, "no memory for a report");
    const struct queue_job job = {.key = key,
                                  .kind = FLOW_JOB_REPORT,
                                  .study = of->study,
                                  .series = of->series,
                                  .model = of->model,
                                  .input = input};
    return flow_inputs_digest(key, what, NULL, 0, err) && queue_job_add(db, &job, now_ns, &added, err);
}

static bool add_bare(struct flow *flow, struct database *db, const struct queue_job *job, int64_t now_ns,
                     struct error *err)
{
    char id[FINDING_ID_SIZE], topic[FINDING_TOPIC_SIZE];
    struct made made;
    bool added;
    if (!read_made(job, &flow->arena, &made, err))
        return false;
    finding_result_id(id, job->key, "");
    const struct finding_subject subject = {job->study, job->series, "", made.package, 0};
    if (!finding_topic(db, &subject, topic, err))
        return false;
    log_warning("flow", "job %.16s was given up, and whoever was told something of series %s hears nothing of it",
                job->key, job->series);
    const struct finding_result result = {.id = id,
                                          .topic = topic,
                                          .job = job->key,
                                          .study = job->study,
                                          .series = job->series,
                                          .volume = "",
                                          .patient_id = "",
                                          .issuer = "",
                                          .modality = "",
                                          .model = made.package,
                                          .model_version = version_of(job),
                                          .model_digest = made.digest,
                                          .label_text = "",
                                          .concept = {"", "", ""},
                                          .outcome = FINDING_FAILED,
                                          .reason = job->reason,
                                          .notes = "",
                                          .digest = "",
                                          .send_to = "[]",
                                          .hl7_to = "[]",
                                          .told = true,
                                          .sr_instance = "",
                                          .seg_instance = "",
                                          .made_ns = now_ns,
                                          .changed_ns = now_ns};
    return finding_result_add(db, &result, NULL, 0, &added, err);
}

bool flow_note_given_up(struct flow *flow, struct database *db, const char *key, int64_t now_ns, struct error *err)
{
    struct queue_job *job;
    bool known;
    if (!queue_job_get(db, key, &flow->arena, &job, err))
        return false;
    if (!job || job->state != QUEUE_JOB_FAILED || *job->result)
        return true;
    bool is_model = strcmp(job->kind, FLOW_JOB_MODEL) == 0;
    const char *of = is_model ? key : given_up_of(job, &flow->arena);
    if (!of)
        return true;
    if (!is_known(flow, db, of, &known, err) || known)
        return known;
    if (is_model)
        return add_report(flow, db, job, now_ns, err);
    return queue_job_get(db, of, &flow->arena, &job, err) && (!job || add_bare(flow, db, job, now_ns, err));
}

// ---- telling it

static bool read_given_up(struct flow_work *work, const char *key, struct queue_job **out, struct error *err)
{
    struct database *db = store_read_begin(work->flow->options.store, err);
    bool ok = db && queue_job_get(db, key, &work->arena, out, err);
    store_read_end(work->flow->options.store, db);
    return ok && (*out || error_set(err, ERROR_NOT_FOUND, "job %.64s is gone", key));
}

// Whom the rules name now; nobody, when none asks any more.
static bool find_rules(struct flow_work *work, const char *package, struct error *err)
{
    struct flow_match *matches;
    const char *labels; // were given when the series was whole
    size_t count = 0;
    if (!flow_match_series(work->flow, work->job->study, work->job->series, false, &work->arena, &matches, &count,
                           &labels, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (strcmp(matches[i].rules[0]->model, package) == 0) {
            work->rules = matches[i].rules;
            work->rule_count = matches[i].rule_count;
        }
    return true;
}

static bool look(struct flow_work *work, const struct queue_job *of, struct error *err)
{
    struct made made;
    if (!read_made(of, &work->arena, &made, err))
        return false;
    work->key = of->key;
    work->digest = made.digest;
    work->after = made.after;
    text_copy(work->inputs_key, sizeof work->inputs_key, of->key);
    if (!flow_input_look(work, &work->objects, &work->count, err))
        return false;
    for (size_t i = 0; i < work->count; i++)
        if (work->objects[i].received_ns > work->newest_ns)
            work->newest_ns = work->objects[i].received_ns;
    work->package = model_packages_find(work->flow->options.packages, made.package);
    return work->package ? find_rules(work, made.package, err)
                         : error_set(err, ERROR_NOT_FOUND, FLOW_NOT_INSTALLED, made.package);
}

bool flow_given_up_run(struct flow_work *work, const char *key, struct error *err)
{
    struct queue_job *of;
    bool ok = read_given_up(work, key, &of, err) && look(work, of, err) && flow_results_given_up(work, of->reason, err);
    if (ok) { // of the package that was given up, whatever is installed now
        work->analyses[0].row.model_version = version_of(of);
        work->analyses[0].row.model_digest = work->digest;
        ok = flow_results_end(work, err);
    }
    flow_results_drop(work);
    return ok;
}
