// What a date, a time and a zone are (PS3.5 6.2, DA and TM; PS3.3 C.12.1.1.8). Scanners send texts that are none; what
// leaves this program is one, or is left out.
#ifndef DICOM_DATE_H
#define DICOM_DATE_H

#include <stdbool.h>

enum { DICOM_DATE_SIZE = 9, DICOM_TIME_SIZE = 14 };

// "20261124", and of ACR-NEMA "2026.11.24" (PS3.5 6.2, note), as "20261124". false, and "" in `out`, when it is no day
// of the calendar. NULL is none.
bool dicom_date(char out[DICOM_DATE_SIZE], const char *text);
// "13", "1303", "130336", "130336.123", and of ACR-NEMA "13:03:36.123", as "130336.123": six digits behind the point at
// most, and none is no point. false, and "" in `out`, when it is no time of day. NULL is none.
bool dicom_time(char out[DICOM_TIME_SIZE], const char *text);
// "-0330", from -1200 to +1400, in minutes east of UTC. false when it is none, and *out is left alone. NULL is none.
bool dicom_zone(const char *text, int *out);

#endif
