// Part 10 files (PS3.10 section 7): 128 bytes of preamble, "DICM", file meta information in explicit VR little endian,
// data set.
#ifndef DICOM_PART10_H
#define DICOM_PART10_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/source.h"
#include "dicom/dicom.h"

enum { DICOM_PREAMBLE_SIZE = 128, DICOM_META_SIZE_MAX = 64 << 10 };

struct dicom_meta {
    char sop_class[DICOM_UID_SIZE];       // (0002,0002); "" when absent
    char sop_instance[DICOM_UID_SIZE];    // (0002,0003)
    char transfer_syntax[DICOM_UID_SIZE]; // (0002,0010)
    char source_ae[DICOM_AE_SIZE];        // (0002,0016)
    uint64_t data_offset;                 // of the data set in the file
    // no meta information told it: the transfer syntax was found by looking at the data set
    bool guessed;
    bool has_preamble; // the first DICOM_PREAMBLE_SIZE bytes of the file, which may hold anything
};

// Reads preamble and meta information at the start of `data`, of which `size` bytes (DICOM_META_SIZE_MAX +
// DICOM_PREAMBLE_SIZE + 4 are always enough) are at hand. The meta information may also be in implicit VR or
// big-endian. A wrong group length is passed over. Without "DICM" a data set at once (with or without preamble) is
// recognised by its first elements in implicit or explicit little endian or explicit big endian; so is one behind meta
// information that names no transfer syntax, where implicit VR is taken in doubt. UNSUPPORTED when it is no DICOM;
// BAD_DATA when it is damaged DICOM: empty, meta cut off, an unknown VR in group 2 that is no length either, nothing
// behind "DICM".
bool dicom_meta_parse(const uint8_t *data, size_t size, struct dicom_meta *out, struct error *err);

// A DICOMDIR: a directory of the files beside it (PS3.3 Annex F). It has no identity of its own and is no object.
bool dicom_meta_is_directory(const struct dicom_meta *meta);

// Appends 128 zero bytes, "DICM" and the meta information (PS3.10 Table 7.1-1) with Hilum's implementation UID.
// data_offset is not read.
void dicom_meta_write(struct buffer *out, const struct dicom_meta *meta);

#endif
