// Masks: distances, components, regions, the inside of the skull. scipy is the oracle; for the brain, the way
// tools/head-ct finds it.
#include "head.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/mask.h"

int test_mask(void);

static struct image_geometry axial(size_t slices, size_t rows, size_t columns, double between, double spacing)
{
    return (struct image_geometry){.slices = slices,
                                   .rows = rows,
                                   .columns = columns,
                                   .spacing_mm = {between, spacing, spacing},
                                   .row_direction = {1, 0, 0},
                                   .column_direction = {0, 1, 0},
                                   .normal = {0, 0, 1}};
}

static double mm_between(const struct image_geometry *g, size_t at, const double place[3])
{
    const double voxel[3] = {(double)(at / (g->rows * g->columns)), (double)(at / g->columns % g->rows),
                             (double)(at % g->columns)};
    double p[3], sum = 0;
    image_to_patient(g, voxel, p);
    for (int axis = 0; axis < 3; axis++)
        sum += (p[axis] - place[axis]) * (p[axis] - place[axis]);
    return sqrt(sum);
}

// Noise in lumps, always the same: a share of about `density` of the voxels.
static uint8_t *random_mask(const struct image_geometry *g, double density)
{
    size_t voxels = image_voxels(g);
    uint8_t *mask = malloc(voxels);
    uint32_t seed = 12345;
    assert_non_null(mask);
    for (size_t at = 0; at < voxels; at++) {
        seed = seed * 1664525 + 1013904223;
        mask[at] = (seed >> 8) / 16777216.0 < density;
        if (at % 3 && (seed >> 4 & 1))
            mask[at] = mask[at - 1];
    }
    return mask;
}

// oracle.py COMMAND MASK shape [spacing] OUT; OUT has `size` bytes.
static void *ask_about(const char *command, const uint8_t *mask, const struct image_geometry *g, bool with_spacing,
                       size_t size)
{
    char numbers[6][32], in[320], out[320];
    snprintf(in, sizeof in, "%s", temporary("mask.raw"));
    snprintf(out, sizeof out, "%s", temporary("answer.raw"));
    save_file(in, mask, image_voxels(g));
    const size_t shape[3] = {g->slices, g->rows, g->columns};
    for (int i = 0; i < 3; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%zu", shape[i]);
        snprintf(numbers[3 + i], sizeof numbers[i], "%.17g", g->spacing_mm[i]);
    }
    const char *arguments[] = {command, in, numbers[0], numbers[1], numbers[2], out, NULL, NULL, NULL, NULL};
    for (int i = 0; with_spacing && i < 3; i++) {
        arguments[5 + i] = numbers[3 + i];
        arguments[6 + i] = out;
    }
    ask_oracle(arguments);
    return read_raw(out, size);
}

// ---- distances

static void distances_are_scipys_up_to_the_limit(void **state)
{
    (void)state;
    const struct image_geometry shapes[] = {axial(17, 31, 23, 2.5, .7), axial(40, 9, 33, .4, 1.1),
                                            axial(1, 20, 50, 3, .5)};
    for (size_t n = 0; n < 3; n++)
        for (int sparse = 0; sparse < 2; sparse++) {
            const struct image_geometry *g = &shapes[n];
            size_t voxels = image_voxels(g);
            uint8_t *mask = random_mask(g, sparse ? .998 : .7);
            float *want = ask_about("distance", mask, g, true, voxels * sizeof *want);
            float *got = malloc(voxels * sizeof *got);
            struct error err;
            assert_true(mask_distance(mask, g, 1000, got, &err));
            for (size_t at = 0; at < voxels; at++)
                assert_near(got[at], want[at], 1e-4);
            assert_true(mask_distance(mask, g, 2.2, got, &err));
            for (size_t at = 0; at < voxels; at++)
                assert_near(got[at], fminf(want[at], 2.2f), 1e-4);
            free(mask);
            free(want);
            free(got);
        }
}

