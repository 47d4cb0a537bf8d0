// Inside the archive room: what is kept of an object in the tables study, study_patient, series and instance, as one
// table that fills rows, compares them, answers queries and matches keys.
#ifndef ARCHIVE_COLUMNS_H
#define ARCHIVE_COLUMNS_H

#include "archive/archive.h"

// How a key's value is matched (PS3.4 C.2.2.2).
enum columns_match {
    COLUMNS_TEXT,       // single value or wildcards, case as it is
    COLUMNS_NAME,       // like text, on a folded key
    COLUMNS_UID,        // single value or list
    COLUMNS_DATE,       // single value or range
    COLUMNS_TIME,       // likewise
    COLUMNS_NUMBER,     // single value
    COLUMNS_MODALITIES, // ModalitiesInStudy: any series' modality
    COLUMNS_SHOWN,      // returned, not matched
};

// What it means when an object says something else than the row of the level above has. An absent value is no
// difference.
enum columns_owner {
    COLUMNS_FREE,     // nothing: it may differ from object to object, or names the row
    COLUMNS_IDENTITY, // ARCHIVE_FLAG_IDENTITY: whose images these are is in doubt
    COLUMNS_OWNED,    // ARCHIVE_FLAG_LEVEL: study or series own it (PS3.3 A.1.2), so one of the two is wrong
};

enum columns_table { COLUMNS_STUDY, COLUMNS_PART, COLUMNS_PATIENT, COLUMNS_SERIES, COLUMNS_INSTANCE };

// X(column, tag, match, owner), by tag. All are filled from the object.
#define COLUMNS_OF_STUDY(X) X(uid, 0x0020000D, UID, FREE)
// What a patient's objects say of the study: each patient's own, where one Study Instance UID has several. The zone is
// that of the object whose time it is (PS3.3 C.12.1.1.8): another's, as of a workstation that writes the scanner's time
// anew and its own zone beside it, would move the study by hours.
#define COLUMNS_OF_PART(X)                                                                                             \
    X(date, 0x00080020, DATE, OWNED)                                                                                   \
    X(time, 0x00080030, TIME, FREE)                                                                                    \
    X(accession, 0x00080050, TEXT, OWNED)                                                                              \
    X(referring, 0x00080090, NAME, OWNED)                                                                              \
    X(zone, 0x00080201, TEXT, OWNED)                                                                                   \
    X(description, 0x00081030, TEXT, OWNED)                                                                            \
    X(study_id, 0x00200010, TEXT, OWNED)
// Of a patient of the study, whose size, weight and age are not kept: they change.
#define COLUMNS_OF_PATIENT(X)                                                                                          \
    X(patient_name, 0x00100010, NAME, IDENTITY)                                                                        \
    X(patient_id, 0x00100020, TEXT, IDENTITY)                                                                          \
    X(issuer, 0x00100021, TEXT, IDENTITY)                                                                              \
    X(birth_date, 0x00100030, DATE, IDENTITY)                                                                          \
    X(sex, 0x00100040, TEXT, IDENTITY)
#define COLUMNS_OF_SERIES(X)                                                                                           \
    X(date, 0x00080021, DATE, FREE)                                                                                    \
    X(time, 0x00080031, TIME, FREE)                                                                                    \
    X(modality, 0x00080060, TEXT, OWNED)                                                                               \
    X(manufacturer, 0x00080070, TEXT, OWNED)                                                                           \
    X(station, 0x00081010, TEXT, OWNED)                                                                                \
    X(description, 0x0008103E, TEXT, OWNED)                                                                            \
    X(model, 0x00081090, TEXT, OWNED)                                                                                  \
    X(body_part, 0x00180015, TEXT, OWNED)                                                                              \
    X(protocol, 0x00181030, TEXT, OWNED)                                                                               \
    X(uid, 0x0020000E, UID, FREE)                                                                                      \
    X(number, 0x00200011, NUMBER, OWNED)                                                                               \
    X(frame_of_reference, 0x00200052, UID, OWNED)                                                                      \
    X(laterality, 0x00200060, TEXT, OWNED)                                                                             \
    X(step_date, 0x00400244, DATE, FREE)                                                                               \
    X(step_time, 0x00400245, TIME, FREE)
#define COLUMNS_OF_INSTANCE(X)                                                                                         \
    X(class, 0x00080016, UID, FREE)                                                                                    \
    X(uid, 0x00080018, UID, FREE)                                                                                      \
    X(number, 0x00200013, NUMBER, FREE)                                                                                \
    X(frames, 0x00280008, NUMBER, FREE)                                                                                \
    X(rows, 0x00280010, NUMBER, FREE)                                                                                  \
    X(columns, 0x00280011, NUMBER, FREE)                                                                               \
    X(bits, 0x00280100, NUMBER, FREE)

// For lists in statements: COLUMNS_OF_PART(COLUMNS_LISTED) gives each name behind a comma.
#define COLUMNS_LISTED(column, tag, match, owner) ", " #column
#define COLUMNS_MARKED(column, tag, match, owner) ", ?"

// The place of each in `columns` and in what is kept of an object: COLUMNS_PART_accession.
enum columns_index {
#define X(column, tag, match, owner) COLUMNS_STUDY_##column,
    COLUMNS_OF_STUDY(X)
#undef X
#define X(column, tag, match, owner) COLUMNS_PART_##column,
        COLUMNS_OF_PART(X)
#undef X
#define X(column, tag, match, owner) COLUMNS_PATIENT_##column,
            COLUMNS_OF_PATIENT(X)
#undef X
#define X(column, tag, match, owner) COLUMNS_SERIES_##column,
                COLUMNS_OF_SERIES(X)
#undef X
#define X(column, tag, match, owner) COLUMNS_INSTANCE_##column,
                    COLUMNS_OF_INSTANCE(X)
#undef X
                        COLUMNS_FROM_OBJECT, // how many are filled from the object; the others are counted or given
    COLUMNS_COUNT = COLUMNS_FROM_OBJECT + 5
};

struct columns_column {
    enum columns_table table;
    dicom_tag tag;
    const char *name; // with its table
    enum columns_match match;
    enum columns_owner owner;
};

extern const struct columns_column columns[COLUMNS_COUNT];

// The columns of a table that are filled from the object: from *first on.
size_t columns_of(enum columns_table table, size_t *first);
// The level of a query at which a table's columns are there.
enum archive_level columns_level(enum columns_table table);

// What a name is matched by: a key for each way that it is written in. The keys live in the arena; false when it is
// full.
enum { COLUMNS_NAME_GROUPS = 3 };
struct columns_name_keys {
    const char *keys[COLUMNS_NAME_GROUPS];
    size_t count;
};
char *columns_name_key(const char *group, size_t size, struct arena *arena); // of one way; NULL when it is full
bool columns_name_keys(const char *name, struct arena *arena, struct columns_name_keys *out);

// Whether two values of a column contradict each other: both are there and say something else. Names are compared
// folded, way by way of writing, where they could be read; dates by their digits; texts without blanks around them.
bool columns_differ(const struct columns_column *column, const char *a, const char *b);

#endif
