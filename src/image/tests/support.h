// What the tests of this room share: pictures from files.
#ifndef IMAGE_TESTS_SUPPORT_H
#define IMAGE_TESTS_SUPPORT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "dicom/part10.h"
#include "image/frames.h"
#include "support/check.h"
#include "support/folder.h"
#include "support/program.h"

#define PYDICOM_FILES "/usr/lib/python3/dist-packages/pydicom/data/test_files/"

// What an Image Pixel module says, in the order of its elements. What is NULL or below 0 is left out.
struct wanted {
    const char *photometric, *frames;
    int samples, planar, rows, columns, allocated, stored, high, is_signed;
    uint32_t rows_as_ul;
};

extern const struct wanted ct_slice; // 4 rows of 6 pixels, 12 bits of 16, signed

// An element in explicit VR, and that module (group 0028H alone).
void put_element(struct buffer *out, bool big_endian, dicom_tag tag, const char *vr, const void *value, uint32_t size);
void put_image(struct buffer *out, const struct wanted *wanted, bool big_endian);

// One frame of one sample a pixel, right-aligned.
struct image_format gray(uint32_t rows, uint32_t columns, unsigned stored, unsigned allocated, bool is_signed);

// A Part 10 file of that image, for other people's programs: `size` bytes of native pixels, or of the one frame's code
// stream, by the transfer syntax.
void save_picture(const char *path, const struct wanted *wanted, const char *syntax, const void *pixels, size_t size);

struct picture {
    struct buffer file; // Part 10
    struct arena arena;
    struct dicom_meta meta;
    const struct dicom_dataset *dataset;
    struct image_format format;
    struct image_frames frames; // opened by picture_open, but for a picture without pixels
};

// Reads, parses and describes; fails the test when it cannot, but for a picture whose format is refused: *err is set,
// false.
bool picture_open(struct picture *picture, const char *path, struct error *err);
void picture_close(struct picture *picture);

// The bytes of encapsulated frame `index`, joined; malloc'd.
uint8_t *picture_stream(struct picture *picture, uint32_t index, size_t *size, struct error *err);

// Frame `index` as native bytes, decoded in this process if need be, planar configuration 0; malloc'd, NULL with *err.
uint8_t *picture_frame(struct picture *picture, uint32_t index, enum image_color *color, struct error *err);

#endif
