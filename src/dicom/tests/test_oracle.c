#include "tests.h"

// The script explains what may differ, and why.
static void json_of_pydicoms_files_equals_pydicoms(void **state)
{
    (void)state;
    const char *const argv[] = {"/usr/bin/python3", "src/dicom/tests/oracle.py", own_program(), NULL};
    struct buffer output;
    int status = run_program(argv, &output);
    print_message("%s", (char *)output.data);
    assert_int_equal(status, 0);
    buffer_free(&output);
}

int run_oracle_tests(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(json_of_pydicoms_files_equals_pydicoms)};
    return cmocka_run_group_tests_name("oracle", tests, NULL, NULL);
}
