// What an administrator and a monitoring system ask first.
#include "service/internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/text.h"
#include "queue/queue.h"
#include "reading/reading.h"

// A target that has let something wait for so long is told of; one that is only slow is not.
#define SILENT_NS (60 * CLOCK_SECOND)

enum { PACKAGES_TOLD = 16 };

static void warn(json_t *warnings, json_t *text)
{
    json_array_append_new(warnings, text ? text : json_string("a warning cannot be told: no memory"));
}

// ---- what /healthz warns of

static void warn_of_alarms(json_t *warnings)
{
    struct alarm alarms[ALARMS_MAX];
    char first[CLOCK_RFC3339_SIZE];
    uint64_t unlisted;
    size_t count = alarm_list(alarms, &unlisted);
    for (size_t i = 0; i < count; i++)
        warn(warnings, json_sprintf("alarm since %s, %s: %s", clock_rfc3339(first, alarms[i].first_ns),
                                    alarms[i].subject, alarms[i].text));
    if (unlisted > 0)
        warn(warnings, json_sprintf("%" PRIu64 " more alarms are only in the log", unlisted));
}

// Is a target of that name entered? Where nobody can say it counts as such: what waits is told after a while.
static bool is_entered(struct service *service, const struct queue_delivery_count *count, struct arena *arena)
{
    struct flow_hl7_target *targets;
    struct access_peer peer;
    struct error err;
    size_t listed = 0;
    if (strcmp(count->kind, "hl7") != 0)
        return access_peer_get(service->access, count->target, &peer, &err) || err.code != ERROR_NOT_FOUND;
    if (!flow_hl7_target_list(service->store, arena, &targets, &listed, &err))
        return true;
    for (size_t i = 0; i < listed; i++)
        if (strcmp(targets[i].name, count->target) == 0)
            return true;
    return false;
}

static void warn_of_target(struct service *service, struct arena *arena, json_t *warnings,
                           const struct queue_delivery_count *count, int64_t now_ns)
{
    char oldest[CLOCK_RFC3339_SIZE];
    if (count->state == QUEUE_DELIVERY_DEAD && count->count > 0)
        warn(warnings, json_sprintf("%s target %s: %" PRId64 " given up; /api/deliveries?state=dead says why: mend "
                                    "what it names, then replay it",
                                    count->kind, count->target, count->count));
    else if (count->state == QUEUE_DELIVERY_WAITING && count->count > 0 && !is_entered(service, count, arena))
        warn(warnings, json_sprintf("%s target %s: %" PRId64 " deliveries wait, the oldest since %s, for a target that "
                                    "is not entered; enter it, or they wait for ever",
                                    count->kind, count->target, count->count, clock_rfc3339(oldest, count->oldest_ns)));
    else if (count->state == QUEUE_DELIVERY_WAITING && count->count > 0 && now_ns - count->oldest_ns > SILENT_NS)
        warn(warnings, json_sprintf("%s target %s: %" PRId64
                                    " deliveries wait, the oldest since %s; /api/deliveries?state=waiting says why",
                                    count->kind, count->target, count->count, clock_rfc3339(oldest, count->oldest_ns)));
}

// false: the database cannot be read, so nothing can be served.
static bool warn_of_targets(struct service *service, struct arena *arena, json_t *warnings, struct error *err)
{
    struct queue_delivery_count *counts;
    size_t count = 0;
    struct database *db = store_read_begin(service->store, err);
    bool ok = db && queue_delivery_counts(db, arena, &counts, &count, err);
    store_read_end(service->store, db);
    for (size_t i = 0; ok && i < count; i++)
        warn_of_target(service, arena, warnings, &counts[i], clock_now_ns());
    return ok;
}

// "ok", or "refused: why"; the caller's.
static json_t *storing(struct service *service, json_t *warnings)
{
    struct error err;
    if (store_can_write(service->store, &err))
        return json_string("ok");
    warn(warnings, json_sprintf("objects are refused: %s", err.message));
    return json_sprintf("refused: %s", err.message);
}

static const char *auditing(struct service *service, json_t *warnings)
{
    if (access_audit_healthy(service->access))
        return "ok";
    warn(warnings, json_string("the audit trail cannot be written: its lines wait in memory, and are lost past that"));
    return "the audit trail cannot be written";
}

