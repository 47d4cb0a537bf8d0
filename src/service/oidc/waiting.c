// Logins between their request and their answer, and refusals between the answer and the page.
#include "service/oidc/oidc.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"

struct begun_row {
    bool used;
    uint8_t state[HASH_SIZE], browser[HASH_SIZE];
    uint64_t share; // whose it is
    int64_t began_ns;
    struct oidc_begun begun;
};

struct refusal_row {
    bool used;
    uint8_t id[HASH_SIZE];
    char words[ERROR_MESSAGE_SIZE];
};

struct oidc_waiting {
    pthread_mutex_t lock;
    size_t next_refusal; // a ring: the next one takes the place of the oldest
    struct begun_row begun[OIDC_WAITING_MAX];
    struct refusal_row refusals[OIDC_REFUSALS_MAX];
};

struct oidc_waiting *oidc_waiting_open(struct error *err)
{
    struct oidc_waiting *waiting = calloc(1, sizeof *waiting);
    if (waiting)
        pthread_mutex_init(&waiting->lock, NULL);
    else
        error_set(err, ERROR_MEMORY, "no memory for logins by a provider");
    return waiting;
}

void oidc_waiting_close(struct oidc_waiting *waiting)
{
    if (!waiting)
        return;
    pthread_mutex_destroy(&waiting->lock);
    free(waiting);
}

// A free place, else the oldest one's: of this address, where it has its share.
static struct begun_row *place_for(struct oidc_waiting *waiting, uint64_t share)
{
    struct begun_row *free_one = NULL, *oldest = &waiting->begun[0], *own = NULL;
    size_t count = 0;
    for (size_t i = 0; i < OIDC_WAITING_MAX; i++) {
        struct begun_row *row = &waiting->begun[i];
        if (!row->used) {
            free_one = row;
            continue;
        }
        if (!oldest->used || row->began_ns < oldest->began_ns)
            oldest = row;
        if (row->share != share)
            continue;
        count++;
        if (!own || row->began_ns < own->began_ns)
            own = row;
    }
    return count >= OIDC_WAITING_OF_ADDRESS ? own : free_one ? free_one : oldest;
}

void oidc_waiting_add(struct oidc_waiting *waiting, const char *state, const char *browser, uint64_t share,
                      const struct oidc_begun *begun, int64_t now_ns)
{
    struct begun_row row = {.used = true, .share = share, .began_ns = now_ns, .begun = *begun};
    hash_of(state, strlen(state), row.state);
    hash_of(browser, strlen(browser), row.browser);
    pthread_mutex_lock(&waiting->lock);
    *place_for(waiting, share) = row;
    pthread_mutex_unlock(&waiting->lock);
}

static struct begun_row take(struct oidc_waiting *waiting, const char *state)
{
    uint8_t digest[HASH_SIZE];
    struct begun_row row = {.used = false};
    hash_of(state, strlen(state), digest);
    pthread_mutex_lock(&waiting->lock);
    for (size_t i = 0; i < OIDC_WAITING_MAX && !row.used; i++)
        if (waiting->begun[i].used && memcmp(waiting->begun[i].state, digest, HASH_SIZE) == 0) {
            row = waiting->begun[i];
            waiting->begun[i] = (struct begun_row){.used = false};
        }
    pthread_mutex_unlock(&waiting->lock);
    return row;
}

bool oidc_waiting_take(struct oidc_waiting *waiting, const char *state, const char *browser, int64_t now_ns,
                       struct oidc_begun *out, struct error *err)
{
    uint8_t digest[HASH_SIZE];
    struct begun_row row = take(waiting, state);
    if (!row.used || now_ns - row.began_ns > OIDC_WAITING_SECONDS * CLOCK_SECOND)
        return error_set(err, ERROR_NOT_FOUND,
                         "this login has been used already, took more than %d minutes, or did not begin here: log in "
                         "again",
                         OIDC_WAITING_SECONDS / 60);
    hash_of(browser, strlen(browser), digest);
    if (memcmp(row.browser, digest, HASH_SIZE) != 0)
        return error_set(err, ERROR_FORBIDDEN, "this login did not begin in this browser: log in again");
    *out = row.begun;
    return true;
}

void oidc_refusal_keep(struct oidc_waiting *waiting, const char *id, const char *words)
{
    struct refusal_row row = {.used = true};
    hash_of(id, strlen(id), row.id);
    text_copy(row.words, sizeof row.words, words);
    pthread_mutex_lock(&waiting->lock);
    waiting->refusals[waiting->next_refusal++ % OIDC_REFUSALS_MAX] = row;
    pthread_mutex_unlock(&waiting->lock);
}

bool oidc_refusal_take(struct oidc_waiting *waiting, const char *id, char words[ERROR_MESSAGE_SIZE])
{
    uint8_t digest[HASH_SIZE];
    bool found = false;
    hash_of(id, strlen(id), digest);
    pthread_mutex_lock(&waiting->lock);
    for (size_t i = 0; i < OIDC_REFUSALS_MAX && !found; i++) {
        struct refusal_row *row = &waiting->refusals[i];
        found = row->used && memcmp(row->id, digest, HASH_SIZE) == 0;
        if (found) {
            text_copy(words, ERROR_MESSAGE_SIZE, row->words);
            row->used = false;
        }
    }
    pthread_mutex_unlock(&waiting->lock);
    return found;
}
