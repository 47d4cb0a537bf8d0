#include "base/wait.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>

#include "base/clock.h"

enum { SLICE_MS = 100, WAIT_MAX_MS = 60000 };

static _Thread_local const atomic_bool *heeded;

void wait_heed(const atomic_bool *stop)
{
    heeded = stop;
}

int wait_ready(int fd, short events, int64_t deadline_ns)
{
    const int64_t most_ms = heeded ? SLICE_MS : WAIT_MAX_MS;
    while (!heeded || !atomic_load(heeded)) {
        int64_t left_ns = deadline_ns - clock_monotonic_ns();
        if (left_ns <= 0)
            return 0;
        int64_t left_ms = left_ns / CLOCK_MS + 1;
        struct pollfd wait = {.fd = fd, .events = events};
        int ready = poll(&wait, 1, (int)(left_ms < most_ms ? left_ms : most_ms));
        if (ready > 0)
            return 1;
        if (ready < 0 && errno != EINTR)
            return -1;
    }
    return 0;
}
