// From the model's answers to results: a row for each volume, its objects in the archive, and the end of the job, in
// which rows, what they take the place of, and deliveries are one transaction.
//
// Everything made follows from the job's key and from what the first try fixed, so a second try after a crash stores
// equal objects (which are the same) and adds rows and deliveries that are there: one result.
#include "flow/internal.h"

#include <stdlib.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"

enum { OBJECT_MAX = 512 << 20, NOTES_MAX = 1000 };

// ---- the row of a result

static struct finding_code code_of(const struct model_code *code)
{
    return (struct finding_code){code->value, code->scheme, code->meaning};
}

static const char *text_of(struct flow_work *work, dicom_tag tag)
{
    const struct dicom_dataset *header = flow_input_header(work);
    const char *text = header ? dicom_text(header, tag, &work->arena) : NULL;
    return text ? text : "";
}

static bool topic_of(struct flow_work *work, const char *volume, char out[FINDING_TOPIC_SIZE], struct error *err)
{
    const struct finding_subject subject = {.study = work->job->study,
                                            .series = work->job->series,
                                            .volume = volume,
                                            .model = model_package_name(work->package),
                                            .patient = work->objects[0].patient_rank};
    struct database *db = store_read_begin(work->flow->options.store, err);
    bool ok = db && finding_topic(db, &subject, out, err);
    store_read_end(work->flow->options.store, db);
    return ok;
}

// A row as it is before anything is known of the outcome.
static bool begin_row(struct flow_work *work, const char *volume, struct finding_result *out, struct error *err)
{
    char id[FINDING_ID_SIZE], topic[FINDING_TOPIC_SIZE], digest[65];
    const char *model = model_package_name(work->package);
    finding_result_id(id, work->key, volume);
    if (!topic_of(work, volume, topic, err) ||
        !flow_job_key(digest, "", "", work->objects, work->count, &work->held_back, err))
        return false;
    *out = (struct finding_result){.id = arena_strdup(&work->arena, id),
                                   .topic = arena_strdup(&work->arena, topic),
                                   .job = work->key,
                                   .study = work->job->study,
                                   .series = work->job->series,
                                   .volume = volume,
                                   .patient_id = work->objects[0].patient_id,
                                   .issuer = work->objects[0].issuer,
                                   .patient = work->objects[0].patient,
                                   .modality = text_of(work, 0x00080060),
                                   .model = model,
                                   .model_version = model_package_version(work->package),
                                   .model_digest = model_package_digest(work->package),
                                   .label_text = model_package_label(work->package),
                                   .concept = code_of(model_package_concept(work->package)),
                                   .reason = "",
                                   .notes = "",
                                   .digest = arena_strdup(&work->arena, digest),
                                   .calibrated = model_package_calibrated(work->package),
                                   .told = true,
                                   .sr_instance = "",
                                   .seg_instance = "",
                                   .send_to = "[]",
                                   .hl7_to = "[]"};
    return (out->id && out->topic && out->digest) || error_set(err, ERROR_LIMIT, "no memory for a result");
}

// ---- whom the rules name

static const char *names_of(struct flow_work *work, const struct flow_rule **rules, size_t count, bool hl7)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        size_t names = hl7 ? rules[i]->hl7_to_count : rules[i]->send_to_count;
        for (size_t k = 0; k < names; k++) {
            const char *name = hl7 ? rules[i]->hl7_to[k] : rules[i]->send_to[k];
            size_t at, there = 0;
            json_t *value;
            json_array_foreach(list, at, value) there += strcmp(json_string_value(value), name) == 0;
            if (!there)
                json_array_append_new(list, json_string(name));
        }
    }
    char *text = json_dumps(list, JSON_COMPACT);
    const char *copy = text ? arena_strdup(&work->arena, text) : NULL;
    free(text);
    json_decref(list);
    return copy;
}

