#include "hl7/mllp_frame.h"

#include <string.h>

enum { START = 0x0B, END = 0x1C, CR = 0x0D, LF = 0x0A };

static bool take_between(struct mllp_frame *frame, uint8_t byte, struct error *err)
{
    if (byte == START) {
        *frame = (struct mllp_frame){.state = MLLP_INSIDE};
        return true;
    }
    if (byte == CR || byte == LF)
        return true;
    return error_set(err, ERROR_PROTOCOL, "byte 0x%02X outside an MLLP frame, which begins with 0x0B", byte);
}

static size_t plain_run(const uint8_t *data, size_t size)
{
    size_t run = 0;
    while (run < size && data[run] != START && data[run] != END)
        run++;
    return run;
}

// Takes text up to a byte that means something, or that byte.
static bool take_inside(struct mllp_frame *frame, const uint8_t *data, size_t size, size_t *used, struct buffer *out,
                        struct error *err)
{
    size_t run = plain_run(data, size);
    if (run > MLLP_MESSAGE_MAX - frame->size)
        return error_set(err, ERROR_PROTOCOL, "no end block (0x1C 0x0D) within %d bytes of the MLLP start block",
                         MLLP_MESSAGE_MAX);
    if (run > 0) {
        frame->size += run;
        *used = run;
        buffer_append(out, data, run);
        return buffer_check(out, "an MLLP message", err);
    }
    *used = 1;
    if (*data == START)
        return error_set(err, ERROR_PROTOCOL, "start block 0x0B inside an MLLP frame, after %zu bytes", frame->size);
    frame->state = MLLP_ENDING;
    return true;
}

static bool take_ending(struct mllp_frame *frame, uint8_t byte, struct error *err)
{
    if (byte != CR)
        return error_set(err, ERROR_PROTOCOL, "0x1C in an MLLP frame with 0x%02X behind it, not 0x0D", byte);
    frame->state = MLLP_BETWEEN;
    return true;
}

bool mllp_frame_take(struct mllp_frame *frame, const uint8_t *data, size_t size, size_t *used, bool *whole,
                     struct buffer *out, struct error *err)
{
    *whole = false;
    for (*used = 0; *used < size && !*whole;) {
        size_t step = 1;
        bool good = true;
        switch (frame->state) {
        case MLLP_BETWEEN:
            good = take_between(frame, data[*used], err);
            break;
        case MLLP_INSIDE:
            good = take_inside(frame, data + *used, size - *used, &step, out, err);
            break;
        case MLLP_ENDING:
            good = *whole = take_ending(frame, data[*used], err);
            break;
        }
        if (!good)
            return false;
        *used += step;
    }
    return true;
}
