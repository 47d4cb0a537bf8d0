// hilum model install: see model_install.c.
#ifndef CLI_MODEL_INSTALL_H
#define CLI_MODEL_INSTALL_H

// Copies the package at `folder` to where the running server keeps its packages, and lets it look for them again. The
// exit status.
int cli_model_install(const char *server, const char *folder);

#endif
