#include "tests.h"

#include "dicom/json.h"

struct fixture {
    struct buffer bytes, json;
    struct arena arena;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    buffer_init(&fixture.bytes, 1 << 20);
    buffer_init(&fixture.json, 1 << 20);
    arena_init(&fixture.arena, 1 << 24);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    buffer_free(&fixture->bytes);
    buffer_free(&fixture->json);
    arena_free(&fixture->arena);
    return 0;
}

static void assert_json(struct fixture *f, const char *syntax, const char *bulk_base, const char *expected)
{
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, syntax, &f->arena);
    struct dicom_json_options options = {.bulk_base = bulk_base, .inline_max = 8};
    struct error err = {0};
    buffer_clear(&f->json);
    assert_true(dicom_json_write(&f->json, dataset, &options, &f->arena, &err));
    buffer_byte(&f->json, 0);
    assert_string_equal((char *)f->json.data, expected);
    buffer_clear(&f->bytes);
}

static void decimals_keep_their_digits(void **state)
{
    struct fixture *f = *state;
    static const char values[] = "1.50\\+2\\-.5\\007\\-0\\5.\\1e3\\.\\1e400\\\\abc\\0x10\\-00.5E-01 ";
    put_explicit(&f->bytes, DICOM_TAG(0x0018, 0x0050), "DS", values, sizeof values - 1);
    put_explicit(&f->bytes, DICOM_TAG(0x0020, 0x0013), "IS", "12345678901234567890\\ 12 ", 25);
    assert_json(f, DICOM_TS_EXPLICIT, NULL,
                "{\"00180050\":{\"vr\":\"DS\",\"Value\":[1.50,2,-0.5,7,-0,5,1e3,\".\",\"1e400\",null,\"abc\",\"0x10\",-"
                "0.5E-01]},"
                "\"00200013\":{\"vr\":\"IS\",\"Value\":[\"12345678901234567890\",12]}}");
}

static void names_are_given_in_their_component_groups(void **state)
{
    struct fixture *f = *state;
    put_explicit(&f->bytes, DICOM_TAG(0x0008, 0x1048), "PN", "A^B=\\=C==\\\\D=E=F=G", 18);
    assert_json(f, DICOM_TS_EXPLICIT, NULL,
                "{\"00081048\":{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"A^B\"},{\"Ideographic\":\"C\"},null,"
                "{\"Alphabetic\":\"D\",\"Ideographic\":\"E\",\"Phonetic\":\"F\"}]}}");
}

static void empty_elements_have_no_value(void **state)
{
    struct fixture *f = *state;
    put_explicit(&f->bytes, DICOM_TAG(0x0008, 0x0050), "SH", NULL, 0);
    put_explicit(&f->bytes, DICOM_TAG(0x0008, 0x0060), "CS", "  ", 2);
    put_explicit(&f->bytes, DICOM_TAG(0x0008, 0x1140), "SQ", NULL, 0);
    put_header(&f->bytes, DICOM_TAG(0x0008, 0x2112), "SQ", 8);
    put_item_tag(&f->bytes, ITEM, 0);
    put_explicit(&f->bytes, DICOM_TAG(0x0028, 0x0010), "US", NULL, 0);
    put_explicit(&f->bytes, DICOM_TAG(0x7FE0, 0x0010), "OW", NULL, 0);
    assert_json(
        f, DICOM_TS_EXPLICIT, "http://x",
        "{\"00080050\":{\"vr\":\"SH\"},\"00080060\":{\"vr\":\"CS\"},\"00081140\":{\"vr\":\"SQ\"},"
        "\"00082112\":{\"vr\":\"SQ\",\"Value\":[{}]},\"00280010\":{\"vr\":\"US\"},\"7FE00010\":{\"vr\":\"OW\"}}");
}

static void binary_numbers_are_json_numbers(void **state)
{
    struct fixture *f = *state;
    const double numbers[] = {0.1, -1.0 / 0.0, 1e300};
    const float single = 0.5f;
    put_explicit(&f->bytes, DICOM_TAG(0x0020, 0x9165), "AT", "\x18\0\xAB\0\x20\0\x32\0", 8);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1001), "FD", numbers, sizeof numbers);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1002), "FL", &single, 4);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1003), "UV", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1004), "SS", "\xFF\xFF\1\0", 4);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1005), "US", "\xFF\xFF\1", 3); // no whole number of values
    assert_json(
        f, DICOM_TS_EXPLICIT, NULL,
        "{\"00209165\":{\"vr\":\"AT\",\"Value\":[\"001800AB\",\"00200032\"]},"
        "\"00291001\":{\"vr\":\"FD\",\"Value\":[0.1,\"-Infinity\",1e+300]},\"00291002\":{\"vr\":\"FL\",\"Value\":[0.5]}"
        ","
        "\"00291003\":{\"vr\":\"UV\",\"Value\":[18446744073709551615]},\"00291004\":{\"vr\":\"SS\",\"Value\":[-1,1]},"
        "\"00291005\":{\"vr\":\"UN\",\"InlineBinary\":\"//8B\"}}");
}

