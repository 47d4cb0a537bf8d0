// The upper layer's state machine (PS3.8 section 9.2): the numbers are the standard's.
#ifndef DIMSE_STATES_H
#define DIMSE_STATES_H

struct dimse_association;

enum dimse_state {
    DIMSE_STA1_IDLE = 1,
    DIMSE_STA2_AWAIT_REQUEST,       // transport open
    DIMSE_STA3_AWAIT_LOCAL_ANSWER,  // the application decides about the request
    DIMSE_STA4_AWAIT_TRANSPORT,     // connecting
    DIMSE_STA5_AWAIT_ANSWER,        // A-ASSOCIATE-AC or -RJ
    DIMSE_STA6_ESTABLISHED,         //
    DIMSE_STA7_AWAIT_RELEASE,       // A-RELEASE-RP
    DIMSE_STA8_AWAIT_LOCAL_RELEASE, //
    DIMSE_STA9_COLLISION_REQUESTOR, // both asked for release; we answer first
    DIMSE_STA10_COLLISION_ACCEPTOR, // both asked for release; the peer answers first
    DIMSE_STA11_COLLISION_ANSWERED, // requestor waits for A-RELEASE-RP
    DIMSE_STA12_COLLISION_CONFIRMED,
    DIMSE_STA13_AWAIT_CLOSE,
    DIMSE_STATE_COUNT,
};

enum dimse_event {
    DIMSE_EVT1_ASSOCIATE_REQUEST = 1,
    DIMSE_EVT2_CONNECTED,
    DIMSE_EVT3_AC_PDU,
    DIMSE_EVT4_RJ_PDU,
    DIMSE_EVT5_CONNECTION_CAME,
    DIMSE_EVT6_RQ_PDU,
    DIMSE_EVT7_ACCEPT,
    DIMSE_EVT8_REJECT,
    DIMSE_EVT9_DATA_REQUEST,
    DIMSE_EVT10_DATA_PDU,
    DIMSE_EVT11_RELEASE_REQUEST,
    DIMSE_EVT12_RELEASE_RQ_PDU,
    DIMSE_EVT13_RELEASE_RP_PDU,
    DIMSE_EVT14_RELEASE_ANSWER,
    DIMSE_EVT15_ABORT_REQUEST, // by the application, or our timers other than ARTIM
    DIMSE_EVT16_ABORT_PDU,
    DIMSE_EVT17_CLOSED,
    DIMSE_EVT18_ARTIM,
    DIMSE_EVT19_INVALID_PDU,
    DIMSE_EVENT_COUNT,
};

// What an action tells the application (the indication and confirmation primitives).
enum dimse_indication {
    DIMSE_NOTHING,
    DIMSE_ASSOCIATE_ASKED,
    DIMSE_ASSOCIATE_ACCEPTED,
    DIMSE_ASSOCIATE_REJECTED,
    DIMSE_DATA_CAME,
    DIMSE_RELEASE_ASKED,
    DIMSE_RELEASE_CONFIRMED,
    DIMSE_ABORT_CAME,
    DIMSE_PROVIDER_ABORTED, // A-P-ABORT: the connection or the protocol failed
};

// Runs the action of the pair and leaves the new state and the indication in the association. A pair that the standard
// leaves empty changes nothing.
void dimse_step(struct dimse_association *association, enum dimse_event event);

// "AA-8", or "" for an empty pair.
const char *dimse_action_name(enum dimse_event event, enum dimse_state state);

#endif
