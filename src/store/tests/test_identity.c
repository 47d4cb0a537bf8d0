// What must agree at a start: database, lanes and packs, anchor (docs/store-format.md, "Identity" and "Rebuild").
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "helper.h"
#include "store/pack.h"

// ---- helpers

// The folder's part stands on another file system than the others.
static void move_elsewhere(const char *folder, const char *part, char elsewhere[HELPER_PATH])
{
    char path[HELPER_PATH];
    struct stat here, there;
    snprintf(path, sizeof path, "%.200s/%s", folder, part);
    snprintf(elsewhere, HELPER_PATH, "/dev/shm/hilum-test-XXXXXX");
    assert_non_null(mkdtemp(elsewhere));
    assert_int_equal(stat(path, &here), 0);
    assert_int_equal(stat(elsewhere, &there), 0);
    assert_true(here.st_dev != there.st_dev);
    helper_copy_into(path, elsewhere);
    folder_delete(path);
    assert_int_equal(symlink(elsewhere, path), 0);
}

// The text of an alarm that stands, which the test fails without.
static const char *alarm_of(enum alarm_kind kind, const char *subject)
{
    static struct alarm all[ALARMS_MAX];
    uint64_t unlisted;
    size_t count = alarm_list(all, &unlisted);
    for (size_t i = 0; i < count; i++)
        if (all[i].kind == kind && strcmp(all[i].subject, subject) == 0)
            return all[i].text;
    fail_msg("no alarm about %s", subject);
    return "";
}

static void remove_file(const char *folder, const char *name)
{
    char path[HELPER_PATH];
    snprintf(path, sizeof path, "%.200s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static void remove_database_logs(const char *folder)
{
    remove_file(folder, "hilum.db-wal");
    remove_file(folder, "hilum.db-shm");
}

static void copy_over(const char *from, const char *to, const char *name)
{
    char source[HELPER_PATH], target[HELPER_PATH];
    size_t size;
    snprintf(source, sizeof source, "%.200s/%s", from, name);
    snprintf(target, sizeof target, "%.200s/%s", to, name);
    void *bytes = load_file(source, &size);
    save_file(target, bytes, size);
    free(bytes);
}

// A closed store with two packs of one object each and a tombstone.
static void make_closed(struct place *place)
{
    helper_make(place);
    for (int i = 1; i <= 2; i++) {
        char name[16];
        struct store_lane *lane = helper_lane(place);
        snprintf(name, sizeof name, "%d-1000", i);
        helper_store(place, lane, name);
        if (i == 2)
            assert_false(helper_put(place->store, lane, "9-50", true, &place->err));
        assert_true(store_lane_close(lane, &place->err));
    }
    store_close(place->store);
}

static void start(struct place *place)
{
    place->store = helper_open(place->folder, &place->err);
    if (!place->store)
        fail_msg("%s", place->err.message);
    helper_replay(place->store);
}

static void starts_without_alarm(struct place *place)
{
    start(place);
    assert_int_equal(helper_alarms(), 0);
    helper_remove(place);
}

static void does_not_start(struct place *place)
{
    place->store = helper_open(place->folder, &place->err);
    assert_null(place->store);
    assert_int_equal(place->err.code, ERROR_CONFLICT);
    assert_non_null(strstr(place->err.message, "hilum rebuild"));
}

static struct store *open_rebuild(const char *folder, enum store_rebuild rebuild, struct error *err)
{
    return store_open(&(struct store_options){.folder = folder, .rebuild = rebuild}, err);
}

static void rebuild(struct place *place, enum store_rebuild how)
{
    static const char table[] = "CREATE TABLE object(name TEXT PRIMARY KEY, container INTEGER NOT NULL, offset INTEGER "
                                "NOT NULL, arrival INTEGER NOT NULL) STRICT";
    static const char *const schema[] = {table, NULL};
    static const struct store_migration migration = {.room = "test", .steps = schema};
    place->store = open_rebuild(place->folder, how, &place->err);
    assert_ok(place->store != NULL, place->err);
    assert_ok(store_migrate(place->store, &migration, &place->err), place->err);
}

// ---- the slot

static void a_slot_is_read_as_it_was_written_and_no_other_way(void **state)
{
    struct anchored in = {.generation = 7, .epoch = 8, .event = 9, .container = 10, .arrival = 11, .tombstones = 12};
    struct anchored out = {0};
    uint8_t bytes[ANCHOR_SIZE];
    (void)state;
    memset(in.id, 0xA5, sizeof in.id);
    in.audit = (struct store_audit_head){.segment = 13, .line = 14, .value = {15}, .ahead = 16, .unwritten = 1};
    anchor_bytes(bytes, &in);
    assert_true(anchor_parse(bytes, &out));
    assert_memory_equal(&in, &out, sizeof in);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 1;
        assert_false(anchor_parse(bytes, &out));
        bytes[i] ^= 1;
    }
}

static void an_anchored_line_is_there_at_the_next_start_and_for_others(void **state)
{
    struct place place;
    struct store_audit_head head = {.segment = 3, .line = 4, .value = {5}}, found;
    (void)state;
    helper_make(&place);
    store_anchored_audit(place.store, &found);
    assert_int_equal(found.segment, 0);
    assert_true(store_anchor(place.store, &head, &place.err));
    assert_true(store_anchored_audit_of(place.folder, &found, &place.err)); // while it is open
    assert_memory_equal(&head, &found, sizeof head);
    uint64_t replayed;
    helper_reopen(&place, &replayed);
    store_anchored_audit(place.store, &found);
    assert_memory_equal(&head, &found, sizeof head);
    helper_remove(&place);
}

// One of an earlier program says nothing there.
static void how_far_the_trail_may_go_on_is_known_only_where_the_anchor_says_so(void **state)
{
    struct anchored in = {.generation = 1}, out;
    uint8_t bytes[ANCHOR_SIZE];
    static const uint8_t zeros[8];
    (void)state;
    in.audit.ahead = STORE_AHEAD_UNKNOWN;
    anchor_bytes(bytes, &in);
    assert_memory_equal(bytes + 120, zeros, sizeof zeros);
    assert_true(anchor_parse(bytes, &out));
    assert_true(out.audit.ahead == STORE_AHEAD_UNKNOWN);
}

// The other one holds what was put down before.
static void a_torn_slot_costs_one_step_and_no_start(void **state)
{
    struct place place;
    struct store_audit_head head = {.segment = 1, .line = 1}, found;
    char path[HELPER_PATH];
    (void)state;
    helper_make(&place);
    assert_true(store_anchor(place.store, &head, &place.err));
    uint64_t generation = place.store->anchor.last.generation;
    head.line = 2;
    assert_true(store_anchor(place.store, &head, &place.err));
    snprintf(path, sizeof path, "%.200s/anchor", place.folder);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "torn", 4, (off_t)((generation + 1) % 2) * ANCHOR_SLOT + 60), 4);
    close(fd);
    assert_true(store_anchored_audit_of(place.folder, &found, &place.err));
    assert_int_equal(found.line, 1);
    helper_remove(&place);
}

