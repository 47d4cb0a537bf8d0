// The same SOP Instance UID again: what is the same object, what is kept beside it, which one is served, and what a
// person decides.
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dicom/part10.h"
#include "store/event.h"
#include "support/folder.h"
#include "support/program.h"

static const struct archive_origin newest_origin = {
    .how = "c-store", .called = "HILUM", .calling = "PACS", .address = "127.0.0.1", .issuer = "", .newest = true};

static enum archive_outcome put_from(struct place *p, const struct object *object, const struct archive_origin *origin)
{
    struct archive_stored stored;
    struct buffer data;
    object_write(object, &data);
    assert_ok(
        bytes_put(p, data.data, data.size, object->implicit ? DICOM_TS_IMPLICIT : DICOM_TS_EXPLICIT, origin, &stored),
        p->err);
    buffer_free(&data);
    return stored.outcome;
}

static enum archive_outcome put(struct place *p, const struct object *object)
{
    return put_from(p, object, &usual_origin);
}

static struct archive_conflict *conflicts(struct place *p, bool decided_too, size_t wanted)
{
    struct archive_conflict *list;
    struct archive_page page = {0};
    size_t count;
    assert_ok(archive_conflicts(p->archive, ACCESS_ALL, NULL, decided_too, &page, &p->arena, &list, &count, &p->err),
              p->err);
    assert_int_equal(count, wanted);
    assert_int_equal(page.total, wanted);
    return list;
}

static bool decide(struct place *p, int64_t id, enum archive_decision decision)
{
    struct archive_conflict now;
    return archive_decide(p->archive, ACCESS_ALL, id, decision, "Dr. Who", 77, &p->arena, &now, &p->err);
}

// The last byte of the object that is served: that of its pixels.
static int served_fill(struct place *p)
{
    struct archive_object *objects;
    struct buffer data;
    size_t count;
    assert_ok(archive_objects(p->archive, ACCESS_ALL, NULL, NULL, "1.2.3.4.5", &p->arena, &objects, &count, &p->err),
              p->err);
    assert_int_equal(count, 1);
    buffer_init(&data, 1 << 20);
    assert_ok(store_read(p->store, &objects[0].place, &data, &p->err), p->err);
    int fill = data.data[data.size - 1];
    buffer_free(&data);
    return fill;
}

static enum store_event_kind last_event(struct place *p, struct store_event_detail *detail)
{
    struct store_event *events;
    size_t count;
    struct database *db = store_read_begin(p->store, &p->err);
    assert_ok(store_event_read(db, store_event_last(p->store) - 1, 1, &p->arena, &events, &count, &p->err), p->err);
    store_read_end(p->store, db);
    assert_int_equal(count, 1);
    assert_ok(store_event_detail(&events[0], &p->arena, detail, &p->err), p->err);
    return events[0].kind;
}

static void an_equal_data_set_in_another_transfer_syntax_is_the_same_object(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    assert_int_equal(put(&p, &(struct object){.pixels = true}), ARCHIVE_STORED);
    uint64_t events = store_event_last(p.store);
    assert_int_equal(put(&p, &(struct object){.pixels = true, .implicit = true}), ARCHIVE_SAME);
    assert_int_equal(put(&p, &(struct object){.pixels = true,
                                              .charset = "GB18030",
                                              .patient_name = "M\xA8\xB9ller^J\x81\x30\x8B\x32rg"}),
                     ARCHIVE_SAME);
    assert_int_equal(store_event_last(p.store), events);
    conflicts(&p, true, 0);
    assert_string_equal(shown(&p, "conflicts"), "");
    place_close(&p);
}

static void other_attributes_are_kept_beside_and_the_first_is_served(void **state)
{
    struct place p;
    struct store_event_detail detail;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.pixels = true});
    assert_int_equal(put(&p, &(struct object){.pixels = true, .study_description = "CT chest", .implicit = true}),
                     ARCHIVE_KEPT_BESIDE);
    assert_int_equal(last_event(&p, &detail), STORE_EVENT_OBJECT_KEPT_BESIDE);
    struct archive_conflict *list = conflicts(&p, false, 1);
    assert_int_equal(list[0].kind, ARCHIVE_OTHER_ATTRIBUTES);
    assert_int_equal(list[0].difference_count, 1);
    assert_int_equal(list[0].differences[0].tag, 0x00081030);
    assert_string_equal(list[0].differences[0].said, "CT chest");
    assert_string_equal(list[0].differences[0].known, "CT [head]");
    assert_string_equal(list[0].from, "CT1");
    assert_string_equal(list[0].newer.transfer_syntax, DICOM_TS_IMPLICIT);
    assert_string_equal(list[0].served.transfer_syntax, DICOM_TS_EXPLICIT);
    find(&p, ARCHIVE_STUDY, 0x00081030, "CT chest", 0);
    assert_string_equal(shown(&p, "conflicts"),
                        ""); // of the same patient and pixels: nothing to be seen before reading
    place_close(&p);
}

