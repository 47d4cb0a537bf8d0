// The tests; or, as `test_dicom json FILE`, what oracle.py compares with pydicom.
#include "tests.h"

#include "base/file.h"
#include "dicom/json.h"
#include "dicom/part10.h"

enum { FILE_MAX = 64 << 20, ARENA_MAX = 512 << 20 };

static bool file_to_json(const char *path, struct buffer *file, struct buffer *json, struct arena *arena,
                         struct error *err)
{
    struct dicom_meta meta;
    if (!file_read(path, file, err) || !dicom_meta_parse(file->data, file->size, &meta, err))
        return false;
    struct source_memory memory = {file->data + meta.data_offset, file->size - meta.data_offset};
    struct dicom_parse_options parse = {.value_max = SIZE_MAX, .depth_max = DICOM_DEPTH_MAX};
    struct dicom_json_options options = {.inline_max = SIZE_MAX};
    const struct dicom_dataset *dataset;
    return dicom_parse(source_from_memory(&memory), dicom_transfer_syntax_or_default(meta.transfer_syntax), &parse,
                       arena, &dataset, err) &&
           dicom_json_write(json, dataset, &options, arena, err);
}

// Prints the DICOM JSON of a Part 10 file or bare data set, everything inline.
static int print_json(const char *path)
{
    struct buffer file, json;
    struct arena arena;
    struct error err = {0};
    buffer_init(&file, FILE_MAX);
    buffer_init(&json, ARENA_MAX);
    arena_init(&arena, ARENA_MAX);
    bool done = file_to_json(path, &file, &json, &arena, &err);
    if (done)
        printf("%.*s\n", (int)json.size, (char *)json.data);
    else
        fprintf(stderr, "%s: %s\n", path, err.message);
    arena_free(&arena);
    buffer_free(&json);
    buffer_free(&file);
    return done ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "json") == 0)
        return print_json(argv[2]);
    int failed = 0;
    failed += run_dictionary_tests();
    failed += run_reader_tests();
    failed += run_dataset_tests();
    failed += run_part10_tests();
    failed += run_writer_tests();
    failed += run_json_tests();
    failed += run_charset_tests();
    failed += run_compare_tests();
    failed += run_date_tests();
    failed += run_oracle_tests();
    return failed > 0;
}
