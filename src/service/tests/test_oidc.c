// What an administrator sets of an identity provider, what is made of a person's claims, and what waits in memory.
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "service/oidc/oidc.h"

static void only_https_or_loopback_is_fetched_and_nothing_that_reads_in_two_ways(void **state)
{
    static const struct {
        const char *url, *host;
        uint16_t port; // 0: refused
    } rows[] = {
        {"https://login.example.org/realms/site", "login.example.org", 443},
        {"https://login.example.org:8443?x=1", "login.example.org", 8443},
        {"https://[2001:db8::1]/x", "2001:db8::1", 443},
        {"https://[2001:db8::1]:444", "2001:db8::1", 444},
        {"http://127.0.0.1:3000/x", "127.0.0.1", 3000},
        {"http://[::1]:3000", "::1", 3000},
        {"http://localhost", "localhost", 80},
        {"http://login.example.org", "", 0},
        {"http://127.0.0.1.example.org/", "", 0},
        {"http://localhost@example.org/", "", 0},
        {"https://user@example.org/", "", 0},
        {"https://example.org\\@127.0.0.1/", "", 0},
        {"https://example.org/#fragment", "", 0},
        {"https://example.org/a b", "", 0},
        {"https://example.org/\"", "", 0},
        {"https://m\xC3\xBCnchen.example/", "", 0},
        {"https://example.org:0/", "", 0},
        {"https://example.org:/", "", 0},
        {"https://", "", 0},
        {"https:///x", "", 0},
        {"HTTPS://example.org/", "", 0},
        {"javascript:alert(1)", "", 0},
        {"file:///etc/passwd", "", 0},
        {"", "", 0},
    };
    char host[SERVICE_HOST_SIZE];
    uint16_t port;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool ok = access_url_read(rows[i].url, "it", host, sizeof host, &port, &err);
        if (ok != (rows[i].port > 0) || (ok && (strcmp(host, rows[i].host) != 0 || port != rows[i].port)))
            fail_msg("%s: %d %s %u", rows[i].url, ok, host, port);
    }
    assert_true(access_issuer_check("https://login.example.org/realms/site", &err));
    assert_false(access_issuer_check("https://login.example.org/?tenant=1", &err));
}

static void a_table_of_groups_gives_roles_and_its_faults_are_named(void **state)
{
    static const char table[] = "radiology=radiologist, /it staff = administrator,radiology=auditor, a=b=model owner";
    static const struct {
        const char *table, *part;
    } wrong[] = {{"radiology", "GROUP=role"},
                 {"=radiologist", "GROUP=role"},
                 {"radiology=doctor", "'doctor' is no role"},
                 {"radiology=", "'' is no role"},
                 {"robots=service", "make a token"},
                 {"a=auditor, b", "'b' is no GROUP"}};
    struct error err;
    (void)state;
    assert_true(access_groups_check(table, &err));
    assert_true(access_groups_check("", &err));
    assert_int_equal(access_roles_of_group(table, "radiology"), 1u << ACCESS_RADIOLOGIST | 1u << ACCESS_AUDITOR);
    assert_int_equal(access_roles_of_group(table, "/it staff"), 1u << ACCESS_ADMINISTRATOR);
    assert_int_equal(access_roles_of_group(table, "a=b"), 1u << ACCESS_MODEL_OWNER);
    assert_int_equal(access_roles_of_group(table, "Radiology"), 0);
    assert_int_equal(access_roles_of_group(table, "radio"), 0);
    assert_int_equal(access_roles_of_group(table, ""), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_false(access_groups_check(wrong[i].table, &err));
        if (!strstr(err.message, wrong[i].part))
            fail_msg("%s: %s", wrong[i].table, err.message);
    }
}

static const struct oidc_settings settings = {.issuer = "https://login.example.org",
                                              .name = "Example",
                                              .groups_claim = "groups",
                                              .roles = "readers=radiologist, young=resident"};

static bool account_of(const char *claims, struct access_account *out, struct error *err)
{
    json_t *json = json_loads(claims, 0, NULL);
    assert_non_null(json);
    bool ok = oidc_account_of(json, &settings, out, err);
    json_decref(json);
    return ok;
}

