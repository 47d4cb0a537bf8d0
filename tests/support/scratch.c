#include "support/scratch.h"

struct arena scratch;

int scratch_begin(void **state)
{
    (void)state;
    arena_init(&scratch, 64 << 20);
    return 0;
}

int scratch_end(void **state)
{
    (void)state;
    arena_free(&scratch);
    return 0;
}
