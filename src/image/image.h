// The image room: pixels. It never knows where they came from.
//
//   image.h    what a data set says of its pixels, checked; native frames; (this file)
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
    bool is_float; // Float or Double Float Pixel Data
    bool planar;   // RRR GGG BBB
    enum image_color color;
    uint64_t frame_bytes; // of one native frame; of 1-bit frames rounded up
};

// Checks every number against the others and the limits. BAD_VALUE with keyword and value: Rows as another VR, a
// product past 2^32 or IMAGE_FRAME_BYTES_MAX, Bits Allocated 0, 12, 255, Number of Frames -1, 1e9 or "abc" (bad-input
// 15 to 19). NOT_FOUND when the data set has no Rows at all: no image. Absent with a default: Samples per Pixel 1,
// Number of Frames 1, Bits Stored all, High Bit below it.
bool image_describe(const struct dicom_dataset *dataset, struct image_format *out, struct error *err);

// Where native frame `index` (from 0) is inside the pixel data element's value, both in bits for 1-bit images. BAD_DATA
// when the value is too short for it. Native YBR_FULL_422 has two samples a pixel, so its size is two thirds of
// frame_bytes.
bool image_native_frame(const struct image_format *format, uint64_t value_length, uint32_t index, uint64_t *offset,
                        uint64_t *size, struct error *err);

// Which fragments make encapsulated frame `index`: pixels->fragments[*first] to [*first + *count - 1], the basic offset
// table being fragments[0]. `bot` is that table's value (may be NULL), `bot_size` its bytes. From the table when it is
// not empty: one that does not agree with the fragments is BAD_DATA (bad-input 38). Else one fragment a frame, else
// (one frame) all, else BAD_DATA, for frames without table could only be told apart by decoding. BAD_DATA too when a
// fragment of the frame is empty (39).
bool image_fragments_of(const struct dicom_element *pixels, uint32_t frames, const uint8_t *bot, size_t bot_size,
                        uint32_t index, size_t *first, size_t *count, struct error *err);

#endif
