// The HL7 message: as python3-hl7 reads it, and as our own parser does.
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "hl7/hl7.h"
#include "support/scratch.h"

#define CONTROL "0123456789abcdef4567"

static void two_findings(struct finding out[2])
{
    out[0] = (struct finding){.id = "a-1",
                              .result = JOB,
                              .job = JOB,
                              .model = "head-ct-hyperdense",
                              .model_version = "1.0.0",
                              .label_text = LABEL,
                              .concept = {"1386000", "SCT", "Intracranial hemorrhage"},
                              .site = {"12738006", "SCT", "Brain"},
                              .side = "left",
                              .volume_ml = 12.34,
                              .score = 0.914,
                              .segment = 1};
    out[1] = out[0];
    out[1].side = "";
    out[1].site.value = "";
    out[1].segment = 2;
    out[1].concept.meaning = "a|b^c";
}

static void make(const struct finding_study *study, size_t count, struct buffer *out)
{
    struct finding findings[2];
    struct error err;
    struct finding_result result = result_row(JOB);
    two_findings(findings);
    buffer_init(out, 1 << 20);
    if (count == 0)
        result.outcome = FINDING_NEGATIVE;
    result.calibrated = true;
    assert_ok(finding_to_oru(study, &result, findings, count, NULL,
                             &(struct finding_receiver){"RIS", "TEST", "R", false, CONTROL},
                             INT64_C(1347635528123000000), out, &err),
              err);
}

static const struct hl7_message *parse(const struct buffer *message)
{
    const struct hl7_message *parsed;
    struct error err;
    assert_ok(hl7_parse((const char *)message->data, message->size, &scratch, &parsed, &err), err);
    return parsed;
}

static void assert_field(const struct hl7_message *message, const char *segment, size_t nth, unsigned field,
                         unsigned component, const char *want)
{
    const char *got = hl7_get(message, segment, nth, field, 1, component, 1, &scratch);
    if (strcmp(got, want) != 0)
        fail_msg("%s[%zu]-%u.%u is \"%s\", not \"%s\"", segment, nth, field, component, got, want);
}

