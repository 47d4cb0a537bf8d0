// Logins that failed: whom they make wait. Of a name from an address, and of an address alone (of IPv6 its first 64
// bits, which one computer has for itself): the first few are free, then each further one has to wait twice as long as
// the one before, at most ACCESS_WAIT_MAX_SECONDS. What fails no more is forgotten after an hour.
#ifndef ACCESS_TRIES_H
#define ACCESS_TRIES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { TRIES_ROWS = 4096 }; // a power of two; where a place is taken by another one, the one of longest ago goes

struct tries {
    pthread_mutex_t lock;
    struct tried {
        uint64_t key; // 0: none
        uint32_t failed;
        int64_t last_ns, until_ns; // monotonic
    } rows[TRIES_ROWS];
};

void tries_init(struct tries *tries);
void tries_end(struct tries *tries);
// How many seconds it has to wait; 0: it may try.
int tries_wait(struct tries *tries, const char *name, const char *address, int64_t now_ns);
void tries_failed(struct tries *tries, const char *name, const char *address, int64_t now_ns);
void tries_succeeded(struct tries *tries, const char *name, const char *address); // of the name from there

#endif
