// What the rows say of objects: those of a study or series, versions, conflicts, flagged ones, and how many there are.
#include "archive/archive.h"

#include <string.h>

#include "archive/internal.h"
#include "archive/rows.h"
#include "base/text.h"
#include "store/database.h"

#define OBJECT_COLUMNS                                                                                                 \
    "SELECT study.uid, series.uid, instance.uid, class, syntax, patient_id, issuer, container, offset, size, "         \
    "header_size, instance.number, frames, received_ns, digest, flags, instance.id, series.patient, charset, "         \
    "study_patient.rank" OBJECT_TABLES
#define OBJECT_TABLES                                                                                                  \
    " FROM instance JOIN series ON series.id=instance.series JOIN study_patient ON study_patient.id=series.patient"    \
    " JOIN study ON study.id=study_patient.study WHERE "
#define OBJECT_ORDER                                                                                                   \
    " ORDER BY CAST(series.number AS INTEGER), series.id, CAST(instance.number AS INTEGER), instance.id"

#define SEEN(hidden) ACCESS_SEES("study.uid", hidden)

enum way { OF_STUDY, OF_SERIES, OF_INSTANCE, OF_INSTANCE_ALONE, OF_VERSIONS };

// One query for each way to ask, so that each uses its index. Of the UIDs of study, series and instance it is given
// `count` from `first` on, and behind them what is hidden.
static const struct {
    const char *sql;
    int first, count;
} queries[] = {
    [OF_STUDY] = {OBJECT_COLUMNS "instance.rank=0 AND study.uid=?1 AND " SEEN("?2") OBJECT_ORDER, 0, 1},
    [OF_SERIES] = {OBJECT_COLUMNS "instance.rank=0 AND study.uid=?1 AND series.uid=?2 AND " SEEN("?3") OBJECT_ORDER, 0,
                   2},
    [OF_INSTANCE] = {OBJECT_COLUMNS "instance.rank=0 AND instance.uid=?3 AND study.uid=?1 AND series.uid=?2 AND " SEEN(
                         "?4") OBJECT_ORDER,
                     0, 3},
    [OF_INSTANCE_ALONE] = {OBJECT_COLUMNS "instance.rank=0 AND instance.uid=?1 AND " SEEN("?2"), 2, 1},
    [OF_VERSIONS] = {OBJECT_COLUMNS "instance.uid=?1 AND " SEEN("?2") " ORDER BY instance.rank", 2, 1},
};

static bool read_object(struct sql *sql, struct arena *arena, struct archive_object *out)
{
    const char **texts[] = {&out->study,           &out->series,     &out->sop_instance, &out->sop_class,
                            &out->transfer_syntax, &out->patient_id, &out->issuer};
    int64_t number;
    size_t size;
    for (int i = 0; i < 7; i++)
        if (!(*texts[i] = arena_strdup(arena, sql_text(sql, i))))
            return false;
    out->place = (struct store_place){(uint64_t)sql_int(sql, 7), (uint64_t)sql_int(sql, 8)};
    out->size = (uint64_t)sql_int(sql, 9);
    out->header_size = (uint64_t)sql_int(sql, 10);
    const char *text = sql_text(sql, 11);
    out->instance_number = text_to_i64(text, strlen(text), &number) ? number : 0;
    text = sql_text(sql, 12);
    out->frames = text_to_i64(text, strlen(text), &number) && number > 0 && number <= UINT32_MAX ? (uint32_t)number : 1;
    out->received_ns = sql_int(sql, 13);
    const void *digest = sql_blob(sql, 14, &size);
    if (size == HASH_SIZE)
        memcpy(out->digest, digest, HASH_SIZE);
    out->flags = (unsigned)sql_int(sql, 15);
    out->id = sql_int(sql, 16);
    out->patient = sql_int(sql, 17);
    out->patient_rank = sql_int(sql, 19);
    out->charset = arena_strdup(arena, sql_text(sql, 18));
    return out->charset != NULL;
}

