// When a study was and who the patient is, where scanners say it badly or not at all: in report, segmentation, note,
// message and FHIR, judged by pydicom, dciodvfy and python3-hl7.
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"

#define SEG_CLASS "1.2.840.10008.5.1.4.1.1.66.4"
#define SR_CLASS "1.2.840.10008.5.1.4.1.1.88.34"
#define KEY_CLASS "1.2.840.10008.5.1.4.1.1.88.59"

// ---- what goes to a PACS

static void check_values(const struct buffer *dataset, const char *sop_class, const char *want)
{
    struct buffer said;
    const char *path = scene_write(dataset, sop_class, "made.dcm");
    run_well((const char *const[]){"/usr/bin/python3", "src/finding/tests/oracle.py", "values", path, "StudyDate",
                                   "StudyTime", "TimezoneOffsetFromUTC", "PatientBirthDate", "PatientSex", NULL},
             &said);
    said.data[strcspn((char *)said.data, "\n")] = '\0';
    assert_string_equal((const char *)said.data, want);
    buffer_free(&said);
    run_program((const char *const[]){"dciodvfy", path, NULL}, &said);
    if (strstr((const char *)said.data, "Error"))
        fail_msg("dciodvfy: %s", (const char *)said.data);
    buffer_free(&said);
}

static void check_objects(const struct scene *scene, const char *want)
{
    static const struct finding_object object = {SR_CLASS, "1.2.3.4.1", "1.2.3.4.2"};
    struct buffer out;
    struct error err;
    buffer_init(&out, 16 << 20);
    assert_ok(finding_to_sr(&scene->context, scene->findings, SCENE_FINDINGS, &out, &err), err);
    check_values(&out, SR_CLASS, want);
    buffer_free(&out);
    buffer_init(&out, 16 << 20);
    assert_ok(finding_to_seg(&scene->context, scene->findings, SCENE_FINDINGS, scene->labels, &out, &err), err);
    check_values(&out, SEG_CLASS, want);
    buffer_free(&out);
    buffer_init(&out, 16 << 20);
    assert_ok(finding_to_rejection(&scene->context, FINDING_FOR_QUALITY, &object, 1, &out, &err), err);
    check_values(&out, KEY_CLASS, want);
    buffer_free(&out);
}

static void objects_are_in_the_zone_of_their_images(void **state)
{
    (void)state;
    static const struct {
        const char *server, *date, *time, *told, *want;
    } rows[] = {
        {"Europe/Berlin", "20120914", "170927", "", "20120914 StudyTime=170927 TimezoneOffsetFromUTC=+0200"},
        {"Europe/Berlin", "20120114", "170927", "", "20120114 StudyTime=170927 TimezoneOffsetFromUTC=+0100"},
        {"Europe/Berlin", "20121028", "023000", "", "20121028 StudyTime=023000 TimezoneOffsetFromUTC=+0200"},
        {"America/Los_Angeles", "20120914", "080000", "", "20120914 StudyTime=080000 TimezoneOffsetFromUTC=-0700"},
        {"Europe/Berlin", "20120914", "070000", "-0800", "20120914 StudyTime=070000 TimezoneOffsetFromUTC=-0800"},
        {"Europe/Berlin", "20120914", "170927", "Z", "20120914 StudyTime=170927 TimezoneOffsetFromUTC=+0200"},
        {"Europe/Berlin", "20120230", "170927", "", " StudyTime=170927 TimezoneOffsetFromUTC=+0200"},
        {"Asia/Kathmandu", "", "", "", " StudyTime= TimezoneOffsetFromUTC=+0545"},
    };
    struct scene scene;
    scene_oblique(&scene);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char want[256];
        set_zone(rows[i].server);
        scene_say(&scene, 0x00080020, rows[i].date);
        scene_say(&scene, 0x00080030, rows[i].time);
        scene_say(&scene, 0x00080201, rows[i].told);
        snprintf(want, sizeof want, "StudyDate=%s PatientBirthDate=19501231 PatientSex=M", rows[i].want);
        check_objects(&scene, want);
    }
    set_zone("UTC");
    scene_free(&scene);
}

static void what_is_no_date_time_or_sex_is_empty_in_objects(void **state)
{
    (void)state;
    static const struct {
        const char *date, *time, *born, *sex, *want;
    } rows[] = {
        {"2012.09.14", "15:12:08", "1960.01.01", "M",
         "StudyDate=20120914 StudyTime=151208 TimezoneOffsetFromUTC=+0000 PatientBirthDate=19600101 PatientSex=M"},
        {"20120914", "246100", "19000229", "female",
         "StudyDate=20120914 StudyTime= TimezoneOffsetFromUTC=+0000 PatientBirthDate= PatientSex="},
        {"99999999", "2360", "0", "O",
         "StudyDate= StudyTime= TimezoneOffsetFromUTC=+0000 PatientBirthDate= PatientSex=O"},
    };
    struct scene scene;
    scene_oblique(&scene);
    scene_say(&scene, 0x00080201, "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scene_say(&scene, 0x00080020, rows[i].date);
        scene_say(&scene, 0x00080030, rows[i].time);
        scene_say(&scene, 0x00100030, rows[i].born);
        scene_say(&scene, 0x00100040, rows[i].sex);
        check_objects(&scene, rows[i].want);
    }
    scene_free(&scene);
}

