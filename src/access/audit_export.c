#include "access/audit_export.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "access/access_internal.h"
#include "access/audit_line.h"
#include "access/audit_walk.h"
#include "base/alarm.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

enum { CHUNK = 128 << 10, CURSOR_MAX = 256, LOOK_MS = 200 };
#define CURSOR_FORM "hilum-audit-cursor 1"

struct place {
    uint64_t segment, offset;
    char value[ACCESS_CHAIN_DIGITS + 1]; // of the line before it; "" at a file's beginning
};

struct access_export {
    pthread_t thread;
    struct access *access;
    char folder[ACCESS_PATH_SIZE], host[ACCESS_HOST_SIZE], fingerprint[TLS_FINGERPRINT_SIZE];
    uint16_t port;
    struct tls *(*tls)(void *payload, struct error *err);
    void *payload;

    // The thread's.
    struct place kept, sent; // the collector has all before `kept`; before `sent` it may have
    uint64_t sent_lines;     // between the two
    int64_t read_ns;         // when the last piece was read
    char *piece;             // CHUNK bytes
    struct buffer frames;
    int64_t logged_ns;
    bool refused; // the last connection failed

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    int64_t stop_ns;
    uint64_t total, done; // lines to send since the start, and of those, that the collector has
    uint64_t counted;     // of access_trail_end, in `total`
    int64_t caught_ns;    // the collector had all that there was then
};

// ---- the place

static bool cursor_path(const struct access_export *one, char out[ACCESS_PATH_SIZE], struct error *err)
{
    int size = snprintf(out, ACCESS_PATH_SIZE, "%s/audit-cursor", one->folder);
    return (size > 0 && size < ACCESS_PATH_SIZE) ||
           error_set(err, ERROR_LIMIT, "path of the audit folder too long: %.100s...", one->folder);
}

static bool keep_place(struct access_export *one, struct error *err)
{
    char path[ACCESS_PATH_SIZE], text[CURSOR_MAX];
    const struct place *place = &one->sent;
    int size = snprintf(text, sizeof text, CURSOR_FORM " %" PRIu64 " %" PRIu64 " %s\n", place->segment, place->offset,
                        *place->value ? place->value : "-");
    if (!cursor_path(one, path, err) || !file_replace(path, text, (size_t)size, 0600, err))
        return false;
    one->kept = one->sent;
    return true;
}

// Whether the line before the place is in the files as it was when it was sent.
static bool is_there(const struct access_export *one, const struct place *place)
{
    char path[ACCESS_PATH_SIZE], line[ACCESS_LINE_MAX];
    struct error ignored;
    size_t size = place->offset < sizeof line ? (size_t)place->offset : sizeof line;
    if (!access_segment_path(path, one->folder, place->segment, &ignored))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = file_pread(fd, line, size, place->offset - size, &ignored);
    close(fd);
    if (!ok || size == 0 || line[size - 1] != '\n')
        return ok && size == 0;
    const char *before = memrchr(line, '\n', size - 1), *from = before ? before + 1 : line;
    return memmem(from, (size_t)(line + size - from), place->value, strlen(place->value)) != NULL;
}

// "CURSOR_FORM SEGMENT OFFSET VALUE\n", whole; the value "-" is none.
static bool parse_place(const char *text, struct place *out)
{
    const size_t form = strlen(CURSOR_FORM " ");
    if (!text_starts(text, CURSOR_FORM " "))
        return false;
    const char *segment = text + form, *offset = segment + strcspn(segment, " \n");
    if (!text_to_u64(segment, (size_t)(offset - segment), &out->segment) || *offset++ != ' ')
        return false;
    const char *value = offset + strcspn(offset, " \n");
    if (!text_to_u64(offset, (size_t)(value - offset), &out->offset) || *value++ != ' ')
        return false;
    size_t size = strspn(value, "0123456789abcdef-");
    bool ok = strcmp(value + size, "\n") == 0 && text_copy_n(out->value, sizeof out->value, value, size);
    if (ok && strcmp(out->value, "-") == 0)
        out->value[0] = '\0';
    return ok && (out->offset == 0 || strlen(out->value) == ACCESS_CHAIN_DIGITS);
}

// No cursor, or none that fits the files: the first file.
static bool read_place(struct access_export *one, struct error *err)
{
    char path[ACCESS_PATH_SIZE];
    struct buffer text;
    struct error why;
    if (!cursor_path(one, path, err))
        return false;
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return true;
    buffer_init(&text, CURSOR_MAX);
    bool read = file_read(path, &text, &why);
    buffer_byte(&text, '\0');
    bool fits = read && !text.failed && parse_place((const char *)text.data, &one->kept) && is_there(one, &one->kept);
    buffer_free(&text);
    if (!fits) {
        log_warning("access", "%s does not fit the audit files: they are sent from the first one on", path);
        one->kept = (struct place){0};
    }
    return true;
}