// What is on nobody's list, and what nobody could follow.
static void warn_of_list(struct service *service, json_t *warnings)
{
    struct reading_tally tally;
    struct error err;
    if (!reading_tally(service->store, &tally, &err)) {
        warn(warnings, json_sprintf("the reading list cannot be counted: %s", err.message));
        return;
    }
    if (tally.open > READING_LIST_MAX)
        warn(warnings,
             json_sprintf("%" PRId64 " studies are to be read, and the list shows %d: the latest of the least "
                          "urgent, imported ones first, are on nobody's list until others are marked read",
                          tally.open, (int)READING_LIST_MAX));
    if (tally.passed_over > 0)
        warn(warnings,
             json_sprintf("%" PRId64 " studies on the reading list have a line \"not all of it could be worked "
                          "out here\": the log says what was passed over; ask the models again there, and "
                          "mark it read once somebody has looked",
                          tally.passed_over));
}

// Without ONNX Runtime this is an archive, which is no fault until somebody asks for more.
static void warn_of_models(struct service *service, struct arena *arena, json_t *warnings)
{
    struct queue_job_count *jobs;
    struct error err;
    size_t count = 0;
    int64_t queued = 0;
    struct database *db = service->runner ? NULL : store_read_begin(service->store, &err);
    if (db && queue_job_counts(db, "model", arena, &jobs, &count, &err))
        for (size_t i = 0; i < count; i++)
            queued += jobs[i].state == QUEUE_JOB_QUEUED ? jobs[i].count : 0;
    store_read_end(service->store, db);
    if (queued > 0)
        warn(warnings,
             json_sprintf("%" PRId64
                          " jobs wait, and no model can run: there is no ONNX Runtime; see models.onnxruntime",
                          queued));
}

// A package that has failed since it last ran: each of its studies says so, and all of them together.
static void warn_of_failing(struct service *service, json_t *warnings)
{
    struct model_failing failing[MODEL_FAILING_MAX];
    size_t count = service->runner ? model_runner_failing(service->runner, failing) : 0;
    for (size_t i = 0; i < count; i++)
        warn(warnings, json_sprintf("model %s %s: its last %" PRIu64
                                    " runs failed, the last of them: %s. /api/jobs has them; `hilum model check` looks "
                                    "at a package",
                                    failing[i].name, failing[i].version, failing[i].count, failing[i].reason));
}

static void warn_of_folder(void *payload, const char *text)
{
    warn(payload, json_string(text));
}

// What a rule asks for and does not get: its series are not analysed, or nobody hears of them.
static void warn_of_rules(struct service *service, struct arena *arena, json_t *warnings)
{
    struct error err;
    if (!flow_active_rule_warnings(service->store, service->access, service->packages, arena, warnings, &err))
        warn(warnings, json_sprintf("the rules cannot be looked at: %s", err.message));
}

// Folders of packages that are there and not run, of which another version may be: a few, the log has all.
static void warn_of_packages(struct service *service, json_t *warnings)
{
    json_t *refused = json_array();
    model_packages_refused(service->packages, refused);
    size_t count = json_array_size(refused);
    for (size_t i = 0; i < count && i < PACKAGES_TOLD; i++)
        warn(warnings, json_incref(json_array_get(refused, i)));
    if (count > PACKAGES_TOLD)
        warn(warnings,
             json_sprintf("%zu more model packages are not installed; the log says why", count - PACKAGES_TOLD));
    json_decref(refused);
}

static void warn_of_unseen_set(struct service *service, struct arena *arena, json_t *warnings,
                               const struct access_unseen *unseen)
{
    json_t *names = access_labels_to_json(service->access, unseen->labels);
    const char *list = "";
    for (size_t i = 0; list && i < json_array_size(names); i++)
        list = arena_printf(arena, "%s%s%s", list, i > 0 ? ", " : "", json_string_value(json_array_get(names, i)));
    json_decref(names);
    warn(warnings,
         json_sprintf("labels %s: no account that may look at studies has them together, and so nobody sees "
                      "the studies that do (%" PRId64 "). Give them to accounts, or take them off the studies "
                      "and out of the rule or peer that gives them",
                      list ? list : "?", unseen->studies));
}

