// Protocol data units (PS3.8 section 9.3): framing. One byte of type, one reserved, four of length (big endian), the
// variable field.
#ifndef DIMSE_PDU_H
#define DIMSE_PDU_H

#include <stdbool.h>
#include <stdint.h>

#include "dimse_states.h"

struct dimse_association;

enum dimse_pdu_type {
    DIMSE_PDU_ASSOCIATE_RQ = 1,
    DIMSE_PDU_ASSOCIATE_AC = 2,
    DIMSE_PDU_ASSOCIATE_RJ = 3,
    DIMSE_PDU_DATA_TF = 4,
    DIMSE_PDU_RELEASE_RQ = 5,
    DIMSE_PDU_RELEASE_RP = 6,
    DIMSE_PDU_ABORT = 7,
};

// Waits up to `wait_ns` (or ARTIM, when it runs) for the first byte of a PDU and transfer_ns (or ARTIM) for all of it,
// and says which event it is. A PDU is in association->pdu whole, with well-formed lengths, until the next call; where
// the state needs none of its content it is passed over. Events 15 and 17 to 19 come with the failure noted.
enum dimse_event dimse_pdu_receive(struct dimse_association *association, int64_t wait_ns);

// Gives the memory that a long A-ASSOCIATE PDU took back. `pdu` is gone after it.
bool dimse_pdu_shrink(struct dimse_association *association);

#endif
