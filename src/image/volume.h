// Slices of one series to a volume in patient space: LPS, millimetres (PS3.3 C.7.6.2).
//
// Index order is [slice][row][column], columns fastest. Slices rise along the normal row_direction x column_direction.
// patient = origin + column * spacing[2] * row_direction + row * spacing[1] * column_direction
//                  + slice * spacing[0] * normal
// (row_direction: the direction in which the column index rises)
//
// A volume may be worked on in part: first made coarser by whole factors (image_bin), then cut to a box (image_crop);
// struct image_part says which part it is, and image_paste_labels brings a label map back.
#ifndef IMAGE_VOLUME_H
#define IMAGE_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "dicom/dataset.h"

enum {
    IMAGE_SLICES_MAX = 4096,
    // Stands in a volume where there is no image data (padding, PS3.3 C.7.5.1.1.2): a value that no tissue has.
    IMAGE_NO_DATA_HU = INT16_MIN
};

struct image_geometry {
    size_t slices, rows, columns;
    double spacing_mm[3];       // between slices, rows, columns
    double origin_mm[3];        // centre of voxel [0][0][0], LPS
    double row_direction[3];    // unit; x y z of patient for a step of one column
    double column_direction[3]; // unit; for a step of one row
    double normal[3];           // row_direction x column_direction
};

// What one slice's data set says.
struct image_slice {
    uint32_t rows, columns;
    double position_mm[3];
    double row_direction[3], column_direction[3];
    double pixel_spacing_mm[2]; // between rows, between columns
    double slope, intercept;    // modality LUT to HU; 1, 0 when absent, which of CT is refused
    bool is_signed;
    uint16_t bits_allocated, bits_stored, high_bit; // 8 or 16 allocated
    int64_t padding_low, padding_high; // Pixel Padding Value and Range Limit as stored values; low > high when absent
    bool padding_is_wide;              // they have more bits than are stored: what is compared is the whole pixel cell
    bool is_ct;
    bool has_comma;                          // a number was written with a decimal comma and read with a point
    char frame_of_reference[DICOM_UID_SIZE]; // "" when absent
    size_t index;                            // the caller's: which object
};

// BAD_VALUE naming the attribute when something needed is missing or makes no sense, of CT Rescale Slope and Intercept
// too (both Type 1, PS3.3 C.8.2.1), and the value where it is no number; a single comma in a number is read as the
// decimal point that it stands for. UNSUPPORTED for colour, palettes, pixels of other than 8 or 16 bits, several
// frames, a Modality LUT, and CT whose Rescale Type is not HU.
bool image_slice_read(const struct dicom_dataset *dataset, struct image_slice *out, struct error *err);

// What slices of one volume may differ by. Writers round positions to a tenth of a millimetre and directions to three
// digits, which must not make a gap or a tilt; a missing slice must.
struct image_tolerances {
    double direction;        // of each component of two unit vectors
    double right_angle;      // cosine between row and column direction
    double length;           // of a unit vector as written
    double spacing;          // of two pixel spacings, of two gaps: a share of them
    double gap_mm;           // of two gaps, where the share is less: positions rounded to .1 mm on one axis (an oblique
                             // normal has several)
    double gap_share;        // of the median gap, that a gap may never be off by: half a slice is missing then
    double same_place_mm;    // slices nearer than this are at one place
    double same_place_share; // but never farther apart than this share of the widest gap
    double place_mm;         // of a slice to its place in an even stack, along it and aside
    double tilt;             // mm aside for each mm along the stack, beside place_mm
};
extern const struct image_tolerances image_tolerances;

// Are two slices of one orientation; of one pixel spacing?
bool image_slices_turned_alike(const struct image_slice *a, const struct image_slice *b);
bool image_slices_spaced_alike(const struct image_slice *a, const struct image_slice *b);

// Sorts `slices` along the normal and checks that they make a volume, within the tolerances: same frame of reference,
// size, orientation and spacing, no two at one place, even gaps, each at its place in an even stack, along it and aside
// (a tilted gantry shears). The directions are the slices' mean, the spacing is the mean gap. CONFLICT says what does
// not fit and where ("gap of 6.00 mm between slices 12 and 13, 3.00 mm elsewhere"; slices count from 1 in sorted
// order). At least 2 slices, at most IMAGE_SLICES_MAX.
bool image_geometry_of(struct image_slice *slices, size_t count, struct image_geometry *out, struct error *err);

// One slice's native little-endian pixels (rows * columns * bits_allocated / 8 bytes) to HU in `out` [rows][columns],
// rounded and held within int16_t. Padding becomes IMAGE_NO_DATA_HU, of CT also what is not told: from the ends of a
// row on the value of a corner of the picture, if that is not as dense as air, or beyond the circle that a scanner
// reconstructs, where even air is none; and what is as thin as air from the picture's edge to where soft tissue begins
// without any skin before it, if that is more than a whole head has of such. How many pixels were past int16_t and so
// are not what the slice says.
size_t image_slice_to_hu(const struct image_slice *slice, const uint8_t *pixels, int16_t *out);

// Voxel (slice, row, column; fractions allowed) to patient space, and back.
void image_to_patient(const struct image_geometry *geometry, const double voxel[3], double patient_mm[3]);
void image_from_patient(const struct image_geometry *geometry, const double patient_mm[3], double voxel[3]);

size_t image_voxels(const struct image_geometry *geometry);
double image_voxel_ml(const struct image_geometry *geometry); // of one voxel

// The part of a volume that is worked on: voxel [k][j][i] of the part is the mean of the factor[0] x factor[1] x
// factor[2] voxels of the whole from [(low[0] + k) * factor[0]][...][...] on.
struct image_part {
    size_t factor[3]; // slices, rows, columns; at least 1
    size_t low[3];
};

// By how much a volume can be made coarser with no spacing past coarsest_mm (slices, rows, columns): factors, and the
// geometry after it. Voxels that make no whole block at the end are left out.
void image_bin_plan(const struct image_geometry *geometry, const double coarsest_mm[3], struct image_part *part,
                    struct image_geometry *out);
// Block means of `hu` into `out`, of the planned geometry, rounded; IMAGE_NO_DATA_HU where any voxel of the block is.
// `out` may be `hu`.
void image_bin(const int16_t *hu, const struct image_geometry *geometry, const size_t factor[3], int16_t *out);

// A box of voxels, low inclusive, high exclusive: [slice, row, column].
struct image_box {
    size_t low[3], high[3];
};

void image_crop_geometry(const struct image_geometry *geometry, const struct image_box *box,
                         struct image_geometry *out);
// Copies the box out of a volume of elements of `size` bytes each. `to` may be `from`.
void image_crop(const void *from, size_t size, const struct image_geometry *geometry, const struct image_box *box,
                void *to);

// Labels of a part to the whole, 0 elsewhere.
void image_paste_labels(const uint16_t *labels, const struct image_geometry *part_geometry,
                        const struct image_part *part, const struct image_geometry *whole, uint16_t *out);

#endif
