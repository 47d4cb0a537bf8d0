#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/source.h"
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

static void a_file_source_gives_its_part_in_pieces(void **state)
{
    char path[128], got[16] = "";
    uint8_t block[2];
    struct error err;
    const uint8_t *data;
    size_t size, total = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/file", folder);
    assert_ok(file_replace(path, "0123456789", 10, 0600, &err), err);
    int fd = open(path, O_RDONLY);
    struct source_file file = {.fd = fd, .offset = 2, .size = 5, .block = block, .block_size = sizeof block};
    struct source source = source_from_file(&file);
    do {
        assert_ok(source.next(source.payload, &data, &size, &err), err);
        memcpy(got + total, data, size);
        total += size;
    } while (size > 0);
    assert_string_equal(got, "23456");
    struct source_file skipped = {.fd = fd, .offset = 2, .size = 5, .block = block, .block_size = sizeof block};
    source = source_from_file(&skipped);
    assert_int_equal(source.pass(source.payload, 4), 4);
    assert_ok(source.next(source.payload, &data, &size, &err), err);
    assert_int_equal(size, 1);
    assert_int_equal(data[0], '6');
    assert_int_equal(source.pass(source.payload, 4), 0);
    struct source_file past = {.fd = fd, .offset = 8, .size = 5, .block = block, .block_size = sizeof block};
    source = source_from_file(&past);
    assert_ok(source.next(source.payload, &data, &size, &err), err);
    assert_false(source.next(source.payload, &data, &size, &err));
    assert_int_equal(err.code, ERROR_IO);
    close(fd);
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

int test_file(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replaced_file_is_read_back_within_the_ceiling),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(a_file_source_gives_its_part_in_pieces),
        cmocka_unit_test(sha_256_matches_fips_180_4),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