static void the_newest_is_served_where_the_source_s_policy_says_so(void **state)
{
    struct place p;
    struct store_event_detail detail;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.pixels = true});
    assert_int_equal(
        put_from(&p, &(struct object){.pixels = true, .study_description = "CT chest", .patient_name = "New^Name"},
                 &newest_origin),
        ARCHIVE_REPLACED);
    assert_int_equal(last_event(&p, &detail), STORE_EVENT_OBJECT_SERVED);
    assert_string_equal(detail.series, "1.2.3.4");
    assert_string_equal(detail.from, "PACS");
    struct archive_row *row = find(&p, ARCHIVE_STUDY, 0x00081030, "CT chest", 1);
    assert_string_equal(field(row, 0x00100010), "New^Name");
    assert_string_equal(field(row, 0x00201208), "1");
    assert_string_equal(shown(&p, "identity"), "");
    assert_string_equal(shown(&p, "conflicts"), "");
    conflicts(&p, false, 0);
    assert_string_equal(conflicts(&p, true, 2)[0].decided_by, "the source's policy");
    assert_int_equal(put_from(&p, &(struct object){.pixels = true, .fill = 3}, &newest_origin), ARCHIVE_KEPT_BESIDE);
    assert_int_equal(served_fill(&p), 0);
    assert_int_equal(put(&p, &(struct object){.pixels = true}), ARCHIVE_SAME); // the first one again
    find(&p, ARCHIVE_STUDY, 0x00081030, "CT chest", 1);
    place_close(&p);
}

// Equal pixels that are said to be elsewhere are read otherwise, by people and by models.
static void the_same_pixels_said_to_be_elsewhere_wait_for_a_person_or_the_source_s_policy(void **state)
{
    const struct object first = {.pixels = true, .frame_of_reference = "1.2.9.1"};
    const struct object elsewhere = {.pixels = true, .frame_of_reference = "1.2.9.2", .implicit = true};
    struct place p;
    (void)state;
    place_open(&p);
    put(&p, &first);
    assert_int_equal(put(&p, &elsewhere), ARCHIVE_KEPT_BESIDE);
    struct archive_conflict *list = conflicts(&p, false, 1);
    assert_int_equal(list[0].kind, ARCHIVE_OTHER_MEANING);
    assert_int_equal(list[0].difference_count, 1);
    assert_string_equal(shown(&p, "conflicts"), "an object came again with another place, scale, part of the body or "
                                                "contrast of the same pixels: the first is shown until somebody "
                                                "decides");
    assert_ok(decide(&p, list[0].newer.id, ARCHIVE_TAKEN), p.err);
    assert_string_equal(shown(&p, "conflicts"), "");
    place_close(&p);
    place_open(&p);
    put(&p, &first);
    assert_int_equal(put_from(&p, &elsewhere, &newest_origin), ARCHIVE_REPLACED);
    assert_string_equal(shown(&p, "conflicts"), "");
    place_close(&p);
}

static void other_pixels_wait_for_a_person_who_keeps_or_takes_them(void **state)
{
    struct place p;
    struct store_event_detail detail;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.pixels = true, .fill = 1});
    assert_int_equal(put(&p, &(struct object){.pixels = true, .fill = 2}), ARCHIVE_KEPT_BESIDE);
    assert_int_equal(put(&p, &(struct object){.pixels = true, .fill = 3}), ARCHIVE_KEPT_BESIDE);
    assert_int_equal(put(&p, &(struct object){.pixels = true, .fill = 2, .implicit = true}), ARCHIVE_SAME);
    struct archive_conflict *list = conflicts(&p, false, 2);
    assert_int_equal(list[0].kind, ARCHIVE_OTHER_PIXELS);
    assert_int_equal(list[0].difference_count, 0);
    const int64_t third = list[0].newer.id, second = list[1].newer.id;
    assert_non_null(strstr(shown(&p, "conflicts"), "2 objects came again with other pixels: the first ones"));
    assert_ok(decide(&p, second, ARCHIVE_KEPT), p.err);
    assert_int_equal(served_fill(&p), 1);
    assert_int_equal(conflicts(&p, false, 1)[0].newer.id, third);
    assert_non_null(strstr(shown(&p, "conflicts"), "an object came again"));
    assert_false(decide(&p, second, ARCHIVE_KEPT));
    assert_int_equal(p.err.code, ERROR_CONFLICT);
    assert_non_null(strstr(p.err.message, "Dr. Who"));
    assert_ok(decide(&p, third, ARCHIVE_TAKEN), p.err);
    assert_int_equal(served_fill(&p), 3);
    assert_int_equal(last_event(&p, &detail), STORE_EVENT_OBJECT_SERVED);
    assert_string_equal(detail.series, "1.2.3.4");
    assert_string_equal(detail.how, "taken");
    assert_string_equal(detail.from, "CT1");
    assert_int_equal(detail.is_image, 1);
    conflicts(&p, false, 0);
    assert_string_equal(shown(&p, "conflicts"), "");
    assert_false(decide(&p, third, ARCHIVE_TAKEN));
    assert_int_equal(p.err.code, ERROR_CONFLICT);
    place_reopen(&p);
    assert_int_equal(served_fill(&p), 3);
    assert_ok(decide(&p, second, ARCHIVE_TAKEN), p.err); // a change of mind
    assert_int_equal(served_fill(&p), 2);
    assert_int_equal(conflicts(&p, true, 3)[0].decision, ARCHIVE_KEPT);
    assert_false(decide(&p, 99, ARCHIVE_TAKEN));
    assert_int_equal(p.err.code, ERROR_NOT_FOUND);
    find(&p, ARCHIVE_INSTANCE, 0x00080018, "1.2.3.4.5", 1);
    place_close(&p);
}

