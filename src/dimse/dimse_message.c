#include "dimse_message.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "dimse_command.h"
#include "dimse_pdu.h"

enum { CONTROL_COMMAND = 1, CONTROL_LAST = 2 }; // message control header, PS3.8 Annex E.2

// A presentation data value.
struct value {
    uint8_t context;
    uint8_t control;
    const uint8_t *data;
    size_t size;
};

// ---- receiving

// The next value, of this PDU or the next one. `inside` a message a request for release is a violation.
static bool next_value(struct dimse_association *a, int64_t wait_ns, bool inside, struct value *out)
{
    while (a->pdu_at == a->pdu_size) {
        dimse_step(a, dimse_pdu_receive(a, wait_ns));
        if (a->indication == DIMSE_RELEASE_ASKED && inside)
            return dimse_violation(a, DIMSE_ABORT_UNEXPECTED_PDU, "the peer asked for release inside a message");
        if (a->indication != DIMSE_DATA_CAME)
            return false;
    }
    const uint8_t *at = a->pdu + a->pdu_at;
    size_t length = bytes_u32be(at); // dimse_pdu_receive has checked it
    *out = (struct value){.context = at[4], .control = at[5], .data = at + DIMSE_PDV_HEADER, .size = length - 2};
    a->pdu_at += 4 + length;
    return true;
}

// A command set's first fragment names the context of the message.
static bool check_command_value(struct dimse_association *a, const struct value *value, bool first)
{
    const struct dimse_context *context = dimse_context_by_id(a, value->context);
    if ((value->control & CONTROL_COMMAND) == 0)
        return dimse_violation(a, DIMSE_ABORT_UNEXPECTED_PARAMETER, "the peer sent data before a command");
    if (context == NULL || context->result != DIMSE_CONTEXT_ACCEPTED)
        return dimse_violation(a, DIMSE_ABORT_INVALID_PARAMETER, "the peer used presentation context %u, not accepted",
                               value->context);
    if (!first && context != a->message_context)
        return dimse_violation(a, DIMSE_ABORT_INVALID_PARAMETER, "a command set in two presentation contexts");
    a->message_context = context;
    return true;
}

static bool note_empty(struct dimse_association *a, const struct value *value, size_t *empty)
{
    *empty = value->size == 0 ? *empty + 1 : 0;
    return *empty <= DIMSE_EMPTY_FRAGMENTS_MAX ||
           dimse_violation(a, DIMSE_ABORT_INVALID_PARAMETER, "the peer sends nothing but empty fragments");
}

static bool command_too_long(struct dimse_association *a)
{
    return dimse_violation(a, DIMSE_ABORT_INVALID_PARAMETER, "a command set of more than %d bytes",
                           DIMSE_COMMAND_SIZE_MAX);
}

// The whole command set: in place when it comes in one fragment, as nearly all do, gathered otherwise.
static bool gather_command(struct dimse_association *a, struct value *value)
{
    int64_t wait_ns = a->spoken || a->requestor ? a->timers.idle_ns : a->timers.artim_ns;
    size_t empty = 0;
    buffer_clear(&a->command);
    for (bool first = true;; first = false) {
        if (!next_value(a, first ? wait_ns : a->timers.transfer_ns, !first, value) ||
            !check_command_value(a, value, first) || !note_empty(a, value, &empty))
            return false;
        bool last = (value->control & CONTROL_LAST) != 0;
        if (first && last)
            return value->size <= DIMSE_COMMAND_SIZE_MAX || command_too_long(a);
        buffer_append(&a->command, value->data, value->size);
        if (a->command.failed)
            return command_too_long(a);
        if (last) {
            *value = (struct value){.data = a->command.data, .size = a->command.size};
            return true;
        }
    }
}

static bool receive_command(struct dimse_association *a, struct dimse_message *message)
{
    struct value value;
    struct error err = {0};
    if (!gather_command(a, &value))
        return false;
    if (!dimse_command_read(value.data, value.size, message, &err))
        return dimse_violation(a, DIMSE_ABORT_INVALID_PARAMETER, "%s", err.message);
    message->context = a->message_context;
    a->data_open = message->has_data;
    a->spoken = true;
    return true;
}

