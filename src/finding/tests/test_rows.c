// The rows: a result with its findings is added once, takes the place of others, is withdrawn, told, judged; and the
// events that tell it.
#include "support.h"

#include <string.h>

#include "finding/object.h"

static struct place place;

static int begin(void **state)
{
    (void)state;
    place_open(&place);
    return 0;
}

// What is counted as it comes and ends is what there is, whatever the test did.
static int end(void **state)
{
    int64_t wrong = 0;
    bool found;
    (void)state;
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(sql_get_int(db, &place.err, &wrong, &found,
                          "SELECT (SELECT count(*) FROM (SELECT model, outcome, standing, count(*) FROM result"
                          " GROUP BY 1, 2, 3 EXCEPT SELECT * FROM result_tally)) + abs((SELECT count(*) FROM result) -"
                          " (SELECT coalesce(sum(count), 0) FROM result_tally))",
                          ""),
              place.err);
    store_read_end(place.store, db);
    assert_int_equal(wrong, 0);
    place_close(&place);
    return 0;
}

// Of job `job`, which is the result's id too.
static struct finding row(const char *id, const char *job, const char *series)
{
    return (struct finding){.id = id,
                            .result = job,
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

static struct finding_result result(const char *job, const char *series, enum finding_outcome outcome)
{
    struct finding_result result = result_row(job);
    result.study = "1.2";
    result.series = series;
    result.model = "m";
    result.outcome = outcome;
    result.sr_instance = "1.2.5";
    result.seg_instance = outcome == FINDING_POSITIVE ? "1.2.4" : "";
    if (outcome == FINDING_NOT_ANALYSED || outcome == FINDING_FAILED)
        result.reason = "a gap between slices";
    return result;
}

struct call {
    struct access_scope scope; // of who judges
    const struct finding_result *result;
    const struct finding *findings;
    size_t count;
    bool added;
    const char *id, *by, *reason, *sr, *seg;
    enum finding_state state;
    int64_t revision, version;
};

#define LATER (INT64_C(1347635528123000000) + 99) // than rows were made

static bool write_add(struct database *db, void *payload, struct error *err)
{
    struct call *call = payload;
    return finding_result_add(db, call->result, call->findings, call->count, &call->added, err);
}

static bool write_judge(struct database *db, void *payload, struct error *err)
{
    struct call *call = payload;
    const struct finding_judgement judgement = {call->id, call->state, call->by, "seen", call->version, LATER};
    return finding_judge(db, call->scope, &judgement, err);
}

static bool write_withdraw(struct database *db, void *payload, struct error *err)
{
    struct call *call = payload;
    return finding_result_withdraw(db, call->id, call->reason, LATER, err);
}

static bool write_mark(struct database *db, void *payload, struct error *err)
{
    struct call *call = payload;
    return finding_result_mark_earlier(db, call->id, call->revision != 0, LATER, err);
}

static bool write_back(struct database *db, void *payload, struct error *err)
{
    return finding_result_mark_earlier(db, payload, false, 1, err);
}

static bool write_tell(struct database *db, void *payload, struct error *err)
{
    struct call *call = payload;
    return finding_result_tell(db, call->id, call->revision, call->sr, call->seg, LATER, err);
}

static bool do_write(store_write_fn *write, struct call *call)
{
    return store_write(place.store, STORE_DURABLE, write, call, &place.err);
}

static bool add_result(const struct finding_result *result, const struct finding *findings, size_t count)
{
    return do_write(write_add, &(struct call){.result = result, .findings = findings, .count = count});
}

// A positive with these findings of one job.
static bool add(const struct finding *findings, size_t count)
{
    struct finding_result positive = result(findings->job, findings->series, FINDING_POSITIVE);
    return add_result(&positive, findings, count);
}

static bool add_without(const char *job, enum finding_outcome outcome)
{
    struct finding_result other = result(job, "1.2.3", outcome);
    return add_result(&other, NULL, 0);
}

static bool judge(const char *id, enum finding_state state, const char *by)
{
    return do_write(write_judge, &(struct call){.id = id, .state = state, .by = by, .version = FINDING_ANY_VERSION});
}

static bool withdraw(const char *id, const char *reason)
{
    return do_write(write_withdraw, &(struct call){.id = id, .reason = reason});
}

static bool mark_earlier(const char *id, bool is_earlier)
{
    return do_write(write_mark, &(struct call){.id = id, .revision = is_earlier});
}

static bool tell(const char *id, int64_t revision, const char *sr, const char *seg)
{
    return do_write(write_tell, &(struct call){.id = id, .revision = revision, .sr = sr, .seg = seg});
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

static struct finding_result *get_result(const char *id)
{
    struct finding_result *out;
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db, place.err);
    assert_ok(finding_result_get(db, id, &place.arena, &out, &place.err), place.err);
    store_read_end(place.store, db);
    return out;
}

static size_t results(bool past_too, struct finding_result **out)
{
    size_t count;
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db, place.err);
    assert_ok(finding_result_list(db, "1.2", NULL, past_too, &place.arena, out, &count, &place.err), place.err);
    store_read_end(place.store, db);
    return count;
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
    assert_string_equal(told->detail,
                        "{\"series\":\"1.2.3\",\"model\":\"m\",\"outcome\":\"positive\",\"standing\":\"current\","
                        "\"how\":\"made\"}");
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

static const char *worst(int64_t *count)
{
    struct finding *out;
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db && finding_worst(db, "1.2", &place.arena, &out, count, &place.err), place.err);
    store_read_end(place.store, db);
    return out ? out->id : "none";
}

static bool waits(const char *result)
{
    bool out;
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db && finding_waits(db, "1.2", result, &out, &place.err), place.err);
    store_read_end(place.store, db);
    return out;
}

