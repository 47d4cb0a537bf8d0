// The flow room: when is a series whole, which rules match it, what jobs and deliveries follow; and the worker that
// does model jobs. It knows no protocols.
//
//   events -> completeness -> SERIES_COMPLETE -> rules -> jobs -> worker -> results, objects (archive), deliveries
//
// One consumer ("flow") with a cursor does the first three; the worker threads claim jobs. All state is rows; both are
// idempotent.
//
// A positive is told at once. A negative is told late: once its study is quiet, for until then a part of it may be all
// that was looked at. What changes afterwards (a late slice, a reviewer's judgement) is told anew to everybody who may
// know what was said before.
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/access.h"
#include "archive/archive.h"
#include "image/decoder.h"
#include "model/fit.h"
#include "model/packages.h"
#include "queue/queue.h"

extern const struct store_migration flow_migration;

// ---- completeness

// A series is taken as whole when its sender's association has ended and FLOW_QUIET_NS have passed since its last
// object, or, while the association stays open, when it was silent for four times the longest gap between its objects,
// at least FLOW_QUIET_OPEN_NS and at most FLOW_QUIET_MAX_NS. A later object makes a new version of the series, with new
// jobs that supersede the old ones.
#define FLOW_QUIET_NS (INT64_C(2) * 1000000000)
#define FLOW_QUIET_OPEN_NS (INT64_C(5) * 1000000000)
#define FLOW_QUIET_MAX_NS (INT64_C(60) * 1000000000)

// Events behind every cursor are kept for this long.
#define FLOW_EVENTS_KEPT_NS (INT64_C(30) * 86400 * 1000000000)

// Whether images of the study may still come, or the rules have not been asked about all of its series yet: that no
// model has looked at it says nothing so far. A study that the flow has not heard of arrives. Any connection.
bool flow_study_arrives(struct database *db, const char *study, bool *out, struct error *err);

// ---- rules: versioned, audited rows, changed without a restart

enum { FLOW_ROWS_MAX = 256 };    // rules; and HL7 targets
enum { FLOW_PATIENTS_MAX = 64 }; // of one study, that are told apart
// What is entered is refused past these, so that nothing that follows from it (keys of jobs and deliveries, rows,
// events) is past a limit of its own: static assertions where they are made.
enum { FLOW_NAME_SIZE = 65, FLOW_TARGETS_MAX = 8 }; // names of rules and targets; targets of each kind of one rule

struct flow_rule {
    char name[FLOW_NAME_SIZE]; // the key
    bool enabled;
    // match by tags; what is "" is not asked
    char modality[17];
    char body_part[33];    // as model_words_is_part: Body Part Examined, or a word in series or study description
    char description[129]; // as model_words_says: words in series or study description
    char calling[17];      // the sender's title
    // what the images must be; 0 or false is not asked. A series that matches and is not so has a job that says why
    // not.
    double spacing_max_mm;
    uint32_t slices_min;
    bool no_contrast; // refuse images with a contrast agent
    // do
    char model[MODEL_NAME_SIZE];                      // package name to run; "" none, which only a rule with labels has
    char send_to[FLOW_TARGETS_MAX][ACCESS_NAME_SIZE]; // names of peers (rights: target) that get what the model made
    size_t send_to_count;
    char hl7_to[FLOW_TARGETS_MAX][FLOW_NAME_SIZE]; // names of HL7 targets for the ORU
    size_t hl7_to_count;
    char labels[FLOW_TARGETS_MAX][ACCESS_LABEL_SIZE]; // names of those that the study gets, before anything is told
    size_t labels_count;
    int64_t priority;
    int64_t version; // raised by each change
};

bool flow_rule_from_json(const json_t *json, struct flow_rule *out,
                         struct error *err); // unknown keys are refused by name
json_t *flow_rule_to_json(const struct flow_rule *rule);
// Durable, audited, CONFIG_CHANGED; what is so already is left alone. rule->version 0 replaces whatever is there,
// another one only that version (CONFLICT); it becomes the present one. LIMIT past FLOW_ROWS_MAX. BAD_VALUE names a
// label that is none.
bool flow_rule_put(struct store *store, struct access *access, struct flow_rule *rule, const char *actor,
                   struct error *err);
bool flow_rule_remove(struct store *store, struct access *access, const char *name, const char *actor,
                      struct error *err);
// One text for each model, peer and HL7 target that an entered rule names and that is not there, or that cannot be sent
// to: the rule is kept, for they may come later. Adds to `out`.
bool flow_rule_warnings(struct store *store, struct access *access, struct model_packages *packages,
                        const struct flow_rule *rule, struct arena *arena, json_t *out, struct error *err);
