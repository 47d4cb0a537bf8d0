// The examples are those of PS3.5 annexes H, I, J and K; what they read as in UTF-8 is from there, too. Real files are
// compared in test_oracle.c.
#include "tests.h"

#include "dicom/charset.h"

#define BAD "\uFFFD"

struct example {
    const char *charset;
    const char *text;
    const char *utf8; // unreadable where it has U+FFFD
};

static void assert_read(const struct dicom_charset *charset, enum dicom_vr vr, const struct example *example,
                        struct arena *arena)
{
    bool readable;
    const char *text =
        dicom_charset_to_utf8(charset, vr, (const uint8_t *)example->text, strlen(example->text), arena, &readable);
    assert_string_equal(text, example->utf8);
    assert_int_equal(readable, !strstr(example->utf8, BAD));
}

static void assert_converted(const struct example *examples, size_t count, enum dicom_vr vr)
{
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < count; i++)
        assert_read(&(struct dicom_charset){.said = examples[i].charset}, vr, &examples[i], &arena);
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
    static const struct example lines[] = {{"ISO_IR 101\\ISO 2022 IR 149", "\033$)C\xB1\xE6\r\n\xB1\xE6", "길\r\nąć"}};
    static const struct example names[] = {{"ISO_IR 101\\ISO 2022 IR 149", "\033$)C\xB1\xE6^\xB1", "길^ą"}};
    static const struct example others[] = {{"ISO_IR 101\\ISO 2022 IR 149", "\033$)C\xB1\xE6^\xB1\xE6", "길^길"}};
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
    const struct dicom_charset none = {0}, utf8 = {.said = "ISO_IR 192"};
    assert_string_equal(dicom_charset_to_utf8(&none, DICOM_VR_LO, (const uint8_t *)"a\0b", 3, &arena, NULL),
                        "a" BAD "b");
    assert_string_equal(dicom_charset_to_utf8(&utf8, DICOM_VR_LO, (const uint8_t *)"a\0\xC3\xA9", 4, &arena, NULL),
                        "a" BAD "é");
    arena_free(&arena);
}

static void a_second_byte_of_5c_is_no_backslash(void **state)
{
    (void)state;
    static const struct example examples[] = {{"GB18030", "\x81\x5C", "乗"}, {"GBK", "\x81\x5C", "乗"}};
    assert_converted(examples, 2, DICOM_VR_LO);
}

static void misspelt_terms_mean_what_they_look_like(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"ISO IR 192", "M\xC3\xBCller", "Müller"},
        {"ISO-IR 192", "M\xC3\xBCller", "Müller"},
        {"ISO_IR192", "M\xC3\xBCller", "Müller"},
        {"ISO_IR_192", "M\xC3\xBCller", "Müller"},
        {"iso_ir 192", "M\xC3\xBCller", "Müller"},
        {"ISO 2022 IR 192", "M\xC3\xBCller", "Müller"},
        {"UTF-8", "M\xC3\xBCller", "Müller"},
        {"utf8", "M\xC3\xBCller", "Müller"},
        {"UNICODE UTF-8", "M\xC3\xBCller", "Müller"},
        {"ISO IR 100", "M\xFCller", "Müller"},
        {"ISO_IR100", "M\xFCller", "Müller"},
        {"ISO8859-1", "M\xFCller", "Müller"},
        {"ISO-8859-1", "M\xFCller", "Müller"},
        {"latin1", "M\xFCller", "Müller"},
        {"ISO_2022_IR_100", "M\xFCller", "Müller"},
        {"windows-1252", "M\xFCller \x93x\x94", "Müller “x”"},
        {"ISO 8859-5", "\xBB\xEE\xDA", "Люк"},
        {"ISO-2022-IR-144", "\xBB\xEE\xDA", "Люк"},
        {"windows-1251", "\xCB\xFE\xEA", "Люк"},
        {"GB2312", "\xCD\xF5^\xD0\xA1\xB6\xAB", "王^小东"},
        {"GB 18030", "\xCD\xF5^\xD0\xA1\xB6\xAB", "王^小东"},
        {"ISO 2022 GBK", "\xCD\xF5^\xD0\xA1\xB6\xAB", "王^小东"},
        {"ISO 2022 IR 6\\ISO 2022 58", "\033$)A\xCD\xF5", "王"},
        {"EUC-KR", "\xB1\xE6\xB5\xBF", "길동"},
        {"Shift_JIS", "\x8E\x52\x93\x63", "山田"},
        {"Big5", "\xA4\xFD", "王"},
    };
    assert_converted(examples, sizeof examples / sizeof *examples, DICOM_VR_PN);
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        assert_true(dicom_charset_is_known(examples[i].charset));
}

