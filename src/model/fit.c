// The check whether images are fit: its order, and what a model needs of a volume.
#include "model/fit_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "image/mask.h"

enum {
    IMAGE_TYPE = DICOM_TAG(0x0008, 0x0008),
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    STUDY_DESCRIPTION = DICOM_TAG(0x0008, 0x1030),
    SERIES_DESCRIPTION = DICOM_TAG(0x0008, 0x103E),
    BODY_PART = DICOM_TAG(0x0018, 0x0015),
    ACQUISITION_NUMBER = DICOM_TAG(0x0020, 0x0012),
    INSTANCE_NUMBER = DICOM_TAG(0x0020, 0x0013),
    IMAGES_IN_ACQUISITION = DICOM_TAG(0x0020, 0x1002),
    SERIES_INSTANCES = DICOM_TAG(0x0020, 0x1209)
};

// Slices "every 5 mm" whose positions were rounded are 5.004 mm apart.
static const double SPACING_MAX_TOLERANCE = .01, COVERAGE_SLACK_MM = .5;

// ---- words

static const struct {
    const char *one, *many;
} kinds[] = {
    [FIT_LOCALIZER] = {"localizer", "localizers"},
    [FIT_PAGE] = {"secondary page", "secondary pages"},
    [FIT_COLOUR] = {"colour page", "colour pages"},
    [FIT_NO_IMAGE] = {"object without an image", "objects without an image"},
    [FIT_NO_PLACE] = {"image without a place in space", "images without a place in space"},
    [FIT_STRAY] = {"image of another orientation", "images of another orientation"},
    [FIT_DOUBLE] = {"double", "doubles"},
};

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

bool fit_same_bytes(const struct dicom_dataset *a, const struct dicom_dataset *b, dicom_tag tag)
{
    const struct dicom_element *left = dicom_find(a, tag), *right = dicom_find(b, tag);
    if (!left || !right)
        return left == right;
    return left->length == right->length &&
           (left->length == 0 || (left->value && right->value && memcmp(left->value, right->value, left->length) == 0));
}

bool fit_leave_out(struct fit *fit, size_t index, enum fit_left kind, const char *why, struct error *err)
{
    struct model_left_out *left = &fit->out->left_out[fit->out->left_out_count++];
    *left = (struct model_left_out){.index = index, .what = kinds[kind].one};
    return fit_say(fit, &left->why, err, "%s", why ? why : "");
}

const char *fit_text(struct fit *fit, const struct dicom_dataset *header, dicom_tag tag)
{
    const char *text = dicom_text_at(header, tag, 0, fit->arena);
    return text ? text : "";
}

// Its Instance Number; its UID when it has none.
static const char *fit_number(struct fit *fit, size_t index)
{
    const char *number = fit_text(fit, fit->objects[index].header, INSTANCE_NUMBER);
    return *number ? number : fit->objects[index].sop_instance;
}

const char *fit_name(struct fit *fit, size_t index)
{
    const char *uid = fit->objects[index].sop_instance, *number = fit_number(fit, index);
    const char *name = arena_printf(fit->arena, number == uid ? "Instance %s" : "Instance %s (%s)", number, uid);
    return name ? name : uid;
}

