// The dimse room: DICOM's upper layer over TCP (PS3.8) and DIMSE messages (PS3.7), both directions, one blocking
// thread per association. It carries messages; what is done with them is decided above.
//
// The upper layer's state machine (PS3.8 section 9.2) is a table in dimse_states.c: [event][state] -> action, as in
// Table 9-10, with the function of each action. The states an application sees:
//
//   acceptor:   dimse_listen_request -> (Sta3) dimse_accept | dimse_reject -> (Sta6) dimse_receive ...
//   requestor:  dimse_connect -> (Sta6) dimse_echo, dimse_store ... -> dimse_release
//
// Any function that returns false leaves the association of no further use but for dimse_close, which sends what the
// state still allows (A-ABORT) and frees. A protocol violation by the peer is answered with A-ABORT (reason in *err)
// before false is returned. Nothing is logged here.
//
// Timers: ARTIM (PS3.8 9.1.5) bounds the time to the association request, to an accepted peer's first message, and
// to the close after a reject, release or abort; `idle_ns` bounds the wait for each later message; `transfer_ns`
// bounds each wait for bytes inside a message. A peer that sends one byte at a time is bounded by the first two: a
// PDU must be complete within transfer_ns of its first byte.
//
// Answers leave in one write, and TCP_NODELAY and TCP_QUICKACK are set (the latter again after every read), so that
// a peer with Nagle's algorithm does not wait for delayed acknowledgements.
#ifndef DIMSE_DIMSE_H
#define DIMSE_DIMSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/source.h"
#include "base/tls.h"
#include "dicom/dicom.h"

enum {
    DIMSE_CONTEXTS_MAX = 128,           // PS3.8 9.3.2.2: odd identifiers 1 to 255
    DIMSE_SYNTAXES_MAX = 64,            // transfer syntaxes in one proposed context; more are passed over
    DIMSE_REQUEST_SIZE_MAX = 256 << 10, // an A-ASSOCIATE PDU; longer is aborted
    DIMSE_PDU_LEAST = 4096,             // a peer's maximum length below this (but 0, no limit) is refused
    DIMSE_PDU_SENT_MAX = 128 << 10,     // the largest P-DATA-TF we send
    DIMSE_PDU_OFFERED = 128 << 10,      // the maximum length we announce
    DIMSE_COMMAND_SIZE_MAX = 16 << 10,  // a command set
};

#define DIMSE_VERIFICATION "1.2.840.10008.1.1"
#define DIMSE_APPLICATION_CONTEXT "1.2.840.10008.3.1.1.1"

struct dimse_timers {
    int64_t artim_ns;    // default 30 s
    int64_t idle_ns;     // default 60 s
    int64_t transfer_ns; // default 30 s
    int64_t linger_ns;   // to the peer's close after a reject, release or abort; 0: artim_ns
};

extern const struct dimse_timers dimse_timers_default;

// A presentation context as proposed and, after negotiation, as it stands.
enum dimse_context_result { // PS3.8 Table 9-18
    DIMSE_CONTEXT_ACCEPTED = 0,
    DIMSE_CONTEXT_USER_REJECTION = 1,
    DIMSE_CONTEXT_NO_REASON = 2,
    DIMSE_CONTEXT_ABSTRACT_UNSUPPORTED = 3,
    DIMSE_CONTEXT_TRANSFER_UNSUPPORTED = 4,
};

struct dimse_context {
    uint8_t id;
    enum dimse_context_result result;
    char abstract[DICOM_UID_SIZE];
    char (*proposed)[DICOM_UID_SIZE]; // transfer syntaxes in the peer's order; owned by the association
    size_t proposed_count;
    char transfer[DICOM_UID_SIZE]; // the accepted one; "" otherwise
};

struct dimse_association; // owned by the thread that runs it

// What a peer asks for (A-ASSOCIATE-RQ), or what was agreed.
struct dimse_request {
    // Titles are trimmed; only printable ASCII but backslash (PS3.5 AE) and no "../" or "/..", else the request is
    // rejected before anyone sees it.
    char called[DICOM_AE_SIZE];
    char calling[DICOM_AE_SIZE];
    char address[48]; // numeric, of the peer
    char implementation_uid[DICOM_UID_SIZE];
    char implementation_version[17];
    uint32_t peer_pdu_max; // the peer's maximum length, clamped to DIMSE_PDU_SENT_MAX
    struct dimse_context *contexts;
    size_t context_count;
};

