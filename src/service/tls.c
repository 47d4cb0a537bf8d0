// Our certificate and whom we believe, for all that listen and call: one context for each side, made anew when one of
// the files is another one, so that a renewed certificate needs no restart.
#include "service/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

enum { CERTIFICATE, KEY, AUTHORITIES, REVOKED, FILES };
enum { WARN_DAYS = 30 };
#define LOOK_AGAIN_NS CLOCK_SECOND

struct service_tls {
    pthread_mutex_t lock;
    const char *paths[FILES];                // "" none
    struct stat known[FILES];                // as they were when they were read
    struct tls *sides[2];                    // by enum tls_side; NULL: none
    struct tls *web;                         // for browsers, who are asked for no certificate; NULL: none
    struct service_names names;              // by which browsers call; none where HTTPS is not spoken
    struct tls_fault faults[TLS_FAULTS_MAX]; // of our certificate, as others see it
    size_t fault_count;
    int64_t looked_ns; // monotonic
};

static bool is_configured(const struct service_tls *tls)
{
    return *tls->paths[CERTIFICATE] || *tls->paths[AUTHORITIES] || *tls->paths[REVOKED];
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// Have the files changed? `now` is what they are; one that is not there is all zeros.
static bool look(const struct service_tls *tls, struct stat now[FILES])
{
    bool changed = false;
    for (size_t i = 0; i < FILES; i++) {
        if (!*tls->paths[i] || stat(tls->paths[i], &now[i]) != 0)
            now[i] = (struct stat){0};
        changed = changed || !same_file(&now[i], &tls->known[i]);
    }
    return changed;
}

static const char *given(const char *path)
{
    return *path ? path : NULL;
}

static struct tls *open_side(const struct service_tls *tls, enum tls_side side, struct error *err)
{
    return tls_open(&(struct tls_options){.side = side,
                                          .certificate = given(tls->paths[CERTIFICATE]),
                                          .key = given(tls->paths[KEY]),
                                          .authorities = given(tls->paths[AUTHORITIES]),
                                          .revoked = given(tls->paths[REVOKED]),
                                          .peer_must_show = true,
                                          .judged_later = true},
                    err);
}

static struct tls *open_web(const struct service_tls *tls, struct error *err)
{
    return tls_open(&(struct tls_options){.side = TLS_SERVER,
                                          .certificate = given(tls->paths[CERTIFICATE]),
                                          .key = given(tls->paths[KEY])},
                    err);
}

size_t service_own_faults(const struct tls *tls, const struct service_names *names,
                          struct tls_fault out[TLS_FAULTS_MAX])
{
    size_t count = 0;
    while (names->list[count] && strcmp(names->list[count], "*") != 0)
        count++;
    return tls_own_faults(tls, names->list, count, out);
}

// All or none: a certificate with another one's key is not half taken.
static bool read_files(struct service_tls *tls, struct error *err)
{
    bool serves = *tls->paths[CERTIFICATE];
    struct tls *client = open_side(tls, TLS_CLIENT, err);
    struct tls *server = client && serves ? open_side(tls, TLS_SERVER, err) : NULL;
    struct tls *web = server ? open_web(tls, err) : NULL;
    if (!client || (serves && !web)) {
        tls_release(client);
        tls_release(server);
        return false;
    }
    tls_release(tls->sides[TLS_SERVER]);
    tls_release(tls->sides[TLS_CLIENT]);
    tls_release(tls->web);
    tls->sides[TLS_SERVER] = server;
    tls->sides[TLS_CLIENT] = client;
    tls->web = web;
    tls->fault_count = server ? service_own_faults(server, &tls->names, tls->faults) : 0;
    return true;
}

// Nobody but who calls us sees them otherwise, and he cannot say what is wrong here.
static void warn_of_faults(const struct service_tls *tls)
{
    if (tls->fault_count == 0)
        alarm_clear(ALARM_CERTIFICATE, "ours");
    else
        alarm_raise(ALARM_CERTIFICATE, "ours", "%s: %s%s", tls->faults[0].said, tls->faults[0].remedy,
                    tls->fault_count > 1 ? "; and more is wrong with it (`hilum check certificate`)" : "");
}

// Raised a month ahead, and until there is another one.
static void warn_of_end(const struct service_tls *tls)
{
    char when[CLOCK_RFC3339_SIZE];
    int64_t ends_ns = tls->sides[TLS_SERVER] ? tls_ends_ns(tls->sides[TLS_SERVER]) : INT64_MAX;
    int64_t left_ns = ends_ns - clock_now_ns();
    if (ends_ns == INT64_MAX || left_ns > WARN_DAYS * 86400 * CLOCK_SECOND)
        alarm_clear(ALARM_CERTIFICATE, "end");
    else
        alarm_raise(ALARM_CERTIFICATE, "end",
                    "our certificate %.100s %s at %s: renew it, it is taken without a restart", tls->paths[CERTIFICATE],
                    left_ns > 0 ? "ends" : "has ended", clock_rfc3339(when, ends_ns));
}

// A list that is late shuts nobody out: a hospital does not stop for a file. But it is said.
static void warn_of_late_list(const struct service_tls *tls)
{
    char when[CLOCK_RFC3339_SIZE];
    int64_t end_ns = tls->sides[TLS_CLIENT] ? tls_lists_end_ns(tls->sides[TLS_CLIENT]) : INT64_MAX;
    if (end_ns > clock_now_ns())
        alarm_clear(ALARM_CERTIFICATE, "revoked");
    else
        alarm_raise(ALARM_CERTIFICATE, "revoked",
                    "a list of revoked certificates in %.100s should have been followed by a newer one at %s; what was "
                    "revoked since is not known, and is let in: get the newer one",
                    tls->paths[REVOKED], clock_rfc3339(when, end_ns));
}

// With the lock.
static void refresh(struct service_tls *tls)
{
    struct stat now[FILES];
    struct error err;
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns - tls->looked_ns < LOOK_AGAIN_NS)
        return;
    tls->looked_ns = now_ns;
    if (look(tls, now)) {
        if (read_files(tls, &err)) {
            log_info("service", "the certificate, its authorities and what is revoked are read anew");
            alarm_clear(ALARM_CERTIFICATE, "files");
            memcpy(tls->known, now, sizeof now);
        } else { // and again in a second: an owner or a mode may be mended, which their times and sizes do not show
            alarm_raise(ALARM_CERTIFICATE, "files", "the ones before it stay in force, for %s", err.message);
        }
    }
    warn_of_end(tls);
    warn_of_faults(tls);
    warn_of_late_list(tls);
}

