// What the trail says, and what it does while the disk does not take it.
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/audit_chain.h"
#include "access/audit_line.h"
#include "access/audit_trail.h"
#include "base/clock.h"
#include "support/program.h"

#define NOON (INT64_C(1700000040) * CLOCK_SECOND) // a full minute

static const struct access_record stored = {.event = ACCESS_EVENT_STORED,
                                            .success = true,
                                            .actor = "CT1",
                                            .address = "10.0.0.5",
                                            .patient = "4711",
                                            .study = "1.2.3",
                                            .detail = "1.2.840.10008.5.1.4.1.1.2"};

static struct access_trail *open_trail(const char *folder)
{
    struct error err;
    struct access_trail *trail = access_trail_open(NULL, folder, NULL, ACCESS_SEGMENT_MAX, &err);
    assert_ok(trail != NULL, err);
    return trail;
}

static void flush(struct access_trail *trail)
{
    struct error err;
    assert_ok(access_trail_flush(trail, true, &err), err);
}

static uint64_t verified(const char *folder)
{
    struct error err;
    uint64_t lines;
    assert_ok(access_audit_verify(folder, &lines, &err), err);
    return lines;
}

static void the_accesses_of_a_minute_are_one_line_and_its_rest(void **state)
{
    char folder[PLACE_PATH];
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    access_trail_put(trail, &stored, NOON);
    clock_sleep_ns(900 * CLOCK_MS);
    assert_int_equal(verified(folder), 1); // on disk within a second, unasked
    for (int i = 0; i < 500; i++)
        access_trail_put(trail, &stored, NOON + i * CLOCK_MS);
    struct access_record other = stored;
    other.patient = "4712";
    access_trail_put(trail, &other, NOON);
    access_trail_put(trail, &stored, NOON + 60 * CLOCK_SECOND);
    flush(trail);
    char *text = place_trail(folder);
    assert_int_equal(place_sum_counts(text), 503);
    assert_int_equal(verified(folder), 4);
    assert_non_null(strstr(text, "[sum@32473 count=\"500\"]"));
    free(text);
    access_trail_close(trail);
    folder_delete(folder);
}

static void queries_of_a_minute_are_summed_by_what_was_asked(void **state)
{
    char folder[PLACE_PATH];
    struct access_record query = stored;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    query.event = ACCESS_EVENT_QUERY;
    for (int i = 0; i < 10; i++) {
        query.detail = i % 2 ? "GET /api/worklist" : "GET /api/deliveries";
        access_trail_put(trail, &query, NOON + i * CLOCK_MS);
    }
    flush(trail);
    char *text = place_trail(folder);
    assert_int_equal(place_sum_counts(text), 10);
    assert_non_null(strstr(text, "GET /api/worklist"));
    assert_non_null(strstr(text, "GET /api/deliveries"));
    assert_true(verified(folder) <= 4);
    free(text);
    access_trail_close(trail);
    folder_delete(folder);
}

static void the_rest_of_a_minute_is_told_when_it_ends(void **state)
{
    char folder[PLACE_PATH];
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    access_trail_put(trail, &stored, NOON + 58 * CLOCK_SECOND);
    flush(trail);
    access_trail_put(trail, &stored, NOON + 58 * CLOCK_SECOND + CLOCK_MS);
    assert_int_equal(verified(folder), 1);
    for (int i = 0; i < 60 && verified(folder) < 2; i++)
        clock_sleep_ns(100 * CLOCK_MS);
    assert_int_equal(verified(folder), 2);
    access_trail_close(trail);
    assert_int_equal(verified(folder), 2);
    folder_delete(folder);
}

static void other_events_are_a_line_each(void **state)
{
    char folder[PLACE_PATH];
    struct access_record record = stored;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    record.event = ACCESS_EVENT_JUDGED;
    record.success = false;
    for (int i = 0; i < 50; i++)
        access_trail_put(trail, &record, NOON);
    access_trail_close(trail);
    assert_int_equal(verified(folder), 50);
    folder_delete(folder);
}

// Counts of all lines of the trail, which are at most `lines_max`.
static void assert_bounded(const char *folder, uint64_t count, uint64_t lines_max)
{
    char *text = place_trail(folder);
    assert_int_equal(place_sum_counts(text), count);
    assert_true(verified(folder) <= lines_max);
    free(text);
}

