#include "place.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/access_internal.h"
#include "access/callers.h"
#include "base/clock.h"
#include "base/text.h"

static const char *const titles[] = {"HILUM", "HILUM2", NULL};

static enum access_answer ask(struct place *place, const char *calling, const char *address, int64_t now_ns,
                              struct access_ticket *ticket)
{
    return access_admit(place->access, titles, "HILUM", calling, address, NULL, now_ns, ticket);
}

static void put_peer(struct place *place, const char *name, const char *title, const char *host, bool plain,
                     uint32_t most)
{
    struct access_peer peer = {.rights = ACCESS_STORE, .plain_accepted = plain, .associations_max = most};
    text_copy(peer.name, sizeof peer.name, name);
    text_copy(peer.title, sizeof peer.title, title);
    text_copy(peer.host, sizeof peer.host, host);
    assert_ok(access_peer_put(place->access, &peer, "test", &place->err), place->err);
}

static void loopback_is_told_from_elsewhere(void **state)
{
    static const struct {
        const char *address;
        bool loopback;
    } cases[] = {
        {"127.0.0.1", true},
        {"127.255.3.4", true},
        {"::1", true},
        {"0:0::0:1", true},
        {"::ffff:127.0.0.1", true},
        {"::FFFF:7F00:0001", true},
        {"128.0.0.1", false},
        {"10.0.0.1", false},
        {"::2", false},
        {"::127.0.0.1", false},
        {"::ffff:128.0.0.1", false},
        {"127.0.0.1.example.org", false},
        {"", false},
        {"localhost", false},
        {"127.1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (access_address_is_loopback(cases[i].address) != cases[i].loopback)
            fail_msg("%s", cases[i].address);
}

static void a_loopback_peer_needs_no_entry(void **state)
{
    struct place place;
    struct access_ticket ticket;
    (void)state;
    place_open(&place);
    assert_int_equal(access_admit(place.access, titles, " HILUM2 ", "STORESCU        ", "127.0.0.1", NULL, 0, &ticket),
                     ACCESS_ADMITTED);
    assert_string_equal(ticket.peer.title, "STORESCU");
    assert_string_equal(ticket.peer.name, "");
    assert_string_equal(ticket.address, "127.0.0.1");
    assert_int_equal(ticket.peer.rights, ACCESS_STORE | ACCESS_FIND | ACCESS_GET);
    access_leave(place.access, &ticket);
    place_close(&place);
}

static void who_called_is_known_with_what_he_was_answered(void **state)
{
    struct place place;
    struct access_ticket ticket;
    struct access_caller *callers;
    struct arena arena;
    size_t count;
    (void)state;
    place_open(&place);
    arena_init(&arena, 1 << 20);
    for (int64_t second = 1; second <= 3; second++)
        access_admit(place.access, titles, "HILUMX", "CT9 ", "10.0.0.7", NULL, second * CLOCK_SECOND, &ticket);
    assert_int_equal(ask(&place, "CT1", "127.0.0.1", 9 * CLOCK_SECOND, &ticket), ACCESS_ADMITTED);
    access_leave(place.access, &ticket);
    assert_ok(access_callers(place.access, &arena, &callers, &count, &place.err), place.err);
    assert_int_equal(count, 2);
    assert_string_equal(callers[0].title, "CT1");
    assert_int_equal(callers[0].admitted_ns, 9 * CLOCK_SECOND);
    assert_int_equal(callers[0].refused, 0);
    assert_string_equal(callers[1].title, "CT9");
    assert_string_equal(callers[1].called, "HILUMX");
    assert_string_equal(callers[1].address, "10.0.0.7");
    assert_int_equal(callers[1].refused, 3);
    assert_int_equal(callers[1].refused_ns, 3 * CLOCK_SECOND);
    assert_int_equal(callers[1].answer, ACCESS_CALLED_UNKNOWN);
    arena_free(&arena);
    place_close(&place);
}

static void of_too_many_callers_the_one_heard_of_longest_ago_is_forgotten(void **state)
{
    struct place place;
    struct access_ticket ticket;
    struct access_caller *callers;
    struct arena arena;
    char title[ACCESS_TITLE_SIZE];
    size_t count;
    (void)state;
    place_open(&place);
    arena_init(&arena, 1 << 20);
    for (int i = 0; i <= ACCESS_CALLERS_MAX; i++) {
        snprintf(title, sizeof title, "CT%d", i);
        access_admit(place.access, titles, "HILUMX", title, "10.0.0.7", NULL, (i + 1) * CLOCK_SECOND, &ticket);
    }
    assert_ok(access_callers(place.access, &arena, &callers, &count, &place.err), place.err);
    assert_int_equal(count, ACCESS_CALLERS_MAX);
    snprintf(title, sizeof title, "CT%d", ACCESS_CALLERS_MAX);
    assert_string_equal(callers[0].title, title);
    assert_string_equal(callers[count - 1].title, "CT1");
    arena_free(&arena);
    place_close(&place);
}

static void titles_that_are_none_are_refused(void **state)
{
    static const char *const bad[] = {
        "", "                ", "../x", "a\\b", "\xff\xff", "SEVENTEEN_LETTERS", "..", "A\nB", "*"};
    struct place place;
    struct access_ticket ticket;
    (void)state;
    place_open(&place);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ask(&place, bad[i], "127.0.0.1", 0, &ticket), ACCESS_CALLING_UNKNOWN);
        assert_int_equal(access_admit(place.access, titles, bad[i], "SCU", "127.0.0.1", NULL, 0, &ticket),
                         ACCESS_CALLED_UNKNOWN);
    }
    assert_int_equal(access_admit(place.access, titles, "hilum", "SCU", "127.0.0.1", NULL, 0, &ticket),
                     ACCESS_CALLED_UNKNOWN);
    place_close(&place);
}

