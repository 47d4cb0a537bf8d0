// FHIR: one report for each result that stands or was withdrawn, which refers to what is there and no more.
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "fhir/fhir.h"
#include "support/fhir_validator.h"

static struct finding found(const char *id, enum finding_state state)
{
    return (struct finding){.id = id,
                            .result = JOB,
                            .job = JOB,
                            .study = "1.2.840.99.1",
                            .series = "1.2.3",
                            .model = "head-ct-hyperdense",
                            .model_version = "1.0.0",
                            .model_digest = JOB,
                            .label_text = LABEL,
                            .concept = {"1386000", "SCT", "Intracranial hemorrhage"},
                            .site = {"12738006", "SCT", "Brain"},
                            .side = "left",
                            .volume_ml = 12.34,
                            .score = 0.914,
                            .segment = 1,
                            .state = state,
                            .judged_by = state == FINDING_UNVERIFIED ? "" : "Ann",
                            .made_ns = INT64_C(1347635528123000000)};
}

static json_t *get_of(const struct finding_result *results, size_t result_count, const struct finding *findings,
                      size_t count, const char *type, const char *id)
{
    struct finding_study study = study_row();
    struct error err;
    json_t *out;
    assert_ok(
        finding_to_fhir(&study, results, result_count, findings, count, "http://localhost/fhir", type, id, &out, &err),
        err);
    return out;
}

// Of one calibrated positive.
static json_t *get(const struct finding *findings, size_t count, const char *type, const char *id)
{
    struct finding_result result = result_row(JOB);
    result.calibrated = true;
    return get_of(&result, 1, findings, count, type, id);
}

// "a.b.0.c" inside a tree.
static const json_t *at(const json_t *json, const char *path)
{
    char key[64];
    while (json && *path) {
        size_t size = strcspn(path, ".");
        assert_true(size < sizeof key);
        memcpy(key, path, size);
        key[size] = '\0';
        json = json_is_array(json) ? json_array_get(json, (size_t)(key[0] - '0')) : json_object_get(json, key);
        path += size + (path[size] == '.');
    }
    return json;
}

static void assert_at(const json_t *json, const char *path, const char *want)
{
    const char *got = json_string_value(at(json, path));
    if (!got || strcmp(got, want) != 0)
        fail_msg("%s is \"%s\", not \"%s\"", path, got ? got : "absent", want);
}

static void a_finding_is_an_observation_with_components(void **state)
{
    (void)state;
    struct finding finding = found("a-1", FINDING_UNVERIFIED);
    json_t *json = get(&finding, 1, "Observation", "a-1");
    assert_at(json, "status", "preliminary");
    assert_at(json, "meta.security.0.code", "AIAST");
    assert_at(json, "valueCodeableConcept.coding.0.system", FHIR_SNOMED);
    assert_at(json, "valueCodeableConcept.coding.0.code", "1386000");
    assert_at(json, "bodySite.coding.0.code", "12738006");
    assert_at(json, "effectiveDateTime", "2012-09-14T15:12:08+00:00");
    assert_at(json, "derivedFrom.0.reference", "ImagingStudy/1.2.840.99.1");
    assert_at(json, "component.0.valueQuantity.code", "mL");
    assert_at(json, "component.2.valueCodeableConcept.coding.0.code", "7771000");
    assert_true(json_number_value(at(json, "component.0.valueQuantity.value")) == 12.3);
    assert_true(json_number_value(at(json, "component.1.valueQuantity.value")) == 91);
    assert_non_null(strstr(json_string_value(at(json, "note.0.text")), "research use only"));
    json_decref(json);
}

