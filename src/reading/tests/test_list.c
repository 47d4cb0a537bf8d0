// The list from events: what puts a study on it, takes it off, brings it back, and what gives it its urgency.
#include "support/check.h"
#include "support/folder.h"
#include "support/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/access.h"
#include "base/clock.h"
#include "dicom/writer.h"
#include "queue/queue.h"
#include "reading/reading.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"
#define KEY_OBJECT "1.2.840.10008.5.1.4.1.1.88.59"
#define PRESENTATION "1.2.840.10008.5.1.4.1.1.11.1"
#define SEGMENTATION "1.2.840.10008.5.1.4.1.1.66.4"

struct hall {
    char folder[96];
    struct store *store;
    struct archive *archive;
    struct reading *reading;
    struct arena arena;
    struct error err;
    int objects;
};

static void hall_open(struct hall *hall)
{
    static const struct store_migration *const rooms[] = {&access_migration, &queue_migration, &finding_migration,
                                                          &reading_migration, NULL};
    *hall = (struct hall){0};
    folder_make(hall->folder, sizeof hall->folder);
    arena_init(&hall->arena, 16 << 20);
    hall->store = open_store(hall->folder, rooms, &hall->err);
    assert_ok(hall->store != NULL, hall->err);
    hall->archive = archive_open(hall->store, NULL, &hall->err);
    assert_ok(hall->archive != NULL, hall->err);
    hall->reading = reading_start(hall->store, false, &hall->err);
    assert_ok(hall->reading != NULL, hall->err);
}

static void hall_close(struct hall *hall)
{
    reading_stop(hall->reading);
    archive_close(hall->archive);
    store_close(hall->store);
    arena_free(&hall->arena);
    folder_delete(hall->folder);
}

static void step(struct hall *hall)
{
    bool worked = true;
    while (worked)
        assert_ok(reading_step(hall->reading, clock_now_ns(), &worked, &hall->err), hall->err);
}

static void put_as(struct hall *hall, const char *study, int number, const char *sop_class, const char *how)
{
    struct buffer data;
    struct dicom_writer w;
    struct archive_stored stored;
    struct archive_origin origin = {.how = how, .called = "", .calling = "CT1", .address = "", .issuer = ""};
    buffer_init(&data, 1 << 16);
    dicom_writer_init(&w, &data, false);
    dicom_write_text(&w, 0x00080016, sop_class);
    dicom_write_printf(&w, 0x00080018, "1.2.3.1.%d", number);
    dicom_write_text(&w, 0x00080060, "CT");
    dicom_write_text(&w, 0x00100020, "P1");
    dicom_write_text(&w, 0x0020000D, study);
    dicom_write_printf(&w, 0x0020000E, "%s.1", study);
    if (strcmp(sop_class, CT) == 0 || strcmp(sop_class, SEGMENTATION) == 0)
        dicom_write_integer(&w, 0x00280010, 1);
    struct archive_writer *writer = archive_writer_open(hall->archive, &hall->err);
    struct source_memory memory = {data.data, data.size};
    assert_ok(writer && archive_put(writer, source_from_memory(&memory), DICOM_TS_EXPLICIT, &origin, clock_now_ns(),
                                    &stored, &hall->err),
              hall->err);
    archive_writer_close(writer);
    buffer_free(&data);
}

static void put_of(struct hall *hall, const char *study, const char *sop_class, const char *how)
{
    put_as(hall, study, ++hall->objects, sop_class, how);
}

static void put(struct hall *hall, const char *sop_class, const char *how)
{
    put_of(hall, "1.2.3", sop_class, how);
    step(hall);
}

static size_t list(struct hall *hall, struct reading_item **out)
{
    size_t count;
    int64_t total;
    assert_ok(reading_list(hall->store, ACCESS_ALL, NULL, clock_now_ns(), READING_CAP_NS, &hall->arena, out, &count,
                           &total, &hall->err),
              hall->err);
    assert_true(total == (int64_t)count || count == READING_LIST_MAX);
    return count;
}

