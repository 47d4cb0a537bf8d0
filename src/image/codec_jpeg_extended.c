// JPEG extended sequential with 12-bit samples (ISO/IEC 10918-1, process 4) of one component, which libjpeg-turbo as
// Debian builds it cannot.
#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "image/codecs.h"
#include "image/jpeg_stream.h"

enum { BLOCK = 8, BLOCK_SIZE = 64, PRECISION = 12, DC_LENGTH_MAX = 15, RUN_OF_16 = 0xF0 };

static const uint8_t zigzag[BLOCK_SIZE] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                           12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                           35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                           58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

struct extended {
    struct jpeg_stream stream;
    struct jpeg_scan scan;
    float cosine[BLOCK][BLOCK]; // [sample][frequency], with the normalisation of A.3.3
    int32_t predicted;
};

static void make_cosines(struct extended *e)
{
    const double pi = 3.14159265358979323846;
    for (int x = 0; x < BLOCK; x++)
        for (int u = 0; u < BLOCK; u++)
            e->cosine[x][u] = (float)(cos((2 * x + 1) * u * pi / 16) * (u == 0 ? sqrt(0.125) : 0.5));
}

static bool no_code(const struct extended *e, struct error *err)
{
    return error_set(err, ERROR_BAD_DATA, "JPEG: no Huffman code near byte %zu", e->stream.at);
}

// F.2.2: coefficients, dequantized, in their places.
static bool read_block(struct extended *e, float coefficient[BLOCK_SIZE], struct error *err)
{
    const struct jpeg_huffman *dc = &e->stream.dc[e->scan.component[0].dc],
                              *ac = &e->stream.ac[e->scan.component[0].ac];
    const uint16_t *quantizer = e->stream.quantizer[e->stream.header.component[0].quantizer];
    int length = jpeg_huffman_next(&e->stream, dc);
    if (length < 0 || length > DC_LENGTH_MAX)
        return no_code(e, err);
    e->predicted += length > 0 ? jpeg_bits_signed(&e->stream, (unsigned)length) : 0;
    if (abs(e->predicted) > 1 << (DC_LENGTH_MAX + 1))
        return error_set(err, ERROR_BAD_DATA, "JPEG: a mean near byte %zu is out of range", e->stream.at);
    coefficient[0] = (float)(e->predicted * quantizer[0]);
    for (int k = 1; k < BLOCK_SIZE; k++) {
        int code = jpeg_huffman_next(&e->stream, ac);
        if (code < 0)
            return no_code(e, err);
        const unsigned size = (unsigned)code & 15;
        k += code >> 4;
        if (size == 0 && code != RUN_OF_16)
            return true;
        if (size == 0)
            continue;
        if (k >= BLOCK_SIZE)
            return error_set(err, ERROR_BAD_DATA, "JPEG: a block near byte %zu has more than 64 coefficients",
                             e->stream.at);
        coefficient[zigzag[k]] = (float)(jpeg_bits_signed(&e->stream, size) * quantizer[k]);
    }
    return true;
}

static void inverse_dct(const struct extended *e, const float in[BLOCK_SIZE], float out[BLOCK_SIZE])
{
    float half[BLOCK_SIZE];
    for (int v = 0; v < BLOCK; v++)
        for (int x = 0; x < BLOCK; x++) {
            float sum = 0;
            for (int u = 0; u < BLOCK; u++)
                sum += in[v * BLOCK + u] * e->cosine[x][u];
            half[v * BLOCK + x] = sum;
        }
    for (int y = 0; y < BLOCK; y++)
        for (int x = 0; x < BLOCK; x++) {
            float sum = 0;
            for (int v = 0; v < BLOCK; v++)
                sum += half[v * BLOCK + x] * e->cosine[y][v];
            out[y * BLOCK + x] = sum;
        }
}

static void store_block(const struct codec_job *job, unsigned row, unsigned column, const float block[BLOCK_SIZE])
{
    const float most = (1 << PRECISION) - 1, middle = 1 << (PRECISION - 1);
    for (unsigned y = 0; y < BLOCK && row + y < job->format->rows; y++)
        for (unsigned x = 0; x < BLOCK && column + x < job->format->columns; x++) {
            float value = block[y * BLOCK + x] + middle;
            value = value < 0 ? 0 : value > most ? most : value;
            bytes_put_u16le(job->out + 2 * ((size_t)(row + y) * job->format->columns + column + x),
                            (uint16_t)lrintf(value));
        }
}

static bool decode_scan(struct extended *e, const struct codec_job *job, struct error *err)
{
    unsigned block = 0, restarts = 0;
    for (unsigned row = 0; row < job->format->rows; row += BLOCK)
        for (unsigned column = 0; column < job->format->columns; column += BLOCK, block++) {
            float coefficient[BLOCK_SIZE] = {0}, samples[BLOCK_SIZE];
            if (e->stream.restart_interval > 0 && block > 0 && block % e->stream.restart_interval == 0) {
                if (!jpeg_restart(&e->stream, restarts++, err))
                    return false;
                e->predicted = 0;
            }
            if (!read_block(e, coefficient, err))
                return false;
            if (jpeg_overrun(&e->stream))
                return error_set(err, ERROR_BAD_DATA, "JPEG: the data end in line %u of %u", row + 1,
                                 job->format->rows);
            inverse_dct(e, coefficient, samples);
            store_block(job, row, column, samples);
        }
    return true;
}

// The scan header's spectral selection says nothing in a sequential stream (B.2.3); some encoders write zeros there.
bool codec_jpeg_extended(struct codec_job *job, struct error *err)
{
    struct extended e = {0};
    if (job->format->samples != 1 || job->format->bits_allocated != 16)
        return error_set(err, ERROR_UNSUPPORTED, "12-bit JPEG of %u components in %u bits allocated",
                         job->format->samples, job->format->bits_allocated);
    jpeg_stream_init(&e.stream, job->data, job->size);
    if (!jpeg_next_scan(&e.stream, &e.scan, err))
        return false;
    if (!e.stream.dc[e.scan.component[0].dc].defined || !e.stream.ac[e.scan.component[0].ac].defined)
        return error_set(err, ERROR_BAD_DATA, "JPEG: a Huffman table is missing");
    make_cosines(&e);
    return decode_scan(&e, job, err);
}
