#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "helper.h"
#include "store/pack.h"

static void objects_of_all_sizes_come_back_from_lane_and_pack(void **state)
{
    static const char *const names[] = {"1-0", "2-1", "3-15", "4-16", "5-4096", "6-1000003", "7-131072"};
    struct place place;
    uint64_t count, offset;
    int fd;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 0);
    for (size_t i = 0; i < 7; i++)
        helper_store(&place, lane, names[i]);
    for (size_t i = 0; i < 7; i++)
        helper_check(place.store, names[i]);
    assert_true(store_lane_size(lane) > 1000003);
    assert_true(store_lane_close(lane, &place.err));
    assert_true(pack_settle(place.store, &place.err));
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 0);
    assert_int_equal(helper_count(place.folder, "packs", ".pack"), 1);
    for (size_t i = 0; i < 7; i++)
        helper_check(place.store, names[i]);
    assert_true(store_acquire(place.store, 1, &fd, &place.err));
    assert_true(format_index_check(fd, &count, &offset, &place.err));
    assert_int_equal(count, 7);
    store_release(place.store, 1);
    helper_remove(&place);
}

// Read by hand from docs/store-format.md, so that the code and the page cannot drift apart.
static void the_bytes_are_as_the_page_says(void **state)
{
    struct place place;
    uint8_t bytes[64 + 128 + 10 + 4 + 10 + 1];
    char path[HELPER_PATH];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "9-10");
    helper_path(path, place.folder, "lanes", 1, ".lane");
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, bytes, sizeof bytes), 64 + 128 + 10 + 4);
    close(fd);
    assert_memory_equal(bytes, "HILUMLN1\1\0\0\0\0\0\0\0", 16);
    assert_memory_equal(bytes + 64, "HILUMOB1\1\0\0\0\0\0\0\0\x0A\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0", 32);
    assert_memory_equal(bytes + 64 + 128 + 10, "9-10", 4);
    uint8_t digest[HASH_SIZE], text[96 + 16 + 16] = {0};
    hash_of(bytes + 64 + 128, 10, digest);
    assert_memory_equal(bytes + 64 + 32, digest, 32);
    memcpy(text, bytes + 64, 96);
    memcpy(text + 96, bytes + 16, 16);
    text[112] = 1;
    text[120] = 64;
    hash_of(text, sizeof text, digest);
    assert_memory_equal(bytes + 64 + 96, digest, 32);
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

static void a_dropped_record_leaves_no_trace(void **state)
{
    struct place place;
    struct stat status;
    char path[HELPER_PATH];
    uint8_t data[70000] = {1};
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "1-100");
    uint64_t size = store_lane_size(lane);
    assert_true(store_record_begin(lane, &place.err));
    assert_true(store_record_write(lane, data, sizeof data, &place.err));
    store_record_drop(lane);
    store_record_drop(lane);
    assert_int_equal(store_lane_size(lane), size);
    helper_path(path, place.folder, "lanes", 1, ".lane");
    assert_int_equal(stat(path, &status), 0);
    assert_true((uint64_t)status.st_size <= size);
    helper_store(&place, lane, "2-100");
    assert_true(store_lane_close(lane, &place.err));
    helper_check(place.store, "1-100");
    helper_check(place.store, "2-100");
    helper_remove(&place);
}

static void an_empty_lane_leaves_no_file(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    assert_true(store_record_begin(lane, &place.err));
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 1);
    assert_true(store_lane_close(lane, &place.err));
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 0);
    assert_int_equal(helper_count(place.folder, "packs", ".pack"), 0);
    assert_true(store_lane_close(NULL, &place.err));
    helper_remove(&place);
}

static void a_disk_full_in_a_record_drops_it_and_heals(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    helper_limit_files(500000);
    assert_false(helper_put(place.store, lane, "2-900000", false, &place.err));
    assert_int_equal(place.err.code, ERROR_FULL);
    helper_store(&place, lane, "3-1000"); // a smaller one has room
    helper_limit_files(0);
    helper_store(&place, lane, "2-900000");
    assert_true(store_lane_close(lane, &place.err));
    helper_check(place.store, "1-1000");
    helper_check(place.store, "2-900000");
    helper_check(place.store, "3-1000");
    helper_remove(&place);
}

