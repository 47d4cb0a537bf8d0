// Two objects that came under one SOP Instance UID: the same, other attributes, or other pixels.
#include "archive/compare.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "image/frames.h"

enum { VALUE_MAX = 64 << 10, INFLATED_VALUE_MAX = 1 << 20, BLOCK = 64 << 10 };

// One of the two, read.
struct side {
    const struct compare_side *from;
    const struct dicom_dataset *dataset;
    bool deflated;
};

// ---- trees

static bool parse(const struct compare_side *from, struct arena *arena, struct side *out, struct error *err)
{
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_or_default(from->transfer_syntax);
    const struct dicom_parse_options options = {.value_max = syntax->deflated ? INFLATED_VALUE_MAX : VALUE_MAX,
                                                .depth_max = DICOM_DEPTH_MAX,
                                                .charset = from->charset};
    struct source_reader source = {from->reader, 0, malloc(BLOCK), BLOCK};
    *out = (struct side){.from = from, .deflated = syntax->deflated};
    bool ok = source.block ? dicom_parse(source_from_reader(&source), syntax, &options, arena, &out->dataset, err)
                           : error_set(err, ERROR_MEMORY, "no memory to read an object");
    free(source.block);
    return ok;
}

// ---- pixels

static const struct dicom_element *pixels_of(const struct side *side)
{
    static const dicom_tag tags[] = {0x7FE00010, 0x7FE00008, 0x7FE00009};
    const struct dicom_element *pixels = NULL;
    for (size_t i = 0; i < sizeof tags / sizeof *tags && !pixels; i++)
        pixels = dicom_find(side->dataset, tags[i]);
    return pixels;
}

static bool same_range(const struct side *a, uint64_t a_offset, const struct side *b, uint64_t b_offset, uint64_t size,
                       uint8_t *blocks)
{
    struct error ignored;
    for (uint64_t at = 0, n; at < size; at += n) {
        n = size - at < BLOCK ? size - at : BLOCK;
        if (!reader_read(&a->from->reader, a_offset + at, blocks, (size_t)n, &ignored) ||
            !reader_read(&b->from->reader, b_offset + at, blocks + BLOCK, (size_t)n, &ignored) ||
            memcmp(blocks, blocks + BLOCK, (size_t)n) != 0)
            return false;
    }
    return true;
}

static bool same_fragments(const struct side *a, const struct dicom_element *x, const struct side *b,
                           const struct dicom_element *y, uint8_t *blocks)
{
    bool same = x->fragment_count == y->fragment_count;
    // The first one is the offset table, which may be there or not.
    for (size_t i = 1; same && i < x->fragment_count; i++)
        same = x->fragments[i].length == y->fragments[i].length &&
               same_range(a, x->fragments[i].offset, b, y->fragments[i].offset, x->fragments[i].length, blocks);
    return same;
}

// Byte for byte, as they lie in the two files: where that holds nothing need be decoded, or be fit to be.
static bool same_as_they_lie(const struct side *a, const struct side *b)
{
    const struct dicom_element *x = pixels_of(a), *y = pixels_of(b);
    if (!x && !y)
        return true;
    if (!x || !y || x->tag != y->tag || a->deflated || b->deflated || x->big_endian != y->big_endian)
        return false;
    const bool fragments = x->fragment_count > 0 || y->fragment_count > 0;
    if ((fragments && strcmp(a->from->transfer_syntax, b->from->transfer_syntax) != 0) || x->length != y->length)
        return false;
    uint8_t *blocks = malloc(2 * BLOCK);
    bool same = blocks && (fragments ? same_fragments(a, x, b, y, blocks)
                                     : same_range(a, x->offset, b, y->offset, x->length, blocks));
    free(blocks);
    return same;
}