// ---- the database

static void a_folder_without_its_database_does_not_start(void **state)
{
    static const char *const gone[][3] = {{"hilum.db", NULL, NULL}, {"hilum.db", "anchor", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        struct place place;
        struct stat status;
        char path[HELPER_PATH];
        make_closed(&place);
        for (int j = 0; gone[i][j]; j++)
            remove_file(place.folder, gone[i][j]);
        does_not_start(&place);
        snprintf(path, sizeof path, "%.200s/hilum.db", place.folder);
        assert_int_not_equal(stat(path, &status), 0); // and none was made
        save_file(path, "", 0);
        does_not_start(&place);
        folder_delete(place.folder);
    }
    struct place empty; // rules and peers were in it, if no objects
    helper_make(&empty);
    store_close(empty.store);
    remove_file(empty.folder, "hilum.db");
    does_not_start(&empty);
    folder_delete(empty.folder);
}

static void the_database_of_another_folder_does_not_start(void **state)
{
    (void)state;
    for (int with_anchor = 0; with_anchor < 2; with_anchor++) {
        struct place place, other;
        make_closed(&place);
        make_closed(&other);
        copy_over(other.folder, place.folder, "hilum.db");
        if (!with_anchor)
            remove_file(place.folder, "anchor");
        does_not_start(&place);
        folder_delete(place.folder);
        folder_delete(other.folder);
    }
}

// Not even where an empty folder of the same age gave both: the objects here would come in as if they were new.
static void a_database_and_an_anchor_of_another_folder_do_not_start(void **state)
{
    (void)state;
    for (int empty = 0; empty < 2; empty++) {
        struct place place, other;
        make_closed(&place);
        if (empty) {
            helper_make(&other);
            store_close(other.store);
        } else
            make_closed(&other);
        copy_over(other.folder, place.folder, "hilum.db");
        copy_over(other.folder, place.folder, "anchor");
        does_not_start(&place);
        assert_non_null(strstr(place.err.message, "its lanes and packs of another"));
        rebuild(&place, STORE_REBUILD);
        assert_int_equal(helper_replay(place.store), 2);
        helper_check(place.store, "1-1000");
        assert_true(store_rebuild_done(place.store, 0, &place.err));
        assert_true(store_rebuild_confirm(place.store, &place.err));
        store_close(place.store);
        starts_without_alarm(&place);
        folder_delete(other.folder);
    }
}

static void the_anchor_of_another_folder_does_not_start_and_is_removed_by_hand(void **state)
{
    struct place place, other;
    (void)state;
    make_closed(&place);
    make_closed(&other);
    copy_over(other.folder, place.folder, "anchor");
    place.store = helper_open(place.folder, &place.err);
    assert_null(place.store);
    assert_non_null(strstr(place.err.message, "its anchor is that of another data folder"));
    place.store = open_rebuild(place.folder, STORE_REBUILD, &place.err);
    assert_null(place.store); // the database is sound
    assert_non_null(strstr(place.err.message, "--replace"));
    remove_file(place.folder, "anchor");
    start(&place);
    helper_check(place.store, "1-1000");
    helper_remove(&place);
    folder_delete(other.folder);
}

static void lanes_and_packs_on_two_file_systems_do_not_start(void **state)
{
    struct place place;
    char packs[HELPER_PATH], lanes[HELPER_PATH];
    (void)state;
    make_closed(&place);
    move_elsewhere(place.folder, "packs", packs);
    place.store = helper_open(place.folder, &place.err);
    assert_null(place.store);
    assert_non_null(strstr(place.err.message, "/lanes can have a second name in /dev/shm/"));
    move_elsewhere(place.folder, "lanes", lanes); // both on one again
    start(&place);
    assert_int_equal(helper_alarms(), 0);
    helper_check(place.store, "1-1000");
    helper_remove(&place);
    folder_delete(packs);
    folder_delete(lanes);
}

static void a_lane_that_cannot_be_closed_is_told(void **state)
{
    struct place place;
    char path[HELPER_PATH];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    helper_path(path, place.folder, "packs", 1, ".pack");
    save_file(path, "no pack", 7); // its name is taken
    assert_false(store_lane_close(lane, &place.err));
    assert_non_null(strstr(alarm_of(ALARM_CONTAINER, "lanes"), "0000000001.lane"));
    assert_int_equal(unlink(path), 0);
    store_close(place.store);
    helper_forget_alarms(NULL);
    start(&place);
    assert_int_equal(helper_count(place.folder, "packs", ".pack"), 1);
    helper_check(place.store, "1-1000");
    helper_remove(&place);
}

static void a_folder_whose_lock_was_removed_is_in_use_still(void **state)
{
    struct place place;
    struct error err;
    (void)state;
    helper_make(&place);
    for (int removed = 0; removed < 2; removed++) {
        assert_null(helper_open(place.folder, &err));
        assert_int_equal(err.code, ERROR_CONFLICT);
        assert_non_null(strstr(err.message, removed ? "whose number went with the file lock" : "is in use by process"));
        if (!removed)
            remove_file(place.folder, "lock");
    }
    store_close(place.store);
    starts_without_alarm(&place);
}

static void a_database_that_cannot_be_read_does_not_start(void **state)
{
    struct place place;
    char path[HELPER_PATH], noise[4096];
    (void)state;
    make_closed(&place);
    memset(noise, 'x', sizeof noise);
    snprintf(path, sizeof path, "%.200s/hilum.db", place.folder);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, noise, sizeof noise, 0), sizeof noise);
    close(fd);
    place.store = helper_open(place.folder, &place.err);
    assert_null(place.store);
    assert_non_null(strstr(place.err.message, "hilum rebuild"));
    folder_delete(place.folder);
}

