#include "support/check.h"
#include "support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hl7/hl7.h"

static const struct hl7_message *parsed(const char *text)
{
    const struct hl7_message *message = NULL;
    struct error err;
    assert_ok(hl7_parse(text, strlen(text), &scratch, &message, &err), err);
    return message;
}

static void check_refused(const char *text, size_t size, enum error_code code)
{
    const struct hl7_message *message = NULL;
    struct error err = {0};
    if (hl7_parse(text, size, &scratch, &message, &err))
        fail_msg("accepted: %.40s", text);
    if (err.code != code)
        fail_msg("%s, not %s (%s): %.40s", error_name(err.code), error_name(code), err.message, text);
    assert_true(strlen(err.message) > 0);
    assert_null(message);
}

#define HEAD "MSH|^~\\&|SEND|SFAC|RECV|RFAC|20261124130336||ORU^R01^ORU_R01|C1|P|2.5.1"

static void fields_are_found_by_segment_repetition_component_and_subcomponent(void **state)
{
    (void)state;
    static const struct {
        const char *segment;
        size_t nth;
        unsigned field, repetition, component, subcomponent;
        const char *value;
    } rows[] = {
        {"MSH", 0, 1, 1, 1, 1, "|"},      {"MSH", 0, 1, 1, 1, 2, ""},
        {"MSH", 0, 2, 1, 1, 1, "^~\\&"},  {"MSH", 0, 2, 2, 1, 1, ""},
        {"MSH", 0, 3, 1, 1, 1, "SEND"},   {"MSH", 0, 9, 1, 2, 1, "R01"},
        {"MSH", 0, 12, 1, 1, 1, "2.5.1"}, {"MSH", 0, 13, 1, 1, 1, ""},
        {"MSH", 1, 3, 1, 1, 1, ""},       {"PID", 0, 3, 1, 1, 1, "123"},
        {"PID", 0, 3, 1, 4, 1, "HOSP"},   {"PID", 0, 3, 1, 4, 2, "1.2.3"},
        {"PID", 0, 3, 1, 4, 3, "ISO"},    {"PID", 0, 3, 2, 1, 1, "987"},
        {"PID", 0, 3, 3, 1, 1, ""},       {"PID", 0, 5, 1, 1, 1, "M\xC3\xBCller"},
        {"PID", 0, 7, 1, 1, 1, "\"\""},   {"PID", 0, 0, 1, 1, 1, ""},
        {"PID", 0, 3, 0, 1, 1, ""},       {"PID", 0, 99, 1, 1, 1, ""},
        {"OBX", 0, 5, 1, 1, 1, "first"},  {"OBX", 2, 5, 1, 1, 1, "third"},
        {"OBX", 3, 5, 1, 1, 1, ""},       {"ZZZ", 0, 1, 1, 1, 1, ""},
        {"NTE", 0, 1, 1, 1, 1, ""},       {"toolong", 0, 1, 1, 1, 1, ""},
    };
    const struct hl7_message *m = parsed(HEAD "\rPID|1||123^^^HOSP&1.2.3&ISO^MR~987||M\xC3\xBCller^Eva||\"\"\r"
                                              "OBX|1|TX|||first\rOBR|1\rOBX|2|TX|||second\rOBX|3|TX|||third\rNTE\r");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *value = hl7_get(m, rows[i].segment, rows[i].nth, rows[i].field, rows[i].repetition,
                                    rows[i].component, rows[i].subcomponent, &scratch);
        if (strcmp(value, rows[i].value) != 0)
            fail_msg("row %zu: \"%s\", not \"%s\"", i, value, rows[i].value);
    }
}

