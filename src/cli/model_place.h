// The place of one package in the folder of a server's packages: models/NAME, while it is installed there.
#ifndef CLI_MODEL_PLACE_H
#define CLI_MODEL_PLACE_H

#include <jansson.h>

#include "model/model.h"

enum { MODEL_PLACE_PATH = 4096, MODEL_PLACE_WAIT_S = 60 };

struct model_place {
    int lock; // of the folder `models`; -1: none
    char models[MODEL_PLACE_PATH], path[MODEL_PLACE_PATH];
    char aside[MODEL_PLACE_PATH];   // hidden beside it: the copy, and once that is put in place what stood there; or ""
    struct model_package *standing; // owned: what stands at `path`; NULL: nothing
    bool put;
};

// Waits until no other install works on `models`, MODEL_PLACE_WAIT_S at most, and looks at models/NAME. CONFLICT where
// nobody may put the package: a link, no package, one with more files than its own, another name's. To be closed also
// after failure.
bool model_place_open(struct model_place *place, const char *models, const struct model_package *package,
                      struct error *err);
// Copies the package and puts it in place whole, by one rename; what stood there is set aside. Nothing is changed on
// failure.
bool model_place_put(struct model_place *place, const struct model_package *package, struct error *err);
// The place is as it was before model_place_put.
bool model_place_undo(struct model_place *place, struct error *err);
// Is the package, by its digest, in `served` (as GET /api/models)?
bool model_place_is_served(const json_t *served, const struct model_package *package);
// Removes what this install set aside and what ended ones have left, as far as a package of that name stands in its
// place and is in `served`, or it is part of a copy. What is anything else is told and kept.
void model_place_clean(const struct model_place *place, const json_t *served);
void model_place_close(struct model_place *place);

#endif