static void the_worst_of_a_study_is_the_most_urgent_and_then_the_largest_that_stands(void **state)
{
    (void)state;
    struct finding in[4] = {row("a-1", "a", "1.2.3"), row("a-2", "a", "1.2.3"), row("a-3", "a", "1.2.3"),
                            row("a-4", "a", "1.2.3")};
    struct finding other = row("b-1", "b", "1.2.9");
    int64_t count;
    assert_string_equal(worst(&count), "none");
    assert_int_equal(count, 0);
    in[0].urgency = FINDING_URGENT;
    in[0].volume_ml = 90;
    in[2].volume_ml = in[3].volume_ml = 20;
    assert_ok(add(in, 4) && add(&other, 1), place.err);
    assert_string_equal(worst(&count), "a-3");
    assert_int_equal(count, 5);
    assert_true(waits("a") && waits("b") && waits(NULL));
    assert_ok(judge("a-3", FINDING_REJECTED, "Ann") && judge("b-1", FINDING_ACCEPTED, "Ann"), place.err);
    assert_string_equal(worst(&count), "a-4");
    assert_int_equal(count, 4);
    assert_true(waits("a") && !waits("b") && waits(NULL));
    assert_ok(add_without("c", FINDING_NEGATIVE), place.err); // in the place of a's
    assert_string_equal(worst(&count), "b-1");
    assert_int_equal(count, 1);
    assert_false(waits("a") || waits(NULL));
}

