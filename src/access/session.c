// Logins, the sessions that they give, and tokens.
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access_internal.h"
#include "access/login.h"
#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#define SAVE_NS (60 * CLOCK_SECOND) // how far the database may be behind with when a session was used
#define IDLE_NS (15 * 60 * CLOCK_SECOND)
#define AHEAD_NS (60 * CLOCK_SECOND) // by which a clock is corrected without a word

// ---- memory and rows

// A row in memory for what is to be added; NULL out of memory.
static void *one_more(void **rows, size_t *count, size_t *capacity, size_t size)
{
    if (*count == *capacity) {
        size_t larger = *capacity ? *capacity * 2 : 64;
        void *grown = realloc(*rows, larger * size);
        if (!grown)
            return NULL;
        *rows = grown;
        *capacity = larger;
    }
    return (char *)*rows + (*count)++ * size;
}

struct loading {
    struct database *db;
    struct login *next;
    struct error err;
};

static bool load_session(const struct session_row *row, void *payload)
{
    struct loading *loading = payload;
    struct account_row account;
    bool found;
    if (!account_row_get(loading->db, row->account, &account, &found, &loading->err))
        return false;
    if (!found || !account.account.enabled)
        return true;
    struct login_session *session = one_more((void **)&loading->next->sessions, &loading->next->session_count,
                                             &loading->next->session_capacity, sizeof *session);
    if (session)
        *session = (struct login_session){.row = *row, .account = account.account, .saved_ns = row->used_ns};
    return session != NULL;
}

static bool load_token(const struct token_row *row, void *payload)
{
    struct loading *loading = payload;
    struct token_row *token = one_more((void **)&loading->next->tokens, &loading->next->token_count,
                                       &loading->next->token_capacity, sizeof *token);
    if (token)
        *token = *row;
    return token != NULL;
}

static int compare_digests(const void *a, const void *b)
{
    const struct login_session *const *x = a, *const *y = b;
    return memcmp((*x)->row.digest, (*y)->row.digest, HASH_SIZE);
}

// So that a request is not slower the more people are logged in. false: no memory.
static bool index_sessions(struct login *login)
{
    login->by_digest = calloc(login->session_count + 1, sizeof(void *));
    for (size_t i = 0; login->by_digest && i < login->session_count; i++)
        login->by_digest[i] = &login->sessions[i];
    if (login->by_digest && login->session_count > 0)
        qsort(login->by_digest, login->session_count, sizeof(void *), compare_digests);
    return login->by_digest != NULL;
}

static struct login_session *find_session(const struct login *login, const uint8_t digest[HASH_SIZE])
{
    struct login_session wanted;
    const struct login_session *key = &wanted;
    memcpy(wanted.row.digest, digest, HASH_SIZE);
    struct login_session **found = login->session_count > 0 ? bsearch(&key, login->by_digest, login->session_count,
                                                                      sizeof(void *), compare_digests)
                                                            : NULL;
    return found ? *found : NULL;
}

// A clock that was ahead, and is right again, makes no session longer: what is of a while after now ends.
static bool is_ahead(int64_t time_ns, int64_t now_ns)
{
    return time_ns - now_ns > AHEAD_NS;
}

static bool goes_on(const struct login *login, const struct login_session *session, int64_t now_ns)
{
    return now_ns < session->row.ends_ns && now_ns - session->row.used_ns < login->idle_ns &&
           !is_ahead(session->row.used_ns, now_ns) && !is_ahead(session->row.began_ns, now_ns);
}

static bool is_emergency(int64_t ends_ns, int64_t now_ns)
{
    return now_ns < ends_ns && !is_ahead(ends_ns - ACCESS_EMERGENCY_MINUTES * 60 * CLOCK_SECOND, now_ns);
}

