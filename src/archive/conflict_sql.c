// Objects that came under a SOP Instance UID which was there already: which one is served, and who decided it.
//
//   rows_add_conflict   -> open, or taken by the source's policy
//   archive_decide      open -> kept;  open or kept -> taken, and the one that was served -> kept
#include <string.h>

#include "archive/internal.h"
#include "archive/rows.h"

// ---- which one is served

// One version of an object, and where its row hangs.
struct version {
    int64_t instance, rank, identity, series, patient, study;
    const char *uid, *study_uid, *series_uid, *sop_class;
};

static bool read_version(struct database *db, const char *text, int64_t id, const char *uid, struct arena *arena,
                         struct version *out, struct error *err)
{
    bool row;
    const char **texts[] = {&out->uid, &out->study_uid, &out->series_uid, &out->sop_class};
    struct sql *sql = sql_prepare(db, text, err);
    if (!sql)
        return false;
    if (uid)
        sql_bind_text(sql, 1, uid);
    else
        sql_bind_int(sql, 1, id);
    bool ok = sql_step(sql, &row, err) && (row || error_set(err, ERROR_NOT_FOUND, "there is no such object"));
    if (ok)
        *out = (struct version){sql_int(sql, 0),
                                sql_int(sql, 1),
                                sql_int(sql, 2),
                                sql_int(sql, 3),
                                sql_int(sql, 4),
                                sql_int(sql, 5),
                                NULL,
                                NULL,
                                NULL,
                                NULL};
    for (int i = 0; ok && i < 4; i++)
        ok = (*texts[i] = arena_strdup(arena, sql_text(sql, 6 + i))) ||
             error_set(err, ERROR_LIMIT, "no memory for an object");
    sql_done(sql);
    return ok;
}

#define VERSION_COLUMNS                                                                                                \
    "SELECT instance.id, instance.rank, coalesce(instance.identity, 0), series.id, study_patient.id, study.id, "       \
    "instance.uid, study.uid, series.uid, instance.class FROM instance JOIN series ON series.id=instance.series"       \
    " JOIN study_patient ON study_patient.id=series.patient JOIN study ON study.id=study_patient.study WHERE "

static bool version_by_id(struct database *db, int64_t id, struct arena *arena, struct version *out, struct error *err)
{
    return read_version(db, VERSION_COLUMNS "instance.id=?1", id, NULL, arena, out, err);
}

static bool version_served(struct database *db, const char *uid, struct arena *arena, struct version *out,
                           struct error *err)
{
    return read_version(db, VERSION_COLUMNS "instance.uid=?1 AND instance.rank=0", 0, uid, arena, out, err);
}

static bool set_row(struct database *db, const struct columns_column *column, const struct version *version,
                    const char *value, struct error *err)
{
    const int64_t rows[] = {[COLUMNS_STUDY] = version->study,
                            [COLUMNS_PART] = version->patient,
                            [COLUMNS_PATIENT] = version->patient,
                            [COLUMNS_SERIES] = version->series};
    return column->table == COLUMNS_INSTANCE || rows_set(db, column, rows[column->table], value, err);
}

// What contradicted study and series when it came is what they say from now on.
static bool take_over_levels(struct database *db, const struct version *version, struct error *err)
{
    bool row, ok;
    struct sql *sql = sql_prepare(db, "SELECT tag, said FROM difference WHERE instance=?1", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, version->instance);
    while ((ok = sql_step(sql, &row, err)) && row)
        for (size_t i = 0; ok && i < COLUMNS_FROM_OBJECT; i++)
            if (columns[i].owner == COLUMNS_OWNED && columns[i].tag == (dicom_tag)sql_int(sql, 0))
                ok = set_row(db, &columns[i], version, sql_text(sql, 1), err);
    sql_done(sql);
    return ok;
}

