// Broken code streams (bad-input 28 to 37, 43): each is refused with a reason; with AddressSanitizer, nothing is
// touched that should not be. The codecs run here, in this process; in the product only in their sandbox.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "image/codec.h"
#include "support.h"

#define RLE "1.2.840.10008.1.2.5"
#define JPEG "1.2.840.10008.1.2.4.50"
#define JPEG_EXTENDED "1.2.840.10008.1.2.4.51"
#define JPEG_LOSSLESS "1.2.840.10008.1.2.4.70"
#define JPEG_LS "1.2.840.10008.1.2.4.80"
#define J2K "1.2.840.10008.1.2.4.90"

enum { STREAM_MAX = 1 << 20, MUTATIONS = 150 };

static const struct image_format mono8 = {.rows = 8,
                                          .columns = 8,
                                          .frames = 1,
                                          .samples = 1,
                                          .bits_allocated = 8,
                                          .bits_stored = 8,
                                          .high_bit = 7,
                                          .color = IMAGE_MONOCHROME2,
                                          .frame_bytes = 64};
static const struct image_format rgb8 = {.rows = 8,
                                         .columns = 8,
                                         .frames = 1,
                                         .samples = 3,
                                         .bits_allocated = 8,
                                         .bits_stored = 8,
                                         .high_bit = 7,
                                         .color = IMAGE_RGB,
                                         .frame_bytes = 192};
static const struct image_format mono16 = {.rows = 8,
                                           .columns = 8,
                                           .frames = 1,
                                           .samples = 1,
                                           .bits_allocated = 16,
                                           .bits_stored = 12,
                                           .high_bit = 11,
                                           .color = IMAGE_MONOCHROME2,
                                           .frame_bytes = 128};

// Decodes from and into memory of exactly the right sizes, so that AddressSanitizer sees a step outside; false with
// *err.
static bool decode(const char *syntax, const struct image_format *format, const void *data, size_t size,
                   struct error *err)
{
    uint8_t *in = malloc(size > 0 ? size : 1), *out = malloc((size_t)format->frame_bytes);
    enum image_color color;
    assert_non_null(in);
    assert_non_null(out);
    memcpy(in, data, size);
    bool ok = image_decode(syntax, format, in, size, out, &color, err);
    free(in);
    free(out);
    return ok;
}

static void assert_refused(const char *syntax, const struct image_format *format, const void *data, size_t size,
                           const char *told)
{
    struct error err = {0};
    if (decode(syntax, format, data, size, &err))
        fail_msg("not refused: %s", told);
    if (!strstr(err.message, told))
        fail_msg("'%s' does not say '%s'", err.message, told);
}

// ---- RLE

struct rle {
    uint8_t bytes[1024];
    size_t size;
};

static struct rle rle_header(uint32_t segments, uint32_t a, uint32_t b, uint32_t c)
{
    struct rle rle = {.size = 64};
    bytes_put_u32le(rle.bytes, segments);
    bytes_put_u32le(rle.bytes + 4, a);
    bytes_put_u32le(rle.bytes + 8, b);
    bytes_put_u32le(rle.bytes + 12, c);
    return rle;
}

static void rle_add(struct rle *rle, const void *data, size_t size)
{
    memcpy(rle->bytes + rle->size, data, size);
    rle->size += size;
}

static const uint8_t run_of_64[] = {(uint8_t)(257 - 64), 7};

static void rle_frames_with_wrong_segments_are_refused_line_28(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 2, 16, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct rle rle = rle_header(counts[i], 64, 66, 68);
        rle_add(&rle, run_of_64, 2);
        assert_refused(RLE, &mono8, rle.bytes, rle.size, "segments");
    }
    assert_refused(RLE, &mono8, "short", 5, "RLE frame of 5 bytes");
}

static void rle_offsets_that_lie_are_refused_line_29(void **state)
{
    (void)state;
    static const uint32_t offsets[][3] = {
        {64, 66, 9999}, {64, 62, 68}, {68, 66, 64}, {0, 66, 68}, {UINT32_MAX, 66, 68}};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        struct rle rle = rle_header(3, offsets[i][0], offsets[i][1], offsets[i][2]);
        for (int segment = 0; segment < 3; segment++)
            rle_add(&rle, run_of_64, 2);
        assert_refused(RLE, &rgb8, rle.bytes, rle.size, "lies from");
    }
}

