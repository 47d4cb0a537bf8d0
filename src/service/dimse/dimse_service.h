// Inside service/dimse.
#ifndef SERVICE_DIMSE_SERVICE_H
#define SERVICE_DIMSE_SERVICE_H

#include <pthread.h>

#include "dimse/dimse.h"
#include "service/internal.h"

enum {
    // Connections, admitted or not yet. Past all but the last few, and past WAITING of one address that have not been
    // admitted yet, the oldest of these makes room for the next: of that address, else of the one that has most. Who
    // has
    // something to say has said it by then.
    DIMSE_SLOTS = ACCESS_ASSOCIATIONS_ALL + 128 + 32,
    DIMSE_SLOTS_LEFT = 32,
    DIMSE_WAITING_PER_ADDRESS = 64,
    DIMSE_STACK = 256 << 10,
    // From here on of one address a refused peer is not waited for to close: those who keep refused connections open
    // would else take the places of others at their address.
    DIMSE_LINGERING_PER_ADDRESS = DIMSE_WAITING_PER_ADDRESS / 2,
};

// One connection. Owned by its thread; the listener looks at it under the mutex.
struct dimse_slot {
    bool used;
    bool admitted;
    bool pressed;    // too many of its address wait: no lingering
    bool ousted;     // it makes room for others, and does not count any more
    int fd;          // the thread's
    int watch;       // the same socket; the slot's, to shut it down
    uint64_t number; // rises with each connection
    bool tls;        // it came to the port where TLS is spoken
    char address[48];
    struct dimse_association *association; // NULL until the request was read
    struct dimse_service *dimse;
};

struct dimse_service {
    struct service *service;
    struct dimse_timers timers;
    int sockets[2]; // plain, and where TLS is spoken (-1: nowhere)
    int wake;       // eventfd: stop
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t ended; // running became 0
    size_t running;
    bool stopping;
    uint64_t connections; // there ever were
    uint64_t ousted;      // not logged yet
    int64_t tell_ns;      // monotonic: when they are logged again
    struct dimse_slot slots[DIMSE_SLOTS];
};

void *dimse_service_run(void *payload);         // the listener's thread; payload: struct dimse_service
void *dimse_service_association(void *payload); // an association's thread; payload: struct dimse_slot (association.c)
void dimse_service_leave(struct dimse_slot *slot);

// What an association's messages work on.
struct dimse_session {
    struct service *service;
    struct dimse_association *association;
    const struct dimse_request *request;
    bool over_tls;
    struct tls_peer shown; // over TLS: whom the handshake ended with
    struct access_ticket ticket;
    struct access_subject subject;
    unsigned actions_refused;      // 1 << enum access_action each, of the services that it may not use
    struct archive_writer *writer; // NULL until the first object
    uint64_t stored;               // taken in one of the ways of `outcomes`
    uint64_t outcomes[ARCHIVE_REPLACED + 1], refused; // by enum archive_outcome
    char name[48];                                    // of the association, among all there ever were
    char last_study[DICOM_UID_SIZE];
    uint64_t set_aside;                   // there already, and another object of the UID is served
    char set_aside_study[DICOM_UID_SIZE]; // of the first
    bool spoken;                          // a message came
    bool end_told;                        // the audit trail knows how it ended: with the object that broke off
};

// Handles a C-STORE request (store.c). false: the association is over.
bool dimse_session_store(struct dimse_session *session, const struct dimse_message *message, struct error *err);
// A line of this peer in the audit trail (store.c); the texts as in struct access_record.
void dimse_session_audit(const struct dimse_session *session, enum access_event event, bool success,
                         const char *patient, const char *study, const char *detail);

// ---- offers.c: the services

enum dimse_role { DIMSE_SCU, DIMSE_SCP };

// A service that a peer may use here.
struct dimse_offer {
    const char *name;
    const char *sop_class; // the abstract syntax; NULL: that of every storage class
    enum dimse_role role;  // the peer's
    enum access_action action;
    uint16_t command;                                           // its request
    const char *(*choose)(const struct dimse_context *context); // of the proposed transfer syntaxes; NULL: none fits
    // Answers the request. false: the association is over.
    bool (*handle)(struct dimse_session *session, const struct dimse_message *message, struct error *err);
};
extern const struct dimse_offer dimse_offers[]; // ended by name NULL

// NULL: nothing is offered for it.
const struct dimse_offer *dimse_offer_of_class(const char *sop_class, enum dimse_role role);
// By its command and the abstract syntax of its context: what was agreed on for one class is no leave for another.
const struct dimse_offer *dimse_offer_of_message(const struct dimse_message *message);

#endif