static void a_loop_of_refused_requests_is_a_few_lines_and_its_count(void **state)
{
    char folder[PLACE_PATH], study[32], actor[32];
    struct access_record refused = stored;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    refused.event = ACCESS_EVENT_REFUSED;
    refused.success = false;
    for (int i = 0; i < 5000; i++)
        access_trail_put(trail, &refused, NOON + i * CLOCK_MS);
    flush(trail);
    assert_bounded(folder, 5000, 2);
    refused.study = study;
    for (int i = 0; i < 5000; i++) {
        snprintf(study, sizeof study, "1.2.3.%d", i);
        access_trail_put(trail, &refused, NOON + i * CLOCK_MS);
    }
    flush(trail);
    assert_bounded(folder, 10000, 2 + 2 * (ACCESS_REFUSALS_PER_MINUTE + 1));
    refused.actor = actor;
    for (int i = 0; i < 5000; i++) {
        snprintf(actor, sizeof actor, "CT%d", i);
        access_trail_put(trail, &refused, NOON + i * CLOCK_MS);
    }
    flush(trail);
    assert_bounded(folder, 15000, 2 + 4 * (ACCESS_REFUSALS_PER_MINUTE + 1));
    access_trail_close(trail);
    folder_delete(folder);
}

static void a_clock_set_back_loses_no_access(void **state)
{
    char folder[PLACE_PATH];
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    for (int i = 0; i < 3; i++) {
        access_trail_put(trail, &stored, NOON);
        access_trail_put(trail, &stored, NOON);
        access_trail_put(trail, &stored, NOON - 3600 * CLOCK_SECOND);
    }
    flush(trail);
    char *text = place_trail(folder);
    assert_int_equal(place_sum_counts(text), 9);
    assert_int_equal(verified(folder), 6); // no hour is summed into a minute to come
    free(text);
    access_trail_close(trail);
    folder_delete(folder);
}

static void more_sums_than_the_table_holds_are_all_told(void **state)
{
    enum { PATIENTS = 3 * ACCESS_SUMS_MAX };
    char folder[PLACE_PATH];
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    for (int i = 0; i < 2 * PATIENTS; i++) {
        char patient[16];
        struct access_record record = stored;
        snprintf(patient, sizeof patient, "P%d", i % PATIENTS);
        record.patient = patient;
        access_trail_put(trail, &record, NOON);
    }
    access_trail_close(trail);
    char *text = place_trail(folder);
    assert_int_equal(place_sum_counts(text), 2 * PATIENTS);
    free(text);
    folder_delete(folder);
}

static void a_record_costs_the_caller_little(void **state)
{
    enum { CALLS = 200000 };
    char folder[PLACE_PATH];
    struct access_record record = stored;
    char patient[16];
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    record.patient = patient;
    int64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < CALLS; i++) {
        snprintf(patient, sizeof patient, "P%d", i / 200);
        access_trail_put(trail, &record, NOON + i * CLOCK_MS);
    }
    int64_t each_ns = (clock_monotonic_ns() - start_ns) / CALLS;
    print_message("access_audit: %lld ns a call\n", (long long)each_ns);
    assert_true(each_ns < 50000); // a sanitizer's build on a busy machine; it is about 500
    access_trail_close(trail);
    folder_delete(folder);
}

// ---- what a line is, seen by another program

static const char checker[] =
    "import sys,re,glob,hmac,xml.etree.ElementTree as ET\n"
    "head=re.compile(r'<85>1 \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z [A-Za-z0-9.-]+ hilum \\d+ "
    "DICOM\\+RFC3881 '\n"
    " r'\\[chain@32473 seq=\"(\\d+)\"(?: previous=\"([0-9a-f]{64})\" key=\"[0-9a-f]{16}\")? "
    "value=\"([0-9a-f]{64})\"\\]'\n"
    " r'\\[sum@32473 count=\"\\d+\"\\] \\ufeff')\n"
    "value=bytes(32); n=0\n"
    "key=bytes.fromhex(open(sys.argv[1]+'/audit-key').read().split()[2])\n"
    "for name in sorted(glob.glob(sys.argv[1]+'/audit-*.log')):\n"
    " data=open(name,'rb').read()\n"
    " lines=data.decode('utf-8').splitlines()\n"
    " assert data.endswith(b'\\n') and len(lines)==data.count(b'\\n'), 'a line was forged'\n"
    " for line in lines:\n"
    "  m=head.match(line); assert m, line\n"
    "  without=line[:m.start(3)]+line[m.end(3):]\n"
    "  value=hmac.new(key,value+without.encode(),'sha256').digest()\n"
    "  n+=1\n"
    "  assert value.hex()==m[3] and int(m[1])==n, n\n"
    "  x=ET.fromstring(line[m.end():])\n"
    "  assert x.tag=='AuditMessage' and x.find('EventIdentification/EventID').get('codeSystemName')=='DCM'\n"
    "  assert x.find('EventIdentification').get('EventOutcomeIndicator') in '048'\n"
    "  assert x.find('AuditSourceIdentification').get('AuditSourceID')=='hilum'\n"
    "  p=x.findall('ActiveParticipant'); assert len(p)==2 and p[0].get('UserIsRequestor')=='true'\n"
    "  for v in sys.argv[3:]: assert v not in line\n"
    "assert n==int(sys.argv[2]), n\n";

