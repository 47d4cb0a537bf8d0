// A Segmentation (PS3.3 A.51, C.8.20): a segment for each finding, a frame for each slice that the segment has voxels
// in, segment by segment, slices rising. Frames are bits, the first pixel lowest, and follow each other without
// padding: frame n begins at bit n * rows * columns (PS3.5 8.2).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "finding/object.h"

enum { LABEL_MAX = 64, FRAMES_MAX = 65536 };

static const struct object_kind kind = {FINDING_SEG_CLASS, "SEG", "DERIVED\\PRIMARY", "seg", "Segmentation"};

static const struct finding_code category = {"49755003", "SCT", "Morphologically Abnormal Structure"};
static const struct finding_code family = {"123110", "DCM", "Artificial Intelligence"};
static const struct finding_code derivation = {"113076", "DCM", "Segmentation"};
static const struct finding_code purpose = {"121322", "DCM", "Source image for image processing operation"};

struct seg {
    struct object object;
    const struct finding *findings;
    size_t count;
    const uint16_t *labels; // [slices][rows][columns]
    bool *touched;          // [count][slices]
    uint32_t *rank;         // [slices]: of those touched by any segment, from 1
    size_t frames;
};

// ---- which frames there are

static size_t area_of(const struct seg *seg)
{
    return seg->object.context->geometry->rows * seg->object.context->geometry->columns;
}

static void mark_slice(struct seg *seg, size_t slice)
{
    size_t area = area_of(seg), slices = seg->object.context->geometry->slices;
    const uint16_t *labels = seg->labels + slice * area;
    for (size_t i = 0; i < area; i++)
        if (labels[i] > 0 && labels[i] <= seg->count)
            seg->touched[(size_t)(labels[i] - 1) * slices + slice] = true;
}

static bool count_frames(struct seg *seg, struct error *err)
{
    size_t slices = seg->object.context->geometry->slices;
    for (size_t s = 0; s < seg->count; s++) {
        size_t before = seg->frames;
        for (size_t k = 0; k < slices; k++) {
            seg->frames += seg->touched[s * slices + k];
            seg->rank[k] |= seg->touched[s * slices + k];
        }
        if (seg->frames == before)
            return error_set(err, ERROR_BAD_DATA, "the label map has no voxel of segment %zu", s + 1);
    }
    uint32_t rank = 0;
    for (size_t k = 0; k < slices; k++)
        if (seg->rank[k])
            seg->rank[k] = ++rank;
    return seg->frames <= FRAMES_MAX ||
           error_set(err, ERROR_LIMIT, "the segments have %zu frames, more than %d", seg->frames, FRAMES_MAX);
}

static bool find_frames(struct seg *seg, struct error *err)
{
    const struct image_geometry *geometry = seg->object.context->geometry;
    if (seg->count == 0)
        return error_set(err, ERROR_BAD_VALUE, "a segmentation needs a segment");
    if (geometry->rows == 0 || geometry->rows > UINT16_MAX || geometry->columns == 0 || geometry->columns > UINT16_MAX)
        return error_set(err, ERROR_BAD_VALUE, "frames of %zu x %zu do not exist", geometry->rows, geometry->columns);
    seg->touched = calloc(seg->count * geometry->slices, sizeof *seg->touched);
    seg->rank = calloc(geometry->slices, sizeof *seg->rank);
    if (!seg->touched || !seg->rank)
        return error_set(err, ERROR_MEMORY, "no memory for a segmentation");
    for (size_t k = 0; k < geometry->slices; k++)
        mark_slice(seg, k);
    return count_frames(seg, err);
}

// ---- what the whole says

static void write_referenced_series(struct seg *seg)
{
    struct dicom_writer *writer = &seg->object.writer;
    const struct finding_context *context = seg->object.context;
    dicom_write_sequence(writer, 0x00081115);
    dicom_write_item(writer);
    dicom_write_sequence(writer, 0x0008114A);
    for (size_t k = 0; k < context->geometry->slices; k++) {
        dicom_write_item(writer);
        object_write_reference(writer, context->slice_class, context->slice_instances[k]);
        dicom_write_item_end(writer);
    }
    dicom_write_sequence_end(writer);
    dicom_write_text(writer, 0x0020000E, seg->object.series);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
}