static void python_reads_the_message(void **state)
{
    (void)state;
    struct buffer message, said;
    struct error err;
    struct finding_study study = study_row();
    study.modality = "CT";
    make(&study, 2, &message);
    const char *path = temporary("message.hl7");
    assert_ok(file_replace(path, message.data, message.size, 0600, &err), err);
    run_well((const char *const[]){"/usr/bin/python3", "src/finding/tests/oracle.py", "oru", path, NULL}, &said);
    static const char *const lines[] = {
        "MSH-5 RIS\n",
        "MSH-6 TEST\n",
        "MSH-9 ORU^R01^ORU_R01\n",
        "MSH-12 2.5.1\n",
        "MSH-18 UNICODE UTF-8\n",
        "PID-3 P\\F\\1\\T\\2^^^HOSP\\S\\A^PI\n",
        "PID-5 M\xC3\xBCller^J\xC3\xB6rg^Karl^Jr.^Dr.^^^A~\xE5\xB1\xB1^\xE7\x94\xB0^^^^^^I\n",
        "PID-7 19501231\n",
        "PID-8 M\n",
        "OBR-3 0123456789abcdef0123\n",
        "OBR-4 18748-4^Diagnostic imaging study^LN^^CT head \\E\\ without contrast\n",
        "OBR-7 20120914151208.1234+0000\n",
        "OBR-16 ^House^Gregory^^^\n",
        "OBR-18 ACC\\R\\7\n",
        "OBR-24 CT\n",
        "OBR-25 R\n",
        "NTE-3 Looked at: 20 images, 5242880 voxels\n",
        "OBX-3 113014^DICOM Study^DCM\n",
        "OBX-5 1.2.840.99.1\n",
        "OBX-5 1386000^Intracranial hemorrhage^SCT\n",
        "OBX-5 1386000^a\\F\\b\\S\\c^SCT\n",
        "OBX-5 12.3\n",
        "OBX-6 mL^milliliter^UCUM\n",
        "OBX-18 head-ct-hyperdense^1.0.0\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!strstr((const char *)said.data, lines[i]))
            fail_msg("python3-hl7 sees no %s in:\n%s", lines[i], (const char *)said.data);
    buffer_free(&said);
    buffer_free(&message);
}

static void each_finding_has_its_sub_id_values_and_flags(void **state)
{
    (void)state;
    struct buffer out;
    struct finding_study study = study_row();
    make(&study, 2, &out);
    const struct hl7_message *message = parse(&out);
    static const struct {
        const char *type, *item, *sub_id, *value, *probability;
    } rows[] = {
        {"ST", "113014", "", "1.2.840.99.1", ""},
        {"CWE", "121071", "1", "1386000", "0.91"},
        {"CWE", "363698007", "1", "12738006", ""},
        {"CWE", "272741003", "1", "7771000", ""},
        {"NM", "118565006", "1", "12.3", ""},
        {"NM", "111012", "1", "91.4", ""},
        {"TX", "59776-5", "1",
         "Suspected intracranial hemorrhage, left, 12.3 mL; research use only, not a medical device; "
         "unverified",
         ""},
        {"CWE", "121071", "2", "1386000", "0.91"},
        {"NM", "118565006", "2", "12.3", ""},
        {"NM", "111012", "2", "91.4", ""},
        {"TX", "59776-5", "2", "Suspected a|b^c, 12.3 mL; research use only, not a medical device; unverified", ""},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    assert_int_equal(hl7_count(message, "OBX"), ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        assert_field(message, "OBX", i, 2, 1, rows[i].type);
        assert_field(message, "OBX", i, 3, 1, rows[i].item);
        assert_field(message, "OBX", i, 4, 1, rows[i].sub_id);
        assert_field(message, "OBX", i, 5, 1, rows[i].value);
        assert_field(message, "OBX", i, 8, 1, i > 0 ? "A" : "");
        assert_field(message, "OBX", i, 9, 1, rows[i].probability);
        assert_field(message, "OBX", i, 11, 1, i > 0 ? "R" : "O");
        assert_field(message, "OBX", i, 14, 1, "20120914151208.1234+0000");
    }
    assert_field(message, "OBR", 0, 24, 1, "RAD");
    buffer_free(&out);
}

// XPN-8 and XCN-15, table 4000.
static void each_way_of_writing_a_name_is_a_repetition(void **state)
{
    (void)state;
    struct buffer out;
    struct finding_study study = study_row();
    study.patient_name = "Yamada^Tarou=山田^太郎=やまだ^たろう";
    study.referring = "Hong^Gildong==홍^길동";
    make(&study, 0, &out);
    const struct hl7_message *message = parse(&out);
    static const struct {
        const char *segment;
        unsigned field, repetition, component;
        const char *want;
    } rows[] = {
        {"PID", 5, 1, 1, "Yamada"}, {"PID", 5, 1, 2, "Tarou"}, {"PID", 5, 1, 8, "A"},      {"PID", 5, 2, 1, "山田"},
        {"PID", 5, 2, 2, "太郎"},   {"PID", 5, 2, 8, "I"},     {"PID", 5, 3, 1, "やまだ"}, {"PID", 5, 3, 2, "たろう"},
        {"PID", 5, 3, 8, "P"},      {"PID", 5, 4, 1, ""},      {"OBR", 16, 1, 2, "Hong"},  {"OBR", 16, 1, 15, "A"},
        {"OBR", 16, 2, 2, "홍"},    {"OBR", 16, 2, 15, "P"},   {"OBR", 16, 3, 2, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(
            hl7_get(message, rows[i].segment, 0, rows[i].field, rows[i].repetition, rows[i].component, 1, &scratch),
            rows[i].want);
    buffer_free(&out);
    study.patient_name = "Doe^Jane==";
    make(&study, 0, &out);
    assert_field(parse(&out), "PID", 0, 5, 8, ""); // what a name is when nothing is said
    buffer_free(&out);
}

static void a_name_without_letters_is_its_ideographs(void **state)
{
    (void)state;
    struct buffer out;
    struct finding_study study = study_row();
    study.patient_name = "=\xE5\xB1\xB1^\xE7\x94\xB0=x^y";
    make(&study, 0, &out);
    const struct hl7_message *message = parse(&out);
    assert_field(message, "PID", 0, 5, 1, "\xE5\xB1\xB1");
    assert_field(message, "PID", 0, 5, 2, "\xE7\x94\xB0");
    assert_field(message, "PID", 0, 5, 8, "I");
    buffer_free(&out);
}

// A name with replacement characters is nobody's: the patient is known by the ID then.
static void a_name_that_cannot_be_read_is_left_out_and_the_id_stays(void **state)
{
    (void)state;
    struct buffer out;
    struct finding_study study = study_row();
    study.patient_name = "M\xEF\xBF\xBDller^J\xEF\xBF\xBDrg";
    study.referring = "H\xEF\xBF\xBDuse^Gregory";
    make(&study, 0, &out);
    const struct hl7_message *message = parse(&out);
    assert_field(message, "PID", 0, 3, 1, "P|1&2");
    assert_field(message, "PID", 0, 5, 1, "");
    assert_field(message, "OBR", 0, 16, 2, "");
    buffer_free(&out);
}

// What shows nothing is no ID, name or number, however it is written: a record would answer AA and file it nowhere.
static void what_shows_nothing_names_nobody(void **state)
{
    (void)state;
    static const char *const nothing[] = {"",
                                          "^^^^",
                                          "^",
                                          "=^",
                                          "=",
                                          "\"\"",
                                          "\"\"^\"\"",
                                          "\" \"",
                                          " ",
                                          "\xC2\xA0",
                                          "\xE2\x80\x8B",
                                          "\xE3\x80\x80",
                                          "\xE2\x80\xAE",
                                          "==\xC2\xA0^\xE2\x80\x8B",
                                          NULL};
    struct finding_study study = study_row();
    for (size_t i = 0; i < sizeof nothing / sizeof *nothing; i++) {
        bool of_name = nothing[i] && strpbrk(nothing[i], "^=");
        study.patient_name = nothing[i];
        study.patient_id = study.accession = of_name ? "" : nothing[i];
        assert_false(finding_names_somebody(&study));
        struct buffer out;
        make(&study, 0, &out);
        const struct hl7_message *message = parse(&out);
        assert_field(message, "PID", 0, 3, 1, "");
        assert_field(message, "PID", 0, 5, 1, "");
        assert_field(message, "OBR", 0, 18, 1, "");
        buffer_free(&out);
        study.patient_name = "==^Given";
        assert_true(finding_names_somebody(&study));
    }
}

static void each_of_id_name_and_accession_number_alone_names_somebody(void **state)
{
    (void)state;
    struct finding_study study = study_row();
    const char **const values[] = {&study.patient_id, &study.patient_name, &study.accession};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        study.patient_id = study.patient_name = study.accession = "";
        assert_false(finding_names_somebody(&study));
        *values[i] = "A1";
        assert_true(finding_names_somebody(&study));
    }
}

static void no_finding_is_said_with_who_looked_and_for_what(void **state)
{
    (void)state;
    struct buffer out;
    struct finding_study study = study_row();
    make(&study, 0, &out);
    const struct hl7_message *message = parse(&out);
    assert_int_equal(hl7_count(message, "OBX"), 2);
    assert_field(message, "OBX", 1, 8, 1, "N");
    assert_field(message, "OBX", 1, 18, 1, "head-ct-hyperdense");
    assert_field(message, "OBX", 1, 5, 1,
                 "Nothing was found by head-ct-hyperdense 1.0.0, which looks for: Intracranial hemorrhage. Looked at: "
                 "20 images, 5242880 voxels. This does not exclude disease. Label: " LABEL);
    buffer_free(&out);
}

static void the_same_result_is_the_same_message_under_the_control_id_of_its_delivery(void **state)
{
    (void)state;
    struct buffer first, second;
    struct finding_study study = study_row();
    make(&study, 2, &first);
    make(&study, 2, &second);
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    assert_field(parse(&first), "MSH", 0, 10, 1, CONTROL);
    buffer_free(&first);
    buffer_free(&second);
}

// The message of a result with these two findings, after what was said before (NULL: nothing) with `status`.
static const struct hl7_message *say(const struct finding_result *result, const struct finding findings[2],
                                     const struct finding_said *before, const char *status, bool by_accession)
{
    struct buffer out;
    struct error err;
    struct finding_study study = study_row();
    buffer_init(&out, 1 << 20);
    assert_ok(finding_to_oru(&study, result, findings, result->outcome == FINDING_POSITIVE ? 2 : 0, before,
                             &(struct finding_receiver){"RIS", "TEST", status, by_accession, CONTROL},
                             INT64_C(1347635528123000000), &out, &err),
              err);
    const struct hl7_message *message = parse(&out);
    buffer_free(&out);
    return message;
}

// OBX as "item sub-ID status", by spaces.
static void assert_observations(const struct hl7_message *message, const char *want)
{
    char got[2048] = "";
    size_t used = 0;
    for (size_t i = 0; i < hl7_count(message, "OBX"); i++)
        used += (size_t)snprintf(
            got + used, sizeof got - used, "%s%s/%s/%s", i ? " " : "", hl7_get(message, "OBX", i, 3, 1, 1, 1, &scratch),
            hl7_get(message, "OBX", i, 4, 1, 1, 1, &scratch), hl7_get(message, "OBX", i, 11, 1, 1, 1, &scratch));
    assert_string_equal(got, want);
}

static void what_was_told_and_does_not_stand_any_more_is_deleted(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB);
    struct finding findings[2];
    two_findings(findings);
    const struct finding_said before = {&result, findings, 2, false};
    result.revision = 1;
    findings[0].state = FINDING_REJECTED;
    const struct hl7_message *message = say(&result, findings, &before, "P", false);
    assert_field(message, "OBR", 0, 25, 1, "P");
    assert_observations(message, "113014//O 121071/2/P 118565006/2/P 59776-5/2/P"
                                 " 121071/1/D 363698007/1/D 272741003/1/D 118565006/1/D 59776-5/1/D");
    findings[1].state = FINDING_REJECTED;
    message = say(&result, findings, &before, "P", false);
    assert_observations(message, "113014//O 59776-5/1/P"
                                 " 121071/1/D 363698007/1/D 272741003/1/D 118565006/1/D"
                                 " 121071/2/D 118565006/2/D 59776-5/2/D");
    const char *text = hl7_get(message, "OBX", 1, 5, 1, 1, 1, &scratch);
    if (strncmp(text, "A reviewer rejected all that was found by head-ct-hyperdense", 60) != 0)
        fail_msg("%s", text);
    findings[0].state = findings[1].state = FINDING_ACCEPTED; // and it comes back
    findings[0].judged_by = findings[1].judged_by = "Ann";
    message = say(&result, findings, &before, "P", false);
    assert_observations(message, "113014//O 121071/1/P 363698007/1/P 272741003/1/P 118565006/1/P 59776-5/1/P"
                                 " 121071/2/P 118565006/2/P 59776-5/2/P");
    assert_field(message, "OBX", 5, 5, 1,
                 "Suspected intracranial hemorrhage, left, 12.3 mL; " LABEL "; accepted by Ann (name as typed)");
}

static void a_newer_result_corrects_a_final_one_under_the_same_filler_number(void **state)
{
    (void)state;
    struct finding_result old = result_row("older"), new = result_row(JOB);
    struct finding findings[2];
    two_findings(findings);
    old.standing = FINDING_REPLACED;
    findings[0].state = findings[1].state = FINDING_SUPERSEDED;
    new.outcome = FINDING_NEGATIVE;
    struct finding_said before = {&old, findings, 2, true};
    const struct hl7_message *message = say(&new, NULL, &before, "F", false);
    assert_field(message, "OBR", 0, 3, 1, "0123456789abcdef0123");
    assert_field(message, "OBR", 0, 25, 1, "C");
    assert_observations(message, "113014//O 59776-5/1/C"
                                 " 121071/1/D 363698007/1/D 272741003/1/D 118565006/1/D"
                                 " 121071/2/D 118565006/2/D 59776-5/2/D");
    old.outcome = FINDING_NEGATIVE; // the other way round
    before = (struct finding_said){&old, NULL, 0, false};
    new.outcome = FINDING_POSITIVE;
    findings[0].state = findings[1].state = FINDING_UNVERIFIED;
    message = say(&new, findings, &before, "F", false);
    assert_field(message, "OBR", 0, 25, 1, "F");
    assert_observations(message, "113014//O 121071/1/F 363698007/1/F 272741003/1/F 118565006/1/F 59776-5/1/F"
                                 " 121071/2/F 118565006/2/F 59776-5/2/F");
}

static void a_message_of_earlier_images_says_so_first(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB);
    struct finding findings[2];
    two_findings(findings);
    result.is_earlier = true;
    assert_field(say(&result, findings, NULL, "R", false), "NTE", 0, 3, 1,
                 "This is said of earlier images; those that are there now have no answer yet. Looked at: 20 images, "
                 "5242880 voxels");
}

static void what_is_withdrawn_was_wrong_and_nothing_takes_its_place(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB);
    struct finding findings[2];
    two_findings(findings);
    findings[0].state = findings[1].state = FINDING_SUPERSEDED;
    result.standing = FINDING_WITHDRAWN;
    result.reason = "objects of two patients";
    const struct finding_said before = {&result, findings, 2, false};
    const struct hl7_message *message = say(&result, findings, &before, "R", false);
    assert_field(message, "OBR", 0, 25, 1, "R");
    assert_field(message, "NTE", 0, 3, 1, "Withdrawn: objects of two patients");
    assert_observations(message, "113014//O 121071/1/W 363698007/1/W 272741003/1/W 118565006/1/W 59776-5/1/W"
                                 " 121071/2/W 118565006/2/W 59776-5/2/W");
}

