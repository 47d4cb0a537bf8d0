#include "tests.h"

#include "base/clock.h"

#define CHARSET DICOM_TAG(0x0008, 0x0005)
#define MODALITY DICOM_TAG(0x0008, 0x0060)
#define REFERENCES DICOM_TAG(0x0008, 0x1140)
#define PATIENT_NAME DICOM_TAG(0x0010, 0x0010)
#define PATIENT_ID DICOM_TAG(0x0010, 0x0020)
#define COMMENTS DICOM_TAG(0x0010, 0x4000)
#define THICKNESS DICOM_TAG(0x0018, 0x0050)
#define INSTANCE_NUMBER DICOM_TAG(0x0020, 0x0013)
#define ROWS DICOM_TAG(0x0028, 0x0010)
#define SIGN DICOM_TAG(0x0028, 0x0103)
#define SMALLEST DICOM_TAG(0x0028, 0x0106)
#define PIXELS DICOM_TAG(0x7FE0, 0x0010)

struct fixture {
    struct buffer bytes;
    struct arena arena;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    buffer_init(&fixture.bytes, 1 << 24);
    arena_init(&fixture.arena, 1 << 24);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    buffer_free(&fixture->bytes);
    arena_free(&fixture->arena);
    return 0;
}

static void elements_are_found_in_order_or_not(void **state)
{
    struct fixture *f = *state;
    put_explicit(&f->bytes, PATIENT_ID, "LO", "id", 2);
    put_explicit(&f->bytes, MODALITY, "CS", "CT", 2);
    put_explicit(&f->bytes, MODALITY, "CS", "MR", 2);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    assert_int_equal(dataset->count, 3);
    assert_false(dataset->sorted);
    assert_string_equal(dicom_text(dataset, MODALITY, &f->arena), "CT");
    assert_null(dicom_find(dataset, PATIENT_NAME));
    buffer_clear(&f->bytes);
    put_explicit(&f->bytes, MODALITY, "CS", "CT", 2);
    put_explicit(&f->bytes, MODALITY, "CS", "MR", 2);
    put_explicit(&f->bytes, PATIENT_ID, "LO", "id", 2);
    dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    assert_true(dataset->sorted);
    assert_string_equal(dicom_text(dataset, MODALITY, &f->arena), "CT");
    assert_string_equal(dicom_text(dataset, PATIENT_ID, &f->arena), "id");
}

static void text_is_trimmed_as_its_vr_says(void **state)
{
    struct fixture *f = *state;
    put_explicit(&f->bytes, DICOM_TAG(0x0008, 0x0018), "UI", "1.2\0", 4);
    put_explicit(&f->bytes, MODALITY, "CS", " CT \\MR ", 8);
    put_explicit(&f->bytes, PATIENT_ID, "LO", "", 0);
    put_explicit(&f->bytes, COMMENTS, "LT", "  a\\b ", 6);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    char text[8];
    assert_string_equal(dicom_text(dataset, DICOM_TAG(0x0008, 0x0018), &f->arena), "1.2");
    assert_string_equal(dicom_text_at(dataset, MODALITY, 0, &f->arena), "CT");
    assert_string_equal(dicom_text_at(dataset, MODALITY, 1, &f->arena), "MR");
    assert_null(dicom_text_at(dataset, MODALITY, 2, &f->arena));
    assert_string_equal(dicom_text(dataset, MODALITY, &f->arena), "CT \\MR");
    assert_string_equal(dicom_text(dataset, PATIENT_ID, &f->arena), "");
    assert_string_equal(dicom_text(dataset, COMMENTS, &f->arena), "  a\\b");
    assert_string_equal(dicom_text_at(dataset, COMMENTS, 0, &f->arena), "  a\\b");
    assert_null(dicom_text(dataset, PATIENT_NAME, &f->arena));
    assert_true(dicom_text_copy(dataset, MODALITY, text, 3));
    assert_string_equal(text, "CT");
    assert_false(dicom_text_copy(dataset, MODALITY, text, 2));
    assert_string_equal(text, "");
    assert_false(dicom_text_copy(dataset, PATIENT_NAME, text, sizeof text));
    assert_int_equal(dicom_value_count(dataset, MODALITY), 2);
    assert_int_equal(dicom_value_count(dataset, PATIENT_ID), 0);
    assert_int_equal(dicom_value_count(dataset, COMMENTS), 1);
}

