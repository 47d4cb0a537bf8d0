// MLLP: blocking calls with deadlines, over any wire.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/wire.h"
#include "hl7/message.h"
#include "hl7/mllp_frame.h"

enum { READ_SIZE = 16 << 10, ANSWER_ARENA = 4 * MLLP_MESSAGE_MAX };

struct mllp_connection {
    struct wire wire;
    bool broken; // of no further use
    struct mllp_frame frame;
    size_t first, last; // what was read behind the message handed out
    uint8_t read[READ_SIZE];
};

static int64_t deadline_after(int64_t timeout_ns)
{
    int64_t deadline;
    return __builtin_add_overflow(clock_monotonic_ns(), timeout_ns, &deadline) ? INT64_MAX : deadline;
}

// ---- opening and closing

static struct mllp_connection *begin(struct wire wire, struct error *err)
{
    struct mllp_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        error_set(err, ERROR_MEMORY, "no memory for an MLLP connection");
        wire.close(wire.payload);
        return NULL;
    }
    connection->wire = wire;
    return connection;
}

struct mllp_connection *mllp_accept(int fd, struct error *err)
{
    struct wire wire;
    return wire_socket(&wire, fd, err) ? begin(wire, err) : NULL;
}

void mllp_close(struct mllp_connection *connection)
{
    if (!connection)
        return;
    connection->wire.close(connection->wire.payload);
    free(connection);
}

struct mllp_connection *mllp_connect(const struct tls_target *to, int64_t timeout_ns, struct error *err)
{
    struct wire wire;
    return tls_connect(&wire, to, deadline_after(timeout_ns), NULL, err) ? begin(wire, err) : NULL;
}

static bool usable(const struct mllp_connection *connection, struct error *err)
{
    return !connection->broken || error_set(err, ERROR_CLOSED, "the MLLP connection failed before: open another");
}

// ---- sending

static bool send_pieces(struct mllp_connection *connection, struct iovec *pieces, size_t count, int64_t deadline_ns,
                        struct error *err)
{
    enum wire_result sent = connection->wire.send(connection->wire.payload, pieces, count, deadline_ns, err);
    if (sent == WIRE_TIMEOUT)
        error_set(err, ERROR_TIMEOUT, "timed out waiting for the peer to take an MLLP message");
    return sent == WIRE_OK;
}

static bool send_by(struct mllp_connection *connection, const char *message, size_t size, int64_t deadline_ns,
                    struct error *err)
{
    if (!usable(connection, err))
        return false;
    if (size > MLLP_MESSAGE_MAX)
        return error_set(err, ERROR_LIMIT, "the message has %zu bytes, more than %d", size, MLLP_MESSAGE_MAX);
    if (memchr(message, 0x0B, size) || memchr(message, 0x1C, size))
        return error_set(err, ERROR_BAD_DATA, "the message holds 0x0B or 0x1C, which are MLLP's own");
    struct iovec pieces[] = {{"\x0B", 1}, {(void *)(uintptr_t)message, size}, {"\x1C\r", 2}};
    connection->broken = !send_pieces(connection, pieces, 3, deadline_ns, err);
    return !connection->broken;
}

bool mllp_send(struct mllp_connection *connection, const char *message, size_t size, int64_t timeout_ns,
               struct error *err)
{
    return send_by(connection, message, size, deadline_after(timeout_ns), err);
}

// ---- receiving

static bool ended(const struct mllp_connection *connection, struct error *err)
{
    if (connection->frame.state == MLLP_BETWEEN)
        return error_set(err, ERROR_CLOSED, "the peer closed the MLLP connection");
    return error_set(err, ERROR_PROTOCOL, "the peer closed inside an MLLP frame, after %zu bytes",
                     connection->frame.size);
}

// Waits for bytes. When this returns true there is at least one.
static bool fill(struct mllp_connection *connection, int64_t deadline_ns, struct error *err)
{
    const char *what = connection->frame.state == MLLP_BETWEEN ? "an MLLP message" : "the rest of an MLLP message";
    size_t got = 0;
    switch (connection->wire.receive(connection->wire.payload, connection->read, READ_SIZE, deadline_ns, &got, err)) {
    case WIRE_OK:
        connection->first = 0;
        connection->last = got;
        return true;
    case WIRE_END:
        return ended(connection, err);
    case WIRE_TIMEOUT:
        return error_set(err, ERROR_TIMEOUT, "timed out waiting for %s", what);
    case WIRE_BROKEN:
        break;
    }
    return false;
}

static bool receive_whole(struct mllp_connection *connection, struct buffer *out, int64_t start_deadline_ns,
                          int64_t whole_deadline_ns, struct error *err)
{
    bool whole = false, begun = false;
    while (!whole) {
        size_t used;
        if (connection->first == connection->last &&
            !fill(connection, begun ? whole_deadline_ns : start_deadline_ns, err))
            return false;
        if (!mllp_frame_take(&connection->frame, connection->read + connection->first,
                             connection->last - connection->first, &used, &whole, out, err))
            return false;
        connection->first += used;
        if (!begun && connection->frame.state != MLLP_BETWEEN) {
            begun = true;
            if (whole_deadline_ns == 0)
                whole_deadline_ns = deadline_after(MLLP_TRANSFER_NS);
        }
    }
    return true;
}

