#include "place.h"

#include <pthread.h>
#include <stdio.h>

#include "base/alarm.h"

static bool write_event(struct database *db, void *payload, struct error *err)
{
    return store_event_add(db, STORE_EVENT_OBJECT_STORED, "1.2", payload, NULL, err);
}

static void add_events(struct place *place, int count)
{
    for (int i = 0; i < count; i++) {
        char subject[16];
        snprintf(subject, sizeof subject, "e%d", i);
        assert_ok(store_write(place->store, STORE_REPLAYABLE, write_event, subject, &place->err), place->err);
    }
}

struct step {
    struct queue_consumer *consumer;
    uint64_t number;
};

static bool write_step(struct database *db, void *payload, struct error *err)
{
    struct step *step = payload;
    return sql_run(db, err, "INSERT INTO fact (job, token) VALUES ('event', ?)", "i", (int64_t)step->number) &&
           queue_consumer_advance(db, step->consumer, step->number, err);
}

static bool advance(struct place *place, struct queue_consumer *consumer, uint64_t number)
{
    struct step step = {.consumer = consumer, .number = number};
    if (!store_write(place->store, STORE_REPLAYABLE, write_step, &step, &place->err))
        return false;
    queue_consumer_advanced(consumer, number);
    return true;
}

static struct queue_consumer *open_consumer(struct place *place, const char *name, bool from_now)
{
    struct queue_consumer *consumer = queue_consumer_open(place->store, name, from_now, &place->err);
    assert_ok(consumer != NULL, place->err);
    return consumer;
}

static size_t next(struct place *place, struct queue_consumer *consumer, size_t limit, uint64_t *first)
{
    struct store_event *events;
    size_t count;
    assert_ok(queue_consumer_next(consumer, 0, limit, &place->arena, &events, &count, &place->err), place->err);
    if (count > 0)
        *first = events[0].number;
    return count;
}

static void events_come_in_order_and_again_until_the_cursor_moves(void **state)
{
    struct place place;
    uint64_t first = 0;
    (void)state;
    place_open(&place);
    struct queue_consumer *consumer = open_consumer(&place, "flow", false);
    assert_int_equal(next(&place, consumer, 10, &first), 0);
    add_events(&place, 25);
    assert_int_equal(next(&place, consumer, 10, &first), 10);
    assert_int_equal(first, 1);
    assert_int_equal(next(&place, consumer, 10, &first), 10);
    assert_int_equal(first, 1);
    assert_ok(advance(&place, consumer, 10), place.err);
    assert_int_equal(next(&place, consumer, 100, &first), 15);
    assert_int_equal(first, 11);
    queue_consumer_close(consumer);
    place_close(&place);
}

static void a_restart_goes_on_from_the_cursor(void **state)
{
    struct place place;
    uint64_t first = 0;
    (void)state;
    place_open(&place);
    add_events(&place, 5);
    struct queue_consumer *late = open_consumer(&place, "late", true);
    struct queue_consumer *all = open_consumer(&place, "all", false);
    assert_int_equal(next(&place, late, 10, &first), 0);
    assert_ok(advance(&place, all, 2), place.err);
    queue_consumer_close(all);
    queue_consumer_close(late);
    place_reopen(&place);
    add_events(&place, 1);
    late = open_consumer(&place, "late", true); // not new: from_now no longer matters
    all = open_consumer(&place, "all", true);
    assert_int_equal(next(&place, late, 10, &first), 1);
    assert_int_equal(first, 6);
    assert_int_equal(next(&place, all, 10, &first), 4);
    assert_int_equal(first, 3);
    assert_int_equal(queue_consumer_cursor(all), 2);
    queue_consumer_close(all);
    queue_consumer_close(late);
    place_close(&place);
}

static void a_second_claim_ends_the_first(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    add_events(&place, 3);
    struct queue_consumer *old = open_consumer(&place, "flow", false);
    struct queue_consumer *other = open_consumer(&place, "other", false);
    struct queue_consumer *new = open_consumer(&place, "flow", false);
    assert_false(advance(&place, old, 1));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_int_equal(place_int(&place, "SELECT count(*) FROM fact"), 0);
    assert_ok(advance(&place, new, 1), place.err);
    assert_ok(advance(&place, other, 2), place.err);
    assert_int_equal(place_int(&place, "SELECT number FROM cursor WHERE consumer = 'flow'"), 1);
    queue_consumer_close(old);
    queue_consumer_close(other);
    queue_consumer_close(new);
    place_close(&place);
}

