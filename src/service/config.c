// The server's part of the configuration file: its keys, and what their values may be beyond their types.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "base/wire.h"
#include "dicom/charset.h"
#include "service/internal.h"

static const struct config_key keys[] = {
    {"data", CONFIG_TEXT, "./hilum-data", 0, 0, NULL, "The folder for objects, database and audit trail."},
    {"sandbox", CONFIG_CHOICE, "full", 0, 0, "full|reduced",
     "How decoders and models are locked in; reduced goes on where the kernel cannot do all of it."},
    {"log", CONFIG_CHOICE, "info", 0, 0, "debug|info|warning|error", "The least important messages to log."},
    {"http.listen", CONFIG_HOST_PORT, "127.0.0.1:8080", 0, 0, NULL,
     "Page, DICOMweb and API, without TLS: loopback only."},
    {"http.tls_listen", CONFIG_TEXT, "", 0, 0, NULL,
     "The same over TLS: 0.0.0.0:8443; empty: nowhere. Needs tls.certificate."},
    {"http.names", CONFIG_TEXT, "", 0, 0, NULL,
     "Names by which browsers call this server or the proxy in front of it, with commas between: hilum.example.org. "
     "Another Host is refused; numeric addresses and localhost are not names."},
    {"http.trusted_proxies", CONFIG_TEXT, "", 0, 0, NULL,
     "Numeric addresses of proxies in front or ranges of them (10.0.0.0/8), with commas between, whose Forwarded or "
     "X-Forwarded-For and -Proto count; empty: nobody's."},
    {"dicom.listen", CONFIG_HOST_PORT, "127.0.0.1:11112", 0, 0, NULL,
     "Where modalities send to. Off loopback every peer needs an entry."},
    {"dicom.tls_listen", CONFIG_TEXT, "", 0, 0, NULL,
     "Where modalities send to over TLS: 0.0.0.0:2762; empty: nowhere. Needs tls.certificate."},
    {"dicom.titles", CONFIG_TEXT, "HILUM", 0, 0, NULL, "Our AE titles, separated by commas."},
    {"dicom.artim_seconds", CONFIG_INTEGER, "30", 1, 600, NULL,
     "How long a peer may take to ask for an association, or to close."},
    {"dicom.idle_seconds", CONFIG_INTEGER, "60", 1, 86400, NULL,
     "How long an association may be silent between messages."},
    {"dicom.charset", CONFIG_TEXT, "", 0, 0, NULL,
     "What text is in that comes without Specific Character Set, from a peer that has none entered: \"ISO_IR 100\"; "
     "empty: UTF-8 where it is that, else it is flagged."},
    {"tls.certificate", CONFIG_TEXT, "", 0, 0, NULL,
     "Our certificate, PEM, behind it those of the authorities between; `hilum cert` makes one. A newer file is taken "
     "without a restart."},
    {"tls.key", CONFIG_TEXT, "", 0, 0, NULL, "Its key, PEM without a password; mode 0600."},
    {"tls.authorities", CONFIG_TEXT, "", 0, 0, NULL,
     "Those whose word counts for a peer's certificate, PEM; empty: only certificates that are entered with their "
     "peer, "
     "and the system's for those whom we call."},
    {"tls.revoked", CONFIG_TEXT, "", 0, 0, NULL,
     "Lists of certificates that their authorities have revoked (CRLs), PEM; a peer that shows one of them is refused. "
     "A newer file is taken without a restart; a list that is late is a warning."},
    {"audit.key", CONFIG_TEXT, "", 0, 0, NULL,
     "The file with the key of the audit trail's chain, for a place apart from the trail; empty: audit-key in the data "
     "folder."},
    {"audit.syslog", CONFIG_TEXT, "", 0, 0, NULL,
     "The collector that gets the audit trail by syslog over TLS (RFC 5425): HOST:6514; empty: none."},
    {"audit.syslog_certificate", CONFIG_TEXT, "", 0, 0, NULL,
     "SHA-256 fingerprint of the certificate that it must show; empty: any of a known authority."},
    {"memory.peers_mb", CONFIG_INTEGER, "1024", 256, 1 << 20, NULL,
     "What all who send or ask may make the server hold in memory at once; past it they are told to come again (503, "
     "A700H)."},
    {"login.idle_minutes", CONFIG_INTEGER, "15", 1, 720, NULL,
     "How long who has logged in may do nothing until the session ends."},
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
    {"backup.folder", CONFIG_TEXT, "", 0, 0, NULL,
     "The folder of backups, best on another machine's disk; empty: none are made."},
    {"backup.key", CONFIG_TEXT, "", 0, 0, NULL,
     "The file with their key, mode 0600; `hilum backup key FILE` makes one. Keep a copy of it elsewhere: without it "
     "no "
     "backup can be read."},
    {"backup.at", CONFIG_TEXT, "02:30", 0, 0, NULL,
     "When one is made each day, by the server's zone; empty: only when somebody asks (`hilum backup`)."},
    {"backup.keep", CONFIG_INTEGER, "14", 1, 10000, NULL, "How many are kept; the oldest go past that."},
    {NULL, CONFIG_TEXT, NULL, 0, 0, NULL, NULL},
};

