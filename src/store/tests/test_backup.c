// Backups: what is in them, and what is refused (docs/store-format.md, "Backups"). tests/outside/test_backup.py has
// whole servers.
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alarm.h"
#include "helper.h"
#include "base/text.h"
#include "store/anchor.h"
#include "store/backup_list.h"

struct kept {
    struct place place;
    char vault[HELPER_PATH], data[HELPER_PATH];
    struct backup_key key;
    struct backup_order order;
    struct backup_made made;
};

static void kept_make(struct kept *kept)
{
    char path[HELPER_PATH + 16];
    memset(kept, 0, sizeof *kept);
    helper_make(&kept->place);
    folder_make(kept->vault, sizeof kept->vault);
    folder_make(kept->data, sizeof kept->data);
    snprintf(path, sizeof path, "%s.key", kept->vault);
    assert_ok(backup_key_make(path, &kept->key, &kept->place.err), kept->place.err);
    assert_int_equal(unlink(path), 0);
    kept->order = (struct backup_order){.folder = kept->vault, .key = &kept->key, .begin = true};
}

static void kept_remove(struct kept *kept)
{
    helper_remove(&kept->place);
    folder_delete(kept->vault);
    folder_delete(kept->data);
    store_alarm_older_ends();
}

static void put(struct kept *kept, const char *name)
{
    struct store_lane *lane = helper_lane(&kept->place);
    helper_store(&kept->place, lane, name);
    assert_ok(store_lane_close(lane, &kept->place.err), kept->place.err);
}

static void make(struct kept *kept)
{
    assert_ok(backup_make(kept->place.store, &kept->order, &kept->made, &kept->place.err), kept->place.err);
}

static bool put_back(struct kept *kept, bool copy, struct error *err)
{
    struct backup_restored out;
    const struct backup_restore restore = {.folder = kept->vault, .key = &kept->key, .data = kept->data, .copy = copy};
    bool ok = backup_put_back(&restore, &out, err);
    json_decref(out.said);
    return ok;
}

static void open_list(struct kept *kept, struct vault *vault, struct backup_list *list)
{
    assert_ok(vault_open(vault, kept->vault, &kept->key, VAULT_WRITE, &kept->place.err), kept->place.err);
    assert_ok(backup_list_read(vault, kept->made.name, list, &kept->place.err), kept->place.err);
}

static void path_of(const struct kept *kept, const struct backup_row *row, char out[2 * HELPER_PATH])
{
    char hex[2 * VAULT_NAME_SIZE + 1];
    text_hex(hex, row->name, VAULT_NAME_SIZE);
    snprintf(out, (size_t)2 * HELPER_PATH, "%s/objects/%.2s/%s", kept->vault, hex, hex + 2);
}

static void list_of(const struct kept *kept, char out[2 * HELPER_PATH])
{
    snprintf(out, (size_t)2 * HELPER_PATH, "%s/lists/%s.list", kept->vault, kept->made.name);
}

static void flip(const char *path, off_t at)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void an_object_in_a_lane_and_one_in_a_pack_come_back(void **state)
{
    struct kept kept;
    struct error err;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-3000000"); // of several pieces
    struct store_lane *lane = helper_lane(&kept.place);
    helper_store(&kept.place, lane, "2-100");
    make(&kept);
    helper_store(&kept.place, lane, "3-100"); // not in it
    assert_ok(put_back(&kept, false, &err), err);
    struct store *store = helper_open(kept.data, &err);
    assert_non_null(store);
    assert_true(store_is_restored(store));
    helper_replay(store);
    helper_check(store, "1-3000000");
    helper_check(store, "2-100");
    struct store_place ignored;
    assert_false(helper_has(store, "3-100", &ignored));
    assert_true(store_alarm_older_stands());
    store_close(store);
    assert_ok(store_lane_close(lane, &err), err);
    kept_remove(&kept);
}

