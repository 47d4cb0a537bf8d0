// Accounts, sessions and tokens: how a person or program that came by HTTP becomes a subject (allow.h).
//
// An account is a person, with roles and the labels whose studies he sees: known by a password of ours (argon2id, RFC
// 9106), or by the word of an identity provider (issuer and subject). A login gives a session: 256 random bits, of
// which only the SHA-256 is kept. It ends when it was not used for a while, after ACCESS_SESSION_HOURS, when its
// account is changed or removed, or when somebody ends it; it outlives a restart. A token is a program's: the same
// bits, with a name, roles, labels and an end.
//
// An unknown name costs the same time as a wrong password, and both are told in the same words. Tries that failed are
// counted by name and address together, and by address alone (of IPv6 by its first 64 bits): who guesses locks out
// himself and nobody else. One password is hashed at a time, with at most ACCESS_HASHES_WAITING in line and
// ACCESS_HASHES_OF_ADDRESS of one address, so that guesses cost one core at most, and keep nobody elsewhere out.
//
// Threads: any. Sessions and tokens are looked up in memory.
#ifndef ACCESS_ACCOUNT_H
#define ACCESS_ACCOUNT_H

#include <jansson.h>

#include "access/allow.h"

enum {
    ACCESS_PASSWORD_MIN = 12, // characters; their length counts, not their kinds (NIST SP 800-63B, 5.1.1.2)
    ACCESS_PASSWORD_MAX = 256,
    ACCESS_ACCOUNTS_MAX = 10000,
    ACCESS_SESSIONS_MAX = 4096,
    ACCESS_SESSIONS_PER_ACCOUNT = 16, // the oldest ends for the next
    ACCESS_SESSION_HOURS = 12,
    ACCESS_EMERGENCY_MINUTES = 60,
    ACCESS_REASON_MIN = 10, // characters of why it is one
    ACCESS_REASON_MAX = 500,
    ACCESS_TOKENS_MAX = 1000,
    ACCESS_TOKEN_DAYS_MAX = 400,
    ACCESS_SECRET_SIZE = 48,    // text of 256 bits, and its kind
    ACCESS_SAME_NAMES_MAX = 99, // of people of providers whose names are the same here
    ACCESS_ID_SIZE = 33,
    ACCESS_HASHES_WAITING = 8,
    ACCESS_HASHES_OF_ADDRESS = 2, // of these
    ACCESS_FREE_TRIES = 5,        // of a name from an address, until each further one has to wait
    ACCESS_FREE_TRIES_ADDRESS = 50,
    ACCESS_WAIT_MAX_SECONDS = 900, // after a try that failed
};

// ---- accounts: versioned, audited rows, changed without a restart

struct access_account {
    char name[ACCESS_NAME_SIZE];  // what is typed: letters, digits and ._-@ in small letters; the key
    char shown[ACCESS_NAME_SIZE]; // the person's name, as judgements carry it
    unsigned roles;               // 1 << enum access_role each; none only where an identity provider gives them
    uint64_t labels;              // bits (label.h)
    bool enabled;
    bool has_password;
    char issuer[ACCESS_HOST_SIZE], subject[ACCESS_HOST_SIZE]; // of an identity provider; "" none
    int64_t version;                                          // raised by each change
    bool name_made; // access_log_in_by_provider: the name is made of another one of the provider's, of foreign letters
};

// Adds or replaces by name. `password`: the new one, or NULL: as it is (an account that is new has none then).
// account-> version 0 replaces whatever is there, another one only that version (CONFLICT). Ends the account's sessions
// when anything but `shown` changes. CONFLICT for what would leave no enabled administrator with a password or a
// provider, and for a new `shown` that another enabled account has. Durable, audited as `actor` (never with the
// password).
bool access_account_put(struct access *access, const struct access_account *account, const char *password,
                        const char *actor, struct error *err);
bool access_account_remove(struct access *access, const char *name, const char *actor, struct error *err);
bool access_account_get(struct access *access, const char *name, struct access_account *out, struct error *err);
// All, by name, in `arena`.
bool access_account_list(struct access *access, struct arena *arena, struct access_account **out, size_t *count,
                         struct error *err);
bool access_accounts_exist(const struct access *access); // quick
// Changes one's own password; FORBIDDEN when `old` is not it. Counts as a try, as access_log_in says. All his sessions
// end.
bool access_password_change(struct access *access, const char *name, const char *old, const char *password,
                            const char *address, int64_t now_ns, int *wait_s, struct error *err);
// What a password must be, for `name`: BAD_VALUE says what is wrong with it.
bool access_password_fits(const char *name, const char *password, struct error *err);

// ---- the first account

// Where logins are needed and no account exists: writes a one-time code to `path` (mode 0600). It ends with its use, or
// the process.
bool access_first_begin(struct access *access, const char *path, struct error *err);
bool access_first_is_due(const struct access *access);
// Makes the first administrator; the file goes. FORBIDDEN: the code is wrong (counted as a try), CONFLICT: there is an
// account by now.
bool access_first_make(struct access *access, const char *code, const char *name, const char *password,
                       const char *address, int *wait_s, struct error *err);

