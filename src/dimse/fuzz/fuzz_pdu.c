// Bytes of a peer against the acceptor or the requestor: negotiation, framing, messages, data sets, release and abort.
// The first byte picks how they are cut into receives. Of the second, the lowest bit is the role, the next two say how
// the connection is when the bytes are used up, the next one whether the peer stops taking ours. Run by tools/fuzz.
#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dimse/dimse_association.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct memory {
    const uint8_t *data;
    size_t left;
    size_t step;
    enum wire_result at_end; // never OK
    size_t sends_left;
};

static enum wire_result memory_receive(void *payload, uint8_t *data, size_t size, int64_t deadline_ns, size_t *got,
                                       struct error *err)
{
    struct memory *memory = payload;
    (void)deadline_ns;
    if (memory->left == 0) {
        if (memory->at_end == WIRE_BROKEN)
            error_set(err, ERROR_CLOSED, "the connection broke");
        return memory->at_end;
    }
    size_t part = memory->left < size ? memory->left : size;
    *got = part < memory->step ? part : memory->step;
    // The room behind what came holds no bytes of the peer: a sanitizer shall see who reads there.
    ASAN_UNPOISON_MEMORY_REGION(data, size);
    memcpy(data, memory->data, *got);
    ASAN_POISON_MEMORY_REGION(data + *got, size - *got);
    memory->data += *got;
    memory->left -= *got;
    return WIRE_OK;
}

static enum wire_result memory_send(void *payload, struct iovec *parts, size_t count, int64_t deadline_ns,
                                    struct error *err)
{
    static volatile uint8_t sum; // every byte that would go out is read
    struct memory *memory = payload;
    (void)deadline_ns;
    (void)err;
    if (memory->sends_left == 0)
        return WIRE_TIMEOUT;
    memory->sends_left--;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < parts[i].iov_len; j++)
            sum = (uint8_t)(sum + ((const uint8_t *)parts[i].iov_base)[j]);
    }
    return WIRE_OK;
}

static void memory_nothing(void *payload)
{
    (void)payload;
}

static void serve(struct dimse_association *a)
{
    struct dimse_message message;
    struct error err;
    while (dimse_receive(a, &message, &err) == DIMSE_MESSAGE) {
        struct source source = dimse_data(a);
        const uint8_t *data = NULL;
        size_t size = 1;
        while (message.message_id % 2 != 0 && size > 0) {
            if (!source.next(source.payload, &data, &size, &err))
                return;
        }
        if (!dimse_respond(a, &message, message.status, message.error_comment, &err))
            return;
    }
}

static void accept_one(struct wire wire)
{
    struct error err;
    struct dimse_association *a = dimse_listen_wire(wire, "fuzz", NULL, &err);
    if (a == NULL)
        return;
    const struct dimse_request *request = dimse_request(a);
    if (strcmp(request->called, "NOBODY") == 0) {
        dimse_reject(a, DIMSE_REJECT_PERMANENT, DIMSE_REJECT_CALLED_UNKNOWN);
        return;
    }
    for (size_t i = 0; i < request->context_count; i++) {
        if (request->contexts[i].proposed_count > 0 && request->contexts[i].id % 8 != 7)
            dimse_answer_context(a, i, DIMSE_CONTEXT_ACCEPTED, request->contexts[i].proposed[0]);
    }
    if (dimse_accept(a, &err))
        serve(a);
    dimse_close(a);
}

static void request_one(struct wire wire)
{
    static const struct dimse_peer peer = {.host = "fuzz", .called = "CALLED", .calling = "CALLING"};
    static const struct dimse_proposal proposals[] = {
        {.abstract = DIMSE_VERIFICATION, .transfer = {DICOM_TS_IMPLICIT}},
        {.abstract = "1.2.840.10008.5.1.4.1.1.2", .transfer = {DICOM_TS_EXPLICIT, DICOM_TS_IMPLICIT}},
    };
    static uint8_t object[10000];
    struct error err;
    uint16_t status = 0;
    char comment[65];
    struct dimse_association *a = dimse_connect_wire(wire, "fuzz", &peer, proposals, 2, NULL, &err);
    if (a == NULL)
        return;
    struct source_memory memory = {.data = object, .size = sizeof object};
    const struct dimse_context *context = dimse_context_for(a, proposals[1].abstract, NULL);
    bool well = dimse_context_for(a, DIMSE_VERIFICATION, NULL) == NULL || dimse_echo(a, &status, &err);
    if (well && context != NULL)
        well = dimse_store(a, context, context->abstract, "1.2.3", source_from_memory(&memory), &status, comment, &err);
    if (well)
        dimse_release(a, &err);
    else
        dimse_close(a);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_set_level(LOG_LEVEL_ERROR);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static const enum wire_result ends[] = {WIRE_END, WIRE_TIMEOUT, WIRE_BROKEN, WIRE_END};
    struct memory memory = {.data = data + 2,
                            .left = size - 2,
                            .step = data[0] == 0 ? SIZE_MAX : data[0],
                            .at_end = ends[data[1] >> 1 & 3],
                            .sends_left = data[1] & 8 ? 2 : SIZE_MAX};
    struct wire wire = {.receive = memory_receive,
                        .send = memory_send,
                        .shut = memory_nothing,
                        .close = memory_nothing,
                        .payload = &memory};
    if (data[1] % 2 == 0)
        accept_one(wire);
    else
        request_one(wire);
    return 0;
}
