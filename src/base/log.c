#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

static _Atomic int least_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level least)
{
    atomic_store(&least_level, (int)least);
}

// One write, so that lines of many threads do not mix.
static void put(enum log_level level, const char *room, const char *format, va_list args)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    char message[1024], safe[1200], line[1400], time[CLOCK_RFC3339_SIZE];
    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed))
        return;
    vsnprintf(message, sizeof message, format, args);
    text_show(safe, sizeof safe, message, strlen(message));
    int size =
        snprintf(line, sizeof line, "%s %-7s %-8s %s\n", clock_rfc3339(time, clock_now_ns()), names[level], room, safe);
    if (size > 0 && write(STDERR_FILENO, line, (size_t)size) < 0)
        return; // nobody is left to tell
}

#define LOG_FUNCTION(function, level)                                                                                  \
    void function(const char *room, const char *format, ...)                                                           \
    {                                                                                                                  \
        va_list args;                                                                                                  \
        va_start(args, format);                                                                                        \
        put(level, room, format, args);                                                                                \
        va_end(args);                                                                                                  \
    }

LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
