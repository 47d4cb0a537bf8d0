// Asking again: by hand for a study, at another package of a model, and what becomes of a job that was given up.
#include "support.h"

#include <string.h>

#include "flow/internal.h"

#define RULE "{\"name\":\"any-ct\",\"modality\":\"CT\",\"model\":\"one\"}"
static const char *const one_model[] = {"one", NULL};

static void send_series(struct ground *g, const struct slice *like)
{
    ground_put_series(g, like, 3, AT(0));
    ground_end(g, "SCANNER", AT(0));
    ground_step(g, AT(3));
}

static struct flow_asked ask(struct ground *g)
{
    struct flow_asked asked;
    assert_ok(flow_ask(g->flow, "1.2.3", AT(500), &asked, &g->err), g->err);
    return asked;
}

static void a_rule_that_is_new_reaches_back_to_a_study_that_is_asked_again(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, NULL);
    send_series(&g, &(struct slice){0});
    struct flow_asked asked = ask(&g);
    assert_int_equal(asked.series, 1);
    assert_int_equal(asked.unasked, 1);
    ground_rule(&g, RULE);
    asked = ask(&g);
    assert_int_equal(asked.unasked, 0);
    assert_int_equal(asked.jobs, 1);
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_QUEUED);
    asked = ask(&g);
    assert_int_equal(asked.jobs, 0);
    assert_int_equal(asked.waiting, 1);
    ground_close(&g);
}

static void what_was_skipped_is_queued_again(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    send_series(&g, &(struct slice){0});
    ground_rule(&g, "{\"name\":\"any-ct\",\"modality\":\"CT\",\"model\":\"one\",\"enabled\":false}");
    ground_work(&g);
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_SKIPPED);
    assert_int_equal(ask(&g).jobs, 0); // no rule asks
    ground_rule(&g, RULE);
    assert_int_equal(ask(&g).jobs, 1);
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_QUEUED);
    ground_close(&g);
}

static void what_failed_has_another_job_and_what_it_answers_takes_the_failure_s_place(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open_real(&g, "");
    ground_send_head(&g, &(struct head){.bleed = 22}, AT(0));
    for (size_t i = 0; i < 2; i++) {
        ground_work(&g);
        assert_int_equal(ground_result(&g, i)->outcome, FINDING_FAILED);
        assert_int_equal(ask(&g).jobs, 1);
        assert_int_equal(ground_jobs(&g, &jobs), i + 2);
    }
    ground_work_for_real(&g);
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_REPLACED);
    assert_int_equal(ground_result(&g, 1)->standing, FINDING_REPLACED);
    assert_int_equal(ground_result(&g, 2)->outcome, FINDING_POSITIVE);
    struct flow_asked asked = ask(&g);
    assert_int_equal(asked.jobs, 0);
    assert_int_equal(asked.answered, 1);
    ground_close(&g);
}

static void a_series_that_arrives_is_asked_when_it_is_whole_and_an_unknown_study_not_at_all(void **state)
{
    struct ground g;
    struct flow_asked asked;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put_series(&g, &(struct slice){0}, 3, AT(0));
    ground_step(&g, AT(1));
    asked = ask(&g);
    assert_int_equal(asked.arriving, 1);
    assert_int_equal(asked.series, 0);
    assert_false(flow_ask(g.flow, "1.2.4", AT(500), &asked, &g.err));
    assert_int_equal(g.err.code, ERROR_NOT_FOUND);
    ground_close(&g);
}

static void install(struct ground *g, const char *version)
{
    ground_add_package(g, &(struct package){.name = "one", .version = version});
    assert_ok(flow_take_packages(g->flow, NULL, &g->err), g->err);
}