// What it says of the patient is what the patient's row says from now on.
static bool take_over_identity(struct database *db, const struct version *version, struct error *err)
{
    bool row;
    size_t first, count = columns_of(COLUMNS_PATIENT, &first);
    struct sql *sql = sql_prepare(db, "SELECT id" COLUMNS_OF_PATIENT(COLUMNS_LISTED) " FROM identity WHERE id=?1", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, version->identity);
    bool ok = sql_step(sql, &row, err);
    for (size_t i = 0; ok && row && i < count; i++) {
        const char *said = sql_text(sql, 1 + (int)i);
        ok = !*said || set_row(db, &columns[first + i], version, said, err);
    }
    sql_done(sql);
    return ok;
}

// Once no doubt is left whose objects a study has, no served object of it is flagged for that any more.
static bool clear_flags(struct database *db, const struct version *version, struct error *err)
{
    return sql_run(db, err, "DELETE FROM difference WHERE instance=?1 AND (tag >> 16)<>16", "i", version->instance) &&
           sql_run(db, err,
                   "UPDATE instance SET flags=flags & ~16 WHERE (flags & 16)<>0 AND rank=0 AND series IN (SELECT"
                   " series.id FROM series JOIN study_patient ON study_patient.id=series.patient JOIN study"
                   " ON study.id=study_patient.study WHERE study.id=?1 AND study.identity='')",
                   "i", version->study);
}

static bool exchange(struct database *db, const struct version *now, const struct version *before, struct error *err)
{
    return sql_run(db, err, "UPDATE instance SET rank=?2, flags=flags | 8 WHERE id=?1", "ii", before->instance,
                   now->rank) &&
           sql_run(db, err, "UPDATE instance SET rank=0, flags=flags & ~40 WHERE id=?1", "i", now->instance) &&
           rows_count(db, before->patient, before->series, -1, err) &&
           rows_count(db, now->patient, now->series, 1, err);
}

// `now` is served instead of `before`.
static bool serve(struct database *db, const struct version *now, const struct version *before, struct arena *arena,
                  struct error *err)
{
    return exchange(db, now, before, err) && take_over_levels(db, now, err) && take_over_identity(db, now, err) &&
           rows_identities_again(db, now->study, arena, err) &&
           (now->study == before->study || rows_identities_again(db, before->study, arena, err)) &&
           clear_flags(db, now, err);
}

// ---- rows

// Does what an object says of its patient, by column, contradict what another one does?
static bool is_other_patient(struct database *db, const char *const values[COLUMNS_FROM_OBJECT], int64_t identity,
                             bool *other, struct error *err)
{
    bool row;
    size_t first, count = columns_of(COLUMNS_PATIENT, &first);
    struct sql *sql = sql_prepare(db, "SELECT id" COLUMNS_OF_PATIENT(COLUMNS_LISTED) " FROM identity WHERE id=?1", err);
    *other = false;
    if (!sql)
        return false;
    sql_bind_int(sql, 1, identity);
    bool ok = sql_step(sql, &row, err);
    for (size_t i = 0; ok && row && i < count; i++)
        *other = *other || columns_differ(&columns[first + i], values[first + i], sql_text(sql, 1 + (int)i));
    sql_done(sql);
    return ok;
}

// The same for two objects whose rows are there.
static bool are_other_patients(struct database *db, const struct version *a, const struct version *b,
                               struct arena *arena, bool *other, struct error *err)
{
    bool row;
    const char *values[COLUMNS_FROM_OBJECT] = {NULL};
    size_t first, count = columns_of(COLUMNS_PATIENT, &first);
    struct sql *sql = sql_prepare(db, "SELECT id" COLUMNS_OF_PATIENT(COLUMNS_LISTED) " FROM identity WHERE id=?1", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, a->identity);
    bool ok = sql_step(sql, &row, err);
    for (size_t i = 0; ok && i < count; i++)
        ok = (values[first + i] = arena_strdup(arena, row ? sql_text(sql, 1 + (int)i) : "")) ||
             error_set(err, ERROR_LIMIT, "no memory for what an object says of its patient");
    sql_done(sql);
    return ok && is_other_patient(db, values, b->identity, other, err);
}

