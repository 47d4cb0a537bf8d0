// Which images make volumes, what is left out, what is unfit: series of small CT slices with one thing wrong at a time,
// and random ones shuffled. What the pixels are is a number here.
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "image/mask.h"
#include "model/fit.h"
#include "support/scratch.h"

enum { OBJECTS_MAX = 600, ELEMENTS_MAX = 40, CONSTANT = 1 << 20 };

enum {
    TYPE = DICOM_TAG(0x0008, 0x0008),
    TIME = DICOM_TAG(0x0008, 0x0032),
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    STUDY_TEXT = DICOM_TAG(0x0008, 0x1030),
    SERIES_TEXT = DICOM_TAG(0x0008, 0x103E),
    AGENT = DICOM_TAG(0x0018, 0x0010),
    BODY_PART = DICOM_TAG(0x0018, 0x0015),
    THICKNESS = DICOM_TAG(0x0018, 0x0050),
    KVP = DICOM_TAG(0x0018, 0x0060),
    ECHO_TIME = DICOM_TAG(0x0018, 0x0081),
    ECHO = DICOM_TAG(0x0018, 0x0086),
    INVERSION = DICOM_TAG(0x0018, 0x0082),
    TRIGGER = DICOM_TAG(0x0018, 0x1060),
    KERNEL = DICOM_TAG(0x0018, 0x1210),
    B_VALUE = DICOM_TAG(0x0018, 0x9087),
    ACQUISITION = DICOM_TAG(0x0020, 0x0012),
    NUMBER = DICOM_TAG(0x0020, 0x0013),
    POSITION = DICOM_TAG(0x0020, 0x0032),
    ORIENTATION = DICOM_TAG(0x0020, 0x0037),
    FRAME = DICOM_TAG(0x0020, 0x0052),
    TEMPORAL = DICOM_TAG(0x0020, 0x0100),
    IN_ACQUISITION = DICOM_TAG(0x0020, 0x1002),
    SAMPLES = DICOM_TAG(0x0028, 0x0002),
    FRAMES = DICOM_TAG(0x0028, 0x0008),
    ROWS = DICOM_TAG(0x0028, 0x0010),
    SPACING = DICOM_TAG(0x0028, 0x0030),
    INTERCEPT = DICOM_TAG(0x0028, 0x1052),
    SLOPE = DICOM_TAG(0x0028, 0x1053),
};

static struct model_words *words;

// ---- series

struct series {
    struct model_object objects[OBJECTS_MAX];
    struct dicom_dataset sets[OBJECTS_MAX];
    struct dicom_element elements[OBJECTS_MAX][ELEMENTS_MAX];
    int pixels[OBJECTS_MAX]; // equal numbers are equal pixels, from CONSTANT on of one value all over
    size_t count;
    size_t read; // how often pixels were asked for
};

static struct series the_series; // of the test that runs

static struct dicom_element *element_of(struct series *series, size_t i, dicom_tag tag)
{
    struct dicom_dataset *set = &series->sets[i];
    for (size_t k = 0; k < set->count; k++)
        if (series->elements[i][k].tag == tag)
            return &series->elements[i][k];
    assert_true(set->count < ELEMENTS_MAX);
    return &series->elements[i][set->count++];
}

// As the dictionary has it; text is enough for what it has as binary or does not have.
static enum dicom_vr vr_of(dicom_tag tag)
{
    const struct dicom_attribute *attribute = dicom_attribute(tag);
    return attribute && dicom_vr_is_text(attribute->vr) ? attribute->vr : DICOM_VR_DS;
}

// A text value; "" is an empty one.
static void set(struct series *series, size_t i, dicom_tag tag, const char *value)
{
    *element_of(series, i, tag) = (struct dicom_element){.tag = tag,
                                                         .vr = vr_of(tag),
                                                         .length = (uint32_t)strlen(value),
                                                         .value = (const uint8_t *)arena_strdup(&scratch, value)};
}

static void set_short(struct series *series, size_t i, dicom_tag tag, uint16_t value)
{
    const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    *element_of(series, i, tag) = (struct dicom_element){
        .tag = tag, .vr = DICOM_VR_US, .length = 2, .value = arena_copy(&scratch, bytes, sizeof bytes)};
}

static void set_number(struct series *series, size_t i, dicom_tag tag, double value)
{
    set(series, i, tag, arena_printf(&scratch, "%.10g", value));
}

static void unset(struct series *series, size_t i, dicom_tag tag)
{
    element_of(series, i, tag)->tag = 0;
}

static void set_all(struct series *series, dicom_tag tag, const char *value)
{
    for (size_t i = 0; i < series->count; i++)
        set(series, i, tag, value);
}

static void set_position(struct series *series, size_t i, double x, double y, double z)
{
    set(series, i, POSITION, arena_printf(&scratch, "%.10g\\%.10g\\%.10g", x, y, z));
}

static void set_bits(struct series *series, size_t i)
{
    static const uint16_t bits[][2] = {{0x0010, 4}, {0x0011, 4}, {0x0100, 16}, {0x0101, 12}, {0x0102, 11}, {0x0103, 0}};
    for (size_t k = 0; k < sizeof bits / sizeof *bits; k++)
        set_short(series, i, DICOM_TAG(0x0028, bits[k][0]), bits[k][1]);
}

// One axial CT slice of the head, with pixels of its own.
static size_t add(struct series *series, double z)
{
    static const struct {
        dicom_tag tag;
        const char *value;
    } values[] = {
        {TYPE, "ORIGINAL\\PRIMARY\\AXIAL"},
        {MODALITY, "CT"},
        {BODY_PART, "HEAD"},
        {SERIES_TEXT, "Head 5 mm"},
        {FRAME, "1.2.3.4"},
        {SPACING, "0.5\\0.5"},
        {ORIENTATION, "1\\0\\0\\0\\1\\0"},
        {THICKNESS, "5"},
        {SLOPE, "1"},
        {INTERCEPT, "-1024"},
    };
    size_t i = series->count++;
    assert_true(i < OBJECTS_MAX);
    series->sets[i] = (struct dicom_dataset){.elements = series->elements[i]};
    set(series, i, DICOM_TAG(0x0008, 0x0005), "ISO_IR 192");
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        set(series, i, values[k].tag, values[k].value);
    set_bits(series, i);
    set_position(series, i, -1, -1, z);
    series->pixels[i] = (int)i;
    series->objects[i] = (struct model_object){.header = &series->sets[i],
                                               .sop_instance = arena_printf(&scratch, "1.2.%zu", i + 1),
                                               .sop_class = "1.2.840.10008.5.1.4.1.1.2",
                                               .patient_id = "P1",
                                               .issuer = "H"};
    set(series, i, NUMBER, arena_printf(&scratch, "%zu", i + 1));
    return i;
}

// A fresh series of `count` slices every 5 mm.
static struct series *stack(size_t count)
{
    struct series *series = &the_series;
    arena_reset(&scratch);
    series->count = series->read = 0;
    for (size_t k = 0; k < count; k++)
        add(series, 5 * (double)k);
    return series;
}

// Again as many slices at the same places, with other pixels.
static size_t add_phase(struct series *series, size_t count)
{
    size_t first = series->count;
    for (size_t k = 0; k < count; k++)
        add(series, 5 * (double)k);
    return first;
}

