// What is told of a result after the job that made it: a negative that waited until its study was quiet, and what a
// reviewer has changed. And the message itself, made when it is sent.
//
// A report job's input is {"result", "revision", "sr"}: the SR that the new one takes the place of is fixed when the
// job is made, so that each try makes the same objects.
#include "flow/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

enum { OBJECT_MAX = 512 << 20, JOB_ARENA = 1 << 20 };

// ---- report jobs

// `what` is told, which makes one job of it. `gone`: its images are, or are another patient's, and it is withdrawn.
static bool add_report(struct database *db, const struct finding_result *result, const char *what,
                       const char *predecessor, bool gone, int64_t now_ns, struct error *err)
{
    char key[65];
    bool added;
    if (!what || !flow_inputs_digest(key, what, NULL, 0, err))
        return what ? false : error_set(err, ERROR_LIMIT, "no memory for a report");
    json_t *input = json_pack("{s:s, s:I, s:s, s:b}", "result", result->id, "revision", (json_int_t)result->revision,
                              "sr", predecessor, "gone", gone);
    char *body = input ? json_dumps(input, JSON_COMPACT) : NULL;
    struct queue_job job = {.key = key,
                            .kind = FLOW_JOB_REPORT,
                            .study = result->study,
                            .series = result->series,
                            .model = result->model,
                            .input = body};
    bool ok = body ? queue_job_add(db, &job, now_ns, &added, err) : error_set(err, ERROR_MEMORY, "no memory for a job");
    free(body);
    json_decref(input);
    return ok;
}

static bool add_telling(struct database *db, const struct finding_result *result, const char *predecessor,
                        int64_t now_ns, struct arena *arena, struct error *err)
{
    return add_report(db, result, arena_printf(arena, "report %s %lld", result->id, (long long)result->revision),
                      predecessor, false, now_ns, err);
}

// The document of the topic that its own takes the place of: what the job that made the result had fixed.
static bool predecessor_of(struct database *db, const struct finding_result *result, struct arena *arena,
                           const char **out, struct error *err)
{
    struct queue_job *job;
    *out = "";
    if (!queue_job_get(db, result->job, arena, &job, err))
        return false;
    json_t *fixed = job ? json_loads(job->fixed, 0, NULL) : NULL;
    const char *sr = json_string_value(json_object_get(fixed, result->topic));
    if (sr)
        *out = arena_strdup(arena, sr);
    json_decref(fixed);
    return *out || error_set(err, ERROR_LIMIT, "no memory for a report");
}

bool flow_report_held(struct flow *flow, struct database *db, const char *id, int64_t now_ns, struct error *err)
{
    struct finding_result *result;
    const char *predecessor;
    if (!finding_result_get(db, id, &flow->arena, &result, err))
        return false;
    if (!result || result->standing != FINDING_CURRENT || result->told || result->is_earlier)
        return true;
    return predecessor_of(db, result, &flow->arena, &predecessor, err) &&
           add_telling(db, result, predecessor, now_ns, &flow->arena, err);
}

bool flow_report_judged(struct flow *flow, struct database *db, const char *id, int64_t now_ns, struct error *err)
{
    struct finding *finding;
    struct finding_result *result = NULL;
    if (!finding_get(db, id, &flow->arena, &finding, err) ||
        (finding && !finding_result_get(db, finding->result, &flow->arena, &result, err)))
        return false;
    if (!result || result->standing != FINDING_CURRENT || result->revision == 0)
        return true;
    return add_telling(db, result, result->sr_instance, now_ns, &flow->arena, err);
}

bool flow_report_back(struct flow *flow, struct database *db, const struct finding_result *result, int64_t now_ns,
                      struct error *err)
{
    return result->outcome != FINDING_POSITIVE || !result->told || *result->sr_instance ||
           add_report(db, result, arena_printf(&flow->arena, "back %s %lld", result->id, (long long)result->revision),
                      "", false, now_ns, err);
}

