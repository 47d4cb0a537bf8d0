// Messages from a raw peer (docs: bad input, lines 47, 48, 51, 52, 55, 59).
#include "support.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "dimse/dimse_command.h"

enum { OBJECT_SIZE = 300000 };

static uint8_t *make_object(size_t size)
{
    uint8_t *object = test_malloc(size);
    for (size_t i = 0; i < size; i++)
        object[i] = (uint8_t)(i * 2654435761u >> 13);
    return object;
}

// A C-STORE of `object` in PDUs whose values hold `piece` bytes.
static void put_store(struct buffer *out, const uint8_t *object, size_t size, size_t piece)
{
    struct buffer command;
    buffer_init(&command, 1024);
    raw_store_command(&command);
    raw_value(out, 1, 3, command.data, command.size);
    buffer_free(&command);
    for (size_t at = 0; at < size; at += piece) {
        size_t part = size - at < piece ? size - at : piece;
        raw_value(out, 1, at + part == size ? 2 : 0, object + at, part);
    }
}

static void expect_stored(struct acceptor *acceptor, const uint8_t *object, size_t size)
{
    struct buffer answer;
    buffer_init(&answer, 4096);
    assert_int_equal(peer_receive(acceptor->fd, &answer), 4);
    assert_non_null(memmem(answer.data, answer.size, "\0\0\x20\x01\x02\0\0\0\x07\0", 10)); // responded to: 7
    assert_non_null(memmem(answer.data, answer.size, "\0\0\0\x09\x02\0\0\0\0\0", 10));     // status 0
    struct buffer release;
    buffer_init(&release, 64);
    raw_pdu(&release, 5, 4, "\0\0\0\0", 4);
    peer_send(acceptor->fd, &release);
    assert_int_equal(peer_receive(acceptor->fd, NULL), 6);
    acceptor_end(acceptor);
    assert_int_equal(acceptor->outcome, DIMSE_RELEASED);
    assert_int_equal(acceptor->data.size, size);
    assert_memory_equal(acceptor->data.data, object, size);
    assert_string_equal(acceptor->last.sop_class, CT_STORAGE);
    assert_string_equal(acceptor->last.sop_instance, "1.2.3.77");
    assert_true(acceptor->last.uids_valid);
    acceptor_free(acceptor);
    buffer_free(&answer);
    buffer_free(&release);
}

static void an_object_arrives_whole_in_fragments_of_any_size(void **context)
{
    (void)context;
    static const size_t pieces[] = {1000, 4090, 16378, 65536, DIMSE_PDU_OFFERED - 6};
    uint8_t *object = make_object(OBJECT_SIZE);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct acceptor acceptor = {0};
        struct buffer out;
        buffer_init(&out, 1 << 20);
        put_store(&out, object, OBJECT_SIZE, pieces[i]);
        acceptor_start(&acceptor, &calm_timers);
        peer_associate(acceptor.fd);
        peer_send(acceptor.fd, &out);
        expect_stored(&acceptor, object, OBJECT_SIZE);
        buffer_free(&out);
    }
    test_free(object);
}

static void an_object_arrives_whole_byte_by_byte(void **context)
{
    (void)context;
    enum { SIZE = 3000 };
    uint8_t *object = make_object(SIZE);
    struct acceptor acceptor = {0};
    struct buffer out;
    buffer_init(&out, 1 << 20);
    put_store(&out, object, SIZE, 500);
    acceptor_start(&acceptor, &calm_timers);
    peer_associate(acceptor.fd);
    for (size_t i = 0; i < out.size; i++)
        assert_int_equal(send(acceptor.fd, out.data + i, 1, MSG_NOSIGNAL), 1);
    expect_stored(&acceptor, object, SIZE);
    buffer_free(&out);
    test_free(object);
}

static void an_object_arrives_whole_when_cut_at_each_byte(void **context)
{
    (void)context;
    enum { SIZE = 40 };
    uint8_t *object = make_object(SIZE);
    struct buffer out;
    buffer_init(&out, 1 << 16);
    put_store(&out, object, SIZE, 16);
    for (size_t cut = 1; cut < out.size; cut++) {
        struct acceptor acceptor = {0};
        acceptor_start(&acceptor, &calm_timers);
        peer_associate(acceptor.fd);
        assert_int_equal(send(acceptor.fd, out.data, cut, MSG_NOSIGNAL), cut);
        sched_yield();
        assert_int_equal(send(acceptor.fd, out.data + cut, out.size - cut, MSG_NOSIGNAL), out.size - cut);
        expect_stored(&acceptor, object, SIZE);
    }
    buffer_free(&out);
    test_free(object);
}

