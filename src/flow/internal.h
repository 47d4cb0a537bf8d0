// Inside the flow room.
#ifndef FLOW_INTERNAL_H
#define FLOW_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "flow/flow.h"
#include "queue/queue.h"
#include "store/database.h"
#include "store/event.h"

enum { FLOW_WORKERS_MAX = 8, FLOW_ARENA_MAX = 256 << 20 };

#define FLOW_LEASE_NS (INT64_C(120) * 1000000000) // of a job; renewed four times in it

struct flow_lease { // of a job that a worker does now; key "": free
    char key[QUEUE_KEY_MAX + 1];
    int64_t token;
    int64_t next_ns, end_ns; // monotonic: when it is renewed next, and for the last time
};

struct flow {
    struct flow_options options;
    struct queue_consumer *consumer;
    struct arena arena; // of one step of the consumer
    int64_t prune_ns;   // when old events are dropped next
    pthread_t thread;   // the consumer's
    pthread_t workers[FLOW_WORKERS_MAX];
    unsigned worker_count;
    bool thread_runs;
    _Atomic bool stopping;
    pthread_mutex_t lease_lock; // of `leases`
    struct flow_lease leases[FLOW_WORKERS_MAX];
};

// ---- named_row.c: configuration kept as versioned JSON by kind and name

// `kind` is "rule" or "hl7"; `json` loses its member "version". CONFLICT when *version is neither 0 nor that of the
// row; after success it is the row's.
bool named_row_put(struct store *store, struct access *access, const char *kind, const char *name, json_t *json,
                   int64_t *version, const char *actor, struct error *err);
bool named_row_remove(struct store *store, struct access *access, const char *kind, const char *name, const char *actor,
                      struct error *err);
// Calls `each` for the rows of a kind by name.
bool named_row_each(struct store *store, const char *kind,
                    bool (*each)(const char *json, int64_t version, void *payload, struct error *err), void *payload,
                    struct error *err);

// Reads the members of a JSON object by a table; a member that is in no row is refused by name.
enum field_type { FIELD_TEXT, FIELD_NUMBER, FIELD_INTEGER, FIELD_COUNT, FIELD_BOOLEAN, FIELD_NAMES };
struct field {
    const char *name;
    enum field_type type;
    size_t offset;   // in the struct
    size_t capacity; // of a text; of a name in FIELD_NAMES
    size_t count;    // offset of the size_t that counts FIELD_NAMES
};
enum { FIELD_NAMES_MAX = 8 };
bool fields_read(const json_t *json, const struct field *fields, void *out, const char *what,
                 struct error *err); // ended by name NULL
// The member "version": 0 when it is not there.
bool field_version(const json_t *json, int64_t *out, const char *what, struct error *err);
json_t *fields_write(const struct field *fields, const void *from);

// ---- complete.c

bool flow_complete_step(struct flow *flow, int64_t now_ns, bool *worked, struct error *err);

// ---- match.c: what of the rules holds for a series, and the jobs that follow; reads files, so outside any transaction

struct flow_match {
    struct queue_job job;
    struct flow_rule rule;
};
bool flow_match_series(struct flow *flow, const char *study, const char *series, struct arena *arena,
                       struct flow_match **out, size_t *count, struct error *err);
// What a rule and a package's needs ask, ASCII letters folded: is the word in the description; is the part of the body
// the one asked for, or in the description?
bool flow_says(const char *description, const char *word);
bool flow_is_part(const char *body_part, const char *description, const char *asked);
// In a NULL-ended list; NULL: not installed.
struct model_package *flow_package(struct model_package *const *packages, const char *name);

// ---- lease.c

void flow_lease_hold(struct flow *flow, const struct queue_job *job);
void flow_lease_drop(struct flow *flow, const struct queue_job *job);
void flow_leases_renew(struct flow *flow); // those that are due; the consumer's thread calls it

// ---- worker.c

void *flow_worker(void *payload); // a thread; payload: struct flow

#endif
