// An archive in a folder of its own, and small data sets for it.
#ifndef ARCHIVE_TESTS_SUPPORT_H
#define ARCHIVE_TESTS_SUPPORT_H

#include "archive/archive.h"
#include "base/buffer.h"
#include "support/check.h"

enum { PLACE_PATH = 96 };

struct place {
    char folder[PLACE_PATH];
    struct store *store;
    struct image_decoder *decoder;
    struct archive *archive;
    struct archive_writer *writer;
    struct arena arena;
    struct error err;
};

void place_open(struct place *place);
void place_reopen(struct place *place);
void place_close(struct place *place);
void place_start(struct place *place); // store, archive and writer of place->folder, with a decoder
void place_stop(struct place *place);
size_t place_files(struct place *place, const char *part, const char *ending); // how many

// What is NULL gets a usual value; "" is written empty, "-" not at all.
struct object {
    const char *class, *instance, *study, *series;
    const char *date, *time, *zone, *accession, *referring, *study_description, *patient_name, *patient_id, *issuer,
        *birth, *sex;
    const char *modality, *series_description, *series_number, *frame_of_reference, *instance_number;
    const char *charset;
    bool implicit, pixels;
    int fill;   // the pixels' bytes
    int stored; // how many bits of a byte, the upper ones, are pixels; 0: all
};
void object_write(const struct object *object, struct buffer *out); // inits `out`
bool object_put(struct place *place, const struct object *object, struct archive_stored *out);
bool bytes_put(struct place *place, const void *data, size_t size, const char *syntax,
               const struct archive_origin *origin, struct archive_stored *out);
extern const struct archive_origin usual_origin;

// The field of a result; "" when it has none.
const char *field(const struct archive_row *row, dicom_tag tag);
// What a query by one key finds: as many as wanted, asserted.
struct archive_row *find(struct place *place, enum archive_level level, dicom_tag tag, const char *value,
                         size_t wanted);
// What lists show of the only study (the view study_shown).
const char *shown(struct place *place, const char *column);
size_t find_count(struct place *place, enum archive_level level, dicom_tag tag, const char *value); // asserts it works
int test_put(void);
int test_find(void);
int test_conflicts(void);
int test_patients(void);
int test_read(void);
int test_labels(void);
int test_again(void);
int again_child_main(const char *folder); // until it is killed

#endif
