// Whose objects a study has: several patients under one Study Instance UID, names that contradict each other, and what
// a level above owns.
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "archive/rows.h"

// Series and instance are as usual; `n` tells the objects apart.
static void put(struct place *p, struct object object, int n, struct archive_stored *out)
{
    char instance[32];
    snprintf(instance, sizeof instance, "1.2.3.4.%d", n);
    object.instance = instance;
    assert_ok(object_put(p, &object, out), p->err);
    assert_int_equal(out->outcome, ARCHIVE_STORED);
}

static unsigned flags_after(struct place *p, struct object object, int n)
{
    struct archive_stored stored;
    put(p, object, n, &stored);
    return stored.flags;
}

static const char *only_flag(struct place *p, const char *study)
{
    const char *flags[ARCHIVE_STUDY_FLAGS];
    size_t count;
    assert_ok(archive_study_flags(p->archive, ACCESS_ALL, study, &p->arena, flags, &count, &p->err), p->err);
    assert_true(count <= 1);
    return count ? flags[0] : "";
}

static const struct object second = {
    .patient_id = "P2", .patient_name = "Roe^Jane", .birth = "19800101", .sex = "F", .instance_number = "2"};

static void each_patient_of_a_study_is_found_with_what_is_theirs(void **state)
{
    struct place p;
    struct archive_stored stored;
    (void)state;
    place_open(&p);
    for (int i = 0; i < 2; i++)
        put(&p, (struct object){.sex = "M"}, i, &stored);
    for (int i = 2; i < 7; i++)
        put(&p, second, i, &stored);
    struct archive_row *row = find(&p, ARCHIVE_STUDY, 0x00100020, "P2", 1);
    assert_string_equal(field(row, 0x00100010), "Roe^Jane");
    assert_string_equal(field(row, 0x00100030), "19800101");
    assert_string_equal(field(row, 0x00100040), "F");
    assert_string_equal(field(row, 0x00201208), "5");
    row = find(&p, ARCHIVE_STUDY, 0x00100020, "P1", 1);
    assert_string_equal(field(row, 0x00100010), "M\xc3\xbcller^J\xc3\xb6rg");
    assert_string_equal(field(row, 0x00201206), "1");
    assert_string_equal(field(row, 0x00201208), "2");
    assert_string_equal(field(find(&p, ARCHIVE_STUDY, 0x00100010, "roe*", 1), 0x00100020), "P2");
    assert_string_equal(field(find(&p, ARCHIVE_STUDY, 0x00080090, "ref^doc", 2), 0x00100020), "P1");
    assert_string_equal(field(find(&p, ARCHIVE_SERIES, 0x00100020, "P2", 1), 0x00201209), "5");
    find(&p, ARCHIVE_SERIES, 0x0020000E, "1.2.3.4", 2);
    find(&p, ARCHIVE_INSTANCE, 0x00100020, "P2", 5);
    find(&p, ARCHIVE_INSTANCE, 0x00100020, "*", 7);
    find(&p, ARCHIVE_STUDY, 0x0020000D, "*", 2);
    place_close(&p);
}

static void assert_study(struct place *p, const char *patient, const char *accession, const char *referring,
                         const char *date)
{
    struct archive_row *row = find(p, ARCHIVE_STUDY, 0x00100020, patient, 1);
    assert_string_equal(field(row, 0x00080050), accession);
    assert_string_equal(field(row, 0x00080090), referring);
    assert_string_equal(field(row, 0x00080020), date);
}

// One Study Instance UID, and an accession number, a physician and a date of each one's own.
static void what_is_said_of_the_study_is_each_patient_s_own(void **state)
{
    struct place p;
    struct object other = second, bare = {0};
    (void)state;
    place_open(&p);
    other.accession = "A2";
    other.referring = "Other^Doc";
    other.date = "20260116";
    bare.accession = bare.referring = bare.date = "";
    assert_int_equal(flags_after(&p, bare, 1), 0);
    assert_int_equal(flags_after(&p, other, 2), ARCHIVE_FLAG_IDENTITY);
    assert_study(&p, "P1", "", "", "");
    assert_study(&p, "P2", "A2", "Other^Doc", "20260116");
    assert_int_equal(flags_after(&p, (struct object){0}, 3), 0);
    assert_study(&p, "P1", "A1", "Ref^Doc", "20260115");
    assert_study(&p, "P2", "A2", "Other^Doc", "20260116");
    assert_string_equal(field(find(&p, ARCHIVE_STUDY, 0x00080050, "A2", 1), 0x00100020), "P2");
    assert_string_equal(field(find(&p, ARCHIVE_STUDY, 0x00080090, "ref^doc", 1), 0x00100020), "P1");
    assert_string_equal(field(find(&p, ARCHIVE_SERIES, 0x00100020, "P2", 1), 0x00080050), "A2");
    assert_string_equal(shown(&p, "accession"), "A1");
    other.accession = "A3";
    assert_int_equal(flags_after(&p, other, 4), ARCHIVE_FLAG_IDENTITY | ARCHIVE_FLAG_LEVEL);
    place_close(&p);
}

