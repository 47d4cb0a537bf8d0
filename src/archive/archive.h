// The archive room: ingest, query, retrieve. It joins DICOM's meaning (dicom) to durable bytes and rows (store).
//
// The way in (docs/store-format.md gives the states): archive_put pulls the data set from its source; every piece goes
// to the lane and to the parser in one pass; then the object's identity is checked, the record is sealed and synced,
// and ONE write transaction makes its rows and the event OBJECT_STORED. Only then it returns true.
//
// Patients: one Study Instance UID may come with objects of several (a wrong pick from a worklist does it). Each has a
// row of its own under the study, by issuer and Patient ID; a series' row is of one patient too. Objects that name
// their patient in ways that contradict each other raise ARCHIVE_FLAG_IDENTITY, and the study says so in words. Lists
// in other rooms read the view study_shown, a row for each study that objects came for: study (UID), patient_id,
// issuer, patient_name, birth_date, sex, accession, modalities, description, date (of the first patient that is shown:
// whom served objects name, objects that were made here only where there are no others; or of the first one where
// nothing is served); and identity, conflicts, held_back, rejected, unreadable, shared_series and unidentified: "", or
// a sentence for people about whose objects these are, about objects that came again and wait for a decision, about
// those that are not served since an object of another study has their UID (or, of one study, of another series, none
// of which is served), about notes that reject images, about a patient's name or ID that cannot be read, about a series
// whose Series Instance UID is one of another study's too, and about a patient without ID. archive_study_flags gives
// the same.
//
// The same SOP Instance UID again (docs/design.md, section 4, 3):
//   equal bytes in the same transfer syntax          the same object: nothing new is kept
//   an equal data set in another transfer syntax     the same object too, so that what a PACS echoes is no conflict
//   other attributes, equal pixels                   kept beside; the first or the newest is served, as the source's
//                                                    policy says (archive_origin.newest)
//   other pixels, or not to be compared              kept beside; the first is served until a person takes the other
// Attributes are compared as dicom/compare.h says, pixels frame by frame after decoding, within Bits Stored; where
// pixels are equal but packed otherwise, Photometric Interpretation, Planar Configuration and Derivation Description
// may follow that. Rows, Columns and all else that says how pixels are read counts as pixels. What is beside is a
// conflict, listed until somebody keeps the one that is served or takes the newer one. It stands on the study of each,
// and what it says of differences is from the one that is served now. The bytes are never altered;
// what is wrong with an object but can be stored is a flag.
#ifndef ARCHIVE_ARCHIVE_H
#define ARCHIVE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/label.h"
#include "base/arena.h"
#include "base/reader.h"
#include "dicom/dataset.h"
#include "image/decoder.h"
#include "image/frames.h"
#include "store/store.h"

struct archive;

enum {
    ARCHIVE_LANE_MAX = 512 << 20,  // a lane past this is closed before the next object
    ARCHIVE_HEADER_MAX = 64 << 20, // bytes before the pixels that reading a header takes
    ARCHIVE_MATCHES_MAX = 32,      // keys of a query
    ARCHIVE_WILDCARDS_MAX = 16,    // '*' and '?' of one key, after runs of '*' are one
    ARCHIVE_LIMIT_DEFAULT = 1000,  // results of a query that gives no limit
    ARCHIVE_LIMIT_MAX = 5000,
};

// Migrates its tables, replays the lanes (store_replay) and is ready. `store` and `decoder` must outlive it. Without a
// decoder (NULL) compressed pixels that came again are not compared.
struct archive *archive_open(struct store *store, struct image_decoder *decoder, struct error *err);
// A rebuild of its tables (docs/store-format.md, "Rebuild"), shown to somebody.
struct archive_rebuild {
    void (*progress)(void *payload, const char *what, uint64_t done, uint64_t total); // as struct store_replay has it
    void *payload;
    uint64_t unreadable; // out: objects whose bytes are not whole any more
    uint64_t left_out;   // out: whole ones that cannot be understood; the log has the reasons
};
// The same for a store that was opened for a rebuild: the rows of all objects in lanes and packs are made again, in the
// order in which they came and compared as when they came.
struct archive *archive_open_rebuild(struct store *store, struct image_decoder *decoder,
                                     struct archive_rebuild *rebuild, struct error *err);
