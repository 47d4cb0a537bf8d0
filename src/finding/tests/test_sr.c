// The structured report, judged by pydicom, dciodvfy and dsrdump.
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define SEG_CLASS "1.2.840.10008.5.1.4.1.1.66.4"
#define SR_CLASS "1.2.840.10008.5.1.4.1.1.88.34"

static void make(const struct scene *scene, size_t count, struct buffer *out)
{
    struct error err;
    buffer_init(out, 16 << 20);
    assert_ok(finding_to_sr(&scene->context, scene->findings, count, out, &err), err);
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)); text++)
        count++;
    return count;
}

// Both tools find it right, and dsrdump shows these texts.
static void judge(const char *path, const char *const *texts)
{
    struct buffer said;
    run_program((const char *const[]){"dciodvfy", path, NULL}, &said);
    if (strstr((const char *)said.data, "Error") || !strstr((const char *)said.data, "Comprehensive3DSR"))
        fail_msg("dciodvfy: %s", (const char *)said.data);
    buffer_free(&said);
    run_well((const char *const[]){"dsrdump", "+Pl", path, NULL}, &said);
    for (; *texts; texts++)
        if (!strstr((const char *)said.data, *texts))
            fail_msg("dsrdump shows no \"%s\": %s", *texts, (const char *)said.data);
    // One warning stands always: dsrdump cannot check UTF-8.
    if (strstr((const char *)said.data, "E: ") || count_of((const char *)said.data, "W: ") > 1)
        fail_msg("dsrdump: %s", (const char *)said.data);
    buffer_free(&said);
}

static void judge_findings(const struct scene *scene)
{
    struct buffer seg, sr;
    struct error err;
    buffer_init(&seg, 16 << 20);
    assert_ok(finding_to_seg(&scene->context, scene->findings, SCENE_FINDINGS, scene->labels, &seg, &err), err);
    struct scene calibrated = *scene;
    calibrated.result.calibrated = true;
    calibrated.context.result = &calibrated.result;
    make(&calibrated, SCENE_FINDINGS, &sr);
    const char *path = scene_write(&sr, SR_CLASS, "sr.dcm");
    ask_oracle((const char *const[]){"sr", path, scene->sources, scene_write(&seg, SEG_CLASS, "seg.dcm"), NULL});
    judge(path,
          (const char *const[]){"Imaging Measurement Report", "Measurement Group", "Intracranial hemorrhage",
                                "Certainty of Finding", "research use only, not a medical device; unverified", NULL});
    buffer_free(&seg);
    buffer_free(&sr);
}

static void a_report_names_finding_site_side_segment_volume_and_certainty(void **state)
{
    (void)state;
    struct scene scene;
    scene_head(&scene);
    judge_findings(&scene);
    scene_free(&scene);
}

static void a_report_on_a_latin_1_series_is_utf_8(void **state)
{
    (void)state;
    struct scene scene;
    scene_oblique(&scene);
    judge_findings(&scene);
    scene_free(&scene);
}

static void a_report_without_findings_says_that_nothing_was_found(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer sr;
    scene_oblique(&scene);
    scene.result.outcome = FINDING_NEGATIVE;
    for (int known = 1; known >= 0; known--) {
        if (!known)
        scene.result.concept = (struct finding_code){0};
        make(&scene, 0, &sr);
        const char *path = scene_write(&sr, SR_CLASS, "sr.dcm");
        ask_oracle((const char *const[]){"sr", path, scene.sources, NULL});
        judge(path, (const char *const[]){"Not detected", "Nothing was found by head-ct-hyperdense 1.0.0",
                                          known ? "Intracranial hemorrhage" : "Finding", "research use only", NULL});
        buffer_free(&sr);
    }
    scene_free(&scene);
}

// What the oracle prints of a report whose groups must be those of these segments.
static void ask_standing(const struct buffer *sr, const char *first, const char *second, char out[1024])
{
    struct buffer said;
    const char *path = scene_write(sr, SR_CLASS, "sr.dcm");
    run_well(
        (const char *const[]){"/usr/bin/python3", "src/finding/tests/oracle.py", "standing", path, first, second, NULL},
        &said);
    snprintf(out, 1024, "%s", (const char *)said.data);
    buffer_free(&said);
    judge(path, (const char *const[]){"Looked at: 5 images", NULL});
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("there is no '%s' in:\n%s", part, text);
}

