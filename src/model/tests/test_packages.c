// The installed packages, read again while they are in use.
#include "support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/packages.h"
#include "support/folder.h"

// A folder of packages with one in it, "a", whole and of version 1.
struct shelf {
    char folder[SUPPORT_PATH];
    struct model_packages *packages;
    struct error err;
};

static void set_version(const char *folder, const char *name, const char *version)
{
    json_t *manifest = read_manifest(folder);
    json_object_set_new(manifest, "name", json_string(name));
    json_object_set_new(json_object_get(manifest, "rule"), "model", json_string(name));
    json_object_set_new(manifest, "version", json_string(version));
    write_manifest(folder, manifest);
}

// Put there by a rename, whole, in place of what has that name.
static void put(struct shelf *shelf, const char *entry, const char *name, const char *version)
{
    char made[SUPPORT_PATH], path[2 * SUPPORT_PATH];
    copy_package(made);
    set_version(made, name, version);
    snprintf(path, sizeof path, "%s/%s", shelf->folder, entry);
    if (access(path, F_OK) == 0)
        folder_delete(path);
    assert_int_equal(rename(made, path), 0);
}

static void set_up(struct shelf *shelf)
{
    *shelf = (struct shelf){0};
    folder_make(shelf->folder, sizeof shelf->folder);
    put(shelf, "a", "a", "1");
    shelf->packages = model_packages_open(shelf->folder, &shelf->err);
    assert_ok(shelf->packages != NULL, shelf->err);
}

static void tear_down(struct shelf *shelf)
{
    model_packages_close(shelf->packages);
    folder_delete(shelf->folder);
}

// Says how many are not installed, and with one of them `why`.
static size_t rescan(struct shelf *shelf, const char *why)
{
    json_t *refused = json_array();
    assert_ok(model_packages_rescan(shelf->packages, refused, &shelf->err), shelf->err);
    size_t count = json_array_size(refused);
    if (why)
        assert_non_null(strstr(json_string_value(json_array_get(refused, 0)), why));
    json_decref(refused);
    return count;
}

static bool is_version(struct shelf *shelf, const char *name, const char *version)
{
    struct model_package *package = model_packages_find(shelf->packages, name);
    bool is = package && strcmp(model_package_version(package), version) == 0;
    model_package_close(package);
    return is;
}

static void what_is_put_there_and_taken_away_is_seen_by_a_rescan(void **state)
{
    struct shelf shelf;
    char path[2 * SUPPORT_PATH];
    (void)state;
    set_up(&shelf);
    assert_true(is_version(&shelf, "a", "1"));
    put(&shelf, "b", "b", "1");
    put(&shelf, ".c", "c", "1"); // half way there
    assert_null(model_packages_find(shelf.packages, "b"));
    assert_int_equal(rescan(&shelf, NULL), 0);
    assert_true(is_version(&shelf, "b", "1"));
    assert_null(model_packages_find(shelf.packages, "c"));
    snprintf(path, sizeof path, "%s/a", shelf.folder);
    folder_delete(path);
    assert_int_equal(rescan(&shelf, NULL), 0);
    assert_null(model_packages_find(shelf.packages, "a"));
    assert_true(is_version(&shelf, "b", "1"));
    tear_down(&shelf);
}

static void a_package_in_use_outlives_its_replacement_and_the_whole_table(void **state)
{
    struct shelf shelf;
    (void)state;
    set_up(&shelf);
    struct model_package *used = model_packages_find(shelf.packages, "a");
    put(&shelf, "a", "a", "2");
    assert_int_equal(rescan(&shelf, NULL), 0);
    assert_true(is_version(&shelf, "a", "2"));
    tear_down(&shelf);
    assert_string_equal(model_package_version(used), "1");
    model_package_close(used);
}

static void what_is_unchanged_stays_the_same_package(void **state)
{
    struct shelf shelf;
    (void)state;
    set_up(&shelf);
    struct model_package *before = model_packages_find(shelf.packages, "a");
    assert_int_equal(rescan(&shelf, NULL), 0);
    struct model_package *after = model_packages_find(shelf.packages, "a");
    assert_ptr_equal(before, after); // so that its child stays warm
    model_package_close(before);
    model_package_close(after);
    tear_down(&shelf);
}

static void one_that_is_damaged_is_told_and_stays_as_it_was_read(void **state)
{
    struct shelf shelf;
    char path[2 * SUPPORT_PATH];
    (void)state;
    set_up(&shelf);
    snprintf(path, sizeof path, "%s/a", shelf.folder);
    write_member(path, "card.md", "x", 1);
    assert_int_equal(rescan(&shelf, "/a is changed, and runs until the next start as it was installed"), 1);
    assert_true(is_version(&shelf, "a", "1"));
    put(&shelf, "b", "b", "1");
    snprintf(path, sizeof path, "%s/b", shelf.folder);
    write_member(path, "card.md", "x", 1);
    assert_int_equal(rescan(&shelf, "card.md"), 2);
    assert_null(model_packages_find(shelf.packages, "b"));
    tear_down(&shelf);
}

static void one_in_a_folder_whose_name_is_no_utf8_is_told_with_the_name_escaped(void **state)
{
    struct shelf shelf;
    char path[2 * SUPPORT_PATH];
    (void)state;
    set_up(&shelf);
    put(&shelf, "\xff\xfe", "b", "1");
    snprintf(path, sizeof path, "%s/\xff\xfe", shelf.folder);
    write_member(path, "card.md", "x", 1);
    assert_int_equal(rescan(&shelf, "/\\xFF\\xFE is not installed"), 1);
    tear_down(&shelf);
}