// What memory knows better: when each was used, and its emergency.
static void take_over(struct login *login, struct login *next, int64_t accounts)
{
    pthread_mutex_lock(&login->lock);
    for (size_t i = 0; i < next->session_count; i++) {
        const struct login_session *known = find_session(login, next->sessions[i].row.digest);
        if (known && known->row.used_ns > next->sessions[i].row.used_ns)
            next->sessions[i].row.used_ns = known->row.used_ns;
        next->sessions[i].emergency_ns = known ? known->emergency_ns : 0;
    }
    free(login->sessions);
    free(login->by_digest);
    free(login->tokens);
    login->sessions = next->sessions;
    login->by_digest = next->by_digest;
    login->session_count = next->session_count;
    login->session_capacity = next->session_capacity;
    login->tokens = next->tokens;
    login->token_count = next->token_count;
    login->token_capacity = next->token_capacity;
    login->any = accounts > 0;
    pthread_mutex_unlock(&login->lock);
}

bool login_reload(struct access *access, struct error *err)
{
    struct login *login = access->login, *next = calloc(1, sizeof *next);
    int64_t accounts = 0;
    if (!next)
        return error_set(err, ERROR_MEMORY, "no memory for who is logged in");
    pthread_mutex_lock(&login->reload_lock);
    struct loading loading = {.db = store_read_begin(access->store, err), .next = next};
    bool ok = loading.db && account_row_count(loading.db, &accounts, err) &&
              session_row_each(loading.db, load_session, &loading, err) &&
              token_row_each(loading.db, load_token, &loading, err);
    if (loading.db)
        store_read_end(access->store, loading.db);
    ok = ok && (index_sessions(next) || error_set(err, ERROR_MEMORY, "no memory for who is logged in"));
    if (ok) {
        take_over(login, next, accounts);
    } else {
        free(next->sessions);
        free(next->tokens);
    }
    pthread_mutex_unlock(&login->reload_lock);
    free(next);
    return ok;
}

static bool write_prune(struct database *db, void *payload, struct error *err)
{
    return session_row_prune(db, *(int64_t *)payload, err);
}

struct login *login_open(struct access *access, struct error *err)
{
    struct login *login = calloc(1, sizeof *login);
    int64_t now_ns = clock_now_ns();
    if (!login) {
        error_set(err, ERROR_MEMORY, "no memory for who is logged in");
        return NULL;
    }
    pthread_mutex_init(&login->reload_lock, NULL);
    pthread_mutex_init(&login->lock, NULL);
    tries_init(&login->tries);
    login->idle_ns = IDLE_NS;
    access->login = login;
    if (hasher_init(&login->hasher, err) && store_write(access->store, STORE_REPLAYABLE, write_prune, &now_ns, err) &&
        login_reload(access, err))
        return login;
    login_close(login);
    access->login = NULL;
    return NULL;
}

void login_close(struct login *login)
{
    if (!login)
        return;
    free(login->sessions);
    free(login->by_digest);
    free(login->tokens);
    hasher_end(&login->hasher);
    tries_end(&login->tries);
    pthread_mutex_destroy(&login->lock);
    pthread_mutex_destroy(&login->reload_lock);
    sodium_memzero(login->first_code, sizeof login->first_code);
    free(login);
}

bool access_accounts_exist(const struct access *access)
{
    return access->login->any;
}

void access_set_idle(struct access *access, int64_t idle_ns)
{
    access->login->idle_ns = idle_ns;
}

int64_t access_idle_ns(const struct access *access)
{
    return access->login->idle_ns;
}

// ---- a login

static void audit(struct access *access, enum access_event event, bool success, const char *actor, const char *address,
                  const char *detail, int64_t now_ns)
{
    access_audit(access,
                 &(struct access_record){.event = event,
                                         .success = success,
                                         .actor = actor,
                                         .address = address,
                                         .patient = "",
                                         .study = "",
                                         .detail = detail},
                 now_ns);
}

// In one sentence for all that may be wrong, so that nobody learns which names there are.
static bool refuse(struct access *access, const char *name, const char *address, const char *why, int64_t now_ns,
                   struct error *err)
{
    char shown[80];
    tries_failed(&access->login->tries, name, address, clock_monotonic_ns());
    audit(access, ACCESS_EVENT_LOGIN, false, text_show(shown, sizeof shown, name, strlen(name)), address, why, now_ns);
    return error_set(err, ERROR_FORBIDDEN, "the name or the password is wrong, or the account is disabled");
}