static bool mark(struct hall *hall, int64_t version)
{
    return reading_mark_read(hall->store, "1.2.3", version, "Ann", clock_now_ns(), &hall->err);
}

static int64_t version(struct hall *hall)
{
    struct reading_item *items;
    assert_int_equal(list(hall, &items), 1);
    return items[0].version;
}

static void mark_first_read(struct hall *hall)
{
    struct reading_item *items;
    size_t count = list(hall, &items);
    assert_ok(mark(hall, items[0].version), hall->err);
    assert_int_equal(list(hall, &items), count - 1);
}

static void mark_read(struct hall *hall)
{
    struct reading_item *items;
    assert_ok(mark(hall, version(hall)), hall->err);
    assert_int_equal(list(hall, &items), 0);
}

static void assert_listed(struct hall *hall, size_t wanted)
{
    struct reading_item *items;
    assert_int_equal(list(hall, &items), wanted);
}

static void assert_refused(struct hall *hall, int64_t version, const char *why)
{
    assert_false(mark(hall, version));
    assert_int_equal(hall->err.code, ERROR_CONFLICT);
    if (!strstr(hall->err.message, why))
        fail_msg("%s", hall->err.message);
    assert_listed(hall, 1);
}

// A result with one stat finding, or none.
struct saying {
    const char *id;
    enum finding_outcome outcome;
    const char *series;
    double volume_ml;
};

static struct finding_result saying_result(const char *id, enum finding_outcome outcome)
{
    return (struct finding_result){.id = id,
                                   .topic = "topic",
                                   .job = id,
                                   .study = "1.2.3",
                                   .series = "1.2.3.1",
                                   .volume = "",
                                   .patient_id = "P1",
                                   .issuer = "",
                                   .modality = "CT",
                                   .model = "bleeds",
                                   .model_version = "1",
                                   .model_digest = "",
                                   .label_text = "",
                                   .concept = {"1", "SCT", "Bleed"},
                                   .outcome = outcome,
                                   .reason = outcome == FINDING_FAILED ? "it crashed" : "",
                                   .notes = "",
                                   .objects = 1,
                                   .voxels = 1,
                                   .digest = "",
                                   .send_to = "[]",
                                   .hl7_to = "[]",
                                   .told = true,
                                   .sr_instance = "",
                                   .seg_instance = ""};
}

static struct finding saying_finding(const char *id)
{
    return (struct finding){.id = id,
                            .result = id,
                            .job = id,
                            .study = "1.2.3",
                            .series = "1.2.3.1",
                            .model = "bleeds",
                            .concept = {"1", "SCT", "Bleed"},
                            .side = "left",
                            .volume_ml = 12,
                            .segment = 1,
                            .urgency = FINDING_STAT};
}

static bool write_saying(struct database *db, void *payload, struct error *err)
{
    const struct saying *saying = payload;
    bool added, positive = saying->outcome == FINDING_POSITIVE;
    struct finding_result result = saying_result(saying->id, saying->outcome);
    struct finding finding = saying_finding(saying->id);
    result.series = finding.series = saying->series;
    finding.volume_ml = saying->volume_ml;
    return finding_result_add(db, &result, &finding, positive, &added, err);
}

static void say_of(struct hall *hall, const char *series, const char *id, enum finding_outcome outcome)
{
    struct saying saying = {id, outcome, series, 12};
    assert_ok(store_write(hall->store, STORE_DURABLE, write_saying, &saying, &hall->err), hall->err);
    step(hall);
}

static void say(struct hall *hall, const char *id, enum finding_outcome outcome)
{
    say_of(hall, "1.2.3.1", id, outcome);
}

static void find(struct hall *hall, const char *id, const char *series, double volume_ml)
{
    struct saying saying = {id, FINDING_POSITIVE, series, volume_ml};
    assert_ok(store_write(hall->store, STORE_DURABLE, write_saying, &saying, &hall->err), hall->err);
    step(hall);
}