static void erosion_and_dilation_are_those_distances_cut(void **state)
{
    (void)state;
    const struct image_geometry g = axial(17, 31, 23, 2.5, .7);
    size_t voxels = image_voxels(&g);
    struct error err;
    uint8_t *mask = random_mask(&g, .998), *out = malloc(voxels), *inverse = malloc(voxels);
    float *want = ask_about("distance", mask, &g, true, voxels * sizeof *want);
    assert_true(mask_erode(mask, &g, 2.1, out, &err)); // three columns: their distance is 2.1 but for rounding
    for (size_t at = 0; at < voxels; at++) {
        assert_int_equal(out[at], want[at] > 2.1001f);
        inverse[at] = !mask[at];
    }
    assert_true(mask_dilate(inverse, &g, 2.1, inverse, &err)); // in place
    for (size_t at = 0; at < voxels; at++)
        assert_int_equal(inverse[at], !out[at]);
    free(mask);
    free(out);
    free(inverse);
    free(want);
}

// ---- components

static void components_are_scipys_largest_first(void **state)
{
    (void)state;
    const struct image_geometry g = axial(15, 26, 37, 2, 1.5);
    enum { MOST = 4096 };
    size_t voxels = image_voxels(&g), count, left_out;
    struct error err;
    struct mask_component *found = calloc(MOST, sizeof *found);
    uint16_t *labels = malloc(voxels * sizeof *labels);
    float *values = malloc(voxels * sizeof *values);
    uint8_t *mask = random_mask(&g, .09);
    int32_t *want = ask_about("components", mask, &g, false, voxels * sizeof *want);
    for (size_t at = 0; at < voxels; at++)
        values[at] = (float)(at % 1000);
    assert_true(mask_components(mask, values, &g, 0, MOST, labels, found, &count, &left_out, &err));
    int32_t most = 0;
    size_t *counts = calloc(voxels + 1, sizeof *counts), *theirs = calloc(count + 1, sizeof *theirs);
    double *sums = calloc(voxels + 1, sizeof *sums);
    for (size_t at = 0; at < voxels; at++) {
        most = want[at] > most ? want[at] : most;
        counts[want[at]]++;
        sums[want[at]] += (double)values[at];
        assert_int_equal(labels[at] != 0, want[at] != 0);
        if (labels[at] && !theirs[labels[at]])
            theirs[labels[at]] = (size_t)want[at];
        if (labels[at])
            assert_int_equal(theirs[labels[at]], want[at]); // ours is in one of theirs
    }
    assert_int_equal(count, most); // and there are as many: the same partition
    assert_true(count > 50);
    for (size_t n = 0; n < count; n++) {
        assert_int_equal(found[n].label, n + 1);
        assert_int_equal(found[n].voxels, counts[theirs[n + 1]]);
        assert_true(n == 0 || found[n].voxels <= found[n - 1].voxels);
        assert_near(found[n].mean, sums[theirs[n + 1]] / (double)found[n].voxels, 1e-3);
    }
    free(found);
    free(labels);
    free(values);
    free(mask);
    free(want);
    free(counts);
    free(theirs);
    free(sums);
}

static void small_components_and_those_past_the_most_are_left_out(void **state)
{
    (void)state;
    const struct image_geometry g = axial(3, 10, 20, 10, 10); // 1 mL a voxel
    uint8_t mask[600] = {0};
    float values[600];
    uint16_t labels[600];
    struct mask_component found[2];
    size_t count, left_out;
    struct error err;
    for (size_t at = 0; at < 600; at++)
        values[at] = (float)at;
    mask[0] = 1;                      // 1 mL
    mask[5] = mask[6] = mask[27] = 1; // 3 mL: diagonal belongs to it
    mask[212] = mask[213] = 1;        // 2 mL
    mask[590] = mask[591] = 1;        // 2 mL
    assert_true(mask_components(mask, values, &g, 2, 2, labels, found, &count, &left_out, &err));
    assert_int_equal(count, 2);
    assert_int_equal(left_out, 1); // of those that are large enough
    assert_int_equal(labels[0], 0);
    assert_int_equal(labels[27], 1);
    assert_int_equal(labels[213], 2); // of two equal ones the first
    assert_int_equal(labels[590], 0);
    assert_near(found[0].volume_ml, 3, 1e-9);
    assert_near(found[0].peak, 27, 0);
    assert_near(found[0].mean, 38 / 3.0, 1e-5);
    assert_near(found[0].centroid_mm[0], 10 * (5 + 6 + 7) / 3.0, 1e-9);
    assert_near(found[0].centroid_mm[1], 10 / 3.0, 1e-9);
    assert_int_equal(found[1].box.low[0], 1);
    assert_int_equal(found[1].box.high[2], 14);
    double means[2];
    assert_true(mask_means(labels, values, 600, 2, means, &err));
    assert_near(means[1], 212.5, 1e-9);
}

