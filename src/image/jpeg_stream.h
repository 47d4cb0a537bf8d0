// What JPEG code streams have in common (ISO/IEC 10918-1 Annexes B, C, F.2.2.3): markers, Huffman tables, entropy-coded
// bits. For the codecs that are our own.
#ifndef IMAGE_JPEG_STREAM_H
#define IMAGE_JPEG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/image.h"

enum { JPEG_COMPONENTS_MAX = 4, JPEG_TABLES = 4, JPEG_SEGMENTS_MAX = 4096, JPEG_LOOK_BITS = 9, JPEG_NO_ADOBE = -1 };

struct jpeg_header {
    unsigned process; // the SOF marker's second byte
    unsigned precision;
    unsigned rows, columns;
    unsigned components;
    struct {
        uint8_t id, horizontal, vertical, quantizer;
    } component[JPEG_COMPONENTS_MAX];
};

// The frame header of a stream, found without decoding anything.
bool jpeg_header_find(const uint8_t *data, size_t size, struct jpeg_header *out, struct error *err);

struct jpeg_huffman {
    bool defined;
    uint8_t values[256];
    int32_t code_end[18];                    // of each length: one past its last code, left-aligned to 16 bits; 0: none
    int32_t first_value[17];                 // of each length: index of its first value minus its first code
    uint8_t look_value[1 << JPEG_LOOK_BITS]; // by the next bits
    uint8_t look_length[1 << JPEG_LOOK_BITS]; // 0: longer
};

struct jpeg_scan {
    unsigned components;
    struct {
        unsigned index; // into the header's
        unsigned dc, ac;
    } component[JPEG_COMPONENTS_MAX];
    unsigned first, last, high,
        low; // spectral selection (first: predictor of lossless) and successive approximation (low: point transform)
};

struct jpeg_stream {
    const uint8_t *data;
    size_t size, at;
    struct jpeg_header header;
    bool has_header;
    struct jpeg_huffman dc[JPEG_TABLES], ac[JPEG_TABLES];
    uint16_t quantizer[JPEG_TABLES][64]; // in zigzag order
    unsigned restart_interval;
    bool has_jfif;
    int adobe_transform; // JPEG_NO_ADOBE, or as its marker says: 0 for none
    // entropy-coded bits
    uint64_t bits;
    unsigned bit_count;
    unsigned made_up; // zero bits given behind the end of the data
};

void jpeg_stream_init(struct jpeg_stream *stream, const uint8_t *data, size_t size);

// Reads markers up to and with the next scan header; *scan has components 0 at the end of the image.
bool jpeg_next_scan(struct jpeg_stream *stream, struct jpeg_scan *scan, struct error *err);

// Whether three components are RGB. They are YBR unless something says RGB: Adobe's marker, or the data set (`said`)
// with no marker against it; encoders of DICOM objects leave the components as they are and write neither JFIF nor
// Adobe.
bool jpeg_is_rgb(bool has_jfif, int adobe_transform, enum image_color said);

// Entropy-coded data: -1 for a code that is none. Behind the end of the data bits are 0, and jpeg_overrun tells.
int jpeg_huffman_next(struct jpeg_stream *stream, const struct jpeg_huffman *table);
int32_t jpeg_bits_signed(struct jpeg_stream *stream, unsigned count); // RECEIVE and EXTEND, 1 to 16 bits
bool jpeg_overrun(const struct jpeg_stream *stream);

// At the end of a restart interval: the RSTn marker due. And at the end of a scan.
bool jpeg_restart(struct jpeg_stream *stream, unsigned number, struct error *err);
void jpeg_scan_end(struct jpeg_stream *stream);

#endif