// The rules whose own conditions the volume meets: to their targets it goes. None: *lack says what the first one asks.
static bool choose_rules(struct flow_work *work, const struct model_volume *volume, const struct flow_rule **out,
                         size_t *count, const char **lack, struct error *err)
{
    *count = 0;
    *lack = NULL;
    for (size_t i = 0; i < work->rule_count; i++) {
        const struct flow_rule *rule = work->rules[i];
        const char *why = NULL;
        struct model_needs needs = {.spacing_max_mm = rule->spacing_max_mm,
                                    .slices_min = rule->slices_min,
                                    .contrast_refused = rule->no_contrast};
        if (volume && !model_volume_lacks(&needs, volume, &work->arena, &why, err))
            return false;
        if (!why)
            out[(*count)++] = rule;
        else if (!*lack)
            *lack = arena_printf(&work->arena, "rule '%s': %s", rule->name, why);
    }
    return true;
}

static bool name_targets(struct flow_work *work, const struct flow_rule **rules, size_t count,
                         struct finding_result *row, struct error *err)
{
    row->send_to = names_of(work, rules, count, false);
    row->hl7_to = names_of(work, rules, count, true);
    return (row->send_to && row->hl7_to) || error_set(err, ERROR_LIMIT, "no memory for a rule's targets");
}

// ---- one volume

static void not_analysed(struct flow_analysis *analysis, enum finding_outcome outcome, const char *cause,
                         const char *reason)
{
    analysis->cause = cause;
    analysis->row.outcome = outcome;
    analysis->row.reason = reason;
    if (analysis->made.labels_fd >= 0)
        close(analysis->made.labels_fd);
    analysis->made.labels_fd = -1;
    analysis->made.count = 0;
}

static bool make_findings(struct flow_work *work, struct flow_analysis *analysis, struct error *err)
{
    char seg[DICOM_UID_SIZE], sr[DICOM_UID_SIZE];
    struct finding_result *row = &analysis->row;
    analysis->findings = arena_calloc(&work->arena, analysis->made.count, sizeof *analysis->findings);
    finding_seg_uid(seg, row->id, 0);
    finding_sr_uid(sr, row->id, 0);
    row->seg_instance = arena_strdup(&work->arena, seg);
    row->sr_instance = arena_strdup(&work->arena, sr);
    if (!analysis->findings || !row->seg_instance || !row->sr_instance)
        return error_set(err, ERROR_LIMIT, "no memory for findings");
    for (size_t i = 0; i < analysis->made.count; i++) {
        const struct model_finding *from = &analysis->made.findings[i];
        struct finding *to = &analysis->findings[i];
        *to = (struct finding){.id = arena_printf(&work->arena, "%.32s-%zu", row->id, i + 1),
                               .result = row->id,
                               .job = row->job,
                               .study = row->study,
                               .series = row->series,
                               .model = row->model,
                               .model_version = row->model_version,
                               .model_digest = row->model_digest,
                               .label_text = row->label_text,
                               .concept = row->concept,
                               .site = code_of(model_package_site(work->package)),
                               .side = from->side,
                               .volume_ml = from->volume_ml,
                               .score = from->score,
                               .segment = (int64_t)i + 1,
                               .seg_instance = row->seg_instance,
                               .sr_instance = row->sr_instance,
                               .judged_by = "",
                               .comment = ""};
        memcpy(to->centroid_mm, from->centroid_mm, sizeof to->centroid_mm);
        memcpy(to->low_mm, from->low_mm, sizeof to->low_mm);
        memcpy(to->high_mm, from->high_mm, sizeof to->high_mm);
        if (!to->id || !finding_urgency_parse(from->urgency, &to->urgency))
            return error_set(err, ERROR_BAD_DATA, "the model gave urgency '%.8s'", from->urgency);
    }
    return true;
}

