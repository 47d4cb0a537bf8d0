// The audit trail's memory: what waits for the disk, what is being summed, and the thread that writes both.
//
//   access_audit -> a sum (STORED, QUERY, RETRIEVED, AUDIT_USED, REFUSED, refused ASSOCIATION) or the queue -> thread
//   -> audit_chain
//
// A sum is one key (event, outcome, actor, address, patient, study). It is told (a line is written) at the thread's
// next turn after its first access, and again with the count since then when its period ends: the minute, or a second
// for a refused association. So the counts of all lines add up to the accesses.
#ifndef ACCESS_AUDIT_TRAIL_H
#define ACCESS_AUDIT_TRAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "access/access.h"
#include "base/error.h"

enum {
    ACCESS_WAITING_MAX = 4 << 20,    // bytes of records in memory
    ACCESS_SUMS_MAX = 2048,          // past this the oldest sum is closed early
    ACCESS_REFUSALS_PER_SECOND = 32, // new titles and addresses; the others of that second are one sum, "(others)"
    // REFUSED: new requests and objects, past which a subject has one sum for all of them; and new subjects, past which
    // all have one, "(others)". So a minute of refusals is some 130 lines, whoever asks for whatever how often.
    ACCESS_REFUSALS_PER_MINUTE = 32,
    ACCESS_GATHER_MS = 300,    // from a record to the turn that writes it: one sync for many
    ACCESS_PATIENCE_MS = 1000, // how long a caller waits for room in memory before its record is counted as lost
    ACCESS_OWN_LINES = 4,      // at most in a turn, of what the trail says of itself, but for damages
    ACCESS_AHEAD = 16,         // lines that may come before the next anchor; a turn with more anchors that first
    ACCESS_LOOK_S = 2,         // between two looks at the file when nothing is written
};

struct access_trail;

// `store` is where the chain's head is anchored; NULL: nowhere. `key` as for access_open.
struct access_trail *access_trail_open(struct store *store, const char *folder, const char *key, uint64_t segment_max,
                                       struct error *err);
void access_trail_close(struct access_trail *trail); // writes what waits; NULL is fine

void access_trail_put(struct access_trail *trail, const struct access_record *record, int64_t now_ns);
bool access_trail_flush(struct access_trail *trail, bool sums, struct error *err); // `sums`: of running periods too

// Where what is synced ends, and how many lines were written since the trail was opened.
struct access_trail_end {
    uint64_t segment, size, lines;
};
struct access_trail_end access_trail_end(struct access_trail *trail);

// access.h
bool access_trail_unknown(struct access_trail *trail, struct access_unknown *out, struct error *err);
bool access_trail_acknowledge(struct access_trail *trail, const char *by, const char *version, struct error *err);
bool access_trail_healthy(struct access_trail *trail);
uint64_t access_trail_lost(struct access_trail *trail); // records so far

#endif
