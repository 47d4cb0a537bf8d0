// Who lacks a label of a study hears nothing of it: each route of the table, asked by somebody who sees the study and
// by somebody who does not, over a real connection, on a server with all its rooms.
#include "support/check.h"
#include "support/folder.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/text.h"
#include "base/wire.h"
#include "dicom/writer.h"
#include "finding/finding.h"
#include "queue/queue.h"
#include "service/internal.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"
#define HIDDEN "1.2.826.9.10" // begins each UID of the hidden study, and no other
#define UNKNOWN "1.2.826.9.19"
#define OPEN "1.2.826.9.11"
#define MARK "SECRET" // is in each text of the hidden patient

enum { ANSWER_MAX = 4 << 20, PIXELS = 64 };

struct place {
    char folder[256];
    struct config config;
    struct service *service;
    struct http_server *http; // the same routes, for a subject of the test's choice
    struct error err;
    char conflict[24], conflict_beside[24], delivery[24], device[80]; // of the hidden study
};

static bool sees; // whether whoever asks has the label

static bool admit(void *payload, struct http_request *request, const struct http_route *route, struct error *err)
{
    struct access_subject subject = {.name = "anna", .address = "127.0.0.1", .roles = ACCESS_ROLES_ALL};
    subject.labels = sees ? ACCESS_LABELS_ALL : 0;
    return service_admit_subject(payload, request, route, &subject, err);
}

// ---- what is asked

enum kind {
    LISTS,   // without a study in the path: an answer to both, but of the hidden study to one only
    OF_IT,   // by a UID or number of the hidden study: answered, or the same as for one that is not here
    NOTHING, // tells of no study: no more than that is looked at
    UNASKED, // the same, and it changes what others need, or ends never
};