static bool judge_outcome(struct flow_work *work, struct flow_analysis *analysis, struct error *err)
{
    struct finding_result *row = &analysis->row;
    const char *lack = NULL;
    const struct model_volume *volume = analysis->volume;
    row->voxels = (int64_t)analysis->made.looked_at;
    row->objects = (int64_t)(volume->count - volume->empty);
    row->coverage_mm = llround(volume->coverage_mm);
    if (!model_result_notes(volume, &analysis->made, &work->arena, &row->notes, err))
        return false;
    if (*analysis->made.not_analysed) {
        const char *reason = arena_strdup(&work->arena, analysis->made.not_analysed);
        not_analysed(analysis, FINDING_NOT_ANALYSED, "output", reason);
        return reason || error_set(err, ERROR_LIMIT, "no memory for a reason");
    }
    if (analysis->made.count > 0) {
        row->outcome = FINDING_POSITIVE;
        return make_findings(work, analysis, err);
    }
    if (!model_negative_lacks(model_package_needs(work->package), analysis->volume, &analysis->made, &work->arena,
                              &lack, err) ||
        (!lack && !flow_input_lacks(work, &lack, err)))
        return false;
    row->outcome = FINDING_NEGATIVE;
    row->told = false;
    if (lack) {
        row->told = true;
        not_analysed(analysis, FINDING_NOT_ANALYSED, "coverage", lack);
    }
    return true;
}

static bool run_model(struct flow_work *work, struct model_volume *volume, struct flow_analysis *analysis,
                      struct error *err)
{
    int pixels = flow_input_volume(work, volume, err);
    if (pixels < 0)
        return false;
    work->read_ns = clock_monotonic_ns();
    bool ok = model_run(work->flow->options.runner, work->package, &volume->geometry, pixels, &analysis->made, err);
    close(pixels);
    return ok;
}

// What would fail the same way next time is a result now.
static bool compute(struct flow_work *work, struct model_volume *volume, struct flow_analysis *analysis,
                    struct error *err)
{
    if (run_model(work, volume, analysis, err))
        return judge_outcome(work, analysis, err);
    if (flow_is_passing(err->code))
        return false;
    const char *reason = arena_strdup(&work->arena, err->message);
    bool unfit = err->code == ERROR_CONFLICT; // pixels past what the model takes
    not_analysed(analysis, unfit ? FINDING_NOT_ANALYSED : FINDING_FAILED, unfit ? "images" : "model", reason);
    return reason || error_set(err, ERROR_LIMIT, "no memory for a reason");
}

static bool analyse(struct flow_work *work, struct model_volume *volume, struct flow_analysis *out, struct error *err)
{
    const char *unfit = volume ? volume->unfit : work->fit.unfit;
    const struct flow_rule **rules = arena_calloc(&work->arena, work->rule_count, sizeof *rules);
    size_t met;
    const char *lack = NULL;
    *out = (struct flow_analysis){.volume = volume, .predecessor = "", .cause = ""};
    out->made.labels_fd = -1;
    if (!rules)
        return error_set(err, ERROR_LIMIT, "no memory for rules");
    if (!begin_row(work, volume ? volume->label : "", &out->row, err) ||
        !choose_rules(work, unfit ? NULL : volume, rules, &met, &lack, err))
        return false;
    out->row.notes = volume ? volume->notes : "";
    out->row.objects = volume ? (int64_t)volume->count : 0;
    out->row.coverage_mm = volume ? llround(volume->coverage_mm) : 0;
    // Whoever asked for it hears why it is not done.
    if (!(met > 0 ? name_targets(work, rules, met, &out->row, err)
                  : name_targets(work, work->rules, work->rule_count, &out->row, err)))
        return false;
    if (volume && !unfit && !(lack && met == 0))
        return compute(work, volume, out, err);
    out->row.objects = out->row.coverage_mm = 0;
    const char *cause = work->fit.several_patients ? "patients" : unfit || !lack ? "images" : "rule";
    not_analysed(out, FINDING_NOT_ANALYSED, cause, unfit ? unfit : lack ? lack : "the series makes no volume");
    return true;
}

