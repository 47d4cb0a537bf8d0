// The nesting of data sets is bounded by the reader (DICOM_DEPTH_MAX), so writing items by recursion is too.
#include "dicom/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "dicom/values.h"

enum { PATH_SIZE = 24 * (DICOM_DEPTH_MAX + 1), NUMBER_SIZE = 40 };

struct json_writer {
    struct buffer *out;
    const struct dicom_json_options *options;
    struct arena *scratch;
    char path[PATH_SIZE]; // of the open items: "52009229/0/"
    size_t path_size;
    bool failed; // the scratch arena is full
};

// Once or more per element, so without printf, which took half of the time.
static void put_tag(struct buffer *out, dicom_tag tag)
{
    static const char digits[] = "0123456789ABCDEF";
    char text[8];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = digits[tag >> (28 - 4 * i) & 15];
    buffer_append(out, text, sizeof text);
}

static void put_quoted_tag(struct buffer *out, dicom_tag tag)
{
    buffer_byte(out, '"');
    put_tag(out, tag);
    buffer_byte(out, '"');
}

static void put_integer(struct buffer *out, bool negative, uint64_t magnitude)
{
    char text[21]; // 2^64 has 20 digits
    size_t at = sizeof text;
    do
        text[--at] = (char)('0' + magnitude % 10);
    while ((magnitude /= 10) > 0);
    if (negative)
        text[--at] = '-';
    buffer_append(out, text + at, sizeof text - at);
}

// A JSON list that is opened by its first value, since an element without values has none.
static void put_separator(struct json_writer *writer, bool first)
{
    buffer_text(writer->out, first ? ",\"Value\":[" : ",");
}