// Once for each version of the series: a job that comes too late for one leaves it to the next one's.
bool flow_report_withdrawn(struct flow *flow, struct database *db, const struct finding_result *result, int64_t now_ns,
                           struct error *err)
{
    int64_t version;
    return flow_series_version(db, result->study, result->series, &version, err) &&
           add_report(db, result,
                      arena_printf(&flow->arena, "gone %s %lld %lld", result->id, (long long)result->revision,
                                   (long long)version),
                      "", true, now_ns, err);
}

// ---- doing one

struct report {
    struct flow_work *work;
    struct finding_result *result;
    struct finding *findings;
    size_t finding_count;
    const char *predecessor;
    bool gone;            // it is withdrawn: its images are, or are another patient's
    bool bare;            // its images are not there as they were: no document is made of them
    const char *sr, *seg; // that say and show it from now on
    struct flow_telling telling;
    int64_t now_ns;
};

static bool read_result(struct report *report, const char *id, int64_t revision, struct error *err)
{
    struct arena *arena = &report->work->arena;
    struct store *store = report->work->flow->options.store;
    struct database *db = store_read_begin(store, err);
    bool ok = db && finding_result_get(db, id, arena, &report->result, err) &&
              (!report->result || finding_list_of(db, id, arena, &report->findings, &report->finding_count, err));
    store_read_end(store, db);
    if (!ok)
        return false;
    const struct finding_result *result = report->result;
    if (!result || result->standing != FINDING_CURRENT || result->revision != revision)
        return error_set(err, ERROR_CONFLICT, "there is something newer to say");
    return true;
}

static bool read_input(struct report *report, struct error *err)
{
    struct arena *arena = &report->work->arena;
    json_t *input = json_loads(report->work->job->input, 0, NULL);
    const char *id = json_string_value(json_object_get(input, "result"));
    const char *sr = json_string_value(json_object_get(input, "sr"));
    int64_t revision = json_integer_value(json_object_get(input, "revision"));
    report->predecessor = arena_strdup(arena, sr ? sr : "");
    report->gone = json_is_true(json_object_get(input, "gone"));
    bool ok = id && report->predecessor ? read_result(report, id, revision, err)
                                        : error_set(err, ERROR_BAD_DATA, "the report job names no result");
    json_decref(input);
    return ok;
}

// The images that the result is about, as they were then.
static bool read_images(struct report *report, const struct model_volume **out, struct error *err)
{
    struct flow_work *work = report->work;
    const struct finding_result *result = report->result;
    work->digest = work->after = "";
    work->package = model_packages_find(work->flow->options.packages, result->model);
    text_copy(work->inputs_key, sizeof work->inputs_key, result->digest);
    if (!flow_input_look(work, &work->objects, &work->count, err) || !flow_input_read(work, err))
        return false;
    for (size_t i = 0; i < work->fit.volume_count; i++)
        if (strcmp(work->fit.volumes[i].label, result->volume) == 0) {
            *out = &work->fit.volumes[i];
            return true;
        }
    return error_set(err, ERROR_BAD_DATA, "series %s has no volume '%s' any more", result->series, result->volume);
}

static bool stands(const struct report *report)
{
    for (size_t i = 0; i < report->finding_count; i++)
        if (report->findings[i].state != FINDING_REJECTED)
            return true;
    return false;
}

// What was rejected as a whole is shown again under new UIDs: a PACS hides the ones that a note has rejected.
static bool store_seg_again(struct report *report, const struct finding_context *context, struct archive_writer *writer,
                            struct error *err)
{
    struct flow *flow = report->work->flow;
    struct archive_object *object;
    struct buffer seg, again;
    size_t count;
    if (!archive_objects(flow->options.archive, ACCESS_ALL, NULL, NULL, report->findings[0].seg_instance,
                         &report->work->arena, &object, &count, err))
        return false;
    buffer_init(&seg, OBJECT_MAX);
    buffer_init(&again, OBJECT_MAX);
    bool ok = store_read(flow->options.store, &object->place, &seg, err) &&
              finding_seg_again(context, &seg, &again, err) &&
              flow_store_object(flow, writer, &again, context->time_ns, err);
    buffer_free(&seg);
    buffer_free(&again);
    return ok;
}

