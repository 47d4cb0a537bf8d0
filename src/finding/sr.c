// A Comprehensive 3D SR (PS3.3 A.35.13) with the content tree of TID 1500 (PS3.16):
//
//   Imaging Measurement Report              TID 1500
//     language, observer (the model)        TID 1204, 1002, 1004
//     procedure reported
//     Image Library                         TID 1600, 1601: what was looked at
//     Comment                               how much was looked at, and what qualifies it
//     Imaging Measurements
//       Measurement Group, per finding      TID 1411: tracking, finding, site, segment, source, volume, certainty
//       or one, when nothing was found      TID 1501: not detected, and what that does not mean
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "finding/content.h"

static const struct object_kind kind = {FINDING_SR_CLASS, "SR", NULL, "sr", "AI result"};

CONTENT_DCM(report, "126000", "Imaging Measurement Report");
CONTENT_DCM(procedure_reported, "121058", "Procedure reported");
CONTENT_DCM(image_library, "111028", "Image Library");
CONTENT_DCM(image_library_group, "126200", "Image Library Group");
CONTENT_DCM(modality_name, "121139", "Modality");
CONTENT_DCM(frame_of_reference, "112227", "Frame of Reference UID");
CONTENT_DCM(measurements, "126010", "Imaging Measurements");
CONTENT_DCM(group, "125007", "Measurement Group");
CONTENT_DCM(tracking_identifier, "112039", "Tracking Identifier");
CONTENT_DCM(tracking_uid, "112040", "Tracking Unique Identifier");
CONTENT_DCM(finding_name, "121071", "Finding");
CONTENT_DCM(referenced_segment, "121191", "Referenced Segment");
CONTENT_DCM(source_series, "121232", "Source series for segmentation");
CONTENT_DCM(certainty, "111012", "Certainty of Finding");
CONTENT_DCM(comment, "121106", "Comment");
CONTENT_DCM(algorithm_name, "111001", "Algorithm Name");
CONTENT_DCM(algorithm_version, "111003", "Algorithm Version");
CONTENT_DCM(algorithm_parameters, "111002", "Algorithm Parameters");
CONTENT_SCT(finding_site, "363698007", "Finding Site");
CONTENT_SCT(laterality, "272741003", "Laterality");
CONTENT_SCT(volume, "118565006", "Volume");
CONTENT_SCT(not_detected, "260415000", "Not detected");
static const struct finding_code millilitre = {"mL", "UCUM", "milliliter"};
static const struct finding_code percent = {"%", "UCUM", "Percent"};

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
    char predecessor_series[DICOM_UID_SIZE];
};

// ---- what the document as a whole says

static void put_library(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    const struct finding_context *context = sr->object.context;
    content_open_container(w, &image_library, NULL);
    content_open_container(w, &image_library_group, NULL);
    content_code(w, CONTENT_ACQUISITION, &modality_name, &sr->modality->modality);
    if (*sr->frame_of_reference)
        content_uid(w, CONTENT_ACQUISITION, &frame_of_reference, sr->frame_of_reference);
    for (size_t k = 0; k < context->geometry->slices; k++)
        content_object(w, "IMAGE", NULL, context->slice_class, context->slice_instances[k], 0);
    content_close(w);
    content_close(w);
}

// ---- findings

static void put_algorithm(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    const struct finding_context *context = sr->object.context;
    char digest[96];
    snprintf(digest, sizeof digest, "package SHA-256 %.64s", object_text(context->result->model_digest));
    content_text(w, CONTENT_MODIFIER, &algorithm_name, context->result->model);
    content_text(w, CONTENT_MODIFIER, &algorithm_version, context->result->model_version);
    content_text(w, CONTENT_MODIFIER, &algorithm_parameters, digest);
}

