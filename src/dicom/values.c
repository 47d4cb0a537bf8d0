// Typed access to the values of a tree.
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "dicom/charset.h"
#include "dicom/values.h"

#define TAG_CHARSET DICOM_TAG(0x0008, 0x0005)
#define TAG_PIXEL_REPRESENTATION DICOM_TAG(0x0028, 0x0103)
#define TAG_LUT_DESCRIPTOR DICOM_TAG(0x0028, 0x3002)
#define TAG_LUT_DATA DICOM_TAG(0x0028, 0x3006)
#define TAG_GRAY_LUT_DATA DICOM_TAG(0x0028, 0x1200)

enum { NUMBER_SIZE_MAX = 64 };

const struct dicom_element *dicom_find(const struct dicom_dataset *dataset, dicom_tag tag)
{
    size_t low = 0, high = dataset->count;
    if (!dataset->sorted) {
        while (low < high && dataset->elements[low].tag != tag)
            low++;
        return low < high ? &dataset->elements[low] : NULL;
    }
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (dataset->elements[middle].tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low < dataset->count && dataset->elements[low].tag == tag ? &dataset->elements[low] : NULL;
}

const struct dicom_dataset *dicom_item(const struct dicom_dataset *dataset, dicom_tag sequence, size_t index)
{
    const struct dicom_element *element = dicom_find(dataset, sequence);
    return element && index < element->item_count ? element->items[index] : NULL;
}

// As in dicom_find, but in the nearest enclosing data set that has it.
static const struct dicom_element *find_outward(const struct dicom_dataset *dataset, dicom_tag tag)
{
    const struct dicom_element *element = NULL;
    for (; dataset && !element; dataset = dataset->parent)
        element = dicom_find(dataset, tag);
    return element;
}

enum dicom_vr dicom_effective_vr(const struct dicom_dataset *dataset, const struct dicom_element *element)
{
    if (!element->vr_from_dictionary || element->vr != DICOM_VR_US)
        return element->vr;
    const struct dicom_attribute *attribute = dicom_attribute(element->tag);
    if (!attribute || !attribute->vr_by_pixels)
        return element->vr;
    int64_t value;
    // Table data of one entry a value is US, packed data is OW (PS3.3 C.11.1.1.1).
    if (element->tag == TAG_LUT_DATA || element->tag == TAG_GRAY_LUT_DATA)
        return dicom_integer(dataset, TAG_LUT_DESCRIPTOR, 0, &value) && value == 1 ? DICOM_VR_US : DICOM_VR_OW;
    const struct dicom_element *sign = find_outward(dataset, TAG_PIXEL_REPRESENTATION);
    if (!sign || !sign->value || sign->length < 2)
        return DICOM_VR_US;
    return (sign->big_endian ? bytes_u16be(sign->value) : bytes_u16le(sign->value)) == 1 ? DICOM_VR_SS : DICOM_VR_US;
}

bool dicom_text_is_single(enum dicom_vr vr)
{
    return vr == DICOM_VR_LT || vr == DICOM_VR_ST || vr == DICOM_VR_UT || vr == DICOM_VR_UR;
}

// Takes off what pads: spaces and NULs at the end, and spaces at the start where the VR does not count them.
static void trim(enum dicom_vr vr, const char **text, size_t *size)
{
    if (!dicom_text_is_single(vr) && vr != DICOM_VR_UC) {
        text_trim(text, size);
        return;
    }
    while (*size > 0 && ((*text)[*size - 1] == ' ' || (*text)[*size - 1] == 0))
        (*size)--;
}

static const char *charset_of(const struct dicom_dataset *dataset, char out[DICOM_CHARSET_SIZE])
{
    const struct dicom_element *element = find_outward(dataset, TAG_CHARSET);
    size_t size = element && element->value ? element->length : 0;
    if (size >= DICOM_CHARSET_SIZE)
        size = DICOM_CHARSET_SIZE - 1;
    if (size > 0)
        memcpy(out, element->value, size);
    out[size] = 0;
    return out;
}

static const struct dicom_dataset *outermost(const struct dicom_dataset *dataset)
{
    while (dataset->parent)
        dataset = dataset->parent;
    return dataset;
}

// Also of VRs that the standard holds to the default repertoire: some senders' are not.
char *dicom_element_text(const struct dicom_dataset *dataset, const struct dicom_element *element, struct arena *arena)
{
    char said[DICOM_CHARSET_SIZE];
    const struct dicom_charset charset = {charset_of(dataset, said), outermost(dataset)->charset};
    const char *text = (const char *)element->value;
    size_t size = element->value ? element->length : 0;
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == 0))
        size--;
    return dicom_charset_to_utf8(&charset, element->vr, element->value, size, arena, NULL);
}

