#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

// ---- data sets by hand

enum { ARENA_MAX = 1 << 20 };

struct made {
    struct buffer bytes;
    struct arena arena;
};

static const struct dicom_dataset *make(struct made *made, const struct wanted *w)
{
    struct error err;
    const struct dicom_dataset *dataset;
    buffer_init(&made->bytes, 4096);
    arena_init(&made->arena, ARENA_MAX);
    put_image(&made->bytes, w, false);
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
    assert_true(describe(&ct_slice, &f, &err));
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
    struct wanted w = ct_slice;
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
    struct wanted w = ct_slice;
    struct image_format f;
    struct error err;
    w.rows = -1;
    assert_false(describe(&w, &f, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
}

static void rows_as_another_vr_are_refused_line_15(void **state)
{
    (void)state;
    struct wanted w = ct_slice;
    w.rows_as_ul = 65537;
    assert_refused(&w, "Rows has the value representation UL, not US");
}

static void products_past_the_limits_are_refused_line_16(void **state)
{
    (void)state;
    struct wanted w = ct_slice;
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
        struct wanted w = ct_slice;
        w.allocated = bad[i];
        assert_refused(&w, "BitsAllocated");
    }
    struct wanted w = ct_slice;
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
    static const char *const bad[] = {"-1", "1e9 ", "abc ", "1000000000", "4294967297"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct wanted w = ct_slice;
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

// ---- what the length tells

static struct image_format colors(const char *photometric)
{
    struct wanted w = {.photometric = photometric,
                       .frames = "3 ",
                       .samples = 3,
                       .planar = 0,
                       .rows = 2,
                       .columns = 4,
                       .allocated = 8,
                       .stored = 8,
                       .high = 7,
                       .is_signed = 0};
    struct image_format format;
    struct error err;
    assert_true(describe(&w, &format, &err));
    return format;
}

// Three frames of 2 x 4 pixels: 72 bytes with all samples, 48 subsampled.
static void the_length_tells_whether_colors_are_subsampled(void **state)
{
    (void)state;
    static const struct {
        const char *declared;
        uint64_t length, frame_bytes;
        enum image_color color;
    } cases[] = {
        {"YBR_FULL_422", 48, 16, IMAGE_YBR_FULL_422},
        {"YBR_FULL_422", 50, 16, IMAGE_YBR_FULL_422}, // padded
        {"YBR_FULL_422", 72, 24, IMAGE_YBR_FULL},
        {"YBR_FULL_422", 74, 24, IMAGE_YBR_FULL},
        {"YBR_PARTIAL_422 ", 48, 16, IMAGE_YBR_PARTIAL_422},
        {"YBR_PARTIAL_422 ", 72, 24, IMAGE_COLOR_OTHER},
        {"YBR_FULL", 72, 24, IMAGE_YBR_FULL},
        {"YBR_FULL", 48, 16, IMAGE_YBR_FULL_422},
        {"YBR_FULL", 60, 24, IMAGE_YBR_FULL}, // two and a half frames
        {"RGB ", 48, 24, IMAGE_RGB},          // two of them
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct image_format format = colors(cases[i].declared);
        struct error err;
        assert_int_equal(format.frame_bytes, 24); // as it is decoded
        assert_true(image_settle(&format, cases[i].length, &err));
        assert_int_equal(format.frame_bytes, cases[i].frame_bytes);
        assert_int_equal(format.frame_bits, 8 * cases[i].frame_bytes);
        assert_int_equal(format.color, cases[i].color);
    }
}

static void a_length_that_is_neither_is_refused(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 47, 64, 71};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct image_format format = colors("YBR_FULL_422");
        struct error err;
        assert_false(image_settle(&format, lengths[i], &err));
        assert_int_equal(err.code, ERROR_BAD_DATA);
        assert_non_null(strstr(err.message, "3 subsampled frames have 48, frames with all samples 72"));
    }
}

static void no_frames_are_one(void **state)
{
    (void)state;
    struct wanted w = ct_slice;
    struct image_format f;
    struct error err;
    w.frames = "0 ";
    assert_true(describe(&w, &f, &err));
    assert_int_equal(f.frames, 1);
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
        cmocka_unit_test(the_length_tells_whether_colors_are_subsampled),
        cmocka_unit_test(a_length_that_is_neither_is_refused),
        cmocka_unit_test(no_frames_are_one),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
