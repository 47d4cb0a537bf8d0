// Whose objects a study has: a row for each patient that they name, and each way in which they name them.
#include "archive/rows.h"

#include <string.h>

#include "base/buffer.h"

enum { SHOWN_PATIENTS = 4, SHOWN_VALUES = 4, IDENTITY_TEXT_MAX = 256 << 10 };

#define OF_ROW(column, tag, match, owner) ", study_patient." #column
#define OF_IDENTITY(column, tag, match, owner) ", identity." #column

// ---- names

static bool put_names(struct database *db, int64_t patient, dicom_tag tag, const struct columns_name_keys *names,
                      struct error *err)
{
    for (size_t i = 0; i < names->count; i++)
        if (!sql_run(db, err, "INSERT INTO study_name(tag, key, patient) VALUES(?1, ?2, ?3) ON CONFLICT DO NOTHING",
                     "iti", (int64_t)tag, names->keys[i], patient))
            return false;
    return true;
}

static bool put_names_of_object(struct database *db, int64_t patient, const struct rows_object *object,
                                struct error *err)
{
    for (size_t i = 0; i < COLUMNS_FROM_OBJECT; i++)
        if (columns[i].match == COLUMNS_NAME && !put_names(db, patient, columns[i].tag, &object->names[i], err))
            return false;
    return true;
}

