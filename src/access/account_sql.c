// Accounts, their passwords' hashes, sessions and tokens. `account_version` keeps every change with who made it, never
// with a hash.
#include "access/account_row.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/event.h"

const char account_tables[] = "CREATE TABLE account ("
                              " name TEXT PRIMARY KEY,"
                              " shown TEXT NOT NULL,"
                              " roles INTEGER NOT NULL,"
                              " labels INTEGER NOT NULL,"
                              " enabled INTEGER NOT NULL,"
                              " hash TEXT NOT NULL,"
                              " issuer TEXT NOT NULL,"
                              " subject TEXT NOT NULL,"
                              " version INTEGER NOT NULL"
                              ") STRICT;"
                              "CREATE INDEX account_by_provider ON account (issuer, subject);"
                              "CREATE TABLE account_version ("
                              " name TEXT NOT NULL,"
                              " version INTEGER NOT NULL,"
                              " actor TEXT NOT NULL,"
                              " changed_ns INTEGER NOT NULL,"
                              " roles INTEGER NOT NULL,"
                              " enabled INTEGER NOT NULL,"
                              " PRIMARY KEY (name, version)"
                              ") STRICT;"
                              "CREATE TABLE session ("
                              " digest BLOB PRIMARY KEY,"
                              " id TEXT NOT NULL UNIQUE,"
                              " csrf TEXT NOT NULL,"
                              " account TEXT NOT NULL,"
                              " way INTEGER NOT NULL,"
                              " began_ns INTEGER NOT NULL,"
                              " used_ns INTEGER NOT NULL,"
                              " ends_ns INTEGER NOT NULL"
                              ") STRICT;"
                              "CREATE INDEX session_by_account ON session (account);"
                              "CREATE TABLE token ("
                              " name TEXT PRIMARY KEY,"
                              " digest BLOB NOT NULL UNIQUE,"
                              " roles INTEGER NOT NULL,"
                              " labels INTEGER NOT NULL,"
                              " made_ns INTEGER NOT NULL,"
                              " ends_ns INTEGER NOT NULL,"
                              " made_by TEXT NOT NULL"
                              ") STRICT;";

#define COLUMNS "name, shown, roles, labels, enabled, issuer, subject, version, hash"

static void copy_column(char *to, size_t capacity, struct sql *sql, int column)
{
    const char *text = sql_text(sql, column);
    text_copy(to, capacity, text ? text : "");
}

static void read_account(struct sql *sql, struct account_row *out)
{
    *out = (struct account_row){0};
    struct access_account *account = &out->account;
    copy_column(account->name, sizeof account->name, sql, 0);
    copy_column(account->shown, sizeof account->shown, sql, 1);
    account->roles = (unsigned)sql_int(sql, 2);
    account->labels = (uint64_t)sql_int(sql, 3);
    account->enabled = sql_int(sql, 4) != 0;
    copy_column(account->issuer, sizeof account->issuer, sql, 5);
    copy_column(account->subject, sizeof account->subject, sql, 6);
    account->version = sql_int(sql, 7);
    copy_column(out->hash, sizeof out->hash, sql, 8);
    account->has_password = *out->hash != '\0';
}

// One row of a statement that is bound; takes it.
static bool read_one(struct sql *sql, struct account_row *out, bool *found, struct error *err)
{
    bool ok = sql_step(sql, found, err);
    if (ok && *found)
        read_account(sql, out);
    sql_done(sql);
    return ok;
}

bool account_row_get(struct database *db, const char *name, struct account_row *out, bool *found, struct error *err)
{
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM account WHERE name = ?", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, name);
    return read_one(sql, out, found, err);
}

bool account_row_by_provider(struct database *db, const char *issuer, const char *subject, struct account_row *out,
                             bool *found, struct error *err)
{
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM account WHERE issuer = ? AND subject = ?", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, issuer);
    sql_bind_text(sql, 2, subject);
    return read_one(sql, out, found, err);
}

bool account_row_count(struct database *db, int64_t *out, struct error *err)
{
    bool found;
    return sql_get_int(db, err, out, &found, "SELECT count(*) FROM account", "");
}

bool account_row_list(struct database *db, struct arena *arena, struct access_account **out, size_t *count,
                      struct error *err)
{
    int64_t rows = 0;
    struct account_row row;
    bool more = true, ok = true;
    if (!account_row_count(db, &rows, err))
        return false;
    *count = 0;
    *out = arena_calloc(arena, (size_t)rows, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_MEMORY, "no memory for %lld accounts", (long long)rows);
    struct sql *sql = sql_prepare(db, "SELECT " COLUMNS " FROM account ORDER BY name", err);
    if (!sql)
        return false;
    while (ok && more && *count < (size_t)rows) {
        ok = sql_step(sql, &more, err);
        if (!ok || !more)
            break;
        read_account(sql, &row);
        (*out)[(*count)++] = row.account;
    }
    sql_done(sql);
    return ok;
}

