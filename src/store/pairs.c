// Lanes and packs of one number that are two files.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "store/pack.h"

enum { BLOCK = 64 << 10 };

bool pair_is_one(const struct store *store, uint64_t container)
{
    char lane[STORE_NAME_SIZE], name[STORE_NAME_SIZE];
    struct stat a, b;
    store_lane_name(lane, container);
    store_pack_name(name, container);
    return fstatat(store->lanes_fd, lane, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(store->packs_fd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

struct pair {
    uint64_t container;
    char lane_name[STORE_NAME_SIZE], pack_name[STORE_NAME_SIZE];
    int lane, pack;
};

static uint64_t size_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
}

// How many bytes the two have alike, from the beginning.
static bool count_alike(const struct pair *pair, uint8_t *blocks, uint64_t *out, struct error *err)
{
    uint64_t lane = size_of(pair->lane), pack = size_of(pair->pack), size = lane < pack ? lane : pack;
    size_t count, at;
    *out = 0;
    do {
        count = size - *out < BLOCK ? (size_t)(size - *out) : BLOCK;
        if (!file_pread(pair->lane, blocks, count, *out, err) ||
            !file_pread(pair->pack, blocks + BLOCK, count, *out, err))
            return false;
        for (at = 0; at < count && blocks[at] == blocks[BLOCK + at];)
            at++;
        *out += at;
    } while (at == BLOCK);
    return true;
}

// Where the lane's records end, as far as they are whole and follow one another.
static uint64_t records_end(const struct store *store, const struct pair *pair)
{
    struct store_place place = {pair->container, STORE_FILE_HEADER};
    struct format_record record;
    struct error ignored;
    uint64_t size = size_of(pair->lane);
    while (format_read_record(pair->lane, &place, store->id, &record, &ignored) && format_record_end(&record) <= size)
        place.offset = format_record_end(&record);
    return place.offset;
}

// What a lane has besides is a torn end, as far as can be told; it is kept for a person all the same.
static bool put_aside(struct store *store, const struct pair *pair, struct error *err)
{
    char aside[STORE_NAME_SIZE + 8];
    snprintf(aside, sizeof aside, "%s.aside", pair->lane_name);
    if (linkat(store->lanes_fd, pair->lane_name, store->lanes_fd, aside, 0) != 0)
        return error_errno(err, errno, "lanes/%s cannot be put aside as lanes/%s", pair->lane_name, aside);
    log_warning("store", "lanes/%s is kept as lanes/%s: its end is not in the pack, and holds no whole object",
                pair->lane_name, aside);
    return true;
}

// The file that has the name in packs/ gets the other one too, as if it were on its way.
static bool take_pack(struct store *store, const struct pair *pair, bool has_all, struct error *err)
{
    if (!has_all && !put_aside(store, pair, err))
        return false;
    if (fsync(pair->pack) != 0 || unlinkat(store->lanes_fd, pair->lane_name, 0) != 0 ||
        linkat(store->packs_fd, pair->pack_name, store->lanes_fd, pair->lane_name, 0) != 0)
        return error_errno(err, errno, "cannot take packs/%s for lanes/%s", pair->pack_name, pair->lane_name);
    log_warning("store", "lanes/%s and packs/%s were two files; the pack has every object of the lane, and is taken",
                pair->lane_name, pair->pack_name);
    return true;
}

static bool compare(struct store *store, const struct pair *pair, struct error *err)
{
    uint64_t alike = 0, count, offset;
    struct error why;
    bool whole = format_index_check(pair->pack, &count, &offset, &why);
    uint8_t *blocks = malloc(2 * BLOCK);
    bool ok = blocks ? count_alike(pair, blocks, &alike, err)
                     : error_set(err, ERROR_MEMORY, "no memory to compare two files");
    free(blocks);
    uint64_t end = records_end(store, pair);
    if (!ok || (whole && (end == STORE_FILE_HEADER || end <= alike)))
        return ok && take_pack(store, pair, alike == size_of(pair->lane), err);
    return error_set(err, ERROR_CONFLICT,
                     "lanes/%s and packs/%s are two files of one number, unlike from byte %llu on, and the pack %s: "
                     "take the wrong one out of the folder, and keep it",
                     pair->lane_name, pair->pack_name, (unsigned long long)alike,
                     whole ? "is whole" : "is cut short or damaged");
}

static bool resolve(struct store *store, uint64_t container, struct error *err)
{
    struct pair pair = {.container = container};
    store_lane_name(pair.lane_name, container);
    store_pack_name(pair.pack_name, container);
    pair.lane = openat(store->lanes_fd, pair.lane_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    pair.pack = openat(store->packs_fd, pair.pack_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok = pair.lane >= 0 && pair.pack >= 0
                  ? compare(store, &pair, err)
                  : error_errno(err, errno, "cannot open lanes/%s and packs/%s", pair.lane_name, pair.pack_name);
    if (pair.lane >= 0)
        close(pair.lane);
    if (pair.pack >= 0)
        close(pair.pack);
    return ok;
}

bool pairs_resolve(struct store *store, struct error *err)
{
    uint64_t *numbers;
    size_t count;
    char name[STORE_NAME_SIZE];
    struct stat status;
    if (!store_list(store->lanes_fd, ".lane", &numbers, &count, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        store_pack_name(name, numbers[i]);
        if (fstatat(store->packs_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !pair_is_one(store, numbers[i]))
            ok = resolve(store, numbers[i], err);
    }
    free(numbers);
    return ok;
}
