// What a fit volume is made of and says: its pixels, what its slices hold, what a negative of it needs, its contrast.
#include "series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "image/mask.h"
#include "support/scratch.h"

// ---- a fit volume

static void a_volume_s_pixels_become_hu_slice_by_slice(void **state)
{
    (void)state;
    struct series *series = series_stack(0);
    struct error err = {0};
    for (size_t k = 20; k-- > 0;)
        series->pixels[series_add(series, 5 * (double)k)] = (int)k;
    series_set_all(series, DICOM_TAG(0x0028, 0x1053), "1");
    series_set_all(series, DICOM_TAG(0x0028, 0x1052), "-1024");
    struct model_fit fit = series_check(series, &head_needs);
    int fd = model_volume_open(expect_one(&fit, 20), series_read_pixels, series, &scratch, &err);
    assert_ok(fd >= 0, err);
    int16_t hu[20 * 16];
    assert_ok(file_pread(fd, hu, sizeof hu, 0, &err), err);
    for (int i = 0; i < 20 * 16; i++)
        if (i < 16) // the first slice holds one value
            assert_int_equal(hu[i], IMAGE_NO_DATA_HU);
        else if (hu[i] != IMAGE_NO_DATA_HU) // a corner of air
            assert_int_equal(hu[i], (i % 16 == 0 ? i / 16 : 0) - 1024);
    assert_true(write(fd, "x", 1) < 0); // sealed
    close(fd);
}

static void values_past_16_bits_make_no_volume(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    struct error err = {0};
    for (size_t i = 0; i < 20; i++)
        series->pixels[i] = i < 3 ? 4000 : 1;
    series_set_all(series, DICOM_TAG(0x0028, 0x1053), "10");
    series_set_all(series, DICOM_TAG(0x0028, 0x1052), "0");
    struct model_fit fit = series_check(series, &head_needs);
    assert_int_equal(model_volume_open(expect_one(&fit, 20), series_read_pixels, series, &scratch, &err), -1);
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
        struct series *series = series_stack(20);
        struct model_fit fit = series_check(series, &needs);
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
    struct model_fit fit = series_check(series_stack(20), &head_needs);
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

static void regions_past_the_limits_are_told_by_their_number(void **state)
{
    (void)state;
    struct model_fit fit = series_check(series_stack(20), &head_needs);
    struct model_result result = {.count = 16, .looked_at = 1, .left_out = 1};
    struct error err = {0};
    const char *notes;
    assert_ok(model_result_notes(expect_one(&fit, 20), &result, &scratch, &notes, &err), err);
    assert_non_null(strstr(notes, "; 1 more region is seen, smaller than those told, and neither told nor marked"));
    result.left_out = 8;
    assert_ok(model_result_notes(expect_one(&fit, 20), &result, &scratch, &notes, &err), err);
    assert_non_null(strstr(notes, "; 8 more regions are seen, "));
}

// ---- what its slices hold

// Opens the only volume, of slices every 5 mm.
static struct model_volume *open_one(struct series *series, struct model_fit *fit)
{
    struct error err = {0};
    *fit = series_check(series, &head_needs);
    struct model_volume *volume = expect_one(fit, 20);
    int fd = model_volume_open(volume, series_read_pixels, series, &scratch, &err);
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
        struct series *series = series_stack(20);
        series->pixels[0] = 100; // 0 would be one value all over
        for (size_t i = 8; i < 13; i++)
            series->pixels[i] = CONSTANT + kind;
        if (kind == 2)
            series_set_all(series, DICOM_TAG(0x0028, 0x0120), "514"); // the value that they are full of
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
    struct series *series = series_stack(20);
    series->pixels[0] = series->pixels[19] = series->pixels[18] = CONSTANT;
    struct model_volume *volume = open_one(series, &fit);
    assert_int_equal(volume->empty, 3);
    assert_true(volume->coverage_mm == 85);
    assert_null(lack_of(volume));
    series = series_stack(20);
    for (size_t i = 0; i < 20; i++)
        series->pixels[i] = CONSTANT;
    assert_true(open_one(series, &fit)->coverage_mm == 0);
}

static void a_slice_s_pixels_again_count_once_and_are_noted(void **state)
{
    (void)state;
    struct model_fit fit;
    struct series *series = series_stack(20);
    series->pixels[0] = 100;
    series->pixels[5] = series->pixels[6] = series->pixels[4];
    series->pixels[15] = series->pixels[3]; // no neighbours
    struct model_volume *volume = open_one(series, &fit);
    assert_int_equal(volume->empty, 0);
    assert_true(volume->coverage_mm == 90);
    expect_text(volume->notes, "2 images hold the same pixels as the one before (Instances 6, 7)");
    assert_null(lack_of(volume));
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
            struct series *series = series_stack(20);
            series_set(series, only, contrast_cases[c].tag, contrast_cases[c].value);
            struct model_fit fit = series_check(series, &head_needs);
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
    struct series *series = series_stack(20);
    put_agent_item(series, 5, "Iohexol");
    struct model_fit fit = series_check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "Contrast/Bolus Agent Sequence (0018,0012) 'Iohexol'");
    put_agent_item(series, 5, "None");
    fit = series_check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->contrast, MODEL_CONTRAST_NONE);
    put_agent_item(series, 5, "");
    fit = series_check(series, &head_needs);
    assert_int_equal(volume_of(&fit)->contrast, MODEL_CONTRAST_GIVEN);
}

