// Association requests, good and bad (docs: bad input, lines 47, 49, 50, 52 to 54).
#include "support.h"

#include <unistd.h>

#include "base/bytes.h"

struct answer {
    int type;
    uint8_t field[4096];
    size_t size;
};

// Sends `bytes` to a fresh acceptor and returns its first PDU; the acceptor's notes are in *acceptor.
static struct answer first_answer(struct acceptor *acceptor, const struct buffer *bytes)
{
    struct answer answer = {0};
    struct buffer field;
    buffer_init(&field, sizeof answer.field);
    acceptor_start(acceptor, &calm_timers);
    peer_send(acceptor->fd, bytes);
    answer.type = peer_receive(acceptor->fd, &field);
    answer.size = field.size;
    if (field.size > 0)
        memcpy(answer.field, field.data, field.size);
    buffer_free(&field);
    acceptor_end(acceptor);
    acceptor_free(acceptor);
    return answer;
}

static struct answer answer_to(struct acceptor *acceptor, const struct raw_request *request)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    raw_associate(&out, request);
    struct answer answer = first_answer(acceptor, &out);
    buffer_free(&out);
    return answer;
}

static void expect_reject(const struct raw_request *request, uint8_t source, uint8_t reason)
{
    struct acceptor acceptor = {0};
    struct answer answer = answer_to(&acceptor, request);
    assert_int_equal(answer.type, 3);
    assert_int_equal(answer.field[1], 1);
    assert_int_equal(answer.field[2], source);
    assert_int_equal(answer.field[3], reason);
    assert_false(acceptor.asked);
}

static void expect_abort(const struct buffer *bytes)
{
    struct acceptor acceptor = {0};
    assert_int_equal(first_answer(&acceptor, bytes).type, 7);
    assert_false(acceptor.asked);
    assert_int_equal(acceptor.err.code, ERROR_PROTOCOL);
}

static void a_good_request_is_accepted_and_its_titles_repeated(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct answer answer = answer_to(&acceptor, &(struct raw_request){.contexts = 3});
    assert_int_equal(answer.type, 2);
    assert_memory_equal(answer.field + 4, "HILUM           PEER            ", 32);
    assert_true(acceptor.asked);
    assert_int_equal(acceptor.context_count, 3);
}

static void the_answer_names_each_context_with_its_result(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct answer answer = answer_to(&acceptor, &(struct raw_request){.abstract = REFUSED_CLASS, .contexts = 2});
    assert_int_equal(answer.type, 2);
    const uint8_t *item = answer.field + 68 + 4 + bytes_u16be(answer.field + 70); // behind the application context
    assert_int_equal(item[0], 0x21);
    assert_int_equal(item[4], 1);
    assert_int_equal(item[6], DIMSE_CONTEXT_ABSTRACT_UNSUPPORTED);
    item += 4 + bytes_u16be(item + 2);
    assert_int_equal(item[4], 3);
}

static void a_maximum_length_of_0_or_4_gib_is_capped(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    assert_int_equal(answer_to(&acceptor, &(struct raw_request){.maximum_length = 0}).type, 2);
    assert_int_equal(acceptor.peer_pdu_max, DIMSE_PDU_SENT_MAX);
    acceptor = (struct acceptor){0};
    assert_int_equal(answer_to(&acceptor, &(struct raw_request){.maximum_length = UINT32_MAX}).type, 2);
    assert_int_equal(acceptor.peer_pdu_max, DIMSE_PDU_SENT_MAX);
    acceptor = (struct acceptor){0};
    assert_int_equal(answer_to(&acceptor, &(struct raw_request){.maximum_length = 16384}).type, 2);
    assert_int_equal(acceptor.peer_pdu_max, 16384);
}

static void a_maximum_length_of_1_is_rejected(void **context)
{
    (void)context;
    expect_reject(&(struct raw_request){.maximum_length = 1}, 2, 1);
}

static void as_many_contexts_as_the_standard_allows_are_taken(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    assert_int_equal(answer_to(&acceptor, &(struct raw_request){.contexts = 128}).type, 2);
    assert_int_equal(acceptor.context_count, 128);
}

static void a_request_longer_than_a_data_pdu_is_taken(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    assert_int_equal(answer_to(&acceptor, &(struct raw_request){.contexts = 128, .syntaxes = 60}).type, 2);
    assert_int_equal(acceptor.first_syntax_count, 60);
}

static void transfer_syntaxes_past_the_limit_are_passed_over(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    assert_int_equal(answer_to(&acceptor, &(struct raw_request){.syntaxes = 300}).type, 2);
    assert_int_equal(acceptor.first_syntax_count, DIMSE_SYNTAXES_MAX);
}

static void contexts_129_even_or_repeated_are_rejected(void **context)
{
    (void)context;
    expect_reject(&(struct raw_request){.contexts = 129}, 2, 1);
    expect_reject(&(struct raw_request){.first_id = 2}, 2, 1);
    expect_reject(&(struct raw_request){.contexts = 2, .id_step = 1}, 2, 1);
    expect_reject(&(struct raw_request){.contexts = 3, .id_step = 128}, 2, 1);
}