static void what_was_withdrawn_stays_so(void **state)
{
    struct kept kept;
    struct error err;
    (void)state;
    kept_make(&kept);
    struct store_lane *lane = helper_lane(&kept.place);
    helper_store(&kept.place, lane, "1-100");
    assert_false(helper_put(kept.place.store, lane, "9-50", true, &err));
    make(&kept);
    assert_ok(put_back(&kept, false, &err), err);
    struct store *store = helper_open(kept.data, &err);
    assert_non_null(store);
    helper_replay(store);
    assert_int_equal(helper_objects(store), 1);
    store_close(store);
    assert_ok(store_lane_close(lane, &err), err);
    kept_remove(&kept);
}

static void a_restore_is_told_until_the_trail_has_it_and_a_copy_sends_nothing_at_any_time(void **state)
{
    struct kept kept;
    struct error err;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-100");
    make(&kept);
    assert_ok(put_back(&kept, true, &err), err);
    for (int start = 0; start < 3; start++) {
        store_alarm_older_ends();
        struct store *store = helper_open(kept.data, &err);
        assert_non_null(store);
        helper_replay(store);
        assert_int_equal(store_is_restored(store), start < 2);
        assert_true(store_alarm_older_stands());
        const struct store_audit_head head = {.segment = 1, .line = 7};
        if (start == 1) // the line that tells it is on the disk
            assert_ok(store_anchor(store, &head, &err), err);
        store_close(store);
    }
    // Another folder in this process is none.
    struct store *store = helper_open(kept.place.folder, &err);
    assert_null(store); // it is open already
    kept_remove(&kept);
    alarm_clear(ALARM_DATABASE, NULL);
}

static void a_piece_at_the_end_of_a_sealed_file_that_is_cut_off_shows(void **state)
{
    struct kept kept;
    struct vault vault;
    struct backup_list list;
    struct error err;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-3000000");
    make(&kept);
    open_list(&kept, &vault, &list);
    char path[2 * HELPER_PATH];
    path_of(&kept, &list.rows[0], path);
    struct stat whole;
    assert_int_equal(stat(path, &whole), 0);
    // As many pieces, the last of which says that it is the last, or fewer: both are no whole file.
    const off_t cuts[] = {32 + (VAULT_PIECE + 17), 32 + 2 * (VAULT_PIECE + 17), whole.st_size - 1, 32, 0};
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        assert_int_equal(truncate(path, cuts[i]), 0);
        assert_false(vault_get(&vault, list.rows[0].name, list.rows[0].size, -1, NULL, &err));
        assert_int_equal(err.code, ERROR_DAMAGED);
        assert_false(put_back(&kept, false, &err));
        folder_delete(kept.data);
        folder_make(kept.data, sizeof kept.data);
        assert_int_equal(truncate(path, whole.st_size), 0); // with zeros: not what it was
        assert_false(vault_get(&vault, list.rows[0].name, list.rows[0].size, -1, NULL, &err));
    }
    backup_list_free(&list);
    vault_close(&vault);
    kept_remove(&kept);
}

static void a_list_whose_files_lead_out_of_the_folder_is_refused(void **state)
{
    static const char *const paths[] = {"../escape", "lanes/../../escape", "/../escape", "a//b", "", ".", "/"};
    struct kept kept;
    struct vault vault;
    struct backup_list list;
    struct error err;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-100");
    make(&kept);
    open_list(&kept, &vault, &list);
    json_t *row = json_array_get(json_object_get(list.head, "files"), 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        json_object_set_new(row, "path", json_string(paths[i]));
        assert_ok(backup_list_write(&vault, kept.made.name, &list, &err), err);
        assert_false(put_back(&kept, false, &err));
        assert_int_equal(err.code, ERROR_DAMAGED);
        folder_delete(kept.data);
        folder_make(kept.data, sizeof kept.data);
    }
    backup_list_free(&list);
    vault_close(&vault);
    kept_remove(&kept);
}

