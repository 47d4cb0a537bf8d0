// Bytes of a peer against the acceptor: negotiation, framing, messages, data sets, release and abort. The first byte
// picks how they are cut into receives.
//
//   clang-14 -std=gnu17 -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
//       -Isrc src/dimse/fuzz/fuzz_pdu.c src/dimse/*.c src/base/{arena,buffer,clock,error,file,log,source,text}.c
//       src/dicom/{dicom,dicom_dictionary,transfer_syntax}.c -o fuzz_pdu -lcrypto -lm
//   ./fuzz_pdu -max_len=70000 -max_total_time=180 CORPUS
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
};

static enum dimse_wire_result memory_receive(void *payload, uint8_t *data, size_t size, int64_t deadline_ns,
                                             size_t *got, struct error *err)
{
    struct memory *memory = payload;
    (void)deadline_ns;
    (void)err;
    if (memory->left == 0)
        return DIMSE_WIRE_END;
    size_t part = memory->left < size ? memory->left : size;
    *got = part < memory->step ? part : memory->step;
    memcpy(data, memory->data, *got);
    memory->data += *got;
    memory->left -= *got;
    return DIMSE_WIRE_OK;
}

static enum dimse_wire_result memory_send(void *payload, struct iovec *parts, size_t count, int64_t deadline_ns,
                                          struct error *err)
{
    static volatile uint8_t sum; // every byte that would go out is read
    (void)payload;
    (void)deadline_ns;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < parts[i].iov_len; j++)
            sum = (uint8_t)(sum + ((const uint8_t *)parts[i].iov_base)[j]);
    }
    return DIMSE_WIRE_OK;
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

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_set_level(LOG_LEVEL_ERROR);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct error err;
    struct memory memory = {.data = data + 1, .left = size - 1, .step = data[0] == 0 ? SIZE_MAX : data[0]};
    struct dimse_wire wire = {.receive = memory_receive,
                              .send = memory_send,
                              .shut = memory_nothing,
                              .close = memory_nothing,
                              .payload = &memory};
    struct dimse_association *a = dimse_listen_wire(wire, "fuzz", NULL, &err);
    if (a == NULL)
        return 0;
    const struct dimse_request *request = dimse_request(a);
    for (size_t i = 0; i < request->context_count; i++) {
        if (request->contexts[i].proposed_count > 0 && request->contexts[i].id % 8 != 7)
            dimse_answer_context(a, i, DIMSE_CONTEXT_ACCEPTED, request->contexts[i].proposed[0]);
    }
    if (dimse_accept(a, &err))
        serve(a);
    dimse_close(a);
    return 0;
}
