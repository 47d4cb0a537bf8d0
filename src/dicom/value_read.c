// Values as little-endian bytes, whole or in part, wherever they are.
#include <stdlib.h>
#include <string.h>

#include "dicom/dataset.h"

static void swap(uint8_t *bytes, size_t size, size_t unit)
{
    for (size_t i = 0; size - i >= unit; i += unit)
        for (size_t k = 0; k < unit / 2; k++) {
            uint8_t c = bytes[i + k];
            bytes[i + k] = bytes[i + unit - 1 - k];
            bytes[i + unit - 1 - k] = c;
        }
}

// As they were sent.
static bool read_sent(const struct dicom_element *element, const struct reader *reader, uint64_t offset, size_t size,
                      void *out, struct error *err)
{
    char text[DICOM_TAG_TEXT_SIZE];
    if (element->value) {
        memcpy(out, element->value + offset, size);
        return true;
    }
    if (!reader)
        return error_set(err, ERROR_LIMIT, "the inflated value of %s, of %u bytes, does not fit into memory",
                         dicom_tag_text(text, element->tag), element->length);
    return reader_read(reader, element->offset + offset, out, size, err);
}

// What is swapped is the value, unit by unit: a part that begins or ends inside a unit is taken out of whole ones.
static bool read_turned(const struct dicom_element *element, const struct reader *reader, size_t unit, uint64_t offset,
                        size_t size, void *out, struct error *err)
{
    const uint64_t from = offset - offset % unit, to = (offset + size + unit - 1) / unit * unit;
    const size_t whole = (size_t)((to < element->length ? to : element->length) - from);
    uint8_t *bytes = malloc(whole);
    if (!bytes)
        return error_set(err, ERROR_MEMORY, "no memory for %zu bytes of a value", whole);
    bool ok = read_sent(element, reader, from, whole, bytes, err);
    if (ok) {
        swap(bytes, whole, unit);
        memcpy(out, bytes + (offset - from), size);
    }
    free(bytes);
    return ok;
}

bool dicom_value_read(const struct dicom_element *element, const struct reader *reader, uint64_t offset, size_t size,
                      void *out, struct error *err)
{
    char text[DICOM_TAG_TEXT_SIZE];
    const size_t unit = element->big_endian ? dicom_vr_unit(element->vr) : 1;
    if (offset > element->length || size > element->length - offset)
        return error_set(err, ERROR_BAD_DATA, "%zu bytes at %llu lie past the end of %s, of %u bytes", size,
                         (unsigned long long)offset, dicom_tag_text(text, element->tag), element->length);
    if (size == 0)
        return true;
    return unit > 1 ? read_turned(element, reader, unit, offset, size, out, err)
                    : read_sent(element, reader, offset, size, out, err);
}
