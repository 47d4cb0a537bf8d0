// The tables of labels: `label` is what there is, `label_version` the last version of each name that there ever was,
// and `study_label` has a row for each study that ever had one.
#include "access/label_row.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/event.h"

const char label_tables[] = "CREATE TABLE label("
                            " bit INTEGER PRIMARY KEY CHECK (bit BETWEEN 0 AND 61),"
                            " name TEXT NOT NULL UNIQUE,"
                            " description TEXT NOT NULL,"
                            " version INTEGER NOT NULL"
                            ") STRICT;"
                            "CREATE TABLE label_version(name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;"
                            "CREATE TABLE study_label("
                            " study TEXT PRIMARY KEY,"
                            " labels INTEGER NOT NULL,"
                            " version INTEGER NOT NULL"
                            ") STRICT, WITHOUT ROWID;"
                            "CREATE INDEX study_label_held ON study_label(labels) WHERE labels <> 0;";

#define COLUMNS "bit, name, description, version"

static void read_row(struct sql *sql, struct access_label *out)
{
    *out = (struct access_label){.bit = (unsigned)sql_int(sql, 0), .version = sql_int(sql, 3)};
    text_copy(out->name, sizeof out->name, sql_text(sql, 1));
    text_copy(out->description, sizeof out->description, sql_text(sql, 2));
}

bool label_row_get(struct database *db, const char *name, struct access_label *out, bool *found, struct error *err)
{
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM label WHERE name = ?", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, name);
    bool ok = sql_step(sql, found, err);
    if (ok && *found)
        read_row(sql, out);
    sql_done(sql);
    return ok;
}

bool label_rows(struct database *db, struct access_label out[ACCESS_LABELS_MAX], size_t *count, struct error *err)
{
    bool row, ok;
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM label ORDER BY name", err);
    *count = 0;
    if (!sql)
        return false;
    while ((ok = sql_step(sql, &row, err)) && row && *count < ACCESS_LABELS_MAX)
        read_row(sql, &out[(*count)++]);
    sql_done(sql);
    return ok;
}

// ---- changes

static bool tell(struct database *db, const char *name, struct error *err)
{
    return store_event_add(db, STORE_EVENT_CONFIG_CHANGED, "", name, &(struct store_event_detail){.what = "label"},
                           err);
}

