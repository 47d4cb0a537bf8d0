// What somebody sees of studies with labels, by every query of the room; and where a study has them from.
#include <stdio.h>
#include <string.h>

#include "access/access.h"
#include "base/alarm.h"
#include "image/decoder.h"
#include "store/event.h"
#include "support.h"

static const struct access_scope nobody = {.hidden = ACCESS_LABELS_ALL};

static void put(struct place *p, const struct object *object, const char *labels)
{
    struct archive_origin origin = usual_origin;
    struct archive_stored stored;
    struct buffer data;
    origin.labels = labels;
    object_write(object, &data);
    assert_ok(bytes_put(p, data.data, data.size, DICOM_TS_EXPLICIT, &origin, &stored), p->err);
    buffer_free(&data);
}

static bool set_labels(struct database *db, void *payload, struct error *err)
{
    struct access_study_labels now;
    (void)payload;
    return access_study_labels(db, "1.2.3", &now, err) &&
           access_study_labels_set(db, "1.2.3", 0, now.version, &now, err);
}

static bool sees(struct place *p, struct access_scope scope, const char *study)
{
    bool out;
    assert_ok(archive_sees(p->archive, scope, study, &out, &p->err), p->err);
    return out;
}

// ---- where it has them from

static void a_study_has_the_labels_of_who_sent_one_of_its_objects(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.instance = "1.1"}, NULL);
    put(&p, &(struct object){.instance = "1.9", .study = "1.2.9", .series = "1.2.9.1"}, "");
    assert_true(sees(&p, nobody, "1.2.3"));
    put(&p, &(struct object){.instance = "1.2"}, "vip");
    assert_false(sees(&p, nobody, "1.2.3"));
    assert_true(sees(&p, ACCESS_ALL, "1.2.3"));
    assert_true(sees(&p, nobody, "1.2.9"));
    assert_false(sees(&p, ACCESS_ALL, "1.2.10")); // which is not here
    put(&p, &(struct object){.instance = "1.3"}, "");
    assert_false(sees(&p, nobody, "1.2.3")); // what comes takes none away
    place_close(&p);
}

static void that_an_object_is_here_already_gives_its_study_the_labels_all_the_same(void **state)
{
    struct place p;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.instance = "1.1"}, "");
    put(&p, &(struct object){.instance = "1.1"}, "vip");
    assert_false(sees(&p, nobody, "1.2.3"));
    place_close(&p);
}

static void a_rebuild_brings_back_the_labels_of_senders_also_those_that_a_person_took_away(void **state)
{
    struct place p;
    struct archive_rebuild how = {0};
    struct access_label label;
    (void)state;
    place_open(&p);
    put(&p, &(struct object){.instance = "1.1"}, "staff,vip");
    put(&p, &(struct object){.instance = "1.9", .study = "1.2.9", .series = "1.2.9.1"}, "");
    assert_ok(store_write(p.store, STORE_DURABLE, set_labels, NULL, &p.err), p.err);
    assert_true(sees(&p, nobody, "1.2.3"));
    place_stop(&p);
    p.store = store_open(&(struct store_options){.folder = p.folder, .rebuild = STORE_REBUILD_REPLACE}, &p.err);
    assert_ok(p.store && store_migrate(p.store, &access_migration, &p.err), p.err);
    p.decoder = image_decoder_open(false, &p.err);
    p.archive = archive_open_rebuild(p.store, p.decoder, &how, &p.err);
    assert_ok(p.archive && store_rebuild_done(p.store, 0, &p.err), p.err);
    p.writer = NULL;
    assert_false(sees(&p, nobody, "1.2.3")); // more is protected than was, never less
    assert_true(sees(&p, nobody, "1.2.9"));
    place_reopen(&p);
    struct access *access = access_open(p.store, p.folder, NULL, &p.err);
    assert_ok(access && access_label_get(access, "vip", &label, &p.err), p.err);
    assert_false(sees(&p, (struct access_scope){.hidden = UINT64_C(1) << label.bit}, "1.2.3"));
    access_close(access);
    alarm_clear(ALARM_REBUILT, NULL);
    place_close(&p);
}

// ---- what is hidden