// ---- reading

// A file that ends here, or is not here, is followed by the next.
static bool go_on(struct access_export *one, const struct access_trail_end *end)
{
    if (one->sent.segment >= end->segment)
        return false;
    one->sent = (struct place){.segment = one->sent.segment + 1};
    return true;
}

static bool read_at(struct access_export *one, size_t most, size_t *size, struct error *err)
{
    char path[ACCESS_PATH_SIZE];
    *size = 0;
    if (!access_segment_path(path, one->folder, one->sent.segment, err))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || error_errno(err, errno, "cannot open %s", path);
    ssize_t got = pread(fd, one->piece, most, (off_t)one->sent.offset);
    int number = errno;
    close(fd);
    if (got < 0)
        return error_errno(err, number, "cannot read %s", path);
    const char *last = memrchr(one->piece, '\n', (size_t)got);
    *size = last ? (size_t)(last - one->piece) + 1 : 0;
    return true;
}

// The next piece of the files, of whole lines up to `end`. *size 0: there is none.
static bool read_piece(struct access_export *one, const struct access_trail_end *end, size_t *size, struct error *err)
{
    do {
        bool is_last = one->sent.segment == end->segment;
        uint64_t most = !is_last ? CHUNK : one->sent.offset < end->size ? end->size - one->sent.offset : 0;
        if (!read_at(one, most < CHUNK ? (size_t)most : CHUNK, size, err))
            return false;
    } while (*size == 0 && go_on(one, end));
    return true;
}

static void add_frame(struct buffer *frames, const char *line, size_t size)
{
    buffer_printf(frames, "%zu ", size);
    buffer_append(frames, line, size);
}

static void note_value(struct place *place, const char *line, size_t size)
{
    const char *value = memmem(line, size, ACCESS_CHAIN_VALUE, strlen(ACCESS_CHAIN_VALUE));
    size_t room = value ? (size_t)(line + size - value) - strlen(ACCESS_CHAIN_VALUE) : 0;
    if (room >= ACCESS_CHAIN_DIGITS)
        text_copy_n(place->value, sizeof place->value, value + strlen(ACCESS_CHAIN_VALUE), ACCESS_CHAIN_DIGITS);
}

// An empty line is no message.
static void frame_piece(struct access_export *one, size_t size)
{
    buffer_clear(&one->frames);
    for (size_t at = 0; at < size;) {
        const char *line = one->piece + at, *end = memchr(line, '\n', size - at);
        size_t length = (size_t)(end - line);
        if (length > 0)
            add_frame(&one->frames, line, length);
        note_value(&one->sent, line, length);
        one->sent_lines++;
        at += length + 1;
    }
    one->sent.offset += size;
}

// ---- one connection

static bool is_stopping(struct access_export *one)
{
    pthread_mutex_lock(&one->lock);
    bool stop = one->stop;
    pthread_mutex_unlock(&one->lock);
    return stop;
}

static bool last_moment_over(struct access_export *one)
{
    pthread_mutex_lock(&one->lock);
    bool over = one->stop && clock_monotonic_ns() >= one->stop_ns + ACCESS_EXPORT_LAST_S * CLOCK_SECOND;
    pthread_mutex_unlock(&one->lock);
    return over;
}

static void wait_for(struct access_export *one, int64_t duration_ns)
{
    int64_t until_ns = clock_monotonic_ns() + duration_ns;
    struct timespec until = {.tv_sec = until_ns / CLOCK_SECOND, .tv_nsec = until_ns % CLOCK_SECOND};
    pthread_mutex_lock(&one->lock);
    while (!one->stop && pthread_cond_timedwait(&one->wake, &one->lock, &until) == 0)
        continue;
    pthread_mutex_unlock(&one->lock);
}

// A collector has nothing to say; its end shows before the next lines go the same way.
static bool still_there(const struct wire *wire, struct error *err)
{
    uint8_t said[256];
    size_t got;
    enum wire_result result = WIRE_OK;
    for (int i = 0; i < 16 && result == WIRE_OK; i++)
        result = wire->receive(wire->payload, said, sizeof said, 0, &got, err);
    if (result == WIRE_END)
        return error_set(err, ERROR_CLOSED, "it has ended the connection");
    return result != WIRE_BROKEN;
}

