// The model room: packages, and running them. A run is a pure function: a volume and parameters in, findings and a
// label map out, in a sandboxed child (`hilum runner`) that holds the model warm: no network, no database, no files but
// its package.
//
// A package is a folder: manifest.json (what it needs, the operators before and after the graph with their parameters,
// what its findings mean), the graph (ONNX), card.md, and the SHA-256 of each file in the manifest. Its digest, SHA-256
// over the manifest's bytes (which hold the others' digests), is its identity: what a job's key and every result name.
// docs/models.md describes the manifest.
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/hash.h"
#include "image/volume.h"

// ---- packages

enum {
    MODEL_NAME_SIZE = 65,
    MODEL_FILES_MAX = 16,
    MODEL_FILE_MAX = 512 << 20,
    MODEL_FINDINGS_MAX = 64,
    MODEL_WORDS_MAX = 64,
    MODEL_LICENCE_SIZE = 129,
    MODEL_WORD_SIZE = 129 // of a word, of a name in the graph, of a text of the rule
};

struct model_code { // a coded concept
    char value[17];
    char scheme[17]; // "SCT", "DCM", "RADLEX"
    char meaning[65];
};

// What a series must be for this model; what is not said ("" or 0) is not asked.
struct model_needs {
    char modality[17];
    // The part of the body, said in either way: one of the body parts, or a word in the description, as in a rule
    // (flow.h).
    const char *body_parts[MODEL_WORDS_MAX], *words[MODEL_WORDS_MAX];
    // Parts that are none of those: a description that names one of them, and none that is asked for, excludes.
    const char *other_parts[MODEL_WORDS_MAX];
    // Kinds of images computed from a scan that the model takes ("MIP", "IODINE"), each by a word for it in Image Type
    // (fit_derived.c); all others are refused.
    const char *image_types[MODEL_WORDS_MAX];
    size_t body_part_count, word_count, other_part_count, image_type_count;
    double spacing_max_mm;  // between slices
    double coverage_min_mm; // a negative needs this much of the patient, along the normal, without a gap
    double looked_min_ml;   // a negative needs this much to have been looked at
    uint32_t slices_min;
    uint32_t slices_max;
    bool contrast_refused;
};

struct model_package; // immutable after opening; lives until each who has a share in it has closed it; any thread

// Reads the manifest, checks its form and every file's digest. The folder must hold exactly the files named: no links,
// nothing outside. BAD_DATA says what is wrong; a byte flipped anywhere is found.
struct model_package *model_package_open(const char *folder, struct error *err);
struct model_package *model_package_share(const struct model_package *package); // one more, to be closed like the first
void model_package_close(struct model_package *package);                        // gives a share back; NULL is fine

const char *model_package_folder(const struct model_package *package);
const char *model_package_name(const struct model_package *package);    // "head-ct-hyperdense"
const char *model_package_version(const struct model_package *package); // "1.0.0"
// Which version is later, by Semantic Versioning 2.0.0, section 11 (1.10.0 after 1.9.0, 1.0.0 after 1.0.0-rc1, what is
// behind '+' not looked at): below 0, 0 or above 0 as strcmp.
int model_version_compare(const char *a, const char *b);
// Whether it is a version of Semantic Versioning 2.0.0 ("1.10.0", "1.0.0-rc.1+b7"): no other has a place in the order.
bool model_version_is_semantic(const char *version);
const char *model_package_title(const struct model_package *package);
const char *model_package_label(const struct model_package *package);  // "research use only ..."
const char *model_package_digest(const struct model_package *package); // hex
const char *model_package_rule(const struct model_package *package);   // JSON of the rule it brings; "" none
bool model_package_calibrated(const struct model_package *package); // its scores are probabilities, shown on patients
const struct model_needs *model_package_needs(const struct model_package *package);
const struct model_code *model_package_concept(const struct model_package *package); // of its findings
const struct model_code *model_package_site(const struct model_package *package);    // anatomical; value "" when none

// ---- running

// One thing found.
struct model_finding {
    uint16_t label; // in the label map, from 1
    double volume_ml;
    double score;                 // 0 to 1
    double centroid_mm[3];        // patient space, LPS
    double low_mm[3], high_mm[3]; // box around it
    float mean_hu;
    char side[8];    // "left", "right", "midline"; "" where none can be told
    char urgency[8]; // "routine", "urgent", "stat"
};

// How long each stage took.
struct model_times {
    int64_t start_ns;  // of the child, when it was cold
    int64_t input_ns;  // volume into the child
    int64_t before_ns; // operators before the graph
    int64_t graph_ns;  // ONNX Runtime's own
    int64_t after_ns;  // operators after it
};

struct model_result {
    struct model_finding findings[MODEL_FINDINGS_MAX];
    size_t count;
    char not_analysed[160]; // why it gave no answer ("no skull found"); "" otherwise
    uint64_t looked_at;     // voxels that the last mask admits; above 0 unless not analysed
    double cut_mm2;         // of the mask's surface, where the images end sideways (mask_cut_mm2)
    uint64_t left_out;      // regions that were seen and are no findings: past the package's `most`, MASK_CORES_MAX
    struct model_times times;
    int labels_fd; // memfd: uint16_t [slices][rows][columns], read with pread; owned by the caller (close); -1 when
                   // nothing was found
};

struct model_runner; // the warm children; any thread

struct model_runner_options {
    const char *onnxruntime; // the shared library's path
    bool reduced;            // see sandbox_rules
    size_t memory_max;       // of a child, bytes
    int64_t timeout_ns;      // of one run
    unsigned threads;        // of ONNX Runtime in a child
};

// Nothing is started yet. A child is started at a package's first run and kept warm, until another package needs its
// place (8 at most).
struct model_runner *model_runner_open(const struct model_runner_options *options, struct error *err);
void model_runner_close(struct model_runner *runner);
// Ends the runs that go on, within a quarter of a second, and all later ones, with CANCELLED: the program is about to
// end. Any thread.
void model_runner_interrupt(struct model_runner *runner);

// Children that ended otherwise than to make room or with the program, since it was opened.
uint64_t model_runner_deaths(const struct model_runner *runner);

// What a model's runs have failed of since its last one that did not, whatever its version: `count` of them, the last
// for `reason`.
enum { MODEL_FAILING_MAX = 64 };
struct model_failing {
    char name[MODEL_NAME_SIZE], version[MODEL_NAME_SIZE];
    uint64_t count;
    char reason[ERROR_MESSAGE_SIZE];
};
// Copies those of up to MODEL_FAILING_MAX models, and returns how many. Any thread.
size_t model_runner_failing(struct model_runner *runner, struct model_failing out[MODEL_FAILING_MAX]);

// Starts the package's child and loads its graph, so that the next run is warm.
bool model_warm(struct model_runner *runner, const struct model_package *package, struct error *err);

// `volume_fd`: a sealed memfd (process_memfd_seal) of int16_t HU [slices][rows][columns]. Runs of one package take
// turns. A child that crashes, breaks the sandbox's rules, runs out of time or memory costs this run only: the error
// says what ended it, and the next run starts a new child.
bool model_run(struct model_runner *runner, const struct model_package *package, const struct image_geometry *geometry,
               int volume_fd, struct model_result *out, struct error *err);

// The child's main: `hilum runner LIBRARY THREADS MEMORY_MB [reduced]`. Its exit status.
int model_runner_main(int argc, char **argv);

#endif
