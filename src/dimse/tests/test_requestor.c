// Our requestor against our acceptor, and against a raw one.
#include "support.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"

static const struct dimse_proposal proposals[] = {
    {.abstract = DIMSE_VERIFICATION, .transfer = {DICOM_TS_IMPLICIT}},
    {.abstract = REFUSED_CLASS, .transfer = {DICOM_TS_IMPLICIT}},
    {.abstract = CT_STORAGE, .transfer = {DICOM_TS_EXPLICIT, DICOM_TS_IMPLICIT}},
};

struct server {
    int listening;
    uint16_t port;
    pthread_t thread;
    struct acceptor acceptor;
    const struct buffer *script; // a raw server: what it sends once the request has come
    const struct buffer *answer; // and when it hears A-RELEASE-RP
    struct buffer heard;
};

static void *take_one(void *payload)
{
    struct server *server = payload;
    int fd = accept(server->listening, NULL, NULL);
    if (server->script == NULL) {
        acceptor_start_on(&server->acceptor, fd, &calm_timers);
        acceptor_join(&server->acceptor);
        return NULL;
    }
    peer_receive(fd, &server->heard);
    peer_send(fd, server->script);
    int type;
    while ((type = peer_receive(fd, &server->heard)) > 0) {
        if (type == 6 && server->answer != NULL)
            peer_send(fd, server->answer);
    }
    close(fd);
    return NULL;
}

static void server_start(struct server *server)
{
    buffer_init(&server->heard, 1 << 20);
    server->listening = listen_free(&server->port);
    assert_int_equal(pthread_create(&server->thread, NULL, take_one, server), 0);
}

static void server_end(struct server *server)
{
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    close(server->listening);
    acceptor_free(&server->acceptor);
    buffer_free(&server->heard);
}

static struct dimse_association *connect_to(const struct server *server, const struct dimse_timers *timers,
                                            struct error *err)
{
    struct dimse_peer peer = {.host = "127.0.0.1", .port = server->port, .called = "HILUM", .calling = "TEST"};
    return dimse_connect(&peer, proposals, 3, timers, err);
}

static void echo_and_release(void **context)
{
    (void)context;
    struct server server = {0};
    struct error err;
    uint16_t status = 1;
    server_start(&server);
    struct dimse_association *a = connect_to(&server, &calm_timers, &err);
    assert_non_null(a);
    assert_true(dimse_echo(a, &status, &err));
    assert_int_equal(status, 0);
    assert_true(dimse_echo(a, &status, &err));
    assert_true(dimse_release(a, &err));
    server_end(&server);
    assert_int_equal(server.acceptor.outcome, DIMSE_RELEASED);
    assert_int_equal(server.acceptor.messages, 2);
    assert_int_equal(server.acceptor.last.message_id, 2);
}

static void contexts_stand_as_negotiated(void **context)
{
    (void)context;
    struct server server = {0};
    struct error err;
    server_start(&server);
    struct dimse_association *a = connect_to(&server, &calm_timers, &err);
    assert_non_null(a);
    const struct dimse_request *request = dimse_request(a);
    assert_int_equal(request->context_count, 3);
    assert_int_equal(request->contexts[1].result, DIMSE_CONTEXT_ABSTRACT_UNSUPPORTED);
    assert_null(dimse_context_for(a, REFUSED_CLASS, NULL));
    assert_ptr_equal(dimse_context_for(a, CT_STORAGE, NULL), &request->contexts[2]);
    assert_ptr_equal(dimse_context_for(a, CT_STORAGE, DICOM_TS_EXPLICIT), &request->contexts[2]);
    assert_null(dimse_context_for(a, CT_STORAGE, DICOM_TS_IMPLICIT));
    assert_int_equal(request->peer_pdu_max, DIMSE_PDU_OFFERED);
    assert_string_equal(request->implementation_version, DICOM_IMPLEMENTATION_VERSION);
    assert_string_equal(request->address, "127.0.0.1");
    assert_true(dimse_release(a, &err));
    server_end(&server);
}

struct pieces {
    const uint8_t *data;
    size_t size;
    size_t piece;
    size_t at;
    size_t break_at; // 0: never
};

// The piece is a copy that is spoiled on the next call, as a socket's buffer would be.
static bool next_piece(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    static uint8_t copy[1 << 20];
    struct pieces *p = payload;
    size_t left = p->size - p->at;
    memset(copy, 0xEE, sizeof copy);
    if (p->break_at != 0 && p->at >= p->break_at)
        return error_set(err, ERROR_IO, "the test's source broke");
    *size = left < p->piece ? left : p->piece;
    memcpy(copy, p->data + p->at, *size);
    *data = copy;
    p->at += *size;
    return true;
}

