#include "image/codec.h"

#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "image/codecs.h"

static const struct {
    const char *uid;
    bool (*decode)(struct codec_job *job, struct error *err);
} codecs[] = {
    {"1.2.840.10008.1.2.5", codec_rle},
    {"1.2.840.10008.1.2.4.50", codec_jpeg},
    {"1.2.840.10008.1.2.4.51", codec_jpeg},
    {"1.2.840.10008.1.2.4.57", codec_jpeg_lossless},
    {"1.2.840.10008.1.2.4.70", codec_jpeg_lossless},
    {"1.2.840.10008.1.2.4.80", codec_jpegls},
    {"1.2.840.10008.1.2.4.81", codec_jpegls},
    {"1.2.840.10008.1.2.4.90", codec_j2k},
    {"1.2.840.10008.1.2.4.91", codec_j2k},
    {"1.2.840.10008.1.2.4.201", codec_j2k},
    {"1.2.840.10008.1.2.4.202", codec_j2k},
    {"1.2.840.10008.1.2.4.203", codec_j2k},
};

bool codec_fits(const struct codec_job *job, uint64_t rows, uint64_t columns, unsigned samples, unsigned precision,
                unsigned most, struct error *err)
{
    const struct image_format *format = job->format;
    unsigned least = format->high_bit + 1U;
    if (rows != format->rows || columns != format->columns)
        return error_set(err, ERROR_BAD_DATA, "the code stream has %llu rows and %llu columns, the data set %u and %u",
                         (unsigned long long)rows, (unsigned long long)columns, format->rows, format->columns);
    if (samples != format->samples)
        return error_set(err, ERROR_BAD_DATA, "the code stream has %u components, the data set %u samples per pixel",
                         samples, format->samples);
    if (precision < least || precision > most)
        return error_set(err, ERROR_BAD_DATA, "the code stream has samples of %u bits, the data set %u stored of %u",
                         precision, format->bits_stored, format->bits_allocated);
    return true;
}

// Code streams other than JPEG 2000 do not say that samples are signed: they carry the low bits only.
static void extend_sign(const struct codec_job *job)
{
    const unsigned bits = job->format->bits_allocated;
    if (!job->format->is_signed || job->sign_done || job->precision >= bits)
        return;
    const uint16_t sign = (uint16_t)(1U << (job->precision - 1)),
                   above = (uint16_t) ~((2U << (job->precision - 1)) - 1U);
    if (bits == 8)
        for (uint64_t i = 0; i < job->format->frame_bytes; i++)
            job->out[i] = (uint8_t)(job->out[i] & sign ? job->out[i] | above : job->out[i]);
    if (bits == 16)
        for (uint64_t i = 0; i + 1 < job->format->frame_bytes; i += 2) {
            uint16_t value = bytes_u16le(job->out + i);
            bytes_put_u16le(job->out + i, (uint16_t)(value & sign ? value | above : value));
        }
}

bool image_decode(const char *transfer_syntax, const struct image_format *format, const uint8_t *data, size_t size,
                  uint8_t *out, enum image_color *color, struct error *err)
{
    struct codec_job job = {.format = format, .data = data, .size = size, .out = out, .color = format->color};
    if (format->is_float || format->bits_allocated < 8 || format->bits_allocated > 32)
        return error_set(err, ERROR_UNSUPPORTED, "encapsulated pixels of %u bits%s", format->bits_allocated,
                         format->is_float ? ", floating point" : "");
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++)
        if (strcmp(codecs[i].uid, transfer_syntax) == 0) {
            memset(out, 0, format->frame_bytes);
            if (!codecs[i].decode(&job, err))
                return false;
            extend_sign(&job);
            *color = job.color;
            return true;
        }
    char shown[80];
    return error_set(err, ERROR_UNSUPPORTED, "no decoder for transfer syntax %s",
                     text_show(shown, sizeof shown, transfer_syntax, strlen(transfer_syntax)));
}
