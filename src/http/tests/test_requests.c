#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST "Host: localhost\r\n"
#define END "Connection: close\r\n\r\n"

static void handler_sees_path_parts_query_and_peer_decoded(void **state)
{
    struct fixture *fixture = *state;
    int status = fixture_ask(fixture, "GET /echo/a%20b/x/c/d%C3%A9?k=1+2&k=%26&&flag&=v HTTP/1.1\r\n" HOST END);
    assert_int_equal(status, 200);
    assert_string_equal(fixture_body(fixture), "GET /echo/a b/x/c/d\xC3\xA9\nname=a b rest=c/d\xC3\xA9\n"
                                               "[k]=[1 2]\n[k]=[&]\n[flag]=[]\n[]=[v]\nfrom=127.0.0.1\n");
}

static void rest_of_path_may_be_empty_but_a_variable_not(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "GET /echo/a/x/ HTTP/1.1\r\n" HOST END), 200);
    assert_non_null(strstr(fixture->answer, "name=a rest=\n"));
    assert_int_equal(fixture_ask(fixture, "GET /echo/a/x HTTP/1.1\r\n" HOST END), 404);
    assert_int_equal(fixture_ask(fixture, "GET /thing/1 HTTP/1.1\r\n" HOST END), 200);
    assert_int_equal(fixture_ask(fixture, "GET /thing/ HTTP/1.1\r\n" HOST END), 404);
    assert_int_equal(fixture_ask(fixture, "GET /body/ HTTP/1.1\r\n" HOST END), 404);
    assert_int_equal(fixture_ask(fixture, "GET /bod HTTP/1.1\r\n" HOST END), 404);
}

static void path_tricks_are_refused(void **state)
{
    static const char *const paths[] = {
        "/echo/../x/b",
        "/echo/%2e%2e/x/b",
        "/echo/.%2E/x/b",
        "/echo/./x/b",
        "/echo/a/x/..",
        "/echo//x/b",
        "/echo/%2f/x/b",
        "//echo/a/x/b",
        "/echo/a\\b/x/c",
        "/echo/a%5cb/x/c",
        "/echo/%00/x/b",
        "/echo/a/x/b%0d%0aX:1",
        "/echo/%zz/x/b",
        "/echo/%4",
        "/echo/a/x/b%",
        "/echo/a/x/%C3%28",
        "/echo/a/x/%ff",
        "/echo/a/x/b#c",
        "echo/a/x/b",
        "*",
        "http://localhost/echo/a/x/b",
        "/echo/a/x/b?k=%00",
        "/echo/a/x/b?k=%f",
        "/echo/a/x/b?%ff=1",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char request[256];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST END, paths[i]);
        if (fixture_ask(fixture, request) != 400)
            fail_msg("'%s' was answered with %d", paths[i], fixture_status(fixture));
    }
    assert_int_equal(fixture->handled, 0);
}

static void double_encoding_is_decoded_once(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "GET /echo/%252e%252e/x/b HTTP/1.1\r\n" HOST END), 200);
    assert_non_null(strstr(fixture->answer, "name=%2e%2e "));
}

