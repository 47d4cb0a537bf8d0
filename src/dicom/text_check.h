// Whether the text of a data set can be read in its character sets, also of what is not kept: its events are looked at
// as they flow by. For dataset.c.
#ifndef DICOM_TEXT_CHECK_H
#define DICOM_TEXT_CHECK_H

#include "base/arena.h"
#include "dicom/charset.h"
#include "dicom/reader.h"

enum { TEXT_CHECK_MAX = 64 << 10 }; // longer texts are bulk data, which nobody converts

struct text_check {
    const char *otherwise;                                  // see struct dicom_charset
    char charsets[DICOM_DEPTH_MAX + 1][DICOM_CHARSET_SIZE]; // of the open data sets, outermost first
    bool named[DICOM_DEPTH_MAX + 1];                        // their own
    bool seen[DICOM_DEPTH_MAX + 1];                         // text beyond ASCII
    struct arena scratch;
    bool unreadable; // some text; or its character set came behind it
};

// NULL: no memory.
struct text_check *text_check_new(const char *otherwise);
void text_check_free(struct text_check *check); // NULL is fine

// To be called with each event. The value of a text, which is `value` where it was read already, else is read here.
// false when the stream breaks.
bool text_check_event(struct text_check *check, struct dicom_reader *reader, const struct dicom_event *event,
                      const uint8_t *value, struct error *err);

#endif
