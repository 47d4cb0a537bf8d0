// The pool of `hilum decode` children: every encapsulated pixel goes through it.
#ifndef IMAGE_DECODER_H
#define IMAGE_DECODER_H

#include "image/image.h"

struct image_decoder; // any thread

enum {
    IMAGE_DECODERS = 2,                       // children at a time
    IMAGE_DECODE_MEMORY_MAX = 512 << 20,      // of a child
    IMAGE_DECODE_FRAME_BYTES_MAX = 256 << 20, // of a decoded frame: a caller need not make room for more
    IMAGE_DECODE_SECONDS = 10,                // of one frame
    IMAGE_DECODE_WAIT_SECONDS = 30,           // for a free child, of who works for a peer
    IMAGE_DECODE_IDLE_SECONDS = 30            // after which a child ends itself
};

// Starts no child yet; each is started at first use, ends itself when idle, and is replaced when it died. `reduced`:
// see sandbox_rules.
struct image_decoder *image_decoder_open(bool reduced, struct error *err);
void image_decoder_close(struct image_decoder *decoder); // no call may be under way; NULL is fine

// Whether frames in this transfer syntax of the table can be decoded, natively or by a codec; not: they are kept and
// served as they came.
bool image_decodes(const struct dicom_transfer_syntax *syntax);

// Children that ended otherwise than for idleness or by image_decoder_close, since it was opened.
uint64_t image_decoder_deaths(const struct image_decoder *decoder);

// One frame, as image_decode, in a child: `out` has format->frame_bytes bytes. Waits for a free child: each goes to
// whoever waits longest, in turn one for peers (threads of base/budget.h) and one for the program's own work, so that
// neither keeps the other from its frames. BUSY: a peer's wait was too long. What a peer's frame takes of the budget is
// the caller's matter (image_frame).
// A child that
// crashes, breaks its sandbox's rules, takes more than IMAGE_DECODE_SECONDS or too much memory costs this frame only:
// BAD_DATA, with what ended it. LIMIT for a frame of more than IMAGE_DECODE_FRAME_BYTES_MAX. FORBIDDEN when the child
// cannot enter its sandbox.
bool image_decoder_frame(struct image_decoder *decoder, const char *transfer_syntax, const struct image_format *format,
                         const uint8_t *data, size_t size, uint8_t *out, enum image_color *color, struct error *err);
// The same into a file, at its offset, without holding it in memory of ours besides.
bool image_decoder_frame_to(struct image_decoder *decoder, const char *transfer_syntax,
                            const struct image_format *format, const uint8_t *data, size_t size, int fd,
                            enum image_color *color, struct error *err);

// The child's main: `hilum decode [reduced]`. Its exit status.
int image_decode_main(bool reduced);

#endif