static void a_result_gives_back_what_was_put_in(void **state)
{
    (void)state;
    struct finding_result in = result("a", "1.2.3", FINDING_NOT_ANALYSED), *out;
    in.volume = "Echo Time 2.46";
    in.notes = "left out: 1 localizer";
    in.calibrated = true;
    in.told = false;
    in.coverage_mm = 151;
    in.patient = 7;
    assert_ok(add_result(&in, NULL, 0), place.err);
    out = get_result("a");
    const char *const texts[][2] = {
        {in.id, out->id},
        {in.topic, out->topic},
        {in.job, out->job},
        {in.study, out->study},
        {in.series, out->series},
        {in.volume, out->volume},
        {in.patient_id, out->patient_id},
        {in.issuer, out->issuer},
        {in.modality, out->modality},
        {in.model, out->model},
        {in.model_version, out->model_version},
        {in.model_digest, out->model_digest},
        {in.label_text, out->label_text},
        {in.concept.value, out->concept.value},
        {in.concept.meaning, out->concept.meaning},
        {in.reason, out->reason},
        {in.notes, out->notes},
        {in.digest, out->digest},
        {in.send_to, out->send_to},
        {in.hl7_to, out->hl7_to},
        {in.sr_instance, out->sr_instance},
        {in.seg_instance, out->seg_instance},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_string_equal(texts[i][0], texts[i][1]);
    assert_int_equal(out->outcome, FINDING_NOT_ANALYSED);
    assert_int_equal(out->standing, FINDING_CURRENT);
    assert_true(out->calibrated && !out->told);
    assert_true(out->objects == in.objects && out->voxels == in.voxels && out->revision == 0);
    assert_int_equal(out->coverage_mm, in.coverage_mm);
    assert_int_equal(out->patient, in.patient);
    assert_true(out->made_ns == in.made_ns && out->changed_ns == in.changed_ns);
}

static void a_negative_takes_a_positives_place_and_tells_both(void **state)
{
    (void)state;
    struct finding old = row("a-1", "a", "1.2.3");
    struct finding_result *all;
    struct store_event *told;
    assert_ok(add(&old, 1) && add_without("b", FINDING_NEGATIVE), place.err);
    assert_int_equal(get("a-1")->state, FINDING_SUPERSEDED);
    assert_int_equal(results(false, &all), 1);
    assert_string_equal(all->id, "b");
    assert_int_equal(results(true, &all), 2);
    assert_int_equal(all->standing, FINDING_REPLACED);
    assert_int_equal(events(&told), 3);
    assert_string_equal(told[1].subject, "a");
    assert_non_null(strstr(told[1].detail, "\"outcome\":\"positive\",\"standing\":\"superseded\""));
    assert_string_equal(told[2].subject, "b");
    assert_non_null(strstr(told[2].detail, "\"outcome\":\"negative\",\"standing\":\"current\""));
}

static void results_are_counted_by_model_outcome_and_standing(void **state)
{
    (void)state;
    struct finding old = row("a-1", "a", "1.2.3");
    struct finding_result_count *counts;
    size_t count;
    assert_ok(add(&old, 1) && add_without("b", FINDING_NEGATIVE), place.err);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(finding_result_counts(db, &place.arena, &counts, &count, &place.err), place.err);
    store_read_end(place.store, db);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(counts[i].model, "m");
        assert_int_equal(counts[i].count, 1);
        assert_int_equal(counts[i].standing,
                         counts[i].outcome == FINDING_POSITIVE ? FINDING_REPLACED : FINDING_CURRENT);
    }
    assert_int_not_equal(counts[0].outcome, counts[1].outcome);
}

static void volumes_of_one_job_stand_beside_each_other(void **state)
{
    (void)state;
    struct finding_result one = result("a", "1.2.3", FINDING_NEGATIVE), two = one, *all;
    char id[FINDING_ID_SIZE];
    finding_result_id(id, "a", "Echo Time 2.46");
    two.id = id;
    two.volume = "Echo Time 2.46";
    assert_ok(add_result(&one, NULL, 0) && add_result(&two, NULL, 0), place.err);
    assert_int_equal(results(false, &all), 2);
    assert_ok(add_without("b", FINDING_NEGATIVE), place.err);
    assert_int_equal(results(false, &all), 1);
}

static void a_newer_look_without_an_answer_takes_no_positive_back(void **state)
{
    (void)state;
    struct finding positive = row("a-1", "a", "1.2.3");
    struct finding_result *all;
    assert_ok(add(&positive, 1) && add_without("b", FINDING_FAILED) && add_without("c", FINDING_NOT_ANALYSED),
              place.err);
    assert_int_equal(results(false, &all), 2); // the newest failure takes the older one's place
    assert_string_equal(all[0].id, "a");
    assert_string_equal(all[1].id, "c");
    assert_int_equal(get("a-1")->state, FINDING_UNVERIFIED);
    assert_ok(add_without("d", FINDING_NEGATIVE), place.err);
    assert_int_equal(results(false, &all), 1);
}

