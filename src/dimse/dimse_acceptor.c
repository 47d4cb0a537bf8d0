#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "dimse_association.h"
#include "dimse_negotiate.h"
#include "dimse_pdu.h"

struct dimse_association *dimse_listen_wire(struct wire wire, const char *address, const struct dimse_timers *timers,
                                            struct error *err)
{
    struct dimse_association *a = dimse_association_new(wire, timers, false, err);
    if (a == NULL)
        return NULL;
    text_copy(a->request.address, sizeof a->request.address, address);
    dimse_step(a, DIMSE_EVT5_CONNECTION_CAME);
    enum dimse_event event = dimse_pdu_receive(a, a->timers.artim_ns);
    if (event == DIMSE_EVT6_RQ_PDU && !dimse_read_request(a))
        event = DIMSE_EVT19_INVALID_PDU;
    dimse_step(a, event);
    if (a->indication == DIMSE_ASSOCIATE_ASKED && !dimse_pdu_shrink(a)) {
        dimse_fail(a, ERROR_MEMORY, "no memory for an association");
        dimse_step(a, DIMSE_EVT15_ABORT_REQUEST);
    }
    if (a->indication == DIMSE_ASSOCIATE_ASKED)
        return a;
    dimse_failed(a, err);
    dimse_finish(a);
    return NULL;
}

struct dimse_association *dimse_listen_request(int fd, struct tls *tls, struct tls_peer *shown,
                                               const struct dimse_timers *timers, struct error *err)
{
    struct wire wire;
    char address[48];
    int64_t deadline_ns = clock_monotonic_ns() + timers->artim_ns;
    wire_address(fd, address, sizeof address);
    bool open = tls ? tls_wire(&wire, fd, tls, NULL, deadline_ns, shown, err) : wire_socket(&wire, fd, err);
    if (!open)
        return NULL;
    return dimse_listen_wire(wire, address, timers, err);
}

static bool proposed(const struct dimse_context *context, const char *transfer)
{
    for (size_t i = 0; i < context->proposed_count; i++) {
        if (strcmp(context->proposed[i], transfer) == 0)
            return true;
    }
    return false;
}

void dimse_answer_context(struct dimse_association *a, size_t index, enum dimse_context_result result,
                          const char *transfer)
{
    assert(index < a->request.context_count);
    struct dimse_context *context = &a->request.contexts[index];
    context->result = result;
    context->transfer[0] = '\0';
    if (result == DIMSE_CONTEXT_ACCEPTED) {
        assert(proposed(context, transfer));
        text_copy(context->transfer, sizeof context->transfer, transfer);
    }
}

bool dimse_accept(struct dimse_association *a, struct error *err)
{
    struct buffer pdu;
    buffer_init(&pdu, DIMSE_REQUEST_SIZE_MAX);
    dimse_write_answer(a, &pdu);
    bool made = buffer_check(&pdu, "an association's answer", err);
    if (made) {
        struct iovec part = {.iov_base = pdu.data, .iov_len = pdu.size};
        a->out = &part;
        a->out_count = 1;
        dimse_step(a, DIMSE_EVT7_ACCEPT);
    }
    buffer_free(&pdu);
    return made && (a->failure.code == ERROR_NONE || dimse_failed(a, err));
}

void dimse_reject(struct dimse_association *a, enum dimse_reject_result result, enum dimse_reject_reason reason)
{
    a->reject[0] = (uint8_t)result;
    a->reject[1] = (uint8_t)((unsigned)reason >> 8);
    a->reject[2] = (uint8_t)reason;
    dimse_step(a, DIMSE_EVT8_REJECT);
    dimse_finish(a);
}