static void below_the_low_water_mark_nothing_is_taken(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    store_lane_close(lane, &place.err);
    store_close(place.store);
    struct store_options options = {.folder = place.folder, .low_water_bytes = UINT64_MAX};
    place.store = store_open(&options, &place.err);
    assert_non_null(place.store);
    assert_int_equal(helper_replay(place.store), 0);
    lane = helper_lane(&place);
    assert_false(store_record_begin(lane, &place.err));
    assert_int_equal(place.err.code, ERROR_FULL);
    assert_true(store_lane_close(lane, &place.err));
    helper_check(place.store, "1-1000");
    helper_remove(&place);
}

static uint64_t space_of(const struct place *place)
{
    struct error err;
    uint64_t space;
    assert_ok(file_space(place->folder, &space, &err), err);
    return space;
}

// An object of 3 MiB fits above the mark, one of 6 MiB does not, nor does its copy in the quarantine.
static void an_object_that_reaches_the_low_water_mark_is_refused_there(void **state)
{
    enum { DISK_MIB = 24, PIECE = 256 << 10, MARK = 14 << 20 };
    static const uint8_t piece[PIECE];
    struct place place;
    (void)state;
    if (!folder_make_disk(place.folder, HELPER_PATH, DISK_MIB))
        skip();
    struct store_options options = {.folder = place.folder, .low_water_bytes = MARK};
    place.store = store_open(&options, &place.err);
    assert_ok(place.store, place.err);
    assert_int_equal(helper_replay(place.store), 0);
    struct store_lane *lane = helper_lane(&place);
    struct store_record record;
    assert_ok(store_record_begin(lane, &place.err), place.err);
    for (int i = 0; i < 3 * 4; i++)
        assert_ok(store_record_write(lane, piece, PIECE, &place.err), place.err);
    assert_ok(store_record_seal(lane, "m", 1, &record, &place.err), place.err);
    assert_ok(store_record_begin(lane, &place.err), place.err);
    bool ok = true;
    for (int i = 0; ok && i < 6 * 4; i++)
        ok = store_record_write(lane, piece, PIECE, &place.err);
    assert_false(ok);
    assert_int_equal(place.err.code, ERROR_FULL);
    assert_non_null(strstr(place.err.message, "14 MiB are left on the disk, no room for 262144 more bytes above the "
                                              "low-water mark of 14 MiB"));
    assert_true(space_of(&place) >= MARK && space_of(&place) < MARK + PIECE);
    store_record_quarantine(lane, "no data set");
    assert_true(space_of(&place) >= MARK);
    assert_true(store_can_take(place.store, 1 << 20, &place.err));
    assert_true(store_lane_close(lane, &place.err));
    store_close(place.store);
    folder_delete_disk(place.folder);
}

static void after_a_failed_sync_storing_stops_and_the_record_is_void(void **state)
{
    struct place place;
    uint64_t replayed;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    helper_fail_lane_syncs = 1;
    assert_false(helper_put(place.store, lane, "2-1000", false, &place.err));
    assert_int_equal(place.err.code, ERROR_IO);
    assert_false(helper_put(place.store, lane, "3-1000", false, &place.err));
    assert_int_equal(place.err.code, ERROR_FULL);
    assert_false(store_lane_close(lane, &place.err));
    lane = helper_lane(&place);
    assert_false(helper_put(place.store, lane, "4-1000", false, &place.err)); // nor does another lane, on that disk
    assert_int_equal(place.err.code, ERROR_FULL);
    assert_non_null(store_stopped(place.store));
    assert_true(store_lane_close(lane, &place.err));
    helper_reopen(&place, &replayed);
    assert_null(store_stopped(place.store));
    lane = helper_lane(&place);
    helper_store(&place, lane, "4-1000");
    assert_true(store_lane_close(lane, &place.err));
    assert_int_equal(replayed, 0);
    assert_int_equal(helper_objects(place.store), 2);
    helper_check(place.store, "1-1000");
    helper_check(place.store, "4-1000");
    helper_remove(&place);
}