static bool read_pixels(void *payload, size_t index, uint8_t *out, size_t size, struct error *err)
{
    struct series *series = payload;
    if (series->pixels[index] < 0)
        return error_set(err, ERROR_IO, "pixels cannot be read");
    series->read++;
    const bool constant = series->pixels[index] >= CONSTANT;
    memset(out, constant ? series->pixels[index] - CONSTANT : 0, size);
    if (!constant)
        memcpy(out, &series->pixels[index], sizeof series->pixels[index]);
    return true;
}

static const struct model_needs head_needs = {.modality = "CT",
                                              .body_parts = {"HEAD"},
                                              .body_part_count = 1,
                                              .spacing_max_mm = 5,
                                              .slices_min = 4,
                                              .slices_max = 100,
                                              .contrast_refused = true};

static struct model_fit check(struct series *series, const struct model_needs *needs)
{
    struct model_fit fit;
    struct error err = {0};
    assert_ok(model_fit_check(needs, words, series->objects, series->count, read_pixels, series, &scratch, &fit, &err),
              err);
    return fit;
}

// ---- what is expected

static void expect_text(const char *text, const char *named)
{
    if (!text || !strstr(text, named))
        fail_msg("'%s' does not say '%s'", text ? text : "(nothing)", named);
}

// The first one.
static const struct model_volume *volume_of(const struct model_fit *fit)
{
    if (fit->unfit)
        fail_msg("unfit: %s", fit->unfit);
    assert_true(fit->volume_count > 0);
    return &fit->volumes[0];
}

static void expect_fit(const struct model_volume *volume, size_t count)
{
    if (volume->unfit)
        fail_msg("volume '%s' is unfit: %s", volume->label, volume->unfit);
    assert_int_equal(volume->count, count);
    assert_int_equal(volume->geometry.slices, count);
    for (size_t k = 1; k < count; k++)
        assert_true(volume->slices[k].position_mm[2] > volume->slices[k - 1].position_mm[2]);
}

// One volume, fit, of so many slices.
static struct model_volume *expect_one(struct model_fit *fit, size_t count)
{
    if (fit->unfit)
        fail_msg("unfit: %s", fit->unfit);
    assert_int_equal(fit->volume_count, 1);
    assert_string_equal(fit->volumes[0].label, "");
    expect_fit(&fit->volumes[0], count);
    return &fit->volumes[0];
}

static void expect_left_out(const struct model_fit *fit, size_t index, const char *what)
{
    for (size_t i = 0; i < fit->left_out_count; i++)
        if (fit->left_out[i].index == index) {
            assert_string_equal(fit->left_out[i].what, what);
            return;
        }
    fail_msg("object %zu is not left out", index);
}

static void expect_labels(const struct model_fit *fit, const char *const labels[], size_t count)
{
    if (fit->unfit)
        fail_msg("unfit: %s", fit->unfit);
    for (size_t i = 0; i < fit->volume_count && i < count; i++)
        assert_string_equal(fit->volumes[i].label, labels[i]);
    assert_int_equal(fit->volume_count, count);
}

// ---- order and what is left out

static void slices_are_ordered_by_place_whatever_their_numbers(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct series *series = stack(20);
        for (size_t i = 0; i < 20; i++) {
            if (kind == 0)
                unset(series, i, NUMBER);
            else if (kind == 1)
                set(series, i, NUMBER, "1");
            else
                set_number(series, i, NUMBER, kind == 2 ? (double)((i * 7) % 20) : -(double)i);
        }
        struct model_fit fit = check(series, &head_needs);
        struct model_volume *volume = expect_one(&fit, 20);
        for (size_t k = 0; k < 20; k++)
            assert_int_equal(volume->slices[k].index, k);
        assert_true(volume->geometry.spacing_mm[0] == 5);
        assert_true(volume->coverage_mm == 100);
        assert_int_equal(series->read, 0);
    }
}

static void localizers_pages_and_objects_without_a_place_are_left_out_by_name(void **state)
{
    static const struct {
        dicom_tag tag;
        const char *value; // NULL: without it
        const char *sop_class, *what;
    } cases[] = {
        {TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER", NULL, "localizer"},
        {TYPE, "DERIVED\\SECONDARY\\SCOUT", NULL, "localizer"},
        {TYPE, "ORIGINAL\\PRIMARY\\localizer ", NULL, "localizer"},
        {TYPE, "DERIVED\\SECONDARY\\OTHER\\DOSE_INFO", NULL, "secondary page"},
        {TYPE, "DERIVED\\SECONDARY\\SCREEN SAVE", NULL, "secondary page"},
        {NUMBER, "1", "1.2.840.10008.5.1.4.1.1.7", "secondary page"},
        {FRAMES, "40", "1.2.840.10008.5.1.4.1.1.7.4", "secondary page"},
        {SAMPLES, "3", NULL, "colour page"},
        {ROWS, NULL, "1.2.840.10008.5.1.4.1.1.88.67", "object without an image"},
        {POSITION, NULL, NULL, "image without a place in space"},
        {POSITION, "", NULL, "image without a place in space"},
        {ORIENTATION, NULL, NULL, "image without a place in space"},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct series *series = stack(20);
        size_t i = add(series, 50); // at a place that is taken
        set(series, i, cases[c].tag, cases[c].value ? cases[c].value : "");
        if (!cases[c].value)
            unset(series, i, cases[c].tag);
        if (cases[c].sop_class)
            series->objects[i].sop_class = cases[c].sop_class;
        set(series, i, MODALITY, "OT"); // asked of slices alone
        struct model_fit fit = check(series, &head_needs);
        expect_text(expect_one(&fit, 20)->notes, arena_printf(&scratch, "left out: 1 %s (Instance ", cases[c].what));
        assert_int_equal(fit.left_out_count, 1);
        expect_left_out(&fit, i, cases[c].what);
    }
}

// Scouts that do not say that they are: frontal and sagittal.
static void images_of_another_orientation_that_make_no_volume_are_left_out(void **state)
{
    (void)state;
    struct series *series = stack(20);
    size_t frontal = add(series, 0), lateral = add(series, 0);
    set(series, frontal, ORIENTATION, "1\\0\\0\\0\\0\\-1");
    set(series, lateral, ORIENTATION, "0\\1\\0\\0\\0\\-1");
    struct model_fit fit = check(series, &head_needs);
    struct model_volume *volume = expect_one(&fit, 20);
    expect_left_out(&fit, frontal, "image of another orientation");
    expect_left_out(&fit, lateral, "image of another orientation");
    expect_text(volume->notes, "2 images of another orientation (Instances 21, 22)");
}

static void a_slice_that_is_there_twice_counts_once(void **state)
{
    (void)state;
    struct series *series = stack(20);
    for (size_t i = 3; i < 8; i++) {
        size_t copy = add(series, 5 * (double)i);
        series->pixels[copy] = series->pixels[i];
    }
    struct model_fit fit = check(series, &head_needs);
    struct model_volume *volume = expect_one(&fit, 20);
    assert_int_equal(fit.left_out_count, 5);
    expect_text(volume->notes, "5 doubles (Instances 21, 22, 23 and 2 more)");
    expect_left_out(&fit, 20, "double");
    expect_text(fit.left_out[0].why, "the same image as Instance 4 (1.2.4)");
}

// The same stored values that mean other HU are another image.
static void the_same_bytes_with_another_slope_are_no_double(void **state)
{
    (void)state;
    struct series *series = stack(20);
    size_t copy = add(series, 15);
    series->pixels[copy] = series->pixels[3];
    set(series, copy, SLOPE, "2");
    set(series, copy, INTERCEPT, "0");
    struct model_fit fit = check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "two different images at one place");
}

