// The pool and its children: this program again, as main.c says.
#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "image/decoder.h"
#include "image/decoder_protocol.h"
#include "support.h"

#define RLE "1.2.840.10008.1.2.5"

enum { THREADS = 6, FRAMES_EACH = 20 };

struct job {
    struct image_decoder *decoder;
    struct picture picture;
    uint8_t *stream, *expected;
    size_t size;
};

static void open_job(struct job *job, const char *file)
{
    char path[256];
    struct error err;
    enum image_color color;
    snprintf(path, sizeof path, PYDICOM_FILES "%s", file);
    assert_true(picture_open(&job->picture, path, &err));
    job->stream = picture_stream(&job->picture, 0, &job->size, &err);
    job->expected = picture_frame(&job->picture, 0, &color, &err);
    assert_non_null(job->stream);
    assert_non_null(job->expected);
    job->decoder = image_decoder_open(false, &err);
    assert_non_null(job->decoder);
}

static void close_job(struct job *job)
{
    image_decoder_close(job->decoder);
    free(job->stream);
    free(job->expected);
    picture_close(&job->picture);
}

static bool decode(const struct job *job, const uint8_t *stream, size_t size, uint8_t *out, struct error *err)
{
    enum image_color color;
    return image_decoder_frame(job->decoder, job->picture.meta.transfer_syntax, &job->picture.format, stream, size, out,
                               &color, err);
}

static bool decodes_right(const struct job *job, struct error *err)
{
    uint8_t *out = malloc(job->picture.format.frame_bytes);
    bool ok = out && decode(job, job->stream, job->size, out, err);
    bool same = ok && memcmp(out, job->expected, job->picture.format.frame_bytes) == 0;
    free(out);
    return ok && (same || error_set(err, ERROR_INTERNAL, "other pixels"));
}

static void a_child_decodes_as_this_process_does(void **state)
{
    (void)state;
    static const char *const files[] = {"MR_small_RLE.dcm", "JPEG2000.dcm",         "SC_rgb_jpeg_dcmtk.dcm",
                                        "JPGExtended.dcm",  "SC_rgb_jpeg_gdcm.dcm", "MR_small_jpeg_ls_lossless.dcm"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct job job;
        struct error err = {0};
        open_job(&job, files[i]);
        if (!decodes_right(&job, &err))
            fail_msg("%s: %s", files[i], err.message);
        close_job(&job);
    }
}