bool account_row_sights(struct database *db, struct arena *arena, struct account_sight **out, size_t *count,
                        struct error *err)
{
    int64_t rows = 0;
    bool more = true, ok = true;
    *count = 0;
    if (!account_row_count(db, &rows, err))
        return false;
    *out = arena_calloc(arena, (size_t)rows, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_MEMORY, "no memory for the labels of %lld accounts", (long long)rows);
    struct sql *sql = sql_prepare(db, "SELECT DISTINCT roles, labels FROM account WHERE enabled = 1", err);
    if (!sql)
        return false;
    while ((ok = sql_step(sql, &more, err)) && more && *count < (size_t)rows)
        (*out)[(*count)++] = (struct account_sight){(unsigned)sql_int(sql, 0), (uint64_t)sql_int(sql, 1)};
    sql_done(sql);
    return ok;
}

bool account_row_alike(struct database *db, const char *name, const char *shown, bool *found,
                       char other[ACCESS_NAME_SIZE], struct error *err)
{
    bool more = true, ok = true;
    *found = false;
    struct sql *sql = sql_prepare(db, "SELECT name, shown FROM account WHERE enabled = 1 AND name <> ?", err);
    if (!sql)
        return false;
    sql_bind_text(sql, 1, name);
    while (ok && more && !*found) {
        ok = sql_step(sql, &more, err);
        *found = ok && more && text_looks_alike(sql_text(sql, 1), shown);
        if (*found)
            copy_column(other, ACCESS_NAME_SIZE, sql, 0);
    }
    sql_done(sql);
    return ok;
}

// ---- a change

// Judgements carry the shown name alone: of two people who have the same nobody could tell who it was. What was so
// before stays until somebody touches it.
static bool check_shown(struct database *db, const struct account_change *change, struct error *err)
{
    const struct access_account *wanted = change->account, *before = &change->before.account;
    char other[ACCESS_NAME_SIZE];
    bool found = false;
    if (!wanted || !wanted->enabled ||
        (change->was_there && before->enabled && strcmp(before->shown, wanted->shown) == 0))
        return true;
    return account_row_alike(db, change->name, wanted->shown, &found, other, err) &&
           (!found || error_set(err, ERROR_CONFLICT,
                                "account %s would be shown as '%s', as account %s is, and judgements carry that name "
                                "alone: add what tells them apart",
                                change->name, wanted->shown, other));
}

static bool check_version(const struct account_change *change, struct error *err)
{
    const struct access_account *wanted = change->account;
    if (!wanted)
        return change->was_there || error_set(err, ERROR_NOT_FOUND, "no account is called %s", change->name);
    if (change->is_new && change->was_there)
        return error_set(err, ERROR_FORBIDDEN,
                         "the account %s is another one's here, who has a password: an administrator gives it the "
                         "provider's issuer and the subject '%.100s' if you are that one, or removes it",
                         change->name, wanted->subject);
    if (wanted->version == 0 || (change->was_there && wanted->version == change->before.account.version))
        return true;
    return error_set(err, ERROR_CONFLICT, "account %s was changed since (version %lld, not %lld): read it again",
                     change->name, (long long)(change->was_there ? change->before.account.version : 0),
                     (long long)wanted->version);
}

static bool same(const struct access_account *a, const struct access_account *b)
{
    return strcmp(a->shown, b->shown) == 0 && a->roles == b->roles && a->labels == b->labels &&
           a->enabled == b->enabled && strcmp(a->issuer, b->issuer) == 0 && strcmp(a->subject, b->subject) == 0;
}

// Somebody has to be able to undo what this does.
bool account_row_administrators(struct database *db, struct error *err)
{
    int64_t left = 0;
    bool found;
    return sql_get_int(db, err, &left, &found,
                       "SELECT count(*) FROM account WHERE enabled = 1 AND (roles & ?) <> 0"
                       " AND (hash <> '' OR EXISTS(SELECT 1 FROM provider WHERE provider.issuer = account.issuer))",
                       "i", (int64_t)1 << ACCESS_ADMINISTRATOR) &&
           (left > 0 || error_set(err, ERROR_CONFLICT,
                                  "no enabled administrator who can log in would be left: make another one first"));
}

