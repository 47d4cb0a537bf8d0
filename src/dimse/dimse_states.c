#include "dimse_states.h"

#include "base/bytes.h"
#include "base/clock.h"
#include "dimse_association.h"
#include "dimse_pdu.h"

static void start_artim(struct dimse_association *a)
{
    a->artim_deadline_ns = clock_monotonic_ns() + a->timers.artim_ns;
}

static void stop_artim(struct dimse_association *a)
{
    a->artim_deadline_ns = 0;
}

static void send_out(struct dimse_association *a, int64_t wait_ns)
{
    struct error err = {0};
    enum wire_result sent = a->wire.send(a->wire.payload, a->out, a->out_count, clock_monotonic_ns() + wait_ns, &err);
    if (sent == WIRE_BROKEN)
        dimse_fail(a, err.code, "%s", err.message);
    else if (sent != WIRE_OK)
        dimse_fail(a, ERROR_TIMEOUT, "the peer does not take our data");
}

// The PDUs of fixed form (PS3.8 sections 9.3.4, 9.3.6 to 9.3.8): 4 bytes behind the header. They go out without
// waiting: a peer that does not read must not hold us.
static void send_short(struct dimse_association *a, enum dimse_pdu_type type, uint8_t b1, uint8_t b2, uint8_t b3)
{
    uint8_t pdu[10] = {(uint8_t)type, 0, 0, 0, 0, 4, 0, b1, b2, b3};
    struct iovec part = {.iov_base = pdu, .iov_len = sizeof pdu};
    struct error ignored;
    (void)a->wire.send(a->wire.payload, &part, 1, 0, &ignored);
}

static enum dimse_state closed(struct dimse_association *a, enum dimse_indication indication)
{
    stop_artim(a);
    a->indication = indication;
    a->wire.shut(a->wire.payload);
    return DIMSE_STA1_IDLE;
}

static enum dimse_state await_close(struct dimse_association *a)
{
    start_artim(a);
    if (a->timers.linger_ns > 0)
        a->artim_deadline_ns = clock_monotonic_ns() + a->timers.linger_ns;
    a->linger_left = DIMSE_LINGER_MAX;
    return DIMSE_STA13_AWAIT_CLOSE;
}

// ---- association establishment. AE-1 and AE-5, the transport's part, have the socket connected or accepted already.

static enum dimse_state ae_1(struct dimse_association *a)
{
    (void)a;
    return DIMSE_STA4_AWAIT_TRANSPORT;
}

static enum dimse_state ae_2(struct dimse_association *a)
{
    send_out(a, a->timers.artim_ns);
    return DIMSE_STA5_AWAIT_ANSWER;
}

static enum dimse_state ae_3(struct dimse_association *a)
{
    a->indication = DIMSE_ASSOCIATE_ACCEPTED;
    return DIMSE_STA6_ESTABLISHED;
}

static enum dimse_state ae_4(struct dimse_association *a)
{
    return closed(a, DIMSE_ASSOCIATE_REJECTED);
}

static enum dimse_state ae_5(struct dimse_association *a)
{
    start_artim(a);
    return DIMSE_STA2_AWAIT_REQUEST;
}

static enum dimse_state ae_8(struct dimse_association *a)
{
    send_short(a, DIMSE_PDU_ASSOCIATE_RJ, a->reject[0], a->reject[1], a->reject[2]);
    return await_close(a);
}

static enum dimse_state ae_6(struct dimse_association *a)
{
    stop_artim(a);
    if (a->reject[0] != 0)
        return ae_8(a);
    a->indication = DIMSE_ASSOCIATE_ASKED;
    return DIMSE_STA3_AWAIT_LOCAL_ANSWER;
}

static enum dimse_state ae_7(struct dimse_association *a)
{
    send_out(a, a->timers.transfer_ns);
    return DIMSE_STA6_ESTABLISHED;
}

// ---- data transfer

static enum dimse_state dt_1(struct dimse_association *a)
{
    send_out(a, a->timers.transfer_ns);
    return DIMSE_STA6_ESTABLISHED;
}

static enum dimse_state dt_2(struct dimse_association *a)
{
    a->indication = DIMSE_DATA_CAME;
    return DIMSE_STA6_ESTABLISHED;
}

// ---- association release

static enum dimse_state ar_1(struct dimse_association *a)
{
    send_short(a, DIMSE_PDU_RELEASE_RQ, 0, 0, 0);
    return DIMSE_STA7_AWAIT_RELEASE;
}

static enum dimse_state ar_2(struct dimse_association *a)
{
    a->indication = DIMSE_RELEASE_ASKED;
    return DIMSE_STA8_AWAIT_LOCAL_RELEASE;
}

