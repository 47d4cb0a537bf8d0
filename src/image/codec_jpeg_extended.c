// JPEG extended sequential with 12-bit samples (ISO/IEC 10918-1, process 4), which libjpeg-turbo as Debian builds it
// cannot: one component or three, each with its sampling factors, in one scan or several.
#include <math.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "image/codecs.h"
#include "image/jpeg_stream.h"

enum { BLOCK = 8, BLOCK_SIZE = 64, PRECISION = 12, DC_LENGTH_MAX = 15, RUN_OF_16 = 0xF0, COLORS = 3 };

static const uint8_t zigzag[BLOCK_SIZE] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                           12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                           35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                           58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

// One component's samples, in whole units of the interleaved scan (A.2).
struct plane {
    uint16_t *samples;                   // owned: [height][width]
    size_t width, height;                // of what is decoded
    unsigned horizontal, vertical;       // sampling factors
    unsigned blocks_across, blocks_down; // of a scan of its own
    int32_t predicted;
    bool done;
};

struct extended {
    struct codec_job *job;
    struct jpeg_stream stream;
    struct jpeg_scan scan;
    float cosine[BLOCK][BLOCK]; // [sample][frequency], with the normalisation of A.3.3
    struct plane planes[COLORS];
    unsigned most_horizontal, most_vertical; // of the factors
    unsigned units_across, units_down;       // of an interleaved scan
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

// F.2.2: coefficients, dequantized, in their places. Component `c` of the scan.
static bool read_block(struct extended *e, unsigned c, float coefficient[BLOCK_SIZE], struct error *err)
{
    const struct jpeg_huffman *dc = &e->stream.dc[e->scan.component[c].dc],
                              *ac = &e->stream.ac[e->scan.component[c].ac];
    const unsigned index = e->scan.component[c].index;
    const uint16_t *quantizer = e->stream.quantizer[e->stream.header.component[index].quantizer];
    int32_t *predicted = &e->planes[index].predicted;
    int length = jpeg_huffman_next(&e->stream, dc);
    if (length < 0 || length > DC_LENGTH_MAX)
        return no_code(e, err);
    *predicted += length > 0 ? jpeg_bits_signed(&e->stream, (unsigned)length) : 0;
    if (abs(*predicted) > 1 << (DC_LENGTH_MAX + 1))
        return error_set(err, ERROR_BAD_DATA, "JPEG: a mean near byte %zu is out of range", e->stream.at);
    coefficient[0] = (float)*predicted * (float)quantizer[0];
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
        coefficient[zigzag[k]] = (float)jpeg_bits_signed(&e->stream, size) * (float)quantizer[k];
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

// ---- scans

static void store_block(const struct extended *e, struct plane *plane, size_t column, size_t row,
                        const float coefficient[BLOCK_SIZE])
{
    const float most = (1 << PRECISION) - 1, middle = 1 << (PRECISION - 1);
    float block[BLOCK_SIZE];
    inverse_dct(e, coefficient, block);
    for (size_t i = 0; i < BLOCK_SIZE; i++) {
        float value = block[i] + middle;
        value = value < 0 ? 0 : value > most ? most : value;
        plane->samples[(row + i / BLOCK) * plane->width + column + i % BLOCK] = (uint16_t)lrintf(value);
    }
}

static bool decode_block(struct extended *e, unsigned c, size_t column, size_t row, struct error *err)
{
    float coefficient[BLOCK_SIZE] = {0};
    if (!read_block(e, c, coefficient, err))
        return false;
    store_block(e, &e->planes[e->scan.component[c].index], column * BLOCK, row * BLOCK, coefficient);
    return true;
}

// A unit of a scan: of one component a block, of several all their blocks of one place (A.2.3).
static bool decode_unit(struct extended *e, unsigned column, unsigned row, struct error *err)
{
    if (e->scan.components == 1)
        return decode_block(e, 0, column, row, err);
    for (unsigned c = 0; c < e->scan.components; c++) {
        const struct plane *plane = &e->planes[e->scan.component[c].index];
        for (unsigned i = 0; i < plane->horizontal * plane->vertical; i++)
            if (!decode_block(e, c, (size_t)column * plane->horizontal + i % plane->horizontal,
                              (size_t)row * plane->vertical + i / plane->horizontal, err))
                return false;
    }
    return true;
}

static void forget_means(struct extended *e)
{
    for (unsigned i = 0; i < COLORS; i++)
        e->planes[i].predicted = 0;
}

static bool decode_scan(struct extended *e, struct error *err)
{
    const struct plane *first = &e->planes[e->scan.component[0].index];
    const bool alone = e->scan.components == 1;
    const unsigned across = alone ? first->blocks_across : e->units_across,
                   down = alone ? first->blocks_down : e->units_down;
    unsigned unit = 0, restarts = 0;
    forget_means(e);
    for (unsigned row = 0; row < down; row++)
        for (unsigned column = 0; column < across; column++, unit++) {
            if (e->stream.restart_interval > 0 && unit > 0 && unit % e->stream.restart_interval == 0) {
                if (!jpeg_restart(&e->stream, restarts++, err))
                    return false;
                forget_means(e);
            }
            if (!decode_unit(e, column, row, err))
                return false;
            if (jpeg_overrun(&e->stream))
                return error_set(err, ERROR_BAD_DATA, "JPEG: the data end in row %u of %u of blocks", row + 1, down);
        }
    jpeg_scan_end(&e->stream);
    return true;
}

// The scan header's spectral selection says nothing in a sequential stream (B.2.3); some encoders write zeros there.
static bool check_scan(struct extended *e, struct error *err)
{
    for (unsigned c = 0; c < e->scan.components; c++) {
        struct plane *plane = &e->planes[e->scan.component[c].index];
        if (plane->done)
            return error_set(err, ERROR_BAD_DATA, "JPEG: a second scan of component %u",
                             e->scan.component[c].index + 1);
        if (!e->stream.dc[e->scan.component[c].dc].defined || !e->stream.ac[e->scan.component[c].ac].defined)
            return error_set(err, ERROR_BAD_DATA, "JPEG: a Huffman table is missing");
        plane->done = true;
    }
    return true;
}

static bool all_done(const struct extended *e)
{
    for (unsigned i = 0; i < e->stream.header.components; i++)
        if (!e->planes[i].done)
            return false;
    return true;
}

static bool decode_scans(struct extended *e, struct error *err)
{
    while (check_scan(e, err) && decode_scan(e, err)) {
        if (all_done(e))
            return true;
        if (!jpeg_next_scan(&e->stream, &e->scan, err))
            return false;
        if (e->scan.components == 0)
            return error_set(err, ERROR_BAD_DATA, "JPEG: not every component has a scan");
    }
    return false;
}

// ---- components to pixels

static unsigned divide_up(unsigned a, unsigned b)
{
    return (a + b - 1) / b;
}

static bool make_planes(struct extended *e, struct error *err)
{
    const struct jpeg_header *header = &e->stream.header;
    for (unsigned i = 0; i < header->components; i++) {
        if (header->component[i].horizontal > e->most_horizontal)
            e->most_horizontal = header->component[i].horizontal;
        if (header->component[i].vertical > e->most_vertical)
            e->most_vertical = header->component[i].vertical;
    }
    e->units_across = divide_up(header->columns, BLOCK * e->most_horizontal);
    e->units_down = divide_up(header->rows, BLOCK * e->most_vertical);
    for (unsigned i = 0; i < header->components; i++) {
        struct plane *plane = &e->planes[i];
        plane->horizontal = header->component[i].horizontal;
        plane->vertical = header->component[i].vertical;
        plane->width = (size_t)e->units_across * plane->horizontal * BLOCK;
        plane->height = (size_t)e->units_down * plane->vertical * BLOCK;
        plane->blocks_across = divide_up(divide_up(header->columns * plane->horizontal, e->most_horizontal), BLOCK);
        plane->blocks_down = divide_up(divide_up(header->rows * plane->vertical, e->most_vertical), BLOCK);
        plane->samples = calloc(plane->width * plane->height, sizeof *plane->samples);
        if (!plane->samples)
            return error_set(err, ERROR_MEMORY, "no memory for a component of %zu x %zu samples", plane->width,
                             plane->height);
    }
    return true;
}

static uint16_t to_sample(float value)
{
    const float most = (1 << PRECISION) - 1;
    return (uint16_t)lrintf(value < 0 ? 0 : value > most ? most : value);
}

// JFIF's conversion, of 12 bits.
static void to_rgb(uint16_t pixel[COLORS])
{
    const float middle = 1 << (PRECISION - 1), y = pixel[0], cb = pixel[1] - middle, cr = pixel[2] - middle;
    pixel[0] = to_sample(y + 1.402F * cr);
    pixel[1] = to_sample(y - 0.344136F * cb - 0.714136F * cr);
    pixel[2] = to_sample(y + 1.772F * cb);
}

// Components of fewer samples give theirs to all pixels that they stand for.
static void store_pixels(const struct extended *e, bool convert)
{
    const unsigned components = e->stream.header.components;
    uint8_t *to = e->job->out;
    for (size_t row = 0; row < e->job->format->rows; row++)
        for (size_t column = 0; column < e->job->format->columns; column++) {
            uint16_t pixel[COLORS];
            for (unsigned i = 0; i < components; i++) {
                const struct plane *plane = &e->planes[i];
                pixel[i] = plane->samples[row * plane->vertical / e->most_vertical * plane->width +
                                          column * plane->horizontal / e->most_horizontal];
            }
            if (convert)
                to_rgb(pixel);
            for (unsigned i = 0; i < components; i++, to += 2)
                bytes_put_u16le(to, pixel[i]);
        }
}

bool codec_jpeg_extended(struct codec_job *job, struct error *err)
{
    struct extended e = {.job = job};
    const unsigned samples = job->format->samples;
    if ((samples != 1 && samples != COLORS) || job->format->bits_allocated != 16)
        return error_set(err, ERROR_UNSUPPORTED, "12-bit JPEG of %u components in %u bits allocated", samples,
                         job->format->bits_allocated);
    jpeg_stream_init(&e.stream, job->data, job->size);
    make_cosines(&e);
    bool ok = jpeg_next_scan(&e.stream, &e.scan, err) && make_planes(&e, err) && decode_scans(&e, err);
    const bool colors = samples == COLORS;
    if (ok)
        store_pixels(&e, colors && !jpeg_is_rgb(e.stream.has_jfif, e.stream.adobe_transform, job->color));
    if (ok && colors)
        job->color = IMAGE_RGB;
    for (unsigned i = 0; i < COLORS; i++)
        free(e.planes[i].samples);
    return ok;
}
