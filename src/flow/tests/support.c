#include "support.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/text.h"
#include "dicom/writer.h"
#include "support/folder.h"
#include "support/store.h"

static const char * or (const char *text, const char *usual)
{
    return text ? text : usual;
}

// ---- packages

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    save_file(path, text, strlen(text));
}

// In place of one of that name.
static void write_package(struct ground *ground, const struct package *like)
{
    static const char manifest[] =
        "{\"format\":\"hilum-model/1\",\"name\":\"%s\",\"version\":\"%s\",\"title\":\"A model\","
        "\"label\":\"research use only\",\"files\":{\"graph.onnx\":\"%s\"},\"needs\":{\"modality\":\"CT\"%s},%s%s%s"
        "\"before\":[{\"op\":\"mask_brain\",\"bone_hu\":200,\"margin_mm\":1,\"enclosure\":0.7,\"core_mm\":6},"
        "{\"op\":\"subtract_median\"}],\"graph\":{\"file\":\"graph.onnx\",\"inputs\":{\"x\":\"volume\"},"
        "\"outputs\":[\"y\"]},\"after\":[{\"op\":\"threshold\",\"values\":\"y\",\"low\":0.5,\"mask_margin_mm\":1},"
        "{\"op\":\"components\",\"minimum_ml\":1,\"most\":4,\"score\":\"y\"},{\"op\":\"side\",\"midline_mm\":5}],"
        "\"finding\":{\"concept\":{\"value\":\"1\",\"scheme\":\"SCT\",\"meaning\":\"A thing\"},\"urgency\":\"stat\"}}";
    char folder[256], text[4096], hex[2 * HASH_SIZE + 1], graph[80];
    uint8_t digest[HASH_SIZE];
    const char *name = like->name, *rule = like->rule;
    snprintf(folder, sizeof folder, "%s/models/%s", ground->folder, name);
    if (access(folder, F_OK) == 0)
        folder_delete(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    // ONNX: a model with a graph with a name.
    snprintf(graph, sizeof graph, "\x3a%c\x12%c%s", (char)(strlen(name) + 2), (char)strlen(name), name);
    hash_of(graph, strlen(graph), digest);
    text_hex(hex, digest, sizeof digest);
    snprintf(text, sizeof text, manifest, name, or (like->version, "1"), hex, or (like->needs, ""),
             rule ? "\"rule\":" : "", rule ? rule : "", rule ? "," : "");
    write_file(folder, "graph.onnx", graph);
    write_file(folder, "manifest.json", text);
}

// Every folder in it is fit to be installed.
static void rescan(struct ground *ground)
{
    json_t *refused = json_array();
    assert_ok(model_packages_rescan(ground->packages, refused, &ground->err), ground->err);
    assert_int_equal(json_array_size(refused), 0);
    json_decref(refused);
}

void ground_add_package(struct ground *ground, const struct package *like)
{
    write_package(ground, like);
    rescan(ground);
}

void ground_drop_packages(struct ground *ground)
{
    char folder[256];
    snprintf(folder, sizeof folder, "%s/models", ground->folder);
    folder_delete(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    if (strcmp(model_packages_folder(ground->packages), folder) == 0) {
        rescan(ground);
        return;
    }
    flow_stop(ground->flow);
    ground->flow = NULL;
    model_packages_close(ground->packages);
    ground->packages = model_packages_open(folder, &ground->err);
    assert_ok(ground->packages != NULL, ground->err);
    ground_restart_flow(ground);
}

// ---- the ground

void ground_restart_flow(struct ground *ground)
{
    flow_stop(ground->flow);
    struct flow_options options = {.store = ground->store,
                                   .access = ground->access,
                                   .archive = ground->archive,
                                   .packages = ground->packages,
                                   .words = ground->words,
                                   .negative_quiet_ns = GROUND_NEGATIVE_QUIET_NS};
    ground->flow = flow_start(&options, &ground->err);
    assert_ok(ground->flow != NULL, ground->err);
}

static bool are_all_ended(struct ground *ground)
{
    int64_t waiting = 0;
    bool found;
    struct database *db = store_read_begin(ground->store, &ground->err);
    assert_ok(db != NULL, ground->err);
    assert_ok(sql_get_int(db, &ground->err, &waiting, &found, "SELECT count(*) FROM job WHERE state < 2", ""),
              ground->err);
    store_read_end(ground->store, db);
    return waiting == 0;
}

static void work(struct ground *ground, const char *library)
{
    flow_stop(ground->flow);
    struct model_runner *runner = model_runner_open(&(struct model_runner_options){.onnxruntime = library,
                                                                                   .reduced = true,
                                                                                   .memory_max = 1 << 30,
                                                                                   .timeout_ns = 60 * CLOCK_SECOND,
                                                                                   .threads = 1},
                                                    &ground->err);
    assert_ok(runner != NULL, ground->err);
    struct flow_options options = {.store = ground->store,
                                   .access = ground->access,
                                   .archive = ground->archive,
                                   .packages = ground->packages,
                                   .words = ground->words,
                                   .negative_quiet_ns = INT64_C(1) << 62, // the test's own steps tell
                                   .runner = runner,
                                   .workers = 1};
    ground->flow = flow_start(&options, &ground->err);
    assert_ok(ground->flow != NULL, ground->err);
    for (int i = 0; !are_all_ended(ground); i++) {
        assert_true(i < 6000);
        clock_sleep_ns(10 * CLOCK_MS);
    }
    ground_restart_flow(ground);
    model_runner_close(runner);
}

void ground_work(struct ground *ground)
{
    work(ground, "/nowhere");
}

void ground_work_for_real(struct ground *ground)
{
    work(ground, HILUM_ONNXRUNTIME);
}

static void make_models(struct ground *ground)
{
    char folder[256];
    snprintf(folder, sizeof folder, "%s/models", ground->folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    ground->packages = model_packages_open(folder, &ground->err);
    assert_ok(ground->packages != NULL, ground->err);
}

void ground_open(struct ground *ground, const char *const *models, const char *rule)
{
    static const struct store_migration *const migrations[] = {&access_migration, &queue_migration, &finding_migration,
                                                               &flow_migration, NULL};
    *ground = (struct ground){0};
    folder_make(ground->folder, sizeof ground->folder);
    arena_init(&ground->arena, 64 << 20);
    ground->store = open_store(ground->folder, migrations, &ground->err);
    assert_ok(ground->store != NULL, ground->err);
    ground->access = access_open(ground->store, ground->folder, NULL, &ground->err);
    assert_ok(ground->access != NULL, ground->err);
    ground->archive = archive_open(ground->store, NULL, &ground->err);
    assert_ok(ground->archive != NULL, ground->err);
    ground->words = model_words_open("", &ground->err);
    assert_ok(ground->words != NULL, ground->err);
    make_models(ground);
    for (size_t i = 0; models && models[i]; i++)
        ground_add_package(ground, &(struct package){.name = models[i], .rule = i == 0 ? rule : NULL});
    ground_restart_flow(ground);
}

void ground_close(struct ground *ground)
{
    flow_stop(ground->flow);
    model_packages_close(ground->packages);
    model_words_close(ground->words);
    archive_close(ground->archive);
    access_close(ground->access);
    store_close(ground->store);
    arena_free(&ground->arena);
    folder_delete(ground->folder);
}

// ---- slices

enum { SLICE_FRAMES_MAX = 16 };

static void write_slice(const struct slice *slice, struct buffer *out)
{
    static const double orientation[] = {1, 0, 0, 0, 1, 0};
    struct dicom_writer w;
    int number = slice->number ? slice->number : 1;
    double spacing_mm = slice->spacing_mm > 0 ? slice->spacing_mm : 1.5;
    double position[] = {0, 0, number * spacing_mm}, pixel_mm[] = {1, 1};
    int16_t pixels[16 * SLICE_FRAMES_MAX];
    size_t frames = slice->frames > 0 ? (size_t)slice->frames : 1;
    assert_true(frames <= SLICE_FRAMES_MAX);
    for (size_t i = 0; i < 16 * frames; i++)
        pixels[i] = (int16_t)slice->pixel;
    dicom_writer_init(&w, out, false);
    dicom_write_text(&w, 0x00080016, "1.2.840.10008.5.1.4.1.1.2");
    dicom_write_printf(&w, 0x00080018, "%s.%d", or (slice->series, "1.2.3.1"), number);
    dicom_write_text(&w, 0x00080060, or (slice->modality, "CT"));
    dicom_write_text(&w, 0x00081030, or (slice->study_description, ""));
    dicom_write_text(&w, 0x0008103E, or (slice->description, ""));
    dicom_write_text(&w, 0x00100010, "Test^Flow");
    dicom_write_text(&w, 0x00100020, "F1");
    dicom_write_text(&w, 0x00180010, or (slice->agent, ""));
    dicom_write_text(&w, 0x00180015, or (slice->body_part, "HEAD"));
    dicom_write_text(&w, 0x0020000D, or (slice->study, "1.2.3"));
    dicom_write_text(&w, 0x0020000E, or (slice->series, "1.2.3.1"));
    dicom_write_integer(&w, 0x00200013, number);
    if (slice->frames == 0) {
        dicom_write_doubles(&w, 0x00200032, position, 3);
        dicom_write_doubles(&w, 0x00200037, orientation, 6);
    }
    if (!slice->no_frame_of_reference)
        dicom_write_text(&w, 0x00200052, "1.2.3.9");
    dicom_write_integer(&w, 0x00280002, 1);
    dicom_write_text(&w, 0x00280004, "MONOCHROME2");
    if (slice->frames > 0)
        dicom_write_integer(&w, 0x00280008, slice->frames);
    dicom_write_integer(&w, 0x00280010, 4);
    dicom_write_integer(&w, 0x00280011, 4);
    dicom_write_doubles(&w, 0x00280030, pixel_mm, 2);
    dicom_write_integer(&w, 0x00280100, 16);
    dicom_write_integer(&w, 0x00280101, 16);
    dicom_write_integer(&w, 0x00280102, 15);
    dicom_write_integer(&w, 0x00280103, 1);
    dicom_write_double(&w, 0x00281052, 0);
    dicom_write_double(&w, 0x00281053, 1);
    dicom_write_bytes(&w, 0x7FE00010, DICOM_VR_OW, pixels, 16 * frames * sizeof *pixels);
}

// The newest event gets the simulated time.
static bool set_time(struct database *db, void *payload, struct error *err)
{
    return sql_run(db, err, "UPDATE event SET time_ns=?1 WHERE number=(SELECT max(number) FROM event)", "i",
                   *(const int64_t *)payload);
}

// Frees the data.
static enum archive_outcome put_data(struct ground *ground, struct archive_writer *writer, struct buffer *data,
                                     const struct slice *slice, int64_t at_ns)
{
    struct archive_stored stored;
    struct archive_origin origin = {.how = or (slice->how, "c-store"),
                                    .called = "HILUM",
                                    .calling = or (slice->calling, "SCANNER"),
                                    .address = "127.0.0.1",
                                    .association = slice->association,
                                    .newest = slice->newest,
                                    .issuer = ""};
    assert_ok(buffer_check(data, "a slice", &ground->err), ground->err);
    struct source_memory memory = {data->data, data->size};
    assert_ok(
        archive_put(writer, source_from_memory(&memory), DICOM_TS_EXPLICIT, &origin, at_ns, &stored, &ground->err),
        ground->err);
    buffer_free(data);
    if (stored.outcome != ARCHIVE_SAME)
        assert_ok(store_write(ground->store, STORE_REPLAYABLE, set_time, &at_ns, &ground->err), ground->err);
    return stored.outcome;
}

static enum archive_outcome put(struct ground *ground, struct archive_writer *writer, const struct slice *slice,
                                int64_t at_ns)
{
    struct buffer data;
    buffer_init(&data, 1 << 20);
    write_slice(slice, &data);
    return put_data(ground, writer, &data, slice, at_ns);
}

enum archive_outcome ground_put(struct ground *ground, const struct slice *slice, int64_t at_ns)
{
    struct archive_writer *writer = archive_writer_open(ground->archive, &ground->err);
    assert_ok(writer != NULL, ground->err);
    enum archive_outcome outcome = put(ground, writer, slice, at_ns);
    archive_writer_close(writer);
    return outcome;
}

void ground_put_series(struct ground *ground, const struct slice *like, int count, int64_t at_ns)
{
    struct slice slice = *like;
    struct archive_writer *writer = archive_writer_open(ground->archive, &ground->err);
    assert_ok(writer != NULL, ground->err);
    for (slice.number = 1; slice.number <= count; slice.number++)
        put(ground, writer, &slice, at_ns);
    archive_writer_close(writer);
}

struct end {
    const char *calling;
    int64_t at_ns;
};

static bool write_end(struct database *db, void *payload, struct error *err)
{
    struct end *end = payload;
    return store_event_add(db, STORE_EVENT_ASSOCIATION_ENDED, "", end->calling, NULL, err) &&
           set_time(db, &end->at_ns, err);
}

void ground_end(struct ground *ground, const char *calling, int64_t at_ns)
{
    struct end end = {calling, at_ns};
    assert_ok(store_write(ground->store, STORE_REPLAYABLE, write_end, &end, &ground->err), ground->err);
}

// ---- heads

void ground_open_real(struct ground *ground, const char *more)
{
    char rule[256];
    ground_open(ground, NULL, NULL);
    model_packages_close(ground->packages);
    ground->packages = model_packages_open("models", &ground->err);
    assert_ok(ground->packages != NULL, ground->err);
    snprintf(rule, sizeof rule, "{\"name\":\"" GROUND_HEAD_MODEL "\",\"model\":\"" GROUND_HEAD_MODEL "\"%s}", more);
    ground_rule(ground, rule);
    ground_restart_flow(ground);
}

// Air, a skull of bone, brain with a little noise in it; and a ball of blood on the patient's left.
static int16_t head_hu(int k, int j, int i, int bleed)
{
    double x = (i - 31.5) * 2.5, y = (j - 31.5) * 2.5, z = (k - 25.5) * 3;
    double r = x * x / (62 * 62) + y * y / (72 * 72) + z * z / (86 * 86);
    double up = (k - bleed) * 3;
    if (bleed > 0 && (x - 20) * (x - 20) + (y + 5) * (y + 5) + up * up < 13.5 * 13.5)
        return 70;
    if (r >= 1)
        return -1000;
    return (int16_t)(r >= .7744 ? 1000 : 35 + (k * 7 + j * 13 + i * 29) % 7 - 3);
}

static void write_head(const struct head *head, int k, struct buffer *out)
{
    static const double orientation[] = {1, 0, 0, 0, 1, 0}, pixel_mm[] = {2.5, 2.5};
    static int16_t pixels[GROUND_HEAD_SIZE * GROUND_HEAD_SIZE];
    double position[] = {-31.5 * 2.5, -31.5 * 2.5, k * 3.0};
    struct dicom_writer w;
    for (int j = 0; j < GROUND_HEAD_SIZE; j++)
        for (int i = 0; i < GROUND_HEAD_SIZE; i++)
            pixels[j * GROUND_HEAD_SIZE + i] = (int16_t)(head_hu(k, j, i, head->bleed) + head->acquisition);
    dicom_writer_init(&w, out, false);
    dicom_write_text(&w, 0x00080016, "1.2.840.10008.5.1.4.1.1.2");
    dicom_write_printf(&w, 0x00080018, "%s.%d", or (head->instances, or (head->series, "1.2.3.1")), k + 1);
    dicom_write_text(&w, 0x00080020, or (head->study_date, ""));
    dicom_write_text(&w, 0x00080050, or (head->accession, ""));
    dicom_write_text(&w, 0x00080060, "CT");
    dicom_write_text(&w, 0x00080090, or (head->referring, ""));
    dicom_write_text(&w, 0x00100010, or (head->name, "Test^Flow"));
    dicom_write_text(&w, 0x00100020, head->no_id ? "" : or (head->patient, "F1"));
    dicom_write_text(&w, 0x00100021, or (head->issuer, ""));
    dicom_write_text(&w, 0x00100030, or (head->birth, ""));
    dicom_write_text(&w, 0x00180015, "HEAD");
    dicom_write_double(&w, 0x00180050, 3);
    dicom_write_text(&w, 0x0020000D, or (head->study, "1.2.3"));
    dicom_write_text(&w, 0x0020000E, or (head->series, "1.2.3.1"));
    if (head->acquisition > 0)
        dicom_write_integer(&w, 0x00200012, head->acquisition);
    dicom_write_integer(&w, 0x00200013, k + 1);
    dicom_write_doubles(&w, 0x00200032, position, 3);
    dicom_write_doubles(&w, 0x00200037, orientation, 6);
    dicom_write_text(&w, 0x00200052, "1.2.3.9");
    if (head->announced > 0)
        dicom_write_integer(&w, 0x00201209, head->announced);
    dicom_write_integer(&w, 0x00280002, 1);
    dicom_write_text(&w, 0x00280004, "MONOCHROME2");
    dicom_write_integer(&w, 0x00280010, GROUND_HEAD_SIZE);
    dicom_write_integer(&w, 0x00280011, GROUND_HEAD_SIZE);
    dicom_write_doubles(&w, 0x00280030, pixel_mm, 2);
    dicom_write_integer(&w, 0x00280100, 16);
    dicom_write_integer(&w, 0x00280101, 16);
    dicom_write_integer(&w, 0x00280102, 15);
    dicom_write_integer(&w, 0x00280103, 1);
    dicom_write_double(&w, 0x00281052, 0);
    dicom_write_double(&w, 0x00281053, 1);
    dicom_write_text(&w, 0x00281054, "HU");
    dicom_write_bytes(&w, 0x7FE00010, DICOM_VR_OW, pixels, sizeof pixels);
}

void ground_put_head(struct ground *ground, const struct head *head, int64_t at_ns)
{
    struct archive_writer *writer = archive_writer_open(ground->archive, &ground->err);
    assert_ok(writer != NULL, ground->err);
    for (int k = head->from; k < (head->to ? head->to : GROUND_HEAD_SLICES); k++) {
        struct buffer data;
        buffer_init(&data, 1 << 20);
        write_head(head, k, &data);
        put_data(ground, writer, &data, &(struct slice){.association = head->association, .newest = head->newest},
                 at_ns);
    }
    archive_writer_close(writer);
}

void ground_send_head(struct ground *ground, const struct head *head, int64_t at_ns)
{
    ground_put_head(ground, head, at_ns);
    ground_end(ground, head->association ? head->association : "SCANNER", at_ns);
    ground_step(ground, at_ns + 3 * CLOCK_SECOND);
}

// ---- deliveries

static bool write_delivery(struct database *db, void *payload, struct error *err)
{
    struct delivering {
        struct arena *arena;
        const char *kind;
        bool taken, found;
    } *delivering = payload;
    struct queue_delivery *delivery;
    bool dead;
    int64_t next_ns, now_ns = INT64_C(1) << 62; // whatever its back-off
    if (!queue_delivery_claim(db, delivering->kind, now_ns, CLOCK_SECOND, delivering->arena, &delivery, &next_ns, err))
        return false;
    delivering->found = delivery != NULL;
    if (!delivery)
        return true;
    return delivering->taken ? queue_delivery_done(db, delivery->id, delivery->token, "", now_ns, err)
                             : queue_delivery_failed(db, delivery->id, delivery->token, QUEUE_NOT_TAKEN, "AE",
                                                     -QUEUE_BACKOFF_MAX_NS * 100, &dead, err);
}

bool ground_deliver(struct ground *ground, const char *kind, bool taken)
{
    struct {
        struct arena *arena;
        const char *kind;
        bool taken, found;
    } delivering = {&ground->arena, kind, taken, false};
    assert_ok(store_write(ground->store, STORE_DURABLE, write_delivery, &delivering, &ground->err), ground->err);
    return delivering.found;
}

struct queue_delivery *ground_deliveries(struct ground *ground, const char *topic, size_t *count)
{
    struct queue_delivery *list;
    struct database *db = store_read_begin(ground->store, &ground->err);
    assert_ok(db != NULL, ground->err);
    assert_ok(queue_delivery_of_topic(db, topic, &ground->arena, &list, count, &ground->err), ground->err);
    store_read_end(ground->store, db);
    for (size_t i = 0; i < *count / 2; i++) {
        struct queue_delivery swap = list[i];
        list[i] = list[*count - 1 - i];
        list[*count - 1 - i] = swap;
    }
    return list;
}

// ---- steps and what came of them

void ground_step(struct ground *ground, int64_t now_ns)
{
    bool worked = true;
    for (int i = 0; worked; i++) {
        assert_true(i < 1000);
        assert_ok(flow_step(ground->flow, now_ns, &worked, &ground->err), ground->err);
    }
}

size_t ground_jobs(struct ground *ground, struct queue_job **out)
{
    size_t count;
    struct database *db = store_read_begin(ground->store, &ground->err);
    assert_ok(db != NULL, ground->err);
    assert_ok(queue_job_list(db, ACCESS_ALL, "model", NULL, 100, &ground->arena, out, &count, &ground->err),
              ground->err);
    store_read_end(ground->store, db);
    for (size_t i = 0; i < count / 2; i++) {
        struct queue_job swap = (*out)[i];
        (*out)[i] = (*out)[count - 1 - i];
        (*out)[count - 1 - i] = swap;
    }
    return count;
}

size_t ground_results(struct ground *ground, const char *study, struct finding_result **out)
{
    size_t count;
    struct database *db = store_read_begin(ground->store, &ground->err);
    assert_ok(db != NULL, ground->err);
    assert_ok(finding_result_list(db, study, NULL, true, &ground->arena, out, &count, &ground->err), ground->err);
    store_read_end(ground->store, db);
    return count;
}

struct queue_job *ground_only_job(struct ground *ground)
{
    struct queue_job *jobs;
    assert_int_equal(ground_jobs(ground, &jobs), 1);
    return jobs;
}

size_t ground_completions(struct ground *ground)
{
    struct store_event *events;
    size_t count, same = 0;
    struct database *db = store_read_begin(ground->store, &ground->err);
    assert_ok(db != NULL, ground->err);
    assert_ok(store_event_read(db, 0, 10000, &ground->arena, &events, &count, &ground->err), ground->err);
    store_read_end(ground->store, db);
    for (size_t i = 0; i < count; i++)
        same += events[i].kind == STORE_EVENT_SERIES_COMPLETE;
    return same;
}

void ground_rule(struct ground *ground, const char *text)
{
    struct flow_rule rule;
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_ok(flow_rule_from_json(json, &rule, &ground->err) &&
                  flow_rule_put(ground->store, ground->access, &rule, "test", &ground->err),
              ground->err);
    json_decref(json);
}

bool ground_rule_refused(struct ground *ground, const char *text)
{
    struct flow_rule rule;
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    bool refused = !flow_rule_from_json(json, &rule, &ground->err);
    json_decref(json);
    return refused;
}

// ---- what is told

struct finding_result *ground_newest(struct ground *g)
{
    struct finding_result *results;
    size_t count = ground_results(g, "1.2.3", &results);
    assert_true(count > 0);
    return &results[count - 1];
}

struct finding_result *ground_result(struct ground *g, size_t index)
{
    struct finding_result *results;
    assert_true(ground_results(g, "1.2.3", &results) > index);
    return &results[index];
}

void ground_deliver_all(struct ground *g)
{
    while (ground_deliver(g, "dicom", true) || ground_deliver(g, "hl7", true))
        continue;
}

void ground_open_told(struct ground *g, const struct head *head)
{
    ground_open_real(g, TARGETS);
    ground_send_head(g, head, AT(0));
    ground_work_for_real(g);
    ground_step(g, AT(120));
    ground_work_for_real(g);
    ground_deliver_all(g);
}

size_t ground_count(struct ground *g, const char *kind)
{
    size_t count, same = 0;
    struct queue_delivery *list = ground_deliveries(g, ground_newest(g)->topic, &count);
    for (size_t i = 0; i < count; i++)
        same += strcmp(list[i].kind, kind) == 0 && list[i].state != QUEUE_DELIVERY_OBSOLETE;
    return same;
}

void ground_decide(struct ground *g, enum archive_decision decision, int64_t at_ns)
{
    struct archive_conflict *conflicts, now;
    size_t count, decided = 0;
    assert_ok(archive_conflicts(g->archive, ACCESS_ALL, "1.2.3", true, NULL, &g->arena, &conflicts, &count, &g->err),
              g->err);
    for (size_t i = 0; i < count; i++)
        if (memcmp(conflicts[i].newer.digest, conflicts[i].served.digest, HASH_SIZE) != 0) {
            assert_ok(archive_decide(g->archive, ACCESS_ALL, conflicts[i].newer.id, decision, "Dr. Who", at_ns,
                                     &g->arena, &now, &g->err),
                      g->err);
            decided++;
        }
    assert_true(decided > 0);
    ground_step(g, at_ns + 120 * CLOCK_SECOND);
}

const char *ground_class_of(struct ground *g, const char *instance)
{
    struct archive_object *object;
    size_t count;
    assert_ok(archive_objects(g->archive, ACCESS_ALL, NULL, NULL, instance, &g->arena, &object, &count, &g->err),
              g->err);
    return object->sop_class;
}

const char *ground_message_in(struct ground *g, const struct queue_delivery *delivery, const char *status)
{
    struct flow_hl7_target target = {.name = "ris", .application = "RIS", .filler = "topic"};
    struct buffer out;
    text_copy(target.unsigned_status, sizeof target.unsigned_status, status);
    buffer_init(&out, 1 << 20);
    assert_ok(flow_report_message(g->flow, delivery, &target, &g->arena, &out, &g->err), g->err);
    const char *text = arena_strndup(&g->arena, (const char *)out.data, out.size);
    assert_non_null(text);
    buffer_free(&out);
    const char *control = arena_printf(&g->arena, "|ORU^R01^ORU_R01|%s|P|2.5.1|", delivery->subject);
    assert_non_null(strstr(text, control));
    return text;
}

// That of the newest delivery to a record.
const char *ground_message_of(struct ground *g, const char *topic, const char *status)
{
    size_t count, last;
    struct queue_delivery *list = ground_deliveries(g, topic, &count);
    for (last = count; last > 0 && strcmp(list[last - 1].kind, "hl7") != 0; last--)
        continue;
    assert_true(last > 0);
    return ground_message_in(g, &list[last - 1], status);
}

const char *ground_message_as(struct ground *g, const char *status)
{
    return ground_message_of(g, ground_newest(g)->topic, status);
}

struct judging {
    const char *id;
    enum finding_state state;
};

static bool write_judgement(struct database *db, void *payload, struct error *err)
{
    struct judging *judging = payload;
    const struct finding_judgement judgement = {.id = judging->id,
                                                .state = judging->state,
                                                .by = "Ann",
                                                .version = FINDING_ANY_VERSION,
                                                .now_ns = GROUND_START + 100 * CLOCK_SECOND};
    return finding_judge(db, ACCESS_ALL, &judgement, err);
}

void ground_judge(struct ground *g, enum finding_state verdict, int64_t at_ns)
{
    struct finding *findings;
    size_t count;
    struct database *db = store_read_begin(g->store, &g->err);
    assert_ok(db && finding_list(db, "1.2.3", false, &g->arena, &findings, &count, &g->err), g->err);
    store_read_end(g->store, db);
    assert_int_equal(count, 1);
    struct judging judging = {findings[0].id, verdict};
    assert_ok(store_write(g->store, STORE_DURABLE, write_judgement, &judging, &g->err), g->err);
    ground_step(g, at_ns);
    ground_work_for_real(g);
}