static void every_reference_of_the_bundle_is_in_the_bundle(void **state)
{
    (void)state;
    static const char *const references[] = {"resource.subject.reference",       "resource.device.reference",
                                             "resource.derivedFrom.0.reference", "resource.imagingStudy.0.reference",
                                             "resource.result.0.reference",      "resource.result.1.reference"};
    struct finding findings[] = {found("a-1", FINDING_UNVERIFIED), found("a-2", FINDING_UNVERIFIED)};
    json_t *bundle = get(findings, 2, NULL, NULL), *entry, *other;
    size_t i, k, seen = 0;
    assert_at(bundle, "resourceType", "Bundle");
    assert_at(bundle, "type", "searchset");
    assert_int_equal(json_integer_value(at(bundle, "total")), 1);
    assert_int_equal(json_array_size(at(bundle, "entry")), 6); // report, images, patient, one device, two observations
    json_array_foreach(at(bundle, "entry"), i, entry)
    {
        for (size_t r = 0; r < sizeof references / sizeof *references; r++) {
            const char *reference = json_string_value(at(entry, references[r]));
            bool is_there = !reference;
            json_array_foreach(at(bundle, "entry"), k, other)
            {
                const char *url = json_string_value(at(other, "fullUrl"));
                is_there = is_there || strcmp(url + strlen("http://localhost/fhir/"), reference) == 0;
            }
            if (!is_there)
                fail_msg("%s is not in the bundle", reference);
            seen += reference != NULL;
        }
    }
    assert_int_equal(seen, 1 + 1 + 2 + 1 + 2 * 3);
    json_decref(bundle);
}

static void print_all(const struct finding_result *results, size_t result_count, const struct finding *findings,
                      size_t count, struct buffer *out)
{
    struct finding_study study = study_row();
    struct error err;
    json_t *list, *resource;
    size_t i;
    assert_ok(finding_fhir_resources(&study, results, result_count, findings, count, &list, &err), err);
    json_array_foreach(list, i, resource)
    {
        assert_ok(fhir_print(resource, out, &err), err);
        buffer_byte(out, '\n');
    }
    json_decref(list);
}

static void an_independent_validator_has_no_complaint(void **state)
{
    (void)state;
    const char *modules = getenv("HILUM_FHIR_MODULES");
    struct buffer out;
    struct finding_result results[] = {result_row(JOB),   result_row("n-1"), result_row("n-2"),
                                       result_row("s-1"), result_row("f-1"), result_row("w-1")};
    struct finding findings[] = {found("a-1", FINDING_ACCEPTED), found("a-2", FINDING_REJECTED),
                                 found("a-3", FINDING_UNVERIFIED)};
    if (!modules)
        skip();
    results[1].outcome = results[2].outcome = FINDING_NEGATIVE;
    results[2].told = false;
    results[3].outcome = FINDING_NOT_ANALYSED;
    results[4].outcome = FINDING_FAILED;
    results[3].reason = results[4].reason = results[5].reason = "objects of two patients";
    results[5].standing = FINDING_WITHDRAWN;
    buffer_init(&out, 4 << 20);
    print_all(results, 6, findings, 3, &out);
    assert_int_equal(validate_fhir(&out, modules), 0);
    buffer_free(&out);
}

static void check_report(const struct finding_result *result, const struct finding *findings, size_t count,
                         const char *status, const char *conclusion)
{
    json_t *json = get_of(result, 1, findings, count, "DiagnosticReport", JOB);
    assert_at(json, "status", status);
    const char *text = json_string_value(at(json, "conclusion"));
    if (!text || !strstr(text, conclusion))
        fail_msg("the conclusion is %s", text ? text : "absent");
    json_decref(json);
}

// An authorized person makes a report final; a name as typed is nobody's.
static void a_report_is_not_final_before_somebody_can_sign_it(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB);
    struct finding findings[] = {found("a-1", FINDING_ACCEPTED), found("a-2", FINDING_REJECTED),
                                 found("a-3", FINDING_UNVERIFIED), found("b-1", FINDING_ACCEPTED)};
    findings[3].result = "another";
    check_report(&result, findings, 2, "preliminary", "; accepted by Ann (name as typed)");
    check_report(&result, findings, 3, "preliminary", "; unverified");
    check_report(&result, findings + 1, 1, "entered-in-error", "A reviewer rejected all that was found by head-ct");
    json_t *json = get_of(&result, 1, findings, 4, "DiagnosticReport", JOB);
    assert_int_equal(json_array_size(at(json, "result")), 3);
    assert_at(json, "meta.security.0.code", "AIAST");
    json_decref(json);
}

