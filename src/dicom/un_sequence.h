// A sequence that was sent as UN of known length, which holds implicit VR little endian (PS3.5 section 6.2.2, note 2),
// as a data set that has this one element: header, then value. For dataset.c and text_check.c.
#ifndef DICOM_UN_SEQUENCE_H
#define DICOM_UN_SEQUENCE_H

#include "base/source.h"
#include "dicom/dicom.h"

enum { UN_SEQUENCE_HEADER = 8 };

struct un_sequence {
    uint8_t header[UN_SEQUENCE_HEADER];
    const uint8_t *value;
    size_t size;
    int step;
};

// `un` and `value` must outlive the source.
struct source un_sequence(struct un_sequence *un, dicom_tag tag, const uint8_t *value, uint32_t size);

#endif
