// Queries: keys by the table columns, matching by PS3.4 C.2.2.2, results as attributes.
#include "archive/archive.h"

#include <inttypes.h>
#include <string.h>

#include "archive/internal.h"
#include "archive/columns.h"
#include "base/buffer.h"
#include "base/text.h"
#include "store/database.h"

#define LIST_SEPARATORS "\\,"

enum { SQL_MAX = 16 << 10, PATTERN_MAX = 512, LIST_MAX = 256 };

// A WHERE clause being made, and its values by number.
struct condition {
    struct buffer sql;
    const char *values[ARCHIVE_MATCHES_MAX * 2 + LIST_MAX + 8];
    int count;
    struct arena *arena;
};

static bool add_value(struct condition *where, const char *value, struct error *err)
{
    if ((size_t)where->count == sizeof where->values / sizeof *where->values)
        return error_set(err, ERROR_LIMIT, "more than %d values in one query", where->count);
    where->values[where->count++] = value;
    return true;
}

static bool compare(struct condition *where, const char *column, const char *operator, const char * value,
                    struct error *err)
{
    if (!value)
        return error_set(err, ERROR_LIMIT, "the query does not fit into its memory");
    buffer_printf(&where->sql, " AND %s %s ?%d", column, operator, where->count + 1);
    return add_value(where, value, err);
}

static const struct columns_column *find_column(enum archive_level level, dicom_tag tag)
{
    for (size_t i = 0; i < COLUMNS_COUNT; i++)
        if (columns[i].tag == tag && columns_level(columns[i].table) <= level)
            return &columns[i];
    return NULL;
}

bool archive_can_match(enum archive_level level, dicom_tag tag)
{
    const struct columns_column *column = find_column(level, tag);
    return column && column->match != COLUMNS_SHOWN;
}

// A DICOM pattern as a GLOB of SQLite: '[' is literal, runs of '*' are one. NULL with *err past the limits.
static char *glob_of(const char *pattern, struct arena *arena, struct error *err)
{
    size_t wildcards = 0;
    char *glob = strlen(pattern) <= PATTERN_MAX ? arena_alloc(arena, strlen(pattern) * 3 + 1) : NULL;
    char *to = glob;
    for (const char *p = pattern; glob && *p; p++) {
        if (*p == '*' && p > pattern && p[-1] == '*')
            continue;
        wildcards += *p == '*' || *p == '?';
        if (*p == '[') {
            memcpy(to, "[[]", 3);
            to += 3;
        } else {
            *to++ = *p;
        }
    }
    if (glob && wildcards <= ARCHIVE_WILDCARDS_MAX)
        return glob;
    error_set(err, ERROR_BAD_VALUE, "a key has more than %d characters or %d wildcards; search for less", PATTERN_MAX,
              ARCHIVE_WILDCARDS_MAX);
    return NULL;
}

static bool match_text(struct condition *where, const char *column, const char *value, struct error *err)
{
    if (!strpbrk(value, "*?"))
        return compare(where, column, "=", value, err);
    char *glob = glob_of(value, where->arena, err);
    return glob && compare(where, column, "GLOB", glob, err);
}

// Each way in which the key is written must be one in which the study's name is written.
static bool match_name(struct condition *where, const struct columns_column *column, const char *value,
                       struct error *err)
{
    struct columns_name_keys names;
    if (!columns_name_keys(value, where->arena, &names))
        return error_set(err, ERROR_LIMIT, "the query does not fit into its memory");
    for (size_t i = 0; i < names.count; i++) {
        buffer_printf(&where->sql, " AND study_patient.id IN (SELECT patient FROM study_name WHERE tag=%u",
                      column->tag);
        if (!match_text(where, "key", names.keys[i], err))
            return false;
        buffer_text(&where->sql, ")");
    }
    return true;
}

