// The audit trail's line for each request that a route has answered: one place for all of them, so that a new route
// only names its kind. What is not HTTP writes where it is: associations and their objects in service/dimse, deliveries
// in deliver.c.
#include "service/internal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "finding/finding.h"

// `answered` and `refused` are the events of a status below 400 and from there on.
static const struct {
    bool told, told_by_room; // told_by_room: the room that owns the row tells an answer, with what changed
    bool changes;            // something that a person answers for
    enum access_event answered, refused;
} kinds[] = {
    [SERVICE_AUDIT_NONE] = {.told = false},
    [SERVICE_AUDIT_QUERY] = {true, false, false, ACCESS_EVENT_QUERY, ACCESS_EVENT_QUERY},
    [SERVICE_AUDIT_RETRIEVED] = {true, false, false, ACCESS_EVENT_RETRIEVED, ACCESS_EVENT_RETRIEVED},
    [SERVICE_AUDIT_IMPORTED] = {true, false, false, ACCESS_EVENT_IMPORTED, ACCESS_EVENT_REFUSED},
    [SERVICE_AUDIT_JUDGED] = {true, false, true, ACCESS_EVENT_JUDGED, ACCESS_EVENT_JUDGED},
    [SERVICE_AUDIT_EXPORTED] = {true, false, true, ACCESS_EVENT_EXPORTED, ACCESS_EVENT_EXPORTED},
    [SERVICE_AUDIT_NODE] = {true, false, false, ACCESS_EVENT_NODE, ACCESS_EVENT_NODE},
    [SERVICE_AUDIT_CHANGED] = {true, false, true, ACCESS_EVENT_CHANGED, ACCESS_EVENT_CHANGED},
    [SERVICE_AUDIT_USED] = {true, false, false, ACCESS_EVENT_AUDIT_USED, ACCESS_EVENT_AUDIT_USED},
    [SERVICE_AUDIT_ROW] = {true, true, true, ACCESS_EVENT_CHANGED, ACCESS_EVENT_CHANGED},
};

static const char *copy(struct http_request *request, const char *text)
{
    const char *kept = text ? arena_strdup(http_arena(request), text) : NULL;
    if (text && !kept)
        log_warning("service", "the audit line of %s lacks a detail: the request's memory is used up",
                    http_path(request));
    return kept;
}

void service_about(struct http_request *request, const struct service_about *about)
{
    struct service_note *note = http_note(request);
    note->about = (struct service_about){.by = copy(request, about->by),
                                         .patient = copy(request, about->patient),
                                         .study = copy(request, about->study),
                                         .detail = copy(request, about->detail)};
}

static bool find_result(struct service *service, const char *id, struct arena *arena, struct finding_result **out,
                        struct error *err)
{
    struct database *db = store_read_begin(service->store, err);
    bool ok = db && finding_result_get(db, id, arena, out, err);
    if (db)
        store_read_end(service->store, db);
    return ok;
}

struct service_about service_about_result(struct service *service, const char *result, struct arena *arena)
{
    struct finding_result *found = NULL;
    struct error err;
    if (!*result)
        return (struct service_about){0};
    if (!find_result(service, result, arena, &found, &err))
        log_warning("service", "the audit line of result %s lacks its patient: %s", result, err.message);
    return found ? (struct service_about){.patient = found->patient_id, .study = found->study}
                 : (struct service_about){0};
}

static const char *result_of(struct service *service, const char *finding, struct arena *arena)
{
    struct finding *found = NULL;
    struct error err;
    struct database *db = store_read_begin(service->store, &err);
    bool ok = db && finding_get(db, finding, arena, &found, &err);
    if (db)
        store_read_end(service->store, db);
    if (!ok)
        log_warning("service", "the audit line of finding %s lacks its patient: %s", finding, err.message);
    return found ? found->result : "";
}

void service_about_judgement(struct service *service, struct http_request *request, const char *finding,
                             const char *state, const char *by)
{
    char detail[256];
    struct arena *arena = http_arena(request);
    struct service_about about = service_about_result(service, result_of(service, finding, arena), arena);
    about.by = by;
    about.detail = detail;
    snprintf(detail, sizeof detail, "finding %.80s: %.40s", finding, state ? state : "no judgement");
    service_about(request, &about);
}

static const char *first_of(const char *a, const char *b, const char *c)
{
    return a ? a : b ? b : c;
}

// A name that was typed is none of those.
static bool is_known(const struct access_subject *subject)
{
    return subject->kind == ACCESS_USER || subject->kind == ACCESS_TOKEN;
}

// A line for each patient of the study that the request names, unless its handler has said which one: who asks for what
// was done with a patient's images asks by Patient ID.
static void tell_of_patients(struct service *service, struct http_request *request, struct access_record *record)
{
    const char *patients[ARCHIVE_STUDY_PATIENTS];
    struct error err;
    size_t count = 0;
    if (!*record->patient && *record->study &&
        !archive_study_patients(service->archive, record->study, http_arena(request), patients, &count, &err))
        log_warning("service", "the audit line of study %s lacks its patient: %s", record->study, err.message);
    for (size_t i = 0; i < count; i++) {
        record->patient = patients[i];
        access_audit(service->access, record, clock_now_ns());
    }
    if (count == 0)
        access_audit(service->access, record, clock_now_ns());
}

static void tell(struct service *service, struct http_request *request, const struct http_route *route, int status)
{
    const struct service_note *note = http_note(request);
    const struct service_about *about = &note->about;
    bool success = status < 400;
    char what[1024];
    snprintf(what, sizeof what, "%s %s", http_method(request), http_path(request));
    enum access_event refused = note->refused ? ACCESS_EVENT_REFUSED : kinds[route->kind].refused;
    struct access_record record = {
        .event = success ? kinds[route->kind].answered : refused,
        .success = success,
        .verified = note->subject.kind == ACCESS_USER    ? "login"
                    : note->subject.kind == ACCESS_TOKEN ? "token"
                                                         : "",
        .actor = is_known(&note->subject) ? note->subject.name : first_of(about->by, note->subject.name, NULL),
        .address = http_address(request),
        .patient = first_of(about->patient, NULL, ""),
        .study =
            first_of(about->study, http_path_part(request, "study"), first_of(http_query(request, "study"), NULL, "")),
        .detail = first_of(about->detail, NULL, what)};
    tell_of_patients(service, request, &record);
}

bool service_audit_admit(struct service *service, const struct http_route *route, struct error *err)
{
    return !kinds[route->kind].changes || access_audit_healthy(service->access) ||
           error_set(err, ERROR_FULL,
                     "nothing is changed while the audit trail cannot be written: see /healthz, then try again");
}

bool service_audit_answer(void *payload, struct http_request *request, const struct http_route *route, int status,
                          struct error *err)
{
    struct service *service = payload;
    bool success = status < 400;
    const struct service_note *note = http_note(request);
    struct error why;
    if (note && (note->refused || kinds[route->kind].told) && !(success && kinds[route->kind].told_by_room))
        tell(service, request, route, status);
    return !kinds[route->kind].changes || !success || access_audit_written(service->access, &why) ||
           error_set(err, ERROR_FULL, "it was done, and its line in the audit trail cannot be written yet: %s",
                     why.message);
}
