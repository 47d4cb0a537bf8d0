// A progress bar on stderr: redrawn in place on a terminal, a line every five seconds elsewhere. One thread.
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; // "sending"
    const char *unit; // "objects"
    uint64_t total;
    int64_t started_ns;
    int64_t shown_ns;
};

void progress_start(struct progress *bar, const char *what, const char *unit, uint64_t total);
void progress_update(struct progress *bar, uint64_t done);
void progress_end(struct progress *bar, uint64_t done);

#endif
