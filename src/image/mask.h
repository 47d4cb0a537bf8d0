// Masks (bytes 0 or 1) and label maps (uint16_t, 0: background) over a volume, [slice][row][column] as in volume.h: the operators that model packages name in their manifests.
// Distances are in millimetres, so that results do not depend on the sampling. Nothing here allocates but from the given arena; false is MEMORY (or LIMIT of the arena).
#ifndef IMAGE_MASK_H
#define IMAGE_MASK_H

#include "image/volume.h"

// The inside of the skull, from HU: bone shell, closed, filled in 3-D and per slice from outside, the largest inner component, eroded by margin_mm from the shell. Works for any patient orientation and for heads cut off at either end.
// CONFLICT when no skull is found. *median_hu: the median HU of the voxels of the mask between 0 and 80 HU (brain tissue).
bool mask_brain(const float *hu, const struct image_geometry *geometry, double margin_mm, struct arena *arena,
                uint8_t *out, float *median_hu, struct error *err);

struct mask_component {
    uint16_t label; // from 1, largest first
    size_t voxels;
    double volume_ml;
    double centroid_mm[3];  // patient space
    size_t low[3], high[3]; // bounding box, inclusive, [slice, row, column]
    float mean, peak;       // of `values`
};

// 26-connected components of at least minimum_ml, at most `most` of them, labelled by falling volume. `values` is what mean and peak are of.
bool mask_components(const uint8_t *mask, const float *values, const struct image_geometry *geometry, double minimum_ml,
                     size_t most, struct arena *arena, uint16_t *labels, struct mask_component *out, size_t *count,
                     struct error *err);

// Voxels within radius_mm of the mask (dilate), or of its outside (erode); exact Euclidean distance (Felzenszwalb and Huttenlocher, 2012), anisotropic.
bool mask_dilate(const uint8_t *mask, const struct image_geometry *geometry, double radius_mm, struct arena *arena,
                 uint8_t *out, struct error *err);
bool mask_erode(const uint8_t *mask, const struct image_geometry *geometry, double radius_mm, struct arena *arena,
                uint8_t *out, struct error *err);

#endif
