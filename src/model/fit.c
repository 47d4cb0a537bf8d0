// The check whether images are fit: its order, and what a model needs of a volume.
#include "model/fit_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum {
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    STUDY_DESCRIPTION = DICOM_TAG(0x0008, 0x1030),
    SERIES_DESCRIPTION = DICOM_TAG(0x0008, 0x103E),
    BODY_PART = DICOM_TAG(0x0018, 0x0015),
    INSTANCE_NUMBER = DICOM_TAG(0x0020, 0x0013)
};

// Slices "every 5 mm" whose positions were rounded are 5.004 mm apart.
static const double SPACING_MAX_TOLERANCE = .01;

// ---- words

bool fit_say(struct fit *fit, const char **out, struct error *err, const char *format, ...)
{
    char text[512], shown[512];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    *out = arena_strdup(fit->arena, text_show(shown, sizeof shown, text, strlen(text)));
    return *out || error_set(err, ERROR_LIMIT, "no memory for what is to be said of a series");
}

bool fit_leave_out(struct fit *fit, size_t index, const char *why, struct error *err)
{
    struct model_left_out *left = &fit->out->left_out[fit->out->left_out_count++];
    left->index = index;
    return fit_say(fit, &left->why, err, "%s", why);
}

const char *fit_text(struct fit *fit, const struct dicom_dataset *header, dicom_tag tag)
{
    const char *text = dicom_text_at(header, tag, 0, fit->arena);
    return text ? text : "";
}

const char *fit_name(struct fit *fit, size_t index)
{
    const struct model_object *object = &fit->objects[index];
    const char *number = fit_text(fit, object->header, INSTANCE_NUMBER);
    const char *name =
        *number ? arena_printf(fit->arena, "Instance %s (%s)", number, object->sop_instance) : object->sop_instance;
    return name ? name : object->sop_instance;
}

// ---- what a model needs

static bool lack(struct arena *arena, const char **out, struct error *err, const char *text)
{
    *out = text;
    (void)arena;
    return text || error_set(err, ERROR_LIMIT, "no memory for what is to be said of a series");
}

bool model_volume_lacks(const struct model_needs *needs, const struct model_volume *volume, struct arena *arena,
                        const char **out, struct error *err)
{
    double spacing_mm = volume->geometry.spacing_mm[0];
    *out = NULL;
    if (volume->count < needs->slices_min || (needs->slices_max > 0 && volume->count > needs->slices_max))
        return lack(arena, out, err,
                    arena_printf(arena, "%zu slices; %u to %u are needed", volume->count, needs->slices_min,
                                 needs->slices_max > 0 ? needs->slices_max : IMAGE_SLICES_MAX));
    if (needs->spacing_max_mm > 0 && spacing_mm > needs->spacing_max_mm * (1 + SPACING_MAX_TOLERANCE))
        return lack(
            arena, out, err,
            arena_printf(arena, "slices every %.2f mm; at most %.2f mm are needed", spacing_mm, needs->spacing_max_mm));
    if (needs->contrast_refused && volume->contrast == MODEL_CONTRAST_GIVEN)
        return lack(
            arena, out, err,
            arena_printf(arena, "a contrast agent was given, %s; a scan without is needed", volume->contrast_witness));
    return true;
}

static bool holds_part(struct fit *fit, const char *part, const char *description)
{
    const struct model_needs *needs = fit->needs;
    bool holds = needs->body_part_count + needs->word_count == 0;
    for (size_t i = 0; i < needs->body_part_count && !holds; i++)
        holds = model_words_is_part(fit->words, part, description, needs->body_parts[i]);
    for (size_t i = 0; i < needs->word_count && !holds; i++)
        holds = model_words_says(fit->words, description, needs->words[i]);
    return holds;
}

static bool check_part(struct fit *fit, struct model_volume *volume, const struct dicom_dataset *header,
                       struct error *err)
{
    const char *part = fit_text(fit, header, BODY_PART), *series = fit_text(fit, header, SERIES_DESCRIPTION),
               *study = fit_text(fit, header, STUDY_DESCRIPTION);
    const char *description = arena_printf(fit->arena, "%s / %s", series, study);
    if (!description)
        return error_set(err, ERROR_LIMIT, "no memory for a description");
    return holds_part(fit, part, description) ||
           fit_say(fit, &volume->unfit, err,
                   "body part '%.40s', series '%.60s', study '%.60s': the model is for another part of the body", part,
                   series, study);
}

static bool check_object(struct fit *fit, struct model_volume *volume, size_t index, struct error *err)
{
    const struct dicom_dataset *header = fit->objects[index].header;
    const char *modality = fit_text(fit, header, MODALITY);
    if (*fit->needs->modality && strcmp(fit->needs->modality, modality) != 0)
        return fit_say(fit, &volume->unfit, err, "%s is %s, the model needs %s", fit_name(fit, index),
                       *modality ? modality : "of no modality", fit->needs->modality);
    return check_part(fit, volume, header, err);
}

static bool check_volume(struct fit *fit, struct model_volume *volume, struct error *err)
{
    for (size_t k = 0; k < volume->count && !volume->unfit; k++)
        if (!check_object(fit, volume, volume->slices[k].index, err))
            return false;
    return volume->unfit || model_volume_lacks(fit->needs, volume, fit->arena, &volume->unfit, err);
}

static bool check_frame_of_reference(struct fit *fit, struct model_volume *volume, struct error *err)
{
    return *volume->slices[0].frame_of_reference ||
           fit_say(fit, &volume->unfit, err,
                   "the slices have no Frame of Reference UID (0020,0052): what is found would have no place");
}

// ---- the check

static bool finish_volume(struct fit *fit, struct model_volume *volume, struct error *err)
{
    volume->notes = "";
    if (!fit_contrast(fit, volume, err))
        return false;
    if (volume->contrast == MODEL_CONTRAST_NOT_STATED)
        volume->notes = "contrast is not stated";
    if (!volume->unfit && !check_frame_of_reference(fit, volume, err))
        return false;
    return volume->unfit || !fit->needs || check_volume(fit, volume, err);
}

bool model_fit_check(const struct model_needs *needs, const struct model_words *words,
                     const struct model_object *objects, size_t count, model_same_pixels_fn *same, void *payload,
                     struct arena *arena, struct model_fit *out, struct error *err)
{
    struct fit fit = {.needs = needs,
                      .words = words,
                      .objects = objects,
                      .count = count,
                      .same = same,
                      .payload = payload,
                      .arena = arena,
                      .out = out};
    *out = (struct model_fit){0};
    if (count == 0 || count > MODEL_OBJECTS_MAX)
        return fit_say(&fit, &out->unfit, err, "%zu objects: 1 to %d can be looked at", count, MODEL_OBJECTS_MAX);
    if (!fit_sort_out(&fit, err) || (!out->unfit && !fit_make_volumes(&fit, err)))
        return false;
    for (size_t i = 0; i < out->volume_count; i++)
        if (!finish_volume(&fit, &out->volumes[i], err))
            return false;
    return true;
}