// What was made here of a first patient's images shows nobody once these came again under another.
static void a_study_is_shown_under_the_patient_of_its_images_and_not_of_what_was_made_of_earlier_ones(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_object *objects;
    struct archive_row *rows;
    struct buffer data;
    struct archive_origin job = usual_origin, newest = usual_origin;
    size_t count;
    bool more;
    (void)state;
    place_open(&p);
    job.how = "job";
    newest.newest = true;
    put(&p, (struct object){0}, 1, &stored);
    object_write(&(struct object){.series = "1.2.3.9", .instance = "1.2.3.9.1"}, &data);
    assert_ok(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &job, &stored), p.err);
    buffer_free(&data);
    assert_string_equal(shown(&p, "patient_id"), "P1");
    struct object again = second;
    again.instance = "1.2.3.4.1";
    object_write(&again, &data);
    assert_ok(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &newest, &stored), p.err);
    buffer_free(&data);
    assert_int_equal(stored.outcome, ARCHIVE_REPLACED);
    assert_string_equal(shown(&p, "patient_id"), "P2");
    assert_string_equal(shown(&p, "patient_name"), "Roe^Jane");
    find(&p, ARCHIVE_STUDY, 0x0020000D, "1.2.3", 2);
    struct archive_query query = {.level = ARCHIVE_STUDY, .study = "1.2.3", .shown = true};
    assert_ok(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err), p.err);
    assert_int_equal(count, 1);
    assert_string_equal(field(rows, 0x00100020), "P2");
    assert_ok(archive_objects(p.archive, ACCESS_ALL, "1.2.3", "1.2.3.9", NULL, &p.arena, &objects, &count, &p.err),
              p.err);
    assert_string_equal(objects[0].patient_id, "P1");
    assert_int_equal(objects[0].patient_rank, 0);
    assert_ok(archive_objects(p.archive, ACCESS_ALL, NULL, NULL, "1.2.3.4.1", &p.arena, &objects, &count, &p.err),
              p.err);
    assert_int_equal(objects[0].patient_rank, 1);
    place_close(&p);
}

// Of a patient whose images are all served under another name now, a withdrawal is told still.
static void a_patient_of_whom_nothing_is_served_is_found_by_its_row(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_object *objects;
    struct archive_row *rows;
    struct buffer data;
    struct archive_origin newest = usual_origin;
    size_t count;
    bool more;
    (void)state;
    place_open(&p);
    newest.newest = true;
    put(&p, (struct object){0}, 1, &stored);
    assert_ok(archive_objects(p.archive, ACCESS_ALL, "1.2.3", NULL, NULL, &p.arena, &objects, &count, &p.err), p.err);
    struct object again = second;
    again.instance = "1.2.3.4.1";
    object_write(&again, &data);
    assert_ok(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &newest, &stored), p.err);
    buffer_free(&data);
    find(&p, ARCHIVE_STUDY, 0x0020000D, "1.2.3", 1);
    struct archive_query query = {.level = ARCHIVE_STUDY, .study = "1.2.3", .patient = objects[0].patient};
    assert_ok(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err), p.err);
    assert_int_equal(count, 1);
    assert_string_equal(field(rows, 0x00100020), "P1");
    place_close(&p);
}

static void objects_name_the_patient_they_are_of(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_object *objects;
    struct archive_row *rows;
    size_t count;
    bool more;
    (void)state;
    place_open(&p);
    put(&p, second, 1, &stored);
    put(&p, (struct object){.issuer = "SITE_A"}, 2, &stored);
    put(&p, second, 3, &stored);
    assert_ok(archive_objects(p.archive, ACCESS_ALL, "1.2.3", NULL, NULL, &p.arena, &objects, &count, &p.err), p.err);
    assert_int_equal(count, 3);
    assert_string_equal(objects[0].patient_id, "P2");
    assert_string_equal(objects[2].patient_id, "P1");
    assert_string_equal(objects[2].issuer, "SITE_A");
    assert_true(objects[0].patient == objects[1].patient && objects[0].patient != objects[2].patient);
    struct archive_query query = {.level = ARCHIVE_STUDY, .study = "1.2.3", .patient = objects[2].patient};
    assert_ok(archive_find(p.archive, ACCESS_ALL, &query, &p.arena, &rows, &count, &more, &p.err), p.err);
    assert_int_equal(count, 1);
    assert_string_equal(field(rows, 0x00100021), "SITE_A");
    place_close(&p);
}