static bool is_set_aside(struct place *p, const struct object *object)
{
    struct archive_stored stored;
    struct buffer data;
    object_write(object, &data);
    assert_ok(bytes_put(p, data.data, data.size, object->implicit ? DICOM_TS_IMPLICIT : DICOM_TS_EXPLICIT,
                        &usual_origin, &stored),
              p->err);
    buffer_free(&data);
    assert_int_equal(stored.outcome, ARCHIVE_SAME);
    return stored.is_set_aside;
}

// By its bytes, and by what they mean.
static void what_comes_again_and_is_not_what_is_served_says_so(void **state)
{
    struct place p;
    const struct object first = {.pixels = true, .fill = 1}, second = {.pixels = true, .fill = 2};
    const struct object first_otherwise = {.pixels = true, .fill = 1, .implicit = true};
    (void)state;
    place_open(&p);
    put(&p, &first);
    put(&p, &second);
    assert_false(is_set_aside(&p, &first));
    assert_false(is_set_aside(&p, &first_otherwise));
    assert_true(is_set_aside(&p, &second));
    assert_ok(decide(&p, conflicts(&p, false, 1)[0].newer.id, ARCHIVE_TAKEN), p.err);
    assert_true(is_set_aside(&p, &first));
    assert_true(is_set_aside(&p, &first_otherwise));
    assert_false(is_set_aside(&p, &second));
    place_close(&p);
}

static void taking_a_newer_one_settles_the_older_ones(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    for (int fill = 1; fill <= 4; fill++)
        put(&p, &(struct object){.pixels = true, .fill = fill});
    assert_ok(decide(&p, conflicts(&p, false, 3)[1].newer.id, ARCHIVE_TAKEN), p.err);
    assert_int_equal(conflicts(&p, false, 1)[0].kind, ARCHIVE_OTHER_PIXELS);
    assert_int_equal(served_fill(&p), 3);
    assert_non_null(strstr(shown(&p, "conflicts"), "an object came again"));
    place_close(&p);
}

enum { SLICES = 3 };

static void put_slices(struct place *p, struct object object, enum archive_outcome wanted)
{
    char instance[32];
    for (int i = 1; i <= SLICES; i++) {
        snprintf(instance, sizeof instance, "1.2.3.4.%d", i);
        object.instance = instance;
        object.pixels = true;
        assert_int_equal(put(p, &object), wanted);
    }
}

static void take_all(struct place *p)
{
    struct archive_conflict *list = conflicts(p, false, SLICES);
    for (size_t i = 0; i < SLICES; i++) {
        assert_ok(decide(p, list[i].newer.id, ARCHIVE_TAKEN), p->err);
        if (i + 1 < SLICES)
            assert_string_not_equal(shown(p, "identity"), "");
    }
}

// A PACS corrects what a technician typed.
static void demographics_that_were_corrected_are_those_of_the_study_once_they_are_taken(void **state)
{
    struct place p;
    struct archive_flagged *flagged;
    size_t count;
    (void)state;
    place_open(&p);
    put_slices(&p, (struct object){.patient_name = "Wrong^Name"}, ARCHIVE_STORED);
    put_slices(&p, (struct object){.patient_name = "Right^Name"}, ARCHIVE_KEPT_BESIDE);
    assert_string_equal(shown(&p, "patient_name"), "Wrong^Name");
    assert_string_equal(shown(&p, "identity"), "");
    assert_non_null(strstr(shown(&p, "conflicts"),
                           "3 objects came again with another name, birth date or sex of the patient: the first ones"));
    take_all(&p);
    assert_string_equal(shown(&p, "patient_name"), "Right^Name");
    assert_string_equal(shown(&p, "identity"), "");
    assert_string_equal(field(find(&p, ARCHIVE_STUDY, 0x00100010, "right^name", 1), 0x00201208), "3");
    assert_ok(archive_flagged(p.archive, ACCESS_ALL, ARCHIVE_FLAG_IDENTITY, NULL, &p.arena, &flagged, &count, &p.err),
              p.err);
    assert_int_equal(count, 0);
    put_slices(&p, (struct object){.patient_name = "Right^Name"}, ARCHIVE_SAME);
    place_close(&p);
}