// Digits, and more of them behind one point.
static double take_number(const char **text)
{
    enum { DIGITS_MAX = 30 };
    size_t size = strspn(*text, "0123456789");
    double number = 0;
    if ((*text)[size] == '.')
        size += 1 + strspn(*text + size + 1, "0123456789");
    size = size < DIGITS_MAX ? size : DIGITS_MAX;
    text_to_double(*text, size, &number);
    *text += size;
    return number;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int fit_compare(const char *a, const char *b)
{
    const char *left = a, *right = b;
    while (*left && (*left == *right || (is_digit(*left) && is_digit(*right)))) {
        if (!is_digit(*left)) {
            left++, right++;
            continue;
        }
        double x = take_number(&left), y = take_number(&right);
        if (x != y)
            return x > y ? 1 : -1;
    }
    int order = (unsigned char)*left - (unsigned char)*right;
    return order ? order : strcmp(a, b);
}

void fit_add_label(char label[MODEL_LABEL_SIZE], const char *more)
{
    size_t size = strlen(label);
    if (*more)
        snprintf(label + size, MODEL_LABEL_SIZE - size, "%s%s", size > 0 ? ", " : "", more);
}

// ---- what a model needs

bool model_volume_lacks(const struct model_needs *needs, const struct model_volume *volume, struct arena *arena,
                        const char **out, struct error *err)
{
    double spacing_mm = volume->geometry.spacing_mm[0];
    if (volume->count < needs->slices_min || (needs->slices_max > 0 && volume->count > needs->slices_max))
        *out = arena_printf(arena, "%zu slices; %u to %u are needed", volume->count, needs->slices_min,
                            needs->slices_max > 0 ? needs->slices_max : IMAGE_SLICES_MAX);
    else if (needs->spacing_max_mm > 0 && spacing_mm > needs->spacing_max_mm * (1 + SPACING_MAX_TOLERANCE))
        *out =
            arena_printf(arena, "slices every %.2f mm; at most %.2f mm are needed", spacing_mm, needs->spacing_max_mm);
    else if (needs->contrast_refused && volume->contrast == MODEL_CONTRAST_GIVEN)
        *out = arena_printf(arena, "a contrast agent was given, says %s; a scan without is needed",
                            volume->contrast_witness);
    else
        return *out = NULL, true;
    return *out || error_set(err, ERROR_LIMIT, "no memory for what is to be said of a series");
}

// What keeps a volume of which so much was looked at from a negative; "" nothing. NULL: no memory.
static const char *lack_of_look(const struct model_needs *needs, const struct model_volume *volume,
                                const struct model_result *result, struct arena *arena)
{
    double ml = (double)result->looked_at * image_voxel_ml(&volume->geometry);
    if (result->looked_at == 0)
        return "nothing was found, and nothing was looked at";
    if (*volume->gap)
        return arena_printf(arena, "%s hold no image data: what lies there was not looked at", volume->gap);
    if (result->cut_mm2 > mask_tolerances.cut_mm2)
        return arena_printf(arena, "the head is cut by the field of view, by %.0f cm2 of its surface",
                            result->cut_mm2 / 100);
    if (ml < needs->looked_min_ml)
        return arena_printf(arena, "only %.0f mL of the %.0f mL that a negative needs were looked at", ml,
                            needs->looked_min_ml);
    if (volume->coverage_mm + COVERAGE_SLACK_MM < needs->coverage_min_mm)
        return arena_printf(arena, "nothing was found in %.0f mm of the patient; a negative needs %.0f mm",
                            volume->coverage_mm, needs->coverage_min_mm);
    return "";
}

bool model_negative_lacks(const struct model_needs *needs, const struct model_volume *volume,
                          const struct model_result *result, struct arena *arena, const char **lack, struct error *err)
{
    const char *words = lack_of_look(needs, volume, result, arena);
    *lack = words && *words ? words : NULL;
    return words || error_set(err, ERROR_LIMIT, "no memory for what is to be said of a series");
}

static bool note_past_limits(const struct model_result *result, struct arena *arena, const char **notes,
                             struct error *err)
{
    char text[128];
    snprintf(text, sizeof text, "%llu more %s seen, smaller than those told, and neither told nor marked",
             (unsigned long long)result->left_out, result->left_out == 1 ? "region is" : "regions are");
    return result->left_out == 0 || fit_note(arena, notes, arena_strdup(arena, text), err);
}

bool model_result_notes(const struct model_volume *volume, const struct model_result *result, struct arena *arena,
                        const char **notes, struct error *err)
{
    *notes = volume->notes;
    if (!note_past_limits(result, arena, notes, err))
        return false;
    return result->count == 0 || result->cut_mm2 <= mask_tolerances.cut_mm2 ||
           fit_note(arena, notes, "the head is cut by the field of view: no side is told", err);
}

// Another part, named, excludes whatever the description says.
static bool is_other_part(struct fit *fit, const char *part)
{
    const struct model_needs *needs = fit->needs;
    size_t other = 0;
    for (size_t i = 0; i < needs->body_part_count; i++)
        other += model_words_is_other(fit->words, part, needs->body_parts[i]);
    return needs->body_part_count > 0 && other == needs->body_part_count;
}

static bool holds_part(struct fit *fit, const char *part, const char *description)
{
    const struct model_needs *needs = fit->needs;
    bool holds = needs->body_part_count + needs->word_count == 0;
    for (size_t i = 0; i < needs->body_part_count && !holds; i++)
        holds = model_words_is_part(fit->words, part, description, needs->body_parts[i]);
    for (size_t i = 0; i < needs->word_count && !holds; i++)
        holds = model_words_says(fit->words, description, needs->words[i]);
    return holds && !is_other_part(fit, part);
}

static bool says_wanted(struct fit *fit, const char *description)
{
    const struct model_needs *needs = fit->needs;
    bool says = false;
    for (size_t i = 0; i < needs->body_part_count && !says; i++)
        says = model_words_is_part(fit->words, "", description, needs->body_parts[i]);
    for (size_t i = 0; i < needs->word_count && !says; i++)
        says = model_words_says(fit->words, description, needs->words[i]);
    return says;
}

// The part that the model is not for and that the description names, without one that it is for; NULL none.
static const char *contradiction_in(struct fit *fit, const char *description)
{
    for (size_t i = 0; i < fit->needs->other_part_count; i++)
        if (model_words_is_part(fit->words, "", description, fit->needs->other_parts[i]))
            return says_wanted(fit, description) ? NULL : fit->needs->other_parts[i];
    return NULL;
}

static bool check_part(struct fit *fit, struct model_volume *volume, size_t index, struct error *err)
{
    const struct dicom_dataset *header = fit->objects[index].header;
    const char *part = fit_text(fit, header, BODY_PART), *series = fit_text(fit, header, SERIES_DESCRIPTION),
               *study = fit_text(fit, header, STUDY_DESCRIPTION);
    const char *description = arena_printf(fit->arena, "%s|%s", series, study);
    if (!description)
        return error_set(err, ERROR_LIMIT, "no memory for a description");
    if (!holds_part(fit, part, description))
        return fit_say(fit, &volume->unfit, err,
                       "%s: body part '%.40s', series '%.60s', study '%.60s'; the model is for another part of the "
                       "body",
                       fit_name(fit, index), part, series, study);
    // The series says more closely what it shows than the study does.
    const char *other = contradiction_in(fit, series);
    other = other || says_wanted(fit, series) ? other : contradiction_in(fit, study);
    return !other ||
           fit_say(fit, &volume->unfit, err,
                   "%s: series '%.60s', study '%.60s' are of %.40s; the model is for another part of the body",
                   fit_name(fit, index), series, study, other);
}

static bool says_the_same(struct fit *fit, size_t a, size_t b)
{
    static const dicom_tag tags[] = {IMAGE_TYPE, MODALITY, BODY_PART, SERIES_DESCRIPTION, STUDY_DESCRIPTION};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (!fit_same_bytes(fit->objects[a].header, fit->objects[b].header, tags[i]))
            return false;
    return true;
}

static bool check_object(struct fit *fit, struct model_volume *volume, size_t index, struct error *err)
{
    const char *modality = fit_text(fit, fit->objects[index].header, MODALITY);
    if (*fit->needs->modality && strcmp(fit->needs->modality, modality) != 0)
        return fit_say(fit, &volume->unfit, err, "%s is %s, the model needs %s", fit_name(fit, index),
                       *modality ? modality : "of no modality", fit->needs->modality);
    return fit_check_derived(fit, volume, index, err) && (volume->unfit || check_part(fit, volume, index, err));
}

// All objects; those that say the same as the one before need no second look.
static bool check_volume(struct fit *fit, struct model_volume *volume, struct error *err)
{
    for (size_t k = 0; k < volume->count && !volume->unfit; k++)
        if ((k == 0 || !says_the_same(fit, volume->slices[k].index, volume->slices[k - 1].index)) &&
            !check_object(fit, volume, volume->slices[k].index, err))
            return false;
    return volume->unfit || model_volume_lacks(fit->needs, volume, fit->arena, &volume->unfit, err);
}

static bool check_frame_of_reference(struct fit *fit, struct model_volume *volume, struct error *err)
{
    return *volume->slices[0].frame_of_reference ||
           fit_say(fit, &volume->unfit, err,
                   "the slices have no Frame of Reference UID (0020,0052): what is found would have no place");
}

// ---- what the sender says there is

// How many of what the volume's slices are a part of are not there. `group` is the attribute that its objects share; 0:
// all of the series.
static void count_stated(struct fit *fit, struct model_volume *volume, dicom_tag stated, dicom_tag group)
{
    const struct dicom_dataset *first = fit->objects[volume->slices[0].index].header;
    int64_t most = 0, present = 0, value;
    for (size_t k = 0; k < volume->count; k++)
        if (dicom_integer(fit->objects[volume->slices[k].index].header, stated, 0, &value) && value > most &&
            value <= MODEL_OBJECTS_MAX)
            most = value;
    for (size_t i = 0; most > 0 && i < fit->count; i++)
        present += group == 0 || fit_same_bytes(fit->objects[i].header, first, group);
    if (most > volume->stated_images)
        volume->stated_images = most;
    if (most - present > volume->missing_images)
        volume->missing_images = most - present;
}

// ---- notes

void fit_names_begin(struct fit_names *names, struct arena *arena)
{
    *names = (struct fit_names){.arena = arena, .text = ""};
}

void fit_names_add(struct fit_names *names, const char *number)
{
    enum { NAMED_MAX = 3 };
    if (names->count++ < NAMED_MAX && names->text)
        names->text = arena_printf(names->arena, "%s%s%s", names->text, *names->text ? ", " : "", number);
    names->more = names->count > NAMED_MAX ? names->count - NAMED_MAX : 0;
}

const char *fit_names_end(const struct fit_names *names)
{
    if (names->count == 0 || !names->text)
        return names->text;
    return names->more > 0
               ? arena_printf(names->arena, "Instances %s and %zu more", names->text, names->more)
               : arena_printf(names->arena, "%s %s", names->count > 1 ? "Instances" : "Instance", names->text);
}

static const char *left_out_of(struct fit *fit, enum fit_left kind)
{
    struct fit_names names;
    fit_names_begin(&names, fit->arena);
    for (size_t i = 0; i < fit->out->left_out_count; i++)
        if (fit->out->left_out[i].what == kinds[kind].one)
            fit_names_add(&names, fit_number(fit, fit->out->left_out[i].index));
    const char *text = fit_names_end(&names);
    return names.count == 0 || !text ? text
                                     : arena_printf(fit->arena, "%zu %s (%s)", names.count,
                                                    names.count > 1 ? kinds[kind].many : kinds[kind].one, text);
}

static bool add_note(struct arena *arena, const char **notes, const char *between, const char *text, struct error *err)
{
    if (!text || (*text && !(*notes = arena_printf(arena, "%s%s%s", *notes, **notes ? between : "", text))))
        return error_set(err, ERROR_LIMIT, "no memory for the notes of a series");
    return true;
}

bool fit_note(struct arena *arena, const char **notes, const char *text, struct error *err)
{
    return add_note(arena, notes, "; ", text, err);
}

static bool has_comma(const struct model_volume *volume)
{
    bool has = false;
    for (size_t k = 0; k < volume->count; k++)
        has = has || volume->slices[k].has_comma;
    return has;
}

static bool note_left_out(struct fit *fit, struct model_volume *volume, struct error *err)
{
    const char *between = "; left out: ";
    if (!*volume->notes && fit->out->left_out_count > 0)
        volume->notes = "left out", between = ": ";
    for (enum fit_left kind = 0; kind < FIT_LEFT_KINDS; kind++) {
        const char *text = left_out_of(fit, kind);
        if (!add_note(fit->arena, &volume->notes, between, text, err))
            return false;
        between = *text ? ", " : between;
    }
    return true;
}

static bool note_all(struct fit *fit, struct model_volume *volume, struct error *err)
{
    bool asked = !fit->needs || fit->needs->contrast_refused;
    volume->notes = "";
    if (asked && volume->contrast == MODEL_CONTRAST_NOT_STATED &&
        !fit_note(fit->arena, &volume->notes, "contrast is not stated", err))
        return false;
    if (has_comma(volume) &&
        !fit_note(fit->arena, &volume->notes, "decimal commas of its numbers were read as points", err))
        return false;
    return note_left_out(fit, volume, err);
}

// ---- the check

static bool number_slices(struct fit *fit, struct model_volume *volume, struct error *err)
{
    volume->gap = "";
    volume->numbers = arena_calloc(fit->arena, volume->count, sizeof *volume->numbers);
    for (size_t k = 0; volume->numbers && k < volume->count; k++)
        volume->numbers[k] = fit_number(fit, volume->slices[k].index);
    return volume->numbers || error_set(err, ERROR_LIMIT, "no memory for the numbers of %zu slices", volume->count);
}

static bool finish_volume(struct fit *fit, struct model_volume *volume, struct error *err)
{
    count_stated(fit, volume, IMAGES_IN_ACQUISITION, ACQUISITION_NUMBER);
    count_stated(fit, volume, SERIES_INSTANCES, 0);
    if (!number_slices(fit, volume, err) || !fit_contrast(fit, volume, err) || !note_all(fit, volume, err) ||
        (!volume->unfit && !check_frame_of_reference(fit, volume, err)))
        return false;
    return volume->unfit || !fit->needs || check_volume(fit, volume, err);
}

static int by_index(const void *left, const void *right)
{
    const struct model_left_out *a = left, *b = right;
    return (a->index > b->index) - (a->index < b->index);
}

bool model_fit_check(const struct model_needs *needs, const struct model_words *words,
                     const struct model_object *objects, size_t count, model_read_pixels_fn *read, void *payload,
                     struct arena *arena, struct model_fit *out, struct error *err)
{
    struct fit fit = {.needs = needs,
                      .words = words,
                      .objects = objects,
                      .count = count,
                      .read = read,
                      .payload = payload,
                      .arena = arena,
                      .out = out};
    *out = (struct model_fit){0};
    if (count == 0 || count > MODEL_OBJECTS_MAX)
        return fit_say(&fit, &out->unfit, err, "%zu objects: 1 to %d can be looked at", count, MODEL_OBJECTS_MAX);
    if (!fit_sort_out(&fit, err) || (!out->unfit && !fit_make_volumes(&fit, err)))
        return false;
    qsort(out->left_out, out->left_out_count, sizeof *out->left_out, by_index);
    out->volume_count = out->unfit ? 0 : out->volume_count;
    for (size_t i = 0; i < out->volume_count; i++)
        if (!finish_volume(&fit, &out->volumes[i], err))
            return false;
    return true;
}