static void a_broken_frame_is_refused_and_the_next_one_decoded(void **state)
{
    (void)state;
    struct job job;
    struct error err = {0};
    open_job(&job, "JPEG2000.dcm");
    uint8_t *out = malloc(job.picture.format.frame_bytes);
    assert_non_null(out);
    assert_false(decode(&job, job.stream, job.size / 2, out, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
    assert_false(image_decoder_frame(job.decoder, "1.2.840.10008.1.2.4.100", &job.picture.format, job.stream, job.size,
                                     out, &(enum image_color){0}, &err));
    assert_int_equal(err.code, ERROR_UNSUPPORTED);
    assert_false(decode(&job, job.stream, 0, out, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
    assert_true(decodes_right(&job, &err));
    free(out);
    close_job(&job);
}

static void a_frame_past_the_limit_is_refused_before_anything_line_45(void **state)
{
    (void)state;
    struct job job;
    struct error err = {0};
    open_job(&job, "MR_small_RLE.dcm");
    job.picture.format.frame_bytes = UINT64_C(5) << 30;
    assert_false(decode(&job, job.stream, job.size, job.expected, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    close_job(&job);
}

// The pool's only child. The kernel lists children by the thread that forked them.
static pid_t decoder_pid(void)
{
    glob_t lists;
    int pid = 0;
    assert_int_equal(glob("/proc/self/task/*/children", 0, NULL, &lists), 0);
    for (size_t i = 0; i < lists.gl_pathc && pid == 0; i++) {
        FILE *list = fopen(lists.gl_pathv[i], "re");
        if (list && fscanf(list, "%d", &pid) != 1)
            pid = 0;
        if (list)
            fclose(list);
    }
    globfree(&lists);
    return pid;
}

static void a_child_killed_between_two_frames_costs_none(void **state)
{
    (void)state;
    struct job job;
    struct error err = {0};
    open_job(&job, "MR_small_RLE.dcm");
    assert_true(decodes_right(&job, &err));
    pid_t pid = decoder_pid();
    assert_true(pid > 0);
    siginfo_t end;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &end, WEXITED | WNOWAIT), 0);
    assert_ok(decodes_right(&job, &err), err);
    assert_int_not_equal(decoder_pid(), pid);
    assert_int_equal(image_decoder_deaths(job.decoder), 1);
    close_job(&job);
}

// ---- children that were taken over

// What a test leaves in a file named after its process tells the child how to behave.
static void behaviour_path(char path[64], pid_t pid)
{
    snprintf(path, 64, "/tmp/hilum-test-decoder.%d", (int)pid);
}

static uint64_t asked; // the number of the child's request

static void answer(bool ok, unsigned color, char fill, size_t size)
{
    struct error err;
    struct {
        struct decode_answer answer;
        char more[16];
    } wrong = {0};
    memset(&wrong.answer.error, fill, sizeof wrong.answer.error);
    wrong.answer.number = asked;
    wrong.answer.ok = ok;
    memcpy(&wrong.answer.color, &color, sizeof color);
    (void)process_send(PROCESS_SOCKET, &wrong, size, NULL, 0, &err);
}

static void eat(void)
{
    for (;;) {
        char *more = malloc(8 << 20);
        if (!more)
            abort();
        memset(more, 1, 8 << 20);
    }
}

static void misbehave(const char *how)
{
    const size_t whole = sizeof(struct decode_answer);
    if (strcmp(how, "lie-color") == 0)
        answer(true, 99, 0, whole);
    else if (strcmp(how, "lie-error") == 0)
        answer(false, 0, (char)0xEE, whole);
    else if (strcmp(how, "short") == 0)
        answer(true, 0, 0, 8);
    else if (strcmp(how, "long") == 0)
        answer(true, 0, 0, whole + 8);
    else if (strcmp(how, "unasked") == 0 || strcmp(how, "hoard") == 0 || strcmp(how, "late") == 0)
        answer(false, 0, 0, whole);
    if (strcmp(how, "unasked") == 0) {
        answer(true, 0, 0, whole); // to the next frame, which it has not seen
        clock_sleep_ns(60 * CLOCK_SECOND);
    } else if (strcmp(how, "late") == 0) {
        struct process self = {.socket = PROCESS_SOCKET};
        struct decode_request next;
        size_t size, count = 2;
        int fds[2];
        struct error err;
        if (process_receive(&self, 0, &next, sizeof next, &size, fds, &count, &err))
            answer(true, 0, 0, whole); // that of the frame before
    } else if (strcmp(how, "hoard") == 0)
        eat();
    else if (strcmp(how, "fork") == 0)
        fork();
    else if (strcmp(how, "eat") == 0)
        eat();
    else if (strcmp(how, "exit") == 0)
        _exit(7);
    clock_sleep_ns(60 * CLOCK_SECOND); // until it is killed
}

// In place of image_decode_main, from main.c.
int decoder_test_child(void)
{
    char path[64], message[1024];
    int fds[2];
    size_t size, count = 2;
    struct buffer how;
    struct error err;
    struct process self = {.socket = PROCESS_SOCKET};
    behaviour_path(path, getppid());
    buffer_init(&how, 64);
    if (!file_read(path, &how, &err))
        return image_decode_main(false);
    buffer_byte(&how, 0);
    if (!sandbox_enter(&(struct sandbox_rules){.memory_max = IMAGE_DECODE_MEMORY_MAX}, &err))
        return 8;
    if (process_receive(&self, 0, message, sizeof message, &size, fds, &count, &err)) {
        memcpy(&asked, message + offsetof(struct decode_request, number), sizeof asked);
        misbehave((const char *)how.data);
    }
    _exit(9);
}

static void assert_costs_one_frame(const char *how, const char *told)
{
    struct job job;
    struct error err = {0};
    char path[64];
    behaviour_path(path, getpid());
    assert_true(file_replace(path, how, strlen(how), 0600, &err));
    open_job(&job, "MR_small_RLE.dcm");
    assert_false(decodes_right(&job, &err));
    unlink(path);
    assert_int_equal(err.code, ERROR_BAD_DATA);
    if (!strstr(err.message, told))
        fail_msg("%s: '%s' does not say '%s'", how, err.message, told);
    if (!decodes_right(&job, &err))
        fail_msg("after %s: %s", how, err.message);
    assert_int_equal(image_decoder_deaths(job.decoder), 1);
    close_job(&job);
}

static void a_child_that_was_taken_over_costs_its_frame_only(void **state)
{
    (void)state;
    assert_costs_one_frame("lie-color", "makes no sense");
    assert_costs_one_frame("lie-error", "makes no sense");
    assert_costs_one_frame("short", "killed");
    assert_costs_one_frame("long", "killed");
    assert_costs_one_frame("fork", "signal 31");
    assert_costs_one_frame("exit", "exit 7");
}

static void what_a_child_does_between_two_frames_costs_none(void **state)
{
    (void)state;
    assert_costs_one_frame("unasked", "");
    assert_costs_one_frame("late", "");
    assert_costs_one_frame("hoard", "");
}

static void a_child_that_eats_memory_costs_its_frame_only(void **state)
{
    (void)state;
    assert_costs_one_frame("eat", "ended its decoder");
}

static void a_child_that_hangs_costs_its_time_only(void **state)
{
    (void)state;
    int64_t start = clock_monotonic_ns();
    assert_costs_one_frame("hang", "no answer from the child process within 10.0 s");
    assert_true(clock_monotonic_ns() - start < (IMAGE_DECODE_SECONDS + 2) * CLOCK_SECOND);
}

static void *decode_many(void *payload)
{
    const struct job *job = payload;
    struct error err;
    for (int i = 0; i < FRAMES_EACH; i++)
        if (!decodes_right(job, &err))
            return "failed";
    return NULL;
}

static void many_threads_share_two_children(void **state)
{
    (void)state;
    struct job job;
    pthread_t threads[THREADS];
    open_job(&job, "MR_small_RLE.dcm");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decode_many, &job), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    close_job(&job);
}

// Peers that ask without end.
struct crowd {
    const struct job *job;
    atomic_uint frames;
    atomic_bool over;
};

static void *ask_without_end(void *payload)
{
    struct crowd *crowd = payload;
    struct error err;
    budget_for_peer(true);
    for (; !crowd->over; crowd->frames++)
        if (!decodes_right(crowd->job, &err))
            return "failed";
    return NULL;
}

// It may come to wait anew after each frame: one of a peer is decoded meanwhile, and one is under way in each child.
static void the_program_s_own_work_has_every_second_turn_beside_a_crowd_of_peers(void **state)
{
    enum { CROWD = 48 };
    (void)state;
    struct job job;
    struct error err;
    pthread_t threads[CROWD];
    open_job(&job, "MR_small_RLE.dcm");
    struct crowd crowd = {.job = &job};
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_without_end, &crowd), 0);
    while (crowd.frames < CROWD)
        clock_sleep_ns(CLOCK_MS);
    const unsigned before = crowd.frames;
    for (int i = 0; i < FRAMES_EACH; i++)
        assert_true(decodes_right(&job, &err));
    const unsigned meanwhile = crowd.frames - before;
    crowd.over = true;
    for (int i = 0; i < CROWD; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    // One after the other it would be CROWD / 2 * FRAMES_EACH at least; a busy machine is late to come again.
    assert_in_range(meanwhile, 1, CROWD / 4 * FRAMES_EACH);
    close_job(&job);
}

int test_decoder(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_decodes_as_this_process_does),
        cmocka_unit_test(a_broken_frame_is_refused_and_the_next_one_decoded),
        cmocka_unit_test(a_frame_past_the_limit_is_refused_before_anything_line_45),
        cmocka_unit_test(a_child_killed_between_two_frames_costs_none),
        cmocka_unit_test(a_child_that_was_taken_over_costs_its_frame_only),
        cmocka_unit_test(what_a_child_does_between_two_frames_costs_none),
        cmocka_unit_test(a_child_that_eats_memory_costs_its_frame_only),
        cmocka_unit_test(a_child_that_hangs_costs_its_time_only),
        cmocka_unit_test(many_threads_share_two_children),
        cmocka_unit_test(the_program_s_own_work_has_every_second_turn_beside_a_crowd_of_peers),
    };
    return cmocka_run_group_tests_name("decoder", tests, NULL, NULL);
}
