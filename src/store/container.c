// Reading: descriptors shared by all threads, and whole records checked against their digests.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/file.h"
#include "store/format.h"

enum { DESCRIPTORS_MAX = 4096 }; // held at once

void descriptors_init(struct descriptors *descriptors)
{
    *descriptors = (struct descriptors){0};
    pthread_mutex_init(&descriptors->lock, NULL);
}

void descriptors_close(struct descriptors *descriptors)
{
    for (size_t i = 0; i < descriptors->count; i++)
        close(descriptors->items[i].fd);
    free(descriptors->items);
    pthread_mutex_destroy(&descriptors->lock);
}

static struct descriptor *find(struct descriptors *descriptors, uint64_t container)
{
    for (size_t i = 0; i < descriptors->count; i++)
        if (descriptors->items[i].container == container)
            return &descriptors->items[i];
    return NULL;
}

// A lane gets its name in packs/ before it loses the one in lanes/, so asked in this order one is there.
static int open_container(struct store *store, uint64_t container)
{
    char name[STORE_NAME_SIZE];
    store_lane_name(name, container);
    int fd = openat(store->lanes_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    store_pack_name(name, container);
    return openat(store->packs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

// Keeps at most STORE_DESCRIPTORS_KEPT: the longest unused goes.
static void trim(struct descriptors *descriptors)
{
    while (descriptors->count > STORE_DESCRIPTORS_KEPT) {
        struct descriptor *oldest = NULL;
        for (size_t i = 0; i < descriptors->count; i++) {
            struct descriptor *item = &descriptors->items[i];
            if (item->holders == 0 && (!oldest || item->used < oldest->used))
                oldest = item;
        }
        if (!oldest)
            return;
        close(oldest->fd);
        *oldest = descriptors->items[--descriptors->count];
    }
}

// Rows name it, so that it is not there is no answer but a loss [A13].
static void tell_absent(uint64_t container, int number, struct error *err)
{
    char subject[ALARM_SUBJECT_SIZE];
    if (number != ENOENT) {
        error_errno(err, number, "cannot open container %llu", (unsigned long long)container);
        return;
    }
    error_set(err, ERROR_IO, "container %llu is not there: restore it from a backup", (unsigned long long)container);
    snprintf(subject, sizeof subject, "container %llu", (unsigned long long)container);
    alarm_raise(ALARM_CONTAINER, subject,
                "it is not there, and an object in it was asked for: restore it from a backup");
}

// A file of another folder, or of another number, put under this name by a wrong restore: it may hold another patient's
// object at the same offset [A14]. A header that is damaged says nothing about that.
static bool is_its_own(struct store *store, uint64_t container, int fd, struct error *err)
{
    uint8_t header[STORE_FILE_HEADER], id[STORE_ID_SIZE];
    char subject[ALARM_SUBJECT_SIZE];
    uint64_t number;
    struct error why;
    if (!file_pread(fd, header, sizeof header, 0, &why) || !format_file_is_of(header, &number, id) ||
        (number == container && memcmp(id, store->id, sizeof id) == 0))
        return true;
    error_set(err, ERROR_DAMAGED, "container %llu is a file of %s: restore it from a backup",
              (unsigned long long)container, number != container ? "another number" : "another data folder");
    snprintf(subject, sizeof subject, "container %llu", (unsigned long long)container);
    alarm_raise(ALARM_CONTAINER, subject, "%s", err->message);
    return false;
}

static struct descriptor *add(struct store *store, uint64_t container, struct error *err)
{
    struct descriptors *descriptors = &store->descriptors;
    if (descriptors->count == descriptors->capacity) {
        size_t capacity = descriptors->capacity ? descriptors->capacity * 2 : STORE_DESCRIPTORS_KEPT + 8;
        struct descriptor *grown =
            capacity <= DESCRIPTORS_MAX ? realloc(descriptors->items, capacity * sizeof *grown) : NULL;
        if (!grown) {
            error_set(err, ERROR_LIMIT, "%zu containers are being read at once", descriptors->count);
            return NULL;
        }
        descriptors->items = grown;
        descriptors->capacity = capacity;
    }
    int fd = open_container(store, container);
    if (fd < 0) {
        tell_absent(container, errno, err);
        return NULL;
    }
    if (!is_its_own(store, container, fd, err)) {
        close(fd);
        return NULL;
    }
    struct descriptor *item = &descriptors->items[descriptors->count++];
    *item = (struct descriptor){.container = container, .fd = fd};
    return item;
}

bool store_acquire(struct store *store, uint64_t container, int *fd, struct error *err)
{
    struct descriptors *descriptors = &store->descriptors;
    pthread_mutex_lock(&descriptors->lock);
    struct descriptor *item = find(descriptors, container);
    if (!item)
        item = add(store, container, err);
    if (item) {
        item->holders++;
        item->used = ++descriptors->tick;
        *fd = item->fd;
        trim(descriptors);
    }
    pthread_mutex_unlock(&descriptors->lock);
    return item != NULL;
}

void store_release(struct store *store, uint64_t container)
{
    struct descriptors *descriptors = &store->descriptors;
    pthread_mutex_lock(&descriptors->lock);
    struct descriptor *item = find(descriptors, container);
    if (item && item->holders > 0)
        item->holders--;
    trim(descriptors);
    pthread_mutex_unlock(&descriptors->lock);
}

// false.
static bool tell_unreadable(uint64_t container, const struct error *err)
{
    char subject[ALARM_SUBJECT_SIZE];
    snprintf(subject, sizeof subject, "container %llu", (unsigned long long)container);
    alarm_raise(ALARM_CONTAINER, subject, "an object in it cannot be read (%s): restore it from a backup",
                err->message);
    return false;
}

bool store_pread(uint64_t container, int fd, void *out, size_t size, uint64_t offset, struct error *err)
{
    return file_pread(fd, out, size, offset, err) || tell_unreadable(container, err) ||
           error_prefix(err, "container %llu", (unsigned long long)container);
}

// ---- a whole record

static void name_place(const struct store_place *place, char out[ALARM_SUBJECT_SIZE])
{
    snprintf(out, ALARM_SUBJECT_SIZE, "container %llu, offset %llu", (unsigned long long)place->container,
             (unsigned long long)place->offset);
}

void store_mended(const struct store_place *place)
{
    char subject[ALARM_SUBJECT_SIZE];
    name_place(place, subject);
    alarm_clear(ALARM_DIGEST, subject);
}

bool store_mismatch(const struct store_place *place, struct error *err)
{
    char subject[ALARM_SUBJECT_SIZE];
    name_place(place, subject);
    error_set(err, ERROR_DAMAGED, "%s: the data do not match their digest", subject);
    alarm_raise(ALARM_DIGEST, subject, "the data do not match their digest: restore the pack from a backup");
    return false;
}

static bool read_data(int fd, const struct format_record *record, struct buffer *out, struct error *err)
{
    const struct store_place *place = &record->record.place;
    uint8_t digest[HASH_SIZE];
    if (record->record.size > out->limit - out->size)
        return error_set(err, ERROR_LIMIT, "an object of %llu bytes does not fit into %zu",
                         (unsigned long long)record->record.size, out->limit - out->size);
    size_t size = (size_t)record->record.size;
    uint8_t *to = buffer_reserve(out, size);
    if (!to && size > 0) // an empty object needs no memory
        return error_set(err, ERROR_MEMORY, "no memory for an object of %zu bytes", size);
    if (!store_pread(place->container, fd, to, size, place->offset + STORE_RECORD_HEADER, err))
        return false;
    hash_of(to, size, digest);
    if (memcmp(digest, record->record.digest, HASH_SIZE) != 0)
        return store_mismatch(place, err);
    out->size += size;
    return true;
}

bool store_read(struct store *store, const struct store_place *place, struct buffer *out, struct error *err)
{
    struct format_record record;
    int fd;
    if (!store_acquire(store, place->container, &fd, err))
        return false;
    bool ok = (format_read_record(fd, place, store->id, &record, err) || tell_unreadable(place->container, err)) &&
              read_data(fd, &record, out, err);
    store_release(store, place->container);
    return ok;
}