static void what_could_not_be_analysed_says_why_with_status_x(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB), older = result_row("older");
    struct finding findings[2];
    two_findings(findings);
    result.outcome = FINDING_NOT_ANALYSED;
    result.reason = "a gap of 10.0 mm";
    const struct hl7_message *message = say(&result, NULL, NULL, "R", false);
    assert_field(message, "OBR", 0, 25, 1, "X");
    assert_observations(message, "113014//O 59776-5/1/X");
    assert_field(message, "OBX", 1, 5, 1, "head-ct-hyperdense not analysed: a gap of 10.0 mm");
    // A positive that was told is not taken back by it.
    const struct finding_said before = {&older, findings, 2, false};
    message = say(&result, NULL, &before, "R", false);
    assert_field(message, "OBR", 0, 25, 1, "R");
    assert_observations(message, "113014//O 121071/1/R 363698007/1/R 272741003/1/R 118565006/1/R 59776-5/1/R"
                                 " 121071/2/R 118565006/2/R 59776-5/2/R");
    assert_field(message, "NTE", 0, 3, 1,
                 "This was said of an earlier look, and stands. The newer look: not analysed: a gap of 10.0 mm");
}

static void under_an_accession_number_results_are_told_apart_by_their_sub_ids(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB);
    struct finding findings[2];
    two_findings(findings);
    const struct hl7_message *message = say(&result, findings, NULL, "R", true);
    assert_field(message, "OBR", 0, 3, 1, "ACC~7");
    assert_field(message, "OBR", 0, 18, 1, "ACC~7");
    assert_field(message, "OBX", 1, 4, 1, "01234567.1");
    assert_field(message, "OBX", 7, 4, 1, "01234567.2");
}

