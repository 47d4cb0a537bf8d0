// The worker: a leased job becomes a volume, a run in the sandbox, objects in the archive, findings, and deliveries.
//
// Everything it makes follows from the job's key, so a second try after a crash stores equal objects (which are the
// same), adds findings that are there, and deliveries that are there: one result.
#include "flow/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "finding/finding.h"
#include "image/image.h"

#define RETRY_NS (INT64_C(5) * CLOCK_SECOND)
#define IDLE_NS (INT64_C(1) * CLOCK_SECOND)

enum { HEADER_VALUE_MAX = 64 << 10, OBJECT_MAX = 512 << 20, MESSAGE_MAX = 1 << 20 };
#define VOLUME_BYTES_MAX (UINT64_C(2) << 30)

// One job being done. All memory is in `arena` but what says so.
struct work {
    struct flow *flow;
    struct queue_job *job;
    struct model_package *package;
    json_t *input;               // owned: what is asked for now, see flow_match_series
    const char *digest;          // of the package the job was made for
    struct queue_job *successor; // of a job whose package was replaced
    struct arena arena;
    struct archive_object *objects;
    const struct dicom_dataset **headers; // by object
    struct image_slice *slices;           // sorted once the geometry is known
    size_t count;
    struct image_geometry geometry;
    struct model_result result; // labels_fd owned
    struct finding_result said; // what becomes of `result`
    struct finding *findings;
    char topic[FINDING_TOPIC_SIZE], digest_of_inputs[65];
    char seg[DICOM_UID_SIZE], sr[DICOM_UID_SIZE];
    int64_t version;                        // of the series, as of the last look at its objects
    int64_t newest_ns;                      // receipt of the newest input
    int64_t claimed_ns, read_ns, stored_ns; // monotonic: when each stage had ended
};

// ---- input

static bool read_headers(struct work *work, struct error *err)
{
    struct archive *archive = work->flow->options.archive;
    work->headers = arena_calloc(&work->arena, work->count, sizeof *work->headers);
    work->slices = arena_calloc(&work->arena, work->count, sizeof *work->slices);
    if (!work->headers || !work->slices)
        return error_set(err, ERROR_LIMIT, "a series of %zu objects does not fit into memory", work->count);
    for (size_t i = 0; i < work->count; i++) {
        if (!archive_dataset(archive, &work->objects[i], HEADER_VALUE_MAX, &work->arena, &work->headers[i], err) ||
            !image_slice_read(work->headers[i], &work->slices[i], err))
            return false;
        work->slices[i].index = i;
        if (work->objects[i].received_ns > work->newest_ns)
            work->newest_ns = work->objects[i].received_ns;
    }
    if (!image_geometry_of(work->slices, work->count, &work->geometry, err))
        return false;
    return *work->slices[0].frame_of_reference ||
           error_set(err, ERROR_BAD_VALUE,
                     "the slices have no Frame of Reference UID (0020,0052): a segmentation would have no place");
}

// Of the first object; "" when it has none.
static const char *header_text(struct work *work, dicom_tag tag)
{
    const char *text = dicom_text(work->headers[0], tag, &work->arena);
    return text ? text : "";
}

// Of the part of the body that the model is for, said in one way or the other.
static bool is_part_for(struct work *work, const struct model_needs *needs, struct error *err)
{
    const char *part = header_text(work, 0x00180015), *series = header_text(work, 0x0008103E),
               *study = header_text(work, 0x00081030);
    const char *description = arena_printf(&work->arena, "%s %s", series, study);
    if (!description)
        return error_set(err, ERROR_LIMIT, "no memory for a description");
    bool holds = needs->body_part_count + needs->word_count == 0;
    for (size_t i = 0; i < needs->body_part_count && !holds; i++)
        holds = flow_is_part(part, description, needs->body_parts[i]);
    for (size_t i = 0; i < needs->word_count && !holds; i++)
        holds = flow_says(description, needs->words[i]);
    return holds ||
           error_set(err, ERROR_BAD_VALUE,
                     "body part '%.40s', series '%.60s', study '%.60s': the model is for another part of the body",
                     part, series, study);
}