bool login_try(struct access *access, const char *name, const char *password, const char *address, int64_t now_ns,
               struct account_row *out, int *wait_s, struct error *err)
{
    struct login *login = access->login;
    bool found = false, right = false;
    *wait_s = tries_wait(&login->tries, name, address, clock_monotonic_ns());
    if (*wait_s > 0)
        return error_set(err, ERROR_BUSY, "too many logins from %.48s failed: try again in %d s", address, *wait_s);
    *wait_s = 1;
    if (strlen(name) >= ACCESS_NAME_SIZE || strlen(password) > 4 * ACCESS_PASSWORD_MAX)
        return refuse(access, name, address, "a name or password longer than any", now_ns, err);
    if (!login_account(access, name, out, &found, err) ||
        !hasher_check(&login->hasher, access_address_share(address), password, found ? out->hash : "", &right, err))
        return false;
    if (!right || !out->account.enabled)
        return refuse(access, name, address,
                      !found   ? "no such account"
                      : !right ? "wrong password"
                               : "the account is disabled",
                      now_ns, err);
    tries_succeeded(&login->tries, name, address);
    return true;
}

struct new_session {
    struct session_row row;
    int64_t provider_version; // with ACCESS_BY_PROVIDER
};

// What a provider said counts only if it is entered as it was asked: who comes in by one that was removed or changed
// meanwhile comes too late.
static bool write_session(struct database *db, void *payload, struct error *err)
{
    const struct new_session *new = payload;
    bool counts = new->row.way != ACCESS_BY_PROVIDER;
    if (!counts && !account_row_is_of_provider(db, new->row.account, new->provider_version, &counts, err))
        return false;
    return counts ? session_row_add(db, &new->row, err)
                  : error_set(err, ERROR_FORBIDDEN, "the provider was changed meanwhile; log in again");
}

static bool write_end(struct database *db, void *payload, struct error *err)
{
    return session_row_end(db, payload, err);
}

static void fill(const struct login_session *session, const char *address, int64_t now_ns, struct access_session *out)
{
    bool emergency = is_emergency(session->emergency_ns, now_ns);
    *out = (struct access_session){.way = session->row.way,
                                   .began_ns = session->row.began_ns,
                                   .used_ns = session->row.used_ns,
                                   .ends_ns = session->row.ends_ns,
                                   .emergency_ns = emergency ? session->emergency_ns : 0,
                                   .labels = session->account.labels};
    text_copy(out->id, sizeof out->id, session->row.id);
    text_copy(out->csrf, sizeof out->csrf, session->row.csrf);
    text_copy(out->shown, sizeof out->shown, session->account.shown);
    out->subject = (struct access_subject){.kind = ACCESS_USER,
                                           .roles = session->account.roles,
                                           .labels = emergency ? ACCESS_LABELS_ALL : session->account.labels,
                                           .verified = true};
    text_copy(out->subject.name, sizeof out->subject.name, session->account.name);
    text_copy(out->subject.address, sizeof out->subject.address, address);
}

// The oldest session of the account that is one too many; false: none.
static bool one_too_many(struct login *login, const char *account, uint8_t digest[HASH_SIZE])
{
    const struct login_session *oldest = NULL;
    size_t count = 0;
    pthread_mutex_lock(&login->lock);
    for (size_t i = 0; i < login->session_count; i++) {
        const struct login_session *session = &login->sessions[i];
        if (strcmp(session->row.account, account) != 0)
            continue;
        count++;
        if (!oldest || session->row.used_ns < oldest->row.used_ns)
            oldest = session;
    }
    bool many = count >= ACCESS_SESSIONS_PER_ACCOUNT;
    if (many)
        memcpy(digest, oldest->row.digest, HASH_SIZE);
    pthread_mutex_unlock(&login->lock);
    return many;
}

