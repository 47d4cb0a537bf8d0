// hilum config diff|apply: see config_apply.c.
#ifndef CLI_CONFIG_APPLY_H
#define CLI_CONFIG_APPLY_H

#include <stdbool.h>

// Shows what of the running server's peers, HL7 targets and rules differs from the file, and with `apply` changes it.
// The exit status.
int cli_config_apply(const char *server, const char *path, bool apply);

#endif
