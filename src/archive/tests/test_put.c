// What is stored, what is the same, what is kept beside, what is refused.
#include "support.h"

#include <string.h>

#include "store/event.h"

static int64_t instances(struct place *p)
{
    struct archive_counts counts;
    assert_ok(archive_count(p->archive, ACCESS_ALL, &counts, &p->err), p->err);
    return counts.instances;
}

static void a_stored_object_is_there_in_rows_event_and_bytes(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_object *objects;
    struct buffer sent, kept;
    size_t count;
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){.pixels = true}, &stored), p.err);
    assert_int_equal(stored.outcome, ARCHIVE_STORED);
    assert_string_equal(stored.study, "1.2.3");
    assert_string_equal(stored.sop_instance, "1.2.3.4.5");
    assert_string_equal(stored.patient_id, "P1");
    assert_int_equal(store_event_last(p.store), 1);
    assert_ok(archive_objects(p.archive, ACCESS_ALL, "1.2.3", NULL, NULL, &p.arena, &objects, &count, &p.err), p.err);
    assert_int_equal(count, 1);
    object_write(&(struct object){.pixels = true}, &sent);
    buffer_init(&kept, 1 << 20);
    assert_ok(store_read(p.store, &objects[0].place, &kept, &p.err), p.err);
    assert_int_equal(kept.size, sent.size);
    assert_memory_equal(kept.data, sent.data, sent.size);
    buffer_free(&sent);
    buffer_free(&kept);
    place_close(&p);
}

static void the_same_bytes_again_are_the_same_object(void **state)
{
    struct place p;
    struct archive_stored stored;
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){0}, &stored), p.err);
    assert_ok(object_put(&p, &(struct object){0}, &stored), p.err);
    assert_int_equal(stored.outcome, ARCHIVE_SAME);
    place_reopen(&p);
    assert_ok(object_put(&p, &(struct object){0}, &stored), p.err);
    assert_int_equal(stored.outcome, ARCHIVE_SAME);
    assert_int_equal(instances(&p), 1);
    assert_int_equal(store_event_last(p.store), 1);
    place_close(&p);
}

static void other_bytes_under_a_known_uid_are_kept_beside_and_the_first_is_served(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_object *objects;
    size_t count;
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){.pixels = true, .fill = 1}, &stored), p.err);
    assert_ok(object_put(&p, &(struct object){.pixels = true, .fill = 2}, &stored), p.err);
    assert_int_equal(stored.outcome, ARCHIVE_KEPT_BESIDE);
    assert_int_equal(stored.flags & ARCHIVE_FLAG_CONFLICT, ARCHIVE_FLAG_CONFLICT);
    assert_ok(archive_objects(p.archive, ACCESS_ALL, NULL, NULL, "1.2.3.4.5", &p.arena, &objects, &count, &p.err),
              p.err);
    assert_int_equal(count, 1);
    struct buffer served;
    buffer_init(&served, 1 << 20);
    assert_ok(store_read(p.store, &objects[0].place, &served, &p.err), p.err);
    assert_int_equal(served.data[served.size - 1], 1);
    buffer_free(&served);
    assert_ok(archive_versions(p.archive, ACCESS_ALL, "1.2.3.4.5", &p.arena, &objects, &count, &p.err), p.err);
    assert_int_equal(count, 2);
    assert_int_equal(instances(&p), 1);
    assert_int_equal(find_count(&p, ARCHIVE_INSTANCE, 0x00080018, "1.2.3.4.5"), 1);
    place_close(&p);
}

// A list must name nothing that cannot be had.
static void a_series_of_nothing_but_objects_kept_beside_is_not_listed(void **state)
{
    struct place p;
    struct archive_stored stored;
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){0}, &stored), p.err);
    assert_ok(object_put(&p, &(struct object){.series = "1.2.3.9", .modality = "MR"}, &stored), p.err);
    assert_int_equal(stored.outcome, ARCHIVE_KEPT_BESIDE);
    assert_ok(object_put(&p, &(struct object){.study = "1.9", .series = "1.9.1"}, &stored), p.err);
    assert_int_equal(stored.outcome, ARCHIVE_KEPT_BESIDE);
    assert_int_equal(find_count(&p, ARCHIVE_SERIES, 0x0020000E, "*"), 1);
    assert_int_equal(find_count(&p, ARCHIVE_STUDY, 0x0020000D, "*"), 1);
    assert_int_equal(find_count(&p, ARCHIVE_STUDY, 0x00080061, "MR"), 0);
    assert_ok(object_put(&p, &(struct object){.series = "1.2.3.9", .modality = "MR", .instance = "1.2.3.9.1"}, &stored),
              p.err);
    assert_int_equal(find_count(&p, ARCHIVE_SERIES, 0x0020000E, "*"), 2);
    assert_int_equal(find_count(&p, ARCHIVE_STUDY, 0x00080061, "MR"), 1);
    place_close(&p);
}

