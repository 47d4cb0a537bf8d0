// hilum model run: a package on files of one series, no server. hilum model check: is a package whole?
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "cli/cli.h"
#include "dicom/part10.h"
#include "finding/finding.h"
#include "image/frames.h"
#include "model/model.h"
#include "service/service.h"

static int run(int argc, char **argv);

const struct cli_command cli_model = {"model", "run PACKAGE FILE... | check PACKAGE [OPTIONS]",
                                      "run a model package on DICOM files, without a server", run, false};

enum { FILES_MAX = IMAGE_SLICES_MAX, BLOCK = 128 << 10, ARENA_MAX = 512 << 20, TIMEOUT_SECONDS = 600 };

// One file of the series.
struct part {
    const struct dicom_dataset *header; // in the arena
    const char *instance, *transfer_syntax;
    char *path; // owned
    uint64_t data_offset;
};

struct series {
    struct part *parts;         // owned
    struct image_slice *slices; // owned
    size_t count;
    struct arena arena;
    uint8_t *block; // BLOCK bytes
    struct image_geometry geometry;
};

// ---- reading

static bool read_part(struct series *series, int fd, uint64_t size, struct part *part, struct error *err)
{
    static const struct dicom_parse_options options = {.value_max = 64 << 10, .depth_max = DICOM_DEPTH_MAX};
    struct dicom_meta meta;
    size_t head = size < BLOCK ? (size_t)size : BLOCK;
    if (!file_pread(fd, series->block, head, 0, err) || !dicom_meta_parse(series->block, head, &meta, err))
        return false;
    part->data_offset = meta.data_offset;
    part->transfer_syntax = arena_strdup(&series->arena, meta.transfer_syntax);
    struct source_reader file = {reader_from_fd(fd, meta.data_offset, size - meta.data_offset), 0, series->block,
                                 BLOCK};
    if (!dicom_parse(source_from_reader(&file), dicom_transfer_syntax_or_default(meta.transfer_syntax), &options,
                     &series->arena, &part->header, err))
        return false;
    part->instance = dicom_text(part->header, 0x00080018, &series->arena);
    return part->transfer_syntax && part->instance ? image_slice_read(part->header, &series->slices[series->count], err)
                                                   : error_set(err, ERROR_BAD_DATA, "it has no SOP Instance UID");
}

