#include "image/codec.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "image/codecs.h"
#include "image/decoder.h"

static const struct codec {
    const char *uid;
    bool (*decode)(struct codec_job *job, struct error *err);
    bool (*begins)(const struct image_format *format, const uint8_t *data, size_t size); // NULL: nothing tells
    bool bits; // takes frames of one bit a pixel
} codecs[] = {
    {"1.2.840.10008.1.2.1.98", codec_native, NULL, true},
    {"1.2.840.10008.1.2.8.1", codec_deflated, NULL, true},
    {"1.2.840.10008.1.2.5", codec_rle, codec_rle_begins, true},
    {"1.2.840.10008.1.2.4.50", codec_jpeg, codec_jpeg_begins, false},
    {"1.2.840.10008.1.2.4.51", codec_jpeg, codec_jpeg_begins, false},
    {"1.2.840.10008.1.2.4.57", codec_jpeg_lossless, codec_jpeg_begins, false},
    {"1.2.840.10008.1.2.4.70", codec_jpeg_lossless, codec_jpeg_begins, false},
    {"1.2.840.10008.1.2.4.80", codec_jpegls, codec_jpeg_begins, false},
    {"1.2.840.10008.1.2.4.81", codec_jpegls, codec_jpeg_begins, false},
    {"1.2.840.10008.1.2.4.90", codec_j2k, codec_j2k_begins, false},
    {"1.2.840.10008.1.2.4.91", codec_j2k, codec_j2k_begins, false},
    {"1.2.840.10008.1.2.4.201", codec_j2k, codec_j2k_begins, false},
    {"1.2.840.10008.1.2.4.202", codec_j2k, codec_j2k_begins, false},
    {"1.2.840.10008.1.2.4.203", codec_j2k, codec_j2k_begins, false},
};

static const struct codec *find_codec(const char *transfer_syntax)
{
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++)
        if (strcmp(codecs[i].uid, transfer_syntax) == 0)
            return &codecs[i];
    return NULL;
}

bool image_decodes(const struct dicom_transfer_syntax *syntax)
{
    return syntax->encapsulated ? find_codec(syntax->uid) != NULL : !syntax->by_reference;
}

bool image_code_begins(const char *transfer_syntax, const struct image_format *format, const uint8_t *data, size_t size)
{
    const struct codec *codec = find_codec(transfer_syntax);
    return codec && codec->begins && codec->begins(format, data, size);
}

// Where the samples of the data set stand above unused bits, one of fewer bits could stand in two places.
bool codec_fits(const struct codec_job *job, uint64_t rows, uint64_t columns, unsigned samples, unsigned precision,
                struct error *err)
{
    const struct image_format *format = job->format;
    const unsigned least = format->high_bit + 1U == format->bits_stored ? 1 : format->high_bit + 1U;
    if (rows != format->rows || columns != format->columns)
        return error_set(err, ERROR_BAD_DATA, "the code stream has %llu rows and %llu columns, the data set %u and %u",
                         (unsigned long long)rows, (unsigned long long)columns, format->rows, format->columns);
    if (samples != format->samples)
        return error_set(err, ERROR_BAD_DATA, "the code stream has %u components, the data set %u samples per pixel",
                         samples, format->samples);
    if (precision < least || precision > format->bits_allocated)
        return error_set(err, ERROR_BAD_DATA, "the code stream has samples of %u bits, the data set %u stored of %u",
                         precision, format->bits_stored, format->bits_allocated);
    return true;
}

// ---- the sign

static uint32_t sample_at(const uint8_t *p, size_t bytes)
{
    return bytes == 1 ? p[0] : bytes == 2 ? bytes_u16le(p) : bytes_u32le(p);
}

static void put_sample(uint8_t *p, size_t bytes, uint32_t value)
{
    for (size_t k = 0; k < bytes; k++)
        p[k] = (uint8_t)(value >> (8 * k));
}

// Code streams other than JPEG 2000 do not say that samples are signed: they carry the low bits only. When these are
// fewer than Bits Stored, the highest may be the sign, or only a large number.
static bool extend_sign(const struct codec_job *job, struct error *err)
{
    const size_t bytes = job->format->bits_allocated / 8U;
    if (!job->format->is_signed || job->sign_done || job->precision == 0 ||
        job->precision >= job->format->bits_allocated)
        return true;
    const uint32_t sign = UINT32_C(1) << (job->precision - 1), above = ~(sign | (sign - 1));
    const bool doubtful = job->precision < job->format->bits_stored;
    for (uint8_t *p = job->out, *end = p + job->format->frame_bytes; p < end; p += bytes) {
        const uint32_t value = sample_at(p, bytes);
        if (!(value & sign))
            continue;
        if (doubtful)
            return error_set(
                err, ERROR_BAD_DATA,
                "a sample is %u in a code stream of %u bits, where the data set has %u signed ones: it may "
                "be negative or not",
                value, job->precision, job->format->bits_stored);
        put_sample(p, bytes, value | above);
    }
    return true;
}

// ---- one bit a pixel

bool codec_pack_bits(const struct image_format *format, const uint8_t *bytes, uint8_t *out, struct error *err)
{
    for (uint64_t i = 0; i < format->frame_bits; i++) {
        if (bytes[i] > 1)
            return error_set(err, ERROR_BAD_DATA, "a sample of one bit is %u", bytes[i]);
        out[i / 8] |= (uint8_t)(bytes[i] << (i % 8));
    }
    return true;
}

static bool decode_bits(const struct codec *codec, struct codec_job *job, struct error *err)
{
    const struct image_format *format = job->format;
    struct image_format bytes = *format;
    bytes.bits_allocated = 8;
    bytes.frame_bytes = format->frame_bits;
    bytes.frame_bits = 8 * format->frame_bits;
    struct codec_job inner = *job;
    inner.format = &bytes;
    inner.out = calloc(1, (size_t)bytes.frame_bytes);
    bool ok = inner.out ? codec->decode(&inner, err) && codec_pack_bits(format, inner.out, job->out, err)
                        : error_set(err, ERROR_MEMORY, "no memory for a frame of %llu samples",
                                    (unsigned long long)bytes.frame_bytes);
    free(inner.out);
    job->color = inner.color;
    return ok;
}

// ---- all of it

static bool decode(const struct codec *codec, struct codec_job *job, struct error *err)
{
    memset(job->out, 0, job->format->frame_bytes);
    if (job->format->bits_allocated == 1)
        return codec->bits ? codec->decode(job, err) : decode_bits(codec, job, err);
    return codec->decode(job, err) && extend_sign(job, err);
}

bool image_decode(const char *transfer_syntax, const struct image_format *format, const uint8_t *data, size_t size,
                  uint8_t *out, enum image_color *color, struct error *err)
{
    const struct codec *codec = find_codec(transfer_syntax);
    char shown[80];
    struct codec_job job = {.format = format, .data = data, .size = size, .out = out, .color = format->color};
    if (format->is_float || format->bits_allocated > 32)
        return error_set(err, ERROR_UNSUPPORTED, "encapsulated pixels of %u bits%s", format->bits_allocated,
                         format->is_float ? ", floating point" : "");
    if (!codec)
        return error_set(err, ERROR_UNSUPPORTED, "no decoder for transfer syntax %s",
                         text_show(shown, sizeof shown, transfer_syntax, strlen(transfer_syntax)));
    job.lossy = dicom_transfer_syntax_or_default(transfer_syntax)->lossy;
    if (!decode(codec, &job, err))
        return false;
    *color = job.color;
    return true;
}
