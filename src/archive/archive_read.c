#include "archive/archive.h"

#include <stdlib.h>
#include <string.h>

#include "archive/internal.h"
#include "base/text.h"
#include "store/database.h"

enum { FILE_BLOCK = 64 << 10, OBJECTS_MAX = 100000 };

#define OBJECT_COLUMNS                                                                                                 \
    "SELECT study.uid, series.uid, instance.uid, class, syntax, container, offset, size, header_size, "                \
    "instance.number, frames, received_ns,"                                                                            \
    " digest, flags FROM instance JOIN series ON series.id=instance.series JOIN study ON study.id=series.study WHERE "
#define OBJECT_ORDER                                                                                                   \
    " ORDER BY CAST(series.number AS INTEGER), series.id, CAST(instance.number AS INTEGER), instance.id"

enum way {
    OF_STUDY,
    OF_SERIES,
    OF_INSTANCE,
    OF_INSTANCE_ALONE,
    OF_VERSIONS,
    OF_SERIES_ALONE,
    OF_CONFLICTS,
    OF_FLAGGED
};

// One query for each way to ask, so that each uses its index; `bound` is its highest parameter.
static const struct {
    const char *sql;
    int bound;
} queries[] = {
    [OF_STUDY] = {OBJECT_COLUMNS "rank=0 AND study.uid=?1" OBJECT_ORDER, 1},
    [OF_SERIES] = {OBJECT_COLUMNS "rank=0 AND study.uid=?1 AND series.uid=?2" OBJECT_ORDER, 2},
    [OF_INSTANCE] = {OBJECT_COLUMNS "rank=0 AND instance.uid=?3 AND study.uid=?1 AND series.uid=?2" OBJECT_ORDER, 3},
    [OF_INSTANCE_ALONE] = {OBJECT_COLUMNS "rank=0 AND instance.uid=?3", 3},
    [OF_VERSIONS] = {OBJECT_COLUMNS "instance.uid=?3 ORDER BY rank", 3},
    [OF_SERIES_ALONE] = {OBJECT_COLUMNS "rank=0 AND series.uid=?2" OBJECT_ORDER, 2},
    [OF_CONFLICTS] = {OBJECT_COLUMNS "rank>0 ORDER BY instance.id DESC LIMIT 1000", 0},
    [OF_FLAGGED] = {OBJECT_COLUMNS "flags>0 ORDER BY instance.id DESC LIMIT 1000", 0},
};

static bool read_object(struct sql *sql, struct arena *arena, struct archive_object *out)
{
    const char **texts[] = {&out->study, &out->series, &out->sop_instance, &out->sop_class, &out->transfer_syntax};
    int64_t number;
    size_t size;
    for (int i = 0; i < 5; i++)
        if (!(*texts[i] = arena_strdup(arena, sql_text(sql, i))))
            return false;
    out->place = (struct store_place){(uint64_t)sql_int(sql, 5), (uint64_t)sql_int(sql, 6)};
    out->size = (uint64_t)sql_int(sql, 7);
    out->header_size = (uint64_t)sql_int(sql, 8);
    const char *text = sql_text(sql, 9);
    out->instance_number = text_to_i64(text, strlen(text), &number) ? number : 0;
    text = sql_text(sql, 10);
    out->frames = text_to_i64(text, strlen(text), &number) && number > 0 && number <= UINT32_MAX ? (uint32_t)number : 1;
    out->received_ns = sql_int(sql, 11);
    const void *digest = sql_blob(sql, 12, &size);
    if (size == HASH_SIZE)
        memcpy(out->digest, digest, HASH_SIZE);
    out->flags = (unsigned)sql_int(sql, 13);
    return true;
}

// Rows into an array that doubles inside the arena.
static bool collect(struct sql *sql, struct arena *arena, struct archive_object **out, size_t *count, struct error *err)
{
    size_t capacity = 0;
    bool row;
    *count = 0;
    *out = NULL;
    while (sql_step(sql, &row, err)) {
        if (!row)
            return true;
        if (*count == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            struct archive_object *larger = arena_calloc(arena, capacity, sizeof *larger);
            if (!larger)
                return error_set(err, ERROR_LIMIT, "more than %zu objects at once; ask for a series or fewer", *count);
            if (*count > 0)
                memcpy(larger, *out, *count * sizeof *larger);
            *out = larger;
        }
        if (!read_object(sql, arena, *out + *count))
            return error_set(err, ERROR_LIMIT, "more than %zu objects at once; ask for a series or fewer", *count);
        ++*count;
    }
    return false;
}

