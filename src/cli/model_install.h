// hilum model install: see model_install.c.
#ifndef CLI_MODEL_INSTALL_H
#define CLI_MODEL_INSTALL_H

#include "model/model.h"

// As model_package_open; its version is one that has a place in the order of versions, and the rule that the package
// brings is one that a server takes.
struct model_package *cli_model_open(const char *folder, struct error *err);

// Copies the package at `folder` to where the running server keeps its packages, lets it look for them again, and says
// what it took the place of and what became of its rule. `replace`: also over a newer version, or over another package
// of the same version. The exit status.
int cli_model_install(const char *server, const char *folder, bool replace);

#endif