static void a_failed_tombstone_stops_storing_until_a_restart(void **state)
{
    struct place place;
    uint64_t replayed;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_fail_tombstone_syncs = 1;
    assert_false(helper_put(place.store, lane, "1-1000", true, &place.err));
    assert_false(store_record_begin(lane, &place.err));
    assert_int_equal(place.err.code, ERROR_FULL);
    assert_true(store_lane_close(lane, &place.err));
    helper_reopen(&place, &replayed);
    lane = helper_lane(&place);
    helper_store(&place, lane, "2-1000");
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

static void a_descriptor_is_good_while_its_lane_becomes_a_pack(void **state)
{
    struct place place;
    struct store_place at;
    char byte;
    int fd, again;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    assert_true(helper_has(place.store, "1-1000", &at));
    assert_true(store_acquire(place.store, at.container, &fd, &place.err));
    assert_true(store_lane_close(lane, &place.err));
    assert_int_equal(pread(fd, &byte, 1, (off_t)at.offset), 1);
    assert_true(store_acquire(place.store, at.container, &again, &place.err));
    assert_int_equal(fd, again);
    store_release(place.store, at.container);
    store_release(place.store, at.container);
    assert_false(store_acquire(place.store, 999, &fd, &place.err));
    assert_int_equal(place.err.code, ERROR_IO); // rows name it: that it is not there is a loss
    helper_remove(&place);
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void few_descriptors_are_kept_open(void **state)
{
    struct place place;
    char name[32];
    int fds[100];
    (void)state;
    helper_make(&place);
    for (int i = 0; i < 100; i++) {
        struct store_lane *lane = helper_lane(&place);
        snprintf(name, sizeof name, "%d-10", i);
        helper_store(&place, lane, name);
        assert_true(store_lane_close(lane, &place.err));
    }
    size_t before = open_descriptors();
    for (int i = 0; i < 100; i++)
        assert_true(store_acquire(place.store, (uint64_t)i + 1, &fds[i], &place.err));
    assert_int_equal(open_descriptors(), before + 100);
    for (int i = 0; i < 100; i++)
        store_release(place.store, (uint64_t)i + 1);
    assert_int_equal(open_descriptors(), before + STORE_DESCRIPTORS_KEPT);
    helper_remove(&place);
}

static void damaged_bytes_are_told_and_never_given(void **state)
{
    struct place place;
    struct store_place at;
    struct buffer bytes;
    char path[HELPER_PATH];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    helper_store(&place, lane, "2-1000");
    assert_true(store_lane_close(lane, &place.err));
    assert_true(helper_has(place.store, "1-1000", &at));
    helper_path(path, place.folder, "packs", 1, ".pack");
    int fd = open(path, O_RDWR);
    buffer_init(&bytes, 1000);
    for (off_t where = (off_t)at.offset; where < (off_t)at.offset + STORE_RECORD_HEADER + 1000; where += 37) {
        uint8_t old, bad;
        assert_int_equal(pread(fd, &old, 1, where), 1);
        bad = old ^ 1;
        assert_int_equal(pwrite(fd, &bad, 1, where), 1);
        assert_false(store_read(place.store, &at, &bytes, &place.err));
        bool in_header = where < (off_t)at.offset + STORE_RECORD_HEADER;
        assert_int_equal(place.err.code, in_header ? ERROR_IO : ERROR_DAMAGED);
        assert_int_equal(bytes.size, 0);
        assert_int_equal(pwrite(fd, &old, 1, where), 1);
    }
    close(fd);
    bytes.limit = 999;
    assert_false(store_read(place.store, &at, &bytes, &place.err));
    assert_int_equal(place.err.code, ERROR_LIMIT);
    at.offset = UINT64_MAX - 15;
    assert_false(store_read(place.store, &at, &bytes, &place.err));
    at.offset = 1 << 20;
    assert_false(store_read(place.store, &at, &bytes, &place.err));
    buffer_free(&bytes);
    helper_check(place.store, "2-1000");
    helper_remove(&place);
}

static void a_refused_record_goes_from_the_lane_to_the_quarantine(void **state)
{
    struct place place;
    struct buffer bytes;
    char path[HELPER_PATH];
    uint8_t data[50000], digest[HASH_SIZE], expected[HASH_SIZE];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    memset(data, 7, sizeof data);
    assert_true(store_record_begin(lane, &place.err));
    assert_true(store_record_write(lane, data, sizeof data, &place.err));
    store_record_digest(lane, digest);
    hash_of(data, sizeof data, expected);
    assert_memory_equal(digest, expected, HASH_SIZE);
    assert_false(store_record_write(lane, data, 1, &place.err)); // the data are whole
    store_record_quarantine(lane, "no image");
    helper_store(&place, lane, "2-1000");
    assert_true(store_lane_close(lane, &place.err));
    buffer_init(&bytes, sizeof data);
    helper_path(path, place.folder, "quarantine", 1, ".dcm");
    assert_true(file_read(path, &bytes, &place.err));
    assert_int_equal(bytes.size, sizeof data);
    assert_memory_equal(bytes.data, data, sizeof data);
    buffer_clear(&bytes);
    helper_path(path, place.folder, "quarantine", 1, ".txt");
    assert_true(file_read(path, &bytes, &place.err));
    assert_memory_equal(bytes.data, "no image\n", 9);
    buffer_free(&bytes);
    struct store_refused *refused;
    struct arena arena;
    size_t count;
    arena_init(&arena, 1 << 16);
    assert_ok(store_quarantine_list(place.store, &arena, &refused, &count, &place.err), place.err);
    assert_int_equal(count, 1);
    assert_int_equal(refused->number, 1);
    assert_int_equal(refused->size, sizeof data);
    assert_string_equal(refused->reason, "no image\n");
    assert_ok(store_quarantine_remove(place.store, 1, &place.err), place.err);
    assert_false(store_quarantine_remove(place.store, 1, &place.err));
    assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    assert_ok(store_quarantine_list(place.store, &arena, &refused, &count, &place.err), place.err);
    assert_int_equal(count, 0);
    arena_free(&arena);
    helper_check(place.store, "2-1000");
    helper_remove(&place);
}

static void quarantine_keeps_the_newest_hundred(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    for (int i = 0; i < 130; i++) {
        struct store_quarantine *file = store_quarantine_open(place.store);
        assert_non_null(file);
        store_quarantine_write(file, "refused", 7);
        store_quarantine_close(file, "why");
    }
    size_t kept;
    struct error err;
    assert_int_equal(helper_count(place.folder, "quarantine", ".dcm"), 100);
    assert_ok(store_quarantine_count(place.store, &kept, &err), err);
    assert_int_equal(kept, 100);
    assert_int_equal(helper_count(place.folder, "quarantine", ".txt"), 100);
    helper_remove(&place);
}

static void quarantine_stops_at_its_size_limits(void **state)
{
    struct place place;
    struct stat status;
    char path[HELPER_PATH];
    size_t piece = 20 << 20;
    void *data = calloc(1, piece);
    (void)state;
    helper_make(&place);
    for (int i = 0; i < 6; i++) {
        struct store_quarantine *file = store_quarantine_open(place.store);
        for (int k = 0; k < 4; k++)
            store_quarantine_write(file, data, piece);
        store_quarantine_close(file, "large");
    }
    free(data);
    helper_path(path, place.folder, "quarantine", 6, ".dcm");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 64 << 20);
    assert_int_equal(helper_count(place.folder, "quarantine", ".dcm"), 4);
    helper_remove(&place);
}

// [S2] Without the sync of the folder a power cut takes the lane's name away, and with it what was answered.
static void a_new_lane_s_name_is_synced_before_its_first_object_is_answered(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_fail_folder_syncs = 1;
    assert_false(helper_put(place.store, lane, "1-100", false, &place.err));
    assert_int_equal(helper_fail_folder_syncs, 0);
    assert_non_null(store_stopped(place.store));
    store_lane_close(lane, &place.err);
    helper_remove(&place);
}

static void close_lanes(struct place *place, int first, int count)
{
    char name[32];
    for (int i = first; i < first + count; i++) {
        struct store_lane *lane = helper_lane(place);
        snprintf(name, sizeof name, "%d-10", i);
        helper_store(place, lane, name);
        assert_true(store_lane_close(lane, &place->err));
    }
}

static int64_t listed(struct place *place)
{
    uint64_t *numbers;
    size_t count;
    assert_true(pack_listed(place->store, &numbers, &count, &place->err));
    free(numbers);
    return (int64_t)count;
}

static void make_waiting_long(struct place *place)
{
    helper_make(place);
    place->store->waiting.wait_ns = 3600 * CLOCK_SECOND;
}

static void wait_for_no_lane(const struct place *place)
{
    for (int i = 0; i < 500 && helper_count(place->folder, "lanes", ".lane") > 0; i++)
        clock_sleep_ns(10 * CLOCK_MS);
    assert_int_equal(helper_count(place->folder, "lanes", ".lane"), 0);
}

// Whatever comes meanwhile, and without any spare files.
static void packs_leave_the_lanes_within_a_second(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "100-10");
    close_lanes(&place, 1, 2);
    for (int i = 0; i < 500 && helper_count(place.folder, "lanes", ".lane") > 1; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d-10", 200 + i);
        helper_store(&place, lane, name);
        clock_sleep_ns(10 * CLOCK_MS);
    }
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 1);
    assert_int_equal(listed(&place), 2);
    assert_true(store_lane_close(lane, &place.err));
    wait_for_no_lane(&place);
    helper_remove(&place);
}

