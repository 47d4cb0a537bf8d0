// The table of findings: one row each, never deleted, so that what was once said can be shown.
//
//   FROM                  TO                    BY
//   -                     UNVERIFIED            finding_add
//   UNVERIFIED            ACCEPTED, REJECTED    finding_judge
//   ACCEPTED, REJECTED    the same two          finding_judge, who changes their mind
//   any but SUPERSEDED    SUPERSEDED            finding_supersede: another job of the model looked at the series
#include "finding/finding.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "finding/object.h"

enum { NAME_MAX_BYTES = 256, COMMENT_MAX_BYTES = 4096, ROWS_FIRST = 16 };

static const char *const steps[] = {
    "CREATE TABLE finding ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " job TEXT NOT NULL,"
    " study TEXT NOT NULL,"
    " series TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " model_version TEXT NOT NULL,"
    " model_digest TEXT NOT NULL,"
    " label_text TEXT NOT NULL,"
    " concept_value TEXT NOT NULL,"
    " concept_scheme TEXT NOT NULL,"
    " concept_meaning TEXT NOT NULL,"
    " site_value TEXT NOT NULL,"
    " site_scheme TEXT NOT NULL,"
    " site_meaning TEXT NOT NULL,"
    " side TEXT NOT NULL,"
    " volume_ml REAL NOT NULL,"
    " score REAL NOT NULL,"
    " centroid_x_mm REAL NOT NULL, centroid_y_mm REAL NOT NULL, centroid_z_mm REAL NOT NULL,"
    " low_x_mm REAL NOT NULL, low_y_mm REAL NOT NULL, low_z_mm REAL NOT NULL,"
    " high_x_mm REAL NOT NULL, high_y_mm REAL NOT NULL, high_z_mm REAL NOT NULL,"
    " segment INTEGER NOT NULL,"
    " seg_instance TEXT NOT NULL,"
    " sr_instance TEXT NOT NULL,"
    " urgency INTEGER NOT NULL CHECK (urgency BETWEEN 0 AND 2),"
    " made_ns INTEGER NOT NULL,"
    " state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),"
    " judged_by TEXT NOT NULL DEFAULT '',"
    " judged_ns INTEGER NOT NULL DEFAULT 0,"
    " comment TEXT NOT NULL DEFAULT ''"
    ") STRICT;"
    "CREATE INDEX finding_study ON finding (study, number);"
    "CREATE INDEX finding_series ON finding (series, model);",
    NULL,
};

const struct store_migration finding_migration = {.room = "finding", .steps = steps};

#define COLUMNS                                                                                                        \
    "id, job, study, series, model, model_version, model_digest, label_text, concept_value, concept_scheme,"           \
    " concept_meaning, site_value, site_scheme, site_meaning, side, volume_ml, score, centroid_x_mm, centroid_y_mm,"   \
    " centroid_z_mm, low_x_mm, low_y_mm, low_z_mm, high_x_mm, high_y_mm, high_z_mm, segment, seg_instance,"            \
    " sr_instance, urgency, made_ns"
#define JUDGED ", state, judged_by, judged_ns, comment"

// ---- add

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static bool insert(struct database *db, const struct finding *f, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO finding (" COLUMNS ") VALUES"
                   " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                   " ON CONFLICT (id) DO NOTHING",
                   "tttttttttttttttdddddddddddittii", f->id, f->job, f->study, f->series, f->model,
                   or_empty(f->model_version), or_empty(f->model_digest), or_empty(f->label_text), f->concept.value,
                   or_empty(f->concept.scheme), or_empty(f->concept.meaning), or_empty(f->site.value),
                   or_empty(f->site.scheme), or_empty(f->site.meaning), or_empty(f->side), f->volume_ml, f->score,
                   f->centroid_mm[0], f->centroid_mm[1], f->centroid_mm[2], f->low_mm[0], f->low_mm[1], f->low_mm[2],
                   f->high_mm[0], f->high_mm[1], f->high_mm[2], f->segment, or_empty(f->seg_instance),
                   or_empty(f->sr_instance), (int64_t)f->urgency, f->made_ns);
}

static bool is_given(const char *text)
{
    return text && *text;
}

static bool check_row(const struct finding *f, const struct finding *first, struct error *err)
{
    if (!is_given(f->id) || !is_given(f->job) || !is_given(f->study) || !is_given(f->series) || !is_given(f->model) ||
        !is_given(f->concept.value))
        return error_set(err, ERROR_USAGE, "a finding needs an id, a job, a study, a series, a model and a concept");
    if (strcmp(f->job, first->job) != 0 || strcmp(f->series, first->series) != 0 || strcmp(f->model, first->model) != 0)
        return error_set(err, ERROR_USAGE, "findings of one job belong to one series and model");
    return true;
}