static void a_report_tells_negative_waiting_skipped_failed_and_withdrawn_apart(void **state)
{
    (void)state;
    const struct {
        enum finding_outcome outcome;
        enum finding_standing standing;
        bool told;
        const char *reason, *status, *conclusion;
    } rows[] = {
        {FINDING_NEGATIVE, FINDING_CURRENT, true, "", "preliminary",
         "Nothing was found by head-ct-hyperdense 1.0.0, which looks for: Intracranial hemorrhage. Looked at: 20 "
         "images, 5242880 voxels; contrast is not stated. This does not exclude disease."},
        {FINDING_NEGATIVE, FINDING_CURRENT, false, "", "registered", "waits until the study is quiet"},
        {FINDING_NOT_ANALYSED, FINDING_CURRENT, true, "a gap of 10.0 mm", "cancelled",
         "Not analysed by head-ct-hyperdense 1.0.0: a gap of 10.0 mm"},
        {FINDING_FAILED, FINDING_CURRENT, true, "the runner died", "cancelled",
         "The analysis failed by head-ct-hyperdense 1.0.0: the runner died"},
        {FINDING_POSITIVE, FINDING_WITHDRAWN, true, "objects of two patients", "entered-in-error",
         "Withdrawn: objects of two patients"},
        {FINDING_NEGATIVE, FINDING_WITHDRAWN, true, "objects of two patients", "entered-in-error",
         "Withdrawn: objects of two patients"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct finding_result result = result_row(JOB);
        result.outcome = rows[i].outcome;
        result.standing = rows[i].standing;
        result.told = rows[i].told;
        result.reason = rows[i].reason;
        result.notes = "contrast is not stated";
        check_report(&result, NULL, 0, rows[i].status, rows[i].conclusion);
    }
}

// What a person has accepted, and what a model has not found, was in images that the series has no more.
static void a_report_of_earlier_images_says_so_first_and_is_not_final(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB);
    struct finding finding = found("a-1", FINDING_ACCEPTED);
    result.is_earlier = true;
    check_report(&result, &finding, 1, "preliminary", "This is said of earlier images; those that are there now");
    json_t *json = get_of(&result, 1, &finding, 1, "Observation", "a-1");
    assert_at(json, "status", "preliminary");
    json_decref(json);
    result.outcome = FINDING_NEGATIVE;
    check_report(&result, NULL, 0, "preliminary",
                 "This is said of earlier images; those that are there now have no answer yet.\nNothing was found");
    result.standing = FINDING_WITHDRAWN;
    result.reason = "of another";
    json = get_of(&result, 1, NULL, 0, "DiagnosticReport", JOB);
    assert_null(strstr(json_string_value(at(json, "conclusion")), "earlier"));
    json_decref(json);
}

// The images came again under another patient, whose the study is now.
static void what_was_said_of_another_patient_is_not_the_present_one_s(void **state)
{
    (void)state;
    struct finding_study study = study_row();
    struct finding_result results[] = {result_row(JOB), result_row("b")};
    struct finding finding = found("a-1", FINDING_SUPERSEDED);
    struct error err;
    json_t *list, *one;
    size_t i, reports = 0;
    study.patient = results[1].patient = 8;
    results[0].patient = 7;
    results[0].standing = FINDING_WITHDRAWN;
    results[0].reason = "the images are not this patient's";
    results[1].outcome = FINDING_NEGATIVE;
    assert_ok(finding_fhir_resources(&study, results, 2, &finding, 1, &list, &err), err);
    json_array_foreach(list, i, one)
    {
        const char *type = json_string_value(at(one, "resourceType"));
        bool is_report = strcmp(type, "DiagnosticReport") == 0;
        if (!is_report && strcmp(type, "Observation") != 0)
            continue;
        reports++;
        if (strcmp(json_string_value(at(one, "id")), "b") == 0) {
            assert_at(one, "subject.reference", "Patient/1.2.840.99.1");
            continue;
        }
        assert_at(one, "status", "entered-in-error");
        assert_at(one, "subject.identifier.value", "17");
        assert_null(at(one, "subject.reference"));
        assert_null(at(one, "imagingStudy"));
        assert_null(at(one, "derivedFrom"));
        assert_null(at(one, "basedOn"));
    }
    assert_int_equal(reports, 3);
    json_decref(list);
}

