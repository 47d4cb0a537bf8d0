// The watch over all children. Inside base only: process.c is its caller.
#ifndef BASE_PROCESS_WATCH_H
#define BASE_PROCESS_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/process.h"

// From now on a child that has not been waited for yet is looked at every 50 ms and killed past `memory_max` bytes or
// PROCESS_THREADS_MAX. LIMIT past PROCESS_CHILDREN_MAX. Any thread, as all here.
bool process_watch_begin(pid_t pid, size_t memory_max, struct error *err);
// Whether the watch has killed it; `why` says for what, else it is "".
bool process_watch_killed(pid_t pid, char why[PROCESS_WHY_SIZE]);
// Before the child is waited for, since its number may then become another's.
void process_watch_end(pid_t pid);

#endif
