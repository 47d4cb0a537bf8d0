// Runs in the child: one that goes well, and those that must cost that run only (docs/bad-input.md, 78).
#include "support.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"

#define GIB ((size_t)1 << 30)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { RUN_SECONDS = 20 }; // a sound run takes several times as long under them
#else
enum { RUN_SECONDS = 3 };
#endif

static struct model_runner *open_runner(size_t memory_max, int64_t timeout_ns)
{
    struct error err;
    struct model_runner_options options = {
        .onnxruntime = HILUM_ONNXRUNTIME, .memory_max = memory_max, .timeout_ns = timeout_ns, .threads = 2};
    struct model_runner *runner = model_runner_open(&options, &err);
    assert_ok(runner != NULL, err);
    return runner;
}

static bool run(struct model_runner *runner, const struct model_package *package, struct model_result *out,
                struct error *err)
{
    return model_run(runner, package, &the_head()->geometry, the_head()->volume_fd, out, err);
}

static struct model_package *open_real(void)
{
    struct error err;
    struct model_package *package = model_package_open(REAL_PACKAGE, &err);
    assert_ok(package != NULL, err);
    return package;
}

static void assert_finds_the_bleed(struct model_runner *runner, const struct model_package *package)
{
    const struct head *head = the_head();
    struct model_result result;
    struct error err;
    assert_ok(run(runner, package, &result, &err), err);
    assert_string_equal(result.not_analysed, "");
    assert_int_equal(result.count, 1);
    assert_string_equal(result.findings[0].side, head->side);
    assert_true(fabs(result.findings[0].volume_ml / head->volume_ml - 1) < .25);
    assert_true(result.labels_fd >= 0);
    close(result.labels_fd);
}

// Fails, with this in the message.
static void assert_fails(struct model_runner *runner, const struct model_package *package, enum error_code code,
                         const char *named)
{
    struct model_result result;
    struct error err;
    assert_non_null(package);
    if (run(runner, package, &result, &err))
        fail_msg("a run went well that should fail with '%s'", named);
    if (err.code != code || !strstr(err.message, named))
        fail_msg("not %s with '%s': %s %s", error_name(code), named, error_name(err.code), err.message);
}

static void the_real_package_finds_the_bleed_cold_and_warm(void **state)
{
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    struct model_package *package = open_real();
    struct model_result result;
    struct error err;
    (void)state;
    assert_ok(model_warm(runner, package, &err), err);
    assert_finds_the_bleed(runner, package);
    assert_ok(run(runner, package, &result, &err), err);
    assert_true(result.times.start_ns < 10 * CLOCK_MS);
    assert_true(result.times.graph_ns > 0);
    uint64_t labelled = 0;
    size_t voxels = image_voxels(&the_head()->geometry);
    uint16_t *labels = malloc(voxels * sizeof *labels);
    assert_ok(file_pread(result.labels_fd, labels, voxels * sizeof *labels, 0, &err), err);
    for (size_t i = 0; i < voxels; i++)
        labelled += labels[i] != 0;
    double ml = (double)labelled * image_voxel_ml(&the_head()->geometry);
    assert_true(fabs(ml / result.findings[0].volume_ml - 1) < .01);
    free(labels);
    close(result.labels_fd);
    model_package_close(package);
    model_runner_close(runner);
}

static void graphs_that_onnx_runtime_refuses_fail_with_its_words(void **state)
{
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    struct model_package *unknown = package_with_graph("unknown-operator");
    struct model_package *small = package_with_graph("small-output"), *real = open_real();
    (void)state;
    assert_fails(runner, unknown, ERROR_BAD_DATA, "NoSuchOperator");
    assert_fails(runner, small, ERROR_BAD_DATA, "'score'");
    assert_finds_the_bleed(runner, real);
    model_package_close(unknown);
    model_package_close(small);
    model_package_close(real);
    model_runner_close(runner);
}

