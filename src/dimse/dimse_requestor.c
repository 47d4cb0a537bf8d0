#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "dimse_association.h"
#include "dimse_message.h"
#include "dimse_negotiate.h"
#include "dimse_pdu.h"

static void put_title(uint8_t field[16], const char *title)
{
    memset(field, ' ', 16);
    memcpy(field, title, strnlen(title, 16));
}

static bool add_proposal(struct dimse_association *a, const struct dimse_proposal *proposal)
{
    size_t most = sizeof proposal->transfer / sizeof proposal->transfer[0];
    struct dimse_context *context = dimse_add_context(a, (uint8_t)(2 * a->request.context_count + 1));
    if (context == NULL || !dimse_reserve_syntaxes(a, context, most))
        return false;
    text_copy(context->abstract, sizeof context->abstract, proposal->abstract);
    for (size_t i = 0; i < most && proposal->transfer[i] != NULL; i++)
        text_copy(context->proposed[context->proposed_count++], DICOM_UID_SIZE, proposal->transfer[i]);
    return true;
}

static bool make_request(struct dimse_association *a, const struct dimse_peer *peer,
                         const struct dimse_proposal *proposals, size_t count, struct error *err)
{
    text_copy(a->request.called, sizeof a->request.called, peer->called);
    text_copy(a->request.calling, sizeof a->request.calling, peer->calling);
    put_title(a->titles, peer->called);
    put_title(a->titles + 16, peer->calling);
    if (count > DIMSE_CONTEXTS_MAX)
        return error_set(err, ERROR_LIMIT, "%zu presentation contexts to propose, at most %d", count,
                         DIMSE_CONTEXTS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!add_proposal(a, &proposals[i]))
            return error_set(err, ERROR_MEMORY, "no memory for presentation contexts");
    }
    return true;
}

// Sta4 -> Sta5: sends the request.
static bool send_request(struct dimse_association *a, struct error *err)
{
    struct buffer pdu;
    buffer_init(&pdu, DIMSE_REQUEST_SIZE_MAX);
    dimse_write_request(a, &pdu);
    bool made = buffer_check(&pdu, "an association request", err);
    if (made) {
        struct iovec part = {.iov_base = pdu.data, .iov_len = pdu.size};
        a->out = &part;
        a->out_count = 1;
        dimse_step(a, DIMSE_EVT2_CONNECTED);
    }
    buffer_free(&pdu);
    return made && (a->failure.code == ERROR_NONE || dimse_failed(a, err));
}

static bool rejected(struct dimse_association *a, const struct dimse_peer *peer, struct error *err)
{
    char text[80], at[272];
    dimse_reject_text(a->pdu + 1, text, sizeof text);
    return error_set(err, a->pdu[1] == DIMSE_REJECT_TRANSIENT ? ERROR_BUSY : ERROR_FORBIDDEN,
                     "%s at %s rejected the association %s", peer->called,
                     text_show_host_port(at, sizeof at, peer->host, peer->port), text);
}

// Sta5 -> Sta6
static bool await_answer(struct dimse_association *a, const struct dimse_peer *peer, struct error *err)
{
    enum dimse_event event = dimse_pdu_receive(a, a->timers.artim_ns);
    if (event == DIMSE_EVT3_AC_PDU && !dimse_read_answer(a))
        event = DIMSE_EVT19_INVALID_PDU;
    dimse_step(a, event);
    if (a->indication == DIMSE_ASSOCIATE_REJECTED)
        return rejected(a, peer, err);
    if (a->indication != DIMSE_ASSOCIATE_ACCEPTED)
        return dimse_failed(a, err);
    return dimse_pdu_shrink(a) || error_set(err, ERROR_MEMORY, "no memory for an association");
}

struct dimse_association *dimse_connect_wire(struct wire wire, const char *address, const struct dimse_peer *peer,
                                             const struct dimse_proposal *proposals, size_t count,
                                             const struct dimse_timers *timers, struct error *err)
{
    struct dimse_association *a = dimse_association_new(wire, timers, true, err);
    if (a == NULL)
        return NULL;
    text_copy(a->request.address, sizeof a->request.address, address);
    dimse_step(a, DIMSE_EVT1_ASSOCIATE_REQUEST);
    if (make_request(a, peer, proposals, count, err) && send_request(a, err) && await_answer(a, peer, err))
        return a;
    dimse_close(a);
    return NULL;
}

struct dimse_association *dimse_connect(const struct dimse_peer *peer, const struct dimse_proposal *proposals,
                                        size_t count, const struct dimse_timers *timers, struct error *err)
{
    if (timers == NULL)
        timers = &dimse_timers_default;
    const struct tls_target to = {peer->host, peer->port, peer->tls, peer->fingerprint};
    struct wire wire;
    char address[48];
    if (!tls_connect(&wire, &to, clock_monotonic_ns() + timers->artim_ns, address, err))
        return NULL;
    return dimse_connect_wire(wire, address, peer, proposals, count, timers, err);
}