// Its SR was made: the same is said.
static bool write_telling(struct database *db, void *payload, struct error *err)
{
    return finding_result_tell(db, payload, 0, "1.2.9", "", clock_now_ns(), err);
}

static bool write_withdrawal(struct database *db, void *payload, struct error *err)
{
    return finding_result_withdraw(db, payload, "of two patients", clock_now_ns(), err);
}

static bool write_earlier(struct database *db, void *payload, struct error *err)
{
    return finding_result_mark_earlier(db, payload, true, clock_now_ns(), err);
}

static void change(struct hall *hall, store_write_fn *write, char *id)
{
    assert_ok(store_write(hall->store, STORE_DURABLE, write, id, &hall->err), hall->err);
    step(hall);
}

static bool write_verdict(struct database *db, void *payload, struct error *err)
{
    const struct finding_judgement judgement = {
        "a", *(enum finding_state *)payload, "Ann", "", FINDING_ANY_VERSION, clock_now_ns()};
    return finding_judge(db, ACCESS_ALL, &judgement, err);
}

static void judge(struct hall *hall, enum finding_state state)
{
    assert_ok(store_write(hall->store, STORE_DURABLE, write_verdict, &state, &hall->err), hall->err);
    step(hall);
}

static void images_put_a_study_on_the_list_and_bring_it_back_and_nothing_else_does(void **state)
{
    struct hall hall;
    struct reading_item *items;
    (void)state;
    hall_open(&hall);
    put(&hall, KEY_OBJECT, "c-store");
    put(&hall, CT, "job");
    assert_int_equal(list(&hall, &items), 0);
    put(&hall, CT, "c-store");
    assert_int_equal(list(&hall, &items), 1);
    assert_string_equal(items[0].study, "1.2.3");
    mark_read(&hall);
    put(&hall, KEY_OBJECT, "c-store");
    put(&hall, PRESENTATION, "c-store");
    put(&hall, SEGMENTATION, "c-store");
    assert_int_equal(list(&hall, &items), 0);
    put(&hall, CT, "c-store");
    assert_int_equal(list(&hall, &items), 1);
    hall_close(&hall);
}

static void a_positive_brings_a_read_study_back_and_a_negative_does_not(void **state)
{
    struct hall hall;
    struct reading_item *items;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    mark_read(&hall);
    say(&hall, "n", FINDING_NEGATIVE);
    assert_int_equal(list(&hall, &items), 0);
    say(&hall, "a", FINDING_POSITIVE);
    assert_int_equal(list(&hall, &items), 1);
    assert_int_equal(items[0].urgency, FINDING_STAT);
    assert_int_equal(items[0].findings, 1);
    hall_close(&hall);
}

static void a_rejected_finding_gives_no_urgency_until_it_is_accepted_again(void **state)
{
    struct hall hall;
    struct reading_item *items;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    say(&hall, "a", FINDING_POSITIVE);
    judge(&hall, FINDING_REJECTED);
    assert_int_equal(list(&hall, &items), 1);
    assert_int_equal(items[0].urgency, FINDING_ROUTINE);
    assert_int_equal(items[0].findings, 0);
    assert_string_equal(items[0].reason, "");
    judge(&hall, FINDING_ACCEPTED);
    list(&hall, &items);
    assert_int_equal(items[0].urgency, FINDING_STAT);
    assert_int_equal(items[0].findings, 1);
    hall_close(&hall);
}

static void a_result_that_takes_the_place_of_a_positive_takes_its_urgency_too(void **state)
{
    struct hall hall;
    struct reading_item *items;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    say(&hall, "a", FINDING_POSITIVE);
    say(&hall, "x", FINDING_FAILED); // takes nothing back
    list(&hall, &items);
    assert_int_equal(items[0].urgency, FINDING_STAT);
    say(&hall, "n", FINDING_NEGATIVE);
    list(&hall, &items);
    assert_int_equal(items[0].urgency, FINDING_ROUTINE);
    hall_close(&hall);
}