static void write_dimension(struct dicom_writer *writer, const char *organization, dicom_tag index, dicom_tag group,
                            const char *label)
{
    dicom_write_item(writer);
    dicom_write_text(writer, 0x00209164, organization);
    dicom_write_integer(writer, 0x00209165, index);
    dicom_write_integer(writer, 0x00209167, group);
    dicom_write_text(writer, 0x00209421, label);
    dicom_write_item_end(writer);
}

static void write_dimensions(struct seg *seg)
{
    struct dicom_writer *writer = &seg->object.writer;
    char organization[DICOM_UID_SIZE];
    object_uid(organization, seg->object.context->result->id, "seg dimensions");
    dicom_write_sequence(writer, 0x00209221);
    dicom_write_item(writer);
    dicom_write_text(writer, 0x00209164, organization);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
    dicom_write_sequence(writer, 0x00209222);
    write_dimension(writer, organization, 0x0062000B, 0x0062000A, "Segment");
    write_dimension(writer, organization, 0x00200032, 0x00209113, "Position");
    dicom_write_sequence_end(writer);
}

static void write_image(struct seg *seg)
{
    struct dicom_writer *writer = &seg->object.writer;
    const struct finding_context *context = seg->object.context;
    char lossy[17];
    dicom_write_integer(writer, 0x00280002, 1);
    dicom_write_text(writer, 0x00280004, "MONOCHROME2");
    dicom_write_integer(writer, 0x00280008, (int64_t)seg->frames);
    dicom_write_integer(writer, 0x00280010, (int64_t)context->geometry->rows);
    dicom_write_integer(writer, 0x00280011, (int64_t)context->geometry->columns);
    dicom_write_integer(writer, 0x00280100, 1);
    dicom_write_integer(writer, 0x00280101, 1);
    dicom_write_integer(writer, 0x00280102, 0);
    dicom_write_integer(writer, 0x00280103, 0);
    // What was drawn on lossy pixels is lossy too (PS3.3 C.8.20.2).
    bool is_lossy = dicom_text_copy(context->source, 0x00282110, lossy, sizeof lossy) && strcmp(lossy, "01") == 0;
    dicom_write_text(writer, 0x00282110, is_lossy ? "01" : "00");
    if (is_lossy) {
        object_copy_some(&seg->object, 0x00282112);
        object_copy_some(&seg->object, 0x00282114);
    }
}

// ---- segments

static void write_region(struct dicom_writer *writer, const struct finding *finding)
{
    const struct finding_code *side = object_side(finding->side);
    if (!finding->site.value || !*finding->site.value)
        return;
    dicom_write_sequence(writer, 0x00082218);
    dicom_write_item(writer);
    object_write_code_in(writer, &finding->site);
    if (side)
        object_write_code(writer, 0x00082220, side);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
}

static void write_algorithm(struct seg *seg)
{
    struct dicom_writer *writer = &seg->object.writer;
    const struct finding_result *result = seg->object.context->result;
    dicom_write_sequence(writer, 0x00620007);
    dicom_write_item(writer);
    object_write_code(writer, 0x0066002F, &family);
    object_write_cut(&seg->object, 0x00660031, object_text(result->model_version), LABEL_MAX);
    dicom_write_printf(writer, 0x00660032, "package SHA-256 %.64s", object_text(result->model_digest));
    object_write_cut(&seg->object, 0x00660036, result->model, LABEL_MAX);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
}

// CIELab as integers (PS3.3 C.10.7.1.1): L* 0 to 100 in 0 to 65535, a* and b* -128 to 127 in the same; hues far apart
// from one segment to the next.
static void write_colour(struct dicom_writer *writer, size_t index)
{
    static const int64_t colours[][3] = {
        {34885, 53485, 50171}, {48000, 25000, 52000}, {38000, 30000, 18000}, {50000, 16000, 46000},
        {40000, 52000, 20000}, {56000, 31000, 58000}, {45000, 20000, 28000}, {36000, 44000, 38000},
    };
    dicom_write_integers(writer, 0x0062000D, colours[index % (sizeof colours / sizeof *colours)], 3);
}

