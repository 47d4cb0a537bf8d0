#include "image/image.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define TAG_SAMPLES DICOM_TAG(0x0028, 0x0002)
#define TAG_PHOTOMETRIC DICOM_TAG(0x0028, 0x0004)
#define TAG_PLANAR DICOM_TAG(0x0028, 0x0006)
#define TAG_FRAMES DICOM_TAG(0x0028, 0x0008)
#define TAG_ROWS DICOM_TAG(0x0028, 0x0010)
#define TAG_COLUMNS DICOM_TAG(0x0028, 0x0011)
#define TAG_BITS_ALLOCATED DICOM_TAG(0x0028, 0x0100)
#define TAG_BITS_STORED DICOM_TAG(0x0028, 0x0101)
#define TAG_HIGH_BIT DICOM_TAG(0x0028, 0x0102)
#define TAG_SIGNED DICOM_TAG(0x0028, 0x0103)
#define TAG_OVERLAY_POSITION DICOM_TAG(0x6000, 0x0102)
#define TAG_FLOAT_PIXELS DICOM_TAG(0x7FE0, 0x0008)
#define TAG_DOUBLE_PIXELS DICOM_TAG(0x7FE0, 0x0009)
#define TAG_PIXELS DICOM_TAG(0x7FE0, 0x0010)

#define SAMPLES_OF_FRAME_MAX (UINT64_C(1) << 32)

enum { SHOWN_SIZE = 48, OVERLAYS = 16, OVERLAY_STEP = 0x20000 }; // OVERLAY_STEP: from one overlay's group to the next

// The row for each attribute of the Image Pixel module (PS3.3 C.7.6.3) that is one unsigned number. `absent` below 0:
// it must be there.
struct number_rule {
    dicom_tag tag;
    int64_t least, most, absent;
};

static const char *keyword_of(dicom_tag tag)
{
    const struct dicom_attribute *attribute = dicom_attribute(tag);
    return attribute ? attribute->keyword : "?";
}

static bool bad_number(const struct dicom_dataset *dataset, const struct number_rule *rule, struct error *err)
{
    char text[SHOWN_SIZE] = "", shown[SHOWN_SIZE * 2];
    int64_t value;
    if (dicom_integer(dataset, rule->tag, 0, &value))
        snprintf(text, sizeof text, "%lld", (long long)value);
    else
        dicom_text_copy(dataset, rule->tag, text, sizeof text);
    return error_set(err, ERROR_BAD_VALUE, "%s is '%s', not a number from %lld to %lld", keyword_of(rule->tag),
                     text_show(shown, sizeof shown, text, strlen(text)), (long long)rule->least, (long long)rule->most);
}

static bool read_number(const struct dicom_dataset *dataset, const struct number_rule *rule, int64_t *out,
                        struct error *err)
{
    const struct dicom_element *element = dicom_find(dataset, rule->tag);
    const struct dicom_attribute *attribute = dicom_attribute(rule->tag);
    if (!element || element->length == 0) {
        *out = rule->absent;
        return rule->absent >= 0 || error_set(err, ERROR_BAD_VALUE, "%s is missing or empty", keyword_of(rule->tag));
    }
    if (attribute && element->vr != attribute->vr) {
        char is[3], due[3];
        dicom_vr_text(element->vr, is);
        dicom_vr_text(attribute->vr, due);
        return error_set(err, ERROR_BAD_VALUE, "%s has the value representation %s, not %s", attribute->keyword, is,
                         due);
    }
    if (!dicom_integer(dataset, rule->tag, 0, out) || *out < rule->least || *out > rule->most)
        return bad_number(dataset, rule, err);
    return true;
}

