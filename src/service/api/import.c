// POST /api/import: one Part 10 file or bare data set, for files that no DICOM sender will take (without meta
// information, say).
#include "service/internal.h"

#include "base/clock.h"
#include "base/text.h"
#include "dicom/charset.h"

static const char *const outcomes[] = {[ARCHIVE_STORED] = "stored",
                                       [ARCHIVE_SAME] = "same",
                                       [ARCHIVE_KEPT_BESIDE] = "kept beside",
                                       [ARCHIVE_REPLACED] = "replaced"};

static bool store(struct service *service, struct http_request *request, struct archive_stored *stored,
                  struct error *err)
{
    uint64_t size;
    int fd = http_body_file(request, &size);
    const char *given = http_query(request, "charset"), *charset = service_charset(service, given ? given : "");
    if (!dicom_charset_is_known(charset))
        return error_set(err, ERROR_BAD_VALUE, "charset=%.40s is no Specific Character Set, such as ISO_IR 100",
                         charset);
    struct archive_origin origin = {.how = "import",
                                    .called = "",
                                    .calling = "",
                                    .address = http_address(request),
                                    .issuer = http_query(request, "issuer"),
                                    .charset = charset};
    pthread_mutex_lock(&service->import_mutex);
    if (!service->import_writer)
        service->import_writer = archive_writer_open(service->archive, err);
    bool ok = service->import_writer &&
              archive_put_file(service->import_writer, fd, size, &origin, clock_now_ns(), stored, err);
    pthread_mutex_unlock(&service->import_mutex);
    return ok;
}

// Of a study that he does not see nobody learns from an import that it, or this object, was here already: it is taken,
// as a new one is.
static bool is_seen(struct service *service, struct http_request *request, const char *study)
{
    const struct access_scope scope = service_scope(request);
    struct error ignored;
    bool seen = false;
    return scope.hidden == 0 || (archive_sees(service->archive, scope, study, &seen, &ignored) && seen);
}

void api_import(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct archive_stored stored;
    struct error err;
    if (!store(service, request, &stored, &err)) {
        // What is no object lies beside them on every disc (a viewer, a DICOMDIR): no sign that something is lost.
        struct service_counters *counters = &service->counters;
        atomic_fetch_add(err.code == ERROR_UNSUPPORTED ? &counters->objects_passed_over : &counters->objects_refused,
                         1);
        service_about(request, &(struct service_about){.detail = err.message});
        http_reply_error(request, &err);
        return;
    }
    service_count_stored(service, &stored);
    service_about(request, &(struct service_about){
                               .patient = stored.patient_id, .study = stored.study, .detail = stored.sop_instance});
    bool seen = is_seen(service, request, stored.study);
    service_reply_json(request, 200,
                       json_pack("{s:s, s:s, s:s, s:s, s:i, s:b}", "outcome",
                                 outcomes[seen ? stored.outcome : ARCHIVE_STORED], "study", stored.study, "series",
                                 stored.series, "instance", stored.sop_instance, "flags", seen ? (int)stored.flags : 0,
                                 "setAside", seen && stored.is_set_aside));
}
