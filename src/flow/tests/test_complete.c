// When a series is taken as whole: on a simulated clock.
#include "support.h"

#include "flow/internal.h"

#include <string.h>

static const char *const one_model[] = {"one", NULL};
#define RULE "{\"name\":\"any-ct\",\"modality\":\"CT\",\"model\":\"one\"}"
static void ended_association_and_quiet_make_a_series_whole(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put_series(&g, &(struct slice){0}, 3, AT(0));
    ground_end(&g, "SCANNER", AT(1));
    ground_step(&g, AT(1.9));
    assert_int_equal(ground_completions(&g), 0);
    ground_step(&g, AT(2));
    assert_int_equal(ground_completions(&g), 1);
    struct queue_job *job = ground_only_job(&g);
    assert_string_equal(job->study, "1.2.3");
    assert_string_equal(job->series, "1.2.3.1");
    assert_string_equal(job->model, "one 1");
    ground_step(&g, AT(3600));
    assert_int_equal(ground_completions(&g), 1);
    ground_close(&g);
}

static bool arrives(struct ground *g, const char *study)
{
    bool out = false;
    struct database *db = store_read_begin(g->store, &g->err);
    assert_ok(db && flow_study_arrives(db, study, &out, &g->err), g->err);
    store_read_end(g->store, db);
    return out;
}

static void a_study_arrives_until_the_last_of_its_series_is_whole(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    assert_true(arrives(&g, "1.2.3"));
    ground_put_series(&g, &(struct slice){0}, 3, AT(0));
    ground_end(&g, "SCANNER", AT(1));
    ground_step(&g, AT(1.9));
    assert_true(arrives(&g, "1.2.3"));
    ground_step(&g, AT(2));
    assert_false(arrives(&g, "1.2.3"));
    ground_put(&g, &(struct slice){.series = "1.2.3.2", .number = 1}, AT(100));
    ground_step(&g, AT(101));
    assert_true(arrives(&g, "1.2.3"));
    ground_close(&g);
}

static void open_association_waits_four_times_the_longest_gap(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put(&g, &(struct slice){.number = 1}, AT(0));
    ground_put(&g, &(struct slice){.number = 2}, AT(3)); // a gap of 3 s: 12 s of silence
    ground_put(&g, &(struct slice){.number = 3}, AT(4));
    ground_step(&g, AT(15.9));
    assert_int_equal(ground_completions(&g), 0);
    ground_step(&g, AT(16));
    assert_int_equal(ground_completions(&g), 1);
    ground_close(&g);
}

static void open_association_waits_at_least_five_seconds_and_at_most_sixty(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put(&g, &(struct slice){.number = 1}, AT(0));
    ground_put(&g, &(struct slice){.number = 2}, AT(.1));
    ground_step(&g, AT(5.05));
    assert_int_equal(ground_completions(&g), 0);
    ground_step(&g, AT(5.1));
    assert_int_equal(ground_completions(&g), 1);
    ground_put(&g, &(struct slice){.series = "1.2.3.2", .number = 1}, AT(100));
    ground_put(&g, &(struct slice){.series = "1.2.3.2", .number = 2}, AT(150)); // a gap of 50 s
    ground_step(&g, AT(209.9));
    assert_int_equal(ground_completions(&g), 1);
    ground_step(&g, AT(210));
    assert_int_equal(ground_completions(&g), 2);
    ground_close(&g);
}

static bool fail_delivery(struct database *db, void *payload, struct error *err)
{
    const struct queue_delivery to = {.key = "k", .target = "ris", .kind = "hl7", .subject = "s", .payload = "p"};
    struct ground *g = payload;
    struct queue_delivery *delivery;
    int64_t next_ns;
    bool added, dead;
    return queue_delivery_add(db, &to, AT(3600), &added, err) &&
           queue_delivery_claim(db, "hl7", AT(3600), CLOCK_SECOND, &g->arena, &delivery, &next_ns, err) &&
           queue_delivery_failed(db, delivery->id, delivery->token, QUEUE_NOT_TAKEN, "down", AT(3600), &dead, err);
}

