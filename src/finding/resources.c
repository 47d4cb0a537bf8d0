// FHIR R4 of a study: what src/fhir builds from the study row and its findings. References are by ids that follow from
// what they name:
//
//   DiagnosticReport                 the result's id
//   ImagingStudy, Patient            the Study Instance UID (a Patient as this study has it: persons are told apart by
//                                    its identifier)
//   Observation                      the finding's id
//   Device                           the UID of the model package, as the SR's device observer has it
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "fhir/fhir.h"
#include "finding/moment.h"
#include "finding/object.h"

enum { URN_SIZE = 80, NAME_DISPLAY_SIZE = 400, CONCLUSION_MAX = 1 << 20, SCRATCH_MAX = 4 << 20 };

struct view {
    const struct finding_study *study;
    const struct finding_result *results;
    size_t result_count;
    const struct finding *findings;
    size_t count;
    char started[MOMENT_TEXT_SIZE];
    struct arena arena;
    json_t *list;
    struct error *err;
};

// Takes the resource; false when it could not be made.
static bool add(struct view *view, json_t *resource)
{
    if (!resource)
        return false;
    return json_array_append_new(view->list, resource) == 0 ||
           error_set(view->err, ERROR_MEMORY, "no memory for FHIR resources");
}

// It was said of a patient whom the study does not name any more.
static bool is_of_another(const struct view *view, const struct finding_result *result)
{
    return result->patient && view->study->patient && result->patient != view->study->patient;
}

static struct fhir_reference patient_of(const struct view *view, const struct finding_result *result)
{
    if (is_of_another(view, result)) // by identifier, for there is no resource of that one; without an ID nobody's
        return (struct fhir_reference){
            .identifier = {*object_text(result->patient_id) ? result->issuer : NULL, result->patient_id, "MR"}};
    return (struct fhir_reference){.type = "Patient", .id = view->study->study};
}

static struct fhir_reference images_of(const struct view *view, const struct finding_result *result)
{
    return is_of_another(view, result) ? (struct fhir_reference){0}
                                       : (struct fhir_reference){.type = "ImagingStudy", .id = view->study->study};
}

static struct fhir_concept concept_of(const struct finding_code *code)
{
    if (!*object_text(code->value))
        return (struct fhir_concept){0};
    return (struct fhir_concept){.coding = {{fhir_system_of(code->scheme), code->value, code->meaning}},
                                 .text = code->meaning};
}

// "Gregory House", as people write it.
static void display_name(const char *name, char out[NAME_DISPLAY_SIZE])
{
    static const enum object_name_part order[] = {OBJECT_PREFIX, OBJECT_GIVEN, OBJECT_MIDDLE, OBJECT_FAMILY,
                                                  OBJECT_SUFFIX};
    struct object_name group;
    size_t used = 0;
    for (unsigned i = 0; i < OBJECT_NAME_GROUPS && !object_name(name, i, &group);)
        i++;
    *out = '\0';
    for (size_t i = 0; i < OBJECT_NAME_PARTS; i++)
        if (*group.parts[order[i]])
            used +=
                (size_t)snprintf(out + used, NAME_DISPLAY_SIZE - used, "%s%s", used ? " " : "", group.parts[order[i]]);
}

// ---- Patient, ImagingStudy, Device

static bool add_patient(struct view *view)
{
    const struct finding_study *study = view->study;
    const struct fhir_identifier identifier = {study->issuer, study->patient_id, "MR"};
    static const char *const representations[OBJECT_NAME_GROUPS] = {"ABC", "IDE", "SYL"};
    struct object_name groups[OBJECT_NAME_GROUPS];
    struct fhir_name names[OBJECT_NAME_GROUPS];
    size_t count = 0;
    char born[FHIR_DATE_SIZE], date[DICOM_DATE_SIZE];
    for (unsigned i = 0; i < OBJECT_NAME_GROUPS; i++) {
        const char *const *p = groups[i].parts;
        if (object_name(study->patient_name, i, &groups[i]))
            names[count++] = (struct fhir_name){p[OBJECT_FAMILY], p[OBJECT_GIVEN],  p[OBJECT_MIDDLE],
                                                p[OBJECT_PREFIX], p[OBJECT_SUFFIX], representations[i]};
    }
    dicom_date(date, study->birth_date);
    fhir_date(born, date);
    return add(view, fhir_patient(&(struct fhir_patient){.id = study->study,
                                                         .identifiers = &identifier,
                                                         .identifier_count = 1,
                                                         .names = names,
                                                         .name_count = count,
                                                         .gender = fhir_gender(study->sex),
                                                         .birth_date = born},
                                  view->err));
}