static bool same_format(const struct image_format *a, const struct image_format *b)
{
    return a->rows == b->rows && a->columns == b->columns && a->frames == b->frames && a->samples == b->samples &&
           a->bits_allocated == b->bits_allocated && a->bits_stored == b->bits_stored && a->high_bit == b->high_bit &&
           a->is_signed == b->is_signed && a->is_float == b->is_float;
}

// What says how pixels are to be read: as good as in the pixels themselves.
static bool same_description(const struct side *a, const struct side *b)
{
    struct image_format x, y;
    struct error ignored;
    bool in_a = image_describe(a->dataset, &x, &ignored), in_b = image_describe(b->dataset, &y, &ignored);
    return in_a == in_b && (!in_a || (same_format(&x, &y) && x.color == y.color && x.planar == y.planar));
}

// RRR GGG BBB to RGB RGB RGB.
static void interleave(const struct image_format *format, const uint8_t *planes, uint8_t *out)
{
    const size_t bytes = format->bits_allocated / 8u;
    const size_t area = (size_t)format->frame_bytes / format->samples / bytes;
    for (size_t s = 0; s < format->samples; s++)
        for (size_t i = 0; i < area; i++)
            memcpy(out + (i * format->samples + s) * bytes, planes + (s * area + i) * bytes, bytes);
}

// Bits outside Bits Stored are no pixels: a codec need not keep them.
static uint64_t stored_mask(const struct image_format *format)
{
    if (format->is_float || format->bits_stored >= format->bits_allocated || format->bits_allocated > 32)
        return UINT64_MAX;
    return ((UINT64_C(1) << format->bits_stored) - 1) << (format->high_bit + 1 - format->bits_stored);
}

static bool same_samples(const struct image_format *format, const uint8_t *a, const uint8_t *b)
{
    const size_t bytes = format->bits_allocated / 8u;
    const uint64_t mask = stored_mask(format);
    if (memcmp(a, b, (size_t)format->frame_bytes) == 0)
        return true;
    if (mask == UINT64_MAX || bytes == 0)
        return false;
    for (size_t at = 0; at < format->frame_bytes; at += bytes) {
        uint64_t unlike = 0;
        for (size_t i = 0; i < bytes; i++)
            unlike |= (uint64_t)(a[at + i] ^ b[at + i]) << (8 * i);
        if (unlike & mask)
            return false;
    }
    return true;
}

struct pair {
    struct image_frames a, b;
    uint8_t *memory; // two frames, and one to turn planes in
};

// A frame without planes. *color: what its samples are.
static bool read_frame(struct image_frames *frames, uint32_t index, uint8_t *out, uint8_t *spare,
                       enum image_color *color, struct error *err)
{
    const struct image_format *format = &frames->format;
    const bool planes = !frames->encapsulated && format->planar && format->samples > 1 && format->bits_allocated >= 8 &&
                        format->frame_bytes % (format->samples * (format->bits_allocated / 8u)) == 0;
    if (!image_frame(frames, index, planes ? spare : out, (size_t)format->frame_bytes, color, err))
        return false;
    if (planes)
        interleave(format, spare, out);
    return true;
}

static bool same_frame(struct pair *pair, uint32_t index, bool *same, struct error *err)
{
    const size_t size = (size_t)pair->a.format.frame_bytes;
    enum image_color a_color, b_color;
    uint8_t *a = pair->memory, *b = a + size, *spare = b + size;
    if (!read_frame(&pair->a, index, a, spare, &a_color, err) || !read_frame(&pair->b, index, b, spare, &b_color, err))
        return false;
    *same = a_color == b_color && same_samples(&pair->a.format, a, b);
    return true;
}

