// Spare files: zeros written ahead, in quiet times, for the next lanes. An fdatasync of a file whose blocks are written
// already changes no metadata, so it needs no commit of the file system's journal and takes about half as long. The
// price is that what goes into spares is written twice, by time that nobody waits for.
//
// How much and in what lengths follows from what was stored lately: as many bytes as the largest of the last bursts, in
// files as long as its lanes were. A length that is too great is soon given up, since what a short lane does not use is
// thrown away; the sum is kept longer, since what is not used stays for the next. Nothing comes of it until something
// has been stored. A spare is a lanes/NNNNNNNNNN.spare that is whole and synced; it becomes a lane by a second name,
// and the first goes. What a crash leaves of them is removed at the next start.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "store/internal.h"

enum {
    SPARE_LEAST = 1 << 20,
    SPARE_MOST = 32 << 20,
    SPARE_BLOCK = 1 << 20,
    SPARE_BLOCKS_PER_SYNC = 4, // more at once would hold up an object that comes meanwhile
};
static const int64_t quiet_ns = 200 * CLOCK_MS;
static const int64_t look_ns = 100 * CLOCK_MS;
static const uint64_t room_left = UINT64_C(1) << 30; // on the disk, beside the low-water mark

static void spare_name(char out[STORE_NAME_SIZE], uint64_t number)
{
    snprintf(out, STORE_NAME_SIZE, "%010llu.spare", (unsigned long long)number);
}

// ---- how much is wanted

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t whole_blocks(uint64_t size)
{
    return (size + SPARE_BLOCK - 1) / SPARE_BLOCK * SPARE_BLOCK;
}

// What was seen in the burst that is over rules at once when it is more, and little by little when it is less.
static void end_burst(struct spares *spares)
{
    if (spares->burst_bytes == 0)
        return;
    uint64_t size = smaller(spares->burst_longest, SPARE_MOST);
    spares->size = larger(size, whole_blocks(spares->size - spares->size / 4));
    spares->bytes = smaller(larger(spares->burst_bytes, spares->bytes - spares->bytes / 16), spares->bytes_max);
    uint64_t wanted = smaller((spares->bytes + spares->size - 1) / spares->size, spares->bytes_max / spares->size);
    spares->wanted = smaller(wanted, SPARES_MAX);
    spares->burst_bytes = spares->burst_longest = 0;
}

void spares_note(struct store *store, uint64_t lane_size)
{
    struct spares *spares = &store->spares;
    pthread_mutex_lock(&spares->lock);
    spares->burst_bytes += whole_blocks(lane_size);
    spares->burst_longest = larger(spares->burst_longest, whole_blocks(lane_size));
    pthread_cond_signal(&spares->changed);
    pthread_mutex_unlock(&spares->lock);
}

void spares_touch(struct store *store)
{
    atomic_store(&store->spares.used_ns, clock_monotonic_ns());
}

static bool is_quiet(const struct spares *spares)
{
    return clock_monotonic_ns() - atomic_load(&spares->used_ns) >= quiet_ns;
}

static bool is_room(const struct store *store)
{
    uint64_t left;
    return store_space_left(store, &left) && left > store->low_water_bytes + store->spares.bytes_max + room_left;
}

// ---- making

// Waits while objects come in: their syncs would wait for ours.
static bool may_go_on(struct spares *spares)
{
    while (!atomic_load(&spares->stopping) && !is_quiet(spares))
        clock_sleep_ns(look_ns);
    return !atomic_load(&spares->stopping);
}

static bool fill(struct spares *spares, int fd, uint64_t size, struct error *err)
{
    uint8_t *zeros = calloc(1, SPARE_BLOCK);
    bool ok = zeros || error_set(err, ERROR_MEMORY, "no memory for a block of zeros");
    for (uint64_t at = 0; ok && at < size; at += SPARE_BLOCK) {
        bool sync = at / SPARE_BLOCK % SPARE_BLOCKS_PER_SYNC == SPARE_BLOCKS_PER_SYNC - 1;
        ok = (may_go_on(spares) || error_set(err, ERROR_CLOSED, "the store is closing")) &&
             file_pwrite(fd, zeros, SPARE_BLOCK, at, err) && (!sync || file_sync(fd, "a spare file", err));
    }
    free(zeros);
    return ok && (fsync(fd) == 0 || error_errno(err, errno, "cannot sync a spare file"));
}