bool finding_supersede(struct database *db, const char *series, const char *model, const char *job, struct error *err)
{
    return sql_run(db, err, "UPDATE finding SET state = 3 WHERE series = ? AND model = ? AND job <> ? AND state <> 3",
                   "ttt", series, model, job);
}

bool finding_add(struct database *db, const struct finding *findings, size_t count, struct error *err)
{
    int64_t added = 0;
    for (size_t i = 0; i < count; i++) {
        if (!check_row(&findings[i], findings, err) || !insert(db, &findings[i], err))
            return false;
        added += sql_changes(db);
    }
    if (added == 0)
        return true;
    const struct store_event_detail detail = {
        .series = findings->series, .model = findings->model, .outcome = "positive", .standing = "current"};
    return finding_supersede(db, findings->series, findings->model, findings->job, err) &&
           store_event_add(db, STORE_EVENT_RESULT_CHANGED, findings->study, findings->job, &detail, err);
}

// ---- judge

static bool check_text(const char *what, const char *text, size_t most, struct error *err)
{
    size_t size = strlen(text);
    if (size > most)
        return error_set(err, ERROR_LIMIT, "%s has %zu bytes; at most %zu are kept", what, size, most);
    return text_is_utf8(text, size) || error_set(err, ERROR_BAD_VALUE, "%s is not UTF-8", what);
}

static bool check_judgement(enum finding_state state, const char *by, const char *comment, struct error *err)
{
    const char *name = or_empty(by);
    size_t size = strlen(name);
    text_trim(&name, &size);
    if (state != FINDING_ACCEPTED && state != FINDING_REJECTED)
        return error_set(err, ERROR_USAGE, "a finding is accepted or rejected, not \"%s\"", finding_state_text(state));
    if (size == 0)
        return error_set(err, ERROR_BAD_VALUE, "who accepts or rejects a finding gives a name");
    return check_text("the name", by, NAME_MAX_BYTES, err) &&
           check_text("the comment", comment, COMMENT_MAX_BYTES, err);
}

// The study into `study`. NOT_FOUND; CONFLICT when it is superseded.
static bool find_open(struct database *db, const char *id, char study[NAME_MAX_BYTES], struct error *err)
{
    bool row = false;
    int64_t state = 0;
    char shown[64];
    struct sql *sql = sql_prepare(db, "SELECT study, state FROM finding WHERE id = ?", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, id);
    bool ok = sql_step(sql, &row, err);
    if (ok && row) {
        text_copy(study, NAME_MAX_BYTES, or_empty(sql_text(sql, 0)));
        state = sql_int(sql, 1);
    }
    sql_done(sql);
    if (!ok)
        return false;
    if (!row)
        return error_set(err, ERROR_NOT_FOUND, "there is no finding \"%s\"",
                         text_show(shown, sizeof shown, id, strlen(id)));
    return state != FINDING_SUPERSEDED ||
           error_set(err, ERROR_CONFLICT, "finding %.64s is superseded by a newer result", id);
}

bool finding_judge(struct database *db, const char *id, enum finding_state state, const char *by, const char *comment,
                   int64_t now_ns, struct error *err)
{
    char study[NAME_MAX_BYTES] = "";
    comment = or_empty(comment);
    if (!check_judgement(state, by, comment, err) || !find_open(db, id, study, err) ||
        !sql_run(db, err, "UPDATE finding SET state = ?, judged_by = ?, judged_ns = ?, comment = ? WHERE id = ?",
                 "itit"
                 "t",
                 (int64_t)state, by, now_ns, comment, id))
        return false;
    const struct store_event_detail detail = {.state = finding_state_text(state), .by = by};
    return store_event_add(db, STORE_EVENT_FINDING_JUDGED, study, id, &detail, err);
}

// ---- read

// The next column's text in the arena; *ok is cleared when there is no memory.
static const char *next_text(struct sql *sql, int *column, struct arena *arena, bool *ok)
{
    const char *text = arena_strdup(arena, or_empty(sql_text(sql, (*column)++)));
    *ok = *ok && text;
    return text;
}

