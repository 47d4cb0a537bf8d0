// The parser: lines are found once, an index by segment name is sorted once; fields are cut when they are asked for.
#include "hl7/message.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { NAME_SIZE = 3, CHARSET_FIELD = 18 };

struct hl7_message {
    struct hl7_delimiters delimiters;
    bool latin1;
    struct hl7_slice *lines; // segments in their order
    uint64_t *by_name;       // sorted: name in the upper half, place in `lines` in the lower
    size_t count;
};

static const struct hl7_slice NOTHING = {"", 0};

struct hl7_slice hl7_next_line(struct hl7_slice *text)
{
    struct hl7_slice line = *text;
    size_t end = 0;
    while (end < text->size && text->text[end] != '\r' && text->text[end] != '\n')
        end++;
    line.size = end;
    end += end < text->size;
    text->text += end;
    text->size -= end;
    return line;
}

// Cuts the first piece off *rest. false when nothing is left, not even an empty piece.
static bool cut(struct hl7_slice *rest, char separator, struct hl7_slice *piece)
{
    if (!rest->text)
        return false;
    const char *end = memchr(rest->text, separator, rest->size);
    if (!end) {
        *piece = *rest;
        *rest = (struct hl7_slice){NULL, 0};
        return true;
    }
    size_t size = (size_t)(end - rest->text);
    *piece = (struct hl7_slice){rest->text, size};
    *rest = (struct hl7_slice){end + 1, rest->size - size - 1};
    return true;
}

struct hl7_slice hl7_piece(struct hl7_slice whole, char separator, size_t nth)
{
    struct hl7_slice piece = NOTHING;
    if (nth == 0)
        return NOTHING;
    for (size_t i = 0; i < nth; i++)
        if (!cut(&whole, separator, &piece))
            return NOTHING;
    return piece;
}

static size_t pieces(struct hl7_slice whole, char separator)
{
    struct hl7_slice piece;
    size_t count = 0;
    while (cut(&whole, separator, &piece))
        count++;
    return count;
}

// ---- the header

static bool is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_punctuation(char c)
{
    return c > ' ' && c < 0x7F && !is_alphanumeric(c);
}

bool hl7_read_delimiters(struct hl7_slice header, struct hl7_delimiters *out, struct error *err)
{
    char shown[32];
    if (header.size < NAME_SIZE + 1 || !is_punctuation(header.text[NAME_SIZE]))
        return error_set(err, ERROR_BAD_DATA, "MSH ends or goes on without a field separator: \"%s\"",
                         text_show(shown, sizeof shown, header.text, header.size));
    char field = header.text[NAME_SIZE];
    struct hl7_slice marks = hl7_piece(header, field, 2);
    if (marks.size < 4 || marks.size > 5)
        return error_set(err, ERROR_BAD_DATA, "MSH-2 has %zu characters, not 4: \"%s\"", marks.size,
                         text_show(shown, sizeof shown, marks.text, marks.size));
    for (size_t i = 0; i < marks.size; i++)
        if (!is_punctuation(marks.text[i]) || memchr(marks.text, marks.text[i], i))
            return error_set(err, ERROR_BAD_DATA, "MSH-2 \"%s\" is not of different punctuation marks",
                             text_show(shown, sizeof shown, marks.text, marks.size));
    *out = (struct hl7_delimiters){field,         marks.text[0], marks.text[1],
                                   marks.text[2], marks.text[3], marks.size == 5 ? marks.text[4] : '#'};
    return true;
}

static bool check_header(struct hl7_slice header, char field, struct error *err)
{
    if (hl7_piece(header, field, 9).size == 0)
        return error_set(err, ERROR_BAD_DATA, "MSH has no message type (MSH-9): is it cut?");
    size_t control = hl7_piece(header, field, 10).size;
    if (control == 0)
        return error_set(err, ERROR_BAD_DATA, "MSH has no control ID (MSH-10): is it cut?");
    if (control > HL7_CONTROL_MAX)
        return error_set(err, ERROR_LIMIT, "control ID (MSH-10) has %zu characters, more than %d", control,
                         HL7_CONTROL_MAX);
    return true;
}

