// Which images make volumes, what is left out, what is unfit; and random series shuffled.
#include "series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "image/mask.h"
#include "support/scratch.h"

// ---- order and what is left out

static void slices_are_ordered_by_place_whatever_their_numbers(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct series *series = series_stack(20);
        for (size_t i = 0; i < 20; i++) {
            if (kind == 0)
                series_unset(series, i, NUMBER);
            else if (kind == 1)
                series_set(series, i, NUMBER, "1");
            else
                series_set_number(series, i, NUMBER, kind == 2 ? (double)((i * 7) % 20) : -(double)i);
        }
        struct model_fit fit = series_check(series, &head_needs);
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
        struct series *series = series_stack(20);
        size_t i = series_add(series, 50); // at a place that is taken
        series_set(series, i, cases[c].tag, cases[c].value ? cases[c].value : "");
        if (!cases[c].value)
            series_unset(series, i, cases[c].tag);
        if (cases[c].sop_class)
            series->objects[i].sop_class = cases[c].sop_class;
        series_set(series, i, MODALITY, "OT"); // asked of slices alone
        struct model_fit fit = series_check(series, &head_needs);
        expect_text(expect_one(&fit, 20)->notes, arena_printf(&scratch, "left out: 1 %s (Instance ", cases[c].what));
        assert_int_equal(fit.left_out_count, 1);
        expect_left_out(&fit, i, cases[c].what);
    }
}

// Scouts that do not say that they are: frontal and sagittal.
static void images_of_another_orientation_that_make_no_volume_are_left_out(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    size_t frontal = series_add(series, 0), lateral = series_add(series, 0);
    series_set(series, frontal, ORIENTATION, "1\\0\\0\\0\\0\\-1");
    series_set(series, lateral, ORIENTATION, "0\\1\\0\\0\\0\\-1");
    struct model_fit fit = series_check(series, &head_needs);
    struct model_volume *volume = expect_one(&fit, 20);
    expect_left_out(&fit, frontal, "image of another orientation");
    expect_left_out(&fit, lateral, "image of another orientation");
    expect_text(volume->notes, "2 images of another orientation (Instances 21, 22)");
}

static void a_slice_that_is_there_twice_counts_once(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    for (size_t i = 3; i < 8; i++) {
        size_t copy = series_add(series, 5 * (double)i);
        series->pixels[copy] = series->pixels[i];
    }
    struct model_fit fit = series_check(series, &head_needs);
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
    struct series *series = series_stack(20);
    size_t copy = series_add(series, 15);
    series->pixels[copy] = series->pixels[3];
    series_set(series, copy, SLOPE, "2");
    series_set(series, copy, INTERCEPT, "0");
    struct model_fit fit = series_check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "two different images at one place");
}

// All sent again under other UIDs, and stamped anew.
static void a_series_that_is_there_twice_is_one_volume(void **state)
{
    (void)state;
    for (int stamped = 0; stamped < 3; stamped++) {
        struct series *series = series_stack(20);
        size_t again = series_add_phase(series, 20);
        for (size_t k = 0; k < 20; k++) {
            series->pixels[again + k] = series->pixels[k];
            if (stamped > 0)
                series_set(series, k, TIME, arena_printf(&scratch, "1200%02zu", k));
            if (stamped > 0)
                series_set(series, again + k, TIME, stamped == 2 ? "150000" : arena_printf(&scratch, "1300%02zu", k));
        }
        struct model_fit fit = series_check(series, &head_needs);
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
        struct series *series = series_stack(20);
        series_add_phase(series, 20);
        for (size_t i = 0; i < 40; i++)
            series_set(series, i, cases[c].tag, cases[c].values[i / 20]);
        struct model_fit fit = series_check(series, NULL);
        expect_labels(&fit, cases[c].labels, 2);
        expect_fit(volume_of(&fit), 20);
        expect_fit(&fit.volumes[1], 20);
        assert_int_equal(fit.left_out_count, 0);
        // the same values along one stack make no volumes
        series = series_stack(40);
        for (size_t i = 0; i < 40; i++)
            series_set(series, i, cases[c].tag, cases[c].values[i / 20]);
        fit = series_check(series, NULL);
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
        struct series *series = series_stack(10);
        series_add_phase(series, 10);
        series_set_all(series, cases[c].creator_tag, cases[c].creator);
        for (size_t i = 0; i < 20; i++)
            series_set(series, i, cases[c].tag, cases[c].values[i / 10]);
        struct model_fit fit = series_check(series, NULL);
        expect_labels(&fit, labels, 2);
    }
}