// ---- what goes to the record

struct row {
    const char *server, *told, *date, *time;
    const char *record, *fhir;
};
static const struct row studies[] = {
    {"Europe/Berlin", "", "20261128", "185927", "20261128185927+0100", "2026-11-28T18:59:27+01:00"},
    {"Europe/Berlin", "", "20260701", "1859", "202607011859+0200", "2026-07-01T18:59:00+02:00"},
    {"Europe/Berlin", "", "20261025", "015959", "20261025015959+0200", "2026-10-25T01:59:59+02:00"},
    {"Europe/Berlin", "", "20261025", "030000", "20261025030000+0100", "2026-10-25T03:00:00+01:00"},
    {"Europe/Berlin", "-0800", "20261128", "095928", "20261128095928-0800", "2026-11-28T09:59:28-08:00"},
    {"Europe/Berlin", "Z", "20261128", "095928", "20261128095928+0100", "2026-11-28T09:59:28+01:00"},
    {"America/Los_Angeles", "", "20261128", "095928.1234567", "20261128095928.1234-0800", "2026-11-28T09:59:28-08:00"},
    {"America/St_Johns", "", "20261128", "095928", "20261128095928-0330", "2026-11-28T09:59:28-03:30"},
    {"Europe/Berlin", "", "2026.11.28", "10:15:00", "20261128101500+0100", "2026-11-28T10:15:00+01:00"},
    {"Europe/Berlin", "", "20261128", "246100", "20261128", "2026-11-28"},
    {"Europe/Berlin", "", "20261128", "2360", "20261128", "2026-11-28"},
    {"Europe/Berlin", "", "20261128", "10", "20261128", "2026-11-28"},
    {"Europe/Berlin", "", "20261128", "", "20261128", "2026-11-28"},
    {"Europe/Berlin", "", "20161231", "235960", "20161231235959+0100", "2016-12-31T23:59:59+01:00"},
    {"Europe/Berlin", "", "20260230", "101500", "", NULL},
    {"Europe/Berlin", "+0100", "99999999", "101500", "", NULL},
    {"Europe/Berlin", "", "", "", "", NULL},
};

static struct finding_study study_of(const struct row *row)
{
    struct finding_study study = study_row();
    study.study_date = row->date;
    study.study_time = row->time;
    study.zone = row->told;
    return study;
}

// As python3-hl7 reads the message: "PID-7 19501231" and so on, a line each.
static void read_message(const struct finding_study *study, struct buffer *said)
{
    struct buffer out;
    struct error err;
    struct finding_result result = result_row(JOB);
    result.outcome = FINDING_NEGATIVE;
    result.changed_ns = INT64_C(1795888770128000000); // 2026-11-28 17:59:30 UTC
    buffer_init(&out, 1 << 20);
    assert_ok(finding_to_oru(study, &result, NULL, 0, NULL,
                             &(struct finding_receiver){"RIS", "TEST", "R", false, "control"}, 0, &out, &err),
              err);
    const char *path = temporary("message.hl7");
    assert_ok(file_replace(path, out.data, out.size, 0600, &err), err);
    buffer_free(&out);
    run_well((const char *const[]){"/usr/bin/python3", "src/finding/tests/oracle.py", "oru", path, NULL}, said);
}

static void assert_line(const struct buffer *said, const char *field, const char *want)
{
    char line[256];
    snprintf(line, sizeof line, "\n%s %s\n", field, want);
    if (!strstr((const char *)said->data, line))
        fail_msg("there is no \"%s %s\" in:\n%s", field, want, (const char *)said->data);
}

static void each_time_in_a_message_has_its_offset(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof studies / sizeof *studies; i++) {
        struct buffer said;
        const struct finding_study study = study_of(&studies[i]);
        const char *zone = strcmp(studies[i].server, "Europe/Berlin") == 0 ? "20261128185930.128+0100"
                           : strstr(studies[i].server, "St_Johns")         ? "20261128142930.128-0330"
                                                                           : "20261128095930.128-0800";
        set_zone(studies[i].server);
        read_message(&study, &said);
        assert_line(&said, "MSH-7", zone);
        assert_line(&said, "OBR-7", studies[i].record);
        assert_line(&said, "OBR-22", zone);
        assert_line(&said, "OBX-14", studies[i].record);
        buffer_free(&said);
    }
    set_zone("UTC");
}

