#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/wire.h"

const struct dimse_timers quick_timers = {
    .artim_ns = 400 * CLOCK_MS, .idle_ns = 1300 * CLOCK_MS, .transfer_ns = 900 * CLOCK_MS};
const struct dimse_timers calm_timers = {
    .artim_ns = 10 * CLOCK_SECOND, .idle_ns = 10 * CLOCK_SECOND, .transfer_ns = 10 * CLOCK_SECOND};

// ---- the acceptor

static void read_data(struct acceptor *acceptor, struct dimse_association *a)
{
    struct source source = dimse_data(a);
    const uint8_t *data;
    size_t size = 1;
    buffer_clear(&acceptor->data);
    acceptor->pieces = 0;
    while (size > 0) {
        if (!source.next(source.payload, &data, &size, &acceptor->err)) {
            acceptor->data_broken = true;
            return;
        }
        buffer_append(&acceptor->data, data, size);
        acceptor->pieces += size > 0;
    }
}

static void answer_contexts(struct dimse_association *a)
{
    const struct dimse_request *request = dimse_request(a);
    for (size_t i = 0; i < request->context_count; i++) {
        const struct dimse_context *context = &request->contexts[i];
        if (context->proposed_count > 0 && context->abstract[0] != '\0' &&
            strcmp(context->abstract, REFUSED_CLASS) != 0)
            dimse_answer_context(a, i, DIMSE_CONTEXT_ACCEPTED, context->proposed[0]);
    }
}

static void serve(struct acceptor *acceptor, struct dimse_association *a)
{
    struct dimse_message message;
    while ((acceptor->outcome = dimse_receive(a, &message, &acceptor->err)) == DIMSE_MESSAGE) {
        acceptor->messages++;
        acceptor->last = message;
        if (message.command == DIMSE_C_STORE_RQ && acceptor->way == ACCEPTOR_READS)
            read_data(acceptor, a);
        if (acceptor->data_broken)
            continue;
        if (acceptor->way != ACCEPTOR_WAITS && !dimse_respond(a, &message, 0, NULL, &acceptor->err)) {
            acceptor->outcome = DIMSE_BROKEN;
            return;
        }
    }
}

static void note_association(struct acceptor *acceptor, struct dimse_association *a)
{
    pthread_mutex_lock(&acceptor->lock);
    acceptor->association = a;
    pthread_mutex_unlock(&acceptor->lock);
}

void acceptor_interrupt(struct acceptor *acceptor)
{
    pthread_mutex_lock(&acceptor->lock);
    dimse_interrupt(acceptor->association);
    pthread_mutex_unlock(&acceptor->lock);
}

static void *acceptor_run(void *payload)
{
    struct acceptor *acceptor = payload;
    int64_t began = clock_monotonic_ns();
    struct dimse_association *a = dimse_listen_request(acceptor->own_fd, NULL, NULL, &acceptor->timers, &acceptor->err);
    acceptor->outcome = DIMSE_BROKEN;
    if (a != NULL) {
        acceptor->asked = true;
        acceptor->peer_pdu_max = dimse_request(a)->peer_pdu_max;
        acceptor->context_count = dimse_request(a)->context_count;
        acceptor->first_syntax_count = dimse_request(a)->contexts[0].proposed_count;
        if (acceptor->way == ACCEPTOR_REJECTS) {
            dimse_reject(a, DIMSE_REJECT_TRANSIENT, DIMSE_REJECT_CONGESTION);
        } else {
            answer_contexts(a);
            note_association(acceptor, a);
            if (dimse_accept(a, &acceptor->err))
                serve(acceptor, a);
            note_association(acceptor, NULL);
            dimse_close(a);
        }
    }
    acceptor->took_ns = clock_monotonic_ns() - began;
    return NULL;
}

void acceptor_start_on(struct acceptor *acceptor, int fd, const struct dimse_timers *timers)
{
    acceptor->own_fd = fd;
    pthread_mutex_init(&acceptor->lock, NULL);
    acceptor->timers = *timers;
    buffer_init(&acceptor->data, 64 << 20);
    assert_int_equal(pthread_create(&acceptor->thread, NULL, acceptor_run, acceptor), 0);
}

void acceptor_start(struct acceptor *acceptor, const struct dimse_timers *timers)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    acceptor->fd = pair[0];
    acceptor_start_on(acceptor, pair[1], timers);
}

void acceptor_join(struct acceptor *acceptor)
{
    assert_int_equal(pthread_join(acceptor->thread, NULL), 0);
}

void acceptor_end(struct acceptor *acceptor)
{
    close(acceptor->fd);
    acceptor_join(acceptor);
}

void acceptor_free(struct acceptor *acceptor)
{
    buffer_free(&acceptor->data);
    pthread_mutex_destroy(&acceptor->lock);
}

// ---- raw bytes

void raw_pdu(struct buffer *out, uint8_t type, uint32_t length, const void *data, size_t size)
{
    buffer_byte(out, type);
    buffer_byte(out, 0);
    buffer_u32be(out, length);
    buffer_append(out, data, size);
}

