// Two passes over a forest of provisional labels (union-find).
#include "image/mask_label.h"

#include <stdlib.h>
#include <string.h>

static uint32_t find_root(uint32_t *parents, uint32_t label)
{
    while (parents[label] != label) {
        parents[label] = parents[parents[label]];
        label = parents[label];
    }
    return label;
}

// The smaller one stays the root, so that roots are first voxels' labels.
static uint32_t join(uint32_t *parents, uint32_t a, uint32_t b)
{
    a = find_root(parents, a);
    b = find_root(parents, b);
    if (a < b)
        return parents[b] = a;
    return parents[a] = b;
}

// The label that the neighbours before voxel (k, j, i) in index order give it; 0 when none has one.
static uint32_t label_from_before(const uint32_t *labels, const size_t size[3], size_t k, size_t j, size_t i,
                                  uint32_t *parents)
{
    uint32_t label = 0;
    size_t first = i ? i - 1 : 0, last = i + 1 < size[2] ? i + 1 : i;
    for (size_t z = k ? k - 1 : 0; z <= k; z++) {
        size_t rows_end = z < k && j + 1 < size[1] ? j + 1 : j;
        for (size_t y = j ? j - 1 : 0; y <= rows_end; y++) {
            const uint32_t *line = labels + (z * size[1] + y) * size[2];
            bool own_line = z == k && y == j;
            for (size_t x = first; x <= (own_line ? i : last); x++)
                if (line[x] && !(own_line && x == i))
                    label = label ? join(parents, label, line[x]) : line[x];
        }
    }
    return label;
}

static uint32_t label_provisionally(const uint8_t *mask, const size_t size[3], uint32_t *labels, uint32_t *parents)
{
    uint32_t last = 0;
    size_t at = 0;
    memset(labels, 0, size[0] * size[1] * size[2] * sizeof *labels);
    for (size_t k = 0; k < size[0]; k++)
        for (size_t j = 0; j < size[1]; j++)
            for (size_t i = 0; i < size[2]; i++, at++) {
                if (!mask[at])
                    continue;
                labels[at] = label_from_before(labels, size, k, j, i, parents);
                if (!labels[at]) {
                    labels[at] = ++last;
                    parents[last] = last;
                }
            }
    return last;
}

bool mask_label(const uint8_t *mask, const size_t size[3], uint32_t *labels, size_t **sizes, size_t *count,
                struct error *err)
{
    // No two voxels that begin a label touch, so each block of 2 x 2 x 2 has at most one.
    size_t most = (size[0] + 1) / 2 * ((size[1] + 1) / 2) * ((size[2] + 1) / 2);
    uint32_t *parents = most < UINT32_MAX ? calloc(most + 1, sizeof *parents) : NULL;
    if (!parents)
        return error_set(err, ERROR_MEMORY, "no memory for %zu labels", most);
    uint32_t last = label_provisionally(mask, size, labels, parents);

    // A parent's number is never above its children's: going up, it has its final number already.
    uint32_t roots = 0;
    for (uint32_t label = 1; label <= last; label++)
        parents[label] = parents[label] == label ? ++roots : parents[parents[label]];
    size_t *voxels = calloc((size_t)roots + 1, sizeof *voxels);
    if (!voxels) {
        free(parents);
        return error_set(err, ERROR_MEMORY, "no memory for %u labels", roots);
    }
    for (size_t at = 0; at < size[0] * size[1] * size[2]; at++)
        if (labels[at]) {
            labels[at] = parents[labels[at]];
            voxels[labels[at]]++;
        }
    free(parents);
    *sizes = voxels;
    *count = roots;
    return true;
}
