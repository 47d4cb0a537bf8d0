// The one way from an object to a frame's pixels, whatever its transfer syntax: native in either byte order, of one bit
// a pixel, deflated, or encapsulated, which goes through the decode children. Also where a frame lies as it is stored,
// for who sends it as that.
#ifndef IMAGE_FRAMES_H
#define IMAGE_FRAMES_H

#include "base/arena.h"
#include "base/reader.h"
#include "image/decoder.h"
#include "image/image.h"

enum {
    IMAGE_INFLATED_MAX = 64 << 20,       // pixel data of a deflated data set, which are held in memory
    IMAGE_ROOM_SECONDS = 10,             // how long a peer waits for room in the budget (base/budget.h)
    IMAGE_FRAGMENTS_SEARCHED = 64 << 10, // fragments looked at for the frames that begin in them
};

// One thread at a time. The first three are for reading, the others frames.c's own.
struct image_frames {
    struct image_format format; // frame_bytes and color are those of a frame that image_frame gives
    bool encapsulated;
    bool as_it_lies; // the data set has every frame byte for byte as image_frame gives it

    const struct dicom_element *pixels;
    const char *transfer_syntax;
    bool deflated;
    struct reader reader;
    struct image_decoder *decoder;
    struct arena inflated;       // the pixel data of a deflated data set
    size_t fragment_count;       // without the offset table, and without empty ones at the end that are too many
    uint32_t *starts;            // owned: of each frame its first fragment, and the end; NULL: one each, or one frame
    struct dicom_fragment place; // what image_frame_stored gives of a native frame
};

// Reads what the data set says of its pixels and where they are. `dataset` is a whole tree (not one that stops at the
// pixels), whose values may be left in the stream; it and `transfer_syntax` must outlive the frames. `reader` has the
// data set's bytes as they are stored (deflated ones deflated); it is taken over, on failure too. `decoder` may be NULL
// where no frame is decoded.
//
// Native pixels: the value's length has the last word on whether colours are subsampled (image_settle). Encapsulated
// ones: one fragment a frame where there are as many; else what the basic or the extended offset table says (PS3.5
// section A.4, PS3.3 C.7.6.3.1.8), when it agrees with the fragments; else the fragments that begin as a code stream of
// the transfer syntax does.
//
// NOT_FOUND when there are no pixels. BAD_VALUE as image_describe. BAD_DATA when the value's length contradicts the
// attributes, or nothing tells which fragments make which frame. LIMIT past the limits above.
bool image_frames_open(struct image_frames *frames, const struct dicom_dataset *dataset, const char *transfer_syntax,
                       struct reader reader, struct image_decoder *decoder, struct error *err);
void image_frames_close(struct image_frames *frames); // one of zeros, or closed, is fine

// Frame `index` (from 0): little endian, bits from the lowest on, planes of native frames as they are, decoded ones
// without planes. `capacity` must be format.frame_bytes, which it fills: BAD_DATA for any other. *color: see
// image_decode. NOT_FOUND past the last frame; BAD_DATA where the pixel data end before the frame does, or as
// image_decoder_frame. What the decoding of it takes besides counts against the budget: BUSY.
bool image_frame(struct image_frames *frames, uint32_t index, void *out, size_t capacity, enum image_color *color,
                 struct error *err);
// The same into a file, at its offset, without holding the whole of it in memory more than once.
bool image_frame_to(struct image_frames *frames, uint32_t index, int fd, enum image_color *color, struct error *err);

// The *count pieces of the data set that make frame `index` as it is stored: the fragments of its code stream, or,
// where as_it_lies, its native bytes. Valid until the next call. NULL: errors as image_frame; UNSUPPORTED for native
// frames that do not lie as they come out.
const struct dicom_fragment *image_frame_stored(struct image_frames *frames, uint32_t index, size_t *count,
                                                struct error *err);

#endif
