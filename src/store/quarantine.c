// A ring of refused bytes. Best effort by intent: what was refused was not promised to be kept.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "store/internal.h"

enum {
    QUARANTINE_FILES_MAX = 100,
    QUARANTINE_BYTES_MAX = 256 << 20,
    QUARANTINE_FILE_MAX = 64 << 20,
    REASON_MAX = 4 << 10,
};

struct store_quarantine {
    struct store *store;
    uint64_t number;
    int fd;
    size_t size;
    bool failed;
};

static void make_name(char out[STORE_NAME_SIZE], uint64_t number, const char *ending)
{
    snprintf(out, STORE_NAME_SIZE, "%010llu%s", (unsigned long long)number, ending);
}

static int open_folder(struct store *store)
{
    return openat(store->folder_fd, "quarantine", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void remove_one(int folder_fd, uint64_t number)
{
    static const char *const endings[] = {".dcm", ".txt"};
    char name[STORE_NAME_SIZE];
    for (int i = 0; i < 2; i++) {
        make_name(name, number, endings[i]);
        if (unlinkat(folder_fd, name, 0) != 0 && errno != ENOENT)
            log_warning("store", "quarantine/%s could not be removed", name);
    }
}

static uint64_t size_of(int folder_fd, uint64_t number)
{
    char name[STORE_NAME_SIZE];
    struct stat status;
    make_name(name, number, ".dcm");
    return fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)status.st_size : 0;
}

// Keeps the newest within both limits, with room for one more file.
static void trim(int folder_fd, const uint64_t *numbers, size_t count)
{
    uint64_t total = 0;
    size_t kept = 0;
    while (kept < count && kept < QUARANTINE_FILES_MAX - 1) {
        total += size_of(folder_fd, numbers[count - 1 - kept]);
        if (total > QUARANTINE_BYTES_MAX - QUARANTINE_FILE_MAX)
            break;
        kept++;
    }
    for (size_t i = 0; i + kept < count; i++)
        remove_one(folder_fd, numbers[i]);
}

static bool create(struct store_quarantine *file, int folder_fd, struct error *err)
{
    uint64_t *numbers;
    size_t count;
    char name[STORE_NAME_SIZE];
    if (!store_list(folder_fd, ".dcm", &numbers, &count, err))
        return false;
    file->number = count > 0 ? numbers[count - 1] + 1 : 1;
    trim(folder_fd, numbers, count);
    free(numbers);
    if (!store_can_take(file->store, 0, err))
        return false;
    make_name(name, file->number, ".dcm");
    file->fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return file->fd >= 0 || error_errno(err, errno, "cannot create quarantine/%s", name);
}

struct store_quarantine *store_quarantine_open(struct store *store)
{
    struct error err;
    struct store_quarantine *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    *file = (struct store_quarantine){.store = store, .fd = -1};
    pthread_mutex_lock(&store->quarantine_lock);
    int folder_fd = open_folder(store);
    bool ok = folder_fd >= 0 ? create(file, folder_fd, &err) : error_errno(&err, errno, "cannot open quarantine");
    if (folder_fd >= 0)
        close(folder_fd);
    pthread_mutex_unlock(&store->quarantine_lock);
    if (ok)
        return file;
    log_warning("store", "refused bytes are not kept: %s", err.message);
    free(file);
    return NULL;
}

void store_quarantine_write(struct store_quarantine *file, const void *data, size_t size)
{
    struct error err;
    if (!file || file->failed)
        return;
    size_t room = QUARANTINE_FILE_MAX - file->size;
    size_t step = size < room ? size : room;
    if (step > 0 && !(store_can_take(file->store, step, &err) && file_write_fd(file->fd, data, step, &err))) {
        log_warning("store", "quarantine file %llu is cut short: %s", (unsigned long long)file->number, err.message);
        file->failed = true;
    }
    file->size += step;
}

static void write_reason(const struct store_quarantine *file, int folder_fd, const char *reason)
{
    char name[STORE_NAME_SIZE];
    struct error err;
    make_name(name, file->number, ".txt");
    int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || !file_write_fd(fd, reason, strlen(reason), &err) || !file_write_fd(fd, "\n", 1, &err))
        log_warning("store", "quarantine/%s could not be written", name);
    if (fd >= 0)
        close(fd);
}

void store_quarantine_close(struct store_quarantine *file, const char *reason)
{
    if (!file)
        return;
    int folder_fd = open_folder(file->store);
    if (folder_fd >= 0) {
        write_reason(file, folder_fd, reason);
        close(folder_fd);
    }
    close(file->fd);
    free(file);
}

bool store_quarantine_count(struct store *store, size_t *out, struct error *err)
{
    uint64_t *numbers;
    int folder_fd = open_folder(store);
    if (folder_fd < 0)
        return error_errno(err, errno, "cannot open the quarantine");
    bool ok = store_list(folder_fd, ".dcm", &numbers, out, err);
    close(folder_fd);
    if (ok)
        free(numbers);
    return ok;
}

static bool read_reason(int folder_fd, uint64_t number, struct arena *arena, const char **out)
{
    char name[STORE_NAME_SIZE], text[REASON_MAX];
    make_name(name, number, ".txt");
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof text) : 0;
    if (fd >= 0)
        close(fd);
    *out = arena_strndup(arena, text, size > 0 ? (size_t)size : 0);
    return *out != NULL;
}

static bool read_refused(int folder_fd, uint64_t number, struct arena *arena, struct store_refused *out,
                         struct error *err)
{
    char name[STORE_NAME_SIZE];
    struct stat status = {0};
    make_name(name, number, ".dcm");
    if (fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT)
        return error_errno(err, errno, "cannot look at quarantine/%s", name);
    *out = (struct store_refused){.number = number,
                                  .size = (uint64_t)status.st_size,
                                  .refused_ns = status.st_mtim.tv_sec * CLOCK_SECOND + status.st_mtim.tv_nsec};
    return read_reason(folder_fd, number, arena, &out->reason) ||
           error_set(err, ERROR_LIMIT, "the quarantine's list does not fit into the memory given");
}

static bool read_all(int folder_fd, const uint64_t *numbers, size_t count, struct arena *arena,
                     struct store_refused **out, struct error *err)
{
    *out = arena_calloc(arena, count, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_LIMIT, "the quarantine's list does not fit into the memory given");
    for (size_t i = 0; i < count; i++)
        if (!read_refused(folder_fd, numbers[count - 1 - i], arena, &(*out)[i], err))
            return false;
    return true;
}

bool store_quarantine_list(struct store *store, struct arena *arena, struct store_refused **out, size_t *count,
                           struct error *err)
{
    uint64_t *numbers;
    int folder_fd = open_folder(store);
    if (folder_fd < 0)
        return error_errno(err, errno, "cannot open the quarantine");
    bool ok = store_list(folder_fd, ".dcm", &numbers, count, err);
    if (ok) {
        ok = read_all(folder_fd, numbers, *count, arena, out, err);
        free(numbers);
    }
    close(folder_fd);
    return ok;
}

bool store_quarantine_remove(struct store *store, uint64_t number, struct error *err)
{
    char name[STORE_NAME_SIZE];
    struct stat status;
    int folder_fd = open_folder(store);
    if (folder_fd < 0)
        return error_errno(err, errno, "cannot open the quarantine");
    make_name(name, number, ".dcm");
    bool there = fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (there)
        remove_one(folder_fd, number);
    close(folder_fd);
    return there || error_set(err, ERROR_NOT_FOUND, "the quarantine has no file %llu", (unsigned long long)number);
}