// One of a list, with backslashes (DIMSE) or commas (DICOMweb) between.
static bool match_list(struct condition *where, const char *column, const char *value, struct error *err)
{
    buffer_printf(&where->sql, " AND %s IN (", column);
    for (size_t n = 0; *value; n++) {
        size_t size = strcspn(value, LIST_SEPARATORS);
        char *one = arena_strndup(where->arena, value, size);
        if (!one || n == LIST_MAX)
            return error_set(err, ERROR_LIMIT, "more than %d values in one key", LIST_MAX);
        buffer_printf(&where->sql, "%s?%d", n ? "," : "", where->count + 1);
        if (!add_value(where, one, err))
            return false;
        value += size + (value[size] != '\0');
    }
    buffer_text(&where->sql, ")");
    return true;
}

// DA "YYYYMMDD", TM "HHMMSS.FFFFFF" and their starts.
static bool is_moment(enum columns_match match, const char *text, size_t size)
{
    size_t digits = strspn(text, "0123456789");
    if (match == COLUMNS_DATE)
        return size == 8 && digits >= 8;
    return size >= 2 && size <= 13 &&
           (digits >= size || (digits == 6 && text[6] == '.' && strspn(text + 7, "0123456789") >= size - 7));
}

// "045812.50" is the time "045812.5", which is what may be stored.
static size_t without_zeros(const char *time, size_t size)
{
    if (!memchr(time, '.', size))
        return size;
    while (time[size - 1] == '0')
        size--;
    return size - (time[size - 1] == '.');
}

static bool match_range(struct condition *where, const struct columns_column *column, const char *value,
                        struct error *err)
{
    char shown[64];
    const char *dash = strchr(value, '-');
    size_t low_size = dash ? (size_t)(dash - value) : strlen(value);
    const char *high = dash ? dash + 1 : "";
    if ((low_size > 0 && !is_moment(column->match, value, low_size)) ||
        (*high && !is_moment(column->match, high, strlen(high))) || (low_size == 0 && !*high))
        return error_set(err, ERROR_BAD_VALUE,
                         "'%s' is no date, time or range; write 20260131, 20260101-20260131, 20260101- or -20260131",
                         text_show(shown, sizeof shown, value, strlen(value)));
    char *low =
        arena_strndup(where->arena, value, column->match == COLUMNS_TIME ? without_zeros(value, low_size) : low_size);
    if (!low)
        return compare(where, column->name, "=", NULL, err);
    if (low_size > 0 && *high && strcmp(low, high) > 0)
        return error_set(err, ERROR_BAD_VALUE, "the range '%s' ends before it begins",
                         text_show(shown, sizeof shown, value, strlen(value)));
    if (!dash)
        return column->match == COLUMNS_DATE
                   ? compare(where, column->name, "=", low, err)
                   : match_text(where, column->name, arena_printf(where->arena, "%s*", low), err);
    // A time is compared by its start: 1030 as an upper end takes in 103059.
    char *top = arena_printf(where->arena, "%s%s", high, column->match == COLUMNS_TIME ? "~" : "");
    return compare(where, column->name, "<>", "", err) &&
           (low_size == 0 || compare(where, column->name, ">=", low, err)) &&
           (!*high || compare(where, column->name, "<=", top, err));
}

static bool match_number(struct condition *where, const struct columns_column *column, const char *value,
                         struct error *err)
{
    char shown[40];
    int64_t number;
    if (!text_to_i64(value, strlen(value), &number))
        return error_set(err, ERROR_BAD_VALUE, "'%s' is no whole number",
                         text_show(shown, sizeof shown, value, strlen(value)));
    return compare(where, column->name, "=", arena_printf(where->arena, "%" PRId64, number), err);
}

static bool match_modality(struct condition *where, const char *value, struct error *err)
{
    buffer_text(&where->sql, " AND EXISTS(SELECT 1 FROM series AS any_series WHERE any_series.patient=study_patient.id"
                             " AND any_series.instance_count>0");
    bool ok = strpbrk(value, LIST_SEPARATORS) ? match_list(where, "any_series.modality", value, err)
                                              : match_text(where, "any_series.modality", value, err);
    if (!ok)
        return false;
    buffer_text(&where->sql, ")");
    return true;
}