static void a_negative_does_not_outlive_a_newer_failure(void **state)
{
    (void)state;
    assert_ok(add_without("a", FINDING_NEGATIVE) && add_without("b", FINDING_FAILED), place.err);
    assert_int_equal(get_result("a")->standing, FINDING_REPLACED);
}

static void a_job_that_is_asked_again_may_have_an_answer_after_all(void **state)
{
    (void)state;
    struct finding found = row("a-1", "a", "1.2.3");
    struct store_event *told;
    assert_ok(add_without("a", FINDING_NOT_ANALYSED) && add_without("a", FINDING_NOT_ANALYSED), place.err);
    assert_int_equal(events(&told), 1);
    assert_ok(add(&found, 1), place.err);
    assert_int_equal(get_result("a")->outcome, FINDING_POSITIVE);
    assert_string_equal(get_result("a")->reason, "");
    assert_int_equal(events(&told), 2);
    assert_ok(add_without("a", FINDING_FAILED), place.err); // but an answer stays
    assert_int_equal(get_result("a")->outcome, FINDING_POSITIVE);
}

static void a_result_that_stands_on_nothing_is_refused(void **state)
{
    (void)state;
    struct finding found = row("a-1", "a", "1.2.3");
    const struct {
        enum finding_outcome outcome;
        size_t count;
        int64_t objects, voxels;
        const char *reason;
        enum error_code code;
    } rows[] = {
        {FINDING_NEGATIVE, 0, 20, 0, "", ERROR_BAD_VALUE},  {FINDING_NEGATIVE, 0, 0, 5, "", ERROR_BAD_VALUE},
        {FINDING_POSITIVE, 1, 20, 0, "", ERROR_BAD_VALUE},  {FINDING_POSITIVE, 0, 20, 5, "", ERROR_USAGE},
        {FINDING_NEGATIVE, 1, 20, 5, "", ERROR_USAGE},      {FINDING_NOT_ANALYSED, 0, 0, 0, "", ERROR_USAGE},
        {FINDING_FAILED, 0, 0, 0, "\xFF", ERROR_BAD_VALUE},
    };
    struct finding_result *all;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct finding_result in = result("a", "1.2.3", rows[i].outcome);
        in.objects = rows[i].objects;
        in.voxels = rows[i].voxels;
        in.reason = rows[i].reason;
        assert_false(add_result(&in, &found, rows[i].count));
        if (place.err.code != rows[i].code)
            fail_msg("row %zu: %s: %s", i, error_name(place.err.code), place.err.message);
    }
    assert_int_equal(results(true, &all), 0);
}

static void a_withdrawn_result_says_why_and_only_a_current_one_is_withdrawn(void **state)
{
    (void)state;
    struct finding found = row("a-1", "a", "1.2.3");
    struct store_event *told;
    assert_ok(add(&found, 1) && withdraw("a", "objects of two patients") && withdraw("a", "again") &&
                  withdraw("z", "who?"),
              place.err);
    assert_int_equal(get_result("a")->standing, FINDING_WITHDRAWN);
    assert_string_equal(get_result("a")->reason, "objects of two patients");
    assert_int_equal(get_result("a")->changed_ns, LATER);
    assert_int_equal(get("a-1")->state, FINDING_SUPERSEDED);
    assert_int_equal(events(&told), 2);
    assert_non_null(strstr(told[1].detail, "\"standing\":\"withdrawn\""));
    assert_false(withdraw("a", ""));
    assert_int_equal(place.err.code, ERROR_USAGE);
}