static void a_score_that_is_no_probability_is_not_told(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB);
    struct finding findings[2];
    two_findings(findings);
    const struct hl7_message *message = say(&result, findings, NULL, "R", false);
    for (size_t i = 0; i < hl7_count(message, "OBX"); i++) {
        assert_string_not_equal(hl7_get(message, "OBX", i, 3, 1, 1, 1, &scratch), "111012");
        assert_string_not_equal(hl7_get(message, "OBX", i, 6, 1, 1, 1, &scratch), "%");
        assert_field(message, "OBX", i, 9, 1, "");
        assert_null(strstr(hl7_get(message, "OBX", i, 5, 1, 1, 1, &scratch), "91"));
    }
}

static void another_state_is_another_message(void **state)
{
    (void)state;
    struct finding_result all[7];
    char controls[7][21];
    for (size_t i = 0; i < 7; i++)
        all[i] = result_row(JOB);
    all[1].revision = 1;
    all[2].standing = FINDING_WITHDRAWN;
    all[3].outcome = FINDING_NOT_ANALYSED;
    all[4].outcome = FINDING_NOT_ANALYSED;
    all[4].reason = "another";
    all[5].id = "another";
    for (size_t i = 0; i < 7; i++) {
        finding_oru_control(controls[i], &all[i], i == 6 ? 1 : 0); // the last: its images are others since
        assert_int_equal(strlen(controls[i]), 20);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(controls[i], controls[k]);
    }
}

