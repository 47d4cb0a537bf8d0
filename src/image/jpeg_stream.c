#include "image/jpeg_stream.h"

#include <string.h>

#include "base/bytes.h"

enum {
    SOF0 = 0xC0,
    DHT = 0xC4,
    JPG = 0xC8,
    DAC = 0xCC,
    SOF15 = 0xCF,
    RST0 = 0xD0,
    RST7 = 0xD7,
    SOI = 0xD8,
    EOI = 0xD9,
    SOS = 0xDA,
    DQT = 0xDB,
    DRI = 0xDD,
    APP0 = 0xE0,
    APP14 = 0xEE,
    ADOBE_SIZE = 12
};

void jpeg_stream_init(struct jpeg_stream *stream, const uint8_t *data, size_t size)
{
    memset(stream, 0, sizeof *stream);
    stream->data = data;
    stream->size = size;
    stream->adobe_transform = JPEG_NO_ADOBE;
}

bool jpeg_is_rgb(bool has_jfif, int adobe_transform, enum image_color said)
{
    if (has_jfif)
        return false;
    return adobe_transform == JPEG_NO_ADOBE ? said == IMAGE_RGB : adobe_transform == 0;
}

// ---- markers

static bool is_frame_header(unsigned marker)
{
    return marker >= SOF0 && marker <= SOF15 && marker != DHT && marker != JPG && marker != DAC;
}

static bool cut(struct error *err)
{
    return error_set(err, ERROR_BAD_DATA, "JPEG: the code stream is cut off");
}

// FFH bytes may fill before a marker (B.1.1.2); anything else between segments is an error.
static bool next_marker(struct jpeg_stream *s, unsigned *marker, struct error *err)
{
    if (s->at >= s->size)
        return cut(err);
    if (s->data[s->at] != 0xFF)
        return error_set(err, ERROR_BAD_DATA, "JPEG: %02XH at byte %zu where a marker is due", s->data[s->at], s->at);
    while (s->at < s->size && s->data[s->at] == 0xFF)
        s->at++;
    if (s->at >= s->size)
        return cut(err);
    *marker = s->data[s->at++];
    return true;
}

// The segment's bytes behind its length; the stream stands behind it.
static bool segment(struct jpeg_stream *s, const uint8_t **data, size_t *size, struct error *err)
{
    if (s->size - s->at < 2)
        return cut(err);
    size_t length = bytes_u16be(s->data + s->at);
    if (length < 2 || length > s->size - s->at)
        return error_set(err, ERROR_BAD_DATA, "JPEG: a segment of %zu bytes at byte %zu of %zu", length, s->at,
                         s->size);
    *data = s->data + s->at + 2;
    *size = length - 2;
    s->at += length;
    return true;
}

static bool bad_segment(const char *name, size_t size, struct error *err)
{
    return error_set(err, ERROR_BAD_DATA, "JPEG: a %s segment of %zu bytes makes no sense", name, size);
}

static bool frame_header(unsigned marker, const uint8_t *p, size_t size, struct jpeg_header *out, struct error *err)
{
    if (size < 6 || p[5] == 0 || p[5] > JPEG_COMPONENTS_MAX || size != 6U + 3U * p[5])
        return bad_segment("frame header", size, err);
    *out = (struct jpeg_header){.process = marker,
                                .precision = p[0],
                                .rows = bytes_u16be(p + 1),
                                .columns = bytes_u16be(p + 3),
                                .components = p[5]};
    for (unsigned i = 0; i < out->components; i++) {
        const uint8_t *c = p + 6 + 3 * i;
        out->component[i].id = c[0];
        out->component[i].horizontal = c[1] >> 4;
        out->component[i].vertical = c[1] & 15;
        out->component[i].quantizer = c[2];
        if (c[1] >> 4 == 0 || c[1] >> 4 > 4 || (c[1] & 15) == 0 || (c[1] & 15) > 4 || c[2] >= JPEG_TABLES)
            return bad_segment("frame header", size, err);
    }
    return true;
}

