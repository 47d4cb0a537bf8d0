// What a child says is not believed: here one in its place that answers with what no pass through a package gives.
// "runner lie:NAME ..." makes this program that child.
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/process.h"
#include "base/text.h"
#include "model/internal.h"

// ---- the child

static void sound(struct model_result *result)
{
    result->count = 2;
    result->looked_at = 1000;
    for (uint16_t i = 0; i < 2; i++) {
        struct model_finding *f = &result->findings[i];
        *f = (struct model_finding){.label = (uint16_t)(i + 1), .volume_ml = 2, .score = .5};
        text_copy(f->side, sizeof f->side, "left");
        text_copy(f->urgency, sizeof f->urgency, "stat");
    }
}

static void same_label(struct model_answer *answer)
{
    answer->result.findings[1].label = 1;
}

static void label_past_the_count(struct model_answer *answer)
{
    answer->result.findings[1].label = 3;
}

static void count_past_the_list(struct model_answer *answer)
{
    answer->result.count = MODEL_FINDINGS_MAX + 1;
}

static void no_volume(struct model_answer *answer)
{
    answer->result.findings[0].volume_ml = NAN;
}

static void score_past_one(struct model_answer *answer)
{
    answer->result.findings[0].score = 1.5;
}

static void place_nowhere(struct model_answer *answer)
{
    answer->result.findings[0].centroid_mm[1] = INFINITY;
}

static void box_inside_out(struct model_answer *answer)
{
    answer->result.findings[0].low_mm[2] = 5;
}

static void mean_that_is_none(struct model_answer *answer)
{
    answer->result.findings[0].mean_hu = NAN;
}

static void side_that_is_none(struct model_answer *answer)
{
    text_copy(answer->result.findings[1].side, sizeof answer->result.findings[1].side, "both");
}

static void side_without_an_end(struct model_answer *answer)
{
    memset(answer->result.findings[1].side, 'l', sizeof answer->result.findings[1].side);
}

static void urgency_that_is_none(struct model_answer *answer)
{
    text_copy(answer->result.findings[1].urgency, sizeof answer->result.findings[1].urgency, "soon");
}

static void nothing_looked_at(struct model_answer *answer)
{
    answer->result.looked_at = 0;
}

static void negative_of_nothing(struct model_answer *answer)
{
    answer->result.looked_at = 0;
    answer->result.count = 0;
}

static void more_than_there_is(struct model_answer *answer)
{
    answer->result.looked_at = UINT64_MAX;
}

static void more_regions_than_voxels(struct model_answer *answer)
{
    answer->result.left_out = UINT64_MAX;
}

static void cut_by_no_number(struct model_answer *answer)
{
    answer->result.cut_mm2 = NAN;
}

static void found_and_not_analysed(struct model_answer *answer)
{
    text_copy(answer->result.not_analysed, sizeof answer->result.not_analysed, "no skull");
}

static void times_that_overflow(struct model_answer *answer)
{
    answer->result.times.graph_ns = INT64_MIN;
}

static void neither_yes_nor_no(struct model_answer *answer)
{
    memset(&answer->ok, 7, sizeof answer->ok);
}

static const struct lie {
    const char *name; // in the library's place: "lie:NAME"
    void (*tell)(struct model_answer *answer);
} lies[] = {
    {"same label", same_label},
    {"label past the count", label_past_the_count},
    {"count past the list", count_past_the_list},
    {"no volume", no_volume},
    {"score past one", score_past_one},
    {"place nowhere", place_nowhere},
    {"box inside out", box_inside_out},
    {"mean that is none", mean_that_is_none},
    {"side that is none", side_that_is_none},
    {"side without an end", side_without_an_end},
    {"urgency that is none", urgency_that_is_none},
    {"nothing looked at", nothing_looked_at},
    {"more regions than voxels", more_regions_than_voxels},
    {"cut by no number", cut_by_no_number},
    {"negative of nothing", negative_of_nothing},
    {"more than there is", more_than_there_is},
    {"found and not analysed", found_and_not_analysed},
    {"times that overflow", times_that_overflow},
    {"neither yes nor no", neither_yes_nor_no},
};

enum { LIES = sizeof lies / sizeof *lies };

static void answer_with(const char *name)
{
    struct process self = {.socket = PROCESS_SOCKET};
    struct model_request request;
    struct error err;
    size_t size, count = 2;
    int fds[2];
    while (process_receive(&self, 0, &request, sizeof request, &size, fds, &count, &err)) {
        struct model_answer answer = {.ok = true};
        close(fds[0]);
        close(fds[1]);
        if (request.kind == MODEL_RUN)
            sound(&answer.result);
        for (size_t i = 0; request.kind == MODEL_RUN && i < LIES; i++)
            if (strcmp(lies[i].name, name) == 0)
                lies[i].tell(&answer);
        (void)process_send(PROCESS_SOCKET, &answer, sizeof answer, NULL, 0, &err);
    }
}

bool lying_child(int argc, char **argv)
{
    static const char mark[] = "lie:";
    if (argc < 3 || strncmp(argv[2], mark, strlen(mark)) != 0)
        return false;
    answer_with(argv[2] + strlen(mark));
    return true;
}

// ---- the tests

static bool run_with(const char *lie, struct model_result *result, struct error *err)
{
    char library[64];
    snprintf(library, sizeof library, "lie:%s", lie);
    const struct model_runner_options options = {
        .onnxruntime = library, .memory_max = (size_t)1 << 30, .timeout_ns = 10 * CLOCK_SECOND, .threads = 1};
    struct model_runner *runner = model_runner_open(&options, err);
    struct model_package *package = runner ? model_package_open(REAL_PACKAGE, err) : NULL;
    bool ok = package && model_run(runner, package, &the_head()->geometry, the_head()->volume_fd, result, err);
    model_runner_close(runner);
    model_package_close(package);
    return ok;
}

static void an_answer_that_makes_sense_is_taken(void **state)
{
    (void)state;
    struct model_result result;
    struct error err;
    assert_ok(run_with("none", &result, &err), err);
    assert_int_equal(result.count, 2);
    assert_true(result.labels_fd >= 0);
    close(result.labels_fd);
}

static void answers_that_make_no_sense_fail_the_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIES; i++) {
        struct model_result result = {.labels_fd = -1};
        struct error err = {0};
        if (run_with(lies[i].name, &result, &err))
            fail_msg("believed: %s", lies[i].name);
        if (err.code != ERROR_BAD_DATA || !strstr(err.message, "makes no sense"))
            fail_msg("%s: %s", lies[i].name, err.message);
    }
}

int test_answers(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_makes_sense_is_taken),
        cmocka_unit_test(answers_that_make_no_sense_fail_the_run),
    };
    return cmocka_run_group_tests_name("answers", tests, NULL, NULL);
}
