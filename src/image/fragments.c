#include "image/fragments.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "image/codec.h"

#define TAG_OFFSETS DICOM_TAG(0x7FE0, 0x0001)

enum { HEAD_SIZE = 64 }; // of a fragment: an RLE header is that long

// ---- by an offset table

// Offsets count from the first fragment's item tag, as do those between the fragments' values. The fragment at
// `offset`, or 0 (the table itself) when none begins there.
static size_t fragment_at(const struct image_frames *frames, size_t from, uint64_t offset)
{
    const struct dicom_fragment *fragments = frames->pixels->fragments;
    const uint64_t base = fragments[1].offset;
    size_t low = from, high = 1 + frames->fragment_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (fragments[middle].offset - base < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low <= frames->fragment_count && fragments[low].offset - base == offset ? low : 0;
}

// `unit` bytes an offset. false when the table does not put a fragment or more into every frame, beginning with the
// first: a lie about one frame is a lie about its neighbours.
static bool starts_by(const struct image_frames *frames, const uint8_t *table, size_t unit, uint32_t *starts)
{
    size_t next = 1;
    for (uint32_t i = 0; i < frames->format.frames; i++) {
        const uint8_t *place = table + (size_t)i * unit;
        const size_t at = fragment_at(frames, next, unit == 4 ? bytes_u32le(place) : bytes_u64le(place));
        if (at == 0 || (i == 0 && at != 1))
            return false;
        starts[i] = (uint32_t)at;
        next = at + 1;
    }
    return true;
}

// A table of another size than the frames' is none. false with *err when it cannot be read; *fits otherwise.
static bool try_table(const struct image_frames *frames, const struct dicom_element *table, size_t unit, bool *fits,
                      struct error *err)
{
    const size_t size = (size_t)frames->format.frames * unit;
    *fits = false;
    if (!table || table->length != size)
        return true;
    uint8_t *bytes = malloc(size);
    bool ok = bytes ? dicom_value_read(table, &frames->reader, 0, size, bytes, err)
                    : error_set(err, ERROR_MEMORY, "no memory for an offset table of %zu bytes", size);
    *fits = ok && starts_by(frames, bytes, unit, frames->starts);
    free(bytes);
    return ok;
}

static bool by_table(const struct image_frames *frames, const struct dicom_dataset *dataset, bool *fits,
                     struct error *err)
{
    const struct dicom_fragment *first = &frames->pixels->fragments[0];
    const struct dicom_element basic = {.tag = frames->pixels->tag, .offset = first->offset, .length = first->length};
    return try_table(frames, &basic, sizeof(uint32_t), fits, err) &&
           (*fits || try_table(frames, dicom_find(dataset, TAG_OFFSETS), sizeof(uint64_t), fits, err));
}

// ---- by what the fragments hold

static bool begins(const struct image_frames *frames, const struct dicom_fragment *fragment, bool *out,
                   struct error *err)
{
    uint8_t head[HEAD_SIZE];
    const size_t size = fragment->length < HEAD_SIZE ? fragment->length : HEAD_SIZE;
    if (!reader_read(&frames->reader, fragment->offset, head, size, err))
        return false;
    *out = image_code_begins(frames->transfer_syntax, &frames->format, head, size);
    return true;
}

static bool by_beginnings(const struct image_frames *frames, struct error *err)
{
    uint32_t found = 0;
    if (frames->fragment_count > IMAGE_FRAGMENTS_SEARCHED)
        return error_set(err, ERROR_LIMIT,
                         "%u frames in %zu fragments, and no offset table that fits; frames are looked for in at most "
                         "%d",
                         frames->format.frames, frames->fragment_count, IMAGE_FRAGMENTS_SEARCHED);
    for (size_t i = 1; i <= frames->fragment_count; i++) {
        bool here;
        if (!begins(frames, &frames->pixels->fragments[i], &here, err))
            return false;
        if (here && found < frames->format.frames)
            frames->starts[found] = (uint32_t)i;
        found += here;
    }
    if (found == frames->format.frames && frames->starts[0] == 1)
        return true;
    return error_set(err, ERROR_BAD_DATA,
                     "%u frames in %zu fragments, of which %u begin a frame, and no offset table that fits",
                     frames->format.frames, frames->fragment_count, found);
}

// ---- all of it

static bool make_starts(struct image_frames *frames, const struct dicom_dataset *dataset, struct error *err)
{
    const uint32_t count = frames->format.frames;
    bool fits;
    if (count > frames->fragment_count)
        return error_set(err, ERROR_BAD_DATA, "%u frames in %zu fragments", count, frames->fragment_count);
    frames->starts = malloc(((size_t)count + 1) * sizeof *frames->starts);
    if (!frames->starts)
        return error_set(err, ERROR_MEMORY, "no memory for the places of %u frames", count);
    frames->starts[count] = (uint32_t)frames->fragment_count + 1;
    return by_table(frames, dataset, &fits, err) && (fits || by_beginnings(frames, err));
}

// Where there are as many fragments as frames no table is asked: a frame has one at least, so each has one.
bool fragments_map(struct image_frames *frames, const struct dicom_dataset *dataset, struct error *err)
{
    const struct dicom_element *pixels = frames->pixels;
    size_t count = pixels->fragment_count > 0 ? pixels->fragment_count - 1 : 0;
    if (pixels->fragment_count > UINT32_MAX)
        return error_set(err, ERROR_LIMIT, "%zu fragments", count);
    while (count > frames->format.frames && pixels->fragments[count].length == 0)
        count--;
    frames->fragment_count = count;
    if (count == 0)
        return error_set(err, ERROR_BAD_DATA, "encapsulated pixel data without a fragment");
    return frames->format.frames == 1 || count == frames->format.frames || make_starts(frames, dataset, err);
}

bool fragments_of(const struct image_frames *frames, uint32_t index, size_t *first, size_t *count, struct error *err)
{
    *first = 1 + (frames->format.frames > 1 ? index : 0);
    *count = frames->format.frames > 1 ? 1 : frames->fragment_count;
    if (frames->starts) {
        *first = frames->starts[index];
        *count = frames->starts[index + 1] - *first;
    }
    for (size_t i = *first; i < *first + *count; i++)
        if (frames->pixels->fragments[i].length > 0)
            return true;
    return error_set(err, ERROR_BAD_DATA, "frame %u of %u is empty", index + 1, frames->format.frames);
}
