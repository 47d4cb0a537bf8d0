#include "image/volume.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "image/padding.h"

enum { NUMBER_TEXT_MAX = 64 << 10 }; // of all values of an element that is no number

static const double SPACING_MAX_MM = 1000, POSITION_MAX_MM = 1e6;

const struct image_tolerances image_tolerances = {.direction = .0025,
                                                  .right_angle = .005,
                                                  .length = .01,
                                                  .spacing = .01,
                                                  .gap_mm = .11,
                                                  .gap_share = .51,
                                                  .same_place_mm = .11,
                                                  .same_place_share = .25,
                                                  .place_mm = .5,
                                                  .tilt = .001};

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void cross(const double a[3], const double b[3], double out[3])
{
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

// ---- what a slice says

// "2,5" for 2.5: with one comma and no point it reads in one way only.
static bool read_comma(const char *text, double *out)
{
    char pointed[32];
    size_t size = strlen(text);
    const char *comma = strchr(text, ',');
    if (!comma || size >= sizeof pointed || strchr(comma + 1, ',') || strchr(text, '.'))
        return false;
    memcpy(pointed, text, size + 1);
    pointed[comma - text] = '.';
    return text_to_double(pointed, size, out);
}

// Why a value is none, by what stands there.
static bool tell_no_number(const char *name, size_t index, size_t count, const char *text, struct error *err)
{
    char shown[40];
    if (text && *text)
        return error_set(err, ERROR_BAD_VALUE, "%s %zu is '%s', which is no number", name, index + 1,
                         text_show(shown, sizeof shown, text, strlen(text)));
    return error_set(err, ERROR_BAD_VALUE, "%s has no value %zu of %zu", name, index + 1, count);
}

static bool read_number(const struct dicom_dataset *dataset, dicom_tag tag, const char *name, size_t index,
                        size_t count, struct image_slice *slice, double *out, struct error *err)
{
    struct arena arena;
    if (dicom_number(dataset, tag, index, out))
        return true;
    arena_init(&arena, NUMBER_TEXT_MAX);
    const char *text = dicom_text_at(dataset, tag, index, &arena);
    bool ok = text && read_comma(text, out);
    slice->has_comma = slice->has_comma || ok;
    ok = ok || tell_no_number(name, index, count, text, err);
    arena_free(&arena);
    return ok;
}

static bool read_numbers(const struct dicom_dataset *dataset, dicom_tag tag, const char *name, size_t count,
                         double most, struct image_slice *slice, double *out, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!read_number(dataset, tag, name, i, count, slice, &out[i], err))
            return false;
        if (!isfinite(out[i]) || fabs(out[i]) > most)
            return error_set(err, ERROR_BAD_VALUE, "%s %zu is %g", name, i + 1, out[i]);
    }
    return true;
}

static bool read_whole(const struct dicom_dataset *dataset, dicom_tag tag, const char *name, int64_t low, int64_t high,
                       int64_t *out, struct error *err)
{
    if (!dicom_integer(dataset, tag, 0, out))
        return error_set(err, ERROR_BAD_VALUE, "%s is missing", name);
    if (*out < low || *out > high)
        return error_set(err, ERROR_BAD_VALUE, "%s is %lld, not %lld to %lld", name, (long long)*out, (long long)low,
                         (long long)high);
    return true;
}

// Scales to length 1; false when it is not near 1 before.
static bool make_unit(double v[3])
{
    double length = sqrt(dot(v, v));
    if (!(fabs(length - 1) <= image_tolerances.length))
        return false;
    for (int i = 0; i < 3; i++)
        v[i] /= length;
    return true;
}

