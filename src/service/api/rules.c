// Rules and HL7 targets: what decides what happens to a series.
#include "service/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "flow/flow.h"

// The body with the path's name in it.
static json_t *read_named(struct http_request *request, struct error *err)
{
    json_t *body = service_read_json(request, NULL, err);
    if (body)
        json_object_set_new(body, "name", json_string(http_path_part(request, "name")));
    return body;
}

// The entry as it is now, with its version; takes it.
static void reply_entry(struct http_request *request, json_t *entry, const struct error *err)
{
    if (entry)
        service_reply_json(request, 200, entry);
    else
        http_reply_error(request, err);
}

// ---- rules

void api_rules(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct flow_rule *rules;
    struct error err;
    size_t count = 0;
    if (!flow_rule_list(service->store, http_arena(request), &rules, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, flow_rule_to_json(&rules[i]));
    service_reply_json(request, 200, list);
}

// The rule is entered already: that the warnings cannot be told is one itself.
static json_t *rule_with_warnings(struct service *service, struct http_request *request, const struct flow_rule *rule)
{
    struct error err;
    json_t *json = flow_rule_to_json(rule), *warnings = json_array();
    if (!flow_rule_warnings(service->store, service->access, service->packages, rule, http_arena(request), warnings,
                            &err))
        json_array_append_new(warnings, json_sprintf("what the rule names cannot be looked up: %s", err.message));
    json_object_set_new(json, "warnings", warnings);
    return json;
}

// An entry that is there is replaced by one that names all of it.
static bool is_whole_rule(struct service *service, struct http_request *request, const json_t *given,
                          const struct flow_rule *wanted, struct error *err)
{
    struct flow_rule *rules;
    size_t count = 0;
    bool ok = flow_rule_list(service->store, http_arena(request), &rules, &count, err);
    for (size_t i = 0; ok && i < count; i++) {
        if (strcmp(rules[i].name, wanted->name) != 0)
            continue;
        json_t *before = flow_rule_to_json(&rules[i]), *after = flow_rule_to_json(wanted);
        ok = service_names_all(given, before, after, err);
        json_decref(before);
        json_decref(after);
    }
    return ok;
}

void api_rule_put(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct flow_rule rule;
    struct error err;
    json_t *body = read_named(request, &err);
    if (body)
        json_object_del(body, "warnings"); // of an earlier answer that is sent back
    bool ok = body && flow_rule_from_json(body, &rule, &err) && is_whole_rule(service, request, body, &rule, &err) &&
              flow_rule_put(service->store, service->access, &rule, service_subject(request)->name, &err);
    json_decref(body);
    reply_entry(request, ok ? rule_with_warnings(service, request, &rule) : NULL, &err);
}

void api_rule_delete(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    if (flow_rule_remove(service->store, service->access, http_path_part(request, "name"),
                         service_subject(request)->name, &err))
        http_reply(request, 204, NULL, "", 0);
    else
        http_reply_error(request, &err);
}

// ---- what a rule would ask for

enum { TRY_SERIES = 200, TRY_SERIES_MAX = 1000, TRY_ARENA = 16 << 20 };

static const char *field_of(const struct archive_row *row, dicom_tag tag)
{
    for (size_t i = 0; i < row->count; i++)
        if (row->fields[i].tag == tag)
            return row->fields[i].text;
    return "";
}

static json_t *series_to_json(const struct archive_row *row)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "study", field_of(row, 0x0020000D), "series",
                     field_of(row, 0x0020000E), "modality", field_of(row, 0x00080060), "bodyPart",
                     field_of(row, 0x00180015), "description", field_of(row, 0x0008103E), "studyDescription",
                     field_of(row, 0x00081030), "studyDate", field_of(row, 0x00080020));
}

// Those of the newest series that the rule's tags match.
static bool try_rule(struct service *service, const struct flow_rule *rule, const struct archive_row *rows,
                     size_t count, json_t *matching, struct error *err)
{
    struct arena arena;
    bool ok = true;
    arena_init(&arena, TRY_ARENA);
    for (size_t i = 0; ok && i < count; i++) {
        bool asks = false;
        arena_reset(&arena);
        ok = flow_rule_asks_for(service->flow, rule, field_of(&rows[i], 0x0020000D), field_of(&rows[i], 0x0020000E),
                                &arena, &asks, err) ||
             err->code == ERROR_NOT_FOUND; // it went meanwhile
        if (ok && asks)
            json_array_append_new(matching, series_to_json(&rows[i]));
    }
    arena_free(&arena);
    return ok;
}

