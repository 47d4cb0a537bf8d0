// The rows: added once, superseded by a newer job, judged by a person; and the events that tell it.
#include "support.h"

#include <string.h>

static struct place place;

static int begin(void **state)
{
    (void)state;
    place_open(&place);
    return 0;
}

static int end(void **state)
{
    (void)state;
    place_close(&place);
    return 0;
}

static struct finding row(const char *id, const char *job, const char *series)
{
    return (struct finding){.id = id,
                            .job = job,
                            .study = "1.2",
                            .series = series,
                            .model = "m",
                            .model_version = "1.0.0",
                            .model_digest = "d",
                            .label_text = "research use only",
                            .concept = {"1386000", "SCT", "Intracranial hemorrhage"},
                            .site = {"12738006", "SCT", "Brain"},
                            .side = "left",
                            .volume_ml = 12.5,
                            .score = 0.75,
                            .centroid_mm = {1, 2, 3},
                            .low_mm = {4, 5, 6},
                            .high_mm = {7, 8, 9},
                            .segment = 1,
                            .seg_instance = "1.2.4",
                            .sr_instance = "1.2.5",
                            .urgency = FINDING_STAT,
                            .made_ns = 77};
}

struct call {
    const struct finding *findings;
    size_t count;
    const char *id, *by, *comment, *series, *job;
    enum finding_state state;
    int64_t now_ns;
};

static bool write_add(struct database *db, void *payload, struct error *err)
{
    struct call *call = payload;
    return finding_add(db, call->findings, call->count, err);
}

static bool write_judge(struct database *db, void *payload, struct error *err)
{
    struct call *call = payload;
    return finding_judge(db, call->id, call->state, call->by, call->comment, call->now_ns, err);
}

static bool write_supersede(struct database *db, void *payload, struct error *err)
{
    struct call *call = payload;
    return finding_supersede(db, call->series, "m", call->job, err);
}

static bool add(const struct finding *findings, size_t count)
{
    struct call call = {.findings = findings, .count = count};
    return store_write(place.store, STORE_DURABLE, write_add, &call, &place.err);
}

static bool judge(const char *id, enum finding_state state, const char *by)
{
    struct call call = {.id = id, .state = state, .by = by, .comment = "seen", .now_ns = 99};
    return store_write(place.store, STORE_DURABLE, write_judge, &call, &place.err);
}

static size_t list(bool superseded_too, struct finding **out)
{
    size_t count;
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db, place.err);
    assert_ok(finding_list(db, "1.2", superseded_too, &place.arena, out, &count, &place.err), place.err);
    store_read_end(place.store, db);
    return count;
}

static struct finding *get(const char *id)
{
    struct finding *out;
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db, place.err);
    assert_ok(finding_get(db, id, &place.arena, &out, &place.err), place.err);
    store_read_end(place.store, db);
    return out;
}

static size_t events(struct store_event **out)
{
    size_t count;
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db, place.err);
    assert_ok(store_event_read(db, 0, 100, &place.arena, out, &count, &place.err), place.err);
    store_read_end(place.store, db);
    return count;
}

static void a_row_gives_back_what_was_put_in(void **state)
{
    (void)state;
    struct finding in = row("a-1", "a", "1.2.3"), *out;
    assert_ok(add(&in, 1), place.err);
    assert_int_equal(list(false, &out), 1);
    assert_string_equal(out->id, "a-1");
    assert_string_equal(out->job, "a");
    assert_string_equal(out->series, "1.2.3");
    assert_string_equal(out->model_digest, "d");
    assert_string_equal(out->label_text, "research use only");
    assert_string_equal(out->concept.meaning, "Intracranial hemorrhage");
    assert_string_equal(out->site.value, "12738006");
    assert_string_equal(out->side, "left");
    assert_true(out->volume_ml == 12.5 && out->score == 0.75);
    assert_true(out->centroid_mm[2] == 3 && out->low_mm[0] == 4 && out->high_mm[2] == 9);
    assert_string_equal(out->sr_instance, "1.2.5");
    assert_int_equal(out->urgency, FINDING_STAT);
    assert_int_equal(out->made_ns, 77);
    assert_int_equal(out->state, FINDING_UNVERIFIED);
    assert_string_equal(out->judged_by, "");
}

static void findings_are_added_once(void **state)
{
    (void)state;
    struct finding in[2] = {row("a-1", "a", "1.2.3"), row("a-2", "a", "1.2.3")}, *out;
    struct store_event *told;
    assert_ok(add(in, 2), place.err);
    assert_ok(add(in, 2), place.err);
    assert_int_equal(list(true, &out), 2);
    assert_int_equal(events(&told), 1);
    assert_int_equal(told->kind, STORE_EVENT_RESULT_CHANGED);
    assert_string_equal(told->study, "1.2");
    assert_string_equal(told->subject, "a");
    assert_non_null(strstr(told->detail, "\"series\":\"1.2.3\""));
}

static void a_newer_job_of_the_model_supersedes_older_findings_of_the_series_only(void **state)
{
    (void)state;
    struct finding old = row("a-1", "a", "1.2.3"), other = row("b-1", "b", "1.2.9"), new = row("c-1", "c", "1.2.3"),
                   *out;
    assert_ok(add(&old, 1) && add(&other, 1) && judge("a-1", FINDING_ACCEPTED, "Ann") && add(&new, 1), place.err);
    assert_int_equal(list(false, &out), 2);
    assert_string_equal(out[0].id, "b-1");
    assert_string_equal(out[1].id, "c-1");
    assert_int_equal(list(true, &out), 3);
    assert_int_equal(out[0].state, FINDING_SUPERSEDED);
    assert_string_equal(out[0].judged_by, "Ann");
    assert_string_equal(out[0].sr_instance, "1.2.5");
    assert_ok(add(&old, 1), place.err); // a late retry of the old job changes nothing
    assert_int_equal(get("c-1")->state, FINDING_UNVERIFIED);
}

