// The reading list, results, findings, jobs, and asking for them again.
#include "service/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "finding/finding.h"
#include "flow/flow.h"
#include "queue/queue.h"
#include "reading/reading.h"

enum { JOBS_MAX = 500, STUDY_ARENA = 64 << 20 };

// ---- the list

// What the models say of each study, what waits for a model, and what none could look at: the absence of all says
// nothing while images come.
static json_t *result_to_json(const struct finding_result *result, const struct finding *findings, size_t count)
{
    return json_pack("{s:s++, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "model", result->model, " ",
                     result->model_version, "series", result->series, "patientId", result->patient_id, "issuer",
                     result->issuer, "outcome", finding_outcome_text(result->outcome), "said",
                     finding_result_said(result, findings, count), "reason", finding_result_reason(result), "images",
                     finding_result_images(result), "told", result->told);
}

static bool is_alike(const struct queue_job *a, const struct queue_job *b)
{
    size_t name = strcspn(a->model, " ");
    return strcmp(a->series, b->series) == 0 && name == strcspn(b->model, " ") &&
           strncmp(a->model, b->model, name) == 0;
}

// It ended without a result, so that only the job says why nobody looked: its model is not installed, say. What a newer
// job of the model on the series does is said by that one. `jobs`: newest first.
static bool is_unanswered(const struct queue_job *jobs, size_t at)
{
    if (jobs[at].state != QUEUE_JOB_SKIPPED || *jobs[at].result)
        return false;
    for (size_t i = 0; i < at; i++)
        if (is_alike(&jobs[i], &jobs[at]))
            return false;
    return true;
}

// What has no result: it waits, or will never have one.
static void add_jobs(json_t *models, const struct queue_job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool waits = jobs[i].state == QUEUE_JOB_QUEUED || jobs[i].state == QUEUE_JOB_RUNNING;
        const char *said = waits ? "waiting" : finding_outcome_text(FINDING_NOT_ANALYSED);
        if (waits || is_unanswered(jobs, i))
            json_array_append_new(models,
                                  json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "model", jobs[i].model,
                                            "series", jobs[i].series, "patientId", "", "issuer", "", "outcome", said,
                                            "said", said, "reason", jobs[i].reason, "images", "present", "told", true));
    }
}

static bool add_models(struct database *db, const char *study, struct arena *arena, json_t *item, struct error *err)
{
    struct finding_result *results;
    struct finding *findings;
    struct queue_job *jobs;
    size_t result_count, finding_count, job_count;
    bool arrives;
    if (!finding_result_list(db, study, NULL, false, arena, &results, &result_count, err) ||
        !finding_list(db, study, false, arena, &findings, &finding_count, err) ||
        !queue_job_list(db, ACCESS_ALL, "model", study, JOBS_MAX, arena, &jobs, &job_count, err) ||
        !flow_study_arrives(db, study, &arrives, err))
        return false;
    json_t *models = json_array();
    for (size_t i = 0; i < result_count; i++)
        json_array_append_new(models, result_to_json(&results[i], findings, finding_count));
    add_jobs(models, jobs, job_count);
    json_object_set_new(item, "models", models);
    json_object_set_new(item, "arriving", json_boolean(arrives));
    return true;
}

// One study's answers that do not fit keep nobody else from the list, nor the study.
static bool tell_too_many(json_t *item, const struct error *why)
{
    static const char said[] = "not known here: too many answers, open the study";
    json_object_set_new(item, "models",
                        json_pack("[{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}]", "model", "all models", "series",
                                  "", "patientId", "", "issuer", "", "outcome",
                                  finding_outcome_text(FINDING_NOT_ANALYSED), "said", said, "reason", why->message,
                                  "images", "present", "told", true));
    json_object_set_new(item, "arriving", json_false());
    return true;
}