static void off_loopback_an_entry_that_accepts_the_plain_wire_is_needed(void **state)
{
    struct place place;
    struct access_ticket ticket;
    (void)state;
    place_open(&place);
    assert_int_equal(ask(&place, "CT1", "10.0.0.5", 0, &ticket), ACCESS_CALLING_UNKNOWN);
    put_peer(&place, "ct", "CT1", "10.0.0.5", false, 0);
    assert_int_equal(ask(&place, "CT1", "10.0.0.5", 0, &ticket), ACCESS_NOT_PLAIN);
    put_peer(&place, "ct", "CT1", "10.0.0.5", true, 0);
    assert_int_equal(ask(&place, "CT1", "::ffff:10.0.0.5", 0, &ticket), ACCESS_ADMITTED);
    assert_string_equal(ticket.peer.name, "ct");
    assert_int_equal(ticket.peer.rights, ACCESS_STORE);
    access_leave(place.access, &ticket);
    assert_int_equal(ask(&place, "CT1", "10.0.0.6", 0, &ticket), ACCESS_CALLING_UNKNOWN);
    assert_int_equal(ask(&place, "CT2", "10.0.0.5", 0, &ticket), ACCESS_CALLING_UNKNOWN);
    assert_ok(access_peer_remove(place.access, "ct", "test", &place.err), place.err);
    assert_int_equal(ask(&place, "CT1", "10.0.0.5", 0, &ticket), ACCESS_CALLING_UNKNOWN);
    place_close(&place);
}

static void a_host_name_is_looked_up(void **state)
{
    struct place place;
    struct access_ticket ticket;
    (void)state;
    place_open(&place);
    // "127.1" is no address in its full form, so it is looked up like a name; no file and no server is needed for it.
    put_peer(&place, "local", "CT1", "127.1", false, 0);
    assert_int_equal(ask(&place, "CT1", "127.0.0.1", 0, &ticket), ACCESS_ADMITTED);
    assert_string_equal(ticket.peer.name, "local");
    access_leave(place.access, &ticket);
    place_close(&place);
}

static void on_loopback_the_title_of_an_entry_that_wants_tls_or_puts_labels_is_its_own(void **state)
{
    struct place place;
    struct access_ticket ticket;
    struct access_peer guarded = {
        .name = "vault", .title = "CT1", .host = "10.0.0.5", .rights = ACCESS_STORE, .tls = true};
    const struct tls_peer stranger = {.ends_ns = INT64_MAX, .subject = "CN=stranger", .fingerprint = "ab"};
    (void)state;
    place_open(&place);
    put_peer(&place, "open", "CT2", "10.0.0.6", true, 0);
    assert_ok(access_peer_put(place.access, &guarded, "test", &place.err), place.err);
    assert_int_equal(ask(&place, "CT1", "127.0.0.1", 0, &ticket), ACCESS_CALLING_UNKNOWN);
    assert_non_null(strstr(ticket.why, "vault at 10.0.0.5"));
    assert_int_equal(ask(&place, "CT1", "::1", 0, &ticket), ACCESS_CALLING_UNKNOWN);
    assert_int_equal(access_admit(place.access, titles, "HILUM", "CT1", "127.0.0.1", &stranger, 0, &ticket),
                     ACCESS_CALLING_UNKNOWN);
    assert_int_equal(ask(&place, "CT2", "127.0.0.1", 0, &ticket), ACCESS_ADMITTED);
    access_leave(place.access, &ticket);
    assert_ok(access_label_put(place.access, &(struct access_label){.name = "vip"}, "test", &place.err), place.err);
    guarded.tls = false;
    text_copy(guarded.puts, sizeof guarded.puts, "vip");
    assert_ok(access_peer_put(place.access, &guarded, "test", &place.err), place.err);
    assert_int_equal(ask(&place, "CT1", "127.0.0.1", 0, &ticket), ACCESS_CALLING_UNKNOWN);
    assert_non_null(strstr(ticket.why, "puts labels"));
    place_close(&place);
}