static bool add_differences(struct database *db, int64_t instance, const struct archive_difference *unlike,
                            size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!sql_run(db, err, "INSERT INTO conflict_difference(instance, tag, said, known) VALUES(?1, ?2, ?3, ?4)",
                     "iitt", instance, (int64_t)unlike[i].tag, unlike[i].said, unlike[i].known))
            return false;
    return true;
}

// `urgent`: people should see it before they read.
static bool add_row(struct database *db, const struct rows_object *object, int64_t instance, int64_t study, bool urgent,
                    struct error *err)
{
    if (!sql_run(db, err,
                 "INSERT INTO conflict(instance, study, kind, urgent, how, sender, is_image) VALUES(?1, ?2, ?3, ?4, "
                 "?5, ?6, ?7)",
                 "iiiitti", instance, study, (int64_t)object->kind, (int64_t)urgent, object->event.how,
                 object->event.from, (int64_t)object->is_image))
        return false;
    return add_differences(db, instance, object->unlike, object->unlike_count, err) &&
           sql_run(db, err, "UPDATE study SET conflicts=conflicts+?2 WHERE id=?1", "ii", study, (int64_t)urgent);
}

struct decision {
    struct access_scope scope; // of who decides
    int64_t id;
    enum archive_decision decision;
    const char *by;
    int64_t now_ns;
    struct arena *arena;
    bool is_policy;
    const struct rows_against *against; // of taking
    size_t against_count, versions;
    bool is_stale;                // nothing was written: another version came since they were compared
    struct archive_object before; // that which was served until then
};

// The open conflicts of an object more (by 1) or fewer (by -1) in what their studies count.
static bool count_open(struct database *db, const char *uid, int64_t by, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE study SET conflicts=conflicts+?2*(SELECT count(*) FROM conflict JOIN instance"
                   " ON instance.id=conflict.instance WHERE conflict.study=study.id AND instance.uid=?1"
                   " AND decision=0 AND urgent=1) WHERE id IN (SELECT conflict.study FROM conflict"
                   " JOIN instance ON instance.id=conflict.instance WHERE instance.uid=?1)",
                   "ti", uid, by);
}

static bool set_decision(struct database *db, const struct decision *decision, int64_t instance,
                         enum archive_decision value, struct error *err)
{
    return sql_run(db, err, "UPDATE conflict SET decision=?2, decided_by=?3, decided_ns=?4 WHERE instance=?1", "iiti",
                   instance, (int64_t)value, decision->by, decision->now_ns);
}

// The one that was served has no row when it was the first.
static bool keep_former(struct database *db, const struct decision *decision, const struct version *now,
                        const struct version *before, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO conflict(instance, study, kind, urgent, how, sender, is_image)"
                   " SELECT ?1, study, kind, urgent, '', '', is_image FROM conflict WHERE instance=?2"
                   " ON CONFLICT (instance) DO NOTHING",
                   "ii", before->instance, now->instance) &&
           set_decision(db, decision, before->instance, ARCHIVE_KEPT, err);
}

// Older ones that wait still are settled by what came later. A policy settles what is like its own only.
static bool settle_older(struct database *db, const struct decision *decision, const struct version *now,
                         struct error *err)
{
    const char *by =
        arena_printf(decision->arena, "settled with conflict %lld by %s", (long long)now->instance, decision->by);
    if (!by)
        return error_set(err, ERROR_LIMIT, "no memory for who settles a conflict");
    return sql_run(db, err,
                   "UPDATE conflict SET decision=1, decided_by=?3, decided_ns=?4 WHERE decision=0 AND instance<=?2 AND"
                   " (?5=0 OR kind=0) AND instance IN (SELECT id FROM instance WHERE uid=?1)",
                   "titii", now->uid, now->instance, by, decision->now_ns, (int64_t)decision->is_policy);
}

