#include "support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "samples.h"

static void check_json(json_t *resource, const char *expected)
{
    struct buffer out;
    struct error err;
    buffer_init(&out, 1 << 20);
    assert_non_null(resource);
    assert_ok(fhir_print(resource, &out, &err), err);
    buffer_byte(&out, '\0');
    assert_string_equal((const char *)out.data, expected);
    buffer_free(&out);
    json_decref(resource);
}

static void an_observation_has_its_value_and_who_says_so(void **state)
{
    (void)state;
    struct error err;
    check_json(
        fhir_observation(&sample_observation, &err),
        "{\"resourceType\":\"Observation\",\"id\":\"f-1\",\"meta\":{\"security\":[{\"system\":\"http://"
        "terminology.hl7.org/"
        "CodeSystem/v3-ObservationValue\",\"code\":\"AIAST\",\"display\":\"Artificial Intelligence asserted\"}]},"
        "\"identifier\":[{\"system\":\"urn:ietf:rfc:3986\",\"value\":\"urn:oid:2.25.1\"}],\"status\":\"preliminary\","
        "\"category\":[{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
        "observation-category\",\"code\":"
        "\"imaging\",\"display\":\"Imaging\"}]}],\"code\":{\"coding\":[{\"system\":\"http://snomed.info/sct\",\"code\":"
        "\"1386000\",\"display\":\"Intracranial hemorrhage\"},{\"system\":\"http://radlex.org\",\"code\":\"RID4700\","
        "\"display\":\"hemorrhage\"}],\"text\":\"Suspected intracranial hemorrhage\"},\"subject\":{\"reference\":"
        "\"Patient/p-4711\",\"display\":\"M\xC3\xBCller, Eva\"},\"effectiveDateTime\":\"2026-11-24\",\"issued\":"
        "\"2026-11-24T12:00:00.005Z\",\"valueQuantity\":{\"value\":12.3,\"unit\":\"mL\",\"system\":"
        "\"http://unitsofmeasure.org\",\"code\":\"mL\"},\"interpretation\":[{\"coding\":[{\"system\":"
        "\"http://terminology.hl7.org/CodeSystem/"
        "v3-ObservationInterpretation\",\"code\":\"A\",\"display\":\"Abnormal\"}]}],"
        "\"note\":[{\"text\":\"Research use only: not verified by a person\"}],\"bodySite\":{\"coding\":[{\"system\":"
        "\"http://snomed.info/sct\",\"code\":\"12738006\",\"display\":\"Brain\"}]},\"method\":{\"text\":\"Threshold "
        "relative to the brain's median HU\"},\"device\":{\"reference\":\"Device/head-ct-hyperdense-0.1.0\"},"
        "\"derivedFrom\":[{\"reference\":\"ImagingStudy/"
        "1.2.826.0.1.3680043.8.498.1\"}],\"component\":[{\"code\":{\"text\":"
        "\"Probability\"},\"valueQuantity\":{\"value\":0.915,\"unit\":\"1\",\"system\":\"http://"
        "unitsofmeasure.org\",\"code\":"
        "\"1\"}},{\"code\":{\"coding\":[{\"system\":\"http://snomed.info/sct\",\"code\":\"272741003\",\"display\":"
        "\"Laterality\"}]},\"valueCodeableConcept\":{\"coding\":[{\"system\":\"http://snomed.info/"
        "sct\",\"code\":\"7771000\","
        "\"display\":\"Left\"}]}},{\"code\":{\"text\":\"Place\"},\"valueString\":\"(-30.5, 12, 44) mm\"}]}");
}

static const char *text_at(const json_t *value, const char *key)
{
    const char *text = json_string_value(json_object_get(value, key));
    return text ? text : "(none)";
}

static const json_t *first(const json_t *value, const char *key)
{
    return json_array_get(json_object_get(value, key), 0);
}

static void a_report_is_a_diagnostic_imaging_study_and_carries_its_note(void **state)
{
    (void)state;
    struct error err;
    json_t *report = fhir_report(&sample_report, &err);
    const json_t *coding = first(json_object_get(report, "code"), "coding");
    assert_string_equal(text_at(coding, "system"), FHIR_LOINC);
    assert_string_equal(text_at(coding, "code"), "18748-4");
    assert_string_equal(text_at(report, "status"), "preliminary");
    assert_string_equal(text_at(first(json_object_get(report, "meta"), "security"), "code"), "AIAST");
    assert_string_equal(text_at(first(report, "imagingStudy"), "reference"),
                        "ImagingStudy/1.2.826.0.1.3680043.8.498.1");
    assert_int_equal(json_array_size(json_object_get(report, "result")), 2);
    assert_string_equal(text_at(json_object_get(first(report, "basedOn"), "identifier"), "value"), "ACC1");
    assert_string_equal(text_at(report, "conclusion"), "Suspected hemorrhage, left, 12.3 mL\nscore .91 & more <b>\n"
                                                       "Research use only: not verified by a person");
    assert_string_equal(
        text_at(json_object_get(report, "text"), "div"),
        "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Suspected hemorrhage, left, 12.3 mL<br/>score .91 "
        "&amp; more &lt;b&gt;</p><p>Research use only: not verified by a person</p></div>");
    json_decref(report);
}

