// Several images at one place: phases, echoes, kernels, b-values are told apart by their attributes, in the order of a
// table; what no attribute tells apart is one image twice, or unfit.
//
// An attribute is tried in three ways, the surest first:
//   1. its values are no more than the images at the fullest place: they are the volumes
//   2. at each place its values are as many as the images, in an order: the first at each place are a volume
//      (times, that differ from slice to slice)
//   3. its values are more, and each has several images: parts of a scan that overlap
#include "model/fit_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum {
    VALUE_SIZE = 33,  // of a label
    VALUE_WHOLE = -1, // all values of the element
    PART_LEAST = 4,   // images that a value must have in the third way
    GIGA_OFFSET = 1000000000
};

// ---- attributes

// Where else vendors write the b-value: private blocks by their creators (PS3.5 7.8).
static const struct {
    uint16_t group;
    const char *creator;
    uint8_t element;
} private_b_values[] = {
    {0x0019, "SIEMENS MR HEADER", 0x0C},
    {0x0043, "GEMS_PARM_01", 0x39},
    {0x2001, "Philips Imaging DD 001", 0x03},
    {0x0065, "Image Private Header", 0x09},
};

static dicom_tag private_tag(struct fit *fit, const struct dicom_dataset *header, uint16_t group, const char *creator,
                             uint8_t element)
{
    for (uint16_t block = 0x10; block <= 0xFF; block++)
        if (strcmp(fit_text(fit, header, DICOM_TAG(group, block)), creator) == 0)
            return DICOM_TAG(group, block << 8 | element);
    return 0;
}

static const char *number_text(struct fit *fit, double number)
{
    return arena_printf(fit->arena, "%.6g", number);
}

// The text of a value, numbers in one form ("2.46" and "2.460 ").
static const char *value_at(struct fit *fit, const struct dicom_dataset *header, dicom_tag tag, int index)
{
    double number;
    if (index == VALUE_WHOLE) {
        const char *text = dicom_text(header, tag, fit->arena);
        return text ? text : "";
    }
    const char *text = dicom_text_at(header, tag, (size_t)index, fit->arena);
    return dicom_number(header, tag, (size_t)index, &number) ? number_text(fit, number) : text ? text : "";
}

// GE adds 10^9 to a b-value, as a mark.
static const char *b_value(struct fit *fit, const struct dicom_dataset *header)
{
    double number;
    if (dicom_number(header, DICOM_TAG(0x0018, 0x9087), 0, &number))
        return number_text(fit, number);
    for (size_t i = 0; i < sizeof private_b_values / sizeof *private_b_values; i++) {
        dicom_tag tag = private_tag(fit, header, private_b_values[i].group, private_b_values[i].creator,
                                    private_b_values[i].element);
        if (tag && dicom_number(header, tag, 0, &number))
            return number_text(fit, number >= GIGA_OFFSET ? number - GIGA_OFFSET : number);
    }
    return "";
}

struct attribute {
    const char *name;
    dicom_tag tag; // 0: see `of`
    int index;
    bool ranked; // may be tried in the second way
    const char *(*of)(struct fit *fit, const struct dicom_dataset *header);
};

static const struct attribute attributes[] = {
    {"Temporal Position", DICOM_TAG(0x0020, 0x0100), 0, true, NULL},
    {"Acquisition", DICOM_TAG(0x0020, 0x0012), 0, true, NULL},
    {"Echo Time", DICOM_TAG(0x0018, 0x0081), 0, false, NULL},
    {"Echo", DICOM_TAG(0x0018, 0x0086), 0, false, NULL},
    {"Inversion Time", DICOM_TAG(0x0018, 0x0082), 0, false, NULL},
    {"b-value", 0, 0, false, b_value},
    {"Diffusion Direction", DICOM_TAG(0x0018, 0x9089), VALUE_WHOLE, false, NULL},
    {"Convolution Kernel", DICOM_TAG(0x0018, 0x1210), VALUE_WHOLE, false, NULL},
    {"KVP", DICOM_TAG(0x0018, 0x0060), 0, false, NULL},
    {"Cardiac Phase", DICOM_TAG(0x0020, 0x9241), 0, false, NULL},
    {"Trigger Time", DICOM_TAG(0x0018, 0x1060), 0, true, NULL},
    {"Image Type", DICOM_TAG(0x0008, 0x0008), 2, false, NULL},
    {"Image Type", DICOM_TAG(0x0008, 0x0008), 3, false, NULL},
    {"Image Type", DICOM_TAG(0x0008, 0x0008), VALUE_WHOLE, false, NULL},
    {"Contrast Agent", DICOM_TAG(0x0018, 0x0010), 0, false, NULL},
    {"Sequence", DICOM_TAG(0x0018, 0x0024), 0, false, NULL},
    {"Flip Angle", DICOM_TAG(0x0018, 0x1314), 0, false, NULL},
    {"Slice Thickness", DICOM_TAG(0x0018, 0x0050), 0, false, NULL},
    {"Series Description", DICOM_TAG(0x0008, 0x103E), 0, false, NULL},
    {"Frame Reference Time", DICOM_TAG(0x0054, 0x1300), 0, true, NULL},
    {"Acquisition Time", DICOM_TAG(0x0008, 0x0032), 0, true, NULL},
    {"Acquisition DateTime", DICOM_TAG(0x0008, 0x002A), 0, true, NULL},
};

