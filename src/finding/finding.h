// The finding room: the one form of what AI (or a person) says about an image, and its projections: DICOM SEG and TID
// 1500 SR, HL7 ORU, FHIR, the reading list's badge. Projections are made by code from the finding, never kept apart by
// hand.
#ifndef FINDING_FINDING_H
#define FINDING_FINDING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/label.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "dicom/dataset.h"
#include "image/volume.h"
#include "store/database.h"
#include "store/event.h"

// Storage classes of the objects that are made of results.
#define FINDING_SEG_CLASS "1.2.840.10008.5.1.4.1.1.66.4"
#define FINDING_KEY_CLASS "1.2.840.10008.5.1.4.1.1.88.59"
#define FINDING_SR_CLASS "1.2.840.10008.5.1.4.1.1.88.34"

enum finding_urgency { FINDING_ROUTINE, FINDING_URGENT, FINDING_STAT };
enum finding_state { FINDING_UNVERIFIED, FINDING_ACCEPTED, FINDING_REJECTED, FINDING_SUPERSEDED };

const char *finding_urgency_text(enum finding_urgency urgency); // "routine", "urgent", "stat"
bool finding_urgency_parse(const char *text, enum finding_urgency *out);
const char *finding_state_text(enum finding_state state);

struct finding_code {
    const char *value, *scheme, *meaning; // SNOMED CT is "SCT" (PS3.16)
};

// ---- a result: what one model said about one volume of one series, once

enum finding_outcome { FINDING_POSITIVE, FINDING_NEGATIVE, FINDING_NOT_ANALYSED, FINDING_FAILED };
// CURRENT: what is said now. SUPERSEDED: a newer result of its topic has taken its place. WITHDRAWN: it should never
// have been said (its images are of two patients, say).
enum finding_standing { FINDING_CURRENT, FINDING_REPLACED, FINDING_WITHDRAWN };

const char *finding_outcome_text(enum finding_outcome outcome);    // "positive", "negative", "not analysed", "failed"
bool finding_is_answer(enum finding_outcome outcome);              // positive or negative
const char *finding_standing_text(enum finding_standing standing); // "current", "superseded", "withdrawn"

enum { FINDING_ID_SIZE = 65, FINDING_TOPIC_SIZE = 21 };

struct finding_result {
    const char *id;    // hex: the job's key, or with a volume a digest of both
    const char *topic; // 20 hex digits, from series, volume, model and patient: newer results of it take this one's
                       // place. The filler order number of its reports.
    const char *job;   // the job's key
    const char *study, *series;
    const char *volume;              // what tells it apart in its series ("Echo Time 2.46"); "" the only one
    const char *patient_id, *issuer; // whose images were looked at; of a mixed series those of the first object
    int64_t patient;                 // the same as the archive tells them apart (archive_object.patient); 0: not known
    const char *modality;            // of the images
    const char *model, *model_version, *model_digest;
    const char *label_text;      // "research use only ..."
    struct finding_code concept; // what the model looks for
    enum finding_outcome outcome;
    enum finding_standing standing;
    const char *reason;           // of what is not analysed, failed or withdrawn: why, for a person; else ""
    const char *notes;            // what qualifies it: "contrast is not stated; left out: 1 localizer"; "" nothing
    int64_t objects, voxels;      // how much was looked at
    int64_t coverage_mm;          // of the patient, along the slices; 0: not known, or not looked at
    const char *digest;           // of the objects, hex: SHA-256 over their sorted SHA-256, and over how many of the
                                  // series are held back, where there are such; "" not known
    bool is_earlier;              // the series has other images now, of which there is no answer yet
    const char *send_to, *hl7_to; // JSON arrays: who was to be told when it was made
    bool calibrated;              // its scores are probabilities, shown on patients
    bool told;                    // false: a negative that waits until its study is quiet
    int64_t revision;             // how often a judgement has changed what it says; 0: as the model made it
    const char *sr_instance;      // SOP Instance UID of the SR that says it now; "" none
    const char *seg_instance;     // of the SEG that shows it now; "" none
    int64_t made_ns, changed_ns;  // made: said; changed: standing, revision, told or is_earlier, and never earlier than
                                  // before
};

