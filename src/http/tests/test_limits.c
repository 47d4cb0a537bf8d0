#include "fixture.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "http/internal.h"

#define HOST "Host: localhost\r\n"
#define END "Connection: close\r\n\r\n"

static void announced_body_past_the_limit_is_refused_before_it_is_sent(void **state)
{
    static const char *const lengths[] = {"1001", "4294967296", "18446744073709551615"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "POST /body HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: %s\r\n\r\n", lengths[i]);
        int status = fixture_ask(fixture, request);
        assert_true(status == 413 || (i == 2 && status == 400));
        assert_null(strstr(fixture->answer, "100 Continue"));
    }
    assert_int_equal(fixture_ask(fixture, "POST /body HTTP/1.1\r\n" HOST "Content-Length: 4294967296\r\n\r\nabc"), 413);
    int status = fixture_ask(fixture, "POST /body HTTP/1.1\r\n" HOST
                                      "Content-Length: 1000000000000000000000000000000\r\n\r\nabc");
    assert_true(status == 400 || status == 413);
    assert_int_equal(fixture->handled, 0);
}

static void short_refused_body_is_read_and_the_connection_kept(void **state)
{
    struct fixture *fixture = *state;
    char *request = calloc(1, 200000);
    size_t size = (size_t)snprintf(request, 200, "POST /body HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
    memset(request + size, 'x', 100000);
    size += 100000;
    size += (size_t)snprintf(request + size, 100, "GET /body HTTP/1.1\r\n" HOST END);
    assert_int_equal(fixture_ask_bytes(fixture, request, size), 413);
    assert_non_null(strstr(fixture->answer, "HTTP/1.1 200"));
    free(request);
}

static void unannounced_body_past_the_limit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char request[4096];
    int head = snprintf(request, sizeof request,
                        "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" END "3e9\r\n");
    memset(request + head, 'x', 1001);
    memcpy(request + head + 1001, "\r\n0\r\n\r\n", 7);
    assert_int_equal(fixture_ask_bytes(fixture, request, (size_t)head + 1008), 413);
    assert_int_equal(fixture->handled, 0);
}

static void endless_refused_body_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    static char chunk[65536 + 9];
    memcpy(chunk, "10000\r\n", 7);
    memset(chunk + 7, 'x', 65536);
    memcpy(chunk + 7 + 65536, "\r\n", 2);
    int fd = fixture_connect(fixture);
    const char *head = "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
    fixture_send(fd, head, strlen(head));
    bool cut = false;
    for (int i = 0; i < 1000 && !cut; i++)
        cut = send(fd, chunk, sizeof chunk, MSG_NOSIGNAL) < 0;
    assert_true(cut);
    close(fd);
}

static void body_where_none_is_taken_is_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "DELETE /body HTTP/1.1\r\n" HOST "Content-Length: 1\r\n" END "x"), 413);
    assert_int_equal(fixture_ask(fixture, "DELETE /body HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END), 200);
}

// What curl shows for an upload of fixture->file.
static char *upload(struct fixture *fixture, const char *path, bool chunked)
{
    char data[64];
    int copy = dup(fixture->file); // the file is close-on-exec
    lseek(copy, 0, SEEK_SET);
    snprintf(data, sizeof data, "@/dev/fd/%d", copy);
    const char *header = chunked ? "Transfer-Encoding: chunked" : "X-Plain: yes";
    const char *const arguments[] = {"-H", header, "--data-binary", data, NULL};
    char *text = fixture_curl(fixture, path, arguments);
    close(copy);
    return text;
}

// The client leaves before the server has tidied up.
static bool all_is_given_back(void)
{
    for (int i = 0; i < 300 && budget_used() > 0; i++)
        clock_sleep_ns(10 * CLOCK_MS);
    return budget_used() == 0;
}

static void assert_upload(struct fixture *fixture, const char *path, const char *wanted)
{
    for (int chunked = 0; chunked < 2; chunked++) {
        char *text = upload(fixture, path, chunked != 0);
        assert_string_equal(text, wanted);
        free(text);
    }
}

static void large_upload_of_curl_arrives(void **state)
{
    struct fixture *fixture = *state;
    assert_upload(fixture, "/size", "8388608");
    assert_true(all_is_given_back());
}

static void body_to_a_file_arrives_and_takes_no_memory(void **state)
{
    struct fixture *fixture = *state;
    budget_set(256 << 10);
    assert_upload(fixture, "/file", "8388608 same");
    budget_set(0);
}

static void body_past_the_files_limit_is_refused(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "POST /file HTTP/1.1\r\n" HOST "Content-Length: 8388609\r\n\r\n"), 413);
    assert_int_equal(write(fixture->file, "x", 1), 1);
    char *text = upload(fixture, "/file", true);
    assert_non_null(strstr(text, "\"status\":413"));
    free(text);
}

