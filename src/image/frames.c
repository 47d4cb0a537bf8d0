#include "image/frames.h"

#include <stdlib.h>
#include <string.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/file.h"
#include "image/fragments.h"

enum { BLOCK = 64 << 10, PIECE = 1 << 20, OTHERS_MAX = 16 << 20 }; // OTHERS_MAX: what else a deflated data set holds

static const struct dicom_element *find_pixels(const struct dicom_dataset *dataset)
{
    static const dicom_tag tags[] = {DICOM_TAG(0x7FE0, 0x0010), DICOM_TAG(0x7FE0, 0x0008), DICOM_TAG(0x7FE0, 0x0009)};
    const struct dicom_element *pixels = NULL;
    for (size_t i = 0; !pixels && i < sizeof tags / sizeof *tags; i++)
        pixels = dicom_find(dataset, tags[i]);
    return pixels;
}

// ---- opening

// The pixels of a deflated data set have no place in its bytes: they are inflated once, with all that stands before.
static bool inflate(struct image_frames *frames, struct error *err)
{
    const struct dicom_parse_options options = {.value_max = IMAGE_INFLATED_MAX};
    const struct dicom_dataset *dataset;
    struct source_reader from = {frames->reader, 0, malloc(BLOCK), BLOCK};
    bool ok = from.block ? dicom_parse(source_from_reader(&from), dicom_transfer_syntax(frames->transfer_syntax),
                                       &options, &frames->inflated, &dataset, err)
                         : error_set(err, ERROR_MEMORY, "no memory to inflate a data set");
    free(from.block);
    if (!ok)
        return false;
    frames->pixels = find_pixels(dataset);
    return frames->pixels || error_set(err, ERROR_NOT_FOUND, "the object has no pixel data");
}

// Pixels of known length are native in any transfer syntax, if they are just as long as native ones: objects are sent
// that have only the name of an encapsulated one.
static bool open_native(struct image_frames *frames, bool named_encapsulated, struct error *err)
{
    const struct dicom_element *pixels = frames->pixels;
    struct image_format *format = &frames->format;
    if (!image_settle(format, pixels->length, err))
        return false;
    const uint64_t due = (format->frames * format->frame_bits + 7) / 8;
    if (named_encapsulated && pixels->length != due && pixels->length != due + due % 2)
        return error_set(
            err, ERROR_BAD_DATA,
            "transfer syntax %s has fragments, the pixel data are a value of %u bytes; native frames would "
            "have %llu",
            frames->transfer_syntax, pixels->length, (unsigned long long)due);
    frames->as_it_lies =
        !frames->deflated && format->frame_bits % 8 == 0 && (!pixels->big_endian || dicom_vr_unit(pixels->vr) == 1);
    return true;
}

static bool open_pixels(struct image_frames *frames, const struct dicom_dataset *dataset, struct error *err)
{
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_or_default(frames->transfer_syntax);
    if (!image_describe(dataset, &frames->format, err))
        return false;
    frames->pixels = find_pixels(dataset);
    if (!frames->pixels)
        return error_set(err, ERROR_NOT_FOUND, "the object has no pixel data");
    frames->deflated = syntax->deflated;
    if (frames->deflated && !frames->pixels->value && !inflate(frames, err))
        return false;
    frames->encapsulated = frames->pixels->undefined_length;
    if (!frames->encapsulated)
        return open_native(frames, syntax->encapsulated, err);
    if (!syntax->encapsulated)
        return error_set(err, ERROR_BAD_DATA, "transfer syntax %s is native, the pixel data are fragments",
                         frames->transfer_syntax);
    return fragments_map(frames, dataset, err);
}

bool image_frames_open(struct image_frames *frames, const struct dicom_dataset *dataset, const char *transfer_syntax,
                       struct reader reader, struct image_decoder *decoder, struct error *err)
{
    *frames = (struct image_frames){.transfer_syntax = transfer_syntax, .reader = reader, .decoder = decoder};
    arena_init(&frames->inflated, (size_t)IMAGE_INFLATED_MAX + OTHERS_MAX);
    if (open_pixels(frames, dataset, err))
        return true;
    image_frames_close(frames);
    return false;
}