static void a_list_of_another_backup_under_its_name_is_refused(void **state)
{
    struct kept kept;
    char first[2 * HELPER_PATH], second[2 * HELPER_PATH];
    struct error err;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-100");
    make(&kept);
    list_of(&kept, first);
    make(&kept);
    list_of(&kept, second);
    assert_int_equal(rename(first, second), 0);
    assert_false(put_back(&kept, false, &err));
    assert_int_equal(err.code, ERROR_DAMAGED);
    kept_remove(&kept);
}

static void one_that_is_ended_leaves_what_it_wrote_for_the_next(void **state)
{
    struct kept kept;
    struct error err;
    atomic_bool stop = true;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-100");
    kept.order.stop = &stop;
    assert_false(backup_make(kept.place.store, &kept.order, &kept.made, &err));
    assert_int_equal(err.code, ERROR_CANCELLED);
    assert_int_equal(helper_count(kept.vault, "lists", ".list"), 0);
    stop = false;
    make(&kept);
    uint64_t first = kept.made.new_files;
    make(&kept);
    assert_true(kept.made.new_files < first);
    assert_int_equal(helper_count(kept.place.folder, ".", ".tmp"), 0);
    kept_remove(&kept);
}

static void what_has_rotted_is_found_in_turn_and_written_again(void **state)
{
    struct kept kept;
    struct vault vault;
    struct backup_list list;
    struct backup_checked checked;
    struct error err;
    char path[2 * HELPER_PATH];
    uint64_t healed = 0, replayed;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-5000");
    helper_reopen(&kept.place, &replayed); // the pack has left lanes/
    make(&kept);
    open_list(&kept, &vault, &list);
    path_of(&kept, &list.rows[0], path);
    backup_list_free(&list);
    vault_close(&vault);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "rot", 3, 1000), 3);
    close(fd);
    for (int i = 0; i < BACKUP_LOOKS; i++) {
        make(&kept);
        healed += kept.made.healed;
    }
    assert_int_equal(healed, 1);
    assert_ok(backup_check(kept.vault, &kept.key, NULL, false, NULL, NULL, NULL, &checked, &err), err);
    assert_int_equal(checked.bad, 0);
    kept_remove(&kept);
}

