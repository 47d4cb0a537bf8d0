// Out again: headers without their pixels, trees, deflated objects; and after a kill.
#include "support.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "access/access.h"
#include "base/alarm.h"
#include "store/event.h"
#include "support/deflate.h"
#include "support/program.h"

static struct archive_object only_object(struct place *p)
{
    struct archive_object *objects;
    size_t count;
    assert_ok(archive_objects(p->archive, ACCESS_ALL, "1.2.3", NULL, NULL, &p->arena, &objects, &count, &p->err),
              p->err);
    assert_int_equal(count, 1);
    return objects[0];
}

static void header_ends_where_the_pixels_begin(void **state)
{
    struct place p;
    struct archive_stored stored;
    const struct dicom_dataset *header;
    (void)state;
    for (int implicit = 0; implicit < 2; implicit++) {
        place_open(&p);
        assert_ok(object_put(&p, &(struct object){.pixels = true, .implicit = implicit}, &stored), p.err);
        struct archive_object object = only_object(&p);
        assert_int_equal(object.header_size, object.size - 4096 - (implicit ? 8 : 12));
        assert_ok(archive_header(p.archive, &object, 4096, &p.arena, &header, &p.err), p.err);
        assert_null(dicom_find(header, 0x7FE00010));
        assert_string_equal(dicom_text(header, 0x00100010, &p.arena), "M\xc3\xbcller^J\xc3\xb6rg");
        assert_ok(archive_dataset(p.archive, &object, 64, &p.arena, &header, &p.err), p.err);
        assert_non_null(dicom_find(header, 0x7FE00010));
        assert_int_equal(dicom_find(header, 0x7FE00010)->length, 4096);
        place_close(&p);
    }
}

static void an_object_without_pixels_is_all_header(void **state)
{
    struct place p;
    struct archive_stored stored;
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){0}, &stored), p.err);
    struct archive_object object = only_object(&p);
    assert_int_equal(object.header_size, object.size);
    place_close(&p);
}

static void put_deflated(struct place *p, const struct object *object)
{
    struct archive_stored stored;
    struct buffer plain, packed;
    object_write(object, &plain);
    buffer_init(&packed, 1 << 20);
    deflate_bytes(&packed, plain.data, plain.size);
    assert_ok(bytes_put(p, packed.data, packed.size, DICOM_TS_DEFLATED, &usual_origin, &stored), p->err);
    assert_int_equal(only_object(p).size, packed.size);
    buffer_free(&plain);
    buffer_free(&packed);
}

static void a_deflated_object_is_kept_as_it_came_and_read(void **state)
{
    struct place p;
    const struct dicom_dataset *dataset;
    (void)state;
    place_open(&p);
    put_deflated(&p, &(struct object){.pixels = true});
    struct archive_object object = only_object(&p);
    assert_int_equal(object.header_size, object.size);
    assert_ok(archive_header(p.archive, &object, 4096, &p.arena, &dataset, &p.err), p.err);
    assert_string_equal(dicom_text(dataset, 0x00100020, &p.arena), "P1");
    place_close(&p);
}

// The tree left the pixels in the file, or, deflated, did not keep them.
static void a_frame_is_read_wherever_its_object_has_it(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        struct place p;
        struct archive_stored stored;
        const struct dicom_dataset *dataset;
        const struct object object = {.pixels = true, .implicit = way == 1, .fill = 0x5A};
        enum image_color color;
        uint8_t frame[4096];
        place_open(&p);
        if (way == 2)
            put_deflated(&p, &object);
        else
            assert_ok(object_put(&p, &object, &stored), p.err);
        struct archive_object found = only_object(&p);
        assert_ok(archive_dataset(p.archive, &found, 64, &p.arena, &dataset, &p.err), p.err);
        assert_ok(archive_frame(p.archive, &found, dataset, NULL, 0, frame, sizeof frame, &color, &p.err), p.err);
        for (size_t i = 0; i < sizeof frame; i++)
            assert_int_equal(frame[i], 0x5A);
        assert_false(archive_frame(p.archive, &found, dataset, NULL, 1, frame, sizeof frame, &color, &p.err));
        assert_int_equal(p.err.code, ERROR_NOT_FOUND);
        place_close(&p);
    }
}