// Rows into an array that doubles inside the arena.
static bool collect(struct sql *sql, struct arena *arena, struct archive_object **out, size_t *count, struct error *err)
{
    size_t capacity = 0;
    bool row;
    *count = 0;
    *out = NULL;
    while (sql_step(sql, &row, err)) {
        if (!row)
            return true;
        if (*count == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            struct archive_object *larger = arena_calloc(arena, capacity, sizeof *larger);
            if (!larger)
                return error_set(
                    err, ERROR_LIMIT,
                    "%zu objects fill the memory of one request, and there are more; ask for fewer at once", *count);
            if (*count > 0)
                memcpy(larger, *out, *count * sizeof *larger);
            *out = larger;
        }
        if (!read_object(sql, arena, *out + *count))
            return error_set(err, ERROR_LIMIT,
                             "%zu objects fill the memory of one request, and there are more; ask for fewer at once",
                             *count);
        ++*count;
    }
    return false;
}

static bool ask(struct archive *archive, struct access_scope scope, enum way which, const char *study,
                const char *series, const char *instance, struct arena *arena, struct archive_object **out,
                size_t *count, struct error *err)
{
    struct database *db = store_read_begin(archive->store, err);
    if (!db)
        return false;
    const char *values[] = {study, series, instance};
    struct sql *sql = sql_prepare(db, queries[which].sql, err);
    for (int i = 0; sql && i < queries[which].count; i++)
        sql_bind_text(sql, i + 1, values[queries[which].first + i]);
    if (sql)
        sql_bind_int(sql, queries[which].count + 1, (int64_t)scope.hidden);
    bool ok = sql && collect(sql, arena, out, count, err);
    sql_done(sql);
    store_read_end(archive->store, db);
    if (ok && *count == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no %s %s here",
                         instance ? "object"
                         : series ? "series"
                                  : "study",
                         instance ? instance
                         : series ? series
                                  : study);
    return ok;
}

bool archive_objects(struct archive *archive, struct access_scope scope, const char *study, const char *series,
                     const char *instance, struct arena *arena, struct archive_object **out, size_t *count,
                     struct error *err)
{
    enum way which = instance ? (study && series ? OF_INSTANCE : OF_INSTANCE_ALONE) : series ? OF_SERIES : OF_STUDY;
    return ask(archive, scope, which, study, series, instance, arena, out, count, err);
}

bool archive_versions(struct archive *archive, struct access_scope scope, const char *instance, struct arena *arena,
                      struct archive_object **out, size_t *count, struct error *err)
{
    return ask(archive, scope, OF_VERSIONS, NULL, NULL, instance, arena, out, count, err);
}

bool archive_sees(struct archive *archive, struct access_scope scope, const char *study, bool *out, struct error *err)
{
    int64_t one;
    struct database *db = store_read_begin(archive->store, err);
    bool ok = db && sql_get_int(db, err, &one, out, "SELECT 1 FROM study WHERE uid=?1 AND " SEEN("?2"), "ti", study,
                                (int64_t)scope.hidden);
    store_read_end(archive->store, db);
    return ok;
}

bool archive_study_patients(struct archive *archive, const char *study, struct arena *arena,
                            const char *out[ARCHIVE_STUDY_PATIENTS], size_t *count, struct error *err)
{
    bool row = true;
    struct database *db = store_read_begin(archive->store, err);
    struct sql *sql = db ? sql_prepare(db,
                                       "SELECT patient_id FROM study JOIN study_patient ON study_patient.study=study.id"
                                       " WHERE uid=? AND patient_id<>'' ORDER BY rank",
                                       err)
                         : NULL;
    bool ok = sql != NULL;
    *count = 0;
    if (sql)
        sql_bind_text(sql, 1, study);
    while (ok && *count < ARCHIVE_STUDY_PATIENTS && (ok = sql_step(sql, &row, err)) && row)
        if ((out[(*count)++] = arena_strdup(arena, sql_text(sql, 0))) == NULL)
            ok = error_set(err, ERROR_MEMORY, "no memory for the patients of a study");
    sql_done(sql);
    store_read_end(archive->store, db);
    return ok;
}