static bool read_values(struct fit *fit, const struct attribute *attribute, struct fit_image **images, size_t count,
                        struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct dicom_dataset *header = images[i]->object->header;
        images[i]->value =
            attribute->of ? attribute->of(fit, header) : value_at(fit, header, attribute->tag, attribute->index);
        if (!images[i]->value)
            return error_set(err, ERROR_LIMIT, "no memory to tell %zu images apart", count);
    }
    return true;
}

// ---- orders

static int by_place(const void *left, const void *right)
{
    const struct fit_image *a = *(struct fit_image *const *)left, *b = *(struct fit_image *const *)right;
    return a->place != b->place ? (a->place > b->place) - (a->place < b->place) : (a > b) - (a < b);
}

static int by_value(const void *left, const void *right)
{
    const struct fit_image *a = *(struct fit_image *const *)left, *b = *(struct fit_image *const *)right;
    int order = fit_compare(a->value, b->value);
    return order ? order : by_place(left, right);
}

static int by_place_and_value(const void *left, const void *right)
{
    const struct fit_image *a = *(struct fit_image *const *)left, *b = *(struct fit_image *const *)right;
    int order = a->place == b->place ? fit_compare(a->value, b->value) : 0;
    return order ? order : by_place(left, right);
}

static void sort(struct fit_image **images, size_t count, int (*order)(const void *, const void *))
{
    qsort(images, count, sizeof(struct fit_image *), order);
}

static size_t run_at(struct fit_image *const *images, size_t count, size_t i)
{
    size_t end = i + 1;
    while (end < count && fit_compare(images[end]->value, images[i]->value) == 0)
        end++;
    return end - i;
}

// ---- does an attribute tell them apart?

// Images beyond the first at each place, and the most at one, of images in the order of their places.
struct crowd {
    size_t beyond, most, least;
};

static struct crowd crowd_of(struct fit_image *const *images, size_t count)
{
    struct crowd crowd = {.least = count};
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && images[end]->place == images[i]->place;)
            end++;
        crowd.beyond += end - i - 1;
        crowd.most = end - i > crowd.most ? end - i : crowd.most;
        crowd.least = end - i < crowd.least ? end - i : crowd.least;
    }
    return crowd;
}

enum way { BY_VALUE, BY_RANK, BY_OVERLAP, WAYS };

// In the order of their values.
static bool tells_by_value(struct fit_image **images, size_t count, const struct crowd *crowd, bool overlap)
{
    size_t values = 0, beyond = 0, least = count;
    sort(images, count, by_value);
    for (size_t i = 0, run; i < count; i += run, values++) {
        run = run_at(images, count, i);
        beyond += crowd_of(images + i, run).beyond;
        least = run < least ? run : least;
    }
    return values > 1 && beyond < crowd->beyond && (overlap ? least >= PART_LEAST : values <= crowd->most);
}

// Replaces the values by ranks.
static bool tells_by_rank(struct fit *fit, struct fit_image **images, size_t count, const struct crowd *crowd)
{
    if (crowd->least != crowd->most)
        return false;
    sort(images, count, by_place_and_value);
    for (size_t i = 0; i < count; i++)
        if (!*images[i]->value || (i % crowd->most > 0 && fit_compare(images[i]->value, images[i - 1]->value) == 0))
            return false;
    for (size_t i = 0; i < count; i++)
        images[i]->value = arena_printf(fit->arena, "%zu of %zu", i % crowd->most + 1, crowd->most);
    sort(images, count, by_value);
    return true;
}

// The first attribute that does, with the images in the order of its values; NULL in *out: none.
static bool find_attribute(struct fit *fit, struct fit_image **images, size_t count, const struct attribute **out,
                           struct error *err)
{
    const struct crowd crowd = crowd_of(images, count);
    *out = NULL;
    for (enum way way = BY_VALUE; way < WAYS; way++)
        for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
            if (way == BY_RANK && !attributes[i].ranked)
                continue;
            if (!read_values(fit, &attributes[i], images, count, err))
                return false;
            *out = &attributes[i];
            if (way == BY_RANK ? tells_by_rank(fit, images, count, &crowd)
                               : tells_by_value(images, count, &crowd, way == BY_OVERLAP))
                return true;
        }
    *out = NULL;
    sort(images, count, by_place);
    return true;
}

// ---- the same image twice

static bool leave_out_double(struct fit *fit, const struct fit_image *image, const struct fit_image *of,
                             struct error *err)
{
    const char *why = arena_printf(fit->arena, "the same image as %s", fit_name(fit, of->slice.index));
    return why ? fit_leave_out(fit, image->slice.index, FIT_DOUBLE, why, err)
               : error_set(err, ERROR_LIMIT, "no memory for what is left out");
}

