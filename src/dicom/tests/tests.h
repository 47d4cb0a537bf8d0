// What the test files of this room share.
#ifndef DICOM_TESTS_H
#define DICOM_TESTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "dicom/dataset.h"

int run_dictionary_tests(void);
int run_reader_tests(void);
int run_dataset_tests(void);
int run_part10_tests(void);
int run_writer_tests(void);
int run_json_tests(void);
int run_charset_tests(void);
int run_oracle_tests(void);

// A source that gives memory in pieces of `piece` bytes.
struct pieces {
    const uint8_t *data;
    size_t size;
    size_t piece;
};
struct source source_from_pieces(struct pieces *pieces);

// Prints the DICOM JSON of a Part 10 file or bare data set, everything inline. 0, or 1 with a message on stderr.
int print_json(const char *path);

#endif