static void several_values_share_a_pdu(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct buffer out, command;
    buffer_init(&out, 4096);
    buffer_init(&command, 1024);
    raw_store_command(&command);
    raw_pdu(&out, 4, (uint32_t)(command.size + 6 + 10 + 8 + 6), NULL, 0);
    buffer_u32be(&out, (uint32_t)command.size + 2);
    buffer_append(&out, "\x01\x03", 2);
    buffer_append(&out, command.data, command.size);
    buffer_append(&out,
                  "\0\0\0\x06\x01\x00"
                  "abcd",
                  10);
    buffer_append(&out,
                  "\0\0\0\x04\x01\x00"
                  "ef",
                  8);
    buffer_append(&out, "\0\0\0\x02\x01\x02", 6); // the last is empty
    acceptor_start(&acceptor, &calm_timers);
    peer_associate(acceptor.fd);
    peer_send(acceptor.fd, &out);
    expect_stored(&acceptor, (const uint8_t *)"abcdef", 6);
    buffer_free(&out);
    buffer_free(&command);
}

static void a_command_in_fragments_is_put_together(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct buffer out, command;
    buffer_init(&out, 4096);
    buffer_init(&command, 1024);
    raw_store_command(&command);
    for (size_t at = 0; at < command.size; at += 10)
        raw_value(&out, 1, 1, command.data + at, command.size - at < 10 ? command.size - at : 10);
    raw_value(&out, 1, 3, NULL, 0);
    raw_value(&out, 1, 2, "abcd", 4);
    acceptor_start(&acceptor, &calm_timers);
    peer_associate(acceptor.fd);
    peer_send(acceptor.fd, &out);
    expect_stored(&acceptor, (const uint8_t *)"abcd", 4);
    buffer_free(&out);
    buffer_free(&command);
}

static void a_data_set_that_nobody_reads_is_dropped(void **context)
{
    (void)context;
    uint8_t *object = make_object(OBJECT_SIZE);
    struct acceptor acceptor = {.way = ACCEPTOR_PASSES};
    struct buffer out;
    buffer_init(&out, 1 << 20);
    put_store(&out, object, OBJECT_SIZE, 65536);
    acceptor_start(&acceptor, &calm_timers);
    peer_associate(acceptor.fd);
    for (int i = 0; i < 3; i++)
        peer_send(acceptor.fd, &out);
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_receive(acceptor.fd, NULL), 4);
    acceptor_end(&acceptor);
    assert_int_equal(acceptor.messages, 3);
    acceptor_free(&acceptor);
    buffer_free(&out);
    test_free(object);
}

// ---- violations

