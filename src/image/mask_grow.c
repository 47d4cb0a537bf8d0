// Cores to regions, each in a box around its core.
#include "image/mask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/mask_label.h"

// What growing one core needs, all of the box's size.
struct grow_space {
    struct image_geometry geometry;
    uint8_t *core, *region, *open, *allowed;
    float *values, *distance;
    uint32_t *labels;
    float *shell; // values of the shell, to find their median
};

static void free_space(struct grow_space *space)
{
    free(space->core);
    free(space->region);
    free(space->open);
    free(space->allowed);
    free(space->values);
    free(space->distance);
    free(space->labels);
    free(space->shell);
}

static bool make_space(struct grow_space *space, struct error *err)
{
    size_t voxels = image_voxels(&space->geometry);
    space->core = malloc(voxels);
    space->region = malloc(voxels);
    space->open = malloc(voxels);
    space->allowed = malloc(voxels);
    space->values = malloc(voxels * sizeof *space->values);
    space->distance = malloc(voxels * sizeof *space->distance);
    space->labels = malloc(voxels * sizeof *space->labels);
    space->shell = malloc(voxels * sizeof *space->shell);
    if (space->core && space->region && space->open && space->allowed && space->values && space->distance &&
        space->labels && space->shell)
        return true;
    return error_set(err, ERROR_MEMORY, "no memory to grow a region of %zu voxels", voxels);
}

static int ascending(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

// Half way between the two middle ones of an even number, as numpy does.
static double median_of(float *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, ascending);
    return ((double)values[count / 2] + (double)values[(count - 1) / 2]) / 2;
}

// The value at the region's border.
static double border_level(struct grow_space *space, const struct mask_grow_options *options)
{
    double core_sum = 0;
    size_t core_count = 0, shell_count = 0;
    float near = (float)options->reach_mm, far = (float)(options->reach_mm + options->shell_mm);
    for (size_t at = 0; at < image_voxels(&space->geometry); at++) {
        if (space->core[at]) {
            core_sum += (double)space->values[at];
            core_count++;
        } else if (space->allowed[at] && space->distance[at] > near && space->distance[at] <= far) {
            space->shell[shell_count++] = space->values[at];
        }
    }
    double top = core_sum / (double)core_count, ground = median_of(space->shell, shell_count);
    return ground + options->fraction * (top - ground);
}

// Leaves in `mask` the components that touch the core. false: none does, or (*ok false) no memory.
static bool keep_touching(struct grow_space *space, uint8_t *mask, bool *ok, struct error *err)
{
    const size_t size[3] = {space->geometry.slices, space->geometry.rows, space->geometry.columns};
    size_t *sizes, count, voxels = image_voxels(&space->geometry);
    bool any = false;
    *ok = mask_label(mask, size, space->labels, &sizes, &count, err);
    if (!*ok)
        return false;
    memset(sizes, 0, (count + 1) * sizeof *sizes); // now: whether it touches
    for (size_t at = 0; at < voxels; at++)
        if (space->labels[at] && space->core[at]) {
            sizes[space->labels[at]] = 1;
            any = true;
        }
    for (size_t at = 0; at < voxels; at++)
        mask[at] = space->labels[at] && sizes[space->labels[at]];
    free(sizes);
    return any;
}

// core, values, allowed -> region
static bool grow_one(struct grow_space *space, const struct mask_grow_options *options, struct error *err)
{
    const struct image_geometry *geometry = &space->geometry;
    size_t voxels = image_voxels(geometry);
    for (size_t at = 0; at < voxels; at++)
        space->open[at] = !space->core[at];
    double limit = options->reach_mm + options->shell_mm + 1;
    if (!mask_distance(space->open, geometry, limit, space->distance, err))
        return false;
    double level = border_level(space, options);
    for (size_t at = 0; at < voxels; at++)
        space->region[at] =
            space->allowed[at] && space->distance[at] <= (float)options->reach_mm && (double)space->values[at] > level;

    bool ok, opened;
    if (!mask_erode(space->region, geometry, options->open_mm, space->open, err))
        return false;
    opened = keep_touching(space, space->open, &ok, err);
    if (!ok || (opened && !mask_dilate(space->open, geometry, options->open_mm, space->open, err)))
        return false;
    const uint8_t *within = opened ? space->open : space->core;
    for (size_t at = 0; at < voxels; at++)
        space->region[at] &= within[at];
    return true;
}

// Where a core is: *core and *high are set for the labels that are `kept` (index + 1).
static void core_boxes(const uint32_t *labels, const struct image_geometry *geometry, const uint8_t *kept,
                       struct image_box *boxes)
{
    size_t at = 0;
    for (size_t k = 0; k < geometry->slices; k++)
        for (size_t j = 0; j < geometry->rows; j++)
            for (size_t i = 0; i < geometry->columns; i++, at++) {
                if (!labels[at] || !kept[labels[at]])
                    continue;
                struct image_box *box = &boxes[kept[labels[at]] - 1];
                const size_t place[3] = {k, j, i};
                for (int axis = 0; axis < 3; axis++) {
                    box->low[axis] = place[axis] < box->low[axis] ? place[axis] : box->low[axis];
                    box->high[axis] = place[axis] >= box->high[axis] ? place[axis] + 1 : box->high[axis];
                }
            }
}

