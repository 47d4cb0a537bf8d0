// The grammar of data sets (PS3.5 section 7) over an explicit stack: a level for the data set, for each open sequence,
// for each open item, and for encapsulated pixel data. A level's `end` is the nearest end given by a length outside;
// nothing may reach past it.
//
//   level      what may come                            function         what is pushed or popped
//   DATA_SET   element; end of the stream               next_element     + SEQUENCE, + FRAGMENTS
//   ITEM       element; item delimiter or end by length next_element     + SEQUENCE, + FRAGMENTS, - ITEM
//   SEQUENCE   item; sequence delimiter or end by length next_item       + ITEM, - SEQUENCE
//   FRAGMENTS  fragment; sequence delimiter             next_fragment    - FRAGMENTS
#include "dicom/reader.h"

#include <stdlib.h>
#include <string.h>

#include "dicom/reader_parts.h"

#define TAG_PIXELS DICOM_TAG(0x7FE0, 0x0010)

enum { LEVELS_MAX = 2 * DICOM_DEPTH_MAX + 2 };

struct dicom_reader {
    struct dicom_input input;
    struct level levels[LEVELS_MAX];
    size_t level; // index of the innermost
    unsigned sequences;
    uint64_t value_left; // of the last event, not yet read or skipped
    dicom_tag value_tag;
    bool big_endian_pixels;
    uint64_t value_offset;
    struct identifiers identifiers;
    struct identifier *identifier; // whose value is left; NULL: nobody's
};

struct dicom_reader *dicom_reader_new(struct source source, const struct dicom_transfer_syntax *syntax,
                                      struct error *err)
{
    struct dicom_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        error_set(err, ERROR_MEMORY, "out of memory for reading a data set");
        return NULL;
    }
    if (!dicom_input_init(&reader->input, source, syntax->deflated, err)) {
        free(reader);
        return NULL;
    }
    reader->big_endian_pixels = syntax->big_endian_pixels;
    reader->levels[0] = (struct level){.kind = LEVEL_DATA_SET,
                                       .implicit_vr = syntax->implicit_vr,
                                       .big_endian = syntax->big_endian,
                                       .end = UINT64_MAX};
    return reader;
}

void dicom_reader_free(struct dicom_reader *reader)
{
    if (!reader)
        return;
    dicom_input_close(&reader->input);
    free(reader);
}

static struct level *innermost(struct dicom_reader *reader)
{
    return &reader->levels[reader->level];
}

// LEVELS_MAX is enough for DICOM_DEPTH_MAX sequences with their items, the data set and fragments inside all of them;
// sequences are counted before.
static struct level *push(struct dicom_reader *reader, enum level_kind kind)
{
    const struct level *outer = innermost(reader);
    struct level *level = &reader->levels[++reader->level];
    *level = *outer;
    level->kind = kind;
    level->by_length = false;
    level->last = 0;
    return level;
}

// Takes bytes that were peeked at.
static void advance(struct dicom_reader *reader, size_t size)
{
    uint64_t done;
    struct error never;
    dicom_input_take(&reader->input, NULL, size, &done, &never);
}

// Takes what is left of the stream, which must be padding.
static bool take_padding(struct dicom_reader *reader, struct error *err)
{
    const uint8_t *data;
    size_t size;
    uint64_t start = reader->input.position;
    for (;;) {
        if (!dicom_input_peek(&reader->input, 1, &data, &size, err))
            return false;
        if (size == 0)
            return true;
        for (size_t i = 0; i < size; i++)
            if (data[i] != 0 || reader->input.position + i - start >= DICOM_PADDING_MAX)
                return error_set(err, ERROR_BAD_DATA,
                                 "the data set ends at byte %llu, but more follows that is no element and no padding",
                                 (unsigned long long)start);
        advance(reader, size);
    }
}

// The 8 bytes that begin an element or item. *data is NULL at a proper end of the stream.
static bool peek_header(struct dicom_reader *reader, const uint8_t **data, struct error *err)
{
    const struct level *level = innermost(reader);
    uint64_t position = reader->input.position;
    if (level->end - position < 8)
        return reader_refuse(level->tag, position, err,
                             level->end == position ? "lacks its delimiter where the enclosing length ends"
                                                    : "ends in bytes that are no element");
    size_t size;
    if (!dicom_input_peek(&reader->input, 8, data, &size, err))
        return false;
    if (size >= 8)
        return true;
    *data = NULL;
    return level->kind == LEVEL_DATA_SET
               ? take_padding(reader, err)
               : size == 0 ||
                     error_set(err, ERROR_BAD_DATA, "the data set ends at byte %llu in %zu bytes that are no element",
                               (unsigned long long)position, size);
}

static bool stream_ended(const struct dicom_reader *reader, struct error *err)
{
    const struct level *level = &reader->levels[reader->level];
    return reader_refuse(level->tag, reader->input.position, err,
                         level->by_length ? "is longer than the data set" : "lacks its delimiter: the data set ends");
}