static void what_came_since_it_was_looked_at_is_named_and_the_study_stays(void **state)
{
    struct hall hall;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    int64_t first = version(&hall);
    say(&hall, "n", FINDING_NEGATIVE); // nothing that has to be seen
    assert_int_equal(version(&hall), first);
    say_of(&hall, "1.2.3.2", "a", FINDING_POSITIVE);
    int64_t second = version(&hall);
    assert_true(second > first);
    assert_refused(&hall, first, "a model's answer: Suspected bleed, left, 12.0 mL");
    put(&hall, CT, "c-store");
    assert_refused(&hall, second, "looked at: images; look again");
    assert_refused(&hall, first, "images; a model's answer: ");
    assert_refused(&hall, version(&hall) + 1, "none that the list has given");
    mark_read(&hall);
    assert_false(mark(&hall, first));
    assert_int_equal(hall.err.code, ERROR_NOT_FOUND);
    hall_close(&hall);
}

static bool unmark(struct hall *hall, int64_t version)
{
    return reading_mark_unread(hall->store, "1.2.3", version, "Bo", &hall->err);
}

static void who_marked_it_as_read_is_known_and_it_can_be_taken_back(void **state)
{
    struct hall hall;
    struct reading_item *items;
    struct reading_mark read;
    (void)state;
    hall_open(&hall);
    assert_false(unmark(&hall, 0));
    assert_int_equal(hall.err.code, ERROR_NOT_FOUND);
    put(&hall, CT, "c-store");
    assert_int_equal(list(&hall, &items), 1);
    const struct reading_item before = items[0];
    assert_false(unmark(&hall, before.version)); // it is on the list
    assert_int_equal(hall.err.code, ERROR_CONFLICT);
    mark_read(&hall);
    assert_ok(reading_mark_of(hall.store, "1.2.3", &read, &hall.err), hall.err);
    assert_string_equal(read.by, "Ann");
    assert_true(read.read_ns > 0);
    assert_int_equal(read.version, before.version);
    assert_false(unmark(&hall, read.version - 1)); // an earlier mark than Ann's
    assert_int_equal(hall.err.code, ERROR_CONFLICT);
    assert_false(unmark(&hall, read.version + 1));
    assert_int_equal(hall.err.code, ERROR_CONFLICT);
    assert_non_null(strstr(hall.err.message, "by Ann"));
    assert_ok(unmark(&hall, read.version), hall.err);
    assert_int_equal(list(&hall, &items), 1);
    assert_string_equal(items[0].reason, "marked as unread by Bo");
    assert_int_equal(items[0].version, before.version);
    assert_int_equal(items[0].arrived_event, before.arrived_event);
    assert_int_equal(items[0].arrived_ns, before.arrived_ns);
    assert_ok(reading_mark_of(hall.store, "1.2.3", &read, &hall.err), hall.err);
    assert_int_equal(read.read_ns, 0);
    mark_read(&hall);
    put(&hall, CT, "c-store");
    assert_int_equal(list(&hall, &items), 1);
    assert_string_equal(items[0].reason, ""); // until it is read
    hall_close(&hall);
}

static bool write_reading_ahead(struct database *db, void *payload, struct error *err)
{
    return sql_run(db, err, "UPDATE reading_item SET read_ns=read_ns+?1, arrived_ns=arrived_ns+?1", "i",
                   *(int64_t *)payload);
}

// As if it had come, and been read, while the clock was ahead.
static void set_clock_back(struct hall *hall, int64_t by_ns)
{
    assert_ok(store_write(hall->store, STORE_DURABLE, write_reading_ahead, &by_ns, &hall->err), hall->err);
}

static void what_comes_after_the_clock_was_set_back_brings_a_read_study_back(void **state)
{
    struct hall hall;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    mark_read(&hall);
    set_clock_back(&hall, 3600 * CLOCK_SECOND);
    say(&hall, "a", FINDING_POSITIVE);
    assert_listed(&hall, 1);
    mark_read(&hall);
    set_clock_back(&hall, 3600 * CLOCK_SECOND);
    put(&hall, CT, "c-store");
    assert_listed(&hall, 1);
    hall_close(&hall);
}

