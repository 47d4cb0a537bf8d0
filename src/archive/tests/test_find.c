// Matching (PS3.4 C.2.2.2), as a table; and what a query may not do.
#include "support.h"

#include <string.h>

#include "store/database.h"

static const struct object stock[] = {
    {0},
    {.study = "1.5",
     .series = "1.5.1",
     .instance = "1.5.1.1",
     .patient_name = "MULLER^ANNA",
     .patient_id = "P*2",
     .date = "20260220",
     .time = "0930",
     .modality = "MR",
     .accession = "",
     .series_number = "12",
     .study_description = "100% 'quoted' _x_"},
    {.study = "1.6",
     .series = "1.6.1",
     .instance = "1.6.1.1",
     .patient_name = "Yamada^Tarou=\xe5\xb1\xb1\xe7\x94\xb0^\xe5\xa4\xaa",
     .patient_id = "P3",
     .date = "",
     .time = "",
     .modality = "US",
     .study_description = "x[head]",
     .referring = ""},
};

static void fill(struct place *p)
{
    struct archive_stored stored;
    place_open(p);
    for (size_t i = 0; i < sizeof stock / sizeof *stock; i++)
        assert_ok(object_put(p, &stock[i], &stored), p->err);
}

static const struct {
    enum archive_level level;
    dicom_tag tag;
    const char *value;
    size_t count;
} matches[] = {
    // universal
    {ARCHIVE_STUDY, 0x00100020, "", 3},
    {ARCHIVE_STUDY, 0x00100020, "*", 3},
    {ARCHIVE_STUDY, 0x00100020, "**", 3},
    {ARCHIVE_STUDY, 0x00080020, "*", 3},
    {ARCHIVE_STUDY, 0x0020000D, "*", 3},
    {ARCHIVE_STUDY, 0x00100010, "*", 3},
    {ARCHIVE_STUDY, 0x00100010, "=", 3},
    // single value: case as it is, wildcards only where they stand
    {ARCHIVE_STUDY, 0x00100020, "P1", 1},
    {ARCHIVE_STUDY, 0x00100020, "p1", 0},
    {ARCHIVE_STUDY, 0x00100020, "P", 0},
    {ARCHIVE_STUDY, 0x00100020, "P*", 3},
    {ARCHIVE_STUDY, 0x00100020, "P?", 2},
    {ARCHIVE_STUDY, 0x00100020, "??", 2},
    {ARCHIVE_STUDY, 0x00100020, "?*2", 1},
    // characters that mean something in SQL or GLOB and nothing here
    {ARCHIVE_STUDY, 0x00081030, "CT [head]", 1},
    {ARCHIVE_STUDY, 0x00081030, "*[head]", 2},
    {ARCHIVE_STUDY, 0x00081030, "CT [a-z]*", 0},
    {ARCHIVE_STUDY, 0x00081030, "*]", 2},
    {ARCHIVE_STUDY, 0x00081030, "[*", 0},
    {ARCHIVE_STUDY, 0x00081030, "100% *", 1},
    {ARCHIVE_STUDY, 0x00081030, "1% *", 0},
    {ARCHIVE_STUDY, 0x00081030, "*'quoted'*", 1},
    {ARCHIVE_STUDY, 0x00081030, "*_x_", 1},
    {ARCHIVE_STUDY, 0x00081030, "' OR '1'='1", 0},
    {ARCHIVE_STUDY, 0x00081030, "*' OR 1=1 --", 0},
    {ARCHIVE_STUDY, 0x00100020, "P1'; DROP TABLE study;--", 0},
    {ARCHIVE_STUDY, 0x0020000D, "1.2.3') OR ('1'='1", 0},
    // names: case folded, components apart or not
    {ARCHIVE_STUDY, 0x00100010, "muller^anna", 1},
    {ARCHIVE_STUDY, 0x00100010, "Muller Anna", 1},
    {ARCHIVE_STUDY, 0x00100010, "MULLER*", 1},
    {ARCHIVE_STUDY, 0x00100010, "*anna", 1},
    {ARCHIVE_STUDY, 0x00100010, "M\xc3\xbcller^J\xc3\xb6rg", 1},
    {ARCHIVE_STUDY, 0x00100010, "m\xc3\xbcller*", 1},
    {ARCHIVE_STUDY, 0x00100010, "M\xc3\x9cLLER^J\xc3\x96RG", 1},
    {ARCHIVE_STUDY, 0x00100010, "M?ller*", 2},
    // one written in several ways is found by each of them, whole
    {ARCHIVE_STUDY, 0x00100010, "Yamada^Tarou", 1},
    {ARCHIVE_STUDY, 0x00100010, "\xe5\xb1\xb1\xe7\x94\xb0^\xe5\xa4\xaa", 1},
    {ARCHIVE_STUDY, 0x00100010, "\xe5\xb1\xb1?*", 1},
    {ARCHIVE_STUDY, 0x00100010, "Yamada^Tarou=\xe5\xb1\xb1*", 1},
    {ARCHIVE_STUDY, 0x00100010, "=\xe5\xb1\xb1*", 1},
    {ARCHIVE_STUDY, 0x00100010, "Yamada^Tarou=\xe5\xa4\xaa*", 0},
    {ARCHIVE_STUDY, 0x00100010, "Yamada*\xe5\xb1\xb1*", 0},
    {ARCHIVE_STUDY, 0x00100010, "yamada?tarou*", 1},
    {ARCHIVE_STUDY, 0x00080090, "ref^doc", 2},
    {ARCHIVE_STUDY, 0x00080090, "REF*", 2},
    {ARCHIVE_STUDY, 0x00080090, "muller*", 0},
    // dates and ranges
    {ARCHIVE_STUDY, 0x00080020, "20260115", 1},
    {ARCHIVE_STUDY, 0x00080020, "20260101-20260131", 1},
    {ARCHIVE_STUDY, 0x00080020, "20260115-20260220", 2},
    {ARCHIVE_STUDY, 0x00080020, "20260116-", 1},
    {ARCHIVE_STUDY, 0x00080020, "-20260219", 1},
    {ARCHIVE_STUDY, 0x00080020, "19000101-", 2}, // a study without a date is in no range
    // times
    {ARCHIVE_STUDY, 0x00080030, "103059.25", 1},
    {ARCHIVE_STUDY, 0x00080030, "103059.2500", 1},
    {ARCHIVE_STUDY, 0x00080030, "103059.250000-1031", 1},
    {ARCHIVE_STUDY, 0x00080030, "103059.20", 1}, // whatever begins with it, as without the zero
    {ARCHIVE_STUDY, 0x00080030, "103059.0", 1},
    {ARCHIVE_STUDY, 0x00080030, "1030", 1},
    {ARCHIVE_STUDY, 0x00080030, "0930", 1},
    {ARCHIVE_STUDY, 0x00080030, "0900-1030", 2}, // the upper end takes in all that begins with it
    {ARCHIVE_STUDY, 0x00080030, "103100-", 0},
    {ARCHIVE_STUDY, 0x00080030, "-09", 1},
    // UIDs and lists
    {ARCHIVE_STUDY, 0x0020000D, "1.5", 1},
    {ARCHIVE_STUDY, 0x0020000D, "1.5\\1.6\\9.9", 2},
    {ARCHIVE_STUDY, 0x0020000D, "1.5,1.2.3", 2},
    {ARCHIVE_STUDY, 0x0020000D, "1.*", 0},
    // below
    {ARCHIVE_STUDY, 0x00080061, "MR", 1},
    {ARCHIVE_STUDY, 0x00080061, "?R", 1},
    {ARCHIVE_STUDY, 0x00080061, "CR", 0},
    {ARCHIVE_STUDY, 0x00080061, "CR\\MR", 1},
    {ARCHIVE_STUDY, 0x00080061, "CR,MR", 1},
    {ARCHIVE_SERIES, 0x00080060, "MR", 1},
    {ARCHIVE_SERIES, 0x00200011, "12", 1},
    {ARCHIVE_SERIES, 0x00200011, " 012 ", 1},
    {ARCHIVE_SERIES, 0x00100020, "P1", 1}, // a key of the level above
    {ARCHIVE_INSTANCE, 0x00080018, "1.5.1.1", 1},
    {ARCHIVE_INSTANCE, 0x00080016, "1.2.840.10008.5.1.4.1.1.7", 3},
};

