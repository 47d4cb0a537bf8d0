// The content tree of an SR document (PS3.3 C.17.3), item by item, and what the documents of this room share around it:
// the observer, and the evidence they rest on.
#ifndef FINDING_CONTENT_H
#define FINDING_CONTENT_H

#include "finding/object.h"

// Relationships (PS3.3 C.17.3.2.4).
#define CONTENT_CONTAINS "CONTAINS"
#define CONTENT_CONTEXT "HAS OBS CONTEXT"
#define CONTENT_MODIFIER "HAS CONCEPT MOD"
#define CONTENT_ACQUISITION "HAS ACQ CONTEXT"

#define CONTENT_DCM(name, value, meaning) static const struct finding_code name = {value, "DCM", meaning}
#define CONTENT_SCT(name, value, meaning) static const struct finding_code name = {value, "SCT", meaning}

// The root up to its template: CONTAINER, title, continuity; the sequences between are the caller's.
void content_root(struct dicom_writer *w, const struct finding_code *title);
void content_template(struct dicom_writer *w, const char *identifier);

// An item up to its name, closed by dicom_write_item_end; `name` NULL leaves it nameless.
void content_open_item(struct dicom_writer *w, const char *relation, const char *type, const struct finding_code *name);
// The items inside it; closes them and the item around.
void content_open(struct dicom_writer *w);
void content_close(struct dicom_writer *w);
// Closed by content_close. `template` NULL: none is named.
void content_open_container(struct dicom_writer *w, const struct finding_code *name, const char *template);

void content_text(struct dicom_writer *w, const char *relation, const struct finding_code *name, const char *text);
void content_uid(struct dicom_writer *w, const char *relation, const struct finding_code *name, const char *uid);
void content_code(struct dicom_writer *w, const char *relation, const struct finding_code *name,
                  const struct finding_code *value);
// An image, or with `type` "COMPOSITE" another object. `segment` 0: a whole instance.
void content_object(struct dicom_writer *w, const char *type, const struct finding_code *name, const char *sop_class,
                    const char *instance, int64_t segment);

// Language (TID 1204) and the model as the observing device (TID 1002, 1004).
void content_language(struct dicom_writer *w);
void content_observer(struct dicom_writer *w, const struct finding_context *context);

// (0040,A375) or another sequence of the same form (PS3.3 table C.17-3): of one study, series by series.
struct content_series {
    const char *series, *sop_class;
    const char *const *instances;
    size_t count;
};
void content_evidence(struct dicom_writer *w, dicom_tag tag, const char *study, const struct content_series *series,
                      size_t count);

void content_empty_sequence(struct dicom_writer *w, dicom_tag tag);

#endif
