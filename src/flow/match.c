// Which rules hold for a series, and the jobs that follow.
#include "flow/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

enum { HEADER_VALUE_MAX = 4096 };

// What the rules ask about a series, looked up once.
struct subject {
    struct arena *arena;
    const char *modality, *body_part, *description, *sender; // description: series and study together
    const struct archive_object *objects;
    size_t count;
    uint64_t frames;   // of all objects together
    double spacing_mm; // between the first two slices; 0 unknown
    bool contrast;
};

static const char *field(const struct archive_row *row, dicom_tag tag)
{
    for (size_t i = 0; i < row->count; i++)
        if (row->fields[i].tag == tag)
            return row->fields[i].text;
    return "";
}

static bool find_sender(struct flow *flow, const char *study, const char *series, struct subject *out,
                        struct error *err)
{
    bool row;
    out->sender = "";
    struct database *db = store_read_begin(flow->options.store, err);
    if (!db)
        return false;
    struct sql *sql = sql_prepare(db, "SELECT sender FROM flow_series WHERE study=?1 AND series=?2", err);
    bool ok = sql != NULL;
    if (ok) {
        sql_bind_text(sql, 1, study);
        sql_bind_text(sql, 2, series);
        ok = sql_step(sql, &row, err);
        if (ok && row)
            out->sender = arena_strdup(out->arena, sql_text(sql, 0));
    }
    sql_done(sql);
    store_read_end(flow->options.store, db);
    return ok && (out->sender || error_set(err, ERROR_LIMIT, "no memory for a series"));
}

// Distance of two slices along their normal, from the positions; else the slice thickness.
static double spacing_of(const struct dicom_dataset *a, const struct dicom_dataset *b)
{
    double p[3], q[3], o[6], thickness;
    bool placed = true;
    for (size_t i = 0; i < 6; i++)
        placed = placed && dicom_number(a, 0x00200037, i, &o[i]) &&
                 (i >= 3 || (dicom_number(a, 0x00200032, i, &p[i]) && dicom_number(b, 0x00200032, i, &q[i])));
    if (!placed)
        return dicom_number(a, 0x00180050, 0, &thickness) ? thickness : 0;
    double normal[3] = {o[1] * o[5] - o[2] * o[4], o[2] * o[3] - o[0] * o[5], o[0] * o[4] - o[1] * o[3]};
    return fabs((q[0] - p[0]) * normal[0] + (q[1] - p[1]) * normal[1] + (q[2] - p[2]) * normal[2]);
}

static bool look_inside(struct flow *flow, struct subject *subject, struct error *err)
{
    const struct dicom_dataset *first, *second;
    size_t next = subject->count > 1 ? 1 : 0;
    if (!archive_header(flow->options.archive, &subject->objects[0], HEADER_VALUE_MAX, subject->arena, &first, err) ||
        !archive_header(flow->options.archive, &subject->objects[next], HEADER_VALUE_MAX, subject->arena, &second, err))
        return false;
    const char *agent = dicom_text(first, 0x00180010, subject->arena);
    subject->contrast = agent && *agent;
    subject->spacing_mm = spacing_of(first, second);
    return true;
}

static bool describe(struct flow *flow, const char *study, const char *series, struct subject *out, struct error *err)
{
    struct archive_query query = {.level = ARCHIVE_SERIES, .study = study, .series = series, .limit = 1};
    struct archive_row *rows;
    struct archive_object *objects;
    size_t count = 0;
    bool more;
    if (!archive_find(flow->options.archive, &query, out->arena, &rows, &count, &more, err) ||
        !archive_objects(flow->options.archive, study, series, NULL, out->arena, &objects, &out->count, err))
        return false;
    if (count == 0)
        return error_set(err, ERROR_NOT_FOUND, "series %s is gone", series);
    out->objects = objects;
    for (size_t i = 0; i < out->count; i++)
        out->frames += objects[i].frames;
    out->modality = field(&rows[0], 0x00080060);
    out->body_part = field(&rows[0], 0x00180015);
    out->description = arena_printf(out->arena, "%s %s", field(&rows[0], 0x0008103E), field(&rows[0], 0x00081030));
    return out->description ? find_sender(flow, study, series, out, err) && look_inside(flow, out, err)
                            : error_set(err, ERROR_LIMIT, "no memory for a series");
}

bool flow_says(const char *description, const char *word)
{
    return strcasestr(description, word) != NULL;
}

bool flow_is_part(const char *body_part, const char *description, const char *asked)
{
    return text_same_fold(asked, body_part) || flow_says(description, asked);
}

// Of an enhanced object, all slices in one, the places are not looked for: the worker says that no model reads it,
// where a rule that does not hold says nothing.
static bool is_spaced(const struct subject *subject, double most_mm)
{
    return most_mm <= 0 || subject->objects[0].frames > 1 ||
           (subject->spacing_mm > 0 && subject->spacing_mm <= most_mm);
}

static bool holds(const struct flow_rule *rule, const struct subject *subject)
{
    return rule->enabled && (!*rule->modality || strcmp(rule->modality, subject->modality) == 0) &&
           (!*rule->body_part || flow_is_part(subject->body_part, subject->description, rule->body_part)) &&
           (!*rule->description || flow_says(subject->description, rule->description)) &&
           (!*rule->calling || strcmp(rule->calling, subject->sender) == 0) &&
           is_spaced(subject, rule->spacing_max_mm) && subject->frames >= rule->slices_min &&
           !(rule->no_contrast && subject->contrast);
}

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, HASH_SIZE);
}