static void numbers_are_read_from_any_numeric_vr(void **state)
{
    struct fixture *f = *state;
    const float single = 1.5f;
    const double twice = -0.25;
    put_explicit(&f->bytes, THICKNESS, "DS", "1.50 \\2e1 \\x ", 13);
    put_explicit(&f->bytes, INSTANCE_NUMBER, "IS", " +12\\9999999999999999999", 24);
    put_explicit(&f->bytes, DICOM_TAG(0x0020, 0x9165), "AT", "\x18\0\x50\0", 4);
    put_explicit(&f->bytes, ROWS, "US", "\x01\x02\xFF\xFF", 4);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1001), "SS", "\xFF\xFF", 2);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1002), "SL", "\xFE\xFF\xFF\xFF", 4);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1003), "FL", &single, 4);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1004), "FD", &twice, 8);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1005), "UV", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1006), "SV", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1007), "LO", "12", 2);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1008), "UL", "\1\2\3", 3); // too short
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    int64_t integer = -7;
    double number;
    assert_true(dicom_number(dataset, THICKNESS, 0, &number) && number == 1.5);
    assert_true(dicom_integer(dataset, THICKNESS, 1, &integer) && integer == 20);
    assert_false(dicom_integer(dataset, THICKNESS, 0, &integer));
    assert_false(dicom_number(dataset, THICKNESS, 2, &number));
    assert_false(dicom_number(dataset, THICKNESS, 3, &number));
    assert_true(dicom_integer(dataset, INSTANCE_NUMBER, 0, &integer) && integer == 12);
    assert_false(dicom_integer(dataset, INSTANCE_NUMBER, 1, &integer));
    assert_true(dicom_integer(dataset, DICOM_TAG(0x0020, 0x9165), 0, &integer) && integer == 0x00180050);
    assert_true(dicom_integer(dataset, ROWS, 0, &integer) && integer == 0x0201);
    assert_true(dicom_integer(dataset, ROWS, 1, &integer) && integer == 65535);
    assert_false(dicom_integer(dataset, ROWS, 2, &integer));
    assert_true(dicom_integer(dataset, DICOM_TAG(0x0029, 0x1001), 0, &integer) && integer == -1);
    assert_true(dicom_integer(dataset, DICOM_TAG(0x0029, 0x1002), 0, &integer) && integer == -2);
    assert_true(dicom_number(dataset, DICOM_TAG(0x0029, 0x1003), 0, &number) && number == 1.5);
    assert_true(dicom_number(dataset, DICOM_TAG(0x0029, 0x1004), 0, &number) && number == -0.25);
    assert_false(dicom_integer(dataset, DICOM_TAG(0x0029, 0x1004), 0, &integer));
    assert_false(dicom_integer(dataset, DICOM_TAG(0x0029, 0x1005), 0, &integer));
    assert_true(dicom_number(dataset, DICOM_TAG(0x0029, 0x1005), 0, &number) && number == 18446744073709551615.0);
    assert_true(dicom_integer(dataset, DICOM_TAG(0x0029, 0x1006), 0, &integer) && integer == -1);
    assert_false(dicom_integer(dataset, DICOM_TAG(0x0029, 0x1007), 0, &integer));
    assert_false(dicom_integer(dataset, DICOM_TAG(0x0029, 0x1008), 0, &integer));
    assert_int_equal(dicom_value_count(dataset, THICKNESS), 3);
    assert_int_equal(dicom_value_count(dataset, ROWS), 2);
}

static void big_endian_numbers_are_turned(void **state)
{
    struct fixture *f = *state;
    static const uint8_t data[] = "\x00\x20\x91\x65"
                                  "AT\0\x04\x00\x18\x00\x50"
                                  "\x00\x28\x00\x10"
                                  "US\0\x02\x01\x02";
    buffer_append(&f->bytes, data, sizeof data - 1);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_BIG_ENDIAN, &f->arena);
    int64_t integer;
    assert_true(dicom_integer(dataset, ROWS, 0, &integer) && integer == 0x0102);
    assert_true(dicom_integer(dataset, DICOM_TAG(0x0020, 0x9165), 0, &integer) && integer == 0x00180050);
}