static enum dimse_state ar_3(struct dimse_association *a)
{
    return closed(a, DIMSE_RELEASE_CONFIRMED);
}

static enum dimse_state ar_4(struct dimse_association *a)
{
    send_short(a, DIMSE_PDU_RELEASE_RP, 0, 0, 0);
    return await_close(a);
}

static enum dimse_state ar_5(struct dimse_association *a)
{
    return closed(a, DIMSE_NOTHING);
}

static enum dimse_state ar_6(struct dimse_association *a)
{
    a->indication = DIMSE_DATA_CAME;
    return DIMSE_STA7_AWAIT_RELEASE;
}

static enum dimse_state ar_7(struct dimse_association *a)
{
    send_out(a, a->timers.transfer_ns);
    return DIMSE_STA8_AWAIT_LOCAL_RELEASE;
}

static enum dimse_state ar_8(struct dimse_association *a)
{
    a->indication = DIMSE_RELEASE_ASKED;
    return a->requestor ? DIMSE_STA9_COLLISION_REQUESTOR : DIMSE_STA10_COLLISION_ACCEPTOR;
}

static enum dimse_state ar_9(struct dimse_association *a)
{
    send_short(a, DIMSE_PDU_RELEASE_RP, 0, 0, 0);
    return DIMSE_STA11_COLLISION_ANSWERED;
}

static enum dimse_state ar_10(struct dimse_association *a)
{
    a->indication = DIMSE_RELEASE_CONFIRMED;
    return DIMSE_STA12_COLLISION_CONFIRMED;
}

// ---- abort

static enum dimse_state aa_1(struct dimse_association *a)
{
    if (a->state == DIMSE_STA2_AWAIT_REQUEST)
        dimse_fail(a, ERROR_PROTOCOL, "the peer sent another PDU than an association request");
    send_short(a, DIMSE_PDU_ABORT, 0, 0, 0);
    return await_close(a);
}

static enum dimse_state aa_2(struct dimse_association *a)
{
    return closed(a, DIMSE_PROVIDER_ABORTED);
}

static enum dimse_state aa_3(struct dimse_association *a)
{
    dimse_fail(a, ERROR_CLOSED, "the peer aborted the association (source %u, reason %u)", a->pdu[2], a->pdu[3]);
    return closed(a, DIMSE_ABORT_CAME);
}

static enum dimse_state aa_4(struct dimse_association *a)
{
    return closed(a, DIMSE_PROVIDER_ABORTED);
}

static enum dimse_state aa_5(struct dimse_association *a)
{
    return closed(a, DIMSE_PROVIDER_ABORTED);
}

static enum dimse_state aa_6(struct dimse_association *a)
{
    (void)a;
    return DIMSE_STA13_AWAIT_CLOSE;
}

static enum dimse_state aa_7(struct dimse_association *a)
{
    send_short(a, DIMSE_PDU_ABORT, 0, 2, (uint8_t)a->abort_reason);
    return DIMSE_STA13_AWAIT_CLOSE;
}

static enum dimse_state aa_8(struct dimse_association *a)
{
    if (a->abort_reason == DIMSE_ABORT_NO_REASON)
        a->abort_reason = DIMSE_ABORT_UNEXPECTED_PDU;
    dimse_fail(a, ERROR_PROTOCOL, "the peer sent a PDU that does not fit the state of the association");
    send_short(a, DIMSE_PDU_ABORT, 0, 2, (uint8_t)a->abort_reason);
    a->indication = DIMSE_PROVIDER_ABORTED;
    return await_close(a);
}

// ---- the tables

enum action {
    none,
    AE1,
    AE2,
    AE3,
    AE4,
    AE5,
    AE6,
    AE7,
    AE8,
    DT1,
    DT2,
    AR1,
    AR2,
    AR3,
    AR4,
    AR5,
    AR6,
    AR7,
    AR8,
    AR9,
    ARX,
    AA1,
    AA2,
    AA3,
    AA4,
    AA5,
    AA6,
    AA7,
    AA8,
};

