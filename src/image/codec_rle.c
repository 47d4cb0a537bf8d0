// RLE Lossless (PS3.5 Annex G): up to 15 segments, one for each byte of a sample, the most significant first, each in
// PackBits.
#include "image/codecs.h"

#include "base/bytes.h"

enum { HEADER_SIZE = 64, SEGMENTS_MAX = 15, NOTHING = 0x80 };

// One segment's bytes go to every `step`th byte of the frame.
struct segment {
    const uint8_t *data;
    size_t size;
    uint8_t *out;
    uint64_t count; // bytes due
    size_t step;
};

// Behind the last byte due, only what pads to an even length may stand: zeros and codes that mean nothing.
static bool only_padding(const struct segment *s, size_t at)
{
    for (; at < s->size; at++)
        if (s->data[at] != 0 && s->data[at] != NOTHING)
            return false;
    return true;
}

static bool unpack(const struct segment *s, unsigned number, struct error *err)
{
    uint64_t done = 0;
    size_t at = 0;
    while (done < s->count) {
        if (at >= s->size)
            return error_set(err, ERROR_BAD_DATA, "RLE segment %u ends after %llu of %llu bytes", number,
                             (unsigned long long)done, (unsigned long long)s->count);
        uint8_t code = s->data[at++];
        if (code == NOTHING)
            continue;
        bool literal = code < NOTHING;
        size_t run = literal ? code + 1U : 257U - code;
        if (at + (literal ? run : 1) > s->size || run > s->count - done)
            return error_set(err, ERROR_BAD_DATA, "RLE segment %u: a run of %zu bytes at %zu of %zu does not fit",
                             number, run, at, s->size);
        for (size_t i = 0; i < run; i++, done++)
            s->out[done * s->step] = s->data[at + (literal ? i : 0)];
        at += literal ? run : 1;
    }
    if (!only_padding(s, at))
        return error_set(err, ERROR_BAD_DATA, "RLE segment %u holds more than the %llu bytes of its frame", number,
                         (unsigned long long)s->count);
    return true;
}

bool codec_rle(struct codec_job *job, struct error *err)
{
    const struct image_format *format = job->format;
    const size_t sample_bytes = format->bits_allocated / 8U, pixel_bytes = sample_bytes * format->samples;
    if (job->size < HEADER_SIZE)
        return error_set(err, ERROR_BAD_DATA, "RLE frame of %zu bytes", job->size);
    uint32_t segments = bytes_u32le(job->data);
    if (segments != pixel_bytes || segments > SEGMENTS_MAX)
        return error_set(err, ERROR_BAD_DATA, "RLE frame of %u segments; %u samples of %u bits make %zu", segments,
                         format->samples, format->bits_allocated, pixel_bytes);
    for (uint32_t i = 0; i < segments; i++) {
        uint32_t from = bytes_u32le(job->data + 4 + 4 * i);
        uint64_t to = i + 1 < segments ? bytes_u32le(job->data + 8 + 4 * i) : job->size;
        if (from < HEADER_SIZE || from > to || to > job->size)
            return error_set(err, ERROR_BAD_DATA, "RLE segment %u lies from %u to %llu in a frame of %zu bytes", i + 1,
                             from, (unsigned long long)to, job->size);
        size_t sample = i / sample_bytes, byte = sample_bytes - 1 - i % sample_bytes;
        struct segment segment = {.data = job->data + from,
                                  .size = (size_t)(to - from),
                                  .out = job->out + sample * sample_bytes + byte,
                                  .count = (uint64_t)format->rows * format->columns,
                                  .step = pixel_bytes};
        if (!unpack(&segment, i + 1, err))
            return false;
    }
    job->precision = format->bits_allocated; // all bits are there, as they were
    return true;
}
