// The leases of jobs being done: renewed while their workers live, so that a model that computes for an hour is not
// started a second time.
#include "flow/internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

// A worker that hangs in the kernel for ever must lose its job at last: longer than all workers' turns at one model
// with the longest time-out.
#define HELD_MAX_NS (INT64_C(12) * 3600 * CLOCK_SECOND)

void flow_lease_hold(struct flow *flow, const struct queue_job *job)
{
    int64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&flow->lease_lock);
    for (size_t i = 0; i < FLOW_WORKERS_MAX; i++) {
        struct flow_lease *lease = &flow->leases[i];
        if (*lease->key)
            continue;
        text_copy(lease->key, sizeof lease->key, job->key);
        lease->token = job->token;
        lease->next_ns = now_ns + FLOW_LEASE_NS / 4;
        lease->end_ns = now_ns + HELD_MAX_NS;
        break;
    }
    pthread_mutex_unlock(&flow->lease_lock);
}

void flow_lease_drop(struct flow *flow, const struct queue_job *job)
{
    pthread_mutex_lock(&flow->lease_lock);
    for (size_t i = 0; i < FLOW_WORKERS_MAX; i++)
        if (strcmp(flow->leases[i].key, job->key) == 0)
            *flow->leases[i].key = '\0';
    pthread_mutex_unlock(&flow->lease_lock);
}

struct renewal {
    struct flow_lease lease;
    int64_t until_ns;
};

static bool write_renewal(struct database *db, void *payload, struct error *err)
{
    const struct renewal *renewal = payload;
    return queue_job_renew(db, renewal->lease.key, renewal->lease.token, renewal->until_ns, err);
}

// The next one that is due, with its next time set on; false: none.
static bool take_due(struct flow *flow, int64_t now_ns, struct flow_lease *out)
{
    bool found = false;
    pthread_mutex_lock(&flow->lease_lock);
    for (size_t i = 0; i < FLOW_WORKERS_MAX && !found; i++) {
        struct flow_lease *lease = &flow->leases[i];
        found = *lease->key && lease->next_ns <= now_ns && now_ns < lease->end_ns;
        if (found) {
            lease->next_ns = now_ns + FLOW_LEASE_NS / 4;
            *out = *lease;
        }
    }
    pthread_mutex_unlock(&flow->lease_lock);
    return found;
}

void flow_leases_renew(struct flow *flow)
{
    struct renewal renewal;
    struct error err;
    while (take_due(flow, clock_monotonic_ns(), &renewal.lease)) {
        renewal.until_ns = clock_now_ns() + FLOW_LEASE_NS;
        if (!store_write(flow->options.store, STORE_REPLAYABLE, write_renewal, &renewal, &err))
            log_warning("flow", "the lease of job %.16s is not renewed: %s", renewal.lease.key, err.message);
    }
}
