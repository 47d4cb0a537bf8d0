#include "series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/file.h"
#include "image/mask.h"
#include "support/scratch.h"

struct model_words *words;

struct series the_series; // of the test that runs

struct dicom_element *element_of(struct series *series, size_t i, dicom_tag tag)
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
void series_set(struct series *series, size_t i, dicom_tag tag, const char *value)
{
    *element_of(series, i, tag) = (struct dicom_element){.tag = tag,
                                                         .vr = vr_of(tag),
                                                         .length = (uint32_t)strlen(value),
                                                         .value = (const uint8_t *)arena_strdup(&scratch, value)};
}

void series_set_short(struct series *series, size_t i, dicom_tag tag, uint16_t value)
{
    const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    *element_of(series, i, tag) = (struct dicom_element){
        .tag = tag, .vr = DICOM_VR_US, .length = 2, .value = arena_copy(&scratch, bytes, sizeof bytes)};
}

void series_set_number(struct series *series, size_t i, dicom_tag tag, double value)
{
    series_set(series, i, tag, arena_printf(&scratch, "%.10g", value));
}

void series_unset(struct series *series, size_t i, dicom_tag tag)
{
    element_of(series, i, tag)->tag = 0;
}

void series_set_all(struct series *series, dicom_tag tag, const char *value)
{
    for (size_t i = 0; i < series->count; i++)
        series_set(series, i, tag, value);
}

void series_set_position(struct series *series, size_t i, double x, double y, double z)
{
    series_set(series, i, POSITION, arena_printf(&scratch, "%.10g\\%.10g\\%.10g", x, y, z));
}

void series_set_bits(struct series *series, size_t i)
{
    static const uint16_t bits[][2] = {{0x0010, 4}, {0x0011, 4}, {0x0100, 16}, {0x0101, 12}, {0x0102, 11}, {0x0103, 0}};
    for (size_t k = 0; k < sizeof bits / sizeof *bits; k++)
        series_set_short(series, i, DICOM_TAG(0x0028, bits[k][0]), bits[k][1]);
}

// One axial CT slice of the head, with pixels of its own.
size_t series_add(struct series *series, double z)
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
    series_set(series, i, DICOM_TAG(0x0008, 0x0005), "ISO_IR 192");
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        series_set(series, i, values[k].tag, values[k].value);
    series_set_bits(series, i);
    series_set_position(series, i, -1, -1, z);
    series->pixels[i] = (int)i;
    series->objects[i] = (struct model_object){.header = &series->sets[i],
                                               .sop_instance = arena_printf(&scratch, "1.2.%zu", i + 1),
                                               .sop_class = "1.2.840.10008.5.1.4.1.1.2",
                                               .patient_id = "P1",
                                               .issuer = "H"};
    series_set(series, i, NUMBER, arena_printf(&scratch, "%zu", i + 1));
    return i;
}

// A fresh series of `count` slices every 5 mm.
struct series *series_stack(size_t count)
{
    struct series *series = &the_series;
    arena_reset(&scratch);
    series->count = series->read = 0;
    for (size_t k = 0; k < count; k++)
        series_add(series, 5 * (double)k);
    return series;
}

// Again as many slices at the same places, with other pixels.
size_t series_add_phase(struct series *series, size_t count)
{
    size_t first = series->count;
    for (size_t k = 0; k < count; k++)
        series_add(series, 5 * (double)k);
    return first;
}

bool series_read_pixels(void *payload, size_t index, uint8_t *out, size_t size, struct error *err)
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

const struct model_needs head_needs = {.modality = "CT",
                                       .body_parts = {"HEAD"},
                                       .body_part_count = 1,
                                       .spacing_max_mm = 5,
                                       .slices_min = 4,
                                       .slices_max = 100,
                                       .contrast_refused = true};

struct model_fit series_check(struct series *series, const struct model_needs *needs)
{
    struct model_fit fit;
    struct error err = {0};
    assert_ok(
        model_fit_check(needs, words, series->objects, series->count, series_read_pixels, series, &scratch, &fit, &err),
        err);
    return fit;
}

// ---- what is expected

void expect_text(const char *text, const char *named)
{
    if (!text || !strstr(text, named))
        fail_msg("'%s' does not say '%s'", text ? text : "(nothing)", named);
}

// The first one.
const struct model_volume *volume_of(const struct model_fit *fit)
{
    if (fit->unfit)
        fail_msg("unfit: %s", fit->unfit);
    assert_true(fit->volume_count > 0);
    return &fit->volumes[0];
}

void expect_fit(const struct model_volume *volume, size_t count)
{
    if (volume->unfit)
        fail_msg("volume '%s' is unfit: %s", volume->label, volume->unfit);
    assert_int_equal(volume->count, count);
    assert_int_equal(volume->geometry.slices, count);
    for (size_t k = 1; k < count; k++)
        assert_true(volume->slices[k].position_mm[2] > volume->slices[k - 1].position_mm[2]);
}

// One volume, fit, of so many slices.
struct model_volume *expect_one(struct model_fit *fit, size_t count)
{
    if (fit->unfit)
        fail_msg("unfit: %s", fit->unfit);
    assert_int_equal(fit->volume_count, 1);
    assert_string_equal(fit->volumes[0].label, "");
    expect_fit(&fit->volumes[0], count);
    return &fit->volumes[0];
}

void expect_left_out(const struct model_fit *fit, size_t index, const char *what)
{
    for (size_t i = 0; i < fit->left_out_count; i++)
        if (fit->left_out[i].index == index) {
            assert_string_equal(fit->left_out[i].what, what);
            return;
        }
    fail_msg("object %zu is not left out", index);
}

void expect_labels(const struct model_fit *fit, const char *const labels[], size_t count)
{
    if (fit->unfit)
        fail_msg("unfit: %s", fit->unfit);
    for (size_t i = 0; i < fit->volume_count && i < count; i++)
        assert_string_equal(fit->volumes[i].label, labels[i]);
    assert_int_equal(fit->volume_count, count);
}

// ---- the vocabulary

int open_vocabulary(void **state)
{
    struct error err;
    words = model_words_open("", &err);
    return words ? scratch_begin(state) : -1;
}

int close_vocabulary(void **state)
{
    model_words_close(words);
    return scratch_end(state);
}
