#include "dicom/part10.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "dicom/writer.h"

#define TAG_GROUP_LENGTH DICOM_TAG(0x0002, 0x0000)
#define TAG_SOP_CLASS DICOM_TAG(0x0002, 0x0002)
#define TAG_SOP_INSTANCE DICOM_TAG(0x0002, 0x0003)
#define TAG_TRANSFER_SYNTAX DICOM_TAG(0x0002, 0x0010)
#define TAG_SOURCE_AE DICOM_TAG(0x0002, 0x0016)

enum { MAGIC_SIZE = 4, HEAD_SIZE = DICOM_PREAMBLE_SIZE + MAGIC_SIZE };

// The file's start as it is walked through.
struct cursor {
    const uint8_t *data;
    size_t size;
    size_t at;
    bool big_endian; // the meta information's
};

struct meta_element {
    dicom_tag tag;
    const uint8_t *value;
    size_t length;
};

static bool cut_off(const struct cursor *cursor, struct error *err)
{
    return error_set(err, ERROR_BAD_DATA, "the file meta information is cut off at byte %zu", cursor->at);
}

static uint16_t get_u16(const struct cursor *cursor, const uint8_t *p)
{
    return cursor->big_endian ? bytes_u16be(p) : bytes_u16le(p);
}

static uint32_t get_u32(const struct cursor *cursor, const uint8_t *p)
{
    return cursor->big_endian ? bytes_u32be(p) : bytes_u32le(p);
}

static bool at_group_2(const struct cursor *cursor)
{
    return cursor->size - cursor->at >= 2 && get_u16(cursor, cursor->data + cursor->at) == 0x0002;
}

static bool vr_at(const uint8_t *p)
{
    return dicom_vr_known((enum dicom_vr)DICOM_VR(p[0], p[1]));
}

// PS3.10 wants explicit VR little endian. There are files with meta information in the other encodings, too, which all
// readers read (big-endian: DCMTK): a VR says that it is explicit, a length that is short enough that it is implicit.
static bool meta_length(const struct cursor *cursor, size_t left, size_t *header, uint32_t *length)
{
    const uint8_t *p = cursor->data + cursor->at;
    bool is_explicit = vr_at(p + 4);
    bool is_long = is_explicit && dicom_vr_has_long_length((enum dicom_vr)DICOM_VR(p[4], p[5]));
    *header = is_long ? 12 : 8;
    if (is_explicit && !is_long)
        *length = get_u16(cursor, p + 6);
    else if (left >= *header)
        *length = get_u32(cursor, p + *header - 4);
    return is_explicit || *length <= left - *header;
}

static bool next_meta_element(struct cursor *cursor, struct meta_element *out, struct error *err)
{
    const uint8_t *p = cursor->data + cursor->at;
    size_t left = cursor->size - cursor->at, header;
    uint32_t length = 0;
    if (left < 8)
        return cut_off(cursor, err);
    out->tag = DICOM_TAG(get_u16(cursor, p), get_u16(cursor, p + 2));
    if (!meta_length(cursor, left, &header, &length)) {
        char shown[16], tag[DICOM_TAG_TEXT_SIZE];
        return error_set(err, ERROR_BAD_DATA, "%s at byte %zu of the file has the unknown VR \"%s\"",
                         dicom_tag_text(tag, out->tag), cursor->at, text_show(shown, sizeof shown, p + 4, 2));
    }
    if (left < header || length > left - header)
        return cut_off(cursor, err);
    out->value = p + header;
    out->length = length;
    cursor->at += header + length;
    return true;
}

// A UID or title into its place; one that is too long stays empty, as if it were absent.
static void keep(char *to, size_t capacity, const struct meta_element *element)
{
    const char *text = (const char *)element->value;
    size_t size = element->length;
    text_trim(&text, &size);
    size = strnlen(text, size); // what stands behind a NUL inside is no part of a UID or title
    text_trim(&text, &size);
    if (!text_copy_n(to, capacity, text, size))
        to[0] = 0;
}

static void keep_element(struct dicom_meta *meta, const struct meta_element *element)
{
    switch (element->tag) {
    case TAG_SOP_CLASS:
        keep(meta->sop_class, sizeof meta->sop_class, element);
        break;
    case TAG_SOP_INSTANCE:
        keep(meta->sop_instance, sizeof meta->sop_instance, element);
        break;
    case TAG_TRANSFER_SYNTAX:
        keep(meta->transfer_syntax, sizeof meta->transfer_syntax, element);
        break;
    case TAG_SOURCE_AE:
        keep(meta->source_ae, sizeof meta->source_ae, element);
        break;
    default:
        break;
    }
}

// The group's end is where another group begins, whatever the group length says; but a deflated data set may begin with
// any bytes, there it counts.
static bool parse_group_2(struct cursor *cursor, struct dicom_meta *out, struct error *err)
{
    size_t told_end = 0;
    while (at_group_2(cursor)) {
        const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax(out->transfer_syntax);
        if (cursor->at == told_end && syntax && syntax->deflated)
            break;
        struct meta_element element = {0};
        if (!next_meta_element(cursor, &element, err))
            return false;
        if (element.tag == TAG_GROUP_LENGTH && element.length == 4)
            told_end = cursor->at + get_u32(cursor, element.value);
        keep_element(out, &element);
    }
    return true;
}

static bool plausible_group(uint16_t group)
{
    return group >= 0x0008 && group <= 0x00FF;
}

