// Inside the room: WebSocket frames (RFC 6455, section 5) taken apart and made, pure functions of the bytes, and the
// answer to a handshake's key. Sockets, pings and time are upgrade.c's.
//
//   state      bytes            action                                        next
//   HEAD       2 to 14          checked: flags, opcode, mask, length          BODY
//   BODY       the payload      unmasked; joined to the message, or kept as
//                               a control frame's                             HEAD
//
// A whole message is given at the end of its last frame, a control frame at its own, between the frames of a message
// too (5.4). Refused with the close code that the peer is to be told (7.4.1):
//   1002  a reserved bit or opcode; a length in more bytes than it takes, or past 2^63; a client's frame without a
//   mask,
//         or a server's with one; a control frame of more than 125 bytes or in fragments; a continuation of nothing, or
//         a message inside another; a close frame of one byte, or with a code that nobody may send
//   1007  text, or the reason of a close frame, that is not UTF-8
//   1009  a message of more than WEBSOCKET_MESSAGE_MAX, once its length is known
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum {
    WEBSOCKET_MESSAGE_MAX = 64 << 10, // of one that comes, its fragments joined
    WEBSOCKET_CONTROL_MAX = 125,      // payload of a control frame
    WEBSOCKET_HEAD_MAX = 14,
    WEBSOCKET_ACCEPT_SIZE = 29, // 28 characters of base64 and NUL
};

enum websocket_kind {
    WEBSOCKET_TEXT = 0x1,
    WEBSOCKET_BINARY = 0x2,
    WEBSOCKET_CLOSE = 0x8,
    WEBSOCKET_PING = 0x9,
    WEBSOCKET_PONG = 0xA,
};

enum websocket_code { // of a close frame (7.4.1)
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL = 1002,
    WEBSOCKET_UNSUPPORTED = 1003,
    WEBSOCKET_NO_CODE = 1005, // the peer gave none; never sent
    WEBSOCKET_BAD_DATA = 1007,
    WEBSOCKET_TOO_LONG = 1009,
};

// What came. `data` is the reader's, until its next bytes; of a close frame the reason, behind its code.
struct websocket_message {
    enum websocket_kind kind;
    const uint8_t *data;
    size_t size;
    uint16_t code; // of a close frame
};

struct websocket_reader {
    bool of_server; // reads what a server sends: frames without masks
    uint8_t head[WEBSOCKET_HEAD_MAX];
    size_t head_size;
    bool in_body;
    uint64_t length, got;             // of this frame's payload
    enum websocket_kind message_kind; // of the message that is not whole yet; 0: none
    struct buffer message;
    uint8_t control[WEBSOCKET_CONTROL_MAX];
    bool told; // what is kept was given: the next bytes begin anew
};

void websocket_reader_init(struct websocket_reader *reader, bool of_server);
void websocket_reader_free(struct websocket_reader *reader);

// Takes bytes up to the end of a message or control frame; *used says how many, *whole whether *out is one. false: the
// connection is to be closed with *code; *err has the reason (PROTOCOL, BAD_DATA, LIMIT; BUSY and MEMORY with 1009).
bool websocket_take(struct websocket_reader *reader, const uint8_t *data, size_t size, size_t *used, bool *whole,
                    struct websocket_message *out, enum websocket_code *code, struct error *err);

// Appends one whole frame; with `mask` (4 bytes) as a client has to. A control frame has at most WEBSOCKET_CONTROL_MAX
// bytes (asserted).
void websocket_write(struct buffer *out, enum websocket_kind kind, const void *data, size_t size, const uint8_t *mask);
// A close frame; a reason that is too long is cut at a character's border.
void websocket_write_close(struct buffer *out, enum websocket_code code, const char *reason);

// Whether it is what Sec-WebSocket-Key must be: base64 of 16 bytes (4.1).
bool websocket_key_fits(const char *key);
// Sec-WebSocket-Accept (4.2.2). Returns `out`.
const char *websocket_accept(const char *key, char out[WEBSOCKET_ACCEPT_SIZE]);

#endif