// ---- sessions

enum access_way { ACCESS_BY_PASSWORD, ACCESS_BY_PROVIDER };

struct access_session {
    struct access_subject subject;
    char id[ACCESS_ID_SIZE]; // names it to administrators; says nothing of its secret
    char csrf[ACCESS_SECRET_SIZE];
    char shown[ACCESS_NAME_SIZE];
    enum access_way way;
    int64_t began_ns, used_ns, ends_ns; // ends_ns: at the latest
    int64_t emergency_ns;               // until when subject.labels are all; 0: there is no emergency
    uint64_t labels;                    // of the account, in an emergency too
};

// How long a session may be without a request; 15 minutes at the start.
void access_set_idle(struct access *access, int64_t idle_ns);
int64_t access_idle_ns(const struct access *access);

// FORBIDDEN: name or password is wrong, or the account is disabled, in the same words. BUSY: tried too often, or too
// many at once; *wait_s says how long to wait.
bool access_log_in(struct access *access, const char *name, const char *password, const char *address, int64_t now_ns,
                   char secret[ACCESS_SECRET_SIZE], struct access_session *out, int *wait_s, struct error *err);
// The word of the identity provider as it was entered in `version`, that the caller has checked: the account of that
// issuer and subject is made or brought up to date (shown, roles; labels stay as they were). A new one whose name is
// another person's of a provider, or was made of foreign letters, has the next free one (a.smith-2); one that is shown
// as another account has its name behind it in parentheses. FORBIDDEN when it is disabled, its name is that of an
// account with a password, or the provider is not in that version any more; a refusal is the caller's to tell the audit
// trail.
bool access_log_in_by_provider(struct access *access, const struct access_account *account, int64_t version,
                               const char *address, int64_t now_ns, char secret[ACCESS_SECRET_SIZE],
                               struct access_session *out, struct error *err);
// The provider's word, checked, that a person has no role here: his account, if there is one, has none from then on and
// its sessions end, both told in the audit trail. An account that is the last administrator's keeps its roles, and its
// sessions end all the same. Failures are logged.
bool access_provider_gives_no_role(struct access *access, const char *issuer, const char *subject, struct error *err);
// The session of a secret, which is used by that; `idle`: looked at without using it. false: there is none (any more).
bool access_session(struct access *access, const char *secret, const char *address, bool idle, int64_t now_ns,
                    struct access_session *out);
// An emergency ("break the glass"): for ACCESS_EMERGENCY_MINUTES the session sees the studies of all labels. Its roles
// stay: whether they may is for the caller. The line of the audit trail, with `reason`, is on disk before anything is
// seen, and an alarm stands meanwhile. It ends with the session and with the process. BAD_VALUE: a reason that is none.
bool access_session_emergency(struct access *access, const char *secret, const char *reason, const char *address,
                              int64_t now_ns, struct access_session *out, struct error *err);
void access_log_out(struct access *access, const char *secret, const char *address, int64_t now_ns);
// Those that go on, newest first, in `arena`.
bool access_session_list(struct access *access, struct arena *arena, int64_t now_ns, struct access_session **out,
                         size_t *count, struct error *err);
bool access_session_end(struct access *access, const char *id, const char *actor, struct error *err); // NOT_FOUND

// ---- tokens

struct access_token {
    char name[ACCESS_NAME_SIZE]; // of the program; the key
    unsigned roles;
    uint64_t labels;
    int64_t made_ns, ends_ns;
    char made_by[ACCESS_NAME_SIZE];
};

// Reads name, roles, labels, ends_ns. The secret is told this once. DUPLICATE for a name that is there.
bool access_token_make(struct access *access, const struct access_token *token, const char *actor, int64_t now_ns,
                       char secret[ACCESS_SECRET_SIZE], struct error *err);
bool access_token_remove(struct access *access, const char *name, const char *actor, struct error *err);
bool access_token_list(struct access *access, struct arena *arena, struct access_token **out, size_t *count,
                       struct error *err);
// Those that go on and were made by the account or token `maker`, or by a token that was, in `arena`: who goes leaves
// them, with all their rights.
bool access_token_left(struct access *access, struct arena *arena, const char *maker, int64_t now_ns,
                       struct access_token **out, size_t *count, struct error *err);
// false: it is none, or has ended.
bool access_token_subject(struct access *access, const char *secret, const char *address, int64_t now_ns,
                          struct access_subject *out);

// ---- helpers for those who show and read

// Roles by their words as a JSON array, the caller's, and back: BAD_VALUE names what is no role; none is none.
json_t *access_roles_to_json(unsigned roles);
bool access_roles_read(const json_t *roles, unsigned *out, struct error *err);
// 256 random bits as text behind `prefix` (4 characters at most). false: the kernel gives none.
bool access_secret_make(const char *prefix, char out[ACCESS_SECRET_SIZE]);

#endif
