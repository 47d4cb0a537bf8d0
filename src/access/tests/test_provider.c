// The identity provider that is entered, and who is out when it changes.
#include "place.h"

#include <stdlib.h>
#include <string.h>

#include "access/account.h"
#include "access/provider.h"
#include "base/clock.h"
#include "base/text.h"

#define HERE "192.0.2.1"
#define ISSUER "https://login.example.org"

static const struct access_provider entered = {.name = "Example",
                                               .issuer = ISSUER,
                                               .client_id = "hilum",
                                               .client_secret = "a very secret secret",
                                               .scopes = "openid profile",
                                               .groups_claim = "groups",
                                               .roles = "readers=radiologist",
                                               .authorities = ""};

static void put(struct place *place, const struct access_provider *provider)
{
    assert_ok(access_provider_put(place->access, provider, "admin", &place->err), place->err);
}

static bool get(struct place *place, struct arena *arena, struct access_provider *out)
{
    bool found = false;
    assert_ok(access_provider_get(place->access, arena, out, &found, &place->err), place->err);
    return found;
}

// Changed as somebody asks for it.
static bool change(struct arena *arena, const char *members, struct access_provider *provider, struct error *err)
{
    json_t *json = json_loads(members, 0, NULL);
    assert_non_null(json);
    bool ok = access_provider_change(json, arena, provider, err);
    json_decref(json);
    return ok;
}

static bool come_in(struct place *place, const char *name, enum access_role role, int64_t version,
                    char secret[ACCESS_SECRET_SIZE])
{
    struct access_session session;
    struct access_account account = {.roles = 1u << role, .enabled = true};
    text_copy(account.name, sizeof account.name, name);
    text_copy(account.shown, sizeof account.shown, name);
    text_copy(account.issuer, sizeof account.issuer, ISSUER);
    text_copy(account.subject, sizeof account.subject, name);
    return access_log_in_by_provider(place->access, &account, version, HERE, clock_now_ns(), secret, &session,
                                     &place->err);
}

static bool is_in(struct place *place, const char *secret)
{
    struct access_session session;
    return access_session(place->access, secret, HERE, true, clock_now_ns(), &session);
}

static void make_administrator(struct place *place)
{
    struct access_account admin = {
        .name = "admin", .shown = "Admin", .roles = 1u << ACCESS_ADMINISTRATOR, .enabled = true};
    assert_ok(access_account_put(place->access, &admin, "correct horse battery", "admin", &place->err), place->err);
}

static void a_provider_outlives_a_restart_and_each_change_of_it_is_a_version_and_a_line_without_its_secret(void **state)
{
    struct place place;
    struct arena arena;
    struct access_provider row;
    (void)state;
    place_open(&place);
    arena_init(&arena, 1 << 20);
    assert_false(get(&place, &arena, &row));
    put(&place, &entered);
    put(&place, &entered); // is so already
    place_reopen(&place);
    assert_true(get(&place, &arena, &row));
    assert_string_equal(row.issuer, ISSUER);
    assert_string_equal(row.client_secret, "a very secret secret");
    assert_int_equal(row.version, 1);
    assert_ok(
        change(&arena, "{\"name\":\"Other\",\"client_secret\":\"another secret\",\"version\":1}", &row, &place.err),
        place.err);
    put(&place, &row);
    assert_false(access_provider_put(place.access, &row, "admin", &place.err)); // of version 1 no more
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_ok(access_provider_remove(place.access, "admin", &place.err), place.err);
    assert_false(get(&place, &arena, &row));
    assert_false(access_provider_remove(place.access, "admin", &place.err));
    assert_int_equal(place.err.code, ERROR_NOT_FOUND);
    put(&place, &entered);
    assert_true(get(&place, &arena, &row));
    assert_int_equal(row.version, 4); // a version names one state for ever
    assert_ok(access_audit_flush(place.access, &place.err), place.err);
    char *trail = place_trail(place.audit);
    assert_int_equal(place_count(trail, "identity provider Example set, version 1"), 1);
    assert_int_equal(place_count(trail, "identity provider Other changed, version 2"), 1);
    assert_int_equal(place_count(trail, "identity provider Other removed, version 3"), 1);
    assert_int_equal(place_count(trail, "; secret set"), 3);
    assert_int_equal(place_count(trail, "a very secret"), 0);
    assert_int_equal(place_count(trail, "another secret"), 0);
    free(trail);
    arena_free(&arena);
    place_close(&place);
}

static void what_is_not_named_stays_and_a_secret_stays_with_its_issuer(void **state)
{
    struct arena arena;
    struct error err;
    struct access_provider row = entered;
    (void)state;
    arena_init(&arena, 1 << 20);
    assert_ok(change(&arena, "{\"roles\":\"it=administrator\",\"client_secret\":\"\",\"hasSecret\":true}", &row, &err),
              err);
    assert_string_equal(row.roles, "it=administrator");
    assert_string_equal(row.client_secret, entered.client_secret);
    assert_string_equal(row.scopes, entered.scopes);
    json_t *told = access_provider_to_json(&row);
    assert_true(json_is_true(json_object_get(told, "hasSecret")));
    assert_null(json_object_get(told, "client_secret"));
    json_decref(told);
    assert_false(change(&arena, "{\"issuer\":\"https://evil.example\"}", &row, &err));
    assert_non_null(strstr(err.message, "the client_secret is that of " ISSUER));
    assert_string_equal(row.issuer, ISSUER);
    assert_ok(change(&arena, "{\"issuer\":\"https://two.example\",\"client_secret\":null}", &row, &err), err);
    assert_string_equal(row.client_secret, "");
    arena_free(&arena);
}

