// GET /fhir/TYPE?study=UID, /fhir/TYPE/ID and /fhir/metadata: read only, FHIR R4.
#include "service/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "fhir/fhir.h"
#include "finding/finding.h"
#include "service/dicomweb/dicomweb.h"

enum { ANSWER_MAX = 16 << 20 };

static const char *field(const struct archive_row *row, dicom_tag tag)
{
    for (size_t i = 0; i < row->count; i++)
        if (row->fields[i].tag == tag)
            return row->fields[i].text;
    return "";
}

static bool find_study(struct service *service, struct http_request *request, const char *uid,
                       struct finding_study *out, struct error *err)
{
    struct archive_query query = {.level = ARCHIVE_STUDY, .study = uid, .shown = true, .limit = 2};
    struct archive_row *row;
    size_t count = 0;
    bool more;
    if (!archive_find(service->archive, service_scope(request), &query, http_arena(request), &row, &count, &more, err))
        return false;
    if (count == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no study %.80s here", uid);
    if (count > 1)
        return error_set(err, ERROR_CONFLICT,
                         "study %.80s has objects of several patients, and a FHIR resource has one subject: it is told "
                         "nothing of until it is put right (/api/flagged?flag=identity)",
                         uid);
    *out = (struct finding_study){.study = field(row, 0x0020000D),
                                  .patient = row->patient,
                                  .patient_id = field(row, 0x00100020),
                                  .issuer = field(row, 0x00100021),
                                  .patient_name = field(row, 0x00100010),
                                  .birth_date = field(row, 0x00100030),
                                  .sex = field(row, 0x00100040),
                                  .accession = field(row, 0x00080050),
                                  .description = field(row, 0x00081030),
                                  .study_date = field(row, 0x00080020),
                                  .study_time = field(row, 0x00080030),
                                  .referring = field(row, 0x00080090),
                                  .zone = field(row, 0x00080201)};
    return true;
}

// All that was ever said of a study.
struct said {
    struct finding_result *results;
    struct finding *findings;
    size_t result_count, count;
};

static bool find_said(struct service *service, struct http_request *request, const char *study, struct said *out,
                      struct error *err)
{
    struct database *db = store_read_begin(service->store, err);
    bool ok = db &&
              finding_result_list(db, study, NULL, true, http_arena(request), &out->results, &out->result_count, err) &&
              finding_list(db, study, true, http_arena(request), &out->findings, &out->count, err);
    if (db)
        store_read_end(service->store, db);
    return ok;
}

static bool find_series(struct service *service, struct http_request *request, struct finding_study *study,
                        struct error *err)
{
    struct archive_query query = {.level = ARCHIVE_SERIES, .study = study->study, .shown = true};
    struct archive_row *rows;
    size_t count = 0;
    int64_t number;
    bool more;
    if (!archive_find(service->archive, service_scope(request), &query, http_arena(request), &rows, &count, &more, err))
        return false;
    struct finding_study_series *series = arena_calloc(http_arena(request), count, sizeof *series);
    if (!series)
        return error_set(err, ERROR_LIMIT, "no memory for %zu series", count);
    for (size_t i = 0; i < count; i++) {
        const char *text = field(&rows[i], 0x00200011), *objects = field(&rows[i], 0x00201209);
        series[i] = (struct finding_study_series){field(&rows[i], 0x0020000E), field(&rows[i], 0x00080060),
                                                  field(&rows[i], 0x0008103E), -1, 0};
        if (text_to_i64(text, strlen(text), &number))
            series[i].number = number;
        if (text_to_i64(objects, strlen(objects), &number) && number > 0)
            series[i].object_count = (size_t)number;
    }
    study->series = series;
    study->series_count = count;
    study->modality = count > 0 ? series[0].modality : "";
    return true;
}

// *out stays NULL for a study that `scope` does not see.
static bool seen(struct database *db, struct access_scope scope, const char *study, const char **out, struct error *err)
{
    bool sees = false;
    bool ok = access_sees(db, scope, study, &sees, err);
    if (sees)
        *out = study;
    return ok;
}

static bool study_of_report(struct database *db, struct access_scope scope, const char *id, struct arena *arena,
                            const char **out, struct error *err)
{
    struct finding_result *result = NULL;
    bool ok = finding_result_get(db, id, arena, &result, err);
    *out = NULL;
    return ok && (!result || seen(db, scope, result->study, out, err));
}

static bool study_of_observation(struct database *db, struct access_scope scope, const char *id, struct arena *arena,
                                 const char **out, struct error *err)
{
    struct finding *finding = NULL;
    bool ok = finding_get(db, id, arena, &finding, err);
    *out = NULL;
    return ok && (!finding || seen(db, scope, finding->study, out, err));
}

// The types that have ids of their own; all else goes by the study's UID.
typedef bool study_finder(struct database *db, struct access_scope scope, const char *id, struct arena *arena,
                          const char **out, struct error *err);
static study_finder *finder_of(const char *type)
{
    static const struct {
        const char *type;
        study_finder *find;
    } finders[] = {{"DiagnosticReport", study_of_report},
                   {"Observation", study_of_observation},
                   {"Device", finding_study_of_device}};
    for (size_t i = 0; i < sizeof finders / sizeof *finders; i++)
        if (strcmp(finders[i].type, type) == 0)
            return finders[i].find;
    return NULL;
}

static bool study_of_id(struct service *service, struct http_request *request, const char *id, const char **out,
                        struct error *err)
{
    const char *type = http_path_part(request, "type");
    study_finder *find = finder_of(type);
    *out = id;
    if (!find)
        return true;
    struct database *db = store_read_begin(service->store, err);
    bool ok = db && find(db, service_scope(request), id, http_arena(request), out, err);
    store_read_end(service->store, db);
    return ok && (*out || error_set(err, ERROR_NOT_FOUND, "there is no %.40s %.80s here", type, id));
}

// The study a request is about: ?study=UID, or what the id says.
static bool which_study(struct service *service, struct http_request *request, const char *id, const char **out,
                        struct error *err)
{
    for (size_t i = 0; i < http_query_count(request); i++)
        if (http_query_repeats(request, i))
            return error_set(err, ERROR_BAD_VALUE, "query parameter %zu is given twice; give it once", i + 1);
    *out = http_query(request, "study");
    if (*out)
        return true;
    return id ? study_of_id(service, request, id, out, err)
              : error_set(err, ERROR_BAD_VALUE, "say which study with ?study=UID");
}

// Takes the resource.
static void reply(struct http_request *request, int status, json_t *resource)
{
    struct buffer body;
    struct error err;
    buffer_init(&body, ANSWER_MAX);
    bool ok = fhir_print(resource, &body, &err);
    json_decref(resource);
    if (ok) {
        http_reply_buffer(request, status, FHIR_CONTENT_TYPE, &body);
        return;
    }
    buffer_free(&body);
    http_reply_error(request, &err);
}

static void refuse(struct http_request *request, const struct error *refusal)
{
    struct error err;
    json_t *outcome = fhir_outcome(refusal, &err);
    if (outcome)
        reply(request, error_http(refusal->code), outcome);
    else
        http_reply_error(request, refusal);
}

static const struct fhir_capability capabilities[] = {
    {"DiagnosticReport", {{"study", "token"}}}, {"Observation", {{"study", "token"}}},
    {"ImagingStudy", {{"study", "token"}}},     {"Patient", {{"study", "token"}}},
    {"Device", {{"study", "token"}}},
};
enum { TYPES = sizeof capabilities / sizeof *capabilities };

const struct fhir_capability *service_fhir(size_t *count)
{
    *count = TYPES;
    return capabilities;
}

static bool check_type(const char *type, struct error *err)
{
    for (size_t i = 0; i < TYPES; i++)
        if (strcmp(capabilities[i].type, type) == 0)
            return true;
    return error_set(err, ERROR_NOT_FOUND, "there are no resources of type '%.40s' here", type);
}

// What the outbox holds back is told here neither: what was judged and told since is not known [A5].
static bool may_be_told(const char *type, struct error *err)
{
    static const char *const of_results[] = {"DiagnosticReport", "Observation", "Device"};
    for (size_t i = 0; store_alarm_older_stands() && i < sizeof of_results / sizeof *of_results; i++)
        if (strcmp(of_results[i], type) == 0)
            return error_set(err, ERROR_BUSY,
                             "what the models said is not told: the database is an older copy, and what was judged and "
                             "told since is not in it; an administrator restores the newest, or goes on (hilum audit "
                             "acknowledge)");
    return true;
}

static void answer(struct service *service, struct http_request *request, const char *id)
{
    struct finding_study study;
    struct said said;
    struct error err;
    json_t *resource = NULL;
    const char *uid, *type = http_path_part(request, "type");
    const char *base = arena_printf(http_arena(request), "http://%s/fhir", http_header(request, "Host"));
    bool ok = base != NULL || error_set(&err, ERROR_LIMIT, "no memory for an answer");
    ok = ok && check_type(type, &err) && may_be_told(type, &err) && which_study(service, request, id, &uid, &err) &&
         find_study(service, request, uid, &study, &err) && find_series(service, request, &study, &err) &&
         find_said(service, request, study.study, &said, &err) &&
         finding_to_fhir(&study, said.results, said.result_count, said.findings, said.count, base, type, id, &resource,
                         &err);
    if (ok && !resource)
        ok = error_set(&err, ERROR_NOT_FOUND, "there is no %.40s %.80s here", type, id ? id : "");
    if (ok) {
        service_about(request, &(struct service_about){.study = study.study});
        reply(request, 200, resource);
    } else {
        refuse(request, &err);
    }
}

// GET /fhir/metadata
static void tell_capabilities(struct http_request *request)
{
    struct error err;
    const char *base = arena_printf(http_arena(request), "http://%s/fhir", http_header(request, "Host"));
    json_t *statement = base ? fhir_capability_statement(base, clock_now_ns(), capabilities, TYPES, &err) : NULL;
    if (!base)
        error_set(&err, ERROR_LIMIT, "no memory for an answer");
    if (statement)
        reply(request, 200, statement);
    else
        refuse(request, &err);
}

void fhir_search(void *payload, struct http_request *request)
{
    if (strcmp(http_path_part(request, "type"), "metadata") == 0)
        tell_capabilities(request);
    else
        answer(payload, request, NULL);
}

void fhir_read(void *payload, struct http_request *request)
{
    answer(payload, request, http_path_part(request, "id"));
}
