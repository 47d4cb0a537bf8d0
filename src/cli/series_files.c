// Files as the objects of one series.
#include "cli/series_files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "dicom/part10.h"
#include "image/frames.h"

enum { FILES_MAX = MODEL_OBJECTS_MAX, BLOCK = 128 << 10, ARENA_MAX = 1 << 30 };

// ---- headers

static const char *text_of(struct series_files *series, const struct dicom_dataset *header, dicom_tag tag)
{
    const char *text = dicom_text_at(header, tag, 0, &series->arena);
    return text ? text : "";
}

static bool says_the_same(struct series_files *series, const struct model_object *a, const struct model_object *b,
                          dicom_tag tag)
{
    return strcmp(text_of(series, a->header, tag), text_of(series, b->header, tag)) == 0;
}

// By ID and issuer; without an ID by name and birth date.
static bool is_of_first_patient(struct series_files *series, const struct model_object *object)
{
    const struct model_object *first = &series->objects[0];
    return says_the_same(series, object, first, 0x00100020) && says_the_same(series, object, first, 0x00100021) &&
           (*object->patient_id ||
            (says_the_same(series, object, first, 0x00100010) && says_the_same(series, object, first, 0x00100030)));
}

static bool read_object(struct series_files *series, int fd, uint64_t size, struct series_file *file,
                        struct model_object *object, struct error *err)
{
    static const struct dicom_parse_options options = {.value_max = 64 << 10, .depth_max = DICOM_DEPTH_MAX};
    struct dicom_meta meta;
    size_t head = size < BLOCK ? (size_t)size : BLOCK;
    if (!file_pread(fd, series->block, head, 0, err) || !dicom_meta_parse(series->block, head, &meta, err))
        return false;
    file->data_offset = meta.data_offset;
    file->transfer_syntax = arena_strdup(&series->arena, meta.transfer_syntax);
    struct source_reader source = {reader_from_fd(fd, meta.data_offset, size - meta.data_offset), 0, series->block,
                                   BLOCK};
    if (!file->transfer_syntax)
        return error_set(err, ERROR_LIMIT, "the series does not fit into memory");
    if (!dicom_parse(source_from_reader(&source), dicom_transfer_syntax_or_default(meta.transfer_syntax), &options,
                     &series->arena, &object->header, err))
        return false;
    object->sop_instance = text_of(series, object->header, 0x00080018);
    object->sop_class = text_of(series, object->header, 0x00080016);
    object->patient_id = text_of(series, object->header, 0x00100020);
    object->issuer = text_of(series, object->header, 0x00100021);
    object->patient = !is_of_first_patient(series, object);
    return *object->sop_instance || error_set(err, ERROR_BAD_DATA, "it has no SOP Instance UID");
}

static bool add_file(const char *path, void *payload, struct error *err)
{
    struct series_files *series = payload;
    uint64_t size;
    struct series_file *file = &series->files[series->count];
    if (series->count == FILES_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d files; give one series", FILES_MAX);
    int fd = file_open(path, &size, err);
    if (fd < 0)
        return false;
    bool ok = read_object(series, fd, size, file, &series->objects[series->count], err);
    close(fd);
    if (!ok)
        return error_prefix(err, "%s", path);
    file->path = strdup(path);
    series->count++;
    return file->path || error_set(err, ERROR_MEMORY, "no memory for %s", path);
}

bool series_files_open(struct series_files *series, char *const *paths, struct error *err)
{
    size_t unreadable = 0;
    *series = (struct series_files){.block = malloc(BLOCK),
                                    .files = calloc(FILES_MAX, sizeof *series->files),
                                    .objects = calloc(FILES_MAX, sizeof *series->objects)};
    arena_init(&series->arena, ARENA_MAX);
    if (!series->block || !series->files || !series->objects)
        return error_set(err, ERROR_MEMORY, "no memory for a series");
    return cli_walk(paths, add_file, series, &unreadable, err) &&
           (unreadable == 0 || error_set(err, ERROR_IO, "a part of the series cannot be read"));
}

void series_files_close(struct series_files *series)
{
    for (size_t i = 0; i < series->count; i++)
        free(series->files[i].path);
    free(series->files);
    free(series->objects);
    free(series->block);
    arena_free(&series->arena);
}

// ---- pixels

static bool read_frame(struct series_files *series, size_t index, int fd, uint64_t size, uint8_t *out, size_t capacity,
                       struct error *err)
{
    const struct series_file *file = &series->files[index];
    struct image_frames frames;
    enum image_color color;
    struct reader reader = reader_from_fd(fd, file->data_offset, size - file->data_offset);
    bool ok =
        image_frames_open(&frames, series->objects[index].header, file->transfer_syntax, reader, series->decoder, err);
    ok = ok && image_frame(&frames, 0, out, capacity, &color, err);
    image_frames_close(&frames);
    return ok || error_prefix(err, "%s in transfer syntax %s", file->path, file->transfer_syntax);
}

bool series_files_pixels(void *payload, size_t index, uint8_t *out, size_t size, struct error *err)
{
    struct series_files *series = payload;
    const char *path = series->files[index].path;
    uint64_t file_size;
    int fd = file_open(path, &file_size, err);
    if (fd < 0)
        return false;
    bool ok = read_frame(series, index, fd, file_size, out, size, err);
    close(fd);
    return ok;
}