static void two_do_not_write_into_one_folder_at_once(void **state)
{
    struct kept kept;
    struct vault other;
    struct error err;
    (void)state;
    kept_make(&kept);
    make(&kept);
    assert_ok(vault_open(&other, kept.vault, &kept.key, VAULT_WRITE, &err), err);
    assert_false(backup_make(kept.place.store, &kept.order, &kept.made, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    vault_close(&other);
    make(&kept);
    kept_remove(&kept);
}

static void the_oldest_go_and_no_file_that_a_list_names(void **state)
{
    struct kept kept;
    struct backup_checked checked;
    char name[16];
    struct error err;
    (void)state;
    kept_make(&kept);
    kept.order.keep = 2;
    for (int i = 1; i <= 4; i++) {
        snprintf(name, sizeof name, "%d-100", i);
        put(&kept, name);
        make(&kept);
    }
    assert_int_equal(helper_count(kept.vault, "lists", ".list"), 2);
    assert_ok(backup_check(kept.vault, &kept.key, NULL, false, NULL, NULL, NULL, &checked, &err), err);
    assert_int_equal(checked.bad, 0);
    assert_ok(put_back(&kept, false, &err), err);
    kept_remove(&kept);
}

static void a_list_that_cannot_be_read_keeps_every_file(void **state)
{
    struct kept kept;
    struct backup_checked checked;
    char second[2 * HELPER_PATH], name[BACKUP_NAME_SIZE];
    struct error err;
    (void)state;
    kept_make(&kept);
    kept.order.keep = 2;
    put(&kept, "1-100");
    make(&kept);
    put(&kept, "2-100");
    make(&kept); // its database is in no other list
    list_of(&kept, second);
    text_copy(name, sizeof name, kept.made.name);
    flip(second, 40);
    put(&kept, "3-100");
    make(&kept); // whole all the same, and says why nothing went
    assert_non_null(strstr(kept.made.kept, name));
    assert_int_equal(helper_count(kept.vault, "lists", ".list"), 3);
    flip(second, 40); // the disk's other half had it
    assert_ok(backup_check(kept.vault, &kept.key, name, false, NULL, NULL, NULL, &checked, &err), err);
    assert_int_equal(checked.bad, 0);
    put(&kept, "4-100");
    make(&kept); // and they go again
    assert_string_equal(kept.made.kept, "");
    assert_int_equal(helper_count(kept.vault, "lists", ".list"), 2);
    kept_remove(&kept);
}

static void two_files_of_one_size_that_changed_places_are_seen(void **state)
{
    struct kept kept;
    struct vault vault;
    struct backup_list list;
    struct backup_checked checked;
    char a[2 * HELPER_PATH], b[2 * HELPER_PATH], aside[2 * HELPER_PATH];
    uint64_t replayed;
    struct error err;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-5000");
    put(&kept, "2-5000");
    helper_reopen(&kept.place, &replayed); // packs
    make(&kept);
    open_list(&kept, &vault, &list);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.rows[0].size, list.rows[1].size);
    path_of(&kept, &list.rows[0], a);
    path_of(&kept, &list.rows[1], b);
    snprintf(aside, sizeof aside, "%s/aside", kept.vault);
    assert_int_equal(rename(a, aside), 0);
    assert_int_equal(rename(b, a), 0);
    assert_int_equal(rename(aside, b), 0);
    assert_false(vault_get(&vault, list.rows[0].name, list.rows[0].size, -1, NULL, &err));
    assert_int_equal(err.code, ERROR_DAMAGED);
    assert_ok(backup_check(kept.vault, &kept.key, NULL, false, NULL, NULL, NULL, &checked, &err), err);
    assert_int_equal(checked.bad, 2);
    assert_false(put_back(&kept, false, &err));
    assert_int_equal(err.code, ERROR_DAMAGED);
    backup_list_free(&list);
    vault_close(&vault);
    kept_remove(&kept);
}

static void a_pack_that_is_in_neither_folder_is_told(void **state)
{
    struct kept kept;
    struct vault vault;
    struct backup_list list;
    char path[HELPER_PATH];
    uint64_t replayed;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-5000");
    put(&kept, "2-5000");
    helper_reopen(&kept.place, &replayed);
    make(&kept);
    assert_int_equal(kept.made.damaged, 0);
    open_list(&kept, &vault, &list);
    helper_path(path, kept.place.folder, "packs", list.rows[0].container, ".pack");
    assert_int_equal(unlink(path), 0);
    backup_list_free(&list);
    vault_close(&vault);
    helper_forget_alarms(NULL);
    make(&kept);
    assert_int_equal(kept.made.damaged, 1);
    assert_int_equal(helper_alarms(), 1);
    open_list(&kept, &vault, &list);
    const char *told = json_string_value(json_array_get(json_object_get(list.head, "damaged"), 0));
    assert_non_null(told);
    assert_non_null(strstr(told, "it is not there"));
    backup_list_free(&list);
    vault_close(&vault);
    kept_remove(&kept);
    helper_forget_alarms(NULL);
}

// ---- what happens while one is made

struct meanwhile {
    struct kept *kept;
    struct store_lane *lane;
    const char *what; // is being read when it happens; once
};

static void is_refused(void *payload, const char *what, uint64_t done, uint64_t total)
{
    struct meanwhile *meanwhile = payload;
    struct error err;
    (void)done, (void)total;
    if (!meanwhile->what || strcmp(what, meanwhile->what) != 0)
        return;
    meanwhile->what = NULL;
    assert_false(helper_put(meanwhile->kept->place.store, meanwhile->lane, "9-50", true, &err));
}

static void what_is_withdrawn_while_the_objects_are_read_stays_so(void **state)
{
    struct kept kept;
    struct error err;
    (void)state;
    kept_make(&kept);
    struct store_lane *first = helper_lane(&kept.place), *second = helper_lane(&kept.place);
    helper_store(&kept.place, first, "1-100");
    helper_store(&kept.place, second, "2-100");
    struct meanwhile meanwhile = {&kept, second, "objects"}; // the second lane is read after it
    kept.order.progress = is_refused;
    kept.order.payload = &meanwhile;
    make(&kept);
    assert_null(meanwhile.what);
    assert_ok(put_back(&kept, false, &err), err);
    struct store *store = helper_open(kept.data, &err);
    assert_non_null(store);
    helper_replay(store);
    assert_int_equal(helper_objects(store), 2);
    assert_false(helper_has(store, "9-50", NULL));
    store_close(store);
    assert_ok(store_lane_close(first, &err), err);
    assert_ok(store_lane_close(second, &err), err);
    kept_remove(&kept);
}

static void begins_a_lane(void *payload, const char *what, uint64_t done, uint64_t total)
{
    struct meanwhile *meanwhile = payload;
    (void)done, (void)total;
    if (!meanwhile->what || strcmp(what, meanwhile->what) != 0)
        return;
    meanwhile->what = NULL;
    meanwhile->lane = helper_lane(&meanwhile->kept->place);
    helper_store(&meanwhile->kept->place, meanwhile->lane, "2-100");
}

static void a_lane_that_the_copied_database_does_not_know_is_not_in_it(void **state)
{
    struct kept kept;
    struct vault vault;
    struct backup_list list;
    struct error err;
    (void)state;
    kept_make(&kept);
    struct store_lane *lane = helper_lane(&kept.place);
    helper_store(&kept.place, lane, "1-100");
    struct meanwhile meanwhile = {&kept, NULL, "database"};
    kept.order.progress = begins_a_lane;
    kept.order.payload = &meanwhile;
    make(&kept);
    assert_non_null(meanwhile.lane);
    open_list(&kept, &vault, &list);
    assert_int_equal(list.count, 1);
    backup_list_free(&list);
    vault_close(&vault);
    assert_ok(store_lane_close(lane, &err), err);
    assert_ok(store_lane_close(meanwhile.lane, &err), err);
    kept_remove(&kept);
}

static struct meanwhile *at_listing;

// The quarantine is the last that is listed: the anchor beside it was read before.
static void anchors_once(const char *path)
{
    struct meanwhile *meanwhile = at_listing;
    struct error err;
    if (!meanwhile->what || strcmp(path, meanwhile->what) != 0)
        return;
    meanwhile->what = NULL;
    helper_store(&meanwhile->kept->place, meanwhile->lane, "2-100");
    const struct store_audit_head head = {.segment = 1, .line = 7};
    assert_ok(store_anchor(meanwhile->kept->place.store, &head, &err), err);
}

static void the_anchor_is_the_one_beside_the_files_and_the_database_is_not_older(void **state)
{
    struct kept kept;
    struct vault vault;
    struct backup_list list;
    char path[2 * HELPER_PATH], hex[2 * ANCHOR_BYTES + 1];
    struct error err;
    size_t size;
    (void)state;
    kept_make(&kept);
    struct store_lane *lane = helper_lane(&kept.place);
    helper_store(&kept.place, lane, "1-100");
    struct meanwhile meanwhile = {&kept, lane, "quarantine"};
    at_listing = &meanwhile;
    helper_before_open = anchors_once;
    make(&kept);
    helper_before_open = NULL;
    assert_null(meanwhile.what);
    snprintf(path, sizeof path, "%s/anchor", kept.place.folder);
    uint8_t *anchor = load_file(path, &size);
    assert_int_equal(size, ANCHOR_BYTES);
    text_hex(hex, anchor, ANCHOR_BYTES);
    free(anchor);
    open_list(&kept, &vault, &list);
    assert_string_equal(json_string_value(json_object_get(list.head, "anchor")), hex);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(list.head, "tables"), "object")), 2);
    backup_list_free(&list);
    vault_close(&vault);
    assert_ok(store_lane_close(lane, &err), err);
    kept_remove(&kept);
}

