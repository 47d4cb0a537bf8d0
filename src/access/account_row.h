// The rows of accounts, sessions and tokens: what account_sql.c does for account.c and session.c.
#ifndef ACCESS_ACCOUNT_ROW_H
#define ACCESS_ACCOUNT_ROW_H

#include "access/account.h"
#include "base/hash.h"
#include "store/database.h"

enum { ACCOUNT_HASH_SIZE = 128 }; // crypto_pwhash_STRBYTES

extern const char account_tables[]; // a step of the room's migration

struct account_row {
    struct access_account account;
    char hash[ACCOUNT_HASH_SIZE]; // of the password; "" none
};
bool account_row_get(struct database *db, const char *name, struct account_row *out, bool *found, struct error *err);
bool account_row_by_provider(struct database *db, const char *issuer, const char *subject, struct account_row *out,
                             bool *found, struct error *err);
// Another enabled account than `name` that is shown so that a reader takes it for `shown`; its name, in `other`.
bool account_row_alike(struct database *db, const char *name, const char *shown, bool *found,
                       char other[ACCESS_NAME_SIZE], struct error *err);
bool account_row_list(struct database *db, struct arena *arena, struct access_account **out, size_t *count,
                      struct error *err);
// The roles and the labels of enabled accounts, each pair once and nothing else of them: whoever asks whether this
// server is well has them looked at. `out`: in `arena`.
struct account_sight {
    unsigned roles;
    uint64_t labels;
};
bool account_row_sights(struct database *db, struct arena *arena, struct account_sight **out, size_t *count,
                        struct error *err);
bool account_row_count(struct database *db, int64_t *out, struct error *err);

// Inside a write function. `row`: as wanted; NULL: remove `name`.
struct account_change {
    const struct access_account *account;
    const char *name;
    const char *hash; // NULL: as it is
    const char *actor;
    int64_t now_ns;
    bool first;                // CONFLICT when there is any account
    bool is_new;               // FORBIDDEN when there is one of its name
    bool changed, was_there;   // out
    struct account_row before; // out
    int64_t version;           // out
};
bool account_row_change(struct database *db, struct account_change *change, struct error *err);

// Whether the identity provider is in this version, and the account is one of its people.
bool account_row_is_of_provider(struct database *db, const char *name, int64_t version, bool *out, struct error *err);
// Somebody has to be able to undo a change: CONFLICT without an enabled administrator who has a password, or is the
// identity provider's.
bool account_row_administrators(struct database *db, struct error *err);

struct session_row {
    uint8_t digest[HASH_SIZE];
    char id[ACCESS_ID_SIZE], csrf[ACCESS_SECRET_SIZE], account[ACCESS_NAME_SIZE];
    enum access_way way;
    int64_t began_ns, used_ns, ends_ns;
};
bool session_row_add(struct database *db, const struct session_row *row, struct error *err);
bool session_row_used(struct database *db, const uint8_t digest[HASH_SIZE], int64_t used_ns, struct error *err);
bool session_row_end(struct database *db, const uint8_t digest[HASH_SIZE], struct error *err);
bool session_row_end_all(struct database *db, const char *account, struct error *err);
bool session_row_end_way(struct database *db, enum access_way way, struct error *err); // of all who came so
bool session_row_prune(struct database *db, int64_t now_ns, struct error *err);
bool session_row_each(struct database *db, bool (*each)(const struct session_row *row, void *payload), void *payload,
                      struct error *err);

struct token_row {
    uint8_t digest[HASH_SIZE];
    struct access_token token;
};
bool token_row_add(struct database *db, const struct token_row *row, struct error *err);
bool token_row_remove(struct database *db, const char *name, bool *found, struct error *err);
bool token_row_each(struct database *db, bool (*each)(const struct token_row *row, void *payload), void *payload,
                    struct error *err);

#endif
