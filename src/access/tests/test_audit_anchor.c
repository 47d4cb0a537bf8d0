// The audit trail beside its anchor: an end cut off, a trail written anew, a file taken away; and no crash looks like
// one.
#include "place.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/audit_trail.h"
#include "access/audit_walk.h"
#include "base/alarm.h"
#include "base/clock.h"
#include "base/file.h"
#include "support/store.h"

// ---- a trail beside its store, as `hilum serve` has it

static void open_trail(struct place *place)
{
    static const struct store_migration *const rooms[] = {&access_migration, NULL};
    place->store = open_store(place->folder, rooms, &place->err);
    assert_ok(place->store != NULL, place->err);
    place->access = access_open(place->store, place->folder, NULL, &place->err);
    assert_ok(place->access != NULL, place->err);
}

static void close_trail(struct place *place)
{
    access_close(place->access);
    store_close(place->store);
}

static void put(struct place *place, const char *actor)
{
    struct access_record record = {.event = ACCESS_EVENT_IMPORTED, .success = true, .actor = actor};
    record.address = record.patient = record.study = record.detail = "";
    access_audit(place->access, &record, clock_now_ns());
    assert_ok(access_audit_flush(place->access, &place->err), place->err);
}

// A trail of `lines` lines.
static void make_trail(struct place *place, const char *actor, int lines)
{
    *place = (struct place){0};
    folder_make(place->folder, sizeof place->folder);
    open_trail(place);
    for (int i = 0; i < lines; i++)
        put(place, actor);
}

static void segment_path(char path[ACCESS_PATH_SIZE], const struct place *place, uint64_t segment)
{
    struct error err;
    assert_ok(access_segment_path(path, place->folder, segment, &err), err);
}

static char *load_segment(const struct place *place, uint64_t segment, size_t *size)
{
    char path[ACCESS_PATH_SIZE];
    segment_path(path, place, segment);
    return load_file(path, size);
}

static void save_segment(const struct place *place, uint64_t segment, const char *text, size_t size)
{
    char path[ACCESS_PATH_SIZE];
    segment_path(path, place, segment);
    save_file(path, text, size);
}

static uint64_t last_segment(const struct place *place)
{
    struct error err;
    uint64_t last;
    assert_ok(access_segment_last(place->folder, &last, &err), err);
    return last;
}

// ---- alarms

static struct alarm alarms[ALARMS_MAX];

static int nothing_stands(void **state)
{
    (void)state;
    alarm_clear(ALARM_AUDIT, NULL);
    alarm_clear(ALARM_DATABASE, NULL);
    return 0;
}

static size_t alarm_count_now(void)
{
    uint64_t unlisted;
    return alarm_list(alarms, &unlisted);
}

// The alarm, and the first line of the newest file, say it.
static void assert_told(const struct place *place, const char *words)
{
    assert_int_equal(alarm_count_now(), 1);
    assert_int_equal(alarms[0].kind, ALARM_AUDIT);
    assert_string_equal(alarms[0].subject, "trail");
    if (!strstr(alarms[0].text, words))
        fail_msg("'%s' is not in: %s", words, alarms[0].text);
    char *text = load_segment(place, last_segment(place), NULL);
    char *end = strchr(text, '\n');
    assert_non_null(end);
    *end = '\0';
    assert_non_null(strstr(text, words));
    free(text);
}

static void collect(void *payload, const struct access_damage *damage)
{
    for (uint64_t i = 0; i < damage->places && i < ACCESS_PLACES_SHOWN; i++)
        buffer_printf(payload, "%s\n", damage->said[i]);
    if (damage->places > ACCESS_PLACES_SHOWN)
        buffer_printf(payload, "of %d\n", (int)damage->places);
    if (damage->known_in > 0)
        buffer_printf(payload, "known in %d\n", (int)damage->known_in);
}

static char *check(const struct place *place, struct access_audit_check *check)
{
    struct error err;
    struct buffer said;
    buffer_init(&said, 1 << 20);
    *check = (struct access_audit_check){.wrong = collect, .payload = &said};
    assert_ok(access_audit_check(place->folder, check, &err), err);
    buffer_byte(&said, '\0');
    return (char *)said.data;
}