static void several_attributes_together_tell_apart(void **state)
{
    static const char *const labels[] = {"Temporal Position 1, Echo Time 2.46", "Temporal Position 1, Echo Time 12",
                                         "Temporal Position 2, Echo Time 2.46", "Temporal Position 2, Echo Time 12"};
    (void)state;
    struct series *series = series_stack(20);
    for (int i = 0; i < 3; i++)
        series_add_phase(series, 20);
    for (size_t i = 0; i < 80; i++) {
        series_set(series, i, TEMPORAL, i < 40 ? "1" : "2");
        series_set(series, i, ECHO_TIME, i / 20 % 2 ? "12" : "2.46");
    }
    struct model_fit fit = series_check(series, NULL);
    expect_labels(&fit, labels, 4);
    for (size_t i = 0; i < 4; i++)
        expect_fit(&fit.volumes[i], 20);
}

// Times that differ from slice to slice are ranked at each place.
static void phases_of_times_that_differ_from_slice_to_slice_are_ranked(void **state)
{
    static const char *const labels[] = {"Trigger Time 1 of 3", "Trigger Time 2 of 3", "Trigger Time 3 of 3"};
    (void)state;
    struct series *series = series_stack(20);
    series_add_phase(series, 20);
    series_add_phase(series, 20);
    for (size_t i = 0; i < 60; i++)
        series_set_number(series, i, TRIGGER, (double)(i / 20) * 300 + (double)(i % 20) * 1.5);
    struct model_fit fit = series_check(series, NULL);
    expect_labels(&fit, labels, 3);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 20; k++)
            assert_int_equal(fit.volumes[i].slices[k].index, 20 * i + k);
}

static void parts_of_a_scan_that_overlap_are_volumes(void **state)
{
    static const char *const labels[] = {"Acquisition 1", "Acquisition 2", "Acquisition 3"};
    (void)state;
    struct series *series = series_stack(0);
    for (size_t part = 0; part < 3; part++)
        for (size_t k = 0; k < 10; k++)
            series_set_number(series, series_add(series, 5 * (double)(8 * part + k)), ACQUISITION, (double)part + 1);
    struct model_fit fit = series_check(series, NULL);
    expect_labels(&fit, labels, 3);
    expect_fit(&fit.volumes[1], 10);
}

// One slice scanned again after the patient moved: two volumes, of which one is a slice.
static void a_slice_scanned_again_is_no_part_of_the_first_scan(void **state)
{
    static const char *const labels[] = {"Acquisition 1", "Acquisition 2"};
    (void)state;
    struct series *series = series_stack(20);
    series_set_all(series, ACQUISITION, "1");
    series_set(series, series_add(series, 35), ACQUISITION, "2");
    struct model_fit fit = series_check(series, &head_needs);
    expect_labels(&fit, labels, 2);
    expect_fit(volume_of(&fit), 20);
    expect_text(fit.volumes[1].unfit, "1 slices");
}

static void two_images_at_one_place_that_nothing_tells_apart_are_unfit(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    series_add(series, 35);
    struct model_fit fit = series_check(series, &head_needs);
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
        struct series *series = series_stack(20);
        series_add_phase(series, 20);
        for (size_t i = 20; i < 40; i++)
            series_set(series, i, cases[c].tag, cases[c].value);
        struct model_fit fit = series_check(series, NULL);
        expect_labels(&fit, cases[c].labels, 2);
    }
    static const char *const sizes[] = {"4 x 4 pixels", "8 x 4 pixels"};
    struct series *series = series_stack(20);
    series_set_short(series, series_add(series, 100), ROWS, 8); // one of another size: seen, not passed over
    struct model_fit fit = series_check(series, NULL);
    expect_labels(&fit, sizes, 2);
    expect_fit(volume_of(&fit), 20);
    assert_non_null(fit.volumes[1].unfit);
}