static const struct fhir_series *series_of(struct view *view)
{
    const struct finding_study *study = view->study;
    struct fhir_series *series = arena_calloc(&view->arena, study->series_count + 1, sizeof *series);
    for (size_t i = 0; series && i < study->series_count; i++)
        series[i] = (struct fhir_series){.uid = study->series[i].uid,
                                         .modality = study->series[i].modality,
                                         .description = study->series[i].description,
                                         .number = study->series[i].number,
                                         .instance_count = study->series[i].object_count};
    return series;
}

static bool add_images(struct view *view)
{
    const struct finding_study *study = view->study;
    char referrer[NAME_DISPLAY_SIZE];
    display_name(study->referring, referrer);
    json_t *images = fhir_imaging_study(&(struct fhir_imaging_study){.id = study->study,
                                                                     .uid = study->study,
                                                                     .accession = study->accession,
                                                                     .subject = {.type = "Patient", .id = study->study},
                                                                     .started = view->started,
                                                                     .description = study->description,
                                                                     .referrer = *referrer ? referrer : NULL,
                                                                     .series = series_of(view),
                                                                     .series_count = study->series_count},
                                        view->err);
    if (images && study->series_count == 0) { // not told, which is not none
        json_object_del(images, "numberOfSeries");
        json_object_del(images, "numberOfInstances");
    }
    return add(view, images);
}

// What is told: what stands, and what should never have been said.
static bool is_told(const struct finding_result *result)
{
    return result->standing != FINDING_REPLACED;
}

// The first result of each model package brings its Device.
static bool is_first_of_model(const struct view *view, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (is_told(&view->results[i]) &&
            strcmp(object_text(view->results[i].model_digest), object_text(view->results[index].model_digest)) == 0)
            return false;
    return true;
}

static bool add_device(struct view *view, const struct finding_result *result)
{
    char uid[DICOM_UID_SIZE], urn[URN_SIZE];
    object_device_uid(uid, result->model_digest);
    snprintf(urn, sizeof urn, "urn:oid:%s", uid);
    return add(view, fhir_device(&(struct fhir_device){.id = uid,
                                                       .identifier = {.system = "urn:ietf:rfc:3986", .value = urn},
                                                       .name = result->model,
                                                       .version = result->model_version,
                                                       .manufacturer = OBJECT_MANUFACTURER,
                                                       .note = result->label_text},
                                 view->err));
}

// ---- Observation

// Final is what an authorized person has verified (R4), and who accepts is a name as typed: that verifies nothing.
static enum fhir_status status_of(enum finding_state state)
{
    static const enum fhir_status statuses[] = {[FINDING_UNVERIFIED] = FHIR_PRELIMINARY,
                                                [FINDING_ACCEPTED] = FHIR_PRELIMINARY,
                                                [FINDING_REJECTED] = FHIR_ENTERED_IN_ERROR,
                                                [FINDING_SUPERSEDED] = FHIR_ENTERED_IN_ERROR}; // withdrawn
    return statuses[state];
}

static enum fhir_asserter asserter_of(enum finding_state state)
{
    return state == FINDING_ACCEPTED ? FHIR_ASSERTER_CLINICIAN_FROM_AI : FHIR_ASSERTER_AI;
}

static const struct fhir_concept certainty = {.coding = {{FHIR_DICOM, "111012", "Certainty of Finding"}}};
static const struct fhir_concept volume = {.coding = {{FHIR_SNOMED, "118565006", "Volume"}}};
static const struct fhir_concept side_name = {.coding = {{FHIR_SNOMED, "272741003", "Laterality"}}};
static const struct fhir_concept finding_name = {.coding = {{FHIR_DICOM, "121071", "Finding"}}};

static bool add_observation(struct view *view, const struct finding_result *result, const struct finding *f)
{
    char uid[DICOM_UID_SIZE], device[DICOM_UID_SIZE], urn[URN_SIZE];
    const struct finding_code *side = object_side(f->side);
    struct fhir_component components[3] = {{.code = volume, .quantity = {f->volume_ml, 1, "mL", "mL"}}};
    size_t count = 1;
    if (result->calibrated)
        components[count++] = (struct fhir_component){.code = certainty, .quantity = {f->score * 100, 0, "%", "%"}};
    if (side)
        components[count++] = (struct fhir_component){.code = side_name, .concept = concept_of(side)};
    object_tracking_uid(uid, f);
    object_device_uid(device, f->model_digest);
    snprintf(urn, sizeof urn, "urn:oid:%s", uid);
    const struct fhir_observation observation = {.id = f->id,
                                                 .asserter = asserter_of(f->state),
                                                 .identifier = {.system = FHIR_DICOM_UID, .value = urn},
                                                 .status = status_of(f->state),
                                                 .code = finding_name,
                                                 .subject = patient_of(view, result),
                                                 .effective = view->started,
                                                 .issued_ns = f->judged_ns ? f->judged_ns : f->made_ns,
                                                 .concept = concept_of(&f->concept),
                                                 .body_site = concept_of(&f->site),
                                                 .device = {.type = "Device", .id = device},
                                                 .derived_from = images_of(view, result),
                                                 .note = finding_sentence(f, &view->arena),
                                                 .components = components,
                                                 .component_count = count};
    return add(view, fhir_observation(&observation, view->err));
}

