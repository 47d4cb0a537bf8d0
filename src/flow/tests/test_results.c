// From a head to what everybody is told of it, with the real model on synthetic heads: what is said at once and what
// late, what takes whose place, and what is taken back.
#include "support.h"

#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "flow/internal.h"

// The class of the i-th delivery to the PACS that is not obsolete, oldest first.
static const char *to_pacs(struct ground *g, size_t index)
{
    size_t count;
    struct queue_delivery *list = ground_deliveries(g, ground_newest(g)->topic, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].kind, "dicom") == 0 && list[i].state != QUEUE_DELIVERY_OBSOLETE && index-- == 0)
            return ground_class_of(g, list[i].subject);
    fail_msg("the PACS has fewer deliveries");
    return "";
}

static const char *message(struct ground *g)
{
    return ground_message_as(g, "R");
}

static void a_positive_is_told_at_once(void **state)
{
    struct ground g;
    int64_t began_ns = clock_now_ns();
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22}, began_ns - 60 * CLOCK_SECOND);
    ground_work_for_real(&g);
    struct finding_result *result = ground_newest(&g);
    assert_true(result->made_ns > began_ns && result->made_ns < clock_now_ns()); // and not when its images came
    assert_string_equal(ground_only_job(&g)->outcome, "positive");
    assert_int_equal(result->outcome, FINDING_POSITIVE);
    assert_true(result->told);
    assert_int_equal(result->objects, GROUND_HEAD_SLICES);
    assert_true(result->voxels > 1000);
    assert_string_equal(to_pacs(&g, 0), SEG);
    assert_string_equal(to_pacs(&g, 1), SR);
    assert_int_equal(ground_count(&g, "dicom"), 2);
    assert_int_equal(ground_count(&g, "hl7"), 1);
    assert_non_null(strstr(message(&g), "|left|") ? "" : strstr(message(&g), "Left"));
    ground_close(&g);
}

#define NAME_OF_63 "n23456789-123456789-123456789-123456789-123456789-123456789-123"
#define LONG_TARGETS ",\"send_to\":[\"" NAME_OF_63 "P\"],\"hl7_to\":[\"" NAME_OF_63 "R\"]"

// What a name makes longer (keys, sequences, events, rows) holds the longest one, in the longest standing too.
static void targets_with_the_longest_names_are_told_and_told_again(void **state)
{
    struct ground g;
    size_t count;
    (void)state;
    ground_open_real(&g, LONG_TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22, .to = 49}, AT(0));
    ground_work_for_real(&g);
    assert_int_equal(ground_newest(&g)->outcome, FINDING_POSITIVE);
    assert_int_equal(ground_count(&g, "dicom"), 2);
    assert_int_equal(ground_count(&g, "hl7"), 1);
    ground_deliver_all(&g);
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 49, .patient = "F2"}, AT(30)); // all of it is taken back
    ground_work_for_real(&g);
    struct queue_delivery *list = ground_deliveries(&g, ground_newest(&g)->topic, &count);
    assert_true(count > 3);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(list[i].target, strcmp(list[i].kind, "hl7") == 0 ? NAME_OF_63 "R" : NAME_OF_63 "P");
    ground_deliver_all(&g);
    ground_close(&g);
}

static void a_negative_is_told_when_its_study_is_quiet(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){0}, AT(0));
    ground_work_for_real(&g);
    assert_int_equal(ground_newest(&g)->outcome, FINDING_NEGATIVE);
    assert_false(ground_newest(&g)->told);
    ground_step(&g, AT(59));
    ground_put_head(&g, &(struct head){.series = "1.2.3.2", .to = 1}, AT(59)); // something more of the study
    ground_end(&g, "SCANNER", AT(59));
    ground_step(&g, AT(62));
    ground_step(&g, AT(118));
    ground_work_for_real(&g);
    assert_int_equal(ground_count(&g, "dicom") + ground_count(&g, "hl7"), 0);
    ground_step(&g, AT(120));
    ground_work_for_real(&g);
    struct finding_result *results;
    ground_results(&g, "1.2.3", &results);
    assert_true(results[0].told);
    assert_string_equal(ground_class_of(&g, results[0].sr_instance), SR);
    ground_close(&g);
}

