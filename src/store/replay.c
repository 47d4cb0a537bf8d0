// [R3] to [R7]: what lanes hold and rows do not, handed over again; then lanes become packs.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "store/pack.h"
#include "store/scan.h"

enum { REPLAY_RECORDS_MAX = 1 << 28 };

struct found {
    struct store_place place;
    uint64_t arrival;
};

struct unlisted {
    uint64_t container, arrival_last;
};

struct run {
    struct store *store;
    const struct store_replay *replay;
    struct found *found; // to hand over
    size_t count, capacity;
    uint64_t arrival_last;
    struct pack *lanes; // without descriptors: there may be more of them than a process may open
    size_t lane_count;
    uint64_t *listed; // numbers of the packs that the table lists, ascending
    size_t listed_count;
    struct unlisted *packs;
    size_t pack_count;
    uint64_t container_last; // of the packs
    uint64_t unreadable;
};

static void show(const struct run *run, const char *what, uint64_t done, uint64_t total)
{
    if (run->replay->progress)
        run->replay->progress(run->replay->payload, what, done, total);
}

static bool add_found(struct run *run, const struct store_record *record, struct error *err)
{
    if (run->count == run->capacity) {
        size_t capacity = run->capacity ? run->capacity * 2 : 64;
        struct found *grown = capacity <= REPLAY_RECORDS_MAX ? realloc(run->found, capacity * sizeof *grown) : NULL;
        if (!grown)
            return error_set(err, ERROR_MEMORY, "no memory to replay %zu records", run->count);
        run->found = grown;
        run->capacity = capacity;
    }
    run->found[run->count++] = (struct found){record->place, record->arrival};
    return true;
}

// ---- walking

static void tell_damaged(const struct pack *pack)
{
    char subject[ALARM_SUBJECT_SIZE];
    snprintf(subject, sizeof subject, "container %llu", (unsigned long long)pack->container);
    alarm_raise(
        ALARM_CONTAINER, subject,
        "it ends or is damaged at offset %llu, where an object was: objects in it cannot be read. Nothing is cut "
        "off; restore the file from a backup",
        (unsigned long long)pack->end);
}

// All records of one container: new ones are to be handed over, and all are in its index.
static bool walk(struct run *run, struct pack *pack, uint64_t *arrival_last, struct error *err)
{
    struct scan scan;
    struct format_record record;
    enum scan_kind kind;
    bool found = false;
    bool ok = scan_begin(&scan, run->store, run->replay, pack->container, pack->fd, err);
    while (ok && (ok = scan_next(&scan, &record, &kind, &found, err)) && found) {
        if (record.record.arrival > *arrival_last)
            *arrival_last = record.record.arrival;
        ok = format_index_add(&pack->index, &record.record, err) &&
             (kind != SCAN_NEW || add_found(run, &record.record, err));
    }
    pack->end = scan.end;
    // Rows name the place where the records end: what lies there was synced once, so no power cut tore it. Where
    // nothing lies there, the file was cut.
    if (ok)
        ok = run->replay->known(run->replay->payload, &(struct store_place){pack->container, scan.end}, &pack->damaged,
                                err);
    if (ok && pack->damaged)
        tell_damaged(pack);
    else if (ok && scan.size > scan.end)
        log_debug("store", "container %llu: %llu bytes behind its last record", (unsigned long long)pack->container,
                  (unsigned long long)(scan.size - scan.end));
    scan_end(&scan);
    if (*arrival_last > run->arrival_last)
        run->arrival_last = *arrival_last;
    return ok;
}

static bool walk_file(struct run *run, int folder_fd, const char *name, struct pack *pack, uint64_t *arrival_last,
                      struct error *err)
{
    size_t before = run->count;
    pack->fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (pack->fd < 0)
        return error_errno(err, errno, "cannot open %s", name);
    bool ok = walk(run, pack, arrival_last, err) || error_prefix(err, "%s", name);
    // What a kill has left may be in the page cache only, and its rows come next [S1].
    ok = ok && (run->count == before || file_sync(pack->fd, name, err));
    close(pack->fd);
    pack->fd = -1;
    return ok;
}

