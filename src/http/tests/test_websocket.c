// Frames of RFC 6455, its own examples (section 5.7) among them.
#include "http/websocket.h"

#include <stdlib.h>
#include <string.h>

#include "fixture.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1
static const uint8_t mask[] = {0x37, 0xFA, 0x21, 0x3D};

// What the bytes are when they come in pieces of `piece`: the whole messages one behind the other, "KIND:DATA;", a
// close frame with its code. false: refused with *code.
static bool take(bool of_server, const uint8_t *data, size_t size, size_t piece, struct buffer *said,
                 enum websocket_code *code)
{
    struct websocket_reader reader;
    struct websocket_message message;
    struct error err = {0};
    bool ok = true, whole;
    size_t used;
    websocket_reader_init(&reader, of_server);
    buffer_init(said, 1 << 20);
    for (size_t at = 0; ok && at < size; at += used) {
        ok = websocket_take(&reader, data + at, size - at < piece ? size - at : piece, &used, &whole, &message, code,
                            &err);
        if (!ok)
            assert_true(err.code != ERROR_NONE && err.message[0]);
        if (ok && whole) {
            buffer_printf(said, "%d:", message.kind);
            if (message.kind == WEBSOCKET_CLOSE)
                buffer_printf(said, "%d:", message.code);
            buffer_append(said, message.data, message.size);
            buffer_byte(said, ';');
        }
    }
    websocket_reader_free(&reader);
    return ok;
}

static void says(bool of_server, const uint8_t *data, size_t size, const char *wanted)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 3};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        enum websocket_code code;
        struct buffer said;
        assert_true(take(of_server, data, size, pieces[i], &said, &code));
        buffer_byte(&said, '\0');
        assert_string_equal((const char *)said.data, wanted);
        buffer_free(&said);
    }
}

static void refused_with(bool of_server, const uint8_t *data, size_t size, enum websocket_code wanted)
{
    enum websocket_code code;
    struct buffer said;
    assert_false(take(of_server, data, size, SIZE_MAX, &said, &code));
    buffer_free(&said);
    assert_int_equal(code, wanted);
    assert_false(take(of_server, data, size, 1, &said, &code));
    buffer_free(&said);
    assert_int_equal(code, wanted);
}