static void a_current_answer_of_earlier_images_says_so_and_each_change_is_an_event(void **state)
{
    (void)state;
    struct finding found = row("a-1", "a", "1.2.3");
    struct store_event *told;
    assert_ok(add(&found, 1) && mark_earlier("a", true) && mark_earlier("a", true) && mark_earlier("z", true),
              place.err);
    assert_true(get_result("a")->is_earlier);
    assert_int_equal(get_result("a")->changed_ns, LATER);
    assert_non_null(strstr(finding_result_reason(get_result("a")), "said of earlier images"));
    assert_int_equal(events(&told), 2);
    assert_ok(store_write(place.store, STORE_DURABLE, write_back, (char[]){"a"}, &place.err), place.err);
    assert_int_equal(get_result("a")->changed_ns, LATER); // though the clock was put back
    assert_string_equal(finding_result_reason(get_result("a")), "");
    assert_int_equal(events(&told), 3);
    assert_ok(mark_earlier("a", true) && withdraw("a", "objects of two patients") && mark_earlier("a", false),
              place.err);
    assert_true(get_result("a")->is_earlier); // what is past stays as it ended
    assert_string_equal(finding_result_reason(get_result("a")), "objects of two patients");
}

static void telling_holds_for_one_revision_of_a_current_result(void **state)
{
    (void)state;
    struct finding found = row("a-1", "a", "1.2.3");
    struct finding_result waiting = result("b", "1.2.9", FINDING_NEGATIVE), *out;
    struct store_event *told;
    size_t count;
    waiting.told = false;
    assert_ok(add(&found, 1) && add_result(&waiting, NULL, 0), place.err);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(finding_result_untold(db, 10, &place.arena, &out, &count, &place.err), place.err);
    store_read_end(place.store, db);
    assert_int_equal(count, 1);
    assert_string_equal(out->id, "b");
    assert_ok(tell("b", 0, "1.9", "") && tell("b", 0, "1.9", ""), place.err);
    assert_true(get_result("b")->told);
    assert_string_equal(get_result("b")->sr_instance, "1.9");
    assert_int_equal(events(&told), 3); // the same again is no news
    assert_false(tell("b", 1, "1.9", ""));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_false(tell("z", 0, "1.9", ""));
    assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    assert_ok(withdraw("a", "wrong patient"), place.err);
    assert_false(tell("a", 0, "1.9", ""));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
}

static void a_rejection_and_its_taking_back_are_revisions_of_the_result(void **state)
{
    (void)state;
    struct finding found[2] = {row("a-1", "a", "1.2.3"), row("a-2", "a", "1.2.3")};
    static const struct {
        enum finding_state state;
        int64_t revision;
    } steps[] = {{FINDING_ACCEPTED, 0}, {FINDING_REJECTED, 1}, {FINDING_REJECTED, 1}, {FINDING_ACCEPTED, 2}};
    assert_ok(add(found, 2), place.err);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_ok(judge("a-2", steps[i].state, "Ann"), place.err);
        assert_int_equal(get_result("a")->revision, steps[i].revision);
    }
    assert_int_equal(get_result("a")->changed_ns, LATER);
}

static void findings_of_a_result_are_all_there_by_segment(void **state)
{
    (void)state;
    struct finding found[2] = {row("a-2", "a", "1.2.3"), row("a-1", "a", "1.2.3")}, *out;
    size_t count;
    found[0].segment = 2;
    assert_ok(add(found, 2) && judge("a-1", FINDING_REJECTED, "Ann"), place.err);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(finding_list_of(db, "a", &place.arena, &out, &count, &place.err), place.err);
    store_read_end(place.store, db);
    assert_int_equal(count, 2);
    assert_string_equal(out[0].id, "a-1");
    assert_int_equal(out[0].state, FINDING_REJECTED);
    assert_string_equal(out[0].result, "a");
}

static bool write_old(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err, "UPDATE finding SET result = ''", "") && sql_run(db, err, "DELETE FROM result", "") &&
           sql_run(db, err, "DELETE FROM result_tally", "");
}

static void name_topic(char out[FINDING_TOPIC_SIZE], const char *study, const char *series, const char *volume,
                       const char *model, int64_t patient)
{
    const struct finding_subject subject = {study, series, volume, model, patient};
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db && finding_topic(db, &subject, out, &place.err), place.err);
    store_read_end(place.store, db);
}