struct finding {
    const char *id;     // hex, from the result's id and the number in it
    const char *result; // its id
    const char *job;    // the job's key
    const char *study, *series;
    const char *model, *model_version, *model_digest;
    const char *label_text;      // "research use only ..."
    struct finding_code concept; // what it is
    struct finding_code site;    // where: anatomical region; value "" when unknown
    const char *side;            // "left", "right", "midline", ""
    double volume_ml;
    double score;                                 // 0 to 1; a probability only where the model is calibrated
    double centroid_mm[3], low_mm[3], high_mm[3]; // patient space, LPS
    int64_t segment;                              // number in the SEG, from 1
    const char *seg_instance, *sr_instance;       // SOP Instance UIDs as the job made them
    enum finding_urgency urgency;
    enum finding_state state;
    int64_t version;       // how often it was judged
    const char *judged_by; // the name typed; marked unverified until logins exist
    int64_t judged_ns;
    const char *comment;
    int64_t made_ns;
};

extern const struct store_migration finding_migration;

// After store_migrate: results of the findings that a program without them has left.
bool finding_complete(struct store *store, struct error *err);

void finding_result_id(char out[FINDING_ID_SIZE], const char *job, const char *volume);
// What a model says of a volume of a series of a study. Two studies may have one Series Instance UID, so nothing is
// said of a series without its study. `patient`: how many patients of the study came before the one whose images these
// are, nearly always 0. What is said of one patient is never taken up in what is said of another.
struct finding_subject {
    const char *study, *series, *volume, *model;
    int64_t patient;
};
// The name under which everything about the subject is told. A study of which a program that knew topics without
// studies has told something keeps that topic, unless it was another study's first.
bool finding_topic(struct database *db, const struct finding_subject *subject, char out[FINDING_TOPIC_SIZE],
                   struct error *err);

// ---- rows; inside a write function (STORE_DURABLE) but the lists
//
// An event RESULT_CHANGED says how: "made"; "ended", it is superseded or withdrawn; "changed", all else: what it found
// is the same.

// Adds a result with its findings, once: a known id changes nothing (*added false), but what had no answer may be
// followed by one when its job is asked again. BAD_VALUE: an answer without objects and voxels that were looked at.
// What takes whose place, within the study:
//   positive, negative       every other job's current result of the model on the series is SUPERSEDED, but a positive
//                            of a topic that this job had no answer to: such rows of a job are added first
//   not analysed, failed     the same, but positives stay: that a newer look failed takes nothing back
// Findings of a superseded result are SUPERSEDED. One event RESULT_CHANGED for each result that was added or changed.
bool finding_result_add(struct database *db, const struct finding_result *result, const struct finding *findings,
                        size_t count, bool *added, struct error *err);
// A current result should never have been said: WITHDRAWN with the reason, its findings SUPERSEDED, an event. Others
// are left alone.
bool finding_result_withdraw(struct database *db, const char *id, const char *reason, int64_t now_ns,
                             struct error *err);
// Whether what a current result was said of are other images than the series has now; an event when it changes.
bool finding_result_mark_earlier(struct database *db, const char *id, bool is_earlier, int64_t now_ns,
                                 struct error *err);
// What says the current result at this revision: its SR and SEG, "" none; and it is told now. An event RESULT_CHANGED.
// CONFLICT when it is not current any more, has another revision, or is a negative of earlier images: what was made for
// it says nothing then. The same again is no event.
bool finding_result_tell(struct database *db, const char *id, int64_t revision, const char *sr, const char *seg,
                         int64_t now_ns, struct error *err);

// Of a study, or of one of its series (NULL: of all), oldest first; `past_too`: also those that are not current.
bool finding_result_list(struct database *db, const char *study, const char *series, bool past_too, struct arena *arena,
                         struct finding_result **out, size_t *count, struct error *err);