static bool read_charset(struct hl7_slice header, char field, bool *latin1, struct error *err)
{
    static const struct {
        const char *name; // table 0211; "UTF-8" is not in it, but seen
        bool latin1;
    } known[] = {{"", false}, {"UNICODE UTF-8", false}, {"UTF-8", false}, {"ASCII", false}, {"8859/1", true}};
    struct hl7_slice name = hl7_piece(header, field, CHARSET_FIELD);
    text_trim(&name.text, &name.size);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i].name) != name.size || memcmp(known[i].name, name.text, name.size) != 0)
            continue;
        *latin1 = known[i].latin1;
        return true;
    }
    char shown[40];
    return error_set(err, ERROR_UNSUPPORTED, "character set \"%s\" (MSH-18): send UNICODE UTF-8 or 8859/1",
                     text_show(shown, sizeof shown, name.text, name.size));
}

static bool full(struct error *err)
{
    return error_set(err, ERROR_MEMORY, "no memory for an HL7 message");
}

// ---- the body

// 0x80..0xFF of ISO 8859-1 are U+0080..U+00FF, two bytes each in UTF-8.
static size_t latin1_put(char *to, char c)
{
    unsigned value = (unsigned char)c;
    if (value < 0x80) {
        to[0] = c;
        return 1;
    }
    to[0] = (char)(0xC0 | value >> 6);
    to[1] = (char)(0x80 | (value & 0x3F));
    return 2;
}

static bool copy_latin1(struct hl7_slice *text, struct arena *arena, struct error *err)
{
    size_t size = text->size;
    for (size_t i = 0; i < text->size; i++)
        size += (unsigned char)text->text[i] >= 0x80;
    char *copy = arena_alloc(arena, size + 1);
    if (!copy)
        return full(err);
    char *to = copy;
    for (size_t i = 0; i < text->size; i++)
        to += latin1_put(to, text->text[i]);
    *text = (struct hl7_slice){copy, size};
    return true;
}

static bool copy_utf8(struct hl7_slice *text, struct arena *arena, struct error *err)
{
    if (!text_is_utf8(text->text, text->size))
        return error_set(err, ERROR_BAD_DATA, "the message is not UTF-8, though MSH-18 does not say otherwise");
    text->text = arena_strndup(arena, text->text, text->size);
    return text->text || full(err);
}

static bool is_segment(struct hl7_slice line, char field)
{
    return line.size >= NAME_SIZE && is_alphanumeric(line.text[0]) && is_alphanumeric(line.text[1]) &&
           is_alphanumeric(line.text[2]) && (line.size == NAME_SIZE || line.text[NAME_SIZE] == field);
}

static bool check_line(struct hl7_slice line, char field, size_t nth, struct error *err)
{
    char shown[16];
    if (!is_segment(line, field))
        return error_set(err, ERROR_BAD_DATA, "line %zu begins with \"%s\", which is no segment", nth + 1,
                         text_show(shown, sizeof shown, line.text, line.size < 4 ? line.size : 4));
    if (nth > 0 && memcmp(line.text, "MSH", NAME_SIZE) == 0)
        return error_set(err, ERROR_BAD_DATA, "line %zu is a second MSH: one message at a time", nth + 1);
    size_t fields = pieces(line, field) - 1;
    if (fields > HL7_FIELDS_MAX)
        return error_set(err, ERROR_LIMIT, "segment %.3s in line %zu has %zu fields, more than %d", line.text, nth + 1,
                         fields, HL7_FIELDS_MAX);
    return true;
}