// Sorted, because the archive's order of equal instance numbers is that of arrival, which a rebuild need not repeat.
bool flow_job_key(char out[65], const char *package_digest, const struct archive_object *objects, size_t count,
                  struct error *err)
{
    uint8_t digest[HASH_SIZE];
    struct hash *hash = hash_new();
    uint8_t(*inputs)[HASH_SIZE] = calloc(count + 1, sizeof *inputs);
    bool ok = (hash && inputs) || error_set(err, ERROR_MEMORY, "no memory for a job's key");
    if (ok) {
        for (size_t i = 0; i < count; i++)
            memcpy(inputs[i], objects[i].digest, HASH_SIZE);
        qsort(inputs, count, sizeof *inputs, by_digest);
        hash_add(hash, package_digest, strlen(package_digest));
        hash_add(hash, inputs, count * sizeof *inputs);
        hash_end(hash, digest);
        text_hex(out, digest, sizeof digest);
    }
    hash_free(hash);
    free(inputs);
    return ok;
}

struct model_package *flow_package(struct model_package *const *packages, const char *name)
{
    for (; packages && *packages; packages++)
        if (strcmp(model_package_name(*packages), name) == 0)
            return *packages;
    return NULL;
}

static json_t *names_to_json(const char (*names)[65], size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_string(names[i]));
    return list;
}

static bool make_job(struct flow *flow, const struct flow_rule *rule, const struct subject *subject, const char *study,
                     const char *series, struct queue_job *job, struct error *err)
{
    char key[65];
    struct model_package *package = flow_package(flow->options.packages, rule->model);
    if (!package)
        return error_set(err, ERROR_NOT_FOUND, "rule '%s' names model '%s', which is not installed", rule->name,
                         rule->model);
    if (!flow_job_key(key, model_package_digest(package), subject->objects, subject->count, err))
        return false;
    json_t *input = json_pack("{s:s, s:s, s:s, s:o, s:o}", "package", model_package_name(package), "digest",
                              model_package_digest(package), "rule", rule->name, "send_to",
                              names_to_json(rule->send_to, rule->send_to_count), "hl7_to",
                              names_to_json(rule->hl7_to, rule->hl7_to_count));
    char *text = json_dumps(input, JSON_COMPACT);
    *job = (struct queue_job){
        .key = arena_strdup(subject->arena, key),
        .kind = "model",
        .study = arena_strdup(subject->arena, study),
        .series = arena_strdup(subject->arena, series),
        .model = arena_printf(subject->arena, "%s %s", model_package_name(package), model_package_version(package)),
        .input = text ? arena_strdup(subject->arena, text) : NULL,
        .priority = rule->priority};
    free(text);
    json_decref(input);
    return (job->key && job->study && job->series && job->model && job->input) ||
           error_set(err, ERROR_LIMIT, "no memory for a job");
}

static void add_names(char (*names)[65], size_t *count, const char (*more)[65], size_t more_count)
{
    for (size_t i = 0; i < more_count && *count < FIELD_NAMES_MAX; i++) {
        size_t k = 0;
        while (k < *count && strcmp(names[k], more[i]) != 0)
            k++;
        if (k == *count)
            memcpy(names[(*count)++], more[i], sizeof names[0]);
    }
}

// Two rules with one model are one job, whose results go to the targets of both.
static struct flow_match *merge(struct flow_match *matches, size_t count, const struct flow_rule *rule)
{
    for (size_t i = 0; i < count; i++) {
        struct flow_rule *first = &matches[i].rule;
        if (strcmp(first->model, rule->model) != 0)
            continue;
        add_names(first->send_to, &first->send_to_count, rule->send_to, rule->send_to_count);
        add_names(first->hl7_to, &first->hl7_to_count, rule->hl7_to, rule->hl7_to_count);
        if (rule->priority > first->priority)
            first->priority = rule->priority;
        return &matches[i];
    }
    matches[count].rule = *rule;
    return &matches[count];
}

bool flow_match_series(struct flow *flow, const char *study, const char *series, struct arena *arena,
                       struct flow_match **out, size_t *count, struct error *err)
{
    struct subject subject = {.arena = arena};
    struct flow_rule *rules;
    size_t rule_count = 0;
    *count = 0;
    if (!flow_rule_list(flow->options.store, arena, &rules, &rule_count, err))
        return false;
    *out = arena_calloc(arena, rule_count, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_LIMIT, "no memory for %zu rules", rule_count);
    if (rule_count == 0)
        return true;
    if (!describe(flow, study, series, &subject, err))
        return false;
    for (size_t i = 0; i < rule_count; i++) {
        struct error why;
        if (!*rules[i].model || !holds(&rules[i], &subject))
            continue;
        struct flow_match *match = merge(*out, *count, &rules[i]);
        if (make_job(flow, &match->rule, &subject, study, series, &match->job, &why))
            *count += match == &(*out)[*count];
        else
            log_warning("flow", "%s", why.message);
    }
    return true;
}