// Who reads up to the NUL, or joins the two lines, reads another request than a proxy that does not.
static void what_a_reader_of_texts_would_leave_out_is_refused(void **state)
{
#define CASE(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }
    static const struct {
        const char *head;
        size_t size;
    } cases[] = {
        CASE("GET /echo/a/x/b\0/../c HTTP/1.1\r\n" HOST),
        CASE("GET /echo/a/x/b\0 HTTP/1.1\r\n" HOST),
        CASE("GET  /echo/a/x/b HTTP/1.1\r\n" HOST),
        CASE("GET /echo/a/x/b HTTP/1.1\0\r\n" HOST),
        CASE("GET /echo/a/x/b HTTP/1.1\r\n" HOST "X-A: b\0c\r\nX-B: c\r\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\r\n" HOST "X-A: b\0\r\nX-B: c\r\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\r\n" HOST "X-A: \0c\r\nX-B: c\r\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\r\nHost: localhost\0.example\r\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\r\n" HOST "X-A: b\0\r\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\r\n" HOST "X-A: b\0c\r\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\nHost: localhost\nX-A: b\0c\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\nHost: localhost\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\r\n" HOST "X-A: b\nX-B: c\r\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\r\n" HOST "X-A: b\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\r\n" HOST "X-A: b\r\n c\r\nX-B: c\r\n"),
        CASE("GET /echo/a/x/b HTTP/1.1\r\n" HOST "Content-Leng: 0\r\n th\r\n"),
    };
#undef CASE
    struct fixture *fixture = *state;
    char request[512];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(request, cases[i].head, cases[i].size);
        memcpy(request + cases[i].size, "\r\n", 2);
        if (fixture_ask_bytes(fixture, request, cases[i].size + 2) != 400)
            fail_msg("case %zu was answered with %d", i, fixture_status(fixture));
    }
    assert_int_equal(fixture->handled, 0);
}

static void headers_are_read_whatever_their_spaces(void **state)
{
    static const char *const heads[] = {
        "GET /echo/a/x/b HTTP/1.1\r\nHost: localhost\r\nX-A:\r\nX-B:\t b \r\nConnection:close\r\n\r\n",
        "GET /echo/a/x/b?k=1&l HTTP/1.1\r\nCookie: a=b; c=\"d\"\r\nHost:localhost\r\nX-A: b \r\n" END,
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (fixture_ask(fixture, heads[i]) != 200)
            fail_msg("case %zu was answered with %d: %s", i, fixture_status(fixture), fixture->answer);
}

static void ambiguous_framing_is_refused_and_closed(void **state)
{
    static const char *const headers[] = {
        "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\nhello",
        "Content-Length: 1e30\r\n\r\nhello",
        "Content-Length: -5\r\n\r\nhello",
        "Content-Length: 5,5\r\n\r\nhello",
        "Content-Length: +5\r\n\r\nhello",
        "Content-Length: 0x5\r\n\r\nhello",
        "Content-Length : 5\r\n\r\nhello",
        "Transfer-Encoding\v: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\v\r\n\r\n0\r\n\r\n",
        "X-A: b\rContent-Length: 5\r\n\r\nhello",
        "X-A: b\x01\r\nContent-Length: 5\r\n\r\nhello",
        "Host: localhost\r\nContent-Length: 5\r\n\r\nhello",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        char request[512];
        snprintf(request, sizeof request, "POST /body HTTP/1.1\r\n" HOST "%s", headers[i]);
        if (fixture_ask(fixture, request) != 400)
            fail_msg("'%s' was answered with %d", headers[i], fixture_status(fixture));
    }
    assert_int_equal(fixture->handled, 0);
}

static void unknown_method_and_path(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "PUT /body HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END), 405);
    assert_non_null(strstr(fixture->answer, "\r\nAllow: POST, GET, HEAD, DELETE\r\n"));
    assert_int_equal(fixture_ask(fixture, "BREW /body HTTP/1.1\r\n" HOST END), 405);
    assert_int_equal(fixture_ask(fixture, "GET /nothing%22here HTTP/1.1\r\n" HOST END), 404);
    assert_non_null(strstr(fixture->answer, "\r\nContent-Type: application/problem+json\r\n"));
    assert_string_equal(fixture_body(fixture),
                        "{\"title\":\"Not Found\",\"status\":404,\"detail\":\"nothing is at '/nothing\\\"here'\"}\n");
}

static int ask_host(struct fixture *fixture, const char *host)
{
    char request[256];
    snprintf(request, sizeof request, "GET /body HTTP/1.1\r\nHost: %s\r\n" END, host);
    return fixture_ask(fixture, request);
}

static void host_must_be_ours(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask_host(fixture, "localhost:8080"), 200);
    assert_int_equal(ask_host(fixture, "LocalHost"), 200);
    assert_int_equal(ask_host(fixture, "127.0.0.1:1"), 200);
    assert_int_equal(ask_host(fixture, "[::1]:8080"), 200);
    assert_int_equal(ask_host(fixture, "hilum.example"), 200);
    assert_int_equal(ask_host(fixture, "evil.example"), 403);
    assert_int_equal(ask_host(fixture, "localhost.evil.example"), 403);
    assert_int_equal(ask_host(fixture, "127.0.0.1.evil.example:8080"), 403);
    assert_int_equal(ask_host(fixture, "localhost@evil.example"), 403);
    assert_int_equal(ask_host(fixture, "localhost:80/evil"), 400);
    assert_int_equal(ask_host(fixture, "localhost:80\"><script>"), 400);
    assert_int_equal(ask_host(fixture, "[::1]evil.example"), 400);
    assert_int_equal(ask_host(fixture, "[::1"), 400);
    assert_int_equal(ask_host(fixture, ""), 403);
    assert_int_equal(fixture_ask(fixture, "GET /body HTTP/1.1\r\n" END), 400);
    assert_int_equal(fixture_ask(fixture, "GET /body HTTP/1.0\r\n" END), 200);
}