static void a_name_of_its_own_is_needed(void **state)
{
    struct place place;
    char name[QUEUE_CONSUMER_MAX + 2];
    (void)state;
    place_open(&place);
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = 'x';
    name[sizeof name - 1] = '\0';
    assert_null(queue_consumer_open(place.store, name, false, &place.err));
    assert_int_equal(place.err.code, ERROR_USAGE);
    assert_null(queue_consumer_open(place.store, "", false, &place.err));
    place_close(&place);
}

struct waiter {
    struct queue_consumer *consumer;
    int64_t timeout_ns, took_ns;
    size_t count;
    bool ok;
};

static void *wait_for_events(void *payload)
{
    struct waiter *waiter = payload;
    struct store_event *events;
    struct arena arena;
    struct error err;
    arena_init(&arena, 1 << 20);
    int64_t start_ns = clock_monotonic_ns();
    waiter->ok = queue_consumer_next(waiter->consumer, waiter->timeout_ns, 10, &arena, &events, &waiter->count, &err);
    waiter->took_ns = clock_monotonic_ns() - start_ns;
    arena_free(&arena);
    return NULL;
}

static struct waiter wait_while(struct place *place, void (*act)(struct place *place), int64_t timeout_ns)
{
    pthread_t thread;
    struct waiter waiter = {.consumer = open_consumer(place, "flow", true), .timeout_ns = timeout_ns};
    assert_int_equal(pthread_create(&thread, NULL, wait_for_events, &waiter), 0);
    clock_sleep_ns(50 * CLOCK_MS);
    act(place);
    pthread_join(thread, NULL);
    assert_true(waiter.ok);
    if (waiter.count > 0)
        assert_ok(advance(place, waiter.consumer, store_event_last(place->store)), place->err);
    queue_consumer_close(waiter.consumer);
    return waiter;
}

static void add_one(struct place *place)
{
    add_events(place, 1);
}

static void wake(struct place *place)
{
    store_event_wake(place->store);
}

static void nothing(struct place *place)
{
    (void)place;
}

static void what_does_not_fit_is_tried_with_fewer_events_and_what_stands_still_is_an_alarm(void **state)
{
    const struct error full = {.code = ERROR_LIMIT, .message = "the rows do not fit"};
    const struct error busy = {.code = ERROR_BUSY, .message = "another process holds the database"};
    struct place place;
    uint64_t first = 0;
    (void)state;
    place_open(&place);
    struct queue_consumer *consumer = open_consumer(&place, "flow", false);
    add_events(&place, 25);
    for (size_t due = 10; due > 0; due = due == 1 ? 0 : due / 2) {
        assert_int_equal(next(&place, consumer, 10, &first), due);
        queue_consumer_stepped(consumer, &busy, 0);
        assert_int_equal(next(&place, consumer, 10, &first), due);
        queue_consumer_stepped(consumer, &full, 0);
    }
    uint64_t before = alarm_count(ALARM_STALLED);
    for (int second = 1; second <= 61; second += 30) {
        assert_int_equal(next(&place, consumer, 10, &first), 1);
        assert_int_equal(alarm_count(ALARM_STALLED), before);
        queue_consumer_stepped(consumer, &busy, second * CLOCK_SECOND);
    }
    assert_int_equal(alarm_count(ALARM_STALLED), before + 1);
    assert_int_equal(queue_consumer_cursor(consumer), 0); // what passes by itself is tried for as long as it takes
    assert_int_equal(next(&place, consumer, 10, &first), 1);
    assert_ok(advance(&place, consumer, 1), place.err);
    queue_consumer_stepped(consumer, NULL, 62 * CLOCK_SECOND);
    struct alarm alarms[ALARMS_MAX];
    uint64_t unlisted;
    assert_int_equal(alarm_list(alarms, &unlisted), 0);
    assert_int_equal(next(&place, consumer, 10, &first), 2);
    queue_consumer_stepped(consumer, &busy, 200 * CLOCK_SECOND); // a minute of failures begins anew
    assert_int_equal(alarm_count(ALARM_STALLED), before + 1);
    queue_consumer_close(consumer);
    place_close(&place);
}

// Steps that fail of it until the cursor is past `number`; how many.
static int fail_past(struct place *place, struct queue_consumer *consumer, const struct error *why, uint64_t number,
                     int64_t from_ns)
{
    uint64_t first;
    int tries = 0;
    while (queue_consumer_cursor(consumer) < number && tries < 100) {
        next(place, consumer, 10, &first);
        queue_consumer_stepped(consumer, why, from_ns + tries++ * CLOCK_SECOND);
    }
    return tries;
}

