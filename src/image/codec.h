// Encapsulated frames to native little-endian ones. Only the sandboxed decode child calls this: codecs never run in the server.
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include "image/image.h"

// Decodes one frame of `size` bytes in the transfer syntax into `out`, of format->frame_bytes bytes, with the planar configuration 0 and the colour space as it is in the code stream turned to RGB where the
// transfer syntax implies it (YBR of JPEG, RCT and ICT of JPEG 2000): *color says what `out` holds. BAD_DATA when the code stream does not fit the format (size, precision, sign, components) or is broken: never more than frame_bytes are written.
// UNSUPPORTED for a transfer syntax without decoder, named. Syntaxes: RLE (.5), JPEG baseline and extended (.4.50, .4.51, 8 and 12 bit), lossless (.4.57, .4.70), JPEG-LS (.4.80, .4.81), JPEG 2000 (.4.90, .4.91), HTJ2K (.4.201 to .203).
bool image_decode(const char *transfer_syntax, const struct image_format *format, const uint8_t *data, size_t size,
                  uint8_t *out, enum image_color *color, struct error *err);

#endif
