#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "helper.h"

static bool add_two(struct database *db, void *payload, struct error *err)
{
    const char *subject = payload;
    return store_event_add(db, STORE_EVENT_JOB_QUEUED, "1.2", subject, NULL, err) &&
           store_event_add(db, STORE_EVENT_JOB_DONE, "1.2", subject, NULL, err);
}

static bool add_two_and_fail(struct database *db, void *payload, struct error *err)
{
    return add_two(db, payload, err) && error_set(err, ERROR_CONFLICT, "on request");
}

static void numbers_have_no_gaps(void **state)
{
    struct place place;
    uint64_t replayed;
    (void)state;
    helper_make(&place);
    assert_int_equal(store_event_last(place.store), 0);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "a", &place.err));
    assert_false(store_write(place.store, STORE_REPLAYABLE, add_two_and_fail, "b", &place.err));
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "c", &place.err));
    assert_int_equal(store_event_last(place.store), 4);
    helper_reopen(&place, &replayed);
    assert_int_equal(store_event_last(place.store), 4);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "d", &place.err));
    assert_int_equal(store_event_last(place.store), 6);
    helper_remove(&place);
}

static void events_are_read_in_order_from_a_cursor(void **state)
{
    struct place place;
    struct arena arena;
    struct store_event *events;
    size_t count;
    (void)state;
    helper_make(&place);
    arena_init(&arena, 1 << 20);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "a", &place.err));
    helper_clock_offset_s = -86400 * 366; // a clock that jumps back a year changes no order
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "b", &place.err));
    helper_clock_offset_s = 0;
    struct database *db = store_read_begin(place.store, &place.err);
    assert_true(store_event_read(db, 1, 2, &arena, &events, &count, &place.err));
    assert_int_equal(count, 2);
    assert_int_equal(events[0].number, 2);
    assert_int_equal(events[0].kind, STORE_EVENT_JOB_DONE);
    assert_string_equal(events[0].subject, "a");
    assert_string_equal(events[1].subject, "b");
    assert_non_null(strstr(events[1].detail, "\"kind\":"));
    assert_true(events[1].time_ns < events[0].time_ns);
    assert_true(store_event_read(db, 4, 2, &arena, &events, &count, &place.err));
    assert_int_equal(count, 0);
    store_read_end(place.store, db);
    arena_free(&arena);
    helper_remove(&place);
}

static bool add_stored(struct database *db, void *payload, struct error *err)
{
    return store_event_add(db, STORE_EVENT_OBJECT_STORED, "1.2", "1.2.3", payload, err);
}

static bool add_unread(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err, "UPDATE event SET kind = 'of.tomorrow', detail = '[1, 2'", "");
}

static struct store_event read_last(struct place *place, struct arena *arena)
{
    struct store_event *events;
    size_t count;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_true(store_event_read(db, store_event_last(place->store) - 1, 1, arena, &events, &count, &place->err));
    assert_int_equal(count, 1);
    store_read_end(place->store, db);
    return events[0];
}

static void a_detail_comes_back_with_the_members_of_its_kind_and_no_others(void **state)
{
    struct place place;
    struct arena arena;
    struct store_event_detail out, in = {.series = "1.2.9", .from = "CT \"1\"\\", .is_image = 1, .model = "not of it"};
    (void)state;
    helper_make(&place);
    arena_init(&arena, 1 << 20);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_stored, &in, &place.err));
    struct store_event event = read_last(&place, &arena);
    assert_true(store_event_detail(&event, &arena, &out, &place.err));
    assert_string_equal(out.series, "1.2.9");
    assert_string_equal(out.from, "CT \"1\"\\");
    assert_string_equal(out.how, "");
    assert_string_equal(out.model, "");
    assert_int_equal(out.is_image, 1);
    assert_int_equal(out.version, 0);
    arena_free(&arena);
    helper_remove(&place);
}

static void an_event_of_another_program_has_no_kind_and_an_empty_detail(void **state)
{
    struct place place;
    struct arena arena;
    struct store_event_detail out, in = {.series = "1.2.9"};
    (void)state;
    helper_make(&place);
    arena_init(&arena, 1 << 20);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_stored, &in, &place.err));
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_unread, NULL, &place.err));
    struct store_event event = read_last(&place, &arena);
    assert_int_equal(event.kind, STORE_EVENT_KIND_COUNT);
    assert_true(store_event_detail(&event, &arena, &out, &place.err));
    assert_string_equal(out.series, "");
    arena_free(&arena);
    helper_remove(&place);
}

static bool set_cursors(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return store_cursor_set(db, "fast", 4, err) && store_cursor_set(db, "slow", 1, err) &&
           store_cursor_set(db, "slow", 3, err);
}

static bool prune(struct database *db, void *payload, struct error *err)
{
    bool more;
    return store_event_prune(db, *(int64_t *)payload, 100, &more, err);
}

struct piece {
    int64_t before_ns;
    bool more;
};

static bool prune_piece(struct database *db, void *payload, struct error *err)
{
    struct piece *piece = payload;
    return store_event_prune(db, piece->before_ns, 3, &piece->more, err);
}

static int64_t first_event(struct place *place)
{
    int64_t first = 0;
    bool found;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_true(sql_get_int(db, &place->err, &first, &found, "SELECT min(number) FROM event", ""));
    store_read_end(place->store, db);
    return first;
}

