#include "fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/program.h"

uint8_t fixture_byte(uint64_t position)
{
    return (uint8_t)(position * 7 + position / 1000);
}

static void handle_echo(void *payload, struct http_request *request)
{
    struct buffer out;
    struct fixture *fixture = payload;
    fixture->handled++;
    buffer_init(&out, 1 << 16);
    buffer_printf(&out, "%s %s\nname=%s rest=%s\n", http_method(request), http_path(request),
                  http_path_part(request, "name"), http_path_part(request, "rest"));
    for (size_t i = 0; i < http_query_count(request); i++) {
        const char *name;
        const char *value;
        http_query_at(request, i, &name, &value);
        buffer_printf(&out, "[%s]=[%s]\n", name, value);
    }
    buffer_printf(&out, "from=%s\n", http_address(request));
    http_reply_buffer(request, 200, "text/plain", &out);
}

static void handle_body(void *payload, struct http_request *request)
{
    size_t size;
    struct fixture *fixture = payload;
    static int note = 41;
    http_set_note(request, &note);
    fixture->handled++;
    const void *body = http_body(request, &size);
    http_reply(request, 200, "application/octet-stream", body, size);
}

static void handle_size(void *payload, struct http_request *request)
{
    (void)payload;
    size_t size;
    char text[32];
    http_body(request, &size);
    snprintf(text, sizeof text, "%zu", size);
    http_reply(request, 200, "text/plain", text, strlen(text));
}

// The size of the file and whether its bytes are those of fixture->file, again and again.
static void handle_file(void *payload, struct http_request *request)
{
    struct fixture *fixture = payload;
    uint64_t size;
    char text[64];
    int fd = http_body_file(request, &size);
    bool same = true;
    uint8_t byte;
    for (uint64_t at = 0; at < size && same; at += 4099)
        same = pread(fd, &byte, 1, (off_t)at) == 1 && byte == fixture_byte(at % FILE_SIZE);
    fixture->handled++;
    snprintf(text, sizeof text, "%llu %s", (unsigned long long)size, same ? "same" : "other");
    http_reply(request, 200, "text/plain", text, strlen(text));
}

static void count_done(void *payload)
{
    struct fixture *fixture = payload;
    fixture->done_calls++;
}

static void handle_parts(void *payload, struct http_request *request)
{
    struct fixture *fixture = payload;
    const char *head = arena_strdup(http_arena(request), "head|");
    const struct reader parts[] = {
        reader_from_memory(head, 5),    reader_from_fd(fixture->file, 1001, 600000),
        reader_from_memory("", 0),      reader_from_fd(fixture->file, FILE_SIZE - 3, 3),
        reader_from_memory("|tail", 5),
    };
    http_reply_parts(request, 200, "multipart/related", parts, 5, count_done, fixture);
}

// More than any socket buffer takes.
static void handle_long(void *payload, struct http_request *request)
{
    struct fixture *fixture = payload;
    struct reader parts[20];
    for (size_t i = 0; i < 20; i++)
        parts[i] = reader_from_fd(fixture->file, 0, FILE_SIZE);
    http_reply_parts(request, 200, "application/octet-stream", parts, 20, count_done, fixture);
}

static void handle_short_file(void *payload, struct http_request *request)
{
    struct fixture *fixture = payload;
    const struct reader part = reader_from_fd(fixture->file, FILE_SIZE - 10, 1000);
    http_reply_parts(request, 200, "application/octet-stream", &part, 1, count_done, fixture);
}

// Made in memory.
static void handle_made(void *payload, struct http_request *request)
{
    struct fixture *fixture = payload;
    struct buffer body;
    buffer_init(&body, FILE_SIZE);
    uint8_t *to = buffer_reserve(&body, FILE_SIZE);
    for (size_t i = 0; to && i < FILE_SIZE; i++)
        to[i] = fixture_byte(i);
    body.size = to ? FILE_SIZE : 0;
    fixture->handled++;
    http_reply_buffer(request, 200, "application/octet-stream", &body);
}

static void handle_header(void *payload, struct http_request *request)
{
    (void)payload;
    const char *value = http_query(request, "value");
    http_set_header(request, "X-Value", value ? value : "none");
    http_reply(request, 200, "text/html; charset=utf-8", "<p>", 3);
}

static void handle_slow(void *payload, struct http_request *request)
{
    struct fixture *fixture = payload;
    fixture->handled++;
    clock_sleep_ns(600 * CLOCK_MS);
    http_reply(request, 200, "text/plain", "slow", 4);
}

static void handle_silent(void *payload, struct http_request *request)
{
    (void)payload;
    (void)request;
}

