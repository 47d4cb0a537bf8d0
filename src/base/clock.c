#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

bool clock_is_day(int64_t year, int64_t month, int64_t day)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1 || year > 9999 || month < 1 || month > 12)
        return false;
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day >= 1 && day <= days[month - 1] + (month == 2 && is_leap);
}

// ---- this server's zone

static int zone_at(time_t seconds)
{
    struct tm parts;
    return localtime_r(&seconds, &parts) ? (int)(parts.tm_gmtoff / 60) : 0;
}

int clock_zone(int64_t time_ns)
{
    return zone_at((time_t)(time_ns / CLOCK_SECOND));
}

static int two(const char *digits)
{
    return (digits[0] - '0') * 10 + digits[1] - '0';
}

int clock_zone_of_local(const char *date, const char *time)
{
    enum { DAY = 24 * 60 * 60 };
    size_t size = strlen(time);
    struct tm parts = {.tm_year = two(date) * 100 + two(date + 2) - 1900,
                       .tm_mon = two(date + 4) - 1,
                       .tm_mday = two(date + 6),
                       .tm_hour = size >= 2 ? two(time) : 0,
                       .tm_min = size >= 4 ? two(time + 2) : 0};
    time_t local = timegm(&parts);
    int before = zone_at(local - DAY), after = zone_at(local + DAY);
    bool is_after = zone_at(local - before * 60) != before && zone_at(local - after * 60) == after;
    return is_after ? after : before;
}

int64_t clock_zone_ns(int zone)
{
    return zone * 60 * CLOCK_SECOND;
}

const char *clock_zone_text(char out[CLOCK_ZONE_SIZE], int zone)
{
    unsigned minutes = (unsigned)abs(zone);
    snprintf(out, CLOCK_ZONE_SIZE, "%c%02u%02u", zone < 0 ? '-' : '+', minutes / 60 % 100, minutes % 60);
    return out;
}
