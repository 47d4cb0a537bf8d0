// The system calls that a locked-down child may make. Inside base only: sandbox.c is its caller.
#ifndef BASE_SANDBOX_FILTER_H
#define BASE_SANDBOX_FILTER_H

#include <stdbool.h>

// Loads the seccomp filter; 0 or an errno value.
int sandbox_filter_load(bool threads);

#endif