// How many there are of each model, outcome and standing, at most FINDING_COUNTS_MAX rows; for monitoring.
struct finding_result_count {
    const char *model;
    enum finding_outcome outcome;
    enum finding_standing standing;
    int64_t count;
};
enum { FINDING_COUNTS_MAX = 10000 };
bool finding_result_counts(struct database *db, struct arena *arena, struct finding_result_count **out, size_t *count,
                           struct error *err);
// Current negatives that have not been told, oldest first, at most `most`.
bool finding_result_untold(struct database *db, size_t most, struct arena *arena, struct finding_result **out,
                           size_t *count, struct error *err);
// The current results of a model on a study's series, oldest first.
bool finding_result_current(struct database *db, const char *study, const char *series, const char *model,
                            struct arena *arena, struct finding_result **out, size_t *count, struct error *err);
// The oldest current result of a model that is failed, by another package than that of `digest`, and younger than
// *number (0: of all), which becomes its own; NULL in *out: none.
bool finding_result_failed(struct database *db, const char *model, const char *digest, int64_t *number,
                           struct arena *arena, struct finding_result **out, struct error *err);
// NULL in *out: there is no such result.
bool finding_result_get(struct database *db, const char *id, struct arena *arena, struct finding_result **out,
                        struct error *err);
json_t *finding_result_to_json(const struct finding_result *result); // the API's form. NULL: no memory
// What it says in few words, as the list and the page say it: "positive, rejected by a reader" where each of its
// findings was, "nothing found so far; images may still come" of a negative that waits, "only an earlier answer" of one
// of earlier images, else the outcome. `findings`: those of its study.
const char *finding_result_said(const struct finding_result *result, const struct finding *findings, size_t count);
const char *finding_result_images(const struct finding_result *result); // "present", or "earlier": see is_earlier
// Why it is not an answer, or not one of what is there now, as lists say it; else "".
const char *finding_result_reason(const struct finding_result *result);

// What somebody says of a finding.
struct finding_judgement {
    const char *id;           // the finding's
    enum finding_state state; // ACCEPTED or REJECTED
    const char *by, *comment; // `by` shows something (text_is_visible); `comment` NULL is ""
    int64_t version;          // of the finding that was judged; FINDING_ANY_VERSION: whatever it is now
    int64_t now_ns;
};
enum { FINDING_ANY_VERSION = -1 };

// `scope`: of who judges; what he does not see is not there. An event FINDING_JUDGED; from or to REJECTED its result's
// revision rises, so that everybody who was told hears of it. NOT_FOUND; CONFLICT when it is superseded, and, with who
// and what, when somebody has judged it since that version.
bool finding_judge(struct database *db, struct access_scope scope, const struct finding_judgement *judgement,
                   struct error *err);
bool finding_list(struct database *db, const char *study, bool superseded_too, struct arena *arena,
                  struct finding **out, size_t *count, struct error *err);
// The worst of a study's findings that stand, superseded and rejected ones left out: the most urgent, of those the
// largest, of those the oldest; NULL in *worst: there is none. *count: how many stand. One row in memory, however many
// there are.
bool finding_worst(struct database *db, const char *study, struct arena *arena, struct finding **worst, int64_t *count,
                   struct error *err);
// Whether a finding waits for a judgement: of a study's result, or of all of the study (`result` NULL).
bool finding_waits(struct database *db, const char *study, const char *result, bool *out, struct error *err);
// All findings of a result, whatever their state, by segment.
bool finding_list_of(struct database *db, const char *result, struct arena *arena, struct finding **out, size_t *count,
                     struct error *err);
// NULL in *out: there is no such finding.
bool finding_get(struct database *db, const char *id, struct arena *arena, struct finding **out, struct error *err);
// A study that `scope` sees in which the model speaks whose Device (see finding_fhir_resources) has this id; NULL in
// *out: there is none.
bool finding_study_of_device(struct database *db, struct access_scope scope, const char *device, struct arena *arena,
                             const char **out, struct error *err);
json_t *finding_to_json(const struct finding *finding); // the API's form; docs/openapi.json. NULL: no memory
// One sentence: "Suspected intracranial hemorrhage, left, 12.3 mL; research use only".
char *finding_sentence(const struct finding *finding, struct arena *arena);