// ---- DiagnosticReport

static void put_line(struct buffer *text, const char *line)
{
    if (line)
        buffer_printf(text, "%s%s", text->size > 0 ? "\n" : "", line);
    else
        text->failed = true;
}

// One line for each finding that stands, and one for what was looked at; "" when none stands.
static const char *standing_lines(struct view *view, const struct finding_result *result)
{
    struct buffer text;
    buffer_init(&text, CONCLUSION_MAX);
    for (size_t i = 0; i < view->count; i++)
        if (strcmp(view->findings[i].result, result->id) == 0 && object_stands(&view->findings[i]))
            put_line(&text, object_line(&view->findings[i], &view->arena));
    if (text.size > 0)
        put_line(&text, object_looked_at(result, &view->arena));
    const char *copy = text.failed ? NULL : arena_strndup(&view->arena, (const char *)text.data, text.size);
    buffer_free(&text);
    return copy;
}

// Each line of a report on earlier images stands under that.
static const char *begin_conclusion(struct view *view, const struct finding_result *r, const char *text)
{
    return r->is_earlier && r->standing == FINDING_CURRENT && text
               ? arena_printf(&view->arena, "This is " OBJECT_EARLIER ".\n%s", text)
               : text;
}

static const char *conclusion_of(struct view *view, const struct finding_result *r, enum fhir_status status)
{
    const char *lines;
    if (r->standing == FINDING_WITHDRAWN)
        return arena_printf(&view->arena, "Withdrawn: %s", r->reason);
    if (status == FHIR_CANCELLED)
        return arena_printf(&view->arena, "%s by %s %s: %s",
                            r->outcome == FINDING_FAILED ? "The analysis failed" : "Not analysed", r->model,
                            object_text(r->model_version), r->reason);
    if (status == FHIR_REGISTERED)
        return arena_printf(&view->arena, "%s %s has looked; the result waits until the study is quiet.", r->model,
                            object_text(r->model_version));
    lines = standing_lines(view, r);
    return lines && !*lines ? object_nothing(r, &view->arena) : lines;
}

static bool has_finding(const struct view *view, const struct finding_result *result, enum finding_state state)
{
    for (size_t i = 0; i < view->count; i++)
        if (strcmp(view->findings[i].result, result->id) == 0 && view->findings[i].state == state)
            return true;
    return false;
}

// All rejected: entered in error.
static enum fhir_status positive_status(const struct view *view, const struct finding_result *result)
{
    return has_finding(view, result, FINDING_UNVERIFIED) || has_finding(view, result, FINDING_ACCEPTED)
               ? FHIR_PRELIMINARY
               : FHIR_ENTERED_IN_ERROR;
}

// A person has judged all that stands.
static enum fhir_asserter report_asserter(const struct view *view, const struct finding_result *result)
{
    return result->standing == FINDING_CURRENT && has_finding(view, result, FINDING_ACCEPTED) &&
                   !has_finding(view, result, FINDING_UNVERIFIED)
               ? FHIR_ASSERTER_CLINICIAN_FROM_AI
               : FHIR_ASSERTER_AI;
}

static enum fhir_status report_status(const struct view *view, const struct finding_result *result)
{
    if (result->standing == FINDING_WITHDRAWN)
        return FHIR_ENTERED_IN_ERROR;
    switch (result->outcome) {
    case FINDING_POSITIVE:
        return positive_status(view, result);
    case FINDING_NEGATIVE: // which nobody signs
        return result->told ? FHIR_PRELIMINARY : FHIR_REGISTERED;
    case FINDING_NOT_ANALYSED:
    case FINDING_FAILED:
        break;
    }
    return FHIR_CANCELLED;
}

static int64_t issued_of(const struct view *view, const struct finding_result *result)
{
    int64_t issued = result->changed_ns > result->made_ns ? result->changed_ns : result->made_ns;
    for (size_t i = 0; i < view->count; i++)
        if (strcmp(view->findings[i].result, result->id) == 0 && view->findings[i].judged_ns > issued)
            issued = view->findings[i].judged_ns;
    return issued;
}

static struct fhir_reference order_of(const struct view *view, const struct finding_result *result)
{
    const char *accession = is_of_another(view, result) ? NULL : view->study->accession;
    return (struct fhir_reference){.identifier = {.value = accession, .type = "ACSN"}};
}