// In `url`, `body`: $S the study, and what is of it: $R its series, $I its instance, $F finding, $T result, $C
// conflict, $B conflict of one of its objects with one of the open study, $D delivery, $V device.
static const struct asked {
    const char *method, *route, *url;
    enum kind kind;
    const char *body;
} asked[] = {
    {"GET", "/healthz", "/healthz", NOTHING, NULL},
    {"GET", "/metrics", "/metrics", NOTHING, NULL},
    {"GET", "/dicom-web/studies", "/dicom-web/studies", LISTS, NULL},
    {"GET", "/dicom-web/studies", "/dicom-web/studies?StudyInstanceUID=$S", LISTS, NULL},
    {"GET", "/dicom-web/studies", "/dicom-web/studies?PatientID=SECRETID", LISTS, NULL},
    {"GET", "/dicom-web/series", "/dicom-web/series", LISTS, NULL},
    {"GET", "/dicom-web/series", "/dicom-web/series?SeriesInstanceUID=$R", LISTS, NULL},
    {"GET", "/dicom-web/instances", "/dicom-web/instances", LISTS, NULL},
    {"GET", "/dicom-web/instances", "/dicom-web/instances?SOPInstanceUID=$I", LISTS, NULL},
    {"GET", "/dicom-web/studies/{study}", "/dicom-web/studies/$S", OF_IT, NULL},
    {"GET", "/dicom-web/studies/{study}/metadata", "/dicom-web/studies/$S/metadata", OF_IT, NULL},
    {"GET", "/dicom-web/studies/{study}/series", "/dicom-web/studies/$S/series", OF_IT, NULL},
    {"GET", "/dicom-web/studies/{study}/instances", "/dicom-web/studies/$S/instances", OF_IT, NULL},
    {"GET", "/dicom-web/studies/{study}/series/{series}", "/dicom-web/studies/$S/series/$R", OF_IT, NULL},
    {"GET", "/dicom-web/studies/{study}/series/{series}/metadata", "/dicom-web/studies/$S/series/$R/metadata", OF_IT,
     NULL},
    {"GET", "/dicom-web/studies/{study}/series/{series}/instances", "/dicom-web/studies/$S/series/$R/instances", OF_IT,
     NULL},
    {"GET", "/dicom-web/studies/{study}/series/{series}/instances/{instance}",
     "/dicom-web/studies/$S/series/$R/instances/$I", OF_IT, NULL},
    {"GET", "/dicom-web/studies/{study}/series/{series}/instances/{instance}/metadata",
     "/dicom-web/studies/$S/series/$R/instances/$I/metadata", OF_IT, NULL},
    {"GET", "/dicom-web/studies/{study}/series/{series}/instances/{instance}/frames/{frames}",
     "/dicom-web/studies/$S/series/$R/instances/$I/frames/1", OF_IT, NULL},
    {"GET", "/dicom-web/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path...}",
     "/dicom-web/studies/$S/series/$R/instances/$I/bulkdata/7FE00010", OF_IT, NULL},
    {"GET", "/api/login", "/api/login", NOTHING, NULL},
    {"POST", "/api/login/first", NULL, UNASKED, NULL},
    {"GET", "/api/session", "/api/session", NOTHING, NULL},
    {"POST", "/api/session", NULL, UNASKED, NULL},
    {"GET", "/api/session/provider", "/api/session/provider", NOTHING, NULL},
    {"GET", "/api/session/provider/callback", "/api/session/provider/callback?state=$S", NOTHING, NULL},
    {"POST", "/api/session/break-glass", NULL, UNASKED, NULL},
    {"DELETE", "/api/session", NULL, UNASKED, NULL},
    {"GET", "/api/accounts", "/api/accounts", NOTHING, NULL},
    {"PUT", "/api/accounts/{name}", NULL, UNASKED, NULL},
    {"DELETE", "/api/accounts/{name}", NULL, UNASKED, NULL},
    {"PUT", "/api/accounts/{name}/password", NULL, UNASKED, NULL},
    {"GET", "/api/sessions", "/api/sessions", NOTHING, NULL},
    {"DELETE", "/api/sessions/{id}", NULL, UNASKED, NULL},
    {"GET", "/api/tokens", "/api/tokens", NOTHING, NULL},
    {"POST", "/api/tokens", NULL, UNASKED, NULL},
    {"DELETE", "/api/tokens/{name}", NULL, UNASKED, NULL},
    {"GET", "/api/status", "/api/status", NOTHING, NULL},
    {"GET", "/api/peers", "/api/peers", NOTHING, NULL},
    {"PUT", "/api/peers/{name}", NULL, UNASKED, NULL},
    {"DELETE", "/api/peers/{name}", NULL, UNASKED, NULL},
    {"POST", "/api/peers/{name}/echo", NULL, UNASKED, NULL},
    {"GET", "/api/connections", NULL, UNASKED, NULL}, // targets and counts, and no study
    {"POST", "/api/connections/{kind}/{name}/check", NULL, UNASKED, NULL},
    {"GET", "/api/labels", "/api/labels", NOTHING, NULL},
    {"PUT", "/api/labels/{name}", NULL, UNASKED, NULL},
    // Whoever may configure asks what holds it, and is told of one.
    {"DELETE", "/api/labels/{name}", "/api/labels/vip", NOTHING, NULL},
    {"GET", "/api/conflicts", "/api/conflicts", LISTS, NULL},
    {"GET", "/api/conflicts", "/api/conflicts?state=all&study=$S", LISTS, NULL},
    {"POST", "/api/conflicts/{id}/keep", "/api/conflicts/$C/keep", OF_IT, "{\"by\": \"Anna\"}"},
    {"POST", "/api/conflicts/{id}/keep", "/api/conflicts/$B/keep", OF_IT, "{\"by\": \"Anna\"}"},
    {"POST", "/api/conflicts/{id}/take", "/api/conflicts/$C/take", OF_IT, "{\"by\": \"Anna\"}"},
    {"GET", "/api/studies/{study}/flags", "/api/studies/$S/flags", OF_IT, NULL},
    {"GET", "/api/studies/{study}/labels", "/api/studies/$S/labels", OF_IT, NULL},
    {"PUT", "/api/studies/{study}/labels", "/api/studies/$S/labels", OF_IT, "{\"labels\": [\"vip\"], \"version\": 1}"},
    {"GET", "/api/flagged", "/api/flagged", LISTS, NULL},
    {"GET", "/api/worklist", "/api/worklist", LISTS, NULL},
    {"GET", "/api/worklist", "/api/worklist?study=$S", LISTS, NULL},
    {"GET", "/api/worklist/{study}/read", "/api/worklist/$S/read", OF_IT, NULL},
    {"POST", "/api/worklist/{study}/read", "/api/worklist/$S/read", OF_IT, "{\"by\": \"Anna\", \"version\": 0}"},
    {"POST", "/api/worklist/{study}/unread", "/api/worklist/$S/unread", OF_IT, "{\"by\": \"Anna\", \"version\": 0}"},
    {"GET", "/api/studies/{study}/findings", "/api/studies/$S/findings", OF_IT, NULL},
    {"GET", "/api/studies/{study}/results", "/api/studies/$S/results", OF_IT, NULL},
    {"POST", "/api/studies/{study}/ask", "/api/studies/$S/ask", OF_IT, "{\"by\": \"Anna\"}"},
    {"POST", "/api/findings/{id}/judge", "/api/findings/$F/judge", OF_IT,
     "{\"by\": \"Anna\", \"state\": \"accepted\"}"},
    {"GET", "/api/jobs", "/api/jobs", LISTS, NULL},
    {"GET", "/api/jobs", "/api/jobs?study=$S", LISTS, NULL},
    {"GET", "/api/jobs", "/api/jobs?state=queued", LISTS, NULL},
    {"GET", "/api/rules", "/api/rules", NOTHING, NULL},
    {"PUT", "/api/rules/{name}", NULL, UNASKED, NULL},
    {"POST", "/api/rules/try", "/api/rules/try", LISTS, "{\"modality\": \"CT\", \"model\": \"none\"}"},
    {"DELETE", "/api/rules/{name}", NULL, UNASKED, NULL},
    {"GET", "/api/hl7-targets", "/api/hl7-targets", NOTHING, NULL},
    {"PUT", "/api/hl7-targets/{name}", NULL, UNASKED, NULL},
    {"DELETE", "/api/hl7-targets/{name}", NULL, UNASKED, NULL},
    {"GET", "/api/models", "/api/models", NOTHING, NULL},
    {"POST", "/api/models/rescan", NULL, UNASKED, NULL},
    {"GET", "/api/audit", NULL, UNASKED,
     NULL}, // who may see the audit trail sees all of it: who looked at what is there
    {"GET", "/api/audit/unknown", "/api/audit/unknown", NOTHING, NULL},
    {"POST", "/api/audit/acknowledge", NULL, UNASKED, NULL},
    {"GET", "/api/deliveries", "/api/deliveries", LISTS, NULL},
    {"GET", "/api/deliveries", "/api/deliveries?study=$S", LISTS, NULL},
    {"GET", "/api/deliveries", "/api/deliveries?state=waiting&kind=walk&target=nowhere", LISTS, NULL},
    // Of a target he may say what he sees: the others stay as they are (queue: test_outbox.c).
    {"POST", "/api/deliveries/replay", "/api/deliveries/replay", NOTHING,
     "{\"kind\": \"dicom\", \"target\": \"nowhere\"}"},
    {"POST", "/api/deliveries/give-up", NULL, UNASKED, NULL},
    {"POST", "/api/deliveries/{id}/give-up", "/api/deliveries/$D/give-up", OF_IT,
     "{\"by\": \"Anna\", \"reason\": \"not wanted\"}"},
    {"POST", "/api/deliveries/{id}/replay", "/api/deliveries/$D/replay", OF_IT, "{}"},
    {"GET", "/api/quarantine", "/api/quarantine", LISTS, NULL},
    {"DELETE", "/api/quarantine/{number}", NULL, UNASKED, NULL},
    {"GET", "/api/backups", NULL, UNASKED, NULL}, // names, times and sizes, and no study
    {"POST", "/api/backups", NULL, UNASKED, NULL},
    {"GET", "/api/events", NULL, UNASKED, NULL}, // the test of events does
    {"GET", "/fhir/{type}", "/fhir/metadata", NOTHING, NULL},
    {"GET", "/fhir/{type}", "/fhir/Patient?study=$S", OF_IT, NULL},
    {"GET", "/fhir/{type}", "/fhir/ImagingStudy?study=$S", OF_IT, NULL},
    {"GET", "/fhir/{type}", "/fhir/DiagnosticReport?study=$S", OF_IT, NULL},
    {"GET", "/fhir/{type}", "/fhir/Observation?study=$S", OF_IT, NULL},
    {"GET", "/fhir/{type}", "/fhir/Device?study=$S", OF_IT, NULL},
    {"GET", "/fhir/{type}/{id}", "/fhir/ImagingStudy/$S", OF_IT, NULL},
    {"GET", "/fhir/{type}/{id}", "/fhir/DiagnosticReport/$T", OF_IT, NULL},
    {"GET", "/fhir/{type}/{id}", "/fhir/Observation/$F", OF_IT, NULL},
    {"GET", "/fhir/{type}/{id}", "/fhir/Device/$V", OF_IT, NULL},
    {"GET", "/", NULL, UNASKED, NULL},
    {"GET", "/assets/{path...}", NULL, UNASKED, NULL},
    {"POST", "/api/import", NULL, UNASKED, NULL},
};
enum { ASKED = sizeof asked / sizeof *asked };