static void pixels_alone_are_big_endian_in_ge_s_transfer_syntax(void **state)
{
    struct fixture *f = *state;
    put_item_tag(&f->bytes, DICOM_TAG(0x0008, 0x1140), UNDEFINED);
    put_item_tag(&f->bytes, ITEM, 10);
    put_implicit(&f->bytes, PIXELS, "\2\1", 2);
    put_item_tag(&f->bytes, SEQUENCE_END, 0);
    put_implicit(&f->bytes, ROWS, "\2\1", 2);
    put_implicit(&f->bytes, PIXELS, "\1\2\3\4", 4);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, "1.2.840.113619.5.2", &f->arena);
    const struct dicom_dataset *icon = dicom_item(dataset, DICOM_TAG(0x0008, 0x1140), 0);
    struct error err;
    int64_t integer;
    uint8_t pixels[4];
    assert_true(dicom_integer(dataset, ROWS, 0, &integer) && integer == 0x0102);
    assert_false(dicom_find(icon, PIXELS)->big_endian);
    assert_ok(dicom_value_read(dicom_find(dataset, PIXELS), NULL, 0, 4, pixels, &err), err);
    assert_memory_equal(pixels, "\2\1\4\3", 4); // as DCMTK and GDCM give them
}

static void papyrus_s_transfer_syntax_is_implicit(void **state)
{
    struct fixture *f = *state;
    int64_t integer;
    put_implicit(&f->bytes, ROWS, "\2\1", 2);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, "1.2.840.10008.1.20", &f->arena);
    assert_true(dicom_integer(dataset, ROWS, 0, &integer) && integer == 0x0102);
}

static void a_vr_that_is_none_gives_way_to_the_dictionary_s(void **state)
{
    struct fixture *f = *state;
    static const uint8_t data[] = "\x20\x00\x0D\x00"
                                  "??\4\0"
                                  "1.2\0"
                                  "\x28\x00\x10\x00"
                                  "??\2\0\2\1"
                                  "\x29\x00\x10\x10"
                                  "??\2\0ab";
    static const uint8_t big[] = "\x00\x28\x00\x10"
                                 "\0\0\0\2\1\2";
    int64_t integer;
    buffer_append(&f->bytes, data, sizeof data - 1);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    assert_string_equal(dicom_text(dataset, DICOM_TAG(0x0020, 0x000D), &f->arena), "1.2");
    assert_true(dicom_integer(dataset, ROWS, 0, &integer) && integer == 0x0102);
    assert_int_equal(dicom_find(dataset, DICOM_TAG(0x0029, 0x1010))->vr, DICOM_VR_UN);
    buffer_clear(&f->bytes);
    buffer_append(&f->bytes, big, sizeof big - 1);
    dataset = parse_bytes(&f->bytes, DICOM_TS_BIG_ENDIAN, &f->arena);
    assert_true(dicom_integer(dataset, ROWS, 0, &integer) && integer == 0x0102);
}

static void us_or_ss_follows_pixel_representation_here_or_outside(void **state)
{
    struct fixture *f = *state;
    struct buffer item;
    buffer_init(&item, 1 << 10);
    put_implicit(&item, SMALLEST, "\xFF\xFF", 2);
    put_item_tag(&f->bytes, DICOM_TAG(0x0008, 0x1140), UNDEFINED);
    put_implicit(&f->bytes, ITEM, item.data, item.size);
    put_item_tag(&f->bytes, SEQUENCE_END, 0);
    put_implicit(&f->bytes, SIGN, "\1\0", 2);
    buffer_append(&f->bytes, item.data, item.size);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_IMPLICIT, &f->arena);
    int64_t integer;
    assert_int_equal(dicom_effective_vr(dataset, dicom_find(dataset, SMALLEST)), DICOM_VR_SS);
    assert_true(dicom_integer(dataset, SMALLEST, 0, &integer) && integer == -1);
    assert_true(dicom_integer(dicom_item(dataset, DICOM_TAG(0x0008, 0x1140), 0), SMALLEST, 0, &integer) &&
                integer == -1);
    buffer_clear(&f->bytes);
    buffer_append(&f->bytes, item.data, item.size);
    dataset = parse_bytes(&f->bytes, DICOM_TS_IMPLICIT, &f->arena);
    assert_true(dicom_integer(dataset, SMALLEST, 0, &integer) && integer == 65535);
    buffer_free(&item);
    // What the stream says stands.
    buffer_clear(&f->bytes);
    put_explicit(&f->bytes, SIGN, "US", "\1\0", 2);
    put_explicit(&f->bytes, SMALLEST, "US", "\xFF\xFF", 2);
    dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    assert_true(dicom_integer(dataset, SMALLEST, 0, &integer) && integer == 65535);
}