static void the_trail_is_taken_to_the_end_of_a_line(void **state)
{
    static const char half[] = "one\ntwo\nthr", none[] = "no end at all";
    struct kept kept;
    char path[2 * HELPER_PATH], longer[9000];
    size_t size;
    struct error err;
    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[9] = '\n';
    kept_make(&kept);
    put(&kept, "1-100");
    const struct {
        const char *name, *bytes;
        size_t size, whole;
    } files[] = {
        {"audit-00000001.log", half, sizeof half - 1, 8},
        {"audit-00000002.log", none, sizeof none - 1, 0},
        {"audit-00000003.log", longer, sizeof longer, 10},
        {"notes", half, sizeof half - 1, sizeof half - 1}, // any other file is taken as it is
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", kept.place.folder, files[i].name);
        save_file(path, files[i].bytes, files[i].size);
    }
    make(&kept);
    assert_ok(put_back(&kept, false, &err), err);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", kept.data, files[i].name);
        uint8_t *bytes = load_file(path, &size);
        assert_int_equal(size, files[i].whole);
        assert_memory_equal(bytes, files[i].bytes, size);
        free(bytes);
    }
    kept_remove(&kept);
}

// ---- what is not put back

static bool has_database(const struct kept *kept)
{
    char path[2 * HELPER_PATH];
    snprintf(path, sizeof path, "%s/hilum.db", kept->data);
    return access(path, F_OK) == 0;
}

