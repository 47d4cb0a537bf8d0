// Which rules ask for a series by its tags, and the jobs that follow. Whether its images are fit for the model is the
// worker's question (model/fit.h): a rule whose tags match makes a job, and a job that cannot be done says why.
#include "flow/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

enum { AGAIN_MAX = 100 }; // jobs of one package on the same images that failed

// What the rules ask about a series, looked up once.
struct subject {
    struct arena *arena;
    const char *study, *series;
    const char *modality, *body_part, *description, *sender; // description: series and study together
    const struct archive_object *objects;
    size_t count;
    struct archive_held_back held_back;
    bool again; // what failed is asked anew
};

const char *flow_field(const struct archive_row *row, dicom_tag tag)
{
    for (size_t i = 0; i < row->count; i++)
        if (row->fields[i].tag == tag)
            return row->fields[i].text;
    return "";
}

static bool find_sender(struct flow *flow, struct subject *out, struct error *err)
{
    struct flow_series row;
    struct database *db = store_read_begin(flow->options.store, err);
    bool ok = db && flow_series_get(db, out->study, out->series, out->arena, &row, err);
    store_read_end(flow->options.store, db);
    if (ok)
        out->sender = row.sender;
    return ok;
}

static bool describe(struct flow *flow, struct subject *out, struct error *err)
{
    struct archive_query query = {.level = ARCHIVE_SERIES, .study = out->study, .series = out->series, .limit = 1};
    struct archive_row *rows;
    struct archive_object *objects;
    size_t count = 0;
    bool more;
    if (!archive_find(flow->options.archive, ACCESS_ALL, &query, out->arena, &rows, &count, &more, err) ||
        !archive_objects(flow->options.archive, ACCESS_ALL, out->study, out->series, NULL, out->arena, &objects,
                         &out->count, err) ||
        !archive_held_back(flow->options.archive, out->study, out->series, &out->held_back, err))
        return false;
    if (count == 0)
        return error_set(err, ERROR_NOT_FOUND, "series %s is gone", out->series);
    out->objects = objects;
    out->modality = flow_field(&rows[0], 0x00080060);
    out->body_part = flow_field(&rows[0], 0x00180015);
    out->description =
        arena_printf(out->arena, "%s|%s", flow_field(&rows[0], 0x0008103E), flow_field(&rows[0], 0x00081030));
    return out->description ? find_sender(flow, out, err) : error_set(err, ERROR_LIMIT, "no memory for a series");
}

static bool asks_for(const struct flow *flow, const struct flow_rule *rule, const struct subject *subject)
{
    const struct model_words *words = flow->options.words;
    return (!*rule->modality || strcmp(rule->modality, subject->modality) == 0) &&
           (!*rule->body_part ||
            model_words_is_part(words, subject->body_part, subject->description, rule->body_part)) &&
           (!*rule->description || model_words_says(words, subject->description, rule->description)) &&
           (!*rule->calling || strcmp(rule->calling, subject->sender) == 0);
}

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, HASH_SIZE);
}

// Sorted, because the archive's order of equal instance numbers is that of arrival, which a rebuild need not repeat.
bool flow_inputs_digest(char out[65], const char *text, const struct archive_object *objects, size_t count,
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
        hash_add(hash, text, strlen(text));
        hash_add(hash, inputs, count * sizeof *inputs);
        hash_end(hash, digest);
        text_hex(out, digest, sizeof digest);
    }
    hash_free(hash);
    free(inputs);
    return ok;
}

bool flow_job_key(char out[65], const char *package_digest, const char *after, const struct archive_object *objects,
                  size_t count, const struct archive_held_back *held_back, struct error *err)
{
    char text[224], beside[32] = "", undecided[32] = "";
    if (held_back->elsewhere > 0)
        snprintf(beside, sizeof beside, " beside %lld", (long long)held_back->elsewhere);
    if (held_back->undecided > 0)
        snprintf(undecided, sizeof undecided, " undecided %lld", (long long)held_back->undecided);
    int size =
        snprintf(text, sizeof text, "%s%s%s%s%s", package_digest, *after ? " after " : "", after, beside, undecided);
    return size < (int)sizeof text ? flow_inputs_digest(out, text, objects, count, err)
                                   : error_set(err, ERROR_LIMIT, "a package's digest of %d letters", size);
}