bool rows_object_by_id(struct database *db, int64_t id, struct arena *arena, struct archive_object *out,
                       struct error *err)
{
    struct archive_object *objects;
    size_t count;
    struct sql *sql = sql_prepare(db, OBJECT_COLUMNS "instance.id=?1", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, id);
    bool ok = collect(sql, arena, &objects, &count, err);
    sql_done(sql);
    if (!ok || count == 0)
        return ok && error_set(err, ERROR_NOT_FOUND, "there is no object %lld here", (long long)id);
    *out = objects[0];
    return true;
}

// ---- objects with flags, and what contradicts the levels above them

#define FLAGGED "flags>0 AND (flags & ?1)<>0 AND " SEEN("?2")

struct archive_page rows_page(const struct archive_page *asked)
{
    struct archive_page page = asked ? *asked : (struct archive_page){0};
    if (page.limit == 0 || page.limit > ARCHIVE_PAGE_MAX)
        page.limit = ARCHIVE_PAGE_MAX;
    return page;
}

static bool list_objects(struct database *db, struct access_scope scope, int64_t mask, const struct archive_page *page,
                         struct arena *arena, struct archive_object **out, size_t *count, struct error *err)
{
    struct sql *sql = sql_prepare(db, OBJECT_COLUMNS FLAGGED " ORDER BY instance.id DESC LIMIT ?3 OFFSET ?4", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, mask);
    sql_bind_int(sql, 2, (int64_t)scope.hidden);
    sql_bind_int(sql, 3, (int64_t)page->limit);
    sql_bind_int(sql, 4, (int64_t)page->offset);
    bool ok = collect(sql, arena, out, count, err);
    sql_done(sql);
    return ok;
}

static bool count_objects(struct database *db, struct access_scope scope, int64_t mask, struct archive_page *page,
                          struct error *err)
{
    int64_t total = 0;
    bool found, ok = sql_get_int(db, err, &total, &found, "SELECT count(*)" OBJECT_TABLES FLAGGED, "ii", mask,
                                 (int64_t)scope.hidden);
    page->total = (uint64_t)total;
    return ok;
}

static bool read_differences(struct database *db, struct arena *arena, struct archive_flagged *out, struct error *err)
{
    bool row, ok;
    struct archive_difference *list = arena_calloc(arena, COLUMNS_FROM_OBJECT, sizeof *list);
    struct sql *sql = list ? sql_prepare(db, "SELECT tag, said, known FROM difference WHERE instance=?1", err) : NULL;
    if (!list)
        return error_set(err, ERROR_LIMIT, "no memory for what differs in %s", out->object.sop_instance);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, out->object.id);
    while (out->difference_count < COLUMNS_FROM_OBJECT && (ok = sql_step(sql, &row, err)) && row) {
        struct archive_difference *to = &list[out->difference_count++];
        *to = (struct archive_difference){(dicom_tag)sql_int(sql, 0), arena_strdup(arena, sql_text(sql, 1)),
                                          arena_strdup(arena, sql_text(sql, 2))};
        if (!to->said || !to->known) {
            ok = error_set(err, ERROR_LIMIT, "no memory for what differs in %s", out->object.sop_instance);
            break;
        }
    }
    sql_done(sql);
    out->differences = list;
    return ok;
}

static bool list_flagged(struct database *db, struct access_scope scope, int64_t mask, const struct archive_page *page,
                         struct arena *arena, struct archive_flagged **out, size_t *count, struct error *err)
{
    struct archive_object *objects;
    if (!list_objects(db, scope, mask, page, arena, &objects, count, err))
        return false;
    *out = arena_calloc(arena, *count, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_LIMIT, "no memory for %zu objects", *count);
    for (size_t i = 0; i < *count; i++) {
        struct archive_flagged *one = &(*out)[i];
        one->object = objects[i];
        if ((one->object.flags & (ARCHIVE_FLAG_IDENTITY | ARCHIVE_FLAG_LEVEL)) &&
            !read_differences(db, arena, one, err))
            return false;
    }
    return true;
}

