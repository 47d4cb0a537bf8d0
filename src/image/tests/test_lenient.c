// Code streams that are not what the data set says, and are readable all the same: fewer bits or more than Bits Stored,
// another sign, padding in odd places, one bit a pixel, 12-bit colours. What they hold is known, since it is compressed
// here; where DCMTK or GDCM read them too, they are asked.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openjpeg.h>

#include "base/bytes.h"
#include "image/codec.h"
#include "support.h"
#include "support/deflate.h"

#define RLE "1.2.840.10008.1.2.5"
#define JPEG_LS "1.2.840.10008.1.2.4.80"
#define J2K_LOSSLESS "1.2.840.10008.1.2.4.90"
#define J2K "1.2.840.10008.1.2.4.91"
#define NATIVE_FRAMES "1.2.840.10008.1.2.1.98"
#define DEFLATED_FRAMES "1.2.840.10008.1.2.8.1"

enum { ROWS = 37, COLUMNS = 41, PIXELS = ROWS * COLUMNS, STREAM_MAX = 1 << 20 };

// ---- a JPEG 2000 encoder

static OPJ_SIZE_T stream_write(void *from, OPJ_SIZE_T size, void *payload)
{
    buffer_append(payload, from, size);
    return size;
}

static OPJ_OFF_T stream_skip(OPJ_OFF_T count, void *payload)
{
    (void)payload;
    return count == 0 ? 0 : -1;
}

static OPJ_BOOL stream_seek(OPJ_OFF_T to, void *payload)
{
    (void)to, (void)payload;
    return OPJ_FALSE;
}

struct coding {
    unsigned precision;
    bool is_signed;
    float rate; // 0: lossless; else the irreversible wavelet, so many times smaller
};

static opj_image_t *make_image(const int32_t *samples, const struct coding *coding)
{
    opj_image_cmptparm_t component = {.dx = 1,
                                      .dy = 1,
                                      .w = COLUMNS,
                                      .h = ROWS,
                                      .prec = coding->precision,
                                      .bpp = coding->precision,
                                      .sgnd = coding->is_signed};
    opj_image_t *image = opj_image_create(1, &component, OPJ_CLRSPC_GRAY);
    assert_non_null(image);
    image->x1 = COLUMNS;
    image->y1 = ROWS;
    memcpy(image->comps[0].data, samples, PIXELS * sizeof *samples);
    return image;
}

static void encode_j2k(const int32_t *samples, const struct coding *coding, struct buffer *out)
{
    opj_cparameters_t parameters;
    opj_image_t *image = make_image(samples, coding);
    opj_codec_t *codec = opj_create_compress(OPJ_CODEC_J2K);
    opj_stream_t *stream = opj_stream_default_create(OPJ_FALSE);
    buffer_init(out, STREAM_MAX);
    opj_set_default_encoder_parameters(&parameters);
    parameters.numresolution = 4;
    parameters.irreversible = coding->rate > 0;
    parameters.tcp_numlayers = 1;
    parameters.tcp_rates[0] = coding->rate;
    parameters.cp_disto_alloc = 1;
    opj_stream_set_user_data(stream, out, NULL);
    opj_stream_set_write_function(stream, stream_write);
    opj_stream_set_skip_function(stream, stream_skip);
    opj_stream_set_seek_function(stream, stream_seek);
    assert_true(opj_setup_encoder(codec, &parameters, image));
    assert_true(opj_start_compress(codec, image, stream) && opj_encode(codec, stream) &&
                opj_end_compress(codec, stream));
    opj_stream_destroy(stream);
    opj_destroy_codec(codec);
    opj_image_destroy(image);
}

// ---- formats

static struct image_format stored(unsigned bits, unsigned allocated, bool is_signed)
{
    return gray(ROWS, COLUMNS, bits, allocated, is_signed);
}