static void a_study_that_came_while_the_clock_was_ahead_waits_from_when_that_is_seen(void **state)
{
    struct hall hall;
    struct reading_item *items;
    size_t count;
    int64_t total;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    set_clock_back(&hall, 24 * 3600 * CLOCK_SECOND);
    list(&hall, &items);
    assert_int_equal(items[0].waiting_ns, 0);
    step(&hall);
    assert_ok(reading_list(hall.store, ACCESS_ALL, "1.2.3", clock_now_ns() + READING_CAP_NS, READING_CAP_NS,
                           &hall.arena, &items, &count, &total, &hall.err),
              hall.err);
    assert_int_equal(count, 1);
    assert_true(items[0].waiting_ns >= READING_CAP_NS && items[0].capped);
    hall_close(&hall);
}

static void what_was_seen_is_no_news_when_something_else_is_said_of_the_study(void **state)
{
    struct hall hall;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    say(&hall, "a", FINDING_POSITIVE);
    mark_read(&hall); // and judged by nobody
    say_of(&hall, "1.2.3.2", "n", FINDING_NEGATIVE);
    say_of(&hall, "1.2.3.3", "x", FINDING_FAILED);
    say(&hall, "y", FINDING_FAILED);
    change(&hall, write_telling, "n");
    change(&hall, write_telling, "a");
    judge(&hall, FINDING_ACCEPTED);
    assert_listed(&hall, 0);
    say_of(&hall, "1.2.3.2", "b", FINDING_POSITIVE);
    assert_listed(&hall, 1);
    hall_close(&hall);
}

static void what_stands_no_more_brings_a_read_study_back_and_says_so(void **state)
{
    struct hall hall;
    struct reading_item *items;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    say(&hall, "a", FINDING_POSITIVE);
    mark_read(&hall);
    say(&hall, "n", FINDING_NEGATIVE); // in its place
    assert_int_equal(list(&hall, &items), 1);
    assert_string_equal(items[0].reason, "bleeds 1: what was found stands no more");
    mark_read(&hall);
    say(&hall, "m", FINDING_NEGATIVE); // says the same
    assert_listed(&hall, 0);
    say(&hall, "x", FINDING_FAILED);
    assert_int_equal(list(&hall, &items), 1);
    assert_string_equal(items[0].reason, "bleeds 1: that nothing was found stands no more");
    mark_read(&hall);
    say(&hall, "o", FINDING_NEGATIVE);
    assert_listed(&hall, 0);
    change(&hall, write_withdrawal, "o");
    assert_int_equal(list(&hall, &items), 1);
    assert_string_equal(items[0].reason, "bleeds 1: that nothing was found stands no more: of two patients");
    hall_close(&hall);
}

static void what_was_imported_waits_for_nobody_until_an_image_of_it_is_sent(void **state)
{
    struct hall hall;
    struct reading_item *items;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "import");
    assert_int_equal(list(&hall, &items), 1);
    assert_true(items[0].imported);
    put_of(&hall, "1.2.4", CT, "rebuild");
    put(&hall, CT, "c-store");
    assert_int_equal(list(&hall, &items), 2);
    assert_string_equal(items[0].study, "1.2.3");
    assert_false(items[0].imported);
    assert_true(items[1].imported);
    put(&hall, CT, "import"); // somebody waits for it still
    list(&hall, &items);
    assert_false(items[0].imported);
    mark_first_read(&hall);
    put(&hall, CT, "import");
    assert_int_equal(list(&hall, &items), 2);
    assert_false(items[0].imported);
    hall_close(&hall);
}

// ---- very many

enum { MANY = 12000 };