static bool suits(struct work *work, struct error *err)
{
    const struct model_needs *needs = model_package_needs(work->package);
    const struct dicom_dataset *first = work->headers[0];
    char modality[17], agent[65];
    dicom_text_copy(first, 0x00080060, modality, sizeof modality);
    if (*needs->modality && strcmp(needs->modality, modality) != 0)
        return error_set(err, ERROR_BAD_VALUE, "the series is %s, the model needs %s", modality, needs->modality);
    if (needs->contrast_refused && dicom_text_copy(first, 0x00180010, agent, sizeof agent) && *agent)
        return error_set(err, ERROR_BAD_VALUE, "contrast agent '%.40s' was given; the model needs a scan without",
                         agent);
    if (work->count < needs->slices_min || (needs->slices_max > 0 && work->count > needs->slices_max))
        return error_set(err, ERROR_BAD_VALUE, "%zu slices; the model needs %u to %u", work->count, needs->slices_min,
                         needs->slices_max);
    if (needs->spacing_max_mm > 0 && work->geometry.spacing_mm[0] > needs->spacing_max_mm)
        return error_set(err, ERROR_BAD_VALUE, "slices every %.2f mm; the model needs at most %.2f mm",
                         work->geometry.spacing_mm[0], needs->spacing_max_mm);
    return is_part_for(work, needs, err);
}

static bool read_pixels(struct work *work, size_t index, uint8_t *out, size_t capacity, struct error *err)
{
    const struct archive_object *object = &work->objects[index];
    enum image_color color;
    return archive_frame(work->flow->options.archive, object, work->headers[index], work->flow->options.decoder, 0, out,
                         capacity, &color, err) ||
           error_prefix(err, "slice %s in transfer syntax %s", object->sop_instance, object->transfer_syntax);
}

