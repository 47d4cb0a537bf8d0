// Kill -9 of a process that turns events into jobs, does them and sends what comes of them: at random times, and at the
// named point inside the commit.
#include "place.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "support/program.h"

enum { OBJECTS = 300 };

struct step {
    struct queue_consumer *consumer;
    const struct store_event *events;
    size_t count;
};

// A job for each event, and the cursor, in one transaction.
static bool write_jobs(struct database *db, void *payload, struct error *err)
{
    struct step *step = payload;
    bool added;
    for (size_t i = 0; i < step->count; i++) {
        const struct store_event *event = &step->events[i];
        struct queue_job job = {.key = event->subject, .kind = "model"};
        if (event->kind == STORE_EVENT_OBJECT_STORED && !queue_job_add(db, &job, clock_now_ns(), &added, err))
            return false;
        if (event->kind == STORE_EVENT_JOB_DONE &&
            !queue_delivery_add(db, &(struct queue_delivery){.key = event->subject, .target = "pacs", .kind = "dicom"},
                                clock_now_ns(), &added, err))
            return false;
    }
    return step->count == 0 || queue_consumer_advance(db, step->consumer, step->events[step->count - 1].number, err);
}

static bool consume(struct store *store, struct queue_consumer *consumer, struct arena *arena, struct error *err)
{
    struct store_event *events;
    struct step step = {.consumer = consumer};
    if (!queue_consumer_next(consumer, 0, 7, arena, &events, &step.count, err))
        return false;
    step.events = events;
    if (step.count == 0)
        return true;
    if (!store_write(store, STORE_DURABLE, write_jobs, &step, err))
        return false;
    queue_consumer_advanced(consumer, events[step.count - 1].number);
    return true;
}

static bool do_job(struct store *store, struct arena *arena, struct error *err)
{
    struct queue_job *job;
    if (!job_claim(store, "model", clock_now_ns(), LEASE, arena, &job, err))
        return false;
    if (!job)
        return true;
    struct queue_job done = {.key = job->key, .state = QUEUE_JOB_DONE, .outcome = "negative"};
    bool ok = job_finish(store, &done, job->token, clock_now_ns(), err);
    return ok || err->code == ERROR_CONFLICT;
}

static bool write_sent(struct database *db, void *payload, struct error *err)
{
    struct arena *arena = payload;
    struct queue_delivery *delivery;
    int64_t next_ns;
    if (!queue_delivery_claim(db, "dicom", clock_now_ns(), LEASE, arena, &delivery, &next_ns, err))
        return false;
    return !delivery || queue_delivery_done(db, delivery->id, delivery->token, "", clock_now_ns(), err);
}

static bool write_recover(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return queue_recover(db, clock_now_ns(), err);
}

void crashes_work(const char *folder)
{
    struct error err;
    struct arena arena;
    arena_init(&arena, 16 << 20);
    struct store *store = place_store(folder, &err);
    if (store && !store_write(store, STORE_REPLAYABLE, write_recover, NULL, &err)) {
        store_close(store);
        store = NULL;
    }
    struct queue_consumer *consumer = store ? queue_consumer_open(store, "flow", false, &err) : NULL;
    bool ok = consumer != NULL;
    while (ok) {
        ok = consume(store, consumer, &arena, &err) && do_job(store, &arena, &err) &&
             store_write(store, STORE_REPLAYABLE, write_sent, &arena, &err);
        arena_reset(&arena);
    }
    fprintf(stderr, "worker: %s\n", err.message);
    _exit(1);
}

// At the fault, or after that time.
static void run_and_kill(const char *folder, const char *fault, int64_t after_ns)
{
    int status;
    pid_t ended = 0;
    pid_t pid = start_again((const char *const[]){"worker", folder, NULL}, fault);
    for (int64_t until_ns = clock_monotonic_ns() + after_ns; ended == 0 && clock_monotonic_ns() < until_ns;) {
        clock_sleep_ns(CLOCK_MS);
        ended = waitpid(pid, &status, WNOHANG);
    }
    if (ended == 0) {
        kill(pid, SIGKILL);
        ended = waitpid(pid, &status, 0);
    }
    assert_int_equal(ended, pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static bool write_objects(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    for (int i = 0; i < OBJECTS; i++) {
        char key[16];
        snprintf(key, sizeof key, "job%d", i);
        if (!store_event_add(db, STORE_EVENT_OBJECT_STORED, "1.2", key, NULL, err))
            return false;
    }
    return true;
}

static void kills_at_any_point_leave_each_job_and_delivery_once(void **state)
{
    struct place place;
    unsigned seed = 7;
    int rounds = 0;
    (void)state;
    place_open(&place);
    assert_ok(store_write(place.store, STORE_DURABLE, write_objects, NULL, &place.err), place.err);
    bool finished = false;
    while (!finished && rounds < 500) {
        char fault[32];
        store_close(place.store);
        place.store = NULL;
        snprintf(fault, sizeof fault, "job.in_commit:%d", 1 + rand_r(&seed) % 6);
        int64_t random_ns = (rand_r(&seed) % 30) * CLOCK_MS;
        bool at_random = rounds % 3 == 2;
        run_and_kill(place.folder, at_random ? NULL : fault, at_random ? random_ns : CLOCK_SECOND);
        rounds++;
        place.store = place_store(place.folder, &place.err);
        assert_ok(place.store != NULL, place.err);
        // A result is there if and only if its job is done; never twice.
        assert_int_equal(place_int(&place, "SELECT count(*) FROM fact"),
                         place_int(&place, "SELECT count(*) FROM job WHERE state = 2"));
        assert_int_equal(place_int(&place, "SELECT count(*) - count(DISTINCT job) FROM fact"), 0);
        // Job rows are there exactly for the events behind the cursor.
        assert_int_equal(place_int(&place, "SELECT count(*) FROM job"),
                         place_int(&place, "SELECT min(300, coalesce(max(number), 0)) FROM cursor"));
        finished = place_int(&place, "SELECT count(*) FROM job WHERE state IN (0, 1)") == 0 &&
                   place_int(&place, "SELECT count(*) FROM job") == OBJECTS;
    }
    print_message("%d kills, %lld of them in a job; %lld jobs done\n", rounds,
                  (long long)place_int(&place, "SELECT sum(crashes) FROM job"),
                  (long long)place_int(&place, "SELECT count(*) FROM job WHERE state = 2"));
    assert_true(finished);
    assert_true(rounds > 20);
    assert_int_equal(place_int(&place, "SELECT count(*) FROM fact"), OBJECTS);
    assert_int_equal(place_events(&place, STORE_EVENT_JOB_DONE), OBJECTS);
    assert_int_equal(place_events(&place, STORE_EVENT_JOB_QUEUED), OBJECTS);
    assert_int_equal(place_events(&place, STORE_EVENT_DELIVERY_DONE),
                     (uint64_t)place_int(&place, "SELECT count(*) FROM delivery WHERE state = 2"));
    assert_int_equal(place_int(&place, "SELECT count(*) - count(DISTINCT key) FROM delivery"), 0);
    place_close(&place);
}

int test_crashes(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_at_any_point_leave_each_job_and_delivery_once),
    };
    return cmocka_run_group_tests_name("queue: crashes", tests, NULL, NULL);
}
