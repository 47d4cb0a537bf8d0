// A folder of its own for each test with a store in it, and short forms of the calls under test, each in a write
// transaction of its own.
#ifndef QUEUE_TESTS_PLACE_H
#define QUEUE_TESTS_PLACE_H

#include "support/check.h"

#include "base/clock.h"
#include "queue/queue.h"
#include "store/store.h"

enum { PLACE_PATH = 256 };

struct place {
    char folder[PLACE_PATH];
    struct store *store;
    struct arena arena;
    struct error err;
};

void place_open(struct place *place); // a new folder
void place_reopen(struct place *place);
void place_close(struct place *place);
// The store of a folder with the room's tables and a table `fact(job, token)` of results; NULL and *err.
struct store *place_store(const char *folder, struct error *err);

int64_t place_int(struct place *place, const char *sql); // a constant query of one integer
uint64_t place_events(struct place *place, enum store_event_kind kind);

// ---- jobs

bool job_add(struct store *store, const struct queue_job *job, int64_t now_ns, bool *added, struct error *err);
bool job_claim(struct store *store, const char *kind, int64_t now_ns, int64_t lease_ns, struct arena *arena,
               struct queue_job **out, struct error *err);
bool job_renew(struct store *store, const char *key, int64_t token, int64_t until_ns, struct error *err);
// Also writes a row of `fact` in the same transaction.
bool job_finish(struct store *store, const struct queue_job *job, int64_t token, int64_t now_ns, struct error *err);
struct queue_job *job_get(struct place *place, const char *key); // asserts

// ---- deliveries

bool delivery_add(struct store *store, const char *key, const char *target, int64_t now_ns, bool *added,
                  struct error *err);
bool delivery_claim(struct place *place, int64_t now_ns, struct queue_delivery **out, int64_t *next_ns);
bool delivery_done(struct place *place, const struct queue_delivery *delivery, int64_t now_ns);
bool delivery_failed(struct place *place, const struct queue_delivery *delivery, enum queue_failure how,
                     int64_t now_ns);
bool delivery_add_row(struct place *place, const struct queue_delivery *delivery, int64_t now_ns); // of kind "dicom"
bool delivery_obsolete(struct place *place, const char *topic, const char *batch);
bool delivery_again(struct place *place, const char *topic, const char *batch);
bool delivery_replay(struct place *place, int64_t id, int64_t now_ns);

#define LEASE (30 * CLOCK_SECOND)

int test_consumer(void);
int test_jobs(void);
int test_outbox(void);
int test_crashes(void);
void crashes_work(const char *folder); // until it is killed

#endif
