// Native frames in fragments: as they are (Encapsulated Uncompressed, PS3.5 section A.4.11), or each deflated by itself
// (Deflated Image Frame Compression, RFC 1951).
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "image/codecs.h"

// `frame` as a native one has it: planes become pixels.
static void take(const struct codec_job *job, const uint8_t *frame)
{
    const struct image_format *format = job->format;
    const size_t bytes = format->bits_allocated / 8U, samples = format->samples;
    const size_t pixels = (size_t)format->rows * format->columns;
    if (!format->planar || bytes == 0) {
        memcpy(job->out, frame, (size_t)format->frame_bytes);
        return;
    }
    for (size_t i = 0; i < pixels * samples; i++)
        memcpy(job->out + (i % pixels * samples + i / pixels) * bytes, frame + i * bytes, bytes);
}

bool codec_native(struct codec_job *job, struct error *err)
{
    const uint64_t due = job->format->frame_bytes;
    if (job->size != due && job->size != due + due % 2)
        return error_set(err, ERROR_BAD_DATA, "a native frame of %zu bytes, where %llu are due", job->size,
                         (unsigned long long)due);
    take(job, job->data);
    return true;
}

// Fills `out`, and is false when the data end before or go on behind it.
static bool inflate_all(const struct codec_job *job, uint8_t *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)job->data, .avail_in = (uInt)job->size};
    z.next_out = out;
    z.avail_out = (uInt)job->format->frame_bytes;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return false;
    const int end = inflate(&z, Z_FINISH);
    const bool whole = end == Z_STREAM_END && z.avail_out == 0;
    inflateEnd(&z);
    return whole;
}

bool codec_deflated(struct codec_job *job, struct error *err)
{
    const uint64_t due = job->format->frame_bytes;
    uint8_t *frame = job->size <= UINT32_MAX && due <= UINT32_MAX ? malloc((size_t)due) : NULL;
    if (!frame)
        return error_set(err, ERROR_MEMORY, "no memory for a frame of %llu bytes", (unsigned long long)due);
    bool ok = inflate_all(job, frame);
    if (ok)
        take(job, frame);
    free(frame);
    return ok || error_set(err, ERROR_BAD_DATA, "%zu deflated bytes do not inflate to a frame of %llu", job->size,
                           (unsigned long long)due);
}