static void what_failed_of_a_package_is_asked_of_another_one_once(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, (const char *const[]){"one", "two", NULL}, RULE);
    send_series(&g, &(struct slice){0});
    ground_work(&g);
    ground_rule(&g, "{\"name\":\"a-new\",\"modality\":\"CT\",\"model\":\"two\"}"); // before the other
    assert_ok(flow_take_packages(g.flow, NULL, &g.err), g.err);
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_FAILED); // by the package that is there
    for (int i = 0; i < 2; i++) {
        install(&g, "2");
        assert_int_equal(ground_jobs(&g, &jobs), 2); // and none of the other model
        assert_string_equal(jobs[1].model, "one 2");
        assert_int_equal(jobs[1].state, QUEUE_JOB_QUEUED);
    }
    ground_work(&g);
    assert_int_equal(ground_jobs(&g, &jobs), 2); // nor when that one has failed
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_REPLACED);
    assert_string_equal(ground_result(&g, 1)->model_version, "2");
    ground_close(&g);
}

// What is there of it is not all.
static void what_failed_of_a_series_that_arrives_is_asked_when_it_is_whole(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, one_model, RULE);
    send_series(&g, &(struct slice){0});
    ground_work(&g);
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_FAILED);
    ground_put(&g, &(struct slice){.number = 4}, AT(10));
    ground_step(&g, AT(11));
    install(&g, "2");
    assert_int_equal(ground_jobs(&g, &jobs), 1);
    ground_end(&g, "SCANNER", AT(12));
    ground_step(&g, AT(20));
    assert_int_equal(ground_jobs(&g, &jobs), 2);
    assert_string_equal(jobs[1].model, "one 2");
    ground_close(&g);
}

static void a_series_that_cannot_be_asked_is_told_to_who_asks(void **state)
{
    struct ground g;
    struct flow_asked asked;
    bool ok = true;
    (void)state;
    ground_open(&g, one_model, RULE);
    send_series(&g, &(struct slice){0});
    ground_put_series(&g, &(struct slice){.series = "1.2.3.0", .modality = "MR"}, 1, AT(10)); // which no rule asks for
    ground_end(&g, "SCANNER", AT(10));
    ground_step(&g, AT(20));
    for (int i = 0; ok && i < 1000; i++) {
        ground_work(&g);
        ok = flow_ask(g.flow, "1.2.3", AT(500), &asked, &g.err);
    }
    assert_false(ok);
    assert_int_equal(g.err.code, ERROR_LIMIT);
    assert_non_null(strstr(g.err.message, "in vain"));
    ground_close(&g);
}

// ---- given up

static bool claim(struct database *db, void *payload, struct error *err)
{
    struct arena arena;
    struct queue_job *job;
    arena_init(&arena, 16 << 20);
    bool ok = queue_job_claim(db, FLOW_JOB_MODEL, *(const int64_t *)payload, CLOCK_SECOND, &arena, &job, err);
    arena_free(&arena);
    return ok;
}

// As when the program goes down at each try of the job that waits.
static void give_up(struct ground *g, double at_s)
{
    for (int i = 0; i <= QUEUE_JOB_ATTEMPTS_MAX; i++) {
        int64_t now_ns = AT(at_s + 10 * i);
        assert_ok(store_write(g->store, STORE_DURABLE, claim, &now_ns, &g->err), g->err);
    }
    ground_step(g, AT(at_s + 60));
}

// Told of all but the last slice, whose job is given up.
static void open_given_up(struct ground *g, int bleed)
{
    ground_open_told(g, &(struct head){.bleed = bleed, .to = 51});
    ground_send_head(g, &(struct head){.bleed = bleed, .from = 51}, AT(200));
    give_up(g, 210);
}

static void expect_failed(struct ground *g)
{
    const struct finding_result *result = ground_newest(g);
    assert_int_equal(result->outcome, FINDING_FAILED);
    assert_non_null(strstr(result->reason, "gave up after 3 attempts"));
    assert_int_equal(result->standing, FINDING_CURRENT);
}

