// Labels as they are entered and told.
#include "access/label.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access_internal.h"
#include "access/account.h"
#include "access/account_row.h"
#include "access/label_row.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

// ---- what a value may be

static bool name_fits(const char *name, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return size > 0 && size < ACCESS_LABEL_SIZE && strspn(name, letters) == size && !strchr("._-", *name);
}

static bool check(const struct access_label *label, struct error *err)
{
    char shown[64];
    if (!name_fits(label->name, strlen(label->name)))
        return error_set(err, ERROR_BAD_VALUE,
                         "label '%s' must be 1 to %d letters, digits and ._- behind a letter or digit",
                         text_show(shown, sizeof shown, label->name, strlen(label->name)), ACCESS_LABEL_SIZE - 1);
    return !*label->description || text_is_plain(label->description, strlen(label->description)) ||
           error_set(err, ERROR_BAD_VALUE,
                     "label %s: its description must be text on one line that shows as it is, without control "
                     "characters",
                     label->name);
}

// ---- JSON

json_t *access_label_to_json(const struct access_label *label)
{
    return json_pack("{s:s, s:s, s:I}", "name", label->name, "description", label->description, "version",
                     (json_int_t)label->version);
}

static bool text_from(const json_t *value, const char *key, char *out, size_t capacity, struct error *err)
{
    const char *text = json_string_value(value);
    return (text && strlen(text) == json_string_length(value) && text_copy(out, capacity, text)) ||
           error_set(err, ERROR_BAD_VALUE, "label: %s must be text of at most %zu bytes", key, capacity - 1);
}

static bool member_from(const char *key, const json_t *value, struct access_label *out, struct error *err)
{
    char shown[64];
    if (strcmp(key, "name") == 0)
        return text_from(value, key, out->name, sizeof out->name, err);
    if (strcmp(key, "description") == 0)
        return text_from(value, key, out->description, sizeof out->description, err);
    if (strcmp(key, "version") != 0)
        return error_set(err, ERROR_BAD_VALUE, "label: '%s' is unknown: name, description, version",
                         text_show(shown, sizeof shown, key, strlen(key)));
    out->version = json_integer_value(value);
    return (json_is_integer(value) && out->version >= 0) ||
           error_set(err, ERROR_BAD_VALUE, "label: version must be a whole number, 0 or more");
}

bool access_label_from_json(const json_t *json, struct access_label *out, struct error *err)
{
    const char *key;
    json_t *value;
    struct access_label label = {0};
    if (!json_is_object(json))
        return error_set(err, ERROR_BAD_VALUE, "a label must be a JSON object");
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        if (!member_from(key, value, &label, err))
            return false;
    }
    if (!check(&label, err))
        return false;
    *out = label;
    return true;
}

// ---- lists of names

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool join(const char **names, size_t count, const char *what, char out[ACCESS_LABELS_SIZE], struct error *err)
{
    size_t used = 0;
    qsort(names, count, sizeof *names, compare_names);
    *out = '\0';
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && strcmp(names[i], names[i - 1]) == 0)
            continue;
        if (used + strlen(names[i]) + 2 > ACCESS_LABELS_SIZE)
            return error_set(err, ERROR_BAD_VALUE, "%s: the names have more than %d characters in all", what,
                             ACCESS_LABELS_SIZE - 1);
        used += (size_t)snprintf(out + used, ACCESS_LABELS_SIZE - used, "%s%s", used > 0 ? "," : "", names[i]);
    }
    return true;
}

bool access_names_read(const json_t *list, const char *what, char out[ACCESS_LABELS_SIZE], struct error *err)
{
    size_t i;
    const json_t *name;
    const char *names[ACCESS_LABELS_MAX];
    char shown[64];
    if (!json_is_array(list) || json_array_size(list) > ACCESS_LABELS_MAX)
        return error_set(err, ERROR_BAD_VALUE, "%s must be a list of at most %d labels' names", what,
                         ACCESS_LABELS_MAX);
    json_array_foreach(list, i, name)
    {
        names[i] = json_is_string(name) ? json_string_value(name) : "";
        if (!name_fits(names[i], json_is_string(name) ? json_string_length(name) : 0))
            return error_set(err, ERROR_BAD_VALUE, "%s: '%s' can be no label's name", what,
                             text_show(shown, sizeof shown, names[i], strlen(names[i])));
    }
    return join(names, json_array_size(list), what, out, err);
}

json_t *access_names_to_json(const char *names)
{
    json_t *list = json_array();
    while (*names) {
        size_t size = strcspn(names, ",");
        json_array_append_new(list, json_stringn(names, size));
        names += size + (names[size] == ',');
    }
    return list;
}

uint64_t label_bits_of(const struct access_label *labels, size_t count, const char *names)
{
    uint64_t bits = 0;
    while (*names) {
        size_t size = strcspn(names, ",");
        for (size_t i = 0; i < count; i++)
            if (strlen(labels[i].name) == size && memcmp(labels[i].name, names, size) == 0)
                bits |= UINT64_C(1) << labels[i].bit;
        names += size + (names[size] == ',');
    }
    return bits;
}

// ---- the rows

static bool load(struct access *access, struct access_label out[ACCESS_LABELS_MAX], size_t *count, struct error *err)
{
    struct database *db = store_read_begin(access->store, err);
    bool ok = db && label_rows(db, out, count, err);
    store_read_end(access->store, db);
    return ok;
}