static void an_older_database_is_told_and_its_epoch_comes_never_again(void **state)
{
    struct place place;
    char older[HELPER_PATH];
    (void)state;
    make_closed(&place);
    helper_copy(place.folder, older);
    start(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "3-1000");
    assert_true(store_lane_close(lane, &place.err));
    uint64_t epoch = store_event_epoch(place.store);
    store_close(place.store);
    assert_int_equal(helper_alarms(), 0);
    copy_over(older, place.folder, "hilum.db");
    start(&place);
    const char *told = alarm_of(ALARM_DATABASE, "hilum.db's age");
    assert_non_null(strstr(told, "older copy"));
    assert_non_null(strstr(told, "hilum audit acknowledge --by NAME"));
    assert_true(store_event_epoch(place.store) > epoch);
    helper_check(place.store, "3-1000"); // of the pack that it does not know
    helper_forget_alarms(NULL);
    uint64_t replayed;
    helper_reopen(&place, &replayed);
    assert_int_equal(helper_alarms(), 0);
    helper_remove(&place);
    folder_delete(older);
}

// The anchor of the same day knows of nothing newer: the packs and lanes do.
static void an_older_database_with_an_older_anchor_is_told_by_what_is_newer(void **state)
{
    (void)state;
    for (int killed = 0; killed < 2; killed++) {
        struct place place;
        char older[HELPER_PATH], newer[HELPER_PATH];
        make_closed(&place);
        helper_copy(place.folder, older);
        start(&place);
        struct store_lane *lane = helper_lane(&place);
        helper_store(&place, lane, "3-1000");
        uint64_t epoch = store_event_epoch(place.store);
        helper_copy(place.folder, newer); // with a lane, as a kill leaves it
        assert_true(store_lane_close(lane, &place.err));
        store_close(place.store);
        assert_int_equal(helper_alarms(), 0);
        if (killed) {
            folder_delete(place.folder);
            memcpy(place.folder, newer, sizeof newer);
            remove_database_logs(place.folder);
        } else
            folder_delete(newer);
        copy_over(older, place.folder, "hilum.db");
        copy_over(older, place.folder, "anchor");
        start(&place);
        assert_non_null(strstr(alarm_of(ALARM_DATABASE, "hilum.db's age"), "judged and told since"));
        assert_int_equal(helper_alarms(), 1);
        assert_true(store_event_epoch(place.store) > epoch);
        helper_check(place.store, "3-1000");
        store_close(place.store);
        helper_forget_alarms(NULL);
        starts_without_alarm(&place);
        folder_delete(older);
    }
}