// A study that all see and one that not all see: with a series of the same UID, an object of each under one UID, and
// objects with a flag.
static void put_both(struct place *p)
{
    place_open(p);
    put(p, &(struct object){.instance = "1.1", .patient_id = "", .pixels = true}, "");
    put(p,
        &(struct object){.study = "1.2.9",
                         .instance = "1.9",
                         .patient_id = "SECRET",
                         .patient_name = "Secret^Name",
                         .accession = "SECRETACC"},
        "vip");
    put(p, &(struct object){.study = "1.2.9", .instance = "1.1", .patient_id = "SECRET", .pixels = true, .fill = 7},
        "vip");
    put(p, &(struct object){.study = "1.2.9", .instance = "1.10", .patient_id = "", .series = "1.2.9.2"}, "vip");
}

static size_t found(struct place *p, struct access_scope scope, enum archive_level level)
{
    struct archive_row *rows;
    size_t count, hidden = 0;
    bool more;
    const struct archive_query query = {.level = level};
    assert_ok(archive_find(p->archive, scope, &query, &p->arena, &rows, &count, &more, &p->err), p->err);
    for (size_t i = 0; i < count; i++)
        hidden += strcmp(field(&rows[i], 0x0020000D), "1.2.9") == 0;
    assert_int_equal(hidden > 0, scope.hidden == 0);
    return count;
}

static void a_query_answers_at_each_level_with_what_is_seen(void **state)
{
    struct place p;
    (void)state;
    put_both(&p);
    assert_int_equal(found(&p, nobody, ARCHIVE_STUDY), 1);
    assert_int_equal(found(&p, nobody, ARCHIVE_SERIES), 1);
    assert_int_equal(found(&p, nobody, ARCHIVE_INSTANCE), 1);
    assert_true(found(&p, ACCESS_ALL, ARCHIVE_STUDY) > 1);
    assert_int_equal(found(&p, ACCESS_ALL, ARCHIVE_INSTANCE), 3);
    place_close(&p);
}

static bool has_objects(struct place *p, struct access_scope scope, const char *study, const char *series,
                        const char *instance)
{
    struct archive_object *objects;
    size_t count;
    bool ok = archive_objects(p->archive, scope, study, series, instance, &p->arena, &objects, &count, &p->err);
    assert_true(ok || p->err.code == ERROR_NOT_FOUND);
    return ok;
}

static void objects_are_found_by_no_uid_of_theirs(void **state)
{
    static const char *const ways[][3] = {
        {"1.2.9", NULL, NULL}, {"1.2.9", "1.2.3.4", NULL}, {"1.2.9", "1.2.3.4", "1.9"}, {NULL, NULL, "1.9"}};
    struct place p;
    struct archive_object *versions;
    size_t count;
    (void)state;
    put_both(&p);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        assert_true(has_objects(&p, ACCESS_ALL, ways[i][0], ways[i][1], ways[i][2]));
        assert_false(has_objects(&p, nobody, ways[i][0], ways[i][1], ways[i][2]));
        assert_true(p.err.code == ERROR_NOT_FOUND);
    }
    assert_ok(archive_versions(p.archive, ACCESS_ALL, "1.1", &p.arena, &versions, &count, &p.err), p.err);
    assert_int_equal(count, 2);
    assert_ok(archive_versions(p.archive, nobody, "1.1", &p.arena, &versions, &count, &p.err), p.err);
    assert_int_equal(count, 1);
    place_close(&p);
}

// It tells of both.
static void a_conflict_with_a_hidden_study_is_neither_listed_nor_decided(void **state)
{
    struct place p;
    struct archive_conflict *list, now;
    struct archive_page page = {0};
    size_t count;
    (void)state;
    put_both(&p);
    assert_ok(archive_conflicts(p.archive, ACCESS_ALL, NULL, false, &page, &p.arena, &list, &count, &p.err), p.err);
    assert_int_equal(count, 1);
    const int64_t id = list[0].newer.id;
    static const char *const studies[] = {NULL, "1.2.3", "1.2.9"};
    for (size_t i = 0; i < 3; i++) {
        assert_ok(archive_conflicts(p.archive, nobody, studies[i], true, &page, &p.arena, &list, &count, &p.err),
                  p.err);
        assert_int_equal(count, 0);
        assert_int_equal(page.total, 0);
    }
    assert_false(archive_decide(p.archive, nobody, id, ARCHIVE_KEPT, "Dr. Who", 77, &p.arena, &now, &p.err));
    assert_int_equal(p.err.code, ERROR_NOT_FOUND);
    char known[ERROR_MESSAGE_SIZE];
    snprintf(known, sizeof known, "there is no conflict %lld", (long long)id); // as of one that there never was
    assert_string_equal(p.err.message, known);
    assert_ok(archive_decide(p.archive, ACCESS_ALL, id, ARCHIVE_KEPT, "Dr. Who", 77, &p.arena, &now, &p.err), p.err);
    place_close(&p);
}

