// hilum model run: a package on files of one series, no server. hilum model check: is a package whole? hilum model
// install: into the running server.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/model_install.h"
#include "cli/series_files.h"
#include "finding/finding.h"
#include "model/fit.h"
#include "model/model.h"
#include "service/service.h"

static int run(int argc, char **argv);

const struct cli_command cli_model = {
    "model", "run PACKAGE FILE... | check PACKAGE | install PACKAGE [OPTIONS]",
    "run a model package on DICOM files without a server, check it, or put it into the server", run, false};

enum { TIMEOUT_SECONDS = 600 };

// What became of a volume.
struct answer {
    const char *not_analysed; // why; NULL: `result` holds
    const char *notes;        // of the volume, and of the run
    struct model_result result;
};

struct session {
    const char *library, *synonyms; // options
    bool json;
    struct series_files series;
    struct model_words *words;
    struct model_package *package;
    struct model_runner *runner;
    struct image_decoder *decoder;
    struct model_fit fit;
    struct answer *answers; // owned; by volume
};

// ---- printing

static const char *contrast_word(enum model_contrast contrast)
{
    static const char *const words[] = {"none", "given", "not stated"};
    return words[contrast];
}

static json_t *finding_json(const struct model_finding *f)
{
    return json_pack("{s:s, s:f, s:f, s:[f,f,f], s:[f,f,f], s:[f,f,f], s:f, s:s}", "side", f->side, "volumeMl",
                     f->volume_ml, "score", f->score, "centroidMm", f->centroid_mm[0], f->centroid_mm[1],
                     f->centroid_mm[2], "lowMm", f->low_mm[0], f->low_mm[1], f->low_mm[2], "highMm", f->high_mm[0],
                     f->high_mm[1], f->high_mm[2], "meanHu", (double)f->mean_hu, "urgency", f->urgency);
}

static json_t *times_json(const struct model_times *t)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "start", (double)t->start_ns / 1e6, "input",
                     (double)t->input_ns / 1e6, "before", (double)t->before_ns / 1e6, "graph",
                     (double)t->graph_ns / 1e6, "after", (double)t->after_ns / 1e6);
}

static json_t *volume_json(const struct model_volume *volume, const struct answer *answer)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < answer->result.count; i++)
        json_array_append_new(findings, finding_json(&answer->result.findings[i]));
    return json_pack("{s:s, s:I, s:f, s:s, s:s, s:s, s:I, s:I, s:o, s:s, s:I, s:f, s:I, s:o}", "label", volume->label,
                     "slices", (json_int_t)volume->count, "coverageMm", volume->coverage_mm, "contrast",
                     contrast_word(volume->contrast), "contrastWitness", volume->contrast_witness, "notes",
                     answer->notes, "statedImages", (json_int_t)volume->stated_images, "missingImages",
                     (json_int_t)volume->missing_images, "findings", findings, "notAnalysed",
                     answer->not_analysed ? answer->not_analysed : "", "lookedAtVoxels",
                     (json_int_t)answer->result.looked_at, "cutMm2", answer->result.cut_mm2, "regionsLeftOut",
                     (json_int_t)answer->result.left_out, "timesMs", times_json(&answer->result.times));
}

static json_t *left_out_json(const struct session *session)
{
    json_t *list = json_array();
    for (size_t i = 0; i < session->fit.left_out_count; i++) {
        const struct model_left_out *left = &session->fit.left_out[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "file", session->series.files[left->index].path,
                                              "what", left->what, "why", left->why));
    }
    return list;
}

static void print_json(const struct session *session)
{
    const struct model_package *package = session->package;
    json_t *volumes = json_array();
    for (size_t i = 0; i < session->fit.volume_count; i++)
        json_array_append_new(volumes, volume_json(&session->fit.volumes[i], &session->answers[i]));
    json_t *out = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "model", model_package_name(package), "version",
                            model_package_version(package), "digest", model_package_digest(package), "label",
                            model_package_label(package), "notAnalysed", session->fit.unfit ? session->fit.unfit : "",
                            "volumes", volumes, "leftOut", left_out_json(session));
    json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(out);
}