static void store_one(struct place *place, const char *name)
{
    struct store_lane *lane = helper_lane(place);
    helper_store(place, lane, name);
    assert_true(store_lane_close(lane, &place->err));
}

// Database and anchor of a server that ran are of no clean stop: the packs that were listed since tell it.
static void an_older_database_of_a_running_server_is_told_by_a_pack_that_it_does_not_know(void **state)
{
    static const char *const parts[] = {"hilum.db", "hilum.db-wal", "anchor"};
    (void)state;
    for (int killed = 0; killed < 2; killed++) {
        struct place place;
        char older[HELPER_PATH], newer[HELPER_PATH];
        make_closed(&place);
        start(&place);
        store_one(&place, "3-1000");
        helper_copy(place.folder, older);
        store_one(&place, "4-1000");
        assert_true(pack_settle(place.store, &place.err));
        helper_copy(place.folder, newer); // as a kill leaves it: with no lane
        store_close(place.store);
        assert_int_equal(helper_alarms(), 0);
        if (killed) {
            folder_delete(place.folder);
            memcpy(place.folder, newer, sizeof newer);
            remove_database_logs(place.folder);
        } else
            folder_delete(newer);
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            copy_over(older, place.folder, parts[i]);
        start(&place);
        assert_non_null(strstr(alarm_of(ALARM_DATABASE, "hilum.db's age"), "it does not know of pack 4"));
        assert_int_equal(helper_alarms(), 1);
        helper_check(place.store, "4-1000");
        store_close(place.store);
        helper_forget_alarms(NULL);
        starts_without_alarm(&place);
        folder_delete(older);
    }
}