static void body_without_a_place_for_its_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture->server->spool = "/nowhere";
    assert_int_equal(fixture_ask(fixture, "POST /file HTTP/1.1\r\n" HOST "Content-Length: 8388608\r\n\r\n"), 507);
    assert_int_equal(fixture_ask(fixture, "POST /file HTTP/1.1\r\n" HOST "Content-Length: 2\r\n" END "ab"), 507);
}

// Told its length it is refused before a byte is taken, else where the room ends.
static void body_to_a_file_without_room_is_refused_with_the_figures(void **state)
{
    struct fixture *fixture = *state;
    fixture->room = FILE_SIZE / 2;
    assert_int_equal(fixture_ask(fixture, "POST /file HTTP/1.1\r\n" HOST "Content-Length: 8388608\r\n\r\n"), 507);
    assert_non_null(strstr(fixture_body(fixture), "4194304 bytes are left"));
    char *text = upload(fixture, "/file", true);
    assert_non_null(strstr(text, "\"status\":507"));
    assert_true(fixture->room < FILE_SIZE / 2);
    free(text);
    assert_int_equal(fixture->handled, 0);
    fixture->room = UINT64_MAX;
    assert_upload(fixture, "/file", "8388608 same");
}

static void headers_past_the_limit_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static char request[200000];
    int head = snprintf(request, sizeof request, "GET /body HTTP/1.1\r\n" HOST "X-Long: ");
    memset(request + head, 'x', 100000);
    memcpy(request + head + 100000, "\r\n" END, sizeof END + 1);
    int status = fixture_ask_bytes(fixture, request, (size_t)head + 100000 + sizeof END + 1);
    assert_true(status == 431 || status == 413 || status == 0);
    memset(request, 0, sizeof request);
    memcpy(request, "GET /", 5);
    memset(request + 5, 'x', 100000);
    memcpy(request + 100005, " HTTP/1.1\r\n" HOST END, 11 + 17 + sizeof END);
    status = fixture_ask(fixture, request);
    assert_true(status == 414 || status == 431 || status == 0);
    assert_int_equal(fixture_ask(fixture, "GET /body HTTP/1.1\r\n" HOST END), 200);
}

static void query_parameters_are_counted(void **state)
{
    struct fixture *fixture = *state;
    char request[1024] = "GET /echo/a/x/b?";
    size_t used = strlen(request);
    for (int i = 0; i < HTTP_QUERY_MAX; i++, used += 4)
        memcpy(request + used, "a=1&", 5);
    memcpy(request + used, " HTTP/1.1\r\n" HOST END, 11 + 17 + sizeof END);
    assert_int_equal(fixture_ask(fixture, request), 200);
    memcpy(request + used, "b HTTP/1.1\r\n" HOST END, 12 + 17 + sizeof END);
    assert_int_equal(fixture_ask(fixture, request), 400);
}

