// How backups stand, and one that is made now.
#include "service/internal.h"

void api_backups(void *payload, struct http_request *request)
{
    struct service *service = payload;
    service_reply_json(request, 200, backups_to_json(service->backups));
}

void api_backup_make(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    json_t *body = service_read_json(request, "begin", &err), *begin = json_object_get(body, "begin");
    bool ok =
        body && (!begin || json_is_boolean(begin) || error_set(&err, ERROR_BAD_VALUE, "'begin' is true or false"));
    ok = ok && backups_ask(service->backups, json_is_true(begin), &err);
    json_decref(body);
    if (ok)
        service_reply_json(request, 202, backups_to_json(service->backups));
    else
        http_reply_error(request, &err);
}
