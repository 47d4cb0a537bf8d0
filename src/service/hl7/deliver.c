// A delivery over MLLP: the message, and the acknowledgement with its control ID.
#include "service/deliver.h"

#include <string.h>

#include "base/clock.h"
#include "flow/flow.h"
#include "hl7/hl7.h"

#define ANSWER_NS (INT64_C(20) * CLOCK_SECOND)

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

// AA and CA: taken. AE (an error now) is tried again; AR is a refusal: the message itself is not wanted.
bool deliver_hl7(struct service *service, const struct queue_delivery *delivery, enum queue_failure *how,
                 struct error *err)
{
    struct flow_hl7_target target;
    struct mllp_answer answer;
    *how = QUEUE_NOT_TAKEN;
    if (!find_target(service, delivery->target, &target, err))
        return false;
    struct mllp_connection *connection = mllp_connect(target.host, target.port, ANSWER_NS, err);
    if (connection)
        *how = QUEUE_UNCERTAIN;
    bool ok = connection && mllp_deliver(connection, delivery->payload, strlen(delivery->payload), delivery->subject,
                                         ANSWER_NS, &answer, err);
    mllp_close(connection);
    if (!ok || strcmp(answer.code, "AA") == 0 || strcmp(answer.code, "CA") == 0)
        return ok;
    *how = answer.code[1] == 'R' ? QUEUE_REFUSED : QUEUE_NOT_TAKEN;
    return error_set(err, ERROR_CONFLICT, "%s answered %s %s", delivery->target, answer.code, answer.text);
}