static struct finding_code next_code(struct sql *sql, int *column, struct arena *arena, bool *ok)
{
    const char *value = next_text(sql, column, arena, ok);
    const char *scheme = next_text(sql, column, arena, ok);
    return (struct finding_code){value, scheme, next_text(sql, column, arena, ok)};
}

static void next_point(struct sql *sql, int *column, double mm[3])
{
    for (int i = 0; i < 3; i++)
        mm[i] = sql_real(sql, (*column)++);
}

// The columns in the order of COLUMNS JUDGED.
static bool read_row(struct sql *sql, struct arena *arena, struct finding *f)
{
    int c = 0;
    bool ok = true;
    const char **const first[] = {&f->id,    &f->job,           &f->study,        &f->series,
                                  &f->model, &f->model_version, &f->model_digest, &f->label_text};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        *first[i] = next_text(sql, &c, arena, &ok);
    f->concept = next_code(sql, &c, arena, &ok);
    f->site = next_code(sql, &c, arena, &ok);
    f->side = next_text(sql, &c, arena, &ok);
    f->volume_ml = sql_real(sql, c++);
    f->score = sql_real(sql, c++);
    next_point(sql, &c, f->centroid_mm);
    next_point(sql, &c, f->low_mm);
    next_point(sql, &c, f->high_mm);
    f->segment = sql_int(sql, c++);
    f->seg_instance = next_text(sql, &c, arena, &ok);
    f->sr_instance = next_text(sql, &c, arena, &ok);
    f->urgency = (enum finding_urgency)sql_int(sql, c++);
    f->made_ns = sql_int(sql, c++);
    f->state = (enum finding_state)sql_int(sql, c++);
    f->judged_by = next_text(sql, &c, arena, &ok);
    f->judged_ns = sql_int(sql, c++);
    f->comment = next_text(sql, &c, arena, &ok);
    return ok;
}

// Room for one more in *list of *capacity; doubling leaves the old one to the arena.
static bool grow(struct finding **list, size_t count, size_t *capacity, struct arena *arena)
{
    if (count < *capacity)
        return true;
    size_t wanted = *capacity ? *capacity * 2 : ROWS_FIRST;
    struct finding *larger = arena_calloc(arena, wanted, sizeof *larger);
    if (larger && count > 0)
        memcpy(larger, *list, count * sizeof *larger);
    *list = larger;
    *capacity = wanted;
    return larger != NULL;
}

// Runs the bound statement and ends it.
static bool read_rows(struct sql *sql, struct arena *arena, struct finding **out, size_t *count, struct error *err)
{
    size_t capacity = 0;
    bool row, ok;
    *out = NULL;
    *count = 0;
    while ((ok = sql_step(sql, &row, err)) && row) {
        ok = (grow(out, *count, &capacity, arena) && read_row(sql, arena, &(*out)[*count])) ||
             error_set(err, ERROR_LIMIT, "the findings do not fit into the memory given");
        if (!ok)
            break;
        ++*count;
    }
    sql_done(sql);
    return ok;
}

bool finding_list(struct database *db, const char *study, bool superseded_too, struct arena *arena,
                  struct finding **out, size_t *count, struct error *err)
{
    struct sql *sql = sql_prepare(
        db, "SELECT " COLUMNS JUDGED " FROM finding WHERE study = ? AND (? OR state <> 3) ORDER BY number", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, study);
    sql_bind_int(sql, 2, superseded_too);
    return read_rows(sql, arena, out, count, err);
}

bool finding_get(struct database *db, const char *id, struct arena *arena, struct finding **out, struct error *err)
{
    size_t count;
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS JUDGED " FROM finding WHERE id = ?", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, id);
    return read_rows(sql, arena, out, &count, err);
}

// Models are few: each package's digest is turned into its Device's id and compared.
bool finding_study_of_device(struct database *db, const char *device, struct arena *arena, const char **out,
                             struct error *err)
{
    bool row, ok;
    *out = NULL;
    struct sql *sql =
        sql_prepare(db, "SELECT model_digest, MIN(study) FROM finding WHERE state <> 3 GROUP BY model_digest", err);
    if (!sql)
        return false;
    while ((ok = sql_step(sql, &row, err)) && row) {
        char uid[DICOM_UID_SIZE];
        object_device_uid(uid, or_empty(sql_text(sql, 0)));
        if (strcmp(uid, device) != 0)
            continue;
        *out = arena_strdup(arena, or_empty(sql_text(sql, 1)));
        ok = *out || error_set(err, ERROR_MEMORY, "no memory for a study's UID");
        break;
    }
    sql_done(sql);
    return ok;
}