static void lookup_table_data_is_words_unless_it_is_one_value(void **state)
{
    struct fixture *f = *state;
    for (int single = 0; single < 2; single++) {
        buffer_clear(&f->bytes);
        put_implicit(&f->bytes, DICOM_TAG(0x0028, 0x3002), single ? "\1\0\0\0\x10\0" : "\2\0\0\0\x10\0", 6);
        put_implicit(&f->bytes, DICOM_TAG(0x0028, 0x3006), "\1\0\2\0", 4);
        const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_IMPLICIT, &f->arena);
        int64_t value;
        assert_int_equal(dicom_effective_vr(dataset, dicom_find(dataset, DICOM_TAG(0x0028, 0x3006))),
                         single ? DICOM_VR_US : DICOM_VR_OW);
        assert_true(dicom_integer(dataset, DICOM_TAG(0x0028, 0x3006), 0, &value) == (single == 1));
    }
}

static bool is_readable(const struct buffer *bytes, const char *syntax, const char *charset, unsigned depth_max)
{
    const struct dicom_parse_options options = {
        .value_max = 16, .depth_max = depth_max, .charset = charset, .check_text = true};
    struct source_memory memory = {bytes->data, bytes->size};
    const struct dicom_dataset *dataset;
    struct arena arena;
    struct error err;
    arena_init(&arena, 1 << 20);
    assert_ok(dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(syntax), &options, &arena, &dataset, &err),
              err);
    bool readable = !dataset->unreadable;
    arena_free(&arena);
    return readable;
}

// Where nothing says it, in a sequence, in one that is sent as UN, in a long value, in a VR that has no character set.
static void unreadable_text_is_told_wherever_it_stands(void **state)
{
    struct fixture *f = *state;
    struct buffer item, un;
    char longer[100];
    memset(longer, '\xFC', sizeof longer);
    for (int place = 0; place < 6; place++) {
        buffer_init(&item, 1 << 10);
        buffer_init(&un, 1 << 10);
        buffer_clear(&f->bytes);
        put_item_tag(&un, ITEM, 12);
        put_implicit(&un, PATIENT_NAME, "M\xFCll", 4);
        put_explicit(&item, PATIENT_NAME, "PN", "M\xFCll", 4);
        if (place == 1 || place == 2) {
            put_header(&f->bytes, REFERENCES, "SQ", UNDEFINED);
            put_item_tag(&f->bytes, ITEM, (uint32_t)item.size);
            buffer_append(&f->bytes, item.data, item.size);
            put_item_tag(&f->bytes, SEQUENCE_END, 0);
        }
        if (place == 3)
            put_explicit(&f->bytes, REFERENCES, "UN", un.data, un.size);
        if (place == 0)
            put_explicit(&f->bytes, PATIENT_NAME, "PN", "M\xFCll", 4);
        if (place == 4)
            put_explicit(&f->bytes, COMMENTS, "LT", longer, sizeof longer);
        if (place == 5)
            put_explicit(&f->bytes, MODALITY, "CS", "M\xFC", 2);
        unsigned depth_max = place == 2 ? DICOM_DEPTH_MAX : 0;
        assert_false(is_readable(&f->bytes, DICOM_TS_EXPLICIT, NULL, depth_max));
        assert_true(is_readable(&f->bytes, DICOM_TS_EXPLICIT, "ISO_IR 100", depth_max));
        buffer_free(&item);
        buffer_free(&un);
    }
}