// ---- regions

static void a_region_has_its_own_volume_however_high_it_stands(void **state)
{
    (void)state;
    const struct image_geometry g = axial(40, 60, 60, 1.5, 1);
    const double middle[3] = {30, 30, 30};
    size_t voxels = image_voxels(&g);
    uint8_t *core = malloc(voxels), *allowed = malloc(voxels), *out = malloc(voxels);
    float *values = malloc(voxels * sizeof *values);
    size_t left_out;
    struct error err;
    const struct mask_grow_options options = {.reach_mm = 8, .shell_mm = 6, .fraction = .5, .open_mm = 3};
    for (int height = 15; height <= 45; height += 15) {
        double want = 0, got = 0;
        for (size_t at = 0; at < voxels; at++) {
            double r = mm_between(&g, at, middle);
            const double bridge[3] = {(double)(at % 60), 30, 30}; // a thin, high vessel through it
            bool vessel = mm_between(&g, at, bridge) < 2;
            // A ball of 10 mm on a ground of 4, its edge blurred over 4 mm.
            double share = fmax(0, fmin(1, (12 - r) / 4));
            values[at] = (float)(4 + (height - 4) * (vessel ? 1 : share));
            core[at] = r < 5;
            allowed[at] = 1;
            want += r < 10;
        }
        assert_true(mask_grow(core, values, allowed, &g, &options, out, &left_out, &err));
        for (size_t at = 0; at < voxels; at++)
            got += out[at];
        assert_near(got / want, 1, .06);
    }
    for (size_t at = 0; at < voxels; at++)
        allowed[at] = at % 60 < 30;
    assert_true(mask_grow(core, values, allowed, &g, &options, out, &left_out, &err));
    for (size_t at = 0; at < voxels; at++)
        assert_true(!out[at] || allowed[at]);
    free(core);
    free(allowed);
    free(out);
    free(values);
}

static void what_does_not_hang_together_with_its_core_is_left_out(void **state)
{
    (void)state;
    const struct image_geometry g = axial(40, 60, 60, 1.5, 1);
    const double middle[3] = {20, 30, 30}, neighbour[3] = {42, 30, 30};
    size_t voxels = image_voxels(&g);
    uint8_t *core = malloc(voxels), *allowed = malloc(voxels), *out = malloc(voxels);
    float *values = malloc(voxels * sizeof *values);
    size_t left_out;
    struct error err;
    double bridged = 0, got = 0;
    for (size_t at = 0; at < voxels; at++) {
        const double bridge[3] = {(double)(at % 60), 30, 30};
        double r = mm_between(&g, at, middle), other = mm_between(&g, at, neighbour);
        core[at] = r < 5;
        allowed[at] = 1;
        values[at] = r < 10 || other < 8 || (mm_between(&g, at, bridge) < 2.5 && at % 60 < 42) ? 30 : 0;
        bridged += r < 10;
    }
    const struct mask_grow_options options = {.reach_mm = 25, .shell_mm = 6, .fraction = .5, .open_mm = 3};
    assert_true(mask_grow(core, values, allowed, &g, &options, out, &left_out, &err));
    for (size_t at = 0; at < voxels; at++) {
        got += out[at];
        assert_false(out[at] && mm_between(&g, at, neighbour) < 8);
    }
    assert_near(got / bridged, 1, .05);
    free(core);
    free(allowed);
    free(out);
    free(values);
}

static void no_core_grows_to_nothing(void **state)
{
    (void)state;
    const struct image_geometry g = axial(3, 4, 5, 1, 1);
    uint8_t core[60] = {0}, out[60];
    float values[60] = {0};
    size_t left_out;
    struct error err;
    memset(out, 1, sizeof out);
    assert_true(mask_grow(core, values, core, &g, &(struct mask_grow_options){8, 6, .4, 3}, out, &left_out, &err));
    assert_memory_equal(out, core, sizeof out);
    assert_int_equal(left_out, 0);
}