// All sent again under other UIDs, and stamped anew.
static void a_series_that_is_there_twice_is_one_volume(void **state)
{
    (void)state;
    for (int stamped = 0; stamped < 3; stamped++) {
        struct series *series = stack(20);
        size_t again = add_phase(series, 20);
        for (size_t k = 0; k < 20; k++) {
            series->pixels[again + k] = series->pixels[k];
            if (stamped > 0)
                set(series, k, TIME, arena_printf(&scratch, "1200%02zu", k));
            if (stamped > 0)
                set(series, again + k, TIME, stamped == 2 ? "150000" : arena_printf(&scratch, "1300%02zu", k));
        }
        struct model_fit fit = check(series, &head_needs);
        expect_one(&fit, 20);
        assert_int_equal(fit.left_out_count, 20);
    }
}

// ---- several volumes

static void volumes_are_told_apart_by_each_attribute(void **state)
{
    static const struct {
        dicom_tag tag;
        const char *values[2];
        const char *labels[2];
    } cases[] = {
        {TEMPORAL, {"1", "2"}, {"Temporal Position 1", "Temporal Position 2"}},
        {ACQUISITION, {"2", "10"}, {"Acquisition 2", "Acquisition 10"}},
        {ECHO_TIME, {"2.46", "12.1"}, {"Echo Time 2.46", "Echo Time 12.1"}},
        {ECHO_TIME, {"2.460 ", "2.5"}, {"Echo Time 2.46", "Echo Time 2.5"}},
        {ECHO, {"1", "2"}, {"Echo 1", "Echo 2"}},
        {INVERSION, {"50", "1200"}, {"Inversion Time 50", "Inversion Time 1200"}},
        {B_VALUE, {"0", "1000"}, {"b-value 0", "b-value 1000"}},
        {KERNEL, {"B30f", "B70f"}, {"Convolution Kernel B30f", "Convolution Kernel B70f"}},
        {KERNEL, {"Hr40\\3", "Hr40\\4"}, {"Convolution Kernel Hr40\\3", "Convolution Kernel Hr40\\4"}},
        {KVP, {"80", "140"}, {"KVP 80", "KVP 140"}},
        {DICOM_TAG(0x0020, 0x9241), {"30", "75"}, {"Cardiac Phase 30", "Cardiac Phase 75"}},
        {TRIGGER, {"0", "433"}, {"Trigger Time 0", "Trigger Time 433"}},
        {TYPE, {"ORIGINAL\\PRIMARY\\M", "ORIGINAL\\PRIMARY\\P"}, {"Image Type M", "Image Type P"}},
        {TYPE,
         {"ORIGINAL\\PRIMARY\\AXIAL\\WATER", "ORIGINAL\\PRIMARY\\AXIAL\\FAT"},
         {"Image Type FAT", "Image Type WATER"}},
        {TIME, {"120000", "120130.5"}, {"Acquisition Time 120000", "Acquisition Time 120130.5"}},
        {AGENT, {"", "Iomeron"}, {"Contrast Agent Iomeron", "Contrast Agent none"}},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct series *series = stack(20);
        add_phase(series, 20);
        for (size_t i = 0; i < 40; i++)
            set(series, i, cases[c].tag, cases[c].values[i / 20]);
        struct model_fit fit = check(series, NULL);
        expect_labels(&fit, cases[c].labels, 2);
        expect_fit(volume_of(&fit), 20);
        expect_fit(&fit.volumes[1], 20);
        assert_int_equal(fit.left_out_count, 0);
        // the same values along one stack make no volumes
        series = stack(40);
        for (size_t i = 0; i < 40; i++)
            set(series, i, cases[c].tag, cases[c].values[i / 20]);
        fit = check(series, NULL);
        expect_one(&fit, 40);
    }
}

// Of the vendors' own elements, in blocks that are not the first.
static void b_values_are_found_where_vendors_write_them(void **state)
{
    static const struct {
        dicom_tag creator_tag;
        const char *creator;
        dicom_tag tag;
        const char *values[2];
    } cases[] = {
        {DICOM_TAG(0x0019, 0x0011), "SIEMENS MR HEADER", DICOM_TAG(0x0019, 0x110C), {"0", "1000"}},
        {DICOM_TAG(0x0043, 0x0010), "GEMS_PARM_01", DICOM_TAG(0x0043, 0x1039), {"0\\8\\0\\0", "1000001000\\8\\0\\0"}},
        {DICOM_TAG(0x2001, 0x0012), "Philips Imaging DD 001", DICOM_TAG(0x2001, 0x1203), {"0", "1000"}},
        {DICOM_TAG(0x0065, 0x0010), "Image Private Header", DICOM_TAG(0x0065, 0x1009), {"0", "1000"}},
    };
    static const char *const labels[] = {"b-value 0", "b-value 1000"};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct series *series = stack(10);
        add_phase(series, 10);
        set_all(series, cases[c].creator_tag, cases[c].creator);
        for (size_t i = 0; i < 20; i++)
            set(series, i, cases[c].tag, cases[c].values[i / 10]);
        struct model_fit fit = check(series, NULL);
        expect_labels(&fit, labels, 2);
    }
}

static void several_attributes_together_tell_apart(void **state)
{
    static const char *const labels[] = {"Temporal Position 1, Echo Time 2.46", "Temporal Position 1, Echo Time 12",
                                         "Temporal Position 2, Echo Time 2.46", "Temporal Position 2, Echo Time 12"};
    (void)state;
    struct series *series = stack(20);
    for (int i = 0; i < 3; i++)
        add_phase(series, 20);
    for (size_t i = 0; i < 80; i++) {
        set(series, i, TEMPORAL, i < 40 ? "1" : "2");
        set(series, i, ECHO_TIME, i / 20 % 2 ? "12" : "2.46");
    }
    struct model_fit fit = check(series, NULL);
    expect_labels(&fit, labels, 4);
    for (size_t i = 0; i < 4; i++)
        expect_fit(&fit.volumes[i], 20);
}

// Times that differ from slice to slice are ranked at each place.
static void phases_of_times_that_differ_from_slice_to_slice_are_ranked(void **state)
{
    static const char *const labels[] = {"Trigger Time 1 of 3", "Trigger Time 2 of 3", "Trigger Time 3 of 3"};
    (void)state;
    struct series *series = stack(20);
    add_phase(series, 20);
    add_phase(series, 20);
    for (size_t i = 0; i < 60; i++)
        set_number(series, i, TRIGGER, (double)(i / 20) * 300 + (double)(i % 20) * 1.5);
    struct model_fit fit = check(series, NULL);
    expect_labels(&fit, labels, 3);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 20; k++)
            assert_int_equal(fit.volumes[i].slices[k].index, 20 * i + k);
}

