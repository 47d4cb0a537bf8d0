#include "service/deliver.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/wait.h"
#include "store/event.h"

// Longer than the largest object takes on the slowest line: a delivery whose lease runs out while it is sent would be
// sent again without end. What a crash leaves is freed at the next start (queue_recover), not by this.
#define LEASE_NS (INT64_C(3600) * CLOCK_SECOND)
#define IDLE_NS (INT64_C(1) * CLOCK_SECOND)
// One fewer may hang until their time-outs without delaying other targets of their kind: each target gets one delivery
// at a time (queue_delivery_claim).
enum { DELIVERER_THREADS = 4, DELIVERY_ARENA = 16 << 20 };

struct deliverer {
    struct service *service;
    const char *kind;
    deliver_fn *deliver;
    pthread_mutex_t looking; // held by the one that looks for work: not each of them wakes at each event
    pthread_t threads[DELIVERER_THREADS];
    size_t count;
    atomic_bool stopping;
};

struct turn {
    struct deliverer *deliverer;
    struct arena *arena;
    struct queue_delivery *delivery; // NULL: none is due
    int64_t next_ns;
    int64_t now_ns;
    bool done, dead;
    enum queue_failure how; // when it is not done
    struct error reason;
    char warning[DELIVER_WARNING_SIZE]; // when it is done; "": none
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
        return queue_delivery_done(db, delivery->id, delivery->token, turn->warning, turn->now_ns, err);
    return queue_delivery_failed(db, delivery->id, delivery->token, turn->how, turn->reason.message, turn->now_ns,
                                 &turn->dead, err);
}

// Results that left, for the audit trail: of whom, and to whom.
static void audit(const struct turn *turn)
{
    const struct queue_delivery *delivery = turn->delivery;
    struct service *service = turn->deliverer->service;
    char detail[4 * QUEUE_NAME_MAX];
    struct service_about about = service_about_result(service, delivery->result, turn->arena);
    snprintf(detail, sizeof detail, "%s %s%s%s delivered to %s", delivery->kind, delivery->subject,
             *delivery->result ? " of result " : "", delivery->result, delivery->target);
    access_audit(service->access,
                 &(struct access_record){.event = ACCESS_EVENT_EXPORTED,
                                         .success = true,
                                         .actor = "hilum",
                                         .address = "",
                                         .patient = about.patient ? about.patient : "",
                                         .study = delivery->study,
                                         .detail = detail},
                 turn->now_ns);
}

static void tell_done(const struct turn *turn)
{
    const struct queue_delivery *delivery = turn->delivery;
    log_info("deliver", "%s %s delivered to %s", delivery->kind, delivery->subject, delivery->target);
    if (*turn->warning) {
        atomic_fetch_add(&turn->deliverer->service->counters.deliveries_warned, 1);
        log_warning("deliver", "%s %s to %s: %s", delivery->kind, delivery->subject, delivery->target, turn->warning);
    }
    audit(turn);
}

static void send(struct turn *turn)
{
    struct deliverer *deliverer = turn->deliverer;
    const struct queue_delivery *delivery = turn->delivery;
    struct error err;
    turn->done = deliverer->deliver(deliverer->service, delivery, &turn->how, turn->warning, &turn->reason);
    fault_point("outbox.after_send");
    turn->now_ns = clock_now_ns();
    if (!turn->done && deliverer->stopping) // given up, no fault of the target's: the next start sends it again
        return;
    if (turn->done) {
        tell_done(turn);
    } else {
        log_warning("deliver", "%s %s to %s, try %lld: %s", delivery->kind, delivery->subject, delivery->target,
                    (long long)delivery->attempts, turn->reason.message);
    }
    // Not noted as done, it is sent again after the lease: at least once, and the target keeps it once.
    if (!store_write(deliverer->service->store, STORE_DURABLE, write_outcome, turn, &err))
        log_warning("deliver", "outcome of %s not noted: %s", delivery->subject, err.message);
    else if (!turn->done && turn->dead)
        log_error("deliver",
                  "%s %s to %s is given up after %lld tries, the last: %s; mend it, then replay delivery %lld",
                  delivery->kind, delivery->subject, delivery->target, (long long)delivery->attempts,
                  turn->reason.message, (long long)delivery->id);
}

// false: nothing is due, or nothing can be claimed now, or may be sent [A5].
static bool claim(struct deliverer *deliverer, struct arena *arena, struct turn *turn)
{
    struct error err;
    arena_reset(arena);
    *turn = (struct turn){.deliverer = deliverer, .arena = arena, .now_ns = clock_now_ns()};
    turn->next_ns = turn->now_ns + IDLE_NS;
    if (store_alarm_older_stands())
        return false;
    if (store_write(deliverer->service->store, STORE_REPLAYABLE, write_claim, turn, &err))
        return turn->delivery != NULL;
    log_warning("deliver", "no %s delivery can be claimed: %s", deliverer->kind, err.message);
    turn->delivery = NULL;
    turn->next_ns = turn->now_ns + IDLE_NS;
    return false;
}

static bool look_for_work(struct deliverer *deliverer, struct arena *arena, struct turn *turn)
{
    struct store *store = deliverer->service->store;
    bool found = false;
    pthread_mutex_lock(&deliverer->looking);
    while (!deliverer->stopping && !found) {
        uint64_t seen = store_event_last(store);
        found = claim(deliverer, arena, turn);
        int64_t wait_ns = turn->next_ns - turn->now_ns < IDLE_NS ? turn->next_ns - turn->now_ns : IDLE_NS;
        if (!found)
            store_event_wait(store, seen, wait_ns > CLOCK_MS ? wait_ns : CLOCK_MS);
    }
    pthread_mutex_unlock(&deliverer->looking);
    return found;
}

static void *run(void *payload)
{
    struct deliverer *deliverer = payload;
    struct arena arena;
    struct turn turn;
    arena_init(&arena, DELIVERY_ARENA);
    wait_heed(&deliverer->stopping);
    while (look_for_work(deliverer, &arena, &turn)) {
        send(&turn);
        while (!deliverer->stopping && claim(deliverer, &arena, &turn)) // what waited for the same target, at once
            send(&turn);
    }
    arena_free(&arena);
    return NULL;
}

struct deliverer *deliverer_start(struct service *service, const char *kind, deliver_fn *deliver, struct error *err)
{
    struct deliverer *deliverer = calloc(1, sizeof *deliverer);
    if (!deliverer) {
        error_set(err, ERROR_MEMORY, "no memory for the %s deliveries", kind);
        return NULL;
    }
    deliverer->service = service;
    deliverer->kind = kind;
    deliverer->deliver = deliver;
    pthread_mutex_init(&deliverer->looking, NULL);
    for (; deliverer->count < DELIVERER_THREADS; deliverer->count++) {
        int number = pthread_create(&deliverer->threads[deliverer->count], NULL, run, deliverer);
        if (number != 0) {
            error_errno(err, number, "cannot start the %s deliveries", kind);
            deliverer_stop(deliverer);
            return NULL;
        }
    }
    return deliverer;
}

void deliverer_stop(struct deliverer *deliverer)
{
    if (!deliverer)
        return;
    deliverer->stopping = true;
    store_event_wake(deliverer->service->store);
    for (size_t i = 0; i < deliverer->count; i++)
        pthread_join(deliverer->threads[i], NULL);
    pthread_mutex_destroy(&deliverer->looking);
    free(deliverer);
}