// Nothing is known of how the other versions differ from the one that is served now.
static bool forget_differences(struct database *db, const struct version *now, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE conflict SET study=?3, kind=2, urgent=1 WHERE instance<>?2 AND instance IN (SELECT id"
                   " FROM instance WHERE uid=?1)",
                   "tii", now->uid, now->instance, now->study) &&
           sql_run(db, err,
                   "DELETE FROM conflict_difference WHERE instance<>?2 AND instance IN (SELECT id FROM instance WHERE"
                   " uid=?1)",
                   "ti", now->uid, now->instance);
}

static bool say_difference(struct database *db, const struct rows_against *against, const struct version *now,
                           struct arena *arena, struct error *err)
{
    struct version other;
    bool other_patient;
    return version_by_id(db, against->instance, arena, &other, err) &&
           are_other_patients(db, &other, now, arena, &other_patient, err) &&
           sql_run(db, err, "UPDATE conflict SET kind=?2, urgent=?3 WHERE instance=?1", "iii", other.instance,
                   (int64_t)against->kind, (int64_t)(other_patient || against->kind != ARCHIVE_OTHER_ATTRIBUTES)) &&
           add_differences(db, other.instance, against->unlike, against->unlike_count, err);
}

// A person who decides of another conflict sees what it is about now.
static bool say_differences(struct database *db, const struct decision *decision, const struct version *now,
                            struct error *err)
{
    if (!forget_differences(db, now, err))
        return false;
    for (size_t i = 0; i < decision->against_count; i++)
        if (!say_difference(db, &decision->against[i], now, decision->arena, err))
            return false;
    return true;
}

static bool take(struct database *db, const struct decision *decision, const struct version *now,
                 const struct version *before, struct error *err)
{
    return count_open(db, now->uid, -1, err) && settle_older(db, decision, now, err) &&
           set_decision(db, decision, now->instance, ARCHIVE_TAKEN, err) &&
           keep_former(db, decision, now, before, err) && say_differences(db, decision, now, err) &&
           count_open(db, now->uid, 1, err) && serve(db, now, before, decision->arena, err);
}

// The study whose object is served, or was until now, hears of it too.
static bool tell_other_study(struct database *db, const struct rows_object *object, const struct version *now,
                             const struct version *before, bool taken, struct error *err)
{
    struct store_event_detail detail = object->event;
    detail.series = before->series_uid;
    return now->study == before->study ||
           store_event_add(db, taken ? STORE_EVENT_OBJECT_SERVED : STORE_EVENT_OBJECT_KEPT_BESIDE, before->study_uid,
                           before->uid, &detail, err);
}

bool rows_add_conflict(struct database *db, const struct rows_object *object, int64_t instance, bool *taken,
                       struct error *err)
{
    struct version now, before;
    const struct decision policy = {.by = "the source's policy",
                                    .now_ns = object->received_ns,
                                    .arena = object->arena,
                                    .is_policy = true,
                                    .against = object->against,
                                    .against_count = object->against_count};
    bool other_patient;
    *taken = object->newest && (object->kind == ARCHIVE_OTHER_ATTRIBUTES || object->kind == ARCHIVE_OTHER_MEANING);
    return version_by_id(db, instance, object->arena, &now, err) &&
           version_served(db, object->sop_instance, object->arena, &before, err) &&
           is_other_patient(db, object->values, before.identity, &other_patient, err) &&
           add_row(db, object, instance, before.study, other_patient || object->kind != ARCHIVE_OTHER_ATTRIBUTES,
                   err) &&
           (!*taken || take(db, &policy, &now, &before, err)) &&
           tell_other_study(db, object, &now, &before, *taken, err);
}

// ---- out

