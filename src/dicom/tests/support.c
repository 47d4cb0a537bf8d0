#include "tests.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

extern char **environ;

static bool pieces_next(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    (void)err;
    struct pieces *pieces = payload;
    *data = pieces->data;
    *size = pieces->size < pieces->piece ? pieces->size : pieces->piece;
    pieces->data += *size;
    pieces->size -= *size;
    return true;
}

struct source source_from_pieces(struct pieces *pieces)
{
    return (struct source){.next = pieces_next, .payload = pieces};
}

void put_item_tag(struct buffer *out, dicom_tag tag, uint32_t length)
{
    buffer_u16le(out, dicom_tag_group(tag));
    buffer_u16le(out, dicom_tag_element(tag));
    buffer_u32le(out, length);
}

void put_header(struct buffer *out, dicom_tag tag, const char *vr, uint32_t length)
{
    buffer_u16le(out, dicom_tag_group(tag));
    buffer_u16le(out, dicom_tag_element(tag));
    buffer_append(out, vr, 2);
    if (dicom_vr_has_long_length((enum dicom_vr)DICOM_VR(vr[0], vr[1]))) {
        buffer_u16le(out, 0);
        buffer_u32le(out, length);
    } else {
        buffer_u16le(out, (uint16_t)length);
    }
}

void put_explicit(struct buffer *out, dicom_tag tag, const char *vr, const void *value, size_t size)
{
    put_header(out, tag, vr, (uint32_t)size);
    buffer_append(out, value, size);
}

void put_implicit(struct buffer *out, dicom_tag tag, const void *value, size_t size)
{
    put_item_tag(out, tag, (uint32_t)size);
    buffer_append(out, value, size);
}

const struct dicom_dataset *parse_bytes(const struct buffer *bytes, const char *syntax, struct arena *arena)
{
    struct source_memory memory = {bytes->data, bytes->size};
    const struct dicom_dataset *dataset = NULL;
    struct error err = {0};
    if (!dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(syntax), NULL, arena, &dataset, &err))
        fail_msg("%s", err.message);
    return dataset;
}

static void read_all(int fd, struct buffer *output)
{
    uint8_t block[4096];
    ssize_t size;
    while ((size = read(fd, block, sizeof block)) > 0)
        buffer_append(output, block, (size_t)size);
    buffer_byte(output, 0);
}

int run_program(const char *const argv[], struct buffer *output)
{
    int ends[2], status;
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    int failed = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (!failed)
        read_all(ends[0], output);
    close(ends[0]);
    if (failed || waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *own_program(void)
{
    static char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    assert_true(size > 0);
    path[size] = 0;
    return path;
}

void write_temporary(char path[TEMPORARY_SIZE], const struct buffer *bytes)
{
    struct error err = {0};
    strncpy(path, "/tmp/hilum-dicom-XXXXXX", TEMPORARY_SIZE);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(file_write_fd(fd, bytes->data, bytes->size, &err));
    close(fd);
}