static void times_that_are_none_are_left_out(void **state)
{
    (void)state;
    static const char *const rows[][3] = {
        {"20120914", "15.12.08", "20120914"},
        {"20120914", "1512", "201209141512+0000"},
        {"20120914", "", "20120914"},
        {"2012-09-14", "151208", ""},
        {"", "151208", ""},
        {"20120914x", "151208", ""},
        {"20120914", "151208.", "20120914151208+0000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buffer out;
        struct finding_study study = study_row();
        study.study_date = rows[i][0];
        study.study_time = rows[i][1];
        make(&study, 0, &out);
        assert_field(parse(&out), "OBR", 0, 7, 1, rows[i][2]);
        buffer_free(&out);
    }
}

static void a_study_of_which_nothing_is_known_gives_a_message_too(void **state)
{
    (void)state;
    struct buffer out;
    struct finding_study study = {.study = "1.2"};
    make(&study, 1, &out);
    const struct hl7_message *message = parse(&out);
    assert_field(message, "OBR", 0, 3, 1, "0123456789abcdef0123");
    assert_field(message, "PID", 0, 8, 1, "U");
    buffer_free(&out);
}

static void a_control_id_that_is_none_is_refused(void **state)
{
    static const char *const controls[] = {NULL, "", CONTROL "1"};
    (void)state;
    struct buffer out;
    struct error err;
    struct finding_study study = study_row();
    struct finding_result result = result_row(JOB);
    buffer_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++) {
        const struct finding_receiver receiver = {"", "", "R", false, controls[i]};
        assert_false(finding_to_oru(&study, &result, NULL, 0, NULL, &receiver, 0, &out, &err));
        assert_int_equal(err.code, ERROR_BAD_VALUE);
    }
    assert_int_equal(out.size, 0);
    buffer_free(&out);
}

