// Every path the server answers, in one place. docs/openapi.yaml describes those under /api.
#include "service/internal.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_JSON = 1 << 20, BODY_FILE_GB = 64 };

#define STUDY "/dicom-web/studies/{study}"
#define SERIES STUDY "/series/{series}"
#define INSTANCE SERIES "/instances/{instance}"

const struct http_route service_routes[] = {
    {"GET", "/healthz", api_health, 0, false},
    {"GET", "/metrics", api_metrics, 0, false},
    {"GET", "/dicom-web/studies", qido_studies, 0, false},
    {"GET", "/dicom-web/series", qido_series, 0, false},
    {"GET", "/dicom-web/instances", qido_instances, 0, false},
    {"GET", STUDY, wado_retrieve, 0, false},
    {"GET", STUDY "/metadata", wado_metadata, 0, false},
    {"GET", STUDY "/series", qido_series, 0, false},
    {"GET", STUDY "/instances", qido_instances, 0, false},
    {"GET", SERIES, wado_retrieve, 0, false},
    {"GET", SERIES "/metadata", wado_metadata, 0, false},
    {"GET", SERIES "/instances", qido_instances, 0, false},
    {"GET", INSTANCE, wado_retrieve, 0, false},
    {"GET", INSTANCE "/metadata", wado_metadata, 0, false},
    {"GET", INSTANCE "/frames/{frames}", wado_frames, 0, false},
    {"GET", INSTANCE "/bulkdata/{path...}", wado_bulkdata, 0, false},
    {"GET", "/api/status", api_status, 0, false},
    {"GET", "/api/peers", api_peers, 0, false},
    {"PUT", "/api/peers/{name}", api_peer_put, BODY_JSON, false},
    {"DELETE", "/api/peers/{name}", api_peer_delete, 0, false},
    {"POST", "/api/peers/{name}/echo", api_peer_echo, BODY_JSON, false},
    {"GET", "/api/conflicts", api_conflicts, 0, false},
    {"POST", "/api/import", api_import, (uint64_t)BODY_FILE_GB << 30, true},
    {NULL, NULL, NULL, 0, false},
};

void service_reply_json(struct http_request *request, int status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct error err;
    json_decref(json);
    if (text) {
        http_reply(request, status, "application/json", text, strlen(text));
    } else {
        error_set(&err, ERROR_MEMORY, "no memory for the answer");
        http_reply_error(request, &err);
    }
    free(text);
}
