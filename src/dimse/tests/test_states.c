#include "support.h"

#include "dimse/dimse_states.h"

static bool has(enum dimse_event event, enum dimse_state state)
{
    return dimse_action_name(event, state)[0] != '\0';
}

// PS3.8 Table 9-10: while a connection is open, whatever the peer sends has an action.
static void every_pdu_has_an_action_in_every_state_with_a_connection(void **context)
{
    (void)context;
    static const enum dimse_event pdus[] = {
        DIMSE_EVT3_AC_PDU,     DIMSE_EVT4_RJ_PDU,          DIMSE_EVT6_RQ_PDU,
        DIMSE_EVT10_DATA_PDU,  DIMSE_EVT12_RELEASE_RQ_PDU, DIMSE_EVT13_RELEASE_RP_PDU,
        DIMSE_EVT16_ABORT_PDU, DIMSE_EVT17_CLOSED,         DIMSE_EVT19_INVALID_PDU};
    for (size_t i = 0; i < sizeof pdus / sizeof pdus[0]; i++) {
        for (enum dimse_state s = DIMSE_STA2_AWAIT_REQUEST; s < DIMSE_STATE_COUNT; s++)
            assert_true(has(pdus[i], s) || s == DIMSE_STA4_AWAIT_TRANSPORT);
        assert_false(has(pdus[i], DIMSE_STA1_IDLE));
    }
}

// Rows of Table 9-10 where a mistake would show only in rare courses.
static void collisions_and_the_last_state_act_as_in_the_standard(void **context)
{
    (void)context;
    assert_string_equal(dimse_action_name(DIMSE_EVT12_RELEASE_RQ_PDU, DIMSE_STA7_AWAIT_RELEASE), "AR-8");
    assert_string_equal(dimse_action_name(DIMSE_EVT14_RELEASE_ANSWER, DIMSE_STA9_COLLISION_REQUESTOR), "AR-9");
    assert_string_equal(dimse_action_name(DIMSE_EVT13_RELEASE_RP_PDU, DIMSE_STA10_COLLISION_ACCEPTOR), "AR-10");
    assert_string_equal(dimse_action_name(DIMSE_EVT13_RELEASE_RP_PDU, DIMSE_STA11_COLLISION_ANSWERED), "AR-3");
    assert_string_equal(dimse_action_name(DIMSE_EVT14_RELEASE_ANSWER, DIMSE_STA12_COLLISION_CONFIRMED), "AR-4");
    assert_string_equal(dimse_action_name(DIMSE_EVT10_DATA_PDU, DIMSE_STA7_AWAIT_RELEASE), "AR-6");
    assert_string_equal(dimse_action_name(DIMSE_EVT10_DATA_PDU, DIMSE_STA8_AWAIT_LOCAL_RELEASE), "AA-8");
    assert_string_equal(dimse_action_name(DIMSE_EVT6_RQ_PDU, DIMSE_STA13_AWAIT_CLOSE), "AA-7");
    assert_string_equal(dimse_action_name(DIMSE_EVT10_DATA_PDU, DIMSE_STA13_AWAIT_CLOSE), "AA-6");
    assert_string_equal(dimse_action_name(DIMSE_EVT17_CLOSED, DIMSE_STA13_AWAIT_CLOSE), "AR-5");
    assert_string_equal(dimse_action_name(DIMSE_EVT18_ARTIM, DIMSE_STA2_AWAIT_REQUEST), "AA-2");
}

int test_states(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pdu_has_an_action_in_every_state_with_a_connection),
        cmocka_unit_test(collisions_and_the_last_state_act_as_in_the_standard),
    };
    return cmocka_run_group_tests_name("states", tests, NULL, NULL);
}