static void slow_handlers_do_not_hold_up_others(void **state)
{
    struct fixture *fixture = *state;
    int slow[8];
    for (int i = 0; i < 8; i++) {
        slow[i] = fixture_connect(fixture);
        const char *request = "GET /slow HTTP/1.1\r\n" HOST END;
        fixture_send(slow[i], request, strlen(request));
    }
    assert_true(fixture_wait(&fixture->handled, 8));
    int64_t start_ns = clock_monotonic_ns();
    assert_int_equal(fixture_ask(fixture, "GET /body HTTP/1.1\r\n" HOST END), 200);
    assert_true(clock_monotonic_ns() - start_ns < 400 * CLOCK_MS);
    for (int i = 0; i < 8; i++) {
        fixture_read(fixture, slow[i], NULL);
        assert_int_equal(fixture_status(fixture), 200);
        close(slow[i]);
    }
}

// One byte at a time until the server has had enough; the seconds it took.
static double drip(struct fixture *fixture, const char *request, size_t size)
{
    int fd = fixture_connect(fixture);
    int64_t start_ns = clock_monotonic_ns();
    for (size_t i = 0; i < size && send(fd, request + i, 1, MSG_NOSIGNAL) == 1; i++) {
        char byte;
        clock_sleep_ns(100 * CLOCK_MS);
        if (recv(fd, &byte, 1, MSG_DONTWAIT) == 0)
            break;
        if (i == 10) // others are served meanwhile
            assert_int_equal(fixture_ask(fixture, "GET /body HTTP/1.1\r\n" HOST END), 200);
    }
    close(fd);
    return (double)(clock_monotonic_ns() - start_ns) / (double)CLOCK_SECOND;
}

static void dripping_headers_are_cut_off(void **state)
{
    const char *request = "GET /body HTTP/1.1\r\n" HOST "X-Drip: drip drip drip drip drip drip drip drip drip drip\r\n";
    assert_in_range((uintmax_t)drip(*state, request, strlen(request)), 0, 3);
}

static void dripping_body_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture_connect(fixture);
    const char *request = "POST /body HTTP/1.1\r\n" HOST "Content-Length: 500\r\n\r\n";
    fixture_send(fd, request, strlen(request));
    int64_t start_ns = clock_monotonic_ns();
    char byte;
    while (send(fd, "x", 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) != 0 &&
           clock_monotonic_ns() - start_ns < 10 * CLOCK_SECOND)
        clock_sleep_ns(100 * CLOCK_MS);
    assert_true(clock_monotonic_ns() - start_ns < 4 * CLOCK_SECOND);
    close(fd);
}

static void idle_connection_is_closed(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture_connect(fixture);
    const char *request = "GET /body HTTP/1.1\r\n" HOST "\r\n";
    fixture_send(fd, request, strlen(request));
    fixture_read(fixture, fd, NULL); // would fail after 5 s
    assert_int_equal(fixture_status(fixture), 200);
    close(fd);
}

static void peer_that_takes_nothing_is_cut_off(void **state)
{
    struct fixture *fixture = *state;
    int fd = fixture_connect(fixture);
    const char *request = "GET /long HTTP/1.1\r\n" HOST "\r\n";
    fixture_send(fd, request, strlen(request));
    assert_true(fixture_wait(&fixture->done_calls, 1));
    close(fd);
}

static bool is_served(struct fixture *fixture, int fd)
{
    const char *request = "GET /body HTTP/1.1\r\n" HOST "\r\n";
    fixture_send(fd, request, strlen(request));
    fixture_read(fixture, fd, "\r\n\r\n");
    return fixture_status(fixture) == 200;
}

// An answer is here a moment before the server knows that its connection waits, and who began to wait first goes first.
static bool so_many_wait(struct http_server *server, int wanted)
{
    for (int i = 0; i < 1000; i++) {
        int count = 0;
        pthread_mutex_lock(&server->lock);
        for (const struct http_connection *c = server->first; c; c = c->next)
            count += c->idle_since > 0;
        pthread_mutex_unlock(&server->lock);
        if (count == wanted)
            return true;
        clock_sleep_ns(5 * CLOCK_MS);
    }
    return false;
}

