#include "dicom/writer.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { SHORT_LENGTH_MAX = 65534, PRINTF_SIZE = 1024, DS_SIZE_MAX = 16, NUMBER_SIZE = 32 };

#define UNDEFINED_LENGTH UINT32_C(0xFFFFFFFF)
#define TAG_ITEM DICOM_TAG(0xFFFE, 0xE000)
#define TAG_ITEM_END DICOM_TAG(0xFFFE, 0xE00D)
#define TAG_SEQUENCE_END DICOM_TAG(0xFFFE, 0xE0DD)

void dicom_writer_init(struct dicom_writer *writer, struct buffer *out, bool implicit_vr)
{
    *writer = (struct dicom_writer){.out = out, .implicit_vr = implicit_vr};
}

static void put_tag(struct dicom_writer *writer, dicom_tag tag, uint32_t length)
{
    buffer_u16le(writer->out, dicom_tag_group(tag));
    buffer_u16le(writer->out, dicom_tag_element(tag));
    if (dicom_tag_group(tag) == 0xFFFE)
        buffer_u32le(writer->out, length);
}

static void put_header(struct dicom_writer *writer, dicom_tag tag, enum dicom_vr vr, uint32_t length)
{
    assert(tag > writer->last[writer->depth] || (tag == 0 && writer->last[writer->depth] == 0));
    writer->last[writer->depth] = tag;
    put_tag(writer, tag, length);
    if (writer->implicit_vr) {
        buffer_u32le(writer->out, length);
        return;
    }
    buffer_byte(writer->out, (uint8_t)(vr >> 8));
    buffer_byte(writer->out, (uint8_t)(vr & 0xFF));
    if (dicom_vr_has_long_length(vr)) {
        buffer_u16le(writer->out, 0);
        buffer_u32le(writer->out, length);
    } else {
        buffer_u16le(writer->out, (uint16_t)length);
    }
}

// NUL for UIDs and bytes, a space for other text (PS3.5 section 6.2).
static uint8_t padding(enum dicom_vr vr)
{
    return dicom_vr_is_text(vr) && vr != DICOM_VR_UI ? ' ' : 0;
}

void dicom_write_bytes(struct dicom_writer *writer, dicom_tag tag, enum dicom_vr vr, const void *data, size_t size)
{
    assert(size < UNDEFINED_LENGTH - 1);
    uint8_t pad = padding(vr);
    // What a 16-bit length cannot tell is sent as UN (PS3.5 section 6.2.2, note 6).
    if (!writer->implicit_vr && size > SHORT_LENGTH_MAX && !dicom_vr_has_long_length(vr))
        vr = DICOM_VR_UN;
    put_header(writer, tag, vr, (uint32_t)(size + size % 2));
    buffer_append(writer->out, data, size);
    if (size % 2)
        buffer_byte(writer->out, pad);
}

static enum dicom_vr known_vr(dicom_tag tag)
{
    const struct dicom_attribute *attribute = dicom_attribute(tag);
    assert(attribute);
    return attribute->vr;
}

void dicom_write_text(struct dicom_writer *writer, dicom_tag tag, const char *text)
{
    enum dicom_vr vr = known_vr(tag);
    assert(dicom_vr_is_text(vr));
    dicom_write_bytes(writer, tag, vr, text, text ? strlen(text) : 0);
}

void dicom_write_printf(struct dicom_writer *writer, dicom_tag tag, const char *format, ...)
{
    char text[PRINTF_SIZE];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0 || size >= PRINTF_SIZE)
        writer->out->failed = true;
    dicom_write_text(writer, tag, text);
}

// The text closest to the value that fits into a DS; out is left alone when there is none.
static void format_ds(char out[NUMBER_SIZE], double value)
{
    for (int digits = 1; digits <= 17; digits++) {
        char text[NUMBER_SIZE];
        int size = snprintf(text, sizeof text, "%.*g", digits, value);
        if (size > DS_SIZE_MAX)
            return;
        memcpy(out, text, sizeof text);
        if (strtod(text, NULL) == value)
            return;
    }
}

static void write_ds(struct dicom_writer *writer, dicom_tag tag, const double *values, size_t count)
{
    struct buffer text;
    buffer_init(&text, count * (DS_SIZE_MAX + 1) + 1);
    for (size_t i = 0; i < count; i++) {
        char number[NUMBER_SIZE] = "";
        if (isfinite(values[i]))
            format_ds(number, values[i]);
        else
            writer->out->failed = true;
        if (i > 0)
            buffer_byte(&text, '\\');
        buffer_text(&text, number);
    }
    writer->out->failed |= text.failed;
    dicom_write_bytes(writer, tag, DICOM_VR_DS, text.data, text.size);
    buffer_free(&text);
}

