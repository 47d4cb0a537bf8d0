// The zone that this program's clocks are in, for a test of it.
#ifndef SUPPORT_ZONE_H
#define SUPPORT_ZONE_H

#include <stdlib.h>
#include <time.h>

// "Europe/Berlin"; the programs that are run have it too.
static inline void set_zone(const char *name)
{
    setenv("TZ", name, 1);
    tzset();
}

#endif