struct service_tls *service_tls_open(const json_t *config, struct error *err)
{
    static const char *const keys[FILES] = {"tls.certificate", "tls.key", "tls.authorities", "tls.revoked"};
    struct service_tls *tls = calloc(1, sizeof *tls);
    if (!tls) {
        error_set(err, ERROR_MEMORY, "no memory for TLS");
        return NULL;
    }
    pthread_mutex_init(&tls->lock, NULL);
    for (size_t i = 0; i < FILES; i++)
        tls->paths[i] = config_text(config, keys[i]);
    look(tls, tls->known);
    if (*config_text(config, "http.tls_listen") &&
        !service_names_read(&tls->names, config_text(config, "http.names"), err)) {
        service_tls_close(tls);
        return NULL;
    }
    if (!is_configured(tls) || read_files(tls, err)) {
        warn_of_end(tls);
        warn_of_faults(tls);
        warn_of_late_list(tls);
        return tls;
    }
    service_tls_close(tls);
    return NULL;
}

void service_tls_close(struct service_tls *tls)
{
    if (!tls)
        return;
    tls_release(tls->sides[TLS_SERVER]);
    tls_release(tls->sides[TLS_CLIENT]);
    tls_release(tls->web);
    free(tls->names.text);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

struct tls *service_tls_side(struct service_tls *tls, enum tls_side side, struct error *err)
{
    pthread_mutex_lock(&tls->lock);
    if (is_configured(tls))
        refresh(tls);
    else if (side == TLS_CLIENT && !tls->sides[side])
        read_files(tls, err);
    struct tls *out = tls->sides[side] ? tls_hold(tls->sides[side]) : NULL;
    pthread_mutex_unlock(&tls->lock);
    if (!out && (is_configured(tls) || side == TLS_SERVER))
        error_set(err, ERROR_UNSUPPORTED, "TLS is not set up: give tls.certificate and tls.key");
    return out;
}

struct tls *service_tls_web(struct service_tls *tls, struct error *err)
{
    pthread_mutex_lock(&tls->lock);
    if (is_configured(tls))
        refresh(tls);
    struct tls *out = tls->web ? tls_hold(tls->web) : NULL;
    pthread_mutex_unlock(&tls->lock);
    if (!out)
        error_set(err, ERROR_UNSUPPORTED, "TLS is not set up: give tls.certificate and tls.key");
    return out;
}

int64_t service_tls_ends_ns(struct service_tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    if (is_configured(tls))
        refresh(tls);
    int64_t ends_ns = tls->sides[TLS_SERVER] ? tls_ends_ns(tls->sides[TLS_SERVER]) : INT64_MAX;
    pthread_mutex_unlock(&tls->lock);
    return ends_ns;
}

int64_t service_tls_lists_end_ns(struct service_tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    if (is_configured(tls))
        refresh(tls);
    int64_t end_ns = tls->sides[TLS_CLIENT] ? tls_lists_end_ns(tls->sides[TLS_CLIENT]) : INT64_MAX;
    pthread_mutex_unlock(&tls->lock);
    return end_ns;
}

size_t service_tls_faults(struct service_tls *tls, struct tls_fault out[TLS_FAULTS_MAX])
{
    pthread_mutex_lock(&tls->lock);
    if (is_configured(tls))
        refresh(tls);
    size_t count = tls->fault_count;
    memcpy(out, tls->faults, sizeof tls->faults);
    pthread_mutex_unlock(&tls->lock);
    return count;
}
