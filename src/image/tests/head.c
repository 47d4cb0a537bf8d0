#include "head.h"

#include <stdio.h>
#include <stdlib.h>

enum { SLICES = 108, PATH_MAX_SIZE = 320 };

void ask_oracle(const char *const arguments[])
{
    run_script("src/image/tests/oracle.py", arguments);
}

void *read_raw(const char *path, size_t size)
{
    size_t is;
    void *data = load_file(path, &is);
    assert_int_equal(is, size);
    return data;
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
        enum image_color color;
        uint8_t *pixels = picture_frame(&pictures[slices[i].index], 0, &color, &err);
        assert_non_null(pixels);
        image_slice_to_hu(&slices[i], pixels, out->hu + i * area);
        free(pixels);
    }
    for (size_t i = 0; i < SLICES; i++)
        picture_close(&pictures[i]);
}

void head_free(struct head *head)
{
    free(head->hu);
    head->hu = NULL;
}
