#include "store/internal.h"

static bool steps_done(struct database *db, const char *room, int64_t *out, struct error *err)
{
    bool found = false;
    *out = 0;
    return sql_run(db, err, "CREATE TABLE IF NOT EXISTS migration(room TEXT PRIMARY KEY, step INTEGER NOT NULL) STRICT",
                   "") &&
           sql_get_int(db, err, out, &found, "SELECT step FROM migration WHERE room = ?", "t", room);
}

static int64_t count_of(const char *const *steps)
{
    int64_t count = 0;
    while (steps[count])
        count++;
    return count;
}

static bool run_steps(struct database *db, const char *const *steps, int64_t first, const char *room, struct error *err)
{
    for (int64_t step = first; steps[step]; step++)
        if (!database_exec(db, steps[step], err))
            return error_prefix(err, "step %lld of room %s", (long long)step + 1, room);
    return true;
}

static bool migrate(struct database *db, void *payload, struct error *err)
{
    const struct store_migration *migration = payload;
    int64_t done, count = count_of(migration->steps);
    if (!steps_done(db, migration->room, &done, err))
        return false;
    if (done > count)
        return error_set(err, ERROR_CONFLICT,
                         "the database was made by a newer program: room %s is at step %lld, this program knows %lld",
                         migration->room, (long long)done, (long long)count);
    if (done == count)
        return true;
    bool from_base = done == 0 && migration->base;
    return (!from_base || run_steps(db, migration->base, 0, migration->room, err)) &&
           run_steps(db, migration->steps, from_base ? migration->base_steps : done, migration->room, err) &&
           sql_run(
               db, err,
               "INSERT INTO migration(room, step) VALUES (?, ?) ON CONFLICT (room) DO UPDATE SET step = excluded.step",
               "ti", migration->room, count);
}

bool store_migrate(struct store *store, const struct store_migration *migration, struct error *err)
{
    return store_write(store, STORE_DURABLE, migrate, (void *)(uintptr_t)migration, err);
}