static const struct {
    struct object object;
    const char *named;
} refused[] = {
    {{.instance = "-"}, "SOP Instance UID"},
    {{.instance = ""}, "SOP Instance UID"},
    {{.instance = "../../etc/passwd"}, "SOP Instance UID"},
    {{.instance = "..."}, "SOP Instance UID"},
    {{.instance = "1.2.3 4"}, "SOP Instance UID"},
    {{.instance = "1.2\\1.3"}, "SOP Instance UID"},
    {{.instance = "1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
                  "12345678901234567890123456789"},
     "SOP Instance UID"},
    {{.class = "-"}, "SOP Class UID"},
    {{.study = "-"}, "Study Instance UID"},
    {{.series = ""}, "Series Instance UID"},
    {{.series = "'; DROP TABLE study;--"}, "Series Instance UID"},
};

static void objects_without_an_identity_are_refused_by_name_and_leave_nothing(void **state)
{
    struct place p;
    struct archive_stored stored;
    (void)state;
    place_open(&p);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (object_put(&p, &refused[i].object, &stored))
            fail_msg("case %zu is taken", i);
        assert_int_equal(p.err.code, ERROR_MISMATCH);
        if (!strstr(p.err.message, refused[i].named))
            fail_msg("case %zu: %s", i, p.err.message);
    }
    assert_int_equal(instances(&p), 0);
    assert_int_equal(store_event_last(p.store), 0);
    assert_int_equal(place_files(&p, "quarantine", ".dcm"), 0);
    assert_ok(object_put(&p, &(struct object){0}, &stored), p.err);
    place_close(&p);
}

static void an_identity_other_than_the_message_s_is_refused(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_origin origin = usual_origin;
    struct buffer data;
    (void)state;
    place_open(&p);
    object_write(&(struct object){0}, &data);
    origin.sop_instance = "9.9.9";
    assert_false(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &origin, &stored));
    assert_int_equal(p.err.code, ERROR_MISMATCH);
    origin.sop_instance = "1.2.3.4.5";
    origin.sop_class = "1.2.840.10008.5.1.4.1.1.2";
    assert_false(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &origin, &stored));
    assert_int_equal(p.err.code, ERROR_MISMATCH);
    origin.sop_class = "1.2.840.10008.5.1.4.1.1.7";
    assert_ok(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &origin, &stored), p.err);
    buffer_free(&data);
    place_close(&p);
}

static void unfit_uids_that_can_be_keys_are_taken_with_a_flag(void **state)
{
    struct place p;
    struct archive_stored stored;
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){.instance = "1..3"}, &stored), p.err);
    assert_int_equal(stored.flags, ARCHIVE_FLAG_UID);
    assert_ok(object_put(&p, &(struct object){.instance = "1.02.4", .charset = "ISO_IR 999"}, &stored), p.err);
    assert_int_equal(stored.flags, ARCHIVE_FLAG_CHARSET); // leading zeros are seen too often to flag
    place_close(&p);
}

static void what_is_no_data_set_goes_to_the_quarantine_whole(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct buffer data;
    (void)state;
    place_open(&p);
    object_write(&(struct object){0}, &data);
    buffer_append(&data, "\xE0\x7F\x10\x00OW\0\0\xF0\xFF\xFF\x7F", 12); // pixels that say they have 2 GiB
    assert_false(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &usual_origin, &stored));
    assert_int_equal(p.err.code, ERROR_BAD_DATA);
    assert_int_equal(place_files(&p, "quarantine", ".dcm"), 1);
    assert_int_equal(place_files(&p, "quarantine", ".txt"), 1);
    assert_int_equal(instances(&p), 0);
    assert_ok(object_put(&p, &(struct object){0}, &stored), p.err); // and the lane goes on
    buffer_free(&data);
    place_close(&p);
}

static bool broken_next(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    struct source_memory *memory = payload;
    if (memory->size == 0)
        return error_set(err, ERROR_CLOSED, "the peer went away");
    *data = memory->data;
    *size = memory->size;
    memory->size = 0;
    return true;
}

static void a_source_that_breaks_leaves_nothing(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct buffer data;
    (void)state;
    place_open(&p);
    object_write(&(struct object){.pixels = true}, &data);
    struct source_memory memory = {data.data, data.size / 2};
    assert_false(archive_put(p.writer, (struct source){.next = broken_next, .payload = &memory}, DICOM_TS_EXPLICIT,
                             &usual_origin, 1000, &stored, &p.err));
    assert_int_equal(p.err.code, ERROR_CLOSED);
    assert_int_equal(instances(&p), 0);
    assert_int_equal(place_files(&p, "quarantine", ".dcm"), 0);
    assert_ok(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &usual_origin, &stored), p.err);
    assert_int_equal(stored.outcome, ARCHIVE_STORED);
    buffer_free(&data);
    place_close(&p);
}