static bool read_place(const struct dicom_dataset *dataset, struct image_slice *out, struct error *err)
{
    double direction[6];
    if (!read_numbers(dataset, DICOM_TAG(0x0020, 0x0032), "Image Position (Patient)", 3, POSITION_MAX_MM, out,
                      out->position_mm, err) ||
        !read_numbers(dataset, DICOM_TAG(0x0020, 0x0037), "Image Orientation (Patient)", 6, 1.01, out, direction,
                      err) ||
        !read_numbers(dataset, DICOM_TAG(0x0028, 0x0030), "Pixel Spacing", 2, SPACING_MAX_MM, out,
                      out->pixel_spacing_mm, err))
        return false;
    memcpy(out->row_direction, direction, sizeof out->row_direction);
    memcpy(out->column_direction, direction + 3, sizeof out->column_direction);
    if (!make_unit(out->row_direction) || !make_unit(out->column_direction) ||
        fabs(dot(out->row_direction, out->column_direction)) > image_tolerances.right_angle)
        return error_set(err, ERROR_BAD_VALUE,
                         "Image Orientation (Patient) %g\\%g\\%g\\%g\\%g\\%g is not two unit vectors at a right angle",
                         direction[0], direction[1], direction[2], direction[3], direction[4], direction[5]);
    for (int i = 0; i < 2; i++)
        if (!(out->pixel_spacing_mm[i] > 0))
            return error_set(err, ERROR_BAD_VALUE, "Pixel Spacing is %g\\%g", out->pixel_spacing_mm[0],
                             out->pixel_spacing_mm[1]);
    return true;
}

static bool read_bits(const struct dicom_dataset *dataset, struct image_slice *out, struct error *err)
{
    int64_t allocated, stored, high, is_signed, samples = 1;
    if (dicom_integer(dataset, DICOM_TAG(0x0028, 0x0002), 0, &samples) && samples != 1)
        return error_set(err, ERROR_UNSUPPORTED, "Samples per Pixel is %lld: a volume is made of grey pixels",
                         (long long)samples);
    if (!read_whole(dataset, DICOM_TAG(0x0028, 0x0100), "Bits Allocated", 1, 64, &allocated, err))
        return false;
    if (allocated != 8 && allocated != 16)
        return error_set(err, ERROR_UNSUPPORTED, "Bits Allocated is %lld: a volume is made of 8 or 16 bits",
                         (long long)allocated);
    if (!read_whole(dataset, DICOM_TAG(0x0028, 0x0101), "Bits Stored", 1, allocated, &stored, err) ||
        !read_whole(dataset, DICOM_TAG(0x0028, 0x0102), "High Bit", stored - 1, allocated - 1, &high, err) ||
        !read_whole(dataset, DICOM_TAG(0x0028, 0x0103), "Pixel Representation", 0, 1, &is_signed, err))
        return false;
    out->bits_allocated = (uint16_t)allocated;
    out->bits_stored = (uint16_t)stored;
    out->high_bit = (uint16_t)high;
    out->is_signed = is_signed == 1;
    return true;
}

// Some writers give signed padding as an unsigned number.
static int64_t padding_as_stored(const struct image_slice *slice, int64_t value)
{
    int64_t range = INT64_C(1) << slice->bits_allocated;
    return slice->is_signed && value >= range / 2 ? value - range : value;
}

static void read_padding(const struct dicom_dataset *dataset, struct image_slice *out)
{
    int64_t a, b;
    out->padding_low = 1;
    out->padding_high = 0;
    if (!dicom_integer(dataset, DICOM_TAG(0x0028, 0x0120), 0, &a))
        return;
    a = padding_as_stored(out, a);
    b = dicom_integer(dataset, DICOM_TAG(0x0028, 0x0121), 0, &b) ? padding_as_stored(out, b) : a;
    out->padding_low = a < b ? a : b;
    out->padding_high = a < b ? b : a;
    const int64_t least = out->is_signed ? -(INT64_C(1) << (out->bits_stored - 1)) : 0;
    out->padding_is_wide = out->padding_low < least || out->padding_high >= least + (INT64_C(1) << out->bits_stored);
}