static void an_unfit_title_is_rejected_before_anyone_sees_it(void **context)
{
    (void)context;
    static const char *const unfit[] = {"../x",
                                        "                ",
                                        "A\\B",
                                        "A\xFF"
                                        "B",
                                        "A\x01"
                                        "B",
                                        "x/.."};
    for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
        expect_reject(&(struct raw_request){.called = unfit[i]}, 1, 7);
        expect_reject(&(struct raw_request){.calling = unfit[i]}, 1, 3);
    }
}

static void another_protocol_version_or_application_context_is_rejected(void **context)
{
    (void)context;
    expect_reject(&(struct raw_request){.version = 2}, 2, 2);
    expect_reject(&(struct raw_request){.application = "1.2.3"}, 1, 2);
}

static void expect_abort_after_edit(size_t from_end, uint8_t value)
{
    struct buffer out;
    buffer_init(&out, 4096);
    raw_associate(&out, &(struct raw_request){0});
    out.data[out.size - from_end] = value;
    expect_abort(&out);
    buffer_free(&out);
}

static void lengths_that_lie_in_user_information_are_aborted(void **context)
{
    (void)context;
    // The request ends: 50 00 0008 51 00 0004 xxxxxxxx
    expect_abort_after_edit(5, 200);  // the maximum length item claims 200 bytes
    expect_abort_after_edit(5, 3);    // and a wrong size
    expect_abort_after_edit(9, 200);  // user information claims more than the PDU has
    expect_abort_after_edit(9, 7);    // or less than its items
    expect_abort_after_edit(10, 255); // 65 kB
    // and with lengths that agree, but a maximum length of 5 bytes
    struct buffer out;
    buffer_init(&out, 4096);
    raw_associate(&out, &(struct raw_request){0});
    out.data[5]++;
    out.data[out.size - 9]++;
    out.data[out.size - 5]++;
    buffer_byte(&out, 0);
    expect_abort(&out);
    buffer_free(&out);
}

static void a_context_without_an_abstract_syntax_is_aborted(void **context)
{
    (void)context;
    struct buffer out;
    buffer_init(&out, 4096);
    raw_associate(&out, &(struct raw_request){0});
    uint8_t *item = memmem(out.data, out.size, "\x30\x00\x00\x19", 4);
    assert_non_null(item);
    item[0] = 0x31;
    expect_abort(&out);
    buffer_free(&out);
}

static void a_pdu_of_impossible_length_is_aborted_at_once(void **context)
{
    (void)context;
    static const uint32_t lengths[] = {0, 3, DIMSE_REQUEST_SIZE_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct buffer out;
        buffer_init(&out, 64);
        raw_pdu(&out, 1, lengths[i], "abc", 3);
        expect_abort(&out);
        buffer_free(&out);
    }
}

static void a_pdu_type_that_does_not_exist_is_aborted(void **context)
{
    (void)context;
    static const uint8_t types[] = {0, 8, 0x55, 0xFF};
    for (size_t i = 0; i < sizeof types; i++) {
        struct buffer out;
        buffer_init(&out, 64);
        raw_pdu(&out, types[i], 4, "abcd", 4);
        expect_abort(&out);
        buffer_free(&out);
    }
}

static void another_pdu_than_a_request_is_aborted(void **context)
{
    (void)context;
    static const uint8_t types[] = {3, 5, 6};
    for (size_t i = 0; i < sizeof types; i++) {
        struct buffer out;
        buffer_init(&out, 64);
        raw_pdu(&out, types[i], 4, "abcd", 4);
        expect_abort(&out);
        buffer_free(&out);
    }
    struct buffer out;
    buffer_init(&out, 64);
    raw_value(&out, 1, 3, "data", 4);
    expect_abort(&out);
    buffer_free(&out);
}

static void an_abort_before_the_request_ends_quietly(void **context)
{
    (void)context;
    struct acceptor acceptor = {0};
    struct buffer out;
    buffer_init(&out, 64);
    raw_pdu(&out, 7, 4, "\0\0\0\0", 4);
    assert_int_equal(first_answer(&acceptor, &out).type, 0);
    buffer_free(&out);
}

int test_associate(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_request_is_accepted_and_its_titles_repeated),
        cmocka_unit_test(the_answer_names_each_context_with_its_result),
        cmocka_unit_test(a_maximum_length_of_0_or_4_gib_is_capped),
        cmocka_unit_test(a_maximum_length_of_1_is_rejected),
        cmocka_unit_test(as_many_contexts_as_the_standard_allows_are_taken),
        cmocka_unit_test(a_request_longer_than_a_data_pdu_is_taken),
        cmocka_unit_test(transfer_syntaxes_past_the_limit_are_passed_over),
        cmocka_unit_test(contexts_129_even_or_repeated_are_rejected),
        cmocka_unit_test(an_unfit_title_is_rejected_before_anyone_sees_it),
        cmocka_unit_test(another_protocol_version_or_application_context_is_rejected),
        cmocka_unit_test(lengths_that_lie_in_user_information_are_aborted),
        cmocka_unit_test(a_context_without_an_abstract_syntax_is_aborted),
        cmocka_unit_test(a_pdu_of_impossible_length_is_aborted_at_once),
        cmocka_unit_test(a_pdu_type_that_does_not_exist_is_aborted),
        cmocka_unit_test(another_pdu_than_a_request_is_aborted),
        cmocka_unit_test(an_abort_before_the_request_ends_quietly),
    };
    return cmocka_run_group_tests_name("associate", tests, NULL, NULL);
}
