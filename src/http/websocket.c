#include "http/websocket.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/text.h"

enum {
    FINAL = 0x80,
    RESERVED = 0x70,
    OPCODE = 0x0F,
    MASKED = 0x80,
    LENGTH = 0x7F,
    IS_CONTROL = 0x8,
    CONTINUATION = 0x0,
    SHORT_MOST = 125, // a length in the second byte itself
    LENGTH_16 = 126,  // in the two bytes behind it
    LENGTH_64 = 127,  // in the eight
    MASK_SIZE = 4,
    KEY_SIZE = 24, // base64 of 16 bytes
};

static bool refuse(enum websocket_code *code, enum websocket_code with, struct error *err, const char *why)
{
    *code = with;
    return error_set(err,
                     with == WEBSOCKET_TOO_LONG   ? ERROR_LIMIT
                     : with == WEBSOCKET_BAD_DATA ? ERROR_BAD_DATA
                                                  : ERROR_PROTOCOL,
                     "%s", why);
}

void websocket_reader_init(struct websocket_reader *reader, bool of_server)
{
    *reader = (struct websocket_reader){.of_server = of_server};
    buffer_init(&reader->message, WEBSOCKET_MESSAGE_MAX);
}

void websocket_reader_free(struct websocket_reader *reader)
{
    buffer_free(&reader->message);
}

// ---- a frame's head

static size_t length_bytes(uint8_t second)
{
    return (second & LENGTH) == LENGTH_16 ? 2 : (second & LENGTH) == LENGTH_64 ? 8 : 0;
}

// How many bytes the head has, as far as it is known.
static size_t head_due(const struct websocket_reader *reader)
{
    if (reader->head_size < 2)
        return 2;
    return 2 + length_bytes(reader->head[1]) + (reader->head[1] & MASKED ? MASK_SIZE : 0);
}

static const uint8_t *mask_of(const struct websocket_reader *reader)
{
    return reader->head + 2 + length_bytes(reader->head[1]);
}

static bool is_control(uint8_t opcode)
{
    return opcode & IS_CONTROL;
}

// What the first two bytes say.
static bool check_start(const struct websocket_reader *reader, enum websocket_code *code, struct error *err)
{
    const uint8_t first = reader->head[0], second = reader->head[1], opcode = first & OPCODE;
    if (first & RESERVED)
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a reserved bit, of an extension that was not agreed on");
    if ((opcode > WEBSOCKET_BINARY && opcode < WEBSOCKET_CLOSE) || opcode > WEBSOCKET_PONG)
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a frame of a reserved kind");
    if (!reader->of_server && !(second & MASKED))
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a frame without a mask");
    if (reader->of_server && (second & MASKED))
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a frame of a server with a mask");
    if (is_control(opcode) && (second & LENGTH) > WEBSOCKET_CONTROL_MAX)
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a control frame of more than 125 bytes");
    if (is_control(opcode) && !(first & FINAL))
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a control frame in fragments");
    if (opcode == CONTINUATION && reader->message_kind == 0)
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a frame that goes on with no message");
    if (opcode != CONTINUATION && !is_control(opcode) && reader->message_kind != 0)
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a message inside another one");
    return true;
}

static bool read_length(struct websocket_reader *reader, enum websocket_code *code, struct error *err)
{
    const uint8_t *at = reader->head + 2;
    switch (reader->head[1] & LENGTH) {
    case LENGTH_16:
        reader->length = bytes_u16be(at);
        break;
    case LENGTH_64:
        reader->length = bytes_u64be(at);
        break;
    default:
        reader->length = reader->head[1] & LENGTH;
        return true;
    }
    const bool wide = (reader->head[1] & LENGTH) == LENGTH_64;
    if (reader->length <= (wide ? UINT16_MAX : SHORT_MOST) || reader->length >> 63)
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a length that is not written in the fewest bytes, or past 2^63");
    return true;
}

static bool begin_body(struct websocket_reader *reader, enum websocket_code *code, struct error *err)
{
    const uint8_t opcode = reader->head[0] & OPCODE;
    if (!read_length(reader, code, err))
        return false;
    reader->got = 0;
    reader->in_body = true;
    if (is_control(opcode))
        return true;
    if (opcode != CONTINUATION)
        reader->message_kind = (enum websocket_kind)opcode;
    if (reader->length > WEBSOCKET_MESSAGE_MAX - reader->message.size)
        return refuse(code, WEBSOCKET_TOO_LONG, err, "a message of more than 65536 bytes");
    return true;
}

static bool take_head(struct websocket_reader *reader, const uint8_t *data, size_t size, size_t *used,
                      enum websocket_code *code, struct error *err)
{
    for (*used = 0; *used < size && reader->head_size < head_due(reader);) {
        reader->head[reader->head_size++] = data[(*used)++];
        if (reader->head_size == 2 && !check_start(reader, code, err))
            return false;
    }
    return reader->head_size < head_due(reader) || begin_body(reader, code, err);
}

// ---- its payload

static bool take_body(struct websocket_reader *reader, const uint8_t *data, size_t size, size_t *used,
                      enum websocket_code *code, struct error *err)
{
    const uint64_t left = reader->length - reader->got;
    const uint8_t *mask = mask_of(reader);
    *used = size < left ? size : (size_t)left;
    for (size_t i = 0; i < *used; i++) {
        const uint64_t at = reader->got + i;
        const uint8_t byte = reader->of_server ? data[i] : data[i] ^ mask[at % MASK_SIZE];
        if (is_control(reader->head[0] & OPCODE))
            reader->control[at] = byte;
        else
            buffer_byte(&reader->message, byte);
    }
    reader->got += *used;
    return buffer_check(&reader->message, "a WebSocket message", err) || ((*code = WEBSOCKET_TOO_LONG), false);
}