static void start_again(struct place *place)
{
    close_trail(place);
    nothing_stands(NULL);
    open_trail(place);
    put(place, "later");
}

// Does the check tell of a break, an older database or missing lines?
static bool something_stands(const struct place *place)
{
    struct access_audit_check done;
    char *said = check(place, &done);
    assert_int_equal(strstr(done.broken, "log: the audit chain is broken, ") != NULL, done.broken[0] != '\0');
    assert_int_equal(strstr(done.older, "log: the database is an older copy: ") != NULL, done.older[0] != '\0');
    free(said);
    return done.broken[0] || done.older[0] || done.missing[0];
}

// Looks, and says to know of what is there.
static bool says_to_know(struct place *place, const char *by)
{
    struct access_unknown unknown;
    assert_ok(access_audit_unknown(place->access, &unknown, &place->err), place->err);
    buffer_free(&unknown.texts);
    return access_audit_acknowledge(place->access, by, unknown.version, &place->err);
}

// Each start tells it, and the check, until a person says that he knows; that is told in the trail, and no more.
static void it_stands_until_somebody_knows(struct place *place)
{
    for (int i = 0; i < 2; i++) {
        start_again(place);
        assert_int_equal(alarm_count_now(), 1);
        assert_non_null(strstr(alarms[0].text, "hilum audit acknowledge --by NAME"));
        assert_true(something_stands(place));
    }
    assert_ok(says_to_know(place, "Ann"), place->err);
    assert_int_equal(alarm_count_now(), 0);
    assert_false(says_to_know(place, "Ann"));
    assert_int_equal(place->err.code, ERROR_NOT_FOUND);
    char *text = load_segment(place, last_segment(place), NULL);
    assert_non_null(strstr(text, "UserID=\"Ann\""));
    free(text);
    start_again(place);
    assert_int_equal(alarm_count_now(), 0);
    assert_false(something_stands(place));
    close_trail(place);
    folder_delete(place->folder);
}

static void wait_for_alarm(void)
{
    for (int i = 0; i < 600 && alarm_count_now() == 0; i++)
        clock_sleep_ns(10 * CLOCK_MS);
}

// ---- at the start

static void an_end_cut_off_is_told(void **state)
{
    struct place place;
    size_t size;
    (void)state;
    make_trail(&place, "X", 4);
    close_trail(&place);
    char *text = load_segment(&place, 1, &size);
    char *last = memrchr(text, '\n', size - 1);
    save_segment(&place, 1, text, (size_t)(last + 1 - text));
    free(text);
    open_trail(&place);
    assert_told(&place, "was cut off");
    assert_int_equal(last_segment(&place), 2);
    it_stands_until_somebody_knows(&place);
}

// As sound a chain, of as many lines, by one who can compute it.
// Also by somebody who has the key.
static void a_trail_written_anew_is_told(void **state)
{
    struct place place, other;
    char keys[2][ACCESS_PATH_SIZE];
    size_t size;
    (void)state;
    make_trail(&place, "X", 4);
    close_trail(&place);
    make_trail(&other, "Y", 4);
    close_trail(&other);
    char *text = load_segment(&other, 1, &size);
    save_segment(&place, 1, text, size);
    free(text);
    snprintf(keys[0], sizeof keys[0], "%s/audit-key", other.folder);
    snprintf(keys[1], sizeof keys[1], "%s/audit-key", place.folder);
    assert_int_equal(rename(keys[0], keys[1]), 0);
    open_trail(&place);
    assert_told(&place, "written anew");
    it_stands_until_somebody_knows(&place);
    folder_delete(other.folder);
}

static void a_trail_that_is_gone_is_told(void **state)
{
    struct place place;
    char path[ACCESS_PATH_SIZE];
    (void)state;
    make_trail(&place, "X", 2);
    close_trail(&place);
    segment_path(path, &place, 1);
    assert_int_equal(unlink(path), 0);
    open_trail(&place);
    assert_told(&place, "audit-00000001.log is missing");
    assert_int_equal(last_segment(&place), 2); // the number does not come again
    it_stands_until_somebody_knows(&place);
}