static void two_patients_in_a_study_are_flagged_and_the_list_says_so(void **state)
{
    struct place p;
    struct archive_flagged *flagged;
    size_t count;
    (void)state;
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){0}, 1), 0);
    assert_string_equal(shown(&p, "identity"), "");
    assert_int_equal(flags_after(&p, second, 2), ARCHIVE_FLAG_IDENTITY);
    assert_int_equal(flags_after(&p, second, 3), ARCHIVE_FLAG_IDENTITY);
    assert_int_equal(flags_after(&p, (struct object){0}, 4), 0);
    assert_string_equal(shown(&p, "identity"), "objects of 2 patients: P1 M\xc3\xbcller J\xc3\xb6rg, P2 Roe Jane");
    assert_string_equal(shown(&p, "patient_id"), "P1");
    assert_ok(archive_flagged(p.archive, ACCESS_ALL, ARCHIVE_FLAG_IDENTITY, NULL, &p.arena, &flagged, &count, &p.err),
              p.err);
    assert_int_equal(count, 2);
    assert_int_equal(flagged[0].difference_count, 3);
    assert_int_equal(flagged[0].differences[0].tag, 0x00100010);
    assert_string_equal(flagged[0].differences[1].said, "P2");
    assert_string_equal(flagged[0].differences[1].known, "P1");
    assert_ok(archive_flagged(p.archive, ACCESS_ALL, ARCHIVE_FLAG_LEVEL, NULL, &p.arena, &flagged, &count, &p.err),
              p.err);
    assert_int_equal(count, 0);
    struct archive_faults faults;
    assert_ok(archive_count_faults(p.archive, &faults, &p.err), p.err);
    assert_true(faults.conflicts == 0 && faults.identity_studies == 1);
    for (size_t i = 0; i < ARCHIVE_FLAG_BITS; i++)
        assert_int_equal(faults.flagged[i], 1 << i == ARCHIVE_FLAG_IDENTITY ? 2 : 0);
    place_close(&p);
}

// How often a list hears of the study, of the events after one.
static size_t told(struct place *p, uint64_t after, const char *study)
{
    struct store_event *events;
    size_t count, told = 0;
    struct database *db = store_read_begin(p->store, &p->err);
    assert_ok(db && store_event_read(db, after, 100, &p->arena, &events, &count, &p->err), p->err);
    store_read_end(p->store, db);
    for (size_t i = 0; i < count; i++)
        told += events[i].kind == STORE_EVENT_WORKLIST_CHANGED && strcmp(events[i].study, study) == 0;
    return told;
}

static void assert_series_flags(struct place *p, size_t due)
{
    struct archive_flagged *flagged;
    struct archive_faults faults;
    size_t count;
    assert_ok(archive_flagged(p->archive, ACCESS_ALL, ARCHIVE_FLAG_SERIES, NULL, &p->arena, &flagged, &count, &p->err),
              p->err);
    assert_ok(archive_count_faults(p->archive, &faults, &p->err), p->err);
    assert_int_equal(count, due);
    assert_int_equal(faults.flagged[7], due);
}

// Two patients may have one ID.
static void who_has_the_series_uid_too_is_named_with_who_gave_the_id(void **state)
{
    struct place p;
    struct archive_stored stored;
    (void)state;
    place_open(&p);
    put(&p, (struct object){.issuer = "SITE_A"}, 1, &stored);
    put(&p, (struct object){.study = "1.2.9", .issuer = "SITE_B"}, 2, &stored);
    assert_string_equal(only_flag(&p, "1.2.3"), "series 1.2.3.4 of this study (1.2.3) is also in study 1.2.9 of patient"
                                                " P1 of SITE_B, accession number A1: one of the two has a wrong Series"
                                                " Instance UID");
    assert_string_equal(only_flag(&p, "1.2.9"), "series 1.2.3.4 of this study (1.2.9) is also in study 1.2.3 of patient"
                                                " P1 of SITE_A, accession number A1: one of the two has a wrong Series"
                                                " Instance UID");
    place_close(&p);
}

// A copy may keep it, and a sender may use one for two patients.
static void one_series_uid_in_two_studies_is_told_of_both(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct object other = second;
    (void)state;
    place_open(&p);
    put(&p, (struct object){0}, 1, &stored);
    assert_string_equal(only_flag(&p, "1.2.3"), "");
    uint64_t before = store_event_last(p.store);
    other.study = "1.2.9";
    other.accession = "A2";
    put(&p, other, 2, &stored);
    put(&p, other, 3, &stored);
    assert_string_equal(only_flag(&p, "1.2.3"), "series 1.2.3.4 of this study (1.2.3) is also in study 1.2.9 of patient"
                                                " P2, accession number A2: one of the two has a wrong Series Instance"
                                                " UID");
    assert_string_equal(only_flag(&p, "1.2.9"), "series 1.2.3.4 of this study (1.2.9) is also in study 1.2.3 of patient"
                                                " P1, accession number A1: one of the two has a wrong Series Instance"
                                                " UID");
    assert_int_equal(told(&p, before, "1.2.3"), 1);
    assert_int_equal(told(&p, before, "1.2.9"), 1);
    assert_series_flags(&p, 3); // those that came before it was shared too
    other.series = "1.2.9.1";
    other.study = "1.2.10";
    put(&p, other, 4, &stored);
    assert_string_equal(only_flag(&p, "1.2.10"), "");
    before = store_event_last(p.store);
    other.series = NULL;
    other.patient_id = other.accession = "";
    put(&p, other, 5, &stored);
    assert_int_equal(told(&p, before, "1.2.10"), 1);
    assert_int_equal(told(&p, before, "1.2.3") + told(&p, before, "1.2.9"), 0);
    assert_series_flags(&p, 4); // not the one of a series of its own
    place_close(&p);
}

