// What a SEG, an SR and a rejection note share: the patient and study taken over from a source image, who made it,
// codes, and the UIDs that follow from the result's id and revision.
#ifndef FINDING_OBJECT_H
#define FINDING_OBJECT_H

#include "base/clock.h"
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
    const char *purpose;    // of the UIDs, with the revision
    const char *title;      // begins the series description, before the label
};

// BAD_VALUE when the source has no study or series UID, or a finding cannot be written.
bool object_begin(struct object *object, const struct finding_context *context, const struct finding *findings,
                  size_t count, struct buffer *out, struct error *err);
bool object_end(struct object *object, const char *what, struct error *err); // frees the scratch; checks the buffer
void object_drop(struct object *object);
bool object_check_slices(const struct finding_context *context, struct error *err); // of its geometry: BAD_VALUE

// Content date and time, which are the series' too: (0008,0021) ... (0008,0033), and the zone (0008,0201) that they
// share with the dates taken over from the source.
struct object_time {
    char date[CLOCK_DICOM_DATE_SIZE], time[CLOCK_DICOM_TIME_SIZE], zone[CLOCK_ZONE_SIZE];
};
void object_time_of(const struct dicom_dataset *source, int64_t time_ns, struct object_time *out);

// Says in the log what of the source is none and so is left out.
void object_tell_left_out(const struct finding_context *context);

// (0008,0005) to (0008,1090).
void object_write_head(struct object *object, const struct object_kind *kind);
// (0010,0010) to (0020,0013): patient, device, study, series.
void object_write_middle(struct object *object, const struct object_kind *kind);

// A copy of the source's text; empty when it has none that can be read, or that is no date, time or sex where one
// belongs.
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

// The first size - 1 (at most 64) hex digits of a digest of the texts, which NULL ends: at most OBJECT_HEX_TEXTS_MAX.
enum { OBJECT_HEX_TEXTS_MAX = 8 };
void object_hex(char *out, size_t size, const char *const texts[]);
void object_uid(char out[DICOM_UID_SIZE], const char *key, const char *purpose);
// Of what a result makes at a revision: the instance, and the series around it.
void object_instance_uid(char out[DICOM_UID_SIZE], const char *result, const char *purpose, int64_t revision);
void object_series_uid(char out[DICOM_UID_SIZE], const char *result, const char *purpose, int64_t revision);
// The series of one of the result's own objects, which an earlier revision may have made; false: it is none.
bool object_find_series(const struct finding_result *result, const char *purpose, const char *instance,
                        char out[DICOM_UID_SIZE]);
// Follows from the series' UID, so that no two series of ours share one in a study: 10 digits.
int64_t object_series_number(const char *series_uid);
void object_tracking_uid(char out[DICOM_UID_SIZE], const struct finding *finding);
void object_device_uid(char out[DICOM_UID_SIZE], const char *model_digest);
// What a person tells the segment by: "head-ct-hyperdense 1".
const char *object_tracking_text(char out[DICOM_UID_SIZE], const struct finding *finding);

// The finding's sentence, and who has accepted it, or that nobody has. NULL: no memory.
char *object_line(const struct finding *finding, struct arena *arena);
// "Looked at: 108 images of Echo Time 2.46, 23592960 voxels; contrast is not stated". NULL: no memory.
char *object_looked_at(const struct finding_result *result, struct arena *arena);
// What a result says that shows nothing: that nothing was found, or was rejected on review, by whom, in what, and what
// that does not mean. NULL: no memory.
char *object_nothing(const struct finding_result *result, struct arena *arena);

// Does anything in valid UTF-8 show but spaces of any width and quotation marks, which in HL7 are an order to delete?
bool object_says(const char *text, size_t size);
// "" for what nobody's name or number is: what could not be read in its character set, which U+FFFD stands in for, and
// what says nothing.
const char *object_readable(const char *text);
// The study with nothing in it that could not be read.
struct finding_study object_readable_study(const struct finding_study *study);

// A DICOM name has up to three groups, in which one person's name is written in three ways (PS3.5 section 6.2.1).
enum object_name_group { OBJECT_ALPHABETIC, OBJECT_IDEOGRAPHIC, OBJECT_PHONETIC, OBJECT_NAME_GROUPS };
enum object_name_part { OBJECT_FAMILY, OBJECT_GIVEN, OBJECT_MIDDLE, OBJECT_PREFIX, OBJECT_SUFFIX, OBJECT_NAME_PARTS };
enum { OBJECT_NAME_SIZE = 325 };
struct object_name {
    char copy[OBJECT_NAME_SIZE];
    const char *parts[OBJECT_NAME_PARTS]; // in the copy; "" where there is none
};
// One group of it, cut at the copy's size between two characters; false, with empty parts, when it is not there.
bool object_name(const char *name, enum object_name_group group, struct object_name *out);

static inline bool object_stands(const struct finding *finding)
{
    return finding->state == FINDING_UNVERIFIED || finding->state == FINDING_ACCEPTED;
}

static inline const char *object_text(const char *text)
{
    return text ? text : "";
}

#define OBJECT_MANUFACTURER "Hilum"
#define OBJECT_EARLIER "said of earlier images; those that are there now have no answer yet"

#endif