static void utf8_is_its_own_witness(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {NULL, "M\xC3\xBCller", "Müller"},
        {"ISO_IR 6", "\xE7\x8E\x8B", "王"},
        {"ISO_IR 100", "M\xC3\xBCller", "Müller"},
        {"ISO_IR 148", "M\xC3\xBCller", "Müller"},
        {"ISO_IR 166", "\xE0\xB8\x81\xE0\xB8\xB2\xE0\xB8\xA3", "การ"}, // has bytes that are no Thai
        {"\\ISO 2022 IR 87", "M\xC3\xBCller", "Müller"},
        {"ISO_IR 999", "M\xC3\xBCller", "Müller"},
        {"ISO_IR 101", "P\xD3\xA3TORAK", "PÓŁTORAK"}, // which would be valid UTF-8
        {"ISO_IR 144", "\xC7\xB0\xC8\xB0", "ЧАША"},
        {"GB18030", "\xC4\xAA", "莫"},
        {NULL, "M\xC3\xBCller \xFC", "M" BAD BAD "ller " BAD},
        {NULL, BAD "ller", BAD "ller"}, // somebody else could not read it
        {"ISO_IR 192", "M" BAD "ller", "M" BAD "ller"},
    };
    assert_converted(examples, sizeof examples / sizeof *examples, DICOM_VR_PN);
}

static void multi_byte_text_under_a_single_byte_set_is_read_where_it_shows(void **state)
{
    (void)state;
    static const struct example examples[] = {
        {"ISO_IR 13", "\xD4\xCF\xC0\xDE^\xC0\xDB\xB3=\x8E\x52\x93\x63^\x91\xBE\x98\x59", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"},
        {"ISO 2022 IR 13\\ISO 2022 IR 87", "\x83\x5C\x83\x60", "ソチ"}, // a second byte of 5CH
        {"ISO_IR 13", "\x8E", BAD},
        {"ISO_IR 100", "\033$B;3ED\033(B", "山田"},        // announced by nobody
        {"\\ISO 2022 IR 149", "\xB1\xE6\xB5\xBF", "길동"}, // without its escape
        {"\\GB18030", "\xCD\xF5", "王"},
        {"ISO_IR 100", "\x81\x40", BAD "@"}, // GBK: nothing tells it
        {"ISO_IR 100", "a\x85z", "a" BAD "z"},
    };
    assert_converted(examples, sizeof examples / sizeof *examples, DICOM_VR_PN);
}

static void what_the_sender_is_known_for_stands_in_for_what_is_not_said(void **state)
{
    (void)state;
    static const struct {
        const char *otherwise;
        struct example example;
    } rows[] = {
        {"ISO_IR 100", {NULL, "M\xFCller", "Müller"}},
        {"ISO_IR 100", {"", "M\xC3\xBCller", "Müller"}}, // and yet
        {"ISO_IR 100", {"ISO_IR 6", "M\xFCller", "Müller"}},
        {"GB18030", {"ISO 2022 IR 6", "\xCD\xF5", "王"}},
        {"GB18030", {"ISO_IR 999", "\xCD\xF5", "王"}},
        {"GB18030", {NULL, "\xC4\xAA", "莫"}},
        {"ISO 2022 IR 6\\ISO 2022 IR 149", {NULL, "\033$)C\xB1\xE6^\xB1\xE6", "길^길"}},
        {"ISO_IR 100", {"ISO_IR 101", "\xB1\xE6", "ąć"}}, // something is said
        {"ISO_IR 100", {"ISO_IR 192", "M\xFCller", "M" BAD "ller"}},
        {"GB18030", {NULL, "\xFF", BAD}},
    };
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_read(&(struct dicom_charset){rows[i].example.charset, rows[i].otherwise}, DICOM_VR_PN, &rows[i].example,
                    &arena);
    arena_free(&arena);
}

static void no_room_gives_null(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4);
    const struct dicom_charset none = {0};
    assert_null(dicom_charset_to_utf8(&none, DICOM_VR_LO, (const uint8_t *)"long enough", 11, &arena, NULL));
    assert_null(
        dicom_charset_to_utf8(&none, DICOM_VR_LO, (const uint8_t *)"\xE9\xE9\xE9\xE9\xE9\xE9", 6, &arena, NULL));
    arena_free(&arena);
}

static void a_term_that_is_none_is_told(void **state)
{
    (void)state;
    static const char *const known[] = {
        "", "ISO_IR 100", "ISO 2022 IR 6\\ISO 2022 IR 87", "\\ISO 2022 IR 149", "GB18030", "ISO_IR 192 ", "ISO-IR 100"};
    static const char *const unknown[] = {"ISO_IR 999", "ISO_IR 100\\x", "x",
                                          "192",        "ISO 2022",      "ISO_IR",
                                          "UTF-16",     "utf8; rm -rf",  "ISO_IR 100 and more that no term has",
                                          "\xFC"};
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
        cmocka_unit_test(misspelt_terms_mean_what_they_look_like),
        cmocka_unit_test(utf8_is_its_own_witness),
        cmocka_unit_test(multi_byte_text_under_a_single_byte_set_is_read_where_it_shows),
        cmocka_unit_test(what_the_sender_is_known_for_stands_in_for_what_is_not_said),
        cmocka_unit_test(no_room_gives_null),
        cmocka_unit_test(a_term_that_is_none_is_told),
    };
    return cmocka_run_group_tests_name("charset", tests, NULL, NULL);
}