static void a_name_is_no_way_round_the_entry_of_its_address(void **state)
{
    struct place place;
    struct access_ticket ticket;
    struct access_peer by_name = {.name = "a", .title = "CT1", .host = "127.1", .rights = ACCESS_STORE};
    struct access_peer guarded = {
        .name = "b", .title = "CT1", .host = "127.0.0.1", .rights = ACCESS_STORE, .tls = true};
    (void)state;
    place_open(&place);
    assert_ok(access_peer_put(place.access, &guarded, "test", &place.err), place.err);
    assert_false(access_peer_put(place.access, &by_name, "test", &place.err));
    assert_int_equal(place.err.code, ERROR_DUPLICATE);
    assert_non_null(strstr(place.err.message, "the entry b (127.0.0.1)"));
    // One whose name means that address only since it was entered.
    text_copy(by_name.title, sizeof by_name.title, "CT2");
    assert_ok(access_peer_put(place.access, &by_name, "test", &place.err), place.err);
    text_copy(place.access->known[0].peer.title, ACCESS_TITLE_SIZE, "CT1");
    assert_int_equal(ask(&place, "CT1", "127.0.0.1", 0, &ticket), ACCESS_NOT_TLS);
    place_close(&place);
}

// Line 58 of the bad-input list.
static void a_thousand_idle_associations_harm_no_other_title(void **state)
{
    enum { TRIES = 1000 };
    struct place place;
    struct access_ticket *tickets = calloc(TRIES, sizeof *tickets);
    struct access_ticket honest;
    size_t admitted = 0;
    (void)state;
    place_open(&place);
    for (size_t i = 0; i < TRIES; i++) {
        enum access_answer answer = ask(&place, "IDLE", "127.0.0.1", (int64_t)i, &tickets[admitted]);
        assert_int_equal(answer, i < ACCESS_ASSOCIATIONS_PER_PEER ? ACCESS_ADMITTED : ACCESS_PEER_LIMIT);
        admitted += answer == ACCESS_ADMITTED;
    }
    assert_int_equal(admitted, ACCESS_ASSOCIATIONS_PER_PEER);
    assert_int_equal(ask(&place, "HONEST", "127.0.0.1", TRIES, &honest), ACCESS_ADMITTED);
    access_leave(place.access, &tickets[0]);
    assert_int_equal(ask(&place, "IDLE", "127.0.0.1", TRIES, &tickets[0]), ACCESS_ADMITTED);
    place_close(&place);
    free(tickets);
}

static void invented_titles_and_loopback_addresses_leave_half_to_peers_with_an_entry(void **state)
{
    struct place place;
    struct access_ticket tickets[ACCESS_ASSOCIATIONS_WITHOUT_ENTRY], ticket;
    (void)state;
    place_open(&place);
    put_peer(&place, "ct", "CT1", "10.0.0.5", true, 0);
    for (int i = 0; i < ACCESS_ASSOCIATIONS_WITHOUT_ENTRY; i++) {
        char title[ACCESS_TITLE_SIZE], address[32];
        snprintf(title, sizeof title, "SCU%d", i);
        snprintf(address, sizeof address, "127.0.%d.1", i % 200);
        assert_int_equal(ask(&place, title, address, i, &tickets[i]), ACCESS_ADMITTED);
    }
    assert_int_equal(ask(&place, "ONE_MORE", "127.9.9.9", 0, &ticket), ACCESS_PEER_LIMIT);
    assert_int_equal(ask(&place, "CT1", "10.0.0.5", 0, &ticket), ACCESS_ADMITTED);
    access_leave(place.access, &ticket);
    for (int i = 0; i < ACCESS_ASSOCIATIONS_WITHOUT_ENTRY; i++)
        access_leave(place.access, &tickets[i]);
    assert_int_equal(ask(&place, "ONE_MORE", "127.9.9.9", 0, &ticket), ACCESS_ADMITTED);
    access_leave(place.access, &ticket);
    place_close(&place);
}