// All slices as HU, slice by slice into a memfd that the child will get.
static int make_volume(struct work *work, struct error *err)
{
    size_t area = work->geometry.rows * work->geometry.columns;
    size_t slice_bytes = area * work->slices[0].bits_allocated / 8;
    uint64_t total = (uint64_t)work->geometry.slices * area * sizeof(int16_t);
    if (total > VOLUME_BYTES_MAX) {
        error_set(err, ERROR_LIMIT, "the volume has %llu bytes, more than models get", (unsigned long long)total);
        return -1;
    }
    int fd = process_memfd_open("volume", (size_t)total, err);
    uint8_t *stored = malloc(slice_bytes);
    int16_t *hu = malloc(area * sizeof *hu);
    bool ok = fd >= 0 && ((stored && hu) || error_set(err, ERROR_MEMORY, "no memory for a slice"));
    for (size_t k = 0; ok && k < work->geometry.slices; k++) {
        ok = read_pixels(work, work->slices[k].index, stored, slice_bytes, err);
        if (ok) {
            image_slice_to_hu(&work->slices[k], stored, hu);
            ok = file_pwrite(fd, hu, area * sizeof *hu, (uint64_t)k * area * sizeof *hu, err);
        }
    }
    free(stored);
    free(hu);
    if (ok && process_memfd_seal(fd, err))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

// ---- output

static struct finding_code code_of(const struct model_code *code)
{
    return (struct finding_code){code->value, code->scheme, code->meaning};
}

static struct finding_context context_of(struct work *work)
{
    const char **instances = arena_calloc(&work->arena, work->count, sizeof *instances);
    double(*positions)[3] = arena_calloc(&work->arena, work->count, sizeof *positions);
    for (size_t k = 0; instances && positions && k < work->count; k++) {
        instances[k] = work->objects[work->slices[k].index].sop_instance;
        memcpy(positions[k], work->slices[k].position_mm, sizeof positions[k]);
    }
    return (struct finding_context){.source = work->headers[work->slices[0].index],
                                    .geometry = &work->geometry,
                                    .slice_instances = instances,
                                    .slice_positions_mm = (const double(*)[3])positions,
                                    .slice_class = work->objects[0].sop_class,
                                    .result = &work->said,
                                    .model_title = model_package_title(work->package),
                                    .predecessor = "",
                                    .seg = work->said.seg_instance,
                                    .time_ns = work->newest_ns};
}

// The one result of the job, told at once.
static bool make_result(struct work *work, struct error *err)
{
    const struct finding_result said = {.id = work->job->key,
                                        .topic = work->topic,
                                        .job = work->job->key,
                                        .study = work->job->study,
                                        .series = work->job->series,
                                        .volume = "",
                                        .patient_id = header_text(work, 0x00100020),
                                        .issuer = header_text(work, 0x00100021),
                                        .modality = header_text(work, 0x00080060),
                                        .model = model_package_name(work->package),
                                        .model_version = model_package_version(work->package),
                                        .model_digest = model_package_digest(work->package),
                                        .label_text = model_package_label(work->package),
                                        .concept = code_of(model_package_concept(work->package)),
                                        .outcome = work->result.count > 0 ? FINDING_POSITIVE : FINDING_NEGATIVE,
                                        .reason = "",
                                        .notes = "",
                                        .objects = (int64_t)work->count,
                                        .voxels = (int64_t)image_voxels(&work->geometry),
                                        .digest = work->digest_of_inputs,
                                        .send_to = "[]",
                                        .hl7_to = "[]",
                                        .told = true,
                                        .sr_instance = work->sr,
                                        .seg_instance = work->result.count > 0 ? work->seg : "",
                                        .made_ns = work->newest_ns,
                                        .changed_ns = work->newest_ns};
    finding_topic(work->topic, work->job->series, "", said.model);
    finding_seg_uid(work->seg, work->job->key, 0);
    finding_sr_uid(work->sr, work->job->key, 0);
    work->said = said;
    return flow_job_key(work->digest_of_inputs, "", work->objects, work->count, err);
}

static bool make_findings(struct work *work, struct error *err)
{
    work->findings = arena_calloc(&work->arena, work->result.count, sizeof *work->findings);
    if (!work->findings)
        return error_set(err, ERROR_LIMIT, "no memory for findings");
    for (size_t i = 0; i < work->result.count; i++) {
        const struct model_finding *from = &work->result.findings[i];
        struct finding *to = &work->findings[i];
        *to = (struct finding){.id = arena_printf(&work->arena, "%.32s-%zu", work->job->key, i + 1),
                               .result = work->said.id,
                               .job = work->job->key,
                               .study = work->job->study,
                               .series = work->job->series,
                               .model = model_package_name(work->package),
                               .model_version = model_package_version(work->package),
                               .model_digest = model_package_digest(work->package),
                               .label_text = model_package_label(work->package),
                               .concept = code_of(model_package_concept(work->package)),
                               .site = code_of(model_package_site(work->package)),
                               .side = from->side,
                               .volume_ml = from->volume_ml,
                               .score = from->score,
                               .segment = (int64_t)i + 1,
                               .seg_instance = work->seg,
                               .sr_instance = work->sr,
                               .judged_by = "",
                               .comment = "",
                               .made_ns = work->newest_ns};
        memcpy(to->centroid_mm, from->centroid_mm, sizeof to->centroid_mm);
        memcpy(to->low_mm, from->low_mm, sizeof to->low_mm);
        memcpy(to->high_mm, from->high_mm, sizeof to->high_mm);
        if (!to->id || !finding_urgency_parse(from->urgency, &to->urgency))
            return error_set(err, ERROR_BAD_DATA, "the model gave urgency '%.8s'", from->urgency);
    }
    return true;
}

static bool store_object(struct work *work, struct archive_writer *writer, const struct buffer *data, struct error *err)
{
    struct source_memory memory = {data->data, data->size};
    struct archive_stored stored;
    struct archive_origin origin = {
        .how = "job", .called = "", .calling = "HILUM", .address = "", .issuer = work->objects[0].issuer};
    return buffer_check(data, "an object of the results", err) &&
           archive_put(writer, source_from_memory(&memory), DICOM_TS_EXPLICIT, &origin, work->newest_ns, &stored, err);
}

static uint16_t *read_labels(const struct work *work, struct error *err)
{
    size_t bytes = image_voxels(&work->geometry) * sizeof(uint16_t);
    uint16_t *labels = malloc(bytes);
    if (!labels) {
        error_set(err, ERROR_MEMORY, "no memory for a label map");
        return NULL;
    }
    if (file_pread(work->result.labels_fd, labels, bytes, 0, err))
        return labels;
    free(labels);
    return NULL;
}

static bool store_seg(struct work *work, const struct finding_context *context, struct archive_writer *writer,
                      struct error *err)
{
    struct buffer data;
    uint16_t *labels = read_labels(work, err);
    buffer_init(&data, OBJECT_MAX);
    bool ok = labels && finding_to_seg(context, work->findings, work->result.count, labels, &data, err) &&
              store_object(work, writer, &data, err);
    free(labels);
    buffer_free(&data);
    return ok;
}

static bool store_results(struct work *work, struct error *err)
{
    struct finding_context context = context_of(work);
    struct buffer data;
    struct archive_writer *writer = context.slice_instances && context.slice_positions_mm
                                        ? archive_writer_open(work->flow->options.archive, err)
                                        : NULL;
    if (!writer)
        return false;
    buffer_init(&data, OBJECT_MAX);
    bool ok = work->result.count == 0 || store_seg(work, &context, writer, err);
    ok = ok && finding_to_sr(&context, work->findings, work->result.count, &data, err) &&
         store_object(work, writer, &data, err);
    buffer_free(&data);
    archive_writer_close(writer);
    return ok;
}

// ---- deliveries

static const char *row_field(const struct archive_row *row, dicom_tag tag)
{
    for (size_t i = 0; i < row->count; i++)
        if (row->fields[i].tag == tag)
            return row->fields[i].text;
    return "";
}

static bool study_of(struct work *work, struct finding_study *out, struct error *err)
{
    struct archive_query query = {
        .level = ARCHIVE_STUDY, .study = work->job->study, .patient = work->objects[0].patient, .limit = 1};
    struct archive_row *row;
    size_t count = 0;
    bool more;
    if (!archive_find(work->flow->options.archive, &query, &work->arena, &row, &count, &more, err))
        return false;
    if (count == 0)
        return error_set(err, ERROR_NOT_FOUND, "study %s is gone", work->job->study);
    *out = (struct finding_study){.study = work->job->study,
                                  .patient_id = row_field(row, 0x00100020),
                                  .issuer = row_field(row, 0x00100021),
                                  .patient_name = row_field(row, 0x00100010),
                                  .birth_date = row_field(row, 0x00100030),
                                  .sex = row_field(row, 0x00100040),
                                  .accession = row_field(row, 0x00080050),
                                  .description = row_field(row, 0x00081030),
                                  .study_date = row_field(row, 0x00080020),
                                  .study_time = row_field(row, 0x00080030),
                                  .referring = row_field(row, 0x00080090),
                                  .modality = dicom_text(work->headers[0], 0x00080060, &work->arena)};
    return true;
}

// What goes into the transaction that ends the job.
struct ending {
    struct work *work;
    struct queue_job done;
    struct queue_delivery deliveries[4 * FIELD_NAMES_MAX];
    size_t delivery_count;
    int64_t now_ns;
};

static bool add_dicom(struct ending *ending, const char *target, const char *instance, struct error *err)
{
    struct arena *arena = &ending->work->arena;
    struct queue_delivery *delivery = &ending->deliveries[ending->delivery_count++];
    *delivery = (struct queue_delivery){.key = arena_printf(arena, "%s %s", target, instance),
                                        .target = target,
                                        .kind = "dicom",
                                        .subject = instance,
                                        .payload = ""};
    return delivery->key || error_set(err, ERROR_LIMIT, "no memory for a delivery");
}

static bool add_hl7(struct ending *ending, const struct flow_hl7_target *target, const struct finding_study *study,
                    struct error *err)
{
    struct work *work = ending->work;
    struct buffer message;
    char control[21];
    struct queue_delivery *delivery = &ending->deliveries[ending->delivery_count++];
    finding_oru_control(control, &work->said);
    buffer_init(&message, MESSAGE_MAX);
    bool ok = finding_to_oru(
                  study, &work->said, work->findings, work->result.count, NULL,
                  &(struct finding_receiver){target->application, target->facility, target->unsigned_status, false},
                  work->newest_ns, &message, err) &&
              buffer_check(&message, "the HL7 message", err);
    *delivery = (struct queue_delivery){
        .key = arena_printf(&work->arena, "%s %s", target->name, work->job->key),
        .target = target->name,
        .kind = "hl7",
        .subject = arena_strdup(&work->arena, control),
        .payload = ok ? arena_strndup(&work->arena, (const char *)message.data, message.size) : NULL};
    buffer_free(&message);
    return ok && ((delivery->key && delivery->subject && delivery->payload) ||
                  error_set(err, ERROR_LIMIT, "no memory for a delivery"));
}

static bool plan_hl7(struct ending *ending, const char *name, const struct flow_hl7_target *targets, size_t count,
                     const struct finding_study *study, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(targets[i].name, name) == 0)
            return add_hl7(ending, &targets[i], study, err);
    log_warning("flow",
                "job %.16s: there is no HL7 target '%s', so no report was made for it; enter it or change the rule",
                ending->work->job->key, name);
    return true;
}

