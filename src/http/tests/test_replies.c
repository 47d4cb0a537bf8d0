#include "fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define HOST "Host: localhost\r\n"
#define END "Connection: close\r\n\r\n"

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void parts_arrive_in_order_and_done_is_called_once(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "GET /parts HTTP/1.1\r\n" HOST END), 200);
    assert_non_null(strstr(fixture->answer, "\r\nContent-Length: 600013\r\n"));
    const uint8_t *body = (const uint8_t *)fixture_body(fixture);
    assert_int_equal(fixture->answer + fixture->answer_size - (const char *)body, 600013);
    assert_memory_equal(body, "head|", 5);
    for (size_t i = 0; i < 600000; i++)
        if (body[5 + i] != fixture_byte(1001 + i))
            fail_msg("byte %zu is wrong", i);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(body[600005 + i], fixture_byte(FILE_SIZE - 3 + i));
    assert_memory_equal(body + 600008, "|tail", 5);
    assert_true(fixture_wait(&fixture->done_calls, 1));
    clock_sleep_ns(50 * CLOCK_MS);
    assert_int_equal(fixture->done_calls, 1);
}

static void client_that_leaves_in_a_reply_costs_nothing(void **state)
{
    struct fixture *fixture = *state;
    const char *request = "GET /long HTTP/1.1\r\n" HOST "\r\n";
    size_t before = open_descriptors();
    for (int i = 0; i < 20; i++) {
        int fd = fixture_connect(fixture);
        fixture_send(fd, request, strlen(request));
        fixture_read(fixture, fd, "\r\n\r\n");
        close(fd);
    }
    assert_true(fixture_wait(&fixture->done_calls, 20));
    size_t after = open_descriptors();
    for (int i = 0; i < 200 && after > before; i++) {
        clock_sleep_ns(20 * CLOCK_MS);
        after = open_descriptors();
    }
    assert_int_equal(after, before);
    assert_int_equal(fixture->done_calls, 20);
}

static void file_that_ends_early_cuts_the_connection(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "GET /short-file HTTP/1.1\r\n" HOST "\r\n"), 200);
    assert_string_equal(fixture_body(fixture), "");
    assert_true(fixture_wait(&fixture->done_calls, 1));
}

static void header_values_cannot_end_the_header(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "GET /header?value=a%0d%0aSet-Cookie:%20b HTTP/1.1\r\n" HOST END), 200);
    assert_null(strstr(fixture->answer, "Set-Cookie"));
    assert_int_equal(fixture_ask(fixture, "GET /header?value=a%0aSet-Cookie:%20b HTTP/1.1\r\n" HOST END), 200);
    assert_null(strstr(fixture->answer, "Set-Cookie"));
    assert_int_equal(fixture_ask(fixture, "GET /header?value=a%01b HTTP/1.1\r\n" HOST END), 200);
    assert_null(strstr(fixture->answer, "X-Value"));
    assert_int_equal(fixture_ask(fixture, "GET /header?value=a%09b%22 HTTP/1.1\r\n" HOST END), 200);
    assert_non_null(strstr(fixture->answer, "\r\nX-Value: a\tb\"\r\n"));
}

static void replies_carry_the_headers_that_guard_a_browser(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "GET /header HTTP/1.1\r\n" HOST END), 200);
    assert_non_null(strstr(fixture->answer, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_non_null(
        strstr(fixture->answer, "\r\nContent-Security-Policy: default-src 'self'; img-src 'self' data: blob:;"));
    assert_int_equal(fixture_ask(fixture, "GET /body HTTP/1.1\r\n" HOST END), 200);
    assert_non_null(strstr(fixture->answer, "\r\nX-Content-Type-Options: nosniff\r\n"));
    assert_null(strstr(fixture->answer, "Content-Security-Policy"));
    assert_int_equal(fixture_ask(fixture, "GET /nothing HTTP/1.1\r\n" HOST END), 404);
    static const char *const guards[] = {"X-Content-Type-Options: nosniff", "Cache-Control: no-store",
                                         "Cross-Origin-Resource-Policy: same-origin",
                                         "Cross-Origin-Opener-Policy: same-origin", "Referrer-Policy: no-referrer"};
    for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
        assert_non_null(strstr(fixture->answer, guards[i]));
    assert_null(strstr(fixture->answer, "Strict-Transport-Security")); // without TLS it means nothing
}

static void errors_are_problem_json(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "GET /error?study=1.2%22 HTTP/1.1\r\n" HOST END), 409);
    assert_non_null(strstr(fixture->answer, "\r\nContent-Type: application/problem+json\r\n"));
    assert_string_equal(fixture_body(fixture), "{\"title\":\"state does not allow it\",\"status\":409,"
                                               "\"detail\":\"study \\\"1.2\\\"\\\" is locked\"}\n");
}