static void what_is_no_date_or_sex_is_not_in_a_message(void **state)
{
    (void)state;
    static const char *const rows[][4] = {
        {"19501231", "19501231", "M", "M"},
        {"1960.01.01", "19600101", "F", "F"},
        {"19000229", "", "O", "O"},
        {"0", "", "female", "U"},
        {"99999999", "", "m", "U"},
        {"19600000", "", "", "U"},
        {"", "", "\"\"", "U"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer said;
        struct finding_study study = study_row();
        study.birth_date = rows[i][0];
        study.sex = rows[i][2];
        read_message(&study, &said);
        assert_line(&said, "PID-7", rows[i][1]);
        assert_line(&said, "PID-8", rows[i][3]);
        buffer_free(&said);
    }
}

// Two quotation marks tell a receiver to delete what it has.
static void a_scanner_deletes_nothing_in_the_record(void **state)
{
    (void)state;
    struct buffer said;
    struct finding_study study = study_row();
    study.accession = study.description = study.patient_name = study.issuer = study.referring = "\"\"";
    study.birth_date = study.study_date = "\"\"";
    read_message(&study, &said);
    assert_null(strstr((const char *)said.data, "\"\""));
    assert_line(&said, "PID-3", "P\\F\\1\\T\\2^^^^PI");
    assert_line(&said, "OBR-18", "");
    buffer_free(&said);
    study.patient_name = "Doe^\"\"^Q";
    read_message(&study, &said);
    assert_line(&said, "PID-5", "Doe^^Q^^");
    buffer_free(&said);
}

static void assert_text(const json_t *resource, const char *key, const char *want)
{
    const char *got = json_string_value(json_object_get(resource, key));
    if ((got == NULL) != (want == NULL) || (got && strcmp(got, want) != 0))
        fail_msg("%s is %s, not %s", key, got ? got : "absent", want ? want : "absent");
}

static json_t *resource_of(const struct finding_study *study, const char *type)
{
    struct error err;
    json_t *out;
    const struct finding_result result = result_row(JOB);
    assert_ok(finding_to_fhir(study, &result, 1, NULL, 0, "http://localhost/fhir", type,
                              strcmp(type, "DiagnosticReport") == 0 ? JOB : study->study, &out, &err),
              err);
    assert_non_null(out);
    return out;
}

static void a_resource_has_the_offset_of_the_study(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof studies / sizeof *studies; i++) {
        const struct finding_study study = study_of(&studies[i]);
        set_zone(studies[i].server);
        json_t *images = resource_of(&study, "ImagingStudy"), *report = resource_of(&study, "DiagnosticReport");
        assert_text(images, "started", studies[i].fhir);
        assert_text(report, "effectiveDateTime", studies[i].fhir);
        json_decref(images);
        json_decref(report);
    }
    set_zone("UTC");
}

static void a_patient_has_no_birth_date_that_is_none(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"19501231", "1950-12-31"},
                                          {"1960.01.01", "1960-01-01"},
                                          {"19000229", NULL},
                                          {"20260230", NULL},
                                          {"1960", NULL},
                                          {"0", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct finding_study study = study_row();
        study.birth_date = rows[i][0];
        study.sex = "female";
        json_t *patient = resource_of(&study, "Patient");
        assert_text(patient, "birthDate", rows[i][1]);
        assert_text(patient, "gender", "unknown");
        json_decref(patient);
    }
}

static void what_is_left_out_is_named(void **state)
{
    (void)state;
    struct arena arena;
    struct finding_study study = study_row();
    arena_init(&arena, 1 << 16);
    assert_string_equal(finding_left_out(&study, &arena), "");
    study.birth_date = "1960.01.01";
    study.sex = "";
    study.study_time = NULL;
    assert_string_equal(finding_left_out(&study, &arena), "");
    study = (struct finding_study){
        .birth_date = "19000229", .sex = "female", .study_date = "20260230", .study_time = "246100", .zone = "Z"};
    assert_string_equal(finding_left_out(&study, &arena), "birth date \"19000229\", sex \"female\", study date "
                                                          "\"20260230\", study time \"246100\", time zone \"Z\"");
    arena_free(&arena);
}

int test_times(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_in_the_zone_of_their_images),
        cmocka_unit_test(what_is_no_date_time_or_sex_is_empty_in_objects),
        cmocka_unit_test(each_time_in_a_message_has_its_offset),
        cmocka_unit_test(what_is_no_date_or_sex_is_not_in_a_message),
        cmocka_unit_test(a_scanner_deletes_nothing_in_the_record),
        cmocka_unit_test(a_resource_has_the_offset_of_the_study),
        cmocka_unit_test(a_patient_has_no_birth_date_that_is_none),
        cmocka_unit_test(what_is_left_out_is_named),
    };
    return cmocka_run_group_tests_name("times and what is none", tests, NULL, NULL);
}
