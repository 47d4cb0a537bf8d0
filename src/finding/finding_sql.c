// The table of findings: one row each, never deleted, so that what was once said can be shown.
//
//   FROM                  TO                    BY
//   -                     UNVERIFIED            finding_result_add, with its result
//   UNVERIFIED            ACCEPTED, REJECTED    finding_judge
//   ACCEPTED, REJECTED    the same two          finding_judge, who changes their mind
//   any but SUPERSEDED    SUPERSEDED            its result is not current any more (result_sql.c)
#include "finding/finding.h"

#include <string.h>

#include "base/text.h"
#include "finding/object.h"
#include "finding/row.h"

enum { NAME_MAX_BYTES = 256, COMMENT_MAX_BYTES = 4096 };

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
    result_table,
    "ALTER TABLE result ADD COLUMN coverage_mm INTEGER NOT NULL DEFAULT 0;",
    result_tally,
    "ALTER TABLE result ADD COLUMN patient INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE result ADD COLUMN is_earlier INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE finding ADD COLUMN version INTEGER NOT NULL DEFAULT 0;",
    "CREATE INDEX result_failed ON result (model, number) WHERE standing = 0 AND outcome = 3;",
    "CREATE INDEX finding_stands ON finding (study, urgency DESC, volume_ml DESC, number) WHERE state < 2;",
    NULL,
};

const struct store_migration finding_migration = {.room = "finding", .steps = steps};

#define COLUMNS                                                                                                        \
    "id, result, job, study, series, model, model_version, model_digest, label_text, concept_value, concept_scheme,"   \
    " concept_meaning, site_value, site_scheme, site_meaning, side, volume_ml, score, centroid_x_mm, centroid_y_mm,"   \
    " centroid_z_mm, low_x_mm, low_y_mm, low_z_mm, high_x_mm, high_y_mm, high_z_mm, segment, seg_instance,"            \
    " sr_instance, urgency, made_ns"
#define JUDGED ", state, version, judged_by, judged_ns, comment"

// ---- add

static bool insert(struct database *db, const struct finding *f, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO finding (" COLUMNS ") VALUES"
                   " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                   " ON CONFLICT (id) DO NOTHING",
                   "ttttttttttttttttdddddddddddittii", f->id, f->result, f->job, f->study, f->series, f->model,
                   object_text(f->model_version), object_text(f->model_digest), object_text(f->label_text),
                   f->concept.value, object_text(f->concept.scheme), object_text(f->concept.meaning),
                   object_text(f->site.value), object_text(f->site.scheme), object_text(f->site.meaning),
                   object_text(f->side), f->volume_ml, f->score, f->centroid_mm[0], f->centroid_mm[1],
                   f->centroid_mm[2], f->low_mm[0], f->low_mm[1], f->low_mm[2], f->high_mm[0], f->high_mm[1],
                   f->high_mm[2], f->segment, object_text(f->seg_instance), object_text(f->sr_instance),
                   (int64_t)f->urgency, f->made_ns);
}

