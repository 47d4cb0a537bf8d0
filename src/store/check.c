// A look through the database and at the packs' ends, once, beside the work of the day [A12].
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/format.h"

enum { TABLES_MAX = 256, TABLE_NAME_SIZE = 64 };

struct tables {
    char names[TABLES_MAX][TABLE_NAME_SIZE];
    size_t count;
};

// ---- the database

static bool list_tables(struct database *db, struct tables *tables, struct error *err)
{
    struct sql *sql =
        sql_prepare(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY rootpage", err);
    bool row = true, ok = sql != NULL;
    tables->count = 0;
    while (ok && tables->count < TABLES_MAX && (ok = sql_step(sql, &row, err)) && row)
        snprintf(tables->names[tables->count++], TABLE_NAME_SIZE, "%s", sql_text(sql, 0));
    sql_done(sql);
    return ok;
}

// The table and its indexes.
static bool check_table(struct database *db, const char *name, struct error *err)
{
    bool row = false;
    struct sql *sql = sql_prepare(db, "SELECT quick_check FROM pragma_quick_check(?)", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, name);
    bool ok = sql_step(sql, &row, err);
    if (ok && row && strcmp(sql_text(sql, 0), "ok") != 0)
        ok = error_set(err, ERROR_BAD_DATA, "table %s is damaged: %.120s", name, sql_text(sql, 0));
    sql_done(sql);
    return ok;
}

bool check_database(struct database *db, struct error *err)
{
    struct tables tables;
    bool ok = list_tables(db, &tables, err);
    for (size_t i = 0; ok && i < tables.count; i++)
        ok = check_table(db, tables.names[i], err);
    return ok;
}

// A table at a time, so that no snapshot is held for long.
static bool check_one(struct store *store, const char *name, struct error *err)
{
    struct database *db = store_read_begin(store, err);
    bool ok = db && check_table(db, name, err);
    store_read_end(store, db);
    return ok;
}

static bool read_tables(struct store *store, struct tables *tables, struct error *err)
{
    struct database *db = store_read_begin(store, err);
    bool ok = db && list_tables(db, tables, err);
    store_read_end(store, db);
    return ok;
}

static void check_tables(struct store *store)
{
    struct tables tables;
    struct error err;
    bool ok = read_tables(store, &tables, &err);
    for (size_t i = 0; ok && i < tables.count && !atomic_load(&store->check.stopping); i++)
        ok = check_one(store, tables.names[i], &err);
    if (!ok && err.code == ERROR_BAD_DATA)
        alarm_raise(ALARM_DATABASE, "hilum.db",
                    "%s. Restore it from a backup, or stop the server and run `hilum rebuild`", err.message);
    else if (!ok)
        log_warning("store", "the database could not be looked through: %s", err.message);
}

// ---- the packs

static void check_pack(struct store *store, uint64_t container)
{
    char name[STORE_NAME_SIZE], subject[ALARM_SUBJECT_SIZE];
    uint64_t count, offset;
    struct error err;
    store_pack_name(name, container);
    int fd = openat(store->packs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return; // that it is not there was seen at the start, or is when it is read
    if (!format_index_check(fd, &count, &offset, &err)) {
        snprintf(subject, sizeof subject, "container %llu", (unsigned long long)container);
        alarm_raise(ALARM_CONTAINER, subject, "%s: %s. Restore it from a backup", name, err.message);
    }
    close(fd);
}

static void check_packs(struct store *store)
{
    uint64_t *numbers;
    size_t count;
    struct error err;
    if (!store_list(store->packs_fd, ".pack", &numbers, &count, &err)) {
        log_warning("store", "the packs could not be looked at: %s", err.message);
        return;
    }
    for (size_t i = 0; i < count && !atomic_load(&store->check.stopping); i++)
        check_pack(store, numbers[i]);
    free(numbers);
}

// ---- the thread

static void *run(void *payload)
{
    struct store *store = payload;
    int64_t begun_ns = clock_monotonic_ns();
    check_tables(store);
    check_packs(store);
    if (!atomic_load(&store->check.stopping))
        log_info("store", "database and packs were looked through in %lld ms",
                 (long long)((clock_monotonic_ns() - begun_ns) / CLOCK_MS));
    return NULL;
}

bool store_check_start(struct store *store, struct error *err)
{
    int code = pthread_create(&store->check.thread, NULL, run, store);
    store->check.runs = code == 0;
    return store->check.runs || error_errno(err, code, "cannot start the thread that looks through the database");
}

void check_stop(struct store *store)
{
    atomic_store(&store->check.stopping, true);
    if (store->check.runs)
        pthread_join(store->check.thread, NULL);
    store->check.runs = false;
}
