// An object beside the rows of the levels above it: what contradicts them, and what they lack.
#include "archive/rows.h"

#include <stdio.h>
#include <string.h>

static bool note(struct rows_object *object, size_t column, const char *known, struct error *err)
{
    const char *copy = arena_strdup(object->arena, known);
    if (!copy)
        return error_set(err, ERROR_LIMIT, "no memory for what differs in %s", object->sop_instance);
    object->differences[object->difference_count++] = (struct rows_difference){column, copy};
    object->flags |= columns[column].owner == COLUMNS_IDENTITY ? ARCHIVE_FLAG_IDENTITY : ARCHIVE_FLAG_LEVEL;
    return true;
}

void rows_read(struct sql *sql, int at, enum columns_table table, const char *known[COLUMNS_FROM_OBJECT])
{
    size_t first, count = columns_of(table, &first);
    for (size_t i = first; i < first + count; i++)
        known[i] = sql_text(sql, at++);
}

bool rows_compare(struct rows_object *object, enum columns_table table, const char *const known[COLUMNS_FROM_OBJECT],
                  struct error *err)
{
    size_t first, count = columns_of(table, &first);
    for (size_t i = first; i < first + count && !object->is_own; i++)
        if (columns[i].owner != COLUMNS_FREE && columns_differ(&columns[i], object->values[i], known[i]) &&
            !note(object, i, known[i], err))
            return false;
    return true;
}

uint64_t rows_lacks(const struct rows_object *object, enum columns_table table,
                    const char *const known[COLUMNS_FROM_OBJECT])
{
    size_t first, count = columns_of(table, &first);
    uint64_t lacks = 0;
    for (size_t i = first; i < first + count && !object->is_own; i++)
        if (!*known[i] && *object->values[i])
            lacks |= UINT64_C(1) << i;
    if (!(lacks >> COLUMNS_PART_time & 1))
        lacks &= ~(UINT64_C(1) << COLUMNS_PART_zone);
    return lacks;
}

bool rows_set(struct database *db, const struct columns_column *column, int64_t row, const char *value,
              struct error *err)
{
    char text[128];
    const char *dot = strchr(column->name, '.');
    bool done;
    snprintf(text, sizeof text, "UPDATE %.*s SET %s=?1 WHERE id=?2", (int)(dot - column->name), column->name, dot + 1);
    struct sql *sql = sql_prepare_made(db, text, err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, value);
    sql_bind_int(sql, 2, row);
    bool ok = sql_step(sql, &done, err);
    sql_done(sql);
    return ok;
}

bool rows_fill(struct database *db, int64_t row, const struct rows_object *object, uint64_t lacks, struct error *err)
{
    for (size_t i = 0; lacks >> i; i++)
        if ((lacks >> i & 1) && !rows_set(db, &columns[i], row, object->values[i], err))
            return false;
    return true;
}

bool rows_find(struct database *db, struct sql *sql, enum columns_table table, struct rows_object *object, int64_t *id,
               uint64_t *filled, struct error *err)
{
    const char *known[COLUMNS_FROM_OBJECT];
    bool row;
    bool ok = sql_step(sql, &row, err);
    *id = 0;
    *filled = 0;
    if (ok && row) {
        *id = sql_int(sql, 0);
        rows_read(sql, 1, table, known);
        *filled = rows_lacks(object, table, known);
        ok = rows_compare(object, table, known, err);
    }
    sql_done(sql);
    return ok && rows_fill(db, *id, object, *filled, err);
}