static void what_was_superseded_or_never_looked_at_is_no_report(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB);
    struct finding finding = found("a-1", FINDING_SUPERSEDED);
    result.standing = FINDING_REPLACED;
    assert_null(get_of(&result, 1, &finding, 1, "DiagnosticReport", JOB));
    assert_null(get_of(&result, 1, &finding, 1, "Observation", "a-1"));
    json_t *bundle = get_of(NULL, 0, NULL, 0, NULL, NULL);
    assert_int_equal(json_integer_value(at(bundle, "total")), 0);
    assert_int_equal(json_array_size(at(bundle, "entry")), 2); // images and patient are there
    json_decref(bundle);
}

static void models_and_volumes_have_reports_of_their_own(void **state)
{
    (void)state;
    struct finding_result results[] = {result_row(JOB), result_row("second"), result_row("third")};
    struct finding finding = found("a-1", FINDING_UNVERIFIED);
    results[1].outcome = FINDING_NEGATIVE;
    results[2].outcome = FINDING_NEGATIVE;
    results[2].model_digest = "of another model";
    json_t *bundle = get_of(results, 3, &finding, 1, NULL, NULL);
    assert_int_equal(json_integer_value(at(bundle, "total")), 3);
    assert_int_equal(json_array_size(at(bundle, "entry")), 8); // 3 reports, 2 devices, observation, images, patient
    json_decref(bundle);
}

static void a_score_is_a_certainty_only_where_the_model_is_calibrated(void **state)
{
    (void)state;
    struct finding_result result = result_row(JOB);
    struct finding finding = found("a-1", FINDING_UNVERIFIED);
    json_t *json = get_of(&result, 1, &finding, 1, "Observation", "a-1");
    assert_int_equal(json_array_size(at(json, "component")), 2);
    char *text = json_dumps(json, 0);
    assert_null(strstr(text, "111012"));
    assert_null(strstr(text, "score"));
    free(text);
    json_decref(json);
}

// A volume is one number, whoever reads it and where: halves are where two roundings differ.
static void a_volume_is_the_same_number_in_the_sentence_and_as_a_quantity(void **state)
{
    static const double volumes_ml[] = {10.35, 0.25, 0.35, 2.45, 12.05, 1.15, 99.95};
    (void)state;
    for (size_t i = 0; i < sizeof volumes_ml / sizeof *volumes_ml; i++) {
        struct finding finding = found("a-1", FINDING_UNVERIFIED);
        char said[32];
        finding.volume_ml = volumes_ml[i];
        json_t *json = get(&finding, 1, "Observation", "a-1");
        snprintf(said, sizeof said, ", %.1f mL", json_number_value(at(json, "component.0.valueQuantity.value")));
        if (!strstr(json_string_value(at(json, "note.0.text")), said))
            fail_msg("%s: %s", said, json_string_value(at(json, "note.0.text")));
        json_decref(json);
    }
}

static void a_judged_observation_says_so(void **state)
{
    (void)state;
    struct finding findings[] = {found("a-1", FINDING_ACCEPTED), found("a-2", FINDING_REJECTED),
                                 found("a-3", FINDING_SUPERSEDED)};
    static const char *const want[][3] = {{"a-1", "preliminary", "CLINAST_AIRPT"},
                                          {"a-2", "entered-in-error", "AIAST"},
                                          {"a-3", "entered-in-error", "AIAST"}};
    for (size_t i = 0; i < 3; i++) {
        json_t *json = get(findings, 3, "Observation", want[i][0]);
        assert_at(json, "status", want[i][1]);
        assert_at(json, "meta.security.0.code", want[i][2]);
        json_decref(json);
    }
}

