#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "support.h"

// ---- data sets by hand

enum { ARENA_MAX = 1 << 20 };

struct made {
    struct buffer bytes;
    struct arena arena;
};

static void put(struct buffer *out, uint16_t group, uint16_t element, const char *vr, const void *value, uint16_t size)
{
    buffer_u16le(out, group);
    buffer_u16le(out, element);
    buffer_append(out, vr, 2);
    buffer_u16le(out, size);
    buffer_append(out, value, size);
}

static void put_us(struct buffer *out, uint16_t element, unsigned value)
{
    put(out, 0x0028, element, "US", (const uint8_t[]){(uint8_t)value, (uint8_t)(value >> 8)}, 2);
}

static void put_text(struct buffer *out, uint16_t element, const char *vr, const char *text)
{
    put(out, 0x0028, element, vr, text, (uint16_t)strlen(text));
}

// A picture of one value a time changed from the standard one. What is NULL or below 0 is left out.
struct wanted {
    const char *photometric, *frames;
    int samples, planar, rows, columns, allocated, stored, high, is_signed;
    uint32_t rows_as_ul;
};

static const struct wanted ct = {.photometric = "MONOCHROME2 ",
                                 .samples = 1,
                                 .planar = -1,
                                 .rows = 4,
                                 .columns = 6,
                                 .allocated = 16,
                                 .stored = 12,
                                 .high = 11,
                                 .is_signed = 1};

static void put_optional(struct buffer *out, uint16_t element, int value)
{
    if (value >= 0)
        put_us(out, element, (unsigned)value);
}

static const struct dicom_dataset *make(struct made *made, const struct wanted *w)
{
    struct error err;
    const struct dicom_dataset *dataset;
    buffer_init(&made->bytes, 4096);
    arena_init(&made->arena, ARENA_MAX);
    put_optional(&made->bytes, 0x0002, w->samples);
    if (w->photometric)
        put_text(&made->bytes, 0x0004, "CS", w->photometric);
    put_optional(&made->bytes, 0x0006, w->planar);
    if (w->frames)
        put_text(&made->bytes, 0x0008, "IS", w->frames);
    if (w->rows_as_ul) {
        uint8_t value[4];
        bytes_put_u32le(value, w->rows_as_ul);
        put(&made->bytes, 0x0028, 0x0010, "UL", value, 4);
    } else {
        put_optional(&made->bytes, 0x0010, w->rows);
    }
    put_optional(&made->bytes, 0x0011, w->columns);
    put_optional(&made->bytes, 0x0100, w->allocated);
    put_optional(&made->bytes, 0x0101, w->stored);
    put_optional(&made->bytes, 0x0102, w->high);
    put_optional(&made->bytes, 0x0103, w->is_signed);
    struct source_memory memory = {made->bytes.data, made->bytes.size};
    if (!dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(DICOM_TS_EXPLICIT), NULL, &made->arena,
                     &dataset, &err))
        fail_msg("%s", err.message);
    return dataset;
}

static bool describe(const struct wanted *wanted, struct image_format *format, struct error *err)
{
    struct made made;
    bool ok = image_describe(make(&made, wanted), format, err);
    arena_free(&made.arena);
    buffer_free(&made.bytes);
    return ok;
}

static void assert_refused(const struct wanted *wanted, const char *named)
{
    struct image_format format;
    struct error err = {0};
    assert_false(describe(wanted, &format, &err));
    assert_int_equal(err.code, ERROR_BAD_VALUE);
    if (!strstr(err.message, named))
        fail_msg("'%s' does not say '%s'", err.message, named);
}

// ---- image_describe

static void a_ct_slice_is_described(void **state)
{
    (void)state;
    struct image_format f;
    struct error err;
    assert_true(describe(&ct, &f, &err));
    assert_int_equal(f.rows, 4);
    assert_int_equal(f.columns, 6);
    assert_int_equal(f.frames, 1);
    assert_int_equal(f.samples, 1);
    assert_int_equal(f.bits_allocated, 16);
    assert_int_equal(f.bits_stored, 12);
    assert_int_equal(f.high_bit, 11);
    assert_true(f.is_signed);
    assert_false(f.planar || f.is_float);
    assert_int_equal(f.color, IMAGE_MONOCHROME2);
    assert_int_equal(f.frame_bytes, 48);
}

static void what_may_be_absent_has_a_default(void **state)
{
    (void)state;
    struct wanted w = ct;
    struct image_format f;
    struct error err;
    w.samples = w.stored = w.high = w.is_signed = -1;
    w.photometric = NULL;
    w.allocated = 8;
    assert_true(describe(&w, &f, &err));
    assert_int_equal(f.samples, 1);
    assert_int_equal(f.bits_stored, 8);
    assert_int_equal(f.high_bit, 7);
    assert_false(f.is_signed);
    assert_int_equal(f.color, IMAGE_COLOR_OTHER);
    w.allocated = 32; // no Bits Stored and no integer pixels: floating point
    assert_true(describe(&w, &f, &err));
    assert_true(f.is_float);
}