// A power cut may keep more than was synced, and half a line of it.
static void an_unfinished_line_behind_the_anchored_is_none_of_that(void **state)
{
    struct place place;
    size_t size;
    (void)state;
    make_trail(&place, "X", 3);
    close_trail(&place);
    char *text = load_segment(&place, 1, &size);
    char *longer = malloc(size + 10);
    memcpy(longer, text, size);
    memcpy(longer + size, "<86>1 2026", 10);
    save_segment(&place, 1, longer, size + 10);
    free(longer);
    free(text);
    open_trail(&place);
    assert_int_equal(alarm_count_now(), 0);
    assert_int_equal(last_segment(&place), 1);
    close_trail(&place);
    folder_delete(place.folder);
}

// Of a turn that was not synced a power cut may keep a later page and lose an earlier one: zeros, and then whole lines.
// In front of the anchored line no cut leaves such.
static void a_lost_page_behind_the_anchored_line_is_none_of_that_and_one_before_it_is(void **state)
{
    static const size_t losts[] = {100, 2 * ACCESS_LINE_MAX};
    struct place place;
    size_t size;
    (void)state;
    for (size_t i = 0; i < sizeof losts / sizeof *losts; i++) {
        make_trail(&place, "X", 3);
        close_trail(&place);
        char *text = load_segment(&place, 1, &size);
        char *longer = calloc(1, size + losts[i] + 64);
        memcpy(longer, text, size);
        memcpy(longer + size, "<86>1 2026", 10);
        memcpy(longer + size + 10 + losts[i], " end\n<86>1 2026 more\n", 21);
        save_segment(&place, 1, longer, size + 10 + losts[i] + 21);
        open_trail(&place);
        assert_int_equal(alarm_count_now(), 0);
        assert_int_equal(last_segment(&place), 1);
        close_trail(&place);
        memset(longer + size - 40, 0, 20);
        save_segment(&place, 1, longer, size);
        free(longer);
        free(text);
        open_trail(&place);
        assert_told(&place, "is missing: the end was cut off");
        close_trail(&place);
        folder_delete(place.folder);
        while (alarm_count_now() > 0)
            alarm_clear(alarms[0].kind, alarms[0].subject);
    }
}

// ---- an older database, with an anchor as old

// What a backup of the database takes, without the audit trail.
struct backup {
    struct {
        char *bytes; // NULL: it was not there
        size_t size;
    } files[3];
};

static void backup_path(char path[PLACE_PATH + 16], const struct place *place, size_t index)
{
    static const char *const names[] = {"hilum.db", "hilum.db-wal", "anchor"};
    snprintf(path, PLACE_PATH + 16, "%s/%s", place->folder, names[index]);
}

static void make_backup(struct backup *backup, const struct place *place)
{
    char path[PLACE_PATH + 16];
    for (size_t i = 0; i < 3; i++) {
        backup_path(path, place, i);
        backup->files[i].bytes = access(path, F_OK) == 0 ? load_file(path, &backup->files[i].size) : NULL;
    }
}

static void restore(const struct backup *backup, const struct place *place)
{
    char path[PLACE_PATH + 16];
    for (size_t i = 0; i < 3; i++) {
        backup_path(path, place, i);
        unlink(path);
        if (backup->files[i].bytes)
            save_file(path, backup->files[i].bytes, backup->files[i].size);
    }
}

static void free_backup(struct backup *backup)
{
    for (size_t i = 0; i < 3; i++)
        free(backup->files[i].bytes);
}

static void assert_older_is_told(struct place *place, const char *words)
{
    assert_int_equal(alarm_count_now(), 1);
    assert_int_equal(alarms[0].kind, ALARM_DATABASE);
    assert_non_null(strstr(alarms[0].text, words));
    assert_non_null(strstr(store_older(place->store), words));
    char *text = load_segment(place, last_segment(place), NULL);
    assert_non_null(strstr(text, "the database is an older copy: "));
    free(text);
}

