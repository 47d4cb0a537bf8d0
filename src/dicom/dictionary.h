// The generated tables (dicom_dictionary.c), for dicom.c only.
#ifndef DICOM_DICTIONARY_H
#define DICOM_DICTIONARY_H

#include "dicom/dicom.h"

extern const struct dicom_attribute dictionary_attributes[]; // tags rise
extern const size_t dictionary_attribute_count;
extern const uint16_t dictionary_by_keyword[]; // indices into it; keywords rise in byte order

extern const struct dicom_sop_class dictionary_sop_classes[]; // ended by uid NULL

#endif