const struct dimse_context *dimse_context_for(const struct dimse_association *a, const char *abstract,
                                              const char *transfer)
{
    for (size_t i = 0; i < a->request.context_count; i++) {
        const struct dimse_context *context = &a->request.contexts[i];
        if (context->result == DIMSE_CONTEXT_ACCEPTED && strcmp(context->abstract, abstract) == 0 &&
            (transfer == NULL || strcmp(context->transfer, transfer) == 0))
            return context;
    }
    return NULL;
}

// PS3.7 section 9.1.1.1.5: a response that names an instance names the request's.
static bool is_of_instance(const struct dimse_message *response, const struct dimse_message *request)
{
    return response->sop_instance[0] == '\0' || strcmp(response->sop_instance, request->sop_instance) == 0;
}

// The response to `request`; anything else in its place is a violation.
static bool await_response(struct dimse_association *a, const struct dimse_message *request,
                           struct dimse_message *response, struct error *err)
{
    switch (dimse_receive(a, response, err)) {
    case DIMSE_MESSAGE:
        break;
    case DIMSE_RELEASED:
        return error_set(err, ERROR_CLOSED, "the peer released the association instead of answering");
    case DIMSE_ABORTED:
    case DIMSE_BROKEN:
        return false;
    }
    bool answers = response->command == (request->command | 0x8000) && response->message_id == request->message_id;
    if (answers && is_of_instance(response, request))
        return true;
    if (answers)
        dimse_violation(a, DIMSE_ABORT_NO_REASON, "the peer answered for instance %s, and %s was sent",
                        response->sop_instance, request->sop_instance);
    else
        dimse_violation(a, DIMSE_ABORT_NO_REASON, "the peer answered message %u (%04X) with %04X to message %u",
                        request->message_id, request->command, response->command, response->message_id);
    return dimse_failed(a, err);
}

bool dimse_echo(struct dimse_association *a, uint16_t *status, struct error *err)
{
    struct dimse_message request = {.command = DIMSE_C_ECHO_RQ, .sop_class = DIMSE_VERIFICATION};
    struct dimse_message response;
    request.context = dimse_context_for(a, DIMSE_VERIFICATION, NULL);
    if (request.context == NULL)
        return error_set(err, ERROR_UNSUPPORTED, "the peer did not accept Verification");
    request.message_id = ++a->last_message_id;
    if (!dimse_send_message(a, &request, NULL, err) || !await_response(a, &request, &response, err))
        return false;
    *status = response.status;
    return true;
}

bool dimse_store(struct dimse_association *a, const struct dimse_context *context, const char *sop_class,
                 const char *sop_instance, struct source source, uint16_t *status, char *comment, struct error *err)
{
    struct dimse_message request = {
        .command = DIMSE_C_STORE_RQ, .message_id = ++a->last_message_id, .has_data = true, .context = context};
    struct dimse_message response;
    text_copy(request.sop_class, sizeof request.sop_class, sop_class);
    text_copy(request.sop_instance, sizeof request.sop_instance, sop_instance);
    if (!dimse_send_message(a, &request, &source, err) || !await_response(a, &request, &response, err))
        return false;
    *status = response.status;
    if (comment != NULL)
        text_copy(comment, sizeof response.error_comment, response.error_comment);
    return true;
}

// Sta6 -> Sta7 and on to Sta1. The peer's data still under way is dropped, but not for longer than ARTIM; a release
// asked for by both sides is answered (PS3.8 section 7.2.2.8).
static void run_release(struct dimse_association *a)
{
    int64_t deadline_ns = clock_monotonic_ns() + a->timers.artim_ns;
    dimse_step(a, DIMSE_EVT11_RELEASE_REQUEST);
    while (a->state >= DIMSE_STA7_AWAIT_RELEASE && a->state <= DIMSE_STA12_COLLISION_CONFIRMED) {
        int64_t left_ns = deadline_ns - clock_monotonic_ns();
        if (left_ns <= 0)
            dimse_fail(a, ERROR_TIMEOUT, "the peer did not answer the release");
        dimse_step(a, left_ns > 0 ? dimse_pdu_receive(a, left_ns) : DIMSE_EVT15_ABORT_REQUEST);
        if (a->indication == DIMSE_RELEASE_ASKED || a->state == DIMSE_STA12_COLLISION_CONFIRMED)
            dimse_step(a, DIMSE_EVT14_RELEASE_ANSWER);
    }
}

bool dimse_release(struct dimse_association *a, struct error *err)
{
    bool released = a->failure.code == ERROR_NONE && a->state == DIMSE_STA6_ESTABLISHED;
    if (released)
        run_release(a);
    released = released && a->failure.code == ERROR_NONE;
    if (!released)
        dimse_failed(a, err);
    dimse_close(a);
    return released;
}