static void an_id_that_was_corrected_makes_the_study_another_patient_s_once_it_is_taken(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    put_slices(&p, (struct object){.accession = "WRONG"}, ARCHIVE_STORED);
    put_slices(&p, (struct object){.patient_id = "P2", .patient_name = "Roe^Jane", .accession = "RIGHT"},
               ARCHIVE_KEPT_BESIDE);
    find(&p, ARCHIVE_STUDY, 0x00100020, "P2", 0);
    take_all(&p);
    find(&p, ARCHIVE_STUDY, 0x00100020, "P1", 0);
    struct archive_row *row = find(&p, ARCHIVE_STUDY, 0x00100020, "P2", 1);
    assert_string_equal(field(row, 0x00201208), "3");
    assert_string_equal(field(row, 0x00201206), "1");
    assert_string_equal(field(row, 0x00080061), "CT");
    assert_string_equal(field(row, 0x00080050), "RIGHT");
    assert_string_equal(shown(&p, "patient_name"), "Roe^Jane");
    assert_string_equal(shown(&p, "identity"), "");
    place_close(&p);
}

// A series that lost an image is another one too: what was said of it was said of images that it has no more.
static void a_series_that_lost_an_image_to_another_one_is_told_of(void **state)
{
    struct place p;
    struct store_event *events;
    struct store_event_detail detail;
    size_t count;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.pixels = true, .fill = 1});
    put(&p, &(struct object){.pixels = true, .fill = 2, .series = "1.2.3.9"});
    const uint64_t before = store_event_last(p.store);
    assert_ok(decide(&p, conflicts(&p, false, 1)[0].newer.id, ARCHIVE_TAKEN), p.err);
    struct database *db = store_read_begin(p.store, &p.err);
    assert_ok(db && store_event_read(db, before, 100, &p.arena, &events, &count, &p.err), p.err);
    store_read_end(p.store, db);
    bool gained = false, lost = false;
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind != STORE_EVENT_OBJECT_SERVED)
            continue;
        assert_ok(store_event_detail(&events[i], &p.arena, &detail, &p.err), p.err);
        gained = gained || strcmp(detail.series, "1.2.3.9") == 0;
        lost = lost || strcmp(detail.series, "1.2.3.4") == 0;
    }
    assert_true(gained);
    assert_true(lost);
    place_close(&p);
}

static void a_series_of_which_all_was_taken_into_another_study_is_shared_by_nobody(void **state)
{
    struct place p;
    const char *flags[ARCHIVE_STUDY_FLAGS];
    size_t count;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.pixels = true, .fill = 1});
    put(&p, &(struct object){.pixels = true, .fill = 2, .study = "1.2.9"});
    assert_ok(decide(&p, conflicts(&p, false, 1)[0].newer.id, ARCHIVE_TAKEN), p.err);
    assert_ok(archive_study_flags(p.archive, ACCESS_ALL, "1.2.9", &p.arena, flags, &count, &p.err), p.err);
    for (size_t i = 0; i < count; i++)
        assert_null(strstr(flags[i], "is also in study"));
    place_close(&p);
}

// A decision about one object takes the doubt whose the others are from none of them.
static void flags_stay_while_a_study_s_patient_is_in_doubt(void **state)
{
    struct place p;
    struct archive_flagged *flagged;
    size_t count;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.pixels = true, .fill = 1});
    put(&p, &(struct object){.instance = "1.2.3.4.6", .patient_id = "P2"});
    put(&p, &(struct object){.pixels = true, .fill = 2});
    assert_ok(decide(&p, conflicts(&p, false, 1)[0].newer.id, ARCHIVE_TAKEN), p.err);
    assert_non_null(strstr(shown(&p, "identity"), "objects of 2 patients"));
    assert_ok(archive_flagged(p.archive, ACCESS_ALL, ARCHIVE_FLAG_IDENTITY, NULL, &p.arena, &flagged, &count, &p.err),
              p.err);
    assert_int_equal(count, 1);
    place_close(&p);
}

static void what_is_taken_and_says_nothing_of_an_attribute_blanks_it_not(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.pixels = true, .fill = 1, .sex = "F"});
    put(&p, &(struct object){.pixels = true, .fill = 2, .birth = "", .sex = ""});
    assert_ok(decide(&p, conflicts(&p, false, 1)[0].newer.id, ARCHIVE_TAKEN), p.err);
    struct archive_row *row = find(&p, ARCHIVE_STUDY, 0x00100020, "P1", 1);
    assert_string_equal(field(row, 0x00100030), "19500505");
    assert_string_equal(field(row, 0x00100040), "F");
    place_close(&p);
}

