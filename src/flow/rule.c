// Rules and HL7 targets: their JSON and their rows.
#include "flow/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/allow.h"
#include "base/text.h"

#define MEMBER(name, type, member, capacity)                                                                           \
    {                                                                                                                  \
        name, type, offsetof(struct flow_rule, member), capacity, 0                                                    \
    }

static const struct field rule_fields[] = {
    MEMBER("name", FIELD_TEXT, name, sizeof((struct flow_rule *)0)->name),
    MEMBER("enabled", FIELD_BOOLEAN, enabled, 0),
    MEMBER("modality", FIELD_TEXT, modality, sizeof((struct flow_rule *)0)->modality),
    MEMBER("body_part", FIELD_TEXT, body_part, sizeof((struct flow_rule *)0)->body_part),
    MEMBER("description", FIELD_TEXT, description, sizeof((struct flow_rule *)0)->description),
    MEMBER("calling", FIELD_TEXT, calling, sizeof((struct flow_rule *)0)->calling),
    MEMBER("spacing_max_mm", FIELD_NUMBER, spacing_max_mm, 0),
    MEMBER("slices_min", FIELD_COUNT, slices_min, 0),
    MEMBER("no_contrast", FIELD_BOOLEAN, no_contrast, 0),
    MEMBER("model", FIELD_TEXT, model, sizeof((struct flow_rule *)0)->model),
    {"send_to", FIELD_NAMES, offsetof(struct flow_rule, send_to), ACCESS_NAME_SIZE,
     offsetof(struct flow_rule, send_to_count)},
    {"hl7_to", FIELD_NAMES, offsetof(struct flow_rule, hl7_to), FLOW_NAME_SIZE,
     offsetof(struct flow_rule, hl7_to_count)},
    {"labels", FIELD_NAMES, offsetof(struct flow_rule, labels), ACCESS_LABEL_SIZE,
     offsetof(struct flow_rule, labels_count)},
    MEMBER("priority", FIELD_INTEGER, priority, 0),
    {NULL, FIELD_TEXT, 0, 0, 0},
};

#undef MEMBER
#define MEMBER(name, type, member)                                                                                     \
    {                                                                                                                  \
        name, type, offsetof(struct flow_hl7_target, member), sizeof((struct flow_hl7_target *)0)->member, 0           \
    }

static const struct field target_fields[] = {
    MEMBER("name", FIELD_TEXT, name),
    MEMBER("host", FIELD_TEXT, host),
    MEMBER("application", FIELD_TEXT, application),
    MEMBER("facility", FIELD_TEXT, facility),
    MEMBER("unsigned_status", FIELD_TEXT, unsigned_status),
    MEMBER("filler", FIELD_TEXT, filler),
    MEMBER("tls", FIELD_TEXT, tls),
    MEMBER("certificate", FIELD_TEXT, certificate),
    MEMBER("not_analysed", FIELD_BOOLEAN, not_analysed),
    {NULL, FIELD_TEXT, 0, 0, 0},
};

// A name is a key and stands in URLs and logs.
static bool check_name(const char *name, const char *what, struct error *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    bool folder = strcmp(name, ".") == 0 || strcmp(name, "..") == 0; // in a URL that is another place
    if (*name && strspn(name, allowed) == strlen(name) && !folder)
        return true;
    return error_set(err, ERROR_BAD_VALUE, "%s name '%.64s': use letters, digits, '.', '_' and '-'", what, name);
}

static bool check_labels(const json_t *rule, const char *name, struct error *err)
{
    char what[FLOW_NAME_SIZE + 32], names[ACCESS_LABELS_SIZE];
    snprintf(what, sizeof what, "rule '%s': labels", name);
    return access_names_read(json_object_get(rule, "labels"), what, names, err);
}

bool flow_rule_from_json(const json_t *json, struct flow_rule *out, struct error *err)
{
    *out = (struct flow_rule){.enabled = true};
    json_t *copy = json_copy((json_t *)(uintptr_t)json);
    json_object_del(copy, "version");
    bool ok = field_version(json, &out->version, "a rule", err) && fields_read(copy, rule_fields, out, "a rule", err) &&
              check_name(out->name, "rule", err);
    json_decref(copy);
    if (ok && !*out->model && out->labels_count == 0)
        return error_set(err, ERROR_BAD_VALUE, "rule '%s' does nothing: give it a model, or labels", out->name);
    return ok && (out->labels_count == 0 || check_labels(json, out->name, err));
}

json_t *flow_rule_to_json(const struct flow_rule *rule)
{
    json_t *json = fields_write(rule_fields, rule);
    json_object_set_new(json, "version", json_integer(rule->version));
    return json;
}

