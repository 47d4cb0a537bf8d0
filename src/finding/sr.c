// A Comprehensive 3D SR (PS3.3 A.35.13) with the content tree of TID 1500 (PS3.16):
//
//   Imaging Measurement Report              TID 1500
//     language, observer (the model)        TID 1204, 1002, 1004
//     procedure reported
//     Image Library                         TID 1600, 1601: what was looked at
//     Imaging Measurements
//       Measurement Group, per finding      TID 1411: tracking, finding, site, segment, source, volume, certainty
//       or one, when nothing was found      TID 1501: not detected, and what that does not mean
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "finding/object.h"

static const struct object_kind kind = {OBJECT_SR_CLASS, "SR", NULL, "sr", "AI result"};

#define DCM(name, value, meaning) static const struct finding_code name = {value, "DCM", meaning}
#define SCT(name, value, meaning) static const struct finding_code name = {value, "SCT", meaning}
DCM(report, "126000", "Imaging Measurement Report");
DCM(language, "121049", "Language of Content Item and Descendants");
DCM(observer_type, "121005", "Observer Type");
DCM(device, "121007", "Device");
DCM(device_uid, "121012", "Device Observer UID");
DCM(device_name, "121013", "Device Observer Name");
DCM(device_manufacturer, "121014", "Device Observer Manufacturer");
DCM(device_model, "121015", "Device Observer Model Name");
DCM(procedure_reported, "121058", "Procedure reported");
DCM(image_library, "111028", "Image Library");
DCM(image_library_group, "126200", "Image Library Group");
DCM(modality_name, "121139", "Modality");
DCM(frame_of_reference, "112227", "Frame of Reference UID");
DCM(measurements, "126010", "Imaging Measurements");
DCM(group, "125007", "Measurement Group");
DCM(tracking_identifier, "112039", "Tracking Identifier");
DCM(tracking_uid, "112040", "Tracking Unique Identifier");
DCM(finding_name, "121071", "Finding");
DCM(referenced_segment, "121191", "Referenced Segment");
DCM(source_series, "121232", "Source series for segmentation");
DCM(certainty, "111012", "Certainty of Finding");
DCM(comment, "121106", "Comment");
DCM(algorithm_name, "111001", "Algorithm Name");
DCM(algorithm_version, "111003", "Algorithm Version");
DCM(algorithm_parameters, "111002", "Algorithm Parameters");
SCT(finding_site, "363698007", "Finding Site");
SCT(laterality, "272741003", "Laterality");
SCT(volume, "118565006", "Volume");
SCT(not_detected, "260415000", "Not detected");
static const struct finding_code english = {"en-US", "RFC5646", "English (United States)"};
static const struct finding_code millilitre = {"mL", "UCUM", "milliliter"};
static const struct finding_code percent = {"%", "UCUM", "Percent"};

#define CONTAINS "CONTAINS"
#define CONTEXT "HAS OBS CONTEXT"
#define MODIFIER "HAS CONCEPT MOD"
#define ACQUISITION "HAS ACQ CONTEXT"

// What the source's modality is, as a concept (CID 29) and as a procedure (CID 100).
struct modality {
    const char *term;
    struct finding_code modality, procedure;
};
static const struct modality modalities[] = {
    {"CT", {"CT", "DCM", "Computed Tomography"}, {"25045-6", "LN", "CT unspecified body region"}},
    {"MR", {"MR", "DCM", "Magnetic Resonance"}, {"25056-3", "LN", "MRI unspecified body region"}},
    {"PT", {"PT", "DCM", "Positron emission tomography"}, {"44136-0", "LN", "PET unspecified body region"}},
    {"NM", {"NM", "DCM", "Nuclear Medicine"}, {"49118-3", "LN", "NM unspecified body region"}},
    {"", {"OT", "DCM", "Other Modality"}, {"363679005", "SCT", "Imaging procedure"}},
};

struct sr {
    struct object object;
    const struct finding *findings;
    size_t count;
    const struct modality *modality;
    char frame_of_reference[DICOM_UID_SIZE]; // "" when the source has none
    size_t standing;                         // findings that are not rejected
    char seg_series[DICOM_UID_SIZE];         // of the SEG that shows them
};