static void a_report_without_conclusion_still_says_research_use(void **state)
{
    (void)state;
    struct error err;
    json_t *report = fhir_report(&(struct fhir_report){.id = "r", .note = "Research use only"}, &err);
    assert_string_equal(text_at(report, "conclusion"), "Research use only");
    assert_string_equal(text_at(report, "status"), "registered");
    json_decref(report);
    check_json(
        fhir_report(&(struct fhir_report){.id = "r", .code = {.text = "T"}}, &err),
        "{\"resourceType\":\"DiagnosticReport\",\"id\":\"r\",\"status\":\"registered\",\"category\":[{\"coding\":[{"
        "\"system\":\"http://terminology.hl7.org/CodeSystem/v2-0074\",\"code\":\"RAD\",\"display\":\"Radiology\"}]}],"
        "\"code\":{\"text\":\"T\"}}");
}

static void a_study_counts_its_series_and_instances(void **state)
{
    (void)state;
    struct error err;
    json_t *study = fhir_imaging_study(&sample_study, &err);
    assert_string_equal(text_at(first(study, "identifier"), "value"), "urn:oid:1.2.826.0.1.3680043.8.498.1");
    assert_string_equal(text_at(first(study, "identifier"), "system"), "urn:dicom:uid");
    assert_string_equal(text_at(json_array_get(json_object_get(study, "identifier"), 1), "value"), "ACC1");
    assert_int_equal(json_integer_value(json_object_get(study, "numberOfSeries")), 3);
    assert_int_equal(json_integer_value(json_object_get(study, "numberOfInstances")), 43);
    assert_int_equal(json_array_size(json_object_get(study, "modality")), 2); // CT once
    const json_t *series = first(study, "series");
    assert_string_equal(text_at(json_object_get(series, "bodySite"), "code"), "69536005");
    assert_int_equal(json_array_size(json_object_get(series, "instance")), 2);
    assert_string_equal(text_at(json_object_get(first(series, "instance"), "sopClass"), "code"),
                        "urn:oid:1.2.840.10008.5.1.4.1.1.2");
    assert_null(json_object_get(json_array_get(json_object_get(study, "series"), 1), "number"));
    json_decref(study);
}

static void what_is_not_known_is_left_out(void **state)
{
    (void)state;
    struct error err;
    check_json(
        fhir_patient(
            &(struct fhir_patient){.id = "p",
                                   .names = &(struct fhir_name){.family = "", .given = " \t", .representation = "ABC"},
                                   .name_count = 1,
                                   .gender = "unknown"},
            &err),
        "{\"resourceType\":\"Patient\",\"id\":\"p\",\"gender\":\"unknown\"}");
    check_json(fhir_device(&(struct fhir_device){.id = "d"}, &err),
               "{\"resourceType\":\"Device\",\"id\":\"d\",\"status\":\"active\"}");
    check_json(
        fhir_imaging_study(
            &(struct fhir_imaging_study){.id = "s", .uid = "1.2", .subject = {.display = "Doe"}, .accession = ""},
            &err),
        "{\"resourceType\":\"ImagingStudy\",\"id\":\"s\",\"identifier\":[{\"system\":\"urn:dicom:uid\",\"value\":"
        "\"urn:oid:1.2\"}],\"status\":\"available\",\"subject\":{\"display\":\"Doe\"},\"numberOfSeries\":0,"
        "\"numberOfInstances\":0}");
}

static void texts_are_made_fit_for_fhir(void **state)
{
    (void)state;
    struct error err;
    check_json(fhir_patient(&(struct fhir_patient){.names = &(struct fhir_name){.family = " a\x01"
                                                                                          "b\x7F"
                                                                                          "c\td\n"},
                                                   .name_count = 1},
                            &err),
               "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"a b c\\td\"}]}");
}