// What else the file may hold. The server only looks whether it is known: these change while it runs, and only so.
static const struct config_key rows[] = {
    {"peers", CONFIG_LIST,
     "{name: ct1, title: CT1, host: 10.1.2.40, port: 104, rights: [store], plain: accepted, issuer: SITE_A}", 0, 0,
     NULL, "Peers. A list that is here is the whole list, and takes effect by `hilum config apply FILE` only."},
    {"hl7_targets", CONFIG_LIST, "{name: ris, host: 10.1.2.60, port: 2575, application: RIS, facility: HOSP}", 0, 0,
     NULL, "Where reports go to by HL7; in the same way."},
    {"labels", CONFIG_LIST, "{name: staff, description: patients who work here}", 0, 0, NULL,
     "Labels of studies that not all may see; in the same way."},
    {"rules", CONFIG_LIST,
     "{name: head, modality: CT, body_part: HEAD, model: head-ct-hyperdense, send_to: [pacs], hl7_to: [ris]}", 0, 0,
     NULL, "Which model looks at what, and who is told; in the same way."},
    {NULL, CONFIG_TEXT, NULL, 0, 0, NULL, NULL},
};
const struct config_key *const service_config[] = {keys, rows, NULL};

// ---- values

bool service_titles_read(struct service_titles *titles, const char *text, struct error *err)
{
    char *save = NULL;
    size_t count = 0;
    *titles = (struct service_titles){.text = strdup(text)};
    if (!titles->text)
        return error_set(err, ERROR_MEMORY, "no memory for the AE titles");
    for (char *title = strtok_r(titles->text, ", ", &save); title; title = strtok_r(NULL, ", ", &save)) {
        if (count == SERVICE_TITLES_MAX)
            return error_set(err, ERROR_BAD_VALUE, "there are more than %d AE titles", SERVICE_TITLES_MAX);
        if (!access_title_fits(title, strlen(title)))
            return error_set(err, ERROR_BAD_VALUE,
                             "'%.40s' is no AE title: 1 to 16 printable ASCII characters without \\ / * ?", title);
        titles->list[count++] = title;
    }
    return count > 0 || error_set(err, ERROR_BAD_VALUE, "give at least one AE title");
}

// Host names as browsers send them: letters, digits, '-' and '.', or an underscore that some sites have.
static bool name_fits(const char *name)
{
    return strlen(name) <= 253 &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")] == '\0';
}

