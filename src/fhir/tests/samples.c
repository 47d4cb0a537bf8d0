#include "samples.h"

#include "base/clock.h"
#include "support/check.h"

#define STUDY "1.2.826.0.1.3680043.8.498.1"
#define NOTE "Research use only: not verified by a person"

enum { NOON_2026_11_24 = 1795521600 };

static const struct fhir_identifier patient_ids[] = {{"urn:oid:1.2.3", "4711", "MR"}, {NULL, "4711-B", NULL}};
static const struct fhir_name patient_names[] = {
    {"M\xC3\xBCller", "Eva", "Maria", "Dr.", "MSc", "ABC"},
    {.family = "山田", .given = "太郎", .representation = "IDE"},
};
const struct fhir_patient sample_patient = {.id = "p-4711",
                                            .identifiers = patient_ids,
                                            .identifier_count = 2,
                                            .names = patient_names,
                                            .name_count = 2,
                                            .gender = "female",
                                            .birth_date = "1961-02-28"};

const struct fhir_device sample_device = {
    .id = "head-ct-hyperdense-0.1.0",
    .identifier = {.system = "urn:ietf:rfc:3986", .value = "urn:hash:sha256:00ff"},
    .name = "head-ct-hyperdense",
    .version = "0.1.0",
    .manufacturer = "Hilum",
    .type = {.text = "Image analysis software"},
    .note = NOTE};

static const struct fhir_component components[] = {
    {.code = {.text = "Probability"}, .quantity = {.value = 0.914999, .decimals = 3, .unit = "1", .ucum = "1"}},
    {.code = {.coding = {{FHIR_SNOMED, "272741003", "Laterality"}}},
     .concept = {.coding = {{FHIR_SNOMED, "7771000", "Left"}}}},
    {.code = {.text = "Place"}, .text = "(-30.5, 12, 44) mm"}};
const struct fhir_observation sample_observation = {
    .id = "f-1",
    .asserter = FHIR_ASSERTER_AI,
    .identifier = {.system = "urn:ietf:rfc:3986", .value = "urn:oid:2.25.1"},
    .status = FHIR_PRELIMINARY,
    .code = {.coding = {{FHIR_SNOMED, "1386000", "Intracranial hemorrhage"}, {FHIR_RADLEX, "RID4700", "hemorrhage"}},
             .text = "Suspected intracranial hemorrhage"},
    .subject = {.type = "Patient", .id = "p-4711", .display = "M\xC3\xBCller, Eva"},
    .effective = "2026-11-24",
    .issued_ns = NOON_2026_11_24 * CLOCK_SECOND + 5 * CLOCK_MS,
    .quantity = {.value = 12.3000001, .decimals = 1, .unit = "mL", .ucum = "mL"},
    .interpretation = {.coding = {{"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "A",
                                   "Abnormal"}}},
    .body_site = {.coding = {{FHIR_SNOMED, "12738006", "Brain"}}},
    .method = {.text = "Threshold relative to the brain's median HU"},
    .device = {.type = "Device", .id = "head-ct-hyperdense-0.1.0"},
    .derived_from = {.type = "ImagingStudy", .id = STUDY},
    .note = NOTE,
    .components = components,
    .component_count = 3};

static const struct fhir_reference results[] = {{.type = "Observation", .id = "f-1"},
                                                {.type = "Observation", .id = "f-2"}};
const struct fhir_report sample_report = {.id = "r-1",
                                          .asserter = FHIR_ASSERTER_AI,
                                          .identifier = {.system = "urn:ietf:rfc:3986", .value = "urn:oid:2.25.2"},
                                          .status = FHIR_PRELIMINARY,
                                          .based_on = {.identifier = {.value = "ACC1", .type = "ACSN"}},
                                          .subject = {.type = "Patient", .id = "p-4711"},
                                          .effective = "2026-11-24T11:58:00+01:00",
                                          .issued_ns = NOON_2026_11_24 * CLOCK_SECOND,
                                          .imaging_study = {.type = "ImagingStudy", .id = STUDY},
                                          .interpreter = {.display = "Dr. Who <unverified>"},
                                          .results = results,
                                          .result_count = 2,
                                          .conclusion = "Suspected hemorrhage, left, 12.3 mL\nscore .91 & more <b>",
                                          .note = NOTE};

static const struct fhir_instance instances[] = {{STUDY ".1.1", "1.2.840.10008.5.1.4.1.1.2", 1},
                                                 {STUDY ".1.2", "1.2.840.10008.5.1.4.1.1.2", -1}};
static const struct fhir_series series[] = {
    {STUDY ".1", "CT", "Head", 2, {.coding = {{FHIR_SNOMED, "69536005", "Head"}}}, instances, 2},
    {.uid = STUDY ".2", .modality = "SR", .number = -1, .instance_count = 1},
    {.uid = STUDY ".3", .modality = "CT", .number = 3, .instance_count = 40}};
const struct fhir_imaging_study sample_study = {.id = STUDY,
                                                .uid = STUDY,
                                                .accession = "ACC1",
                                                .accession_system = "urn:oid:1.2.4",
                                                .subject = {.type = "Patient", .id = "p-4711"},
                                                .started = "2026-11-24",
                                                .description = "CT head",
                                                .referrer = "Dr. Ref",
                                                .series = series,
                                                .series_count = 3};

static const struct fhir_capability capabilities[] = {
    {"ImagingStudy", {{"patient", "reference"}, {"identifier", "token"}}}, {.type = "Device"}};

static json_t *checked(json_t *resource, struct error *err)
{
    assert_ok(resource, *err);
    return resource;
}

void samples_make(json_t *out[SAMPLE_COUNT])
{
    struct error err, refusal;
    struct fhir_reference subject = {.type = "Patient", .id = "p"};
    error_set(&refusal, ERROR_NOT_FOUND, "no Observation \"x\"");
    out[0] = checked(fhir_patient(&sample_patient, &err), &err);
    out[1] = checked(fhir_device(&sample_device, &err), &err);
    out[2] = checked(fhir_observation(&sample_observation, &err), &err);
    out[3] = checked(fhir_report(&sample_report, &err), &err);
    out[4] = checked(fhir_imaging_study(&sample_study, &err), &err);
    out[5] = checked(fhir_outcome(&refusal, &err), &err);
    out[6] = checked(fhir_searchset(&(struct fhir_search){.base = "http://127.0.0.1:8080/fhir",
                                                          .self = "http://127.0.0.1:8080/fhir/DiagnosticReport?x=1",
                                                          .next = "http://127.0.0.1:8080/fhir/DiagnosticReport?page=2",
                                                          .total = 7,
                                                          .matches = out + 3,
                                                          .match_count = 1,
                                                          .includes = out,
                                                          .include_count = 3},
                                    &err),
                     &err);
    out[7] = checked(
        fhir_capability_statement("http://127.0.0.1:8080/fhir", NOON_2026_11_24 * CLOCK_SECOND, capabilities, 2, &err),
        &err);
    out[8] = checked(
        fhir_imaging_study(&(struct fhir_imaging_study){.id = "x", .uid = "1.2", .subject = subject}, &err), &err);
}