void archive_close(struct archive *archive);
struct store *archive_store(const struct archive *archive);

// ---- in

// Where an object comes from: kept with it, in the record's meta text.
struct archive_origin {
    const char *how;    // "c-store", "import", "job"
    const char *called; // AE titles, "" when there are none
    const char *calling;
    const char *address;
    const char *association;  // names the association among all there ever were; NULL: none
    const char *issuer;       // default Issuer of Patient ID (0010,0021) for objects without one; "" none
    const char *charset;      // what text is in where the object does not say so (dicom/charset.h); "", NULL not known
    const char *sop_class;    // from the message (C-STORE command, Part 10 meta); NULL when nothing was said
    const char *sop_instance; // likewise; another one inside the data set is refused
    const char *labels;       // names of those that the study gets, with commas between; "", NULL none
    bool newest;              // the source's policy: of equal pixels with other attributes the newest is served
    const char *preamble;     // of a file, when it is not all zeros: in hexadecimal; NULL: none. Kept, never served.
};

enum archive_outcome {
    ARCHIVE_STORED,
    ARCHIVE_SAME,
    ARCHIVE_KEPT_BESIDE, // the one that was there is served
    ARCHIVE_REPLACED,    // kept beside the one that was there, and served instead of it
};

// Why an object is flagged; bits.
enum archive_flag {
    ARCHIVE_FLAG_UID = 1,      // a UID that PS3.5 section 9.1 does not allow
    ARCHIVE_FLAG_CHARSET = 2,  // an unknown character set, or text that cannot be read in its own
    ARCHIVE_FLAG_PIXELS = 4,   // its image attributes make no sense: no AI looks at it
    ARCHIVE_FLAG_CONFLICT = 8, // kept beside an object with the same SOP Instance UID, which is served
    ARCHIVE_FLAG_IDENTITY =
        16,                  // Patient ID, issuer, name, birth date or sex are not those of its study's first patient
    ARCHIVE_FLAG_LEVEL = 32, // what the study or the series owns (columns.h has the table) is not what it was before
    ARCHIVE_FLAG_REJECTION = 64, // another system's note that rejects images (PS3.16 CID 7011, IHE RAD IOCM)
    ARCHIVE_FLAG_SERIES = 128,   // its Series Instance UID is a series' of another study too
    ARCHIVE_FLAG_NO_ID = 256,    // it names no Patient ID
};

enum { ARCHIVE_FLAG_BITS = 9 };

struct archive_stored {
    enum archive_outcome outcome;
    bool is_set_aside; // of SAME: it is not served, for another object of its UID is, as was decided or is to be
    unsigned flags;
    uint64_t size;
    char study[DICOM_UID_SIZE];
    char series[DICOM_UID_SIZE];
    char sop_instance[DICOM_UID_SIZE];
    char sop_class[DICOM_UID_SIZE];
    char patient_id[65]; // for the audit; cut
};

struct archive_writer; // one thread; an association, an import

struct archive_writer *archive_writer_open(struct archive *archive, struct error *err); // NULL on failure
// Ends the lane: it becomes a pack. Failures are logged: the objects are safe, and the next start closes it.
void archive_writer_close(struct archive_writer *writer);

// Stores one data set. On failure nothing is stored:
//   BAD_DATA   structure refused (DIMSE C000H); the bytes are in the quarantine with the reason
//   MISMATCH   SOP class or instance UID absent, not usable as a key, or not those of the message (A900H); Study or
//              Series Instance UID absent
//   FULL, BUSY, IO  disk or database (A700H); repeat it later
//   others     from the source: the peer broke off
// The source is read to its end except when the source itself breaks, the disk is full, or a limit is passed.
bool archive_put(struct archive_writer *writer, struct source source, const char *transfer_syntax,
                 const struct archive_origin *origin, int64_t now_ns, struct archive_stored *out, struct error *err);

