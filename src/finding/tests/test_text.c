// The forms for people: sentence, words, the API's JSON.
#include "support.h"

#include <string.h>

static struct finding example(void)
{
    return (struct finding){.id = "ab-1",
                            .job = "ab",
                            .study = "1.2",
                            .series = "1.2.3",
                            .model = "m",
                            .model_version = "1.0.0",
                            .label_text = "research use only",
                            .concept = {"1386000", "SCT", "Intracranial hemorrhage"},
                            .site = {"", "", ""},
                            .side = "left",
                            .volume_ml = 12.25,
                            .score = 0.911,
                            .centroid_mm = {1, 2, 3},
                            .low_mm = {0, 1, 2},
                            .high_mm = {2, 3, 4},
                            .segment = 1,
                            .seg_instance = "1.2.4",
                            .sr_instance = "1.2.5",
                            .urgency = FINDING_STAT,
                            .judged_by = "",
                            .comment = "",
                            .made_ns = INT64_C(1347635528000000000)};
}

static void check_sentence(const struct finding *finding, const char *want)
{
    struct arena arena;
    arena_init(&arena, 4096);
    assert_string_equal(finding_sentence(finding, &arena), want);
    arena_free(&arena);
}

static void a_sentence_says_what_where_and_how_much(void **state)
{
    (void)state;
    struct finding finding = example();
    check_sentence(&finding, "Suspected intracranial hemorrhage, left, 12.2 mL; research use only");
    finding.side = "";
    finding.concept.meaning = "CSF leak";
    finding.label_text = "";
    check_sentence(&finding, "Suspected CSF leak, 12.2 mL");
}

static void urgencies_are_read_as_they_are_written(void **state)
{
    (void)state;
    enum finding_urgency urgency = FINDING_ROUTINE;
    for (int i = FINDING_ROUTINE; i <= FINDING_STAT; i++) {
        assert_true(finding_urgency_parse(finding_urgency_text((enum finding_urgency)i), &urgency));
        assert_int_equal(urgency, i);
    }
    assert_false(finding_urgency_parse("", &urgency));
    assert_false(finding_urgency_parse("STAT", &urgency));
    assert_false(finding_urgency_parse(NULL, &urgency));
}

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static void the_api_gives_all_that_the_row_holds(void **state)
{
    (void)state;
    struct finding finding = example();
    json_t *json = finding_to_json(&finding);
    assert_int_equal(json_object_size(json), 26);
    assert_string_equal(text_of(json, "id"), "ab-1");
    assert_string_equal(text_of(json, "modelVersion"), "1.0.0");
    assert_string_equal(text_of(json_object_get(json, "concept"), "value"), "1386000");
    assert_true(json_is_null(json_object_get(json, "site")));
    assert_true(json_is_null(json_object_get(json, "judged")));
    assert_string_equal(text_of(json, "urgency"), "stat");
    assert_string_equal(text_of(json, "state"), "unverified");
    assert_string_equal(text_of(json, "made"), "2012-09-14T15:12:08.000Z");
    assert_true(json_real_value(json_array_get(json_object_get(json, "centroidMm"), 2)) == 3);
    assert_true(json_real_value(json_array_get(json_object_get(json_object_get(json, "boxMm"), "high"), 0)) == 2);
    assert_non_null(strstr(text_of(json, "sentence"), "research use only"));
    json_decref(json);
}

int test_text(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sentence_says_what_where_and_how_much),
        cmocka_unit_test(urgencies_are_read_as_they_are_written),
        cmocka_unit_test(the_api_gives_all_that_the_row_holds),
    };
    return cmocka_run_group_tests_name("findings as text", tests, NULL, NULL);
}
