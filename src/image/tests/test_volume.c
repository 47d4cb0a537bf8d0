// Slices to volumes: geometry, HU, parts. pydicom is the oracle for a real series.
#include "head.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/volume.h"

int test_volume(void);

// ---- a real series

static void compare_with_pydicom(const char *folder)
{
    char geometry_path[320], hu_path[320];
    snprintf(geometry_path, sizeof geometry_path, "%s", temporary("geometry.txt"));
    snprintf(hu_path, sizeof hu_path, "%s", temporary("hu.raw"));
    ask_oracle((const char *const[]){"series", folder, geometry_path, hu_path, NULL});
    struct head head;
    head_read(folder, &head);

    double want[18];
    FILE *file = fopen(geometry_path, "r");
    assert_non_null(file);
    for (int i = 0; i < 18; i++)
        assert_int_equal(fscanf(file, "%lf", &want[i]), 1);
    fclose(file);
    const struct image_geometry *g = &head.geometry;
    assert_int_equal(g->slices, (size_t)want[0]);
    assert_int_equal(g->rows, (size_t)want[1]);
    assert_int_equal(g->columns, (size_t)want[2]);
    for (int i = 0; i < 3; i++) {
        assert_near(g->spacing_mm[i], want[3 + i], 1e-6);
        assert_near(g->origin_mm[i], want[6 + i], 1e-6);
        assert_near(g->row_direction[i], want[9 + i], 1e-9);
        assert_near(g->column_direction[i], want[12 + i], 1e-9);
        assert_near(g->normal[i], want[15 + i], 1e-9);
    }
    size_t bytes = image_voxels(g) * sizeof *head.hu;
    int16_t *hu = read_raw(hu_path, bytes);
    double middle[2] = {((double)g->rows - 1) / 2, ((double)g->columns - 1) / 2};
    for (size_t at = 0; at < image_voxels(g); at++) {
        double row = (double)(at / g->columns % g->rows), column = (double)(at % g->columns);
        if (head.hu[at] == IMAGE_NO_DATA_HU) // a corner, where air is taken for padding
            assert_true(hu[at] < -900 && hypot(row - middle[0], column - middle[1]) > middle[0] - 3);
        else
            assert_int_equal(head.hu[at], hu[at]);
    }
    free(hu);
    head_free(&head);
}

static void a_real_series_has_the_geometry_and_hu_that_pydicom_finds(void **state)
{
    (void)state;
    compare_with_pydicom(head_ct(false));
}

static void so_has_one_scanned_feet_first(void **state)
{
    (void)state;
    compare_with_pydicom(head_ct(true));
}

// ---- geometry

// Oblique: rows and columns turned by 30 degrees about z, then by 20 about x.
static struct image_slice oblique_slice(double along)
{
    double c = cos(M_PI / 6), s = sin(M_PI / 6), d = cos(M_PI / 9), e = sin(M_PI / 9);
    struct image_slice slice = {.rows = 10,
                                .columns = 12,
                                .row_direction = {c, s * d, s * e},
                                .column_direction = {-s, c * d, c * e},
                                .pixel_spacing_mm = {.5, .75},
                                .slope = 1,
                                .bits_allocated = 16,
                                .bits_stored = 16,
                                .high_bit = 15,
                                .padding_low = 1};
    const double normal[3] = {0, -e, d};
    for (int axis = 0; axis < 3; axis++)
        slice.position_mm[axis] = 10 * (axis + 1) + along * normal[axis];
    return slice;
}

static void oblique_stack(struct image_slice *slices, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        slices[i] = oblique_slice(3.0 * (double)((i * 3) % count)); // out of order; count is no multiple of 3
        slices[i].index = i;
    }
}

static void slices_are_put_in_order_and_places_go_there_and_back(void **state)
{
    (void)state;
    struct image_slice slices[5];
    struct image_geometry g;
    struct error err;
    oblique_stack(slices, 5);
    assert_true(image_geometry_of(slices, 5, &g, &err));
    const size_t order[5] = {0, 2, 4, 1, 3};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(slices[i].index, order[i]);
    assert_near(g.spacing_mm[0], 3, 1e-9);

    const double voxel[3] = {3.5, 2, 7.25};
    double place[3], back[3], want[3];
    image_to_patient(&g, voxel, place);
    image_from_patient(&g, place, back);
    for (int axis = 0; axis < 3; axis++) {
        want[axis] = slices[0].position_mm[axis] + 7.25 * .75 * slices[0].row_direction[axis] +
                     2 * .5 * slices[0].column_direction[axis] +
                     3.5 * (slices[1].position_mm[axis] - slices[0].position_mm[axis]);
        assert_near(place[axis], want[axis], 1e-9);
        assert_near(back[axis], voxel[axis], 1e-9);
    }
    assert_near(image_voxel_ml(&g), 3 * .5 * .75 / 1000, 1e-12);
}

