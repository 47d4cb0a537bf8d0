// /api/peers: the entries of other DICOM systems.
#include "service/internal.h"

#include <string.h>

#include "base/clock.h"
#include "dimse/dimse.h"

enum { ECHO_SECONDS = 10 };

static bool list(struct service *service, struct http_request *request, json_t *out, struct error *err)
{
    struct access_peer *peers;
    size_t count = 0;
    if (!access_peer_list(service->access, http_arena(request), &peers, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        json_array_append_new(out, access_peer_to_json(&peers[i]));
    return true;
}

void api_peers(void *payload, struct http_request *request)
{
    json_t *out = json_array();
    struct error err;
    if (list(payload, request, out, &err)) {
        service_reply_json(request, 200, out);
        return;
    }
    json_decref(out);
    http_reply_error(request, &err);
}

// The body without a name, or with that of the path.
static json_t *read_peer(struct http_request *request, struct access_peer *peer, struct error *err)
{
    json_t *json = service_read_json(request, NULL, err);
    if (!json)
        return NULL;
    json_object_set_new(json, "name", json_string(http_path_part(request, "name")));
    if (access_peer_from_json(json, peer, err))
        return json;
    json_decref(json);
    return NULL;
}

// An entry that is there is replaced by one that names all of it.
static bool check_whole(struct service *service, const json_t *given, const struct access_peer *wanted,
                        struct error *err)
{
    struct access_peer present;
    if (!access_peer_get(service->access, wanted->name, &present, err))
        return err->code == ERROR_NOT_FOUND;
    json_t *before = access_peer_to_json(&present), *after = access_peer_to_json(wanted);
    bool ok = service_names_all(given, before, after, err);
    json_decref(before);
    json_decref(after);
    return ok;
}

void api_peer_put(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_peer peer;
    struct error err;
    json_t *given = read_peer(request, &peer, &err);
    if (given && check_whole(service, given, &peer, &err) &&
        access_peer_put(service->access, &peer, service_subject(request)->name, &err) &&
        access_peer_get(service->access, peer.name, &peer, &err))
        service_reply_json(request, 200, access_peer_to_json(&peer));
    else
        http_reply_error(request, &err);
    json_decref(given);
}

void api_peer_delete(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    if (access_peer_remove(service->access, http_path_part(request, "name"), service_subject(request)->name, &err))
        service_reply_removed(service, request, "dicom");
    else
        http_reply_error(request, &err);
}

static bool echo(struct service *service, const struct access_peer *entry, uint16_t *status, int64_t *took_ns,
                 struct error *err)
{
    struct dimse_timers timers = {.artim_ns = ECHO_SECONDS * CLOCK_SECOND,
                                  .idle_ns = ECHO_SECONDS * CLOCK_SECOND,
                                  .transfer_ns = ECHO_SECONDS * CLOCK_SECOND};
    int64_t started = clock_monotonic_ns();
    struct dimse_association *association = dimse_service_call(service, entry, &service_echo, 1, &timers, err);
    if (!association)
        return false;
    if (!dimse_echo(association, status, err)) {
        dimse_close(association);
        return false;
    }
    *took_ns = clock_monotonic_ns() - started;
    return dimse_release(association, err);
}

// A live C-ECHO, from where the images will be sent from.
void api_peer_echo(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_peer peer;
    struct error err;
    uint16_t status = 0;
    int64_t took_ns = 0;
    if (access_peer_get(service->access, http_path_part(request, "name"), &peer, &err) &&
        echo(service, &peer, &status, &took_ns, &err))
        service_reply_json(request, 200, json_pack("{s:i, s:f}", "status", (int)status, "ms", (double)took_ns / 1e6));
    else
        http_reply_error(request, &err);
}
