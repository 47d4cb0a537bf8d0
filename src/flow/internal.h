// Inside the flow room.
#ifndef FLOW_INTERNAL_H
#define FLOW_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "finding/finding.h"
#include "flow/flow.h"
#include "queue/queue.h"
#include "store/database.h"
#include "store/event.h"

#define FLOW_JOB_MODEL "model"
#define FLOW_JOB_REPORT "report"

enum { FLOW_WORKERS_MAX = 8, FLOW_ARENA_MAX = 256 << 20, FLOW_HEADERS_MAX = 256 << 20 };

#define FLOW_LEASE_NS (INT64_C(120) * 1000000000) // of a job; renewed four times in it

struct flow_lease { // of a job that a worker does now; key "": free
    char key[QUEUE_KEY_MAX + 1];
    int64_t token;
    int64_t next_ns, end_ns; // monotonic: when it is renewed next, and for the last time
};

struct flow {
    struct flow_options options;
    struct queue_consumer *consumer;
    struct arena arena; // of one step of the consumer
    int64_t prune_ns;   // when old events are dropped next
    int64_t stepped_ns; // the last step's time; 0: none yet
    pthread_t thread;   // the consumer's
    pthread_t workers[FLOW_WORKERS_MAX];
    unsigned worker_count;
    bool thread_runs;
    _Atomic bool stopping;
    pthread_mutex_t lease_lock; // of `leases`
    struct flow_lease leases[FLOW_WORKERS_MAX];
};

// ---- named_row_sql.c: configuration kept as versioned JSON by kind and name

// `kind` is "rule" or "hl7"; `json` loses its member "version". CONFLICT when *version is neither 0 nor that of the
// row; after success it is the row's.
bool named_row_put(struct store *store, struct access *access, const char *kind, const char *name, json_t *json,
                   int64_t *version, const char *actor, struct error *err);
bool named_row_remove(struct store *store, struct access *access, const char *kind, const char *name, const char *actor,
                      struct error *err);
// NULL in *json: there is none.
bool named_row_get(struct database *db, const char *kind, const char *name, struct arena *arena, const char **json,
                   struct error *err);
// Calls `each` for the rows of a kind by name.
bool named_row_each(struct store *store, const char *kind,
                    bool (*each)(const char *json, int64_t version, void *payload, struct error *err), void *payload,
                    struct error *err);

// ---- fields.c

// Reads the members of a JSON object by a table; a member that is in no row is refused by name.
enum field_type { FIELD_TEXT, FIELD_NUMBER, FIELD_INTEGER, FIELD_COUNT, FIELD_BOOLEAN, FIELD_NAMES };
struct field {
    const char *name;
    enum field_type type;
    size_t offset;   // in the struct
    size_t capacity; // of a text; of a name in FIELD_NAMES
    size_t count;    // offset of the size_t that counts FIELD_NAMES, at most FLOW_TARGETS_MAX
};
bool fields_read(const json_t *json, const struct field *fields, void *out, const char *what,
                 struct error *err); // ended by name NULL
// The member "version": 0 when it is not there.
bool field_version(const json_t *json, int64_t *out, const char *what, struct error *err);
json_t *fields_write(const struct field *fields, const void *from);

// ---- complete.c

bool flow_complete_step(struct flow *flow, int64_t now_ns, bool *worked, struct error *err);

// How much longer a negative waits for images that their sender announced and that have not come.
#define FLOW_ANNOUNCED_NS (INT64_C(600) * CLOCK_SECOND)

// ---- flow_sql.c: inside any transaction, on any connection for those that only read

struct flow_series {    // all 0 and "" for one that never came
    const char *sender; // calling title of the last object's sender
    int64_t last_ns, gap_ns;
    bool open;    // the association that sent the last object goes on
    bool arrives; // it is not whole yet
    int64_t version;
};
bool flow_series_get(struct database *db, const char *study, const char *series, struct arena *arena,
                     struct flow_series *out, struct error *err);
bool flow_series_version(struct database *db, const char *study, const char *series, int64_t *out, struct error *err);
struct flow_touch { // an object came
    const char *study, *series, *sender, *association;
    int64_t last_ns, gap_ns, due_ns;
    bool open;
};
bool flow_series_touch(struct database *db, const struct flow_touch *touch, struct error *err);
// The first of a study's series behind that UID ("": of all), in its place; false in *found: none.
bool flow_series_next(struct database *db, const char *study, char series[DICOM_UID_SIZE], bool *arrives, bool *found,
                      struct error *err);
