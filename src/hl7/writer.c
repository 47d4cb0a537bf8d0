// Making messages. What is written is always UTF-8 and never holds a bare delimiter or line end, whatever the text was.
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "hl7/message.h"

static const struct hl7_delimiters OURS = {'|', '^', '~', '\\', '&', '#'};

// `formatted`: a field of type FT or TX, which alone may hold formatting (2.7.6): a line end elsewhere is a space.
static const char *escape_of(char c, bool formatted)
{
    switch (c) {
    case '|':
        return "\\F\\";
    case '^':
        return "\\S\\";
    case '~':
        return "\\R\\";
    case '&':
        return "\\T\\";
    case '\\':
        return "\\E\\";
    case '\n':
    case '\r':
        return formatted ? "\\.br\\" : " ";
    default:
        return NULL;
    }
}

static void put_hexadecimal(struct buffer *out, const char *text, size_t length)
{
    buffer_text(out, "\\X");
    for (size_t i = 0; i < length; i++)
        buffer_printf(out, "%02X", (unsigned)(unsigned char)text[i]);
    buffer_text(out, "\\");
}

static void put_character(struct buffer *out, const char *text, size_t length, bool formatted)
{
    const char *escape = escape_of(*text, formatted);
    if (length == 0)
        buffer_text(out, "\xEF\xBF\xBD"); // U+FFFD
    else if (escape)
        buffer_text(out, escape);
    else if (*text != '\t' && text_is_control(text, length))
        put_hexadecimal(out, text, length);
    else
        buffer_append(out, text, length);
}

static void put_text(struct buffer *out, const char *text, bool formatted)
{
    size_t left = strlen(text);
    while (left > 0) {
        size_t length = text_utf8_length(text, left);
        if (text[0] == '\r' && left > 1 && text[1] == '\n') { // one line end, not two
            text++;
            left--;
        }
        put_character(out, text, length, formatted);
        length += length == 0;
        text += length;
        left -= length;
    }
}

const char *hl7_value(const char *text)
{
    size_t size = text ? strlen(text) : 0;
    const char *inside = text;
    text_trim(&inside, &size);
    return size == 2 && memcmp(inside, "\"\"", 2) == 0 ? "" : text;
}

static void put_components(struct buffer *out, const char *const *components)
{
    for (size_t i = 0; components[i]; i++) {
        if (i > 0)
            buffer_byte(out, (uint8_t)OURS.component);
        put_text(out, hl7_value(components[i]), false);
    }
}

void hl7_end(struct hl7_writer *writer)
{
    if (writer->open)
        buffer_byte(writer->out, '\r');
    writer->open = false;
    writer->field = 0;
}

void hl7_segment(struct hl7_writer *writer, const char *name)
{
    assert(strlen(name) == 3);
    hl7_end(writer);
    buffer_text(writer->out, name);
    writer->open = true;
}

static void begin_field(struct hl7_writer *writer, unsigned field)
{
    assert(writer->open && field > writer->field && field <= HL7_FIELDS_MAX);
    for (; writer->field < field; writer->field++)
        buffer_byte(writer->out, (uint8_t)OURS.field);
}

void hl7_raw(struct hl7_writer *writer, unsigned field, const char *text, size_t size)
{
    begin_field(writer, field);
    buffer_append(writer->out, text, size);
}

void hl7_field(struct hl7_writer *writer, unsigned field, const char *text)
{
    begin_field(writer, field);
    put_text(writer->out, text ? hl7_value(text) : "", false);
}

void hl7_formatted(struct hl7_writer *writer, unsigned field, const char *text)
{
    begin_field(writer, field);
    put_text(writer->out, text ? hl7_value(text) : "", true);
}

void hl7_components(struct hl7_writer *writer, unsigned field, const char *const *components)
{
    begin_field(writer, field);
    put_components(writer->out, components);
}

void hl7_repeat(struct hl7_writer *writer, const char *const *components)
{
    assert(writer->open && writer->field > 0);
    buffer_byte(writer->out, (uint8_t)OURS.repetition);
    put_components(writer->out, components);
}

const char *hl7_time(char *out, int64_t time_ns)
{
    char date[CLOCK_DICOM_DATE_SIZE], time[CLOCK_DICOM_TIME_SIZE], offset[CLOCK_ZONE_SIZE];
    int zone = clock_zone(time_ns);
    clock_dicom_date(date, time_ns + clock_zone_ns(zone));
    clock_dicom_time(time, time_ns + clock_zone_ns(zone));
    clock_zone_text(offset, zone);
    snprintf(out, HL7_TIME_SIZE, "%s%.10s%s", date, time, offset); // three digits of the six behind the point
    return out;
}

static int number(const char *digits, size_t count)
{
    int value = 0;
    for (size_t i = 0; i < count; i++)
        value = value * 10 + (digits[i] - '0');
    return value;
}