static void more_volumes_than_the_limit_are_unfit(void **state)
{
    (void)state;
    struct series *series = series_stack(4);
    for (int i = 0; i < MODEL_VOLUMES_MAX; i++)
        series_add_phase(series, 4);
    for (size_t i = 0; i < series->count; i++)
        series_set_number(series, i, TEMPORAL, (double)(i / 4));
    struct model_fit fit = series_check(series, NULL);
    expect_text(fit.unfit, "more than 64 volumes");
    assert_int_equal(fit.volume_count, 0);
}

// ---- geometry

static void missing_slices_are_named_and_rounding_is_none(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    series_set_position(series, 19, -1, -1, 105); // the one before it is missing
    struct model_fit fit = series_check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "gap of 15.00 mm between slices 19 and 20, 5.00 mm elsewhere");

    series = series_stack(20);
    for (size_t i = 0; i < 20; i++) // 5 mm apart, rounded: 95.1 mm over 19 gaps
        series_set_position(series, i, -1, -1, 5 * (double)i + (i == 19 ? .1 : 0));
    fit = series_check(series, &head_needs);
    assert_true(expect_one(&fit, 20)->geometry.spacing_mm[0] > 5);

    series = series_stack(0);
    for (size_t i = 0; i < 20; i++)
        series_add(series, 5.1 * (double)i);
    fit = series_check(series, &head_needs);
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
        struct series *series = series_stack(20);
        series_set_all(series, THICKNESS, cases[c].thickness);
        struct model_fit fit = series_check(series, &head_needs);
        assert_true(expect_one(&fit, 20)->coverage_mm == cases[c].coverage_mm);
    }
}

static void what_is_no_stack_of_slices_is_unfit_with_the_reason(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    series_set(series, 7, FRAMES, "30");
    struct model_fit fit = series_check(series, &head_needs);
    expect_text(fit.unfit, "Instance 8 (1.2.8) holds 30 frames");

    series = series_stack(1); // enhanced: its places are elsewhere
    series_unset(series, 0, POSITION);
    series_unset(series, 0, ORIENTATION);
    series_set(series, 0, DICOM_TAG(0x5200, 0x9230), "");
    fit = series_check(series, &head_needs);
    expect_text(fit.unfit, "Instance 1 (1.2.1) is an enhanced object: multi-frame objects are not read by models yet");

    series = series_stack(20);
    for (size_t i = 0; i < 20; i++)
        series_unset(series, i, POSITION);
    fit = series_check(series, &head_needs);
    expect_text(fit.unfit, "Image Position (Patient)");

    series = series_stack(20);
    series_set(series, 9, DICOM_TAG(0x0028, 0x1054), "US");
    fit = series_check(series, &head_needs);
    expect_text(fit.unfit, "Instance 10 (1.2.10): Rescale Type is US");

    series = series_stack(20); // stored values of HU + 1024: a bleed would be as dense as bone
    series_unset(series, 12, SLOPE);
    series_unset(series, 12, INTERCEPT);
    fit = series_check(series, &head_needs);
    expect_text(fit.unfit, "Instance 13 (1.2.13): it has no Rescale Slope and Intercept (0028,1053/1052): its pixels");

    series = series_stack(20);
    series_set_all(series, TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER");
    fit = series_check(series, &head_needs);
    expect_text(fit.unfit, "none of the 20 objects is a slice");
    assert_int_equal(fit.left_out_count, 20);

    series = series_stack(20);
    series_set_all(series, FRAME, "");
    fit = series_check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "Frame of Reference UID");

    series = series_stack(0);
    fit = series_check(series, &head_needs);
    expect_text(fit.unfit, "0 objects");
}