// The newest job whose current results are of other images, or of another package, than `digest` and `objects`, or,
// where nothing is current any more, the newest of all; "": none.
static bool find_overtaker(struct database *db, const struct subject *subject, const char *model, const char *digest,
                           const char **out, struct error *err)
{
    char content[65];
    struct finding_result *results;
    const char *newest = "";
    size_t count;
    bool says_something = false;
    *out = "";
    if (!flow_job_key(content, "", "", subject->objects, subject->count, &subject->held_back, err) ||
        !finding_result_list(db, subject->study, subject->series, true, subject->arena, &results, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct finding_result *result = &results[i];
        if (strcmp(result->model, model) != 0)
            continue;
        newest = result->job;
        if (result->standing != FINDING_CURRENT)
            continue;
        says_something = true;
        if (*result->digest && (strcmp(result->digest, content) != 0 || strcmp(result->model_digest, digest) != 0))
            *out = result->job;
    }
    if (!says_something)
        *out = newest;
    return true;
}

// Images that come back (a person takes the older ones after all) have a job that is done, and what it said has been
// overtaken since. They get another job, which comes after the one that overtook it: `after` is that one's key, "" for
// all else.
static bool find_after(struct flow *flow, const struct subject *subject, const char *model, const char *digest,
                       const char **after, struct error *err)
{
    char key[65];
    struct queue_job *job = NULL;
    struct database *db = store_read_begin(flow->options.store, err);
    *after = "";
    bool ok = db && flow_job_key(key, digest, "", subject->objects, subject->count, &subject->held_back, err) &&
              queue_job_get(db, key, subject->arena, &job, err);
    if (ok && job && (job->state == QUEUE_JOB_DONE || job->state == QUEUE_JOB_FAILED))
        ok = find_overtaker(db, subject, model, digest, after, err);
    store_read_end(flow->options.store, db);
    return ok;
}

// A job that failed, or of whose volumes one did.
static bool has_failed(struct database *db, const struct subject *subject, const char *key, bool *out,
                       struct error *err)
{
    struct queue_job *job;
    struct finding_result *results;
    size_t count;
    *out = false;
    if (!queue_job_get(db, key, subject->arena, &job, err))
        return false;
    *out = job && job->state == QUEUE_JOB_FAILED;
    if (!job || job->state != QUEUE_JOB_DONE)
        return true;
    if (!finding_result_list(db, subject->study, subject->series, false, subject->arena, &results, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        *out = *out || (results[i].outcome == FINDING_FAILED && strcmp(results[i].job, key) == 0);
    return true;
}

// What failed and is asked anew has another job, which comes after it: what each of them makes has UIDs of its own.
static bool follow_failed(struct flow *flow, const struct subject *subject, const char *digest, const char **after,
                          char key[65], struct error *err)
{
    bool failed = true;
    struct database *db = store_read_begin(flow->options.store, err);
    bool ok = db != NULL;
    for (int i = 0; ok && failed && i < AGAIN_MAX; i++) {
        ok = has_failed(db, subject, key, &failed, err);
        if (!ok || !failed)
            break;
        *after = arena_strdup(subject->arena, key);
        ok = *after ? flow_job_key(key, digest, *after, subject->objects, subject->count, &subject->held_back, err)
                    : error_set(err, ERROR_LIMIT, "no memory for a job");
    }
    store_read_end(flow->options.store, db);
    return ok &&
           (!failed || error_set(err, ERROR_LIMIT,
                                 "series %s was looked at %d times in vain by the same package: mend or replace it",
                                 subject->series, AGAIN_MAX));
}

_Static_assert(2 * (int)MODEL_NAME_SIZE <= (int)QUEUE_NAME_MAX && (int)DICOM_UID_SIZE <= (int)QUEUE_NAME_MAX,
               "a job's model (name and version), study and series");

// A model that is not installed (`package` NULL) has no digest: its name stands for it, and the worker says what is
// missing.
static bool make_job(struct flow *flow, const struct model_package *package, const struct subject *subject,
                     struct flow_match *match, struct error *err)
{
    char key[65];
    const struct flow_rule *rule = match->rules[0];
    const char *digest = package ? model_package_digest(package) : rule->model, *after;
    if (!find_after(flow, subject, rule->model, digest, &after, err) ||
        !flow_job_key(key, digest, after, subject->objects, subject->count, &subject->held_back, err) ||
        (subject->again && !follow_failed(flow, subject, digest, &after, key, err)))
        return false;
    json_t *input =
        json_pack("{s:s, s:s, s:s, s:s}", "package", rule->model, "digest", digest, "rule", rule->name, "after", after);
    char *text = json_dumps(input, JSON_COMPACT);
    struct queue_job *job = &match->job;
    *job = (struct queue_job){
        .key = arena_strdup(subject->arena, key),
        .kind = FLOW_JOB_MODEL,
        .study = arena_strdup(subject->arena, subject->study),
        .series = arena_strdup(subject->arena, subject->series),
        .model =
            package ? arena_printf(subject->arena, "%s %s", rule->model, model_package_version(package)) : rule->model,
        .input = text ? arena_strdup(subject->arena, text) : NULL};
    for (size_t i = 0; i < match->rule_count; i++)
        if (i == 0 || match->rules[i]->priority > job->priority)
            job->priority = match->rules[i]->priority;
    free(text);
    json_decref(input);
    return (job->key && job->study && job->series && job->model && job->input) ||
           error_set(err, ERROR_LIMIT, "no memory for a job");
}

// Several rules with one model are one job; what each asks beyond the tags, and whom it tells, is seen per rule.
static bool add_rule(struct flow_match *matches, size_t *count, const struct flow_rule *rule, size_t rules_max,
                     struct arena *arena)
{
    size_t i = 0;
    while (i < *count && strcmp(matches[i].rules[0]->model, rule->model) != 0)
        i++;
    if (i == *count) {
        matches[i].rules = arena_calloc(arena, rules_max, sizeof *matches[i].rules);
        if (!matches[i].rules)
            return false;
        ++*count;
    }
    matches[i].rules[matches[i].rule_count++] = rule;
    return true;
}

static bool add_labels(const struct flow_rule *rule, struct arena *arena, const char **labels)
{
    for (size_t i = 0; *labels && i < rule->labels_count; i++)
        *labels = arena_printf(arena, "%s%s%s", *labels, **labels ? "," : "", rule->labels[i]);
    return *labels != NULL;
}

bool flow_match_series(struct flow *flow, const char *study, const char *series, bool again, struct arena *arena,
                       struct flow_match **out, size_t *count, const char **labels, struct error *err)
{
    struct subject subject = {.arena = arena, .study = study, .series = series, .again = again};
    struct flow_rule *rules;
    size_t rule_count = 0;
    *count = 0;
    *labels = "";
    if (!flow_rule_list(flow->options.store, arena, &rules, &rule_count, err))
        return false;
    *out = arena_calloc(arena, rule_count, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_LIMIT, "no memory for %zu rules", rule_count);
    if (rule_count == 0)
        return true;
    if (!describe(flow, &subject, err))
        return false;
    for (size_t i = 0; i < rule_count; i++)
        if (rules[i].enabled && asks_for(flow, &rules[i], &subject) &&
            (!add_labels(&rules[i], arena, labels) ||
             (*rules[i].model && !add_rule(*out, count, &rules[i], rule_count, arena)))) {
            *labels = "";
            return error_set(err, ERROR_LIMIT, "no memory for %zu rules", rule_count);
        }
    bool ok = true;
    for (size_t i = 0; ok && i < *count; i++) {
        struct model_package *package = model_packages_find(flow->options.packages, (*out)[i].rules[0]->model);
        ok = make_job(flow, package, &subject, &(*out)[i], err);
        model_package_close(package);
    }
    return ok;
}

bool flow_rule_asks_for(struct flow *flow, const struct flow_rule *rule, const char *study, const char *series,
                        struct arena *arena, bool *out, struct error *err)
{
    struct subject subject = {.arena = arena, .study = study, .series = series};
    if (!describe(flow, &subject, err))
        return false;
    *out = asks_for(flow, rule, &subject);
    return true;
}
