// Objects' bytes and data sets, out of the store.
#include "archive/archive.h"

#include <stdlib.h>

#include "archive/internal.h"

enum { FILE_BLOCK = 64 << 10 };

bool archive_bytes(struct archive *archive, const struct archive_object *object, int *fd, uint64_t *offset,
                   struct error *err)
{
    *offset = object->place.offset + STORE_RECORD_HEADER;
    return store_acquire(archive->store, object->place.container, fd, err);
}

static bool parse(struct archive *archive, const struct archive_object *object, uint64_t size,
                  const struct dicom_parse_options *options, struct arena *arena, const struct dicom_dataset **out,
                  struct error *err)
{
    uint64_t offset;
    int fd;
    size_t block_size = size < FILE_BLOCK ? (size_t)size + 1 : FILE_BLOCK;
    uint8_t *block = malloc(block_size);
    if (!block)
        return error_set(err, ERROR_MEMORY, "no memory to read %s", object->sop_instance);
    if (!archive_bytes(archive, object, &fd, &offset, err)) {
        free(block);
        return false;
    }
    struct source_file file = {fd, offset, size, block, block_size};
    bool ok = dicom_parse(source_from_file(&file), dicom_transfer_syntax_or_default(object->transfer_syntax), options,
                          arena, out, err);
    store_release(archive->store, object->place.container);
    free(block);
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
