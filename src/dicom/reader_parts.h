// What reader.c and its parts share: the levels of the grammar, headers of elements (reader_header.c), and the
// identifiers that a data set may not name twice (reader_identifiers.c).
#ifndef DICOM_READER_PARTS_H
#define DICOM_READER_PARTS_H

#include "base/bytes.h"
#include "dicom/dicom.h"
#include "dicom/input.h"

#define UNDEFINED_LENGTH UINT32_C(0xFFFFFFFF)
#define TAG_ITEM DICOM_TAG(0xFFFE, 0xE000)
#define TAG_ITEM_END DICOM_TAG(0xFFFE, 0xE00D)
#define TAG_SEQUENCE_END DICOM_TAG(0xFFFE, 0xE0DD)

enum level_kind { LEVEL_DATA_SET, LEVEL_ITEM, LEVEL_SEQUENCE, LEVEL_FRAGMENTS };

struct level {
    enum level_kind kind;
    bool by_length;   // ends at `end`; otherwise by a delimiter (the data set: with the stream)
    bool implicit_vr; // of the elements inside
    bool big_endian;
    uint64_t end;
    dicom_tag tag;  // of the sequence or fragments, for messages
    dicom_tag last; // of the element before; 0 when there is none
};

static inline uint16_t get_u16(const uint8_t *p, bool big_endian)
{
    return big_endian ? bytes_u16be(p) : bytes_u16le(p);
}

static inline uint32_t get_u32(const uint8_t *p, bool big_endian)
{
    return big_endian ? bytes_u32be(p) : bytes_u32le(p);
}

static inline dicom_tag get_tag(const uint8_t *p, bool big_endian)
{
    return DICOM_TAG(get_u16(p, big_endian), get_u16(p + 2, big_endian));
}

// BAD_DATA: the tag, the byte, and why.
bool reader_refuse(dicom_tag tag, uint64_t offset, struct error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// An element's header as it was read.
struct header {
    dicom_tag tag;
    enum dicom_vr vr;
    bool vr_from_dictionary;
    uint32_t length;
    size_t size; // of the header: 8 or 12
};

// The header of the element that begins at the input's position, of which `data` are the first 8 bytes. Nothing is
// taken. BAD_DATA when it is none in the level's encoding.
bool reader_header(struct dicom_input *input, const struct level *level, const uint8_t *data, struct header *out,
                   struct error *err);

// ---- what an object is filed under

enum { IDENTIFYING_COUNT = 4, IDENTIFIER_MAX = 128 };

struct identifier {
    bool seen;
    size_t size;
    uint8_t value[IDENTIFIER_MAX]; // without padding
};

// The places of a data set; zeroed at its start.
struct identifiers {
    struct identifier of[IDENTIFYING_COUNT];
};

// At an element of the top level. In *out the place for its value, which is due; NULL: it is no identifier, or all is
// said. BAD_DATA when it is there already with another value.
bool reader_identifier(struct identifiers *identifiers, const struct header *header, uint64_t offset,
                       struct identifier **out, struct error *err);
// The first value is kept; another one must be the same but for padding. `size` is at most IDENTIFIER_MAX.
bool reader_identifier_value(struct identifier *identifier, dicom_tag tag, uint64_t offset, const uint8_t *value,
                             size_t size, struct error *err);

#endif