static void objects_of_any_size_in_pieces_of_any_size_arrive(void **context)
{
    (void)context;
    static const struct {
        size_t size;
        size_t piece;
        uint32_t pdu; // 0: the usual
    } cases[] = {
        {2, 2, 0},           {131066, 131066, 0}, {131068, 131068, 0},  {262132, 131066, 0},
        {500000, 500000, 0}, {500000, 1, 0},      {1000000, 131072, 0}, {700001, 3333, 0},
    };
    uint8_t *object = test_malloc(1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        object[i] = (uint8_t)(i * 2654435761u >> 11);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct server server = {0};
        struct error err;
        uint16_t status = 1;
        char comment[65];
        server_start(&server);
        struct dimse_association *a = connect_to(&server, &calm_timers, &err);
        assert_non_null(a);
        struct pieces pieces = {.data = object, .size = cases[i].size, .piece = cases[i].piece};
        struct source source = {.next = next_piece, .payload = &pieces};
        if (cases[i].piece < 16)
            pieces.size = 2000; // the copy's spoiling makes more slow
        assert_true(dimse_store(a, dimse_context_for(a, CT_STORAGE, NULL), CT_STORAGE, "1.2.3", source, &status,
                                comment, &err));
        assert_int_equal(status, 0);
        assert_true(dimse_release(a, &err));
        assert_int_equal(pthread_join(server.thread, NULL), 0);
        assert_int_equal(server.acceptor.data.size, pieces.size);
        assert_memory_equal(server.acceptor.data.data, object, pieces.size);
        assert_string_equal(server.acceptor.last.sop_instance, "1.2.3");
        close(server.listening);
        acceptor_free(&server.acceptor);
        buffer_free(&server.heard);
    }
    test_free(object);
}

static void a_source_that_breaks_aborts_the_object(void **context)
{
    (void)context;
    struct server server = {0};
    struct error err;
    uint16_t status = 1;
    server_start(&server);
    struct dimse_association *a = connect_to(&server, &calm_timers, &err);
    assert_non_null(a);
    uint8_t *object = test_calloc(1, 1 << 20);
    struct pieces pieces = {.data = object, .size = 1 << 20, .piece = 100000, .break_at = 500000};
    struct source source = {.next = next_piece, .payload = &pieces};
    assert_false(
        dimse_store(a, dimse_context_for(a, CT_STORAGE, NULL), CT_STORAGE, "1.2.3", source, &status, NULL, &err));
    assert_int_equal(err.code, ERROR_IO);
    dimse_close(a);
    server_end(&server);
    assert_true(server.acceptor.data_broken);
    assert_int_equal(server.acceptor.outcome, DIMSE_ABORTED);
    test_free(object);
}

static void a_reject_is_told_in_the_words_of_the_standard(void **context)
{
    (void)context;
    struct server server = {.acceptor.way = ACCEPTOR_REJECTS};
    struct error err;
    server_start(&server);
    assert_null(connect_to(&server, &calm_timers, &err));
    assert_int_equal(err.code, ERROR_BUSY);
    assert_non_null(strstr(err.message, "temporary congestion"));
    server_end(&server);
}

// What a raw server that sends `script` makes of dimse_connect.
static void expect_connect_fails(const struct buffer *script, enum error_code code, const char *words)
{
    struct server server = {.script = script};
    struct error err;
    server_start(&server);
    assert_null(connect_to(&server, &quick_timers, &err));
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.message, words));
    server_end(&server);
}

static void bad_answers_to_a_request_are_refused(void **context)
{
    (void)context;
    struct buffer script;
    buffer_init(&script, 4096);
    expect_connect_fails(&script, ERROR_TIMEOUT, "too long"); // silence
    raw_pdu(&script, 3, 4, "\0\1\1\3", 4);
    expect_connect_fails(&script, ERROR_FORBIDDEN, "calling AE title not recognized");
    buffer_clear(&script);
    raw_pdu(&script, 7, 4, "\0\0\2\0", 4);
    expect_connect_fails(&script, ERROR_CLOSED, "aborted");
    buffer_clear(&script);
    raw_pdu(&script, 0x55, 4, "\0\0\2\0", 4);
    expect_connect_fails(&script, ERROR_PROTOCOL, "0x55");
    buffer_clear(&script);
    raw_pdu(&script, 2, 4, "\0\1\0\0", 4);
    expect_connect_fails(&script, ERROR_PROTOCOL, "length 4");
    buffer_clear(&script);
    raw_value(&script, 1, 3, "data", 4);
    expect_connect_fails(&script, ERROR_PROTOCOL, "does not fit the state");
    buffer_free(&script);
}

