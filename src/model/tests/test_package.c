// A package is whole or refused, by the name of what is wrong (docs/bad-input.md, 76 and 77).
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void change(json_t *manifest, const char *at, const char *to)
{
    char path[64], *save = NULL, *step, *next;
    json_t *where = manifest;
    snprintf(path, sizeof path, "%s", at);
    step = strtok_r(path, "/", &save);
    while ((next = strtok_r(NULL, "/", &save))) {
        where = json_is_array(where) ? json_array_get(where, (size_t)strtoul(step, NULL, 10))
                                     : json_object_get(where, step);
        step = next;
    }
    json_t *value = to ? json_loads(to, JSON_DECODE_ANY, NULL) : NULL;
    assert_true(!to || value);
    if (json_is_array(where))
        assert_int_equal(to ? json_array_set_new(where, (size_t)strtoul(step, NULL, 10), value)
                            : json_array_remove(where, (size_t)strtoul(step, NULL, 10)),
                         0);
    else
        assert_int_equal(to ? json_object_set_new(where, step, value) : json_object_del(where, step), 0);
}

static void assert_change_refused(const char *at, const char *to, const char *named)
{
    char folder[SUPPORT_PATH];
    copy_package(folder);
    json_t *manifest = read_manifest(folder);
    change(manifest, at, to);
    write_manifest(folder, manifest);
    assert_refused(folder, named);
}

static void the_real_package_opens(void **state)
{
    struct error err;
    (void)state;
    struct model_package *package = model_package_open(REAL_PACKAGE, &err);
    assert_ok(package != NULL, err);
    assert_string_equal(model_package_name(package), "head-ct-hyperdense");
    assert_int_equal(strlen(model_package_digest(package)), 64);
    assert_non_null(strstr(model_package_label(package), "not a medical device"));
    assert_string_equal(model_package_needs(package)->modality, "CT");
    assert_true(model_package_needs(package)->contrast_refused);
    assert_true(model_package_needs(package)->coverage_min_mm == 80);
    assert_true(model_package_needs(package)->looked_min_ml == 250);
    assert_string_equal(model_package_concept(package)->scheme, "SCT");
    assert_non_null(strstr(model_package_rule(package), "no_contrast"));
    model_package_close(package);
}

// Every byte of card and graph, and of the manifest all whose change leaves the same JSON but for spaces: those give
// another digest.
static void any_byte_flipped_in_any_file_is_found(void **state)
{
    static const char *const names[] = {"model.onnx", "card.md", "manifest.json"};
    char folder[SUPPORT_PATH], digest[65];
    struct error err;
    (void)state;
    copy_package(folder);
    struct model_package *package = model_package_open(folder, &err);
    assert_ok(package != NULL, err);
    snprintf(digest, sizeof digest, "%s", model_package_digest(package));
    model_package_close(package);
    for (size_t n = 0; n < 3; n++) {
        size_t size;
        uint8_t *data = read_member_of(folder, names[n], &size);
        for (size_t i = 0; i < size; i++) {
            data[i] ^= 1;
            write_member(folder, names[n], data, size);
            package = model_package_open(folder, &err);
            if (package && (n < 2 || strcmp(model_package_digest(package), digest) == 0))
                fail_msg("byte %zu of %s flipped is not found", i, names[n]);
            model_package_close(package);
            data[i] ^= 1;
        }
        write_member(folder, names[n], data, size);
        free(data);
    }
}

static void missing_and_extra_files_are_refused(void **state)
{
    char folder[SUPPORT_PATH], path[2 * SUPPORT_PATH];
    (void)state;
    copy_package(folder);
    snprintf(path, sizeof path, "%s/card.md", folder);
    assert_int_equal(unlink(path), 0);
    assert_refused(folder, "card.md");
    copy_package(folder);
    write_member(folder, "more.bin", "x", 1);
    assert_refused(folder, "more.bin");
    copy_package(folder);
    snprintf(path, sizeof path, "%s/sub", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(folder, "sub");
    copy_package(folder);
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    assert_int_equal(unlink(path), 0);
    assert_refused(folder, "manifest.json");
}

static void links_are_refused(void **state)
{
    char folder[SUPPORT_PATH], other[SUPPORT_PATH], path[2 * SUPPORT_PATH], target[2 * SUPPORT_PATH];
    (void)state;
    copy_package(folder);
    copy_package(other);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    snprintf(target, sizeof target, "%s/model.onnx", other);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_refused(folder, "model.onnx");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(target, path), 0);
    assert_refused(folder, "model.onnx");
    assert_refused(other, "model.onnx");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); // and nobody waits for a writer
    assert_refused(folder, "model.onnx");
}

