#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * CLOCK_SECOND + now.tv_nsec;
}

int64_t clock_now_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void clock_sleep_ns(int64_t duration_ns)
{
    struct timespec left = {.tv_sec = duration_ns / CLOCK_SECOND, .tv_nsec = duration_ns % CLOCK_SECOND};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

// The fraction of a second is the floor, also before 1970.
static int64_t split(int64_t time_ns, struct tm *parts)
{
    int64_t fraction = time_ns % CLOCK_SECOND;
    if (fraction < 0)
        fraction += CLOCK_SECOND;
    time_t seconds = (time_t)((time_ns - fraction) / CLOCK_SECOND);
    gmtime_r(&seconds, parts);
    return fraction;
}

const char *clock_rfc3339(char *out, int64_t time_ns)
{
    struct tm parts;
    char seconds[CLOCK_RFC3339_SIZE - 6];
    int64_t fraction = split(time_ns, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out, CLOCK_RFC3339_SIZE, "%s.%03dZ", seconds, (int)(fraction / CLOCK_MS));
    return out;
}

const char *clock_dicom_date(char *out, int64_t time_ns)
{
    struct tm parts;
    split(time_ns, &parts);
    strftime(out, CLOCK_DICOM_DATE_SIZE, "%Y%m%d", &parts);
    return out;
}

const char *clock_dicom_time(char *out, int64_t time_ns)
{
    struct tm parts;
    char seconds[8];
    int64_t fraction = split(time_ns, &parts);
    strftime(seconds, sizeof seconds, "%H%M%S", &parts);
    snprintf(out, CLOCK_DICOM_TIME_SIZE, "%s.%06d", seconds, (int)(fraction / 1000));
    return out;
}