// The backup was made after a clean stop: one line more is enough.
static void a_trail_that_goes_on_behind_a_clean_stop_tells_an_older_database(void **state)
{
    struct place place;
    struct backup backup;
    (void)state;
    make_trail(&place, "X", 3);
    close_trail(&place);
    make_backup(&backup, &place);
    open_trail(&place);
    put(&place, "later");
    close_trail(&place);
    restore(&backup, &place);
    open_trail(&place);
    assert_older_is_told(&place, "the audit trail has 1 lines more");
    it_stands_until_somebody_knows(&place);
    free_backup(&backup);
}

// The backup was made of a server that ran, and so may look as a kill leaves it: as many lines as its anchor allows for
// are no sign, one more is.
static void a_trail_that_goes_on_further_than_any_kill_leaves_it_tells_an_older_database(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct place place;
        struct backup backup;
        make_trail(&place, "X", 3);
        make_backup(&backup, &place);
        for (int i = 0; i < ACCESS_AHEAD + more; i++)
            put(&place, "later");
        close_trail(&place);
        restore(&backup, &place);
        open_trail(&place);
        if (more) {
            assert_older_is_told(&place, "the audit trail has 17 lines more");
            it_stands_until_somebody_knows(&place);
        } else {
            assert_int_equal(alarm_count_now(), 0);
            close_trail(&place);
            folder_delete(place.folder);
        }
        free_backup(&backup);
        nothing_stands(NULL);
    }
}

// A person who goes on without what is lost, and loses his chain too, says both at once.
static void a_break_and_an_older_database_are_told_both_and_known_by_one_word(void **state)
{
    struct place place;
    struct backup backup;
    size_t size;
    (void)state;
    make_trail(&place, "X", 3);
    close_trail(&place);
    make_backup(&backup, &place);
    open_trail(&place);
    put(&place, "later");
    close_trail(&place);
    restore(&backup, &place);
    open_trail(&place);
    close_trail(&place);
    char *text = load_segment(&place, 2, &size);
    save_segment(&place, 3, text, size); // does not continue the second
    free(text);
    nothing_stands(NULL);
    open_trail(&place);
    assert_int_equal(alarm_count_now(), 2);
    assert_ok(says_to_know(&place, "Ann"), place.err);
    assert_int_equal(alarm_count_now(), 0);
    start_again(&place);
    assert_int_equal(alarm_count_now(), 0);
    close_trail(&place);
    folder_delete(place.folder);
    free_backup(&backup);
}

// A process that has much to tell, in large turns and small ones, until it is killed.
static void tell_until_killed(struct place *place)
{
    struct access_record record = {.event = ACCESS_EVENT_IMPORTED, .success = true, .actor = "killed"};
    record.address = record.patient = record.study = record.detail = "";
    open_trail(place);
    for (int i = 1;; i++) {
        access_audit(place->access, &record, clock_now_ns());
        if (i % 100 == 0 || i % 100 == 7)
            access_audit_flush(place->access, &place->err);
    }
}

static _Atomic bool anchor_fails;

// In front of the C library's.
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    char name[64], path[PLACE_PATH + 16];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t length = anchor_fails ? readlink(name, path, sizeof path - 1) : 0;
    path[length > 0 ? length : 0] = '\0';
    if (length > 0 && strcmp(path + strlen(path) - strlen("/anchor"), "/anchor") == 0) {
        errno = EIO;
        return -1;
    }
    return pwritev(fd, &(struct iovec){(void *)(uintptr_t)data, size}, 1, offset);
}

