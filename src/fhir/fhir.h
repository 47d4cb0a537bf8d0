// The fhir room: FHIR R4 (4.0.1) resources as JSON trees, for what leaves. It knows the wire's forms, not where data
// comes from: each builder takes a plain struct, in which NULL or "" means that something is not known, and leaves out
// what is not known (FHIR has no empty strings, arrays or objects).
//
// A builder gives a new reference (json_decref), or NULL with *err: BAD_VALUE for a required part that is missing or a
// value that FHIR does not allow (named by its key), MEMORY. Control characters in texts become spaces. Lists come as
// pointer and count and are copied.
//
// References are relative ("Patient/12"), so that they hold under any base; ids are [A-Za-z0-9-.]{1,64}, which any
// DICOM UID is.
#ifndef FHIR_FHIR_H
#define FHIR_FHIR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define FHIR_CONTENT_TYPE "application/fhir+json; charset=utf-8"

// ---- code systems

#define FHIR_SNOMED "http://snomed.info/sct"
#define FHIR_LOINC "http://loinc.org"
#define FHIR_RADLEX "http://radlex.org"
#define FHIR_UCUM "http://unitsofmeasure.org"
#define FHIR_DICOM "http://dicom.nema.org/resources/ontology/DCM"
#define FHIR_DICOM_UID "urn:dicom:uid"

// The URI of a code system by its DICOM designator (PS3.16 chapter 8: "SCT", "RADLEX", "DCM", "LN", "UCUM"). NULL for
// another.
const char *fhir_system_of(const char *designator);

// ---- data types

struct fhir_coding {
    const char *system, *code, *display;
};

enum { FHIR_CODINGS_MAX = 3 };

// The same meaning in one or more systems. Absent when it has no code and no text.
struct fhir_concept {
    struct fhir_coding coding[FHIR_CODINGS_MAX]; // up to the first without code
    const char *text;
};

struct fhir_quantity {
    double value; // finite
    int decimals; // it is rounded to these, 0 to 9
    const char *unit;
    const char *ucum; // code; NULL: the quantity is absent
};

struct fhir_identifier {
    const char *system, *value; // absent without value
    const char *type;           // table 0203: "MR", "ACSN"
};

struct fhir_reference {
    const char *type, *id;             // "Patient", "12": the relative reference
    struct fhir_identifier identifier; // instead, or beside
    const char *display;
};

// Who says so, for meta.security (v3-ObservationValue): an unread result of a model is AIAST, one that a person has
// signed CLINAST_AIRPT.
enum fhir_asserter { FHIR_ASSERTER_UNSAID, FHIR_ASSERTER_AI, FHIR_ASSERTER_CLINICIAN_FROM_AI };

enum fhir_status { // of an Observation or DiagnosticReport
    FHIR_REGISTERED,
    FHIR_PRELIMINARY,
    FHIR_FINAL,
    FHIR_AMENDED,
    FHIR_CORRECTED,
    FHIR_CANCELLED,
    FHIR_ENTERED_IN_ERROR,
};

bool fhir_is_id(const char *text);

enum { FHIR_DATE_SIZE = 11 };
// "20261124", as DICOM and HL7 v2 write it, as "2026-11-24"; also "2026" and "202611". false, and "" in `out`, when it
// is no day (month, year) of the calendar.
bool fhir_date(char out[FHIR_DATE_SIZE], const char *digits);

// "M", "F", "O" (DICOM, HL7 v2) as "male", "female", "other"; anything else is "unknown".
const char *fhir_gender(const char *sex);

// ---- resources

struct fhir_name {
    const char *family, *given, *middle, *prefix, *suffix;
    const char *representation; // how it is written (iso21090-EN-representation): "ABC", "IDE", "SYL"; NULL not said
};

struct fhir_patient {
    const char *id;
    const struct fhir_identifier *identifiers;
    size_t identifier_count;
    const struct fhir_name *names; // of one person, in several ways of writing
    size_t name_count;
    const char *gender;     // "male", "female", "other", "unknown"
    const char *birth_date; // "2026-11-24", "2026-11" or "2026"
};

