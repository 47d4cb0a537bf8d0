#include "base/fault.h"

#ifdef HILUM_FAULTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char wanted[64];       // "" when no fault is asked for
static _Atomic uint64_t left; // passes until the kill

static void read_environment(void)
{
    const char *value = getenv("HILUM_FAULT");
    const char *colon = value ? strrchr(value, ':') : NULL;
    uint64_t count = 1;
    if (!value || (colon && !text_to_u64(colon + 1, strlen(colon + 1), &count)))
        return;
    text_copy_n(wanted, sizeof wanted, value, colon ? (size_t)(colon - value) : strlen(value));
    atomic_store(&left, count);
}

void fault_point(const char *name)
{
    pthread_once(&once, read_environment);
    if (wanted[0] == '\0' || strcmp(name, wanted) != 0)
        return;
    if (atomic_fetch_sub(&left, 1) == 1)
        kill(getpid(), SIGKILL);
}

#endif
