// The operators that manifests name: a table, each a few lines around the image room's.
#include "model/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static double number(const json_t *parameters, const char *name)
{
    return json_number_value(json_object_get(parameters, name));
}

static float *value_named(struct pass *pass, const json_t *parameters, const char *key)
{
    const char *name = json_string_value(json_object_get(parameters, key));
    for (size_t i = 0; name && i < pass->value_count; i++)
        if (strcmp(pass->values[i].name, name) == 0)
            return pass->values[i].data;
    return NULL;
}

static bool no_memory(struct error *err)
{
    return error_set(err, ERROR_MEMORY, "no memory for the volume");
}

// ---- before the graph

static bool run_bin(struct pass *pass, const json_t *parameters, struct error *err)
{
    double coarsest_mm[3];
    struct image_geometry coarse;
    (void)err;
    for (size_t i = 0; i < 3; i++)
        coarsest_mm[i] = json_number_value(json_array_get(json_object_get(parameters, "coarsest_mm"), i));
    image_bin_plan(&pass->geometry, coarsest_mm, &pass->part, &coarse);
    image_bin(pass->hu, &pass->geometry, pass->part.factor, pass->hu);
    pass->geometry = coarse;
    return true;
}

static bool run_mask_brain(struct pass *pass, const json_t *parameters, struct error *err)
{
    struct mask_brain_options options = {number(parameters, "bone_hu"), number(parameters, "margin_mm"),
                                         number(parameters, "enclosure"), number(parameters, "core_mm")};
    pass->brain = malloc(image_voxels(&pass->geometry));
    if (!pass->brain)
        return no_memory(err);
    if (!mask_brain(pass->hu, &pass->geometry, &options, pass->brain, &pass->median_hu, err))
        return false;
    pass->cut_mm2 = mask_cut_mm2(pass->brain, pass->hu, &pass->geometry); // before a crop makes other edges
    return true;
}

static bool run_crop(struct pass *pass, const json_t *parameters, struct error *err)
{
    struct image_box box;
    struct image_geometry cut;
    if (!pass->brain || !mask_box(pass->brain, &pass->geometry, number(parameters, "margin_mm"), &box))
        return error_set(err, ERROR_CONFLICT, "there is no brain to look at");
    image_crop_geometry(&pass->geometry, &box, &cut);
    image_crop(pass->hu, sizeof *pass->hu, &pass->geometry, &box, pass->hu);
    image_crop(pass->brain, sizeof *pass->brain, &pass->geometry, &box, pass->brain);
    for (size_t i = 0; i < 3; i++)
        pass->part.low[i] += box.low[i];
    pass->geometry = cut;
    return true;
}

static bool run_subtract_median(struct pass *pass, const json_t *parameters, struct error *err)
{
    size_t voxels = image_voxels(&pass->geometry);
    (void)parameters;
    pass->volume = malloc(voxels * sizeof *pass->volume);
    if (!pass->volume)
        return no_memory(err);
    for (size_t i = 0; i < voxels; i++)
        pass->volume[i] = (float)pass->hu[i] - pass->median_hu;
    return true;
}

// ---- after it

// How much of the volume as it came can hold a region: what a negative rests on.
static bool count_looked_at(struct pass *pass, struct error *err)
{
    const size_t *factor = pass->part.factor;
    uint64_t block = (uint64_t)factor[0] * factor[1] * factor[2];
    pass->looked_at = 0;
    for (size_t i = 0; i < image_voxels(&pass->geometry); i++)
        pass->looked_at += pass->allowed[i] ? block : 0;
    return pass->looked_at > 0 ||
           error_set(err, ERROR_CONFLICT, "the mask admits no voxel of the volume: nothing was looked at");
}

static bool run_threshold(struct pass *pass, const json_t *parameters, struct error *err)
{
    size_t voxels = image_voxels(&pass->geometry);
    const float *values = value_named(pass, parameters, "values");
    pass->mask = malloc(voxels);
    pass->allowed = malloc(voxels);
    if (!pass->mask || !pass->allowed)
        return no_memory(err);
    if (!pass->brain ||
        !mask_erode(pass->brain, &pass->geometry, number(parameters, "mask_margin_mm"), pass->allowed, err))
        return false;
    if (!count_looked_at(pass, err))
        return false;
    mask_threshold(values, pass->allowed, voxels, (float)number(parameters, "low"), pass->mask);
    return true;
}

static bool run_erode(struct pass *pass, const json_t *parameters, struct error *err)
{
    return mask_erode(pass->mask, &pass->geometry, number(parameters, "radius_mm"), pass->mask, err);
}