static bool claim_now(struct database *db, void *payload, struct error *err)
{
    struct ground *g = payload;
    struct queue_delivery *delivery;
    int64_t next_ns;
    bool ok = queue_delivery_claim(db, "hl7", AT(61), CLOCK_SECOND, &g->arena, &delivery, &next_ns, err);
    assert_true(!ok || delivery != NULL);
    return ok;
}

// A series and a delivery that wait do so for their own time, not for as long as the clock was set back; also when it
// was set while no server ran.
static void a_clock_that_is_set_back_holds_nothing_up(void **state)
{
    (void)state;
    for (int restart = 0; restart <= 1; restart++) {
        struct ground g;
        ground_open(&g, one_model, RULE);
        ground_put(&g, &(struct slice){.number = 1}, AT(3600));
        ground_end(&g, "SCANNER", AT(3600));
        assert_ok(store_write(g.store, STORE_REPLAYABLE, fail_delivery, &g, &g.err), g.err);
        ground_step(&g, AT(3600.5));
        assert_int_equal(ground_completions(&g), 0);
        if (restart)
            ground_restart_flow(&g);
        ground_step(&g, AT(1)); // an hour earlier
        ground_step(&g, AT(61));
        assert_int_equal(ground_completions(&g), 1);
        assert_ok(store_write(g.store, STORE_REPLAYABLE, claim_now, &g, &g.err), g.err);
        ground_close(&g);
    }
}

static void pause_between_two_associations_is_no_gap(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put(&g, &(struct slice){.number = 1}, AT(0));
    ground_end(&g, "SCANNER", AT(0));
    ground_step(&g, AT(3));
    ground_put(&g, &(struct slice){.number = 2}, AT(30)); // another association, still open
    ground_step(&g, AT(34.9));
    assert_int_equal(ground_completions(&g), 1);
    ground_step(&g, AT(35));
    assert_int_equal(ground_completions(&g), 2);
    ground_close(&g);
}

static void other_senders_end_ends_nothing(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put(&g, &(struct slice){.number = 1}, AT(0));
    ground_end(&g, "ELSEWHERE", AT(1));
    ground_step(&g, AT(4.9));
    assert_int_equal(ground_completions(&g), 0);
    ground_close(&g);
}

static void of_two_associations_of_one_title_each_ends_its_own_series(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put(&g, &(struct slice){.number = 1, .association = "SCANNER 1"}, AT(0));
    ground_put(&g, &(struct slice){.series = "1.2.3.2", .number = 2, .association = "SCANNER 2"}, AT(0));
    ground_end(&g, "SCANNER 1", AT(1));
    ground_step(&g, AT(4.9));
    assert_int_equal(ground_completions(&g), 1);
    ground_step(&g, AT(5));
    assert_int_equal(ground_completions(&g), 2);
    ground_close(&g);
}

static void imported_series_needs_only_quiet(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put_series(&g, &(struct slice){.how = "import", .calling = ""}, 2, AT(0));
    ground_step(&g, AT(1.9));
    assert_int_equal(ground_completions(&g), 0);
    ground_step(&g, AT(2));
    assert_int_equal(ground_completions(&g), 1);
    ground_close(&g);
}

static void late_slice_makes_a_new_version_and_another_job(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put_series(&g, &(struct slice){0}, 2, AT(0));
    ground_end(&g, "SCANNER", AT(0));
    ground_step(&g, AT(2));
    assert_int_equal(ground_jobs(&g, &jobs), 1);
    ground_put(&g, &(struct slice){.number = 3}, AT(300));
    ground_end(&g, "SCANNER", AT(300));
    ground_step(&g, AT(302));
    assert_int_equal(ground_completions(&g), 2);
    assert_int_equal(ground_jobs(&g, &jobs), 2);
    assert_string_not_equal(jobs[0].key, jobs[1].key);
    ground_close(&g);
}

