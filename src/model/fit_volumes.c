// Images to volumes: what is alike makes a group, what collides in a group is told apart by the table (fit_apart.c),
// and what of it is in place is a volume.
#include "model/fit_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum {
    SLICE_THICKNESS = DICOM_TAG(0x0018, 0x0050),
    STRAYS_MAX = 3 // images of another orientation that make no volume are strays up to here, an unfit volume beyond
};

static const double THICKNESS_MAX_MM = 100;

// ---- what slices of one volume are alike in

static bool same_turn(const struct image_slice *a, const struct image_slice *b)
{
    return image_slices_turned_alike(a, b);
}

static double two_digits(double value)
{
    return round(value * 100) / 100 + 0.0; // no -0
}

static void say_turn(const struct image_slice *slice, char *out, size_t size)
{
    const double *r = slice->row_direction, *c = slice->column_direction;
    snprintf(out, size, "Orientation %g\\%g\\%g\\%g\\%g\\%g", two_digits(r[0]), two_digits(r[1]), two_digits(r[2]),
             two_digits(c[0]), two_digits(c[1]), two_digits(c[2]));
}

static bool same_size(const struct image_slice *a, const struct image_slice *b)
{
    return a->rows == b->rows && a->columns == b->columns;
}

static void say_size(const struct image_slice *slice, char *out, size_t size)
{
    snprintf(out, size, "%u x %u pixels", slice->rows, slice->columns);
}

static bool same_spacing(const struct image_slice *a, const struct image_slice *b)
{
    return image_slices_spaced_alike(a, b);
}

static void say_spacing(const struct image_slice *slice, char *out, size_t size)
{
    snprintf(out, size, "Pixel Spacing %.4g\\%.4g", slice->pixel_spacing_mm[0], slice->pixel_spacing_mm[1]);
}

static bool same_frame(const struct image_slice *a, const struct image_slice *b)
{
    return strcmp(a->frame_of_reference, b->frame_of_reference) == 0;
}

static void say_frame(const struct image_slice *slice, char *out, size_t size)
{
    snprintf(out, size, "Frame of Reference %s", slice->frame_of_reference);
}

static const struct {
    bool (*same)(const struct image_slice *a, const struct image_slice *b);
    void (*say)(const struct image_slice *slice, char *out, size_t size); // for a label
} likenesses[] = {{same_turn, say_turn}, {same_size, say_size}, {same_spacing, say_spacing}, {same_frame, say_frame}};

enum { LIKENESSES = sizeof likenesses / sizeof *likenesses };

static bool is_alike(const struct image_slice *a, const struct image_slice *b)
{
    for (size_t i = 0; i < LIKENESSES; i++)
        if (!likenesses[i].same(a, b))
            return false;
    return true;
}

// ---- groups of like images

// Moves the images like the first one to the front, the order kept among them and among the others. How many.
static size_t gather(struct fit_image **images, size_t count, struct fit_image **others)
{
    size_t alike = 0, other = 0;
    const struct image_slice *first = &images[0]->slice;
    for (size_t i = 0; i < count; i++)
        if (is_alike(&images[i]->slice, first))
            images[alike++] = images[i];
        else
            others[other++] = images[i];
    memcpy(images + alike, others, other * sizeof *others);
    return alike;
}

static int by_along(const void *left, const void *right)
{
    const struct fit_image *a = *(struct fit_image *const *)left, *b = *(struct fit_image *const *)right;
    return a->along_mm != b->along_mm ? (a->along_mm > b->along_mm) - (a->along_mm < b->along_mm)
                                      : (a > b) - (a < b); // images stand in the order of their UIDs
}

