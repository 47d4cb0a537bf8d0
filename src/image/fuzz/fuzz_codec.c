// Attacks the codecs that are our own: RLE, lossless and 12-bit JPEG, native and deflated frames. The first four bytes
// of an input pick the transfer syntax, the samples' bits and the size; the rest is the code stream. Run by tools/fuzz.
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const syntaxes[] = {"1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.51",
                                       "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"};

// Bits allocated and stored, samples, sign.
static const struct {
    uint16_t allocated, stored, samples;
    bool is_signed;
} samples[] = {{8, 8, 1, false},   {8, 8, 3, false},  {16, 12, 1, false}, {16, 12, 1, true},
               {16, 12, 3, false}, {16, 16, 1, true}, {32, 32, 1, false}, {1, 1, 1, false}};

static struct image_format format_of(const uint8_t head[4])
{
    struct image_format format = {.rows = 1 + head[2] % 64U, .columns = 1 + head[3] % 64U, .frames = 1};
    const size_t row = head[1] % (sizeof samples / sizeof *samples);
    format.samples = samples[row].samples;
    format.bits_allocated = samples[row].allocated;
    format.bits_stored = samples[row].stored;
    format.high_bit = (uint16_t)(samples[row].stored - 1);
    format.is_signed = samples[row].is_signed;
    format.planar = head[1] & 128;
    format.color = format.samples == 3 ? IMAGE_YBR_FULL : IMAGE_MONOCHROME2;
    format.frame_bits = (uint64_t)format.rows * format.columns * format.samples * format.bits_allocated;
    format.frame_bytes = (format.frame_bits + 7) / 8;
    return format;
}

// The same code stream gives the same frame, whatever stood in its place before: all of it was written.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5)
        return 0;
    const char *syntax = syntaxes[data[0] % (sizeof syntaxes / sizeof *syntaxes)];
    const struct image_format format = format_of(data);
    const size_t frame_size = (size_t)format.frame_bytes;
    uint8_t *first = malloc(frame_size), *second = malloc(frame_size);
    enum image_color color;
    struct error err = {0};
    if (!first || !second)
        abort();
    memset(first, 0x55, frame_size);
    memset(second, 0xAA, frame_size);
    (void)image_code_begins(syntax, &format, data + 4, size - 4);
    if (image_decode(syntax, &format, data + 4, size - 4, first, &color, &err)) {
        if (!image_decode(syntax, &format, data + 4, size - 4, second, &color, &err) ||
            memcmp(first, second, frame_size) != 0)
            abort();
    } else if (err.code == ERROR_NONE || !err.message[0]) {
        abort();
    }
    free(first);
    free(second);
    return 0;
}
