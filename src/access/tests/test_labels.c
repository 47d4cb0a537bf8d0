// Labels: what there is, who holds them, what a study has, and what somebody sees.
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/account.h"
#include "access/allow.h"
#include "base/clock.h"
#include "base/text.h"
#include "store/event.h"

static void enter(struct place *place, const char *name)
{
    struct access_label label = {.description = "of a test"};
    text_copy(label.name, sizeof label.name, name);
    assert_ok(access_label_put(place->access, &label, "admin", &place->err), place->err);
}

static uint64_t bits(struct place *place, const char *names)
{
    uint64_t out = 0;
    json_t *list = json_loads(names, 0, NULL);
    assert_ok(access_labels_read(place->access, list, &out, &place->err), place->err);
    json_decref(list);
    return out;
}

// ---- inside a write function

struct study_change {
    const char *study, *names;
    bool changed, set;
    uint64_t labels;
    int64_t version;
    struct access_study_labels now;
};

static bool write_study(struct database *db, void *payload, struct error *err)
{
    struct study_change *c = payload;
    return c->set ? access_study_labels_set(db, c->study, c->labels, c->version, &c->now, err)
                  : access_study_label(db, c->study, c->names, &c->changed, err);
}

static bool label(struct place *place, const char *study, const char *names)
{
    struct study_change change = {.study = study, .names = names};
    assert_ok(store_write(place->store, STORE_DURABLE, write_study, &change, &place->err), place->err);
    return change.changed;
}

static bool set(struct place *place, const char *study, uint64_t labels, int64_t version)
{
    struct study_change change = {.study = study, .set = true, .labels = labels, .version = version};
    return store_write(place->store, STORE_DURABLE, write_study, &change, &place->err);
}

static struct access_study_labels labels_of(struct place *place, const char *study)
{
    struct access_study_labels out;
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(db && access_study_labels(db, study, &out, &place->err), place->err);
    store_read_end(place->store, db);
    return out;
}

static bool sees(struct place *place, uint64_t labels, const char *study)
{
    bool out;
    const struct access_subject subject = {.labels = labels};
    struct database *db = store_read_begin(place->store, &place->err);
    assert_ok(db && access_sees(db, access_scope_of(&subject), study, &out, &place->err), place->err);
    store_read_end(place->store, db);
    return out;
}

// ---- what there is

