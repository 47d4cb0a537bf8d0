#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "image/codec.h"

enum { FILE_MAX = 64 << 20, ARENA_MAX = 64 << 20 };

// ---- data sets by hand

const struct wanted ct_slice = {.photometric = "MONOCHROME2 ",
                                .samples = 1,
                                .planar = -1,
                                .rows = 4,
                                .columns = 6,
                                .allocated = 16,
                                .stored = 12,
                                .high = 11,
                                .is_signed = 1};

static void put_u16(struct buffer *out, bool big_endian, uint16_t value)
{
    if (big_endian)
        buffer_u16be(out, value);
    else
        buffer_u16le(out, value);
}

static void put_u32(struct buffer *out, bool big_endian, uint32_t value)
{
    if (big_endian)
        buffer_u32be(out, value);
    else
        buffer_u32le(out, value);
}

void put_element(struct buffer *out, bool big_endian, dicom_tag tag, const char *vr, const void *value, uint32_t size)
{
    put_u16(out, big_endian, dicom_tag_group(tag));
    put_u16(out, big_endian, dicom_tag_element(tag));
    buffer_append(out, vr, 2);
    if (dicom_vr_has_long_length((enum dicom_vr)DICOM_VR(vr[0], vr[1]))) {
        put_u16(out, big_endian, 0);
        put_u32(out, big_endian, size);
    } else {
        put_u16(out, big_endian, (uint16_t)size);
    }
    buffer_append(out, value, value ? size : 0);
}

static void put_number(struct buffer *out, bool big_endian, uint16_t element, int value)
{
    struct buffer bytes;
    buffer_init(&bytes, 2);
    put_u16(&bytes, big_endian, (uint16_t)value);
    if (value >= 0)
        put_element(out, big_endian, DICOM_TAG(0x0028, element), "US", bytes.data, 2);
    buffer_free(&bytes);
}

static void put_text(struct buffer *out, bool big_endian, uint16_t element, const char *vr, const char *text)
{
    if (text)
        put_element(out, big_endian, DICOM_TAG(0x0028, element), vr, text, (uint32_t)strlen(text));
}

void put_image(struct buffer *out, const struct wanted *w, bool big_endian)
{
    put_number(out, big_endian, 0x0002, w->samples);
    put_text(out, big_endian, 0x0004, "CS", w->photometric);
    put_number(out, big_endian, 0x0006, w->planar);
    put_text(out, big_endian, 0x0008, "IS", w->frames);
    if (w->rows_as_ul) {
        uint8_t value[4];
        bytes_put_u32le(value, w->rows_as_ul);
        put_element(out, false, DICOM_TAG(0x0028, 0x0010), "UL", value, 4);
    } else {
        put_number(out, big_endian, 0x0010, w->rows);
    }
    put_number(out, big_endian, 0x0011, w->columns);
    put_number(out, big_endian, 0x0100, w->allocated);
    put_number(out, big_endian, 0x0101, w->stored);
    put_number(out, big_endian, 0x0102, w->high);
    put_number(out, big_endian, 0x0103, w->is_signed);
}

struct image_format gray(uint32_t rows, uint32_t columns, unsigned stored, unsigned allocated, bool is_signed)
{
    const uint64_t bits = (uint64_t)rows * columns * allocated;
    return (struct image_format){.rows = rows,
                                 .columns = columns,
                                 .frames = 1,
                                 .samples = 1,
                                 .bits_allocated = (uint16_t)allocated,
                                 .bits_stored = (uint16_t)stored,
                                 .high_bit = (uint16_t)(stored - 1),
                                 .is_signed = is_signed,
                                 .color = IMAGE_MONOCHROME2,
                                 .frame_bits = bits,
                                 .frame_bytes = (bits + 7) / 8};
}