static void parts_of_a_scan_that_overlap_are_volumes(void **state)
{
    static const char *const labels[] = {"Acquisition 1", "Acquisition 2", "Acquisition 3"};
    (void)state;
    struct series *series = stack(0);
    for (size_t part = 0; part < 3; part++)
        for (size_t k = 0; k < 10; k++)
            set_number(series, add(series, 5 * (double)(8 * part + k)), ACQUISITION, (double)part + 1);
    struct model_fit fit = check(series, NULL);
    expect_labels(&fit, labels, 3);
    expect_fit(&fit.volumes[1], 10);
}

// One slice scanned again after the patient moved: two volumes, of which one is a slice.
static void a_slice_scanned_again_is_no_part_of_the_first_scan(void **state)
{
    static const char *const labels[] = {"Acquisition 1", "Acquisition 2"};
    (void)state;
    struct series *series = stack(20);
    set_all(series, ACQUISITION, "1");
    set(series, add(series, 35), ACQUISITION, "2");
    struct model_fit fit = check(series, &head_needs);
    expect_labels(&fit, labels, 2);
    expect_fit(volume_of(&fit), 20);
    expect_text(fit.volumes[1].unfit, "1 slices");
}

static void two_images_at_one_place_that_nothing_tells_apart_are_unfit(void **state)
{
    (void)state;
    struct series *series = stack(20);
    add(series, 35);
    struct model_fit fit = check(series, &head_needs);
    assert_int_equal(fit.volume_count, 1);
    expect_text(volume_of(&fit)->unfit, "two different images at one place, Instance ");
    expect_text(volume_of(&fit)->unfit, "Instance 8 (1.2.8)");
    expect_text(volume_of(&fit)->unfit, "Instance 21 (1.2.21)");
}

static void orientation_size_spacing_and_frame_of_reference_part_volumes(void **state)
{
    static const struct {
        dicom_tag tag;
        const char *value;
        const char *labels[2];
    } cases[] = {
        {SPACING, "0.25\\0.25", {"Pixel Spacing 0.25\\0.25", "Pixel Spacing 0.5\\0.5"}},
        {FRAME, "1.2.3.5", {"Frame of Reference 1.2.3.4", "Frame of Reference 1.2.3.5"}},
        {ORIENTATION, "0\\1\\0\\-1\\0\\0", {"Orientation 0\\1\\0\\-1\\0\\0", "Orientation 1\\0\\0\\0\\1\\0"}},
    };
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct series *series = stack(20);
        add_phase(series, 20);
        for (size_t i = 20; i < 40; i++)
            set(series, i, cases[c].tag, cases[c].value);
        struct model_fit fit = check(series, NULL);
        expect_labels(&fit, cases[c].labels, 2);
    }
    static const char *const sizes[] = {"4 x 4 pixels", "8 x 4 pixels"};
    struct series *series = stack(20);
    set_short(series, add(series, 100), ROWS, 8); // one of another size: seen, not passed over
    struct model_fit fit = check(series, NULL);
    expect_labels(&fit, sizes, 2);
    expect_fit(volume_of(&fit), 20);
    assert_non_null(fit.volumes[1].unfit);
}

static void more_volumes_than_the_limit_are_unfit(void **state)
{
    (void)state;
    struct series *series = stack(4);
    for (int i = 0; i < MODEL_VOLUMES_MAX; i++)
        add_phase(series, 4);
    for (size_t i = 0; i < series->count; i++)
        set_number(series, i, TEMPORAL, (double)(i / 4));
    struct model_fit fit = check(series, NULL);
    expect_text(fit.unfit, "more than 64 volumes");
    assert_int_equal(fit.volume_count, 0);
}

// ---- geometry

static void missing_slices_are_named_and_rounding_is_none(void **state)
{
    (void)state;
    struct series *series = stack(20);
    set_position(series, 19, -1, -1, 105); // the one before it is missing
    struct model_fit fit = check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "gap of 15.00 mm between slices 19 and 20, 5.00 mm elsewhere");

    series = stack(20);
    for (size_t i = 0; i < 20; i++) // 5 mm apart, rounded: 95.1 mm over 19 gaps
        set_position(series, i, -1, -1, 5 * (double)i + (i == 19 ? .1 : 0));
    fit = check(series, &head_needs);
    assert_true(expect_one(&fit, 20)->geometry.spacing_mm[0] > 5);

    series = stack(0);
    for (size_t i = 0; i < 20; i++)
        add(series, 5.1 * (double)i);
    fit = check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "slices every 5.10 mm; at most 5.00 mm are needed");
}

static void coverage_reaches_from_face_to_face(void **state)
{
    static const struct {
        const char *thickness;
        double coverage_mm;
    } cases[] = {{"5", 100}, {"1.25", 96.25}, {"8", 103}, {"", 100}, {"0", 100}, {"-3", 100}, {"1e9", 100}, {"x", 100}};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct series *series = stack(20);
        set_all(series, THICKNESS, cases[c].thickness);
        struct model_fit fit = check(series, &head_needs);
        assert_true(expect_one(&fit, 20)->coverage_mm == cases[c].coverage_mm);
    }
}

static void what_is_no_stack_of_slices_is_unfit_with_the_reason(void **state)
{
    (void)state;
    struct series *series = stack(20);
    set(series, 7, FRAMES, "30");
    struct model_fit fit = check(series, &head_needs);
    expect_text(fit.unfit, "Instance 8 (1.2.8) holds 30 frames");

    series = stack(1); // enhanced: its places are elsewhere
    unset(series, 0, POSITION);
    unset(series, 0, ORIENTATION);
    set(series, 0, DICOM_TAG(0x5200, 0x9230), "");
    fit = check(series, &head_needs);
    expect_text(fit.unfit, "Instance 1 (1.2.1) is an enhanced object: multi-frame objects are not read by models yet");

    series = stack(20);
    for (size_t i = 0; i < 20; i++)
        unset(series, i, POSITION);
    fit = check(series, &head_needs);
    expect_text(fit.unfit, "Image Position (Patient)");

    series = stack(20);
    set(series, 9, DICOM_TAG(0x0028, 0x1054), "US");
    fit = check(series, &head_needs);
    expect_text(fit.unfit, "Instance 10 (1.2.10): Rescale Type is US");

    series = stack(20); // stored values of HU + 1024: a bleed would be as dense as bone
    unset(series, 12, SLOPE);
    unset(series, 12, INTERCEPT);
    fit = check(series, &head_needs);
    expect_text(fit.unfit, "Instance 13 (1.2.13): it has no Rescale Slope and Intercept (0028,1053/1052): its pixels");

    series = stack(20);
    set_all(series, TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER");
    fit = check(series, &head_needs);
    expect_text(fit.unfit, "none of the 20 objects is a slice");
    assert_int_equal(fit.left_out_count, 20);

    series = stack(20);
    set_all(series, FRAME, "");
    fit = check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "Frame of Reference UID");

    series = stack(0);
    fit = check(series, &head_needs);
    expect_text(fit.unfit, "0 objects");
}

// ---- who and what