static void check_with_python(const char *folder, const char *lines, const char *absent)
{
    run_well((const char *const[]){"/usr/bin/python3", "-c", checker, folder, lines, absent, NULL}, NULL);
}

static void lines_are_rfc_5424_with_well_formed_xml_and_hostile_texts_forge_none(void **state)
{
    static const char *const hostile[] = {
        "A\n<85>1 2026-11-24T13:00:00.000Z x hilum 1 DICOM+RFC3881 - \xEF\xBB\xBF<AuditMessage/>",
        "\"]\r\n[chain@32473 seq=\"1\" value=\"00\"]",
        "</AuditMessage><EVIL a='b'>&evil;<![CDATA[",
        "\xff\xfe\xc0\x80\xed\xa0\x80\xf5\x80\x80\x80\xe2\x80",
        "a\x01\x0b\x0c\x1c\x1d\x1e\x7f\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xef\xbf\xbf\xef\xbf\xbe",
        "M\xc3\xbcller^J\xc3\xb6rg \xe5\xb1\xb1\xe7\x94\xb0",
        "-->]]><?xml version='1.0'?>\\x41;$(reboot)",
    };
    enum { HOSTILE = sizeof hostile / sizeof *hostile };
    char folder[PLACE_PATH], lines[16];
    uint64_t count = 0;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct error err;
    struct access_trail *trail = access_trail_open(NULL, folder, NULL, 8192, &err);
    assert_ok(trail != NULL, err);
    char *longest = malloc(5001);
    memset(longest, '"', 5000);
    longest[5000] = '\0';
    memcpy(longest + 998, "\xe5\xb1\xb1", 3); // cut in the middle of a character
    for (int event = 0; event < ACCESS_EVENT_COUNT; event++) {
        for (int i = 0; i <= HOSTILE; i++) {
            const char *text = i < HOSTILE ? hostile[i] : longest;
            access_trail_put(trail,
                             &(struct access_record){.event = (enum access_event)event,
                                                     .success = i % 2 == 0,
                                                     .actor = text,
                                                     .address = text,
                                                     .patient = text,
                                                     .study = text,
                                                     .detail = text},
                             NOON);
            count++;
        }
        flush(trail);
    }
    access_trail_put(trail, &(struct access_record){.event = ACCESS_EVENT_START}, NOON); // no text at all
    access_trail_close(trail);
    free(longest);
    snprintf(lines, sizeof lines, "%llu", (unsigned long long)count + 1);
    check_with_python(folder, lines, "<EVIL");
    assert_int_equal(verified(folder), count + 1);
    folder_delete(folder);
}

// ---- a disk that takes no more

static void put_distinct(struct access_trail *trail, int from, int count)
{
    struct access_record record = stored;
    record.event = ACCESS_EVENT_IMPORTED;
    for (int i = 0; i < count; i++) {
        char patient[32];
        snprintf(patient, sizeof patient, "FULL%d", from + i);
        record.patient = patient;
        access_trail_put(trail, &record, NOON);
    }
}

static void a_full_disk_is_told_and_nothing_is_lost_when_it_heals(void **state)
{
    char folder[PLACE_PATH];
    struct error err;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    put_distinct(trail, 0, 3);
    flush(trail);
    place_limit_files(6000);
    put_distinct(trail, 3, 40);
    bool flushed = access_trail_flush(trail, true, &err);
    bool healthy = access_trail_healthy(trail);
    put_distinct(trail, 43, 40);
    place_limit_files(RLIM_INFINITY);
    assert_false(flushed);
    assert_int_equal(err.code, ERROR_FULL);
    assert_false(healthy);
    flush(trail);
    assert_true(access_trail_healthy(trail));
    assert_int_equal(verified(folder), 83);
    char *text = place_trail(folder);
    assert_true(strstr(text, "\"FULL42\"") < strstr(text, "\"FULL43\"")); // in order
    free(text);
    assert_int_equal(access_trail_lost(trail), 0);
    access_trail_close(trail);
    folder_delete(folder);
}

