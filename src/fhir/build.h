// Inside the room: trees are built without a check at each step. The first failure is kept in *err, what follows does
// nothing, and build_end gives the tree or NULL.
#ifndef FHIR_BUILD_H
#define FHIR_BUILD_H

#include "fhir/fhir.h"

struct build {
    json_t *root;
    struct error *err;
    bool failed;
};

void build_begin(struct build *build, const char *type, const char *id, struct error *err); // `id` NULL: none
json_t *build_end(struct build *build);

void build_fail(struct build *build, enum error_code code, const char *what, const char *value);
void build_require(struct build *build, bool there, const char *what);

json_t *build_made(struct build *build, json_t *value); // `value`; NULL is out of memory
json_t *build_object(struct build *build);
json_t *build_array(struct build *build);
// A text as FHIR allows it; NULL for an absent one.
json_t *build_text(struct build *build, const char *key, const char *text);

// These take `value`. A NULL value or an empty array or object is left out.
void build_put(struct build *build, json_t *object, const char *key, json_t *value);
void build_add(struct build *build, json_t *array, json_t *value);
void build_put_one(struct build *build, json_t *object, const char *key, json_t *value); // in an array of one
void build_put_text(struct build *build, json_t *object, const char *key, const char *text);
void build_put_integer(struct build *build, json_t *object, const char *key, int64_t value); // negative: left out
void build_put_uid(struct build *build, json_t *object, const char *key, const char *uid);   // required
void build_put_date(struct build *build, json_t *object, const char *key, const char *date);
void build_put_instant(struct build *build, json_t *object, const char *key, int64_t time_ns); // 0: left out

// Data types; NULL when absent.
json_t *build_coding(struct build *build, const struct fhir_coding *coding);
json_t *build_concept(struct build *build, const struct fhir_concept *concept);
json_t *build_quantity(struct build *build, const struct fhir_quantity *quantity);
json_t *build_identifier(struct build *build, const struct fhir_identifier *identifier);
json_t *build_reference(struct build *build, const struct fhir_reference *reference);
json_t *build_uid_identifier(struct build *build, const char *uid); // urn:dicom:uid
json_t *build_note(struct build *build, const char *text);          // Annotation
void build_put_security(struct build *build, enum fhir_asserter asserter);
const char *build_status(enum fhir_status status);

#endif
