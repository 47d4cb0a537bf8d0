// ONNX Runtime behind dlopen: the library is loaded before the lock-down, sessions are made inside it.
#include "model/internal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <onnxruntime_c_api.h>

enum { API_VERSION = 22, NAME_MAX_SIZE = 64 }; // the lowest version that has what is used: more libraries will do

static const OrtApi *ort;
static OrtEnv *environment;

#if defined(__SANITIZE_THREAD__)
// The library is built without it, and its locks are not seen: a block passed from thread to thread looks like a race.
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "race:libonnxruntime.so";
}
#endif

struct graph {
    OrtSession *session;
    OrtMemoryInfo *memory;
    OrtValue *outputs[MODEL_OUTPUTS_MAX]; // of the last run
};

// The library wraps a cause once for each node around it and names its own source files: the innermost cause is what a
// person needs.
static void tell(const char *message, struct error *err)
{
    static const char inner[] = "Status Message: ";
    const char *next;
    if (strstr(message, "Failed to allocate memory") || strstr(message, "bad_alloc")) {
        error_set(err, ERROR_BAD_DATA, "the model needs more memory than it may take (models.memory_mb)");
        return;
    }
    while ((next = strstr(message, inner)))
        message = next + strlen(inner);
    error_set(err, ERROR_BAD_DATA, "ONNX Runtime: %s", message);
}

// Takes the status; false with its text when there is one.
static bool fine(OrtStatus *status, struct error *err)
{
    if (!status)
        return true;
    tell(ort->GetErrorMessage(status), err);
    ort->ReleaseStatus(status);
    return false;
}

bool graph_load_library(const char *path, struct error *err)
{
    const OrtApiBase *(*base)(void) = NULL;
    setenv("ORT_DISABLE_TELEMETRY", "1", 1); // else CreateEnv makes a thread and readies uploads to its makers
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library)
        *(void **)&base = dlsym(library, "OrtGetApiBase");
    ort = base ? base()->GetApi(API_VERSION) : NULL;
    if (!ort)
        return error_set(err, ERROR_NOT_FOUND, "%s is no ONNX Runtime with C API %d", path, API_VERSION);
    // Errors come back as statuses; written to stderr as well they would only be twice in the log.
    // Reads what the processor can from /proc and /sys, which is out of reach afterwards.
    return fine(ort->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "hilum", &environment), err);
}

// ---- the names that graph and manifest share

enum { GRAPH_NAMES_MAX = 16 };

struct names {
    char *names[GRAPH_NAMES_MAX]; // the library's
    size_t count;
    char all[160]; // "'hu', 'mask'", for a person
};

static bool read_names(OrtSession *session, bool outputs, OrtAllocator *allocator, struct names *out, struct error *err)
{
    size_t count = 0, used = 0;
    *out = (struct names){.all = "none"};
    if (!fine(outputs ? ort->SessionGetOutputCount(session, &count) : ort->SessionGetInputCount(session, &count), err))
        return false;
    if (count > GRAPH_NAMES_MAX)
        return error_set(err, ERROR_BAD_DATA, "the graph has %zu %s, and may have %d", count,
                         outputs ? "outputs" : "inputs", GRAPH_NAMES_MAX);
    for (; out->count < count; out->count++) {
        char **name = &out->names[out->count];
        if (!fine(outputs ? ort->SessionGetOutputName(session, out->count, allocator, name)
                          : ort->SessionGetInputName(session, out->count, allocator, name),
                  err))
            return false;
        if (used < sizeof out->all)
            used += (size_t)snprintf(out->all + used, sizeof out->all - used, "%s'%.40s'", used > 0 ? ", " : "", *name);
    }
    return true;
}

static bool has_name(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->names[i], name) == 0)
            return true;
    return false;
}

static bool compare_inputs(const struct names *names, const json_t *inputs, struct error *err)
{
    const char *name;
    json_t *word;
    json_object_foreach((json_t *)(uintptr_t)inputs, name, word)
    {
        if (!has_name(names, name))
            return error_set(err, ERROR_BAD_DATA, "graph.inputs names '%.40s', and the graph's inputs are %s", name,
                             names->all);
    }
    for (size_t i = 0; i < names->count; i++)
        if (!json_object_get(inputs, names->names[i]))
            return error_set(err, ERROR_BAD_DATA, "graph.inputs does not name '%.40s', an input of the graph",
                             names->names[i]);
    return true;
}

static bool compare_outputs(const struct names *names, const json_t *outputs, struct error *err)
{
    size_t i;
    json_t *name;
    json_array_foreach((json_t *)(uintptr_t)outputs, i, name)
    {
        if (!has_name(names, json_string_value(name)))
            return error_set(err, ERROR_BAD_DATA, "graph.outputs names '%.40s', and the graph's outputs are %s",
                             json_string_value(name), names->all);
    }
    return true;
}

static bool check_names(OrtSession *session, const json_t *manifest, bool outputs, struct error *err)
{
    const json_t *named = json_object_get(json_object_get(manifest, "graph"), outputs ? "outputs" : "inputs");
    OrtAllocator *allocator = NULL;
    struct names names = {.count = 0};
    bool ok = fine(ort->GetAllocatorWithDefaultOptions(&allocator), err) &&
              read_names(session, outputs, allocator, &names, err) &&
              (outputs ? compare_outputs(&names, named, err) : compare_inputs(&names, named, err));
    for (size_t i = 0; i < names.count; i++)
        fine(ort->AllocatorFree(allocator, names.names[i]), &(struct error){0});
    return ok;
}