// The lowest bit that no label has.
static bool free_bit(struct database *db, const char *name, unsigned *out, struct error *err)
{
    struct access_label labels[ACCESS_LABELS_MAX];
    size_t count;
    uint64_t used = 0;
    if (!label_rows(db, labels, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        used |= UINT64_C(1) << labels[i].bit;
    for (*out = 0; *out < ACCESS_LABELS_MAX; ++*out)
        if (!(used >> *out & 1))
            return true;
    return error_set(err, ERROR_LIMIT, "label %s: there are %d already; remove one that nobody needs", name,
                     ACCESS_LABELS_MAX);
}

// Versions go on after a removal, so that a version names one state for ever.
static bool next_version(struct database *db, const char *name, int64_t *out, struct error *err)
{
    bool found;
    return sql_run(db, err,
                   "INSERT INTO label_version(name, version) VALUES(?, 1) ON CONFLICT (name) DO UPDATE SET"
                   " version = label_version.version + 1",
                   "t", name) &&
           sql_get_int(db, err, out, &found, "SELECT version FROM label_version WHERE name = ?", "t", name);
}

static bool write_row(struct database *db, struct access_label *label, bool found, struct error *err)
{
    if (!next_version(db, label->name, &label->version, err))
        return false;
    if (found)
        return sql_run(db, err, "UPDATE label SET description = ?2, version = ?3 WHERE name = ?1", "tti", label->name,
                       label->description, label->version) &&
               tell(db, label->name, err);
    return free_bit(db, label->name, &label->bit, err) &&
           sql_run(db, err, "INSERT INTO label(" COLUMNS ") VALUES(?, ?, ?, ?)", "itti", (int64_t)label->bit,
                   label->name, label->description, label->version) &&
           tell(db, label->name, err);
}

bool label_row_put(struct database *db, struct label_change *change, struct error *err)
{
    const struct access_label *wanted = change->label, *before = &change->before;
    if (!label_row_get(db, wanted->name, &change->before, &change->was_there, err))
        return false;
    if (wanted->version != 0 && (!change->was_there || wanted->version != before->version))
        return error_set(err, ERROR_CONFLICT, "label %s was changed since (version %lld, not %lld): read it again",
                         wanted->name, (long long)before->version, (long long)wanted->version);
    change->now = change->was_there ? *before : *wanted;
    change->changed = !change->was_there || strcmp(before->description, wanted->description) != 0;
    text_copy(change->now.description, sizeof change->now.description, wanted->description);
    return !change->changed || write_row(db, &change->now, change->was_there, err);
}

// Who may have a label: one of those who have it, by its name or by its bit, and how many they are. Of studies one that
// is seen by who asks: ?2 is hidden.
static const struct {
    const char *what, *one;
    enum { BY_NAME, BY_BIT, BY_BIT_SEEN } how; // what is bound
} holders[] = {
    {"study",
     "SELECT min(CASE WHEN (labels & ?2) = 0 THEN study END), count(*) FROM study_label WHERE labels <> 0 AND (labels "
     "& ?1) <> 0",
     BY_BIT_SEEN},
    {"peer",
     "SELECT min(name), count(*) FROM peer WHERE instr(',' || labels || ',', ',' || ?1 || ',') > 0"
     " OR instr(',' || puts || ',', ',' || ?1 || ',') > 0",
     BY_NAME},
    {"account", "SELECT min(name), count(*) FROM account WHERE (labels & ?1) <> 0", BY_BIT},
    {"token", "SELECT min(name), count(*) FROM token WHERE (labels & ?1) <> 0", BY_BIT},
};

static bool check_free(struct database *db, struct access_scope scope, const struct access_label *label,
                       struct error *err)
{
    bool row, free = true;
    for (size_t i = 0; free && i < sizeof holders / sizeof *holders; i++) {
        struct sql *sql = sql_prepare(db, holders[i].one, err);
        if (!sql)
            return false;
        if (holders[i].how == BY_NAME)
            sql_bind_text(sql, 1, label->name);
        else
            sql_bind_int(sql, 1, (int64_t)(UINT64_C(1) << label->bit));
        if (holders[i].how == BY_BIT_SEEN)
            sql_bind_int(sql, 2, (int64_t)scope.hidden);
        free = sql_step(sql, &row, err);
        if (free && sql_int(sql, 1) > 0)
            free = error_set(err, ERROR_CONFLICT, "label %s is that of %s %s: take it from there first", label->name,
                             holders[i].what, sql_text(sql, 0) ? sql_text(sql, 0) : "that you do not see");
        sql_done(sql);
    }
    return free;
}

bool label_row_remove(struct database *db, struct label_change *change, struct error *err)
{
    if (!label_row_get(db, change->label->name, &change->before, &change->was_there, err))
        return false;
    if (!change->was_there)
        return error_set(err, ERROR_NOT_FOUND, "no label is called %s", change->label->name);
    change->changed = true;
    return check_free(db, change->scope, &change->before, err) &&
           next_version(db, change->before.name, &change->now.version, err) &&
           sql_run(db, err, "DELETE FROM label WHERE name = ?", "t", change->before.name) &&
           tell(db, change->before.name, err);
}

// ---- lists of names

bool label_bits(struct database *db, const char *names, bool enter, uint64_t *out, struct error *err)
{
    *out = 0;
    while (*names) {
        bool found;
        struct access_label label = {.description = "entered anew: studies are to have it that came or come"};
        size_t size = strcspn(names, ",");
        if (!text_copy_n(label.name, sizeof label.name, names, size))
            return error_set(err, ERROR_BAD_VALUE, "label '%.40s' is longer than %d characters", names,
                             ACCESS_LABEL_SIZE - 1);
        names += size + (names[size] == ',');
        struct access_label known = label;
        if (!label_row_get(db, label.name, &known, &found, err))
            return false;
        if (!found && !enter)
            return error_set(err, ERROR_BAD_VALUE, "there is no label '%s': enter it first (PUT /api/labels/%s)",
                             label.name, label.name);
        if (!found && !write_row(db, &known, false, err))
            return false;
        *out |= UINT64_C(1) << known.bit;
    }
    return true;
}

// ---- studies

bool access_study_labels(struct database *db, const char *study, struct access_study_labels *out, struct error *err)
{
    bool row = false;
    struct sql *sql = sql_prepare(db, "SELECT labels, version FROM study_label WHERE study = ?", err);
    *out = (struct access_study_labels){0};
    if (!sql)
        return false;
    sql_bind_text(sql, 1, study);
    bool ok = sql_step(sql, &row, err);
    if (ok && row)
        *out = (struct access_study_labels){(uint64_t)sql_int(sql, 0), sql_int(sql, 1)};
    sql_done(sql);
    return ok;
}

bool access_sees(struct database *db, struct access_scope scope, const char *study, bool *out, struct error *err)
{
    struct access_study_labels has;
    bool ok = access_study_labels(db, study, &has, err);
    *out = ok && (has.labels & scope.hidden) == 0;
    return ok;
}

static bool write_study(struct database *db, const char *study, uint64_t labels, struct error *err)
{
    return sql_run(db, err,
                   "INSERT INTO study_label(study, labels, version) VALUES(?1, ?2, 1) ON CONFLICT (study) DO UPDATE SET"
                   " labels = excluded.labels, version = study_label.version + 1",
                   "ti", study, (int64_t)labels) &&
           store_event_add(db, STORE_EVENT_WORKLIST_CHANGED, study, "", NULL, err) &&
           store_event_add(db, STORE_EVENT_WORKLIST_CHANGED, "", "", NULL, err);
}

bool access_study_label(struct database *db, const char *study, const char *names, bool *changed, struct error *err)
{
    uint64_t labels;
    struct access_study_labels has;
    if (!label_bits(db, names, true, &labels, err) || !access_study_labels(db, study, &has, err))
        return false;
    *changed = (labels & ~has.labels) != 0;
    return !*changed || write_study(db, study, has.labels | labels, err);
}

bool access_study_labels_set(struct database *db, const char *study, uint64_t labels, int64_t version,
                             struct access_study_labels *now, struct error *err)
{
    if (!access_study_labels(db, study, now, err))
        return false;
    if (now->version != version)
        return error_set(err, ERROR_CONFLICT,
                         "the labels of study %.64s were changed since (version %lld, not %lld):"
                         " read them again",
                         study, (long long)now->version, (long long)version);
    return now->labels == labels || (write_study(db, study, labels, err) && access_study_labels(db, study, now, err));
}

bool label_row_sets(struct database *db, struct access_unseen out[ACCESS_UNSEEN_MAX], size_t *count, struct error *err)
{
    bool row = true, ok;
    struct sql *sql = sql_prepare(
        db, "SELECT labels, count(*) FROM study_label WHERE labels <> 0 GROUP BY labels ORDER BY labels", err);
    *count = 0;
    if (!sql)
        return false;
    while ((ok = sql_step(sql, &row, err)) && row && *count < ACCESS_UNSEEN_MAX)
        out[(*count)++] = (struct access_unseen){(uint64_t)sql_int(sql, 0), sql_int(sql, 1)};
    sql_done(sql);
    return ok;
}
