#include "tests.h"

#include "dicom/part10.h"
#include "dicom/writer.h"

static void write_sample(struct dicom_writer *w)
{
    dicom_write_text(w, DICOM_TAG(0x0008, 0x0005), "ISO_IR 192");
    dicom_write_text(w, DICOM_TAG(0x0008, 0x0008), "DERIVED\\SECONDARY");
    dicom_write_text(w, DICOM_TAG(0x0008, 0x0016), "1.2.840.10008.5.1.4.1.1.7");
    dicom_write_text(w, DICOM_TAG(0x0008, 0x0018), "1.2.3.4");
    dicom_write_text(w, DICOM_TAG(0x0008, 0x0020), "20261124");
    dicom_write_text(w, DICOM_TAG(0x0008, 0x0050), NULL);
    dicom_write_text(w, DICOM_TAG(0x0008, 0x0060), "OT");
    dicom_write_printf(w, DICOM_TAG(0x0008, 0x103E), "series %d", 7);
    dicom_write_sequence(w, DICOM_TAG(0x0008, 0x1140));
    for (int i = 0; i < 2; i++) {
        dicom_write_item(w);
        dicom_write_text(w, DICOM_TAG(0x0008, 0x1150), "1.2.840.10008.5.1.4.1.1.2");
        dicom_write_printf(w, DICOM_TAG(0x0008, 0x1155), "1.2.3.%d", i);
        dicom_write_item_end(w);
    }
    dicom_write_sequence_end(w);
    dicom_write_sequence(w, DICOM_TAG(0x0008, 0x2112));
    dicom_write_sequence_end(w);
    dicom_write_text(w, DICOM_TAG(0x0010, 0x0010), "M\xC3\xBCller^J\xC3\xBCrgen");
    dicom_write_text(w, DICOM_TAG(0x0010, 0x0020), "odd");
    dicom_write_double(w, DICOM_TAG(0x0018, 0x0050), 1.5);
    dicom_write_integer(w, DICOM_TAG(0x0020, 0x0013), -12);
    static const double orientation[] = {1, 0, 0, 0, -0.33333333333333331, 1e-20};
    dicom_write_doubles(w, DICOM_TAG(0x0020, 0x0037), orientation, 6);
    dicom_write_integer(w, DICOM_TAG(0x0020, 0x9165), DICOM_TAG(0x0020, 0x0032));
    dicom_write_integer(w, DICOM_TAG(0x0028, 0x0002), 1);
    dicom_write_text(w, DICOM_TAG(0x0028, 0x0004), "MONOCHROME2");
    dicom_write_integer(w, DICOM_TAG(0x0028, 0x0010), 2);
    dicom_write_integer(w, DICOM_TAG(0x0028, 0x0011), 1);
    dicom_write_integer(w, DICOM_TAG(0x0028, 0x0100), 16);
    dicom_write_integer(w, DICOM_TAG(0x0028, 0x0101), 16);
    dicom_write_integer(w, DICOM_TAG(0x0028, 0x0102), 15);
    dicom_write_integer(w, DICOM_TAG(0x0028, 0x0103), 1);
    dicom_write_integer(w, DICOM_TAG(0x0028, 0x0106), -5);
    static const int64_t descriptor[] = {256, 0, 16};
    dicom_write_integers(w, DICOM_TAG(0x0028, 0x3002), descriptor, 3);
    dicom_write_bytes(w, DICOM_TAG(0x0029, 0x0010), DICOM_VR_LO, "HILUM", 5);
    dicom_write_bytes(w, DICOM_TAG(0x0029, 0x1001), DICOM_VR_OB, "abc", 3);
    dicom_write_double(w, DICOM_TAG(0x0040, 0x9225), 0.1);
    dicom_write_bytes(w, DICOM_TAG(0x7FE0, 0x0010), DICOM_VR_OW, "\1\0\2\0", 4);
}

static struct buffer sample_file(bool implicit)
{
    struct buffer file;
    struct dicom_writer writer;
    struct error err = {0};
    struct dicom_meta meta = {.sop_class = "1.2.840.10008.5.1.4.1.1.7", .sop_instance = "1.2.3.4"};
    snprintf(meta.transfer_syntax, sizeof meta.transfer_syntax, "%s", implicit ? DICOM_TS_IMPLICIT : DICOM_TS_EXPLICIT);
    buffer_init(&file, 1 << 20);
    dicom_meta_write(&file, &meta);
    dicom_writer_init(&writer, &file, implicit);
    write_sample(&writer);
    assert_true(buffer_check(&file, "sample", &err));
    return file;
}

// What pydicom says of a file, any warning being an error.
static const char script[] =
    "import sys, warnings, pydicom\n"
    "warnings.simplefilter('error')\n"
    "pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE\n"
    "d = pydicom.dcmread(sys.argv[1])\n"
    "d.walk(lambda d, e: str(e))\n"
    "r = d.ReferencedImageSequence\n"
    "assert str(d.PatientName) == 'M\\u00fcller^J\\u00fcrgen', d.PatientName\n"
    "assert d.PatientID == 'odd' and d.InstanceNumber == -12 and d.SliceThickness == 1.5\n"
    "assert d.ImageType == ['DERIVED', 'SECONDARY'] and d.AccessionNumber == '' and d.SeriesDescription == 'series 7'\n"
    "assert [i.ReferencedSOPInstanceUID for i in r] == ['1.2.3.0', '1.2.3.1'] and len(d.SourceImageSequence) == 0\n"
    "assert all(abs(a - b) < 1e-12 for a, b in zip(d.ImageOrientationPatient, [1, 0, 0, 0, -1 / 3, 1e-20])), "
    "d.ImageOrientationPatient\n"
    "assert d.DimensionIndexPointer == 0x00200032 and d.LUTDescriptor == [256, 0, 16] and d.RealWorldValueSlope == "
    "0.1\n"
    "assert d.PixelData == bytes([1, 0, 2, 0]) and d.file_meta.ImplementationVersionName.startswith('HILUM')\n"
    "assert d[0x00291001].value == b'abc\\0' and d.SmallestImagePixelValue == (-5 if len(sys.argv) < 3 else "
    "d.SmallestImagePixelValue)\n";

