#include "support/check.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>

#include "hl7/hl7.h"
#include "support/zone.h"

enum { NOON_2026_11_24 = 1795521600 }; // seconds

static struct buffer out;
static struct hl7_writer writer;

static int begin(void **state)
{
    (void)state;
    buffer_init(&out, HL7_MESSAGE_MAX);
    arena_init(&scratch, 16 << 20);
    writer = (struct hl7_writer){.out = &out};
    return 0;
}

static int end(void **state)
{
    (void)state;
    buffer_free(&out);
    return scratch_end(state);
}

static void write_header(void)
{
    hl7_write_header(&writer, &(struct hl7_header){.sending_application = "HILUM",
                                                   .sending_facility = "RAD|1",
                                                   .receiving_application = "RIS",
                                                   .processing = "P",
                                                   .type = "ORU^R01^ORU_R01",
                                                   .control = "H-1",
                                                   .time_ns = NOON_2026_11_24 * CLOCK_SECOND + 123456789});
}

static void check_written(const char *expected)
{
    struct error err;
    assert_ok(buffer_check(&out, "the message", &err), err);
    buffer_byte(&out, '\0');
    assert_string_equal((const char *)out.data, expected);
}

static const struct hl7_message *read_back(void)
{
    const struct hl7_message *message;
    struct error err;
    assert_ok(hl7_parse((const char *)out.data, out.size, &scratch, &message, &err), err);
    return message;
}

static void segments_have_their_fields_at_their_numbers(void **state)
{
    (void)state;
    write_header();
    hl7_segment(&writer, "PID");
    hl7_field(&writer, 1, "1");
    hl7_components(&writer, 3, (const char *const[]){"123", "", "", "HOSP", "MR", NULL});
    hl7_repeat(&writer, (const char *const[]){"987", NULL});
    hl7_field(&writer, 4, NULL);
    hl7_field(&writer, 5, "Doe");
    hl7_segment(&writer, "NTE");
    hl7_segment(&writer, "OBX");
    hl7_raw(&writer, 5, "^application^pdf^Base64^QUJD", 28);
    hl7_end(&writer);
    hl7_end(&writer); // once is enough
    check_written("MSH|^~\\&|HILUM|RAD\\F\\1|RIS||20261124120000.123+0000||ORU^R01^ORU_R01|H-1|P|2.5.1||||||UNICODE "
                  "UTF-8\rPID|1||123^^^HOSP^MR~987||Doe\rNTE\rOBX|||||^application^pdf^Base64^QUJD\r");
}

static void any_text_comes_back_as_it_was(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain", "plain"},
        {"", ""},
        {"|^~\\&", "|^~\\&"},
        {"\\F\\ \\X41\\ \\.br\\", "\\F\\ \\X41\\ \\.br\\"},
        {"one\ntwo\r\nthree\rfour\n\nsix", "one\ntwo\nthree\nfour\n\nsix"},
        {"\xC2\x85\xC2\x9B\xE2\x80\xA8\xE2\x80\xAE\xEF\xBB\xBF",
         "\xC2\x85\xC2\x9B\xE2\x80\xA8\xE2\x80\xAE\xEF\xBB\xBF"},
        {"\x01\x0B\x1C\x7F\ttab", "\x01\x0B\x1C\x7F\ttab"},
        {"M\xC3\xBCller \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\xA7\xA0",
         "M\xC3\xBCller \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\xA7\xA0"},
        {"bad \xFF\xC3 end\xE6\x97", "bad \xEF\xBF\xBD\xEF\xBF\xBD end\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\"\"", ""}, // an order to delete, which no text is
        {" \"\" ", ""},
        {"\"\"\"", "\"\"\""},
        {"say \"\"", "say \"\""},
    };
    write_header();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hl7_segment(&writer, "NTE");
        hl7_formatted(&writer, 2, rows[i].in);
        hl7_components(&writer, 3, (const char *const[]){"a", rows[i].in, rows[i].in, NULL});
    }
    hl7_end(&writer);
    const struct hl7_message *m = read_back();
    assert_int_equal(hl7_count(m, "NTE"), sizeof rows / sizeof *rows);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(hl7_get(m, "NTE", i, 2, 1, 1, 1, &scratch), rows[i].out);
        char plain[64]; // where no formatting may be
        snprintf(plain, sizeof plain, "%s", rows[i].out);
        for (char *end = plain; (end = strchr(end, '\n'));)
            *end = ' ';
        assert_string_equal(hl7_get(m, "NTE", i, 3, 1, 2, 1, &scratch), plain);
        assert_string_equal(hl7_get(m, "NTE", i, 3, 1, 3, 1, &scratch), plain);
    }
    assert_null(memchr(out.data, 0x0B, out.size));
    assert_null(memchr(out.data, 0x1C, out.size));
    assert_null(memchr(out.data, '\n', out.size));
    assert_null(memchr(out.data, 0xC2, out.size)); // C1 controls
    assert_null(memmem(out.data, out.size, "\xE2\x80", 2));
}