// ---- who and what

static void objects_of_two_patients_are_unfit(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    series->objects[13].patient_id = "P0";
    series->objects[13].patient = 1;
    struct model_fit fit = series_check(series, &head_needs);
    assert_string_equal(fit.unfit, "objects of two patients, P0 of H and P1 of H");
    assert_true(fit.several_patients);
    assert_int_equal(fit.volume_count, 0);

    series = series_stack(20);
    series->objects[0].issuer = "";
    series->objects[0].patient = 1;
    fit = series_check(series, &head_needs);
    assert_string_equal(fit.unfit, "objects of two patients, P1 and P1 of H");
    assert_true(fit.several_patients);

    series = series_stack(20); // without an ID, whoever has them tells them apart otherwise
    for (size_t i = 0; i < 20; i++) {
        series->objects[i].patient_id = series->objects[i].issuer = "";
        series->objects[i].patient = i >= 12;
    }
    fit = series_check(series, &head_needs);
    assert_string_equal(fit.unfit, "objects of two patients, one without ID and one without ID");
    assert_true(fit.several_patients);

    series = series_stack(20);
    fit = series_check(series, &head_needs);
    assert_false(fit.several_patients);
    for (size_t i = 0; i < 20; i++) { // whichever it is
        struct series *series_of_20 = series_stack(20);
        series_of_20->objects[i].patient = 7;
        assert_true(series_check(series_of_20, &head_needs).several_patients);
    }
}

static void every_slice_is_asked_for_modality_and_part_of_the_body(void **state)
{
    (void)state;
    for (size_t i = 0; i < 20; i += 19) {
        struct series *series = series_stack(20);
        series_set(series, i, MODALITY, "MR");
        struct model_fit fit = series_check(series, &head_needs);
        expect_text(volume_of(&fit)->unfit, "is MR, the model needs CT");
        series = series_stack(20);
        series_set(series, i, BODY_PART, "CHEST");
        fit = series_check(series, &head_needs);
        expect_text(volume_of(&fit)->unfit, "body part 'CHEST'");
    }
}

static void a_contradicting_part_excludes_whatever_words_a_model_takes(void **state)
{
    struct model_needs needs = head_needs;
    (void)state;
    needs.words[0] = "brain";
    needs.word_count = 1;
    struct series *series = series_stack(20);
    series_set_all(series, BODY_PART, "HIP");
    series_set_all(series, SERIES_TEXT, "brain");
    struct model_fit fit = series_check(series, &needs);
    expect_text(volume_of(&fit)->unfit, "another part of the body");
    series_set_all(series, BODY_PART, "");
    fit = series_check(series, &needs);
    expect_one(&fit, 20);
    series_set_all(series, SERIES_TEXT, "femoral");
    series_set_all(series, STUDY_TEXT, "head"); // no phrase over two texts
    fit = series_check(series, &needs);
    expect_one(&fit, 20);
}

static void slices_too_few_or_too_many_are_unfit(void **state)
{
    (void)state;
    struct series *series = series_stack(3);
    struct model_fit fit = series_check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "3 slices; 4 to 100 are needed");
    series = series_stack(101);
    fit = series_check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "101 slices; 4 to 100 are needed");
    fit = series_check(series, NULL);
    expect_one(&fit, 101);
}

static void counts_that_a_sender_states_say_what_is_missing(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    struct model_fit fit = series_check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->stated_images, 0);
    assert_int_equal(volume_of(&fit)->missing_images, 0);
    series_set_all(series, IN_ACQUISITION, "108");
    fit = series_check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->stated_images, 108);
    assert_int_equal(volume_of(&fit)->missing_images, 88);
    // of each acquisition its own
    series_add_phase(series, 20);
    for (size_t i = 0; i < 40; i++) {
        series_set(series, i, ACQUISITION, i < 20 ? "1" : "2");
        series_set(series, i, IN_ACQUISITION, i < 20 ? "20" : "30");
    }
    fit = series_check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->missing_images, 0);
    assert_int_equal(fit.volumes[1].missing_images, 10);
    series_set_all(series, DICOM_TAG(0x0020, 0x1209), "45");
    fit = series_check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->stated_images, 45);
    assert_int_equal(volume_of(&fit)->missing_images, 5);
    series_set_all(series, IN_ACQUISITION, "-1");
    series_set_all(series, DICOM_TAG(0x0020, 0x1209), "4000000000");
    fit = series_check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->stated_images, 0);
}