void api_rule_try(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct archive_query query = {.level = ARCHIVE_SERIES, .limit = TRY_SERIES};
    struct archive_row *rows;
    struct flow_rule rule;
    struct error err;
    size_t count = 0;
    bool more = false;
    const char *limit = http_query(request, "limit");
    json_t *body = service_read_json(request, NULL, &err), *matching = json_array();
    if (body && !json_object_get(body, "name"))
        json_object_set_new(body, "name", json_string("trial"));
    bool ok = body && flow_rule_from_json(body, &rule, &err) &&
              (!limit || service_read_count("limit", limit, &query.limit, &err));
    if (query.limit == 0 || query.limit > TRY_SERIES_MAX)
        query.limit = TRY_SERIES_MAX;
    ok = ok &&
         archive_find(service->archive, service_scope(request), &query, http_arena(request), &rows, &count, &more,
                      &err) &&
         try_rule(service, &rule, rows, count, matching, &err);
    json_decref(body);
    if (ok) {
        service_reply_json(
            request, 200,
            json_pack("{s:I, s:b, s:o}", "looked", (json_int_t)count, "more", more, "matching", matching));
        return;
    }
    json_decref(matching);
    http_reply_error(request, &err);
}

// ---- HL7 targets

void api_hl7_targets(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct flow_hl7_target *targets;
    struct error err;
    size_t count = 0;
    if (!flow_hl7_target_list(service->store, http_arena(request), &targets, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, flow_hl7_target_to_json(&targets[i]));
    service_reply_json(request, 200, list);
}

static bool is_whole_target(struct service *service, struct http_request *request, const json_t *given,
                            const struct flow_hl7_target *wanted, struct error *err)
{
    struct flow_hl7_target *targets;
    size_t count = 0;
    bool ok = flow_hl7_target_list(service->store, http_arena(request), &targets, &count, err);
    for (size_t i = 0; ok && i < count; i++) {
        if (strcmp(targets[i].name, wanted->name) != 0)
            continue;
        json_t *before = flow_hl7_target_to_json(&targets[i]), *after = flow_hl7_target_to_json(wanted);
        ok = service_names_all(given, before, after, err);
        json_decref(before);
        json_decref(after);
    }
    return ok;
}

static json_t *target_with_warnings(struct service *service, struct http_request *request,
                                    const struct flow_hl7_target *target)
{
    char where[FLOW_NAME_SIZE + SERVICE_HOST_SIZE + 64], place[SERVICE_HOST_SIZE + 16];
    json_t *json = flow_hl7_target_to_json(target);
    snprintf(where, sizeof where, "%s at %s", *target->application ? target->application : "a receiver without a name",
             text_show_host_port(place, sizeof place, target->host, target->port));
    json_t *warnings = service_target_warnings(service, "hl7", target->name, where, http_arena(request));
    if (json_array_size(warnings) > 0)
        json_object_set(json, "warnings", warnings);
    json_decref(warnings);
    return json;
}

void api_hl7_target_put(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct flow_hl7_target target;
    struct error err;
    json_t *body = read_named(request, &err);
    if (body)
        json_object_del(body, "warnings"); // of an earlier answer that is sent back
    bool ok = body && flow_hl7_target_from_json(body, &target, &err) &&
              is_whole_target(service, request, body, &target, &err) &&
              flow_hl7_target_put(service->store, service->access, &target, service_subject(request)->name, &err);
    json_decref(body);
    reply_entry(request, ok ? target_with_warnings(service, request, &target) : NULL, &err);
}

void api_hl7_target_delete(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    if (flow_hl7_target_remove(service->store, service->access, http_path_part(request, "name"),
                               service_subject(request)->name, &err))
        service_reply_removed(service, request, "hl7");
    else
        http_reply_error(request, &err);
}
