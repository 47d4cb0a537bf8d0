// The inside of the skull: found on blocks of about 3 mm, drawn at full size.
#include "image/mask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/mask_label.h"

static const double BLOCK_MM = 3, GROWN_MM = 4.5;
enum { TISSUE_LOW_HU = -10, TISSUE_HIGH_HU = 100, AIR_HU = -300, BRAIN_LOW_HU = -20, BRAIN_HIGH_HU = 100 };

// The head in blocks. Bone in a block is any voxel of bone, so that thin plates hold.
struct blocks {
    struct image_geometry geometry;
    size_t factor[3];
    uint8_t *bone, *solid, *soft; // solid: not air
    uint8_t *absent;              // any voxel of it is no image data
    uint8_t *mask, *other;
    uint8_t *hits, *open_ends; // of 26 rays: that end in bone, that leave the volume while in tissue
    uint8_t *rays;
    uint32_t *labels;
};

static void free_blocks(struct blocks *blocks)
{
    free(blocks->bone);
    free(blocks->solid);
    free(blocks->soft);
    free(blocks->absent);
    free(blocks->mask);
    free(blocks->other);
    free(blocks->hits);
    free(blocks->open_ends);
    free(blocks->rays);
    free(blocks->labels);
}

// The last block of an axis may hold fewer voxels.
static bool plan_blocks(const struct image_geometry *geometry, struct blocks *out, struct error *err)
{
    const size_t size[3] = {geometry->slices, geometry->rows, geometry->columns};
    size_t counts[3];
    out->geometry = *geometry;
    for (int axis = 0; axis < 3; axis++) {
        double factor = fmax(1, fmin(rint(BLOCK_MM / geometry->spacing_mm[axis]), (double)size[axis]));
        out->factor[axis] = (size_t)factor;
        out->geometry.spacing_mm[axis] *= factor;
        counts[axis] = (size[axis] + out->factor[axis] - 1) / out->factor[axis];
    }
    out->geometry.slices = counts[0];
    out->geometry.rows = counts[1];
    out->geometry.columns = counts[2];
    size_t n = image_voxels(&out->geometry);
    out->bone = calloc(n, 1);
    out->solid = calloc(n, 1);
    out->soft = calloc(n, 1);
    out->absent = calloc(n, 1);
    out->mask = calloc(n, 1);
    out->other = calloc(n, 1);
    out->hits = calloc(n, 1);
    out->open_ends = calloc(n, 1);
    out->rays = calloc(n, 1);
    out->labels = calloc(n, sizeof *out->labels);
    if (out->bone && out->solid && out->soft && out->absent && out->mask && out->other && out->hits && out->open_ends &&
        out->rays && out->labels)
        return true;
    return error_set(err, ERROR_MEMORY, "no memory for %zu blocks", n);
}

// What a layer's blocks hold.
struct layer {
    int64_t *sums;
    int16_t *peaks, *least;
};

// Adds a slice's voxels to the sums and extremes of its blocks.
static void sum_slice(const int16_t *hu, const struct image_geometry *geometry, const size_t factor[3],
                      size_t block_columns, const struct layer *layer)
{
    for (size_t j = 0; j < geometry->rows; j++) {
        const int16_t *line = hu + j * geometry->columns;
        size_t block = j / factor[1] * block_columns;
        for (size_t i = 0; i < geometry->columns; block++) {
            size_t end = i + factor[2] < geometry->columns ? i + factor[2] : geometry->columns;
            int32_t sum = 0;
            int16_t peak = layer->peaks[block], least = layer->least[block];
            for (; i < end; i++) {
                sum += line[i];
                peak = line[i] > peak ? line[i] : peak;
                least = line[i] < least ? line[i] : least;
            }
            layer->sums[block] += sum;
            layer->peaks[block] = peak;
            layer->least[block] = least;
        }
    }
}

static size_t block_length(size_t block, size_t factor, size_t size)
{
    return (block + 1) * factor <= size ? factor : size - block * factor;
}