// A Part 10 file or bare data set, from an open file: reads the meta information, then as archive_put. UNSUPPORTED: no
// DICOM, or a DICOMDIR.
bool archive_put_file(struct archive_writer *writer, int fd, uint64_t size, const struct archive_origin *origin,
                      int64_t now_ns, struct archive_stored *out, struct error *err);

// What can serve as a key: 1 to DICOM_UID_SIZE - 1 characters of A-Z a-z 0-9 . - and at least one letter or digit, not
// beginning with '.'. Wider than the standard's UID: such objects are flagged.
bool archive_uid_is_usable(const char *uid);

// ---- query (PS3.4 C.2.2.2 matching, PS3.18 8.3.4)

enum archive_level { ARCHIVE_STUDY, ARCHIVE_SERIES, ARCHIVE_INSTANCE };

struct archive_match {
    dicom_tag tag;
    const char *value; // UTF-8; single value, wildcards * and ?, UID list with backslashes or commas, or range with '-'
                       // by the attribute's VR
};

struct archive_query {
    enum archive_level level;
    const char *study;  // NULL: any
    const char *series; // NULL: any
    int64_t patient;    // archive_object.patient, at study level also when nothing of it is served; 0: any
    bool shown;         // only patients that lists show (above)
    struct archive_match matches[ARCHIVE_MATCHES_MAX];
    size_t match_count;
    size_t limit; // 0: ARCHIVE_LIMIT_DEFAULT
    size_t offset;
};

// One attribute of a result: text as it stands in a DICOM value (several values with backslashes), "" when empty.
struct archive_field {
    dicom_tag tag;
    const char *text;
};

struct archive_row {
    struct archive_field *fields; // tags rise; those of the level and the levels above it
    size_t count;
    int64_t patient; // whose it is (archive_object.patient)
};

// An attribute that is kept of objects, at the level at which it is; `matching` in words ("range"), NULL: it is
// returned, and not matched. For who shows the table; false past the last.
struct archive_attribute {
    enum archive_level level;
    dicom_tag tag;
    const char *matching;
};
bool archive_attribute(size_t index, struct archive_attribute *out);

// True when a key can be matched at this level.
bool archive_can_match(enum archive_level level, dicom_tag tag);

// What is asked for is answered once for each patient that served objects of the study or series name, with that
// patient's attributes and counts; nearly always there is one.
//
// Newest study first; series and instances by number. BAD_VALUE for a key that is unknown, a range like "9999-0000" or
// "-", or too many wildcards. *more: there are results past the limit.
bool archive_find(struct archive *archive, struct access_scope scope, const struct archive_query *query,
                  struct arena *arena, struct archive_row **out, size_t *count, bool *more, struct error *err);

// ---- out

struct archive_object {
    const char *study, *series, *sop_instance, *sop_class, *transfer_syntax;
    struct store_place place;
    uint64_t size; // of the data set
    int64_t id;    // names it among all that are kept
    // Which patient it is of: among a study's objects equal when they are of one, by issuer and Patient ID, and by name
    // and birth date of those without ID; and how many of the study's patients came before that one.
    int64_t patient, patient_rank;
    const char *patient_id, *issuer; // that patient's; "" when nobody has said
    const char *charset;             // as its origin had it, "" when not; its trees are read by it
    uint64_t header_size;            // of what stands before the pixel data element; size when there is none
    int64_t instance_number;
    uint32_t frames;
    int64_t received_ns;
    uint8_t digest[HASH_SIZE];
    unsigned flags;
};

// The served objects of a study, of a series of it, or an instance (NULL: all below), by series and instance number.
// A series is asked for with its study: another one may have its UID. NOT_FOUND when there are none; LIMIT past
// `arena`.
bool archive_objects(struct archive *archive, struct access_scope scope, const char *study, const char *series,
                     const char *instance, struct arena *arena, struct archive_object **out, size_t *count,
                     struct error *err);