struct ended {
    uint8_t digests[ACCESS_SESSIONS_MAX][HASH_SIZE];
    size_t count;
};

static bool write_ended(struct database *db, void *payload, struct error *err)
{
    const struct ended *ended = payload;
    bool ok = true;
    for (size_t i = 0; ok && i < ended->count; i++)
        ok = session_row_end(db, ended->digests[i], err);
    return ok;
}

// Sessions that nobody has ended make room: most people just go away.
static bool drop_ended(struct access *access, int64_t now_ns, struct error *err)
{
    struct login *login = access->login;
    struct ended *ended = malloc(sizeof *ended);
    if (!ended)
        return error_set(err, ERROR_MEMORY, "no memory for who is logged in");
    ended->count = 0;
    pthread_mutex_lock(&login->lock);
    for (size_t i = 0; i < login->session_count && ended->count < ACCESS_SESSIONS_MAX; i++)
        if (!goes_on(login, &login->sessions[i], now_ns))
            memcpy(ended->digests[ended->count++], login->sessions[i].row.digest, HASH_SIZE);
    pthread_mutex_unlock(&login->lock);
    bool ok = ended->count == 0 ||
              (store_write(access->store, STORE_REPLAYABLE, write_ended, ended, err) && login_reload(access, err));
    free(ended);
    return ok;
}

// `provider_version` 0: by password.
static bool begin(struct access *access, const struct access_account *account, int64_t provider_version,
                  const char *address, int64_t now_ns, char secret[ACCESS_SECRET_SIZE], struct access_session *out,
                  struct error *err)
{
    uint8_t extra[HASH_SIZE];
    char id[ACCESS_SECRET_SIZE];
    struct new_session new = {.provider_version = provider_version};
    struct session_row *row = &new.row;
    *row = (struct session_row){.way = provider_version ? ACCESS_BY_PROVIDER : ACCESS_BY_PASSWORD,
                                .began_ns = now_ns,
                                .used_ns = now_ns,
                                .ends_ns = now_ns + ACCESS_SESSION_HOURS * 3600 * CLOCK_SECOND};
    struct login *login = access->login;
    if (!drop_ended(access, now_ns, err))
        return false;
    if (login->session_count >= ACCESS_SESSIONS_MAX)
        return error_set(err, ERROR_BUSY, "%d people are logged in, which are the most", ACCESS_SESSIONS_MAX);
    if (!access_secret_make("hs_", secret) || !access_secret_make("", row->csrf) || !access_secret_make("", id))
        return error_set(err, ERROR_INTERNAL, "no random bits for a session");
    hash_of(secret, strlen(secret), row->digest);
    snprintf(row->id, sizeof row->id, "%.*s", ACCESS_ID_SIZE - 1, id);
    text_copy(row->account, sizeof row->account, account->name);
    if ((one_too_many(login, account->name, extra) &&
         !store_write(access->store, STORE_DURABLE, write_end, extra, err)) ||
        !store_write(access->store, STORE_DURABLE, write_session, &new, err) || !login_reload(access, err))
        return false;
    fill(&(struct login_session){.row = *row, .account = *account}, address, now_ns, out);
    audit(access, ACCESS_EVENT_LOGIN, true, account->name, address,
          provider_version == 0 ? "by password" : "by an identity provider", now_ns);
    return true;
}

bool access_log_in(struct access *access, const char *name, const char *password, const char *address, int64_t now_ns,
                   char secret[ACCESS_SECRET_SIZE], struct access_session *out, int *wait_s, struct error *err)
{
    struct account_row row;
    return login_try(access, name, password, address, now_ns, &row, wait_s, err) &&
           begin(access, &row.account, 0, address, now_ns, secret, out, err);
}

static bool find_by_provider(struct access *access, const struct access_account *wanted, struct account_row *out,
                             bool *found, struct error *err)
{
    struct database *db = store_read_begin(access->store, err);
    bool ok = db && account_row_by_provider(db, wanted->issuer, wanted->subject, out, found, err);
    if (db)
        store_read_end(access->store, db);
    return ok;
}

