// The examples are those of PS3.5 annexes H, I, J and K; what they read as in UTF-8 is from there, too. Real files are
// compared in test_oracle.c.
#include "tests.h"

#include "dicom/charset.h"

#define BAD "\uFFFD"

struct example {
    const char *charset;
    const char *text;
    const char *utf8;
};

static void assert_converted(const struct example *examples, size_t count, enum dicom_vr vr)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(dicom_charset_to_utf8(examples[i].charset, (const uint8_t *)examples[i].text,
                                                  strlen(examples[i].text), vr, &arena),
                            examples[i].utf8);
    arena_free(&arena);
}

static void names_in_the_standards_examples_are_read(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"\\ISO 2022 IR 87", "Yamada^Tarou=\033$B;3ED\033(B^\033$BB@O:\033(B=\033$B$d$^$@\033(B^\033$B$?$m$&\033(B",
         "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"ISO 2022 IR 13\\ISO 2022 IR 87",
         "\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\033$B;3ED\033(J^\033$BB@O:\033(J=\033$B$d$^$@\033(J^\033$B$?$m$&\033(J",
         "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
        {"\\ISO 2022 IR 149",
         "Hong^Gildong=\033$)C\xFB\xF3^\033$)C\xD1\xCE\xD4\xD7=\033$)C\xC8\xAB^\033$)C\xB1\xE6\xB5\xBF",
         "Hong^Gildong=洪^吉洞=홍^길동"},
        {"ISO_IR 192", "Wang^XiaoDong=王^小東=", "Wang^XiaoDong=王^小東="},
        {"GB18030", "Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB=", "Wang^XiaoDong=王^小东="},
        {"\\ISO 2022 IR 58", "Zhang^XiaoDong=\033$)A\xD5\xC5^\033$)A\xD0\xA1\xB6\xAB=", "Zhang^XiaoDong=张^小东="},
    };
    assert_converted(examples, sizeof examples / sizeof *examples, DICOM_VR_PN);
}

static void single_byte_sets_are_read(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"ISO_IR 100", "Buc^J\xE9r\xF4me", "Buc^Jérôme"},
        {"ISO_IR 144", "\xBB\xEE\xDA\x63\x65\xDC\xD1\xD9", "Люкceмбй"},
        {"ISO_IR 126", "\xC4\xE9\xEF\xED\xF5\xF3\xE9\xEF\xF2", "Διονυσιος"},
        {"ISO_IR 127", "\xE2\xC8\xC7\xE6\xEA", "قباني"},
        {"ISO_IR 166", "\xA1\xD2\xC3", "การ"},
        {"ISO_IR 203", "\xA4", "€"},
        {"ISO-IR 100", "\xE9", "é"}, // misspelt, but clear
        {"ISO 2022 IR 100\\ISO 2022 IR 144", "\xE9 \033-L\xD6 \\\xE9", "é ж \\é"},
    };
    assert_converted(examples, sizeof examples / sizeof *examples, DICOM_VR_LO);
}

static void delimiters_and_line_ends_bring_the_first_set_back(void **state)
{
    (void)state;
    static const struct example lines[] = {{"\\ISO 2022 IR 149", "\033$)C\xB1\xE6\r\n\xB1\xE6", "길\r\n" BAD BAD}};
    static const struct example names[] = {{"\\ISO 2022 IR 149", "\033$)C\xB1\xE6^\xB1", "길^" BAD}};
    static const struct example others[] = {{"\\ISO 2022 IR 149", "\033$)C\xB1\xE6^\xB1\xE6", "길^길"}};
    assert_converted(lines, 1, DICOM_VR_LT);
    assert_converted(names, 1, DICOM_VR_PN);
    assert_converted(others, 1, DICOM_VR_LO);
}

static void what_cannot_be_converted_is_marked_byte_for_byte(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"ISO_IR 999", "a\xE9z", "a" BAD "z"},
        {NULL, "\xE9\xE8", BAD BAD},
        {"", "\xE9", BAD},
        {"ISO_IR 192", "a\xC3(\xE2\x82", "a" BAD "(" BAD BAD},
        {"ISO_IR 126", "\xFF", BAD},
        {"\\ISO 2022 IR 87", "a\033$", "a" BAD "$"},
        {"\\ISO 2022 IR 87", "\033$B;", BAD},
        {"\\ISO 2022 IR 87", "\033", BAD},
        {"GB18030", "\x81", BAD},
    };
    assert_converted(examples, sizeof examples / sizeof *examples, DICOM_VR_LO);
    struct arena arena;
    arena_init(&arena, 1 << 20);
    assert_string_equal(dicom_charset_to_utf8("", (const uint8_t *)"a\0b", 3, DICOM_VR_LO, &arena), "a" BAD "b");
    assert_string_equal(dicom_charset_to_utf8("ISO_IR 192", (const uint8_t *)"a\0\xC3\xA9", 4, DICOM_VR_LO, &arena),
                        "a" BAD "é");
    arena_free(&arena);
}

static void a_second_byte_of_5c_is_no_backslash(void **state)
{
    (void)state;
    static const struct example examples[] = {{"GB18030", "\x81\x5C", "乗"}, {"GBK", "\x81\x5C", "乗"}};
    assert_converted(examples, 2, DICOM_VR_LO);
}

static void no_room_gives_null(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4);
    assert_null(dicom_charset_to_utf8("", (const uint8_t *)"long enough", 11, DICOM_VR_LO, &arena));
    assert_null(dicom_charset_to_utf8("", (const uint8_t *)"\xE9\xE9\xE9\xE9\xE9\xE9", 6, DICOM_VR_LO, &arena));
    arena_free(&arena);
}

static void a_term_that_is_none_is_told(void **state)
{
    (void)state;
    static const char *const known[] = {
        "", "ISO_IR 100", "ISO 2022 IR 6\\ISO 2022 IR 87", "\\ISO 2022 IR 149", "GB18030", "ISO_IR 192 ", "ISO-IR 100"};
    static const char *const unknown[] = {"ISO_IR 999", "utf8", "ISO_IR 100\\latin1", "x"};
    assert_true(dicom_charset_is_known(NULL));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_true(dicom_charset_is_known(known[i]));
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        assert_false(dicom_charset_is_known(unknown[i]));
}

int run_charset_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_in_the_standards_examples_are_read),
        cmocka_unit_test(single_byte_sets_are_read),
        cmocka_unit_test(delimiters_and_line_ends_bring_the_first_set_back),
        cmocka_unit_test(what_cannot_be_converted_is_marked_byte_for_byte),
        cmocka_unit_test(a_second_byte_of_5c_is_no_backslash),
        cmocka_unit_test(no_room_gives_null),
        cmocka_unit_test(a_term_that_is_none_is_told),
    };
    return cmocka_run_group_tests_name("charset", tests, NULL, NULL);
}