static bool read_differences(struct database *db, int64_t id, struct arena *arena, struct archive_conflict *out,
                             struct error *err)
{
    bool row, ok = true;
    struct archive_difference *list = arena_calloc(arena, COLUMNS_FROM_OBJECT, sizeof *list);
    struct sql *sql =
        sql_prepare(db, "SELECT tag, said, known FROM conflict_difference WHERE instance=?1 ORDER BY tag", err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, id);
    while (ok && list && out->difference_count < COLUMNS_FROM_OBJECT && (ok = sql_step(sql, &row, err)) && row) {
        struct archive_difference *to = &list[out->difference_count++];
        *to = (struct archive_difference){(dicom_tag)sql_int(sql, 0), arena_strdup(arena, sql_text(sql, 1)),
                                          arena_strdup(arena, sql_text(sql, 2))};
        if (!to->said || !to->known)
            list = NULL;
    }
    sql_done(sql);
    out->differences = list;
    return ok && (list || error_set(err, ERROR_LIMIT, "no memory for what two objects differ in"));
}

// The objects of a conflict whose row has been read.
static bool read_objects(struct database *db, int64_t id, struct arena *arena, struct archive_conflict *out,
                         struct error *err)
{
    struct version served;
    return rows_object_by_id(db, id, arena, &out->newer, err) &&
           version_served(db, out->newer.sop_instance, arena, &served, err) &&
           rows_object_by_id(db, served.instance, arena, &out->served, err) &&
           read_differences(db, id, arena, out, err);
}

#define CONFLICT_COLUMNS "SELECT conflict.instance, kind, decision, decided_ns, how, sender, decided_by FROM conflict "

static bool read_row(struct sql *sql, struct arena *arena, struct archive_conflict *out)
{
    *out = (struct archive_conflict){.newer.id = sql_int(sql, 0),
                                     .kind = (enum archive_conflict_kind)sql_int(sql, 1),
                                     .decision = (enum archive_decision)sql_int(sql, 2),
                                     .decided_ns = sql_int(sql, 3),
                                     .how = arena_strdup(arena, sql_text(sql, 4)),
                                     .from = arena_strdup(arena, sql_text(sql, 5)),
                                     .decided_by = arena_strdup(arena, sql_text(sql, 6))};
    return out->how && out->from && out->decided_by;
}

static bool read_rows(struct sql *sql, struct arena *arena, struct archive_conflict *out, size_t *count,
                      struct error *err)
{
    bool row, ok = true;
    while (*count < ARCHIVE_PAGE_MAX && (ok = sql_step(sql, &row, err)) && row)
        if (!read_row(sql, arena, &out[(*count)++])) {
            ok = error_set(err, ERROR_LIMIT, "no memory for %zu conflicts", *count);
            break;
        }
    sql_done(sql);
    return ok;
}

#define OF_ALL "WHERE (?1=1 OR decision=0) AND " ROWS_CONFLICT_SEEN("?2")
#define OF_STUDY                                                                                                       \
    "WHERE conflict.instance IN (SELECT other.id FROM study JOIN study_patient ON study_patient.study=study.id"        \
    " JOIN series ON series.patient=study_patient.id JOIN instance AS one ON one.series=series.id"                     \
    " JOIN instance AS other ON other.uid=one.uid WHERE study.uid=?3) AND (?1=1 OR decision=0) "                       \
    "AND " ROWS_CONFLICT_SEEN("?2")
#define IN_PARTS " ORDER BY conflict.instance DESC LIMIT ? OFFSET ?"

