// The identity provider. `provider` is what holds now, one row at most; `provider_version` keeps every change with who
// made it, never with a secret, value NULL for a removal.
#include "access/provider_row.h"

#include <stdlib.h>
#include <string.h>

#include "access/account_row.h"
#include "store/event.h"

const char provider_tables[] = "CREATE TABLE provider ("
                               " name TEXT PRIMARY KEY,"
                               " issuer TEXT NOT NULL,"
                               " client_id TEXT NOT NULL,"
                               " client_secret TEXT NOT NULL,"
                               " scopes TEXT NOT NULL,"
                               " groups_claim TEXT NOT NULL,"
                               " roles TEXT NOT NULL,"
                               " authorities TEXT NOT NULL,"
                               " version INTEGER NOT NULL"
                               ") STRICT;"
                               "CREATE TABLE provider_version ("
                               " version INTEGER PRIMARY KEY,"
                               " actor TEXT NOT NULL,"
                               " changed_ns INTEGER NOT NULL,"
                               " value TEXT"
                               ") STRICT;";

#define COLUMNS "name, issuer, client_id, client_secret, scopes, groups_claim, roles, authorities, version"

static bool read_row(struct sql *sql, struct arena *arena, struct access_provider *out, struct error *err)
{
    const char **texts[] = {&out->name,   &out->issuer,       &out->client_id, &out->client_secret,
                            &out->scopes, &out->groups_claim, &out->roles,     &out->authorities};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *text = sql_text(sql, (int)i);
        *texts[i] = arena_strdup(arena, text ? text : "");
        if (!*texts[i])
            return error_set(err, ERROR_MEMORY, "no memory for the identity provider");
    }
    out->version = sql_int(sql, 8);
    return true;
}

bool provider_row_get(struct database *db, struct arena *arena, struct access_provider *out, bool *found,
                      struct error *err)
{
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM provider", err);
    if (!sql)
        return false;
    bool ok = sql_step(sql, found, err) && (!*found || read_row(sql, arena, out, err));
    sql_done(sql);
    return ok;
}

// ---- a change

static bool check_present(const struct provider_change *change, struct error *err)
{
    const struct access_provider *wanted = change->provider;
    if (!wanted)
        return change->was_there || error_set(err, ERROR_NOT_FOUND, "no identity provider is entered");
    if (wanted->version == 0 || (change->was_there && wanted->version == change->before.version))
        return true;
    return error_set(err, ERROR_CONFLICT,
                     "the identity provider was changed since (version %lld, not %lld): read it again",
                     (long long)(change->was_there ? change->before.version : 0), (long long)wanted->version);
}

static bool is_one_people(const struct access_provider *a, const struct access_provider *b)
{
    return strcmp(a->issuer, b->issuer) == 0 && strcmp(a->roles, b->roles) == 0 &&
           strcmp(a->groups_claim, b->groups_claim) == 0;
}

static bool same(const struct access_provider *a, const struct access_provider *b)
{
    return is_one_people(a, b) && strcmp(a->name, b->name) == 0 && strcmp(a->client_id, b->client_id) == 0 &&
           strcmp(a->client_secret, b->client_secret) == 0 && strcmp(a->scopes, b->scopes) == 0 &&
           strcmp(a->authorities, b->authorities) == 0;
}

// Versions go on after a removal, so that a login that has begun knows the provider that it began with.
static bool keep_version(struct database *db, struct provider_change *change, struct error *err)
{
    bool found;
    char *value = NULL;
    if (!sql_get_int(db, err, &change->version, &found, "SELECT coalesce(max(version), 0) + 1 FROM provider_version",
                     ""))
        return false;
    if (change->provider) {
        json_t *json = access_provider_to_json(change->provider);
        json_object_set_new(json, "version", json_integer((json_int_t)change->version));
        value = json ? json_dumps(json, JSON_COMPACT) : NULL;
        json_decref(json);
        if (!value)
            return error_set(err, ERROR_MEMORY, "no memory for the identity provider");
    }
    bool ok = sql_run(db, err, "INSERT INTO provider_version (version, actor, changed_ns, value) VALUES (?, ?, ?, ?)",
                      "itit", change->version, change->actor, change->now_ns, value);
    free(value);
    return ok;
}

static bool write_row(struct database *db, const struct provider_change *change, struct error *err)
{
    const struct access_provider *provider = change->provider;
    if (!sql_run(db, err, "DELETE FROM provider", ""))
        return false;
    return !provider ||
           sql_run(db, err, "INSERT INTO provider (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", "tttttttti",
                   provider->name, provider->issuer, provider->client_id, provider->client_secret, provider->scopes,
                   provider->groups_claim, provider->roles, provider->authorities, change->version);
}

// Where there is an account. The first may be made by the provider's word.
static bool check_administrators(struct database *db, struct error *err)
{
    int64_t accounts = 0;
    return account_row_count(db, &accounts, err) && (accounts == 0 || account_row_administrators(db, err));
}

bool provider_row_change(struct database *db, struct provider_change *change, struct error *err)
{
    const struct access_provider *wanted = change->provider;
    change->changed = false;
    if (!provider_row_get(db, change->arena, &change->before, &change->was_there, err) || !check_present(change, err))
        return false;
    if (wanted && change->was_there && same(wanted, &change->before))
        return true;
    change->ends = change->was_there && (!wanted || !is_one_people(wanted, &change->before));
    if (!keep_version(db, change, err) || !write_row(db, change, err) || !check_administrators(db, err) ||
        (change->ends && !session_row_end_way(db, ACCESS_BY_PROVIDER, err)))
        return false;
    change->changed = true;
    return store_event_add(db, STORE_EVENT_CONFIG_CHANGED, "", wanted ? wanted->name : change->before.name,
                           &(struct store_event_detail){.what = "provider"}, err);
}