static void a_graph_of_other_names_than_the_manifest_s_does_not_load(void **state)
{
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    struct model_package *input = package_with_graph("other-input"), *output = package_with_graph("other-output");
    struct error err;
    (void)state;
    assert_false(model_warm(runner, input, &err));
    assert_non_null(strstr(err.message, "names 'hu', and the graph's inputs are 'hv', 'mask', 'spacing_mm'"));
    assert_false(model_warm(runner, output, &err));
    assert_non_null(strstr(err.message, "names 'excess', and the graph's outputs are 'score', 'more'"));
    model_package_close(input);
    model_package_close(output);
    model_runner_close(runner);
}

static void what_a_model_fails_of_is_told_until_a_run_does_not(void **state)
{
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    struct model_package *small = package_with_graph("small-output"), *real = open_real();
    struct model_failing failing[MODEL_FAILING_MAX];
    (void)state;
    assert_int_equal(model_runner_failing(runner, failing), 0);
    for (uint64_t i = 1; i <= 2; i++) {
        assert_fails(runner, small, ERROR_BAD_DATA, "'score'");
        assert_int_equal(model_runner_failing(runner, failing), 1);
        assert_int_equal(failing[0].count, i);
        assert_non_null(strstr(failing[0].reason, "'score'"));
    }
    assert_finds_the_bleed(runner, real); // of the same name
    assert_int_equal(model_runner_failing(runner, failing), 0);
    model_package_close(small);
    model_package_close(real);
    model_runner_close(runner);
}

static void a_run_past_its_time_is_ended_and_the_next_one_works(void **state)
{
    struct model_runner *runner = open_runner(2 * GIB, RUN_SECONDS * CLOCK_SECOND);
    struct model_package *endless = package_with_graph("endless"), *real = open_real();
    (void)state;
    int64_t began = clock_monotonic_ns();
    assert_fails(runner, endless, ERROR_TIMEOUT, "longer than it may");
    assert_true(clock_monotonic_ns() - began < (RUN_SECONDS + 5) * CLOCK_SECOND);
    assert_finds_the_bleed(runner, real);
    assert_int_equal(model_runner_deaths(runner), 1);
    model_package_close(endless);
    model_package_close(real);
    model_runner_close(runner);
}

static void a_child_that_eats_memory_is_ended_and_the_next_one_works(void **state)
{
    struct model_runner *runner = open_runner(GIB, 60 * CLOCK_SECOND);
    struct model_package *hungry = package_with_graph("hungry"), *real = open_real();
    struct model_result result;
    struct error err;
    (void)state;
    assert_false(run(runner, hungry, &result, &err)); // by malloc's refusal or by the watch, whichever is first
    assert_true(strstr(err.message, "memory") != NULL);
    assert_finds_the_bleed(runner, real);
    model_package_close(hungry);
    model_package_close(real);
    model_runner_close(runner);
}

static void a_child_with_too_little_memory_for_the_volume_says_so(void **state)
{
    struct model_runner *runner = open_runner((size_t)96 << 20, 60 * CLOCK_SECOND);
    struct model_package *real = open_real();
    struct model_result result;
    struct error err;
    (void)state;
    assert_false(run(runner, real, &result, &err));
    assert_true(strstr(err.message, "memory") != NULL);
    model_package_close(real);
    model_runner_close(runner);
}

// ---- killed children

// The pid of this program's only child, 0: none.
static pid_t find_child(void)
{
    char path[300];
    int found = 0;
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    assert_non_null(tasks);
    while (!found && (entry = readdir(tasks))) {
        snprintf(path, sizeof path, "/proc/self/task/%.20s/children", entry->d_name);
        FILE *children = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (children && fscanf(children, "%d", &found) != 1)
            found = 0;
        if (children)
            fclose(children);
    }
    closedir(tasks);
    return found;
}

