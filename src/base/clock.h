// Time: int64_t nanoseconds since 1970-01-01 UTC. In-process logic takes `now_ns` as an argument, so that tests can
// simulate days; only the outermost loop asks the clock. Order is never taken from it (docs/design.md, section 4).
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

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
// "20261124" and "130336.123456" in UTC.
const char *clock_dicom_date(char *out, int64_t time_ns);
const char *clock_dicom_time(char *out, int64_t time_ns);

#endif
