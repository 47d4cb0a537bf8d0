// Whether two data sets say the same, in whatever transfer syntax and character set they are written.
//
// Elements are found by tag, private ones by their creator's name, so that the order in which creators hold their
// blocks does not matter. Values are compared by what they mean: text as Unicode, value by value without padding;
// numbers in one byte order; sequences item by item, also where one side could only send them as UN. A value that came
// as UN is taken for what the other side says it is. Text that cannot be read in its character set is compared byte by
// byte.
//
// Not compared, since they follow from how it is written: group lengths, group 0002, Specific Character Set, private
// creators, trailing padding (FFFC,FFFC), padding of values to even length, and, at the top, the pixel data with their
// offset tables (7FE0,xxxx): those are the image room's (image/frames.h). An attribute that is there and empty is not
// the same as one that is absent.
#ifndef DICOM_COMPARE_H
#define DICOM_COMPARE_H

#include "dicom/dataset.h"

struct dicom_side {
    const struct dicom_dataset *dataset; // all depths
    const struct reader *reader;         // where values are that were left in the stream; NULL: of a deflated data set
};

// An attribute of the top level that differs, with both values for people: "" when it is absent there.
struct dicom_unlike {
    dicom_tag tag; // as `a` has it, or else as `b`
    const char *a, *b;
};

enum { DICOM_UNLIKE_TEXT_MAX = 64 }; // bytes of a value that is shown; longer ones are cut

// `left_out`: more tags of the top level that are not compared, ended by 0; NULL for none.
// *count: how many attributes differ, of which the first `capacity`, by tag, are in `out`. false: it cannot be said,
// since a value cannot be read, or `arena` is full (LIMIT).
bool dicom_compare(const struct dicom_side *a, const struct dicom_side *b, const dicom_tag *left_out,
                   struct arena *arena, struct dicom_unlike *out, size_t capacity, size_t *count, struct error *err);

#endif