static void the_same_slices_again_make_no_second_job(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    for (int i = 0; i < 2; i++) {
        ground_put_series(&g, &(struct slice){0}, 2, AT(100 * i));
        ground_end(&g, "SCANNER", AT(100 * i));
        ground_step(&g, AT(100 * i + 2));
    }
    assert_int_equal(ground_completions(&g), 1);
    ground_only_job(&g);
    ground_close(&g);
}

// The pixels that are served are the ones that they were, and so are those that are not.
static void other_attributes_kept_beside_make_no_second_job(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put_series(&g, &(struct slice){0}, 2, AT(0));
    ground_end(&g, "SCANNER", AT(0));
    ground_step(&g, AT(2));
    assert_int_equal(ground_put(&g, &(struct slice){.number = 1, .study_description = "x"}, AT(100)),
                     ARCHIVE_KEPT_BESIDE);
    ground_end(&g, "SCANNER", AT(100));
    ground_step(&g, AT(200));
    ground_only_job(&g);
    ground_close(&g);
}

static void what_jobs_store_makes_no_series_whole(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put_series(&g, &(struct slice){.how = "job", .calling = "HILUM"}, 2, AT(0));
    ground_end(&g, "HILUM", AT(1));
    ground_step(&g, AT(3600));
    assert_int_equal(ground_completions(&g), 0);
    ground_close(&g);
}

static void a_restart_forgets_nothing_and_repeats_nothing(void **state)
{
    struct ground g;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put_series(&g, &(struct slice){0}, 2, AT(0));
    ground_step(&g, AT(0));
    ground_restart_flow(&g);
    ground_end(&g, "SCANNER", AT(1));
    ground_restart_flow(&g);
    ground_step(&g, AT(2));
    ground_restart_flow(&g);
    ground_step(&g, AT(3));
    assert_int_equal(ground_completions(&g), 1);
    ground_only_job(&g);
    ground_close(&g);
}

static size_t count_rows(struct ground *g, const char *statement)
{
    int64_t count = 0;
    bool found;
    struct database *db = store_read_begin(g->store, &g->err);
    assert_ok(db != NULL, g->err);
    assert_ok(sql_get_int(db, &g->err, &count, &found, statement, ""), g->err);
    store_read_end(g->store, db);
    return (size_t)count;
}

// The objects of one step's series together are past any arena: each gets its jobs all the same.
static void many_series_due_at_once_all_get_their_jobs(void **state)
{
    enum { SERIES = 150 };
    struct ground g;
    char series[32];
    (void)state;
    ground_open(&g, one_model, RULE);
    for (int i = 0; i < SERIES; i++) {
        snprintf(series, sizeof series, "1.2.3.%d", i + 1);
        ground_put_series(&g, &(struct slice){.series = series}, 1, AT(0));
    }
    ground_end(&g, "SCANNER", AT(0));
    ground_step(&g, AT(10));
    assert_int_equal(ground_completions(&g), SERIES);
    assert_int_equal(count_rows(&g, "SELECT count(*) FROM job"), SERIES);
    ground_close(&g);
}

static void key_follows_from_package_and_contents_in_any_order(void **state)
{
    struct archive_object objects[3] = {{.digest = {1}}, {.digest = {2}}, {.digest = {3}}};
    struct archive_object turned[3] = {objects[2], objects[0], objects[1]};
    char key[65], same[65], other[65];
    struct error err;
    (void)state;
    assert_ok(flow_inputs_digest(key, "p", objects, 3, &err) && flow_inputs_digest(same, "p", turned, 3, &err), err);
    assert_string_equal(key, same);
    assert_ok(flow_inputs_digest(other, "q", objects, 3, &err), err);
    assert_string_not_equal(key, other);
    assert_ok(flow_inputs_digest(other, "p", objects, 2, &err), err);
    assert_string_not_equal(key, other);
}

