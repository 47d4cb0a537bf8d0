// The codecs, one file each: one frame in, one frame out. Inside the image room only; image_decode is their caller, and
// has checked that the format is sane, of 8, 16 or 32 bits a sample, and not empty.
#ifndef IMAGE_CODECS_H
#define IMAGE_CODECS_H

#include "image/image.h"

struct codec_job {
    const struct image_format *format;
    const uint8_t *data; // `size` bytes
    size_t size;
    uint8_t *out;           // format->frame_bytes bytes, zeroed
    enum image_color color; // in: the format's; out: what `out` holds
    unsigned precision;     // out: significant bits of a sample, as the code stream says
    bool sign_done;         // out: samples have their sign extended already
};

bool codec_rle(struct codec_job *job, struct error *err);
bool codec_jpeg(struct codec_job *job, struct error *err); // baseline and extended, by precision
bool codec_jpeg_lossless(struct codec_job *job, struct error *err);
bool codec_jpegls(struct codec_job *job, struct error *err);
bool codec_j2k(struct codec_job *job, struct error *err);

// What a code stream says of itself, against the format. BAD_DATA naming what differs. `most`: the highest precision
// that is fine.
bool codec_fits(const struct codec_job *job, uint64_t rows, uint64_t columns, unsigned samples, unsigned precision,
                unsigned most, struct error *err);

// 12-bit sequential, of one component. In codec_jpeg_extended.c; codec_jpeg calls it.
bool codec_jpeg_extended(struct codec_job *job, struct error *err);

#endif
