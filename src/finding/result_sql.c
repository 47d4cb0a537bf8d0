// The table of results: one row for what one model said about one volume, never deleted.
//
//   FROM                             TO            BY
//   -                                CURRENT       finding_result_add
//   not analysed, failed (any)       CURRENT       finding_result_add: the same job was asked again and has an answer
//   CURRENT                          REPLACED      finding_result_add of another job of the model on the study's series
//   CURRENT                          WITHDRAWN     finding_result_withdraw
//
// Findings of a result that is not current are SUPERSEDED (finding_sql.c).
#include "finding/finding.h"

#include <stddef.h>
#include <string.h>

#include "finding/object.h"
#include "finding/row.h"

enum { REASON_MAX_BYTES = 4096, COMPLETE_AT_ONCE = 256 };

const char result_table[] =
    "CREATE TABLE result ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " id TEXT NOT NULL UNIQUE,"
    " topic TEXT NOT NULL,"
    " job TEXT NOT NULL,"
    " study TEXT NOT NULL,"
    " series TEXT NOT NULL,"
    " volume TEXT NOT NULL,"
    " patient_id TEXT NOT NULL,"
    " issuer TEXT NOT NULL,"
    " modality TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " model_version TEXT NOT NULL,"
    " model_digest TEXT NOT NULL,"
    " label_text TEXT NOT NULL,"
    " concept_value TEXT NOT NULL,"
    " concept_scheme TEXT NOT NULL,"
    " concept_meaning TEXT NOT NULL,"
    " outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 3),"
    " standing INTEGER NOT NULL CHECK (standing BETWEEN 0 AND 2),"
    " reason TEXT NOT NULL,"
    " notes TEXT NOT NULL,"
    " objects INTEGER NOT NULL,"
    " voxels INTEGER NOT NULL,"
    " digest TEXT NOT NULL,"
    " send_to TEXT NOT NULL,"
    " hl7_to TEXT NOT NULL,"
    " calibrated INTEGER NOT NULL,"
    " told INTEGER NOT NULL,"
    " revision INTEGER NOT NULL,"
    " sr_instance TEXT NOT NULL,"
    " seg_instance TEXT NOT NULL,"
    " made_ns INTEGER NOT NULL,"
    " changed_ns INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX result_study ON result (study, number);"
    "CREATE INDEX result_series ON result (series, model);"
    "CREATE INDEX result_untold ON result (number) WHERE told = 0 AND standing = 0 AND outcome = 1;"
    "ALTER TABLE finding ADD COLUMN result TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX finding_result ON finding (result);"
    "CREATE INDEX finding_without_result ON finding (number) WHERE result = '';";

// How many there are, kept up as they come and end: a walk through all there ever was would take longer each day.
const char result_tally[] = "CREATE TABLE result_tally ("
                            " model TEXT NOT NULL,"
                            " outcome INTEGER NOT NULL,"
                            " standing INTEGER NOT NULL,"
                            " count INTEGER NOT NULL,"
                            " PRIMARY KEY (model, outcome, standing)"
                            ") STRICT;"
                            "INSERT INTO result_tally SELECT model, outcome, standing, count(*) FROM result"
                            " GROUP BY model, outcome, standing;";

#define COLUMNS                                                                                                        \
    "id, topic, job, study, series, volume, patient_id, issuer, modality, model, model_version, model_digest,"         \
    " label_text, concept_value, concept_scheme, concept_meaning, outcome, standing, reason, notes, objects, voxels,"  \
    " digest, send_to, hl7_to, calibrated, told, revision, sr_instance, seg_instance, made_ns, changed_ns,"            \
    " coverage_mm, patient, is_earlier"

// Where each column is in the struct, in the order of COLUMNS.
enum column_type { TEXT, INTEGER, FLAG, OUTCOME, STANDING };
#define COLUMN(member, type)                                                                                           \
    {                                                                                                                  \
        offsetof(struct finding_result, member), type                                                                  \
    }