void save_picture(const char *path, const struct wanted *wanted, const char *syntax, const void *pixels, size_t size)
{
    static const char class[] = "1.2.840.10008.5.1.4.1.1.7", uid[] = "2.25.77", item[] = "\xFE\xFF\x00\xE0",
                      end[] = "\xFE\xFF\xDD\xE0\0\0\0"; // with its own NUL
    struct dicom_meta meta = {0};
    struct buffer file;
    snprintf(meta.sop_class, sizeof meta.sop_class, "%s", class);
    snprintf(meta.sop_instance, sizeof meta.sop_instance, "%s", uid);
    snprintf(meta.transfer_syntax, sizeof meta.transfer_syntax, "%s", syntax);
    buffer_init(&file, FILE_MAX);
    dicom_meta_write(&file, &meta);
    put_element(&file, false, DICOM_TAG(0x0008, 0x0016), "UI", class, sizeof class);
    put_element(&file, false, DICOM_TAG(0x0008, 0x0018), "UI", uid, sizeof uid);
    put_element(&file, false, DICOM_TAG(0x0008, 0x0060), "CS", "OT", 2);
    put_image(&file, wanted, false);
    if (dicom_transfer_syntax(syntax)->encapsulated) {
        put_element(&file, false, DICOM_TAG(0x7FE0, 0x0010), "OB", NULL, UINT32_MAX);
        buffer_append(&file, item, 4);
        buffer_u32le(&file, 0);
        buffer_append(&file, item, 4);
        buffer_u32le(&file, (uint32_t)(size + size % 2));
        buffer_append(&file, pixels, size);
        buffer_append(&file, "", size % 2);
        buffer_append(&file, end, sizeof end);
    } else {
        put_element(&file, false, DICOM_TAG(0x7FE0, 0x0010), "OW", pixels, (uint32_t)size);
    }
    assert_false(file.failed);
    save_file(path, file.data, file.size);
    buffer_free(&file);
}

// ---- pictures from files

static struct reader data_set_of(const struct picture *p)
{
    return reader_from_memory(p->file.data + p->meta.data_offset, p->file.size - p->meta.data_offset);
}

bool picture_open(struct picture *p, const char *path, struct error *err)
{
    memset(p, 0, sizeof *p);
    buffer_init(&p->file, FILE_MAX);
    arena_init(&p->arena, ARENA_MAX);
    if (!file_read(path, &p->file, err) || !dicom_meta_parse(p->file.data, p->file.size, &p->meta, err))
        fail_msg("%s: %s", path, err->message);
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_or_default(p->meta.transfer_syntax);
    struct source_memory memory = {p->file.data + p->meta.data_offset, p->file.size - p->meta.data_offset};
    const struct dicom_parse_options options = {.value_max = 1024, .depth_max = 4};
    if (!dicom_parse(source_from_memory(&memory), syntax, &options, &p->arena, &p->dataset, err))
        fail_msg("%s: %s", path, err->message);
    if (!image_describe(p->dataset, &p->format, err))
        return false;
    if (image_frames_open(&p->frames, p->dataset, p->meta.transfer_syntax, data_set_of(p), NULL, err))
        p->format = p->frames.format;
    else if (err->code != ERROR_NOT_FOUND)
        return error_prefix(err, "%s", path);
    return true;
}

void picture_close(struct picture *p)
{
    image_frames_close(&p->frames);
    buffer_free(&p->file);
    arena_free(&p->arena);
}

uint8_t *picture_stream(struct picture *p, uint32_t index, size_t *size, struct error *err)
{
    size_t count, used = 0;
    const struct reader reader = data_set_of(p);
    const struct dicom_fragment *pieces = image_frame_stored(&p->frames, index, &count, err);
    if (!pieces)
        return NULL;
    *size = 0;
    for (size_t i = 0; i < count; i++)
        *size += pieces[i].length;
    uint8_t *bytes = malloc(*size + 1);
    for (size_t i = 0; bytes && i < count; used += pieces[i++].length)
        assert_true(reader_read(&reader, pieces[i].offset, bytes + used, pieces[i].length, err));
    return bytes;
}

// RRR GGG BBB to RGB RGB RGB.
static void interleave(const struct image_format *format, uint8_t *frame)
{
    const size_t pixels = (size_t)format->rows * format->columns, bytes = format->bits_allocated / 8U;
    uint8_t *from = malloc((size_t)format->frame_bytes);
    assert_non_null(from);
    memcpy(from, frame, (size_t)format->frame_bytes);
    for (size_t i = 0; i < pixels * format->samples; i++)
        memcpy(frame + (i % pixels * format->samples + i / pixels) * bytes, from + i * bytes, bytes);
    free(from);
}

uint8_t *picture_frame(struct picture *p, uint32_t index, enum image_color *color, struct error *err)
{
    uint8_t *out = malloc((size_t)p->format.frame_bytes);
    bool ok;
    if (p->frames.encapsulated) {
        size_t size;
        uint8_t *stream = picture_stream(p, index, &size, err);
        ok = stream && image_decode(p->meta.transfer_syntax, &p->format, stream, size, out, color, err);
        free(stream);
    } else {
        ok = image_frame(&p->frames, index, out, (size_t)p->format.frame_bytes, color, err);
        if (ok && p->format.planar)
            interleave(&p->format, out);
    }
    if (ok)
        return out;
    free(out);
    return NULL;
}
