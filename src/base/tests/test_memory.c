#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/budget.h"
#include "base/buffer.h"
#include "base/clock.h"

static void arena_refuses_past_its_limit(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 1000);
    assert_non_null(arena_alloc(&arena, 900));
    assert_null(arena_alloc(&arena, 200));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_calloc(&arena, SIZE_MAX / 2, 4));
    assert_null(arena_strndup(&arena, "", SIZE_MAX));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 900));
    arena_free(&arena);
}

static void arena_memory_is_aligned_zeroed_and_apart(void **state)
{
    struct arena arena;
    unsigned char *pieces[200];
    (void)state;
    arena_init(&arena, 1 << 20);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < 200; i++) {
            pieces[i] = arena_alloc(&arena, i * 7);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % 16, 0);
            for (size_t k = 0; k < i * 7; k++)
                assert_int_equal(pieces[i][k], 0);
            memset(pieces[i], (int)i, i * 7);
        }
        for (size_t i = 0; i < 200; i++)
            for (size_t k = 0; k < i * 7; k++)
                assert_int_equal(pieces[i][k], i);
        arena_reset(&arena);
    }
    arena_free(&arena);
}

static void arena_prints(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 4096);
    assert_string_equal(arena_printf(&arena, "%d %s", 42, "slices"), "42 slices");
    arena_free(&arena);
}

static void buffer_keeps_its_ceiling_and_remembers_the_failure(void **state)
{
    struct buffer buffer;
    struct error err;
    (void)state;
    buffer_init(&buffer, 10);
    buffer_text(&buffer, "12345");
    buffer_text(&buffer, "67890");
    assert_true(buffer_check(&buffer, "text", &err));
    buffer_byte(&buffer, '!');
    assert_false(buffer_check(&buffer, "text", &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    buffer_clear(&buffer);
    buffer_text(&buffer, "ok");
    assert_true(buffer_check(&buffer, "text", &err));
    assert_int_equal(buffer.size, 2);
    assert_null(buffer_reserve(&buffer, SIZE_MAX));
    buffer_free(&buffer);
}

static void who_works_for_peers_shares_a_budget_and_the_others_do_not(void **state)
{
    struct arena arena, own;
    struct buffer buffer;
    struct error err;
    uint64_t charged;
    (void)state;
    budget_set(100000);
    arena_init(&own, 1 << 20);
    assert_non_null(arena_alloc(&own, 90000)); // for itself
    assert_int_equal(budget_used(), 0);
    budget_for_peer(true);
    arena_init(&arena, 1 << 20);
    buffer_init(&buffer, 1 << 20);
    assert_non_null(arena_alloc(&arena, 60000));
    assert_non_null(buffer_reserve(&buffer, 30000));
    uint64_t used = budget_used();
    assert_true(used >= 90000 && used <= 100000);
    assert_null(arena_alloc(&arena, 20000));
    assert_true(budget_was_refused());
    assert_null(buffer_reserve(&buffer, 60000));
    assert_false(buffer_check(&buffer, "the list", &err));
    assert_int_equal(err.code, ERROR_BUSY);
    assert_int_equal(budget_used(), used);
    arena_reset(&arena); // keeps its first block
    arena_free(&own);
    buffer_free(&buffer);
    budget_for_peer(true);
    assert_false(budget_was_refused());
    assert_true(budget_take(20000, &charged) && charged == 20000);
    int64_t before_ns = clock_monotonic_ns();
    uint64_t more;
    assert_false(budget_take_in(90000, 50 * CLOCK_MS, &more));
    assert_true(clock_monotonic_ns() - before_ns >= 50 * CLOCK_MS);
    budget_for_peer(false);
    arena_free(&arena); // given back by whichever thread, whatever it works for by then
    budget_give(charged);
    assert_int_equal(budget_used(), 0);
    budget_set(0);
}

static void json_of(const char *text, size_t size, const char *wanted)
{
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    buffer_json_string(&buffer, text, size);
    buffer_byte(&buffer, 0);
    assert_string_equal((char *)buffer.data, wanted);
    buffer_free(&buffer);
}

static void json_strings_are_escaped_and_always_utf8(void **state)
{
    (void)state;
    json_of("a\"b\\c\n\x01", 7, "\"a\\\"b\\\\c\\n\\u0001\"");
    json_of("a\0b", 3, "\"a\\u0000b\"");
    json_of("\x7F\xC2\x9B[2J", 6, "\"\\u007f\\u009b[2J\"");
    json_of("\xC3\xA4", 2, "\"\xC3\xA4\"");
    json_of("\xC3", 1, "\"\xEF\xBF\xBD\"");
    json_of("\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""); // a surrogate
    json_of("\xF5\x80\x80\x80", 4, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void base64_matches_rfc_4648(void **state)
{
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer buffer;
        buffer_init(&buffer, 100);
        buffer_base64(&buffer, rows[i][0], strlen(rows[i][0]));
        buffer_byte(&buffer, 0);
        assert_string_equal((char *)buffer.data, rows[i][1]);
        buffer_free(&buffer);
    }
}

static void percent_keeps_what_rfc_3986_does_not_reserve(void **state)
{
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer, 100);
    buffer_percent(&buffer, "aZ9-._~ +/%&=?\xC3\xBC");
    buffer_byte(&buffer, 0);
    assert_string_equal((char *)buffer.data, "aZ9-._~%20%2B%2F%25%26%3D%3F%C3%BC");
    buffer_free(&buffer);
}

static void buffer_take_hands_over(void **state)
{
    struct buffer buffer;
    size_t size;
    (void)state;
    buffer_init(&buffer, 100);
    buffer_u32be(&buffer, 0x01020304);
    buffer_u16le(&buffer, 0x0506);
    uint8_t *data = buffer_take(&buffer, &size);
    assert_int_equal(size, 6);
    assert_memory_equal(data, "\1\2\3\4\6\5", 6);
    free(data);
    assert_int_equal(buffer.size, 0);
    buffer_free(&buffer);
}

int test_memory(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_refuses_past_its_limit),
        cmocka_unit_test(arena_memory_is_aligned_zeroed_and_apart),
        cmocka_unit_test(arena_prints),
        cmocka_unit_test(buffer_keeps_its_ceiling_and_remembers_the_failure),
        cmocka_unit_test(who_works_for_peers_shares_a_budget_and_the_others_do_not),
        cmocka_unit_test(json_strings_are_escaped_and_always_utf8),
        cmocka_unit_test(base64_matches_rfc_4648),
        cmocka_unit_test(percent_keeps_what_rfc_3986_does_not_reserve),
        cmocka_unit_test(buffer_take_hands_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