bool service_names_read(struct service_names *names, const char *text, struct error *err)
{
    char *save = NULL;
    size_t count = 0;
    *names = (struct service_names){.text = strdup(text)};
    if (!names->text)
        return error_set(err, ERROR_MEMORY, "no memory for the server's names");
    for (char *name = strtok_r(names->text, ", ", &save); name; name = strtok_r(NULL, ", ", &save)) {
        if (count == SERVICE_NAMES_MAX)
            return error_set(err, ERROR_BAD_VALUE, "there are more than %d names", SERVICE_NAMES_MAX);
        if (!name_fits(name))
            return error_set(err, ERROR_BAD_VALUE, "'%.60s' is no host name; give it without scheme, port and path",
                             name);
        names->list[count++] = name;
    }
    return true;
}

static bool check_names(const char *text, struct error *err)
{
    struct service_names names;
    bool ok = service_names_read(&names, text, err);
    free(names.text);
    return ok;
}

static bool check_folder(const char *text, struct error *err)
{
    return strlen(text) <= STORE_FOLDER_MAX ||
           error_set(err, ERROR_BAD_VALUE, "the path is longer than %d", STORE_FOLDER_MAX);
}

static bool check_titles(const char *text, struct error *err)
{
    struct service_titles titles;
    bool ok = service_titles_read(&titles, text, err);
    free(titles.text);
    return ok;
}

static bool check_charset(const char *text, struct error *err)
{
    return dicom_charset_is_known(text) ||
           error_set(err, ERROR_BAD_VALUE, "'%.60s' is no Specific Character Set, such as ISO_IR 100 or GB18030", text);
}

static bool check_synonyms(const char *text, struct error *err)
{
    struct model_words *words = model_words_open(text, err);
    if (words)
        model_words_close(words);
    return words != NULL;
}

// Both families' loopback answers to "localhost" in browsers and curl, and those who look it up try both.
static bool read_address(const char *text, char host[SERVICE_HOST_SIZE], uint16_t *port)
{
    if (!text_host_port(text, host, SERVICE_HOST_SIZE, port) || !*host)
        return false;
    if (text_same_fold(host, "localhost"))
        text_copy(host, SERVICE_HOST_SIZE, "127.0.0.1");
    return true;
}

void service_listen_address(const json_t *config, const char *key, char host[SERVICE_HOST_SIZE], uint16_t *port)
{
    read_address(config_text(config, key), host, port);
}

static bool check_http(const char *text, struct error *err)
{
    char host[SERVICE_HOST_SIZE];
    uint16_t port;
    if (!read_address(text, host, &port))
        return error_set(err, ERROR_BAD_VALUE, "'%.60s' has no host; give HOST:PORT", text);
    return access_address_is_loopback(host) ||
           error_set(err, ERROR_FORBIDDEN,
                     "%.60s is off loopback, where HTTP needs TLS: give http.tls_listen, or use 127.0.0.1 and a proxy",
                     text);
}

static bool check_dicom(const char *text, struct error *err)
{
    char host[SERVICE_HOST_SIZE];
    uint16_t port;
    if (!read_address(text, host, &port))
        return error_set(err, ERROR_BAD_VALUE, "'%.60s' has no host; give HOST:PORT, 0.0.0.0 for all addresses", text);
    return wire_host_is_known(host, err);
}

static bool check_tls_listen(const char *text, struct error *err)
{
    return !*text || check_dicom(text, err);
}

static bool check_syslog(const char *text, struct error *err)
{
    char host[SERVICE_HOST_SIZE];
    uint16_t port;
    return !*text || read_address(text, host, &port) ||
           error_set(err, ERROR_BAD_VALUE, "'%.60s' is no HOST:PORT", text);
}

static bool check_fingerprint(const char *text, struct error *err)
{
    char ignored[TLS_FINGERPRINT_SIZE];
    return !*text || tls_fingerprint(text, ignored) ||
           error_set(err, ERROR_BAD_VALUE, "'%.100s' is no SHA-256 fingerprint: 64 digits, with or without colons",
                     text);
}