struct fhir_device { // a model in one version
    const char *id;
    struct fhir_identifier identifier;
    const char *name, *version, *manufacturer;
    struct fhir_concept type;
    const char *note; // "research use only ..."
};

struct fhir_observation {
    const char *id;
    enum fhir_asserter asserter;
    struct fhir_identifier identifier;
    enum fhir_status status;
    struct fhir_concept code; // required
    struct fhir_reference subject;
    const char *effective; // date or dateTime with zone
    int64_t issued_ns;     // 0: absent
    // The value: the first of these that is there.
    struct fhir_quantity quantity;
    struct fhir_concept concept;
    const char *text;
    struct fhir_concept interpretation, body_site, method;
    struct fhir_reference device, derived_from; // the ImagingStudy
    const char *note;
    const struct fhir_component *components;
    size_t component_count;
};

struct fhir_component {
    struct fhir_concept code;
    struct fhir_quantity quantity; // or
    struct fhir_concept concept;   // or
    const char *text;
};

struct fhir_report {
    const char *id;
    enum fhir_asserter asserter;
    struct fhir_identifier identifier;
    enum fhir_status status;  // REGISTERED or PRELIMINARY while nobody has verified it
    struct fhir_concept code; // absent: LOINC 18748-4, Diagnostic imaging study
    struct fhir_reference based_on, subject;
    const char *effective;
    int64_t issued_ns;
    struct fhir_reference imaging_study;
    struct fhir_reference interpreter; // a person
    const struct fhir_reference *results;
    size_t result_count;
    const char *conclusion;
    const char
        *note; // "research use only": in the narrative and behind the conclusion, since a report has no note of its own
};

struct fhir_instance {
    const char *uid, *sop_class;
    int64_t number; // negative: absent
};

struct fhir_series {
    const char *uid, *modality, *description;
    int64_t number; // negative: absent
    struct fhir_concept body_site;
    const struct fhir_instance *instances; // may be NULL while count is known
    size_t instance_count;
};

struct fhir_imaging_study {
    const char *id;
    const char *uid; // required
    const char *accession, *accession_system;
    struct fhir_reference subject;
    const char *started; // date or dateTime with zone
    const char *description;
    const char *referrer; // name
    const struct fhir_series *series;
    size_t series_count;
};

json_t *fhir_patient(const struct fhir_patient *patient, struct error *err);
json_t *fhir_device(const struct fhir_device *device, struct error *err);
json_t *fhir_observation(const struct fhir_observation *observation, struct error *err);
json_t *fhir_report(const struct fhir_report *report, struct error *err); // DiagnosticReport
json_t *fhir_imaging_study(const struct fhir_imaging_study *study, struct error *err);

// OperationOutcome of a refusal.
json_t *fhir_outcome(const struct error *refusal, struct error *err);

// ---- bundles: searchset

struct fhir_search {
    const char *base;       // "https://host/fhir": fullUrl of the entries
    const char *self;       // the whole URL that was asked; required (R4 3.1.1)
    const char *next;       // of the next page; NULL on the last
    int64_t total;          // matches on all pages; negative: not counted
    json_t *const *matches; // resources with id; borrowed, the bundle takes references of its own
    size_t match_count;
    json_t *const *includes; // what the matches refer to (_include)
    size_t include_count;
};
json_t *fhir_searchset(const struct fhir_search *search, struct error *err);

// ---- what the server can do, for /metadata: read, and search by these

enum { FHIR_PARAMETERS_MAX = 12 };
struct fhir_capability {
    const char *type; // of resource
    struct {
        const char *name, *type; // "patient", "reference"
    } parameters[FHIR_PARAMETERS_MAX];
};
json_t *fhir_capability_statement(const char *base, int64_t time_ns, const struct fhir_capability *capabilities,
                                  size_t count, struct error *err);

// The resource's JSON, compact, with decimals as short as they are exact. Use this, not json_dumps: it writes 12.3
// as 12.300000000000001.
bool fhir_print(const json_t *resource, struct buffer *out, struct error *err);

#endif