static void write_type(struct dicom_writer *writer, const struct finding *finding)
{
    const struct finding_code *side = object_side(finding->side);
    dicom_write_sequence(writer, 0x0062000F);
    dicom_write_item(writer);
    object_write_code_in(writer, &finding->concept);
    if (side)
        object_write_code(writer, 0x00620011, side);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
}

static void write_segment(struct seg *seg, size_t index)
{
    struct dicom_writer *writer = &seg->object.writer;
    const struct finding *finding = &seg->findings[index];
    char tracking[DICOM_UID_SIZE], uid[DICOM_UID_SIZE];
    const char *sentence = finding_sentence(finding, &seg->object.scratch);
    dicom_write_item(writer);
    write_region(writer, finding);
    object_write_code(writer, 0x00620003, &category);
    dicom_write_integer(writer, 0x00620004, finding->segment);
    object_write_cut(&seg->object, 0x00620005, finding->concept.meaning, LABEL_MAX);
    dicom_write_text(writer, 0x00620006, sentence);
    write_algorithm(seg);
    dicom_write_text(writer, 0x00620008, "AUTOMATIC");
    object_write_cut(&seg->object, 0x00620009, seg->object.context->result->model, LABEL_MAX);
    write_colour(writer, index);
    write_type(writer, finding);
    object_tracking_uid(uid, finding);
    dicom_write_text(writer, 0x00620020, object_tracking_text(tracking, finding));
    dicom_write_text(writer, 0x00620021, uid);
    dicom_write_item_end(writer);
}

static void write_segments(struct seg *seg)
{
    struct dicom_writer *writer = &seg->object.writer;
    dicom_write_text(writer, 0x00620001, "BINARY");
    dicom_write_sequence(writer, 0x00620002);
    for (size_t i = 0; i < seg->count; i++)
        write_segment(seg, i);
    dicom_write_sequence_end(writer);
    dicom_write_text(writer, 0x00700080, "SEGMENTATION");
    object_write_cut(&seg->object, 0x00700081, object_text(seg->object.context->result->label_text), LABEL_MAX);
    dicom_write_text(writer, 0x00700084, NULL);
}

// ---- frames

static void write_shared(struct seg *seg)
{
    struct dicom_writer *writer = &seg->object.writer;
    const struct image_geometry *geometry = seg->object.context->geometry;
    double directions[6], thickness;
    memcpy(directions, geometry->row_direction, sizeof geometry->row_direction);
    memcpy(directions + 3, geometry->column_direction, sizeof geometry->column_direction);
    if (!dicom_number(seg->object.context->source, 0x00180050, 0, &thickness) || !(thickness > 0))
        thickness = geometry->spacing_mm[0];
    dicom_write_sequence(writer, 0x52009229);
    dicom_write_item(writer);
    dicom_write_sequence(writer, 0x00209116);
    dicom_write_item(writer);
    dicom_write_doubles(writer, 0x00200037, directions, 6);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
    dicom_write_sequence(writer, 0x00289110);
    dicom_write_item(writer);
    dicom_write_double(writer, 0x00180050, thickness);
    dicom_write_double(writer, 0x00180088, geometry->spacing_mm[0]);
    dicom_write_doubles(writer, 0x00280030, geometry->spacing_mm + 1, 2);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
}

static void write_derivation(struct seg *seg, size_t slice)
{
    struct dicom_writer *writer = &seg->object.writer;
    const struct finding_context *context = seg->object.context;
    dicom_write_sequence(writer, 0x00089124);
    dicom_write_item(writer);
    dicom_write_sequence(writer, 0x00082112);
    dicom_write_item(writer);
    object_write_reference(writer, context->slice_class, context->slice_instances[slice]);
    dicom_write_text(writer, 0x0028135A, "YES");
    object_write_code(writer, 0x0040A170, &purpose);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
    object_write_code(writer, 0x00089215, &derivation);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
}

