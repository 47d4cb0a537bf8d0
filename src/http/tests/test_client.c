#include "fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/client.h"

struct answer {
    bool ok;
    int status;
    struct buffer body;
    struct error err;
};

static struct answer call(const struct fixture *fixture, const char *path, struct http_call call)
{
    struct answer answer = {0};
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", fixture->port, path);
    call.url = url;
    if (call.timeout_ns == 0)
        call.timeout_ns = 10 * CLOCK_SECOND;
    buffer_init(&answer.body, 1 << 20);
    answer.ok = http_client_call(&call, &answer.status, &answer.body, &answer.err);
    buffer_byte(&answer.body, 0);
    return answer;
}

static void client_gets_and_posts_memory_and_files(void **state)
{
    struct fixture *fixture = *state;
    int64_t date_ns = -1, apart_ns;
    struct answer got = call(fixture, "/body", (struct http_call){.method = "GET", .fd = -1, .date_ns = &date_ns});
    assert_true(got.ok && got.status == 200);
    apart_ns = clock_now_ns() - date_ns; // whole seconds, which a server may keep for a while
    assert_true(apart_ns > -2 * CLOCK_SECOND && apart_ns < 5 * CLOCK_SECOND);
    buffer_free(&got.body);
    got = call(fixture, "/body",
               (struct http_call){.method = "POST", .type = "text/plain", .body = "hello", .fd = -1, .size = 5});
    assert_true(got.ok && got.status == 200);
    assert_string_equal(got.body.data, "hello");
    buffer_free(&got.body);
    got = call(fixture, "/file", (struct http_call){.method = "POST", .fd = fixture->file, .size = FILE_SIZE});
    assert_true(got.ok && got.status == 200);
    assert_string_equal(got.body.data, "8388608 same");
    buffer_free(&got.body);
}

static void client_hands_refusals_on(void **state)
{
    struct fixture *fixture = *state;
    struct answer got = call(fixture, "/nothing", (struct http_call){.method = "DELETE", .fd = -1});
    assert_true(got.ok && got.status == 404);
    assert_non_null(strstr((const char *)got.body.data, "nothing is at"));
    buffer_free(&got.body);
}

static void client_says_when_there_is_no_answer(void **state)
{
    struct fixture *fixture = *state;
    struct answer got =
        call(fixture, "/slow", (struct http_call){.method = "GET", .fd = -1, .timeout_ns = 100 * CLOCK_MS});
    assert_true(!got.ok && got.err.code == ERROR_TIMEOUT);
    buffer_free(&got.body);
    http_server_stop(fixture->server);
    fixture->server = NULL;
    got = call(fixture, "/body", (struct http_call){.method = "GET", .fd = -1});
    assert_true(!got.ok && got.err.code == ERROR_CLOSED);
    buffer_free(&got.body);
}

static void answer_past_the_buffer_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct answer got = call(fixture, "/long", (struct http_call){.method = "GET", .fd = -1});
    assert_true(!got.ok && got.err.code == ERROR_LIMIT);
    buffer_free(&got.body);
}

int test_client(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(client_gets_and_posts_memory_and_files),
        TEST(client_hands_refusals_on),
        TEST(client_says_when_there_is_no_answer),
        TEST(answer_past_the_buffer_is_an_error),
    };
#undef TEST
    return cmocka_run_group_tests_name("http client", tests, NULL, NULL);
}
