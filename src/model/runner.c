// The runner, from the server's side: one warm child per package.
#include "model/model.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"
#include "model/package.h"

#define LOAD_NS (INT64_C(30) * CLOCK_SECOND)
#define LOOK_NS (INT64_C(250) * CLOCK_MS)           // how often a wait looks for the end of the program
#define TIME_MAX_NS (INT64_C(86400) * CLOCK_SECOND) // that a stage can say it took
#define PLACE_MAX_MM 1e6
#define CUT_MAX_MM2 1e9
#define VOLUME_MAX_ML 1e6
enum { CHILDREN_MAX = 8 };

struct child {
    struct model_package *package; // a share; NULL: free; changed only with both locks held
    struct process process;        // pid 0: not running
    pthread_mutex_t turn;          // of a run
    _Atomic uint64_t deaths;       // in this place
};

struct model_runner {
    struct model_runner_options options;
    char *library; // owned
    pthread_mutex_t
        lock; // of `package` of the children; taken before a turn is tried, never waited for with a turn held
    _Atomic bool interrupted;
    struct child children[CHILDREN_MAX];
    pthread_mutex_t failing_lock; // of the two below
    struct model_failing failing[MODEL_FAILING_MAX];
    size_t failing_count;
};

struct model_runner *model_runner_open(const struct model_runner_options *options, struct error *err)
{
    struct model_runner *runner = calloc(1, sizeof *runner);
    char *library = strdup(options->onnxruntime);
    if (!runner || !library) {
        free(runner);
        free(library);
        error_set(err, ERROR_MEMORY, "no memory for the model runner");
        return NULL;
    }
    runner->options = *options;
    runner->library = library;
    pthread_mutex_init(&runner->lock, NULL);
    pthread_mutex_init(&runner->failing_lock, NULL);
    for (size_t i = 0; i < CHILDREN_MAX; i++)
        pthread_mutex_init(&runner->children[i].turn, NULL);
    return runner;
}

void model_runner_close(struct model_runner *runner)
{
    if (!runner)
        return;
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (runner->children[i].process.pid > 0)
            process_stop(&runner->children[i].process, NULL);
        model_package_close(runner->children[i].package);
        pthread_mutex_destroy(&runner->children[i].turn);
    }
    pthread_mutex_destroy(&runner->failing_lock);
    pthread_mutex_destroy(&runner->lock);
    free(runner->library);
    free(runner);
}

void model_runner_interrupt(struct model_runner *runner)
{
    runner->interrupted = true;
}

uint64_t model_runner_deaths(const struct model_runner *runner)
{
    uint64_t deaths = 0;
    for (size_t i = 0; i < CHILDREN_MAX; i++)
        deaths += runner->children[i].deaths;
    return deaths;
}

// ---- a child

static bool start(const struct model_runner *runner, struct child *child, struct error *err)
{
    char threads[8], memory_mb[24];
    snprintf(threads, sizeof threads, "%u", runner->options.threads);
    snprintf(memory_mb, sizeof memory_mb, "%zu", runner->options.memory_max >> 20);
    const char *arguments[] = {
        "runner", runner->library, threads, memory_mb, runner->options.reduced ? "reduced" : NULL, NULL};
    return process_start(&child->process, arguments, runner->options.memory_max, err);
}

// The answer, in slices of LOOK_NS.
static bool receive(const struct model_runner *runner, struct child *child, int64_t timeout_ns,
                    struct model_answer *answer, size_t *size, struct error *err)
{
    int64_t deadline = clock_monotonic_ns() + timeout_ns;
    for (;;) {
        int64_t left = deadline - clock_monotonic_ns(), slice = left < LOOK_NS ? left : LOOK_NS;
        if (runner->interrupted)
            return error_set(err, ERROR_CANCELLED, "the program ends");
        if (process_receive(&child->process, slice > 0 ? slice : 1, answer, sizeof *answer, size, NULL, NULL, err))
            return true;
        if (err->code != ERROR_TIMEOUT || clock_monotonic_ns() >= deadline)
            return false;
    }
}

static bool exchange(const struct model_runner *runner, struct child *child, const struct model_request *request,
                     const int fds[2], int64_t timeout_ns, struct model_answer *answer, struct error *err)
{
    unsigned char ok;
    size_t size;
    if (!process_send(child->process.socket, request, sizeof *request, fds, 2, err) ||
        !receive(runner, child, timeout_ns, answer, &size, err))
        return false;
    memcpy(&ok, &answer->ok, sizeof ok); // a bool that is neither must not be read as one
    return (size == sizeof *answer && ok <= 1) || error_set(err, ERROR_PROTOCOL, "an answer that makes no sense");
}

