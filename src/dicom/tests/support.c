#include "tests.h"

static bool pieces_next(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    (void)err;
    struct pieces *pieces = payload;
    *data = pieces->data;
    *size = pieces->size < pieces->piece ? pieces->size : pieces->piece;
    pieces->data += *size;
    pieces->size -= *size;
    return true;
}

struct source source_from_pieces(struct pieces *pieces)
{
    return (struct source){.next = pieces_next, .payload = pieces};
}

void put_item_tag(struct buffer *out, dicom_tag tag, uint32_t length)
{
    buffer_u16le(out, dicom_tag_group(tag));
    buffer_u16le(out, dicom_tag_element(tag));
    buffer_u32le(out, length);
}

void put_header(struct buffer *out, dicom_tag tag, const char *vr, uint32_t length)
{
    buffer_u16le(out, dicom_tag_group(tag));
    buffer_u16le(out, dicom_tag_element(tag));
    buffer_append(out, vr, 2);
    if (dicom_vr_has_long_length((enum dicom_vr)DICOM_VR(vr[0], vr[1]))) {
        buffer_u16le(out, 0);
        buffer_u32le(out, length);
    } else {
        buffer_u16le(out, (uint16_t)length);
    }
}

void put_explicit(struct buffer *out, dicom_tag tag, const char *vr, const void *value, size_t size)
{
    put_header(out, tag, vr, (uint32_t)size);
    buffer_append(out, value, size);
}

void put_implicit(struct buffer *out, dicom_tag tag, const void *value, size_t size)
{
    put_item_tag(out, tag, (uint32_t)size);
    buffer_append(out, value, size);
}

const struct dicom_dataset *parse_bytes(const struct buffer *bytes, const char *syntax, struct arena *arena)
{
    struct source_memory memory = {bytes->data, bytes->size};
    const struct dicom_dataset *dataset = NULL;
    struct error err = {0};
    if (!dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(syntax), NULL, arena, &dataset, &err))
        fail_msg("%s", err.message);
    return dataset;
}