static bool check_tls(struct flow_hl7_target *target, struct error *err)
{
    char fingerprint[TLS_FINGERPRINT_SIZE];
    bool required = strcmp(target->tls, "required") == 0;
    if (!required && strcmp(target->tls, "no") != 0)
        return error_set(err, ERROR_BAD_VALUE, "HL7 target '%s': tls must be required or no", target->name);
    if (!*target->certificate)
        return true;
    if (!required)
        return error_set(err, ERROR_BAD_VALUE, "HL7 target '%s': certificate is looked at with tls: required only",
                         target->name);
    if (!tls_fingerprint(target->certificate, fingerprint))
        return error_set(err, ERROR_BAD_VALUE,
                         "HL7 target '%s': certificate \"%s\" is no SHA-256 fingerprint: 64 hexadecimal digits, as "
                         "`openssl x509 -noout -fingerprint -sha256` prints them",
                         target->name, target->certificate);
    return text_copy(target->certificate, sizeof target->certificate, fingerprint);
}

bool flow_hl7_target_from_json(const json_t *json, struct flow_hl7_target *out, struct error *err)
{
    *out = (struct flow_hl7_target){.unsigned_status = "R", .filler = "topic", .tls = "no"};
    json_t *copy = json_copy((json_t *)(uintptr_t)json);
    json_int_t port = json_integer_value(json_object_get(copy, "port"));
    json_object_del(copy, "port");
    json_object_del(copy, "version");
    bool ok = field_version(json, &out->version, "an HL7 target", err) &&
              fields_read(copy, target_fields, out, "an HL7 target", err) && check_name(out->name, "HL7 target", err);
    json_decref(copy);
    if (!ok)
        return false;
    if (port < 1 || port > 65535)
        return error_set(err, ERROR_BAD_VALUE, "HL7 target '%s' needs a port from 1 to 65535", out->name);
    if (!*out->host)
        return error_set(err, ERROR_BAD_VALUE, "HL7 target '%s' needs a host", out->name);
    if (strlen(out->unsigned_status) != 1 || !strchr("RPF", *out->unsigned_status))
        return error_set(err, ERROR_BAD_VALUE, "HL7 target '%s': unsigned_status must be R, P or F", out->name);
    if (strcmp(out->filler, "topic") != 0 && strcmp(out->filler, "accession") != 0)
        return error_set(err, ERROR_BAD_VALUE, "HL7 target '%s': filler must be topic or accession", out->name);
    if (!check_tls(out, err))
        return false;
    out->port = (uint16_t)port;
    return true;
}

json_t *flow_hl7_target_to_json(const struct flow_hl7_target *target)
{
    json_t *json = fields_write(target_fields, target);
    json_object_set_new(json, "port", json_integer(target->port));
    json_object_set_new(json, "version", json_integer(target->version));
    return json;
}

// ---- rows

bool flow_rule_put(struct store *store, struct access *access, struct flow_rule *rule, const char *actor,
                   struct error *err)
{
    uint64_t labels;
    json_t *json = flow_rule_to_json(rule);
    bool ok = access_labels_read(access, json_object_get(json, "labels"), &labels, err)
                  ? named_row_put(store, access, "rule", rule->name, json, &rule->version, actor, err)
                  : error_prefix(err, "rule '%s'", rule->name);
    json_decref(json);
    return ok;
}

bool flow_rule_remove(struct store *store, struct access *access, const char *name, const char *actor,
                      struct error *err)
{
    return named_row_remove(store, access, "rule", name, actor, err);
}

bool flow_hl7_target_put(struct store *store, struct access *access, struct flow_hl7_target *target, const char *actor,
                         struct error *err)
{
    json_t *json = flow_hl7_target_to_json(target);
    bool ok = named_row_put(store, access, "hl7", target->name, json, &target->version, actor, err);
    json_decref(json);
    return ok;
}

bool flow_hl7_target_remove(struct store *store, struct access *access, const char *name, const char *actor,
                            struct error *err)
{
    return named_row_remove(store, access, "hl7", name, actor, err);
}

// A list of structs that doubles inside an arena.
struct list {
    struct arena *arena;
    void *items;
    size_t unit, count, capacity;
};

static void *list_add(struct list *list, struct error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        void *larger = arena_calloc(list->arena, capacity, list->unit);
        if (!larger) {
            error_set(err, ERROR_LIMIT, "the configuration does not fit into its memory");
            return NULL;
        }
        if (list->count > 0)
            memcpy(larger, list->items, list->count * list->unit);
        list->items = larger;
        list->capacity = capacity;
    }
    return (char *)list->items + list->count++ * list->unit;
}

static bool take_rule(const char *text, int64_t version, void *payload, struct error *err)
{
    struct flow_rule *rule = list_add(payload, err);
    json_t *json = json_loads(text, 0, NULL);
    bool ok = rule && flow_rule_from_json(json, rule, err);
    if (ok)
        rule->version = version;
    json_decref(json);
    return ok;
}

bool flow_rule_list(struct store *store, struct arena *arena, struct flow_rule **out, size_t *count, struct error *err)
{
    struct list list = {.arena = arena, .unit = sizeof **out};
    bool ok = named_row_each(store, "rule", take_rule, &list, err);
    *out = list.items;
    *count = list.count;
    return ok;
}

