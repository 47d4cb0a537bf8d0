// Objects' bytes and data sets, out of the store.
#include "archive/archive.h"

#include <stdlib.h>

#include "archive/internal.h"

enum { FILE_BLOCK = 64 << 10 };

// ---- bytes

bool archive_file(struct archive *archive, const struct archive_object *object, int *fd, uint64_t *offset,
                  struct error *err)
{
    *offset = object->place.offset + STORE_RECORD_HEADER;
    return store_acquire(archive->store, object->place.container, fd, err);
}

struct held {
    struct store *store;
    uint64_t container;
    int fd;
};

static bool read_held(void *payload, uint64_t offset, void *out, size_t size, struct error *err)
{
    const struct held *held = payload;
    return file_pread(held->fd, out, size, offset, err) ||
           error_prefix(err, "container %llu", (unsigned long long)held->container);
}

static void release_held(void *payload)
{
    struct held *held = payload;
    store_release(held->store, held->container);
    free(held);
}

bool archive_reader(struct archive *archive, const struct archive_object *object, struct reader *out, struct error *err)
{
    uint64_t offset;
    struct held *held = malloc(sizeof *held);
    if (!held)
        return error_set(err, ERROR_MEMORY, "no memory to read %s", object->sop_instance);
    *held = (struct held){.store = archive->store, .container = object->place.container};
    if (!archive_file(archive, object, &held->fd, &offset, err)) {
        free(held);
        return false;
    }
    *out = (struct reader){read_held, release_held, held, offset, object->size};
    return true;
}

// ---- trees

static bool parse(struct archive *archive, const struct archive_object *object, uint64_t size,
                  struct dicom_parse_options *options, struct arena *arena, const struct dicom_dataset **out,
                  struct error *err)
{
    options->charset = object->charset;
    struct source_reader from = {.block_size = size < FILE_BLOCK ? (size_t)size + 1 : FILE_BLOCK};
    if (!archive_reader(archive, object, &from.reader, err))
        return false;
    if (size < from.reader.size)
        from.reader.size = size;
    from.block = malloc(from.block_size);
    bool ok = from.block
                  ? dicom_parse(source_from_reader(&from), dicom_transfer_syntax_or_default(object->transfer_syntax),
                                options, arena, out, err)
                  : error_set(err, ERROR_MEMORY, "no memory to read %s", object->sop_instance);
    free(from.block);
    reader_release(&from.reader);
    return ok;
}

bool archive_header(struct archive *archive, const struct archive_object *object, size_t value_max, struct arena *arena,
                    const struct dicom_dataset **out, struct error *err)
{
    struct dicom_parse_options options = {.value_max = value_max, .depth_max = DICOM_DEPTH_MAX, .stop_at_pixels = true};
    if (object->header_size > ARCHIVE_HEADER_MAX)
        return error_set(err, ERROR_LIMIT, "the header of %s has %llu bytes, more than %d", object->sop_instance,
                         (unsigned long long)object->header_size, ARCHIVE_HEADER_MAX);
    return parse(archive, object, object->header_size, &options, arena, out, err);
}

bool archive_dataset(struct archive *archive, const struct archive_object *object, size_t value_max,
                     struct arena *arena, const struct dicom_dataset **out, struct error *err)
{
    struct dicom_parse_options options = {
        .value_max = value_max, .depth_max = DICOM_DEPTH_MAX, .stop_at_pixels = false};
    return parse(archive, object, object->size, &options, arena, out, err);
}

// ---- frames

bool archive_frames(struct archive *archive, const struct archive_object *object, const struct dicom_dataset *dataset,
                    struct image_decoder *decoder, struct image_frames *out, struct error *err)
{
    struct reader reader;
    return archive_reader(archive, object, &reader, err) &&
           image_frames_open(out, dataset, object->transfer_syntax, reader, decoder, err);
}

bool archive_frame(struct archive *archive, const struct archive_object *object, const struct dicom_dataset *dataset,
                   struct image_decoder *decoder, uint32_t index, void *out, size_t capacity, enum image_color *color,
                   struct error *err)
{
    struct image_frames frames;
    if (!archive_frames(archive, object, dataset, decoder, &frames, err))
        return false;
    bool ok = image_frame(&frames, index, out, capacity, color, err);
    image_frames_close(&frames);
    return ok;
}