// ---- acceptor

// The words of the failure when what came first was no PDU but another protocol's beginning.
#define DIMSE_SPEAKS_HTTP "it speaks HTTP, not DICOM"
#define DIMSE_SPEAKS_TLS "it speaks TLS, not DICOM without TLS"

// Takes the connected socket `fd` (owned from here on, closed on failure too) and reads the association request
// within ARTIM. Malformed requests are answered: A-ASSOCIATE-RJ for an unknown protocol version, application
// context, or unfit AE title; A-ABORT for what cannot be parsed (user-information or item lengths that lie, another
// PDU first); A-ASSOCIATE-RJ, source 2, no reason given, for context identifiers that are even or used twice (so for
// more than 128 too), no context at all, or a maximum length below DIMSE_PDU_LEAST; source 1 for a user identity that
// is a JSON Web Token, which nothing here can verify. A server that must be able to end this wait, and that of
// dimse_close, keeps a dup of `fd` and shuts that down. With `tls` (NULL: plain) the handshake comes first, within
// ARTIM too, and *shown (may be NULL) is whom it ended with; who is let in is the caller's to judge.
struct dimse_association *dimse_listen_request(int fd, struct tls *tls, struct tls_peer *shown,
                                               const struct dimse_timers *timers, struct error *err);

const struct dimse_request *dimse_request(const struct dimse_association *association);

// Answers one proposed context; call for each before dimse_accept. `transfer` must be among the proposed ones
// (asserted) when accepted. Contexts never answered are refused with "abstract syntax not supported".
void dimse_answer_context(struct dimse_association *association, size_t index, enum dimse_context_result result,
                          const char *transfer);

bool dimse_accept(struct dimse_association *association, struct error *err);

enum dimse_reject_result { DIMSE_REJECT_PERMANENT = 1, DIMSE_REJECT_TRANSIENT = 2 };
enum dimse_reject_reason { // source << 8 | reason, PS3.8 Table 9-21
    DIMSE_REJECT_NO_REASON = 0x0101,
    DIMSE_REJECT_APPLICATION_CONTEXT = 0x0102,
    DIMSE_REJECT_CALLING_UNKNOWN = 0x0103,
    DIMSE_REJECT_CALLED_UNKNOWN = 0x0107,
    DIMSE_REJECT_PROVIDER_NO_REASON = 0x0201,
    DIMSE_REJECT_PROTOCOL_VERSION = 0x0202,
    DIMSE_REJECT_CONGESTION = 0x0301,
    DIMSE_REJECT_LOCAL_LIMIT = 0x0302,
};

// Sends A-ASSOCIATE-RJ, waits for the peer to close (ARTIM) and frees the association.
void dimse_reject(struct dimse_association *association, enum dimse_reject_result result,
                  enum dimse_reject_reason reason);

// ---- messages (PS3.7)

enum dimse_command { // PS3.7 Annex E.1
    DIMSE_C_STORE_RQ = 0x0001,
    DIMSE_C_STORE_RSP = 0x8001,
    DIMSE_C_GET_RQ = 0x0010,
    DIMSE_C_GET_RSP = 0x8010,
    DIMSE_C_FIND_RQ = 0x0020,
    DIMSE_C_FIND_RSP = 0x8020,
    DIMSE_C_MOVE_RQ = 0x0021,
    DIMSE_C_MOVE_RSP = 0x8021,
    DIMSE_C_ECHO_RQ = 0x0030,
    DIMSE_C_ECHO_RSP = 0x8030,
    DIMSE_N_EVENT_REPORT_RQ = 0x0100,
    DIMSE_N_EVENT_REPORT_RSP = 0x8100,
    DIMSE_N_GET_RQ = 0x0110,
    DIMSE_N_GET_RSP = 0x8110,
    DIMSE_N_SET_RQ = 0x0120,
    DIMSE_N_SET_RSP = 0x8120,
    DIMSE_N_ACTION_RQ = 0x0130,
    DIMSE_N_ACTION_RSP = 0x8130,
    DIMSE_N_CREATE_RQ = 0x0140,
    DIMSE_N_CREATE_RSP = 0x8140,
    DIMSE_N_DELETE_RQ = 0x0150,
    DIMSE_N_DELETE_RSP = 0x8150,
    DIMSE_C_CANCEL_RQ = 0x0FFF,
};