static void print_volume(const struct session *session, size_t index)
{
    const struct model_volume *volume = &session->fit.volumes[index];
    const struct answer *answer = &session->answers[index];
    const char *concept = model_package_concept(session->package)->meaning;
    if (*volume->label)
        printf("%s:\n", volume->label);
    if (answer->not_analysed)
        printf("not analysed: %s\n", answer->not_analysed);
    else if (answer->result.count == 0)
        printf("nothing found in %zu slices, %.0f mm\n", volume->count - volume->empty, volume->coverage_mm);
    for (size_t i = 0; i < answer->result.count; i++)
        printf("%s%s%s, %.1f mL, score %.2f, %s\n", concept, *answer->result.findings[i].side ? ", " : "",
               answer->result.findings[i].side, answer->result.findings[i].volume_ml, answer->result.findings[i].score,
               answer->result.findings[i].urgency);
    if (*answer->notes)
        printf("%s\n", answer->notes);
}

static void print_left_out(const struct session *session)
{
    for (size_t i = 0; i < session->fit.left_out_count; i++) {
        const struct model_left_out *left = &session->fit.left_out[i];
        char shown[512];
        const char *path = session->series.files[left->index].path;
        printf("left out: %s: %s%s%s\n", text_show(shown, sizeof shown, path, strlen(path)), left->what,
               *left->why ? ", " : "", left->why);
    }
}

static void print_text(const struct session *session)
{
    const struct model_package *package = session->package;
    printf("%s %s (%s)\n", model_package_title(package), model_package_version(package), model_package_label(package));
    if (session->fit.unfit)
        printf("not analysed: %s\n", session->fit.unfit);
    for (size_t i = 0; i < session->fit.volume_count; i++)
        print_volume(session, i);
    print_left_out(session);
}

// ---- running

static struct model_runner *open_runner(const char *library, struct error *err)
{
    const struct model_runner_options options = {.onnxruntime = library,
                                                 .memory_max = (size_t)2 << 30,
                                                 .timeout_ns = TIMEOUT_SECONDS * CLOCK_SECOND,
                                                 .threads = 2};
    return model_runner_open(&options, err);
}

static bool set_up(struct session *session, const char *folder, char *const *paths, struct error *err)
{
    session->package = model_package_open(folder, err);
    if (!session->package || !(session->words = model_words_open(session->synonyms, err)) ||
        !series_files_open(&session->series, paths, err) || !(session->runner = open_runner(session->library, err)) ||
        !(session->decoder = image_decoder_open(false, err)))
        return false;
    session->series.decoder = session->decoder;
    return true;
}

static void tear_down(struct session *session)
{
    free(session->answers);
    series_files_close(&session->series);
    image_decoder_close(session->decoder);
    model_runner_close(session->runner);
    model_words_close(session->words);
    model_package_close(session->package);
}

// What the run left unanswered.
static bool judge(struct session *session, const struct model_volume *volume, struct answer *answer, struct error *err)
{
    if (*answer->result.not_analysed)
        answer->not_analysed = answer->result.not_analysed;
    else if (answer->result.count == 0)
        return model_negative_lacks(model_package_needs(session->package), volume, &answer->result,
                                    &session->series.arena, &answer->not_analysed, err);
    return model_result_notes(volume, &answer->result, &session->series.arena, &answer->notes, err);
}

static bool look_at(struct session *session, struct model_volume *volume, struct answer *answer, struct error *err)
{
    answer->notes = volume->notes;
    answer->not_analysed = volume->unfit;
    if (volume->unfit)
        return true;
    int fd = model_volume_open(volume, series_files_pixels, &session->series, &session->series.arena, err);
    answer->notes = volume->notes;
    if (fd < 0)
        return err->code == ERROR_CONFLICT &&
               (answer->not_analysed = arena_strdup(&session->series.arena, err->message));
    bool ok = model_run(session->runner, session->package, &volume->geometry, fd, &answer->result, err) &&
              judge(session, volume, answer, err);
    close(fd);
    if (ok && answer->result.labels_fd >= 0)
        close(answer->result.labels_fd);
    return ok;
}

