#include "access/audit_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "access/audit_line.h"
#include "access/audit_walk.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

#define DAY_NS (86400 * CLOCK_SECOND)

enum { WINDOW = 1 << 20, TIME_AT = 6, TIME_SIZE = 24, NEEDLES = 3 };

// A piece of a line, or of what is written in one.
struct span {
    const char *text;
    size_t size;
};

struct reading {
    const struct access_read *wanted;
    char from[CLOCK_RFC3339_SIZE], until[CLOCK_RFC3339_SIZE];           // as lines have them: they compare as texts
    char from_file[CLOCK_RFC3339_SIZE], until_file[CLOCK_RFC3339_SIZE]; // a day on either side
    struct buffer needles[NEEDLES]; // what a line must hold, as it is written; or empty
    char *window;                   // WINDOW bytes
    uint64_t left;                  // bytes that may be read
    int64_t deadline_ns;
    uint64_t segment, offset; // where the next line read ends
    json_t *lines;
    uint64_t unreadable;
    bool full; // enough for one answer
};

// ---- times

static bool is_form(const char *text, const char *form)
{
    for (; *form; form++, text++)
        if (*form == '0' ? *text < '0' || *text > '9' : *text != *form)
            return false;
    return true;
}

static bool take_parts(const char *text, struct tm *out, const char **rest)
{
    bool day = is_form(text, "0000-00-00"), time = day && is_form(text + 10, "T00:00:00");
    char *end = day ? strptime(text, time ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d", out) : NULL;
    *rest = end;
    return end && out->tm_sec < 60 && clock_is_day(out->tm_year + 1900, out->tm_mon + 1, out->tm_mday) &&
           (time || *end == '\0');
}

bool access_read_time(const char *text, int64_t *out_ns, struct error *err)
{
    struct tm parts = {0};
    const char *rest;
    double fraction = 0;
    bool ok = take_parts(text, &parts, &rest);
    size_t size = ok ? strcspn(rest, "Z") : 0;
    if (ok && size > 0)
        ok = *rest == '.' && text_to_double(rest, size, &fraction);
    if (!ok || (strlen(text) > 10 && strcmp(rest + size, "Z") != 0))
        return error_set(err, ERROR_BAD_VALUE, "'%.40s' is no time such as 2026-11-24 or 2026-11-24T13:03:36Z", text);
    *out_ns = (int64_t)timegm(&parts) * CLOCK_SECOND + (int64_t)(fraction * 1e9);
    return true;
}

// ---- pieces of a line

// What stands between `before` and the character `end`.
static bool between(struct span in, const char *before, char end, struct span *out)
{
    const char *at = memmem(in.text, in.size, before, strlen(before));
    *out = (struct span){"", 0};
    if (!at)
        return false;
    at += strlen(before);
    const char *stop = memchr(at, end, (size_t)(in.text + in.size - at));
    if (!stop)
        return false;
    *out = (struct span){at, (size_t)(stop - at)};
    return true;
}

static void put_utf8(struct buffer *out, uint64_t character)
{
    if (character < 0x80) {
        buffer_byte(out, (uint8_t)character);
    } else if (character < 0x800) {
        buffer_byte(out, (uint8_t)(0xC0 | character >> 6));
        buffer_byte(out, (uint8_t)(0x80 | (character & 0x3F)));
    } else {
        buffer_byte(out, (uint8_t)(0xE0 | (character >> 12 & 0x0F)));
        buffer_byte(out, (uint8_t)(0x80 | (character >> 6 & 0x3F)));
        buffer_byte(out, (uint8_t)(0x80 | (character & 0x3F)));
    }
}

// Those that access_line_write writes. How many bytes the reference at `text` has; 0: none of them.
static size_t reference(struct buffer *out, struct span in)
{
    static const struct {
        const char *name;
        char character;
    } names[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}};
    uint64_t number;
    const char *end = memchr(in.text, ';', in.size < 8 ? in.size : 8);
    for (size_t i = 0; end && i < sizeof names / sizeof *names; i++)
        if (in.size >= strlen(names[i].name) && memcmp(in.text, names[i].name, strlen(names[i].name)) == 0) {
            buffer_byte(out, (uint8_t)names[i].character);
            return strlen(names[i].name);
        }
    if (!end || in.size < 4 || in.text[1] != '#' || !text_to_u64(in.text + 2, (size_t)(end - in.text - 2), &number) ||
        number == 0 || number > 0xFFFF)
        return 0;
    put_utf8(out, number);
    return (size_t)(end - in.text) + 1;
}