static void a_person_has_a_name_that_fits_and_the_roles_of_all_his_groups(void **state)
{
    static const struct {
        const char *claims, *name, *shown;
    } rows[] = {
        {"{\"sub\":\"1\",\"preferred_username\":\"Ada.L\",\"name\":\"Ada L\",\"groups\":\"readers\"}", "ada.l",
         "Ada L"},
        {"{\"sub\":\"1\",\"email\":\"Ada@Example.org\",\"groups\":[\"readers\"]}", "ada@example.org",
         "ada@example.org"},
        {"{\"sub\":\"1\",\"preferred_username\":\"SITE\\\\m\xC3\xBCller\",\"groups\":[\"readers\"]}", "site_muller",
         "site_muller"},
        {"{\"sub\":\"1\",\"preferred_username\":\"Stra\xC3\x9F\x65.\xC5\x81\xC3\xB3\x64\xC5\xBA\",\"groups\":"
         "\"readers\"}",
         "strasse.lodz", "strasse.lodz"},
        {"{\"sub\":\"1\",\"preferred_username\":\"mu\xCC\x88ller\",\"groups\":\"readers\"}", "muller", "muller"},
        {"{\"sub\":\"1\",\"preferred_username\":\"\xE7\x8E\x8B\xE4\xBC\x9F\",\"name\":\"\xE7\x8E\x8B\xE4\xBC\x9F\","
         "\"groups\":\"readers\"}",
         "__", "\xE7\x8E\x8B\xE4\xBC\x9F"},
        {"{\"sub\":\"1\",\"preferred_username\":\"a\",\"name\":\"\\u202eAda\\u001b[31m\\nL\\u200b\",\"groups\":"
         "\"readers\"}",
         "a", "Ada[31m L"},
        {"{\"sub\":\"1\",\"preferred_username\":\"..a\",\"name\":\" \",\"groups\":[\"readers\"]}", "a", "a"},
        {"{\"sub\":\"1\",\"preferred_username\":"
         "\"0123456789012345678901234567890123456789012345678901234567890123456789\",\"groups\":[\"readers\"]}",
         "0123456789012345678901234567890123456789012345678901234567890123",
         "0123456789012345678901234567890123456789012345678901234567890123"},
    };
    struct access_account account;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_ok(account_of(rows[i].claims, &account, &err), err);
        assert_string_equal(account.name, rows[i].name);
        assert_string_equal(account.shown, rows[i].shown);
        assert_int_equal(account.roles, 1u << ACCESS_RADIOLOGIST);
        assert_string_equal(account.subject, "1");
        assert_string_equal(account.issuer, settings.issuer);
    }
    assert_ok(
        account_of("{\"sub\":\"1\",\"email\":\"a\",\"groups\":[7, \"x\", \"young\", \"readers\"]}", &account, &err),
        err);
    assert_int_equal(account.roles, 1u << ACCESS_RADIOLOGIST | 1u << ACCESS_RESIDENT);
}

static void a_name_that_is_not_as_the_provider_has_it_is_said_to_be_made(void **state)
{
    static const struct {
        const char *name;
        bool made;
    } rows[] = {{"Ada.L", false}, {"a_b", false}, {"m\xC3\xBCller", true}, {"a b", true}, {"\xE7\x8E\x8B", true}};
    char claims[128];
    struct access_account account;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(claims, sizeof claims, "{\"sub\":\"1\",\"email\":\"%s\",\"groups\":\"readers\"}", rows[i].name);
        assert_ok(account_of(claims, &account, &err), err);
        if (account.name_made != rows[i].made)
            fail_msg("%s", rows[i].name);
    }
}

static void a_long_name_is_cut_between_characters(void **state)
{
    char claims[512] = "{\"sub\":\"1\",\"email\":\"a\",\"groups\":\"readers\",\"name\":\"x";
    struct access_account account;
    struct error err;
    (void)state;
    for (int i = 0; i < 40; i++)
        strncat(claims, "\xC3\xBC", sizeof claims - strlen(claims) - 1);
    strncat(claims, "\"}", sizeof claims - strlen(claims) - 1);
    assert_ok(account_of(claims, &account, &err), err);
    assert_int_equal(strlen(account.shown), 63); // 1 + 31 * 2
}

