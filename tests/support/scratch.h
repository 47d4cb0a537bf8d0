// An arena for what one test makes: cmocka's set-up and tear-down of a test or a group.
#ifndef SUPPORT_SCRATCH_H
#define SUPPORT_SCRATCH_H

#include "base/arena.h"

extern struct arena scratch; // up to 64 MiB, between these two
int scratch_begin(void **state);
int scratch_end(void **state);

#endif
