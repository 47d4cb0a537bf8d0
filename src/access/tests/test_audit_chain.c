// The chain: every change is found, and no crash breaks it.
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/audit_chain.h"
#include "access/audit_trail.h"
#include "access/audit_walk.h"
#include "base/clock.h"
#include "base/file.h"

enum { SMALL_SEGMENT = 3000 };

static struct access_trail *open_small(const char *folder)
{
    struct error err;
    struct access_trail *trail = access_trail_open(NULL, folder, NULL, SMALL_SEGMENT, &err);
    assert_ok(trail != NULL, err);
    return trail;
}

static void put(struct access_trail *trail, const char *actor)
{
    access_trail_put(
        trail, &(struct access_record){.event = ACCESS_EVENT_IMPORTED, .success = true, .actor = actor, .patient = "1"},
        CLOCK_SECOND);
}

static void write_lines(const char *folder, int count)
{
    struct error err;
    struct access_trail *trail = open_small(folder);
    for (int i = 0; i < count; i++) {
        put(trail, "X");
        assert_ok(access_trail_flush(trail, true, &err), err); // so that files end where they are full
    }
    access_trail_close(trail);
}

static bool sound(const char *folder, uint64_t *lines, struct error *err)
{
    return access_audit_verify(folder, lines, err);
}

static void assert_sound(const char *folder, uint64_t expected)
{
    struct error err;
    uint64_t lines;
    assert_ok(sound(folder, &lines, &err), err);
    assert_int_equal(lines, expected);
}

static void load(const char *folder, uint64_t segment, struct buffer *out)
{
    char path[ACCESS_PATH_SIZE];
    struct error err;
    buffer_init(out, 1 << 20);
    assert_ok(access_segment_path(path, folder, segment, &err), err);
    assert_ok(file_read(path, out, &err), err);
}

static void save(const char *folder, uint64_t segment, const void *data, size_t size)
{
    char path[ACCESS_PATH_SIZE];
    struct error err;
    assert_ok(access_segment_path(path, folder, segment, &err), err);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_ok(file_write_fd(fd, data, size, &err), err);
    close(fd);
}

static uint64_t last_segment(const char *folder)
{
    struct error err;
    uint64_t last;
    assert_ok(access_segment_last(folder, &last, &err), err);
    return last;
}

static void a_flipped_bit_anywhere_is_found(void **state)
{
    char folder[PLACE_PATH];
    struct error err;
    uint64_t lines;
    (void)state;
    folder_make(folder, PLACE_PATH);
    write_lines(folder, 9);
    uint64_t last = last_segment(folder);
    assert_in_range(last, 2, 9);
    for (uint64_t segment = 1; segment <= last; segment++) {
        struct buffer bytes;
        load(folder, segment, &bytes);
        for (size_t i = 0; i < bytes.size; i++) {
            uint8_t bit = (uint8_t)(1 << i % 8);
            bytes.data[i] ^= bit;
            save(folder, segment, bytes.data, bytes.size);
            if (sound(folder, &lines, &err))
                fail_msg("byte %zu of file %llu", i, (unsigned long long)segment);
            assert_int_equal(err.code, ERROR_BAD_DATA);
            bytes.data[i] ^= bit;
        }
        save(folder, segment, bytes.data, bytes.size);
        buffer_free(&bytes);
    }
    assert_sound(folder, 9);
    folder_delete(folder);
}

