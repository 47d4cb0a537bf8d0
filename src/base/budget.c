#include "base/budget.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"

enum { LOOK_AGAIN_MS = 20 };

static _Atomic uint64_t limit, used, refusals, untold;
static _Atomic int64_t tell_ns; // monotonic: when a refusal is logged again
static _Thread_local bool for_peer, refused;

void budget_set(uint64_t bytes)
{
    limit = bytes;
}

uint64_t budget_limit(void)
{
    return limit;
}

uint64_t budget_used(void)
{
    return used;
}

uint64_t budget_refusals(void)
{
    return refusals;
}

void budget_for_peer(bool does)
{
    for_peer = does;
    refused = false;
}

bool budget_is_for_peer(void)
{
    return for_peer;
}

bool budget_was_refused(void)
{
    return refused;
}

// One line a minute, however many come.
static void tell(uint64_t bytes)
{
    int64_t now_ns = clock_monotonic_ns(), due_ns = tell_ns;
    atomic_fetch_add(&refusals, 1);
    atomic_fetch_add(&untold, 1);
    if (now_ns < due_ns || !atomic_compare_exchange_strong(&tell_ns, &due_ns, now_ns + 60 * CLOCK_SECOND))
        return;
    log_warning("memory",
                "%llu requests were told to come again: %llu of the %llu MiB for all who send or ask are taken, the "
                "last wanted %llu KiB more (memory.peers_mb)",
                (unsigned long long)atomic_exchange(&untold, 0), (unsigned long long)(used >> 20),
                (unsigned long long)(limit >> 20), (unsigned long long)(bytes >> 10));
}

static bool try_take(uint64_t bytes)
{
    uint64_t most = limit, before = used;
    do
        if (most > 0 && (bytes > most || before > most - bytes))
            return false;
    while (!atomic_compare_exchange_weak(&used, &before, before + bytes));
    return true;
}

bool budget_take_in(uint64_t bytes, int64_t patience_ns, uint64_t *charged)
{
    const int64_t until_ns = clock_monotonic_ns() + patience_ns;
    *charged = 0;
    if (!for_peer)
        return true;
    while (!try_take(bytes)) {
        if (bytes > limit || clock_monotonic_ns() >= until_ns) {
            refused = true;
            tell(bytes);
            return false;
        }
        clock_sleep_ns(LOOK_AGAIN_MS * CLOCK_MS);
    }
    *charged = bytes;
    return true;
}

bool budget_take(uint64_t bytes, uint64_t *charged)
{
    *charged = 0;
    if (!for_peer)
        return true;
    if (try_take(bytes)) {
        *charged = bytes;
        return true;
    }
    return budget_take_in(bytes, 0, charged);
}

void budget_give(uint64_t charged)
{
    atomic_fetch_sub(&used, charged);
}
