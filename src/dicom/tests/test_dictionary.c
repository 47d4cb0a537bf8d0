#include "tests.h"

static void attributes_are_found_by_tag_and_keyword(void **state)
{
    (void)state;
    const struct dicom_attribute *row = dicom_attribute(DICOM_TAG(0x0010, 0x0010));
    assert_string_equal(row->keyword, "PatientName");
    assert_int_equal(row->vr, DICOM_VR_PN);
    assert_ptr_equal(dicom_attribute_by_keyword("PatientName"), row);
    assert_string_equal(dicom_attribute(DICOM_TAG(0x0000, 0x0002))->keyword, "AffectedSOPClassUID");
    assert_string_equal(dicom_attribute(DICOM_TAG(0xFFFC, 0xFFFC))->keyword, "DataSetTrailingPadding");
    assert_null(dicom_attribute_by_keyword("PatientNam"));
    assert_null(dicom_attribute_by_keyword(""));
    assert_null(dicom_attribute(DICOM_TAG(0x0010, 0x0011)));
}

static void ambiguous_vrs_have_their_standard_one(void **state)
{
    (void)state;
    const struct dicom_attribute *padding = dicom_attribute_by_keyword("PixelPaddingValue");
    assert_int_equal(padding->vr, DICOM_VR_US);
    assert_true(padding->vr_by_pixels);
    const struct dicom_attribute *pixels = dicom_attribute_by_keyword("PixelData");
    assert_int_equal(pixels->vr, DICOM_VR_OW);
    assert_false(pixels->vr_by_pixels);
}

static void repeating_groups_are_found_under_each_member(void **state)
{
    (void)state;
    assert_string_equal(dicom_attribute(DICOM_TAG(0x6000, 0x3000))->keyword, "OverlayData");
    assert_string_equal(dicom_attribute(DICOM_TAG(0x601E, 0x3000))->keyword, "OverlayData");
    assert_string_equal(dicom_attribute(DICOM_TAG(0x5002, 0x3000))->keyword, "CurveData");
    assert_string_equal(dicom_attribute(DICOM_TAG(0x0020, 0x3142))->keyword, "SourceImageIDs");
    assert_string_equal(dicom_attribute(DICOM_TAG(0x0028, 0x0421))->keyword, "ColumnsForNthOrderCoefficients");
    assert_string_equal(dicom_attribute(DICOM_TAG(0x7FE0, 0x0010))->keyword, "PixelData");
    assert_null(dicom_attribute(DICOM_TAG(0x6001, 0x3000))); // private
}

static void private_creators_and_group_lengths_are_known(void **state)
{
    (void)state;
    assert_int_equal(dicom_attribute(DICOM_TAG(0x0009, 0x0010))->vr, DICOM_VR_LO);
    assert_int_equal(dicom_attribute(DICOM_TAG(0x0009, 0x0000))->vr, DICOM_VR_UL);
    assert_int_equal(dicom_attribute(DICOM_TAG(0x0010, 0x0000))->vr, DICOM_VR_UL);
    assert_null(dicom_attribute(DICOM_TAG(0x0009, 0x1001)));
}

static void tags_are_read_from_text(void **state)
{
    (void)state;
    static const char *const good[] = {"PatientID", "00100020", "0010,0020"};
    for (size_t i = 0; i < 3; i++) {
        dicom_tag tag = 0;
        assert_true(dicom_tag_parse(good[i], &tag));
        assert_int_equal(tag, DICOM_TAG(0x0010, 0x0020));
    }
    static const char *const bad[] = {"",          "0010002",    "001000200", "0010,002", "00,100020",
                                      "patientid", "0010,,0020", "0010002G",  "00100020,"};
    dicom_tag tag = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(dicom_tag_parse(bad[i], &tag));
    assert_int_equal(tag, 7);
    char text[DICOM_TAG_TEXT_SIZE];
    assert_string_equal(dicom_tag_text(text, DICOM_TAG(0x7FE0, 0x0010)), "(7FE0,0010)");
}

static void uids_are_held_to_their_form(void **state)
{
    (void)state;
    assert_true(dicom_uid_is_valid("1.2.840.10008.1.2", 17));
    assert_true(dicom_uid_is_valid("1.02.3", 6)); // leading zeros occur
    char longest[65];
    memset(longest, '1', sizeof longest);
    assert_true(dicom_uid_is_valid(longest, 64));
    assert_false(dicom_uid_is_valid(longest, 65));
    static const char *const bad[] = {"", ".", "..", "1.", ".1", "1..2", "1.a", "/etc", "1 2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(dicom_uid_is_valid(bad[i], strlen(bad[i])));
    assert_false(dicom_uid_is_valid("1.2\0", 4));
}

// The digits were computed with Python's integers.
static void uids_from_digests_are_uuids(void **state)
{
    (void)state;
    static const uint8_t digest[16] = {0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x11, 0xd0,
                                       0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6};
    static const uint8_t zeros[16];
    char uid[DICOM_UID_SIZE];
    dicom_uid_from_digest(uid, digest);
    assert_string_equal(uid, "2.25.329800735698587158200688059911770106870");
    dicom_uid_from_digest(uid, zeros);
    assert_string_equal(uid, "2.25.604472133179351442128896");
    assert_true(dicom_uid_is_valid(uid, strlen(uid)));
}

static void storage_classes_are_told_from_others(void **state)
{
    (void)state;
    assert_true(dicom_sop_class_is_storage("1.2.840.10008.5.1.4.1.1.2"));
    assert_true(dicom_sop_class_is_storage("1.2.840.10008.5.1.4.1.1.66.7")); // newer than the table
    assert_true(dicom_sop_class_is_storage("1.2.840.10008.5.1.4.34.7"));
    assert_true(dicom_sop_class_is_storage("1.3.12.2.1107.5.9.1"));
    assert_false(dicom_sop_class_is_storage("1.2.840.10008.1.1"));
    assert_false(dicom_sop_class_is_storage("1.2.840.10008.5.1.4.1.2.2.1"));
    assert_false(dicom_sop_class_is_storage("../x"));
    assert_string_equal(dicom_sop_class("1.2.840.10008.5.1.4.1.1.2")->name, "CT Image Storage");
}

static void unknown_transfer_syntaxes_are_explicit_and_encapsulated(void **state)
{
    (void)state;
    assert_null(dicom_transfer_syntax("1.2.3"));
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_or_default("1.2.3");
    assert_true(syntax->encapsulated);
    assert_false(syntax->implicit_vr || syntax->big_endian || syntax->deflated);
    assert_true(dicom_transfer_syntax(DICOM_TS_IMPLICIT)->implicit_vr);
    assert_true(dicom_transfer_syntax(DICOM_TS_DEFLATED)->deflated);
    assert_true(dicom_transfer_syntax(DICOM_TS_BIG_ENDIAN)->big_endian);
}

int run_dictionary_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_are_found_by_tag_and_keyword),
        cmocka_unit_test(ambiguous_vrs_have_their_standard_one),
        cmocka_unit_test(repeating_groups_are_found_under_each_member),
        cmocka_unit_test(private_creators_and_group_lengths_are_known),
        cmocka_unit_test(tags_are_read_from_text),
        cmocka_unit_test(uids_are_held_to_their_form),
        cmocka_unit_test(uids_from_digests_are_uuids),
        cmocka_unit_test(storage_classes_are_told_from_others),
        cmocka_unit_test(unknown_transfer_syntaxes_are_explicit_and_encapsulated),
    };
    return cmocka_run_group_tests_name("dictionary", tests, NULL, NULL);
}