// Associates with two contexts, sends `bytes`, expects A-ABORT for the reason that has `words`. The acceptor's notes
// stay in *acceptor until acceptor_free.
static void expect_abort_of(struct acceptor *acceptor, const struct buffer *bytes, const char *words)
{
    struct buffer associate;
    buffer_init(&associate, 4096);
    raw_associate(&associate, &(struct raw_request){.contexts = 2});
    acceptor_start(acceptor, &calm_timers);
    peer_send(acceptor->fd, &associate);
    buffer_free(&associate);
    assert_int_equal(peer_receive(acceptor->fd, NULL), 2);
    peer_send(acceptor->fd, bytes);
    assert_int_equal(peer_receive(acceptor->fd, NULL), 7);
    acceptor_end(acceptor);
    assert_int_equal(acceptor->outcome, DIMSE_BROKEN);
    assert_int_equal(acceptor->err.code, ERROR_PROTOCOL);
    if (strstr(acceptor->err.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", acceptor->err.message, words);
}

static void expect_abort(struct buffer *bytes, const char *words)
{
    struct acceptor acceptor = {0};
    expect_abort_of(&acceptor, bytes, words);
    assert_int_equal(acceptor.messages, 0);
    acceptor_free(&acceptor);
    buffer_clear(bytes);
}

static void a_value_that_does_not_fit_its_pdu_is_aborted(void **context)
{
    (void)context;
    static const uint32_t lengths[] = {0, 1, 13, 11, 200, 0x7FFFFFFF, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct buffer out;
        buffer_init(&out, 1024);
        raw_value(&out, 1, 3, "0123456789", 10); // the value's length is 12
        bytes_put_u32be(out.data + 6, lengths[i]);
        expect_abort(&out, "do not fill their PDU");
        buffer_free(&out);
    }
    struct acceptor acceptor = {0};
    struct buffer out;
    buffer_init(&out, 1024);
    raw_pdu(&out, 4, 11,
            "\0\0\0\1\1"
            "\0\0\0\2\1\3",
            11); // they fill it, but the first has no room for its header
    expect_abort_of(&acceptor, &out, "do not fill their PDU");
    acceptor_free(&acceptor);
    buffer_free(&out);
}

static void a_data_pdu_of_impossible_length_is_aborted(void **context)
{
    (void)context;
    static const uint32_t lengths[] = {0, 3, DIMSE_PDU_OFFERED + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct buffer out;
        buffer_init(&out, 1024);
        raw_pdu(&out, 4, lengths[i], "abc", 3);
        expect_abort(&out, "has length");
        buffer_free(&out);
    }
}

static void a_pdu_that_does_not_fit_the_state_is_aborted(void **context)
{
    (void)context;
    struct buffer out;
    buffer_init(&out, 4096);
    raw_pdu(&out, 0x55, 4, "abcd", 4);
    expect_abort(&out, "0x55");
    raw_pdu(&out, 0, 4, "abcd", 4);
    expect_abort(&out, "0x00");
    raw_pdu(&out, 0, 0, NULL, 0);
    expect_abort(&out, "0x00");
    raw_associate(&out, &(struct raw_request){0});
    expect_abort(&out, "does not fit the state");
    raw_associate(&out, &(struct raw_request){0});
    out.data[0] = 2;
    expect_abort(&out, "does not fit the state");
    raw_pdu(&out, 3, 4, "\0\1\1\1", 4);
    expect_abort(&out, "does not fit the state");
    raw_pdu(&out, 6, 4, "\0\0\0\0", 4);
    expect_abort(&out, "does not fit the state");
    buffer_free(&out);
}

static void data_before_a_command_is_aborted(void **context)
{
    (void)context;
    struct buffer out;
    buffer_init(&out, 1024);
    raw_value(&out, 1, 2, "data", 4);
    expect_abort(&out, "data before a command");
    buffer_free(&out);
}

static void a_second_command_before_the_data_set_ended_is_aborted(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct buffer out;
    buffer_init(&out, 4096);
    raw_store(&out);
    raw_value(&out, 1, 0, "data", 4);
    raw_store(&out);
    expect_abort_of(&acceptor, &out, "before the data set ended");
    assert_true(acceptor.data_broken);
    acceptor_free(&acceptor);
    buffer_free(&out);
}

static void a_message_on_a_context_that_was_not_accepted_is_aborted(void **context)
{
    (void)context;
    struct buffer out, command;
    buffer_init(&out, 4096);
    buffer_init(&command, 1024);
    raw_store_command(&command);
    raw_value(&out, 5, 3, command.data, command.size); // never proposed
    expect_abort(&out, "context 5");
    raw_value(&out, 1, 1, command.data, 10); // a fragment here, one there
    raw_value(&out, 3, 3, command.data + 10, command.size - 10);
    expect_abort(&out, "in two presentation contexts");

    struct acceptor acceptor = {0};
    acceptor_start(&acceptor, &calm_timers);
    raw_associate(&out, &(struct raw_request){.abstract = REFUSED_CLASS});
    raw_value(&out, 1, 3, command.data, command.size);
    peer_send(acceptor.fd, &out);
    assert_int_equal(peer_receive(acceptor.fd, NULL), 2);
    assert_int_equal(peer_receive(acceptor.fd, NULL), 7);
    acceptor_end(&acceptor);
    assert_int_equal(acceptor.messages, 0);
    acceptor_free(&acceptor);
    buffer_free(&out);
    buffer_free(&command);
}

static void a_data_set_on_another_context_than_its_command_is_aborted(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct buffer out;
    buffer_init(&out, 4096);
    raw_associate(&out, &(struct raw_request){.contexts = 2});
    raw_store(&out);
    raw_value(&out, 3, 2, "data", 4);
    acceptor_start(&acceptor, &calm_timers);
    peer_send(acceptor.fd, &out);
    assert_int_equal(peer_receive(acceptor.fd, NULL), 2);
    assert_int_equal(peer_receive(acceptor.fd, NULL), 7);
    acceptor_end(&acceptor);
    assert_true(acceptor.data_broken);
    acceptor_free(&acceptor);
    buffer_free(&out);
}

static void a_command_set_that_cannot_be_read_is_aborted(void **context)
{
    (void)context;
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } sets[] = {
        {"", 0, "lacks"},
        {"\0\0\0\1\2\0\0", 7, "ends inside"},                                   // ends in an element's header
        {"\0\0\0\1\2\0\0\0\1", 9, "longer than its set"},                       // in its value
        {"\0\0\0\1\xFF\xFF\xFF\xFF\1\0", 10, "longer than its set"},            // length 4 GiB
        {"\0\0\0\1\4\0\0\0\1\0\0\0\0\0\0\x08\2\0\0\0\1\1", 22, "has length 4"}, // US of 4 bytes
        {"\0\0\0\1\2\0\0\0\1\0", 10, "lacks"},                                  // no Command Data Set Type
        {"\0\0\0\x08\2\0\0\0\1\1", 10, "lacks"},                                // no Command Field
        {"\x08\0\0\0\2\0\0\0\1\0", 10, "(0008,0000)"},                          // group 0008
    };
    struct buffer out;
    buffer_init(&out, 1024);
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        raw_value(&out, 1, 3, sets[i].bytes, sets[i].size);
        expect_abort(&out, sets[i].words);
    }
    buffer_free(&out);
}