static void an_item_s_own_character_set_is_in_force_for_the_check(void **state)
{
    struct fixture *f = *state;
    put_explicit(&f->bytes, CHARSET, "CS", "ISO_IR 100", 10);
    put_header(&f->bytes, REFERENCES, "SQ", UNDEFINED);
    put_item_tag(&f->bytes, ITEM, 12);
    put_explicit(&f->bytes, PATIENT_NAME, "PN", "M\xFCll", 4); // the outer set
    put_item_tag(&f->bytes, ITEM, 18 + 12);
    put_explicit(&f->bytes, CHARSET, "CS", "ISO_IR 192", 10);
    put_explicit(&f->bytes, PATIENT_NAME, "PN", "M\xC3\xBCl", 4);
    put_item_tag(&f->bytes, SEQUENCE_END, 0);
    put_explicit(&f->bytes, PATIENT_NAME, "PN", "M\xFCll", 4);
    assert_true(is_readable(&f->bytes, DICOM_TS_EXPLICIT, NULL, 0));
    put_header(&f->bytes, DICOM_TAG(0x0040, 0x0275), "SQ", UNDEFINED);
    put_item_tag(&f->bytes, ITEM, 8 + 12);
    put_explicit(&f->bytes, CHARSET, "CS", "", 0); // the default repertoire
    put_explicit(&f->bytes, PATIENT_NAME, "PN", "M\xFCll", 4);
    put_item_tag(&f->bytes, SEQUENCE_END, 0);
    assert_false(is_readable(&f->bytes, DICOM_TS_EXPLICIT, NULL, 0));
    buffer_clear(&f->bytes);
    put_explicit(&f->bytes, PATIENT_NAME, "PN", "M\xFCll", 4);
    put_explicit(&f->bytes, CHARSET, "CS", "ISO_IR 100", 10); // out of order: it was not known yet
    assert_false(is_readable(&f->bytes, DICOM_TS_EXPLICIT, NULL, 0));
}

static void text_is_in_what_the_sender_is_known_for_where_nothing_is_said(void **state)
{
    struct fixture *f = *state;
    const struct dicom_parse_options options = {.value_max = 100, .depth_max = 1, .charset = "GB18030"};
    put_header(&f->bytes, REFERENCES, "SQ", UNDEFINED);
    put_item_tag(&f->bytes, ITEM, 12);
    put_explicit(&f->bytes, PATIENT_NAME, "PN", "\xCD\xF5^x", 4);
    put_item_tag(&f->bytes, SEQUENCE_END, 0);
    put_explicit(&f->bytes, PATIENT_NAME, "PN", "\xCD\xF5^x", 4);
    struct source_memory memory = {f->bytes.data, f->bytes.size};
    const struct dicom_dataset *dataset;
    struct error err;
    assert_ok(dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(DICOM_TS_EXPLICIT), &options, &f->arena,
                          &dataset, &err),
              err);
    assert_string_equal(dicom_text(dataset, PATIENT_NAME, &f->arena), "王^x");
    assert_string_equal(dicom_text(dicom_item(dataset, REFERENCES, 0), PATIENT_NAME, &f->arena), "王^x");
}

static void items_know_their_parents_and_inherit_the_character_set(void **state)
{
    struct fixture *f = *state;
    put_explicit(&f->bytes, CHARSET, "CS", "ISO_IR 100", 10);
    put_header(&f->bytes, REFERENCES, "SQ", UNDEFINED);
    put_item_tag(&f->bytes, ITEM, 12);
    put_explicit(&f->bytes, PATIENT_NAME, "PN", "M\xFCll", 4);
    put_item_tag(&f->bytes, ITEM, 18 + 12);
    put_explicit(&f->bytes, CHARSET, "CS", "ISO_IR 144", 10);
    put_explicit(&f->bytes, PATIENT_NAME, "PN", "\xB8\xD2\xD0\xDD", 4);
    put_item_tag(&f->bytes, SEQUENCE_END, 0);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    const struct dicom_dataset *first = dicom_item(dataset, REFERENCES, 0);
    assert_ptr_equal(first->parent, dataset);
    assert_string_equal(dicom_text(first, PATIENT_NAME, &f->arena), "M\xC3\xBCll");
    assert_string_equal(dicom_text(dicom_item(dataset, REFERENCES, 1), PATIENT_NAME, &f->arena),
                        "\u0418\u0432\u0430\u043D");
    assert_null(dicom_item(dataset, REFERENCES, 2));
    assert_int_equal(dicom_value_count(dataset, REFERENCES), 2);
}