bool flow_association_ended(struct database *db, const char *association, int64_t quiet_ns, struct error *err);
bool flow_series_next_due(struct database *db, int64_t now_ns, char study[DICOM_UID_SIZE], char series[DICOM_UID_SIZE],
                          int64_t *version, bool *found, struct error *err);
bool flow_series_complete(struct database *db, const char *study, const char *series, int64_t version,
                          struct error *err);
bool flow_seen_get(struct database *db, const char *package, bool *seen, struct error *err);
bool flow_seen_set(struct database *db, const char *package, struct error *err);
// A negative that is told once its study is quiet, and not before that time.
bool flow_hold_add(struct database *db, const char *result, const char *study, int64_t not_before_ns,
                   struct error *err);
bool flow_hold_next(struct database *db, int64_t now_ns, int64_t quiet_ns, char study[DICOM_UID_SIZE],
                    char result[FINDING_ID_SIZE], bool *found, struct error *err);
// The clock was set back: what waits longer than anything ever waits is due now, deliveries and jobs too.
bool flow_waits_end(struct database *db, int64_t now_ns, struct error *err);
bool flow_hold_remove(struct database *db, const char *result, struct error *err);

// ---- match.c

struct flow_match {
    struct queue_job job;
    const struct flow_rule **rules; // all that name the job's model; the first one named it
    size_t rule_count;
};
// The rules whose tags match, by model. Reads rows, so outside any transaction. `again`: a job that failed is followed
// by another one; LIMIT when very many have failed. *labels: names of those that these rules give the study, with
// commas between, "" none; also where it fails once the rules are known.
bool flow_match_series(struct flow *flow, const char *study, const char *series, bool again, struct arena *arena,
                       struct flow_match **out, size_t *count, const char **labels, struct error *err);
const char *flow_field(const struct archive_row *row, dicom_tag tag); // "" when it is not there
// SHA-256, in hex, over a text and the objects' sorted digests.
bool flow_inputs_digest(char out[65], const char *text, const struct archive_object *objects, size_t count,
                        struct error *err);
// The key of a model's job on a series. `after`: the job that it comes after, of images that came back or because that
// one failed; else "".
// `held_back`: how many images of the series are not served. With "" twice it is what the series
// is, as finding_result.digest has it. A digest is of the whole object, its Study Instance UID too: two studies with
// one Series Instance UID never share a job.
bool flow_job_key(char out[65], const char *package_digest, const char *after, const struct archive_object *objects,
                  size_t count, const struct archive_held_back *held_back, struct error *err);

// ---- present.c: what is said of a series against what it is now

struct flow_doubt {
    const char *result; // its id
    bool is_earlier;    // the series has other images now
    bool is_withdrawn;  // it should never have been said
};
struct flow_doubts {
    struct flow_doubt *list;
    size_t count;
};
// Of the current results of a series. Reads rows, so outside any transaction. `ended`: a job on it ended without an
// answer; else the series is whole.
bool flow_doubts_find(struct flow *flow, const char *study, const char *series, bool ended, struct arena *arena,
                      struct flow_doubts *out, struct error *err);
// Inside a write function. An image of the series came, is served in place of another, or is not there any more: what
// was said of it is of earlier images until the series is whole. It writes once, however many images come.
bool flow_doubts_raise(struct database *db, const char *study, const char *series, int64_t now_ns, struct error *err);
bool flow_doubts_write(struct flow *flow, struct database *db, const struct flow_doubts *doubts, int64_t now_ns,
                       struct error *err);
// The same, once the jobs that follow are there: records hear of answers whose images are others now, where no job will
// say more, and of those whose images are the same again.
bool flow_doubts_tell(struct flow *flow, struct database *db, const struct flow_doubts *doubts, int64_t now_ns,
                      struct error *err);
// Why what was said should never have been, of what the series is now; NULL: nothing speaks against it.
const char *flow_why_withdrawn(const struct finding_result *result, const struct archive_object *objects, size_t count);
// As archive_objects, but none is fine.
bool flow_series_objects(struct flow *flow, const char *study, const char *series, struct arena *arena,
                         struct archive_object **out, size_t *count, struct error *err);

