// The structured report, judged by pydicom, dciodvfy and dsrdump.
#include "support.h"

#include <string.h>

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
        cmocka_unit_test(the_same_job_gives_the_same_report),
    };
    return cmocka_run_group_tests_name("structured reports", tests, NULL, NULL);
}