static bool walk_lanes(struct run *run, struct error *err)
{
    uint64_t *numbers;
    size_t count;
    char name[STORE_NAME_SIZE];
    if (!store_list(run->store->lanes_fd, ".lane", &numbers, &count, err))
        return false;
    run->lanes = calloc(count ? count : 1, sizeof *run->lanes);
    bool ok = run->lanes || error_set(err, ERROR_MEMORY, "no memory for %zu lanes", count);
    for (size_t i = 0; ok && i < count; i++) {
        uint64_t arrival_last = 0;
        run->lanes[run->lane_count] = (struct pack){.container = numbers[i], .fd = -1};
        store_lane_name(name, numbers[i]);
        ok = walk_file(run, run->store->lanes_fd, name, &run->lanes[run->lane_count++], &arrival_last, err);
    }
    free(numbers);
    return ok;
}

static int compare_lane(const void *key, const void *item)
{
    uint64_t x = *(const uint64_t *)key, y = ((const struct pack *)item)->container;
    return (x > y) - (x < y);
}

static bool is_lane(const struct run *run, uint64_t container)
{
    return bsearch(&container, run->lanes, run->lane_count, sizeof *run->lanes, compare_lane) != NULL;
}

static bool is_listed(const struct run *run, uint64_t container)
{
    return store_list_has(run->listed, run->listed_count, container);
}

// How many records its index says it has; 0 when that is damaged.
static uint64_t count_by_index(struct store *store, const char *name)
{
    struct error err;
    uint64_t count = 0, offset;
    int fd = openat(store->packs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && !format_index_check(fd, &count, &offset, &err)) {
        log_error("store", "%s: %s", name, err.message);
        count = 0;
    }
    if (fd >= 0)
        close(fd);
    return count;
}

static void compare_with_index(struct run *run, const struct pack *pack, uint64_t indexed)
{
    char subject[ALARM_SUBJECT_SIZE];
    if (pack->index.count >= indexed)
        return;
    uint64_t unreadable = indexed - pack->index.count;
    run->unreadable += unreadable;
    snprintf(subject, sizeof subject, "container %llu", (unsigned long long)pack->container);
    alarm_raise(ALARM_CONTAINER, subject, "%llu of its %llu objects cannot be read: restore the pack from a backup",
                (unsigned long long)unreadable, (unsigned long long)indexed);
}

static bool walk_pack(struct run *run, uint64_t container, bool all, struct error *err)
{
    struct pack pack = {.container = container, .fd = -1};
    uint64_t arrival_last = 0;
    char name[STORE_NAME_SIZE];
    bool listed = is_listed(run, container);
    // A file with both names was on its way from one to the other, and is a lane still.
    if (is_lane(run, container))
        return true;
    run->container_last = container; // they come in order
    if (listed && !all)
        return true;
    store_pack_name(name, container);
    uint64_t indexed = count_by_index(run->store, name);
    bool ok = walk_file(run, run->store->packs_fd, name, &pack, &arrival_last, err);
    if (ok)
        compare_with_index(run, &pack, indexed);
    format_index_free(&pack.index);
    if (ok && !listed)
        run->packs[run->pack_count++] = (struct unlisted){container, arrival_last};
    return ok;
}

static bool walk_packs(struct run *run, bool all, struct error *err)
{
    uint64_t *numbers;
    size_t count;
    if (!store_list(run->store->packs_fd, ".pack", &numbers, &count, err))
        return false;
    run->packs = calloc(count ? count : 1, sizeof *run->packs);
    bool ok = run->packs || error_set(err, ERROR_MEMORY, "no memory for %zu packs", count);
    for (size_t i = 0; ok && i < count; i++) {
        ok = walk_pack(run, numbers[i], all, err);
        show(run, "packs", i + 1, count);
    }
    free(numbers);
    return ok;
}

// ---- handing over

