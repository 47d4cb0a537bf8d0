#include "place.h"

#include <string.h>

#include "access/allow.h"

// The table once more, cell by cell: who may, in the order of enum access_role, then the rights of a peer.
static const struct {
    enum access_action action;
    char may[ACCESS_ROLE_END + 1];
    unsigned rights;
} cells[] = {
    // radiologist, resident, technologist, administrator, model owner, auditor, service
    {ACCESS_TO_SEE_HEALTH, "xxxxxxx", ACCESS_STORE | ACCESS_FIND | ACCESS_GET | ACCESS_TARGET},
    {ACCESS_TO_LOAD_PAGE, "xxxxxx-", 0},
    {ACCESS_TO_SEE_STATUS, "xxxxx-x", 0},
    {ACCESS_TO_SEE_OPERATION, "--xx--x", 0},
    {ACCESS_TO_OPERATE, "---x---", 0},
    {ACCESS_TO_SEE_CONFIGURATION, "--xxx--", 0},
    {ACCESS_TO_CONFIGURE, "---x---", 0},
    {ACCESS_TO_ENTER_MODELS, "---xx--", 0},
    {ACCESS_TO_QUERY, "xxxx--x", ACCESS_FIND},
    {ACCESS_TO_RETRIEVE, "xxx---x", ACCESS_GET},
    {ACCESS_TO_STORE, "--xx--x", ACCESS_STORE},
    {ACCESS_TO_RECEIVE, "-------", ACCESS_TARGET},
    {ACCESS_TO_SEE_RESULTS, "xxxxx-x", 0},
    {ACCESS_TO_LABEL, "x--x---", 0},
    {ACCESS_TO_JUDGE, "xx-----", 0},
    {ACCESS_TO_EXPORT, "--xx---", 0},
    {ACCESS_TO_LOG_IN, "xxxxxxx", 0},
    {ACCESS_TO_MANAGE_ACCOUNTS, "---x---", 0},
    {ACCESS_TO_SEE_AUDIT, "---x-x-", 0},
    {ACCESS_TO_ACKNOWLEDGE, "---x---", 0},
};
enum { CELLS = sizeof cells / sizeof *cells };

static void each_role_may_what_the_table_says_and_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(CELLS, ACCESS_ACTION_END - 1); // an action without a row here is one that nobody looked at
    for (size_t i = 0; i < CELLS; i++) {
        assert_int_equal(cells[i].action, i + 1);
        assert_int_equal(strlen(cells[i].may), ACCESS_ROLE_END);
        for (enum access_role role = 0; role < ACCESS_ROLE_END; role++) {
            const struct access_subject subject = {.roles = 1u << role};
            if (access_allows(&subject, cells[i].action) != (cells[i].may[role] == 'x'))
                fail_msg("%s: %s", access_role_words(role), access_action_words(cells[i].action));
        }
    }
}

static void each_right_of_a_peer_is_what_the_table_says_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < CELLS; i++)
        for (unsigned right = 1; right <= 1u << 31 && right != 0; right <<= 1) {
            struct access_subject subject = access_peer_subject(&(struct access_peer){.rights = right}, "10.0.0.1");
            if (access_allows(&subject, cells[i].action) != ((cells[i].rights & right) != 0))
                fail_msg("right %u: %s", right, access_action_words(cells[i].action));
        }
}

static void who_has_not_logged_in_may_what_anybody_may_and_is_told_to(void **state)
{
    const struct access_subject nobody = access_nobody("192.0.2.1");
    struct error err;
    (void)state;
    for (enum access_action action = 1; action < ACCESS_ACTION_END; action++) {
        bool may = action == ACCESS_TO_SEE_HEALTH || action == ACCESS_TO_LOAD_PAGE || action == ACCESS_TO_LOG_IN;
        assert_int_equal(access_allows(&nobody, action), may);
        if (!may) {
            assert_false(access_check(&nobody, action, &err));
            assert_int_equal(err.code, ERROR_LOGIN);
        }
    }
}

static void what_has_no_cell_is_refused(void **state)
{
    static const int no_actions[] = {-1, 0, ACCESS_ACTION_END, ACCESS_ACTION_END + 1, 1 << 30};
    const struct access_subject all = {.roles = ~0u, .rights = ~0u}, nobody = {0},
                                later = {.roles = ~(unsigned)ACCESS_ROLES_ALL};
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof no_actions / sizeof *no_actions; i++) {
        assert_false(access_allows(&all, (enum access_action)no_actions[i]));
        assert_false(access_check(&all, (enum access_action)no_actions[i], &err));
        assert_int_equal(err.code, ERROR_FORBIDDEN);
    }
    for (enum access_action action = 1; action < ACCESS_ACTION_END; action++) {
        assert_true(access_allows(&all, action));
        assert_false(access_allows(&nobody, action));
        assert_false(access_allows(&later, action)); // roles that no row names yet
    }
}

static void roles_add_up(void **state)
{
    const struct access_subject both = {.roles = 1 << ACCESS_AUDITOR | 1 << ACCESS_RESIDENT};
    (void)state;
    assert_true(access_allows(&both, ACCESS_TO_SEE_AUDIT));
    assert_true(access_allows(&both, ACCESS_TO_JUDGE));
    assert_false(access_allows(&both, ACCESS_TO_CONFIGURE));
}

static void who_is_on_loopback_holds_all_roles_and_is_verified_by_nothing(void **state)
{
    struct access_subject local = access_local_subject("127.0.0.1");
    (void)state;
    assert_string_equal(local.name, "http");
    assert_string_equal(local.address, "127.0.0.1");
    assert_false(local.verified);
    for (enum access_action action = 1; action < ACCESS_ACTION_END; action++)
        assert_int_equal(access_allows(&local, action), action != ACCESS_TO_RECEIVE);
}

static void a_refusal_names_who_what_and_who_may(void **state)
{
    struct access_peer peer = {.title = "CT1", .rights = ACCESS_STORE};
    struct access_subject subject = access_peer_subject(&peer, "10.1.2.3"),
                          nobody = {.name = "anna", .address = "10.1.2.4"};
    struct error err;
    (void)state;
    assert_ok(access_check(&subject, ACCESS_TO_STORE, &err), err);
    assert_false(access_check(&subject, ACCESS_TO_QUERY, &err));
    assert_int_equal(err.code, ERROR_FORBIDDEN);
    assert_string_equal(err.message, "peer CT1 at 10.1.2.3 may not query patients and studies; that takes the role "
                                     "radiologist or resident or technologist or administrator or service or a peer's "
                                     "right find");
    assert_false(access_check(&subject, ACCESS_TO_ENTER_MODELS, &err));
    assert_string_equal(err.message, "peer CT1 at 10.1.2.3 may not enter models; that takes the role administrator or "
                                     "model owner");
    assert_false(access_check(&nobody, ACCESS_TO_RECEIVE, &err));
    assert_non_null(strstr(err.message, "anna at 10.1.2.4 may not be sent objects; that takes a peer's right target"));
}

int test_allow(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_role_may_what_the_table_says_and_nothing_else),
        cmocka_unit_test(each_right_of_a_peer_is_what_the_table_says_and_nothing_else),
        cmocka_unit_test(who_has_not_logged_in_may_what_anybody_may_and_is_told_to),
        cmocka_unit_test(what_has_no_cell_is_refused),
        cmocka_unit_test(roles_add_up),
        cmocka_unit_test(who_is_on_loopback_holds_all_roles_and_is_verified_by_nothing),
        cmocka_unit_test(a_refusal_names_who_what_and_who_may),
    };
    return cmocka_run_group_tests_name("allow", tests, NULL, NULL);
}