static void end_child(struct child *child)
{
    if (child->process.pid > 0)
        process_stop(&child->process, NULL);
    child->process.pid = 0;
}

// A warm child that was killed between two runs, or speaks unasked, is no more use; the run that finds it so is not at
// fault.
static bool is_warm(struct child *child)
{
    char why[PROCESS_WHY_SIZE];
    if (process_is_quiet(&child->process))
        return true;
    if (child->process.pid > 0) {
        process_stop(&child->process, why);
        child->deaths++;
        log_warning("model", "the process of model %s was gone between two runs: %s", child->package->name, why);
    }
    child->process.pid = 0;
    return false;
}

static bool exit_is(const char *why, int status)
{
    char text[16];
    snprintf(text, sizeof text, "exit %d", status);
    return strcmp(text, why) == 0;
}

// Says what ended the child, in words for the page: the cause on our side (time, memory) before what the kernel says.
static bool tell_end(const struct model_runner *runner, struct child *child, const struct error *cause,
                     struct error *err)
{
    char why[PROCESS_WHY_SIZE];
    child->process.closed |= cause->code == ERROR_CLOSED;
    process_stop(&child->process, why);
    child->process.pid = 0;
    if (cause->code == ERROR_CANCELLED)
        return error_set(err, ERROR_CANCELLED, "%s", cause->message);
    child->deaths++;
    if (cause->code == ERROR_TIMEOUT)
        return error_set(err, ERROR_TIMEOUT, "the model took longer than it may and was ended");
    if (cause->code == ERROR_PROTOCOL || cause->code == ERROR_BAD_DATA)
        return error_set(err, ERROR_BAD_DATA, "the model's process gave an answer that makes no sense");
    if (exit_is(why, MODEL_EXIT_LIBRARY))
        return error_set(err, ERROR_BAD_DATA, "ONNX Runtime cannot be loaded from %s", runner->library);
    if (exit_is(why, MODEL_EXIT_SANDBOX))
        return error_set(err, ERROR_BAD_DATA, "its process cannot enter its sandbox; the log says why");
    return error_set(err, ERROR_BAD_DATA, "the model's process ended: %s", why);
}

static bool ask(const struct model_runner *runner, struct child *child, const struct model_request *request,
                const int fds[2], int64_t timeout_ns, struct model_answer *answer, struct error *err)
{
    struct error cause;
    if (!exchange(runner, child, request, fds, timeout_ns, answer, &cause))
        return tell_end(runner, child, &cause, err);
    if (answer->ok)
        return true;
    // The child may have been taken over by what it computed: its words are shown, not believed.
    answer->error.message[sizeof answer->error.message - 1] = '\0';
    char shown[ERROR_MESSAGE_SIZE];
    return error_set(err, ERROR_BAD_DATA, "%s",
                     text_show(shown, sizeof shown, answer->error.message, strlen(answer->error.message)));
}

static bool load(struct model_runner *runner, struct child *child, struct error *err)
{
    const struct model_package *package = child->package;
    struct model_request request = {
        .kind = MODEL_LOAD, .manifest_size = package->manifest_text.size, .graph_size = package->graph.size};
    struct model_answer *answer = calloc(1, sizeof *answer);
    int fds[2] = {-1, -1};
    bool ok = answer != NULL || error_set(err, ERROR_MEMORY, "no memory to start a model");
    ok = ok &&
         (fds[0] = process_memfd("manifest", package->manifest_text.data, package->manifest_text.size, true, err)) >=
             0 &&
         (fds[1] = process_memfd("graph", package->graph.data, package->graph.size, true, err)) >= 0 &&
         start(runner, child, err);
    if (ok && !ask(runner, child, &request, fds, LOAD_NS, answer, err)) {
        ok = error_prefix(err, "model %s cannot start", package->name);
        end_child(child);
    }
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(answer);
    return ok;
}

// A place for a package that has none, free or that of a model that does not run now, with its turn held. With
// runner->lock held.
static struct child *make_place(struct model_runner *runner, const struct model_package *package)
{
    for (int free_only = 1; free_only >= 0; free_only--)
        for (size_t i = 0; i < CHILDREN_MAX; i++) {
            struct child *child = &runner->children[i];
            if ((free_only && child->package) || pthread_mutex_trylock(&child->turn) != 0)
                continue;
            end_child(child);
            model_package_close(child->package);
            child->package = model_package_share(package);
            return child;
        }
    return NULL;
}

