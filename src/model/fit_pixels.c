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

struct filling {
    int fd;
    size_t slices; // written
    size_t past;   // pixels that 16 bits do not hold
};

static bool put_slice(struct filling *filling, const struct image_slice *slice, model_read_pixels_fn *read,
                      void *payload, struct error *err)
{
    size_t hu_bytes = area_of(slice) * sizeof(int16_t);
    uint8_t *stored = malloc(bytes_of(slice));
    int16_t *hu = malloc(hu_bytes);
    bool ok = ((stored && hu) || error_set(err, ERROR_MEMORY, "no memory for a slice of %zu bytes", hu_bytes)) &&
              read(payload, slice->index, stored, bytes_of(slice), err);
    if (ok) {
        filling->past += image_slice_to_hu(slice, stored, hu);
        ok = file_pwrite(filling->fd, hu, hu_bytes, (uint64_t)filling->slices++ * hu_bytes, err);
    }
    free(stored);
    free(hu);
    return ok;
}

int model_volume_open(const struct model_volume *volume, model_read_pixels_fn *read, void *payload, struct error *err)
{
    uint64_t voxels = image_voxels(&volume->geometry), bytes = voxels * sizeof(int16_t);
    struct filling filling = {.fd = -1};
    if (bytes > MODEL_VOLUME_BYTES_MAX)
        error_set(err, ERROR_LIMIT, "the volume has %llu bytes, more than models get", (unsigned long long)bytes);
    else
        filling.fd = process_memfd_open("volume", (size_t)bytes, err);
    bool ok = filling.fd >= 0;
    for (size_t k = 0; ok && k < volume->count; k++)
        ok = put_slice(&filling, &volume->slices[k], read, payload, err);
    if (ok && filling.past > 0)
        ok = error_set(err, ERROR_CONFLICT, "%zu of %llu values are past what 16 bits hold", filling.past,
                       (unsigned long long)voxels);
    if (ok && process_memfd_seal(filling.fd, err))
        return filling.fd;
    if (filling.fd >= 0)
        close(filling.fd);
    return -1;
}