static bool run_grow(struct pass *pass, const json_t *parameters, struct error *err)
{
    struct mask_grow_options options = {number(parameters, "reach_mm"), number(parameters, "shell_mm"),
                                        number(parameters, "fraction"), number(parameters, "open_mm")};
    uint8_t *grown = malloc(image_voxels(&pass->geometry));
    if (!grown)
        return no_memory(err);
    size_t left_out = 0;
    bool ok = mask_grow(pass->mask, value_named(pass, parameters, "values"), pass->brain, &pass->geometry, &options,
                        grown, &left_out, err);
    pass->left_out += left_out;
    free(pass->mask);
    pass->mask = grown;
    return ok;
}

static bool run_components(struct pass *pass, const json_t *parameters, struct error *err)
{
    size_t voxels = image_voxels(&pass->geometry), most = (size_t)number(parameters, "most"), left_out = 0;
    const float *score = value_named(pass, parameters, "score");
    pass->labels = malloc(voxels * sizeof *pass->labels);
    if (!pass->labels)
        return no_memory(err);
    float *hu = malloc(voxels * sizeof *hu);
    if (!hu)
        return no_memory(err);
    for (size_t i = 0; i < voxels; i++)
        hu[i] = pass->hu[i];
    bool ok = mask_components(pass->mask, hu, &pass->geometry, number(parameters, "minimum_ml"), most, pass->labels,
                              pass->components, &pass->count, &left_out, err) &&
              mask_means(pass->labels, score, voxels, pass->count, pass->scores, err);
    pass->left_out += left_out;
    free(hu);
    return ok;
}

// Of a head that is cut the plane is not the middle: what it calls right may be left.
static bool run_side(struct pass *pass, const json_t *parameters, struct error *err)
{
    struct mask_midplane plane;
    pass->midline_mm = number(parameters, "midline_mm");
    pass->has_sides = pass->count > 0 && pass->cut_mm2 <= mask_tolerances.cut_mm2;
    if (!pass->has_sides)
        return true;
    if (!mask_midplane_of(pass->brain, &pass->geometry, &plane, err))
        return false;
    for (size_t i = 0; i < pass->count; i++)
        pass->left_mm[i] = mask_left_mm(&plane, pass->components[i].centroid_mm);
    return true;
}

// ---- the table

static const struct operator_parameter bin_parameters[] = {{"coarsest_mm", PARAMETER_NUMBERS3, .1, 100},
                                                           {NULL, PARAMETER_NUMBER, 0, 0}};
static const struct operator_parameter brain_parameters[] = {{"bone_hu", PARAMETER_NUMBER, 50, 3000},
                                                             {"margin_mm", PARAMETER_NUMBER, 0, 50},
                                                             {"enclosure", PARAMETER_NUMBER, 0, 1},
                                                             {"core_mm", PARAMETER_NUMBER, 0, 100},
                                                             {NULL, PARAMETER_NUMBER, 0, 0}};
static const struct operator_parameter crop_parameters[] = {{"margin_mm", PARAMETER_NUMBER, 0, 1000},
                                                            {NULL, PARAMETER_NUMBER, 0, 0}};
static const struct operator_parameter no_parameters[] = {{NULL, PARAMETER_NUMBER, 0, 0}};
static const struct operator_parameter threshold_parameters[] = {{"values", PARAMETER_VALUE, 0, 0},
                                                                 {"low", PARAMETER_NUMBER, -1e6, 1e6},
                                                                 {"mask_margin_mm", PARAMETER_NUMBER, 0, 50},
                                                                 {NULL, PARAMETER_NUMBER, 0, 0}};
static const struct operator_parameter erode_parameters[] = {{"radius_mm", PARAMETER_NUMBER, 0, 100},
                                                             {NULL, PARAMETER_NUMBER, 0, 0}};
static const struct operator_parameter grow_parameters[] = {
    {"values", PARAMETER_VALUE, 0, 0},      {"reach_mm", PARAMETER_NUMBER, 0, 100},
    {"shell_mm", PARAMETER_NUMBER, 0, 100}, {"fraction", PARAMETER_NUMBER, 0, 1},
    {"open_mm", PARAMETER_NUMBER, 0, 100},  {NULL, PARAMETER_NUMBER, 0, 0}};
static const struct operator_parameter component_parameters[] = {{"minimum_ml", PARAMETER_NUMBER, 0, 1e6},
                                                                 {"most", PARAMETER_NUMBER, 1, MODEL_FINDINGS_MAX},
                                                                 {"score", PARAMETER_VALUE, 0, 0},
                                                                 {NULL, PARAMETER_NUMBER, 0, 0}};