static void every_route_is_asked(void **state)
{
    size_t at = 0;
    (void)state;
    for (const struct http_route *route = service_routes; route->method; route++) {
        if (at == ASKED || strcmp(asked[at].method, route->method) != 0 || strcmp(asked[at].route, route->path) != 0)
            fail_msg("%s %s: say what of a hidden study it might tell", route->method, route->path);
        while (at < ASKED && strcmp(asked[at].method, route->method) == 0 && strcmp(asked[at].route, route->path) == 0)
            at++;
    }
    assert_int_equal(at, ASKED);
}

// ---- what is there

struct object {
    const char *study, *series, *instance, *patient, *name;
    int fill;
};

static void put(struct place *place, const struct object *o, const char *labels)
{
    uint8_t pixels[PIXELS];
    struct buffer data;
    struct dicom_writer w;
    struct archive_stored stored;
    const struct archive_origin origin = {
        .how = "import", .called = "", .calling = "CT1", .address = "", .issuer = "", .labels = labels};
    memset(pixels, o->fill, sizeof pixels);
    buffer_init(&data, 1 << 16);
    dicom_writer_init(&w, &data, false);
    dicom_write_text(&w, 0x00080016, CT);
    dicom_write_text(&w, 0x00080018, o->instance);
    dicom_write_text(&w, 0x00080020, "20260101");
    dicom_write_printf(&w, 0x00080050, "%sACC", o->name);
    dicom_write_text(&w, 0x00080060, "CT");
    dicom_write_printf(&w, 0x00081030, "%sDESC", o->name);
    dicom_write_printf(&w, 0x00100010, "%s^Name", o->name);
    dicom_write_text(&w, 0x00100020, o->patient);
    dicom_write_text(&w, 0x0020000D, o->study);
    dicom_write_text(&w, 0x0020000E, o->series);
    dicom_write_integer(&w, 0x00280002, 1);
    dicom_write_text(&w, 0x00280004, "MONOCHROME2");
    dicom_write_integer(&w, 0x00280010, 8);
    dicom_write_integer(&w, 0x00280011, 8);
    dicom_write_integer(&w, 0x00280100, 8);
    dicom_write_integer(&w, 0x00280101, 8);
    dicom_write_integer(&w, 0x00280102, 7);
    dicom_write_integer(&w, 0x00280103, 0);
    dicom_write_bytes(&w, 0x7FE00010, DICOM_VR_OW, pixels, sizeof pixels);
    struct archive_writer *writer = archive_writer_open(place->service->archive, &place->err);
    struct source_memory memory = {data.data, data.size};
    assert_ok(writer && archive_put(writer, source_from_memory(&memory), DICOM_TS_EXPLICIT, &origin, clock_now_ns(),
                                    &stored, &place->err),
              place->err);
    archive_writer_close(writer);
    buffer_free(&data);
}

