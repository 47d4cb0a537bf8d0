#include "base/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { WIDTH = 30 };

void progress_start(struct progress *bar, const char *what, const char *unit, uint64_t total)
{
    *bar = (struct progress){.what = what, .unit = unit, .total = total, .started_ns = clock_monotonic_ns()};
}

static void draw(const struct progress *bar, uint64_t done, int64_t now_ns, const char *end)
{
    char blocks[WIDTH + 1];
    uint64_t filled = bar->total > 0 ? done * WIDTH / bar->total : WIDTH;
    double seconds = (double)(now_ns - bar->started_ns) / 1e9;
    for (uint64_t i = 0; i < WIDTH; i++)
        blocks[i] = i < filled ? '#' : '.';
    blocks[WIDTH] = '\0';
    fprintf(stderr, "%s [%s] %" PRIu64 "/%" PRIu64 " %s, %.1f s%s", bar->what, blocks, done, bar->total, bar->unit,
            seconds, end);
    fflush(stderr);
}

void progress_update(struct progress *bar, uint64_t done)
{
    bool terminal = isatty(STDERR_FILENO) != 0;
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns - bar->shown_ns < (terminal ? 100 * CLOCK_MS : 5 * CLOCK_SECOND))
        return;
    if (bar->shown_ns == 0 && !terminal) {
        bar->shown_ns = now_ns; // the first line off a terminal comes after five seconds
        return;
    }
    bar->shown_ns = now_ns;
    draw(bar, done, now_ns, terminal ? "\r" : "\n");
}

void progress_end(struct progress *bar, uint64_t done)
{
    draw(bar, done, clock_monotonic_ns(), "\n");
}
