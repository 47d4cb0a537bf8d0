// Inside the archive room.
#ifndef ARCHIVE_INTERNAL_H
#define ARCHIVE_INTERNAL_H

#include "archive/archive.h"
#include "base/file.h"

struct archive {
    struct store *store;
    struct image_decoder *decoder;   // NULL: compressed pixels are not compared
    struct archive_rebuild *rebuild; // while one goes on
};

struct rows_object;
struct rows_against;

// Beside what is there under its UID: sets object->outcome, and of what differs all that rows_put needs. `reader` has
// the object's bytes. What cannot be compared is no failure. ARCHIVE_SAME is said of what was read and proved only; the
// same bytes that are lost where they were stored are object->is_lost.
bool archive_settle(struct archive *archive, struct rows_object *object, const struct reader *reader,
                    struct error *err);
// Is a record of the object to be made? Not when it is there and can be read.
bool archive_needs_record(const struct rows_object *object);
// Rows for a record that is sealed and synced; settled anew when another one came under its UID meanwhile.
bool archive_commit_rows(struct archive *archive, struct rows_object *object, const struct reader *reader,
                         struct error *err);

// The other versions of an object beside the one with this id, for when it is served: *out in `arena`. *versions: how
// many there were, that one too.
bool archive_compare_versions(struct archive *archive, const char *sop_instance, int64_t id, struct arena *arena,
                              struct rows_against **out, size_t *count, size_t *versions, struct error *err);

// Makes the rows of a record again from its bytes and meta text [R3].
bool archive_put_again(struct archive *archive, const struct store_record *record, const char *meta, size_t meta_size,
                       struct error *err);

#endif