struct saying {
    const char *study, *patient, *result, *finding, *model, *digest;
};

static const struct saying sayings[] = {
    {HIDDEN ".1", "SECRETID", "aaaa01", "aaaa01-1", "bleeds", "d1"},
    {HIDDEN ".1", "SECRETID", "aaaa02", "aaaa02-1", "alone", "d2"}, // a model that speaks nowhere else
    {OPEN ".1", "OPENID", "bbbb01", "bbbb01-1", "bleeds", "d1"},
};

static bool write_saying(struct database *db, void *payload, struct error *err)
{
    const struct saying *s = payload;
    bool added;
    char series[DICOM_UID_SIZE], topic[FINDING_TOPIC_SIZE];
    snprintf(series, sizeof series, "%s.1", s->study);
    snprintf(topic, sizeof topic, "topic-%s", s->result);
    const struct finding_code concept = {"1386000", "SCT", "Intracranial hemorrhage"};
    const struct finding_result result = {.id = s->result,
                                          .topic = topic,
                                          .job = s->result,
                                          .study = s->study,
                                          .series = series,
                                          .volume = "",
                                          .patient_id = s->patient,
                                          .issuer = "",
                                          .modality = "CT",
                                          .model = s->model,
                                          .model_version = "1",
                                          .model_digest = s->digest,
                                          .label_text = "",
                                          .concept = concept,
                                          .outcome = FINDING_POSITIVE,
                                          .reason = "",
                                          .notes = "",
                                          .objects = 1,
                                          .voxels = 1,
                                          .digest = "",
                                          .send_to = "[]",
                                          .hl7_to = "[]",
                                          .told = true,
                                          .sr_instance = "",
                                          .seg_instance = "",
                                          .made_ns = clock_now_ns()};
    const struct finding finding = {.id = s->finding,
                                    .result = s->result,
                                    .job = s->result,
                                    .study = s->study,
                                    .series = series,
                                    .model = s->model,
                                    .model_version = "1",
                                    .model_digest = s->digest,
                                    .label_text = "",
                                    .concept = concept,
                                    .side = "left",
                                    .volume_ml = 12,
                                    .segment = 1,
                                    .urgency = FINDING_STAT,
                                    .made_ns = clock_now_ns()};
    return finding_result_add(db, &result, &finding, 1, &added, err);
}