static bool list_conflicts(struct database *db, struct access_scope scope, const char *study, bool decided_too,
                           const struct archive_page *page, struct arena *arena, struct archive_conflict **out,
                           size_t *count, struct error *err)
{
    struct sql *sql = study ? sql_prepare(db, CONFLICT_COLUMNS OF_STUDY IN_PARTS, err)
                            : sql_prepare(db, CONFLICT_COLUMNS OF_ALL IN_PARTS, err);
    *count = 0;
    *out = arena_calloc(arena, page->limit, sizeof **out);
    if (!sql || !*out) {
        sql_done(sql);
        return sql && error_set(err, ERROR_LIMIT, "no memory for conflicts");
    }
    int last = 2;
    sql_bind_int(sql, 1, decided_too);
    sql_bind_int(sql, last, (int64_t)scope.hidden);
    if (study)
        sql_bind_text(sql, ++last, study);
    sql_bind_int(sql, last + 1, (int64_t)page->limit);
    sql_bind_int(sql, last + 2, (int64_t)page->offset);
    if (!read_rows(sql, arena, *out, count, err))
        return false;
    for (size_t i = 0; i < *count; i++)
        if (!read_objects(db, (*out)[i].newer.id, arena, &(*out)[i], err))
            return false;
    return true;
}

static bool count_conflicts(struct database *db, struct access_scope scope, const char *study, bool decided_too,
                            struct archive_page *page, struct error *err)
{
    int64_t total = 0;
    const int64_t all = decided_too, hidden = (int64_t)scope.hidden;
    bool found,
        ok = study ? sql_get_int(db, err, &total, &found, "SELECT count(*) FROM conflict " OF_STUDY, "iit", all, hidden,
                                 study)
                   : sql_get_int(db, err, &total, &found, "SELECT count(*) FROM conflict " OF_ALL, "ii", all, hidden);
    page->total = (uint64_t)total;
    return ok;
}

bool archive_conflicts(struct archive *archive, struct access_scope scope, const char *study, bool decided_too,
                       struct archive_page *page, struct arena *arena, struct archive_conflict **out, size_t *count,
                       struct error *err)
{
    const struct archive_page part = rows_page(page);
    struct database *db = store_read_begin(archive->store, err);
    bool ok = db && list_conflicts(db, scope, study, decided_too, &part, arena, out, count, err) &&
              (!page || count_conflicts(db, scope, study, decided_too, page, err));
    store_read_end(archive->store, db);
    return ok;
}

// ---- decisions

static bool find_conflict(struct database *db, struct access_scope scope, int64_t id, struct arena *arena,
                          struct archive_conflict *out, struct error *err)
{
    size_t count = 0;
    struct sql *sql = sql_prepare(db, CONFLICT_COLUMNS "WHERE instance=?1 AND " ROWS_CONFLICT_SEEN("?2"), err);
    if (!sql)
        return false;
    sql_bind_int(sql, 1, id);
    sql_bind_int(sql, 2, (int64_t)scope.hidden);
    return read_rows(sql, arena, out, &count, err) &&
           (count > 0 || error_set(err, ERROR_NOT_FOUND, "there is no conflict %lld", (long long)id));
}

static bool add_event(struct database *db, const struct decision *decision, const struct version *now,
                      const char *series, const struct archive_conflict *conflict, struct error *err)
{
    bool keep = decision->decision == ARCHIVE_KEPT;
    int64_t is_image = 0;
    bool found;
    if (!sql_get_int(db, err, &is_image, &found, "SELECT is_image FROM conflict WHERE instance=?1", "i", now->instance))
        return false;
    const struct store_event_detail detail = {.series = series,
                                              .sop_class = now->sop_class,
                                              .from = conflict->from,
                                              .how = keep ? "kept" : "taken",
                                              .association = "",
                                              .is_image = is_image};
    return store_event_add(db, keep ? STORE_EVENT_OBJECT_KEPT_BESIDE : STORE_EVENT_OBJECT_SERVED, now->study_uid,
                           now->uid, &detail, err);
}