static void an_event_that_fails_by_its_own_fault_is_passed_over_once_it_has_failed_alone(void **state)
{
    const struct error own = {.code = ERROR_BAD_VALUE, .message = "no such thing"};
    const struct error unclear = {.code = ERROR_MEMORY, .message = "out of memory"};
    struct place place;
    struct store_event *told;
    struct store_event_detail detail;
    size_t count;
    (void)state;
    place_open(&place);
    struct queue_consumer *consumer = open_consumer(&place, "flow", false);
    add_events(&place, 5);
    assert_int_equal(fail_past(&place, consumer, &own, 1, 0), 2 + QUEUE_TRIES_ALONE); // with 5, with 2, then alone
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(db && store_event_read(db, 5, 10, &place.arena, &told, &count, &place.err), place.err);
    store_read_end(place.store, db);
    assert_int_equal(count, 1);
    assert_int_equal(told->kind, STORE_EVENT_PASSED_OVER);
    assert_string_equal(told->study, "1.2");
    assert_ok(store_event_detail(told, &place.arena, &detail, &place.err), place.err);
    assert_string_equal(detail.by, "flow");
    assert_string_equal(detail.reason, "no such thing");
    // What may be the process's own fault has a minute.
    assert_true(fail_past(&place, consumer, &unclear, 2, 100 * CLOCK_SECOND) >= QUEUE_STALLED_S);
    queue_consumer_close(consumer);
    place_close(&place);
}

static void what_no_study_can_say_is_an_alarm(void **state)
{
    const struct error own = {.code = ERROR_LIMIT, .message = "the rows do not fit"};
    struct place place;
    (void)state;
    place_open(&place);
    struct queue_consumer *consumer = open_consumer(&place, "reading", false);
    add_events(&place, 1);
    uint64_t before = alarm_count(ALARM_STALLED);
    fail_past(&place, consumer, &own, 1, 0);
    assert_int_equal(alarm_count(ALARM_STALLED), before);
    fail_past(&place, consumer, &own, 2, 0); // the event that says so, which tells of no other
    assert_int_equal(alarm_count(ALARM_STALLED), before + 1);
    assert_int_equal(store_event_last(place.store), 2);
    alarm_clear(ALARM_STALLED, NULL);
    queue_consumer_close(consumer);
    place_close(&place);
}

static void a_step_that_fails_after_its_events_passes_none_over(void **state)
{
    const struct error own = {.code = ERROR_LIMIT, .message = "what is due does not fit"};
    struct place place;
    uint64_t first;
    (void)state;
    place_open(&place);
    struct queue_consumer *consumer = open_consumer(&place, "flow", false);
    add_events(&place, 2);
    assert_int_equal(next(&place, consumer, 1, &first), 1);
    assert_ok(advance(&place, consumer, 1), place.err);
    for (int i = 0; i < 2 * QUEUE_TRIES_ALONE; i++)
        queue_consumer_stepped(consumer, &own, i * CLOCK_SECOND);
    assert_int_equal(queue_consumer_cursor(consumer), 1);
    queue_consumer_close(consumer);
    place_close(&place);
}

static void a_wait_ends_with_an_event_the_time_or_a_wake(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    struct waiter waiter = wait_while(&place, add_one, INT64_MAX);
    assert_int_equal(waiter.count, 1);
    assert_true(waiter.took_ns < 5 * CLOCK_SECOND);
    waiter = wait_while(&place, nothing, 100 * CLOCK_MS);
    assert_int_equal(waiter.count, 0);
    assert_true(waiter.took_ns >= 100 * CLOCK_MS);
    waiter = wait_while(&place, wake, INT64_MAX);
    assert_int_equal(waiter.count, 0);
    assert_true(waiter.took_ns < 5 * CLOCK_SECOND);
    place_close(&place);
}

int test_consumer(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_order_and_again_until_the_cursor_moves),
        cmocka_unit_test(a_restart_goes_on_from_the_cursor),
        cmocka_unit_test(a_second_claim_ends_the_first),
        cmocka_unit_test(a_name_of_its_own_is_needed),
        cmocka_unit_test(what_does_not_fit_is_tried_with_fewer_events_and_what_stands_still_is_an_alarm),
        cmocka_unit_test(an_event_that_fails_by_its_own_fault_is_passed_over_once_it_has_failed_alone),
        cmocka_unit_test(what_no_study_can_say_is_an_alarm),
        cmocka_unit_test(a_step_that_fails_after_its_events_passes_none_over),
        cmocka_unit_test(a_wait_ends_with_an_event_the_time_or_a_wake),
    };
    return cmocka_run_group_tests_name("queue: consumer", tests, NULL, NULL);
}
