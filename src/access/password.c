#include "access/password.h"

#include <sodium.h>
#include <string.h>

#include "base/text.h"

// OWASP's second choice for argon2id (19 MiB, 2 passes) and a good deal more; about 60 ms of a core.
enum { PASSES = 3, MEMORY = 48 << 20 };
_Static_assert(crypto_pwhash_STRBYTES <= ACCOUNT_HASH_SIZE, "a hash fits");

static bool compute(const char *password, char out[ACCOUNT_HASH_SIZE], struct error *err)
{
    return crypto_pwhash_str_alg(out, password, strlen(password), PASSES, MEMORY, crypto_pwhash_ALG_ARGON2ID13) == 0 ||
           error_set(err, ERROR_MEMORY, "no memory to hash a password");
}

bool hasher_init(struct hasher *hasher, struct error *err)
{
    pthread_mutex_init(&hasher->turn, NULL);
    pthread_mutex_init(&hasher->lock, NULL);
    hasher->waiting = 0;
    return sodium_init() >= 0 || error_set(err, ERROR_INTERNAL, "libsodium does not start");
}

void hasher_end(struct hasher *hasher)
{
    pthread_mutex_destroy(&hasher->turn);
    pthread_mutex_destroy(&hasher->lock);
}

static bool enter(struct hasher *hasher, struct error *err)
{
    pthread_mutex_lock(&hasher->lock);
    bool room = hasher->waiting < ACCESS_HASHES_WAITING;
    hasher->waiting += room;
    pthread_mutex_unlock(&hasher->lock);
    if (room)
        pthread_mutex_lock(&hasher->turn);
    return room || error_set(err, ERROR_BUSY, "many log in just now: try again");
}

static void leave(struct hasher *hasher)
{
    pthread_mutex_unlock(&hasher->turn);
    pthread_mutex_lock(&hasher->lock);
    hasher->waiting--;
    pthread_mutex_unlock(&hasher->lock);
}

bool hasher_make(struct hasher *hasher, const char *password, char out[ACCOUNT_HASH_SIZE], struct error *err)
{
    if (!enter(hasher, err))
        return false;
    bool ok = compute(password, out, err);
    leave(hasher);
    return ok;
}

bool hasher_check(struct hasher *hasher, const char *password, const char *hash, bool *right, struct error *err)
{
    if (!enter(hasher, err))
        return false;
    bool known = *hash != '\0';
    bool ok = known || *hasher->nobody || compute("nobody has this one", hasher->nobody, err);
    bool same = ok && crypto_pwhash_str_verify(known ? hash : hasher->nobody, password, strlen(password)) == 0;
    leave(hasher);
    *right = same && known;
    return ok;
}
