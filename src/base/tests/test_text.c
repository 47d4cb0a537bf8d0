#include "support/check.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "support/zone.h"

static void whole_numbers_are_read_whole_or_not_at_all(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {" 42 ", true, 42},
        {"-7", true, -7},
        {"+7", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+", false, 0},
        {"--1", false, 0},
        {"-+1", false, 0},
        {"- 1", false, 0},
        {"1x", false, 0},
        {"0x10", false, 0},
        {"1 2", false, 0},
        {"99999999999999999999999", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t value = 0;
        bool ok = text_to_i64(rows[i].text, strlen(rows[i].text), &value);
        if (ok != rows[i].ok || value != rows[i].value)
            fail_msg("'%s' gave %d %lld", rows[i].text, ok, (long long)value);
    }
}

static void decimals_are_finite_decimals(void **state)
{
    static const char *const good[] = {"1", " -1.5e3 ", "+.5", "1.", "0.1"};
    static const char *const bad[] = {"", "nan", "inf", "0x1p3", "1e999", "1,5", "1e", "--1", "1 2"};
    double value;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(text_to_double(good[i], strlen(good[i]), &value));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (text_to_double(bad[i], strlen(bad[i]), &value))
            fail_msg("'%s' was taken", bad[i]);
    assert_true(text_to_double("-1.5e3", 6, &value) && value == -1500.0);
}

static void what_does_not_show_as_itself_is_told(void **state)
{
    static const char *const hidden[] = {
        "\x1F",
        "\x7F",
        "\xC2\x85",
        "\xC2\xAD",
        "\xD8\x9C",
        "\xE2\x80\x8B",
        "\xE2\x80\x8E",
        "\xE2\x80\x8F",
        "\xE2\x80\xA8",
        "\xE2\x80\xA9",
        "\xE2\x80\xAE",
        "\xE2\x81\xA0",
        "\xE2\x81\xA4",
        "\xE2\x81\xA6",
        "\xEF\xBB\xBF",
        "\xEF\xBF\xBE",
        "\xEF\xBF\xBF",
        "\xEF\xB7\x90",
        "\xF3\xA0\x81\xA1",
        "\xF3\xA0\x80\x80",
        "\xF0\x9F\xBF\xBE",
        "\xF4\x8F\xBF\xBF",
    };
    static const char *const blank[] = {" ", "\xC2\xA0", "\xE2\x80\x83", "\xE2\x80\x8D", "\xE3\x80\x80", "\xE3\x85\xA4",
                                        ""};
    static const char *const plain[] = {"a",
                                        "~",
                                        "\xC2\xA1",
                                        "\xC3\xA4",
                                        "\xD8\x9B",
                                        "\xE2\x80\x99",
                                        "\xE4\xB8\xAD",
                                        "\xEF\xBF\xBD",
                                        "\xF0\x9F\x98\x80"};
    (void)state;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++) {
        assert_int_equal(text_utf8_length(hidden[i], strlen(hidden[i])), strlen(hidden[i]));
        assert_true(text_is_control(hidden[i], strlen(hidden[i])));
        assert_false(text_is_visible(hidden[i], strlen(hidden[i])));
    }
    for (size_t i = 0; i < sizeof blank / sizeof *blank; i++) {
        assert_false(blank[i][0] && text_is_control(blank[i], strlen(blank[i])));
        assert_false(text_is_visible(blank[i], strlen(blank[i])));
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        assert_false(text_is_control(plain[i], strlen(plain[i])));
        assert_true(text_is_visible(plain[i], strlen(plain[i])));
    }
    assert_true(text_is_visible(" \xC2\xA0x", 4));
    assert_false(text_is_visible("\xFFx", 2));
}