static void the_standard_s_examples_are_read(void **state)
{
    (void)state;
    says(true, BYTES("\x81\x05Hello"), "1:Hello;");
    says(false, BYTES("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "1:Hello;");
    says(true, BYTES("\x01\x03Hel\x80\x02lo"), "1:Hello;");
    says(true, BYTES("\x89\x05Hello"), "9:Hello;");
    says(false, BYTES("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "10:Hello;");
    static uint8_t data[10 + 65536];
    struct buffer said;
    enum websocket_code code;
    memcpy(data, "\x82\x7e\x01\x00", 4); // 256 bytes
    assert_true(take(true, data, 4 + 256, SIZE_MAX, &said, &code));
    assert_int_equal(said.size, 2 + 256 + 1);
    buffer_free(&said);
    memcpy(data, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10); // 64 KiB
    assert_true(take(true, data, sizeof data, SIZE_MAX, &said, &code));
    assert_int_equal(said.size, 2 + 65536 + 1);
    buffer_free(&said);
}

static void fragments_are_joined_and_control_frames_come_between(void **state)
{
    (void)state;
    says(true, BYTES("\x01\x02Gr\x89\x02hi\x00\x01\xc3\x80\x03\xbc\xc3\x9f\x82\x01x"),
         "9:hi;1:Gr\xc3\xbc\xc3\x9f;2:x;");
}

static void what_breaks_the_rules_is_refused_with_its_code(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        enum websocket_code code;
        bool of_server;
    } cases[] = {
#define CASE(of_server, bytes, code) {bytes, sizeof(bytes) - 1, code, of_server}
        CASE(false, "\x81\x05Hello", WEBSOCKET_PROTOCOL),                // no mask
        CASE(true, "\x81\x85\x37\xfa\x21\x3dHello", WEBSOCKET_PROTOCOL), // a server's mask
        CASE(true, "\xc1\x01x", WEBSOCKET_PROTOCOL),                     // a reserved bit
        CASE(true, "\x83\x01x", WEBSOCKET_PROTOCOL),                     // reserved opcodes
        CASE(true, "\x8b\x01x", WEBSOCKET_PROTOCOL),                     //
        CASE(true, "\x80\x01x", WEBSOCKET_PROTOCOL),                     // goes on with nothing
        CASE(true, "\x01\x01x\x81\x01y", WEBSOCKET_PROTOCOL),            // a message inside another
        CASE(true, "\x09\x01x", WEBSOCKET_PROTOCOL),                     // a ping in fragments
        CASE(true, "\x89\x7e\x00\x7e", WEBSOCKET_PROTOCOL),              // a long ping
        CASE(true, "\x81\x7e\x00\x7d", WEBSOCKET_PROTOCOL),              // 125 in two bytes
        CASE(true, "\x81\x7f\0\0\0\0\0\0\xff\xff", WEBSOCKET_PROTOCOL),  // 65535 in eight
        CASE(true, "\x81\x7f\x80\0\0\0\0\0\0\0", WEBSOCKET_PROTOCOL),    // 2^63
        CASE(true, "\x81\x7f\0\0\0\0\0\x01\0\x01", WEBSOCKET_TOO_LONG),  // 65537
        CASE(true, "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", WEBSOCKET_TOO_LONG),
        CASE(true, "\x81\x02\xc3(", WEBSOCKET_BAD_DATA),        // no UTF-8
        CASE(true, "\x81\x03\xed\xa0\x80", WEBSOCKET_BAD_DATA), // a surrogate
        CASE(true, "\x81\x01\xc3", WEBSOCKET_BAD_DATA),         // cut
        CASE(true, "\x88\x01\x03", WEBSOCKET_PROTOCOL),         // half a code
        CASE(true, "\x88\x02\x03\xed", WEBSOCKET_PROTOCOL),     // 1005
        CASE(true, "\x88\x02\x03\xee", WEBSOCKET_PROTOCOL),     // 1006
        CASE(true, "\x88\x02\x00\x00", WEBSOCKET_PROTOCOL),     //
        CASE(true, "\x88\x02\x0b\xb7", WEBSOCKET_PROTOCOL),     // 2999
        CASE(true, "\x88\x03\x03\xe8\xff", WEBSOCKET_BAD_DATA), // a reason that is no text
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused_with(cases[i].of_server, (const uint8_t *)cases[i].bytes, cases[i].size, cases[i].code);
}

static void many_fragments_are_held_to_the_limit_of_one_message(void **state)
{
    (void)state;
    enum { PIECE = 1000 };
    struct buffer frames;
    static uint8_t body[PIECE];
    buffer_init(&frames, 1 << 20);
    for (int i = 0; i < 66; i++) {
        websocket_write(&frames, WEBSOCKET_BINARY, body, PIECE, NULL);
        frames.data[frames.size - PIECE - 4] = i == 0 ? 0x02 : 0x00; // neither is the last
    }
    refused_with(true, frames.data, frames.size, WEBSOCKET_TOO_LONG);
    buffer_free(&frames);
}

static void close_frames_give_code_and_reason(void **state)
{
    (void)state;
    says(true, BYTES("\x88\x00"), "8:1005:;");
    says(true, BYTES("\x88\x02\x03\xe8"), "8:1000:;");
    says(true,
         BYTES("\x88\x05\x0f\xa1"
               "bye"),
         "8:4001:bye;");
}

static void what_is_written_is_read_again_and_is_as_short_as_it_can_be(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536};
    static const size_t heads[] = {2, 2, 2, 4, 4, 10};
    uint8_t *data = malloc(65536);
    memset(data, 'x', 65536);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int masked = 0; masked < 2; masked++) {
            struct buffer frame, said;
            enum websocket_code code;
            buffer_init(&frame, 1 << 17);
            websocket_write(&frame, WEBSOCKET_TEXT, data, sizes[i], masked ? mask : NULL);
            assert_int_equal(frame.size, heads[i] + (masked ? 4 : 0) + sizes[i]);
            assert_true(take(!masked, frame.data, frame.size, 1000, &said, &code));
            assert_int_equal(said.size, 2 + sizes[i] + 1);
            assert_true(sizes[i] == 0 || memcmp(said.data + 2, data, sizes[i]) == 0);
            buffer_free(&said);
            buffer_free(&frame);
        }
    free(data);
}

static void a_reason_that_is_too_long_is_cut_between_characters(void **state)
{
    (void)state;
    struct buffer frame, said;
    enum websocket_code code;
    char reason[301];
    for (int i = 0; i < 300; i += 2)
        memcpy(reason + i, "\xc3\xbc", 2);
    reason[300] = '\0';
    buffer_init(&frame, 200);
    websocket_write_close(&frame, WEBSOCKET_PROTOCOL, reason);
    assert_int_equal(frame.size, 2 + 124); // 2 of the code, 61 characters of two
    assert_true(take(true, frame.data, frame.size, SIZE_MAX, &said, &code));
    buffer_free(&said);
    buffer_free(&frame);
}

static void the_key_is_answered_as_in_the_standard(void **state)
{
    (void)state;
    char accept[WEBSOCKET_ACCEPT_SIZE];
    assert_string_equal(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", accept), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_true(websocket_key_fits("dGhlIHNhbXBsZSBub25jZQ=="));
    static const char *const bad[] = {"",
                                      "dGhlIHNhbXBsZSBub25jZQ=",
                                      "dGhlIHNhbXBsZSBub25jZQ===",
                                      "dGhlIHNhbXBsZSBub25jZQAA",
                                      "dGhlIHNhbXBs SBub25jZQ==",
                                      "===================="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(websocket_key_fits(bad[i]));
}

int test_websocket(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standard_s_examples_are_read),
        cmocka_unit_test(fragments_are_joined_and_control_frames_come_between),
        cmocka_unit_test(what_breaks_the_rules_is_refused_with_its_code),
        cmocka_unit_test(many_fragments_are_held_to_the_limit_of_one_message),
        cmocka_unit_test(close_frames_give_code_and_reason),
        cmocka_unit_test(what_is_written_is_read_again_and_is_as_short_as_it_can_be),
        cmocka_unit_test(a_reason_that_is_too_long_is_cut_between_characters),
        cmocka_unit_test(the_key_is_answered_as_in_the_standard),
    };
    return cmocka_run_group_tests_name("websocket frames", tests, NULL, NULL);
}
