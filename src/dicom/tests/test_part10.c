#include "tests.h"

#include "base/bytes.h"
#include "dicom/part10.h"

static const struct dicom_meta sample = {.sop_class = "1.2.840.10008.5.1.4.1.1.2",
                                         .sop_instance = "1.2.3",
                                         .transfer_syntax = DICOM_TS_EXPLICIT,
                                         .source_ae = "SCANNER"};

static struct buffer sample_file(void)
{
    struct buffer file;
    buffer_init(&file, 1 << 20);
    dicom_meta_write(&file, &sample);
    return file;
}

static struct dicom_meta parse(const struct buffer *file)
{
    struct dicom_meta meta;
    struct error err = {0};
    if (!dicom_meta_parse(file->data, file->size, &meta, &err))
        fail_msg("%s", err.message);
    return meta;
}

static void assert_refused_as(enum error_code code, const void *data, size_t size)
{
    struct dicom_meta meta;
    struct error err = {0};
    assert_false(dicom_meta_parse(data, size, &meta, &err));
    assert_int_equal(err.code, code);
}

static void assert_refused(const void *data, size_t size)
{
    assert_refused_as(ERROR_BAD_DATA, data, size);
}

static void assert_no_dicom(const void *data, size_t size)
{
    assert_refused_as(ERROR_UNSUPPORTED, data, size);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct buffer file = sample_file();
    struct dicom_meta meta = parse(&file);
    assert_string_equal(meta.sop_class, sample.sop_class);
    assert_string_equal(meta.sop_instance, sample.sop_instance);
    assert_string_equal(meta.transfer_syntax, sample.transfer_syntax);
    assert_string_equal(meta.source_ae, sample.source_ae);
    assert_int_equal(meta.data_offset, file.size);
    assert_false(meta.guessed);
    assert_true(meta.has_preamble);
    buffer_free(&file);
}

static void the_preamble_may_hold_anything(void **state)
{
    (void)state;
    struct buffer file = sample_file();
    memcpy(file.data, "MZ\x90\0\3", 5);
    assert_string_equal(parse(&file).sop_instance, "1.2.3");
    memcpy(file.data,
           "\x7F"
           "ELF",
           4);
    assert_string_equal(parse(&file).sop_instance, "1.2.3");
    buffer_free(&file);
}

static void a_wrong_group_length_is_passed_over(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 7, 100, 0xFFFFFFFF};
    for (size_t i = 0; i < 4; i++) {
        struct buffer file = sample_file();
        size_t end = file.size;
        bytes_put_u32le(file.data + 140, lengths[i]);
        put_explicit(&file, DICOM_TAG(0x0008, 0x0016), "UI", "1.2", 3);
        struct dicom_meta meta = parse(&file);
        assert_int_equal(meta.data_offset, end);
        assert_string_equal(meta.transfer_syntax, DICOM_TS_EXPLICIT);
        buffer_free(&file);
    }
}

static void a_deflated_data_set_that_looks_like_group_2_is_not_taken_for_it(void **state)
{
    (void)state;
    struct dicom_meta meta = sample;
    memcpy(meta.transfer_syntax, DICOM_TS_DEFLATED, sizeof DICOM_TS_DEFLATED);
    struct buffer file;
    buffer_init(&file, 1 << 20);
    dicom_meta_write(&file, &meta);
    size_t end = file.size;
    buffer_append(&file, "\x02\0\0\0\0\0\0\0\0\0", 10);
    assert_int_equal(parse(&file).data_offset, end);
    buffer_free(&file);
}

static void every_cut_of_the_meta_information_is_refused(void **state)
{
    (void)state;
    struct buffer file = sample_file();
    // A cut between two elements, or one byte behind, cannot be seen, since the group length is not trusted.
    size_t seen = 0;
    for (size_t size = 0; size < file.size; size++) {
        struct dicom_meta meta;
        struct error err = {0};
        uint8_t *copy = malloc(size + 1); // so that a read past the end is seen
        assert_non_null(copy);
        memcpy(copy, file.data, size);
        if (!dicom_meta_parse(copy, size, &meta, &err)) {
            assert_int_equal(err.code, size == 0 || size >= 132 ? ERROR_BAD_DATA : ERROR_UNSUPPORTED);
            seen++;
        }
        free(copy);
    }
    assert_true(seen >= file.size - 20);
    assert_refused(file.data, 0);
    assert_no_dicom(file.data, 131);
    buffer_free(&file);
}

static void an_unknown_vr_in_group_2_is_refused(void **state)
{
    (void)state;
    struct buffer file = sample_file();
    memcpy(file.data + 144 + 4, "QQ", 2);
    assert_refused(file.data, file.size);
    buffer_free(&file);
}

// The same elements in the encoding that is asked for.
static struct buffer encoded_meta(bool big_endian, bool implicit)
{
    static const uint8_t preamble[DICOM_PREAMBLE_SIZE];
    const struct {
        uint16_t element;
        const char *vr, *value;
        uint16_t size;
    } rows[] = {{0x0002, "UI", "1.2.840.10008.5.1.4.1.1.2\0", 26},
                {0x0003, "UI", "1.2.3\0", 6},
                {0x0010, "UI", DICOM_TS_EXPLICIT "\0", 20}};
    struct buffer out;
    buffer_init(&out, 1 << 20);
    buffer_append(&out, preamble, sizeof preamble);
    buffer_text(&out, "DICM");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t header[8];
        (big_endian ? bytes_put_u16be : bytes_put_u16le)(header, 2);
        (big_endian ? bytes_put_u16be : bytes_put_u16le)(header + 2, rows[i].element);
        memcpy(header + 4, rows[i].vr, 2);
        (big_endian ? bytes_put_u16be : bytes_put_u16le)(header + 6, rows[i].size);
        if (implicit)
            (big_endian ? bytes_put_u32be : bytes_put_u32le)(header + 4, rows[i].size);
        buffer_append(&out, header, sizeof header);
        buffer_append(&out, rows[i].value, rows[i].size);
    }
    return out;
}