static void all_associations_together_have_a_limit(void **state)
{
    struct place place;
    struct access_ticket ticket;
    (void)state;
    place_open(&place);
    put_peer(&place, "a", "A", "10.0.0.1", true, 200);
    put_peer(&place, "b", "B", "10.0.0.2", true, 200);
    for (int i = 0; i < ACCESS_ASSOCIATIONS_ALL; i++)
        assert_int_equal(i < 200 ? ask(&place, "A", "10.0.0.1", 0, &ticket) : ask(&place, "B", "10.0.0.2", 0, &ticket),
                         ACCESS_ADMITTED);
    assert_int_equal(ask(&place, "A", "10.0.0.1", 0, &ticket), ACCESS_PEER_LIMIT);
    assert_int_equal(ask(&place, "B", "10.0.0.2", 0, &ticket), ACCESS_TOTAL_LIMIT);
    place_close(&place);
}

static size_t resident_kib(void)
{
    char line[128] = "";
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    assert_int_equal(sscanf(line, "%lu %lu", &size, &resident), 2);
    return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void refuse_many(struct place *place, size_t count, int64_t *now_ns)
{
    struct access_ticket ticket;
    for (size_t i = 0; i < count; i++) {
        char title[ACCESS_TITLE_SIZE], address[32];
        snprintf(title, sizeof title, "EVIL%zu", i % 50000);
        snprintf(address, sizeof address, "10.%zu.%zu.%zu", i >> 16 & 255, i >> 8 & 255, i & 255);
        *now_ns += CLOCK_MS / 10;
        assert_int_equal(ask(place, title, address, *now_ns, &ticket), ACCESS_CALLING_UNKNOWN);
    }
}

// Line 60 of the bad-input list: 10 seconds of 10,000 refusals each.
static void a_hundred_thousand_refusals_keep_memory_and_trail_small(void **state)
{
    struct place place;
    uint64_t lines;
    int64_t now_ns = 1700000000 * CLOCK_SECOND;
    (void)state;
    place_open(&place);
    refuse_many(&place, 5000, &now_ns);
    size_t before = resident_kib();
    refuse_many(&place, 100000, &now_ns);
    size_t after = resident_kib();
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    char *trail = place_trail(place.audit);
    assert_int_equal(place_sum_counts(trail), 105000);
    free(trail);
    assert_ok(access_audit_verify(place.audit, &lines, &place.err), place.err);
    print_message("100,000 refusals: %zu KiB before, %zu after, %zu audit lines\n", before, after, (size_t)lines);
    assert_in_range(lines, 10, 12 * 40);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(after < before + 1024);
#endif
    place_close(&place);
}

static void refusals_of_one_peer_make_one_line_a_second(void **state)
{
    struct place place;
    struct access_ticket ticket;
    uint64_t lines;
    int64_t now_ns = 1700000000 * CLOCK_SECOND;
    (void)state;
    place_open(&place);
    for (int i = 0; i < 1000; i++)
        ask(&place, "EVIL", "10.0.0.1", now_ns, &ticket);
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    char *trail = place_trail(place.audit);
    assert_int_equal(place_sum_counts(trail), 1000);
    assert_non_null(strstr(trail, "no peer entry for this title and address"));
    free(trail);
    assert_ok(access_audit_verify(place.audit, &lines, &place.err), place.err);
    assert_in_range(lines, 1, 2);
    ask(&place, "EVIL", "10.0.0.1", now_ns + 2 * CLOCK_SECOND, &ticket);
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    trail = place_trail(place.audit);
    assert_int_equal(place_sum_counts(trail), 1001);
    free(trail);
    place_close(&place);
}

static void *come_and_go(void *payload)
{
    struct place *place = payload;
    for (int i = 0; i < 20000; i++) {
        struct access_ticket ticket;
        char title[ACCESS_TITLE_SIZE];
        snprintf(title, sizeof title, "SCU%d", i % 40);
        if (ask(place, title, "127.0.0.1", i, &ticket) == ACCESS_ADMITTED)
            access_leave(place->access, &ticket);
    }
    return NULL;
}

static void counts_of_many_threads_come_back_to_none(void **state)
{
    struct place place;
    pthread_t threads[8];
    struct access_ticket ticket;
    (void)state;
    place_open(&place);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &place), 0);
    for (int i = 0; i < 20; i++)
        put_peer(&place, "ct", "CT1", "10.0.0.5", true, (uint32_t)i + 1);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < ACCESS_ASSOCIATIONS_PER_PEER; i++)
        assert_int_equal(ask(&place, "SCU7", "127.0.0.1", 0, &ticket), ACCESS_ADMITTED);
    assert_int_equal(ask(&place, "SCU7", "127.0.0.1", 0, &ticket), ACCESS_PEER_LIMIT);
    place_close(&place);
}