static void a_provider_that_was_asked_to_ask_anew_and_did_not_is_refused(void **state)
{
    static const struct {
        const char *claims;
        int64_t anew_s;
        bool ok;
    } rows[] = {{"{\"auth_time\":5000}", 0, true},
                {"{\"auth_time\":5000}", 4000, true},
                {"{\"auth_time\":5000}", 5050, true}, // the clocks differ
                {"{\"auth_time\":5000}", 5100, false},
                {"{\"auth_time\":-1}", 5100, false},
                {"{}", 5100, true}};
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *claims = json_loads(rows[i].claims, 0, NULL);
        if (oidc_check_anew(claims, &settings, rows[i].anew_s * CLOCK_SECOND, &err) != rows[i].ok)
            fail_msg("row %zu", i);
        json_decref(claims);
    }
}

static void of_very_many_groups_the_last_one_counts_and_a_refusal_says_how_many_came(void **state)
{
    enum { GROUPS = 1501, CLAIMS_MAX = 32 << 10 };
    struct access_account account;
    struct error err;
    (void)state;
    for (int last = 0; last < 2; last++) {
        char *claims = malloc(CLAIMS_MAX);
        assert_non_null(claims);
        size_t size = (size_t)snprintf(claims, CLAIMS_MAX, "{\"sub\":\"1\",\"email\":\"a\",\"groups\":[");
        for (int i = 0; i < GROUPS - 1; i++)
            size += (size_t)snprintf(claims + size, CLAIMS_MAX - size, "\"g%d\",", i);
        snprintf(claims + size, CLAIMS_MAX - size, "\"%s\"]}", last == 1 ? "readers" : "porters");
        bool ok = account_of(claims, &account, &err);
        free(claims);
        assert_int_equal(ok, last == 1);
        if (!ok)
            assert_non_null(strstr(err.message, "none of your groups at Example has a role here: g0, g1, g2, g3, "
                                                "g4, g5, g6, g7 and 1493 more, of 1501 that came;"));
    }
}

static void who_has_no_role_is_told_what_came(void **state)
{
    static const struct {
        const char *claims, *part;
    } rows[] = {
        {"{\"sub\":\"1\",\"email\":\"a\",\"groups\":[\"porters\",\"x\\u0007\"]}", "a role here: porters, x\\x07;"},
        {"{\"sub\":\"1\",\"email\":\"a\",\"groups\":[]}", "names no groups"},
        {"{\"sub\":\"1\",\"email\":\"a\",\"groups\":{\"readers\":1}}", "names no groups"},
        {"{\"sub\":\"1\",\"email\":\"a\"}", "'groups' (groups_claim)"},
        {"{\"sub\":\"1\",\"email\":\"a\",\"_claim_names\":{\"groups\":\"src1\"}}", "too many"},
        {"{\"sub\":\"1\",\"groups\":[\"readers\"]}", "no name"},
        {"{\"sub\":\"1\",\"email\":\"--\",\"groups\":[\"readers\"]}", "no name"},
    };
    struct access_account account;
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(account_of(rows[i].claims, &account, &err));
        if (err.code != ERROR_FORBIDDEN || !strstr(err.message, rows[i].part))
            fail_msg("%s: %s", rows[i].claims, err.message);
    }
}

static void a_login_waits_for_its_browser_for_ten_minutes_and_counts_once(void **state)
{
    struct error err;
    struct oidc_waiting *waiting = oidc_waiting_open(&err);
    struct oidc_begun begun = {.nonce = "n", .verifier = "v"}, got;
    const int64_t late_ns = OIDC_WAITING_SECONDS * CLOCK_SECOND;
    (void)state;
    oidc_waiting_add(waiting, "one", "here", 1, &begun, 0);
    assert_ok(oidc_waiting_take(waiting, "one", "here", late_ns, &got, &err), err);
    assert_string_equal(got.verifier, "v");
    assert_false(oidc_waiting_take(waiting, "one", "here", 0, &got, &err));
    assert_int_equal(err.code, ERROR_NOT_FOUND);
    oidc_waiting_add(waiting, "two", "here", 1, &begun, 0);
    assert_false(oidc_waiting_take(waiting, "two", "here", late_ns + 1, &got, &err));
    oidc_waiting_add(waiting, "three", "here", 1, &begun, 0);
    assert_false(oidc_waiting_take(waiting, "three", "there", 0, &got, &err));
    assert_int_equal(err.code, ERROR_FORBIDDEN);
    assert_false(oidc_waiting_take(waiting, "three", "here", 0, &got, &err)); // used up by that
    assert_false(oidc_waiting_take(waiting, "", "", 0, &got, &err));
    oidc_waiting_close(waiting);
}