static void un_with_a_known_tag_gets_the_dictionarys_vr(void **state)
{
    struct fixture *f = *state;
    struct buffer item;
    buffer_init(&item, 1 << 10);
    put_implicit(&item, PATIENT_ID, "in", 2);
    put_header(&f->bytes, REFERENCES, "UN", (uint32_t)item.size + 8);
    size_t place = f->bytes.size;
    put_implicit(&f->bytes, ITEM, item.data, item.size);
    put_explicit(&f->bytes, PATIENT_ID, "UN", "id", 2);
    put_explicit(&f->bytes, DICOM_TAG(0x0029, 0x1001), "UN", "??", 2);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    assert_string_equal(dicom_text(dataset, PATIENT_ID, &f->arena), "id");
    const struct dicom_dataset *inside = dicom_item(dataset, REFERENCES, 0);
    assert_string_equal(dicom_text(inside, PATIENT_ID, &f->arena), "in");
    assert_int_equal(dicom_find(inside, PATIENT_ID)->offset, place + 8 + 8);
    assert_int_equal(dicom_find(dataset, DICOM_TAG(0x0029, 0x1001))->vr, DICOM_VR_UN);
    // A value that is no sequence stays as it is.
    buffer_clear(&f->bytes);
    put_explicit(&f->bytes, REFERENCES, "UN", "no sequence!", 12);
    dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    assert_int_equal(dicom_find(dataset, REFERENCES)->vr, DICOM_VR_UN);
    assert_int_equal(dicom_find(dataset, REFERENCES)->length, 12);
    buffer_free(&item);
}

static unsigned depth_of(const struct dicom_dataset *dataset)
{
    unsigned depth = 0;
    for (; dataset->count > 0 && dataset->elements[0].item_count > 0; depth++)
        dataset = dataset->elements[0].items[0];
    return depth;
}

static void a_sequence_sent_as_un_does_not_pass_the_depth_limit(void **state)
{
    struct fixture *f = *state;
    for (size_t inside = 1; inside <= 60; inside += 59) { // 10 around it
        struct buffer un;
        buffer_init(&un, 1 << 16);
        put_item_tag(&un, ITEM, UNDEFINED);
        for (size_t i = 1; i < inside; i++) {
            put_item_tag(&un, REFERENCES, UNDEFINED);
            put_item_tag(&un, ITEM, UNDEFINED);
        }
        for (size_t i = 1; i < inside; i++) {
            put_item_tag(&un, ITEM_END, 0);
            put_item_tag(&un, SEQUENCE_END, 0);
        }
        put_item_tag(&un, ITEM_END, 0);
        buffer_clear(&f->bytes);
        for (size_t i = 0; i < 10; i++) {
            put_header(&f->bytes, REFERENCES, "SQ", UNDEFINED);
            put_item_tag(&f->bytes, ITEM, UNDEFINED);
        }
        put_explicit(&f->bytes, REFERENCES, "UN", un.data, un.size);
        for (size_t i = 0; i < 10; i++) {
            put_item_tag(&f->bytes, ITEM_END, 0);
            put_item_tag(&f->bytes, SEQUENCE_END, 0);
        }
        assert_int_equal(depth_of(parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena)), inside == 1 ? 11 : 10);
        buffer_free(&un);
    }
}

static void long_values_stay_in_the_stream(void **state)
{
    struct fixture *f = *state;
    struct dicom_parse_options options = {.value_max = 4, .depth_max = 0, .stop_at_pixels = true};
    struct error err = {0};
    const struct dicom_dataset *dataset;
    put_header(&f->bytes, REFERENCES, "SQ", 8);
    put_item_tag(&f->bytes, ITEM, 0);
    put_explicit(&f->bytes, PATIENT_NAME, "PN", "long name ", 10);
    put_explicit(&f->bytes, PATIENT_ID, "LO", "1234", 4);
    put_header(&f->bytes, PIXELS, "OW", 0xFFFFFF00); // not there, and not looked at
    struct source_memory memory = {f->bytes.data, f->bytes.size};
    assert_true(dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(DICOM_TS_EXPLICIT), &options, &f->arena,
                            &dataset, &err));
    assert_int_equal(dataset->count, 3);
    const struct dicom_element *name = dicom_find(dataset, PATIENT_NAME);
    assert_null(name->value);
    assert_int_equal(name->length, 10);
    assert_memory_equal(f->bytes.data + name->offset, "long name ", 10);
    assert_null(dicom_text(dataset, PATIENT_NAME, &f->arena));
    assert_string_equal(dicom_text(dataset, PATIENT_ID, &f->arena), "1234");
    assert_int_equal(dicom_find(dataset, REFERENCES)->item_count, 0);
}

