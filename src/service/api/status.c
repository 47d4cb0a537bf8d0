// What an administrator and a monitoring system ask first.
#include "service/internal.h"

#include <inttypes.h>
#include <malloc.h>
#include <string.h>

#include "base/clock.h"
#include "store/event.h"

static bool storing_is_possible(struct service *service)
{
    struct error err;
    return store_stopped(service->store) || store_can_take(service->store, 1, &err); // a stop is told by itself
}

void api_health(void *payload, struct http_request *request)
{
    struct service *service = payload;
    bool audit = access_audit_healthy(service->access);
    bool disk = storing_is_possible(service);
    const char *stopped = store_stopped(service->store);
    bool ok = audit && disk && !stopped;
    service_reply_json(request, ok ? 200 : 503,
                       json_pack("{s:s, s:s, s:s, s:s}", "status", ok ? "ok" : "degraded", "disk",
                                 disk ? "ok" : "below the low-water mark: objects are refused", "storing",
                                 stopped ? stopped : "ok", "audit",
                                 audit ? "ok" : "the audit trail cannot be written"));
}

struct metric {
    const char *name;
    const char *help;
    uint64_t value;
};

void api_metrics(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct service_counters *c = &service->counters;
    struct error ignored;
    int64_t conflicts = 0;
    archive_open_conflicts(service->archive, &conflicts, &ignored);
    const struct metric metrics[] = {
        {"hilum_associations_total", "DICOM associations accepted", c->associations},
        {"hilum_associations_refused_total", "DICOM associations refused", c->associations_refused},
        {"hilum_associations_aborted_total", "DICOM associations that did not end with a release",
         c->associations_aborted},
        {"hilum_objects_stored_total", "Objects stored", c->objects_stored},
        {"hilum_objects_same_total", "Objects that were there already", c->objects_same},
        {"hilum_objects_beside_total", "Objects that came again with other attributes or pixels", c->objects_beside},
        {"hilum_conflicts", "Of those, how many wait for a decision", (uint64_t)conflicts},
        {"hilum_objects_refused_total", "Objects refused", c->objects_refused},
        {"hilum_bytes_stored_total", "Bytes of objects stored", c->bytes_stored},
        {"hilum_event_last", "Number of the last event", store_event_last(service->store)},
    };
    struct buffer out;
    buffer_init(&out, 64 << 10);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        buffer_printf(&out, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", metrics[i].name, metrics[i].help,
                      metrics[i].name, strstr(metrics[i].name, "_total") ? "counter" : "gauge", metrics[i].name,
                      metrics[i].value);
    http_reply_buffer(request, 200, "text/plain; version=0.0.4", &out);
}

void api_status(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct archive_counts counts;
    struct error err;
    char started[CLOCK_RFC3339_SIZE];
    json_t *titles = json_array();
    if (!archive_count(service->archive, &counts, &err)) {
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