static bool write_many(struct database *db, void *payload, struct error *err)
{
    struct finding *findings = calloc(MANY, sizeof *findings);
    char(*ids)[16] = calloc(MANY, sizeof *ids);
    struct finding_result result = saying_result("many", FINDING_POSITIVE);
    bool added, ok = findings && ids;
    (void)payload;
    for (int i = 0; ok && i < MANY; i++) {
        snprintf(ids[i], sizeof *ids, "many %d", i);
        findings[i] = saying_finding("many");
        findings[i].id = ids[i];
        findings[i].segment = i + 1;
        findings[i].urgency = i == MANY / 2 ? FINDING_STAT : FINDING_URGENT;
        findings[i].volume_ml = i == MANY / 2 ? 3 : i;
    }
    ok = ok && finding_result_add(db, &result, findings, MANY, &added, err);
    free(findings);
    free(ids);
    return ok;
}

static void a_study_of_very_many_findings_has_its_worst_and_keeps_nobody_from_the_list(void **state)
{
    struct hall hall;
    struct reading_item *items;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    assert_ok(store_write(hall.store, STORE_DURABLE, write_many, NULL, &hall.err), hall.err);
    step(&hall);
    put_of(&hall, "1.2.4", CT, "c-store");
    step(&hall);
    assert_int_equal(list(&hall, &items), 2);
    assert_int_equal(items[0].urgency, FINDING_STAT);
    assert_int_equal(items[0].findings, MANY);
    assert_string_equal(items[0].reason, "Suspected bleed, left, 3.0 mL");
    hall_close(&hall);
}

static bool write_old_ones(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err,
                   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?1) INSERT INTO study(uid)"
                   " SELECT '9.' || i FROM n",
                   "i", (int64_t)READING_LIST_MAX) &&
           sql_run(db, err,
                   "INSERT INTO study_patient(study, rank, patient_id, issuer, patient_name, birth_date, sex)"
                   " SELECT id, 0, 'P', '', '', '', '' FROM study",
                   "") &&
           sql_run(db, err,
                   "INSERT INTO reading_item(study, arrived_ns, arrived_event, urgency, reason, findings, imported)"
                   " SELECT uid, 1, id, 0, '', 0, 1 FROM study WHERE uid LIKE '9.%'",
                   "");
}

static void past_its_limit_the_list_leaves_out_the_least_urgent_and_says_how_many(void **state)
{
    struct hall hall;
    struct reading_item *items;
    struct reading_tally tally;
    size_t count;
    int64_t total;
    (void)state;
    hall_open(&hall);
    assert_ok(store_write(hall.store, STORE_DURABLE, write_old_ones, NULL, &hall.err), hall.err);
    put_of(&hall, "1.2.4", CT, "c-store");
    put(&hall, CT, "import");
    say(&hall, "a", FINDING_POSITIVE);
    assert_ok(reading_list(hall.store, ACCESS_ALL, NULL, clock_now_ns(), READING_CAP_NS, &hall.arena, &items, &count,
                           &total, &hall.err),
              hall.err);
    assert_int_equal(count, READING_LIST_MAX);
    assert_int_equal(total, READING_LIST_MAX + 2);
    assert_string_equal(items[0].study, "1.2.3");
    assert_string_equal(items[1].study, "1.2.4");
    assert_ok(reading_tally(hall.store, &tally, &hall.err), hall.err);
    assert_int_equal(tally.open, READING_LIST_MAX + 2);
    hall_close(&hall);
}

// ---- what cannot be followed

static bool write_fault(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err,
                   "CREATE TRIGGER fault BEFORE UPDATE OF urgency ON reading_item WHEN NEW.study='1.2.3'"
                   " BEGIN SELECT RAISE(ABORT, 'this row cannot be written'); END",
                   "");
}