bool hl7_time_read(const char *text, int64_t *out)
{
    enum { TO_SECONDS = 14, ZONE = 4 };
    static const char digits[] = "0123456789";
    if (strspn(text, digits) != TO_SECONDS)
        return false;
    struct tm parts = {.tm_year = number(text, 4) - 1900,
                       .tm_mon = number(text + 4, 2) - 1,
                       .tm_mday = number(text + 6, 2),
                       .tm_hour = number(text + 8, 2),
                       .tm_min = number(text + 10, 2),
                       .tm_sec = number(text + 12, 2)};
    const struct tm said = parts;
    const char *rest = text + TO_SECONDS;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, digits);
    int64_t seconds = timegm(&parts);
    if (parts.tm_mon != said.tm_mon || parts.tm_mday != said.tm_mday || parts.tm_hour != said.tm_hour ||
        parts.tm_min != said.tm_min || parts.tm_year < 70)
        return false;
    *out = seconds * CLOCK_SECOND;
    if (*rest == '\0') {
        *out -= clock_zone_ns(clock_zone(*out));
        return true;
    }
    if ((*rest != '+' && *rest != '-') || strspn(rest + 1, digits) != ZONE || rest[1 + ZONE] != '\0')
        return false;
    int64_t zone_ns = (number(rest + 1, 2) * 60 + number(rest + 3, 2)) * 60 * CLOCK_SECOND;
    *out -= *rest == '+' ? zone_ns : -zone_ns;
    return true;
}

void hl7_write_header(struct hl7_writer *writer, const struct hl7_header *header)
{
    char time[HL7_TIME_SIZE];
    assert(strlen(header->control) <= HL7_CONTROL_OWN_MAX);
    hl7_segment(writer, "MSH");
    buffer_text(writer->out, "|^~\\&"); // MSH-1 is the separator itself
    writer->field = 2;
    hl7_field(writer, 3, header->sending_application);
    hl7_field(writer, 4, header->sending_facility);
    hl7_field(writer, 5, header->receiving_application);
    hl7_field(writer, 6, header->receiving_facility);
    hl7_field(writer, 7, hl7_time(time, header->time_ns));
    hl7_raw(writer, 9, header->type, strlen(header->type)); // its components are its own
    hl7_field(writer, 10, header->control);
    hl7_field(writer, 11, header->processing);
    hl7_field(writer, 12, HL7_VERSION);
    hl7_field(writer, 18, HL7_CHARSET);
}

// ---- acknowledgements

// Table 0357. Codes that are not here are 207, application internal error.
static const struct condition {
    enum error_code code;
    const char *number, *text;
} conditions[] = {
    {ERROR_BAD_DATA, "102", "Data type error"},
    {ERROR_BAD_VALUE, "103", "Table value not found"},
    {ERROR_UNSUPPORTED, "200", "Unsupported message type"},
    {ERROR_NOT_FOUND, "204", "Unknown key identifier"},
    {ERROR_DUPLICATE, "205", "Duplicate key identifier"},
    {ERROR_BUSY, "206", "Application record locked"},
    {ERROR_INTERNAL, "207", "Application internal error"},
};

static void write_refusal(struct hl7_writer *writer, const struct error *refusal)
{
    size_t i = 0, last = sizeof conditions / sizeof *conditions - 1;
    while (i < last && conditions[i].code != refusal->code)
        i++;
    hl7_segment(writer, "ERR");
    hl7_components(writer, 3, (const char *const[]){conditions[i].number, conditions[i].text, "HL70357", NULL});
    hl7_field(writer, 4, "E");
    hl7_field(writer, 8, refusal->message);
}

#define TRIGGER "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
enum { ECHO_ARENA = 16 << 10, ECHO_MAX = 1024 };

// The first component of a field of what came; "" when it cannot be had.
static const char *echo(struct hl7_slice header, const struct hl7_delimiters *delimiters, unsigned field,
                        unsigned component, struct arena *arena)
{
    struct hl7_slice slice = hl7_piece(header, delimiters->field, field);
    slice = hl7_piece(hl7_piece(slice, delimiters->repetition, 1), delimiters->component, component);
    const char *text = slice.size > ECHO_MAX ? NULL : hl7_unescape(slice, delimiters, false, arena);
    return text ? text : "";
}

static struct hl7_slice received_header(const char *received, size_t size, struct hl7_delimiters *delimiters)
{
    struct hl7_slice rest = {received, size};
    struct hl7_slice header = hl7_next_line(&rest);
    struct error ignored;
    *delimiters = OURS;
    if (header.size < 3 || memcmp(header.text, "MSH", 3) != 0 || !hl7_read_delimiters(header, delimiters, &ignored))
        return (struct hl7_slice){"", 0};
    return header;
}

void hl7_write_answer(struct hl7_writer *writer, const char *received, size_t size, const char *code,
                      const struct error *refusal, const char *control, int64_t time_ns)
{
    struct arena arena;
    struct hl7_delimiters d;
    struct hl7_slice header = received_header(received, size, &d);
    arena_init(&arena, ECHO_ARENA);
    const char *trigger = echo(header, &d, 9, 2, &arena);
    bool plain = strlen(trigger) == 3 && strspn(trigger, TRIGGER) == 3; // it is written as it is
    char type[16];
    snprintf(type, sizeof type, plain ? "ACK^%s^ACK" : "ACK", trigger);
    const char *processing = echo(header, &d, 11, 1, &arena);
    hl7_write_header(writer, &(struct hl7_header){.sending_application = echo(header, &d, 5, 1, &arena),
                                                  .sending_facility = echo(header, &d, 6, 1, &arena),
                                                  .receiving_application = echo(header, &d, 3, 1, &arena),
                                                  .receiving_facility = echo(header, &d, 4, 1, &arena),
                                                  .type = type,
                                                  .control = control,
                                                  .processing = *processing ? processing : "P",
                                                  .time_ns = time_ns});
    hl7_segment(writer, "MSA");
    hl7_field(writer, 1, code);
    hl7_field(writer, 2, echo(header, &d, 10, 1, &arena));
    if (refusal) {
        hl7_field(writer, 3, refusal->message);
        write_refusal(writer, refusal);
    }
    hl7_end(writer);
    arena_free(&arena);
}
