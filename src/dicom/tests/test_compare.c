// The same data set in other people's encodings is the same; one value that is another one is found.
#include "tests.h"

#include "base/reader.h"
#include "dicom/compare.h"
#include "dicom/part10.h"

enum { MEMORY = 32 << 20, SHOWN = 8, BLOCK = 4096 };

static const char make[] = "src/dicom/tests/compare.py"; // arguments: a path, and Python that changes the data set

// A Part 10 file with its data set parsed as an archive would: long values stay in the stream.
struct file {
    uint8_t *bytes;
    struct reader reader;
    struct dicom_side side;
};

static void open_file(struct file *file, const char *path, size_t value_max, struct arena *arena)
{
    const struct dicom_parse_options options = {.value_max = value_max, .depth_max = DICOM_DEPTH_MAX};
    struct dicom_meta meta;
    struct error err;
    size_t size;
    uint8_t block[BLOCK];
    file->bytes = load_file(path, &size);
    assert_ok(dicom_meta_parse(file->bytes, size, &meta, &err), err);
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_or_default(meta.transfer_syntax);
    file->reader = reader_from_memory(file->bytes + meta.data_offset, size - meta.data_offset);
    struct source_reader from = {file->reader, 0, block, sizeof block};
    assert_ok(dicom_parse(source_from_reader(&from), syntax, &options, arena, &file->side.dataset, &err), err);
    file->side.reader = syntax->deflated ? NULL : &file->reader;
}

static size_t compare_files(const char *a_path, const char *b_path, size_t value_max, struct arena *arena,
                            struct dicom_unlike *out)
{
    struct file a, b;
    struct error err;
    size_t count;
    arena_reset(arena);
    open_file(&a, a_path, value_max, arena);
    open_file(&b, b_path, value_max, arena);
    assert_ok(dicom_compare(&a.side, &b.side, NULL, arena, out, SHOWN, &count, &err), err);
    free(a.bytes);
    free(b.bytes);
    return count;
}

static void fail_with(const char *what, const struct dicom_unlike *unlike, size_t count)
{
    char tag[DICOM_TAG_TEXT_SIZE];
    fail_msg("%s: %zu differ, first %s '%s' '%s'", what, count, dicom_tag_text(tag, unlike[0].tag), unlike[0].a,
             unlike[0].b);
}

static const char *const conversions[][3] = {
    {"+te"}, {"+ti"}, {"+tb"}, {"+td"}, {"+ti", "-e"}, {"+te", "-e"}, {"+te", "+g"}, {"+tb", "+g", "-e"},
};

static void what_dcmtk_converts_says_the_same(void **state)
{
    char first[TEMPORARY_SIZE], converted[TEMPORARY_SIZE];
    struct arena arena;
    struct dicom_unlike unlike[SHOWN];
    (void)state;
    arena_init(&arena, MEMORY);
    snprintf(first, sizeof first, "%s", temporary("compare.dcm"));
    snprintf(converted, sizeof converted, "%s", temporary("converted.dcm"));
    run_script(make, (const char *const[]){first, NULL});
    for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++) {
        const char *argv[8] = {"dcmconv"};
        size_t n = 1;
        for (size_t k = 0; k < 3 && conversions[i][k]; k++)
            argv[n++] = conversions[i][k];
        argv[n++] = first;
        argv[n++] = converted;
        run_well(argv, NULL);
        for (size_t value_max = 64; value_max <= 4096; value_max *= 64) {
            if (value_max == 64 && strcmp(conversions[i][0], "+td") == 0)
                continue; // of an inflated value only what was loaded can be compared
            size_t count = compare_files(first, converted, value_max, &arena, unlike);
            if (count > 0)
                fail_with(conversions[i][0], unlike, count);
        }
    }
    arena_free(&arena);
}

static const char *const the_same[] = {
    "ds.SpecificCharacterSet = 'ISO_IR 192'",
    "ds.SpecificCharacterSet = 'GB18030'",
    "del ds[0x00090010], ds[0x00090011], ds[0x00091001], ds[0x00091002], ds[0x00091101], ds[0x00091103]\n"
    "b, a = ds.private_block(0x0009, 'MAKER B', create=True), ds.private_block(0x0009, 'MAKER A', create=True)\n"
    "a.add_new(1, 'LO', 'private'); a.add_new(2, 'US', 513); b.add_new(1, 'DS', '2.5'); b.add_new(3, 'SQ', "
    "Sequence([hidden]))",
    "ds.add_new(0x00090012, 'LO', 'NOBODY')",
    "ds.add_new(0xFFFCFFFC, 'OB', b'\\0' * 100)",
    "ds.PatientID = 'P1  '",
    "ds.SliceThickness = '1.50 '",
    "ds.PixelData = b'\\3\\4\\5\\6'", // the image room's
};

