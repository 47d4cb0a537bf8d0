// hilum config diff|apply FILE: labels, peers, rules and HL7 targets of the running server, compared with a file and
// changed to it.
//
//   labels:       [{name: staff, description: patients who work here}]
//   peers:        [{name: pacs, title: PACS, host: 10.0.0.5, port: 104, rights: [target], plain: accepted}]
//   hl7_targets:  [{name: ris, host: 10.0.0.6, port: 2575}]
//   rules:        [{name: head, modality: CT, model: head-ct-hyperdense, send_to: [pacs], hl7_to: [ris]}]
//
// A section that is in the file is the whole truth of its kind: what it does not name is removed. A section that is not
// there is left alone. The file may be the one that `hilum serve` reads: its sections change nothing here. All of it is
// checked before the first change.
#include "cli/config_apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "base/config.h"
#include "cli/cli.h"
#include "flow/flow.h"
#include "service/service.h"

enum { ANSWER_MAX = 16 << 20, URL_PATH_MAX = 160 };

// An entry as the server would give it back: checked, with what was left out filled in. NULL with *err.
static json_t *normal_peer(const json_t *entry, struct error *err)
{
    struct access_peer peer;
    return access_peer_from_json(entry, &peer, err) ? access_peer_to_json(&peer) : NULL;
}

static json_t *normal_rule(const json_t *entry, struct error *err)
{
    struct flow_rule rule;
    return flow_rule_from_json(entry, &rule, err) ? flow_rule_to_json(&rule) : NULL;
}

static json_t *normal_target(const json_t *entry, struct error *err)
{
    struct flow_hl7_target target;
    return flow_hl7_target_from_json(entry, &target, err) ? flow_hl7_target_to_json(&target) : NULL;
}

static json_t *normal_label(const json_t *entry, struct error *err)
{
    struct access_label label;
    return access_label_from_json(entry, &label, err) ? access_label_to_json(&label) : NULL;
}

// In the order of the changes: what others name comes before them, and a label goes when nobody names it any more.
static const struct kind {
    const char *section; // in the file
    const char *path;    // of the API
    const char *word;    // in what is shown
    json_t *(*normal)(const json_t *entry, struct error *err);
    bool removed_last;
} kinds[] = {
    {"labels", "/api/labels", "label", normal_label, true},
    {"peers", "/api/peers", "peer", normal_peer, false},
    {"hl7_targets", "/api/hl7-targets", "HL7 target", normal_target, false},
    {"rules", "/api/rules", "rule", normal_rule, false},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

// What is wanted and what is, by name; wanted[i] NULL: the file says nothing of this kind.
struct plan {
    const char *server;
    json_t *wanted[KINDS], *present[KINDS]; // owned objects
    size_t changes;
};

static void free_plan(struct plan *plan)
{
    for (size_t i = 0; i < KINDS; i++) {
        json_decref(plan->wanted[i]);
        json_decref(plan->present[i]);
    }
}

// ---- the file

static bool is_plain_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return name && *name && strspn(name, allowed) == strlen(name);
}

// As the server, which would refuse the second when the first has been entered.
static bool is_alone(const json_t *normal, const json_t *by_name, struct error *err)
{
    const char *name;
    json_t *other, *title = json_object_get(normal, "title");
    json_object_foreach((json_t *)(uintptr_t)by_name, name, other)
    {
        if (title && json_equal(title, json_object_get(other, "title")) &&
            json_equal(json_object_get(normal, "host"), json_object_get(other, "host")))
            return error_set(err, ERROR_DUPLICATE, "peer %s has the same title and host", name);
    }
    return true;
}