// Studies that labels hide from everybody who could look at them.
static void warn_of_unseen(struct service *service, struct arena *arena, json_t *warnings)
{
    struct access_unseen *unseen;
    struct error err;
    size_t count = 0;
    if (!service_needs_logins(service))
        return; // whoever is on this machine sees all
    if (!access_labels_unseen(service->access, arena, &unseen, &count, &err))
        warn(warnings, json_sprintf("the labels cannot be looked at: %s", err.message));
    for (size_t i = 0; i < count; i++)
        warn_of_unseen_set(service, arena, warnings, &unseen[i]);
}

// 503 only when nothing can be served: a server that takes no objects still shows those that it has.
void api_health(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    json_t *warnings = json_array();
    service_tls_ends_ns(service->tls); // looks at the files, and so at the alarms of them
    warn_of_alarms(warnings);
    json_t *stores = storing(service, warnings);
    const char *audit = auditing(service, warnings);
    bool reads = warn_of_targets(service, http_arena(request), warnings, &err);
    if (!reads)
        warn(warnings, json_sprintf("nothing can be read: %s", err.message));
    warn_of_models(service, http_arena(request), warnings);
    warn_of_unseen(service, http_arena(request), warnings);
    warn_of_failing(service, warnings);
    warn_of_packages(service, warnings);
    service_config_missing(service->config, warn_of_folder, warnings);
    if (reads)
        warn_of_list(service, warnings);
    if (reads)
        warn_of_rules(service, http_arena(request), warnings);
    const char *status = !reads ? "failed" : json_array_size(warnings) > 0 ? "warnings" : "ok";
    if (!access_allows(service_subject(request), ACCESS_TO_SEE_OPERATION)) { // the words name targets and folders
        json_decref(warnings);
        json_decref(stores);
        service_reply_json(request, reads ? 200 : 503, json_pack("{s:s}", "status", status));
        return;
    }
    service_reply_json(request, reads ? 200 : 503,
                       json_pack("{s:s, s:s, s:o, s:s, s:o}", "status", status, "reading", reads ? "ok" : err.message,
                                 "storing", stores, "audit", audit, "warnings", warnings));
}

// ---- /api/status

void api_status(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct archive_counts counts;
    struct error err;
    char started[CLOCK_RFC3339_SIZE];
    json_t *titles = json_array();
    if (!archive_count(service->archive, service_scope(request), &counts, &err)) {
        json_decref(titles);
        http_reply_error(request, &err);
        return;
    }
    for (const char *const *title = service->titles.list; *title; title++)
        json_array_append_new(titles, json_string(*title));
    service_reply_json(request, 200,
                       json_pack("{s:s, s:s, s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "version", HILUM_VERSION,
                                 "started", clock_rfc3339(started, service->started_ns), "titles", titles, "dicomPort",
                                 (int)dimse_service_port(service->dimse), "studies", (json_int_t)counts.studies,
                                 "series", (json_int_t)counts.series, "instances", (json_int_t)counts.instances,
                                 "conflicts", (json_int_t)counts.conflicts, "bytes", (json_int_t)counts.bytes, "epoch",
                                 (json_int_t)store_event_epoch(service->store), "modelsFolder",
                                 model_packages_folder(service->packages)));
}

void api_audit_unknown(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_unknown unknown;
    struct error err;
    if (!access_audit_unknown(service->access, &unknown, &err)) {
        http_reply_error(request, &err);
        return;
    }
    char shown[4 * ERROR_MESSAGE_SIZE]; // a damaged line may hold any bytes
    const char *text = (const char *)unknown.texts.data;
    json_t *tells = json_array();
    for (size_t at = 0; at < unknown.texts.size; at += strlen(text + at) + 1)
        json_array_append_new(tells, json_string(text_show(shown, sizeof shown, text + at, strlen(text + at))));
    service_reply_json(request, 200, json_pack("{s:s, s:o}", "version", unknown.version, "tells", tells));
    buffer_free(&unknown.texts);
}

// Who says so is who is logged in, else the name typed.
void api_audit_acknowledge(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    json_t *body = service_read_json(request, "by version", &err);
    const char *by = body ? service_by(request, body, &err) : NULL;
    const char *version = by ? service_member(body, "version", &err) : NULL;
    if (version && access_audit_acknowledge(service->access, by, version, &err))
        http_reply(request, 204, NULL, "", 0);
    else
        http_reply_error(request, &err);
    json_decref(body);
}
