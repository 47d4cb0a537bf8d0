#include "store/backup_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"

enum { ROW_SIZE = 24 + BACKUP_MARK_SIZE + VAULT_NAME_SIZE, ROWS_MAX = 1 << 26 };

bool backup_list_add(struct backup_list *list, const struct backup_row *row, struct error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 256;
        struct backup_row *grown = capacity <= ROWS_MAX ? realloc(list->rows, capacity * sizeof *grown) : NULL;
        if (!grown)
            return error_set(err, ERROR_MEMORY, "no memory for a list of %zu containers", list->count);
        list->rows = grown;
        list->capacity = capacity;
    }
    list->rows[list->count++] = *row;
    return true;
}

static int compare_rows(const void *a, const void *b)
{
    const struct backup_row *x = a, *y = b;
    return (x->container > y->container) - (x->container < y->container);
}

const struct backup_row *backup_list_find(const struct backup_list *list, uint64_t container)
{
    const struct backup_row wanted = {.container = container};
    return list->count > 0 ? bsearch(&wanted, list->rows, list->count, sizeof wanted, compare_rows) : NULL;
}

void backup_list_free(struct backup_list *list)
{
    json_decref(list->head);
    free(list->rows);
    *list = (struct backup_list){0};
}

bool backup_list_file(const struct backup_list *list, size_t index, struct backup_file *out)
{
    const json_t *row = json_array_get(json_object_get(list->head, "files"), index);
    const char *hex = json_string_value(json_object_get(row, "name"));
    size_t size;
    out->path = json_string_value(json_object_get(row, "path"));
    json_int_t bytes = json_integer_value(json_object_get(row, "size"));
    out->size = bytes > 0 ? (uint64_t)bytes : 0;
    out->written_ns = json_integer_value(json_object_get(row, "written_ns"));
    return out->path && hex && text_unhex(hex, out->name, sizeof out->name, &size) && size == sizeof out->name;
}

// ---- bytes: a line of JSON, then the rows

bool backup_list_write(struct vault *vault, const char *name, const struct backup_list *list, struct error *err)
{
    struct buffer bytes;
    char *head = json_dumps(list->head, JSON_COMPACT);
    if (!head)
        return error_set(err, ERROR_MEMORY, "no memory for a backup's list");
    buffer_init(&bytes, SIZE_MAX);
    buffer_text(&bytes, head);
    buffer_byte(&bytes, '\n');
    free(head);
    for (size_t i = 0; i < list->count; i++) {
        buffer_u64le(&bytes, list->rows[i].container);
        buffer_u64le(&bytes, list->rows[i].size);
        buffer_u64le(&bytes, list->rows[i].packed);
        buffer_append(&bytes, list->rows[i].mark, BACKUP_MARK_SIZE);
        buffer_append(&bytes, list->rows[i].name, VAULT_NAME_SIZE);
    }
    bool ok = buffer_check(&bytes, "a backup's list", err) && vault_write_list(vault, name, &bytes, err);
    buffer_free(&bytes);
    return ok;
}

static bool parse_rows(const uint8_t *at, size_t size, struct backup_list *out, struct error *err)
{
    bool ok = size % ROW_SIZE == 0 || error_set(err, ERROR_DAMAGED, "its rows are cut");
    for (; ok && size > 0; at += ROW_SIZE, size -= ROW_SIZE) {
        struct backup_row row = {
            .container = bytes_u64le(at), .size = bytes_u64le(at + 8), .packed = bytes_u64le(at + 16) != 0};
        memcpy(row.mark, at + 24, BACKUP_MARK_SIZE);
        memcpy(row.name, at + 24 + BACKUP_MARK_SIZE, VAULT_NAME_SIZE);
        ok = backup_list_add(out, &row, err);
    }
    if (ok && out->count > 0)
        qsort(out->rows, out->count, sizeof *out->rows, compare_rows);
    return ok;
}

static bool parse(const struct buffer *bytes, const char *name, struct backup_list *out, struct error *err)
{
    const uint8_t *end = bytes->size > 0 ? memchr(bytes->data, '\n', bytes->size) : NULL;
    json_error_t why;
    if (!end)
        return error_set(err, ERROR_DAMAGED, "it has no head");
    out->head = json_loadb((const char *)bytes->data, (size_t)(end - bytes->data), 0, &why);
    const char *named = json_string_value(json_object_get(out->head, "backup"));
    if (!named || strcmp(named, name) != 0)
        return error_set(err, ERROR_DAMAGED, "it is the list of another backup, or damaged");
    if (json_integer_value(json_object_get(out->head, "form")) != 1)
        return error_set(err, ERROR_UNSUPPORTED, "it was made by a newer program");
    size_t at = (size_t)(end + 1 - bytes->data);
    return parse_rows(end + 1, bytes->size - at, out, err);
}

bool backup_list_read(struct vault *vault, const char *name, struct backup_list *out, struct error *err)
{
    struct buffer bytes;
    *out = (struct backup_list){0};
    if (!vault_read_list(vault, name, &bytes, err))
        return false;
    bool ok = parse(&bytes, name, out, err) || error_prefix(err, "backup %.31s", name);
    buffer_free(&bytes);
    if (!ok)
        backup_list_free(out);
    return ok;
}

bool backup_list_choose(struct vault *vault, const char *name, char chosen[BACKUP_NAME_SIZE], struct error *err)
{
    char(*names)[BACKUP_NAME_SIZE];
    size_t count;
    if (!vault_lists(vault, &names, &count, err))
        return false;
    bool found = name == NULL && count > 0;
    if (found)
        text_copy(chosen, BACKUP_NAME_SIZE, names[count - 1]);
    for (size_t i = 0; name && i < count && !found; i++)
        found = strcmp(names[i], name) == 0 && text_copy(chosen, BACKUP_NAME_SIZE, name);
    free(names);
    return found || error_set(err, ERROR_NOT_FOUND,
                              name ? "there is no backup '%.40s' in %.200s" : "%.0sthere is no backup in %.200s",
                              name ? name : "", vault->folder);
}