// A piece of the data set; *size is 0 at its end.
static bool data_piece(struct dimse_association *a, const uint8_t **data, size_t *size)
{
    size_t empty = 0;
    struct value value;
    *data = (const uint8_t *)"";
    *size = 0;
    while (a->data_open && *size == 0) {
        if (!next_value(a, a->timers.transfer_ns, true, &value) || !note_empty(a, &value, &empty))
            return false;
        if ((value.control & CONTROL_COMMAND) != 0)
            return dimse_violation(a, DIMSE_ABORT_UNEXPECTED_PARAMETER,
                                   "the peer sent a command before the data set ended");
        if (value.context != a->message_context->id)
            return dimse_violation(a, DIMSE_ABORT_INVALID_PARAMETER,
                                   "a data set in another presentation context than its command");
        a->data_open = (value.control & CONTROL_LAST) == 0;
        *data = value.data;
        *size = value.size;
    }
    return true;
}

static bool drop_data(struct dimse_association *a)
{
    const uint8_t *data;
    size_t size = 1;
    while (size > 0) {
        if (!data_piece(a, &data, &size))
            return false;
    }
    return true;
}

// What the application hears when no message came.
static enum dimse_received over(struct dimse_association *a, struct error *err)
{
    if (a->indication == DIMSE_RELEASE_ASKED) {
        dimse_step(a, DIMSE_EVT14_RELEASE_ANSWER);
        return DIMSE_RELEASED;
    }
    dimse_failed(a, err);
    return a->indication == DIMSE_ABORT_CAME ? DIMSE_ABORTED : DIMSE_BROKEN;
}

enum dimse_received dimse_receive(struct dimse_association *a, struct dimse_message *message, struct error *err)
{
    if (a->failure.code != ERROR_NONE || a->state != DIMSE_STA6_ESTABLISHED) {
        dimse_failed(a, err);
        return a->indication == DIMSE_ABORT_CAME ? DIMSE_ABORTED : DIMSE_BROKEN;
    }
    if (!drop_data(a) || !receive_command(a, message))
        return over(a, err);
    return DIMSE_MESSAGE;
}

static bool data_next(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    struct dimse_association *a = payload;
    if (a->failure.code != ERROR_NONE || !data_piece(a, data, size))
        return dimse_failed(a, err);
    return true;
}

struct source dimse_data(struct dimse_association *a)
{
    return (struct source){.next = data_next, .payload = a};
}

// ---- sending

// Headers of a P-DATA-TF with one value of `size` bytes.
static void put_headers(uint8_t out[DIMSE_PDU_HEADER + DIMSE_PDV_HEADER], uint8_t context, uint8_t control, size_t size)
{
    out[0] = DIMSE_PDU_DATA_TF;
    out[1] = 0;
    bytes_put_u32be(out + 2, (uint32_t)(size + DIMSE_PDV_HEADER));
    bytes_put_u32be(out + 6, (uint32_t)(size + 2));
    out[10] = context;
    out[11] = control;
}

// A data set on its way out. Which fragment is the last is known only when the source has ended, and by then its piece
// is gone: the end of each piece that does not fill a PDU is kept in `held`.
struct sender {
    struct dimse_association *association;
    uint8_t context;
    size_t room; // of a PDU for data
    uint8_t *held;
    size_t held_size;
    const struct buffer *before; // the command's PDU, which leaves with the first of the data
};

static bool send_fragment(struct sender *s, const uint8_t *data, size_t size, bool last)
{
    struct dimse_association *a = s->association;
    uint8_t headers[DIMSE_PDU_HEADER + DIMSE_PDV_HEADER];
    put_headers(headers, s->context, last ? CONTROL_LAST : 0, s->held_size + size);
    struct iovec parts[4] = {
        {.iov_base = s->before != NULL ? s->before->data : NULL, .iov_len = s->before != NULL ? s->before->size : 0},
        {.iov_base = headers, .iov_len = sizeof headers},
        {.iov_base = s->held, .iov_len = s->held_size},
        {.iov_base = (void *)(uintptr_t)data, .iov_len = size},
    };
    a->out = parts;
    a->out_count = 4;
    dimse_step(a, DIMSE_EVT9_DATA_REQUEST);
    s->before = NULL;
    s->held_size = 0;
    return a->failure.code == ERROR_NONE;
}

