// GET /fhir/TYPE?... and /fhir/TYPE/ID: read only, FHIR R4.
#include "service/internal.h"

#include <stdlib.h>
#include <string.h>

#include "finding/finding.h"

#define FHIR_JSON "application/fhir+json"

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
    struct archive_query query = {.level = ARCHIVE_STUDY, .study = uid, .limit = 1};
    struct archive_row *row;
    size_t count = 0;
    bool more;
    if (!archive_find(service->archive, &query, http_arena(request), &row, &count, &more, err))
        return false;
    if (count == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no study %.80s here", uid);
    *out = (struct finding_study){.study = field(row, 0x0020000D),
                                  .patient_id = field(row, 0x00100020),
                                  .issuer = field(row, 0x00100021),
                                  .patient_name = field(row, 0x00100010),
                                  .birth_date = field(row, 0x00100030),
                                  .sex = field(row, 0x00100040),
                                  .accession = field(row, 0x00080050),
                                  .description = field(row, 0x00081030),
                                  .study_date = field(row, 0x00080020),
                                  .study_time = field(row, 0x00080030),
                                  .referring = field(row, 0x00080090)};
    return true;
}

static bool find_findings(struct service *service, struct http_request *request, const char *study,
                          struct finding **out, size_t *count, struct error *err)
{
    struct database *db = store_read_begin(service->store, err);
    bool ok = db && finding_list(db, study, false, http_arena(request), out, count, err);
    if (db)
        store_read_end(service->store, db);
    return ok;
}

static void reply(struct http_request *request, json_t *resource)
{
    char *text = json_dumps(resource, JSON_COMPACT);
    struct error err;
    if (text) {
        http_reply(request, 200, FHIR_JSON, text, strlen(text));
    } else {
        error_set(&err, ERROR_MEMORY, "no memory for the answer");
        http_reply_error(request, &err);
    }
    free(text);
    json_decref(resource);
}

// The study a request is about: ?study=UID, or the resource's id, which begins with the study's UID.
static const char *study_uid(struct http_request *request, const char *id)
{
    const char *study = http_query(request, "study");
    if (study || !id)
        return study;
    return arena_strndup(http_arena(request), id, strcspn(id, "_"));
}

static void answer(struct service *service, struct http_request *request, const char *id)
{
    struct finding_study study;
    struct finding *findings;
    struct error err;
    size_t count = 0;
    json_t *resource = NULL;
    const char *base = arena_printf(http_arena(request), "http://%s/fhir", http_header(request, "Host"));
    const char *uid = study_uid(request, id);
    bool ok = (base && uid) || error_set(&err, ERROR_BAD_VALUE, "say which study with ?study=UID");
    ok = ok && find_study(service, request, uid, &study, &err) &&
         find_findings(service, request, study.study, &findings, &count, &err) &&
         finding_to_fhir(&study, findings, count, base, http_path_part(request, "type"), id, &resource, &err);
    if (ok && !resource)
        ok = error_set(&err, ERROR_NOT_FOUND, "there is no %.40s %.80s here", http_path_part(request, "type"),
                       id ? id : "");
    if (ok)
        reply(request, resource);
    else
        http_reply_error(request, &err);
}

void fhir_search(void *payload, struct http_request *request)
{
    answer(payload, request, NULL);
}

void fhir_read(void *payload, struct http_request *request)
{
    answer(payload, request, http_path_part(request, "id"));
}