static void a_time_is_in_the_zone_of_this_server(void **state)
{
    static const struct {
        const char *zone, *want;
    } rows[] = {{"Europe/Berlin", "20261124130000.000+0100"},
                {"America/Los_Angeles", "20261124040000.000-0800"},
                {"Pacific/Kiritimati", "20261125020000.000+1400"},
                {"UTC", "20261124120000.000+0000"}};
    char time[HL7_TIME_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        set_zone(rows[i].zone);
        assert_string_equal(hl7_time(time, NOON_2026_11_24 * CLOCK_SECOND), rows[i].want);
    }
}

static void a_time_is_read_in_its_zone_or_ours(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; // behind noon of 24 November 2026 in UTC
    } rows[] = {{"20261124120000", -3600},           {"20261124130000", 0},          {"20261124120001+0000", 1},
                {"20261124120000.9999-0330", 12600}, {"20261125020000.000+1400", 0}, {"20260724140000", -123 * 86400}};
    static const char *const bad[] = {"",
                                      "20261124",
                                      "202611241200",
                                      "20261324120000",
                                      "20260230120000",
                                      "20261124120000+01",
                                      "20261124120000Z",
                                      "20261124120000+0100x",
                                      "20261124250000"};
    int64_t time_ns;
    (void)state;
    set_zone("Europe/Berlin");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(hl7_time_read(rows[i].text, &time_ns));
        assert_int_equal(time_ns, (NOON_2026_11_24 + rows[i].seconds) * CLOCK_SECOND);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(hl7_time_read(bad[i], &time_ns));
    set_zone("UTC");
}

#define ASKED "MSH|^~\\&|RIS^1.2^ISO|HOSP|HILUM|RAD|20261124||ADT^A08|Q\\T\\7|T|2.3\rPID|1\r"

static void an_acknowledgement_turns_the_header_round(void **state)
{
    (void)state;
    hl7_write_answer(&writer, ASKED, sizeof ASKED - 1, "AA", NULL, "A-1", NOON_2026_11_24 * CLOCK_SECOND);
    check_written("MSH|^~\\&|HILUM|RAD|RIS|HOSP|20261124120000.000+0000||ACK^A08^ACK|A-1|T|2.5.1||||||UNICODE UTF-8\r"
                  "MSA|AA|Q\\T\\7\r");
}

static void a_refusal_says_why_in_msa_and_err(void **state)
{
    (void)state;
    struct error err;
    error_set(&err, ERROR_UNSUPPORTED, "ADT^A08 is not taken");
    hl7_write_answer(&writer, ASKED, sizeof ASKED - 1, "AR", &err, "A-2", 0);
    const struct hl7_message *m = read_back();
    assert_string_equal(hl7_get(m, "MSA", 0, 1, 1, 1, 1, &scratch), "AR");
    assert_string_equal(hl7_get(m, "MSA", 0, 2, 1, 1, 1, &scratch), "Q&7");
    assert_string_equal(hl7_get(m, "MSA", 0, 3, 1, 1, 1, &scratch), "ADT^A08 is not taken");
    assert_string_equal(hl7_get(m, "ERR", 0, 3, 1, 1, 1, &scratch), "200");
    assert_string_equal(hl7_get(m, "ERR", 0, 3, 1, 3, 1, &scratch), "HL70357");
    assert_string_equal(hl7_get(m, "ERR", 0, 4, 1, 1, 1, &scratch), "E");
    assert_string_equal(hl7_get(m, "ERR", 0, 8, 1, 1, 1, &scratch), "ADT^A08 is not taken");
    buffer_clear(&out);
    error_set(&err, ERROR_IO, "the disk is gone");
    hl7_write_answer(&writer, ASKED, sizeof ASKED - 1, "AE", &err, "A-3", 0);
    assert_string_equal(hl7_get(read_back(), "ERR", 0, 3, 1, 1, 1, &scratch), "207");
}