bool flow_results_unreadable(struct flow_work *work, const char *reason, struct error *err)
{
    const char *kept = arena_strdup(&work->arena, reason); // the caller's may be gone when the rows are written
    if (!kept)
        return error_set(err, ERROR_LIMIT, "no memory for a reason");
    work->fit = (struct model_fit){.unfit = kept};
    return flow_results_make(work, err);
}

bool flow_results_given_up(struct flow_work *work, const char *reason, struct error *err)
{
    if (!flow_results_unreadable(work, reason, err))
        return false;
    work->analyses[0].row.outcome = FINDING_FAILED;
    work->analyses[0].cause = "attempts";
    return true;
}

bool flow_results_make(struct flow_work *work, struct error *err)
{
    size_t volumes = work->fit.unfit ? 0 : work->fit.volume_count;
    work->analyses = arena_calloc(&work->arena, volumes + 1, sizeof *work->analyses);
    if (!work->analyses)
        return error_set(err, ERROR_LIMIT, "no memory for %zu volumes", volumes);
    if (volumes == 0) {
        work->analysis_count = 1;
        return analyse(work, NULL, work->analyses, err);
    }
    for (size_t i = 0; i < volumes; i++) {
        work->analysis_count = i + 1;
        if (!analyse(work, &work->fit.volumes[i], &work->analyses[i], err))
            return false;
    }
    return true;
}

void flow_results_drop(struct flow_work *work)
{
    for (size_t i = 0; i < work->analysis_count; i++)
        if (work->analyses[i].made.labels_fd >= 0)
            close(work->analyses[i].made.labels_fd);
    work->analysis_count = 0;
}

// ---- what the first try fixed: the documents that the new ones take the place of, and when they say it

struct fixing {
    struct flow_work *work;
    const char *fixed;
};

// When the newest image came; but never before anything that it takes the place of was said or changed.
static int64_t time_of(const struct flow_work *work, const struct finding_result *present, size_t count)
{
    int64_t time_ns = work->newest_ns;
    for (size_t i = 0; i < count; i++)
        if (strcmp(present[i].job, work->key) != 0 && present[i].changed_ns + CLOCK_MS > time_ns)
            time_ns = present[i].changed_ns + CLOCK_MS;
    return time_ns;
}

static bool write_fixed(struct database *db, void *payload, struct error *err)
{
    struct fixing *fixing = payload;
    struct flow_work *work = fixing->work;
    struct finding_result *present;
    size_t count;
    if (!finding_result_current(db, work->job->study, work->job->series, model_package_name(work->package),
                                &work->arena, &present, &count, err))
        return false;
    json_t *map = json_object();
    json_object_set_new(map, "time_ns", json_integer(time_of(work, present, count)));
    for (size_t i = 0; i < count; i++)
        if (strcmp(present[i].job, work->key) != 0 && *present[i].sr_instance)
            json_object_set_new(map, present[i].topic, json_string(present[i].sr_instance));
    char *text = json_dumps(map, JSON_COMPACT);
    bool ok = text ? queue_job_fix(db, work->job->key, work->job->token, text, &work->arena, &fixing->fixed, err)
                   : error_set(err, ERROR_MEMORY, "no memory for a job");
    free(text);
    json_decref(map);
    return ok;
}

static bool fix(struct flow_work *work, struct error *err)
{
    struct fixing fixing = {.work = work};
    if (!store_write(work->flow->options.store, STORE_DURABLE, write_fixed, &fixing, err))
        return false;
    json_t *map = json_loads(fixing.fixed, 0, NULL);
    bool ok = true;
    int64_t time_ns = json_integer_value(json_object_get(map, "time_ns")); // 0: the program before fixed none
    work->content_ns = time_ns ? time_ns : work->newest_ns;
    for (size_t i = 0; i < work->analysis_count; i++) {
        const char *sr = json_string_value(json_object_get(map, work->analyses[i].row.topic));
        work->analyses[i].predecessor = sr ? arena_strdup(&work->arena, sr) : "";
        ok = ok && work->analyses[i].predecessor;
    }
    json_decref(map);
    return ok || error_set(err, ERROR_LIMIT, "no memory for a job");
}