static void objects_of_two_patients_are_unfit(void **state)
{
    (void)state;
    struct series *series = stack(20);
    series->objects[13].patient_id = "P0";
    series->objects[13].patient = 1;
    struct model_fit fit = check(series, &head_needs);
    assert_string_equal(fit.unfit, "objects of two patients, P0 of H and P1 of H");
    assert_true(fit.several_patients);
    assert_int_equal(fit.volume_count, 0);

    series = stack(20);
    series->objects[0].issuer = "";
    series->objects[0].patient = 1;
    fit = check(series, &head_needs);
    assert_string_equal(fit.unfit, "objects of two patients, P1 and P1 of H");
    assert_true(fit.several_patients);

    series = stack(20); // without an ID, whoever has them tells them apart otherwise
    for (size_t i = 0; i < 20; i++) {
        series->objects[i].patient_id = series->objects[i].issuer = "";
        series->objects[i].patient = i >= 12;
    }
    fit = check(series, &head_needs);
    assert_string_equal(fit.unfit, "objects of two patients, one without ID and one without ID");
    assert_true(fit.several_patients);

    series = stack(20);
    fit = check(series, &head_needs);
    assert_false(fit.several_patients);
    for (size_t i = 0; i < 20; i++) { // whichever it is
        struct series *series_of_20 = stack(20);
        series_of_20->objects[i].patient = 7;
        assert_true(check(series_of_20, &head_needs).several_patients);
    }
}

static void every_slice_is_asked_for_modality_and_part_of_the_body(void **state)
{
    (void)state;
    for (size_t i = 0; i < 20; i += 19) {
        struct series *series = stack(20);
        set(series, i, MODALITY, "MR");
        struct model_fit fit = check(series, &head_needs);
        expect_text(volume_of(&fit)->unfit, "is MR, the model needs CT");
        series = stack(20);
        set(series, i, BODY_PART, "CHEST");
        fit = check(series, &head_needs);
        expect_text(volume_of(&fit)->unfit, "body part 'CHEST'");
    }
}

static void a_contradicting_part_excludes_whatever_words_a_model_takes(void **state)
{
    struct model_needs needs = head_needs;
    (void)state;
    needs.words[0] = "brain";
    needs.word_count = 1;
    struct series *series = stack(20);
    set_all(series, BODY_PART, "HIP");
    set_all(series, SERIES_TEXT, "brain");
    struct model_fit fit = check(series, &needs);
    expect_text(volume_of(&fit)->unfit, "another part of the body");
    set_all(series, BODY_PART, "");
    fit = check(series, &needs);
    expect_one(&fit, 20);
    set_all(series, SERIES_TEXT, "femoral");
    set_all(series, STUDY_TEXT, "head"); // no phrase over two texts
    fit = check(series, &needs);
    expect_one(&fit, 20);
}

static void slices_too_few_or_too_many_are_unfit(void **state)
{
    (void)state;
    struct series *series = stack(3);
    struct model_fit fit = check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "3 slices; 4 to 100 are needed");
    series = stack(101);
    fit = check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "101 slices; 4 to 100 are needed");
    fit = check(series, NULL);
    expect_one(&fit, 101);
}

static void counts_that_a_sender_states_say_what_is_missing(void **state)
{
    (void)state;
    struct series *series = stack(20);
    struct model_fit fit = check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->stated_images, 0);
    assert_int_equal(volume_of(&fit)->missing_images, 0);
    set_all(series, IN_ACQUISITION, "108");
    fit = check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->stated_images, 108);
    assert_int_equal(volume_of(&fit)->missing_images, 88);
    // of each acquisition its own
    add_phase(series, 20);
    for (size_t i = 0; i < 40; i++) {
        set(series, i, ACQUISITION, i < 20 ? "1" : "2");
        set(series, i, IN_ACQUISITION, i < 20 ? "20" : "30");
    }
    fit = check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->missing_images, 0);
    assert_int_equal(fit.volumes[1].missing_images, 10);
    set_all(series, DICOM_TAG(0x0020, 0x1209), "45");
    fit = check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->stated_images, 45);
    assert_int_equal(volume_of(&fit)->missing_images, 5);
    set_all(series, IN_ACQUISITION, "-1");
    set_all(series, DICOM_TAG(0x0020, 0x1209), "4000000000");
    fit = check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->stated_images, 0);
}

static void pixels_that_cannot_be_read_fail_the_check(void **state)
{
    (void)state;
    struct series *series = stack(20);
    struct model_fit fit;
    struct error err = {0};
    series->pixels[add(series, 35)] = -1;
    assert_false(
        model_fit_check(&head_needs, words, series->objects, series->count, read_pixels, series, &scratch, &fit, &err));
    assert_int_equal(err.code, ERROR_IO);
}

static void an_arena_too_small_fails_the_check(void **state)
{
    (void)state;
    struct series *series = stack(20);
    add_phase(series, 20);
    set(series, 0, KERNEL, "a");
    for (size_t limit = 256; limit < (1 << 20); limit *= 2) {
        struct arena small;
        struct model_fit fit;
        struct error err = {0};
        arena_init(&small, limit);
        if (!model_fit_check(&head_needs, words, series->objects, series->count, read_pixels, series, &small, &fit,
                             &err))
            assert_int_equal(err.code, ERROR_LIMIT);
        arena_free(&small);
    }
}

static void a_description_of_a_part_that_the_model_is_not_for_contradicts(void **state)
{
    static const struct {
        const char *study, *series;
        bool fits;
    } cases[] = {
        {"CT Felsenbein", "Felsenbein rechts 0.6 Hr70", false},
        {"CT temporal bones", "RT petrous 0.6 mm bone", false},
        {"CT NNH", "NNH 1.0 axial", false},
        {"CT paranasal sinuses", "1.0", false},
        {"CT inner ear left", "L IAC DFOV 9 cm", false},
        {"CT dental", "mandible 0.6", false},
        {"CT facial bones", "facial 1.0 bone", false},
        {"TC orbite", "orbite 1.0", false},
        {"TDM rochers", "rocher droit", false},
        {"CT head", "orbits 1.0", false}, // the series is of the orbits alone
        {"CT head and orbits", "axial 5.0", true},
        {"CT orbits", "head 5.0", true},
        {"CT head", "face up 5.0", true},
        {"CCT nativ", "5.0 Hr38", true},
        {"", "", true},
    };
    (void)state;
    struct error err = {0};
    struct model_package *package = model_package_open(REAL_PACKAGE, &err);
    assert_ok(package != NULL, err);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct series *series = stack(20);
        set_all(series, STUDY_TEXT, cases[c].study);
        set_all(series, SERIES_TEXT, cases[c].series);
        struct model_fit fit = check(series, model_package_needs(package));
        if (cases[c].fits)
            expect_one(&fit, 20);
        else
            expect_text(fit.volumes[0].unfit, "the model is for another part of the body");
    }
    model_package_close(package);
}

// ---- a fit volume

static void a_volume_s_pixels_become_hu_slice_by_slice(void **state)
{
    (void)state;
    struct series *series = stack(0);
    struct error err = {0};
    for (size_t k = 20; k-- > 0;)
        series->pixels[add(series, 5 * (double)k)] = (int)k;
    set_all(series, DICOM_TAG(0x0028, 0x1053), "1");
    set_all(series, DICOM_TAG(0x0028, 0x1052), "-1024");
    struct model_fit fit = check(series, &head_needs);
    int fd = model_volume_open(expect_one(&fit, 20), read_pixels, series, &scratch, &err);
    assert_ok(fd >= 0, err);
    int16_t hu[20 * 16];
    assert_ok(file_pread(fd, hu, sizeof hu, 0, &err), err);
    for (int i = 0; i < 20 * 16; i++)
        if (hu[i] != IMAGE_NO_DATA_HU) // a corner of air
            assert_int_equal(hu[i], (i % 16 == 0 ? i / 16 : 0) - 1024);
    assert_true(write(fd, "x", 1) < 0); // sealed
    close(fd);
}