static void an_event_that_cannot_be_followed_is_passed_over_and_its_study_says_so_until_it_is_read(void **state)
{
    struct hall hall;
    struct reading_item *items;
    struct reading_tally tally;
    bool worked;
    int failed = 0;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    mark_read(&hall);
    assert_ok(store_write(hall.store, STORE_DURABLE, write_fault, NULL, &hall.err), hall.err);
    struct saying saying = {"a", FINDING_POSITIVE, "1.2.3.1", 12};
    assert_ok(store_write(hall.store, STORE_DURABLE, write_saying, &saying, &hall.err), hall.err);
    put_of(&hall, "1.2.4", CT, "c-store");
    while (list(&hall, &items) < 2) {
        failed += !reading_step(hall.reading, clock_now_ns(), &worked, &hall.err);
        assert_true(failed < 20);
    }
    assert_string_equal(items[0].study, "1.2.3");
    assert_non_null(
        strstr(items[0].passed_over, "not all of it could be worked out here (result.changed of reading: "));
    assert_ok(reading_tally(hall.store, &tally, &hall.err), hall.err);
    assert_int_equal(tally.passed_over, 1);
    mark_first_read(&hall);
    assert_ok(reading_tally(hall.store, &tally, &hall.err), hall.err);
    assert_int_equal(tally.passed_over, 0);
    put(&hall, CT, "c-store"); // that was read, and this is something else
    assert_ok(reading_tally(hall.store, &tally, &hall.err), hall.err);
    assert_int_equal(tally.open, 2);
    assert_int_equal(tally.passed_over, 0);
    hall_close(&hall);
}

static void a_study_that_is_marked_as_unread_says_what_was_found(void **state)
{
    struct hall hall;
    struct reading_item *items;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    say(&hall, "a", FINDING_POSITIVE);
    int64_t seen = version(&hall);
    mark_read(&hall);
    assert_ok(unmark(&hall, seen), hall.err);
    assert_int_equal(list(&hall, &items), 1);
    assert_int_equal(items[0].urgency, FINDING_STAT);
    assert_non_null(strstr(items[0].reason, "Suspected bleed, left, 12.0 mL"));
    hall_close(&hall);
}

static void the_largest_of_the_most_urgent_findings_is_said(void **state)
{
    struct hall hall;
    struct reading_item *items;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    find(&hall, "a", "1.2.3.1", 3);
    find(&hall, "b", "1.2.3.2", 40);
    find(&hall, "c", "1.2.3.3", 5);
    assert_int_equal(list(&hall, &items), 1);
    assert_int_equal(items[0].findings, 3);
    assert_non_null(strstr(items[0].reason, "40.0 mL"));
    hall_close(&hall);
}

// As many as the list takes, which came before all others.
static bool write_full_list(struct database *db, void *payload, struct error *err)
{
    const char *numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) ";
    char many[512], shown[512], items[512];
    int64_t count = *(int64_t *)payload;
    snprintf(many, sizeof many, "%sINSERT INTO study(uid) SELECT '9.' || i FROM n", numbers);
    snprintf(shown, sizeof shown,
             "INSERT INTO study_patient(study, rank, patient_id, issuer, patient_name, birth_date, sex)"
             " SELECT id, 0, 'P2', '', '', '', '' FROM study WHERE uid LIKE '9.%%'");
    snprintf(items, sizeof items,
             "INSERT INTO reading_item(study, arrived_ns, urgency, reason, findings) SELECT uid, 1, 0, '', 0 FROM study"
             " WHERE uid LIKE '9.%%'");
    return sql_run(db, err, many, "i", count) && sql_run(db, err, shown, "") && sql_run(db, err, items, "");
}

static void what_is_urgent_is_on_a_list_that_is_full(void **state)
{
    struct hall hall;
    struct reading_item *items;
    int64_t count = READING_LIST_MAX;
    (void)state;
    hall_open(&hall);
    assert_ok(store_write(hall.store, STORE_DURABLE, write_full_list, &count, &hall.err), hall.err);
    put(&hall, CT, "c-store");
    assert_int_equal(list(&hall, &items), READING_LIST_MAX);
    say(&hall, "a", FINDING_POSITIVE);
    assert_int_equal(list(&hall, &items), READING_LIST_MAX);
    for (size_t i = 0; i < READING_LIST_MAX; i++)
        if (strcmp(items[i].study, "1.2.3") == 0) {
            assert_int_equal(items[i].urgency, FINDING_STAT);
            hall_close(&hall);
            return;
        }
    fail_msg("the urgent study is not on the list");
}