static bool send_frames(const struct wire *wire, struct buffer *frames, struct error *err)
{
    struct iovec part = {.iov_base = frames->data, .iov_len = frames->size};
    int64_t deadline_ns = clock_monotonic_ns() + ACCESS_EXPORT_SEND_S * CLOCK_SECOND;
    if (frames->failed)
        return error_set(err, ERROR_MEMORY, "no memory for the lines");
    if (frames->size == 0)
        return true;
    enum wire_result result = wire->send(wire->payload, &part, 1, deadline_ns, err);
    if (result == WIRE_TIMEOUT)
        return error_set(err, ERROR_TIMEOUT, "it takes nothing");
    return result == WIRE_OK || (result == WIRE_END && error_set(err, ERROR_CLOSED, "it has ended the connection"));
}

// Sends what there is and what comes, for a while.
static bool send_lines(struct access_export *one, const struct wire *wire, struct error *err)
{
    int64_t until_ns = clock_monotonic_ns() + ACCESS_EXPORT_SETTLE_S * CLOCK_SECOND;
    uint64_t bytes = 0;
    size_t size;
    while (bytes < (uint64_t)ACCESS_EXPORT_SETTLE_MIB << 20 && clock_monotonic_ns() < until_ns &&
           !last_moment_over(one)) {
        struct access_trail_end end = access_trail_end(one->access->trail);
        one->read_ns = clock_monotonic_ns();
        if (!still_there(wire, err) || !read_piece(one, &end, &size, err))
            return false;
        if (size == 0 && is_stopping(one))
            return true;
        if (size == 0) {
            wait_for(one, LOOK_MS * CLOCK_MS);
            continue;
        }
        frame_piece(one, size);
        bytes += size;
        if (!send_frames(wire, &one->frames, err))
            return false;
    }
    return true;
}

// The collector has all that was sent.
static bool settle(struct access_export *one, int64_t read_ns, struct error *err)
{
    if (!keep_place(one, err))
        return false;
    pthread_mutex_lock(&one->lock);
    one->done += one->sent_lines;
    one->caught_ns = read_ns;
    pthread_mutex_unlock(&one->lock);
    one->sent_lines = 0;
    return true;
}

static bool connect_to(struct access_export *one, struct wire *wire, struct error *err)
{
    struct tls *tls = one->tls(one->payload, err);
    if (!tls)
        return false;
    const struct tls_target to = {.host = one->host, .port = one->port, .tls = tls, .fingerprint = one->fingerprint};
    bool ok = tls_connect(wire, &to, clock_monotonic_ns() + ACCESS_EXPORT_CONNECT_S * CLOCK_SECOND, NULL, err);
    tls_release(tls);
    return ok;
}

static bool connection(struct access_export *one, struct error *err)
{
    struct wire wire;
    one->sent = one->kept;
    one->sent_lines = 0;
    if (!connect_to(one, &wire, err))
        return false;
    if (!send_lines(one, &wire, err)) {
        wire.close(wire.payload);
        return false;
    }
    if (!tls_finish(&wire, clock_monotonic_ns() + ACCESS_EXPORT_GOODBYE_S * CLOCK_SECOND))
        return error_set(err, ERROR_CLOSED, "it did not end its side of the connection; its lines are sent again");
    return settle(one, one->read_ns, err);
}

// ---- the thread

// Lines between the place and the end, for the metric.
static uint64_t count_lines(struct access_export *one, struct access_trail_end *end)
{
    struct error ignored;
    size_t size = 1;
    uint64_t lines = 0;
    *end = access_trail_end(one->access->trail);
    one->sent = one->kept;
    while (read_piece(one, end, &size, &ignored) && size > 0) {
        for (size_t i = 0; i < size; i++)
            lines += one->piece[i] == '\n';
        one->sent.offset += size;
    }
    return lines;
}

static void begin_count(struct access_export *one)
{
    struct access_trail_end end;
    uint64_t lines = count_lines(one, &end);
    pthread_mutex_lock(&one->lock);
    one->total = lines;
    one->counted = end.lines;
    one->caught_ns = clock_monotonic_ns();
    pthread_mutex_unlock(&one->lock);
}

struct access_export_state access_export_state(struct access_export *one)
{
    struct access_trail_end end = access_trail_end(one->access->trail);
    int64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&one->lock);
    uint64_t lines = one->total + (end.lines - one->counted);
    struct access_export_state state = {.unsent = lines > one->done ? lines - one->done : 0};
    if (state.unsent == 0)
        one->caught_ns = now_ns;
    state.unsent_seconds = (now_ns - one->caught_ns) / CLOCK_SECOND;
    pthread_mutex_unlock(&one->lock);
    return state;
}