bool account_row_is_of_provider(struct database *db, const char *name, int64_t version, bool *out, struct error *err)
{
    int64_t count = 0;
    bool found;
    bool ok = sql_get_int(db, err, &count, &found,
                          "SELECT count(*) FROM account, provider WHERE account.name = ? AND provider.version = ? AND "
                          "provider.issuer = account.issuer",
                          "ti", name, version);
    *out = count > 0;
    return ok;
}

static bool check_count(struct database *db, const struct account_change *change, struct error *err)
{
    int64_t count = 0;
    if (!account_row_count(db, &count, err))
        return false;
    if (change->first && count > 0)
        return error_set(err, ERROR_CONFLICT, "there is an account already: an administrator makes others");
    return change->was_there || !change->account || count < ACCESS_ACCOUNTS_MAX ||
           error_set(err, ERROR_LIMIT, "there are %d accounts, which are the most", ACCESS_ACCOUNTS_MAX);
}

static bool write_account(struct database *db, const struct account_change *change, struct error *err)
{
    const struct access_account *account = change->account;
    if (!sql_run(db, err, "DELETE FROM account WHERE name = ?", "t", change->name))
        return false;
    return !account || sql_run(db, err, "INSERT INTO account (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                               "ttiiittit", account->name, account->shown, (int64_t)account->roles,
                               (int64_t)account->labels, (int64_t)account->enabled, account->issuer, account->subject,
                               change->version, change->hash ? change->hash : change->before.hash);
}

static bool keep_version(struct database *db, struct account_change *change, struct error *err)
{
    const struct access_account *account = change->account;
    bool found;
    return sql_get_int(db, err, &change->version, &found,
                       "SELECT coalesce(max(version), 0) + 1 FROM account_version WHERE name = ?", "t", change->name) &&
           sql_run(db, err,
                   "INSERT INTO account_version (name, version, actor, changed_ns, roles, enabled)"
                   " VALUES (?, ?, ?, ?, ?, ?)",
                   "titiii", change->name, change->version, change->actor, change->now_ns,
                   (int64_t)(account ? account->roles : 0), (int64_t)(account ? account->enabled : 0));
}

bool account_row_change(struct database *db, struct account_change *change, struct error *err)
{
    change->changed = false;
    if (!account_row_get(db, change->name, &change->before, &change->was_there, err) || !check_version(change, err) ||
        !check_count(db, change, err) || !check_shown(db, change, err))
        return false;
    if (change->account && change->was_there && !change->hash && same(change->account, &change->before.account))
        return true;
    if (!keep_version(db, change, err) || !write_account(db, change, err) || !account_row_administrators(db, err))
        return false;
    change->changed = true;
    return store_event_add(db, STORE_EVENT_CONFIG_CHANGED, "", change->name,
                           &(struct store_event_detail){.what = "account"}, err);
}

// ---- sessions

bool session_row_add(struct database *db, const struct session_row *row, struct error *err)
{
    struct sql *sql = sql_prepare(db,
                                  "INSERT INTO session (digest, id, csrf, account, way, began_ns, used_ns, ends_ns)"
                                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                                  err);
    bool more;
    if (!sql)
        return false;
    sql_bind_blob(sql, 1, row->digest, HASH_SIZE);
    sql_bind_text(sql, 2, row->id);
    sql_bind_text(sql, 3, row->csrf);
    sql_bind_text(sql, 4, row->account);
    sql_bind_int(sql, 5, (int64_t)row->way);
    sql_bind_int(sql, 6, row->began_ns);
    sql_bind_int(sql, 7, row->used_ns);
    sql_bind_int(sql, 8, row->ends_ns);
    bool ok = sql_step(sql, &more, err);
    sql_done(sql);
    return ok;
}

static bool run_with_digest(struct database *db, const char *text, const uint8_t digest[HASH_SIZE], int64_t number,
                            struct error *err)
{
    struct sql *sql = sql_prepare(db, text, err);
    bool more;
    if (!sql)
        return false;
    sql_bind_blob(sql, 1, digest, HASH_SIZE);
    if (number > 0)
        sql_bind_int(sql, 2, number);
    bool ok = sql_step(sql, &more, err);
    sql_done(sql);
    return ok;
}

bool session_row_used(struct database *db, const uint8_t digest[HASH_SIZE], int64_t used_ns, struct error *err)
{
    return run_with_digest(db, "UPDATE session SET used_ns = ?2 WHERE digest = ?1", digest, used_ns, err);
}

bool session_row_end(struct database *db, const uint8_t digest[HASH_SIZE], struct error *err)
{
    return run_with_digest(db, "DELETE FROM session WHERE digest = ?1", digest, 0, err);
}

bool session_row_end_all(struct database *db, const char *account, struct error *err)
{
    return sql_run(db, err, "DELETE FROM session WHERE account = ?", "t", account);
}

