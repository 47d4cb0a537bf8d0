// GET /metrics: what a monitoring system scrapes, in Prometheus' text format 0.0.4. What can be counted in the database
// is counted there at each scrape, by indexes made for it; the rest is counted since the start. Labels have few values:
// names of models, targets and states, never a patient's or a study's.
#include "service/internal.h"

#include <inttypes.h>

#include "base/alarm.h"
#include "base/budget.h"
#include "base/clock.h"
#include "finding/finding.h"
#include "queue/queue.h"

enum { TEXT_MAX = 8 << 20 };

static void family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

// A label's value: backslash, quote and line end are escaped.
static void label(struct buffer *out, const char *name, const char *value)
{
    buffer_printf(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            buffer_byte(out, '\\');
        buffer_byte(out, *value == '\n' ? '\\' : (uint8_t)*value);
        if (*value == '\n')
            buffer_byte(out, 'n');
    }
    buffer_byte(out, '"');
}

// A label of a sample; the last one has name NULL.
struct pair {
    const char *name, *value;
};

static void sample(struct buffer *out, const char *name, const struct pair *labels, int64_t value)
{
    buffer_text(out, name);
    for (const struct pair *pair = labels; pair && pair->name; pair++) {
        buffer_byte(out, pair == labels ? '{' : ',');
        label(out, pair->name, pair->value);
    }
    buffer_printf(out, "%s %" PRId64 "\n", labels ? "}" : "", value);
}

static void single(struct buffer *out, const char *name, const char *type, const char *help, uint64_t value)
{
    family(out, name, type, help);
    sample(out, name, NULL, (int64_t)value);
}

// ---- since the start