// A copy of an association's middle: it knows the lane, and that this is a pack by now it does not.
static void an_older_database_that_knows_a_lane_of_what_is_a_pack_is_told(void **state)
{
    struct place place;
    (void)state;
    make_closed(&place);
    helper_sql(place.folder, "UPDATE container SET packed = 0 WHERE number = 2; UPDATE store_state SET clean = 0");
    start(&place);
    assert_non_null(strstr(alarm_of(ALARM_DATABASE, "hilum.db's age"), "it does not know of pack 2"));
    store_close(place.store);
    helper_forget_alarms(NULL);
    starts_without_alarm(&place);
}

// Somebody else may know of something newer: before the replay, so that no epoch comes twice, whatever came in between.
static void an_older_database_that_somebody_else_knows_of_gets_an_epoch_of_now(void **state)
{
    struct place place;
    (void)state;
    make_closed(&place);
    helper_sql(place.folder, "UPDATE store_state SET epoch = 7");
    remove_file(place.folder, "anchor");
    place.store = helper_open(place.folder, &place.err);
    assert_ok(place.store != NULL, place.err);
    store_tell_older(place.store, "the audit trail says so");
    int64_t before = clock_now_ns() / CLOCK_SECOND;
    helper_replay(place.store);
    assert_true((int64_t)store_event_epoch(place.store) >= before);
    assert_non_null(strstr(alarm_of(ALARM_DATABASE, "hilum.db's age"), "the audit trail says so"));
    store_alarm_older_ends();
    assert_int_equal(helper_alarms(), 1); // that of the anchor
    helper_remove(&place);
}

// What rows do not name after a kill is not older by that: the lane's own row came before it.
static void a_kill_with_a_lane_that_has_no_rows_is_no_older_database(void **state)
{
    struct place place, killed;
    (void)state;
    make_closed(&place);
    start(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "3-1000");
    helper_copy(place.folder, killed.folder);
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
    helper_sql(killed.folder, "DELETE FROM object WHERE name = '3-1000'");
    start(&killed);
    assert_int_equal(helper_alarms(), 0);
    helper_check(killed.store, "3-1000");
    helper_remove(&killed);
}

// Number of the first page of a table or index.
static off_t root_of(const char *path, const char *name)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT rootpage FROM sqlite_schema WHERE name = ?", -1, &statement, NULL),
                     SQLITE_OK);
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    off_t page = (off_t)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return page;
}

static void overwritten_pages_are_found_in_the_background(void **state)
{
    struct place place;
    char path[HELPER_PATH], noise[4096];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place);
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d-10", i);
        helper_store(&place, lane, name);
    }
    assert_true(store_lane_close(lane, &place.err));
    store_close(place.store);
    start(&place);
    assert_true(store_check_start(place.store, &place.err));
    check_stop(place.store);
    store_close(place.store);
    assert_int_equal(helper_alarms(), 0);
    memset(noise, 0, sizeof noise);
    snprintf(path, sizeof path, "%.200s/hilum.db", place.folder);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, noise, sizeof noise, (root_of(path, "sqlite_autoindex_object_1") - 1) * 4096), 4096);
    close(fd);
    place.store = helper_open(place.folder, &place.err);
    assert_ok(place.store != NULL, place.err);
    assert_true(store_check_start(place.store, &place.err));
    for (int i = 0; i < 500 && helper_alarms() == 0; i++)
        clock_sleep_ns(10 * CLOCK_MS);
    assert_non_null(strstr(alarm_of(ALARM_DATABASE, "hilum.db"), "hilum rebuild"));
    helper_remove(&place);
}

// ---- the anchor

static void a_removed_anchor_is_told_and_made_again(void **state)
{
    struct place place;
    (void)state;
    make_closed(&place);
    remove_file(place.folder, "anchor");
    start(&place);
    assert_non_null(strstr(alarm_of(ALARM_DATABASE, "anchor"), "removed"));
    store_close(place.store);
    helper_forget_alarms(NULL);
    starts_without_alarm(&place);
}

static void an_older_anchor_is_told(void **state)
{
    struct place place;
    char older[HELPER_PATH];
    (void)state;
    make_closed(&place);
    helper_copy(place.folder, older);
    start(&place);
    store_close(place.store);
    copy_over(older, place.folder, "anchor");
    start(&place);
    assert_non_null(strstr(alarm_of(ALARM_DATABASE, "anchor"), "older copy"));
    store_close(place.store);
    helper_forget_alarms(NULL);
    starts_without_alarm(&place);
    folder_delete(older);
}

