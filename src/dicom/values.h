// Typed access to an element at hand, for the .c files of this room.
#ifndef DICOM_VALUES_H
#define DICOM_VALUES_H

#include "dicom/dataset.h"

// The whole value of a loaded text element as UTF-8, without the padding at its end. NULL when the arena is full.
char *dicom_element_text(const struct dicom_dataset *dataset, const struct dicom_element *element, struct arena *arena);

// VRs whose backslashes are text (PS3.5 table 6.2-1).
bool dicom_text_is_single(enum dicom_vr vr);

// One value of a text, trimmed by the VR's rule; not NUL-terminated. false past the last.
bool dicom_text_split(enum dicom_vr vr, const char *text, size_t size, size_t index, const char **value,
                      size_t *value_size);

bool dicom_element_integer(const struct dicom_dataset *dataset, const struct dicom_element *element, size_t index,
                           int64_t *out);
bool dicom_element_number(const struct dicom_dataset *dataset, const struct dicom_element *element, size_t index,
                          double *out);

#endif
