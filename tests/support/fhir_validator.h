// npm's "fhir" over what a test made, when HILUM_FHIR_MODULES names the node_modules folder it is in
// (src/fhir/tests/interop.sh installs it).
#ifndef SUPPORT_FHIR_VALIDATOR_H
#define SUPPORT_FHIR_VALIDATOR_H

#include "base/buffer.h"

// The exit status of validate.js over resources, one a line: 0 when it has no complaint, 1 when it has, which it
// prints.
int validate_fhir(const struct buffer *resources, const char *modules);

#endif