static void a_folder_of_an_earlier_program_is_taken_as_it_is(void **state)
{
    struct place place;
    struct stat status;
    char path[HELPER_PATH];
    (void)state;
    make_closed(&place);
    remove_file(place.folder, "anchor");
    helper_sql(place.folder, "ALTER TABLE store_state DROP COLUMN generation;"
                             "ALTER TABLE store_state DROP COLUMN rebuild;"
                             "ALTER TABLE store_state DROP COLUMN rebuilt_ns;"
                             "ALTER TABLE store_state DROP COLUMN rebuild_lost;"
                             "ALTER TABLE store_state DROP COLUMN restored_ns;"
                             "ALTER TABLE store_state DROP COLUMN copied;"
                             "UPDATE migration SET step = 2 WHERE room = 'store'");
    start(&place);
    assert_int_equal(helper_alarms(), 0);
    helper_check(place.store, "1-1000");
    snprintf(path, sizeof path, "%.200s/anchor", place.folder);
    assert_int_equal(stat(path, &status), 0);
    store_close(place.store);
    starts_without_alarm(&place);
}

// ---- lanes, packs, tombstones

static void a_pack_that_is_gone_is_told_and_reading_it_is_a_failure(void **state)
{
    struct place place;
    struct store_place at;
    struct buffer bytes;
    char path[HELPER_PATH];
    (void)state;
    make_closed(&place);
    helper_path(path, place.folder, "packs", 1, ".pack");
    assert_int_equal(unlink(path), 0);
    start(&place);
    assert_non_null(strstr(alarm_of(ALARM_CONTAINER, "packs"), "(1)"));
    assert_true(helper_has(place.store, "1-1000", &at));
    buffer_init(&bytes, 2000);
    assert_false(store_read(place.store, &at, &bytes, &place.err));
    assert_int_equal(place.err.code, ERROR_IO);
    alarm_of(ALARM_CONTAINER, "container 1");
    buffer_free(&bytes);
    helper_check(place.store, "2-1000");
    helper_remove(&place);
}

// A wrong restore: under the same number and at the same offset lies an object of somebody else.
static void a_pack_of_another_folder_is_read_by_nobody(void **state)
{
    struct place place, other;
    struct store_place at;
    char name[HELPER_PATH];
    int fd;
    (void)state;
    make_closed(&place);
    make_closed(&other);
    snprintf(name, sizeof name, "packs/%010d.pack", 1);
    copy_over(other.folder, place.folder, name);
    start(&place);
    assert_true(helper_has(place.store, "1-1000", &at));
    assert_false(store_acquire(place.store, at.container, &fd, &place.err));
    assert_int_equal(place.err.code, ERROR_DAMAGED);
    assert_non_null(strstr(alarm_of(ALARM_CONTAINER, "container 1"), "another data folder"));
    helper_check(place.store, "2-1000");
    helper_remove(&place);
    folder_delete(other.folder);
}

static void a_pack_cut_short_is_found_in_the_background(void **state)
{
    struct place place;
    char path[HELPER_PATH];
    (void)state;
    make_closed(&place);
    helper_path(path, place.folder, "packs", 2, ".pack");
    assert_int_equal(truncate(path, 700), 0);
    start(&place);
    assert_true(store_check_start(place.store, &place.err));
    for (int i = 0; i < 500 && helper_alarms() == 0; i++)
        clock_sleep_ns(10 * CLOCK_MS);
    alarm_of(ALARM_CONTAINER, "container 2");
    helper_remove(&place);
}

// A kill leaves lanes; one without any row of an object is nobody's loss, also at the start after the next.
static void a_lane_that_rows_name_is_missed_and_an_empty_one_is_not(void **state)
{
    struct place place, after;
    char path[HELPER_PATH];
    (void)state;
    helper_make(&place);
    struct store_lane *lane = helper_lane(&place), *empty = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    assert_true(store_record_begin(empty, &place.err));
    helper_copy(place.folder, after.folder);
    helper_path(path, after.folder, "lanes", 2, ".lane");
    assert_int_equal(unlink(path), 0);
    start(&after);
    assert_int_equal(helper_alarms(), 0);
    store_close(after.store);
    folder_delete(after.folder);
    helper_copy(place.folder, after.folder);
    helper_path(path, after.folder, "lanes", 1, ".lane");
    assert_int_equal(unlink(path), 0);
    start(&after);
    alarm_of(ALARM_CONTAINER, "packs");
    helper_remove(&after);
    assert_true(store_lane_close(lane, &place.err) && store_lane_close(empty, &place.err));
    helper_remove(&place);
}

