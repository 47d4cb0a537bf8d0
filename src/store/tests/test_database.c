#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "helper.h"

static bool add_row(struct database *db, void *payload, struct error *err)
{
    return sql_run(db, err, "INSERT INTO object(name, container, offset, arrival) VALUES (?, 1, 2, 3)", "t",
                   (const char *)payload);
}

static bool add_row_and_fail(struct database *db, void *payload, struct error *err)
{
    return add_row(db, payload, err) && error_set(err, ERROR_MISMATCH, "on request");
}

static bool refuse_for_now(struct database *db, void *payload, struct error *err)
{
    return add_row(db, payload, err) && error_set(err, ERROR_BUSY, "not now");
}

static void a_failed_write_leaves_nothing(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    assert_false(store_write(place.store, STORE_REPLAYABLE, add_row_and_fail, "a", &place.err));
    assert_int_equal(place.err.code, ERROR_MISMATCH);
    assert_int_equal(helper_objects(place.store), 0);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_row, "a", &place.err));
    assert_int_equal(helper_objects(place.store), 1);
    helper_remove(&place);
}

static void a_second_row_with_the_same_key_is_a_duplicate(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    assert_true(store_write(place.store, STORE_DURABLE, add_row, "a", &place.err));
    assert_false(store_write(place.store, STORE_REPLAYABLE, add_row, "a", &place.err));
    assert_int_equal(place.err.code, ERROR_DUPLICATE);
    assert_false(store_write(place.store, STORE_REPLAYABLE, add_row, NULL, &place.err)); // NOT NULL
    assert_int_equal(place.err.code, ERROR_BAD_VALUE);
    helper_remove(&place);
}

static bool all_types(struct database *db, void *payload, struct error *err)
{
    static const char *const text = "SELECT ?, ?, ?, ?, ?";
    static const uint8_t blob[3] = {0, 1, 2};
    (void)payload;
    bool row;
    size_t size;
    struct sql *sql = sql_prepare(db, text, err);
    assert_non_null(sql);
    sql_bind_int(sql, 1, INT64_MIN);
    sql_bind_real(sql, 2, 0.25);
    sql_bind_text(sql, 3, "h\xC3\xBC");
    sql_bind_blob(sql, 4, blob, sizeof blob);
    assert_true(sql_step(sql, &row, err) && row);
    assert_true(sql_int(sql, 0) == INT64_MIN);
    assert_true(sql_real(sql, 1) == 0.25);
    assert_string_equal(sql_text(sql, 2), "h\xC3\xBC");
    assert_memory_equal(sql_blob(sql, 3, &size), blob, sizeof blob);
    assert_int_equal(size, sizeof blob);
    assert_true(sql_is_null(sql, 4) && !sql_text(sql, 4));
    // The same statement while the first runs.
    struct sql *again = sql_prepare(db, text, err);
    assert_non_null(again);
    assert_ptr_not_equal(sql, again);
    assert_true(sql_step(again, &row, err) && sql_is_null(again, 0));
    sql_done(again);
    sql_done(sql);
    return true;
}

static void values_go_in_and_out(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    assert_true(store_write(place.store, STORE_REPLAYABLE, all_types, NULL, &place.err));
    helper_remove(&place);
}

static bool many_statements(struct database *db, void *payload, struct error *err)
{
    static char texts[1000][32];
    (void)payload;
    int64_t value = 0;
    bool found;
    for (int i = 0; i < 10; i++) { // one address, other texts
        snprintf(texts[0], sizeof texts[0], "SELECT %d", i);
        if (!sql_get_int(db, err, &value, &found, texts[0], ""))
            return false;
        assert_int_equal(value, i);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            snprintf(texts[i], sizeof texts[i], "SELECT %d", i + round);
            if (!sql_get_int(db, err, &value, &found, texts[i], ""))
                return false;
            assert_int_equal(value, i + round);
        }
    }
    return true;
}

static void the_statement_cache_is_bounded_and_never_runs_another_text(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    assert_true(store_write(place.store, STORE_REPLAYABLE, many_statements, NULL, &place.err));
    helper_remove(&place);
}

