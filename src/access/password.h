// Passwords' hashes: argon2id (RFC 9106) through libsodium, one at a time.
#ifndef ACCESS_PASSWORD_H
#define ACCESS_PASSWORD_H

#include <pthread.h>
#include <stdbool.h>

#include "access/account_row.h"
#include "base/error.h"

struct hasher {
    pthread_mutex_t turn; // whose hash is computed
    pthread_mutex_t lock; // of what follows
    unsigned waiting;
    char nobody[ACCOUNT_HASH_SIZE]; // of no password: what an unknown name is compared with
};

bool hasher_init(struct hasher *hasher, struct error *err);
void hasher_end(struct hasher *hasher);
// BUSY: too many wait for theirs.
bool hasher_make(struct hasher *hasher, const char *password, char out[ACCOUNT_HASH_SIZE], struct error *err);
// *right: it is that hash's; never for "" (no such name, or no password), which takes the same time.
bool hasher_check(struct hasher *hasher, const char *password, const char *hash, bool *right, struct error *err);

#endif
