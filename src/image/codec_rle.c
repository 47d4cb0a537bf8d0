// RLE Lossless (PS3.5 Annex G): up to 15 segments, one for each byte of a sample, the most significant first, each in
// PackBits.
#include <stdlib.h>

#include "base/bytes.h"
#include "image/codecs.h"

enum { HEADER_SIZE = 64, SEGMENTS_MAX = 15, NOTHING = 0x80, SURPLUS = 1 };

// One segment's bytes go to every `step`th byte of the frame.
struct segment {
    const uint8_t *data;
    size_t size;
    uint8_t *out;
    uint64_t count; // bytes due
    size_t step;
};

// Unpacks `count` bytes or what there is of them, and says how many. false where a run is cut, or goes more than
// SURPLUS past those due: there are encoders that pad a frame of odd size before they compress it.
static bool unpack_runs(const struct segment *s, uint64_t *done, size_t *at)
{
    *done = 0;
    for (*at = 0; *at < s->size && *done < s->count;) {
        const uint8_t code = s->data[(*at)++];
        const bool literal = code < NOTHING;
        const size_t run = literal ? code + 1U : 257U - code;
        if (code == NOTHING)
            continue;
        if (*at + (literal ? run : 1) > s->size || run > s->count + SURPLUS - *done)
            return false;
        for (size_t i = 0; i < run && *done < s->count; i++, ++*done)
            if (s->out)
                s->out[*done * s->step] = s->data[*at + (literal ? i : 0)];
        *at += literal ? run : 1;
    }
    return true;
}

// Behind the bytes due may stand the surplus, in a literal run of its own, and what pads to an even length: zeros and
// codes that mean nothing.
static bool only_padding(const struct segment *s, size_t at)
{
    if (s->size - at > SURPLUS && s->data[at] == SURPLUS - 1)
        at += 1 + SURPLUS;
    for (; at < s->size; at++)
        if (s->data[at] != 0 && s->data[at] != NOTHING)
            return false;
    return true;
}

static bool unpack(const struct segment *s, unsigned number, struct error *err)
{
    uint64_t done;
    size_t at;
    if (!unpack_runs(s, &done, &at))
        return error_set(err, ERROR_BAD_DATA, "RLE segment %u: a run at %zu of %zu bytes does not fit", number, at,
                         s->size);
    if (done < s->count)
        return error_set(err, ERROR_BAD_DATA, "RLE segment %u ends after %llu of %llu bytes", number,
                         (unsigned long long)done, (unsigned long long)s->count);
    return only_padding(s, at) ||
           error_set(err, ERROR_BAD_DATA, "RLE segment %u holds more than the %llu bytes of its frame", number,
                     (unsigned long long)s->count);
}

// Segment `i` from the header, which is whole.
static bool find_segment(const struct codec_job *job, uint32_t i, uint32_t segments, struct segment *out,
                         struct error *err)
{
    const uint32_t from = bytes_u32le(job->data + 4 + 4 * i);
    const uint64_t to = i + 1 < segments ? bytes_u32le(job->data + 8 + 4 * i) : job->size;
    if (from < HEADER_SIZE || from > to || to > job->size)
        return error_set(err, ERROR_BAD_DATA, "RLE segment %u lies from %u to %llu in a frame of %zu bytes", i + 1,
                         from, (unsigned long long)to, job->size);
    *out = (struct segment){.data = job->data + from, .size = (size_t)(to - from)};
    return true;
}

static bool unpack_samples(const struct codec_job *job, uint32_t segments, struct error *err)
{
    const struct image_format *format = job->format;
    const size_t sample_bytes = format->bits_allocated / 8U;
    for (uint32_t i = 0; i < segments; i++) {
        struct segment segment;
        if (!find_segment(job, i, segments, &segment, err))
            return false;
        segment.out = job->out + i / sample_bytes * sample_bytes + (sample_bytes - 1 - i % sample_bytes);
        segment.count = (uint64_t)format->rows * format->columns;
        segment.step = segments;
        if (!unpack(&segment, i + 1, err))
            return false;
    }
    return true;
}

// Encoders exist that pack the frame's bits into bytes, and ones that make a byte of each: the segment's length tells.
static bool unpack_bits(const struct codec_job *job, struct error *err)
{
    const struct image_format *format = job->format;
    struct segment segment;
    uint64_t there;
    size_t at;
    if (!find_segment(job, 0, 1, &segment, err))
        return false;
    segment.count = format->frame_bits;
    segment.step = 1;
    if (!unpack_runs(&segment, &there, &at) || there < segment.count) {
        segment.count = format->frame_bytes;
        segment.out = job->out;
        return unpack(&segment, 1, err);
    }
    segment.out = malloc((size_t)segment.count);
    bool ok = segment.out ? unpack(&segment, 1, err) && codec_pack_bits(format, segment.out, job->out, err)
                          : error_set(err, ERROR_MEMORY, "no memory for a frame of %llu samples",
                                      (unsigned long long)segment.count);
    free(segment.out);
    return ok;
}

static uint32_t segments_due(const struct image_format *format)
{
    return format->bits_allocated == 1 ? 1 : format->bits_allocated / 8U * format->samples;
}

bool codec_rle_begins(const struct image_format *format, const uint8_t *data, size_t size)
{
    const uint32_t segments = segments_due(format);
    if (size < HEADER_SIZE || segments > SEGMENTS_MAX || bytes_u32le(data) != segments ||
        bytes_u32le(data + 4) != HEADER_SIZE)
        return false;
    for (uint32_t i = 1; i < segments; i++)
        if (bytes_u32le(data + 4 + 4 * i) <= bytes_u32le(data + 4 * i))
            return false;
    return true;
}

bool codec_rle(struct codec_job *job, struct error *err)
{
    const uint32_t due = segments_due(job->format);
    if (job->size < HEADER_SIZE)
        return error_set(err, ERROR_BAD_DATA, "RLE frame of %zu bytes", job->size);
    const uint32_t segments = bytes_u32le(job->data);
    if (segments != due || segments > SEGMENTS_MAX)
        return error_set(err, ERROR_BAD_DATA, "RLE frame of %u segments; %u samples of %u bits make %u", segments,
                         job->format->samples, job->format->bits_allocated, due);
    return job->format->bits_allocated == 1 ? unpack_bits(job, err) : unpack_samples(job, segments, err);
}