static void a_status_of_no_table_is_refused(void **state)
{
    (void)state;
    struct buffer out;
    struct error err;
    struct finding_study study = study_row();
    struct finding_result result = result_row(JOB);
    buffer_init(&out, 1 << 20);
    assert_false(finding_to_oru(&study, &result, NULL, 0, NULL, &(struct finding_receiver){"", "", "Q", false, CONTROL},
                                0, &out, &err));
    assert_int_equal(err.code, ERROR_BAD_VALUE);
    assert_false(finding_to_oru(&study, &result, NULL, 0, NULL,
                                &(struct finding_receiver){"", "", NULL, false, CONTROL}, 0, &out, &err));
    assert_int_equal(out.size, 0);
    buffer_free(&out);
}

// The same again, after another reason or a reply that was lost: what was told before is this look itself.
static void a_look_without_an_answer_that_is_told_again_stands_on_nothing(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB);
    result.outcome = FINDING_NOT_ANALYSED;
    result.reason = "a gap between slices";
    const struct finding_said before = {&result, NULL, 0, false};
    const struct hl7_message *message = say(&result, NULL, &before, "R", false);
    assert_field(message, "OBR", 0, 25, 1, "X");
}

int test_oru(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(python_reads_the_message, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(each_finding_has_its_sub_id_values_and_flags, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(each_way_of_writing_a_name_is_a_repetition, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(a_name_without_letters_is_its_ideographs, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(what_shows_nothing_names_nobody, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(each_of_id_name_and_accession_number_alone_names_somebody, scratch_begin,
                                        scratch_end),
        cmocka_unit_test_setup_teardown(a_name_that_cannot_be_read_is_left_out_and_the_id_stays, scratch_begin,
                                        scratch_end),
        cmocka_unit_test_setup_teardown(no_finding_is_said_with_who_looked_and_for_what, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(the_same_result_is_the_same_message_under_the_control_id_of_its_delivery,
                                        scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(what_was_told_and_does_not_stand_any_more_is_deleted, scratch_begin,
                                        scratch_end),
        cmocka_unit_test_setup_teardown(a_newer_result_corrects_a_final_one_under_the_same_filler_number, scratch_begin,
                                        scratch_end),
        cmocka_unit_test_setup_teardown(a_message_of_earlier_images_says_so_first, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(what_is_withdrawn_was_wrong_and_nothing_takes_its_place, scratch_begin,
                                        scratch_end),
        cmocka_unit_test_setup_teardown(what_could_not_be_analysed_says_why_with_status_x, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(under_an_accession_number_results_are_told_apart_by_their_sub_ids,
                                        scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(a_score_that_is_no_probability_is_not_told, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(another_state_is_another_message, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(times_that_are_none_are_left_out, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(a_study_of_which_nothing_is_known_gives_a_message_too, scratch_begin,
                                        scratch_end),
        cmocka_unit_test_setup_teardown(a_control_id_that_is_none_is_refused, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(a_status_of_no_table_is_refused, scratch_begin, scratch_end),
        cmocka_unit_test(a_look_without_an_answer_that_is_told_again_stands_on_nothing),
    };
    return cmocka_run_group_tests_name("HL7 results", tests, NULL, NULL);
}