// The package's child with its turn held; NULL: all places are busy with other models.
static struct child *find_child(struct model_runner *runner, const struct model_package *package)
{
    for (;;) {
        struct child *found = NULL;
        pthread_mutex_lock(&runner->lock);
        for (size_t i = 0; i < CHILDREN_MAX && !found; i++)
            if (runner->children[i].package == package)
                found = &runner->children[i];
        struct child *made = found ? NULL : make_place(runner, package);
        pthread_mutex_unlock(&runner->lock);
        if (!found)
            return made;
        pthread_mutex_lock(&found->turn);
        if (found->package == package)
            return found;
        pthread_mutex_unlock(&found->turn); // it was pushed out meanwhile
    }
}

// With the child's turn held and the graph loaded. NULL with *err.
static struct child *take(struct model_runner *runner, const struct model_package *package, int64_t *start_ns,
                          struct error *err)
{
    struct child *child = find_child(runner, package);
    if (!child) {
        error_set(err, ERROR_BUSY, "%d other models run now", CHILDREN_MAX);
        return NULL;
    }
    int64_t began = clock_monotonic_ns();
    if (is_warm(child) || load(runner, child, err)) {
        *start_ns = clock_monotonic_ns() - began;
        return child;
    }
    pthread_mutex_unlock(&child->turn);
    return NULL;
}

bool model_warm(struct model_runner *runner, const struct model_package *package, struct error *err)
{
    int64_t start_ns;
    struct child *child = take(runner, package, &start_ns, err);
    if (child)
        pthread_mutex_unlock(&child->turn);
    return child != NULL;
}

// ---- a run

// The child may have been taken over by what it computed: nothing of its answer is believed without a look.

static bool is_number(const double *values, size_t count, double most)
{
    for (size_t i = 0; i < count; i++)
        if (!(values[i] >= -most && values[i] <= most))
            return false;
    return true;
}

// A word that ends within its field and is one of these; NULL ends them.
static bool is_word(const char *text, size_t size, const char *const *words)
{
    if (!memchr(text, '\0', size))
        return false;
    while (*words && strcmp(*words, text) != 0)
        words++;
    return *words != NULL;
}

static bool is_box(const struct model_finding *f)
{
    for (int axis = 0; axis < 3; axis++)
        if (f->low_mm[axis] > f->high_mm[axis])
            return false;
    return is_number(f->low_mm, 3, PLACE_MAX_MM) && is_number(f->high_mm, 3, PLACE_MAX_MM);
}

static bool is_sane_finding(const struct model_finding *f, size_t index)
{
    static const char *const sides[] = {"left", "right", "midline", "", NULL};
    static const char *const urgencies[] = {"routine", "urgent", "stat", NULL};
    const double mean_hu = (double)f->mean_hu;
    return f->label == index + 1 && is_number(&f->volume_ml, 1, VOLUME_MAX_ML) && f->volume_ml > 0 && f->score >= 0 &&
           f->score <= 1 && is_number(f->centroid_mm, 3, PLACE_MAX_MM) && is_box(f) &&
           is_number(&mean_hu, 1, -(double)INT16_MIN) && is_word(f->side, sizeof f->side, sides) &&
           is_word(f->urgency, sizeof f->urgency, urgencies);
}

static bool is_sane_time(int64_t time_ns)
{
    return time_ns >= 0 && time_ns <= TIME_MAX_NS;
}

// Of a run over so many voxels. What was not looked at says why.
static bool is_sane(const struct model_result *result, uint64_t voxels)
{
    const struct model_times *t = &result->times;
    if (result->looked_at > voxels || result->left_out > voxels || (result->looked_at == 0 && !*result->not_analysed) ||
        !(result->cut_mm2 >= 0 && result->cut_mm2 <= CUT_MAX_MM2) || (result->count > 0 && *result->not_analysed) ||
        result->count > MODEL_FINDINGS_MAX || !memchr(result->not_analysed, '\0', sizeof result->not_analysed) ||
        !is_sane_time(t->input_ns) || !is_sane_time(t->before_ns) || !is_sane_time(t->graph_ns) ||
        !is_sane_time(t->after_ns))
        return false;
    for (size_t i = 0; i < result->count; i++)
        if (!is_sane_finding(&result->findings[i], i))
            return false;
    return true;
}