static void the_default_issuer_is_laid_over_objects_without_one(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_origin origin = usual_origin;
    struct buffer data;
    (void)state;
    place_open(&p);
    origin.issuer = "SITE_A";
    object_write(&(struct object){0}, &data);
    assert_ok(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &origin, &stored), p.err);
    buffer_free(&data);
    object_write(&(struct object){.study = "1.9", .series = "1.9.1", .instance = "1.9.1.1", .issuer = "OWN"}, &data);
    assert_ok(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &origin, &stored), p.err);
    buffer_free(&data);
    assert_int_equal(find_count(&p, ARCHIVE_STUDY, 0x00100021, "SITE_A"), 1);
    assert_int_equal(find_count(&p, ARCHIVE_STUDY, 0x00100021, "OWN"), 1);
    place_close(&p);
}

// Latin-1 without a character set, from one who is known for it, and from one who is not.
static void text_is_read_as_its_sender_is_known_for_and_flagged_when_it_cannot_be(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_origin origin = usual_origin;
    struct archive_object *objects;
    const struct dicom_dataset *header;
    size_t count;
    struct buffer data;
    (void)state;
    place_open(&p);
    origin.charset = "ISO_IR 100";
    object_write(&(struct object){.charset = "-", .patient_name = "M\xFCller^J\xF6rg", .pixels = true}, &data);
    assert_ok(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &origin, &stored), p.err);
    assert_int_equal(stored.flags, 0);
    assert_int_equal(find_count(&p, ARCHIVE_STUDY, 0x00100010, "Müller^Jörg"), 1);
    assert_ok(archive_objects(p.archive, ACCESS_ALL, "1.2.3", NULL, NULL, &p.arena, &objects, &count, &p.err), p.err);
    assert_string_equal(objects[0].charset, "ISO_IR 100");
    assert_ok(archive_header(p.archive, &objects[0], 4096, &p.arena, &header, &p.err), p.err);
    assert_string_equal(dicom_text(header, 0x00100010, &p.arena), "Müller^Jörg");
    assert_ok(archive_dataset(p.archive, &objects[0], 4096, &p.arena, &header, &p.err), p.err);
    assert_string_equal(dicom_text(header, 0x00100010, &p.arena), "Müller^Jörg");
    buffer_free(&data);
    object_write(
        &(struct object){
            .charset = "-", .patient_name = "M\xFCller", .study = "1.9", .series = "1.9.1", .instance = "1.9.1.1"},
        &data);
    origin.charset = "";
    assert_ok(bytes_put(&p, data.data, data.size, DICOM_TS_EXPLICIT, &origin, &stored), p.err);
    assert_int_equal(stored.flags, ARCHIVE_FLAG_CHARSET);
    buffer_free(&data);
    assert_ok(object_put(&p,
                         &(struct object){.charset = "-", .study = "1.10", .series = "1.10.1", .instance = "1.10.1.1"},
                         &stored),
              p.err); // UTF-8 shows itself
    assert_int_equal(stored.flags, 0);
    place_close(&p);
}

static void usable_uids_are_told_from_others(void **state)
{
    (void)state;
    assert_true(archive_uid_is_usable("1.2.840"));
    assert_true(archive_uid_is_usable("abc-1"));
    assert_false(archive_uid_is_usable(""));
    assert_false(archive_uid_is_usable("."));
    assert_false(archive_uid_is_usable(".1"));
    assert_false(archive_uid_is_usable("--"));
    assert_false(archive_uid_is_usable("1/2"));
    assert_false(archive_uid_is_usable("1%"));
    assert_false(archive_uid_is_usable("1.2_3"));
}

int test_put(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stored_object_is_there_in_rows_event_and_bytes),
        cmocka_unit_test(the_same_bytes_again_are_the_same_object),
        cmocka_unit_test(other_bytes_under_a_known_uid_are_kept_beside_and_the_first_is_served),
        cmocka_unit_test(a_series_of_nothing_but_objects_kept_beside_is_not_listed),
        cmocka_unit_test(objects_without_an_identity_are_refused_by_name_and_leave_nothing),
        cmocka_unit_test(an_identity_other_than_the_message_s_is_refused),
        cmocka_unit_test(unfit_uids_that_can_be_keys_are_taken_with_a_flag),
        cmocka_unit_test(what_is_no_data_set_goes_to_the_quarantine_whole),
        cmocka_unit_test(a_source_that_breaks_leaves_nothing),
        cmocka_unit_test(the_default_issuer_is_laid_over_objects_without_one),
        cmocka_unit_test(text_is_read_as_its_sender_is_known_for_and_flagged_when_it_cannot_be),
        cmocka_unit_test(usable_uids_are_told_from_others),
    };
    return cmocka_run_group_tests_name("in", tests, NULL, NULL);
}
