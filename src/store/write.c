// Group commit. There is no writer thread: the first caller leads, which spares it two switches of threads; who comes
// while a group runs queues up, and when it is done the first of the queue leads the next group, with all that wait. So
// one thread at a time has the committing connection.
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "store/internal.h"

enum {
    WRITE_GROUP_MAX = 64,
    CHECKPOINT_PAGES = 1000, // about 4 MiB of WAL
    WAITING_PAGES = 4 * CHECKPOINT_PAGES,
    WAITING_MS = 100,
};

#define TRY_AGAIN_NS CLOCK_SECOND

enum call_state { CALL_QUEUED, CALL_LEADS, CALL_DONE };

struct write_call {
    store_write_fn *write;
    void *payload;
    enum store_durability durability;
    struct error *err; // the caller's
    bool ok;
    enum call_state state;
    pthread_cond_t woken;
    struct write_call *next;
};

void write_queue_init(struct write_queue *queue, struct database *db)
{
    *queue = (struct write_queue){.db = db, .checkpoint_at = CHECKPOINT_PAGES};
    queue->last = &queue->first;
    pthread_mutex_init(&queue->lock, NULL);
}

void write_queue_close(struct write_queue *queue)
{
    int code = sqlite3_wal_checkpoint_v2(queue->db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (code != SQLITE_OK)
        log_warning("store", "the database keeps its write-ahead log at close: %s", sqlite3_errstr(code));
    database_close(queue->db);
    pthread_mutex_destroy(&queue->lock);
}

// ---- one group, without the lock

// The pragma is refused inside a transaction, so it comes before.
static bool set_synchronous(struct database *db, bool full, struct error *err)
{
    if (db->full_sync == full)
        return true;
    if (!database_exec(db, full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", err))
        return false;
    db->full_sync = full;
    return true;
}

// A full disk or a failed read may have ended the transaction already.
static void roll_back(struct database *db)
{
    struct error ignored;
    database_reset(db);
    if (!sqlite3_get_autocommit(db->handle))
        database_exec(db, "ROLLBACK", &ignored);
}

static bool run_in_savepoint(struct database *db, struct write_call *call, struct error *err)
{
    uint64_t event_next = db->event_next;
    if (!sql_run(db, err, "SAVEPOINT call", ""))
        return false;
    call->ok = call->write(db, call->payload, call->err);
    database_reset(db);
    if (sqlite3_get_autocommit(db->handle)) {
        if (call->ok)
            return error_set(err, ERROR_IO, "the database rolled the transaction back");
        *err = *call->err;
        return false;
    }
    if (call->ok)
        return sql_run(db, err, "RELEASE call", "");
    db->event_next = event_next;
    return sql_run(db, err, "ROLLBACK TO call", "") && sql_run(db, err, "RELEASE call", "");
}

// A call alone needs no savepoint: its transaction is rolled back.
static bool run_calls(struct database *db, struct write_call *group, struct error *err)
{
    if (!group->next) {
        group->ok = group->write(db, group->payload, err);
        database_reset(db);
        return group->ok;
    }
    for (struct write_call *call = group; call; call = call->next)
        if (!run_in_savepoint(db, call, err))
            return false;
    return true;
}

static bool transact(struct store *store, struct write_call *group, bool durable, struct error *err)
{
    struct database *db = store->writes.db;
    uint64_t last = atomic_load(&store->board.last);
    db->event_next = last + 1;
    db->failed = false;
    // The kernel has forgotten what it could not write, so a sync that works now would not make it durable.
    if (durable && db->sync_failed)
        return error_set(err, ERROR_IO, "the disk failed to sync the database: check it, and restart");
    if (!set_synchronous(db, durable, err) || !sql_run(db, err, "BEGIN IMMEDIATE", ""))
        return false;
    if (!run_calls(db, group, err) || !sql_run(db, err, "COMMIT", "")) {
        roll_back(db);
        return false;
    }
    fault_point("rows.after_commit");
    if (durable)
        store_note_durable(&store->durable.event, db->event_next - 1);
    if (db->event_next != last + 1)
        event_publish(store, db->event_next - 1);
    return true;
}

static bool run_group(struct store *store, struct write_call *group, struct error *err)
{
    bool durable = false;
    for (struct write_call *call = group; call; call = call->next)
        durable = durable || call->durability == STORE_DURABLE;
    if (transact(store, group, durable, err))
        return true;
    for (struct write_call *call = group; call; call = call->next) {
        call->ok = false;
        *call->err = *err;
    }
    return false;
}

// Has it failed for the database's sake, or was what somebody wanted to write refused? Called with the lock.
static void note_outcome(struct write_queue *queue, bool ok, int64_t began_ns, const struct error *failure)
{
    queue->tried_ns = clock_monotonic_ns();
    if (ok) {
        if (queue->failing_since_ns)
            log_info("store", "the database can be written again");
        queue->failing_since_ns = 0;
        return;
    }
    if (!queue->db->failed)
        return;
    if (!queue->failing_since_ns) {
        log_error("store", "the database cannot be written: %s", failure->message);
        queue->failing_since_ns = began_ns;
    }
    queue->failure = *failure;
}

// PASSIVE never waits for readers. Where somebody reads at any time it would never reach the end, and the WAL grow for
// ever, so past WAITING_PAGES those who read now are waited for: nobody writes meanwhile, so who begins to read then
// needs no WAL. What does not succeed is tried again after as many pages more.
static void checkpoint_when_due(struct write_queue *queue)
{
    struct database *db = queue->db;
    int pages = db->wal_pages;
    if (pages < CHECKPOINT_PAGES)
        queue->checkpoint_at = CHECKPOINT_PAGES; // the WAL is used from its beginning again
    if (pages < queue->checkpoint_at)
        return;
    db->busy_ms = WAITING_MS;
    int mode = pages < WAITING_PAGES ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART;
    int code = sqlite3_wal_checkpoint_v2(db->handle, NULL, mode, NULL, NULL);
    if (code != SQLITE_OK && code != SQLITE_BUSY)
        log_warning("store", "the database could not be checkpointed: %s", sqlite3_errmsg(db->handle));
    db->sync_failed = db->sync_failed || database_is_failed_sync(code);
    queue->checkpoint_at = pages + CHECKPOINT_PAGES;
}

// ---- the queue

static struct write_call *take_group(struct write_queue *queue)
{
    struct write_call *group = queue->first;
    struct write_call *end = group;
    for (int count = 1; end->next && count < WRITE_GROUP_MAX; count++)
        end = end->next;
    queue->first = end->next;
    if (!queue->first)
        queue->last = &queue->first;
    end->next = NULL;
    return group;
}

static void wake(struct write_call *call, enum call_state state)
{
    call->state = state;
    pthread_cond_signal(&call->woken);
}

// The lock is held on entry and exit. The leader's own call is the first of the group.
static void lead(struct store *store)
{
    struct write_queue *queue = &store->writes;
    struct write_call *group = take_group(queue);
    struct error err;
    pthread_mutex_unlock(&queue->lock);
    int64_t began_ns = clock_now_ns();
    bool ok = run_group(store, group, &err);
    pthread_mutex_lock(&queue->lock);
    note_outcome(queue, ok, began_ns, &err);
    for (struct write_call *call = group, *next; call; call = next) {
        next = call->next; // a woken caller's memory goes when the lock does
        wake(call, CALL_DONE);
    }
    pthread_mutex_unlock(&queue->lock);
    checkpoint_when_due(queue);
    queue->db->busy_ms = SQL_BUSY_MS;
    if (queue->db->sync_failed)
        store_stop(store, "the disk failed to sync the database: check it");
    pthread_mutex_lock(&queue->lock);
    queue->led = queue->first != NULL;
    if (queue->first)
        wake(queue->first, CALL_LEADS);
}

bool store_write(struct store *store, enum store_durability durability, store_write_fn *write, void *payload,
                 struct error *err)
{
    struct write_queue *queue = &store->writes;
    struct write_call call = {.write = write, .payload = payload, .durability = durability, .err = err};
    pthread_cond_init(&call.woken, NULL);
    pthread_mutex_lock(&queue->lock);
    *queue->last = &call;
    queue->last = &call.next;
    while (queue->led && call.state == CALL_QUEUED)
        pthread_cond_wait(&call.woken, &queue->lock);
    if (call.state != CALL_DONE) {
        queue->led = true;
        lead(store);
    }
    pthread_mutex_unlock(&queue->lock);
    pthread_cond_destroy(&call.woken);
    return call.ok;
}

// ---- whether writes succeed

// The row as it was, which takes room in the WAL and a sync as any other.
static bool touch_state(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err, "UPDATE store_state SET clean=clean", "");
}

// Called with the lock, when nobody writes. Waits for no other process.
static void try_again(struct store *store)
{
    struct write_queue *queue = &store->writes;
    struct error err;
    struct write_call call = {.write = touch_state, .durability = STORE_DURABLE, .err = &err, .state = CALL_LEADS};
    pthread_cond_init(&call.woken, NULL);
    *queue->last = &call;
    queue->last = &call.next;
    queue->led = true;
    queue->db->busy_ms = 0;
    lead(store);
    pthread_cond_destroy(&call.woken);
}

bool store_can_write(struct store *store, struct error *err)
{
    struct write_queue *queue = &store->writes;
    char since[CLOCK_RFC3339_SIZE];
    if (!store_can_take(store, 1, err))
        return false;
    pthread_mutex_lock(&queue->lock);
    if (queue->failing_since_ns && !queue->led && clock_monotonic_ns() - queue->tried_ns > TRY_AGAIN_NS)
        try_again(store);
    bool ok = queue->failing_since_ns == 0 ||
              error_set(err, queue->failure.code, "nothing can be written since %s: %s",
                        clock_rfc3339(since, queue->failing_since_ns), queue->failure.message);
    pthread_mutex_unlock(&queue->lock);
    return ok;
}
