// The upgrade to a WebSocket, by bare bytes.
#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/websocket.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ASKED "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
#define GET(path, headers) "GET " path " HTTP/1.1\r\nHost: localhost\r\n" headers "\r\n"
#define HELLO GET("/events", ASKED KEY)
#define MASKED "\x80\x00\x00\x00\x00" // behind an opcode: a mask of zeros, no payload

static int open_socket(struct fixture *fixture)
{
    int fd = fixture_connect(fixture);
    fixture_send(fd, HELLO, sizeof HELLO - 1);
    fixture_read(fixture, fd, "\r\n\r\n");
    assert_int_equal(fixture_status(fixture), 101);
    return fd;
}

static void the_handshake_is_answered_and_events_come_as_text(void **state)
{
    struct fixture *fixture = *state;
    int fd = open_socket(fixture);
    assert_non_null(strstr(fixture->answer, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_non_null(strstr(fixture->answer, "\r\nUpgrade: websocket\r\n"));
    for (int i = 1; i <= 3; i++) {
        char wanted[80];
        int size = snprintf(wanted, sizeof wanted, "{\"id\":\"1-%d\",\"event\":\"made\",\"data\":{}}", i);
        int64_t start_ns = clock_monotonic_ns();
        fixture->events_to_send = i;
        fixture_read(fixture, fd, wanted);
        assert_true(clock_monotonic_ns() - start_ns < 300 * CLOCK_MS);
        assert_int_equal(fixture->answer_size, 2 + size);
        assert_memory_equal(fixture->answer, "\x81", 1);
        assert_int_equal(fixture->answer[1], size);
    }
    close(fd);
    assert_true(fixture_wait(&fixture->done_calls, 1));
}

static void handshakes_that_are_none_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {GET("/events", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" KEY), 400},
        {GET("/events", ASKED), 400},
        {GET("/events", ASKED "Sec-WebSocket-Key: short\r\n"), 400},
        {GET("/events", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n" KEY), 426},
        {GET("/events", "Upgrade: websocket\r\nConnection: Upgrade\r\n" KEY), 426},
        {GET("/events", ASKED KEY "Origin: http://elsewhere.example\r\n"), 403},
        {GET("/events", ASKED KEY "Origin: null\r\n"), 403},
        {GET("/events?since=1", ASKED KEY), 400},
        {"WS /events HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
        {"GET /events HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n"
         "Upgrade: websocket\r\n\r\n",
         400},
        {GET("/asked", ASKED KEY "Connection: close\r\n"), 200}, // no such route: the upgrade is passed over
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = fixture_connect(fixture);
        fixture_send(fd, cases[i].request, strlen(cases[i].request));
        fixture_read(fixture, fd, "\r\n\r\n");
        assert_int_equal(fixture_status(fixture), cases[i].status);
        if (cases[i].status == 426)
            assert_non_null(strstr(fixture->answer, "\r\nSec-WebSocket-Version: 13\r\n"));
        if (cases[i].status == 405)
            assert_null(strstr(fixture->answer, "Allow: GET, HEAD, WS"));
        close(fd);
    }
    fixture->shut = true;
    int fd = fixture_connect(fixture);
    fixture_send(fd, HELLO, sizeof HELLO - 1);
    fixture_read(fixture, fd, "\r\n\r\n");
    assert_int_equal(fixture_status(fixture), 507); // options.admit
    close(fd);
}

static void our_own_origin_may_listen(void **state)
{
    struct fixture *fixture = *state;
    static const char request[] = GET("/events", ASKED KEY "Origin: http://localhost\r\n");
    int fd = fixture_connect(fixture);
    fixture_send(fd, request, sizeof request - 1);
    fixture_read(fixture, fd, "\r\n\r\n");
    assert_int_equal(fixture_status(fixture), 101);
    close(fd);
}

static void frames_that_come_with_the_handshake_are_heard(void **state)
{
    struct fixture *fixture = *state;
    static const char both[] = HELLO "\x89\x82\x00\x00\x00\x00hi";
    int fd = fixture_connect(fixture);
    fixture_send(fd, both, sizeof both - 1);
    fixture_read(fixture, fd, "\x8a\x02hi");
    close(fd);
}

static void a_close_frame_is_answered_and_the_connection_ends(void **state)
{
    struct fixture *fixture = *state;
    int fd = open_socket(fixture);
    fixture_send(fd, "\x88" MASKED, 6);
    fixture_read(fixture, fd, NULL);
    assert_int_equal(fixture->answer_size, 4);
    assert_memory_equal(fixture->answer, "\x88\x02\x03\xe8", 4);
    assert_true(fixture_wait(&fixture->done_calls, 1));
    close(fd);
}

static void a_message_and_a_broken_frame_are_told_why_they_end_it(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *code;
    } cases[] = {{"\x81\x81\0\0\0\0x", 7, "\x03\xeb"},
                 {"\x81\x01x", 3, "\x03\xea"},
                 {"\x81\xff\0\0\0\0\0\x01\0\x01\0\0\0\0", 14, "\x03\xf1"},
                 {"\x81\x81\0\0\0\0\xff", 7, "\x03\xef"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = open_socket(fixture);
        fixture_send(fd, cases[i].bytes, cases[i].size);
        fixture_read(fixture, fd, NULL);
        assert_true(fixture->answer_size > 4);
        assert_memory_equal(fixture->answer, "\x88", 1);
        assert_memory_equal(fixture->answer + 2, cases[i].code, 2);
        close(fd);
    }
}

static void a_stop_says_goodbye_within_a_second(void **state)
{
    struct fixture *fixture = *state;
    int fd = open_socket(fixture), silent = open_socket(fixture);
    int64_t start_ns = clock_monotonic_ns();
    http_server_stop(fixture->server); // the second one never answers
    fixture->server = NULL;
    assert_true(clock_monotonic_ns() - start_ns < 2 * CLOCK_SECOND);
    fixture_read(fixture, fd, NULL);
    assert_memory_equal(fixture->answer, "\x88", 1);
    assert_memory_equal(fixture->answer + 2, "\x03\xe9", 2);
    assert_int_equal(fixture->done_calls, 2);
    close(fd);
    close(silent);
}

// With an idle time of one second a ping comes after half of it.
static void a_silent_peer_is_pinged_and_one_that_answers_nothing_is_let_go(void **state)
{
    struct fixture *fixture = *state;
    int fd = open_socket(fixture);
    for (int i = 0; i < 3; i++) {
        fixture_read(fixture, fd, "\x89");
        fixture_send(fd, "\x8a" MASKED, 6);
    }
    assert_int_equal(fixture->done_calls, 0);
    fixture_read(fixture, fd, NULL); // a ping, and then the end
    assert_int_equal(fixture->done_calls, 1);
    close(fd);
}

static void websockets_count_as_event_streams(void **state)
{
    struct fixture *fixture = *state;
    int fds[HTTP_EVENT_STREAMS_MAX];
    for (int i = 0; i < HTTP_EVENT_STREAMS_MAX; i++)
        fds[i] = open_socket(fixture);
    int further = fixture_connect(fixture);
    fixture_send(further, HELLO, sizeof HELLO - 1);
    fixture_read(fixture, further, NULL);
    assert_int_equal(fixture_status(fixture), 503);
    close(further);
    for (int i = 0; i < HTTP_EVENT_STREAMS_MAX; i++)
        close(fds[i]);
    assert_true(fixture_wait(&fixture->done_calls, HTTP_EVENT_STREAMS_MAX + 1));
    close(open_socket(fixture));
}

int test_upgrade(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(the_handshake_is_answered_and_events_come_as_text),
        TEST(handshakes_that_are_none_are_refused),
        TEST(our_own_origin_may_listen),
        TEST(frames_that_come_with_the_handshake_are_heard),
        TEST(a_close_frame_is_answered_and_the_connection_ends),
        TEST(a_message_and_a_broken_frame_are_told_why_they_end_it),
        TEST(a_stop_says_goodbye_within_a_second),
        cmocka_unit_test_setup_teardown(a_silent_peer_is_pinged_and_one_that_answers_nothing_is_let_go,
                                        fixture_start_quick, fixture_stop),
        TEST(websockets_count_as_event_streams),
    };
#undef TEST
    return cmocka_run_group_tests_name("http upgrade", tests, NULL, NULL);
}
