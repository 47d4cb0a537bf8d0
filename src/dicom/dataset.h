// A data set as a tree in an arena, and typed access to its values.
//
// Elements stand in the order of the stream. Large values are not loaded: they keep their place in the stream (offset,
// length), and who needs them reads them there. Text access converts to UTF-8 with the Specific Character Set in force
// at that place and trims what the VR says is padding.
#ifndef DICOM_DATASET_H
#define DICOM_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/reader.h"
#include "dicom/dicom.h"

struct dicom_dataset;

struct dicom_element {
    dicom_tag tag;
    enum dicom_vr vr;
    bool vr_from_dictionary; // the stream did not say it: implicit VR, or sent as UN
    bool big_endian;
    bool undefined_length;        // as it stood in the stream (sequences, fragments)
    uint32_t length;              // of the value in bytes; 0 for a sequence
    uint64_t offset;              // of the value in the (inflated) data set
    uint64_t tag_offset;          // of the element itself
    const uint8_t *value;         // `length` bytes, or NULL when not loaded (or empty)
    struct dicom_dataset **items; // of a sequence; NULL-ended by count
    size_t item_count;
    struct dicom_fragment *fragments; // of encapsulated pixel data, basic offset table first
    size_t fragment_count;
};

struct dicom_fragment {
    uint64_t offset;
    uint32_t length;
};

struct dicom_dataset {
    struct dicom_element *elements; // in stream order
    size_t count;
    // of an item; NULL at the top: where an item without (0008,0005) inherits it from
    const struct dicom_dataset *parent;
    bool sorted; // tags rise: look-ups are binary
    // At the top, as the options have it.
    const char *charset;
    bool unreadable; // some text in it, kept or not, cannot be read in its character set; where check_text was asked
};

struct dicom_parse_options {
    size_t value_max;   // longer values are left in the stream, but for (0008,0005)
    unsigned depth_max; // sequences at this depth and deeper are checked, and stay without items (0: no item at all)
    // end before (7FE0,0008), (7FE0,0009) or (7FE0,0010) at the top level; the rest is not looked at
    bool stop_at_pixels;
    // what text is in where (0008,0005) says no more than the default repertoire, or nothing that is known
    // (struct dicom_charset); copied. NULL or "": not known
    const char *charset;
    bool check_text;
};

// Parses a whole data set from `source` into `arena`. An element sent as UN that the dictionary knows gets the
// dictionary's VR; its sequences are read as implicit VR where that works. On success *out lives as long as the arena.
// LIMIT when the arena is full. With the options NULL: values up to 64 KiB, all depths. On failure nothing but the
// arena's space is used.
bool dicom_parse(struct source source, const struct dicom_transfer_syntax *syntax,
                 const struct dicom_parse_options *options, struct arena *arena, const struct dicom_dataset **out,
                 struct error *err);

// NULL when absent. With a tag twice, the first.
const struct dicom_element *dicom_find(const struct dicom_dataset *dataset, dicom_tag tag);

// The first item of a sequence; NULL when there is none.
const struct dicom_dataset *dicom_item(const struct dicom_dataset *dataset, dicom_tag sequence, size_t index);

// The element's text, all values with their backslashes, as UTF-8 in `arena`. NULL when absent, not loaded, no text VR,
// or the arena is full; "" when empty.
const char *dicom_text(const struct dicom_dataset *dataset, dicom_tag tag, struct arena *arena);

// One value of it, trimmed. NULL past the last.
const char *dicom_text_at(const struct dicom_dataset *dataset, dicom_tag tag, size_t index, struct arena *arena);

// As dicom_text_at(…, 0, …), but into a fixed place; false (and "") when absent or it does not fit.
bool dicom_text_copy(const struct dicom_dataset *dataset, dicom_tag tag, char *to, size_t capacity);

// Bytes of the element's value, [offset, offset + size), as they are in little-endian order whichever they were sent
// in: of the loaded value, else from `reader`, which has the data set's bytes. BAD_DATA when they lie past the value's
// end. Of a deflated data set only what was loaded has a place: give NULL for its reader, and what was not is
// ERROR_LIMIT.
bool dicom_value_read(const struct dicom_element *element, const struct reader *reader, uint64_t offset, size_t size,
                      void *out, struct error *err);

// Numbers: from US SS UL SL UV SV FL FD AT and from IS and DS text. false when there is no such value or it is no
// number of that kind.
bool dicom_integer(const struct dicom_dataset *dataset, dicom_tag tag, size_t index, int64_t *out);
bool dicom_number(const struct dicom_dataset *dataset, dicom_tag tag, size_t index, double *out);

// How many values the element has; 0 when absent or empty.
size_t dicom_value_count(const struct dicom_dataset *dataset, dicom_tag tag);

// The VR that a "US or SS" element has in this data set, from Pixel Representation (0028,0103) here or in a parent;
// other VRs as they are.
enum dicom_vr dicom_effective_vr(const struct dicom_dataset *dataset, const struct dicom_element *element);

#endif