static bool is_of_result(const struct finding *f, const struct finding_result *result)
{
    const char *const pairs[][2] = {{f->result, result->id},
                                    {f->job, result->job},
                                    {f->study, result->study},
                                    {f->series, result->series},
                                    {f->model, result->model}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (!pairs[i][0] || strcmp(pairs[i][0], pairs[i][1]) != 0)
            return false;
    return true;
}

bool finding_row_add(struct database *db, const struct finding *f, const struct finding_result *result,
                     struct error *err)
{
    if (!row_is_given(f->id) || !row_is_given(f->concept.value))
        return error_set(err, ERROR_USAGE, "a finding needs an id and a concept");
    if (!is_of_result(f, result))
        return error_set(err, ERROR_USAGE, "finding %.64s belongs to another result, job, study, series or model",
                         f->id);
    return insert(db, f, err);
}

bool finding_row_supersede(struct database *db, const char *result, struct error *err)
{
    return sql_run(db, err, "UPDATE finding SET state = 3 WHERE result = ? AND state <> 3", "t", result);
}

// ---- judge

static bool check_judgement(const struct finding_judgement *j, struct error *err)
{
    const char *name = object_text(j->by);
    if (j->state != FINDING_ACCEPTED && j->state != FINDING_REJECTED)
        return error_set(err, ERROR_USAGE, "a finding is accepted or rejected, not \"%s\"",
                         finding_state_text(j->state));
    return row_check_text("the name", name, NAME_MAX_BYTES, err) &&
           row_check_text("the comment", object_text(j->comment), COMMENT_MAX_BYTES, err) &&
           (text_is_visible(name, strlen(name)) ||
            error_set(err, ERROR_BAD_VALUE, "who accepts or rejects a finding gives a name"));
}

// What a judgement needs to know of its finding.
struct judged {
    char study[NAME_MAX_BYTES], result[FINDING_ID_SIZE], by[NAME_MAX_BYTES + 1];
    enum finding_state state;
    int64_t version;
};

// NOT_FOUND; CONFLICT when it is superseded.
static bool find_open(struct database *db, struct access_scope scope, const char *id, struct judged *out,
                      struct error *err)
{
    bool row = false;
    char shown[64];
    struct sql *sql =
        sql_prepare(db,
                    "SELECT study, result, state, version, judged_by FROM finding WHERE id = ?1 AND " ACCESS_SEES(
                        "finding.study", "?2"),
                    err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, id);
    sql_bind_int(sql, 2, (int64_t)scope.hidden);
    bool ok = sql_step(sql, &row, err);
    if (ok && row) {
        text_copy(out->study, sizeof out->study, object_text(sql_text(sql, 0)));
        text_copy(out->result, sizeof out->result, object_text(sql_text(sql, 1)));
        out->state = (enum finding_state)sql_int(sql, 2);
        out->version = sql_int(sql, 3);
        text_copy(out->by, sizeof out->by, object_text(sql_text(sql, 4)));
    }
    sql_done(sql);
    if (!ok)
        return false;
    if (!row)
        return error_set(err, ERROR_NOT_FOUND, "there is no finding \"%s\"",
                         text_show(shown, sizeof shown, id, strlen(id)));
    return out->state != FINDING_SUPERSEDED ||
           error_set(err, ERROR_CONFLICT, "finding %.64s is superseded by a newer result", id);
}

// Two people may look at once: who speaks last has seen what the other said.
static bool check_version(const struct judged *was, const struct finding_judgement *j, struct error *err)
{
    char shown[64];
    if (j->version == FINDING_ANY_VERSION || j->version == was->version)
        return true;
    if (j->version > was->version)
        return error_set(err, ERROR_CONFLICT, "the finding has version %lld, not %lld; look again",
                         (long long)was->version, (long long)j->version);
    return error_set(err, ERROR_CONFLICT, "the finding was %s by %s since it was looked at; look again",
                     finding_state_text(was->state), text_show(shown, sizeof shown, was->by, strlen(was->by)));
}

// A result says something else when one of its findings is taken back, or is not any more.
static bool raise_revision(struct database *db, const struct judged *was, enum finding_state state, int64_t now_ns,
                           struct error *err)
{
    if ((was->state == FINDING_REJECTED) == (state == FINDING_REJECTED))
        return true;
    return sql_run(db, err,
                   "UPDATE result SET revision = revision + 1,"
                   " changed_ns = CASE WHEN changed_ns > ?1 THEN changed_ns ELSE ?1 END WHERE id = ?2",
                   "it", now_ns, was->result);
}

bool finding_judge(struct database *db, struct access_scope scope, const struct finding_judgement *j, struct error *err)
{
    struct judged was = {0};
    if (!check_judgement(j, err) || !find_open(db, scope, j->id, &was, err) || !check_version(&was, j, err) ||
        !sql_run(db, err,
                 "UPDATE finding SET state = ?, judged_by = ?, judged_ns = ?, comment = ?, version = version + 1"
                 " WHERE id = ?",
                 "ititt", (int64_t)j->state, j->by, j->now_ns, object_text(j->comment), j->id) ||
        !raise_revision(db, &was, j->state, j->now_ns, err))
        return false;
    const struct store_event_detail detail = {.state = finding_state_text(j->state), .by = j->by};
    return store_event_add(db, STORE_EVENT_FINDING_JUDGED, was.study, j->id, &detail, err);
}

// ---- read

static void next_point(struct sql *sql, int *column, double mm[3])
{
    for (int i = 0; i < 3; i++)
        mm[i] = sql_real(sql, (*column)++);
}

// The columns in the order of COLUMNS JUDGED.
static bool read_row(struct sql *sql, struct arena *arena, void *row)
{
    struct finding *f = row;
    int c = 0;
    bool ok = true;
    const char **const first[] = {&f->id,    &f->result,        &f->job,          &f->study,     &f->series,
                                  &f->model, &f->model_version, &f->model_digest, &f->label_text};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        *first[i] = row_text(sql, &c, arena, &ok);
    f->concept = row_code(sql, &c, arena, &ok);
    f->site = row_code(sql, &c, arena, &ok);
    f->side = row_text(sql, &c, arena, &ok);
    f->volume_ml = sql_real(sql, c++);
    f->score = sql_real(sql, c++);
    next_point(sql, &c, f->centroid_mm);
    next_point(sql, &c, f->low_mm);
    next_point(sql, &c, f->high_mm);
    f->segment = sql_int(sql, c++);
    f->seg_instance = row_text(sql, &c, arena, &ok);
    f->sr_instance = row_text(sql, &c, arena, &ok);
    f->urgency = (enum finding_urgency)sql_int(sql, c++);
    f->made_ns = sql_int(sql, c++);
    f->state = (enum finding_state)sql_int(sql, c++);
    f->version = sql_int(sql, c++);
    f->judged_by = row_text(sql, &c, arena, &ok);
    f->judged_ns = sql_int(sql, c++);
    f->comment = row_text(sql, &c, arena, &ok);
    return ok;
}

static bool read_rows(struct sql *sql, struct arena *arena, struct finding **out, size_t *count, struct error *err)
{
    void *list;
    bool ok = row_list(sql, read_row, sizeof **out, arena, &list, count, err);
    *out = list;
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

bool finding_worst(struct database *db, const char *study, struct arena *arena, struct finding **worst, int64_t *count,
                   struct error *err)
{
    size_t rows;
    bool found;
    struct sql *sql = sql_prepare(db,
                                  "SELECT " COLUMNS JUDGED " FROM finding WHERE study = ? AND state < 2"
                                  " ORDER BY urgency DESC, volume_ml DESC, number LIMIT 1",
                                  err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, study);
    return read_rows(sql, arena, worst, &rows, err) &&
           sql_get_int(db, err, count, &found, "SELECT COUNT(*) FROM finding WHERE study = ? AND state < 2", "t",
                       study);
}

bool finding_waits(struct database *db, const char *study, const char *result, bool *out, struct error *err)
{
    int64_t one;
    return result ? sql_get_int(db, err, &one, out,
                                "SELECT 1 FROM finding WHERE result = ? AND study = ? AND state = 0 LIMIT 1", "tt",
                                result, study)
                  : sql_get_int(db, err, &one, out, "SELECT 1 FROM finding WHERE study = ? AND state = 0 LIMIT 1", "t",
                                study);
}

bool finding_list_of(struct database *db, const char *result, struct arena *arena, struct finding **out, size_t *count,
                     struct error *err)
{
    struct sql *sql =
        sql_prepare(db, "SELECT " COLUMNS JUDGED " FROM finding WHERE result = ? ORDER BY segment, number", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, result);
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

bool finding_without_result(struct database *db, struct arena *arena, struct finding **out, struct error *err)
{
    size_t count;
    struct sql *sql =
        sql_prepare(db, "SELECT " COLUMNS JUDGED " FROM finding WHERE result = '' ORDER BY number LIMIT 1", err);
    return sql && read_rows(sql, arena, out, &count, err);
}
