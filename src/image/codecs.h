// The codecs, one file each: one frame in, one frame out. Inside the image room only; image_decode is their caller, and
// has checked that the format is sane, of 1, 8, 16 or 32 bits a sample, and not empty.
#ifndef IMAGE_CODECS_H
#define IMAGE_CODECS_H

#include "image/image.h"

struct codec_job {
    const struct image_format *format;
    const uint8_t *data; // `size` bytes
    size_t size;
    uint8_t *out;           // format->frame_bytes bytes, zeroed
    bool lossy;             // the transfer syntax may be
    enum image_color color; // in: the format's; out: what `out` holds
    unsigned precision;     // out: significant bits of a sample, as the code stream says; 0: those of the data set
    bool sign_done;         // out: samples have their sign extended already
};

// These take frames of one bit a pixel as they are, packed.
bool codec_native(struct codec_job *job, struct error *err);
bool codec_deflated(struct codec_job *job, struct error *err);
bool codec_rle(struct codec_job *job, struct error *err);
// These are given a byte a pixel instead.
bool codec_jpeg(struct codec_job *job, struct error *err); // baseline and extended, by precision
bool codec_jpeg_lossless(struct codec_job *job, struct error *err);
bool codec_jpegls(struct codec_job *job, struct error *err);
bool codec_j2k(struct codec_job *job, struct error *err);

// The first bytes of a code stream: see image_code_begins.
bool codec_rle_begins(const struct image_format *format, const uint8_t *data, size_t size);
bool codec_jpeg_begins(const struct image_format *format, const uint8_t *data, size_t size); // JPEG-LS too
bool codec_j2k_begins(const struct image_format *format, const uint8_t *data, size_t size);

// What a code stream says of itself, against the format. BAD_DATA naming what differs.
bool codec_fits(const struct codec_job *job, uint64_t rows, uint64_t columns, unsigned samples, unsigned precision,
                struct error *err);

// A frame of one bit a pixel from a byte for each, which must be 0 or 1: BAD_DATA.
bool codec_pack_bits(const struct image_format *format, const uint8_t *bytes, uint8_t *out, struct error *err);

// 12-bit sequential. In codec_jpeg_extended.c; codec_jpeg calls it.
bool codec_jpeg_extended(struct codec_job *job, struct error *err);

#endif
