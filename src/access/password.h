// Passwords' hashes: argon2id (RFC 9106) through libsodium, one at a time.
#ifndef ACCESS_PASSWORD_H
#define ACCESS_PASSWORD_H

#include <pthread.h>
#include <stdbool.h>

#include "access/account_row.h"
#include "base/error.h"

struct hasher {
    pthread_mutex_t turn;                 // whose hash is computed
    pthread_mutex_t lock;                 // of what follows
    uint64_t line[ACCESS_HASHES_WAITING]; // whose places they are (access_address_share); 0: free
    char nobody[ACCOUNT_HASH_SIZE];       // of no password: what an unknown name is compared with
};

bool hasher_init(struct hasher *hasher, struct error *err);
void hasher_end(struct hasher *hasher);
// BUSY: too many wait for theirs, or ACCESS_HASHES_OF_ADDRESS of `share` (access_address_share), which is 1 for who is
// logged in and sets another's.
bool hasher_make(struct hasher *hasher, uint64_t share, const char *password, char out[ACCOUNT_HASH_SIZE],
                 struct error *err);
// *right: it is that hash's; never for "" (no such name, or no password), which takes the same time.
bool hasher_check(struct hasher *hasher, uint64_t share, const char *password, const char *hash, bool *right,
                  struct error *err);

#endif
