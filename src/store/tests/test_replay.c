#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "helper.h"
#include "store/format.h"

// The folder as a kill leaves it now, and, when `lose_rows`, as a power cut does that takes every transaction but the
// first.
static void crash(const struct place *from, struct place *to, bool lose_rows)
{
    helper_copy(from->folder, to->folder);
    if (lose_rows)
        helper_lose_rows(to->folder);
}

static uint64_t start(struct place *place)
{
    place->store = helper_open(place->folder, &place->err);
    if (!place->store)
        fail_msg("%s", place->err.message);
    return helper_replay(place->store);
}

static void order_of(struct store *store, char *out, size_t capacity)
{
    struct error err;
    bool row;
    size_t size = 0;
    struct database *db = store_read_begin(store, &err);
    struct sql *sql = sql_prepare(db, "SELECT subject FROM event ORDER BY number", &err);
    out[0] = '\0';
    while (sql_step(sql, &row, &err) && row)
        size += (size_t)snprintf(out + size, capacity - size, "%s ", sql_text(sql, 0));
    sql_done(sql);
    store_read_end(store, db);
}

static int64_t arrival_of(struct store *store, const char *name)
{
    struct error err;
    int64_t arrival = 0;
    bool found;
    struct database *db = store_read_begin(store, &err);
    assert_true(sql_get_int(db, &err, &arrival, &found, "SELECT arrival FROM object WHERE name = ?", "t", name));
    store_read_end(store, db);
    return arrival;
}

static void lost_rows_come_back_in_the_order_of_arrival(void **state)
{
    struct place place, after;
    uint64_t replayed;
    char order[200];
    (void)state;
    helper_make(&place);
    struct store_lane *a = store_lane_open(place.store, &place.err), *b = store_lane_open(place.store, &place.err);
    struct store_lane *packed = store_lane_open(place.store, &place.err);
    helper_store(&place, b, "1-1000");
    helper_store(&place, a, "2-1000");
    helper_clock_offset_s = -365 * 86400;
    helper_store(&place, packed, "3-1000");
    helper_store(&place, a, "4-1000");
    helper_clock_offset_s = 0;
    helper_store(&place, b, "5-1000");
    assert_true(store_lane_close(packed, &place.err));
    crash(&place, &after, true);
    assert_int_equal(start(&after), 5);
    order_of(after.store, order, sizeof order);
    assert_string_equal(order, "1-1000 2-1000 3-1000 4-1000 5-1000 ");
    assert_int_equal(helper_count(after.folder, "lanes", ".lane"), 0);
    assert_int_equal(helper_count(after.folder, "packs", ".pack"), 3);
    // New numbers are past all old ones.
    struct store_lane *next = store_lane_open(after.store, &after.err);
    helper_store(&after, next, "6-1000");
    struct store_place at;
    assert_true(helper_has(after.store, "6-1000", &at));
    assert_int_equal(at.container, 4);
    assert_int_equal(arrival_of(after.store, "6-1000"), 6);
    assert_true(store_lane_close(next, &after.err));
    uint64_t epoch = store_event_epoch(after.store);
    helper_reopen(&after, &replayed);
    assert_int_equal(replayed, 0);
    assert_int_equal(store_event_epoch(after.store), epoch);
    helper_check(after.store, "1-1000");
    helper_check(after.store, "3-1000");
    helper_remove(&after);
    assert_true(store_lane_close(a, &place.err));
    assert_true(store_lane_close(b, &place.err));
    helper_remove(&place);
}

static void a_kill_raises_the_epoch_and_a_clean_stop_does_not(void **state)
{
    struct place place, after;
    uint64_t replayed;
    (void)state;
    helper_make(&place);
    uint64_t epoch = store_event_epoch(place.store);
    crash(&place, &after, false);
    assert_int_equal(start(&after), 0);
    assert_int_equal(store_event_epoch(after.store), epoch + 1);
    helper_remove(&after);
    helper_reopen(&place, &replayed);
    assert_int_equal(store_event_epoch(place.store), epoch);
    helper_remove(&place);
}