static bool plan_deliveries(struct ending *ending, struct error *err)
{
    struct work *work = ending->work;
    struct flow_hl7_target *targets;
    struct finding_study study;
    size_t i, target_count = 0;
    json_t *name;
    if (!study_of(work, &study, err) ||
        !flow_hl7_target_list(work->flow->options.store, &work->arena, &targets, &target_count, err))
        return false;
    json_array_foreach(json_object_get(work->input, "send_to"), i, name)
    {
        if ((work->result.count > 0 && !add_dicom(ending, json_string_value(name), work->seg, err)) ||
            !add_dicom(ending, json_string_value(name), work->sr, err))
            return false;
    }
    json_array_foreach(json_object_get(work->input, "hl7_to"), i, name)
    {
        if (!plan_hl7(ending, json_string_value(name), targets, target_count, &study, err))
            return false;
    }
    return true;
}

static bool read_version(struct database *db, const struct queue_job *job, int64_t *out, struct error *err)
{
    bool found;
    *out = 0;
    return sql_get_int(db, err, out, &found, "SELECT version FROM flow_series WHERE study=?1 AND series=?2", "tt",
                       job->study, job->series);
}

static bool write_ending(struct database *db, void *payload, struct error *err)
{
    struct ending *ending = payload;
    struct work *work = ending->work;
    int64_t version;
    bool added;
    // Were a newer version's job done before this one, its findings would be superseded by older ones.
    if (!read_version(db, work->job, &version, err))
        return false;
    if (version != work->version)
        return error_set(err, ERROR_BUSY, "the series got a new version while the job ended");
    if (!finding_result_add(db, &work->said, work->findings, work->result.count, &added, err))
        return false;
    for (size_t i = 0; i < ending->delivery_count; i++)
        if (!queue_delivery_add(db, &ending->deliveries[i], ending->now_ns, &added, err))
            return false;
    return queue_job_finish(db, &ending->done, work->job->token, ending->now_ns, err);
}