static void the_study_s_flags_are_those_that_lists_show(void **state)
{
    struct place p;
    const char *flags[ARCHIVE_STUDY_FLAGS];
    size_t count;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.pixels = true, .fill = 1});
    assert_ok(archive_study_flags(p.archive, ACCESS_ALL, "1.2.3", &p.arena, flags, &count, &p.err), p.err);
    assert_int_equal(count, 0);
    put(&p, &(struct object){.pixels = true, .fill = 2});
    put(&p, &(struct object){.instance = "1.2.3.4.6", .patient_id = "P2"});
    assert_ok(archive_study_flags(p.archive, ACCESS_ALL, "1.2.3", &p.arena, flags, &count, &p.err), p.err);
    assert_int_equal(count, 2);
    assert_string_equal(flags[0], shown(&p, "identity"));
    assert_string_equal(flags[1], shown(&p, "conflicts"));
    assert_ok(archive_study_flags(p.archive, ACCESS_ALL, "9.9", &p.arena, flags, &count, &p.err), p.err);
    assert_int_equal(count, 0);
    place_close(&p);
}

static size_t conflicts_of(struct place *p, const char *study, struct archive_conflict **list)
{
    struct archive_page page = {0};
    size_t count;
    assert_ok(archive_conflicts(p->archive, ACCESS_ALL, study, false, &page, &p->arena, list, &count, &p->err), p->err);
    assert_int_equal(page.total, count);
    return count;
}

static const char *held_back(struct place *p, const char *study)
{
    const char *flags[ARCHIVE_STUDY_FLAGS];
    size_t count;
    assert_ok(archive_study_flags(p->archive, ACCESS_ALL, study, &p->arena, flags, &count, &p->err), p->err);
    return count > 0 && strstr(flags[count - 1], "held back") ? flags[count - 1] : "";
}

static int64_t count_held_back(struct place *p, const char *study, const char *series)
{
    struct archive_held_back counts;
    assert_ok(archive_held_back(p->archive, study, series, &counts, &p->err), p->err);
    return counts.elsewhere;
}

static int64_t count_undecided(struct place *p, const char *series)
{
    struct archive_held_back counts;
    assert_ok(archive_held_back(p->archive, "1.2.3", series, &counts, &p->err), p->err);
    return counts.undecided;
}

static const struct object of_first = {.pixels = true, .fill = 1};
static const struct object of_second = {
    .pixels = true, .fill = 2, .study = "2.2", .series = "2.2.1", .patient_id = "P2", .patient_name = "Roe^Jane"};

// A conflict across two studies: whoever reads either must know.
static void what_is_held_back_is_told_on_the_study_it_came_for(void **state)
{
    struct place p;
    struct archive_conflict *list;
    (void)state;
    place_open(&p);
    put(&p, &of_first);
    assert_int_equal(put(&p, &of_second), ARCHIVE_KEPT_BESIDE);
    assert_int_equal(conflicts_of(&p, "1.2.3", &list), 1);
    assert_int_equal(conflicts_of(&p, "2.2", &list), 1);
    assert_string_equal(held_back(&p, "1.2.3"), "");
    assert_string_equal(held_back(&p, "2.2"),
                        "1 image of this study is held back: its UID is that of an object of another study");
    assert_int_equal(count_held_back(&p, "2.2", "2.2.1"), 1);
    assert_int_equal(count_held_back(&p, "1.2.3", "1.2.3.4"), 0);
    struct object more = of_second;
    more.instance = "2.2.1.1"; // which is nobody else's
    assert_int_equal(put(&p, &more), ARCHIVE_STORED);
    assert_ok(decide(&p, list[0].newer.id, ARCHIVE_KEPT), p.err);
    assert_string_not_equal(held_back(&p, "2.2"), ""); // it is missed still
    assert_ok(decide(&p, list[0].newer.id, ARCHIVE_TAKEN), p.err);
    assert_string_equal(held_back(&p, "2.2"), "");
    assert_int_equal(count_held_back(&p, "2.2", "2.2.1"), 0);
    assert_string_not_equal(held_back(&p, "1.2.3"), "");
    assert_int_equal(count_held_back(&p, "1.2.3", "1.2.3.4"), 1);
    place_close(&p);
}

// The same images of one series, corrected to another patient's, are all there; those of a second series are not.
static void what_is_served_in_its_own_series_is_not_held_back(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    put(&p, &of_first);
    put(&p, &(struct object){.pixels = true, .fill = 1, .patient_id = "P2", .patient_name = "Roe^Jane"});
    assert_int_equal(count_held_back(&p, "1.2.3", "1.2.3.4"), 0);
    assert_int_equal(count_undecided(&p, "1.2.3.4"), 0);
    put(&p, &(struct object){.pixels = true, .fill = 1, .series = "1.2.3.5"});
    assert_int_equal(count_held_back(&p, "1.2.3", "1.2.3.5"), 1);
    place_close(&p);
}

// No list of series and no model has it: whoever reads the study must know.
static void a_series_that_is_held_back_as_a_whole_is_told_by_its_uid(void **state)
{
    struct place p;
    const struct object again = {.pixels = true, .fill = 1, .series = "1.2.3.5"};
    struct object own = again;
    (void)state;
    place_open(&p);
    put(&p, &of_first);
    assert_string_equal(held_back(&p, "1.2.3"), "");
    put(&p, &(struct object){.pixels = true, .fill = 1, .patient_id = "P2", .patient_name = "Roe^Jane"});
    assert_string_equal(held_back(&p, "1.2.3"), ""); // its series is served
    put(&p, &again);
    assert_string_equal(
        held_back(&p, "1.2.3"),
        "series 1.2.3.5 of this study is held back as a whole: its images have the UIDs of other objects");
    own.instance = "1.2.3.5.1"; // which is no other object's: from now on its jobs say what is missing
    put(&p, &own);
    assert_string_equal(held_back(&p, "1.2.3"), "");
    place_close(&p);
}