static const struct column {
    size_t offset;
    enum column_type type;
} columns[] = {
    COLUMN(id, TEXT),
    COLUMN(topic, TEXT),
    COLUMN(job, TEXT),
    COLUMN(study, TEXT),
    COLUMN(series, TEXT),
    COLUMN(volume, TEXT),
    COLUMN(patient_id, TEXT),
    COLUMN(issuer, TEXT),
    COLUMN(modality, TEXT),
    COLUMN(model, TEXT),
    COLUMN(model_version, TEXT),
    COLUMN(model_digest, TEXT),
    COLUMN(label_text, TEXT),
    COLUMN(concept.value, TEXT),
    COLUMN(concept.scheme, TEXT),
    COLUMN(concept.meaning, TEXT),
    COLUMN(outcome, OUTCOME),
    COLUMN(standing, STANDING),
    COLUMN(reason, TEXT),
    COLUMN(notes, TEXT),
    COLUMN(objects, INTEGER),
    COLUMN(voxels, INTEGER),
    COLUMN(digest, TEXT),
    COLUMN(send_to, TEXT),
    COLUMN(hl7_to, TEXT),
    COLUMN(calibrated, FLAG),
    COLUMN(told, FLAG),
    COLUMN(revision, INTEGER),
    COLUMN(sr_instance, TEXT),
    COLUMN(seg_instance, TEXT),
    COLUMN(made_ns, INTEGER),
    COLUMN(changed_ns, INTEGER),
    COLUMN(coverage_mm, INTEGER),
    COLUMN(patient, INTEGER),
    COLUMN(is_earlier, FLAG),
};
enum { COLUMN_COUNT = sizeof columns / sizeof *columns };

// ---- one row

static void bind_column(struct sql *sql, int index, const struct column *column, const struct finding_result *result)
{
    const char *at = (const char *)result + column->offset;
    switch (column->type) {
    case TEXT:
        sql_bind_text(sql, index, object_text(*(const char *const *)at));
        return;
    case INTEGER:
        sql_bind_int(sql, index, *(const int64_t *)at);
        return;
    case FLAG:
        sql_bind_int(sql, index, *(const bool *)at);
        return;
    case OUTCOME:
        sql_bind_int(sql, index, (int64_t) * (const enum finding_outcome *)at);
        return;
    case STANDING:
        sql_bind_int(sql, index, (int64_t) * (const enum finding_standing *)at);
        return;
    }
}

static bool tally(struct database *db, const struct finding_result *result, int64_t more, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO result_tally (model, outcome, standing, count) VALUES (?, ?, ?, ?)"
                   " ON CONFLICT (model, outcome, standing) DO UPDATE SET count = result_tally.count + excluded.count",
                   "tiii", result->model, (int64_t)result->outcome, (int64_t)result->standing, more);
}

static bool insert(struct database *db, const struct finding_result *result, struct error *err)
{
    bool row;
    struct sql *sql = sql_prepare(db,
                                  "INSERT INTO result (" COLUMNS ") VALUES"
                                  " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                                  " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                                  err);
    if (!sql)
        return false;
    for (int i = 0; i < COLUMN_COUNT; i++)
        bind_column(sql, i + 1, &columns[i], result);
    bool ok = sql_step(sql, &row, err);
    sql_done(sql);
    return ok && tally(db, result, 1, err);
}

static bool read_row(struct sql *sql, struct arena *arena, void *row)
{
    bool ok = true;
    for (int i = 0; i < COLUMN_COUNT;) {
        char *at = (char *)row + columns[i].offset;
        switch (columns[i].type) {
        case TEXT:
            *(const char **)at = row_text(sql, &i, arena, &ok);
            continue;
        case INTEGER:
            *(int64_t *)at = sql_int(sql, i);
            break;
        case FLAG:
            *(bool *)at = sql_int(sql, i) != 0;
            break;
        case OUTCOME:
            *(enum finding_outcome *)at = (enum finding_outcome)sql_int(sql, i);
            break;
        case STANDING:
            *(enum finding_standing *)at = (enum finding_standing)sql_int(sql, i);
            break;
        }
        i++;
    }
    return ok;
}

static bool read_rows(struct sql *sql, struct arena *arena, struct finding_result **out, size_t *count,
                      struct error *err)
{
    void *list;
    bool ok = row_list(sql, read_row, sizeof **out, arena, &list, count, err);
    *out = list;
    return ok;
}

