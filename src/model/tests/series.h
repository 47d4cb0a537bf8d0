// Series of small CT slices with one thing wrong at a time, and what is expected of their check. What the pixels are is
// a number here.
#ifndef MODEL_TESTS_SERIES_H
#define MODEL_TESTS_SERIES_H

#include "support.h"

#include "model/fit.h"

enum { OBJECTS_MAX = 600, ELEMENTS_MAX = 40, CONSTANT = 1 << 20 };

enum {
    TYPE = DICOM_TAG(0x0008, 0x0008),
    TIME = DICOM_TAG(0x0008, 0x0032),
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    STUDY_TEXT = DICOM_TAG(0x0008, 0x1030),
    SERIES_TEXT = DICOM_TAG(0x0008, 0x103E),
    AGENT = DICOM_TAG(0x0018, 0x0010),
    BODY_PART = DICOM_TAG(0x0018, 0x0015),
    THICKNESS = DICOM_TAG(0x0018, 0x0050),
    KVP = DICOM_TAG(0x0018, 0x0060),
    ECHO_TIME = DICOM_TAG(0x0018, 0x0081),
    ECHO = DICOM_TAG(0x0018, 0x0086),
    INVERSION = DICOM_TAG(0x0018, 0x0082),
    TRIGGER = DICOM_TAG(0x0018, 0x1060),
    KERNEL = DICOM_TAG(0x0018, 0x1210),
    B_VALUE = DICOM_TAG(0x0018, 0x9087),
    ACQUISITION = DICOM_TAG(0x0020, 0x0012),
    NUMBER = DICOM_TAG(0x0020, 0x0013),
    POSITION = DICOM_TAG(0x0020, 0x0032),
    ORIENTATION = DICOM_TAG(0x0020, 0x0037),
    FRAME = DICOM_TAG(0x0020, 0x0052),
    TEMPORAL = DICOM_TAG(0x0020, 0x0100),
    IN_ACQUISITION = DICOM_TAG(0x0020, 0x1002),
    SAMPLES = DICOM_TAG(0x0028, 0x0002),
    FRAMES = DICOM_TAG(0x0028, 0x0008),
    ROWS = DICOM_TAG(0x0028, 0x0010),
    SPACING = DICOM_TAG(0x0028, 0x0030),
    INTERCEPT = DICOM_TAG(0x0028, 0x1052),
    SLOPE = DICOM_TAG(0x0028, 0x1053),
};

extern struct model_words *words; // while the tests of a group run
extern const struct model_needs head_needs;

struct series {
    struct model_object objects[OBJECTS_MAX];
    struct dicom_dataset sets[OBJECTS_MAX];
    struct dicom_element elements[OBJECTS_MAX][ELEMENTS_MAX];
    int pixels[OBJECTS_MAX]; // equal numbers are equal pixels, from CONSTANT on of one value all over
    size_t count;
    size_t read; // how often pixels were asked for
};

extern struct series the_series; // of the test that runs
struct dicom_element *element_of(struct series *series, size_t i, dicom_tag tag);
void series_set(struct series *series, size_t i, dicom_tag tag, const char *value);
void series_set_short(struct series *series, size_t i, dicom_tag tag, uint16_t value);
void series_set_number(struct series *series, size_t i, dicom_tag tag, double value);
void series_unset(struct series *series, size_t i, dicom_tag tag);
void series_set_all(struct series *series, dicom_tag tag, const char *value);
void series_set_position(struct series *series, size_t i, double x, double y, double z);
void series_set_bits(struct series *series, size_t i);
size_t series_add(struct series *series, double z);
struct series *series_stack(size_t count);
size_t series_add_phase(struct series *series, size_t count);
bool series_read_pixels(void *payload, size_t index, uint8_t *out, size_t size, struct error *err);
struct model_fit series_check(struct series *series, const struct model_needs *needs);
void expect_text(const char *text, const char *named);
const struct model_volume *volume_of(const struct model_fit *fit);
void expect_fit(const struct model_volume *volume, size_t count);
struct model_volume *expect_one(struct model_fit *fit, size_t count);
void expect_left_out(const struct model_fit *fit, size_t index, const char *what);
void expect_labels(const struct model_fit *fit, const char *const labels[], size_t count);

// Setup and teardown of a group.
int open_vocabulary(void **state);
int close_vocabulary(void **state);

#endif