static void bytes_are_inline_or_a_link(void **state)
{
    struct fixture *f = *state;
    put_header(&f->bytes, DICOM_TAG(0x0008, 0x1140), "SQ", UNDEFINED);
    put_item_tag(&f->bytes, ITEM, 12 + 10);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1001), "OB", "0123456789", 10);
    put_item_tag(&f->bytes, SEQUENCE_END, 0);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1001), "OB", "abc", 3);
    put_header(&f->bytes, DICOM_TAG(0x7FE0, 0x0010), "OB", UNDEFINED);
    put_implicit(&f->bytes, ITEM, NULL, 0);
    put_item_tag(&f->bytes, SEQUENCE_END, 0);
    struct buffer copy;
    buffer_init(&copy, 1 << 20);
    buffer_append(&copy, f->bytes.data, f->bytes.size);
    assert_json(f, DICOM_TS_EXPLICIT, "http://x/bulk",
                "{\"00081140\":{\"vr\":\"SQ\",\"Value\":[{\"00291001\":{\"vr\":\"OB\",\"BulkDataURI\":\"http://x/bulk/"
                "00081140/0/00291001\"}}]},"
                "\"00291001\":{\"vr\":\"OB\",\"InlineBinary\":\"YWJj\"},"
                "\"7FE00010\":{\"vr\":\"OB\",\"BulkDataURI\":\"http://x/bulk/7FE00010\"}}");
    buffer_append(&f->bytes, copy.data, copy.size);
    assert_json(f, DICOM_TS_EXPLICIT, NULL,
                "{\"00081140\":{\"vr\":\"SQ\",\"Value\":[{\"00291001\":{\"vr\":\"OB\"}}]},"
                "\"00291001\":{\"vr\":\"OB\",\"InlineBinary\":\"YWJj\"},\"7FE00010\":{\"vr\":\"OB\"}}");
    buffer_free(&copy);
}

static void big_endian_words_are_turned(void **state)
{
    struct fixture *f = *state;
    static const uint8_t data[] = "\x7F\xE0\x00\x10OW\0\0\0\0\0\4\1\2\3\4";
    buffer_append(&f->bytes, data, sizeof data - 1);
    assert_json(f, DICOM_TS_BIG_ENDIAN, NULL, "{\"7FE00010\":{\"vr\":\"OW\",\"InlineBinary\":\"AgEEAw==\"}}");
}

static void keys_rise_and_occur_once(void **state)
{
    struct fixture *f = *state;
    put_explicit(&f->bytes, DICOM_TAG(0x0010, 0x0020), "LO", "b\"\x01", 3);
    put_explicit(&f->bytes, DICOM_TAG(0x0008, 0x0000), "UL", "\0\0\0\0", 4);
    put_explicit(&f->bytes, DICOM_TAG(0x0008, 0x0060), "CS", "CT", 2);
    put_explicit(&f->bytes, DICOM_TAG(0x0008, 0x0060), "CS", "MR", 2);
    put_explicit(&f->bytes, DICOM_TAG(0xFFFC, 0xFFFC), "OB", "\0\0", 2);
    assert_json(
        f, DICOM_TS_EXPLICIT, NULL,
        "{\"00080060\":{\"vr\":\"CS\",\"Value\":[\"CT\"]},\"00100020\":{\"vr\":\"LO\",\"Value\":[\"b\\\"\\u0001\"]}}");
}

static void what_does_not_fit_is_refused(void **state)
{
    struct fixture *f = *state;
    put_explicit(&f->bytes, DICOM_TAG(0x0010, 0x0020), "LO", "0123456789", 10);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    struct dicom_json_options options = {0};
    struct error err = {0};
    struct arena none;
    struct buffer small;
    arena_init(&none, 4);
    assert_false(dicom_json_write(&f->json, dataset, &options, &none, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    buffer_init(&small, 20);
    assert_false(dicom_json_write(&small, dataset, &options, &f->arena, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    buffer_free(&small);
    arena_free(&none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int run_json_tests(void)
{
    const struct CMUnitTest tests[] = {
        TEST(decimals_keep_their_digits),   TEST(names_are_given_in_their_component_groups),
        TEST(empty_elements_have_no_value), TEST(binary_numbers_are_json_numbers),
        TEST(bytes_are_inline_or_a_link),   TEST(big_endian_words_are_turned),
        TEST(keys_rise_and_occur_once),     TEST(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
