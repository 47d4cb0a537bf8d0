// Decoded pixels against DCMTK's and GDCM's, on pydicom's test files and on pictures that these tools compress.
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/file.h"
#include "image/codec.h"
#include "support.h"

// The largest and the mean difference of two frames' samples.
struct difference {
    int64_t most;
    double mean;
};

static int64_t sample_at(const struct image_format *format, const uint8_t *frame, size_t i)
{
    switch (format->bits_allocated) {
    case 8:
        return format->is_signed ? (int8_t)frame[i] : frame[i];
    case 16:
        return format->is_signed ? (int16_t)bytes_u16le(frame + 2 * i) : bytes_u16le(frame + 2 * i);
    default:
        return bytes_u32le(frame + 4 * i);
    }
}

static struct difference compare(const struct image_format *format, const uint8_t *a, const uint8_t *b)
{
    struct difference difference = {0};
    const size_t count = (size_t)format->frame_bytes / (format->bits_allocated / 8U);
    for (size_t i = 0; i < count; i++) {
        int64_t one = llabs(sample_at(format, a, i) - sample_at(format, b, i));
        difference.most = one > difference.most ? one : difference.most;
        difference.mean += (double)one / (double)count;
    }
    return difference;
}

// Every frame of both files; the second one's is native.
static void assert_same(const char *path, const char *native_path, int64_t most, double mean)
{
    struct picture ours, theirs;
    struct error err;
    enum image_color color;
    if (!picture_open(&ours, path, &err) || !picture_open(&theirs, native_path, &err))
        fail_msg("%s: %s", path, err.message);
    assert_int_equal(ours.format.frames, theirs.format.frames);
    assert_int_equal(ours.format.frame_bytes, theirs.format.frame_bytes);
    assert_false(theirs.frames.encapsulated);
    for (uint32_t i = 0; i < ours.format.frames; i++) {
        uint8_t *a = picture_frame(&ours, i, &color, &err);
        if (!a)
            fail_msg("%s frame %u: %s", path, i + 1, err.message);
        uint8_t *b = picture_frame(&theirs, i, &color, &err);
        assert_non_null(b);
        struct difference difference = compare(&ours.format, a, b);
        if (difference.most > most || difference.mean > mean)
            fail_msg("%s frame %u: differs by up to %lld, %.4f in the mean", path, i + 1, (long long)difference.most,
                     difference.mean);
        free(a);
        free(b);
    }
    picture_close(&ours);
    picture_close(&theirs);
}

// ---- pydicom's files

static const struct {
    const char *file;
    const char *tool; // decompresses to native; NULL: GDCM
    int64_t
        most; // difference allowed: decoders of lossy code streams round differently, and smooth colours differently
    double mean;
} real_files[] = {
    {"MR_small_RLE.dcm", "dcmdrle", 0, 0},
    {"SC_rgb_rle.dcm", "dcmdrle", 0, 0},
    {"SC_rgb_rle_2frame.dcm", "dcmdrle", 0, 0},
    {"SC_rgb_rle_16bit.dcm", "dcmdrle", 0, 0},
    {"SC_rgb_rle_16bit_2frame.dcm", "dcmdrle", 0, 0},
    {"SC_rgb_rle_32bit.dcm", "dcmdrle", 0, 0},
    {"SC_rgb_rle_32bit_2frame.dcm", "dcmdrle", 0, 0},
    {"rtdose_rle.dcm", "dcmdrle", 0, 0},
    {"rtdose_rle_1frame.dcm", "dcmdrle", 0, 0},
    {"MR_small_jpeg_ls_lossless.dcm", "dcmdjpls", 0, 0},
    {"SC_rgb_jpeg_gdcm.dcm", "dcmdjpeg", 0, 0},
    {"MR_small_jp2klossless.dcm", NULL, 0, 0},
    {"GDCMJ2K_TextGBR.dcm", NULL, 0, 0},
    {"SC_rgb_gdcm_KY.dcm", NULL, 0, 0},
    {"JPEG2000.dcm", NULL, 0, 0},
    {"693_J2KI.dcm", NULL, 0, 0},
    {"JPEG-lossy.dcm", "dcmdjpeg", 1, 0.01},
    {"JPGExtended.dcm", "dcmdjpeg", 1, 0.01},
    {"SC_rgb_jpeg_dcmtk.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_rgb_jpeg_lossy_gdcm.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_rgb_jpeg_app14_dcmd.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_jpeg_no_color_transform.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_jpeg_no_color_transform_2.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_rgb_dcmtk_+eb+cr.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_rgb_dcmtk_+eb+cy+n1.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_rgb_dcmtk_+eb+cy+n2.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_rgb_dcmtk_+eb+cy+np.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_rgb_dcmtk_+eb+cy+s2.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_rgb_dcmtk_+eb+cy+s4.dcm", "dcmdjpeg", 2, 0.5},
    {"SC_rgb_small_odd_jpeg.dcm", "dcmdjpeg", 2, 0.5},
};

