// Accounts: what is checked of them, their passwords, and the first of them.
#include "access/account.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/access_internal.h"
#include "access/login.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

// ---- helpers

bool access_secret_make(const char *prefix, char out[ACCESS_SECRET_SIZE])
{
    uint8_t bits[32];
    if (strlen(prefix) > 4 || sodium_init() < 0)
        return false;
    randombytes_buf(bits, sizeof bits);
    size_t used = strlen(prefix);
    memcpy(out, prefix, used);
    sodium_bin2base64(out + used, ACCESS_SECRET_SIZE - used, bits, sizeof bits,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bits, sizeof bits);
    return true;
}

json_t *access_roles_to_json(unsigned roles)
{
    json_t *list = json_array();
    for (enum access_role role = 0; role < ACCESS_ROLE_END; role++)
        if (roles & 1u << role)
            json_array_append_new(list, json_string(access_role_words(role)));
    return list;
}

static bool role_from(const char *word, unsigned *out)
{
    for (enum access_role role = 0; role < ACCESS_ROLE_END; role++)
        if (strcmp(access_role_words(role), word) == 0) {
            *out |= 1u << role;
            return true;
        }
    return false;
}

bool access_roles_read(const json_t *roles, unsigned *out, struct error *err)
{
    size_t i;
    const json_t *word;
    *out = 0;
    if (!json_is_array(roles))
        return error_set(err, ERROR_BAD_VALUE, "roles must be a list of names of roles");
    json_array_foreach((json_t *)(uintptr_t)roles, i, word)
    {
        const char *text = json_is_string(word) ? json_string_value(word) : "";
        if (!role_from(text, out))
            return error_set(err, ERROR_BAD_VALUE,
                             "'%.40s' is no role: radiologist, resident, technologist, administrator, model owner, "
                             "auditor, service",
                             text);
    }
    return true;
}

// ---- what an account must be

static bool name_fits(const char *name)
{
    return *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-@")] == '\0' && *name != '.' &&
           *name != '-';
}

static bool check_account(const struct access_account *account, struct error *err)
{
    char shown[80];
    if (!name_fits(account->name))
        return error_set(err, ERROR_BAD_VALUE,
                         "'%s' is no name of an account: 1 to %d small letters, digits and . _ - @, beginning with a "
                         "letter or digit",
                         text_show(shown, sizeof shown, account->name, strlen(account->name)), ACCESS_NAME_SIZE - 1);
    if (!text_is_plain(account->shown, strlen(account->shown)))
        return error_set(
            err, ERROR_BAD_VALUE,
            "account %s needs 'shown', the person's name on one line, without control characters; it is '%s'",
            account->name, text_show(shown, sizeof shown, account->shown, strlen(account->shown)));
    if ((account->roles == 0 && !*account->issuer) || account->roles & ~(unsigned)ACCESS_ROLES_ALL)
        return error_set(err, ERROR_BAD_VALUE, "account %s needs one role at least", account->name);
    if (!*account->issuer != !*account->subject)
        return error_set(err, ERROR_BAD_VALUE, "account %s: issuer and subject go together", account->name);
    return true;
}

static size_t count_characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

bool access_password_fits(const char *name, const char *password, struct error *err)
{
    static const char *const worst[] = {"password",  "passwort", "1234567890", "qwertyuiop", "administrator",
                                        "radiology", "hospital", "hilum",      "letmein",    "changeme"};
    size_t count = count_characters(password), named = strlen(name);
    if (count < ACCESS_PASSWORD_MIN || count > ACCESS_PASSWORD_MAX || strlen(password) > 4 * ACCESS_PASSWORD_MAX)
        return error_set(err, ERROR_BAD_VALUE, "a password has %d to %d characters; this one has %zu",
                         ACCESS_PASSWORD_MIN, ACCESS_PASSWORD_MAX, count);
    if (named > 3 && strcasestr(password, name) && count < named + 8)
        return error_set(err, ERROR_BAD_VALUE, "the password is little more than the name: take another one");
    for (size_t i = 0; i < sizeof worst / sizeof *worst; i++)
        if (strcasestr(password, worst[i]) && count < strlen(worst[i]) + 6)
            return error_set(err, ERROR_BAD_VALUE, "the password is little more than '%s': take another one", worst[i]);
    size_t same = 1;
    for (const char *p = password + 1; *p; p++)
        same += *p == p[-1];
    return same * 2 <= strlen(password) || error_set(err, ERROR_BAD_VALUE, "the password repeats one character");
}

// ---- changes

static bool write_change(struct database *db, void *payload, struct error *err)
{
    struct account_change *change = payload;
    if (!account_row_change(db, change, err))
        return false;
    const struct access_account *before = &change->before.account, *after = change->account;
    bool ends =
        change->changed && (!after || change->hash || after->roles != before->roles ||
                            after->labels != before->labels || after->enabled != before->enabled ||
                            strcmp(after->issuer, before->issuer) != 0 || strcmp(after->subject, before->subject) != 0);
    return !ends || !change->was_there || session_row_end_all(db, change->name, err);
}

static void tell(struct access *access, const struct account_change *change)
{
    char detail[512];
    const struct access_account *after = change->account;
    json_t *roles = access_roles_to_json(after ? after->roles : 0);
    char *words = json_dumps(roles, JSON_COMPACT);
    snprintf(detail, sizeof detail, "account %s %s%s%s%s%s", change->name,
             !after              ? "removed"
             : change->was_there ? "changed"
                                 : "made",
             after ? "; roles: " : "", after && words ? words : "", after && !after->enabled ? "; disabled" : "",
             change->hash ? "; password set" : "");
    access_audit_change(access, true, change->actor, detail, change->now_ns);
    free(words);
    json_decref(roles);
}

