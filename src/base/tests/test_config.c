#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"

static const struct config_key table[] = {
    {"data", CONFIG_TEXT, "./hilum-data", 0, 0, NULL, "Where everything is kept."},
    {"http.listen", CONFIG_HOST_PORT, "127.0.0.1:8080", 0, 0, NULL, "The page."},
    {"http.threads", CONFIG_INTEGER, "16", 1, 256, NULL, "Connections at once."},
    {"sandbox", CONFIG_CHOICE, "full", 0, 0, "full|reduced", "How models are locked in."},
    {"verbose", CONFIG_BOOLEAN, "false", 0, 0, NULL, "Say more."},
    {"rows", CONFIG_LIST, "{name: a, size: 3}", 0, 0, NULL, "What others judge."},
    {NULL, CONFIG_TEXT, NULL, 0, 0, NULL, NULL},
};
static const struct config_key *const tables[] = {table, NULL};

static bool parse(const char *text, struct config *config, struct error *err)
{
    return config_parse(text, strlen(text), "hilum.yaml", config, err);
}

static void values_keep_their_types_and_defaults_fill_in(void **state)
{
    struct error err;
    struct config config;
    (void)state;
    assert_ok(parse("http:\n  threads: 8\nsandbox: \"reduced\"\n", &config, &err), err);
    assert_ok(config_complete(&config, tables, &err), err);
    assert_int_equal(config_integer(config.tree, "http.threads"), 8);
    assert_string_equal(config_text(config.tree, "http.listen"), "127.0.0.1:8080");
    assert_string_equal(config_text(config.tree, "sandbox"), "reduced");
    assert_false(config_boolean(config.tree, "verbose"));
    assert_null(json_object_get(config.tree, "rows"));
    config_free(&config);
}

static void a_section_without_keys_has_the_defaults(void **state)
{
    struct error err;
    struct config config;
    (void)state;
    assert_ok(parse("http:\n", &config, &err) && config_complete(&config, tables, &err), err);
    assert_int_equal(config_integer(config.tree, "http.threads"), 16);
    config_free(&config);
}

static void the_command_line_goes_over_the_file(void **state)
{
    struct error err;
    struct config config;
    (void)state;
    assert_ok(parse("http:\n  listen: \"127.0.0.1:1\"\n", &config, &err), err);
    config_set(&config, "http.listen", "127.0.0.1:2");
    config_set(&config, "sandbox", "none");
    assert_false(config_complete(&config, tables, &err));
    assert_string_equal(err.message, "sandbox is 'none'; give one of full|reduced");
    assert_string_equal(config_text(config.tree, "http.listen"), "127.0.0.1:2");
    config_free(&config);
    assert_ok(parse("http: 3\n", &config, &err), err);
    config_set(&config, "http.listen", "127.0.0.1:2");
    assert_false(config_complete(&config, tables, &err));
    config_free(&config);
}

