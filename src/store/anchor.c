#include "store/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/internal.h"

enum { SIGNED = 128, AUDIT_VALUE = 88, AUDIT_AHEAD = 120 };
#define AUDIT_UNWRITTEN (UINT64_C(1) << 63) // at AUDIT_AHEAD too
static const char magic[8] = {'H', 'I', 'L', 'U', 'M', 'A', 'N', '1'};

// ---- a slot

// The numbers in their order on disk, from offset 32 on.
enum { NUMBERS = 7, NUMBERS_AT = 32 };

static void numbers_of(struct anchored *anchored, uint64_t *out[NUMBERS])
{
    uint64_t *const numbers[NUMBERS] = {&anchored->epoch,     &anchored->event,      &anchored->container,
                                        &anchored->arrival,   &anchored->tombstones, &anchored->audit.segment,
                                        &anchored->audit.line};
    memcpy(out, numbers, sizeof numbers);
}

void anchor_bytes(uint8_t out[ANCHOR_SIZE], const struct anchored *in)
{
    struct anchored copy = *in;
    uint64_t *numbers[NUMBERS];
    memset(out, 0, ANCHOR_SIZE);
    memcpy(out, magic, sizeof magic);
    bytes_put_u64le(out + 8, in->generation);
    memcpy(out + 16, in->id, STORE_ID_SIZE);
    numbers_of(&copy, numbers);
    for (int i = 0; i < NUMBERS; i++)
        bytes_put_u64le(out + NUMBERS_AT + 8 * i, *numbers[i]);
    memcpy(out + AUDIT_VALUE, in->audit.value, HASH_SIZE);
    // STORE_AHEAD_UNKNOWN is 0, as an earlier program wrote.
    bytes_put_u64le(out + AUDIT_AHEAD, (in->audit.ahead + 1) | (in->audit.unwritten ? AUDIT_UNWRITTEN : 0));
    hash_of(out, SIGNED, out + SIGNED);
}

bool anchor_parse(const uint8_t bytes[ANCHOR_SIZE], struct anchored *out)
{
    uint8_t digest[HASH_SIZE];
    struct anchored read = {.generation = bytes_u64le(bytes + 8)};
    uint64_t *numbers[NUMBERS];
    hash_of(bytes, SIGNED, digest);
    if (memcmp(bytes, magic, sizeof magic) != 0 || memcmp(bytes + SIGNED, digest, HASH_SIZE) != 0 ||
        read.generation == 0)
        return false;
    memcpy(read.id, bytes + 16, STORE_ID_SIZE);
    numbers_of(&read, numbers);
    for (int i = 0; i < NUMBERS; i++)
        *numbers[i] = bytes_u64le(bytes + NUMBERS_AT + 8 * i);
    memcpy(read.audit.value, bytes + AUDIT_VALUE, HASH_SIZE);
    uint64_t ahead = bytes_u64le(bytes + AUDIT_AHEAD);
    read.audit.ahead = (ahead & ~AUDIT_UNWRITTEN) - 1;
    read.audit.unwritten = (ahead & AUDIT_UNWRITTEN) != 0;
    *out = read;
    return true;
}

// ---- the file

// The newer whole slot; generation 0 when there is none.
static void read_slots(int fd, struct anchored *out)
{
    uint8_t bytes[ANCHOR_SIZE];
    struct anchored slot;
    struct error ignored; // a file cut short has no whole slot there
    for (uint64_t i = 0; i < 2; i++)
        if (file_pread(fd, bytes, sizeof bytes, i * ANCHOR_SLOT, &ignored) && anchor_parse(bytes, &slot) &&
            slot.generation > out->generation)
            *out = slot;
}