static void a_label_is_kept_with_a_bit_and_a_version_over_a_restart(void **state)
{
    struct place place;
    struct access_label read, wanted = {.name = "vip", .description = "known to the public"};
    (void)state;
    place_open(&place);
    enter(&place, "staff");
    assert_ok(access_label_put(place.access, &wanted, "admin", &place.err), place.err);
    text_copy(wanted.description, sizeof wanted.description, "known to all");
    wanted.version = 1;
    assert_ok(access_label_put(place.access, &wanted, "admin", &place.err), place.err);
    assert_false(access_label_put(
        place.access, &(struct access_label){.name = "vip", .description = "else", .version = 1}, "admin", &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    place_reopen(&place);
    assert_ok(access_label_get(place.access, "vip", &read, &place.err), place.err);
    assert_int_equal(read.bit, 1);
    assert_int_equal(read.version, 2);
    assert_string_equal(read.description, "known to all");
    assert_ok(access_label_remove(place.access, ACCESS_ALL, "vip", "admin", &place.err), place.err);
    assert_false(access_label_get(place.access, "vip", &read, &place.err));
    assert_false(access_label_remove(place.access, ACCESS_ALL, "vip", "admin", &place.err));
    assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    enter(&place, "vip");
    assert_ok(access_label_get(place.access, "vip", &read, &place.err), place.err);
    assert_int_equal(read.version, 4); // a version names one state for ever
    place_close(&place);
}

static void what_is_no_label_is_refused_by_name(void **state)
{
    static const struct {
        const char *json, *part;
    } cases[] = {
        {"[]", "JSON object"},
        {"{\"name\": \"a b\"}", "'a b'"},
        {"{\"name\": \"\"}", "behind a letter"},
        {"{\"name\": \"-a\"}", "'-a'"},
        {"{\"name\": \"a,b\"}", "'a,b'"},
        {"{\"name\": \"123456789012345678901234567890123\"}", "at most 32"},
        {"{\"name\": \"a\", \"description\": \" \"}", "shows as it is"},
        {"{\"name\": \"a\", \"colour\": \"red\"}", "'colour' is unknown"},
        {"{\"name\": \"a\", \"version\": -1}", "whole number"},
    };
    struct access_label label;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = json_loads(cases[i].json, 0, NULL);
        assert_false(access_label_from_json(json, &label, &err));
        assert_int_equal(err.code, ERROR_BAD_VALUE);
        if (!strstr(err.message, cases[i].part))
            fail_msg("%s: %s", cases[i].json, err.message);
        json_decref(json);
    }
}

static void there_are_sixty_two_at_most(void **state)
{
    struct place place;
    char name[16];
    (void)state;
    place_open(&place);
    for (int i = 0; i < ACCESS_LABELS_MAX; i++) {
        snprintf(name, sizeof name, "label%d", i);
        enter(&place, name);
    }
    assert_false(access_label_put(place.access, &(struct access_label){.name = "more"}, "admin", &place.err));
    assert_int_equal(place.err.code, ERROR_LIMIT);
    assert_int_equal(bits(&place, "[\"label61\"]"), UINT64_C(1) << 61);
    assert_ok(access_label_remove(place.access, ACCESS_ALL, "label7", "admin", &place.err), place.err);
    enter(&place, "more");
    assert_int_equal(bits(&place, "[\"more\"]"), UINT64_C(1) << 7);
    place_close(&place);
}

static void names_are_bits_and_back_and_an_unknown_one_is_refused(void **state)
{
    struct place place;
    uint64_t out = 77;
    (void)state;
    place_open(&place);
    enter(&place, "vip");
    enter(&place, "staff");
    assert_int_equal(bits(&place, "[\"vip\", \"staff\", \"vip\"]"), 3);
    json_t *list = access_labels_to_json(place.access, 3), *wrong = json_loads("[\"vip\", \"nobody\"]", 0, NULL);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_array_get(list, 0)), "staff");
    assert_false(access_labels_read(place.access, wrong, &out, &place.err));
    assert_non_null(strstr(place.err.message, "'nobody'"));
    assert_int_equal(out, 77);
    json_decref(list);
    json_decref(wrong);
    place_close(&place);
}

static void each_change_is_in_the_audit_trail_and_the_log(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    uint64_t before = store_event_last(place.store);
    enter(&place, "vip");
    enter(&place, "vip");
    assert_int_equal(store_event_last(place.store), before + 1);
    assert_ok(access_label_remove(place.access, ACCESS_ALL, "vip", "admin", &place.err), place.err);
    assert_int_equal(store_event_last(place.store), before + 2);
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    char *trail = place_trail(place.audit);
    assert_int_equal(place_count(trail, "label vip set, version 1"), 1);
    assert_int_equal(place_count(trail, "label vip removed, version 2"), 1);
    free(trail);
    place_close(&place);
}

// ---- who holds them