static void rle_that_yields_more_than_a_frame_is_refused_line_30(void **state)
{
    (void)state;
    struct rle rle = rle_header(1, 64, 0, 0);
    for (int i = 0; i < 3; i++)
        rle_add(&rle, run_of_64, 2);
    assert_refused(RLE, &mono8, rle.bytes, rle.size, "more than the 64 bytes");
    rle = rle_header(1, 64, 0, 0);
    rle_add(&rle, (const uint8_t[]){(uint8_t)(257 - 66), 7}, 2);
    assert_refused(RLE, &mono8, rle.bytes, rle.size, "does not fit");
    rle = rle_header(1, 64, 0, 0);
    rle_add(&rle, run_of_64, 2);
    rle_add(&rle, (const uint8_t[]){1, 8, 9}, 3); // two samples too many
    assert_refused(RLE, &mono8, rle.bytes, rle.size, "more than the 64 bytes");
}

static void one_sample_of_rle_too_many_is_dropped(void **state)
{
    (void)state;
    static const uint8_t in_the_run[] = {(uint8_t)(257 - 65), 7}, literal[] = {0, 9}, padded[] = {0, 9, 0};
    struct error err;
    struct rle rle = rle_header(1, 64, 0, 0);
    rle_add(&rle, in_the_run, sizeof in_the_run);
    assert_ok(decode(RLE, &mono8, rle.bytes, rle.size, &err), err);
    rle = rle_header(1, 64, 0, 0);
    rle_add(&rle, run_of_64, 2);
    rle_add(&rle, literal, sizeof literal);
    assert_ok(decode(RLE, &mono8, rle.bytes, rle.size, &err), err);
    rle = rle_header(1, 64, 0, 0);
    rle_add(&rle, run_of_64, 2);
    rle_add(&rle, padded, sizeof padded);
    assert_ok(decode(RLE, &mono8, rle.bytes, rle.size, &err), err);
}

static void cut_rle_is_refused_line_31(void **state)
{
    (void)state;
    struct rle rle = rle_header(1, 64, 0, 0);
    rle_add(&rle, (const uint8_t[]){63, 1, 2, 3}, 4);
    assert_refused(RLE, &mono8, rle.bytes, rle.size, "does not fit");
    rle = rle_header(1, 64, 0, 0);
    rle_add(&rle, (const uint8_t[]){(uint8_t)(257 - 64)}, 1);
    assert_refused(RLE, &mono8, rle.bytes, rle.size, "does not fit");
    rle = rle_header(1, 64, 0, 0);
    rle_add(&rle, (const uint8_t[]){(uint8_t)(257 - 60), 1, 128, 128}, 4);
    assert_refused(RLE, &mono8, rle.bytes, rle.size, "ends after 60 of 64");
}

static void rle_padding_is_fine(void **state)
{
    (void)state;
    struct rle rle = rle_header(1, 64, 0, 0);
    struct error err;
    rle_add(&rle, run_of_64, 2);
    rle_add(&rle, (const uint8_t[]){128, 0}, 2);
    assert_true(decode(RLE, &mono8, rle.bytes, rle.size, &err));
}

// ---- JPEG: a real stream, and changes to it

struct stream {
    struct picture picture;
    uint8_t *bytes;
    size_t size;
};

static struct stream open_stream(const char *file)
{
    struct stream stream;
    struct error err;
    char path[256];
    snprintf(path, sizeof path, PYDICOM_FILES "%s", file);
    assert_true(picture_open(&stream.picture, path, &err));
    stream.bytes = picture_stream(&stream.picture, 0, &stream.size, &err);
    assert_non_null(stream.bytes);
    return stream;
}

static void close_stream(struct stream *stream)
{
    free(stream->bytes);
    picture_close(&stream->picture);
}

static uint8_t *find_marker(struct stream *stream, uint8_t marker)
{
    for (size_t i = 0; i + 1 < stream->size; i++)
        if (stream->bytes[i] == 0xFF && stream->bytes[i + 1] == marker)
            return stream->bytes + i;
    fail_msg("no marker %02X", marker);
    return NULL;
}

static void jpeg_markers_that_mean_nothing_are_refused_line_32(void **state)
{
    (void)state;
    uint8_t loop[4096] = {0xFF, 0xD8};
    for (size_t i = 2; i < sizeof loop; i += 2) {
        loop[i] = 0xFF;
        loop[i + 1] = 0x01;
    }
    assert_refused(JPEG, &mono8, loop, sizeof loop, "marker 01H");
    assert_refused(JPEG_LOSSLESS, &mono8, loop, sizeof loop, "marker 01H");
    memset(loop + 2, 0xFF, sizeof loop - 2);
    assert_refused(JPEG, &mono8, loop, sizeof loop, "cut off");
    assert_refused(JPEG, &mono8, "", 0, "start of image");
}

