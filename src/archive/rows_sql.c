// Rows for an object: its study, patient, series and itself, and what contradicts them.
#include "archive/rows.h"

#include <stdio.h>
#include <string.h>

static bool find_study(struct database *db, const struct rows_object *object, int64_t *id, struct error *err)
{
    bool found;
    if (!sql_get_int(db, err, id, &found, "SELECT id FROM study WHERE uid=?1", "t", object->study))
        return false;
    if (found)
        return true;
    if (!sql_run(db, err, "INSERT INTO study(identity, uid) VALUES('', ?1)", "t", object->study))
        return false;
    *id = sql_last_rowid(db);
    return true;
}

static bool add_series(struct database *db, const struct rows_object *object, int64_t patient, int64_t *id,
                       struct error *err)
{
    const char *const *v = &object->values[COLUMNS_SERIES_date];
    if (!sql_run(db, err,
                 "INSERT INTO series(patient" COLUMNS_OF_SERIES(COLUMNS_LISTED) ") VALUES(?" COLUMNS_OF_SERIES(
                     COLUMNS_MARKED) ")",
                 "ittttttttttttttt", patient, v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11],
                 v[12], v[13], v[14]))
        return false;
    *id = sql_last_rowid(db);
    return true;
}

// Those of the other study came before anybody knew.
static bool flag_shared_series(struct database *db, const struct rows_object *object, struct error *err)
{
    return sql_run(db, err, "UPDATE instance SET flags=flags | ?2 WHERE series IN (SELECT id FROM series WHERE uid=?1)",
                   "ti", object->series, (int64_t)ARCHIVE_FLAG_SERIES);
}

static bool find_shared_series(struct database *db, int64_t study, struct rows_object *object, struct error *err)
{
    int64_t one;
    bool shared;
    bool ok = sql_get_int(db, err, &one, &shared,
                          "SELECT 1 FROM series JOIN study_patient ON study_patient.id=series.patient"
                          " WHERE series.uid=?1 AND study_patient.study<>?2 LIMIT 1",
                          "ti", object->series, study);
    if (ok && shared)
        object->flags |= ARCHIVE_FLAG_SERIES;
    return ok;
}

// A list shows a study anew when it hears of it. Where more than one other study has the UID, they say so already.
static bool tell_of_shared_series(struct database *db, const struct rows_object *object, struct error *err)
{
    int64_t others = 0;
    char first[DICOM_UID_SIZE];
    bool row = false;
    struct sql *sql = sql_prepare(db,
                                  "SELECT DISTINCT study.uid FROM series JOIN study_patient"
                                  " ON study_patient.id=series.patient JOIN study ON study.id=study_patient.study"
                                  " WHERE series.uid=?1 AND study.uid<>?2 LIMIT 2",
                                  err);
    bool ok = sql != NULL;
    if (ok) {
        sql_bind_text(sql, 1, object->series);
        sql_bind_text(sql, 2, object->study);
    }
    while (ok && (ok = sql_step(sql, &row, err)) && row)
        if (others++ == 0)
            snprintf(first, sizeof first, "%s", sql_text(sql, 0));
    sql_done(sql);
    return ok && (others == 0 || store_event_add(db, STORE_EVENT_WORKLIST_CHANGED, object->study, "", NULL, err)) &&
           (others != 1 || (flag_shared_series(db, object, err) &&
                            store_event_add(db, STORE_EVENT_WORKLIST_CHANGED, first, "", NULL, err)));
}

static bool find_series(struct database *db, struct rows_object *object, int64_t patient, int64_t *id,
                        struct error *err)
{
    uint64_t filled;
    struct sql *sql =
        sql_prepare(db, "SELECT id" COLUMNS_OF_SERIES(COLUMNS_LISTED) " FROM series WHERE patient=?1 AND uid=?2", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, patient);
    sql_bind_text(sql, 2, object->series);
    return rows_find(db, sql, COLUMNS_SERIES, object, id, &filled, err) &&
           (*id || (add_series(db, object, patient, id, err) && tell_of_shared_series(db, object, err)));
}