static void pixels_that_cannot_be_read_fail_the_check(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    struct model_fit fit;
    struct error err = {0};
    series->pixels[series_add(series, 35)] = -1;
    assert_false(model_fit_check(&head_needs, words, series->objects, series->count, series_read_pixels, series,
                                 &scratch, &fit, &err));
    assert_int_equal(err.code, ERROR_IO);
}

static void an_arena_too_small_fails_the_check(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    series_add_phase(series, 20);
    series_set(series, 0, KERNEL, "a");
    for (size_t limit = 256; limit < (1 << 20); limit *= 2) {
        struct arena small;
        struct model_fit fit;
        struct error err = {0};
        arena_init(&small, limit);
        if (!model_fit_check(&head_needs, words, series->objects, series->count, series_read_pixels, series, &small,
                             &fit, &err))
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
        struct series *series = series_stack(20);
        series_set_all(series, STUDY_TEXT, cases[c].study);
        series_set_all(series, SERIES_TEXT, cases[c].series);
        struct model_fit fit = series_check(series, model_package_needs(package));
        if (cases[c].fits)
            expect_one(&fit, 20);
        else
            expect_text(fit.volumes[0].unfit, "the model is for another part of the body");
    }
    model_package_close(package);
}

static void expect_kind(const struct model_needs *needs, const char *type, const char *description, const char *what)
{
    struct series *series = series_stack(20);
    series_set_all(series, TYPE, type);
    if (description)
        series_set_all(series, SERIES_TEXT, description);
    struct model_fit fit = series_check(series, needs);
    if (!what) {
        expect_one(&fit, 20);
        return;
    }
    expect_text(fit.volumes[0].unfit, what);
    expect_text(fit.volumes[0].unfit, type); // the Image Type is named
}

