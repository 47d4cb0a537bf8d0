// Columns in their order, lists that grow in an arena, texts that are asked for: what the room's tables share.
#include "finding/row.h"

#include <string.h>

#include "base/text.h"
#include "finding/object.h"

enum { ROWS_FIRST = 16 };

const char *row_text(struct sql *sql, int *column, struct arena *arena, bool *ok)
{
    const char *text = arena_strdup(arena, object_text(sql_text(sql, (*column)++)));
    *ok = *ok && text;
    return text;
}

struct finding_code row_code(struct sql *sql, int *column, struct arena *arena, bool *ok)
{
    const char *value = row_text(sql, column, arena, ok);
    const char *scheme = row_text(sql, column, arena, ok);
    return (struct finding_code){value, scheme, row_text(sql, column, arena, ok)};
}

// Room for one more in *list of *capacity; doubling leaves the old one to the arena.
static bool grow(void **list, size_t size, size_t count, size_t *capacity, struct arena *arena)
{
    if (count < *capacity)
        return true;
    size_t wanted = *capacity ? *capacity * 2 : ROWS_FIRST;
    void *larger = arena_calloc(arena, wanted, size);
    if (larger && count > 0)
        memcpy(larger, *list, count * size);
    *list = larger;
    *capacity = wanted;
    return larger != NULL;
}

bool row_list(struct sql *sql, row_reader *read, size_t size, struct arena *arena, void **out, size_t *count,
              struct error *err)
{
    size_t capacity = 0;
    bool row, ok;
    *out = NULL;
    *count = 0;
    while ((ok = sql_step(sql, &row, err)) && row) {
        ok = (grow(out, size, *count, &capacity, arena) && read(sql, arena, (char *)*out + *count * size)) ||
             error_set(err, ERROR_LIMIT, "the rows do not fit into the memory given");
        if (!ok)
            break;
        ++*count;
    }
    sql_done(sql);
    return ok;
}

bool row_check_text(const char *what, const char *text, size_t most, struct error *err)
{
    size_t size = strlen(text);
    if (size > most)
        return error_set(err, ERROR_LIMIT, "%s has %zu bytes; at most %zu are kept", what, size, most);
    return text_is_utf8(text, size) || error_set(err, ERROR_BAD_VALUE, "%s is not UTF-8", what);
}

bool row_is_given(const char *text)
{
    return text && *text;
}