// The same of all rules that are enabled, each text with its rule's name in front; and that there is none, where a
// package is installed. Adds to `out`.
bool flow_active_rule_warnings(struct store *store, struct access *access, struct model_packages *packages,
                               struct arena *arena, json_t *out, struct error *err);
bool flow_rule_list(struct store *store, struct arena *arena, struct flow_rule **out, size_t *count, struct error *err);

// Whether the rule would ask for that series by its tags, as if it were entered and enabled; nothing is made of it.
// Whether the images are fit for the model is not asked. NOT_FOUND: nothing of the series is served.
struct flow;
bool flow_rule_asks_for(struct flow *flow, const struct flow_rule *rule, const char *study, const char *series,
                        struct arena *arena, bool *out, struct error *err);

// ---- HL7 targets: rows too
struct flow_hl7_target {
    char name[FLOW_NAME_SIZE], host[256];
    uint16_t port;
    char application[65], facility[65];          // receiving
    char unsigned_status[2];                     // OBR-25 and OBX-11 of results no one has signed: "R", "P" or "F"
    char filler[10];                             // OBR-3: "topic" (the result's own number) or "accession"
    char tls[9];                                 // "required": over TLS alone; "no"
    char certificate[TLS_FINGERPRINT_SIZE + 32]; // of the one that it must show then (SHA-256 fingerprint; colons go);
                                                 // "" any of a known authority
    bool not_analysed;                           // it hears of what was not analysed too (OBR-25 X)
    int64_t version;
};
bool flow_hl7_target_from_json(const json_t *json, struct flow_hl7_target *out, struct error *err);
json_t *flow_hl7_target_to_json(const struct flow_hl7_target *target);
bool flow_hl7_target_put(struct store *store, struct access *access, struct flow_hl7_target *target, const char *actor,
                         struct error *err);
bool flow_hl7_target_remove(struct store *store, struct access *access, const char *name, const char *actor,
                            struct error *err);
bool flow_hl7_target_list(struct store *store, struct arena *arena, struct flow_hl7_target **out, size_t *count,
                          struct error *err);

// ---- running

struct flow_options {
    struct store *store;
    struct access *access;
    struct archive *archive;
    struct image_decoder *decoder;   // for encapsulated pixels
    struct model_runner *runner;     // NULL: models cannot run here; jobs wait
    struct model_packages *packages; // outlive the flow
    const struct model_words *words; // outlive the flow
    int64_t negative_quiet_ns;       // how long a study must be quiet before a negative is told
    unsigned workers;                // threads that run jobs
};

// As flow_take_packages, then the threads. While a rebuild waits for its confirmation (store_is_unconfirmed) no job is
// run: those that a person's rules ask for wait.
struct flow *flow_start(const struct flow_options *options, struct error *err);
void flow_stop(struct flow *flow); // NULL is fine; a running job is broken off and taken up again at the next start
                                   // (queue_recover)

// Once for each package that brings a standard rule in its manifest, that rule is entered (active): at the start, and
// when packages were installed since. `rules` (an object, or NULL) gets a sentence under the name of each such package:
// was its rule entered, is there one of its name, or was it refused? Jobs that were skipped because a package was not
// there are queued again; where the last word of another package of the model is that it failed, this one looks. Any
// thread.
bool flow_take_packages(struct flow *flow, json_t *rules, struct error *err);

// Asks the rules about all series of a study anew, as when a series is whole: each model that one asks for looks where
// it has not (the rule is new), was kept from it or failed. What it has answered stands, and is not looked at again.
// What still arrives is asked when it is whole. Any thread. NOT_FOUND: no such study has come.
struct flow_asked {
    int64_t series, arriving, unasked; // series that the rules were asked about, that still arrive, no rule asks for
    int64_t jobs, waiting, answered;   // jobs made or queued again, that waited or ran already, whose answer stands
};
bool flow_ask(struct flow *flow, const char *study, int64_t now_ns, struct flow_asked *out, struct error *err);

// What a rebuild ends with, before the first flow_start: the series that the log tells of so far are whole, and no rule
// is asked about them, now or later. Until the rebuild is confirmed flow_take_packages passes over what packages bring,
// for good: nobody knows any more which of these rules a person had removed.
bool flow_pass_over(struct store *store, struct archive *archive, struct error *err);

// One step of the consumer at `now_ns`: takes what events there are, finds what is due, and drops what is old. For
// tests with a simulated clock; flow_start's thread calls the same. *worked: anything was done.
bool flow_step(struct flow *flow, int64_t now_ns, bool *worked, struct error *err);

// ---- the message to a record

// Of the result that a delivery of kind "hl7" is about, as it is now, appended to `out`. NOT_FOUND when the result is
// gone.
bool flow_report_message(struct flow *flow, const struct queue_delivery *delivery, const struct flow_hl7_target *target,
                         struct arena *arena, struct buffer *out, struct error *err);

#endif