static void connections_are_counted_and_given_back(void **state)
{
    struct fixture *fixture = *state;
    int fds[HTTP_CONNECTIONS_MAX];
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
        fds[i] = fixture_connect(fixture);
        assert_true(is_served(fixture, fds[i]));
        assert_true(so_many_wait(fixture->server, i + 1));
    }
    int further = fixture_connect(fixture); // the one that waits longest makes room for it
    assert_true(is_served(fixture, further));
    assert_false(is_served(fixture, fds[0]));
    assert_true(is_served(fixture, fds[1]));
    close(further);
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        close(fds[i]);
    bool served = false;
    for (int i = 0; i < 100 && !served; i++) {
        clock_sleep_ns(20 * CLOCK_MS);
        served = fixture_ask(fixture, "GET /body HTTP/1.1\r\n" HOST END) == 200;
    }
    assert_true(served);
}

static void more_silent_newcomers_than_are_looked_at_at_once_do_no_harm(void **state)
{
    enum { SILENT = 200 };
    struct fixture *fixture = *state;
    for (int turn = 0; turn < 3; turn++) {
        int fds[SILENT];
        for (int i = 0; i < SILENT; i++)
            fds[i] = fixture_connect(fixture);
        assert_int_equal(fixture_ask(fixture, "GET /body HTTP/1.1\r\n" HOST END), 200);
        for (int i = 0; i < SILENT; i++)
            close(fds[i]);
    }
}

static struct sockaddr_in address_of(const char *text)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, text, &address.sin_addr);
    return address;
}

static bool is_admitted(struct http_server *server, const char *text)
{
    struct sockaddr_in address = address_of(text);
    return http_connection_admit(server, (struct sockaddr *)&address);
}

static void one_address_gets_its_share_and_no_more(void **state)
{
    struct fixture *fixture = *state;
    struct http_connection *open[HTTP_PER_ADDRESS_MAX];
    struct sockaddr_in address = address_of("192.0.2.1");
    for (int i = 0; i < HTTP_PER_ADDRESS_MAX; i++) {
        assert_true(is_admitted(fixture->server, "192.0.2.1"));
        open[i] = http_connection_open(fixture->server, -1, (struct sockaddr *)&address);
        open[i]->idle_since = 0; // a request is under way
    }
    assert_false(is_admitted(fixture->server, "192.0.2.1"));
    http_connection_waits(open[7]);
    http_connection_waits(open[3]);
    assert_true(is_admitted(fixture->server, "192.0.2.1"));
    assert_true(open[7]->ousted && !open[3]->ousted);       // it has waited longer
    assert_true(is_admitted(fixture->server, "192.0.2.1")); // there is room now
    assert_true(is_admitted(fixture->server, "192.0.2.2"));
    assert_true(is_admitted(fixture->server, "127.0.0.1"));
    for (int i = 0; i < HTTP_PER_ADDRESS_MAX; i++)
        http_connection_close(open[i]);
    assert_true(is_admitted(fixture->server, "192.0.2.1"));
}

// When all places are taken it is one of the address that holds most of them without a request.
static void a_crowd_makes_room_for_others_and_not_the_other_way_round(void **state)
{
    struct fixture *fixture = *state;
    struct http_connection *open[HTTP_CONNECTIONS_MAX];
    char text[] = "192.0.2.0";
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++) {
        text[8] = (char)('1' + (i == 0 ? 8 : i % 5)); // the first is alone at its address
        struct sockaddr_in address = address_of(text);
        open[i] = http_connection_open(fixture->server, -1, (struct sockaddr *)&address);
    }
    assert_true(is_admitted(fixture->server, "198.51.100.1"));
    assert_false(open[0]->ousted);
    size_t ousted = 0;
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        ousted += open[i]->ousted;
    assert_int_equal(ousted, 1);
    for (int i = 0; i < HTTP_CONNECTIONS_MAX; i++)
        http_connection_close(open[i]);
}

