// The plane in which a mask mirrors itself best. (Lines through the middles of its rows would do for a head that lies
// straight; for one that is turned they follow only half of the turn, the head being nearly round.)
#include "image/mask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double POINTS_APART_MM = 5, SLOPE_MAX = .8;
enum { POINTS_MIN = 200 };

// x = offset + slope[0] * (y - middle y) + slope[1] * (z - middle z), in patient space.
struct tilt {
    double offset, slope[2];
};

struct mirror {
    const uint8_t *mask;
    const struct image_geometry *geometry;
    double (*points)[3]; // places in the mask, spread evenly
    size_t count;
    double middle[3];
};

static size_t step_of(double spacing_mm)
{
    double step = rint(POINTS_APART_MM / spacing_mm);
    return step < 1 ? 1 : (size_t)step;
}

static bool collect_points(struct mirror *mirror, struct error *err)
{
    const struct image_geometry *g = mirror->geometry;
    size_t step[3] = {step_of(g->spacing_mm[0]), step_of(g->spacing_mm[1]), step_of(g->spacing_mm[2])};
    size_t most = (g->slices / step[0] + 1) * (g->rows / step[1] + 1) * (g->columns / step[2] + 1);
    mirror->points = calloc(most, sizeof *mirror->points);
    if (!mirror->points)
        return error_set(err, ERROR_MEMORY, "no memory for %zu points", most);
    for (size_t k = 0; k < g->slices; k += step[0])
        for (size_t j = 0; j < g->rows; j += step[1])
            for (size_t i = 0; i < g->columns; i += step[2])
                if (mirror->mask[(k * g->rows + j) * g->columns + i])
                    image_to_patient(g, (const double[3]){(double)k, (double)j, (double)i},
                                     mirror->points[mirror->count++]);
    if (mirror->count < POINTS_MIN)
        return error_set(err, ERROR_CONFLICT, "a mask of %zu points %g mm apart is too small to have halves",
                         mirror->count, POINTS_APART_MM);
    for (size_t n = 0; n < mirror->count; n++)
        for (int axis = 0; axis < 3; axis++)
            mirror->middle[axis] += mirror->points[n][axis] / (double)mirror->count;
    return true;
}

static void plane_of(const struct mirror *mirror, const struct tilt *tilt, struct mask_midplane *out)
{
    double length = sqrt(1 + tilt->slope[0] * tilt->slope[0] + tilt->slope[1] * tilt->slope[1]);
    *out = (struct mask_midplane){.normal = {1 / length, -tilt->slope[0] / length, -tilt->slope[1] / length}};
    const double place[3] = {tilt->offset, mirror->middle[1], mirror->middle[2]};
    out->offset_mm = mask_left_mm(out, place);
}

static bool in_mask(const struct mirror *mirror, const double place[3])
{
    const struct image_geometry *g = mirror->geometry;
    double voxel[3];
    image_from_patient(g, place, voxel);
    double k = floor(voxel[0] + .5), j = floor(voxel[1] + .5), i = floor(voxel[2] + .5);
    return k >= 0 && j >= 0 && i >= 0 && k < (double)g->slices && j < (double)g->rows && i < (double)g->columns &&
           mirror->mask[((size_t)k * g->rows + (size_t)j) * g->columns + (size_t)i];
}

// How many points the plane mirrors into the mask.
static size_t matches(const struct mirror *mirror, const struct tilt *tilt)
{
    struct mask_midplane plane;
    size_t count = 0;
    plane_of(mirror, tilt, &plane);
    for (size_t n = 0; n < mirror->count; n++) {
        double left = mask_left_mm(&plane, mirror->points[n]), place[3];
        for (int axis = 0; axis < 3; axis++)
            place[axis] = mirror->points[n][axis] - 2 * left * plane.normal[axis];
        count += in_mask(mirror, place);
    }
    return count;
}

// Tries one number of the tilt a step up and down; true when that was better.
static bool improve(const struct mirror *mirror, struct tilt *best, double *number, double step, double most,
                    size_t *score)
{
    double before = *number;
    for (int sign = -1; sign <= 1; sign += 2) {
        *number = before + sign * step;
        size_t now = fabs(*number) <= most ? matches(mirror, best) : 0;
        if (now > *score) {
            *score = now;
            return true;
        }
    }
    *number = before;
    return false;
}

bool mask_midplane_of(const uint8_t *mask, const struct image_geometry *geometry, struct mask_midplane *out,
                      struct error *err)
{
    enum { ROUNDS_MAX = 16 };
    struct mirror mirror = {.mask = mask, .geometry = geometry};
    bool ok = collect_points(&mirror, err);
    if (ok) {
        struct tilt best = {.offset = mirror.middle[0]};
        size_t score = matches(&mirror, &best);
        // 8 mm and .16 (9 degrees) down to .25 mm and .005.
        for (double fine = 1; fine >= 1 / 32.0; fine /= 2) {
            bool better = true;
            for (int round = 0; better && round < ROUNDS_MAX; round++) {
                better = improve(&mirror, &best, &best.offset, 8 * fine, INFINITY, &score);
                better |= improve(&mirror, &best, &best.slope[0], .16 * fine, SLOPE_MAX, &score);
                better |= improve(&mirror, &best, &best.slope[1], .16 * fine, SLOPE_MAX, &score);
            }
        }
        plane_of(&mirror, &best, out);
    }
    free(mirror.points);
    return ok;
}

double mask_left_mm(const struct mask_midplane *plane, const double patient_mm[3])
{
    return plane->normal[0] * patient_mm[0] + plane->normal[1] * patient_mm[1] + plane->normal[2] * patient_mm[2] -
           plane->offset_mm;
}