static void what_no_longer_fits_into_memory_is_counted_and_told(void **state)
{
    char folder[PLACE_PATH];
    struct error err;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    place_limit_files(100);
    put_distinct(trail, 0, 1);
    bool flushed = access_trail_flush(trail, true, &err);
    int64_t start_ns = clock_monotonic_ns();
    put_distinct(trail, 1, 30000);
    int64_t took_ns = clock_monotonic_ns() - start_ns;
    place_limit_files(RLIM_INFINITY);
    assert_false(flushed);
    assert_true(took_ns < 5 * CLOCK_SECOND); // nobody waits for a disk that is known to be full
    uint64_t lost = access_trail_lost(trail);
    assert_in_range(lost, 1, 29000);
    flush(trail);
    char *text = place_trail(folder);
    assert_int_equal(place_count(text, "records were lost"), 1);
    assert_int_equal(place_sum_counts(text), 30001 - lost + 1);
    free(text);
    access_trail_close(trail);
    folder_delete(folder);
}

static void a_refusal_is_not_told_as_a_success(void **state)
{
    char folder[PLACE_PATH];
    struct error err;
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = access_trail_open(NULL, folder, NULL, ACCESS_SEGMENT_MAX, &err);
    assert_ok(trail != NULL, err);
    for (int success = 0; success < 2; success++)
        access_trail_put(trail,
                         &(struct access_record){.event = ACCESS_EVENT_CHANGED,
                                                 .success = success == 1,
                                                 .actor = success ? "Ann" : "Bob",
                                                 .address = "",
                                                 .patient = "",
                                                 .study = "",
                                                 .detail = ""},
                         NOON);
    access_trail_close(trail);
    char *text = place_trail(folder), *end = strchr(text, '\n');
    assert_non_null(end);
    *end = '\0';
    assert_true(strstr(text, "Bob") && strstr(text, "EventOutcomeIndicator=\"4\"")); // a serious failure
    assert_true(strstr(end + 1, "Ann") && strstr(end + 1, "EventOutcomeIndicator=\"0\""));
    free(text);
    folder_delete(folder);
}

// ---- who waits for his turn at the trail

enum { ASKERS = 21, REFUSED_OF_THEM = 4 }; // one walks, 16 wait

static _Atomic int asked_well, asked_in_vain;

static void *ask(void *payload)
{
    struct access_unknown unknown;
    struct error err;
    if (access_trail_unknown(payload, &unknown, &err)) {
        buffer_free(&unknown.texts);
        asked_well++;
    } else {
        asked_in_vain += err.code == ERROR_BUSY;
    }
    return NULL;
}

// The walk stands still at a file that is a pipe.
static void sixteen_wait_for_their_turn_at_the_trail_and_no_more(void **state)
{
    char folder[PLACE_PATH], path[PLACE_PATH + 32];
    pthread_t threads[ASKERS];
    (void)state;
    folder_make(folder, PLACE_PATH);
    struct access_trail *trail = open_trail(folder);
    access_trail_put(trail, &stored, NOON);
    flush(trail);
    snprintf(path, sizeof path, "%s/audit-00000002.log", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, trail), 0);
    for (int i = 0; i < 2000 && asked_in_vain < REFUSED_OF_THEM; i++)
        clock_sleep_ns(5 * CLOCK_MS);
    assert_int_equal(asked_in_vain, REFUSED_OF_THEM);
    assert_int_equal(asked_well, 0);
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    close(fd);
    for (int i = 0; i < ASKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(asked_in_vain, REFUSED_OF_THEM);
    assert_int_equal(asked_well, ASKERS - REFUSED_OF_THEM);
    access_trail_close(trail);
    folder_delete(folder);
}

int test_audit(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_accesses_of_a_minute_are_one_line_and_its_rest),
        cmocka_unit_test(queries_of_a_minute_are_summed_by_what_was_asked),
        cmocka_unit_test(the_rest_of_a_minute_is_told_when_it_ends),
        cmocka_unit_test(other_events_are_a_line_each),
        cmocka_unit_test(a_loop_of_refused_requests_is_a_few_lines_and_its_count),
        cmocka_unit_test(a_clock_set_back_loses_no_access),
        cmocka_unit_test(more_sums_than_the_table_holds_are_all_told),
        cmocka_unit_test(a_record_costs_the_caller_little),
        cmocka_unit_test(lines_are_rfc_5424_with_well_formed_xml_and_hostile_texts_forge_none),
        cmocka_unit_test(a_full_disk_is_told_and_nothing_is_lost_when_it_heals),
        cmocka_unit_test(what_no_longer_fits_into_memory_is_counted_and_told),
        cmocka_unit_test(a_refusal_is_not_told_as_a_success),
        cmocka_unit_test(sixteen_wait_for_their_turn_at_the_trail_and_no_more),
    };
    return cmocka_run_group_tests_name("access: audit", tests, NULL, NULL);
}
