// Are the images of a series fit to be looked at? One check for rules, the worker and `hilum model run`, over all
// objects: which of them belong to a volume, which are left out and why, what each volume is, and what keeps a model
// from it.
//
//   objects -> one patient? -> localizers, secondary pages, what has no place: left out
//           -> groups of like orientation, size, spacing and frame of reference
//           -> where places collide: told apart by their attributes (a table), else the same pixels twice: left out,
//              else unfit
//           -> volumes in order: geometry, contrast, coverage, and what the model needs
//
// The answer depends on the objects alone, not on their order: the same objects give the same volumes in the same order
// with the same labels. No instance number is believed.
#ifndef MODEL_FIT_H
#define MODEL_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "dicom/dataset.h"
#include "image/volume.h"
#include "model/model.h"
#include "model/words.h"

enum { MODEL_OBJECTS_MAX = 32768, MODEL_VOLUMES_MAX = 64, MODEL_LABEL_SIZE = 129 };

// An object of the series. Texts are "" where there is none; issuer is whoever gives out the patient IDs there.
struct model_object {
    const struct dicom_dataset *header; // all but the pixels' values
    const char *sop_instance, *sop_class, *patient_id, *issuer;
    int64_t patient; // equal for objects of one patient, as whoever has them tells patients apart
};

// An object's pixels as image_frame gives them: exactly `size` bytes of its only frame into `out`. false for what keeps
// from reading them. `payload` is the caller's.
typedef bool model_read_pixels_fn(void *payload, size_t index, uint8_t *out, size_t size, struct error *err);

enum model_contrast {
    MODEL_CONTRAST_NONE,      // it is said that none was given
    MODEL_CONTRAST_GIVEN,     // something says that one was; beats all that says none
    MODEL_CONTRAST_NOT_STATED // nothing is said
};

// Texts live in the arena.
struct model_volume {
    const char *label; // what tells it apart in its series ("Echo Time 2.46"), below MODEL_LABEL_SIZE; "" the only one
    struct image_slice *slices; // sorted by place; slices[k].index is the object's index
    size_t count;
    struct image_geometry geometry; // all 0 where the slices make none
    enum model_contrast contrast;
    const char **numbers;         // of each slice, for a person: its Instance Number, or its UID
    const char *contrast_witness; // "Contrast/Bolus Route (0018,1040) 'IV'"; "" when not stated
    // The largest count that a sender gives for what the volume is a part of: Images in Acquisition (0020,1002), Number
    // of Series Related Instances (0020,1209); 0: none. And how many of those are not there.
    int64_t stated_images, missing_images;
    double coverage_mm; // along the normal, from the first slice's face to the last's; see model_volume_open
    size_t empty;       // slices that hold no image data; 0 before model_volume_open
    const char *gap;    // which of them lie between others: "Instances 18, 19, 20 and 8 more"; "" none
    const char *unfit;  // NULL: fit; else why not, a sentence for a person with the values
    // What a result carries: "contrast is not stated; left out: 1 localizer (Instance 1), 2 doubles"; "" nothing.
    const char *notes;
};

struct model_left_out {
    size_t index;
    const char *what; // "localizer", "secondary page", "double", "image of another orientation", ...
    const char *why;  // more, for a person: "the same image as Instance 12 (1.2.3)"; "" nothing
};

struct model_fit {
    struct model_volume *volumes; // fit or not, in the order of their labels; none when `unfit` says why
    size_t volume_count;
    struct model_left_out *left_out; // in the order of the objects
    size_t left_out_count;
    const char *unfit;     // of all of them: no volume at all, multi-frame objects, two patients; NULL: see each volume
    bool several_patients; // that is why: what was said of these images should never have been
};

// `needs` NULL: nothing is asked but to make volumes. Pixels are read only of images at one place that nothing else
// tells apart. All of *out is in the arena. false only for memory (LIMIT, MEMORY) and what `read` could not read; what
// is not fit is said in *out.
bool model_fit_check(const struct model_needs *needs, const struct model_words *words,
                     const struct model_object *objects, size_t count, model_read_pixels_fn *read, void *payload,
                     struct arena *arena, struct model_fit *out, struct error *err);

// What of spacing, number of slices and contrast the volume lacks for these needs, into *lack: a sentence in the arena;
// NULL: nothing. For conditions of a rule's own; model_fit_check has asked the package's already. A volume whose
// contrast is not stated lacks nothing. false: no memory.
bool model_volume_lacks(const struct model_needs *needs, const struct model_volume *volume, struct arena *arena,
                        const char **lack, struct error *err);

// What a run that found nothing in the volume (opened, see below) lacks to be a negative, as above: absence of an
// answer is no answer.
bool model_negative_lacks(const struct model_needs *needs, const struct model_volume *volume,
                          const struct model_result *result, struct arena *arena, const char **lack, struct error *err);

// The notes of what was found in the volume: the volume's, and what the run adds ("the head is cut by the field of
// view: no side is told"), in the arena. false: no memory.
bool model_result_notes(const struct model_volume *volume, const struct model_result *result, struct arena *arena,
                        const char **notes, struct error *err);

// A fit volume's pixels as HU, slice by slice, in a sealed memfd for model_run; the caller closes it. What only the
// pixels tell becomes known of the volume: how many slices are empty (padding or one value all over) and where they
// leave a gap, the coverage of the longest run of slices that hold image data, in which neighbours with the same pixels
// count once, and a note of those; of CT, what is one value all over is no image data in the memfd either. Texts are in
// the arena. -1 with *err: CONFLICT when pixels are past what 16 bits hold (then it is not analysed), LIMIT past
// MODEL_VOLUME_BYTES_MAX, and what `read` says.
#define MODEL_VOLUME_BYTES_MAX (UINT64_C(2) << 30)
int model_volume_open(struct model_volume *volume, model_read_pixels_fn *read, void *payload, struct arena *arena,
                      struct error *err);

#endif
