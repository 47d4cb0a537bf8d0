// What is a date, a time and a zone, and what is none.
#include "tests.h"

#include "dicom/date.h"

static void check(bool (*read)(char *, const char *), const char *const (*rows)[2], size_t count)
{
    char out[DICOM_TIME_SIZE];
    for (size_t i = 0; i < count; i++)
        if (read(out, rows[i][0]) != (*rows[i][1] != '\0') || strcmp(out, rows[i][1]) != 0)
            fail_msg("\"%s\" is \"%s\", not \"%s\"", rows[i][0], out, rows[i][1]);
    assert_false(read(out, NULL));
    assert_string_equal(out, "");
}

static void a_date_is_a_day_of_the_calendar(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"20261128", "20261128"},
        {" 20261128 ", "20261128"},
        {"1960.01.01", "19600101"},
        {"20000229", "20000229"},
        {"18991231", "18991231"},
        {"20990101", "20990101"},
        {"19000229", ""},
        {"20260230", ""},
        {"19600000", ""},
        {"99999999", ""},
        {"00000101", ""},
        {"0", ""},
        {"", ""},
        {"1960", ""},
        {"196001", ""},
        {"1960.02.30", ""},
        {"1960.0101", ""},
        {"1960-01-01", ""},
        {"2026112x", ""},
        {"+2261128", ""},
        {"20261128101500", ""},
        {"20261128-", ""},
        {"20261128\\20261129", ""},
        {"\xEF\xBF\xBD", ""},
    };
    check(dicom_date, rows, sizeof rows / sizeof *rows);
}

static void a_time_is_one_of_a_day(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"10", "10"},
        {"1015", "1015"},
        {"101500", "101500"},
        {"235960", "235960"}, // a leap second
        {"101500.1", "101500.1"},
        {"101500.123456 ", "101500.123456"},
        {"101500.12345678", "101500.123456"},
        {"101500.", "101500"},
        {"10:15", "1015"},
        {"10:15:00", "101500"},
        {"10:15:00.5", "101500.5"},
        {"246100", ""},
        {"2360", ""},
        {"240000", ""},
        {"101561", ""},
        {"1", ""},
        {"101", ""},
        {"10150", ""},
        {"1015.5", ""},
        {"10:1500", ""},
        {"1015:00", ""},
        {"10:", ""},
        {"101500.1x", ""},
        {"101500+0100", ""},
        {"-1", ""},
        {"", ""},
        {".5", ""},
    };
    check(dicom_time, rows, sizeof rows / sizeof *rows);
}

static void a_zone_is_a_signed_offset_of_hours_and_minutes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_one;
        int minutes;
    } rows[] = {{"+0100", true, 60},    {"-0800", true, -480}, {"-0330", true, -210}, {"+1400", true, 840},
                {" -1200", true, -720}, {"-0000", true, 0},    {"+1401", false, 7},   {"-1201", false, 7},
                {"+0060", false, 7},    {"0100", false, 7},    {"Z", false, 7},       {"+01:00", false, 7},
                {"+010", false, 7},     {"", false, 7},        {NULL, false, 7}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int minutes = 7;
        assert_int_equal(dicom_zone(rows[i].text, &minutes), rows[i].is_one);
        assert_int_equal(minutes, rows[i].minutes);
    }
}

int run_date_tests(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_date_is_a_day_of_the_calendar),
        cmocka_unit_test(a_time_is_one_of_a_day),
        cmocka_unit_test(a_zone_is_a_signed_offset_of_hours_and_minutes),
    };
    return cmocka_run_group_tests_name("dates", tests, NULL, NULL);
}