static bool made_statements(struct database *db, void *payload, struct error *err)
{
    char text[32];
    (void)payload;
    bool row;
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "SELECT ?1 + %d", i % 500);
        struct sql *sql = sql_prepare_made(db, text, err);
        if (!sql)
            return false;
        sql_bind_int(sql, 1, i);
        assert_true(sql_step(sql, &row, err) && row && sql_int(sql, 0) == i + i % 500);
        sql_done(sql);
    }
    // The text is what is kept, wherever it stands.
    struct sql *sql = sql_prepare_made(db, "SELECT ?1 + 499", err);
    sql_done(sql);
    struct sql *again = sql_prepare_made(db, text, err);
    assert_ptr_equal(sql, again);
    sql_done(again);
    return true;
}

static void made_statements_are_kept_by_their_text_within_the_cache(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    assert_true(store_write(place.store, STORE_REPLAYABLE, made_statements, NULL, &place.err));
    helper_remove(&place);
}

static void a_reader_keeps_its_snapshot_and_cannot_write(void **state)
{
    struct place place;
    int64_t count;
    bool found;
    (void)state;
    helper_make(&place);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_non_null(db);
    assert_true(sql_get_int(db, &place.err, &count, &found, "SELECT count(*) FROM object", ""));
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_row, "a", &place.err));
    assert_true(sql_get_int(db, &place.err, &count, &found, "SELECT count(*) FROM object", ""));
    assert_int_equal(count, 0);
    store_read_end(place.store, db);
    db = store_read_begin(place.store, &place.err);
    assert_false(sql_run(db, &place.err, "DELETE FROM object", ""));
    store_read_end(place.store, db);
    assert_int_equal(helper_objects(place.store), 1);
    helper_remove(&place);
}

