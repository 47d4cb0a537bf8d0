// Inside the archive room: what one object becomes in the database, and the columns as one table.
#ifndef ARCHIVE_ROWS_H
#define ARCHIVE_ROWS_H

#include "archive/archive.h"
#include "store/database.h"
#include "store/event.h"

// How a key's value is matched (PS3.4 C.2.2.2).
enum rows_match {
    ROWS_TEXT,       // single value or wildcards, case as it is
    ROWS_NAME,       // like text, on a folded key
    ROWS_UID,        // single value or list
    ROWS_DATE,       // single value or range
    ROWS_TIME,       // likewise
    ROWS_NUMBER,     // single value
    ROWS_MODALITIES, // ModalitiesInStudy: any series' modality
    ROWS_SHOWN,      // returned, not matched
};

// Columns of the tables study, series and instance, in tag order within a level. Those before the *_DERIVED mark are
// filled from the object's attributes; the others are counted or given by the program.
struct rows_column {
    enum archive_level level;
    dicom_tag tag;
    const char *name;
    enum rows_match match;
    bool from_object;
};

extern const struct rows_column rows_columns[];
extern const size_t rows_column_count;

enum { ROWS_COLUMNS_MAX = 48, ROWS_NAME_GROUPS = 3 };

// What a name is matched by: one key for each way that it is written in.
struct rows_name_keys {
    const char *keys[ROWS_NAME_GROUPS];
    size_t count;
};

// What is written for one object. Texts live in the writer's arena.
struct rows_object {
    const char *values[ROWS_COLUMNS_MAX];          // by index of rows_columns; NULL for those not from the object
    struct rows_name_keys names[ROWS_COLUMNS_MAX]; // likewise, of names
    const char *study, *series, *sop_instance, *sop_class, *transfer_syntax;
    struct store_event_detail event; // texts live in the writer's arena or its origin
    struct store_record record;
    uint64_t header_size;
    uint32_t frames;
    bool is_image; // pixels that a person reads
    int64_t received_ns;
    unsigned flags;
    enum archive_outcome outcome; // set by rows_put
};

extern const struct store_migration rows_migration;

// A store_write_fn; `payload` is the struct rows_object. ARCHIVE_SAME in its outcome: nothing was written.
bool rows_put(struct database *db, void *payload, struct error *err);

// Is there an object with this UID, these bytes and this transfer syntax already?
bool rows_same(struct database *db, const struct rows_object *object, bool *same, struct error *err);

// For store_replay, the archive its payload: is there a row for the record at this place?
bool rows_known(void *payload, const struct store_place *place, bool *out, struct error *err);

// Keys of the studies that a program without the table study_name has left, if there are such.
bool rows_complete_names(struct store *store, struct error *err);

// The keys live in the arena; false when it is full.
bool rows_name_keys(const char *name, struct arena *arena, struct rows_name_keys *out);

#endif