// A name of an account with a password stays as it is, to be refused: that may be the same person, or somebody who
// would like to be taken for him.
static bool choose_name(struct database *db, struct access_account *wanted, struct error *err)
{
    struct account_row row;
    char base[ACCESS_NAME_SIZE], end[12] = "";
    bool taken = false;
    text_copy(base, sizeof base, wanted->name);
    if (!account_row_get(db, base, &row, &taken, err))
        return false;
    if (taken && !*row.account.issuer && !wanted->name_made)
        return true;
    for (int i = 2; taken && i <= ACCESS_SAME_NAMES_MAX; i++) {
        int room = ACCESS_NAME_SIZE - 1 - snprintf(end, sizeof end, "-%d", i);
        snprintf(wanted->name, sizeof wanted->name, "%.*s%s", room, base, end);
        if (!account_row_get(db, wanted->name, &row, &taken, err))
            return false;
    }
    return !taken ||
           error_set(err, ERROR_FORBIDDEN, "%d people are called %s here already", ACCESS_SAME_NAMES_MAX, base);
}

static bool choose_shown(struct database *db, struct access_account *wanted, struct error *err)
{
    char other[ACCESS_NAME_SIZE], end[ACCESS_NAME_SIZE + 3], base[ACCESS_NAME_SIZE];
    bool found = false;
    if (!account_row_alike(db, wanted->name, wanted->shown, &found, other, err))
        return false;
    if (!found)
        return true;
    int size = snprintf(end, sizeof end, " (%s)", wanted->name);
    text_copy(base, sizeof base, wanted->shown);
    if (strlen(base) + (size_t)size < sizeof wanted->shown)
        snprintf(wanted->shown, sizeof wanted->shown, "%s%s", base, end);
    else
        text_copy(wanted->shown, sizeof wanted->shown, wanted->name);
    return true;
}

static bool choose_names(struct access *access, struct access_account *wanted, bool is_new, struct error *err)
{
    struct database *db = store_read_begin(access->store, err);
    bool ok = db && (!is_new || choose_name(db, wanted, err)) && choose_shown(db, wanted, err);
    if (db)
        store_read_end(access->store, db);
    return ok;
}

bool access_log_in_by_provider(struct access *access, const struct access_account *account, int64_t version,
                               const char *address, int64_t now_ns, char secret[ACCESS_SECRET_SIZE],
                               struct access_session *out, struct error *err)
{
    struct account_row row = {0};
    struct access_account wanted = *account;
    bool found = false;
    if (!find_by_provider(access, account, &row, &found, err))
        return false;
    wanted.version = 0;
    wanted.enabled = true;
    if (found) {
        text_copy(wanted.name, sizeof wanted.name, row.account.name);
        wanted.labels = row.account.labels;
        wanted.enabled = row.account.enabled;
        wanted.version = row.account.version;
    }
    if (!wanted.enabled)
        return error_set(err, ERROR_FORBIDDEN, "the account %s is disabled here", wanted.name);
    return choose_names(access, &wanted, !found, err) &&
           login_account_put(access, &wanted, !found, "identity provider", err) &&
           begin(access, &wanted, version, address, now_ns, secret, out, err);
}

static bool write_end_all(struct database *db, void *payload, struct error *err)
{
    return session_row_end_all(db, payload, err);
}

static bool end_all(struct access *access, char name[ACCESS_NAME_SIZE], struct error *err)
{
    char detail[200];
    if (!store_write(access->store, STORE_DURABLE, write_end_all, name, err) || !login_reload(access, err))
        return false;
    snprintf(detail, sizeof detail, "all sessions of %s were ended: the provider gives no role", name);
    audit(access, ACCESS_EVENT_LOGOUT, true, "identity provider", "", detail, clock_now_ns());
    return true;
}