static size_t event_count(struct ground *g)
{
    return count_rows(g, "SELECT count(*) FROM event");
}

static bool write_many(struct database *db, void *payload, struct error *err)
{
    for (int i = 0; i < *(int *)payload; i++)
        if (!store_event_add(db, STORE_EVENT_CONFIG_CHANGED, "", "x", NULL, err))
            return false;
    return true;
}

static void events_are_dropped_after_thirty_days_in_pieces_and_the_log_goes_on(void **state)
{
    struct ground g;
    bool worked;
    int many = 2500;
    const double day = 86400;
    (void)state;
    ground_open(&g, one_model, RULE);
    ground_put(&g, &(struct slice){.number = 1}, AT(0)); // what comes behind it is newer, whatever its time
    assert_ok(store_write(g.store, STORE_REPLAYABLE, write_many, &many, &g.err), g.err);
    ground_step(&g, AT(29 * day));
    size_t before = event_count(&g);
    assert_true(before > 2500);
    ground_step(&g, AT(29.99 * day));
    assert_true(event_count(&g) >= before);
    assert_ok(flow_step(g.flow, AT(30.1 * day), &worked, &g.err), g.err);
    assert_int_equal(event_count(&g), before - 1000);
    ground_step(&g, AT(30.1 * day));
    assert_int_equal(event_count(&g), 0);
    ground_put(&g, &(struct slice){.number = 2}, AT(31 * day)); // a late slice finds everything as it was
    ground_step(&g, AT(31 * day));
    ground_step(&g, AT(31 * day + 60));
    struct queue_job *jobs;
    assert_int_equal(ground_jobs(&g, &jobs), 2);
    assert_true(event_count(&g) > 0);
    ground_close(&g);
}

// ---- what fails by its own fault

static bool write_sql(struct database *db, void *payload, struct error *err)
{
    return sql_run(db, err, payload, "");
}

// Steps, some of which may fail, until the log is followed to its end; how many times a study was said to be passed
// over, and how a study of that UID was.
static size_t passed_over(struct ground *g, const char *study, int64_t now_ns, struct store_event_detail *detail)
{
    struct store_event *events;
    struct error why;
    size_t count, told = 0;
    bool worked = true;
    for (int i = 0; i < 50 && worked; i++)
        worked = !flow_step(g->flow, now_ns, &worked, &why) || worked;
    struct database *db = store_read_begin(g->store, &g->err);
    assert_ok(db && store_event_read(db, 0, 1000, &g->arena, &events, &count, &g->err), g->err);
    store_read_end(g->store, db);
    for (size_t i = 0; i < count; i++)
        if (events[i].kind == STORE_EVENT_PASSED_OVER && ++told && strcmp(events[i].study, study) == 0)
            assert_ok(store_event_detail(&events[i], &g->arena, detail, &g->err), g->err);
    return told;
}

static void a_study_that_cannot_be_followed_is_passed_over_and_the_next_one_has_its_jobs(void **state)
{
    static const char fault[] = "CREATE TRIGGER fault BEFORE INSERT ON flow_series WHEN NEW.study='1.2.9'"
                                " BEGIN SELECT RAISE(ABORT, 'this row cannot be written'); END";
    struct ground g;
    struct store_event_detail detail = {0};
    (void)state;
    ground_open(&g, one_model, RULE);
    assert_ok(store_write(g.store, STORE_DURABLE, write_sql, (void *)(uintptr_t)fault, &g.err), g.err);
    ground_put(&g, &(struct slice){.study = "1.2.9", .series = "1.2.9.1"}, AT(0));
    ground_put_series(&g, &(struct slice){0}, 3, AT(0));
    ground_end(&g, "SCANNER", AT(1));
    assert_int_equal(passed_over(&g, "1.2.9", AT(2), &detail), 1);
    assert_string_equal(detail.by, "flow");
    assert_string_equal(detail.what, "object.stored");
    assert_non_null(strstr(detail.reason, "this row cannot be written"));
    assert_string_equal(ground_only_job(&g)->study, "1.2.3");
    ground_close(&g);
}