// Annex C: codes of one length follow each other, and the next length's begin with twice what comes behind.
static bool build_table(struct jpeg_huffman *table, const uint8_t counts[16], const uint8_t *values, size_t total)
{
    memset(table, 0, sizeof *table);
    memcpy(table->values, values, total);
    int32_t code = 0, index = 0;
    for (int length = 1; length <= 16; length++) {
        const int32_t count = counts[length - 1];
        if (code + count > 1 << length)
            return false;
        table->first_value[length] = index - code;
        for (int32_t i = 0; i < count && length <= JPEG_LOOK_BITS; i++) {
            const size_t from = (size_t)(code + i) << (JPEG_LOOK_BITS - length),
                         span = (size_t)1 << (JPEG_LOOK_BITS - length);
            memset(table->look_value + from, table->values[index + i], span);
            memset(table->look_length + from, length, span);
        }
        code += count;
        index += count;
        table->code_end[length] = count > 0 ? code << (16 - length) : 0;
        code <<= 1;
    }
    table->defined = true;
    return true;
}

static bool huffman_tables(struct jpeg_stream *s, const uint8_t *p, size_t size, struct error *err)
{
    const size_t whole = size;
    while (size > 0) {
        size_t total = 0;
        for (size_t i = 1; i <= 16 && size >= 17; i++)
            total += p[i];
        const unsigned kind = p[0] >> 4, number = p[0] & 15;
        if (size < 17 || total > 256 || size - 17 < total || kind > 1 || number >= JPEG_TABLES)
            return bad_segment("Huffman table", whole, err);
        if (!build_table(kind == 0 ? &s->dc[number] : &s->ac[number], p + 1, p + 17, total))
            return bad_segment("Huffman table", whole, err);
        p += 17 + total;
        size -= 17 + total;
    }
    return true;
}

static bool quantization_tables(struct jpeg_stream *s, const uint8_t *p, size_t size, struct error *err)
{
    const size_t whole = size;
    while (size > 0) {
        const unsigned wide = p[0] >> 4, number = p[0] & 15;
        const size_t bytes = wide ? 128 : 64;
        if (wide > 1 || number >= JPEG_TABLES || size - 1 < bytes)
            return bad_segment("quantization table", whole, err);
        for (size_t i = 0; i < 64; i++)
            s->quantizer[number][i] = wide ? bytes_u16be(p + 1 + 2 * i) : p[1 + i];
        p += 1 + bytes;
        size -= 1 + bytes;
    }
    return true;
}

static bool scan_header(const struct jpeg_stream *s, const uint8_t *p, size_t size, struct jpeg_scan *scan,
                        struct error *err)
{
    if (!s->has_header || size < 1 || p[0] == 0 || p[0] > s->header.components || size != 4U + 2U * p[0])
        return bad_segment("scan header", size, err);
    scan->components = p[0];
    for (unsigned i = 0; i < scan->components; i++) {
        const uint8_t id = p[1 + 2 * i], tables = p[2 + 2 * i];
        unsigned index = 0;
        while (index < s->header.components && s->header.component[index].id != id)
            index++;
        if (index == s->header.components || tables >> 4 >= JPEG_TABLES || (tables & 15) >= JPEG_TABLES)
            return bad_segment("scan header", size, err);
        scan->component[i].index = index;
        scan->component[i].dc = tables >> 4;
        scan->component[i].ac = tables & 15;
    }
    const uint8_t *last = p + 1 + 2 * scan->components;
    scan->first = last[0];
    scan->last = last[1];
    scan->high = last[2] >> 4;
    scan->low = last[2] & 15;
    return true;
}

// APP0 of JFIF, APP14 of Adobe, whose last byte names the colour transform.
static void application_data(struct jpeg_stream *s, unsigned marker, const uint8_t *p, size_t size)
{
    if (marker == APP0 && size >= 5 && memcmp(p, "JFIF", 5) == 0)
        s->has_jfif = true;
    if (marker == APP14 && size >= ADOBE_SIZE && memcmp(p, "Adobe", 5) == 0)
        s->adobe_transform = p[ADOBE_SIZE - 1];
}

// One segment that is no scan header. Those that say nothing for decoding are passed over; DNL and the hierarchical
// ones do say something, and are refused.
static bool other_segment(struct jpeg_stream *s, unsigned marker, struct error *err)
{
    const uint8_t *p;
    size_t size;
    if (marker < SOF0 || marker == JPG || marker == DAC || (marker >= RST0 && marker <= SOI) ||
        (marker > DRI && marker < 0xE0) || marker == 0xDC)
        return error_set(err, ERROR_BAD_DATA, "JPEG: marker %02XH before byte %zu is out of place", marker, s->at);
    if (!segment(s, &p, &size, err))
        return false;
    if (marker == DHT)
        return huffman_tables(s, p, size, err);
    if (marker == DQT)
        return quantization_tables(s, p, size, err);
    if (marker == DRI) {
        s->restart_interval = size == 2 ? bytes_u16be(p) : 0;
        return size == 2 || bad_segment("restart interval", size, err);
    }
    application_data(s, marker, p, size);
    if (!is_frame_header(marker))
        return true;
    if (s->has_header)
        return error_set(err, ERROR_BAD_DATA, "JPEG: a second frame header");
    s->has_header = true;
    return frame_header(marker, p, size, &s->header, err);
}