static void names_that_a_reader_takes_for_the_same_look_alike(void **state)
{
    static const struct {
        const char *a, *b;
        bool alike;
    } rows[] = {{"Ada Lovelace", "ada  lovelace ", true},
                {"Ada Lovelace", "Ada\xC2\xA0Lovelace", true},
                {"Ada",
                 "A\xE2\x80\x8B"
                 "da",
                 true},
                {"M\xC3\xBCller", "M\xC3\xBCller", true},
                {"M\xC3\xBCller", "Muller", false},
                {"Ada", "Adam", false},
                {"", "", true},
                {"", "a", false}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (text_looks_alike(rows[i].a, rows[i].b) != rows[i].alike ||
            text_looks_alike(rows[i].b, rows[i].a) != rows[i].alike)
            fail_msg("row %zu", i);
    assert_true(text_is_plain("Dr. M\xC3\xBCller", 11));
    assert_false(text_is_plain("Dr.\nM", 5));
    assert_false(text_is_plain("\xE2\x80\xAE"
                               "admin",
                               8)); // U+202E
    assert_false(text_is_plain(" ", 1));
    assert_false(text_is_plain("a\xFF", 2));
}

static void what_is_shown_is_harmless_and_cut(void **state)
{
    char out[16];
    (void)state;
    assert_string_equal(text_show(out, sizeof out, "abc\r\n", 5), "abc\\x0D\\x0A");
    assert_string_equal(text_show(out, sizeof out, "\xFF\xC3\xA4", 3), "\\xFF\xC3\xA4");
    assert_string_equal(text_show(out, sizeof out, "\x1B[\xC2\x9B", 4),
                        "\\x1B[\\xC2\\x9B"); // both begin a terminal's command
    assert_string_equal(text_show(out, sizeof out, "\xE2\x80\xAE", 3), "\\xE2\\x80\\xAE"); // writes backwards from here
    assert_string_equal(text_show(out, sizeof out, "\xE2\x80\x99\xC2\xA0", 5), "\xE2\x80\x99\xC2\xA0");
    assert_string_equal(text_show(out, sizeof out, "0123456789abcdef", 16), "0123456789ab...");
    assert_string_equal(text_show(out, sizeof out, "0123456789abcde", 15), "0123456789abcde");
    assert_string_equal(text_show(out, sizeof out, "", 0), "");
}

static void addresses_are_host_and_port(void **state)
{
    char host[16];
    uint16_t port;
    (void)state;
    assert_true(text_host_port("127.0.0.1:8080", host, sizeof host, &port) && port == 8080);
    assert_string_equal(host, "127.0.0.1");
    assert_true(text_host_port("[::1]:104", host, sizeof host, &port) && port == 104);
    assert_string_equal(host, "::1");
    assert_false(text_host_port("::1:104", host, sizeof host, &port));
    assert_false(text_host_port("pacs", host, sizeof host, &port));
    assert_false(text_host_port("pacs:0", host, sizeof host, &port));
    assert_false(text_host_port("pacs:65536", host, sizeof host, &port));
    assert_false(text_host_port("a-name-that-is-too-long:1", host, sizeof host, &port));
}

static void a_host_and_port_are_shown_as_they_are_read(void **state)
{
    static const char *const cases[] = {"127.0.0.1:8080", "[::1]:104", "pacs:1", ":104"};
    char host[16], shown[32];
    uint16_t port;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(text_host_port(cases[i], host, sizeof host, &port));
        assert_string_equal(text_show_host_port(shown, sizeof shown, host, port), cases[i]);
    }
}

static void the_distance_of_two_words_is_what_must_be_changed(void **state)
{
    char longer[TEXT_DISTANCE_MAX + 2];
    (void)state;
    assert_int_equal(text_distance("send", "send"), 0);
    assert_int_equal(text_distance("sned", "send"), 2);
    assert_int_equal(text_distance("", "send"), 4);
    assert_int_equal(text_distance("sends", "end"), 2);
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_true(text_distance(longer, "a") == SIZE_MAX);
    assert_true(text_distance("a", longer) == SIZE_MAX);
}

static void hexadecimal_goes_both_ways(void **state)
{
    char text[9];
    uint8_t bytes[4];
    size_t size;
    (void)state;
    text_hex(text, "\x00\x7F\x80\xFF", 4);
    assert_string_equal(text, "007f80ff");
    assert_true(text_unhex("007F80ff", bytes, sizeof bytes, &size) && size == 4);
    assert_memory_equal(bytes, "\x00\x7F\x80\xFF", 4);
    assert_false(text_unhex("0", bytes, sizeof bytes, &size));
    assert_false(text_unhex("0g", bytes, sizeof bytes, &size));
    assert_false(text_unhex("0011223344", bytes, sizeof bytes, &size));
}

static void times_are_written_as_the_standards_say(void **state)
{
    char out[CLOCK_RFC3339_SIZE];
    int64_t time_ns = INT64_C(1795525416123456789); // 2026-11-24 13:03:36 UTC
    (void)state;
    assert_string_equal(clock_rfc3339(out, time_ns), "2026-11-24T13:03:36.123Z");
    assert_string_equal(clock_dicom_date(out, time_ns), "20261124");
    assert_string_equal(clock_dicom_time(out, time_ns), "130336.123456");
    assert_string_equal(clock_rfc3339(out, -1), "1969-12-31T23:59:59.999Z");
}

static void a_zone_is_that_of_its_instant(void **state)
{
    static const struct {
        const char *name;
        int64_t seconds;
        int zone;
    } rows[] = {
        {"UTC", 1795525416, 0},
        {"Europe/Berlin", 1774745999, 60},  // 2026-03-29 00:59:59 UTC
        {"Europe/Berlin", 1774746000, 120}, // a second later
        {"Europe/Berlin", 1792889999, 120}, // 2026-10-25 00:59:59 UTC
        {"Europe/Berlin", 1792890000, 60},
        {"America/Los_Angeles", 1795525416, -480},
        {"America/St_Johns", 1795525416, -210},
        {"Asia/Kathmandu", -1, 330}, // as it was then
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        set_zone(rows[i].name);
        assert_int_equal(clock_zone(rows[i].seconds * CLOCK_SECOND), rows[i].zone);
    }
    set_zone("UTC");
}