static void what_is_not_there_is_null(void **state)
{
    (void)state;
    struct finding finding = found("a-1", FINDING_UNVERIFIED);
    assert_null(get(&finding, 1, "Observation", "a-2"));
    assert_null(get(&finding, 1, "Medication", "a-1"));
}

static void a_type_without_id_gives_all_of_it(void **state)
{
    (void)state;
    struct finding findings[] = {found("a-1", FINDING_UNVERIFIED), found("a-2", FINDING_UNVERIFIED)};
    json_t *bundle = get(findings, 2, "Observation", NULL);
    assert_int_equal(json_array_size(at(bundle, "entry")), 2);
    assert_int_equal(json_integer_value(at(bundle, "total")), 2);
    json_decref(bundle);
}

static void an_imaging_study_counts_only_series_that_it_was_told(void **state)
{
    (void)state;
    const struct finding_study_series series[] = {{"1.2.3", "CT", "Head", 2, 108},
                                                  {"1.2.4", "SR", "AI result", 1700000000, 1}};
    struct finding_study study = study_row();
    struct error err;
    json_t *json = get(NULL, 0, "ImagingStudy", study.study);
    assert_null(at(json, "numberOfSeries"));
    assert_null(at(json, "numberOfInstances"));
    assert_at(json, "referrer.display", "Gregory House");
    json_decref(json);
    study.series = series;
    study.series_count = 2;
    assert_ok(
        finding_to_fhir(&study, NULL, 0, NULL, 0, "http://localhost/fhir", "ImagingStudy", study.study, &json, &err),
        err);
    assert_int_equal(json_integer_value(at(json, "numberOfInstances")), 109);
    assert_at(json, "series.1.modality.code", "SR");
    json_decref(json);
}

static void a_patient_is_named_in_parts(void **state)
{
    (void)state;
    struct finding_study study = study_row();
    struct error err;
    json_t *list, *json = NULL, *one;
    size_t i;
    assert_ok(finding_fhir_resources(&study, NULL, 0, NULL, 0, &list, &err), err);
    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(at(one, "resourceType")), "Patient") == 0)
            json = one;
    }
    assert_at(json, "name.0.family", "M\xC3\xBCller");
    assert_at(json, "name.0.given.1", "Karl");
    assert_at(json, "name.0.prefix.0", "Dr.");
    assert_at(json, "name.0.extension.0.valueCode", "ABC");
    assert_at(json, "name.1.family", "山");
    assert_at(json, "name.1.given.0", "田");
    assert_at(json, "name.1.extension.0.valueCode", "IDE");
    assert_at(json, "name.1.extension.0.url", "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation");
    assert_at(json, "gender", "male");
    assert_at(json, "birthDate", "1950-12-31");
    json_decref(list);
}

int test_fhir(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finding_is_an_observation_with_components),
        cmocka_unit_test(every_reference_of_the_bundle_is_in_the_bundle),
        cmocka_unit_test(a_report_is_not_final_before_somebody_can_sign_it),
        cmocka_unit_test(a_report_tells_negative_waiting_skipped_failed_and_withdrawn_apart),
        cmocka_unit_test(a_report_of_earlier_images_says_so_first_and_is_not_final),
        cmocka_unit_test(what_was_said_of_another_patient_is_not_the_present_one_s),
        cmocka_unit_test(what_was_superseded_or_never_looked_at_is_no_report),
        cmocka_unit_test(models_and_volumes_have_reports_of_their_own),
        cmocka_unit_test(a_score_is_a_certainty_only_where_the_model_is_calibrated),
        cmocka_unit_test(a_volume_is_the_same_number_in_the_sentence_and_as_a_quantity),
        cmocka_unit_test(a_judged_observation_says_so),
        cmocka_unit_test(what_is_not_there_is_null),
        cmocka_unit_test(a_type_without_id_gives_all_of_it),
        cmocka_unit_test(an_imaging_study_counts_only_series_that_it_was_told),
        cmocka_unit_test(a_patient_is_named_in_parts),
        cmocka_unit_test(an_independent_validator_has_no_complaint),
    };
    return cmocka_run_group_tests_name("FHIR of findings", tests, NULL, NULL);
}