// NULL when there is no such text element or its value is not at hand.
static const struct dicom_element *find_text(const struct dicom_dataset *dataset, dicom_tag tag)
{
    const struct dicom_element *element = dicom_find(dataset, tag);
    if (!element || !dicom_vr_is_text(element->vr))
        return NULL;
    return element->value || element->length == 0 ? element : NULL;
}

const char *dicom_text(const struct dicom_dataset *dataset, dicom_tag tag, struct arena *arena)
{
    const struct dicom_element *element = find_text(dataset, tag);
    if (!element || element->length == 0)
        return element ? "" : NULL;
    char *text = dicom_element_text(dataset, element, arena);
    if (!text)
        return NULL;
    const char *start = text;
    size_t size = strlen(text);
    trim(element->vr, &start, &size);
    text[start - text + (ptrdiff_t)size] = 0;
    return start;
}

bool dicom_text_split(enum dicom_vr vr, const char *text, size_t size, size_t index, const char **value,
                      size_t *value_size)
{
    const char *end = text + size;
    const char *next = dicom_text_is_single(vr) ? NULL : memchr(text, '\\', size);
    for (; index > 0 && next; index--) {
        text = next + 1;
        next = memchr(text, '\\', (size_t)(end - text));
    }
    if (index > 0)
        return false;
    *value = text;
    *value_size = (size_t)((next ? next : end) - text);
    trim(vr, value, value_size);
    return true;
}

const char *dicom_text_at(const struct dicom_dataset *dataset, dicom_tag tag, size_t index, struct arena *arena)
{
    const struct dicom_element *element = find_text(dataset, tag);
    if (!element || index >= DICOM_VALUES_MAX)
        return NULL;
    const char *text = element->length == 0 ? "" : dicom_element_text(dataset, element, arena);
    const char *value;
    size_t size;
    if (!text || !dicom_text_split(element->vr, text, strlen(text), index, &value, &size))
        return NULL;
    return arena_strndup(arena, value, size);
}

bool dicom_text_copy(const struct dicom_dataset *dataset, dicom_tag tag, char *to, size_t capacity)
{
    if (capacity > 0)
        to[0] = 0;
    const struct dicom_element *element = find_text(dataset, tag);
    if (!element)
        return false;
    struct arena arena;
    arena_init(&arena, (size_t)element->length * 4 + 1024);
    const char *text = dicom_text_at(dataset, tag, 0, &arena);
    bool fits = text && text_copy(to, capacity, text);
    if (!fits && capacity > 0)
        to[0] = 0;
    arena_free(&arena);
    return fits;
}

// One value of IS or DS, which are ASCII: no conversion is needed to split them.
static bool number_text(const struct dicom_element *element, size_t index, const char **text, size_t *size)
{
    return (element->vr == DICOM_VR_IS || element->vr == DICOM_VR_DS) && element->value &&
           dicom_text_split(element->vr, (const char *)element->value, element->length, index, text, size) &&
           *size > 0 && *size <= NUMBER_SIZE_MAX;
}

static const uint8_t *binary_value(const struct dicom_element *element, size_t index)
{
    size_t unit = dicom_vr_unit(element->vr);
    return element->value && index < element->length / unit ? element->value + index * unit : NULL;
}

// The bits of a binary number in the machine's order.
static uint64_t load(const struct dicom_element *element, const uint8_t *p)
{
    switch (dicom_vr_unit(element->vr)) {
    case 2:
        return element->big_endian ? bytes_u16be(p) : bytes_u16le(p);
    case 4:
        return element->big_endian ? bytes_u32be(p) : bytes_u32le(p);
    default:
        return element->big_endian ? bytes_u64be(p) : bytes_u64le(p);
    }
}