// One of `kept` that has its place and pixels; NULL in *of: none.
static bool find_same(struct fit *fit, const struct fit_image *image, struct fit_image *const *kept, size_t count,
                      const struct fit_image **of, struct error *err)
{
    bool same = false;
    *of = NULL;
    for (size_t i = 0; i < count && !same; i++) {
        if (kept[i]->place != image->place)
            continue;
        if (!fit_same_image(fit, &kept[i]->slice, &image->slice, &same, err))
            return false;
        *of = same ? kept[i] : NULL;
    }
    return true;
}

// Of images that no attribute tells apart. Two that differ at one place: *unfit says which.
static bool leave_out_doubles(struct fit *fit, struct fit_image **images, size_t *count, const char **unfit,
                              struct error *err)
{
    size_t kept = 0, first = 0; // of the kept ones at this place
    *unfit = NULL;
    for (size_t i = 0; i < *count; i++) {
        const struct fit_image *of;
        if (kept > 0 && images[kept - 1]->place != images[i]->place)
            first = kept;
        if (!find_same(fit, images[i], images + first, kept - first, &of, err) ||
            (of && !leave_out_double(fit, images[i], of, err)))
            return false;
        if (!of && kept > 0 && images[kept - 1]->place == images[i]->place && !*unfit &&
            !fit_say(fit, unfit, err, "two different images at one place, %s and %s, and nothing tells them apart",
                     fit_name(fit, images[kept - 1]->slice.index), fit_name(fit, images[i]->slice.index)))
            return false;
        if (!of)
            images[kept++] = images[i];
    }
    *count = kept;
    return true;
}

// Is each image of a part one of the other part again? Such copies were stamped anew, and are no volume. From the
// middle on, where images differ most.
static bool is_copy(struct fit *fit, struct fit_image *const *part, size_t count, struct fit_image *const *other,
                    size_t other_count, bool *copy, struct error *err)
{
    const struct fit_image *of;
    *copy = true;
    for (size_t i = 0; i < count && *copy; i++) {
        if (!find_same(fit, part[(count / 2 + i) % count], other, other_count, &of, err))
            return false;
        *copy = of != NULL;
    }
    return true;
}

static bool leave_out_copy(struct fit *fit, struct fit_image *const *part, size_t count, struct fit_image *const *other,
                           size_t other_count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct fit_image *of;
        if (!find_same(fit, part[i], other, other_count, &of, err) || (of && !leave_out_double(fit, part[i], of, err)))
            return false;
    }
    return true;
}

// ---- splitting

static bool split(struct fit *fit, struct fit_image **images, size_t count, const char *label, struct error *err);

// The largest part, the first of them.
static size_t largest_run(struct fit_image *const *images, size_t count, size_t *size)
{
    size_t start = 0;
    *size = 0;
    for (size_t i = 0, run; i < count; i += run) {
        run = run_at(images, count, i);
        if (run > *size) {
            start = i;
            *size = run;
        }
    }
    return start;
}

static void add_value(char label[MODEL_LABEL_SIZE], const struct attribute *attribute, const char *value)
{
    char text[MODEL_LABEL_SIZE], shown[VALUE_SIZE];
    snprintf(text, sizeof text, "%s %s", attribute->name,
             *value ? text_show(shown, sizeof shown, value, strlen(value)) : "none");
    fit_add_label(label, text);
}

static bool split_by(struct fit *fit, const struct attribute *attribute, struct fit_image **images, size_t count,
                     const char *label, struct error *err)
{
    struct fit_image **main_part = arena_calloc(fit->arena, count, sizeof *main_part);
    size_t main_count, main_start = largest_run(images, count, &main_count);
    if (!main_part)
        return error_set(err, ERROR_LIMIT, "no memory to tell %zu images apart", count);
    memcpy(main_part, images + main_start, main_count * sizeof(struct fit_image *));
    for (size_t i = 0, run; i < count && !fit->out->unfit; i += run) {
        char part[MODEL_LABEL_SIZE];
        bool copy = false;
        run = run_at(images, count, i);
        text_copy(part, sizeof part, label);
        add_value(part, attribute, images[i]->value);
        if (i != main_start && !is_copy(fit, images + i, run, main_part, main_count, &copy, err))
            return false;
        sort(images + i, run, by_place);
        if (copy ? !leave_out_copy(fit, images + i, run, main_part, main_count, err)
                 : !split(fit, images + i, run, part, err))
            return false;
    }
    return true;
}

// `images` in the order of their places.
static bool split(struct fit *fit, struct fit_image **images, size_t count, const char *label, struct error *err)
{
    const struct attribute *attribute = NULL;
    const char *unfit = NULL;
    if (crowd_of(images, count).beyond > 0 && !find_attribute(fit, images, count, &attribute, err))
        return false;
    if (attribute)
        return split_by(fit, attribute, images, count, label, err);
    return leave_out_doubles(fit, images, &count, &unfit, err) && fit_add_volume(fit, images, count, label, unfit, err);
}

bool fit_tell_apart(struct fit *fit, struct fit_image **images, size_t count, struct error *err)
{
    return split(fit, images, count, "", err);
}