static void tell(struct access_export *one, bool ok, const struct error *why)
{
    struct access_export_state state = access_export_state(one);
    int64_t now_ns = clock_monotonic_ns();
    if (ok) {
        if (one->refused)
            log_info("access", "the audit collector %s:%u takes lines again", one->host, one->port);
        alarm_clear(ALARM_AUDIT, "export");
    } else if (state.unsent_seconds >= ACCESS_EXPORT_BEHIND_S) {
        alarm_raise(ALARM_AUDIT, "export",
                    "the collector %.60s:%u lacks %" PRIu64 " lines; they are sent once it takes them: %s", one->host,
                    one->port, state.unsent, why->message);
    } else if (!one->refused || now_ns - one->logged_ns >= 60 * CLOCK_SECOND) {
        log_warning("access", "%" PRIu64 " lines of the audit trail wait for the collector %s:%u: %s", state.unsent,
                    one->host, one->port, why->message);
        one->logged_ns = now_ns;
    }
    one->refused = !ok;
}

// What went with removed files is not waited for.
static void note_all_sent(struct access_export *one, const struct access_trail_end *end)
{
    pthread_mutex_lock(&one->lock);
    one->done = one->total + (end->lines - one->counted);
    pthread_mutex_unlock(&one->lock);
}

// Whether anything waits to be sent.
static bool has_work(struct access_export *one)
{
    struct access_trail_end end = access_trail_end(one->access->trail);
    size_t size = 0;
    struct error why;
    one->sent = one->kept;
    if (!read_piece(one, &end, &size, &why))
        tell(one, false, &why);
    else if (size == 0)
        note_all_sent(one, &end);
    return size > 0;
}

static void *run(void *payload)
{
    struct access_export *one = payload;
    struct error why;
    int64_t back_off_s = 0;
    for (bool stop = false; !stop;) {
        wait_for(one, back_off_s > 0 ? back_off_s * CLOCK_SECOND : LOOK_MS * CLOCK_MS);
        stop = is_stopping(one);
        if ((stop && back_off_s > 0) || !has_work(one))
            continue;
        bool ok = connection(one, &why);
        tell(one, ok, &why);
        back_off_s = ok                                          ? 0
                     : back_off_s == 0                           ? 1
                     : back_off_s * 2 < ACCESS_EXPORT_BACK_OFF_S ? back_off_s * 2
                                                                 : ACCESS_EXPORT_BACK_OFF_S;
    }
    return NULL;
}

static void free_export(struct access_export *one)
{
    buffer_free(&one->frames);
    free(one->piece);
    pthread_cond_destroy(&one->wake);
    pthread_mutex_destroy(&one->lock);
    free(one);
}

static bool take_options(struct access_export *one, const struct access_export_options *options, struct error *err)
{
    one->port = options->port;
    one->tls = options->tls;
    one->payload = options->payload;
    bool fits = text_copy(one->folder, sizeof one->folder, options->folder) &&
                text_copy(one->host, sizeof one->host, options->host) &&
                (!*options->fingerprint || tls_fingerprint(options->fingerprint, one->fingerprint));
    return fits || error_set(err, ERROR_BAD_VALUE, "the collector's name, certificate or the audit folder do not fit");
}

struct access_export *access_export_start(struct access *access, const struct access_export_options *options,
                                          struct error *err)
{
    pthread_condattr_t attributes;
    struct access_export *one = calloc(1, sizeof *one);
    if (!one) {
        error_set(err, ERROR_MEMORY, "no memory to send the audit trail");
        return NULL;
    }
    one->access = access;
    buffer_init(&one->frames, 2 * CHUNK);
    pthread_mutex_init(&one->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&one->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    one->piece = malloc(CHUNK);
    bool ok = one->piece ? true : error_set(err, ERROR_MEMORY, "no memory to send the audit trail");
    ok = ok && take_options(one, options, err) && read_place(one, err);
    if (ok)
        begin_count(one);
    if (ok && pthread_create(&one->thread, NULL, run, one) != 0)
        ok = error_set(err, ERROR_MEMORY, "cannot start the thread that sends the audit trail");
    if (ok)
        return one;
    free_export(one);
    return NULL;
}

void access_export_stop(struct access_export *one)
{
    if (!one)
        return;
    pthread_mutex_lock(&one->lock);
    one->stop = true;
    one->stop_ns = clock_monotonic_ns();
    pthread_cond_signal(&one->wake);
    pthread_mutex_unlock(&one->lock);
    pthread_join(one->thread, NULL);
    free_export(one);
}
