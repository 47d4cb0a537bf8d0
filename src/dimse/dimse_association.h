// An association from the inside: shared by the files of this room.
#ifndef DIMSE_ASSOCIATION_H
#define DIMSE_ASSOCIATION_H

#include "base/arena.h"
#include "base/buffer.h"
#include "dimse.h"
#include "dimse_states.h"
#include "base/wire.h"

enum {
    DIMSE_ARENA_MAX = 2 << 20,        // contexts and their syntaxes: 128 * (64 * 129 + 300) bytes at most
    DIMSE_LOOKAHEAD = 8 << 10,        // room behind a PDU for what came with it
    DIMSE_PDU_HEADER = 6,             // type, reserved, length
    DIMSE_PDV_HEADER = 6,             // length, context, message control header
    DIMSE_LINGER_MAX = 16 << 20,      // bytes dropped while waiting for the peer to close
    DIMSE_EMPTY_FRAGMENTS_MAX = 64,   // in a row
    DIMSE_PEER_PDU_ASSUMED = 16 << 10 // when the peer does not tell a maximum length
};

enum dimse_abort_reason { // A-ABORT by the provider, PS3.8 Table 9-26
    DIMSE_ABORT_NO_REASON = 0,
    DIMSE_ABORT_UNRECOGNIZED_PDU = 1,
    DIMSE_ABORT_UNEXPECTED_PDU = 2,
    DIMSE_ABORT_UNEXPECTED_PARAMETER = 5,
    DIMSE_ABORT_INVALID_PARAMETER = 6,
};

struct dimse_association {
    struct wire wire;
    struct dimse_timers timers;
    bool requestor;
    enum dimse_state state;
    enum dimse_indication indication; // of the last step
    int64_t artim_deadline_ns;        // 0: stopped
    struct error failure;             // the first; NONE while all is well
    enum dimse_abort_reason abort_reason;

    // Negotiation
    struct arena arena;
    struct dimse_request request;
    uint8_t context_of[256]; // by identifier: index + 1 in request.contexts, 0: none
    uint8_t titles[64];      // of the request as received: the answer repeats them
    uint8_t reject[3];       // result, source, reason; result 0: none

    // What the next step that sends a PDU sends
    struct iovec *out;
    size_t out_count;

    // Receiving: in[in_start..in_end) came and is not used yet; `pdu` is the variable field of the last PDU, before
    // in_start.
    uint8_t *in;
    size_t in_capacity;
    size_t in_start;
    size_t in_end;
    uint64_t skip; // bytes of a PDU that is not kept, still to come
    size_t linger_left;
    const uint8_t *pdu;
    size_t pdu_size;
    size_t pdu_at; // the next presentation data value in a P-DATA-TF

    // The message being received
    bool spoken; // a message came: from here on idle_ns bounds the wait for the next one
    const struct dimse_context *message_context;
    bool data_open; // its data set has more to come
    struct buffer command;
    uint16_t last_message_id;
};

// Takes `wire`, closed on failure too.
struct dimse_association *dimse_association_new(struct wire wire, const struct dimse_timers *timers, bool requestor,
                                                struct error *err);

// Notes why the association ends; only the first reason stays.
void dimse_fail(struct dimse_association *association, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The peer broke the protocol: notes it, A-ABORT. Returns false.
bool dimse_violation(struct dimse_association *association, enum dimse_abort_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Copies the failure to *err. Returns false.
bool dimse_failed(const struct dimse_association *association, struct error *err);

// The accepted or refused context with this identifier; NULL when it was not proposed.
const struct dimse_context *dimse_context_by_id(const struct dimse_association *association, uint8_t id);

// Reads and drops until the peer closes or ARTIM ends (Sta13), and frees.
void dimse_finish(struct dimse_association *association);

// dimse_listen_request and dimse_connect on any wire. `address` is shown as the peer's.
struct dimse_association *dimse_listen_wire(struct wire wire, const char *address, const struct dimse_timers *timers,
                                            struct error *err);
struct dimse_association *dimse_connect_wire(struct wire wire, const char *address, const struct dimse_peer *peer,
                                             const struct dimse_proposal *proposals, size_t count,
                                             const struct dimse_timers *timers, struct error *err);

#endif
