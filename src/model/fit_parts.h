// Inside the model room: the parts of the check whether images are fit.
#ifndef MODEL_FIT_PARTS_H
#define MODEL_FIT_PARTS_H

#include "model/fit.h"

// An object that may belong to a volume.
struct fit_image {
    const struct model_object *object;
    struct image_slice slice; // its index is the object's
    double along_mm;          // of its position along its group's normal
    size_t place;             // in its group, from 0
    const char *value;        // of the attribute that is being tried
};

struct fit {
    const struct model_needs *needs; // or NULL
    const struct model_words *words;
    const struct model_object *objects;
    size_t count;
    model_read_pixels_fn *read;
    void *payload;
    struct arena *arena;
    struct fit_image *images; // by SOP Instance UID, so that nothing depends on the objects' order
    size_t image_count;
    struct model_fit *out;
};

// Kinds of what is left out; fit.c has their words.
enum fit_left {
    FIT_LOCALIZER,
    FIT_PAGE,
    FIT_COLOUR,
    FIT_NO_IMAGE,
    FIT_NO_PLACE,
    FIT_STRAY,
    FIT_DOUBLE,
    FIT_LEFT_KINDS
};

// A sentence in the arena. LIMIT when there is no room.
bool fit_say(struct fit *fit, const char **out, struct error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// `why` (in the arena): more than the kind's own words; NULL nothing.
bool fit_leave_out(struct fit *fit, size_t index, enum fit_left kind, const char *why, struct error *err);
// The first value of a text element; "" when there is none.
const char *fit_text(struct fit *fit, const struct dicom_dataset *header, dicom_tag tag);
// Slices by their numbers, for a person: "Instance 18", "Instances 18, 19, 20 and 8 more".
struct fit_names {
    struct arena *arena;
    const char *text;   // NULL: no memory
    size_t count, more; // more: than are named
};
void fit_names_begin(struct fit_names *names, struct arena *arena);
void fit_names_add(struct fit_names *names, const char *number);
const char *fit_names_end(const struct fit_names *names); // "" of none; NULL: no memory
// Adds to the notes, behind "; ". `text` NULL: no memory.
bool fit_note(struct arena *arena, const char **notes, const char *text, struct error *err);
// Do both have the element with the same bytes, or neither?
bool fit_same_bytes(const struct dicom_dataset *a, const struct dicom_dataset *b, dicom_tag tag);
// "Instance 12 (1.2.3)", for a person.
const char *fit_name(struct fit *fit, size_t index);
// Texts in order, their numbers as numbers: "Echo 2.46" before "Echo 12".
int fit_compare(const char *a, const char *b);
// Adds ", more" (or "more") to a label, cut to its size.
void fit_add_label(char label[MODEL_LABEL_SIZE], const char *more);

// fit_objects.c: one patient; what belongs to no volume is left out; the rest become images. Sets out->unfit.
bool fit_sort_out(struct fit *fit, struct error *err);
// fit_volumes.c: images become volumes, in order, with label, slices, geometry or the reason why not, coverage.
bool fit_make_volumes(struct fit *fit, struct error *err);
bool fit_add_volume(struct fit *fit, struct fit_image *const *images, size_t count, const char *label,
                    const char *unfit, struct error *err);
// fit_apart.c: the images of a group, in order along its normal with their places numbered, become volumes.
bool fit_tell_apart(struct fit *fit, struct fit_image **images, size_t count, struct error *err);
// fit_pixels.c: are the two the same image: pixels, and what turns them to HU?
bool fit_same_image(struct fit *fit, const struct image_slice *a, const struct image_slice *b, bool *same,
                    struct error *err);
// fit_derived.c: is the object an image that was computed from a scan, of a kind that the model does not take? Then
// volume->unfit says so.
bool fit_check_derived(struct fit *fit, struct model_volume *volume, size_t index, struct error *err);
bool fit_knows_derived(const char *word); // is it a word for such a kind, as a package may list?
// fit_contrast.c: from all witnesses of the volume's objects.
bool fit_contrast(struct fit *fit, struct model_volume *volume, struct error *err);

#endif