static void findings_that_an_older_program_left_get_their_results(void **state)
{
    (void)state;
    struct finding old = row("a-1", "a", "1.2.3"), new[2] = {row("b-1", "b", "1.2.3"), row("b-2", "b", "1.2.3")};
    struct finding_result *all;
    char topic[FINDING_TOPIC_SIZE], other[FINDING_TOPIC_SIZE];
    assert_ok(add(&old, 1) && add(new, 2) && judge("b-1", FINDING_REJECTED, "Ann") && do_write(write_old, NULL),
              place.err);
    assert_ok(finding_complete(place.store, &place.err) && finding_complete(place.store, &place.err), place.err);
    assert_int_equal(results(true, &all), 2);
    name_topic(topic, "1.2", "1.2.3", "", "m", 0);
    assert_string_equal(all[0].id, "a");
    assert_int_equal(all[0].standing, FINDING_REPLACED);
    assert_string_equal(all[1].id, "b");
    assert_int_equal(all[1].standing, FINDING_CURRENT);
    assert_int_equal(all[1].outcome, FINDING_POSITIVE);
    assert_true(all[1].told);
    assert_string_equal(all[1].topic, topic); // what was told is told anew under its old number, but of its study only
    name_topic(other, "1.9", "1.2.3", "", "m", 0);
    assert_string_not_equal(other, topic);
    assert_string_equal(all[1].sr_instance, "1.2.5");
    assert_int_equal(all[1].made_ns, 77);
    assert_int_equal(all[1].changed_ns, LATER);
    assert_string_equal(get("b-2")->result, "b");
}

static void names_of_results_tell_job_volume_study_series_model_and_patient_apart(void **state)
{
    (void)state;
    char a[FINDING_ID_SIZE], b[FINDING_ID_SIZE], c[FINDING_TOPIC_SIZE], d[FINDING_TOPIC_SIZE];
    finding_result_id(a, JOB, "");
    assert_string_equal(a, JOB);
    finding_result_id(a, JOB, "phase 1");
    finding_result_id(b, JOB, "phase 2");
    assert_int_equal(strlen(a), 64);
    assert_string_not_equal(a, b);
    name_topic(c, "1.1", "1.2", "", "model", 0);
    name_topic(d, "1.1", "1.2", "m", "odel", 0);
    assert_int_equal(strlen(c), 20);
    assert_int_equal(strspn(c, "0123456789abcdef"), 20);
    assert_string_not_equal(c, d);
    name_topic(d, "1.1", "1.2", "", "model", 1);
    assert_string_not_equal(c, d);
    name_topic(d, "1.3", "1.2", "", "model", 0);
    assert_string_not_equal(c, d);
}

// Two studies with one Series Instance UID, as a copy has that keeps it: each has its own results.
static void a_result_takes_no_place_of_another_study_s(void **state)
{
    static const enum finding_outcome outcomes[] = {FINDING_POSITIVE, FINDING_NEGATIVE, FINDING_NOT_ANALYSED};
    struct finding first = row("a-1", "a", "1.2.3");
    struct finding_result *all;
    (void)state;
    assert_ok(add(&first, 1), place.err);
    for (size_t i = 0; i < 3; i++) {
        char job[] = {(char)('b' + i), '\0'};
        struct finding found = row("x-1", job, "1.2.3");
        struct finding_result other = result(job, "1.2.3", outcomes[i]);
        other.study = found.study = "1.9";
        assert_ok(add_result(&other, &found, outcomes[i] == FINDING_POSITIVE), place.err);
        assert_int_equal(results(false, &all), 1);
        assert_string_equal(all[0].id, "a");
        assert_int_equal(get("a-1")->state, FINDING_UNVERIFIED);
    }
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
    assert_int_equal(out->judged_ns, LATER);
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
    judge_refused("b-1", FINDING_ACCEPTED, "\xC2\xA0", ERROR_BAD_VALUE);     // no-break space
    judge_refused("b-1", FINDING_ACCEPTED, "\xE2\x80\x8B", ERROR_BAD_VALUE); // zero width space
    judge_refused("b-1", FINDING_ACCEPTED, "\xE2\x80\xAE", ERROR_BAD_VALUE); // right-to-left override
    judge_refused("b-1", FINDING_ACCEPTED, "\xFF", ERROR_BAD_VALUE);
    judge_refused("b-1", FINDING_ACCEPTED, longer, ERROR_LIMIT);
    assert_int_equal(get("b-1")->state, FINDING_UNVERIFIED);
}