static int ask_for(struct fixture *fixture, const char *target)
{
    char request[256];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n" END, target);
    return fixture_ask(fixture, request);
}

static void a_query_parameter_that_the_route_does_not_know_or_knows_once_is_refused_by_name(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask_for(fixture, "/asked?study=1&state=open"), 200);
    assert_int_equal(ask_for(fixture, "/asked?study=1&sate=open"), 400);
    assert_non_null(strstr(fixture->answer, "'sate' is no query parameter here; known are: study state"));
    assert_int_equal(ask_for(fixture, "/asked?stud=1"), 400);
    assert_int_equal(ask_for(fixture, "/asked?study%20state=1"), 400);
    assert_int_equal(ask_for(fixture, "/asked?=1"), 400);
    assert_int_equal(ask_for(fixture, "/asked?study=1&state=open&study=2"), 400);
    assert_non_null(strstr(fixture->answer, "query parameter 'study' is given twice"));
    assert_int_equal(ask_for(fixture, "/body?a=1&a=2"), 200); // its handler looks at all
    assert_int_equal(ask_for(fixture, "/unasked"), 200);
    assert_int_equal(ask_for(fixture, "/unasked?study=1"), 400);
    assert_non_null(strstr(fixture->answer, "there are none"));
    assert_int_equal(ask_for(fixture, "/body?anything=1"), 200);
}

static int ask_origin(struct fixture *fixture, const char *method, const char *host, const char *origin)
{
    char request[256];
    snprintf(request, sizeof request, "%s /body HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nContent-Length: 0\r\n" END,
             method, host, origin);
    return fixture_ask(fixture, request);
}

static void pages_elsewhere_change_nothing(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask_origin(fixture, "POST", "localhost:8080", "http://localhost:8080"), 200);
    assert_int_equal(ask_origin(fixture, "POST", "localhost", "http://localhost:80"), 200);
    assert_int_equal(ask_origin(fixture, "POST", "localhost:443", "https://LOCALHOST"), 200);
    assert_int_equal(ask_origin(fixture, "POST", "localhost:8080", "http://localhost:8081"), 403);
    assert_non_null(strstr(fixture_body(fixture), "the Host that came is 'localhost:8080'"));
    assert_non_null(strstr(fixture_body(fixture), "proxy_set_header Host $http_host"));
    assert_int_equal(ask_origin(fixture, "POST", "localhost:8080", "http://localhost"), 403);
    assert_int_equal(ask_origin(fixture, "POST", "localhost", "http://evil.example"), 403);
    assert_null(strstr(fixture_body(fixture), "proxy_set_header"));
    assert_int_equal(ask_origin(fixture, "DELETE", "localhost", "null"), 403);
    assert_int_equal(ask_origin(fixture, "PUT", "localhost", "http://evil.example"), 403);
    assert_int_equal(ask_origin(fixture, "GET", "localhost", "http://evil.example"), 200);
}