static json_t *text_of(struct span in)
{
    struct buffer out;
    buffer_init(&out, ACCESS_LINE_MAX);
    for (size_t at = 0; at < in.size;) {
        struct span rest = {in.text + at, in.size - at};
        size_t taken = *rest.text == '&' ? reference(&out, rest) : 0;
        if (taken == 0)
            buffer_byte(&out, (uint8_t)*rest.text);
        at += taken > 0 ? taken : 1;
    }
    json_t *json = out.failed ? NULL : json_stringn(out.size > 0 ? (const char *)out.data : "", out.size);
    buffer_free(&out);
    return json ? json : json_string("(not to be read)"); // a damaged line may hold any bytes
}

static bool number_of(struct span line, const char *before, uint64_t *out)
{
    struct span digits;
    return between(line, before, '"', &digits) && text_to_u64(digits.text, digits.size, out);
}

// The object whose ParticipantObjectTypeCode is `kind`.
static struct span object_of(struct span line, char kind)
{
    static const char start[] = "<ParticipantObjectIdentification ParticipantObjectID=\"";
    static const char next[] = "\" ParticipantObjectTypeCode=\"";
    struct span id;
    while (between(line, start, '"', &id)) {
        const char *behind = id.text + id.size;
        line = (struct span){behind, (size_t)(line.text + line.size - behind)};
        if (line.size > sizeof next && memcmp(behind, next, sizeof next - 1) == 0 && behind[sizeof next - 1] == kind)
            return id;
    }
    return (struct span){"", 0};
}

// ---- what is wanted

struct event {
    struct span code, name, type_code, type_name; // of the type "" where there is none
};

static bool coded(struct span line, const char *element, struct span *code, struct span *name)
{
    struct span inside;
    return between(line, element, '>', &inside) && between(inside, "csd-code=\"", '"', code) &&
           between(inside, "originalText=\"", '"', name);
}

static bool event_of(struct span line, struct event *out)
{
    *out = (struct event){0};
    if (!coded(line, "<EventTypeCode ", &out->type_code, &out->type_name))
        out->type_code = out->type_name = (struct span){"", 0};
    return coded(line, "<EventID ", &out->code, &out->name);
}

static bool is_text(struct span span, const char *text)
{
    return span.size == strlen(text) && strncasecmp(span.text, text, span.size) == 0;
}

static bool has_word(struct span span, const char *word)
{
    size_t size = strlen(word);
    for (size_t i = 0; i + size <= span.size; i++)
        if (strncasecmp(span.text + i, word, size) == 0)
            return true;
    return false;
}

static bool fits_event(const struct event *event, const char *wanted)
{
    return !wanted || !*wanted || is_text(event->code, wanted) || has_word(event->name, wanted) ||
           is_text(event->type_code, wanted) || has_word(event->type_name, wanted);
}

static bool fits(const struct reading *reading, struct span line)
{
    const char *time = line.text + TIME_AT;
    for (size_t i = 0; i < NEEDLES; i++) {
        const struct buffer *needle = &reading->needles[i];
        if (needle->size > 0 && !memmem(line.text, line.size, needle->data, needle->size))
            return false;
    }
    return memcmp(time, reading->from, TIME_SIZE) >= 0 && memcmp(time, reading->until, TIME_SIZE) < 0;
}

static bool make_needle(struct buffer *out, const char *before, const char *text, size_t max, const char *behind)
{
    buffer_init(out, ACCESS_LINE_MAX);
    if (!text || !*text)
        return true;
    buffer_text(out, before);
    access_line_text(out, text, max);
    buffer_text(out, behind);
    return !out->failed;
}

static bool make_needles(struct reading *reading)
{
    static const char object[] = "ParticipantObjectID=\"";
    const struct access_read *wanted = reading->wanted;
    struct buffer *out = reading->needles;
    return make_needle(&out[0], "<ActiveParticipant UserID=\"", wanted->actor, ACCESS_ACTOR_MAX,
                       "\" UserIsRequestor=\"true\"") &&
           make_needle(&out[1], object, wanted->patient, ACCESS_PATIENT_MAX, "\" ParticipantObjectTypeCode=\"1\"") &&
           make_needle(&out[2], object, wanted->study, ACCESS_STUDY_MAX, "\" ParticipantObjectTypeCode=\"2\"");
}

// ---- lines