// One layer of blocks from its sums.
static void judge_layer(struct blocks *blocks, const struct image_geometry *geometry, size_t number, double bone_hu,
                        const struct layer *layer)
{
    size_t rows = blocks->geometry.rows, columns = blocks->geometry.columns;
    size_t deep = block_length(number, blocks->factor[0], geometry->slices);
    for (size_t j = 0; j < rows; j++)
        for (size_t i = 0; i < columns; i++) {
            size_t at = j * columns + i, place = number * rows * columns + at;
            size_t voxels = deep * block_length(j, blocks->factor[1], geometry->rows) *
                            block_length(i, blocks->factor[2], geometry->columns);
            double mean = (double)layer->sums[at] / (double)voxels;
            bool absent = layer->least[at] == IMAGE_NO_DATA_HU;
            blocks->absent[place] = absent;
            blocks->bone[place] = layer->peaks[at] > bone_hu;
            blocks->solid[place] = mean > AIR_HU && !absent;
            blocks->soft[place] = mean > TISSUE_LOW_HU && mean < TISSUE_HIGH_HU && !blocks->bone[place] && !absent;
        }
}

static void fill_layer(struct blocks *blocks, const int16_t *hu, const struct image_geometry *geometry, size_t number,
                       const struct layer *layer)
{
    size_t first = number * blocks->factor[0], layer_blocks = blocks->geometry.rows * blocks->geometry.columns;
    for (size_t at = 0; at < layer_blocks; at++) {
        layer->sums[at] = 0;
        layer->peaks[at] = INT16_MIN;
        layer->least[at] = INT16_MAX;
    }
    for (size_t k = first; k < first + block_length(number, blocks->factor[0], geometry->slices); k++)
        sum_slice(hu + k * geometry->rows * geometry->columns, geometry, blocks->factor, blocks->geometry.columns,
                  layer);
}

static bool fill_blocks(struct blocks *blocks, const int16_t *hu, const struct image_geometry *geometry, double bone_hu,
                        struct error *err)
{
    size_t layer_blocks = blocks->geometry.rows * blocks->geometry.columns;
    struct layer layer = {malloc(layer_blocks * sizeof *layer.sums), malloc(layer_blocks * sizeof *layer.peaks),
                          malloc(layer_blocks * sizeof *layer.least)};
    bool ok = layer.sums && layer.peaks && layer.least;
    for (size_t number = 0; ok && number < blocks->geometry.slices; number++) {
        fill_layer(blocks, hu, geometry, number, &layer);
        judge_layer(blocks, geometry, number, bone_hu, &layer);
    }
    free(layer.sums);
    free(layer.peaks);
    free(layer.least);
    return ok || error_set(err, ERROR_MEMORY, "no memory for a layer of %zu blocks", layer_blocks);
}

// ---- enclosure

enum ray { RAY_MISS, RAY_BONE, RAY_OPEN };

// The ray from a block in a direction: ends in the next block if that is bone, else goes on as the next block's own ray
// did. What is no image data is as far out as what lies beyond the volume.
static uint8_t ray_from(const struct blocks *blocks, const size_t size[3], const int step[3], const size_t place[3],
                        size_t at)
{
    ptrdiff_t next = 0;
    bool leaves = false;
    for (int axis = 0; axis < 3; axis++) {
        leaves |= (step[axis] < 0 && place[axis] == 0) || (step[axis] > 0 && place[axis] + 1 == size[axis]);
        next = next * (ptrdiff_t)size[axis] + (ptrdiff_t)place[axis] + step[axis];
    }
    if (leaves || (blocks->absent[next] && !blocks->bone[next]))
        return blocks->solid[at] ? RAY_OPEN : RAY_MISS;
    return blocks->bone[next] ? RAY_BONE : blocks->rays[next];
}