static bool tell(struct database *db, const struct finding_result *result, const char *how, struct error *err)
{
    const struct store_event_detail detail = {.series = result->series,
                                              .model = result->model,
                                              .outcome = finding_outcome_text(result->outcome),
                                              .standing = finding_standing_text(result->standing),
                                              .how = how};
    return store_event_add(db, STORE_EVENT_RESULT_CHANGED, result->study, result->id, &detail, err);
}

// ---- add

// A result stands on something: an answer on what was looked at, the absence of one on a reason.
static bool check_result(const struct finding_result *r, size_t count, struct error *err)
{
    if (!row_is_given(r->id) || !row_is_given(r->topic) || !row_is_given(r->job) || !row_is_given(r->study) ||
        !row_is_given(r->series) || !row_is_given(r->model))
        return error_set(err, ERROR_USAGE, "a result needs an id, a topic, a job, a study, a series and a model");
    if ((r->outcome == FINDING_POSITIVE) != (count > 0) || r->standing != FINDING_CURRENT)
        return error_set(err, ERROR_USAGE, "a %s result that is %s does not come with %zu findings",
                         finding_outcome_text(r->outcome), finding_standing_text(r->standing), count);
    if (finding_is_answer(r->outcome) && (r->objects <= 0 || r->voxels <= 0))
        return error_set(err, ERROR_BAD_VALUE, "a %s result of %lld objects and %lld voxels says nothing",
                         finding_outcome_text(r->outcome), (long long)r->objects, (long long)r->voxels);
    if (!finding_is_answer(r->outcome) && !row_is_given(r->reason))
        return error_set(err, ERROR_USAGE, "a result that is %s says why", finding_outcome_text(r->outcome));
    return row_check_text("the reason", object_text(r->reason), REASON_MAX_BYTES, err) &&
           row_check_text("the notes", object_text(r->notes), REASON_MAX_BYTES, err);
}

// When it changes: not before it did last, whatever the clock does.
static int64_t later(const struct finding_result *result, int64_t now_ns)
{
    return now_ns > result->changed_ns ? now_ns : result->changed_ns;
}

// REPLACED or WITHDRAWN, with its findings, and told.
static bool end(struct database *db, struct finding_result *result, enum finding_standing standing, const char *reason,
                int64_t now_ns, struct error *err)
{
    if (!tally(db, result, -1, err))
        return false;
    result->standing = standing;
    return tally(db, result, 1, err) &&
           sql_run(db, err, "UPDATE result SET standing = ?, reason = ?, changed_ns = ? WHERE id = ?", "itit",
                   (int64_t)standing, reason, later(result, now_ns), result->id) &&
           finding_row_supersede(db, result->id, err) && tell(db, result, "ended", err);
}

// Has the job looked at the topic and found no answer?
static bool is_unanswered(const struct finding_result *results, size_t count, const char *job, const char *topic)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(results[i].job, job) == 0 && strcmp(results[i].topic, topic) == 0 &&
            !finding_is_answer(results[i].outcome))
            return true;
    return false;
}

// A newer look that has no answer takes no positive back, nor does its answer to another topic.
static bool is_replaced(const struct finding_result *old, const struct finding_result *by,
                        const struct finding_result *current, size_t count)
{
    if (strcmp(old->job, by->job) == 0)
        return false;
    return old->outcome != FINDING_POSITIVE ||
           (finding_is_answer(by->outcome) && !is_unanswered(current, count, by->job, old->topic));
}

