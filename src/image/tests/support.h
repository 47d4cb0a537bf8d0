// What the tests of this room share: pictures from files, and other people's programs.
#ifndef IMAGE_TESTS_SUPPORT_H
#define IMAGE_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "dicom/part10.h"
#include "image/image.h"

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

// A folder of its own under /tmp for the test's files, made once and removed at exit. Returns a path in it, from a ring
// of static buffers.
const char *temporary(const char *name);

// Runs a program, without its output; the exit status, -1 when it was killed or is not there.
int run_quietly(const char *const argv[]);

#endif
