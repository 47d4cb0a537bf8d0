// The DICOM JSON model (PS3.18 Annex F), written from a tree, streaming into a buffer.
#ifndef DICOM_JSON_H
#define DICOM_JSON_H

#include "base/arena.h"
#include "base/buffer.h"
#include "dicom/dataset.h"

struct dicom_json_options {
    // BulkDataURI of what is not inline is bulk_base + "/" + path such as "7FE00010" or "52009229/0/00180000"; NULL: no
    // BulkDataURI, the element has a vr only
    const char *bulk_base;
    size_t inline_max; // binary values (OB OW OF OD OL OV UN) up to this many bytes become InlineBinary, if loaded
};

// One object {"00080005":{"vr":"CS","Value":[...]},...}, tags rising, group lengths and (FFFC,FFFC) left out, all text
// as UTF-8 (and so (0008,0005) is given as it stands in the data set, like Orthanc and dcm4chee do). Text values
// trimmed; empty values null inside a multi-value; PN in its component groups; IS and DS as numbers where they are
// (F.2.3), else as text; NaN and infinities as text. Big-endian values are turned. `scratch` is used for conversions
// and may be reset by the caller afterwards.
bool dicom_json_write(struct buffer *out, const struct dicom_dataset *dataset, const struct dicom_json_options *options,
                      struct arena *scratch, struct error *err);

// One element: its {"vr":...} object only. For QIDO results.
bool dicom_json_write_element(struct buffer *out, const struct dicom_dataset *dataset,
                              const struct dicom_element *element, const struct dicom_json_options *options,
                              struct arena *scratch, struct error *err);

#endif