// With the algorithm that measured it (TID 1419, 4019).
static void put_number(struct sr *sr, const struct finding_code *name, double value, const struct finding_code *unit)
{
    struct dicom_writer *w = &sr->object.writer;
    content_open_item(w, CONTENT_CONTAINS, "NUM", name);
    dicom_write_sequence(w, 0x0040A300);
    dicom_write_item(w);
    object_write_code(w, 0x004008EA, unit);
    dicom_write_double(w, 0x0040A30A, value);
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
    content_open(w);
    put_algorithm(sr);
    content_close(w);
}

static void put_site(struct sr *sr, const struct finding *finding)
{
    struct dicom_writer *w = &sr->object.writer;
    const struct finding_code *side = object_side(finding->side);
    if (!finding->site.value || !*finding->site.value)
        return;
    content_open_item(w, CONTENT_MODIFIER, "CODE", &finding_site);
    object_write_code(w, 0x0040A168, &finding->site);
    if (side) {
        content_open(w);
        content_code(w, CONTENT_MODIFIER, &laterality, side);
        dicom_write_sequence_end(w);
    }
    dicom_write_item_end(w);
}

// The document verifies nothing, whoever has accepted the finding by a typed name; nor may it be another one after
// that.
static const char *comment_on(struct sr *sr, const struct finding *finding)
{
    const char *sentence = finding_sentence(finding, &sr->object.scratch);
    return sentence ? arena_printf(&sr->object.scratch, "%s; unverified", sentence) : NULL;
}

static void put_finding(struct sr *sr, const struct finding *finding)
{
    struct dicom_writer *w = &sr->object.writer;
    char tracking[DICOM_UID_SIZE], uid[DICOM_UID_SIZE];
    arena_reset(&sr->object.scratch);
    object_tracking_uid(uid, finding);
    content_open_container(w, &group, "1411");
    content_text(w, CONTENT_CONTEXT, &tracking_identifier, object_tracking_text(tracking, finding));
    content_uid(w, CONTENT_CONTEXT, &tracking_uid, uid);
    content_code(w, CONTENT_CONTAINS, &finding_name, &finding->concept);
    put_site(sr, finding);
    content_object(w, "IMAGE", &referenced_segment, FINDING_SEG_CLASS, sr->object.context->seg, finding->segment);
    content_uid(w, CONTENT_CONTAINS, &source_series, sr->object.series);
    put_number(sr, &volume, round(finding->volume_ml * 1e3) / 1e3, &millilitre);
    if (sr->object.context->result->calibrated)
        put_number(sr, &certainty, round(finding->score * 1e4) / 1e2, &percent);
    content_text(w, CONTENT_CONTAINS, &comment, comment_on(sr, finding));
    content_close(w);
}

static void put_nothing(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    const struct finding_result *result = sr->object.context->result;
    char tracking[DICOM_UID_SIZE], uid[DICOM_UID_SIZE];
    arena_reset(&sr->object.scratch);
    snprintf(tracking, sizeof tracking, "%.40s", result->model);
    object_uid(uid, result->id, "tracking 0");
    content_open_container(w, &group, "1501");
    content_text(w, CONTENT_CONTEXT, &tracking_identifier, tracking);
    content_uid(w, CONTENT_CONTEXT, &tracking_uid, uid);
    // What a reviewer rejected was detected: only the model's own negative says that nothing was.
    if (result->outcome == FINDING_NEGATIVE)
        content_code(w, CONTENT_CONTAINS, *object_text(result->concept.value) ? &result->concept : &finding_name,
                     &not_detected);
    content_text(w, CONTENT_CONTAINS, &comment, object_nothing(result, &sr->object.scratch));
    content_close(w);
}

static void write_content(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    const char *looked_at = object_looked_at(sr->object.context->result, &sr->object.scratch);
    content_open(w);
    content_language(w);
    content_observer(w, sr->object.context);
    content_code(w, CONTENT_MODIFIER, &procedure_reported, &sr->modality->procedure);
    put_library(sr);
    content_text(w, CONTENT_CONTAINS, &comment, looked_at);
    content_open_container(w, &measurements, NULL);
    for (size_t i = 0; i < sr->count; i++)
        if (object_stands(&sr->findings[i]))
            put_finding(sr, &sr->findings[i]);
    if (sr->standing == 0)
        put_nothing(sr);
    content_close(w);
    dicom_write_sequence_end(w);
}