// Cores of one voxel 4 mm from each other.
static void cores_past_the_limit_are_counted(void **state)
{
    (void)state;
    const struct image_geometry g = axial(1, 40, 40, 1, 1);
    uint8_t core[1600] = {0}, allowed[1600], out[1600];
    float values[1600] = {0};
    size_t left_out, cores = 0;
    struct error err;
    memset(allowed, 1, sizeof allowed);
    for (size_t at = 0; at < 1600; at++)
        if (at % 4 == 0 && at / 40 % 4 == 0 && cores < MASK_CORES_MAX + 3) {
            core[at] = 1;
            values[at] = 30;
            cores++;
        }
    assert_true(mask_grow(core, values, allowed, &g, &(struct mask_grow_options){2, 2, .4, 0}, out, &left_out, &err));
    assert_int_equal(left_out, 3);
    for (size_t at = 0; at < 1600; at++)
        core[at] = core[at] && cores-- > 3;
    assert_true(mask_grow(core, values, allowed, &g, &(struct mask_grow_options){2, 2, .4, 0}, out, &left_out, &err));
    assert_int_equal(left_out, 0);
}

// ---- box, midplane, threshold

static void the_box_is_widened_within_the_volume(void **state)
{
    (void)state;
    const struct image_geometry g = axial(5, 6, 7, 2, 1);
    uint8_t mask[5 * 6 * 7] = {0};
    struct image_box box;
    assert_false(mask_box(mask, &g, 0, &box));
    mask[(1 * 6 + 2) * 7 + 3] = mask[(2 * 6 + 5) * 7 + 1] = 1;
    assert_true(mask_box(mask, &g, 0, &box));
    assert_memory_equal(&box, (&(struct image_box){{1, 2, 1}, {3, 6, 4}}), sizeof box);
    assert_true(mask_box(mask, &g, 2.5, &box));
    assert_memory_equal(&box, (&(struct image_box){{0, 0, 0}, {5, 6, 7}}), sizeof box);
    assert_true(mask_box(mask, &g, 1, &box));
    assert_memory_equal(&box, (&(struct image_box){{0, 1, 0}, {4, 6, 5}}), sizeof box);
}

