// A data folder with store, archive and flow, packages made on the spot, and small CT slices that arrive at given
// times.
#ifndef FLOW_TESTS_SUPPORT_H
#define FLOW_TESTS_SUPPORT_H

#include "support/check.h"
#include "base/clock.h"
#include "flow/flow.h"
#include "queue/queue.h"
#include "store/database.h"
#include "store/event.h"

enum { GROUND_PACKAGES = 4, GROUND_PATH = 96 };

struct ground {
    char folder[GROUND_PATH];
    struct store *store;
    struct access *access;
    struct archive *archive;
    struct model_package *packages[GROUND_PACKAGES + 1];
    int package_folders; // made so far
    struct flow *flow;
    struct arena arena;
    struct error err;
};

#define GROUND_START (INT64_C(1800000000) * CLOCK_SECOND) // when the simulated day begins

// A new folder, with packages of these names (NULL-ended); `rule` of the first one, as JSON, or NULL.
void ground_open(struct ground *ground, const char *const *models, const char *rule);
// A package to install; what is NULL gets a usual value.
struct package {
    const char *name, *version; // "1"
    const char *needs;          // more members of its needs, with a comma in front
    const char *rule;
};
// For the next restart, which must follow; one of that name is replaced.
void ground_add_package(struct ground *ground, const struct package *like);
void ground_drop_packages(struct ground *ground); // all; likewise
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
    bool no_frame_of_reference;
};
// Its event bears the time given.
enum archive_outcome ground_put(struct ground *ground, const struct slice *slice, int64_t at_ns);
// `count` slices of a series, numbers from 1, at the same time.
void ground_put_series(struct ground *ground, const struct slice *like, int count, int64_t at_ns);
void ground_end(struct ground *ground, const char *calling, int64_t at_ns);

// Steps until there is nothing to do at that time.
void ground_step(struct ground *ground, int64_t now_ns);
size_t ground_jobs(struct ground *ground, struct queue_job **out); // oldest first
size_t ground_completions(struct ground *ground);                  // SERIES_COMPLETE events so far

void ground_rule(struct ground *ground, const char *json); // enters it; asserts
bool ground_rule_refused(struct ground *ground, const char *json);
struct queue_job *ground_only_job(struct ground *ground);

int test_complete(void);
int test_rules(void);
int test_standard_rules(void);
int test_worker(void);

#endif
