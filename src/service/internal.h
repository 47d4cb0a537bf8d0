// Inside the service room: what its folders share.
#ifndef SERVICE_INTERNAL_H
#define SERVICE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "access/access.h"
#include "archive/archive.h"
#include "http/http.h"
#include "image/decoder.h"
#include "service/service.h"
#include "store/store.h"

enum { SERVICE_TITLES_MAX = 16 };

struct service_counters { // since start, for /metrics
    _Atomic uint64_t associations, associations_refused, associations_aborted;
    _Atomic uint64_t objects_stored, objects_same, objects_refused;
    _Atomic uint64_t bytes_stored;
};

struct dimse_service;

struct service {
    const json_t *config;
    char *titles_text;                          // owned; the titles point into it
    const char *titles[SERVICE_TITLES_MAX + 1]; // NULL-ended
    struct store *store;
    struct access *access;
    struct archive *archive;
    struct image_decoder *decoder;
    struct dimse_service *dimse;
    struct http_server *http;
    pthread_mutex_t import_mutex;         // of the next
    struct archive_writer *import_writer; // one lane for what comes file by file; NULL until the first
    struct service_counters counters;
    int64_t started_ns;
};

// ---- dimse/listener.c

// Listens on the configured address and serves associations, each on its own thread.
struct dimse_service *dimse_service_start(struct service *service, struct error *err);
void dimse_service_stop(struct dimse_service *dimse); // NULL is fine
uint16_t dimse_service_port(const struct dimse_service *dimse);

// ---- the HTTP handlers, one table in routes.c; `payload` is the struct service

extern const struct http_route service_routes[];

http_handler qido_studies, qido_series, qido_instances;                // dicomweb/qido.c
http_handler wado_retrieve, wado_metadata, wado_frames, wado_bulkdata; // dicomweb/wado.c, wado_frames.c
http_handler api_health, api_metrics, api_status;                      // api/status.c
http_handler api_peers, api_peer_put, api_peer_delete, api_peer_echo;  // api/peers.c
http_handler api_import;                                               // api/import.c
http_handler api_conflicts;                                            // api/conflicts.c

// Replies with a jansson value, which it takes (decref).
void service_reply_json(struct http_request *request, int status, json_t *json);

#endif