// ---- objects

static uint16_t *read_labels(const struct flow_analysis *analysis, struct error *err)
{
    size_t bytes = image_voxels(&analysis->volume->geometry) * sizeof(uint16_t);
    uint16_t *labels = malloc(bytes);
    if (!labels) {
        error_set(err, ERROR_MEMORY, "no memory for a label map");
        return NULL;
    }
    if (file_pread(analysis->made.labels_fd, labels, bytes, 0, err))
        return labels;
    free(labels);
    return NULL;
}

static bool store_seg(struct flow_work *work, const struct flow_analysis *analysis,
                      const struct finding_context *context, struct archive_writer *writer, struct error *err)
{
    struct buffer data;
    uint16_t *labels = read_labels(analysis, err);
    buffer_init(&data, OBJECT_MAX);
    bool ok = labels && finding_to_seg(context, analysis->findings, analysis->made.count, labels, &data, err) &&
              flow_store_object(work->flow, writer, &data, context->time_ns, err);
    free(labels);
    buffer_free(&data);
    return ok;
}

static bool store_sr(struct flow_work *work, const struct flow_analysis *analysis,
                     const struct finding_context *context, struct archive_writer *writer, struct error *err)
{
    struct buffer data;
    buffer_init(&data, OBJECT_MAX);
    bool ok = finding_to_sr(context, analysis->findings, analysis->made.count, &data, err) &&
              flow_store_object(work->flow, writer, &data, context->time_ns, err);
    buffer_free(&data);
    return ok;
}

static bool context_of(struct flow_work *work, const struct flow_analysis *analysis, struct finding_context *out,
                       struct error *err)
{
    flow_context_of(work, analysis->volume, out);
    out->time_ns = work->content_ns;
    out->result = &analysis->row;
    out->seg = analysis->row.seg_instance;
    if (!out->slice_instances || !out->slice_positions_mm)
        return error_set(err, ERROR_LIMIT, "no memory for %zu slices", analysis->volume->count);
    return flow_context_follow(work->flow, analysis->predecessor, &work->arena, out, err);
}

// A positive has its objects now; a negative when it is told.
static bool store_objects(struct flow_work *work, const struct flow_analysis *analysis, struct archive_writer *writer,
                          struct error *err)
{
    struct finding_context context;
    if (analysis->row.outcome != FINDING_POSITIVE)
        return true;
    return context_of(work, analysis, &context, err) && store_seg(work, analysis, &context, writer, err) &&
           store_sr(work, analysis, &context, writer, err);
}

// ---- what does not stand any more

// What goes into the transaction that ends the job.
struct ending {
    struct flow_work *work;
    struct queue_job done;
    struct flow_telling *tellings; // of the new results that are told at once, then of what is taken back
    size_t telling_count;
    int64_t now_ns;
};

static bool has_topic(const struct flow_work *work, const char *topic)
{
    for (size_t i = 0; i < work->analysis_count; i++)
        if (strcmp(work->analyses[i].row.topic, topic) == 0)
            return true;
    return false;
}

// Why what was said should never have been; NULL: it was right.
static const char *why_withdrawn(const struct flow_work *work, const struct finding_result *old)
{
    return work->fit.several_patients ? work->fit.unfit : flow_why_withdrawn(old, work->objects, work->count);
}

// Where the topic is looked at again, the answer to it counts; where it is not, any.
static bool is_answered(const struct flow_work *work, const char *topic)
{
    bool asked = has_topic(work, topic), answered = false;
    for (size_t i = 0; i < work->analysis_count; i++) {
        const struct finding_result *row = &work->analyses[i].row;
        answered = answered || (finding_is_answer(row->outcome) && (!asked || strcmp(row->topic, topic) == 0));
    }
    return answered;
}

