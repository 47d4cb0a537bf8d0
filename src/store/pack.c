#include "store/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
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

static bool same_bytes(int a, int b, uint64_t size, struct error *err)
{
    uint8_t blocks[2][16 << 10];
    for (uint64_t at = 0; at < size; at += sizeof blocks[0]) {
        size_t count = size - at < sizeof blocks[0] ? (size_t)(size - at) : sizeof blocks[0];
        if (!file_pread(a, blocks[0], count, at, err) || !file_pread(b, blocks[1], count, at, err) ||
            memcmp(blocks[0], blocks[1], count) != 0)
            return false;
    }
    return true;
}

// A folder that was copied without its hard links has two files where one had two names. The pack is as good then.
static bool is_copied_as_two(const struct store *store, const struct pack *pack, const char *name)
{
    struct stat lane, other;
    struct error ignored;
    int fd = openat(store->packs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool same = fd >= 0 && fstat(pack->fd, &lane) == 0 && fstat(fd, &other) == 0 && lane.st_size == other.st_size &&
                same_bytes(pack->fd, fd, (uint64_t)lane.st_size, &ignored) && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return same;
}

static bool refuse_name(const char *lane, const char *name, int code, struct error *err)
{
    if (code == EEXIST)
        return error_set(err, ERROR_CONFLICT,
                         "lanes/%s and packs/%s are two files of one number that differ: take one out of the folder, "
                         "and keep it",
                         lane, name);
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
    if (code == EEXIST && (same_file(pack->fd, store->packs_fd, name) || is_copied_as_two(store, pack, name)))
        code = 0;
    if (code != 0)
        return refuse_name(lane, name, code, err);
    fault_point("pack.after_rename");
    return true;
}

static bool insert_row(struct database *db, const struct waiting_pack *pack, struct error *err)
{
    return sql_run(db, err, "INSERT OR REPLACE INTO container(number, packed, arrival_last) VALUES (?, 1, ?)", "ii",
                   (int64_t)pack->container, (int64_t)pack->arrival_last);
}

static bool list_one(struct database *db, void *payload, struct error *err)
{
    return insert_row(db, payload, err);
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

// ---- those that wait

static bool list_waiting(struct database *db, void *payload, struct error *err)
{
    const struct waiting_packs *waiting = payload;
    for (size_t i = 0; i < waiting->count; i++)
        if (!insert_row(db, &waiting->items[i], err))
            return false;
    return true;
}

static void leave_lanes(struct store *store, const struct waiting_packs *waiting)
{
    char lane[STORE_NAME_SIZE];
    for (size_t i = 0; i < waiting->count; i++) {
        store_lane_name(lane, waiting->items[i].container);
        if (unlinkat(store->lanes_fd, lane, 0) != 0 && errno != ENOENT)
            log_warning("store", "%s stays until the next start: error %d", lane, errno);
        store_note_durable(&store->durable.container, waiting->items[i].container);
    }
}

// [A7c] The rows are synced, and so all that came before them, while the files are lanes still. With the lock.
static bool settle(struct store *store, struct error *err)
{
    struct waiting_packs *waiting = &store->waiting;
    if (waiting->count == 0)
        return true;
    if (fsync(store->packs_fd) != 0) { // [S5]
        error_errno(err, errno, "cannot sync folder packs");
        return sync_failed(store, err);
    }
    fault_point("pack.after_sync");
    if (!store_write(store, STORE_DURABLE, list_waiting, waiting, err))
        return false;
    fault_point("pack.after_rows");
    leave_lanes(store, waiting);
    waiting->count = 0;
    return true;
}

bool pack_settle(struct store *store, struct error *err)
{
    pthread_mutex_lock(&store->waiting.lock);
    bool ok = settle(store, err);
    pthread_mutex_unlock(&store->waiting.lock);
    return ok;
}

static bool wait_to_settle(struct store *store, struct waiting_pack pack, struct error *err)
{
    struct waiting_packs *waiting = &store->waiting;
    pthread_mutex_lock(&waiting->lock);
    bool ok = waiting->count < PACKS_WAITING_MAX || settle(store, err);
    if (ok)
        waiting->items[waiting->count++] = pack;
    pthread_mutex_unlock(&waiting->lock);
    return ok;
}

bool pack_make(struct store *store, struct pack *pack, struct error *err)
{
    struct waiting_pack waiting = {.container = pack->container};
    for (size_t i = 0; i < pack->index.count; i++)
        if (pack->index.entries[i].arrival > waiting.arrival_last)
            waiting.arrival_last = pack->index.entries[i].arrival;
    return write_index(store, pack, err) && name_in_packs(store, pack, err) && wait_to_settle(store, waiting, err);
}
