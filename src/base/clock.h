// Time: int64_t nanoseconds since 1970-01-01 UTC. In-process logic takes `now_ns` as an argument, so that tests can
// simulate days; only the outermost loop asks the clock. Order is never taken from it (docs/design.md, section 4).
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_SECOND INT64_C(1000000000)
#define CLOCK_MS INT64_C(1000000)

int64_t clock_now_ns(void);       // UTC
int64_t clock_monotonic_ns(void); // for durations and deadlines; never stored

void clock_sleep_ns(int64_t duration_ns);

enum { CLOCK_RFC3339_SIZE = 32, CLOCK_DICOM_DATE_SIZE = 9, CLOCK_DICOM_TIME_SIZE = 14 };

// "2026-11-24T13:03:36.123Z". `out` has CLOCK_RFC3339_SIZE characters. Returns `out`.
const char *clock_rfc3339(char *out, int64_t time_ns);
// "20261124" and "130336.123456" in UTC; in a zone: of the time and its clock_zone_ns.
const char *clock_dicom_date(char *out, int64_t time_ns);
const char *clock_dicom_time(char *out, int64_t time_ns);

// Is there such a day in the calendar (years 1 to 9999)?
bool clock_is_day(int64_t year, int64_t month, int64_t day);

// ---- this server's zone: TZ, else /etc/localtime. Minutes east of UTC.

enum { CLOCK_ZONE_SIZE = 6 };

int clock_zone(int64_t time_ns); // at an instant
// At a time that the clocks here showed: a "20261124" of the calendar and "1303", "130336" or "" (the day's start). An
// hour that came twice is the first of them; one that was left out is read as if the change had not been yet.
int clock_zone_of_local(const char *date, const char *time);
int64_t clock_zone_ns(int zone);
const char *clock_zone_text(char out[CLOCK_ZONE_SIZE], int zone); // "-0330". Returns `out`.

#endif