static bool start_of_image(struct jpeg_stream *s, struct error *err)
{
    if (s->size < 2 || s->data[0] != 0xFF || s->data[1] != SOI)
        return error_set(err, ERROR_BAD_DATA, "JPEG: the frame does not begin with a start of image");
    s->at = 2;
    return true;
}

bool jpeg_next_scan(struct jpeg_stream *s, struct jpeg_scan *scan, struct error *err)
{
    const uint8_t *p;
    size_t size;
    unsigned marker;
    *scan = (struct jpeg_scan){0};
    if (s->at == 0 && !start_of_image(s, err))
        return false;
    for (int segments = 0; segments < JPEG_SEGMENTS_MAX; segments++) {
        if (s->at >= s->size && s->has_header) // a missing end marker takes nothing away
            return true;
        if (!next_marker(s, &marker, err))
            return false;
        if (marker == EOI)
            return true;
        if (marker == SOS)
            return segment(s, &p, &size, err) && scan_header(s, p, size, scan, err);
        if (!other_segment(s, marker, err))
            return false;
    }
    return error_set(err, ERROR_BAD_DATA, "JPEG: more than %d segments before a scan", JPEG_SEGMENTS_MAX);
}

bool jpeg_header_find(const uint8_t *data, size_t size, struct jpeg_header *out, struct error *err)
{
    struct jpeg_stream stream = {.data = data, .size = size};
    struct jpeg_scan scan;
    if (!jpeg_next_scan(&stream, &scan, err))
        return false;
    if (scan.components == 0)
        return error_set(err, ERROR_BAD_DATA, "JPEG: no scan");
    *out = stream.header;
    return true;
}

// ---- entropy-coded data

// At least 32 bits are at hand afterwards. FF00 is a byte FF; FF and anything else is a marker, before which the data
// end.
static void fill(struct jpeg_stream *s)
{
    while (s->bit_count <= 32) {
        unsigned byte = 0;
        if (s->at >= s->size || (s->data[s->at] == 0xFF && (s->at + 1 >= s->size || s->data[s->at + 1] != 0))) {
            s->made_up += 8;
        } else {
            byte = s->data[s->at];
            s->at += byte == 0xFF ? 2 : 1;
        }
        s->bits = s->bits << 8 | byte;
        s->bit_count += 8;
    }
}

bool jpeg_overrun(const struct jpeg_stream *s)
{
    return s->made_up > s->bit_count;
}

static unsigned peek(const struct jpeg_stream *s, unsigned count)
{
    return (unsigned)(s->bits >> (s->bit_count - count)) & ((1U << count) - 1);
}

int jpeg_huffman_next(struct jpeg_stream *s, const struct jpeg_huffman *table)
{
    if (s->bit_count < 32)
        fill(s);
    const unsigned look = peek(s, JPEG_LOOK_BITS);
    unsigned length = table->look_length[look];
    if (length > 0) {
        s->bit_count -= length;
        return table->look_value[look];
    }
    const int32_t bits = (int32_t)peek(s, 16);
    for (length = JPEG_LOOK_BITS + 1; length <= 16; length++)
        if (bits < table->code_end[length]) {
            s->bit_count -= length;
            return table->values[(table->first_value[length] + (bits >> (16 - length))) & 255];
        }
    return -1;
}

int32_t jpeg_bits_signed(struct jpeg_stream *s, unsigned count)
{
    if (s->bit_count < count)
        fill(s);
    int32_t value = (int32_t)peek(s, count);
    s->bit_count -= count;
    return value < 1 << (count - 1) ? value - (1 << count) + 1 : value;
}

void jpeg_scan_end(struct jpeg_stream *s)
{
    s->bits = 0;
    s->bit_count = 0;
    s->made_up = 0;
}

bool jpeg_restart(struct jpeg_stream *s, unsigned number, struct error *err)
{
    unsigned marker;
    jpeg_scan_end(s);
    if (!next_marker(s, &marker, err))
        return false;
    if (marker != RST0 + number % 8)
        return error_set(err, ERROR_BAD_DATA, "JPEG: marker %02XH at byte %zu where restart %u is due", marker, s->at,
                         number % 8);
    return true;
}
