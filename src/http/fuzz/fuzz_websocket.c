// Attacks the reader and writer of WebSocket frames, and the handshake's key. The first byte chooses what the rest is:
// 'M' a message to be written, 'R' the reason of a close frame, 'K' a key, 'S' frames of a server, else of a client.
// Run by tools/fuzz.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/websocket.h"

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static void check_message(const struct websocket_message *message)
{
    bool text = message->kind == WEBSOCKET_TEXT || message->kind == WEBSOCKET_CLOSE;
    bool control = message->kind >= WEBSOCKET_CLOSE;
    require(message->size <= (control ? WEBSOCKET_CONTROL_MAX : WEBSOCKET_MESSAGE_MAX), "a message past its limit");
    require(!text || text_is_utf8((const char *)message->data, message->size), "a text that is no UTF-8");
    require(message->kind != WEBSOCKET_CLOSE || message->code >= 1000, "a close frame without a code");
}

// Appends the messages as a server's frames. Returns the close code of a refusal, 0: none.
static int take_all(bool of_server, const uint8_t *data, size_t size, size_t piece, struct buffer *out)
{
    struct websocket_reader reader;
    struct websocket_message message;
    enum websocket_code code = 0;
    struct error err = {0};
    bool ok = true, whole;
    size_t used;
    websocket_reader_init(&reader, of_server);
    for (size_t at = 0; ok && at < size; at += used) {
        size_t part = size - at < piece ? size - at : piece;
        ok = websocket_take(&reader, data + at, part, &used, &whole, &message, &code, &err);
        require(ok || (err.code != ERROR_NONE && err.message[0] && code >= 1002), "a refusal without a reason");
        require(!ok || used == part || whole, "bytes left over in a message");
        if (!ok || !whole)
            continue;
        check_message(&message);
        if (message.kind == WEBSOCKET_CLOSE)
            buffer_printf(out, "%u", message.code);
        else
            websocket_write(out, message.kind, message.data, message.size, NULL);
    }
    websocket_reader_free(&reader);
    return ok ? 0 : (int)code;
}

// One message that was written must be read as it was.
static void read_back(bool of_server, const struct buffer *frame, enum websocket_kind kind, const uint8_t *data,
                      size_t size)
{
    struct websocket_reader reader;
    struct websocket_message message;
    enum websocket_code code;
    struct error err;
    size_t used;
    bool whole;
    websocket_reader_init(&reader, of_server);
    require(websocket_take(&reader, frame->data, frame->size, &used, &whole, &message, &code, &err),
            "our own frame is refused");
    require(whole && used == frame->size && message.kind == kind, "our own frame is another one");
    require(!data || (message.size == size && memcmp(message.data, data, size) == 0), "a message did not come back");
    websocket_reader_free(&reader);
}

static void fuzz_writer(const uint8_t *data, size_t size)
{
    static const uint8_t mask[] = {1, 2, 3, 4};
    struct buffer frame;
    if (size > WEBSOCKET_MESSAGE_MAX)
        return;
    for (int masked = 0; masked < 2; masked++) {
        buffer_init(&frame, 1 << 20);
        websocket_write(&frame, WEBSOCKET_BINARY, data, size, masked ? mask : NULL);
        read_back(!masked, &frame, WEBSOCKET_BINARY, size ? data : NULL, size);
        buffer_free(&frame);
    }
}

static void fuzz_text(char letter, const char *text)
{
    struct buffer frame;
    char accept[WEBSOCKET_ACCEPT_SIZE];
    if (letter == 'K') {
        require(!websocket_key_fits(text) || strlen(websocket_accept(text, accept)) == sizeof accept - 1,
                "a short answer");
        return;
    }
    buffer_init(&frame, WEBSOCKET_HEAD_MAX + WEBSOCKET_CONTROL_MAX);
    websocket_write_close(&frame, WEBSOCKET_PROTOCOL, text);
    read_back(true, &frame, WEBSOCKET_CLOSE, NULL, 0);
    buffer_free(&frame);
}

static void fuzz_reader(bool of_server, const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 3};
    struct buffer whole;
    buffer_init(&whole, 4 << 20);
    int code = take_all(of_server, data, size, SIZE_MAX, &whole);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct buffer parts;
        buffer_init(&parts, 4 << 20);
        require(take_all(of_server, data, size, pieces[i], &parts) == code, "pieces change what is refused");
        require(parts.size == whole.size && (parts.size == 0 || memcmp(parts.data, whole.data, parts.size) == 0),
                "pieces change what is read");
        buffer_free(&parts);
    }
    buffer_free(&whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (*data == 'M') {
        fuzz_writer(data + 1, size - 1);
    } else if (*data == 'R' || *data == 'K') {
        char *text = strndup((const char *)data + 1, size - 1);
        if (text)
            fuzz_text((char)*data, text);
        free(text);
    } else {
        fuzz_reader(*data == 'S', data + 1, size - 1);
    }
    return 0;
}
