// The tables of the access room. `peer` is what holds now; `peer_version` keeps every change with who made it, value
// NULL for a removal.
#include "access/access_internal.h"
#include "access/account_row.h"
#include "access/label_row.h"
#include "access/provider_row.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/event.h"

static const char *const steps[] = {
    "CREATE TABLE peer ("
    " name TEXT PRIMARY KEY,"
    " title TEXT NOT NULL,"
    " host TEXT NOT NULL,"
    " port INTEGER NOT NULL CHECK (port BETWEEN 0 AND 65535),"
    " rights INTEGER NOT NULL,"
    " plain_accepted INTEGER NOT NULL CHECK (plain_accepted IN (0, 1)),"
    " issuer TEXT NOT NULL,"
    " associations_max INTEGER NOT NULL,"
    " version INTEGER NOT NULL,"
    " UNIQUE (title, host)"
    ") STRICT;"
    "CREATE TABLE peer_version ("
    " name TEXT NOT NULL,"
    " version INTEGER NOT NULL,"
    " actor TEXT NOT NULL,"
    " changed_ns INTEGER NOT NULL,"
    " value TEXT,"
    " PRIMARY KEY (name, version)"
    ") STRICT;",
    "ALTER TABLE peer ADD COLUMN newest INTEGER NOT NULL DEFAULT 0 CHECK (newest IN (0, 1));",
    "ALTER TABLE peer ADD COLUMN charset TEXT NOT NULL DEFAULT '';",
    "ALTER TABLE peer ADD COLUMN tls INTEGER NOT NULL DEFAULT 0 CHECK (tls IN (0, 1));"
    "ALTER TABLE peer ADD COLUMN certificate TEXT NOT NULL DEFAULT '';",
    account_tables,
    label_tables,
    "ALTER TABLE peer ADD COLUMN labels TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE peer ADD COLUMN puts TEXT NOT NULL DEFAULT '';",
    provider_tables,
    NULL,
};

const struct store_migration access_migration = {.room = "access", .steps = steps};

#define COLUMNS                                                                                                        \
    "name, title, host, port, rights, plain_accepted, issuer, associations_max, newest, charset, version, tls,"        \
    " certificate, labels, puts"

static void copy_column(char *to, size_t capacity, struct sql *sql, int column)
{
    const char *text = sql_text(sql, column);
    text_copy(to, capacity, text ? text : "");
}

static void read_row(struct sql *sql, struct access_peer *out)
{
    *out = (struct access_peer){0};
    copy_column(out->name, sizeof out->name, sql, 0);
    copy_column(out->title, sizeof out->title, sql, 1);
    copy_column(out->host, sizeof out->host, sql, 2);
    out->port = (uint16_t)sql_int(sql, 3);
    out->rights = (unsigned)sql_int(sql, 4);
    out->plain_accepted = sql_int(sql, 5) != 0;
    copy_column(out->issuer, sizeof out->issuer, sql, 6);
    out->associations_max = (uint32_t)sql_int(sql, 7);
    out->newest = sql_int(sql, 8) != 0;
    copy_column(out->charset, sizeof out->charset, sql, 9);
    out->version = sql_int(sql, 10);
    out->tls = sql_int(sql, 11) != 0;
    copy_column(out->certificate, sizeof out->certificate, sql, 12);
    copy_column(out->labels, sizeof out->labels, sql, 13);
    copy_column(out->puts, sizeof out->puts, sql, 14);
}

bool access_sql_peer_get(struct database *db, const char *name, struct access_peer *out, bool *found, struct error *err)
{
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM peer WHERE name = ?", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, name);
    bool ok = sql_step(sql, found, err);
    if (ok && *found)
        read_row(sql, out);
    sql_done(sql);
    return ok;
}

static bool read_all(struct sql *sql, struct access_peer *out, size_t capacity, size_t *count, struct error *err)
{
    *count = 0;
    for (;;) {
        bool row;
        if (!sql_step(sql, &row, err))
            return false;
        if (!row || *count == capacity)
            return true;
        read_row(sql, &out[(*count)++]);
    }
}

bool access_sql_peer_count(struct database *db, int64_t *out, struct error *err)
{
    bool found;
    return sql_get_int(db, err, out, &found, "SELECT count(*) FROM peer", "");
}

bool access_sql_peer_list(struct database *db, struct arena *arena, struct access_peer **out, size_t *count,
                          struct error *err)
{
    int64_t rows = 0;
    if (!access_sql_peer_count(db, &rows, err))
        return false;
    struct access_peer *peers = arena_calloc(arena, (size_t)rows, sizeof *peers);
    if (!peers)
        return error_set(err, ERROR_MEMORY, "no memory for %lld peers", (long long)rows);
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM peer ORDER BY name", err);
    if (!sql)
        return false;
    bool ok = read_all(sql, peers, (size_t)rows, count, err);
    sql_done(sql);
    if (ok)
        *out = peers;
    return ok;
}