static void *kill_soon(void *payload)
{
    (void)payload;
    pid_t child = 0;
    for (int i = 0; i < 500 && child == 0; i++) {
        clock_sleep_ns(10 * CLOCK_MS);
        child = find_child();
    }
    clock_sleep_ns(CLOCK_SECOND);
    if (child > 0)
        kill(child, SIGKILL);
    return NULL;
}

static void a_child_killed_in_a_run_costs_that_run_only(void **state)
{
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    struct model_package *endless = package_with_graph("endless"), *real = open_real();
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, kill_soon, NULL), 0);
    assert_fails(runner, endless, ERROR_BAD_DATA, "signal 9");
    pthread_join(thread, NULL);
    assert_finds_the_bleed(runner, real);
    model_package_close(endless);
    model_package_close(real);
    model_runner_close(runner);
}

static void a_child_killed_between_runs_costs_nothing(void **state)
{
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    struct model_package *real = open_real();
    struct error err;
    (void)state;
    assert_ok(model_warm(runner, real, &err), err);
    pid_t child = find_child();
    assert_true(child > 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    clock_sleep_ns(300 * CLOCK_MS);
    assert_finds_the_bleed(runner, real);
    model_package_close(real);
    model_runner_close(runner);
}

static void *interrupt_soon(void *payload)
{
    clock_sleep_ns(2 * CLOCK_SECOND);
    model_runner_interrupt(payload);
    return NULL;
}

static void the_end_of_the_program_waits_for_no_run(void **state)
{
    struct model_runner *runner = open_runner(2 * GIB, 3600 * CLOCK_SECOND);
    struct model_package *endless = package_with_graph("endless");
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, runner), 0);
    int64_t began = clock_monotonic_ns();
    assert_fails(runner, endless, ERROR_CANCELLED, "ends");
    assert_true(clock_monotonic_ns() - began < 5 * CLOCK_SECOND);
    pthread_join(thread, NULL);
    model_package_close(endless);
    model_runner_close(runner);
}

// ---- what is no number

static void expect_not_analysed(const char *graph, const char *first, const char *second)
{
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    struct model_package *package = package_with_graph(graph), *real = open_real();
    struct model_result result;
    struct error err;
    assert_non_null(package);
    assert_ok(run(runner, package, &result, &err), err);
    if (!strstr(result.not_analysed, first) || !strstr(result.not_analysed, second))
        fail_msg("%s: not analysed '%s', %zu findings", graph, result.not_analysed, result.count);
    assert_int_equal(result.count, 0);
    assert_int_equal(result.looked_at, 0);
    assert_int_equal(result.labels_fd, -1);
    assert_finds_the_bleed(runner, real);
    model_package_close(package);
    model_package_close(real);
    model_runner_close(runner);
}

static void outputs_that_are_no_numbers_are_not_analysed(void **state)
{
    (void)state;
    expect_not_analysed("nan", " values of output 'score' are not finite", " of ");
    expect_not_analysed("infinite", " values of output 'score' are not finite", " of ");
    expect_not_analysed("nan-in-excess", " values of output 'excess' are not finite", " of ");
}

static void a_negative_says_how_much_was_looked_at(void **state)
{
    static const char *const graphs[] = {"nothing", "nan-outside"}; // what is not looked at may be anything
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct model_package *package = package_with_graph(graphs[i]);
        struct model_result result;
        struct error err;
        assert_non_null(package);
        assert_ok(run(runner, package, &result, &err), err);
        assert_string_equal(result.not_analysed, "");
        assert_int_equal(result.count, 0);
        double ml = (double)result.looked_at * image_voxel_ml(&the_head()->geometry);
        assert_true(ml > 700 && ml < 1700); // a brain
        model_package_close(package);
    }
    model_runner_close(runner);
}

// ---- the seam

static void a_ninth_model_takes_the_place_of_an_idle_one(void **state)
{
    enum { MODELS = 10 };
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    struct model_package *packages[MODELS];
    struct error err;
    (void)state;
    for (int i = 0; i < MODELS; i++)
        packages[i] = open_real(); // a package of its own each, as far as the runner can tell
    for (int i = 0; i < MODELS; i++)
        assert_ok(model_warm(runner, packages[i], &err), err);
    assert_finds_the_bleed(runner, packages[0]);
    for (int i = 0; i < MODELS; i++)
        model_package_close(packages[i]);
    model_runner_close(runner);
}