static void what_was_negative_in_part_and_positive_as_a_whole_is_never_called_negative(void **state)
{
    struct ground g;
    struct finding_result *results;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 44, .to = 36}, AT(0));
    ground_work_for_real(&g);
    assert_int_equal(ground_newest(&g)->outcome, FINDING_NEGATIVE);
    ground_send_head(&g, &(struct head){.bleed = 44, .from = 36}, AT(30));
    ground_work_for_real(&g);
    ground_step(&g, AT(600));
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    assert_int_equal(results[0].standing, FINDING_REPLACED);
    assert_false(results[0].told);
    assert_int_equal(results[1].outcome, FINDING_POSITIVE);
    assert_int_equal(ground_count(&g, "hl7"), 1);
    assert_int_equal(ground_count(&g, "dicom"), 2);
    ground_close(&g);
}

static void an_obsolete_message_is_not_sent_and_the_newer_one_follows_with_the_same_number(void **state)
{
    struct ground g;
    size_t count;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22, .to = 51}, AT(0));
    ground_work_for_real(&g);
    assert_true(ground_deliver(&g, "hl7", false)); // AE
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 51}, AT(30));
    ground_work_for_real(&g);
    struct queue_delivery *list = ground_deliveries(&g, ground_newest(&g)->topic, &count);
    size_t waiting = 0;
    for (size_t i = 0; i < count; i++)
        waiting += strcmp(list[i].kind, "hl7") == 0 && list[i].state == QUEUE_DELIVERY_WAITING;
    assert_int_equal(waiting, 1);
    assert_null(strstr(message(&g), "|D|")); // nothing of before is known there
    assert_int_equal(ground_count(&g, "dicom"), 2);
    ground_close(&g);
}

static void a_newer_result_takes_the_place_of_what_was_delivered(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .to = 51});
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 51}, AT(30));
    ground_work_for_real(&g);
    assert_string_equal(to_pacs(&g, 2), KO); // of the old SEG and SR
    assert_string_equal(to_pacs(&g, 3), SEG);
    assert_string_equal(to_pacs(&g, 4), SR);
    assert_int_equal(ground_count(&g, "hl7"), 2);
    ground_close(&g);
}

static void a_rejected_finding_is_taken_back_everywhere_and_comes_back_when_it_is_accepted(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22});
    ground_judge(&g, FINDING_REJECTED, AT(100));
    assert_string_equal(ground_newest(&g)->seg_instance, "");
    assert_string_equal(to_pacs(&g, 2), KO);
    assert_string_equal(to_pacs(&g, 3), SR);
    assert_int_equal(ground_count(&g, "dicom"), 4);
    assert_int_equal(ground_count(&g, "hl7"), 2);
    assert_non_null(strstr(message(&g), "|D|"));
    ground_deliver_all(&g);
    ground_judge(&g, FINDING_ACCEPTED, AT(200));
    assert_string_equal(to_pacs(&g, 4), KO); // of the SR that said nothing stands
    assert_string_equal(to_pacs(&g, 5), SEG);
    assert_string_equal(to_pacs(&g, 6), SR);
    assert_string_equal(ground_class_of(&g, ground_newest(&g)->seg_instance), SEG);
    assert_int_equal(ground_count(&g, "hl7"), 3);
    assert_non_null(strstr(message(&g), "Intracranial hemorrhage"));
    ground_close(&g);
}

static void a_second_patient_in_the_series_takes_everything_back(void **state)
{
    struct ground g;
    struct finding_result *results;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .to = 49});
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 49, .patient = "F2"}, AT(30));
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    assert_int_equal(results[0].standing, FINDING_WITHDRAWN);
    assert_int_equal(results[1].outcome, FINDING_NOT_ANALYSED);
    assert_non_null(strstr(results[1].reason, "two patients"));
    assert_string_equal(to_pacs(&g, 2), KO);
    assert_int_equal(ground_count(&g, "dicom"), 3);
    ground_close(&g);
}

// One of our objects.
static const struct dicom_dataset *header_in(struct ground *g, const char *instance)
{
    const struct dicom_dataset *header;
    struct archive_object *object;
    size_t count;
    assert_ok(archive_objects(g->archive, ACCESS_ALL, NULL, NULL, instance, &g->arena, &object, &count, &g->err) &&
                  archive_header(g->archive, object, 1 << 10, &g->arena, &header, &g->err),
              g->err);
    return header;
}

static const char *said_in(struct ground *g, const char *instance, dicom_tag tag)
{
    return dicom_text(header_in(g, instance), tag, &g->arena);
}

// How many deliveries of the topic may still be sent, or were.
static size_t alive(struct ground *g, const char *topic)
{
    size_t count, alive = 0;
    struct queue_delivery *list = ground_deliveries(g, topic, &count);
    for (size_t i = 0; i < count; i++)
        alive += list[i].state != QUEUE_DELIVERY_OBSOLETE;
    return alive;
}

