// The tables of the queue room, and what its statements share.
//
//   queue_consumer   the fencing token of each cursor (the cursor itself is the store's)
//   job              one row per key; `number` is the order of arrival, which the clock is not
//   delivery         one row per key
//   job_tally, delivery_tally   how many have ended, and how: what is dead or under way is counted when it is asked
//   delivery_target.added       how many there ever were: what is none of these waits
//   delivery_target  what is known of a target as a whole: one that is down is asked once per back-off, not once per
//                    delivery
#include "queue/queue_internal.h"

#include <string.h>

#include "base/buffer.h"
#include "base/text.h"

#define DELIVERY                                                                                                       \
    "id, key, target, kind, subject, payload, sequence, topic, batch, state, attempts, refusals, uncertain,"           \
    " created_ns, next_ns, done_ns, lease_ns, last_error, token, study, result"

static const char *const steps[] = {
    "CREATE TABLE queue_consumer ("
    " name TEXT PRIMARY KEY,"
    " token INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE job ("
    " number INTEGER PRIMARY KEY AUTOINCREMENT,"
    " key TEXT NOT NULL UNIQUE,"
    " kind TEXT NOT NULL,"
    " study TEXT NOT NULL,"
    " series TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " input TEXT NOT NULL,"
    " state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4),"
    " outcome TEXT NOT NULL DEFAULT '',"
    " reason TEXT NOT NULL DEFAULT '',"
    " result TEXT NOT NULL DEFAULT '',"
    " priority INTEGER NOT NULL,"
    " created_ns INTEGER NOT NULL,"
    " started_ns INTEGER NOT NULL DEFAULT 0,"
    " finished_ns INTEGER NOT NULL DEFAULT 0,"
    " retry_ns INTEGER NOT NULL DEFAULT 0,"
    " lease_ns INTEGER NOT NULL DEFAULT 0,"
    " attempts INTEGER NOT NULL DEFAULT 0,"
    " crashes INTEGER NOT NULL DEFAULT 0,"
    " token INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE INDEX job_queued ON job (kind, priority DESC, number) WHERE state = 0;"
    "CREATE INDEX job_running ON job (kind, lease_ns) WHERE state = 1;"
    "CREATE INDEX job_study ON job (study, number);"
    "CREATE TABLE delivery ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " key TEXT NOT NULL UNIQUE,"
    " target TEXT NOT NULL,"
    " kind TEXT NOT NULL,"
    " subject TEXT NOT NULL,"
    " payload TEXT NOT NULL,"
    " state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),"
    " attempts INTEGER NOT NULL DEFAULT 0,"
    " refusals INTEGER NOT NULL DEFAULT 0,"
    " created_ns INTEGER NOT NULL,"
    " next_ns INTEGER NOT NULL,"
    " done_ns INTEGER NOT NULL DEFAULT 0,"
    " lease_ns INTEGER NOT NULL DEFAULT 0,"
    " last_error TEXT NOT NULL DEFAULT '',"
    " token INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE INDEX delivery_waiting ON delivery (kind, target, next_ns, id) WHERE state = 0;"
    "CREATE INDEX delivery_sending ON delivery (kind, target, lease_ns) WHERE state = 1;"
    "CREATE INDEX delivery_state ON delivery (state, id);"
    "CREATE TABLE delivery_target ("
    " kind TEXT NOT NULL,"
    " target TEXT NOT NULL,"
    " failures INTEGER NOT NULL DEFAULT 0,"
    " next_ns INTEGER NOT NULL DEFAULT 0,"
    " PRIMARY KEY (kind, target)"
    ") STRICT;",
    // What a worker fixed before it made anything; and deliveries that go in order, or that newer ones make obsolete.
    "ALTER TABLE job ADD COLUMN fixed TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE delivery_new ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " key TEXT NOT NULL UNIQUE,"
    " target TEXT NOT NULL,"
    " kind TEXT NOT NULL,"
    " subject TEXT NOT NULL,"
    " payload TEXT NOT NULL,"
    " sequence TEXT NOT NULL DEFAULT '',"
    " topic TEXT NOT NULL DEFAULT '',"
    " batch TEXT NOT NULL DEFAULT '',"
    " state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4),"
    " attempts INTEGER NOT NULL DEFAULT 0,"
    " refusals INTEGER NOT NULL DEFAULT 0,"
    " uncertain INTEGER NOT NULL DEFAULT 0,"
    " created_ns INTEGER NOT NULL,"
    " next_ns INTEGER NOT NULL,"
    " done_ns INTEGER NOT NULL DEFAULT 0,"
    " lease_ns INTEGER NOT NULL DEFAULT 0,"
    " last_error TEXT NOT NULL DEFAULT '',"
    " token INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "INSERT INTO delivery_new (id, key, target, kind, subject, payload, state, attempts, refusals, created_ns, next_ns,"
    " done_ns, lease_ns, last_error, token) SELECT id, key, target, kind, subject, payload, state, attempts, refusals,"
    " created_ns, next_ns, done_ns, lease_ns, last_error, token FROM delivery;"
    "DROP TABLE delivery;"
    "ALTER TABLE delivery_new RENAME TO delivery;"
    "CREATE INDEX delivery_waiting ON delivery (kind, target, next_ns, id) WHERE state = 0;"
    "CREATE INDEX delivery_sending ON delivery (kind, target, lease_ns) WHERE state = 1;"
    "CREATE INDEX delivery_in_order ON delivery (kind, target, sequence, id) WHERE state < 2;"
    "CREATE INDEX delivery_state ON delivery (state, id);"
    "CREATE INDEX delivery_topic ON delivery (topic, id);",
    // What has ended is counted when it ends, for a walk through all there ever was would take longer each day.
    "ALTER TABLE job ADD COLUMN cause TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE job_tally ("
    " kind TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " state INTEGER NOT NULL,"
    " outcome TEXT NOT NULL,"
    " cause TEXT NOT NULL,"
    " count INTEGER NOT NULL,"
    " PRIMARY KEY (kind, model, state, outcome, cause)"
    ") STRICT;"
    "INSERT INTO job_tally SELECT kind, model, state, outcome, cause, count(*) FROM job WHERE state > 1"
    " GROUP BY kind, model, state, outcome, cause;"
    "CREATE TABLE delivery_tally ("
    " kind TEXT NOT NULL,"
    " target TEXT NOT NULL,"
    " state INTEGER NOT NULL,"
    " count INTEGER NOT NULL,"
    " PRIMARY KEY (kind, target, state)"
    ") STRICT;"
    "INSERT INTO delivery_tally SELECT kind, target, state, count(*) FROM delivery WHERE state IN (2, 4)"
    " GROUP BY kind, target, state;"
    "CREATE INDEX delivery_oldest ON delivery (kind, target, created_ns) WHERE state = 0;"
    "CREATE INDEX delivery_dead ON delivery (kind, target, created_ns) WHERE state = 3;",
    // And what was ever added, for a walk through a long backlog takes its time too.
    "ALTER TABLE delivery_target ADD COLUMN added INTEGER NOT NULL DEFAULT 0;"
    "UPDATE delivery_target SET added = (SELECT count(*) FROM delivery WHERE delivery.kind = delivery_target.kind"
    " AND delivery.target = delivery_target.target);",
    // What a delivery is of. Of older ones: what their sequence, the job or another delivery of their topic says.
    "ALTER TABLE delivery ADD COLUMN study TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE delivery ADD COLUMN result TEXT NOT NULL DEFAULT '';"
    "UPDATE delivery SET result = substr(batch, 1, 64);"
    "UPDATE delivery SET study = substr(sequence, 7) WHERE sequence LIKE 'study %';"
    "UPDATE delivery SET study = coalesce((SELECT job.study FROM job WHERE job.key = delivery.result),"
    " (SELECT min(o.study) FROM delivery AS o WHERE o.topic = delivery.topic AND o.study <> ''), '')"
    " WHERE study = '' AND topic <> '';"
    "CREATE INDEX delivery_study ON delivery (study, state, id);",
    // What failed and was skipped is listed.
    "CREATE INDEX job_state ON job (kind, state, number);",
    // A delivery that a person gave up; what states there are is said by the code alone.
    "CREATE TABLE delivery_new ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " key TEXT NOT NULL UNIQUE,"
    " target TEXT NOT NULL,"
    " kind TEXT NOT NULL,"
    " subject TEXT NOT NULL,"
    " payload TEXT NOT NULL,"
    " sequence TEXT NOT NULL DEFAULT '',"
    " topic TEXT NOT NULL DEFAULT '',"
    " batch TEXT NOT NULL DEFAULT '',"
    " state INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL DEFAULT 0,"
    " refusals INTEGER NOT NULL DEFAULT 0,"
    " uncertain INTEGER NOT NULL DEFAULT 0,"
    " created_ns INTEGER NOT NULL,"
    " next_ns INTEGER NOT NULL,"
    " done_ns INTEGER NOT NULL DEFAULT 0,"
    " lease_ns INTEGER NOT NULL DEFAULT 0,"
    " last_error TEXT NOT NULL DEFAULT '',"
    " token INTEGER NOT NULL DEFAULT 0,"
    " study TEXT NOT NULL DEFAULT '',"
    " result TEXT NOT NULL DEFAULT ''"
    ") STRICT;"
    "INSERT INTO delivery_new (" DELIVERY ") SELECT " DELIVERY " FROM delivery;"
    "DROP TABLE delivery;"
    "ALTER TABLE delivery_new RENAME TO delivery;"
    "CREATE INDEX delivery_waiting ON delivery (kind, target, next_ns, id) WHERE state = 0;"
    "CREATE INDEX delivery_sending ON delivery (kind, target, lease_ns) WHERE state = 1;"
    "CREATE INDEX delivery_in_order ON delivery (kind, target, sequence, id) WHERE state < 2;"
    "CREATE INDEX delivery_state ON delivery (state, id);"
    "CREATE INDEX delivery_topic ON delivery (topic, id);"
    "CREATE INDEX delivery_oldest ON delivery (kind, target, created_ns) WHERE state = 0;"
    "CREATE INDEX delivery_dead ON delivery (kind, target, created_ns) WHERE state = 3;"
    "CREATE INDEX delivery_study ON delivery (study, state, id);",
    NULL,
};

const struct store_migration queue_migration = {.room = "queue", .steps = steps};

bool queue_recover(struct database *db, int64_t now_ns, struct error *err)
{
    // The tokens are raised by the next claims, so that nothing of before can commit even if it were still alive.
    return sql_run(db, err,
                   "UPDATE job SET state = 0, retry_ns = 0, attempts = attempts - 1, crashes = crashes + 1"
                   " WHERE state = 1 AND crashes < ?",
                   "i", (int64_t)QUEUE_JOB_CRASHES_MAX) &&
           sql_run(db, err, "UPDATE delivery SET state = 0, uncertain = 1, next_ns = ? WHERE state = 1", "i", now_ns);
}

bool queue_waits_end(struct database *db, int64_t now_ns, struct error *err)
{
    return sql_run(db, err, "UPDATE job SET retry_ns = ?1 WHERE state = 0 AND retry_ns > ?2", "ii", now_ns,
                   now_ns + QUEUE_RETRY_MAX_NS) &&
           sql_run(db, err, "UPDATE delivery SET next_ns = ?1 WHERE state = 0 AND next_ns > ?2", "ii", now_ns,
                   now_ns + QUEUE_BACKOFF_MAX_NS) &&
           sql_run(db, err, "UPDATE delivery_target SET next_ns = ?1 WHERE next_ns > ?2", "ii", now_ns,
                   now_ns + QUEUE_BACKOFF_MAX_NS);
}

const char *queue_column(struct sql *sql, int column, struct arena *arena)
{
    return arena_strdup(arena, queue_text(sql_text(sql, column)));
}

bool queue_check_text(const char *what, const char *text, size_t most, struct error *err)
{
    size_t size = text ? strlen(text) : 0;
    return size <= most || error_set(err, ERROR_LIMIT, "%s is %zu bytes long, more than %zu", what, size, most);
}

const char *queue_reason(char out[QUEUE_REASON_MAX + 1], const char *text)
{
    return text_show(out, QUEUE_REASON_MAX + 1, queue_text(text), strlen(queue_text(text)));
}

struct rows {
    struct arena *arena;
    uint8_t *data;
    size_t size, count, capacity;
};

// The old array stays in the arena until that is freed: at most as much again as the rows need.
static void *next_row(struct rows *rows)
{
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity ? rows->capacity * 2 : 16;
        uint8_t *data = arena_calloc(rows->arena, capacity, rows->size);
        if (!data)
            return NULL;
        if (rows->count > 0)
            memcpy(data, rows->data, rows->count * rows->size);
        rows->data = data;
        rows->capacity = capacity;
    }
    return rows->data + rows->count++ * rows->size;
}

bool queue_rows(struct sql *sql, queue_row_fn *read, size_t size, size_t limit, struct arena *arena, void **out,
                size_t *count, struct error *err)
{
    struct rows rows = {.arena = arena, .size = size};
    bool row = true, ok = true;
    while (ok && rows.count < limit && (ok = sql_step(sql, &row, err)) && row) {
        void *to = next_row(&rows);
        ok = to ? read(sql, arena, to, err) : error_set(err, ERROR_MEMORY, "too many rows for the memory given");
    }
    sql_done(sql);
    *out = rows.data;
    *count = rows.count;
    return ok;
}
