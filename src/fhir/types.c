// FHIR's data types, and small tables of its words.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "fhir/build.h"

#define TABLE_0203 "http://terminology.hl7.org/CodeSystem/v2-0203"
#define OBSERVATION_VALUE "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"

#define QUANTITY_MAX 1e15 // what a double holds exactly, and what fits an integer

enum { ID_MAX = 64 };

const char *fhir_system_of(const char *designator)
{
    static const struct {
        const char *designator, *system;
    } rows[] = {
        {"SCT", FHIR_SNOMED}, {"RADLEX", FHIR_RADLEX}, {"DCM", FHIR_DICOM}, {"LN", FHIR_LOINC}, {"UCUM", FHIR_UCUM}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (designator && strcmp(rows[i].designator, designator) == 0)
            return rows[i].system;
    return NULL;
}

bool fhir_is_id(const char *text)
{
    size_t size = text ? strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.") : 0;
    return size > 0 && size <= ID_MAX && text[size] == '\0';
}

static int64_t number(const char *digits, size_t size)
{
    int64_t value = 0;
    text_to_i64(digits, size, &value);
    return value;
}

bool fhir_date(char out[FHIR_DATE_SIZE], const char *digits)
{
    size_t size = digits ? strspn(digits, "0123456789") : 0;
    out[0] = '\0';
    if ((size != 4 && size != 6 && size != 8) || digits[size] != '\0')
        return false;
    if (!clock_is_day(number(digits, 4), size >= 6 ? number(digits + 4, 2) : 1, size == 8 ? number(digits + 6, 2) : 1))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (i == 4 || i == 6)
            *out++ = '-';
        *out++ = digits[i];
    }
    *out = '\0';
    return true;
}

const char *fhir_gender(const char *sex)
{
    static const char *const words[][2] = {{"M", "male"}, {"F", "female"}, {"O", "other"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (sex && strcmp(words[i][0], sex) == 0)
            return words[i][1];
    return "unknown";
}

const char *build_status(enum fhir_status status)
{
    static const char *const words[] = {[FHIR_REGISTERED] = "registered",
                                        [FHIR_PRELIMINARY] = "preliminary",
                                        [FHIR_FINAL] = "final",
                                        [FHIR_AMENDED] = "amended",
                                        [FHIR_CORRECTED] = "corrected",
                                        [FHIR_CANCELLED] = "cancelled",
                                        [FHIR_ENTERED_IN_ERROR] = "entered-in-error"};
    return words[status];
}

json_t *build_coding(struct build *build, const struct fhir_coding *coding)
{
    json_t *object = build_object(build);
    build_put_text(build, object, "system", coding->system);
    build_put_text(build, object, "code", coding->code);
    build_put_text(build, object, "display", coding->display);
    return object;
}

json_t *build_concept(struct build *build, const struct fhir_concept *concept)
{
    json_t *object = build_object(build), *codings = build_array(build);
    for (size_t i = 0; i < FHIR_CODINGS_MAX && concept->coding[i].code && *concept->coding[i].code; i++)
        build_add(build, codings, build_coding(build, &concept->coding[i]));
    build_put(build, object, "coding", codings);
    build_put_text(build, object, "text", concept->text);
    if (json_object_size(object) > 0)
        return object;
    json_decref(object);
    return NULL;
}

// As a text with so many decimals has it: 10.35, which a double holds as a little less, is 10.3 everywhere.
static double rounded(double value, int decimals)
{
    char text[48];
    snprintf(text, sizeof text, "%.*f", decimals, value);
    return strtod(text, NULL);
}

json_t *build_quantity(struct build *build, const struct fhir_quantity *quantity)
{
    if (!quantity->ucum)
        return NULL;
    if (!(fabs(quantity->value) < QUANTITY_MAX) || quantity->decimals < 0 || quantity->decimals > 9) {
        build_fail(build, ERROR_BAD_VALUE, "quantity in", quantity->ucum);
        return NULL;
    }
    json_t *object = build_object(build);
    double value = rounded(quantity->value, quantity->decimals);
    json_t *number = quantity->decimals == 0 ? json_integer((json_int_t)value) : json_real(value);
    build_put(build, object, "value", build_made(build, number));
    build_put_text(build, object, "unit", quantity->unit);
    build_put_text(build, object, "system", FHIR_UCUM);
    build_put_text(build, object, "code", quantity->ucum);
    return object;
}

json_t *build_identifier(struct build *build, const struct fhir_identifier *identifier)
{
    if (!identifier->value || !*identifier->value)
        return NULL;
    json_t *object = build_object(build);
    if (identifier->type)
        build_put(build, object, "type",
                  build_concept(build, &(struct fhir_concept){.coding = {{TABLE_0203, identifier->type, NULL}}}));
    build_put_text(build, object, "system", identifier->system);
    build_put_text(build, object, "value", identifier->value);
    return object;
}

json_t *build_reference(struct build *build, const struct fhir_reference *reference)
{
    char path[ID_MAX + 32];
    json_t *object = build_object(build);
    if (reference->id) {
        if (!fhir_is_id(reference->id))
            build_fail(build, ERROR_BAD_VALUE, "reference", reference->id);
        snprintf(path, sizeof path, "%.30s/%.64s", reference->type, reference->id);
        build_put_text(build, object, "reference", path);
    }
    build_put(build, object, "identifier", build_identifier(build, &reference->identifier));
    build_put_text(build, object, "display", reference->display);
    if (json_object_size(object) > 0)
        return object;
    json_decref(object);
    return NULL;
}

json_t *build_uid_identifier(struct build *build, const char *uid)
{
    char urn[80];
    snprintf(urn, sizeof urn, "urn:oid:%.64s", uid);
    return build_identifier(build, &(struct fhir_identifier){.system = FHIR_DICOM_UID, .value = urn});
}

json_t *build_note(struct build *build, const char *text)
{
    json_t *object = build_object(build);
    build_put_text(build, object, "text", text);
    if (json_object_size(object) > 0)
        return object;
    json_decref(object);
    return NULL;
}

void build_put_security(struct build *build, enum fhir_asserter asserter)
{
    static const struct fhir_coding labels[] = {
        [FHIR_ASSERTER_AI] = {OBSERVATION_VALUE, "AIAST", "Artificial Intelligence asserted"},
        [FHIR_ASSERTER_CLINICIAN_FROM_AI] = {OBSERVATION_VALUE, "CLINAST_AIRPT", NULL},
    };
    if (asserter == FHIR_ASSERTER_UNSAID)
        return;
    json_t *meta = build_object(build);
    build_put_one(build, meta, "security", build_coding(build, &labels[asserter]));
    build_put(build, build->root, "meta", meta);
}
