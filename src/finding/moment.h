// When a study was, and what it says of a person, in forms that every receiver can read: the one place where a zone is
// chosen.
#ifndef FINDING_MOMENT_H
#define FINDING_MOMENT_H

#include "base/clock.h"
#include "dicom/date.h"

struct moment {
    char date[DICOM_DATE_SIZE], time[DICOM_TIME_SIZE]; // "" where it is none
    int zone;                                          // minutes east of UTC
};

// Of Study Date and Time and Timezone Offset From UTC; NULL is none. Scanners mostly name no zone: their clocks are
// taken to show what this server's would have shown then. A study without a date has the server's zone at
// `otherwise_ns`.
void moment_of(const char *date, const char *time, const char *zone, int64_t otherwise_ns, struct moment *out);

// "20120914151208.1234+0200" of HL7 and "2012-09-14T15:12:08+02:00" of FHIR; the date alone when there is no time
// of day to the minute, "" without a date. Return `out`.
enum { MOMENT_TEXT_SIZE = 40 };
const char *moment_hl7(char out[MOMENT_TEXT_SIZE], const struct moment *moment);
const char *moment_fhir(char out[MOMENT_TEXT_SIZE], const struct moment *moment);

// "M", "F" or "O"; "" for anything else (PS3.3 C.7.1.1).
const char *moment_sex(const char *sex);

#endif