// Those that may be sent: 7.4.1, the registry's since, and the ranges for frameworks and applications.
static bool may_be_sent(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static bool end_close(const struct websocket_reader *reader, struct websocket_message *out, enum websocket_code *code,
                      struct error *err)
{
    *out = (struct websocket_message){.kind = WEBSOCKET_CLOSE, .data = reader->control, .code = WEBSOCKET_NO_CODE};
    if (reader->length == 0)
        return true;
    if (reader->length == 1)
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a close frame with half a code");
    out->code = bytes_u16be(reader->control);
    out->data = reader->control + 2;
    out->size = (size_t)reader->length - 2;
    if (!may_be_sent(out->code))
        return refuse(code, WEBSOCKET_PROTOCOL, err, "a close frame with a code that nobody may send");
    return text_is_utf8((const char *)out->data, out->size) ||
           refuse(code, WEBSOCKET_BAD_DATA, err, "a close frame whose reason is not UTF-8");
}

static bool end_frame(struct websocket_reader *reader, bool *whole, struct websocket_message *out,
                      enum websocket_code *code, struct error *err)
{
    const uint8_t opcode = reader->head[0] & OPCODE;
    const bool final = reader->head[0] & FINAL;
    reader->in_body = false;
    reader->head_size = 0;
    *whole = is_control(opcode) || final;
    if (opcode == WEBSOCKET_CLOSE)
        return end_close(reader, out, code, err);
    if (is_control(opcode)) {
        *out = (struct websocket_message){(enum websocket_kind)opcode, reader->control, (size_t)reader->length, 0};
        return true;
    }
    if (!final)
        return true;
    *out = (struct websocket_message){reader->message_kind, reader->message.data, reader->message.size, 0};
    reader->message_kind = 0;
    reader->told = true;
    return out->kind != WEBSOCKET_TEXT || text_is_utf8((const char *)out->data, out->size) ||
           refuse(code, WEBSOCKET_BAD_DATA, err, "a text that is not UTF-8");
}

bool websocket_take(struct websocket_reader *reader, const uint8_t *data, size_t size, size_t *used, bool *whole,
                    struct websocket_message *out, enum websocket_code *code, struct error *err)
{
    *whole = false;
    *used = 0;
    if (reader->told)
        buffer_clear(&reader->message);
    reader->told = false;
    while (*used < size && !*whole) {
        size_t step = 0;
        if (!reader->in_body && !take_head(reader, data + *used, size - *used, &step, code, err))
            return false;
        *used += step;
        step = 0;
        if (reader->in_body && !take_body(reader, data + *used, size - *used, &step, code, err))
            return false;
        *used += step;
        if (reader->in_body && reader->got == reader->length && !end_frame(reader, whole, out, code, err))
            return false;
    }
    return true;
}

// ---- frames that leave

void websocket_write(struct buffer *out, enum websocket_kind kind, const void *data, size_t size, const uint8_t *mask)
{
    const uint8_t *bytes = data;
    const uint8_t masked = mask ? MASKED : 0;
    assert(!is_control((uint8_t)kind) || size <= WEBSOCKET_CONTROL_MAX);
    buffer_byte(out, (uint8_t)(FINAL | kind));
    if (size <= SHORT_MOST) {
        buffer_byte(out, (uint8_t)(masked | size));
    } else {
        const unsigned count = size <= UINT16_MAX ? 2 : 8;
        buffer_byte(out, (uint8_t)(masked | (count == 2 ? LENGTH_16 : LENGTH_64)));
        for (unsigned i = count; i-- > 0;)
            buffer_byte(out, (uint8_t)((uint64_t)size >> (8 * i)));
    }
    if (!mask) {
        buffer_append(out, bytes, size);
        return;
    }
    buffer_append(out, mask, MASK_SIZE);
    for (size_t i = 0; i < size; i++)
        buffer_byte(out, bytes[i] ^ mask[i % MASK_SIZE]);
}

void websocket_write_close(struct buffer *out, enum websocket_code code, const char *reason)
{
    uint8_t body[WEBSOCKET_CONTROL_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
    size_t size = 2, left = strlen(reason);
    while (left > 0) {
        size_t length = text_utf8_length(reason, left);
        if (length == 0 || size + length > sizeof body)
            break;
        memcpy(body + size, reason, length);
        size += length;
        reason += length;
        left -= length;
    }
    websocket_write(out, WEBSOCKET_CLOSE, body, size, NULL);
}

// ---- the handshake

bool websocket_key_fits(const char *key)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return strlen(key) == KEY_SIZE && strspn(key, digits) == KEY_SIZE - 2 && strcmp(key + KEY_SIZE - 2, "==") == 0;
}

const char *websocket_accept(const char *key, char out[WEBSOCKET_ACCEPT_SIZE])
{
    static const char salt[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char joined[KEY_SIZE + sizeof salt];
    uint8_t digest[HASH_SHA1_SIZE];
    struct buffer text;
    assert(websocket_key_fits(key));
    memcpy(joined, key, KEY_SIZE);
    memcpy(joined + KEY_SIZE, salt, sizeof salt);
    hash_sha1_of(joined, strlen(joined), digest);
    buffer_init(&text, WEBSOCKET_ACCEPT_SIZE);
    buffer_base64(&text, digest, sizeof digest);
    text_copy_n(out, WEBSOCKET_ACCEPT_SIZE, text.failed ? "" : (const char *)text.data, text.size);
    buffer_free(&text);
    return out;
}