static void segments_and_repetitions_are_counted_and_placed(void **state)
{
    (void)state;
    const struct hl7_message *m = parsed(HEAD "\rPID|1||a~b~~c|||\rOBR|1\rOBX|1\rOBR|2\rOBX|2\rOBX|3\r");
    assert_int_equal(hl7_count(m, "MSH"), 1);
    assert_int_equal(hl7_count(m, "OBX"), 3);
    assert_int_equal(hl7_count(m, "AAA"), 0);
    assert_int_equal(hl7_count(m, "ZZZ"), 0);
    assert_int_equal(hl7_repetitions(m, "PID", 0, 3), 4);
    assert_int_equal(hl7_repetitions(m, "PID", 0, 1), 1);
    assert_int_equal(hl7_repetitions(m, "PID", 0, 5), 0);
    assert_int_equal(hl7_repetitions(m, "PID", 1, 3), 0);
    assert_int_equal(hl7_repetitions(m, "MSH", 0, 2), 1);
    assert_int_equal(hl7_position(m, "MSH", 0), 0);
    assert_int_equal(hl7_position(m, "OBR", 1), 4);
    assert_int_equal(hl7_position(m, "OBX", 0), 3);
    assert_int_equal(hl7_position(m, "OBX", 2), 6);
    assert_true(hl7_position(m, "OBX", 3) == SIZE_MAX);
}

static void any_line_end_is_taken_and_empty_lines_are_passed_over(void **state)
{
    (void)state;
    static const char *const texts[] = {HEAD "\rPID|1\rOBX|1", HEAD "\nPID|1\nOBX|1\n", HEAD "\r\nPID|1\r\nOBX|1\r\n",
                                        HEAD "\r\r\nPID|1\r\r\rOBX|1\r\n\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const struct hl7_message *m = parsed(texts[i]);
        assert_string_equal(hl7_get(m, "MSH", 0, 12, 1, 1, 1, &scratch), "2.5.1");
        assert_int_equal(hl7_position(m, "PID", 0), 1);
        assert_int_equal(hl7_position(m, "OBX", 0), 2);
    }
}

static void delimiters_are_the_messages_own(void **state)
{
    (void)state;
    const struct hl7_message *m = parsed("MSH*:;!%*A*B*C*D*1**ORU:R01*77*P*2.5.1\rPID*1**x:y%z;w!F!:|^~\\&\r");
    assert_string_equal(hl7_get(m, "MSH", 0, 1, 1, 1, 1, &scratch), "*");
    assert_string_equal(hl7_get(m, "MSH", 0, 2, 1, 1, 1, &scratch), ":;!%");
    assert_string_equal(hl7_get(m, "MSH", 0, 9, 1, 2, 1, &scratch), "R01");
    assert_string_equal(hl7_get(m, "PID", 0, 3, 1, 2, 1, &scratch), "y");
    assert_string_equal(hl7_get(m, "PID", 0, 3, 1, 2, 2, &scratch), "z");
    assert_string_equal(hl7_get(m, "PID", 0, 3, 2, 1, 1, &scratch), "w*");
    assert_string_equal(hl7_get(m, "PID", 0, 3, 2, 2, 1, &scratch), "|^~\\&");
    m = parsed("MSH|^~\\&#|A|B|C|D|1||ORU|1|P|2.7\rNTE|1||a\\P\\b\r"); // a truncation mark
    assert_string_equal(hl7_get(m, "NTE", 0, 3, 1, 1, 1, &scratch), "a#b");
}

static void escapes_are_undone_and_what_is_none_stays(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f", "a|b^c&d~e\\f"},
        {"one\\.br\\two", "one\ntwo"},
        {"\\H\\loud\\N\\ soft", "loud soft"},
        {"\\X41\\\\X4243\\", "ABC"},
        {"\\XC3A4\\", "\xC3\xA4"},
        {"\\XE4\\", "\xC3\xA4"}, // no UTF-8: ISO 8859-1
        {"\\X4\\", "\\X4\\"},    // odd
        {"\\X00\\", "\\X00\\"},  // a NUL would cut the text
        {"\\XZZ\\", "\\XZZ\\"},  // no digits
        {"\\X\\", "\\X\\"},      // none
        {"C:\\temp\\new", "C:\\temp\\new"},
        {"\\temp\\F\\x", "\\temp|x"}, // the mark that ends no escape may begin one
        {"\\", "\\"},
        {"\\\\", "\\\\"},
        {"\\F", "\\F"},
        {"\\.sp3\\x", "\\.sp3\\x"},
        {"\\C2842\\", "\\C2842\\"},
        {"a\\F\\", "a|"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        snprintf(text, sizeof text, HEAD "\rNTE|1||%s|\r", rows[i].in);
        const char *got = hl7_get(parsed(text), "NTE", 0, 3, 1, 1, 1, &scratch);
        if (strcmp(got, rows[i].out) != 0)
            fail_msg("\"%s\" gave \"%s\", not \"%s\"", rows[i].in, got, rows[i].out);
    }
}

