#include "support/check.h"
#include "support/scratch.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "reading/reading.h"

#define MINUTE (60 * CLOCK_SECOND)
enum { STUDIES = 30 };

static struct reading_item item(const char *study, enum finding_urgency urgency, int64_t arrived_ns)
{
    return (struct reading_item){.study = study,
                                 .urgency = urgency,
                                 .reason = urgency == FINDING_STAT ? "bleed" : "",
                                 .arrived_ns = arrived_ns,
                                 .passed_over = ""};
}

static void the_flagged_study_is_first_and_equals_wait_in_turn(void **state)
{
    struct error err;
    struct reading_item items[] = {item("1", FINDING_ROUTINE, 0), item("2", FINDING_ROUTINE, 1 * MINUTE),
                                   item("3", FINDING_STAT, 2 * MINUTE), item("4", FINDING_URGENT, 3 * MINUTE),
                                   item("5", FINDING_STAT, 1 * MINUTE)};
    static const char *const wanted[] = {"5", "3", "4", "1", "2"};
    (void)state;
    assert_ok(reading_order(items, 5, 10 * MINUTE, READING_CAP_NS, &scratch, &err), err);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(items[i].study, wanted[i]);
    assert_string_equal(items[0].reason, "bleed");
    assert_int_equal(items[0].waiting_ns, 9 * MINUTE);
}

static void who_came_first_is_told_by_the_log_s_number_and_not_by_the_clock(void **state)
{
    struct error err;
    struct reading_item items[] = {item("second", FINDING_ROUTINE, 5 * MINUTE),
                                   item("first", FINDING_ROUTINE, 10 * MINUTE)};
    items[0].arrived_event = 8;
    items[1].arrived_event = 7;
    (void)state;
    assert_ok(reading_order(items, 2, 7 * MINUTE, READING_CAP_NS, &scratch, &err), err);
    assert_string_equal(items[0].study, "first");
    assert_int_equal(items[0].waiting_ns, 0); // it came in what is now the future
}

static void past_the_cap_a_routine_study_is_passed_over_no_more(void **state)
{
    struct error err;
    struct reading_item items[] = {item("routine", FINDING_ROUTINE, 0), item("bleed", FINDING_STAT, 5 * MINUTE)};
    (void)state;
    assert_ok(reading_order(items, 2, 60 * MINUTE - 1, READING_CAP_NS, &scratch, &err), err);
    assert_string_equal(items[0].study, "bleed");
    assert_ok(reading_order(items, 2, 60 * MINUTE, READING_CAP_NS, &scratch, &err), err);
    assert_string_equal(items[0].study, "routine");
    assert_true(items[0].capped);
    assert_string_equal(items[0].reason, "waited 60 min: past the cap of 60");
    assert_string_equal(items[1].reason, "bleed");
}

static void what_was_imported_comes_after_all_that_was_sent_however_long_it_is_there(void **state)
{
    struct error err;
    struct reading_item items[] = {item("old", FINDING_ROUTINE, 0), item("old bleed", FINDING_STAT, 0),
                                   item("old shadow", FINDING_URGENT, 0), item("new", FINDING_ROUTINE, 90 * MINUTE),
                                   item("new bleed", FINDING_STAT, 91 * MINUTE)};
    static const char *const wanted[] = {"old bleed", "new bleed", "old shadow", "new", "old"};
    (void)state;
    for (size_t i = 0; i < 3; i++)
        items[i].imported = true;
    assert_ok(reading_order(items, 5, 100 * MINUTE, READING_CAP_NS, &scratch, &err), err);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(items[i].study, wanted[i]);
        assert_false(items[i].capped);
    }
    assert_string_equal(items[0].reason, "bleed");
    assert_string_equal(items[4].reason, "imported or rebuilt: after all that was sent");
}

static void what_could_not_be_followed_may_be_anything_and_is_urgent(void **state)
{
    struct error err;
    struct reading_item items[] = {item("routine", FINDING_ROUTINE, 0), item("unknown", FINDING_ROUTINE, MINUTE),
                                   item("bleed", FINDING_STAT, 2 * MINUTE)};
    items[1].passed_over = "not all of it could be worked out here";
    items[1].imported = true;
    (void)state;
    assert_ok(reading_order(items, 3, 3 * MINUTE, READING_CAP_NS, &scratch, &err), err);
    assert_string_equal(items[0].study, "bleed");
    assert_string_equal(items[1].study, "unknown");
}

// One reader, ten minutes a study, a study every eight minutes, every third one flagged: who is passed over for how
// long?
static void on_a_simulated_clock_no_one_waits_long_past_the_cap(void **state)
{
    struct error err;
    struct reading_item waiting[STUDIES];
    char names[STUDIES][8];
    size_t count = 0, next = 0, read = 0;
    int64_t longest_ns = 0, flagged_ns = 0, flagged = 0, passed_over = 0;
    (void)state;
    for (int64_t now_ns = 0; read < STUDIES; now_ns += 10 * MINUTE) {
        for (; next < STUDIES && (int64_t)next * 8 * MINUTE <= now_ns; next++) {
            snprintf(names[next], sizeof names[next], "%02zu", next);
            waiting[count++] =
                item(names[next], next % 3 == 0 ? FINDING_STAT : FINDING_ROUTINE, (int64_t)next * 8 * MINUTE);
        }
        if (count == 0)
            continue;
        assert_ok(reading_order(waiting, count, now_ns, READING_CAP_NS, &scratch, &err), err);
        // A study that has reached the cap is behind none but those that came before it, or are capped too.
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < i && waiting[i].capped; k++)
                assert_true(waiting[k].arrived_ns <= waiting[i].arrived_ns);
        if (waiting[0].urgency == FINDING_STAT) {
            flagged_ns += waiting[0].waiting_ns;
            flagged++;
            passed_over += count > 1 && waiting[1].arrived_ns < waiting[0].arrived_ns;
        }
        if (waiting[0].waiting_ns > longest_ns)
            longest_ns = waiting[0].waiting_ns;
        memmove(waiting, waiting + 1, --count * sizeof *waiting);
        read++;
    }
    assert_int_equal(flagged, STUDIES / 3);
    assert_true(passed_over > 0);                    // triage happened
    assert_true(flagged_ns / flagged < 20 * MINUTE); // and helped
    assert_true(longest_ns <= 90 * MINUTE); // nobody paid with more than the cap and the queue of those at the cap
}

int test_order(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_flagged_study_is_first_and_equals_wait_in_turn),
        cmocka_unit_test(who_came_first_is_told_by_the_log_s_number_and_not_by_the_clock),
        cmocka_unit_test(past_the_cap_a_routine_study_is_passed_over_no_more),
        cmocka_unit_test(what_was_imported_comes_after_all_that_was_sent_however_long_it_is_there),
        cmocka_unit_test(what_could_not_be_followed_may_be_anything_and_is_urgent),
        cmocka_unit_test(on_a_simulated_clock_no_one_waits_long_past_the_cap),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