static void numbers_go_on_behind_what_the_anchor_knows(void **state)
{
    struct place place;
    char older[HELPER_PATH], path[HELPER_PATH];
    struct store_place at;
    (void)state;
    helper_make(&place);
    store_close(place.store);
    helper_copy(place.folder, older);
    start(&place);
    struct store_lane *lane = helper_lane(&place);
    helper_store(&place, lane, "1-1000");
    assert_true(store_lane_close(lane, &place.err));
    store_close(place.store);
    copy_over(older, place.folder, "hilum.db");
    helper_path(path, place.folder, "packs", 1, ".pack");
    assert_int_equal(unlink(path), 0);
    start(&place);
    alarm_of(ALARM_CONTAINER, "containers");
    alarm_of(ALARM_CONTAINER, "arrivals");
    lane = helper_lane(&place);
    helper_store(&place, lane, "2-1000");
    assert_true(helper_has(place.store, "2-1000", &at));
    assert_int_equal(at.container, 2); // not 1 again
    assert_true(store_lane_close(lane, &place.err));
    helper_remove(&place);
    folder_delete(older);
}

static void lost_tombstones_are_told(void **state)
{
    struct place place;
    (void)state;
    make_closed(&place);
    remove_file(place.folder, "tombstones");
    start(&place);
    alarm_of(ALARM_CONTAINER, "tombstones");
    helper_remove(&place);
}

// ---- rebuild

// Under a name with the day and the time.
static void assert_put_aside(const char *folder)
{
    glob_t found;
    char pattern[HELPER_PATH];
    snprintf(pattern, sizeof pattern, "%.200s/hilum.db.lost-20[0-9][0-9][0-9][0-9][0-9][0-9]-[0-9]*-1", folder);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    globfree(&found);
}

static void a_rebuild_brings_the_objects_back_and_waits(void **state)
{
    struct place place;
    uint8_t id[STORE_ID_SIZE];
    (void)state;
    make_closed(&place);
    remove_file(place.folder, "hilum.db");
    rebuild(&place, STORE_REBUILD);
    assert_int_equal(helper_replay(place.store), 2); // and not the one that was put down
    memcpy(id, place.store->id, sizeof id);
    assert_memory_equal(id, place.store->anchor.found.id, sizeof id); // the folder stays the same one
    assert_true(store_rebuild_done(place.store, 0, &place.err));
    store_close(place.store);
    start(&place);
    assert_true(store_is_unconfirmed(place.store));
    assert_non_null(strstr(alarm_of(ALARM_REBUILT, "hilum.db"), "rebuilt at 20"));
    helper_check(place.store, "1-1000");
    helper_check(place.store, "2-1000");
    assert_false(helper_has(place.store, "9-50", NULL));
    assert_true(store_rebuild_confirm(place.store, &place.err));
    assert_false(store_rebuild_confirm(place.store, &place.err));
    assert_int_equal(helper_alarms(), 0);
    store_close(place.store);
    starts_without_alarm(&place);
}

// The last record of a pack: behind it no other one shows that something is missing.
static void an_object_that_a_rebuild_cannot_read_is_counted_and_told(void **state)
{
    struct place place;
    struct store_place at;
    char path[HELPER_PATH];
    uint8_t byte;
    (void)state;
    make_closed(&place);
    start(&place);
    assert_true(helper_has(place.store, "1-1000", &at));
    store_close(place.store);
    helper_path(path, place.folder, "packs", at.container, ".pack");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t where = (off_t)at.offset + STORE_RECORD_HEADER + 500;
    assert_int_equal(pread(fd, &byte, 1, where), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, where), 1);
    close(fd);
    rebuild(&place, STORE_REBUILD_REPLACE);
    struct store_replayed replayed;
    assert_true(helper_replay_as(place.store, true, &replayed, &place.err));
    assert_int_equal(replayed.records, 1);
    assert_int_equal(replayed.unreadable, 1);
    alarm_of(ALARM_CONTAINER, "container 1");
    helper_remove(&place);
}