static void fragments_keep_their_places(void **state)
{
    struct fixture *f = *state;
    put_header(&f->bytes, PIXELS, "OB", UNDEFINED);
    put_implicit(&f->bytes, ITEM, NULL, 0);
    put_implicit(&f->bytes, ITEM, "abcd", 4);
    put_item_tag(&f->bytes, SEQUENCE_END, 0);
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, "1.2.840.10008.1.2.4.50", &f->arena);
    const struct dicom_element *pixels = dicom_find(dataset, PIXELS);
    assert_int_equal(pixels->fragment_count, 2);
    assert_int_equal(pixels->fragments[1].length, 4);
    assert_memory_equal(f->bytes.data + pixels->fragments[1].offset, "abcd", 4);
}

static void a_data_set_larger_than_the_arena_is_refused(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100000; i++)
        put_explicit(&f->bytes, PATIENT_ID, "LO", NULL, 0);
    struct arena small;
    arena_init(&small, 1 << 20);
    struct source_memory memory = {f->bytes.data, f->bytes.size};
    struct error err = {0};
    const struct dicom_dataset *dataset;
    assert_false(dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(DICOM_TS_EXPLICIT), NULL, &small,
                             &dataset, &err));
    assert_int_equal(err.code, ERROR_LIMIT);
    arena_free(&small);
}

static void values_in_multi_byte_sets_are_split_after_conversion(void **state)
{
    struct fixture *f = *state;
    put_explicit(&f->bytes, CHARSET, "CS", "GB18030 ", 8);
    put_explicit(&f->bytes, PATIENT_ID, "LO", "\x81\x5C\\b", 4); // one character, then a real backslash
    const struct dicom_dataset *dataset = parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
    assert_int_equal(dicom_value_count(dataset, PATIENT_ID), 2);
    assert_string_equal(dicom_text_at(dataset, PATIENT_ID, 0, &f->arena), "\xE4\xB9\x97");
    assert_string_equal(dicom_text_at(dataset, PATIENT_ID, 1, &f->arena), "b");
}

