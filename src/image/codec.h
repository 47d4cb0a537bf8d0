// Encapsulated frames to native little-endian ones. Only the sandboxed decode child calls this: codecs never run in the
// server.
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include "image/image.h"

// Decodes one frame of `size` bytes in the transfer syntax into `out`, of format->frame_bytes bytes: planar
// configuration 0, bits_allocated bits a sample, signed samples with their sign extended through them. *color says what
// `out` holds: RGB where the code stream was YBR of JPEG or RCT or ICT of JPEG 2000, else what the format says.
// BAD_DATA when the code stream does not fit the format (size, precision, sign, components) or is broken or cut: never
// more than frame_bytes are written. UNSUPPORTED for a transfer syntax without decoder, named. Syntaxes: RLE (.5), JPEG
// baseline and extended (.4.50, .4.51, 8 bit, and 12 bit of one component), lossless (.4.57, .4.70), JPEG-LS (.4.80,
// .4.81), JPEG 2000 (.4.90, .4.91), HTJ2K (.4.201 to .203).
//
// Precision may be anything from High Bit + 1 to Bits Allocated, since encoders are used that compress all allocated
// bits; of JPEG 2000 every sample is checked to fit into Bits Stored.
bool image_decode(const char *transfer_syntax, const struct image_format *format, const uint8_t *data, size_t size,
                  uint8_t *out, enum image_color *color, struct error *err);

#endif