static bool same(const struct access_peer *a, const struct access_peer *b)
{
    return strcmp(a->title, b->title) == 0 && strcmp(a->host, b->host) == 0 && a->port == b->port &&
           a->rights == b->rights && a->plain_accepted == b->plain_accepted && strcmp(a->issuer, b->issuer) == 0 &&
           a->associations_max == b->associations_max && a->newest == b->newest &&
           strcmp(a->charset, b->charset) == 0 && a->tls == b->tls && strcmp(a->certificate, b->certificate) == 0 &&
           strcmp(a->labels, b->labels) == 0 && strcmp(a->puts, b->puts) == 0;
}

// Versions go on after a removal, so that a version names one state for ever.
static bool next_version(struct database *db, struct access_peer_change *change, struct error *err)
{
    bool found;
    if (!sql_get_int(db, err, &change->version, &found,
                     "SELECT coalesce(max(version), 0) + 1 FROM peer_version WHERE name = ?", "t", change->name))
        return false;
    return true;
}

static bool keep_version(struct database *db, const struct access_peer_change *change, struct error *err)
{
    char *value = NULL;
    if (change->peer) {
        struct access_peer peer = *change->peer;
        peer.version = change->version;
        json_t *json = access_peer_to_json(&peer);
        value = json ? json_dumps(json, JSON_COMPACT) : NULL;
        json_decref(json);
        if (!value)
            return error_set(err, ERROR_MEMORY, "no memory for peer %s", change->name);
    }
    bool ok =
        sql_run(db, err, "INSERT INTO peer_version (name, version, actor, changed_ns, value) VALUES (?, ?, ?, ?, ?)",
                "titit", change->name, change->version, change->actor, change->now_ns, value);
    free(value);
    return ok;
}

// Two entries that match the same peer would make its issuer and rights a matter of luck.
static bool check_unique(struct database *db, const struct access_peer *peer, struct error *err)
{
    int64_t other = 0;
    bool found;
    if (!sql_get_int(db, err, &other, &found, "SELECT count(*) FROM peer WHERE title = ? AND host = ? AND name <> ?",
                     "ttt", peer->title, peer->host, peer->name))
        return false;
    if (other == 0)
        return true;
    return error_set(err, ERROR_DUPLICATE, "another peer has the title %s at %s: change that one, or remove it",
                     peer->title, peer->host);
}

static bool check_labels(struct database *db, const struct access_peer *peer, struct error *err)
{
    uint64_t bits;
    return (label_bits(db, peer->labels, false, &bits, err) && label_bits(db, peer->puts, false, &bits, err)) ||
           error_prefix(err, "peer %s", peer->name);
}

static bool remove_row(struct database *db, const char *name, struct error *err)
{
    return sql_run(db, err, "DELETE FROM peer WHERE name = ?", "t", name);
}

static bool write_row(struct database *db, const struct access_peer_change *change, struct error *err)
{
    const struct access_peer *peer = change->peer;
    return check_unique(db, peer, err) && check_labels(db, peer, err) && remove_row(db, peer->name, err) &&
           sql_run(db, err, "INSERT INTO peer (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "tttiiitiitiittt", peer->name, peer->title, peer->host, (int64_t)peer->port, (int64_t)peer->rights,
                   (int64_t)peer->plain_accepted, peer->issuer, (int64_t)peer->associations_max, (int64_t)peer->newest,
                   peer->charset, change->version, (int64_t)peer->tls, peer->certificate, peer->labels, peer->puts);
}

static bool check_present(const struct access_peer_change *change, const struct access_peer *present, bool found,
                          struct error *err)
{
    const struct access_peer *wanted = change->peer;
    if (!wanted)
        return found || error_set(err, ERROR_NOT_FOUND, "no peer is called %s", change->name);
    if (wanted->version == 0 || (found && wanted->version == present->version))
        return true;
    return error_set(err, ERROR_CONFLICT, "peer %s was changed since (version %lld, not %lld): read it again",
                     change->name, (long long)(found ? present->version : 0), (long long)wanted->version);
}

bool access_sql_peer_change(struct database *db, struct access_peer_change *change, struct error *err)
{
    const struct access_peer *present = &change->before;
    change->changed = false;
    if (!access_sql_peer_get(db, change->name, &change->before, &change->was_there, err) ||
        !check_present(change, present, change->was_there, err))
        return false;
    if (change->peer && change->was_there && same(change->peer, present))
        return true;
    if (!next_version(db, change, err) || !keep_version(db, change, err))
        return false;
    bool ok = change->peer ? write_row(db, change, err) : remove_row(db, change->name, err);
    change->changed = true;
    return ok && store_event_add(db, STORE_EVENT_CONFIG_CHANGED, "", change->name,
                                 &(struct store_event_detail){.what = "peer"}, err);
}