static bool replace_others(struct database *db, const struct finding_result *by, struct error *err)
{
    struct finding_result *others;
    struct arena arena;
    size_t count;
    arena_init(&arena, 16 << 20);
    bool ok = finding_result_current(db, by->study, by->series, by->model, &arena, &others, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        if (is_replaced(&others[i], by, others, count))
            ok = end(db, &others[i], FINDING_REPLACED, others[i].reason, by->changed_ns ? by->changed_ns : by->made_ns,
                     err);
    arena_free(&arena);
    return ok;
}

// Whether the result is to be written: it is not there, or what is there is no answer and says something else.
static bool make_place(struct database *db, const struct finding_result *result, bool *out, struct error *err)
{
    struct finding_result *known;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    bool ok = finding_result_get(db, result->id, &arena, &known, err);
    *out = ok && (!known || (!finding_is_answer(known->outcome) &&
                             (known->outcome != result->outcome || known->standing != FINDING_CURRENT ||
                              strcmp(known->reason, result->reason) != 0)));
    if (*out && known)
        ok = tally(db, known, -1, err) && sql_run(db, err, "DELETE FROM result WHERE id = ?", "t", result->id);
    arena_free(&arena);
    return ok;
}

bool finding_result_add(struct database *db, const struct finding_result *result, const struct finding *findings,
                        size_t count, bool *added, struct error *err)
{
    if (!check_result(result, count, err) || !make_place(db, result, added, err))
        return false;
    if (!*added)
        return true;
    if (!replace_others(db, result, err) || !insert(db, result, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!finding_row_add(db, &findings[i], result, err))
            return false;
    return tell(db, result, "made", err);
}

// ---- what becomes of a current one

// Takes the id's result, NULL when there is none, and `arena` is the caller's to free in any case.
static bool get(struct database *db, const char *id, struct arena *arena, struct finding_result **out,
                struct error *err)
{
    arena_init(arena, 1 << 20);
    return finding_result_get(db, id, arena, out, err);
}

bool finding_result_withdraw(struct database *db, const char *id, const char *reason, int64_t now_ns, struct error *err)
{
    struct arena arena;
    struct finding_result *result;
    if (!row_is_given(reason))
        return error_set(err, ERROR_USAGE, "who withdraws a result says why");
    if (!row_check_text("the reason", reason, REASON_MAX_BYTES, err))
        return false;
    bool ok = get(db, id, &arena, &result, err);
    if (ok && result && result->standing == FINDING_CURRENT)
        ok = end(db, result, FINDING_WITHDRAWN, reason, now_ns, err);
    arena_free(&arena);
    return ok;
}

bool finding_result_mark_earlier(struct database *db, const char *id, bool is_earlier, int64_t now_ns,
                                 struct error *err)
{
    struct arena arena;
    struct finding_result *result;
    bool ok = get(db, id, &arena, &result, err);
    if (ok && result && result->standing == FINDING_CURRENT && result->is_earlier != is_earlier)
        ok = sql_run(db, err, "UPDATE result SET is_earlier = ?, changed_ns = ? WHERE id = ?", "iit",
                     (int64_t)is_earlier, later(result, now_ns), id) &&
             tell(db, result, "changed", err);
    arena_free(&arena);
    return ok;
}

static bool check_open(const struct finding_result *result, const char *id, int64_t revision, struct error *err)
{
    if (!result)
        return error_set(err, ERROR_NOT_FOUND, "there is no result %.64s", id);
    if (result->standing != FINDING_CURRENT)
        return error_set(err, ERROR_CONFLICT, "result %.64s is %s", id, finding_standing_text(result->standing));
    if (result->is_earlier && result->outcome == FINDING_NEGATIVE)
        return error_set(err, ERROR_CONFLICT, "result %.64s found nothing in images that the series has no more", id);
    return result->revision == revision ||
           error_set(err, ERROR_CONFLICT, "result %.64s has revision %lld, not %lld any more", id,
                     (long long)result->revision, (long long)revision);
}

bool finding_result_tell(struct database *db, const char *id, int64_t revision, const char *sr, const char *seg,
                         int64_t now_ns, struct error *err)
{
    struct arena arena;
    struct finding_result *result;
    bool ok = get(db, id, &arena, &result, err) && check_open(result, id, revision, err);
    if (ok && (!result->told || strcmp(result->sr_instance, sr) != 0 || strcmp(result->seg_instance, seg) != 0))
        ok = sql_run(db, err,
                     "UPDATE result SET told = 1, sr_instance = ?, seg_instance = ?, changed_ns = ? WHERE id = ?",
                     "ttit", sr, seg, later(result, now_ns), id) &&
             tell(db, result, "changed", err);
    arena_free(&arena);
    return ok;
}

// ---- lists

bool finding_result_list(struct database *db, const char *study, const char *series, bool past_too, struct arena *arena,
                         struct finding_result **out, size_t *count, struct error *err)
{
    static const char of_study[] =
        "SELECT " COLUMNS " FROM result WHERE study = ?1 AND (?2 OR standing = 0) ORDER BY number";
    static const char of_series[] =
        "SELECT " COLUMNS " FROM result WHERE series = ?3 AND study = ?1 AND (?2 OR standing = 0) ORDER BY number";
    struct sql *sql = sql_prepare(db, series ? of_series : of_study, err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, study);
    sql_bind_int(sql, 2, past_too);
    if (series)
        sql_bind_text(sql, 3, series);
    return read_rows(sql, arena, out, count, err);
}

bool finding_result_untold(struct database *db, size_t most, struct arena *arena, struct finding_result **out,
                           size_t *count, struct error *err)
{
    struct sql *sql = sql_prepare(
        db, "SELECT " COLUMNS " FROM result WHERE told = 0 AND standing = 0 AND outcome = 1 ORDER BY number LIMIT ?",
        err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, (int64_t)most);
    return read_rows(sql, arena, out, count, err);
}

static bool read_count(struct sql *sql, struct arena *arena, void *to)
{
    struct finding_result_count *count = to;
    bool ok = true;
    int column = 0;
    *count = (struct finding_result_count){.model = row_text(sql, &column, arena, &ok),
                                           .outcome = (enum finding_outcome)sql_int(sql, 1),
                                           .standing = (enum finding_standing)sql_int(sql, 2),
                                           .count = sql_int(sql, 3)};
    return ok;
}

bool finding_result_counts(struct database *db, struct arena *arena, struct finding_result_count **out, size_t *count,
                           struct error *err)
{
    void *list;
    struct sql *sql = sql_prepare(db,
                                  "SELECT model, outcome, standing, count FROM result_tally WHERE count > 0"
                                  " ORDER BY model, outcome, standing LIMIT ?",
                                  err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, FINDING_COUNTS_MAX);
    bool ok = row_list(sql, read_count, sizeof **out, arena, &list, count, err);
    *out = list;
    return ok;
}

bool finding_result_current(struct database *db, const char *study, const char *series, const char *model,
                            struct arena *arena, struct finding_result **out, size_t *count, struct error *err)
{
    struct sql *sql = sql_prepare(
        db,
        "SELECT " COLUMNS " FROM result WHERE study = ? AND series = ? AND model = ? AND standing = 0 ORDER BY number",
        err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, study);
    sql_bind_text(sql, 2, series);
    sql_bind_text(sql, 3, model);
    return read_rows(sql, arena, out, count, err);
}

bool finding_result_get(struct database *db, const char *id, struct arena *arena, struct finding_result **out,
                        struct error *err)
{
    size_t count;
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM result WHERE id = ?", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, id);
    return read_rows(sql, arena, out, &count, err);
}

bool finding_result_failed(struct database *db, const char *model, const char *digest, int64_t *number,
                           struct arena *arena, struct finding_result **out, struct error *err)
{
    bool found;
    size_t count;
    *out = NULL;
    if (!sql_get_int(db, err, number, &found,
                     "SELECT number FROM result WHERE model = ?1 AND number > ?2 AND standing = 0 AND outcome = 3"
                     " AND model_digest <> ?3 ORDER BY number LIMIT 1",
                     "tit", model, *number, digest))
        return false;
    struct sql *sql = found ? sql_prepare(db, "SELECT " COLUMNS " FROM result WHERE number = ?", err) : NULL;
    if (!sql)
        return !found;
    sql_bind_int(sql, 1, *number);
    return read_rows(sql, arena, out, &count, err);
}

// Models are few: each package's digest is turned into its Device's id and compared.
bool finding_study_of_device(struct database *db, struct access_scope scope, const char *device, struct arena *arena,
                             const char **out, struct error *err)
{
    bool row, ok;
    *out = NULL;
    struct sql *sql = sql_prepare(db,
                                  "SELECT model_digest, MIN(study) FROM result WHERE standing <> 1 AND " ACCESS_SEES(
                                      "result.study", "?1") " GROUP BY model_digest",
                                  err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, (int64_t)scope.hidden);
    while ((ok = sql_step(sql, &row, err)) && row) {
        char uid[DICOM_UID_SIZE];
        object_device_uid(uid, object_text(sql_text(sql, 0)));
        if (strcmp(uid, device) != 0)
            continue;
        *out = arena_strdup(arena, object_text(sql_text(sql, 1)));
        ok = *out || error_set(err, ERROR_MEMORY, "no memory for a study's UID");
        break;
    }
    sql_done(sql);
    return ok;
}

// ---- topics

static void name_topic(char out[FINDING_TOPIC_SIZE], const struct finding_subject *subject, bool with_study)
{
    const char *parts[6];
    char patient[24];
    size_t count = 0;
    snprintf(patient, sizeof patient, "%lld", (long long)subject->patient);
    if (with_study)
        parts[count++] = subject->study;
    parts[count++] = subject->series;
    parts[count++] = subject->volume;
    parts[count++] = subject->model;
    if (subject->patient > 0)
        parts[count++] = patient;
    parts[count] = NULL;
    object_hex(out, FINDING_TOPIC_SIZE, parts);
}

// Whether the topic's first result is the study's.
static bool is_first_of(struct database *db, const struct finding_subject *subject, const char *topic, bool *out,
                        struct error *err)
{
    int64_t own = 0;
    bool found;
    bool ok = sql_get_int(
        db, err, &own, &found,
        "SELECT CASE WHEN study = ? THEN 1 ELSE 0 END FROM result WHERE series = ? AND model = ? AND topic = ?"
        " ORDER BY number LIMIT 1",
        "tttt", subject->study, subject->series, subject->model, topic);
    *out = found && own != 0;
    return ok;
}

bool finding_topic(struct database *db, const struct finding_subject *subject, char out[FINDING_TOPIC_SIZE],
                   struct error *err)
{
    bool keeps;
    name_topic(out, subject, false);
    if (!is_first_of(db, subject, out, &keeps, err))
        return false;
    if (!keeps)
        name_topic(out, subject, true);
    return true;
}

// ---- findings of a program without results

// The positive that a finding's job made: current while any of its findings is.
static bool insert_for(struct database *db, const struct finding *f, struct error *err)
{
    char id[FINDING_ID_SIZE], topic[FINDING_TOPIC_SIZE];
    const struct finding_subject subject = {f->study, f->series, "", f->model, 0};
    int64_t state;
    bool found;
    finding_result_id(id, f->job, "");
    name_topic(topic, &subject, false);
    if (!sql_get_int(db, err, &state, &found, "SELECT MIN(state) FROM finding WHERE job = ? AND result = ''", "t",
                     f->job))
        return false;
    const struct finding_result result = {.id = id,
                                          .topic = topic,
                                          .job = f->job,
                                          .study = f->study,
                                          .series = f->series,
                                          .model = f->model,
                                          .model_version = f->model_version,
                                          .model_digest = f->model_digest,
                                          .label_text = f->label_text,
                                          .concept = f->concept,
                                          .outcome = FINDING_POSITIVE,
                                          .standing = state == FINDING_SUPERSEDED ? FINDING_REPLACED : FINDING_CURRENT,
                                          .send_to = "[]",
                                          .hl7_to = "[]",
                                          .told = true,
                                          .sr_instance = f->sr_instance,
                                          .seg_instance = f->seg_instance,
                                          .made_ns = f->made_ns,
                                          .changed_ns = f->judged_ns > f->made_ns ? f->judged_ns : f->made_ns};
    return insert(db, &result, err) &&
           sql_run(db, err, "UPDATE finding SET result = ? WHERE job = ? AND result = ''", "tt", id, f->job);
}

static bool complete_next(struct database *db, bool *done, struct error *err)
{
    struct arena arena;
    struct finding *finding;
    arena_init(&arena, 1 << 20);
    bool ok = finding_without_result(db, &arena, &finding, err);
    *done = ok && !finding;
    ok = ok && (*done || insert_for(db, finding, err));
    arena_free(&arena);
    return ok;
}

static bool write_completion(struct database *db, void *payload, struct error *err)
{
    bool *done = payload;
    *done = false;
    for (int i = 0; i < COMPLETE_AT_ONCE && !*done; i++)
        if (!complete_next(db, done, err))
            return false;
    return true;
}

bool finding_complete(struct store *store, struct error *err)
{
    bool done = false;
    while (!done)
        if (!store_write(store, STORE_DURABLE, write_completion, &done, err))
            return false;
    return true;
}