// An A-ASSOCIATE-AC that accepts context `id` with `transfer`.
static void put_answer(struct buffer *out, uint8_t id, const char *transfer)
{
    size_t size = strlen(transfer);
    raw_associate(out, &(struct raw_request){.abstract = "1.2"});
    out->data[0] = 2;
    // the request's context becomes the answer's: 21 00 LLLL id 00 result 00 40 00 LLLL syntax
    out->size -= 12 + 8 + 4 + 3 + 4 + strlen(DICOM_TS_EXPLICIT);
    buffer_append(out, (const uint8_t[]){0x21, 0, 0, (uint8_t)(8 + size), id, 0, 0, 0, 0x40, 0, 0, (uint8_t)size}, 12);
    buffer_append(out, transfer, size);
    bytes_put_u32be(out->data + 2, (uint32_t)out->size - 6);
}

static void an_answer_about_what_was_not_proposed_is_refused(void **context)
{
    (void)context;
    struct buffer script;
    buffer_init(&script, 4096);
    put_answer(&script, 9, DICOM_TS_IMPLICIT);
    expect_connect_fails(&script, ERROR_PROTOCOL, "not proposed");
    buffer_clear(&script);
    put_answer(&script, 1, DICOM_TS_BIG_ENDIAN);
    expect_connect_fails(&script, ERROR_PROTOCOL, "not proposed");
    buffer_free(&script);
}

static void a_response_to_another_message_is_refused(void **context)
{
    (void)context;
    struct buffer script, command;
    buffer_init(&script, 4096);
    buffer_init(&command, 4096);
    put_answer(&script, 1, DICOM_TS_IMPLICIT);
    raw_element(&command, 0x0100, "\x30\x80", 2);
    raw_element(&command, 0x0120, "\x63\x00", 2);
    raw_element(&command, 0x0800, "\x01\x01", 2);
    raw_element(&command, 0x0900, "\x00\x00", 2);
    raw_value(&script, 1, 3, command.data, command.size);
    struct server server = {.script = &script};
    struct error err;
    uint16_t status;
    server_start(&server);
    struct dimse_association *a = connect_to(&server, &quick_timers, &err);
    assert_non_null(a);
    assert_false(dimse_echo(a, &status, &err));
    assert_int_equal(err.code, ERROR_PROTOCOL);
    dimse_close(a);
    server_end(&server);
    buffer_free(&script);
    buffer_free(&command);
}

// What dimse_store says of one C-STORE-RSP that is `response` and, when not NULL, names `instance`.
static bool store_answered(struct buffer *response, const char *instance, uint16_t *status, struct error *err)
{
    struct buffer script;
    struct source_memory object = {.data = (const uint8_t *)"\0", .size = 2};
    buffer_init(&script, 4096);
    put_answer(&script, 1, DICOM_TS_IMPLICIT);
    if (instance)
        raw_element(response, 0x1000, instance, strlen(instance));
    raw_value(&script, 1, 3, response->data, response->size);
    struct server server = {.script = &script};
    server_start(&server);
    struct dimse_association *a = connect_to(&server, &quick_timers, err);
    assert_non_null(a);
    bool ok = dimse_store(a, &dimse_request(a)->contexts[0], DIMSE_VERIFICATION, "1.2.34", source_from_memory(&object),
                          status, NULL, err);
    dimse_close(a);
    server_end(&server);
    buffer_free(&script);
    buffer_free(response);
    return ok;
}

// PS3.7 section 9.3.1.2: of a C-STORE-RSP, Status and Message ID Being Responded To are always there. What is not there
// was read as 0, which is success.
static void a_response_that_lacks_its_status_is_no_success(void **context)
{
    static const struct {
        bool answered_id;
        size_t status_size;
        const char *instance;
        bool good;
    } rows[] = {
        {true, 2, NULL, true},  {true, 2, "1.2.34", true}, {true, 2, "", true},        {true, 0, NULL, false},
        {true, 4, NULL, false}, {false, 2, NULL, false},   {true, 2, "1.2.35", false}, {true, 2, "1.2.3456", false},
    };
    (void)context;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer command;
        struct error err;
        uint16_t status = 0xFFFF;
        buffer_init(&command, 4096);
        raw_element(&command, 0x0100, "\x01\x80", 2);
        if (rows[i].answered_id)
            raw_element(&command, 0x0120, "\x01\x00", 2);
        raw_element(&command, 0x0800, "\x01\x01", 2);
        if (rows[i].status_size > 0)
            raw_element(&command, 0x0900, "\0\0\0", rows[i].status_size);
        assert_int_equal(store_answered(&command, rows[i].instance, &status, &err), rows[i].good);
        assert_int_equal(status, rows[i].good ? 0 : 0xFFFF);
        if (!rows[i].good)
            assert_int_equal(err.code, ERROR_PROTOCOL);
    }
}