bool archive_flagged(struct archive *archive, struct access_scope scope, unsigned flags, struct archive_page *page,
                     struct arena *arena, struct archive_flagged **out, size_t *count, struct error *err)
{
    const struct archive_page part = rows_page(page);
    const int64_t mask = flags == 0 ? -1 : (int64_t)flags;
    struct database *db = store_read_begin(archive->store, err);
    bool ok = db && list_flagged(db, scope, mask, &part, arena, out, count, err) &&
              (!page || count_objects(db, scope, mask, page, err));
    store_read_end(archive->store, db);
    return ok;
}

bool archive_study_flags(struct archive *archive, struct access_scope scope, const char *study, struct arena *arena,
                         const char *out[ARCHIVE_STUDY_FLAGS], size_t *count, struct error *err)
{
    bool row;
    *count = 0;
    struct database *db = store_read_begin(archive->store, err);
    struct sql *sql = db ? sql_prepare(db,
                                       "SELECT identity, conflicts, held_back, rejected, unreadable, shared_series, "
                                       "unidentified FROM study_shown WHERE study_shown.study=?1 AND " ACCESS_SEES(
                                           "study_shown.study", "?2"),
                                       err)
                         : NULL;
    if (sql)
        sql_bind_text(sql, 1, study);
    if (sql)
        sql_bind_int(sql, 2, (int64_t)scope.hidden);
    bool ok = sql && sql_step(sql, &row, err);
    for (int i = 0; ok && row && i < ARCHIVE_STUDY_FLAGS; i++) {
        const char *text = sql_text(sql, i);
        if (*text && !(out[(*count)++] = arena_strdup(arena, text)))
            ok = error_set(err, ERROR_LIMIT, "no memory for what is in doubt of a study");
    }
    sql_done(sql);
    store_read_end(archive->store, db);
    return ok;
}

#define NOT_SERVED                                                                                                     \
    "SELECT count(DISTINCT instance.uid) FROM study JOIN study_patient ON study_patient.study=study.id"                \
    " JOIN series ON series.patient=study_patient.id JOIN instance ON instance.series=series.id"                       \
    " WHERE study.uid=?1 AND series.uid=?2 AND instance.rank>0 AND "
#define AT_HOME                                                                                                        \
    "EXISTS(SELECT 1 FROM instance AS served JOIN series AS home ON home.id=served.series"                             \
    " JOIN study_patient AS owner ON owner.id=home.patient WHERE served.uid=instance.uid"                              \
    " AND served.rank=0 AND owner.study=study.id AND home.uid=series.uid)"
#define IS_UNDECIDED                                                                                                   \
    "EXISTS(SELECT 1 FROM conflict WHERE conflict.instance=instance.id AND decision=0 AND kind<>0 AND is_image=1)"

bool archive_held_back(struct archive *archive, const char *study, const char *series, struct archive_held_back *out,
                       struct error *err)
{
    bool found;
    struct database *db = store_read_begin(archive->store, err);
    bool ok =
        db && sql_get_int(db, err, &out->elsewhere, &found, NOT_SERVED "NOT " AT_HOME, "tt", study, series) &&
        sql_get_int(db, err, &out->undecided, &found, NOT_SERVED IS_UNDECIDED " AND " AT_HOME, "tt", study, series);
    store_read_end(archive->store, db);
    return ok;
}

// ---- what a replay asks

bool rows_known(void *payload, const struct store_place *place, bool *out, struct error *err)
{
    struct archive *archive = payload;
    int64_t one;
    struct database *db = store_read_begin(archive->store, err);
    if (!db)
        return false;
    bool ok = sql_get_int(db, err, &one, out, "SELECT 1 FROM instance WHERE container=?1 AND offset=?2", "ii",
                          (int64_t)place->container, (int64_t)place->offset);
    store_read_end(archive->store, db);
    return ok;
}

