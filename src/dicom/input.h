// What the reader reads from: a source, inflated when the transfer syntax says so, as a window with a position. For
// reader.c only.
#ifndef DICOM_INPUT_H
#define DICOM_INPUT_H

#include <zlib.h>

#include "base/source.h"

enum { DICOM_INPUT_PEEK_MAX = 16, DICOM_INPUT_BLOCK = 64 << 10 };

struct dicom_input {
    struct source source;
    uint64_t position; // bytes handed out so far, of the inflated data set
    const uint8_t *piece;
    size_t piece_size;
    uint8_t carry[DICOM_INPUT_PEEK_MAX]; // bytes of a header that lies across pieces; they come before `piece`
    size_t carry_size;
    bool ended;

    bool deflated;
    bool inflate_ended;
    z_stream inflate;
    uint8_t *block;     // owned: what was inflated
    const uint8_t *raw; // deflated bytes not yet given to zlib
    size_t raw_size;
    uint64_t raw_total;   // deflated bytes taken in
    uint64_t block_total; // bytes inflated
};

bool dicom_input_init(struct dicom_input *input, struct source source, bool deflated, struct error *err);
void dicom_input_close(struct dicom_input *input);

// The next bytes without taking them: at least `need` (up to DICOM_INPUT_PEEK_MAX), fewer only at the end of the
// stream.
bool dicom_input_peek(struct dicom_input *input, size_t need, const uint8_t **data, size_t *size, struct error *err);

// Takes `size` bytes, or what is left of the stream if that is less: *done says how many. `to` may be NULL.
bool dicom_input_take(struct dicom_input *input, void *to, uint64_t size, uint64_t *done, struct error *err);

#endif