// A store_write_fn.
static bool complete_names(struct database *db, void *payload, struct error *err)
{
    struct arena arena;
    struct columns_name_keys names;
    bool row, ok = true;
    (void)payload;
    arena_init(&arena, 1 << 20);
    struct sql *sql = sql_prepare(db,
                                  "SELECT id, 1048592, patient_name FROM study_patient UNION ALL SELECT"
                                  " id, 524432, referring FROM study_patient",
                                  err);
    while (sql && (ok = sql_step(sql, &row, err)) && row) {
        arena_reset(&arena);
        ok = (columns_name_keys(sql_text(sql, 2), &arena, &names) ||
              error_set(err, ERROR_LIMIT, "a name is too long")) &&
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

// ---- which patient

// A patient's row and one way in which its objects name it; texts by their place in `columns`.
struct known {
    int64_t row, rank, identity;
    bool served;
    const char *values[COLUMNS_FROM_OBJECT], *said[COLUMNS_FROM_OBJECT];
};

enum { FIRST = COLUMNS_PATIENT_patient_name, END = COLUMNS_SERIES_date };

static bool keep_texts(const char *texts[COLUMNS_FROM_OBJECT], struct arena *arena)
{
    for (size_t i = FIRST; i < END; i++)
        if (!(texts[i] = arena_strdup(arena, texts[i] ? texts[i] : "")))
            return false;
    return true;
}

// The next place of an array that doubles inside the arena; NULL when that is full.
static struct known *next_place(struct known **list, size_t count, size_t *capacity, struct arena *arena)
{
    if (count == *capacity) {
        size_t larger = *capacity ? 2 * *capacity : 2;
        struct known *grown = arena_calloc(arena, larger, sizeof *grown);
        if (!grown)
            return NULL;
        if (count > 0)
            memcpy(grown, *list, count * sizeof *grown);
        *list = grown;
        *capacity = larger;
    }
    return *list + count;
}

static bool read_one(struct sql *sql, struct known *out, struct arena *arena)
{
    out->row = sql_int(sql, 0);
    out->rank = sql_int(sql, 1);
    out->identity = sql_int(sql, 2);
    out->served = sql_int(sql, 3) != 0;
    rows_read(sql, 4, COLUMNS_PATIENT, out->values);
    rows_read(sql, 4 + END - FIRST, COLUMNS_PATIENT, out->said);
    return keep_texts(out->values, arena) && keep_texts(out->said, arena);
}

static bool read_known(struct database *db, int64_t study, struct arena *arena, struct known **out, size_t *count,
                       struct error *err)
{
    size_t capacity = 0;
    bool row, ok;
    struct sql *sql = sql_prepare(db,
                                  "SELECT study_patient.id, rank, identity.id, served" COLUMNS_OF_PATIENT(OF_ROW)
                                      COLUMNS_OF_PATIENT(OF_IDENTITY) " FROM study_patient LEFT JOIN identity"
                                                                      " ON identity.patient=study_patient.id"
                                                                      " WHERE study=?1 ORDER BY rank, identity.id",
                                  err);
    *count = 0;
    *out = NULL;
    if (!sql)
        return false;
    sql_bind_int(sql, 1, study);
    while ((ok = sql_step(sql, &row, err)) && row) {
        struct known *known = next_place(out, *count, &capacity, arena);
        ok = (known && read_one(sql, known, arena)) || error_set(err, ERROR_LIMIT, "no memory for a study's patients");
        if (!ok)
            break;
        ++*count;
    }
    sql_done(sql);
    return ok;
}

static bool differs(const struct rows_object *object, const struct known *known, enum columns_index column)
{
    return columns_differ(&columns[column], object->values[column], known->values[column]);
}

static bool equals(const struct rows_object *object, const char *const values[COLUMNS_FROM_OBJECT], size_t column)
{
    return strcmp(object->values[column], values[column]) == 0;
}

static bool is_possible(const struct rows_object *object, const struct known *known)
{
    if (differs(object, known, COLUMNS_PATIENT_patient_id) || differs(object, known, COLUMNS_PATIENT_issuer))
        return false;
    return (*known->values[COLUMNS_PATIENT_patient_id] && *object->values[COLUMNS_PATIENT_patient_id]) ||
           (!differs(object, known, COLUMNS_PATIENT_patient_name) &&
            !differs(object, known, COLUMNS_PATIENT_birth_date));
}

static bool is_exact(const struct rows_object *object, const struct known *known)
{
    return equals(object, known->values, COLUMNS_PATIENT_patient_id) &&
           equals(object, known->values, COLUMNS_PATIENT_issuer);
}

static bool is_said(const struct rows_object *object, const struct known *known)
{
    bool same = known->identity != 0;
    for (size_t i = FIRST; same && i < END; i++)
        same = equals(object, known->said, i);
    return same;
}

// Word for word; else by issuer and ID; else the only one that it can be. What is no witness goes to the first.
static const struct known *choose(const struct rows_object *object, const struct known *known, size_t count)
{
    const struct known *possible = NULL, *exact = NULL;
    bool several = false;
    for (size_t i = 0; i < count; i++) {
        if (is_said(object, &known[i]))
            return &known[i];
        if (!is_possible(object, &known[i]))
            continue;
        if (!exact && is_exact(object, &known[i]))
            exact = &known[i];
        several = several || (possible && possible->row != known[i].row);
        possible = possible ? possible : &known[i];
    }
    return exact ? exact : several && !object->is_own ? NULL : possible;
}

static bool add_patient(struct database *db, int64_t study, int64_t rank, const struct rows_object *object,
                        int64_t *row, struct error *err)
{
    const char *const *v = object->values, *const *part = &v[COLUMNS_PART_date];
    if (!sql_run(db, err,
                 "INSERT INTO study_patient(study, rank" COLUMNS_OF_PART(COLUMNS_LISTED)
                     COLUMNS_OF_PATIENT(COLUMNS_LISTED) ") VALUES(?, ?" COLUMNS_OF_PART(COLUMNS_MARKED)
                         COLUMNS_OF_PATIENT(COLUMNS_MARKED) ")",
                 "iitttttttttttt", study, rank, part[0], part[1], part[2], part[3], part[4], part[5], part[6], v[FIRST],
                 v[FIRST + 1], v[FIRST + 2], v[FIRST + 3], v[FIRST + 4]))
        return false;
    *row = sql_last_rowid(db);
    return true;
}

static bool add_identity(struct database *db, const struct rows_object *object, struct rows_patient *patient,
                         struct error *err)
{
    const char *const *v = object->values;
    if (!sql_run(db, err,
                 "INSERT INTO identity(patient" COLUMNS_OF_PATIENT(COLUMNS_LISTED) ") VALUES(?" COLUMNS_OF_PATIENT(
                     COLUMNS_MARKED) ")",
                 "ittttt", patient->row, v[FIRST], v[FIRST + 1], v[FIRST + 2], v[FIRST + 3], v[FIRST + 4]))
        return false;
    patient->identity = sql_last_rowid(db);
    return true;
}

static bool find_patient(struct database *db, int64_t study, struct rows_object *object, struct rows_patient *out,
                         struct error *err)
{
    struct known *known;
    size_t count;
    *out = (struct rows_patient){0};
    if (!read_known(db, study, object->arena, &known, &count, err) ||
        (count > 0 && !rows_compare(object, COLUMNS_PATIENT, known[0].values, err)))
        return false;
    const struct known *one = choose(object, known, count);
    if (one && (object->is_own || is_said(object, one))) {
        *out = (struct rows_patient){one->row, object->is_own ? 0 : one->identity, one->served};
        return true;
    }
    if (count >= ROWS_IDENTITIES_MAX && !object->is_own) // no LIMIT: that is sent again for ever
        return error_set(err, ERROR_MISMATCH,
                         "the study's objects name their patient in %zu ways: no more are taken; send this one's "
                         "under a Study Instance UID of their own",
                         count);
    if (one ? !rows_fill(db, one->row, object, rows_lacks(object, COLUMNS_PATIENT, one->values), err)
            : !add_patient(db, study, count > 0 ? known[count - 1].rank + 1 : 0, object, &out->row, err))
        return false;
    if (one)
        out->row = one->row;
    return (object->is_own || add_identity(db, object, out, err)) && put_names_of_object(db, out->row, object, err);
}

// What the patient's objects say of the study.
static bool find_part(struct database *db, int64_t patient, struct rows_object *object, struct error *err)
{
    int64_t id;
    uint64_t filled;
    struct sql *sql =
        sql_prepare(db, "SELECT id" COLUMNS_OF_PART(COLUMNS_LISTED) " FROM study_patient WHERE id=?1", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, patient);
    return rows_find(db, sql, COLUMNS_PART, object, &id, &filled, err) &&
           (!(filled >> COLUMNS_PART_referring & 1) || put_names_of_object(db, patient, object, err));
}

bool rows_find_patient(struct database *db, int64_t study, struct rows_object *object, struct rows_patient *out,
                       struct error *err)
{
    return find_patient(db, study, object, out, err) && find_part(db, out->row, object, err);
}

// ---- in words: whose objects a study has, when that is in doubt

// A name without its delimiters, in its first way of writing.
static void put_value(struct buffer *out, const char *value)
{
    for (; *value && *value != '='; value++)
        buffer_byte(out, *value == '^' ? ' ' : (uint8_t)*value);
}

static void put_patient(struct buffer *out, const struct known *known)
{
    const char *id = known->said[COLUMNS_PATIENT_patient_id], *issuer = known->said[COLUMNS_PATIENT_issuer];
    put_value(out, *id ? id : "one without ID");
    if (*issuer)
        buffer_printf(out, " (%s)", issuer);
    buffer_byte(out, ' ');
    put_value(out, known->said[COLUMNS_PATIENT_patient_name]);
}

// Is this one the first of its row?
static bool is_first_of_row(const struct known *known, size_t i)
{
    return i == 0 || known[i].row != known[i - 1].row;
}

static void put_patients(struct buffer *out, const struct known *known, size_t count)
{
    size_t patients = 0, shown = 0;
    for (size_t i = 0; i < count; i++)
        patients += is_first_of_row(known, i);
    if (patients < 2)
        return;
    buffer_printf(out, "objects of %zu patients: ", patients);
    for (size_t i = 0; i < count && shown < SHOWN_PATIENTS; i++)
        if (is_first_of_row(known, i)) {
            buffer_text(out, shown++ > 0 ? ", " : "");
            put_patient(out, &known[i]);
        }
    buffer_text(out, patients > shown ? " and more" : "");
}

// The values of one column that the identities of one patient's row give, when they contradict each other.
static void put_values(struct buffer *out, const struct known *known, size_t count, size_t column, const char *word)
{
    const char *first = "";
    size_t shown = 0;
    for (size_t i = 0; i < count && shown < SHOWN_VALUES; i++) {
        const char *value = known[i].said[column];
        if (!*first)
            first = value;
        if (!columns_differ(&columns[column], first, value))
            continue;
        if (shown++ == 0) {
            buffer_printf(out, "%s%s of ", out->size > 0 ? "; " : "", word);
            put_value(out, *known->values[COLUMNS_PATIENT_patient_id] ? known->values[COLUMNS_PATIENT_patient_id]
                                                                      : "one without ID");
            buffer_text(out, ": ");
            put_value(out, first);
        }
        buffer_text(out, " or ");
        put_value(out, value);
    }
}

static void put_contradictions(struct buffer *out, const struct known *known, size_t count)
{
    for (size_t i = 0, size; i < count; i += size) {
        for (size = 1; i + size < count && !is_first_of_row(known, i + size); size++)
            ;
        put_values(out, known + i, size, COLUMNS_PATIENT_patient_name, "name");
        put_values(out, known + i, size, COLUMNS_PATIENT_birth_date, "birth date");
        put_values(out, known + i, size, COLUMNS_PATIENT_sex, "sex");
    }
}

bool rows_describe_identity(struct database *db, int64_t study, struct arena *arena, struct error *err)
{
    struct known *known;
    size_t count, served = 0;
    struct buffer text;
    if (!read_known(db, study, arena, &known, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (known[i].served)
            known[served++] = known[i];
    buffer_init(&text, IDENTITY_TEXT_MAX);
    put_patients(&text, known, served);
    put_contradictions(&text, known, served);
    if (count >= ROWS_IDENTITIES_MAX)
        buffer_printf(&text, "%sits objects name their patient in %d ways, and those that name another are refused",
                      text.size > 0 ? "; " : "", ROWS_IDENTITIES_MAX);
    buffer_byte(&text, '\0');
    bool ok = buffer_check(&text, "what a study's patients are called", err) &&
              sql_run(db, err, "UPDATE study SET identity=?2 WHERE id=?1", "it", study, (const char *)text.data);
    buffer_free(&text);
    return ok;
}

bool rows_identity_served(struct database *db, int64_t study, const struct rows_patient *patient, struct arena *arena,
                          struct error *err)
{
    if (patient->identity == 0 || patient->served)
        return true;
    return sql_run(db, err, "UPDATE identity SET served=1 WHERE id=?1", "i", patient->identity) &&
           rows_describe_identity(db, study, arena, err);
}

bool rows_identities_again(struct database *db, int64_t study, struct arena *arena, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE identity SET served=CASE WHEN EXISTS(SELECT 1 FROM series JOIN instance ON "
                   "instance.series=series.id"
                   " AND instance.rank=0 AND instance.identity=identity.id WHERE series.patient=identity.patient)"
                   " THEN 1 ELSE 0 END WHERE patient IN (SELECT id FROM study_patient WHERE study=?1)",
                   "i", study) &&
           rows_describe_identity(db, study, arena, err);
}