static void handler_without_a_reply_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "GET /silent HTTP/1.1\r\n" HOST END), 500);
    assert_int_equal(fixture_ask(fixture, "GET /failed-buffer HTTP/1.1\r\n" HOST END), 500);
}

static void each_answer_of_a_handler_is_told_once_with_its_status_and_note(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "POST /body HTTP/1.1\r\nContent-Length: 1\r\n" HOST END "x"), 200);
    assert_int_equal(fixture->answered, 1);
    assert_int_equal(fixture->answered_kind, 7);
    assert_int_equal(fixture->answered_status, 200);
    assert_int_equal(fixture->answered_note, 41);
    int status = fixture_ask(fixture, "GET /error HTTP/1.1\r\n" HOST END);
    assert_int_equal(fixture->answered, 2);
    assert_int_equal(fixture->answered_kind, 8);
    assert_int_equal(fixture->answered_status, status);
    assert_int_equal(fixture->answered_note, 0); // nothing of the request before
    assert_int_equal(fixture_ask(fixture, "GET /silent HTTP/1.1\r\n" HOST END), 500);
    assert_int_equal(fixture->answered_status, 500);
    assert_int_equal(fixture_ask(fixture, "GET /nowhere HTTP/1.1\r\n" HOST END), 404);
    assert_int_equal(fixture->answered, 3); // what reached no handler is none
}

static void what_is_not_admitted_reaches_no_handler_and_is_told(void **state)
{
    struct fixture *fixture = *state;
    fixture->shut = true;
    assert_int_equal(fixture_ask(fixture, "POST /body HTTP/1.1\r\nContent-Length: 1\r\n" HOST END "x"), 507);
    assert_non_null(strstr(fixture_body(fixture), "/body is shut, of action 9 and kind 7"));
    assert_int_equal(fixture->handled, 0);
    assert_int_equal(fixture->answered_status, 507);
    assert_int_equal(fixture->answered_note, 0);
    assert_int_equal(fixture_ask(fixture, "POST /file HTTP/1.1\r\n" HOST "Content-Length: 8388608\r\n\r\n"), 507);
    assert_int_equal(fixture->answered, 2);
    assert_true(fixture->room == UINT64_MAX); // nobody was asked whether its body may be kept
}

static void an_answer_that_is_taken_back_is_never_seen(void **state)
{
    static const char *const paths[] = {"/error", "/silent", "/parts", "/long"};
    struct fixture *fixture = *state;
    fixture->unsaid = true;
    assert_int_equal(fixture_ask(fixture, "POST /body HTTP/1.1\r\nContent-Length: 1\r\n" HOST END "x"), 507);
    assert_non_null(strstr(fixture_body(fixture), "an answer of 200 is not given"));
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char request[256];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST END, paths[i]);
        assert_int_equal(fixture_ask(fixture, request), 507);
    }
}

static void running_request_is_answered_while_the_server_stops(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture_connect(fixture);
    int idle = fixture_connect(fixture);
    const char *request = "GET /slow HTTP/1.1\r\n" HOST "\r\n";
    fixture_send(fd, request, strlen(request));
    assert_true(fixture_wait(&fixture->handled, 1));
    int64_t start_ns = clock_monotonic_ns();
    http_server_stop(fixture->server);
    fixture->server = NULL;
    assert_true(clock_monotonic_ns() - start_ns < 2 * CLOCK_SECOND);
    fixture_read(fixture, fd, NULL);
    assert_int_equal(fixture_status(fixture), 200);
    assert_string_equal(fixture_body(fixture), "slow");
    close(fd);
    close(idle);
}

static void unusable_addresses_are_refused(void **state)
{
    static const struct http_route none[] = {{0}};
    struct fixture *fixture = *state;
    struct error err;
    struct http_options options = {.host = "not-numeric", .routes = none};
    assert_null(http_server_start(&options, &err));
    assert_int_equal(err.code, ERROR_BAD_VALUE);
    options.host = "127.0.0.1";
    options.port = fixture->port;
    assert_null(http_server_start(&options, &err));
    assert_non_null(strstr(err.message, "at 127.0.0.1:"));
    http_server_stop(NULL);
}

int test_replies(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(parts_arrive_in_order_and_done_is_called_once),
        TEST(client_that_leaves_in_a_reply_costs_nothing),
        TEST(file_that_ends_early_cuts_the_connection),
        TEST(header_values_cannot_end_the_header),
        TEST(replies_carry_the_headers_that_guard_a_browser),
        TEST(errors_are_problem_json),
        TEST(handler_without_a_reply_is_an_error),
        TEST(each_answer_of_a_handler_is_told_once_with_its_status_and_note),
        TEST(what_is_not_admitted_reaches_no_handler_and_is_told),
        TEST(an_answer_that_is_taken_back_is_never_seen),
        TEST(running_request_is_answered_while_the_server_stops),
        TEST(unusable_addresses_are_refused),
    };
#undef TEST
    return cmocka_run_group_tests_name("http replies", tests, NULL, NULL);
}
