#include "archive/rows.h"

#include <ctype.h>
#include <string.h>

static const char *const steps[] = {
    "CREATE TABLE study("
    " id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, patient_id TEXT NOT NULL, issuer TEXT NOT NULL,"
    " patient_name TEXT NOT NULL, name_key TEXT NOT NULL, birth_date TEXT NOT NULL, sex TEXT NOT NULL,"
    " date TEXT NOT NULL, time TEXT NOT NULL, accession TEXT NOT NULL, referring TEXT NOT NULL, study_id TEXT NOT NULL,"
    " description TEXT NOT NULL, modalities TEXT NOT NULL DEFAULT '',"
    " series_count INTEGER NOT NULL DEFAULT 0, instance_count INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX study_by_date ON study(date DESC, time DESC, id DESC);"
    "CREATE INDEX study_by_patient ON study(patient_id, issuer);"
    "CREATE INDEX study_by_name ON study(name_key);"
    "CREATE INDEX study_by_accession ON study(accession);"
    "CREATE TABLE series("
    " id INTEGER PRIMARY KEY, study INTEGER NOT NULL REFERENCES study(id), uid TEXT NOT NULL, modality TEXT NOT NULL,"
    " number TEXT NOT NULL, description TEXT NOT NULL, body_part TEXT NOT NULL, laterality TEXT NOT NULL,"
    " date TEXT NOT NULL, time TEXT NOT NULL, station TEXT NOT NULL, manufacturer TEXT NOT NULL, model TEXT NOT NULL,"
    " protocol TEXT NOT NULL, step_date TEXT NOT NULL, step_time TEXT NOT NULL,"
    " instance_count INTEGER NOT NULL DEFAULT 0, UNIQUE(study, uid)) STRICT;"
    "CREATE INDEX series_by_uid ON series(uid);"
    "CREATE TABLE instance("
    " id INTEGER PRIMARY KEY, series INTEGER NOT NULL REFERENCES series(id), uid TEXT NOT NULL, class TEXT NOT NULL,"
    " number TEXT NOT NULL, rows TEXT NOT NULL, columns TEXT NOT NULL, bits TEXT NOT NULL, frames TEXT NOT NULL,"
    " syntax TEXT NOT NULL, container INTEGER NOT NULL, offset INTEGER NOT NULL, size INTEGER NOT NULL,"
    " header_size INTEGER NOT NULL, arrival INTEGER NOT NULL, digest BLOB NOT NULL, received_ns INTEGER NOT NULL, "
    "flags INTEGER NOT NULL,"
    " rank INTEGER NOT NULL, UNIQUE(container, offset)) STRICT;"
    "CREATE INDEX instance_by_uid ON instance(uid, rank);"
    "CREATE INDEX instance_by_series ON instance(series, rank);"
    "CREATE INDEX instance_conflicts ON instance(id) WHERE rank>0;"
    "CREATE INDEX instance_flagged ON instance(id) WHERE flags>0;",
    // A row for each way that a name is written in (rows_name_keys).
    "CREATE TABLE study_name("
    " tag INTEGER NOT NULL, key TEXT NOT NULL, study INTEGER NOT NULL REFERENCES study(id),"
    " PRIMARY KEY(tag, key, study)) STRICT, WITHOUT ROWID;"
    "DROP INDEX study_by_name;"
    "ALTER TABLE study DROP COLUMN name_key;",
    NULL,
};

const struct store_migration rows_migration = {"archive", steps};

