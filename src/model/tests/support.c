#include "support.h"

#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/process.h"
#include "base/text.h"

extern char **environ;

static char place[SUPPORT_PATH - 48];
static struct head head = {.volume_fd = -1};

void support_begin(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(place, sizeof place, "%.50s/model-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(place));
}

static int delete_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void support_end(void)
{
    if (head.volume_fd >= 0)
        close(head.volume_fd);
    assert_int_equal(nftw(place, delete_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *support_path(char out[SUPPORT_PATH], const char *name)
{
    snprintf(out, SUPPORT_PATH, "%s/%s", place, name);
    return out;
}

int run_quietly(const char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

// ---- packages

void write_member(const char *folder, const char *name, const void *data, size_t size)
{
    char path[2 * SUPPORT_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void *read_member_of(const char *folder, const char *name, size_t *size)
{
    char path[2 * SUPPORT_PATH];
    struct buffer data;
    struct error err;
    buffer_init(&data, 16 << 20);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_ok(file_read(path, &data, &err), err);
    *size = data.size;
    return data.data;
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
    const char *const argv[] = {
        "/usr/bin/python3", "src/model/tests/make.py", "graph", graph, support_path(path, graph), NULL};
    size_t size;
    assert_int_equal(run_quietly(argv), 0);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    void *data = read_member_of(path, graph, &size);
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
    const char *const argv[] = {"/usr/bin/python3", "src/model/tests/make.py", "head", support_path(path, "head"),
                                NULL};
    assert_int_equal(run_quietly(argv), 0);
    snprintf(file, sizeof file, "%s.txt", path);
    FILE *text = fopen(file, "r");
    assert_non_null(text);
    assert_int_equal(fscanf(text, "%zu %zu %zu %lf %lf %lf %lf %lf %lf %7s %lf", &g->slices, &g->rows, &g->columns,
                            &g->spacing_mm[0], &g->spacing_mm[1], &g->spacing_mm[2], &g->origin_mm[0], &g->origin_mm[1],
                            &g->origin_mm[2], head.side, &head.volume_ml),
                     11);
    fclose(text);
    g->row_direction[0] = g->column_direction[1] = g->normal[2] = 1;
    char *slash = strrchr(path, '/');
    *slash = '\0';
    void *hu = read_member_of(path, "head.raw", &size);
    assert_int_equal(size, image_voxels(g) * sizeof(int16_t));
    head.volume_fd = process_memfd("head", hu, size, true, &err);
    assert_true(head.volume_fd >= 0);
    free(hu);
    return &head;
}