// Numbers the places of a group along its normal: what is nearer than the tolerance is at one place.
static void number_places(struct fit_image **images, size_t count)
{
    const double *r = images[0]->slice.row_direction, *c = images[0]->slice.column_direction;
    double normal[3] = {r[1] * c[2] - r[2] * c[1], r[2] * c[0] - r[0] * c[2], r[0] * c[1] - r[1] * c[0]}, widest = 0;
    for (size_t i = 0; i < count; i++) {
        const double *p = images[i]->slice.position_mm;
        images[i]->along_mm = p[0] * normal[0] + p[1] * normal[1] + p[2] * normal[2];
    }
    qsort(images, count, sizeof(struct fit_image *), by_along);
    for (size_t i = 1; i < count; i++)
        widest = fmax(widest, images[i]->along_mm - images[i - 1]->along_mm);
    double near = fmin(image_tolerances.same_place_mm, image_tolerances.same_place_share * widest);
    double start = images[0]->along_mm;
    for (size_t i = 0; i < count; i++) {
        bool same = i == 0 || images[i]->along_mm - start <= near;
        images[i]->place = i == 0 ? 0 : images[i - 1]->place + !same;
        start = same ? start : images[i]->along_mm;
    }
}

static bool split_groups(struct fit *fit, struct error *err)
{
    struct fit_image **images = arena_calloc(fit->arena, fit->image_count, sizeof *images);
    struct fit_image **others = arena_calloc(fit->arena, fit->image_count, sizeof *others);
    if (!images || !others)
        return error_set(err, ERROR_LIMIT, "no memory for %zu images", fit->image_count);
    for (size_t i = 0; i < fit->image_count; i++)
        images[i] = &fit->images[i];
    for (size_t left = fit->image_count; left > 0 && !fit->out->unfit;) {
        size_t alike = gather(images, left, others);
        number_places(images, alike);
        if (!fit_tell_apart(fit, images, alike, err))
            return false;
        images += alike;
        left -= alike;
    }
    return true;
}

// ---- volumes

bool fit_add_volume(struct fit *fit, struct fit_image *const *images, size_t count, const char *label,
                    const char *unfit, struct error *err)
{
    if (fit->out->volume_count == MODEL_VOLUMES_MAX)
        return fit_say(fit, &fit->out->unfit, err, "the series holds more than %d volumes", MODEL_VOLUMES_MAX);
    struct model_volume *volume = &fit->out->volumes[fit->out->volume_count++];
    *volume = (struct model_volume){.label = arena_strdup(fit->arena, label), .unfit = unfit};
    volume->slices = arena_calloc(fit->arena, count, sizeof *volume->slices);
    if (!volume->label || !volume->slices)
        return error_set(err, ERROR_LIMIT, "no memory for a volume of %zu slices", count);
    for (; volume->count < count; volume->count++)
        volume->slices[volume->count] = images[volume->count]->slice;
    return true;
}

// Between the faces of the first and the last slice. A slice without a thickness reaches half-way to the next.
static double coverage_of(struct fit *fit, const struct model_volume *volume)
{
    double thickness_mm, spacing_mm = volume->geometry.spacing_mm[0];
    if (!dicom_number(fit->objects[volume->slices[0].index].header, SLICE_THICKNESS, 0, &thickness_mm) ||
        !(thickness_mm > 0 && thickness_mm <= THICKNESS_MAX_MM))
        thickness_mm = spacing_mm;
    return (double)(volume->count - 1) * spacing_mm + thickness_mm;
}

static bool measure(struct fit *fit, struct model_volume *volume, struct error *err)
{
    struct error why;
    if (volume->unfit)
        return true;
    if (!image_geometry_of(volume->slices, volume->count, &volume->geometry, &why))
        return why.code == ERROR_MEMORY ? error_set(err, why.code, "%s", why.message)
                                        : fit_say(fit, &volume->unfit, err, "%s", why.message);
    volume->coverage_mm = coverage_of(fit, volume);
    return true;
}

