#include "service/service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "dicom/charset.h"
#include "finding/finding.h"
#include "queue/queue.h"
#include "service/deliver.h"
#include "service/internal.h"
#include "service/oidc/oidc.h"
#include "store/event.h"

enum { PATH_SIZE = 4096 };

static bool can_spool(void *payload, uint64_t bytes, struct error *err)
{
    struct service *service = payload;
    return store_can_take(service->store, bytes, err);
}

const char *service_charset(const struct service *service, const char *of_peer)
{
    return *of_peer ? of_peer : config_text(service->config, "dicom.charset");
}

static struct tls *web_tls(void *payload, struct error *err)
{
    struct service *service = payload;
    return service_tls_web(service->tls, err);
}

static void on_foreign(void *payload, enum http_foreign what, const char *address)
{
    static const enum heard_kind kinds[] = {[HTTP_FOREIGN_DICOM] = HEARD_DICOM_AT_HTTP,
                                            [HTTP_FOREIGN_TLS] = HEARD_TLS_AT_HTTP,
                                            [HTTPS_FOREIGN_DICOM] = HEARD_DICOM_AT_HTTPS,
                                            [HTTPS_FOREIGN_HTTP] = HEARD_HTTP_AT_HTTPS};
    struct service *service = payload;
    heard_foreign(service->heard, kinds[what], address);
}