static void expect_refusal(struct image_slice *slices, size_t count, const char *words)
{
    struct image_geometry g;
    struct error err = {0};
    assert_false(image_geometry_of(slices, count, &g, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static void slices_that_make_no_volume_are_refused_with_the_place(void **state)
{
    (void)state;
    struct image_slice slices[5];
    oblique_stack(slices, 5);
    expect_refusal(slices, 1, "1 slices");

    slices[2] = oblique_slice(6.2);
    expect_refusal(slices, 5, "gap of ");
    oblique_stack(slices, 5);
    slices[1] = oblique_slice(15); // of 0 3 6 9 12
    expect_refusal(slices, 5, "gap of 6.00 mm between slices 3 and 4, 3.00 mm elsewhere");
    oblique_stack(slices, 4);
    slices[4] = slices[2];
    expect_refusal(slices, 5, "are at the same place");
    oblique_stack(slices, 5);
    slices[4].rows = 11;
    expect_refusal(slices, 5, "pixels");
    oblique_stack(slices, 5);
    slices[4].pixel_spacing_mm[1] = .8;
    expect_refusal(slices, 5, "pixel spacing of 0.5000 x 0.8000 mm");
    oblique_stack(slices, 5);
    slices[4].row_direction[0] += .01;
    expect_refusal(slices, 5, "oriented otherwise");
}

static void slices_of_two_frames_of_reference_are_refused(void **state)
{
    (void)state;
    struct image_slice slices[5];
    oblique_stack(slices, 5);
    for (size_t i = 0; i < 5; i++)
        snprintf(slices[i].frame_of_reference, sizeof slices[i].frame_of_reference, "1.2.%d", i == 3);
    expect_refusal(slices, 5, "another frame of reference");
}

// 1.503 mm written with two decimals: the median gap is 1.50, and a stack of it ends .3 mm too early.
static void the_spacing_of_rounded_positions_is_their_mean(void **state)
{
    (void)state;
    enum { SLICES = 101 };
    struct image_slice slices[SLICES];
    struct image_geometry g;
    struct error err;
    for (size_t i = 0; i < SLICES; i++)
        slices[i] = oblique_slice(round((double)i * 150.3) / 100);
    assert_true(image_geometry_of(slices, SLICES, &g, &err));
    assert_near(g.spacing_mm[0], 1.503, 1e-9);
    for (size_t i = 0; i < SLICES; i++) {
        double place[3];
        image_to_patient(&g, (const double[3]){(double)i, 0, 0}, place);
        for (int axis = 0; axis < 3; axis++)
            assert_near(place[axis], slices[i].position_mm[axis], .0051);
    }
}

// A stack whose normal is that of `slice`, every position rounded to a tenth of a millimetre on each axis.
static void rounded_stack(const struct image_slice *slice, const double normal[3], double spacing_mm,
                          struct image_slice *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = *slice;
        for (int axis = 0; axis < 3; axis++)
            out[i].position_mm[axis] =
                round(10 * (slice->position_mm[axis] + (double)i * spacing_mm * normal[axis])) / 10;
    }
}

static void positions_rounded_to_a_tenth_make_no_gap_and_a_missing_slice_does(void **state)
{
    (void)state;
    enum { SLICES = 60 };
    static const double spacings_mm[] = {.25, .5, .625, .75, 1, 1.25, 2.5, 3.27, 4.95, 5, 5.033, 10};
    struct image_slice oblique = oblique_slice(0), axial = oblique;
    const double up[3] = {0, 0, 1}, aslant[3] = {0, -sin(M_PI / 9), cos(M_PI / 9)};
    memcpy(axial.row_direction, (const double[3]){1, 0, 0}, sizeof axial.row_direction);
    memcpy(axial.column_direction, (const double[3]){0, 1, 0}, sizeof axial.column_direction);
    for (size_t i = 0; i < sizeof spacings_mm / sizeof *spacings_mm; i++)
        for (int turned = 0; turned < (spacings_mm[i] < .5 ? 1 : 2); turned++) {
            struct image_slice slices[SLICES];
            struct image_geometry g;
            struct error err = {0};
            rounded_stack(turned ? &oblique : &axial, turned ? aslant : up, spacings_mm[i], slices, SLICES);
            if (!image_geometry_of(slices, SLICES, &g, &err))
                fail_msg("every %g mm: %s", spacings_mm[i], err.message);
            assert_near(g.spacing_mm[0], spacings_mm[i], .2 / SLICES);
            memmove(slices + 20, slices + 21, (SLICES - 21) * sizeof *slices);
            expect_refusal(slices, SLICES - 1, "between slices 20 and 21");
        }
}

// Directions that jitter by a thousandth, over a stack of 75 cm.
static void jitter_of_the_orientation_makes_no_tilt(void **state)
{
    (void)state;
    enum { SLICES = 300 };
    static struct image_slice slices[SLICES];
    struct image_geometry g;
    struct error err = {0};
    srandom(1);
    for (size_t i = 0; i < SLICES; i++) {
        slices[i] = oblique_slice(2.5 * (double)i);
        for (int axis = 0; axis < 3; axis++) {
            slices[i].row_direction[axis] += .001 * (double)(random() % 2001 - 1000) / 1000;
            slices[i].column_direction[axis] += .001 * (double)(random() % 2001 - 1000) / 1000;
        }
    }
    assert_ok(image_geometry_of(slices, SLICES, &g, &err), err);
    const struct image_slice straight = oblique_slice(0);
    for (int axis = 0; axis < 3; axis++) {
        assert_near(g.row_direction[axis], straight.row_direction[axis], 2e-4);
        assert_near(g.column_direction[axis], straight.column_direction[axis], 2e-4);
    }
    assert_near(g.spacing_mm[0], 2.5, 1e-5);
    // rounded to three digits: all off by the same
    for (size_t i = 0; i < SLICES; i++) {
        slices[i] = oblique_slice(2.5 * (double)i);
        for (int axis = 0; axis < 3; axis++) {
            slices[i].row_direction[axis] = round(slices[i].row_direction[axis] * 1000) / 1000;
            slices[i].column_direction[axis] = round(slices[i].column_direction[axis] * 1000) / 1000;
        }
    }
    assert_ok(image_geometry_of(slices, SLICES, &g, &err), err);
}

// Each gap is within its tolerance, and yet the middle of the stack would be drawn elsewhere than it is.
static void gaps_that_drift_are_refused(void **state)
{
    (void)state;
    enum { SLICES = 101 };
    struct image_slice slices[SLICES];
    for (size_t i = 0; i < SLICES; i++)
        slices[i] = oblique_slice((double)i + (i > 50 ? (double)(i - 50) * .04 : 0));
    expect_refusal(slices, SLICES, "from its place in an even stack");
}

static void a_tilted_gantry_is_refused(void **state)
{
    (void)state;
    struct image_slice slices[5];
    oblique_stack(slices, 5);
    for (size_t i = 0; i < 5; i++)
        for (int axis = 0; axis < 3; axis++)
            slices[i].position_mm[axis] += .4 * (double)((i * 3) % 5) * slices[i].column_direction[axis];
    expect_refusal(slices, 5, "tilted gantry");
}

// ---- what a data set says

enum { FIELDS_MAX = 24 };

struct fields {
    struct dicom_element elements[FIELDS_MAX];
    struct dicom_dataset dataset;
};

static void put(struct fields *fields, dicom_tag tag, enum dicom_vr vr, const char *value, size_t size)
{
    for (size_t i = 0; i < fields->dataset.count; i++)
        if (fields->elements[i].tag == tag)
            fields->elements[i].tag = 0; // hidden by the new one
    assert_true(fields->dataset.count < FIELDS_MAX);
    struct dicom_element *element = &fields->elements[fields->dataset.count++];
    *element = (struct dicom_element){.tag = tag, .vr = vr, .length = (uint32_t)size, .value = (const uint8_t *)value};
}

#define PUT_TEXT(tag, text) put(&fields, tag, DICOM_VR_DS, text, sizeof text - 1)
#define PUT_SHORT(tag, bytes) put(&fields, tag, DICOM_VR_US, bytes, 2)

enum {
    ROWS = DICOM_TAG(0x0028, 0x0010),
    COLUMNS = DICOM_TAG(0x0028, 0x0011),
    ALLOCATED = DICOM_TAG(0x0028, 0x0100),
    STORED = DICOM_TAG(0x0028, 0x0101),
    HIGH = DICOM_TAG(0x0028, 0x0102),
    SIGNED = DICOM_TAG(0x0028, 0x0103),
    SPACING = DICOM_TAG(0x0028, 0x0030),
    PADDING = DICOM_TAG(0x0028, 0x0120),
    PADDING_LIMIT = DICOM_TAG(0x0028, 0x0121),
    INTERCEPT = DICOM_TAG(0x0028, 0x1052),
    SLOPE = DICOM_TAG(0x0028, 0x1053),
    POSITION = DICOM_TAG(0x0020, 0x0032),
    ORIENTATION = DICOM_TAG(0x0020, 0x0037),
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    RESCALE_TYPE = DICOM_TAG(0x0028, 0x1054),
};

static struct fields good_fields(void)
{
    struct fields fields = {0};
    put(&fields, MODALITY, DICOM_VR_CS, "CT", 2);
    PUT_SHORT(ROWS, "\2\0");
    PUT_SHORT(COLUMNS, "\3\0");
    PUT_SHORT(ALLOCATED, "\20\0");
    PUT_SHORT(STORED, "\14\0");
    PUT_SHORT(HIGH, "\13\0");
    PUT_SHORT(SIGNED, "\0\0");
    PUT_TEXT(SPACING, "0.5\\.75");
    PUT_TEXT(POSITION, "-1.5\\2\\1e1");
    PUT_TEXT(ORIENTATION, "1\\0\\0\\0\\1\\0 ");
    PUT_TEXT(SLOPE, "2");
    PUT_TEXT(INTERCEPT, "-1024");
    return fields;
}

static bool read_fields(struct fields *fields, struct image_slice *out, struct error *err)
{
    fields->dataset.elements = fields->elements;
    return image_slice_read(&fields->dataset, out, err);
}

static void a_slice_is_read_from_its_data_set(void **state)
{
    (void)state;
    struct fields fields = good_fields();
    struct image_slice slice = {.index = 7};
    struct error err;
    assert_true(read_fields(&fields, &slice, &err));
    assert_int_equal(slice.index, 7);
    assert_int_equal(slice.rows, 2);
    assert_int_equal(slice.columns, 3);
    assert_near(slice.pixel_spacing_mm[0], .5, 0);
    assert_near(slice.pixel_spacing_mm[1], .75, 0);
    assert_near(slice.position_mm[2], 10, 0);
    assert_near(slice.slope, 2, 0);
    assert_near(slice.intercept, -1024, 0);
    assert_true(slice.padding_low > slice.padding_high);
}

static void expect_bad(struct fields *fields, enum error_code code, const char *words)
{
    struct image_slice slice = {0};
    struct error err = {0};
    assert_false(read_fields(fields, &slice, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.message, words))
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
}

static void a_slice_that_makes_no_sense_is_refused_by_its_attribute(void **state)
{
    (void)state;
    static const struct {
        dicom_tag tag;
        enum dicom_vr vr;
        const char *value;
        uint8_t size;
        enum error_code code;
        const char *words;
    } cases[] = {
        {ROWS, DICOM_VR_US, "\0\0", 2, ERROR_BAD_VALUE, "Rows is 0"},
        {ALLOCATED, DICOM_VR_US, "\14\0", 2, ERROR_UNSUPPORTED, "Bits Allocated is 12"},
        {STORED, DICOM_VR_US, "\21\0", 2, ERROR_BAD_VALUE, "Bits Stored is 17"},
        {HIGH, DICOM_VR_US, "\5\0", 2, ERROR_BAD_VALUE, "High Bit is 5"},
        {SIGNED, DICOM_VR_US, "\2\0", 2, ERROR_BAD_VALUE, "Pixel Representation is 2"},
        {SPACING, DICOM_VR_DS, "0.5", 3, ERROR_BAD_VALUE, "Pixel Spacing has no value 2 of 2"},
        {SPACING, DICOM_VR_DS, "0\\1", 3, ERROR_BAD_VALUE, "Pixel Spacing is 0\\1"},
        {SPACING, DICOM_VR_DS, "-1\\1", 4, ERROR_BAD_VALUE, "Pixel Spacing is -1\\1"},
        {POSITION, DICOM_VR_DS, "1\\2\\1e9", 7, ERROR_BAD_VALUE, "Image Position (Patient) 3 is 1e+09"},
        {ORIENTATION, DICOM_VR_DS, "1\\0\\0\\1\\0\\0", 11, ERROR_BAD_VALUE, "not two unit vectors at a right angle"},
        {ORIENTATION, DICOM_VR_DS, "0\\0\\0\\0\\0\\0", 11, ERROR_BAD_VALUE, "not two unit vectors at a right angle"},
        {SLOPE, DICOM_VR_DS, "", 0, ERROR_BAD_VALUE, "no Rescale Slope (0028,1053): its pixels are no Hounsfield"},
        {INTERCEPT, DICOM_VR_DS, "", 0, ERROR_BAD_VALUE, "no Rescale Intercept (0028,1052): its pixels are no"},
        {DICOM_TAG(0x0028, 0x0008), DICOM_VR_IS, "108", 3, ERROR_UNSUPPORTED, "the object holds 108 frames"},
        {DICOM_TAG(0x0028, 0x3000), DICOM_VR_SQ, "", 0, ERROR_UNSUPPORTED, "Modality LUT"},
        {RESCALE_TYPE, DICOM_VR_LO, "US", 2, ERROR_UNSUPPORTED, "Rescale Type is US"},
        {DICOM_TAG(0x0028, 0x0002), DICOM_VR_US, "\3\0", 2, ERROR_UNSUPPORTED, "Samples per Pixel is 3"},
        {DICOM_TAG(0x0028, 0x0004), DICOM_VR_CS, "PALETTE COLOR ", 14, ERROR_UNSUPPORTED,
         "Photometric Interpretation is PALETTE COLOR"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fields fields = good_fields();
        put(&fields, cases[i].tag, cases[i].vr, cases[i].value, cases[i].size);
        expect_bad(&fields, cases[i].code, cases[i].words);
    }
    struct fields fields = good_fields();
    struct image_slice slice = {0};
    struct error err;
    put(&fields, RESCALE_TYPE, DICOM_VR_LO, "US", 2);
    put(&fields, MODALITY, DICOM_VR_CS, "MR", 2); // has no Hounsfield units to miss
    PUT_TEXT(SLOPE, "");
    PUT_TEXT(INTERCEPT, "");
    expect_bad(&fields, ERROR_BAD_VALUE, "Rescale Slope has no value");
    for (size_t i = 0; i < fields.dataset.count; i++)
        if (fields.elements[i].tag == SLOPE || fields.elements[i].tag == INTERCEPT)
            fields.elements[i].tag = 0;
    assert_true(read_fields(&fields, &slice, &err));
    assert_near(slice.slope, 1, 0);
    assert_near(slice.intercept, 0, 0);
    put(&fields, MODALITY, DICOM_VR_CS, "CT", 2);
    put(&fields, RESCALE_TYPE, DICOM_VR_LO, "HU", 2);
    expect_bad(&fields, ERROR_BAD_VALUE,
               "no Rescale Slope and Intercept (0028,1053/1052): its pixels are no Hounsfield");
    fields = good_fields();
    PUT_TEXT(SLOPE, "0");
    PUT_TEXT(INTERCEPT, "0");
    expect_bad(&fields, ERROR_BAD_VALUE, "Rescale Slope is 0");
}

static void decimal_commas_are_read_as_points_and_what_is_no_number_is_named(void **state)
{
    (void)state;
    struct fields fields = good_fields();
    struct image_slice slice = {0};
    struct error err;
    assert_true(read_fields(&fields, &slice, &err));
    assert_false(slice.has_comma);
    PUT_TEXT(SPACING, "0,5\\0,75");
    PUT_TEXT(INTERCEPT, "-1024,5");
    assert_true(read_fields(&fields, &slice, &err));
    assert_true(slice.has_comma);
    assert_near(slice.pixel_spacing_mm[1], .75, 0);
    assert_near(slice.intercept, -1024.5, 0);
    PUT_TEXT(SPACING, "0.5\\1.000,5");
    expect_bad(&fields, ERROR_BAD_VALUE, "Pixel Spacing 2 is '1.000,5', which is no number");
    PUT_TEXT(SPACING, "0.5\\1,000,5");
    expect_bad(&fields, ERROR_BAD_VALUE, "Pixel Spacing 2 is '1,000,5', which is no number");
    fields = good_fields();
    PUT_TEXT(SLOPE, "na");
    expect_bad(&fields, ERROR_BAD_VALUE, "Rescale Slope 1 is 'na', which is no number");
}

// ---- HU

// `past`: how many of them are not what the slice says.
static void expect_hu_past(const struct image_slice *slice, const void *pixels, const int16_t *want, size_t past)
{
    int16_t out[8];
    assert_int_equal(image_slice_to_hu(slice, pixels, out), past);
    for (size_t i = 0; i < (size_t)slice->rows * slice->columns; i++)
        assert_int_equal(out[i], want[i]);
}

static void expect_hu(const struct image_slice *slice, const void *pixels, const int16_t *want)
{
    expect_hu_past(slice, pixels, want, 0);
}

static void stored_bits_signs_slopes_and_padding_become_hu(void **state)
{
    (void)state;
    struct image_slice slice = oblique_slice(0);
    slice.rows = 1;
    slice.columns = 4;
    slice.bits_stored = 12;
    slice.high_bit = 11;
    slice.intercept = -1024;
    // Bits above the stored ones (overlays of old) are not part of the value.
    expect_hu(&slice, "\x00\x00\x18\xF4\xFF\x0F\x01\x80", (const int16_t[]){-1024, 24, 3071, -1023});
    slice.is_signed = true;
    slice.intercept = 0;
    slice.slope = .5;
    expect_hu(&slice, "\x00\x00\xFF\x0F\x00\x08\xFF\x07", (const int16_t[]){0, 0, -1024, 1024});
    slice.slope = 1000;
    expect_hu_past(&slice, "\x21\x00\xDF\x0F\x00\x08\xFF\x07", (const int16_t[]){32767, -32768, -32768, 32767}, 4);
    expect_hu_past(&slice, "\x20\x00\xE0\x0F\x00\x08\x01\x00", (const int16_t[]){32000, -32000, -32768, 1000}, 1);
    slice.slope = 1;
    slice.high_bit = 15; // the value in the upper bits
    expect_hu(&slice, "\x1F\x00\xFF\xFF\x0F\x80\x10\x00", (const int16_t[]){1, -1, -2048, 1});
    slice.bits_allocated = slice.bits_stored = 8;
    slice.high_bit = 7;
    expect_hu(&slice, "\x00\x7F\x80\xFF", (const int16_t[]){0, 127, -128, -1});
    slice.padding_low = -128;
    slice.padding_high = -2;
    expect_hu(&slice, "\x00\xFE\x80\xFF", (const int16_t[]){0, IMAGE_NO_DATA_HU, IMAGE_NO_DATA_HU, -1});
}

static void padding_written_as_unsigned_is_meant_signed(void **state)
{
    (void)state;
    struct fields fields = good_fields();
    struct image_slice slice = {0};
    struct error err;
    PUT_SHORT(STORED, "\20\0");
    PUT_SHORT(HIGH, "\17\0");
    PUT_SHORT(SIGNED, "\1\0");
    PUT_SHORT(PADDING, "\x30\xF8"); // -2000
    PUT_SHORT(PADDING_LIMIT, "\x2E\xF8");
    assert_true(read_fields(&fields, &slice, &err));
    assert_int_equal(slice.padding_low, -2002);
    assert_int_equal(slice.padding_high, -2000);
    assert_false(slice.padding_is_wide);
}

// 63536 in 12 bits would be 2096, which is bone.
static void padding_wider_than_the_bits_stored_is_not_taken_for_a_value(void **state)
{
    (void)state;
    struct fields fields = good_fields();
    struct image_slice slice = {0};
    struct error err;
    PUT_SHORT(STORED, "\14\0");
    PUT_SHORT(HIGH, "\13\0");
    PUT_SHORT(SIGNED, "\0\0");
    PUT_SHORT(PADDING, "\x30\xF8");
    assert_true(read_fields(&fields, &slice, &err));
    assert_true(slice.padding_is_wide);
    slice.rows = 1;
    slice.columns = 4;
    slice.slope = 1;
    slice.intercept = 0;
    expect_hu(&slice, "\x30\xF8\x30\x08\x31\xF8\x00\x00", (const int16_t[]){IMAGE_NO_DATA_HU, 2096, 2097, 0});
}

// ---- padding that is not told

enum { WIDE = 32 };

// A picture of 8-bit pixels that are tissue of some grain, with `value` where `is_out` says, and how many of those are
// known for no image data; none of the tissue may be.
static size_t padding_found(bool is_ct, uint8_t value, double intercept, bool (*is_out)(size_t row, size_t column))
{
    uint8_t pixels[WIDE * WIDE];
    int16_t hu[WIDE * WIDE];
    size_t found = 0;
    struct image_slice slice = oblique_slice(0);
    slice.rows = slice.columns = WIDE;
    slice.pixel_spacing_mm[0] = slice.pixel_spacing_mm[1] = 1;
    slice.bits_allocated = slice.bits_stored = 8;
    slice.high_bit = 7;
    slice.intercept = intercept;
    slice.is_ct = is_ct;
    for (size_t at = 0; at < WIDE * WIDE; at++)
        pixels[at] = is_out(at / WIDE, at % WIDE) ? value : (uint8_t)(100 + (at * 7 + at / WIDE) % 5);
    assert_int_equal(image_slice_to_hu(&slice, pixels, hu), 0);
    for (size_t at = 0; at < WIDE * WIDE; at++) {
        assert_true(hu[at] != IMAGE_NO_DATA_HU || is_out(at / WIDE, at % WIDE));
        found += hu[at] == IMAGE_NO_DATA_HU;
    }
    return found;
}

static bool beyond_the_circle(size_t row, size_t column)
{
    return hypot((double)row - 15.5, (double)column - 15.5) > 16;
}

static bool in_the_right_half(size_t row, size_t column)
{
    (void)row;
    return column >= WIDE / 2;
}

static bool in_a_hole(size_t row, size_t column)
{
    return row > 10 && row < 20 && column > 10 && column < 20;
}

static void a_scanner_s_circle_and_what_cannot_be_air_are_padding_without_being_told(void **state)
{
    (void)state;
    size_t beyond = 0;
    for (size_t at = 0; at < WIDE * WIDE; at++)
        beyond += beyond_the_circle(at / WIDE, at % WIDE);
    assert_int_equal(padding_found(true, 0, -1024, beyond_the_circle), beyond);
    assert_int_equal(padding_found(true, 0, -2000, beyond_the_circle), beyond);
    assert_int_equal(padding_found(true, 0, 0, in_the_right_half), WIDE * WIDE / 2);
    assert_true(padding_found(true, 0, -1024, in_the_right_half) < WIDE * WIDE / 4); // air beside a head is none
    assert_int_equal(padding_found(true, 0, 0, in_a_hole), 0);
    assert_int_equal(padding_found(false, 0, 0, in_the_right_half), 0); // what is no CT has no such values
}

// What a picture of 1 mm pixels holds at a place, in HU.
typedef int16_t picture_fn(size_t row, size_t column);

static size_t fill_found(bool is_ct, picture_fn *picture)
{
    uint8_t pixels[WIDE * WIDE * 2];
    int16_t hu[WIDE * WIDE];
    size_t found = 0;
    struct image_slice slice = oblique_slice(0);
    slice.rows = slice.columns = WIDE;
    slice.pixel_spacing_mm[0] = slice.pixel_spacing_mm[1] = 1;
    slice.is_signed = true;
    slice.bits_allocated = slice.bits_stored = 16;
    slice.high_bit = 15;
    slice.slope = 1;
    slice.intercept = 0;
    slice.is_ct = is_ct;
    for (size_t at = 0; at < WIDE * WIDE; at++) {
        uint16_t value = (uint16_t)picture(at / WIDE, at % WIDE);
        pixels[2 * at] = (uint8_t)value;
        pixels[2 * at + 1] = (uint8_t)(value >> 8);
    }
    assert_int_equal(image_slice_to_hu(&slice, pixels, hu), 0);
    for (size_t at = 0; at < WIDE * WIDE; at++) {
        bool fill = picture(at / WIDE, at % WIDE) < -850;
        assert_true(hu[at] == IMAGE_NO_DATA_HU ? fill : hu[at] == picture(at / WIDE, at % WIDE));
        found += hu[at] == IMAGE_NO_DATA_HU;
    }
    return found;
}

static int16_t brain(size_t row, size_t column)
{
    return (int16_t)(30 + (row * 7 + column * 13) % 9);
}

static int16_t half_of_a_head(size_t row, size_t column)
{
    return column < WIDE / 2 ? -1024 : brain(row, column);
}

static int16_t half_of_a_head_after_lossy_compression(size_t row, size_t column)
{
    return (int16_t)(half_of_a_head(row, column) + (int)((row * 5 + column * 3) % 31) - 15);
}

static int16_t wedge_of_a_head_and_its_bone(size_t row, size_t column)
{
    return row + column < WIDE ? -1000 : row % 8 == 0 ? 1200 : brain(row, column);
}

static int16_t skin(size_t row, size_t column)
{
    return column < WIDE / 2 - 1 ? -1024 : column < WIDE / 2 ? -560 : brain(row, column);
}

static int16_t bone(size_t row, size_t column)
{
    return column < WIDE / 2 ? -1024 : column < WIDE / 2 + 4 ? 900 : brain(row, column);
}

static int16_t a_sharp_spot_of_skin(size_t row, size_t column)
{
    return row < 14 ? half_of_a_head(row, column) : skin(row, column);
}

static void what_is_filled_in_up_to_the_brain_is_no_image_data_though_it_is_as_thin_as_air(void **state)
{
    (void)state;
    assert_int_equal(fill_found(true, half_of_a_head), WIDE * WIDE / 2);
    assert_int_equal(fill_found(true, half_of_a_head_after_lossy_compression), WIDE * WIDE / 2);
    assert_int_equal(fill_found(true, wedge_of_a_head_and_its_bone), WIDE * (WIDE + 1) / 2);
    assert_int_equal(fill_found(false, half_of_a_head), 0);
}

static void air_before_skin_or_bone_is_air_however_even_it_is(void **state)
{
    (void)state;
    picture_fn *const pictures[] = {skin, bone, a_sharp_spot_of_skin};
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++)
        assert_true(fill_found(true, pictures[i]) < WIDE * WIDE / 4); // beyond the circle of a scanner
}

static void a_slice_of_no_frames_is_one(void **state)
{
    (void)state;
    struct fields fields = good_fields();
    struct image_slice slice = {0};
    struct error err;
    put(&fields, DICOM_TAG(0x0028, 0x0008), DICOM_VR_IS, "0", 1);
    assert_true(read_fields(&fields, &slice, &err));
}

// ---- parts

static struct image_geometry small_geometry(size_t slices, size_t rows, size_t columns)
{
    return (struct image_geometry){.slices = slices,
                                   .rows = rows,
                                   .columns = columns,
                                   .spacing_mm = {1, .5, .25},
                                   .origin_mm = {5, 6, 7},
                                   .row_direction = {0, 1, 0},
                                   .column_direction = {0, 0, 1},
                                   .normal = {1, 0, 0}};
}

static void blocks_are_averaged_and_stay_in_place(void **state)
{
    (void)state;
    const struct image_geometry whole = small_geometry(3, 5, 9);
    struct image_geometry coarse;
    struct image_part part;
    int16_t hu[3 * 5 * 9], want[3 * 2 * 2];
    for (int n = 0; n < 3 * 5 * 9; n++)
        hu[n] = (int16_t)(n * n % 101 - 50);
    image_bin_plan(&whole, (const double[3]){1.9, 1, 1}, &part, &coarse);
    assert_int_equal(part.factor[0], 1);
    assert_int_equal(part.factor[1], 2);
    assert_int_equal(part.factor[2], 4);
    assert_int_equal(coarse.slices, 3);
    assert_int_equal(coarse.rows, 2);
    assert_int_equal(coarse.columns, 2);
    for (size_t k = 0; k < 3; k++)
        for (size_t j = 0; j < 2; j++)
            for (size_t i = 0; i < 2; i++) {
                double sum = 0;
                for (size_t n = 0; n < 8; n++)
                    sum += hu[(k * 5 + j * 2 + n / 4) * 9 + i * 4 + n % 4];
                want[(k * 2 + j) * 2 + i] = (int16_t)lrint(sum / 8);
            }
    image_bin(hu, &whole, part.factor, hu);
    assert_memory_equal(hu, want, sizeof want);
    // The middle of the first block: half a voxel down, one and a half to the right.
    const double voxel[3] = {0, .5, 1.5}, first[3] = {0, 0, 0};
    double a[3], b[3];
    image_to_patient(&whole, voxel, a);
    image_to_patient(&coarse, first, b);
    for (int axis = 0; axis < 3; axis++)
        assert_near(a[axis], b[axis], 1e-12);
}

static void a_block_with_a_voxel_that_is_no_image_data_is_none(void **state)
{
    (void)state;
    const struct image_geometry whole = small_geometry(1, 2, 4);
    int16_t hu[] = {10, 20, 30, IMAGE_NO_DATA_HU, 30, 40, 40, 50};
    image_bin(hu, &whole, (const size_t[3]){1, 2, 2}, hu);
    assert_int_equal(hu[0], 25);
    assert_int_equal(hu[1], IMAGE_NO_DATA_HU);
}

static void labels_of_a_part_come_back_to_their_places(void **state)
{
    (void)state;
    const struct image_geometry whole = small_geometry(4, 6, 8);
    struct image_geometry coarse, cut;
    struct image_part part;
    image_bin_plan(&whole, (const double[3]){2, 1, .25}, &part, &coarse); // 2 x 3 x 8
    const struct image_box box = {{1, 1, 2}, {2, 3, 5}};
    image_crop_geometry(&coarse, &box, &cut);
    memcpy(part.low, box.low, sizeof part.low);
    uint16_t in_coarse[2 * 3 * 8], labels[1 * 2 * 3], out[4 * 6 * 8];
    for (size_t n = 0; n < 2 * 3 * 8; n++)
        in_coarse[n] = (uint16_t)(n + 1);
    image_crop(in_coarse, sizeof *in_coarse, &coarse, &box, labels);
    image_paste_labels(labels, &cut, &part, &whole, out);
    for (size_t k = 0; k < 4; k++)
        for (size_t j = 0; j < 6; j++)
            for (size_t i = 0; i < 8; i++) {
                bool inside = k / 2 == 1 && j / 2 >= 1 && i >= 2 && i < 5;
                assert_int_equal(out[(k * 6 + j) * 8 + i], inside ? in_coarse[(k / 2 * 3 + j / 2) * 8 + i] : 0);
            }
    const double low[3] = {1, 1, 2}, zero[3] = {0, 0, 0};
    double a[3], b[3];
    image_to_patient(&coarse, low, a);
    image_to_patient(&cut, zero, b);
    assert_memory_equal(a, b, sizeof a);
}

int test_volume(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_series_has_the_geometry_and_hu_that_pydicom_finds),
        cmocka_unit_test(so_has_one_scanned_feet_first),
        cmocka_unit_test(slices_are_put_in_order_and_places_go_there_and_back),
        cmocka_unit_test(slices_that_make_no_volume_are_refused_with_the_place),
        cmocka_unit_test(slices_of_two_frames_of_reference_are_refused),
        cmocka_unit_test(the_spacing_of_rounded_positions_is_their_mean),
        cmocka_unit_test(positions_rounded_to_a_tenth_make_no_gap_and_a_missing_slice_does),
        cmocka_unit_test(jitter_of_the_orientation_makes_no_tilt),
        cmocka_unit_test(gaps_that_drift_are_refused),
        cmocka_unit_test(a_tilted_gantry_is_refused),
        cmocka_unit_test(a_slice_is_read_from_its_data_set),
        cmocka_unit_test(a_slice_that_makes_no_sense_is_refused_by_its_attribute),
        cmocka_unit_test(stored_bits_signs_slopes_and_padding_become_hu),
        cmocka_unit_test(padding_written_as_unsigned_is_meant_signed),
        cmocka_unit_test(padding_wider_than_the_bits_stored_is_not_taken_for_a_value),
        cmocka_unit_test(a_scanner_s_circle_and_what_cannot_be_air_are_padding_without_being_told),
        cmocka_unit_test(what_is_filled_in_up_to_the_brain_is_no_image_data_though_it_is_as_thin_as_air),
        cmocka_unit_test(air_before_skin_or_bone_is_air_however_even_it_is),
        cmocka_unit_test(decimal_commas_are_read_as_points_and_what_is_no_number_is_named),
        cmocka_unit_test(a_block_with_a_voxel_that_is_no_image_data_is_none),
        cmocka_unit_test(a_slice_of_no_frames_is_one),
        cmocka_unit_test(blocks_are_averaged_and_stay_in_place),
        cmocka_unit_test(labels_of_a_part_come_back_to_their_places),
    };
    return cmocka_run_group_tests_name("volume", tests, NULL, NULL);
}
