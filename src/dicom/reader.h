// A pull parser for data sets in any transfer syntax: one event a call, in constant memory, over a stream that may be
// hostile.
//
// It checks structure, and what an object is filed under; values are bytes. What is refused (BAD_DATA, with tag and
// byte offset):
//   more than DICOM_DEPTH_MAX nested sequences; an undefined-length sequence or item without its delimiter; an item or
//   element longer than what encloses it; a delimiter where none is due; undefined length on a VR that may not have it
//   (PS3.5 section 6.2, 7.1.3); a value past the end of the stream; at the top level two SOP, Study or Series Instance
//   UIDs or Patient IDs with different values; an unknown VR in group 2; a data set whose encoding is not that of its
//   transfer syntax (implicit sent as explicit: two bytes that are no VR and may be a length, anywhere; the reverse: a
//   known VR in place of the first element's length); bytes that are no element behind the last one.
// What is accepted: odd lengths, tags out of order, wrong group lengths, an unknown VR of two upper-case letters
// outside group 2 (read with a 32-bit length, as PS3.5 section 6.2 demands of future ones, where that can be), a VR of
// anything else in an element that stands in its order (the dictionary's VR; see reader_header.c), UN of undefined
// length holding implicit VR little endian (PS3.5 section 6.2.2, note 2), zero padding or gzip's trailer behind a
// deflated data set, a length other than 0 on a delimiter (ignored), a delimiter as the last thing in an item or
// sequence whose length is told, fragments at the top level that the end of the stream closes in place of their
// delimiter, up to DICOM_PADDING_MAX zeros behind the last element.
#ifndef DICOM_READER_H
#define DICOM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/source.h"
#include "dicom/dicom.h"

enum dicom_event_type {
    DICOM_EVENT_ELEMENT,  // tag, vr, length, value_offset; the value may now be read once with dicom_reader_value
    DICOM_EVENT_SEQUENCE, // tag; items follow
    DICOM_EVENT_ITEM,     // an item of the innermost sequence begins
    DICOM_EVENT_ITEM_END, // explicit or by length
    DICOM_EVENT_SEQUENCE_END,
    // an OB or OW of undefined length, that is encapsulated pixel data (7FE0,0010); fragments follow
    DICOM_EVENT_FRAGMENTS,
    DICOM_EVENT_FRAGMENT, // length, value_offset; the first one is the basic offset table; value readable
    DICOM_EVENT_FRAGMENTS_END,
    DICOM_EVENT_END // of the data set; the stream was used up
};

struct dicom_event {
    enum dicom_event_type type;
    dicom_tag tag;
    // in implicit VR, and for a VR that is none, the dictionary's; UN when unknown, and for an unknown VR; SQ for a
    // sequence, whatever it was sent as
    enum dicom_vr vr;
    bool vr_from_dictionary;
    uint32_t length;       // bytes of the value; 0xFFFFFFFF for a sequence or item of undefined length
    uint64_t value_offset; // of the value in the (inflated) data set
    uint64_t tag_offset;   // of the element or item in the (inflated) data set
    // 0: top level; a sequence, its items and their ends have the depth of the sequence's element
    unsigned depth;
    bool big_endian; // how the value's numbers are to be read; false inside an implicit UN
};

struct dicom_reader; // owned; one thread

enum {
    DICOM_INFLATE_RATIO_MAX = 200,
    DICOM_INFLATE_FREE = 16 << 20,
    // What fills up a block of a tape or disc. Less than a page: a file system that lost some leaves zeros, too, and an
    // object whose pixels are lost is not whole.
    DICOM_PADDING_MAX = 4095,
};

// Reads from `source`, which must outlive the reader, from the first byte of the data set. A deflated data set (PS3.5
// A.5) is inflated; when it gives more than DICOM_INFLATE_FREE bytes and more than DICOM_INFLATE_RATIO_MAX times what
// went in, it is refused with LIMIT. NULL out of memory.
struct dicom_reader *dicom_reader_new(struct source source, const struct dicom_transfer_syntax *syntax,
                                      struct error *err);
void dicom_reader_free(struct dicom_reader *reader); // NULL is fine

// The next event. A value that was not read is skipped. false on a refusal or a broken stream; the reader is of no use
// then.
bool dicom_reader_next(struct dicom_reader *reader, struct dicom_event *event, struct error *err);

// After ELEMENT or FRAGMENT: the whole value into `to`, of `event.length` bytes.
bool dicom_reader_value(struct dicom_reader *reader, void *to, struct error *err);

#endif
