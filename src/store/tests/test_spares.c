// Zeros written ahead in quiet times: what becomes of them as lanes, in crashes, and when the disk is short.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "helper.h"

enum { MIB = 1 << 20, WAIT_STEPS = 500 };

static void make(struct place *place)
{
    helper_spare_bytes = 4 * MIB;
    helper_make(place);
}

static void end(struct place *place)
{
    helper_remove(place);
    helper_spare_bytes = 0;
}

// A lane that is closed is what spares follow from.
static void burst(struct place *place, const char *name)
{
    struct store_lane *lane = helper_lane(place);
    helper_store(place, lane, name);
    assert_true(store_lane_close(lane, &place->err));
}

// Whole when it has its size; then one look's time for it to be offered.
static void wait_for_spare(const struct place *place, uint64_t number, off_t size)
{
    char path[HELPER_PATH];
    struct stat status = {0};
    helper_path(path, place->folder, "lanes", number, ".spare");
    for (int i = 0; i < WAIT_STEPS && (stat(path, &status) != 0 || status.st_size < size); i++)
        clock_sleep_ns(10 * CLOCK_MS);
    assert_int_equal(status.st_size, size);
    clock_sleep_ns(200 * CLOCK_MS);
}

static off_t size_of(const struct place *place, const char *part, uint64_t container, const char *ending)
{
    char path[HELPER_PATH];
    struct stat status;
    helper_path(path, place->folder, part, container, ending);
    return stat(path, &status) == 0 ? status.st_size : -1;
}

static void the_next_lane_has_zeros_ahead_and_its_pack_has_not(void **state)
{
    struct place place;
    (void)state;
    make(&place);
    clock_sleep_ns(400 * CLOCK_MS);
    assert_int_equal(helper_count(place.folder, "lanes", ".spare"), 0); // nothing was stored yet
    burst(&place, "1-1000");
    wait_for_spare(&place, 1, MIB);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "2-5000");
    assert_int_equal(helper_count(place.folder, "lanes", ".spare"), 0);
    assert_int_equal(size_of(&place, "lanes", 2, ".lane"), MIB);
    helper_store(&place, lane, "3-2000000"); // past the zeros
    assert_false(store_lane_is_used_up(lane));
    helper_store(&place, lane, "4-1");
    helper_check(place.store, "2-5000");
    assert_true(store_lane_close(lane, &place.err));
    for (int i = 0; i < 2; i++) {
        uint64_t replayed;
        helper_check(place.store, "2-5000");
        helper_check(place.store, "3-2000000");
        helper_check(place.store, "4-1");
        assert_true(size_of(&place, "packs", 2, ".pack") < 2000000 + 5000 + 4096);
        helper_reopen(&place, &replayed);
        assert_int_equal(replayed, 0);
    }
    end(&place);
}

static void a_short_lane_in_a_spare_becomes_a_short_pack(void **state)
{
    struct place place;
    (void)state;
    make(&place);
    burst(&place, "1-1000");
    wait_for_spare(&place, 1, MIB);
    burst(&place, "2-1000");
    assert_true(size_of(&place, "packs", 2, ".pack") > 1000 && size_of(&place, "packs", 2, ".pack") < 4096);
    end(&place);
}

static void a_lane_that_used_up_its_zeros_is_told_so_when_there_are_others(void **state)
{
    struct place place;
    (void)state;
    make(&place);
    struct store_lane *lane = helper_lane(&place), *other = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    helper_store(&place, other, "2-1000");
    assert_false(store_lane_is_used_up(lane));
    assert_true(store_lane_close(lane, &place.err) && store_lane_close(other, &place.err));
    wait_for_spare(&place, 2, MIB);
    assert_int_equal(helper_count(place.folder, "lanes", ".spare"), 2);
    lane = helper_lane(&place);
    helper_store(&place, lane, "3-1000");
    assert_false(store_lane_is_used_up(lane));
    helper_store(&place, lane, "4-1100000");
    assert_true(store_lane_is_used_up(lane));
    assert_true(store_lane_close(lane, &place.err));
    end(&place);
}

static void save_zeros(const char *path, size_t size)
{
    void *zeros = calloc(1, size);
    save_file(path, zeros, size);
    free(zeros);
}