static bool look_at_all(struct session *session, struct error *err)
{
    struct series_files *series = &session->series;
    if (!model_fit_check(model_package_needs(session->package), session->words, series->objects, series->count,
                         series_files_pixels, series, &series->arena, &session->fit, err))
        return false;
    session->answers = calloc(session->fit.volume_count + 1, sizeof *session->answers);
    if (!session->answers)
        return error_set(err, ERROR_MEMORY, "no memory for %zu answers", session->fit.volume_count);
    for (size_t i = 0; i < session->fit.volume_count; i++)
        if (!look_at(session, &session->fit.volumes[i], &session->answers[i], err))
            return false;
    return true;
}

// No answer is no success.
static bool has_answer(const struct session *session)
{
    for (size_t i = 0; i < session->fit.volume_count; i++)
        if (!session->answers[i].not_analysed)
            return true;
    return false;
}

static int run_package(struct session *session, const char *folder, char *const *paths)
{
    struct error err;
    int status;
    if (!set_up(session, folder, paths, &err) || !look_at_all(session, &err)) {
        status = cli_fail(&err);
    } else {
        if (session->json)
            print_json(session);
        else
            print_text(session);
        status = has_answer(session) ? CLI_DONE : CLI_FAILED;
    }
    tear_down(session);
    return status;
}

// Its files, and its graph in the child that would run it.
static int check_package(const char *folder, const char *library, bool quiet)
{
    struct error err;
    struct model_package *package = cli_model_open(folder, &err);
    if (!package)
        return cli_fail(&err);
    struct model_runner *runner = open_runner(library, &err);
    bool ok = runner && model_warm(runner, package, &err);
    if (ok && !quiet)
        printf("%s %s is whole and its graph loads, digest %s\n", model_package_name(package),
               model_package_version(package), model_package_digest(package));
    model_runner_close(runner);
    model_package_close(package);
    return ok ? CLI_DONE : cli_fail(&err);
}

// A package that cannot run is not put into a server. Where there is no ONNX Runtime nothing runs, and nothing is said.
static int install_package(const char *server, const char *folder, const char *library, bool replace)
{
    int status = access(library, R_OK) == 0 ? check_package(folder, library, true) : CLI_DONE;
    return status == CLI_DONE ? cli_model_install(server, folder, replace) : status;
}

static int run(int argc, char **argv)
{
    struct session session = {.library = "", .synonyms = ""};
    const char *server = CLI_SERVER;
    bool replace = false;
    char path[4096];
    const struct cli_option options[] = {
        {"onnxruntime", "FILE", "ONNX Runtime's library (beside the program)", &session.library, NULL},
        {"synonyms", "TEXT", "names of parts of the body, as models.synonyms of the configuration", &session.synonyms,
         NULL},
        {"json", NULL, "print as JSON", NULL, &session.json},
        {"server", "URL", "of install: the running server (" CLI_SERVER ")", &server, NULL},
        {"replace", NULL, "of install: also over a newer version, or another package of the same version", NULL,
         &replace},
        {NULL, NULL, NULL, NULL, NULL},
    };
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_model, options, &status))
        return status;
    if (!service_beside(path, sizeof path, session.library, "onnxruntime/lib/libonnxruntime.so.1"))
        return cli_usage("--onnxruntime is too long");
    session.library = path;
    if (argc == 3 && strcmp(argv[1], "check") == 0)
        return check_package(argv[2], path, false);
    if (argc == 3 && strcmp(argv[1], "install") == 0)
        return install_package(server, argv[2], path, replace);
    if (argc < 4 || strcmp(argv[1], "run") != 0)
        return cli_usage("model needs run PACKAGE FILE..., check PACKAGE or install PACKAGE");
    return run_package(&session, argv[2], argv + 3);
}
