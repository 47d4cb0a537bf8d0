// The provider that is entered now, for who logs in by it while an administrator changes it: who holds the one before
// works on with it until he lets go, and its logins are refused at their end.
#include "service/oidc/oidc.h"

#include <stdlib.h>

struct oidc_current {
    struct oidc_waiting *waiting;
    pthread_mutex_t reload_lock; // taken before `lock`: one reload at a time, so that the last one has the last word
    pthread_mutex_t lock;        // of `oidc`
    struct oidc *oidc;           // NULL: none is entered
};

bool oidc_start(struct service *service, struct error *err)
{
    struct oidc_current *current = calloc(1, sizeof *current);
    if (!current)
        return error_set(err, ERROR_MEMORY, "no memory for the identity provider");
    pthread_mutex_init(&current->reload_lock, NULL);
    pthread_mutex_init(&current->lock, NULL);
    service->oidc = current;
    current->waiting = oidc_waiting_open(err);
    return current->waiting && oidc_reload(service, err);
}

void oidc_stop(struct oidc_current *current)
{
    if (!current)
        return;
    oidc_release(current->oidc);
    oidc_waiting_close(current->waiting);
    pthread_mutex_destroy(&current->lock);
    pthread_mutex_destroy(&current->reload_lock);
    free(current);
}

// *next NULL: none is entered.
static bool read_row(struct service *service, struct oidc **next, struct error *err)
{
    struct access_provider row;
    struct arena arena;
    bool found = false;
    arena_init(&arena, OIDC_ROW_BYTES);
    bool ok = access_provider_get(service->access, &arena, &row, &found, err);
    *next = ok && found ? oidc_open(&row, config_text(service->config, "tls.authorities"), err) : NULL;
    ok = ok && (!found || *next);
    arena_free(&arena);
    return ok;
}

bool oidc_reload(struct service *service, struct error *err)
{
    struct oidc_current *current = service->oidc;
    struct oidc *next, *old = NULL;
    pthread_mutex_lock(&current->reload_lock);
    bool ok = read_row(service, &next, err);
    if (ok) {
        pthread_mutex_lock(&current->lock);
        old = current->oidc;
        current->oidc = next;
        pthread_mutex_unlock(&current->lock);
    }
    pthread_mutex_unlock(&current->reload_lock);
    oidc_release(old);
    return ok;
}

struct oidc *oidc_hold(const struct service *service)
{
    struct oidc_current *current = service->oidc;
    pthread_mutex_lock(&current->lock);
    struct oidc *oidc = current->oidc;
    if (oidc)
        oidc_keep(oidc);
    pthread_mutex_unlock(&current->lock);
    return oidc;
}

bool oidc_is_entered(const struct service *service)
{
    struct oidc *oidc = oidc_hold(service);
    oidc_release(oidc);
    return oidc != NULL;
}

struct oidc_waiting *oidc_waiting(const struct service *service)
{
    return service->oidc->waiting;
}