static void an_object_without_rows_is_no_image(void **state)
{
    (void)state;
    struct wanted w = ct;
    struct image_format f;
    struct error err;
    w.rows = -1;
    assert_false(describe(&w, &f, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void rows_as_another_vr_are_refused_line_15(void **state)
{
    (void)state;
    struct wanted w = ct;
    w.rows_as_ul = 65537;
    assert_refused(&w, "Rows has the value representation UL, not US");
}

static void products_past_the_limits_are_refused_line_16(void **state)
{
    (void)state;
    struct wanted w = ct;
    w.rows = w.columns = 65535;
    w.samples = 3;
    w.photometric = "RGB ";
    assert_refused(&w, "SamplesPerPixel 3");
    w.samples = 1;
    w.allocated = 64;
    assert_refused(&w, "bytes");
}

static void bits_that_make_no_sense_are_refused_line_17(void **state)
{
    (void)state;
    static const int bad[] = {0, 2, 12, 24, 255, 65535};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wanted w = ct;
        w.allocated = bad[i];
        assert_refused(&w, "BitsAllocated");
    }
    struct wanted w = ct;
    w.stored = 17;
    assert_refused(&w, "BitsStored is '17'");
    w.stored = 12;
    w.high = 10;
    assert_refused(&w, "HighBit is '10'");
    w.high = 16;
    assert_refused(&w, "HighBit is '16'");
    w.high = 11;
    w.is_signed = 2;
    assert_refused(&w, "PixelRepresentation is '2'");
}

static void frame_numbers_that_are_none_are_refused_line_19(void **state)
{
    (void)state;
    static const char *const bad[] = {"-1", "0 ", "1e9 ", "abc ", "1000000000", "4294967297"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wanted w = ct;
        w.frames = bad[i];
        assert_refused(&w, "NumberOfFrames is '");
    }
}

static void real_files_are_described(void **state)
{
    (void)state;
    static const char *const files[] = {"CT_small.dcm", "MR_small.dcm",   "liver_1frame.dcm",
                                        "rtdose.dcm",   "SC_rgb_rle.dcm", "JPEG2000.dcm"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];
        struct picture picture;
        struct error err;
        snprintf(path, sizeof path, PYDICOM_FILES "%s", files[i]);
        if (!picture_open(&picture, path, &err))
            fail_msg("%s: %s", files[i], err.message);
        picture_close(&picture);
    }
}

// ---- native frames

static void native_frames_follow_each_other(void **state)
{
    (void)state;
    struct image_format f = {
        .rows = 4, .columns = 6, .frames = 3, .samples = 1, .bits_allocated = 16, .frame_bytes = 48};
    struct error err;
    uint64_t offset, size;
    assert_true(image_native_frame(&f, 144, 2, &offset, &size, &err));
    assert_int_equal(offset, 96);
    assert_int_equal(size, 48);
    assert_false(image_native_frame(&f, 144, 3, &offset, &size, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void native_pixels_one_byte_short_are_refused_line_44(void **state)
{
    (void)state;
    struct image_format f = {
        .rows = 4, .columns = 6, .frames = 3, .samples = 1, .bits_allocated = 16, .frame_bytes = 48};
    struct error err;
    uint64_t offset, size;
    assert_true(image_native_frame(&f, 143, 1, &offset, &size, &err));
    assert_false(image_native_frame(&f, 143, 2, &offset, &size, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
}

static void bit_frames_are_counted_in_bits(void **state)
{
    (void)state;
    struct image_format f = {.rows = 3, .columns = 5, .frames = 2, .samples = 1, .bits_allocated = 1, .frame_bytes = 2};
    struct error err;
    uint64_t offset, size;
    assert_true(image_native_frame(&f, 4, 1, &offset, &size, &err));
    assert_int_equal(offset, 15);
    assert_int_equal(size, 15);
    assert_false(image_native_frame(&f, 3, 1, &offset, &size, &err));
}

static void native_422_has_two_samples_a_pixel(void **state)
{
    (void)state;
    struct image_format f = {.rows = 2,
                             .columns = 4,
                             .frames = 2,
                             .samples = 3,
                             .bits_allocated = 8,
                             .frame_bytes = 24,
                             .color = IMAGE_YBR_FULL_422};
    struct error err;
    uint64_t offset, size;
    assert_true(image_native_frame(&f, 32, 1, &offset, &size, &err));
    assert_int_equal(offset, 16);
    assert_int_equal(size, 16);
}

// ---- fragments: a table and three of 10, 20 and 30 bytes

static struct dicom_fragment three[] = {{100, 12}, {120, 10}, {138, 20}, {166, 30}};

static const struct dicom_element *with_fragments(size_t count)
{
    static struct dicom_element element;
    element = (struct dicom_element){.fragments = three, .fragment_count = count + 1};
    return &element;
}

static const uint8_t *table_of(uint32_t a, uint32_t b, uint32_t c)
{
    static uint8_t table[12];
    bytes_put_u32le(table, a);
    bytes_put_u32le(table + 4, b);
    bytes_put_u32le(table + 8, c);
    return table;
}

static void the_offset_table_tells_frames_apart(void **state)
{
    (void)state;
    struct error err;
    size_t first, count;
    assert_true(image_fragments_of(with_fragments(3), 2, table_of(0, 46, 0), 8, 0, &first, &count, &err));
    assert_int_equal(first, 1);
    assert_int_equal(count, 2);
    assert_true(image_fragments_of(with_fragments(3), 2, table_of(0, 46, 0), 8, 1, &first, &count, &err));
    assert_int_equal(first, 3);
    assert_int_equal(count, 1);
    assert_true(image_fragments_of(with_fragments(3), 3, table_of(0, 18, 46), 12, 1, &first, &count, &err));
    assert_int_equal(first, 2);
    assert_int_equal(count, 1);
}

static void without_a_table_one_fragment_is_one_frame(void **state)
{
    (void)state;
    struct error err;
    size_t first, count;
    assert_true(image_fragments_of(with_fragments(3), 3, NULL, 0, 2, &first, &count, &err));
    assert_int_equal(first, 3);
    assert_int_equal(count, 1);
    assert_true(image_fragments_of(with_fragments(3), 1, NULL, 0, 0, &first, &count, &err));
    assert_int_equal(first, 1);
    assert_int_equal(count, 3);
}

static void a_table_that_lies_is_refused_line_38(void **state)
{
    (void)state;
    static const uint32_t bad[][3] = {{0, 18, 9999}, {0, 19, 46}, {0, 46, 18},        {0, 0, 18},
                                      {18, 46, 46},  {0, 18, 18}, {0, 18, UINT32_MAX}};
    struct error err;
    size_t first, count;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(image_fragments_of(with_fragments(3), 3, table_of(bad[i][0], bad[i][1], bad[i][2]), 12, 0, &first,
                                        &count, &err));
        assert_int_equal(err.code, ERROR_BAD_DATA);
    }
    assert_false(image_fragments_of(with_fragments(3), 3, table_of(0, 18, 46), 8, 0, &first, &count, &err));
    assert_false(image_fragments_of(with_fragments(3), 3, table_of(0, 18, 46), 11, 0, &first, &count, &err));
}

static void missing_and_empty_fragments_are_refused_line_39(void **state)
{
    (void)state;
    struct error err;
    size_t first, count;
    assert_false(image_fragments_of(with_fragments(0), 1, NULL, 0, 0, &first, &count, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
    const struct dicom_element nothing = {0};
    assert_false(image_fragments_of(&nothing, 1, NULL, 0, 0, &first, &count, &err));
    three[2].length = 0;
    assert_false(image_fragments_of(with_fragments(3), 3, NULL, 0, 1, &first, &count, &err));
    assert_true(image_fragments_of(with_fragments(3), 3, NULL, 0, 0, &first, &count, &err));
    three[2].length = 20;
}

static void a_thousand_frames_in_three_fragments_are_refused_line_40(void **state)
{
    (void)state;
    struct error err;
    size_t first, count;
    assert_false(image_fragments_of(with_fragments(3), 1000, NULL, 0, 0, &first, &count, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
}

int test_image(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ct_slice_is_described),
        cmocka_unit_test(what_may_be_absent_has_a_default),
        cmocka_unit_test(an_object_without_rows_is_no_image),
        cmocka_unit_test(rows_as_another_vr_are_refused_line_15),
        cmocka_unit_test(products_past_the_limits_are_refused_line_16),
        cmocka_unit_test(bits_that_make_no_sense_are_refused_line_17),
        cmocka_unit_test(frame_numbers_that_are_none_are_refused_line_19),
        cmocka_unit_test(real_files_are_described),
        cmocka_unit_test(native_frames_follow_each_other),
        cmocka_unit_test(native_pixels_one_byte_short_are_refused_line_44),
        cmocka_unit_test(bit_frames_are_counted_in_bits),
        cmocka_unit_test(native_422_has_two_samples_a_pixel),
        cmocka_unit_test(the_offset_table_tells_frames_apart),
        cmocka_unit_test(without_a_table_one_fragment_is_one_frame),
        cmocka_unit_test(a_table_that_lies_is_refused_line_38),
        cmocka_unit_test(missing_and_empty_fragments_are_refused_line_39),
        cmocka_unit_test(a_thousand_frames_in_three_fragments_are_refused_line_40),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