// All rays of one direction: from the side where they leave, so that the next block is always known.
static void cast_rays(struct blocks *blocks, const int step[3])
{
    const size_t size[3] = {blocks->geometry.slices, blocks->geometry.rows, blocks->geometry.columns};
    for (size_t a = 0; a < size[0]; a++)
        for (size_t b = 0; b < size[1]; b++)
            for (size_t c = 0; c < size[2]; c++) {
                const size_t place[3] = {step[0] > 0 ? size[0] - 1 - a : a, step[1] > 0 ? size[1] - 1 - b : b,
                                         step[2] > 0 ? size[2] - 1 - c : c};
                size_t at = (place[0] * size[1] + place[1]) * size[2] + place[2];
                uint8_t ray = ray_from(blocks, size, step, place, at);
                blocks->rays[at] = ray;
                blocks->hits[at] = (uint8_t)(blocks->hits[at] + (ray == RAY_BONE));
                blocks->open_ends[at] = (uint8_t)(blocks->open_ends[at] + (ray == RAY_OPEN));
            }
}

// mask: soft tissue from which enough of the rays end in bone.
static void find_enclosed(struct blocks *blocks, double enclosure)
{
    for (int direction = 0; direction < 27; direction++) {
        const int step[3] = {direction / 9 - 1, direction / 3 % 3 - 1, direction % 3 - 1};
        if (step[0] || step[1] || step[2])
            cast_rays(blocks, step);
    }
    for (size_t at = 0; at < image_voxels(&blocks->geometry); at++) {
        int rays = 26 - blocks->open_ends[at];
        blocks->mask[at] = blocks->soft[at] && rays > 0 && blocks->hits[at] >= enclosure * rays;
    }
}

// ---- the largest piece

static bool keep_largest(struct blocks *blocks, uint8_t *mask, struct error *err)
{
    const size_t size[3] = {blocks->geometry.slices, blocks->geometry.rows, blocks->geometry.columns};
    size_t *sizes, count, largest = 0;
    if (!mask_label(mask, size, blocks->labels, &sizes, &count, err))
        return false;
    for (size_t label = 1; label <= count; label++)
        if (sizes[label] > sizes[largest])
            largest = label;
    free(sizes);
    if (count == 0)
        return error_set(err, ERROR_CONFLICT, "no skull found: nothing soft lies inside bone");
    for (size_t at = 0; at < image_voxels(&blocks->geometry); at++)
        mask[at] = blocks->labels[at] == largest;
    return true;
}

static void visit(size_t at, const uint8_t *mask, uint8_t *outside, uint32_t *stack, size_t *depth)
{
    if (mask[at] || outside[at])
        return;
    outside[at] = 1;
    stack[(*depth)++] = (uint32_t)at;
}

// What of the outside (mask 0) the volume's faces do not reach are holes, and becomes mask. Each block is on the stack
// at most once.
static void fill_holes(const struct image_geometry *geometry, uint8_t *mask, uint8_t *outside, uint32_t *stack)
{
    const size_t size[3] = {geometry->slices, geometry->rows, geometry->columns};
    const size_t stride[3] = {size[1] * size[2], size[2], 1};
    size_t voxels = image_voxels(geometry), depth = 0;
    memset(outside, 0, voxels);
    for (size_t at = 0; at < voxels; at++)
        for (int axis = 0; axis < 3; axis++) {
            size_t place = at / stride[axis] % size[axis];
            if (place == 0 || place + 1 == size[axis])
                visit(at, mask, outside, stack, &depth);
        }
    while (depth > 0) {
        size_t at = stack[--depth];
        for (int axis = 0; axis < 3; axis++) {
            size_t place = at / stride[axis] % size[axis];
            if (place > 0)
                visit(at - stride[axis], mask, outside, stack, &depth);
            if (place + 1 < size[axis])
                visit(at + stride[axis], mask, outside, stack, &depth);
        }
    }
    for (size_t at = 0; at < voxels; at++)
        mask[at] = !outside[at];
}

// mask: the largest core of the candidates in it, grown back, holes filled, and a block more on all sides (the border
// is drawn at full size).
static bool find_piece(struct blocks *blocks, double core_mm, struct error *err)
{
    const struct image_geometry *geometry = &blocks->geometry;
    uint8_t *core = blocks->other;
    if (!mask_erode(blocks->mask, geometry, core_mm, core, err) || !keep_largest(blocks, core, err) ||
        !mask_dilate(core, geometry, core_mm + 1, core, err))
        return false;
    for (size_t at = 0; at < image_voxels(geometry); at++)
        blocks->mask[at] &= core[at];
    fill_holes(geometry, blocks->mask, blocks->other, blocks->labels);
    return mask_dilate(blocks->mask, geometry, GROWN_MM, blocks->mask, err);
}