static void end_level(struct dicom_reader *reader, enum dicom_event_type type, struct dicom_event *event)
{
    const struct level *level = innermost(reader);
    if (level->kind == LEVEL_SEQUENCE)
        reader->sequences--;
    event->type = type;
    event->tag = level->tag;
    event->depth = level->kind == LEVEL_ITEM ? reader->sequences - 1 : reader->sequences;
    event->value_offset = event->tag_offset = reader->input.position;
    reader->level--;
}

static bool begin_sequence(struct dicom_reader *reader, const struct header *header, struct dicom_event *event,
                           struct error *err)
{
    if (reader->sequences >= DICOM_DEPTH_MAX)
        return reader_refuse(header->tag, event->tag_offset, err, "is a sequence more than %d deep", DICOM_DEPTH_MAX);
    event->type = DICOM_EVENT_SEQUENCE;
    event->vr = DICOM_VR_SQ;
    struct level *level = push(reader, LEVEL_SEQUENCE);
    level->tag = header->tag;
    reader->sequences++;
    if (header->length != UNDEFINED_LENGTH) {
        level->by_length = true;
        level->end = reader->input.position + header->length;
    }
    if (header->vr == DICOM_VR_UN) { // PS3.5 section 6.2.2, note 2
        level->implicit_vr = true;
        level->big_endian = false;
    }
    return true;
}

static bool begin_undefined(struct dicom_reader *reader, const struct header *header, struct dicom_event *event,
                            struct error *err)
{
    if (header->vr == DICOM_VR_SQ || header->vr == DICOM_VR_UN)
        return begin_sequence(reader, header, event, err);
    char vr[3];
    dicom_vr_text(header->vr, vr);
    if (header->vr != DICOM_VR_OB && header->vr != DICOM_VR_OW)
        return reader_refuse(header->tag, event->tag_offset, err, "has undefined length, which VR %s may not have", vr);
    event->type = DICOM_EVENT_FRAGMENTS;
    push(reader, LEVEL_FRAGMENTS)->tag = header->tag;
    return true;
}

static bool is_big_endian(const struct dicom_reader *reader, const struct header *header)
{
    bool pixels = header->tag == TAG_PIXELS && reader->sequences == 0;
    return header->vr != DICOM_VR_UN &&
           (reader->levels[reader->level].big_endian || (pixels && reader->big_endian_pixels));
}

static bool begin_value(struct dicom_reader *reader, const struct header *header, uint64_t offset, struct error *err)
{
    reader->value_left = header->length;
    reader->value_tag = header->tag;
    reader->value_offset = offset;
    return reader->sequences > 0 || reader_identifier(&reader->identifiers, header, offset, &reader->identifier, err);
}

// Its header is taken; `offset` is where that began.
static bool begin_element(struct dicom_reader *reader, const struct header *header, uint64_t offset,
                          struct dicom_event *event, struct error *err)
{
    *event = (struct dicom_event){.type = DICOM_EVENT_ELEMENT,
                                  .tag = header->tag,
                                  .vr = header->vr,
                                  .vr_from_dictionary = header->vr_from_dictionary,
                                  .length = header->length,
                                  .value_offset = offset + header->size,
                                  .tag_offset = offset,
                                  .depth = reader->sequences,
                                  .big_endian = is_big_endian(reader, header)};
    if (header->length == UNDEFINED_LENGTH)
        return begin_undefined(reader, header, event, err);
    if (header->vr == DICOM_VR_SQ)
        return begin_sequence(reader, header, event, err);
    return begin_value(reader, header, offset, err);
}

// An item whose length is told may still bring its delimiter, as the last thing in it.
static bool ends_item(const struct level *level, dicom_tag tag, uint64_t offset)
{
    return tag == TAG_ITEM_END && level->kind == LEVEL_ITEM && (!level->by_length || offset + 8 == level->end);
}

static bool next_element(struct dicom_reader *reader, struct dicom_event *event, struct error *err)
{
    struct level *level = innermost(reader);
    uint64_t offset = reader->input.position;
    if (level->by_length && offset == level->end) {
        end_level(reader, DICOM_EVENT_ITEM_END, event);
        return true;
    }
    const uint8_t *data;
    if (!peek_header(reader, &data, err))
        return false;
    bool padding = data && level->kind == LEVEL_DATA_SET && bytes_u32le(data) == 0; // there is no element (0000,0000)
    if (!data || padding) {
        event->type = DICOM_EVENT_END;
        event->value_offset = event->tag_offset = offset;
        return padding ? take_padding(reader, err) : level->kind == LEVEL_DATA_SET || stream_ended(reader, err);
    }
    dicom_tag tag = get_tag(data, level->big_endian);
    if (ends_item(level, tag, offset)) {
        advance(reader, 8);
        end_level(reader, DICOM_EVENT_ITEM_END, event);
        return true;
    }
    if (dicom_tag_group(tag) == 0xFFFE)
        return reader_refuse(tag, offset, err, "is an item or delimiter where none is due");
    struct header header;
    if (!reader_header(&reader->input, level, data, &header, err))
        return false;
    level->last = tag;
    advance(reader, header.size);
    return begin_element(reader, &header, offset, event, err);
}

