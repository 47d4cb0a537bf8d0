// Slices of one series to a volume in patient space: LPS, millimetres (PS3.3 C.7.6.2).
//
// Index order is [slice][row][column], columns fastest. Slices rise along the normal row_direction x column_direction.
// patient = origin + column * spacing[2] * row_direction + row * spacing[1] * column_direction + slice * spacing[0] * normal   (row_direction: the direction in which the column index rises)
#ifndef IMAGE_VOLUME_H
#define IMAGE_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "dicom/dataset.h"

enum { IMAGE_SLICES_MAX = 4096 };

struct image_geometry {
    size_t slices, rows, columns;
    double spacing_mm[3];       // between slices, rows, columns
    double origin_mm[3];        // centre of voxel [0][0][0], LPS
    double row_direction[3];    // unit; x y z of patient for a step of one column
    double column_direction[3]; // unit; for a step of one row
    double normal[3];           // row_direction x column_direction
};

// What one slice's data set says. Texts are not kept.
struct image_slice {
    uint32_t rows, columns;
    double position_mm[3];
    double row_direction[3], column_direction[3];
    double pixel_spacing_mm[2]; // between rows, between columns
    double slope, intercept;    // modality LUT to HU; 1, 0 when absent
    bool is_signed;
    uint16_t bits_allocated, bits_stored, high_bit;
    int64_t padding_low, padding_high; // Pixel Padding Value and Range Limit; low > high when absent
    size_t index;                      // the caller's: which object
};

// BAD_VALUE naming the attribute when something needed is missing or makes no sense.
bool image_slice_read(const struct dicom_dataset *dataset, struct image_slice *out, struct error *err);

// Sorts `slices` along the normal and checks that they make a volume: same size, orientation and spacing (1e-4, 1 %), no two at one place, gaps equal within 1 % of the median or 0.05 mm. CONFLICT says what does not fit and where ("gap of 6.0 mm
// between slices 12 and 13, 3.0 mm elsewhere"). At least 2 slices.
bool image_geometry_of(struct image_slice *slices, size_t count, struct image_geometry *out, struct error *err);

// One slice's native little-endian pixels (rows * columns * bits_allocated / 8 bytes) to HU in `out` [rows][columns]. Padding becomes -1024 (or the intercept, when lower).
void image_slice_to_hu(const struct image_slice *slice, const uint8_t *pixels, float *out);

// Voxel (slice, row, column; fractions allowed) to patient space, and back.
void image_to_patient(const struct image_geometry *geometry, const double voxel[3], double patient_mm[3]);
void image_from_patient(const struct image_geometry *geometry, const double patient_mm[3], double voxel[3]);

double image_voxel_ml(const struct image_geometry *geometry); // of one voxel

#endif