// A wrong pick from a worklist may keep the ID and change the name.
static void another_name_under_the_same_id_is_flagged_and_found_and_no_new_patient(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){.sex = "M"}, 1), 0);
    assert_int_equal(flags_after(&p, (struct object){.patient_name = "Roe^Jane", .birth = "19500506", .sex = "F"}, 2),
                     ARCHIVE_FLAG_IDENTITY);
    assert_string_equal(shown(&p, "identity"), "name of P1: M\xc3\xbcller J\xc3\xb6rg or Roe Jane; birth date of P1: "
                                               "19500505 or 19500506; sex of P1: M or F");
    find(&p, ARCHIVE_STUDY, 0x00100020, "P1", 1);
    find(&p, ARCHIVE_STUDY, 0x00100010, "roe^jane", 1);
    find(&p, ARCHIVE_STUDY, 0x00100010, "m\xc3\xbcller^j\xc3\xb6rg", 1);
    find(&p, ARCHIVE_INSTANCE, 0x00100020, "P1", 2);
    place_close(&p);
}

static const struct object no_differences[] = {
    {.patient_name = "M\xc3\x9cLLER^J\xc3\x96RG^^"},
    {.patient_name = "M\xc3\xbcller^J\xc3\xb6rg=\xe5\xb1\xb1^\xe7\x94\xb0"},
    {.patient_name = "-"},
    {.patient_name = ""},
    {.patient_id = " P1 "},
    {.patient_id = ""},
    {.patient_id = "-", .patient_name = "-", .birth = "-"},
    {.issuer = ""},
    {.birth = "1950.05.05"},
    {.birth = ""},
    {.date = "", .accession = "", .study_description = "", .modality = "", .series_description = ""},
    {.time = "000000"},
};

static void what_is_absent_or_only_written_otherwise_is_no_difference(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){.issuer = "SITE_A", .sex = "M"}, 1000), 0);
    for (size_t i = 0; i < sizeof no_differences / sizeof *no_differences; i++)
        if ((flags_after(&p, no_differences[i], (int)i) & ~(unsigned)ARCHIVE_FLAG_NO_ID) != 0)
            fail_msg("case %zu is flagged", i);
    assert_string_equal(shown(&p, "identity"), "");
    find(&p, ARCHIVE_STUDY, 0x0020000D, "*", 1);
    find(&p, ARCHIVE_INSTANCE, 0x00100021, "SITE_A", sizeof no_differences / sizeof *no_differences + 1);
    place_close(&p);
}

// Who gave it is no ID.
static void a_study_that_names_an_issuer_and_no_patient_id_says_so(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){.patient_id = "", .issuer = "SITE_A"}, 1), ARCHIVE_FLAG_NO_ID);
    assert_string_equal(only_flag(&p, "1.2.3"),
                        "this study names no Patient ID: whose it is, only name and birth date tell");
    place_close(&p);
}

static void what_a_row_lacks_it_takes_from_the_next_object(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    assert_int_equal(
        flags_after(&p, (struct object){.patient_id = "", .patient_name = "", .birth = "", .accession = ""}, 1),
        ARCHIVE_FLAG_NO_ID);
    assert_string_equal(only_flag(&p, "1.2.3"),
                        "this study names no Patient ID: whose it is, only name and birth date tell");
    assert_int_equal(flags_after(&p, (struct object){.issuer = "SITE_A"}, 2), 0);
    assert_string_equal(only_flag(&p, "1.2.3"), "");
    struct archive_row *row = find(&p, ARCHIVE_STUDY, 0x00100020, "P1", 1);
    assert_string_equal(field(row, 0x00100021), "SITE_A");
    assert_string_equal(field(row, 0x00100030), "19500505");
    assert_string_equal(field(row, 0x00080050), "A1");
    assert_string_equal(field(row, 0x00201208), "2");
    find(&p, ARCHIVE_STUDY, 0x00100010, "m\xc3\xbcller*", 1);
    assert_int_equal(flags_after(&p, (struct object){.accession = "A2"}, 3), ARCHIVE_FLAG_LEVEL);
    place_close(&p);
}

static const char *zone_of_study(struct place *p, size_t of)
{
    return field(find(p, ARCHIVE_STUDY, 0x0020000D, "*", of), 0x00080201);
}

