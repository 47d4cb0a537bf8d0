// Objects' bytes and data sets, out of the store.
#include "archive/archive.h"

#include <stdlib.h>
#include <string.h>

#include "archive/internal.h"
#include "base/text.h"

enum { FILE_BLOCK = 64 << 10, PROVE_BLOCK = 256 << 10 };

// ---- bytes

struct held {
    struct store *store;
    uint64_t container;
    int fd;
};

static bool read_held(void *payload, uint64_t offset, void *out, size_t size, struct error *err)
{
    const struct held *held = payload;
    return store_pread(held->container, held->fd, out, size, offset, err);
}

static void release_held(void *payload)
{
    struct held *held = payload;
    store_release(held->store, held->container);
    free(held);
}

bool archive_reader(struct archive *archive, const struct archive_object *object, struct reader *out, struct error *err)
{
    struct held *held = malloc(sizeof *held);
    if (!held)
        return error_set(err, ERROR_MEMORY, "no memory to read %s", object->sop_instance);
    *held = (struct held){.store = archive->store, .container = object->place.container};
    if (!store_acquire(archive->store, object->place.container, &held->fd, err)) {
        free(held);
        return false;
    }
    *out = (struct reader){read_held, release_held, held, object->place.offset + STORE_RECORD_HEADER, object->size};
    return true;
}

// ---- bytes that are proved

struct proof {
    struct reader from;
    struct store_place place;
    uint8_t digest[HASH_SIZE];
    char sop_instance[DICOM_UID_SIZE];
    struct hash *hash; // NULL before the first byte and behind the last: a reply may hold thousands
    uint64_t at;       // all in front of it was read
};

static bool judge(struct proof *proof, struct error *err)
{
    uint8_t digest[HASH_SIZE];
    hash_end(proof->hash, digest);
    hash_free(proof->hash);
    proof->hash = NULL;
    if (memcmp(digest, proof->digest, HASH_SIZE) == 0)
        return true;
    store_mismatch(&proof->place, err);
    return error_prefix(err, "object %s", proof->sop_instance);
}

static bool read_proving(void *payload, uint64_t offset, void *out, size_t size, struct error *err)
{
    struct proof *proof = payload;
    if (offset != proof->at)
        return error_set(err, ERROR_INTERNAL, "object %s cannot be proved: it is not read in order",
                         proof->sop_instance);
    if (!proof->hash && !(proof->hash = hash_new()))
        return error_set(err, ERROR_MEMORY, "no memory to prove object %s", proof->sop_instance);
    if (!reader_read(&proof->from, offset, out, size, err))
        return false;
    hash_add(proof->hash, out, size);
    proof->at += size;
    return proof->at < proof->from.size || judge(proof, err);
}

static void release_proof(void *payload)
{
    struct proof *proof = payload;
    reader_release(&proof->from);
    hash_free(proof->hash);
    free(proof);
}

bool archive_proved_reader(struct archive *archive, const struct archive_object *object, struct reader *out,
                           struct error *err)
{
    struct proof *proof = calloc(1, sizeof *proof);
    if (!proof)
        return error_set(err, ERROR_MEMORY, "no memory to read %s", object->sop_instance);
    if (!archive_reader(archive, object, &proof->from, err)) {
        free(proof);
        return false;
    }
    proof->place = object->place;
    memcpy(proof->digest, object->digest, HASH_SIZE);
    text_copy(proof->sop_instance, sizeof proof->sop_instance, object->sop_instance);
    *out = (struct reader){read_proving, release_proof, proof, 0, object->size};
    return true;
}

bool archive_prove(struct archive *archive, const struct archive_object *object, struct error *err)
{
    struct source_reader from = {.block_size = PROVE_BLOCK};
    const uint8_t *data;
    size_t size = 1;
    if (!archive_proved_reader(archive, object, &from.reader, err))
        return false;
    from.block = malloc(from.block_size);
    struct source source = source_from_reader(&from);
    bool ok = from.block || error_set(err, ERROR_MEMORY, "no memory to prove %s", object->sop_instance);
    while (ok && size > 0)
        ok = source.next(source.payload, &data, &size, err);
    free(from.block);
    reader_release(&from.reader);
    return ok;
}

bool archive_doubt(struct archive *archive, const struct archive_object *object, struct error *err)
{
    struct error proof;
    if (err->code == ERROR_BAD_DATA && !archive_prove(archive, object, &proof))
        *err = proof;
    return false;
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
    return ok || archive_doubt(archive, object, err);
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
           (image_frames_open(out, dataset, object->transfer_syntax, reader, decoder, err) ||
            archive_doubt(archive, object, err));
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
    return ok || archive_doubt(archive, object, err);
}