// PS3.8 Tables 9-6 to 9-9
static const struct {
    const char *name;
    enum dimse_state (*run)(struct dimse_association *a);
} actions[] = {
    [none] = {"", NULL},      [AE1] = {"AE-1", ae_1}, [AE2] = {"AE-2", ae_2}, [AE3] = {"AE-3", ae_3},
    [AE4] = {"AE-4", ae_4},   [AE5] = {"AE-5", ae_5}, [AE6] = {"AE-6", ae_6}, [AE7] = {"AE-7", ae_7},
    [AE8] = {"AE-8", ae_8},   [DT1] = {"DT-1", dt_1}, [DT2] = {"DT-2", dt_2}, [AR1] = {"AR-1", ar_1},
    [AR2] = {"AR-2", ar_2},   [AR3] = {"AR-3", ar_3}, [AR4] = {"AR-4", ar_4}, [AR5] = {"AR-5", ar_5},
    [AR6] = {"AR-6", ar_6},   [AR7] = {"AR-7", ar_7}, [AR8] = {"AR-8", ar_8}, [AR9] = {"AR-9", ar_9},
    [ARX] = {"AR-10", ar_10}, [AA1] = {"AA-1", aa_1}, [AA2] = {"AA-2", aa_2}, [AA3] = {"AA-3", aa_3},
    [AA4] = {"AA-4", aa_4},   [AA5] = {"AA-5", aa_5}, [AA6] = {"AA-6", aa_6}, [AA7] = {"AA-7", aa_7},
    [AA8] = {"AA-8", aa_8},
};

// clang-format off
// PS3.8 Table 9-10, with a column 0 so that the indexes are the standard's.
static const uint8_t table[DIMSE_EVENT_COUNT][DIMSE_STATE_COUNT] = {
    //                              -  Sta1  Sta2  Sta3  Sta4  Sta5  Sta6  Sta7  Sta8  Sta9  Sta10 Sta11 Sta12 Sta13
    [DIMSE_EVT1_ASSOCIATE_REQUEST] = {0, AE1,  none, none, none, none, none, none, none, none, none, none, none, none},
    [DIMSE_EVT2_CONNECTED]         = {0, none, none, none, AE2,  none, none, none, none, none, none, none, none, none},
    [DIMSE_EVT3_AC_PDU]            = {0, none, AA1,  AA8,  none, AE3,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA6},
    [DIMSE_EVT4_RJ_PDU]            = {0, none, AA1,  AA8,  none, AE4,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA6},
    [DIMSE_EVT5_CONNECTION_CAME]   = {0, AE5,  none, none, none, none, none, none, none, none, none, none, none, none},
    [DIMSE_EVT6_RQ_PDU]            = {0, none, AE6,  AA8,  none, AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA7},
    [DIMSE_EVT7_ACCEPT]            = {0, none, none, AE7,  none, none, none, none, none, none, none, none, none, none},
    [DIMSE_EVT8_REJECT]            = {0, none, none, AE8,  none, none, none, none, none, none, none, none, none, none},
    [DIMSE_EVT9_DATA_REQUEST]      = {0, none, none, none, none, none, DT1,  none, AR7,  none, none, none, none, none},
    [DIMSE_EVT10_DATA_PDU]         = {0, none, AA1,  AA8,  none, AA8,  DT2,  AR6,  AA8,  AA8,  AA8,  AA8,  AA8,  AA6},
    [DIMSE_EVT11_RELEASE_REQUEST]  = {0, none, none, none, none, none, AR1,  none, none, none, none, none, none, none},
    [DIMSE_EVT12_RELEASE_RQ_PDU]   = {0, none, AA1,  AA8,  none, AA8,  AR2,  AR8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA6},
    [DIMSE_EVT13_RELEASE_RP_PDU]   = {0, none, AA1,  AA8,  none, AA8,  AA8,  AR3,  AA8,  AA8,  ARX,  AR3,  AA8,  AA6},
    [DIMSE_EVT14_RELEASE_ANSWER]   = {0, none, none, none, none, none, none, none, AR4,  AR9,  none, none, AR4,  none},
    [DIMSE_EVT15_ABORT_REQUEST]    = {0, none, none, AA1,  AA2,  AA1,  AA1,  AA1,  AA1,  AA1,  AA1,  AA1,  AA1,  none},
    [DIMSE_EVT16_ABORT_PDU]        = {0, none, AA2,  AA3,  none, AA3,  AA3,  AA3,  AA3,  AA3,  AA3,  AA3,  AA3,  AA2},
    [DIMSE_EVT17_CLOSED]           = {0, none, AA5,  AA4,  AA4,  AA4,  AA4,  AA4,  AA4,  AA4,  AA4,  AA4,  AA4,  AR5},
    [DIMSE_EVT18_ARTIM]            = {0, none, AA2,  none, none, none, none, none, none, none, none, none, none, AA2},
    [DIMSE_EVT19_INVALID_PDU]      = {0, none, AA1,  AA8,  none, AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA7},
};
// clang-format on

void dimse_step(struct dimse_association *a, enum dimse_event event)
{
    enum dimse_state (*run)(struct dimse_association *) = actions[table[event][a->state]].run;
    a->indication = DIMSE_NOTHING;
    if (run != NULL)
        a->state = run(a);
}

const char *dimse_action_name(enum dimse_event event, enum dimse_state state)
{
    return actions[table[event][state]].name;
}
