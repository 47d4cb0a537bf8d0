// What belongs to a volume at all: one patient's images, without localizers, secondary pages, and what has no place.
#include "model/fit_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum {
    IMAGE_TYPE = DICOM_TAG(0x0008, 0x0008),
    SAMPLES = DICOM_TAG(0x0028, 0x0002),
    FRAMES = DICOM_TAG(0x0028, 0x0008),
    ROWS = DICOM_TAG(0x0028, 0x0010),
    FRAME_GROUPS = DICOM_TAG(0x5200, 0x9230),
    POSITION = DICOM_TAG(0x0020, 0x0032),
    ORIENTATION = DICOM_TAG(0x0020, 0x0037),
    IMAGE_TYPE_VALUES_MAX = 16
};

// ---- one patient

static const char *id_of(const struct model_object *object)
{
    return *object->patient_id ? object->patient_id : "one without ID";
}

static bool tell_patients(struct fit *fit, const struct model_object *a, const struct model_object *b,
                          struct error *err)
{
    // The same words whichever comes first.
    int order = strcmp(a->patient_id, b->patient_id);
    if (order > 0 || (order == 0 && strcmp(a->issuer, b->issuer) > 0)) {
        const struct model_object *swap = a;
        a = b;
        b = swap;
    }
    fit->out->several_patients = true;
    return fit_say(fit, &fit->out->unfit, err, "objects of two patients, %s%s%s and %s%s%s", id_of(a),
                   *a->issuer ? " of " : "", a->issuer, id_of(b), *b->issuer ? " of " : "", b->issuer);
}

static bool check_patients(struct fit *fit, struct error *err)
{
    for (size_t i = 1; i < fit->count; i++)
        if (fit->objects[0].patient != fit->objects[i].patient)
            return tell_patients(fit, &fit->objects[0], &fit->objects[i], err);
    return true;
}

// ---- what is left out

// Values of Image Type (0008,0008) that mean no slice of a volume.
static const struct {
    const char *value;
    enum fit_left kind;
} page_types[] = {
    {"LOCALIZER", FIT_LOCALIZER}, {"SCOUT", FIT_LOCALIZER},     {"TOPOGRAM", FIT_LOCALIZER}, {"SURVIEW", FIT_LOCALIZER},
    {"SCANOGRAM", FIT_LOCALIZER}, {"SCREEN SAVE", FIT_PAGE},    {"SCREENSAVE", FIT_PAGE},    {"DOSE_INFO", FIT_PAGE},
    {"DOSE INFO", FIT_PAGE},      {"DOSE", FIT_PAGE},           {"PATIENT_PROT", FIT_PAGE},  {"CT_SOM5 PROT", FIT_PAGE},
    {"CT_SOM7 PROT", FIT_PAGE},   {"SUMMARY REPORT", FIT_PAGE},
};

// Secondary Capture and its multi-frame forms (PS3.4 B.5).
static const char page_class[] = "1.2.840.10008.5.1.4.1.1.7";

static bool is_within(const char *uid, const char *root)
{
    size_t size = strlen(root);
    return strncmp(uid, root, size) == 0 && (uid[size] == '\0' || uid[size] == '.');
}

static enum fit_left page_type_of(struct fit *fit, const struct dicom_dataset *header)
{
    for (size_t i = 0; i < IMAGE_TYPE_VALUES_MAX; i++) {
        const char *value = dicom_text_at(header, IMAGE_TYPE, i, fit->arena);
        for (size_t k = 0; value && k < sizeof page_types / sizeof *page_types; k++)
            if (text_same_fold(value, page_types[k].value))
                return page_types[k].kind;
    }
    return FIT_LEFT_KINDS;
}

// FIT_LEFT_KINDS: it may be a slice.
static enum fit_left kind_of(struct fit *fit, const struct model_object *object)
{
    int64_t samples;
    if (!dicom_find(object->header, ROWS))
        return FIT_NO_IMAGE;
    if (is_within(object->sop_class, page_class))
        return FIT_PAGE;
    if (dicom_integer(object->header, SAMPLES, 0, &samples) && samples != 1)
        return FIT_COLOUR;
    return page_type_of(fit, object->header);
}

