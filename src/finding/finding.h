// The finding room: the one form of what AI (or a person) says about an image, and its projections: DICOM SEG and TID
// 1500 SR, HL7 ORU, FHIR, the reading list's badge. Projections are made by code from the finding, never kept apart by
// hand.
#ifndef FINDING_FINDING_H
#define FINDING_FINDING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "dicom/dataset.h"
#include "image/volume.h"
#include "store/database.h"
#include "store/event.h"

enum finding_urgency { FINDING_ROUTINE, FINDING_URGENT, FINDING_STAT };
enum finding_state { FINDING_UNVERIFIED, FINDING_ACCEPTED, FINDING_REJECTED, FINDING_SUPERSEDED };

const char *finding_urgency_text(enum finding_urgency urgency); // "routine", "urgent", "stat"
bool finding_urgency_parse(const char *text, enum finding_urgency *out);
const char *finding_state_text(enum finding_state state);

struct finding_code {
    const char *value, *scheme, *meaning; // SNOMED CT is "SCT" (PS3.16)
};

struct finding {
    const char *id;  // hex, from the job's key and the number in it
    const char *job; // the job's key
    const char *study, *series;
    const char *model, *model_version, *model_digest;
    const char *label_text;      // "research use only ..."
    struct finding_code concept; // what it is
    struct finding_code site;    // where: anatomical region; value "" when unknown
    const char *side;            // "left", "right", "midline", ""
    double volume_ml;
    double score;                                 // 0 to 1
    double centroid_mm[3], low_mm[3], high_mm[3]; // patient space, LPS
    int64_t segment;                              // number in the SEG, from 1
    const char *seg_instance, *sr_instance;       // SOP Instance UIDs
    enum finding_urgency urgency;
    enum finding_state state;
    const char *judged_by; // the name typed; marked unverified until logins exist
    int64_t judged_ns;
    const char *comment;
    int64_t made_ns;
};

extern const struct store_migration finding_migration;

// ---- rows; inside a write function (STORE_DURABLE) but the lists

// Adds those whose id is new (all of one job, series and model); older findings of the same model and series become
// SUPERSEDED. One event RESULT_CHANGED when anything was added.
bool finding_add(struct database *db, const struct finding *findings, size_t count, struct error *err);
// What other jobs of this model said of the series holds no more: for a job that found nothing, which has no findings
// to add.
bool finding_supersede(struct database *db, const char *series, const char *model, const char *job, struct error *err);
// ACCEPTED or REJECTED, with the name of who says so. An event FINDING_JUDGED. NOT_FOUND; CONFLICT when it is
// superseded.
bool finding_judge(struct database *db, const char *id, enum finding_state state, const char *by, const char *comment,
                   int64_t now_ns, struct error *err);
bool finding_list(struct database *db, const char *study, bool superseded_too, struct arena *arena,
                  struct finding **out, size_t *count, struct error *err);
// NULL in *out: there is no such finding.
bool finding_get(struct database *db, const char *id, struct arena *arena, struct finding **out, struct error *err);
// A study in which the model speaks whose Device (see finding_fhir_resources) has this id; NULL in *out: there is none.
bool finding_study_of_device(struct database *db, const char *device, struct arena *arena, const char **out,
                             struct error *err);
json_t *finding_to_json(const struct finding *finding); // the API's form; docs/openapi.json. NULL: no memory
// One sentence: "Suspected intracranial hemorrhage, left, 12.3 mL (score 0.91); research use only".
char *finding_sentence(const struct finding *finding, struct arena *arena);

// ---- projections

// What the objects made of a job's findings share. The same context gives the same bytes: UIDs come from the job's key,
// dates from the inputs.
struct finding_context {
    const struct dicom_dataset *source; // header of one source image: patient, study, frame of reference are taken
                                        // over, with its character set turned to UTF-8
    const struct image_geometry *geometry;
    const char *const *slice_instances;    // SOP Instance UID of each slice in the geometry's order
    const double (*slice_positions_mm)[3]; // their Image Position (Patient): what the source says, not the even stack
                                           // of the geometry
    const char *slice_class;               // their SOP Class UID
    const char *job;                       // key, hex
    int64_t time_ns;                       // of the newest input
    const char *model, *model_version, *model_digest, *model_title;
    const char *label_text;
    struct finding_code concept; // what the model looks for, to say that it was not found; value NULL or "" when not
                                 // known
};

// SOP Instance UIDs of the job's objects.
void finding_seg_uid(char out[DICOM_UID_SIZE], const char *job);
void finding_sr_uid(char out[DICOM_UID_SIZE], const char *job);

// A Segmentation (PS3.3 A.51): BINARY, a segment for each finding, a frame for each slice that a segment touches.
// `labels` is [slices][rows][columns]. Appends a data set in explicit VR little endian. Explicit: no Part 10 head.
bool finding_to_seg(const struct finding_context *context, const struct finding *findings, size_t count,
                    const uint16_t *labels, struct buffer *out, struct error *err);

// A Comprehensive 3D SR with TID 1500 (PS3.16): device observer, a measurement group for each finding (tracking,
// finding, site with laterality, volume, probability, referenced segment). With no findings it says that nothing was
// found. `count` may be 0.
bool finding_to_sr(const struct finding_context *context, const struct finding *findings, size_t count,
                   struct buffer *out, struct error *err);

// A series of the study, for the ImagingStudy.
struct finding_study_series {
    const char *uid, *modality, *description;
    int64_t number; // negative: not known
    size_t object_count;
};

// What a message to the record needs beside the findings; from the archive's study row. NULL or "" where it is not
// known.
struct finding_study {
    const char *study, *patient_id, *issuer, *patient_name, *birth_date, *sex, *accession, *description, *study_date,
        *study_time, *referring;
    const char *modality; // of the analysed series
    // Of the job: who found nothing, and of what, where there are no findings that tell it.
    const char *model, *model_version, *label_text;
    struct finding_code concept;
    const struct finding_study_series *series; // all of the study
    size_t series_count;
};

// To whom a message goes, and as what.
struct finding_receiver {
    const char *application, *facility; // MSH-5, MSH-6
    const char *status;                 // OBR-25 and OBX-11: "R", "P" or "F"
};

// ORU^R01 2.5.1, one OBR, first OBX the Study Instance UID (ST 113014^DICOM Study^DCM), then for each finding, with its
// number as sub-ID: CWE finding, site and laterality, NM volume in mL, NM certainty in %, TX the sentence. Without
// findings one TX says that nothing was found. Control ID (MSH-10) is the first 20 characters of a digest of the job's
// key: the same result is the same message.
bool finding_to_oru(const struct finding_study *study, const char *job, const struct finding *findings, size_t count,
                    const struct finding_receiver *receiver, int64_t time_ns, struct buffer *out, struct error *err);
void finding_oru_control(char out[21], const char *job);

// FHIR R4, relative references: a list of the study's DiagnosticReport (id: the study's UID), an Observation for each
// finding (id: the finding's), its ImagingStudy and Patient (id: the study's UID), and a Device for each model. A new
// reference; print it with fhir_print.
bool finding_fhir_resources(const struct finding_study *study, const struct finding *findings, size_t count,
                            json_t **out, struct error *err);

// One of them by type and id; NULL in *out: no such resource. With `id` NULL a searchset Bundle of those of the type;
// with `type` NULL too, of the report with all that it refers to.
bool finding_to_fhir(const struct finding_study *study, const struct finding *findings, size_t count, const char *base,
                     const char *type, const char *id, json_t **out, struct error *err);

#endif