// Otherwise a kill leaves more lines than any anchor allowed for, and the database is called an older copy.
static void what_is_written_behind_a_failed_anchor_is_counted(void **state)
{
    struct place place;
    struct access_record record = {.event = ACCESS_EVENT_IMPORTED, .success = true, .actor = "X"};
    record.address = record.patient = record.study = record.detail = "";
    (void)state;
    make_trail(&place, "X", 1);
    close_trail(&place);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        open_trail(&place);
        put(&place, "before");
        anchor_fails = true;
        for (int i = 0; i < 3 * ACCESS_AHEAD; i++) {
            access_audit(place.access, &record, clock_now_ns());
            access_audit_flush(place.access, &place.err);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    nothing_stands(NULL);
    open_trail(&place);
    assert_int_equal(alarm_count_now(), 0);
    close_trail(&place);
    folder_delete(place.folder);
}

static off_t trail_size(const struct place *place)
{
    char path[ACCESS_PATH_SIZE];
    struct stat status;
    segment_path(path, place, last_segment(place));
    return stat(path, &status) == 0 ? status.st_size : 0;
}

static void a_kill_at_any_time_is_no_older_database(void **state)
{
    struct place place;
    (void)state;
    make_trail(&place, "X", 1);
    close_trail(&place);
    for (int round = 0; round < 12; round++) {
        off_t size = trail_size(&place);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            tell_until_killed(&place);
        for (int i = 0; i < 5000 && trail_size(&place) < size + 2000 * (1 + round % 4); i++)
            clock_sleep_ns(CLOCK_MS);
        clock_sleep_ns(round * CLOCK_MS / 3); // somewhere in a turn
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_true(trail_size(&place) > size);
        open_trail(&place);
        assert_int_equal(alarm_count_now(), 0);
        close_trail(&place);
    }
    folder_delete(place.folder);
}

// ---- records that wait for a disk

enum end { HEALS, STOPS, KILLED };

// A process that cannot write what is put.
static void wait_and_end(struct place *place, enum end end)
{
    struct access_record record = {.event = ACCESS_EVENT_JUDGED, .success = true, .actor = "waits"};
    struct rlimit limit;
    record.address = record.patient = record.study = record.detail = "";
    open_trail(place);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = (rlim_t)trail_size(place) + 100;
    setrlimit(RLIMIT_FSIZE, &limit);
    access_audit(place->access, &record, clock_now_ns());
    if (access_audit_written(place->access, &place->err) || place->err.code != ERROR_FULL)
        _exit(1);
    limit.rlim_cur = RLIM_INFINITY;
    if (end == HEALS && (setrlimit(RLIMIT_FSIZE, &limit) != 0 || !access_audit_written(place->access, &place->err)))
        _exit(2);
    if (end != KILLED)
        close_trail(place);
    _exit(0);
}

static void records_that_were_never_written_are_told_by_the_next_start(void **state)
{
    (void)state;
    for (enum end end = HEALS; end <= KILLED; end++) {
        struct place place;
        int status;
        make_trail(&place, "X", 30); // longer than the anchor
        close_trail(&place);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            wait_and_end(&place, end);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(something_stands(&place), end != HEALS); // the anchor tells
        open_trail(&place);
        assert_int_equal(alarm_count_now(), end != HEALS);
        if (end != HEALS) {
            assert_string_equal(alarms[0].subject, "missing lines");
            assert_non_null(strstr(alarms[0].text, "lines may be missing here: the server ended"));
            it_stands_until_somebody_knows(&place);
        } else {
            close_trail(&place);
            folder_delete(place.folder);
        }
    }
}

// ---- while it runs

static void a_file_removed_while_it_is_written_is_told(void **state)
{
    struct place place;
    char path[ACCESS_PATH_SIZE];
    (void)state;
    make_trail(&place, "X", 2);
    segment_path(path, &place, 1);
    assert_int_equal(unlink(path), 0);
    wait_for_alarm(); // nobody writes
    put(&place, "after");
    assert_told(&place, "audit-00000001.log, up to line 2, was removed");
    char *text = load_segment(&place, 2, NULL);
    assert_non_null(strstr(text, "after"));
    free(text);
    it_stands_until_somebody_knows(&place);
}

static void a_file_replaced_or_cut_while_it_is_written_is_told(void **state)
{
    static const char *const words[] = {"was replaced", "bytes, and"};
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        struct place place;
        char path[ACCESS_PATH_SIZE], other[ACCESS_PATH_SIZE + 8];
        size_t size;
        make_trail(&place, "X", 2);
        char *text = load_segment(&place, 1, &size);
        segment_path(path, &place, 1);
        snprintf(other, sizeof other, "%s.new", path);
        save_file(other, text, size);
        free(text);
        assert_int_equal(cut ? truncate(path, 100) : rename(other, path), 0);
        put(&place, "after"); // before it writes, it looks
        assert_told(&place, words[cut]);
        it_stands_until_somebody_knows(&place);
        nothing_stands(NULL);
    }
}