static json_t *line_json(const struct reading *reading, struct span line, const struct event *event)
{
    struct span requestor, user, address, verified, detail, outcome, action;
    uint64_t seq, count;
    if (!number_of(line, ACCESS_CHAIN_START, &seq) || !number_of(line, "[sum@32473 count=\"", &count) ||
        !between(line, "<ActiveParticipant", '>', &requestor) || !between(requestor, "UserID=\"", '"', &user) ||
        !between(line, "EventOutcomeIndicator=\"", '"', &outcome) || !between(line, "EventActionCode=\"", '"', &action))
        return NULL;
    between(requestor, "NetworkAccessPointID=\"", '"', &address);
    between(requestor, "AlternativeUserID=\"", '"', &verified);
    between(line, "<EventOutcomeDescription>", '<', &detail);
    return json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "file", (json_int_t)reading->segment,
        "seq", (json_int_t)seq, "time", text_of((struct span){line.text + TIME_AT, TIME_SIZE}), "event",
        text_of(event->type_name.size > 0 ? event->type_name : event->name), "code", text_of(event->code), "action",
        text_of(action), "outcome", is_text(outcome, "0") ? "success" : "failure", "actor", text_of(user), "verified",
        text_of(verified), "address", text_of(address), "patient", text_of(object_of(line, '1')), "study",
        text_of(object_of(line, '2')), "detail", text_of(detail), "count", (json_int_t)count);
}

static bool is_line(struct span line)
{
    return line.size > TIME_AT + TIME_SIZE && memcmp(line.text, "<85>1 ", TIME_AT) == 0;
}

static void take_line(struct reading *reading, struct span line)
{
    struct event event;
    bool wanted = is_line(line) && fits(reading, line);
    if (is_line(line) && !wanted)
        return;
    json_t *json = NULL;
    if (wanted && event_of(line, &event)) {
        if (!fits_event(&event, reading->wanted->event))
            return;
        json = line_json(reading, line, &event);
    }
    if (!json)
        reading->unreadable++;
    else
        json_array_append_new(reading->lines, json);
    reading->full = json_array_size(reading->lines) >= reading->wanted->limit;
}

// The lines that lie whole in the window, whose first byte is at `start` of the file, newest first. What is before the
// first line end may be a part of a line, unless the file begins here.
static void take_window(struct reading *reading, uint64_t start, size_t size)
{
    const char *window = reading->window;
    while (size > 0 && !reading->full) {
        const char *end = window + size - 1; // its line end
        const char *before = size > 1 ? memrchr(window, '\n', size - 1) : NULL;
        if (!before && start > 0)
            break;
        const char *text = before ? before + 1 : window;
        take_line(reading, (struct span){text, (size_t)(end - text)});
        size = (size_t)(text - window);
    }
    reading->offset = start + size;
}

// A line that somebody is writing has no end yet.
static size_t cut_unfinished(const struct reading *reading, size_t size)
{
    const char *end = memrchr(reading->window, '\n', size);
    return end ? (size_t)(end - reading->window) + 1 : 0;
}

static bool read_back(struct reading *reading, int fd, struct error *err)
{
    while (reading->offset > 0 && !reading->full) {
        size_t size = reading->offset < WINDOW ? (size_t)reading->offset : WINDOW;
        uint64_t start = reading->offset - size, was = reading->offset;
        if (reading->left < size || clock_monotonic_ns() >= reading->deadline_ns) {
            reading->full = true;
            return true;
        }
        reading->left -= size;
        if (!file_pread(fd, reading->window, size, start, err))
            return false;
        take_window(reading, start, cut_unfinished(reading, size));
        if (reading->offset == was || reading->offset == start) { // no line end in all of it
            reading->unreadable += start > 0;
            reading->offset = start;
        }
    }
    return true;
}

// ---- files

// Whether a line of the file may be of the wanted time.
static bool is_of_the_time(const struct reading *reading, int fd, const struct stat *status)
{
    char written[CLOCK_RFC3339_SIZE], first[TIME_AT + TIME_SIZE];
    clock_rfc3339(written, status->st_mtim.tv_sec * CLOCK_SECOND);
    if (memcmp(written, reading->from_file, TIME_SIZE) < 0)
        return false;
    bool begins = pread(fd, first, sizeof first, 0) == (ssize_t)sizeof first && memcmp(first, "<85>1 ", TIME_AT) == 0;
    return !begins || memcmp(first + TIME_AT, reading->until_file, TIME_SIZE) < 0;
}

static bool read_file_back(struct reading *reading, int fd, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_errno(err, errno, "cannot look at audit file %llu", (unsigned long long)reading->segment);
    if (reading->offset > (uint64_t)status.st_size)
        reading->offset = (uint64_t)status.st_size;
    if (!is_of_the_time(reading, fd, &status))
        reading->offset = 0;
    return read_back(reading, fd, err);
}