static void pydicom_reads_what_is_written(void **state)
{
    (void)state;
    for (int implicit = 0; implicit < 2; implicit++) {
        struct buffer file = sample_file(implicit), output;
        const char *path = temporary("written.dcm");
        save_file(path, file.data, file.size);
        const char *const argv[] = {"/usr/bin/python3", "-c", script, path, implicit ? "implicit" : NULL, NULL};
        run_well(argv, &output);
        buffer_free(&output);
        buffer_free(&file);
    }
}

static void dcmdump_reads_what_is_written_without_a_warning(void **state)
{
    (void)state;
    for (int implicit = 0; implicit < 2; implicit++) {
        struct buffer file = sample_file(implicit), output;
        const char *path = temporary("written.dcm");
        save_file(path, file.data, file.size);
        const char *const argv[] = {"dcmdump", path, NULL};
        run_well(argv, &output);
        assert_null(strstr((char *)output.data, "W:"));
        assert_null(strstr((char *)output.data, "E:"));
        assert_non_null(strstr((char *)output.data, "[odd]"));
        buffer_free(&output);
        buffer_free(&file);
    }
}

static void a_text_too_long_for_its_vr_goes_as_un(void **state)
{
    (void)state;
    struct buffer bytes;
    struct dicom_writer writer;
    struct arena arena;
    static char text[70001];
    memset(text, 'x', 70000);
    buffer_init(&bytes, 1 << 20);
    arena_init(&arena, 1 << 22);
    dicom_writer_init(&writer, &bytes, false);
    dicom_write_text(&writer, DICOM_TAG(0x0010, 0x4000), text);
    const struct dicom_dataset *dataset = parse_bytes(&bytes, DICOM_TS_EXPLICIT, &arena);
    assert_int_equal(dataset->count, 1);
    assert_int_equal(dataset->elements[0].length, 70000);
    assert_memory_equal(bytes.data + 4, "UN", 2);
    arena_free(&arena);
    buffer_free(&bytes);
}

static void decimal_strings_keep_what_16_characters_hold(void **state)
{
    (void)state;
    static const double values[] = {0,       -0.1,   1e300, -1.2345678901234567e-300, 123456789012345678.0,
                                    1.0 / 3, 100000, 2.5e-7};
    struct buffer bytes;
    struct dicom_writer writer;
    struct arena arena;
    buffer_init(&bytes, 1 << 20);
    arena_init(&arena, 1 << 20);
    dicom_writer_init(&writer, &bytes, false);
    dicom_write_doubles(&writer, DICOM_TAG(0x0018, 0x0050), values, 8);
    const struct dicom_dataset *dataset = parse_bytes(&bytes, DICOM_TS_EXPLICIT, &arena);
    for (size_t i = 0; i < 8; i++) {
        const char *text = dicom_text_at(dataset, DICOM_TAG(0x0018, 0x0050), i, &arena);
        double number;
        assert_true(strlen(text) <= 16);
        assert_true(dicom_number(dataset, DICOM_TAG(0x0018, 0x0050), i, &number));
        double off = number - values[i];
        double allowed = 1e-8 * (values[i] < 0 ? -values[i] : values[i]);
        assert_true(off <= allowed && -off <= allowed);
    }
    assert_string_equal(dicom_text_at(dataset, DICOM_TAG(0x0018, 0x0050), 1, &arena), "-0.1");
    assert_string_equal(dicom_text_at(dataset, DICOM_TAG(0x0018, 0x0050), 5, &arena), "0.33333333333333");
    arena_free(&arena);
    buffer_free(&bytes);
}

static void what_cannot_be_written_fails_the_buffer(void **state)
{
    (void)state;
    struct buffer bytes;
    struct dicom_writer writer;
    struct error err = {0};
    double nan = strtod("nan", NULL);
    buffer_init(&bytes, 1 << 20);
    dicom_writer_init(&writer, &bytes, false);
    dicom_write_double(&writer, DICOM_TAG(0x0018, 0x0050), nan);
    assert_false(buffer_check(&bytes, "sample", &err));
    buffer_free(&bytes);
    buffer_init(&bytes, 40);
    dicom_writer_init(&writer, &bytes, false);
    write_sample(&writer);
    assert_false(buffer_check(&bytes, "sample", &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    buffer_free(&bytes);
}

int run_writer_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pydicom_reads_what_is_written),
        cmocka_unit_test(dcmdump_reads_what_is_written_without_a_warning),
        cmocka_unit_test(a_text_too_long_for_its_vr_goes_as_un),
        cmocka_unit_test(decimal_strings_keep_what_16_characters_hold),
        cmocka_unit_test(what_cannot_be_written_fails_the_buffer),
    };
    return cmocka_run_group_tests_name("writer", tests, NULL, NULL);
}
