// JPEG 2000 and High-Throughput JPEG 2000 (ISO/IEC 15444-1 and -15), by OpenJPEG. The size header is read here first,
// so that OpenJPEG never sees an image that is not the data set's, or one cut into a million tiles.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openjpeg.h>

#include "base/bytes.h"
#include "image/codecs.h"

enum {
    SOC = 0xFF4F,
    SIZ = 0xFF51,
    SIZ_LEAST = 42, // bytes up to and with the number of components
    TILES_MAX = 4096,
    PRECISION_MAX = 16,
    BOXES_MAX = 64,
    BOX_HEADER = 8,
    BOX_JP2C = 0x6A703263,
    COD = 0xFF52,
    COD_SIZE = 14, // with its marker; the last byte names the wavelet
    SOT = 0xFF90,
    SOT_SIZE = 12
};

#define BOX_SIGNATURE UINT64_C(0x0000000C6A502020)

struct j2k {
    struct codec_job *job;
    unsigned tiles;
    bool is_signed;      // the code stream's samples
    bool hold;           // samples are held to [least, most]
    bool doubtful;       // a negative sample may be a large one
    int32_t least, most; // of Bits Stored
};

// A memory stream for OpenJPEG.
struct memory {
    const uint8_t *data;
    size_t size, at;
};

static OPJ_SIZE_T memory_read(void *to, OPJ_SIZE_T size, void *payload)
{
    struct memory *memory = payload;
    size_t left = memory->size - memory->at, count = size < left ? size : left;
    if (count == 0)
        return (OPJ_SIZE_T)-1;
    memcpy(to, memory->data + memory->at, count);
    memory->at += count;
    return count;
}

static OPJ_OFF_T memory_skip(OPJ_OFF_T count, void *payload)
{
    struct memory *memory = payload;
    if (count < 0 || (uint64_t)count > memory->size - memory->at)
        return -1;
    memory->at += (size_t)count;
    return count;
}

static OPJ_BOOL memory_seek(OPJ_OFF_T to, void *payload)
{
    struct memory *memory = payload;
    if (to < 0 || (uint64_t)to > memory->size)
        return OPJ_FALSE;
    memory->at = (size_t)to;
    return OPJ_TRUE;
}

// The first message is the cause.
static void keep_message(const char *text, void *payload)
{
    char *message = payload;
    if (!*message)
        snprintf(message, ERROR_MESSAGE_SIZE, "%.*s", (int)strcspn(text, "\n"), text);
}

// DICOM frames are bare code streams; some senders wrap them in JP2 boxes all the same.
static bool unwrap(struct memory *memory, struct error *err)
{
    if (memory->size < BOX_HEADER || bytes_u64be(memory->data) != BOX_SIGNATURE)
        return true;
    size_t at = 0;
    for (int i = 0; i < BOXES_MAX && memory->size - at >= BOX_HEADER; i++) {
        const size_t size = bytes_u32be(memory->data + at);
        if (bytes_u32be(memory->data + at + 4) == BOX_JP2C) {
            memory->data += at + BOX_HEADER;
            memory->size -= at + BOX_HEADER;
            return true;
        }
        if (size < BOX_HEADER || size > memory->size - at)
            break;
        at += size;
    }
    return error_set(err, ERROR_BAD_DATA, "JPEG 2000: JP2 boxes without a code stream");
}

static uint64_t tiles_along(uint32_t end, uint32_t tile_start, uint32_t tile)
{
    return ((uint64_t)end - tile_start + tile - 1) / tile;
}

// SIZ (15444-1 A.5.1), the first segment.
static bool check_tiles(struct j2k *j2k, const uint8_t *siz, struct error *err)
{
    const uint32_t x1 = bytes_u32be(siz + 8), y1 = bytes_u32be(siz + 12), x0 = bytes_u32be(siz + 16),
                   y0 = bytes_u32be(siz + 20);
    const uint32_t tile_x = bytes_u32be(siz + 24), tile_y = bytes_u32be(siz + 28), tile_x0 = bytes_u32be(siz + 32),
                   tile_y0 = bytes_u32be(siz + 36);
    if (x0 >= x1 || y0 >= y1 || tile_x == 0 || tile_y == 0 || tile_x0 > x0 || tile_y0 > y0)
        return error_set(err, ERROR_BAD_DATA, "JPEG 2000: size and tiles contradict each other");
    const uint64_t across = tiles_along(x1, tile_x0, tile_x), down = tiles_along(y1, tile_y0, tile_y);
    if (across > TILES_MAX || down > TILES_MAX || across * down > TILES_MAX)
        return error_set(err, ERROR_BAD_DATA, "JPEG 2000: more than %d tiles", TILES_MAX);
    j2k->tiles = (unsigned)(across * down);
    return codec_fits(j2k->job, y1 - y0, x1 - x0, bytes_u16be(siz + 40), j2k->job->precision, err);
}

