// Named crash points, for the tests that kill the server at the worst moment. HILUM_FAULT="lane.after_sync:3" in the
// environment makes the process kill itself with SIGKILL the third time it passes fault_point("lane.after_sync").
// Compiled out without HILUM_FAULTS.
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#ifdef HILUM_FAULTS
void fault_point(const char *name);
#else
static inline void fault_point(const char *name)
{
    (void)name;
}
#endif

#endif
