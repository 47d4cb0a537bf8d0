// The packages that are installed: those of one folder, found by name, and read again while jobs run. Who finds one
// shares it, so that it outlives its replacement for as long as somebody works with it.
#ifndef MODEL_PACKAGES_H
#define MODEL_PACKAGES_H

#include <jansson.h>

#include "model/model.h"

struct model_packages; // any thread

enum { MODEL_PACKAGES_MAX = 64 };

// Reads the folder (model_packages_rescan); one that is not there holds no packages, which is logged. NULL with *err:
// no memory. The caller closes it; packages that others share live on.
struct model_packages *model_packages_open(const char *folder, struct error *err);
void model_packages_close(struct model_packages *packages); // NULL is fine

// Takes what the folder holds now: each folder in it with a manifest.json is a package, in the order of their names;
// one that begins with '.' is passed over. What is unchanged stays the same package, and warm. Of two folders with one
// package name the later version is installed (model_version_compare; one that is no Semantic Version is earlier than
// any), whatever the folders' names; of two packages of one version that which was installed before this scan, and
// neither where none was. One that is not whole, is not chosen, or comes past MODEL_PACKAGES_MAX is not installed: it
// is logged, and `refused` (an array, or NULL) gets a sentence with the folders and what to do; where it was whole
// before, it stays as it was read then. Changes are logged. false for no memory: all is as before.
bool model_packages_rescan(struct model_packages *packages, json_t *refused, struct error *err);

const char *model_packages_folder(const struct model_packages *packages);
// Appends the sentences on what the last scan did not install to the array `out`.
void model_packages_refused(struct model_packages *packages, json_t *out);
// A share in the package of that name, which the caller gives back with model_package_close. NULL: not installed.
struct model_package *model_packages_find(struct model_packages *packages, const char *name);
// The number of installed ones, in the order of their folders, with a share in each as above.
size_t model_packages_list(struct model_packages *packages, struct model_package *out[MODEL_PACKAGES_MAX]);

#endif