// A workstation's screen save has the scanner's time and its own zone; both name a moment only together.
static void the_zone_of_a_study_is_that_of_the_object_whose_time_it_is(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){0}, 1), 0);
    assert_int_equal(flags_after(&p, (struct object){.zone = "-0800"}, 2), 0);
    assert_string_equal(zone_of_study(&p, 1), "");
    place_close(&p);
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){.time = "", .zone = "-0800"}, 1), 0);
    assert_string_equal(zone_of_study(&p, 1), "-0800");
    place_close(&p);
}

// Which of the two moments it was nobody knows here.
static void objects_of_a_study_with_two_zones_are_flagged(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){.zone = "+0100"}, 1), 0);
    assert_int_equal(flags_after(&p, (struct object){.zone = "-0800"}, 2), ARCHIVE_FLAG_LEVEL);
    assert_string_equal(zone_of_study(&p, 1), "+0100");
    assert_string_equal(only_flag(&p, "1.2.3"), "");
    place_close(&p);
}

static void the_same_id_of_two_issuers_is_two_patients_and_without_one_it_is_neither(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){.issuer = "SITE_A"}, 1), 0);
    assert_int_equal(flags_after(&p, (struct object){.issuer = "SITE_B"}, 2), ARCHIVE_FLAG_IDENTITY);
    assert_int_equal(flags_after(&p, (struct object){0}, 3), 0);
    find(&p, ARCHIVE_STUDY, 0x00100020, "P1", 3);
    find(&p, ARCHIVE_INSTANCE, 0x00100021, "SITE_B", 1);
    place_close(&p);
}

// Without an ID only name and birth date say whose it is.
static void an_object_without_id_of_another_name_is_another_patient_s(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){0}, 1), 0);
    assert_int_equal(flags_after(&p, (struct object){.patient_id = "", .patient_name = "Roe^Jane"}, 2),
                     ARCHIVE_FLAG_IDENTITY | ARCHIVE_FLAG_NO_ID);
    find(&p, ARCHIVE_STUDY, 0x0020000D, "*", 2);
    assert_string_equal(shown(&p, "identity"),
                        "objects of 2 patients: P1 M\xc3\xbcller J\xc3\xb6rg, one without ID Roe Jane");
    place_close(&p);
}

// What jobs make says of the patient what its source said, which may have been corrected since.
static void what_is_made_here_is_no_witness(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_origin origin = usual_origin;
    struct buffer data;
    (void)state;
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){.patient_name = "New^Name", .issuer = "SITE_A"}, 1), 0);
    origin.how = "job";
    object_write(&(struct object){.series = "1.9", .patient_name = "Old^Name"}, &data);
    assert_ok(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &origin, &stored), p.err);
    buffer_free(&data);
    assert_int_equal(stored.flags, 0);
    assert_string_equal(shown(&p, "identity"), "");
    find(&p, ARCHIVE_STUDY, 0x0020000D, "*", 1);
    place_close(&p);
}

static const struct {
    struct object object;
    dicom_tag tag;
    const char *said, *known;
} owned[] = {
    {{.date = "20260116"}, 0x00080020, "20260116", "20260115"},
    {{.accession = "A2"}, 0x00080050, "A2", "A1"},
    {{.referring = "Other^Doc"}, 0x00080090, "Other^Doc", "Ref^Doc"},
    {{.study_description = "CT chest"}, 0x00081030, "CT chest", "CT [head]"},
    {{.modality = "MR"}, 0x00080060, "MR", "CT"},
    {{.series_description = "Sagittal"}, 0x0008103E, "Sagittal", "Axial"},
    {{.series_number = "8"}, 0x00200011, "8", "7"},
    {{.frame_of_reference = "1.8"}, 0x00200052, "1.8", "1.7"},
};

static void what_study_or_series_own_is_flagged_with_both_values_and_not_on_the_list(void **state)
{
    struct place p;
    struct archive_flagged *flagged;
    size_t count;
    (void)state;
    place_open(&p);
    assert_int_equal(flags_after(&p, (struct object){.frame_of_reference = "1.7"}, 1000), 0);
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        if (flags_after(&p, owned[i].object, (int)i) != ARCHIVE_FLAG_LEVEL)
            fail_msg("case %zu", i);
        assert_ok(archive_flagged(p.archive, ACCESS_ALL, 0, NULL, &p.arena, &flagged, &count, &p.err), p.err);
        assert_int_equal(count, i + 1);
        assert_int_equal(flagged[0].difference_count, 1);
        assert_int_equal(flagged[0].differences[0].tag, owned[i].tag);
        assert_string_equal(flagged[0].differences[0].said, owned[i].said);
        assert_string_equal(flagged[0].differences[0].known, owned[i].known);
    }
    assert_string_equal(shown(&p, "identity"), "");
    assert_int_equal(flags_after(&p, (struct object){.series = "1.9", .modality = "MR", .series_number = "9"}, 999), 0);
    place_close(&p);
}