// Nobody has looked at the newer pixels: what is said of the series is said without them.
static void other_pixels_are_held_back_from_their_series_until_somebody_decides(void **state)
{
    struct place p;
    struct archive_conflict *list;
    (void)state;
    place_open(&p);
    for (int fill = 1; fill <= 3; fill++)
        put(&p, &(struct object){.pixels = true, .fill = fill});
    assert_int_equal(count_undecided(&p, "1.2.3.4"), 1); // one image
    assert_int_equal(count_held_back(&p, "1.2.3", "1.2.3.4"), 0);
    list = conflicts(&p, false, 2);
    const int64_t third = list[0].newer.id, second = list[1].newer.id;
    assert_ok(decide(&p, second, ARCHIVE_KEPT), p.err);
    assert_int_equal(count_undecided(&p, "1.2.3.4"), 1);
    assert_ok(decide(&p, third, ARCHIVE_KEPT), p.err);
    assert_int_equal(count_undecided(&p, "1.2.3.4"), 0);
    assert_ok(decide(&p, third, ARCHIVE_TAKEN), p.err);
    assert_int_equal(count_undecided(&p, "1.2.3.4"), 0);
    put(&p, &(struct object){.pixels = true, .fill = 4, .series = "1.2.3.5"});
    assert_int_equal(count_held_back(&p, "1.2.3", "1.2.3.5"), 1); // which is not counted twice
    assert_int_equal(count_undecided(&p, "1.2.3.5"), 0);
    assert_int_equal(count_undecided(&p, "1.2.3.4"), 0);
    place_close(&p);
}

// What is no image is looked at by no model.
static void a_report_that_came_again_is_held_back_from_nothing(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.pixels = true, .class = "1.2.840.10008.5.1.4.1.1.66.4", .fill = 1});
    put(&p, &(struct object){.pixels = true, .class = "1.2.840.10008.5.1.4.1.1.66.4", .fill = 2});
    conflicts(&p, false, 1);
    assert_int_equal(count_undecided(&p, "1.2.3.4"), 0);
    place_close(&p);
}

static const struct archive_difference *difference(const struct archive_conflict *conflict, dicom_tag tag)
{
    for (size_t i = 0; i < conflict->difference_count; i++)
        if (conflict->differences[i].tag == tag)
            return &conflict->differences[i];
    return NULL;
}

// Else a person who takes what differs in a series' number moves another patient's slice.
static void what_a_conflict_differs_in_is_said_against_what_is_served_now(void **state)
{
    struct place p;
    struct archive_conflict *list, *second;
    (void)state;
    place_open(&p);
    put(&p, &of_first);
    put(&p, &of_second);
    struct object again = of_first;
    again.series_description = "Thin";
    put(&p, &again);
    list = conflicts(&p, false, 2);
    assert_int_equal(list[0].kind, ARCHIVE_OTHER_ATTRIBUTES);
    assert_null(difference(&list[0], 0x00100020));
    assert_ok(decide(&p, list[1].newer.id, ARCHIVE_TAKEN), p.err);
    second = conflicts(&p, false, 1);
    assert_int_equal(second[0].newer.id, list[0].newer.id);
    assert_int_equal(second[0].kind, ARCHIVE_OTHER_PIXELS);
    assert_non_null(difference(&second[0], 0x00100020));
    assert_string_equal(difference(&second[0], 0x00100020)->said, "P1");
    assert_string_equal(difference(&second[0], 0x00100020)->known, "P2");
    assert_int_equal(conflicts_of(&p, "2.2", &second), 1); // where it would take something away
    const char *flags[ARCHIVE_STUDY_FLAGS];
    size_t count;
    assert_ok(archive_study_flags(p.archive, ACCESS_ALL, "2.2", &p.arena, flags, &count, &p.err), p.err);
    assert_int_equal(count, 1);
    assert_non_null(strstr(flags[0], "came again"));
    assert_ok(decide(&p, list[0].newer.id, ARCHIVE_TAKEN), p.err); // back again
    assert_ok(archive_study_flags(p.archive, ACCESS_ALL, "2.2", &p.arena, flags, &count, &p.err), p.err);
    assert_int_equal(count, 1);
    assert_non_null(strstr(flags[0], "held back"));
    assert_int_equal(served_fill(&p), 1);
    place_close(&p);
}

