// What the tests of this room share: pictures from files.
#ifndef IMAGE_TESTS_SUPPORT_H
#define IMAGE_TESTS_SUPPORT_H

#include "base/arena.h"
#include "base/buffer.h"
#include "dicom/part10.h"
#include "image/image.h"
#include "support/check.h"
#include "support/folder.h"
#include "support/program.h"

#define PYDICOM_FILES "/usr/lib/python3/dist-packages/pydicom/data/test_files/"

struct picture {
    struct buffer file; // Part 10
    struct arena arena;
    struct dicom_meta meta;
    const struct dicom_dataset *dataset;
    const struct dicom_element *pixels;
    struct image_format format;
};

// Reads, parses and describes; fails the test when it cannot, but for a picture whose format is refused: *err is set,
// false.
bool picture_open(struct picture *picture, const char *path, struct error *err);
void picture_close(struct picture *picture);

// The bytes of encapsulated frame `index`, joined; malloc'd.
uint8_t *picture_stream(const struct picture *picture, uint32_t index, size_t *size, struct error *err);

// Frame `index` as native bytes, decoded in this process if need be, planar configuration 0; malloc'd, NULL with *err.
uint8_t *picture_frame(const struct picture *picture, uint32_t index, enum image_color *color, struct error *err);

#endif
