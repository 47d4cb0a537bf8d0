// Thresholds, components and their measures, the box of a mask.
#include "image/mask.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/mask_label.h"

void mask_threshold(const float *values, const uint8_t *allowed, size_t voxels, float low, uint8_t *out)
{
    for (size_t at = 0; at < voxels; at++)
        out[at] = (!allowed || allowed[at]) && values[at] >= low;
}

// ---- components

static void include(struct image_box *box, const size_t place[3])
{
    for (int axis = 0; axis < 3; axis++) {
        if (place[axis] < box->low[axis])
            box->low[axis] = place[axis];
        if (place[axis] >= box->high[axis])
            box->high[axis] = place[axis] + 1;
    }
}

static int larger_first(const void *left, const void *right, void *sizes)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    size_t size_a = ((const size_t *)sizes)[a], size_b = ((const size_t *)sizes)[b];
    if (size_a != size_b)
        return size_a > size_b ? -1 : 1;
    return a < b ? -1 : 1;
}

// Which labels stay, and as what: `order` and `kept` have room for count + 1. Returns how many.
static size_t choose_labels(size_t *sizes, size_t count, double minimum_voxels, size_t most, uint32_t *order,
                            uint16_t *kept, size_t *left_out)
{
    size_t chosen = 0;
    for (uint32_t label = 1; label <= count; label++)
        if ((double)sizes[label] >= minimum_voxels)
            order[chosen++] = label;
    qsort_r(order, chosen, sizeof *order, larger_first, sizes);
    if (most > UINT16_MAX)
        most = UINT16_MAX;
    *left_out = chosen > most ? chosen - most : 0;
    chosen -= *left_out;
    for (size_t i = 0; i < chosen; i++)
        kept[order[i]] = (uint16_t)(i + 1);
    return chosen;
}

static void add_voxel(struct mask_component *component, const size_t place[3], float value)
{
    component->voxels++;
    include(&component->box, place);
    for (int axis = 0; axis < 3; axis++)
        component->centroid_mm[axis] += (double)place[axis];
    if (component->voxels == 1 || value > component->peak)
        component->peak = value;
}

// Numbers the voxels as `kept` says and sums up each component.
static void measure(const uint32_t *provisional, const uint16_t *kept, const float *values,
                    const struct image_geometry *geometry, uint16_t *labels, struct mask_component *out, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        out[n] = (struct mask_component){.label = (uint16_t)(n + 1)};
        out[n].box = (struct image_box){.low = {SIZE_MAX, SIZE_MAX, SIZE_MAX}};
    }
    size_t at = 0;
    for (size_t k = 0; k < geometry->slices; k++)
        for (size_t j = 0; j < geometry->rows; j++)
            for (size_t i = 0; i < geometry->columns; i++, at++) {
                labels[at] = provisional[at] ? kept[provisional[at]] : 0;
                if (labels[at])
                    add_voxel(&out[labels[at] - 1], (size_t[3]){k, j, i}, values[at]);
            }
}

static bool components_of(const uint32_t *provisional, size_t *sizes, size_t labels_count, const float *values,
                          const struct image_geometry *geometry, double minimum_ml, size_t most, uint16_t *labels,
                          struct mask_component *out, size_t *count, size_t *left_out, struct error *err)
{
    uint32_t *order = calloc(labels_count + 1, sizeof *order);
    uint16_t *kept = calloc(labels_count + 1, sizeof *kept);
    double *means = calloc(most ? most : 1, sizeof *means);
    bool ok = order && kept && means;
    if (ok) {
        double minimum_voxels = minimum_ml / image_voxel_ml(geometry) - 1e-6;
        *count = choose_labels(sizes, labels_count, minimum_voxels, most, order, kept, left_out);
        measure(provisional, kept, values, geometry, labels, out, *count);
        ok = mask_means(labels, values, image_voxels(geometry), *count, means, err);
        for (size_t n = 0; ok && n < *count; n++) {
            double middle[3];
            for (int axis = 0; axis < 3; axis++)
                middle[axis] = out[n].centroid_mm[axis] / (double)out[n].voxels;
            image_to_patient(geometry, middle, out[n].centroid_mm);
            out[n].volume_ml = (double)out[n].voxels * image_voxel_ml(geometry);
            out[n].mean = (float)means[n];
        }
    } else {
        error_set(err, ERROR_MEMORY, "no memory for %zu components", labels_count);
    }
    free(order);
    free(kept);
    free(means);
    return ok;
}

bool mask_components(const uint8_t *mask, const float *values, const struct image_geometry *geometry, double minimum_ml,
                     size_t most, uint16_t *labels, struct mask_component *out, size_t *count, size_t *left_out,
                     struct error *err)
{
    size_t *sizes, labels_count;
    const size_t size[3] = {geometry->slices, geometry->rows, geometry->columns};
    uint32_t *provisional = malloc(image_voxels(geometry) * sizeof *provisional);
    if (!provisional)
        return error_set(err, ERROR_MEMORY, "no memory to label %zu voxels", image_voxels(geometry));
    bool ok = mask_label(mask, size, provisional, &sizes, &labels_count, err);
    if (ok) {
        ok = components_of(provisional, sizes, labels_count, values, geometry, minimum_ml, most, labels, out, count,
                           left_out, err);
        free(sizes);
    }
    free(provisional);
    return ok;
}

bool mask_means(const uint16_t *labels, const float *values, size_t voxels, size_t count, double *means,
                struct error *err)
{
    size_t *counts = calloc(count + 1, sizeof *counts);
    if (!counts)
        return error_set(err, ERROR_MEMORY, "no memory for the means of %zu components", count);
    memset(means, 0, count * sizeof *means);
    for (size_t at = 0; at < voxels; at++)
        if (labels[at] && labels[at] <= count) {
            means[labels[at] - 1] += (double)values[at];
            counts[labels[at]]++;
        }
    for (size_t n = 0; n < count; n++)
        if (counts[n + 1])
            means[n] /= (double)counts[n + 1];
    free(counts);
    return true;
}

// ---- box

bool mask_box(const uint8_t *mask, const struct image_geometry *geometry, double margin_mm, struct image_box *out)
{
    struct image_box box = {.low = {SIZE_MAX, SIZE_MAX, SIZE_MAX}};
    for (size_t k = 0; k < geometry->slices; k++)
        for (size_t j = 0; j < geometry->rows; j++) {
            const uint8_t *line = mask + (k * geometry->rows + j) * geometry->columns;
            const uint8_t *first = memchr(line, 1, geometry->columns);
            if (!first)
                continue;
            const uint8_t *last = memrchr(line, 1, geometry->columns);
            include(&box, (size_t[3]){k, j, (size_t)(first - line)});
            include(&box, (size_t[3]){k, j, (size_t)(last - line)});
        }
    if (box.high[0] == 0)
        return false;
    const size_t size[3] = {geometry->slices, geometry->rows, geometry->columns};
    for (int axis = 0; axis < 3; axis++) {
        size_t margin = (size_t)fmin(ceil(margin_mm / geometry->spacing_mm[axis]), (double)size[axis]);
        box.low[axis] -= box.low[axis] < margin ? box.low[axis] : margin;
        box.high[axis] = box.high[axis] + margin < size[axis] ? box.high[axis] + margin : size[axis];
    }
    *out = box;
    return true;
}
