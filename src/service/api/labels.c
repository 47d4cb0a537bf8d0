// /api/labels: which labels there are. /api/studies/{study}/labels: those of a study.
#include "service/internal.h"

#include <stdlib.h>
#include <string.h>

#include "flow/flow.h"

void api_labels(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_label *labels;
    struct error err;
    size_t count = 0;
    if (!access_label_list(service->access, http_arena(request), &labels, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, access_label_to_json(&labels[i]));
    service_reply_json(request, 200, list);
}

// The body with the path's name in it.
static json_t *read_label(struct http_request *request, struct access_label *label, struct error *err)
{
    json_t *json = service_read_json(request, NULL, err);
    if (!json)
        return NULL;
    json_object_set_new(json, "name", json_string(http_path_part(request, "name")));
    if (access_label_from_json(json, label, err))
        return json;
    json_decref(json);
    return NULL;
}

static bool check_whole(struct service *service, const json_t *given, const struct access_label *wanted,
                        struct error *err)
{
    struct access_label present;
    if (!access_label_get(service->access, wanted->name, &present, err))
        return err->code == ERROR_NOT_FOUND;
    json_t *before = access_label_to_json(&present), *after = access_label_to_json(wanted);
    bool ok = service_names_all(given, before, after, err);
    json_decref(before);
    json_decref(after);
    return ok;
}

void api_label_put(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_label label;
    struct error err;
    json_t *given = read_label(request, &label, &err);
    if (given && check_whole(service, given, &label, &err) &&
        access_label_put(service->access, &label, service_subject(request)->name, &err) &&
        access_label_get(service->access, label.name, &label, &err))
        service_reply_json(request, 200, access_label_to_json(&label));
    else
        http_reply_error(request, &err);
    json_decref(given);
}

// A rule that names it would enter it anew with the next study.
static bool check_rules(struct service *service, struct http_request *request, const char *name, struct error *err)
{
    struct flow_rule *rules;
    size_t count = 0;
    bool ok = flow_rule_list(service->store, http_arena(request), &rules, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        for (size_t k = 0; ok && k < rules[i].labels_count; k++)
            ok = strcmp(rules[i].labels[k], name) != 0 ||
                 error_set(err, ERROR_CONFLICT, "label %s is named by rule %s: take it from there first", name,
                           rules[i].name);
    return ok;
}

void api_label_delete(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    const char *name = http_path_part(request, "name");
    if (check_rules(service, request, name, &err) &&
        access_label_remove(service->access, service_lasting_scope(request), name, service_subject(request)->name,
                            &err))
        http_reply(request, 204, NULL, "", 0);
    else
        http_reply_error(request, &err);
}

// ---- of a study

static void reply_labels(struct service *service, struct http_request *request, const struct access_study_labels *now)
{
    json_t *names = access_labels_to_json(service->access, now->labels);
    service_reply_json(request, 200,
                       names ? json_pack("{s:o, s:I}", "labels", names, "version", (json_int_t)now->version) : NULL);
}

static bool check_here(struct service *service, struct http_request *request, struct error *err)
{
    bool here = false;
    const char *study = http_path_part(request, "study");
    return archive_sees(service->archive, service_scope(request), study, &here, err) &&
           (here || error_set(err, ERROR_NOT_FOUND, "there is no study %.64s here", study));
}

// An emergency is for care and ends within the hour; what it changed of who sees the study would stay.
static bool check_lasting(struct service *service, struct http_request *request, struct error *err)
{
    bool sees = false;
    return archive_sees(service->archive, service_lasting_scope(request), http_path_part(request, "study"), &sees,
                        err) &&
           (sees || error_set(err, ERROR_FORBIDDEN,
                              "you see this study by the emergency alone, which changes no labels: who has its labels "
                              "changes them"));
}

void api_study_labels(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_study_labels now = {0};
    struct error err;
    struct database *db = check_here(service, request, &err) ? store_read_begin(service->store, &err) : NULL;
    bool ok = db && access_study_labels(db, http_path_part(request, "study"), &now, &err);
    store_read_end(service->store, db);
    if (ok)
        reply_labels(service, request, &now);
    else
        http_reply_error(request, &err);
}

struct labelling {
    const char *study;
    uint64_t labels;
    int64_t version;
    struct access_study_labels now;
};

static bool write_labels(struct database *db, void *payload, struct error *err)
{
    struct labelling *labelling = payload;
    return access_study_labels_set(db, labelling->study, labelling->labels, labelling->version, &labelling->now, err);
}

static void tell(struct http_request *request, const json_t *body)
{
    char *names = json_dumps(json_object_get(body, "labels"), JSON_ENCODE_ANY | JSON_COMPACT);
    service_about(request, &(struct service_about){.detail = arena_printf(http_arena(request), "labels: %.500s",
                                                                          names ? names : "none given")});
    free(names);
}

// Who takes away a label has it, for else he would not see the study.
void api_study_labels_put(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct labelling labelling = {.study = http_path_part(request, "study")};
    struct error err;
    json_t *body = service_read_json(request, "labels version", &err);
    if (body && check_here(service, request, &err) && check_lasting(service, request, &err) &&
        access_labels_read(service->access, json_object_get(body, "labels"), &labelling.labels, &err) &&
        service_version(body, &labelling.version, &err) &&
        store_write(service->store, STORE_DURABLE, write_labels, &labelling, &err))
        reply_labels(service, request, &labelling.now);
    else
        http_reply_error(request, &err);
    tell(request, body);
    json_decref(body);
}