static bool choose_seg(struct report *report, struct error *err)
{
    const struct finding_result *result = report->result;
    char uid[DICOM_UID_SIZE];
    report->seg = "";
    if (result->outcome != FINDING_POSITIVE || !stands(report))
        return true;
    finding_seg_uid(uid, result->id, result->revision);
    report->seg = *result->seg_instance ? result->seg_instance : arena_strdup(&report->work->arena, uid);
    return report->seg || error_set(err, ERROR_LIMIT, "no memory for a report");
}

static bool store_documents(struct report *report, struct finding_context *context, struct archive_writer *writer,
                            struct error *err)
{
    struct flow *flow = report->work->flow;
    const struct finding_result *result = report->result;
    char uid[DICOM_UID_SIZE];
    struct buffer data;
    finding_sr_uid(uid, result->id, result->revision);
    report->sr = arena_strdup(&report->work->arena, uid);
    if (!report->sr || !choose_seg(report, err))
        return report->sr ? false : error_set(err, ERROR_LIMIT, "no memory for a report");
    context->seg = report->seg;
    if (*report->seg && !*result->seg_instance && !store_seg_again(report, context, writer, err))
        return false;
    buffer_init(&data, OBJECT_MAX);
    bool ok = finding_to_sr(context, report->findings, report->finding_count, &data, err) &&
              flow_store_object(flow, writer, &data, context->time_ns, err);
    buffer_free(&data);
    return ok;
}

// The series' version is raised by whatever is stored or served of it.
static bool is_gone_still(const struct report *report, struct database *db, struct error *err)
{
    int64_t version;
    return flow_series_version(db, report->result->study, report->result->series, &version, err) &&
           (version == report->work->version ||
            error_set(err, ERROR_CONFLICT, "the series got a new version; a newer job takes it"));
}

static bool write_report(struct database *db, void *payload, struct error *err)
{
    struct report *report = payload;
    struct flow_work *work = report->work;
    struct queue_job done = *work->job;
    done.state = QUEUE_JOB_DONE;
    done.outcome = "";
    done.reason = "";
    done.cause = "";
    done.result = "{}";
    const struct finding_result *result = report->result;
    bool ok = report->gone
                  ? is_gone_still(report, db, err) &&
                        finding_result_withdraw(db, result->id, result->reason, report->now_ns, err)
                  : finding_result_tell(db, result->id, result->revision, report->sr, report->seg, report->now_ns, err);
    return ok && flow_tell(work->flow, db, &report->telling, report->now_ns, &work->arena, err) &&
           queue_job_finish(db, &done, work->job->token, report->now_ns, err);
}

static bool make(struct report *report, const struct model_volume *volume, struct archive_writer *writer,
                 struct error *err)
{
    struct flow_work *work = report->work;
    struct finding_context context;
    flow_context_of(work, volume, &context);
    context.result = report->result;
    context.time_ns = report->result->changed_ns > work->newest_ns ? report->result->changed_ns : work->newest_ns;
    if (!context.slice_instances || !context.slice_positions_mm)
        return error_set(err, ERROR_LIMIT, "no memory for %zu slices", volume->count);
    return flow_context_follow(work->flow, report->predecessor, &work->arena, &context, err) &&
           store_documents(report, &context, writer, err) &&
           flow_telling_plan(work->flow, report->result, report->sr, report->seg, NULL, &work->arena, &report->telling,
                             err) &&
           flow_telling_reject(work->flow, &report->telling, &context, writer, &work->arena, err);
}

// What speaks against it does so still.
static bool read_absence(struct report *report, struct error *err)
{
    struct flow_work *work = report->work;
    struct finding_result *result = report->result;
    struct archive_object *objects;
    size_t count;
    struct database *db = store_read_begin(work->flow->options.store, err);
    bool ok = db && flow_series_version(db, result->study, result->series, &work->version, err);
    store_read_end(work->flow->options.store, db);
    if (!ok || !flow_series_objects(work->flow, result->study, result->series, &work->arena, &objects, &count, err))
        return false;
    result->standing = FINDING_WITHDRAWN;
    result->reason = flow_why_withdrawn(result, objects, count);
    report->sr = report->seg = "";
    work->package = model_packages_find(work->flow->options.packages, result->model);
    return result->reason || error_set(err, ERROR_CONFLICT, "the series has the patient's images again");
}