static void write_frame(struct seg *seg, size_t segment, size_t slice)
{
    struct dicom_writer *writer = &seg->object.writer;
    const int64_t indices[2] = {(int64_t)segment + 1, seg->rank[slice]};
    dicom_write_item(writer);
    write_derivation(seg, slice);
    dicom_write_sequence(writer, 0x00209111);
    dicom_write_item(writer);
    dicom_write_integers(writer, 0x00209157, indices, 2);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
    dicom_write_sequence(writer, 0x00209113);
    dicom_write_item(writer);
    dicom_write_doubles(writer, 0x00200032, seg->object.context->slice_positions_mm[slice], 3);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
    dicom_write_sequence(writer, 0x0062000A);
    dicom_write_item(writer);
    dicom_write_integer(writer, 0x0062000B, (int64_t)segment + 1);
    dicom_write_item_end(writer);
    dicom_write_sequence_end(writer);
    dicom_write_item_end(writer);
}

static void pack_frame(const struct seg *seg, size_t segment, size_t slice, uint8_t *bits, size_t at)
{
    size_t area = area_of(seg);
    const uint16_t *labels = seg->labels + slice * area;
    for (size_t i = 0; i < area; i++)
        if (labels[i] == segment + 1)
            bits[(at + i) / 8] |= (uint8_t)(1U << (at + i) % 8);
}

// Per-frame groups, or with `bits` the frames' pixels, in the one order.
static void write_frames(struct seg *seg, uint8_t *bits)
{
    size_t slices = seg->object.context->geometry->slices, at = 0;
    for (size_t s = 0; s < seg->count; s++)
        for (size_t k = 0; k < slices; k++) {
            if (!seg->touched[s * slices + k])
                continue;
            if (bits)
                pack_frame(seg, s, k, bits, at);
            else
                write_frame(seg, s, k);
            at += area_of(seg);
        }
}

static bool write_pixels(struct seg *seg, struct error *err)
{
    // Neither product overflows: at most 65536 frames of 65535 x 65535 bits.
    size_t size = (seg->frames * area_of(seg) + 7) / 8;
    if (size > seg->object.writer.out->limit)
        return error_set(err, ERROR_LIMIT, "the segmentation has %zu bytes of pixels, more than an object may", size);
    uint8_t *bits = calloc(1, size);
    if (!bits)
        return error_set(err, ERROR_MEMORY, "no memory for the pixels of a segmentation");
    write_frames(seg, bits);
    dicom_write_bytes(&seg->object.writer, 0x7FE00010, DICOM_VR_OB, bits, size);
    free(bits);
    return true;
}

static bool write_seg(struct seg *seg, struct error *err)
{
    struct dicom_writer *writer = &seg->object.writer;
    char frame_of_reference[DICOM_UID_SIZE];
    if (!dicom_text_copy(seg->object.context->source, 0x00200052, frame_of_reference, sizeof frame_of_reference) ||
        !*frame_of_reference)
        return error_set(err, ERROR_BAD_VALUE, "the source image has no Frame of Reference UID (0020,0052)");
    if (!find_frames(seg, err))
        return false;
    object_write_head(&seg->object, &kind);
    write_referenced_series(seg);
    object_write_middle(&seg->object, &kind);
    dicom_write_text(writer, 0x00200052, frame_of_reference);
    object_copy(&seg->object, 0x00201040);
    write_dimensions(seg);
    write_image(seg);
    write_segments(seg);
    write_shared(seg);
    dicom_write_sequence(writer, 0x52009230);
    write_frames(seg, NULL);
    dicom_write_sequence_end(writer);
    return write_pixels(seg, err);
}

bool finding_to_seg(const struct finding_context *context, const struct finding *findings, size_t count,
                    const uint16_t *labels, struct buffer *out, struct error *err)
{
    struct seg seg = {.findings = findings, .count = count, .labels = labels};
    if (!object_check_slices(context, err) || !object_begin(&seg.object, context, findings, count, out, err))
        return false;
    bool ok = write_seg(&seg, err);
    free(seg.touched);
    free(seg.rank);
    if (ok)
        return object_end(&seg.object, "a segmentation", err);
    object_drop(&seg.object);
    return false;
}

