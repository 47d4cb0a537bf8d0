// What the decoder pool and its children say to each other. Inside the image room only. A request travels with two
// memfds: the code stream, sealed, and the frame to be filled. Both ends are the same program, so structs are sent as
// they are.
#ifndef IMAGE_DECODER_PROTOCOL_H
#define IMAGE_DECODER_PROTOCOL_H

#include "image/image.h"

// An answer has its request's number, which nobody can guess: what a child sent before it was asked is no answer.
struct decode_request {
    uint64_t number;
    char transfer_syntax[DICOM_UID_SIZE];
    struct image_format format;
    uint64_t size; // of the code stream
};

struct decode_answer {
    uint64_t number;
    bool ok;
    enum image_color color;
    struct error error; // when not ok
};

enum { DECODE_EXIT_IDLE = 0, DECODE_EXIT_SANDBOX = 20, DECODE_EXIT_PROTOCOL = 21 };

#endif