static void a_page_of_a_search_has_links_urls_and_modes(void **state)
{
    (void)state;
    struct error err;
    json_t *patient = fhir_patient(&(struct fhir_patient){.id = "p"}, &err);
    json_t *device = fhir_device(&(struct fhir_device){.id = "d"}, &err);
    struct fhir_search search = {.base = "http://h/fhir",
                                 .self = "http://h/fhir/Patient",
                                 .next = "http://h/fhir/Patient?p=2",
                                 .total = 2,
                                 .matches = &patient,
                                 .match_count = 1,
                                 .includes = &device,
                                 .include_count = 1};
    check_json(
        fhir_searchset(&search, &err),
        "{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"total\":2,\"link\":[{\"relation\":\"self\",\"url\":"
        "\"http://h/fhir/Patient\"},{\"relation\":\"next\",\"url\":\"http://h/fhir/Patient?p=2\"}],\"entry\":[{"
        "\"fullUrl\":\"http://h/fhir/Patient/p\",\"resource\":{\"resourceType\":\"Patient\",\"id\":\"p\"},\"search\":"
        "{\"mode\":\"match\"}},{\"fullUrl\":\"http://h/fhir/Device/d\",\"resource\":{\"resourceType\":\"Device\","
        "\"id\":\"d\",\"status\":\"active\"},\"search\":{\"mode\":\"include\"}}]}");
    assert_int_equal(patient->refcount, 1);
    check_json(
        fhir_searchset(&(struct fhir_search){.base = "http://h", .self = "http://h/X", .total = 0}, &err),
        "{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"total\":0,\"link\":[{\"relation\":\"self\",\"url\":"
        "\"http://h/X\"}]}");
    json_decref(patient);
    json_decref(device);
}

static void every_error_has_an_issue_type(void **state)
{
    (void)state;
    static const struct {
        enum error_code code;
        const char *issue;
    } rows[] = {{ERROR_NOT_FOUND, "not-found"}, {ERROR_BAD_VALUE, "value"},  {ERROR_FORBIDDEN, "forbidden"},
                {ERROR_BUSY, "throttled"},      {ERROR_LIMIT, "too-costly"}, {ERROR_INTERNAL, "exception"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err, refusal;
        error_set(&refusal, rows[i].code, "why");
        json_t *outcome = fhir_outcome(&refusal, &err);
        assert_string_equal(text_at(first(outcome, "issue"), "code"), rows[i].issue);
        assert_string_equal(text_at(first(outcome, "issue"), "diagnostics"), "why");
        json_decref(outcome);
    }
}

static void dates_and_ids_and_words_are_checked(void **state)
{
    (void)state;
    static const char *const dates[][2] = {{"20261124", "2026-11-24"},
                                           {"202611", "2026-11"},
                                           {"2026", "2026"},
                                           {"20261324", ""},
                                           {"20000229", "2000-02-29"},
                                           {"19000229", ""},
                                           {"20260230", ""},
                                           {"0000", ""},
                                           {"20261100", ""},
                                           {"2026-11-24", ""},
                                           {"", ""},
                                           {"20261124 ", ""},
                                           {"2026112", ""}};
    char out[FHIR_DATE_SIZE];
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        assert_int_equal(fhir_date(out, dates[i][0]), *dates[i][1] != '\0');
        assert_string_equal(out, dates[i][1]);
    }
    assert_false(fhir_date(out, NULL));
    char long_id[66];
    memset(long_id, '1', 65);
    long_id[65] = '\0';
    assert_false(fhir_is_id(long_id));
    long_id[64] = '\0';
    assert_true(fhir_is_id(long_id));
    assert_false(fhir_is_id(""));
    assert_false(fhir_is_id("a/b"));
    assert_false(fhir_is_id(NULL));
    assert_string_equal(fhir_gender("F"), "female");
    assert_string_equal(fhir_gender(""), "unknown");
    assert_string_equal(fhir_gender(NULL), "unknown");
    assert_string_equal(fhir_system_of("SCT"), FHIR_SNOMED);
    assert_null(fhir_system_of("99LOCAL"));
}

static void check_refused(json_t *resource, const struct error *err, const char *part)
{
    assert_null(resource);
    assert_int_equal(err->code, ERROR_BAD_VALUE);
    if (!strstr(err->message, part))
        fail_msg("\"%s\" does not name %s", err->message, part);
}

