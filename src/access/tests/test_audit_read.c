// Reading the trail back for a person: every line that fits, once, newest first, however many answers it takes.
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/audit_chain.h"
#include "access/audit_read.h"
#include "base/clock.h"
#include "base/file.h"

#define NOON (INT64_C(1700000040) * CLOCK_SECOND)

enum { LINES = 3000, SEGMENT = 256 << 10 };

static const char strange[] = "4711\" UserID=<\xE2\x80\xA8&'\t\xC3\xA4>";

// A line a second, of five patients in turn.
static void write_trail(const char *folder)
{
    struct access_chain chain;
    struct error err;
    char found[ERROR_MESSAGE_SIZE], detail[64];
    const char *const patients[] = {"1", "2", strange, "4", "5"};
    assert_ok(access_chain_open(&chain, folder, NULL, &(struct store_audit_head){0}, found, &err), err);
    chain.segment_max = SEGMENT;
    for (int i = 0; i < LINES; i++) {
        snprintf(detail, sizeof detail, "GET /%d", i);
        struct access_record record = {.event = i % 2 ? ACCESS_EVENT_QUERY : ACCESS_EVENT_RETRIEVED,
                                       .success = i % 3 > 0,
                                       .actor = i % 7 ? "anna" : "Bert",
                                       .address = "10.0.0.5",
                                       .patient = patients[i % 5],
                                       .study = "1.2.3",
                                       .detail = detail};
        while (!access_chain_add(&chain, &record, NOON + i * CLOCK_SECOND, 2))
            assert_ok(access_chain_commit(&chain, &err), err);
        if (i % 100 == 99)
            assert_ok(access_chain_commit(&chain, &err), err);
    }
    assert_true(chain.segment > 5);
    access_chain_close(&chain);
}

// All that fits, whose numbers fall by `step` from `from`; how many.
static int read_all(const char *folder, struct access_read wanted, int from, int step)
{
    char before[64] = "", detail[64];
    struct error err;
    int count = 0;
    for (bool more = true; more;) {
        wanted.before = before;
        json_t *answer = access_read(folder, &wanted, &err);
        assert_ok(answer != NULL, err);
        size_t i;
        json_t *line;
        json_array_foreach(json_object_get(answer, "lines"), i, line)
        {
            snprintf(detail, sizeof detail, "GET /%d", from - step * count++);
            assert_string_equal(json_string_value(json_object_get(line, "detail")), detail);
            if (wanted.patient)
                assert_string_equal(json_string_value(json_object_get(line, "patient")), wanted.patient);
        }
        assert_int_equal(json_integer_value(json_object_get(answer, "unreadable")), 0);
        more = json_is_true(json_object_get(answer, "more"));
        snprintf(before, sizeof before, "%s", json_string_value(json_object_get(answer, "before")));
        json_decref(answer);
    }
    return count;
}

static void every_line_that_fits_comes_once_and_the_newest_first(void **state)
{
    char folder[PLACE_PATH];
    (void)state;
    folder_make(folder, PLACE_PATH);
    write_trail(folder);
    struct access_read all = {.until_ns = INT64_MAX, .limit = ACCESS_READ_LINES_MAX};
    assert_int_equal(read_all(folder, all, LINES - 1, 1), LINES);
    all.limit = 7;
    assert_int_equal(read_all(folder, all, LINES - 1, 1), LINES);
    all.patient = strange;
    assert_int_equal(read_all(folder, all, LINES - 3, 5), LINES / 5);
    all.patient = "47";
    assert_int_equal(read_all(folder, all, 0, 0), 0);
    all = (struct access_read){.until_ns = INT64_MAX, .limit = 1000, .actor = "Bert"};
    assert_int_equal(read_all(folder, all, 2996, 7), LINES / 7 + 1);
    all = (struct access_read){.until_ns = INT64_MAX, .limit = 1000, .event = "query", .study = "1.2.3"};
    assert_int_equal(read_all(folder, all, LINES - 1, 2), LINES / 2);
    all.event = "110104";
    assert_int_equal(read_all(folder, all, LINES - 2, 2), LINES / 2);
    folder_delete(folder);
}

