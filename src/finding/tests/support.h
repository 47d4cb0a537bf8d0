// What the tests of this room share: a real CT and a small oblique one with findings drawn into them, a store, other
// people's programs.
#ifndef FINDING_TESTS_SUPPORT_H
#define FINDING_TESTS_SUPPORT_H

#include "support/check.h"
#include "support/folder.h"
#include "support/program.h"
#include "support/zone.h"

#include "finding/finding.h"
#include "store/store.h"

// ---- scenes

#define JOB "5d41402abc4b2a76b9719d911017c592ae3f0c1b2d4e5f60718293a4b5c6d7e8"
#define LABEL "research use only, not a medical device"

enum { SCENE_FINDINGS = 2 };

// A series, what a model said about it, and the voxels.
struct scene {
    struct arena arena;
    struct finding_context context;
    struct finding_result result; // of the context
    struct image_geometry geometry;
    struct finding findings[SCENE_FINDINGS];
    uint16_t *labels;  // [slices][rows][columns]
    char sources[512]; // folder with the series' files
};

// 20 slices of the head that tools/head-ct makes; a ball each on the left and on the right, which overlap in height.
void scene_head(struct scene *scene);
// 5 slices of 37 x 29, so that frames end inside bytes, tilted by 20 degrees about two axes; Latin-1 names.
void scene_oblique(struct scene *scene);
void scene_free(struct scene *scene);
// As if the source image had this text in an element that it has.
void scene_say(struct scene *scene, dicom_tag tag, const char *text);

// A Part 10 file of the data set in the folder of temporary files; the path is from a ring of static buffers.
const char *scene_write(const struct buffer *dataset, const char *sop_class, const char *name);
// The label map as raw little-endian words.
const char *scene_write_labels(const struct scene *scene);

struct finding_study study_row(void);
// A positive of this job, told, of 20 images; the only volume.
struct finding_result result_row(const char *job);

// ---- a store

struct place {
    char folder[256];
    struct store *store;
    struct arena arena;
    struct error err;
};
void place_open(struct place *place);
void place_close(struct place *place);

// ---- other programs

// oracle.py with these arguments, NULL-ended; asserts that it agrees.
void ask_oracle(const char *const arguments[]);

int test_rows(void);
int test_text(void);
int test_seg(void);
int test_sr(void);
int test_rejection(void);
int test_oru(void);
int test_fhir(void);
int test_times(void);

#endif