// Every object kept for this SOP Instance UID, the served one first.
bool archive_versions(struct archive *archive, struct access_scope scope, const char *instance, struct arena *arena,
                      struct archive_object **out, size_t *count, struct error *err);

// Whether a study is here, of which objects came, and `scope` sees it.
bool archive_sees(struct archive *archive, struct access_scope scope, const char *study, bool *out, struct error *err);
// The Patient IDs of a study, of its first patient first, ARCHIVE_STUDY_PATIENTS at most and without those that have
// none, in `arena`: for the audit trail, which is looked through by them. None: there is no such study.
enum { ARCHIVE_STUDY_PATIENTS = 8 };
bool archive_study_patients(struct archive *archive, const char *study, struct arena *arena,
                            const char *out[ARCHIVE_STUDY_PATIENTS], size_t *count, struct error *err);

// What an object says otherwise than the rows of its study, patient and series said when it came.
struct archive_difference {
    dicom_tag tag;
    const char *said, *known; // the object's value, and the row's
};

// ---- conflicts

// OTHER_MEANING: equal pixels, said to be elsewhere, of another size, scale, part of the body or contrast: what is read
// from them changes, as with other pixels.
enum archive_conflict_kind {
    ARCHIVE_OTHER_ATTRIBUTES,
    ARCHIVE_OTHER_PIXELS,
    ARCHIVE_NOT_COMPARED,
    ARCHIVE_OTHER_MEANING
};
enum archive_decision { ARCHIVE_OPEN, ARCHIVE_KEPT, ARCHIVE_TAKEN };

// An object that came under a UID which was there already.
struct archive_conflict {
    struct archive_object newer, served; // newer.id names the conflict; served: now, which is the newer one once taken
    enum archive_conflict_kind kind;
    const struct archive_difference *differences; // of the newer one (said) from the one that is served, or, once it
                                                  // was taken, from that before it; by tag: the first 16
    size_t difference_count;
    const char *how, *from; // as archive_origin has them: "c-store", and the calling AE title
    enum archive_decision decision;
    const char *decided_by; // "" while it is open; "settled with conflict 7 by NAME" of one that nobody looked at
    int64_t decided_ns;
    struct archive_object before; // from archive_decide: that which was served until then
};

// A part of a long list, newest first.
enum { ARCHIVE_PAGE_MAX = 1000 };
struct archive_page {
    size_t offset, limit; // limit 0, and above it: ARCHIVE_PAGE_MAX
    uint64_t total;       // out: of the whole list
};

// Conflicts of a study or of all (NULL): it has one of the objects with that UID, served or not. Those that wait for a
// decision, or also those that have one. A part of them, or the newest ARCHIVE_PAGE_MAX (`page` NULL). None is fine.
bool archive_conflicts(struct archive *archive, struct access_scope scope, const char *study, bool decided_too,
                       struct archive_page *page, struct arena *arena, struct archive_conflict **out, size_t *count,
                       struct error *err);

// What a person says of a conflict. ARCHIVE_KEPT: the one that is served stays. ARCHIVE_TAKEN: the newer one is served
// from now on, and older conflicts of the same object are settled with it; all others are compared with it; the rows of
// its study, patient and series say what it says; an event OBJECT_SERVED. Taking can be done again later, so that a
// decision can be taken back. Durable. *out, in `arena`, is the conflict as it is now. NOT_FOUND; CONFLICT when there
// is nothing to decide.
bool archive_decide(struct archive *archive, struct access_scope scope, int64_t id, enum archive_decision decision,
                    const char *by, int64_t now_ns, struct arena *arena, struct archive_conflict *out,
                    struct error *err);

// How many objects came for a series and are not served: whoever concludes from the series that there is nothing must
// know.
struct archive_held_back {
    int64_t elsewhere; // an object of another series or study has their UID
    int64_t undecided; // images that came again otherwise than in attributes alone, and nobody has decided
};
bool archive_held_back(struct archive *archive, const char *study, const char *series, struct archive_held_back *out,
                       struct error *err);