// A reader has judged a positive that stands although its images are others now, or are not fit any more: what the PACS
// knows and is rejected is taken back all the same, and the record is told. A document that would cite images which are
// not there is not made, also of what is accepted again: it has its documents when the images are back.
static bool can_be_bare(struct report *report, const struct error *why)
{
    const struct finding_result *result = report->result;
    if (result->outcome != FINDING_POSITIVE || result->revision == 0 || flow_is_passing(why->code))
        return false;
    report->bare = true;
    report->sr = "";
    report->seg = stands(report) ? result->seg_instance : "";
    log_warning("flow", "result %.16s on series %s is told, revision %lld, without new documents: %s", result->id,
                result->series, (long long)result->revision, why->message);
    return true;
}

// Takes back, and makes nothing new.
static bool make_bare(struct report *report, struct archive_writer *writer, struct error *err)
{
    struct flow_work *work = report->work;
    struct finding_context context = {.result = report->result,
                                      .model_title = work->package ? model_package_title(work->package) : "",
                                      .predecessor = "",
                                      .seg = "",
                                      .time_ns = report->result->changed_ns};
    return flow_telling_plan(work->flow, report->result, report->sr, report->seg, NULL, &work->arena, &report->telling,
                             err) &&
           flow_telling_reject(work->flow, &report->telling, &context, writer, &work->arena, err);
}

static bool read(struct report *report, const struct model_volume **volume, struct error *err)
{
    if (!read_input(report, err))
        return false;
    if (report->gone)
        return read_absence(report, err);
    return read_images(report, volume, err) || can_be_bare(report, err);
}

bool flow_report_run(struct flow_work *work, struct error *err)
{
    struct report report = {.work = work, .now_ns = clock_now_ns()};
    const struct model_volume *volume = NULL;
    if (!read(&report, &volume, err))
        return false;
    struct archive_writer *writer = archive_writer_open(work->flow->options.archive, err);
    if (!writer)
        return false;
    bool ok = (volume ? make(&report, volume, writer, err) : make_bare(&report, writer, err)) &&
              store_write(work->flow->options.store, STORE_DURABLE, write_report, &report, err);
    archive_writer_close(writer);
    if (ok)
        log_info("flow", "result %.16s on series %s is told, revision %lld", report.result->id, report.result->series,
                 (long long)report.result->revision);
    return ok;
}

// ---- the message

static bool study_of(struct archive *archive, const struct finding_result *result, struct arena *arena,
                     struct finding_study *out, struct error *err)
{
    struct archive_query query = {
        .level = ARCHIVE_STUDY, .study = result->study, .patient = result->patient, .limit = FLOW_PATIENTS_MAX};
    struct archive_row *rows, *row;
    size_t count = 0;
    bool more;
    if (!archive_find(archive, ACCESS_ALL, &query, arena, &rows, &count, &more, err))
        return false;
    if (count == 0)
        return error_set(err, ERROR_NOT_FOUND, "study %s is gone", result->study);
    row = &rows[0]; // of several patients (a result of the program before), the one whose images were looked at
    for (size_t i = 0; i < count; i++)
        if (strcmp(flow_field(&rows[i], 0x00100020), result->patient_id) == 0 &&
            strcmp(flow_field(&rows[i], 0x00100021), result->issuer) == 0)
            row = &rows[i];
    *out = (struct finding_study){.study = result->study,
                                  .patient_id = flow_field(row, 0x00100020),
                                  .issuer = flow_field(row, 0x00100021),
                                  .patient_name = flow_field(row, 0x00100010),
                                  .birth_date = flow_field(row, 0x00100030),
                                  .sex = flow_field(row, 0x00100040),
                                  .accession = flow_field(row, 0x00080050),
                                  .description = flow_field(row, 0x00081030),
                                  .study_date = flow_field(row, 0x00080020),
                                  .study_time = flow_field(row, 0x00080030),
                                  .referring = flow_field(row, 0x00080090),
                                  .zone = flow_field(row, 0x00080201),
                                  .modality = result->modality};
    return true;
}