// As DCMTK reads it, in any of the four; pydicom and GDCM read the little-endian ones.
static void meta_information_in_any_encoding_is_read(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct buffer file = encoded_meta(i & 1, i & 2);
        size_t end = file.size;
        put_explicit(&file, DICOM_TAG(0x0008, 0x0016), "UI", "1.2\0", 4);
        struct dicom_meta meta = parse(&file);
        assert_string_equal(meta.sop_class, sample.sop_class);
        assert_string_equal(meta.sop_instance, "1.2.3");
        assert_string_equal(meta.transfer_syntax, DICOM_TS_EXPLICIT);
        assert_int_equal(meta.data_offset, end);
        assert_false(meta.guessed);
        buffer_free(&file);
    }
}

static void a_bare_data_set_is_recognised(void **state)
{
    (void)state;
    static const uint8_t big_endian[] = "\x00\x08\x00\x16UI\0\x04"
                                        "1.2\0";
    struct buffer implicit, explicit, big, preamble;
    buffer_init(&implicit, 1 << 20);
    buffer_init(&explicit, 1 << 20);
    buffer_init(&big, 1 << 20);
    buffer_init(&preamble, 1 << 20);
    put_implicit(&implicit, DICOM_TAG(0x0008, 0x0016), "1.2\0", 4);
    put_explicit(&explicit, DICOM_TAG(0x0008, 0x0016), "UI", "1.2\0", 4);
    buffer_append(&big, big_endian, sizeof big_endian - 1);
    static const uint8_t zeros[DICOM_PREAMBLE_SIZE];
    buffer_append(&preamble, zeros, sizeof zeros);
    buffer_append(&preamble, explicit.data, explicit.size);
    struct {
        struct buffer *bytes;
        const char *syntax;
        size_t offset;
    } cases[] = {{&implicit, DICOM_TS_IMPLICIT, 0},
                 {&explicit, DICOM_TS_EXPLICIT, 0},
                 {&big, DICOM_TS_BIG_ENDIAN, 0},
                 {&preamble, DICOM_TS_EXPLICIT, 128}};
    for (size_t i = 0; i < 4; i++) {
        struct dicom_meta meta = parse(cases[i].bytes);
        assert_true(meta.guessed);
        assert_int_equal(meta.has_preamble, meta.data_offset == DICOM_PREAMBLE_SIZE);
        assert_string_equal(meta.transfer_syntax, cases[i].syntax);
        assert_int_equal(meta.data_offset, cases[i].offset);
        buffer_free(cases[i].bytes);
    }
}

static void what_is_no_dicom_is_refused(void **state)
{
    (void)state;
    uint8_t zeros[200] = {0};
    assert_no_dicom(zeros, sizeof zeros);
    assert_no_dicom("%PDF-1.4 and so on, no DICOM at all", 30);
    memcpy(zeros + 128, "DICN", 4);
    assert_no_dicom(zeros, sizeof zeros);
    memcpy(zeros + 128, "DICM", 4);
    assert_refused(zeros, 132);
    assert_refused(zeros, sizeof zeros);
}

static void uids_are_cut_at_nul_and_stay_out_when_too_long(void **state)
{
    (void)state;
    struct buffer file = sample_file();
    char uid[DICOM_UID_SIZE + 1];
    memset(uid, '1', sizeof uid);
    file.size = 144; // group length only
    put_explicit(&file, DICOM_TAG(0x0002, 0x0002), "UI", "1.2 \0x", 6);
    put_explicit(&file, DICOM_TAG(0x0002, 0x0003), "UI", uid, sizeof uid);
    put_explicit(&file, DICOM_TAG(0x0002, 0x0010), "UI", "1.2.840.10008.1.2\0", 18);
    struct dicom_meta meta = parse(&file);
    assert_string_equal(meta.sop_instance, "");
    assert_string_equal(meta.sop_class, "1.2");
    assert_string_equal(meta.transfer_syntax, DICOM_TS_IMPLICIT);
    buffer_free(&file);
}

int run_part10_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(the_preamble_may_hold_anything),
        cmocka_unit_test(a_wrong_group_length_is_passed_over),
        cmocka_unit_test(a_deflated_data_set_that_looks_like_group_2_is_not_taken_for_it),
        cmocka_unit_test(every_cut_of_the_meta_information_is_refused),
        cmocka_unit_test(an_unknown_vr_in_group_2_is_refused),
        cmocka_unit_test(meta_information_in_any_encoding_is_read),
        cmocka_unit_test(a_bare_data_set_is_recognised),
        cmocka_unit_test(what_is_no_dicom_is_refused),
        cmocka_unit_test(uids_are_cut_at_nul_and_stay_out_when_too_long),
    };
    return cmocka_run_group_tests_name("part10", tests, NULL, NULL);
}