static void a_job_that_found_nothing_supersedes_too(void **state)
{
    (void)state;
    struct finding old = row("a-1", "a", "1.2.3");
    struct call call = {.series = "1.2.3", .job = "a"};
    assert_ok(add(&old, 1), place.err);
    assert_ok(store_write(place.store, STORE_DURABLE, write_supersede, &call, &place.err), place.err);
    assert_int_equal(get("a-1")->state, FINDING_UNVERIFIED);
    call.job = "b";
    assert_ok(store_write(place.store, STORE_DURABLE, write_supersede, &call, &place.err), place.err);
    assert_int_equal(get("a-1")->state, FINDING_SUPERSEDED);
}

static void a_judgement_keeps_name_time_and_comment_and_is_told(void **state)
{
    (void)state;
    struct finding in = row("a-1", "a", "1.2.3");
    struct store_event *told;
    assert_ok(add(&in, 1) && judge("a-1", FINDING_ACCEPTED, "Ann \"A\" M\xC3\xBCller"), place.err);
    struct finding *out = get("a-1");
    assert_int_equal(out->state, FINDING_ACCEPTED);
    assert_string_equal(out->judged_by, "Ann \"A\" M\xC3\xBCller");
    assert_int_equal(out->judged_ns, 99);
    assert_string_equal(out->comment, "seen");
    assert_int_equal(events(&told), 2);
    assert_int_equal(told[1].kind, STORE_EVENT_FINDING_JUDGED);
    assert_string_equal(told[1].subject, "a-1");
    assert_non_null(strstr(told[1].detail, "\"accepted\""));
    assert_ok(judge("a-1", FINDING_REJECTED, "Bob"), place.err); // one may think again
    assert_int_equal(get("a-1")->state, FINDING_REJECTED);
}

static void judge_refused(const char *id, enum finding_state state, const char *by, enum error_code code)
{
    assert_false(judge(id, state, by));
    if (place.err.code != code)
        fail_msg("%s: %s", error_name(place.err.code), place.err.message);
}

static void a_judgement_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    char longer[400];
    struct finding old = row("a-1", "a", "1.2.3"), new = row("b-1", "b", "1.2.3");
    assert_ok(add(&old, 1) && add(&new, 1), place.err);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    judge_refused("a-1", FINDING_ACCEPTED, "Ann", ERROR_CONFLICT);
    judge_refused("z-1", FINDING_ACCEPTED, "Ann", ERROR_NOT_FOUND);
    judge_refused("b-1", FINDING_SUPERSEDED, "Ann", ERROR_USAGE);
    judge_refused("b-1", FINDING_ACCEPTED, "  ", ERROR_BAD_VALUE);
    judge_refused("b-1", FINDING_ACCEPTED, NULL, ERROR_BAD_VALUE);
    judge_refused("b-1", FINDING_ACCEPTED, "\xFF", ERROR_BAD_VALUE);
    judge_refused("b-1", FINDING_ACCEPTED, longer, ERROR_LIMIT);
    assert_int_equal(get("b-1")->state, FINDING_UNVERIFIED);
}

static void findings_of_two_jobs_in_one_call_are_refused_whole(void **state)
{
    (void)state;
    struct finding in[2] = {row("a-1", "a", "1.2.3"), row("b-1", "b", "1.2.3")}, *out;
    assert_false(add(in, 2));
    assert_int_equal(place.err.code, ERROR_USAGE);
    assert_int_equal(list(true, &out), 0);
}

static void a_finding_that_is_not_there_is_null(void **state)
{
    (void)state;
    assert_null(get("a-1"));
}

static void a_list_past_the_arena_is_refused(void **state)
{
    (void)state;
    struct arena small;
    struct finding in = row("a-1", "a", "1.2.3"), *out;
    size_t count;
    assert_ok(add(&in, 1), place.err);
    arena_init(&small, 64);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db, place.err);
    assert_false(finding_list(db, "1.2", true, &small, &out, &count, &place.err));
    store_read_end(place.store, db);
    assert_int_equal(place.err.code, ERROR_LIMIT);
    arena_free(&small);
}

int test_rows(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_row_gives_back_what_was_put_in, begin, end),
        cmocka_unit_test_setup_teardown(findings_are_added_once, begin, end),
        cmocka_unit_test_setup_teardown(a_newer_job_of_the_model_supersedes_older_findings_of_the_series_only, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_job_that_found_nothing_supersedes_too, begin, end),
        cmocka_unit_test_setup_teardown(a_judgement_keeps_name_time_and_comment_and_is_told, begin, end),
        cmocka_unit_test_setup_teardown(a_judgement_that_makes_no_sense_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(findings_of_two_jobs_in_one_call_are_refused_whole, begin, end),
        cmocka_unit_test_setup_teardown(a_finding_that_is_not_there_is_null, begin, end),
        cmocka_unit_test_setup_teardown(a_list_past_the_arena_is_refused, begin, end),
    };
    return cmocka_run_group_tests_name("finding rows", tests, NULL, NULL);
}