// A look without an answer takes no positive back.
static bool stands_still(const struct flow_work *work, const struct finding_result *old)
{
    return !is_answered(work, old->topic) && old->outcome == FINDING_POSITIVE && !why_withdrawn(work, old);
}

// The positive of the topic that does; NULL: none.
static const struct finding_result *find_standing(const struct flow_work *work, const char *topic,
                                                  const struct finding_result *present, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(present[i].topic, topic) == 0 && strcmp(present[i].job, work->key) != 0 &&
            stands_still(work, &present[i]))
            return &present[i];
    return NULL;
}

// Will the old result be superseded or withdrawn by the end of this job, and nothing new be said of its topic?
static bool is_taken_back(const struct ending *ending, const struct finding_result *old)
{
    const struct flow_work *work = ending->work;
    if (strcmp(old->job, work->key) == 0)
        return false;
    return why_withdrawn(work, old) || (!has_topic(work, old->topic) && !stands_still(work, old));
}

static bool plan_taking_back(struct ending *ending, struct finding_result *old, struct archive_writer *writer,
                             struct error *err)
{
    struct flow_work *work = ending->work;
    struct flow_telling *telling = &ending->tellings[ending->telling_count++];
    struct finding_context context = {.result = old,
                                      .model_title = model_package_title(work->package),
                                      .predecessor = "",
                                      .seg = "",
                                      .time_ns = work->content_ns};
    const char *why = why_withdrawn(work, old);
    old->standing = why ? FINDING_WITHDRAWN : FINDING_REPLACED;
    old->reason = why ? why : old->reason;
    return flow_telling_plan(work->flow, old, "", "", NULL, &work->arena, telling, err) &&
           flow_telling_reject(work->flow, telling, &context, writer, &work->arena, err);
}

static bool plan_new(struct ending *ending, const struct flow_analysis *analysis, const struct finding_result *older,
                     struct archive_writer *writer, struct error *err)
{
    struct flow_work *work = ending->work;
    const struct finding_result *row = &analysis->row;
    struct flow_telling *telling = &ending->tellings[ending->telling_count];
    struct finding_context context = {.result = row,
                                      .model_title = model_package_title(work->package),
                                      .predecessor = "",
                                      .seg = "",
                                      .time_ns = work->content_ns};
    if (!row->told)
        return true;
    ending->telling_count++;
    return flow_telling_plan(work->flow, row, row->sr_instance, row->seg_instance, older, &work->arena, telling, err) &&
           flow_telling_reject(work->flow, telling, &context, writer, &work->arena, err);
}

static bool read_present(struct flow_work *work, struct finding_result **out, size_t *count, struct error *err)
{
    struct database *db = store_read_begin(work->flow->options.store, err);
    bool ok = db && finding_result_current(db, work->job->study, work->job->series, model_package_name(work->package),
                                           &work->arena, out, count, err);
    store_read_end(work->flow->options.store, db);
    return ok;
}

// What is taken back of topics of which something new is said, or of the others: of what is told in one transaction of
// one topic, only the last is sent.
static bool plan_present(struct ending *ending, struct finding_result *present, size_t count, bool of_new_topics,
                         struct archive_writer *writer, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (has_topic(ending->work, present[i].topic) == of_new_topics && is_taken_back(ending, &present[i]) &&
            !plan_taking_back(ending, &present[i], writer, err))
            return false;
    return true;
}

// What is taken back is told before what is new.
static bool plan(struct ending *ending, struct archive_writer *writer, struct error *err)
{
    struct flow_work *work = ending->work;
    struct finding_result *present;
    size_t count = 0;
    if (!read_present(work, &present, &count, err))
        return false;
    ending->tellings = arena_calloc(&work->arena, work->analysis_count + count, sizeof *ending->tellings);
    if (!ending->tellings)
        return error_set(err, ERROR_LIMIT, "no memory for %zu results", count);
    if (!plan_present(ending, present, count, false, writer, err))
        return false;
    for (size_t i = 0; i < work->analysis_count; i++) {
        const struct flow_analysis *analysis = &work->analyses[i];
        const struct finding_result *older = find_standing(work, analysis->row.topic, present, count);
        if (!plan_new(ending, analysis, older, writer, err))
            return false;
    }
    return plan_present(ending, present, count, true, writer, err);
}

