#include "store/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
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

static bool same_file(int fd, int folder_fd, const char *name)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && fstatat(folder_fd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

// Two steps with a sync between, not one rename: nothing promises that a rename from folder to folder reaches the disk
// whole, and so the file always has one synced name.
static bool name_in_packs(struct store *store, const struct pack *pack, struct error *err)
{
    char lane[STORE_NAME_SIZE], name[STORE_NAME_SIZE];
    store_lane_name(lane, pack->container);
    store_pack_name(name, pack->container);
    fault_point("pack.before_rename");
    if (linkat(store->lanes_fd, lane, store->packs_fd, name, 0) != 0 &&
        !(errno == EEXIST && same_file(pack->fd, store->packs_fd, name)))
        return error_errno(err, errno, "cannot give %s its name in packs (the file system must have hard links)", lane);
    if (fsync(store->packs_fd) != 0) { // [S5]
        error_errno(err, errno, "cannot sync folder packs");
        return sync_failed(store, err);
    }
    store_note_durable(&store->durable.container, pack->container);
    fault_point("pack.after_rename");
    return true;
}

static bool leave_lanes(struct store *store, const struct pack *pack, struct error *err)
{
    char lane[STORE_NAME_SIZE];
    store_lane_name(lane, pack->container);
    return unlinkat(store->lanes_fd, lane, 0) == 0 || errno == ENOENT ||
           error_errno(err, errno, "cannot remove %s", lane);
}

struct listing {
    uint64_t container, arrival_last;
};

static bool insert_row(struct database *db, void *payload, struct error *err)
{
    const struct listing *listing = payload;
    return sql_run(db, err, "INSERT OR REPLACE INTO container(number, packed, arrival_last) VALUES (?, 1, ?)", "ii",
                   (int64_t)listing->container, (int64_t)listing->arrival_last);
}

bool pack_list(struct store *store, uint64_t container, uint64_t arrival_last, enum store_durability durability,
               struct error *err)
{
    struct listing listing = {container, arrival_last};
    return store_write(store, durability, insert_row, &listing, err);
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
    uint64_t arrival_last = 0;
    for (size_t i = 0; i < pack->index.count; i++)
        if (pack->index.entries[i].arrival > arrival_last)
            arrival_last = pack->index.entries[i].arrival;
    // [A7c] The row is synced, and so all that came before it, while the file is a lane still.
    return write_index(store, pack, err) && name_in_packs(store, pack, err) &&
           pack_list(store, pack->container, arrival_last, STORE_DURABLE, err) && leave_lanes(store, pack, err);
}