static void flagged_objects_and_their_total_are_those_that_are_seen(void **state)
{
    struct place p;
    struct archive_flagged *list;
    struct archive_page page = {0};
    size_t all, count;
    (void)state;
    put_both(&p);
    assert_ok(archive_flagged(p.archive, ACCESS_ALL, 0, &page, &p.arena, &list, &all, &p.err), p.err);
    assert_int_equal(page.total, all);
    assert_ok(archive_flagged(p.archive, nobody, 0, &page, &p.arena, &list, &count, &p.err), p.err);
    assert_true(count > 0 && count < all);
    assert_int_equal(page.total, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(list[i].object.study, "1.2.3");
    place_close(&p);
}

// The doubt is the visible study's own, and must be seen; whose the other one is need not.
static void that_a_series_is_in_a_hidden_study_too_is_said_without_saying_which(void **state)
{
    struct place p;
    const char *flags[ARCHIVE_STUDY_FLAGS];
    size_t count;
    bool told = false;
    (void)state;
    put_both(&p);
    assert_ok(archive_study_flags(p.archive, nobody, "1.2.9", &p.arena, flags, &count, &p.err), p.err);
    assert_int_equal(count, 0);
    assert_ok(archive_study_flags(p.archive, nobody, "1.2.3", &p.arena, flags, &count, &p.err), p.err);
    for (size_t i = 0; i < count; i++) {
        told = told || strcmp(flags[i], "series 1.2.3.4 of this study (1.2.3) is also in a study that not all may see:"
                                        " one of the two has a wrong Series Instance UID") == 0;
        assert_null(strstr(flags[i], "SECRET"));
        assert_null(strstr(flags[i], "1.2.9"));
    }
    assert_true(told);
    place_close(&p);
}

static void counts_are_of_what_is_seen(void **state)
{
    struct place p;
    struct archive_counts seen, all;
    (void)state;
    put_both(&p);
    assert_ok(archive_count(p.archive, nobody, &seen, &p.err), p.err);
    assert_true(seen.patients == 1 && seen.studies == 1 && seen.series == 1 && seen.instances == 1 &&
                seen.conflicts == 0);
    assert_ok(archive_count(p.archive, ACCESS_ALL, &all, &p.err), p.err);
    assert_true(all.studies == 2 && all.instances == 3 && all.conflicts == 1 && all.bytes > seen.bytes);
    // who sees all by his labels counts the same as who is not asked
    assert_ok(store_write(p.store, STORE_DURABLE, set_labels, NULL, &p.err), p.err);
    const struct access_scope other = {.hidden = UINT64_C(1) << 61};
    assert_ok(archive_count(p.archive, other, &seen, &p.err), p.err);
    assert_memory_equal(&seen, &all, sizeof all);
    place_close(&p);
}

int test_labels(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_study_has_the_labels_of_who_sent_one_of_its_objects),
        cmocka_unit_test(that_an_object_is_here_already_gives_its_study_the_labels_all_the_same),
        cmocka_unit_test(a_rebuild_brings_back_the_labels_of_senders_also_those_that_a_person_took_away),
        cmocka_unit_test(a_query_answers_at_each_level_with_what_is_seen),
        cmocka_unit_test(objects_are_found_by_no_uid_of_theirs),
        cmocka_unit_test(a_conflict_with_a_hidden_study_is_neither_listed_nor_decided),
        cmocka_unit_test(flagged_objects_and_their_total_are_those_that_are_seen),
        cmocka_unit_test(that_a_series_is_in_a_hidden_study_too_is_said_without_saying_which),
        cmocka_unit_test(counts_are_of_what_is_seen),
    };
    return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