static void real_files_decode_as_other_decoders_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof real_files / sizeof real_files[0]; i++) {
        char path[256];
        const char *native = temporary("native.dcm");
        snprintf(path, sizeof path, PYDICOM_FILES "%s", real_files[i].file);
        const char *const with_dcmtk[] = {real_files[i].tool, path, native, NULL};
        const char *const with_gdcm[] = {"gdcmconv", "--raw", path, native, NULL};
        run_well(real_files[i].tool ? with_dcmtk : with_gdcm, NULL);
        assert_same(path, native, real_files[i].most, real_files[i].mean);
    }
}

// ---- pictures compressed by others

enum { ARGUMENTS_MAX = 6 };

// Native pictures: signed CT and MR, 12 bits unsigned, colours of 8 and 16 bits. `make` makes them from another file.
static const struct {
    const char *name;
    const char *file;
    const char *make;
} pictures[] = {
    {"ct", "CT_small.dcm", NULL},
    {"mr", "MR_small.dcm", NULL},
    {"cr12", "JPGExtended.dcm", "dcmdjpeg"},
    {"rgb", "SC_rgb_rle.dcm", "dcmdrle"},
    {"rgb16", "SC_rgb_rle_16bit.dcm", "dcmdrle"},
};

static const struct {
    const char *picture;
    const char *tool[ARGUMENTS_MAX];
    int64_t most; // 0: the code stream is lossless
} compressions[] = {
    {"ct", {"dcmcrle"}, 0},
    {"rgb16", {"dcmcrle"}, 0},
    {"ct", {"dcmcjpeg", "+e1"}, 0},
    {"mr", {"dcmcjpeg", "+e1"}, 0},
    {"cr12", {"dcmcjpeg", "+e1"}, 0},
    {"rgb", {"dcmcjpeg", "+e1"}, 0},
    {"ct", {"dcmcjpeg", "+el", "+sv", "1"}, 0},
    {"ct", {"dcmcjpeg", "+el", "+sv", "2"}, 0},
    {"ct", {"dcmcjpeg", "+el", "+sv", "3"}, 0},
    {"ct", {"dcmcjpeg", "+el", "+sv", "4"}, 0},
    {"mr", {"dcmcjpeg", "+el", "+sv", "5"}, 0},
    {"rgb", {"dcmcjpeg", "+el", "+sv", "6"}, 0},
    {"cr12", {"dcmcjpeg", "+el", "+sv", "7"}, 0},
    {"cr12", {"dcmcjpls"}, 0},
    {"ct", {"dcmcjpls"}, 0},
    {"cr12", {"dcmcjpls", "+en", "+md", "3"}, 3},
    {"rgb", {"dcmcjpls", "+il"}, 0},
    {"rgb", {"dcmcjpls", "+is"}, 0},
    {"rgb", {"dcmcjpls", "+in"}, 0},
    {"rgb16", {"dcmcjpls", "+in"}, 0},
    {"ct", {"gdcmconv", "--j2k"}, 0},
    {"mr", {"gdcmconv", "--j2k"}, 0},
    {"cr12", {"gdcmconv", "--j2k"}, 0},
    {"rgb", {"gdcmconv", "--j2k"}, 0},
    {"ct", {"gdcmconv", "--jpegls"}, 0},
    {"cr12", {"gdcmconv", "--jpeg"}, 0},
    {"ct", {"gdcmconv", "--rle"}, 0},
};

static void make_pictures(void)
{
    for (size_t i = 0; i < sizeof pictures / sizeof pictures[0]; i++) {
        char path[256], name[32];
        snprintf(path, sizeof path, PYDICOM_FILES "%s", pictures[i].file);
        snprintf(name, sizeof name, "%s.dcm", pictures[i].name);
        const char *const argv[] = {pictures[i].make ? pictures[i].make : "dcmconv", path, temporary(name), NULL};
        run_well(argv, NULL);
    }
}

static void what_others_compress_comes_back(void **state)
{
    (void)state;
    make_pictures();
    for (size_t i = 0; i < sizeof compressions / sizeof compressions[0]; i++) {
        const char *argv[ARGUMENTS_MAX + 3] = {0};
        char name[32];
        size_t count = 0;
        while (count < ARGUMENTS_MAX && compressions[i].tool[count]) {
            argv[count] = compressions[i].tool[count];
            count++;
        }
        snprintf(name, sizeof name, "%s.dcm", compressions[i].picture);
        argv[count] = temporary(name);
        argv[count + 1] = temporary("compressed.dcm");
        run_well(argv, NULL);
        assert_same(argv[count + 1], argv[count], compressions[i].most, (double)compressions[i].most);
    }
}