static void expect_two_studies_told(struct ground *g, enum finding_outcome outcome)
{
    struct finding_result *first, *second;
    assert_int_equal(ground_results(g, "1.2.3", &first), 1);
    assert_int_equal(first->standing, FINDING_CURRENT);
    assert_int_equal(first->outcome, outcome);
    assert_int_equal(ground_results(g, "1.2.9", &second), 1);
    assert_int_equal(second->standing, FINDING_CURRENT);
    assert_int_equal(second->outcome, FINDING_POSITIVE);
    assert_string_equal(first->series, second->series);
    assert_string_not_equal(first->job, second->job);
    assert_string_not_equal(first->topic, second->topic);
    assert_string_equal(said_in(g, second->sr_instance, 0x0020000D), "1.2.9");
    assert_null(dicom_find(header_in(g, second->sr_instance), 0x0040A360)); // the other's report is no predecessor
    assert_int_equal(alive(g, first->topic), outcome == FINDING_POSITIVE ? 3 : 2); // SEG, SR and message
    assert_int_equal(alive(g, second->topic), 3);
}

// Told, revised, revised again and withdrawn: the PACS hears each time, and at last that it is for the patient's
// safety.
static void each_note_of_a_result_is_an_object_of_its_own_and_says_why(void **state)
{
    struct ground g;
    const char *notes[8];
    size_t count, n = 0;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .to = 49});
    ground_judge(&g, FINDING_REJECTED, AT(100));
    ground_deliver_all(&g);
    ground_judge(&g, FINDING_ACCEPTED, AT(200));
    ground_deliver_all(&g);
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 49, .patient = "F2"}, AT(300));
    ground_work_for_real(&g);
    struct queue_delivery *list = ground_deliveries(&g, ground_result(&g, 0)->topic, &count);
    for (size_t i = 0; i < count && n < 8; i++)
        if (*list[i].payload == '[' && list[i].state != QUEUE_DELIVERY_OBSOLETE)
            notes[n++] = list[i].subject;
    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        const struct dicom_dataset *title = dicom_item(header_in(&g, notes[i]), 0x0040A043, 0);
        assert_string_equal(dicom_text(title, 0x00080100, &g.arena), i == 2 ? "113037" : "113001");
        assert_string_not_equal(notes[i], notes[(i + 1) % n]);
    }
    ground_close(&g);
}

// Two patients' studies with one Series Instance UID: both are told, each under a number of its own.
static void one_series_uid_in_two_studies_is_two_series(void **state)
{
    static const struct head second = {
        .study = "1.2.9", .patient = "F2", .instances = "1.2.9.1", .bleed = 22, .acquisition = 1};
    (void)state;
    for (int bleed = 0; bleed <= 22; bleed += 22) {
        struct ground g;
        ground_open_real(&g, TARGETS);
        ground_send_head(&g, &(struct head){.bleed = bleed}, AT(0));
        ground_work_for_real(&g);
        ground_step(&g, AT(3600));
        ground_work_for_real(&g);
        ground_send_head(&g, &second, AT(3700));
        ground_work_for_real(&g);
        expect_two_studies_told(&g, bleed ? FINDING_POSITIVE : FINDING_NEGATIVE);
        ground_close(&g);
    }
}