static void the_midplane_of_a_turned_ellipsoid_is_its_own(void **state)
{
    (void)state;
    // Coronal slices from front to back, columns from left to right: no axis is the patient's.
    struct image_geometry g = {.slices = 70,
                               .rows = 60,
                               .columns = 66,
                               .spacing_mm = {3, 3, 3},
                               .origin_mm = {120, -100, 80},
                               .row_direction = {-1, 0, 0},
                               .column_direction = {0, 0, -1},
                               .normal = {0, 1, 0}};
    size_t voxels = image_voxels(&g);
    uint8_t *mask = malloc(voxels);
    const double middle[3] = {17, 5, -4}, turn = .35; // radians about z, nearly a round head
    for (size_t at = 0; at < voxels; at++) {
        const double voxel[3] = {(double)(at / (60 * 66)), (double)(at / 66 % 60), (double)(at % 66)};
        double p[3];
        image_to_patient(&g, voxel, p);
        double x = p[0] - middle[0], y = p[1] - middle[1], z = p[2] - middle[2];
        double across = x * cos(turn) - y * sin(turn), along = x * sin(turn) + y * cos(turn);
        mask[at] = across * across / (65 * 65) + along * along / (85 * 85) + z * z / (60 * 60) < 1;
    }
    struct mask_midplane plane;
    struct error err;
    assert_true(mask_midplane_of(mask, &g, &plane, &err));
    for (int along = -80; along <= 80; along += 80)
        for (int across = -40; across <= 40; across += 40) {
            const double place[3] = {middle[0] + across * cos(turn) + along * sin(turn),
                                     middle[1] - across * sin(turn) + along * cos(turn), middle[2]};
            assert_near(mask_left_mm(&plane, place), across, 3);
        }
    memset(mask, 0, voxels);
    assert_false(mask_midplane_of(mask, &g, &plane, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    mask[77] = 1;
    assert_false(mask_midplane_of(mask, &g, &plane, &err));
    assert_int_equal(err.code, ERROR_CONFLICT);
    free(mask);
}

static void a_threshold_takes_its_own_value_in(void **state)
{
    (void)state;
    const float values[4] = {.49f, .5f, .9f, NAN};
    uint8_t mask[4] = {1, 1, 0, 1};
    mask_threshold(values, mask, 4, .5f, mask);
    assert_memory_equal(mask, ((const uint8_t[]){0, 1, 0, 0}), 4);
    mask_threshold(values, NULL, 4, .5f, mask);
    assert_memory_equal(mask, ((const uint8_t[]){0, 1, 1, 0}), 4);
}

// ---- the inside of the skull

static const struct mask_brain_options brain_options = {.bone_hu = 200, .margin_mm = 1, .enclosure = .75, .core_mm = 6};

// Dice's coefficient of two masks.
static double overlap(const uint8_t *a, const uint8_t *b, size_t voxels)
{
    double both = 0, sum = 0;
    for (size_t at = 0; at < voxels; at++) {
        both += a[at] & b[at];
        sum += a[at] + b[at];
    }
    return 2 * both / sum;
}

static void the_brain_is_found_as_another_method_finds_it(void **state)
{
    (void)state;
    struct head head;
    struct error err;
    char path[320];
    float median;
    head_read(head_ct(false), &head);
    size_t voxels = image_voxels(&head.geometry);
    uint8_t *mask = malloc(voxels);
    snprintf(path, sizeof path, "%s", temporary("brain.raw"));
    ask_oracle((const char *const[]){"brain", path, NULL});
    uint8_t *want = read_raw(path, voxels);
    if (!mask_brain(head.hu, &head.geometry, &brain_options, mask, &median, &err))
        fail_msg("%s", err.message);
    assert_true(overlap(mask, want, voxels) > .95);
    assert_near(median, 23, 0);
    free(mask);
    free(want);
    head_free(&head);
}

// Axes of the volume exchanged, with the spacings: `axes` says which old axis each new one is. The directions do not
// matter to the brain.
static void turn(const struct head *head, const uint8_t *mask, const int axes[3], struct head *out, uint8_t *out_mask)
{
    const size_t size[3] = {head->geometry.slices, head->geometry.rows, head->geometry.columns};
    const size_t stride[3] = {size[1] * size[2], size[2], 1};
    out->geometry = head->geometry;
    out->geometry.slices = size[axes[0]];
    out->geometry.rows = size[axes[1]];
    out->geometry.columns = size[axes[2]];
    for (int axis = 0; axis < 3; axis++)
        out->geometry.spacing_mm[axis] = head->geometry.spacing_mm[axes[axis]];
    out->hu = malloc(image_voxels(&head->geometry) * sizeof *out->hu);
    assert_non_null(out->hu);
    size_t at = 0;
    for (size_t k = 0; k < size[axes[0]]; k++)
        for (size_t j = 0; j < size[axes[1]]; j++)
            for (size_t i = 0; i < size[axes[2]]; i++, at++) {
                size_t from = k * stride[axes[0]] + j * stride[axes[1]] + i * stride[axes[2]];
                out->hu[at] = head->hu[from];
                out_mask[at] = mask[from];
            }
}

static void the_brain_is_found_in_any_orientation_and_in_heads_cut_off(void **state)
{
    (void)state;
    struct head head, turned;
    struct error err;
    float median;
    head_read(head_ct(true), &head);
    size_t voxels = image_voxels(&head.geometry), area = head.geometry.rows * head.geometry.columns;
    uint8_t *mask = malloc(voxels), *want = malloc(voxels), *got = malloc(voxels);
    assert_true(mask_brain(head.hu, &head.geometry, &brain_options, mask, &median, &err));
    static const int orders[][3] = {{2, 0, 1}, {1, 0, 2}};
    for (size_t n = 0; n < 2; n++) {
        turn(&head, mask, orders[n], &turned, want);
        if (!mask_brain(turned.hu, &turned.geometry, &brain_options, got, &median, &err))
            fail_msg("%s", err.message);
        assert_true(overlap(want, got, voxels) > .98);
        head_free(&turned);
    }
    // The first slices are the top of the head: without 30 of them, and without the 40 lowest.
    struct image_geometry cut = head.geometry;
    cut.slices = 78;
    assert_true(mask_brain(head.hu + 30 * area, &cut, &brain_options, got, &median, &err));
    assert_true(overlap(mask + 30 * area, got, 78 * area) > .96);
    cut.slices = 68;
    assert_true(mask_brain(head.hu, &cut, &brain_options, got, &median, &err));
    assert_true(overlap(mask, got, 68 * area) > .97);
    free(mask);
    free(want);
    free(got);
    head_free(&head);
}

static void what_has_no_skull_has_no_brain(void **state)
{
    (void)state;
    const struct image_geometry g = axial(40, 64, 64, 3, 3);
    const double middle[3] = {96, 96, 60};
    size_t voxels = image_voxels(&g);
    int16_t *hu = malloc(voxels * sizeof *hu);
    uint8_t *mask = malloc(voxels);
    float median;
    struct error err;
    for (int kind = 0; kind < 4; kind++) {
        for (size_t at = 0; at < voxels; at++) {
            double r = mm_between(&g, at, middle);
            // Air; a ball of water; solid bone; bone around air.
            static const int16_t outside = -1000;
            hu[at] = kind == 0   ? outside
                     : kind == 1 ? (int16_t)(r < 60 ? 20 : outside)
                     : kind == 2 ? 1000
                                 : (int16_t)(r < 50 || r > 56 ? outside : 1000);
        }
        err = (struct error){0};
        assert_false(mask_brain(hu, &g, &brain_options, mask, &median, &err));
        assert_int_equal(err.code, ERROR_CONFLICT);
    }
    free(hu);
    free(mask);
}

static void a_dense_mass_inside_the_brain_stays_in_the_mask(void **state)
{
    (void)state;
    const struct image_geometry g = axial(70, 80, 80, 3, 3);
    const double middle[3] = {120, 120, 105}, mass[3] = {130, 110, 100};
    size_t voxels = image_voxels(&g), inside = 0, masses = 0;
    int16_t *hu = malloc(voxels * sizeof *hu);
    uint8_t *mask = malloc(voxels);
    float median;
    struct error err;
    for (size_t at = 0; at < voxels; at++) {
        double r = mm_between(&g, at, middle);
        hu[at] = r > 86 ? -1000 : r > 75 ? 1000 : mm_between(&g, at, mass) < 20 ? 150 : 33;
    }
    assert_true(mask_brain(hu, &g, &brain_options, mask, &median, &err));
    assert_near(median, 33, 0);
    for (size_t at = 0; at < voxels; at++) {
        double r = mm_between(&g, at, middle);
        inside += r < 70;
        masses += mm_between(&g, at, mass) < 20 && mask[at];
        assert_true(r > 70 || mask[at]);
        assert_true(r <= 75 || !mask[at]);
    }
    assert_true(masses > 0 && inside > 0);
    free(hu);
    free(mask);
}

// A head of 150 mm across, and of which only x below `limit` (in mm from its middle) was imaged: the picture ends
// there, or the rest is padding. How much of the brain is cut, and of what is beyond the cut how much is taken for
// brain.
static double cut_head(double limit, bool padded, size_t *beyond)
{
    struct image_geometry g = axial(70, 80, padded ? 80 : (size_t)((limit + 120) / 3), 3, 3);
    const double middle[3] = {120, 120, 105};
    size_t voxels = image_voxels(&g);
    int16_t *hu = malloc(voxels * sizeof *hu);
    uint8_t *mask = malloc(voxels);
    float median;
    struct error err;
    for (size_t at = 0; at < voxels; at++) {
        double r = mm_between(&g, at, middle), x = (double)(at % g.columns) * 3 - middle[0];
        hu[at] = padded && x > limit ? IMAGE_NO_DATA_HU : r > 86 ? -1000 : r > 75 ? 1000 : (int16_t)(30 + at % 7);
    }
    if (!mask_brain(hu, &g, &brain_options, mask, &median, &err))
        fail_msg("%s", err.message);
    *beyond = 0;
    for (size_t at = 0; at < voxels; at++)
        *beyond += mask[at] && hu[at] == IMAGE_NO_DATA_HU;
    double mm2 = mask_cut_mm2(mask, hu, &g);
    free(hu);
    free(mask);
    return mm2;
}

static void a_head_that_the_field_of_view_cuts_is_known_by_how_much(void **state)
{
    (void)state;
    size_t beyond;
    assert_near(cut_head(119, false, &beyond), 0, 0);
    assert_near(cut_head(119, true, &beyond), 0, 0);
    for (int padded = 0; padded < 2; padded++)
        for (double limit = -10; limit <= 60; limit += 10) {
            double mm2 = cut_head(limit, padded, &beyond), disc_mm2 = M_PI * (74 * 74 - limit * limit);
            assert_true(mm2 > .85 * disc_mm2 && mm2 < 1.3 * disc_mm2);
            assert_true(mm2 > mask_tolerances.cut_mm2);
            assert_int_equal(beyond, 0);
        }
}

static void the_ends_of_a_stack_cut_a_head_where_they_lie_at_its_sides(void **state)
{
    (void)state;
    struct image_geometry g = axial(4, 40, 40, 3, 3);
    size_t voxels = image_voxels(&g);
    int16_t *hu = calloc(voxels, sizeof *hu);
    uint8_t *mask = calloc(voxels, 1);
    for (size_t at = 0; at < voxels; at++)
        mask[at] = at / 40 % 40 > 5 && at / 40 % 40 < 34 && at % 40 > 5 && at % 40 < 34;
    assert_near(mask_cut_mm2(mask, hu, &g), 0, 0);
    g.normal[0] = 1;
    assert_near(mask_cut_mm2(mask, hu, &g), 2 * 28 * 28 * 9, 1e-6);
    g.normal[0] = -.4; // turned by less than 30 degrees
    assert_near(mask_cut_mm2(mask, hu, &g), 0, 0);
    free(hu);
    free(mask);
}

static void the_smallest_volumes_do_no_harm(void **state)
{
    (void)state;
    const struct image_geometry g = axial(1, 1, 1, 1, 1);
    const int16_t hu = 30;
    uint8_t mask = 1, labels_of = 1;
    uint16_t label;
    float median, value = 1, distance;
    size_t count, left_out;
    struct mask_component found;
    struct error err;
    assert_false(mask_brain(&hu, &g, &brain_options, &mask, &median, &err));
    assert_true(mask_components(&labels_of, &value, &g, 0, 1, &label, &found, &count, &left_out, &err));
    assert_int_equal(count, 1);
    assert_true(mask_distance(&labels_of, &g, 5, &distance, &err));
    assert_near(distance, 5, 0);
}

int test_mask(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_scipys_up_to_the_limit),
        cmocka_unit_test(erosion_and_dilation_are_those_distances_cut),
        cmocka_unit_test(components_are_scipys_largest_first),
        cmocka_unit_test(small_components_and_those_past_the_most_are_left_out),
        cmocka_unit_test(a_region_has_its_own_volume_however_high_it_stands),
        cmocka_unit_test(what_does_not_hang_together_with_its_core_is_left_out),
        cmocka_unit_test(no_core_grows_to_nothing),
        cmocka_unit_test(cores_past_the_limit_are_counted),
        cmocka_unit_test(the_box_is_widened_within_the_volume),
        cmocka_unit_test(the_midplane_of_a_turned_ellipsoid_is_its_own),
        cmocka_unit_test(a_threshold_takes_its_own_value_in),
        cmocka_unit_test(the_brain_is_found_as_another_method_finds_it),
        cmocka_unit_test(the_brain_is_found_in_any_orientation_and_in_heads_cut_off),
        cmocka_unit_test(what_has_no_skull_has_no_brain),
        cmocka_unit_test(a_dense_mass_inside_the_brain_stays_in_the_mask),
        cmocka_unit_test(a_head_that_the_field_of_view_cuts_is_known_by_how_much),
        cmocka_unit_test(the_ends_of_a_stack_cut_a_head_where_they_lie_at_its_sides),
        cmocka_unit_test(the_smallest_volumes_do_no_harm),
    };
    return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}
