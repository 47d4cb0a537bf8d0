// Inside the model room: the manifest's operators, the graph, and what goes over the socket between runner and child.
#ifndef MODEL_INTERNAL_H
#define MODEL_INTERNAL_H

#include <jansson.h>

#include "image/mask.h"
#include "model/model.h"

enum {
    MODEL_MANIFEST_MAX = 256 << 10,
    MODEL_OPERATORS_MAX = 16,
    MODEL_OUTPUTS_MAX = 4,
    MODEL_EXIT_SANDBOX = 71, // the child could not lock itself in
    MODEL_EXIT_PROTOCOL = 72,
    MODEL_EXIT_LIBRARY = 73, // ONNX Runtime could not be loaded
};

// ---- one pass of a volume through a package (in the child)

struct pass_value { // a named volume that the graph gave, over the part
    const char *name;
    float *data; // owned by the graph's outputs
};

struct pass {
    const json_t *manifest;
    struct image_geometry whole;    // as it came
    struct image_geometry geometry; // of the part being worked on
    struct image_part part;
    int16_t *hu;    // owned; of the part
    uint8_t *brain; // owned
    float median_hu;
    float *volume; // owned: HU minus the median, what the graph takes
    struct pass_value values[MODEL_OUTPUTS_MAX];
    size_t value_count;
    uint8_t *mask;      // owned: of the operators behind the graph
    uint8_t *allowed;   // owned: where a region may be
    uint64_t looked_at; // voxels of the whole that `allowed` admits
    double cut_mm2;     // of the brain's surface, where the images end sideways
    uint16_t *labels;   // owned
    struct mask_component components[MODEL_FINDINGS_MAX];
    double scores[MODEL_FINDINGS_MAX];
    double left_mm[MODEL_FINDINGS_MAX]; // of the centroid from the midplane; negative: right
    double midline_mm;
    bool has_sides;         // else none can be told
    size_t count, left_out; // findings, and regions that are seen and past the limits
    char not_analysed[160];
};

// An operator of a manifest: {"op": name, parameter: number or text, ...}.
struct operator_parameter {
    const char *name;                                                    // NULL ends the list
    enum { PARAMETER_NUMBER, PARAMETER_NUMBERS3, PARAMETER_VALUE } type; // VALUE: the name of an output of the graph
    double least, most;
};
// What an operator makes that can be no number; it is looked at after each.
enum made { MADE_INTEGERS, MADE_MEDIAN, MADE_VOLUME, MADE_MEASURES, MADE_SIDES };
struct operator
{
    const char *name;
    bool before; // the graph
    const struct operator_parameter *parameters;
    bool (*run)(struct pass * pass, const json_t *parameters, struct error *err);
    enum made made;
};

// Every operator of the manifest is known and has exactly its parameters, within their bounds.
bool operators_check(const json_t *manifest, struct error *err);
// Runs the list "before" or "after". false with CONFLICT when the input is not what the model can look at (no skull,
// say), when an operator made what is no finite number, and when nothing remains to be looked at.
bool operators_run(struct pass *pass, const char *list, struct error *err);
// The graph's outputs are finite wherever they are looked at: in the brain. CONFLICT says how many are not.
bool operators_check_values(const struct pass *pass, struct error *err);
void pass_free(struct pass *pass);

// ---- graph.c: ONNX Runtime, in the child

struct graph;
bool graph_load_library(const char *path, struct error *err); // before the lock-down
// Inside it. BAD_DATA too when its inputs and outputs are not those that the manifest names.
struct graph *graph_open(const void *model, size_t size, unsigned threads, const json_t *manifest, struct error *err);
// Runs the package's graph over the pass: inputs by the manifest's "inputs", outputs by its "outputs".
bool graph_run(struct graph *graph, struct pass *pass, struct error *err);
void graph_release_outputs(struct graph *graph);

// ---- protocol

enum model_request_kind { MODEL_LOAD, MODEL_RUN };

struct model_request { // LOAD: descriptors manifest, graph; RUN: volume, labels
    enum model_request_kind kind;
    uint64_t manifest_size, graph_size;
    struct image_geometry geometry;
};

struct model_answer {
    bool ok;
    struct error error;
    struct model_result result; // labels_fd means nothing here
};

#endif