static bool same_frames(struct pair *pair, bool *same, struct error *err)
{
    const int64_t end_ns = clock_monotonic_ns() + COMPARE_SECONDS * CLOCK_SECOND;
    *same = same_format(&pair->a.format, &pair->b.format);
    if (!*same)
        return true;
    if (pair->a.format.frame_bytes != pair->b.format.frame_bytes || pair->a.format.frame_bytes > COMPARE_FRAME_BYTES)
        return error_set(err, ERROR_LIMIT, "a frame of %llu bytes cannot be compared with one of %llu",
                         (unsigned long long)pair->a.format.frame_bytes,
                         (unsigned long long)pair->b.format.frame_bytes);
    pair->memory = malloc(3 * (size_t)pair->a.format.frame_bytes);
    if (!pair->memory)
        return error_set(err, ERROR_MEMORY, "no memory for three frames");
    for (uint32_t i = 0; *same && i < pair->a.format.frames; i++) {
        if (clock_monotonic_ns() > end_ns)
            return error_set(err, ERROR_TIMEOUT, "%u of %u frames took %d s", i, pair->a.format.frames,
                             (int)COMPARE_SECONDS);
        if (!same_frame(pair, i, same, err))
            return error_prefix(err, "frame %u", i + 1);
    }
    return true;
}

static bool open_frames(const struct side *side, struct image_decoder *decoder, struct image_frames *out,
                        struct error *err)
{
    struct reader reader = side->from->reader;
    reader.release = NULL;
    return image_frames_open(out, side->dataset, side->from->transfer_syntax, reader, decoder, err);
}

// The pixels as people see them, whatever they are packed in.
static bool same_decoded(const struct side *a, const struct side *b, struct image_decoder *decoder, bool *same,
                         struct error *err)
{
    *same = false;
    if (!pixels_of(a) || !pixels_of(b))
        return true; // one has none
    struct pair *pair = calloc(1, sizeof *pair);
    if (!pair)
        return error_set(err, ERROR_MEMORY, "no memory to compare pixels");
    bool ok = open_frames(a, decoder, &pair->a, err) && open_frames(b, decoder, &pair->b, err) &&
              same_frames(pair, same, err);
    image_frames_close(&pair->a);
    image_frames_close(&pair->b);
    free(pair->memory);
    free(pair);
    return ok;
}

// ---- both

// What a codec or a rearrangement changes with the pixels staying what they are: how it derived them (dcmcjpeg tells
// its parameters there), the colour space of its stream, and planes.
static const dicom_tag packing[] = {0x00082111, 0x00280004, 0x00280006, 0};

// What says where the pixels are, how large, what their values are, of what and when, with what contrast: what a reader
// or a model makes of them (PS3.3 C.7.6.1, C.7.6.2, C.7.6.4, C.8.2.1, C.11.1), and by what volumes of a series are told
// apart (model/fit.h). Descriptions are no part of it: they are corrected every day.
static const dicom_tag meaning[] = {
    0x00080008, // Image Type: a localizer or not
    0x0008002A, // Acquisition DateTime: phases are told apart by these
    0x00080032, // Acquisition Time
    0x00080060, // Modality
    0x00180010, // Contrast/Bolus Agent
    0x00180012, // its sequence
    0x00180014, // its administration route sequence
    0x00180015, // Body Part Examined
    0x00180024, // Sequence Name
    0x00180050, // Slice Thickness
    0x00180060, // KVP
    0x00180081, // Echo Time
    0x00180082, // Inversion Time
    0x00180086, // Echo Numbers
    0x00180088, // Spacing Between Slices
    0x00181040, // Contrast/Bolus Route
    0x00181041, // its volume
    0x00181042, // Contrast/Bolus Start Time
    0x00181043, // Contrast/Bolus Stop Time
    0x00181044, // Contrast/Bolus Total Dose
    0x00181046, // Contrast Flow Rate
    0x00181048, // Contrast/Bolus Ingredient
    0x00181049, // Contrast/Bolus Ingredient Concentration
    0x00181060, // Trigger Time
    0x00181120, // Gantry/Detector Tilt
    0x00181164, // Imager Pixel Spacing
    0x00181210, // Convolution Kernel
    0x00181314, // Flip Angle
    0x00185100, // Patient Position
    0x00189087, // Diffusion b-value
    0x00189089, // Diffusion Gradient Orientation
    0x00200012, // Acquisition Number
    0x00200032, // Image Position (Patient)
    0x00200037, // Image Orientation (Patient)
    0x00200052, // Frame of Reference UID
    0x00200060, // Laterality
    0x00200062, // Image Laterality
    0x00200100, // Temporal Position Identifier
    0x00209241, // Nominal Percentage of Cardiac Phase
    0x00280004, // Photometric Interpretation, where no codec changed it
    0x00280030, // Pixel Spacing
    0x00280034, // Pixel Aspect Ratio
    0x00280120, // Pixel Padding Value
    0x00280121, // its range
    0x00281052, // Rescale Intercept
    0x00281053, // Rescale Slope
    0x00281054, // Rescale Type
    0x00283000, // Modality LUT Sequence
    0x00541001, // Units
    0x00541300, // Frame Reference Time
    0x52009229, // Shared Functional Groups
    0x52009230, // Per-frame Functional Groups
};