// ---- again

enum { AGAIN_ARENA = 64 << 20, AGAIN_VALUE_MAX = 4096, ZONE = 0x00080201 };

// One of ours on the context's study, of an earlier revision of its result.
static bool check_ours(const struct finding_context *context, const struct dicom_dataset *seg, struct error *err)
{
    char sop_class[DICOM_UID_SIZE], uid[DICOM_UID_SIZE], study[DICOM_UID_SIZE], own[DICOM_UID_SIZE];
    dicom_text_copy(seg, 0x00080016, sop_class, sizeof sop_class);
    dicom_text_copy(seg, 0x00080018, uid, sizeof uid);
    dicom_text_copy(seg, 0x0020000D, study, sizeof study);
    dicom_text_copy(context->source, 0x0020000D, own, sizeof own);
    if (strcmp(sop_class, FINDING_SEG_CLASS) != 0 || strcmp(study, own) != 0)
        return error_set(err, ERROR_BAD_VALUE, "object %.64s is no segmentation of study %.64s", uid, own);
    return object_find_series(context->result, kind.purpose, uid, study) ||
           error_set(err, ERROR_BAD_VALUE, "segmentation %.64s is none of result %.64s", uid, context->result->id);
}

// What names the instance, its series and its time; the rest of the stream is copied byte by byte.
static bool write_renewed(struct dicom_writer *writer, const struct finding_context *context,
                          const struct object_time *at, dicom_tag tag)
{
    const struct finding_result *result = context->result;
    char uid[DICOM_UID_SIZE], series[DICOM_UID_SIZE];
    finding_seg_uid(uid, result->id, result->revision);
    object_series_uid(series, result->id, kind.purpose, result->revision);
    const struct {
        dicom_tag tag;
        const char *text;
    } rows[] = {{0x00080018, uid},      {0x00080021, at->date}, {0x00080023, at->date},
                {0x00080031, at->time}, {0x00080033, at->time}, {0x0020000E, series}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].tag == tag)
            dicom_write_text(writer, tag, rows[i].text);
    if (tag == 0x00200011)
        dicom_write_integer(writer, tag, object_series_number(series));
    return writer->last[0] == tag;
}

static void write_again(const struct finding_context *context, const struct dicom_dataset *parsed,
                        const struct buffer *seg, struct buffer *out)
{
    struct dicom_writer writer;
    struct object_time at; // in the zone that the dates in it are in
    object_time_of(parsed, context->time_ns, &at);
    dicom_writer_init(&writer, out, false);
    for (size_t i = 0; i < parsed->count; i++) {
        const dicom_tag tag = parsed->elements[i].tag;
        uint64_t from = parsed->elements[i].tag_offset,
                 to = i + 1 < parsed->count ? parsed->elements[i + 1].tag_offset : seg->size;
        if (i > 0 && parsed->elements[i - 1].tag < ZONE && tag > ZONE) // a program before wrote none
            dicom_write_text(&writer, ZONE, at.zone);
        if (!write_renewed(&writer, context, &at, tag))
            buffer_append(out, seg->data + from, (size_t)(to - from));
    }
}

bool finding_seg_again(const struct finding_context *context, const struct buffer *seg, struct buffer *out,
                       struct error *err)
{
    const struct dicom_parse_options options = {.value_max = AGAIN_VALUE_MAX};
    const struct dicom_dataset *parsed;
    struct source_memory memory = {seg->data, seg->size};
    struct arena arena;
    arena_init(&arena, AGAIN_ARENA);
    bool ok = dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(DICOM_TS_EXPLICIT), &options, &arena,
                          &parsed, err) &&
              check_ours(context, parsed, err);
    if (ok)
        write_again(context, parsed, seg, out);
    arena_free(&arena);
    return ok && buffer_check(out, "a segmentation", err);
}