static bool add_file(const char *path, void *payload, struct error *err)
{
    struct series *series = payload;
    struct stat status;
    struct part *part = &series->parts[series->count];
    if (series->count == FILES_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d files; give one series", FILES_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &status) == 0 ? read_part(series, fd, (uint64_t)status.st_size, part, err)
                                                 : error_errno(err, errno, "cannot open it");
    if (fd >= 0)
        close(fd);
    if (!ok)
        return error_prefix(err, "%s", path);
    part->path = strdup(path);
    series->slices[series->count].index = series->count;
    series->count++;
    return part->path || error_set(err, ERROR_MEMORY, "no memory for %s", path);
}

static bool read_frame(const struct part *part, int fd, uint64_t size, struct image_decoder *decoder, uint8_t *out,
                       size_t capacity, struct error *err)
{
    struct image_frames frames;
    enum image_color color;
    struct reader reader = reader_from_fd(fd, part->data_offset, size - part->data_offset);
    bool ok = image_frames_open(&frames, part->header, part->transfer_syntax, reader, decoder, err);
    ok = ok && image_frame(&frames, 0, out, capacity, &color, err);
    image_frames_close(&frames);
    return ok || error_prefix(err, "%s in transfer syntax %s", part->path, part->transfer_syntax);
}

static bool read_pixels(const struct part *part, struct image_decoder *decoder, uint8_t *out, size_t capacity,
                        struct error *err)
{
    struct stat status;
    int fd = open(part->path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fstat(fd, &status) == 0
                  ? read_frame(part, fd, (uint64_t)status.st_size, decoder, out, capacity, err)
                  : error_errno(err, errno, "cannot open %s", part->path);
    if (fd >= 0)
        close(fd);
    return ok;
}

static int make_volume(const struct series *series, struct image_decoder *decoder, struct error *err)
{
    size_t area = series->geometry.rows * series->geometry.columns;
    size_t stored_bytes = area * series->slices[0].bits_allocated / 8;
    uint8_t *stored = malloc(stored_bytes);
    int16_t *hu = malloc(area * sizeof *hu);
    int fd = process_memfd_open("volume", series->geometry.slices * area * sizeof *hu, err);
    bool ok = fd >= 0 && ((stored && hu) || error_set(err, ERROR_MEMORY, "no memory for a slice"));
    for (size_t k = 0; ok && k < series->geometry.slices; k++) {
        ok = read_pixels(&series->parts[series->slices[k].index], decoder, stored, stored_bytes, err);
        if (ok) {
            image_slice_to_hu(&series->slices[k], stored, hu);
            ok = file_pwrite(fd, hu, area * sizeof *hu, (uint64_t)k * area * sizeof *hu, err);
        }
    }
    free(stored);
    free(hu);
    if (ok && process_memfd_seal(fd, err))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

// ---- printing

static json_t *finding_json(const struct model_finding *f)
{
    return json_pack("{s:s, s:f, s:f, s:[f,f,f], s:[f,f,f], s:[f,f,f], s:f, s:s}", "side", f->side, "volumeMl",
                     f->volume_ml, "score", f->score, "centroidMm", f->centroid_mm[0], f->centroid_mm[1],
                     f->centroid_mm[2], "lowMm", f->low_mm[0], f->low_mm[1], f->low_mm[2], "highMm", f->high_mm[0],
                     f->high_mm[1], f->high_mm[2], "meanHu", (double)f->mean_hu, "urgency", f->urgency);
}

static void print_json(const struct model_package *package, const struct model_result *result)
{
    const struct model_times *t = &result->times;
    json_t *findings = json_array();
    for (size_t i = 0; i < result->count; i++)
        json_array_append_new(findings, finding_json(&result->findings[i]));
    json_t *out =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:{s:f, s:f, s:f, s:f, s:f}}", "model", model_package_name(package),
                  "version", model_package_version(package), "digest", model_package_digest(package), "label",
                  model_package_label(package), "findings", findings, "notAnalysed", result->not_analysed, "timesMs",
                  "start", (double)t->start_ns / 1e6, "input", (double)t->input_ns / 1e6, "before",
                  (double)t->before_ns / 1e6, "graph", (double)t->graph_ns / 1e6, "after", (double)t->after_ns / 1e6);
    json_dumpf(out, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(out);
}

static void print_text(const struct model_package *package, const struct model_result *result)
{
    printf("%s %s (%s)\n", model_package_title(package), model_package_version(package), model_package_label(package));
    if (*result->not_analysed)
        printf("not analysed: %s\n", result->not_analysed);
    else if (result->count == 0)
        printf("nothing found\n");
    for (size_t i = 0; i < result->count; i++)
        printf("%s, %s, %.1f mL, score %.2f, %s\n", model_package_concept(package)->meaning, result->findings[i].side,
               result->findings[i].volume_ml, result->findings[i].score, result->findings[i].urgency);
}

// ---- running

static bool compute(const struct series *series, const struct model_package *package, const char *library,
                    struct model_result *result, struct error *err)
{
    struct model_runner_options options = {.onnxruntime = library,
                                           .memory_max = (size_t)2 << 30,
                                           .timeout_ns = TIMEOUT_SECONDS * CLOCK_SECOND,
                                           .threads = 2};
    struct model_runner *runner = model_runner_open(&options, err);
    struct image_decoder *decoder = runner ? image_decoder_open(false, err) : NULL;
    int volume = decoder ? make_volume(series, decoder, err) : -1;
    bool ok = volume >= 0 && model_run(runner, package, &series->geometry, volume, result, err);
    if (volume >= 0)
        close(volume);
    image_decoder_close(decoder);
    model_runner_close(runner);
    return ok;
}

static bool open_series(struct series *series, char *const *paths, struct error *err)
{
    arena_init(&series->arena, ARENA_MAX);
    series->block = malloc(BLOCK);
    series->parts = calloc(FILES_MAX, sizeof *series->parts);
    series->slices = calloc(FILES_MAX, sizeof *series->slices);
    if (!series->block || !series->parts || !series->slices)
        return error_set(err, ERROR_MEMORY, "no memory for a series");
    size_t unreadable = 0;
    if (!cli_walk(paths, add_file, series, &unreadable, err))
        return false;
    if (unreadable > 0)
        return error_set(err, ERROR_IO, "a part of the series cannot be read");
    return image_geometry_of(series->slices, series->count, &series->geometry, err);
}

static void close_series(struct series *series)
{
    for (size_t i = 0; i < series->count; i++)
        free(series->parts[i].path);
    free(series->parts);
    free(series->slices);
    free(series->block);
    arena_free(&series->arena);
}

static int run_package(const char *folder, char *const *paths, const char *library, bool json)
{
    struct series series = {0};
    struct model_result result = {.labels_fd = -1};
    struct error err;
    struct model_package *package = model_package_open(folder, &err);
    bool ok = package && open_series(&series, paths, &err) && compute(&series, package, library, &result, &err);
    if (ok && json)
        print_json(package, &result);
    else if (ok)
        print_text(package, &result);
    if (result.labels_fd >= 0)
        close(result.labels_fd);
    close_series(&series);
    model_package_close(package);
    return ok ? CLI_DONE : cli_fail(&err);
}

static int check_package(const char *folder)
{
    struct error err;
    struct model_package *package = model_package_open(folder, &err);
    if (!package)
        return cli_fail(&err);
    printf("%s %s is whole, digest %s\n", model_package_name(package), model_package_version(package),
           model_package_digest(package));
    model_package_close(package);
    return CLI_DONE;
}

static int run(int argc, char **argv)
{
    const char *library = "";
    char path[4096];
    bool json = false;
    const struct cli_option options[] = {
        {"onnxruntime", "FILE", "ONNX Runtime's library (beside the program)", &library, NULL},
        {"json", NULL, "print as JSON", NULL, &json},
        {NULL, NULL, NULL, NULL, NULL},
    };
    int status = CLI_FAILED;
    if (!cli_options(&argc, argv, &cli_model, options, &status))
        return status;
    if (argc == 3 && strcmp(argv[1], "check") == 0)
        return check_package(argv[2]);
    if (argc < 4 || strcmp(argv[1], "run") != 0)
        return cli_usage("model needs run PACKAGE FILE... or check PACKAGE");
    if (!service_beside(path, sizeof path, library, "onnxruntime/lib/libonnxruntime.so.1"))
        return cli_usage("--onnxruntime is too long");
    return run_package(argv[2], argv + 3, path, json);
}
