#include "service/service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "dicom/charset.h"
#include "finding/finding.h"
#include "queue/queue.h"
#include "service/deliver.h"
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
    {"dicom.charset", CONFIG_TEXT, "", 0, 0, NULL,
     "What text is in that comes without Specific Character Set, from a peer that has none entered: \"ISO_IR 100\"; "
     "empty: UTF-8 where it is that, else it is flagged."},
    {"models.folder", CONFIG_TEXT, "", 0, 0, NULL,
     "Model packages, one folder each; empty: ../models beside the program."},
    {"models.onnxruntime", CONFIG_TEXT, "", 0, 0, NULL,
     "ONNX Runtime's shared library; empty: onnxruntime/lib/libonnxruntime.so.1 beside the program."},
    {"models.memory_mb", CONFIG_INTEGER, "2048", 64, 1 << 20, NULL, "What one model may take, volumes included."},
    {"models.timeout_seconds", CONFIG_INTEGER, "120", 1, 3600, NULL, "How long one run of a model may take."},
    {"models.threads", CONFIG_INTEGER, "2", 1, 64, NULL, "ONNX Runtime's threads in one model."},
    {"models.workers", CONFIG_INTEGER, "1", 1, 8, NULL, "Jobs at once."},
    {"models.synonyms", CONFIG_TEXT, "", 0, 0, NULL,
     "Names of parts of the body that the built-in ones lack: \"HEAD = CCT, Neurokranium; CHEST = Thx\"."},
    {"flow.negative_quiet_s", CONFIG_INTEGER, "60", 0, 86400, NULL,
     "How long nothing may come for a study before a model's negative is told; a positive is told at once."},
    {"reading.cap_minutes", CONFIG_INTEGER, "60", 1, 10080, NULL,
     "How long a study may be passed over on the reading list."},
    {"page.folder", CONFIG_TEXT, "", 0, 0, NULL, "The page's files; empty: ../ui/dist beside the program."},
    {"disk.low_water_mb", CONFIG_INTEGER, "1024", 0, 1 << 30, NULL,
     "Kept free on the disk: what would leave less, an object or an upload, is refused (A700H, 507); reading goes on."},
    {"disk.spare_mb", CONFIG_INTEGER, "256", 0, 4096, NULL,
     "At most this much zeros are written ahead in quiet times, so that the next objects are synced faster; 0: none."},
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

static bool can_spool(void *payload, uint64_t bytes, struct error *err)
{
    struct service *service = payload;
    return store_can_take(service->store, bytes, err);
}

static bool check_charset(const struct service *service, struct error *err)
{
    const char *charset = config_text(service->config, "dicom.charset");
    return dicom_charset_is_known(charset) ||
           error_set(err, ERROR_BAD_VALUE,
                     "dicom.charset: '%.60s' is no Specific Character Set, such as ISO_IR 100 or GB18030", charset);
}

const char *service_charset(const struct service *service, const char *of_peer)
{
    return *of_peer ? of_peer : config_text(service->config, "dicom.charset");
}

static bool start_http(struct service *service, struct error *err)
{
    char host[64];
    struct http_options options = {.host = host,
                                   .routes = service_routes,
                                   .payload = service,
                                   .spool = config_text(service->config, "data"),
                                   .can_spool = can_spool,
                                   .answered = service_audit_answer};
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
                                                       << 20,
                                    .spare_bytes = (uint64_t)config_integer(service->config, "disk.spare_mb") << 20};
    bool reduced = strcmp(config_text(service->config, "sandbox"), "reduced") == 0;
    if (!read_titles(service, err) || !check_charset(service, err))
        return false;
    service->store = store_open(&options, err);
    static const struct store_migration *const migrations[] = {&access_migration, &queue_migration, &finding_migration,
                                                               &flow_migration, &reading_migration};
    for (size_t i = 0; service->store && i < sizeof migrations / sizeof *migrations; i++)
        if (!store_migrate(service->store, migrations[i], err))
            return false;
    if (!service->store || !finding_complete(service->store, err))
        return false;
    service->access = access_open(service->store, options.folder, err);
    service->decoder = service->access ? image_decoder_open(reduced, err) : NULL;
    service->archive = service->decoder ? archive_open(service->store, service->decoder, err) : NULL;
    return service->archive && store_check_start(service->store, err);
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

static bool start_flow(struct service *service, struct error *err)
{
    char folder[4096];
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
    if (!service_beside(folder, sizeof folder, config_text(service->config, "models.folder"), "../models") ||
        !service_beside(service->page_folder, sizeof service->page_folder, config_text(service->config, "page.folder"),
                        "../ui/dist"))
        return error_set(err, ERROR_BAD_VALUE, "models.folder or page.folder is too long");
    if (!store_write(service->store, STORE_DURABLE, write_recovery, NULL, err) ||
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
    bool ok = check_sandbox(service, err) && start_rooms(service, err);
    if (ok)
        audit_activity(service, ACCESS_EVENT_START);
    ok = ok && start_flow(service, err) && (service->dimse = dimse_service_start(service, err)) != NULL &&
         start_http(service, err);
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

void service_count_stored(struct service *service, enum archive_outcome outcome)
{
    struct service_counters *counters = &service->counters;
    _Atomic uint64_t *const counted[] = {[ARCHIVE_STORED] = &counters->objects_stored,
                                         [ARCHIVE_SAME] = &counters->objects_same,
                                         [ARCHIVE_KEPT_BESIDE] = &counters->objects_beside,
                                         [ARCHIVE_REPLACED] = &counters->objects_beside};
    atomic_fetch_add(counted[outcome], 1);
}