static json_t *items_to_json(struct store *store, const struct reading_item *items, size_t count, struct error *err)
{
    struct arena scratch;
    struct database *db = store_read_begin(store, err);
    json_t *list = json_array();
    bool ok = db != NULL;
    arena_init(&scratch, STUDY_ARENA);
    for (size_t i = 0; ok && i < count; i++) {
        json_t *item = reading_item_to_json(&items[i]);
        json_array_append_new(list, item);
        arena_reset(&scratch);
        ok = add_models(db, items[i].study, &scratch, item, err) ||
             ((err->code == ERROR_LIMIT || err->code == ERROR_MEMORY) && tell_too_many(item, err));
    }
    arena_free(&scratch);
    if (db)
        store_read_end(store, db);
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

// GET /api/worklist?study=UID
void api_worklist(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct reading_item *items;
    struct error err;
    size_t count = 0;
    int64_t total;
    int64_t cap_ns = config_integer(service->config, "reading.cap_minutes") * 60 * CLOCK_SECOND;
    json_t *list = NULL;
    if (!reading_list(service->store, service_scope(request), http_query(request, "study"), clock_now_ns(), cap_ns,
                      http_arena(request), &items, &count, &total, &err) ||
        !(list = items_to_json(service->store, items, count, &err))) {
        http_reply_error(request, &err);
        return;
    }
    service_tell_total(request, (uint64_t)total);
    service_reply_json(request, 200, list);
}

// GET /api/worklist/{study}/read
void api_worklist_mark(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct reading_mark mark;
    struct error err;
    char at[CLOCK_RFC3339_SIZE];
    if (!reading_mark_of(service->store, http_path_part(request, "study"), &mark, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *time = mark.read_ns > 0 ? json_string(clock_rfc3339(at, mark.read_ns)) : json_null();
    service_reply_json(request, 200,
                       json_pack("{s:o, s:s, s:I}", "read", time, "by", mark.by, "version", (json_int_t)mark.version));
}

static void mark(struct service *service, struct http_request *request, bool read)
{
    struct error err;
    int64_t version;
    const char *study = http_path_part(request, "study");
    json_t *body = service_read_json(request, "by version", &err);
    const char *by = body ? service_by(request, body, &err) : NULL;
    if (by && service_version(body, &version, &err) &&
        (read ? reading_mark_read(service->store, study, version, by, clock_now_ns(), &err)
              : reading_mark_unread(service->store, study, version, by, &err))) {
        http_reply(request, 204, NULL, "", 0);
    } else {
        http_reply_error(request, &err);
    }
    service_about(request, &(struct service_about){.by = by, .detail = read ? "marked read" : "marked unread"});
    json_decref(body);
}

void api_worklist_read(void *payload, struct http_request *request)
{
    mark(payload, request, true);
}

void api_worklist_unread(void *payload, struct http_request *request)
{
    mark(payload, request, false);
}

// ---- findings

void api_findings(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct finding *findings;
    struct error err;
    size_t count = 0;
    const char *all = http_query(request, "superseded");
    struct database *db = store_read_begin(service->store, &err);
    bool ok = db && finding_list(db, http_path_part(request, "study"), all && strcmp(all, "true") == 0,
                                 http_arena(request), &findings, &count, &err);
    if (db)
        store_read_end(service->store, db);
    if (!ok) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, finding_to_json(&findings[i]));
    service_reply_json(request, 200, list);
}

// GET /api/studies/{study}/results?past=true
void api_results(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct finding_result *results;
    struct finding *findings;
    struct error err;
    size_t count = 0, finding_count = 0;
    const char *study = http_path_part(request, "study"), *past = http_query(request, "past");
    struct arena *arena = http_arena(request);
    struct database *db = store_read_begin(service->store, &err);
    bool ok = db &&
              finding_result_list(db, study, NULL, past && strcmp(past, "true") == 0, arena, &results, &count, &err) &&
              finding_list(db, study, false, arena, &findings, &finding_count, &err);
    if (db)
        store_read_end(service->store, db);
    if (!ok) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *one = finding_result_to_json(&results[i]);
        json_object_set_new(one, "said", json_string(finding_result_said(&results[i], findings, finding_count)));
        json_array_append_new(list, one);
    }
    service_reply_json(request, 200, list);
}

struct judging {
    struct access_scope scope;
    struct finding_judgement judgement;
};

static bool write_judgement(struct database *db, void *payload, struct error *err)
{
    const struct judging *judging = payload;
    return finding_judge(db, judging->scope, &judging->judgement, err);
}

static bool read_judgement(struct http_request *request, const json_t *body, struct finding_judgement *out,
                           struct error *err)
{
    const char *state = service_member(body, "state", err);
    out->by = state ? service_by(request, body, err) : NULL;
    const json_t *comment = json_object_get(body, "comment");
    out->comment = json_string_value(comment);
    if (!out->by || (json_object_get(body, "version") && !service_version(body, &out->version, err)))
        return false;
    if (comment && !out->comment)
        return error_set(err, ERROR_BAD_VALUE, "'comment' must be text");
    out->state = strcmp(state, "accepted") == 0 ? FINDING_ACCEPTED : FINDING_REJECTED;
    return out->state == FINDING_ACCEPTED || strcmp(state, "rejected") == 0 ||
           error_set(err, ERROR_BAD_VALUE, "state is '%.20s'; give accepted or rejected", state);
}

// Who says so is who is logged in, else the name typed.
void api_finding_judge(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    struct judging judging = {
        .scope = service_scope(request),
        .judgement = {.id = http_path_part(request, "id"), .version = FINDING_ANY_VERSION, .now_ns = clock_now_ns()}};
    struct finding_judgement *judgement = &judging.judgement;
    json_t *body = service_read_json(request, "state by comment version", &err);
    if (body && read_judgement(request, body, judgement, &err) &&
        store_write(service->store, STORE_DURABLE, write_judgement, &judging, &err)) {
        http_reply(request, 204, NULL, "", 0);
    } else {
        http_reply_error(request, &err);
    }
    service_about_judgement(service, request, judgement->id, json_string_value(json_object_get(body, "state")),
                            judgement->by);
    json_decref(body);
}

// ---- jobs

static json_t *time_or_null(int64_t time_ns)
{
    char text[CLOCK_RFC3339_SIZE];
    return time_ns > 0 ? json_string(clock_rfc3339(text, time_ns)) : json_null();
}

static json_t *job_to_json(const struct queue_job *job, bool unanswered)
{
    json_t *result = *job->result ? json_loads(job->result, 0, NULL) : NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:o, s:o, s:o, s:o}", "key", job->key, "study",
                     job->study, "series", job->series, "model", job->model, "state", queue_job_state_text(job->state),
                     "outcome", job->outcome, "reason", job->reason, "unanswered", unanswered, "attempts",
                     (json_int_t)job->attempts, "created", time_or_null(job->created_ns), "started",
                     time_or_null(job->started_ns), "finished", time_or_null(job->finished_ns), "result",
                     result ? result : json_null());
}