static bool is_ct(const struct dicom_dataset *dataset)
{
    char modality[17];
    return dicom_text_copy(dataset, DICOM_TAG(0x0008, 0x0060), modality, sizeof modality) &&
           strcmp(modality, "CT") == 0;
}

// Both are Type 1 of a CT image (PS3.3 C.8.2.1): without them nobody knows what its pixels are.
static bool has_rescale(const struct dicom_dataset *dataset, struct error *err)
{
    bool slope = dicom_value_count(dataset, DICOM_TAG(0x0028, 0x1053)) > 0;
    bool intercept = dicom_value_count(dataset, DICOM_TAG(0x0028, 0x1052)) > 0;
    return (slope && intercept) || error_set(err, ERROR_BAD_VALUE, "it has no %s: its pixels are no Hounsfield units",
                                             slope       ? "Rescale Intercept (0028,1052)"
                                             : intercept ? "Rescale Slope (0028,1053)"
                                                         : "Rescale Slope and Intercept (0028,1053/1052)");
}

// What would be read wrongly, and not just not at all.
static bool is_one_slice_of_linear_pixels(const struct dicom_dataset *dataset, struct error *err)
{
    char type[17], color[17], shown[40];
    int64_t frames;
    if (dicom_integer(dataset, DICOM_TAG(0x0028, 0x0008), 0, &frames) && frames != 1 && frames != 0) // 0 stands for 1
        return error_set(err, ERROR_UNSUPPORTED,
                         "the object holds %lld frames: a volume is made of objects of one slice each",
                         (long long)frames);
    if (dicom_text_copy(dataset, DICOM_TAG(0x0028, 0x0004), color, sizeof color) && *color &&
        strncmp(color, "MONOCHROME", strlen("MONOCHROME")) != 0)
        return error_set(err, ERROR_UNSUPPORTED, "Photometric Interpretation is %s: a volume is made of grey pixels",
                         text_show(shown, sizeof shown, color, strlen(color)));
    if (dicom_find(dataset, DICOM_TAG(0x0028, 0x3000)))
        return error_set(err, ERROR_UNSUPPORTED, "the pixels go through a Modality LUT Sequence, not a slope");
    if (!is_ct(dataset))
        return true;
    if (dicom_text_copy(dataset, DICOM_TAG(0x0028, 0x1054), type, sizeof type) && *type && strcmp(type, "HU") != 0)
        return error_set(err, ERROR_UNSUPPORTED, "Rescale Type is %s: the pixels are no Hounsfield units",
                         text_show(shown, sizeof shown, type, strlen(type)));
    return has_rescale(dataset, err);
}

bool image_slice_read(const struct dicom_dataset *dataset, struct image_slice *out, struct error *err)
{
    struct image_slice slice = {.index = out->index, .slope = 1, .is_ct = is_ct(dataset)};
    int64_t rows, columns;
    if (!is_one_slice_of_linear_pixels(dataset, err) ||
        !read_whole(dataset, DICOM_TAG(0x0028, 0x0010), "Rows", 1, 65535, &rows, err) ||
        !read_whole(dataset, DICOM_TAG(0x0028, 0x0011), "Columns", 1, 65535, &columns, err) ||
        !read_bits(dataset, &slice, err) || !read_place(dataset, &slice, err))
        return false;
    slice.rows = (uint32_t)rows;
    slice.columns = (uint32_t)columns;
    if (dicom_find(dataset, DICOM_TAG(0x0028, 0x1053)) || dicom_find(dataset, DICOM_TAG(0x0028, 0x1052))) {
        if (!read_numbers(dataset, DICOM_TAG(0x0028, 0x1053), "Rescale Slope", 1, 1e6, &slice, &slice.slope, err) ||
            !read_numbers(dataset, DICOM_TAG(0x0028, 0x1052), "Rescale Intercept", 1, 1e6, &slice, &slice.intercept,
                          err))
            return false;
        if (slice.slope == 0)
            return error_set(err, ERROR_BAD_VALUE, "Rescale Slope is 0");
    }
    read_padding(dataset, &slice);
    dicom_text_copy(dataset, DICOM_TAG(0x0020, 0x0052), slice.frame_of_reference, sizeof slice.frame_of_reference);
    *out = slice;
    return true;
}