// ---- the whole

static void write_predecessor(struct sr *sr)
{
    const char *const instance = object_text(sr->object.context->predecessor);
    const struct content_series series = {sr->predecessor_series, FINDING_SR_CLASS, &instance, 1};
    if (*instance)
        content_evidence(&sr->object.writer, 0x0040A360, sr->object.study, &series, 1);
}

static void write_evidence(struct sr *sr)
{
    const struct finding_context *context = sr->object.context;
    const struct content_series series[] = {
        {sr->object.series, context->slice_class, context->slice_instances, context->geometry->slices},
        {sr->seg_series, FINDING_SEG_CLASS, &context->seg, 1},
    };
    content_evidence(&sr->object.writer, 0x0040A375, sr->object.study, series, sr->standing > 0 ? 2 : 1);
}

static void write_sr(struct sr *sr)
{
    struct dicom_writer *w = &sr->object.writer;
    object_write_head(&sr->object, &kind);
    content_empty_sequence(w, 0x00081111);
    object_write_middle(&sr->object, &kind);
    content_root(w, &report);
    write_predecessor(sr);
    content_empty_sequence(w, 0x0040A372);
    write_evidence(sr);
    dicom_write_text(w, 0x0040A491, "COMPLETE");
    object_write_cut(&sr->object, 0x0040A492, object_text(sr->object.context->result->label_text), DICOM_UID_MAX);
    dicom_write_text(w, 0x0040A493, "UNVERIFIED");
    content_template(w, "1500");
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

static bool find_references(struct sr *sr, struct error *err)
{
    const struct finding_context *context = sr->object.context;
    const char *seg = object_text(context->seg), *predecessor = object_text(context->predecessor),
               *series = object_text(context->predecessor_series);
    if (sr->standing > 0 && !object_find_series(context->result, "seg", seg, sr->seg_series))
        return error_set(err, ERROR_BAD_VALUE, "\"%.64s\" is no segmentation of this result", seg);
    if (!*predecessor)
        return true;
    if (!*series && !object_find_series(context->result, kind.purpose, predecessor, sr->predecessor_series))
        return error_set(err, ERROR_BAD_VALUE,
                         "report %.64s, which this one takes the place of, comes without its series", predecessor);
    if (*series)
        text_copy(sr->predecessor_series, sizeof sr->predecessor_series, series);
    return true;
}

// Only what holds is a document.
static bool check_result(const struct finding_result *result, struct error *err)
{
    if (result->standing != FINDING_CURRENT)
        return error_set(err, ERROR_BAD_VALUE, "a result that is %s is no report",
                         finding_standing_text(result->standing));
    return finding_is_answer(result->outcome) ||
           error_set(err, ERROR_BAD_VALUE, "a result that is %s is no report", finding_outcome_text(result->outcome));
}

static bool begin(struct sr *sr, const struct finding_context *context, struct buffer *out, struct error *err)
{
    for (size_t i = 0; i < sr->count; i++)
        sr->standing += object_stands(&sr->findings[i]);
    if (!check_result(context->result, err) || !object_check_slices(context, err) ||
        !object_begin(&sr->object, context, sr->findings, sr->count, out, err))
        return false;
    object_tell_left_out(context);
    if (find_references(sr, err))
        return true;
    object_drop(&sr->object);
    return false;
}

bool finding_to_sr(const struct finding_context *context, const struct finding *findings, size_t count,
                   struct buffer *out, struct error *err)
{
    struct sr sr = {.findings = findings, .count = count};
    if (!begin(&sr, context, out, err))
        return false;
    sr.modality = modality_of(context->source);
    dicom_text_copy(context->source, 0x00200052, sr.frame_of_reference, sizeof sr.frame_of_reference);
    write_sr(&sr);
    return object_end(&sr.object, "a structured report", err);
}
