// Against npm's "fhir" 4.12.0, when HILUM_FHIR_MODULES names the node_modules folder it is in (tests/interop.sh
// installs it).
#include "support/check.h"
#include "support/fhir_validator.h"

#include <stdlib.h>

#include "samples.h"

static void print_samples(struct buffer *out)
{
    json_t *samples[SAMPLE_COUNT];
    struct error err;
    samples_make(samples);
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        assert_ok(fhir_print(samples[i], out, &err), err);
        buffer_byte(out, '\n');
        json_decref(samples[i]);
    }
}

static void an_independent_validator_has_no_complaint(void **state)
{
    (void)state;
    const char *modules = getenv("HILUM_FHIR_MODULES");
    struct buffer out;
    if (!modules)
        skip();
    buffer_init(&out, 1 << 20);
    print_samples(&out);
    assert_int_equal(validate_fhir(&out, modules), 0);
    buffer_free(&out);
}

static void the_validator_does_complain_of_what_is_wrong(void **state)
{
    (void)state;
    static const char *const wrong[] = {"{\"resourceType\":\"Patient\",\"colour\":\"red\"}\n",
                                        "{\"resourceType\":\"Observation\",\"status\":\"final\"}\n"};
    const char *modules = getenv("HILUM_FHIR_MODULES");
    if (!modules)
        skip();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct buffer out;
        buffer_init(&out, 1 << 20);
        buffer_text(&out, wrong[i]);
        assert_int_equal(validate_fhir(&out, modules), 1);
        buffer_free(&out);
    }
}

int test_interop(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_independent_validator_has_no_complaint),
        cmocka_unit_test(the_validator_does_complain_of_what_is_wrong),
    };
    return cmocka_run_group_tests_name("fhir with npm's validator", tests, NULL, NULL);
}
