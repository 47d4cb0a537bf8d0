// JPEG-LS (ISO/IEC 14495-1), lossless and near-lossless, by CharLS.
#include <stdlib.h>
#include <string.h>

#include <charls/charls.h>

#include "base/bytes.h"
#include "image/codecs.h"

static bool failed(charls_jpegls_errc code, struct error *err)
{
    return error_set(err, ERROR_BAD_DATA, "JPEG-LS: %s", charls_get_error_message(code));
}

// CharLS writes planes when the stream has one scan a component, and bytes when samples fit into them: this is put into
// the frame's order.
static void arrange(const struct codec_job *job, const uint8_t *from, bool planes, unsigned from_bytes)
{
    const struct image_format *format = job->format;
    const size_t pixels = (size_t)format->rows * format->columns, samples = format->samples;
    const unsigned to_bytes = format->bits_allocated / 8U;
    for (size_t i = 0; i < pixels * samples; i++) {
        const size_t to = planes ? i % pixels * samples + i / pixels : i;
        for (unsigned k = 0; k < to_bytes; k++)
            job->out[to * to_bytes + k] = k < from_bytes ? from[i * from_bytes + k] : 0;
    }
}

static bool decode_into(charls_jpegls_decoder *decoder, struct codec_job *job, bool planes, unsigned sample_bytes,
                        size_t size, struct error *err)
{
    const bool straight =
        !planes && sample_bytes == job->format->bits_allocated / 8U && size == job->format->frame_bytes;
    uint8_t *buffer = straight ? job->out : malloc(size);
    if (!buffer)
        return error_set(err, ERROR_MEMORY, "no memory for a frame of %zu bytes", size);
    charls_jpegls_errc code = charls_jpegls_decoder_decode_to_buffer(decoder, buffer, size, 0);
    if (code == CHARLS_JPEGLS_ERRC_SUCCESS && !straight)
        arrange(job, buffer, planes, sample_bytes);
    if (!straight)
        free(buffer);
    return code == CHARLS_JPEGLS_ERRC_SUCCESS || failed(code, err);
}

static bool decode(charls_jpegls_decoder *decoder, struct codec_job *job, const uint8_t *data, size_t data_size,
                   struct error *err)
{
    charls_frame_info frame;
    charls_interleave_mode mode;
    charls_jpegls_errc code = charls_jpegls_decoder_set_source_buffer(decoder, data, data_size);
    if (code == CHARLS_JPEGLS_ERRC_SUCCESS)
        code = charls_jpegls_decoder_read_header(decoder);
    if (code == CHARLS_JPEGLS_ERRC_SUCCESS)
        code = charls_jpegls_decoder_get_frame_info(decoder, &frame);
    if (code == CHARLS_JPEGLS_ERRC_SUCCESS)
        code = charls_jpegls_decoder_get_interleave_mode(decoder, &mode);
    if (code != CHARLS_JPEGLS_ERRC_SUCCESS)
        return failed(code, err);
    job->precision = (unsigned)frame.bits_per_sample;
    if (!codec_fits(job, frame.height, frame.width, (unsigned)frame.component_count, job->precision, err))
        return false;
    const unsigned sample_bytes = job->precision > 8 ? 2 : 1;
    const bool planes = mode == CHARLS_INTERLEAVE_MODE_NONE && frame.component_count > 1;
    const size_t size = (size_t)job->format->rows * job->format->columns * job->format->samples * sample_bytes;
    return decode_into(decoder, job, planes, sample_bytes, size, err);
}

static bool decode_whole(struct codec_job *job, const uint8_t *data, size_t size, struct error *err)
{
    charls_jpegls_decoder *decoder = charls_jpegls_decoder_create();
    if (!decoder)
        return error_set(err, ERROR_MEMORY, "no memory for a JPEG-LS decoder");
    bool ok = decode(decoder, job, data, size, err);
    charls_jpegls_decoder_destroy(decoder);
    return ok;
}

static const uint8_t end_marker[] = {0xFF, 0xD9};

// The first `end` bytes of the code stream, and an end marker. CharLS 2.4 counts bits for seconds behind a stream that
// has none.
static bool decode_ended(struct codec_job *job, size_t end, struct error *err)
{
    const size_t size = end + sizeof end_marker;
    if (size <= job->size && memcmp(job->data + end, end_marker, sizeof end_marker) == 0)
        return decode_whole(job, job->data, size, err);
    uint8_t *ended = malloc(size);
    if (!ended)
        return error_set(err, ERROR_MEMORY, "no memory for a code stream of %zu bytes", size);
    memcpy(ended, job->data, end);
    memcpy(ended + end, end_marker, sizeof end_marker);
    bool ok = decode_whole(job, ended, size, err);
    free(ended);
    return ok;
}

static size_t zeros_before(const struct codec_job *job, size_t end)
{
    size_t zeros = 0;
    while (zeros < end && job->data[end - 1 - zeros] == 0)
        zeros++;
    return zeros;
}

// Where the end marker is, behind which only padding stands; or the end.
static size_t find_end(const struct codec_job *job)
{
    const size_t used = job->size - zeros_before(job, job->size);
    const bool marked =
        used >= sizeof end_marker && memcmp(job->data + used - sizeof end_marker, end_marker, sizeof end_marker) == 0;
    return marked ? used - sizeof end_marker : job->size;
}

// Some encoders pad to an even length before the end marker, where CharLS takes no zero that is not the last of the
// samples' bits.
bool codec_jpegls(struct codec_job *job, struct error *err)
{
    struct error ignored;
    const size_t end = find_end(job), zeros = zeros_before(job, end);
    return decode_ended(job, end, err) || (zeros > 0 && decode_ended(job, end - 1, &ignored)) ||
           (zeros > 1 && decode_ended(job, end - zeros, &ignored));
}