static bool judge_seen(const char *by, enum finding_state state, int64_t version)
{
    return do_write(write_judge, &(struct call){.id = "a-1", .state = state, .by = by, .version = version});
}

static void who_judges_what_somebody_has_judged_since_is_told_who_and_what(void **state)
{
    (void)state;
    struct finding in = row("a-1", "a", "1.2.3");
    assert_ok(add(&in, 1), place.err);
    assert_int_equal(get("a-1")->version, 0);
    assert_ok(judge_seen("Ann", FINDING_REJECTED, 0), place.err);
    assert_false(judge_seen("Bob", FINDING_ACCEPTED, 0));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_non_null(strstr(place.err.message, "was rejected by Ann since it was looked at"));
    assert_int_equal(get("a-1")->state, FINDING_REJECTED);
    assert_ok(judge_seen("Bob", FINDING_ACCEPTED, 1), place.err);
    assert_int_equal(get("a-1")->version, 2);
    assert_false(judge_seen("Cid", FINDING_ACCEPTED, 3)); // of a database that is there no more
    assert_int_equal(place.err.code, ERROR_CONFLICT);
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

static void an_answer_to_another_topic_takes_no_positive_back_that_its_job_had_no_answer_to(void **state)
{
    (void)state;
    struct finding found = row("a-1", "a", "1.2.3");
    struct finding_result unanswered = result("b", "1.2.3", FINDING_NOT_ANALYSED),
                          other = result("b", "1.2.3", FINDING_NEGATIVE);
    assert_ok(add(&found, 1), place.err);
    other.id = "b-2";
    other.topic = "another volume";
    assert_string_equal(unanswered.topic, get_result("a")->topic);
    assert_ok(add_result(&unanswered, NULL, 0) && add_result(&other, NULL, 0), place.err);
    assert_int_equal(get_result("a")->standing, FINDING_CURRENT);
    assert_int_equal(get_result("b")->standing, FINDING_CURRENT);
    assert_ok(add_without("c", FINDING_NEGATIVE), place.err);
    assert_int_equal(get_result("a")->standing, FINDING_REPLACED);
}

static void a_failure_with_another_reason_is_told_and_with_the_same_one_is_not(void **state)
{
    (void)state;
    struct finding_result failed = result("a", "1.2.3", FINDING_FAILED);
    struct store_event *told;
    assert_ok(add_result(&failed, NULL, 0) && add_result(&failed, NULL, 0), place.err);
    assert_int_equal(events(&told), 1);
    failed.reason = "the disk is full";
    assert_ok(add_result(&failed, NULL, 0), place.err);
    assert_string_equal(get_result("a")->reason, "the disk is full");
    assert_int_equal(events(&told), 2);
}

// ---- who does not see a study

static bool write_label(struct database *db, void *payload, struct error *err)
{
    bool changed;
    return access_study_label(db, payload, "vip", &changed, err);
}

static const char *study_of_device(struct access_scope scope, const char *device)
{
    const char *study;
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db && finding_study_of_device(db, scope, device, &place.arena, &study, &place.err), place.err);
    store_read_end(place.store, db);
    return study;
}