// In memory of just the right sizes. NULL with *err.
static uint8_t *decode(const char *syntax, const struct image_format *format, const void *data, size_t size,
                       struct error *err)
{
    uint8_t *in = malloc(size), *out = malloc((size_t)format->frame_bytes);
    enum image_color color;
    memcpy(in, data, size);
    bool ok = image_decode(syntax, format, in, size, out, &color, err);
    free(in);
    if (ok)
        return out;
    free(out);
    return NULL;
}

static void assert_refused(const char *syntax, const struct image_format *format, const struct buffer *stream,
                           const char *told)
{
    struct error err = {0};
    assert_null(decode(syntax, format, stream->data, stream->size, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
    if (!strstr(err.message, told))
        fail_msg("'%s' does not say '%s'", err.message, told);
}

static int32_t sample_of(const struct image_format *format, const uint8_t *frame, size_t i)
{
    if (format->bits_allocated == 8)
        return format->is_signed ? (int8_t)frame[i] : frame[i];
    return format->is_signed ? (int16_t)bytes_u16le(frame + 2 * i) : bytes_u16le(frame + 2 * i);
}

static void assert_samples(const char *syntax, const struct image_format *format, const struct buffer *stream,
                           const int32_t *expected)
{
    struct error err;
    uint8_t *out = decode(syntax, format, stream->data, stream->size, &err);
    if (!out)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < PIXELS; i++)
        if (sample_of(format, out, i) != expected[i])
            fail_msg("sample %zu is %d, not %d", i, sample_of(format, out, i), expected[i]);
    free(out);
}

// GDCM makes the same of it.
static void assert_gdcm_agrees(const struct image_format *format, const struct buffer *stream, const int32_t *expected)
{
    const struct wanted w = {.photometric = "MONOCHROME2 ",
                             .samples = 1,
                             .planar = -1,
                             .rows = ROWS,
                             .columns = COLUMNS,
                             .allocated = format->bits_allocated,
                             .stored = format->bits_stored,
                             .high = format->high_bit,
                             .is_signed = format->is_signed};
    struct picture picture;
    struct error err;
    enum image_color color;
    save_picture(temporary("lenient.dcm"), &w, J2K, stream->data, stream->size);
    run_well((const char *const[]){"gdcmconv", "--raw", temporary("lenient.dcm"), temporary("native.dcm"), NULL}, NULL);
    assert_ok(picture_open(&picture, temporary("native.dcm"), &err), err);
    uint8_t *theirs = picture_frame(&picture, 0, &color, &err);
    assert_non_null(theirs);
    for (size_t i = 0; i < PIXELS; i++)
        assert_int_equal(sample_of(&picture.format, theirs, i), expected[i]);
    free(theirs);
    picture_close(&picture);
}

// Samples from `least` to `most`, both among them.
static const int32_t *ramp(int32_t least, int32_t most)
{
    static int32_t samples[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        samples[i] = least + (int32_t)((int64_t)(most - least) * i / (PIXELS - 1));
    return samples;
}

// ---- JPEG 2000 of other bits than are stored

static void jpeg_2000_of_fewer_bits_than_are_stored_comes_back(void **state)
{
    (void)state;
    static const struct {
        unsigned precision, stored, allocated;
        bool is_signed;
    } cases[] = {{14, 16, 16, false}, {14, 16, 16, true}, {8, 12, 16, false}, {8, 12, 16, true},
                 {12, 16, 16, true},  {7, 8, 8, false},   {15, 16, 16, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct coding coding = {.precision = cases[i].precision, .is_signed = cases[i].is_signed};
        const struct image_format format = stored(cases[i].stored, cases[i].allocated, cases[i].is_signed);
        const int32_t half = 1 << (coding.precision - 1);
        const int32_t *samples = cases[i].is_signed ? ramp(-half, half - 1) : ramp(0, 2 * half - 1);
        struct buffer stream;
        encode_j2k(samples, &coding, &stream);
        assert_samples(J2K_LOSSLESS, &format, &stream, samples);
        assert_gdcm_agrees(&format, &stream, samples);
        buffer_free(&stream);
    }
}

// Overlays stand in the bits above those stored: they are there afterwards, and so are the pixels below them.
static void jpeg_2000_with_overlays_inside_comes_back(void **state)
{
    (void)state;
    const struct coding coding = {.precision = 16};
    struct image_format format = stored(12, 16, false);
    int32_t samples[PIXELS];
    struct buffer stream;
    memcpy(samples, ramp(0, 4095), sizeof samples);
    for (size_t i = 0; i < PIXELS; i += 3)
        samples[i] |= 0x9000;
    encode_j2k(samples, &coding, &stream);
    format.overlays_inside = true;
    assert_samples(J2K_LOSSLESS, &format, &stream, samples);
    assert_samples(J2K, &format, &stream, samples); // which may be lossless too
    buffer_free(&stream);
}

// White and black side by side, compressed so hard that both are overshot.
static void lossy_jpeg_2000_is_held_to_the_bits_stored(void **state)
{
    (void)state;
    const struct coding coding = {.precision = 16, .rate = 30};
    const struct image_format all = stored(16, 16, false);
    struct image_format format = stored(12, 16, false);
    int32_t samples[PIXELS], expected[PIXELS], most = 0;
    struct buffer stream;
    struct error err;
    for (int i = 0; i < PIXELS; i++)
        samples[i] = i / 5 % 2 ? 4095 : 2000;
    encode_j2k(samples, &coding, &stream);
    uint8_t *raw = decode(J2K, &all, stream.data, stream.size, &err);
    assert_non_null(raw);
    for (size_t i = 0; i < PIXELS; i++) {
        const int32_t sample = sample_of(&all, raw, i);
        most = sample > most ? sample : most;
        samples[i] = sample;
        expected[i] = sample > 4095 ? 4095 : sample;
    }
    assert_true(most > 4200);
    assert_samples(J2K, &format, &stream, expected);
    format.overlays_inside = true; // then nobody knows
    assert_samples(J2K, &format, &stream, samples);
    free(raw);
    buffer_free(&stream);
}

static void signed_lossy_jpeg_2000_is_held_on_both_sides(void **state)
{
    (void)state;
    const struct coding coding = {.precision = 16, .is_signed = true, .rate = 30};
    const struct image_format all = stored(16, 16, true), format = stored(12, 16, true);
    int32_t samples[PIXELS], least = 0;
    struct buffer stream;
    struct error err;
    for (int i = 0; i < PIXELS; i++)
        samples[i] = i / 5 % 2 ? 2047 : -2048;
    encode_j2k(samples, &coding, &stream);
    uint8_t *raw = decode(J2K, &all, stream.data, stream.size, &err);
    assert_non_null(raw);
    for (size_t i = 0; i < PIXELS; i++) {
        const int32_t sample = sample_of(&all, raw, i);
        least = sample < least ? sample : least;
        samples[i] = sample > 2047 ? 2047 : sample < -2048 ? -2048 : sample;
    }
    assert_true(least < -2200);
    assert_samples(J2K, &format, &stream, samples);
    free(raw);
    buffer_free(&stream);
}

// ---- JPEG 2000 of another sign

// The low bits are those of the data set's samples, whatever the encoder took them for.
static void jpeg_2000_has_the_sign_that_the_data_set_has(void **state)
{
    (void)state;
    static const struct {
        unsigned bits, precision;
        bool is_signed; // in the data set
    } cases[] = {{12, 12, true}, {16, 16, true}, {12, 16, true}, {12, 12, false}, {16, 16, false}, {8, 8, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const unsigned precision = cases[i].precision, bits = cases[i].bits;
        const struct coding coding = {.precision = precision, .is_signed = !cases[i].is_signed};
        const struct image_format format = stored(bits, bits > 8 ? 16 : 8, cases[i].is_signed);
        const int32_t half = 1 << (bits - 1), whole = 1 << precision;
        int32_t samples[PIXELS], taken_for[PIXELS];
        struct buffer stream;
        memcpy(samples, cases[i].is_signed ? ramp(-half, half - 1) : ramp(0, 2 * half - 1), sizeof samples);
        for (size_t k = 0; k < PIXELS; k++)
            taken_for[k] = cases[i].is_signed   ? samples[k] & (whole - 1)
                           : samples[k] >= half ? samples[k] - whole
                                                : samples[k];
        encode_j2k(taken_for, &coding, &stream);
        assert_samples(J2K_LOSSLESS, &format, &stream, samples);
        buffer_free(&stream);
    }
}

// A sample with the highest of 12 bits set, 16 stored: -2048 or 2048. Without such a one there is no doubt.
static void a_sample_with_two_readings_is_refused(void **state)
{
    (void)state;
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        const struct coding coding = {.precision = 12, .is_signed = !is_signed};
        const struct image_format format = stored(16, 16, is_signed);
        struct buffer stream;
        encode_j2k(ramp(0, 2047), &coding, &stream);
        assert_samples(J2K_LOSSLESS, &format, &stream, ramp(0, 2047));
        buffer_free(&stream);
        encode_j2k(is_signed ? ramp(0, 2048) : ramp(-1, 2047), &coding, &stream);
        assert_refused(J2K_LOSSLESS, &format, &stream, is_signed ? "a sample is 2048" : "a sample is -1");
        buffer_free(&stream);
    }
}

// Compressed with loss, black may be -1: held to 0 where bits are left for that, refused where -1 may be 4095.
static void lossy_samples_below_zero_are_black_or_refused(void **state)
{
    (void)state;
    const struct image_format format = stored(12, 16, false);
    int32_t samples[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        samples[i] = i / 5 % 2 ? 2000 : 0;
    for (unsigned precision = 12; precision <= 16; precision += 4) {
        const struct coding coding = {.precision = precision, .is_signed = true, .rate = 30};
        struct buffer stream;
        struct error err;
        bool black = false;
        encode_j2k(samples, &coding, &stream);
        if (precision == 12) {
            assert_refused(J2K, &format, &stream, "unsigned ones of 12 bits");
        } else {
            uint8_t *out = decode(J2K, &format, stream.data, stream.size, &err);
            assert_non_null(out);
            for (size_t i = 0; i < PIXELS; i++) {
                assert_true(sample_of(&format, out, i) <= 4095);
                black = black || sample_of(&format, out, i) == 0;
            }
            assert_true(black);
            free(out);
        }
        buffer_free(&stream);
    }
}

// ---- JPEG-LS

struct jpeg_ls {
    struct picture picture;
    uint8_t *stream, *frame;
    size_t size;
};

static struct jpeg_ls open_jpeg_ls(void)
{
    struct jpeg_ls j;
    struct error err;
    enum image_color color;
    assert_ok(picture_open(&j.picture, PYDICOM_FILES "MR_small_jpeg_ls_lossless.dcm", &err), err);
    j.stream = picture_stream(&j.picture, 0, &j.size, &err);
    j.frame = picture_frame(&j.picture, 0, &color, &err);
    assert_non_null(j.stream);
    assert_non_null(j.frame);
    assert_int_equal(bytes_u16be(j.stream + j.size - 2), 0xFFD9);
    return j;
}

// DCMTK reads all of these.
static void jpeg_ls_may_be_padded_before_and_behind_its_end_marker(void **state)
{
    (void)state;
    static const struct {
        size_t before, behind;
        bool marked;
    } cases[] = {{1, 0, true}, {1, 1, true}, {0, 1, true}, {0, 3, true}, {4, 0, true}, {0, 0, false}, {1, 0, false}};
    struct jpeg_ls j = open_jpeg_ls();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer stream;
        struct error err;
        buffer_init(&stream, STREAM_MAX);
        buffer_append(&stream, j.stream, j.size - 2);
        buffer_append(&stream, "\0\0\0\0", cases[i].before);
        buffer_append(&stream, "\xFF\xD9", cases[i].marked ? 2 : 0);
        buffer_append(&stream, "\0\0\0\0", cases[i].behind);
        uint8_t *out = decode(JPEG_LS, &j.picture.format, stream.data, stream.size, &err);
        if (!out)
            fail_msg("%zu: %s", i, err.message);
        assert_memory_equal(out, j.frame, j.picture.format.frame_bytes);
        free(out);
        buffer_free(&stream);
    }
    free(j.stream);
    free(j.frame);
    picture_close(&j.picture);
}

static void jpeg_ls_that_lacks_bytes_is_refused_though_zeros_stand_there(void **state)
{
    (void)state;
    struct jpeg_ls j = open_jpeg_ls();
    for (size_t lost = 1; lost < 4; lost++) {
        struct error err;
        memset(j.stream + j.size - 2 - 40, 0, 40);
        uint8_t *out = decode(JPEG_LS, &j.picture.format, j.stream, j.size - 30 * lost, &err);
        assert_null(out);
    }
    free(j.stream);
    free(j.frame);
    picture_close(&j.picture);
}

// ---- one bit a pixel

static const uint8_t *mask_bytes(void)
{
    static uint8_t bytes[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        bytes[i] = i % 7 < 3 || i / COLUMNS % 5 == 2;
    return bytes;
}

static const uint8_t *mask_bits(void)
{
    static uint8_t bits[(PIXELS + 7) / 8];
    memset(bits, 0, sizeof bits);
    for (int i = 0; i < PIXELS; i++)
        bits[i / 8] |= (uint8_t)(mask_bytes()[i] << (i % 8));
    return bits;
}

static void assert_mask(const char *syntax, const void *data, size_t size)
{
    const struct image_format format = stored(1, 1, false);
    struct error err;
    uint8_t *out = decode(syntax, &format, data, size, &err);
    if (!out)
        fail_msg("%s: %s", syntax, err.message);
    assert_memory_equal(out, mask_bits(), (PIXELS + 7) / 8);
    free(out);
}

static void bits_in_jpeg_2000_come_back(void **state)
{
    (void)state;
    const struct coding one = {.precision = 1}, eight = {.precision = 8};
    const struct image_format format = stored(1, 1, false);
    int32_t samples[PIXELS];
    struct buffer stream;
    for (int i = 0; i < PIXELS; i++)
        samples[i] = mask_bytes()[i];
    encode_j2k(samples, &one, &stream);
    assert_mask(J2K_LOSSLESS, stream.data, stream.size);
    buffer_free(&stream);
    encode_j2k(samples, &eight, &stream);
    assert_mask(J2K_LOSSLESS, stream.data, stream.size);
    buffer_free(&stream);
    samples[7] = 2;
    encode_j2k(samples, &eight, &stream);
    assert_refused(J2K_LOSSLESS, &format, &stream, "a sample of one bit is 2");
    buffer_free(&stream);
}

static void put_rle(struct buffer *out, const uint8_t *bytes, size_t size)
{
    buffer_init(out, STREAM_MAX);
    buffer_u32le(out, 1);
    buffer_u32le(out, 64);
    for (int i = 0; i < 14; i++)
        buffer_u32le(out, 0);
    for (size_t at = 0; at < size; at += 100) {
        const size_t run = size - at < 100 ? size - at : 100;
        buffer_byte(out, (uint8_t)(run - 1));
        buffer_append(out, bytes + at, run);
    }
}

// pydicom 3.1 makes a byte of each pixel; others compress the packed bytes.
static void bits_in_rle_come_back_packed_or_not(void **state)
{
    (void)state;
    const struct image_format format = stored(1, 1, false);
    struct buffer stream;
    put_rle(&stream, mask_bits(), (PIXELS + 7) / 8);
    assert_mask(RLE, stream.data, stream.size);
    buffer_free(&stream);
    put_rle(&stream, mask_bytes(), PIXELS);
    assert_mask(RLE, stream.data, stream.size);
    stream.data[64 + 9] = 2;
    assert_refused(RLE, &format, &stream, "a sample of one bit is 2");
    buffer_free(&stream);
    put_rle(&stream, mask_bits(), PIXELS / 8 - 1);
    assert_refused(RLE, &format, &stream, "ends after");
    buffer_free(&stream);
}

// ---- native frames in fragments

static void put_deflated(struct buffer *out, const uint8_t *bytes, size_t size)
{
    buffer_init(out, STREAM_MAX);
    deflate_bytes(out, bytes, size);
}

static void bits_in_native_and_deflated_frames_come_back(void **state)
{
    (void)state;
    struct buffer stream;
    const size_t size = (PIXELS + 7) / 8;
    put_deflated(&stream, mask_bits(), size);
    assert_mask(DEFLATED_FRAMES, stream.data, stream.size);
    buffer_byte(&stream, 0); // to an even length
    assert_mask(DEFLATED_FRAMES, stream.data, stream.size);
    buffer_free(&stream);
    assert_mask(NATIVE_FRAMES, mask_bits(), size);
}

static void deflated_frames_of_another_size_are_refused(void **state)
{
    (void)state;
    static const uint8_t bytes[PIXELS + 1];
    const struct image_format format = stored(8, 8, false);
    struct buffer stream;
    for (size_t size = PIXELS - 1; size <= PIXELS + 1; size += 2) {
        put_deflated(&stream, bytes, size);
        assert_refused(DEFLATED_FRAMES, &format, &stream, "do not inflate to a frame of 1517");
        buffer_free(&stream);
    }
    put_deflated(&stream, bytes, PIXELS);
    stream.size -= 3;
    assert_refused(DEFLATED_FRAMES, &format, &stream, "do not inflate");
    stream.size += 3;
    memset(stream.data, 0xFF, stream.size);
    assert_refused(DEFLATED_FRAMES, &format, &stream, "do not inflate");
    buffer_free(&stream);
}

static void planes_in_native_frames_become_pixels(void **state)
{
    (void)state;
    struct image_format format = stored(8, 8, false);
    uint8_t planes[3 * PIXELS];
    struct error err;
    format.samples = 3;
    format.planar = true;
    format.frame_bytes = sizeof planes;
    for (size_t i = 0; i < sizeof planes; i++)
        planes[i] = (uint8_t)(i % 251);
    uint8_t *out = decode(NATIVE_FRAMES, &format, planes, sizeof planes, &err);
    assert_non_null(out);
    for (size_t i = 0; i < sizeof planes; i++)
        assert_int_equal(out[i], planes[i % 3 * PIXELS + i / 3]);
    free(out);
    assert_null(decode(NATIVE_FRAMES, &format, planes, sizeof planes - 1, &err));
}

// ---- 12-bit colours, compressed by DCMTK

static void put_colors(struct buffer *out)
{
    buffer_init(out, STREAM_MAX);
    for (int y = 0; y < ROWS; y++)
        for (int x = 0; x < COLUMNS; x++) {
            buffer_u16le(out, (uint16_t)(2048 + 1900 * sin(x / 9.0)));
            buffer_u16le(out, (uint16_t)(2048 + 1900 * cos(y / 7.0)));
            buffer_u16le(out, (uint16_t)(2048 + 1500 * sin((x + y) / 11.0)));
        }
}

// The mean difference of a file's samples from `expected`.
static double difference_from(const char *path, const struct buffer *expected)
{
    struct picture picture;
    struct error err;
    enum image_color color;
    double sum = 0;
    assert_ok(picture_open(&picture, path, &err), err);
    uint8_t *frame = picture_frame(&picture, 0, &color, &err);
    if (!frame)
        fail_msg("%s", err.message);
    assert_int_equal(picture.format.frame_bytes, expected->size);
    assert_int_equal(color, IMAGE_RGB);
    for (size_t i = 0; i < expected->size; i += 2)
        sum += abs(bytes_u16le(frame + i) - bytes_u16le(expected->data + i));
    free(frame);
    picture_close(&picture);
    return sum / (double)(expected->size / 2);
}

static void jpeg_of_12_bit_colors_comes_back(void **state)
{
    (void)state;
    static const struct {
        const char *options[5];
        double most;                                            // mean difference; subsampled colours lose some
    } cases[] = {{{"dcmcjpeg", "+ee", "+cr", "+q", "100"}, 2},  // RGB
                 {{"dcmcjpeg", "+ee", "+s4", "+q", "100"}, 3},  // YCbCr
                 {{"dcmcjpeg", "+ee", "+s2", "+q", "100"}, 60}, // half of the columns' colours
                 {{"dcmcjpeg", "+ee", "+n1", "+q", "100"}, 60}};
    const struct wanted w = {.photometric = "RGB ",
                             .samples = 3,
                             .planar = 0,
                             .rows = ROWS,
                             .columns = COLUMNS,
                             .allocated = 16,
                             .stored = 12,
                             .high = 11,
                             .is_signed = 0};
    struct buffer colors;
    put_colors(&colors);
    save_picture(temporary("colors.dcm"), &w, DICOM_TS_EXPLICIT, colors.data, colors.size);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *argv[8] = {0};
        memcpy(argv, cases[i].options, sizeof cases[i].options);
        argv[5] = temporary("colors.dcm");
        argv[6] = temporary("colors-compressed.dcm");
        run_well(argv, NULL);
        const double mean = difference_from(argv[6], &colors);
        if (mean > cases[i].most)
            fail_msg("%s %s: differs by %.2f in the mean", argv[1], argv[2], mean);
    }
    // DCMTK undoes what is RGB without a loss of its own.
    run_well((const char *const[]){"dcmcjpeg", "+ee", "+cr", "+q", "70", temporary("colors.dcm"),
                                   temporary("colors-compressed.dcm"), NULL},
             NULL);
    run_well((const char *const[]){"dcmdjpeg", temporary("colors-compressed.dcm"), temporary("theirs.dcm"), NULL},
             NULL);
    struct picture theirs;
    struct error err;
    enum image_color color;
    assert_ok(picture_open(&theirs, temporary("theirs.dcm"), &err), err);
    uint8_t *frame = picture_frame(&theirs, 0, &color, &err);
    assert_non_null(frame);
    const struct buffer expected = {.data = frame, .size = colors.size};
    assert_true(difference_from(temporary("colors-compressed.dcm"), &expected) < 0.1);
    free(frame);
    picture_close(&theirs);
    buffer_free(&colors);
}

int test_lenient(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_2000_of_fewer_bits_than_are_stored_comes_back),
        cmocka_unit_test(jpeg_2000_with_overlays_inside_comes_back),
        cmocka_unit_test(lossy_jpeg_2000_is_held_to_the_bits_stored),
        cmocka_unit_test(signed_lossy_jpeg_2000_is_held_on_both_sides),
        cmocka_unit_test(jpeg_2000_has_the_sign_that_the_data_set_has),
        cmocka_unit_test(a_sample_with_two_readings_is_refused),
        cmocka_unit_test(lossy_samples_below_zero_are_black_or_refused),
        cmocka_unit_test(jpeg_ls_may_be_padded_before_and_behind_its_end_marker),
        cmocka_unit_test(jpeg_ls_that_lacks_bytes_is_refused_though_zeros_stand_there),
        cmocka_unit_test(bits_in_jpeg_2000_come_back),
        cmocka_unit_test(bits_in_rle_come_back_packed_or_not),
        cmocka_unit_test(bits_in_native_and_deflated_frames_come_back),
        cmocka_unit_test(deflated_frames_of_another_size_are_refused),
        cmocka_unit_test(planes_in_native_frames_become_pixels),
        cmocka_unit_test(jpeg_of_12_bit_colors_comes_back),
    };
    return cmocka_run_group_tests_name("lenient", tests, NULL, NULL);
}
