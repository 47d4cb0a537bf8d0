// A real head CT for the tests: made by tools/head-ct, read by this room, and once more by pydicom.
#ifndef IMAGE_TESTS_HEAD_H
#define IMAGE_TESTS_HEAD_H

#include "image/volume.h"
#include "support.h"

#define assert_near(got, want, tolerance) assert_true(fabs((double)(got) - (double)(want)) <= (double)(tolerance))

struct head {
    struct image_geometry geometry;
    int16_t *hu;
};

// The series in a folder, its files taken in the order of their names backwards. Fails the test when it cannot.
void head_read(const char *folder, struct head *out);
void head_free(struct head *head);

// Runs oracle.py with the arguments (NULL-ended); fails the test when it fails.
void ask_oracle(const char *const arguments[]);

// A raw file of exactly `size` bytes, malloc'd.
void *read_raw(const char *path, size_t size);

#endif