static void a_disk_that_takes_no_line_is_told_while_that_lasts(void **state)
{
    struct place place;
    char moved[PLACE_PATH + 8];
    (void)state;
    make_trail(&place, "X", 1);
    snprintf(moved, sizeof moved, "%s.away", place.folder);
    assert_int_equal(rename(place.folder, moved), 0); // no new file can be made
    wait_for_alarm();
    assert_string_equal(alarms[0].subject, "writing");
    assert_int_equal(rename(moved, place.folder), 0);
    assert_true(access_audit_flush(place.access, &place.err));
    assert_int_equal(alarm_count_now(), 0);
    close_trail(&place);
    folder_delete(place.folder);
}

// ---- the check of all

static void the_check_says_what_is_wrong_and_where_and_goes_on(void **state)
{
    enum { SEGMENT_MAX = 1500 };
    struct place place = {0};
    struct access_audit_check done;
    char path[ACCESS_PATH_SIZE];
    size_t size;
    (void)state;
    folder_make(place.folder, sizeof place.folder);
    struct access_trail *trail = access_trail_open(NULL, place.folder, NULL, SEGMENT_MAX, &place.err);
    struct access_record record = {.event = ACCESS_EVENT_IMPORTED, .success = true, .actor = "Somebody"};
    record.address = record.patient = record.study = record.detail = "";
    while (last_segment(&place) < 5) {
        access_trail_put(trail, &record, CLOCK_SECOND);
        assert_true(access_trail_flush(trail, true, &place.err));
    }
    access_trail_close(trail);
    char *said = check(&place, &done);
    assert_string_equal(said, "");
    assert_int_equal(done.files, 5);
    free(said);
    char *text = load_segment(&place, 2, &size);
    *strstr(strchr(text, '\n'), "Somebody") = 's'; // its second line
    save_segment(&place, 2, text, size);
    free(text);
    segment_path(path, &place, 4);
    assert_int_equal(unlink(path), 0);
    said = check(&place, &done);
    assert_string_equal(said,
                        "audit-00000002.log line 2: does not match its chain value: it, or what is before it, was "
                        "changed\naudit-00000004.log is missing\n");
    free(said);
    assert_int_equal(done.files, 4);
    assert_int_equal(done.sound_files, 3);
    assert_int_equal(done.sound_lines, done.lines - 1);
    assert_int_equal(done.first, 1);
    assert_false(done.anchored);
    folder_delete(place.folder);
}

static void the_check_knows_the_anchored_line(void **state)
{
    struct place place;
    struct access_audit_check done;
    size_t size;
    (void)state;
    make_trail(&place, "X", 3);
    char *said = check(&place, &done); // while it is open
    assert_string_equal(said, "");
    assert_int_equal(done.lines, 3);
    free(said);
    close_trail(&place);
    char *text = load_segment(&place, 1, &size);
    save_segment(&place, 1, text, (size_t)((char *)memrchr(text, '\n', size - 1) + 1 - text));
    free(text);
    said = check(&place, &done);
    assert_non_null(strstr(said, "line 3 of the chain, in audit-00000001.log, is missing"));
    free(said);
    folder_delete(place.folder);
}

static void what_others_write_behind_the_last_line_is_told(void **state)
{
    struct place place;
    size_t size;
    (void)state;
    make_trail(&place, "X", 2);
    char *text = load_segment(&place, 1, &size), *longer = malloc(2 * size);
    assert_non_null(longer);
    memcpy(longer, text, size);
    memcpy(longer + size, text, size);
    save_segment(&place, 1, longer, 2 * size);
    free(text);
    free(longer);
    put(&place, "after"); // before it writes, it looks
    assert_told(&place, "bytes, and");
    it_stands_until_somebody_knows(&place);
}

static void change(const struct place *place, uint64_t segment, const char *from, char to)
{
    size_t size;
    char *text = load_segment(place, segment, &size), *at = strstr(text, from);
    assert_non_null(at);
    *at = to;
    save_segment(place, segment, text, size);
    free(text);
}

static void assert_known(const struct place *place, bool known)
{
    struct access_audit_check done;
    char *said = check(place, &done);
    assert_non_null(strstr(said, "audit-00000001.log line 1: does not match its chain value"));
    assert_int_equal(strstr(said, "known in ") != NULL, known);
    assert_int_equal(done.files - done.sound_files, 1);
    free(said);
}