static bool check_data(const char *text, struct error *err)
{
    return *text ? check_folder(text, err) : error_set(err, ERROR_BAD_VALUE, "give a folder");
}

// It is made by the server, whose working folder nobody thinks of.
static bool check_backups(const char *text, struct error *err)
{
    return !*text || (*text == '/' ? check_folder(text, err)
                                   : error_set(err, ERROR_BAD_VALUE, "'%.100s' does not begin with /", text));
}

static bool check_at(const char *text, struct error *err)
{
    int minutes;
    return !*text || service_backup_time(text, &minutes) ||
           error_set(err, ERROR_BAD_VALUE, "'%.40s' is no time of the day, such as 02:30", text);
}

static const struct {
    const char *key;
    bool (*check)(const char *text, struct error *err);
} checks[] = {{"data", check_data},
              {"http.listen", check_http},
              {"http.tls_listen", check_tls_listen},
              {"http.names", check_names},
              {"http.trusted_proxies", http_check_proxies},
              {"dicom.listen", check_dicom},
              {"dicom.tls_listen", check_tls_listen},
              {"dicom.titles", check_titles},
              {"dicom.charset", check_charset},
              {"audit.syslog", check_syslog},
              {"audit.syslog_certificate", check_fingerprint},
              {"models.synonyms", check_synonyms},
              {"models.folder", check_folder},
              {"page.folder", check_folder},
              {"backup.folder", check_backups},
              {"backup.at", check_at}};

void service_config_missing(const json_t *config, void (*tell)(void *payload, const char *text), void *payload)
{
    static const char *const folders[] = {"models.folder", "page.folder"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct stat status;
        char text[STORE_FOLDER_MAX + 64];
        const char *folder = config_text(config, folders[i]);
        if (!*folder || (stat(folder, &status) == 0 && S_ISDIR(status.st_mode)))
            continue;
        snprintf(text, sizeof text, "%s: there is no folder %s", folders[i], folder);
        tell(payload, text);
    }
}

// What is wrong with the files themselves the start says, and `hilum config check` of these two.
static bool check_tls(const struct config *config, struct error *err)
{
    bool has_certificate = *config_text(config->tree, "tls.certificate"),
         has_key = *config_text(config->tree, "tls.key");
    if (has_certificate != has_key)
        return error_set(err, ERROR_BAD_VALUE, "tls.certificate and tls.key go together: give both, or none");
    const char *needs = *config_text(config->tree, "dicom.tls_listen")  ? "dicom.tls_listen"
                        : *config_text(config->tree, "http.tls_listen") ? "http.tls_listen"
                                                                        : NULL;
    return has_certificate || !needs || error_set(err, ERROR_BAD_VALUE, "%s needs tls.certificate and tls.key", needs);
}

static bool check_backup(const struct config *config, struct error *err)
{
    const char *folder = config_text(config->tree, "backup.folder"), *data = config_text(config->tree, "data");
    size_t size = strlen(data);
    if (*folder && !*config_text(config->tree, "backup.key"))
        return error_set(err, ERROR_BAD_VALUE,
                         "backup.folder needs backup.key: `hilum backup key FILE` makes one, mode 0600");
    if (*folder && strncmp(folder, data, size) == 0 && (folder[size] == '/' || folder[size] == '\0'))
        return error_set(err, ERROR_BAD_VALUE,
                         "backup.folder %.100s is in the data folder, and is lost with it: name another disk's",
                         folder);
    return true;
}

bool service_config_check(const struct config *config, struct error *err)
{
    if ((!check_tls(config, err) && !config_blame(config, "tls.certificate", err)) ||
        (!check_backup(config, err) && !config_blame(config, "backup.folder", err)))
        return false;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (!checks[i].check(config_text(config->tree, checks[i].key), err)) {
            error_prefix(err, "%s", checks[i].key);
            if (!config_blame(config, checks[i].key, err))
                return false;
        }
    return true;
}