static void the_oldest_login_makes_room_for_the_next(void **state)
{
    char text[16];
    struct error err;
    struct oidc_waiting *waiting = oidc_waiting_open(&err);
    struct oidc_begun begun = {.nonce = "n"}, got;
    (void)state;
    for (int i = 0; i <= OIDC_WAITING_MAX; i++) {
        snprintf(text, sizeof text, "%d", i);
        oidc_waiting_add(waiting, text, "here", (uint64_t)i + 1, &begun, i);
    }
    assert_false(oidc_waiting_take(waiting, "0", "here", 0, &got, &err));
    assert_true(oidc_waiting_take(waiting, "1", "here", 0, &got, &err));
    assert_true(oidc_waiting_take(waiting, text, "here", 0, &got, &err));
    oidc_waiting_close(waiting);
}

static void many_logins_of_one_network_push_out_its_own_alone(void **state)
{
    char text[32];
    struct error err;
    struct oidc_waiting *waiting = oidc_waiting_open(&err);
    struct oidc_begun begun = {.nonce = "n"}, got;
    (void)state;
    oidc_waiting_add(waiting, "honest", "there", access_address_share("2001:db8:1:3::1"), &begun, 0);
    for (int i = 0; i < 1100; i++) {
        snprintf(text, sizeof text, "2001:db8:1:2::%d", i);
        oidc_waiting_add(waiting, text, "here", access_address_share(text), &begun, 1 + i);
    }
    assert_ok(oidc_waiting_take(waiting, "honest", "there", 1, &got, &err), err);
    snprintf(text, sizeof text, "2001:db8:1:2::%d", 1099 - OIDC_WAITING_OF_ADDRESS);
    assert_false(oidc_waiting_take(waiting, text, "here", 1, &got, &err));
    snprintf(text, sizeof text, "2001:db8:1:2::%d", 1100 - OIDC_WAITING_OF_ADDRESS);
    assert_ok(oidc_waiting_take(waiting, text, "here", 1, &got, &err), err);
    assert_true(access_address_share("192.0.2.1") != access_address_share("192.0.2.2"));
    oidc_waiting_close(waiting);
}

static void a_refusal_is_told_once_to_who_has_its_cookie(void **state)
{
    char words[ERROR_MESSAGE_SIZE];
    struct error err;
    struct oidc_waiting *waiting = oidc_waiting_open(&err);
    (void)state;
    oidc_refusal_keep(waiting, "cookie", "why");
    assert_false(oidc_refusal_take(waiting, "another", words));
    assert_false(oidc_refusal_take(waiting, "", words));
    assert_true(oidc_refusal_take(waiting, "cookie", words));
    assert_string_equal(words, "why");
    assert_false(oidc_refusal_take(waiting, "cookie", words));
    oidc_waiting_close(waiting);
}

int test_oidc(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_https_or_loopback_is_fetched_and_nothing_that_reads_in_two_ways),
        cmocka_unit_test(a_table_of_groups_gives_roles_and_its_faults_are_named),
        cmocka_unit_test(a_person_has_a_name_that_fits_and_the_roles_of_all_his_groups),
        cmocka_unit_test(a_name_that_is_not_as_the_provider_has_it_is_said_to_be_made),
        cmocka_unit_test(a_long_name_is_cut_between_characters),
        cmocka_unit_test(a_provider_that_was_asked_to_ask_anew_and_did_not_is_refused),
        cmocka_unit_test(of_very_many_groups_the_last_one_counts_and_a_refusal_says_how_many_came),
        cmocka_unit_test(who_has_no_role_is_told_what_came),
        cmocka_unit_test(a_login_waits_for_its_browser_for_ten_minutes_and_counts_once),
        cmocka_unit_test(the_oldest_login_makes_room_for_the_next),
        cmocka_unit_test(many_logins_of_one_network_push_out_its_own_alone),
        cmocka_unit_test(a_refusal_is_told_once_to_who_has_its_cookie),
    };
    return cmocka_run_group_tests_name("identity provider", tests, NULL, NULL);
}