bool dicom_element_integer(const struct dicom_dataset *dataset, const struct dicom_element *element, size_t index,
                           int64_t *out)
{
    const uint8_t *p = binary_value(element, index);
    const char *text;
    size_t size;
    double number;
    switch (dicom_effective_vr(dataset, element)) {
    case DICOM_VR_FL:
    case DICOM_VR_FD:
        break;
    case DICOM_VR_US:
    case DICOM_VR_UL:
        return p && (*out = (int64_t)load(element, p), true);
    case DICOM_VR_UV:
        return p && load(element, p) <= INT64_MAX && (*out = (int64_t)load(element, p), true);
    case DICOM_VR_SS:
        return p && (*out = (int16_t)load(element, p), true);
    case DICOM_VR_SL:
        return p && (*out = (int32_t)load(element, p), true);
    case DICOM_VR_SV:
        return p && (*out = (int64_t)load(element, p), true);
    case DICOM_VR_AT: // two 16-bit numbers, group first
        return p && (*out = (int64_t)(element->big_endian ? load(element, p)
                                                          : load(element, p) >> 16 | (load(element, p) & 0xFFFF) << 16),
                     true);
    case DICOM_VR_IS:
    case DICOM_VR_DS:
        if (number_text(element, index, &text, &size) && text_to_i64(text, size, out))
            return true;
        break;
    default:
        return false;
    }
    static const double exact = 9007199254740992.0; // 2^53
    if (!dicom_element_number(dataset, element, index, &number) || !(number >= -exact && number <= exact) ||
        number != (double)(int64_t)number)
        return false;
    *out = (int64_t)number;
    return true;
}

bool dicom_element_number(const struct dicom_dataset *dataset, const struct dicom_element *element, size_t index,
                          double *out)
{
    const uint8_t *p = binary_value(element, index);
    const char *text;
    size_t size;
    int64_t integer;
    uint32_t bits;
    uint64_t long_bits;
    float single;
    switch (element->vr) {
    case DICOM_VR_FL:
        if (!p)
            return false;
        bits = (uint32_t)load(element, p);
        memcpy(&single, &bits, sizeof single);
        *out = (double)single;
        return true;
    case DICOM_VR_FD:
        if (!p)
            return false;
        long_bits = load(element, p);
        memcpy(out, &long_bits, sizeof *out);
        return true;
    case DICOM_VR_IS:
    case DICOM_VR_DS:
        return number_text(element, index, &text, &size) && text_to_double(text, size, out);
    case DICOM_VR_UV:
        return p && (*out = (double)load(element, p), true);
    case DICOM_VR_US:
    case DICOM_VR_SS:
    case DICOM_VR_UL:
    case DICOM_VR_SL:
    case DICOM_VR_SV:
    case DICOM_VR_AT:
        return dicom_element_integer(dataset, element, index, &integer) && (*out = (double)integer, true);
    default:
        return false;
    }
}

bool dicom_integer(const struct dicom_dataset *dataset, dicom_tag tag, size_t index, int64_t *out)
{
    const struct dicom_element *element = dicom_find(dataset, tag);
    return element && dicom_element_integer(dataset, element, index, out);
}

bool dicom_number(const struct dicom_dataset *dataset, dicom_tag tag, size_t index, double *out)
{
    const struct dicom_element *element = dicom_find(dataset, tag);
    return element && dicom_element_number(dataset, element, index, out);
}

static size_t count_backslashes(const char *text, size_t size)
{
    size_t count = 0;
    for (const char *at = text; size > 0 && (at = memchr(at, '\\', size - (size_t)(at - text))); at++)
        count++;
    return count;
}

// In multi-byte sets 5CH may be half of a character: only converted text can be split.
static size_t count_texts(const struct dicom_dataset *dataset, const struct dicom_element *element)
{
    if (dicom_text_is_single(element->vr))
        return 1;
    if (!dicom_vr_has_charset(element->vr))
        return count_backslashes((const char *)element->value, element->length) + 1;
    struct arena arena;
    arena_init(&arena, (size_t)element->length * 4 + 1024);
    const char *text = dicom_element_text(dataset, element, &arena);
    size_t count = text ? count_backslashes(text, strlen(text)) + 1 : 0;
    arena_free(&arena);
    return count;
}

size_t dicom_value_count(const struct dicom_dataset *dataset, dicom_tag tag)
{
    const struct dicom_element *element = dicom_find(dataset, tag);
    if (!element)
        return 0;
    if (element->vr == DICOM_VR_SQ)
        return element->item_count;
    if (element->fragment_count > 0)
        return 1;
    if (element->length == 0)
        return 0;
    switch (element->vr) {
    case DICOM_VR_OB:
    case DICOM_VR_OW:
    case DICOM_VR_OF:
    case DICOM_VR_OD:
    case DICOM_VR_OL:
    case DICOM_VR_OV:
    case DICOM_VR_UN:
        return 1;
    default:
        break;
    }
    if (!dicom_vr_is_text(element->vr))
        return element->length / dicom_vr_unit(element->vr);
    return element->value ? count_texts(dataset, element) : 0;
}