// ---- JPEG lossless with restart intervals, which none of these tools writes: a small encoder

struct bit_writer {
    struct buffer out;
    uint32_t bits;
    unsigned count;
};

static void put_bits(struct bit_writer *w, uint32_t value, unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        w->bits = w->bits << 1 | (value >> i & 1);
        if (++w->count % 8 != 0)
            continue;
        buffer_byte(&w->out, (uint8_t)w->bits);
        if ((w->bits & 255) == 255)
            buffer_byte(&w->out, 0);
    }
}

static void pad_bits(struct bit_writer *w)
{
    while (w->count % 8 != 0)
        put_bits(w, 1, 1);
}

// Every one of the 17 lengths has a code of 5 bits: itself.
static void put_difference(struct bit_writer *w, int32_t difference)
{
    unsigned length = 0;
    difference = (int16_t)difference;
    for (int32_t left = abs(difference); left > 0; left >>= 1)
        length++;
    put_bits(w, length, 5);
    if (length > 0 && length < 16)
        put_bits(w, (uint32_t)(difference < 0 ? difference - 1 : difference), length);
}

static int32_t predict_by_plane(const uint16_t *at, unsigned x, unsigned y, unsigned columns, unsigned restart_lines,
                                unsigned precision)
{
    bool fresh = y == 0 || (restart_lines > 0 && y % restart_lines == 0);
    if (fresh)
        return x == 0 ? 1 << (precision - 1) : at[-1];
    return x == 0 ? at[-(int)columns] : at[-1] + at[-(int)columns] - at[-(int)columns - 1];
}

static void encode_lossless(struct bit_writer *w, const uint16_t *pixels, unsigned rows, unsigned columns,
                            unsigned restart_lines, unsigned precision)
{
    static const uint8_t huffman[] = {0xFF, 0xC4, 0, 36, 0, 0, 0, 0, 0, 17, 0, 0, 0,  0,  0,  0,  0,  0,  0,
                                      0,    0,    0, 1,  2, 3, 4, 5, 6, 7,  8, 9, 10, 11, 12, 13, 14, 15, 16};
    static const uint8_t scan[] = {0xFF, 0xDA, 0, 8, 1, 1, 0, 4, 0, 0};
    buffer_init(&w->out, 1 << 20);
    buffer_append(&w->out, "\xFF\xD8\xFF\xC3\0\x0B", 6);
    buffer_byte(&w->out, (uint8_t)precision);
    buffer_u16be(&w->out, (uint16_t)rows);
    buffer_u16be(&w->out, (uint16_t)columns);
    buffer_append(&w->out, "\1\1\x11\0", 4);
    buffer_append(&w->out, huffman, sizeof huffman);
    buffer_append(&w->out, "\xFF\xDD\0\4", 4);
    buffer_u16be(&w->out, (uint16_t)(restart_lines * columns));
    buffer_append(&w->out, scan, sizeof scan);
    for (unsigned y = 0; y < rows; y++) {
        if (restart_lines > 0 && y > 0 && y % restart_lines == 0) {
            pad_bits(w);
            buffer_byte(&w->out, 0xFF);
            buffer_byte(&w->out, (uint8_t)(0xD0 + (y / restart_lines - 1) % 8));
        }
        for (unsigned x = 0; x < columns; x++) {
            const uint16_t *at = pixels + (size_t)y * columns + x;
            put_difference(w, *at - predict_by_plane(at, x, y, columns, restart_lines, precision));
        }
    }
    pad_bits(w);
    buffer_append(&w->out, "\xFF\xD9", 2);
}

static void lossless_jpeg_with_restarts_comes_back(void **state)
{
    (void)state;
    enum { ROWS = 40, COLUMNS = 37 };
    static uint16_t pixels[ROWS * COLUMNS];
    static uint8_t out[sizeof pixels];
    const struct image_format format = gray(ROWS, COLUMNS, 16, 16, false);
    for (unsigned i = 0; i < ROWS * COLUMNS; i++)
        pixels[i] = (uint16_t)(i * i * 40503U + (i % 7 == 0 ? 32768U : 0)); // large differences, modulo 2^16
    for (unsigned restart_lines = 0; restart_lines < 4; restart_lines++) {
        struct bit_writer w = {0};
        struct error err;
        enum image_color color;
        encode_lossless(&w, pixels, ROWS, COLUMNS, restart_lines, 16);
        if (!image_decode("1.2.840.10008.1.2.4.57", &format, w.out.data, w.out.size, out, &color, &err))
            fail_msg("restart after %u lines: %s", restart_lines, err.message);
        for (unsigned i = 0; i < ROWS * COLUMNS; i++)
            assert_int_equal(bytes_u16le(out + 2 * i), pixels[i]);
        buffer_free(&w.out);
    }
}