static void a_database_of_a_newer_program_is_refused(void **state)
{
    static const char *const two[] = {"CREATE TABLE a(x INTEGER) STRICT", "ALTER TABLE a ADD COLUMN y INTEGER", NULL};
    static const char *const one[] = {"CREATE TABLE a(x INTEGER) STRICT", NULL};
    struct store_migration newer = {.room = "room", .steps = two}, older = {.room = "room", .steps = one};
    struct place place;
    (void)state;
    helper_make(&place);
    assert_true(store_migrate(place.store, &older, &place.err));
    assert_true(store_migrate(place.store, &newer, &place.err));
    assert_true(store_migrate(place.store, &newer, &place.err));
    assert_false(store_migrate(place.store, &older, &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    helper_remove(&place);
}

static void a_folder_in_use_is_refused_with_the_process(void **state)
{
    struct place place;
    char pid[32];
    (void)state;
    helper_make(&place);
    assert_null(store_open(&(struct store_options){.folder = place.folder}, &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    snprintf(pid, sizeof pid, "process %d:", getpid());
    assert_non_null(strstr(place.err.message, pid));
    helper_remove(&place);
}

static void another_process_with_the_database_makes_busy_and_then_heals(void **state)
{
    struct place place;
    int out, in;
    char byte;
    (void)state;
    helper_make(&place);
    pid_t pid = helper_child("hold", place.folder, NULL, &out, &in);
    assert_int_equal(read(out, &byte, 1), 1);
    int64_t start = clock_monotonic_ns();
    assert_false(store_write(place.store, STORE_REPLAYABLE, add_row, "a", &place.err));
    assert_int_equal(place.err.code, ERROR_BUSY);
    assert_true(clock_monotonic_ns() - start < 8 * CLOCK_SECOND);
    assert_int_equal(helper_objects(place.store), 0); // reads go on
    close(in);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(out);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_row, "a", &place.err));
    helper_remove(&place);
}

static void who_asks_is_told_since_when_writes_fail_until_they_succeed(void **state)
{
    struct place place;
    int out, in;
    char byte;
    (void)state;
    helper_make(&place);
    pid_t pid = helper_child("hold", place.folder, NULL, &out, &in);
    assert_int_equal(read(out, &byte, 1), 1);
    assert_true(store_can_write(place.store, &place.err)); // nobody has tried
    assert_false(store_write(place.store, STORE_REPLAYABLE, add_row, "a", &place.err));
    int64_t start = clock_monotonic_ns();
    while (clock_monotonic_ns() < start + 3 * CLOCK_SECOND / 2) { // it tries again, and waits for nobody
        assert_false(store_can_write(place.store, &place.err));
        assert_int_equal(place.err.code, ERROR_BUSY);
        assert_non_null(strstr(place.err.message, "nothing can be written since 2"));
        assert_non_null(strstr(place.err.message, "another process holds the database"));
    }
    assert_true(clock_monotonic_ns() < start + 3 * CLOCK_SECOND);
    close(in);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(out);
    while (!store_can_write(place.store, &place.err)) // nobody else writes
        assert_true(clock_monotonic_ns() < start + 10 * CLOCK_SECOND);
    assert_false(store_write(place.store, STORE_REPLAYABLE, refuse_for_now, "a", &place.err));
    assert_int_equal(place.err.code, ERROR_BUSY);
    assert_true(store_can_write(place.store, &place.err)); // that was the caller's own refusal
    helper_remove(&place);
}

static void a_full_disk_makes_full_and_then_heals(void **state)
{
    struct place place;
    char name[32];
    int i = 0;
    (void)state;
    helper_make(&place);
    helper_limit_files(200 << 10);
    do
        snprintf(name, sizeof name, "%d", i++);
    while (store_write(place.store, STORE_REPLAYABLE, add_row, name, &place.err) && i < 10000);
    helper_limit_files(0);
    if (place.err.code != ERROR_FULL)
        fail_msg("%s", place.err.message);
    assert_int_equal(helper_objects(place.store), i - 1);
    assert_true(store_write(place.store, STORE_DURABLE, add_row, name, &place.err));
    assert_int_equal(helper_objects(place.store), i);
    helper_remove(&place);
}

// A row of each fills a page.
static void write_pages(struct place *place, int from, int to)
{
    char name[4000];
    for (int i = from; i < to; i++) {
        snprintf(name, sizeof name, "%d%*s", i, 3900, "");
        assert_true(store_write(place->store, STORE_REPLAYABLE, add_row, name, &place->err));
    }
}

static long size_of_log(const struct place *place)
{
    char path[HELPER_PATH];
    struct stat status;
    snprintf(path, sizeof path, "%.200s/hilum.db-wal", place->folder);
    assert_int_equal(stat(path, &status), 0);
    return (long)status.st_size;
}

static void the_log_of_the_database_stays_small(void **state)
{
    struct place place;
    (void)state;
    helper_make(&place);
    write_pages(&place, 0, 4000);
    assert_in_range(size_of_log(&place), 1 << 20, 8 << 20);
    helper_remove(&place);
}

struct overlap {
    struct store *store;
    atomic_bool stopping;
};

static void *read_on_and_on(void *payload)
{
    struct overlap *overlap = payload;
    struct error err;
    int64_t count;
    bool found;
    while (!atomic_load(&overlap->stopping)) {
        struct database *db = store_read_begin(overlap->store, &err);
        sql_get_int(db, &err, &count, &found, "SELECT rowid FROM object LIMIT 1", "");
        clock_sleep_ns(10 * CLOCK_MS);
        store_read_end(overlap->store, db);
    }
    return NULL;
}

// There is no moment at which nobody reads.
static void the_log_of_the_database_stays_small_among_readers(void **state)
{
    enum { READERS = 6 };
    struct place place;
    struct overlap overlap = {0};
    pthread_t readers[READERS];
    (void)state;
    helper_make(&place);
    overlap.store = place.store;
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on_and_on, &overlap), 0);
    write_pages(&place, 0, 12000);
    assert_in_range(size_of_log(&place), 1 << 20, 24 << 20);
    atomic_store(&overlap.stopping, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    helper_remove(&place);
}

// While one reader stands still the log must grow, but writing goes on, and the log is small again afterwards.
static void a_reader_that_stands_still_holds_up_no_writer(void **state)
{
    struct place place;
    int64_t count, begin;
    bool found;
    (void)state;
    helper_make(&place);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_true(sql_get_int(db, &place.err, &count, &found, "SELECT count(*) FROM object", ""));
    begin = clock_monotonic_ns();
    write_pages(&place, 0, 9000);
    assert_true(clock_monotonic_ns() - begin < 20 * CLOCK_SECOND);
    assert_true(size_of_log(&place) > 24 << 20);
    store_read_end(place.store, db);
    write_pages(&place, 9000, 12000);
    assert_in_range(size_of_log(&place), 1 << 20, 24 << 20);
    helper_remove(&place);
}

static void after_a_failed_sync_of_the_database_nothing_is_called_durable(void **state)
{
    struct place place;
    uint64_t replayed;
    (void)state;
    helper_make(&place);
    helper_fail_wal_syncs = 1;
    assert_false(store_write(place.store, STORE_DURABLE, add_row, "a", &place.err));
    assert_int_equal(place.err.code, ERROR_IO);
    assert_int_equal(helper_objects(place.store), 0);
    assert_non_null(store_stopped(place.store));
    assert_false(store_write(place.store, STORE_DURABLE, add_row, "b", &place.err)); // although the disk would sync now
    assert_int_equal(place.err.code, ERROR_IO);
    assert_true(store_write(place.store, STORE_REPLAYABLE, add_row, "c", &place.err));
    helper_reopen(&place, &replayed);
    assert_null(store_stopped(place.store));
    assert_true(store_write(place.store, STORE_DURABLE, add_row, "b", &place.err));
    assert_int_equal(helper_objects(place.store), 2);
    helper_remove(&place);
}

// The base leads to where the first steps lead; what came later is run behind it, and none of the first.
static void a_new_database_takes_the_steps_behind_the_base(void **state)
{
    static const char *const base[] = {"CREATE TABLE thing(one INTEGER, two INTEGER) STRICT", NULL};
    static const char *const steps[] = {"CREATE TABLE thing(one INTEGER) STRICT",
                                        "ALTER TABLE thing ADD COLUMN two INTEGER",
                                        "ALTER TABLE thing ADD COLUMN three INTEGER", NULL};
    static const struct store_migration migration = {.room = "based", .steps = steps, .base = base, .base_steps = 2};
    struct place place;
    int64_t value;
    bool found;
    (void)state;
    helper_make(&place);
    for (int i = 0; i < 2; i++) // the second time there is nothing to do
        assert_true(store_migrate(place.store, &migration, &place.err));
    struct database *db = store_read_begin(place.store, &place.err);
    assert_true(sql_get_int(db, &place.err, &value, &found, "SELECT count(three) FROM thing", ""));
    assert_true(sql_get_int(db, &place.err, &value, &found, "SELECT step FROM migration WHERE room='based'", ""));
    assert_int_equal(value, 3);
    store_read_end(place.store, db);
    helper_remove(&place);
}

int test_database(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_write_leaves_nothing),
        cmocka_unit_test(a_second_row_with_the_same_key_is_a_duplicate),
        cmocka_unit_test(values_go_in_and_out),
        cmocka_unit_test(the_statement_cache_is_bounded_and_never_runs_another_text),
        cmocka_unit_test(made_statements_are_kept_by_their_text_within_the_cache),
        cmocka_unit_test(a_reader_keeps_its_snapshot_and_cannot_write),
        cmocka_unit_test(a_database_of_a_newer_program_is_refused),
        cmocka_unit_test(a_folder_in_use_is_refused_with_the_process),
        cmocka_unit_test(another_process_with_the_database_makes_busy_and_then_heals),
        cmocka_unit_test(who_asks_is_told_since_when_writes_fail_until_they_succeed),
        cmocka_unit_test(a_full_disk_makes_full_and_then_heals),
        cmocka_unit_test(after_a_failed_sync_of_the_database_nothing_is_called_durable),
        cmocka_unit_test(the_log_of_the_database_stays_small),
        cmocka_unit_test(the_log_of_the_database_stays_small_among_readers),
        cmocka_unit_test(a_reader_that_stands_still_holds_up_no_writer),
        cmocka_unit_test(a_new_database_takes_the_steps_behind_the_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