static const struct operator_parameter side_parameters[] = {{"midline_mm", PARAMETER_NUMBER, 0, 100},
                                                            {NULL, PARAMETER_NUMBER, 0, 0}};

// In the order in which a manifest must name them: each rests on those before it.
static const struct operator operators[] = {
    {"bin", true, bin_parameters, run_bin, MADE_INTEGERS},
    {"mask_brain", true, brain_parameters, run_mask_brain, MADE_MEDIAN},
    {"crop", true, crop_parameters, run_crop, MADE_INTEGERS},
    {"subtract_median", true, no_parameters, run_subtract_median, MADE_VOLUME},
    {"threshold", false, threshold_parameters, run_threshold, MADE_INTEGERS},
    {"erode", false, erode_parameters, run_erode, MADE_INTEGERS},
    {"grow", false, grow_parameters, run_grow, MADE_INTEGERS},
    {"components", false, component_parameters, run_components, MADE_MEASURES},
    {"side", false, side_parameters, run_side, MADE_SIDES},
};
enum { OPERATORS = sizeof operators / sizeof *operators };

static size_t find_operator(const char *name)
{
    size_t i = 0;
    while (i < OPERATORS && strcmp(operators[i].name, name) != 0)
        i++;
    return i;
}

// ---- checking

static bool is_output(const json_t *manifest, const char *name)
{
    size_t i;
    json_t *output;
    json_array_foreach(json_object_get(json_object_get(manifest, "graph"), "outputs"), i, output)
    {
        if (name && json_is_string(output) && strcmp(json_string_value(output), name) == 0)
            return true;
    }
    return false;
}

static bool in_bounds(const json_t *value, const struct operator_parameter *parameter)
{
    return json_is_number(value) && json_number_value(value) >= parameter->least &&
           json_number_value(value) <= parameter->most;
}

static bool check_parameter(const json_t *manifest, const struct operator* operator,
                            const struct operator_parameter * parameter, const json_t *value, struct error *err)
{
    bool ok = false;
    if (parameter->type == PARAMETER_NUMBER)
        ok = in_bounds(value, parameter);
    else if (parameter->type == PARAMETER_VALUE)
        ok = is_output(manifest, json_string_value(value));
    else
        ok = json_array_size(value) == 3 && in_bounds(json_array_get(value, 0), parameter) &&
             in_bounds(json_array_get(value, 1), parameter) && in_bounds(json_array_get(value, 2), parameter);
    if (ok)
        return true;
    if (parameter->type == PARAMETER_VALUE)
        return error_set(err, ERROR_BAD_DATA,
                         "manifest: operator %s: '%s' must name an output of the graph", operator->name,
                         parameter->name);
    return error_set(err, ERROR_BAD_DATA, "manifest: operator %s: '%s' must be %s from %g to %g", operator->name,
                     parameter->name, parameter->type == PARAMETER_NUMBER ? "a number" : "three numbers",
                     parameter->least, parameter->most);
}

static bool check_one(const json_t *manifest, const struct operator* operator, const json_t * step, struct error *err)
{
    size_t count = 1; // "op" itself
    for (const struct operator_parameter *parameter = operator->parameters; parameter->name; parameter++, count++)
        if (!check_parameter(manifest, operator, parameter, json_object_get(step, parameter->name), err))
            return false;
    return json_object_size(step) == count ||
           error_set(err, ERROR_BAD_DATA, "manifest: operator %s has parameters that it does not know", operator->name);
}

static bool check_list(const json_t *manifest, const char *name, bool before, struct error *err)
{
    size_t i, last = 0;
    char shown[60];
    json_t *step;
    const json_t *list = json_object_get(manifest, name);
    if (!json_is_array(list) || json_array_size(list) > MODEL_OPERATORS_MAX)
        return error_set(err, ERROR_BAD_DATA, "manifest: '%s' must be a list of at most %d operators", name,
                         MODEL_OPERATORS_MAX);
    json_array_foreach(list, i, step)
    {
        const char *op = json_string_value(json_object_get(step, "op"));
        size_t at = op ? find_operator(op) : (size_t)OPERATORS;
        if (at == OPERATORS || operators[at].before != before)
            return error_set(err, ERROR_BAD_DATA, "manifest: '%s' has no operator '%s'", name,
                             op ? text_show(shown, sizeof shown, op, strlen(op)) : "");
        if (i > 0 && at <= last)
            return error_set(err, ERROR_BAD_DATA, "manifest: operator %s must stand before %s", op,
                             operators[last].name);
        if (!check_one(manifest, &operators[at], step, err))
            return false;
        last = at;
    }
    return true;
}

