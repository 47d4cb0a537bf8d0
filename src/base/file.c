#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"

enum { PATH_SIZE = 4096, READ_STEP = 64 << 10 };

static bool read_all(int fd, const char *path, struct buffer *out, struct error *err)
{
    for (;;) {
        // One byte past the ceiling tells a file that fits exactly from one that does not.
        size_t room = out->limit - out->size;
        size_t step = room < READ_STEP ? room : READ_STEP;
        uint8_t extra;
        uint8_t *to = step > 0 ? buffer_reserve(out, step) : &extra;
        if (!to)
            return buffer_check(out, path, err);
        ssize_t got = read(fd, to, step > 0 ? step : 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, errno, "cannot read %s", path);
        if (got == 0)
            return true;
        if (step == 0)
            return error_set(err, ERROR_LIMIT, "%s is larger than %zu bytes", path, out->limit);
        out->size += (size_t)got;
    }
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

// Without O_NONBLOCK the opening of a pipe waits until somebody writes to it.
int file_open(const char *path, uint64_t *size, struct error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && errno == ENXIO) // a socket, or a device that is not there
        error_set(err, ERROR_UNSUPPORTED, "%s is no file that can be read", path);
    else if (fd < 0 || fstat(fd, &status) != 0)
        error_errno(err, errno, "cannot open %s", path);
    else if (!S_ISREG(status.st_mode))
        error_set(err, ERROR_UNSUPPORTED, "%s is %s; give a file", path, kind_of(status.st_mode));
    else {
        if (size)
            *size = (uint64_t)status.st_size;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

bool file_read(const char *path, struct buffer *out, struct error *err)
{
    int fd = file_open(path, NULL, err);
    if (fd < 0)
        return false;
    bool ok = read_all(fd, path, out, err);
    close(fd);
    return ok;
}

bool file_pread(int fd, void *data, size_t size, uint64_t offset, struct error *err)
{
    uint8_t *to = data;
    while (size > 0) {
        ssize_t got = pread(fd, to, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_errno(err, errno, "cannot read at offset %llu", (unsigned long long)offset);
        if (got == 0)
            return error_set(err, ERROR_IO, "file ends at offset %llu, %zu bytes early", (unsigned long long)offset,
                             size);
        to += got;
        size -= (size_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

bool file_pwrite(int fd, const void *data, size_t size, uint64_t offset, struct error *err)
{
    const uint8_t *from = data;
    while (size > 0) {
        ssize_t put = pwrite(fd, from, size, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_errno(err, errno, "cannot write at offset %llu", (unsigned long long)offset);
        from += put;
        size -= (size_t)put;
        offset += (uint64_t)put;
    }
    return true;
}

bool file_write_fd(int fd, const void *data, size_t size, struct error *err)
{
    const uint8_t *from = data;
    while (size > 0) {
        ssize_t put = write(fd, from, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return error_errno(err, errno, "cannot write");
        from += put;
        size -= (size_t)put;
    }
    return true;
}

bool file_sync(int fd, const char *what, struct error *err)
{
    if (fdatasync(fd) == 0)
        return true;
    return error_errno(err, errno, "cannot sync %s", what);
}

bool file_sync_folder(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "cannot open folder %s", path);
    bool ok = fsync(fd) == 0;
    int number = errno;
    close(fd);
    return ok || error_errno(err, number, "cannot sync folder %s", path);
}

// "a/b/c" -> "a/b", "c" -> ".", "/c" -> "/".
static bool parent_of(const char *path, char *out, size_t capacity)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return text_copy(out, capacity, ".");
    return text_copy_n(out, capacity, path, slash == path ? 1 : (size_t)(slash - path));
}

static bool write_whole(const char *path, const void *data, size_t size, mode_t mode, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0)
        return error_errno(err, errno, "cannot create %s", path);
    bool ok = file_write_fd(fd, data, size, err);
    if (ok && fsync(fd) != 0)
        ok = error_errno(err, errno, "cannot sync %s", path);
    close(fd);
    return ok;
}

// What root replaces stays its owner's: a server that cannot read its key any more serves nobody.
static bool keep_owner(const char *path, const char *temporary, struct error *err)
{
    struct stat before;
    if (geteuid() != 0 || stat(path, &before) != 0 || before.st_uid == 0)
        return true;
    return lchown(temporary, before.st_uid, before.st_gid) == 0 ||
           error_errno(err, errno, "cannot give %s to its owner", temporary);
}

bool file_replace(const char *path, const void *data, size_t size, mode_t mode, struct error *err)
{
    char temporary[PATH_SIZE], folder[PATH_SIZE];
    int length = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    if (length < 0 || (size_t)length >= sizeof temporary || !parent_of(path, folder, sizeof folder))
        return error_set(err, ERROR_LIMIT, "path too long: %.100s...", path);
    if (!write_whole(temporary, data, size, mode, err) || !keep_owner(path, temporary, err)) {
        unlink(temporary);
        return false;
    }
    if (rename(temporary, path) != 0)
        return error_errno(err, errno, "cannot rename %s", temporary);
    return file_sync_folder(folder, err);
}

// One folder whose parent exists. A new one is made durable in its parent.
static bool make_folder(const char *path, mode_t mode, struct error *err)
{
    char parent[PATH_SIZE];
    struct stat status;
    if (mkdir(path, mode) == 0)
        return parent_of(path, parent, sizeof parent) && file_sync_folder(parent, err);
    if (errno != EEXIST)
        return error_errno(err, errno, "cannot make folder %s", path);
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
        return error_set(err, ERROR_CONFLICT, "%s exists and is no folder", path);
    return true;
}

bool file_make_folders(const char *path, mode_t mode, struct error *err)
{
    char part[PATH_SIZE];
    if (!text_copy(part, sizeof part, path))
        return error_set(err, ERROR_LIMIT, "path too long: %.100s...", path);
    for (char *slash = part + 1; *part && (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        if (!make_folder(part, mode, err))
            return false;
        *slash = '/';
    }
    return make_folder(part, mode, err);
}

bool file_space(const char *path, uint64_t *free_bytes, struct error *err)
{
    struct statvfs status;
    if (statvfs(path, &status) != 0)
        return error_errno(err, errno, "cannot ask for the free space of %s", path);
    *free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return true;
}