static void a_study_takes_no_more_ways_to_name_a_patient_than_the_limit(void **state)
{
    struct place p;
    struct archive_stored stored;
    char id[16];
    (void)state;
    place_open(&p);
    for (int i = 0; i < ROWS_IDENTITIES_MAX; i++) {
        snprintf(id, sizeof id, "P%d", i);
        put(&p, (struct object){.patient_id = id}, i, &stored);
        arena_reset(&p.arena);
    }
    assert_false(object_put(&p, &(struct object){.patient_id = "one more", .instance = "1.1"}, &stored));
    assert_int_equal(error_dimse(p.err.code), 0xA900); // not A7xx, which is sent again for ever
    put(&p, (struct object){.patient_id = "P7"}, ROWS_IDENTITIES_MAX, &stored);
    assert_true(strstr(shown(&p, "identity"), "objects of 200 patients: P0 ") != NULL);
    assert_true(strstr(shown(&p, "identity"), "those that name another are refused") != NULL);
    place_close(&p);
}

// ---- a folder of the program before

static bool fill_old(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err,
                   "INSERT INTO study(uid, patient_id, issuer, patient_name, birth_date, sex, date, time, accession,"
                   " referring, study_id, description, modalities, series_count, instance_count)"
                   " VALUES('1.2.3', 'P1', 'SITE_A', 'Doe^John', '19500505', 'M', '20260115', '', 'A1', 'Ref^Doc', '',"
                   " '', 'CT', 1, 2)",
                   "") &&
           sql_run(db, err,
                   "INSERT INTO series(study, uid, modality, number, description, body_part, laterality, date, time,"
                   " station, manufacturer, model, protocol, step_date, step_time, instance_count)"
                   " VALUES(1, '1.2.3.4', 'CT', '7', 'Axial', '', '', '', '', '', '', '', '', '', '', 2)",
                   "") &&
           sql_run(
               db, err,
               "INSERT INTO instance(series, uid, class, number, rows, columns, bits, frames, syntax, container,"
               " offset, size, header_size, arrival, digest, received_ns, flags, rank)"
               " VALUES(1, '1.2.3.4.1', '1.2', '1', '', '', '', '', '1.2.840.10008.1.2.1', 999, 64, 1, 1, 1, x'00', 1,"
               " 0, 0), (1, '1.2.3.4.2', '1.2', '2', '', '', '', '', '1.2.840.10008.1.2.1', 999, 464, 1, 1, 2, x'00',"
               " 1, 0, 0)",
               "") &&
           sql_run(db, err,
                   "INSERT INTO study_name(tag, key, study) VALUES(1048592, 'DOE JOHN', 1), (524432, 'REF DOC', 1)",
                   "");
}

static void remove_database(struct place *p)
{
    char path[PLACE_PATH + 32];
    place_stop(p);
    for (size_t i = 0; i < 4; i++) {
        static const char *const names[] = {"hilum.db", "hilum.db-wal", "hilum.db-shm", "anchor"};
        snprintf(path, sizeof path, "%s/%s", p->folder, names[i]);
        remove(path);
    }
}

// A folder that a program has left that did not have the step with these words yet.
static void open_before(struct place *p, const char *words, store_write_fn *fill)
{
    const char *steps[64] = {NULL};
    for (size_t i = 0; !strstr(rows_migration.steps[i], words); i++)
        steps[i] = rows_migration.steps[i];
    place_open(p);
    remove_database(p);
    p->store = store_open(&(struct store_options){.folder = p->folder}, &p->err);
    assert_ok(p->store != NULL, p->err);
    assert_ok(store_migrate(p->store, &(struct store_migration){.room = "archive", .steps = steps}, &p->err), p->err);
    assert_ok(store_write(p->store, STORE_DURABLE, fill, NULL, &p->err), p->err);
    store_close(p->store);
    place_start(p);
}

// Every statement of the schema but for its blanks, by name.
static bool read_schema(struct database *db, void *payload, struct error *err)
{
    struct buffer *out = payload;
    struct sql *sql = sql_prepare(
        db, "SELECT name, coalesce(sql, '') FROM sqlite_schema WHERE name<>'migration' ORDER BY type, name", err);
    bool row = true, ok = sql != NULL;
    while (ok && (ok = sql_step(sql, &row, err)) && row)
        for (int column = 0; column < 2; column++)
            for (const char *c = sql_text(sql, column); *c; c++)
                if (*c != ' ')
                    buffer_append(out, c, 1);
    sql_done(sql);
    return ok;
}