static bool make_spare(struct store *store, struct spare *spare, struct error *err)
{
    char name[STORE_NAME_SIZE];
    spare_name(name, spare->number);
    spare->fd = openat(store->lanes_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (spare->fd < 0)
        return error_errno(err, errno, "cannot create %s", name);
    if (fill(&store->spares, spare->fd, spare->size, err))
        return true;
    close(spare->fd);
    unlinkat(store->lanes_fd, name, 0);
    return false;
}

static void wait_a_little(struct spares *spares)
{
    int64_t until_ns = clock_monotonic_ns() + look_ns;
    struct timespec until = {.tv_sec = until_ns / CLOCK_SECOND, .tv_nsec = until_ns % CLOCK_SECOND};
    if (spares->count < spares->wanted || spares->burst_bytes > 0)
        pthread_cond_timedwait(&spares->changed, &spares->lock, &until);
    else
        pthread_cond_wait(&spares->changed, &spares->lock);
}

static void *run(void *payload)
{
    struct store *store = payload;
    struct spares *spares = &store->spares;
    struct error err;
    pthread_mutex_lock(&spares->lock);
    while (!atomic_load(&spares->stopping)) {
        if (is_quiet(spares))
            end_burst(spares);
        struct spare spare = {.number = spares->next_number, .size = spares->size};
        if (!is_quiet(spares) || spares->count >= spares->wanted || !is_room(store)) {
            wait_a_little(spares);
            continue;
        }
        spares->next_number++;
        pthread_mutex_unlock(&spares->lock);
        bool ok = make_spare(store, &spare, &err);
        pthread_mutex_lock(&spares->lock);
        if (ok)
            spares->ready[spares->count++] = spare;
        else
            spares->wanted = 0; // until the next burst
        if (!ok && err.code != ERROR_CLOSED)
            log_warning("store", "no spare file: %s", err.message);
    }
    pthread_mutex_unlock(&spares->lock);
    return NULL;
}

// ---- taking

bool spares_take(struct store *store, const char *lane, int *fd, uint64_t *size)
{
    struct spares *spares = &store->spares;
    struct spare spare = {.fd = -1};
    char name[STORE_NAME_SIZE];
    pthread_mutex_lock(&spares->lock);
    if (spares->count > 0)
        spare = spares->ready[--spares->count];
    pthread_mutex_unlock(&spares->lock);
    if (spare.fd < 0)
        return false;
    spare_name(name, spare.number);
    bool ok = linkat(store->lanes_fd, name, store->lanes_fd, lane, 0) == 0;
    if (!ok)
        log_warning("store", "a spare file cannot become %s: error %d", lane, errno);
    unlinkat(store->lanes_fd, name, 0);
    if (!ok)
        close(spare.fd);
    *fd = spare.fd;
    *size = spare.size;
    return ok;
}

bool spares_any(struct store *store)
{
    pthread_mutex_lock(&store->spares.lock);
    bool any = store->spares.count > 0;
    pthread_mutex_unlock(&store->spares.lock);
    return any;
}

bool spares_give_back(struct store *store)
{
    struct spares *spares = &store->spares;
    char name[STORE_NAME_SIZE];
    pthread_mutex_lock(&spares->lock);
    bool any = spares->count > 0;
    spares->wanted = 0;
    while (spares->count > 0) {
        struct spare *spare = &spares->ready[--spares->count];
        spare_name(name, spare->number);
        unlinkat(store->lanes_fd, name, 0);
        close(spare->fd);
    }
    pthread_mutex_unlock(&spares->lock);
    return any;
}

// ---- start and end

// A spare of an earlier run may hold the data of a lane whose name did not reach the disk: no zeros, so it is not used
// again.
bool spares_remove_old(struct store *store, struct error *err)
{
    uint64_t *numbers;
    size_t count;
    char name[STORE_NAME_SIZE];
    if (!store_list(store->lanes_fd, ".spare", &numbers, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        spare_name(name, numbers[i]);
        unlinkat(store->lanes_fd, name, 0);
    }
    free(numbers);
    return true;
}

bool spares_open(struct store *store, uint64_t bytes_max, struct error *err)
{
    struct spares *spares = &store->spares;
    pthread_condattr_t attributes;
    pthread_mutex_init(&spares->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&spares->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    spares->ready_to_close = true;
    spares->bytes_max = bytes_max;
    spares->next_number = 1;
    spares->size = SPARE_LEAST;
    if (bytes_max < SPARE_LEAST)
        return true;
    int code = pthread_create(&spares->thread, NULL, run, store);
    spares->runs = code == 0;
    return spares->runs || error_errno(err, code, "cannot start the thread that makes spare files");
}

void spares_close(struct store *store)
{
    struct spares *spares = &store->spares;
    if (!spares->ready_to_close)
        return;
    if (spares->runs) {
        atomic_store(&spares->stopping, true);
        pthread_mutex_lock(&spares->lock);
        pthread_cond_signal(&spares->changed);
        pthread_mutex_unlock(&spares->lock);
        pthread_join(spares->thread, NULL);
    }
    spares_give_back(store);
    pthread_cond_destroy(&spares->changed);
    pthread_mutex_destroy(&spares->lock);
}