static bool send_piece(struct sender *s, const uint8_t *data, size_t size)
{
    while (s->held_size + size > s->room) {
        size_t part = s->room - s->held_size;
        if (!send_fragment(s, data, part, false))
            return false;
        data += part;
        size -= part;
    }
    memcpy(s->held + s->held_size, data, size);
    s->held_size += size;
    return true;
}

static bool send_data(struct sender *s, const struct source *source, struct error *err)
{
    const uint8_t *data;
    size_t size;
    for (;;) {
        if (!source->next(source->payload, &data, &size, err))
            return false;
        if (size == 0)
            break;
        if (!send_piece(s, data, size))
            return dimse_failed(s->association, err);
    }
    return send_fragment(s, NULL, 0, true) || dimse_failed(s->association, err);
}

static bool send_command_alone(struct dimse_association *a, const struct buffer *pdu, struct error *err)
{
    struct iovec part = {.iov_base = pdu->data, .iov_len = pdu->size};
    a->out = &part;
    a->out_count = 1;
    dimse_step(a, DIMSE_EVT9_DATA_REQUEST);
    return a->failure.code == ERROR_NONE || dimse_failed(a, err);
}

static bool send_with_data(struct dimse_association *a, const struct dimse_message *message, const struct buffer *pdu,
                           const struct source *data, struct error *err)
{
    size_t room = a->request.peer_pdu_max - DIMSE_PDV_HEADER;
    room -= room % 2; // fragments but the last have an even length
    struct sender sender = {.association = a, .context = message->context->id, .room = room, .before = pdu};
    sender.held = malloc(room);
    if (sender.held == NULL)
        return error_set(err, ERROR_MEMORY, "no memory to send a data set");
    bool sent = send_data(&sender, data, err);
    free(sender.held);
    return sent;
}

bool dimse_send_message(struct dimse_association *a, const struct dimse_message *message, const struct source *data,
                        struct error *err)
{
    if (a->failure.code != ERROR_NONE || a->state != DIMSE_STA6_ESTABLISHED)
        return dimse_failed(a, err);
    uint8_t headers[DIMSE_PDU_HEADER + DIMSE_PDV_HEADER] = {0};
    struct buffer pdu;
    buffer_init(&pdu, DIMSE_COMMAND_SIZE_MAX);
    buffer_append(&pdu, headers, sizeof headers);
    dimse_command_write(message, &pdu);
    bool sent = buffer_check(&pdu, "a command set", err);
    if (sent) {
        put_headers(pdu.data, message->context->id, CONTROL_COMMAND | CONTROL_LAST, pdu.size - sizeof headers);
        sent = data == NULL ? send_command_alone(a, &pdu, err) : send_with_data(a, message, &pdu, data, err);
    }
    buffer_free(&pdu);
    return sent;
}

// PS3.5 LO, without what could break a log or a terminal.
static void put_comment(char out[65], const char *comment)
{
    size_t n = 0;
    for (; comment[n] != '\0' && n < 64; n++)
        out[n] = comment[n] >= ' ' && comment[n] <= '~' && comment[n] != '\\' ? comment[n] : '?';
    out[n] = '\0';
}

bool dimse_respond(struct dimse_association *a, const struct dimse_message *message, uint16_t status,
                   const char *comment, struct error *err)
{
    struct dimse_message answer = {.command = (uint16_t)(message->command | 0x8000),
                                   .message_id = message->message_id,
                                   .status = status,
                                   .context = message->context};
    if (message->uids_valid) {
        text_copy(answer.sop_class, sizeof answer.sop_class, message->sop_class);
        text_copy(answer.sop_instance, sizeof answer.sop_instance, message->sop_instance);
    }
    if (comment != NULL)
        put_comment(answer.error_comment, comment);
    return dimse_send_message(a, &answer, NULL, err);
}