// A job and a delivery of each study; the targets are nowhere, so that the deliveries wait.
static bool write_work(struct database *db, void *payload, struct error *err)
{
    bool added;
    (void)payload;
    const char *const studies[] = {HIDDEN ".1", OPEN ".1"};
    for (size_t i = 0; i < 2; i++) {
        char subject[DICOM_UID_SIZE], series[DICOM_UID_SIZE];
        snprintf(subject, sizeof subject, "%s.5", studies[i]);
        snprintf(series, sizeof series, "%s.1", studies[i]);
        const struct queue_job job = {.key = studies[i],
                                      .kind = "model",
                                      .study = studies[i],
                                      .series = series,
                                      .model = "none 1",
                                      .input = "{}"};
        const struct queue_delivery delivery = {.key = studies[i],
                                                .target = "nowhere",
                                                .kind = "walk",
                                                .subject = subject,
                                                .payload = "{}",
                                                .study = studies[i]};
        if (!queue_job_add(db, &job, clock_now_ns(), &added, err) ||
            !queue_delivery_add(db, &delivery, clock_now_ns(), &added, err))
            return false;
    }
    return true;
}

// What is no data set: it goes to the quarantine, where nothing says of which study it is.
static void put_broken(struct place *place)
{
    static const uint8_t bytes[] = {0x08, 0, 0x18, 0, 'U', 'I', 0xFF, 0x7F, '1'};
    struct archive_stored stored;
    struct source_memory memory = {bytes, sizeof bytes};
    const struct archive_origin origin = {.how = "c-store",
                                          .called = "",
                                          .calling = "CT1",
                                          .address = "",
                                          .issuer = "",
                                          .sop_class = CT,
                                          .sop_instance = HIDDEN ".1.9",
                                          .labels = "vip"};
    struct archive_writer *writer = archive_writer_open(place->service->archive, &place->err);
    assert_ok(writer != NULL, place->err);
    assert_false(archive_put(writer, source_from_memory(&memory), DICOM_TS_EXPLICIT, &origin, clock_now_ns(), &stored,
                             &place->err));
    assert_int_equal(place->err.code, ERROR_BAD_DATA);
    archive_writer_close(writer);
}

static void fill(struct place *place)
{
    static const struct object open = {OPEN ".1", OPEN ".1.1", OPEN ".1.1.1", "OPENID", "OPEN", 1},
                               hidden = {HIDDEN ".1", HIDDEN ".1.1", HIDDEN ".1.1.1", "SECRETID", "SECRET", 2};
    struct object more = hidden;
    put(place, &open, "");
    put(place, &hidden, "vip");
    more.fill = 3; // the same again with other pixels
    put(place, &more, "vip");
    more.instance = open.instance; // an object of the open study, with other pixels
    put(place, &more, "vip");
    more = hidden;
    more.series = open.series; // a series with the UID of one of the open study: objects of both are flagged
    more.instance = HIDDEN ".1.2.1";
    put(place, &more, "vip");
    put_broken(place);
    for (size_t i = 0; i < sizeof sayings / sizeof *sayings; i++)
        assert_ok(store_write(place->service->store, STORE_DURABLE, write_saying, (void *)(uintptr_t)&sayings[i],
                              &place->err),
                  place->err);
    assert_ok(store_write(place->service->store, STORE_DURABLE, write_work, NULL, &place->err), place->err);
}

// ---- asking

static int dial(struct place *place)
{
    int fd =
        wire_connect("127.0.0.1", http_server_port(place->http), clock_monotonic_ns() + 10 * CLOCK_SECOND, &place->err);
    assert_ok(fd >= 0, place->err);
    return fd;
}

// Reads until `until` has come, or to the end.
static void receive(int fd, char *out, const char *until)
{
    size_t used = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    out[0] = '\0';
    while (!until || !strstr(out, until)) {
        assert_int_equal(poll(&ready, 1, 30000), 1);
        ssize_t got = read(fd, out + used, ANSWER_MAX - 1 - used);
        assert_true(got >= 0);
        if (got == 0)
            break;
        for (ssize_t i = 0; i < got; i++) // binary parts too are searched
            if (!out[used + (size_t)i])
                out[used + (size_t)i] = ' ';
        used += (size_t)got;
        out[used] = '\0';
    }
}

static size_t number_at(const char *text)
{
    uint64_t number = 0;
    assert_true(text_to_u64(text, strspn(text, "0123456789"), &number));
    return (size_t)number;
}

