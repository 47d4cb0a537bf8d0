// Inside the archive room.
#ifndef ARCHIVE_INTERNAL_H
#define ARCHIVE_INTERNAL_H

#include "archive/archive.h"
#include "base/file.h"

struct archive {
    struct store *store;
};

struct rows_object;

// Rows for a record that is sealed and synced.
bool archive_commit_rows(struct archive *archive, struct rows_object *object, struct error *err);

// Makes the rows of a record again from its bytes and meta text [R3].
bool archive_put_again(struct archive *archive, const struct store_record *record, const char *meta, size_t meta_size,
                       struct error *err);

#endif