// ---- the end of the job

static bool write_rows_of(struct ending *ending, bool answers, struct database *db, struct error *err)
{
    struct flow_work *work = ending->work;
    for (size_t i = 0; i < work->analysis_count; i++) {
        const struct flow_analysis *analysis = &work->analyses[i];
        bool added;
        if (finding_is_answer(analysis->row.outcome) != answers)
            continue;
        if (!finding_result_add(db, &analysis->row, analysis->findings,
                                analysis->row.outcome == FINDING_POSITIVE ? analysis->made.count : 0, &added, err))
            return false;
        int64_t missing = analysis->volume ? analysis->volume->missing_images : 0;
        if (!analysis->row.told && added &&
            !flow_hold_add(db, analysis->row.id, analysis->row.study,
                           missing > 0 ? ending->now_ns + FLOW_ANNOUNCED_NS : 0, err))
            return false;
    }
    return true;
}

// What had no answer first: the answers of the others leave its positives standing.
static bool write_rows(struct ending *ending, struct database *db, struct error *err)
{
    return write_rows_of(ending, false, db, err) && write_rows_of(ending, true, db, err);
}

static bool write_ending(struct database *db, void *payload, struct error *err)
{
    struct ending *ending = payload;
    struct flow_work *work = ending->work;
    int64_t version;
    // Were a newer version's job done before this one, its results would be superseded by older ones.
    if (!flow_series_version(db, work->job->study, work->job->series, &version, err))
        return false;
    if (version != work->version)
        return error_set(err, ERROR_BUSY, "the series got a new version while the job ended");
    for (size_t i = 0; i < ending->telling_count; i++) {
        const struct finding_result *result = ending->tellings[i].result;
        if (result->standing == FINDING_WITHDRAWN &&
            !finding_result_withdraw(db, result->id, result->reason, ending->now_ns, err))
            return false;
    }
    if (!write_rows(ending, db, err))
        return false;
    for (size_t i = 0; i < ending->telling_count; i++)
        if (!flow_tell(work->flow, db, &ending->tellings[i], ending->now_ns, &work->arena, err))
            return false;
    return queue_job_finish(db, &ending->done, work->job->token, ending->now_ns, err);
}

static json_t *times_of(const struct flow_work *work)
{
    int64_t spent_ns[5] = {0};
    for (size_t i = 0; i < work->analysis_count; i++) {
        const struct model_times *t = &work->analyses[i].made.times;
        spent_ns[0] += t->start_ns;
        spent_ns[1] += t->input_ns;
        spent_ns[2] += t->before_ns;
        spent_ns[3] += t->graph_ns;
        spent_ns[4] += t->after_ns;
    }
    int64_t model_ns = spent_ns[0] + spent_ns[1] + spent_ns[2] + spent_ns[3] + spent_ns[4];
    int64_t read_ns = work->read_ns ? work->read_ns : work->claimed_ns;
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "read", (double)(read_ns - work->claimed_ns) / 1e6, "start",
                     (double)spent_ns[0] / 1e6, "input", (double)spent_ns[1] / 1e6, "before", (double)spent_ns[2] / 1e6,
                     "graph", (double)spent_ns[3] / 1e6, "after", (double)spent_ns[4] / 1e6, "store",
                     (double)(work->stored_ns - read_ns - model_ns) / 1e6);
}