// Damage or a break that came after a person had looked is nothing that he knows of, and he is told so.
static void what_came_after_a_person_had_looked_stands(void **state)
{
    struct place place;
    struct access_unknown seen;
    (void)state;
    for (int breaks = 0; breaks < 2; breaks++) {
        nothing_stands(NULL);
        make_trail(&place, "Somebody", 2);
        change(&place, 1, "Somebody", 's');
        assert_ok(access_audit_unknown(place.access, &seen, &place.err), place.err);
        const char *text = (const char *)seen.texts.data;
        assert_non_null(strstr(text, "audit-00000001.log line 1: does not match"));
        assert_int_equal(seen.texts.size, strlen(text) + 1); // one
        buffer_free(&seen.texts);
        if (breaks) {
            char path[ACCESS_PATH_SIZE];
            segment_path(path, &place, 1);
            assert_int_equal(unlink(path), 0);
            put(&place, "later"); // which looks at the file
        } else
            change(&place, 1, "Somebody", 'X'); // in its second line
        assert_false(access_audit_acknowledge(place.access, "Ann", seen.version, &place.err));
        assert_int_equal(place.err.code, ERROR_CONFLICT);
        assert_int_equal(alarm_count_now(), breaks);
        if (!breaks)
            assert_known(&place, false);
        assert_ok(says_to_know(&place, "Ann"), place.err); // who has looked again
        assert_int_equal(alarm_count_now(), 0);
        close_trail(&place);
        folder_delete(place.folder);
    }
}

// Damage that no start sees is known by what it was: just that, whatever comes behind it, and nothing else.
static void what_is_damaged_is_known_until_something_else_is(void **state)
{
    struct place place;
    struct access_audit_check done;
    (void)state;
    make_trail(&place, "Somebody", 2);
    change(&place, 1, "Somebody", 's');
    assert_known(&place, false);
    assert_ok(says_to_know(&place, "Ann"), place.err);
    char *text = load_segment(&place, last_segment(&place), NULL);
    assert_non_null(strstr(text, "UserID=\"Ann\""));
    assert_non_null(strstr(text, ACCESS_KNOWN_WORDS));
    assert_non_null(strstr(text, ": audit-00000001.log line 1: does not match"));
    free(text);
    assert_known(&place, true);
    assert_false(says_to_know(&place, "Ann"));
    assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    start_again(&place);
    assert_known(&place, true);
    change(&place, 1, "somebody", 'S'); // back again: sound
    char *said = check(&place, &done);
    assert_string_equal(said, "");
    free(said);
    change(&place, 1, "Somebody", 'X');
    assert_known(&place, false);
    assert_ok(says_to_know(&place, "Bo"), place.err);
    assert_known(&place, true);
    change(&place, 1, "Somebody", 'Y'); // in its second line
    assert_known(&place, false);
    close_trail(&place);
    folder_delete(place.folder);
}

// What is wrong with an earlier file is no part of it.
static void what_is_damaged_in_a_file_stays_known_when_another_one_is_sound_again(void **state)
{
    struct place place;
    struct access_audit_check done;
    (void)state;
    make_trail(&place, "Somebody", 2);
    change(&place, 1, "Somebody", 's');
    assert_ok(says_to_know(&place, "Ann"), place.err);
    uint64_t second = last_segment(&place);
    put(&place, "Another");
    put(&place, "Another");
    change(&place, second, "Another", 'a');
    assert_ok(says_to_know(&place, "Bo"), place.err);
    change(&place, 1, "somebody", 'S');
    char *said = check(&place, &done);
    assert_int_equal(done.files - done.sound_files, 1);
    assert_null(strstr(said, "audit-00000001.log"));
    assert_non_null(strstr(said, "known in "));
    free(said);
    close_trail(&place);
    folder_delete(place.folder);
}