static void encoded_bodies_are_refused(void **state)
{
    struct fixture *fixture = *state;
    int status =
        fixture_ask(fixture, "POST /body HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 2\r\n" END "ab");
    assert_int_equal(status, 415);
    assert_int_equal(fixture->handled, 0);
    status = fixture_ask(fixture,
                         "POST /body HTTP/1.1\r\n" HOST "Content-Encoding: identity\r\nContent-Length: 2\r\n" END "ab");
    assert_int_equal(status, 200);
}

static void chunked_body_arrives_whole(void **state)
{
    struct fixture *fixture = *state;
    int status = fixture_ask(fixture, "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n" END
                                      "4\r\nWiki\r\n5;x=y\r\npedia\r\n0\r\nTrailer: t\r\n\r\n");
    assert_int_equal(status, 200);
    assert_string_equal(fixture_body(fixture), "Wikipedia");
}

static void nothing_behind_a_chunked_body_is_read_as_a_request(void **state)
{
    static const char *const bodies[] = {"2\n{}\n0\n\n", "2\r\n{}\r\n0\r\n\r\n", "2\n{}\r\n0\r\n\n"};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        char request[512];
        snprintf(request, sizeof request,
                 "POST /body HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n%s"
                 "GET /nothing HTTP/1.1\r\n" HOST "\r\n",
                 bodies[i]);
        fixture_ask(fixture, request);
        assert_null(strstr(fixture->answer, "404"));
    }
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture *fixture = *state;
    int status = fixture_ask(fixture, "POST /body HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nfirst"
                                      "GET /nothing HTTP/1.1\r\n" HOST "\r\n"
                                      "POST /body HTTP/1.1\r\n" HOST "Content-Length: 6\r\n" END "second");
    assert_int_equal(status, 200);
    const char *first = strstr(fixture->answer, "\r\n\r\nfirstHTTP/1.1 404");
    assert_non_null(first);
    assert_non_null(strstr(first, "\r\n\r\nsecond"));
}

static void head_has_the_length_and_no_body(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture_ask(fixture, "HEAD /echo/a/x/b HTTP/1.1\r\n" HOST END), 200);
    assert_non_null(strstr(fixture->answer, "Content-Length: "));
    assert_string_equal(fixture_body(fixture), "");
    assert_int_equal(fixture_ask(fixture, "HEAD /parts HTTP/1.1\r\n" HOST END), 200);
    assert_non_null(strstr(fixture->answer, "\r\nContent-Length: 600013\r\n"));
    assert_string_equal(fixture_body(fixture), "");
    assert_true(fixture_wait(&fixture->done_calls, 1));
}

static void connection_is_kept_for_the_next_request(void **state)
{
    struct fixture *fixture = *state;
    char second[128];
    snprintf(second, sizeof second, "http://127.0.0.1:%u/nothing", fixture->port);
    const char *const arguments[] = {
        "-w", "%{http_code} %{num_connects}\n", "-o", "/dev/null", "-o", "/dev/null", second, NULL};
    char *text = fixture_curl(fixture, "/body", arguments);
    assert_string_equal(text, "404 1\n200 0\n");
    free(text);
}

static int accepts(struct fixture *fixture, const char *type, const char *headers)
{
    char request[512];
    snprintf(request, sizeof request, "GET /accepts?type=%s HTTP/1.1\r\n" HOST "%s" END, type, headers);
    assert_int_equal(fixture_ask(fixture, request), 200);
    return (int)strtol(fixture_body(fixture), NULL, 10);
}