static void keys_match_as_the_standard_says(void **state)
{
    struct place p;
    (void)state;
    fill(&p);
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        size_t count = find_count(&p, matches[i].level, matches[i].tag, matches[i].value);
        if (count != matches[i].count)
            fail_msg("(%08X) '%s' finds %zu, not %zu", matches[i].tag, matches[i].value, count, matches[i].count);
    }
    assert_int_equal(find_count(&p, ARCHIVE_STUDY, 0x00100020, ""), 3);
    place_close(&p);
}

static bool forget_names(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err, "DELETE FROM study_name", "");
}

// As a database is that a program before the table study_name has filled.
static void names_of_an_older_program_are_found_too(void **state)
{
    struct place p;
    (void)state;
    fill(&p);
    assert_ok(store_write(p.store, STORE_DURABLE, forget_names, NULL, &p.err), p.err);
    assert_int_equal(find_count(&p, ARCHIVE_STUDY, 0x00100010, "yamada^tarou"), 0);
    place_reopen(&p);
    assert_int_equal(find_count(&p, ARCHIVE_STUDY, 0x00100010, "yamada^tarou"), 1);
    assert_int_equal(find_count(&p, ARCHIVE_STUDY, 0x00080090, "ref*"), 2);
    place_close(&p);
}

static const struct {
    enum archive_level level;
    dicom_tag tag;
    const char *value;
} unfit[] = {
    {ARCHIVE_STUDY, 0x00080020, "-"},
    {ARCHIVE_STUDY, 0x00080020, "99990000-00000000"},
    {ARCHIVE_STUDY, 0x00080020, "2026"},
    {ARCHIVE_STUDY, 0x00080020, "20260101-2026"},
    {ARCHIVE_STUDY, 0x00080020, "2026011*"},
    {ARCHIVE_STUDY, 0x00080020, "20260101-20260102-20260103"},
    {ARCHIVE_STUDY, 0x00080030, "10:30"},
    {ARCHIVE_STUDY, 0x00080030, "1"},
    {ARCHIVE_STUDY, 0x00080030, "2-1"},
    {ARCHIVE_SERIES, 0x00200011, "twelve"},
    {ARCHIVE_SERIES, 0x00200011, "1;2"},
    {ARCHIVE_SERIES, 0x00200011, "99999999999999999999"},
    {ARCHIVE_STUDY, 0x00080060, "CT"},                 // of a lower level
    {ARCHIVE_STUDY, 0x00100040 + 1, "x"},              // unknown
    {ARCHIVE_STUDY, 0x00201206, "1"},                  // shown, not matched
    {ARCHIVE_STUDY, 0x00100020, "*?*?*?*?*?*?*?*?*?"}, // 17 and more wildcards cost too much
};

