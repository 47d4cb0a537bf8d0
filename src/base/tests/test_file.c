#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/reader.h"
#include "base/text.h"
#include "support/check.h"
#include "support/folder.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    folder_make(folder, sizeof folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    folder_delete(folder);
    return 0;
}

// A read of a pipe that nobody writes to would never end.
static void what_is_no_file_is_refused_and_not_waited_for(void **state)
{
    char path[128];
    struct error err;
    struct buffer buffer;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)state;
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    const struct {
        const char *path, *word;
    } cases[] = {{path, "a pipe"}, {address.sun_path, "no file"}, {folder, "a folder"}, {"/dev/zero", "a device"}};
    buffer_init(&buffer, 64);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(file_read(cases[i].path, &buffer, &err));
        assert_int_equal(err.code, ERROR_UNSUPPORTED);
        assert_non_null(strstr(err.message, cases[i].word));
        assert_non_null(strstr(err.message, cases[i].path));
    }
    buffer_free(&buffer);
    close(fd);
}

static void a_replaced_file_is_read_back_within_the_ceiling(void **state)
{
    char path[128];
    struct error err;
    struct buffer buffer;
    (void)state;
    snprintf(path, sizeof path, "%s/file", folder);
    assert_ok(file_replace(path, "old", 3, 0600, &err), err);
    assert_ok(file_replace(path, "hello", 5, 0600, &err), err);
    buffer_init(&buffer, 5);
    assert_ok(file_read(path, &buffer, &err), err);
    assert_int_equal(buffer.size, 5);
    assert_memory_equal(buffer.data, "hello", 5);
    buffer_free(&buffer);
    buffer_init(&buffer, 4);
    assert_false(file_read(path, &buffer, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    buffer_free(&buffer);
    snprintf(path, sizeof path, "%s/none", folder);
    assert_false(file_read(path, &buffer, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void folders_are_made_with_their_parents(void **state)
{
    char path[128];
    struct error err;
    (void)state;
    snprintf(path, sizeof path, "%s/a/b/c", folder);
    assert_ok(file_make_folders(path, 0700, &err), err);
    assert_ok(file_make_folders(path, 0700, &err), err);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof path, "%s/file/x", folder);
    assert_false(file_make_folders(path, 0700, &err));
}

static void a_reader_gives_its_part_of_a_file(void **state)
{
    char path[128], got[4] = "";
    struct error err;
    (void)state;
    snprintf(path, sizeof path, "%s/file", folder);
    assert_ok(file_replace(path, "0123456789", 10, 0600, &err), err);
    int fd = open(path, O_RDONLY);
    struct reader part = reader_from_fd(fd, 2, 5);
    assert_ok(reader_read(&part, 2, got, 3, &err), err);
    assert_string_equal(got, "456");
    assert_ok(reader_read(&part, 5, NULL, 0, &err), err);
    static const struct {
        uint64_t offset;
        size_t size;
    } past[] = {{3, 3}, {6, 0}, {UINT64_MAX, 2}, {0, SIZE_MAX}};
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        assert_false(reader_read(&part, past[i].offset, got, past[i].size, &err));
        assert_int_equal(err.code, ERROR_BAD_DATA);
    }
    reader_narrow(&part, 3, 9);
    assert_int_equal(part.size, 2);
    assert_ok(reader_read(&part, 0, got, 2, &err), err);
    assert_string_equal(got, "566");
    reader_narrow(&part, 5, 1);
    assert_int_equal(part.size, 0);
    struct reader too_long = reader_from_fd(fd, 8, 5);
    assert_false(reader_read(&too_long, 1, got, 3, &err));
    assert_int_equal(err.code, ERROR_IO);
    close(fd);
}

static void release_once(void *payload)
{
    ++*(int *)payload;
}

static void a_reader_is_given_back_once_and_has_no_bytes_then(void **state)
{
    int released = 0;
    char byte;
    struct error err;
    (void)state;
    struct reader reader = reader_from_memory("ab", 2);
    assert_ok(reader_read(&reader, 1, &byte, 1, &err), err);
    assert_int_equal(byte, 'b');
    reader.release = release_once;
    reader.payload = &released;
    reader_release(&reader);
    reader_release(&reader);
    assert_int_equal(released, 1);
    assert_false(reader_read(&reader, 0, &byte, 1, &err));
}

static void a_reader_is_a_stream_in_pieces(void **state)
{
    char got[16] = "";
    uint8_t block[2];
    struct error err;
    const uint8_t *data;
    size_t size, total = 0;
    (void)state;
    struct source_reader whole = {reader_from_memory("23456", 5), 0, block, sizeof block};
    struct source source = source_from_reader(&whole);
    do {
        assert_ok(source.next(source.payload, &data, &size, &err), err);
        memcpy(got + total, data, size);
        total += size;
    } while (size > 0);
    assert_string_equal(got, "23456");
    struct source_reader passed = {reader_from_memory("23456", 5), 0, block, sizeof block};
    source = source_from_reader(&passed);
    assert_int_equal(source.pass(source.payload, 4), 4);
    assert_ok(source.next(source.payload, &data, &size, &err), err);
    assert_int_equal(size, 1);
    assert_int_equal(data[0], '6');
    assert_int_equal(source.pass(source.payload, 4), 0);
}

static void sha_256_matches_fips_180_4(void **state)
{
    uint8_t digest[HASH_SIZE];
    char hex[2 * HASH_SIZE + 1];
    (void)state;
    hash_of("abc", 3, digest);
    text_hex(hex, digest, sizeof digest);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    struct hash *hash = hash_new();
    assert_non_null(hash);
    for (int round = 0; round < 2; round++) {
        hash_start(hash);
        hash_add(hash, "a", 1);
        hash_add(hash, "bc", 2);
        hash_end(hash, digest);
        text_hex(hex, digest, sizeof digest);
        assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
    hash_free(hash);
}

static void what_cannot_be_replaced_is_told(void **state)
{
    char path[128];
    struct error err;
    (void)state;
    snprintf(path, sizeof path, "%s/folder", folder);
    assert_ok(file_make_folders(path, 0700, &err), err);
    assert_false(file_replace(path, "new", 3, 0600, &err)); // no file takes a folder's place
    assert_non_null(strstr(err.message, "cannot rename"));
}

int test_file(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_file_is_refused_and_not_waited_for),
        cmocka_unit_test(a_replaced_file_is_read_back_within_the_ceiling),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(a_reader_gives_its_part_of_a_file),
        cmocka_unit_test(a_reader_is_given_back_once_and_has_no_bytes_then),
        cmocka_unit_test(a_reader_is_a_stream_in_pieces),
        cmocka_unit_test(sha_256_matches_fips_180_4),
        cmocka_unit_test(what_cannot_be_replaced_is_told),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