void image_frames_close(struct image_frames *frames)
{
    arena_free(&frames->inflated);
    free(frames->starts);
    reader_release(&frames->reader);
    *frames = (struct image_frames){0};
}

// ---- native

static uint64_t first_bit_of(const struct image_frames *frames, uint32_t index)
{
    return index * frames->format.frame_bits;
}

static bool is_whole(const struct image_frames *frames, uint32_t index, struct error *err)
{
    const uint64_t bits = frames->format.frame_bits;
    return first_bit_of(frames, index) + bits <= (uint64_t)frames->pixels->length * 8 ||
           error_set(err, ERROR_BAD_DATA, "pixel data of %u bytes end before frame %u of %u, of %llu bits each",
                     frames->pixels->length, index + 1, frames->format.frames, (unsigned long long)bits);
}

static bool read_value(const struct image_frames *frames, uint64_t offset, size_t size, uint8_t *out, struct error *err)
{
    return dicom_value_read(frames->pixels, frames->deflated ? NULL : &frames->reader, offset, size, out, err);
}

// A frame of one bit a pixel may begin and end inside a byte.
static bool native_bits(const struct image_frames *frames, uint64_t first_bit, uint8_t *out, struct error *err)
{
    const uint64_t bits = frames->format.frame_bits, first = first_bit / 8, end = (first_bit + bits + 7) / 8;
    const unsigned shift = (unsigned)(first_bit % 8), rest = (unsigned)(bits % 8);
    const size_t size = (size_t)frames->format.frame_bytes;
    uint8_t *bytes = calloc(1, size + 1); // end - first is size or one more
    bool ok = bytes ? read_value(frames, first, (size_t)(end - first), bytes, err)
                    : error_set(err, ERROR_MEMORY, "no memory for a frame of %zu bytes", size);
    for (size_t i = 0; ok && i < size; i++)
        out[i] = (uint8_t)(bytes[i] >> shift | bytes[i + 1] << (8 - shift));
    if (ok && rest > 0)
        out[size - 1] &= (uint8_t)((1U << rest) - 1);
    free(bytes);
    return ok;
}

static bool native_frame(const struct image_frames *frames, uint32_t index, uint8_t *out, struct error *err)
{
    const uint64_t first_bit = first_bit_of(frames, index);
    if (!is_whole(frames, index, err))
        return false;
    return frames->format.frame_bits % 8 == 0
               ? read_value(frames, first_bit / 8, (size_t)frames->format.frame_bytes, out, err)
               : native_bits(frames, first_bit, out, err);
}

// ---- encapsulated

static bool gather(const struct image_frames *frames, size_t first, size_t count, uint8_t *out, struct error *err)
{
    for (size_t i = first; i < first + count; i++) {
        const struct dicom_fragment *fragment = &frames->pixels->fragments[i];
        if (!reader_read(&frames->reader, fragment->offset, out, fragment->length, err))
            return false;
        out += fragment->length;
    }
    return true;
}

// Into memory, or (`out` NULL) into the file `fd`.
static bool decode_code(const struct image_frames *frames, const uint8_t *code, size_t size, uint8_t *out, int fd,
                        enum image_color *color, struct error *err)
{
    return out ? image_decoder_frame(frames->decoder, frames->transfer_syntax, &frames->format, code, size, out, color,
                                     err)
               : image_decoder_frame_to(frames->decoder, frames->transfer_syntax, &frames->format, code, size, fd,
                                        color, err);
}

static bool gather_and_decode(const struct image_frames *frames, size_t first, size_t count, size_t size, uint8_t *out,
                              int fd, enum image_color *color, struct error *err)
{
    uint8_t *code = malloc(size);
    bool ok = code ? gather(frames, first, count, code, err)
                   : error_set(err, ERROR_MEMORY, "no memory for a code stream of %zu bytes", size);
    ok = ok && decode_code(frames, code, size, out, fd, color, err);
    free(code);
    return ok;
}

