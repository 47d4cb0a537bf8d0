// Inside service/check: a check of one connection is a list of steps, each with what was seen, on which side the fault
// is and what to do about it.
#ifndef SERVICE_CHECK_H
#define SERVICE_CHECK_H

#include "access/callers.h"
#include "base/clock.h"
#include "service/internal.h"

enum check_state { CHECK_UNKNOWN, CHECK_OK, CHECK_WARNING, CHECK_FAILED }; // the worst one rules

// What words may name, "" where it is not known.
struct check_names {
    const char *name;    // of the entry: {name}
    const char *entry;   // what tells where it is: {entry}, "the entry of ris"
    const char *title;   // its AE title: {title}
    const char *host;    // {host}
    const char *address; // "HOST:PORT": {address}
    const char *ours;    // our AE title: {ours}
    const char *error;   // what went wrong, in the program's words: {error}
};

struct check {
    struct service *service;
    struct arena *arena;
    json_t *steps; // owned
    enum check_state state;
    int64_t deadline_ns; // monotonic, of all of it
    bool test_object;    // one is to be sent where that makes sense
    struct check_names names;
};

extern const char *const check_state_words[];

// A step: `said` and `remedy` with the names in braces filled in; "" no remedy.
void check_say(struct check *check, const char *step, enum check_state state, const char *said, const char *remedy);
// Likewise a failed one, by the table of symptoms: how `err` reads at this step.
void check_fail(struct check *check, const char *step, const struct error *err);

// Where to call and how, of a peer, an HL7 target or a collector of the audit trail.
struct check_target {
    const char *host;
    uint16_t port;
    bool tls;
    const char *fingerprint;
};
// Steps "reach" and, with TLS, "tls". false: a later step makes no sense.
bool check_reach(struct check *check, const struct check_target *to);

// The checks, one for each kind; they fill in the steps.
void check_peer(struct check *check, const struct access_peer *peer);
void check_hl7(struct check *check, const struct flow_hl7_target *target);
void check_audit(struct check *check);
void check_provider(struct check *check);
void check_disk(struct check *check);
void check_clock(struct check *check);
void check_certificate(struct check *check);
void check_server(struct check *check);
void check_caller(struct check *check, const struct access_caller *caller);
// Whether the kernel calls this machine's clock synchronised: OK, WARNING (it does not), UNKNOWN.
enum check_state check_synchronised(void);
// Sends a target the test object, and says what it answered (object.c).
#define CHECK_TEST_PATIENT "HILUM^TEST"
void check_test_object(struct check *check, const struct access_peer *peer);

// ---- heard.c: what was heard of others by the way; any thread

struct heard_foreign { // who spoke another protocol to one of our ports
    enum heard_kind kind;
    char address[48];
    uint64_t count;
    int64_t last_ns;
};
const char *heard_speaks(enum heard_kind kind);                                      // "HTTP to our DICOM port"
bool heard_foreign_at(struct heard *heard, size_t index, struct heard_foreign *out); // false past the last
void check_foreign(struct check *check, const struct heard_foreign *foreign);

#define HEARD_CLOCK_OFF_NS (30 * CLOCK_SECOND) // what is told
struct heard_clock {
    char who[ACCESS_NAME_SIZE]; // an HL7 target's name
    int64_t said_ns, ours_ns;   // its time, and ours when it came
};
bool heard_clock_at(struct heard *heard, size_t index, struct heard_clock *out); // false past the last
void check_clock_of(struct check *check, const struct heard_clock *heard, bool ours_is_synchronised);

// What waits for a target, and what was given up.
void check_deliveries(struct check *check, const char *kind, const char *target);

#endif
