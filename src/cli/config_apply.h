// hilum config diff|apply: see config_apply.c.
#ifndef CLI_CONFIG_APPLY_H
#define CLI_CONFIG_APPLY_H

#include <stdbool.h>

#include "base/config.h"
#include "base/error.h"

// Shows what of the running server's peers, HL7 targets and rules differs from the file, and with `apply` changes it.
// The exit status.
int cli_config_apply(const char *server, const char *path, bool apply);

// Whether the peers, HL7 targets and rules of a completed configuration can be entered; what is wrong is named with its
// line, as config_blame does. One without any is right.
bool cli_config_check_rows(const struct config *config, struct error *err);

#endif
