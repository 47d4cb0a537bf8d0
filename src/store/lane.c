// Lanes: one writer appends records to a file of its own.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "store/pack.h"

struct store_lane {
    struct store *store;
    struct pack pack; // container (0: no file yet), descriptor, end of the last sealed record, index
    struct hash *hash;
    uint64_t begin;  // of the data of the record begun or sealed last
    uint64_t at;     // where the next bytes go
    uint64_t zeroed; // end of the zeros written ahead; 0 without
    bool open;       // a record is begun
    bool hashed;     // `digest` is that of the data, which is whole
    uint8_t digest[HASH_SIZE];
    bool folder_synced; // [S2]
    bool dead;          // a sync failed: what the page cache says can no longer be believed
};

struct store_lane *store_lane_open(struct store *store, struct error *err)
{
    struct store_lane *lane = calloc(1, sizeof *lane);
    if (lane) {
        lane->store = store;
        lane->pack.fd = -1;
        lane->hash = hash_new();
    }
    if (lane && lane->hash)
        return lane;
    free(lane);
    error_set(err, ERROR_MEMORY, "no memory for a lane");
    return NULL;
}

bool store_lane_is_used_up(const struct store_lane *lane)
{
    return lane->zeroed > 0 && lane->pack.end >= lane->zeroed && spares_any(lane->store);
}

uint64_t store_lane_size(const struct store_lane *lane)
{
    return lane->pack.end;
}

// ---- the file

static bool insert_row(struct database *db, void *payload, struct error *err)
{
    const uint64_t *container = payload;
    return sql_run(db, err, "INSERT INTO container(number, packed, arrival_last) VALUES (?, 0, 0)", "i",
                   (int64_t)*container);
}

// A folder that we may not write to is our fault and not the sender's, whatever the code says.
static bool refuse_lane(const char *name, int code, struct error *err)
{
    if (code == ENOSPC || code == EDQUOT)
        return error_errno(err, code, "cannot create lane %s", name);
    error_set(err, ERROR_IO, "cannot create lane %s: %s", name, strerror(code));
    alarm_raise(ALARM_CONTAINER, "lanes", "no object can be stored, for %s", err->message);
    return false;
}

