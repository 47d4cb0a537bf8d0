#include "store/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"

static bool sync_failed(struct store *store, struct error *err)
{
    store_sync_failed(store, err);
    return false;
}

static bool write_index(struct store *store, struct pack *pack, struct error *err)
{
    struct buffer bytes;
    buffer_init(&bytes, (size_t)FORMAT_INDEX_MAX * 24 + 128);
    bool ok = format_index_bytes(&pack->index, pack->end, &bytes, err);
    // What lies behind the last record goes first: a longer index of an earlier try, or a dropped record's bytes.
    if (ok && ftruncate(pack->fd, (off_t)pack->end) != 0)
        ok = error_errno(err, errno, "cannot cut lane %llu", (unsigned long long)pack->container);
    ok = ok && file_pwrite(pack->fd, bytes.data, bytes.size, pack->end, err);
    buffer_free(&bytes);
    if (!ok || fsync(pack->fd) == 0) // [S4]
        return ok;
    error_errno(err, errno, "cannot sync the index of pack %llu", (unsigned long long)pack->container);
    return sync_failed(store, err);
}

static bool refuse_name(const char *lane, const char *name, int code, struct error *err)
{
    if (code == EEXIST)
        return error_set(err, ERROR_CONFLICT, "lanes/%s and packs/%s are two files of one number", lane, name);
    return error_errno(err, code, "cannot give lanes/%s its name in packs (the file system must have hard links)",
                       lane);
}

// Two steps with a sync between, not one rename: nothing promises that a rename from folder to folder reaches the disk
// whole, and so the file always has one synced name.
static bool name_in_packs(struct store *store, const struct pack *pack, struct error *err)
{
    char lane[STORE_NAME_SIZE], name[STORE_NAME_SIZE];
    store_lane_name(lane, pack->container);
    store_pack_name(name, pack->container);
    fault_point("pack.before_rename");
    int code = linkat(store->lanes_fd, lane, store->packs_fd, name, 0) == 0 ? 0 : errno;
    if (code != 0 && !(code == EEXIST && pair_is_one(store, pack->container)))
        return refuse_name(lane, name, code, err);
    fault_point("pack.after_rename");
    return true;
}

static bool list_one(struct database *db, void *payload, struct error *err)
{
    return pack_insert_row(db, payload, err);
}

bool pack_insert_row(struct database *db, const struct waiting_pack *pack, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO container(number, packed, arrival_last) VALUES (?, 1, ?) ON CONFLICT (number)"
                   " DO UPDATE SET packed = excluded.packed, arrival_last = excluded.arrival_last",
                   "ii", (int64_t)pack->container, (int64_t)pack->arrival_last);
}

bool pack_list(struct store *store, uint64_t container, uint64_t arrival_last, struct error *err)
{
    struct waiting_pack pack = {container, arrival_last};
    return store_write(store, STORE_REPLAYABLE, list_one, &pack, err);
}

static bool read_numbers(struct database *db, uint64_t *out, size_t limit, size_t *count, struct error *err)
{
    struct sql *sql = sql_prepare(db, "SELECT number FROM container WHERE packed = 1 ORDER BY number", err);
    bool row = true, ok = sql != NULL;
    while (ok && *count < limit && (ok = sql_step(sql, &row, err)) && row)
        out[(*count)++] = (uint64_t)sql_int(sql, 0);
    sql_done(sql);
    return ok;
}

// All at once: an archive has a pack for each association that it ever had.
bool pack_listed(struct store *store, uint64_t **out, size_t *count, struct error *err)
{
    int64_t rows = 0;
    bool found;
    struct database *db = store_read_begin(store, err);
    bool ok = db && sql_get_int(db, err, &rows, &found, "SELECT count(*) FROM container WHERE packed = 1", "");
    *count = 0;
    *out = ok ? calloc(rows > 0 ? (size_t)rows : 1, sizeof **out) : NULL;
    if (ok)
        ok = *out ? read_numbers(db, *out, (size_t)rows, count, err)
                  : error_set(err, ERROR_MEMORY, "no memory for the numbers of %lld packs", (long long)rows);
    store_read_end(store, db);
    return ok;
}

static bool update_row(struct database *db, void *payload, struct error *err)
{
    return sql_run(db, err, "UPDATE container SET packed = 2 WHERE number = ?", "i", *(const int64_t *)payload);
}

void pack_forget(struct store *store, uint64_t container)
{
    struct error err;
    int64_t number = (int64_t)container;
    if (!store_write(store, STORE_REPLAYABLE, update_row, &number, &err))
        log_debug("store", "container %llu stays listed as a lane: %s", (unsigned long long)container, err.message);
}

bool pack_make(struct store *store, struct pack *pack, struct error *err)
{
    struct waiting_pack waiting = {.container = pack->container};
    for (size_t i = 0; i < pack->index.count; i++)
        if (pack->index.entries[i].arrival > waiting.arrival_last)
            waiting.arrival_last = pack->index.entries[i].arrival;
    return write_index(store, pack, err) && name_in_packs(store, pack, err) && settle_later(store, waiting, err);
}
