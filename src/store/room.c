// Two reserves. What stays free of the file system, down to the low-water mark, is for what has to be written when
// nothing more is taken (rows, audit records, tombstones); all that takes bytes from outside asks here. And since
// others write on that disk too, a file holds the room that a start needs.
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "store/internal.h"

enum { START_RESERVE = 4 << 20 }; // recovery, replay and a few rows take far less
static const char start_reserve[] = "reserve";

bool store_space_left(const struct store *store, uint64_t *left)
{
    struct statvfs status;
    if (fstatvfs(store->folder_fd, &status) != 0)
        return false;
    *left = (uint64_t)status.f_bavail * status.f_frsize;
    return true;
}

bool store_space(const struct store *store, struct store_space *out)
{
    out->low_water_bytes = store->low_water_bytes;
    return store_space_left(store, &out->free_bytes);
}

bool store_can_take(struct store *store, uint64_t bytes, struct error *err)
{
    const char *why = store_stopped(store);
    uint64_t left, reserve = store->low_water_bytes;
    if (why)
        return error_set(err, ERROR_FULL, "storing has stopped until a restart: %s", why);
    if (!store_space_left(store, &left) || (left >= reserve && left - reserve >= bytes))
        return true;
    if (spares_give_back(store))
        return store_can_take(store, bytes, err);
    return error_set(err, ERROR_FULL,
                     "%llu MiB are left on the disk, no room for %llu more bytes above the low-water mark of %llu MiB: "
                     "free space on the disk of %.60s",
                     (unsigned long long)left >> 20, (unsigned long long)bytes, (unsigned long long)reserve >> 20,
                     store->folder);
}

void store_room_for_start(struct store *store)
{
    unlinkat(store->folder_fd, start_reserve, 0);
}

void store_keep_room_for_start(struct store *store)
{
    uint64_t left;
    if (!store_space_left(store, &left) || left < 2 * (uint64_t)START_RESERVE) // the rest of this start needs some too
        return;
    int fd = openat(store->folder_fd, start_reserve, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int number = fd < 0 ? errno : posix_fallocate(fd, 0, START_RESERVE);
    if (fd >= 0)
        close(fd);
    if (number == 0)
        return;
    log_warning("store", "no space is kept for the next start on a full disk: error %d", number);
    unlinkat(store->folder_fd, start_reserve, 0);
}
