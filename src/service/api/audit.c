// GET /api/audit: the audit trail for a person who answers for it, newest lines first. That he has looked is a line of
// it (Audit Log Used), once for what he asks and not for each of its answers.
#include "service/internal.h"

#include <string.h>

#include "access/audit_read.h"

static const char *text_or_empty(struct http_request *request, const char *name)
{
    const char *value = http_query(request, name);
    return value ? value : "";
}

static bool read_time(struct http_request *request, const char *name, int64_t *out, struct error *err)
{
    const char *value = text_or_empty(request, name);
    return !*value || access_read_time(value, out, err) || error_prefix(err, "%s", name);
}

static bool read_wanted(struct http_request *request, struct access_read *out, struct error *err)
{
    const char *limit = text_or_empty(request, "limit");
    *out = (struct access_read){.until_ns = INT64_MAX,
                                .actor = text_or_empty(request, "actor"),
                                .patient = text_or_empty(request, "patient"),
                                .study = text_or_empty(request, "study"),
                                .event = text_or_empty(request, "event"),
                                .before = text_or_empty(request, "before"),
                                .limit = ACCESS_READ_LINES};
    return read_time(request, "from", &out->from_ns, err) && read_time(request, "until", &out->until_ns, err) &&
           (!*limit || service_read_count("limit", limit, &out->limit, err));
}

// What was asked, without where in its answers.
static const char *said(struct http_request *request)
{
    static const char *const names[] = {"from", "until", "actor", "patient", "study", "event"};
    const char *text = "GET /api/audit";
    for (size_t i = 0; i < sizeof names / sizeof *names && text; i++)
        if (*text_or_empty(request, names[i]))
            text = arena_printf(http_arena(request), "%s %s=%s", text, names[i], http_query(request, names[i]));
    return text;
}

void api_audit(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_read wanted;
    struct error err;
    json_t *json = NULL;
    service_about(request,
                  &(struct service_about){.patient = text_or_empty(request, "patient"), .detail = said(request)});
    if (read_wanted(request, &wanted, &err))
        json = access_read(config_text(service->config, "data"), &wanted, &err);
    if (json)
        service_reply_json(request, 200, json);
    else
        http_reply_error(request, &err);
}