static bool parse_state(const char *text, enum queue_job_state *out, struct error *err)
{
    for (int state = QUEUE_JOB_QUEUED; state <= QUEUE_JOB_SKIPPED; state++)
        if (strcmp(text, queue_job_state_text((enum queue_job_state)state)) == 0) {
            *out = (enum queue_job_state)state;
            return true;
        }
    return error_set(err, ERROR_BAD_VALUE, "state is '%.20s'; give queued, running, done, failed or skipped", text);
}

// The same of a job whose study's others are not at hand; what cannot be looked up stays unanswered.
static bool is_unanswered_of_study(struct database *db, const struct queue_job *job, struct arena *arena)
{
    struct queue_job *jobs;
    struct error err;
    size_t count = 0;
    if (!is_unanswered(job, 0) ||
        !queue_job_list(db, ACCESS_ALL, "model", job->study, JOBS_MAX, arena, &jobs, &count, &err))
        return is_unanswered(job, 0);
    for (size_t i = 0; i < count; i++)
        if (strcmp(jobs[i].key, job->key) == 0)
            return is_unanswered(jobs, i);
    return true;
}

// Those of a study, those of a state, or all.
static bool list_jobs(struct database *db, const struct http_request *request, struct arena *arena,
                      struct queue_job **out, size_t *count, int64_t *total, struct error *err)
{
    const char *study = http_query(request, "study"), *wanted = http_query(request, "state");
    const struct access_scope scope = service_scope(request);
    enum queue_job_state state = QUEUE_JOB_QUEUED;
    if (wanted && study)
        return error_set(err, ERROR_BAD_VALUE, "give study or state: a study's jobs are few");
    if (wanted)
        return parse_state(wanted, &state, err) &&
               queue_job_list_state(db, scope, "model", state, JOBS_MAX, arena, out, count, total, err);
    return queue_job_list(db, scope, "model", study, JOBS_MAX, arena, out, count, err) &&
           queue_job_total(db, scope, "model", study, total, err);
}

static bool add_listed(struct database *db, struct http_request *request, json_t *list, int64_t *total,
                       struct error *err)
{
    struct queue_job *jobs;
    struct arena *arena = http_arena(request);
    bool by_state = http_query(request, "state") != NULL;
    size_t count = 0;
    if (!list_jobs(db, request, arena, &jobs, &count, total, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        bool unanswered = by_state ? is_unanswered_of_study(db, &jobs[i], arena) : is_unanswered(jobs, i);
        json_array_append_new(list, job_to_json(&jobs[i], unanswered));
    }
    return true;
}

void api_jobs(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    int64_t total = 0;
    json_t *list = json_array();
    struct database *db = store_read_begin(service->store, &err);
    bool ok = db && add_listed(db, request, list, &total, &err);
    if (db)
        store_read_end(service->store, db);
    if (ok) {
        service_tell_total(request, (uint64_t)total);
        service_reply_json(request, 200, list);
        return;
    }
    json_decref(list);
    http_reply_error(request, &err);
}

// ---- asking again

static json_t *asked_to_json(const struct flow_asked *asked)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "series", (json_int_t)asked->series, "arriving",
                     (json_int_t)asked->arriving, "unasked", (json_int_t)asked->unasked, "jobs",
                     (json_int_t)asked->jobs, "waiting", (json_int_t)asked->waiting, "answered",
                     (json_int_t)asked->answered);
}

void api_study_ask(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct flow_asked asked = {0};
    struct error err;
    char detail[96];
    json_t *body = service_read_json(request, "by", &err);
    const char *by = body ? service_by(request, body, &err) : NULL;
    if (by && flow_ask(service->flow, http_path_part(request, "study"), clock_now_ns(), &asked, &err))
        service_reply_json(request, 200, asked_to_json(&asked));
    else
        http_reply_error(request, &err);
    snprintf(detail, sizeof detail, "models asked again: %lld series, %lld jobs", (long long)asked.series,
             (long long)asked.jobs);
    service_about(request, &(struct service_about){.by = by, .detail = detail});
    json_decref(body);
}