// A wrong pick from a worklist is put right: what was told of the first patient is withdrawn in that one's name, and
// what is said of the other is new.
static void images_that_come_again_under_another_patient_withdraw_what_was_said_of_the_first(void **state)
{
    struct ground g;
    struct finding_result *results;
    size_t count;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .name = "Day^One"});
    ground_send_head(&g, &(struct head){.bleed = 22, .patient = "R1", .name = "Right^One", .newest = true}, AT(30));
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    assert_int_equal(results[0].standing, FINDING_WITHDRAWN);
    assert_int_equal(results[1].outcome, FINDING_POSITIVE);
    assert_string_equal(results[1].patient_id, "R1");
    assert_string_not_equal(results[0].topic, results[1].topic);

    const char *gone = ground_message_of(&g, results[0].topic, "F"),
               *now = ground_message_of(&g, results[1].topic, "F");
    assert_non_null(strstr(gone, "PID|1||F1^^^^PI||Day^One"));
    assert_non_null(strstr(gone, "||W||"));
    assert_non_null(strstr(gone, "Withdrawn: the images are not this patient's"));
    assert_non_null(strstr(now, "PID|1||R1^^^^PI||Right^One"));
    assert_non_null(strstr(now, "|F\rNTE|"));
    assert_null(strstr(now, "||D||"));

    struct queue_delivery *before = ground_deliveries(&g, results[0].topic, &count), *note = NULL, *withdrawal = NULL;
    for (size_t i = 0; i < count; i++)
        if (before[i].state == QUEUE_DELIVERY_WAITING)
            *(strcmp(before[i].kind, "hl7") == 0 ? &withdrawal : &note) = &before[i];
    assert_true(note && withdrawal);
    assert_string_equal(ground_class_of(&g, note->subject), KO);
    assert_string_equal(said_in(&g, note->subject, 0x00100020), "F1");
    assert_string_equal(said_in(&g, note->subject, 0x00100010), "Day^One");
    struct queue_delivery *after = ground_deliveries(&g, results[1].topic, &count);
    for (size_t i = 0; i < count; i++) {
        assert_true(after[i].id > withdrawal->id && after[i].id > note->id);
        if (strcmp(after[i].kind, "dicom") == 0)
            assert_string_equal(said_in(&g, after[i].subject, 0x00100020), "R1");
    }
    ground_close(&g);
}

static void two_patients_without_an_id_are_not_analysed_as_one(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_put_head(&g, &(struct head){.bleed = 22, .to = 30, .no_id = true, .name = "Unknown^A", .birth = "19600101"},
                    AT(0));
    ground_send_head(
        &g, &(struct head){.bleed = 22, .from = 30, .no_id = true, .name = "Unknown^B", .birth = "19990909"}, AT(0));
    ground_work_for_real(&g);
    assert_int_equal(ground_newest(&g)->outcome, FINDING_NOT_ANALYSED);
    assert_string_equal(ground_newest(&g)->reason, "objects of two patients, one without ID and one without ID");
    assert_int_equal(ground_count(&g, "dicom"), 0);
    ground_close(&g);
}

// Field `number` of a segment of a message.
static const char *field_of(struct ground *g, const char *message, const char *segment, int number)
{
    const char *at = strstr(message, arena_printf(&g->arena, "\r%s|", segment));
    for (int i = 0; at && i < number; i++)
        at = strchr(at + 1, '|');
    assert_non_null(at);
    return arena_strndup(&g->arena, at + 1, strcspn(at + 1, "|\r"));
}

// Of one Study Instance UID: the second is told with nothing of the first, and the first not with what it lacked.
static void each_patient_of_a_study_is_told_with_his_own_accession_number_and_physician(void **state)
{
    struct ground g;
    struct finding_result *results;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22, .accession = "A1", .study_date = "20260101"}, AT(0));
    ground_send_head(&g,
                     &(struct head){.bleed = 22,
                                    .series = "1.2.3.2",
                                    .patient = "F2",
                                    .accession = "A2",
                                    .referring = "Doc^Berta",
                                    .study_date = "20260202"},
                     AT(30));
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    for (size_t i = 0; i < 2; i++) {
        bool first = strcmp(results[i].patient_id, "F1") == 0;
        const char *told = ground_message_of(&g, results[i].topic, "R");
        assert_string_equal(field_of(&g, told, "PID", 3), first ? "F1^^^^PI" : "F2^^^^PI");
        assert_string_equal(field_of(&g, told, "OBR", 7), first ? "20260101" : "20260202");
        assert_string_equal(field_of(&g, told, "OBR", 16), first ? "" : "^Doc^Berta^^^");
        assert_string_equal(field_of(&g, told, "OBR", 18), first ? "A1" : "A2");
        assert_string_equal(said_in(&g, results[i].sr_instance, 0x00080050), first ? "A1" : "A2");
    }
    ground_close(&g);
}

// Of images without an ID another name is another patient, also in what is told of them.
static void a_patient_without_an_id_is_told_by_the_name_of_the_images(void **state)
{
    struct ground g;
    struct finding_result *results;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .no_id = true, .name = "Unknown^A", .birth = "19600101"});
    ground_send_head(
        &g, &(struct head){.bleed = 22, .series = "1.2.3.2", .no_id = true, .name = "Unknown^B", .birth = "19990909"},
        AT(30));
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    assert_non_null(strstr(ground_message_of(&g, results[0].topic, "R"), "PID|1||||Unknown^A^^^||19600101|"));
    assert_non_null(strstr(ground_message_of(&g, results[1].topic, "R"), "|Unknown^B^^^||19990909|"));
    ground_close(&g);
}

