#include "service/service.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/internal.h"
#include "store/event.h"

static const struct config_key keys[] = {
    {"data", CONFIG_TEXT, "./hilum-data", 0, 0, NULL, "The folder for objects, database and audit trail."},
    {"sandbox", CONFIG_CHOICE, "full", 0, 0, "full|reduced",
     "How decoders and models are locked in; reduced goes on where the kernel cannot do all of it."},
    {"log", CONFIG_CHOICE, "info", 0, 0, "debug|info|warning|error", "The least important messages to log."},
    {"http.listen", CONFIG_HOST_PORT, "127.0.0.1:8080", 0, 0, NULL,
     "Page, DICOMweb and API. Loopback only until TLS and logins exist."},
    {"dicom.listen", CONFIG_HOST_PORT, "127.0.0.1:11112", 0, 0, NULL,
     "Where modalities send to. Off loopback every peer needs an entry."},
    {"dicom.titles", CONFIG_TEXT, "HILUM", 0, 0, NULL, "Our AE titles, separated by commas."},
    {"dicom.artim_seconds", CONFIG_INTEGER, "30", 1, 600, NULL,
     "How long a peer may take to ask for an association, or to close."},
    {"dicom.idle_seconds", CONFIG_INTEGER, "60", 1, 86400, NULL,
     "How long an association may be silent between messages."},
    {"disk.low_water_mb", CONFIG_INTEGER, "1024", 0, 1 << 30, NULL,
     "Below this much free space objects are refused (A700H); reading goes on."},
    {NULL, CONFIG_TEXT, NULL, 0, 0, NULL, NULL},
};
const struct config_key *const service_config[] = {keys, NULL};

// "HILUM, HILUM_CT" -> titles.
static bool read_titles(struct service *service, struct error *err)
{
    char *save = NULL;
    size_t count = 0;
    service->titles_text = strdup(config_text(service->config, "dicom.titles"));
    if (!service->titles_text)
        return error_set(err, ERROR_MEMORY, "no memory for the AE titles");
    for (char *title = strtok_r(service->titles_text, ", ", &save); title; title = strtok_r(NULL, ", ", &save)) {
        if (strlen(title) >= DICOM_AE_SIZE || count == SERVICE_TITLES_MAX)
            return error_set(err, ERROR_BAD_VALUE,
                             "dicom.titles: '%.40s' is longer than 16 characters, or there are more than %d", title,
                             SERVICE_TITLES_MAX);
        service->titles[count++] = title;
    }
    return count > 0 || error_set(err, ERROR_BAD_VALUE, "dicom.titles is empty; give at least one AE title");
}

static bool start_http(struct service *service, struct error *err)
{
    char host[64];
    struct http_options options = {
        .host = host, .routes = service_routes, .payload = service, .spool = config_text(service->config, "data")};
    const char *listen = config_text(service->config, "http.listen");
    if (!text_host_port(listen, host, sizeof host, &options.port))
        return error_set(err, ERROR_BAD_VALUE, "http.listen is '%.60s'; give HOST:PORT", listen);
    if (!access_address_is_loopback(host))
        return error_set(err, ERROR_FORBIDDEN,
                         "http.listen is %s: off loopback HTTP needs TLS and logins, which are not built yet; use "
                         "127.0.0.1 and a proxy",
                         host);
    service->http = http_server_start(&options, err);
    return service->http != NULL;
}

static void set_log_level(const char *word)
{
    static const char *const words[] = {"debug", "info", "warning", "error"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0)
            log_set_level((enum log_level)i);
}

static bool start_rooms(struct service *service, struct error *err)
{
    struct store_options options = {.folder = config_text(service->config, "data"),
                                    .low_water_bytes = (uint64_t)config_integer(service->config, "disk.low_water_mb")
                                                       << 20};
    bool reduced = strcmp(config_text(service->config, "sandbox"), "reduced") == 0;
    if (!read_titles(service, err))
        return false;
    service->store = store_open(&options, err);
    if (!service->store || !store_migrate(service->store, &access_migration, err))
        return false;
    service->access = access_open(service->store, options.folder, err);
    service->archive = service->access ? archive_open(service->store, err) : NULL;
    service->decoder = service->archive ? image_decoder_open(reduced, err) : NULL;
    return service->decoder != NULL;
}

static void audit_activity(struct service *service, enum access_event event)
{
    struct access_record record = {.event = event,
                                   .success = true,
                                   .actor = "hilum",
                                   .address = "",
                                   .patient = "",
                                   .study = "",
                                   .detail = "version " HILUM_VERSION};
    access_audit(service->access, &record, clock_now_ns());
}

struct service *service_start(const json_t *config, struct error *err)
{
    struct service *service = calloc(1, sizeof *service);
    if (!service) {
        error_set(err, ERROR_MEMORY, "no memory to start");
        return NULL;
    }
    service->config = config;
    pthread_mutex_init(&service->import_mutex, NULL);
    service->started_ns = clock_now_ns();
    set_log_level(config_text(config, "log"));
    bool ok = start_rooms(service, err);
    if (ok)
        audit_activity(service, ACCESS_EVENT_START);
    ok = ok && (service->dimse = dimse_service_start(service, err)) != NULL && start_http(service, err);
    if (ok) {
        log_info("service", "ready: DICOM port %u, HTTP port %u, data in %s", service_dicom_port(service),
                 service_http_port(service), config_text(config, "data"));
        return service;
    }
    service_stop(service);
    return NULL;
}

void service_stop(struct service *service)
{
    if (!service)
        return;
    if (service->store)
        store_event_wake(service->store);
    http_server_stop(service->http);
    dimse_service_stop(service->dimse);
    archive_writer_close(service->import_writer);
    image_decoder_close(service->decoder);
    archive_close(service->archive);
    if (service->access) {
        audit_activity(service, ACCESS_EVENT_STOP);
        access_close(service->access);
    }
    store_close(service->store);
    pthread_mutex_destroy(&service->import_mutex);
    free(service->titles_text);
    free(service);
}

uint16_t service_http_port(const struct service *service)
{
    return http_server_port(service->http);
}

uint16_t service_dicom_port(const struct service *service)
{
    return dimse_service_port(service->dimse);
}