// The list of the last backup with another value of its head.
static void write_head(struct kept *kept, const char *key, json_t *value)
{
    struct vault vault;
    struct backup_list list;
    struct error err;
    open_list(kept, &vault, &list);
    assert_int_equal(json_object_set_new(list.head, key, value), 0);
    assert_ok(backup_list_write(&vault, kept->made.name, &list, &err), err);
    backup_list_free(&list);
    vault_close(&vault);
}

static void a_database_that_is_not_what_was_counted_is_not_put_back(void **state)
{
    struct kept kept;
    struct vault vault;
    struct backup_list list;
    struct error err;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-100");
    make(&kept);
    open_list(&kept, &vault, &list);
    json_t *tables = json_deep_copy(json_object_get(list.head, "tables"));
    backup_list_free(&list);
    vault_close(&vault);
    json_int_t rows = json_integer_value(json_object_get(tables, "event"));
    assert_int_equal(json_object_set_new(tables, "event", json_integer(rows + 1)), 0);
    write_head(&kept, "tables", tables);
    assert_false(put_back(&kept, false, &err));
    assert_int_equal(err.code, ERROR_DAMAGED);
    assert_non_null(strstr(err.message, "table event has"));
    assert_false(has_database(&kept));
    kept_remove(&kept);
}

// The place of the first row in the table's one page: counting does not look there.
static void spoil_objects(const char *folder)
{
    char path[2 * HELPER_PATH];
    sqlite3 *db;
    sqlite3_stmt *query;
    snprintf(path, sizeof path, "%s/hilum.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT (rootpage - 1) * page_size FROM sqlite_schema, pragma_page_size "
                                        "WHERE name = 'object'",
                                        -1, &query, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(query), SQLITE_ROW);
    off_t page = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "\xff\xff", 2, page + 8), 2);
    close(fd);
}