static void handle_error(void *payload, struct http_request *request)
{
    (void)payload;
    struct error err;
    error_set(&err, ERROR_CONFLICT, "study \"%s\" is locked", http_query(request, "study"));
    http_reply_error(request, &err);
}

static void handle_failed_buffer(void *payload, struct http_request *request)
{
    (void)payload;
    struct buffer body;
    buffer_init(&body, 3);
    buffer_text(&body, "too long");
    http_reply_buffer(request, 200, "text/plain", &body);
}

static void handle_accepts(void *payload, struct http_request *request)
{
    (void)payload;
    char text[16];
    const struct http_parameter parameters[] = {{"type", http_query(request, "part")},
                                                {"transfer-syntax", http_query(request, "syntax")}};
    snprintf(text, sizeof text, "%d",
             http_accepts_with(request, http_query(request, "type"), parameters, parameters[0].value ? 2 : 0));
    http_reply(request, 200, "text/plain", text, strlen(text));
}

struct stream {
    struct fixture *fixture;
    int sent;
};

static bool next_event(void *payload, int64_t timeout_ns, struct http_events *out)
{
    char id[24];
    struct stream *stream = payload;
    if (stream->sent == stream->fixture->events_to_send) {
        clock_sleep_ns(timeout_ns < 20 * CLOCK_MS ? timeout_ns : 20 * CLOCK_MS);
        return true;
    }
    snprintf(id, sizeof id, "1-%d", ++stream->sent);
    buffer_text(http_event_begin(out, id, "made"), "{}");
    http_event_end(out);
    return stream->sent < 1000;
}

static void stream_done(void *payload)
{
    struct stream *stream = payload;
    stream->fixture->done_calls++;
}

static void handle_events(void *payload, struct http_request *request)
{
    struct fixture *fixture = payload;
    fixture->handled++;
    struct stream *stream = arena_alloc(http_arena(request), sizeof *stream);
    stream->fixture = fixture;
    http_reply_events(request, next_event, stream_done, stream);
}

static const struct http_route routes[] = {
    {"GET", "/echo/{name}/x/{rest...}", handle_echo, 0, false, 0, 0, NULL},
    {"POST", "/body", handle_body, 1000, false, 9, 7, NULL},
    {"GET", "/body", handle_body, 0, false, 0, 0, NULL},
    {"GET", "/thing/{id}", handle_body, 0, false, 0, 0, NULL},
    {"DELETE", "/body", handle_body, 0, false, 0, 0, NULL},
    {"GET", "/asked", handle_body, 0, false, 0, 0, "study state"},
    {"GET", "/unasked", handle_body, 0, false, 0, 0, ""},
    {"POST", "/size", handle_size, 64 << 20, false, 0, 0, NULL},
    {"POST", "/file", handle_file, FILE_SIZE, true, 0, 0, NULL},
    {"GET", "/parts", handle_parts, 0, false, 0, 0, NULL},
    {"GET", "/long", handle_long, 0, false, 0, 0, NULL},
    {"GET", "/made", handle_made, 0, false, 0, 0, NULL},
    {"GET", "/short-file", handle_short_file, 0, false, 0, 0, NULL},
    {"GET", "/header", handle_header, 0, false, 0, 0, NULL},
    {"GET", "/slow", handle_slow, 0, false, 0, 0, NULL},
    {"GET", "/silent", handle_silent, 0, false, 0, 0, NULL},
    {"GET", "/error", handle_error, 0, false, 0, 8, NULL},
    {"GET", "/failed-buffer", handle_failed_buffer, 0, false, 0, 0, NULL},
    {"GET", "/accepts", handle_accepts, 0, false, 0, 0, NULL},
    {"GET", "/events", handle_events, 0, false, 0, 0, NULL},
    {HTTP_WEBSOCKET, "/events", handle_events, 0, false, 0, 0, "after"},
    {0},
};

static int make_file(void)
{
    int fd = memfd_create("pieces", MFD_CLOEXEC);
    uint8_t *bytes = malloc(FILE_SIZE);
    assert_true(fd >= 0 && bytes);
    for (size_t i = 0; i < FILE_SIZE; i++)
        bytes[i] = fixture_byte(i);
    assert_int_equal(write(fd, bytes, FILE_SIZE), FILE_SIZE);
    free(bytes);
    return fd;
}

static bool can_spool(void *payload, uint64_t bytes, struct error *err)
{
    struct fixture *fixture = payload;
    uint64_t room = fixture->room;
    if (bytes > room)
        return error_set(err, ERROR_FULL, "%llu bytes are left", (unsigned long long)room);
    fixture->room -= bytes;
    return true;
}

static bool admit(void *payload, struct http_request *request, const struct http_route *route, struct error *err)
{
    struct fixture *fixture = payload;
    return !fixture->shut || error_set(err, ERROR_FULL, "%s is shut, of action %d and kind %d", http_path(request),
                                       route->action, route->kind);
}

