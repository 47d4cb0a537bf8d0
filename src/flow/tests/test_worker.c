// What the worker does with a job before a model runs: what was asked for may have changed while it waited.
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alarm.h"

static const char *const one_model[] = {"one", NULL};
#define RULE "{\"name\":\"any-ct\",\"modality\":\"CT\",\"model\":\"one\",\"send_to\":[\"pacs\"],\"priority\":7}"
static void send_series(struct ground *g, const struct slice *like)
{
    ground_put_series(g, like, 3, AT(0));
    ground_end(g, "SCANNER", AT(0));
    ground_step(g, AT(3));
}

#define assert_says(job, part)                                                                                         \
    do {                                                                                                               \
        if (!strstr((job)->reason, part))                                                                              \
            fail_msg("the reason is '%s', without '%s'", (job)->reason, part);                                         \
    } while (0)

static const struct {
    const char *needs;
    struct slice slice;
    bool fits;
} parts[] = {
    {"", {.body_part = "CHEST"}, true},
    {",\"body_part\":[\"BRAIN\",\"HEAD\"]", {.body_part = "head"}, true},
    {",\"body_part\":[\"BRAIN\",\"HEAD\"]", {.body_part = "CHEST"}, false},
    {",\"body_part\":[\"BRAIN\",\"HEAD\"]", {.body_part = "X", .description = "CT Head 1.5"}, true},
    {",\"description\":[\"kopf\"]", {.body_part = "HEAD"}, false},
    {",\"description\":[\"kopf\"]", {.study_description = "CT Kopf nativ"}, true},
    {",\"body_part\":[\"HEAD\"],\"description\":[\"kopf\"]", {.body_part = "HEAD", .description = "5 mm"}, true},
    {",\"body_part\":[\"HEAD\"],\"description\":[\"kopf\"]", {.body_part = "X", .description = "KOPF 5 mm"}, true},
    {",\"body_part\":[\"HEAD\"],\"description\":[\"kopf\"]", {.body_part = "X", .description = "5 mm"}, false},
};

static void the_part_of_the_body_that_a_package_needs_is_asked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct ground g;
        ground_open(&g, NULL, NULL);
        ground_add_package(&g, &(struct package){.name = "one", .needs = parts[i].needs, .rule = RULE});
        ground_restart_flow(&g);
        send_series(&g, &parts[i].slice);
        ground_work(&g);
        struct queue_job *job = ground_only_job(&g);
        bool fits = job->state != QUEUE_JOB_SKIPPED;
        if (fits != parts[i].fits)
            fail_msg("needs %s: %s %s", parts[i].needs, queue_job_state_text(job->state), job->reason);
        if (!fits)
            assert_says(job, "another part of the body");
        ground_close(&g);
    }
}

static void job_of_a_replaced_package_is_skipped_and_one_of_the_new_is_there(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, one_model, RULE);
    send_series(&g, &(struct slice){0});
    ground_add_package(&g, &(struct package){.name = "one", .version = "2"});
    ground_work(&g);
    assert_int_equal(ground_jobs(&g, &jobs), 2);
    assert_int_equal(jobs[0].state, QUEUE_JOB_SKIPPED);
    assert_string_equal(jobs[0].outcome, "not analysed");
    assert_says(&jobs[0], "one 1 (");
    assert_says(&jobs[0], "replaced by one 2 (");
    assert_string_equal(jobs[1].model, "one 2");
    assert_string_equal(jobs[1].series, jobs[0].series);
    assert_int_equal(jobs[1].priority, 7);
    assert_int_equal(jobs[1].state, QUEUE_JOB_FAILED); // it was tried: models cannot run here
    ground_close(&g);
}

static void job_of_a_changed_series_is_left_to_the_newer_one_whatever_the_package(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, one_model, RULE);
    send_series(&g, &(struct slice){0});
    ground_put(&g, &(struct slice){.number = 4}, AT(10));
    ground_step(&g, AT(20));
    ground_work(&g);
    assert_int_equal(ground_jobs(&g, &jobs), 2);
    assert_int_equal(jobs[0].state, QUEUE_JOB_SKIPPED);
    assert_says(&jobs[0], "the series has changed");
    assert_int_equal(jobs[1].state, QUEUE_JOB_FAILED);
    ground_close(&g);
}

