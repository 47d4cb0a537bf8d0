#include "place.h"

#include "access/access.h"
#include "support/folder.h"
#include "support/store.h"

struct store *place_store(const char *folder, struct error *err)
{
    static const char *const steps[] = {"CREATE TABLE fact (job TEXT NOT NULL, token INTEGER NOT NULL) STRICT", NULL};
    static const struct store_migration facts = {.room = "facts", .steps = steps};
    static const struct store_migration *const rooms[] = {&access_migration, &queue_migration, &facts, NULL};
    return open_store(folder, rooms, err);
}

void place_open(struct place *place)
{
    *place = (struct place){0};
    folder_make(place->folder, sizeof place->folder);
    arena_init(&place->arena, 64 << 20);
    place->store = place_store(place->folder, &place->err);
    assert_ok(place->store != NULL, place->err);
}

void place_reopen(struct place *place)
{
    store_close(place->store);
    place->store = place_store(place->folder, &place->err);
    assert_ok(place->store != NULL, place->err);
}

// What is counted as it ends is what there is, whatever the test did.
static void check_tallies(struct place *place)
{
    assert_int_equal(place_int(place, "SELECT count(*) FROM (SELECT kind, model, state, outcome, cause, count(*) FROM"
                                      " job WHERE state > 1 GROUP BY 1, 2, 3, 4, 5 EXCEPT SELECT * FROM job_tally)"),
                     0);
    assert_int_equal(place_int(place, "SELECT (SELECT count(*) FROM job WHERE state > 1) -"
                                      " (SELECT coalesce(sum(count), 0) FROM job_tally)"),
                     0);
    assert_int_equal(place_int(place,
                               "SELECT count(*) FROM (SELECT kind, target, state, count(*) FROM delivery"
                               " WHERE state IN (2, 4, 5) GROUP BY 1, 2, 3 EXCEPT SELECT * FROM delivery_tally)"),
                     0);
    assert_int_equal(place_int(place, "SELECT (SELECT count(*) FROM delivery WHERE state IN (2, 4, 5)) -"
                                      " (SELECT coalesce(sum(count), 0) FROM delivery_tally)"),
                     0);
    assert_int_equal(place_int(place, "SELECT count(*) FROM (SELECT kind, target, count(*) FROM delivery GROUP BY 1, 2"
                                      " EXCEPT SELECT kind, target, added FROM delivery_target)"),
                     0);
}

void place_close(struct place *place)
{
    check_tallies(place);
    store_close(place->store);
    arena_free(&place->arena);
    folder_delete(place->folder);
}

int64_t place_int(struct place *place, const char *sql)
{
    int64_t value = 0;
    bool found;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(db != NULL, place->err);
    assert_ok(sql_get_int(db, &place->err, &value, &found, sql, ""), place->err);
    store_read_end(place->store, db);
    return value;
}

uint64_t place_events(struct place *place, enum store_event_kind kind)
{
    struct store_event *events;
    size_t count;
    uint64_t same = 0;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(db != NULL, place->err);
    assert_ok(store_event_read(db, 0, 10000, &place->arena, &events, &count, &place->err), place->err);
    store_read_end(place->store, db);
    for (size_t i = 0; i < count; i++)
        same += events[i].kind == kind;
    return same;
}

// ---- jobs

struct job_call {
    const struct queue_job *job;
    const char *text;
    int64_t token, now_ns, lease_ns;
    struct arena *arena;
    bool *added;
    struct queue_job **out;
};

static bool write_add(struct database *db, void *payload, struct error *err)
{
    struct job_call *call = payload;
    return queue_job_add(db, call->job, call->now_ns, call->added, err);
}

static bool write_claim(struct database *db, void *payload, struct error *err)
{
    struct job_call *call = payload;
    return queue_job_claim(db, call->text, call->now_ns, call->lease_ns, call->arena, call->out, err);
}

static bool write_renew(struct database *db, void *payload, struct error *err)
{
    struct job_call *call = payload;
    return queue_job_renew(db, call->text, call->token, call->now_ns, err);
}

static bool write_finish(struct database *db, void *payload, struct error *err)
{
    struct job_call *call = payload;
    return sql_run(db, err, "INSERT INTO fact (job, token) VALUES (?, ?)", "ti", call->job->key, call->token) &&
           queue_job_finish(db, call->job, call->token, call->now_ns, err);
}

bool job_add(struct store *store, const struct queue_job *job, int64_t now_ns, bool *added, struct error *err)
{
    struct job_call call = {.job = job, .now_ns = now_ns, .added = added};
    return store_write(store, STORE_DURABLE, write_add, &call, err);
}

bool job_claim(struct store *store, const char *kind, int64_t now_ns, int64_t lease_ns, struct arena *arena,
               struct queue_job **out, struct error *err)
{
    struct job_call call = {.text = kind, .now_ns = now_ns, .lease_ns = lease_ns, .arena = arena, .out = out};
    return store_write(store, STORE_REPLAYABLE, write_claim, &call, err);
}

