// Waiting for a socket, in slices, so that a thread can be told to stop from outside wherever it waits.
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include <stdatomic.h>
#include <stdint.h>

// From now on the calling thread's waits end soon after *stop has become true, as if their time were up. NULL: they do
// not.
void wait_heed(const atomic_bool *stop);

// Waits until `fd` is ready for the poll() `events`, or clock_monotonic_ns() is past the deadline. 1: ready; 0: time is
// up; -1: errno says why. Past the deadline the descriptor is not even asked: a peer that always has one more byte must
// not get round it.
int wait_ready(int fd, short events, int64_t deadline_ns);

#endif