static bool find_bit(const struct access_label *labels, size_t count, const json_t *name, uint64_t *out,
                     struct error *err)
{
    char shown[64];
    const char *text = json_is_string(name) ? json_string_value(name) : "";
    for (size_t i = 0; i < count; i++)
        if (strcmp(labels[i].name, text) == 0) {
            *out |= UINT64_C(1) << labels[i].bit;
            return true;
        }
    return error_set(err, ERROR_BAD_VALUE, "there is no label '%s': enter it first (PUT /api/labels/NAME)",
                     text_show(shown, sizeof shown, text, strlen(text)));
}

bool access_labels_read(struct access *access, const json_t *names, uint64_t *out, struct error *err)
{
    struct access_label labels[ACCESS_LABELS_MAX];
    size_t i, count;
    const json_t *name;
    uint64_t bits = 0;
    if (!json_is_array(names))
        return error_set(err, ERROR_BAD_VALUE, "labels must be a list of names");
    if (!load(access, labels, &count, err))
        return false;
    json_array_foreach(names, i, name)
    {
        if (!find_bit(labels, count, name, &bits, err))
            return false;
    }
    *out = bits;
    return true;
}

json_t *access_labels_to_json(struct access *access, uint64_t bits)
{
    struct access_label labels[ACCESS_LABELS_MAX];
    struct error err;
    size_t count;
    if (!load(access, labels, &count, &err)) {
        log_error("access", "labels cannot be read: %s", err.message);
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        if (bits >> labels[i].bit & 1)
            json_array_append_new(list, json_string(labels[i].name));
    return list;
}

bool access_label_get(struct access *access, const char *name, struct access_label *out, struct error *err)
{
    bool found = false;
    struct database *db = store_read_begin(access->store, err);
    bool ok = db && label_row_get(db, name, out, &found, err);
    store_read_end(access->store, db);
    return ok && (found || error_set(err, ERROR_NOT_FOUND, "no label is called %s", name));
}

bool access_label_list(struct access *access, struct arena *arena, struct access_label **out, size_t *count,
                       struct error *err)
{
    *out = arena_calloc(arena, ACCESS_LABELS_MAX, sizeof **out);
    return *out ? load(access, *out, count, err) : error_set(err, ERROR_MEMORY, "no memory for labels");
}

// ---- changes

static void audit(struct access *access, const struct label_change *change, bool removed, const char *actor)
{
    struct buffer detail;
    buffer_init(&detail, 4 << 10);
    buffer_printf(&detail, "label %s %s, version %lld", change->label->name,
                  removed             ? "removed"
                  : change->was_there ? "changed"
                                      : "set",
                  (long long)change->now.version);
    if (!removed) {
        json_t *before = change->was_there ? access_label_to_json(&change->before) : NULL;
        json_t *after = access_label_to_json(&change->now);
        access_changes(&detail, before, after);
        json_decref(before);
        json_decref(after);
    }
    buffer_byte(&detail, '\0');
    access_audit_change(access, true, actor, detail.failed ? change->label->name : (const char *)detail.data,
                        clock_now_ns());
    buffer_free(&detail);
}

static bool write_put(struct database *db, void *payload, struct error *err)
{
    return label_row_put(db, payload, err);
}

static bool write_remove(struct database *db, void *payload, struct error *err)
{
    return label_row_remove(db, payload, err);
}

bool access_label_put(struct access *access, const struct access_label *label, const char *actor, struct error *err)
{
    struct label_change change = {.label = label};
    if (!check(label, err) || !store_write(access->store, STORE_DURABLE, write_put, &change, err))
        return false;
    if (change.changed)
        audit(access, &change, false, actor);
    return true;
}

bool access_label_remove(struct access *access, struct access_scope scope, const char *name, const char *actor,
                         struct error *err)
{
    struct access_label label = {0};
    struct label_change change = {.label = &label, .scope = scope};
    if (!text_copy(label.name, sizeof label.name, name))
        return error_set(err, ERROR_NOT_FOUND, "no label is called %.40s", name);
    if (!store_write(access->store, STORE_DURABLE, write_remove, &change, err))
        return false;
    audit(access, &change, true, actor);
    return true;
}

static bool is_seen(const struct account_sight *sights, size_t count, uint64_t labels)
{
    for (size_t i = 0; i < count; i++) {
        const struct access_subject subject = {.kind = ACCESS_USER, .roles = sights[i].roles, .verified = true};
        if ((labels & ~sights[i].labels) == 0 && access_allows(&subject, ACCESS_TO_QUERY))
            return true;
    }
    return false;
}

bool access_labels_unseen(struct access *access, struct arena *arena, struct access_unseen **out, size_t *count,
                          struct error *err)
{
    struct account_sight *sights = NULL;
    size_t sight_count = 0, sets = 0;
    *count = 0;
    *out = arena_calloc(arena, ACCESS_UNSEEN_MAX, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_MEMORY, "no memory for the labels");
    struct database *db = store_read_begin(access->store, err);
    bool ok = db && label_row_sets(db, *out, &sets, err) &&
              (sets == 0 || account_row_sights(db, arena, &sights, &sight_count, err));
    store_read_end(access->store, db);
    if (!ok)
        return false;
    for (size_t i = 0; i < sets; i++)
        if (!is_seen(sights, sight_count, (*out)[i].labels))
            (*out)[(*count)++] = (*out)[i];
    return true;
}