const struct rows_column rows_columns[] = {
    {ARCHIVE_STUDY, 0x00080020, "study.date", ROWS_DATE, true},
    {ARCHIVE_STUDY, 0x00080030, "study.time", ROWS_TIME, true},
    {ARCHIVE_STUDY, 0x00080050, "study.accession", ROWS_TEXT, true},
    {ARCHIVE_STUDY, 0x00080061, "study.modalities", ROWS_MODALITIES, false},
    {ARCHIVE_STUDY, 0x00080090, "study.referring", ROWS_NAME, true},
    {ARCHIVE_STUDY, 0x00081030, "study.description", ROWS_TEXT, true},
    {ARCHIVE_STUDY, 0x00100010, "study.patient_name", ROWS_NAME, true},
    {ARCHIVE_STUDY, 0x00100020, "study.patient_id", ROWS_TEXT, true},
    {ARCHIVE_STUDY, 0x00100021, "study.issuer", ROWS_TEXT, true},
    {ARCHIVE_STUDY, 0x00100030, "study.birth_date", ROWS_DATE, true},
    {ARCHIVE_STUDY, 0x00100040, "study.sex", ROWS_TEXT, true},
    {ARCHIVE_STUDY, 0x0020000D, "study.uid", ROWS_UID, true},
    {ARCHIVE_STUDY, 0x00200010, "study.study_id", ROWS_TEXT, true},
    {ARCHIVE_STUDY, 0x00201206, "study.series_count", ROWS_SHOWN, false},
    {ARCHIVE_STUDY, 0x00201208, "study.instance_count", ROWS_SHOWN, false},
    {ARCHIVE_SERIES, 0x00080021, "series.date", ROWS_DATE, true},
    {ARCHIVE_SERIES, 0x00080031, "series.time", ROWS_TIME, true},
    {ARCHIVE_SERIES, 0x00080060, "series.modality", ROWS_TEXT, true},
    {ARCHIVE_SERIES, 0x00080070, "series.manufacturer", ROWS_TEXT, true},
    {ARCHIVE_SERIES, 0x00081010, "series.station", ROWS_TEXT, true},
    {ARCHIVE_SERIES, 0x0008103E, "series.description", ROWS_TEXT, true},
    {ARCHIVE_SERIES, 0x00081090, "series.model", ROWS_TEXT, true},
    {ARCHIVE_SERIES, 0x00180015, "series.body_part", ROWS_TEXT, true},
    {ARCHIVE_SERIES, 0x00181030, "series.protocol", ROWS_TEXT, true},
    {ARCHIVE_SERIES, 0x0020000E, "series.uid", ROWS_UID, true},
    {ARCHIVE_SERIES, 0x00200011, "series.number", ROWS_NUMBER, true},
    {ARCHIVE_SERIES, 0x00200060, "series.laterality", ROWS_TEXT, true},
    {ARCHIVE_SERIES, 0x00201209, "series.instance_count", ROWS_SHOWN, false},
    {ARCHIVE_SERIES, 0x00400244, "series.step_date", ROWS_DATE, true},
    {ARCHIVE_SERIES, 0x00400245, "series.step_time", ROWS_TIME, true},
    {ARCHIVE_INSTANCE, 0x00080016, "instance.class", ROWS_UID, true},
    {ARCHIVE_INSTANCE, 0x00080018, "instance.uid", ROWS_UID, true},
    {ARCHIVE_INSTANCE, 0x00083002, "instance.syntax", ROWS_SHOWN, false},
    {ARCHIVE_INSTANCE, 0x00200013, "instance.number", ROWS_NUMBER, true},
    {ARCHIVE_INSTANCE, 0x00280008, "instance.frames", ROWS_NUMBER, true},
    {ARCHIVE_INSTANCE, 0x00280010, "instance.rows", ROWS_NUMBER, true},
    {ARCHIVE_INSTANCE, 0x00280011, "instance.columns", ROWS_NUMBER, true},
    {ARCHIVE_INSTANCE, 0x00280100, "instance.bits", ROWS_NUMBER, true},
};
const size_t rows_column_count = sizeof rows_columns / sizeof *rows_columns;
_Static_assert(sizeof rows_columns / sizeof *rows_columns <= ROWS_COLUMNS_MAX, "raise ROWS_COLUMNS_MAX");

static const char *value_of(const struct rows_object *object, dicom_tag tag)
{
    for (size_t i = 0; i < rows_column_count; i++)
        if (rows_columns[i].tag == tag)
            return object->values[i];
    return NULL;
}

