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

// Jobs that run keep the package that they began with; those that wait take what is installed now.
void api_models_rescan(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    json_t *refused = json_array(), *rules = json_object();
    if (model_packages_rescan(service->packages, refused, &err) && flow_take_packages(service->flow, rules, &err)) {
        service_reply_json(request, 200,
                           json_pack("{s:s, s:o, s:o, s:o}", "folder", model_packages_folder(service->packages),
                                     "models", list(service), "refused", refused, "rules", rules));
        return;
    }
    json_decref(refused);
    json_decref(rules);
    http_reply_error(request, &err);
}