// ---- content items

// Opens an item up to its name; `name` NULL leaves it nameless.
static void open_named(struct dicom_writer *w, const char *relation, const char *type, const struct finding_code *name)
{
    dicom_write_text(w, 0x0040A010, relation);
    dicom_write_text(w, 0x0040A040, type);
    if (name)
        object_write_code(w, 0x0040A043, name);
}

static void open_item(struct dicom_writer *w, const char *relation, const char *type, const struct finding_code *name)
{
    dicom_write_item(w);
    open_named(w, relation, type, name);
}

static void open_content(struct dicom_writer *w)
{
    dicom_write_sequence(w, 0x0040A730);
}

static void close_content(struct dicom_writer *w)
{
    dicom_write_sequence_end(w);
    dicom_write_item_end(w);
}

static void write_template(struct dicom_writer *w, const char *identifier)
{
    dicom_write_sequence(w, 0x0040A504);
    dicom_write_item(w);
    dicom_write_text(w, 0x00080105, "DCMR");
    dicom_write_text(w, 0x0040DB00, identifier);
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
}

// Closed by close_content.
static void open_container(struct dicom_writer *w, const struct finding_code *name, const char *template)
{
    open_item(w, CONTAINS, "CONTAINER", name);
    dicom_write_text(w, 0x0040A050, "SEPARATE");
    if (template)
        write_template(w, template);
    open_content(w);
}

static void put_text(struct dicom_writer *w, const char *relation, const struct finding_code *name, const char *text)
{
    open_item(w, relation, "TEXT", name);
    dicom_write_text(w, 0x0040A160, text && *text ? text : "unknown");
    dicom_write_item_end(w);
}

static void put_uid(struct dicom_writer *w, const char *relation, const struct finding_code *name, const char *uid)
{
    open_item(w, relation, "UIDREF", name);
    dicom_write_text(w, 0x0040A124, uid);
    dicom_write_item_end(w);
}

static void put_code(struct dicom_writer *w, const char *relation, const struct finding_code *name,
                     const struct finding_code *value)
{
    open_item(w, relation, "CODE", name);
    object_write_code(w, 0x0040A168, value);
    dicom_write_item_end(w);
}

// `segment` 0: a whole instance.
static void put_image(struct dicom_writer *w, const struct finding_code *name, const char *sop_class,
                      const char *instance, int64_t segment)
{
    dicom_write_item(w);
    dicom_write_sequence(w, 0x00081199);
    dicom_write_item(w);
    object_write_reference(w, sop_class, instance);
    if (segment > 0)
        dicom_write_integer(w, 0x0062000B, segment);
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
    open_named(w, CONTAINS, "IMAGE", name);
    dicom_write_item_end(w);
}

// ---- what the document as a whole says

static void put_observer(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    const struct finding_context *context = sr->object.context;
    const char *title = context->model_title;
    char uid[DICOM_UID_SIZE];
    object_device_uid(uid, context->result->model_digest);
    put_code(w, CONTEXT, &observer_type, &device);
    put_uid(w, CONTEXT, &device_uid, uid);
    put_text(w, CONTEXT, &device_name, title && *title ? title : context->result->model);
    put_text(w, CONTEXT, &device_manufacturer, OBJECT_MANUFACTURER);
    put_text(w, CONTEXT, &device_model, context->result->model);
}

static void put_library(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    const struct finding_context *context = sr->object.context;
    open_container(w, &image_library, NULL);
    open_container(w, &image_library_group, NULL);
    put_code(w, ACQUISITION, &modality_name, &sr->modality->modality);
    if (*sr->frame_of_reference)
        put_uid(w, ACQUISITION, &frame_of_reference, sr->frame_of_reference);
    for (size_t k = 0; k < context->geometry->slices; k++)
        put_image(w, NULL, context->slice_class, context->slice_instances[k], 0);
    close_content(w);
    close_content(w);
}

// ---- findings