static void values_past_16_bits_make_no_volume(void **state)
{
    (void)state;
    struct series *series = stack(20);
    struct error err = {0};
    for (size_t i = 0; i < 20; i++)
        series->pixels[i] = i < 3 ? 4000 : 1;
    set_all(series, DICOM_TAG(0x0028, 0x1053), "10");
    set_all(series, DICOM_TAG(0x0028, 0x1052), "0");
    struct model_fit fit = check(series, &head_needs);
    assert_int_equal(model_volume_open(expect_one(&fit, 20), read_pixels, series, &scratch, &err), -1);
    assert_int_equal(err.code, ERROR_CONFLICT);
    expect_text(err.message, "3 of 320 values are past what 16 bits hold");
}

static void a_negative_needs_coverage_and_a_look(void **state)
{
    static const struct {
        double asked_mm, asked_ml;
        struct model_result result;
        const char *lack; // NULL: nothing
    } cases[] = {{0, 0, {.looked_at = 1}, NULL},
                 {100, 0, {.looked_at = 1}, NULL},
                 {100.4, 0, {.looked_at = 1}, NULL},
                 {120, 0, {.looked_at = 1}, "in 100 mm of the patient; a negative needs 120"},
                 {0, 0, {.looked_at = 0}, "nothing was looked at"},
                 {0, 250, {.looked_at = 200000}, NULL}, // voxels of 1.25 mm3
                 {0, 250, {.looked_at = 199000}, "only 249 mL of the 250 mL that a negative needs were looked at"},
                 {0, 0, {.looked_at = 1, .cut_mm2 = 2000}, NULL},
                 {0, 0, {.looked_at = 1, .cut_mm2 = 2100}, "cut by the field of view, by 21 cm2 of its surface"}};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct model_needs needs = head_needs;
        struct error err = {0};
        const char *lack;
        needs.coverage_min_mm = cases[c].asked_mm;
        needs.looked_min_ml = cases[c].asked_ml;
        struct series *series = stack(20);
        struct model_fit fit = check(series, &needs);
        assert_ok(model_negative_lacks(&needs, expect_one(&fit, 20), &cases[c].result, &scratch, &lack, &err), err);
        if (cases[c].lack)
            expect_text(lack, cases[c].lack);
        else
            assert_null(lack);
    }
}

static void what_is_found_in_a_head_that_is_cut_says_why_it_has_no_side(void **state)
{
    (void)state;
    struct model_fit fit = check(stack(20), &head_needs);
    struct model_result result = {.count = 1, .looked_at = 1, .cut_mm2 = mask_tolerances.cut_mm2};
    struct error err = {0};
    const char *notes;
    assert_ok(model_result_notes(expect_one(&fit, 20), &result, &scratch, &notes, &err), err);
    assert_string_equal(notes, "contrast is not stated");
    result.cut_mm2 += 1;
    assert_ok(model_result_notes(expect_one(&fit, 20), &result, &scratch, &notes, &err), err);
    assert_string_equal(notes, "contrast is not stated; the head is cut by the field of view: no side is told");
    result.count = 0;
    assert_ok(model_result_notes(expect_one(&fit, 20), &result, &scratch, &notes, &err), err);
    assert_string_equal(notes, "contrast is not stated");
}

// ---- what its slices hold

// Opens the only volume, of slices every 5 mm.
static struct model_volume *open_one(struct series *series, struct model_fit *fit)
{
    struct error err = {0};
    *fit = check(series, &head_needs);
    struct model_volume *volume = expect_one(fit, 20);
    int fd = model_volume_open(volume, read_pixels, series, &scratch, &err);
    assert_ok(fd >= 0, err);
    close(fd);
    return volume;
}

static const char *lack_of(const struct model_volume *volume)
{
    const struct model_result result = {.looked_at = 1};
    struct error err = {0};
    const char *lack;
    assert_ok(model_negative_lacks(&head_needs, volume, &result, &scratch, &lack, &err), err);
    return lack;
}

static void slices_that_hold_no_image_data_are_a_gap_and_no_coverage(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct model_fit fit;
        struct series *series = stack(20);
        series->pixels[0] = 100; // 0 would be one value all over
        for (size_t i = 8; i < 13; i++)
            series->pixels[i] = CONSTANT + kind;
        if (kind == 2)
            set_all(series, DICOM_TAG(0x0028, 0x0120), "514"); // the value that they are full of
        struct model_volume *volume = open_one(series, &fit);
        assert_int_equal(volume->empty, 5);
        assert_true(volume->coverage_mm == 40); // 8 before, 7 behind
        expect_text(volume->notes, "5 images hold no image data (Instances 9, 10, 11 and 2 more)");
        expect_text(lack_of(volume), "Instances 9, 10, 11 and 2 more hold no image data");
    }
}

static void empty_slices_at_the_ends_are_no_gap(void **state)
{
    (void)state;
    struct model_fit fit;
    struct series *series = stack(20);
    series->pixels[0] = series->pixels[19] = series->pixels[18] = CONSTANT;
    struct model_volume *volume = open_one(series, &fit);
    assert_int_equal(volume->empty, 3);
    assert_true(volume->coverage_mm == 85);
    assert_null(lack_of(volume));
    series = stack(20);
    for (size_t i = 0; i < 20; i++)
        series->pixels[i] = CONSTANT;
    assert_true(open_one(series, &fit)->coverage_mm == 0);
}

static void a_slice_s_pixels_again_count_once_and_are_noted(void **state)
{
    (void)state;
    struct model_fit fit;
    struct series *series = stack(20);
    series->pixels[0] = 100;
    series->pixels[5] = series->pixels[6] = series->pixels[4];
    series->pixels[15] = series->pixels[3]; // no neighbours
    struct model_volume *volume = open_one(series, &fit);
    assert_int_equal(volume->empty, 0);
    assert_true(volume->coverage_mm == 90);
    expect_text(volume->notes, "2 images hold the same pixels as the one before (Instances 6, 7)");
    assert_null(lack_of(volume));
}

// ---- whatever the order

