// One association, from the request to its end: admission, negotiation, messages.
#include "service/dimse/dimse_service.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/event.h"

// ---- negotiation

// Told once for each action: a peer may propose a hundred classes of one service.
static void tell_refused(struct dimse_session *session, enum access_action action, const struct error *reason)
{
    if (session->actions_refused & 1u << action)
        return;
    session->actions_refused |= 1u << action;
    log_warning("dimse", "%s", reason->message);
    dimse_session_audit(session, ACCESS_EVENT_REFUSED, false, "", "", reason->message);
}

// Without role selection the requestor is the SCU (PS3.7 D.3.3.4).
static enum dimse_context_result judge(struct dimse_session *session, const struct dimse_context *context,
                                       const char **transfer)
{
    const struct dimse_offer *offer = dimse_offer_of_class(context->abstract, DIMSE_SCU);
    struct error reason;
    if (!offer)
        return DIMSE_CONTEXT_ABSTRACT_UNSUPPORTED;
    if (!access_check(&session->subject, offer->action, &reason)) {
        tell_refused(session, offer->action, &reason);
        return DIMSE_CONTEXT_USER_REJECTION;
    }
    *transfer = offer->choose(context);
    return *transfer ? DIMSE_CONTEXT_ACCEPTED : DIMSE_CONTEXT_TRANSFER_UNSUPPORTED;
}

static void negotiate(struct dimse_session *session)
{
    for (size_t i = 0; i < session->request->context_count; i++) {
        const char *transfer = NULL;
        enum dimse_context_result result = judge(session, &session->request->contexts[i], &transfer);
        dimse_answer_context(session->association, i, result, transfer);
    }
}

// ---- admission

// A wrong peer, as the audit trail has it. One that merely hung up was refused nothing.
static void audit_end(struct service *service, const char *calling, const char *address, const struct error *reason)
{
    struct access_record record = {.event = ACCESS_EVENT_ASSOCIATION,
                                   .success = false,
                                   .actor = calling,
                                   .address = address,
                                   .patient = "",
                                   .study = "",
                                   .detail = reason->message};
    if (reason->code != ERROR_CLOSED)
        access_audit(service->access, &record, clock_now_ns());
}

// What the listener may interrupt.
static void publish(struct dimse_slot *slot, struct dimse_association *association, bool admitted)
{
    pthread_mutex_lock(&slot->dimse->mutex);
    slot->association = association;
    slot->admitted = admitted;
    if (slot->dimse->stopping && association)
        dimse_interrupt(association);
    pthread_mutex_unlock(&slot->dimse->mutex);
}

static const struct {
    enum dimse_reject_result result;
    enum dimse_reject_reason reason;
} rejections[] = {
    [ACCESS_CALLED_UNKNOWN] = {DIMSE_REJECT_PERMANENT, DIMSE_REJECT_CALLED_UNKNOWN},
    [ACCESS_CALLING_UNKNOWN] = {DIMSE_REJECT_PERMANENT, DIMSE_REJECT_CALLING_UNKNOWN},
    [ACCESS_NOT_PLAIN] = {DIMSE_REJECT_PERMANENT, DIMSE_REJECT_NO_REASON},
    [ACCESS_NOT_TLS] = {DIMSE_REJECT_PERMANENT, DIMSE_REJECT_NO_REASON},
    [ACCESS_CERTIFICATE] = {DIMSE_REJECT_PERMANENT, DIMSE_REJECT_CALLING_UNKNOWN},
    [ACCESS_PEER_LIMIT] = {DIMSE_REJECT_TRANSIENT, DIMSE_REJECT_LOCAL_LIMIT},
    [ACCESS_TOTAL_LIMIT] = {DIMSE_REJECT_TRANSIENT, DIMSE_REJECT_CONGESTION},
};

bool service_rejection(size_t index, struct service_rejection *out)
{
    enum access_answer answer = (enum access_answer)(index + 1); // the first is admission
    if (index + 1 >= ACCESS_ANSWER_END)
        return false;
    *out = (struct service_rejection){access_answer_words(answer), rejections[answer].result,
                                      rejections[answer].reason >> 8, rejections[answer].reason & 0xFF};
    return true;
}

