#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/config.h"

static const struct config_key table[] = {
    {"data", CONFIG_TEXT, "./hilum-data", 0, 0, NULL, "Where everything is kept."},
    {"http.listen", CONFIG_HOST_PORT, "127.0.0.1:8080", 0, 0, NULL, "The page."},
    {"http.threads", CONFIG_INTEGER, "16", 1, 256, NULL, "Connections at once."},
    {"sandbox", CONFIG_CHOICE, "full", 0, 0, "full|reduced", "How models are locked in."},
    {"verbose", CONFIG_BOOLEAN, "false", 0, 0, NULL, "Say more."},
    {NULL, CONFIG_TEXT, NULL, 0, 0, NULL, NULL},
};
static const struct config_key *const tables[] = {table, NULL};

static json_t *parse(const char *text, struct error *err)
{
    return config_parse(text, strlen(text), "hilum.yaml", err);
}

static void values_keep_their_types_and_defaults_fill_in(void **state)
{
    struct error err;
    (void)state;
    json_t *tree = parse("http:\n  threads: 8\nsandbox: \"reduced\"\n", &err);
    assert_ok(tree, err);
    assert_ok(config_complete(tree, tables, "hilum.yaml", &err), err);
    assert_int_equal(config_integer(tree, "http.threads"), 8);
    assert_string_equal(config_text(tree, "http.listen"), "127.0.0.1:8080");
    assert_string_equal(config_text(tree, "sandbox"), "reduced");
    assert_false(config_boolean(tree, "verbose"));
    json_decref(tree);
}

static void refused(const char *text, const char *part)
{
    struct error err = {0};
    json_t *tree = parse(text, &err);
    if (tree && config_complete(tree, tables, "hilum.yaml", &err))
        fail_msg("taken: %s", text);
    if (!strstr(err.message, part))
        fail_msg("'%s' does not say '%s'", err.message, part);
    json_decref(tree);
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
    refused("http:\n  thread: 3\n", "did you mean http.threads?");
    refused("http:\n  threads: 0\n", "from 1 to 256");
    refused("http:\n  threads: many\n", "whole number");
    refused("http:\n  listen: 8080\n", "must be text");
    refused("http:\n  listen: here\n", "HOST:PORT");
    refused("sandbox: none\n", "one of full|reduced");
    refused("verbose: 1\n", "true or false");
    refused("- 1\n", "keys and values");
    refused("http: 3\n", "no key http");
    refused("a: \xFF\n", "");
}

static void depth_and_number_of_values_are_bounded(void **state)
{
    struct error err;
    char deep[200];
    (void)state;
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_null(parse(deep, &err));
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
    assert_null(config_parse(many, size, "x", &err));
    assert_non_null(strstr(err.message, "too many"));
    free(many);
}

static void the_example_is_what_the_defaults_are(void **state)
{
    struct error err;
    struct buffer example;
    (void)state;
    buffer_init(&example, 1 << 16);
    config_print_example(&example, tables);
    json_t *written = config_parse((char *)example.data, example.size, "example", &err);
    assert_ok(written, err);
    assert_ok(config_complete(written, tables, "example", &err), err);
    json_t *standard = json_object();
    assert_ok(config_complete(standard, tables, "none", &err), err);
    assert_true(json_equal(written, standard));
    json_decref(written);
    json_decref(standard);
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

int test_config(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_keep_their_types_and_defaults_fill_in),
        cmocka_unit_test(what_is_wrong_is_named_with_its_line),
        cmocka_unit_test(depth_and_number_of_values_are_bounded),
        cmocka_unit_test(the_example_is_what_the_defaults_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
