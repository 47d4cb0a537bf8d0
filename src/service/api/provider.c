// /api/provider: the identity provider that people may log in by, entered while the server runs.
#include "service/internal.h"

#include <string.h>

#include "service/oidc/oidc.h"

// {"provider": the entry or null, "redirectUri"}; the caller's, NULL with *err.
static json_t *whole(struct service *service, struct http_request *request, struct error *err)
{
    struct access_provider provider;
    bool found = false;
    const char *uri = oidc_redirect_uri_for(service, request);
    if (!uri) {
        error_set(err, ERROR_MEMORY, "no memory for the answer");
        return NULL;
    }
    if (!access_provider_get(service->access, http_arena(request), &provider, &found, err))
        return NULL;
    return json_pack("{s:o, s:s}", "provider", found ? access_provider_to_json(&provider) : json_null(), "redirectUri",
                     uri);
}

void api_provider(void *payload, struct http_request *request)
{
    struct error err;
    json_t *out = whole(payload, request, &err);
    if (out)
        service_reply_json(request, 200, out);
    else
        http_reply_error(request, &err);
}

// What the check of the provider does not find well, in words. It is kept all the same: it may be that it starts later.
static void warn_of_check(struct service *service, struct http_request *request, json_t *warnings)
{
    size_t i;
    json_t *step;
    struct error err;
    json_t *seen = checks_run(service, http_arena(request), "provider", "login", &err);
    if (!seen)
        json_array_append_new(warnings, json_sprintf("it was not looked at: %s", err.message));
    json_array_foreach(json_object_get(seen, "steps"), i, step)
    {
        const char *state = json_string_value(json_object_get(step, "state")),
                   *said = json_string_value(json_object_get(step, "said")),
                   *remedy = json_string_value(json_object_get(step, "remedy"));
        if (state && said && (strcmp(state, "failed") == 0 || strcmp(state, "warning") == 0))
            json_array_append_new(warnings,
                                  json_sprintf("%s%s%s", said, remedy && *remedy ? "; " : "", remedy ? remedy : ""));
    }
    json_decref(seen);
}

static void warn_of_first(struct service *service, json_t *warnings)
{
    if (access_first_is_due(service->access))
        json_array_append_new(
            warnings,
            json_sprintf("logins are needed from now on, and there is no account yet: the first is made by a person of "
                         "a group that is administrator, or by the code in %s/first-administrator",
                         config_text(service->config, "data")));
}

static bool take_effect(struct service *service, struct error *err)
{
    return oidc_reload(service, err) || error_prefix(err, "the change is kept but not in force yet");
}

static bool change(struct service *service, struct http_request *request, const json_t *body, struct error *err)
{
    struct access_provider provider;
    bool found = false;
    if (!access_provider_get(service->access, http_arena(request), &provider, &found, err))
        return false;
    if (!found)
        provider = access_provider_start;
    return access_provider_change(body, http_arena(request), &provider, err) &&
           access_provider_put(service->access, &provider, service_subject(request)->name, err) &&
           take_effect(service, err) && service_open_first(service, err);
}

void api_provider_put(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    json_t *body = service_read_json(request, NULL, &err), *out = NULL;
    if (body && change(service, request, body, &err))
        out = whole(service, request, &err);
    json_decref(body);
    if (!out) {
        http_reply_error(request, &err);
        return;
    }
    json_t *warnings = json_array();
    warn_of_check(service, request, warnings);
    warn_of_first(service, warnings);
    json_object_set_new(out, "warnings", warnings);
    service_reply_json(request, 200, out);
}

void api_provider_delete(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    if (access_provider_remove(service->access, service_subject(request)->name, &err) && take_effect(service, &err))
        http_reply(request, 204, NULL, "", 0);
    else
        http_reply_error(request, &err);
}
