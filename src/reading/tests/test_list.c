// The list from events: what puts a study on it, takes it off, brings it back, and what gives it its urgency.
#include "support/check.h"
#include "support/folder.h"
#include "support/store.h"

#include <string.h>

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
    static const struct store_migration *const rooms[] = {&queue_migration, &finding_migration, &reading_migration,
                                                          NULL};
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

static void put(struct hall *hall, const char *sop_class, const char *how)
{
    struct buffer data;
    struct dicom_writer w;
    struct archive_stored stored;
    struct archive_origin origin = {.how = how, .called = "", .calling = "CT1", .address = "", .issuer = ""};
    buffer_init(&data, 1 << 16);
    dicom_writer_init(&w, &data, false);
    dicom_write_text(&w, 0x00080016, sop_class);
    dicom_write_printf(&w, 0x00080018, "1.2.3.1.%d", ++hall->objects);
    dicom_write_text(&w, 0x00080060, "CT");
    dicom_write_text(&w, 0x00100020, "P1");
    dicom_write_text(&w, 0x0020000D, "1.2.3");
    dicom_write_text(&w, 0x0020000E, "1.2.3.1");
    if (strcmp(sop_class, CT) == 0 || strcmp(sop_class, SEGMENTATION) == 0)
        dicom_write_integer(&w, 0x00280010, 1);
    struct archive_writer *writer = archive_writer_open(hall->archive, &hall->err);
    struct source_memory memory = {data.data, data.size};
    assert_ok(writer && archive_put(writer, source_from_memory(&memory), DICOM_TS_EXPLICIT, &origin, clock_now_ns(),
                                    &stored, &hall->err),
              hall->err);
    archive_writer_close(writer);
    buffer_free(&data);
    step(hall);
}

static size_t list(struct hall *hall, struct reading_item **out)
{
    size_t count;
    assert_ok(reading_list(hall->store, clock_now_ns(), READING_CAP_NS, &hall->arena, out, &count, &hall->err),
              hall->err);
    return count;
}

static void mark_read(struct hall *hall)
{
    struct reading_item *items;
    assert_ok(reading_mark_read(hall->store, "1.2.3", "Ann", clock_now_ns(), &hall->err), hall->err);
    assert_int_equal(list(hall, &items), 0);
}

// A result with one stat finding, or none.
struct saying {
    const char *id;
    enum finding_outcome outcome;
};

static bool write_saying(struct database *db, void *payload, struct error *err)
{
    const struct saying *saying = payload;
    bool added, positive = saying->outcome == FINDING_POSITIVE;
    struct finding_result result = {.id = saying->id,
                                    .topic = "topic",
                                    .job = saying->id,
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
                                    .outcome = saying->outcome,
                                    .reason = saying->outcome == FINDING_FAILED ? "it crashed" : "",
                                    .notes = "",
                                    .objects = 1,
                                    .voxels = 1,
                                    .digest = "",
                                    .send_to = "[]",
                                    .hl7_to = "[]",
                                    .told = true,
                                    .sr_instance = "",
                                    .seg_instance = ""};
    struct finding finding = {.id = saying->id,
                              .result = saying->id,
                              .job = saying->id,
                              .study = "1.2.3",
                              .series = "1.2.3.1",
                              .model = "bleeds",
                              .concept = {"1", "SCT", "Bleed"},
                              .side = "left",
                              .volume_ml = 12,
                              .segment = 1,
                              .urgency = FINDING_STAT};
    return finding_result_add(db, &result, &finding, positive, &added, err);
}

static void say(struct hall *hall, const char *id, enum finding_outcome outcome)
{
    struct saying saying = {id, outcome};
    assert_ok(store_write(hall->store, STORE_DURABLE, write_saying, &saying, &hall->err), hall->err);
    step(hall);
}

static bool write_verdict(struct database *db, void *payload, struct error *err)
{
    return finding_judge(db, "a", *(enum finding_state *)payload, "Ann", "", clock_now_ns(), err);
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

int test_list(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_put_a_study_on_the_list_and_bring_it_back_and_nothing_else_does),
        cmocka_unit_test(a_positive_brings_a_read_study_back_and_a_negative_does_not),
        cmocka_unit_test(a_rejected_finding_gives_no_urgency_until_it_is_accepted_again),
        cmocka_unit_test(a_result_that_takes_the_place_of_a_positive_takes_its_urgency_too),
    };
    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