static void job_whose_package_is_gone_says_so_and_is_taken_up_when_it_is_back(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    send_series(&g, &(struct slice){0});
    ground_drop_packages(&g);
    ground_work(&g);
    struct queue_job *job = ground_only_job(&g);
    assert_int_equal(job->state, QUEUE_JOB_SKIPPED);
    assert_says(job, "model one is not installed");
    assert_ok(flow_take_packages(g.flow, NULL, &g.err), g.err); // it is not
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_SKIPPED);
    ground_add_package(&g, &(struct package){.name = "one", .rule = RULE});
    assert_ok(flow_take_packages(g.flow, NULL, &g.err), g.err);
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_QUEUED);
    ground_work(&g);
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_FAILED); // it was run
    ground_close(&g);
}

static const struct {
    const char *rule; // as it is when the job comes up; NULL: removed
    const char *reason;
} edits[] = {
    {NULL, "rule 'any-ct' was removed"},
    {"{\"name\":\"any-ct\",\"model\":\"one\",\"enabled\":false}", "rule 'any-ct' was disabled"},
    {"{\"name\":\"any-ct\",\"model\":\"one\",\"modality\":\"MR\"}", "rule 'any-ct' does not hold"},
    {"{\"name\":\"any-ct\",\"model\":\"two\"}", "rule 'any-ct' does not hold"},
};

static void job_that_no_rule_asks_for_any_more_is_skipped_with_the_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        struct ground g;
        ground_open(&g, one_model, RULE);
        send_series(&g, &(struct slice){0});
        if (edits[i].rule)
            ground_rule(&g, edits[i].rule);
        else
            assert_ok(flow_rule_remove(g.store, g.access, "any-ct", "test", &g.err), g.err);
        ground_work(&g);
        struct queue_job *job = ground_only_job(&g);
        assert_int_equal(job->state, QUEUE_JOB_SKIPPED);
        assert_says(job, edits[i].reason);
        ground_close(&g);
    }
}

static void job_goes_on_while_another_rule_asks_for_it(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_rule(&g, "{\"name\":\"second\",\"model\":\"one\"}");
    send_series(&g, &(struct slice){0});
    assert_ok(flow_rule_remove(g.store, g.access, "any-ct", "test", &g.err), g.err);
    ground_work(&g);
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_FAILED);
    ground_close(&g);
}

// Without a job nobody would learn that the series is not analysed, and why.
static void enhanced_series_gets_a_job_that_says_why_it_is_skipped(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, NULL);
    ground_rule(&g, "{\"name\":\"ct\",\"model\":\"one\",\"slices_min\":16,\"spacing_max_mm\":5}");
    ground_put(&g, &(struct slice){.frames = 16}, AT(0));
    ground_end(&g, "SCANNER", AT(0));
    ground_step(&g, AT(3));
    ground_work(&g);
    struct queue_job *job = ground_only_job(&g);
    assert_int_equal(job->state, QUEUE_JOB_SKIPPED);
    assert_says(job, "holds 16 frames");
    ground_close(&g);
}

static const struct {
    const char *asks; // of the rule
    struct slice slice;
    const char *reason;
} lacks[] = {
    {"\"spacing_max_mm\":2", {.spacing_mm = 2.5}, "2.5"},
    {"\"slices_min\":4", {0}, "4"},
    {"\"no_contrast\":true", {.agent = "IODINE"}, "IODINE"},
};

static void what_a_rule_asks_of_the_images_and_is_not_so_is_the_reason_of_a_skipped_job(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++) {
        struct ground g;
        struct finding_result *result;
        char rule[160];
        ground_open(&g, one_model, NULL);
        snprintf(rule, sizeof rule, "{\"name\":\"r\",\"model\":\"one\",%s}", lacks[i].asks);
        ground_rule(&g, rule);
        send_series(&g, &lacks[i].slice);
        ground_work(&g);
        struct queue_job *job = ground_only_job(&g);
        assert_int_equal(job->state, QUEUE_JOB_SKIPPED);
        assert_says(job, "rule 'r'");
        assert_says(job, lacks[i].reason);
        assert_int_equal(ground_results(&g, job->study, &result), 1);
        assert_int_equal(result->outcome, FINDING_NOT_ANALYSED);
        assert_string_equal(result->reason, job->reason);
        ground_close(&g);
    }
}

static void what_one_rule_asks_keeps_no_other_from_the_job(void **state)
{
    struct ground g;
    struct finding_result *result;
    (void)state;
    ground_open(&g, one_model, NULL);
    ground_rule(&g, "{\"name\":\"strict\",\"model\":\"one\",\"slices_min\":400,\"send_to\":[\"far\"]}");
    ground_rule(&g, "{\"name\":\"wide\",\"model\":\"one\",\"send_to\":[\"near\"]}");
    send_series(&g, &(struct slice){0});
    ground_work(&g);
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_FAILED); // it was tried: models cannot run here
    assert_int_equal(ground_results(&g, "1.2.3", &result), 1);
    assert_int_equal(result->outcome, FINDING_FAILED);
    assert_string_equal(result->send_to, "[\"near\"]");
    ground_close(&g);
}