static void given_beats_none_and_each_volume_has_its_own_answer(void **state)
{
    (void)state;
    struct series *series = series_stack(20);
    series_set_all(series, AGENT, "NONE");
    series_set(series, 11, DICOM_TAG(0x0018, 0x1040), "IV");
    struct model_fit fit = series_check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "Contrast/Bolus Route (0018,1040) 'IV'");

    series = series_stack(20);
    series_set_all(series, SERIES_TEXT, "Head nativ");
    series_set_all(series, STUDY_TEXT, "CT Head with contrast");
    fit = series_check(series, &head_needs);
    expect_text(volume_of(&fit)->unfit, "Study Description");
    series_set_all(series, STUDY_TEXT, "CT Head native and CT angio");
    fit = series_check(series, &head_needs);
    expect_one(&fit, 20);

    series = series_stack(20); // before and after in one series
    series_add_phase(series, 20);
    for (size_t i = 0; i < 40; i++) {
        series_set(series, i, ACQUISITION, i < 20 ? "1" : "2");
        series_set(series, i, AGENT, i < 20 ? "NONE" : "Iomeron");
    }
    fit = series_check(series, &head_needs);
    assert_int_equal(fit.volume_count, 2);
    expect_fit(volume_of(&fit), 20);
    assert_int_equal(volume_of(&fit)->contrast, MODEL_CONTRAST_NONE);
    expect_text(fit.volumes[1].unfit, "Iomeron");
}

int test_fit_volume(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_volume_s_pixels_become_hu_slice_by_slice),
        cmocka_unit_test(values_past_16_bits_make_no_volume),
        cmocka_unit_test(a_negative_needs_coverage_and_a_look),
        cmocka_unit_test(what_is_found_in_a_head_that_is_cut_says_why_it_has_no_side),
        cmocka_unit_test(regions_past_the_limits_are_told_by_their_number),
        cmocka_unit_test(slices_that_hold_no_image_data_are_a_gap_and_no_coverage),
        cmocka_unit_test(empty_slices_at_the_ends_are_no_gap),
        cmocka_unit_test(a_slice_s_pixels_again_count_once_and_are_noted),
        cmocka_unit_test(contrast_is_answered_from_each_witness),
        cmocka_unit_test(the_agent_s_code_is_a_witness),
        cmocka_unit_test(given_beats_none_and_each_volume_has_its_own_answer),
    };
    return cmocka_run_group_tests_name("fitness: a volume", tests, open_vocabulary, close_vocabulary);
}
