#include "place.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "store/event.h"

static struct access_peer pacs(void)
{
    return (struct access_peer){.name = "pacs",
                                .title = "PACS",
                                .host = "10.1.2.3",
                                .port = 104,
                                .rights = ACCESS_STORE | ACCESS_TARGET,
                                .plain_accepted = true,
                                .issuer = "HOSPITAL"};
}

static void a_peer_is_kept_with_a_version_over_a_restart(void **state)
{
    struct place place;
    struct access_peer peer = pacs(), read;
    (void)state;
    place_open(&place);
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    peer.port = 11112;
    peer.newest = true;
    text_copy(peer.charset, sizeof peer.charset, "GB18030");
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    place_reopen(&place);
    assert_ok(access_peer_get(place.access, "pacs", &read, &place.err), place.err);
    assert_int_equal(read.version, 2);
    assert_int_equal(read.port, 11112);
    assert_string_equal(read.issuer, "HOSPITAL");
    assert_string_equal(read.charset, "GB18030");
    assert_true(read.plain_accepted);
    assert_true(read.newest);
    assert_ok(access_peer_remove(place.access, "pacs", "admin", &place.err), place.err);
    assert_false(access_peer_get(place.access, "pacs", &read, &place.err));
    assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    assert_false(access_peer_remove(place.access, "pacs", "admin", &place.err));
    assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    assert_ok(access_peer_get(place.access, "pacs", &read, &place.err), place.err);
    assert_int_equal(read.version, 4);
    place_close(&place);
}

static void the_same_again_changes_nothing(void **state)
{
    struct place place;
    struct access_peer peer = pacs(), read;
    (void)state;
    place_open(&place);
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    uint64_t events = store_event_last(place.store);
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    assert_ok(access_peer_get(place.access, "pacs", &read, &place.err), place.err);
    assert_int_equal(read.version, 1);
    assert_int_equal(store_event_last(place.store), events);
    place_close(&place);
}

