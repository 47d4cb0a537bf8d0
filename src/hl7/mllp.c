// MLLP over TCP: blocking calls with deadlines, on a socket that never blocks.
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/text.h"
#include "base/wait.h"
#include "hl7/message.h"
#include "hl7/mllp_frame.h"

enum { READ_SIZE = 16 << 10, ANSWER_ARENA = 4 * MLLP_MESSAGE_MAX };

struct mllp_connection {
    int fd;
    bool broken; // of no further use
    struct mllp_frame frame;
    size_t first, last; // what was read behind the message handed out
    uint8_t read[READ_SIZE];
};

// ---- waiting

static int64_t deadline_after(int64_t timeout_ns)
{
    int64_t deadline;
    return __builtin_add_overflow(clock_monotonic_ns(), timeout_ns, &deadline) ? INT64_MAX : deadline;
}

// Waits for `events`. false (TIMEOUT, IO) when they did not come before the deadline.
static bool wait_for(int fd, short events, int64_t deadline_ns, const char *what, struct error *err)
{
    int ready = wait_ready(fd, events, deadline_ns);
    if (ready > 0)
        return true;
    return ready < 0 ? error_errno(err, errno, "cannot wait for %s", what)
                     : error_set(err, ERROR_TIMEOUT, "timed out waiting for %s", what);
}

// ---- opening and closing

static bool set_options(int fd, struct error *err)
{
    int on = 1, flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_errno(err, errno, "cannot make an MLLP socket non-blocking");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // a frame leaves at once; without it only slower
    return true;
}

struct mllp_connection *mllp_accept(int fd, struct error *err)
{
    if (!set_options(fd, err)) {
        close(fd);
        return NULL;
    }
    struct mllp_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        error_set(err, ERROR_MEMORY, "no memory for an MLLP connection");
        close(fd);
        return NULL;
    }
    connection->fd = fd;
    return connection;
}

void mllp_close(struct mllp_connection *connection)
{
    if (!connection)
        return;
    close(connection->fd);
    free(connection);
}

static bool finish_connect(int fd, int64_t deadline_ns, const char *where, struct error *err)
{
    int number = 0;
    socklen_t size = sizeof number;
    if (!wait_for(fd, POLLOUT, deadline_ns, where, err))
        return false;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) < 0)
        number = errno;
    return number == 0 || error_errno(err, number, "cannot connect to %s", where);
}

// A connected socket, or -1.
static int connect_to(const struct addrinfo *address, int64_t deadline_ns, const char *where, struct error *err)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        error_errno(err, errno, "cannot make a socket for %s", where);
        return -1;
    }
    bool done = connect(fd, address->ai_addr, address->ai_addrlen) == 0;
    if (!done && errno == EINPROGRESS)
        done = finish_connect(fd, deadline_ns, where, err);
    else if (!done)
        error_errno(err, errno, "cannot connect to %s", where);
    if (done)
        return fd;
    close(fd);
    return -1;
}

struct mllp_connection *mllp_connect(const char *host, uint16_t port, int64_t timeout_ns, struct error *err)
{
    int64_t deadline_ns = deadline_after(timeout_ns);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
    char service[8], where[96];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    snprintf(where, sizeof where, "%.80s port %u", host, (unsigned)port);
    int failed = getaddrinfo(host, service, &hints, &found);
    if (failed) {
        error_set(err, ERROR_NOT_FOUND, "no address for %s: %s", where, gai_strerror(failed));
        return NULL;
    }
    int fd = -1;
    for (const struct addrinfo *address = found; address && fd < 0; address = address->ai_next)
        fd = connect_to(address, deadline_ns, where, err);
    freeaddrinfo(found);
    return fd < 0 ? NULL : mllp_accept(fd, err);
}

static bool usable(const struct mllp_connection *connection, struct error *err)
{
    return !connection->broken || error_set(err, ERROR_CLOSED, "the MLLP connection failed before: open another");
}

// ---- sending

// Moves the pieces on behind what was sent.
static void advance(struct iovec *pieces, size_t count, size_t sent)
{
    for (size_t i = 0; i < count; i++) {
        size_t part = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;
        pieces[i].iov_base = (uint8_t *)pieces[i].iov_base + part;
        pieces[i].iov_len -= part;
        sent -= part;
    }
}

static bool send_pieces(int fd, struct iovec *pieces, size_t count, size_t left, int64_t deadline_ns, struct error *err)
{
    while (left > 0) {
        struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent >= 0) {
            advance(pieces, count, (size_t)sent);
            left -= (size_t)sent;
        } else if (errno == EAGAIN) {
            if (!wait_for(fd, POLLOUT, deadline_ns, "the peer to take an MLLP message", err))
                return false;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return error_set(err, ERROR_CLOSED, "the peer closed before it took the MLLP message");
        } else if (errno != EINTR) {
            return error_errno(err, errno, "cannot send an MLLP message");
        }
    }
    return true;
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
    connection->broken = !send_pieces(connection->fd, pieces, 3, size + 3, deadline_ns, err);
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
    for (;;) {
        if (!wait_for(connection->fd, POLLIN, deadline_ns, what, err))
            return false;
        ssize_t got = recv(connection->fd, connection->read, READ_SIZE, 0);
        if (got > 0) {
            connection->first = 0;
            connection->last = (size_t)got;
            return true;
        }
        if (got == 0)
            return ended(connection, err);
        if (errno == ECONNRESET)
            return error_set(err, ERROR_CLOSED, "the peer reset the MLLP connection");
        if (errno != EAGAIN && errno != EINTR)
            return error_errno(err, errno, "cannot read from an MLLP connection");
    }
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
    *ours = strcmp(about, control) == 0;
    if (!*ours)
        text_show(other, OTHER_SIZE, about, strlen(about));
    if (*ours) {
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