static bool add_entry(const struct kind *kind, const json_t *entry, json_t *by_name, struct error *err)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    if (!is_plain_name(name))
        return error_set(err, ERROR_BAD_VALUE, "a %s needs a name of letters, digits, '.', '_' and '-', not '%.40s'",
                         kind->word, name ? name : "");
    if (json_object_get(by_name, name))
        return error_set(err, ERROR_BAD_VALUE, "%s %s is there twice", kind->word, name);
    json_t *normal = kind->normal(entry, err);
    if (!normal || !is_alone(normal, by_name, err)) {
        json_decref(normal);
        return error_prefix(err, "%s %s", kind->word, name);
    }
    json_object_del(normal, "version");
    return json_object_set_new(by_name, name, normal) == 0 || error_set(err, ERROR_MEMORY, "no memory for %s", name);
}

static bool holds_word(const char *text, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at++)
        if ((at == text || strchr(" '\"", at[-1])) && (at[size] == '\0' || strchr(" '\",:;", at[size])))
            return true;
    return false;
}

// As config_blame. The line is that of the member which the reason names, else of the entry.
static bool blame_entry(const struct config *config, const char *section, size_t index, const json_t *entry,
                        struct error *err)
{
    char path[128];
    const char *member;
    json_t *value;
    snprintf(path, sizeof path, "%s.%zu", section, index);
    json_object_foreach((json_t *)(uintptr_t)entry, member, value)
    {
        if (strcmp(member, "name") != 0 && holds_word(err->message, member)) {
            snprintf(path, sizeof path, "%s.%zu.%s", section, index, member);
            break;
        }
    }
    return config_blame(config, path, err);
}

static bool read_section(const struct config *config, const struct kind *kind, json_t **out, struct error *err)
{
    size_t i;
    json_t *entry;
    *out = json_object();
    json_array_foreach(json_object_get(config->tree, kind->section), i, entry)
    {
        if (!add_entry(kind, entry, *out, err) && !blame_entry(config, kind->section, i, entry, err))
            return false;
    }
    return true;
}

static bool read_sections(struct plan *plan, const struct config *config, struct error *err)
{
    for (size_t i = 0; i < KINDS; i++)
        if (json_object_get(config->tree, kinds[i].section) && !read_section(config, &kinds[i], &plan->wanted[i], err))
            return false;
    return true;
}

bool cli_config_check_rows(const struct config *config, struct error *err)
{
    struct plan plan = {0};
    bool ok = read_sections(&plan, config, err);
    free_plan(&plan);
    return ok;
}

static bool read_file(struct plan *plan, const char *path, struct error *err)
{
    struct config config;
    if (!config_read(path, &config, err))
        return false;
    bool ok = config_complete(&config, service_config, err) && read_sections(plan, &config, err);
    config_free(&config);
    return ok;
}

// ---- the server

static bool read_present(struct plan *plan, size_t kind, struct error *err)
{
    struct buffer answer;
    size_t i;
    json_t *entry;
    buffer_init(&answer, ANSWER_MAX);
    bool ok = cli_call(plan->server, "GET", kinds[kind].path, NULL, 0, &answer, err);
    json_t *list = ok ? json_loads((const char *)answer.data, 0, NULL) : NULL;
    buffer_free(&answer);
    if (ok && !json_is_array(list))
        ok = error_set(err, ERROR_PROTOCOL, "%s%s gave no list", plan->server, kinds[kind].path);
    plan->present[kind] = json_object();
    json_array_foreach(list, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        json_object_del(entry, "version");
        if (ok && name)
            json_object_set(plan->present[kind], name, entry);
    }
    json_decref(list);
    return ok;
}

static void print_warnings(const struct kind *kind, const char *name, const struct buffer *answer)
{
    size_t i;
    json_t *entry = json_loads((const char *)answer->data, 0, NULL), *warning;
    json_array_foreach(json_object_get(entry, "warnings"), i, warning)
    {
        if (json_is_string(warning))
            fprintf(stderr, "warning: %s %s: %s\n", kind->word, name, json_string_value(warning));
    }
    json_decref(entry);
}