bool access_provider_gives_no_role(struct access *access, const char *issuer, const char *subject, struct error *err)
{
    struct account_row row = {0};
    struct access_account wanted = {0};
    bool found = false;
    text_copy(wanted.issuer, sizeof wanted.issuer, issuer);
    text_copy(wanted.subject, sizeof wanted.subject, subject);
    bool ok = find_by_provider(access, &wanted, &row, &found, err);
    if (ok && found) {
        wanted = row.account;
        wanted.roles = 0;
        wanted.version = 0;
        if (!login_account_put(access, &wanted, false, "identity provider", err))
            log_warning("access", "the provider gives %s no role, and the account keeps its own: %s", wanted.name,
                        err->message);
        ok = end_all(access, wanted.name, err);
    }
    if (!ok)
        log_error("access", "the provider gives a person no role, and his sessions go on: %s", err->message);
    return ok;
}

// ---- a session

static bool write_used(struct database *db, void *payload, struct error *err)
{
    const struct session_row *row = payload;
    return session_row_used(db, row->digest, row->used_ns, err);
}

// So that a restart does not prolong what was left alone.
static void save_use(struct access *access, const struct session_row *row)
{
    struct error err;
    struct session_row copy = *row;
    if (!store_write(access->store, STORE_REPLAYABLE, write_used, &copy, &err))
        log_debug("access", "when a session was used is not kept: %s", err.message);
}

// The alarm of emergencies ends with the last of them, when the next session is looked at.
static void end_emergencies(struct login *login, int64_t now_ns)
{
    int64_t ends_ns = login->emergency_ns;
    if (ends_ns && !is_emergency(ends_ns, now_ns) && atomic_compare_exchange_strong(&login->emergency_ns, &ends_ns, 0))
        alarm_clear(ALARM_EMERGENCY, NULL);
}

bool access_session(struct access *access, const char *secret, const char *address, bool idle, int64_t now_ns,
                    struct access_session *out)
{
    struct login *login = access->login;
    uint8_t digest[HASH_SIZE];
    struct session_row row;
    bool save = false;
    end_emergencies(login, now_ns);
    hash_of(secret, strlen(secret), digest);
    pthread_mutex_lock(&login->lock);
    struct login_session *session = find_session(login, digest);
    bool there = session && goes_on(login, session, now_ns);
    if (there && !idle && now_ns > session->row.used_ns) {
        session->row.used_ns = now_ns;
        save = now_ns - session->saved_ns > SAVE_NS;
        if (save)
            session->saved_ns = now_ns;
    }
    if (there) {
        fill(session, address, now_ns, out);
        row = session->row;
    }
    pthread_mutex_unlock(&login->lock);
    if (save)
        save_use(access, &row);
    return there;
}

static bool check_reason(const char *reason, struct error *err)
{
    size_t size = strlen(reason);
    return (text_is_plain(reason, size) && size >= ACCESS_REASON_MIN && size <= ACCESS_REASON_MAX) ||
           error_set(err, ERROR_BAD_VALUE,
                     "an emergency needs its reason in words, of %d to %d characters on one line: it stands in the "
                     "audit trail",
                     ACCESS_REASON_MIN, ACCESS_REASON_MAX);
}

static void begin_emergency(struct login *login, const char *secret, int64_t ends_ns)
{
    uint8_t digest[HASH_SIZE];
    hash_of(secret, strlen(secret), digest);
    pthread_mutex_lock(&login->lock);
    struct login_session *session = find_session(login, digest);
    if (session)
        session->emergency_ns = ends_ns;
    login->emergency_ns = ends_ns;
    pthread_mutex_unlock(&login->lock);
}

bool access_session_emergency(struct access *access, const char *secret, const char *reason, const char *address,
                              int64_t now_ns, struct access_session *out, struct error *err)
{
    char ends[CLOCK_RFC3339_SIZE];
    int64_t ends_ns = now_ns + ACCESS_EMERGENCY_MINUTES * 60 * CLOCK_SECOND;
    if (!check_reason(reason, err))
        return false;
    if (!access_session(access, secret, address, true, now_ns, out))
        return error_set(err, ERROR_LOGIN, "nobody is logged in here");
    audit(access, ACCESS_EVENT_EMERGENCY, true, out->subject.name, address, reason, now_ns);
    if (!access_audit_flush(access, err))
        return false;
    alarm_raise(ALARM_EMERGENCY, out->subject.name,
                "%s sees the studies of all labels until %s, by an emergency: the audit trail has his reason, and an "
                "administrator can end his session",
                out->subject.name, clock_rfc3339(ends, ends_ns));
    begin_emergency(access->login, secret, ends_ns);
    return access_session(access, secret, address, true, now_ns, out) ||
           error_set(err, ERROR_LOGIN, "the session has ended meanwhile");
}

