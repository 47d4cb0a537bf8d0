// The files that the configuration names, looked at as the server will read them: for `hilum config check`.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/audit_key.h"
#include "base/file.h"
#include "service/internal.h"
#include "store/backup.h"

enum { TOLD_SIZE = 2 * TLS_WRONG_SIZE + 64 };

struct look {
    const struct config *config;
    void (*tell)(void *payload, const char *text);
    void *payload;
};

static bool is_file(const char *path, struct error *err)
{
    int fd = file_open(path, NULL, err);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static bool is_backup_key(const char *path, struct error *err)
{
    struct backup_key key;
    return backup_key_read(path, &key, err);
}

// The server makes one where there is none.
static bool is_audit_key(const char *path, struct error *err)
{
    struct access_key key;
    return access_key_read(&key, "", path, err);
}

enum { CERTIFICATE, KEY, AUTHORITIES, REVOKED, TLS_FILES };
static const struct {
    const char *key;
    bool (*check)(const char *path, struct error *err);
} files[] = {[CERTIFICATE] = {"tls.certificate", is_file},
             [KEY] = {"tls.key", is_file},
             [AUTHORITIES] = {"tls.authorities", is_file},
             [REVOKED] = {"tls.revoked", is_file},
             {"audit.key", is_audit_key},
             {"backup.key", is_backup_key},
             {"models.onnxruntime", is_file}};
enum { FILES = sizeof files / sizeof *files };

// Who checks is often not the server's user: what he may not read he is told of, and it is no fault.
static bool may_read(const struct look *look, const char *key, const char *path)
{
    char text[TOLD_SIZE];
    if (access(path, R_OK) == 0 || errno != EACCES)
        return true;
    snprintf(text, sizeof text, "%s: %.200s cannot be read by this user, and was not looked at", key, path);
    look->tell(look->payload, text);
    return false;
}

static void tell_faults(const struct look *look, const struct tls *tls)
{
    char text[TOLD_SIZE];
    struct tls_fault faults[TLS_FAULTS_MAX];
    struct service_names names = {.text = NULL};
    struct error ignored; // told with its value
    if (*config_text(look->config->tree, "http.tls_listen"))
        service_names_read(&names, config_text(look->config->tree, "http.names"), &ignored);
    size_t count = service_own_faults(tls, &names, faults);
    free(names.text);
    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "tls.certificate: %s: %s", faults[i].said, faults[i].remedy);
        look->tell(look->payload, text);
    }
}

// Of the four together; the fault is that of the one whose path is named.
static bool check_tls(const struct look *look, const char *const paths[TLS_FILES], struct error *err)
{
    const struct tls_options options = {.side = paths[CERTIFICATE] ? TLS_SERVER : TLS_CLIENT,
                                        .certificate = paths[CERTIFICATE],
                                        .key = paths[KEY],
                                        .authorities = paths[AUTHORITIES],
                                        .revoked = paths[REVOKED],
                                        .judged_later = true};
    size_t at = TLS_FILES;
    struct tls *tls = tls_open(&options, err);
    if (tls) {
        tell_faults(look, tls);
        tls_release(tls);
        return true;
    }
    while (--at > 0)
        if (paths[at] && strstr(err->message, paths[at]))
            break;
    error_prefix(err, "%s", files[at].key);
    return config_blame(look->config, files[at].key, err);
}

bool service_config_files(const struct config *config, void (*tell)(void *payload, const char *text), void *payload,
                          struct error *err)
{
    const struct look look = {config, tell, payload};
    const char *paths[FILES] = {NULL};
    bool sound = true;
    for (size_t i = 0; i < FILES; i++) {
        const char *path = config_text(config->tree, files[i].key);
        if (!*path || !may_read(&look, files[i].key, path))
            continue;
        paths[i] = path;
        if (files[i].check(path, err))
            continue;
        error_prefix(err, "%s", files[i].key);
        sound = sound && i >= TLS_FILES;
        if (!config_blame(config, files[i].key, err))
            return false;
    }
    bool pair = (paths[CERTIFICATE] != NULL) == (paths[KEY] != NULL);
    return !sound || !pair || check_tls(&look, paths, err);
}
