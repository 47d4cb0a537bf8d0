// Who is logged in, in memory: sessions and tokens by the SHA-256 of their secrets. The rows of account_row.h are what
// holds; this follows them.
#ifndef ACCESS_LOGIN_H
#define ACCESS_LOGIN_H

#include <pthread.h>
#include <stdatomic.h>

#include "access/account_row.h"
#include "access/password.h"
#include "access/tries.h"

struct login_session {
    struct session_row row;
    struct access_account account;
    int64_t saved_ns;     // of row.used_ns what the database has
    int64_t emergency_ns; // until when it sees all labels
};

struct login {
    struct hasher hasher;
    struct tries tries;
    atomic_bool any; // there is an account
    _Atomic int64_t idle_ns;
    _Atomic int64_t emergency_ns; // when the last emergency ends, and its alarm; 0: there is none

    pthread_mutex_t reload_lock; // taken before `lock`: one reload at a time
    pthread_mutex_t lock;        // of what follows
    struct login_session *sessions;
    size_t session_count, session_capacity;
    struct login_session **by_digest; // the same, in the order of their digests
    struct token_row *tokens;
    size_t token_count, token_capacity;
    char first_path[4096], first_code[ACCESS_SECRET_SIZE]; // "": there is none
};

struct login *login_open(struct access *access, struct error *err); // NULL on failure
void login_close(struct login *login);
bool login_reload(struct access *access, struct error *err); // from the rows

bool login_account(struct access *access, const char *name, struct account_row *out, bool *found, struct error *err);
// What a provider says of a person: `is_new`: FORBIDDEN where the name is an account's by then; else only the version
// that was read is replaced, so that nothing that an administrator does meanwhile is undone.
bool login_account_put(struct access *access, const struct access_account *account, bool is_new, const char *actor,
                       struct error *err);
// One try with a password, which is counted and, where it fails, told in the audit trail.
bool login_try(struct access *access, const char *name, const char *password, const char *address, int64_t now_ns,
               struct account_row *out, int *wait_s, struct error *err);

#endif