// ---- projections

// What the objects made of a result share. The same context gives the same bytes: UIDs come from the result's id and
// revision, dates from the inputs. They are in the zone that the source names, else in this server's at the time of the
// study, and name it (0008,0201): it holds for the dates that are taken over too (PS3.3 C.12.1.1.8). What is no date,
// no time of day or no sex is written empty.
struct finding_context {
    const struct dicom_dataset *source; // header of one source image: patient, study, frame of reference are taken
                                        // over, with its character set turned to UTF-8
    const struct image_geometry *geometry;
    const char *const *slice_instances;    // SOP Instance UID of each slice in the geometry's order
    const double (*slice_positions_mm)[3]; // their Image Position (Patient): what the source says, not the even stack
                                           // of the geometry
    const char *slice_class;               // their SOP Class UID
    const struct finding_result *result;   // the model, what it looks for, notes, revision
    const char *model_title;
    const char *predecessor;        // SR that this one takes the place of: of an earlier revision or result; "" none
    const char *predecessor_series; // its Series Instance UID; may be "" for one of this result
    const char *seg;                // SEG of this result that shows the findings; "" none
    int64_t time_ns;                // of the newest input or of the judgement, and after what this takes the place of
};

// SOP Instance UIDs of a result's objects at a revision.
void finding_seg_uid(char out[DICOM_UID_SIZE], const char *result, int64_t revision);
void finding_sr_uid(char out[DICOM_UID_SIZE], const char *result, int64_t revision);
void finding_rejection_uid(char out[DICOM_UID_SIZE], const char *result, int64_t revision);

// A Segmentation (PS3.3 A.51): BINARY, a segment for each finding, a frame for each slice that a segment touches.
// `labels` is [slices][rows][columns]. Appends a data set in explicit VR little endian. Explicit: no Part 10 head.
bool finding_to_seg(const struct finding_context *context, const struct finding *findings, size_t count,
                    const uint16_t *labels, struct buffer *out, struct error *err);

// A Comprehensive 3D SR with TID 1500 (PS3.16): device observer, a measurement group for each finding that is not
// rejected (tracking, finding, site with laterality, volume, certainty where the model is calibrated, referenced
// segment), and what was looked at: objects, voxels, notes. A negative says that nothing was found, a positive whose
// findings were all rejected that a reviewer has rejected them. With a predecessor it names it (0040,A360). BAD_VALUE
// for a result that was not analysed or failed: such a one is no document.
bool finding_to_sr(const struct finding_context *context, const struct finding *findings, size_t count,
                   struct buffer *out, struct error *err);

// Why objects are rejected (CID 7011).
enum finding_rejection { FINDING_FOR_QUALITY, FINDING_FOR_SAFETY }; // DCM 113001, 113037: of the wrong patient

// An object of ours that was told and holds no more.
struct finding_object {
    const char *sop_class, *series, *sop_instance;
};

// A Key Object Selection Document (PS3.3 A.35.4; IHE RAD Imaging Object Change Management, RAD-66) that rejects the
// objects, each alone in its series as ours are. It says why: the result is withdrawn, with its reason; it was revised
// after review (current, with a revision); else a newer result has taken its place. Of the context no geometry and no
// slices are needed.
bool finding_to_rejection(const struct finding_context *context, enum finding_rejection why,
                          const struct finding_object *objects, size_t count, struct buffer *out, struct error *err);

// Our own SEG again under the UIDs and with the time of this revision, all else byte by byte: what was rejected is
// accepted after all. `seg` is the whole data set as it was stored (explicit VR little endian). BAD_VALUE when it is no
// segmentation of this result; of the context no geometry and no slices are needed.
bool finding_seg_again(const struct finding_context *context, const struct buffer *seg, struct buffer *out,
                       struct error *err);

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
    const char *zone;     // Timezone Offset From UTC (0008,0201), in which date and time are; not known: this server's
    int64_t patient;      // as finding_result.patient; 0: not known
    const char *modality; // of the analysed series
    const struct finding_study_series *series; // all of the study
    size_t series_count;
};