static void put_algorithm(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    const struct finding_context *context = sr->object.context;
    char digest[96];
    snprintf(digest, sizeof digest, "package SHA-256 %.64s", object_text(context->result->model_digest));
    put_text(w, MODIFIER, &algorithm_name, context->result->model);
    put_text(w, MODIFIER, &algorithm_version, context->result->model_version);
    put_text(w, MODIFIER, &algorithm_parameters, digest);
}

// With the algorithm that measured it (TID 1419, 4019).
static void put_number(struct sr *sr, const struct finding_code *name, double value, const struct finding_code *unit)
{
    struct dicom_writer *w = &sr->object.writer;
    open_item(w, CONTAINS, "NUM", name);
    dicom_write_sequence(w, 0x0040A300);
    dicom_write_item(w);
    object_write_code(w, 0x004008EA, unit);
    dicom_write_double(w, 0x0040A30A, value);
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
    open_content(w);
    put_algorithm(sr);
    close_content(w);
}

static void put_site(struct sr *sr, const struct finding *finding)
{
    struct dicom_writer *w = &sr->object.writer;
    const struct finding_code *side = object_side(finding->side);
    if (!finding->site.value || !*finding->site.value)
        return;
    open_item(w, MODIFIER, "CODE", &finding_site);
    object_write_code(w, 0x0040A168, &finding->site);
    if (side) {
        open_content(w);
        put_code(w, MODIFIER, &laterality, side);
        dicom_write_sequence_end(w);
    }
    dicom_write_item_end(w);
}

static void put_finding(struct sr *sr, const struct finding *finding)
{
    struct dicom_writer *w = &sr->object.writer;
    char tracking[DICOM_UID_SIZE], uid[DICOM_UID_SIZE];
    arena_reset(&sr->object.scratch);
    object_tracking_uid(uid, finding);
    open_container(w, &group, "1411");
    put_text(w, CONTEXT, &tracking_identifier, object_tracking_text(tracking, finding));
    put_uid(w, CONTEXT, &tracking_uid, uid);
    put_code(w, CONTAINS, &finding_name, &finding->concept);
    put_site(sr, finding);
    put_image(w, &referenced_segment, OBJECT_SEG_CLASS, sr->object.context->seg, finding->segment);
    put_uid(w, CONTAINS, &source_series, sr->object.series);
    put_number(sr, &volume, round(finding->volume_ml * 1e3) / 1e3, &millilitre);
    if (sr->object.context->result->calibrated)
        put_number(sr, &certainty, round(finding->score * 1e4) / 1e2, &percent);
    put_text(w, CONTAINS, &comment, object_unverified(finding, &sr->object.scratch));
    close_content(w);
}

static void put_nothing(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    const struct finding_result *result = sr->object.context->result;
    char tracking[DICOM_UID_SIZE], uid[DICOM_UID_SIZE];
    arena_reset(&sr->object.scratch);
    snprintf(tracking, sizeof tracking, "%.40s", result->model);
    object_uid(uid, result->id, "tracking 0");
    open_container(w, &group, "1501");
    put_text(w, CONTEXT, &tracking_identifier, tracking);
    put_uid(w, CONTEXT, &tracking_uid, uid);
    put_code(w, CONTAINS, *object_text(result->concept.value) ? &result->concept : &finding_name, &not_detected);
    put_text(w, CONTAINS, &comment, object_nothing(result, &sr->object.scratch));
    close_content(w);
}

static void write_content(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    open_content(w);
    put_code(w, MODIFIER, &language, &english);
    put_observer(sr);
    put_code(w, MODIFIER, &procedure_reported, &sr->modality->procedure);
    put_library(sr);
    open_container(w, &measurements, NULL);
    for (size_t i = 0; i < sr->count; i++)
        if (object_stands(&sr->findings[i]))
            put_finding(sr, &sr->findings[i]);
    if (sr->standing == 0)
        put_nothing(sr);
    close_content(w);
    dicom_write_sequence_end(w);
}

// ---- the whole

