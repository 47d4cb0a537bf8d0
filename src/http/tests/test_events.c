#include "fixture.h"

#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/internal.h"

static const char request[] = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";

static int open_stream(struct fixture *fixture)
{
    int fd = fixture_connect(fixture);
    fixture_send(fd, request, sizeof request - 1);
    return fd;
}

static void headers_leave_before_the_first_event(void **state)
{
    struct fixture *fixture = *state;
    int fd = open_stream(fixture);
    int64_t start_ns = clock_monotonic_ns();
    fixture_read(fixture, fd, ":\n\n");
    assert_true(clock_monotonic_ns() - start_ns < 200 * CLOCK_MS);
    assert_non_null(strstr(fixture->answer, "\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(fixture->answer, "\r\nCache-Control: no-store\r\n"));
    close(fd);
}

static void events_arrive_when_they_happen(void **state)
{
    struct fixture *fixture = *state;
    int fd = open_stream(fixture);
    fixture_read(fixture, fd, ":\n\n");
    for (int i = 1; i <= 3; i++) {
        int64_t start_ns = clock_monotonic_ns();
        fixture->events_to_send = i;
        fixture_read(fixture, fd, "event: made\ndata: {}\n\n");
        assert_true(clock_monotonic_ns() - start_ns < 200 * CLOCK_MS);
    }
    assert_non_null(strstr(fixture->answer, "id: 1-3\n"));
    close(fd);
}

static void stream_ends_when_the_source_does(void **state)
{
    struct fixture *fixture = *state;
    fixture->events_to_send = 1000;
    int fd = open_stream(fixture);
    fixture_read(fixture, fd, "\r\n0\r\n");
    assert_non_null(strstr(fixture->answer, "id: 1-1000\n"));
    assert_true(fixture_wait(&fixture->done_calls, 1));
    close(fd);
}

static void stream_ends_when_the_peer_leaves(void **state)
{
    struct fixture *fixture = *state;
    int fd = open_stream(fixture);
    assert_true(fixture_wait(&fixture->handled, 1));
    close(fd);
    assert_true(fixture_wait(&fixture->done_calls, 1));
}

static void stopped_server_ends_its_streams_within_a_second(void **state)
{
    struct fixture *fixture = *state;
    int fds[10];
    for (int i = 0; i < 10; i++)
        fds[i] = open_stream(fixture);
    assert_true(fixture_wait(&fixture->handled, 10));
    int64_t start_ns = clock_monotonic_ns();
    http_server_stop(fixture->server);
    fixture->server = NULL;
    assert_true(clock_monotonic_ns() - start_ns < CLOCK_SECOND);
    assert_int_equal(fixture->done_calls, 10);
    for (int i = 0; i < 10; i++)
        close(fds[i]);
}

static void streams_are_counted(void **state)
{
    struct fixture *fixture = *state;
    int fds[HTTP_EVENT_STREAMS_MAX];
    for (int i = 0; i < HTTP_EVENT_STREAMS_MAX; i++) {
        fds[i] = open_stream(fixture);
        fixture_read(fixture, fds[i], ":\n\n");
        assert_int_equal(fixture_status(fixture), 200);
    }
    int further = open_stream(fixture);
    int64_t start_ns = clock_monotonic_ns();
    fixture_read(fixture, further, NULL);
    assert_true(clock_monotonic_ns() - start_ns < 2 * CLOCK_SECOND); // closed: it keeps no connection
    assert_int_equal(fixture_status(fixture), 503);
    assert_non_null(strstr(fixture->answer, "\r\nRetry-After: 5\r\n"));
    assert_int_equal(fixture->done_calls, 1);
    assert_non_null(strstr(fixture->answer, "64 event streams are open"));
    close(further);
    for (int i = 0; i < HTTP_EVENT_STREAMS_MAX; i++)
        close(fds[i]);
    assert_true(fixture_wait(&fixture->done_calls, HTTP_EVENT_STREAMS_MAX + 1));
    int again = open_stream(fixture);
    fixture_read(fixture, again, ":\n\n");
    assert_int_equal(fixture_status(fixture), 200);
    close(again);
}

// As many connections as an address may have are left for all else.
static void one_address_gets_a_part_of_the_streams(void **state)
{
    struct fixture *fixture = *state;
    struct http_connection *open[HTTP_EVENT_STREAMS_PER_ADDRESS_MAX + 1];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xC0000201)}; // 192.0.2.1
    struct error err;
    assert_true(HTTP_EVENT_STREAMS_PER_ADDRESS_MAX <= HTTP_PER_ADDRESS_MAX / 4);
    for (int i = 0; i <= HTTP_EVENT_STREAMS_PER_ADDRESS_MAX; i++)
        open[i] = http_connection_open(fixture->server, -1, (struct sockaddr *)&address);
    for (int i = 0; i < HTTP_EVENT_STREAMS_PER_ADDRESS_MAX; i++)
        assert_true(http_stream_begin(open[i], &err));
    assert_false(http_stream_begin(open[HTTP_EVENT_STREAMS_PER_ADDRESS_MAX], &err));
    assert_int_equal(err.code, ERROR_BUSY);
    assert_non_null(strstr(err.message, "16 event streams of 192.0.2.1"));
    int other = open_stream(fixture);
    fixture_read(fixture, other, ":\n\n");
    assert_int_equal(fixture_status(fixture), 200);
    close(other);
    http_stream_end(open[0]);
    assert_true(http_stream_begin(open[HTTP_EVENT_STREAMS_PER_ADDRESS_MAX], &err));
    for (int i = 0; i <= HTTP_EVENT_STREAMS_PER_ADDRESS_MAX; i++)
        http_connection_close(open[i]);
}

int test_events(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(headers_leave_before_the_first_event),
        TEST(events_arrive_when_they_happen),
        TEST(stream_ends_when_the_source_does),
        TEST(stream_ends_when_the_peer_leaves),
        TEST(stopped_server_ends_its_streams_within_a_second),
        TEST(streams_are_counted),
        TEST(one_address_gets_a_part_of_the_streams),
    };
#undef TEST
    return cmocka_run_group_tests_name("http events", tests, NULL, NULL);
}