static void unfit_keys_are_refused(void **state)
{
    struct place p;
    struct archive_row *rows;
    size_t count;
    bool more;
    (void)state;
    fill(&p);
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        struct archive_query query = {
            .level = unfit[i].level, .matches = {{unfit[i].tag, unfit[i].value}}, .match_count = 1};
        if (archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err))
            fail_msg("(%08X) '%s' is taken", unfit[i].tag, unfit[i].value);
        assert_int_equal(p.err.code, ERROR_BAD_VALUE);
    }
    place_close(&p);
}

static void several_keys_must_all_hold(void **state)
{
    struct place p;
    struct archive_row *rows;
    size_t count;
    bool more;
    struct archive_query query = {.level = ARCHIVE_STUDY,
                                  .matches = {{0x00100020, "P*"}, {0x00080020, "20260101-"}, {0x00080061, "CT"}},
                                  .match_count = 3};
    (void)state;
    fill(&p);
    assert_ok(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err), p.err);
    assert_int_equal(count, 1);
    for (size_t i = 1; i < rows[0].count; i++)
        assert_true(rows[0].fields[i - 1].tag < rows[0].fields[i].tag);
    place_close(&p);
}

static void pages_are_told_from_the_whole_and_newest_comes_first(void **state)
{
    struct place p;
    struct archive_row *rows;
    size_t count;
    bool more;
    struct archive_query query = {.level = ARCHIVE_STUDY, .limit = 2};
    (void)state;
    fill(&p);
    assert_ok(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err), p.err);
    assert_int_equal(count, 2);
    assert_true(more);
    assert_string_equal(rows[0].fields[0].text, "20260220");
    query.offset = 2;
    assert_ok(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err), p.err);
    assert_int_equal(count, 1);
    assert_false(more);
    query.offset = (size_t)1 << 40;
    assert_ok(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err), p.err);
    assert_int_equal(count, 0);
    place_close(&p);
}

static void what_is_asked_of_one_series_is_of_that_series(void **state)
{
    struct place p;
    struct archive_row *rows;
    struct archive_stored stored;
    size_t count;
    bool more;
    struct archive_query query = {.level = ARCHIVE_SERIES, .study = "1.5", .series = "1.5.2"};
    (void)state;
    fill(&p);
    assert_ok(object_put(&p, &(struct object){.study = "1.5", .series = "1.5.2", .instance = "1.5.2.1"}, &stored),
              p.err);
    assert_ok(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err), p.err);
    assert_int_equal(count, 1);
    for (size_t i = 0; i < rows[0].count; i++)
        if (rows[0].fields[i].tag == 0x0020000E)
            assert_string_equal(rows[0].fields[i].text, "1.5.2");
    query.level = ARCHIVE_INSTANCE;
    assert_ok(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err), p.err);
    assert_int_equal(count, 1);
    query.study = "1.6"; // which has no such series
    assert_ok(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err), p.err);
    assert_int_equal(count, 0);
    place_close(&p);
}

static void long_uid_lists_have_an_end(void **state)
{
    struct place p;
    struct archive_row *rows;
    size_t count;
    bool more;
    static char list[3 * 300];
    (void)state;
    fill(&p);
    memset(list, 0, sizeof list);
    for (int i = 0; i < 290; i++)
        strncat(list, i ? ",1" : "1", 3);
    struct archive_query query = {.level = ARCHIVE_STUDY, .matches = {{0x0020000D, list}}, .match_count = 1};
    assert_false(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err));
    assert_int_equal(p.err.code, ERROR_LIMIT);
    place_close(&p);
}

int test_find(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_match_as_the_standard_says),
        cmocka_unit_test(names_of_an_older_program_are_found_too),
        cmocka_unit_test(unfit_keys_are_refused),
        cmocka_unit_test(several_keys_must_all_hold),
        cmocka_unit_test(pages_are_told_from_the_whole_and_newest_comes_first),
        cmocka_unit_test(what_is_asked_of_one_series_is_of_that_series),
        cmocka_unit_test(long_uid_lists_have_an_end),
    };
    return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}
