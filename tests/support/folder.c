#include "support/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/file.h"
#include "support/check.h"

enum { RING = 8, FILE_MAX = 512 << 20 };

static char whole_program[TEMPORARY_SIZE / 2];
static pid_t owner; // children that were forked leave it alone

void folder_make(char *out, size_t capacity)
{
    const char *base = getenv("TMPDIR");
    int length = snprintf(out, capacity, "%s/hilum-test-XXXXXX", base ? base : "/tmp");
    assert_true(length > 0 && (size_t)length < capacity);
    assert_non_null(mkdtemp(out));
}

static int delete_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status, (void)type, (void)walk;
    return remove(path);
}

static int delete_whole(const char *folder)
{
    return nftw(folder, delete_one, 16, FTW_DEPTH | FTW_PHYS);
}

void folder_delete(const char *folder)
{
    assert_int_equal(delete_whole(folder), 0);
}

bool folder_make_disk(char *out, size_t capacity, unsigned megabytes)
{
    char options[32];
    folder_make(out, capacity);
    snprintf(options, sizeof options, "size=%um", megabytes);
    if (mount("hilum-test", out, "tmpfs", 0, options) == 0)
        return true;
    print_message("a file system of its own cannot be mounted: %s\n", strerror(errno));
    folder_delete(out);
    return false;
}

void folder_delete_disk(const char *folder)
{
    assert_int_equal(umount(folder), 0);
    folder_delete(folder);
}

void folder_fill(const char *folder, const char *name, size_t left)
{
    struct error err;
    char path[TEMPORARY_SIZE];
    uint64_t space;
    assert_ok(file_space(folder, &space, &err), err);
    assert_true(space > left);
    snprintf(path, sizeof path, "%.200s/%.40s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(space - left)), 0);
    close(fd);
}

static void at_exit(void)
{
    if (getpid() == owner)
        delete_whole(whole_program);
}

const char *temporary(const char *name)
{
    static char paths[RING][TEMPORARY_SIZE];
    static unsigned next;
    if (!whole_program[0]) {
        folder_make(whole_program, sizeof whole_program);
        owner = getpid();
        atexit(at_exit);
    }
    char *path = paths[next++ % RING];
    int length = snprintf(path, TEMPORARY_SIZE, "%s/%s", whole_program, name);
    assert_true(length > 0 && length < TEMPORARY_SIZE);
    return path;
}

void *load_file(const char *path, size_t *size)
{
    struct buffer bytes;
    struct error err;
    buffer_init(&bytes, FILE_MAX);
    assert_ok(file_read(path, &bytes, &err), err);
    if (size)
        *size = bytes.size;
    buffer_byte(&bytes, 0);
    assert_false(bytes.failed);
    return bytes.data;
}

void save_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wbe");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}
