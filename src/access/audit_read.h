// Reading the audit trail for a person: newest lines first, those that fit what he asks. There is no index: a file of
// 16 MiB is read and searched in some ten milliseconds, so that a year of a busy site is a few answers; files that were
// last written a day before the wanted time begins, or begin a day after it ends, are not read at all (the day is for
// clocks that were set). It reads the files only, beside a server that writes them, and checks no chain: that is
// access_audit_check's.
//
// Threads: any.
#ifndef ACCESS_AUDIT_READ_H
#define ACCESS_AUDIT_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum {
    ACCESS_READ_LINES_MAX = 1000, // in one answer
    ACCESS_READ_LINES = 100,      // where no number is asked for
    ACCESS_READ_MIB = 512,        // read for one answer
    ACCESS_READ_MS = 2000,        // spent on one answer
};

// What is wanted. A text of NULL or "": any; else the whole text is compared. `event` is a code or a name of PS3.15:
// 110112 or Query, 110120 or Application Start.
struct access_read {
    int64_t from_ns, until_ns; // from <= time < until; 0 and INT64_MAX: any
    const char *actor, *patient, *study, *event;
    size_t limit;       // 1 to ACCESS_READ_LINES_MAX
    const char *before; // of an earlier answer: where to go on; NULL or "": at the end of the trail
};

// "2026-11-24" (its start, UTC) or "2026-11-24T13:03:36Z", with or without fractions. BAD_VALUE.
bool access_read_time(const char *text, int64_t *out_ns, struct error *err);

// {"lines": [{"file", "seq", "time", "event", "code", "action", "outcome", "actor", "verified", "address", "patient",
// "study", "detail", "count"}], "more": bool, "before": text, "unreadable": lines that were passed over for they are
// none}. `more`: the trail goes on behind "before", which is asked for next; an answer may have no lines and still say
// so, when what one answer may read or take is used up. The caller's; NULL: BAD_VALUE (limit or before), or the files
// cannot be read.
json_t *access_read(const char *folder, const struct access_read *wanted, struct error *err);

#endif