static void a_zone_is_that_of_what_the_clocks_showed(void **state)
{
    static const struct {
        const char *name, *date, *time;
        int zone;
    } rows[] = {
        {"Europe/Berlin", "20260701", "", 120},
        {"Europe/Berlin", "20261128", "185927.5", 60},
        {"Europe/Berlin", "20260329", "0159", 60},
        {"Europe/Berlin", "20260329", "023000", 60}, // was left out
        {"Europe/Berlin", "20260329", "030000", 120},
        {"Europe/Berlin", "20261025", "015959", 120},
        {"Europe/Berlin", "20261025", "023000", 120}, // came twice
        {"Europe/Berlin", "20261025", "030000", 60},
        {"America/Los_Angeles", "20260308", "013000", -480},
        {"America/Los_Angeles", "20260308", "033000", -420},
        {"America/Los_Angeles", "20261101", "013000", -420},
        {"America/Los_Angeles", "20261101", "020000", -480},
        {"Pacific/Kiritimati", "99991231", "235959", 840},
        {"UTC", "00010101", "00", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        set_zone(rows[i].name);
        if (clock_zone_of_local(rows[i].date, rows[i].time) != rows[i].zone)
            fail_msg("%s %s %s is %d", rows[i].name, rows[i].date, rows[i].time,
                     clock_zone_of_local(rows[i].date, rows[i].time));
    }
    set_zone("UTC");
}

static void a_zone_has_a_sign_hours_and_minutes(void **state)
{
    char out[CLOCK_ZONE_SIZE];
    (void)state;
    assert_string_equal(clock_zone_text(out, 0), "+0000");
    assert_string_equal(clock_zone_text(out, -210), "-0330");
    assert_string_equal(clock_zone_text(out, 840), "+1400");
    assert_int_equal(clock_zone_ns(-210), -210 * 60 * CLOCK_SECOND);
}

// Against the C library's calendar, which moves on what is none.
static void days_are_those_of_the_calendar(void **state)
{
    (void)state;
    for (int year = 1580; year <= 2410; year++)
        for (int month = 0; month <= 13; month++)
            for (int day = 0; day <= 32; day++) {
                struct tm parts = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = 12};
                timegm(&parts);
                bool is_same = parts.tm_year == year - 1900 && parts.tm_mon == month - 1 && parts.tm_mday == day;
                if (clock_is_day(year, month, day) != is_same)
                    fail_msg("%d-%d-%d", year, month, day);
            }
    assert_false(clock_is_day(0, 1, 1));
    assert_false(clock_is_day(10000, 1, 1));
}

static void an_error_names_the_value_and_fits(void **state)
{
    struct error err;
    char big[600];
    (void)state;
    assert_false(error_set(&err, ERROR_NOT_FOUND, "no study %s\n", "1.2"));
    assert_string_equal(err.message, "no study 1.2?");
    assert_int_equal(error_http(err.code), 404);
    assert_int_equal(error_dimse(ERROR_FULL), 0xA700);
    assert_false(error_prefix(&err, "page %d", 3));
    assert_string_equal(err.message, "page 3: no study 1.2?");
    memset(big, 'x', sizeof big);
    memcpy(big + ERROR_MESSAGE_SIZE - 3, "\xE2\x82\xAC", 3); // a character across the cut
    big[sizeof big - 1] = '\0';
    error_set(&err, ERROR_INTERNAL, "%s", big);
    assert_true(text_is_utf8(err.message, strlen(err.message)));
    assert_false(error_errno(&err, 28, "cannot write %s", "lane"));
    assert_int_equal(err.code, ERROR_FULL);
    assert_string_equal(err.message, "cannot write lane: No space left on device");
}

int test_text(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(decimals_are_finite_decimals),
        cmocka_unit_test(what_does_not_show_as_itself_is_told),
        cmocka_unit_test(names_that_a_reader_takes_for_the_same_look_alike),
        cmocka_unit_test(what_is_shown_is_harmless_and_cut),
        cmocka_unit_test(addresses_are_host_and_port),
        cmocka_unit_test(a_host_and_port_are_shown_as_they_are_read),
        cmocka_unit_test(the_distance_of_two_words_is_what_must_be_changed),
        cmocka_unit_test(hexadecimal_goes_both_ways),
        cmocka_unit_test(times_are_written_as_the_standards_say),
        cmocka_unit_test(a_zone_is_that_of_its_instant),
        cmocka_unit_test(a_zone_is_that_of_what_the_clocks_showed),
        cmocka_unit_test(a_zone_has_a_sign_hours_and_minutes),
        cmocka_unit_test(days_are_those_of_the_calendar),
        cmocka_unit_test(an_error_names_the_value_and_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
