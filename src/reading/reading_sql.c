// The table of the reading list: one row per study that has ever had an image here.
#include "reading/rows.h"

static const char *const steps[] = {
    "CREATE TABLE reading_item(study TEXT PRIMARY KEY, arrived_ns INTEGER NOT NULL, urgency INTEGER NOT NULL, reason "
    "TEXT NOT NULL,"
    " findings INTEGER NOT NULL, read_ns INTEGER, read_by TEXT NOT NULL DEFAULT '') STRICT;"
    "CREATE INDEX reading_item_open ON reading_item(arrived_ns) WHERE read_ns IS NULL;",
    NULL,
};
const struct store_migration reading_migration = {"reading", steps};

static bool read_item(struct sql *sql, struct arena *arena, struct reading_item *out)
{
    const char **texts[] = {&out->study,       &out->patient_id,    &out->patient_name, &out->accession, &out->modality,
                            &out->description, &out->identity,      &out->conflicts,    &out->held_back, &out->rejected,
                            &out->unreadable,  &out->shared_series, &out->reason};
    for (int i = 0; i < 13; i++)
        if (!(*texts[i] = arena_strdup(arena, sql_text(sql, i))))
            return false;
    out->urgency = (enum finding_urgency)sql_int(sql, 13);
    out->arrived_ns = sql_int(sql, 14);
    out->findings = (size_t)sql_int(sql, 15);
    return true;
}

bool reading_rows(struct database *db, struct arena *arena, struct reading_item *items, size_t *count,
                  struct error *err)
{
    bool row, ok;
    struct sql *sql = sql_prepare(db,
                                  "SELECT reading_item.study, patient_id, patient_name, accession, modalities, "
                                  "description, identity, conflicts, held_back, rejected, unreadable, shared_series, "
                                  "reason, urgency, arrived_ns, findings"
                                  " FROM reading_item JOIN study_shown ON study_shown.study=reading_item.study"
                                  " WHERE read_ns IS NULL"
                                  " ORDER BY urgency DESC, arrived_ns LIMIT ?1",
                                  err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, READING_LIST_MAX);
    while ((ok = sql_step(sql, &row, err)) && row) {
        ok = read_item(sql, arena, &items[(*count)++]) || error_set(err, ERROR_LIMIT, "no memory for the reading list");
        if (!ok)
            break;
    }
    sql_done(sql);
    return ok;
}

bool reading_row_arrived(struct database *db, const char *study, int64_t time_ns, bool *changed, struct error *err)
{
    bool ok = sql_run(db, err,
                      "INSERT INTO reading_item(study, arrived_ns, urgency, reason, findings) VALUES(?1,?2,0,'',0) ON "
                      "CONFLICT(study) DO UPDATE SET read_ns=NULL, read_by='', arrived_ns=excluded.arrived_ns"
                      " WHERE reading_item.read_ns<excluded.arrived_ns",
                      "ti", study, time_ns);
    *changed = ok && sql_changes(db) > 0;
    return ok;
}

bool reading_row_found(struct database *db, const char *study, enum finding_urgency urgency, const char *reason,
                       int64_t findings, struct error *err)
{
    return sql_run(db, err, "UPDATE reading_item SET urgency=?2, reason=?3, findings=?4 WHERE study=?1", "titi", study,
                   (int64_t)urgency, reason, findings);
}

bool reading_row_back(struct database *db, const char *study, int64_t time_ns, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE reading_item SET read_ns=NULL, read_by='', arrived_ns=?2 WHERE study=?1 AND read_ns<?2",
                   "ti", study, time_ns);
}

bool reading_row_doubted(struct database *db, const char *study, int64_t time_ns, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE reading_item SET read_ns=NULL, read_by='', arrived_ns=?2 WHERE study=?1 AND read_ns<?2"
                   " AND EXISTS(SELECT 1 FROM study_shown WHERE study_shown.study=?1"
                   " AND (conflicts<>'' OR held_back<>''))",
                   "ti", study, time_ns);
}

bool reading_row_held_back(struct database *db, const char *study, int64_t time_ns, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO reading_item(study, arrived_ns, urgency, reason, findings) SELECT ?1, ?2, 0, '', 0"
                   " FROM study_shown WHERE study_shown.study=?1 AND held_back<>'' ON CONFLICT(study) DO NOTHING",
                   "ti", study, time_ns);
}

bool reading_row_read(struct database *db, const char *study, const char *by, int64_t now_ns, bool *found,
                      struct error *err)
{
    bool ok = sql_run(db, err, "UPDATE reading_item SET read_ns=?2, read_by=?3 WHERE study=?1 AND read_ns IS NULL",
                      "tit", study, now_ns, by);
    *found = ok && sql_changes(db) > 0;
    return ok;
}