static void put_float(struct buffer *out, enum dicom_vr vr, double value)
{
    float single = (float)value;
    uint32_t bits;
    uint64_t long_bits;
    memcpy(&bits, &single, sizeof bits);
    memcpy(&long_bits, &value, sizeof long_bits);
    if (vr == DICOM_VR_FL)
        buffer_u32le(out, bits);
    else
        buffer_u64le(out, long_bits);
}

void dicom_write_doubles(struct dicom_writer *writer, dicom_tag tag, const double *values, size_t count)
{
    enum dicom_vr vr = known_vr(tag);
    if (vr == DICOM_VR_DS) {
        write_ds(writer, tag, values, count);
        return;
    }
    assert(vr == DICOM_VR_FD || vr == DICOM_VR_FL);
    struct buffer bytes;
    buffer_init(&bytes, count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        put_float(&bytes, vr, values[i]);
    writer->out->failed |= bytes.failed;
    dicom_write_bytes(writer, tag, vr, bytes.data, bytes.size);
    buffer_free(&bytes);
}

void dicom_write_double(struct dicom_writer *writer, dicom_tag tag, double value)
{
    dicom_write_doubles(writer, tag, &value, 1);
}

// Asserts that the value fits.
static void put_integer(struct buffer *out, enum dicom_vr vr, bool first, int64_t value)
{
    switch (vr) {
    case DICOM_VR_IS:
        assert(value >= INT32_MIN && value <= INT32_MAX);
        buffer_printf(out, "%s%" PRId64, first ? "" : "\\", value);
        return;
    case DICOM_VR_US:
        assert(value >= 0 && value <= UINT16_MAX);
        buffer_u16le(out, (uint16_t)value);
        return;
    case DICOM_VR_SS:
        assert(value >= INT16_MIN && value <= INT16_MAX);
        buffer_u16le(out, (uint16_t)value);
        return;
    case DICOM_VR_UL:
        assert(value >= 0 && value <= UINT32_MAX);
        buffer_u32le(out, (uint32_t)value);
        return;
    case DICOM_VR_SL:
        assert(value >= INT32_MIN && value <= INT32_MAX);
        buffer_u32le(out, (uint32_t)value);
        return;
    case DICOM_VR_AT:
        assert(value >= 0 && value <= UINT32_MAX);
        buffer_u16le(out, (uint16_t)(value >> 16));
        buffer_u16le(out, (uint16_t)(value & 0xFFFF));
        return;
    default:
        assert(vr == DICOM_VR_UV || vr == DICOM_VR_SV);
        buffer_u64le(out, (uint64_t)value);
    }
}

// What "US or SS" is decided by (Pixel Representation) may be written later: the values decide, since they must fit it.
static enum dicom_vr integer_vr(dicom_tag tag, const int64_t *values, size_t count)
{
    const struct dicom_attribute *attribute = dicom_attribute(tag);
    assert(attribute);
    if (attribute->vr_by_pixels && attribute->vr == DICOM_VR_US)
        for (size_t i = 0; i < count; i++)
            if (values[i] < 0)
                return DICOM_VR_SS;
    return attribute->vr;
}

void dicom_write_integers(struct dicom_writer *writer, dicom_tag tag, const int64_t *values, size_t count)
{
    enum dicom_vr vr = integer_vr(tag, values, count);
    struct buffer bytes;
    buffer_init(&bytes, count * (DS_SIZE_MAX + 1) + 1);
    for (size_t i = 0; i < count; i++)
        put_integer(&bytes, vr, i == 0, values[i]);
    writer->out->failed |= bytes.failed;
    dicom_write_bytes(writer, tag, vr, bytes.data, bytes.size);
    buffer_free(&bytes);
}

void dicom_write_integer(struct dicom_writer *writer, dicom_tag tag, int64_t value)
{
    dicom_write_integers(writer, tag, &value, 1);
}

void dicom_write_sequence(struct dicom_writer *writer, dicom_tag tag)
{
    put_header(writer, tag, DICOM_VR_SQ, UNDEFINED_LENGTH);
}

void dicom_write_item(struct dicom_writer *writer)
{
    assert(writer->depth < DICOM_DEPTH_MAX);
    put_tag(writer, TAG_ITEM, UNDEFINED_LENGTH);
    writer->last[++writer->depth] = 0;
}

void dicom_write_item_end(struct dicom_writer *writer)
{
    assert(writer->depth > 0);
    put_tag(writer, TAG_ITEM_END, 0);
    writer->depth--;
}

void dicom_write_sequence_end(struct dicom_writer *writer)
{
    put_tag(writer, TAG_SEQUENCE_END, 0);
}