static json_t *times_of(const struct work *work)
{
    const struct model_times *t = &work->result.times;
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "read", (double)(work->read_ns - work->claimed_ns) / 1e6,
                     "start", (double)t->start_ns / 1e6, "input", (double)t->input_ns / 1e6, "before",
                     (double)t->before_ns / 1e6, "graph", (double)t->graph_ns / 1e6, "after", (double)t->after_ns / 1e6,
                     "store",
                     (double)(work->stored_ns - work->read_ns - t->start_ns - t->input_ns - t->before_ns - t->graph_ns -
                              t->after_ns) /
                         1e6);
}

static char *result_of(struct work *work)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < work->result.count; i++)
        json_array_append_new(findings, json_string(work->findings[i].id));
    json_t *result = json_pack("{s:o, s:s, s:s, s:o}", "findings", findings, "seg",
                               work->result.count > 0 ? work->seg : "", "sr", work->sr, "times_ms", times_of(work));
    char *text = result ? json_dumps(result, JSON_COMPACT) : NULL;
    char *copy = text ? arena_strdup(&work->arena, text) : NULL;
    free(text);
    json_decref(result);
    return copy;
}

static bool finish_done(struct work *work, struct error *err)
{
    struct ending *ending = arena_alloc(&work->arena, sizeof *ending);
    if (!ending)
        return error_set(err, ERROR_LIMIT, "no memory to end a job");
    ending->work = work;
    ending->now_ns = clock_now_ns();
    if (!plan_deliveries(ending, err))
        return false;
    ending->done = *work->job;
    ending->done.state = QUEUE_JOB_DONE;
    ending->done.outcome = work->result.count > 0 ? "positive" : "negative";
    ending->done.reason = "";
    ending->done.result = result_of(work);
    return store_write(work->flow->options.store, STORE_DURABLE, write_ending, ending, err);
}

struct verdict {
    struct queue_job job;
    const struct queue_job *successor; // to be added with it; NULL: none
    int64_t token;
    int64_t now_ns;
};