static bool add_report(struct view *view, const struct finding_result *result)
{
    struct fhir_reference *results = arena_calloc(&view->arena, view->count + 1, sizeof *results);
    size_t result_count = 0;
    enum fhir_status status = report_status(view, result);
    const char *conclusion = begin_conclusion(view, result, conclusion_of(view, result, status));
    if (!results || !conclusion)
        return error_set(view->err, ERROR_LIMIT, "%zu findings do not fit into a report", view->count);
    for (size_t i = 0; i < view->count; i++)
        if (strcmp(view->findings[i].result, result->id) == 0)
            results[result_count++] = (struct fhir_reference){.type = "Observation", .id = view->findings[i].id};
    const struct fhir_report report = {.id = result->id,
                                       .asserter = report_asserter(view, result),
                                       .status = status,
                                       .based_on = order_of(view, result),
                                       .subject = patient_of(view, result),
                                       .effective = view->started,
                                       .issued_ns = issued_of(view, result),
                                       .imaging_study = images_of(view, result),
                                       .results = results,
                                       .result_count = result_count,
                                       .conclusion = conclusion,
                                       .note = result->label_text};
    return add(view, fhir_report(&report, view->err));
}

// ---- the whole

static bool add_result(struct view *view, size_t index)
{
    const struct finding_result *result = &view->results[index];
    if ((is_first_of_model(view, index) && !add_device(view, result)) || !add_report(view, result))
        return false;
    for (size_t i = 0; i < view->count; i++)
        if (strcmp(view->findings[i].result, result->id) == 0 && !add_observation(view, result, &view->findings[i]))
            return false;
    return true;
}

static bool add_results(struct view *view)
{
    for (size_t i = 0; i < view->result_count; i++)
        if (is_told(&view->results[i]) && !add_result(view, i))
            return false;
    return true;
}

bool finding_fhir_resources(const struct finding_study *study, const struct finding_result *results,
                            size_t result_count, const struct finding *findings, size_t count, json_t **out,
                            struct error *err)
{
    const struct finding_study readable = object_readable_study(study);
    struct view view = {.study = &readable,
                        .results = results,
                        .result_count = result_count,
                        .findings = findings,
                        .count = count,
                        .list = json_array(),
                        .err = err};
    struct moment moment;
    moment_of(study->study_date, study->study_time, study->zone, 0, &moment);
    moment_fhir(view.started, &moment);
    arena_init(&view.arena, SCRATCH_MAX);
    bool ok = (view.list || error_set(err, ERROR_MEMORY, "no memory for FHIR resources")) && add_results(&view) &&
              add_images(&view) && add_patient(&view);
    arena_free(&view.arena);
    if (!ok)
        json_decref(view.list);
    *out = ok ? view.list : NULL;
    return ok;
}

static bool is_of(const json_t *resource, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(resource, key));
    return value && strcmp(value, text) == 0;
}

static json_t *find_resource(const json_t *list, const char *type, const char *id)
{
    size_t i;
    json_t *resource;
    json_array_foreach(list, i, resource)
    {
        if (is_of(resource, "resourceType", type) && is_of(resource, "id", id))
            return json_incref(resource);
    }
    return NULL;
}

static json_t *bundle_of(const struct finding_study *study, const json_t *list, const char *base, const char *type,
                         struct error *err)
{
    const char *wanted = type ? type : "DiagnosticReport";
    char self[512];
    size_t i;
    json_t *resource, *bundle = NULL;
    struct arena arena;
    arena_init(&arena, SCRATCH_MAX);
    json_t **matches = arena_calloc(&arena, json_array_size(list) + 1, sizeof *matches);
    json_t **includes = arena_calloc(&arena, json_array_size(list) + 1, sizeof *includes);
    struct fhir_search search = {.base = base, .self = self, .matches = matches, .includes = includes};
    snprintf(self, sizeof self, "%.300s/%.32s?study=%.64s", base, wanted, study->study);
    if (matches && includes) {
        json_array_foreach(list, i, resource)
        {
            if (is_of(resource, "resourceType", wanted))
                matches[search.match_count++] = resource;
            else if (!type)
                includes[search.include_count++] = resource;
        }
        search.total = (int64_t)search.match_count;
        bundle = fhir_searchset(&search, err);
    } else {
        error_set(err, ERROR_MEMORY, "no memory for a FHIR bundle");
    }
    arena_free(&arena);
    return bundle;
}

bool finding_to_fhir(const struct finding_study *study, const struct finding_result *results, size_t result_count,
                     const struct finding *findings, size_t count, const char *base, const char *type, const char *id,
                     json_t **out, struct error *err)
{
    json_t *list;
    *out = NULL;
    if (!finding_fhir_resources(study, results, result_count, findings, count, &list, err))
        return false;
    *out = id ? find_resource(list, object_text(type), id) : bundle_of(study, list, base, type, err);
    json_decref(list);
    return *out || id;
}