static void series_without_frame_of_reference_is_skipped_before_the_model_runs(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    send_series(&g, &(struct slice){.no_frame_of_reference = true});
    ground_work(&g);
    struct queue_job *job = ground_only_job(&g);
    assert_int_equal(job->state, QUEUE_JOB_SKIPPED);
    assert_says(job, "no Frame of Reference UID");
    ground_close(&g);
}

// The last byte of one slice, in its pack.
static void damage_a_slice(struct ground *g)
{
    struct archive_object *objects;
    char path[2 * GROUND_PATH];
    size_t count;
    uint8_t byte;
    assert_ok(archive_objects(g->archive, ACCESS_ALL, "1.2.3", NULL, NULL, &g->arena, &objects, &count, &g->err),
              g->err);
    const struct archive_object *object = &objects[count - 1];
    snprintf(path, sizeof path, "%s/packs/%010llu.pack", g->folder, (unsigned long long)object->place.container);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t last = (off_t)(object->place.offset + STORE_RECORD_HEADER + object->size - 1);
    assert_int_equal(pread(fd, &byte, 1, last), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, last), 1);
    close(fd);
}

static void series_with_a_damaged_slice_is_not_analysed_and_not_tried_again(void **state)
{
    struct ground g;
    struct finding_result *result;
    (void)state;
    ground_open(&g, one_model, RULE);
    send_series(&g, &(struct slice){0});
    damage_a_slice(&g);
    ground_work(&g);
    struct queue_job *job = ground_only_job(&g);
    assert_int_not_equal(job->state, QUEUE_JOB_QUEUED);
    assert_string_equal(job->outcome, "not analysed");
    assert_says(job, "do not match their digest");
    assert_int_equal(ground_results(&g, "1.2.3", &result), 1);
    assert_int_equal(result->outcome, FINDING_NOT_ANALYSED);
    assert_true(alarm_count(ALARM_DIGEST) > 0);
    ground_close(&g);
}

static void what_is_told_of_a_result_needs_no_package(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){0}, AT(0));
    ground_work_for_real(&g);
    assert_int_equal(ground_newest(&g)->outcome, FINDING_NEGATIVE);
    ground_drop_packages(&g);
    ground_step(&g, AT(600));
    ground_work_for_real(&g);
    assert_true(ground_newest(&g)->told);
    assert_string_equal(ground_class_of(&g, ground_newest(&g)->sr_instance), SR);
    ground_close(&g);
}

static void a_finding_is_taken_back_although_its_package_is_gone(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 44}, AT(0));
    ground_work_for_real(&g);
    ground_deliver_all(&g);
    ground_drop_packages(&g);
    ground_judge(&g, FINDING_REJECTED, AT(30));
    ground_work_for_real(&g);
    ground_deliver_all(&g);
    assert_non_null(strstr(ground_message_as(&g, "F"), "|||D"));
    ground_close(&g);
}

int test_worker(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_part_of_the_body_that_a_package_needs_is_asked),
        cmocka_unit_test(job_of_a_replaced_package_is_skipped_and_one_of_the_new_is_there),
        cmocka_unit_test(job_of_a_changed_series_is_left_to_the_newer_one_whatever_the_package),
        cmocka_unit_test(job_whose_package_is_gone_says_so_and_is_taken_up_when_it_is_back),
        cmocka_unit_test(job_that_no_rule_asks_for_any_more_is_skipped_with_the_rule),
        cmocka_unit_test(job_goes_on_while_another_rule_asks_for_it),
        cmocka_unit_test(enhanced_series_gets_a_job_that_says_why_it_is_skipped),
        cmocka_unit_test(what_a_rule_asks_of_the_images_and_is_not_so_is_the_reason_of_a_skipped_job),
        cmocka_unit_test(what_one_rule_asks_keeps_no_other_from_the_job),
        cmocka_unit_test(series_without_frame_of_reference_is_skipped_before_the_model_runs),
        cmocka_unit_test(what_is_told_of_a_result_needs_no_package),
        cmocka_unit_test(a_finding_is_taken_back_although_its_package_is_gone),
        cmocka_unit_test(series_with_a_damaged_slice_is_not_analysed_and_not_tried_again),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