static bool check_size(struct j2k *j2k, const struct memory *memory, struct error *err)
{
    const uint8_t *siz = memory->data;
    if (memory->size < SIZ_LEAST || bytes_u16be(siz) != SOC || bytes_u16be(siz + 2) != SIZ)
        return error_set(err, ERROR_BAD_DATA, "JPEG 2000: the frame does not begin with a size header");
    const unsigned components = bytes_u16be(siz + 40);
    if (components == 0 || memory->size < SIZ_LEAST + 3U * components)
        return error_set(err, ERROR_BAD_DATA, "JPEG 2000: %u components", components);
    j2k->job->precision = (siz[SIZ_LEAST] & 127U) + 1U;
    j2k->is_signed = siz[SIZ_LEAST] >> 7 != 0;
    if (!check_tiles(j2k, siz, err))
        return false;
    for (unsigned i = 0; i < components; i++)
        if (siz[SIZ_LEAST + 3 * i] != siz[SIZ_LEAST] || siz[SIZ_LEAST + 3 * i + 1] != 1 ||
            siz[SIZ_LEAST + 3 * i + 2] != 1)
            return error_set(err, ERROR_UNSUPPORTED, "JPEG 2000: components of different size or precision");
    return j2k->job->precision <= PRECISION_MAX ||
           error_set(err, ERROR_UNSUPPORTED, "JPEG 2000: samples of %u bits", j2k->job->precision);
}

// The first segment with this marker in the main header, which ends with the first tile part's; 0 when there is none.
static size_t find_segment(const struct memory *memory, unsigned wanted)
{
    size_t at = 2;
    while (memory->size - at >= SOT_SIZE) {
        const unsigned marker = bytes_u16be(memory->data + at);
        const size_t length = bytes_u16be(memory->data + at + 2);
        if (marker == wanted)
            return at;
        if (marker == SOT || marker < 0xFF00 || length < 2 || length > memory->size - at - 2)
            return 0;
        at += 2 + length;
    }
    return 0;
}

// OpenJPEG fills tiles that are not there with nothing, and calls it success: so they are counted here. `parts` are
// those seen of each tile, `due` those stated.
static bool count_tile_parts(const struct memory *memory, unsigned tiles, uint8_t *parts, uint8_t *due,
                             struct error *err)
{
    size_t at = find_segment(memory, SOT);
    while (at > 0 && memory->size - at >= SOT_SIZE && bytes_u16be(memory->data + at) == SOT) {
        const uint8_t *sot = memory->data + at;
        const unsigned tile = bytes_u16be(sot + 4);
        const size_t length = bytes_u32be(sot + 6), left = memory->size - at;
        if (tile >= tiles || length > left || (length > 0 && length < SOT_SIZE) || parts[tile] == UINT8_MAX)
            return error_set(err, ERROR_BAD_DATA, "JPEG 2000: tile part %u of %zu bytes, with %zu left, of %u tiles",
                             tile, length, left, tiles);
        parts[tile]++;
        if (sot[11] > 0)
            due[tile] = sot[11];
        if (length == 0) // up to the end
            break;
        at += length;
    }
    for (unsigned i = 0; i < tiles; i++)
        if (parts[i] == 0 || parts[i] < due[i])
            return error_set(err, ERROR_BAD_DATA, "JPEG 2000: of tile %u of %u there are %u parts of %u", i + 1, tiles,
                             parts[i], due[i]);
    return true;
}

static bool all_tiles_there(const struct memory *memory, unsigned tiles, struct error *err)
{
    uint8_t *counts = calloc(2, tiles);
    if (!counts)
        return error_set(err, ERROR_MEMORY, "no memory for %u tiles", tiles);
    bool ok = count_tile_parts(memory, tiles, counts, counts + tiles, err);
    free(counts);
    return ok;
}

// The irreversible wavelet is COD's 0 (A.6.1).
static bool is_lossy(const struct codec_job *job, const struct memory *memory)
{
    const size_t cod = find_segment(memory, COD);
    return job->lossy || cod == 0 || memory->size - cod < COD_SIZE || memory->data[cod + COD_SIZE - 1] == 0;
}

// What the samples are where the code stream's bits or sign are not the data set's. Signed ones that were compressed as
// unsigned are bits, not numbers: there is nothing to hold them to.
static void choose_reading(struct j2k *j2k, const struct memory *memory)
{
    const struct image_format *format = j2k->job->format;
    const unsigned bits = format->high_bit + 1U, precision = j2k->job->precision;
    const bool lossy = is_lossy(j2k->job, memory);
    j2k->job->sign_done = j2k->is_signed;
    j2k->doubtful = !format->is_signed && (precision < bits || (precision == bits && lossy));
    j2k->hold = lossy && precision > bits && !format->overlays_inside && (j2k->is_signed || !format->is_signed);
    if (j2k->hold) {
        j2k->least = format->is_signed ? -(INT32_C(1) << (bits - 1)) : 0;
        j2k->most = (INT32_C(1) << (format->is_signed ? bits - 1 : bits)) - 1;
    }
}