static void each_refusal_has_its_own_condition_in_err(void **state)
{
    static const struct {
        enum error_code code;
        const char *number; // of HL7 table 0357
    } rows[] = {
        {ERROR_BAD_DATA, "102"},  {ERROR_BAD_VALUE, "103"}, {ERROR_UNSUPPORTED, "200"}, {ERROR_NOT_FOUND, "204"},
        {ERROR_DUPLICATE, "205"}, {ERROR_BUSY, "206"},      {ERROR_INTERNAL, "207"},    {ERROR_FULL, "207"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err;
        error_set(&err, rows[i].code, "why");
        buffer_clear(&out);
        hl7_write_answer(&writer, ASKED, sizeof ASKED - 1, "AE", &err, "A-4", 0);
        assert_string_equal(hl7_get(read_back(), "ERR", 0, 3, 1, 1, 1, &scratch), rows[i].number);
    }
}

static void what_does_not_parse_is_answered_as_far_as_it_can_be_read(void **state)
{
    (void)state;
    static char large[4000] = "MSH|^~\\&|||";
    memset(large + strlen(large), 'x', 2000);
    strncat(large, "|||", 4);
    static const struct {
        const char *received, *control;
    } rows[] = {
        {"MSH|^~\\&|A|B|C|D|1|||C9|P\r", "C9"}, // no type
        {"MSH|^~\\&|A|B|C|D|1||ORU^\\F\\^&|C9|P\rgarbage\r", "C9"},
        {"MSH*:;!%*A*B*C*D*1**ORU:~~~*C!F!9*P\rgarbage", "C*9"}, // delimiters in the trigger
        {"MSH|^~\\&|A|B\xFF|C\xFE|D|1||ORU^R01|C9|P", "C9"},     // no UTF-8
        {"MSH|^~|A|B|C|D|1||ORU^R01|C9|P", ""},                  // no delimiters
        {"GET / HTTP/1.1\r\n", ""},
        {"", ""},
        {large, ""},
    };
    struct error err;
    error_set(&err, ERROR_BAD_DATA, "no");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        buffer_clear(&out);
        hl7_write_answer(&writer, rows[i].received, strlen(rows[i].received), "AR", &err, "A-1", 0);
        const struct hl7_message *m = read_back();
        assert_string_equal(hl7_get(m, "MSA", 0, 2, 1, 1, 1, &scratch), rows[i].control);
        assert_string_equal(hl7_get(m, "MSH", 0, 9, 1, 1, 1, &scratch), "ACK");
        assert_string_equal(hl7_get(m, "ERR", 0, 3, 1, 1, 1, &scratch), "102");
    }
}

static void a_full_buffer_is_told_at_the_end(void **state)
{
    (void)state;
    struct error err;
    out.limit = 50;
    write_header();
    hl7_end(&writer);
    assert_false(buffer_check(&out, "the message", &err));
    assert_int_equal(err.code, ERROR_LIMIT);
}

int test_writer(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(segments_have_their_fields_at_their_numbers, begin, end),
        cmocka_unit_test_setup_teardown(any_text_comes_back_as_it_was, begin, end),
        cmocka_unit_test(a_time_is_in_the_zone_of_this_server),
        cmocka_unit_test(a_time_is_read_in_its_zone_or_ours),
        cmocka_unit_test_setup_teardown(an_acknowledgement_turns_the_header_round, begin, end),
        cmocka_unit_test_setup_teardown(a_refusal_says_why_in_msa_and_err, begin, end),
        cmocka_unit_test_setup_teardown(each_refusal_has_its_own_condition_in_err, begin, end),
        cmocka_unit_test_setup_teardown(what_does_not_parse_is_answered_as_far_as_it_can_be_read, begin, end),
        cmocka_unit_test_setup_teardown(a_full_buffer_is_told_at_the_end, begin, end),
    };
    return cmocka_run_group_tests_name("hl7 writer", tests, NULL, NULL);
}
