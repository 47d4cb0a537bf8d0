// A data folder with store, archive and flow, packages made on the spot, and small CT slices that arrive at given
// times.
#ifndef FLOW_TESTS_SUPPORT_H
#define FLOW_TESTS_SUPPORT_H

#include "support/check.h"
#include "base/clock.h"
#include "finding/finding.h"
#include "flow/flow.h"
#include "queue/queue.h"
#include "store/database.h"
#include "store/event.h"

enum { GROUND_PATH = 96 };

struct ground {
    char folder[GROUND_PATH];
    struct store *store;
    struct access *access;
    struct archive *archive;
    struct model_packages *packages; // of "models" in the folder
    struct model_words *words;
    struct flow *flow;
    struct arena arena;
    struct error err;
};

#define GROUND_NEGATIVE_QUIET_NS (INT64_C(60) * CLOCK_SECOND)
#define GROUND_START (INT64_C(1800000000) * CLOCK_SECOND) // when the simulated day begins
#define AT(seconds) (GROUND_START + (int64_t)((seconds)*1e9))

// A new folder, with packages of these names (NULL-ended); `rule` of the first one, as JSON, or NULL.
void ground_open(struct ground *ground, const char *const *models, const char *rule);
// A package to install; what is NULL gets a usual value.
struct package {
    const char *name, *version; // "1"
    const char *needs;          // more members of its needs, with a comma in front
    const char *rule;
};
// At once, in place of one of that name; its rule is entered at the next restart.
void ground_add_package(struct ground *ground, const struct package *like);
void ground_drop_packages(struct ground *ground); // all
void ground_restart_flow(struct ground *ground);
// Lets a worker have all jobs until none waits; models cannot run, so what would run fails.
void ground_work(struct ground *ground);
void ground_close(struct ground *ground);

// A slice to arrive; what is NULL or 0 gets a usual value.
struct slice {
    const char *study, *series; // "1.2.3", "1.2.3.1"
    int number;                 // 0: 1; gives the UID and the place
    double spacing_mm;          // 0: 1.5
    const char *modality, *body_part, *description, *study_description, *agent;
    const char *calling, *how; // "SCANNER", "c-store"
    const char *association;   // NULL: named like its sender
    int pixel;                 // value of all pixels, to make other bytes
    int frames; // 0: a classic object, with a place; else one without, as enhanced ones have it elsewhere
    bool no_frame_of_reference, newest;
};
// Its event bears the time given.
enum archive_outcome ground_put(struct ground *ground, const struct slice *slice, int64_t at_ns);
// `count` slices of a series, numbers from 1, at the same time.
void ground_put_series(struct ground *ground, const struct slice *like, int count, int64_t at_ns);
void ground_end(struct ground *ground, const char *calling, int64_t at_ns);

// Steps until there is nothing to do at that time.
void ground_step(struct ground *ground, int64_t now_ns);
size_t ground_jobs(struct ground *ground, struct queue_job **out);                            // oldest first
size_t ground_results(struct ground *ground, const char *study, struct finding_result **out); // all, oldest first
size_t ground_completions(struct ground *ground); // SERIES_COMPLETE events so far

void ground_rule(struct ground *ground, const char *json); // enters it; asserts
bool ground_rule_refused(struct ground *ground, const char *json);
struct queue_job *ground_only_job(struct ground *ground);

// ---- heads: a synthetic one, 52 slices of 64 x 64 at 3 x 2.5 x 2.5 mm, that the real model tells apart

#define GROUND_HEAD_MODEL "head-ct-hyperdense"
enum { GROUND_HEAD_SLICES = 52, GROUND_HEAD_SIZE = 64 };
struct head {                             // what is NULL or 0 gets a usual value
    const char *study, *series, *patient; // "1.2.3", "1.2.3.1", "F1"
    const char *issuer;                   // ""
    const char *instances;                // what SOP Instance UIDs begin with: the series
    int from, to;                         // slices, `to` exclusive; 0: all
    int announced;                        // Number of Series Related Instances; 0: not said
    int acquisition;                      // its number, by which its pixels differ too; 0: none
    int bleed;                            // slice of its middle; 0: none. It reaches 4 slices up and down.
    const char *association;
    const char *name, *birth;                       // "Test^Flow", none
    const char *accession, *referring, *study_date; // none
    bool no_id, newest;                             // without Patient ID; of what came again the newest is served
};
// The package that is installed with the program, and a rule for it with these members more (a comma in front).
void ground_open_real(struct ground *ground, const char *more);
void ground_put_head(struct ground *ground, const struct head *head, int64_t at_ns);
// Puts it and steps until its job is made: the association ends at once.
void ground_send_head(struct ground *ground, const struct head *head, int64_t at_ns);
// Lets a worker with ONNX Runtime have all jobs until none waits, at the simulated time.
void ground_work_for_real(struct ground *ground);
struct queue_delivery *ground_deliveries(struct ground *ground, const char *topic, size_t *count); // oldest first
// The oldest that waits is delivered, or fails; false: none waits.
bool ground_deliver(struct ground *ground, const char *kind, bool taken);

// ---- what is told

#define TARGETS ",\"send_to\":[\"pacs\"],\"hl7_to\":[\"ris\"]"
#define SR "1.2.840.10008.5.1.4.1.1.88.34"
#define SEG "1.2.840.10008.5.1.4.1.1.66.4"
#define KO "1.2.840.10008.5.1.4.1.1.88.59"

struct finding_result *ground_newest(struct ground *ground);               // of study 1.2.3
struct finding_result *ground_result(struct ground *ground, size_t index); // of study 1.2.3, oldest first
void ground_deliver_all(struct ground *ground);
// As ground_open_real with TARGETS, which have been told of this head of time 0, be it after the quiet of a negative.
void ground_open_told(struct ground *ground, const struct head *head);
// How many of a kind are, or were, to be sent on the topic of study 1.2.3's newest result, and are not obsolete.
size_t ground_count(struct ground *ground, const char *kind);
// On all images of study 1.2.3 that stand beside others, which are served; and the quiet after it passes.
void ground_decide(struct ground *ground, enum archive_decision decision, int64_t at_ns);
const char *ground_class_of(struct ground *ground, const char *instance); // SOP Class UID
// The message of a delivery to a record, as it would be sent now: its answer names the delivery's subject.
const char *ground_message_in(struct ground *ground, const struct queue_delivery *delivery, const char *status);
// Of the last delivery to a record of a topic, or of study 1.2.3's newest result.
const char *ground_message_of(struct ground *ground, const char *topic, const char *status);
const char *ground_message_as(struct ground *ground, const char *status);
void ground_judge(struct ground *g, enum finding_state verdict, int64_t at_ns); // study 1.2.3's only finding

int test_complete(void);
int test_rules(void);
int test_standard_rules(void);
int test_worker(void);
int test_results(void);
int test_looks(void);
int test_held_back(void);
int test_earlier(void);
int test_ask(void);

#endif
