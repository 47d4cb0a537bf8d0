#include "access/access_internal.h"

#include <stdlib.h>
#include <string.h>

#include "access/audit_chain.h"
#include "access/login.h"

struct access *access_open(struct store *store, const char *folder, const char *key, struct error *err)
{
    struct access *access = calloc(1, sizeof *access);
    if (!access) {
        error_set(err, ERROR_MEMORY, "no memory for the access room");
        return NULL;
    }
    access->store = store;
    pthread_mutex_init(&access->reload_lock, NULL);
    pthread_mutex_init(&access->resolve_lock, NULL);
    pthread_mutex_init(&access->lock, NULL);
    access->trail = access_trail_open(store, folder, key, ACCESS_SEGMENT_MAX, err);
    if (access->trail && access_peers_reload(access, err) && login_open(access, err))
        return access;
    access_close(access);
    return NULL;
}

void access_close(struct access *access)
{
    if (!access)
        return;
    login_close(access->login);
    access_trail_close(access->trail);
    free(access->known);
    pthread_mutex_destroy(&access->lock);
    pthread_mutex_destroy(&access->resolve_lock);
    pthread_mutex_destroy(&access->reload_lock);
    free(access);
}

void access_audit(struct access *access, const struct access_record *record, int64_t now_ns)
{
    access_trail_put(access->trail, record, now_ns);
}

void access_audit_change(struct access *access, bool success, const char *actor, const char *detail, int64_t now_ns)
{
    const struct access_record record = {.event = ACCESS_EVENT_CHANGED,
                                         .success = success,
                                         .actor = actor,
                                         .address = "",
                                         .patient = "",
                                         .study = "",
                                         .detail = detail};
    access_audit(access, &record, now_ns);
}

void access_changes(struct buffer *out, const json_t *before, const json_t *after)
{
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)after, member, value)
    {
        const json_t *old = json_object_get(before, member);
        if (json_equal(old, value) || strcmp(member, "version") == 0)
            continue;
        char *was = old ? json_dumps(old, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
        char *is = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        buffer_printf(out, "; %s: %s%s%s", member, was ? was : "", was ? " -> " : "", is ? is : "?");
        free(was);
        free(is);
    }
}

bool access_audit_healthy(struct access *access)
{
    return access_trail_healthy(access->trail);
}

bool access_audit_unknown(struct access *access, struct access_unknown *out, struct error *err)
{
    return access_trail_unknown(access->trail, out, err);
}

bool access_audit_acknowledge(struct access *access, const char *by, const char *version, struct error *err)
{
    return access_trail_acknowledge(access->trail, by, version, err);
}

bool access_audit_flush(struct access *access, struct error *err)
{
    return access_trail_flush(access->trail, true, err);
}

bool access_audit_written(struct access *access, struct error *err)
{
    return access_trail_flush(access->trail, false, err);
}