static bool start_http(struct service *service, struct error *err)
{
    char host[SERVICE_HOST_SIZE], tls_host[SERVICE_HOST_SIZE];
    struct http_options options = {.host = host,
                                   .routes = service_routes,
                                   .payload = service,
                                   .hosts = service->names.list,
                                   .trusted_proxies = config_text(service->config, "http.trusted_proxies"),
                                   .tls = web_tls,
                                   .spool = config_text(service->config, "data"),
                                   .can_spool = can_spool,
                                   .admit = service_admit,
                                   .answered = service_audit_answer,
                                   .foreign = on_foreign};
    service_listen_address(service->config, "http.listen", host, &options.port);
    if (*config_text(service->config, "http.tls_listen")) {
        service_listen_address(service->config, "http.tls_listen", tls_host, &options.tls_port);
        options.tls_host = tls_host;
    }
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

bool service_migrate(struct store *store, struct error *err)
{
    static const struct store_migration *const migrations[] = {&access_migration, &queue_migration, &finding_migration,
                                                               &flow_migration, &reading_migration};
    for (size_t i = 0; i < sizeof migrations / sizeof *migrations; i++)
        if (!store_migrate(store, migrations[i], err))
            return false;
    return true;
}

static struct tls *export_tls(void *payload, struct error *err)
{
    struct service *service = payload;
    return service_tls_side(service->tls, TLS_CLIENT, err);
}

static bool start_export(struct service *service, struct error *err)
{
    char host[SERVICE_HOST_SIZE];
    struct access_export_options options = {.folder = config_text(service->config, "data"),
                                            .host = host,
                                            .fingerprint = config_text(service->config, "audit.syslog_certificate"),
                                            .tls = export_tls,
                                            .payload = service};
    if (!*config_text(service->config, "audit.syslog"))
        return true;
    service_listen_address(service->config, "audit.syslog", host, &options.port);
    service->audit_export = access_export_start(service->access, &options, err);
    return service->audit_export != NULL;
}

static bool start_rooms(struct service *service, struct error *err)
{
    struct store_options options = {.folder = config_text(service->config, "data"),
                                    .low_water_bytes = (uint64_t)config_integer(service->config, "disk.low_water_mb")
                                                       << 20,
                                    .spare_bytes = (uint64_t)config_integer(service->config, "disk.spare_mb") << 20};
    bool reduced = strcmp(config_text(service->config, "sandbox"), "reduced") == 0;
    service->store = store_open(&options, err);
    if (!service->store || !service_migrate(service->store, err) || !finding_complete(service->store, err))
        return false;
    service->access = access_open(service->store, options.folder, config_text(service->config, "audit.key"), err);
    service->decoder = service->access ? image_decoder_open(reduced, err) : NULL;
    service->archive = service->decoder ? archive_open(service->store, service->decoder, err) : NULL;
    return service->archive && start_export(service, err) && store_check_start(service->store, err) &&
           oidc_start(service, err) && service_open_logins(service, err);
}

// Without ONNX Runtime the archive works and jobs wait; the log says so.
static bool start_runner(struct service *service, struct error *err)
{
    char library[4096];
    if (!service_beside(library, sizeof library, config_text(service->config, "models.onnxruntime"),
                        "onnxruntime/lib/libonnxruntime.so.1") ||
        access(library, R_OK) != 0) {
        log_warning("service", "models cannot run: there is no ONNX Runtime at %s; see models.onnxruntime", library);
        return true;
    }
    struct model_runner_options options = {
        .onnxruntime = library,
        .reduced = strcmp(config_text(service->config, "sandbox"), "reduced") == 0,
        .memory_max = (size_t)config_integer(service->config, "models.memory_mb") << 20,
        .timeout_ns = config_integer(service->config, "models.timeout_seconds") * CLOCK_SECOND,
        .threads = (unsigned)config_integer(service->config, "models.threads")};
    service->runner = model_runner_open(&options, err);
    return service->runner != NULL;
}

// What the process before this one held, and did not end, is free again.
static bool write_recovery(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return queue_recover(db, clock_now_ns(), err);
}

// Whoever is told the folder of the packages may stand in another one than this process.
static bool models_folder(const struct service *service, char out[PATH_SIZE], struct error *err)
{
    char folder[PATH_SIZE], here[PATH_SIZE];
    bool fits = service_beside(folder, sizeof folder, config_text(service->config, "models.folder"), "../models");
    if (fits && *folder == '/')
        return text_copy(out, PATH_SIZE, folder);
    if (fits && !getcwd(here, sizeof here))
        return error_errno(err, errno, "models.folder: there is no working folder that '%s' is in", folder);
    int size = fits ? snprintf(out, PATH_SIZE, "%s/%s", here, folder) : -1;
    return (size > 0 && size < PATH_SIZE) || error_set(err, ERROR_BAD_VALUE, "models.folder is too long");
}

static bool start_flow(struct service *service, struct error *err)
{
    char folder[PATH_SIZE];
    struct flow_options options = {.store = service->store,
                                   .access = service->access,
                                   .archive = service->archive,
                                   .decoder = service->decoder,
                                   .negative_quiet_ns =
                                       config_integer(service->config, "flow.negative_quiet_s") * CLOCK_SECOND,
                                   .workers = (unsigned)config_integer(service->config, "models.workers")};
    service->words = model_words_open(config_text(service->config, "models.synonyms"), err);
    if (!service->words)
        return error_prefix(err, "models.synonyms");
    options.words = service->words;
    if (!service_beside(service->page_folder, sizeof service->page_folder, config_text(service->config, "page.folder"),
                        "../ui/dist"))
        return error_set(err, ERROR_BAD_VALUE, "page.folder is too long");
    if (!models_folder(service, folder, err) ||
        !store_write(service->store, STORE_DURABLE, write_recovery, NULL, err) ||
        !(service->packages = model_packages_open(folder, err)) || !start_runner(service, err))
        return false;
    options.packages = service->packages;
    options.runner = service->runner;
    service->reading = reading_start(service->store, true, err);
    service->flow = service->reading ? flow_start(&options, err) : NULL;
    service->deliver_dicom = service->flow ? deliverer_start(service, "dicom", deliver_dicom, err) : NULL;
    service->deliver_hl7 = service->deliver_dicom ? deliverer_start(service, "hl7", deliver_hl7, err) : NULL;
    return service->deliver_hl7 != NULL;
}

// A kernel that cannot lock models and codecs in is told of at the start, not at the first study.
static bool check_sandbox(const struct service *service, struct error *err)
{
    char report[512];
    bool whole = sandbox_probe(report, sizeof report);
    log_info("service", "sandbox: %s", report);
    if (whole || strcmp(config_text(service->config, "sandbox"), "reduced") == 0)
        return true;
    return error_set(err, ERROR_FORBIDDEN,
                     "the sandbox is not whole here: %.150s; docs/sandbox.md, or `sandbox: reduced`", report);
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

struct service *service_start(const struct config *config, struct error *err)
{
    if (!service_config_check(config, err))
        return NULL;
    struct service *service = calloc(1, sizeof *service);
    if (!service) {
        error_set(err, ERROR_MEMORY, "no memory to start");
        return NULL;
    }
    service->config = config->tree;
    service->config_name = config->name;
    pthread_mutex_init(&service->import_mutex, NULL);
    char zone[CLOCK_ZONE_SIZE];
    service->started_ns = clock_now_ns();
    set_log_level(config_text(service->config, "log"));
    budget_set((uint64_t)config_integer(service->config, "memory.peers_mb") << 20);
    bool ok = service_titles_read(&service->titles, config_text(service->config, "dicom.titles"), err) &&
              service_names_read(&service->names, config_text(service->config, "http.names"), err) &&
              (service->tls = service_tls_open(service->config, err)) != NULL &&
              (service->heard = heard_open(err)) != NULL && check_sandbox(service, err) && start_rooms(service, err);
    if (ok)
        audit_activity(service, ACCESS_EVENT_START);
    ok = ok && (service->checks = checks_open(err)) != NULL && start_flow(service, err) &&
         (service->backups = backups_start(service, err)) != NULL &&
         (service->dimse = dimse_service_start(service, err)) != NULL && start_http(service, err);
    if (ok) {
        log_info("service",
                 "zone: %s now (TZ, else /etc/localtime); times of scanners that name none are read in it, results are "
                 "written in it",
                 clock_zone_text(zone, clock_zone(service->started_ns)));
        if (http_server_tls_port(service->http))
            log_info("service", "HTTPS at port %u", http_server_tls_port(service->http));
        if (dimse_service_tls_port(service->dimse))
            log_info("service", "DICOM over TLS at port %u", dimse_service_tls_port(service->dimse));
        log_info("service", "ready: DICOM port %u, HTTP port %u, data in %s", dimse_service_port(service->dimse),
                 http_server_port(service->http), config_text(service->config, "data"));
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
    backups_stop(service->backups);
    deliverer_stop(service->deliver_dicom);
    deliverer_stop(service->deliver_hl7);
    flow_stop(service->flow);
    reading_stop(service->reading);
    model_runner_close(service->runner);
    model_packages_close(service->packages);
    model_words_close(service->words);
    archive_writer_close(service->import_writer);
    archive_close(service->archive);
    image_decoder_close(service->decoder);
    if (service->access) {
        audit_activity(service, ACCESS_EVENT_STOP);
        struct error ignored; // an alarm tells of it
        access_audit_flush(service->access, &ignored);
        access_export_stop(service->audit_export);
        access_close(service->access);
    }
    store_close(service->store);
    checks_close(service->checks);
    oidc_stop(service->oidc);
    heard_close(service->heard);
    pthread_mutex_destroy(&service->import_mutex);
    service_tls_close(service->tls);
    free(service->titles.text);
    free(service->names.text);
    free(service);
}

static const char *address_of(const struct service *service, const char *key, uint16_t port,
                              char out[SERVICE_ADDRESS_SIZE])
{
    char host[SERVICE_HOST_SIZE];
    uint16_t configured;
    service_listen_address(service->config, key, host, &configured);
    return text_show_host_port(out, SERVICE_ADDRESS_SIZE, host, port);
}

const char *service_http_address(const struct service *service, char out[SERVICE_ADDRESS_SIZE])
{
    return address_of(service, "http.listen", http_server_port(service->http), out);
}

const char *service_dicom_address(const struct service *service, char out[SERVICE_ADDRESS_SIZE])
{
    return address_of(service, "dicom.listen", dimse_service_port(service->dimse), out);
}

void service_count_stored(struct service *service, const struct archive_stored *stored)
{
    struct service_counters *counters = &service->counters;
    _Atomic uint64_t *const counted[] = {[ARCHIVE_STORED] = &counters->objects_stored,
                                         [ARCHIVE_SAME] = &counters->objects_same,
                                         [ARCHIVE_KEPT_BESIDE] = &counters->objects_beside,
                                         [ARCHIVE_REPLACED] = &counters->objects_beside};
    atomic_fetch_add(counted[stored->outcome], 1);
    atomic_fetch_add(&counters->objects_set_aside, stored->is_set_aside);
}
