// The Segmentation, judged by pydicom and dciodvfy.
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "finding/object.h"

#define SEG_CLASS "1.2.840.10008.5.1.4.1.1.66.4"

static void make(const struct scene *scene, struct buffer *out)
{
    struct error err;
    buffer_init(out, 16 << 20);
    assert_ok(finding_to_seg(&scene->context, scene->findings, SCENE_FINDINGS, scene->labels, out, &err), err);
}

static void judge(const struct scene *scene)
{
    struct buffer seg, said;
    make(scene, &seg);
    const char *path = scene_write(&seg, SEG_CLASS, "seg.dcm");
    ask_oracle((const char *const[]){"seg", path, scene->sources, scene_write_labels(scene), NULL});
    run_program((const char *const[]){"dciodvfy", path, NULL}, &said);
    if (strstr((const char *)said.data, "Error") || !strstr((const char *)said.data, "Segmentation"))
        fail_msg("dciodvfy: %s", (const char *)said.data);
    buffer_free(&said);
    buffer_free(&seg);
}

static void a_segmentation_of_a_real_head_lies_where_its_voxels_were_drawn(void **state)
{
    (void)state;
    struct scene scene;
    scene_head(&scene);
    judge(&scene);
    scene_free(&scene);
}

static void frames_that_end_inside_a_byte_follow_each_other_bit_by_bit(void **state)
{
    (void)state;
    struct scene scene;
    scene_oblique(&scene);
    judge(&scene);
    scene_free(&scene);
}

static void the_same_job_gives_the_same_bytes(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer first, second;
    scene_oblique(&scene);
    make(&scene, &first);
    make(&scene, &second);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    scene_free(&scene);
    buffer_free(&first);
    buffer_free(&second);
}

static void another_job_or_revision_has_other_uids(void **state)
{
    (void)state;
    char a[DICOM_UID_SIZE], b[DICOM_UID_SIZE], sr[DICOM_UID_SIZE], revised[DICOM_UID_SIZE];
    finding_seg_uid(a, JOB, 0);
    finding_seg_uid(b, "another", 0);
    finding_sr_uid(sr, JOB, 0);
    finding_seg_uid(revised, JOB, 1);
    assert_string_not_equal(a, revised);
    assert_string_not_equal(a, b);
    assert_string_not_equal(a, sr);
    assert_true(dicom_uid_is_valid(a, strlen(a)));
}

static void series_of_results_revisions_and_kinds_have_numbers_of_their_own(void **state)
{
    (void)state;
    enum { RESULTS = 20, REVISIONS = 5, KINDS = 3, SERIES = RESULTS * REVISIONS * KINDS };
    static const char *const purposes[KINDS] = {"seg", "sr", "rejection"};
    int64_t numbers[SERIES];
    for (int i = 0; i < SERIES; i++) {
        char result[16], uid[DICOM_UID_SIZE];
        snprintf(result, sizeof result, "result %d", i / REVISIONS / KINDS);
        object_series_uid(uid, result, purposes[i % KINDS], i / KINDS % REVISIONS);
        numbers[i] = object_series_number(uid);
        assert_in_range(numbers[i], 1000000000, INT32_MAX); // an IS, after what scanners give
        for (int k = 0; k < i; k++)
            assert_int_not_equal(numbers[k], numbers[i]);
    }
}

static void check_again(const struct buffer *seg, const struct buffer *again)
{
    struct buffer said;
    char before[512];
    snprintf(before, sizeof before, "%s", scene_write(seg, SEG_CLASS, "seg.dcm"));
    const char *path = scene_write(again, SEG_CLASS, "again.dcm");
    ask_oracle((const char *const[]){"again", before, path, NULL});
    run_program((const char *const[]){"dciodvfy", path, NULL}, &said);
    if (strstr((const char *)said.data, "Error"))
        fail_msg("dciodvfy: %s", (const char *)said.data);
    buffer_free(&said);
}

static void a_segmentation_is_shown_again_under_other_uids_with_the_same_pixels(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer seg, again, third;
    struct error err;
    scene_oblique(&scene);
    make(&scene, &seg);
    scene.result.revision = 2;
    scene.context.time_ns += INT64_C(90000000000);
    buffer_init(&again, 16 << 20);
    assert_ok(finding_seg_again(&scene.context, &seg, &again, &err), err);
    check_again(&seg, &again);
    scene.context.time_ns += INT64_C(90000000000);
    scene.result.revision = 4; // of one that was written again already
    buffer_init(&third, 16 << 20);
    assert_ok(finding_seg_again(&scene.context, &again, &third, &err), err);
    check_again(&again, &third);
    buffer_free(&seg);
    buffer_free(&again);
    buffer_free(&third);
    scene_free(&scene);
}