static void jpeg_of_another_size_is_refused_line_33(void **state)
{
    (void)state;
    struct stream stream = open_stream("SC_rgb_jpeg_dcmtk.dcm");
    uint8_t *sof = find_marker(&stream, 0xC0);
    bytes_put_u16be(sof + 5, 65000);
    assert_refused(JPEG, &stream.picture.format, stream.bytes, stream.size, "65000 rows");
    bytes_put_u16be(sof + 5, 0); // to be told by DNL, which nobody writes
    assert_refused(JPEG, &stream.picture.format, stream.bytes, stream.size, "0 rows");
    bytes_put_u16be(sof + 5, 100);
    stream.picture.format.samples = 1;
    assert_refused(JPEG, &stream.picture.format, stream.bytes, stream.size, "3 components");
    close_stream(&stream);
}

// A baseline frame of 8 x 8, one component, and `scans` scans of it.
static size_t many_scans(uint8_t *out, uint8_t process, unsigned scans)
{
    static const uint8_t quantizer[] = {0xFF, 0xDB, 0, 67, 0};
    const uint8_t frame[] = {0xFF, process, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0};
    static const uint8_t huffman[] = {0xFF, 0xC4, 0, 20, 0x00, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                      0xFF, 0xC4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t scan[] = {0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 0, 0, 0x3F};
    size_t size = 0;
    memcpy(out + size, (const uint8_t[]){0xFF, 0xD8}, 2);
    size += 2;
    memcpy(out + size, quantizer, sizeof quantizer);
    size += sizeof quantizer;
    memset(out + size, 1, 64);
    size += 64;
    memcpy(out + size, frame, sizeof frame);
    size += sizeof frame;
    memcpy(out + size, huffman, sizeof huffman);
    size += sizeof huffman;
    for (unsigned i = 0; i < scans; i++, size += sizeof scan)
        memcpy(out + size, scan, sizeof scan);
    memcpy(out + size, (const uint8_t[]){0xFF, 0xD9}, 2);
    return size + 2;
}

static void tens_of_thousands_of_scans_are_refused_at_once_line_34(void **state)
{
    (void)state;
    static uint8_t stream[STREAM_MAX];
    struct error err;
    int64_t start = clock_monotonic_ns();
    size_t size = many_scans(stream, 0xC2, 80000);
    assert_refused(JPEG, &mono8, stream, size, "process C2H");
    size = many_scans(stream, 0xC0, 80000);
    (void)decode(JPEG, &mono8, stream, size,
                 &err); // one scan is the whole image of one component; what follows is not looked at
    size = many_scans(stream, 0xC3, 80000);
    assert_refused(JPEG_LOSSLESS, &mono8, stream, size, "predictor 0");
    assert_true(clock_monotonic_ns() - start < CLOCK_SECOND);
}

static void a_cut_stream_is_refused_not_filled_with_grey(void **state)
{
    (void)state;
    static const char *const files[] = {"SC_rgb_jpeg_dcmtk.dcm", "JPGExtended.dcm", "SC_rgb_jpeg_gdcm.dcm",
                                        "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct stream stream = open_stream(files[i]);
        struct error err;
        int64_t start = clock_monotonic_ns();
        for (size_t cut = 0; cut < stream.size * 9 / 10; cut += stream.size / 37 + 1)
            if (decode(stream.picture.meta.transfer_syntax, &stream.picture.format, stream.bytes, cut, &err))
                fail_msg("%s: decoded from %zu of %zu bytes", files[i], cut, stream.size);
        assert_true(clock_monotonic_ns() - start < 2 * CLOCK_SECOND);
        close_stream(&stream);
    }
}

// ---- JPEG-LS and JPEG 2000

static void jpeg_ls_with_bad_parameters_is_refused_line_35(void **state)
{
    (void)state;
    struct stream stream = open_stream("MR_small_jpeg_ls_lossless.dcm");
    const struct image_format *format = &stream.picture.format;
    uint8_t *sos = find_marker(&stream, 0xDA), *sof = find_marker(&stream, 0xF7);
    const uint8_t near = sos[7];
    sos[7] = 255; // NEAR
    assert_refused(JPEG_LS, format, stream.bytes, stream.size, "JPEG-LS");
    sos[7] = near;
    sos[8] = 9; // interleave mode
    assert_refused(JPEG_LS, format, stream.bytes, stream.size, "JPEG-LS");
    sos[8] = 0;
    sof[4] = 17; // precision
    assert_refused(JPEG_LS, format, stream.bytes, stream.size, "JPEG-LS");
    sof[4] = 8;
    assert_refused(JPEG_LS, format, stream.bytes, stream.size, "JPEG-LS");
    sof[4] = 16;
    assert_refused(JPEG_LS, format, stream.bytes, stream.size / 2, "JPEG-LS");
    close_stream(&stream);
}

static void jpeg_2000_of_too_many_bits_is_refused_line_36(void **state)
{
    (void)state;
    struct stream stream = open_stream("MR_small_jp2klossless.dcm");
    struct image_format format = stream.picture.format;
    uint8_t *precision = find_marker(&stream, 0x51) + 40;
    *precision = 0x80 | 37;
    assert_refused(J2K, &format, stream.bytes, stream.size, "samples of 38 bits");
    *precision = 0x80 | 16;
    assert_refused(J2K, &format, stream.bytes, stream.size, "samples of 17 bits");
    *precision = 0x80 | 7;
    format.bits_stored = 12; // the upper ones
    assert_refused(J2K, &format, stream.bytes, stream.size, "samples of 8 bits");
    close_stream(&stream);
}

static void jpeg_2000_of_a_million_tiles_is_refused_line_37(void **state)
{
    (void)state;
    struct stream stream = open_stream("MR_small_jp2klossless.dcm");
    uint8_t *siz = find_marker(&stream, 0x51);
    bytes_put_u32be(siz + 22, 1);
    bytes_put_u32be(siz + 26, 1);
    int64_t start = clock_monotonic_ns();
    assert_refused(J2K, &stream.picture.format, stream.bytes, stream.size, "of tile 2 of 4096"); // 64 x 64 tiles
    bytes_put_u32be(siz + 6, 1U << 31);
    bytes_put_u32be(siz + 10, 1U << 31);
    assert_refused(J2K, &stream.picture.format, stream.bytes, stream.size, "tiles");
    bytes_put_u32be(siz + 22, UINT32_MAX);
    bytes_put_u32be(siz + 26, UINT32_MAX);
    assert_refused(J2K, &stream.picture.format, stream.bytes, stream.size, "2147483648 rows");
    assert_true(clock_monotonic_ns() - start < CLOCK_SECOND);
    close_stream(&stream);
}

static void a_syntax_without_decoder_is_named_line_43(void **state)
{
    (void)state;
    struct error err;
    assert_false(decode("1.3.46.670589.33.1.4.1", &mono16, "\xA5", 1, &err)); // PMSCT_RLE1
    assert_int_equal(err.code, ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "1.3.46.670589.33.1.4.1"));
}