static void put_string(struct json_writer *writer, const char *text, size_t size)
{
    buffer_json_string(writer->out, text, size);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(const char *text, size_t size)
{
    size_t count = 0;
    while (count < size && is_digit(text[count]))
        count++;
    return count;
}

// The parts of a decimal: sign, digits, point, digits, exponent.
struct decimal {
    bool negative;
    const char *text; // behind the sign
    size_t whole;
    size_t fraction; // digits behind the point
    size_t point;    // 1 when there is one
    size_t size;
};

static bool parse_decimal(const char *text, size_t size, struct decimal *out)
{
    *out = (struct decimal){.negative = size > 0 && *text == '-'};
    size_t sign = size > 0 && (*text == '-' || *text == '+') ? 1 : 0;
    out->text = text += sign;
    out->size = size -= sign;
    out->whole = count_digits(text, size);
    out->point = out->whole < size && text[out->whole] == '.' ? 1 : 0;
    size_t at = out->whole + out->point;
    out->fraction = count_digits(text + at, size - at);
    at += out->fraction;
    if (at < size && (text[at] == 'e' || text[at] == 'E')) {
        at += at + 1 < size && (text[at + 1] == '+' || text[at + 1] == '-') ? 2 : 1;
        size_t digits = count_digits(text + at, size - at);
        if (digits == 0)
            return false;
        at += digits;
    }
    return at == size && out->whole + out->fraction > 0;
}

enum { DECIMAL_SIZE_MAX = 64, INTEGER_DIGITS_MAX = 18 };

// A value of IS or DS as a JSON number, its digits as they are: no plus sign, no leading zeros, digits on both sides of
// the point. false when it is no number, or one that common JSON readers refuse (an integer past 64 bits, a magnitude
// past a double).
static bool put_decimal(struct json_writer *writer, const char *text, size_t size)
{
    struct decimal decimal;
    double value;
    if (size > DECIMAL_SIZE_MAX || !parse_decimal(text, size, &decimal))
        return false;
    if (decimal.whole == decimal.size && decimal.whole > INTEGER_DIGITS_MAX)
        return false;
    size_t exponent = decimal.whole + decimal.point + decimal.fraction;
    if (exponent < decimal.size && !text_to_double(text, size, &value))
        return false;
    size_t zeros = 0;
    while (zeros + 1 < decimal.whole && decimal.text[zeros] == '0')
        zeros++;
    if (decimal.negative)
        buffer_byte(writer->out, '-');
    if (decimal.whole == 0)
        buffer_byte(writer->out, '0');
    buffer_append(writer->out, decimal.text + zeros, decimal.whole - zeros);
    if (decimal.fraction > 0)
        buffer_append(writer->out, decimal.text + decimal.whole, decimal.point + decimal.fraction);
    buffer_append(writer->out, decimal.text + exponent, decimal.size - exponent);
    return true;
}

// The fewest digits that give the same number again; what JSON has no number for as text.
static void put_double(struct json_writer *writer, double value)
{
    if (!isfinite(value)) {
        buffer_text(writer->out, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    char text[NUMBER_SIZE];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buffer_text(writer->out, text);
}

static void put_person_name(struct json_writer *writer, const char *text, size_t size)
{
    static const char *const groups[] = {"Alphabetic", "Ideographic", "Phonetic"};
    bool first = true;
    buffer_byte(writer->out, '{');
    for (size_t i = 0; i < 3; i++) {
        const char *end = memchr(text, '=', size);
        size_t group = end ? (size_t)(end - text) : size;
        if (group > 0) {
            buffer_text(writer->out, first ? "\"" : ",\"");
            buffer_text(writer->out, groups[i]);
            buffer_text(writer->out, "\":");
            put_string(writer, text, group);
            first = false;
        }
        if (!end)
            break;
        text = end + 1;
        size -= group + 1;
    }
    buffer_byte(writer->out, '}');
}

static void put_text_value(struct json_writer *writer, enum dicom_vr vr, const char *text, size_t size)
{
    if (size == 0)
        buffer_text(writer->out, "null");
    else if (vr == DICOM_VR_PN)
        put_person_name(writer, text, size);
    else if ((vr != DICOM_VR_IS && vr != DICOM_VR_DS) || !put_decimal(writer, text, size))
        put_string(writer, text, size);
}

static void put_texts(struct json_writer *writer, const struct dicom_dataset *dataset,
                      const struct dicom_element *element)
{
    const char *text = dicom_element_text(dataset, element, writer->scratch);
    if (!text) {
        writer->failed = true;
        return;
    }
    const char *end = text + strlen(text), *value;
    size_t size;
    // Each value is split off the rest, so that many values take linear time.
    for (size_t i = 0; text; i++) {
        if (!dicom_text_split(element->vr, text, (size_t)(end - text), 0, &value, &size))
            return;
        const char *next = dicom_text_is_single(element->vr) ? NULL : memchr(text, '\\', (size_t)(end - text));
        if (i == 0 && !next && size == 0)
            return; // only padding: no value
        put_separator(writer, i == 0);
        put_text_value(writer, element->vr, value, size);
        text = next ? next + 1 : NULL;
    }
    buffer_byte(writer->out, ']');
}

static void put_number(struct json_writer *writer, const struct dicom_dataset *dataset,
                       const struct dicom_element *element, size_t index)
{
    int64_t integer;
    double number;
    if (element->vr == DICOM_VR_FL || element->vr == DICOM_VR_FD) {
        if (dicom_element_number(dataset, element, index, &number))
            put_double(writer, number);
    } else if (dicom_element_integer(dataset, element, index, &integer)) {
        if (element->vr == DICOM_VR_AT)
            put_quoted_tag(writer->out, (dicom_tag)integer);
        else
            put_integer(writer->out, integer < 0, integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer);
    } else { // a UV past 2^63
        const uint8_t *p = element->value + index * 8;
        put_integer(writer->out, false, element->big_endian ? bytes_u64be(p) : bytes_u64le(p));
    }
}

static void put_numbers(struct json_writer *writer, const struct dicom_dataset *dataset,
                        const struct dicom_element *element)
{
    size_t count = element->length / dicom_vr_unit(element->vr);
    for (size_t i = 0; i < count && !writer->out->failed; i++) {
        put_separator(writer, i == 0);
        put_number(writer, dataset, element, i);
    }
    if (count > 0)
        buffer_byte(writer->out, ']');
}

static void put_bulk(struct json_writer *writer, dicom_tag tag)
{
    if (!writer->options->bulk_base)
        return;
    buffer_text(writer->out, ",\"BulkDataURI\":");
    struct buffer uri;
    buffer_init(&uri, 64 << 10);
    buffer_printf(&uri, "%s/%.*s%08X", writer->options->bulk_base, (int)writer->path_size, writer->path, tag);
    put_string(writer, (const char *)uri.data, uri.size);
    writer->out->failed |= uri.failed;
    buffer_free(&uri);
}

// The value with each unit's bytes turned, when it came big-endian (PS3.18 F.2.7 is little-endian).
static const uint8_t *turned(struct json_writer *writer, const struct dicom_element *element, size_t unit)
{
    if (!element->big_endian || unit == 1)
        return element->value;
    uint8_t *copy = arena_alloc(writer->scratch, element->length);
    if (!copy) {
        writer->failed = true;
        return NULL;
    }
    size_t whole = element->length / unit * unit;
    for (size_t i = 0; i < whole; i++)
        copy[i / unit * unit + (unit - 1 - i % unit)] = element->value[i];
    memcpy(copy + whole, element->value + whole, element->length - whole);
    return copy;
}

static void put_binary(struct json_writer *writer, const struct dicom_element *element, enum dicom_vr vr)
{
    if (element->fragment_count > 0 || element->undefined_length || !element->value ||
        element->length > writer->options->inline_max) {
        put_bulk(writer, element->tag);
        return;
    }
    const uint8_t *bytes = turned(writer, element, dicom_vr_unit(vr));
    if (!bytes)
        return;
    buffer_text(writer->out, ",\"InlineBinary\":\"");
    buffer_base64(writer->out, bytes, element->length);
    buffer_byte(writer->out, '"');
}

static void put_dataset(struct json_writer *writer, const struct dicom_dataset *dataset);

static void put_items(struct json_writer *writer, const struct dicom_element *element)
{
    size_t path_size = writer->path_size;
    for (size_t i = 0; i < element->item_count; i++) {
        int size = snprintf(writer->path + path_size, PATH_SIZE - path_size, "%08X/%zu/", element->tag, i);
        writer->path_size = path_size + (size_t)size < PATH_SIZE ? path_size + (size_t)size : path_size;
        put_separator(writer, i == 0);
        put_dataset(writer, element->items[i]);
    }
    if (element->item_count > 0)
        buffer_byte(writer->out, ']');
    writer->path_size = path_size;
}

static bool is_number(enum dicom_vr vr)
{
    return vr == DICOM_VR_US || vr == DICOM_VR_SS || vr == DICOM_VR_UL || vr == DICOM_VR_SL || vr == DICOM_VR_UV ||
           vr == DICOM_VR_SV || vr == DICOM_VR_FL || vr == DICOM_VR_FD || vr == DICOM_VR_AT;
}

static void put_element(struct json_writer *writer, const struct dicom_dataset *dataset,
                        const struct dicom_element *element)
{
    enum dicom_vr vr = dicom_effective_vr(dataset, element);
    // A value that is no whole number of its VR's units is shown as the bytes it is.
    if (is_number(vr) && element->length % dicom_vr_unit(vr) != 0)
        vr = DICOM_VR_UN;
    char text[3];
    dicom_vr_text(vr, text);
    buffer_text(writer->out, "{\"vr\":\"");
    buffer_text(writer->out, text);
    buffer_byte(writer->out, '"');
    if (vr == DICOM_VR_SQ)
        put_items(writer, element);
    else if (element->length == 0 && !element->undefined_length)
        ;
    else if (!element->value)
        put_bulk(writer, element->tag);
    else if (dicom_vr_is_text(vr))
        put_texts(writer, dataset, element);
    else if (is_number(vr))
        put_numbers(writer, dataset, element);
    else
        put_binary(writer, element, vr);
    buffer_byte(writer->out, '}');
}

static bool is_left_out(dicom_tag tag)
{
    return dicom_tag_element(tag) == 0 || tag == DICOM_TAG(0xFFFC, 0xFFFC);
}

// By tag; of the same tag in the stream's order.
static int by_tag(const void *a, const void *b)
{
    const struct dicom_element *const *left = a;
    const struct dicom_element *const *right = b;
    if ((*left)->tag != (*right)->tag)
        return (*left)->tag < (*right)->tag ? -1 : 1;
    return (*left)->tag_offset < (*right)->tag_offset ? -1 : 1;
}

static const struct dicom_element **sorted_elements(struct json_writer *writer, const struct dicom_dataset *dataset)
{
    const struct dicom_element **elements = arena_calloc(writer->scratch, dataset->count, sizeof *elements);
    if (!elements) {
        writer->failed = true;
        return NULL;
    }
    for (size_t i = 0; i < dataset->count; i++)
        elements[i] = &dataset->elements[i];
    qsort(elements, dataset->count, sizeof *elements, by_tag);
    return elements;
}

static void put_dataset(struct json_writer *writer, const struct dicom_dataset *dataset)
{
    const struct dicom_element **sorted = dataset->sorted ? NULL : sorted_elements(writer, dataset);
    if (!dataset->sorted && !sorted)
        return;
    const struct dicom_element *last = NULL;
    buffer_byte(writer->out, '{');
    for (size_t i = 0; i < dataset->count && !writer->failed && !writer->out->failed; i++) {
        const struct dicom_element *element = sorted ? sorted[i] : &dataset->elements[i];
        if (is_left_out(element->tag) ||
            (last && last->tag == element->tag)) // a key twice is no JSON; dicom_find gives the first, too
            continue;
        if (last)
            buffer_byte(writer->out, ',');
        put_quoted_tag(writer->out, element->tag);
        buffer_byte(writer->out, ':');
        put_element(writer, dataset, element);
        last = element;
    }
    buffer_byte(writer->out, '}');
}

static bool end_writing(const struct json_writer *writer, struct error *err)
{
    if (writer->failed)
        return error_set(err, ERROR_LIMIT, "DICOM JSON: the text does not fit into %zu bytes of memory",
                         writer->scratch->limit);
    return buffer_check(writer->out, "DICOM JSON", err);
}

bool dicom_json_write(struct buffer *out, const struct dicom_dataset *dataset, const struct dicom_json_options *options,
                      struct arena *scratch, struct error *err)
{
    struct json_writer writer = {.out = out, .options = options, .scratch = scratch};
    put_dataset(&writer, dataset);
    return end_writing(&writer, err);
}

bool dicom_json_write_element(struct buffer *out, const struct dicom_dataset *dataset,
                              const struct dicom_element *element, const struct dicom_json_options *options,
                              struct arena *scratch, struct error *err)
{
    struct json_writer writer = {.out = out, .options = options, .scratch = scratch};
    put_element(&writer, dataset, element);
    return end_writing(&writer, err);
}
