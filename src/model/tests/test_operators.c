// Operators on a small volume: what is no number is found after each of them, and that nothing was looked at.
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/internal.h"

enum { SIDE = 12, VOXELS = SIDE * SIDE * SIDE };

// A cube of which all but the outermost voxels is brain, with a graph that gave `score`.
static struct pass *cube(json_t **manifest, const char *after)
{
    static const struct image_geometry geometry = {.slices = SIDE,
                                                   .rows = SIDE,
                                                   .columns = SIDE,
                                                   .spacing_mm = {1, 1, 1},
                                                   .row_direction = {1, 0, 0},
                                                   .column_direction = {0, 1, 0},
                                                   .normal = {0, 0, 1}};
    struct pass *pass = calloc(1, sizeof *pass);
    *manifest = json_pack("{s:[o]}", "after", json_loads(after, 0, NULL));
    assert_non_null(*manifest);
    pass->manifest = *manifest;
    pass->whole = pass->geometry = geometry;
    pass->part = (struct image_part){.factor = {2, 1, 3}};
    pass->hu = calloc(VOXELS, sizeof *pass->hu);
    pass->brain = calloc(VOXELS, 1);
    pass->values[0] = (struct pass_value){"score", calloc(VOXELS, sizeof(float))};
    pass->value_count = 1;
    for (size_t i = 0; i < VOXELS; i++) {
        size_t k = i / SIDE / SIDE, j = i / SIDE % SIDE, c = i % SIDE;
        pass->brain[i] = k % (SIDE - 1) && j % (SIDE - 1) && c % (SIDE - 1);
    }
    return pass;
}

static void end_cube(struct pass *pass, json_t *manifest)
{
    free(pass->values[0].data);
    pass_free(pass);
    free(pass);
    json_decref(manifest);
}

static void expect_conflict(bool ok, const struct error *err, const char *words)
{
    assert_false(ok);
    assert_int_equal(err->code, ERROR_CONFLICT);
    if (!strstr(err->message, words))
        fail_msg("'%s' does not say '%s'", err->message, words);
}

static void outputs_are_counted_where_they_are_looked_at(void **state)
{
    json_t *manifest;
    struct error err = {0};
    struct pass *pass = cube(&manifest, "{}");
    size_t middle = (SIDE / 2 * SIDE + SIDE / 2) * SIDE + SIDE / 2;
    (void)state;
    pass->values[0].data[0] = NAN; // a corner
    assert_ok(operators_check_values(pass, &err), err);
    pass->values[0].data[middle] = NAN;
    pass->values[0].data[middle + 1] = -INFINITY;
    expect_conflict(operators_check_values(pass, &err), &err, "2 of 1000 values of output 'score' are not finite");
    end_cube(pass, manifest);
}

static void what_the_mask_admits_is_counted_in_voxels_of_the_whole(void **state)
{
    json_t *manifest;
    struct error err = {0};
    struct pass *pass = cube(&manifest, "{\"op\":\"threshold\",\"values\":\"score\",\"low\":1,\"mask_margin_mm\":1}");
    (void)state;
    assert_ok(operators_run(pass, "after", &err), err);
    assert_int_equal(pass->looked_at, 8 * 8 * 8 * 6);
    end_cube(pass, manifest);
}

static void a_mask_that_admits_nothing_is_not_analysed(void **state)
{
    json_t *manifest;
    struct error err = {0};
    struct pass *pass = cube(&manifest, "{\"op\":\"threshold\",\"values\":\"score\",\"low\":1,\"mask_margin_mm\":9}");
    (void)state;
    expect_conflict(operators_run(pass, "after", &err), &err, "nothing was looked at");
    end_cube(pass, manifest);
}

// Were the graph's outputs not looked at, each operator would still see what it made.
static void measures_and_sides_that_are_no_numbers_are_found_after_their_operator(void **state)
{
    json_t *manifest;
    struct error err = {0};
    struct pass *pass = cube(&manifest, "{\"op\":\"components\",\"minimum_ml\":0,\"most\":4,\"score\":\"score\"}");
    (void)state;
    pass->mask = calloc(VOXELS, 1);
    memcpy(pass->mask, pass->brain, VOXELS);
    pass->values[0].data[(SIDE + 1) * SIDE + 1] = NAN; // outside
    pass->values[0].data[((SIDE + 1) * SIDE + 1) + 1] = INFINITY;
    expect_conflict(operators_run(pass, "after", &err), &err,
                    "after operator components: 1 of 1 values of the scores are not finite");
    end_cube(pass, manifest);

    pass = cube(&manifest, "{\"op\":\"side\",\"midline_mm\":5}");
    for (int axis = 0; axis < 3; axis++)
        pass->geometry.spacing_mm[axis] = 10; // large enough to have halves
    pass->count = 1;
    pass->components[0].centroid_mm[0] = NAN;
    expect_conflict(operators_run(pass, "after", &err), &err,
                    "after operator side: 1 of 1 values of the sides are not finite");
    end_cube(pass, manifest);
}

static void a_brain_that_is_cut_has_no_sides(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        json_t *manifest;
        struct error err = {0};
        struct pass *pass = cube(&manifest, "{\"op\":\"side\",\"midline_mm\":5}");
        for (int axis = 0; axis < 3; axis++)
            pass->geometry.spacing_mm[axis] = 10; // large enough to have halves
        pass->count = 1;
        pass->components[0].centroid_mm[0] = 90; // of 110
        pass->cut_mm2 = mask_tolerances.cut_mm2 + cut;
        assert_ok(operators_run(pass, "after", &err), err);
        assert_int_equal(pass->has_sides, !cut);
        assert_true(cut ? pass->left_mm[0] == 0 : pass->left_mm[0] > 30);
        end_cube(pass, manifest);
    }
}

// What is found in it is put where it is in the whole.
static void a_crop_knows_where_it_lies(void **state)
{
    json_t *manifest;
    struct error err = {0};
    struct pass *pass = cube(&manifest, "{\"op\":\"crop\",\"margin_mm\":0}");
    (void)state;
    pass->part.low[0] = 5; // of an earlier crop
    assert_ok(operators_run(pass, "after", &err), err);
    assert_int_equal(pass->geometry.slices, SIDE - 2);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pass->part.low[i], i == 0 ? 6 : 1);
    end_cube(pass, manifest);
}

int test_operators(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_are_counted_where_they_are_looked_at),
        cmocka_unit_test(what_the_mask_admits_is_counted_in_voxels_of_the_whole),
        cmocka_unit_test(a_mask_that_admits_nothing_is_not_analysed),
        cmocka_unit_test(measures_and_sides_that_are_no_numbers_are_found_after_their_operator),
        cmocka_unit_test(a_brain_that_is_cut_has_no_sides),
        cmocka_unit_test(a_crop_knows_where_it_lies),
    };
    return cmocka_run_group_tests_name("operators", tests, NULL, NULL);
}
