// Headers of elements: tag, VR and length, in implicit and explicit VR.
//
// Note on VRs that are not in PS3.5. Of two capital letters (an attribute made after this program, or a sender's
// defect): section 6.2 gives future VRs two reserved bytes and a 32-bit length. Where the two bytes behind the VR are
// not zero, that cannot be, and they are read as a 16-bit length. Of anything else ("??", blanks, zeros: the sender did
// not know it): DCMTK and GDCM read a 16-bit length. Where that is zero, the element is empty, or in implicit VR, or
// has a 32-bit length after all, as GDCM alone thinks; what stands behind it tells (read_no_vr).
#include <stdarg.h>
#include <stdio.h>

#include "dicom/reader_parts.h"

enum { SHORT_HEADER = 8, LONG_HEADER = 12 };

bool reader_refuse(dicom_tag tag, uint64_t offset, struct error *err, const char *format, ...)
{
    char what[160], text[DICOM_TAG_TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(err, ERROR_BAD_DATA, "%s at byte %llu %s", dicom_tag_text(text, tag), (unsigned long long)offset,
                     what);
}

static bool is_vr(const uint8_t *p)
{
    return p[0] >= 'A' && p[0] <= 'Z' && p[1] >= 'A' && p[1] <= 'Z';
}

static bool is_printable(const uint8_t *p)
{
    return p[0] >= ' ' && p[0] <= '~' && p[1] >= ' ' && p[1] <= '~';
}

static bool is_zero(const uint8_t *p)
{
    return p[0] == 0 && p[1] == 0;
}

static void take_dictionary_vr(struct header *header)
{
    const struct dicom_attribute *attribute = dicom_attribute(header->tag);
    header->vr = attribute ? attribute->vr : DICOM_VR_UN;
    header->vr_from_dictionary = true;
}

static bool read_implicit(uint64_t offset, const uint8_t *data, struct header *header, struct error *err)
{
    // Explicit VR sent as implicit: the VR's letters would be a length above 16,000, which no sender begins a data set
    // with.
    if (offset == 0 && dicom_vr_known((enum dicom_vr)DICOM_VR(data[4], data[5])))
        return reader_refuse(header->tag, offset, err,
                             "has the explicit VR %c%c, but the transfer syntax is implicit VR", data[4], data[5]);
    take_dictionary_vr(header);
    header->length = bytes_u32le(data + 4);
    header->size = SHORT_HEADER;
    return true;
}

// Whether `data`, of `size` bytes, may come behind an element that ends at `offset`: nothing, a delimiter, or an
// element with a VR and a higher tag.
static bool may_follow(const struct level *level, dicom_tag tag, uint64_t offset, const uint8_t *data, size_t size)
{
    if (offset == level->end || size == 0)
        return true;
    if (size < SHORT_HEADER)
        return false;
    dicom_tag next = get_tag(data, level->big_endian);
    return (next == TAG_ITEM_END && level->kind == LEVEL_ITEM) ||
           (next > tag && dicom_vr_known((enum dicom_vr)DICOM_VR(data[4], data[5])));
}

static bool no_vr(const struct header *header, uint64_t offset, const uint8_t *data, struct error *err)
{
    return reader_refuse(header->tag, offset, err, "has no VR (%02X%02XH); the transfer syntax is explicit VR", data[4],
                         data[5]);
}

// In implicit VR the 8 bytes end in a length: one below 64 KiB leaves zeros behind itself, a longer one is likely where
// the value is of the kind that may be long.
static bool looks_implicit(const struct header *header, const uint8_t *data)
{
    const struct dicom_attribute *attribute = dicom_attribute(header->tag);
    if (is_printable(data + 4))
        return false;
    return header->length == 0 ? !is_zero(data + 4) : attribute && dicom_vr_has_long_length(attribute->vr);
}

// A sequence is left UN, for the tree to open if it can. Bytes that are no data set at all are not in order for long.
static bool read_no_vr(struct dicom_input *input, const struct level *level, const uint8_t *data, struct header *header,
                       struct error *err)
{
    uint64_t offset = input->position;
    size_t size;
    header->length = get_u16(data + 6, level->big_endian);
    header->size = SHORT_HEADER;
    if (looks_implicit(header, data) || header->tag <= level->last)
        return no_vr(header, offset, data, err);
    take_dictionary_vr(header);
    if (header->vr == DICOM_VR_SQ)
        header->vr = DICOM_VR_UN;
    if (header->length > 0)
        return true;
    if (!dicom_input_peek(input, SHORT_HEADER + SHORT_HEADER, &data, &size, err))
        return false;
    if (may_follow(level, header->tag, offset + SHORT_HEADER, data + SHORT_HEADER, size - SHORT_HEADER))
        return true;
    if (is_zero(data + 4) || size < LONG_HEADER)
        return no_vr(header, offset, data, err);
    header->length = get_u32(data + 8, level->big_endian);
    header->size = LONG_HEADER;
    return true;
}

static bool read_explicit(struct dicom_input *input, const struct level *level, const uint8_t *data,
                          struct header *header, struct error *err)
{
    if (!is_vr(data + 4))
        return read_no_vr(input, level, data, header, err);
    header->vr = (enum dicom_vr)DICOM_VR(data[4], data[5]);
    bool known = dicom_vr_known(header->vr);
    if (!known && dicom_tag_group(header->tag) == 0x0002)
        return reader_refuse(header->tag, input->position, err, "has the unknown VR %c%c", data[4], data[5]);
    bool is_long = known ? dicom_vr_has_long_length(header->vr) : data[6] == 0 && data[7] == 0;
    if (!known)
        header->vr = DICOM_VR_UN;
    header->size = is_long ? LONG_HEADER : SHORT_HEADER;
    if (!is_long) {
        header->length = get_u16(data + 6, level->big_endian);
        return true;
    }
    size_t size;
    if (!dicom_input_peek(input, LONG_HEADER, &data, &size, err))
        return false;
    if (size < LONG_HEADER)
        return reader_refuse(header->tag, input->position, err, "is cut off");
    header->length = get_u32(data + 8, level->big_endian);
    return true;
}

static bool check_room(const struct level *level, uint64_t offset, const struct header *header, struct error *err)
{
    uint64_t room = level->end - offset;
    if (header->size > room)
        return reader_refuse(header->tag, offset, err, "goes past the end of what encloses it");
    if (header->length != UNDEFINED_LENGTH && header->length > room - header->size)
        return reader_refuse(header->tag, offset, err, "has %u bytes, more than the %llu left in what encloses it",
                             header->length, (unsigned long long)(room - header->size));
    return true;
}

bool reader_header(struct dicom_input *input, const struct level *level, const uint8_t *data, struct header *out,
                   struct error *err)
{
    *out = (struct header){.tag = get_tag(data, level->big_endian)};
    bool read = level->implicit_vr ? read_implicit(input->position, data, out, err)
                                   : read_explicit(input, level, data, out, err);
    return read && check_room(level, input->position, out, err);
}