static void the_first_places_of_a_file_are_told_and_all_counted(void **state)
{
    struct place place;
    struct access_audit_check done;
    (void)state;
    make_trail(&place, "Somebody", ACCESS_PLACES_SHOWN + 2);
    for (int i = 0; i < ACCESS_PLACES_SHOWN + 2; i++)
        change(&place, 1, "Somebody", 's');
    char *said = check(&place, &done);
    assert_non_null(strstr(said, "line 8: does not match"));
    assert_null(strstr(said, "line 9: does not match"));
    assert_non_null(strstr(said, "of 10\n"));
    free(said);
    assert_int_equal(done.sound_lines, done.lines - ACCESS_PLACES_SHOWN - 2);
    close_trail(&place);
    folder_delete(place.folder);
}

// The file behind a missing one continues what nobody can see: it is not called changed.
static void a_missing_file_makes_its_successor_no_suspect(void **state)
{
    struct place place = {0};
    struct access_audit_check done;
    char path[ACCESS_PATH_SIZE];
    (void)state;
    folder_make(place.folder, sizeof place.folder);
    struct access_trail *trail = access_trail_open(NULL, place.folder, NULL, 1500, &place.err);
    struct access_record record = {.event = ACCESS_EVENT_IMPORTED, .success = true, .actor = "Somebody"};
    record.address = record.patient = record.study = record.detail = "";
    while (last_segment(&place) < 4) {
        access_trail_put(trail, &record, CLOCK_SECOND);
        assert_true(access_trail_flush(trail, true, &place.err));
    }
    access_trail_close(trail);
    segment_path(path, &place, 2);
    assert_int_equal(unlink(path), 0);
    char *said = check(&place, &done); // the third has lines
    assert_string_equal(said, "audit-00000002.log is missing\n");
    free(said);
    assert_int_equal(done.sound_lines, done.lines);
    folder_delete(place.folder);
}

// Whoever asks when the files cannot be read is refused, and the next one is not.
static void a_look_that_failed_is_over(void **state)
{
    struct place place;
    struct access_unknown unknown;
    struct rlimit before;
    (void)state;
    make_trail(&place, "Somebody", 2);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, before.rlim_max}), 0);
    bool ok = access_audit_unknown(place.access, &unknown, &place.err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(ok);
    assert_ok(access_audit_unknown(place.access, &unknown, &place.err), place.err);
    buffer_free(&unknown.texts);
    close_trail(&place);
    folder_delete(place.folder);
}

int test_audit_anchor(void)
{
#define alarm_test(name) cmocka_unit_test_setup_teardown(name, nothing_stands, nothing_stands)
    static const struct CMUnitTest tests[] = {
        alarm_test(an_end_cut_off_is_told),
        alarm_test(a_trail_written_anew_is_told),
        alarm_test(a_trail_that_is_gone_is_told),
        alarm_test(an_unfinished_line_behind_the_anchored_is_none_of_that),
        alarm_test(a_lost_page_behind_the_anchored_line_is_none_of_that_and_one_before_it_is),
        alarm_test(a_trail_that_goes_on_behind_a_clean_stop_tells_an_older_database),
        alarm_test(a_trail_that_goes_on_further_than_any_kill_leaves_it_tells_an_older_database),
        alarm_test(a_break_and_an_older_database_are_told_both_and_known_by_one_word),
        alarm_test(a_kill_at_any_time_is_no_older_database),
        alarm_test(records_that_were_never_written_are_told_by_the_next_start),
        alarm_test(a_file_removed_while_it_is_written_is_told),
        alarm_test(a_file_replaced_or_cut_while_it_is_written_is_told),
        alarm_test(a_disk_that_takes_no_line_is_told_while_that_lasts),
        alarm_test(the_check_says_what_is_wrong_and_where_and_goes_on),
        alarm_test(the_check_knows_the_anchored_line),
        alarm_test(what_others_write_behind_the_last_line_is_told),
        alarm_test(what_came_after_a_person_had_looked_stands),
        alarm_test(what_is_damaged_is_known_until_something_else_is),
        alarm_test(what_is_damaged_in_a_file_stays_known_when_another_one_is_sound_again),
        alarm_test(the_first_places_of_a_file_are_told_and_all_counted),
        alarm_test(what_is_written_behind_a_failed_anchor_is_counted),
        alarm_test(a_missing_file_makes_its_successor_no_suspect),
        cmocka_unit_test(a_look_that_failed_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