static void a_command_set_past_its_limit_is_aborted(void **context)
{
    (void)context;
    uint8_t *object = make_object(DIMSE_COMMAND_SIZE_MAX + 2);
    struct buffer out;
    buffer_init(&out, 1 << 20);
    raw_value(&out, 1, 3, object, DIMSE_COMMAND_SIZE_MAX + 2);
    expect_abort(&out, "more than 16384 bytes");
    for (int i = 0; i < 5; i++)
        raw_value(&out, 1, 1, object, 4096);
    expect_abort(&out, "more than 16384 bytes");
    buffer_free(&out);
    test_free(object);
}

static void nothing_but_empty_fragments_is_aborted(void **context)
{
    (void)context;
    struct buffer out;
    buffer_init(&out, 1 << 20);
    for (int i = 0; i < 1000; i++)
        raw_value(&out, 1, 1, NULL, 0);
    expect_abort(&out, "empty fragments");
    buffer_free(&out);
}

static void a_release_inside_a_message_is_aborted(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct buffer out;
    buffer_init(&out, 4096);
    raw_store(&out);
    raw_value(&out, 1, 0, "data", 4);
    raw_pdu(&out, 5, 4, "\0\0\0\0", 4);
    expect_abort_of(&acceptor, &out, "release inside a message");
    assert_true(acceptor.data_broken);
    acceptor_free(&acceptor);
    buffer_free(&out);
}

static void an_unfit_uid_is_told_to_the_application(void **context)
{
    (void)context;
    static const struct {
        const char *uid;
        size_t size;
    } unfit[] = {
        {"..", 2},
        {"/abs", 4},
        {"1.2\0.3", 6},
        {"1.2.a", 5},
        {"1.2345678901234567890123456789012345678901234567890123456789012345", 66},
    };
    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        struct acceptor acceptor = {.way = ACCEPTOR_PASSES};
        struct buffer out, command;
        buffer_init(&out, 4096);
        buffer_init(&command, 1024);
        raw_store_command(&command);
        raw_element(&command, 0x1000, unfit[i].uid, unfit[i].size); // the last one counts
        raw_value(&out, 1, 3, command.data, command.size);
        raw_value(&out, 1, 2, "data", 4);
        acceptor_start(&acceptor, &calm_timers);
        peer_associate(acceptor.fd);
        peer_send(acceptor.fd, &out);
        assert_int_equal(peer_receive(acceptor.fd, NULL), 4);
        acceptor_end(&acceptor);
        assert_int_equal(acceptor.messages, 1);
        assert_false(acceptor.last.uids_valid);
        acceptor_free(&acceptor);
        buffer_free(&out);
        buffer_free(&command);
    }
}

// ---- the peer goes

