#include "place.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define T0 (INT64_C(1700000000) * CLOCK_SECOND)

static void add(struct place *place, const char *key, int64_t priority)
{
    bool added;
    struct queue_job job = {.key = key,
                            .kind = "model",
                            .study = "1.2",
                            .series = "1.2.3",
                            .model = "m 1",
                            .input = "{}",
                            .priority = priority};
    assert_ok(job_add(place->store, &job, T0, &added, &place->err), place->err);
    assert_true(added);
}

static struct queue_job *claim(struct place *place, int64_t now_ns)
{
    struct queue_job *job;
    assert_ok(job_claim(place->store, "model", now_ns, LEASE, &place->arena, &job, &place->err), place->err);
    return job;
}

static bool finish(struct place *place, const struct queue_job *job, enum queue_job_state state, const char *reason,
                   int64_t now_ns)
{
    struct queue_job done = {.key = job->key,
                             .state = state,
                             .outcome = state == QUEUE_JOB_DONE ? "positive" : "",
                             .reason = reason,
                             .result = "{\"v\":1}",
                             .retry_ns = now_ns + 5 * CLOCK_SECOND};
    return job_finish(place->store, &done, job->token, now_ns, &place->err);
}

static void a_job_is_claimed_by_priority_then_age_and_finished(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    assert_null(claim(&place, T0));
    add(&place, "a", 0);
    add(&place, "b", 5);
    add(&place, "c", 5);
    struct queue_job *first = claim(&place, T0 + 1);
    assert_string_equal(first->key, "b");
    assert_string_equal(first->input, "{}");
    assert_int_equal(first->state, QUEUE_JOB_RUNNING);
    assert_int_equal(first->attempts, 1);
    assert_int_equal(first->started_ns, T0 + 1);
    assert_string_equal(claim(&place, T0 + 1)->key, "c");
    assert_string_equal(claim(&place, T0 + 1)->key, "a");
    assert_null(claim(&place, T0 + 1));
    assert_ok(finish(&place, first, QUEUE_JOB_DONE, "", T0 + 2), place.err);
    struct queue_job *done = job_get(&place, "b");
    assert_int_equal(done->state, QUEUE_JOB_DONE);
    assert_string_equal(done->outcome, "positive");
    assert_string_equal(done->result, "{\"v\":1}");
    assert_int_equal(done->finished_ns, T0 + 2);
    assert_int_equal(place_events(&place, STORE_EVENT_JOB_QUEUED), 3);
    assert_int_equal(place_events(&place, STORE_EVENT_JOB_DONE), 1);
    assert_false(finish(&place, first, QUEUE_JOB_DONE, "", T0 + 3));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_int_equal(place_int(&place, "SELECT count(*) FROM fact"), 1);
    place_close(&place);
}

static void the_same_key_is_one_job(void **state)
{
    struct place place;
    bool added;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    struct queue_job *job = claim(&place, T0);
    assert_ok(finish(&place, job, QUEUE_JOB_DONE, "", T0), place.err);
    assert_ok(job_add(place.store, &(struct queue_job){.key = "a", .kind = "model"}, T0, &added, &place.err),
              place.err);
    assert_false(added);
    assert_int_equal(job_get(&place, "a")->state, QUEUE_JOB_DONE);
    assert_int_equal(place_events(&place, STORE_EVENT_JOB_QUEUED), 1);
    place_close(&place);
}

static void a_skipped_job_that_is_asked_for_again_is_queued_again(void **state)
{
    struct place place;
    bool added;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    struct queue_job *job = claim(&place, T0);
    assert_ok(finish(&place, job, QUEUE_JOB_SKIPPED, "its package was replaced", T0), place.err);
    assert_ok(job_add(place.store, &(struct queue_job){.key = "a", .kind = "model", .input = "{\"now\":1}"}, T0, &added,
                      &place.err),
              place.err);
    assert_true(added);
    assert_int_equal(place_events(&place, STORE_EVENT_JOB_QUEUED), 2);
    struct queue_job *again = claim(&place, T0);
    assert_string_equal(again->reason, "");
    assert_string_equal(again->input, "{\"now\":1}");
    assert_int_equal(again->attempts, 1);
    assert_false(finish(&place, job, QUEUE_JOB_DONE, "", T0)); // the first lease is over
    assert_ok(finish(&place, again, QUEUE_JOB_DONE, "", T0), place.err);
    place_close(&place);
}