// One that is not here was archived, or is missing, of which the check tells.
static bool read_segment(struct reading *reading, const char *folder, struct error *err)
{
    char path[ACCESS_PATH_SIZE];
    if (!access_segment_path(path, folder, reading->segment, err))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return error_errno(err, errno, "cannot open %s", path);
    bool ok = fd < 0 || read_file_back(reading, fd, err);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool read_files(struct reading *reading, const char *folder, struct error *err)
{
    while (reading->segment > 0) {
        if (!read_segment(reading, folder, err))
            return false;
        if (reading->full && reading->offset > 0)
            return true;
        reading->segment--;
        reading->offset = UINT64_MAX;
        if (reading->full)
            return true;
    }
    return true;
}

// ---- one answer

// "17:123456" -> before this byte of that file; "17:end" for its end.
static bool begin(struct reading *reading, const char *folder, struct error *err)
{
    const char *before = reading->wanted->before;
    reading->offset = UINT64_MAX;
    if (!before || !*before)
        return access_segment_last(folder, &reading->segment, err);
    uint64_t last;
    size_t digits = strcspn(before, ":");
    const char *rest = before[digits] ? before + digits + 1 : "";
    bool ok = text_to_u64(before, digits, &reading->segment) &&
              (strcmp(rest, "end") == 0 || text_to_u64(rest, strlen(rest), &reading->offset));
    if (!ok)
        return error_set(err, ERROR_BAD_VALUE, "before is '%.40s', and not what an answer gave as its own", before);
    if (!access_segment_last(folder, &last, err))
        return false;
    if (reading->segment > last)
        reading->segment = last;
    return true;
}

static json_t *answer(const struct reading *reading)
{
    char before[48];
    bool more = reading->segment > 0;
    if (reading->offset == UINT64_MAX)
        snprintf(before, sizeof before, "%llu:end", (unsigned long long)reading->segment);
    else
        snprintf(before, sizeof before, "%llu:%llu", (unsigned long long)reading->segment,
                 (unsigned long long)reading->offset);
    return json_pack("{s:O, s:b, s:s, s:I}", "lines", reading->lines, "more", more, "before", more ? before : "",
                     "unreadable", (json_int_t)reading->unreadable);
}

static void set_times(struct reading *reading)
{
    const struct access_read *wanted = reading->wanted;
    bool open_end = wanted->until_ns > INT64_MAX - DAY_NS;
    clock_rfc3339(reading->from, wanted->from_ns);
    clock_rfc3339(reading->from_file, wanted->from_ns < DAY_NS ? 0 : wanted->from_ns - DAY_NS);
    clock_rfc3339(reading->until, wanted->until_ns);
    clock_rfc3339(reading->until_file, open_end ? INT64_MAX : wanted->until_ns + DAY_NS);
}

json_t *access_read(const char *folder, const struct access_read *wanted, struct error *err)
{
    if (wanted->limit < 1 || wanted->limit > ACCESS_READ_LINES_MAX) {
        error_set(err, ERROR_BAD_VALUE, "limit is %zu; give 1 to %d", wanted->limit, ACCESS_READ_LINES_MAX);
        return NULL;
    }
    if (wanted->event && *wanted->event && !access_line_event_is_known(wanted->event)) {
        error_set(err, ERROR_BAD_VALUE,
                  "no line is of an event '%.40s': give a code, or words of its name, such as 110112, query, login, "
                  "transferred, emergency",
                  wanted->event);
        return NULL;
    }
    struct reading reading = {.wanted = wanted,
                              .window = malloc(WINDOW),
                              .left = (uint64_t)ACCESS_READ_MIB << 20,
                              .deadline_ns = clock_monotonic_ns() + ACCESS_READ_MS * CLOCK_MS,
                              .lines = json_array()};
    set_times(&reading);
    bool ok = (make_needles(&reading) && reading.window && reading.lines) ||
              error_set(err, ERROR_MEMORY, "no memory to read the audit trail");
    ok = ok && begin(&reading, folder, err) && read_files(&reading, folder, err);
    json_t *out = ok ? answer(&reading) : NULL;
    if (ok && !out)
        error_set(err, ERROR_MEMORY, "no memory for the answer");
    for (size_t i = 0; i < NEEDLES; i++)
        buffer_free(&reading.needles[i]);
    json_decref(reading.lines);
    free(reading.window);
    return out;
}
