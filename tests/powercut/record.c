// LD_PRELOAD layer: logs every operation on files under $POWERCUT_FOLDER to $POWERCUT_LOG, with the data, in order. It
// knows nothing of the program.
//
// It can also play a bad disk: while the file $POWERCUT_FULL_FLAG is there, writes to files that match the shell
// pattern $POWERCUT_FULL answer ENOSPC; while $POWERCUT_EIO_FLAG is there, syncs of files that match $POWERCUT_EIO
// answer EIO.
//
// What it does not see: writes through shared mappings, and stdio's own writes (fopen and the descriptor are seen). Of
// SQLite's files that is only -shm, which is made anew after a crash.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

enum { FDS = 4096, LOG_FD_LEAST = 700, IOV_COUNT = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char folder[PATH_MAX];
static size_t folder_size;
static int log_fd = -1;
static uint64_t syncs;
static char *fd_paths[FDS]; // of the descriptors under the folder, from its root; owned

static void setup(void)
{
    const char *where = getenv("POWERCUT_FOLDER"), *log = getenv("POWERCUT_LOG");
    if (!where || !log || !realpath(where, folder))
        return;
    folder_size = strlen(folder);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_fd = fd < 0 ? -1 : (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LOG_FD_LEAST);
    if (fd >= 0)
        syscall(SYS_close, fd);
}

static bool enter(void)
{
    pthread_once(&once, setup);
    if (log_fd < 0)
        return false;
    pthread_mutex_lock(&lock);
    return true;
}

static void leave(void)
{
    pthread_mutex_unlock(&lock);
}

// ---- the log; under the lock

static void fail(const char *what)
{
    dprintf(STDERR_FILENO, "powercut-record: %s: the log is worth nothing\n", what);
    abort();
}

static void put_all(const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        long put = syscall(SYS_write, log_fd, at, size);
        if (put < 0 && errno != EINTR)
            fail("cannot write the log");
        if (put > 0) {
            at += put;
            size -= (size_t)put;
        }
    }
}

static void put(enum powercut_type type, uint64_t file, uint64_t offset, uint64_t length, const void *data, size_t size)
{
    struct timespec now;
    int number = errno;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct powercut_record record = {.type = type,
                                     .size = (uint32_t)size,
                                     .time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
                                     .file = file,
                                     .offset = offset,
                                     .length = length};
    if (size > UINT32_MAX)
        fail("a write of 4 GiB");
    put_all(&record, sizeof record);
    put_all(data, size);
    errno = number;
}

static void put_path(enum powercut_type type, uint64_t file, const char *path)
{
    put(type, file, 0, 0, path, strlen(path));
}

