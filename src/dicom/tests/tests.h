// What the test files of this room share.
#ifndef DICOM_TESTS_H
#define DICOM_TESTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "dicom/dataset.h"
#include "support/check.h"
#include "support/folder.h"
#include "support/program.h"

int run_dictionary_tests(void);
int run_reader_tests(void);
int run_dataset_tests(void);
int run_part10_tests(void);
int run_writer_tests(void);
int run_json_tests(void);
int run_charset_tests(void);
int run_compare_tests(void);
int run_date_tests(void);
int run_oracle_tests(void);

// A source that gives memory in pieces of `piece` bytes.
struct pieces {
    const uint8_t *data;
    size_t size;
    size_t piece;
};
struct source source_from_pieces(struct pieces *pieces);

// Elements by hand, also such as the writer would not write. Explicit VR little endian unless named otherwise; a buffer
// of its own limit.
void put_explicit(struct buffer *out, dicom_tag tag, const char *vr, const void *value, size_t size);
void put_header(struct buffer *out, dicom_tag tag, const char *vr, uint32_t length);
void put_implicit(struct buffer *out, dicom_tag tag, const void *value, size_t size);
void put_item_tag(struct buffer *out, dicom_tag tag, uint32_t length);

#define ITEM DICOM_TAG(0xFFFE, 0xE000)
#define ITEM_END DICOM_TAG(0xFFFE, 0xE00D)
#define SEQUENCE_END DICOM_TAG(0xFFFE, 0xE0DD)
#define UNDEFINED UINT32_C(0xFFFFFFFF)

// Parses all of `bytes` with the standard options; asserts success.
const struct dicom_dataset *parse_bytes(const struct buffer *bytes, const char *syntax, struct arena *arena);

#endif
