// A job's input: the series' objects, their headers, what volumes they make (model/fit.h), and a volume's pixels in a
// memfd for the model's child.
#include "flow/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "image/image.h"

enum { HEADER_VALUE_MAX = 64 << 10 };
#define VOLUME_BYTES_MAX (UINT64_C(2) << 30)

// ---- objects and headers

static bool read_headers(struct flow_work *work, struct error *err)
{
    work->headers = arena_calloc(&work->arena, work->count, sizeof *work->headers);
    if (!work->headers)
        return error_set(err, ERROR_LIMIT, "a series of %zu objects does not fit into memory", work->count);
    for (size_t i = 0; i < work->count; i++) {
        if (!archive_dataset(work->flow->options.archive, &work->objects[i], HEADER_VALUE_MAX, &work->arena,
                             &work->headers[i], err))
            return false;
        if (work->objects[i].received_ns > work->newest_ns)
            work->newest_ns = work->objects[i].received_ns;
    }
    return true;
}

// ---- pixels

static bool read_pixels(struct flow_work *work, size_t index, uint8_t *out, size_t capacity, struct error *err)
{
    const struct archive_object *object = &work->objects[index];
    enum image_color color;
    return archive_frame(work->flow->options.archive, object, work->headers[index], work->flow->options.decoder, 0, out,
                         capacity, &color, err) ||
           error_prefix(err, "slice %s in transfer syntax %s", object->sop_instance, object->transfer_syntax);
}

static size_t frame_bytes_of(const struct flow_work *work, size_t index)
{
    struct image_format format;
    struct error ignored;
    return image_describe(work->headers[index], &format, &ignored) ? (size_t)format.frame_bytes : 0;
}

// A model_same_pixels_fn; `payload` is the work.
static bool same_pixels(void *payload, size_t a, size_t b, bool *same, struct error *err)
{
    struct flow_work *work = payload;
    size_t size = frame_bytes_of(work, a);
    *same = false;
    if (size == 0 || size != frame_bytes_of(work, b))
        return true;
    uint8_t *left = malloc(size), *right = malloc(size);
    bool ok = ((left && right) || error_set(err, ERROR_MEMORY, "no memory for two slices of %zu bytes", size)) &&
              read_pixels(work, a, left, size, err) && read_pixels(work, b, right, size, err);
    if (ok)
        *same = memcmp(left, right, size) == 0;
    free(left);
    free(right);
    return ok;
}

int flow_input_volume(struct flow_work *work, const struct model_volume *volume, struct error *err)
{
    size_t area = volume->geometry.rows * volume->geometry.columns;
    size_t slice_bytes = area * volume->slices[0].bits_allocated / 8;
    uint64_t total = (uint64_t)volume->geometry.slices * area * sizeof(int16_t);
    if (total > VOLUME_BYTES_MAX) {
        error_set(err, ERROR_LIMIT, "the volume has %llu bytes, more than models get", (unsigned long long)total);
        return -1;
    }
    int fd = process_memfd_open("volume", (size_t)total, err);
    uint8_t *stored = malloc(slice_bytes);
    int16_t *hu = malloc(area * sizeof *hu);
    bool ok = fd >= 0 && ((stored && hu) || error_set(err, ERROR_MEMORY, "no memory for a slice"));
    for (size_t k = 0; ok && k < volume->geometry.slices; k++) {
        ok = read_pixels(work, volume->slices[k].index, stored, slice_bytes, err);
        if (ok) {
            image_slice_to_hu(&volume->slices[k], stored, hu);
            ok = file_pwrite(fd, hu, area * sizeof *hu, (uint64_t)k * area * sizeof *hu, err);
        }
    }
    free(stored);
    free(hu);
    if (ok && process_memfd_seal(fd, err))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

// ---- the whole

static struct model_object *model_objects_of(struct flow_work *work)
{
    struct model_object *objects = arena_calloc(&work->arena, work->count, sizeof *objects);
    for (size_t i = 0; objects && i < work->count; i++) {
        objects[i] = (struct model_object){.header = work->headers[i],
                                           .sop_instance = work->objects[i].sop_instance,
                                           .sop_class = work->objects[i].sop_class,
                                           .patient_id = work->objects[i].patient_id,
                                           .issuer = work->objects[i].issuer};
    }
    return objects;
}

bool flow_input_look(struct flow_work *work, struct archive_object **objects, size_t *count, struct error *err)
{
    char key[65];
    const struct flow_options *options = &work->flow->options;
    struct database *db = store_read_begin(options->store, err);
    bool ok = db && flow_series_version(db, work->job->study, work->job->series, &work->version, err);
    store_read_end(options->store, db);
    if (!ok ||
        !archive_objects(options->archive, work->job->study, work->job->series, NULL, &work->arena, objects, count,
                         err) ||
        !flow_inputs_digest(key, work->digest, *objects, *count, err))
        return false;
    return strcmp(key, work->inputs_key) == 0 ||
           error_set(err, ERROR_CONFLICT, "the series has changed since; a newer job takes it");
}

bool flow_input_read(struct flow_work *work, struct error *err)
{
    if (!read_headers(work, err))
        return false;
    struct model_object *objects = model_objects_of(work);
    return objects ? model_fit_check(model_package_needs(work->package), work->flow->options.words, objects,
                                     work->count, same_pixels, work, &work->arena, &work->fit, err)
                   : error_set(err, ERROR_LIMIT, "no memory for a series of %zu objects", work->count);
}

const struct dicom_dataset *flow_input_header(const struct flow_work *work)
{
    for (size_t i = 0; work->headers && i < work->count; i++)
        if (work->headers[i])
            return work->headers[i];
    return NULL;
}

void flow_context_of(struct flow_work *work, const struct model_volume *volume, struct finding_context *out)
{
    const char **instances = arena_calloc(&work->arena, volume->count, sizeof *instances);
    double(*positions)[3] = arena_calloc(&work->arena, volume->count, sizeof *positions);
    for (size_t k = 0; instances && positions && k < volume->count; k++) {
        instances[k] = work->objects[volume->slices[k].index].sop_instance;
        memcpy(positions[k], volume->slices[k].position_mm, sizeof positions[k]);
    }
    *out = (struct finding_context){.source = work->headers[volume->slices[0].index],
                                    .geometry = &volume->geometry,
                                    .slice_instances = instances,
                                    .slice_positions_mm = (const double(*)[3])positions,
                                    .slice_class = work->objects[volume->slices[0].index].sop_class,
                                    .model_title = work->package ? model_package_title(work->package) : "",
                                    .predecessor = "",
                                    .seg = "",
                                    .time_ns = work->newest_ns};
}

bool flow_context_follow(struct flow *flow, const char *predecessor, struct arena *arena, struct finding_context *out,
                         struct error *err)
{
    struct archive_object *report;
    size_t count;
    out->predecessor = predecessor;
    out->predecessor_series = "";
    if (!*predecessor)
        return true;
    if (!archive_objects(flow->options.archive, NULL, NULL, predecessor, arena, &report, &count, err))
        return false;
    out->predecessor_series = report->series;
    return true;
}
