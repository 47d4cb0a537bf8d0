#include "base/alarm.h"

#include <stdio.h>
#include <string.h>

#include "support/check.h"

static struct alarm alarms[ALARMS_MAX];
static uint64_t unlisted;

static int nothing_stands(void **state)
{
    (void)state;
    for (int kind = 0; kind < ALARM_KIND_COUNT; kind++)
        alarm_clear((enum alarm_kind)kind, NULL);
    return 0;
}

static void an_alarm_stands_until_it_is_cleared(void **state)
{
    (void)state;
    uint64_t before = alarm_count(ALARM_CONTAINER);
    alarm_raise(ALARM_CONTAINER, "container 7", "is missing");
    alarm_raise(ALARM_CONTAINER, "container 8", "is missing");
    alarm_raise(ALARM_CONTAINER, "container 7", "is missing still");
    assert_int_equal(alarm_list(alarms, &unlisted), 2);
    assert_string_equal(alarms[0].subject, "container 7");
    assert_string_equal(alarms[0].text, "is missing still");
    assert_int_equal(alarms[0].times, 2);
    assert_true(alarms[0].first_ns <= alarms[0].last_ns);
    assert_int_equal(alarm_count(ALARM_CONTAINER), before + 3);
    alarm_clear(ALARM_CONTAINER, "container 7");
    assert_int_equal(alarm_list(alarms, &unlisted), 1);
    assert_string_equal(alarms[0].subject, "container 8");
}

static void kinds_are_told_apart(void **state)
{
    (void)state;
    alarm_raise(ALARM_AUDIT, "chain", "was cut");
    alarm_raise(ALARM_DATABASE, "chain", "is damaged");
    assert_int_equal(alarm_list(alarms, &unlisted), 2);
    alarm_clear(ALARM_AUDIT, NULL);
    assert_int_equal(alarm_list(alarms, &unlisted), 1);
    assert_int_equal(alarms[0].kind, ALARM_DATABASE);
}

static void more_than_the_table_holds_are_counted(void **state)
{
    char subject[ALARM_SUBJECT_SIZE];
    (void)state;
    alarm_list(alarms, &unlisted);
    uint64_t before = unlisted;
    for (int i = 0; i < ALARMS_MAX + 3; i++) {
        snprintf(subject, sizeof subject, "container %d", i);
        alarm_raise(ALARM_CONTAINER, subject, "is missing");
    }
    assert_int_equal(alarm_list(alarms, &unlisted), ALARMS_MAX);
    assert_int_equal(unlisted - before, 3);
}

static void a_long_text_is_cut_and_harmless(void **state)
{
    char longer[400];
    (void)state;
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    alarm_raise(ALARM_DIGEST, longer, "a line\nand %s", longer);
    alarm_raise(ALARM_DIGEST, longer, "again");
    assert_int_equal(alarm_list(alarms, &unlisted), 1);
    assert_int_equal(strlen(alarms[0].subject), ALARM_SUBJECT_SIZE - 1);
    assert_int_equal(alarms[0].times, 2);
    alarm_raise(ALARM_AUDIT, "chain", "a line\nand another");
    alarm_list(alarms, &unlisted);
    assert_null(strchr(alarms[1].text, '\n'));
}

int test_alarm(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_alarm_stands_until_it_is_cleared, nothing_stands),
        cmocka_unit_test_setup(kinds_are_told_apart, nothing_stands),
        cmocka_unit_test_setup(more_than_the_table_holds_are_counted, nothing_stands),
        cmocka_unit_test_setup_teardown(a_long_text_is_cut_and_harmless, nothing_stands, nothing_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