static void a_rebuild_that_was_killed_goes_on(void **state)
{
    struct place place, after;
    (void)state;
    make_closed(&place);
    remove_file(place.folder, "hilum.db");
    rebuild(&place, STORE_REBUILD);
    helper_copy(place.folder, after.folder);
    store_close(place.store);
    folder_delete(place.folder);
    does_not_start(&after);
    rebuild(&after, STORE_REBUILD);
    assert_int_equal(helper_replay(after.store), 2);
    assert_true(store_rebuild_done(after.store, 0, &after.err));
    helper_remove(&after);
}

static void a_sound_database_is_not_given_up_unless_asked(void **state)
{
    struct place place;
    (void)state;
    make_closed(&place);
    place.store = open_rebuild(place.folder, STORE_REBUILD, &place.err);
    assert_null(place.store);
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_non_null(strstr(place.err.message, "--replace"));
    rebuild(&place, STORE_REBUILD_REPLACE);
    assert_put_aside(place.folder);
    assert_int_equal(helper_replay(place.store), 2);
    helper_remove(&place);
}

static void a_damaged_database_is_put_aside_by_a_rebuild(void **state)
{
    struct place place;
    char path[HELPER_PATH];
    (void)state;
    make_closed(&place);
    snprintf(path, sizeof path, "%.200s/hilum.db", place.folder);
    save_file(path, "this was a database", 19);
    rebuild(&place, STORE_REBUILD);
    assert_int_equal(helper_replay(place.store), 2);
    assert_put_aside(place.folder);
    helper_remove(&place);
}

int test_identity(void)
{
#define alarm_test(name) cmocka_unit_test_setup_teardown(name, helper_forget_alarms, helper_forget_alarms)
    static const struct CMUnitTest tests[] = {
        alarm_test(a_slot_is_read_as_it_was_written_and_no_other_way),
        alarm_test(how_far_the_trail_may_go_on_is_known_only_where_the_anchor_says_so),
        alarm_test(an_anchored_line_is_there_at_the_next_start_and_for_others),
        alarm_test(a_torn_slot_costs_one_step_and_no_start),
        alarm_test(a_folder_without_its_database_does_not_start),
        alarm_test(the_database_of_another_folder_does_not_start),
        alarm_test(a_database_and_an_anchor_of_another_folder_do_not_start),
        alarm_test(the_anchor_of_another_folder_does_not_start_and_is_removed_by_hand),
        alarm_test(a_database_that_cannot_be_read_does_not_start),
        alarm_test(an_older_database_is_told_and_its_epoch_comes_never_again),
        alarm_test(an_older_database_with_an_older_anchor_is_told_by_what_is_newer),
        alarm_test(an_older_database_that_somebody_else_knows_of_gets_an_epoch_of_now),
        alarm_test(an_older_database_of_a_running_server_is_told_by_a_pack_that_it_does_not_know),
        alarm_test(an_older_database_that_knows_a_lane_of_what_is_a_pack_is_told),
        alarm_test(lanes_and_packs_on_two_file_systems_do_not_start),
        alarm_test(a_lane_that_cannot_be_closed_is_told),
        alarm_test(a_folder_whose_lock_was_removed_is_in_use_still),
        alarm_test(a_kill_with_a_lane_that_has_no_rows_is_no_older_database),
        alarm_test(overwritten_pages_are_found_in_the_background),
        alarm_test(a_removed_anchor_is_told_and_made_again),
        alarm_test(an_older_anchor_is_told),
        alarm_test(a_folder_of_an_earlier_program_is_taken_as_it_is),
        alarm_test(a_pack_that_is_gone_is_told_and_reading_it_is_a_failure),
        alarm_test(a_pack_of_another_folder_is_read_by_nobody),
        alarm_test(a_pack_cut_short_is_found_in_the_background),
        alarm_test(a_lane_that_rows_name_is_missed_and_an_empty_one_is_not),
        alarm_test(numbers_go_on_behind_what_the_anchor_knows),
        alarm_test(lost_tombstones_are_told),
        alarm_test(a_rebuild_brings_the_objects_back_and_waits),
        alarm_test(an_object_that_a_rebuild_cannot_read_is_counted_and_told),
        alarm_test(a_rebuild_that_was_killed_goes_on),
        alarm_test(a_sound_database_is_not_given_up_unless_asked),
        alarm_test(a_damaged_database_is_put_aside_by_a_rebuild),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