static void a_new_database_is_as_one_that_took_every_step(void **state)
{
    const struct store_migration all_steps = {.room = "archive", .steps = rows_migration.steps};
    const struct store_migration *ways[] = {&all_steps, &rows_migration};
    struct buffer schemas[2];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct place p;
        place_open(&p);
        remove_database(&p);
        p.store = store_open(&(struct store_options){.folder = p.folder}, &p.err);
        assert_ok(p.store != NULL, p.err);
        assert_ok(store_migrate(p.store, ways[i], &p.err), p.err);
        buffer_init(&schemas[i], 1 << 20);
        assert_ok(store_write(p.store, STORE_DURABLE, read_schema, &schemas[i], &p.err), p.err);
        store_close(p.store);
        place_start(&p);
        place_close(&p);
    }
    assert_true(schemas[0].size > 8000);
    assert_int_equal(schemas[0].size, schemas[1].size);
    assert_memory_equal(schemas[0].data, schemas[1].data, schemas[0].size);
    buffer_free(&schemas[0]);
    buffer_free(&schemas[1]);
}

static void a_database_of_the_program_before_is_taken_over(void **state)
{
    struct place p;
    struct archive_stored stored;
    (void)state;
    open_before(&p, "CREATE TABLE study_patient(", fill_old);
    assert_string_equal(shown(&p, "patient_name"), "Doe^John");
    assert_string_equal(field(find(&p, ARCHIVE_INSTANCE, 0x00100010, "doe*", 2), 0x00100021), "SITE_A");
    assert_string_equal(field(find(&p, ARCHIVE_STUDY, 0x00080090, "ref^doc", 1), 0x00201208), "2");
    assert_int_equal(flags_after(&p, (struct object){.patient_name = "Doe^John", .issuer = "SITE_A"}, 3), 0);
    put(&p, (struct object){.patient_name = "Roe^Jane", .patient_id = "P2"}, 4, &stored);
    assert_string_equal(shown(&p, "identity"), "objects of 2 patients: P1 (SITE_A) Doe John, P2 Roe Jane");
    find(&p, ARCHIVE_SERIES, 0x0020000E, "1.2.3.4", 2);
    place_close(&p);
}

// Two patients under a study's one row; the second one's accession number contradicted it.
static bool fill_two(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err,
                   "INSERT INTO study(uid, date, time, accession, referring, study_id, description)"
                   " VALUES('1.2.3', '20260115', '1200', 'A1', 'Ref^Doc', '', 'CT')",
                   "") &&
           sql_run(db, err,
                   "INSERT INTO study_patient(study, rank, patient_id, issuer, patient_name, birth_date, sex,"
                   " series_count, instance_count) VALUES(1, 0, 'P1', '', 'Doe^John', '', '', 1, 1),"
                   " (1, 1, 'P2', '', 'Roe^Jane', '', '', 1, 1)",
                   "") &&
           sql_run(db, err,
                   "INSERT INTO series(patient, uid, modality, number, description, body_part, laterality, date, time,"
                   " station, manufacturer, model, protocol, step_date, step_time, instance_count) VALUES"
                   " (1, '1.2.3.4', 'CT', '', '', '', '', '', '', '', '', '', '', '', '', 1),"
                   " (2, '1.2.3.5', 'CT', '', '', '', '', '', '', '', '', '', '', '', '', 1)",
                   "") &&
           sql_run(db, err,
                   "INSERT INTO instance(series, uid, class, number, rows, columns, bits, frames, syntax, container,"
                   " offset, size, header_size, arrival, digest, received_ns, flags, rank) VALUES(1, '1.2.3.4.1',"
                   " '1.2', '1', '', '', '', '', '1.2.840.10008.1.2.1', 999, 64, 1, 1, 1, x'00', 1, 0, 0),"
                   " (2, '1.2.3.5.1', '1.2', '1', '', '', '', '', '1.2.840.10008.1.2.1', 999, 464, 1, 1, 2, x'00', 1,"
                   " 0, 0)",
                   "") &&
           sql_run(db, err, "INSERT INTO difference(instance, tag, said, known) VALUES(2, 524368, 'A2', 'A1')", "");
}

static void two_patients_of_the_program_before_get_what_is_known_to_be_theirs(void **state)
{
    struct place p;
    (void)state;
    open_before(&p, "ALTER TABLE study_patient ADD COLUMN accession", fill_two);
    assert_study(&p, "P1", "A1", "Ref^Doc", "20260115");
    assert_study(&p, "P2", "A2", "Ref^Doc", "20260115");
    assert_string_equal(field(find(&p, ARCHIVE_STUDY, 0x00100020, "P2", 1), 0x00080030),
                        ""); // whose it was is not known
    assert_string_equal(shown(&p, "accession"), "A1");
    place_close(&p);
}