static void images_computed_from_a_scan_are_unfit_by_their_image_type(void **state)
{
    static const struct {
        const char *type, *what;
    } cases[] = {
        {"DERIVED\\SECONDARY\\MIP", "maximum intensity projections"},
        {"DERIVED\\SECONDARY\\MPR\\MIP_THIN", "maximum intensity projections"},
        {"DERIVED\\SECONDARY\\REFORMATTED\\MAX_IP", "maximum intensity projections"},
        {"DERIVED\\PRIMARY\\VOLUME\\MAXIMUM", "maximum intensity projections"},
        {"DERIVED\\SECONDARY\\MIN_IP", "minimum intensity projections"},
        {"derived\\secondary\\MinIP", "minimum intensity projections"},
        {"DERIVED\\PRIMARY\\VOLUME\\MINIMUM", "minimum intensity projections"},
        {"DERIVED\\SECONDARY\\PROJECTION IMAGE", "projections"},
        {"DERIVED\\SECONDARY\\VOLREN", "renderings"},
        {"DERIVED\\SECONDARY\\CT_SOM5 VRT", "renderings"},
        {"DERIVED\\SECONDARY\\AXIAL\\SUBTRACTION", "differences of images"},
        {"DERIVED\\PRIMARY\\AXIAL\\DIFFERENCE", "differences of images"},
        {"DERIVED\\SECONDARY\\AXIAL\\BONE_REMOVED", "images without the bone"},
        {"DERIVED\\PRIMARY\\AXIAL\\NOISE", "noise maps"},
        {"DERIVED\\PRIMARY\\AXIAL\\CT_SOM5 DUAL\\DE_IODINE", "iodine maps"},
        {"DERIVED\\PRIMARY\\AXIAL\\CT_SOM5 DUAL\\DE_VNC", "virtual non-contrast images"},
        {"DERIVED\\PRIMARY\\AXIAL\\VIRTUAL_UNENHANCED", "virtual non-contrast images"},
        {"DERIVED\\PRIMARY\\AXIAL\\VMI", "images of one energy"},
        {"DERIVED\\PRIMARY\\AXIAL\\MAT_SPECIFIC", "images of a material"},
        {"DERIVED\\PRIMARY\\PERFUSION\\CBF", "perfusion images"},
        {"DERIVED\\PRIMARY\\AXIAL\\TMAX", "perfusion images"},
        {"ORIGINAL\\PRIMARY\\AXIAL\\MTT", "perfusion images"},
        {"DERIVED\\SECONDARY\\AXIAL\\SYNTHETIC", "synthetic images"},
        {"ORIGINAL\\PRIMARY\\AXIAL", NULL},
        {"ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI", NULL},
        {"ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM7 SPI DUAL\\STD", NULL},
        {"ORIGINAL\\PRIMARY\\AXIAL\\HELIX", NULL},
        {"ORIGINAL\\PRIMARY\\VOLUME\\NONE", NULL},
        {"DERIVED\\PRIMARY\\VOLUME\\MEAN", NULL},
        {"DERIVED\\PRIMARY\\VOLUME\\RESAMPLED", NULL},
        {"DERIVED\\PRIMARY\\AXIAL\\ENERGY_PROP_WT", NULL},
        {"DERIVED\\PRIMARY\\AXIAL\\NOISE_REDUCTION", NULL},
        {"DERIVED\\PRIMARY\\AXIAL\\JP2K", NULL},
        {"DERIVED\\PRIMARY\\AXIAL", NULL},
        {"DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE", NULL},
        {"DERIVED\\SECONDARY\\MPR", NULL},
        {"DERIVED\\SECONDARY\\AXIAL\\CSA MPR", NULL},
        {"DERIVED\\SECONDARY\\OTHER", NULL},
        {"DERIVED\\SECONDARY\\THIN\\AUTO", NULL},
        {"ORIGINAL\\PRIMARY\\AXIAL\\SHRIMPS", NULL}, // no whole word
        {"MIP\\PRIMARY\\AXIAL", NULL},               // value 1 is no kind of image
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_kind(&head_needs, cases[i].type, NULL, cases[i].what);
}

static void a_description_says_what_images_are_whose_type_does_not_say_original(void **state)
{
    static const struct {
        const char *type, *description, *what;
    } cases[] = {
        {"DERIVED\\SECONDARY\\AXIAL", "Head MIP 10 mm", "maximum intensity projections"},
        {"DERIVED\\SECONDARY\\OTHER", "Head MinIP", "minimum intensity projections"},
        {"DERIVED\\PRIMARY\\AXIAL", "DE_IodineMap Head", "iodine maps"},
        {"DERIVED\\PRIMARY\\AXIAL", "DE_VirtualUnenhanced head", "virtual non-contrast images"},
        {"DERIVED\\SECONDARY\\AXIAL", "synthetic CT of MR head", "synthetic images"},
        {"DERIVED\\SECONDARY\\AXIAL", "Bone removed head", "images without the bone"},
        {"DERIVED\\PRIMARY\\AXIAL", "head CBF", "perfusion images"},
        {"", "Head VRT", "renderings"},
        {"ORIGINAL\\PRIMARY\\AXIAL", "Head 0.6 for MIP", NULL},
        {"DERIVED\\SECONDARY\\MPR", "Head axial 5.0", NULL},
        {"DERIVED\\SECONDARY\\AXIAL", "head after shrimps", NULL},
        {"DERIVED\\SECONDARY\\AXIAL", "head, no virtual one, noise 12", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_kind(&head_needs, cases[i].type, cases[i].description, cases[i].what);
}

static void one_computed_image_among_others_makes_a_volume_unfit(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    series_set_all(series, TYPE, "ORIGINAL\\PRIMARY\\AXIAL");
    series_set(series, 13, TYPE, "DERIVED\\SECONDARY\\MIN_IP");
    struct model_fit fit = series_check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "minimum intensity projections");
    fit = series_check(series, NULL); // nobody's needs
    expect_one(&fit, 20);
}

static void a_package_takes_the_kinds_that_it_names(void **state)
{
    struct model_needs needs = head_needs;
    (void)state;
    needs.image_types[0] = "mip";
    needs.image_types[1] = "IODINE";
    needs.image_type_count = 2;
    expect_kind(&needs, "DERIVED\\SECONDARY\\MIP", NULL, NULL);
    expect_kind(&needs, "DERIVED\\PRIMARY\\VOLUME\\MAXIMUM", NULL, NULL); // another word for it
    expect_kind(&needs, "DERIVED\\PRIMARY\\AXIAL\\DE_IODINE", "IodineMap head", NULL);
    expect_kind(&needs, "DERIVED\\SECONDARY\\MIN_IP", NULL, "minimum intensity projections");
}

// ---- whatever the order

// A series of everything at once.
static void random_series(struct series *series, unsigned seed)
{
    static const dicom_tag tags[] = {TEMPORAL, ECHO_TIME, KERNEL, ACQUISITION, TRIGGER, TYPE};
    srandom(seed);
    series_stack(6 + (size_t)(random() % 10));
    size_t places = series->count, phases = 1 + (size_t)(random() % 4);
    for (size_t p = 1; p < phases; p++)
        series_add_phase(series, places);
    dicom_tag tag = tags[random() % 6];
    for (size_t i = 0; phases > 1 && i < series->count; i++)
        series_set(series, i, tag, arena_printf(&scratch, tag == TYPE ? "ORIGINAL\\PRIMARY\\T%zu" : "%zu", i / places));
    for (long more = random() % 6; more > 0; more--) {
        size_t of = (size_t)random() % places, i = series_add(series, 0); // those have a place
        const char *of_place = (const char *)element_of(series, of, POSITION)->value;
        series_set(series, i, POSITION, of_place);
        if (random() % 2) // a double, else it differs
            series->pixels[i] = series->pixels[of];
        if (random() % 2 && phases > 1)
            series_set(series, i, tag, "1");
        if (random() % 4 == 0)
            series_set(series, i, ORIENTATION, "0\\1\\0\\0\\0\\-1");
        if (random() % 4 == 0)
            series_set(series, i, TYPE, "ORIGINAL\\PRIMARY\\LOCALIZER");
        if (random() % 8 == 0)
            series_unset(series, i, POSITION);
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
        struct model_fit fit = series_check(series, &head_needs);
        const char *first = tell(series, &fit);
        expect_all_accounted(series, &fit);
        for (size_t v = 0; v < fit.volume_count; v++)
            fit_volumes += !fit.volumes[v].unfit;
        for (int round = 0; round < 10; round++) {
            shuffle(series);
            fit = series_check(series, &head_needs);
            const char *now = tell(series, &fit);
            if (strcmp(first, now) != 0)
                fail_msg("seed %u:\n%s\nbut then\n%s", seed, first, now);
        }
    }
    assert_true(fit_volumes > 60); // it is not all unfit
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
        cmocka_unit_test(a_description_of_a_part_that_the_model_is_not_for_contradicts),
        cmocka_unit_test(images_computed_from_a_scan_are_unfit_by_their_image_type),
        cmocka_unit_test(a_description_says_what_images_are_whose_type_does_not_say_original),
        cmocka_unit_test(one_computed_image_among_others_makes_a_volume_unfit),
        cmocka_unit_test(a_package_takes_the_kinds_that_it_names),
        cmocka_unit_test(the_order_of_the_objects_makes_no_difference),
    };
    return cmocka_run_group_tests_name("fitness", tests, open_vocabulary, close_vocabulary);
}