// `wanted` NULL: removes it.
static bool change(const struct plan *plan, size_t kind, const char *name, const json_t *wanted, struct error *err)
{
    struct buffer answer;
    char path[URL_PATH_MAX];
    char *body = wanted ? json_dumps(wanted, JSON_COMPACT) : NULL;
    buffer_init(&answer, ANSWER_MAX);
    snprintf(path, sizeof path, "%s/%s", kinds[kind].path, name);
    bool ok = cli_call(plan->server, wanted ? "PUT" : "DELETE", path, body, body ? strlen(body) : 0, &answer, err) ||
              error_prefix(err, "%s %s", kinds[kind].word, name);
    if (ok)
        print_warnings(&kinds[kind], name, &answer);
    buffer_free(&answer);
    free(body);
    return ok;
}

// ---- what differs

static void print_members(const json_t *from, const json_t *to)
{
    const char *member, *separator = ":";
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)to, member, value)
    {
        const json_t *old = json_object_get(from, member);
        if (json_equal(old, value))
            continue;
        char *before = json_dumps(old ? old : json_null(), JSON_ENCODE_ANY | JSON_COMPACT);
        char *after = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        printf("%s %s %s -> %s", separator, member, before ? before : "?", after ? after : "?");
        separator = ",";
        free(before);
        free(after);
    }
}

// Shows one difference, and makes it go away when `apply`.
static bool differ(struct plan *plan, size_t kind, const char *name, bool apply, struct error *err)
{
    const json_t *wanted = json_object_get(plan->wanted[kind], name),
                 *present = json_object_get(plan->present[kind], name);
    if (wanted && present && json_equal(wanted, present))
        return true;
    plan->changes++;
    printf("%s %s %s", !wanted ? "-" : present ? "~" : "+", kinds[kind].word, name);
    if (wanted && present)
        print_members(present, wanted);
    printf("\n");
    return !apply || change(plan, kind, name, wanted, err);
}

static bool remove_others(struct plan *plan, size_t kind, bool apply, struct error *err)
{
    const char *name;
    json_t *entry;
    json_object_foreach(plan->present[kind], name, entry)
    {
        if (!json_object_get(plan->wanted[kind], name) && !differ(plan, kind, name, apply, err))
            return false;
    }
    return true;
}

static bool put_wanted(struct plan *plan, size_t kind, bool apply, struct error *err)
{
    const char *name;
    json_t *entry;
    json_object_foreach(plan->wanted[kind], name, entry)
    {
        if (!differ(plan, kind, name, apply, err))
            return false;
    }
    return true;
}

static bool compare(struct plan *plan, const char *path, bool apply, struct error *err)
{
    if (!read_file(plan, path, err))
        return false;
    for (size_t i = 0; i < KINDS; i++)
        if (plan->wanted[i] && !read_present(plan, i, err))
            return false;
    for (size_t i = 0; i < KINDS; i++)
        if (plan->wanted[i] &&
            ((!kinds[i].removed_last && !remove_others(plan, i, apply, err)) || !put_wanted(plan, i, apply, err)))
            return false;
    for (size_t i = 0; i < KINDS; i++)
        if (plan->wanted[i] && kinds[i].removed_last && !remove_others(plan, i, apply, err))
            return false;
    return true;
}

static bool names_rows(const struct plan *plan)
{
    for (size_t i = 0; i < KINDS; i++)
        if (plan->wanted[i])
            return true;
    return false;
}

int cli_config_apply(const char *server, const char *path, bool apply)
{
    struct plan plan = {.server = server};
    struct error err;
    bool ok = compare(&plan, path, apply, &err);
    bool any = names_rows(&plan);
    free_plan(&plan);
    fflush(stdout);
    if (!ok)
        return cli_fail(&err);
    if (!any)
        printf("%s has no labels:, peers:, hl7_targets: or rules:; nothing to change\n", path);
    else if (plan.changes == 0)
        printf("the server is as %s says\n", path);
    else
        printf("%zu %s\n", plan.changes, apply ? "changed" : "would change");
    return plan.changes > 0 && !apply ? CLI_FAILED : CLI_DONE; // as diff does
}