static void what_all_requests_hold_in_memory_shares_a_limit(void **state)
{
    enum { ROOM = 1 << 20 };
    struct fixture *fixture = *state;
    uint64_t held;
    char *body = malloc(ROOM);
    memset(body, 'x', ROOM);
    int size = snprintf(body, ROOM, "POST /size HTTP/1.1\r\n" HOST "Content-Length: %d\r\n" END, ROOM / 2);
    body[size] = 'x';
    budget_set(ROOM / 4);
    assert_int_equal(fixture_ask_bytes(fixture, body, (size_t)size + ROOM / 2), 503);
    assert_non_null(strstr(fixture_body(fixture), "memory.peers_mb"));
    free(body);
    budget_set(4 << 20);
    assert_int_equal(fixture_ask(fixture, "GET /made HTTP/1.1\r\n" HOST END), 503);
    assert_non_null(strstr(fixture->answer, "Retry-After: 5\r\n"));
    assert_non_null(strstr(fixture_body(fixture), "memory.peers_mb"));
    assert_int_equal(budget_refusals(), 2);
    assert_true(all_is_given_back());
    budget_for_peer(true);
    assert_true(budget_take(4 << 20, &held));
    assert_int_equal(fixture_ask(fixture, "POST /body HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" END "hello"), 503);
    budget_give(held);
    budget_for_peer(false);
    assert_int_equal(fixture_ask(fixture, "POST /body HTTP/1.1\r\n" HOST "Content-Length: 5\r\n" END "hello"), 200);
    assert_true(all_is_given_back());
    budget_set(0);
}

static void a_long_reply_that_nobody_reads_holds_no_memory(void **state)
{
    struct fixture *fixture = *state;
    const char *request = "GET /made HTTP/1.1\r\n" HOST "\r\n";
    const char *const curl[] = {"-s", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", NULL};
    int fd = fixture_connect(fixture);
    fixture->room = FILE_SIZE;
    fixture_send(fd, request, strlen(request));
    assert_true(fixture_wait(&fixture->handled, 1));
    assert_true(all_is_given_back());
    fixture_read(fixture, fd, "\r\n\r\n");
    const char *body = fixture_body(fixture);
    size_t size = (size_t)(fixture->answer + fixture->answer_size - body);
    for (size_t i = 0; i < size; i++)
        assert_int_equal((uint8_t)body[i], fixture_byte(i));
    close(fd);
    char *said = fixture_curl(fixture, "/made", curl); // no room on the disk: it stays in memory, and is given
    assert_string_equal(said, "200 8388608");
    free(said);
}

int test_limits(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
#define QUICK(name) cmocka_unit_test_setup_teardown(name, fixture_start_quick, fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(announced_body_past_the_limit_is_refused_before_it_is_sent),
        TEST(short_refused_body_is_read_and_the_connection_kept),
        TEST(unannounced_body_past_the_limit_is_refused),
        TEST(endless_refused_body_is_cut_off),
        TEST(body_where_none_is_taken_is_refused),
        TEST(large_upload_of_curl_arrives),
        TEST(body_to_a_file_arrives_and_takes_no_memory),
        TEST(body_past_the_files_limit_is_refused),
        TEST(body_without_a_place_for_its_file_is_refused),
        TEST(body_to_a_file_without_room_is_refused_with_the_figures),
        TEST(headers_past_the_limit_are_refused),
        TEST(query_parameters_are_counted),
        TEST(slow_handlers_do_not_hold_up_others),
        QUICK(dripping_headers_are_cut_off),
        QUICK(dripping_body_is_cut_off),
        QUICK(idle_connection_is_closed),
        QUICK(peer_that_takes_nothing_is_cut_off),
        TEST(connections_are_counted_and_given_back),
        TEST(more_silent_newcomers_than_are_looked_at_at_once_do_no_harm),
        TEST(one_address_gets_its_share_and_no_more),
        TEST(a_crowd_makes_room_for_others_and_not_the_other_way_round),
        TEST(what_all_requests_hold_in_memory_shares_a_limit),
        TEST(a_long_reply_that_nobody_reads_holds_no_memory),
    };
#undef QUICK
#undef TEST
    return cmocka_run_group_tests_name("http limits", tests, NULL, NULL);
}