static void widen(struct image_box *box, const struct image_geometry *geometry, double margin_mm)
{
    const size_t size[3] = {geometry->slices, geometry->rows, geometry->columns};
    for (int axis = 0; axis < 3; axis++) {
        size_t margin = (size_t)fmin(ceil(margin_mm / geometry->spacing_mm[axis]) + 1, (double)size[axis]);
        box->low[axis] -= box->low[axis] < margin ? box->low[axis] : margin;
        box->high[axis] = box->high[axis] + margin < size[axis] ? box->high[axis] + margin : size[axis];
    }
}

static void add_region(const struct grow_space *space, const struct image_box *box,
                       const struct image_geometry *geometry, uint8_t *out)
{
    const uint8_t *from = space->region;
    for (size_t k = box->low[0]; k < box->high[0]; k++)
        for (size_t j = box->low[1]; j < box->high[1]; j++)
            for (size_t i = box->low[2]; i < box->high[2]; i++)
                out[(k * geometry->rows + j) * geometry->columns + i] |= *from++;
}

struct grow_inputs {
    const uint32_t *labels;
    const float *values;
    const uint8_t *allowed;
    const struct image_geometry *geometry;
    const struct mask_grow_options *options;
};

static bool grow_label(const struct grow_inputs *in, uint32_t label, struct image_box box, uint8_t *out,
                       struct error *err)
{
    struct grow_space space = {0};
    widen(&box, in->geometry, in->options->reach_mm + in->options->shell_mm);
    image_crop_geometry(in->geometry, &box, &space.geometry);
    bool ok = make_space(&space, err);
    if (ok) {
        image_crop(in->labels, sizeof *in->labels, in->geometry, &box, space.labels);
        image_crop(in->values, sizeof *in->values, in->geometry, &box, space.values);
        image_crop(in->allowed, 1, in->geometry, &box, space.allowed);
        for (size_t at = 0; at < image_voxels(&space.geometry); at++)
            space.core[at] = space.labels[at] == label;
        ok = grow_one(&space, in->options, err);
    }
    if (ok)
        add_region(&space, &box, in->geometry, out);
    free_space(&space);
    return ok;
}

// The MASK_CORES_MAX largest labels into `chosen`, in no order; how many.
static size_t choose_cores(const size_t *sizes, size_t count, uint32_t chosen[MASK_CORES_MAX])
{
    size_t n = 0;
    for (uint32_t label = 1; label <= count; label++) {
        if (n < MASK_CORES_MAX) {
            chosen[n++] = label;
            continue;
        }
        size_t least = 0;
        for (size_t i = 1; i < n; i++)
            if (sizes[chosen[i]] < sizes[chosen[least]])
                least = i;
        if (sizes[label] > sizes[chosen[least]])
            chosen[least] = label;
    }
    return n;
}

// Of the cores that are not `kept`; one that lies in the region of another is in the union after all.
static size_t count_left_out(const struct grow_inputs *in, size_t count, uint8_t *kept, const uint8_t *out)
{
    size_t left_out = 0;
    for (size_t at = 0; at < image_voxels(in->geometry); at++)
        if (out[at])
            kept[in->labels[at]] = 1;
    for (size_t label = 1; label <= count; label++)
        left_out += !kept[label];
    return left_out;
}

static bool grow_all(const struct grow_inputs *in, const size_t *sizes, size_t count, uint8_t *out, size_t *left_out,
                     struct error *err)
{
    uint32_t chosen[MASK_CORES_MAX];
    struct image_box boxes[MASK_CORES_MAX];
    size_t cores = choose_cores(sizes, count, chosen);
    uint8_t *kept = calloc(count + 1, 1);
    if (!kept)
        return error_set(err, ERROR_MEMORY, "no memory for %zu cores", count);
    for (size_t n = 0; n < cores; n++) {
        kept[chosen[n]] = (uint8_t)(n + 1);
        boxes[n] = (struct image_box){.low = {SIZE_MAX, SIZE_MAX, SIZE_MAX}};
    }
    core_boxes(in->labels, in->geometry, kept, boxes);
    bool ok = true;
    for (size_t n = 0; ok && n < cores; n++)
        ok = grow_label(in, chosen[n], boxes[n], out, err);
    *left_out = ok ? count_left_out(in, count, kept, out) : 0;
    free(kept);
    return ok;
}

bool mask_grow(const uint8_t *cores, const float *values, const uint8_t *allowed, const struct image_geometry *geometry,
               const struct mask_grow_options *options, uint8_t *out, size_t *left_out, struct error *err)
{
    size_t *sizes, count, voxels = image_voxels(geometry);
    const size_t size[3] = {geometry->slices, geometry->rows, geometry->columns};
    uint32_t *labels = malloc(voxels * sizeof *labels);
    if (!labels)
        return error_set(err, ERROR_MEMORY, "no memory to label %zu voxels", voxels);
    bool ok = mask_label(cores, size, labels, &sizes, &count, err);
    if (ok) {
        const struct grow_inputs in = {labels, values, allowed, geometry, options};
        memset(out, 0, voxels);
        ok = grow_all(&in, sizes, count, out, left_out, err);
        free(sizes);
    }
    free(labels);
    return ok;
}