// The low bits of a sample, as many as the data set has: two's complement, so that the sign goes with them.
static bool sample_bits(const struct j2k *j2k, int32_t value, uint32_t *out, struct error *err)
{
    const struct codec_job *job = j2k->job;
    if (j2k->hold)
        value = value < j2k->least ? j2k->least : value > j2k->most ? j2k->most : value;
    if (value < 0 && j2k->doubtful)
        return error_set(err, ERROR_BAD_DATA,
                         "JPEG 2000: a sample is %d, where the data set has unsigned ones of %u bits", value,
                         job->format->bits_stored);
    *out = (uint32_t)value;
    if (!job->format->is_signed)
        *out &= (UINT32_C(1) << job->precision) - 1;
    return true;
}

static bool store_component(const struct j2k *j2k, const opj_image_comp_t *component, uint8_t *to, struct error *err)
{
    const struct image_format *format = j2k->job->format;
    const size_t pixels = (size_t)format->rows * format->columns;
    const unsigned bytes = format->bits_allocated / 8U;
    if (!component->data || (size_t)component->w * component->h != pixels)
        return error_set(err, ERROR_BAD_DATA, "JPEG 2000: a component was not decoded");
    for (size_t i = 0; i < pixels; i++, to += (size_t)format->samples * bytes) {
        uint32_t value = 0;
        if (!sample_bits(j2k, component->data[i], &value, err))
            return false;
        for (unsigned k = 0; k < bytes; k++)
            to[k] = (uint8_t)(value >> (8 * k));
    }
    return true;
}

static bool store(const struct j2k *j2k, const opj_image_t *image, struct error *err)
{
    const struct image_format *format = j2k->job->format;
    if (image->numcomps != format->samples)
        return error_set(err, ERROR_BAD_DATA, "JPEG 2000: %u components were decoded", image->numcomps);
    for (size_t c = 0; c < format->samples; c++)
        if (!store_component(j2k, &image->comps[c], j2k->job->out + c * (format->bits_allocated / 8U), err))
            return false;
    return true;
}

static bool decode(opj_codec_t *codec, opj_stream_t *stream, const struct j2k *j2k, struct error *err)
{
    char message[ERROR_MESSAGE_SIZE] = "";
    opj_dparameters_t parameters;
    opj_image_t *image = NULL;
    opj_set_default_decoder_parameters(&parameters);
    opj_set_error_handler(codec, keep_message, message);
    bool ok = opj_setup_decoder(codec, &parameters) && opj_decoder_set_strict_mode(codec, OPJ_TRUE) &&
              opj_read_header(stream, codec, &image) && opj_decode(codec, stream, image);
    if (!ok)
        error_set(err, ERROR_BAD_DATA, "JPEG 2000: %s", *message ? message : "cannot be decoded");
    ok = ok && store(j2k, image, err);
    opj_image_destroy(image);
    return ok;
}

bool codec_j2k_begins(const struct image_format *format, const uint8_t *data, size_t size)
{
    (void)format;
    return size >= BOX_HEADER &&
           ((bytes_u16be(data) == SOC && bytes_u16be(data + 2) == SIZ) || bytes_u64be(data) == BOX_SIGNATURE);
}

// OpenJPEG undoes the colour transform that the code stream names; the photometric interpretation then names what was
// before it.
bool codec_j2k(struct codec_job *job, struct error *err)
{
    struct memory memory = {.data = job->data, .size = job->size};
    struct j2k j2k = {.job = job};
    if (!unwrap(&memory, err) || !check_size(&j2k, &memory, err) || !all_tiles_there(&memory, j2k.tiles, err))
        return false;
    choose_reading(&j2k, &memory);
    opj_codec_t *codec = opj_create_decompress(OPJ_CODEC_J2K);
    opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
    bool ok = codec && stream;
    if (ok) {
        opj_stream_set_user_data(stream, &memory, NULL);
        opj_stream_set_user_data_length(stream, memory.size);
        opj_stream_set_read_function(stream, memory_read);
        opj_stream_set_skip_function(stream, memory_skip);
        opj_stream_set_seek_function(stream, memory_seek);
        ok = decode(codec, stream, &j2k, err);
    } else {
        error_set(err, ERROR_MEMORY, "no memory for a JPEG 2000 decoder");
    }
    opj_stream_destroy(stream);
    opj_destroy_codec(codec);
    if (job->color == IMAGE_YBR_RCT || job->color == IMAGE_YBR_ICT)
        job->color = IMAGE_RGB;
    return ok;
}