static bool hold_negatives(struct database *db, void *payload, struct error *err)
{
    static const char *const studies[] = {"1.2.3", "1.2.9"};
    bool ok = true, added;
    (void)payload;
    for (size_t i = 0; ok && i < 2; i++) {
        const struct finding_result negative = {.id = studies[i],
                                                .topic = studies[i],
                                                .job = studies[i],
                                                .study = studies[i],
                                                .series = "1.2.4",
                                                .model = "one",
                                                .concept = {"1", "SCT", "Bleed"},
                                                .outcome = FINDING_NEGATIVE,
                                                .objects = 1,
                                                .voxels = 1,
                                                .send_to = "[]",
                                                .hl7_to = "[\"ris\"]"};
        ok = finding_result_add(db, &negative, NULL, 0, &added, err) &&
             flow_hold_add(db, studies[i], studies[i], AT(0), err);
    }
    return ok;
}

static void a_negative_that_cannot_be_told_keeps_no_other_back(void **state)
{
    static const char fault[] = "CREATE TRIGGER fault BEFORE INSERT ON job WHEN NEW.study='1.2.3'"
                                " BEGIN SELECT RAISE(ABORT, 'this row cannot be written'); END";
    struct ground g;
    struct store_event_detail detail = {0};
    (void)state;
    ground_open(&g, one_model, RULE);
    assert_ok(store_write(g.store, STORE_DURABLE, write_sql, (void *)(uintptr_t)fault, &g.err), g.err);
    assert_ok(store_write(g.store, STORE_DURABLE, hold_negatives, NULL, &g.err), g.err);
    assert_int_equal(passed_over(&g, "1.2.3", AT(3600), &detail), 1);
    assert_non_null(strstr(detail.reason, "this row cannot be written"));
    assert_int_equal(count_rows(&g, "SELECT count(*) FROM job WHERE study='1.2.9' AND kind='report'"), 1);
    assert_int_equal(count_rows(&g, "SELECT count(*) FROM flow_hold"), 0);
    ground_close(&g);
}

int test_complete(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ended_association_and_quiet_make_a_series_whole),
        cmocka_unit_test(a_study_arrives_until_the_last_of_its_series_is_whole),
        cmocka_unit_test(open_association_waits_four_times_the_longest_gap),
        cmocka_unit_test(open_association_waits_at_least_five_seconds_and_at_most_sixty),
        cmocka_unit_test(a_clock_that_is_set_back_holds_nothing_up),
        cmocka_unit_test(pause_between_two_associations_is_no_gap),
        cmocka_unit_test(other_senders_end_ends_nothing),
        cmocka_unit_test(of_two_associations_of_one_title_each_ends_its_own_series),
        cmocka_unit_test(imported_series_needs_only_quiet),
        cmocka_unit_test(late_slice_makes_a_new_version_and_another_job),
        cmocka_unit_test(the_same_slices_again_make_no_second_job),
        cmocka_unit_test(other_attributes_kept_beside_make_no_second_job),
        cmocka_unit_test(what_jobs_store_makes_no_series_whole),
        cmocka_unit_test(a_restart_forgets_nothing_and_repeats_nothing),
        cmocka_unit_test(many_series_due_at_once_all_get_their_jobs),
        cmocka_unit_test(key_follows_from_package_and_contents_in_any_order),
        cmocka_unit_test(a_study_that_cannot_be_followed_is_passed_over_and_the_next_one_has_its_jobs),
        cmocka_unit_test(a_negative_that_cannot_be_told_keeps_no_other_back),
        cmocka_unit_test(events_are_dropped_after_thirty_days_in_pieces_and_the_log_goes_on),
    };
    return cmocka_run_group_tests_name("completeness", tests, NULL, NULL);
}