static void a_ct_header_is_parsed_in_microseconds(void **state)
{
    struct fixture *f = *state;
    for (uint16_t i = 1; i <= 200; i++)
        put_explicit(&f->bytes, DICOM_TAG(0x0009, 0x1000 + i), "LO", "some value here ", 16);
    put_header(&f->bytes, PIXELS, "OW", 512 << 10);
    assert_non_null(buffer_reserve(&f->bytes, 512 << 10));
    memset(f->bytes.data + f->bytes.size, 0, 512 << 10);
    f->bytes.size += 512 << 10;
    int64_t best = INT64_MAX;
    for (int round = 0; round < 20; round++) {
        int64_t before = clock_monotonic_ns();
        parse_bytes(&f->bytes, DICOM_TS_EXPLICIT, &f->arena);
        int64_t took = clock_monotonic_ns() - before;
        best = took < best ? took : best;
        arena_reset(&f->arena);
    }
    print_message("200 elements and 512 kB of pixels: %.1f us\n", (double)best / 1000);
    assert_true(best < 2 * CLOCK_MS); // generous: sanitizers and busy machines
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

// Of nine bytes as words, sent big endian: any part is the same part of all of them turned.
static void a_part_of_a_big_endian_value_is_a_part_of_it_turned(void **state)
{
    (void)state;
    static const uint8_t sent[] = {99, 1, 0, 3, 2, 5, 4, 7, 6, 8}; // from the second byte on; the last word is cut
    const struct reader reader = reader_from_memory(sent, sizeof sent);
    const struct dicom_element stored = {.vr = DICOM_VR_OW, .big_endian = true, .offset = 1, .length = 9},
                               loaded = {.vr = DICOM_VR_OW, .big_endian = true, .value = sent + 1, .length = 9};
    uint8_t part[10];
    struct error err;
    for (size_t from = 0; from <= 9; from++)
        for (size_t size = 0; from + size <= 9; size++) {
            assert_true(dicom_value_read(&stored, &reader, from, size, part, &err));
            for (size_t i = 0; i < size; i++)
                assert_int_equal(part[i], from + i);
            memset(part, 99, sizeof part);
            assert_true(dicom_value_read(&loaded, NULL, from, size, part, &err));
            for (size_t i = 0; i < size; i++)
                assert_int_equal(part[i], from + i);
            assert_int_equal(part[size], 99);
        }
}

static void values_of_bytes_and_little_endian_ones_are_not_turned(void **state)
{
    (void)state;
    static const uint8_t sent[] = {0, 1, 2, 3};
    const struct reader reader = reader_from_memory(sent, sizeof sent);
    const struct dicom_element bytes = {.vr = DICOM_VR_OB, .big_endian = true, .length = 4},
                               words = {.vr = DICOM_VR_OW, .length = 4},
                               floats = {.vr = DICOM_VR_OF, .big_endian = true, .length = 4};
    uint8_t out[4];
    struct error err;
    assert_true(dicom_value_read(&bytes, &reader, 1, 3, out, &err));
    assert_memory_equal(out, sent + 1, 3);
    assert_true(dicom_value_read(&words, &reader, 0, 4, out, &err));
    assert_memory_equal(out, sent, 4);
    assert_true(dicom_value_read(&floats, &reader, 0, 4, out, &err));
    assert_memory_equal(out, "\3\2\1\0", 4);
}

static void what_lies_outside_a_value_is_not_read(void **state)
{
    (void)state;
    static const uint8_t sent[8];
    const struct reader reader = reader_from_memory(sent, sizeof sent);
    const struct dicom_element element = {.vr = DICOM_VR_OW, .length = 6, .offset = 4};
    uint8_t out[8];
    struct error err;
    assert_false(dicom_value_read(&element, &reader, 2, 5, out, &err)); // past the value
    assert_int_equal(err.code, ERROR_BAD_DATA);
    assert_false(dicom_value_read(&element, &reader, UINT64_MAX, 2, out, &err));
    assert_false(dicom_value_read(&element, &reader, 0, 6, out, &err)); // within the value, which is past the end
    assert_int_equal(err.code, ERROR_BAD_DATA);
    assert_false(dicom_value_read(&element, NULL, 0, 4, out, &err)); // deflated, and not loaded
    assert_int_equal(err.code, ERROR_LIMIT);
}

int run_dataset_tests(void)
{
    const struct CMUnitTest tests[] = {
        TEST(elements_are_found_in_order_or_not),
        TEST(text_is_trimmed_as_its_vr_says),
        TEST(numbers_are_read_from_any_numeric_vr),
        TEST(big_endian_numbers_are_turned),
        TEST(pixels_alone_are_big_endian_in_ge_s_transfer_syntax),
        TEST(papyrus_s_transfer_syntax_is_implicit),
        TEST(a_vr_that_is_none_gives_way_to_the_dictionary_s),
        TEST(us_or_ss_follows_pixel_representation_here_or_outside),
        TEST(lookup_table_data_is_words_unless_it_is_one_value),
        TEST(unreadable_text_is_told_wherever_it_stands),
        TEST(an_item_s_own_character_set_is_in_force_for_the_check),
        TEST(text_is_in_what_the_sender_is_known_for_where_nothing_is_said),
        TEST(items_know_their_parents_and_inherit_the_character_set),
        TEST(un_with_a_known_tag_gets_the_dictionarys_vr),
        TEST(a_sequence_sent_as_un_does_not_pass_the_depth_limit),
        TEST(long_values_stay_in_the_stream),
        TEST(fragments_keep_their_places),
        TEST(a_data_set_larger_than_the_arena_is_refused),
        TEST(values_in_multi_byte_sets_are_split_after_conversion),
        TEST(a_ct_header_is_parsed_in_microseconds),
        cmocka_unit_test(a_part_of_a_big_endian_value_is_a_part_of_it_turned),
        cmocka_unit_test(values_of_bytes_and_little_endian_ones_are_not_turned),
        cmocka_unit_test(what_lies_outside_a_value_is_not_read),
    };
    return cmocka_run_group_tests_name("dataset", tests, NULL, NULL);
}