static void a_line_taken_out_doubled_or_moved_is_found(void **state)
{
    char folder[PLACE_PATH];
    struct buffer bytes, changed;
    struct error err;
    uint64_t lines;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = access_trail_open(NULL, folder, NULL, ACCESS_SEGMENT_MAX, &err);
    for (int i = 0; i < 3; i++)
        put(trail, "X");
    access_trail_close(trail);
    load(folder, 1, &bytes);
    uint8_t *second = (uint8_t *)memchr(bytes.data, '\n', bytes.size) + 1;
    uint8_t *third = (uint8_t *)memchr(second, '\n', bytes.size) + 1;
    size_t first_size = (size_t)(second - bytes.data), second_size = (size_t)(third - second);
    size_t third_size = bytes.size - first_size - second_size;
    const struct {
        const uint8_t *parts[4];
        size_t sizes[4];
        uint64_t broken;
    } cases[] = {
        {{bytes.data, third}, {first_size, third_size}, 2},
        {{second, third}, {second_size, third_size}, 1},
        {{bytes.data, second, second, third}, {first_size, second_size, second_size, third_size}, 3},
        {{bytes.data, third, second}, {first_size, third_size, second_size}, 2},
        {{bytes.data, bytes.data, second, third}, {first_size, first_size, second_size, third_size}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buffer_init(&changed, 1 << 20);
        for (size_t k = 0; k < 4; k++)
            buffer_append(&changed, cases[i].parts[k], cases[i].sizes[k]);
        save(folder, 1, changed.data, changed.size);
        assert_false(sound(folder, &lines, &err));
        assert_int_equal(lines, cases[i].broken);
        buffer_free(&changed);
    }
    buffer_free(&bytes);
    folder_delete(folder);
}

static void a_file_taken_out_is_found_but_the_oldest_may_go(void **state)
{
    char folder[PLACE_PATH], path[ACCESS_PATH_SIZE];
    struct error err;
    uint64_t lines;
    (void)state;
    folder_make(folder, PLACE_PATH);
    write_lines(folder, 12);
    assert_in_range(last_segment(folder), 4, 12);
    assert_ok(access_segment_path(path, folder, 1, &err), err);
    assert_int_equal(unlink(path), 0);
    assert_ok(sound(folder, &lines, &err), err);
    assert_ok(access_segment_path(path, folder, 3, &err), err);
    assert_int_equal(unlink(path), 0);
    assert_false(sound(folder, &lines, &err));
    assert_non_null(strstr(err.message, "audit-00000003.log is missing"));
    folder_delete(folder);
}

static void the_next_start_goes_on_with_the_chain(void **state)
{
    char folder[PLACE_PATH];
    (void)state;
    folder_make(folder, PLACE_PATH);
    for (int i = 0; i < 12; i++)
        write_lines(folder, 1);
    assert_sound(folder, 12);
    assert_in_range(last_segment(folder), 2, 12);
    folder_delete(folder);
}

// Wherever a crash cut the last line.
static void an_unfinished_line_is_cut_and_told(void **state)
{
    char folder[PLACE_PATH];
    struct buffer bytes;
    struct error err;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = access_trail_open(NULL, folder, NULL, ACCESS_SEGMENT_MAX, &err);
    put(trail, "X");
    put(trail, "X");
    access_trail_close(trail);
    load(folder, 1, &bytes);
    size_t second = (size_t)((uint8_t *)memchr(bytes.data, '\n', bytes.size) + 1 - bytes.data);
    for (size_t size = 0; size < bytes.size; size += 1 + size % 7) {
        uint64_t lines;
        save(folder, 1, bytes.data, size);
        bool cut = size != 0 && size != second;
        assert_int_equal(sound(folder, &lines, &err), !cut);
        trail = access_trail_open(NULL, folder, NULL, ACCESS_SEGMENT_MAX, &err);
        assert_ok(trail != NULL, err);
        put(trail, "NEXT");
        access_trail_close(trail);
        assert_sound(folder, (uint64_t)(size >= second) + cut + 1);
        char *text = place_trail(folder);
        assert_int_equal(place_count(text, "of an unfinished line were cut off"), cut);
        free(text);
    }
    buffer_free(&bytes);
    folder_delete(folder);
}

static void a_long_unfinished_end_leaves_nothing_behind_the_next_line(void **state)
{
    char folder[PLACE_PATH];
    struct buffer bytes;
    (void)state;
    folder_make(folder, PLACE_PATH);
    write_lines(folder, 1);
    load(folder, 1, &bytes);
    for (int i = 0; i < 20000; i++)
        buffer_byte(&bytes, 0);
    save(folder, 1, bytes.data, bytes.size);
    buffer_free(&bytes);
    write_lines(folder, 1);
    assert_sound(folder, 3);
    folder_delete(folder);
}

static void a_broken_chain_is_told_once_in_a_new_file(void **state)
{
    char folder[PLACE_PATH];
    struct buffer bytes;
    struct error err;
    uint64_t lines;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = access_trail_open(NULL, folder, NULL, ACCESS_SEGMENT_MAX, &err);
    for (int i = 0; i < 3; i++)
        put(trail, "X");
    access_trail_close(trail);
    load(folder, 1, &bytes);
    bytes.data[bytes.size / 2] ^= 4;
    save(folder, 1, bytes.data, bytes.size);
    buffer_free(&bytes);
    for (int i = 0; i < 3; i++) {
        trail = access_trail_open(NULL, folder, NULL, ACCESS_SEGMENT_MAX, &err);
        assert_ok(trail != NULL, err);
        put(trail, "X");
        access_trail_close(trail);
        assert_int_equal(last_segment(folder), 2);
    }
    char *text = place_trail(folder);
    assert_int_equal(place_count(text, "the audit chain is broken"), 1);
    free(text);
    assert_false(sound(folder, &lines, &err));
    assert_int_equal(lines, 2);
    assert_non_null(strstr(err.message, "audit-00000001.log line 2"));
    folder_delete(folder);
}

// The child writes without end, in batches of many lines; what it was sure of it tells through the pipe.
static void write_until_killed(const char *folder, int out)
{
    struct error err;
    struct access_trail *trail = access_trail_open(NULL, folder, NULL, 200000, &err);
    if (!trail)
        _exit(1);
    for (uint64_t done = 0;;) {
        for (int i = 0; i < 200; i++)
            put(trail, "X");
        done += 200;
        if (!access_trail_flush(trail, true, &err) || write(out, &done, sizeof done) != sizeof done)
            _exit(2);
    }
}

static uint64_t run_and_kill(const char *folder, int64_t after_ns)
{
    int pipes[2], status;
    uint64_t sure = 0, value;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        write_until_killed(folder, pipes[1]);
    close(pipes[1]);
    clock_sleep_ns(after_ns);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (read(pipes[0], &value, sizeof value) == sizeof value)
        sure = value;
    close(pipes[0]);
    return sure;
}

static void kills_leave_a_prefix_and_the_next_start_goes_on(void **state)
{
    char folder[PLACE_PATH];
    struct error err;
    uint64_t lines = 0, sure = 0;
    unsigned seed = 1;
    (void)state;
    folder_make(folder, PLACE_PATH);
    for (int round = 0; round < 20; round++) {
        sure += run_and_kill(folder, (5 + rand_r(&seed) % 60) * CLOCK_MS);
        struct access_trail *trail = access_trail_open(NULL, folder, NULL, ACCESS_SEGMENT_MAX, &err);
        assert_ok(trail != NULL, err);
        access_trail_close(trail);
        assert_ok(sound(folder, &lines, &err), err);
        assert_true(lines >= sure); // flushed is kept
    }
    char *text = place_trail(folder);
    assert_int_equal(place_count(text, "the audit chain is broken"), 0);
    print_message("20 kills: %llu lines sure, %llu found, %zu unfinished lines cut\n", (unsigned long long)sure,
                  (unsigned long long)lines, place_count(text, "unfinished line"));
    free(text);
    assert_in_range(sure, 200, UINT32_MAX);
    folder_delete(folder);
}

static _Atomic bool syncs_fail;

// In front of the C library's.
int fdatasync(int fd)
{
    if (!syncs_fail)
        return fsync(fd);
    errno = EIO;
    return -1;
}

// A line that may not be on the disk is not told as written, and is written again.
static void a_line_is_synced_before_it_is_called_written(void **state)
{
    char folder[PLACE_PATH];
    struct error err;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = access_trail_open(NULL, folder, NULL, ACCESS_SEGMENT_MAX, &err);
    assert_ok(trail != NULL, err);
    syncs_fail = true;
    put(trail, "X");
    assert_false(access_trail_flush(trail, true, &err));
    syncs_fail = false;
    assert_ok(access_trail_flush(trail, true, &err), err);
    access_trail_close(trail);
    assert_sound(folder, 1);
    folder_delete(folder);
}

// ---- the key

static void key_path(const char *folder, char out[PLACE_PATH + 16])
{
    snprintf(out, PLACE_PATH + 16, "%s/audit-key", folder);
}

// As a server of before the key left it: one file.
static void write_without_key(const char *folder)
{
    struct access_chain chain;
    struct error err;
    char found[ERROR_MESSAGE_SIZE], path[PLACE_PATH + 16];
    const struct access_record record = {.event = ACCESS_EVENT_IMPORTED,
                                         .success = true,
                                         .actor = "X",
                                         .address = "",
                                         .patient = "1",
                                         .study = "",
                                         .detail = ""};
    assert_ok(access_chain_open(&chain, folder, NULL, &(struct store_audit_head){0}, found, &err), err);
    chain.key.there = false;
    for (int i = 0; i < 3; i++)
        assert_true(access_chain_add(&chain, &record, CLOCK_SECOND, 1));
    assert_ok(access_chain_commit(&chain, &err), err);
    access_chain_close(&chain);
    key_path(folder, path);
    assert_int_equal(unlink(path), 0);
}

static bool first_line_has_key(const char *folder, uint64_t segment)
{
    struct buffer bytes;
    load(folder, segment, &bytes);
    const char *end = memchr(bytes.data, '\n', bytes.size);
    bool has =
        memmem(bytes.data, (size_t)(end - (char *)bytes.data), ACCESS_CHAIN_KEY, strlen(ACCESS_CHAIN_KEY)) != NULL;
    buffer_free(&bytes);
    return has;
}

static void files_of_before_the_key_stay_and_the_next_one_has_it(void **state)
{
    char folder[PLACE_PATH], path[PLACE_PATH + 16];
    struct stat status;
    (void)state;
    folder_make(folder, PLACE_PATH);
    write_without_key(folder);
    write_lines(folder, 2);
    assert_sound(folder, 5);
    assert_false(first_line_has_key(folder, 1));
    assert_true(first_line_has_key(folder, 2));
    key_path(folder, path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    folder_delete(folder);
}

static void a_chain_computed_anew_without_the_key_is_found(void **state)
{
    char folder[PLACE_PATH], other[PLACE_PATH];
    struct error err;
    struct buffer forged;
    uint64_t lines;
    (void)state;
    folder_make(folder, PLACE_PATH);
    folder_make(other, PLACE_PATH);
    write_lines(folder, 1);
    write_without_key(other);
    load(other, 1, &forged);
    save(folder, 1, forged.data, forged.size);
    assert_false(sound(folder, &lines, &err));
    assert_non_null(strstr(err.message, "is without the key"));
    buffer_free(&forged);
    folder_delete(other);
    folder_make(other, PLACE_PATH);
    write_lines(other, 1);
    load(other, 1, &forged);
    save(folder, 1, forged.data, forged.size);
    assert_false(sound(folder, &lines, &err));
    assert_non_null(strstr(err.message, "has another key"));
    buffer_free(&forged);
    folder_delete(other);
    folder_delete(folder);
}

// Without the key only that nothing is missing can be told.
static void assert_unchecked(const char *folder, uint64_t expected)
{
    struct error err;
    struct access_walk walk = {.lines = 0};
    assert_ok(access_walk_all(&walk, folder, &err), err);
    assert_int_equal(walk.unchecked, expected);
}

static void a_lost_key_is_told_and_no_new_one_is_made(void **state)
{
    char folder[PLACE_PATH], path[PLACE_PATH + 16], kept[PLACE_PATH + 16];
    struct error err;
    uint64_t lines;
    (void)state;
    folder_make(folder, PLACE_PATH);
    write_lines(folder, 2);
    uint64_t before = last_segment(folder);
    key_path(folder, path);
    snprintf(kept, sizeof kept, "%s/kept", folder);
    assert_int_equal(rename(path, kept), 0);
    assert_unchecked(folder, 2);
    write_lines(folder, 1);
    char *text = place_trail(folder);
    assert_non_null(strstr(text, ACCESS_BROKEN_WORDS "its key "));
    free(text);
    assert_int_equal(access(path, F_OK), -1);
    assert_false(first_line_has_key(folder, before + 1));
    assert_int_equal(rename(kept, path), 0);
    write_lines(folder, 1);
    assert_true(first_line_has_key(folder, last_segment(folder)));
    assert_false(sound(folder, &lines, &err)); // what was written meanwhile has none, and says so
    assert_non_null(strstr(err.message, "is without the key"));
    assert_false(access_audit_new_key(folder, NULL, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    folder_delete(folder);
}

static void a_new_key_counts_from_the_next_file(void **state)
{
    char folder[PLACE_PATH], path[PLACE_PATH + 16];
    struct error err;
    (void)state;
    folder_make(folder, PLACE_PATH);
    write_lines(folder, 2);
    key_path(folder, path);
    assert_int_equal(unlink(path), 0);
    assert_ok(access_audit_new_key(folder, NULL, &err), err);
    write_lines(folder, 2);
    assert_sound(folder, 4);
    folder_delete(folder);
}

int test_audit_chain(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flipped_bit_anywhere_is_found),
        cmocka_unit_test(a_line_taken_out_doubled_or_moved_is_found),
        cmocka_unit_test(a_file_taken_out_is_found_but_the_oldest_may_go),
        cmocka_unit_test(the_next_start_goes_on_with_the_chain),
        cmocka_unit_test(an_unfinished_line_is_cut_and_told),
        cmocka_unit_test(a_long_unfinished_end_leaves_nothing_behind_the_next_line),
        cmocka_unit_test(a_broken_chain_is_told_once_in_a_new_file),
        cmocka_unit_test(kills_leave_a_prefix_and_the_next_start_goes_on),
        cmocka_unit_test(a_line_is_synced_before_it_is_called_written),
        cmocka_unit_test(files_of_before_the_key_stay_and_the_next_one_has_it),
        cmocka_unit_test(a_chain_computed_anew_without_the_key_is_found),
        cmocka_unit_test(a_lost_key_is_told_and_no_new_one_is_made),
        cmocka_unit_test(a_new_key_counts_from_the_next_file),
    };
    return cmocka_run_group_tests_name("access: audit chain", tests, NULL, NULL);
}
