// Backups: what is in them, and what is refused (docs/store-format.md, "Backups"). tests/outside/test_backup.py has
// whole servers.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alarm.h"
#include "helper.h"
#include "base/text.h"
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
    char hex[2 * VAULT_NAME_SIZE + 1], path[2 * HELPER_PATH];
    text_hex(hex, list.rows[0].name, VAULT_NAME_SIZE);
    snprintf(path, sizeof path, "%s/objects/%.2s/%s", kept.vault, hex, hex + 2);
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
    snprintf(first, sizeof first, "%s/lists/%s.list", kept.vault, kept.made.name);
    make(&kept);
    snprintf(second, sizeof second, "%s/lists/%s.list", kept.vault, kept.made.name);
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
    assert_ok(backup_check(kept.vault, &kept.key, NULL, NULL, NULL, NULL, &checked, &err), err);
    assert_int_equal(checked.bad, 0);
    assert_ok(put_back(&kept, false, &err), err);
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
        cmocka_unit_test(two_do_not_write_into_one_folder_at_once),
        cmocka_unit_test(the_oldest_go_and_no_file_that_a_list_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
