// Inside the service room: the threads that empty the outbox, a few for each kind of wire.
#ifndef SERVICE_DELIVER_H
#define SERVICE_DELIVER_H

#include "queue/queue.h"
#include "service/internal.h"

// Sends one delivery; runs without a transaction. false with *err; *how: which kind of failure (not that
// it could not be reached), or there is nothing to send: tried again it will fail in the same way. `warning` is "" when
// it is called; what the target says though it took the delivery goes there.
enum { DELIVER_WARNING_SIZE = 160 };
typedef bool deliver_fn(struct service *service, const struct queue_delivery *delivery, enum queue_failure *how,
                        char warning[DELIVER_WARNING_SIZE], struct error *err);

deliver_fn deliver_dicom; // dimse/deliver.c: C-STORE to a peer
deliver_fn deliver_hl7;   // hl7/deliver.c: a message over MLLP

struct deliverer; // its threads
struct deliverer *deliverer_start(struct service *service, const char *kind, deliver_fn *deliver, struct error *err);
void deliverer_stop(struct deliverer *deliverer); // NULL is fine; a delivery under way is given up and comes again

#endif
