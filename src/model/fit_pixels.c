// Pixels of the check: is an image there twice; and a fit volume as HU.
#include "model/fit_parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"

static size_t area_of(const struct image_slice *slice)
{
    return (size_t)slice->rows * slice->columns;
}

static size_t bytes_of(const struct image_slice *slice)
{
    return area_of(slice) * slice->bits_allocated / 8;
}

// ---- the same image

static bool turns_alike(const struct image_slice *a, const struct image_slice *b)
{
    return a->bits_allocated == b->bits_allocated && a->bits_stored == b->bits_stored && a->high_bit == b->high_bit &&
           a->is_signed == b->is_signed && a->slope == b->slope && a->intercept == b->intercept &&
           a->padding_low == b->padding_low && a->padding_high == b->padding_high;
}

bool fit_same_image(struct fit *fit, const struct image_slice *a, const struct image_slice *b, bool *same,
                    struct error *err)
{
    size_t size = bytes_of(a);
    *same = false;
    if (size != bytes_of(b) || !turns_alike(a, b))
        return true;
    uint8_t *left = malloc(size), *right = malloc(size);
    bool ok = (left && right) || error_set(err, ERROR_MEMORY, "no memory for two slices of %zu bytes", size);
    ok =
        ok && fit->read(fit->payload, a->index, left, size, err) && fit->read(fit->payload, b->index, right, size, err);
    *same = ok && memcmp(left, right, size) == 0;
    free(left);
    free(right);
    return ok;
}

// ---- a volume

enum content { CONTENT_DATA, CONTENT_EMPTY, CONTENT_REPEATED }; // of a slice; repeated: the pixels of the one before

struct filling {
    int fd;
    size_t slices; // written
    size_t past;   // pixels that 16 bits do not hold
    uint8_t *stored;
    int16_t *hu, *before; // this slice, the one before
    enum content *contents;
};

// Padding or one value all over.
static bool is_empty(const int16_t *hu, size_t area)
{
    int16_t only = IMAGE_NO_DATA_HU;
    for (size_t i = 0; i < area; i++) {
        if (hu[i] == IMAGE_NO_DATA_HU || hu[i] == only)
            continue;
        if (only != IMAGE_NO_DATA_HU)
            return false;
        only = hu[i];
    }
    return true;
}

static enum content content_of(const struct filling *filling, size_t area)
{
    if (is_empty(filling->hu, area))
        return CONTENT_EMPTY;
    return filling->slices > 0 && memcmp(filling->hu, filling->before, area * sizeof *filling->hu) == 0
               ? CONTENT_REPEATED
               : CONTENT_DATA;
}

// One value all over, even that of air, is no image data to whoever asks where the images end.
static void empty(int16_t *hu, size_t area)
{
    for (size_t i = 0; i < area; i++)
        hu[i] = IMAGE_NO_DATA_HU;
}

static bool put_slice(struct filling *filling, const struct image_slice *slice, model_read_pixels_fn *read,
                      void *payload, struct error *err)
{
    size_t hu_bytes = area_of(slice) * sizeof(int16_t);
    if (!read(payload, slice->index, filling->stored, bytes_of(slice), err))
        return false;
    filling->past += image_slice_to_hu(slice, filling->stored, filling->hu);
    filling->contents[filling->slices] = content_of(filling, area_of(slice));
    if (slice->is_ct && filling->contents[filling->slices] == CONTENT_EMPTY)
        empty(filling->hu, area_of(slice));
    if (!file_pwrite(filling->fd, filling->hu, hu_bytes, (uint64_t)filling->slices++ * hu_bytes, err))
        return false;
    int16_t *swap = filling->before;
    filling->before = filling->hu;
    filling->hu = swap;
    return true;
}

