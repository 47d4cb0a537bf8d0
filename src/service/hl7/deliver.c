// A delivery over MLLP: the message, and the acknowledgement with its control ID.
#include "service/deliver.h"

#include <string.h>

#include "base/clock.h"
#include "flow/flow.h"
#include "hl7/hl7.h"

#define ANSWER_NS (INT64_C(20) * CLOCK_SECOND)
enum { MESSAGE_MAX = 4 << 20, MESSAGE_ARENA = 64 << 20 };

static bool find_target(struct service *service, const char *name, struct flow_hl7_target *out, struct error *err)
{
    struct flow_hl7_target *targets;
    struct arena arena;
    size_t count = 0;
    bool found = false;
    arena_init(&arena, 1 << 20);
    bool ok = flow_hl7_target_list(service->store, &arena, &targets, &count, err);
    for (size_t i = 0; ok && i < count && !found; i++) {
        found = strcmp(targets[i].name, name) == 0;
        if (found)
            *out = targets[i];
    }
    arena_free(&arena);
    return ok && (found || error_set(err, ERROR_NOT_FOUND,
                                     "there is no HL7 target '%s'; enter it under /api/hl7-targets", name));
}

// The result as it is now; what a program before this one left is the message itself.
static bool make_message(struct service *service, const struct queue_delivery *delivery,
                         const struct flow_hl7_target *target, struct buffer *out, struct error *err)
{
    struct arena arena;
    if (strncmp(delivery->payload, "MSH", 3) == 0) {
        buffer_text(out, delivery->payload);
        return buffer_check(out, "an HL7 message", err);
    }
    arena_init(&arena, MESSAGE_ARENA);
    bool ok = flow_report_message(service->flow, delivery, target, &arena, out, err);
    arena_free(&arena);
    return ok;
}

static struct mllp_connection *call(struct service *service, const struct flow_hl7_target *target, struct error *err)
{
    struct tls_target to = {.host = target->host, .port = target->port, .fingerprint = target->certificate};
    if (strcmp(target->tls, "required") == 0 && !(to.tls = service_tls_side(service->tls, TLS_CLIENT, err)))
        return NULL;
    struct mllp_connection *connection = mllp_connect(&to, ANSWER_NS, err);
    tls_release(to.tls);
    return connection;
}

static bool send(struct service *service, const struct queue_delivery *delivery, const struct flow_hl7_target *target,
                 const struct buffer *message, struct mllp_answer *answer, enum queue_failure *how, struct error *err)
{
    struct mllp_connection *connection = call(service, target, err);
    if (!connection)
        return false;
    *how = QUEUE_UNCERTAIN;
    bool ok =
        mllp_deliver(connection, (const char *)message->data, message->size, delivery->subject, ANSWER_NS, answer, err);
    mllp_close(connection);
    if (ok && answer->said_ns)
        heard_time(service->heard, target->name, answer->said_ns, clock_now_ns());
    if (!ok && err->code == ERROR_MISMATCH)
        *how = QUEUE_MISANSWERED;
    return ok;
}

// AA and CA: taken. AE (an error now) is tried again; AR is a refusal: the message itself is not wanted.
bool deliver_hl7(struct service *service, const struct queue_delivery *delivery, enum queue_failure *how,
                 char warning[DELIVER_WARNING_SIZE], struct error *err)
{
    (void)warning; // AA and CA have none
    struct flow_hl7_target target;
    struct mllp_answer answer;
    struct buffer message;
    *how = QUEUE_NOT_TAKEN;
    if (!find_target(service, delivery->target, &target, err))
        return false;
    buffer_init(&message, MESSAGE_MAX);
    bool ok = make_message(service, delivery, &target, &message, err);
    if (!ok && err->code == ERROR_BAD_VALUE) // the next try would say it too
        *how = QUEUE_REFUSED;
    ok = ok && send(service, delivery, &target, &message, &answer, how, err);
    buffer_free(&message);
    if (!ok || strcmp(answer.code, "AA") == 0 || strcmp(answer.code, "CA") == 0)
        return ok;
    *how = answer.code[1] == 'R' ? QUEUE_REFUSED : QUEUE_NOT_TAKEN;
    return error_set(err, ERROR_CONFLICT, "%s answered %s %s", delivery->target, answer.code, answer.text);
}