static uint64_t name_key(const char *name)
{
    return (uint64_t)(unsigned char)name[0] << 48 | (uint64_t)(unsigned char)name[1] << 40 |
           (uint64_t)(unsigned char)name[2] << 32;
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static size_t count_lines(struct hl7_slice text)
{
    size_t count = 0;
    while (text.size > 0)
        count += hl7_next_line(&text).size > 0;
    return count;
}

static bool read_lines(struct hl7_slice text, struct hl7_message *message, struct arena *arena, struct error *err)
{
    size_t count = count_lines(text);
    if (count > HL7_SEGMENTS_MAX)
        return error_set(err, ERROR_LIMIT, "the message has %zu segments, more than %d", count, HL7_SEGMENTS_MAX);
    message->lines = arena_calloc(arena, count, sizeof *message->lines);
    message->by_name = arena_calloc(arena, count, sizeof *message->by_name);
    if (!message->lines || !message->by_name)
        return full(err);
    while (text.size > 0) {
        struct hl7_slice line = hl7_next_line(&text);
        if (line.size == 0)
            continue;
        if (!check_line(line, message->delimiters.field, message->count, err))
            return false;
        message->lines[message->count] = line;
        message->by_name[message->count] = name_key(line.text) | message->count;
        message->count++;
    }
    qsort(message->by_name, message->count, sizeof *message->by_name, compare_keys);
    return true;
}

static bool read_header(struct hl7_slice header, struct hl7_message *message, struct error *err)
{
    return check_header(header, message->delimiters.field, err) &&
           read_charset(header, message->delimiters.field, &message->latin1, err);
}

// In ISO 8859-1 any byte is something.
static void read_header_loosely(struct hl7_slice header, struct hl7_slice whole, struct hl7_message *message)
{
    struct error ignored;
    if (!read_header(header, message, &ignored))
        message->latin1 = false;
    message->latin1 |= !text_is_utf8(whole.text, whole.size);
}

static bool parse(struct hl7_slice whole, bool loose, struct arena *arena, const struct hl7_message **out,
                  struct error *err)
{
    struct hl7_slice rest = whole;
    char shown[16];
    if (whole.size > HL7_MESSAGE_MAX)
        return error_set(err, ERROR_LIMIT, "the message has %zu bytes, more than %d", whole.size, HL7_MESSAGE_MAX);
    if (whole.size < NAME_SIZE || memcmp(whole.text, "MSH", NAME_SIZE) != 0)
        return error_set(err, ERROR_BAD_DATA, "the message begins with \"%s\", not with MSH",
                         text_show(shown, sizeof shown, whole.text, whole.size < 4 ? whole.size : 4));
    if (memchr(whole.text, '\0', whole.size))
        return error_set(err, ERROR_BAD_DATA, "the message has a NUL in it");
    struct hl7_message *message = arena_alloc(arena, sizeof *message);
    if (!message)
        return full(err);
    struct hl7_slice header = hl7_next_line(&rest);
    *message = (struct hl7_message){0};
    if (!hl7_read_delimiters(header, &message->delimiters, err))
        return false;
    if (loose)
        read_header_loosely(header, whole, message);
    else if (!read_header(header, message, err))
        return false;
    if (message->latin1 ? !copy_latin1(&whole, arena, err) : !copy_utf8(&whole, arena, err))
        return false;
    if (!read_lines(whole, message, arena, err))
        return false;
    *out = message;
    return true;
}

bool hl7_parse(const char *text, size_t size, struct arena *arena, const struct hl7_message **out, struct error *err)
{
    return parse((struct hl7_slice){text, size}, false, arena, out, err);
}

bool hl7_parse_loose(const char *text, size_t size, struct arena *arena, const struct hl7_message **out,
                     struct error *err)
{
    return parse((struct hl7_slice){text, size}, true, arena, out, err);
}

// ---- asking

static size_t lower_bound(const struct hl7_message *message, uint64_t key)
{
    size_t low = 0, high = message->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (message->by_name[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t hl7_count(const struct hl7_message *message, const char *segment)
{
    if (strlen(segment) != NAME_SIZE)
        return 0;
    uint64_t key = name_key(segment);
    return lower_bound(message, key + (UINT64_C(1) << 32)) - lower_bound(message, key);
}

size_t hl7_position(const struct hl7_message *message, const char *segment, size_t nth)
{
    if (nth >= hl7_count(message, segment))
        return SIZE_MAX;
    return (size_t)(message->by_name[lower_bound(message, name_key(segment)) + nth] & UINT32_MAX);
}

// All repetitions. MSH-1 is the separator behind the name, so that MSH-n is the n-th piece and another segment's the
// n+1-th.
static struct hl7_slice find_field(const struct hl7_message *message, const char *segment, size_t nth, unsigned field)
{
    size_t position = hl7_position(message, segment, nth);
    if (position == SIZE_MAX || field == 0)
        return NOTHING;
    struct hl7_slice line = message->lines[position];
    if (position > 0)
        return hl7_piece(line, message->delimiters.field, (size_t)field + 1);
    if (field == 1)
        return (struct hl7_slice){line.text + NAME_SIZE, 1};
    return hl7_piece(line, message->delimiters.field, field);
}

static bool is_delimiter_field(const struct hl7_message *message, const char *segment, unsigned field)
{
    return field <= 2 && hl7_position(message, segment, 0) == 0;
}

size_t hl7_repetitions(const struct hl7_message *message, const char *segment, size_t nth, unsigned field)
{
    struct hl7_slice slice = find_field(message, segment, nth, field);
    if (slice.size == 0)
        return 0;
    return is_delimiter_field(message, segment, field) ? 1 : pieces(slice, message->delimiters.repetition);
}

const char *hl7_get(const struct hl7_message *message, const char *segment, size_t nth, unsigned field,
                    unsigned repetition, unsigned component, unsigned subcomponent, struct arena *arena)
{
    const struct hl7_delimiters *delimiters = &message->delimiters;
    struct hl7_slice slice = find_field(message, segment, nth, field);
    if (is_delimiter_field(message, segment, field)) {
        if (repetition != 1 || component != 1 || subcomponent != 1)
            return "";
        return arena_strndup(arena, slice.text, slice.size);
    }
    slice = hl7_piece(slice, delimiters->repetition, repetition);
    slice = hl7_piece(slice, delimiters->component, component);
    slice = hl7_piece(slice, delimiters->subcomponent, subcomponent);
    if (slice.size == 0)
        return "";
    return hl7_unescape(slice, delimiters, message->latin1, arena);
}

// ---- escapes (2.5.1, chapter 2.7)

// The bytes of \X..\ at `to`, at most two for two digits; 0 when they are no text: odd or foreign digits, a NUL. In a
// UTF-8 message, bytes that are no UTF-8 are taken for ISO 8859-1: some writers, python-hl7 among them, escape
// U+0080..U+00FF that way.
static size_t put_hex(struct hl7_slice digits, bool latin1, char *to)
{
    char bytes[64]; // more than any character needs; longer ones are left as they stand
    char text[sizeof bytes * 2 + 1];
    size_t size, used = 0;
    if (digits.size == 0 || digits.size >= sizeof text)
        return 0;
    text_copy_n(text, sizeof text, digits.text, digits.size);
    if (!text_unhex(text, bytes, sizeof bytes, &size) || memchr(bytes, '\0', size))
        return 0;
    latin1 = latin1 || !text_is_utf8(bytes, size);
    for (size_t i = 0; i < size; i++)
        if (latin1)
            used += latin1_put(to + used, bytes[i]);
        else
            to[used++] = bytes[i];
    return used;
}

// What the escape between two escape characters stands for, at `to`. false when it is none.
static bool put_escape(struct hl7_slice name, const struct hl7_delimiters *delimiters, bool latin1, char *to,
                       size_t *used)
{
    const struct {
        char name, value; // value NUL: nothing
    } marks[] = {{'F', delimiters->field},
                 {'S', delimiters->component},
                 {'R', delimiters->repetition},
                 {'T', delimiters->subcomponent},
                 {'E', delimiters->escape},
                 {'P', delimiters->truncation},
                 {'H', '\0'},
                 {'N', '\0'}};
    *used = 0;
    if (name.size == 1) {
        for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
            if (marks[i].name != name.text[0])
                continue;
            *to = marks[i].value;
            *used = marks[i].value != '\0';
            return true;
        }
        return false;
    }
    if (name.size == 3 && memcmp(name.text, ".br", 3) == 0) {
        *to = '\n';
        *used = 1;
        return true;
    }
    if (name.size < 2 || name.text[0] != 'X')
        return false;
    *used = put_hex((struct hl7_slice){name.text + 1, name.size - 1}, latin1, to);
    return *used > 0;
}

const char *hl7_unescape(struct hl7_slice text, const struct hl7_delimiters *delimiters, bool latin1,
                         struct arena *arena)
{
    char *out = arena_alloc(arena, text.size + 1); // an escape is never shorter than what it stands for
    if (!out)
        return NULL;
    size_t used = 0, at = 0, size;
    while (at < text.size) {
        const char *here = text.text + at;
        size_t left = text.size - at - 1;
        const char *end = *here == delimiters->escape ? memchr(here + 1, delimiters->escape, left) : NULL;
        struct hl7_slice name = {here + 1, end ? (size_t)(end - here - 1) : 0};
        if (end && put_escape(name, delimiters, latin1, out + used, &size)) {
            used += size;
            at += name.size + 2;
        } else {
            out[used++] = *here;
            at++;
        }
    }
    out[used] = '\0';
    return out;
}