// Images of another orientation than all that makes a volume.
static bool is_stray(const struct fit *fit, const struct model_volume *volume)
{
    bool others = false;
    if (volume->geometry.slices > 0 || volume->count > STRAYS_MAX)
        return false;
    for (size_t i = 0; i < fit->out->volume_count; i++) {
        const struct model_volume *other = &fit->out->volumes[i];
        if (other->geometry.slices > 0 && image_slices_turned_alike(other->slices, volume->slices))
            return false;
        others = others || other->geometry.slices > 0;
    }
    return others;
}

static bool leave_out(struct fit *fit, const struct model_volume *volume, struct error *err)
{
    for (size_t k = 0; k < volume->count; k++)
        if (!fit_leave_out(fit, volume->slices[k].index, FIT_STRAY, NULL, err))
            return false;
    return true;
}

static bool leave_out_strays(struct fit *fit, struct error *err)
{
    struct model_volume *volumes = fit->out->volumes;
    bool stray[MODEL_VOLUMES_MAX];
    size_t kept = 0;
    for (size_t i = 0; i < fit->out->volume_count; i++)
        stray[i] = is_stray(fit, &volumes[i]);
    for (size_t i = 0; i < fit->out->volume_count; i++) {
        if (stray[i] && !leave_out(fit, &volumes[i], err))
            return false;
        if (!stray[i])
            volumes[kept++] = volumes[i];
    }
    fit->out->volume_count = kept;
    return true;
}

// ---- labels

static bool differ(const struct fit *fit, size_t likeness)
{
    for (size_t i = 1; i < fit->out->volume_count; i++)
        if (!likenesses[likeness].same(fit->out->volumes[0].slices, fit->out->volumes[i].slices))
            return true;
    return false;
}

// What tells the volume's group from the others, before what tells it apart in its group.
static bool label(struct fit *fit, struct model_volume *volume, struct error *err)
{
    char text[MODEL_LABEL_SIZE] = "";
    for (size_t i = 0; i < LIKENESSES; i++) {
        char part[MODEL_LABEL_SIZE];
        likenesses[i].say(volume->slices, part, sizeof part);
        if (differ(fit, i))
            fit_add_label(text, part);
    }
    if (fit->out->volume_count > 1)
        fit_add_label(text, volume->label);
    volume->label = arena_strdup(fit->arena, text);
    return volume->label || error_set(err, ERROR_LIMIT, "no memory for a label");
}

static int by_label(const void *left, const void *right)
{
    const struct model_volume *a = left, *b = right;
    return fit_compare(a->label, b->label);
}

// In order; labels that were cut to the same text are numbered.
static bool label_all(struct fit *fit, struct error *err)
{
    struct model_volume *volumes = fit->out->volumes;
    size_t same = 1;
    for (size_t i = 0; i < fit->out->volume_count; i++)
        if (!label(fit, &volumes[i], err))
            return false;
    qsort(volumes, fit->out->volume_count, sizeof *volumes, by_label);
    const char *first = volumes[0].label;
    for (size_t i = 1; i < fit->out->volume_count; i++) {
        same = strcmp(volumes[i].label, first) == 0 ? same + 1 : 1;
        first = same == 1 ? volumes[i].label : first;
        if (same > 1 && !(volumes[i].label = arena_printf(fit->arena, "%.*s #%zu", MODEL_LABEL_SIZE - 8, first, same)))
            return error_set(err, ERROR_LIMIT, "no memory for a label");
    }
    return true;
}

bool fit_make_volumes(struct fit *fit, struct error *err)
{
    fit->out->volumes = arena_calloc(fit->arena, MODEL_VOLUMES_MAX, sizeof *fit->out->volumes);
    if (!fit->out->volumes)
        return error_set(err, ERROR_LIMIT, "no memory for volumes");
    if (!split_groups(fit, err))
        return false;
    for (size_t i = 0; i < fit->out->volume_count; i++)
        if (!measure(fit, &fit->out->volumes[i], err))
            return false;
    return fit->out->unfit || (leave_out_strays(fit, err) && label_all(fit, err));
}
