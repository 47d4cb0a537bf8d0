// Inside the model room: what a package holds.
#ifndef MODEL_PACKAGE_H
#define MODEL_PACKAGE_H

#include "base/buffer.h"
#include "model/internal.h"

struct model_package {
    _Atomic unsigned shares;
    char *folder; // owned
    struct buffer manifest_text;
    json_t *manifest; // owned; the texts below are its own
    const char *name, *version, *title, *label;
    char *rule; // owned JSON, "" none
    char digest[2 * HASH_SIZE + 1];
    struct model_needs needs;
    struct model_code concept, site;
    struct buffer graph; // the file that was checked, so that what runs is what was checked
};

// Is it an ONNX model that needs no other file? BAD_DATA says what is wrong. Cheap: no tensor is read.
bool onnx_check(const void *data, size_t size, struct error *err);

#endif
