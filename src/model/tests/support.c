#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/process.h"
#include "base/text.h"
#include "support/folder.h"
#include "support/program.h"

static struct head head = {.volume_fd = -1};

const char *support_path(char out[SUPPORT_PATH], const char *name)
{
    snprintf(out, SUPPORT_PATH, "%s", temporary(name));
    return out;
}

// ---- packages

void write_member(const char *folder, const char *name, const void *data, size_t size)
{
    char path[2 * SUPPORT_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    save_file(path, data, size);
}

void *read_member_of(const char *folder, const char *name, size_t *size)
{
    char path[2 * SUPPORT_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return load_file(path, size);
}

void copy_package(char out[SUPPORT_PATH])
{
    static const char *const names[] = {"manifest.json", "model.onnx", "card.md"};
    static int number;
    char name[32];
    snprintf(name, sizeof name, "package-%d", ++number);
    assert_int_equal(mkdir(support_path(out, name), 0700), 0);
    for (size_t i = 0; i < 3; i++) {
        size_t size;
        void *data = read_member_of(REAL_PACKAGE, names[i], &size);
        write_member(out, names[i], data, size);
        free(data);
    }
}

json_t *read_manifest(const char *folder)
{
    size_t size;
    char *text = read_member_of(folder, "manifest.json", &size);
    json_t *manifest = json_loadb(text, size, 0, NULL);
    assert_non_null(manifest);
    free(text);
    return manifest;
}

void write_manifest(const char *folder, json_t *manifest)
{
    char *text = json_dumps(manifest, JSON_INDENT(2));
    assert_non_null(text);
    write_member(folder, "manifest.json", text, strlen(text));
    free(text);
    json_decref(manifest);
}

void set_graph(const char *folder, const void *data, size_t size)
{
    uint8_t digest[HASH_SIZE];
    char hex[2 * HASH_SIZE + 1];
    json_t *manifest = read_manifest(folder);
    hash_of(data, size, digest);
    text_hex(hex, digest, sizeof digest);
    json_object_set_new(json_object_get(manifest, "files"), "model.onnx", json_string(hex));
    write_manifest(folder, manifest);
    write_member(folder, "model.onnx", data, size);
}

static void make_graph(const char *folder, const char *graph)
{
    char path[SUPPORT_PATH];
    size_t size;
    run_script("src/model/tests/make.py", (const char *const[]){"graph", graph, support_path(path, graph), NULL});
    void *data = load_file(path, &size);
    set_graph(folder, data, size);
    free(data);
}

struct model_package *package_with_graph(const char *graph)
{
    char folder[SUPPORT_PATH];
    struct error err;
    copy_package(folder);
    make_graph(folder, graph);
    struct model_package *package = model_package_open(folder, &err);
    if (!package)
        print_message("%s: %s\n", graph, err.message);
    return package;
}

void assert_refused(const char *folder, const char *named)
{
    struct error err;
    struct model_package *package = model_package_open(folder, &err);
    if (package)
        fail_msg("a package is taken that should be refused for '%s'", named);
    if (!strstr(err.message, named))
        fail_msg("the message does not name '%s': %s", named, err.message);
}

// ---- the head

const struct head *the_head(void)
{
    char path[SUPPORT_PATH], file[SUPPORT_PATH + 8];
    struct error err;
    struct image_geometry *g = &head.geometry;
    size_t size;
    if (head.volume_fd >= 0)
        return &head;
    run_script("src/model/tests/make.py", (const char *const[]){"head", support_path(path, "head"), NULL});
    snprintf(file, sizeof file, "%s.txt", path);
    FILE *text = fopen(file, "r");
    assert_non_null(text);
    assert_int_equal(fscanf(text, "%zu %zu %zu %lf %lf %lf %lf %lf %lf %7s %lf", &g->slices, &g->rows, &g->columns,
                            &g->spacing_mm[0], &g->spacing_mm[1], &g->spacing_mm[2], &g->origin_mm[0], &g->origin_mm[1],
                            &g->origin_mm[2], head.side, &head.volume_ml),
                     11);
    fclose(text);
    g->row_direction[0] = g->column_direction[1] = g->normal[2] = 1;
    snprintf(file, sizeof file, "%s.raw", path);
    void *hu = load_file(file, &size);
    assert_int_equal(size, image_voxels(g) * sizeof(int16_t));
    head.volume_fd = process_memfd("head", hu, size, true, &err);
    assert_true(head.volume_fd >= 0);
    free(hu);
    return &head;
}