static const struct {
    const char *change;
    dicom_tag tag;
    const char *a, *b;
} unlike_cases[] = {
    {"ds.PatientName = 'M\\u00fcller^Jorg'", 0x00100010, "Müller^Jörg", "Müller^Jorg"},
    {"ds.PatientID = 'P2'", 0x00100020, "P1", "P2"},
    {"ds.PatientID = ''", 0x00100020, "P1", ""},
    {"del ds.PatientID", 0x00100020, "P1", ""},
    {"ds.PatientSex = ''", 0x00100040, "", ""},
    {"ds.SliceThickness = '1.5'", 0x00180050, "1.50", "1.5"},
    {"ds.ImageType = ['DERIVED']", 0x00080008, "DERIVED\\SECONDARY", "DERIVED"},
    {"ds.SmallestImagePixelValue = 8", 0x00280106, "7", "8"},
    {"ds.RedPaletteColorLookupTableData = bytes(512)", 0x00281201, "(512 bytes)", "(512 bytes)"},
    {"ds.RedPaletteColorLookupTableData = bytes(i * 7 % 256 for i in range(511)) + b'\\3'", 0x00281201, "(512 bytes)",
     "(512 bytes)"},
    {"ds.ProcedureCodeSequence[1].CodeMeaning = 'x'", 0x00081032, "(2 items)", "(2 items)"},
    {"item.ReferencedSOPSequence[0].ReferencedFrameNumber = [1, 3]", 0x00081032, "(2 items)", "(2 items)"},
    {"ds.ProcedureCodeSequence = [item]", 0x00081032, "(2 items)", "(1 items)"},
    {"hidden[0x00091005].value = 'other'", 0x00091103, "(1 items)", "(1 items)"},
    {"ds[0x00091002].value = 514", 0x00091002, "513", "514"},
    {"ds[0x00090010].value = 'MAKER C'", 0x00091001, "private", ""},
};

static void what_differs_is_found_with_both_values_and_what_does_not_is_not(void **state)
{
    char first[TEMPORARY_SIZE], second[TEMPORARY_SIZE], implicit[TEMPORARY_SIZE];
    struct arena arena;
    struct dicom_unlike unlike[SHOWN];
    (void)state;
    arena_init(&arena, MEMORY);
    snprintf(first, sizeof first, "%s", temporary("compare.dcm"));
    snprintf(second, sizeof second, "%s", temporary("second.dcm"));
    snprintf(implicit, sizeof implicit, "%s", temporary("implicit.dcm"));
    run_script(make, (const char *const[]){first, NULL});
    for (size_t i = 0; i < sizeof the_same / sizeof *the_same; i++) {
        run_script(make, (const char *const[]){second, the_same[i], NULL});
        size_t count = compare_files(first, second, 4096, &arena, unlike);
        if (count > 0)
            fail_with(the_same[i], unlike, count);
    }
    for (size_t i = 0; i < sizeof unlike_cases / sizeof *unlike_cases; i++) {
        run_script(make, (const char *const[]){second, unlike_cases[i].change, NULL});
        run_well((const char *const[]){"dcmconv", "+ti", second, implicit, NULL}, NULL);
        size_t count = compare_files(first, second, 64, &arena, unlike);
        if (count == 0 || unlike[0].tag != unlike_cases[i].tag || strcmp(unlike[0].a, unlike_cases[i].a) != 0 ||
            strcmp(unlike[0].b, unlike_cases[i].b) != 0)
            fail_with(unlike_cases[i].change, unlike, count);
        if (compare_files(first, implicit, 4096, &arena, unlike) != count)
            fail_msg("%s is another difference in implicit VR", unlike_cases[i].change);
    }
    arena_free(&arena);
}

static void past_its_memory_it_says_that_it_cannot_say(void **state)
{
    char first[TEMPORARY_SIZE];
    struct arena arena, small;
    struct dicom_unlike unlike[SHOWN];
    struct file a, b;
    struct error err;
    size_t count;
    (void)state;
    arena_init(&arena, MEMORY);
    arena_init(&small, 64);
    snprintf(first, sizeof first, "%s", temporary("compare.dcm"));
    run_script(make, (const char *const[]){first, NULL});
    open_file(&a, first, 4096, &arena);
    open_file(&b, first, 4096, &arena);
    assert_false(dicom_compare(&a.side, &b.side, NULL, &small, unlike, SHOWN, &count, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    free(a.bytes);
    free(b.bytes);
    arena_free(&small);
    arena_free(&arena);
}

int run_compare_tests(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_dcmtk_converts_says_the_same),
        cmocka_unit_test(what_differs_is_found_with_both_values_and_what_does_not_is_not),
        cmocka_unit_test(past_its_memory_it_says_that_it_cannot_say),
    };
    return cmocka_run_group_tests_name("compare", tests, NULL, NULL);
}