// ---- flags

struct archive_flagged {
    struct archive_object object;
    const struct archive_difference *differences; // by tag
    size_t difference_count;
};

// Objects that have one of the flags (0: any): a part of them, or the newest ARCHIVE_PAGE_MAX (`page` NULL). None is
// fine.
bool archive_flagged(struct archive *archive, struct access_scope scope, unsigned flags, struct archive_page *page,
                     struct arena *arena, struct archive_flagged **out, size_t *count, struct error *err);

// The sentences that are to be seen before a study is read (identity, conflicts, held_back, rejected, unreadable,
// shared_series, unidentified); none is fine, as for a study that is not here.
enum { ARCHIVE_STUDY_FLAGS = 7 };
bool archive_study_flags(struct archive *archive, struct access_scope scope, const char *study, struct arena *arena,
                         const char *out[ARCHIVE_STUDY_FLAGS], size_t *count, struct error *err);

// The header (everything before the pixel data, values up to `value_max` bytes) as a tree in `arena`. For a deflated
// object the whole is inflated.
bool archive_header(struct archive *archive, const struct archive_object *object, size_t value_max, struct arena *arena,
                    const struct dicom_dataset **out, struct error *err);

// The whole tree with its last element: where the pixels are. Values longer than value_max are left in the file.
bool archive_dataset(struct archive *archive, const struct archive_object *object, size_t value_max,
                     struct arena *arena, const struct dicom_dataset **out, struct error *err);

// The bytes of its data set, as they were sent; to be released (base/reader.h). IO when its container is gone. For
// parts of it: nothing says whether they are what was stored.
bool archive_reader(struct archive *archive, const struct archive_object *object, struct reader *out,
                    struct error *err);
// The same for who hands on the whole, and reads it from its start to its end in order (INTERNAL otherwise): the read
// that reaches the end fails with DAMAGED, and an alarm is raised, when the bytes do not match the object's digest. So
// the end must not be handed on before it was read.
bool archive_proved_reader(struct archive *archive, const struct archive_object *object, struct reader *out,
                           struct error *err);
// Reads it once, to the same end: for who reads it here and there afterwards, and concludes something from it.
bool archive_prove(struct archive *archive, const struct archive_object *object, struct error *err);
// For who fails with what is in a stored object: where that cannot be understood (BAD_DATA) and the object's bytes do
// not match its digest, *err becomes DAMAGED, and an alarm is raised; the sender is not to be blamed then, nor who
// asks. Reads the whole object. false, always.
bool archive_doubt(struct archive *archive, const struct archive_object *object, struct error *err);

// Its frames (image/frames.h). `dataset` is its whole tree, from archive_dataset; it and `object` must outlive them,
// and so must `decoder`, which may be NULL where no frame is decoded.
bool archive_frames(struct archive *archive, const struct archive_object *object, const struct dicom_dataset *dataset,
                    struct image_decoder *decoder, struct image_frames *out, struct error *err);

// One of them, as image_frame: `out` has room for exactly that frame.
bool archive_frame(struct archive *archive, const struct archive_object *object, const struct dicom_dataset *dataset,
                   struct image_decoder *decoder, uint32_t index, void *out, size_t capacity, enum image_color *color,
                   struct error *err);

struct archive_counts {
    int64_t patients; // by issuer and Patient ID
    int64_t studies, series, instances, conflicts;
    int64_t bytes;
};
bool archive_count(struct archive *archive, struct access_scope scope, struct archive_counts *out, struct error *err);

// How much waits for a person's look: open conflicts, studies whose objects name several patients or one in several
// ways, objects by flag (flagged[n] of the flag 1 << n). For monitoring: only what is wrong is walked.
struct archive_faults {
    int64_t conflicts, identity_studies;
    int64_t flagged[ARCHIVE_FLAG_BITS];
};
bool archive_count_faults(struct archive *archive, struct archive_faults *out, struct error *err);

#endif