// A series of everything at once.
static void random_series(struct series *series, unsigned seed)
{
    static const dicom_tag tags[] = {TEMPORAL, ECHO_TIME, KERNEL, ACQUISITION, TRIGGER, TYPE};
    srandom(seed);
    stack(6 + (size_t)(random() % 10));
    size_t places = series->count, phases = 1 + (size_t)(random() % 4);
    for (size_t p = 1; p < phases; p++)
        add_phase(series, places);
    dicom_tag tag = tags[random() % 6];
    for (size_t i = 0; phases > 1 && i < series->count; i++)
        set(series, i, tag, arena_printf(&scratch, tag == TYPE ? "ORIGINAL\\PRIMARY\\T%zu" : "%zu", i / places));
    for (long more = random() % 6; more > 0; more--) {
        size_t of = (size_t)random() % places, i = add(series, 0); // those have a place
        const char *of_place = (const char *)element_of(series, of, POSITION)->value;
        set(series, i, POSITION, of_place);
        if (random() % 2) // a double, else it differs
            series->pixels[i] = series->pixels[of];
        if (random() % 2 && phases > 1)
            set(series, i, tag, "1");
        if (random() % 4 == 0)
            set(series, i, ORIENTATION, "0\\1\\0\\0\\0\\-1");
        if (random() % 4 == 0)
            set(series, i, TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER");
        if (random() % 8 == 0)
            unset(series, i, POSITION);
    }
}

static void shuffle(struct series *series)
{
    for (size_t i = series->count; i-- > 1;) {
        size_t k = (size_t)random() % (i + 1);
        struct model_object object = series->objects[i];
        int pixels = series->pixels[i];
        series->objects[i] = series->objects[k];
        series->pixels[i] = series->pixels[k];
        series->objects[k] = object;
        series->pixels[k] = pixels;
    }
}

// All that the check says, objects by their UIDs.
static const char *tell(const struct series *series, const struct model_fit *fit)
{
    struct buffer out;
    buffer_init(&out, 1 << 20);
    buffer_printf(&out, "%s\n", fit->unfit ? fit->unfit : "-");
    for (size_t v = 0; v < fit->volume_count; v++) {
        const struct model_volume *volume = &fit->volumes[v];
        buffer_printf(&out, "[%s] %s, %g mm:", volume->label, volume->unfit ? volume->unfit : "fit",
                      volume->coverage_mm);
        for (size_t k = 0; k < volume->count; k++)
            buffer_printf(&out, " %s", series->objects[volume->slices[k].index].sop_instance);
        buffer_text(&out, "\n");
    }
    size_t left[OBJECTS_MAX] = {0}; // by the last number of the UID
    for (size_t i = 0; i < fit->left_out_count; i++) {
        size_t uid = strtoul(series->objects[fit->left_out[i].index].sop_instance + 4, NULL, 10);
        left[uid - 1]++;
        buffer_printf(&out, "%s", i == 0 ? "left out" : "");
    }
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        assert_true(left[i] <= 1);
        if (left[i])
            buffer_printf(&out, " %zu", i + 1);
    }
    const char *text = arena_strndup(&scratch, (const char *)out.data, out.size);
    buffer_free(&out);
    return text;
}

// Nothing is lost: each object is in one volume or left out.
static void expect_all_accounted(const struct series *series, const struct model_fit *fit)
{
    size_t seen = fit->left_out_count;
    for (size_t v = 0; v < fit->volume_count; v++)
        seen += fit->volumes[v].count;
    if (!fit->unfit)
        assert_int_equal(seen, series->count);
}

static void the_order_of_the_objects_makes_no_difference(void **state)
{
    struct series *series = &the_series;
    size_t fit_volumes = 0;
    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        random_series(series, seed);
        struct model_fit fit = check(series, &head_needs);
        const char *first = tell(series, &fit);
        expect_all_accounted(series, &fit);
        for (size_t v = 0; v < fit.volume_count; v++)
            fit_volumes += !fit.volumes[v].unfit;
        for (int round = 0; round < 10; round++) {
            shuffle(series);
            fit = check(series, &head_needs);
            const char *now = tell(series, &fit);
            if (strcmp(first, now) != 0)
                fail_msg("seed %u:\n%s\nbut then\n%s", seed, first, now);
        }
    }
    assert_true(fit_volumes > 60); // it is not all unfit
}

// ---- contrast

static const struct {
    dicom_tag tag;
    const char *value;
    enum model_contrast contrast;
} contrast_cases[] = {
    {AGENT, "", MODEL_CONTRAST_NOT_STATED},
    {AGENT, "NONE", MODEL_CONTRAST_NONE},
    {AGENT, "none ", MODEL_CONTRAST_NONE},
    {AGENT, "NO", MODEL_CONTRAST_NONE},
    {AGENT, "N/A", MODEL_CONTRAST_NONE},
    {AGENT, "NA", MODEL_CONTRAST_NONE},
    {AGENT, "W/O", MODEL_CONTRAST_NONE},
    {AGENT, "WITHOUT", MODEL_CONTRAST_NONE},
    {AGENT, "OHNE", MODEL_CONTRAST_NONE},
    {AGENT, "nativ", MODEL_CONTRAST_NONE},
    {AGENT, "SANS", MODEL_CONTRAST_NONE},
    {AGENT, "SIN CONTRASTE", MODEL_CONTRAST_NONE},
    {AGENT, "Não", MODEL_CONTRAST_NONE},
    {AGENT, "НЕТ", MODEL_CONTRAST_NONE},
    {AGENT, "なし", MODEL_CONTRAST_NONE},
    {AGENT, "no contrast", MODEL_CONTRAST_NONE},
    {AGENT, "UNKNOWN", MODEL_CONTRAST_NOT_STATED},
    {AGENT, "Unbekannt", MODEL_CONTRAST_NOT_STATED},
    {AGENT, "-", MODEL_CONTRAST_NOT_STATED},
    {AGENT, "Iomeron 350", MODEL_CONTRAST_GIVEN},
    {AGENT, "YES", MODEL_CONTRAST_GIVEN},
    {AGENT, "CE", MODEL_CONTRAST_GIVEN},
    {AGENT, "APPLIED", MODEL_CONTRAST_GIVEN},
    {AGENT, "ORAL & IV", MODEL_CONTRAST_GIVEN},
    {DICOM_TAG(0x0018, 0x1040), "IV", MODEL_CONTRAST_GIVEN},
    {DICOM_TAG(0x0018, 0x1040), "NONE", MODEL_CONTRAST_NONE},
    {DICOM_TAG(0x0018, 0x1041), "80", MODEL_CONTRAST_GIVEN},
    {DICOM_TAG(0x0018, 0x1041), "0", MODEL_CONTRAST_NOT_STATED},
    {DICOM_TAG(0x0018, 0x1042), "101500", MODEL_CONTRAST_GIVEN},
    {DICOM_TAG(0x0018, 0x1044), "80", MODEL_CONTRAST_GIVEN},
    {DICOM_TAG(0x0018, 0x1048), "IODINE", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head without contrast", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "Head w/o", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "Head W/O CONTRAST", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "CCT nativ", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "Schädel ohne KM", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "Head C-", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "Crane sans injection", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "Cabeza sin contraste", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "Head non-contrast", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "Head unenhanced", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "头部平扫", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "頭部 造影なし", MODEL_CONTRAST_NONE},
    {SERIES_TEXT, "Head KM", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head +C", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head C+", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head CE", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head with contrast", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head post contrast", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head arterial", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head portal venous", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "CTA Head", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head w/wo contrast", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head without and with contrast", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "头部增强", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "頭部 造影", MODEL_CONTRAST_GIVEN},
    {SERIES_TEXT, "Head high contrast", MODEL_CONTRAST_NOT_STATED},
    {SERIES_TEXT, "Head reticence", MODEL_CONTRAST_NOT_STATED},
    {SERIES_TEXT, "Head 5 mm", MODEL_CONTRAST_NOT_STATED},
    {STUDY_TEXT, "CT head without contrast", MODEL_CONTRAST_NONE},
    {STUDY_TEXT, "CT head with contrast", MODEL_CONTRAST_GIVEN},
    {STUDY_TEXT, "CT head w/wo contrast",
     MODEL_CONTRAST_NOT_STATED}, // which of the two this series is, it does not say
    {STUDY_TEXT, "CT angio head", MODEL_CONTRAST_GIVEN},
    {DICOM_TAG(0x0018, 0x1030), "HeadRoutine KM", MODEL_CONTRAST_GIVEN},
};

static void contrast_is_answered_from_each_witness(void **state)
{
    static const char *const answers[] = {"none", "given", "not stated"};
    (void)state;
    for (size_t c = 0; c < sizeof contrast_cases / sizeof *contrast_cases; c++)
        for (size_t only = 0; only < 20; only += 13) { // said by one slice alone
            struct series *series = stack(20);
            set(series, only, contrast_cases[c].tag, contrast_cases[c].value);
            struct model_fit fit = check(series, &head_needs);
            if (fit.unfit || volume_of(&fit)->contrast != contrast_cases[c].contrast)
                fail_msg("(%08X) '%s' says %s", contrast_cases[c].tag, contrast_cases[c].value,
                         answers[volume_of(&fit)->contrast]);
            bool given = contrast_cases[c].contrast == MODEL_CONTRAST_GIVEN;
            if (given)
                expect_text(volume_of(&fit)->unfit, "a contrast agent was given");
            else
                expect_fit(volume_of(&fit), 20);
            bool noted = strstr(volume_of(&fit)->notes, "contrast is not stated") != NULL;
            assert_int_equal(noted, contrast_cases[c].contrast == MODEL_CONTRAST_NOT_STATED);
            assert_int_equal(*volume_of(&fit)->contrast_witness == '\0',
                             contrast_cases[c].contrast == MODEL_CONTRAST_NOT_STATED);
        }
}

static void put_agent_item(struct series *series, size_t i, const char *meaning)
{
    static struct dicom_element name;
    static struct dicom_dataset item, *items[] = {&item};
    name = (struct dicom_element){.tag = DICOM_TAG(0x0008, 0x0104),
                                  .vr = DICOM_VR_LO,
                                  .length = (uint32_t)strlen(meaning),
                                  .value = (const uint8_t *)meaning};
    item = (struct dicom_dataset){.elements = &name, .count = 1};
    *element_of(series, i, DICOM_TAG(0x0018, 0x0012)) =
        (struct dicom_element){.tag = DICOM_TAG(0x0018, 0x0012), .vr = DICOM_VR_SQ, .items = items, .item_count = 1};
}

static void the_agent_s_code_is_a_witness(void **state)
{
    (void)state;
    struct series *series = stack(20);
    put_agent_item(series, 5, "Iohexol");
    struct model_fit fit = check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "Contrast/Bolus Agent Sequence (0018,0012) 'Iohexol'");
    put_agent_item(series, 5, "None");
    fit = check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->contrast, MODEL_CONTRAST_NONE);
    put_agent_item(series, 5, "");
    fit = check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->contrast, MODEL_CONTRAST_GIVEN);
}

