// JPEG lossless (ISO/IEC 10918-1 Annex H, process 14): each sample from its neighbours by one of seven predictors, and
// a Huffman-coded difference modulo 2^16.
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "image/codecs.h"
#include "image/jpeg_stream.h"

enum { SOF_LOSSLESS = 0xC3, PRECISION_LEAST = 2, PRECISION_MOST = 16, DIFFERENCE_OF_32768 = 16, SAMPLE_BYTES_MAX = 2 };

struct lossless {
    struct jpeg_stream stream;
    struct jpeg_scan scan;
    const struct codec_job *job;
    unsigned sample_bytes;
    uint16_t *line[2][JPEG_COMPONENTS_MAX]; // this and the one above, of the scan's components
    unsigned done;                          // bit set of components
};

// ra is left, rb above, rc above left (table H.1).
static int32_t predict(unsigned predictor, int32_t ra, int32_t rb, int32_t rc)
{
    switch (predictor) {
    case 1:
        return ra;
    case 2:
        return rb;
    case 3:
        return rc;
    case 4:
        return ra + rb - rc;
    case 5:
        return ra + ((rb - rc) >> 1);
    case 6:
        return rb + ((ra - rc) >> 1);
    default:
        return (ra + rb) >> 1;
    }
}

static bool difference(struct lossless *l, const struct jpeg_huffman *table, int32_t *out, struct error *err)
{
    int length = jpeg_huffman_next(&l->stream, table);
    if (length < 0 || length > DIFFERENCE_OF_32768)
        return error_set(err, ERROR_BAD_DATA, "JPEG: no Huffman code near byte %zu", l->stream.at);
    if (length == 0)
        *out = 0;
    else
        *out = length == DIFFERENCE_OF_32768 ? 32768 : jpeg_bits_signed(&l->stream, (unsigned)length);
    return true;
}

// One sample of component `c` of the scan, at `column`. After a restart (`fresh`) the first sample is predicted by half
// the range and the rest of its line from the left.
static bool sample(struct lossless *l, unsigned c, unsigned column, bool fresh, struct error *err)
{
    uint16_t *now = l->line[0][c];
    const uint16_t *above = l->line[1][c];
    int32_t predicted, delta = 0;
    if (fresh)
        predicted = column == 0 ? 1 << (l->stream.header.precision - l->scan.low - 1) : now[column - 1];
    else if (column == 0)
        predicted = above[0];
    else
        predicted = predict(l->scan.first, now[column - 1], above[column], above[column - 1]);
    if (!difference(l, &l->stream.dc[l->scan.component[c].dc], &delta, err))
        return false;
    now[column] = (uint16_t)(predicted + delta);
    return true;
}

static void store_line(const struct lossless *l, unsigned row)
{
    const unsigned samples = l->stream.header.components, columns = l->stream.header.columns;
    for (unsigned c = 0; c < l->scan.components; c++) {
        uint8_t *to = l->job->out + ((size_t)row * columns * samples + l->scan.component[c].index) * l->sample_bytes;
        for (unsigned x = 0; x < columns; x++, to += (size_t)samples * l->sample_bytes) {
            const uint16_t value = (uint16_t)(l->line[0][c][x] << l->scan.low);
            if (l->sample_bytes == 1)
                *to = (uint8_t)value;
            else
                bytes_put_u16le(to, value);
        }
    }
}

static void swap_lines(struct lossless *l)
{
    for (unsigned c = 0; c < l->scan.components; c++) {
        uint16_t *line = l->line[0][c];
        l->line[0][c] = l->line[1][c];
        l->line[1][c] = line;
    }
}

// Restarts come between lines only: a restart interval that is no whole number of lines is allowed by nobody's encoder,
// and not by H.1.1.
static bool decode_scan(struct lossless *l, struct error *err)
{
    const unsigned columns = l->stream.header.columns, interval = l->stream.restart_interval;
    const unsigned interval_lines = interval / columns;
    bool fresh = true;
    for (unsigned row = 0, restarts = 0; row < l->stream.header.rows; row++) {
        if (interval_lines > 0 && row > 0 && row % interval_lines == 0) {
            if (!jpeg_restart(&l->stream, restarts++, err))
                return false;
            fresh = true;
        }
        for (unsigned x = 0; x < columns; x++)
            for (unsigned c = 0; c < l->scan.components; c++)
                if (!sample(l, c, x, fresh, err))
                    return false;
        if (jpeg_overrun(&l->stream))
            return error_set(err, ERROR_BAD_DATA, "JPEG: the data end in line %u of %u", row + 1,
                             l->stream.header.rows);
        store_line(l, row);
        swap_lines(l);
        fresh = false;
    }
    jpeg_scan_end(&l->stream);
    return true;
}

