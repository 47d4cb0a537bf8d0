// What an object is filed under. Twice with different values it would be two objects, or two patients', and readers
// differ in which one they take; twice with the same value it is what it is.
#include <string.h>

#include "base/text.h"
#include "dicom/reader_parts.h"

static const dicom_tag identifying[] = {
    DICOM_TAG(0x0008, 0x0018), // SOP Instance UID
    DICOM_TAG(0x0010, 0x0020), // Patient ID
    DICOM_TAG(0x0020, 0x000D), // Study Instance UID
    DICOM_TAG(0x0020, 0x000E), // Series Instance UID
};

_Static_assert(sizeof identifying / sizeof *identifying == IDENTIFYING_COUNT, "one place for each");

static bool differs(dicom_tag tag, uint64_t offset, struct error *err)
{
    return reader_refuse(tag, offset, err, "occurs twice, with different values");
}

bool reader_identifier_value(struct identifier *identifier, dicom_tag tag, uint64_t offset, const uint8_t *value,
                             size_t size, struct error *err)
{
    const char *text = (const char *)value;
    text_trim(&text, &size);
    if (identifier->seen)
        return (identifier->size == size && memcmp(identifier->value, text, size) == 0) || differs(tag, offset, err);
    identifier->seen = true;
    identifier->size = size;
    memcpy(identifier->value, text, size);
    return true;
}

// A value that is too long to be kept is taken to differ from any other.
bool reader_identifier(struct identifiers *identifiers, const struct header *header, uint64_t offset,
                       struct identifier **out, struct error *err)
{
    size_t i = 0;
    *out = NULL;
    while (i < IDENTIFYING_COUNT && identifying[i] != header->tag)
        i++;
    if (i == IDENTIFYING_COUNT)
        return true;
    struct identifier *identifier = &identifiers->of[i];
    if (header->length == 0)
        return reader_identifier_value(identifier, header->tag, offset, (const uint8_t *)"", 0, err);
    if (header->length <= IDENTIFIER_MAX) {
        *out = identifier;
        return true;
    }
    if (identifier->seen)
        return differs(header->tag, offset, err);
    *identifier = (struct identifier){.seen = true, .size = SIZE_MAX};
    return true;
}
