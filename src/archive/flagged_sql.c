// Objects that were stored although something is wrong with them, and what that is.
#include "archive/archive.h"

#include "archive/internal.h"
#include "archive/rows.h"

static bool list_objects(struct database *db, unsigned flags, struct arena *arena, struct archive_object **out,
                         size_t *count, struct error *err)
{
    struct sql *sql =
        sql_prepare(db, ROWS_OBJECTS "flags>0 AND (flags & ?1)<>0 ORDER BY instance.id DESC LIMIT 1000", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, flags == 0 ? -1 : (int64_t)flags);
    bool ok = rows_collect(sql, arena, out, count, err);
    sql_done(sql);
    return ok;
}

static bool read_differences(struct database *db, struct arena *arena, struct archive_flagged *out, struct error *err)
{
    bool row, ok;
    struct archive_difference *list = arena_calloc(arena, COLUMNS_FROM_OBJECT, sizeof *list);
    struct sql *sql = list ? sql_prepare(db, "SELECT tag, said, known FROM difference WHERE instance=?1", err) : NULL;
    if (!list)
        return error_set(err, ERROR_LIMIT, "no memory for what differs in %s", out->object.sop_instance);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, out->object.id);
    while (out->difference_count < COLUMNS_FROM_OBJECT && (ok = sql_step(sql, &row, err)) && row) {
        struct archive_difference *to = &list[out->difference_count++];
        *to = (struct archive_difference){(dicom_tag)sql_int(sql, 0), arena_strdup(arena, sql_text(sql, 1)),
                                          arena_strdup(arena, sql_text(sql, 2))};
        if (!to->said || !to->known) {
            ok = error_set(err, ERROR_LIMIT, "no memory for what differs in %s", out->object.sop_instance);
            break;
        }
    }
    sql_done(sql);
    out->differences = list;
    return ok;
}

static bool list_flagged(struct database *db, unsigned flags, struct arena *arena, struct archive_flagged **out,
                         size_t *count, struct error *err)
{
    struct archive_object *objects;
    if (!list_objects(db, flags, arena, &objects, count, err))
        return false;
    *out = arena_calloc(arena, *count, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_LIMIT, "no memory for %zu objects", *count);
    for (size_t i = 0; i < *count; i++) {
        struct archive_flagged *one = &(*out)[i];
        one->object = objects[i];
        if ((one->object.flags & (ARCHIVE_FLAG_IDENTITY | ARCHIVE_FLAG_LEVEL)) &&
            !read_differences(db, arena, one, err))
            return false;
    }
    return true;
}

bool archive_flagged(struct archive *archive, unsigned flags, struct arena *arena, struct archive_flagged **out,
                     size_t *count, struct error *err)
{
    struct database *db = store_read_begin(archive->store, err);
    bool ok = db && list_flagged(db, flags, arena, out, count, err);
    store_read_end(archive->store, db);
    return ok;
}