static bool answered(void *payload, struct http_request *request, const struct http_route *route, int status,
                     struct error *err)
{
    struct fixture *fixture = payload;
    const int *note = http_note(request);
    fixture->answered_kind = route->kind;
    fixture->answered_status = status;
    fixture->answered_note = note ? *note : 0;
    fixture->answered++;
    return !fixture->unsaid || error_set(err, ERROR_FULL, "an answer of %d is not given", status);
}

static int start(void **state, int seconds)
{
    static const char *const hosts[] = {"hilum.example", NULL};
    struct error err;
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->file = make_file();
    fixture->room = UINT64_MAX;
    const struct http_options options = {
        .host = "127.0.0.1",
        .routes = routes,
        .payload = fixture,
        .hosts = hosts,
        .spool = "/tmp",
        .can_spool = can_spool,
        .admit = admit,
        .answered = answered,
        .idle_seconds = seconds,
        .request_seconds = seconds,
    };
    fixture->server = http_server_start(&options, &err);
    assert_non_null(fixture->server);
    fixture->port = http_server_port(fixture->server);
    *state = fixture;
    return 0;
}

int fixture_start(void **state)
{
    return start(state, 0);
}

int fixture_start_quick(void **state)
{
    return start(state, 1);
}

int fixture_stop(void **state)
{
    struct fixture *fixture = *state;
    http_server_stop(fixture->server);
    close(fixture->file);
    free(fixture);
    return 0;
}

int fixture_connect_port(uint16_t port, const char *from)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in local = {.sin_family = AF_INET};
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, from, &local.sin_addr);
    inet_pton(AF_INET, "127.0.0.1", &peer.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof local), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&peer, sizeof peer), 0);
    return fd;
}

int fixture_connect(const struct fixture *fixture)
{
    return fixture_connect_port(fixture->port, "127.0.0.1");
}

void fixture_send(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, text, size, MSG_NOSIGNAL);
        if (sent <= 0) // refused in the middle: what counts is the answer
            return;
        text += sent;
        size -= (size_t)sent;
    }
}

void fixture_read(struct fixture *fixture, int fd, const char *stop)
{
    int64_t until_ns = clock_monotonic_ns() + 5 * CLOCK_SECOND;
    fixture->answer_size = 0;
    fixture->answer[0] = '\0';
    while (fixture->answer_size < ANSWER_SIZE - 1 && clock_monotonic_ns() < until_ns) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (poll(&poll_fd, 1, 100) == 0)
            continue;
        ssize_t got = recv(fd, fixture->answer + fixture->answer_size, ANSWER_SIZE - 1 - fixture->answer_size, 0);
        if (got <= 0)
            return;
        fixture->answer_size += (size_t)got;
        fixture->answer[fixture->answer_size] = '\0';
        if (stop && memmem(fixture->answer, fixture->answer_size, stop, strlen(stop)))
            return;
    }
    if (fixture->answer_size < ANSWER_SIZE - 1)
        fail_msg("the peer neither closed nor said '%s' within 5 s", stop ? stop : "");
}

int fixture_status(const struct fixture *fixture)
{
    int status = 0;
    if (fixture->answer_size > 12 && memcmp(fixture->answer, "HTTP/1.1 ", 9) == 0)
        status = (int)strtol(fixture->answer + 9, NULL, 10);
    return status;
}

const char *fixture_body(const struct fixture *fixture)
{
    const char *end = strstr(fixture->answer, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

int fixture_ask_bytes(struct fixture *fixture, const char *request, size_t size)
{
    int fd = fixture_connect(fixture);
    fixture_send(fd, request, size);
    fixture_read(fixture, fd, NULL);
    close(fd);
    return fixture_status(fixture);
}

int fixture_ask(struct fixture *fixture, const char *request)
{
    return fixture_ask_bytes(fixture, request, strlen(request));
}

bool fixture_wait(atomic_int *value, int wanted)
{
    for (int i = 0; i < 500 && *value != wanted; i++)
        clock_sleep_ns(10 * CLOCK_MS);
    return *value == wanted;
}

enum { CURL_ARGUMENTS_MAX = 24 };

char *fixture_curl(const struct fixture *fixture, const char *path, const char *const *arguments)
{
    char url[256];
    const char *argv[CURL_ARGUMENTS_MAX] = {"curl", "-s", "--max-time", "20"};
    struct buffer text;
    size_t count = 4;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", fixture->port, path);
    while (*arguments && count < CURL_ARGUMENTS_MAX - 2)
        argv[count++] = *arguments++;
    argv[count] = url;
    run_program(argv, &text);
    return (char *)text.data;
}
