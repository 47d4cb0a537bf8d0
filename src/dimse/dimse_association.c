#include "dimse_association.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "dimse_pdu.h"

const struct dimse_timers dimse_timers_default = {
    .artim_ns = 30 * CLOCK_SECOND,
    .idle_ns = 60 * CLOCK_SECOND,
    .transfer_ns = 30 * CLOCK_SECOND,
};

static void association_free(struct dimse_association *a)
{
    a->wire.close(a->wire.payload);
    arena_free(&a->arena);
    buffer_free(&a->command);
    free(a->in);
    free(a);
}

struct dimse_association *dimse_association_new(struct wire wire, const struct dimse_timers *timers, bool requestor,
                                                struct error *err)
{
    struct dimse_association *a = calloc(1, sizeof *a);
    if (a == NULL) {
        wire.close(wire.payload);
        error_set(err, ERROR_MEMORY, "no memory for an association");
        return NULL;
    }
    a->wire = wire;
    a->timers = timers != NULL ? *timers : dimse_timers_default;
    a->requestor = requestor;
    a->state = DIMSE_STA1_IDLE;
    arena_init(&a->arena, DIMSE_ARENA_MAX);
    buffer_init(&a->command, DIMSE_COMMAND_SIZE_MAX);
    if (!dimse_pdu_shrink(a)) {
        association_free(a);
        error_set(err, ERROR_MEMORY, "no memory for an association");
        return NULL;
    }
    return a;
}

void dimse_fail(struct dimse_association *a, enum error_code code, const char *format, ...)
{
    if (a->failure.code != ERROR_NONE || a->state == DIMSE_STA13_AWAIT_CLOSE)
        return;
    char text[ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(&a->failure, code, "%s", text);
}

bool dimse_violation(struct dimse_association *a, enum dimse_abort_reason reason, const char *format, ...)
{
    char text[ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    dimse_fail(a, ERROR_PROTOCOL, "%s", text);
    a->abort_reason = reason;
    dimse_step(a, DIMSE_EVT19_INVALID_PDU);
    return false;
}

bool dimse_failed(const struct dimse_association *a, struct error *err)
{
    if (a->failure.code == ERROR_NONE)
        return error_set(err, ERROR_CONFLICT, "the association is over");
    *err = a->failure;
    return false;
}

const struct dimse_request *dimse_request(const struct dimse_association *a)
{
    return &a->request;
}

const struct dimse_context *dimse_context_by_id(const struct dimse_association *a, uint8_t id)
{
    size_t index = a->context_of[id];
    return index == 0 ? NULL : &a->request.contexts[index - 1];
}

void dimse_finish(struct dimse_association *a)
{
    while (a->state == DIMSE_STA13_AWAIT_CLOSE)
        dimse_step(a, dimse_pdu_receive(a, a->timers.artim_ns));
    association_free(a);
}

void dimse_close(struct dimse_association *a)
{
    if (a == NULL)
        return;
    dimse_step(a, DIMSE_EVT15_ABORT_REQUEST);
    dimse_finish(a);
}

void dimse_interrupt(struct dimse_association *a)
{
    a->wire.shut(a->wire.payload);
}