static void expect_to_name_nobody(const char *name)
{
    const struct flow_hl7_target target = {.name = "ris", .application = "RIS", .filler = "topic"};
    struct ground g;
    struct buffer out;
    size_t count, refused = 0;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22, .no_id = true, .name = name, .issuer = "SITE_A"}, AT(0));
    ground_work_for_real(&g);
    struct queue_delivery *list = ground_deliveries(&g, ground_newest(&g)->topic, &count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].kind, "hl7") == 0) {
            buffer_init(&out, 1 << 20);
            assert_false(flow_report_message(g.flow, &list[i], &target, &g.arena, &out, &g.err));
            assert_int_equal(g.err.code, ERROR_BAD_VALUE);
            assert_non_null(strstr(g.err.message, "study 1.2.3 names nobody"));
            buffer_free(&out);
            refused++;
        }
    assert_int_equal(refused, 1);
    ground_close(&g);
}

static void a_study_that_names_nobody_is_told_to_no_record(void **state)
{
    (void)state;
    expect_to_name_nobody("");
    expect_to_name_nobody("M\xFCller^J\xF6rg"); // cannot be read
    expect_to_name_nobody("\"\"");              // HL7's order to delete
    expect_to_name_nobody("^^^^");              // what modalities write for an empty name
    expect_to_name_nobody("\"\"^\"\"");
}

// Latin-1 bytes and no character set: no PACS or record would find the patient of a name with replacement characters.
static void a_name_that_cannot_be_read_is_sent_to_nobody(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22, .name = "M\xFCller^J\xF6rg"}, AT(0));
    ground_work_for_real(&g);
    assert_non_null(strstr(message(&g), "PID|1||F1^^^^PI|||||U"));
    const char *objects[] = {ground_newest(&g)->sr_instance, ground_newest(&g)->seg_instance};
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(said_in(&g, objects[i], 0x00100010), "");
        assert_string_equal(said_in(&g, objects[i], 0x00100020), "F1");
    }
    ground_close(&g);
}

// The same ID of two sites is two patients: who is named is the one whose images were looked at.
static void a_message_names_the_patient_by_id_and_issuer(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22, .issuer = "SITE_A", .name = "Anna^Of"}, AT(0));
    ground_work_for_real(&g);
    assert_int_equal(ground_newest(&g)->outcome, FINDING_POSITIVE);
    assert_string_equal(ground_newest(&g)->issuer, "SITE_A");
    ground_put_head(&g, &(struct head){.series = "1.2.3.2", .to = 1, .issuer = "SITE_B", .name = "Berta^Of"}, AT(30));
    assert_non_null(strstr(message(&g), "|F1^^^SITE_A^PI||Anna^Of^"));
    assert_null(strstr(message(&g), "SITE_B"));
    ground_close(&g);
}

// A note that waits, and became obsolete, has rejected nothing: the next one names all that the PACS has.
static void a_note_that_never_went_out_is_made_again(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22, .to = 51}, AT(0));
    ground_work_for_real(&g);
    ground_deliver_all(&g); // SEG and SR are there
    ground_judge(&g, FINDING_REJECTED, AT(100));
    assert_string_equal(to_pacs(&g, 2), KO); // which waits, as does the SR behind it
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 51}, AT(200));
    ground_work_for_real(&g);
    assert_string_equal(to_pacs(&g, 2), KO);
    assert_string_equal(to_pacs(&g, 3), SEG);
    assert_string_equal(to_pacs(&g, 4), SR);
    assert_int_equal(ground_count(&g, "dicom"), 5);
    ground_close(&g);
}

// A message is known by its control ID: were it another than the delivery's, no answer would ever be one to it.
static void each_kind_of_message_goes_under_the_control_id_of_its_delivery(void **state)
{
    struct ground g;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.to = 48}, AT(0));
    ground_work_for_real(&g);
    ground_step(&g, AT(120));
    ground_work_for_real(&g);
    assert_non_null(strstr(message(&g), "|R\rNTE|"));
    ground_deliver_all(&g);
    ground_send_head(&g, &(struct head){.from = 49, .to = 50}, AT(130)); // a gap
    ground_work_for_real(&g);
    assert_non_null(strstr(message(&g), "|X\rNTE|"));
    ground_deliver_all(&g);
    ground_send_head(&g, &(struct head){.from = 48, .to = 49}, AT(160));
    ground_work_for_real(&g);
    ground_step(&g, AT(300));
    ground_work_for_real(&g);
    assert_non_null(strstr(ground_message_as(&g, "F"), "|C\rNTE|"));
    ground_deliver_all(&g);
    ground_send_head(&g, &(struct head){.from = 50, .to = 51, .patient = "F2"}, AT(310));
    ground_work_for_real(&g);
    assert_non_null(strstr(message(&g), "||W||"));
    assert_non_null(strstr(message(&g), "Withdrawn: objects of two patients, F1 and F2"));
    ground_close(&g);
}

