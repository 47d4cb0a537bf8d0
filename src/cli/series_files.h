// Files given on the command line as the objects of one series: for the check whether images are fit, and their pixels.
#ifndef CLI_SERIES_FILES_H
#define CLI_SERIES_FILES_H

#include "base/arena.h"
#include "image/decoder.h"
#include "model/fit.h"

struct series_file {
    char *path; // owned
    const char *transfer_syntax;
    uint64_t data_offset; // of the data set
};

struct series_files {
    struct series_file *files;    // owned; by object
    struct model_object *objects; // owned
    size_t count;
    struct arena arena;            // of headers and texts
    uint8_t *block;                // owned
    struct image_decoder *decoder; // borrowed: of encapsulated pixels
};

// Reads the headers of all files, folders searched. A file that is no DICOM or cannot be read is an error, told with
// its path: a part of the series would be missing. Close it on failure too.
bool series_files_open(struct series_files *series, char *const *paths, struct error *err);
void series_files_close(struct series_files *series);

// A model_read_pixels_fn; `payload` is the series, its decoder set.
bool series_files_pixels(void *payload, size_t index, uint8_t *out, size_t size, struct error *err);

#endif