// whole_deadline_ns 0: MLLP_TRANSFER_NS after the start byte.
static bool receive_by(struct mllp_connection *connection, struct buffer *out, int64_t start_deadline_ns,
                       int64_t whole_deadline_ns, struct error *err)
{
    if (!usable(connection, err))
        return false;
    if (receive_whole(connection, out, start_deadline_ns, whole_deadline_ns, err))
        return true;
    connection->broken = err->code != ERROR_TIMEOUT || connection->frame.state != MLLP_BETWEEN;
    return false;
}

bool mllp_receive(struct mllp_connection *connection, struct buffer *out, int64_t timeout_ns, struct error *err)
{
    return receive_by(connection, out, deadline_after(timeout_ns), 0, err);
}

// ---- delivering

enum { OTHER_SIZE = 64 };

static bool answer_full(struct error *err)
{
    return error_set(err, ERROR_MEMORY, "no memory for an HL7 answer");
}

// Whether the message acknowledges `control`; fills *answer in then. Else what it acknowledges, to show, in `other`.
static bool read_answer(const struct buffer *received, const char *control, struct arena *arena, bool *ours,
                        char other[OTHER_SIZE], struct mllp_answer *answer, struct error *err)
{
    const struct hl7_message *message;
    struct error cause;
    if (!hl7_parse_loose((const char *)received->data, received->size, arena, &message, &cause))
        return error_set(err, ERROR_PROTOCOL, "the answer cannot be understood: %s", cause.message);
    const char *code = hl7_get(message, "MSA", 0, 1, 1, 1, 1, arena);
    const char *about = hl7_get(message, "MSA", 0, 2, 1, 1, 1, arena);
    const char *text = hl7_get(message, "ERR", 0, 8, 1, 1, 1, arena);
    if (text && !*text)
        text = hl7_get(message, "MSA", 0, 3, 1, 1, 1, arena);
    if (!code || !about || !text)
        return answer_full(err);
    if (strlen(code) != 2 || !strchr("AC", code[0]) || !strchr("AER", code[1]))
        return error_set(err, ERROR_PROTOCOL, "the answer's MSA-1 is \"%.20s\", not AA, AE, AR, CA, CE or CR", code);
    const char *when = hl7_get(message, "MSH", 0, 7, 1, 1, 1, arena);
    *ours = strcmp(about, control) == 0;
    if (!*ours)
        text_show(other, OTHER_SIZE, about, strlen(about));
    if (*ours) {
        if (!when || !hl7_time_read(when, &answer->said_ns))
            answer->said_ns = 0;
        text_copy(answer->code, sizeof answer->code, code);
        text_show(answer->text, sizeof answer->text, text, strlen(text));
    }
    return true;
}

// A late answer to an earlier message may come first; one that answers nothing else is the receiver's fault.
static bool misanswered(const char *other, const char *control, struct error *err)
{
    return error_set(err, ERROR_MISMATCH, "it answers message '%s' (MSA-2), where '%s' was sent", other, control);
}

static bool await_answer(struct mllp_connection *connection, const char *control, int64_t deadline_ns,
                         struct mllp_answer *answer, struct buffer *received, struct arena *arena, struct error *err)
{
    char other[OTHER_SIZE] = "";
    bool ours = false, strays = false;
    for (int stray = 0; stray <= MLLP_STRAY_MAX; stray++) {
        buffer_clear(received);
        arena_reset(arena);
        if (!receive_by(connection, received, deadline_ns, deadline_ns, err))
            return strays && (err->code == ERROR_TIMEOUT || err->code == ERROR_CLOSED)
                       ? misanswered(other, control, err)
                       : false;
        if (!read_answer(received, control, arena, &ours, other, answer, err))
            return false;
        if (ours)
            return true;
        strays = true;
    }
    return misanswered(other, control, err);
}

bool mllp_deliver(struct mllp_connection *connection, const char *message, size_t size, const char *control,
                  int64_t timeout_ns, struct mllp_answer *answer, struct error *err)
{
    int64_t deadline_ns = deadline_after(timeout_ns);
    struct buffer received;
    struct arena arena;
    if (!send_by(connection, message, size, deadline_ns, err))
        return false;
    buffer_init(&received, MLLP_MESSAGE_MAX);
    arena_init(&arena, ANSWER_ARENA);
    bool done = await_answer(connection, control, deadline_ns, answer, &received, &arena, err);
    if (!done && err->code != ERROR_TIMEOUT)
        connection->broken = true; // whatever else comes, it cannot be told what it answers
    buffer_free(&received);
    arena_free(&arena);
    return done;
}