static void a_value_in_a_list_is_blamed_by_its_line(void **state)
{
    struct error err;
    struct config config;
    (void)state;
    assert_ok(parse("rows:\n  - name: a\n    size: 1\n  - name: b\n    size: 2\n", &config, &err), err);
    static const struct {
        const char *path, *message;
    } cases[] = {
        {"rows.1.size", "hilum.yaml:5: bad"}, {"rows.1.gone", "hilum.yaml:4: bad"}, {"gone", "hilum.yaml: bad"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error_set(&err, ERROR_BAD_VALUE, "bad");
        assert_false(config_blame(&config, cases[i].path, &err));
        assert_string_equal(err.message, cases[i].message);
    }
    config_free(&config);
}

static void refused(const char *text, const char *part)
{
    struct error err = {0};
    struct config config;
    bool read = parse(text, &config, &err);
    if (read && config_complete(&config, tables, &err))
        fail_msg("taken: %s", text);
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
    if (read)
        config_free(&config);
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
    (void)state;
    refused("a: &x 1\n", "hilum.yaml:1: anchors");
    refused("a: \"x\\0y\"\n", "hilum.yaml:1: text holds a NUL");
    refused("\na: *x\n", "hilum.yaml:2:");
    refused("a: !!str 1\n", "tags");
    refused("verbose: true\nverbose: false\n", "hilum.yaml:2: key 'verbose' stands here a second time");
    refused("--- {}\n--- {}\n", "second document");
    refused("a: [1\n", "hilum.yaml:2");
    refused("http:\n  thread: 3\n", "hilum.yaml:2: there is no key http.thread; did you mean http.threads?");
    refused("http:\n  threads: 0\n", "hilum.yaml:2: http.threads must be a whole number from 1 to 256");
    refused("http:\n  threads: many\n", "whole number");
    refused("http:\n  listen: 8080\n", "must be text");
    refused("http:\n  listen: here\n", "HOST:PORT");
    refused("sandbox: none\n", "hilum.yaml:1: sandbox is 'none'; give one of full|reduced");
    refused("verbose: 1\n", "true or false");
    refused("- 1\n", "keys and values");
    refused("http: 3\n", "no key http");
    refused("\nhttp.threads: 3\n", "hilum.yaml:2: there is no key 'http.threads'; a key stands under its section");
    refused("rows: {}\n", "hilum.yaml:1: rows must be a list");
    refused("a: \xFF\n", "");
}

// By line, whatever is looked at first; and with the standards in their place the rest is looked at too.
static void with_a_list_all_that_is_wrong_is_kept_by_line(void **state)
{
    static const char *const wanted[] = {
        "hilum.yaml:2: http.threads must be",  "hilum.yaml:3: there is no key http.more",
        "hilum.yaml:4: there is no key 'a.b'", "hilum.yaml:5: sandbox is 'none'",
        "hilum.yaml:6: verbose must be",       "hilum.yaml:7: rows must be"};
    enum { WANTED = sizeof wanted / sizeof *wanted };
    struct config_faults faults = {.count = 0};
    struct error err;
    struct config config;
    (void)state;
    assert_ok(parse("http:\n  threads: 0\n  more: 1\na.b: 1\nsandbox: none\nverbose: [1]\nrows: {}\n", &config, &err),
              err);
    config.faults = &faults;
    assert_true(config_complete(&config, tables, &err));
    error_set(&err, ERROR_BAD_VALUE, "late");
    assert_true(config_blame(&config, "http.threads", &err));
    assert_int_equal(faults.count, WANTED + 1);
    assert_string_equal(faults.first[1].err.message, "hilum.yaml:2: late");
    for (size_t i = 0; i < WANTED; i++)
        assert_non_null(strstr(faults.first[i + (i > 0)].err.message, wanted[i]));
    assert_int_equal(config_integer(config.tree, "http.threads"), 16);
    assert_string_equal(config_text(config.tree, "sandbox"), "full");
    assert_false(config_boolean(config.tree, "verbose"));
    assert_null(json_object_get(config.tree, "rows"));
    config_free(&config);
}

static void more_faults_than_are_kept_are_counted_and_the_first_lines_stay(void **state)
{
    struct config_faults faults = {.count = 0};
    struct error err;
    struct config config;
    char text[30 * 12] = "", path[8];
    (void)state;
    for (int i = 0; i < 30; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "k%02d: 1\n", i);
    assert_ok(parse(text, &config, &err), err);
    config.faults = &faults;
    for (int i = 29; i >= 0; i--) {
        snprintf(path, sizeof path, "k%02d", i);
        error_set(&err, ERROR_BAD_VALUE, "bad");
        assert_true(config_blame(&config, path, &err));
    }
    assert_int_equal(faults.count, 30);
    for (int i = 0; i < CONFIG_FAULTS_MAX; i++)
        assert_int_equal(faults.first[i].line, i + 1);
    config_free(&config);
}

static void depth_and_number_of_values_are_bounded(void **state)
{
    struct error err;
    struct config config;
    char deep[200];
    (void)state;
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_false(parse(deep, &config, &err));
    assert_non_null(strstr(err.message, "too deep"));
    char *many = malloc(4 * CONFIG_NODES_MAX + 8);
    assert_non_null(many);
    size_t size = 0;
    many[size++] = '[';
    for (int i = 0; i < CONFIG_NODES_MAX; i++) {
        many[size++] = '1';
        many[size++] = ',';
    }
    many[size++] = ']';
    assert_false(config_parse(many, size, "x", &config, &err));
    assert_non_null(strstr(err.message, "too many"));
    free(many);
}

static void the_example_is_what_the_defaults_are(void **state)
{
    struct error err;
    struct buffer example;
    struct config written, standard;
    (void)state;
    buffer_init(&example, 1 << 16);
    config_print_example(&example, tables);
    assert_ok(config_parse((char *)example.data, example.size, "example", &written, &err), err);
    assert_ok(config_complete(&written, tables, &err), err);
    assert_ok(parse("", &standard, &err) && config_complete(&standard, tables, &err), err);
    assert_true(json_equal(written.tree, standard.tree));
    config_free(&written);
    config_free(&standard);
    buffer_clear(&example);
    config_print_schema(&example, tables);
    json_t *schema = json_loadb((char *)example.data, example.size, 0, NULL);
    assert_non_null(schema);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(json_object_get(json_object_get(json_object_get(schema, "properties"), "http"),
                                                         "properties"),
                                         "threads"),
                         "maximum")),
                     256);
    json_decref(schema);
    buffer_free(&example);
}

static void a_number_is_within_its_bounds(void **state)
{
    static const struct {
        const char *text;
        bool fit;
    } cases[] = {{"http:\n  threads: 0\n", false},
                 {"http:\n  threads: 1\n", true},
                 {"http:\n  threads: 256\n", true},
                 {"http:\n  threads: 257\n", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err;
        struct config config;
        assert_ok(parse(cases[i].text, &config, &err), err);
        assert_int_equal(config_complete(&config, tables, &err), cases[i].fit);
        if (!cases[i].fit)
            assert_non_null(strstr(err.message, "http.threads"));
        config_free(&config);
    }
}

int test_config(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_keep_their_types_and_defaults_fill_in),
        cmocka_unit_test(a_section_without_keys_has_the_defaults),
        cmocka_unit_test(the_command_line_goes_over_the_file),
        cmocka_unit_test(a_value_in_a_list_is_blamed_by_its_line),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
        cmocka_unit_test(with_a_list_all_that_is_wrong_is_kept_by_line),
        cmocka_unit_test(more_faults_than_are_kept_are_counted_and_the_first_lines_stay),
        cmocka_unit_test(depth_and_number_of_values_are_bounded),
        cmocka_unit_test(the_example_is_what_the_defaults_are),
        cmocka_unit_test(a_number_is_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