static int compare_arrival(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

static bool hand_over_from(struct run *run, int fd, const struct store_place *place, struct error *err)
{
    char meta[STORE_META_MAX + 1];
    struct format_record record;
    if (!format_read_record(fd, place, run->store->id, &record, err) ||
        !file_pread(fd, meta, record.meta_size, place->offset + STORE_RECORD_HEADER + record.record.size, err))
        return false;
    meta[record.meta_size] = '\0';
    return run->replay->record(run->replay->payload, &record.record, meta, record.meta_size, err);
}

static bool hand_over(struct run *run, struct error *err)
{
    if (run->count > 0)
        qsort(run->found, run->count, sizeof *run->found, compare_arrival);
    for (size_t i = 0; i < run->count; i++) {
        const struct store_place *place = &run->found[i].place;
        int fd;
        if (!store_acquire(run->store, place->container, &fd, err))
            return false;
        bool ok = hand_over_from(run, fd, place, err);
        store_release(run->store, place->container);
        if (!ok)
            return error_prefix(err, "replay of container %llu", (unsigned long long)place->container);
        show(run, "objects", i + 1, run->count);
    }
    return true;
}

// ---- closing

static bool close_lane(struct run *run, struct pack *lane, struct error *err)
{
    struct store *store = run->store;
    char name[STORE_NAME_SIZE];
    store_lane_name(name, lane->container);
    if (lane->damaged)
        return true; // stays a lane
    if (lane->index.count == 0)
        return unlinkat(store->lanes_fd, name, 0) == 0 ||
               error_errno(err, errno, "cannot remove the empty lane %s", name);
    lane->fd = openat(store->lanes_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (lane->fd < 0)
        return error_errno(err, errno, "cannot open %s", name);
    bool ok = pack_make(store, lane, err);
    close(lane->fd);
    lane->fd = -1;
    return ok;
}

static bool close_all(struct run *run, struct error *err)
{
    for (size_t i = 0; i < run->lane_count; i++)
        if (!close_lane(run, &run->lanes[i], err))
            return false;
    for (size_t i = 0; i < run->pack_count; i++)
        if (!pack_list(run->store, run->packs[i].container, run->packs[i].arrival_last, err))
            return false;
    return pack_settle(run->store, err);
}

// Past every epoch that this folder had: what came after an older copy, which no anchor tells, began before now.
static bool raise_epoch(struct database *db, void *payload, struct error *err)
{
    return sql_run(db, err, "UPDATE store_state SET epoch = ?", "i", *(const int64_t *)payload);
}

// [R6]
static bool new_epoch(struct run *run, struct error *err)
{
    struct store *store = run->store;
    if (run->count == 0 && run->pack_count == 0 && store->was_clean && !store->older[0])
        return true;
    uint64_t last = atomic_load(&store->board.epoch), anchored = store->anchor.found.epoch;
    int64_t next = (int64_t)((last > anchored ? last : anchored) + 1), now = clock_now_ns() / CLOCK_SECOND;
    if (store->older[0] && next < now)
        next = now;
    if (!store_write(store, STORE_DURABLE, raise_epoch, &next, err))
        return false;
    atomic_store(&store->board.epoch, (uint64_t)next);
    atomic_store(&store->durable.epoch, (uint64_t)next);
    return true;
}

// ---- comparing

// [A7] Numbers go on behind what was there, and the anchor holds to what is there now.
static void compare_arrivals(struct run *run)
{
    struct store *store = run->store;
    uint64_t listed = atomic_load(&store->next_arrival) - 1, anchored = store->anchor.found.arrival;
    uint64_t last = listed > run->arrival_last ? listed : run->arrival_last;
    if (last < anchored)
        alarm_raise(ALARM_CONTAINER, "arrivals",
                    "the last object has arrival number %llu, and %llu was there: files with objects are gone",
                    (unsigned long long)last, (unsigned long long)anchored);
    atomic_store(&store->next_arrival, (last > anchored ? last : anchored) + 1);
    run->arrival_last = last;
}

// [R7] All that is there is synced by now.
static bool compare_all(struct run *run, struct error *err)
{
    struct store *store = run->store;
    atomic_store(&store->durable.arrival, run->arrival_last);
    store_note_durable(&store->durable.container, run->container_last);
    return missing_find(store, run->replay, err) && anchor_if_room(store, err);
}

static bool run_all(struct run *run, bool all, struct error *err)
{
    struct store *store = run->store;
    if (!walk_lanes(run, err) || !pack_listed(store, &run->listed, &run->listed_count, err) ||
        !walk_packs(run, all, err))
        return false;
    // Nor need a killed process have synced the names of its lanes [S2].
    if (run->count > 0 && fsync(store->lanes_fd) != 0)
        return error_errno(err, errno, "cannot sync folder lanes");
    compare_arrivals(run);
    return hand_over(run, err) && close_all(run, err) && new_epoch(run, err) && compare_all(run, err);
}

bool store_replay(struct store *store, const struct store_replay *replay, bool all, struct store_replayed *out,
                  struct error *err)
{
    struct run run = {.store = store, .replay = replay};
    bool ok = run_all(&run, all, err);
    if (ok && (run.count > 0 || run.lane_count > 0))
        log_info("store", "replay: %zu lanes closed, %zu objects handed over", run.lane_count, run.count);
    *out = (struct store_replayed){run.count, run.unreadable};
    for (size_t i = 0; i < run.lane_count; i++)
        format_index_free(&run.lanes[i].index);
    free(run.lanes);
    free(run.listed);
    free(run.packs);
    free(run.found);
    return ok;
}