// With `a` of version 1.1.0 in folder "m".
static void set_up_beside(struct shelf *shelf)
{
    char path[2 * SUPPORT_PATH];
    set_up(shelf);
    put(shelf, "m", "a", "1.1.0");
    snprintf(path, sizeof path, "%s/a", shelf->folder);
    folder_delete(path);
    assert_int_equal(rescan(shelf, NULL), 0);
}

static void reopen(struct shelf *shelf)
{
    model_packages_close(shelf->packages);
    shelf->packages = model_packages_open(shelf->folder, &shelf->err);
    assert_ok(shelf->packages != NULL, shelf->err);
}

static size_t count_refused(struct shelf *shelf)
{
    json_t *refused = json_array();
    model_packages_refused(shelf->packages, refused);
    size_t count = json_array_size(refused);
    json_decref(refused);
    return count;
}

static void of_two_with_one_name_the_later_version_is_installed_whatever_its_folder_is_called(void **state)
{
    static const char *const beside[] = {"b", "z"};
    static const char *const said[] = {"/b is not installed: it holds a 1.0.0, and m holds 1.1.0, which is run",
                                       "/m is not installed: it holds a 1.1.0, and z holds 1.10.0, which is run"};
    static const char *const versions[] = {"1.0.0", "1.10.0"}, *const run[] = {"1.1.0", "1.10.0"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct shelf shelf;
        set_up_beside(&shelf);
        put(&shelf, beside[i], "a", versions[i]);
        assert_int_equal(rescan(&shelf, said[i]), 1);
        assert_true(is_version(&shelf, "a", run[i]));
        reopen(&shelf);
        assert_true(is_version(&shelf, "a", run[i]));
        assert_int_equal(count_refused(&shelf), 1);
        tear_down(&shelf);
    }
}

static void of_two_packages_of_one_version_the_installed_one_stays_and_a_start_runs_neither(void **state)
{
    struct shelf shelf;
    (void)state;
    set_up_beside(&shelf);
    struct model_package *first = model_packages_find(shelf.packages, "a");
    put(&shelf, "b", "a", "1.1.0+other");
    put(&shelf, "z", "a", "1.1.0+third");
    assert_int_equal(rescan(&shelf, "/b is not installed"), 2);
    struct model_package *now = model_packages_find(shelf.packages, "a");
    assert_ptr_equal(first, now);
    model_package_close(first);
    model_package_close(now);
    reopen(&shelf);
    assert_null(model_packages_find(shelf.packages, "a"));
    assert_int_equal(count_refused(&shelf), 3);
    assert_int_equal(rescan(&shelf, "neither is run"), 3);
    put(&shelf, "n", "a", "1.2.0");
    assert_int_equal(rescan(&shelf, NULL), 3);
    assert_true(is_version(&shelf, "a", "1.2.0"));
    tear_down(&shelf);
}

static void a_copy_in_another_folder_is_told_and_changes_nothing(void **state)
{
    struct shelf shelf;
    struct model_package *all[MODEL_PACKAGES_MAX];
    (void)state;
    set_up_beside(&shelf);
    put(&shelf, "b", "a", "1.1.0");
    assert_int_equal(rescan(&shelf, "/m is not installed: it holds a 1.1.0, and b holds 1.1.0"), 1);
    assert_int_equal(model_packages_list(shelf.packages, all), 1);
    assert_string_equal(model_package_version(all[0]), "1.1.0");
    model_package_close(all[0]);
    tear_down(&shelf);
}

static void a_folder_that_is_not_there_holds_none(void **state)
{
    struct error err;
    struct model_package *all[MODEL_PACKAGES_MAX];
    (void)state;
    struct model_packages *packages = model_packages_open("/nowhere", &err);
    assert_ok(packages != NULL, err);
    assert_int_equal(model_packages_list(packages, all), 0);
    model_packages_close(packages);
}

static void *look(void *payload)
{
    struct shelf *shelf = payload;
    for (int i = 0; i < 2000; i++)
        model_package_close(model_packages_find(shelf->packages, "a"));
    return NULL;
}

static void others_find_packages_while_the_folder_is_read(void **state)
{
    struct shelf shelf;
    pthread_t threads[2];
    (void)state;
    set_up(&shelf);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look, &shelf), 0);
    for (int i = 0; i < 10; i++) {
        put(&shelf, "a", "a", i % 2 ? "1" : "2");
        assert_int_equal(rescan(&shelf, NULL), 0);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_true(is_version(&shelf, "a", "1"));
    tear_down(&shelf);
}

int test_packages(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_there_and_taken_away_is_seen_by_a_rescan),
        cmocka_unit_test(a_package_in_use_outlives_its_replacement_and_the_whole_table),
        cmocka_unit_test(what_is_unchanged_stays_the_same_package),
        cmocka_unit_test(one_that_is_damaged_is_told_and_stays_as_it_was_read),
        cmocka_unit_test(one_in_a_folder_whose_name_is_no_utf8_is_told_with_the_name_escaped),
        cmocka_unit_test(of_two_with_one_name_the_later_version_is_installed_whatever_its_folder_is_called),
        cmocka_unit_test(of_two_packages_of_one_version_the_installed_one_stays_and_a_start_runs_neither),
        cmocka_unit_test(a_copy_in_another_folder_is_told_and_changes_nothing),
        cmocka_unit_test(a_folder_that_is_not_there_holds_none),
        cmocka_unit_test(others_find_packages_while_the_folder_is_read),
    };
    return cmocka_run_group_tests_name("installed packages", tests, NULL, NULL);
}