// ---- a job being done

// Why a job is skipped until the package of that name is there.
#define FLOW_NOT_INSTALLED "model %s is not installed"

// What came of one volume, or of the series as a whole.
struct flow_analysis {
    const struct model_volume *volume; // NULL: the series as a whole
    struct model_result made;          // labels_fd owned
    struct finding_result row;
    struct finding *findings; // row.outcome positive: made.count
    const char *predecessor;  // SR that its own takes the place of; "" none
    // Of a row without an answer, the job's cause: "patients" (of several), "images" (not fit), "rule" (its own
    // conditions), "output" (no number, or nowhere looked at), "coverage" (too little for a negative), "model" (its
    // process). What ends a job before that is an error's text (base/error.h).
    const char *cause;
};

// All memory is in `arena` but what says so.
struct flow_work {
    struct flow *flow;
    struct queue_job *job;
    struct model_package *package;  // a share; NULL: of a report whose package is gone
    const struct flow_rule **rules; // that ask for the job now
    size_t rule_count;
    const char *digest;          // of the package the job was made for
    const char *key;             // of the job that the results are of: `job`'s own, or of one that was given up
    const char *after;           // the job that this one comes after, as in flow_job_key; else ""
    struct queue_job *successor; // of a job whose package was replaced
    struct arena arena;
    struct arena header_arena; // theirs alone: headers that do not fit leave the rest of a job its memory
    struct archive_object *objects;
    size_t count;
    const struct dicom_dataset **headers; // by object; NULL: not read, or too many
    struct archive_held_back held_back;   // images of the series that are not served
    char inputs_key[65]; // over `digest`, `after`, and the objects that the job is about, and held_back
    struct model_fit fit;
    struct flow_analysis *analyses;
    size_t analysis_count;
    int64_t version;                        // of the series, as of the last look at its objects
    int64_t newest_ns;                      // receipt of the newest input
    int64_t content_ns;                     // the time in what the job makes; the first try fixes it
    int64_t claimed_ns, read_ns, stored_ns; // monotonic: when each stage had ended
};

// ---- input.c

// The series' objects now, and its version before the look at them. CONFLICT when they are others than those of
// work->inputs_key: a late slice gives the series another content, which gets a job of its own.
bool flow_input_look(struct flow_work *work, struct archive_object **objects, size_t *count, struct error *err);
// Headers of work->objects, and work->fit, whose notes say what is held back of the series.
bool flow_input_read(struct flow_work *work, struct error *err);
// What keeps a series from a negative although all that is served of it was looked at, into *lack; NULL: nothing.
bool flow_input_lacks(struct flow_work *work, const char **lack, struct error *err);
// A volume as HU in a sealed memfd, slice by slice, as model_volume_open; -1 with *err.
int flow_input_volume(struct flow_work *work, struct model_volume *volume, struct error *err);
// Of the first object that could be read; NULL: none.
const struct dicom_dataset *flow_input_header(const struct flow_work *work);
// For the objects made of a volume. The lists are NULL without memory.
void flow_context_of(struct flow_work *work, const struct model_volume *volume, struct finding_context *out);
// The report that the context's takes the place of ("" none), with the series that the archive has it in.
bool flow_context_follow(struct flow *flow, const char *predecessor, struct arena *arena, struct finding_context *out,
                         struct error *err);

// ---- results.c

// Runs the model on each volume that is fit; work->analyses has one row each, or one for a series that makes none.
bool flow_results_make(struct flow_work *work, struct error *err);
// The same for a series that cannot be read: one result, not analysed.
bool flow_results_unreadable(struct flow_work *work, const char *reason, struct error *err);
// The same for a job that was given up without a word of its worker: one result, failed.
bool flow_results_given_up(struct flow_work *work, const char *reason, struct error *err);
// Stores what the analyses make, and ends the job with their rows and deliveries. CONFLICT: the series has changed.
bool flow_results_keep(struct flow_work *work, struct error *err);
// The same without the last look at the series. BUSY: it got a new version since the look before.
bool flow_results_end(struct flow_work *work, struct error *err);
void flow_results_drop(struct flow_work *work);

// ---- tell.c: who is told what of a result