static char *result_of(struct flow_work *work)
{
    json_t *results = json_array(), *findings = json_array();
    const struct finding_result *first = &work->analyses[0].row;
    for (size_t i = 0; i < work->analysis_count; i++) {
        const struct flow_analysis *analysis = &work->analyses[i];
        json_array_append_new(results, json_string(analysis->row.id));
        for (size_t k = 0; analysis->row.outcome == FINDING_POSITIVE && k < analysis->made.count; k++)
            json_array_append_new(findings, json_string(analysis->findings[k].id));
    }
    json_t *result = json_pack("{s:o, s:o, s:s, s:s, s:o}", "results", results, "findings", findings, "seg",
                               first->seg_instance, "sr", first->sr_instance, "times_ms", times_of(work));
    char *text = result ? json_dumps(result, JSON_COMPACT) : NULL;
    char *copy = text ? arena_strdup(&work->arena, text) : NULL;
    free(text);
    json_decref(result);
    return copy;
}

// Of all volumes: one that is positive makes the job positive, one that was not analysed keeps it from being negative.
static void conclude(struct ending *ending)
{
    static const int ranks[] = {[FINDING_POSITIVE] = 3, [FINDING_FAILED] = 2, [FINDING_NOT_ANALYSED] = 1};
    const struct flow_work *work = ending->work;
    const struct finding_result *worst = &work->analyses[0].row;
    const char *cause = work->analyses[0].cause;
    bool answered = false;
    for (size_t i = 0; i < work->analysis_count; i++) {
        const struct finding_result *row = &work->analyses[i].row;
        answered = answered || finding_is_answer(row->outcome);
        if (ranks[row->outcome] > ranks[worst->outcome]) {
            worst = row;
            cause = work->analyses[i].cause;
        }
    }
    bool is_own = strcmp(work->key, work->job->key) == 0; // else it has told what became of another one
    ending->done = *work->job;
    ending->done.state = answered || !is_own                ? QUEUE_JOB_DONE
                         : worst->outcome == FINDING_FAILED ? QUEUE_JOB_FAILED
                                                            : QUEUE_JOB_SKIPPED;
    ending->done.outcome = worst->outcome == FINDING_FAILED ? finding_outcome_text(FINDING_NOT_ANALYSED)
                                                            : finding_outcome_text(worst->outcome);
    ending->done.reason = worst->reason;
    ending->done.cause = cause;
    ending->done.result = result_of(ending->work);
}

// A row says when it was said, which is never before what its objects say, whatever the clock does.
static void date_rows(struct flow_work *work, int64_t now_ns)
{
    now_ns = now_ns > work->content_ns ? now_ns : work->content_ns;
    for (size_t i = 0; i < work->analysis_count; i++) {
        struct flow_analysis *analysis = &work->analyses[i];
        analysis->row.made_ns = analysis->row.changed_ns = now_ns;
        for (size_t k = 0; analysis->row.outcome == FINDING_POSITIVE && k < analysis->made.count; k++)
            analysis->findings[k].made_ns = now_ns;
    }
}

static bool end_job(struct flow_work *work, struct archive_writer *writer, struct error *err)
{
    struct ending ending = {.work = work, .now_ns = clock_now_ns()};
    date_rows(work, ending.now_ns);
    if (!plan(&ending, writer, err))
        return false;
    fault_point("job.after_store");
    work->stored_ns = clock_monotonic_ns();
    conclude(&ending);
    return (ending.done.result || error_set(err, ERROR_LIMIT, "no memory to end a job")) &&
           store_write(work->flow->options.store, STORE_DURABLE, write_ending, &ending, err);
}

bool flow_results_end(struct flow_work *work, struct error *err)
{
    struct archive_writer *writer = fix(work, err) ? archive_writer_open(work->flow->options.archive, err) : NULL;
    if (!writer)
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < work->analysis_count; i++)
        ok = store_objects(work, &work->analyses[i], writer, err);
    ok = ok && end_job(work, writer, err);
    archive_writer_close(writer);
    return ok;
}

bool flow_results_keep(struct flow_work *work, struct error *err)
{
    struct archive_object *objects;
    size_t count;
    return flow_input_look(work, &objects, &count, err) && flow_results_end(work, err);
}