static void what_nobody_looked_at_is_not_kept_by_anybody(void **state)
{
    struct place p;
    struct archive_conflict *list;
    char words[64];
    (void)state;
    place_open(&p);
    for (int fill = 1; fill <= 3; fill++)
        put(&p, &(struct object){.pixels = true, .fill = fill});
    list = conflicts(&p, false, 2);
    assert_ok(decide(&p, list[0].newer.id, ARCHIVE_TAKEN), p.err);
    list = conflicts(&p, true, 3);
    assert_string_equal(list[0].decided_by, "Dr. Who");
    snprintf(words, sizeof words, "settled with conflict %lld by Dr. Who", (long long)list[0].newer.id);
    assert_string_equal(list[1].decided_by, words);
    assert_string_equal(list[2].decided_by, "Dr. Who"); // it was served, and he said that it is not any more
    place_close(&p);
}

static void a_policy_settles_no_other_pixels(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    put(&p, &of_first);
    put(&p, &(struct object){.pixels = true, .fill = 2});
    struct object again = of_first;
    again.study_description = "CT chest";
    assert_int_equal(put_from(&p, &again, &newest_origin), ARCHIVE_REPLACED);
    struct archive_conflict *list = conflicts(&p, false, 1);
    assert_int_equal(list[0].kind, ARCHIVE_OTHER_PIXELS);
    assert_string_equal(difference(&list[0], 0x00081030)->said, "CT [head]");
    assert_string_equal(difference(&list[0], 0x00081030)->known, "CT chest");
    assert_non_null(strstr(shown(&p, "conflicts"), "an object came again"));
    place_close(&p);
}

// ---- compressed by others

static void save_object(const char *path, const struct object *object)
{
    struct dicom_meta meta = {0};
    struct buffer file, data;
    snprintf(meta.sop_class, sizeof meta.sop_class, "1.2.840.10008.5.1.4.1.1.7");
    snprintf(meta.sop_instance, sizeof meta.sop_instance, "1.2.3.4.5");
    snprintf(meta.transfer_syntax, sizeof meta.transfer_syntax, "%s", DICOM_TS_EXPLICIT);
    buffer_init(&file, 1 << 20);
    object_write(object, &data);
    dicom_meta_write(&file, &meta);
    buffer_append(&file, data.data, data.size);
    assert_false(file.failed);
    save_file(path, file.data, file.size);
    buffer_free(&data);
    buffer_free(&file);
}

static enum archive_outcome put_file(struct place *p, const char *path)
{
    struct archive_stored stored;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_ok(archive_put_file(p->writer, fd, (uint64_t)lseek(fd, 0, SEEK_END), &usual_origin, 1000, &stored, &p->err),
              p->err);
    close(fd);
    return stored.outcome;
}

static const char *const converters[][4] = {
    {"dcmconv", "+tb"},     {"dcmconv", "+td"},         {"dcmcrle"},           {"dcmcjpls"},
    {"dcmcjpeg"},           {"gdcmconv", "--j2k"},      {"gdcmconv", "--rle"}, {"gdcmconv", "--jpegls"},
    {"gdcmconv", "--jpeg"}, {"gdcmconv", "--deflated"},
};

static void what_others_compress_without_loss_is_the_same_object_and_other_pixels_are_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof converters / sizeof *converters; i++) {
        struct place p;
        char from[TEMPORARY_SIZE], to[TEMPORARY_SIZE];
        snprintf(from, sizeof from, "%s", temporary("from.dcm"));
        snprintf(to, sizeof to, "%s", temporary("to.dcm"));
        const char *argv[8] = {converters[i][0]};
        size_t n = 1;
        for (; converters[i][n]; n++)
            argv[n] = converters[i][n];
        argv[n++] = from;
        argv[n++] = to;
        place_open(&p);
        assert_int_equal(put(&p, &(struct object){.pixels = true, .fill = 7}), ARCHIVE_STORED);
        save_object(from, &(struct object){.pixels = true, .fill = 7});
        run_well(argv, NULL);
        if (put_file(&p, to) != ARCHIVE_SAME)
            fail_msg("%s %s", converters[i][0], converters[i][1] ? converters[i][1] : "");
        save_object(from, &(struct object){.pixels = true, .fill = 8});
        run_well(argv, NULL);
        assert_int_equal(put_file(&p, to), ARCHIVE_KEPT_BESIDE);
        if (conflicts(&p, false, 1)[0].kind != ARCHIVE_OTHER_PIXELS)
            fail_msg("%s %s: other pixels are not seen", converters[i][0], converters[i][1] ? converters[i][1] : "");
        place_close(&p);
    }
}

static void compressed_pixels_of_one_transfer_syntax_are_compared_to_their_end(void **state)
{
    struct place p;
    char from[TEMPORARY_SIZE], to[TEMPORARY_SIZE];
    (void)state;
    snprintf(from, sizeof from, "%s", temporary("from.dcm"));
    snprintf(to, sizeof to, "%s", temporary("to.dcm"));
    place_open(&p);
    for (int fill = 7; fill <= 8; fill++) { // of equal lengths
        save_object(from, &(struct object){.pixels = true, .fill = fill});
        run_well((const char *const[]){"dcmcrle", from, to, NULL}, NULL);
        assert_int_equal(put_file(&p, to), fill == 7 ? ARCHIVE_STORED : ARCHIVE_KEPT_BESIDE);
    }
    assert_int_equal(conflicts(&p, false, 1)[0].kind, ARCHIVE_OTHER_PIXELS);
    place_close(&p);
}