// Two studies with one Series Instance UID, from before their objects were flagged, and one with its own.
static bool fill_shared(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err, "INSERT INTO study(uid) VALUES('1.1'), ('1.2'), ('1.3')", "") &&
           sql_run(db, err,
                   "INSERT INTO study_patient(study, rank, patient_id, issuer, patient_name, birth_date, sex)"
                   " VALUES(1, 0, 'P1', '', '', '', ''), (2, 0, 'P2', '', '', '', ''), (3, 0, 'P3', '', '', '', ''),"
                   " (3, 1, 'P4', '', '', '', '')",
                   "") &&
           sql_run(db, err,
                   "INSERT INTO series(patient, uid, modality, number, description, body_part, laterality, date, time,"
                   " station, manufacturer, model, protocol, step_date, step_time) SELECT id, CASE WHEN study=3 THEN"
                   " '2.2' ELSE '2.1' END, 'CT', '', '', '', '', '', '', '', '', '', '', '', '' FROM study_patient",
                   "") &&
           sql_run(db, err,
                   "INSERT INTO instance(series, uid, class, number, rows, columns, bits, frames, syntax, container,"
                   " offset, size, header_size, arrival, digest, received_ns, flags, rank) SELECT id, '3.' || id,"
                   " '1.2', '1', '', '', '', '', '1.2.840.10008.1.2.1', 999, 64 + 400*id, 1, 1, id, x'00', 1, 0, 0 FROM"
                   " series",
                   "");
}

static void a_series_uid_that_two_studies_of_the_program_before_share_is_flagged(void **state)
{
    struct place p;
    (void)state;
    open_before(&p, "flags=flags | 128", fill_shared);
    assert_series_flags(&p, 2); // not those of two patients of one study
    place_close(&p);
}

// Objects of a patient without ID and of others, from before the first were flagged.
static bool fill_unidentified(struct database *db, void *payload, struct error *err)
{
    return fill_shared(db, payload, err) &&
           sql_run(db, err, "UPDATE study_patient SET patient_id='' WHERE patient_id='P2'", "") &&
           sql_run(db, err,
                   "INSERT INTO identity(id, patient, patient_id, issuer, patient_name, birth_date, sex, served)"
                   " SELECT id, id, patient_id, '', '', '', '', 1 FROM study_patient",
                   "") &&
           sql_run(db, err, "UPDATE instance SET identity=(SELECT patient FROM series WHERE series.id=series)", "");
}

static void objects_of_the_program_before_that_name_no_patient_id_are_flagged(void **state)
{
    struct place p;
    struct archive_flagged *flagged;
    size_t count;
    (void)state;
    open_before(&p, "flags=flags | 256", fill_unidentified);
    assert_ok(archive_flagged(p.archive, ACCESS_ALL, ARCHIVE_FLAG_NO_ID, NULL, &p.arena, &flagged, &count, &p.err),
              p.err);
    assert_int_equal(count, 1);
    assert_string_equal(flagged[0].object.study, "1.2");
    place_close(&p);
}

int test_patients(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_patient_of_a_study_is_found_with_what_is_theirs),
        cmocka_unit_test(what_is_said_of_the_study_is_each_patient_s_own),
        cmocka_unit_test(a_study_is_shown_under_the_patient_of_its_images_and_not_of_what_was_made_of_earlier_ones),
        cmocka_unit_test(a_patient_of_whom_nothing_is_served_is_found_by_its_row),
        cmocka_unit_test(objects_name_the_patient_they_are_of),
        cmocka_unit_test(two_patients_in_a_study_are_flagged_and_the_list_says_so),
        cmocka_unit_test(another_name_under_the_same_id_is_flagged_and_found_and_no_new_patient),
        cmocka_unit_test(what_is_absent_or_only_written_otherwise_is_no_difference),
        cmocka_unit_test(a_study_that_names_an_issuer_and_no_patient_id_says_so),
        cmocka_unit_test(what_a_row_lacks_it_takes_from_the_next_object),
        cmocka_unit_test(the_zone_of_a_study_is_that_of_the_object_whose_time_it_is),
        cmocka_unit_test(objects_of_a_study_with_two_zones_are_flagged),
        cmocka_unit_test(the_same_id_of_two_issuers_is_two_patients_and_without_one_it_is_neither),
        cmocka_unit_test(an_object_without_id_of_another_name_is_another_patient_s),
        cmocka_unit_test(what_is_made_here_is_no_witness),
        cmocka_unit_test(one_series_uid_in_two_studies_is_told_of_both),
        cmocka_unit_test(who_has_the_series_uid_too_is_named_with_who_gave_the_id),
        cmocka_unit_test(what_study_or_series_own_is_flagged_with_both_values_and_not_on_the_list),
        cmocka_unit_test(a_study_takes_no_more_ways_to_name_a_patient_than_the_limit),
        cmocka_unit_test(a_new_database_is_as_one_that_took_every_step),
        cmocka_unit_test(a_database_of_the_program_before_is_taken_over),
        cmocka_unit_test(two_patients_of_the_program_before_get_what_is_known_to_be_theirs),
        cmocka_unit_test(a_series_uid_that_two_studies_of_the_program_before_share_is_flagged),
        cmocka_unit_test(objects_of_the_program_before_that_name_no_patient_id_are_flagged),
    };
    return cmocka_run_group_tests_name("patients", tests, NULL, NULL);
}