static void what_is_held_back_of_a_read_study_brings_it_back(void **state)
{
    struct hall hall;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    mark_read(&hall);
    put_as(&hall, "1.2.9", 2, CT, "c-store");
    step(&hall);
    assert_listed(&hall, 1);
    put_as(&hall, "1.2.3", 2, CT, "c-store"); // under the UID of that other study's image
    step(&hall);
    assert_listed(&hall, 2);
    hall_close(&hall);
}

// Nobody relies on what earlier images had: their reader was told.
static void a_negative_of_earlier_images_that_ends_brings_nothing_back(void **state)
{
    struct hall hall;
    (void)state;
    hall_open(&hall);
    put(&hall, CT, "c-store");
    say(&hall, "n", FINDING_NEGATIVE);
    change(&hall, write_earlier, "n");
    mark_read(&hall);
    change(&hall, write_withdrawal, "n");
    assert_listed(&hall, 0);
    hall_close(&hall);
}

static void what_waits_for_a_decision_is_named_as_that(void **state)
{
    struct hall hall;
    struct reading_item *items;
    (void)state;
    hall_open(&hall);
    put_as(&hall, "1.2.9", 2, CT, "c-store");
    put(&hall, CT, "c-store");
    assert_int_equal(list(&hall, &items), 2);
    assert_string_equal(items[1].study, "1.2.3");
    int64_t seen = items[1].version;
    put_as(&hall, "1.2.3", 2, CT, "c-store"); // under the UID of that other study's image
    step(&hall);
    assert_false(mark(&hall, seen));
    assert_non_null(strstr(hall.err.message, "looked at: objects that wait for a decision; look again"));
    hall_close(&hall);
}

int test_list(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_study_that_is_marked_as_unread_says_what_was_found),
        cmocka_unit_test(the_largest_of_the_most_urgent_findings_is_said),
        cmocka_unit_test(what_is_urgent_is_on_a_list_that_is_full),
        cmocka_unit_test(what_is_held_back_of_a_read_study_brings_it_back),
        cmocka_unit_test(a_negative_of_earlier_images_that_ends_brings_nothing_back),
        cmocka_unit_test(images_put_a_study_on_the_list_and_bring_it_back_and_nothing_else_does),
        cmocka_unit_test(a_positive_brings_a_read_study_back_and_a_negative_does_not),
        cmocka_unit_test(a_rejected_finding_gives_no_urgency_until_it_is_accepted_again),
        cmocka_unit_test(a_result_that_takes_the_place_of_a_positive_takes_its_urgency_too),
        cmocka_unit_test(what_came_since_it_was_looked_at_is_named_and_the_study_stays),
        cmocka_unit_test(who_marked_it_as_read_is_known_and_it_can_be_taken_back),
        cmocka_unit_test(what_comes_after_the_clock_was_set_back_brings_a_read_study_back),
        cmocka_unit_test(a_study_that_came_while_the_clock_was_ahead_waits_from_when_that_is_seen),
        cmocka_unit_test(what_was_seen_is_no_news_when_something_else_is_said_of_the_study),
        cmocka_unit_test(what_stands_no_more_brings_a_read_study_back_and_says_so),
        cmocka_unit_test(what_was_imported_waits_for_nobody_until_an_image_of_it_is_sent),
        cmocka_unit_test(a_study_of_very_many_findings_has_its_worst_and_keeps_nobody_from_the_list),
        cmocka_unit_test(past_its_limit_the_list_leaves_out_the_least_urgent_and_says_how_many),
        cmocka_unit_test(an_event_that_cannot_be_followed_is_passed_over_and_its_study_says_so_until_it_is_read),
        cmocka_unit_test(what_waits_for_a_decision_is_named_as_that),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
