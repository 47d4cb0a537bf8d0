#include "service/deliver.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "store/event.h"

// Longer than the largest object takes on the slowest line: a delivery whose lease runs out while it is sent would be sent again without end. What a crash leaves is freed at the next start (queue_recover), not by this.
#define LEASE_NS (INT64_C(3600) * CLOCK_SECOND)
#define IDLE_NS (INT64_C(1) * CLOCK_SECOND)
enum { DELIVERY_ARENA = 16 << 20 };

struct deliverer {
    struct service *service;
    const char *kind;
    deliver_fn *deliver;
    pthread_t thread;
    _Atomic bool stopping;
};

struct turn {
    struct deliverer *deliverer;
    struct arena *arena;
    struct queue_delivery *delivery; // NULL: none is due
    int64_t next_ns;
    int64_t now_ns;
    bool done, refused;
    struct error reason;
};

static bool write_claim(struct database *db, void *payload, struct error *err)
{
    struct turn *turn = payload;
    return queue_delivery_claim(db, turn->deliverer->kind, turn->now_ns, LEASE_NS, turn->arena, &turn->delivery,
                                &turn->next_ns, err);
}

static bool write_outcome(struct database *db, void *payload, struct error *err)
{
    struct turn *turn = payload;
    const struct queue_delivery *delivery = turn->delivery;
    if (turn->done)
        return queue_delivery_done(db, delivery->id, delivery->token, turn->now_ns, err);
    return queue_delivery_failed(db, delivery->id, delivery->token, turn->refused, turn->reason.message, turn->now_ns,
                                 err);
}

static void send(struct turn *turn)
{
    struct deliverer *deliverer = turn->deliverer;
    const struct queue_delivery *delivery = turn->delivery;
    struct error err;
    turn->done = deliverer->deliver(deliverer->service, delivery, &turn->refused, &turn->reason);
    fault_point("outbox.after_send");
    turn->now_ns = clock_now_ns();
    if (turn->done)
        log_info("deliver", "%s %s delivered to %s", delivery->kind, delivery->subject, delivery->target);
    else
        log_warning("deliver", "%s %s to %s, try %lld: %s", delivery->kind, delivery->subject, delivery->target,
                    (long long)delivery->attempts, turn->reason.message);
    // Not noted as done, it is sent again after the lease: at least once, and the target keeps it once.
    if (!store_write(deliverer->service->store, STORE_DURABLE, write_outcome, turn, &err))
        log_warning("deliver", "outcome of %s not noted: %s", delivery->subject, err.message);
}

static void *run(void *payload)
{
    struct deliverer *deliverer = payload;
    struct store *store = deliverer->service->store;
    struct arena arena;
    arena_init(&arena, DELIVERY_ARENA);
    while (!deliverer->stopping) {
        struct turn turn = {.deliverer = deliverer, .arena = &arena, .now_ns = clock_now_ns()};
        struct error err;
        uint64_t seen = store_event_last(store);
        arena_reset(&arena);
        if (!store_write(store, STORE_REPLAYABLE, write_claim, &turn, &err)) {
            log_warning("deliver", "no %s delivery can be claimed: %s", deliverer->kind, err.message);
            clock_sleep_ns(IDLE_NS);
        } else if (turn.delivery) {
            send(&turn);
        } else {
            int64_t wait_ns = turn.next_ns - turn.now_ns < IDLE_NS ? turn.next_ns - turn.now_ns : IDLE_NS;
            store_event_wait(store, seen, wait_ns > CLOCK_MS ? wait_ns : CLOCK_MS);
        }
    }
    arena_free(&arena);
    return NULL;
}

struct deliverer *deliverer_start(struct service *service, const char *kind, deliver_fn *deliver, struct error *err)
{
    struct deliverer *deliverer = calloc(1, sizeof *deliverer);
    if (deliverer) {
        deliverer->service = service;
        deliverer->kind = kind;
        deliverer->deliver = deliver;
        if (pthread_create(&deliverer->thread, NULL, run, deliverer) == 0)
            return deliverer;
    }
    free(deliverer);
    error_set(err, ERROR_MEMORY, "cannot start the %s deliveries", kind);
    return NULL;
}

void deliverer_stop(struct deliverer *deliverer)
{
    if (!deliverer)
        return;
    deliverer->stopping = true;
    store_event_wake(deliverer->service->store);
    pthread_join(deliverer->thread, NULL);
    free(deliverer);
}
