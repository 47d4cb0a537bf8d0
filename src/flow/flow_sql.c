// The tables of the flow room but those of configuration (named_row_sql.c), and all statements on them.
//
//   flow_series   one row per series that came: when its last object came, from whom, when it is taken as whole
//   flow_seen     packages whose standard rule was entered once
//   flow_hold     negatives that wait until their study is quiet
#include "flow/internal.h"

#include <string.h>

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
    "CREATE TABLE flow_hold(result TEXT PRIMARY KEY, study TEXT NOT NULL, not_before_ns INTEGER NOT NULL) STRICT;",
    NULL,
};
const struct store_migration flow_migration = {.room = "flow", .steps = steps};

// ---- series

bool flow_series_get(struct database *db, const char *study, const char *series, struct arena *arena,
                     struct flow_series *out, struct error *err)
{
    bool row = false;
    *out = (struct flow_series){.sender = ""};
    struct sql *sql = sql_prepare(db,
                                  "SELECT sender, last_ns, gap_ns, open, due_ns IS NOT NULL, version FROM flow_series "
                                  "WHERE study=?1 AND series=?2",
                                  err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, study);
    sql_bind_text(sql, 2, series);
    bool ok = sql_step(sql, &row, err);
    if (ok && row)
        *out = (struct flow_series){arena_strdup(arena, sql_text(sql, 0)),
                                    sql_int(sql, 1),
                                    sql_int(sql, 2),
                                    sql_int(sql, 3) != 0,
                                    sql_int(sql, 4) != 0,
                                    sql_int(sql, 5)};
    sql_done(sql);
    return ok && (out->sender || error_set(err, ERROR_LIMIT, "no memory for a series"));
}

bool flow_series_touch(struct database *db, const struct flow_touch *touch, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO flow_series(study, series, sender, last_ns, gap_ns, open, objects, version, "
                   "due_ns, association) VALUES(?1,?2,?3,?4,?5,?6,1,0,?7,?8)"
                   " ON CONFLICT(study, series) DO UPDATE SET sender=excluded.sender, "
                   "last_ns=excluded.last_ns, gap_ns=excluded.gap_ns, open=excluded.open,"
                   " objects=flow_series.objects+1, due_ns=excluded.due_ns, association=excluded.association",
                   "tttiiiit", touch->study, touch->series, touch->sender, touch->last_ns, touch->gap_ns,
                   (int64_t)touch->open, touch->due_ns, touch->association);
}

bool flow_association_ended(struct database *db, const char *association, int64_t quiet_ns, struct error *err)
{
    return sql_run(
        db, err,
        "UPDATE flow_series SET open=0, due_ns=last_ns+?2 WHERE association=?1 AND open=1 AND due_ns IS NOT NULL", "ti",
        association, quiet_ns);
}

bool flow_series_next_due(struct database *db, int64_t now_ns, char study[DICOM_UID_SIZE], char series[DICOM_UID_SIZE],
                          int64_t *version, bool *found, struct error *err)
{
    struct sql *sql =
        sql_prepare(db, "SELECT study, series, version FROM flow_series WHERE due_ns<=?1 ORDER BY due_ns LIMIT 1", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, now_ns);
    bool ok = sql_step(sql, found, err);
    if (ok && *found) {
        snprintf(study, DICOM_UID_SIZE, "%s", sql_text(sql, 0));
        snprintf(series, DICOM_UID_SIZE, "%s", sql_text(sql, 1));
        *version = sql_int(sql, 2);
    }
    sql_done(sql);
    return ok;
}

bool flow_series_next(struct database *db, const char *study, char series[DICOM_UID_SIZE], bool *arrives, bool *found,
                      struct error *err)
{
    struct sql *sql = sql_prepare(
        db, "SELECT series, due_ns IS NOT NULL FROM flow_series WHERE study=?1 AND series>?2 ORDER BY series LIMIT 1",
        err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, study);
    sql_bind_text(sql, 2, series);
    bool ok = sql_step(sql, found, err);
    if (ok && *found) {
        snprintf(series, DICOM_UID_SIZE, "%s", sql_text(sql, 0));
        *arrives = sql_int(sql, 1) != 0;
    }
    sql_done(sql);
    return ok;
}