// The syntax whose first element could stand at `p`; NULL when none. In implicit VR the tag must be known and the value
// short, as in every real data set.
static const char *guess_syntax(const uint8_t *p, size_t size)
{
    if (size < 8)
        return NULL;
    if (vr_at(p + 4)) {
        if (plausible_group(bytes_u16le(p)))
            return DICOM_TS_EXPLICIT;
        return plausible_group(bytes_u16be(p)) ? DICOM_TS_BIG_ENDIAN : NULL;
    }
    uint32_t length = bytes_u32le(p + 4);
    bool known = dicom_attribute(DICOM_TAG(bytes_u16le(p), bytes_u16le(p + 2))) != NULL;
    return plausible_group(bytes_u16le(p)) && known && length <= DICOM_META_SIZE_MAX ? DICOM_TS_IMPLICIT : NULL;
}

static bool guess_at(const struct cursor *cursor, struct dicom_meta *out)
{
    const char *syntax = guess_syntax(cursor->data + cursor->at, cursor->size - cursor->at);
    if (!syntax)
        return false;
    text_copy(out->transfer_syntax, sizeof out->transfer_syntax, syntax);
    out->data_offset = cursor->at;
    out->guessed = true;
    return true;
}

// Either byte order.
static bool begins_group_2(struct cursor *cursor)
{
    cursor->big_endian = false;
    if (at_group_2(cursor))
        return true;
    cursor->big_endian = true;
    if (at_group_2(cursor))
        return true;
    cursor->big_endian = false;
    return false;
}

// Without "DICM" more must tell it than two bytes: a VR, or the group length.
static bool is_meta(const struct cursor *cursor)
{
    const uint8_t *p = cursor->data + cursor->at;
    return vr_at(p + 4) || (get_u16(cursor, p + 2) == 0 && get_u32(cursor, p + 4) == 4);
}

// Where meta information or, failing that, a data set begins without "DICM".
static bool parse_without_magic(struct cursor *cursor, struct dicom_meta *out, struct error *err)
{
    static const size_t places[] = {0, DICOM_PREAMBLE_SIZE};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        cursor->at = places[i];
        out->has_preamble = places[i] > 0;
        if (cursor->size < cursor->at + 8)
            continue;
        if (begins_group_2(cursor) && is_meta(cursor))
            return parse_group_2(cursor, out, err);
        if (guess_at(cursor, out))
            return true;
    }
    if (cursor->size == 0)
        return error_set(err, ERROR_BAD_DATA, "the file is empty");
    return error_set(err, ERROR_UNSUPPORTED, "no DICOM: neither \"DICM\" at byte 128 nor a data set at the start");
}

bool dicom_meta_parse(const uint8_t *data, size_t size, struct dicom_meta *out, struct error *err)
{
    struct cursor cursor = {.data = data, .size = size};
    struct dicom_meta meta = {0};
    if (size >= HEAD_SIZE && memcmp(data + DICOM_PREAMBLE_SIZE, "DICM", MAGIC_SIZE) == 0) {
        cursor.at = HEAD_SIZE;
        meta.has_preamble = true;
        begins_group_2(&cursor);
        if (!parse_group_2(&cursor, &meta, err))
            return false;
    } else if (!parse_without_magic(&cursor, &meta, err)) {
        return false;
    }
    meta.data_offset = cursor.at;
    if (!meta.transfer_syntax[0] && !guess_at(&cursor, &meta)) {
        if (cursor.at <= HEAD_SIZE)
            return error_set(err, ERROR_BAD_DATA, "nothing that is DICOM follows \"DICM\"");
        // Meta information that does not tell: the default transfer syntax of DICOM.
        text_copy(meta.transfer_syntax, sizeof meta.transfer_syntax, DICOM_TS_IMPLICIT);
        meta.guessed = true;
    }
    *out = meta;
    return true;
}

bool dicom_meta_is_directory(const struct dicom_meta *meta)
{
    return strcmp(meta->sop_class, "1.2.840.10008.1.3.10") == 0;
}

void dicom_meta_write(struct buffer *out, const struct dicom_meta *meta)
{
    static const uint8_t preamble[DICOM_PREAMBLE_SIZE];
    static const uint8_t version[] = {0x00, 0x01};
    buffer_append(out, preamble, sizeof preamble);
    buffer_text(out, "DICM");
    struct dicom_writer writer;
    dicom_writer_init(&writer, out, false);
    size_t length_at = out->size;
    dicom_write_integer(&writer, TAG_GROUP_LENGTH, 0);
    size_t start = out->size;
    dicom_write_bytes(&writer, DICOM_TAG(0x0002, 0x0001), DICOM_VR_OB, version, sizeof version);
    dicom_write_text(&writer, TAG_SOP_CLASS, meta->sop_class);
    dicom_write_text(&writer, TAG_SOP_INSTANCE, meta->sop_instance);
    dicom_write_text(&writer, TAG_TRANSFER_SYNTAX, meta->transfer_syntax);
    dicom_write_text(&writer, DICOM_TAG(0x0002, 0x0012), DICOM_IMPLEMENTATION_CLASS_UID);
    dicom_write_text(&writer, DICOM_TAG(0x0002, 0x0013), DICOM_IMPLEMENTATION_VERSION);
    if (meta->source_ae[0])
        dicom_write_text(&writer, TAG_SOURCE_AE, meta->source_ae);
    if (!out->failed)
        bytes_put_u32le(out->data + length_at + 8, (uint32_t)(out->size - start));
}