static bool has(const json_t *manifest, const char *list, const char *op)
{
    size_t i;
    json_t *step;
    json_array_foreach(json_object_get(manifest, list), i, step)
    {
        if (strcmp(json_string_value(json_object_get(step, "op")), op) == 0)
            return true;
    }
    return false;
}

bool operators_check(const json_t *manifest, struct error *err)
{
    static const char *const needed[][2] = {{"before", "mask_brain"},
                                            {"before", "subtract_median"},
                                            {"after", "threshold"},
                                            {"after", "components"},
                                            {"after", "side"}};
    if (!check_list(manifest, "before", true, err) || !check_list(manifest, "after", false, err))
        return false;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!has(manifest, needed[i][0], needed[i][1]))
            return error_set(err, ERROR_BAD_DATA, "manifest: '%s' needs operator %s", needed[i][0], needed[i][1]);
    return true;
}

// ---- what an operator made is a number

// The floats of a run that start at `first`, each `step` bytes; those in the mask (NULL: all) are counted.
struct floats {
    const char *what; // for a person
    const void *first;
    size_t step, count;
    bool is_double;
    const uint8_t *mask;
};

static bool is_number(const struct floats *floats, size_t i)
{
    const uint8_t *at = (const uint8_t *)floats->first + i * floats->step;
    return floats->is_double ? isfinite(*(const double *)(const void *)at) : isfinite(*(const float *)(const void *)at);
}

static bool check_floats(const struct floats *floats, struct error *err)
{
    size_t looked_at = 0, bad = 0;
    for (size_t i = 0; i < floats->count; i++) {
        bool in = !floats->mask || floats->mask[i];
        looked_at += in;
        bad += in && !is_number(floats, i);
    }
    return bad == 0 ||
           error_set(err, ERROR_CONFLICT, "%zu of %zu values of %s are not finite", bad, looked_at, floats->what);
}

static bool check_measures(const struct pass *pass, struct error *err)
{
    const struct floats made[] = {
        {"the scores", pass->scores, sizeof *pass->scores, pass->count, true, NULL},
        {"the volumes", &pass->components->volume_ml, sizeof *pass->components, pass->count, true, NULL},
        {"the means", &pass->components->mean, sizeof *pass->components, pass->count, false, NULL},
        {"the places", &pass->components->centroid_mm[0], sizeof *pass->components, pass->count, true, NULL},
        {"the places", &pass->components->centroid_mm[1], sizeof *pass->components, pass->count, true, NULL},
        {"the places", &pass->components->centroid_mm[2], sizeof *pass->components, pass->count, true, NULL},
    };
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (!check_floats(&made[i], err))
            return false;
    return true;
}

static bool check_made(const struct pass *pass, enum made made, struct error *err)
{
    const struct floats median = {"the median", &pass->median_hu, sizeof pass->median_hu, 1, false, NULL},
                        sides = {"the sides", pass->left_mm, sizeof *pass->left_mm, pass->count, true, NULL},
                        volume = {"the volume", pass->volume, sizeof *pass->volume, image_voxels(&pass->geometry),
                                  false,        pass->brain};
    switch (made) {
    case MADE_MEDIAN:
        return check_floats(&median, err);
    case MADE_VOLUME:
        return check_floats(&volume, err);
    case MADE_MEASURES:
        return check_measures(pass, err);
    case MADE_SIDES:
        return check_floats(&sides, err);
    case MADE_INTEGERS:
        break;
    }
    return true;
}

bool operators_check_values(const struct pass *pass, struct error *err)
{
    for (size_t i = 0; i < pass->value_count; i++) {
        char what[64];
        const struct pass_value *value = &pass->values[i];
        snprintf(what, sizeof what, "output '%.40s'", value->name);
        const struct floats made = {what,  value->data, sizeof *value->data, image_voxels(&pass->geometry),
                                    false, pass->brain};
        if (!check_floats(&made, err))
            return false;
    }
    return true;
}

// ---- running

bool operators_run(struct pass *pass, const char *list, struct error *err)
{
    size_t i;
    json_t *step;
    json_array_foreach(json_object_get(pass->manifest, list), i, step)
    {
        size_t at = find_operator(json_string_value(json_object_get(step, "op")));
        if (!operators[at].run(pass, step, err))
            return false;
        if (!check_made(pass, operators[at].made, err))
            return error_prefix(err, "after operator %s", operators[at].name);
    }
    return true;
}

void pass_free(struct pass *pass)
{
    free(pass->hu);
    free(pass->brain);
    free(pass->volume);
    free(pass->mask);
    free(pass->allowed);
    free(pass->labels);
}