// A command set in the fields that are used so far. UIDs are trimmed and may be unfit (the caller decides the
// answer): see uids_valid.
struct dimse_message {
    uint16_t command;
    uint16_t message_id; // of a response: (0000,0120)
    uint16_t priority;
    uint16_t status;
    bool has_data;
    const struct dimse_context *context;
    char sop_class[DICOM_UID_SIZE]; // affected or requested
    char sop_instance[DICOM_UID_SIZE];
    bool uids_valid; // those present are valid UIDs; a text that does not fit is cut and not valid
    char move_originator[DICOM_AE_SIZE];
    uint16_t move_message_id;
    char error_comment[65];
};

enum dimse_received { DIMSE_MESSAGE, DIMSE_RELEASED, DIMSE_ABORTED, DIMSE_BROKEN };

// The next message's command. RELEASED: the peer asked for release, which was answered; the association is over.
// ABORTED: by the peer. BROKEN: the connection ended, a timer ran out, or the peer violated the protocol (answered
// with A-ABORT); *err says which. A data set of the message before that was not read to its end is read and dropped
// first. A message on a context that was not accepted, data before a command, a second command before the data set
// ended: violations.
enum dimse_received dimse_receive(struct dimse_association *association, struct dimse_message *message,
                                  struct error *err);

// The data set of the message just received, in the context's transfer syntax, as a stream; pieces borrow the PDU in
// place. Valid until the next call but this source's on the association.
struct source dimse_data(struct dimse_association *association);

// Answers the request `message` with a response (its command | 0x8000), without a data set. `comment` (may be NULL)
// goes into Error Comment (0000,0902), cut to 64 characters of ASCII.
bool dimse_respond(struct dimse_association *association, const struct dimse_message *message, uint16_t status,
                   const char *comment, struct error *err);

// ---- requestor

struct dimse_proposal {
    const char *abstract;
    const char *transfer[8]; // NULL-ended
};

struct dimse_peer {
    const char *host;
    uint16_t port;
    const char *called;
    const char *calling;
    struct tls *tls; // NULL: plain. Must judge later.
    const char
        *fingerprint; // with TLS: of the one certificate that counts, or "": one of a known authority (tls_judge)
};

// Connects (bounded by timers->artim_ns, but for the system's name look-up), proposes, and waits for the answer. At
// most DIMSE_CONTEXTS_MAX proposals. With TLS the peer's certificate must count (FORBIDDEN). A reject is FORBIDDEN (or
// BUSY when transient), with the standard's words for the reason. Contexts keep the order of the proposals.
struct dimse_association *dimse_connect(const struct dimse_peer *peer, const struct dimse_proposal *proposals,
                                        size_t count, const struct dimse_timers *timers, struct error *err);

// The first accepted context with this abstract syntax and, when `transfer` is not NULL, this transfer syntax. NULL
// when there is none.
const struct dimse_context *dimse_context_for(const struct dimse_association *association, const char *abstract,
                                              const char *transfer);

bool dimse_echo(struct dimse_association *association, uint16_t *status, struct error *err);

// Sends one object, the data set from `source` in the context's transfer syntax, and waits for the answer. `comment`
// (may be NULL) has 65 characters.
bool dimse_store(struct dimse_association *association, const struct dimse_context *context, const char *sop_class,
                 const char *sop_instance, struct source source, uint16_t *status, char *comment, struct error *err);

// A-RELEASE-RQ, waits for the answer, frees. false (freed all the same) when the peer did not answer properly.
bool dimse_release(struct dimse_association *association, struct error *err);

// ---- both

// Sends A-ABORT where the state allows it and frees. NULL is fine.
void dimse_close(struct dimse_association *association);

// From another thread: makes the blocked call of the association's own thread return BROKEN soon (server stop). The
// caller sees to it that the association is not closed meanwhile: a lock, held here and where its thread takes it
// off a list before dimse_close.
void dimse_interrupt(struct dimse_association *association);

#endif