// What of the study is none and so is in no projection: "birth date \"19600000\", sex \"female\""; "" when all is well.
// NULL: no memory.
char *finding_left_out(const struct finding_study *study, struct arena *arena);

// To whom a message goes, and as what.
struct finding_receiver {
    const char *application, *facility; // MSH-5, MSH-6
    const char *status;                 // OBR-25 and OBX-11 of what nobody has signed: "R", "P" or "F"
    bool filler_is_accession;           // OBR-3: else the result's topic
    const char *control;                // MSH-10, by which its answer is known: of a delivery, its subject
};

// What a receiver was told last on the topic.
struct finding_said {
    const struct finding_result *result;
    const struct finding *findings; // all of it
    size_t count;
    bool final; // with status F or C
};

#define FINDING_ORU_TYPE "ORU^R01^ORU_R01" // MSH-9

// ORU^R01 2.5.1 of one result as it is now: one OBR (OBR-3 the topic or the accession number, OBR-18 the accession
// number), NTE what was looked at or why there is no result, first OBX the Study Instance UID (ST 113014^DICOM
// Study^DCM), then for each finding that is not rejected, with its segment number as sub-ID (under an accession number
// with the topic's first digits before it): CWE finding, site and laterality, NM volume in mL, NM certainty in % where
// the model is calibrated, TX the sentence. A negative: one TX that says what was looked at and that nothing was found.
// Not analysed or failed: OBR-25 X and the reason; but where a positive of the topic that was told still stands, it is
// said again, with the reason as NTE.
// Times have their offset from UTC: that of the study its own zone, the others that of this server. What is no date, no
// time of day or no sex is left out (finding_left_out), and so is a text that is HL7's order to delete (hl7_value).
// BAD_VALUE for a status of no table, and for a control ID that is empty or longer than HL7_CONTROL_OWN_MAX.
// `before` NULL: nothing was told. Else each observation that was told and does not stand any more follows with OBX-11
// D, or W when the result is WITHDRAWN; and OBR-25 and OBX-11 of what stands are C if it was final.
// MSH-7 is created_ns, when the message came to be, but never before OBR-22, when the result changed.
bool finding_to_oru(const struct finding_study *study, const struct finding_result *result,
                    const struct finding *findings, size_t count, const struct finding_said *before,
                    const struct finding_receiver *receiver, int64_t created_ns, struct buffer *out, struct error *err);
// Whether a message of the study names anybody: a patient by an ID or by a name that can be read, or an order by its
// accession number.
bool finding_names_somebody(const struct finding_study *study);
// The control ID (MSH-10) of a message that is to be told of a result: the first 20 hex digits of a digest of its id,
// revision, standing, outcome and reason, and of the delivery that it follows where only the series' images are others
// since (0: another change). It is made once, when the delivery is.
void finding_oru_control(char out[21], const struct finding_result *result, int64_t after);

// FHIR R4, relative references: for each current result a DiagnosticReport (id: the result's; positive and negative:
// preliminary, with what was looked at, and never final, which is verified by an authorized person: a name as typed
// verifies nothing; a negative that waits: registered; not analysed and failed: cancelled,
// with the reason; withdrawn, and a positive whose findings were all rejected: entered-in-error), an Observation for
// each finding (id: the finding's), the study's ImagingStudy and Patient (id: the study's UID), and a Device for each
// model. What was said of another patient than the study's present one has that one's identifier as its subject, or
// none, and refers to no images. A series that no model looked at has no report. A new reference; print it with
// fhir_print.
bool finding_fhir_resources(const struct finding_study *study, const struct finding_result *results,
                            size_t result_count, const struct finding *findings, size_t count, json_t **out,
                            struct error *err);

// One of them by type and id; NULL in *out: no such resource. With `id` NULL a searchset Bundle of those of the type;
// with `type` NULL too, of the report with all that it refers to.
bool finding_to_fhir(const struct finding_study *study, const struct finding_result *results, size_t result_count,
                     const struct finding *findings, size_t count, const char *base, const char *type, const char *id,
                     json_t **out, struct error *err);

#endif