static void given_beats_none_and_each_volume_has_its_own_answer(void **state)
{
    (void)state;
    struct series *series = stack(20);
    set_all(series, AGENT, "NONE");
    set(series, 11, DICOM_TAG(0x0018, 0x1040), "IV");
    struct model_fit fit = check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "Contrast/Bolus Route (0018,1040) 'IV'");

    series = stack(20);
    set_all(series, SERIES_TEXT, "Head nativ");
    set_all(series, STUDY_TEXT, "CT Head with contrast");
    fit = check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "Study Description");
    set_all(series, STUDY_TEXT, "CT Head native and CT angio");
    fit = check(series, &head_needs);
    expect_one(&fit, 20);

    series = stack(20); // before and after in one series
    add_phase(series, 20);
    for (size_t i = 0; i < 40; i++) {
        set(series, i, ACQUISITION, i < 20 ? "1" : "2");
        set(series, i, AGENT, i < 20 ? "NONE" : "Iomeron");
    }
    fit = check(series, &head_needs);
    assert_int_equal(fit.volume_count, 2);
    expect_fit(volume_of(&fit), 20);
    assert_int_equal(volume_of(&fit)->contrast, MODEL_CONTRAST_NONE);
    expect_text(fit.volumes[1].unfit, "Iomeron");
}

static int open_vocabulary(void **state)
{
    struct error err;
    words = model_words_open("", &err);
    return words ? scratch_begin(state) : -1;
}

static int close_vocabulary(void **state)
{
    model_words_close(words);
    return scratch_end(state);
}

int test_fit(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_ordered_by_place_whatever_their_numbers),
        cmocka_unit_test(localizers_pages_and_objects_without_a_place_are_left_out_by_name),
        cmocka_unit_test(images_of_another_orientation_that_make_no_volume_are_left_out),
        cmocka_unit_test(a_slice_that_is_there_twice_counts_once),
        cmocka_unit_test(the_same_bytes_with_another_slope_are_no_double),
        cmocka_unit_test(a_series_that_is_there_twice_is_one_volume),
        cmocka_unit_test(volumes_are_told_apart_by_each_attribute),
        cmocka_unit_test(b_values_are_found_where_vendors_write_them),
        cmocka_unit_test(several_attributes_together_tell_apart),
        cmocka_unit_test(phases_of_times_that_differ_from_slice_to_slice_are_ranked),
        cmocka_unit_test(parts_of_a_scan_that_overlap_are_volumes),
        cmocka_unit_test(a_slice_scanned_again_is_no_part_of_the_first_scan),
        cmocka_unit_test(two_images_at_one_place_that_nothing_tells_apart_are_unfit),
        cmocka_unit_test(orientation_size_spacing_and_frame_of_reference_part_volumes),
        cmocka_unit_test(more_volumes_than_the_limit_are_unfit),
        cmocka_unit_test(missing_slices_are_named_and_rounding_is_none),
        cmocka_unit_test(coverage_reaches_from_face_to_face),
        cmocka_unit_test(what_is_no_stack_of_slices_is_unfit_with_the_reason),
        cmocka_unit_test(objects_of_two_patients_are_unfit),
        cmocka_unit_test(every_slice_is_asked_for_modality_and_part_of_the_body),
        cmocka_unit_test(a_contradicting_part_excludes_whatever_words_a_model_takes),
        cmocka_unit_test(slices_too_few_or_too_many_are_unfit),
        cmocka_unit_test(counts_that_a_sender_states_say_what_is_missing),
        cmocka_unit_test(pixels_that_cannot_be_read_fail_the_check),
        cmocka_unit_test(an_arena_too_small_fails_the_check),
        cmocka_unit_test(a_volume_s_pixels_become_hu_slice_by_slice),
        cmocka_unit_test(values_past_16_bits_make_no_volume),
        cmocka_unit_test(a_negative_needs_coverage_and_a_look),
        cmocka_unit_test(what_is_found_in_a_head_that_is_cut_says_why_it_has_no_side),
        cmocka_unit_test(slices_that_hold_no_image_data_are_a_gap_and_no_coverage),
        cmocka_unit_test(empty_slices_at_the_ends_are_no_gap),
        cmocka_unit_test(a_slice_s_pixels_again_count_once_and_are_noted),
        cmocka_unit_test(a_description_of_a_part_that_the_model_is_not_for_contradicts),
        cmocka_unit_test(the_order_of_the_objects_makes_no_difference),
        cmocka_unit_test(contrast_is_answered_from_each_witness),
        cmocka_unit_test(the_agent_s_code_is_a_witness),
        cmocka_unit_test(given_beats_none_and_each_volume_has_its_own_answer),
    };
    return cmocka_run_group_tests_name("fitness", tests, open_vocabulary, close_vocabulary);
}