bool anchor_open(struct store *store, struct error *err)
{
    struct anchor *anchor = &store->anchor;
    anchor->fd = openat(store->folder_fd, "anchor", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (anchor->fd < 0)
        return errno == ENOENT || error_errno(err, errno, "cannot open %s/anchor", store->folder);
    read_slots(anchor->fd, &anchor->found);
    anchor->last = anchor->found;
    anchor->whole = anchor->found.generation > 0;
    return true;
}

void anchor_close(struct store *store)
{
    if (store->anchor.fd >= 0)
        close(store->anchor.fd);
    store->anchor.fd = -1;
}

void anchor_forget(struct store *store)
{
    struct anchor *anchor = &store->anchor;
    log_warning("store", "%s/anchor is that of another data folder, and is made again", store->folder);
    anchor->found = anchor->last = (struct anchored){0};
    anchor->whole = false;
}

bool store_anchored_audit_of(const char *folder, struct store_audit_head *out, struct error *err)
{
    struct anchored found = {0};
    char path[STORE_FOLDER_MAX + 32];
    if (strlen(folder) > STORE_FOLDER_MAX)
        return error_set(err, ERROR_LIMIT, "the data folder's path is longer than %d", STORE_FOLDER_MAX);
    snprintf(path, sizeof path, "%s/anchor", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return error_errno(err, errno, "cannot open %s", path);
    if (fd >= 0) {
        read_slots(fd, &found);
        close(fd);
    }
    *out = found.audit;
    return true;
}

void store_anchored_audit(const struct store *store, struct store_audit_head *out)
{
    *out = store->anchor.found.audit;
}

// Whole and with its name before it counts. A file without a whole slot is replaced.
static bool make_file(struct store *store, const uint8_t slot[ANCHOR_SIZE], uint64_t generation, struct error *err)
{
    uint8_t bytes[ANCHOR_BYTES] = {0};
    char path[STORE_FOLDER_MAX + 32];
    memcpy(bytes + (generation % 2) * ANCHOR_SLOT, slot, ANCHOR_SIZE);
    snprintf(path, sizeof path, "%s/anchor", store->folder);
    anchor_close(store);
    if (!file_replace(path, bytes, sizeof bytes, 0600, err))
        return false;
    store->anchor.fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    return store->anchor.fd >= 0 || error_errno(err, errno, "cannot open %s", path);
}

// [S9]
static bool write_slot(struct store *store, const uint8_t slot[ANCHOR_SIZE], uint64_t generation, struct error *err)
{
    int fd = store->anchor.fd;
    if (!file_pwrite(fd, slot, ANCHOR_SIZE, (generation % 2) * ANCHOR_SLOT, err))
        return false;
    if (file_sync(fd, "the anchor", err))
        return true;
    store_sync_failed(store, err);
    return false;
}

// What is on the disk for certain.
static void gather(struct store *store, const struct store_audit_head *head, struct anchored *out)
{
    const struct anchored *last = &store->anchor.last;
    *out = (struct anchored){.generation = last->generation + 1,
                             .epoch = atomic_load(&store->durable.epoch),
                             .event = atomic_load(&store->durable.event),
                             .container = atomic_load(&store->durable.container),
                             .arrival = atomic_load(&store->durable.arrival),
                             .tombstones = tombstones_count(store),
                             .audit = head ? *head : last->audit};
    memcpy(out->id, store->id, STORE_ID_SIZE);
}

bool store_anchor(struct store *store, const struct store_audit_head *head, struct error *err)
{
    struct anchor *anchor = &store->anchor;
    struct anchored next;
    uint8_t slot[ANCHOR_SIZE];
    pthread_mutex_lock(&anchor->lock);
    gather(store, head, &next);
    anchor_bytes(slot, &next);
    bool ok =
        anchor->whole ? write_slot(store, slot, next.generation, err) : make_file(store, slot, next.generation, err);
    if (ok) {
        anchor->last = next;
        anchor->whole = true;
    }
    pthread_mutex_unlock(&anchor->lock);
    if (ok && head && head->line > anchor->found.audit.line)
        identity_restored_is_told(store);
    return ok || error_prefix(err, "%s/anchor", store->folder);
}

bool anchor_if_room(struct store *store, struct error *err)
{
    if (store_anchor(store, NULL, err))
        return true;
    if (err->code != ERROR_FULL)
        return false;
    log_warning("store", "there is no room for the anchor: %s", err->message);
    return true;
}
