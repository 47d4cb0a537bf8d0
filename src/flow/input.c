// A job's input: the series' objects, their headers, what volumes they make (model/fit.h), and a volume's pixels in a
// memfd for the model's child.
#include "flow/internal.h"

#include <string.h>

enum { HEADER_VALUE_MAX = 64 << 10 };

// ---- objects and headers

// The headers of `read` objects are what there is memory for. false.
static bool refuse_headers(struct flow_work *work, size_t read, struct error *err)
{
    work->headers = NULL;
    arena_reset(&work->header_arena);
    return error_prefix(err, "the series has %zu objects, and %zu can be looked at", work->count, read);
}

static bool read_headers(struct flow_work *work, struct error *err)
{
    struct arena *arena = &work->header_arena;
    work->headers = arena_calloc(arena, work->count, sizeof *work->headers);
    if (!work->headers && !error_set(err, ERROR_LIMIT, "no memory for a list of them"))
        return refuse_headers(work, 0, err);
    for (size_t i = 0; i < work->count; i++) {
        if (!archive_prove(work->flow->options.archive, &work->objects[i], err) ||
            !archive_dataset(work->flow->options.archive, &work->objects[i], HEADER_VALUE_MAX, arena, &work->headers[i],
                             err))
            return err->code == ERROR_LIMIT && refuse_headers(work, i, err);
        if (work->objects[i].received_ns > work->newest_ns)
            work->newest_ns = work->objects[i].received_ns;
    }
    return true;
}

// ---- pixels

// A model_read_pixels_fn; `payload` is the work.
static bool read_pixels(void *payload, size_t index, uint8_t *out, size_t size, struct error *err)
{
    struct flow_work *work = payload;
    const struct archive_object *object = &work->objects[index];
    enum image_color color;
    return archive_frame(work->flow->options.archive, object, work->headers[index], work->flow->options.decoder, 0, out,
                         size, &color, err) ||
           error_prefix(err, "slice %s in transfer syntax %s", object->sop_instance, object->transfer_syntax);
}

int flow_input_volume(struct flow_work *work, struct model_volume *volume, struct error *err)
{
    return model_volume_open(volume, read_pixels, work, &work->arena, err);
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
                                           .issuer = work->objects[i].issuer,
                                           .patient = work->objects[i].patient};
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
        !archive_objects(options->archive, ACCESS_ALL, work->job->study, work->job->series, NULL, &work->arena, objects,
                         count, err) ||
        !archive_held_back(options->archive, work->job->study, work->job->series, &work->held_back, err) ||
        !flow_job_key(key, work->digest, work->after, *objects, *count, &work->held_back, err))
        return false;
    return strcmp(key, work->inputs_key) == 0 ||
           error_set(err, ERROR_CONFLICT, "the series has changed since; a newer job takes it");
}

// "", or what is held back for each cause. NULL: no memory.
static const char *held_back_words(struct flow_work *work)
{
    const int64_t elsewhere = work->held_back.elsewhere, undecided = work->held_back.undecided;
    const char *first = elsewhere == 0 ? ""
                        : elsewhere == 1
                            ? "1 image is held back: its UID is another object's"
                            : arena_printf(&work->arena, "%lld images are held back: their UIDs are other objects'",
                                           (long long)elsewhere);
    const char *second = undecided == 0   ? ""
                         : undecided == 1 ? "1 image came again with other pixels, or another place, scale or contrast "
                                            "of them, which were not looked at; keep or take it"
                                          : arena_printf(&work->arena,
                                                         "%lld images came again with other pixels, or another place, "
                                                         "scale or contrast of them, which were not looked at; "
                                                         "keep or take them",
                                                         (long long)undecided);
    return first && second ? arena_printf(&work->arena, "%s%s%s", first, *first && *second ? "; " : "", second) : NULL;
}

static bool note_held_back(struct flow_work *work, struct error *err)
{
    const char *words = held_back_words(work);
    bool ok = words || error_set(err, ERROR_LIMIT, "no memory for a note");
    for (size_t i = 0; ok && *words && i < work->fit.volume_count; i++) {
        struct model_volume *volume = &work->fit.volumes[i];
        volume->notes = arena_printf(&work->arena, "%s%s%s", volume->notes, *volume->notes ? "; " : "", words);
        ok = volume->notes || error_set(err, ERROR_LIMIT, "no memory for a note");
    }
    return ok;
}

bool flow_input_read(struct flow_work *work, struct error *err)
{
    if (!read_headers(work, err))
        return false;
    struct model_object *objects = model_objects_of(work);
    if (!objects)
        return error_set(err, ERROR_LIMIT, "no memory for a series of %zu objects", work->count);
    return model_fit_check(work->package ? model_package_needs(work->package) : NULL, work->flow->options.words,
                           objects, work->count, read_pixels, work, &work->arena, &work->fit, err) &&
           note_held_back(work, err);
}

bool flow_input_lacks(struct flow_work *work, const char **lack, struct error *err)
{
    const char *words = held_back_words(work);
    *lack = words && *words ? words : NULL;
    return words || error_set(err, ERROR_LIMIT, "no memory for a reason");
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
    if (!archive_objects(flow->options.archive, ACCESS_ALL, NULL, NULL, predecessor, arena, &report, &count, err))
        return false;
    out->predecessor_series = report->series;
    return true;
}
