#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "image/codec.h"

enum { FILE_MAX = 64 << 20, ARENA_MAX = 64 << 20 };

bool picture_open(struct picture *p, const char *path, struct error *err)
{
    memset(p, 0, sizeof *p);
    buffer_init(&p->file, FILE_MAX);
    arena_init(&p->arena, ARENA_MAX);
    if (!file_read(path, &p->file, err) || !dicom_meta_parse(p->file.data, p->file.size, &p->meta, err))
        fail_msg("%s: %s", path, err->message);
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_or_default(p->meta.transfer_syntax);
    struct source_memory memory = {p->file.data + p->meta.data_offset, p->file.size - p->meta.data_offset};
    const struct dicom_parse_options options = {.value_max = FILE_MAX, .depth_max = 4};
    if (!dicom_parse(source_from_memory(&memory), syntax, &options, &p->arena, &p->dataset, err))
        fail_msg("%s: %s", path, err->message);
    p->pixels = dicom_find(p->dataset, DICOM_TAG(0x7FE0, 0x0010));
    return image_describe(p->dataset, &p->format, err);
}

void picture_close(struct picture *p)
{
    buffer_free(&p->file);
    arena_free(&p->arena);
}

static const uint8_t *data_set(const struct picture *p)
{
    return p->file.data + p->meta.data_offset;
}

uint8_t *picture_stream(const struct picture *p, uint32_t index, size_t *size, struct error *err)
{
    size_t first, count, used = 0;
    const struct dicom_fragment *fragments = p->pixels->fragments;
    if (!image_fragments_of(p->pixels, p->format.frames, data_set(p) + fragments[0].offset, fragments[0].length, index,
                            &first, &count, err))
        return NULL;
    *size = 0;
    for (size_t i = first; i < first + count; i++)
        *size += fragments[i].length;
    uint8_t *bytes = malloc(*size + 1);
    for (size_t i = first; bytes && i < first + count; used += fragments[i++].length)
        memcpy(bytes + used, data_set(p) + fragments[i].offset, fragments[i].length);
    return bytes;
}

// RRR GGG BBB to RGB RGB RGB.
static void interleave(const struct image_format *format, const uint8_t *from, uint8_t *to)
{
    const size_t pixels = (size_t)format->rows * format->columns, bytes = format->bits_allocated / 8U;
    for (size_t i = 0; i < pixels * format->samples; i++)
        memcpy(to + (i % pixels * format->samples + i / pixels) * bytes, from + i * bytes, bytes);
}

uint8_t *picture_frame(const struct picture *p, uint32_t index, enum image_color *color, struct error *err)
{
    uint8_t *out = malloc(p->format.frame_bytes);
    *color = p->format.color;
    bool ok;
    if (p->pixels->fragment_count > 0) {
        size_t size;
        uint8_t *stream = picture_stream(p, index, &size, err);
        ok = stream && image_decode(p->meta.transfer_syntax, &p->format, stream, size, out, color, err);
        free(stream);
    } else {
        uint64_t offset, size;
        ok = image_native_frame(&p->format, p->pixels->length, index, &offset, &size, err);
        if (ok && p->format.planar)
            interleave(&p->format, data_set(p) + p->pixels->offset + offset, out);
        else if (ok)
            memcpy(out, data_set(p) + p->pixels->offset + offset, size);
    }
    if (ok)
        return out;
    free(out);
    return NULL;
}