// ---- at random, by seed

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void damaged_streams_never_step_outside(void **state)
{
    (void)state;
    static const char *const files[] = {
        "MR_small_RLE.dcm",     "SC_rgb_jpeg_dcmtk.dcm",         "JPGExtended.dcm",
        "SC_rgb_jpeg_gdcm.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm",
        "SC_rgb_rle_16bit.dcm"};
    uint32_t seed = 20261124;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct stream stream = open_stream(files[i]);
        uint8_t *bytes = malloc(stream.size);
        assert_non_null(bytes);
        for (int k = 0; k < MUTATIONS; k++) {
            struct error err;
            memcpy(bytes, stream.bytes, stream.size);
            for (unsigned changes = 1 + next_random(&seed) % 8; changes > 0; changes--)
                bytes[next_random(&seed) % (k % 2               ? stream.size
                                            : stream.size < 200 ? stream.size
                                                                : 200)] = (uint8_t)next_random(&seed);
            const size_t size = k % 5 ? stream.size : next_random(&seed) % stream.size;
            (void)decode(stream.picture.meta.transfer_syntax, &stream.picture.format, bytes, size, &err);
        }
        free(bytes);
        close_stream(&stream);
    }
}

int test_bad_frames(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rle_frames_with_wrong_segments_are_refused_line_28),
        cmocka_unit_test(rle_offsets_that_lie_are_refused_line_29),
        cmocka_unit_test(rle_that_yields_more_than_a_frame_is_refused_line_30),
        cmocka_unit_test(one_sample_of_rle_too_many_is_dropped),
        cmocka_unit_test(cut_rle_is_refused_line_31),
        cmocka_unit_test(rle_padding_is_fine),
        cmocka_unit_test(jpeg_markers_that_mean_nothing_are_refused_line_32),
        cmocka_unit_test(jpeg_of_another_size_is_refused_line_33),
        cmocka_unit_test(tens_of_thousands_of_scans_are_refused_at_once_line_34),
        cmocka_unit_test(a_cut_stream_is_refused_not_filled_with_grey),
        cmocka_unit_test(jpeg_ls_with_bad_parameters_is_refused_line_35),
        cmocka_unit_test(jpeg_2000_of_too_many_bits_is_refused_line_36),
        cmocka_unit_test(jpeg_2000_of_a_million_tiles_is_refused_line_37),
        cmocka_unit_test(a_syntax_without_decoder_is_named_line_43),
        cmocka_unit_test(damaged_streams_never_step_outside),
    };
    return cmocka_run_group_tests_name("bad frames", tests, NULL, NULL);
}