static void a_reader_ends_where_its_object_does(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_object *objects;
    struct reader reader;
    size_t count;
    uint8_t bytes[2];
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){.instance = "1.2.3.4.5"}, &stored), p.err);
    assert_ok(object_put(&p, &(struct object){.instance = "1.2.3.4.6"}, &stored), p.err);
    assert_ok(archive_objects(p.archive, ACCESS_ALL, "1.2.3", NULL, NULL, &p.arena, &objects, &count, &p.err), p.err);
    assert_ok(archive_reader(p.archive, &objects[0], &reader, &p.err), p.err);
    assert_int_equal(reader.size, objects[0].size);
    assert_ok(reader_read(&reader, 0, bytes, 2, &p.err), p.err);
    assert_memory_equal(bytes, "\x08\x00", 2);
    assert_ok(reader_read(&reader, reader.size - 2, bytes, 2, &p.err), p.err);
    assert_false(reader_read(&reader, reader.size - 1, bytes, 2, &p.err));
    reader_release(&reader);
    place_close(&p);
}

// One byte of a kept object, on the disk; the last bit of the one that is `at` bytes into its data.
static void flip(const struct place *p, const struct archive_object *object, uint64_t at)
{
    char path[2 * PLACE_PATH];
    uint8_t byte;
    snprintf(path, sizeof path, "%s/packs/%010llu.pack", p->folder, (unsigned long long)object->place.container);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t where = (off_t)(object->place.offset + STORE_RECORD_HEADER + at);
    assert_int_equal(pread(fd, &byte, 1, where), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, where), 1);
    close(fd);
}

// Reads it in pieces of `step`; how far it came.
static uint64_t read_through(struct place *p, const struct archive_object *object, size_t step)
{
    static uint8_t bytes[8192];
    struct reader reader;
    uint64_t at = 0;
    assert_ok(archive_proved_reader(p->archive, object, &reader, &p->err), p->err);
    assert_int_equal(reader.size, object->size);
    while (at < reader.size) {
        size_t size = reader.size - at < step ? (size_t)(reader.size - at) : step;
        if (!reader_read(&reader, at, bytes, size, &p->err))
            break;
        at += size;
    }
    reader_release(&reader);
    return at;
}

static bool alarm_stands(const struct archive_object *object)
{
    static struct alarm all[ALARMS_MAX];
    char subject[ALARM_SUBJECT_SIZE];
    uint64_t unlisted;
    size_t count = alarm_list(all, &unlisted);
    bool found = false;
    snprintf(subject, sizeof subject, "container %llu, offset %llu", (unsigned long long)object->place.container,
             (unsigned long long)object->place.offset);
    for (size_t i = 0; i < count; i++)
        found = found || (all[i].kind == ALARM_DIGEST && strcmp(all[i].subject, subject) == 0);
    alarm_clear(ALARM_DIGEST, NULL);
    return found;
}

static void a_flipped_byte_is_told_by_the_read_that_reaches_the_end(void **state)
{
    static const size_t steps[] = {1, 100, 8192};
    struct place p;
    struct archive_stored stored;
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){.pixels = true}, &stored), p.err);
    place_reopen(&p); // so it is in a pack
    const struct archive_object object = only_object(&p);
    const uint64_t places[] = {0, 300, object.size - 1};
    for (size_t i = 0; i < 9; i++) {
        size_t step = steps[i % 3];
        uint64_t last = object.size % step ? object.size % step : step;
        assert_int_equal(read_through(&p, &object, step), object.size);
        assert_ok(archive_prove(p.archive, &object, &p.err), p.err);
        flip(&p, &object, places[i / 3]);
        assert_int_equal(read_through(&p, &object, step), object.size - last);
        assert_int_equal(p.err.code, ERROR_DAMAGED);
        assert_non_null(strstr(p.err.message, object.sop_instance));
        assert_true(alarm_stands(&object));
        assert_false(archive_prove(p.archive, &object, &p.err));
        assert_true(alarm_stands(&object));
        flip(&p, &object, places[i / 3]);
    }
    assert_false(alarm_stands(&object));
    place_close(&p);
}

static void what_is_not_read_in_order_proves_nothing_and_fails(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct reader reader;
    uint8_t bytes[2];
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){0}, &stored), p.err);
    const struct archive_object object = only_object(&p);
    assert_ok(archive_proved_reader(p.archive, &object, &reader, &p.err), p.err);
    assert_false(reader_read(&reader, 1, bytes, 2, &p.err));
    assert_ok(reader_read(&reader, 0, bytes, 2, &p.err), p.err);
    assert_false(reader_read(&reader, 0, bytes, 2, &p.err));
    assert_int_equal(p.err.code, ERROR_INTERNAL);
    reader_release(&reader);
    place_close(&p);
}