static bool add_match(struct condition *where, enum archive_level level, const struct archive_match *match,
                      struct error *err)
{
    char tag[DICOM_TAG_TEXT_SIZE];
    const struct columns_column *column = find_column(level, match->tag);
    if (!column || column->match == COLUMNS_SHOWN)
        return error_set(err, ERROR_BAD_VALUE, "%s is no key of this level", dicom_tag_text(tag, match->tag));
    if (strspn(match->value, "*") == strlen(match->value))
        return true; // universal matching
    switch (column->match) {
    case COLUMNS_NAME:
        return match_name(where, column, match->value, err);
    case COLUMNS_UID:
        return match_list(where, column->name, match->value, err);
    case COLUMNS_DATE:
    case COLUMNS_TIME:
        return match_range(where, column, match->value, err);
    case COLUMNS_NUMBER:
        return match_number(where, column, match->value, err);
    case COLUMNS_MODALITIES:
        return match_modality(where, match->value, err);
    default:
        return match_text(where, column->name, match->value, err);
    }
}

// A patient's part of a study is what a query answers with, at each level.
static const char *const from_of_level[] = {
    " FROM study JOIN study_patient ON study_patient.study=study.id WHERE 1=1",
    " FROM series JOIN study_patient ON study_patient.id=series.patient JOIN study ON study.id=study_patient.study"
    " WHERE series.instance_count>0",
    " FROM instance JOIN series ON series.id=instance.series JOIN study_patient ON study_patient.id=series.patient"
    " JOIN study ON study.id=study_patient.study WHERE instance.rank=0",
};
static const char *const order_of_level[] = {
    " ORDER BY study_patient.date DESC, study_patient.time DESC, study_patient.study DESC, study_patient.rank",
    " ORDER BY study_patient.date DESC, study_patient.time DESC, study_patient.study DESC, study_patient.rank, "
    "CAST(series.number AS INTEGER), "
    "series.id",
    " ORDER BY study_patient.date DESC, study_patient.time DESC, study_patient.study DESC, study_patient.rank, "
    "CAST(series.number AS INTEGER), "
    "series.id, "
    "CAST(instance.number AS INTEGER), instance.id",
};

static bool add_page(struct condition *where, size_t limit, size_t offset, struct error *err)
{
    const char *rows = arena_printf(where->arena, "%zu", limit + 1), *first = arena_printf(where->arena, "%zu", offset);
    if (!rows || !first)
        return error_set(err, ERROR_LIMIT, "the query does not fit into its memory");
    buffer_printf(&where->sql, " LIMIT ?%d OFFSET ?%d", where->count + 1, where->count + 2);
    return add_value(where, rows, err) && add_value(where, first, err);
}

static bool add_scope(struct condition *where, struct access_scope scope, struct error *err)
{
    if (scope.hidden == 0) // who sees all pays nothing for it
        return true;
    const char *hidden = arena_printf(where->arena, "%" PRIu64, scope.hidden);
    if (!hidden)
        return error_set(err, ERROR_LIMIT, "the query does not fit into its memory");
    buffer_printf(&where->sql, " AND " ACCESS_SEES("study.uid", "?%d"), where->count + 1);
    return add_value(where, hidden, err);
}