static void a_database_whose_pages_are_damaged_is_told_by_the_backup_and_not_put_back(void **state)
{
    struct kept kept;
    struct error err;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-100");
    store_close(kept.place.store);
    spoil_objects(kept.place.folder);
    kept.place.store = helper_open(kept.place.folder, &err);
    assert_non_null(kept.place.store);
    make(&kept); // each file is as it was, and that is told
    assert_int_equal(kept.made.damaged, 1);
    assert_int_equal(alarm_count(ALARM_DATABASE) > 0, 1);
    assert_false(put_back(&kept, false, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
    assert_non_null(strstr(err.message, "table object is damaged"));
    assert_false(has_database(&kept));
    kept_remove(&kept);
    helper_forget_alarms(NULL);
}

static void what_a_disk_does_not_take_for_good_has_no_list_and_no_database(void **state)
{
    struct kept kept;
    struct error err;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-100");
    helper_fail_disk_syncs = 1;
    assert_false(backup_make(kept.place.store, &kept.order, &kept.made, &err));
    assert_int_equal(helper_fail_disk_syncs, 0);
    assert_int_equal(helper_count(kept.vault, "lists", ".list"), 0);
    make(&kept);
    helper_fail_disk_syncs = 1;
    assert_false(put_back(&kept, false, &err));
    assert_int_equal(helper_fail_disk_syncs, 0);
    assert_false(has_database(&kept));
    kept_remove(&kept);
}

static void a_list_of_a_newer_form_is_refused(void **state)
{
    struct kept kept;
    struct error err;
    (void)state;
    kept_make(&kept);
    put(&kept, "1-100");
    make(&kept);
    write_head(&kept, "form", json_integer(2));
    assert_false(put_back(&kept, false, &err));
    assert_int_equal(err.code, ERROR_UNSUPPORTED);
    assert_false(has_database(&kept));
    kept_remove(&kept);
}

static void a_backup_that_the_disk_has_no_room_for_is_not_begun(void **state)
{
    struct kept kept;
    struct error err;
    char path[2 * HELPER_PATH];
    (void)state;
    kept_make(&kept);
    put(&kept, "1-100");
    make(&kept);
    write_head(&kept, "bytes", json_integer((json_int_t)1 << 60));
    assert_false(put_back(&kept, false, &err));
    assert_int_equal(err.code, ERROR_FULL);
    snprintf(path, sizeof path, "%s/lanes", kept.data);
    assert_int_not_equal(access(path, F_OK), 0);
    kept_remove(&kept);
}

int test_backup(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_in_a_lane_and_one_in_a_pack_come_back),
        cmocka_unit_test(what_was_withdrawn_stays_so),
        cmocka_unit_test(a_restore_is_told_until_the_trail_has_it_and_a_copy_sends_nothing_at_any_time),
        cmocka_unit_test(a_piece_at_the_end_of_a_sealed_file_that_is_cut_off_shows),
        cmocka_unit_test(a_list_whose_files_lead_out_of_the_folder_is_refused),
        cmocka_unit_test(a_list_of_another_backup_under_its_name_is_refused),
        cmocka_unit_test(one_that_is_ended_leaves_what_it_wrote_for_the_next),
        cmocka_unit_test(what_has_rotted_is_found_in_turn_and_written_again),
        cmocka_unit_test(two_do_not_write_into_one_folder_at_once),
        cmocka_unit_test(the_oldest_go_and_no_file_that_a_list_names),
        cmocka_unit_test(a_list_that_cannot_be_read_keeps_every_file),
        cmocka_unit_test(two_files_of_one_size_that_changed_places_are_seen),
        cmocka_unit_test(a_pack_that_is_in_neither_folder_is_told),
        cmocka_unit_test(what_is_withdrawn_while_the_objects_are_read_stays_so),
        cmocka_unit_test(a_lane_that_the_copied_database_does_not_know_is_not_in_it),
        cmocka_unit_test(the_anchor_is_the_one_beside_the_files_and_the_database_is_not_older),
        cmocka_unit_test(the_trail_is_taken_to_the_end_of_a_line),
        cmocka_unit_test(a_database_that_is_not_what_was_counted_is_not_put_back),
        cmocka_unit_test(a_database_whose_pages_are_damaged_is_told_by_the_backup_and_not_put_back),
        cmocka_unit_test(what_a_disk_does_not_take_for_good_has_no_list_and_no_database),
        cmocka_unit_test(a_list_of_a_newer_form_is_refused),
        cmocka_unit_test(a_backup_that_the_disk_has_no_room_for_is_not_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