static bool has_other_meaning(const struct dicom_unlike *unlike, size_t count)
{
    bool other = count > COMPARE_SEEN;
    for (size_t i = 0; i < count && !other; i++)
        for (size_t k = 0; k < sizeof meaning / sizeof *meaning; k++)
            other = other || unlike[i].tag == meaning[k];
    return other;
}

static bool keep(struct compare *out, const struct dicom_unlike *unlike, size_t count, struct arena *arena)
{
    out->count = count < COMPARE_SHOWN ? count : COMPARE_SHOWN;
    for (size_t i = 0; i < out->count; i++) {
        out->differences[i] = (struct archive_difference){unlike[i].tag, arena_strdup(arena, unlike[i].a),
                                                          arena_strdup(arena, unlike[i].b)};
        if (!out->differences[i].said || !out->differences[i].known)
            return false;
    }
    return true;
}

static bool compare_sides(const struct side *newer, const struct side *known, struct image_decoder *decoder,
                          struct arena *scratch, struct dicom_unlike *unlike, size_t *count,
                          enum compare_result *result, struct error *err)
{
    const struct dicom_side a = {newer->dataset, newer->deflated ? NULL : &newer->from->reader};
    const struct dicom_side b = {known->dataset, known->deflated ? NULL : &known->from->reader};
    struct error why;
    bool as_they_lie = same_as_they_lie(newer, known) && same_description(newer, known), same = as_they_lie;
    bool looked = as_they_lie || same_decoded(newer, known, decoder, &same, &why);
    if (!dicom_compare(&a, &b, looked && same && !as_they_lie ? packing : NULL, scratch, unlike, COMPARE_SEEN, count,
                       err))
        return false;
    if (!looked) {
        *err = why;
        return false;
    }
    *result = !same                               ? COMPARE_PIXELS
              : has_other_meaning(unlike, *count) ? COMPARE_MEANING
              : *count > 0                        ? COMPARE_ATTRIBUTES
                                                  : COMPARE_SAME;
    return true;
}

bool compare_objects(const struct compare_side *newer, const struct compare_side *known, struct image_decoder *decoder,
                     struct arena *arena, struct compare *out, struct error *err)
{
    struct arena scratch;
    struct dicom_unlike unlike[COMPARE_SEEN];
    struct side a, b;
    struct error why;
    size_t count = 0;
    *out = (struct compare){0};
    arena_init(&scratch, COMPARE_MEMORY);
    if (!parse(newer, &scratch, &a, &why) || !parse(known, &scratch, &b, &why) ||
        !compare_sides(&a, &b, decoder, &scratch, unlike, &count, &out->result, &why)) {
        out->result = COMPARE_UNKNOWN;
        text_copy(out->reason, sizeof out->reason, why.message);
    }
    bool ok = keep(out, unlike, count, arena) ||
              error_set(err, ERROR_LIMIT, "no memory for what two objects of one UID differ in");
    arena_free(&scratch);
    return ok;
}