// Somebody tidies up what looks like a copy.
static void a_pack_whose_name_was_removed_while_it_waited_has_it_again(void **state)
{
    struct place place;
    char path[HELPER_PATH];
    (void)state;
    make_waiting_long(&place);
    close_lanes(&place, 1, 2);
    helper_path(path, place.folder, "packs", 1, ".pack");
    assert_int_equal(unlink(path), 0);
    assert_true(pack_settle(place.store, &place.err));
    assert_int_equal(helper_count(place.folder, "packs", ".pack"), 2);
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 0);
    helper_check(place.store, "1-10");
    helper_remove(&place);
}

// Another file has the name by now: the lane keeps its own.
static void a_pack_whose_name_is_another_file_s_stays_a_lane_and_is_told(void **state)
{
    struct place place;
    char path[HELPER_PATH], lane[HELPER_PATH];
    (void)state;
    helper_forget_alarms(NULL);
    make_waiting_long(&place);
    close_lanes(&place, 1, 2);
    helper_path(path, place.folder, "packs", 1, ".pack");
    helper_path(lane, place.folder, "lanes", 1, ".lane");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_true(pack_settle(place.store, &place.err));
    assert_int_equal(access(lane, F_OK), 0);
    assert_int_equal(helper_alarms(), 1);
    helper_check(place.store, "1-10");
    assert_int_equal(rmdir(path), 0);
    helper_remove(&place);
    helper_forget_alarms(NULL);
}