// All that it takes of the budget is taken at once: who holds a part and waits for the rest would keep others from it.
static bool decode(const struct image_frames *frames, uint32_t index, uint8_t *out, int fd, enum image_color *color,
                   struct error *err)
{
    size_t first, count;
    uint64_t size = 0, charged;
    if (!fragments_of(frames, index, &first, &count, err))
        return false;
    for (size_t i = first; i < first + count; i++)
        size += frames->pixels->fragments[i].length;
    if (size > IMAGE_DECODE_FRAME_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "frame %u is compressed to %llu bytes; the decoders take %d", index + 1,
                         (unsigned long long)size, IMAGE_DECODE_FRAME_BYTES_MAX);
    if (!budget_take_in(2 * size + frames->format.frame_bytes, IMAGE_ROOM_SECONDS * CLOCK_SECOND, &charged))
        return error_set(err, ERROR_BUSY, BUDGET_USED_UP);
    bool ok = gather_and_decode(frames, first, count, (size_t)size, out, fd, color, err);
    budget_give(charged);
    return ok;
}

// ---- a frame

static bool is_there(const struct image_frames *frames, uint32_t index, struct error *err)
{
    return index < frames->format.frames || error_set(err, ERROR_NOT_FOUND, "there is no frame %llu; the object has %u",
                                                      (unsigned long long)index + 1, frames->format.frames);
}

bool image_frame(struct image_frames *frames, uint32_t index, void *out, size_t capacity, enum image_color *color,
                 struct error *err)
{
    if (!is_there(frames, index, err))
        return false;
    if (capacity != frames->format.frame_bytes)
        return error_set(err, ERROR_BAD_DATA, "the object has frames of %llu bytes; %zu are due",
                         (unsigned long long)frames->format.frame_bytes, capacity);
    *color = frames->format.color;
    return frames->encapsulated ? decode(frames, index, out, -1, color, err) : native_frame(frames, index, out, err);
}

// A native frame that is not made of whole bytes, or is short, is made in memory first.
static bool native_to(const struct image_frames *frames, uint32_t index, int fd, struct error *err)
{
    const uint64_t size = frames->format.frame_bytes, first = first_bit_of(frames, index) / 8;
    const bool in_pieces = frames->format.frame_bits % 8 == 0;
    const uint64_t step = in_pieces && size > PIECE ? PIECE : size;
    uint64_t charged;
    if (!is_whole(frames, index, err))
        return false;
    if (!budget_take_in(2 * step, IMAGE_ROOM_SECONDS * CLOCK_SECOND, &charged))
        return error_set(err, ERROR_BUSY, BUDGET_USED_UP);
    uint8_t *piece = malloc((size_t)step);
    bool ok = piece || error_set(err, ERROR_MEMORY, "no memory for a frame of %llu bytes", (unsigned long long)step);
    for (uint64_t done = 0; ok && done < size; done += step) {
        const size_t now = (size_t)(size - done < step ? size - done : step);
        ok = (in_pieces ? read_value(frames, first + done, now, piece, err)
                        : native_bits(frames, first_bit_of(frames, index), piece, err)) &&
             file_write_fd(fd, piece, now, err);
    }
    free(piece);
    budget_give(charged);
    return ok;
}

bool image_frame_to(struct image_frames *frames, uint32_t index, int fd, enum image_color *color, struct error *err)
{
    if (!is_there(frames, index, err))
        return false;
    *color = frames->format.color;
    return frames->encapsulated ? decode(frames, index, NULL, fd, color, err) : native_to(frames, index, fd, err);
}

const struct dicom_fragment *image_frame_stored(struct image_frames *frames, uint32_t index, size_t *count,
                                                struct error *err)
{
    size_t first;
    if (!is_there(frames, index, err))
        return NULL;
    if (frames->encapsulated)
        return fragments_of(frames, index, &first, count, err) ? &frames->pixels->fragments[first] : NULL;
    if (!frames->as_it_lies) {
        error_set(err, ERROR_UNSUPPORTED, "the frames are not stored as they are given");
        return NULL;
    }
    if (!is_whole(frames, index, err))
        return NULL;
    *count = 1;
    frames->place = (struct dicom_fragment){frames->pixels->offset + first_bit_of(frames, index) / 8,
                                            (uint32_t)frames->format.frame_bytes};
    return &frames->place;
}