static void an_abort_inside_an_object_breaks_its_source(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct buffer out;
    buffer_init(&out, 4096);
    raw_store(&out);
    raw_value(&out, 1, 0, "data", 4);
    raw_pdu(&out, 7, 4, "\0\0\0\0", 4);
    acceptor_start(&acceptor, &calm_timers);
    peer_associate(acceptor.fd);
    peer_send(acceptor.fd, &out);
    assert_int_equal(peer_receive(acceptor.fd, NULL), 0);
    acceptor_end(&acceptor);
    assert_true(acceptor.data_broken);
    assert_int_equal(acceptor.err.code, ERROR_CLOSED);
    assert_int_equal(acceptor.outcome, DIMSE_ABORTED);
    acceptor_free(&acceptor);
    buffer_free(&out);
}

static void a_reset_inside_an_object_breaks_its_source(void **context)
{
    (void)context;
    uint16_t port;
    int listening = listen_free(&port);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct acceptor acceptor = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(connect(acceptor.fd, (struct sockaddr *)&at, sizeof at), 0);
    acceptor_start_on(&acceptor, accept(listening, NULL, NULL), &calm_timers);
    peer_associate(acceptor.fd);
    struct buffer out;
    buffer_init(&out, 4096);
    raw_store(&out);
    raw_value(&out, 1, 0, "data", 4);
    peer_send(acceptor.fd, &out);
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(acceptor.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    acceptor_end(&acceptor);
    assert_true(acceptor.data_broken || acceptor.messages == 0); // a reset may overtake what was not read yet
    assert_int_equal(acceptor.outcome, DIMSE_BROKEN);
    assert_int_equal(acceptor.err.code, ERROR_CLOSED);
    acceptor_free(&acceptor);
    buffer_free(&out);
    close(listening);
}

static void a_connection_that_ends_without_release_is_broken(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    acceptor_start(&acceptor, &calm_timers);
    peer_associate(acceptor.fd);
    acceptor_end(&acceptor);
    assert_int_equal(acceptor.outcome, DIMSE_BROKEN);
    assert_int_equal(acceptor.err.code, ERROR_CLOSED);
    acceptor_free(&acceptor);
}

// PS3.7 Table 9.3-11: a C-CANCEL has no Message ID, only (0000,0120), that of the request it cancels.
static void a_cancel_names_the_request_that_it_cancels(void **context)
{
    static const uint8_t cancel[] = {0, 0, 0x00, 0x01, 2,    0, 0, 0,    0xFF, 0x0F, 0, 0, 0x20, 0x01, 2,
                                     0, 0, 0,    0x34, 0x12, 0, 0, 0x00, 0x08, 2,    0, 0, 0,    0x01, 0x01};
    struct dimse_message message;
    struct error err;
    (void)context;
    assert_ok(dimse_command_read(cancel, sizeof cancel, &message, &err), err);
    assert_int_equal(message.command, DIMSE_C_CANCEL_RQ);
    assert_int_equal(message.message_id, 0x1234);
    assert_false(message.has_data);
}

int test_message(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_arrives_whole_in_fragments_of_any_size),
        cmocka_unit_test(an_object_arrives_whole_byte_by_byte),
        cmocka_unit_test(an_object_arrives_whole_when_cut_at_each_byte),
        cmocka_unit_test(several_values_share_a_pdu),
        cmocka_unit_test(a_command_in_fragments_is_put_together),
        cmocka_unit_test(a_data_set_that_nobody_reads_is_dropped),
        cmocka_unit_test(a_value_that_does_not_fit_its_pdu_is_aborted),
        cmocka_unit_test(a_data_pdu_of_impossible_length_is_aborted),
        cmocka_unit_test(a_pdu_that_does_not_fit_the_state_is_aborted),
        cmocka_unit_test(data_before_a_command_is_aborted),
        cmocka_unit_test(a_second_command_before_the_data_set_ended_is_aborted),
        cmocka_unit_test(a_message_on_a_context_that_was_not_accepted_is_aborted),
        cmocka_unit_test(a_data_set_on_another_context_than_its_command_is_aborted),
        cmocka_unit_test(a_command_set_that_cannot_be_read_is_aborted),
        cmocka_unit_test(a_command_set_past_its_limit_is_aborted),
        cmocka_unit_test(nothing_but_empty_fragments_is_aborted),
        cmocka_unit_test(a_release_inside_a_message_is_aborted),
        cmocka_unit_test(a_cancel_names_the_request_that_it_cancels),
        cmocka_unit_test(an_unfit_uid_is_told_to_the_application),
        cmocka_unit_test(an_abort_inside_an_object_breaks_its_source),
        cmocka_unit_test(a_reset_inside_an_object_breaks_its_source),
        cmocka_unit_test(a_connection_that_ends_without_release_is_broken),
    };
    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
