// Inside the archive room: two objects that came under one SOP Instance UID (archive.h says what is compared).
#ifndef ARCHIVE_COMPARE_H
#define ARCHIVE_COMPARE_H

#include "archive/archive.h"
#include "dicom/compare.h"
#include "image/decoder.h"

enum {
    COMPARE_SHOWN = 16,              // differences that are kept of two objects
    COMPARE_SEEN = 256,              // that are looked at; more may mean anything
    COMPARE_MEMORY = 32 << 20,       // both data sets without their pixels
    COMPARE_FRAME_BYTES = 128 << 20, // of a frame that is decoded to be compared
    COMPARE_SECONDS = 20,            // of two objects; a sender waits for its answer
};

enum compare_result { COMPARE_SAME, COMPARE_ATTRIBUTES, COMPARE_MEANING, COMPARE_PIXELS, COMPARE_UNKNOWN };

struct compare_side {
    struct reader reader; // of the data set as it was sent; not released here
    const char *transfer_syntax;
    const char *charset; // what text is in where the object does not say so; "" not known
};

struct compare {
    enum compare_result result;
    struct archive_difference differences[COMPARE_SHOWN]; // said: `newer`; in the arena given
    size_t count;                                         // of those kept
    char reason[ERROR_MESSAGE_SIZE];                      // of COMPARE_UNKNOWN: why they could not be compared
};

// `decoder` may be NULL: compressed pixels that are not byte for byte the same are not compared then. What cannot be
// read, decoded or held is COMPARE_UNKNOWN, never an error; false when `arena` is full.
bool compare_objects(const struct compare_side *newer, const struct compare_side *known, struct image_decoder *decoder,
                     struct arena *arena, struct compare *out, struct error *err);

#endif
