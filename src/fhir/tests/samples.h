// One filled-in resource of each kind, for all tests.
#ifndef FHIR_TESTS_SAMPLES_H
#define FHIR_TESTS_SAMPLES_H

#include "fhir/fhir.h"

extern const struct fhir_patient sample_patient;
extern const struct fhir_device sample_device;
extern const struct fhir_observation sample_observation;
extern const struct fhir_report sample_report;
extern const struct fhir_imaging_study sample_study;

enum { SAMPLE_COUNT = 9 };
// All kinds, full and with only what is required; owned by the caller.
void samples_make(json_t *out[SAMPLE_COUNT]);

#endif