// The row comes before any row of another room that names the container [R2].
static bool make_file(struct store_lane *lane, struct error *err)
{
    struct store *store = lane->store;
    uint8_t header[STORE_FILE_HEADER];
    char name[STORE_NAME_SIZE];
    uint64_t container = atomic_fetch_add(&store->next_container, 1);
    if (!store_write(store, STORE_REPLAYABLE, insert_row, &container, err))
        return false;
    store_lane_name(name, container);
    int fd = -1;
    lane->zeroed = 0;
    if (!spares_take(store, name, &fd, &lane->zeroed))
        fd = openat(store->lanes_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return refuse_lane(name, errno, err);
    format_file_header(header, container, store->id);
    if (!file_pwrite(fd, header, sizeof header, 0, err)) {
        close(fd);
        unlinkat(store->lanes_fd, name, 0);
        return false;
    }
    lane->pack = (struct pack){.container = container, .fd = fd, .end = STORE_FILE_HEADER};
    return true;
}

// ---- a record

bool store_record_begin(struct store_lane *lane, struct error *err)
{
    if (!store_can_take(lane->store, 0, err))
        return false;
    if (lane->dead)
        return error_set(err, ERROR_IO, "lane %llu is out of use since a sync failed",
                         (unsigned long long)lane->pack.container);
    spares_touch(lane->store);
    if (lane->pack.container == 0 && !make_file(lane, err))
        return false;
    store_record_drop(lane);
    lane->begin = lane->pack.end + STORE_RECORD_HEADER;
    lane->at = lane->begin;
    lane->open = true;
    lane->hashed = false;
    hash_start(lane->hash);
    return true;
}

bool store_record_write(struct store_lane *lane, const void *data, size_t size, struct error *err)
{
    if (!lane->open || lane->hashed)
        return error_set(err, ERROR_INTERNAL, "data written to a lane without store_record_begin");
    hash_add(lane->hash, data, size);
    bool has_blocks = lane->at + size <= lane->zeroed;
    if ((!has_blocks && !store_can_take(lane->store, size, err)) ||
        !file_pwrite(lane->pack.fd, data, size, lane->at, err))
        return error_prefix(err, "lane %llu", (unsigned long long)lane->pack.container);
    lane->at += size;
    fault_point("lane.mid_write");
    return true;
}

// Cut, so that no bytes of a dropped record lie where the next header is looked for; if the cut fails they are
// overwritten or found to be no record.
void store_record_drop(struct store_lane *lane)
{
    if (!lane->open)
        return;
    lane->open = false;
    lane->zeroed = 0;
    if (!lane->dead && ftruncate(lane->pack.fd, (off_t)lane->pack.end) != 0)
        log_warning("store", "lane %llu could not be cut at %llu", (unsigned long long)lane->pack.container,
                    (unsigned long long)lane->pack.end);
}

void store_record_digest(struct store_lane *lane, uint8_t out[HASH_SIZE])
{
    if (!lane->hashed)
        hash_end(lane->hash, lane->digest);
    lane->hashed = true;
    memcpy(out, lane->digest, HASH_SIZE);
}

struct reader store_record_reader(const struct store_lane *lane)
{
    return reader_from_fd(lane->pack.fd, lane->begin, lane->at - lane->begin);
}

static void copy_to_quarantine(struct store_lane *lane, struct store_quarantine *file)
{
    uint8_t block[16 << 10];
    struct error err;
    for (uint64_t at = lane->pack.end + STORE_RECORD_HEADER; at < lane->at;) {
        size_t size = lane->at - at < sizeof block ? (size_t)(lane->at - at) : sizeof block;
        if (!file_pread(lane->pack.fd, block, size, at, &err)) {
            log_warning("store", "quarantine is cut short: %s", err.message);
            return;
        }
        store_quarantine_write(file, block, size);
        at += size;
    }
}

void store_record_quarantine(struct store_lane *lane, const char *reason)
{
    struct store_quarantine *file = lane->open ? store_quarantine_open(lane->store) : NULL;
    if (file) {
        copy_to_quarantine(lane, file);
        store_quarantine_close(file, reason);
    }
    store_record_drop(lane);
}

// -> WRITTEN. The header last: until it is there the bytes are no record.
static bool write_rest(struct store_lane *lane, const void *meta, size_t meta_size, struct format_record *out,
                       struct error *err)
{
    uint8_t header[STORE_RECORD_HEADER];
    struct store_record *record = &out->record;
    record->place = (struct store_place){lane->pack.container, lane->pack.end};
    record->arrival = atomic_fetch_add(&lane->store->next_arrival, 1);
    record->size = lane->at - lane->pack.end - STORE_RECORD_HEADER;
    store_record_digest(lane, record->digest);
    out->meta_size = (uint32_t)meta_size;
    hash_of(meta, meta_size, out->meta_digest);
    format_record_header(header, out, lane->store->id);
    if (!file_pwrite(lane->pack.fd, meta, meta_size, lane->at, err) ||
        !format_index_add(&lane->pack.index, record, err))
        return false;
    if (file_pwrite(lane->pack.fd, header, sizeof header, record->place.offset, err))
        return true;
    lane->pack.index.count--;
    return false;
}

// -> SYNCED [S1, S2]
static bool sync_record(struct store_lane *lane, struct error *err)
{
    fault_point("lane.after_write");
    if (!file_sync(lane->pack.fd, "the lane", err))
        return false;
    if (!lane->folder_synced && fsync(lane->store->lanes_fd) != 0)
        return error_errno(err, errno, "cannot sync folder lanes");
    lane->folder_synced = true;
    fault_point("lane.after_sync");
    return true;
}

// After a failed sync some pages of the record may be on the disk and some not, and the kernel calls them all clean.
// The tombstone makes it void whichever they are.
static bool kill_lane(struct store_lane *lane, const struct store_record *record, struct error *err)
{
    struct error ignored;
    lane->dead = true;
    store_sync_failed(lane->store, err);
    log_error("store", "lane %llu is out of use: %s", (unsigned long long)lane->pack.container, err->message);
    store_record_withdraw(lane->store, record, &ignored);
    return false;
}

bool store_record_seal(struct store_lane *lane, const void *meta, size_t meta_size, struct store_record *out,
                       struct error *err)
{
    struct format_record record = {0};
    if (!lane->open)
        return error_set(err, ERROR_INTERNAL, "a record sealed without store_record_begin");
    if (meta_size > STORE_META_MAX) {
        store_record_drop(lane);
        return error_set(err, ERROR_LIMIT, "a meta text of %zu bytes; %d is the limit", meta_size, STORE_META_MAX);
    }
    if (!write_rest(lane, meta, meta_size, &record, err)) {
        store_record_drop(lane);
        return false;
    }
    lane->open = false;
    lane->pack.end = format_record_end(&record);
    if (!sync_record(lane, err))
        return kill_lane(lane, &record.record, err);
    store_note_durable(&lane->store->durable.arrival, record.record.arrival);
    spares_touch(lane->store);
    *out = record.record;
    return true;
}

// ---- closing

static bool remove_empty(struct store_lane *lane, struct error *err)
{
    char name[STORE_NAME_SIZE];
    store_lane_name(name, lane->pack.container);
    if (unlinkat(lane->store->lanes_fd, name, 0) != 0)
        return error_errno(err, errno, "cannot remove the empty lane %s", name);
    pack_forget(lane->store, lane->pack.container);
    return true;
}

static bool finish(struct store_lane *lane, struct error *err)
{
    if (lane->pack.container == 0)
        return true;
    if (lane->dead)
        return error_set(err, ERROR_IO, "lane %llu stays a lane until the next start, since a sync failed",
                         (unsigned long long)lane->pack.container);
    if (lane->pack.index.count == 0)
        return remove_empty(lane, err);
    bool ok = pack_make(lane->store, &lane->pack, err);
    spares_note(lane->store, lane->pack.end);
    return ok;
}

bool store_lane_close(struct store_lane *lane, struct error *err)
{
    if (!lane)
        return true;
    store_record_drop(lane);
    bool ok = finish(lane, err);
    if (!ok)
        alarm_raise(ALARM_CONTAINER, "lanes", "one cannot be closed, and stays for the next start to close: %s",
                    err->message);
    if (lane->pack.fd >= 0)
        close(lane->pack.fd);
    format_index_free(&lane->pack.index);
    hash_free(lane->hash);
    free(lane);
    return ok;
}