static void a_negative_whose_next_job_is_given_up_is_taken_back_everywhere(void **state)
{
    struct ground g;
    (void)state;
    open_given_up(&g, 0);
    assert_int_equal(ground_newest(&g)->outcome, FINDING_NEGATIVE);
    ground_work(&g);
    expect_failed(&g);
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_REPLACED);
    assert_int_equal(ground_count(&g, "hl7"), 2);
    const char *text = ground_message_as(&g, "R");
    assert_non_null(strstr(text, "failed: gave up after 3 attempts"));
    assert_non_null(strstr(text, "|X\rNTE|"));
    assert_int_equal(ground_count(&g, "dicom"), 2); // the SR, and the note that rejects it
    size_t count;
    struct queue_delivery *list = ground_deliveries(&g, ground_newest(&g)->topic, &count);
    for (size_t i = 0; i < count; i++)
        if (*list[i].payload == '[')
            assert_string_equal(ground_class_of(&g, list[i].subject), KO);
    ground_step(&g, AT(400)); // the report's own end makes nothing more
    ground_work(&g);
    assert_int_equal(ground_count(&g, "hl7"), 2);
    ground_close(&g);
}

static size_t messages_of(struct ground *g, const char *topic)
{
    size_t count, messages = 0;
    struct queue_delivery *list = ground_deliveries(g, topic, &count);
    for (size_t i = 0; i < count; i++)
        messages += strcmp(list[i].kind, "hl7") == 0 && list[i].state != QUEUE_DELIVERY_OBSOLETE;
    return messages;
}

// What was given up knows no volumes: the negatives of each are taken back under their own numbers.
static void negatives_of_volumes_are_taken_back_each_when_the_next_job_is_given_up(void **state)
{
    struct ground g;
    struct finding_result *results;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_put_head(&g, &(struct head){.acquisition = 1, .to = 51}, AT(0));
    ground_send_head(&g, &(struct head){.acquisition = 2, .instances = "1.2.3.1.9"}, AT(0));
    ground_work_for_real(&g);
    ground_step(&g, AT(120));
    ground_work_for_real(&g);
    ground_deliver_all(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    ground_send_head(&g, &(struct head){.acquisition = 1, .from = 51}, AT(200));
    give_up(&g, 210);
    ground_work(&g);
    expect_failed(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 3);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(results[i].outcome, FINDING_NEGATIVE);
        assert_int_equal(results[i].standing, FINDING_REPLACED);
        assert_non_null(strstr(ground_message_of(&g, results[i].topic, "R"), "|D|"));
        assert_int_equal(messages_of(&g, results[i].topic), 2);
    }
    ground_close(&g);
}

// Nobody was told of them, and so nobody hears that they are gone.
static void negatives_that_nobody_heard_of_are_taken_back_from_nobody(void **state)
{
    struct ground g;
    struct finding_result *results;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_put_head(&g, &(struct head){.acquisition = 1, .to = 51}, AT(0));
    ground_send_head(&g, &(struct head){.acquisition = 2, .instances = "1.2.3.1.9"}, AT(0));
    ground_work_for_real(&g);
    ground_send_head(&g, &(struct head){.acquisition = 1, .from = 51}, AT(20));
    give_up(&g, 30);
    ground_work(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 3);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(results[i].standing, FINDING_REPLACED);
        assert_int_equal(messages_of(&g, results[i].topic), 0);
    }
    ground_close(&g);
}

// Nothing was told before: who asked to hear of what was not analysed hears of this too.
static void what_was_given_up_at_the_first_look_is_told_to_who_hears_all(void **state)
{
    struct ground g;
    struct flow_hl7_target target = {.name = "ris",
                                     .host = "127.0.0.1",
                                     .port = 2575,
                                     .application = "RIS",
                                     .unsigned_status = "R",
                                     .filler = "topic",
                                     .tls = "no",
                                     .not_analysed = true};
    (void)state;
    ground_open_real(&g, TARGETS);
    assert_ok(flow_hl7_target_put(g.store, g.access, &target, "test", &g.err), g.err);
    ground_send_head(&g, &(struct head){0}, AT(0));
    give_up(&g, 10);
    ground_work(&g);
    expect_failed(&g);
    assert_int_equal(ground_count(&g, "hl7"), 1);
    ground_close(&g);
}

