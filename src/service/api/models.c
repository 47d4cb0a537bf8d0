// The installed model packages, and looking for them again.
#include "service/internal.h"

static json_t *list(struct service *service)
{
    struct model_package *packages[MODEL_PACKAGES_MAX];
    size_t count = model_packages_list(service->packages, packages);
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(
            out, json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", model_package_name(packages[i]), "version",
                           model_package_version(packages[i]), "title", model_package_title(packages[i]), "label",
                           model_package_label(packages[i]), "digest", model_package_digest(packages[i])));
        model_package_close(packages[i]);
    }
    return out;
}

void api_models(void *payload, struct http_request *request)
{
    service_reply_json(request, 200, list(payload));
}

static void put_missing(struct buffer *out, const json_t *packages, const json_t *others, const char *word)
{
    size_t i, k;
    json_t *package, *other;
    json_array_foreach((json_t *)(uintptr_t)packages, i, package)
    {
        bool found = false;
        json_array_foreach((json_t *)(uintptr_t)others, k, other)
        {
            found = found || json_equal(package, other);
        }
        if (!found)
            buffer_printf(out, "; %s %s %s, digest %s", word, json_string_value(json_object_get(package, "name")),
                          json_string_value(json_object_get(package, "version")),
                          json_string_value(json_object_get(package, "digest")));
    }
}

// What came and what went, by name, version and digest, and what was refused.
static void tell_changes(struct http_request *request, const json_t *before, const json_t *after, const json_t *refused)
{
    struct buffer detail;
    buffer_init(&detail, 64 << 10);
    buffer_text(&detail, "models looked for again");
    put_missing(&detail, after, before, "now there:");
    put_missing(&detail, before, after, "gone:");
    if (json_array_size(refused) > 0)
        buffer_printf(&detail, "; refused: %zu", json_array_size(refused));
    buffer_byte(&detail, '\0');
    if (!detail.failed)
        service_about(request, &(struct service_about){.detail = (const char *)detail.data});
    buffer_free(&detail);
}

// Jobs that run keep the package that they began with; those that wait take what is installed now.
void api_models_rescan(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    json_t *before = list(service), *refused = json_array(), *rules = json_object();
    if (model_packages_rescan(service->packages, refused, &err) && flow_take_packages(service->flow, rules, &err)) {
        json_t *after = list(service);
        tell_changes(request, before, after, refused);
        json_decref(before);
        service_reply_json(request, 200,
                           json_pack("{s:s, s:o, s:o, s:o}", "folder", model_packages_folder(service->packages),
                                     "models", after, "refused", refused, "rules", rules));
        return;
    }
    json_decref(before);
    json_decref(refused);
    json_decref(rules);
    http_reply_error(request, &err);
}