bool rows_versions(struct database *db, const struct rows_object *object, size_t *count, struct rows_version *same,
                   struct error *err)
{
    struct sql *sql =
        sql_prepare(db, "SELECT digest, syntax, id, container, offset, rank FROM instance WHERE uid=?1", err);
    bool row;
    *count = 0;
    *same = (struct rows_version){0};
    if (!sql)
        return false;
    sql_bind_text(sql, 1, object->sop_instance);
    bool ok;
    while ((ok = sql_step(sql, &row, err)) && row) {
        size_t size;
        const void *digest = sql_blob(sql, 0, &size);
        if (size == HASH_SIZE && memcmp(digest, object->record.digest, HASH_SIZE) == 0 &&
            strcmp(sql_text(sql, 1), object->transfer_syntax) == 0)
            *same = (struct rows_version){
                sql_int(sql, 2), {(uint64_t)sql_int(sql, 3), (uint64_t)sql_int(sql, 4)}, sql_int(sql, 5) == 0};
        ++*count;
    }
    sql_done(sql);
    return ok;
}

static bool add_instance(struct database *db, const struct rows_object *object, int64_t series, int64_t identity,
                         int64_t rank, int64_t *id, struct error *err)
{
    const struct store_record *record = &object->record;
    const char *const *v = &object->values[COLUMNS_INSTANCE_class];
    if (!sql_run(db, err,
                 "INSERT INTO instance(series" COLUMNS_OF_INSTANCE(
                     COLUMNS_LISTED) ", syntax, container, offset, size, header_size, arrival, digest, received_ns,"
                                     " flags, rank, charset, identity) VALUES(?" COLUMNS_OF_INSTANCE(
                                         COLUMNS_MARKED) ", ?, ?, ?, ?, ?, ?,"
                                                         " ?, ?, ?, ?, ?, nullif(?, 0))",
                 "ittttttttiiiiibiiiti", series, v[0], v[1], v[2], v[3], v[4], v[5], v[6], object->transfer_syntax,
                 (int64_t)record->place.container, (int64_t)record->place.offset, (int64_t)record->size,
                 (int64_t)object->header_size, (int64_t)record->arrival, (const void *)record->digest,
                 (size_t)HASH_SIZE, object->received_ns, (int64_t)object->flags, rank, object->charset, identity))
        return false;
    *id = sql_last_rowid(db);
    return true;
}

static bool add_differences(struct database *db, const struct rows_object *object, int64_t instance, struct error *err)
{
    for (size_t i = 0; i < object->difference_count; i++) {
        const struct rows_difference *difference = &object->differences[i];
        if (!sql_run(db, err, "INSERT INTO difference(instance, tag, said, known) VALUES(?1, ?2, ?3, ?4)", "iitt",
                     instance, (int64_t)columns[difference->column].tag, object->values[difference->column],
                     difference->known))
            return false;
    }
    return true;
}

// A series counts while it has an object that is served.
static bool count_series(struct database *db, int64_t patient, int64_t by, struct error *err)
{
    return sql_run(
        db, err,
        "UPDATE study_patient SET series_count=series_count+?2, modalities=coalesce("
        "(SELECT group_concat(modality, '\\') FROM (SELECT DISTINCT modality FROM series"
        " WHERE patient=?1 AND instance_count>0 AND modality<>'' ORDER BY modality) AS each_one), '') WHERE id=?1",
        "ii", patient, by);
}

bool rows_count(struct database *db, int64_t patient, int64_t series, int64_t by, struct error *err)
{
    int64_t count;
    bool found;
    return sql_run(db, err, "UPDATE study_patient SET instance_count=instance_count+?2 WHERE id=?1", "ii", patient,
                   by) &&
           sql_run(db, err, "UPDATE series SET instance_count=instance_count+?2 WHERE id=?1", "ii", series, by) &&
           sql_get_int(db, err, &count, &found, "SELECT instance_count FROM series WHERE id=?1", "i", series) &&
           (count != (by > 0 ? 1 : 0) || count_series(db, patient, by, err));
}