static enum image_color read_color(const struct dicom_dataset *dataset)
{
    static const struct {
        const char *name;
        enum image_color color;
    } colors[] = {
        {"MONOCHROME1", IMAGE_MONOCHROME1},
        {"MONOCHROME2", IMAGE_MONOCHROME2},
        {"PALETTE COLOR", IMAGE_PALETTE},
        {"RGB", IMAGE_RGB},
        {"YBR_FULL", IMAGE_YBR_FULL},
        {"YBR_FULL_422", IMAGE_YBR_FULL_422},
        {"YBR_ICT", IMAGE_YBR_ICT},
        {"YBR_RCT", IMAGE_YBR_RCT},
        {"YBR_PARTIAL_422", IMAGE_YBR_PARTIAL_422},
    };
    char text[32];
    if (dicom_text_copy(dataset, TAG_PHOTOMETRIC, text, sizeof text))
        for (size_t i = 0; i < sizeof colors / sizeof colors[0]; i++)
            if (strcmp(text, colors[i].name) == 0)
                return colors[i].color;
    return IMAGE_COLOR_OTHER;
}

// Float and Double Float Pixel Data have no Bits Stored (PS3.3 C.7.6.24); so may a data set be told that was read
// without its pixels.
static bool holds_floats(const struct dicom_dataset *dataset, uint16_t bits_allocated)
{
    if (dicom_find(dataset, TAG_FLOAT_PIXELS) || dicom_find(dataset, TAG_DOUBLE_PIXELS))
        return true;
    return bits_allocated >= 32 && !dicom_find(dataset, TAG_BITS_STORED) && !dicom_find(dataset, TAG_PIXELS);
}

static bool read_size(const struct dicom_dataset *dataset, struct image_format *out, struct error *err)
{
    static const struct number_rule rows = {TAG_ROWS, 1, UINT16_MAX, -1}, columns = {TAG_COLUMNS, 1, UINT16_MAX, -1},
                                    frames = {TAG_FRAMES, 0, IMAGE_FRAMES_MAX, 1}, samples = {TAG_SAMPLES, 1, 4, 1},
                                    planar = {TAG_PLANAR, 0, 1, 0};
    int64_t value[5];
    if (!read_number(dataset, &rows, &value[0], err) || !read_number(dataset, &columns, &value[1], err) ||
        !read_number(dataset, &frames, &value[2], err) || !read_number(dataset, &samples, &value[3], err) ||
        !read_number(dataset, &planar, &value[4], err))
        return false;
    if (value[3] == 2)
        return bad_number(dataset, &samples, err);
    out->rows = (uint32_t)value[0];
    out->columns = (uint32_t)value[1];
    out->frames = value[2] > 0 ? (uint32_t)value[2] : 1;
    out->samples = (uint16_t)value[3];
    out->planar = value[3] > 1 && value[4] == 1;
    return true;
}

// Overlays that stand in the pixels' unused bits are there whether or not anybody shows them.
static bool has_overlays_inside(const struct dicom_dataset *dataset, const struct image_format *format)
{
    int64_t position;
    for (dicom_tag i = 0; i < OVERLAYS; i++)
        if (dicom_integer(dataset, TAG_OVERLAY_POSITION + i * OVERLAY_STEP, 0, &position) && position > 0 &&
            position < format->bits_allocated)
            return true;
    return false;
}

static bool read_bits(const struct dicom_dataset *dataset, struct image_format *out, struct error *err)
{
    static const struct number_rule allocated = {TAG_BITS_ALLOCATED, 1, 64, -1}, sign = {TAG_SIGNED, 0, 1, 0};
    int64_t bits, stored_bits, high_bit, is_signed;
    if (!read_number(dataset, &allocated, &bits, err))
        return false;
    if (bits != 1 && (bits < 8 || (bits & (bits - 1)) != 0))
        return error_set(err, ERROR_BAD_VALUE, "BitsAllocated is %lld, not 1, 8, 16, 32 or 64", (long long)bits);
    const struct number_rule stored = {TAG_BITS_STORED, 1, bits, bits};
    if (!read_number(dataset, &stored, &stored_bits, err))
        return false;
    const struct number_rule high = {TAG_HIGH_BIT, stored_bits - 1, bits - 1, stored_bits - 1};
    if (!read_number(dataset, &high, &high_bit, err) || !read_number(dataset, &sign, &is_signed, err))
        return false;
    out->bits_allocated = (uint16_t)bits;
    out->bits_stored = (uint16_t)stored_bits;
    out->high_bit = (uint16_t)high_bit;
    out->is_signed = is_signed == 1;
    out->overlays_inside = has_overlays_inside(dataset, out);
    out->is_float = holds_floats(dataset, out->bits_allocated);
    if (out->is_float && bits != (dicom_find(dataset, TAG_DOUBLE_PIXELS) ? 64 : bits == 64 ? 64 : 32))
        return error_set(err, ERROR_BAD_VALUE, "BitsAllocated is %lld with floating-point pixels", (long long)bits);
    return true;
}