static bool set_far_cursor(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return store_cursor_set(db, "far", 100, err);
}

static void prune_goes_in_pieces_and_ends_at_the_first_young_event(void **state)
{
    struct place place;
    struct piece piece = {.before_ns = clock_now_ns() - 3600 * CLOCK_SECOND};
    (void)state;
    helper_make(&place);
    helper_clock_offset_s = -86400;
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "a", &place.err));
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "b", &place.err));
    helper_clock_offset_s = 0;
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "c", &place.err));
    assert_true(store_write(place.store, STORE_REPLAYABLE, set_far_cursor, NULL, &place.err));
    assert_true(store_write(place.store, STORE_REPLAYABLE, prune_piece, &piece, &place.err));
    assert_true(piece.more);
    assert_int_equal(first_event(&place), 4);
    assert_true(store_write(place.store, STORE_REPLAYABLE, prune_piece, &piece, &place.err));
    assert_false(piece.more);
    assert_int_equal(first_event(&place), 5);
    assert_true(store_write(place.store, STORE_REPLAYABLE, prune_piece, &piece, &place.err));
    assert_int_equal(first_event(&place), 5);
    helper_remove(&place);
}

static void prune_keeps_what_a_cursor_or_the_time_needs(void **state)
{
    struct place place;
    int64_t count, old = 0, now = INT64_MAX;
    uint64_t cursor;
    bool found;
    (void)state;
    helper_make(&place);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "a", &place.err));
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "b", &place.err));
    assert_true(store_write(place.store, STORE_REPLAYABLE, prune, &now, &place.err)); // no cursor: nothing goes
    assert_true(store_write(place.store, STORE_DURABLE, set_cursors, NULL, &place.err));
    assert_true(store_write(place.store, STORE_REPLAYABLE, prune, &old, &place.err));
    struct database *db = store_read_begin(place.store, &place.err);
    assert_true(sql_get_int(db, &place.err, &count, &found, "SELECT count(*) FROM event", ""));
    assert_int_equal(count, 4);
    assert_true(store_cursor_get(db, "slow", &cursor, &place.err));
    assert_int_equal(cursor, 3);
    assert_true(store_cursor_get(db, "none", &cursor, &place.err));
    assert_int_equal(cursor, 0);
    store_read_end(place.store, db);
    assert_true(store_write(place.store, STORE_REPLAYABLE, prune, &now, &place.err));
    db = store_read_begin(place.store, &place.err);
    assert_true(sql_get_int(db, &place.err, &count, &found, "SELECT min(number) FROM event", ""));
    assert_int_equal(count, 4);
    store_read_end(place.store, db);
    helper_remove(&place);
}

static bool set_last_cursor(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return store_cursor_set(db, "only", 2, err);
}

static void numbers_go_on_when_all_events_are_gone(void **state)
{
    struct place place;
    int64_t now = INT64_MAX;
    uint64_t replayed;
    (void)state;
    helper_make(&place);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "a", &place.err));
    assert_true(store_write(place.store, STORE_REPLAYABLE, set_last_cursor, NULL, &place.err));
    assert_true(store_write(place.store, STORE_REPLAYABLE, prune, &now, &place.err));
    helper_reopen(&place, &replayed);
    assert_int_equal(store_event_last(place.store), 2);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_two, "b", &place.err));
    assert_int_equal(store_event_last(place.store), 4);
    helper_remove(&place);
}

static void *add_later(void *payload)
{
    struct error err;
    clock_sleep_ns(50 * CLOCK_MS);
    store_write(payload, STORE_REPLAYABLE, add_two, "a", &err);
    return NULL;
}

static void a_waiter_is_woken_by_a_commit_and_by_the_stop(void **state)
{
    struct place place;
    pthread_t thread;
    (void)state;
    helper_make(&place);
    assert_false(store_event_wait(place.store, 0, 20 * CLOCK_MS));
    assert_int_equal(pthread_create(&thread, NULL, add_later, place.store), 0);
    int64_t start = clock_monotonic_ns();
    assert_true(store_event_wait(place.store, 0, 20 * CLOCK_SECOND));
    assert_true(clock_monotonic_ns() - start < 10 * CLOCK_SECOND);
    pthread_join(thread, NULL);
    store_event_wake(place.store);
    assert_true(store_event_wait(place.store, 1, 0));
    start = clock_monotonic_ns();
    assert_false(store_event_wait(place.store, 2, 20 * CLOCK_SECOND));
    assert_true(clock_monotonic_ns() - start < 10 * CLOCK_SECOND);
    helper_remove(&place);
}

int test_events(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_no_gaps),
        cmocka_unit_test(events_are_read_in_order_from_a_cursor),
        cmocka_unit_test(a_detail_comes_back_with_the_members_of_its_kind_and_no_others),
        cmocka_unit_test(an_event_of_another_program_has_no_kind_and_an_empty_detail),
        cmocka_unit_test(prune_keeps_what_a_cursor_or_the_time_needs),
        cmocka_unit_test(prune_goes_in_pieces_and_ends_at_the_first_young_event),
        cmocka_unit_test(numbers_go_on_when_all_events_are_gone),
        cmocka_unit_test(a_waiter_is_woken_by_a_commit_and_by_the_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
