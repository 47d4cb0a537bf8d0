// Attacks the HL7 parser and writer and MLLP's frames. The first byte chooses what the rest is for: a message, a
// message with its answer, or MLLP bytes in pieces. Run by tools/fuzz.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "hl7/message.h"
#include "hl7/mllp_frame.h"

enum { ARENA_LIMIT = 16 << 20, PARTS_MOST = 8, NTH_MOST = 4 };

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static void ask_field(const struct hl7_message *message, const char *name, size_t nth, unsigned field,
                      struct arena *arena)
{
    size_t repetitions = hl7_repetitions(message, name, nth, field);
    for (unsigned part = 0; part < PARTS_MOST; part++) {
        const char *a = hl7_get(message, name, nth, field, part, 1, 1, arena);
        const char *b = hl7_get(message, name, nth, field, 1, part, 2, arena);
        require(!a || text_is_utf8(a, strlen(a)), "a text that is no UTF-8");
        require(!b || text_is_utf8(b, strlen(b)), "a text that is no UTF-8");
        require(!a || !*a || part <= repetitions, "a repetition past the last");
    }
}

static void ask(const struct hl7_message *message, struct arena *arena)
{
    static const char *const names[] = {"MSH", "PID", "OBX", "Z01", "no"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t count = hl7_count(message, names[i]);
        for (size_t nth = 0; nth <= count && nth < NTH_MOST; nth++) {
            require((hl7_position(message, names[i], nth) == SIZE_MAX) == (nth == count), "count and position");
            for (unsigned field = 0; field < 20; field++)
                ask_field(message, names[i], nth, field, arena);
        }
    }
}

// What was read is written and read again: the same texts.
static void write_again(const struct hl7_message *message, struct arena *arena)
{
    struct buffer out;
    struct hl7_writer writer = {.out = &out};
    const struct hl7_message *again;
    struct error err;
    buffer_init(&out, HL7_MESSAGE_MAX);
    hl7_write_header(&writer, &(struct hl7_header){.type = "ACK", .control = "1"});
    hl7_segment(&writer, "OBX");
    const char *text = hl7_get(message, "OBX", 0, 5, 1, 1, 1, arena);
    hl7_formatted(&writer, 5, text);
    hl7_end(&writer);
    require(hl7_parse((const char *)out.data, out.size, arena, &again, &err), "our own message is refused");
    const char *back = hl7_get(again, "OBX", 0, 5, 1, 1, 1, arena);
    if (text && back && !strchr(text, '\r') && strcmp(text, "\"\"") != 0) // that one is never written
        require(strcmp(text, back) == 0, "a text did not come back");
    buffer_free(&out);
}

static void fuzz_message(const char *text, size_t size)
{
    struct arena arena;
    const struct hl7_message *message = NULL, *loose = NULL;
    struct error err = {0}, ignored;
    arena_init(&arena, ARENA_LIMIT);
    if (hl7_parse_loose(text, size, &arena, &loose, &ignored))
        ask(loose, &arena);
    arena_reset(&arena);
    if (hl7_parse(text, size, &arena, &message, &err)) {
        require(loose != NULL, "a loose parser that is stricter");
        ask(message, &arena);
        write_again(message, &arena);
    } else {
        require(err.code != ERROR_NONE && err.message[0], "a refusal without a reason");
    }
    arena_free(&arena);
}

static void fuzz_answer(const char *text, size_t size)
{
    struct buffer out;
    struct arena arena;
    const struct hl7_message *message;
    struct error err, refusal = {.code = ERROR_BAD_DATA, .message = "no"};
    buffer_init(&out, HL7_MESSAGE_MAX);
    arena_init(&arena, ARENA_LIMIT);
    hl7_write_answer(&(struct hl7_writer){.out = &out}, text, size, "AR", &refusal, "1", 0);
    require(hl7_parse((const char *)out.data, out.size, &arena, &message, &err), "our own answer is refused");
    require(hl7_count(message, "MSA") == 1 && hl7_count(message, "ERR") == 1, "an answer without its parts");
    buffer_free(&out);
    arena_free(&arena);
}

// The same bytes in one piece and in pieces of `piece` must give the same messages.
static size_t take_all(const uint8_t *data, size_t size, size_t piece, struct buffer *out)
{
    struct mllp_frame frame = {0};
    struct error err;
    size_t at = 0, messages = 0, used;
    bool whole;
    while (at < size) {
        size_t part = size - at < piece ? size - at : piece;
        if (!mllp_frame_take(&frame, data + at, part, &used, &whole, out, &err))
            break;
        require(used == part || whole, "bytes left over in a message");
        messages += whole;
        at += used;
    }
    return messages;
}

static void fuzz_frames(const uint8_t *data, size_t size)
{
    struct buffer whole, pieces;
    buffer_init(&whole, MLLP_MESSAGE_MAX);
    buffer_init(&pieces, MLLP_MESSAGE_MAX);
    size_t a = take_all(data, size, SIZE_MAX, &whole), b = take_all(data, size, 3, &pieces);
    require(a == b && whole.size == pieces.size, "pieces change what is read");
    require(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0, "pieces change what is read");
    buffer_free(&whole);
    buffer_free(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (*data == 'F')
        fuzz_frames(data + 1, size - 1);
    else if (*data == 'A')
        fuzz_answer((const char *)data + 1, size - 1);
    else
        fuzz_message((const char *)data + 1, size - 1);
    return 0;
}
