// Encapsulated frames to native little-endian ones. Only the sandboxed decode child decodes: codecs never run in the
// server.
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include "image/image.h"

// Decodes one frame of `size` bytes in the transfer syntax into `out`, of format->frame_bytes bytes: planar
// configuration 0, bits_allocated bits a sample, signed samples with their sign extended through them. *color says what
// `out` holds: RGB where the code stream was YBR of JPEG or RCT or ICT of JPEG 2000, else what the format says.
// BAD_DATA when the code stream does not fit the format (size, precision, components) or is broken or cut: never more
// than frame_bytes are written. UNSUPPORTED for a transfer syntax without decoder, named. Syntaxes: uncompressed
// (.1.98), deflated (.8.1), RLE (.5), JPEG baseline and extended (.4.50, .4.51, 8 and 12 bit), lossless (.4.57, .4.70),
// JPEG-LS
// (.4.80, .4.81), JPEG 2000 (.4.90, .4.91), HTJ2K (.4.201 to .203). Frames of one bit a pixel: code streams of samples
// that are 0 or 1, or of the packed bytes.
//
// A code stream may have more bits a sample than Bits Stored, up to Bits Allocated, since encoders are used that
// compress all allocated bits. What it has outside Bits Stored stays as it is in lossless ones, as in native pixels
// (overlays may stand there); in lossy ones without overlays it is overshoot, and held to Bits Stored. A code stream
// may also have fewer bits, and say another sign than the data set: the data set's counts, and a sample for which that
// leaves two readings is BAD_DATA.
bool image_decode(const char *transfer_syntax, const struct image_format *format, const uint8_t *data, size_t size,
                  uint8_t *out, enum image_color *color, struct error *err);

// Whether `size` bytes begin as a frame's code stream of this transfer syntax does. Looks at no more than 64.
bool image_code_begins(const char *transfer_syntax, const struct image_format *format, const uint8_t *data,
                       size_t size);

#endif
