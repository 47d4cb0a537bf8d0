// Configuration that changes without a restart: rows of JSON, each with a version, each change audited and told in the
// log.
#include "flow/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"

struct change {
    const char *kind, *name;
    const char *text; // NULL: remove
    int64_t version;  // in: the one it was made from, 0 whichever; out: the one it is now
    bool same;        // it was so already
    json_t *before;   // out: what was there, owned; NULL: nothing
};

static bool is_room(struct database *db, const char *kind, struct error *err)
{
    int64_t count;
    bool found;
    if (!sql_get_int(db, err, &count, &found, "SELECT count(*) FROM flow_config WHERE kind=?1", "t", kind))
        return false;
    return count <= FLOW_ROWS_MAX ||
           error_set(err, ERROR_LIMIT, "more than %d of kind %s; remove what is not needed", FLOW_ROWS_MAX, kind);
}

// Versions go on after a removal, so that a version names one state for ever.
static bool read_version(struct database *db, const struct change *change, int64_t *present, int64_t *last,
                         struct error *err)
{
    bool found;
    *present = *last = 0;
    if (!sql_get_int(db, err, present, &found, "SELECT version FROM flow_config WHERE kind=?1 AND name=?2", "tt",
                     change->kind, change->name) ||
        !sql_get_int(db, err, last, &found, "SELECT version FROM flow_removed WHERE kind=?1 AND name=?2", "tt",
                     change->kind, change->name))
        return false;
    *last = *present > *last ? *present : *last;
    return true;
}

static bool is_same(struct database *db, const struct change *change, bool *same, struct error *err)
{
    int64_t one;
    return sql_get_int(db, err, &one, same, "SELECT 1 FROM flow_config WHERE kind=?1 AND name=?2 AND json=?3", "ttt",
                       change->kind, change->name, change->text);
}

static bool read_before(struct database *db, struct change *change, struct error *err)
{
    bool row = false;
    struct sql *sql = sql_prepare(db, "SELECT json FROM flow_config WHERE kind=?1 AND name=?2", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, change->kind);
    sql_bind_text(sql, 2, change->name);
    bool ok = sql_step(sql, &row, err);
    json_decref(change->before); // of a try of this transaction before
    change->before = ok && row ? json_loads(sql_text(sql, 0), 0, NULL) : NULL;
    sql_done(sql);
    return ok;
}

static bool put_row(struct database *db, struct change *change, int64_t present, int64_t last, struct error *err)
{
    // First, so that a change whose answer was lost can be sent again.
    if (!is_same(db, change, &change->same, err))
        return false;
    if (!change->same && change->version != 0 && change->version != present)
        return error_set(err, ERROR_CONFLICT, "%s '%.64s' was changed since (version %lld, not %lld): read it again",
                         change->kind, change->name, (long long)present, (long long)change->version);
    change->version = change->same ? present : last + 1;
    return change->same || (sql_run(db, err,
                                    "INSERT INTO flow_config(kind, name, version, json) VALUES(?1,?2,?3,?4)"
                                    " ON CONFLICT(kind, name) DO UPDATE SET version=excluded.version, "
                                    "json=excluded.json",
                                    "ttit", change->kind, change->name, change->version, change->text) &&
                            is_room(db, change->kind, err));
}

static bool remove_row(struct database *db, const struct change *change, int64_t present, struct error *err)
{
    if (present == 0)
        return error_set(err, ERROR_NOT_FOUND, "there is no %s named '%.64s'", change->kind, change->name);
    return sql_run(db, err, "DELETE FROM flow_config WHERE kind=?1 AND name=?2", "tt", change->kind, change->name) &&
           sql_run(db, err,
                   "INSERT INTO flow_removed(kind, name, version) VALUES(?1,?2,?3) ON CONFLICT(kind, name) DO UPDATE "
                   "SET version=excluded.version",
                   "tti", change->kind, change->name, present);
}

static bool write_change(struct database *db, void *payload, struct error *err)
{
    struct change *change = payload;
    int64_t present, last;
    if (!read_version(db, change, &present, &last, err) || !read_before(db, change, err) ||
        !(change->text ? put_row(db, change, present, last, err) : remove_row(db, change, present, err)))
        return false;
    return change->same || store_event_add(db, STORE_EVENT_CONFIG_CHANGED, "", change->name,
                                           &(struct store_event_detail){.what = change->kind}, err);
}

// As a peer's line says it: each member that was changed, from what to what.
static void audit_change(struct access *access, const struct change *change, const char *actor)
{
    struct buffer detail;
    buffer_init(&detail, 16 << 10);
    buffer_printf(&detail, "%s '%.64s' %s", change->kind, change->name,
                  !change->text    ? "removed"
                  : change->before ? "changed"
                                   : "set");
    if (change->text) {
        json_t *after = json_loads(change->text, 0, NULL);
        buffer_printf(&detail, ", version %lld", (long long)change->version);
        access_changes(&detail, change->before, after);
        json_decref(after);
    }
    buffer_byte(&detail, '\0');
    access_audit_change(access, true, actor, detail.failed ? change->name : (const char *)detail.data, clock_now_ns());
    buffer_free(&detail);
}

static bool apply(struct store *store, struct access *access, struct change *change, const char *actor,
                  struct error *err)
{
    bool ok = store_write(store, STORE_DURABLE, write_change, change, err);
    if (ok && !change->same)
        audit_change(access, change, actor);
    json_decref(change->before);
    return ok;
}

bool named_row_put(struct store *store, struct access *access, const char *kind, const char *name, json_t *json,
                   int64_t *version, const char *actor, struct error *err)
{
    json_object_del(json, "version"); // a column of its own
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    struct change change = {.kind = kind, .name = name, .text = text, .version = *version};
    bool ok = text ? apply(store, access, &change, actor, err)
                   : error_set(err, ERROR_MEMORY, "no memory for %s '%.64s'", kind, name);
    if (ok)
        *version = change.version;
    free(text);
    return ok;
}

bool named_row_remove(struct store *store, struct access *access, const char *kind, const char *name, const char *actor,
                      struct error *err)
{
    struct change change = {.kind = kind, .name = name};
    return apply(store, access, &change, actor, err);
}

bool named_row_get(struct database *db, const char *kind, const char *name, struct arena *arena, const char **json,
                   struct error *err)
{
    bool row = false;
    *json = NULL;
    struct sql *sql = sql_prepare(db, "SELECT json FROM flow_config WHERE kind=?1 AND name=?2", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, kind);
    sql_bind_text(sql, 2, name);
    bool ok = sql_step(sql, &row, err);
    if (ok && row)
        ok = (*json = arena_strdup(arena, sql_text(sql, 0))) || error_set(err, ERROR_LIMIT, "no memory for a row");
    sql_done(sql);
    return ok;
}

bool named_row_each(struct store *store, const char *kind,
                    bool (*each)(const char *json, int64_t version, void *payload, struct error *err), void *payload,
                    struct error *err)
{
    bool row;
    struct database *db = store_read_begin(store, err);
    if (!db)
        return false;
    struct sql *sql = sql_prepare(db, "SELECT json, version FROM flow_config WHERE kind=?1 ORDER BY name", err);
    bool ok = sql != NULL;
    if (ok)
        sql_bind_text(sql, 1, kind);
    while (ok && (ok = sql_step(sql, &row, err)) && row)
        ok = each(sql_text(sql, 0), sql_int(sql, 1), payload, err);
    sql_done(sql);
    store_read_end(store, db);
    return ok;
}