// *instance: its row.
// A note that came under a known UID with something else in it says nothing until somebody decides.
static bool note_rejection(struct database *db, const struct rows_object *object, int64_t study, struct error *err)
{
    return !object->rejection || object->beside > 0 ||
           sql_run(db, err,
                   "UPDATE study SET rejected=CASE WHEN rejected='' THEN ?2 ELSE rejected || '; ' || ?2 END"
                   " WHERE id=?1 AND instr(rejected, ?2)=0",
                   "it", study, object->rejection);
}

static bool put_rows(struct database *db, struct rows_object *object, int64_t *instance, struct error *err)
{
    struct rows_patient patient;
    int64_t study, series;
    if (!find_study(db, object, &study, err) || !rows_find_patient(db, study, object, &patient, err) ||
        !find_series(db, object, patient.row, &series, err) || !find_shared_series(db, study, object, err) ||
        !add_instance(db, object, series, patient.identity, (int64_t)object->beside, instance, err) ||
        !add_differences(db, object, *instance, err) || !note_rejection(db, object, study, err))
        return false;
    return object->beside > 0 || (rows_count(db, patient.row, series, 1, err) &&
                                  rows_identity_served(db, study, &patient, object->arena, err));
}

// The same bytes again, and those that were stored are lost.
static bool mend(struct database *db, struct rows_object *object, struct error *err)
{
    const struct store_record *record = &object->record;
    object->is_mended = true;
    return sql_run(db, err, "UPDATE instance SET container=?2, offset=?3, arrival=?4 WHERE id=?1", "iiii",
                   object->same.id, (int64_t)record->place.container, (int64_t)record->place.offset,
                   (int64_t)record->arrival);
}

static bool is_lost_still(const struct rows_object *object, const struct rows_version *now)
{
    return object->is_lost && now->id == object->same.id && now->place.container == object->same.place.container &&
           now->place.offset == object->same.place.offset;
}

// Notes what was found since the object was settled; *go_on: nothing, so that its rows can be made.
static bool look_again(struct database *db, struct rows_object *object, bool *go_on, struct error *err)
{
    size_t beside;
    struct rows_version same;
    object->is_mended = false;
    object->difference_count = 0;
    object->flags &=
        ~(unsigned)(ARCHIVE_FLAG_CONFLICT | ARCHIVE_FLAG_IDENTITY | ARCHIVE_FLAG_LEVEL | ARCHIVE_FLAG_SERIES);
    if (!rows_versions(db, object, &beside, &same, err))
        return false;
    if (same.id) {
        object->outcome = ARCHIVE_SAME;
        object->is_set_aside = !same.is_served;
    }
    object->is_stale = !same.id && beside != object->beside;
    *go_on = !same.id && !object->is_stale;
    return !is_lost_still(object, &same) || mend(db, object, err);
}

static bool put_labels(struct database *db, const struct rows_object *object, struct error *err)
{
    bool changed;
    return !*object->labels || access_study_label(db, object->study, object->labels, &changed, err);
}

bool rows_put(struct database *db, void *payload, struct error *err)
{
    static const enum store_event_kind events[] = {[ARCHIVE_STORED] = STORE_EVENT_OBJECT_STORED,
                                                   [ARCHIVE_KEPT_BESIDE] = STORE_EVENT_OBJECT_KEPT_BESIDE,
                                                   [ARCHIVE_REPLACED] = STORE_EVENT_OBJECT_SERVED};
    struct rows_object *object = payload;
    int64_t instance;
    bool go_on, taken = false;
    if (!look_again(db, object, &go_on, err))
        return false;
    if (!go_on) // that it is there already takes nothing from what its study gets
        return object->is_stale || put_labels(db, object, err);
    if (object->beside > 0)
        object->flags |= ARCHIVE_FLAG_CONFLICT;
    if (!put_rows(db, object, &instance, err) || !put_labels(db, object, err) ||
        (object->beside > 0 && !rows_add_conflict(db, object, instance, &taken, err)))
        return false;
    object->outcome = object->beside == 0 ? ARCHIVE_STORED : taken ? ARCHIVE_REPLACED : ARCHIVE_KEPT_BESIDE;
    struct store_event_detail detail = object->event;
    if (object->is_rebuilt && !object->is_own)
        detail.how = "rebuild"; // nobody has sent it now
    return store_event_add(db, events[object->outcome], object->study, object->sop_instance, &detail, err);
}
