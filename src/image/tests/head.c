#include "head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLICES = 108, PATH_MAX_SIZE = 320, ARGUMENTS_MAX = 12 };

void ask_oracle(const char *const arguments[])
{
    const char *argv[ARGUMENTS_MAX + 3] = {"/usr/bin/python3", "src/image/tests/oracle.py"};
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i]; i++)
        argv[i + 2] = arguments[i];
    assert_int_equal(run_quietly(argv), 0);
}

void *read_raw(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(size + 1);
    assert_non_null(file);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, size + 1, file), size);
    fclose(file);
    return data;
}

void write_raw(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

const char *head_folder(bool feet_first)
{
    static char folders[2][PATH_MAX_SIZE];
    char *folder = folders[feet_first];
    if (folder[0])
        return folder;
    char parent[PATH_MAX_SIZE - 32];
    snprintf(parent, sizeof parent, "%s", temporary("series"));
    const char *const argv[] = {
        "/usr/bin/python3", "tools/head-ct", "make", parent, feet_first ? "--feet-first" : NULL, NULL};
    assert_int_equal(run_quietly(argv), 0);
    snprintf(folder, PATH_MAX_SIZE, "%s/head%s", parent, feet_first ? "-feet-first" : "");
    return folder;
}

void head_read(const char *folder, struct head *out)
{
    static struct picture pictures[SLICES];
    struct image_slice slices[SLICES];
    struct error err = {0};
    for (size_t i = 0; i < SLICES; i++) {
        char path[PATH_MAX_SIZE + 32];
        snprintf(path, sizeof path, "%s/slice-%03zu.dcm", folder, SLICES - i);
        if (!picture_open(&pictures[i], path, &err))
            fail_msg("%s: %s", path, err.message);
        slices[i].index = i;
        if (!image_slice_read(pictures[i].dataset, &slices[i], &err))
            fail_msg("%s: %s", path, err.message);
    }
    if (!image_geometry_of(slices, SLICES, &out->geometry, &err))
        fail_msg("%s", err.message);
    size_t area = out->geometry.rows * out->geometry.columns;
    out->hu = malloc(image_voxels(&out->geometry) * sizeof *out->hu);
    assert_non_null(out->hu);
    for (size_t i = 0; i < SLICES; i++) {
        const struct picture *picture = &pictures[slices[i].index];
        assert_int_equal(picture->pixels->length, area * 2);
        image_slice_to_hu(&slices[i], picture->pixels->value, out->hu + i * area);
    }
    for (size_t i = 0; i < SLICES; i++)
        picture_close(&pictures[i]);
}

void head_free(struct head *head)
{
    free(head->hu);
    head->hu = NULL;
}
