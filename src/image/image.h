// The image room: pixels. It never knows where they came from.
//
//   image.h    what a data set says of its pixels, checked (this file)
//   frames.h   from an object to a frame's pixels, whatever the transfer syntax
//   codec.h    encapsulated frames to native ones; run only in the decode child
//   decoder.h  the pool of decode children, from the server's side, and the child's main
//   volume.h   slices to a volume in patient space (mm, LPS)
//   mask.h     masks and label maps: thresholds, morphology, components, measures
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "dicom/dataset.h"

#define IMAGE_FRAME_BYTES_MAX (UINT64_C(4) << 30)
enum { IMAGE_FRAMES_MAX = 1 << 20 };

enum image_color {
    IMAGE_MONOCHROME1,
    IMAGE_MONOCHROME2,
    IMAGE_PALETTE,
    IMAGE_RGB,
    IMAGE_YBR_FULL,
    IMAGE_YBR_FULL_422,
    IMAGE_YBR_PARTIAL_422, // retired
    IMAGE_YBR_ICT,
    IMAGE_YBR_RCT,
    IMAGE_COLOR_OTHER
};

struct image_format {
    uint32_t rows, columns;
    uint32_t frames;
    uint16_t samples;        // per pixel: 1, 3 or 4
    uint16_t bits_allocated; // 1, 8, 16, 32 or 64
    uint16_t bits_stored, high_bit;
    bool is_signed;
    bool is_float;        // Float or Double Float Pixel Data
    bool planar;          // RRR GGG BBB
    bool overlays_inside; // bits outside Bits Stored hold overlays (retired: PS3.5-2004 section 8.1.2), not nothing
    enum image_color color;
    uint64_t frame_bits;  // of one frame in native pixel data, where frames follow each other without a gap
    uint64_t frame_bytes; // of one frame that is given: the same, rounded up
};

// Checks every number against the others and the limits. BAD_VALUE with keyword and value: Rows as another VR, a
// product past 2^32 or IMAGE_FRAME_BYTES_MAX, Bits Allocated 0, 12, 255, Number of Frames -1, 1e9 or "abc" (bad-input
// 15 to 19). NOT_FOUND when the data set has no Rows at all: no image. Absent with a default: Samples per Pixel 1,
// Number of Frames 1 (which is also what 0 stands for), Bits Stored all, High Bit below it. The frame is taken to have
// all its samples, as it has when decoded.
bool image_describe(const struct dicom_dataset *dataset, struct image_format *out, struct error *err);

// What only the length of a native value can tell: whether colours that may be subsampled are (YBR_FULL_422 and
// YBR_PARTIAL_422 have two samples a pixel then, PS3.3 C.7.6.3.1.2; objects are sent that say so and have three, and
// the other way round). Sets color, frame_bits and frame_bytes to what is there. BAD_DATA when neither fits: where a
// frame begins is not known then.
bool image_settle(struct image_format *format, uint64_t value_length, struct error *err);

#endif