static bool change_account(struct access *access, struct account_change *change, struct error *err)
{
    change->now_ns = clock_now_ns();
    if (!store_write(access->store, STORE_DURABLE, write_change, change, err))
        return false;
    if (!change->changed)
        return true;
    tell(access, change);
    return login_reload(access, err);
}

bool access_account_put(struct access *access, const struct access_account *account, const char *password,
                        const char *actor, struct error *err)
{
    char hash[ACCOUNT_HASH_SIZE];
    if (!check_account(account, err) || (password && !access_password_fits(account->name, password, err)) ||
        (password && !hasher_make(&access->login->hasher, 1, password, hash, err)))
        return false;
    struct account_change change = {
        .account = account, .name = account->name, .hash = password ? hash : NULL, .actor = actor};
    return change_account(access, &change, err);
}

bool login_account_put(struct access *access, const struct access_account *account, bool is_new, const char *actor,
                       struct error *err)
{
    struct account_change change = {.account = account, .name = account->name, .actor = actor, .is_new = is_new};
    return check_account(account, err) && change_account(access, &change, err);
}

bool access_account_remove(struct access *access, const char *name, const char *actor, struct error *err)
{
    struct account_change change = {.name = name, .actor = actor};
    return change_account(access, &change, err);
}

bool login_account(struct access *access, const char *name, struct account_row *out, bool *found, struct error *err)
{
    struct database *db = store_read_begin(access->store, err);
    bool ok = db && account_row_get(db, name, out, found, err);
    if (db)
        store_read_end(access->store, db);
    return ok;
}

bool access_account_get(struct access *access, const char *name, struct access_account *out, struct error *err)
{
    struct account_row row;
    bool found;
    if (!login_account(access, name, &row, &found, err))
        return false;
    *out = row.account;
    return found || error_set(err, ERROR_NOT_FOUND, "no account is called %.64s", name);
}

bool access_account_list(struct access *access, struct arena *arena, struct access_account **out, size_t *count,
                         struct error *err)
{
    struct database *db = store_read_begin(access->store, err);
    bool ok = db && account_row_list(db, arena, out, count, err);
    if (db)
        store_read_end(access->store, db);
    return ok;
}

bool access_password_change(struct access *access, const char *name, const char *old, const char *password,
                            const char *address, int64_t now_ns, int *wait_s, struct error *err)
{
    struct account_row row;
    return login_try(access, name, old, address, now_ns, &row, wait_s, err) &&
           access_account_put(access, &row.account, password, name, err);
}

// ---- the first account

bool access_first_begin(struct access *access, const char *path, struct error *err)
{
    struct login *login = access->login;
    pthread_mutex_lock(&login->lock);
    bool ok = text_copy(login->first_path, sizeof login->first_path, path) && access_secret_make("", login->first_code);
    pthread_mutex_unlock(&login->lock);
    char text[ACCESS_SECRET_SIZE + 1];
    snprintf(text, sizeof text, "%.40s\n", login->first_code);
    return ok ? file_replace(path, text, strlen(text), 0600, err)
              : error_set(err, ERROR_INTERNAL, "no code for the first administrator can be made");
}

bool access_first_is_due(const struct access *access)
{
    return *access->login->first_code && !access_accounts_exist(access);
}

static bool is_code(struct login *login, const char *code)
{
    char wanted[41], given[41];
    memset(given, 0, sizeof given);
    text_copy(given, sizeof given, code);
    pthread_mutex_lock(&login->lock);
    snprintf(wanted, sizeof wanted, "%.40s", login->first_code);
    pthread_mutex_unlock(&login->lock);
    return *wanted && sodium_memcmp(wanted, given, sizeof wanted) == 0;
}

bool access_first_make(struct access *access, const char *code, const char *name, const char *password,
                       const char *address, int *wait_s, struct error *err)
{
    struct login *login = access->login;
    char hash[ACCOUNT_HASH_SIZE];
    struct access_account account = {.roles = 1u << ACCESS_ADMINISTRATOR, .enabled = true};
    *wait_s = tries_wait(&login->tries, "first administrator", address, clock_monotonic_ns());
    if (*wait_s > 0)
        return error_set(err, ERROR_BUSY, "too many codes were wrong: try again in %d s", *wait_s);
    if (!is_code(login, code)) {
        tries_failed(&login->tries, "first administrator", address, clock_monotonic_ns());
        return error_set(err, ERROR_FORBIDDEN,
                         "the code is wrong, or was used; it stands in the file %.200s of the "
                         "server, made anew at each start while there is no account",
                         login->first_path);
    }
    text_copy(account.name, sizeof account.name, name);
    text_copy(account.shown, sizeof account.shown, name);
    if (!check_account(&account, err) || !access_password_fits(name, password, err) ||
        !hasher_make(&login->hasher, access_address_share(address), password, hash, err))
        return false;
    struct account_change change = {
        .account = &account, .name = account.name, .hash = hash, .actor = name, .first = true};
    if (!change_account(access, &change, err))
        return false;
    pthread_mutex_lock(&login->lock);
    sodium_memzero(login->first_code, sizeof login->first_code);
    pthread_mutex_unlock(&login->lock);
    if (unlink(login->first_path) != 0)
        log_warning("access", "%s could not be removed; its code counts no more", login->first_path);
    return true;
}