static bool fill(struct filling *filling, const struct model_volume *volume, model_read_pixels_fn *read, void *payload,
                 struct error *err)
{
    size_t area = area_of(volume->slices);
    filling->stored = malloc(area * sizeof(int16_t));
    filling->hu = malloc(area * sizeof *filling->hu);
    filling->before = malloc(area * sizeof *filling->before);
    filling->contents = calloc(volume->count, sizeof *filling->contents);
    if (!filling->stored || !filling->hu || !filling->before || !filling->contents)
        return error_set(err, ERROR_MEMORY, "no memory for slices of %zu pixels", area);
    for (size_t k = 0; k < volume->count; k++)
        if (!put_slice(filling, &volume->slices[k], read, payload, err))
            return false;
    return filling->past == 0 || error_set(err, ERROR_CONFLICT, "%zu of %llu values are past what 16 bits hold",
                                           filling->past, (unsigned long long)image_voxels(&volume->geometry));
}

// ---- what its slices hold

// The most slices with pixels of their own between two empty ones.
static size_t longest_run(const struct filling *filling)
{
    size_t longest = 0, run = 0;
    for (size_t k = 0; k < filling->slices; k++) {
        run = filling->contents[k] == CONTENT_EMPTY ? 0 : run + (filling->contents[k] == CONTENT_DATA);
        longest = run > longest ? run : longest;
    }
    return longest;
}

// Slices `from` to before `to` of the kind, by their numbers.
static const char *slices_of(const struct filling *filling, const struct model_volume *volume, enum content kind,
                             size_t from, size_t to, struct arena *arena, size_t *count)
{
    struct fit_names names;
    fit_names_begin(&names, arena);
    for (size_t k = from; k < to; k++)
        if (filling->contents[k] == kind)
            fit_names_add(&names, volume->numbers[k]);
    *count = names.count;
    return fit_names_end(&names);
}

static bool note_slices(const struct filling *filling, struct model_volume *volume, enum content kind,
                        const char *words, struct arena *arena, size_t *count, struct error *err)
{
    const char *which = slices_of(filling, volume, kind, 0, filling->slices, arena, count);
    if (*count > 0 && which)
        which = arena_printf(arena, "%zu %s %s (%s)", *count, *count > 1 ? "images hold" : "image holds", words, which);
    return fit_note(arena, &volume->notes, which, err);
}

static bool tell_contents(const struct filling *filling, struct model_volume *volume, struct arena *arena,
                          struct error *err)
{
    size_t first = 0, end = filling->slices, repeated, between;
    while (first < end && filling->contents[first] == CONTENT_EMPTY)
        first++;
    while (end > first && filling->contents[end - 1] == CONTENT_EMPTY)
        end--;
    volume->gap = slices_of(filling, volume, CONTENT_EMPTY, first, end, arena, &between);
    if (!volume->gap)
        return error_set(err, ERROR_LIMIT, "no memory for what the slices hold");
    size_t run = longest_run(filling);
    volume->coverage_mm =
        run > 0 ? volume->coverage_mm - (double)(filling->slices - run) * volume->geometry.spacing_mm[0] : 0;
    return note_slices(filling, volume, CONTENT_EMPTY, "no image data", arena, &volume->empty, err) &&
           note_slices(filling, volume, CONTENT_REPEATED, "the same pixels as the one before", arena, &repeated, err);
}

int model_volume_open(struct model_volume *volume, model_read_pixels_fn *read, void *payload, struct arena *arena,
                      struct error *err)
{
    uint64_t bytes = image_voxels(&volume->geometry) * sizeof(int16_t);
    struct filling filling = {.fd = -1};
    if (bytes > MODEL_VOLUME_BYTES_MAX)
        error_set(err, ERROR_LIMIT, "the volume has %llu bytes, more than models get", (unsigned long long)bytes);
    else
        filling.fd = process_memfd_open("volume", (size_t)bytes, err);
    bool ok = filling.fd >= 0 && fill(&filling, volume, read, payload, err) &&
              tell_contents(&filling, volume, arena, err) && process_memfd_seal(filling.fd, err);
    free(filling.stored);
    free(filling.hu);
    free(filling.before);
    free(filling.contents);
    if (!ok && filling.fd >= 0)
        close(filling.fd);
    return ok ? filling.fd : -1;
}