static bool put_names(struct database *db, int64_t study, dicom_tag tag, const struct rows_name_keys *names,
                      struct error *err)
{
    for (size_t i = 0; i < names->count; i++)
        if (!sql_run(db, err, "INSERT OR IGNORE INTO study_name(tag, key, study) VALUES(?1, ?2, ?3)", "iti",
                     (int64_t)tag, names->keys[i], study))
            return false;
    return true;
}

static bool put_names_of_object(struct database *db, int64_t study, const struct rows_object *object, struct error *err)
{
    for (size_t i = 0; i < rows_column_count; i++)
        if (rows_columns[i].match == ROWS_NAME && !put_names(db, study, rows_columns[i].tag, &object->names[i], err))
            return false;
    return true;
}

// A store_write_fn.
static bool complete_names(struct database *db, void *payload, struct error *err)
{
    struct arena arena;
    struct rows_name_keys names;
    bool row, ok = true;
    (void)payload;
    arena_init(&arena, 1 << 20);
    struct sql *sql = sql_prepare(
        db, "SELECT id, 1048592, patient_name FROM study UNION ALL SELECT id, 524432, referring FROM study", err);
    while (sql && (ok = sql_step(sql, &row, err)) && row) {
        arena_reset(&arena);
        ok = (rows_name_keys(sql_text(sql, 2), &arena, &names) || error_set(err, ERROR_LIMIT, "a name is too long")) &&
             put_names(db, sql_int(sql, 0), (dicom_tag)sql_int(sql, 1), &names, err);
        if (!ok)
            break;
    }
    sql_done(sql);
    arena_free(&arena);
    return sql && ok;
}

bool rows_complete_names(struct store *store, struct error *err)
{
    int64_t missing = 0;
    bool found;
    struct database *db = store_read_begin(store, err);
    if (!db)
        return false;
    bool ok = sql_get_int(db, err, &missing, &found,
                          "SELECT NOT EXISTS(SELECT 1 FROM study_name) AND EXISTS(SELECT 1 FROM study)", "");
    store_read_end(store, db);
    return ok && (!missing || store_write(store, STORE_DURABLE, complete_names, NULL, err));
}

static bool find_study(struct database *db, const struct rows_object *object, int64_t *id, struct error *err)
{
    bool found;
    if (!sql_get_int(db, err, id, &found, "SELECT id FROM study WHERE uid=?1", "t", object->study))
        return false;
    if (found)
        return true;
    if (!sql_run(
            db, err,
            "INSERT INTO study(uid, date, time, accession, referring, description, patient_name, patient_id, issuer,"
            " birth_date, sex, study_id) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)",
            "tttttttttttt", object->study, value_of(object, 0x00080020), value_of(object, 0x00080030),
            value_of(object, 0x00080050), value_of(object, 0x00080090), value_of(object, 0x00081030),
            value_of(object, 0x00100010), value_of(object, 0x00100020), value_of(object, 0x00100021),
            value_of(object, 0x00100030), value_of(object, 0x00100040), value_of(object, 0x00200010)))
        return false;
    *id = sql_last_rowid(db);
    return put_names_of_object(db, *id, object, err);
}

static bool find_series(struct database *db, const struct rows_object *object, int64_t study, int64_t *id,
                        struct error *err)
{
    bool found;
    if (!sql_get_int(db, err, id, &found, "SELECT id FROM series WHERE study=?1 AND uid=?2", "it", study,
                     object->series))
        return false;
    if (found)
        return true;
    if (!sql_run(
            db, err,
            "INSERT INTO series(study, uid, date, time, modality, manufacturer, station, description, model, "
            "body_part, protocol,"
            " number, laterality, step_date, step_time) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
            "itttttttttttttt", study, object->series, value_of(object, 0x00080021), value_of(object, 0x00080031),
            value_of(object, 0x00080060), value_of(object, 0x00080070), value_of(object, 0x00081010),
            value_of(object, 0x0008103E), value_of(object, 0x00081090), value_of(object, 0x00180015),
            value_of(object, 0x00181030), value_of(object, 0x00200011), value_of(object, 0x00200060),
            value_of(object, 0x00400244), value_of(object, 0x00400245)))
        return false;
    *id = sql_last_rowid(db);
    return true;
}