static bool end(struct access *access, const uint8_t digest[HASH_SIZE], struct error *err)
{
    uint8_t copy[HASH_SIZE];
    memcpy(copy, digest, HASH_SIZE);
    return store_write(access->store, STORE_DURABLE, write_end, copy, err) && login_reload(access, err);
}

void access_log_out(struct access *access, const char *secret, const char *address, int64_t now_ns)
{
    struct access_session session;
    struct error err;
    uint8_t digest[HASH_SIZE];
    if (!access_session(access, secret, address, true, now_ns, &session))
        return;
    hash_of(secret, strlen(secret), digest);
    if (!end(access, digest, &err))
        log_error("access", "a session could not be ended: %s", err.message);
    audit(access, ACCESS_EVENT_LOGOUT, true, session.subject.name, address, "", now_ns);
}

bool access_session_list(struct access *access, struct arena *arena, int64_t now_ns, struct access_session **out,
                         size_t *count, struct error *err)
{
    struct login *login = access->login;
    *count = 0;
    pthread_mutex_lock(&login->lock);
    *out = arena_calloc(arena, login->session_count, sizeof **out);
    for (size_t i = login->session_count; *out && i-- > 0;) {
        const struct login_session *session = &login->sessions[i];
        if (goes_on(login, session, now_ns))
            fill(session, "", now_ns, &(*out)[(*count)++]);
    }
    pthread_mutex_unlock(&login->lock);
    return *out || error_set(err, ERROR_MEMORY, "no memory for the sessions");
}

bool access_session_end(struct access *access, const char *id, const char *actor, struct error *err)
{
    struct login *login = access->login;
    uint8_t digest[HASH_SIZE];
    char name[ACCESS_NAME_SIZE] = "";
    pthread_mutex_lock(&login->lock);
    for (size_t i = 0; i < login->session_count; i++)
        if (strcmp(login->sessions[i].row.id, id) == 0) {
            memcpy(digest, login->sessions[i].row.digest, HASH_SIZE);
            text_copy(name, sizeof name, login->sessions[i].row.account);
        }
    pthread_mutex_unlock(&login->lock);
    if (!*name)
        return error_set(err, ERROR_NOT_FOUND, "there is no session %.40s", id);
    char detail[160];
    snprintf(detail, sizeof detail, "a session of %s was ended", name);
    if (!end(access, digest, err))
        return false;
    audit(access, ACCESS_EVENT_LOGOUT, true, actor, "", detail, clock_now_ns());
    return true;
}

// ---- tokens

static bool write_token(struct database *db, void *payload, struct error *err)
{
    return token_row_add(db, payload, err);
}

static bool check_token(const struct access_token *token, int64_t now_ns, struct error *err)
{
    if (!text_is_plain(token->name, strlen(token->name)))
        return error_set(
            err, ERROR_BAD_VALUE,
            "a token needs a name, of the program that has it, on one line and without control characters");
    if (token->roles == 0)
        return error_set(err, ERROR_BAD_VALUE, "token %s needs one role at least", token->name);
    return (token->ends_ns > now_ns && token->ends_ns <= now_ns + ACCESS_TOKEN_DAYS_MAX * 86400 * CLOCK_SECOND) ||
           error_set(err, ERROR_BAD_VALUE, "token %s: it ends within 1 to %d days", token->name, ACCESS_TOKEN_DAYS_MAX);
}

static void tell_token(struct access *access, const char *name, const char *what, const char *actor, int64_t now_ns)
{
    char detail[160];
    snprintf(detail, sizeof detail, "token %s %s", name, what);
    audit(access, ACCESS_EVENT_CHANGED, true, actor, "", detail, now_ns);
}