static bool take_result(struct child *child, const struct model_answer *answer, uint64_t voxels, int64_t start_ns,
                        struct model_result *out, struct error *err)
{
    if (!is_sane(&answer->result, voxels)) {
        end_child(child);
        return error_set(err, ERROR_BAD_DATA, "the model gave an answer that makes no sense");
    }
    *out = answer->result;
    out->times.start_ns = start_ns;
    out->labels_fd = -1;
    return true;
}

static bool run(struct model_runner *runner, struct child *child, const struct image_geometry *geometry, int volume_fd,
                int labels_fd, int64_t start_ns, struct model_result *out, struct error *err)
{
    struct model_request request = {.kind = MODEL_RUN, .geometry = *geometry};
    struct model_answer *answer = calloc(1, sizeof *answer);
    int fds[2] = {volume_fd, labels_fd};
    if (!answer)
        return error_set(err, ERROR_MEMORY, "no memory for a result");
    bool ok = ask(runner, child, &request, fds, runner->options.timeout_ns, answer, err) &&
              take_result(child, answer, image_voxels(geometry), start_ns, out, err);
    free(answer);
    return ok;
}

// The input: of the size that the geometry says, and not to be changed by anyone.
static bool is_input(int volume_fd, size_t size, struct error *err)
{
    struct stat status;
    int seals = fcntl(volume_fd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_WRITE))
        return error_set(err, ERROR_USAGE, "the volume is not sealed");
    return (fstat(volume_fd, &status) == 0 && (uint64_t)status.st_size == size) ||
           error_set(err, ERROR_USAGE, "the volume has not the %zu bytes that its geometry says", size);
}

// ---- what fails

// The model's row; failing_count: none.
static size_t find_failing(const struct model_runner *runner, const struct model_package *package)
{
    size_t i = 0;
    while (i < runner->failing_count && strcmp(runner->failing[i].name, package->name) != 0)
        i++;
    return i;
}

static void note_failure(struct model_runner *runner, const struct model_package *package, const struct error *why)
{
    pthread_mutex_lock(&runner->failing_lock);
    size_t i = find_failing(runner, package);
    if (i == MODEL_FAILING_MAX)
        i--; // the newest takes the last place
    struct model_failing *row = &runner->failing[i];
    if (i == runner->failing_count || strcmp(row->name, package->name) != 0) {
        *row = (struct model_failing){.count = 0};
        text_copy(row->name, sizeof row->name, package->name);
        runner->failing_count = i + 1;
    }
    row->count++;
    text_copy(row->version, sizeof row->version, package->version);
    text_copy(row->reason, sizeof row->reason, why->message);
    pthread_mutex_unlock(&runner->failing_lock);
}

static void note_success(struct model_runner *runner, const struct model_package *package)
{
    pthread_mutex_lock(&runner->failing_lock);
    size_t i = find_failing(runner, package);
    if (i < runner->failing_count)
        runner->failing[i] = runner->failing[--runner->failing_count];
    pthread_mutex_unlock(&runner->failing_lock);
}

size_t model_runner_failing(struct model_runner *runner, struct model_failing out[MODEL_FAILING_MAX])
{
    pthread_mutex_lock(&runner->failing_lock);
    size_t count = runner->failing_count;
    memcpy(out, runner->failing, count * sizeof *out);
    pthread_mutex_unlock(&runner->failing_lock);
    return count;
}

bool model_run(struct model_runner *runner, const struct model_package *package, const struct image_geometry *geometry,
               int volume_fd, struct model_result *out, struct error *err)
{
    int64_t start_ns = 0;
    if (!is_input(volume_fd, image_voxels(geometry) * sizeof(int16_t), err))
        return false;
    int labels_fd = process_memfd("labels", NULL, image_voxels(geometry) * sizeof(uint16_t), false, err);
    struct child *child = labels_fd >= 0 ? take(runner, package, &start_ns, err) : NULL;
    bool ok = child && run(runner, child, geometry, volume_fd, labels_fd, start_ns, out, err);
    if (child)
        pthread_mutex_unlock(&child->turn);
    if (ok && out->count > 0)
        out->labels_fd = labels_fd;
    else if (labels_fd >= 0)
        close(labels_fd);
    if (ok)
        note_success(runner, package);
    else if (err->code != ERROR_CANCELLED)
        note_failure(runner, package, err);
    return ok;
}