static void write_counters(struct buffer *out, struct service *service)
{
    struct service_counters *c = &service->counters;
    const struct {
        const char *name, *help;
        uint64_t value;
    } counters[] = {
        {"hilum_associations_total", "DICOM associations accepted", c->associations},
        {"hilum_associations_refused_total", "DICOM associations refused", c->associations_refused},
        {"hilum_associations_aborted_total", "DICOM associations that did not end with a release",
         c->associations_aborted},
        {"hilum_objects_stored_total", "Objects stored", c->objects_stored},
        {"hilum_objects_same_total", "Objects that were there already", c->objects_same},
        {"hilum_objects_set_aside_total", "Of those, objects that are kept while another one of their UID is served",
         c->objects_set_aside},
        {"hilum_objects_beside_total", "Objects that came again with other attributes or pixels", c->objects_beside},
        {"hilum_objects_refused_total", "Objects refused", c->objects_refused},
        {"hilum_files_passed_over_total", "Imported files that are no object: not DICOM, or a DICOMDIR",
         c->objects_passed_over},
        {"hilum_deliveries_warned_total", "Deliveries that their target took with a warning", c->deliveries_warned},
        {"hilum_bytes_stored_total", "Bytes of objects stored", c->bytes_stored},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        single(out, counters[i].name, "counter", counters[i].help, counters[i].value);
    family(out, "hilum_child_deaths_total", "counter",
           "Child processes that crashed, hung, took too much or broke the sandbox's rules");
    sample(out, "hilum_child_deaths_total", (struct pair[]){{"child", "decoder"}, {NULL, NULL}},
           (int64_t)image_decoder_deaths(service->decoder));
    sample(out, "hilum_child_deaths_total", (struct pair[]){{"child", "runner"}, {NULL, NULL}},
           service->runner ? (int64_t)model_runner_deaths(service->runner) : 0);
}

static void write_memory(struct buffer *out)
{
    single(out, "hilum_memory_peers_bytes", "gauge", "What all who send or ask make the server hold in memory now",
           budget_used());
    single(out, "hilum_memory_peers_limit_bytes", "gauge", "The most that it may be (memory.peers_mb)", budget_limit());
    single(out, "hilum_memory_refusals_total", "counter", "How often somebody was told to come again for it",
           budget_refusals());
}

static void write_export(struct buffer *out, struct service *service)
{
    if (!service->audit_export)
        return;
    struct access_export_state state = access_export_state(service->audit_export);
    single(out, "hilum_audit_unsent_lines", "gauge", "Lines of the audit trail that the collector is not known to have",
           state.unsent);
    single(out, "hilum_audit_unsent_seconds", "gauge", "Since when, at most", (uint64_t)state.unsent_seconds);
}

// Before the alarms, for it looks at the files.
static void write_certificate(struct buffer *out, struct service *service)
{
    int64_t ends_ns = service_tls_ends_ns(service->tls);
    if (ends_ns != INT64_MAX)
        single(out, "hilum_certificate_ends_seconds", "gauge", "When our certificate ends, in seconds since 1970",
               (uint64_t)(ends_ns / CLOCK_SECOND));
}

static void write_backups(struct buffer *out, struct service *service)
{
    if (backups_are_made(service->backups))
        single(out, "hilum_backup_last_success_timestamp_seconds", "gauge",
               "When the last backup was made, in seconds since 1970; 0: there is none",
               (uint64_t)(backups_last_ns(service->backups) / CLOCK_SECOND));
}

static void write_alarms(struct buffer *out)
{
    struct alarm alarms[ALARMS_MAX];
    int64_t standing[ALARM_KIND_COUNT] = {0};
    uint64_t unlisted;
    size_t count = alarm_list(alarms, &unlisted);
    for (size_t i = 0; i < count; i++)
        standing[alarms[i].kind]++;
    family(out, "hilum_alarms", "gauge", "Alarms that stand; /healthz has their words");
    for (enum alarm_kind kind = 0; kind < ALARM_KIND_COUNT; kind++)
        sample(out, "hilum_alarms", (struct pair[]){{"kind", alarm_kind_word(kind)}, {NULL, NULL}}, standing[kind]);
    family(out, "hilum_alarms_raised_total", "counter", "How often alarms were raised, repeats included");
    for (enum alarm_kind kind = 0; kind < ALARM_KIND_COUNT; kind++)
        sample(out, "hilum_alarms_raised_total", (struct pair[]){{"kind", alarm_kind_word(kind)}, {NULL, NULL}},
               (int64_t)alarm_count(kind));
}

// ---- the disk

static bool write_disk(struct buffer *out, struct service *service, struct error *err)
{
    struct store_space space;
    struct error why;
    size_t quarantined;
    if (!store_quarantine_count(service->store, &quarantined, err))
        return false;
    if (store_space(service->store, &space)) {
        single(out, "hilum_disk_free_bytes", "gauge", "Free on the disk of the data folder", space.free_bytes);
        single(out, "hilum_disk_low_water_bytes", "gauge", "Below this objects are refused", space.low_water_bytes);
    }
    single(out, "hilum_storing", "gauge", "1: objects are taken; 0: they are refused, /healthz says why",
           store_can_write(service->store, &why));
    single(out, "hilum_audit_written", "gauge", "1: the audit trail can be written",
           access_audit_healthy(service->access));
    single(out, "hilum_quarantined", "gauge", "Refused objects that are kept for an administrator", quarantined);
    single(out, "hilum_event_last", "gauge", "Number of the last event", store_event_last(service->store));
    return true;
}

// ---- the archive

static bool write_faults(struct buffer *out, struct service *service, struct error *err)
{
    struct archive_faults faults;
    if (!archive_count_faults(service->archive, &faults, err))
        return false;
    single(out, "hilum_conflicts", "gauge", "Objects that came again with something else, and wait for a decision",
           (uint64_t)faults.conflicts);
    single(out, "hilum_studies_flagged", "gauge",
           "Studies whose objects name several patients, or one patient in several ways",
           (uint64_t)faults.identity_studies);
    family(out, "hilum_objects_flagged", "gauge", "Objects that were stored although something is wrong with them");
    for (size_t i = 0; i < ARCHIVE_FLAG_BITS; i++)
        sample(out, "hilum_objects_flagged", (struct pair[]){{"flag", service_flag_words[i]}, {NULL, NULL}},
               faults.flagged[i]);
    return true;
}

// ---- jobs, results, deliveries

static bool write_behind(struct buffer *out, struct service *service, struct database *db, struct error *err)
{
    static const char *const consumers[] = {"flow", "reading"};
    family(out, "hilum_events_behind", "gauge",
           "Events that are still to be followed: by jobs and results, by the list");
    for (size_t i = 0; i < sizeof consumers / sizeof *consumers; i++) {
        uint64_t cursor, last = store_event_last(service->store);
        if (!store_cursor_get(db, consumers[i], &cursor, err))
            return false;
        sample(out, "hilum_events_behind", (struct pair[]){{"by", consumers[i]}, {NULL, NULL}},
               (int64_t)(last > cursor ? last - cursor : 0));
    }
    return true;
}

static bool write_jobs(struct buffer *out, struct database *db, struct arena *arena, struct error *err)
{
    struct queue_job_count *jobs;
    size_t count;
    if (!queue_job_counts(db, "model", arena, &jobs, &count, err))
        return false;
    family(out, "hilum_jobs", "gauge", "Jobs by model, state, outcome and cause of their end");
    for (size_t i = 0; i < count; i++)
        sample(out, "hilum_jobs",
               (struct pair[]){{"model", jobs[i].model},
                               {"state", queue_job_state_text(jobs[i].state)},
                               {"outcome", jobs[i].outcome},
                               {"cause", jobs[i].cause},
                               {NULL, NULL}},
               jobs[i].count);
    return true;
}

static bool write_results(struct buffer *out, struct database *db, struct arena *arena, struct error *err)
{
    struct finding_result_count *results;
    size_t count;
    if (!finding_result_counts(db, arena, &results, &count, err))
        return false;
    family(out, "hilum_results", "gauge", "What models said of volumes, by model, outcome and standing");
    for (size_t i = 0; i < count; i++)
        sample(out, "hilum_results",
               (struct pair[]){{"model", results[i].model},
                               {"outcome", finding_outcome_text(results[i].outcome)},
                               {"standing", finding_standing_text(results[i].standing)},
                               {NULL, NULL}},
               results[i].count);
    return true;
}

static bool write_deliveries(struct buffer *out, struct database *db, struct arena *arena, struct error *err)
{
    struct queue_delivery_count *counts;
    size_t count;
    int64_t now_ns = clock_now_ns();
    if (!queue_delivery_counts(db, arena, &counts, &count, err))
        return false;
    family(out, "hilum_deliveries", "gauge", "Deliveries by target and state");
    for (size_t i = 0; i < count; i++)
        sample(out, "hilum_deliveries",
               (struct pair[]){{"kind", counts[i].kind},
                               {"target", counts[i].target},
                               {"state", queue_delivery_state_text(counts[i].state)},
                               {NULL, NULL}},
               counts[i].count);
    family(out, "hilum_delivery_oldest_seconds", "gauge", "Age of the oldest delivery that waits for a target");
    for (size_t i = 0; i < count; i++)
        if (counts[i].state == QUEUE_DELIVERY_WAITING)
            sample(out, "hilum_delivery_oldest_seconds",
                   (struct pair[]){{"kind", counts[i].kind}, {"target", counts[i].target}, {NULL, NULL}},
                   counts[i].count > 0 ? (now_ns - counts[i].oldest_ns) / CLOCK_SECOND : 0);
    return true;
}

static bool write_rows(struct buffer *out, struct service *service, struct arena *arena, struct error *err)
{
    struct database *db = store_read_begin(service->store, err);
    bool ok = db && write_behind(out, service, db, err) && write_jobs(out, db, arena, err) &&
              write_results(out, db, arena, err) && write_deliveries(out, db, arena, err);
    store_read_end(service->store, db);
    return ok;
}

void api_metrics(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct buffer out;
    struct error err;
    buffer_init(&out, TEXT_MAX);
    write_counters(&out, service);
    write_memory(&out);
    write_certificate(&out, service);
    write_backups(&out, service);
    write_export(&out, service);
    write_alarms(&out);
    if (write_disk(&out, service, &err) && write_faults(&out, service, &err) &&
        write_rows(&out, service, http_arena(request), &err)) {
        http_reply_buffer(request, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
        return;
    }
    buffer_free(&out);
    http_reply_error(request, &err);
}
