// The table of the reading list: one row per study that has ever had an image here.
#include "reading/rows.h"

#include "base/text.h"

static const char *const steps[] = {
    "CREATE TABLE reading_item(study TEXT PRIMARY KEY, arrived_ns INTEGER NOT NULL, urgency INTEGER NOT NULL, reason "
    "TEXT NOT NULL,"
    " findings INTEGER NOT NULL, read_ns INTEGER, read_by TEXT NOT NULL DEFAULT '') STRICT;"
    "CREATE INDEX reading_item_open ON reading_item(arrived_ns) WHERE read_ns IS NULL;",
    "ALTER TABLE reading_item ADD COLUMN arrived_event INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE reading_item ADD COLUMN image_event INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE reading_item ADD COLUMN result_event INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE reading_item ADD COLUMN doubt_event INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE reading_item ADD COLUMN imported INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE reading_item ADD COLUMN passed_over TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX reading_item_passed_over ON reading_item(study) WHERE read_ns IS NULL AND passed_over<>'';",
    NULL,
};
const struct store_migration reading_migration = {.room = "reading", .steps = steps};

static bool read_item(struct sql *sql, struct arena *arena, struct reading_item *out)
{
    const char **texts[] = {&out->study,         &out->patient_id,   &out->issuer,      &out->patient_name,
                            &out->accession,     &out->modality,     &out->description, &out->identity,
                            &out->conflicts,     &out->held_back,    &out->rejected,    &out->unreadable,
                            &out->shared_series, &out->unidentified, &out->reason,      &out->passed_over};
    int at = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!(*texts[i] = arena_strdup(arena, sql_text(sql, at++))))
            return false;
    out->urgency = (enum finding_urgency)sql_int(sql, at++);
    out->arrived_ns = sql_int(sql, at++);
    out->findings = (size_t)sql_int(sql, at++);
    out->arrived_event = sql_int(sql, at++);
    out->imported = sql_int(sql, at++) != 0;
    for (int i = 0; i < READING_NEWS_COUNT; i++, at++)
        out->version = sql_int(sql, at) > out->version ? sql_int(sql, at) : out->version;
    out->date = arena_strdup(arena, sql_text(sql, at));
    return out->date != NULL;
}

#define ITEMS                                                                                                          \
    "SELECT reading_item.study, patient_id, issuer, patient_name, accession, modalities, description, identity,"       \
    " conflicts, held_back, rejected, unreadable, shared_series, unidentified, reason, passed_over, urgency, "         \
    "arrived_ns,"                                                                                                      \
    " findings, arrived_event, imported, image_event, result_event, doubt_event, date"                                 \
    " FROM reading_item JOIN study_shown ON study_shown.study=reading_item.study WHERE read_ns IS NULL"                \
    " AND " ACCESS_SEES("reading_item.study", "?2")

bool reading_rows(struct database *db, struct access_scope scope, const char *study, struct arena *arena,
                  struct reading_item *items, size_t *count, struct error *err)
{
    bool row, ok;
    struct sql *sql = study ? sql_prepare(db, ITEMS " AND reading_item.study=?3 LIMIT ?1", err)
                            : sql_prepare(db,
                                          ITEMS " ORDER BY passed_over<>'' DESC, urgency DESC, imported, arrived_event,"
                                                " arrived_ns LIMIT ?1",
                                          err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, READING_LIST_MAX);
    sql_bind_int(sql, 2, (int64_t)scope.hidden);
    if (study)
        sql_bind_text(sql, 3, study);
    while ((ok = sql_step(sql, &row, err)) && row) {
        ok = read_item(sql, arena, &items[(*count)++]) || error_set(err, ERROR_LIMIT, "no memory for the reading list");
        if (!ok)
            break;
    }
    sql_done(sql);
    return ok;
}

static bool note(struct database *db, const struct store_event *event, enum reading_news news, struct error *err)
{
    static const char *const statements[READING_NEWS_COUNT] = {
        [READING_IMAGE] = "UPDATE reading_item SET image_event=?2 WHERE study=?1",
        [READING_RESULT] = "UPDATE reading_item SET result_event=?2 WHERE study=?1",
        [READING_DOUBT] = "UPDATE reading_item SET doubt_event=?2 WHERE study=?1",
    };
    return sql_run(db, err, statements[news], "ti", event->study, (int64_t)event->number);
}

bool reading_rows_open(struct database *db, struct access_scope scope, int64_t *count, struct error *err)
{
    bool found;
    return sql_get_int(db, err, count, &found,
                       "SELECT COUNT(*) FROM reading_item JOIN study_shown ON study_shown.study=reading_item.study"
                       " WHERE read_ns IS NULL AND " ACCESS_SEES("reading_item.study", "?1"),
                       "i", (int64_t)scope.hidden);
}

bool reading_rows_tally(struct database *db, struct reading_tally *out, struct error *err)
{
    bool found;
    return sql_get_int(db, err, &out->open, &found, "SELECT COUNT(*) FROM reading_item WHERE read_ns IS NULL", "") &&
           sql_get_int(db, err, &out->passed_over, &found,
                       "SELECT COUNT(*) FROM reading_item WHERE read_ns IS NULL AND passed_over<>''", "");
}