bool access_token_make(struct access *access, const struct access_token *token, const char *actor, int64_t now_ns,
                       char secret[ACCESS_SECRET_SIZE], struct error *err)
{
    struct token_row row = {.token = *token};
    row.token.made_ns = now_ns;
    text_copy(row.token.made_by, sizeof row.token.made_by, actor);
    if (!check_token(token, now_ns, err))
        return false;
    if (!access_secret_make("ht_", secret))
        return error_set(err, ERROR_INTERNAL, "no random bits for a token");
    hash_of(secret, strlen(secret), row.digest);
    if (!store_write(access->store, STORE_DURABLE, write_token, &row, err) || !login_reload(access, err))
        return false;
    tell_token(access, token->name, "made", actor, now_ns);
    return true;
}

struct removal {
    const char *name;
    bool found;
};

static bool write_removal(struct database *db, void *payload, struct error *err)
{
    struct removal *removal = payload;
    return token_row_remove(db, removal->name, &removal->found, err);
}

bool access_token_remove(struct access *access, const char *name, const char *actor, struct error *err)
{
    struct removal removal = {.name = name};
    if (!store_write(access->store, STORE_DURABLE, write_removal, &removal, err) || !login_reload(access, err))
        return false;
    if (!removal.found)
        return error_set(err, ERROR_NOT_FOUND, "no token is called %.64s", name);
    tell_token(access, name, "removed", actor, clock_now_ns());
    return true;
}

bool access_token_list(struct access *access, struct arena *arena, struct access_token **out, size_t *count,
                       struct error *err)
{
    struct login *login = access->login;
    pthread_mutex_lock(&login->lock);
    *count = login->token_count;
    *out = arena_calloc(arena, login->token_count, sizeof **out);
    for (size_t i = 0; *out && i < *count; i++)
        (*out)[i] = login->tokens[i].token;
    pthread_mutex_unlock(&login->lock);
    return *out || error_set(err, ERROR_MEMORY, "no memory for the tokens");
}

// Puts to the front of `tokens` those that `maker`, or one that is there already, has made.
static size_t gather_left(struct access_token *tokens, size_t count, const char *maker, int64_t now_ns)
{
    size_t left = 0;
    for (size_t at = 0; at <= left; at++) {
        const char *by = at == 0 ? maker : tokens[at - 1].name;
        for (size_t i = left; i < count; i++) {
            if (strcmp(tokens[i].made_by, by) != 0 || now_ns >= tokens[i].ends_ns)
                continue;
            const struct access_token found = tokens[i];
            tokens[i] = tokens[left];
            tokens[left++] = found;
        }
    }
    return left;
}

bool access_token_left(struct access *access, struct arena *arena, const char *maker, int64_t now_ns,
                       struct access_token **out, size_t *count, struct error *err)
{
    size_t all = 0;
    if (!access_token_list(access, arena, out, &all, err))
        return false;
    *count = gather_left(*out, all, maker, now_ns);
    return true;
}

bool access_token_subject(struct access *access, const char *secret, const char *address, int64_t now_ns,
                          struct access_subject *out)
{
    struct login *login = access->login;
    uint8_t digest[HASH_SIZE];
    bool there = false;
    hash_of(secret, strlen(secret), digest);
    pthread_mutex_lock(&login->lock);
    for (size_t i = 0; i < login->token_count && !there; i++) {
        const struct token_row *row = &login->tokens[i];
        there = memcmp(row->digest, digest, HASH_SIZE) == 0 && now_ns < row->token.ends_ns;
        if (!there)
            continue;
        *out = (struct access_subject){
            .kind = ACCESS_TOKEN, .roles = row->token.roles, .labels = row->token.labels, .verified = true};
        text_copy(out->name, sizeof out->name, row->token.name);
        text_copy(out->address, sizeof out->address, address);
    }
    pthread_mutex_unlock(&login->lock);
    return there;
}
