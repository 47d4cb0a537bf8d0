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
    POSITION = DICOM_TAG(0x0020, 0x0032),
    ORIENTATION = DICOM_TAG(0x0020, 0x0037),
    IMAGE_TYPE_VALUES_MAX = 16
};

// ---- one patient

static bool is_same_patient(const struct model_object *a, const struct model_object *b)
{
    return strcmp(a->patient_id, b->patient_id) == 0 && strcmp(a->issuer, b->issuer) == 0;
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
    return fit_say(fit, &fit->out->unfit, err, "objects of two patients, %s%s%s and %s%s%s", a->patient_id,
                   *a->issuer ? " of " : "", a->issuer, b->patient_id, *b->issuer ? " of " : "", b->issuer);
}

static bool check_patients(struct fit *fit, struct error *err)
{
    for (size_t i = 1; i < fit->count; i++)
        if (!is_same_patient(&fit->objects[0], &fit->objects[i]))
            return tell_patients(fit, &fit->objects[0], &fit->objects[i], err);
    return true;
}

// ---- what is left out

// Words of Image Type (0008,0008) that mean no slice of a volume.
static const struct {
    const char *value, *why;
} page_types[] = {
    {"LOCALIZER", "localizer"},         {"SCOUT", "localizer"},
    {"TOPOGRAM", "localizer"},          {"SURVIEW", "localizer"},
    {"SCANOGRAM", "localizer"},         {"SCREEN SAVE", "secondary page"},
    {"SCREENSAVE", "secondary page"},   {"DOSE_INFO", "secondary page"},
    {"DOSE INFO", "secondary page"},    {"DOSE", "secondary page"},
    {"PATIENT_PROT", "secondary page"},
};

// Secondary Capture and its multi-frame forms (PS3.4 B.5), encapsulated documents.
static const char *const page_classes[] = {"1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.104"};

static bool is_within(const char *uid, const char *root)
{
    size_t size = strlen(root);
    return strncmp(uid, root, size) == 0 && (uid[size] == '\0' || uid[size] == '.');
}

static const char *page_type_of(struct fit *fit, const struct dicom_dataset *header)
{
    for (size_t i = 0; i < IMAGE_TYPE_VALUES_MAX; i++) {
        const char *value = dicom_text_at(header, IMAGE_TYPE, i, fit->arena);
        if (!value)
            return NULL;
        for (size_t k = 0; k < sizeof page_types / sizeof *page_types; k++)
            if (text_same_fold(value, page_types[k].value))
                return page_types[k].why;
    }
    return NULL;
}

// NULL: it may be a slice.
static const char *why_left_out(struct fit *fit, const struct model_object *object)
{
    int64_t samples;
    if (!dicom_find(object->header, ROWS))
        return "no image";
    for (size_t i = 0; i < sizeof page_classes / sizeof *page_classes; i++)
        if (is_within(object->sop_class, page_classes[i]))
            return "secondary page";
    if (dicom_integer(object->header, SAMPLES, 0, &samples) && samples != 1)
        return "colour page";
    return page_type_of(fit, object->header);
}

static bool has_place(const struct dicom_dataset *header)
{
    return dicom_value_count(header, POSITION) > 0 && dicom_value_count(header, ORIENTATION) > 0;
}

// ---- what remains

static int by_instance(const void *left, const void *right)
{
    const struct fit_image *a = left, *b = right;
    int order = strcmp(a->object->sop_instance, b->object->sop_instance);
    return order ? order : (a->slice.index > b->slice.index) - (a->slice.index < b->slice.index);
}

static bool read_image(struct fit *fit, struct fit_image *image, struct error *err)
{
    struct error why;
    int64_t frames;
    if (dicom_integer(image->object->header, FRAMES, 0, &frames) && frames > 1)
        return fit_say(fit, &fit->out->unfit, err,
                       "%s holds %lld frames: multi-frame objects are not read by models yet",
                       fit_name(fit, image->slice.index), (long long)frames);
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
        else if (!fit_leave_out(fit, fit->images[i].slice.index, "no place in space", err))
            return false;
    }
    fit->image_count = kept;
    return true;
}

static bool leave_out_pages(struct fit *fit, struct error *err)
{
    for (size_t i = 0; i < fit->count; i++) {
        const char *why = why_left_out(fit, &fit->objects[i]);
        if (why && !fit_leave_out(fit, i, why, err))
            return false;
        if (!why)
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
