// `hilum runner LIBRARY THREADS MEMORY_MB [reduced]`: the child's side. It gets its package and its volumes as
// descriptors, so no file is open to it.
#include "model/internal.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"

enum { KEEP_FREE = 1 << 20 };

struct child {
    struct process self;
    unsigned threads;
    json_t *manifest;
    struct graph *graph;
};

static bool load(struct child *child, const struct model_request *request, const int fds[2], struct error *err)
{
    void *manifest = mmap(NULL, (size_t)request->manifest_size, PROT_READ, MAP_SHARED, fds[0], 0);
    void *graph = mmap(NULL, (size_t)request->graph_size, PROT_READ, MAP_SHARED, fds[1], 0);
    if (manifest == MAP_FAILED || graph == MAP_FAILED)
        return error_set(err, ERROR_MEMORY, "no room for the package");
    child->manifest = json_loadb(manifest, (size_t)request->manifest_size, 0, NULL);
    if (child->manifest)
        child->graph = graph_open(graph, (size_t)request->graph_size, child->threads, child->manifest, err);
    munmap(manifest, (size_t)request->manifest_size);
    munmap(graph, (size_t)request->graph_size);
    return child->manifest ? child->graph != NULL : error_set(err, ERROR_BAD_DATA, "the manifest is no JSON");
}

// ---- a run

static bool read_volume(struct pass *pass, int fd, struct error *err)
{
    size_t bytes = image_voxels(&pass->whole) * sizeof *pass->hu;
    pass->hu = malloc(bytes);
    return pass->hu ? file_pread(fd, pass->hu, bytes, 0, err)
                    : error_set(err, ERROR_MEMORY, "no memory for a volume of %zu bytes", bytes);
}

static const char *side_of(const struct pass *pass, size_t i)
{
    if (!pass->has_sides)
        return "";
    if (pass->left_mm[i] > pass->midline_mm)
        return "left";
    return pass->left_mm[i] < -pass->midline_mm ? "right" : "midline";
}

static void report(const struct pass *pass, struct model_result *result)
{
    const char *urgency = json_string_value(json_object_get(json_object_get(pass->manifest, "finding"), "urgency"));
    result->count = pass->count;
    result->looked_at = pass->looked_at;
    result->cut_mm2 = pass->cut_mm2;
    result->left_out = pass->left_out;
    for (size_t i = 0; i < pass->count; i++) {
        const struct mask_component *component = &pass->components[i];
        struct model_finding *finding = &result->findings[i];
        double corner[2][3];
        *finding = (struct model_finding){.label = component->label,
                                          .volume_ml = component->volume_ml,
                                          .score = pass->scores[i],
                                          .mean_hu = component->mean};
        memcpy(finding->centroid_mm, component->centroid_mm, sizeof finding->centroid_mm);
        for (int k = 0; k < 3; k++) {
            corner[0][k] = (double)component->box.low[k];
            corner[1][k] = (double)component->box.high[k] - 1;
        }
        image_to_patient(&pass->geometry, corner[0], finding->low_mm);
        image_to_patient(&pass->geometry, corner[1], finding->high_mm);
        for (int k = 0; k < 3; k++)
            if (finding->low_mm[k] > finding->high_mm[k]) {
                double swap = finding->low_mm[k];
                finding->low_mm[k] = finding->high_mm[k];
                finding->high_mm[k] = swap;
            }
        text_copy(finding->side, sizeof finding->side, side_of(pass, i));
        text_copy(finding->urgency, sizeof finding->urgency, urgency ? urgency : "routine");
    }
}

static bool write_labels(const struct pass *pass, int fd, struct error *err)
{
    size_t bytes = image_voxels(&pass->whole) * sizeof(uint16_t);
    if (pass->count == 0)
        return true;
    uint16_t *labels = calloc(1, bytes);
    if (!labels)
        return error_set(err, ERROR_MEMORY, "no memory for a label map");
    image_paste_labels(pass->labels, &pass->geometry, &pass->part, &pass->whole, labels);
    bool ok = file_pwrite(fd, labels, bytes, 0, err);
    free(labels);
    return ok;
}