// Reads an item's tag and length, inside a sequence or fragments. *tag is 0 at the end of the stream.
static bool item_header(struct dicom_reader *reader, dicom_tag *tag, uint32_t *length, struct error *err)
{
    const struct level *level = innermost(reader);
    uint64_t offset = reader->input.position;
    const uint8_t *data;
    if (!peek_header(reader, &data, err))
        return false;
    *tag = 0;
    if (!data)
        return true;
    *tag = get_tag(data, level->big_endian);
    *length = get_u32(data + 4, level->big_endian);
    // A sequence whose length is told may still bring its delimiter, as the last thing in it.
    bool delimiter = *tag == TAG_SEQUENCE_END && (!level->by_length || offset + 8 == level->end);
    if (*tag != TAG_ITEM && !delimiter)
        return reader_refuse(*tag, offset, err, "is where an item%s is due",
                             level->by_length ? "" : " or a sequence delimiter");
    if (!delimiter && *length != UNDEFINED_LENGTH && *length > level->end - offset - 8)
        return reader_refuse(*tag, offset, err, "has %u bytes, more than what encloses it", *length);
    advance(reader, 8);
    return true;
}

static bool next_item(struct dicom_reader *reader, struct dicom_event *event, struct error *err)
{
    const struct level *level = innermost(reader);
    uint64_t offset = reader->input.position;
    if (level->by_length && offset == level->end) {
        end_level(reader, DICOM_EVENT_SEQUENCE_END, event);
        return true;
    }
    dicom_tag tag;
    uint32_t length = 0;
    if (!item_header(reader, &tag, &length, err))
        return false;
    if (tag == 0)
        return stream_ended(reader, err);
    if (tag == TAG_SEQUENCE_END) {
        end_level(reader, DICOM_EVENT_SEQUENCE_END, event);
        return true;
    }
    struct level *item = push(reader, LEVEL_ITEM);
    if (length != UNDEFINED_LENGTH) {
        item->by_length = true;
        item->end = offset + 8 + length;
    }
    event->type = DICOM_EVENT_ITEM;
    event->tag = item->tag;
    event->length = length;
    event->tag_offset = offset;
    event->value_offset = offset + 8;
    event->depth = reader->sequences - 1;
    return true;
}

static bool next_fragment(struct dicom_reader *reader, struct dicom_event *event, struct error *err)
{
    uint64_t offset = reader->input.position;
    dicom_tag tag;
    uint32_t length = 0;
    if (!item_header(reader, &tag, &length, err))
        return false;
    // The last thing of a data set may lack its delimiter: the pixels are whole, and who decodes them decides.
    if (tag == 0 && reader->level != 1)
        return stream_ended(reader, err);
    if (tag == 0 || tag == TAG_SEQUENCE_END) {
        end_level(reader, DICOM_EVENT_FRAGMENTS_END, event);
        return true;
    }
    if (length == UNDEFINED_LENGTH)
        return reader_refuse(innermost(reader)->tag, offset, err, "has a fragment of undefined length");
    event->type = DICOM_EVENT_FRAGMENT;
    event->tag = innermost(reader)->tag;
    event->length = length;
    event->tag_offset = offset;
    event->value_offset = offset + 8;
    event->depth = reader->sequences;
    reader->value_left = length;
    reader->value_tag = event->tag;
    return true;
}

static bool take_bytes(struct dicom_reader *reader, void *to, struct error *err)
{
    uint64_t left = reader->value_left, done;
    reader->value_left = 0;
    if (!dicom_input_take(&reader->input, to, left, &done, err))
        return false;
    if (done < left)
        return reader_refuse(reader->value_tag, reader->input.position, err,
                             "is cut off: %llu of %llu bytes of its value are missing",
                             (unsigned long long)(left - done), (unsigned long long)left);
    return true;
}

static bool take_value(struct dicom_reader *reader, void *to, struct error *err)
{
    struct identifier *identifier = reader->identifier;
    uint8_t value[IDENTIFIER_MAX];
    size_t size = (size_t)reader->value_left;
    if (!identifier)
        return take_bytes(reader, to, err);
    reader->identifier = NULL;
    if (!take_bytes(reader, value, err))
        return false;
    if (to)
        memcpy(to, value, size);
    return reader_identifier_value(identifier, reader->value_tag, reader->value_offset, value, size, err);
}

bool dicom_reader_value(struct dicom_reader *reader, void *to, struct error *err)
{
    return take_value(reader, to, err);
}

bool dicom_reader_next(struct dicom_reader *reader, struct dicom_event *event, struct error *err)
{
    if (reader->value_left > 0 && !take_value(reader, NULL, err))
        return false;
    *event = (struct dicom_event){0};
    switch (innermost(reader)->kind) {
    case LEVEL_SEQUENCE:
        return next_item(reader, event, err);
    case LEVEL_FRAGMENTS:
        return next_fragment(reader, event, err);
    default:
        return next_element(reader, event, err);
    }
}
