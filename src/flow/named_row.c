// Configuration that changes without a restart: rows of JSON, each with a version, each change audited and told in the
// log.
#include "flow/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static const char *const steps[] = {
    "CREATE TABLE flow_config(kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, json TEXT NOT NULL, "
    "PRIMARY KEY(kind, name)) STRICT;"
    "CREATE TABLE flow_series(study TEXT NOT NULL, series TEXT NOT NULL, sender TEXT NOT NULL, last_ns INTEGER NOT "
    "NULL, gap_ns INTEGER NOT NULL,"
    " open INTEGER NOT NULL, objects INTEGER NOT NULL, version INTEGER NOT NULL, due_ns INTEGER,"
    " association TEXT NOT NULL, PRIMARY KEY(study, series)) STRICT;"
    "CREATE INDEX flow_series_open ON flow_series(association) WHERE open=1;"
    "CREATE INDEX flow_series_due ON flow_series(due_ns) WHERE due_ns IS NOT NULL;"
    "CREATE TABLE flow_seen(name TEXT PRIMARY KEY) STRICT;",
    "CREATE TABLE flow_removed(kind TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY(kind, "
    "name)) STRICT;",
    NULL,
};
const struct store_migration flow_migration = {"flow", steps};

struct change {
    const char *kind, *name;
    const char *text; // NULL: remove
    int64_t version;  // in: the one it was made from, 0 whichever; out: the one it is now
    bool same;        // it was so already
};

static bool is_room(struct database *db, const char *kind, struct error *err)
{
    int64_t count;
    bool found;
    if (!sql_get_int(db, err, &count, &found, "SELECT count(*) FROM flow_config WHERE kind=?1", "t", kind))
        return false;
    return count <= FLOW_ROWS_MAX ||
           error_set(err, ERROR_LIMIT, "more than %d of kind %s; remove what is not needed", FLOW_ROWS_MAX, kind);
}

// Versions go on after a removal, so that a version names one state for ever.
static bool read_version(struct database *db, const struct change *change, int64_t *present, int64_t *last,
                         struct error *err)
{
    bool found;
    *present = *last = 0;
    if (!sql_get_int(db, err, present, &found, "SELECT version FROM flow_config WHERE kind=?1 AND name=?2", "tt",
                     change->kind, change->name) ||
        !sql_get_int(db, err, last, &found, "SELECT version FROM flow_removed WHERE kind=?1 AND name=?2", "tt",
                     change->kind, change->name))
        return false;
    *last = *present > *last ? *present : *last;
    return true;
}

static bool is_same(struct database *db, const struct change *change, bool *same, struct error *err)
{
    int64_t one;
    return sql_get_int(db, err, &one, same, "SELECT 1 FROM flow_config WHERE kind=?1 AND name=?2 AND json=?3", "ttt",
                       change->kind, change->name, change->text);
}

static bool put_row(struct database *db, struct change *change, int64_t present, int64_t last, struct error *err)
{
    // First, so that a change whose answer was lost can be sent again.
    if (!is_same(db, change, &change->same, err))
        return false;
    if (!change->same && change->version != 0 && change->version != present)
        return error_set(err, ERROR_CONFLICT, "%s '%.64s' was changed since (version %lld, not %lld): read it again",
                         change->kind, change->name, (long long)present, (long long)change->version);
    change->version = change->same ? present : last + 1;
    return change->same || (sql_run(db, err,
                                    "INSERT INTO flow_config(kind, name, version, json) VALUES(?1,?2,?3,?4)"
                                    " ON CONFLICT(kind, name) DO UPDATE SET version=excluded.version, "
                                    "json=excluded.json",
                                    "ttit", change->kind, change->name, change->version, change->text) &&
                            is_room(db, change->kind, err));
}