static void a_change_of_an_older_version_is_refused(void **state)
{
    struct place place;
    struct access_peer peer = pacs();
    (void)state;
    place_open(&place);
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    peer.version = 1;
    peer.port = 105;
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    peer.port = 106;
    assert_false(access_peer_put(place.access, &peer, "other", &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    place_close(&place);
}

static void two_entries_for_one_title_and_host_are_refused(void **state)
{
    struct place place;
    struct access_peer peer = pacs();
    (void)state;
    place_open(&place);
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    text_copy(peer.name, sizeof peer.name, "again");
    text_copy(peer.host, sizeof peer.host, "::ffff:10.1.2.3");
    assert_false(access_peer_put(place.access, &peer, "admin", &place.err));
    assert_int_equal(place.err.code, ERROR_DUPLICATE);
    place_close(&place);
}

static void a_change_makes_an_event_and_an_audit_line(void **state)
{
    struct place place;
    struct arena arena;
    struct store_event *events;
    size_t count;
    struct access_peer peer = pacs();
    (void)state;
    place_open(&place);
    arena_init(&arena, 1 << 20);
    assert_ok(access_peer_put(place.access, &peer, "dr.who", &place.err), place.err);
    struct database *db = store_read_begin(place.store, &place.err);
    assert_ok(store_event_read(db, 0, 10, &arena, &events, &count, &place.err), place.err);
    store_read_end(place.store, db);
    assert_int_equal(count, 1);
    assert_int_equal(events[0].kind, STORE_EVENT_CONFIG_CHANGED);
    assert_string_equal(events[0].subject, "pacs");
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    char *trail = place_trail(place.audit);
    assert_non_null(strstr(trail, "UserID=\"dr.who\""));
    assert_non_null(strstr(trail, "peer pacs set, version 1"));
    free(trail);
    text_copy(peer.issuer, sizeof peer.issuer, "OTHER");
    assert_ok(access_peer_put(place.access, &peer, "dr.who", &place.err), place.err);
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    trail = place_trail(place.audit);
    assert_non_null(strstr(trail, "peer pacs changed, version 2; issuer: "));
    free(trail);
    arena_free(&arena);
    place_close(&place);
}

static void unfit_values_are_refused_by_name(void **state)
{
    static const struct {
        const char *json, *part;
    } cases[] = {
        {"[]", "object"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h\",\"rights\":[\"store\"],\"colour\":1}", "colour"},
        {"{\"name\":\"a/b\",\"title\":\"A\",\"host\":\"h\",\"rights\":[\"store\"]}", "name"},
        {"{\"name\":\"\",\"title\":\"A\",\"host\":\"h\",\"rights\":[\"store\"]}", "name"},
        {"{\"name\":\"a\",\"title\":\"../x\",\"host\":\"h\",\"rights\":[\"store\"]}", "title"},
        {"{\"name\":\"a\",\"title\":\"SEVENTEEN_LETTERS\",\"host\":\"h\",\"rights\":[\"store\"]}", "title"},
        {"{\"name\":\"a\",\"title\":\"A\\u0000B\",\"host\":\"h\",\"rights\":[\"store\"]}", "NUL"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h;rm\",\"rights\":[\"store\"]}", "host"},
        {"{\"name\":\"a\",\"title\":\"A\",\"rights\":[\"store\"]}", "host"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h\"}", "rights"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h\",\"rights\":[\"root\"]}", "root"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h\",\"rights\":\"store\"}", "rights"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h\",\"rights\":[\"target\"]}", "port"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h\",\"port\":65536,\"rights\":[\"store\"]}", "port"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h\",\"plain\":true,\"rights\":[\"store\"]}", "plain"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h\",\"rights\":[\"store\"],\"associations_max\":257}", "max"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h\",\"rights\":[\"store\"],\"issuer\":\"a\\\\b\"}", "issuer"},
        {"{\"name\":\"a\",\"title\":\"A\",\"host\":\"h\",\"rights\":[\"store\"],\"charset\":\"ISO_IR 999\"}",
         "ISO_IR 999"},
    };
    struct access_peer peer;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = json_loads(cases[i].json, JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        assert_false(access_peer_from_json(json, &peer, &err));
        assert_int_equal(err.code, ERROR_BAD_VALUE);
        if (!strstr(err.message, cases[i].part))
            fail_msg("%s: %s", cases[i].json, err.message);
        json_decref(json);
    }
}

static void json_says_all_of_a_peer(void **state)
{
    struct access_peer peer = pacs(), back;
    struct error err;
    (void)state;
    peer.version = 7;
    peer.associations_max = 3;
    peer.newest = true;
    text_copy(peer.charset, sizeof peer.charset, "ISO 2022 IR 6\\ISO 2022 IR 87");
    json_t *json = access_peer_to_json(&peer);
    assert_non_null(json);
    assert_ok(access_peer_from_json(json, &back, &err), err);
    json_decref(json);
    assert_string_equal(back.name, peer.name);
    assert_string_equal(back.title, peer.title);
    assert_string_equal(back.host, peer.host);
    assert_string_equal(back.issuer, peer.issuer);
    assert_string_equal(back.charset, peer.charset);
    assert_int_equal(back.port, peer.port);
    assert_int_equal(back.rights, peer.rights);
    assert_int_equal(back.plain_accepted, peer.plain_accepted);
    assert_int_equal(back.associations_max, 3);
    assert_true(back.newest);
    assert_int_equal(back.version, 7);
}

static void peers_are_listed_by_name(void **state)
{
    struct place place;
    struct arena arena;
    struct access_peer *peers;
    size_t count;
    struct access_peer peer = pacs();
    (void)state;
    place_open(&place);
    arena_init(&arena, 1 << 20);
    assert_ok(access_peer_list(place.access, &arena, &peers, &count, &place.err), place.err);
    assert_int_equal(count, 0);
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    text_copy(peer.name, sizeof peer.name, "ct");
    text_copy(peer.title, sizeof peer.title, "CT1");
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    assert_ok(access_peer_list(place.access, &arena, &peers, &count, &place.err), place.err);
    assert_int_equal(count, 2);
    assert_string_equal(peers[0].name, "ct");
    assert_string_equal(peers[1].name, "pacs");
    arena_free(&arena);
    place_close(&place);
}

int test_peers(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_peer_is_kept_with_a_version_over_a_restart),
        cmocka_unit_test(the_same_again_changes_nothing),
        cmocka_unit_test(a_change_of_an_older_version_is_refused),
        cmocka_unit_test(two_entries_for_one_title_and_host_are_refused),
        cmocka_unit_test(a_change_makes_an_event_and_an_audit_line),
        cmocka_unit_test(unfit_values_are_refused_by_name),
        cmocka_unit_test(json_says_all_of_a_peer),
        cmocka_unit_test(peers_are_listed_by_name),
    };
    return cmocka_run_group_tests_name("access: peers", tests, NULL, NULL);
}