static void what_fhir_does_not_allow_is_refused_by_name(void **state)
{
    (void)state;
    struct error err;
    struct fhir_observation o = {.code = {.text = "x"}};
    struct fhir_imaging_study s = {.uid = "1.2", .subject = {.display = "Doe"}};
    struct fhir_series series = {.uid = "1.2.3", .modality = "CT"};
    struct fhir_instance instance = {.uid = "1.2.3.4"};
    check_refused(fhir_patient(&(struct fhir_patient){.id = "a/b"}, &err), &err, "a/b");
    check_refused(fhir_patient(&(struct fhir_patient){.birth_date = "19610228"}, &err), &err, "birthDate");
    check_refused(fhir_patient(&(struct fhir_patient){.birth_date = "1900-02-29"}, &err), &err, "1900-02-29");
    check_refused(
        fhir_patient(&(struct fhir_patient){.names = &(struct fhir_name){.family = "M\xFCller"}, .name_count = 1},
                     &err),
        &err, "family");
    check_refused(fhir_observation(&(struct fhir_observation){.id = "x"}, &err), &err, "code");
    o.effective = "2026-11-24T12:00:00"; // no zone
    check_refused(fhir_observation(&o, &err), &err, "effectiveDateTime");
    check_refused(fhir_observation(&o, &err), &err, "effectiveDateTime");
    o.effective = "2026-02-30T12:00:00+01:00";
    check_refused(fhir_observation(&o, &err), &err, "2026-02-30");
    o.effective = NULL;
    o.quantity = (struct fhir_quantity){.value = NAN, .ucum = "mL"};
    check_refused(fhir_observation(&o, &err), &err, "mL");
    o.quantity = (struct fhir_quantity){.value = 1e300, .ucum = "mL"};
    check_refused(fhir_observation(&o, &err), &err, "mL");
    o.quantity = (struct fhir_quantity){0};
    o.subject = (struct fhir_reference){.type = "Patient", .id = "../x"};
    check_refused(fhir_observation(&o, &err), &err, "../x");
    o.subject.id = NULL;
    o.components = &(struct fhir_component){.text = "no code"};
    o.component_count = 1;
    check_refused(fhir_observation(&o, &err), &err, "component");
    s.series = &series;
    s.series_count = 1;
    series.instances = &instance;
    series.instance_count = 1;
    check_refused(fhir_imaging_study(&s, &err), &err, "SOP class");
    series.modality = "";
    check_refused(fhir_imaging_study(&s, &err), &err, "modality");
    series = (struct fhir_series){.uid = "x y", .modality = "CT"};
    check_refused(fhir_imaging_study(&s, &err), &err, "x y");
    s = (struct fhir_imaging_study){.uid = "1.2"};
    check_refused(fhir_imaging_study(&s, &err), &err, "subject");
    s = (struct fhir_imaging_study){.subject = {.display = "Doe"}};
    check_refused(fhir_imaging_study(&s, &err), &err, "UID");
    json_t *outcome = fhir_outcome(&err, &err);
    struct fhir_search search = {.base = "http://h", .self = "http://h/X", .matches = &outcome, .match_count = 1};
    check_refused(fhir_searchset(&search, &err), &err, "id");
    check_refused(fhir_searchset(&(struct fhir_search){.base = "http://h"}, &err), &err, "URL");
    json_decref(outcome);
}

// jansson asks these for memory: the request after `left` more fails.
static size_t left, held;

static void *scarce(size_t size)
{
    if (left == 0)
        return NULL;
    left--;
    held++;
    return malloc(size);
}

static void give_back(void *memory)
{
    held -= memory != NULL;
    free(memory);
}

static void out_of_memory_at_any_point_is_told_and_leaks_nothing(void **state)
{
    (void)state;
    json_malloc_t usual_malloc;
    json_free_t usual_free;
    json_get_alloc_funcs(&usual_malloc, &usual_free);
    bool done = false;
    for (size_t n = 0; !done; n++) {
        struct error err = {0};
        json_set_alloc_funcs(scarce, give_back);
        left = n;
        json_t *report = fhir_report(&sample_report, &err);
        done = report != NULL;
        if (!done)
            assert_int_equal(err.code, ERROR_MEMORY);
        json_decref(report);
        assert_int_equal(held, 0);
        json_set_alloc_funcs(usual_malloc, usual_free);
        assert_true(n < 10000);
    }
}

int test_resources(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_observation_has_its_value_and_who_says_so),
        cmocka_unit_test(a_report_is_a_diagnostic_imaging_study_and_carries_its_note),
        cmocka_unit_test(a_report_without_conclusion_still_says_research_use),
        cmocka_unit_test(a_study_counts_its_series_and_instances),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(texts_are_made_fit_for_fhir),
        cmocka_unit_test(a_page_of_a_search_has_links_urls_and_modes),
        cmocka_unit_test(every_error_has_an_issue_type),
        cmocka_unit_test(dates_and_ids_and_words_are_checked),
        cmocka_unit_test(what_fhir_does_not_allow_is_refused_by_name),
        cmocka_unit_test(out_of_memory_at_any_point_is_told_and_leaks_nothing),
    };
    return cmocka_run_group_tests_name("fhir resources", tests, NULL, NULL);
}