static void a_label_that_a_study_or_a_peer_has_is_not_removed(void **state)
{
    struct place place;
    struct access_peer peer = {
        .name = "ct", .title = "CT", .host = "10.0.0.1", .port = 104, .rights = ACCESS_STORE, .puts = "staff,vip"};
    (void)state;
    place_open(&place);
    enter(&place, "vip");
    enter(&place, "vi");
    enter(&place, "staff");
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    assert_ok(access_label_remove(place.access, ACCESS_ALL, "vi", "admin", &place.err),
              place.err); // a part of a name is none
    assert_false(access_label_remove(place.access, ACCESS_ALL, "vip", "admin", &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_non_null(strstr(place.err.message, "peer ct"));
    *peer.puts = '\0';
    text_copy(peer.labels, sizeof peer.labels, "staff");
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    assert_false(access_label_remove(place.access, ACCESS_ALL, "staff", "admin", &place.err));
    assert_true(label(&place, "1.2.3", "vip"));
    assert_false(access_label_remove(place.access, ACCESS_ALL, "vip", "admin", &place.err));
    assert_non_null(strstr(place.err.message, "study 1.2.3"));
    assert_false(access_label_remove(place.access, (struct access_scope){.hidden = 1}, "vip", "admin", &place.err));
    assert_non_null(strstr(place.err.message, "study that you do not see"));
    assert_true(set(&place, "1.2.3", 0, 1));
    assert_ok(access_label_remove(place.access, ACCESS_ALL, "vip", "admin", &place.err), place.err);
    place_close(&place);
}

static void put_account(struct place *place, struct access_account account, const char *password)
{
    account.enabled = true;
    assert_ok(access_account_put(place->access, &account, password, "admin", &place->err), place->err);
}

static void assert_held(struct place *place, const char *name, const char *by)
{
    assert_false(access_label_remove(place->access, ACCESS_ALL, name, "admin", &place->err));
    assert_int_equal(place->err.code, ERROR_CONFLICT);
    assert_non_null(strstr(place->err.message, by));
}

// The bit of a label that is removed is given out again: who still has it would see the studies of the next one.
static void a_label_that_an_account_or_a_token_has_is_not_removed(void **state)
{
    struct place place;
    char secret[ACCESS_SECRET_SIZE];
    struct access_account admin = {.name = "admin", .shown = "Admin", .roles = 1u << ACCESS_ADMINISTRATOR},
                          doctor = {.name = "doctor", .shown = "Doctor", .roles = 1u << ACCESS_RADIOLOGIST};
    const int64_t now_ns = clock_now_ns();
    struct access_token token = {
        .name = "viewer", .roles = 1u << ACCESS_SERVICE, .ends_ns = now_ns + 86400 * CLOCK_SECOND};
    (void)state;
    place_open(&place);
    enter(&place, "staff");
    enter(&place, "vip");
    doctor.labels = token.labels = bits(&place, "[\"vip\"]");
    put_account(&place, admin, "correct horse battery");
    put_account(&place, doctor, NULL);
    assert_held(&place, "vip", "account doctor");
    doctor.labels = 0;
    put_account(&place, doctor, NULL);
    assert_ok(access_token_make(place.access, &token, "admin", now_ns, secret, &place.err), place.err);
    assert_held(&place, "vip", "token viewer");
    assert_ok(access_label_remove(place.access, ACCESS_ALL, "staff", "admin", &place.err), place.err);
    assert_ok(access_token_remove(place.access, "viewer", "admin", &place.err), place.err);
    assert_ok(access_label_remove(place.access, ACCESS_ALL, "vip", "admin", &place.err), place.err);
    place_close(&place);
}

static void a_peer_sees_what_its_entry_names_and_names_only_what_there_is(void **state)
{
    static const char *const titles[] = {"HILUM", NULL};
    struct place place;
    struct access_ticket ticket;
    struct access_peer peer = {.name = "ct", .title = "CT", .host = "127.0.0.1", .port = 104, .rights = ACCESS_FIND};
    (void)state;
    place_open(&place);
    enter(&place, "staff");
    enter(&place, "vip");
    text_copy(peer.labels, sizeof peer.labels, "vip");
    assert_ok(access_peer_put(place.access, &peer, "admin", &place.err), place.err);
    text_copy(peer.puts, sizeof peer.puts, "nobody");
    assert_false(access_peer_put(place.access, &peer, "admin", &place.err));
    assert_non_null(strstr(place.err.message, "peer ct: there is no label 'nobody'"));
    assert_int_equal(access_admit(place.access, titles, "HILUM", "CT", "127.0.0.1", NULL, 1, &ticket), ACCESS_ADMITTED);
    assert_int_equal(ticket.labels, bits(&place, "[\"vip\"]"));
    access_leave(place.access, &ticket);
    assert_int_equal(access_admit(place.access, titles, "HILUM", "NEW", "127.0.0.1", NULL, 1, &ticket),
                     ACCESS_ADMITTED);
    assert_int_equal(ticket.labels, 0); // without an entry: what is for all
    access_leave(place.access, &ticket);
    place_close(&place);
}

// ---- what a study has, and who sees it

static void who_lacks_one_of_its_labels_does_not_see_a_study(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    enter(&place, "staff");
    enter(&place, "vip");
    const uint64_t staff = bits(&place, "[\"staff\"]"), vip = bits(&place, "[\"vip\"]");
    assert_true(label(&place, "1.2.3", "staff,vip"));
    assert_true(sees(&place, staff | vip, "1.2.3"));
    assert_false(sees(&place, staff, "1.2.3"));
    assert_false(sees(&place, vip, "1.2.3"));
    assert_false(sees(&place, 0, "1.2.3"));
    assert_true(sees(&place, 0, "1.2.4"));
    assert_true(sees(&place, access_local_subject("127.0.0.1").labels, "1.2.3"));
    place_close(&place);
}

static void what_comes_adds_labels_and_only_a_person_takes_them_away(void **state)
{
    struct place place;
    (void)state;
    place_open(&place);
    enter(&place, "staff");
    enter(&place, "vip");
    assert_true(label(&place, "1.2.3", "vip"));
    uint64_t events = store_event_last(place.store);
    assert_false(label(&place, "1.2.3", ""));
    assert_false(label(&place, "1.2.3", "vip"));
    assert_int_equal(store_event_last(place.store), events);
    assert_true(label(&place, "1.2.3", "staff"));
    assert_int_equal(store_event_last(place.store), events + 2); // of the study, and for who does not see it any more
    assert_int_equal(labels_of(&place, "1.2.3").labels, 3);
    assert_int_equal(labels_of(&place, "1.2.3").version, 2);
    assert_false(set(&place, "1.2.3", 1, 1));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_true(set(&place, "1.2.3", 1, 2));
    assert_int_equal(labels_of(&place, "1.2.3").labels, 1);
    assert_int_equal(labels_of(&place, "1.2.3").version, 3);
    place_close(&place);
}

static void a_name_that_is_no_label_any_more_protects_all_the_same(void **state)
{
    struct place place;
    struct access_label read;
    (void)state;
    place_open(&place);
    assert_true(label(&place, "1.2.3", "lost"));
    assert_ok(access_label_get(place.access, "lost", &read, &place.err), place.err);
    assert_false(sees(&place, 0, "1.2.3"));
    assert_true(sees(&place, UINT64_C(1) << read.bit, "1.2.3"));
    place_close(&place);
}

int test_labels(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_is_kept_with_a_bit_and_a_version_over_a_restart),
        cmocka_unit_test(what_is_no_label_is_refused_by_name),
        cmocka_unit_test(there_are_sixty_two_at_most),
        cmocka_unit_test(names_are_bits_and_back_and_an_unknown_one_is_refused),
        cmocka_unit_test(each_change_is_in_the_audit_trail_and_the_log),
        cmocka_unit_test(a_label_that_a_study_or_a_peer_has_is_not_removed),
        cmocka_unit_test(a_label_that_an_account_or_a_token_has_is_not_removed),
        cmocka_unit_test(a_peer_sees_what_its_entry_names_and_names_only_what_there_is),
        cmocka_unit_test(who_lacks_one_of_its_labels_does_not_see_a_study),
        cmocka_unit_test(what_comes_adds_labels_and_only_a_person_takes_them_away),
        cmocka_unit_test(a_name_that_is_no_label_any_more_protects_all_the_same),
    };
    return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