bool flow_series_complete(struct database *db, const char *study, const char *series, int64_t version,
                          struct error *err)
{
    return sql_run(db, err, "UPDATE flow_series SET version=?3, due_ns=NULL WHERE study=?1 AND series=?2", "tti", study,
                   series, version);
}

bool flow_series_version(struct database *db, const char *study, const char *series, int64_t *out, struct error *err)
{
    bool found;
    *out = 0;
    return sql_get_int(db, err, out, &found, "SELECT version FROM flow_series WHERE study=?1 AND series=?2", "tt",
                       study, series);
}

bool flow_study_arrives(struct database *db, const char *study, bool *out, struct error *err)
{
    bool found;
    int64_t arrives = 1;
    bool ok = sql_get_int(db, err, &arrives, &found,
                          "SELECT count(*)=0 OR count(due_ns)>0 FROM flow_series WHERE study=?1", "t", study);
    *out = arrives != 0;
    return ok;
}

// ---- the rules that packages bring

bool flow_seen_get(struct database *db, const char *package, bool *seen, struct error *err)
{
    int64_t one;
    return sql_get_int(db, err, &one, seen, "SELECT 1 FROM flow_seen WHERE name=?1", "t", package);
}

bool flow_seen_set(struct database *db, const char *package, struct error *err)
{
    return sql_run(db, err, "INSERT INTO flow_seen(name) VALUES(?1) ON CONFLICT DO NOTHING", "t", package);
}

// ---- negatives that wait

bool flow_hold_add(struct database *db, const char *result, const char *study, int64_t not_before_ns, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO flow_hold(result, study, not_before_ns) VALUES(?1,?2,?3) ON CONFLICT DO NOTHING", "tti",
                   result, study, not_before_ns);
}

bool flow_hold_next(struct database *db, int64_t now_ns, int64_t quiet_ns, char study[DICOM_UID_SIZE],
                    char result[FINDING_ID_SIZE], bool *found, struct error *err)
{
    struct sql *sql = sql_prepare(db,
                                  "SELECT result, study FROM flow_hold WHERE not_before_ns<=?1 AND NOT EXISTS"
                                  " (SELECT 1 FROM flow_series AS s WHERE s.study=flow_hold.study AND"
                                  "  (s.due_ns IS NOT NULL OR s.last_ns>?1-?2)) ORDER BY not_before_ns, result LIMIT 1",
                                  err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, now_ns);
    sql_bind_int(sql, 2, quiet_ns);
    bool ok = sql_step(sql, found, err);
    if (ok && *found)
        snprintf(result, FINDING_ID_SIZE, "%s", sql_text(sql, 0));
    if (ok && *found)
        snprintf(study, DICOM_UID_SIZE, "%s", sql_text(sql, 1));
    sql_done(sql);
    return ok;
}

// ---- a clock that was set back

bool flow_waits_end(struct database *db, int64_t now_ns, struct error *err)
{
    return sql_run(db, err, "UPDATE flow_series SET due_ns=?1 WHERE due_ns>?2", "ii", now_ns,
                   now_ns + FLOW_QUIET_MAX_NS) &&
           sql_run(db, err, "UPDATE flow_series SET last_ns=?1 WHERE last_ns>?1", "i", now_ns) &&
           sql_run(db, err, "UPDATE flow_hold SET not_before_ns=?1 WHERE not_before_ns>?2", "ii", now_ns,
                   now_ns + FLOW_ANNOUNCED_NS) &&
           queue_waits_end(db, now_ns, err);
}

bool flow_hold_remove(struct database *db, const char *result, struct error *err)
{
    return sql_run(db, err, "DELETE FROM flow_hold WHERE result=?1", "t", result);
}
