// What waits for a target, and the rules that name it: told when it is entered or removed, and while it is not there.
#include "service/internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "queue/queue.h"

static bool is_named(const struct flow_rule *rule, const char *kind, const char *name)
{
    if (strcmp(kind, "hl7") == 0) {
        for (size_t i = 0; i < rule->hl7_to_count; i++)
            if (strcmp(rule->hl7_to[i], name) == 0)
                return true;
        return false;
    }
    for (size_t i = 0; i < rule->send_to_count; i++)
        if (strcmp(rule->send_to[i], name) == 0)
            return true;
    return false;
}

static bool count_waiting(struct service *service, const char *kind, const char *name, struct arena *arena,
                          int64_t *out, struct error *err)
{
    struct queue_delivery_count *counts;
    size_t count = 0;
    struct database *db = store_read_begin(service->store, err);
    bool ok = db && queue_delivery_counts(db, arena, &counts, &count, err);
    store_read_end(service->store, db);
    *out = 0;
    for (size_t i = 0; ok && i < count; i++)
        if (counts[i].state == QUEUE_DELIVERY_WAITING && strcmp(counts[i].kind, kind) == 0 &&
            strcmp(counts[i].target, name) == 0)
            *out = counts[i].count;
    return ok;
}

static bool warn_of_rules(struct service *service, const char *kind, const char *name, struct arena *arena,
                          json_t *warnings, struct error *err)
{
    struct flow_rule *rules;
    size_t count = 0;
    bool ok = flow_rule_list(service->store, arena, &rules, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        if (rules[i].enabled && is_named(&rules[i], kind, name))
            json_array_append_new(warnings,
                                  json_sprintf("rule '%s' names it still: take it out of the rule", rules[i].name));
    return ok;
}

json_t *service_target_warnings(struct service *service, const char *kind, const char *name, const char *where,
                                struct arena *arena)
{
    struct error err;
    json_t *warnings = json_array(), *warning;
    int64_t waiting = 0;
    size_t i;
    if (!count_waiting(service, kind, name, arena, &waiting, &err) ||
        (!where && !warn_of_rules(service, kind, name, arena, warnings, &err)))
        json_array_append_new(warnings, json_sprintf("what waits for it cannot be looked up: %s", err.message));
    if (waiting > 0 && where)
        json_array_append_new(
            warnings, json_sprintf("%" PRId64 " deliveries wait for this name, and go to %s now", waiting, where));
    else if (waiting > 0)
        json_array_append_new(warnings, json_sprintf("%" PRId64 " deliveries wait for it, and go to the next target "
                                                     "that is entered under this name",
                                                     waiting));
    json_array_foreach(warnings, i, warning) log_warning("service", "%s target %s is %s: %s", kind, name,
                                                         where ? "entered" : "removed", json_string_value(warning));
    return warnings;
}

void service_reply_removed(struct service *service, struct http_request *request, const char *kind)
{
    json_t *warnings =
        service_target_warnings(service, kind, http_path_part(request, "name"), NULL, http_arena(request));
    if (json_array_size(warnings) > 0) {
        service_reply_json(request, 200, json_pack("{s:o}", "warnings", warnings));
        return;
    }
    json_decref(warnings);
    http_reply(request, 204, NULL, "", 0);
}