static bool admit(struct dimse_session *session, struct dimse_slot *slot)
{
    const struct dimse_request *request = session->request;
    struct service *service = session->service;
    enum access_answer answer =
        access_admit(service->access, service->titles.list, request->called, request->calling, request->address,
                     session->over_tls ? &session->shown : NULL, clock_now_ns(), &session->ticket);
    if (answer == ACCESS_ADMITTED)
        return true;
    atomic_fetch_add(&service->counters.associations_refused, 1);
    log_warning("dimse", "association of %s at %s to %s refused: %s%s", request->calling, request->address,
                request->called, session->ticket.why,
                answer == ACCESS_CALLING_UNKNOWN ? "; `hilum peer add` enters one" : "");
    publish(slot, NULL, false); // it is freed below
    dimse_reject(session->association, rejections[answer].result, rejections[answer].reason);
    return false;
}

// ---- messages

// false: the association is over.
static bool handle(struct dimse_session *session, const struct dimse_message *message, struct error *err)
{
    const struct dimse_offer *offer = dimse_offer_of_message(message);
    if (offer)
        return offer->handle(session, message, err);
    if (message->command == DIMSE_C_CANCEL_RQ)
        return true; // nothing runs that could be cancelled (PS3.7 section 9.3.2.3: it has no answer)
    if (message->command & 0x8000)
        return error_set(err, ERROR_PROTOCOL, "answer %04XH to nothing that was asked", message->command);
    return dimse_respond(session->association, message, 0x0211, "operation not supported here", err); // PS3.7 C.5.24
}

static void run(struct dimse_session *session)
{
    const struct dimse_request *request = session->request;
    struct dimse_message message;
    struct error err = {0};
    enum dimse_received received = DIMSE_BROKEN;
    bool going = dimse_accept(session->association, &err);
    while (going && (received = dimse_receive(session->association, &message, &err)) == DIMSE_MESSAGE) {
        session->spoken = true;
        budget_for_peer(true); // what was refused for an earlier message is over
        going = handle(session, &message, &err);
    }
    if (!going || received != DIMSE_RELEASED)
        log_warning("dimse", "association of %s at %s ended: %s", request->calling, request->address, err.message);
    // Peers may keep an association without a word for as long as idle_ns; that it ends then is no incident.
    bool idle = session->spoken && err.code == ERROR_TIMEOUT;
    if ((!going || received == DIMSE_BROKEN) && !session->end_told && !idle)
        audit_end(session->service, request->calling, request->address, &err);
    if (!going || received != DIMSE_RELEASED)
        atomic_fetch_add(&session->service->counters.associations_aborted, 1);
}

// ---- end

static bool write_end(struct database *db, void *payload, struct error *err)
{
    const struct dimse_session *session = payload;
    return store_event_add(db, STORE_EVENT_ASSOCIATION_ENDED, session->last_study, session->name, NULL, err);
}

// The end of an association that stored something is one sign that its series are whole.
static void finish(struct dimse_session *session)
{
    struct error err;
    archive_writer_close(session->writer);
    if (session->stored > 0 && !store_write(session->service->store, STORE_REPLAYABLE, write_end, session, &err))
        log_warning("dimse", "the end of an association could not be noted: %s", err.message);
    if (session->stored + session->refused > 0)
        log_info("dimse", "%s at %s sent objects: %llu stored, %llu there already, %llu kept beside, %llu refused",
                 session->request->calling, session->request->address,
                 (unsigned long long)session->outcomes[ARCHIVE_STORED],
                 (unsigned long long)session->outcomes[ARCHIVE_SAME],
                 (unsigned long long)session->outcomes[ARCHIVE_KEPT_BESIDE] +
                     (unsigned long long)session->outcomes[ARCHIVE_REPLACED],
                 (unsigned long long)session->refused);
    if (session->set_aside > 0)
        log_warning("dimse",
                    "%s at %s sent %llu objects again that are kept and not served, the first of study %s: another one "
                    "of their UID is, as was decided or is to be; /api/conflicts?state=all&study=%s",
                    session->request->calling, session->request->address, (unsigned long long)session->set_aside,
                    session->set_aside_study, session->set_aside_study);
}