static void a_worker_that_lost_its_lease_cannot_commit(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    struct queue_job *slow = claim(&place, T0);
    assert_null(claim(&place, T0 + LEASE - 1));
    struct queue_job *second = claim(&place, T0 + LEASE);
    assert_string_equal(second->key, "a");
    assert_int_equal(second->attempts, 2);
    assert_false(finish(&place, slow, QUEUE_JOB_DONE, "", T0 + LEASE + 1));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_false(job_renew(place.store, "a", slow->token, T0 + 2 * LEASE, &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_int_equal(place_int(&place, "SELECT count(*) FROM fact"), 0); // its other rows went with it
    assert_ok(finish(&place, second, QUEUE_JOB_DONE, "", T0 + LEASE + 2), place.err);
    assert_int_equal(place_int(&place, "SELECT count(*) FROM fact"), 1);
    assert_int_equal(place_events(&place, STORE_EVENT_JOB_DONE), 1);
    place_close(&place);
}

static void a_lease_that_ran_out_unclaimed_still_commits(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    struct queue_job *slow = claim(&place, T0);
    assert_ok(finish(&place, slow, QUEUE_JOB_DONE, "", T0 + 10 * LEASE), place.err);
    place_close(&place);
}

static void a_renewed_lease_holds(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    struct queue_job *job = claim(&place, T0);
    assert_ok(job_renew(place.store, "a", job->token, T0 + 3 * LEASE, &place.err), place.err);
    assert_null(claim(&place, T0 + 2 * LEASE));
    assert_ok(finish(&place, job, QUEUE_JOB_DONE, "", T0 + 2 * LEASE), place.err);
    place_close(&place);
}

static void workers_that_vanish_three_times_end_the_job(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    for (int i = 0; i < QUEUE_JOB_ATTEMPTS_MAX; i++)
        assert_non_null(claim(&place, T0 + i * LEASE));
    assert_null(claim(&place, T0 + QUEUE_JOB_ATTEMPTS_MAX * LEASE));
    struct queue_job *job = job_get(&place, "a");
    assert_int_equal(job->state, QUEUE_JOB_FAILED);
    assert_string_equal(job->reason, "gave up after 3 attempts: the worker did not finish in time");
    assert_int_equal(place_events(&place, STORE_EVENT_JOB_DONE), 1);
    place_close(&place);
}

static void a_job_given_back_is_tried_again_later_and_not_for_ever(void **state)
{
    struct place place;
    int64_t now_ns = T0;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    for (int i = 0; i < QUEUE_JOB_ATTEMPTS_MAX; i++) {
        struct queue_job *job = claim(&place, now_ns);
        assert_non_null(job);
        assert_string_equal(job->reason, i ? "runner crashed" : "");
        assert_ok(finish(&place, job, QUEUE_JOB_QUEUED, "runner crashed", now_ns), place.err);
        assert_null(claim(&place, now_ns + 5 * CLOCK_SECOND - 1));
        now_ns += 5 * CLOCK_SECOND;
    }
    struct queue_job *job = job_get(&place, "a");
    assert_int_equal(job->state, QUEUE_JOB_FAILED);
    assert_string_equal(job->reason, "gave up after 3 attempts: runner crashed");
    assert_int_equal(place_events(&place, STORE_EVENT_JOB_DONE), 1);
    place_close(&place);
}

static bool write_recover(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return queue_recover(db, T0, err);
}

static void restarts_free_what_was_held_and_cost_no_attempt_but_not_for_ever(void **state)
{
    struct place place;
    struct queue_job *job = NULL;
    struct queue_delivery *delivery;
    int64_t next_ns;
    bool added;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    assert_ok(delivery_add(place.store, "k", "pacs", T0, &added, &place.err), place.err);
    for (int i = 0; i < QUEUE_JOB_CRASHES_MAX; i++) {
        struct queue_job *before = job;
        job = claim(&place, T0);
        assert_non_null(job);
        assert_int_equal(job->attempts, 1);
        assert_true(!before || job->token > before->token);
        assert_ok(delivery_claim(&place, T0, &delivery, &next_ns), place.err);
        assert_non_null(delivery);
        assert_ok(store_write(place.store, STORE_REPLAYABLE, write_recover, NULL, &place.err), place.err);
        assert_false(finish(&place, job, QUEUE_JOB_DONE, "", T0));
        assert_int_equal(place.err.code, ERROR_CONFLICT);
    }
    assert_non_null(claim(&place, T0));
    assert_ok(store_write(place.store, STORE_REPLAYABLE, write_recover, NULL, &place.err), place.err);
    assert_null(claim(&place, T0)); // from now on its lease must run out, and that counts
    assert_int_equal(claim(&place, T0 + LEASE)->attempts, 2);
    place_close(&place);
}

struct fix_call {
    const struct queue_job *job;
    const char *text, *out;
    struct arena *arena;
};

static bool write_fix(struct database *db, void *payload, struct error *err)
{
    struct fix_call *call = payload;
    return queue_job_fix(db, call->job->key, call->job->token, call->text, call->arena, &call->out, err);
}

static void what_the_first_try_fixed_holds_for_all_tries(void **state)
{
    struct place place;
    struct queue_job *first, *second;
    bool added;
    (void)state;
    place_open(&place);
    assert_ok(job_add(place.store, &(struct queue_job){.key = "a", .kind = "model"}, T0, &added, &place.err),
              place.err);
    assert_ok(job_claim(place.store, "model", T0, LEASE, &place.arena, &first, &place.err), place.err);
    struct fix_call call = {.job = first, .text = "{\"sr\":\"1.2\"}", .arena = &place.arena};
    assert_ok(store_write(place.store, STORE_DURABLE, write_fix, &call, &place.err), place.err);
    assert_ok(job_claim(place.store, "model", T0 + LEASE, LEASE, &place.arena, &second, &place.err), place.err);
    assert_string_equal(second->fixed, "{\"sr\":\"1.2\"}");
    assert_false(store_write(place.store, STORE_DURABLE, write_fix, &call, &place.err)); // its lease is lost
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    call = (struct fix_call){.job = second, .text = "{\"sr\":\"1.3\"}", .arena = &place.arena};
    assert_ok(store_write(place.store, STORE_DURABLE, write_fix, &call, &place.err), place.err);
    assert_string_equal(call.out, "{\"sr\":\"1.2\"}");
    place_close(&place);
}

static void jobs_are_counted_by_model_state_outcome_and_cause(void **state)
{
    struct place place;
    struct queue_job_count *counts;
    size_t count;
    (void)state;
    place_open(&place);
    add(&place, "a", 9);
    add(&place, "b", 8);
    add(&place, "c", 0);
    add(&place, "d", 0);
    struct queue_job skipped = *claim(&place, T0);
    skipped.state = QUEUE_JOB_SKIPPED;
    skipped.cause = "images";
    assert_ok(job_finish(place.store, &skipped, skipped.token, T0, &place.err), place.err);
    assert_ok(finish(&place, claim(&place, T0), QUEUE_JOB_DONE, "", T0), place.err);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(queue_job_counts(db, "model", &place.arena, &counts, &count, &place.err), place.err);
    store_read_end(place.store, db);
    assert_int_equal(count, 3);
    assert_true(counts[0].state == QUEUE_JOB_QUEUED && counts[0].count == 2 && !*counts[0].cause);
    assert_true(counts[1].state == QUEUE_JOB_DONE && counts[1].count == 1);
    assert_string_equal(counts[1].outcome, "positive");
    assert_true(counts[2].state == QUEUE_JOB_SKIPPED && counts[2].count == 1);
    assert_string_equal(counts[2].cause, "images");
    add(&place, "a", 9); // asked for again: it has no cause any more
    assert_string_equal(job_get(&place, "a")->cause, "");
    place_close(&place);
}

static void kinds_do_not_mix(void **state)
{
    struct place place;
    struct queue_job *job;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    assert_ok(job_claim(place.store, "report", T0, LEASE, &place.arena, &job, &place.err), place.err);
    assert_null(job);
    place_close(&place);
}

// What the list has without a limit.
static void assert_total(struct place *place, const char *study, int64_t due)
{
    int64_t total;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(queue_job_total(db, ACCESS_ALL, "model", study, &total, &place->err), place->err);
    store_read_end(place->store, db);
    assert_int_equal(total, due);
}

static bool write_label(struct database *db, void *payload, struct error *err)
{
    bool changed;
    return access_study_label(db, payload, "vip", &changed, err);
}

static void jobs_of_a_study_that_is_not_seen_are_in_no_list_and_no_total(void **state)
{
    static const struct access_scope nobody = {.hidden = ACCESS_LABELS_ALL};
    struct place place;
    struct queue_job *jobs;
    size_t count;
    int64_t total;
    bool added;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    assert_ok(
        job_add(place.store, &(struct queue_job){.key = "c", .kind = "model", .study = "9.9"}, T0, &added, &place.err),
        place.err);
    char study[] = "9.9";
    assert_ok(store_write(place.store, STORE_DURABLE, write_label, study, &place.err), place.err);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(queue_job_list(db, nobody, "model", NULL, 10, &place.arena, &jobs, &count, &place.err), place.err);
    assert_int_equal(count, 1);
    assert_string_equal(jobs[0].key, "a");
    assert_ok(queue_job_total(db, nobody, "model", NULL, &total, &place.err), place.err);
    assert_int_equal(total, 1);
    assert_ok(queue_job_list(db, nobody, "model", study, 10, &place.arena, &jobs, &count, &place.err), place.err);
    assert_int_equal(count, 0);
    assert_ok(queue_job_total(db, nobody, "model", study, &total, &place.err), place.err);
    assert_int_equal(total, 0);
    assert_ok(queue_job_list_state(db, nobody, "model", QUEUE_JOB_QUEUED, 10, &place.arena, &jobs, &count, &total,
                                   &place.err),
              place.err);
    assert_true(count == 1 && total == 1);
    assert_ok(queue_job_total(db, ACCESS_ALL, "model", NULL, &total, &place.err), place.err);
    assert_int_equal(total, 2);
    store_read_end(place.store, db);
    place_close(&place);
}

static void jobs_are_listed_newest_first_and_counted(void **state)
{
    struct place place;
    struct queue_job *jobs;
    size_t count;
    bool added;
    (void)state;
    place_open(&place);
    add(&place, "a", 0);
    add(&place, "b", 9);
    assert_ok(
        job_add(place.store, &(struct queue_job){.key = "c", .kind = "model", .study = "9.9"}, T0, &added, &place.err),
        place.err);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(queue_job_list(db, ACCESS_ALL, "model", "1.2", 10, &place.arena, &jobs, &count, &place.err), place.err);
    assert_int_equal(count, 2);
    assert_string_equal(jobs[0].key, "b");
    assert_ok(queue_job_list(db, ACCESS_ALL, "model", NULL, 2, &place.arena, &jobs, &count, &place.err), place.err);
    assert_int_equal(count, 2);
    assert_string_equal(jobs[0].key, "c");
    assert_ok(queue_job_list(db, ACCESS_ALL, "model", "none", 2, &place.arena, &jobs, &count, &place.err), place.err);
    assert_int_equal(count, 0);
    store_read_end(place.store, db);
    assert_total(&place, NULL, 3);
    assert_total(&place, "1.2", 2);
    assert_total(&place, "none", 0);
    jobs = claim(&place, T0);
    assert_total(&place, NULL, 3);
    assert_ok(finish(&place, jobs, QUEUE_JOB_DONE, "", T0), place.err);
    assert_total(&place, NULL, 3); // whatever becomes of them
    int64_t total;
    db = store_read_begin(place.store, &place.err);
    assert_ok(queue_job_list_state(db, ACCESS_ALL, "model", QUEUE_JOB_QUEUED, 1, &place.arena, &jobs, &count, &total,
                                   &place.err),
              place.err);
    assert_int_equal(count, 1);
    assert_int_equal(total, 2);
    assert_string_equal(jobs[0].key, "c"); // "b" was first, and is done
    store_read_end(place.store, db);
    place_close(&place);
}

static void what_is_too_long_is_refused_or_cut(void **state)
{
    struct place place;
    bool added;
    char *large = malloc(QUEUE_BODY_MAX + 2);
    (void)state;
    place_open(&place);
    memset(large, 'x', QUEUE_BODY_MAX + 1);
    large[QUEUE_BODY_MAX + 1] = '\0';
    assert_false(job_add(place.store, &(struct queue_job){.key = "a", .input = large}, T0, &added, &place.err));
    assert_int_equal(place.err.code, ERROR_LIMIT);
    assert_false(job_add(place.store, &(struct queue_job){.key = ""}, T0, &added, &place.err));
    large[QUEUE_KEY_MAX + 1] = '\0';
    assert_false(job_add(place.store, &(struct queue_job){.key = large}, T0, &added, &place.err));
    assert_int_equal(place.err.code, ERROR_LIMIT);
    add(&place, "a", 0);
    memset(large, '\xff', 5000);
    large[5000] = '\0';
    assert_ok(finish(&place, claim(&place, T0), QUEUE_JOB_FAILED, large, T0), place.err);
    assert_in_range(strlen(job_get(&place, "a")->reason), QUEUE_REASON_MAX - 10, QUEUE_REASON_MAX);
    free(large);
    place_close(&place);
}

// ---- many threads

enum { KEYS = 50, THREADS = 8 };

struct shared {
    struct store *store;
    _Atomic int added, finished, empty;
};

static void *add_all(void *payload)
{
    struct shared *shared = payload;
    for (int i = 0; i < KEYS; i++) {
        char key[16];
        bool added;
        struct error err;
        snprintf(key, sizeof key, "key%d", i);
        if (job_add(shared->store, &(struct queue_job){.key = key, .kind = "model"}, T0, &added, &err) && added)
            atomic_fetch_add(&shared->added, 1);
    }
    return NULL;
}

static void *work_all(void *payload)
{
    struct shared *shared = payload;
    struct arena arena;
    struct queue_job *job = NULL;
    struct error err;
    arena_init(&arena, 1 << 20);
    while (job_claim(shared->store, "model", T0, LEASE, &arena, &job, &err) && job) {
        struct queue_job done = {.key = job->key, .state = QUEUE_JOB_DONE};
        if (job_finish(shared->store, &done, job->token, T0, &err))
            atomic_fetch_add(&shared->finished, 1);
        arena_reset(&arena);
    }
    arena_free(&arena);
    return NULL;
}

static void run_threads(void *(*work)(void *), struct shared *shared)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, shared), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void eight_threads_add_and_do_each_job_once(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    struct shared shared = {.store = place.store};
    run_threads(add_all, &shared);
    assert_int_equal(shared.added, KEYS);
    assert_int_equal(place_events(&place, STORE_EVENT_JOB_QUEUED), KEYS);
    run_threads(work_all, &shared);
    assert_int_equal(shared.finished, KEYS);
    assert_int_equal(place_int(&place, "SELECT count(*) FROM fact"), KEYS);
    assert_int_equal(place_int(&place, "SELECT count(*) FROM job WHERE state = 2 AND attempts = 1"), KEYS);
    place_close(&place);
}

int test_jobs(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_claimed_by_priority_then_age_and_finished),
        cmocka_unit_test(the_same_key_is_one_job),
        cmocka_unit_test(a_skipped_job_that_is_asked_for_again_is_queued_again),
        cmocka_unit_test(a_worker_that_lost_its_lease_cannot_commit),
        cmocka_unit_test(a_lease_that_ran_out_unclaimed_still_commits),
        cmocka_unit_test(a_renewed_lease_holds),
        cmocka_unit_test(workers_that_vanish_three_times_end_the_job),
        cmocka_unit_test(a_job_given_back_is_tried_again_later_and_not_for_ever),
        cmocka_unit_test(restarts_free_what_was_held_and_cost_no_attempt_but_not_for_ever),
        cmocka_unit_test(jobs_are_counted_by_model_state_outcome_and_cause),
        cmocka_unit_test(kinds_do_not_mix),
        cmocka_unit_test(what_the_first_try_fixed_holds_for_all_tries),
        cmocka_unit_test(jobs_of_a_study_that_is_not_seen_are_in_no_list_and_no_total),
        cmocka_unit_test(jobs_are_listed_newest_first_and_counted),
        cmocka_unit_test(what_is_too_long_is_refused_or_cut),
        cmocka_unit_test(eight_threads_add_and_do_each_job_once),
    };
    return cmocka_run_group_tests_name("queue: jobs", tests, NULL, NULL);
}