// What is not what was stored is no measure for what comes.
static void a_damaged_object_is_compared_with_none(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_conflict *conflicts;
    size_t count;
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){.pixels = true}, &stored), p.err);
    place_reopen(&p);
    const struct archive_object object = only_object(&p);
    flip(&p, &object, object.size - 1);
    assert_ok(object_put(&p, &(struct object){.pixels = true, .patient_name = "Other"}, &stored), p.err);
    assert_int_equal(stored.outcome, ARCHIVE_KEPT_BESIDE);
    assert_ok(archive_conflicts(p.archive, ACCESS_ALL, NULL, false, NULL, &p.arena, &conflicts, &count, &p.err), p.err);
    assert_int_equal(count, 1);
    assert_int_equal(conflicts[0].kind, ARCHIVE_NOT_COMPARED);
    assert_true(alarm_stands(&object));
    place_close(&p);
}

static void lose(const struct place *p, const struct archive_object *object)
{
    char path[2 * PLACE_PATH];
    snprintf(path, sizeof path, "%s/packs/%010llu.pack", p->folder, (unsigned long long)object->place.container);
    assert_int_equal(unlink(path), 0);
}

static void damage(const struct place *p, const struct archive_object *object)
{
    flip(p, object, object->size - 1);
}

// A scanner deletes what it was told is there.
static void what_is_lost_is_stored_anew_when_the_same_bytes_come_again(void **state)
{
    static void (*const ways[])(const struct place *, const struct archive_object *) = {damage, lose};
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct place p;
        struct archive_stored stored;
        struct archive_counts before, after;
        place_open(&p);
        assert_ok(object_put(&p, &(struct object){.pixels = true}, &stored), p.err);
        place_reopen(&p);
        const struct archive_object was = only_object(&p);
        assert_ok(archive_count(p.archive, ACCESS_ALL, &before, &p.err), p.err);
        ways[i](&p, &was);
        for (int again = 0; again < 2; again++) {
            assert_ok(object_put(&p, &(struct object){.pixels = true}, &stored), p.err);
            assert_int_equal(stored.outcome, ARCHIVE_SAME);
            const struct archive_object now = only_object(&p);
            assert_int_not_equal(now.place.container, was.place.container);
            assert_int_equal(now.place.offset, STORE_FILE_HEADER); // the second time nothing was lost
            assert_ok(archive_prove(p.archive, &now, &p.err), p.err);
        }
        assert_false(alarm_stands(&was));
        place_reopen(&p);
        const struct archive_object now = only_object(&p);
        assert_ok(archive_prove(p.archive, &now, &p.err), p.err);
        assert_ok(archive_count(p.archive, ACCESS_ALL, &after, &p.err), p.err);
        assert_memory_equal(&before, &after, sizeof before);
        alarm_clear(ALARM_CONTAINER, NULL);
        place_close(&p);
    }
}

static void count_progress(void *payload, const char *what, uint64_t done, uint64_t total)
{
    uint64_t *objects = payload;
    assert_true(done <= total);
    if (strcmp(what, "objects") == 0)
        objects[0]++;
}

// Its database given up; the writer is NULL meanwhile.
static void rebuild(struct place *p, struct archive_rebuild *rebuild)
{
    place_stop(p);
    p->store = store_open(&(struct store_options){.folder = p->folder, .rebuild = STORE_REBUILD_REPLACE}, &p->err);
    assert_ok(p->store && store_migrate(p->store, &access_migration, &p->err), p->err);
    p->decoder = image_decoder_open(false, &p->err);
    assert_ok(p->decoder != NULL, p->err);
    p->archive = archive_open_rebuild(p->store, p->decoder, rebuild, &p->err);
    assert_ok(p->archive != NULL, p->err);
    assert_ok(store_rebuild_done(p->store, 0, &p->err), p->err);
    p->writer = NULL;
    place_reopen(p);
    alarm_clear(ALARM_REBUILT, NULL);
}