static void a_comment_that_would_steer_a_terminal_comes_harmless(void **context)
{
    (void)context;
    struct buffer script, command;
    buffer_init(&script, 4096);
    buffer_init(&command, 4096);
    put_answer(&script, 1, DICOM_TS_IMPLICIT);
    raw_element(&command, 0x0100, "\x01\x80", 2);
    raw_element(&command, 0x0120, "\x01\x00", 2);
    raw_element(&command, 0x0800, "\x01\x01", 2);
    raw_element(&command, 0x0900, "\x00\xA7", 2);
    raw_element(&command, 0x0902, "full\x1B[2J\0\r\xE9\\ ", 14);
    raw_value(&script, 1, 3, command.data, command.size);
    struct server server = {.script = &script};
    struct error err;
    uint16_t status;
    char comment[65];
    struct source_memory object = {.data = (const uint8_t *)"\0", .size = 2};
    server_start(&server);
    struct dimse_association *a = connect_to(&server, &quick_timers, &err);
    assert_non_null(a);
    assert_true(dimse_store(a, &dimse_request(a)->contexts[0], DIMSE_VERIFICATION, "1.2.3", source_from_memory(&object),
                            &status, comment, &err));
    assert_int_equal(status, 0xA700);
    assert_string_equal(comment, "full?[2J???\\");
    dimse_close(a);
    server_end(&server);
    buffer_free(&script);
    buffer_free(&command);
}

static void a_release_asked_for_by_both_sides_ends_well(void **context)
{
    (void)context;
    struct buffer script, answer;
    buffer_init(&script, 4096);
    buffer_init(&answer, 64);
    put_answer(&script, 1, DICOM_TS_IMPLICIT);
    raw_pdu(&script, 5, 4, "\0\0\0\0", 4);
    raw_pdu(&answer, 6, 4, "\0\0\0\0", 4);
    struct server server = {.script = &script, .answer = &answer};
    struct error err;
    server_start(&server);
    struct dimse_association *a = connect_to(&server, &quick_timers, &err);
    assert_non_null(a);
    assert_true(dimse_release(a, &err));
    server_end(&server);
    buffer_free(&script);
    buffer_free(&answer);
}

static void a_release_that_is_not_answered_ends_at_artim(void **context)
{
    (void)context;
    struct buffer script;
    buffer_init(&script, 4096);
    put_answer(&script, 1, DICOM_TS_IMPLICIT);
    struct server server = {.script = &script};
    struct error err;
    server_start(&server);
    struct dimse_association *a = connect_to(&server, &quick_timers, &err);
    assert_non_null(a);
    assert_false(dimse_release(a, &err));
    assert_int_equal(err.code, ERROR_TIMEOUT);
    server_end(&server);
    buffer_free(&script);
}

static void a_port_where_nobody_listens_is_told(void **context)
{
    (void)context;
    struct server server;
    struct error err;
    int fd = listen_free(&server.port);
    close(fd);
    assert_null(connect_to(&server, &quick_timers, &err));
    assert_int_equal(err.code, ERROR_CLOSED);
    assert_non_null(strstr(err.message, "127.0.0.1"));
}

int test_requestor(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echo_and_release),
        cmocka_unit_test(contexts_stand_as_negotiated),
        cmocka_unit_test(objects_of_any_size_in_pieces_of_any_size_arrive),
        cmocka_unit_test(a_source_that_breaks_aborts_the_object),
        cmocka_unit_test(a_reject_is_told_in_the_words_of_the_standard),
        cmocka_unit_test(bad_answers_to_a_request_are_refused),
        cmocka_unit_test(an_answer_about_what_was_not_proposed_is_refused),
        cmocka_unit_test(a_response_to_another_message_is_refused),
        cmocka_unit_test(a_response_that_lacks_its_status_is_no_success),
        cmocka_unit_test(a_comment_that_would_steer_a_terminal_comes_harmless),
        cmocka_unit_test(a_release_asked_for_by_both_sides_ends_well),
        cmocka_unit_test(a_release_that_is_not_answered_ends_at_artim),
        cmocka_unit_test(a_port_where_nobody_listens_is_told),
    };
    return cmocka_run_group_tests_name("requestor", tests, NULL, NULL);
}