// What was said of the corrected images holds no more once a person has gone back to the first ones, and a third time.
static void images_that_come_back_are_looked_at_again(void **state)
{
    struct ground g;
    struct finding_result *results;
    struct queue_job *jobs;
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22}, AT(0));
    ground_work_for_real(&g);
    ground_send_head(&g, &(struct head){0}, AT(30)); // beside, until a person takes it
    ground_work_for_real(&g);                        // which is noted
    for (int round = 1; round <= 3; round++) {
        enum finding_outcome outcome = round % 2 ? FINDING_NEGATIVE : FINDING_POSITIVE;
        ground_decide(&g, ARCHIVE_TAKEN, AT(200 * round));
        ground_work_for_real(&g);
        assert_int_equal(ground_results(&g, "1.2.3", &results), round + 2);
        assert_int_equal(results[round + 1].outcome, outcome);
        for (int i = 0; i <= round + 1; i++)
            assert_int_equal(results[i].standing, i == round + 1 ? FINDING_CURRENT : FINDING_REPLACED);
        assert_int_equal(ground_jobs(&g, &jobs), round + 2); // and no more when the series is whole once more
    }
    ground_close(&g);
}

static const char *content_time(struct ground *g, const char *instance)
{
    return arena_printf(&g->arena, "%s%s", said_in(g, instance, 0x00080023), said_in(g, instance, 0x00080033));
}

// Rejection notes, none of them older than what it rejects.
static size_t count_later_notes(struct ground *g, const char *topic)
{
    size_t count, notes = 0;
    struct queue_delivery *list = ground_deliveries(g, topic, &count);
    for (size_t i = 0; i < count; i++) {
        notes += *list[i].payload == '[';
        for (size_t k = 0; k < count && *list[i].payload == '['; k++)
            if (strstr(list[i].payload, list[k].subject))
                assert_true(strcmp(content_time(g, list[k].subject), content_time(g, list[i].subject)) < 0);
    }
    return notes;
}

// PACS and record put what they have in order by time: what is said last is never the older one there, though the
// images that it is said of came first.
static void what_takes_the_place_of_something_is_later_in_every_projection(void **state)
{
    struct ground g;
    struct finding_result *results;
    const char *created = "", *issued = "", *content = "";
    (void)state;
    ground_open_real(&g, TARGETS);
    ground_send_head(&g, &(struct head){.bleed = 22}, AT(0));
    ground_work_for_real(&g);
    ground_send_head(&g, &(struct head){0}, AT(30)); // beside, which the second positive notes
    for (int round = 0; round < 3; round++) {
        if (round > 0)
            ground_decide(&g, ARCHIVE_TAKEN, AT(200 * round));
        ground_work_for_real(&g);
        ground_step(&g, AT(200 * round + 190)); // a negative is told
        ground_work_for_real(&g);
        assert_int_equal(ground_results(&g, "1.2.3", &results), round + 2);
        const struct finding_result *now = &results[round + 1];
        assert_int_equal(now->outcome, round % 2 ? FINDING_NEGATIVE : FINDING_POSITIVE);
        assert_true(now->told);
        const char *told = ground_message_of(&g, now->topic, "R"), *before = content;
        assert_true(strcmp(field_of(&g, told, "OBR", 22), issued) > 0);
        issued = field_of(&g, told, "OBR", 22);
        const char *sent = field_of(&g, arena_printf(&g.arena, "\r%s", told), "MSH", 6); // MSH-7
        assert_true(strcmp(sent, created) > 0 && strcmp(sent, issued) >= 0);
        created = sent;
        content = content_time(&g, now->sr_instance);
        assert_true(strcmp(content, before) > 0);
        ground_deliver_all(&g);
    }
    for (int i = 0; i < 3; i++)
        assert_true(results[i].changed_ns >= results[i].made_ns &&
                    (i == 0 || results[i].made_ns > results[i - 1].made_ns));
    assert_int_equal(count_later_notes(&g, results[2].topic), 2);
    ground_close(&g);
}