static void a_rejected_finding_is_not_in_the_next_report_which_names_the_one_before(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer sr;
    char first[1024], second[1024], third[1024], predecessor[DICOM_UID_SIZE], series[DICOM_UID_SIZE];
    scene_oblique(&scene);
    make(&scene, 2, &sr);
    ask_standing(&sr, "1", "2", first);
    assert_null(strstr(first, "predecessor"));
    buffer_free(&sr);
    scene.result.revision = 1;
    scene.findings[0].state = FINDING_REJECTED;
    finding_sr_uid(predecessor, JOB, 0);
    scene.context.predecessor = predecessor;
    make(&scene, 2, &sr);
    ask_standing(&sr, "2", NULL, second);
    assert_says(second, predecessor);
    text_copy_n(series, sizeof series, first + strlen("series "), strcspn(first + strlen("series "), " "));
    assert_says(second, series);
    buffer_free(&sr);
    scene.findings[1].state = FINDING_REJECTED;
    make(&scene, 2, &sr);
    ask_standing(&sr, NULL, NULL, third);
    judge(scene_write(&sr, SR_CLASS, "sr.dcm"),
          (const char *const[]){"A reviewer rejected all that was found by head-ct-hyperdense", NULL});
    buffer_free(&sr);
    scene_free(&scene);
}

static void the_report_of_another_result_is_a_predecessor_with_its_series(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer sr;
    struct error err;
    char said[1024];
    scene_oblique(&scene);
    scene.context.predecessor = "1.2.3.4.5";
    buffer_init(&sr, 16 << 20);
    assert_false(finding_to_sr(&scene.context, scene.findings, 2, &sr, &err));
    assert_int_equal(err.code, ERROR_BAD_VALUE);
    buffer_free(&sr);
    scene.context.predecessor_series = "1.2.3.4.6";
    make(&scene, 2, &sr);
    ask_standing(&sr, "1", "2", said);
    assert_says(said, "predecessor 1.2.3.4.5 1.2.3.4.6");
    buffer_free(&sr);
    scene_free(&scene);
}

static void an_acceptance_changes_no_report(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer before, after;
    scene_oblique(&scene);
    make(&scene, 2, &before);
    scene.findings[0].state = FINDING_ACCEPTED;
    scene.findings[0].judged_by = "Ann";
    make(&scene, 2, &after);
    assert_int_equal(before.size, after.size);
    assert_memory_equal(before.data, after.data, before.size);
    buffer_free(&before);
    buffer_free(&after);
    scene_free(&scene);
}

static void what_does_not_hold_is_no_report(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer sr;
    struct error err;
    scene_oblique(&scene);
    buffer_init(&sr, 16 << 20);
    for (int i = 0; i < 4; i++) {
        scene.result.outcome = i == 0 ? FINDING_NOT_ANALYSED : i == 1 ? FINDING_FAILED : FINDING_POSITIVE;
        scene.result.standing = i == 2 ? FINDING_WITHDRAWN : i == 3 ? FINDING_REPLACED : FINDING_CURRENT;
        assert_false(finding_to_sr(&scene.context, NULL, 0, &sr, &err));
        assert_int_equal(err.code, ERROR_BAD_VALUE);
    }
    buffer_free(&sr);
    scene_free(&scene);
}

static void the_same_job_gives_the_same_report(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer first, second;
    scene_oblique(&scene);
    make(&scene, SCENE_FINDINGS, &first);
    make(&scene, SCENE_FINDINGS, &second);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    scene_free(&scene);
    buffer_free(&first);
    buffer_free(&second);
}

int test_sr(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_names_finding_site_side_segment_volume_and_certainty),
        cmocka_unit_test(a_report_on_a_latin_1_series_is_utf_8),
        cmocka_unit_test(a_report_without_findings_says_that_nothing_was_found),
        cmocka_unit_test(a_rejected_finding_is_not_in_the_next_report_which_names_the_one_before),
        cmocka_unit_test(the_report_of_another_result_is_a_predecessor_with_its_series),
        cmocka_unit_test(an_acceptance_changes_no_report),
        cmocka_unit_test(what_does_not_hold_is_no_report),
        cmocka_unit_test(the_same_job_gives_the_same_report),
    };
    return cmocka_run_group_tests_name("structured reports", tests, NULL, NULL);
}
