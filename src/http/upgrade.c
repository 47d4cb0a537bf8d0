// A connection that becomes a WebSocket (RFC 6455): its handshake, and the carrying of an event stream until its end.
// libmicrohttpd hands the socket over on the connection's own thread, which stays here until the WebSocket is closed;
// so it counts as a request under way all along, and ends with the server's stop as other streams do.
#include "http/internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"

#define SLICE_NS (250 * CLOCK_MS)
#define GOODBYE_NS CLOCK_SECOND // for the peer's close frame behind ours

enum {
    BLOCK = 4 << 10,
    HEARD_AT_ONCE = 16, // blocks between two looks for events
};

struct socket {
    struct http_events *events;
    int fd;
    struct websocket_reader reader;
    int64_t heard_ns, pinged_ns; // monotonic
    bool over;                   // no more is said or heard
    bool refused;                // the reader has refused what came
    bool gone;                   // nothing more will come: a close frame, the end, or bytes that it does not take
    bool late;                   // it does not take what is sent
};

// ---- the handshake

// Whether a header's list names a token, whose case does not count.
static bool names(const char *list, const char *token)
{
    const size_t size = strlen(token);
    while (list && *list) {
        list += strspn(list, ", \t");
        const size_t next = strcspn(list, ", \t");
        if (next == size && strncasecmp(list, token, size) == 0)
            return true;
        list += next;
    }
    return false;
}

bool http_asks_upgrade(const struct http_request *request)
{
    return strcmp(request->method, "GET") == 0 && names(http_header(request, "Upgrade"), "websocket");
}

bool http_screen_upgrade(struct http_request *request)
{
    if (strcmp(request->route->method, HTTP_WEBSOCKET) != 0)
        return true;
    const char *version = http_header(request, "Sec-WebSocket-Version");
    const char *key = http_header(request, "Sec-WebSocket-Key");
    if (strcmp(request->version, MHD_HTTP_VERSION_1_1) != 0 || !names(http_header(request, "Connection"), "upgrade"))
        return http_refuse(request, MHD_HTTP_BAD_REQUEST,
                           "a WebSocket takes HTTP/1.1 with 'Connection: Upgrade'; a proxy in front has to pass it on");
    if (!http_origin_is_ours(request))
        return false;
    if (!version || strcmp(version, "13") != 0) {
        http_set_header(request, "Sec-WebSocket-Version", "13");
        return http_refuse(request, MHD_HTTP_UPGRADE_REQUIRED,
                           "Sec-WebSocket-Version is not 13, the one that is spoken");
    }
    return (key && websocket_key_fits(key)) ||
           http_refuse(request, MHD_HTTP_BAD_REQUEST, "Sec-WebSocket-Key is not 16 bytes in base64");
}

// ---- bytes out

// false, and over: the peer does not take them in time, has gone, or the server stops and it is not ready.
static bool send_bytes(struct socket *socket, const uint8_t *data, size_t size)
{
    const struct http_connection *connection = socket->events->connection;
    const int64_t deadline_ns =
        clock_monotonic_ns() + (HTTP_WEBSOCKET_SECONDS + (int64_t)(size / HTTP_RATE_MIN)) * CLOCK_SECOND;
    while (size > 0 && !socket->over) {
        ssize_t sent = send(socket->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
            continue;
        }
        bool waits = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        struct pollfd wait = {.fd = socket->fd, .events = POLLOUT};
        bool late = clock_monotonic_ns() >= deadline_ns;
        if (late)
            log_info("http", "a WebSocket of %s was cut off: it takes too long to read", connection->address_text);
        socket->late |= late;
        socket->gone = socket->over = !waits || late || connection->server->stopping;
        if (!socket->over)
            poll(&wait, 1, SLICE_NS / CLOCK_MS);
    }
    return !socket->over;
}

static void send_buffer(struct socket *socket, struct buffer *frames)
{
    if (frames->failed)
        socket->over = socket->gone = true;
    else
        send_bytes(socket, frames->data, frames->size);
    buffer_clear(frames);
}

static void say(struct socket *socket, enum websocket_kind kind, const void *data, size_t size)
{
    struct buffer frame;
    buffer_init(&frame, WEBSOCKET_HEAD_MAX + WEBSOCKET_CONTROL_MAX);
    websocket_write(&frame, kind, data, size, NULL);
    send_buffer(socket, &frame);
    buffer_free(&frame);
}

static void say_close(struct socket *socket, enum websocket_code code, const char *reason)
{
    struct buffer frame;
    buffer_init(&frame, WEBSOCKET_HEAD_MAX + WEBSOCKET_CONTROL_MAX);
    websocket_write_close(&frame, code, reason);
    send_buffer(socket, &frame);
    buffer_free(&frame);
    socket->over = true;
}

// ---- bytes in

static void take_message(struct socket *socket, const struct websocket_message *message)
{
    switch (message->kind) {
    case WEBSOCKET_PING:
        say(socket, WEBSOCKET_PONG, message->data, message->size);
        break;
    case WEBSOCKET_PONG:
        break;
    case WEBSOCKET_CLOSE:
        socket->gone = true;
        say_close(socket, message->code == WEBSOCKET_NO_CODE ? WEBSOCKET_NORMAL : (enum websocket_code)message->code,
                  "");
        break;
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        say_close(socket, WEBSOCKET_UNSUPPORTED, "events are told here, and nothing is taken");
        break;
    }
}