// Another patient's images had the same UIDs, and a person takes them: the first study has none any more, and what was
// said of it is withdrawn in its own patient's name. When they come back they are looked at again.
static void a_series_whose_images_are_all_taken_away_says_nothing_any_more(void **state)
{
    struct ground g;
    struct finding_result *results;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .name = "Day^One"});
    ground_send_head(
        &g,
        &(struct head){
            .study = "1.2.4", .series = "1.2.4.1", .instances = "1.2.3.1", .patient = "R1", .name = "Other^One"},
        AT(30));
    ground_decide(&g, ARCHIVE_TAKEN, AT(200));
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 1);
    assert_int_equal(results[0].standing, FINDING_WITHDRAWN);
    assert_non_null(strstr(results[0].reason, "taken into another series or study"));
    const char *gone = ground_message_of(&g, results[0].topic, "F");
    assert_non_null(strstr(gone, "||F1^^^^PI||Day^One"));
    assert_non_null(strstr(gone, "||W||"));
    assert_string_equal(to_pacs(&g, 2), KO);
    ground_deliver_all(&g);
    ground_decide(&g, ARCHIVE_TAKEN, AT(400));
    ground_work_for_real(&g);
    assert_int_equal(ground_results(&g, "1.2.3", &results), 2);
    assert_int_equal(results[1].outcome, FINDING_POSITIVE);
    assert_int_equal(results[1].standing, FINDING_CURRENT);
    ground_close(&g);
}

// The model is gone, and so is who would have withdrawn it: the images are another patient's all the same.
static void what_was_said_of_another_patient_is_withdrawn_although_no_model_looks_again(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .name = "Day^One"});
    ground_drop_packages(&g);
    ground_send_head(&g, &(struct head){.bleed = 22, .patient = "R1", .name = "Right^One", .newest = true}, AT(30));
    ground_work_for_real(&g);
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_WITHDRAWN);
    assert_non_null(strstr(ground_result(&g, 0)->reason, "they came again under another"));
    const char *gone = ground_message_of(&g, ground_result(&g, 0)->topic, "F");
    assert_non_null(strstr(gone, "||F1^^^^PI||Day^One"));
    assert_non_null(strstr(gone, "||W||"));
    ground_close(&g);
}

// A job of images of two patients that ends without an answer: here because nobody asks for it any more.
static void what_was_said_beside_another_patient_s_images_is_withdrawn_although_their_job_was_not_done(void **state)
{
    struct ground g;
    (void)state;
    ground_open_told(&g, &(struct head){.bleed = 22, .to = 49});
    ground_send_head(&g, &(struct head){.bleed = 22, .from = 49, .patient = "F2"}, AT(30));
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_CURRENT); // a job will say so
    assert_ok(flow_rule_remove(g.store, g.access, GROUND_HEAD_MODEL, "test", &g.err), g.err);
    ground_work_for_real(&g);
    ground_step(&g, AT(60));
    ground_work_for_real(&g);
    assert_int_equal(ground_result(&g, 0)->standing, FINDING_WITHDRAWN);
    assert_string_equal(ground_result(&g, 0)->reason, "some of the images are another patient's");
    assert_non_null(strstr(ground_message_of(&g, ground_result(&g, 0)->topic, "F"), "||W||"));
    ground_close(&g);
}

// The same images in another order of arrival: what is held back takes the place of a negative, and of no positive.
static void what_is_held_back_after_a_negative_was_told_takes_its_place(void **state)
{
    for (int bleed = 0; bleed <= 22; bleed += 22) {
        struct ground g;
        size_t count;
        (void)state;
        ground_open_real(&g, TARGETS);
        ground_send_head(&g, &(struct head){.study = "1.2.4", .series = "1.2.4.1", .to = 3, .patient = "O1"}, AT(0));
        ground_send_head(&g, &(struct head){.bleed = bleed, .from = 3}, AT(0));
        ground_work_for_real(&g);
        ground_step(&g, AT(120));
        ground_work_for_real(&g);
        ground_deliver_all(&g);
        assert_int_equal(ground_result(&g, 0)->outcome, bleed ? FINDING_POSITIVE : FINDING_NEGATIVE);
        assert_true(ground_result(&g, 0)->told);
        // Two of its images have UIDs of the other study's.
        ground_send_head(&g, &(struct head){.instances = "1.2.4.1", .to = 2}, AT(200));
        ground_work_for_real(&g);
        assert_int_equal(ground_results(&g, "1.2.3", &(struct finding_result *){NULL}), 2);
        assert_int_equal(ground_result(&g, 0)->standing, FINDING_REPLACED);
        assert_int_equal(ground_result(&g, 1)->outcome, bleed ? FINDING_POSITIVE : FINDING_NOT_ANALYSED);
        const char *said = bleed ? ground_result(&g, 1)->notes : ground_result(&g, 1)->reason;
        assert_non_null(strstr(said, "2 images are held back"));
        if (!bleed)
            assert_non_null(strstr(message(&g), "|X\rNTE|"));
        ground_deliveries(&g, ground_result(&g, 0)->topic, &count);
        assert_true(count > 2);
        ground_close(&g);
    }
}