static void volumes_must_be_sealed_and_of_the_size_of_their_geometry(void **state)
{
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    struct model_package *real = open_real();
    struct image_geometry geometry = the_head()->geometry;
    struct model_result result;
    struct error err;
    (void)state;
    int fd = process_memfd_open("open", image_voxels(&geometry) * sizeof(int16_t), &err);
    assert_true(fd >= 0);
    assert_false(model_run(runner, real, &geometry, fd, &result, &err));
    assert_non_null(strstr(err.message, "sealed"));
    close(fd);
    geometry.slices--;
    assert_false(model_run(runner, real, &geometry, the_head()->volume_fd, &result, &err));
    assert_non_null(strstr(err.message, "bytes"));
    model_package_close(real);
    model_runner_close(runner);
}

static void a_volume_without_a_head_is_not_analysed_and_no_failure(void **state)
{
    struct model_runner *runner = open_runner(2 * GIB, 60 * CLOCK_SECOND);
    struct model_package *real = open_real();
    struct image_geometry geometry = the_head()->geometry;
    struct model_result result;
    struct error err;
    (void)state;
    int fd = process_memfd("water", NULL, image_voxels(&geometry) * sizeof(int16_t), true, &err);
    assert_true(fd >= 0);
    assert_ok(model_run(runner, real, &geometry, fd, &result, &err), err);
    assert_string_not_equal(result.not_analysed, "");
    assert_int_equal(result.count, 0);
    assert_int_equal(result.labels_fd, -1);
    close(fd);
    model_package_close(real);
    model_runner_close(runner);
}

static void a_library_that_is_none_fails_each_run_with_a_reason(void **state)
{
    struct error err;
    struct model_runner_options options = {
        .onnxruntime = "/dev/null", .memory_max = GIB, .timeout_ns = CLOCK_SECOND, .threads = 1};
    struct model_runner *runner = model_runner_open(&options, &err);
    struct model_package *real = open_real();
    (void)state;
    assert_fails(runner, real, ERROR_BAD_DATA, "cannot start: ONNX Runtime cannot be loaded from /dev/null");
    model_package_close(real);
    model_runner_close(runner);
}

int test_runner(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_real_package_finds_the_bleed_cold_and_warm),
        cmocka_unit_test(graphs_that_onnx_runtime_refuses_fail_with_its_words),
        cmocka_unit_test(a_graph_of_other_names_than_the_manifest_s_does_not_load),
        cmocka_unit_test(what_a_model_fails_of_is_told_until_a_run_does_not),
        cmocka_unit_test(a_run_past_its_time_is_ended_and_the_next_one_works),
        cmocka_unit_test(a_child_that_eats_memory_is_ended_and_the_next_one_works),
        cmocka_unit_test(a_child_with_too_little_memory_for_the_volume_says_so),
        cmocka_unit_test(a_child_killed_in_a_run_costs_that_run_only),
        cmocka_unit_test(a_child_killed_between_runs_costs_nothing),
        cmocka_unit_test(outputs_that_are_no_numbers_are_not_analysed),
        cmocka_unit_test(a_negative_says_how_much_was_looked_at),
        cmocka_unit_test(the_end_of_the_program_waits_for_no_run),
        cmocka_unit_test(a_ninth_model_takes_the_place_of_an_idle_one),
        cmocka_unit_test(volumes_must_be_sealed_and_of_the_size_of_their_geometry),
        cmocka_unit_test(a_volume_without_a_head_is_not_analysed_and_no_failure),
        cmocka_unit_test(a_library_that_is_none_fails_each_run_with_a_reason),
    };
    return cmocka_run_group_tests_name("runs", tests, NULL, NULL);
}
