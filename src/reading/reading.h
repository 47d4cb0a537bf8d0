// The reading room: the order in which studies are read, and what was said of their findings. It knows no pixels.
//
// A study comes on the list with its first image and leaves it when it is marked read; what comes after that and has
// to be seen brings it back (the table in reading.c). Each such thing raises the study's version, and only the version
// that stands can be marked read: what its reader has not seen takes nothing off the list. Order: urgency, then who
// came first by the log's number, for clocks are set; but nobody is passed over for longer than the cap: a study that
// has waited cap_ns goes to the front class, among those by arrival (docs/design.md; a cap near the mean wait undoes
// triage: see the what-if in docs). What was imported or rebuilt waits for nobody: it is never capped, and unless
// something is found it comes after all that was sent; an image that is sent to it ends that.
#ifndef READING_READING_H
#define READING_READING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/archive.h"
#include "finding/finding.h"

extern const struct store_migration reading_migration;

#define READING_CAP_NS (INT64_C(60) * 60 * 1000000000)
enum { READING_LIST_MAX = 2000 };

struct reading_item {
    const char *study, *patient_id, *issuer; // issuer: who gave the ID, "" where nobody has said
    const char *patient_name, *accession, *modality, *description;
    const char *date; // of the study, a DA; "" where it names none
    enum finding_urgency urgency;
    const char *passed_over;   // a sentence when what happened to it could not be followed; else ""
    const char *identity;      // a sentence when it is in doubt whose objects the study has (archive.h); else ""
    const char *conflicts;     // a sentence when objects that came again wait for a decision; else ""
    const char *held_back;     // a sentence when objects of the study are not served; else ""
    const char *rejected;      // a sentence when a note rejects images of the study; else ""
    const char *unreadable;    // a sentence when its patient's name or ID cannot be read; else ""
    const char *shared_series; // a sentence when another study has a series of the same UID; else ""
    const char *unidentified;  // a sentence when its patient has no ID; else ""
    const char *reason; // why it stands where it stands: "Suspected ... left, 12 mL", "waited 61 min: past the cap", ""
    int64_t arrived_event; // number in the log of what put it on the list; 0: of a program before this one
    int64_t arrived_ns;
    int64_t version;    // number in the log of the last thing that has to be seen; 0 as above
    int64_t waiting_ns; // never negative: who came in what is now the future waits from now on
    bool capped;
    bool imported;   // and nobody has sent an image of it since
    size_t findings; // present ones that are not rejected
};

// A pure function: puts the items into reading order at now_ns and fills in waiting_ns, capped and, for capped ones,
// the reason (in `arena`).
bool reading_order(struct reading_item *items, size_t count, int64_t now_ns, int64_t cap_ns, struct arena *arena,
                   struct error *err);

// The list from the rows, in order, at most READING_LIST_MAX, of studies that `scope` sees; of one study where `study`
// is not NULL: its item, or none when it is not on it. *total: how many there are without a limit.
bool reading_list(struct store *store, struct access_scope scope, const char *study, int64_t now_ns, int64_t cap_ns,
                  struct arena *arena, struct reading_item **out, size_t *count, int64_t *total, struct error *err);
struct reading_tally {
    int64_t open;        // studies on the list, those past its limit too
    int64_t passed_over; // those of them of which something could not be followed
};
bool reading_tally(struct store *store, struct reading_tally *out, struct error *err);
json_t *reading_item_to_json(const struct reading_item *item); // study, patientId, issuer, patientName, accession,
                                                               // modality, description, studyDate, urgency, reason,
                                                               // version, waiting_s, capped, imported, findings,
                                                               // flags: sentences to be seen before it is read

// The consumer ("reading"): OBJECT_STORED puts a study on the list, RESULT_CHANGED and FINDING_JUDGED set its urgency
// and reason; PASSED_OVER puts its study on the list with a line; each change adds WORKLIST_CHANGED. Studies that came
// while the clock was ahead wait from now on.
struct reading;
struct reading *reading_start(struct store *store, bool thread,
                              struct error *err); // without a thread the caller takes the steps
void reading_stop(struct reading *reading);       // NULL is fine
bool reading_step(struct reading *reading, int64_t now_ns, bool *worked, struct error *err); // one step, for tests

// Takes a study off the list for who has seen that version of it: whatever of the log the consumer comes to afterwards
// brings it back, whatever the clock says. NOT_FOUND when it is not on the list, CONFLICT with what came since when
// another version stands.
bool reading_mark_read(struct store *store, const char *study, int64_t version, const char *by, int64_t now_ns,
                       struct error *err);

// Who has read a study that is off the list, and in which version; read_ns 0: it is on the list, or never was.
enum { READING_NAME_SIZE = 513 };
struct reading_mark {
    char by[READING_NAME_SIZE]; // cut
    int64_t read_ns, version;
};
bool reading_mark_of(struct store *store, const char *study, struct reading_mark *out, struct error *err);

// Takes that back: the study is on the list as before, waits since it came, and says who has brought it back until it
// is read again or something is found. NOT_FOUND when it never was on the list, CONFLICT when it is, or when it was
// read in another version.
bool reading_mark_unread(struct store *store, const char *study, int64_t version, const char *by, struct error *err);

#endif