// A program before wrote no zone: its dates were local, and are said to be.
static void a_segmentation_without_a_zone_gets_one_when_it_is_shown_again(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer seg, again, said;
    struct error err;
    scene_oblique(&scene);
    scene_say(&scene, 0x00080201, "");
    set_zone("Europe/Berlin");
    make(&scene, &seg);
    static const uint8_t zone[] = {0x08, 0, 0x01, 0x02, 'S', 'H', 6, 0};
    uint8_t *at = memmem(seg.data, seg.size, zone, sizeof zone);
    assert_non_null(at);
    memmove(at, at + 14, seg.size - 14 - (size_t)(at - seg.data));
    seg.size -= 14;
    scene.result.revision = 1;
    buffer_init(&again, 16 << 20);
    assert_ok(finding_seg_again(&scene.context, &seg, &again, &err), err);
    const char *path = scene_write(&again, SEG_CLASS, "again.dcm");
    run_well((const char *const[]){"/usr/bin/python3", "src/finding/tests/oracle.py", "values", path, "StudyTime",
                                   "TimezoneOffsetFromUTC", NULL},
             &said);
    assert_string_equal((const char *)said.data, "StudyTime=151208 TimezoneOffsetFromUTC=+0200\n");
    set_zone("UTC");
    buffer_free(&said);
    buffer_free(&seg);
    buffer_free(&again);
    scene_free(&scene);
}

static void only_a_segmentation_of_the_result_is_shown_again(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer seg, sr, out;
    struct error err;
    scene_oblique(&scene);
    make(&scene, &seg);
    buffer_init(&sr, 16 << 20);
    buffer_init(&out, 16 << 20);
    assert_ok(finding_to_sr(&scene.context, scene.findings, SCENE_FINDINGS, &sr, &err), err);
    assert_false(finding_seg_again(&scene.context, &sr, &out, &err));
    assert_int_equal(err.code, ERROR_BAD_VALUE);
    scene.result.id = "another";
    assert_false(finding_seg_again(&scene.context, &seg, &out, &err));
    assert_int_equal(err.code, ERROR_BAD_VALUE);
    seg.size /= 2;
    assert_false(finding_seg_again(&scene.context, &seg, &out, &err));
    assert_int_equal(out.size, 0);
    buffer_free(&seg);
    buffer_free(&sr);
    buffer_free(&out);
    scene_free(&scene);
}

static void refused(struct scene *scene, enum error_code code, const char *says)
{
    struct buffer out;
    struct error err;
    buffer_init(&out, 16 << 20);
    assert_false(finding_to_seg(&scene->context, scene->findings, SCENE_FINDINGS, scene->labels, &out, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.message, says))
        fail_msg("%s", err.message);
    buffer_free(&out);
}

static void a_segment_without_voxels_is_refused(void **state)
{
    (void)state;
    struct scene scene;
    scene_oblique(&scene);
    for (size_t i = 0; i < image_voxels(&scene.geometry); i++)
        if (scene.labels[i] == 2)
            scene.labels[i] = 0;
    refused(&scene, ERROR_BAD_DATA, "segment 2");
    scene_free(&scene);
}

static void labels_past_the_findings_are_not_looked_at(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer clean, odd;
    scene_oblique(&scene);
    make(&scene, &clean);
    for (size_t i = 0; i < image_voxels(&scene.geometry); i++)
        if (scene.labels[i] == 0)
            scene.labels[i] = 65535;
    make(&scene, &odd);
    assert_int_equal(clean.size, odd.size);
    assert_memory_equal(clean.data, odd.data, clean.size);
    scene_free(&scene);
    buffer_free(&clean);
    buffer_free(&odd);
}

static void segments_that_do_not_count_from_one_are_refused(void **state)
{
    (void)state;
    struct scene scene;
    scene_oblique(&scene);
    scene.findings[1].segment = 3;
    refused(&scene, ERROR_BAD_VALUE, "segment number 3");
    scene_free(&scene);
}

static void a_finding_that_does_not_say_what_it_is_is_refused(void **state)
{
    (void)state;
    struct scene scene;
    scene_oblique(&scene);
    scene.findings[0].concept.value = "";
    refused(&scene, ERROR_BAD_VALUE, "finding 1");
    scene_free(&scene);
}

static void a_segmentation_past_its_ceiling_is_refused(void **state)
{
    (void)state;
    struct scene scene;
    struct buffer out;
    struct error err;
    scene_oblique(&scene);
    buffer_init(&out, 4096);
    assert_false(finding_to_seg(&scene.context, scene.findings, SCENE_FINDINGS, scene.labels, &out, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    buffer_free(&out);
    scene_free(&scene);
}

int test_seg(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segmentation_of_a_real_head_lies_where_its_voxels_were_drawn),
        cmocka_unit_test(frames_that_end_inside_a_byte_follow_each_other_bit_by_bit),
        cmocka_unit_test(the_same_job_gives_the_same_bytes),
        cmocka_unit_test(another_job_or_revision_has_other_uids),
        cmocka_unit_test(series_of_results_revisions_and_kinds_have_numbers_of_their_own),
        cmocka_unit_test(a_segmentation_is_shown_again_under_other_uids_with_the_same_pixels),
        cmocka_unit_test(a_segmentation_without_a_zone_gets_one_when_it_is_shown_again),
        cmocka_unit_test(only_a_segmentation_of_the_result_is_shown_again),
        cmocka_unit_test(a_segment_without_voxels_is_refused),
        cmocka_unit_test(labels_past_the_findings_are_not_looked_at),
        cmocka_unit_test(segments_that_do_not_count_from_one_are_refused),
        cmocka_unit_test(a_finding_that_does_not_say_what_it_is_is_refused),
        cmocka_unit_test(a_segmentation_past_its_ceiling_is_refused),
    };
    return cmocka_run_group_tests_name("segmentations", tests, NULL, NULL);
}