static bool write_verdict(struct database *db, void *payload, struct error *err)
{
    struct verdict *verdict = payload;
    bool added;
    return (!verdict->successor || queue_job_add(db, verdict->successor, verdict->now_ns, &added, err)) &&
           queue_job_finish(db, &verdict->job, verdict->token, verdict->now_ns, err);
}

static void finish_otherwise(struct work *work, enum queue_job_state state, const char *outcome,
                             const struct error *reason)
{
    struct error err;
    struct verdict verdict = {
        .job = *work->job, .successor = work->successor, .token = work->job->token, .now_ns = clock_now_ns()};
    verdict.job.state = state;
    verdict.job.outcome = outcome;
    verdict.job.reason = reason->message;
    verdict.job.result = "";
    verdict.job.retry_ns = verdict.now_ns + RETRY_NS;
    log_warning("flow", "job %.16s on series %s: %s: %s", work->job->key, work->job->series,
                queue_job_state_text(state), reason->message);
    if (!store_write(work->flow->options.store, STORE_DURABLE, write_verdict, &verdict, &err))
        log_error("flow", "job %.16s cannot be ended: %s", work->job->key, err.message);
}

// ---- one job

// The series' objects now, and its version before the look at them. A late slice gives it another content, which gets a
// job of its own: this one's input is no more then.
static bool look_at_series(struct work *work, struct archive_object **objects, size_t *count, struct error *err)
{
    char key[65];
    const struct flow_options *options = &work->flow->options;
    struct database *db = store_read_begin(options->store, err);
    bool ok = db && read_version(db, work->job, &work->version, err);
    store_read_end(options->store, db);
    if (!ok ||
        !archive_objects(options->archive, work->job->study, work->job->series, NULL, &work->arena, objects, count,
                         err) ||
        !flow_job_key(key, work->digest, *objects, *count, err))
        return false;
    return strcmp(key, work->job->key) == 0 ||
           error_set(err, ERROR_CONFLICT, "the series has changed since; a newer job takes it");
}

// Why the job's rule does not ask for it any more.
static bool explain_rule(struct work *work, const char *name, struct error *err)
{
    struct flow_rule *rules;
    size_t count = 0;
    if (!flow_rule_list(work->flow->options.store, &work->arena, &rules, &count, err))
        return false;
    const struct flow_rule *rule = NULL;
    for (size_t i = 0; i < count && !rule; i++)
        rule = strcmp(rules[i].name, name) == 0 ? &rules[i] : NULL;
    return error_set(err, ERROR_NOT_FOUND, "rule '%s' %s, and no other asks %s of this series", name,
                     !rule            ? "was removed while the job waited"
                     : !rule->enabled ? "was disabled while the job waited"
                                      : "does not hold for the series any more",
                     work->job->model);
}

static bool note_successor(struct work *work, struct queue_job *successor, struct error *err)
{
    work->successor = successor;
    return error_set(err, ERROR_CONFLICT,
                     "model %s (%.12s) was replaced by %s (%.12s) while the job waited; a job of the new one takes the "
                     "series",
                     work->job->model, work->digest, successor->model, model_package_digest(work->package));
}

// Rules and packages may have changed since the job was made: those of now say whether it is done, by what, and for
// whom.
static bool ask_again(struct work *work, const json_t *made, struct error *err)
{
    const char *name = json_string_value(json_object_get(made, "package")),
               *rule = json_string_value(json_object_get(made, "rule")),
               *digest = json_string_value(json_object_get(made, "digest"));
    struct flow_match *matches, *match = NULL;
    size_t count;
    work->package = name ? flow_package(work->flow->options.packages, name) : NULL;
    if (!work->package)
        return error_set(err, ERROR_NOT_FOUND, "model %s is not installed any more", work->job->model);
    work->digest = digest ? arena_strdup(&work->arena, digest) : model_package_digest(work->package);
    if (!work->digest)
        return error_set(err, ERROR_LIMIT, "no memory for a job");
    if (!flow_match_series(work->flow, work->job->study, work->job->series, &work->arena, &matches, &count, err))
        return false;
    for (size_t i = 0; i < count && !match; i++)
        match = strcmp(matches[i].rule.model, name) == 0 ? &matches[i] : NULL;
    if (!match)
        return explain_rule(work, rule ? rule : "", err);
    work->input = json_loads(match->job.input, 0, NULL);
    return look_at_series(work, &work->objects, &work->count, err) &&
           (strcmp(work->digest, model_package_digest(work->package)) == 0 || note_successor(work, &match->job, err));
}