static void names_that_lead_out_of_the_folder_are_refused(void **state)
{
    static const char *const names[] = {"../card.md", "/etc/passwd", "sub/card.md", "..", "."};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char folder[SUPPORT_PATH];
        copy_package(folder);
        json_t *manifest = read_manifest(folder);
        json_object_set_new(json_object_get(manifest, "files"), names[i], json_string("00"));
        write_manifest(folder, manifest);
        assert_refused(folder, names[i]);
    }
}

static void texts_that_are_not_one_plain_line_are_refused(void **state)
{
    static const struct {
        const char *at, *to, *shown; // as in `changes`
    } cases[] = {
        {"version", "\"1.0\\nhilum_up 99\"", "1.0\\x0Ahilum_up 99"},
        {"version", "\"../1\"", "../1"},
        {"title", "\"red \\u001b[31m\"", "red \\x1B[31m"},
        {"label", "\"a\\\\b\"", "a\\b"},
        {"title", "\"one\\u2028two\"", "one\\xE2\\x80\\xA8two"},
        {"title", "\"head\\u200bct\"", "head\\xE2\\x80\\x8Bct"},
        {"title", "\"\\u00a0\\u3000\"", "'title' is"},
        {"title", "\"head\\u200d\"", "'title' is"},
        {"label", "\"   \"", "'label' is '   ': use one line of text that shows"},
        {"label", "\"a\\udb40\\udc61\"", "a\\xF3\\xA0\\x81\\xA1"},
        {"label", "\"a\\ufeff\"", "a\\xEF\\xBB\\xBF"},
        {"licence", "\"MIT\\u00ad\"", "MIT\\xC2\\xAD"},
        {"licence", "7", "'licence' must be text"},
        {"finding/concept/meaning", "\"\\uffff\"", "\\xEF\\xBF\\xBF"},
        {"finding/concept/meaning", "\"Mass\\r\\nOBX\"", "Mass\\x0D\\x0AOBX"},
        {"needs/modality", "\"CT\\r\\nMR\"", "CT\\x0D\\x0AMR"},
        {"needs/body_part/0", "\"HEAD\\n\"", "HEAD\\x0A"},
        {"needs/more\n", "1", "more\\x0A"},
        {"graph/file", "\"model\\u0007.onnx\"", "model\\x07.onnx"},
        {"graph/inputs", "{\"h\\n\":\"volume\"}", "h\\x0A"},
        {"graph/outputs/0", "\"y\\u009b\"", "y\\xC2\\x9B"},
        {"before/0/op", "\"a\\u001bb\"", "a\\x1Bb"},
        {"files/card\n", "\"00\"", "card\\x0A"},
        {"files/card.md", "\"\\u001b[2J\"", "\\x1B[2J"},
        {"rule/description", "\"head\\nct\"", "head\\x0Act"},
        {"rule/send_to", "[\"pacs\", \"p\\u0001\"]", "p\\x01"},
        {"rule/more\n", "1", "more\\x0A"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_change_refused(cases[i].at, cases[i].to, cases[i].shown);
}

// A text is told by its beginning, its length and the limit.
// What nobody reads is refused: a developer would take it for what counts.
static void members_that_mean_nothing_are_refused(void **state)
{
    static const struct {
        const char *at, *to, *named;
    } cases[] = {
        {"extra", "1", "has no member 'extra'"},
        {"calibrated", "true", "has no member 'calibrated'"},
        {"finding/volume", "1", "'finding' has no member 'volume'"},
        {"finding/unit", "\"cm\"", "finding.unit is 'mL'"},
        {"finding/unit", "1", "finding.unit is 'mL'"},
        {"finding/certainty", "\"definite\"", "finding.certainty is 'suspected'"},
        {"finding/calibrated", "\"yes\"", "finding.calibrated must be true or false"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_change_refused(cases[i].at, cases[i].to, cases[i].named);
}

static void texts_that_are_too_long_are_refused_with_their_length(void **state)
{
    static const struct {
        const char *at;
        size_t most;
    } cases[] = {
        {"title", 64},         {"label", 128},           {"name", 64},
        {"version", 64},       {"needs/modality", 16},   {"needs/body_part/0", 128},
        {"graph/file", 128},   {"graph/outputs/0", 128}, {"finding/concept/value", 16},
        {"files/card.md", 64}, {"rule/name", 64},        {"rule/description", 128},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[132], told[64];
        size_t size = cases[i].most + 1;
        text[0] = text[size + 1] = '"';
        memset(text + 1, 'x', size);
        text[size + 2] = '\0';
        snprintf(told, sizeof told, "is %zu bytes long, %zu at most: 'xxxxxxxxxx", size, cases[i].most);
        assert_change_refused(cases[i].at, text, told);
    }
}

static void a_later_version_is_told_from_an_earlier_one(void **state)
{
    // Semantic Versioning 2.0.0, section 11, and what is no such version.
    static const char *const rising[] = {"0.9",
                                         "1.0.0-alpha",
                                         "1.0.0-alpha.1",
                                         "1.0.0-alpha.beta",
                                         "1.0.0-beta",
                                         "1.0.0-beta.2",
                                         "1.0.0-beta.11",
                                         "1.0.0-rc.1",
                                         "1.0.0",
                                         "1.2",
                                         "1.2.0",
                                         "1.9.1",
                                         "1.10.0",
                                         "2",
                                         "99999999999999999999999.0"};
    (void)state;
    for (size_t i = 0; i < sizeof rising / sizeof *rising; i++)
        for (size_t j = 0; j < sizeof rising / sizeof *rising; j++) {
            int order = model_version_compare(rising[i], rising[j]);
            if ((order > 0) - (order < 0) != (i > j) - (i < j))
                fail_msg("%s and %s: %d", rising[i], rising[j], order);
        }
    assert_int_equal(model_version_compare("1.0+build.1", "1.0+build.2"), 0);
    assert_int_equal(model_version_compare("01.0", "1.00"), 0);
}

static void versions_are_those_of_semantic_versioning(void **state)
{
    static const char *const fit[] = {"0.0.0", "1.10.0", "1.0.0-rc.1", "1.0.0-0a.x-y+001.b7", "10.20.30+5"};
    static const char *const unfit[] = {"",       "banana",  "1.11",      "v2.0.0",   "1.0.0.0",
                                        "01.0.0", "1.00.0",  "1.0.0-",    "1.0.0-01", "1.0.0-a..b",
                                        "1.0.0+", "1.0.0_1", "1.0.0+a+b", "1..0",     "1.0.0-a+"};
    (void)state;
    for (size_t i = 0; i < sizeof fit / sizeof *fit; i++)
        assert_true(model_version_is_semantic(fit[i]));
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
        if (model_version_is_semantic(unfit[i]))
            fail_msg("'%s' is taken", unfit[i]);
}

static void graphs_that_take_data_from_other_files_are_refused(void **state)
{
    static const char *const graphs[] = {"external", "external-in-node"};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_null(package_with_graph(graphs[i]));
}

static void what_is_no_onnx_is_refused(void **state)
{
    static const char *const graphs[] = {"", "garbage", "\x3a\x7f short", "\x08\x08"};
    static const size_t sizes[] = {0, 7, 8, 2};
    char folder[SUPPORT_PATH];
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        copy_package(folder);
        set_graph(folder, graphs[i], sizes[i]);
        assert_refused(folder, "no ONNX");
    }
}

// GraphProto in AttributeProto in NodeProto in GraphProto ...: must end, and not by the stack's.
static void deeply_nested_graphs_are_refused(void **state)
{
    enum { LEVELS = 3000, SIZE = LEVELS * 20 };
    uint8_t *data = malloc(SIZE), *at = data + SIZE;
    char folder[SUPPORT_PATH];
    static const uint8_t fields[] = {1 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2}; // node, attribute, graph
    (void)state;
    for (int level = LEVELS; level-- > 0;) {
        uint64_t size = (uint64_t)(data + SIZE - at);
        at -= 5;
        for (int i = 0; i < 5; i++)
            at[i] = (uint8_t)((size >> 7 * i & 0x7F) | (i < 4 ? 0x80 : 0));
        *--at = level == 0 ? 7 << 3 | 2 : fields[(level - 1) % 3];
    }
    copy_package(folder);
    set_graph(folder, at, (size_t)(data + SIZE - at));
    assert_refused(folder, "deeper");
    free(data);
}

// A change to the manifest's JSON, and what the refusal names.
static const struct {
    const char *at; // where: members and indices with '/', the last is set
    const char *to; // JSON; NULL deletes
    const char *named;
} changes[] = {
    {"format", "\"hilum-model/2\"", "hilum-model/2"},
    {"name", "\"\"", "name"},
    {"label", NULL, "label"},
    {"files", "{}", "files"},
    {"files/model.onnx", "7", "model.onnx"},
    {"graph/file", "\"other.onnx\"", "graph"},
    {"graph/inputs/hu", "\"pixels\"", "hu"},
    {"graph/inputs", "{}", "inputs"},
    {"graph/outputs", "[]", "outputs"},
    {"graph/outputs/0", "3", "outputs"},
    {"needs", "[]", "needs"},
    {"needs/slices_max", "1000000", "slices_max"},
    {"needs/slices_min", "-1", "slices_min"},
    {"needs/slices_min", "\"16\"", "slices_min"},
    {"needs/slices_min", "16.5", "slices_min"},
    {"needs/spacing_max_mm", "\"5\"", "spacing_max_mm"},
    {"needs/coverage_min_mm", "-1", "coverage_min_mm"},
    {"needs/coverage_min_mm", "1e9", "coverage_min_mm"},
    {"needs/coverage_min_mm", "true", "coverage_min_mm"},
    {"needs/looked_min_ml", "-1", "looked_min_ml"},
    {"needs/looked_min_ml", "\"250\"", "looked_min_ml"},
    {"needs/other_body_part", "\"EAR\"", "other_body_part"},
    {"needs/image_type", "\"MIP\"", "image_type"},
    {"needs/image_type", "[\"MIPP\"]", "MIPP"},
    {"needs/contrast", "\"no\"", "contrast"},
    {"needs/body_part", "\"HEAD\"", "body_part"},
    {"needs/body_part", "[\"\"]", "body_part"},
    {"needs/coverage_min", "100", "coverage_min"},
    {"before/0/op", "\"sharpen\"", "sharpen"},
    {"before/0/op", "\"threshold\"", "threshold"},
    {"before/0/coarsest_mm", "[1, 1]", "coarsest_mm"},
    {"before/0/coarsest_mm", "[0, 1, 1]", "coarsest_mm"},
    {"before/1/bone_hu", "\"200\"", "bone_hu"},
    {"before/1/bone_hu", "4000", "bone_hu"},
    {"before/1/margin_mm", NULL, "margin_mm"},
    {"before/1/more", "1", "mask_brain"},
    {"before/0", "{\"op\":\"subtract_median\"}", "subtract_median"}, // stands before mask_brain
    {"before/3", NULL, "subtract_median"},
    {"before", "{}", "before"},
    {"after/0/values", "\"nothing\"", "values"},
    {"after/3/most", "65", "most"},
    {"after/4", NULL, "side"},
    {"finding/concept", NULL, "value"},
    {"finding/concept/value", "\"12345678901234567\"", "concept"},
    {"finding/urgency", "\"immediately\"", "urgency"},
    {"finding/urgency", "\"soon\"", "soon"},
    {"rule", "7", "rule"},
    {"rule/name", "\"../../x\"", "../../x"},
    {"rule/name", NULL, "name"},
    {"rule/model", "\"other\"", "other"},
    {"rule/model", NULL, "model"},
};

static void unfit_manifests_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        assert_change_refused(changes[i].at, changes[i].to, changes[i].named);
}

static void manifests_that_are_no_json_are_refused(void **state)
{
    static const char *const texts[] = {"", "[]", "{\"format\":1,\"format\":2}", "{", "\xff"};
    char folder[SUPPORT_PATH];
    (void)state;
    copy_package(folder);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_member(folder, "manifest.json", texts[i], strlen(texts[i]));
        assert_refused(folder, "manifest");
    }
    char *deep = malloc(200001);
    memset(deep, '[', 200000);
    deep[200000] = '\0';
    write_member(folder, "manifest.json", deep, 200000);
    assert_refused(folder, "manifest");
    free(deep);
}

int test_package(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_package_opens),
        cmocka_unit_test(any_byte_flipped_in_any_file_is_found),
        cmocka_unit_test(missing_and_extra_files_are_refused),
        cmocka_unit_test(links_are_refused),
        cmocka_unit_test(names_that_lead_out_of_the_folder_are_refused),
        cmocka_unit_test(texts_that_are_not_one_plain_line_are_refused),
        cmocka_unit_test(members_that_mean_nothing_are_refused),
        cmocka_unit_test(texts_that_are_too_long_are_refused_with_their_length),
        cmocka_unit_test(a_later_version_is_told_from_an_earlier_one),
        cmocka_unit_test(versions_are_those_of_semantic_versioning),
        cmocka_unit_test(graphs_that_take_data_from_other_files_are_refused),
        cmocka_unit_test(what_is_no_onnx_is_refused),
        cmocka_unit_test(deeply_nested_graphs_are_refused),
        cmocka_unit_test(unfit_manifests_are_refused_by_name),
        cmocka_unit_test(manifests_that_are_no_json_are_refused),
    };
    return cmocka_run_group_tests_name("packages", tests, NULL, NULL);
}
