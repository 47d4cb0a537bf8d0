// What was refused and is kept: which, why, and that an administrator has done with it.
#include "service/internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

// Of which study it is nobody knows: what it says of itself is for who sees all.
static const struct store_refused *told(const struct store_refused *refused, struct access_scope scope,
                                        struct store_refused *out)
{
    *out = *refused;
    if (scope.hidden != 0)
        out->reason = "why is told to who sees all studies: nobody knows of which one this is";
    return out;
}

static json_t *to_json(const struct store_refused *refused)
{
    char when[CLOCK_RFC3339_SIZE], file[40];
    size_t first = strcspn(refused->reason, "\n");
    const char *rest = refused->reason + first + (refused->reason[first] == '\n');
    snprintf(file, sizeof file, "quarantine/%010" PRIu64 ".dcm", refused->number);
    return json_pack("{s:I, s:s, s:I, s:s, s:o, s:o}", "number", (json_int_t)refused->number, "file", file, "size",
                     (json_int_t)refused->size, "refused", clock_rfc3339(when, refused->refused_ns), "reason",
                     json_stringn_nocheck(refused->reason, first), "about", json_string(rest));
}

void api_quarantine(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct store_refused *refused, one;
    struct error err;
    size_t count = 0;
    if (!store_quarantine_list(service->store, http_arena(request), &refused, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, to_json(told(&refused[i], service_scope(request), &one)));
    service_tell_total(request, count);
    service_reply_json(request, 200, list);
}

void api_quarantine_delete(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    uint64_t number;
    const char *text = http_path_part(request, "number");
    bool ok = text_to_u64(text, strlen(text), &number) ||
              error_set(&err, ERROR_NOT_FOUND, "the quarantine has no file '%.20s'", text);
    if (ok && store_quarantine_remove(service->store, number, &err))
        http_reply(request, 204, NULL, "", 0);
    else
        http_reply_error(request, &err);
}
