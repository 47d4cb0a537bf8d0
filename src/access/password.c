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
    memset(hasher->line, 0, sizeof hasher->line);
    return sodium_init() >= 0 || error_set(err, ERROR_INTERNAL, "libsodium does not start");
}

void hasher_end(struct hasher *hasher)
{
    pthread_mutex_destroy(&hasher->turn);
    pthread_mutex_destroy(&hasher->lock);
}

// A place in the line, which is the caller's until leave(); NULL: there is none for this address.
static uint64_t *enter(struct hasher *hasher, uint64_t share, struct error *err)
{
    uint64_t *place = NULL;
    size_t own = 0;
    pthread_mutex_lock(&hasher->lock);
    for (size_t i = 0; i < ACCESS_HASHES_WAITING; i++) {
        own += hasher->line[i] == share;
        if (hasher->line[i] == 0)
            place = &hasher->line[i];
    }
    if (own >= ACCESS_HASHES_OF_ADDRESS)
        place = NULL;
    if (place)
        *place = share;
    pthread_mutex_unlock(&hasher->lock);
    if (place)
        pthread_mutex_lock(&hasher->turn);
    else
        error_set(err, ERROR_BUSY,
                  own >= ACCESS_HASHES_OF_ADDRESS ? "others log in from your address just now: try again"
                                                  : "many log in just now: try again");
    return place;
}

static void leave(struct hasher *hasher, uint64_t *place)
{
    pthread_mutex_unlock(&hasher->turn);
    pthread_mutex_lock(&hasher->lock);
    *place = 0;
    pthread_mutex_unlock(&hasher->lock);
}

bool hasher_make(struct hasher *hasher, uint64_t share, const char *password, char out[ACCOUNT_HASH_SIZE],
                 struct error *err)
{
    uint64_t *place = enter(hasher, share, err);
    if (!place)
        return false;
    bool ok = compute(password, out, err);
    leave(hasher, place);
    return ok;
}

bool hasher_check(struct hasher *hasher, uint64_t share, const char *password, const char *hash, bool *right,
                  struct error *err)
{
    uint64_t *place = enter(hasher, share, err);
    if (!place)
        return false;
    bool known = *hash != '\0';
    bool ok = known || *hasher->nobody || compute("nobody has this one", hasher->nobody, err);
    bool same = ok && crypto_pwhash_str_verify(known ? hash : hasher->nobody, password, strlen(password)) == 0;
    leave(hasher, place);
    *right = same && known;
    return ok;
}