// The one place where frames get their size. 65535 * 65535 * 4 * 64 bits fit easily: no overflow here.
static void measure(struct image_format *format, uint64_t samples)
{
    format->frame_bits = samples * format->bits_allocated;
    format->frame_bytes = (format->frame_bits + 7) / 8;
}

static uint64_t pixels_of(const struct image_format *format)
{
    return (uint64_t)format->rows * format->columns;
}

static bool check_size(const struct image_format *format, struct error *err)
{
    if (pixels_of(format) * format->samples <= SAMPLES_OF_FRAME_MAX && format->frame_bytes <= IMAGE_FRAME_BYTES_MAX)
        return true;
    return error_set(err, ERROR_BAD_VALUE,
                     "Rows %u, Columns %u, SamplesPerPixel %u and BitsAllocated %u make frames of %llu bytes",
                     format->rows, format->columns, format->samples, format->bits_allocated,
                     (unsigned long long)format->frame_bytes);
}

bool image_describe(const struct dicom_dataset *dataset, struct image_format *out, struct error *err)
{
    if (!dicom_find(dataset, TAG_ROWS))
        return error_set(err, ERROR_NOT_FOUND, "no Rows: the object is no image");
    *out = (struct image_format){.color = read_color(dataset)};
    if (!read_size(dataset, out, err) || !read_bits(dataset, out, err))
        return false;
    measure(out, pixels_of(out) * out->samples);
    return check_size(out, err);
}

// ---- colours that may be subsampled

static const struct {
    enum image_color declared, whole, halved;
} subsampled[] = {
    {IMAGE_YBR_FULL, IMAGE_YBR_FULL, IMAGE_YBR_FULL_422},
    {IMAGE_YBR_FULL_422, IMAGE_YBR_FULL, IMAGE_YBR_FULL_422},
    {IMAGE_YBR_PARTIAL_422, IMAGE_COLOR_OTHER, IMAGE_YBR_PARTIAL_422},
};

static void halve(struct image_format *format, enum image_color color)
{
    format->color = color;
    measure(format, pixels_of(format) * 2);
}

// A value that is just as long as the other form is that form. One that is as long as neither is what is declared, as
// long as that leaves no room for doubt: three samples a pixel of which some are missing, or two with less than a row
// behind.
bool image_settle(struct image_format *format, uint64_t value_length, struct error *err)
{
    const uint64_t one = format->frame_bytes / 3 * 2, half = format->frames * one;
    size_t row = 0;
    while (row < sizeof subsampled / sizeof *subsampled && subsampled[row].declared != format->color)
        row++;
    if (row == sizeof subsampled / sizeof *subsampled || format->samples != 3 || format->bits_allocated < 8)
        return true;
    const bool declared_whole = subsampled[row].declared == subsampled[row].whole;
    const uint64_t whole = format->frames * format->frame_bytes;
    if (value_length >= whole)
        format->color = subsampled[row].whole;
    else if (value_length == half ||
             (!declared_whole && value_length > half && value_length - half < one / format->rows))
        halve(format, subsampled[row].halved);
    else if (!declared_whole)
        return error_set(err, ERROR_BAD_DATA,
                         "pixel data of %llu bytes: %u subsampled frames have %llu, frames with all samples %llu",
                         (unsigned long long)value_length, format->frames, (unsigned long long)half,
                         (unsigned long long)whole);
    return true;
}
