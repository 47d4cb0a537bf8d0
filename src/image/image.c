#include "image/image.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
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
#define TAG_FLOAT_PIXELS DICOM_TAG(0x7FE0, 0x0008)
#define TAG_DOUBLE_PIXELS DICOM_TAG(0x7FE0, 0x0009)
#define TAG_PIXELS DICOM_TAG(0x7FE0, 0x0010)

#define SAMPLES_OF_FRAME_MAX (UINT64_C(1) << 32)

enum { ITEM_HEADER = 8, SHOWN_SIZE = 48 };

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
        {"MONOCHROME1", IMAGE_MONOCHROME1}, {"MONOCHROME2", IMAGE_MONOCHROME2},
        {"PALETTE COLOR", IMAGE_PALETTE},   {"RGB", IMAGE_RGB},
        {"YBR_FULL", IMAGE_YBR_FULL},       {"YBR_FULL_422", IMAGE_YBR_FULL_422},
        {"YBR_ICT", IMAGE_YBR_ICT},         {"YBR_RCT", IMAGE_YBR_RCT},
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
                                    frames = {TAG_FRAMES, 1, IMAGE_FRAMES_MAX, 1}, samples = {TAG_SAMPLES, 1, 4, 1},
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
    out->frames = (uint32_t)value[2];
    out->samples = (uint16_t)value[3];
    out->planar = value[3] > 1 && value[4] == 1;
    return true;
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
    out->is_float = holds_floats(dataset, out->bits_allocated);
    if (out->is_float && bits != (dicom_find(dataset, TAG_DOUBLE_PIXELS) ? 64 : bits == 64 ? 64 : 32))
        return error_set(err, ERROR_BAD_VALUE, "BitsAllocated is %lld with floating-point pixels", (long long)bits);
    return true;
}

// 65535 * 65535 * 4 * 64 bits fit easily: no overflow here.
static bool measure(struct image_format *out, struct error *err)
{
    uint64_t samples = (uint64_t)out->rows * out->columns * out->samples;
    out->frame_bytes = (samples * out->bits_allocated + 7) / 8;
    if (samples > SAMPLES_OF_FRAME_MAX || out->frame_bytes > IMAGE_FRAME_BYTES_MAX)
        return error_set(err, ERROR_BAD_VALUE,
                         "Rows %u, Columns %u, SamplesPerPixel %u and BitsAllocated %u make frames of %llu bytes",
                         out->rows, out->columns, out->samples, out->bits_allocated,
                         (unsigned long long)out->frame_bytes);
    return true;
}

bool image_describe(const struct dicom_dataset *dataset, struct image_format *out, struct error *err)
{
    if (!dicom_find(dataset, TAG_ROWS))
        return error_set(err, ERROR_NOT_FOUND, "no Rows: the object is no image");
    *out = (struct image_format){.color = read_color(dataset)};
    return read_size(dataset, out, err) && read_bits(dataset, out, err) && measure(out, err);
}

bool image_native_frame(const struct image_format *format, uint64_t value_length, uint32_t index, uint64_t *offset,
                        uint64_t *size, struct error *err)
{
    bool bits = format->bits_allocated == 1;
    uint64_t one = bits ? (uint64_t)format->rows * format->columns * format->samples : format->frame_bytes;
    if (format->color == IMAGE_YBR_FULL_422 && format->samples == 3)
        one = one / 3 * 2;
    uint64_t there = bits ? value_length * 8 : value_length;
    if (index >= format->frames)
        return error_set(err, ERROR_NOT_FOUND, "frame %u of %u", index + 1, format->frames);
    if (((uint64_t)index + 1) * one > there)
        return error_set(err, ERROR_BAD_DATA, "pixel data of %llu bytes end before frame %u of %u, of %llu %s each",
                         (unsigned long long)value_length, index + 1, format->frames, (unsigned long long)one,
                         bits ? "bits" : "bytes");
    *offset = index * one;
    *size = one;
    return true;
}

// ---- encapsulated

// The fragment that begins `offset` bytes behind the first one's item tag; 0 (the table itself) when none does.
static size_t fragment_at(const struct dicom_element *pixels, size_t from, uint32_t offset)
{
    const uint64_t base = pixels->fragments[1].offset;
    size_t low = from, high = pixels->fragment_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (pixels->fragments[middle].offset - base < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < pixels->fragment_count && pixels->fragments[low].offset - base == offset ? low : 0;
}

// The whole table is checked for every frame: it is short, and a lie about one frame is a lie about its neighbours.
static bool by_table(const struct dicom_element *pixels, uint32_t frames, const uint8_t *bot, size_t bot_size,
                     uint32_t index, size_t *first, size_t *count, struct error *err)
{
    if (bot_size != (uint64_t)frames * sizeof(uint32_t))
        return error_set(err, ERROR_BAD_DATA, "the basic offset table has %zu bytes for %u frames", bot_size, frames);
    size_t at = 0, next = 1;
    for (uint32_t i = 0; i < frames; i++) {
        uint32_t offset = bytes_u32le(bot + i * sizeof(uint32_t));
        at = next < pixels->fragment_count ? fragment_at(pixels, next, offset) : 0;
        if (at == 0 || (i == 0 && at != 1))
            return error_set(err, ERROR_BAD_DATA, "the basic offset table puts frame %u at %u, where none can begin",
                             i + 1, offset);
        if (i == index)
            *first = at;
        if (i == index + UINT64_C(1))
            *count = at - *first;
        next = at + 1;
    }
    if (index + UINT64_C(1) == frames)
        *count = pixels->fragment_count - *first;
    return true;
}

static bool no_empty_fragment(const struct dicom_element *pixels, uint32_t index, size_t first, size_t count,
                              struct error *err)
{
    for (size_t i = first; i < first + count; i++)
        if (pixels->fragments[i].length == 0)
            return error_set(err, ERROR_BAD_DATA, "frame %u has an empty fragment", index + 1);
    return true;
}

bool image_fragments_of(const struct dicom_element *pixels, uint32_t frames, const uint8_t *bot, size_t bot_size,
                        uint32_t index, size_t *first, size_t *count, struct error *err)
{
    size_t fragments = pixels->fragment_count > 0 ? pixels->fragment_count - 1 : 0;
    if (index >= frames)
        return error_set(err, ERROR_NOT_FOUND, "frame %u of %u", index + 1, frames);
    if (fragments == 0)
        return error_set(err, ERROR_BAD_DATA, "encapsulated pixel data without a fragment");
    *first = 1;
    *count = fragments;
    if (bot && bot_size > 0) {
        if (!by_table(pixels, frames, bot, bot_size, index, first, count, err))
            return false;
    } else if (fragments == frames) {
        *first = 1 + (size_t)index;
        *count = 1;
    } else if (frames != 1) {
        return error_set(err, ERROR_BAD_DATA,
                         "%u frames in %zu fragments, and no offset table that says which are whose", frames,
                         fragments);
    }
    return no_empty_fragment(pixels, index, *first, *count, err);
}