// One sync of packs/ and one of the rows is for many of them; until then each has both names and no row as a pack.
static void packs_leave_the_lanes_together(void **state)
{
    struct place place;
    (void)state;
    make_waiting_long(&place);
    close_lanes(&place, 1, PACKS_WAITING_MAX);
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), PACKS_WAITING_MAX);
    assert_int_equal(helper_count(place.folder, "packs", ".pack"), PACKS_WAITING_MAX);
    assert_int_equal(listed(&place), 0);
    close_lanes(&place, PACKS_WAITING_MAX + 1, 1);
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 1);
    assert_int_equal(listed(&place), PACKS_WAITING_MAX);
    helper_check(place.store, "1-10");
    helper_check(place.store, "17-10");
    store_close(place.store);
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 0);
    folder_delete(place.folder);
}

// No row as a pack is synced, so no name in lanes/ goes [A7c].
static void a_pack_whose_row_is_not_synced_stays_a_lane(void **state)
{
    struct place place;
    (void)state;
    make_waiting_long(&place);
    close_lanes(&place, 1, 2);
    helper_fail_wal_syncs = 1;
    assert_false(pack_settle(place.store, &place.err));
    assert_int_equal(helper_fail_wal_syncs, 0);
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 2);
    helper_remove(&place);
}

int test_lanes(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_of_all_sizes_come_back_from_lane_and_pack),
        cmocka_unit_test(the_bytes_are_as_the_page_says),
        cmocka_unit_test(a_dropped_record_leaves_no_trace),
        cmocka_unit_test(an_empty_lane_leaves_no_file),
        cmocka_unit_test(a_disk_full_in_a_record_drops_it_and_heals),
        cmocka_unit_test(below_the_low_water_mark_nothing_is_taken),
        cmocka_unit_test(an_object_that_reaches_the_low_water_mark_is_refused_there),
        cmocka_unit_test(after_a_failed_sync_storing_stops_and_the_record_is_void),
        cmocka_unit_test(a_new_lane_s_name_is_synced_before_its_first_object_is_answered),
        cmocka_unit_test(a_failed_tombstone_stops_storing_until_a_restart),
        cmocka_unit_test(a_descriptor_is_good_while_its_lane_becomes_a_pack),
        cmocka_unit_test(few_descriptors_are_kept_open),
        cmocka_unit_test(packs_leave_the_lanes_together),
        cmocka_unit_test(packs_leave_the_lanes_within_a_second),
        cmocka_unit_test(a_pack_whose_name_was_removed_while_it_waited_has_it_again),
        cmocka_unit_test(a_pack_whose_name_is_another_file_s_stays_a_lane_and_is_told),
        cmocka_unit_test(a_pack_whose_row_is_not_synced_stays_a_lane),
        cmocka_unit_test(damaged_bytes_are_told_and_never_given),
        cmocka_unit_test(a_refused_record_goes_from_the_lane_to_the_quarantine),
        cmocka_unit_test(quarantine_keeps_the_newest_hundred),
        cmocka_unit_test(quarantine_stops_at_its_size_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