bool session_row_end_way(struct database *db, enum access_way way, struct error *err)
{
    return sql_run(db, err, "DELETE FROM session WHERE way = ?", "i", (int64_t)way);
}

bool session_row_prune(struct database *db, int64_t now_ns, struct error *err)
{
    return sql_run(db, err, "DELETE FROM session WHERE ends_ns <= ?", "i", now_ns);
}

static bool read_digest(struct sql *sql, int column, uint8_t out[HASH_SIZE])
{
    size_t size;
    const void *bytes = sql_blob(sql, column, &size);
    if (!bytes || size != HASH_SIZE)
        return false;
    memcpy(out, bytes, HASH_SIZE);
    return true;
}

bool session_row_each(struct database *db, bool (*each)(const struct session_row *row, void *payload), void *payload,
                      struct error *err)
{
    bool more = true, ok = true;
    struct sql *sql = sql_prepare(db,
                                  "SELECT digest, id, csrf, account, way, began_ns, used_ns, ends_ns FROM session"
                                  " ORDER BY began_ns",
                                  err);
    while (sql && ok && (ok = sql_step(sql, &more, err)) && more) {
        struct session_row row = {.way = (enum access_way)sql_int(sql, 4),
                                  .began_ns = sql_int(sql, 5),
                                  .used_ns = sql_int(sql, 6),
                                  .ends_ns = sql_int(sql, 7)};
        copy_column(row.id, sizeof row.id, sql, 1);
        copy_column(row.csrf, sizeof row.csrf, sql, 2);
        copy_column(row.account, sizeof row.account, sql, 3);
        ok = !read_digest(sql, 0, row.digest) || each(&row, payload) ||
             error_set(err, ERROR_MEMORY, "no memory for the sessions");
    }
    if (sql)
        sql_done(sql);
    return sql && ok;
}

// ---- tokens

bool token_row_add(struct database *db, const struct token_row *row, struct error *err)
{
    const struct access_token *token = &row->token;
    int64_t there = 0, all = 0;
    bool found, more;
    if (!sql_get_int(db, err, &there, &found, "SELECT count(*) FROM token WHERE name = ?", "t", token->name) ||
        !sql_get_int(db, err, &all, &found, "SELECT count(*) FROM token", ""))
        return false;
    if (there > 0)
        return error_set(err, ERROR_DUPLICATE, "a token is called %s already: remove it, or take another name",
                         token->name);
    if (all >= ACCESS_TOKENS_MAX)
        return error_set(err, ERROR_LIMIT, "there are %d tokens, which are the most: remove some", ACCESS_TOKENS_MAX);
    struct sql *sql = sql_prepare(
        db, "INSERT INTO token (digest, name, roles, labels, made_ns, ends_ns, made_by) VALUES (?, ?, ?, ?, ?, ?, ?)",
        err);
    if (!sql)
        return false;
    sql_bind_blob(sql, 1, row->digest, HASH_SIZE);
    sql_bind_text(sql, 2, token->name);
    sql_bind_int(sql, 3, (int64_t)token->roles);
    sql_bind_int(sql, 4, (int64_t)token->labels);
    sql_bind_int(sql, 5, token->made_ns);
    sql_bind_int(sql, 6, token->ends_ns);
    sql_bind_text(sql, 7, token->made_by);
    bool ok = sql_step(sql, &more, err);
    sql_done(sql);
    return ok;
}

bool token_row_remove(struct database *db, const char *name, bool *found, struct error *err)
{
    if (!sql_run(db, err, "DELETE FROM token WHERE name = ?", "t", name))
        return false;
    *found = sql_changes(db) > 0;
    return true;
}

bool token_row_each(struct database *db, bool (*each)(const struct token_row *row, void *payload), void *payload,
                    struct error *err)
{
    bool more = true, ok = true;
    struct sql *sql =
        sql_prepare(db, "SELECT digest, name, roles, labels, made_ns, ends_ns, made_by FROM token ORDER BY name", err);
    while (sql && ok && (ok = sql_step(sql, &more, err)) && more) {
        struct token_row row = {.token = {.roles = (unsigned)sql_int(sql, 2),
                                          .labels = (uint64_t)sql_int(sql, 3),
                                          .made_ns = sql_int(sql, 4),
                                          .ends_ns = sql_int(sql, 5)}};
        copy_column(row.token.name, sizeof row.token.name, sql, 1);
        copy_column(row.token.made_by, sizeof row.token.made_by, sql, 6);
        ok = !read_digest(sql, 0, row.digest) || each(&row, payload) ||
             error_set(err, ERROR_MEMORY, "no memory for the tokens");
    }
    if (sql)
        sql_done(sql);
    return sql && ok;
}