static bool remove_row(struct database *db, const struct change *change, int64_t present, struct error *err)
{
    if (present == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no %s named '%.64s'", change->kind, change->name);
    return sql_run(db, err, "DELETE FROM flow_config WHERE kind=?1 AND name=?2", "tt", change->kind, change->name) &&
           sql_run(db, err, "INSERT OR REPLACE INTO flow_removed(kind, name, version) VALUES(?1,?2,?3)", "tti",
                   change->kind, change->name, present);
}

static bool write_change(struct database *db, void *payload, struct error *err)
{
    struct change *change = payload;
    int64_t present, last;
    if (!read_version(db, change, &present, &last, err) ||
        !(change->text ? put_row(db, change, present, last, err) : remove_row(db, change, present, err)))
        return false;
    return change->same || store_event_add(db, STORE_EVENT_CONFIG_CHANGED, "", change->name,
                                           &(struct store_event_detail){.what = change->kind}, err);
}

static bool apply(struct store *store, struct access *access, struct change *change, const char *actor,
                  struct error *err)
{
    char detail[160];
    if (!store_write(store, STORE_DURABLE, write_change, change, err))
        return false;
    if (change->same)
        return true;
    struct access_record record = {.event = ACCESS_EVENT_CHANGED,
                                   .success = true,
                                   .actor = actor,
                                   .address = "",
                                   .patient = "",
                                   .study = "",
                                   .detail = detail};
    snprintf(detail, sizeof detail, "%s '%.64s' %s", change->kind, change->name, change->text ? "set" : "removed");
    access_audit(access, &record, clock_now_ns());
    return true;
}

bool named_row_put(struct store *store, struct access *access, const char *kind, const char *name, json_t *json,
                   int64_t *version, const char *actor, struct error *err)
{
    json_object_del(json, "version"); // a column of its own
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    struct change change = {.kind = kind, .name = name, .text = text, .version = *version};
    bool ok = text ? apply(store, access, &change, actor, err)
                   : error_set(err, ERROR_MEMORY, "no memory for %s '%.64s'", kind, name);
    if (ok)
        *version = change.version;
    free(text);
    return ok;
}

bool named_row_remove(struct store *store, struct access *access, const char *kind, const char *name, const char *actor,
                      struct error *err)
{
    struct change change = {.kind = kind, .name = name};
    return apply(store, access, &change, actor, err);
}

bool named_row_each(struct store *store, const char *kind,
                    bool (*each)(const char *json, int64_t version, void *payload, struct error *err), void *payload,
                    struct error *err)
{
    bool row;
    struct database *db = store_read_begin(store, err);
    if (!db)
        return false;
    struct sql *sql = sql_prepare(db, "SELECT json, version FROM flow_config WHERE kind=?1 ORDER BY name", err);
    bool ok = sql != NULL;
    if (ok)
        sql_bind_text(sql, 1, kind);
    while (ok && (ok = sql_step(sql, &row, err)) && row)
        ok = each(sql_text(sql, 0), sql_int(sql, 1), payload, err);
    sql_done(sql);
    store_read_end(store, db);
    return ok;
}

// ---- members of JSON objects by table

// It stands in logs, lists and messages: no control characters.
static bool take_text(const json_t *value, char *out, size_t capacity)
{
    const char *text = json_string_value(value);
    if (!text || strlen(text) != json_string_length(value))
        return false;
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            return false;
    return text_copy(out, capacity, text);
}

static bool read_names(const json_t *value, const struct field *field, char *base, const char *what, struct error *err)
{
    size_t i;
    json_t *name;
    size_t *count = (size_t *)(void *)(base + field->count);
    if (!json_is_array(value) || json_array_size(value) > FIELD_NAMES_MAX)
        return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be a list of at most %d names", what, field->name,
                         FIELD_NAMES_MAX);
    *count = json_array_size(value);
    json_array_foreach(value, i, name)
    {
        if (json_string_length(name) == 0 ||
            !take_text(name, base + field->offset + i * field->capacity, field->capacity))
            return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be a list of names of at most %zu characters", what,
                             field->name, field->capacity - 1);
    }
    return true;
}

static bool read_field(const json_t *value, const struct field *field, char *base, const char *what, struct error *err)
{
    char *at = base + field->offset;
    switch (field->type) {
    case FIELD_TEXT:
        if (take_text(value, at, field->capacity))
            return true;
        return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be one line of text of at most %zu characters", what,
                         field->name, field->capacity - 1);
    case FIELD_NUMBER:
        if (!json_is_number(value) || json_number_value(value) < 0)
            return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be a number, 0 or more", what, field->name);
        *(double *)(void *)at = json_number_value(value);
        return true;
    case FIELD_INTEGER:
    case FIELD_COUNT:
        if (!json_is_integer(value) || json_integer_value(value) < (field->type == FIELD_COUNT ? 0 : -1000000) ||
            json_integer_value(value) > 1000000)
            return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be a whole number of at most 1000000", what,
                             field->name);
        if (field->type == FIELD_COUNT)
            *(uint32_t *)(void *)at = (uint32_t)json_integer_value(value);
        else
            *(int64_t *)(void *)at = json_integer_value(value);
        return true;
    case FIELD_BOOLEAN:
        if (!json_is_boolean(value))
            return error_set(err, ERROR_BAD_VALUE, "%s: '%s' must be true or false", what, field->name);
        *(bool *)at = json_is_true(value);
        return true;
    case FIELD_NAMES:
        return read_names(value, field, base, what, err);
    }
    return false;
}

static const struct field *find_field(const struct field *fields, const char *name)
{
    for (; fields->name; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

bool field_version(const json_t *json, int64_t *out, const char *what, struct error *err)
{
    const json_t *version = json_object_get(json, "version");
    *out = json_integer_value(version);
    return !version || (json_is_integer(version) && *out >= 0) ||
           error_set(err, ERROR_BAD_VALUE, "%s: 'version' must be a whole number, 0 or more", what);
}

bool fields_read(const json_t *json, const struct field *fields, void *out, const char *what, struct error *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(json))
        return error_set(err, ERROR_BAD_VALUE, "%s must be a JSON object", what);
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        const struct field *field = find_field(fields, name);
        if (!field)
            return error_set(err, ERROR_BAD_VALUE, "%s has no member '%.40s'", what, name);
        if (!read_field(value, field, out, what, err))
            return false;
    }
    return true;
}

static json_t *write_field(const struct field *field, const char *base)
{
    const char *at = base + field->offset;
    json_t *list;
    switch (field->type) {
    case FIELD_TEXT:
        return json_string(at);
    case FIELD_NUMBER:
        return json_real(*(const double *)(const void *)at);
    case FIELD_COUNT:
        return json_integer(*(const uint32_t *)(const void *)at);
    case FIELD_INTEGER:
        return json_integer(*(const int64_t *)(const void *)at);
    case FIELD_BOOLEAN:
        return json_boolean(*(const bool *)at);
    case FIELD_NAMES:
        break;
    }
    list = json_array();
    for (size_t i = 0; i < *(const size_t *)(const void *)(base + field->count); i++)
        json_array_append_new(list, json_string(at + i * field->capacity));
    return list;
}

json_t *fields_write(const struct field *fields, const void *from)
{
    json_t *json = json_object();
    for (; fields->name; fields++)
        json_object_set_new(json, fields->name, write_field(fields, from));
    return json;
}