static void what_cannot_be_a_provider_is_refused_and_named(void **state)
{
    static const struct {
        const char *members, *part;
    } rows[] = {
        {"{\"issuer\":\"http://login.example.org\",\"client_secret\":null}", "http://login.example.org"},
        {"{\"issuer\":\"https://login.example.org/?a\",\"client_secret\":null}", "'?'"},
        {"{\"issuer\":\"\",\"client_secret\":null}", "needs issuer"},
        {"{\"client_id\":\" \"}", "needs client_id"},
        {"{\"roles\":\"\"}", "needs roles"},
        {"{\"roles\":\"readers=doctor\"}", "'doctor' is no role"},
        {"{\"name\":\"\"}", "needs name"},
        {"{\"groups_claim\":\"\"}", "needs groups_claim"},
        {"{\"scopes\":\"profile openids\"}", "lack openid"},
        {"{\"authorities\":\"/etc/ssl/certs\"}", "'/etc/ssl/certs' hold no certificate"},
        {"{\"client_secret\":7}", "client_secret must be"},
        {"{\"client_id\":\"a\\u0000b\"}", "client_id must be a text"},
        {"{\"secret\":\"x\"}", "'secret' is unknown"},
        {"{\"version\":-1}", "version must be"},
    };
    struct arena arena;
    struct error err;
    (void)state;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct access_provider row = entered;
        json_t *json = json_loads(rows[i].members, JSON_ALLOW_NUL, NULL);
        if (access_provider_change(json, &arena, &row, &err) || !strstr(err.message, rows[i].part))
            fail_msg("%s: %s", rows[i].members, err.message);
        json_decref(json);
    }
    arena_free(&arena);
}

static void who_came_by_a_provider_is_out_when_it_is_another_one_or_gives_other_roles(void **state)
{
    struct place place;
    struct access_provider row = entered;
    char by_provider[ACCESS_SECRET_SIZE], by_password[ACCESS_SECRET_SIZE];
    struct access_session session;
    int wait_s;
    (void)state;
    place_open(&place);
    make_administrator(&place);
    assert_ok(access_log_in(place.access, "admin", "correct horse battery", HERE, clock_now_ns(), by_password, &session,
                            &wait_s, &place.err),
              place.err);
    assert_false(come_in(&place, "reader", ACCESS_RADIOLOGIST, 1, by_provider)); // there is none yet
    assert_non_null(strstr(place.err.message, "changed meanwhile"));
    put(&place, &row);
    assert_ok(come_in(&place, "reader", ACCESS_RADIOLOGIST, 1, by_provider), place.err);
    row.name = "Another name";
    put(&place, &row);
    assert_true(is_in(&place, by_provider));
    row.roles = "readers=resident";
    put(&place, &row);
    assert_false(is_in(&place, by_provider));
    assert_false(come_in(&place, "reader", ACCESS_RADIOLOGIST, 2, by_provider)); // by the roles of before
    assert_ok(come_in(&place, "reader", ACCESS_RADIOLOGIST, 3, by_provider), place.err);
    row.groups_claim = "realm_access.roles"; // which gives other roles
    put(&place, &row);
    assert_false(is_in(&place, by_provider));
    assert_false(come_in(&place, "reader", ACCESS_RADIOLOGIST, 3, by_provider));
    assert_ok(come_in(&place, "reader", ACCESS_RADIOLOGIST, 4, by_provider), place.err);
    assert_ok(access_provider_remove(place.access, "admin", &place.err), place.err);
    assert_false(is_in(&place, by_provider));
    assert_false(come_in(&place, "reader", ACCESS_RADIOLOGIST, 4, by_provider));
    row.issuer = "https://other.example.org";
    put(&place, &row);
    assert_false(come_in(&place, "reader", ACCESS_RADIOLOGIST, 6, by_provider)); // he is the other one's
    assert_true(is_in(&place, by_password));
    place_close(&place);
}

static void a_provider_stays_while_the_only_administrator_logs_in_by_it(void **state)
{
    struct place place;
    char secret[ACCESS_SECRET_SIZE];
    struct access_provider other = entered;
    (void)state;
    place_open(&place);
    put(&place, &entered);
    assert_ok(come_in(&place, "boss", ACCESS_ADMINISTRATOR, 1, secret), place.err);
    other.issuer = "https://other.example.org";
    assert_false(access_provider_remove(place.access, "boss", &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_false(access_provider_put(place.access, &other, "boss", &place.err));
    assert_int_equal(place.err.code, ERROR_CONFLICT);
    assert_true(is_in(&place, secret));
    make_administrator(&place);
    assert_ok(access_provider_remove(place.access, "boss", &place.err), place.err);
    place_close(&place);
}

int test_provider(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_provider_outlives_a_restart_and_each_change_of_it_is_a_version_and_a_line_without_its_secret),
        cmocka_unit_test(what_is_not_named_stays_and_a_secret_stays_with_its_issuer),
        cmocka_unit_test(what_cannot_be_a_provider_is_refused_and_named),
        cmocka_unit_test(who_came_by_a_provider_is_out_when_it_is_another_one_or_gives_other_roles),
        cmocka_unit_test(a_provider_stays_while_the_only_administrator_logs_in_by_it),
    };
    return cmocka_run_group_tests_name("provider", tests, NULL, NULL);
}
