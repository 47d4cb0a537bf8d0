// Alarms: what is wrong with this installation and stays so until an administrator does something about it. One table
// for the whole process, as the log is one: whoever finds the fault raises the alarm, and /healthz, /metrics and the
// page list what stands. An alarm is of a kind and about a subject; raising it again counts it and takes the newer
// text. Any thread.
#ifndef BASE_ALARM_H
#define BASE_ALARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

// One row per kind: name, the word that metrics label it with, what it means.
#define ALARM_KINDS(X)                                                                                                 \
    X(DATABASE, "database", "the database is damaged, or is not the one this data folder had")                         \
    X(CONTAINER, "container", "a file with objects is missing or damaged")                                             \
    X(DIGEST, "digest", "an object's bytes are not those that were stored")                                            \
    X(AUDIT, "audit", "the audit trail was cut, changed or removed, or cannot be written or sent")                     \
    X(STALLED, "stalled", "what follows from stored objects is not done for anybody")                                  \
    X(CERTIFICATE, "certificate", "our certificate ends soon, has ended, or cannot be read")                           \
    X(BACKUP, "backup", "no backup was made for long, or the last one failed or found damage")                         \
    X(REBUILT, "rebuilt", "rebuilt from objects: what only the database knew is to be entered again")                  \
    X(EMERGENCY, "emergency", "somebody sees studies of all labels for a while, by an emergency that he stated")

enum alarm_kind {
#define X(name, word, text) ALARM_##name,
    ALARM_KINDS(X)
#undef X
        ALARM_KIND_COUNT
};

const char *alarm_kind_word(enum alarm_kind kind); // "database"
const char *alarm_kind_text(enum alarm_kind kind);

enum { ALARMS_MAX = 64, ALARM_SUBJECT_SIZE = 64 };

struct alarm {
    enum alarm_kind kind;
    char subject[ALARM_SUBJECT_SIZE]; // "container 12", "audit-00000003.log"; no patient's data
    char text[ERROR_MESSAGE_SIZE];    // a sentence for an administrator, with what to do
    int64_t first_ns, last_ns;        // when it was raised, since 1970
    uint64_t times;
};

// Raises an alarm, or repeats one that stands. Logged as an error when it is new, then once a minute at most. When
// ALARMS_MAX stand, one more is logged and counted and not listed.
void alarm_raise(enum alarm_kind kind, const char *subject, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// What was wrong is not any more; a subject of NULL: all of the kind. Logged when there was such an alarm.
void alarm_clear(enum alarm_kind kind, const char *subject);

// Copies those that stand, oldest first, and returns how many. *unlisted: how many raises found no room.
size_t alarm_list(struct alarm out[ALARMS_MAX], uint64_t *unlisted);

uint64_t alarm_count(enum alarm_kind kind); // raises of a kind since the process began, repeats included

#endif