static void raw_item(struct buffer *out, uint8_t type, const void *value, size_t size)
{
    buffer_byte(out, type);
    buffer_byte(out, 0);
    buffer_u16be(out, (uint16_t)size);
    buffer_append(out, value, size);
}

static void raw_title(struct buffer *out, const char *title, const char *usual)
{
    char field[16];
    memset(field, ' ', sizeof field);
    const char *from = title != NULL ? title : usual;
    memcpy(field, from, strnlen(from, 16));
    buffer_append(out, field, sizeof field);
}

static void raw_context(struct buffer *out, uint8_t id, const char *abstract, size_t syntaxes)
{
    struct buffer value;
    buffer_init(&value, 60000);
    buffer_append(&value, (const uint8_t[4]){id}, 4);
    raw_item(&value, 0x30, abstract, strlen(abstract));
    for (size_t i = 0; i < syntaxes; i++)
        raw_item(&value, 0x40, DICOM_TS_EXPLICIT, strlen(DICOM_TS_EXPLICIT));
    raw_item(out, 0x20, value.data, value.size);
    buffer_free(&value);
}

void raw_associate(struct buffer *out, const struct raw_request *r)
{
    uint8_t zeros[32] = {0};
    uint8_t user[8] = {0x51, 0, 0, 4};
    const char *application = r->application != NULL ? r->application : DIMSE_APPLICATION_CONTEXT;
    size_t begun = out->size;
    raw_pdu(out, 1, 0, NULL, 0);
    buffer_u16be(out, r->version != 0 ? r->version : 1);
    buffer_u16be(out, 0);
    raw_title(out, r->called, "HILUM");
    raw_title(out, r->calling, "PEER");
    buffer_append(out, zeros, sizeof zeros);
    raw_item(out, 0x10, application, strlen(application));
    for (size_t i = 0; i < (r->contexts != 0 ? r->contexts : 1); i++)
        raw_context(out, (uint8_t)((r->first_id != 0 ? r->first_id : 1) + i * (r->id_step != 0 ? r->id_step : 2)),
                    r->abstract != NULL ? r->abstract : CT_STORAGE, r->syntaxes != 0 ? r->syntaxes : 1);
    bytes_put_u32be(user + 4, r->maximum_length);
    raw_item(out, 0x50, user, sizeof user);
    bytes_put_u32be(out->data + begun + 2, (uint32_t)(out->size - begun - 6));
}

void raw_value(struct buffer *out, uint8_t context, uint8_t control, const void *data, size_t size)
{
    raw_pdu(out, 4, (uint32_t)size + 6, NULL, 0);
    buffer_u32be(out, (uint32_t)size + 2);
    buffer_byte(out, context);
    buffer_byte(out, control);
    buffer_append(out, data, size);
}

void raw_element(struct buffer *out, uint16_t element, const void *value, size_t size)
{
    buffer_u16le(out, 0);
    buffer_u16le(out, element);
    buffer_u32le(out, (uint32_t)size);
    buffer_append(out, value, size);
}

void raw_store_command(struct buffer *out)
{
    raw_element(out, 0x0002, CT_STORAGE "\0", 26);
    raw_element(out, 0x0100, "\x01\x00", 2);
    raw_element(out, 0x0110, "\x07\x00", 2);
    raw_element(out, 0x0700, "\x00\x00", 2);
    raw_element(out, 0x0800, "\x00\x00", 2);
    raw_element(out, 0x1000, "1.2.3.77", 8);
}

void raw_store(struct buffer *out)
{
    struct buffer command;
    buffer_init(&command, 1024);
    raw_store_command(&command);
    raw_value(out, 1, 3, command.data, command.size);
    buffer_free(&command);
}

void peer_send(int fd, const struct buffer *bytes)
{
    assert_false(bytes->failed);
    size_t sent = 0;
    while (sent < bytes->size) {
        ssize_t n = send(fd, bytes->data + sent, bytes->size - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return; // the acceptor has had enough
        sent += (size_t)n;
    }
}

// 1 all, 0 end, -1 timeout
static int receive_all(int fd, uint8_t *data, size_t size)
{
    while (size > 0) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        if (poll(&one, 1, 3000) <= 0)
            return -1;
        ssize_t n = recv(fd, data, size, 0);
        if (n <= 0)
            return 0;
        data += n;
        size -= (size_t)n;
    }
    return 1;
}

int peer_receive(int fd, struct buffer *out)
{
    uint8_t header[6];
    uint8_t byte;
    int got = receive_all(fd, header, sizeof header);
    if (out != NULL)
        buffer_clear(out);
    for (uint32_t i = 0; got > 0 && i < bytes_u32be(header + 2); i++) {
        got = receive_all(fd, &byte, 1);
        if (out != NULL)
            buffer_byte(out, byte);
    }
    return got > 0 ? header[0] : got;
}

void peer_associate(int fd)
{
    struct buffer out;
    buffer_init(&out, 4096);
    raw_associate(&out, &(struct raw_request){0});
    peer_send(fd, &out);
    buffer_free(&out);
    assert_int_equal(peer_receive(fd, NULL), 2);
}

int listen_free(uint16_t *port)
{
    struct error err;
    int fd = wire_listen("127.0.0.1", 0, &err);
    assert_true(fd >= 0);
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}