static void a_dropped_record_leaves_nothing_behind_in_the_zeros(void **state)
{
    struct place place;
    (void)state;
    make(&place);
    burst(&place, "1-1000");
    wait_for_spare(&place, 1, MIB);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "2-1000");
    assert_true(store_record_begin(lane, &place.err) && store_record_write(lane, "abc", 3, &place.err));
    store_record_drop(lane);
    assert_true(size_of(&place, "lanes", 2, ".lane") < 2000);
    helper_store(&place, lane, "3-1000");
    assert_true(store_lane_close(lane, &place.err));
    helper_check(place.store, "2-1000");
    helper_check(place.store, "3-1000");
    end(&place);
}

static void a_kill_leaves_no_spare_and_what_was_sealed_in_one_is_replayed(void **state)
{
    struct place place, after;
    (void)state;
    make(&place);
    struct store_lane *lane = helper_lane(&place), *other = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    helper_store(&place, other, "2-1000");
    assert_true(store_lane_close(lane, &place.err) && store_lane_close(other, &place.err));
    wait_for_spare(&place, 2, MIB);
    lane = helper_lane(&place);
    helper_store(&place, lane, "3-300000");
    assert_int_equal(helper_count(place.folder, "lanes", ".spare"), 1);
    helper_copy(place.folder, after.folder);
    helper_lose_rows(after.folder);
    after.store = helper_open(after.folder, &after.err);
    assert_non_null(after.store);
    assert_int_equal(helper_replay(after.store), 3);
    assert_int_equal(helper_count(after.folder, "lanes", ".spare"), 0);
    helper_check(after.store, "3-300000");
    assert_true(size_of(&after, "packs", 3, ".pack") < 301000);
    helper_remove(&after);
    assert_true(store_lane_close(lane, &place.err));
    end(&place);
}

// One file of zeros holds the last of the disk, and SQLite needs some to take up the WAL: its index is made again.
static void assert_starts_on_a_disk_full_but_for(const struct place *killed, const char *name)
{
    struct place after;
    char path[HELPER_PATH];
    uint64_t left;
    if (!folder_make_disk(after.folder, HELPER_PATH, 8))
        skip();
    helper_copy_into(killed->folder, after.folder);
    snprintf(path, sizeof path, "%.200s/reserve", after.folder);
    unlink(path);
    snprintf(path, sizeof path, "%.200s/hilum.db-shm", after.folder);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%.200s/%.40s", after.folder, name);
    save_zeros(path, MIB);
    folder_fill(after.folder, "filler", 0);
    after.store = helper_open(after.folder, &after.err);
    assert_ok(after.store, after.err);
    assert_int_equal(helper_replay(after.store), 0);
    assert_true(access(path, F_OK) != 0);
    helper_check(after.store, "1-1000");
    helper_check(after.store, "2-1000");
    assert_true(file_space(after.folder, &left, &after.err) && left < MIB);
    store_close(after.store);
    folder_delete_disk(after.folder);
}

static void a_full_disk_lets_the_store_start_after_a_kill(void **state)
{
    struct place place, killed;
    struct stat status;
    char path[HELPER_PATH];
    (void)state;
    make(&place);
    snprintf(path, sizeof path, "%.200s/reserve", place.folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 4 * MIB);
    burst(&place, "1-1000");
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "2-1000");
    helper_copy(place.folder, killed.folder);
    assert_true(store_lane_close(lane, &place.err));
    end(&place);
    assert_starts_on_a_disk_full_but_for(&killed, "lanes/0000000007.spare");
    assert_starts_on_a_disk_full_but_for(&killed, "reserve");
    folder_delete(killed.folder);
}

static void spares_go_with_the_store(void **state)
{
    struct place place;
    (void)state;
    make(&place);
    burst(&place, "1-1000");
    wait_for_spare(&place, 1, MIB);
    store_close(place.store);
    assert_int_equal(helper_count(place.folder, "lanes", ".spare"), 0);
    folder_delete(place.folder);
    helper_spare_bytes = 0;
}

int test_spares(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_lane_has_zeros_ahead_and_its_pack_has_not),
        cmocka_unit_test(a_short_lane_in_a_spare_becomes_a_short_pack),
        cmocka_unit_test(a_lane_that_used_up_its_zeros_is_told_so_when_there_are_others),
        cmocka_unit_test(a_dropped_record_leaves_nothing_behind_in_the_zeros),
        cmocka_unit_test(a_kill_leaves_no_spare_and_what_was_sealed_in_one_is_replayed),
        cmocka_unit_test(a_full_disk_lets_the_store_start_after_a_kill),
        cmocka_unit_test(spares_go_with_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