// The versions under this UID so far; *same when one has these bytes in this transfer syntax.
static bool look_at_versions(struct database *db, const struct rows_object *object, int64_t *versions, bool *same,
                             struct error *err)
{
    struct sql *sql = sql_prepare(db, "SELECT digest, syntax FROM instance WHERE uid=?1", err);
    bool row;
    *versions = 0;
    *same = false;
    if (!sql)
        return false;
    sql_bind_text(sql, 1, object->sop_instance);
    bool ok;
    while ((ok = sql_step(sql, &row, err)) && row) {
        size_t size;
        const void *digest = sql_blob(sql, 0, &size);
        if (size == HASH_SIZE && memcmp(digest, object->record.digest, HASH_SIZE) == 0 &&
            strcmp(sql_text(sql, 1), object->transfer_syntax) == 0)
            *same = true;
        ++*versions;
    }
    sql_done(sql);
    return ok;
}

bool rows_same(struct database *db, const struct rows_object *object, bool *same, struct error *err)
{
    int64_t versions;
    return look_at_versions(db, object, &versions, same, err);
}

static bool add_instance(struct database *db, const struct rows_object *object, int64_t series, int64_t rank,
                         struct error *err)
{
    const struct store_record *record = &object->record;
    return sql_run(
        db, err,
        "INSERT INTO instance(series, uid, class, number, rows, columns, bits, frames, syntax, container, offset, size,"
        " header_size, arrival, digest, received_ns, flags, rank) "
        "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
        "ittttttttiiiiibiii", series, object->sop_instance, object->sop_class, value_of(object, 0x00200013),
        value_of(object, 0x00280010), value_of(object, 0x00280011), value_of(object, 0x00280100),
        value_of(object, 0x00280008), object->transfer_syntax, (int64_t)record->place.container,
        (int64_t)record->place.offset, (int64_t)record->size, (int64_t)object->header_size, (int64_t)record->arrival,
        (const void *)record->digest, (size_t)HASH_SIZE, object->received_ns, (int64_t)object->flags, rank);
}

// A series counts once it has an object that is served.
static bool count_series(struct database *db, int64_t study, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE study SET series_count=series_count+1, modalities=coalesce("
                   "(SELECT group_concat(modality, '\\') FROM (SELECT DISTINCT modality FROM series"
                   " WHERE study=?1 AND instance_count>0 AND modality<>'' ORDER BY modality)), '') WHERE id=?1",
                   "i", study);
}

static bool count_instance(struct database *db, int64_t study, int64_t series, struct error *err)
{
    int64_t count;
    bool found;
    return sql_run(db, err, "UPDATE study SET instance_count=instance_count+1 WHERE id=?1", "i", study) &&
           sql_run(db, err, "UPDATE series SET instance_count=instance_count+1 WHERE id=?1", "i", series) &&
           sql_get_int(db, err, &count, &found, "SELECT instance_count FROM series WHERE id=?1", "i", series) &&
           (count > 1 || count_series(db, study, err));
}

bool rows_put(struct database *db, void *payload, struct error *err)
{
    struct rows_object *object = payload;
    int64_t study, series, versions;
    bool same;
    if (!look_at_versions(db, object, &versions, &same, err))
        return false;
    if (same) {
        object->outcome = ARCHIVE_SAME;
        return true;
    }
    object->outcome = versions > 0 ? ARCHIVE_KEPT_BESIDE : ARCHIVE_STORED;
    object->flags =
        versions > 0 ? object->flags | ARCHIVE_FLAG_CONFLICT : object->flags & ~(unsigned)ARCHIVE_FLAG_CONFLICT;
    if (!find_study(db, object, &study, err) || !find_series(db, object, study, &series, err) ||
        !add_instance(db, object, series, versions, err))
        return false;
    if (versions == 0 && !count_instance(db, study, series, err))
        return false;
    return store_event_add(db, STORE_EVENT_OBJECT_STORED, object->study, object->sop_instance, &object->event, err);
}
