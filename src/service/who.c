// Who sends a request, and whether he may have what its route is for (access/allow.h).
#include "service/dimse/dimse_service.h"
#include "service/internal.h"

const struct access_subject *service_subject(const struct http_request *request)
{
    const struct service_note *note = http_note(request);
    return &note->subject;
}

struct access_scope service_scope(const struct http_request *request)
{
    return access_scope_of(service_subject(request));
}

static bool check_study(struct service *service, struct http_request *request, struct error *err)
{
    bool seen = false;
    const struct access_scope scope = service_scope(request);
    const char *study = http_path_part(request, "study");
    return !study || scope.hidden == 0 ||
           (archive_sees(service->archive, scope, study, &seen, err) &&
            (seen || error_set(err, ERROR_NOT_FOUND, "there is no study %.64s here", study)));
}

bool service_admit_subject(struct service *service, struct http_request *request, const struct http_route *route,
                           const struct access_subject *subject, struct error *err)
{
    struct service_note *note = arena_alloc(http_arena(request), sizeof *note);
    if (!note)
        return error_set(err, ERROR_MEMORY, "no memory for who asks");
    *note = (struct service_note){.subject = *subject};
    http_set_note(request, note);
    note->refused = !access_check(subject, (enum access_action)route->action, err);
    if (note->refused)
        service_about(request, &(struct service_about){.detail = arena_printf(http_arena(request), "%s %s: %s",
                                                                              http_method(request), http_path(request),
                                                                              err->message)});
    return !note->refused && check_study(service, request, err) && service_audit_admit(service, route, err);
}

bool service_admit(void *payload, struct http_request *request, const struct http_route *route, struct error *err)
{
    const char *address = http_address(request);
    struct access_subject subject = access_local_subject(address);
    if (!access_address_is_loopback(address))
        subject.roles = 0; // who is elsewhere needs a login
    return service_admit_subject(payload, request, route, &subject, err);
}

static size_t count_routes(void)
{
    size_t count = 0;
    while (service_routes[count].method)
        count++;
    return count;
}

static size_t count_offers(void)
{
    size_t count = 0;
    while (dimse_offers[count].name)
        count++;
    return count;
}

bool service_door(size_t index, struct service_door *out)
{
    size_t routes = count_routes();
    if (index < routes) {
        const struct http_route *route = &service_routes[index];
        *out = (struct service_door){route->method, route->path, (enum access_action)route->action, false};
        return true;
    }
    if (index - routes >= count_offers())
        return false;
    const struct dimse_offer *offer = &dimse_offers[index - routes];
    *out = (struct service_door){offer->name, offer->sop_class, offer->action, true};
    return true;
}