static void take_bytes(struct socket *socket, const uint8_t *data, size_t size)
{
    socket->heard_ns = clock_monotonic_ns();
    while (size > 0 && !socket->over) {
        struct websocket_message message;
        enum websocket_code code = WEBSOCKET_PROTOCOL;
        struct error err;
        size_t used;
        bool whole;
        if (!websocket_take(&socket->reader, data, size, &used, &whole, &message, &code, &err)) {
            log_info("http", "a WebSocket of %s is closed with %d: %s", socket->events->connection->address_text, code,
                     err.message);
            socket->refused = true;
            say_close(socket, code, err.message);
            return;
        }
        if (whole)
            take_message(socket, &message);
        data += used;
        size -= used;
    }
}

// What has come by now.
static void hear(struct socket *socket)
{
    uint8_t block[BLOCK];
    for (int i = 0; i < HEARD_AT_ONCE && !socket->over; i++) {
        ssize_t size = recv(socket->fd, block, sizeof block, MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return;
        if (size <= 0)
            socket->over = socket->gone = true; // without a word
        else
            take_bytes(socket, block, (size_t)size);
    }
}

// A peer that is there answers a ping; one behind a dead line would be held for ever.
static void keep_alive(struct socket *socket)
{
    const int64_t silence_ns = socket->events->connection->server->idle_seconds * CLOCK_SECOND / 2;
    const int64_t now_ns = clock_monotonic_ns();
    const bool asked = socket->pinged_ns > socket->heard_ns;
    if (now_ns - (asked ? socket->pinged_ns : socket->heard_ns) < silence_ns)
        return;
    if (asked) {
        log_info("http", "a WebSocket of %s has ended: a ping was not answered",
                 socket->events->connection->address_text);
        socket->over = socket->gone = true;
        return;
    }
    socket->pinged_ns = now_ns;
    say(socket, WEBSOCKET_PING, NULL, 0);
}

static void carry(struct socket *socket)
{
    struct http_events *events = socket->events;
    const struct http_server *server = events->connection->server;
    while (!socket->over) {
        hear(socket);
        if (socket->over)
            break;
        bool going = !server->stopping && events->next(events->payload, SLICE_NS, events);
        if (events->out.failed)
            log_error("http", "an event stream was cut: events past %d bytes at once", HTTP_EVENTS_BUFFER);
        send_buffer(socket, &events->out);
        if (!socket->over && !going)
            say_close(socket, WEBSOCKET_GOING_AWAY, server->stopping ? "the server stops" : "log in again");
        else if (!socket->over)
            keep_alive(socket);
    }
}

// Does the peer's close frame stand in these bytes? After a refusal nothing is made out of them any more.
static bool has_close(struct socket *socket, const uint8_t *data, size_t size)
{
    while (size > 0 && !socket->refused) {
        struct websocket_message message;
        enum websocket_code code;
        struct error ignored;
        size_t used;
        bool whole;
        if (!websocket_take(&socket->reader, data, size, &used, &whole, &message, &code, &ignored))
            return true;
        if (whole && message.kind == WEBSOCKET_CLOSE)
            return true;
        data += used;
        size -= used;
    }
    return false;
}

// Who closes waits for the other's close frame or end, so that what it has not read of ours is not lost to a reset
// (7.1.1).
static void say_goodbye(struct socket *socket)
{
    const int64_t until_ns = clock_monotonic_ns() + GOODBYE_NS;
    uint8_t block[BLOCK];
    int64_t left_ns;
    while (!socket->gone && (left_ns = until_ns - clock_monotonic_ns()) > 0) {
        struct pollfd wait = {.fd = socket->fd, .events = POLLIN};
        if (poll(&wait, 1, (int)(left_ns / CLOCK_MS) + 1) <= 0)
            continue;
        ssize_t size = recv(socket->fd, block, sizeof block, MSG_DONTWAIT);
        socket->gone = size <= 0 || has_close(socket, block, (size_t)size);
    }
}

static void on_upgrade(void *payload, struct MHD_Connection *mhd, void *context, const char *extra, size_t extra_size,
                       MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    struct http_events *events = payload;
    struct http_connection *connection = events->connection;
    struct socket socket = {.events = events, .fd = fd, .heard_ns = clock_monotonic_ns()};
    (void)mhd;
    (void)context;
    websocket_reader_init(&socket.reader, false);
    take_bytes(&socket, (const uint8_t *)extra, extra_size);
    carry(&socket);
    say_goodbye(&socket);
    websocket_reader_free(&socket.reader);
    if (connection->secure && socket.late) // what is carried for a reader that takes nothing would be carried for ever
        http_fronts_cut(connection->server->fronts, fd);
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}

void http_upgrade(struct http_request *request, struct http_events *events)
{
    char accept[WEBSOCKET_ACCEPT_SIZE];
    http_set_header(request, "Upgrade", "websocket");
    http_set_header(request, "Sec-WebSocket-Accept",
                    websocket_accept(http_header(request, "Sec-WebSocket-Key"), accept));
    http_queue(request, MHD_HTTP_SWITCHING_PROTOCOLS, NULL, MHD_create_response_for_upgrade(on_upgrade, events));
}