struct graph *graph_open(const void *model, size_t size, unsigned threads, const json_t *manifest, struct error *err)
{
    OrtSessionOptions *options = NULL;
    struct graph *graph = calloc(1, sizeof *graph);
    bool ok = graph != NULL || error_set(err, ERROR_MEMORY, "no memory for a graph");
    ok = ok && fine(ort->CreateSessionOptions(&options), err) &&
         fine(ort->SetIntraOpNumThreads(options, (int)threads), err) &&
         fine(ort->CreateSessionFromArray(environment, model, size, options, &graph->session), err) &&
         check_names(graph->session, manifest, false, err) && check_names(graph->session, manifest, true, err) &&
         fine(ort->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &graph->memory), err);
    if (options)
        ort->ReleaseSessionOptions(options);
    if (ok)
        return graph;
    free(graph); // the child ends now
    return NULL;
}

void graph_release_outputs(struct graph *graph)
{
    for (size_t i = 0; i < MODEL_OUTPUTS_MAX; i++) {
        if (graph->outputs[i])
            ort->ReleaseValue(graph->outputs[i]);
        graph->outputs[i] = NULL;
    }
}

// ---- inputs: what the manifest's words mean

struct input {
    const char *name; // in the graph
    const char *word; // in the manifest: "volume", "mask", "spacing_mm"
};

static bool make_input(struct graph *graph, struct pass *pass, const char *word, float *mask, float *spacing_mm,
                       OrtValue **out, struct error *err)
{
    const struct image_geometry *g = &pass->geometry;
    int64_t shape[] = {1, 1, (int64_t)g->slices, (int64_t)g->rows, (int64_t)g->columns};
    int64_t three[] = {3};
    bool vector = strcmp(word, "spacing_mm") == 0;
    float *data = vector ? spacing_mm : strcmp(word, "mask") == 0 ? mask : pass->volume;
    size_t bytes = (vector ? 3 : image_voxels(g)) * sizeof *data;
    return fine(ort->CreateTensorWithDataAsOrtValue(graph->memory, data, bytes, vector ? three : shape, vector ? 1 : 5,
                                                    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, out),
                err);
}

// An output must be a volume of floats of the part's size: what a graph gives is not believed.
static bool take_output(struct pass *pass, const char *name, OrtValue *value, struct error *err)
{
    OrtTensorTypeAndShapeInfo *info = NULL;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    size_t count = 0;
    void *data = NULL;
    bool ok =
        fine(ort->GetTensorTypeAndShape(value, &info), err) && fine(ort->GetTensorElementType(info, &type), err) &&
        fine(ort->GetTensorShapeElementCount(info, &count), err) && fine(ort->GetTensorMutableData(value, &data), err);
    if (info)
        ort->ReleaseTensorTypeAndShapeInfo(info);
    if (ok && (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT || count != image_voxels(&pass->geometry)))
        return error_set(err, ERROR_BAD_DATA, "output '%.40s' of the graph is no volume of floats of the input's size",
                         name);
    if (ok)
        pass->values[pass->value_count++] = (struct pass_value){name, data};
    return ok;
}

static bool run(struct graph *graph, struct pass *pass, float *mask, struct error *err)
{
    const json_t *description = json_object_get(pass->manifest, "graph");
    const char *input_names[3], *output_names[MODEL_OUTPUTS_MAX], *name;
    OrtValue *inputs[3] = {NULL};
    size_t input_count = 0, output_count = json_array_size(json_object_get(description, "outputs"));
    float spacing_mm[3];
    json_t *word;
    bool ok = true;
    for (size_t i = 0; i < 3; i++)
        spacing_mm[i] = (float)pass->geometry.spacing_mm[i];
    json_object_foreach(json_object_get(description, "inputs"), name, word)
    {
        input_names[input_count] = name;
        ok = ok && make_input(graph, pass, json_string_value(word), mask, spacing_mm, &inputs[input_count], err);
        input_count++;
    }
    for (size_t i = 0; i < output_count; i++)
        output_names[i] = json_string_value(json_array_get(json_object_get(description, "outputs"), i));
    ok = ok && fine(ort->Run(graph->session, NULL, input_names, (const OrtValue *const *)inputs, input_count,
                             output_names, output_count, graph->outputs),
                    err);
    for (size_t i = 0; i < input_count; i++)
        if (inputs[i])
            ort->ReleaseValue(inputs[i]);
    for (size_t i = 0; ok && i < output_count; i++)
        ok = take_output(pass, output_names[i], graph->outputs[i], err);
    return ok;
}

bool graph_run(struct graph *graph, struct pass *pass, struct error *err)
{
    size_t voxels = image_voxels(&pass->geometry);
    float *mask = malloc(voxels * sizeof *mask);
    if (!mask)
        return error_set(err, ERROR_MEMORY, "no memory for the mask");
    for (size_t i = 0; i < voxels; i++)
        mask[i] = pass->brain[i];
    bool ok = run(graph, pass, mask, err);
    free(mask);
    return ok;
}