static void who_does_not_see_a_study_judges_nothing_of_it_and_finds_no_device_by_it(void **state)
{
    static const struct access_scope nobody = {.hidden = ACCESS_LABELS_ALL};
    char device[DICOM_UID_SIZE], study[] = "1.2";
    (void)state;
    struct finding_result other = result("b", "1.2.3", FINDING_NEGATIVE);
    struct finding one = row("a-1", "a", "1.2.3");
    other.study = "1.3"; // behind the hidden one
    assert_ok(add(&one, 1) && add_result(&other, NULL, 0), place.err);
    object_device_uid(device, other.model_digest);
    assert_string_equal(study_of_device(nobody, device), study);
    assert_ok(store_write(place.store, STORE_DURABLE, write_label, study, &place.err), place.err);
    assert_string_equal(study_of_device(ACCESS_ALL, device), study);
    assert_string_equal(study_of_device(nobody, device), "1.3");
    struct call call = {.scope = nobody, .id = "a-1", .state = FINDING_ACCEPTED, .by = "Dr. A", .version = 0};
    assert_false(do_write(write_judge, &call));
    assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    call.scope = ACCESS_ALL;
    assert_ok(do_write(write_judge, &call), place.err);
}

int test_rows(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_does_not_see_a_study_judges_nothing_of_it_and_finds_no_device_by_it, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_row_gives_back_what_was_put_in, begin, end),
        cmocka_unit_test_setup_teardown(findings_are_added_once, begin, end),
        cmocka_unit_test_setup_teardown(a_newer_job_of_the_model_supersedes_older_findings_of_the_series_only, begin,
                                        end),
        cmocka_unit_test_setup_teardown(the_worst_of_a_study_is_the_most_urgent_and_then_the_largest_that_stands, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_result_gives_back_what_was_put_in, begin, end),
        cmocka_unit_test_setup_teardown(a_negative_takes_a_positives_place_and_tells_both, begin, end),
        cmocka_unit_test_setup_teardown(results_are_counted_by_model_outcome_and_standing, begin, end),
        cmocka_unit_test_setup_teardown(volumes_of_one_job_stand_beside_each_other, begin, end),
        cmocka_unit_test_setup_teardown(a_newer_look_without_an_answer_takes_no_positive_back, begin, end),
        cmocka_unit_test_setup_teardown(a_negative_does_not_outlive_a_newer_failure, begin, end),
        cmocka_unit_test_setup_teardown(a_job_that_is_asked_again_may_have_an_answer_after_all, begin, end),
        cmocka_unit_test_setup_teardown(a_result_that_stands_on_nothing_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(a_current_answer_of_earlier_images_says_so_and_each_change_is_an_event, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_withdrawn_result_says_why_and_only_a_current_one_is_withdrawn, begin, end),
        cmocka_unit_test_setup_teardown(telling_holds_for_one_revision_of_a_current_result, begin, end),
        cmocka_unit_test_setup_teardown(a_rejection_and_its_taking_back_are_revisions_of_the_result, begin, end),
        cmocka_unit_test_setup_teardown(findings_of_a_result_are_all_there_by_segment, begin, end),
        cmocka_unit_test_setup_teardown(findings_that_an_older_program_left_get_their_results, begin, end),
        cmocka_unit_test_setup_teardown(a_result_takes_no_place_of_another_study_s, begin, end),
        cmocka_unit_test_setup_teardown(names_of_results_tell_job_volume_study_series_model_and_patient_apart, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_judgement_keeps_name_time_and_comment_and_is_told, begin, end),
        cmocka_unit_test_setup_teardown(a_judgement_that_makes_no_sense_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(who_judges_what_somebody_has_judged_since_is_told_who_and_what, begin, end),
        cmocka_unit_test_setup_teardown(findings_of_two_jobs_in_one_call_are_refused_whole, begin, end),
        cmocka_unit_test_setup_teardown(a_finding_that_is_not_there_is_null, begin, end),
        cmocka_unit_test_setup_teardown(a_list_past_the_arena_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_to_another_topic_takes_no_positive_back_that_its_job_had_no_answer_to,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_failure_with_another_reason_is_told_and_with_the_same_one_is_not, begin, end),
    };
    return cmocka_run_group_tests_name("rows of results and findings", tests, NULL, NULL);
}