static bool ask(struct archive *archive, enum way which, const char *study, const char *series, const char *instance,
                struct arena *arena, struct archive_object **out, size_t *count, struct error *err)
{
    struct database *db = store_read_begin(archive->store, err);
    if (!db)
        return false;
    const char *values[] = {study, series, instance};
    struct sql *sql = sql_prepare(db, queries[which].sql, err);
    for (int i = 0; sql && i < queries[which].bound; i++)
        sql_bind_text(sql, i + 1, values[i]);
    bool ok = sql && collect(sql, arena, out, count, err);
    sql_done(sql);
    store_read_end(archive->store, db);
    if (ok && *count == 0 && which != OF_CONFLICTS && which != OF_FLAGGED)
        return error_set(err, ERROR_NOT_FOUND, "there is no %s %s here",
                         instance ? "object"
                         : series ? "series"
                                  : "study",
                         instance ? instance
                         : series ? series
                                  : study);
    return ok;
}

bool archive_objects(struct archive *archive, const char *study, const char *series, const char *instance,
                     struct arena *arena, struct archive_object **out, size_t *count, struct error *err)
{
    enum way which = instance ? (study && series ? OF_INSTANCE : OF_INSTANCE_ALONE)
                     : series ? (study ? OF_SERIES : OF_SERIES_ALONE)
                              : OF_STUDY;
    return ask(archive, which, study, series, instance, arena, out, count, err);
}

bool archive_versions(struct archive *archive, const char *instance, struct arena *arena, struct archive_object **out,
                      size_t *count, struct error *err)
{
    return ask(archive, OF_VERSIONS, NULL, NULL, instance, arena, out, count, err);
}

bool archive_conflicts(struct archive *archive, struct arena *arena, struct archive_object **out, size_t *count,
                       struct error *err)
{
    return ask(archive, OF_CONFLICTS, NULL, NULL, NULL, arena, out, count, err);
}

bool archive_flagged(struct archive *archive, struct arena *arena, struct archive_object **out, size_t *count,
                     struct error *err)
{
    return ask(archive, OF_FLAGGED, NULL, NULL, NULL, arena, out, count, err);
}

bool archive_bytes(struct archive *archive, const struct archive_object *object, int *fd, uint64_t *offset,
                   struct error *err)
{
    *offset = object->place.offset + STORE_RECORD_HEADER;
    return store_acquire(archive->store, object->place.container, fd, err);
}

static bool parse(struct archive *archive, const struct archive_object *object, uint64_t size,
                  const struct dicom_parse_options *options, struct arena *arena, const struct dicom_dataset **out,
                  struct error *err)
{
    uint64_t offset;
    int fd;
    size_t block_size = size < FILE_BLOCK ? (size_t)size + 1 : FILE_BLOCK;
    uint8_t *block = malloc(block_size);
    if (!block)
        return error_set(err, ERROR_MEMORY, "no memory to read %s", object->sop_instance);
    if (!archive_bytes(archive, object, &fd, &offset, err)) {
        free(block);
        return false;
    }
    struct source_file file = {fd, offset, size, block, block_size};
    bool ok = dicom_parse(source_from_file(&file), dicom_transfer_syntax_or_default(object->transfer_syntax), options,
                          arena, out, err);
    store_release(archive->store, object->place.container);
    free(block);
    return ok;
}

bool archive_header(struct archive *archive, const struct archive_object *object, size_t value_max, struct arena *arena,
                    const struct dicom_dataset **out, struct error *err)
{
    struct dicom_parse_options options = {.value_max = value_max, .depth_max = DICOM_DEPTH_MAX, .stop_at_pixels = true};
    if (object->header_size > ARCHIVE_HEADER_MAX)
        return error_set(err, ERROR_LIMIT, "the header of %s has %llu bytes, more than %d", object->sop_instance,
                         (unsigned long long)object->header_size, ARCHIVE_HEADER_MAX);
    return parse(archive, object, object->header_size, &options, arena, out, err);
}

bool archive_dataset(struct archive *archive, const struct archive_object *object, size_t value_max,
                     struct arena *arena, const struct dicom_dataset **out, struct error *err)
{
    struct dicom_parse_options options = {
        .value_max = value_max, .depth_max = DICOM_DEPTH_MAX, .stop_at_pixels = false};
    return parse(archive, object, object->size, &options, arena, out, err);
}