// Whose entry says tls: required is let in over TLS alone, with the certificate that is entered or a known authority's.
static void over_tls_the_certificate_decides(void **state)
{
    enum { HOUR = 3600 };
    static const char good[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    static const struct {
        const char *entered, *shown, *wrong;
        int64_t ends_s;
        enum access_answer answer;
    } cases[] = {
        {"", good, "", HOUR, ACCESS_ADMITTED},
        {"", good, "none of the known authorities has signed it", HOUR, ACCESS_CERTIFICATE},
        {"", good, "", -HOUR, ACCESS_CERTIFICATE},
        {good, good, "none of the known authorities has signed it", HOUR, ACCESS_ADMITTED},
        {good, good, "", -HOUR, ACCESS_CERTIFICATE},
        {good, "bbbb", "", HOUR, ACCESS_CERTIFICATE},
        {"", "", "", 0, ACCESS_CERTIFICATE},
    };
    struct access_ticket ticket;
    struct place place;
    (void)state;
    place_open(&place);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct access_peer peer = {
            .name = "ct1", .title = "CT1", .host = "10.1.2.3", .rights = ACCESS_STORE, .tls = true};
        struct tls_peer shown = {.ends_ns = cases[i].ends_s ? clock_now_ns() + cases[i].ends_s * CLOCK_SECOND : 0};
        text_copy(peer.certificate, sizeof peer.certificate, cases[i].entered);
        text_copy(shown.fingerprint, sizeof shown.fingerprint, cases[i].shown);
        text_copy(shown.wrong, sizeof shown.wrong, cases[i].wrong);
        assert_ok(access_peer_put(place.access, &peer, "test", &place.err), place.err);
        enum access_answer answer =
            access_admit(place.access, titles, "HILUM", "CT1", "10.1.2.3", &shown, clock_now_ns(), &ticket);
        if (answer != cases[i].answer)
            fail_msg("case %zu: %d, %s", i, (int)answer, ticket.why);
        assert_string_equal(ticket.certificate, answer == ACCESS_ADMITTED ? cases[i].shown : "");
        if (answer == ACCESS_ADMITTED)
            access_leave(place.access, &ticket);
        else
            assert_true(ticket.why[0] != '\0');
    }
    struct tls_peer any = {.ends_ns = INT64_MAX, .fingerprint = "abcd"};
    assert_int_equal(access_admit(place.access, titles, "HILUM", "X", "127.0.0.1", &any, clock_now_ns(), &ticket),
                     ACCESS_ADMITTED);
    assert_string_equal(ticket.certificate, ""); // nobody has entered him
    access_leave(place.access, &ticket);
    assert_int_equal(ask(&place, "CT1", "10.1.2.3", clock_now_ns(), &ticket), ACCESS_NOT_TLS);
    place_close(&place);
}

int test_admission(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_tls_the_certificate_decides),
        cmocka_unit_test(loopback_is_told_from_elsewhere),
        cmocka_unit_test(a_loopback_peer_needs_no_entry),
        cmocka_unit_test(titles_that_are_none_are_refused),
        cmocka_unit_test(off_loopback_an_entry_that_accepts_the_plain_wire_is_needed),
        cmocka_unit_test(a_host_name_is_looked_up),
        cmocka_unit_test(on_loopback_the_title_of_an_entry_that_wants_tls_or_puts_labels_is_its_own),
        cmocka_unit_test(a_name_is_no_way_round_the_entry_of_its_address),
        cmocka_unit_test(a_thousand_idle_associations_harm_no_other_title),
        cmocka_unit_test(invented_titles_and_loopback_addresses_leave_half_to_peers_with_an_entry),
        cmocka_unit_test(all_associations_together_have_a_limit),
        cmocka_unit_test(a_hundred_thousand_refusals_keep_memory_and_trail_small),
        cmocka_unit_test(who_called_is_known_with_what_he_was_answered),
        cmocka_unit_test(of_too_many_callers_the_one_heard_of_longest_ago_is_forgotten),
        cmocka_unit_test(refusals_of_one_peer_make_one_line_a_second),
        cmocka_unit_test(counts_of_many_threads_come_back_to_none),
    };
    return cmocka_run_group_tests_name("access: admission", tests, NULL, NULL);
}