static bool make_sql(struct condition *where, struct access_scope scope, const struct archive_query *query,
                     size_t limit, struct error *err)
{
    buffer_text(&where->sql, "SELECT study_patient.id");
    for (size_t i = 0; i < COLUMNS_COUNT; i++)
        if (columns_level(columns[i].table) <= query->level) {
            buffer_printf(&where->sql, ", %s", columns[i].name);
        }
    buffer_text(&where->sql, from_of_level[query->level]);
    if ((query->study && !compare(where, "study.uid", "=", query->study, err)) ||
        (query->series && query->level > ARCHIVE_STUDY && !compare(where, "series.uid", "=", query->series, err)))
        return false;
    if (!add_scope(where, scope, err))
        return false;
    if (query->patient != 0) {
        if (!compare(where, "study_patient.id", "=", arena_printf(where->arena, "%" PRId64, query->patient), err))
            return false;
    } else if (query->level == ARCHIVE_STUDY) {
        buffer_text(&where->sql, " AND study_patient.instance_count>0");
    }
    if (query->shown)
        buffer_text(&where->sql, " AND study_patient.id IN (SELECT id FROM patient_shown WHERE study=study.id)");
    for (size_t i = 0; i < query->match_count; i++)
        if (!add_match(where, query->level, &query->matches[i], err))
            return false;
    buffer_text(&where->sql, order_of_level[query->level]);
    if (!add_page(where, limit, query->offset, err))
        return false;
    buffer_byte(&where->sql, '\0');
    return buffer_check(&where->sql, "the query", err);
}

// One result: the columns in tag order across the levels.
static bool read_row(struct sql *sql, enum archive_level level, struct arena *arena, struct archive_row *out)
{
    int column = 1;
    out->patient = sql_int(sql, 0);
    out->fields = arena_calloc(arena, COLUMNS_COUNT, sizeof *out->fields);
    if (!out->fields)
        return false;
    for (size_t i = 0; i < COLUMNS_COUNT; i++) {
        if (columns_level(columns[i].table) > level)
            continue;
        struct archive_field field = {columns[i].tag, arena_strdup(arena, sql_text(sql, column++))};
        size_t at = out->count++;
        if (!field.text)
            return false;
        for (; at > 0 && out->fields[at - 1].tag > field.tag; at--)
            out->fields[at] = out->fields[at - 1];
        out->fields[at] = field;
    }
    return true;
}

static bool run(struct database *db, const struct condition *where, enum archive_level level, size_t limit,
                struct arena *arena, struct archive_row **out, size_t *count, bool *more, struct error *err)
{
    bool row;
    struct sql *sql = sql_prepare_made(db, (const char *)where->sql.data, err);
    if (!sql)
        return false;
    for (int i = 0; i < where->count; i++)
        sql_bind_text(sql, i + 1, where->values[i]);
    bool ok;
    while ((ok = sql_step(sql, &row, err)) && row && *count < limit)
        if (!read_row(sql, level, arena, &(*out)[(*count)++])) {
            ok = error_set(err, ERROR_LIMIT, "the answer does not fit into its memory; ask for fewer with limit");
            break;
        }
    *more = ok && row;
    sql_done(sql);
    return ok;
}

bool archive_find(struct archive *archive, struct access_scope scope, const struct archive_query *query,
                  struct arena *arena, struct archive_row **out, size_t *count, bool *more, struct error *err)
{
    struct condition where = {.arena = arena};
    size_t limit = query->limit == 0 ? ARCHIVE_LIMIT_DEFAULT : query->limit;
    if (limit > ARCHIVE_LIMIT_MAX)
        limit = ARCHIVE_LIMIT_MAX;
    *count = 0;
    *more = false;
    buffer_init(&where.sql, SQL_MAX);
    bool ok = make_sql(&where, scope, query, limit, err);
    *out = ok ? arena_calloc(arena, limit, sizeof **out) : NULL;
    if (ok && !*out)
        ok = error_set(err, ERROR_LIMIT, "no memory for %zu results; ask for fewer with limit", limit);
    struct database *db = ok ? store_read_begin(archive->store, err) : NULL;
    ok = db && run(db, &where, query->level, limit, arena, out, count, more, err);
    if (db)
        store_read_end(archive->store, db);
    buffer_free(&where.sql);
    return ok;
}
