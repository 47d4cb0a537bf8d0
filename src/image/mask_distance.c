// Euclidean distances by three passes of lower envelopes, one along each axis: the squared distance is separable.
// Within a limit the envelope of a voxel is the minimum over a few neighbours, a loop over whole lines that a compiler
// turns to vector code; for the millimetres that operators ask for this is faster than envelopes by parabolas
// (Felzenszwalb and Huttenlocher, 2012), and as exact.
#include "image/mask.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Squared distances along the columns within a line.
static void line_distances(const uint8_t *mask, size_t count, uint8_t inside, double spacing, float *out)
{
    double step = FLT_MAX; // in voxels from the last voxel outside
    for (size_t i = 0; i < count; i++) {
        step = mask[i] == inside ? step + 1 : 0;
        out[i] = step < (double)count ? (float)(step * spacing * step * spacing) : FLT_MAX;
    }
    step = FLT_MAX;
    for (size_t i = count; i-- > 0;) {
        step = mask[i] == inside ? step + 1 : 0;
        float back = step < (double)count ? (float)(step * spacing * step * spacing) : FLT_MAX;
        out[i] = back < out[i] ? back : out[i];
    }
}

static bool any_above_zero(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (values[i] > 0)
            return true;
    return false;
}

static void lower(float *restrict to, const float *restrict from, size_t count, float more)
{
    for (size_t i = 0; i < count; i++) {
        float other = from[i] + more;
        to[i] = other < to[i] ? other : to[i];
    }
}

// One plane of `lines` lines of `width` values, `stride` apart: the envelope across the lines. `copy` has room for the
// plane.
static void spread_plane(float *field, size_t lines, size_t stride, size_t width, double spacing, double limit,
                         float *copy)
{
    bool work = false;
    for (size_t n = 0; n < lines; n++) {
        memcpy(copy + n * width, field + n * stride, width * sizeof *copy);
        work = work || any_above_zero(copy + n * width, width);
    }
    if (!work)
        return;
    size_t reach = (size_t)fmin(ceil(limit / spacing), (double)lines);
    for (size_t n = 0; n < lines; n++) {
        float *line = field + n * stride;
        if (!any_above_zero(line, width))
            continue;
        for (size_t d = 1; d <= reach; d++) {
            float more = (float)((double)d * spacing * (double)d * spacing);
            if (d <= n)
                lower(line, copy + (n - d) * width, width, more);
            if (n + d < lines)
                lower(line, copy + (n + d) * width, width, more);
        }
    }
}

// Squared distance from each voxel that is `inside` to the nearest that is not; exact up to limit_mm, larger (but not
// exact) past it.
static bool squared_distances(const uint8_t *mask, uint8_t inside, const struct image_geometry *geometry,
                              double limit_mm, float *field, struct error *err)
{
    size_t slices = geometry->slices, rows = geometry->rows, columns = geometry->columns;
    float *copy = malloc((slices > rows ? slices : rows) * columns * sizeof *copy);
    if (!copy)
        return error_set(err, ERROR_MEMORY, "no memory for distances in %zu x %zu voxels", rows, columns);
    for (size_t line = 0; line < slices * rows; line++)
        line_distances(mask + line * columns, columns, inside, geometry->spacing_mm[2], field + line * columns);
    for (size_t k = 0; k < slices; k++)
        spread_plane(field + k * rows * columns, rows, columns, columns, geometry->spacing_mm[1], limit_mm, copy);
    for (size_t j = 0; j < rows; j++)
        spread_plane(field + j * columns, slices, rows * columns, columns, geometry->spacing_mm[0], limit_mm, copy);
    free(copy);
    return true;
}

bool mask_distance(const uint8_t *mask, const struct image_geometry *geometry, double limit_mm, float *out_mm,
                   struct error *err)
{
    if (!squared_distances(mask, 1, geometry, limit_mm, out_mm, err))
        return false;
    float limit = (float)limit_mm;
    for (size_t at = 0; at < image_voxels(geometry); at++)
        out_mm[at] = out_mm[at] < limit * limit ? sqrtf(out_mm[at]) : limit;
    return true;
}

static bool within_radius(const uint8_t *mask, uint8_t inside, const struct image_geometry *geometry, double radius_mm,
                          uint8_t *out, struct error *err)
{
    float *field = malloc(image_voxels(geometry) * sizeof *field);
    if (!field)
        return error_set(err, ERROR_MEMORY, "no memory for %zu distances", image_voxels(geometry));
    bool ok = squared_distances(mask, inside, geometry, radius_mm, field, err);
    // A hair of slack: a radius of 3 spacings takes in the third voxel, whatever the rounding.
    float limit = (float)(radius_mm * radius_mm * (1 + 1e-5));
    for (size_t at = 0; ok && at < image_voxels(geometry); at++)
        out[at] = (field[at] <= limit) != inside;
    free(field);
    return ok;
}

bool mask_dilate(const uint8_t *mask, const struct image_geometry *geometry, double radius_mm, uint8_t *out,
                 struct error *err)
{
    return within_radius(mask, 0, geometry, radius_mm, out, err);
}

bool mask_erode(const uint8_t *mask, const struct image_geometry *geometry, double radius_mm, uint8_t *out,
                struct error *err)
{
    return within_radius(mask, 1, geometry, radius_mm, out, err);
}