// Else the package that came meanwhile would count as the one that failed, and never be asked.
static void what_was_given_up_is_of_the_package_that_was_given_up(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, one_model, RULE);
    send_series(&g, &(struct slice){0});
    give_up(&g, 10);
    ground_add_package(&g, &(struct package){.name = "one", .version = "2"});
    ground_work(&g);
    expect_failed(&g);
    assert_string_equal(ground_newest(&g)->model_version, "1");
    assert_ok(flow_take_packages(g.flow, NULL, &g.err), g.err);
    assert_true(ground_jobs(&g, &jobs) > 0);
    assert_string_equal(jobs[ground_jobs(&g, &jobs) - 1].model, "one 2");
    ground_close(&g);
}

static void a_positive_whose_next_job_is_given_up_stands_and_is_said_again(void **state)
{
    struct ground g;
    (void)state;
    open_given_up(&g, 22);
    ground_work(&g);
    expect_failed(&g);
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_CURRENT);
    assert_int_equal(ground_count(&g, "dicom"), 2);
    assert_non_null(strstr(ground_message_as(&g, "R"), "This was said of an earlier look, and stands."));
    ground_close(&g);
}

static void what_is_given_up_and_cannot_be_told_is_no_answer_all_the_same(void **state)
{
    struct ground g;
    (void)state;
    open_given_up(&g, 0);
    ground_drop_packages(&g);
    ground_work(&g);
    ground_step(&g, AT(400));
    expect_failed(&g);
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_REPLACED);
    ground_close(&g);
}

static void what_is_given_up_of_a_series_that_has_changed_since_says_nothing_of_it(void **state)
{
    struct ground g;
    struct finding_result *results;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.to = 51}, AT(0));
    give_up(&g, 10);
    ground_send_head(&g, &(struct head){.from = 51}, AT(200));
    ground_work_for_real(&g);
    ground_step(&g, AT(400));
    assert_int_equal(ground_results(&g, "1.2.3", &results), 1);
    assert_int_equal(results[0].outcome, FINDING_NEGATIVE);
    ground_close(&g);
}

static void what_was_given_up_is_asked_again_by_hand(void **state)
{
    struct ground g;
    (void)state;
    open_given_up(&g, 0);
    ground_work(&g);
    assert_int_equal(ask(&g).jobs, 1);
    ground_work_for_real(&g);
    assert_int_equal(ground_newest(&g)->outcome, FINDING_NEGATIVE);
    assert_int_equal(ground_result(&g, 1)->standing, FINDING_REPLACED);
    ground_close(&g);
}

int test_ask(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_that_is_new_reaches_back_to_a_study_that_is_asked_again),
        cmocka_unit_test(what_was_skipped_is_queued_again),
        cmocka_unit_test(what_failed_has_another_job_and_what_it_answers_takes_the_failure_s_place),
        cmocka_unit_test(a_series_that_arrives_is_asked_when_it_is_whole_and_an_unknown_study_not_at_all),
        cmocka_unit_test(what_failed_of_a_package_is_asked_of_another_one_once),
        cmocka_unit_test(a_negative_whose_next_job_is_given_up_is_taken_back_everywhere),
        cmocka_unit_test(negatives_of_volumes_are_taken_back_each_when_the_next_job_is_given_up),
        cmocka_unit_test(a_positive_whose_next_job_is_given_up_stands_and_is_said_again),
        cmocka_unit_test(what_is_given_up_and_cannot_be_told_is_no_answer_all_the_same),
        cmocka_unit_test(what_is_given_up_of_a_series_that_has_changed_since_says_nothing_of_it),
        cmocka_unit_test(what_was_given_up_is_asked_again_by_hand),
        cmocka_unit_test(what_failed_of_a_series_that_arrives_is_asked_when_it_is_whole),
        cmocka_unit_test(a_series_that_cannot_be_asked_is_told_to_who_asks),
        cmocka_unit_test(negatives_that_nobody_heard_of_are_taken_back_from_nobody),
        cmocka_unit_test(what_was_given_up_is_of_the_package_that_was_given_up),
        cmocka_unit_test(what_was_given_up_at_the_first_look_is_told_to_who_hears_all),
    };
    return cmocka_run_group_tests_name("ask", tests, NULL, NULL);
}
