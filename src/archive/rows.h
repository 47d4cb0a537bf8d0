// Inside the archive room: what one object becomes in the database.
#ifndef ARCHIVE_ROWS_H
#define ARCHIVE_ROWS_H

#include "archive/archive.h"
#include "archive/columns.h"
#include "store/database.h"
#include "store/event.h"

enum { ROWS_IDENTITIES_MAX = 200 }; // ways in which the objects of one study name a patient

// What an object says otherwise than the row of its level.
struct rows_difference {
    size_t column;
    const char *known; // the row's
};

// Of the objects with a UID the one that has given bytes in a given transfer syntax.
struct rows_version {
    int64_t id; // 0: none has
    struct store_place place;
    bool is_served;
};

enum { ROWS_VERSIONS_COMPARED = 16 }; // of one object; more are kept and not compared

// How another version of an object differs from the one that is served from now on.
struct rows_against {
    int64_t instance;
    enum archive_conflict_kind kind;
    const struct archive_difference *unlike; // said: the other version's
    size_t unlike_count;
};

// What is written for one object. Texts live in the writer's arena.
struct rows_object {
    const char *values[COLUMNS_FROM_OBJECT];
    struct columns_name_keys names[COLUMNS_FROM_OBJECT]; // of names
    const char *study, *series, *sop_instance, *sop_class, *transfer_syntax, *charset;
    struct store_event_detail event; // texts live in the writer's arena or its origin
    struct store_record record;
    uint64_t header_size;
    uint32_t frames;
    bool is_image;         // pixels that a person reads
    bool is_own;           // made here of other objects, so that it is no witness to whose they are
    bool is_rebuilt;       // its rows are made again, for all were lost
    const char *rejection; // why it rejects images, as another system's note; NULL: it is none
    int64_t received_ns;
    bool newest;         // the source's policy
    const char *labels;  // names of those that its study gets; "" none
    struct arena *arena; // for what rows_put notes
    unsigned flags;
    // set by archive_settle: of what is there under the UID
    size_t beside; // how many objects; 0: none, and `kind` and `unlike` say nothing
    enum archive_conflict_kind kind;
    const struct archive_difference *unlike; // from the one that is served
    size_t unlike_count;
    struct rows_against against[ROWS_VERSIONS_COMPARED]; // all of them, for when this one is served
    size_t against_count;
    struct rows_version same;
    bool is_lost; // the bytes of `same` cannot be read any more: this record takes their place
    // set by archive_settle and rows_put
    enum archive_outcome outcome;
    bool is_set_aside; // of ARCHIVE_SAME: another object of the UID is served
    // set by rows_put
    bool is_mended; // the row of `same` names this record now
    bool is_stale;  // nothing was written: another object came under the UID since it was settled
    struct rows_difference differences[COLUMNS_FROM_OBJECT];
    size_t difference_count;
};

extern const struct store_migration rows_migration;

// A store_write_fn; `payload` is the struct rows_object. ARCHIVE_SAME in its outcome: nothing was written, unless
// is_mended.
bool rows_put(struct database *db, void *payload, struct error *err);

// The objects with this UID so far; *same: that which has these bytes and this transfer syntax.
bool rows_versions(struct database *db, const struct rows_object *object, size_t *count, struct rows_version *same,
                   struct error *err);
// A served object more (by 1) or fewer (by -1) in the counts of its series and patient.
bool rows_count(struct database *db, int64_t patient, int64_t series, int64_t by, struct error *err);

// For store_replay, the archive its payload: is there a row for the record at this place?
bool rows_known(void *payload, const struct store_place *place, bool *out, struct error *err);
bool rows_named(void *payload, uint64_t container, bool *out, struct error *err); // for any record of that container?

// Keys of the studies that a program without the table study_name has left, if there are such.
bool rows_complete_names(struct store *store, struct error *err);

// ---- level by level (level_sql.c)

// The columns of a table in a statement, which begin at `at`, by their place in `columns`. They live as long as its
// row.
void rows_read(struct sql *sql, int at, enum columns_table table, const char *known[COLUMNS_FROM_OBJECT]);
// Notes in the object's differences what contradicts that row.
bool rows_compare(struct rows_object *object, enum columns_table table, const char *const known[COLUMNS_FROM_OBJECT],
                  struct error *err);
// What the row lacks and the object says, a bit for each column; and the row takes it.
uint64_t rows_lacks(const struct rows_object *object, enum columns_table table,
                    const char *const known[COLUMNS_FROM_OBJECT]);
bool rows_fill(struct database *db, int64_t row, const struct rows_object *object, uint64_t lacks, struct error *err);
bool rows_set(struct database *db, const struct columns_column *column, int64_t row, const char *value,
              struct error *err);
// The row that a statement finds by its id and the table's columns: what contradicts it is noted, and what it lacks is
// filled in, which `*filled` tells. *id 0: there is none. The statement is done.
bool rows_find(struct database *db, struct sql *sql, enum columns_table table, struct rows_object *object, int64_t *id,
               uint64_t *filled, struct error *err);

// ---- patients (patient_sql.c)

struct rows_patient {
    int64_t row;
    int64_t identity; // 0: of an object that is no witness
    bool served;      // the identity is that of a served object already
};

// The patient's row of a study that the object belongs to, made when there is none.
//
// It is the one with the same issuer and Patient ID; else the only one that does not contradict it. A value that is
// absent contradicts nothing; but where one of the two has no Patient ID, name and birth date must not contradict
// either. What the study's first patient's row contradicts is noted in the object's differences, and what this
// patient's objects say of the study otherwise: an accession number of one patient is none of another one's.
bool rows_find_patient(struct database *db, int64_t study, struct rows_object *object, struct rows_patient *out,
                       struct error *err);
// study.identity says in words whose objects the study has, when its served ones leave that in doubt; else "".
bool rows_describe_identity(struct database *db, int64_t study, struct arena *arena, struct error *err);
// After a served object of an identity that none was served of before.
bool rows_identity_served(struct database *db, int64_t study, const struct rows_patient *patient, struct arena *arena,
                          struct error *err);

// After another object is served: which identities are those of served objects.
bool rows_identities_again(struct database *db, int64_t study, struct arena *arena, struct error *err);

// ---- objects out of rows (archive_sql.c)

// What is asked for within the bounds; all of it for NULL.
struct archive_page rows_page(const struct archive_page *asked);
bool rows_object_by_id(struct database *db, int64_t id, struct arena *arena, struct archive_object *out,
                       struct error *err);

// ---- conflicts (conflict_sql.c)

// A conflict is seen by who sees the studies of all versions of its object: it tells of each.
#define ROWS_CONFLICT_SEEN(hidden)                                                                                     \
    "NOT EXISTS(SELECT 1 FROM instance AS mine JOIN instance AS version ON version.uid=mine.uid JOIN series AS home"   \
    " ON home.id=version.series JOIN study_patient AS owner ON owner.id=home.patient JOIN study AS one"                \
    " ON one.id=owner.study JOIN study_label ON study_label.study=one.uid WHERE mine.id=conflict.instance"             \
    " AND (study_label.labels & " hidden ")<>0)"

// Of an object that was put beside the one that is served: the row, and, when the source's policy says so, the other
// one served. *taken: it is.
bool rows_add_conflict(struct database *db, const struct rows_object *object, int64_t instance, bool *taken,
                       struct error *err);

#endif