// One result at its revision, or what is to be taken back of it. In an arena.
struct flow_telling {
    const struct finding_result *result;
    const char *sr, *seg;               // SOP Instance UIDs that say and show it now; "" none
    const struct finding_result *older; // a positive of the topic that a look without an answer leaves standing; NULL
    const char *rejection;              // SOP Instance UID of the note that rejects what is stale; "" none
    struct finding_object *stale;       // what PACS may know of the topic and does not stand any more
    size_t stale_count;
    const char *batch;
};
// What is stale: from the rows, so outside any transaction; flow_tell checks that it is so still.
bool flow_telling_plan(struct flow *flow, const struct finding_result *result, const char *sr, const char *seg,
                       const struct finding_result *older, struct arena *arena, struct flow_telling *out,
                       struct error *err);
// Makes and stores the rejection note when something is stale, in the name of the patient whose objects it rejects; of
// the context no source is needed.
bool flow_telling_reject(struct flow *flow, struct flow_telling *telling, const struct finding_context *context,
                         struct archive_writer *writer, struct arena *arena, struct error *err);
// What belongs together of a result at its revision: a delivery's batch. NULL: no memory.
const char *flow_batch(const struct finding_result *result, struct arena *arena);
// Inside a write function: obsolete what waits of the topic, but of an older positive that stands, and add the
// deliveries. BUSY when something became stale since the plan: make it again.
bool flow_tell(struct flow *flow, struct database *db, const struct flow_telling *telling, int64_t now_ns,
               struct arena *arena, struct error *err);
// Inside a write function: a message of the current result to each record whose last one says otherwise of its images
// (finding_result.is_earlier).
bool flow_tell_images(struct flow *flow, struct database *db, const struct finding_result *result, int64_t now_ns,
                      struct arena *arena, struct error *err);
// Stores a data set that a job made.
bool flow_store_object(struct flow *flow, struct archive_writer *writer, const struct buffer *data, int64_t time_ns,
                       struct error *err);

// ---- report.c: what is told after the job that made a result: negatives that waited, and judgements

// A target that wants to hear of what was not analysed too.
bool flow_target_hears_all(struct database *db, const char *target, bool *hears, struct error *err);
// Inside a write function: report jobs for a held result, for a finding that was judged.
bool flow_report_held(struct flow *flow, struct database *db, const char *result, int64_t now_ns, struct error *err);
bool flow_report_judged(struct flow *flow, struct database *db, const char *finding, int64_t now_ns, struct error *err);
// Inside a write function: the images of a positive are back; a job that makes the documents which it lacks.
bool flow_report_back(struct flow *flow, struct database *db, const struct finding_result *result, int64_t now_ns,
                      struct error *err);
// Inside a write function: a job that withdraws a result, if its series is still what speaks against it.
bool flow_report_withdrawn(struct flow *flow, struct database *db, const struct finding_result *result, int64_t now_ns,
                           struct error *err);
// Does a report job and ends it. CONFLICT when there is something newer to say.
bool flow_report_run(struct flow_work *work, struct error *err);

// ---- given_up.c: a model's job that ended without a word of its worker, after crashes, is a result too: failed

// Inside a write function, of a job that ended: makes the report job by which all who were told something hear of it.
// Where that one cannot be done either, the result alone.
bool flow_note_given_up(struct flow *flow, struct database *db, const char *job, int64_t now_ns, struct error *err);
// Of a report job: the key of the model's job that was given up, in the work's arena; NULL: it is another report, or
// there is no memory.
const char *flow_given_up_of(struct flow_work *work);
// Does that report job and ends it: what was said of the series is replaced, and told, as by a run that fails. CONFLICT
// when the series has changed since.
bool flow_given_up_run(struct flow_work *work, const char *key, struct error *err);

// ---- ask.c

// What failed of another package of the model than this one is asked of this one.
bool flow_ask_failed(struct flow *flow, const struct model_package *package, struct error *err);

// ---- lease.c

void flow_lease_hold(struct flow *flow, const struct queue_job *job);
void flow_lease_drop(struct flow *flow, const struct queue_job *job);
void flow_leases_renew(struct flow *flow); // those that are due; the consumer's thread calls it

// ---- worker.c

// Hangs on disk, database, memory or the runner's child, and may pass: it is tried again. All else fails the same way.
bool flow_is_passing(enum error_code code);

void *flow_worker(void *payload); // a thread; payload: struct flow

#endif