// Two patients under one study, one object in two versions, one more in another study: as they came, so they are again.
static void a_rebuild_makes_the_rows_that_there_were(void **state)
{
    static const struct object objects[] = {
        {.instance = "1.1", .pixels = true},
        {.instance = "1.2", .patient_id = "OTHER", .series = "1.2.3.8"},
        {.instance = "1.1", .pixels = true, .fill = 7},
        {.instance = "1.3", .study = "1.2.4", .series = "1.2.4.1"},
        {.instance = "1.3", .study = "1.2.4", .series = "1.2.4.1"},
    };
    struct place p;
    struct archive_stored stored;
    struct archive_counts before, after;
    struct archive_object *versions;
    const char *flags[ARCHIVE_STUDY_FLAGS];
    uint8_t served[HASH_SIZE];
    size_t count;
    uint64_t shown_objects = 0;
    (void)state;
    place_open(&p);
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        assert_ok(object_put(&p, &objects[i], &stored), p.err);
        if (i % 2 == 0)
            place_reopen(&p); // a pack for each two
    }
    assert_ok(archive_count(p.archive, ACCESS_ALL, &before, &p.err), p.err);
    assert_int_equal(before.patients, 2);
    assert_ok(archive_versions(p.archive, ACCESS_ALL, "1.1", &p.arena, &versions, &count, &p.err), p.err);
    memcpy(served, versions[0].digest, HASH_SIZE);
    struct archive_rebuild how = {.progress = count_progress, .payload = &shown_objects};
    rebuild(&p, &how);
    assert_int_equal(how.unreadable + how.left_out, 0);
    assert_int_equal(shown_objects, 4); // the one that came twice was put down
    assert_ok(archive_count(p.archive, ACCESS_ALL, &after, &p.err), p.err);
    assert_memory_equal(&before, &after, sizeof before);
    assert_ok(archive_versions(p.archive, ACCESS_ALL, "1.1", &p.arena, &versions, &count, &p.err), p.err);
    assert_int_equal(count, 2);
    assert_memory_equal(served, versions[0].digest, HASH_SIZE);
    assert_ok(archive_study_flags(p.archive, ACCESS_ALL, "1.2.3", &p.arena, flags, &count, &p.err), p.err);
    assert_int_equal(count, 2); // whose objects these are, and what waits for a decision
    place_close(&p);
}

static void a_rebuild_counts_what_it_cannot_read_and_brings_back_the_rest(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_counts counts;
    struct archive_object *objects;
    size_t count;
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){.instance = "1.1"}, &stored), p.err);
    assert_ok(object_put(&p, &(struct object){.instance = "1.2"}, &stored), p.err);
    place_reopen(&p);
    assert_ok(archive_objects(p.archive, ACCESS_ALL, "1.2.3", NULL, "1.2", &p.arena, &objects, &count, &p.err), p.err);
    flip(&p, &objects[0], 40);
    struct archive_rebuild how = {0};
    rebuild(&p, &how);
    assert_int_equal(how.unreadable, 1);
    assert_ok(archive_count(p.archive, ACCESS_ALL, &counts, &p.err), p.err);
    assert_int_equal(counts.instances, 1);
    alarm_clear(ALARM_CONTAINER, NULL);
    place_close(&p);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_object *objects;
    size_t count;
    (void)state;
    place_open(&p);
    assert_ok(object_put(&p, &(struct object){0}, &stored), p.err);
    assert_false(archive_objects(p.archive, ACCESS_ALL, "1.2", NULL, NULL, &p.arena, &objects, &count, &p.err));
    assert_int_equal(p.err.code, ERROR_NOT_FOUND);
    assert_false(archive_objects(p.archive, ACCESS_ALL, "1.2.3", "1.2.3.9", NULL, &p.arena, &objects, &count, &p.err));
    assert_false(
        archive_objects(p.archive, ACCESS_ALL, "1.9", "1.2.3.4", "1.2.3.4.5", &p.arena, &objects, &count, &p.err));
    assert_false(archive_versions(p.archive, ACCESS_ALL, "1.2.3.4", &p.arena, &objects, &count, &p.err));
    place_close(&p);
}

// More objects than the memory given: an error, not half of them.
static void objects_past_the_memory_given_are_refused(void **state)
{
    struct place p;
    struct archive_stored stored;
    struct archive_object *objects;
    struct arena small;
    size_t count;
    char instance[32];
    (void)state;
    place_open(&p);
    for (int i = 0; i < 80; i++) {
        snprintf(instance, sizeof instance, "1.2.3.4.%d", i + 1);
        assert_ok(object_put(&p, &(struct object){.instance = instance}, &stored), p.err);
    }
    arena_init(&small, 16 << 10);
    assert_false(archive_objects(p.archive, ACCESS_ALL, "1.2.3", NULL, NULL, &small, &objects, &count, &p.err));
    assert_int_equal(p.err.code, ERROR_LIMIT);
    arena_free(&small);
    place_close(&p);
}