static uint64_t file_of(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

// ---- paths

// "/a//b/./c" -> "/a/b/c". Links and ".." are not looked into.
static void tidy(char *path)
{
    char *to = path;
    for (const char *from = path; *from;) {
        if (from[0] == '/' && from[1] == '/')
            from++;
        else if (from[0] == '/' && from[1] == '.' && (from[2] == '/' || from[2] == '\0'))
            from += 2;
        else
            *to++ = *from++;
    }
    while (to > path + 1 && to[-1] == '/')
        to--;
    *to = '\0';
}

static bool base_of(int dir, char out[PATH_MAX])
{
    char link[64];
    if (dir == AT_FDCWD)
        return getcwd(out, PATH_MAX) != NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t size = readlink(link, out, PATH_MAX - 1);
    out[size > 0 ? size : 0] = '\0';
    return size > 0;
}

// The path from the folder's root ("" for the folder itself); false for one that is not under it.
static bool inside(int dir, const char *path, char out[PATH_MAX])
{
    char base[PATH_MAX], whole[2 * PATH_MAX];
    if (path[0] == '/')
        snprintf(whole, sizeof whole, "%s", path);
    else if (base_of(dir, base))
        snprintf(whole, sizeof whole, "%s/%s", base, path);
    else
        return false;
    tidy(whole);
    if (strncmp(whole, folder, folder_size) != 0 || (whole[folder_size] != '/' && whole[folder_size] != '\0'))
        return false;
    snprintf(out, PATH_MAX, "%.4000s", whole + folder_size + (whole[folder_size] == '/'));
    return true;
}

static const char *path_of(int fd)
{
    return fd >= 0 && fd < FDS ? fd_paths[fd] : NULL;
}

static void forget(int fd)
{
    if (fd < 0 || fd >= FDS)
        return;
    free(fd_paths[fd]);
    fd_paths[fd] = NULL;
}

static void remember(int fd, const char *path)
{
    if (fd < 0)
        return;
    if (fd >= FDS)
        fail("too many descriptors");
    forget(fd);
    fd_paths[fd] = strdup(path);
}

// ---- opening

static bool exists(int dir, const char *path)
{
    struct stat status;
    return fstatat(dir, path, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

static int open_any(int dir, const char *path, int flags, mode_t mode)
{
    char name[PATH_MAX];
    if (!enter())
        return (int)syscall(SYS_openat, dir, path, flags, mode);
    bool mine = inside(dir, path, name);
    bool is_new = mine && (flags & O_CREAT) && !exists(dir, path);
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    int number = errno;
    forget(fd);
    if (mine && fd >= 0) {
        remember(fd, name);
        if (is_new)
            put_path(POWERCUT_CREATE, file_of(fd), name);
        else if (flags & O_TRUNC)
            put(POWERCUT_TRUNCATE, file_of(fd), 0, 0, NULL, 0);
    }
    leave();
    errno = number;
    return fd;
}

static mode_t mode_of(int flags, va_list args)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list args;                                                                                                  \
        va_start(args, flags);                                                                                         \
        mode_t mode = mode_of(flags, args);                                                                            \
        va_end(args);                                                                                                  \
        return open_any(AT_FDCWD, path, flags, mode);                                                                  \
    }
#define OPENAT(name)                                                                                                   \
    int name(int dir, const char *path, int flags, ...)                                                                \
    {                                                                                                                  \
        va_list args;                                                                                                  \
        va_start(args, flags);                                                                                         \
        mode_t mode = mode_of(flags, args);                                                                            \
        va_end(args);                                                                                                  \
        return open_any(dir, path, flags, mode);                                                                       \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

// What a fortified program calls when there is no mode.
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __openat_2(int dir, const char *path, int flags)
{
    return open_any(dir, path, flags, 0);
}

int __openat64_2(int dir, const char *path, int flags)
{
    return open_any(dir, path, flags, 0);
}

int creat(const char *path, mode_t mode)
{
    return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int creat64(const char *path, mode_t mode)
{
    return creat(path, mode);
}

// C++ streams open with fopen and write with write.
static FILE *fopen_any(const char *symbol, const char *path, const char *mode)
{
    FILE *(*next)(const char *, const char *);
    char name[PATH_MAX];
    *(void **)&next = dlsym(RTLD_NEXT, symbol);
    if (!enter())
        return next(path, mode);
    bool mine = inside(AT_FDCWD, path, name);
    bool is_new = mine && !exists(AT_FDCWD, path);
    FILE *file = next(path, mode);
    int number = errno;
    if (file)
        forget(fileno(file));
    if (mine && file) {
        remember(fileno(file), name);
        if (is_new)
            put_path(POWERCUT_CREATE, file_of(fileno(file)), name);
        else if (mode[0] == 'w')
            put(POWERCUT_TRUNCATE, file_of(fileno(file)), 0, 0, NULL, 0);
    }
    leave();
    errno = number;
    return file;
}

FILE *fopen(const char *path, const char *mode)
{
    return fopen_any("fopen", path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    return fopen_any("fopen64", path, mode);
}

// A descriptor closed elsewhere (fclose) is forgotten when its number is used again.
int close(int fd)
{
    if (enter()) {
        forget(fd);
        leave();
    }
    return (int)syscall(SYS_close, fd);
}

static int copy_fd(int from, int to)
{
    if (to >= 0 && enter()) {
        forget(to);
        if (path_of(from))
            remember(to, path_of(from));
        leave();
    }
    return to;
}

int dup(int fd)
{
    return copy_fd(fd, (int)syscall(SYS_dup, fd));
}

int dup2(int fd, int to)
{
    return fd == to ? fd : copy_fd(fd, (int)syscall(SYS_dup3, fd, to, 0));
}

int dup3(int fd, int to, int flags)
{
    return copy_fd(fd, (int)syscall(SYS_dup3, fd, to, flags));
}

// ---- writing

static bool plays(const char *path, const char *flag, const char *pattern)
{
    return flag && pattern && fnmatch(pattern, path, 0) == 0 && syscall(SYS_access, flag, F_OK) == 0;
}

// `offset` -1: the file's own position.
static ssize_t write_any(int fd, const struct iovec *parts, int count, off_t offset)
{
    bool tracked = enter();
    bool mine = tracked && path_of(fd);
    if (tracked && !mine)
        leave(); // a pipe or socket may block
    if (mine && plays(path_of(fd), getenv("POWERCUT_FULL_FLAG"), getenv("POWERCUT_FULL"))) {
        leave();
        errno = ENOSPC;
        return -1;
    }
    ssize_t done =
        offset < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, (long)offset, 0L);
    if (!mine)
        return done;
    int number = errno;
    uint64_t at = (uint64_t)(offset < 0 ? lseek(fd, 0, SEEK_CUR) - done : offset);
    size_t left = done > 0 ? (size_t)done : 0;
    for (int i = 0; i < count && left > 0; i++) {
        size_t size = parts[i].iov_len < left ? parts[i].iov_len : left;
        put(POWERCUT_WRITE, file_of(fd), at, size, parts[i].iov_base, size);
        at += size;
        left -= size;
    }
    leave();
    errno = number;
    return done;
}

ssize_t write(int fd, const void *data, size_t size)
{
    return write_any(fd, &(struct iovec){(void *)(uintptr_t)data, size}, 1, -1);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return write_any(fd, &(struct iovec){(void *)(uintptr_t)data, size}, 1, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    return pwrite(fd, data, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return write_any(fd, parts, count, -1);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return write_any(fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
{
    return write_any(fd, parts, count, offset);
}

// ---- sizes

int ftruncate(int fd, off_t size)
{
    if (!enter())
        return (int)syscall(SYS_ftruncate, fd, size);
    int code = (int)syscall(SYS_ftruncate, fd, size);
    if (code == 0 && path_of(fd))
        put(POWERCUT_TRUNCATE, file_of(fd), (uint64_t)size, 0, NULL, 0);
    leave();
    return code;
}

int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

int truncate(const char *path, off_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int code = ftruncate(fd, size), number = errno;
    close(fd);
    errno = number;
    return code;
}

int truncate64(const char *path, off_t size)
{
    return truncate(path, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    if (!enter())
        return (int)syscall(SYS_fallocate, fd, mode, offset, size);
    int code = (int)syscall(SYS_fallocate, fd, mode, offset, size);
    if (code == 0 && path_of(fd)) {
        if (mode & FALLOC_FL_PUNCH_HOLE || mode & FALLOC_FL_ZERO_RANGE)
            put(POWERCUT_ZERO, file_of(fd), (uint64_t)offset, (uint64_t)size, NULL, 0);
        if (!(mode & FALLOC_FL_KEEP_SIZE))
            put(POWERCUT_EXTEND, file_of(fd), (uint64_t)(offset + size), 0, NULL, 0);
    }
    leave();
    return code;
}

int fallocate64(int fd, int mode, off_t offset, off_t size)
{
    return fallocate(fd, mode, offset, size);
}

int posix_fallocate(int fd, off_t offset, off_t size)
{
    return fallocate(fd, 0, offset, size) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off_t offset, off_t size)
{
    return posix_fallocate(fd, offset, size);
}

// ---- names

static int rename_any(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    char pair[2 * PATH_MAX], target[PATH_MAX];
    struct stat status;
    if (!enter())
        return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    bool mine = inside(from_dir, from, pair), also = inside(to_dir, to, target);
    if (mine != also || (mine && flags & RENAME_EXCHANGE))
        fail("a rename into, out of or across the folder");
    int code = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (code == 0 && mine && fstatat(to_dir, to, &status, AT_SYMLINK_NOFOLLOW) == 0) {
        size_t size = strlen(pair) + 1;
        memcpy(pair + size, target, strlen(target));
        put(POWERCUT_RENAME, (uint64_t)status.st_ino, 0, 0, pair, size + strlen(target));
    }
    leave();
    return code;
}

int rename(const char *from, const char *to)
{
    return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return rename_any(from_dir, from, to_dir, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return rename_any(from_dir, from, to_dir, to, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    char target[PATH_MAX];
    struct stat status;
    if (!enter())
        return (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    int code = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (code == 0 && inside(to_dir, to, target) && fstatat(to_dir, to, &status, AT_SYMLINK_NOFOLLOW) == 0)
        put_path(POWERCUT_LINK, (uint64_t)status.st_ino, target);
    leave();
    return code;
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dir, const char *path, int flags)
{
    char name[PATH_MAX];
    if (!enter())
        return (int)syscall(SYS_unlinkat, dir, path, flags);
    bool mine = inside(dir, path, name);
    int code = (int)syscall(SYS_unlinkat, dir, path, flags);
    if (code == 0 && mine)
        put_path(POWERCUT_UNLINK, 0, name);
    leave();
    return code;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    int code = unlinkat(AT_FDCWD, path, 0);
    return code != 0 && (errno == EISDIR || errno == EPERM) ? rmdir(path) : code;
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    char name[PATH_MAX];
    struct stat status;
    if (!enter())
        return (int)syscall(SYS_mkdirat, dir, path, mode);
    bool mine = inside(dir, path, name);
    int code = (int)syscall(SYS_mkdirat, dir, path, mode);
    if (code == 0 && mine && fstatat(dir, path, &status, 0) == 0)
        put_path(POWERCUT_MKDIR, (uint64_t)status.st_ino, name);
    leave();
    return code;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

// ---- syncs: other threads go on meanwhile, so begin and end are two records

static int sync_any(const char *call, long number, int fd)
{
    char text[PATH_MAX + 32];
    if (!enter())
        return (int)syscall(number, fd);
    bool mine = path_of(fd) != NULL;
    if (mine && plays(path_of(fd), getenv("POWERCUT_EIO_FLAG"), getenv("POWERCUT_EIO"))) {
        leave();
        errno = EIO;
        return -1;
    }
    uint64_t sync = ++syncs, file = mine ? file_of(fd) : 0;
    if (mine) {
        struct stat status;
        bool is_folder = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
        int size = snprintf(text, sizeof text, "%s%s:%s", call, is_folder ? "-dir" : "", path_of(fd));
        put(POWERCUT_SYNC_BEGIN, file, sync, (uint64_t)getpid(), text, (size_t)size);
    }
    leave();
    int code = (int)syscall(number, fd);
    if (mine && code == 0 && enter()) {
        put(POWERCUT_SYNC_END, file, sync, (uint64_t)getpid(), NULL, 0);
        leave();
    }
    return code;
}

int fsync(int fd)
{
    return sync_any("fsync", SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_any("fdatasync", SYS_fdatasync, fd);
}
