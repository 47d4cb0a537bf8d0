// Every path the server answers, in one place. docs/openapi.yaml describes those under /api.
#include "service/internal.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_JSON = 1 << 20 };

#define STUDY "/dicom-web/studies/{study}"
#define SERIES STUDY "/series/{series}"
#define INSTANCE SERIES "/instances/{instance}"

const struct http_route service_routes[] = {
    {"GET", "/healthz", api_health, 0},
    {"GET", "/metrics", api_metrics, 0},
    {"GET", "/dicom-web/studies", qido_studies, 0},
    {"GET", "/dicom-web/series", qido_series, 0},
    {"GET", "/dicom-web/instances", qido_instances, 0},
    {"GET", STUDY, wado_retrieve, 0},
    {"GET", STUDY "/metadata", wado_metadata, 0},
    {"GET", STUDY "/series", qido_series, 0},
    {"GET", STUDY "/instances", qido_instances, 0},
    {"GET", SERIES, wado_retrieve, 0},
    {"GET", SERIES "/metadata", wado_metadata, 0},
    {"GET", SERIES "/instances", qido_instances, 0},
    {"GET", INSTANCE, wado_retrieve, 0},
    {"GET", INSTANCE "/metadata", wado_metadata, 0},
    {"GET", INSTANCE "/frames/{frames}", wado_frames, 0},
    {"GET", INSTANCE "/bulkdata/{path...}", wado_bulkdata, 0},
    {"GET", "/api/status", api_status, 0},
    {"GET", "/api/peers", api_peers, 0},
    {"PUT", "/api/peers/{name}", api_peer_put, BODY_JSON},
    {"DELETE", "/api/peers/{name}", api_peer_delete, 0},
    {"POST", "/api/peers/{name}/echo", api_peer_echo, BODY_JSON},
    {"GET", "/api/conflicts", api_conflicts, 0},
    {NULL, NULL, NULL, 0},
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