static void a_hex_escape_longer_than_any_character_stays(void **state)
{
    (void)state;
    char text[600], digits[301];
    memset(digits, '4', 300);
    digits[300] = '\0';
    snprintf(text, sizeof text, HEAD "\rNTE|1||\\X%s\\", digits);
    const char *got = hl7_get(parsed(text), "NTE", 0, 3, 1, 1, 1, &scratch);
    assert_int_equal(strlen(got), 303);
    assert_memory_equal(got, "\\X444", 5);
}

static void latin_1_is_converted_and_utf_8_is_the_rule(void **state)
{
    (void)state;
    const struct hl7_message *m = parsed(HEAD "||||||8859/1\rPID|1||||M\xFCller^J\xF6rg\\XFC\\\rOBX|1||||\xDF\r");
    assert_string_equal(hl7_get(m, "PID", 0, 5, 1, 1, 1, &scratch), "M\xC3\xBCller");
    assert_string_equal(hl7_get(m, "PID", 0, 5, 1, 2, 1, &scratch), "J\xC3\xB6rg\xC3\xBC");
    assert_string_equal(hl7_get(m, "OBX", 0, 5, 1, 1, 1, &scratch), "\xC3\x9F");
    m = parsed(HEAD "||||||UNICODE UTF-8\rPID|1||||M\xC3\xBCller\r");
    assert_string_equal(hl7_get(m, "PID", 0, 5, 1, 1, 1, &scratch), "M\xC3\xBCller");
    static const char foreign[] = HEAD "||||||8859/5\rPID|1\r", wrong[] = HEAD "\rPID|1||||M\xFCller\r";
    check_refused(foreign, sizeof foreign - 1, ERROR_UNSUPPORTED);
    check_refused(wrong, sizeof wrong - 1, ERROR_BAD_DATA);
}

// bad-input, line 74
static void a_cut_msh_or_odd_delimiters_are_refused(void **state)
{
    (void)state;
    static const char whole[] = HEAD;
    for (size_t size = 0; size < strlen("MSH|^~\\&|SEND|SFAC|RECV|RFAC|20261124130336||ORU^R01^ORU_R01|"); size++)
        check_refused(whole, size, ERROR_BAD_DATA);
    static const char *const odd[] = {
        "MSHx^~\\&xAxBxCxDx1xxORUx1xP", // a letter
        "MSH0^~\\&0A0B",
        "MSH ^~\\& A B C D 1  ORU 1 P",
        "MSH\t^~\\&\tA\tB",
        "MSH|^^\\&|A|B|C|D|1||ORU|1|P",   // twice the same
        "MSH|^~\\|A|B|C|D|1||ORU|1|P",    // three
        "MSH|^~\\&#!|A|B|C|D|1||ORU|1|P", // six
        "MSH|^~\\A|A|B|C|D|1||ORU|1|P",
        "MSH|^~\\ |A|B|C|D|1||ORU|1|P",
        "MSH|\xC3\xA4\\&|A|B|C|D|1||ORU|1|P",
        "MSH||||||||ORU|1|P",
        "MSHMSHMSHMSH",
        "msh|^~\\&|A|B|C|D|1||ORU|1|P",
        "FHS|^~\\&|A|B",
        " " HEAD,
        "MSH|^~\\&|A|B|C|D|1|||1|P",   // no type
        "MSH|^~\\&|A|B|C|D|1||ORU||P", // no control ID
    };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        check_refused(odd[i], strlen(odd[i]), ERROR_BAD_DATA);
}