// ---- full size

static void draw_piece(const struct blocks *blocks, const struct image_geometry *geometry, uint8_t *out)
{
    for (size_t k = 0; k < geometry->slices; k++)
        for (size_t j = 0; j < geometry->rows; j++) {
            uint8_t *line = out + (k * geometry->rows + j) * geometry->columns;
            const uint8_t *from =
                blocks->mask +
                (k / blocks->factor[0] * blocks->geometry.rows + j / blocks->factor[1]) * blocks->geometry.columns;
            for (size_t i = 0, end; i < geometry->columns; from++)
                for (end = i + blocks->factor[2]; i < end && i < geometry->columns; i++)
                    line[i] = *from;
        }
}

// Takes from `out` what is within margin_mm of bone, and what is no image data. Only the box around it is looked at.
static bool leave_bone(const int16_t *hu, const struct image_geometry *geometry,
                       const struct mask_brain_options *options, uint8_t *out, struct error *err)
{
    struct image_box box;
    struct image_geometry part;
    if (!mask_box(out, geometry, options->margin_mm, &box))
        return error_set(err, ERROR_CONFLICT, "no skull found: nothing soft lies inside bone");
    image_crop_geometry(geometry, &box, &part);
    uint8_t *bone = malloc(image_voxels(&part));
    if (!bone)
        return error_set(err, ERROR_MEMORY, "no memory for %zu voxels", image_voxels(&part));
    size_t n = 0;
    for (size_t k = box.low[0]; k < box.high[0]; k++)
        for (size_t j = box.low[1]; j < box.high[1]; j++) {
            const int16_t *line = hu + (k * geometry->rows + j) * geometry->columns;
            for (size_t i = box.low[2]; i < box.high[2]; i++)
                bone[n++] = line[i] > options->bone_hu;
        }
    bool ok = mask_dilate(bone, &part, options->margin_mm, bone, err);
    n = 0;
    for (size_t k = box.low[0]; k < box.high[0]; k++)
        for (size_t j = box.low[1]; j < box.high[1]; j++) {
            size_t line = (k * geometry->rows + j) * geometry->columns;
            for (size_t i = box.low[2]; i < box.high[2]; i++)
                out[line + i] &= !bone[n++] && hu[line + i] != IMAGE_NO_DATA_HU;
        }
    free(bone);
    return ok;
}

static bool median_of(const int16_t *hu, const uint8_t *mask, size_t voxels, float *median, struct error *err)
{
    size_t counts[BRAIN_HIGH_HU - BRAIN_LOW_HU + 1] = {0}, total = 0, below = 0;
    for (size_t at = 0; at < voxels; at++)
        if (mask[at] && hu[at] >= BRAIN_LOW_HU && hu[at] <= BRAIN_HIGH_HU) {
            counts[hu[at] - BRAIN_LOW_HU]++;
            total++;
        }
    if (total == 0)
        return error_set(err, ERROR_CONFLICT, "no brain found: nothing between %d and %d HU inside the skull",
                         BRAIN_LOW_HU, BRAIN_HIGH_HU);
    int value = BRAIN_LOW_HU;
    while ((below += counts[value - BRAIN_LOW_HU]) * 2 < total)
        value++;
    *median = (float)value;
    return true;
}

bool mask_brain(const int16_t *hu, const struct image_geometry *geometry, const struct mask_brain_options *options,
                uint8_t *out, float *median_hu, struct error *err)
{
    struct blocks blocks = {0};
    bool ok = plan_blocks(geometry, &blocks, err) && fill_blocks(&blocks, hu, geometry, options->bone_hu, err);
    if (ok) {
        find_enclosed(&blocks, options->enclosure);
        ok = find_piece(&blocks, options->core_mm, err);
    }
    if (ok)
        draw_piece(&blocks, geometry, out);
    free_blocks(&blocks);
    return ok && leave_bone(hu, geometry, options, out, err) &&
           median_of(hu, out, image_voxels(geometry), median_hu, err);
}