static bool check_frame(const struct lossless *l, struct error *err)
{
    const struct jpeg_header *header = &l->stream.header;
    if (header->process != SOF_LOSSLESS)
        return error_set(err, ERROR_BAD_DATA, "JPEG process %02XH is not that of the transfer syntax", header->process);
    if (header->precision < PRECISION_LEAST || header->precision > PRECISION_MOST || l->sample_bytes > SAMPLE_BYTES_MAX)
        return error_set(err, ERROR_BAD_DATA, "JPEG lossless with samples of %u bits in %u allocated",
                         header->precision, l->job->format->bits_allocated);
    for (unsigned i = 0; i < header->components; i++)
        if (header->component[i].horizontal != header->component[0].horizontal ||
            header->component[i].vertical != header->component[0].vertical)
            return error_set(err, ERROR_UNSUPPORTED, "JPEG lossless with subsampled components");
    return codec_fits(l->job, header->rows, header->columns, header->components, header->precision, err);
}

static bool check_scan(struct lossless *l, struct error *err)
{
    const struct jpeg_scan *scan = &l->scan;
    if (scan->first < 1 || scan->first > 7 || scan->low >= l->stream.header.precision)
        return error_set(err, ERROR_BAD_DATA, "JPEG lossless with predictor %u and point transform %u", scan->first,
                         scan->low);
    if (l->stream.restart_interval % l->stream.header.columns != 0)
        return error_set(err, ERROR_BAD_DATA, "JPEG lossless with a restart interval of %u in lines of %u",
                         l->stream.restart_interval, l->stream.header.columns);
    for (unsigned i = 0; i < scan->components; i++) {
        const unsigned bit = 1U << scan->component[i].index;
        if (l->done & bit)
            return error_set(err, ERROR_BAD_DATA, "JPEG lossless with a second scan of component %u",
                             scan->component[i].index + 1);
        if (!l->stream.dc[scan->component[i].dc].defined)
            return error_set(err, ERROR_BAD_DATA, "JPEG: Huffman table %u is missing", scan->component[i].dc);
        l->done |= bit;
    }
    return true;
}

static bool decode_all(struct lossless *l, uint16_t *lines, struct error *err)
{
    const struct jpeg_header *header = &l->stream.header;
    for (;;) {
        if (!check_scan(l, err))
            return false;
        for (unsigned i = 0; i < 2 * JPEG_COMPONENTS_MAX; i++)
            l->line[i / JPEG_COMPONENTS_MAX][i % JPEG_COMPONENTS_MAX] = lines + (size_t)i * header->columns;
        if (!decode_scan(l, err))
            return false;
        if (l->done == (1U << header->components) - 1)
            return true;
        if (!jpeg_next_scan(&l->stream, &l->scan, err))
            return false;
        if (l->scan.components == 0)
            return error_set(err, ERROR_BAD_DATA, "JPEG: not every component has a scan");
    }
}

bool codec_jpeg_lossless(struct codec_job *job, struct error *err)
{
    struct lossless l = {.job = job, .sample_bytes = job->format->bits_allocated / 8U};
    jpeg_stream_init(&l.stream, job->data, job->size);
    if (!jpeg_next_scan(&l.stream, &l.scan, err))
        return false;
    if (l.scan.components == 0)
        return error_set(err, ERROR_BAD_DATA, "JPEG: no scan");
    if (!check_frame(&l, err))
        return false;
    job->precision = l.stream.header.precision;
    uint16_t *lines = calloc((size_t)l.stream.header.columns * 2 * JPEG_COMPONENTS_MAX, sizeof *lines);
    bool ok = lines ? decode_all(&l, lines, err)
                    : error_set(err, ERROR_MEMORY, "no memory for lines of %u samples", l.stream.header.columns);
    free(lines);
    return ok;
}
