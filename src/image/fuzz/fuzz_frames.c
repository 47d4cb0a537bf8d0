// Attacks the way from a data set to its frames: what it says of its pixels, the length of the value, offset tables,
// and fragments that begin as code streams do. The first byte of an input picks the transfer syntax and how much of the
// tree is loaded. Run by tools/fuzz.
#include <stdlib.h>
#include <string.h>

#include "image/frames.h"

enum { ARENA_MAX = 8 << 20, FRAME_MAX = 1 << 20, FRAMES_LOOKED_AT = 4, LOADED = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const syntaxes[] = {DICOM_TS_EXPLICIT,     DICOM_TS_IMPLICIT,        DICOM_TS_BIG_ENDIAN,
                                       DICOM_TS_DEFLATED,     "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90",
                                       "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1"};

static int released;

static void release(void *payload)
{
    (void)payload;
    released++;
}

// What a refusal must have.
static void expect_reason(const struct error *err)
{
    if (err->code == ERROR_NONE || !err->message[0])
        abort();
}

// The pieces lie in the data set, and there is one; their bytes, or NULL.
static uint8_t *stored_bytes(struct image_frames *frames, uint32_t index, size_t *size, struct error *err)
{
    size_t count;
    const struct dicom_fragment *pieces = image_frame_stored(frames, index, &count, err);
    uint8_t *bytes = NULL;
    *size = 0;
    if (!pieces)
        return NULL;
    if (count == 0)
        abort();
    for (size_t i = 0; i < count; i++) {
        uint8_t *more = realloc(bytes, *size + pieces[i].length + 1);
        if (!more)
            abort();
        bytes = more;
        if (!reader_read(&frames->reader, pieces[i].offset, bytes + *size, pieces[i].length, err))
            abort();
        *size += pieces[i].length;
    }
    return bytes;
}

// A native frame is filled whole, and, where it lies as it comes, is what lies there.
static void use_native(struct image_frames *frames, uint32_t index)
{
    const size_t size = (size_t)frames->format.frame_bytes;
    struct error err = {0};
    enum image_color color;
    size_t lies_size;
    uint8_t *out = malloc(size);
    if (!out)
        return;
    bool ok = image_frame(frames, index, out, size, &color, &err);
    if (!ok)
        expect_reason(&err);
    uint8_t *lies = stored_bytes(frames, index, &lies_size, &err);
    if (frames->as_it_lies && ok != (lies != NULL))
        abort();
    if (lies && (lies_size != size || memcmp(lies, out, size) != 0))
        abort();
    free(lies);
    free(out);
}

static void use_encapsulated(struct image_frames *frames, uint32_t index)
{
    struct error err = {0};
    size_t size;
    uint8_t *bytes = stored_bytes(frames, index, &size, &err);
    if (bytes && size == 0)
        abort();
    if (!bytes)
        expect_reason(&err);
    free(bytes);
}

static void use(struct image_frames *frames)
{
    const struct image_format *format = &frames->format;
    if (format->frames == 0 || format->frame_bytes != (format->frame_bits + 7) / 8)
        abort();
    for (uint32_t i = 0; i < FRAMES_LOOKED_AT && format->frame_bytes <= FRAME_MAX; i++) {
        const uint32_t index = i < 2 ? i : format->frames - (i - 1);
        if (index >= format->frames)
            continue;
        if (frames->encapsulated)
            use_encapsulated(frames, index);
        else
            use_native(frames, index);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_frames frames;
    struct arena arena;
    struct error err = {0};
    const struct dicom_dataset *dataset;
    if (size == 0)
        return 0;
    const char *syntax = syntaxes[data[0] % (sizeof syntaxes / sizeof *syntaxes)];
    const struct dicom_parse_options options = {.value_max = data[0] & LOADED ? ARENA_MAX : 64, .depth_max = 1};
    struct source_memory memory = {data + 1, size - 1};
    struct reader reader = reader_from_memory(data + 1, size - 1);
    reader.release = release;
    arena_init(&arena, ARENA_MAX);
    if (dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(syntax), &options, &arena, &dataset, &err)) {
        const int before = released;
        if (image_frames_open(&frames, dataset, syntax, reader, NULL, &err))
            use(&frames);
        else
            expect_reason(&err);
        image_frames_close(&frames);
        if (released != before + 1)
            abort();
    }
    arena_free(&arena);
    return 0;
}
