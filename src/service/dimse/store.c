// C-STORE (PS3.4 Annex B): the object goes to the archive; the answer leaves when it would survive a power cut.
#include "service/dimse/dimse_service.h"

#include <stdio.h>
#include <string.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"

void dimse_session_audit(const struct dimse_session *session, enum access_event event, bool success,
                         const char *patient, const char *study, const char *detail)
{
    char verified[TLS_FINGERPRINT_SIZE + 16] = "";
    if (session->subject.verified)
        snprintf(verified, sizeof verified, "certificate %s", session->ticket.certificate);
    struct access_record record = {.event = event,
                                   .success = success,
                                   .actor = session->request->calling,
                                   .address = session->request->address,
                                   .patient = patient,
                                   .study = study,
                                   .verified = verified,
                                   .detail = detail};
    access_audit(session->service->access, &record, clock_now_ns());
}

static bool refuse(struct dimse_session *session, const struct dimse_message *message, const struct error *reason,
                   struct error *err)
{
    atomic_fetch_add(&session->service->counters.objects_refused, 1);
    session->refused++;
    log_warning("dimse", "object of %s at %s refused with %04XH: %s", session->request->calling,
                session->request->address, error_dimse(reason->code), reason->message);
    dimse_session_audit(session, ACCESS_EVENT_REFUSED, false, "", "", reason->message);
    session->end_told = !dimse_respond(session->association, message, error_dimse(reason->code), reason->message, err);
    return !session->end_told;
}

static bool accept_object(struct dimse_session *session, const struct dimse_message *message,
                          const struct archive_stored *stored, struct error *err)
{
    struct service_counters *counters = &session->service->counters;
    session->stored++;
    session->outcomes[stored->outcome]++;
    text_copy(session->last_study, sizeof session->last_study, stored->study);
    if (stored->is_set_aside && session->set_aside++ == 0)
        text_copy(session->set_aside_study, sizeof session->set_aside_study, stored->study);
    service_count_stored(session->service, stored);
    atomic_fetch_add(&counters->bytes_stored, stored->size);
    dimse_session_audit(session, ACCESS_EVENT_STORED, true, stored->patient_id, stored->study, stored->sop_class);
    fault_point("store.before_answer");
    return dimse_respond(session->association, message, 0x0000, NULL, err);
}

// What the command says must be fit before a byte of the data set is looked at.
static bool check_command(const struct dimse_message *message, struct error *err)
{
    char shown[80];
    if (!message->has_data)
        return error_set(err, ERROR_MISMATCH, "C-STORE request without a data set");
    if (strcmp(message->sop_class, message->context->abstract) != 0)
        return error_set(err, ERROR_MISMATCH, "SOP class %s on a presentation context for %s",
                         text_show(shown, sizeof shown, message->sop_class, strlen(message->sop_class)),
                         message->context->abstract);
    if (!archive_uid_is_usable(message->sop_instance))
        return error_set(err, ERROR_MISMATCH, "SOP Instance UID '%s' is not usable; it must be digits and dots",
                         text_show(shown, sizeof shown, message->sop_instance, strlen(message->sop_instance)));
    return true;
}

bool dimse_session_store(struct dimse_session *session, const struct dimse_message *message, struct error *err)
{
    struct archive_stored stored;
    struct error reason;
    struct archive_origin origin = {.how = "c-store",
                                    .called = session->request->called,
                                    .calling = session->request->calling,
                                    .address = session->request->address,
                                    .association = session->name,
                                    .issuer = session->ticket.peer.issuer,
                                    .charset = service_charset(session->service, session->ticket.peer.charset),
                                    .labels = session->ticket.peer.puts,
                                    .newest = session->ticket.peer.newest,
                                    .sop_class = message->sop_class,
                                    .sop_instance = message->sop_instance};
    if (!check_command(message, &reason))
        return refuse(session, message, &reason, err);
    if (!session->writer && !(session->writer = archive_writer_open(session->service->archive, &reason)))
        return refuse(session, message, &reason, err);
    if (!archive_put(session->writer, dimse_data(session->association), message->context->transfer, &origin,
                     clock_now_ns(), &stored, &reason)) {
        if (budget_was_refused()) // whatever was taken for the reason
            error_set(&reason, ERROR_BUSY, BUDGET_USED_UP);
        return refuse(session, message, &reason, err);
    }
    return accept_object(session, message, &stored, err);
}
