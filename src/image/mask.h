// Masks (bytes 0 or 1) and label maps (uint16_t, 0: background) over a volume, [slice][row][column] as in volume.h: the
// operators that model packages name in their manifests.
//
//     hu --mask_brain--> brain mask --mask_box, image_crop--> part --(graph)--> values --mask_threshold--> mask
//       --mask_erode--> cores --mask_grow--> mask --mask_components--> label map, measures
//
// Distances are in millimetres, so that results do not depend on the sampling, and exact Euclidean ones between voxel
// centres, whatever the spacings. What lies beyond the volume is neither inside nor outside. What an operator needs in
// passing it allocates and frees itself; false is MEMORY where nothing else is said. Outputs may not overlap inputs but
// where it is said.
#ifndef IMAGE_MASK_H
#define IMAGE_MASK_H

#include "image/volume.h"

// ---- the inside of the skull

struct mask_brain_options {
    double bone_hu;   // harder is bone
    double margin_mm; // the mask keeps more than this from bone, calcifications too
    double enclosure; // part of the 26 directions in which a ray from a place inside ends in bone
    double
        core_mm; // what is inside is at least twice this thick somewhere, and its openings (orbits, ear canals) thinner
};

// What the skull holds, from HU. Found on blocks of about 3 mm: soft tissue from which most rays end in bone; of it the
// largest piece that is core_mm deep, grown back; then at full size what is away from bone and is image data. Rays that
// leave the volume, or reach what is no image data (IMAGE_NO_DATA_HU), while in tissue do not count, so that heads cut
// off at an end, in any orientation, and skulls with a hole (craniotomy) are found too. CONFLICT when no skull is
// found. *median_hu: of the mask's voxels from -20 to 100 HU (without air, fat and calcium), in whole HU.
bool mask_brain(const int16_t *hu, const struct image_geometry *geometry, const struct mask_brain_options *options,
                uint8_t *out, float *median_hu, struct error *err);

// What a mask may touch of where the images end, and still be of a whole head. By how much of its surface a head is cut
// decides whether its mirror plane is its middle, and whether what was not found may have been beyond.
struct mask_tolerances {
    double cut_mm2;  // more is a cut. It is a cap 4.5 mm deep of a head of 14 cm, which moves the middle by less than
                     // that. Spinal canal and eyes, where padding begins at the skin, are 10 to 14 cm2
    double sideways; // the ends of the stack count where its normal has this much of the patient's left
};
extern const struct mask_tolerances mask_tolerances;

// How many square millimetres of the mask's surface lie where the images end sideways: at the picture's edge, or at
// what is no image data in `hu`. The stack's first and last slices cut a head too, but at top or base; they count only
// where they cut it at its sides.
double mask_cut_mm2(const uint8_t *mask, const int16_t *hu, const struct image_geometry *geometry);

// The smallest box around the mask, widened by margin_mm within the volume. false when the mask is empty.
bool mask_box(const uint8_t *mask, const struct image_geometry *geometry, double margin_mm, struct image_box *out);

// The plane between the halves of a mask that has a left and a right, such as the brain: the one, turned by up to 38
// degrees about the patient's axes, in which the mask mirrors itself best; of a mask that is cut (mask_cut_mm2) it is
// not the patient's middle. CONFLICT when the mask is too small or
// empty.
struct mask_midplane {
    double normal[3]; // unit, to the patient's left
    double offset_mm;
};
bool mask_midplane_of(const uint8_t *mask, const struct image_geometry *geometry, struct mask_midplane *out,
                      struct error *err);
double mask_left_mm(const struct mask_midplane *plane, const double patient_mm[3]); // negative: right

// ---- morphology

// out = 1 where allowed (NULL: everywhere) and value >= low. `out` may be `allowed`.
void mask_threshold(const float *values, const uint8_t *allowed, size_t voxels, float low, uint8_t *out);

// Of each voxel of the mask the distance to the nearest voxel outside it, 0 outside; larger ones are limit_mm.
bool mask_distance(const uint8_t *mask, const struct image_geometry *geometry, double limit_mm, float *out_mm,
                   struct error *err);

// Voxels within radius_mm of the mask (dilate), or of it further than radius_mm from its outside (erode). `out` may be
// `mask`.
bool mask_dilate(const uint8_t *mask, const struct image_geometry *geometry, double radius_mm, uint8_t *out,
                 struct error *err);
bool mask_erode(const uint8_t *mask, const struct image_geometry *geometry, double radius_mm, uint8_t *out,
                struct error *err);

// ---- cores to regions

struct mask_grow_options {
    double reach_mm; // a region is within this of its core
    double shell_mm; // the background is measured in a shell of this thickness behind it
    double fraction; // of the way from the background (median of the shell) up to the core (mean): the region's border
    double open_mm;  // what hangs on by less than twice this is cut off
};

enum { MASK_CORES_MAX = 64 }; // the largest; further ones are left out

// Each 26-connected core to the region around it at its own height, so that a region's volume does not depend on how
// far it stands out. `out` is the union; *left_out is how many cores past the limit it has nothing of.
bool mask_grow(const uint8_t *cores, const float *values, const uint8_t *allowed, const struct image_geometry *geometry,
               const struct mask_grow_options *options, uint8_t *out, size_t *left_out, struct error *err);

// ---- components

struct mask_component {
    uint16_t label; // from 1, largest first; of equal ones the first in index order
    size_t voxels;
    double volume_ml;
    double centroid_mm[3]; // patient space
    struct image_box box;
    float mean, peak; // of `values`
};

// 26-connected components of at least minimum_ml, the `most` largest of them, labelled by falling volume; *left_out is
// how many more there are. `values` is what mean and peak are of.
bool mask_components(const uint8_t *mask, const float *values, const struct image_geometry *geometry, double minimum_ml,
                     size_t most, uint16_t *labels, struct mask_component *out, size_t *count, size_t *left_out,
                     struct error *err);

// Mean of other values over the labels 1 to `count`; 0 for a label without voxels.
bool mask_means(const uint16_t *labels, const float *values, size_t voxels, size_t count, double *means,
                struct error *err);

#endif