static void a_time_is_from_and_until(void **state)
{
    char folder[PLACE_PATH];
    (void)state;
    folder_make(folder, PLACE_PATH);
    write_trail(folder);
    struct access_read some = {
        .from_ns = NOON + 1000 * CLOCK_SECOND, .until_ns = NOON + 1010 * CLOCK_SECOND, .limit = 1000};
    assert_int_equal(read_all(folder, some, 1009, 1), 10);
    some.from_ns = some.until_ns = NOON + 2 * INT64_C(86400) * CLOCK_SECOND;
    assert_int_equal(read_all(folder, some, 0, 0), 0);
    folder_delete(folder);
}

static void what_is_no_line_is_counted_and_the_others_come(void **state)
{
    char folder[PLACE_PATH], path[PLACE_PATH + 32];
    struct error err;
    (void)state;
    folder_make(folder, PLACE_PATH);
    write_trail(folder);
    snprintf(path, sizeof path, "%s/audit-00000001.log", folder);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_true(fputs("<84>", file) >= 0); // the first line is none now
    fclose(file);
    snprintf(path, sizeof path, "%s/audit-00000002.log", folder);
    assert_int_equal(remove(path), 0);
    uint64_t lines = 0, unreadable = 0;
    char before[64] = "";
    for (bool more = true; more;) {
        struct access_read wanted = {.until_ns = INT64_MAX, .limit = 1000, .before = before};
        json_t *answer = access_read(folder, &wanted, &err);
        assert_ok(answer != NULL, err);
        lines += json_array_size(json_object_get(answer, "lines"));
        unreadable += (uint64_t)json_integer_value(json_object_get(answer, "unreadable"));
        more = json_is_true(json_object_get(answer, "more"));
        snprintf(before, sizeof before, "%s", json_string_value(json_object_get(answer, "before")));
        json_decref(answer);
    }
    assert_int_equal(unreadable, 1);
    assert_in_range(lines, LINES / 2, LINES - 100);
    folder_delete(folder);
}

static void times_are_days_or_instants_and_nothing_else(void **state)
{
    static const char *const wrong[] = {"",
                                        "2026",
                                        "2026-02-30",
                                        "2026-11-24T13:03",
                                        "2026-11-24T13:03:36",
                                        "2026-11-24 ",
                                        "2026-11-24T13:03:36+01:00",
                                        "2026-11-24T25:03:36Z",
                                        "now"};
    int64_t time;
    struct error err;
    (void)state;
    assert_ok(access_read_time("2023-11-14T22:14:00Z", &time, &err), err);
    assert_true(time == NOON);
    assert_ok(access_read_time("2023-11-14T22:14:00.500Z", &time, &err), err);
    assert_true(time == NOON + CLOCK_SECOND / 2);
    assert_ok(access_read_time("2023-11-14", &time, &err), err);
    assert_true(time == NOON - (22 * 3600 + 14 * 60) * CLOCK_SECOND);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(access_read_time(wrong[i], &time, &err));
}

static void an_event_is_found_by_words_of_its_name_and_what_is_none_is_refused(void **state)
{
    (void)state;
    char folder[256];
    struct error err;
    folder_make(folder, sizeof folder);
    write_trail(folder);
    static const char *const words[] = {"query", "QUER", "110112", "transferred", "instances trans", "110104"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        json_t *read = access_read(folder,
                                   &(struct access_read){.until_ns = INT64_MAX,
                                                         .actor = "",
                                                         .patient = "",
                                                         .study = "",
                                                         .event = words[i],
                                                         .before = "",
                                                         .limit = 1},
                                   &err);
        assert_ok(read != NULL, err);
        assert_int_equal(json_array_size(json_object_get(read, "lines")), 1);
        json_decref(read);
    }
    assert_null(access_read(folder,
                            &(struct access_read){.until_ns = INT64_MAX,
                                                  .actor = "",
                                                  .patient = "",
                                                  .study = "",
                                                  .event = "nonsense",
                                                  .before = "",
                                                  .limit = 1},
                            &err));
    assert_non_null(strstr(err.message, "'nonsense'"));
    folder_delete(folder);
}

int test_audit_read(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_found_by_words_of_its_name_and_what_is_none_is_refused),
        cmocka_unit_test(every_line_that_fits_comes_once_and_the_newest_first),
        cmocka_unit_test(a_time_is_from_and_until),
        cmocka_unit_test(what_is_no_line_is_counted_and_the_others_come),
        cmocka_unit_test(times_are_days_or_instants_and_nothing_else),
    };
    return cmocka_run_group_tests_name("audit_read", tests, NULL, NULL);
}