bool job_renew(struct store *store, const char *key, int64_t token, int64_t until_ns, struct error *err)
{
    struct job_call call = {.text = key, .token = token, .now_ns = until_ns};
    return store_write(store, STORE_REPLAYABLE, write_renew, &call, err);
}

bool job_finish(struct store *store, const struct queue_job *job, int64_t token, int64_t now_ns, struct error *err)
{
    struct job_call call = {.job = job, .token = token, .now_ns = now_ns};
    return store_write(store, STORE_DURABLE, write_finish, &call, err);
}

struct queue_job *job_get(struct place *place, const char *key)
{
    struct queue_job *job;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(db != NULL, place->err);
    assert_ok(queue_job_get(db, key, &place->arena, &job, &place->err), place->err);
    store_read_end(place->store, db);
    assert_non_null(job);
    return job;
}

// ---- deliveries

struct delivery_call {
    const struct queue_delivery *delivery;
    enum queue_failure how;
    const char *text;
    bool *added;
    int64_t id, now_ns, *next_ns;
    struct arena *arena;
    struct queue_delivery **out;
};

static bool write_delivery_add(struct database *db, void *payload, struct error *err)
{
    struct delivery_call *call = payload;
    return queue_delivery_add(db, call->delivery, call->now_ns, call->added, err);
}

static bool write_delivery_claim(struct database *db, void *payload, struct error *err)
{
    struct delivery_call *call = payload;
    return queue_delivery_claim(db, "dicom", call->now_ns, LEASE, call->arena, call->out, call->next_ns, err);
}

static bool write_delivery_done(struct database *db, void *payload, struct error *err)
{
    struct delivery_call *call = payload;
    return queue_delivery_done(db, call->delivery->id, call->delivery->token, "", call->now_ns, err);
}

static bool write_delivery_failed(struct database *db, void *payload, struct error *err)
{
    struct delivery_call *call = payload;
    bool dead;
    return queue_delivery_failed(db, call->delivery->id, call->delivery->token, call->how, "no\nanswer", call->now_ns,
                                 &dead, err);
}

static bool write_delivery_replay(struct database *db, void *payload, struct error *err)
{
    struct delivery_call *call = payload;
    return queue_delivery_replay(db, ACCESS_ALL, call->id, call->now_ns, err);
}

static bool write_delivery_obsolete(struct database *db, void *payload, struct error *err)
{
    struct delivery_call *call = payload;
    return queue_delivery_obsolete(db, call->delivery->topic, call->text, call->text, err);
}

bool delivery_add_row(struct place *place, const struct queue_delivery *delivery, int64_t now_ns)
{
    bool added;
    struct delivery_call call = {.delivery = delivery, .now_ns = now_ns, .added = &added};
    return store_write(place->store, STORE_DURABLE, write_delivery_add, &call, &place->err) && added;
}

bool delivery_obsolete(struct place *place, const char *topic, const char *batch)
{
    struct delivery_call call = {.delivery = &(struct queue_delivery){.topic = topic}, .text = batch};
    return store_write(place->store, STORE_DURABLE, write_delivery_obsolete, &call, &place->err);
}

static bool write_delivery_again(struct database *db, void *payload, struct error *err)
{
    struct delivery_call *call = payload;
    return queue_delivery_again(db, call->delivery->topic, call->text, err);
}

bool delivery_again(struct place *place, const char *topic, const char *batch)
{
    struct delivery_call call = {.delivery = &(struct queue_delivery){.topic = topic}, .text = batch};
    return store_write(place->store, STORE_DURABLE, write_delivery_again, &call, &place->err);
}

bool delivery_add(struct store *store, const char *key, const char *target, int64_t now_ns, bool *added,
                  struct error *err)
{
    struct queue_delivery delivery = {
        .key = key, .target = target, .kind = "dicom", .subject = "1.2.3", .payload = "{\"object\":1}"};
    struct delivery_call call = {.delivery = &delivery, .now_ns = now_ns, .added = added};
    return store_write(store, STORE_DURABLE, write_delivery_add, &call, err);
}

bool delivery_claim(struct place *place, int64_t now_ns, struct queue_delivery **out, int64_t *next_ns)
{
    struct delivery_call call = {.now_ns = now_ns, .arena = &place->arena, .out = out, .next_ns = next_ns};
    return store_write(place->store, STORE_REPLAYABLE, write_delivery_claim, &call, &place->err);
}

bool delivery_done(struct place *place, const struct queue_delivery *delivery, int64_t now_ns)
{
    struct delivery_call call = {.delivery = delivery, .now_ns = now_ns};
    return store_write(place->store, STORE_DURABLE, write_delivery_done, &call, &place->err);
}

bool delivery_failed(struct place *place, const struct queue_delivery *delivery, enum queue_failure how, int64_t now_ns)
{
    struct delivery_call call = {.delivery = delivery, .how = how, .now_ns = now_ns};
    return store_write(place->store, STORE_DURABLE, write_delivery_failed, &call, &place->err);
}

bool delivery_replay(struct place *place, int64_t id, int64_t now_ns)
{
    struct delivery_call call = {.id = id, .now_ns = now_ns};
    return store_write(place->store, STORE_DURABLE, write_delivery_replay, &call, &place->err);
}
