// DATA/tombstones: 64-byte entries, appended. Entry: "HILUMTB1", container, offset, arrival, SHA-256 of those 32 bytes.
// Behind them zeros, written ahead, so that an object can be put down when the disk is full, which is when it is
// needed.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/internal.h"

enum { TOMBSTONE_SIZE = 64, TOMBSTONES_MAX = 4 << 20, TOMBSTONES_AHEAD = 64 << 10 };
static const char magic[8] = {'H', 'I', 'L', 'U', 'M', 'T', 'B', '1'};

static int compare(const struct store_place *a, const struct store_place *b)
{
    if (a->container != b->container)
        return a->container < b->container ? -1 : 1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

// Index of the first place not before `place`.
static size_t lower_bound(const struct tombstones *stones, const struct store_place *place)
{
    size_t low = 0, high = stones->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&stones->places[middle], place) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has(const struct tombstones *stones, const struct store_place *place)
{
    size_t at = lower_bound(stones, place);
    return at < stones->count && compare(&stones->places[at], place) == 0;
}

static bool remember(struct tombstones *stones, const struct store_place *place, struct error *err)
{
    if (has(stones, place))
        return true;
    if (stones->count == stones->capacity) {
        size_t capacity = stones->capacity ? stones->capacity * 2 : 64;
        struct store_place *grown =
            capacity <= TOMBSTONES_MAX ? realloc(stones->places, capacity * sizeof *grown) : NULL;
        if (!grown)
            return error_set(err, ERROR_MEMORY, "no memory for %zu tombstones", stones->count);
        stones->places = grown;
        stones->capacity = capacity;
    }
    size_t at = lower_bound(stones, place);
    memmove(&stones->places[at + 1], &stones->places[at], (stones->count - at) * sizeof *place);
    stones->places[at] = *place;
    stones->count++;
    return true;
}

static bool decode(const uint8_t *entry, struct store_place *out)
{
    uint8_t digest[HASH_SIZE];
    hash_of(entry, 32, digest);
    if (memcmp(entry, magic, 8) != 0 || memcmp(entry + 32, digest, HASH_SIZE) != 0)
        return false;
    *out = (struct store_place){bytes_u64le(entry + 8), bytes_u64le(entry + 16)};
    return true;
}

// A torn entry is skipped: entries have one size, so those behind it are found all the same.
static bool load(struct tombstones *stones, uint64_t size, struct error *err)
{
    static const uint8_t zeros[TOMBSTONE_SIZE];
    uint8_t entry[TOMBSTONE_SIZE];
    struct store_place place;
    for (uint64_t at = 0; at + TOMBSTONE_SIZE <= size; at += TOMBSTONE_SIZE) {
        if (!file_pread(stones->fd, entry, sizeof entry, at, err))
            return false;
        if (memcmp(entry, zeros, sizeof zeros) == 0)
            continue;
        stones->end = at + TOMBSTONE_SIZE;
        if (!decode(entry, &place))
            log_warning("store", "tombstones: the entry at offset %llu is damaged", (unsigned long long)at);
        else if (!remember(stones, &place, err))
            return false;
    }
    return true;
}

// Best effort: without it a withdrawal still works while there is space.
static void write_ahead(struct tombstones *stones)
{
    static const uint8_t zeros[TOMBSTONES_AHEAD];
    struct stat status;
    struct error err;
    if (fstat(stones->fd, &status) == 0 && (uint64_t)status.st_size >= stones->end + TOMBSTONES_AHEAD / 2)
        return;
    if (!file_pwrite(stones->fd, zeros, sizeof zeros, stones->end, &err) || !file_sync(stones->fd, "tombstones", &err))
        log_warning("store", "no space is kept for tombstones: %s", err.message);
}

bool tombstones_open(struct store *store, struct error *err)
{
    struct tombstones *stones = &store->tombstones;
    struct stat status;
    pthread_mutex_init(&stones->lock, NULL);
    stones->fd = openat(store->folder_fd, "tombstones", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (stones->fd < 0 || fstat(stones->fd, &status) != 0)
        return error_errno(err, errno, "cannot open %s/tombstones", store->folder);
    // Now, so that a withdrawal needs only the file's own sync.
    if (!load(stones, (uint64_t)status.st_size, err))
        return false;
    write_ahead(stones);
    return file_sync_folder(store->folder, err);
}

void tombstones_close(struct store *store)
{
    if (store->tombstones.fd < 0)
        return;
    close(store->tombstones.fd);
    free(store->tombstones.places);
    pthread_mutex_destroy(&store->tombstones.lock);
}

bool tombstones_has(struct store *store, const struct store_place *place)
{
    pthread_mutex_lock(&store->tombstones.lock);
    bool found = has(&store->tombstones, place);
    pthread_mutex_unlock(&store->tombstones.lock);
    return found;
}

uint64_t tombstones_highest_container(struct store *store)
{
    const struct tombstones *stones = &store->tombstones;
    return stones->count > 0 ? stones->places[stones->count - 1].container : 0;
}

uint64_t tombstones_count(struct store *store)
{
    pthread_mutex_lock(&store->tombstones.lock);
    uint64_t count = store->tombstones.count;
    pthread_mutex_unlock(&store->tombstones.lock);
    return count;
}

static bool append(struct tombstones *stones, const struct store_record *record, struct error *err)
{
    uint8_t entry[TOMBSTONE_SIZE];
    memcpy(entry, magic, 8);
    bytes_put_u64le(entry + 8, record->place.container);
    bytes_put_u64le(entry + 16, record->place.offset);
    bytes_put_u64le(entry + 24, record->arrival);
    hash_of(entry, 32, entry + 32);
    if (!file_pwrite(stones->fd, entry, sizeof entry, stones->end, err) || !file_sync(stones->fd, "tombstones", err))
        return false;
    stones->end += TOMBSTONE_SIZE;
    write_ahead(stones);
    return remember(stones, &record->place, err);
}

bool store_record_withdraw(struct store *store, const struct store_record *record, struct error *err)
{
    pthread_mutex_lock(&store->tombstones.lock);
    bool ok = append(&store->tombstones, record, err);
    pthread_mutex_unlock(&store->tombstones.lock);
    if (ok)
        return true;
    log_error("store", "a refused object could not be put down: %s", err->message);
    store_stop(store, "a refused object could not be put down");
    return error_prefix(err, "storing has stopped until a restart");
}