static bool take_target(const char *text, int64_t version, void *payload, struct error *err)
{
    struct flow_hl7_target *target = list_add(payload, err);
    json_t *json = json_loads(text, 0, NULL);
    bool ok = target && flow_hl7_target_from_json(json, target, err);
    if (ok)
        target->version = version;
    json_decref(json);
    return ok;
}

bool flow_hl7_target_list(struct store *store, struct arena *arena, struct flow_hl7_target **out, size_t *count,
                          struct error *err)
{
    struct list list = {.arena = arena, .unit = sizeof **out};
    bool ok = named_row_each(store, "hl7", take_target, &list, err);
    *out = list.items;
    *count = list.count;
    return ok;
}

// ---- what a rule names and is not there

static bool warn_of_peer(struct access *access, const char *name, json_t *out, struct error *err)
{
    struct access_peer peer;
    if (access_peer_get(access, name, &peer, err)) {
        struct access_subject receiver = access_peer_subject(&peer, peer.host);
        if (!access_allows(&receiver, ACCESS_TO_RECEIVE))
            json_array_append_new(out, json_sprintf("peer '%s' has no right 'target': nothing is sent to it", name));
        return true;
    }
    if (err->code != ERROR_NOT_FOUND)
        return false;
    json_array_append_new(out, json_sprintf("peer '%s' is not entered: what is for it waits", name));
    return true;
}

static void warn_of_target(const struct flow_hl7_target *targets, size_t count, const char *name, json_t *out)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(targets[i].name, name) == 0)
            return;
    json_array_append_new(out,
                          json_sprintf("HL7 target '%s' is not entered: no reports are made for it until it is", name));
}

// What the rules' names are looked up in.
struct entered {
    struct access *access;
    struct model_packages *packages;
    struct flow_hl7_target *targets;
    size_t target_count;
};

static bool warn_of_rule(const struct entered *entered, const struct flow_rule *rule, json_t *out, struct error *err)
{
    struct model_package *package = *rule->model ? model_packages_find(entered->packages, rule->model) : NULL;
    if (!package && *rule->model)
        json_array_append_new(out, json_sprintf("model '%s' is not installed: the rule does nothing until it is; "
                                                "`hilum model install PACKAGE`, or disable the rule",
                                                rule->model));
    model_package_close(package);
    for (size_t i = 0; i < rule->send_to_count; i++)
        if (!warn_of_peer(entered->access, rule->send_to[i], out, err))
            return false;
    for (size_t i = 0; i < rule->hl7_to_count; i++)
        warn_of_target(entered->targets, entered->target_count, rule->hl7_to[i], out);
    return true;
}

bool flow_rule_warnings(struct store *store, struct access *access, struct model_packages *packages,
                        const struct flow_rule *rule, struct arena *arena, json_t *out, struct error *err)
{
    struct entered entered = {.access = access, .packages = packages};
    return flow_hl7_target_list(store, arena, &entered.targets, &entered.target_count, err) &&
           warn_of_rule(&entered, rule, out, err);
}

static bool has_package(struct model_packages *packages)
{
    struct model_package *list[MODEL_PACKAGES_MAX];
    size_t count = model_packages_list(packages, list);
    for (size_t i = 0; i < count; i++)
        model_package_close(list[i]);
    return count > 0;
}

bool flow_active_rule_warnings(struct store *store, struct access *access, struct model_packages *packages,
                               struct arena *arena, json_t *out, struct error *err)
{
    struct entered entered = {.access = access, .packages = packages};
    struct flow_rule *rules;
    json_t *text;
    size_t count, at, enabled = 0;
    bool ok = flow_rule_list(store, arena, &rules, &count, err) &&
              flow_hl7_target_list(store, arena, &entered.targets, &entered.target_count, err);
    for (size_t i = 0; ok && i < count; i++) {
        json_t *texts = json_array();
        enabled += rules[i].enabled && *rules[i].model;
        ok = !rules[i].enabled || warn_of_rule(&entered, &rules[i], texts, err);
        json_array_foreach(texts, at, text)
            json_array_append_new(out, json_sprintf("rule '%s': %s", rules[i].name, json_string_value(text)));
        json_decref(texts);
    }
    if (ok && enabled == 0 && has_package(packages))
        json_array_append_new(out, json_string("no rule is enabled, so no model looks at anything: enter one by `hilum "
                                               "config apply` or PUT /api/rules/NAME, or enable one"));
    return ok;
}

bool flow_target_hears_all(struct database *db, const char *name, bool *hears, struct error *err)
{
    struct flow_hl7_target target;
    struct arena arena;
    const char *text;
    arena_init(&arena, 1 << 20);
    *hears = false;
    bool ok = named_row_get(db, "hl7", name, &arena, &text, err);
    if (ok && text) {
        json_t *json = json_loads(text, 0, NULL);
        *hears = flow_hl7_target_from_json(json, &target, err) && target.not_analysed;
        json_decref(json);
    }
    arena_free(&arena);
    return ok;
}
