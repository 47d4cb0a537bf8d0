#include "access/tries.h"

#include <arpa/inet.h>
#include <string.h>

#include "access/access.h"
#include "access/account.h"
#include "base/clock.h"
#include "base/hash.h"

enum { PLACES = 4 }; // of a key
#define FORGOTTEN_NS (3600 * CLOCK_SECOND)

void tries_init(struct tries *tries)
{
    memset(tries->rows, 0, sizeof tries->rows);
    pthread_mutex_init(&tries->lock, NULL);
}

void tries_end(struct tries *tries)
{
    pthread_mutex_destroy(&tries->lock);
}

// `name` NULL: of the address alone.
static uint64_t key_of(const char *name, const char *address)
{
    struct in6_addr v6;
    uint8_t digest[HASH_SIZE];
    uint64_t key;
    struct hash *hash = hash_new();
    if (!hash)
        return 1; // all share one place: stricter, and no one is let through
    if (inet_pton(AF_INET6, address, &v6) == 1 && !IN6_IS_ADDR_V4MAPPED(&v6))
        hash_add(hash, &v6, 8);
    else
        hash_add(hash, address, strlen(address));
    hash_add(hash, name ? "+" : "-", 1);
    if (name)
        hash_add(hash, name, strlen(name));
    hash_end(hash, digest);
    hash_free(hash);
    memcpy(&key, digest, sizeof key);
    return key | 1;
}

uint64_t access_address_share(const char *address)
{
    return key_of(NULL, address);
}

// Under the lock. NULL: it never failed, or so long ago that it is forgotten.
static struct tried *find(struct tries *tries, uint64_t key, int64_t now_ns)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct tried *row = &tries->rows[(key + i) % TRIES_ROWS];
        if (row->key == key)
            return now_ns - row->last_ns < FORGOTTEN_NS ? row : NULL;
    }
    return NULL;
}

static struct tried *find_or_take(struct tries *tries, uint64_t key, int64_t now_ns)
{
    struct tried *row = find(tries, key, now_ns);
    if (row)
        return row;
    row = &tries->rows[key % TRIES_ROWS];
    for (size_t i = 0; i < PLACES; i++) {
        struct tried *other = &tries->rows[(key + i) % TRIES_ROWS];
        if (other->key == 0 || other->key == key || other->last_ns < row->last_ns)
            row = other;
        if (row->key == 0 || row->key == key)
            break;
    }
    *row = (struct tried){.key = key};
    return row;
}

static int wait_of(struct tries *tries, uint64_t key, int64_t now_ns)
{
    const struct tried *row = find(tries, key, now_ns);
    int64_t left_ns = row ? row->until_ns - now_ns : 0;
    return left_ns > 0 ? (int)((left_ns + CLOCK_SECOND - 1) / CLOCK_SECOND) : 0;
}

int tries_wait(struct tries *tries, const char *name, const char *address, int64_t now_ns)
{
    pthread_mutex_lock(&tries->lock);
    int named = wait_of(tries, key_of(name, address), now_ns), all = wait_of(tries, key_of(NULL, address), now_ns);
    pthread_mutex_unlock(&tries->lock);
    return named > all ? named : all;
}

static void count(struct tries *tries, uint64_t key, uint32_t free_tries, int64_t now_ns)
{
    struct tried *row = find_or_take(tries, key, now_ns);
    int64_t wait_s = 0;
    row->failed++;
    if (row->failed >= free_tries) {
        uint32_t past = row->failed - free_tries;
        wait_s = past < 10 ? INT64_C(1) << past : ACCESS_WAIT_MAX_SECONDS;
    }
    if (wait_s > ACCESS_WAIT_MAX_SECONDS)
        wait_s = ACCESS_WAIT_MAX_SECONDS;
    row->last_ns = now_ns;
    row->until_ns = now_ns + wait_s * CLOCK_SECOND;
}

void tries_failed(struct tries *tries, const char *name, const char *address, int64_t now_ns)
{
    pthread_mutex_lock(&tries->lock);
    count(tries, key_of(name, address), ACCESS_FREE_TRIES, now_ns);
    count(tries, key_of(NULL, address), ACCESS_FREE_TRIES_ADDRESS, now_ns);
    pthread_mutex_unlock(&tries->lock);
}

void tries_succeeded(struct tries *tries, const char *name, const char *address)
{
    pthread_mutex_lock(&tries->lock);
    uint64_t key = key_of(name, address);
    for (size_t i = 0; i < PLACES; i++)
        if (tries->rows[(key + i) % TRIES_ROWS].key == key)
            tries->rows[(key + i) % TRIES_ROWS] = (struct tried){0};
    pthread_mutex_unlock(&tries->lock);
}