static bool prepare(struct work *work, struct error *err)
{
    json_t *made = json_loads(work->job->input, 0, NULL);
    bool ok = ask_again(work, made, err);
    json_decref(made);
    return ok && read_headers(work, err) && suits(work, err);
}

static bool compute(struct work *work, struct error *err)
{
    int volume = make_volume(work, err);
    if (volume < 0)
        return false;
    work->read_ns = clock_monotonic_ns();
    bool ok = model_run(work->flow->options.runner, work->package, &work->geometry, volume, &work->result, err);
    close(volume);
    return ok;
}

static bool keep(struct work *work, struct error *err)
{
    struct archive_object *objects;
    size_t count;
    if (!look_at_series(work, &objects, &count, err) || !make_result(work, err) || !make_findings(work, err) ||
        !store_results(work, err))
        return false;
    fault_point("job.after_store");
    work->stored_ns = clock_monotonic_ns();
    return finish_done(work, err);
}

// What will fail the same way next time is failed now; what hangs on disk, database or the runner's child is tried
// again.
static bool is_worth_a_retry(enum error_code code)
{
    return code == ERROR_FULL || code == ERROR_BUSY || code == ERROR_IO || code == ERROR_MEMORY;
}

// What becomes of a job that could not be done.
static void give_up(struct work *work, enum queue_job_state state, const char *outcome, const struct error *err)
{
    if (err->code == ERROR_CANCELLED) // the program ends: the job stays claimed, and the next start frees it
        log_info("flow", "job %.16s is broken off: %s", work->job->key, err->message);
    else
        finish_otherwise(work, is_worth_a_retry(err->code) ? QUEUE_JOB_QUEUED : state, outcome, err);
}

static void run_job(struct flow *flow, struct queue_job *job)
{
    struct work *work = calloc(1, sizeof *work);
    struct error err;
    if (!work)
        return; // the lease runs out and the job comes again
    work->flow = flow;
    work->job = job;
    work->result.labels_fd = -1;
    work->claimed_ns = clock_monotonic_ns();
    arena_init(&work->arena, FLOW_ARENA_MAX);
    if (!prepare(work, &err)) {
        give_up(work, QUEUE_JOB_SKIPPED, "not analysed", &err);
    } else if (!compute(work, &err)) {
        give_up(work, QUEUE_JOB_FAILED, "not analysed", &err);
    } else if (*work->result.not_analysed) {
        error_set(&err, ERROR_BAD_VALUE, "%s", work->result.not_analysed);
        finish_otherwise(work, QUEUE_JOB_SKIPPED, "not analysed", &err);
    } else if (!keep(work, &err)) {
        give_up(work, err.code == ERROR_CONFLICT ? QUEUE_JOB_SKIPPED : QUEUE_JOB_FAILED, "", &err);
    } else {
        log_info("flow", "job %.16s on series %s done: %zu findings", job->key, job->series, work->result.count);
    }
    if (work->result.labels_fd >= 0)
        close(work->result.labels_fd);
    json_decref(work->input);
    arena_free(&work->arena);
    free(work);
}

// ---- the thread

struct claim {
    struct arena *arena;
    struct queue_job *job;
    int64_t now_ns;
};

static bool write_claim(struct database *db, void *payload, struct error *err)
{
    struct claim *claim = payload;
    return queue_job_claim(db, "model", claim->now_ns, FLOW_LEASE_NS, claim->arena, &claim->job, err);
}

void *flow_worker(void *payload)
{
    struct flow *flow = payload;
    struct arena arena;
    arena_init(&arena, 16 << 20);
    while (!flow->stopping) {
        struct claim claim = {.arena = &arena, .now_ns = clock_now_ns()};
        struct error err;
        uint64_t seen = store_event_last(flow->options.store);
        arena_reset(&arena);
        if (!store_write(flow->options.store, STORE_REPLAYABLE, write_claim, &claim, &err)) {
            log_warning("flow", "no job can be claimed: %s", err.message);
            clock_sleep_ns(IDLE_NS);
        } else if (claim.job) {
            flow_lease_hold(flow, claim.job);
            run_job(flow, claim.job);
            flow_lease_drop(flow, claim.job);
        } else {
            store_event_wait(flow->options.store, seen, IDLE_NS);
        }
    }
    arena_free(&arena);
    return NULL;
}