// The last answer of the topic that the target was told, or what else it was told last; *found false: nothing. A look
// without an answer says again what stands (finding_to_oru), so that what it was told is that answer.
static bool said_before(struct database *db, const struct queue_delivery *delivery, struct arena *arena,
                        struct finding_said *out, bool *found, struct error *err)
{
    struct queue_delivery *earlier;
    size_t count;
    *found = false;
    if (!queue_delivery_of_topic(db, delivery->topic, arena, &earlier, &count, err))
        return false;
    for (size_t i = 0; i < count && !(*found && finding_is_answer(out->result->outcome)); i++) {
        struct finding_result *result;
        struct finding *findings;
        if (earlier[i].id >= delivery->id || strcmp(earlier[i].kind, "hl7") != 0 ||
            strcmp(earlier[i].target, delivery->target) != 0 || !queue_delivery_may_be_known(&earlier[i]))
            continue;
        size_t finding_count;
        if (!finding_result_get(db, earlier[i].payload, arena, &result, err) ||
            !finding_list_of(db, earlier[i].payload, arena, &findings, &finding_count, err))
            return false;
        if (!result || (*found && !finding_is_answer(result->outcome)))
            continue;
        *found = true;
        *out = (struct finding_said){.result = result, .findings = findings, .count = finding_count};
    }
    return true;
}

struct message {
    struct finding_result *result;
    struct finding *findings;
    size_t count;
    struct finding_said before;
    bool has_before;
};

static bool read_message(struct store *store, const struct queue_delivery *delivery, struct arena *arena,
                         struct message *out, struct error *err)
{
    struct database *db = store_read_begin(store, err);
    bool ok = db && finding_result_get(db, delivery->payload, arena, &out->result, err) &&
              finding_list_of(db, delivery->payload, arena, &out->findings, &out->count, err) &&
              said_before(db, delivery, arena, &out->before, &out->has_before, err);
    store_read_end(store, db);
    return ok && (out->result || error_set(err, ERROR_NOT_FOUND, "result %.64s is gone", delivery->payload));
}

// A record would answer AA and file it nowhere.
static bool names_somebody(const struct finding_study *study, struct error *err)
{
    return finding_names_somebody(study) ||
           error_set(err, ERROR_BAD_VALUE,
                     "study %s names nobody: no Patient ID, no name, no accession number. Correct its images, or send "
                     "them anew under a new study, then replay this",
                     study->study);
}

bool flow_report_message(struct flow *flow, const struct queue_delivery *delivery, const struct flow_hl7_target *target,
                         struct arena *arena, struct buffer *out, struct error *err)
{
    struct message message = {0};
    struct finding_study study;
    const struct finding_receiver receiver = {.application = target->application,
                                              .facility = target->facility,
                                              .status = target->unsigned_status,
                                              .filler_is_accession = strcmp(target->filler, "accession") == 0,
                                              .control = delivery->subject};
    if (!read_message(flow->options.store, delivery, arena, &message, err) ||
        !study_of(flow->options.archive, message.result, arena, &study, err) || !names_somebody(&study, err))
        return false;
    if (strstr(study.patient_name, "\xEF\xBF\xBD"))
        log_warning("flow", "a message to %s names patient %s by ID only: the name cannot be read in its character set",
                    target->name, study.patient_id);
    const char *left_out = finding_left_out(&study, arena);
    if (left_out && *left_out)
        log_warning("flow", "a message to %s on study %s of patient %s leaves out what is none: %s", target->name,
                    study.study, study.patient_id, left_out);
    message.before.final = strcmp(target->unsigned_status, "F") == 0;
    return finding_to_oru(&study, message.result, message.findings, message.count,
                          message.has_before ? &message.before : NULL, &receiver, delivery->created_ns, out, err);
}