// Whose decoder is not there, or whose data are cut, cannot be said to be the same.
static void what_cannot_be_decoded_is_kept_beside_and_waits(void **state)
{
    struct place p;
    char from[TEMPORARY_SIZE], to[TEMPORARY_SIZE];
    uint8_t *bytes;
    size_t size;
    (void)state;
    snprintf(from, sizeof from, "%s", temporary("from.dcm"));
    snprintf(to, sizeof to, "%s", temporary("to.dcm"));
    place_open(&p);
    put(&p, &(struct object){.pixels = true, .fill = 7});
    save_object(from, &(struct object){.pixels = true, .fill = 7});
    run_well((const char *const[]){"dcmcrle", from, to, NULL}, NULL);
    bytes = load_file(to, &size);
    for (size_t i = size - 40; i < size - 8; i++)
        bytes[i] = 0x80; // no-operations of RLE: the frame ends early
    save_file(to, bytes, size);
    free(bytes);
    assert_int_equal(put_file(&p, to), ARCHIVE_KEPT_BESIDE);
    assert_int_equal(conflicts(&p, false, 1)[0].kind, ARCHIVE_NOT_COMPARED);
    assert_int_equal(put_file(&p, to), ARCHIVE_SAME); // byte for byte
    assert_non_null(strstr(shown(&p, "conflicts"), "came again"));
    place_close(&p);
}

// Bits Stored lie below High Bit, wherever that is; those beside them are no pixels.
static void bits_beside_those_stored_are_no_pixels(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    assert_int_equal(put(&p, &(struct object){.pixels = true, .stored = 4, .fill = 0x10}), ARCHIVE_STORED);
    assert_int_equal(put(&p, &(struct object){.pixels = true, .stored = 4, .fill = 0x1F, .implicit = true}),
                     ARCHIVE_SAME);
    assert_int_equal(put(&p, &(struct object){.pixels = true, .stored = 4, .fill = 0x20, .implicit = true}),
                     ARCHIVE_KEPT_BESIDE);
    assert_int_equal(conflicts(&p, false, 1)[0].kind, ARCHIVE_OTHER_PIXELS);
    place_close(&p);
}

int test_conflicts(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_equal_data_set_in_another_transfer_syntax_is_the_same_object),
        cmocka_unit_test(other_attributes_are_kept_beside_and_the_first_is_served),
        cmocka_unit_test(the_newest_is_served_where_the_source_s_policy_says_so),
        cmocka_unit_test(the_same_pixels_said_to_be_elsewhere_wait_for_a_person_or_the_source_s_policy),
        cmocka_unit_test(other_pixels_wait_for_a_person_who_keeps_or_takes_them),
        cmocka_unit_test(what_comes_again_and_is_not_what_is_served_says_so),
        cmocka_unit_test(taking_a_newer_one_settles_the_older_ones),
        cmocka_unit_test(demographics_that_were_corrected_are_those_of_the_study_once_they_are_taken),
        cmocka_unit_test(an_id_that_was_corrected_makes_the_study_another_patient_s_once_it_is_taken),
        cmocka_unit_test(a_series_that_lost_an_image_to_another_one_is_told_of),
        cmocka_unit_test(a_series_of_which_all_was_taken_into_another_study_is_shared_by_nobody),
        cmocka_unit_test(flags_stay_while_a_study_s_patient_is_in_doubt),
        cmocka_unit_test(what_is_taken_and_says_nothing_of_an_attribute_blanks_it_not),
        cmocka_unit_test(the_study_s_flags_are_those_that_lists_show),
        cmocka_unit_test(what_is_held_back_is_told_on_the_study_it_came_for),
        cmocka_unit_test(what_is_served_in_its_own_series_is_not_held_back),
        cmocka_unit_test(a_series_that_is_held_back_as_a_whole_is_told_by_its_uid),
        cmocka_unit_test(other_pixels_are_held_back_from_their_series_until_somebody_decides),
        cmocka_unit_test(a_report_that_came_again_is_held_back_from_nothing),
        cmocka_unit_test(what_a_conflict_differs_in_is_said_against_what_is_served_now),
        cmocka_unit_test(what_nobody_looked_at_is_not_kept_by_anybody),
        cmocka_unit_test(a_policy_settles_no_other_pixels),
        cmocka_unit_test(what_others_compress_without_loss_is_the_same_object_and_other_pixels_are_not),
        cmocka_unit_test(compressed_pixels_of_one_transfer_syntax_are_compared_to_their_end),
        cmocka_unit_test(what_cannot_be_decoded_is_kept_beside_and_waits),
        cmocka_unit_test(bits_beside_those_stored_are_no_pixels),
    };
    return cmocka_run_group_tests_name("conflicts", tests, NULL, NULL);
}