bool reading_row_arrived(struct database *db, const struct store_event *event, bool imported, bool *changed,
                         struct error *err)
{
    bool ok = sql_run(db, err,
                      "INSERT INTO reading_item(study, arrived_ns, arrived_event, urgency, reason, findings, imported)"
                      " VALUES(?1,?2,?3,0,'',0,?4) ON CONFLICT(study) DO UPDATE SET read_ns=NULL, read_by='',"
                      " arrived_ns=excluded.arrived_ns, arrived_event=excluded.arrived_event,"
                      " imported=CASE WHEN excluded.imported=0 THEN 0 ELSE reading_item.imported END"
                      " WHERE reading_item.read_ns IS NOT NULL OR (reading_item.imported=1 AND excluded.imported=0)",
                      "tiii", event->study, event->time_ns, (int64_t)event->number, (int64_t)imported);
    *changed = ok && sql_changes(db) > 0;
    return ok && note(db, event, READING_IMAGE, err);
}

bool reading_row_passed_over(struct database *db, const struct store_event *event, const char *said, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO reading_item(study, arrived_ns, arrived_event, urgency, reason, findings)"
                   " VALUES(?1,?2,?3,0,'',0) ON CONFLICT(study) DO NOTHING",
                   "tii", event->study, event->time_ns, (int64_t)event->number) &&
           sql_run(db, err, "UPDATE reading_item SET passed_over=?2 WHERE study=?1", "tt", event->study, said) &&
           reading_row_back(db, event, READING_DOUBT, err);
}

bool reading_row_found(struct database *db, const char *study, enum finding_urgency urgency, const char *reason,
                       int64_t findings, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE reading_item SET urgency=?2, findings=?4,"
                   " reason=CASE WHEN ?3='' AND findings=0 THEN reason ELSE ?3 END WHERE study=?1",
                   "titi", study, (int64_t)urgency, reason, findings);
}

bool reading_row_back(struct database *db, const struct store_event *event, enum reading_news news, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE reading_item SET read_ns=NULL, read_by='', arrived_ns=?2, arrived_event=?3"
                   " WHERE study=?1 AND read_ns IS NOT NULL",
                   "tii", event->study, event->time_ns, (int64_t)event->number) &&
           note(db, event, news, err);
}

bool reading_row_is_doubted(struct database *db, const char *study, bool *out, struct error *err)
{
    int64_t one;
    return sql_get_int(db, err, &one, out,
                       "SELECT 1 FROM study_shown WHERE study=?1 AND (conflicts<>'' OR held_back<>'')", "t", study);
}

bool reading_row_held_back(struct database *db, const struct store_event *event, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO reading_item(study, arrived_ns, arrived_event, urgency, reason, findings)"
                   " SELECT ?1, ?2, ?3, 0, '', 0 FROM study_shown WHERE study_shown.study=?1 AND held_back<>''"
                   " ON CONFLICT(study) DO NOTHING",
                   "tii", event->study, event->time_ns, (int64_t)event->number);
}

bool reading_row_news(struct database *db, const char *study, int64_t events[READING_NEWS_COUNT], char *reason,
                      size_t capacity, bool *found, struct error *err)
{
    struct sql *sql = sql_prepare(db,
                                  "SELECT image_event, result_event, doubt_event, reason FROM reading_item"
                                  " WHERE study=?1 AND read_ns IS NULL",
                                  err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, study);
    bool ok = sql_step(sql, found, err);
    for (int i = 0; ok && *found && i < READING_NEWS_COUNT; i++)
        events[i] = sql_int(sql, i);
    if (ok && *found)
        text_copy(reason, capacity, sql_text(sql, READING_NEWS_COUNT));
    sql_done(sql);
    return ok;
}

bool reading_row_read(struct database *db, const char *study, const char *by, int64_t now_ns, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE reading_item SET read_ns=?2, read_by=?3, passed_over='', reason=CASE WHEN findings=0 THEN "
                   "'' ELSE reason END"
                   " WHERE study=?1",
                   "tit", study, now_ns, by);
}

bool reading_row_mark(struct database *db, const char *study, struct reading_mark *out, bool *found, struct error *err)
{
    *out = (struct reading_mark){0};
    struct sql *sql = sql_prepare(
        db, "SELECT image_event, result_event, doubt_event, read_ns, read_by FROM reading_item WHERE study=?1", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, study);
    bool ok = sql_step(sql, found, err);
    for (int i = 0; ok && *found && i < READING_NEWS_COUNT; i++)
        out->version = sql_int(sql, i) > out->version ? sql_int(sql, i) : out->version;
    if (ok && *found) {
        out->read_ns = sql_int(sql, READING_NEWS_COUNT);
        text_copy(out->by, sizeof out->by, sql_text(sql, READING_NEWS_COUNT + 1));
    }
    sql_done(sql);
    return ok;
}

bool reading_row_unread(struct database *db, const char *study, const char *reason, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE reading_item SET read_ns=NULL, read_by='', reason=CASE WHEN findings=0 THEN ?2 ELSE reason "
                   "END WHERE study=?1",
                   "tt", study, reason);
}

bool reading_rows_after(struct database *db, int64_t time_ns, int64_t *count, struct error *err)
{
    bool found;
    return sql_get_int(db, err, count, &found,
                       "SELECT COUNT(*) FROM reading_item WHERE read_ns IS NULL AND arrived_ns>?1", "i", time_ns);
}

bool reading_rows_by(struct database *db, int64_t time_ns, struct error *err)
{
    return sql_run(db, err, "UPDATE reading_item SET arrived_ns=?1 WHERE read_ns IS NULL AND arrived_ns>?1", "i",
                   time_ns);
}