static void lines_that_are_no_segments_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        HEAD "\rPI\r",       HEAD "\rPIDX|1\r", HEAD "\rof a text that was wrapped\r", HEAD "\rP-D|1\r", HEAD "\r|||\r",
        HEAD "\r" HEAD "\r", // a second message
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_refused(bad[i], strlen(bad[i]), ERROR_BAD_DATA);
    check_refused(HEAD "\rPID|\0|\r", sizeof HEAD "\rPID|\0|\r" - 1, ERROR_BAD_DATA);
}

// HEAD and `count` times `piece`.
static char *repeated(const char *piece, size_t count, size_t *size)
{
    size_t length = strlen(piece);
    char *text = malloc(sizeof HEAD + count * length);
    assert_non_null(text);
    *size = sizeof HEAD - 1;
    memcpy(text, HEAD, *size);
    for (size_t i = 0; i < count; i++, *size += length)
        memcpy(text + *size, piece, length);
    return text;
}

static void limits_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *piece;
        size_t most; // fits as often as this
    } rows[] = {{"\rZ01", HL7_SEGMENTS_MAX - 1}, {"|", HL7_FIELDS_MAX - 11}, {"~", HL7_MESSAGE_MAX - sizeof HEAD + 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct hl7_message *m;
        struct error err;
        size_t size;
        char *text = repeated(rows[i].piece, rows[i].most, &size);
        assert_ok(hl7_parse(text, size, &scratch, &m, &err), err);
        free(text);
        text = repeated(rows[i].piece, rows[i].most + 1, &size);
        check_refused(text, size, ERROR_LIMIT);
        free(text);
    }
    char control[HL7_CONTROL_MAX + 2], text[400];
    memset(control, 'x', sizeof control - 1);
    control[sizeof control - 1] = '\0';
    snprintf(text, sizeof text, "MSH|^~\\&|||||||ORU|%s|P", control);
    check_refused(text, strlen(text), ERROR_LIMIT);
}

static void a_full_arena_is_told_and_never_passed_over(void **state)
{
    (void)state;
    static const char utf8[] = HEAD "\rPID|1||123\r", latin1[] = HEAD "||||||8859/1\rPID|1||\xFC\r";
    static const struct {
        const char *text;
        size_t size;
    } rows[] = {{utf8, sizeof utf8 - 1}, {latin1, sizeof latin1 - 1}};
    for (size_t i = 0; i < 2; i++) {
        bool done = false;
        for (size_t limit = 0; limit < 4096 && !done; limit += 16) {
            struct arena small;
            const struct hl7_message *m;
            struct error err = {0};
            arena_init(&small, limit);
            done = hl7_parse(rows[i].text, rows[i].size, &small, &m, &err);
            if (!done)
                assert_int_equal(err.code, ERROR_MEMORY);
            else
                assert_null(hl7_get(m, "PID", 0, 3, 1, 1, 1, &small));
            arena_free(&small);
        }
        assert_true(done);
    }
}

int test_message(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fields_are_found_by_segment_repetition_component_and_subcomponent,
                                        scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(segments_and_repetitions_are_counted_and_placed, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(any_line_end_is_taken_and_empty_lines_are_passed_over, scratch_begin,
                                        scratch_end),
        cmocka_unit_test_setup_teardown(delimiters_are_the_messages_own, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(escapes_are_undone_and_what_is_none_stays, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(a_hex_escape_longer_than_any_character_stays, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(latin_1_is_converted_and_utf_8_is_the_rule, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(a_cut_msh_or_odd_delimiters_are_refused, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(lines_that_are_no_segments_are_refused, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(limits_are_kept, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(a_full_arena_is_told_and_never_passed_over, scratch_begin, scratch_end),
    };
    return cmocka_run_group_tests_name("hl7 messages", tests, NULL, NULL);
}