// ---- slices to a volume

static int along_normal(const void *left, const void *right, void *normal)
{
    double a = dot(((const struct image_slice *)left)->position_mm, normal);
    double b = dot(((const struct image_slice *)right)->position_mm, normal);
    return (a > b) - (a < b);
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static bool is_near(const double a[3], const double b[3], double tolerance)
{
    return fabs(a[0] - b[0]) <= tolerance && fabs(a[1] - b[1]) <= tolerance && fabs(a[2] - b[2]) <= tolerance;
}

bool image_slices_turned_alike(const struct image_slice *a, const struct image_slice *b)
{
    return is_near(a->row_direction, b->row_direction, image_tolerances.direction) &&
           is_near(a->column_direction, b->column_direction, image_tolerances.direction);
}

bool image_slices_spaced_alike(const struct image_slice *a, const struct image_slice *b)
{
    for (int axis = 0; axis < 2; axis++)
        if (fabs(a->pixel_spacing_mm[axis] / b->pixel_spacing_mm[axis] - 1) > image_tolerances.spacing)
            return false;
    return true;
}

static bool check_alike(const struct image_slice *slices, size_t count, struct error *err)
{
    const struct image_slice *first = slices;
    for (size_t i = 1; i < count; i++) {
        const struct image_slice *s = &slices[i];
        if (s->rows != first->rows || s->columns != first->columns)
            return error_set(err, ERROR_CONFLICT, "slice %zu has %u x %u pixels, slice 1 %u x %u", i + 1, s->rows,
                             s->columns, first->rows, first->columns);
        if (!image_slices_turned_alike(s, first))
            return error_set(err, ERROR_CONFLICT, "slice %zu is oriented otherwise than slice 1 (a scout image?)",
                             i + 1);
        if (strcmp(s->frame_of_reference, first->frame_of_reference) != 0)
            return error_set(err, ERROR_CONFLICT,
                             "slice %zu has another frame of reference than slice 1: their places do not compare",
                             i + 1);
        if (!image_slices_spaced_alike(s, first))
            return error_set(err, ERROR_CONFLICT,
                             "slice %zu has a pixel spacing of %.4f x %.4f mm, slice 1 of %.4f x %.4f mm", i + 1,
                             s->pixel_spacing_mm[0], s->pixel_spacing_mm[1], first->pixel_spacing_mm[0],
                             first->pixel_spacing_mm[1]);
    }
    return true;
}

// The mean of the slices' directions, at a right angle: what each jitters by does not tilt a long stack.
static void mean_directions(const struct image_slice *slices, size_t count, double row[3], double column[3],
                            double normal[3])
{
    double rows[3] = {0}, columns[3] = {0};
    for (size_t i = 0; i < count; i++)
        for (int axis = 0; axis < 3; axis++) {
            rows[axis] += slices[i].row_direction[axis] / (double)count;
            columns[axis] += slices[i].column_direction[axis] / (double)count;
        }
    make_unit(rows);
    double aside = dot(rows, columns);
    for (int axis = 0; axis < 3; axis++)
        columns[axis] -= aside * rows[axis];
    make_unit(columns);
    cross(rows, columns, normal);
    memcpy(row, rows, sizeof rows);
    memcpy(column, columns, sizeof columns);
}

static double gap_before(const struct image_slice *slices, size_t i, const double normal[3])
{
    return dot(slices[i].position_mm, normal) - dot(slices[i - 1].position_mm, normal);
}

static bool median_gap(const struct image_slice *slices, size_t count, const double normal[3], double *median,
                       struct error *err)
{
    double *gaps = malloc((count - 1) * sizeof *gaps);
    if (!gaps)
        return error_set(err, ERROR_MEMORY, "no memory for the gaps between %zu slices", count);
    for (size_t i = 1; i < count; i++)
        gaps[i - 1] = gap_before(slices, i, normal);
    qsort(gaps, count - 1, sizeof *gaps, ascending);
    *median = gaps[(count - 1) / 2];
    free(gaps);
    return true;
}

// Of slices in order along the normal.
static bool check_gaps(const struct image_slice *slices, size_t count, const double normal[3], struct error *err)
{
    double median = 0;
    if (!median_gap(slices, count, normal, &median, err))
        return false;
    double rounding_mm = image_tolerances.gap_mm * (fabs(normal[0]) + fabs(normal[1]) + fabs(normal[2]));
    double tolerance = fmin(fmax(median * image_tolerances.spacing, rounding_mm), median * image_tolerances.gap_share);
    for (size_t i = 1; i < count; i++) {
        double gap = gap_before(slices, i, normal);
        if (gap < .001)
            return error_set(err, ERROR_CONFLICT, "slices %zu and %zu are at the same place", i, i + 1);
        if (fabs(gap - median) > tolerance)
            return error_set(err, ERROR_CONFLICT, "gap of %.2f mm between slices %zu and %zu, %.2f mm elsewhere", gap,
                             i, i + 1, median);
    }
    return true;
}

// Where each slice is, against an even stack whose ends are the first and the last.
static bool check_stack(const struct image_slice *slices, size_t count, const double normal[3], double spacing_mm,
                        struct error *err)
{
    for (size_t i = 1; i < count; i++) {
        double step[3], aside[3];
        for (int axis = 0; axis < 3; axis++)
            step[axis] = slices[i].position_mm[axis] - slices[0].position_mm[axis];
        double along = dot(step, normal), off = fabs(along - (double)i * spacing_mm);
        for (int axis = 0; axis < 3; axis++)
            aside[axis] = step[axis] - along * normal[axis];
        if (sqrt(dot(aside, aside)) > image_tolerances.place_mm + image_tolerances.tilt * along)
            return error_set(err, ERROR_CONFLICT,
                             "slice %zu is %.2f mm beside the line through slice 1: a tilted gantry is not supported",
                             i + 1, sqrt(dot(aside, aside)));
        if (off > image_tolerances.place_mm)
            return error_set(err, ERROR_CONFLICT, "slice %zu is %.2f mm from its place in an even stack", i + 1, off);
    }
    return true;
}

bool image_geometry_of(struct image_slice *slices, size_t count, struct image_geometry *out, struct error *err)
{
    if (count < 2 || count > IMAGE_SLICES_MAX)
        return error_set(err, ERROR_CONFLICT, "%zu slices: a volume has 2 to %d", count, IMAGE_SLICES_MAX);
    struct image_geometry stack = {.slices = count, .rows = slices[0].rows, .columns = slices[0].columns};
    double *normal = stack.normal;
    cross(slices[0].row_direction, slices[0].column_direction, normal);
    qsort_r(slices, count, sizeof *slices, along_normal, normal);
    if (!check_alike(slices, count, err))
        return false;
    mean_directions(slices, count, stack.row_direction, stack.column_direction, normal);
    qsort_r(slices, count, sizeof *slices, along_normal, normal);
    const struct image_slice *first = slices, *last = &slices[count - 1];
    memcpy(stack.origin_mm, first->position_mm, sizeof stack.origin_mm);
    memcpy(stack.spacing_mm + 1, first->pixel_spacing_mm, sizeof first->pixel_spacing_mm);
    // The mean: positions are often rounded, and of gaps of .62 and .63 the median would drift off.
    stack.spacing_mm[0] = (dot(last->position_mm, normal) - dot(first->position_mm, normal)) / (double)(count - 1);
    if (!check_gaps(slices, count, normal, err) || !check_stack(slices, count, normal, stack.spacing_mm[0], err))
        return false;
    *out = stack;
    return true;
}

// ---- pixels to HU

// Held within int16_t; *past counts what is not.
static int16_t round_to_hu(double value, size_t *past)
{
    double whole = rint(value);
    if (whole >= INT16_MIN && whole <= INT16_MAX)
        return (int16_t)whole;
    (*past)++;
    return whole > 0 ? INT16_MAX : INT16_MIN;
}

// The low `count` bits as a number.
static int64_t number_of(const struct image_slice *slice, uint32_t bits, unsigned count)
{
    const int64_t value = bits & ((1u << count) - 1);
    return slice->is_signed && value >> (count - 1) ? value - (INT64_C(1) << count) : value;
}

static int16_t stored_to_hu(const struct image_slice *slice, uint32_t cell, size_t *past)
{
    const int64_t value = number_of(slice, cell >> (slice->high_bit + 1 - slice->bits_stored), slice->bits_stored);
    const int64_t marked = slice->padding_is_wide ? number_of(slice, cell, slice->bits_allocated) : value;
    if (marked >= slice->padding_low && marked <= slice->padding_high)
        return IMAGE_NO_DATA_HU;
    return round_to_hu((double)value * slice->slope + slice->intercept, past);
}

size_t image_slice_to_hu(const struct image_slice *slice, const uint8_t *pixels, int16_t *out)
{
    size_t count = (size_t)slice->rows * slice->columns, past = 0;
    if (slice->bits_allocated == 8)
        for (size_t i = 0; i < count; i++)
            out[i] = stored_to_hu(slice, pixels[i], &past);
    else
        for (size_t i = 0; i < count; i++)
            out[i] = stored_to_hu(slice, (uint32_t)(pixels[2 * i] | pixels[2 * i + 1] << 8), &past);
    if (slice->is_ct)
        padding_mark(slice, out);
    return past;
}

// ---- places

void image_to_patient(const struct image_geometry *geometry, const double voxel[3], double patient_mm[3])
{
    double place[3];
    for (int axis = 0; axis < 3; axis++)
        place[axis] = geometry->origin_mm[axis] + voxel[2] * geometry->spacing_mm[2] * geometry->row_direction[axis] +
                      voxel[1] * geometry->spacing_mm[1] * geometry->column_direction[axis] +
                      voxel[0] * geometry->spacing_mm[0] * geometry->normal[axis];
    memcpy(patient_mm, place, sizeof place);
}

void image_from_patient(const struct image_geometry *geometry, const double patient_mm[3], double voxel[3])
{
    double step[3];
    for (int axis = 0; axis < 3; axis++)
        step[axis] = patient_mm[axis] - geometry->origin_mm[axis];
    voxel[0] = dot(step, geometry->normal) / geometry->spacing_mm[0];
    voxel[1] = dot(step, geometry->column_direction) / geometry->spacing_mm[1];
    voxel[2] = dot(step, geometry->row_direction) / geometry->spacing_mm[2];
}

size_t image_voxels(const struct image_geometry *geometry)
{
    return geometry->slices * geometry->rows * geometry->columns;
}

double image_voxel_ml(const struct image_geometry *geometry)
{
    return geometry->spacing_mm[0] * geometry->spacing_mm[1] * geometry->spacing_mm[2] / 1000;
}

// ---- parts

void image_bin_plan(const struct image_geometry *geometry, const double coarsest_mm[3], struct image_part *part,
                    struct image_geometry *out)
{
    const size_t size[3] = {geometry->slices, geometry->rows, geometry->columns};
    double middle[3]; // of the first block
    struct image_geometry coarse = *geometry;
    for (int axis = 0; axis < 3; axis++) {
        double factor = floor(coarsest_mm[axis] / geometry->spacing_mm[axis] + 1e-6);
        factor = fmax(1, fmin(factor, (double)size[axis]));
        part->factor[axis] = (size_t)factor;
        part->low[axis] = 0;
        middle[axis] = (factor - 1) / 2;
        coarse.spacing_mm[axis] *= factor;
    }
    coarse.slices /= part->factor[0];
    coarse.rows /= part->factor[1];
    coarse.columns /= part->factor[2];
    image_to_patient(geometry, middle, coarse.origin_mm);
    *out = coarse;
}

// A block starts where it is written or behind: that is why `out` may be `hu`.
void image_bin(const int16_t *hu, const struct image_geometry *geometry, const size_t factor[3], int16_t *out)
{
    size_t slices = geometry->slices / factor[0], rows = geometry->rows / factor[1];
    size_t columns = geometry->columns / factor[2];
    double share = 1 / (double)(factor[0] * factor[1] * factor[2]);
    if (share == 1) {
        memmove(out, hu, image_voxels(geometry) * sizeof *hu);
        return;
    }
    for (size_t k = 0; k < slices; k++)
        for (size_t j = 0; j < rows; j++)
            for (size_t i = 0; i < columns; i++) {
                int64_t sum = 0;
                int16_t least = INT16_MAX;
                for (size_t c = k * factor[0]; c < (k + 1) * factor[0]; c++)
                    for (size_t b = j * factor[1]; b < (j + 1) * factor[1]; b++)
                        for (size_t a = i * factor[2]; a < (i + 1) * factor[2]; a++) {
                            int16_t value = hu[(c * geometry->rows + b) * geometry->columns + a];
                            sum += value;
                            least = value < least ? value : least;
                        }
                out[(k * rows + j) * columns + i] = least == IMAGE_NO_DATA_HU
                                                        ? IMAGE_NO_DATA_HU
                                                        : (int16_t)lrint((double)sum * share); // of int16_t one
            }
}

void image_crop_geometry(const struct image_geometry *geometry, const struct image_box *box, struct image_geometry *out)
{
    const double low[3] = {(double)box->low[0], (double)box->low[1], (double)box->low[2]};
    struct image_geometry cut = *geometry;
    cut.slices = box->high[0] - box->low[0];
    cut.rows = box->high[1] - box->low[1];
    cut.columns = box->high[2] - box->low[2];
    image_to_patient(geometry, low, cut.origin_mm);
    *out = cut;
}

void image_crop(const void *from, size_t size, const struct image_geometry *geometry, const struct image_box *box,
                void *to)
{
    size_t line = (box->high[2] - box->low[2]) * size;
    uint8_t *place = to;
    for (size_t k = box->low[0]; k < box->high[0]; k++)
        for (size_t j = box->low[1]; j < box->high[1]; j++, place += line) {
            size_t at = (k * geometry->rows + j) * geometry->columns + box->low[2];
            memmove(place, (const uint8_t *)from + at * size, line);
        }
}

// Repeats each of a line's labels `factor` times.
static void stretch_line(const uint16_t *labels, size_t count, size_t factor, uint16_t *out)
{
    for (size_t i = 0; i < count; i++)
        for (size_t a = 0; a < factor; a++)
            *out++ = labels[i];
}

void image_paste_labels(const uint16_t *labels, const struct image_geometry *part_geometry,
                        const struct image_part *part, const struct image_geometry *whole, uint16_t *out)
{
    memset(out, 0, image_voxels(whole) * sizeof *out);
    for (size_t k = 0; k < part_geometry->slices * part->factor[0]; k++)
        for (size_t j = 0; j < part_geometry->rows * part->factor[1]; j++) {
            size_t slice = part->low[0] * part->factor[0] + k, row = part->low[1] * part->factor[1] + j;
            size_t line = k / part->factor[0] * part_geometry->rows + j / part->factor[1];
            stretch_line(labels + line * part_geometry->columns, part_geometry->columns, part->factor[2],
                         out + (slice * whole->rows + row) * whole->columns + part->low[2] * part->factor[2]);
        }
}