// Also where the first look had failed, as this one does: it is asked for once more, not taken for done.
static void images_that_come_back_are_looked_at_again_though_their_look_had_failed(void **state)
{
    struct ground g;
    struct queue_job *jobs;
    (void)state;
    ground_open(&g, (const char *const[]){"one", NULL}, "{\"name\":\"r\",\"model\":\"one\"}");
    ground_put_series(&g, &(struct slice){0}, 3, AT(0));
    ground_end(&g, "SCANNER", AT(0));
    ground_step(&g, AT(3));
    ground_work(&g);
    assert_int_equal(ground_only_job(&g)->state, QUEUE_JOB_FAILED);
    ground_put_series(&g, &(struct slice){.pixel = 7}, 3, AT(30)); // beside, until a person takes them
    ground_end(&g, "SCANNER", AT(30));
    for (int round = 1; round <= 2; round++) {
        ground_decide(&g, ARCHIVE_TAKEN, AT(200 * round));
        ground_work(&g);
        assert_int_equal(ground_jobs(&g, &jobs), round + 1);
        assert_int_equal(jobs[round].state, QUEUE_JOB_FAILED);
    }
    ground_close(&g);
}

int test_results(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_positive_is_told_at_once),
        cmocka_unit_test(targets_with_the_longest_names_are_told_and_told_again),
        cmocka_unit_test(a_negative_is_told_when_its_study_is_quiet),
        cmocka_unit_test(what_was_negative_in_part_and_positive_as_a_whole_is_never_called_negative),
        cmocka_unit_test(an_obsolete_message_is_not_sent_and_the_newer_one_follows_with_the_same_number),
        cmocka_unit_test(a_newer_result_takes_the_place_of_what_was_delivered),
        cmocka_unit_test(a_rejected_finding_is_taken_back_everywhere_and_comes_back_when_it_is_accepted),
        cmocka_unit_test(one_series_uid_in_two_studies_is_two_series),
        cmocka_unit_test(a_second_patient_in_the_series_takes_everything_back),
        cmocka_unit_test(images_that_come_again_under_another_patient_withdraw_what_was_said_of_the_first),
        cmocka_unit_test(two_patients_without_an_id_are_not_analysed_as_one),
        cmocka_unit_test(each_patient_of_a_study_is_told_with_his_own_accession_number_and_physician),
        cmocka_unit_test(a_patient_without_an_id_is_told_by_the_name_of_the_images),
        cmocka_unit_test(a_study_that_names_nobody_is_told_to_no_record),
        cmocka_unit_test(a_name_that_cannot_be_read_is_sent_to_nobody),
        cmocka_unit_test(a_message_names_the_patient_by_id_and_issuer),
        cmocka_unit_test(a_note_that_never_went_out_is_made_again),
        cmocka_unit_test(each_kind_of_message_goes_under_the_control_id_of_its_delivery),
        cmocka_unit_test(images_that_come_back_are_looked_at_again),
        cmocka_unit_test(what_takes_the_place_of_something_is_later_in_every_projection),
        cmocka_unit_test(a_series_whose_images_are_all_taken_away_says_nothing_any_more),
        cmocka_unit_test(what_was_said_of_another_patient_is_withdrawn_although_no_model_looks_again),
        cmocka_unit_test(what_was_said_beside_another_patient_s_images_is_withdrawn_although_their_job_was_not_done),
        cmocka_unit_test(what_is_held_back_after_a_negative_was_told_takes_its_place),
        cmocka_unit_test(images_that_come_back_are_looked_at_again_though_their_look_had_failed),
        cmocka_unit_test(each_note_of_a_result_is_an_object_of_its_own_and_says_why),
    };
    return cmocka_run_group_tests_name("results", tests, NULL, NULL);
}