static void accept_header_gives_the_quality(void **state)
{
    static const struct {
        const char *headers;
        int quality; // of application/dicom%2Bjson
    } cases[] = {
        {"", 1000},
        {"Accept: */*\r\n", 1000},
        {"Accept: application/dicom+json\r\n", 1000},
        {"Accept: APPLICATION/DICOM+JSON;q=0.5\r\n", 500},
        {"Accept: text/html\r\n", 0},
        {"Accept:\r\n", 0},
        {"Accept: application/*;q=0.25, */*;q=0.1\r\n", 250},
        {"Accept: application/dicom+json;q=0, */*\r\n", 0},
        {"Accept: application/dicom+json ; charset=\"a,b;q=0.1\" ; q=0.333\r\n", 333},
        {"Accept: text/html\r\nAccept: application/dicom+json;q=0.7\r\n", 700},
        {"Accept: application/dicom\r\n", 0},
        {"Accept: application/dicom+json;q=1.000;x=\"unended\r\n", 1000},
        {"Accept: ,;,/,*,;q\r\n", 0},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (accepts(fixture, "application/dicom%2Bjson", cases[i].headers) != cases[i].quality)
            fail_msg("'%s' gave %s", cases[i].headers, fixture_body(fixture));
}

static void accept_header_chooses_among_parameters(void **state)
{
#define DICOM "Accept: multipart/related; type=\"application/dicom\""
    static const struct {
        const char *headers;
        int quality; // of multipart/related; type="application/dicom"; transfer-syntax=1.2.4
    } cases[] = {
        {"", 1000},
        {"Accept: */*\r\n", 1000},
        {"Accept: multipart/*;q=0.5\r\n", 500},
        {DICOM "\r\n", 1000},
        {"Accept: multipart/related;type=application/DICOM\r\n", 1000},
        {"Accept: multipart/related; type=\"*/*\"; q=0.3\r\n", 300},
        {"Accept: multipart/related; type=\"application/octet-stream\"\r\n", 0},
        {DICOM "; transfer-syntax=*\r\n", 1000},
        {DICOM ";transfer-syntax=\"1.2.4\"\r\n", 1000},
        {DICOM "; transfer-syntax=1.2.40\r\n", 0},
        {DICOM "; transfer-syntax=1.2\r\n", 0},
        {DICOM "; transfer-syntax=\r\n", 0},
        {DICOM "; transfer-syntax=1.2.5, multipart/related; type=application/dicom; transfer-syntax=1.2.4;q=0.2\r\n",
         200},
        {DICOM
         "; transfer-syntax=*; q=0.7, multipart/related; type=application/dicom; transfer-syntax=1.2.4; q=0.1\r\n",
         100},
        {DICOM "; transfer-syntax=1.2.4; q=0, */*\r\n", 0},
        {"Accept: multipart/related; boundary=x; q=0.4; transfer-syntax=1.2.5\r\n", 400}, // behind q: not the type's
        {DICOM ";;; =;=\r\n", 1000},
    };
#undef DICOM
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (accepts(fixture, "multipart/related&part=application/dicom&syntax=1.2.4", cases[i].headers) !=
            cases[i].quality)
            fail_msg("'%s' gave %s", cases[i].headers, fixture_body(fixture));
}

int test_requests(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_start, fixture_stop)
    const struct CMUnitTest tests[] = {
        TEST(handler_sees_path_parts_query_and_peer_decoded),
        TEST(rest_of_path_may_be_empty_but_a_variable_not),
        TEST(path_tricks_are_refused),
        TEST(double_encoding_is_decoded_once),
        TEST(what_a_reader_of_texts_would_leave_out_is_refused),
        TEST(headers_are_read_whatever_their_spaces),
        TEST(ambiguous_framing_is_refused_and_closed),
        TEST(unknown_method_and_path),
        TEST(host_must_be_ours),
        TEST(a_query_parameter_that_the_route_does_not_know_or_knows_once_is_refused_by_name),
        TEST(pages_elsewhere_change_nothing),
        TEST(encoded_bodies_are_refused),
        TEST(chunked_body_arrives_whole),
        TEST(nothing_behind_a_chunked_body_is_read_as_a_request),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(head_has_the_length_and_no_body),
        TEST(connection_is_kept_for_the_next_request),
        TEST(accept_header_gives_the_quality),
        TEST(accept_header_chooses_among_parameters),
    };
#undef TEST
    return cmocka_run_group_tests_name("http requests", tests, NULL, NULL);
}