// A series whose newer images somebody has decided on is looked at again.
static bool write_keep(struct database *db, const struct decision *decision, const struct version *now,
                       const struct version *served, const struct archive_conflict *conflict, struct error *err)
{
    return sql_run(db, err,
                   "UPDATE study SET conflicts=conflicts-(SELECT urgent FROM conflict WHERE instance=?1)"
                   " WHERE id=(SELECT study FROM conflict WHERE instance=?1)",
                   "i", now->instance) &&
           set_decision(db, decision, now->instance, ARCHIVE_KEPT, err) &&
           add_event(db, decision, now, now->series_uid, conflict, err) &&
           store_event_add(db, STORE_EVENT_WORKLIST_CHANGED, now->study_uid, "", NULL, err) &&
           (now->study == served->study ||
            store_event_add(db, STORE_EVENT_WORKLIST_CHANGED, served->study_uid, "", NULL, err));
}

// Nobody takes what differs in a way that has not been looked at.
static bool is_stale(struct database *db, struct decision *decision, const struct version *now, struct error *err)
{
    int64_t versions;
    bool found,
        ok = sql_get_int(db, err, &versions, &found, "SELECT count(*) FROM instance WHERE uid=?1", "t", now->uid);
    decision->is_stale = ok && versions != (int64_t)decision->versions;
    return ok;
}

static bool write_decision(struct database *db, void *payload, struct error *err)
{
    struct decision *decision = payload;
    struct archive_conflict conflict;
    struct version now, before;
    bool keep = decision->decision == ARCHIVE_KEPT;
    if (!find_conflict(db, decision->scope, decision->id, decision->arena, &conflict, err) ||
        !version_by_id(db, decision->id, decision->arena, &now, err) ||
        !version_served(db, now.uid, decision->arena, &before, err) ||
        !rows_object_by_id(db, before.instance, decision->arena, &decision->before, err))
        return false;
    if (now.rank == 0 || (keep && conflict.decision != ARCHIVE_OPEN))
        return error_set(err, ERROR_CONFLICT, "conflict %lld was decided by %s: the %s is served",
                         (long long)decision->id, conflict.decided_by, now.rank == 0 ? "newer one" : "other one");
    if (keep)
        return write_keep(db, decision, &now, &before, &conflict, err);
    if (!is_stale(db, decision, &now, err) || decision->is_stale)
        return decision->is_stale;
    // A series that lost an object to another one is another one too.
    return take(db, decision, &now, &before, err) && add_event(db, decision, &now, now.series_uid, &conflict, err) &&
           (now.series == before.series ||
            (now.study == before.study && strcmp(now.series_uid, before.series_uid) == 0) ||
            add_event(db, decision, &before, before.series_uid, &conflict, err));
}

static bool read_conflict(struct archive *archive, struct access_scope scope, int64_t id, struct arena *arena,
                          struct archive_conflict *out, struct error *err)
{
    struct database *db = store_read_begin(archive->store, err);
    bool ok = db && find_conflict(db, scope, id, arena, out, err) && read_objects(db, id, arena, out, err);
    store_read_end(archive->store, db);
    return ok;
}

static bool compare_others(struct archive *archive, const struct archive_conflict *conflict, struct decision *change,
                           struct error *err)
{
    struct rows_against *against;
    change->is_stale = false;
    if (!archive_compare_versions(archive, conflict->newer.sop_instance, change->id, change->arena, &against,
                                  &change->against_count, &change->versions, err))
        return false;
    change->against = against;
    return true;
}

bool archive_decide(struct archive *archive, struct access_scope scope, int64_t id, enum archive_decision decision,
                    const char *by, int64_t now_ns, struct arena *arena, struct archive_conflict *out,
                    struct error *err)
{
    struct decision change = {
        .scope = scope, .id = id, .decision = decision, .by = by, .now_ns = now_ns, .arena = arena};
    do {
        if (!read_conflict(archive, scope, id, arena, out, err) ||
            (decision == ARCHIVE_TAKEN && !compare_others(archive, out, &change, err)) ||
            !store_write(archive->store, STORE_DURABLE, write_decision, &change, err))
            return false;
    } while (change.is_stale);
    bool ok = read_conflict(archive, scope, id, arena, out, err);
    out->before = change.before;
    return ok;
}