static bool compute(struct child *child, struct pass *pass, const int fds[2], struct model_times *times,
                    struct error *err)
{
    int64_t start = clock_monotonic_ns();
    if (!read_volume(pass, fds[0], err))
        return false;
    int64_t read = clock_monotonic_ns();
    times->input_ns = read - start;
    if (!operators_run(pass, "before", err))
        return false;
    int64_t before = clock_monotonic_ns();
    times->before_ns = before - read;
    if (!graph_run(child->graph, pass, err) || !operators_check_values(pass, err))
        return false;
    int64_t graph = clock_monotonic_ns();
    times->graph_ns = graph - before;
    bool ok = operators_run(pass, "after", err) && write_labels(pass, fds[1], err);
    times->after_ns = clock_monotonic_ns() - graph;
    return ok;
}

// A series that the model cannot look at is an answer, not a failure.
static bool run(struct child *child, const struct model_request *request, const int fds[2], struct model_result *result,
                struct error *err)
{
    struct pass *pass = calloc(1, sizeof *pass);
    if (!pass)
        return error_set(err, ERROR_MEMORY, "no memory for a run");
    pass->manifest = child->manifest;
    pass->whole = pass->geometry = request->geometry;
    pass->part = (struct image_part){.factor = {1, 1, 1}};
    bool ok = compute(child, pass, fds, &result->times, err);
    if (ok)
        report(pass, result);
    if (!ok && err->code == ERROR_CONFLICT) {
        text_copy(result->not_analysed, sizeof result->not_analysed, err->message);
        ok = true;
    }
    graph_release_outputs(child->graph);
    pass_free(pass);
    free(pass);
    malloc_trim(KEEP_FREE);
    return ok;
}

// ---- the loop

static bool serve_one(struct child *child, struct error *err)
{
    struct model_request request;
    struct model_answer answer = {0};
    size_t size, count = 2;
    int fds[2];
    if (!process_receive(&child->self, 0, &request, sizeof request, &size, fds, &count, err))
        return false;
    if (size != sizeof request || count != 2 || (request.kind == MODEL_RUN) != (child->graph != NULL))
        return error_set(err, ERROR_PROTOCOL, "a request that is not due");
    answer.ok = request.kind == MODEL_LOAD ? load(child, &request, fds, &answer.error)
                                           : run(child, &request, fds, &answer.result, &answer.error);
    close(fds[0]);
    close(fds[1]);
    return process_send(PROCESS_SOCKET, &answer, sizeof answer, NULL, 0, err);
}

int model_runner_main(int argc, char **argv)
{
    struct child child = {.self = {.socket = PROCESS_SOCKET}};
    struct sandbox_rules rules = {.threads = true};
    struct error err;
    uint64_t threads, memory_mb;
    if (argc < 4 || !text_to_u64(argv[2], strlen(argv[2]), &threads) ||
        !text_to_u64(argv[3], strlen(argv[3]), &memory_mb) || threads == 0 || threads > 64)
        return MODEL_EXIT_PROTOCOL;
    rules.memory_max = (size_t)memory_mb << 20;
    rules.reduced = argc > 4 && strcmp(argv[4], "reduced") == 0;
    child.threads = (unsigned)threads;
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    if (!graph_load_library(argv[1], &err)) {
        log_error("model", "runner: %s", err.message);
        return MODEL_EXIT_LIBRARY;
    }
    if (!sandbox_enter(&rules, &err)) {
        log_error("model", "runner: %s", err.message);
        return MODEL_EXIT_SANDBOX;
    }
    while (serve_one(&child, &err))
        continue;
    _exit(err.code == ERROR_CLOSED
              ? 0
              : MODEL_EXIT_PROTOCOL); // nothing that a library registered for the end may run in here
}