static int ask(struct place *place, const char *method, const char *url, const char *body, char *out)
{
    int fd = dial(place);
    dprintf(fd, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n", method, url,
            http_server_port(place->http));
    if (body)
        dprintf(fd, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    dprintf(fd, "\r\n%s", body ? body : "");
    receive(fd, out, NULL);
    close(fd);
    return (int)number_at(out + strlen("HTTP/1.1 "));
}

// With the UIDs and numbers of the hidden study, or of one that is not here.
static void expand(const struct place *place, const char *text, bool hidden, char *out, size_t capacity)
{
    const char *const values[][3] = {
        {"$S", HIDDEN ".1", UNKNOWN ".1"},         {"$R", HIDDEN ".1.1", UNKNOWN ".1.1"},
        {"$I", HIDDEN ".1.1.1", UNKNOWN ".1.1.1"}, {"$F", sayings[0].finding, "cccc01-1"},
        {"$T", sayings[0].result, "cccc01"},       {"$C", place->conflict, "999"},
        {"$B", place->conflict_beside, "999"},     {"$D", place->delivery, "999"},
        {"$V", place->device, "2.25.999"},
    };
    size_t used = 0;
    for (; *text; text++) {
        const char *piece = NULL;
        for (size_t i = 0; *text == '$' && i < sizeof values / sizeof *values; i++)
            if (strncmp(text, values[i][0], 2) == 0)
                piece = values[i][hidden ? 1 : 2];
        used += (size_t)(piece ? snprintf(out + used, capacity - used, "%s", piece)
                               : snprintf(out + used, capacity - used, "%c", *text));
        text += piece != NULL;
        assert_true(used < capacity);
    }
}

// The answer without what differs from one to the next by itself, nor what was asked for.
static void normalize(const struct place *place, char *answer)
{
    const char *const names[] = {HIDDEN ".1.1.1", UNKNOWN ".1.1.1", HIDDEN ".1.1", UNKNOWN ".1.1",
                                 HIDDEN ".1",     UNKNOWN ".1",     "aaaa01-1",    "cccc01-1",
                                 "aaaa01",        "cccc01",         place->device, "2.25.999"};
    char *at;
    while ((at = strstr(answer, "\r\nDate: ")) || (at = strstr(answer, "\r\nContent-Length: ")))
        memmove(at, strstr(at + 2, "\r\n"), strlen(strstr(at + 2, "\r\n")) + 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        while ((at = strstr(answer, names[i]))) {
            at[0] = '*';
            memmove(at + 1, at + strlen(names[i]), strlen(at + strlen(names[i])) + 1);
        }
    const char *const numbers[] = {place->conflict, place->conflict_beside, place->delivery, "999"};
    for (size_t i = 0; i < 4; i++) {
        char word[40];
        size_t size = (size_t)snprintf(word, sizeof word, " %s\"", numbers[i]); // as the end of a sentence
        while ((at = strstr(answer, word))) {
            at[1] = '*';
            memmove(at + 2, at + size - 1, strlen(at + size - 1) + 1);
        }
    }
}

static bool tells(const char *answer)
{
    return strstr(answer, MARK) || strstr(answer, HIDDEN);
}

static char *buffers[2];

static void nobody_asks(struct place *place, const struct asked *row)
{
    char url[512];
    sees = false;
    expand(place, row->url, true, url, sizeof url);
    int status = ask(place, row->method, url, row->body, buffers[0]);
    if (row->kind == OF_IT) {
        expand(place, row->url, false, url, sizeof url);
        if (ask(place, row->method, url, row->body, buffers[1]) != status || status != 404)
            fail_msg("%s %s: %d to who may not see it", row->method, row->url, status);
        normalize(place, buffers[0]);
        normalize(place, buffers[1]);
        if (strcmp(buffers[0], buffers[1]) != 0)
            fail_msg("%s %s: not the same as for one that is not here:\n%s\n%s", row->method, row->url, buffers[0],
                     buffers[1]);
    } else if (row->kind == LISTS && status != 200) {
        fail_msg("%s %s: %d to who may not see it", row->method, row->url, status);
    }
    if (tells(buffers[0]))
        fail_msg("%s %s tells of the hidden study: %s", row->method, row->url, buffers[0]);
}

static void somebody_asks(struct place *place, const struct asked *row)
{
    char url[512];
    sees = true;
    expand(place, row->url, true, url, sizeof url);
    int status = ask(place, row->method, url, row->body, buffers[0]);
    if (row->kind == OF_IT ? status == 404 : row->kind == LISTS && (status != 200 || !tells(buffers[0])))
        fail_msg("%s %s: %d to who may see it: %s", row->method, row->url, status, buffers[0]);
}

// ---- the place

// The id of the model's Device: the last one in front of its name.
static void find_device(const char *answer, const char *model, char *out, size_t capacity)
{
    const char *id = NULL, *name = strstr(answer, model);
    assert_non_null(name);
    for (const char *at = answer; (at = strstr(at, "\"id\":")) && at < name; at++)
        id = at;
    assert_non_null(id);
    id += strcspn(id, "0123456789");
    snprintf(out, capacity, "%.*s", (int)strspn(id, "0123456789."), id);
}

static json_t *read_list(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    json_t *json = json_loads(body, 0, NULL);
    assert_true(json_is_array(json));
    return json;
}

// The numbers that the archive and the outbox gave.
static void look_up(struct place *place)
{
    size_t i;
    json_t *one;
    sees = true;
    assert_int_equal(ask(place, "GET", "/api/conflicts", NULL, buffers[0]), 200);
    json_t *conflicts = read_list(buffers[0]);
    json_array_foreach(conflicts, i, one)
    {
        bool beside = strstr(json_string_value(json_object_get(one, "instance")), OPEN) != NULL;
        snprintf(beside ? place->conflict_beside : place->conflict, sizeof place->conflict, "%lld",
                 (long long)json_integer_value(json_object_get(one, "id")));
    }
    assert_true(*place->conflict && *place->conflict_beside);
    json_decref(conflicts);
    assert_int_equal(ask(place, "GET", "/api/deliveries?study=" HIDDEN ".1", NULL, buffers[0]), 200);
    json_t *deliveries = read_list(buffers[0]);
    snprintf(place->delivery, sizeof place->delivery, "%lld",
             (long long)json_integer_value(json_object_get(json_array_get(deliveries, 0), "id")));
    json_decref(deliveries);
    assert_int_equal(ask(place, "GET", "/fhir/Device?study=" HIDDEN ".1", NULL, buffers[0]), 200);
    find_device(buffers[0], "alone", place->device, sizeof place->device);
}

// The list follows the log.
static void wait_for_list(struct place *place)
{
    int64_t until_ns = clock_monotonic_ns() + 30 * CLOCK_SECOND;
    sees = true;
    do {
        assert_int_equal(ask(place, "GET", "/api/worklist", NULL, buffers[0]), 200);
        assert_true(clock_monotonic_ns() < until_ns);
    } while (!strstr(buffers[0], HIDDEN ".1\"") || !strstr(buffers[0], OPEN ".1\"") ||
             !strstr(buffers[0], "hemorrhage"));
}

static unsigned free_port(struct place *place)
{
    int fd = wire_listen("127.0.0.1", 0, &place->err);
    assert_ok(fd >= 0, place->err);
    unsigned port = wire_port(fd);
    close(fd);
    return port;
}

static int open_place(void **state)
{
    char text[1024];
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    buffers[0] = malloc(ANSWER_MAX);
    buffers[1] = malloc(ANSWER_MAX);
    assert_true(buffers[0] && buffers[1]);
    folder_make(place->folder, sizeof place->folder);
    snprintf(text, sizeof text,
             "data: %s/data\nlog: error\nsandbox: reduced\nhttp: {listen: '127.0.0.1:%u'}\n"
             "dicom: {listen: '127.0.0.1:%u'}\nmodels: {folder: %s, onnxruntime: %s/none}\n"
             "disk: {low_water_mb: 0, spare_mb: 0}\n",
             place->folder, free_port(place), free_port(place), place->folder, place->folder);
    assert_ok(config_parse(text, strlen(text), "test", &place->config, &place->err) &&
                  config_complete(&place->config, service_config, &place->err),
              place->err);
    place->service = service_start(&place->config, &place->err);
    assert_ok(place->service != NULL, place->err);
    place->http = http_server_start(&(struct http_options){.host = "127.0.0.1",
                                                           .routes = service_routes,
                                                           .payload = place->service,
                                                           .spool = place->folder,
                                                           .admit = admit,
                                                           .answered = service_audit_answer},
                                    &place->err);
    assert_ok(place->http != NULL, place->err);
    fill(place);
    wait_for_list(place);
    look_up(place);
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    http_server_stop(place->http);
    service_stop(place->service);
    config_free(&place->config);
    folder_delete(place->folder);
    free(buffers[0]);
    free(buffers[1]);
    free(place);
    return 0;
}

// ---- the walk

static void no_route_tells_who_lacks_the_label_of_the_study(void **state)
{
    struct place *place = *state;
    for (size_t i = 0; i < ASKED; i++)
        if (asked[i].kind != UNASKED)
            nobody_asks(place, &asked[i]);
}

// After the first: what it asks changes what is there.
static void each_tells_who_has_it(void **state)
{
    struct place *place = *state;
    for (size_t i = 0; i < ASKED; i++)
        if (asked[i].kind != UNASKED && strcmp(asked[i].method, "GET") == 0)
            somebody_asks(place, &asked[i]);
    for (size_t i = 0; i < ASKED; i++)
        if (asked[i].kind == OF_IT && strcmp(asked[i].method, "GET") != 0)
            somebody_asks(place, &asked[i]);
}

// X-Total-Count is of the list that he sees; and so are the counts of the status.
static void totals_and_counts_are_of_what_is_seen(void **state)
{
    static const char *const lists[] = {"/api/worklist", "/api/jobs", "/api/deliveries", "/api/flagged"};
    struct place *place = *state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        sees = false;
        assert_int_equal(ask(place, "GET", lists[i], NULL, buffers[0]), 200);
        json_t *list = read_list(buffers[0]);
        const char *total = strstr(buffers[0], "X-Total-Count: ");
        assert_non_null(total);
        if (json_array_size(list) == 0 || number_at(total + 15) != json_array_size(list))
            fail_msg("%s: %zu of %s", lists[i], json_array_size(list), total);
        sees = true;
        assert_int_equal(ask(place, "GET", lists[i], NULL, buffers[1]), 200);
        assert_true(number_at(strstr(buffers[1], "X-Total-Count: ") + 15) > number_at(total + 15));
        json_decref(list);
    }
    sees = false;
    assert_int_equal(ask(place, "GET", "/api/status", NULL, buffers[0]), 200);
    assert_non_null(strstr(buffers[0], "\"studies\":1,"));
    assert_non_null(strstr(buffers[0], "\"conflicts\":0,"));
}

// A device is told of by a study that he sees, though a hidden one comes first.
static void what_speaks_in_an_open_study_too_is_told_of_from_there(void **state)
{
    struct place *place = *state;
    char device[80], url[128];
    sees = false;
    assert_int_equal(ask(place, "GET", "/fhir/Device?study=" OPEN ".1", NULL, buffers[0]), 200);
    find_device(buffers[0], "bleeds", device, sizeof device);
    snprintf(url, sizeof url, "/fhir/Device/%s", device);
    assert_int_equal(ask(place, "GET", url, NULL, buffers[0]), 200);
    assert_non_null(strstr(buffers[0], "bleeds"));
    assert_false(tells(buffers[0]));
}

// ---- events

static void listen_to(struct place *place, bool with_label, const char *until)
{
    sees = with_label;
    int fd = dial(place);
    dprintf(fd, "GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nLast-Event-ID: %llu-0\r\n\r\n",
            http_server_port(place->http), (unsigned long long)store_event_epoch(place->service->store));
    receive(fd, buffers[0], until);
    close(fd);
}

static bool deliver(struct database *db, void *payload, struct error *err)
{
    struct arena arena;
    struct queue_delivery *delivery;
    int64_t next_ns;
    bool ok = true;
    (void)payload;
    arena_init(&arena, 1 << 20);
    do {
        ok = queue_delivery_claim(db, "walk", clock_now_ns(), CLOCK_SECOND, &arena, &delivery, &next_ns, err) &&
             (!delivery || queue_delivery_done(db, delivery->id, delivery->token, "", clock_now_ns(), err));
    } while (ok && delivery);
    arena_free(&arena);
    return ok;
}

static void events_are_of_studies_that_are_seen(void **state)
{
    struct place *place = *state;
    assert_ok(store_write(place->service->store, STORE_DURABLE, deliver, NULL, &place->err), place->err);
    assert_ok(access_label_put(place->service->access, &(struct access_label){.name = "the-last"}, "test", &place->err),
              place->err);
    listen_to(place, true, "the-last");
    assert_true(tells(buffers[0]));
    assert_non_null(strstr(buffers[0], HIDDEN ".1.5")); // the delivery
    listen_to(place, false, "the-last");
    assert_non_null(strstr(buffers[0], OPEN ".1.5"));
    assert_false(tells(buffers[0]));
}

// His list is told that it is another one, by an event that names no study.
static void who_loses_sight_of_a_study_hears_that_his_list_is_another_one(void **state)
{
    struct place *place = *state;
    sees = true;
    uint64_t before = store_event_last(place->service->store);
    assert_int_equal(
        ask(place, "PUT", "/api/studies/" OPEN ".1/labels", "{\"labels\": [\"vip\"], \"version\": 0}", buffers[0]),
        200);
    sees = false;
    int fd = dial(place);
    dprintf(fd, "GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nLast-Event-ID: %llu-%llu\r\n\r\n",
            http_server_port(place->http), (unsigned long long)store_event_epoch(place->service->store),
            (unsigned long long)before);
    receive(fd, buffers[0], "data: {\"study\":\"\",\"subject\":\"\"}");
    close(fd);
    assert_non_null(strstr(buffers[0], "event: worklist.changed"));
    assert_null(strstr(buffers[0], OPEN));
}

int test_hidden(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_asked),
        cmocka_unit_test(no_route_tells_who_lacks_the_label_of_the_study),
        cmocka_unit_test(totals_and_counts_are_of_what_is_seen),
        cmocka_unit_test(what_speaks_in_an_open_study_too_is_told_of_from_there),
        cmocka_unit_test(each_tells_who_has_it),
        cmocka_unit_test(events_are_of_studies_that_are_seen),
        cmocka_unit_test(who_loses_sight_of_a_study_hears_that_his_list_is_another_one),
    };
    return cmocka_run_group_tests_name("hidden studies", tests, open_place, close_place);
}