// An enhanced object keeps the places of its frames in functional groups, even of a single one.
static bool is_multi_frame(const struct dicom_dataset *header, int64_t *frames)
{
    if (!dicom_integer(header, FRAMES, 0, frames))
        *frames = 1;
    return *frames > 1 || dicom_find(header, FRAME_GROUPS);
}

// Multi-frame objects say theirs elsewhere.
static bool has_place(const struct dicom_dataset *header)
{
    int64_t frames;
    return is_multi_frame(header, &frames) ||
           (dicom_value_count(header, POSITION) > 0 && dicom_value_count(header, ORIENTATION) > 0);
}

// ---- what remains

static int by_instance(const void *left, const void *right)
{
    const struct fit_image *a = left, *b = right;
    int order = fit_compare(a->object->sop_instance, b->object->sop_instance);
    return order ? order : (a->slice.index > b->slice.index) - (a->slice.index < b->slice.index);
}

static const char *frames_text(struct fit *fit, int64_t frames)
{
    const char *text = frames > 1 ? arena_printf(fit->arena, "holds %lld frames", (long long)frames) : NULL;
    return text ? text : "is an enhanced object";
}

static bool read_image(struct fit *fit, struct fit_image *image, struct error *err)
{
    struct error why;
    int64_t frames;
    if (is_multi_frame(image->object->header, &frames))
        return fit_say(fit, &fit->out->unfit, err, "%s %s: multi-frame objects are not read by models yet",
                       fit_name(fit, image->slice.index), frames_text(fit, frames));
    if (image_slice_read(image->object->header, &image->slice, &why))
        return true;
    return fit_say(fit, &fit->out->unfit, err, "%s: %s", fit_name(fit, image->slice.index), why.message);
}

static bool read_images(struct fit *fit, struct error *err)
{
    for (size_t i = 0; i < fit->image_count && !fit->out->unfit; i++)
        if (!read_image(fit, &fit->images[i], err))
            return false;
    return true;
}

// Images without a place among images that have one.
static bool leave_out_placeless(struct fit *fit, struct error *err)
{
    size_t kept = 0, placed = 0;
    for (size_t i = 0; i < fit->image_count; i++)
        placed += has_place(fit->images[i].object->header);
    for (size_t i = 0; i < fit->image_count; i++) {
        if (placed == 0 || has_place(fit->images[i].object->header))
            fit->images[kept++] = fit->images[i];
        else if (!fit_leave_out(fit, fit->images[i].slice.index, FIT_NO_PLACE, NULL, err))
            return false;
    }
    fit->image_count = kept;
    return true;
}

static bool leave_out_pages(struct fit *fit, struct error *err)
{
    for (size_t i = 0; i < fit->count; i++) {
        enum fit_left kind = kind_of(fit, &fit->objects[i]);
        if (kind != FIT_LEFT_KINDS && !fit_leave_out(fit, i, kind, NULL, err))
            return false;
        if (kind == FIT_LEFT_KINDS)
            fit->images[fit->image_count++] = (struct fit_image){.object = &fit->objects[i], .slice = {.index = i}};
    }
    return true;
}

bool fit_sort_out(struct fit *fit, struct error *err)
{
    fit->images = arena_calloc(fit->arena, fit->count, sizeof *fit->images);
    fit->out->left_out = arena_calloc(fit->arena, fit->count, sizeof *fit->out->left_out);
    if (!fit->images || !fit->out->left_out)
        return error_set(err, ERROR_LIMIT, "no memory for a series of %zu objects", fit->count);
    if (!check_patients(fit, err) || fit->out->unfit)
        return !!fit->out->unfit;
    if (!leave_out_pages(fit, err) || !leave_out_placeless(fit, err))
        return false;
    qsort(fit->images, fit->image_count, sizeof *fit->images, by_instance);
    if (fit->image_count == 0)
        return fit_say(fit, &fit->out->unfit, err, "none of the %zu objects is a slice of a volume", fit->count);
    return read_images(fit, err);
}
