// What a SEG and an SR share: the patient and study taken over from a source image, who made it, codes, and the UIDs
// that follow from the job's key.
#ifndef FINDING_OBJECT_H
#define FINDING_OBJECT_H

#include "dicom/writer.h"
#include "finding/finding.h"

enum { OBJECT_FINDINGS_MAX = 1024 }; // segments of a SEG, measurement groups of an SR

// The data set being written.
struct object {
    struct dicom_writer writer;
    const struct finding_context *context;
    struct arena scratch;                               // for text turned to UTF-8
    char study[DICOM_UID_SIZE], series[DICOM_UID_SIZE]; // of the source
};

struct object_kind {
    const char *sop_class, *modality;
    const char *image_type; // NULL: no image
    const char *purpose;    // of the UIDs
    const char *title;      // begins the series description, before the label
    int64_t series_number;
};

// BAD_VALUE when the source has no study or series UID, or a finding cannot be written.
bool object_begin(struct object *object, const struct finding_context *context, const struct finding *findings,
                  size_t count, struct buffer *out, struct error *err);
bool object_end(struct object *object, const char *what, struct error *err); // frees the scratch; checks the buffer
void object_drop(struct object *object);

// (0008,0005) to (0008,1090).
void object_write_head(struct object *object, const struct object_kind *kind);
// (0010,0010) to (0020,0013): patient, device, study, series.
void object_write_middle(struct object *object, const struct object_kind *kind);

// A copy of the source's text; empty when it has none.
void object_copy(struct object *object, dicom_tag tag);
// The same, but not written when it has none.
void object_copy_some(struct object *object, dicom_tag tag);
// Fits LO, SH or PN: cut to `most` characters, no backslash, no control characters.
void object_write_cut(struct object *object, dicom_tag tag, const char *text, size_t most);

// A sequence of one code, and its inside alone.
void object_write_code(struct dicom_writer *writer, dicom_tag tag, const struct finding_code *code);
void object_write_code_in(struct dicom_writer *writer, const struct finding_code *code);
// Inside an item: Referenced SOP Class and Instance UID.
void object_write_reference(struct dicom_writer *writer, const char *sop_class, const char *instance);

// NULL when there is no such side.
const struct finding_code *object_side(const char *side);

void object_uid(char out[DICOM_UID_SIZE], const char *key, const char *purpose);
void object_tracking_uid(char out[DICOM_UID_SIZE], const struct finding *finding);
void object_device_uid(char out[DICOM_UID_SIZE], const char *model_digest);
// What a person tells the segment by: "head-ct-hyperdense 1".
const char *object_tracking_text(char out[DICOM_UID_SIZE], const struct finding *finding);

// The finding's sentence, and that nobody has looked at it: what leaves goes before anyone can. NULL: no memory.
char *object_unverified(const struct finding *finding, struct arena *arena);

// The parts of a DICOM name's first group that is there, "Family^Given^Middle^Prefix^Suffix", inside `copy`; cut at its
// size.
enum { OBJECT_NAME_SIZE = 325, OBJECT_NAME_PARTS = 5 };
void object_split_name(const char *name, char copy[OBJECT_NAME_SIZE], const char *parts[OBJECT_NAME_PARTS]);

static inline const char *object_text(const char *text)
{
    return text ? text : "";
}

#define OBJECT_SEG_CLASS "1.2.840.10008.5.1.4.1.1.66.4"
#define OBJECT_SR_CLASS "1.2.840.10008.5.1.4.1.1.88.34"
#define OBJECT_MANUFACTURER "Hilum"

#endif