bool rows_named(void *payload, uint64_t container, bool *out, struct error *err)
{
    struct archive *archive = payload;
    int64_t one;
    struct database *db = store_read_begin(archive->store, err);
    bool ok = db && sql_get_int(db, err, &one, out, "SELECT 1 FROM instance WHERE container=?1 LIMIT 1", "i",
                                (int64_t)container);
    store_read_end(archive->store, db);
    return ok;
}

// ---- counts

// For who sees all no row is joined to its study.
static const char count_all[] =
    "SELECT (SELECT count(*) FROM (SELECT DISTINCT patient_id, issuer FROM study_patient) AS patients),"
    " (SELECT count(*) FROM study), (SELECT count(*) FROM (SELECT DISTINCT study, uid FROM"
    " series JOIN study_patient ON study_patient.id=patient) AS parts), count(*) FILTER (WHERE rank=0),"
    " (SELECT count(*) FROM conflict WHERE decision=0), coalesce(sum(size), 0) FROM instance";
static const char count_seen[] =
    "SELECT (SELECT count(*) FROM (SELECT DISTINCT patient_id, issuer FROM study_patient JOIN study"
    " ON study.id=study_patient.study WHERE " SEEN(
        "?1") ") AS patients),"
              " (SELECT count(*) FROM study WHERE " SEEN(
                  "?1") "), (SELECT count(*) FROM (SELECT DISTINCT study_patient.study,"
                        " series.uid FROM series JOIN study_patient ON study_patient.id=series.patient JOIN study"
                        " ON study.id=study_patient.study WHERE " SEEN(
                            "?1") ") AS parts), count(*) FILTER (WHERE instance.rank=0),"
                                  " (SELECT count(*) FROM conflict WHERE decision=0 AND " ROWS_CONFLICT_SEEN(
                                      "?1") "),"
                                            " coalesce(sum(size), 0) FROM instance JOIN series ON "
                                            "series.id=instance.series JOIN study_patient"
                                            " ON study_patient.id=series.patient JOIN study ON "
                                            "study.id=study_patient.study WHERE " SEEN("?1");

bool archive_count(struct archive *archive, struct access_scope scope, struct archive_counts *out, struct error *err)
{
    bool row;
    struct database *db = store_read_begin(archive->store, err);
    if (!db)
        return false;
    struct sql *sql = sql_prepare(db, scope.hidden == 0 ? count_all : count_seen, err);
    if (sql && scope.hidden != 0)
        sql_bind_int(sql, 1, (int64_t)scope.hidden);
    bool ok = sql && sql_step(sql, &row, err);
    if (ok)
        *out = (struct archive_counts){sql_int(sql, 0), sql_int(sql, 1), sql_int(sql, 2),
                                       sql_int(sql, 3), sql_int(sql, 4), sql_int(sql, 5)};
    sql_done(sql);
    store_read_end(archive->store, db);
    return ok;
}

static void add_flagged(struct archive_faults *faults, int64_t flags, int64_t count)
{
    for (size_t i = 0; i < ARCHIVE_FLAG_BITS; i++)
        if (flags >> i & 1)
            faults->flagged[i] += count;
}

static bool count_flagged(struct database *db, struct archive_faults *out, struct error *err)
{
    bool row = true, ok = true;
    struct sql *sql = sql_prepare(db, "SELECT flags, count(*) FROM instance WHERE flags>0 GROUP BY flags", err);
    if (!sql)
        return false;
    while ((ok = sql_step(sql, &row, err)) && row)
        add_flagged(out, sql_int(sql, 0), sql_int(sql, 1));
    sql_done(sql);
    return ok;
}

bool archive_count_faults(struct archive *archive, struct archive_faults *out, struct error *err)
{
    bool found;
    struct database *db = store_read_begin(archive->store, err);
    *out = (struct archive_faults){0};
    bool ok =
        db && sql_get_int(db, err, &out->conflicts, &found, "SELECT count(*) FROM conflict WHERE decision=0", "") &&
        sql_get_int(db, err, &out->identity_studies, &found, "SELECT count(*) FROM study WHERE identity<>''", "") &&
        count_flagged(db, out, err);
    store_read_end(archive->store, db);
    return ok;
}
