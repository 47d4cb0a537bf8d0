#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "helper.h"

enum { WRITERS = 8, READERS = 3, PER_WRITER = 30 };

struct crowd {
    struct store *store;
    _Atomic int next;
    _Atomic bool done;
    _Atomic int failures;
};

static void *write_objects(void *payload)
{
    struct crowd *crowd = payload;
    struct error err;
    int who = atomic_fetch_add(&crowd->next, 1);
    struct store_lane *lane = store_lane_open(crowd->store, &err);
    for (int i = 0; i < PER_WRITER; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d-3000", who * 1000 + i);
        // Every tenth is refused inside a group and must take no other with it.
        if (helper_put(crowd->store, lane, name, i % 10 == 9, &err) != (i % 10 != 9))
            atomic_fetch_add(&crowd->failures, 1);
        if (i == PER_WRITER / 2) {
            if (!store_lane_close(lane, &err))
                atomic_fetch_add(&crowd->failures, 1);
            lane = store_lane_open(crowd->store, &err);
        }
    }
    if (!store_lane_close(lane, &err))
        atomic_fetch_add(&crowd->failures, 1);
    return NULL;
}

// In one snapshot the events are as many as the objects and numbered without a gap.
static bool read_once(struct store *store)
{
    struct error err;
    int64_t objects = 0, events = 0, last = 0;
    bool found;
    struct database *db = store_read_begin(store, &err);
    bool ok = db && sql_get_int(db, &err, &objects, &found, "SELECT count(*) FROM object", "") &&
              sql_get_int(db, &err, &events, &found, "SELECT count(*) FROM event", "") &&
              sql_get_int(db, &err, &last, &found, "SELECT coalesce(max(number), 0) FROM event", "");
    store_read_end(store, db);
    return ok && objects == events && events == last;
}

static void *read_counts(void *payload)
{
    struct crowd *crowd = payload;
    while (!atomic_load(&crowd->done)) {
        if (!read_once(crowd->store))
            atomic_fetch_add(&crowd->failures, 1);
        store_event_wait(crowd->store, store_event_last(crowd->store), 1000000);
    }
    return NULL;
}

static void writers_and_readers_do_not_disturb_each_other(void **state)
{
    struct place place;
    struct crowd crowd = {0};
    pthread_t writers[WRITERS], readers[READERS];
    (void)state;
    helper_make(&place);
    crowd.store = place.store;
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_counts, &crowd), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_objects, &crowd), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&crowd.done, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(crowd.failures, 0);
    assert_int_equal(helper_objects(place.store), WRITERS * PER_WRITER * 9 / 10);
    for (int i = 0; i < PER_WRITER; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d-3000", 3000 + i);
        if (i % 10 != 9)
            helper_check(place.store, name);
    }
    helper_remove(&place);
}

int test_threads(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writers_and_readers_do_not_disturb_each_other)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