// A code stream of 12 bits does not say that they are signed; the data set does.
static void signed_samples_have_their_sign_in_all_bits(void **state)
{
    (void)state;
    enum { ROWS = 16, COLUMNS = 16, STORED = 12 };
    static uint16_t pixels[ROWS * COLUMNS];
    static uint8_t out[sizeof pixels];
    const struct image_format format = gray(ROWS, COLUMNS, STORED, 16, true);
    struct bit_writer w = {0};
    struct error err;
    enum image_color color;
    for (int i = 0; i < ROWS * COLUMNS; i++)
        pixels[i] = (uint16_t)((i * 16 - 2048) & 0xFFF);
    encode_lossless(&w, pixels, ROWS, COLUMNS, 0, STORED);
    if (!image_decode("1.2.840.10008.1.2.4.70", &format, w.out.data, w.out.size, out, &color, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        assert_int_equal((int16_t)bytes_u16le(out + 2 * i), i * 16 - 2048);
    buffer_free(&w.out);
}

// Of 12 bits where 16 are stored: the highest of them would be the sign, or not.
static void lossless_jpeg_of_fewer_bits_than_are_stored_comes_back(void **state)
{
    (void)state;
    enum { ROWS = 16, COLUMNS = 16, PRECISION = 12 };
    static uint16_t pixels[ROWS * COLUMNS];
    static uint8_t out[sizeof pixels];
    struct image_format format = gray(ROWS, COLUMNS, 16, 16, false);
    struct bit_writer w = {0};
    struct error err;
    enum image_color color;
    for (int i = 0; i < ROWS * COLUMNS; i++)
        pixels[i] = (uint16_t)(i * 16 + 15);
    encode_lossless(&w, pixels, ROWS, COLUMNS, 0, PRECISION);
    assert_ok(image_decode("1.2.840.10008.1.2.4.70", &format, w.out.data, w.out.size, out, &color, &err), err);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        assert_int_equal(bytes_u16le(out + 2 * i), pixels[i]);
    format.is_signed = true;
    assert_false(image_decode("1.2.840.10008.1.2.4.70", &format, w.out.data, w.out.size, out, &color, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
    assert_non_null(strstr(err.message, "it may be negative or not"));
    buffer_free(&w.out);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        pixels[i] /= 2;
    encode_lossless(&w, pixels, ROWS, COLUMNS, 0, PRECISION);
    assert_ok(image_decode("1.2.840.10008.1.2.4.70", &format, w.out.data, w.out.size, out, &color, &err), err);
    assert_int_equal(bytes_u16le(out + 2 * 255), 2047);
    buffer_free(&w.out);
}

// A binary portable grey map, most significant byte first.
static void write_pgm(const struct picture *picture, const uint8_t *frame, const char *path)
{
    FILE *file = fopen(path, "wbe");
    assert_non_null(file);
    fprintf(file, "P5\n%u %u\n%u\n", picture->format.columns, picture->format.rows,
            (1U << picture->format.bits_stored) - 1);
    for (size_t i = 0; i < picture->format.frame_bytes; i += 2) {
        fputc(frame[i + 1], file);
        fputc(frame[i], file);
    }
    assert_int_equal(fclose(file), 0);
}

static void high_throughput_jpeg_2000_comes_back(void **state)
{
    (void)state;
    struct picture picture;
    struct error err;
    enum image_color color;
    make_pictures();
    assert_true(picture_open(&picture, temporary("cr12.dcm"), &err));
    uint8_t *frame = picture_frame(&picture, 0, &color, &err), *out = malloc(picture.format.frame_bytes);
    assert_non_null(frame);
    assert_non_null(out);
    const char *pgm = temporary("cr12.pgm"), *stream = temporary("cr12.j2c");
    write_pgm(&picture, frame, pgm);
    run_well((const char *const[]){"ojph_compress", "-i", pgm, "-o", stream, "-reversible", "true", NULL}, NULL);
    struct buffer bytes;
    buffer_init(&bytes, 64 << 20);
    assert_true(file_read(stream, &bytes, &err));
    if (!image_decode("1.2.840.10008.1.2.4.201", &picture.format, bytes.data, bytes.size, out, &color, &err))
        fail_msg("%s", err.message);
    assert_memory_equal(out, frame, picture.format.frame_bytes);
    buffer_free(&bytes);
    free(frame);
    free(out);
    picture_close(&picture);
}

int test_codec(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_files_decode_as_other_decoders_do),
        cmocka_unit_test(what_others_compress_comes_back),
        cmocka_unit_test(lossless_jpeg_with_restarts_comes_back),
        cmocka_unit_test(signed_samples_have_their_sign_in_all_bits),
        cmocka_unit_test(lossless_jpeg_of_fewer_bits_than_are_stored_comes_back),
        cmocka_unit_test(high_throughput_jpeg_2000_comes_back),
    };
    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
