// JPEG with 8-bit samples, sequential (ISO/IEC 10918-1, processes 1 and 2), by libjpeg-turbo. A 12-bit stream is handed
// to codec_jpeg_extended.
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

#include "base/bytes.h"
#include "image/codecs.h"
#include "image/jpeg_stream.h"

enum { SOF_BASELINE = 0xC0, SOF_EXTENDED = 0xC1 };

struct decoder {
    struct jpeg_error_mgr errors; // first: libjpeg gives its address back
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct jpeg;
    jmp_buf failed;
    char message[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr jpeg)
{
    struct decoder *decoder = (struct decoder *)(void *)jpeg->err;
    jpeg->err->format_message(jpeg, decoder->message);
    longjmp(decoder->failed, 1);
}

// libjpeg calls data that it had to make up a warning. Here that is an error: grey where anatomy should be is a wrong
// image.
static void on_message(j_common_ptr jpeg, int level)
{
    static const int harmless[] = {JWRN_EXTRANEOUS_DATA, JWRN_ADOBE_XFORM, JWRN_JFIF_MAJOR, JWRN_TOO_MUCH_DATA,
                                   JWRN_NOT_SEQUENTIAL};
    if (level >= 0)
        return;
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        if (jpeg->err->msg_code == harmless[i])
            return;
    on_error(jpeg);
}

// A sequential stream has at most one scan a component; thousands of scans are an attack on the time.
static void on_progress(j_common_ptr jpeg)
{
    struct decoder *decoder = (struct decoder *)(void *)jpeg->err;
    if (decoder->jpeg.input_scan_number > decoder->jpeg.num_components) {
        snprintf(decoder->message, sizeof decoder->message, "more scans than components");
        longjmp(decoder->failed, 1);
    }
}

static void source_nothing(j_decompress_ptr jpeg)
{
    (void)jpeg;
}

// Behind the last byte stands an end marker: a stream that only lacks that one is whole, a cut one raises "premature
// end".
static boolean source_fill(j_decompress_ptr jpeg)
{
    static const JOCTET end[] = {0xFF, JPEG_EOI};
    jpeg->src->next_input_byte = end;
    jpeg->src->bytes_in_buffer = sizeof end;
    return TRUE;
}

static void source_skip(j_decompress_ptr jpeg, long count)
{
    while (count > (long)jpeg->src->bytes_in_buffer) {
        count -= (long)jpeg->src->bytes_in_buffer;
        source_fill(jpeg);
        if (count > 2) // the segment ends behind the stream
            ERREXIT(jpeg, JERR_INPUT_EOF);
    }
    jpeg->src->next_input_byte += count;
    jpeg->src->bytes_in_buffer -= (size_t)count;
}

static void set_up(struct decoder *decoder, const struct codec_job *job)
{
    decoder->jpeg.err = jpeg_std_error(&decoder->errors);
    decoder->errors.error_exit = on_error;
    decoder->errors.emit_message = on_message;
    jpeg_create_decompress(&decoder->jpeg);
    decoder->source = (struct jpeg_source_mgr){.next_input_byte = job->data,
                                               .bytes_in_buffer = job->size,
                                               .init_source = source_nothing,
                                               .fill_input_buffer = source_fill,
                                               .skip_input_data = source_skip,
                                               .resync_to_restart = jpeg_resync_to_restart,
                                               .term_source = source_nothing};
    decoder->jpeg.src = &decoder->source;
    decoder->progress.progress_monitor = on_progress;
    decoder->jpeg.progress = &decoder->progress;
}

static void choose_color(struct decoder *decoder, struct codec_job *job)
{
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    if (jpeg->num_components != 3)
        return;
    const int transform = jpeg->saw_Adobe_marker ? jpeg->Adobe_transform : JPEG_NO_ADOBE;
    jpeg->jpeg_color_space = jpeg_is_rgb(jpeg->saw_JFIF_marker, transform, job->color) ? JCS_RGB : JCS_YCbCr;
    jpeg->out_color_space = JCS_RGB;
    job->color = IMAGE_RGB;
}

static void decode_lines(struct decoder *decoder, struct codec_job *job)
{
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(jpeg);
    const size_t line = (size_t)jpeg->output_width * (size_t)jpeg->output_components;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = job->out + line * jpeg->output_scanline;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
}

static bool decode_8bit(struct decoder *decoder, struct codec_job *job, struct error *err)
{
    if (setjmp(decoder->failed))
        return error_set(err, ERROR_BAD_DATA, "JPEG: %s", decoder->message);
    set_up(decoder, job);
    jpeg_read_header(&decoder->jpeg, TRUE);
    choose_color(decoder, job);
    jpeg_calc_output_dimensions(&decoder->jpeg);
    if (decoder->jpeg.output_components != job->format->samples)
        return error_set(err, ERROR_BAD_DATA, "JPEG: %d components", decoder->jpeg.output_components);
    decode_lines(decoder, job);
    return true;
}

// From 8-bit samples at the start of the frame to 16-bit ones, in place.
static void widen(struct codec_job *job)
{
    for (uint64_t i = job->format->frame_bytes / 2; i-- > 0;)
        bytes_put_u16le(job->out + 2 * i, job->out[i]);
}

bool codec_jpeg_begins(const struct image_format *format, const uint8_t *data, size_t size)
{
    (void)format;
    return size > 2 && data[0] == 0xFF && data[1] == 0xD8 && data[2] == 0xFF;
}

bool codec_jpeg(struct codec_job *job, struct error *err)
{
    struct jpeg_header header;
    if (!jpeg_header_find(job->data, job->size, &header, err))
        return false;
    if (header.process != SOF_BASELINE && header.process != SOF_EXTENDED)
        return error_set(err, ERROR_BAD_DATA, "JPEG process %02XH is not that of the transfer syntax", header.process);
    if (!codec_fits(job, header.rows, header.columns, header.components, header.precision, err))
        return false;
    job->precision = header.precision;
    if (header.precision == 12)
        return codec_jpeg_extended(job, err);
    if (header.precision != 8 || job->format->bits_allocated > 16)
        return error_set(err, ERROR_BAD_DATA, "JPEG with samples of %u bits in %u allocated", header.precision,
                         job->format->bits_allocated);
    struct decoder decoder = {0};
    bool ok = decode_8bit(&decoder, job, err);
    jpeg_destroy_decompress(&decoder.jpeg);
    if (ok && job->format->bits_allocated == 16)
        widen(job);
    return ok;
}