static void write_evidence_series(struct dicom_writer *w, const char *sop_class, const char *const *instances,
                                  size_t count, const char *series)
{
    dicom_write_item(w);
    dicom_write_sequence(w, 0x00081199);
    for (size_t i = 0; i < count; i++) {
        dicom_write_item(w);
        object_write_reference(w, sop_class, instances[i]);
        dicom_write_item_end(w);
    }
    dicom_write_sequence_end(w);
    dicom_write_text(w, 0x0020000E, series);
    dicom_write_item_end(w);
}

static void write_evidence(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    const struct finding_context *context = sr->object.context;
    const char *seg = context->seg;
    dicom_write_sequence(w, 0x0040A375);
    dicom_write_item(w);
    dicom_write_sequence(w, 0x00081115);
    write_evidence_series(w, context->slice_class, context->slice_instances, context->geometry->slices,
                          sr->object.series);
    if (sr->standing > 0)
        write_evidence_series(w, OBJECT_SEG_CLASS, &seg, 1, sr->seg_series);
    dicom_write_sequence_end(w);
    dicom_write_text(w, 0x0020000D, sr->object.study);
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
}

static void write_empty_sequence(struct dicom_writer *w, dicom_tag tag)
{
    dicom_write_sequence(w, tag);
    dicom_write_sequence_end(w);
}

static void write_sr(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    object_write_head(&sr->object, &kind);
    write_empty_sequence(w, 0x00081111);
    object_write_middle(&sr->object, &kind);
    dicom_write_text(w, 0x0040A040, "CONTAINER");
    object_write_code(w, 0x0040A043, &report);
    dicom_write_text(w, 0x0040A050, "SEPARATE");
    write_empty_sequence(w, 0x0040A372);
    write_evidence(sr);
    dicom_write_text(w, 0x0040A491, "COMPLETE");
    object_write_cut(&sr->object, 0x0040A492, object_text(sr->object.context->result->label_text), DICOM_UID_MAX);
    dicom_write_text(w, 0x0040A493, "UNVERIFIED");
    write_template(w, "1500");
    write_content(sr);
}

static const struct modality *modality_of(const struct dicom_dataset *source)
{
    const struct modality *row = modalities;
    char term[17];
    dicom_text_copy(source, 0x00080060, term, sizeof term);
    while (*row->term && strcmp(row->term, term) != 0)
        row++;
    return row;
}

// The series of the SEG, which an earlier revision may have made.
static bool find_seg_series(struct sr *sr, struct error *err)
{
    const struct finding_context *context = sr->object.context;
    char uid[DICOM_UID_SIZE];
    for (int64_t revision = context->result->revision; revision >= 0; revision--) {
        finding_seg_uid(uid, context->result->id, revision);
        if (strcmp(uid, object_text(context->seg)) != 0)
            continue;
        object_series_uid(sr->seg_series, context->result->id, "seg", revision);
        return true;
    }
    return error_set(err, ERROR_BAD_VALUE, "\"%.64s\" is no segmentation of this result", object_text(context->seg));
}

static bool begin(struct sr *sr, const struct finding_context *context, struct buffer *out, struct error *err)
{
    enum finding_outcome outcome = context->result->outcome;
    if (outcome != FINDING_POSITIVE && outcome != FINDING_NEGATIVE)
        return error_set(err, ERROR_BAD_VALUE, "a result that is %s is no report", finding_outcome_text(outcome));
    for (size_t i = 0; i < sr->count; i++)
        sr->standing += object_stands(&sr->findings[i]);
    if (!object_begin(&sr->object, context, sr->findings, sr->count, out, err))
        return false;
    if (sr->standing == 0 || find_seg_series(sr, err))
        return true;
    object_drop(&sr->object);
    return false;
}

bool finding_to_sr(const struct finding_context *context, const struct finding *findings, size_t count,
                   struct buffer *out, struct error *err)
{
    struct sr sr = {.findings = findings, .count = count};
    sr.object.context = context;
    if (!begin(&sr, context, out, err))
        return false;
    sr.modality = modality_of(context->source);
    dicom_text_copy(context->source, 0x00200052, sr.frame_of_reference, sizeof sr.frame_of_reference);
    write_sr(&sr);
    return object_end(&sr.object, "a structured report", err);
}
