// Packs leave the lanes together.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "store/pack.h"

#define WAIT_NS CLOCK_SECOND

static bool list_all(struct database *db, void *payload, struct error *err)
{
    const struct waiting_packs *waiting = payload;
    for (size_t i = 0; i < waiting->count; i++)
        if (!pack_insert_row(db, &waiting->items[i], err))
            return false;
    return true;
}

// Somebody may have removed the name in packs/: then that in lanes/ is the only one.
static void name_again(struct store *store, uint64_t container)
{
    char lane[STORE_NAME_SIZE], name[STORE_NAME_SIZE];
    store_lane_name(lane, container);
    store_pack_name(name, container);
    if (!pair_is_one(store, container) && linkat(store->lanes_fd, lane, store->packs_fd, name, 0) == 0)
        log_warning("store", "packs/%s was gone, and has its name again: nobody but this program may remove it", name);
}

static void leave_lane(struct store *store, uint64_t container)
{
    char lane[STORE_NAME_SIZE], subject[ALARM_SUBJECT_SIZE];
    store_lane_name(lane, container);
    if (!pair_is_one(store, container)) {
        snprintf(subject, sizeof subject, "container %llu", (unsigned long long)container);
        alarm_raise(ALARM_CONTAINER, subject,
                    "its name in lanes/ or packs/ was removed, or is another file's: look what does so, and restart");
    } else if (unlinkat(store->lanes_fd, lane, 0) != 0) {
        log_warning("store", "lanes/%s stays until the next start: %s", lane, strerror(errno));
    }
    store_note_durable(&store->durable.container, container);
}

// [A7c] The rows are synced, and so all that came before them, while the files are lanes still. With the lock.
static bool settle(struct store *store, struct error *err)
{
    struct waiting_packs *waiting = &store->waiting;
    for (size_t i = 0; i < waiting->count; i++)
        name_again(store, waiting->items[i].container);
    if (waiting->count == 0)
        return true;
    if (fsync(store->packs_fd) != 0) { // [S5]
        error_errno(err, errno, "cannot sync folder packs");
        store_sync_failed(store, err);
        return false;
    }
    fault_point("pack.after_sync");
    if (!store_write(store, STORE_DURABLE, list_all, waiting, err))
        return false;
    fault_point("pack.after_rows");
    for (size_t i = 0; i < waiting->count; i++)
        leave_lane(store, waiting->items[i].container);
    waiting->count = 0;
    return true;
}

bool pack_settle(struct store *store, struct error *err)
{
    pthread_mutex_lock(&store->waiting.lock);
    bool ok = settle(store, err);
    pthread_mutex_unlock(&store->waiting.lock);
    return ok;
}

bool settle_later(struct store *store, struct waiting_pack pack, struct error *err)
{
    struct waiting_packs *waiting = &store->waiting;
    pthread_mutex_lock(&waiting->lock);
    bool ok = waiting->count < PACKS_WAITING_MAX || settle(store, err);
    if (ok && waiting->count == 0) {
        waiting->due_ns = clock_monotonic_ns() + waiting->wait_ns;
        pthread_cond_signal(&waiting->came);
    }
    if (ok)
        waiting->items[waiting->count++] = pack;
    pthread_mutex_unlock(&waiting->lock);
    return ok;
}

// ---- the thread: how long a database may go untold beside newer packs [A7c] hangs on no traffic

static void wait_until_due(struct waiting_packs *waiting)
{
    struct timespec until = {.tv_sec = waiting->due_ns / CLOCK_SECOND, .tv_nsec = waiting->due_ns % CLOCK_SECOND};
    if (waiting->count == 0)
        pthread_cond_wait(&waiting->came, &waiting->lock);
    else
        pthread_cond_timedwait(&waiting->came, &waiting->lock, &until);
}

static void *run(void *payload)
{
    struct store *store = payload;
    struct waiting_packs *waiting = &store->waiting;
    struct error err;
    pthread_mutex_lock(&waiting->lock);
    while (!waiting->stopping) {
        if (waiting->count == 0 || clock_monotonic_ns() < waiting->due_ns) {
            wait_until_due(waiting);
        } else if (!settle(store, &err)) {
            log_debug("store", "packs keep their names in lanes for now: %s", err.message);
            waiting->due_ns = clock_monotonic_ns() + waiting->wait_ns;
        }
    }
    pthread_mutex_unlock(&waiting->lock);
    return NULL;
}

bool settle_open(struct store *store, struct error *err)
{
    struct waiting_packs *waiting = &store->waiting;
    waiting->wait_ns = WAIT_NS;
    int code = pthread_create(&waiting->thread, NULL, run, store);
    waiting->runs = code == 0;
    return waiting->runs || error_errno(err, code, "cannot start the thread by which packs leave the lanes");
}

void settle_close(struct store *store)
{
    struct waiting_packs *waiting = &store->waiting;
    if (!waiting->runs)
        return;
    pthread_mutex_lock(&waiting->lock);
    waiting->stopping = true;
    pthread_cond_signal(&waiting->came);
    pthread_mutex_unlock(&waiting->lock);
    pthread_join(waiting->thread, NULL);
    waiting->runs = false;
}