// Two associations of one title at once must not be taken for each other when one ends.
static void name_association(struct dimse_session *session)
{
    static _Atomic uint64_t counter;
    snprintf(session->name, sizeof session->name, "%s %llx.%llx", session->request->calling,
             (unsigned long long)session->service->started_ns, (unsigned long long)atomic_fetch_add(&counter, 1));
}

// Reads the request, behind the handshake where TLS is spoken.
static struct dimse_association *listen_request(struct dimse_session *session, const struct dimse_slot *slot,
                                                struct error *err)
{
    struct dimse_timers timers = slot->dimse->timers;
    struct tls *tls = NULL;
    timers.linger_ns = slot->pressed ? 1 : 0;
    session->over_tls = slot->tls;
    if (slot->tls && !(tls = service_tls_side(session->service->tls, TLS_SERVER, err))) {
        close(slot->fd);
        return NULL;
    }
    struct dimse_association *association = dimse_listen_request(slot->fd, tls, &session->shown, &timers, err);
    tls_release(tls);
    return association;
}

// Another protocol than ours: said where who looks for the reason finds it.
static void note_foreign(const struct dimse_slot *slot, const struct error *err)
{
    struct heard *heard = slot->dimse->service->heard;
    if (strcmp(err->message, DIMSE_SPEAKS_HTTP) == 0)
        heard_foreign(heard, HEARD_HTTP_AT_DICOM, slot->address);
    else if (strcmp(err->message, DIMSE_SPEAKS_TLS) == 0)
        heard_foreign(heard, HEARD_TLS_AT_DICOM, slot->address);
    else if (slot->tls && err->code == ERROR_PROTOCOL && strstr(err->message, "speaks no TLS"))
        heard_foreign(heard, HEARD_PLAIN_AT_TLS, slot->address);
}

static bool was_ousted(struct dimse_slot *slot)
{
    pthread_mutex_lock(&slot->dimse->mutex);
    bool ousted = slot->ousted;
    pthread_mutex_unlock(&slot->dimse->mutex);
    return ousted;
}

void *dimse_service_association(void *payload)
{
    struct dimse_slot *slot = payload;
    struct error err;
    struct dimse_session session = {.service = slot->dimse->service};
    budget_for_peer(true); // this thread works for it
    session.association = listen_request(&session, slot, &err);
    publish(slot, session.association, false);
    if (!session.association) {
        if (was_ousted(slot)) // told by the listener
            log_debug("dimse", "connection from %s closed: it had said nothing", slot->address);
        else if (err.code == ERROR_CLOSED) // who tries whether the port is open
            log_info("dimse", "connection from %s without an association: %s", slot->address, err.message);
        else
            log_warning("dimse", "connection from %s without an association: %s", slot->address, err.message);
        audit_end(session.service, "(unknown)", slot->address, &err);
        note_foreign(slot, &err);
        atomic_fetch_add(&session.service->counters.associations_refused, 1);
    } else {
        session.request = dimse_request(session.association);
        if (admit(&session, slot)) {
            publish(slot, session.association, true);
            atomic_fetch_add(&session.service->counters.associations, 1);
            session.subject = access_peer_subject(&session.ticket.peer, session.ticket.address);
            session.subject.labels = session.ticket.labels;
            session.subject.verified = *session.ticket.certificate != '\0';
            name_association(&session);
            negotiate(&session);
            run(&session);
            finish(&session);
            publish(slot, NULL, true);
            dimse_close(session.association);
            // Only now: until the peer has closed it is one of its associations.
            access_leave(session.service->access, &session.ticket);
        }
    }
    dimse_service_leave(slot);
    return NULL;
}
