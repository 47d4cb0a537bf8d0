// The pool of reading connections: made when first needed, kept, at most STORE_READERS_MAX.
#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "store/internal.h"

enum { READ_WAIT_S = 30 };

void read_pool_init(struct read_pool *pool)
{
    pthread_condattr_t attributes;
    *pool = (struct read_pool){0};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->returned, &attributes);
    pthread_condattr_destroy(&attributes);
}

void read_pool_close(struct read_pool *pool)
{
    while (pool->idle_count > 0)
        database_close(pool->idle[--pool->idle_count]);
    pthread_cond_destroy(&pool->returned);
    pthread_mutex_destroy(&pool->lock);
}

// A place among the STORE_READERS_MAX, with an idle connection when there is one.
static bool take_place(struct read_pool *pool, struct database **idle, struct error *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += READ_WAIT_S;
    pthread_mutex_lock(&pool->lock);
    int code = 0;
    while (pool->out_count == STORE_READERS_MAX && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&pool->returned, &pool->lock, &until);
    bool ok = pool->out_count < STORE_READERS_MAX;
    if (ok)
        pool->out_count++;
    *idle = ok && pool->idle_count > 0 ? pool->idle[--pool->idle_count] : NULL;
    pthread_mutex_unlock(&pool->lock);
    return ok ||
           error_set(err, ERROR_BUSY, "all %d database readers are in use for %d s", STORE_READERS_MAX, READ_WAIT_S);
}

static void give_back(struct read_pool *pool, struct database *db)
{
    pthread_mutex_lock(&pool->lock);
    pool->out_count--;
    if (db)
        pool->idle[pool->idle_count++] = db;
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
}

struct database *store_read_begin(struct store *store, struct error *err)
{
    struct database *db;
    if (!take_place(&store->readers, &db, err))
        return NULL;
    if (!db)
        db = database_open(store->folder, false, err);
    if (db && sql_run(db, err, "BEGIN", ""))
        return db;
    database_close(db);
    give_back(&store->readers, NULL);
    return NULL;
}

void store_read_end(struct store *store, struct database *db)
{
    struct error err;
    if (!db)
        return;
    database_reset(db);
    if (!sql_run(db, &err, "ROLLBACK", "")) {
        database_close(db);
        db = NULL;
    }
    give_back(&store->readers, db);
}