int test_read(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_ends_where_the_pixels_begin),
        cmocka_unit_test(an_object_without_pixels_is_all_header),
        cmocka_unit_test(a_deflated_object_is_kept_as_it_came_and_read),
        cmocka_unit_test(a_frame_is_read_wherever_its_object_has_it),
        cmocka_unit_test(a_reader_ends_where_its_object_does),
        cmocka_unit_test(a_flipped_byte_is_told_by_the_read_that_reaches_the_end),
        cmocka_unit_test(what_is_not_read_in_order_proves_nothing_and_fails),
        cmocka_unit_test(a_damaged_object_is_compared_with_none),
        cmocka_unit_test(what_is_lost_is_stored_anew_when_the_same_bytes_come_again),
        cmocka_unit_test(a_rebuild_makes_the_rows_that_there_were),
        cmocka_unit_test(a_rebuild_counts_what_it_cannot_read_and_brings_back_the_rest),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(objects_past_the_memory_given_are_refused),
    };
    return cmocka_run_group_tests_name("out", tests, NULL, NULL);
}

// ---- a kill at each point, in a child; the next start

enum { BEFORE = 3 };

static const struct {
    const char *point;
    int there; // 1: the object in work must be there afterwards, 0: must not, -1: may (it was never acknowledged)
} points[] = {
    {"lane.mid_write", 0},
    {"lane.after_write", -1},
    {"lane.after_sync", 1},
    {"rows.after_commit", 1},
};

static void put_numbered(struct place *p, int number)
{
    struct archive_stored stored;
    struct archive_origin origin = usual_origin;
    struct buffer data;
    char instance[32];
    snprintf(instance, sizeof instance, "1.2.3.4.%d", number);
    origin.charset = "ISO_IR 100";
    object_write(
        &(struct object){
            .instance = instance, .charset = "-", .patient_name = "M\xFCller", .pixels = true, .fill = number},
        &data);
    if (!bytes_put(p, data.data, data.size, DICOM_TS_EXPLICIT, &origin, &stored))
        _exit(1);
    buffer_free(&data);
}

static void kill_at(struct place *p, const char *point, int nth)
{
    char fault[64];
    snprintf(fault, sizeof fault, "%s:%d", point, nth);
    wait_killed(start_again((const char *const[]){"put", p->folder, NULL}, fault));
}

int again_child_main(const char *folder)
{
    struct place p = {0};
    snprintf(p.folder, sizeof p.folder, "%s", folder);
    arena_init(&p.arena, 1 << 20);
    place_start(&p);
    for (int i = 1; i <= BEFORE + 1; i++)
        put_numbered(&p, i);
    return 0; // never: the fault comes first
}

static size_t count_objects(struct place *p)
{
    struct archive_object *objects;
    size_t count;
    if (!archive_objects(p->archive, ACCESS_ALL, "1.2.3", NULL, NULL, &p->arena, &objects, &count, &p->err))
        return 0;
    for (size_t i = 0; i < count; i++) {
        struct buffer data;
        buffer_init(&data, 1 << 20);
        assert_ok(store_read(p->store, &objects[i].place, &data, &p->err), p->err);
        buffer_free(&data);
        assert_string_equal(objects[i].charset, "ISO_IR 100"); // from the record, where its rows were made again
    }
    assert_int_equal(find_count(p, ARCHIVE_INSTANCE, 0x00100010, "Müller"), count);
    return count;
}

// How often a point is passed in the child until the last object is in work: found by trying, since commits of other
// kinds pass some of them too.
static void after_a_kill_all_acknowledged_objects_are_there_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        size_t most = 0;
        for (int nth = 1; nth <= BEFORE + 1; nth++) {
            struct place p;
            place_open(&p);
            place_stop(&p);
            kill_at(&p, points[i].point, nth);
            place_start(&p);
            size_t count = count_objects(&p);
            if (points[i].there == 0 && count != (size_t)nth - 1)
                fail_msg("%s:%d leaves %zu objects", points[i].point, nth, count);
            if (strncmp(points[i].point, "lane", 4) == 0 && points[i].there == 1 && count != (size_t)nth)
                fail_msg("%s:%d leaves %zu objects", points[i].point, nth, count);
            if (count < most)
                fail_msg("%s:%d lost an object", points[i].point, nth);
            most = count;
            uint64_t events = store_event_last(p.store);
            place_reopen(&p);
            assert_int_equal(count_objects(&p), count);
            assert_int_equal(store_event_last(p.store), events);
            for (int k = 1; k <= BEFORE + 1; k++)
                put_numbered(&p, k); // the sender repeats all: what was there is the same
            assert_int_equal(count_objects(&p), BEFORE + 1);
            struct archive_faults faults;
            assert_ok(archive_count_faults(p.archive, &faults, &p.err), p.err);
            assert_int_equal(faults.conflicts, 0);
            place_close(&p);
        }
    }
}

int test_again(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(after_a_kill_all_acknowledged_objects_are_there_once)};
    return cmocka_run_group_tests_name("after a kill", tests, NULL, NULL);
}
