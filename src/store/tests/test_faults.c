// kill -9 at each named point, in a child that tells what was acknowledged.
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"

// ---- the children

static int child_put(const char *folder)
{
    struct error err;
    struct store *store = helper_open(folder, &err);
    struct store_lane *lane = NULL;
    char name[32];
    if (!store)
        return 1;
    helper_replay(store);
    for (int i = 0; i < 24; i++) {
        if (!lane)
            lane = store_lane_open(store, &err);
        snprintf(name, sizeof name, "%d-%d", i, i * 7000);
        if (!lane || !helper_put(store, lane, name, i % 8 == 7, &err))
            dprintf(STDOUT_FILENO, "-%s\n", name);
        else
            dprintf(STDOUT_FILENO, "+%s\n", name);
        if (i % 6 == 5) {
            store_lane_close(lane, &err);
            lane = NULL;
        }
    }
    store_close(store);
    return 0;
}

static int child_hold(const char *folder)
{
    char path[HELPER_PATH], byte;
    sqlite3 *db;
    snprintf(path, sizeof path, "%.200s/hilum.db", folder);
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL) != SQLITE_OK)
        return 1;
    dprintf(STDOUT_FILENO, "x");
    if (read(STDIN_FILENO, &byte, 1) < 0)
        return 1;
    return sqlite3_close(db);
}

int helper_child_main(const char *what, const char *folder)
{
    return strcmp(what, "hold") == 0 ? child_hold(folder) : child_put(folder);
}

// ---- the tests

static void check_answers(struct store *store, FILE *answers, int *acknowledged)
{
    char line[64];
    while (fgets(line, sizeof line, answers)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '+')
            helper_check(store, line + 1);
        else
            assert_false(helper_has(store, line + 1, NULL));
        *acknowledged += line[0] == '+';
    }
}

static bool kill_at(const char *fault, int *acknowledged)
{
    struct place place;
    uint64_t replayed;
    int out, in, status;
    helper_forget_alarms(NULL);
    folder_make(place.folder, HELPER_PATH);
    pid_t pid = helper_child("put", place.folder, fault, &out, &in);
    close(in);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    FILE *answers = fdopen(out, "r");
    place.store = helper_open(place.folder, &place.err);
    if (!place.store)
        fail_msg("%s: %s", fault, place.err.message);
    helper_replay(place.store);
    check_answers(place.store, answers, acknowledged);
    fclose(answers);
    assert_int_equal(helper_alarms(), 0); // a kill takes nothing away
    assert_int_equal(helper_count(place.folder, "lanes", ".lane"), 0);
    assert_int_equal(store_event_last(place.store), (uint64_t)helper_objects(place.store));
    helper_reopen(&place, &replayed);
    assert_int_equal(replayed, 0);
    helper_remove(&place);
    if (!WIFSIGNALED(status))
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFSIGNALED(status);
}

static void every_acknowledged_object_survives_a_kill_at_each_point(void **state)
{
    static const struct {
        const char *point;
        int passes; // at least that many
    } points[] = {{"lane.mid_write", 23},    {"lane.after_write", 24},  {"lane.after_sync", 24},
                  {"rows.after_commit", 24}, {"pack.before_rename", 4}, {"pack.after_rename", 4},
                  {"pack.after_sync", 1},    {"pack.after_rows", 1}};
    (void)state;
    int acknowledged = 0;
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        int step = (points[i].passes + 3) / 4;
        for (int pass = 1; pass <= points[i].passes; pass += step) {
            char fault[64];
            snprintf(fault, sizeof fault, "%s:%d", points[i].point, pass);
            if (!kill_at(fault, &acknowledged))
                fail_msg("%s was not reached", fault);
        }
    }
    assert_true(acknowledged > 150);
}

static void without_a_kill_all_is_there(void **state)
{
    int acknowledged = 0;
    (void)state;
    assert_false(kill_at("none:1", &acknowledged));
    assert_int_equal(acknowledged, 21);
}

int test_faults(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_kill_all_is_there),
        cmocka_unit_test(every_acknowledged_object_survives_a_kill_at_each_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