static void refused_rows_put_the_record_down_for_good(void **state)
{
    struct place place, after;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = store_lane_open(place.store, &place.err);
    helper_store(&place, lane, "1-1000");
    assert_false(helper_put(place.store, lane, "2-1000", true, &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    helper_store(&place, lane, "3-1000");
    crash(&place, &after, true);
    assert_int_equal(start(&after), 2);
    assert_false(helper_has(after.store, "2-1000", NULL));
    helper_check(after.store, "3-1000");
    helper_remove(&after);
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

// What is put down in a later life stands beside what was put down before, and not over it.
static void what_was_put_down_stays_so_when_more_is_put_down_after_a_restart(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    for (uint64_t life = 1; life <= 3; life++) {
        char name[32];
        struct store_lane *lane = store_lane_open(place.store, &place.err);
        assert_ok(lane != NULL, place.err);
        snprintf(name, sizeof name, "%d-1000", (int)life);
        assert_false(helper_put(place.store, lane, name, true, &place.err));
        assert_true(store_lane_close(lane, &place.err));
        store_close(place.store);
        place.store = helper_open(place.folder, &place.err);
        assert_ok(place.store != NULL, place.err);
        assert_int_equal(tombstones_count(place.store), life);
    }
    helper_remove(&place);
}

// ---- what a power cut may leave at the end of a lane

struct tear {
    const char *what;
    int64_t at; // from the record's start
    bool cut;   // the file ends there; else `size` bytes are zeroed
    size_t size;
};

static void tear_file(const char *path, off_t record, const struct tear *tear)
{
    uint8_t zeros[5000] = {0};
    struct error err;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (tear->cut)
        assert_int_equal(ftruncate(fd, record + tear->at), 0);
    else
        assert_true(file_pwrite(fd, zeros, tear->size, (uint64_t)(record + tear->at), &err));
    close(fd);
}

static void a_torn_record_ends_the_lane_and_costs_no_other(void **state)
{
    static const struct tear tears[] = {
        {"header dropped", 0, false, 128},
        {"header half", 64, false, 64},
        {"data dropped at the start", 128, false, 4096},
        {"data dropped at the end", 9000, false, 1000},
        {"meta dropped", 128 + 10000, false, 7},
        {"cut before the header", 0, true, 0},
        {"cut in the header", 100, true, 0},
        {"cut in the data", 5000, true, 0},
        {"cut in the meta", 128 + 10003, true, 0},
    };
    struct place place;
    struct store_place at;
    char path[HELPER_PATH];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = store_lane_open(place.store, &place.err);
    helper_store(&place, lane, "1-1000");
    helper_store(&place, lane, "2-10000");
    assert_true(helper_has(place.store, "2-10000", &at));
    for (size_t i = 0; i < sizeof tears / sizeof tears[0]; i++) {
        struct place after;
        uint64_t count, offset, replayed;
        crash(&place, &after, true);
        helper_path(path, after.folder, "lanes", 1, ".lane");
        tear_file(path, (off_t)at.offset, &tears[i]);
        if (start(&after) != 1)
            fail_msg("%s", tears[i].what);
        helper_check(after.store, "1-1000");
        helper_path(path, after.folder, "packs", 1, ".pack");
        int fd = open(path, O_RDONLY);
        if (!format_index_check(fd, &count, &offset, &after.err))
            fail_msg("%s: %s", tears[i].what, after.err.message);
        assert_int_equal(count, 1);
        assert_int_equal(offset, at.offset);
        close(fd);
        helper_reopen(&after, &replayed);
        assert_int_equal(replayed, 0);
        helper_remove(&after);
    }
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

static void damage_in_the_middle_costs_only_the_damaged(void **state)
{
    static const struct tear tears[] = {{"header", 0, false, 128}, {"data", 5000, false, 10}, {"both", 0, false, 5000}};
    struct place place;
    struct store_place at;
    char path[HELPER_PATH];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = store_lane_open(place.store, &place.err);
    helper_store(&place, lane, "1-1000");
    helper_store(&place, lane, "2-10000");
    helper_store(&place, lane, "3-1000");
    assert_true(helper_has(place.store, "2-10000", &at));
    for (size_t i = 0; i < 3; i++) {
        struct place after;
        crash(&place, &after, true);
        helper_path(path, after.folder, "lanes", 1, ".lane");
        tear_file(path, (off_t)at.offset, &tears[i]);
        if (start(&after) != 2)
            fail_msg("%s", tears[i].what);
        helper_check(after.store, "1-1000");
        helper_check(after.store, "3-1000");
        helper_remove(&after);
    }
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

static void a_damaged_file_header_costs_nothing(void **state)
{
    struct place place, after;
    char path[HELPER_PATH];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = store_lane_open(place.store, &place.err);
    helper_store(&place, lane, "1-1000");
    crash(&place, &after, false);
    helper_path(path, after.folder, "lanes", 1, ".lane");
    tear_file(path, 0, &(struct tear){"file header", 0, false, 64});
    assert_int_equal(start(&after), 0);
    helper_check(after.store, "1-1000");
    helper_remove(&after);
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

// A sender may put a copy of another lane, headers and all, into an object; torn, the object's inside must not be taken
// for records.
static void records_inside_an_object_are_not_records(void **state)
{
    struct place place, after;
    struct store_record record;
    struct buffer bytes;
    char path[HELPER_PATH];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = store_lane_open(place.store, &place.err);
    helper_store(&place, lane, "1-1000");
    buffer_init(&bytes, 1 << 20);
    helper_path(path, place.folder, "lanes", 1, ".lane");
    assert_true(file_read(path, &bytes, &place.err));
    assert_true(store_record_begin(lane, &place.err) && store_record_write(lane, bytes.data, bytes.size, &place.err) &&
                store_record_seal(lane, "copy", 4, &record, &place.err));
    crash(&place, &after, true);
    helper_path(path, after.folder, "lanes", 1, ".lane");
    tear_file(path, (off_t)record.place.offset, &(struct tear){"header", 0, false, 128});
    assert_int_equal(start(&after), 1);
    helper_remove(&after);
    buffer_free(&bytes);
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

static void a_lane_half_moved_is_moved_again(void **state)
{
    struct place place, after;
    char lane_path[HELPER_PATH], pack_path[HELPER_PATH];
    uint64_t replayed;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = store_lane_open(place.store, &place.err);
    helper_store(&place, lane, "1-1000");
    crash(&place, &after, false);
    helper_path(lane_path, after.folder, "lanes", 1, ".lane");
    helper_path(pack_path, after.folder, "packs", 1, ".pack");
    assert_int_equal(link(lane_path, pack_path), 0);
    assert_int_equal(start(&after), 0);
    assert_int_equal(access(lane_path, F_OK), -1);
    helper_check(after.store, "1-1000");
    helper_reopen(&after, &replayed);
    helper_check(after.store, "1-1000");
    helper_remove(&after);
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

// What a first copy of a running server's folder, and a second one over it, leave as lanes/0000000001.lane beside the
// whole pack.
static const struct {
    const char *what;
    off_t size;  // of the lane; 0: as it is, -1: all of the pack
    off_t other; // a byte that is another one; 0: none
    bool is_taken;
} copies[] = {
    {"the same twice", -1, 0, true},
    {"begun", STORE_FILE_HEADER, 0, true},
    {"cut within an object", 2000, 0, true},
    {"cut behind an object's header", STORE_FILE_HEADER + STORE_RECORD_HEADER + 10, 0, true},
    {"another byte in an object", -1, STORE_FILE_HEADER + STORE_RECORD_HEADER + 100, false},
    {"another byte in its end", -1, 5000, true},
};

static void copy_lane(const struct place *place, off_t size, off_t other)
{
    char lane[HELPER_PATH], pack[HELPER_PATH];
    struct buffer bytes;
    struct error err;
    helper_path(lane, place->folder, "lanes", 1, ".lane");
    helper_path(pack, place->folder, "packs", 1, ".pack");
    buffer_init(&bytes, 1 << 20);
    assert_true(file_read(pack, &bytes, &err));
    if (other > 0)
        bytes.data[other < (off_t)bytes.size ? (size_t)other : bytes.size - 20] ^= 1;
    unlink(lane);
    int fd = open(lane, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0 && file_pwrite(fd, bytes.data, size < 0 ? bytes.size : (size_t)size, 0, &err));
    close(fd);
    buffer_free(&bytes);
}

static void of_a_lane_and_a_pack_that_are_two_files_the_whole_pack_is_taken_where_it_has_all(void **state)
{
    (void)state;
    helper_forget_alarms(NULL);
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
        struct place place;
        helper_make(&place);
        struct store_lane *lane = store_lane_open(place.store, &place.err);
        for (int object = 1; object <= 4; object++) {
            char name[32];
            snprintf(name, sizeof name, "%d-1000", object);
            helper_store(&place, lane, name);
        }
        assert_true(store_lane_close(lane, &place.err));
        store_close(place.store);
        copy_lane(&place, copies[i].size, copies[i].other);
        int synced = helper_pack_syncs;
        place.store = helper_open(place.folder, &place.err);
        if ((place.store != NULL) != copies[i].is_taken)
            fail_msg("%s: %s", copies[i].what, place.store ? "taken" : place.err.message);
        if (!place.store) {
            assert_non_null(strstr(place.err.message, "lanes/0000000001.lane and packs/0000000001.pack are two files"));
            assert_non_null(strstr(place.err.message, "the pack is whole"));
            folder_delete(place.folder);
            continue;
        }
        assert_int_equal(helper_pack_syncs, synced + 1); // a copy may be in the page cache only
        assert_int_equal(helper_replay(place.store), 0);
        for (int object = 1; object <= 4; object++) {
            char name[32];
            snprintf(name, sizeof name, "%d-1000", object);
            helper_check(place.store, name);
        }
        assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 0);
        assert_int_equal(helper_count(place.folder, "lanes", ".lane.aside"), copies[i].other > 0);
        assert_int_equal(helper_alarms(), 0);
        helper_remove(&place);
    }
}

// Rows name an object behind its end: a start says so, cuts nothing off, and does not make a pack of it.
static void a_lane_that_ends_at_an_object_while_rows_name_more_is_told(void **state)
{
    struct place place, after;
    struct store_place third;
    char path[HELPER_PATH];
    (void)state;
    helper_forget_alarms(NULL);
    helper_make(&place);
    struct store_lane *lane = store_lane_open(place.store, &place.err);
    helper_store(&place, lane, "1-1000");
    helper_store(&place, lane, "2-1000");
    helper_store(&place, lane, "3-1000");
    assert_true(helper_has(place.store, "3-1000", &third));
    crash(&place, &after, false);
    helper_path(path, after.folder, "lanes", 1, ".lane");
    assert_int_equal(truncate(path, (off_t)third.offset), 0);
    for (int starts = 0; starts < 2; starts++) {
        start(&after);
        assert_int_equal(helper_alarms(), 1);
        helper_check(after.store, "2-1000");
        assert_int_equal(helper_count(after.folder, "lanes", ".lane"), 1);
        store_close(after.store);
        helper_forget_alarms(NULL);
    }
    folder_delete(after.folder);
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

// Any bytes: no crash, and what is handed over is an object that was put in, whole.
static void mutated_lanes_give_only_true_records(void **state)
{
    struct place place, clean;
    struct buffer original;
    char path[HELPER_PATH], source[HELPER_PATH];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = store_lane_open(place.store, &place.err);
    helper_store(&place, lane, "1-300");
    helper_store(&place, lane, "2-2000");
    helper_store(&place, lane, "3-0");
    helper_store(&place, lane, "4-500");
    buffer_init(&original, 1 << 20);
    helper_path(source, place.folder, "lanes", 1, ".lane");
    assert_true(file_read(source, &original, &place.err));
    helper_make(&clean);
    memcpy(clean.store->id, place.store->id, sizeof clean.store->id); // or the lane is another folder's
    helper_path(path, clean.folder, "lanes", 1, ".lane");
    srand(1);
    for (int round = 0; round < 300; round++) {
        uint64_t count;
        uint8_t *bytes = malloc(original.size);
        size_t size = rand() % 4 ? original.size : (size_t)rand() % original.size;
        memcpy(bytes, original.data, original.size);
        for (int n = rand() % 6; n > 0 && size > 0; n--)
            bytes[(size_t)rand() % size] = (uint8_t)rand();
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_true(file_pwrite(fd, bytes, size, 0, &clean.err));
        close(fd);
        free(bytes);
        count = helper_replay(clean.store);
        assert_int_equal(helper_objects(clean.store), count);
        static const char *const names[] = {"1-300", "2-2000", "3-0", "4-500"};
        for (int i = 0; i < 4; i++)
            if (helper_has(clean.store, names[i], NULL))
                helper_check(clean.store, names[i]);
        store_close(clean.store);
        folder_delete(clean.folder);
        helper_make(&clean);
        memcpy(clean.store->id, place.store->id, sizeof clean.store->id);
        helper_path(path, clean.folder, "lanes", 1, ".lane");
    }
    buffer_free(&original);
    helper_remove(&clean);
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

// After a kill the records may be in the page cache only: a power cut right after the start must not leave rows without
// their records.
static void rows_made_at_a_start_are_of_synced_records(void **state)
{
    struct place place, after;
    uint64_t count;
    (void)state;
    helper_make(&place);
    struct store_lane *lane = store_lane_open(place.store, &place.err);
    helper_store(&place, lane, "1-1000");
    crash(&place, &after, true);
    after.store = helper_open(after.folder, &after.err);
    assert_non_null(after.store);
    helper_fail_lane_syncs = 1;
    assert_false(helper_try_replay(after.store, &count, &after.err));
    assert_int_equal(helper_objects(after.store), 0);
    assert_int_equal(helper_fail_lane_syncs, 0);
    store_close(after.store);
    assert_int_equal(start(&after), 1);
    helper_check(after.store, "1-1000");
    helper_remove(&after);
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
}

static void flip(const char *path, uint64_t offset)
{
    uint8_t byte;
    struct error err;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && file_pread(fd, &byte, 1, offset, &err));
    byte ^= 1;
    assert_true(file_pwrite(fd, &byte, 1, offset, &err));
    close(fd);
}

// It had rows, so no power cut tore it: it is not cut off as if one had.
static void damage_of_the_last_record_cuts_nothing_off(void **state)
{
    static const char *const names[] = {"1-1000", "2-1000"};
    (void)state;
    for (int objects = 1; objects <= 2; objects++) {
        struct place place, after;
        struct store_place last;
        char path[HELPER_PATH];
        helper_make(&place);
        struct store_lane *lane = store_lane_open(place.store, &place.err);
        for (int i = 0; i < objects; i++)
            helper_store(&place, lane, names[i]);
        assert_true(helper_has(place.store, names[objects - 1], &last));
        crash(&place, &after, false);
        helper_path(path, after.folder, "lanes", last.container, ".lane");
        flip(path, last.offset + 20);
        assert_int_equal(start(&after), 0);
        for (int i = 0; i + 1 < objects; i++)
            helper_check(after.store, names[i]);
        store_close(after.store);
        flip(path, last.offset + 20); // as a person would who mends it
        assert_int_equal(start(&after), 0);
        helper_check(after.store, names[objects - 1]);
        assert_int_equal(helper_count(after.folder, "packs", ".pack"), 1);
        helper_remove(&after);
        assert_true(store_lane_close(lane, &place.err));
        helper_remove(&place);
    }
}

int test_replay(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_rows_come_back_in_the_order_of_arrival),
        cmocka_unit_test(a_kill_raises_the_epoch_and_a_clean_stop_does_not),
        cmocka_unit_test(refused_rows_put_the_record_down_for_good),
        cmocka_unit_test(what_was_put_down_stays_so_when_more_is_put_down_after_a_restart),
        cmocka_unit_test(a_torn_record_ends_the_lane_and_costs_no_other),
        cmocka_unit_test(damage_in_the_middle_costs_only_the_damaged),
        cmocka_unit_test(damage_of_the_last_record_cuts_nothing_off),
        cmocka_unit_test(rows_made_at_a_start_are_of_synced_records),
        cmocka_unit_test(a_damaged_file_header_costs_nothing),
        cmocka_unit_test(records_inside_an_object_are_not_records),
        cmocka_unit_test(a_lane_half_moved_is_moved_again),
        cmocka_unit_test(of_a_lane_and_a_pack_that_are_two_files_the_whole_pack_is_taken_where_it_has_all),
        cmocka_unit_test(a_lane_that_ends_at_an_object_while_rows_name_more_is_told),
        cmocka_unit_test(mutated_lanes_give_only_true_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
