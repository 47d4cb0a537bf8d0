// The lines of the bad-input list that are about data sets; each case is read in one piece, in pieces of 1 byte and in
// pieces of 3.
#include "tests.h"

#include <zlib.h>

#include "dicom/reader.h"

#define SOP_INSTANCE DICOM_TAG(0x0008, 0x0018)
#define PATIENT_ID DICOM_TAG(0x0010, 0x0020)
#define SEQUENCE DICOM_TAG(0x0008, 0x1140)
#define PRIVATE DICOM_TAG(0x0029, 0x1010)
#define PIXELS DICOM_TAG(0x7FE0, 0x0010)

enum { BUFFER_MAX = 64 << 20 };

// What the events came to: a digest of them all, and how it ended.
struct outcome {
    struct error err; // code NONE: the data set's end was reached
    uint64_t digest;
    size_t events;
};

static struct outcome read_pieces(const struct buffer *bytes, const char *syntax, size_t piece)
{
    struct pieces pieces = {bytes->data, bytes->size, piece};
    struct outcome outcome = {0};
    struct dicom_event event;
    struct dicom_reader *reader =
        dicom_reader_new(source_from_pieces(&pieces), dicom_transfer_syntax(syntax), &outcome.err);
    assert_non_null(reader);
    do {
        if (!dicom_reader_next(reader, &event, &outcome.err)) {
            assert_int_not_equal(outcome.err.code, ERROR_NONE);
            break;
        }
        outcome.events++;
        outcome.digest =
            outcome.digest * 31 + event.tag + event.length + event.value_offset + (uint64_t)event.type + event.depth;
    } while (event.type != DICOM_EVENT_END);
    dicom_reader_free(reader);
    return outcome;
}

// Asserts that the pieces' size makes no difference.
static struct outcome read_bytes(struct buffer *bytes, const char *syntax)
{
    struct outcome whole = read_pieces(bytes, syntax, SIZE_MAX);
    for (size_t piece = 1; piece <= 3; piece += 2) {
        struct outcome outcome = read_pieces(bytes, syntax, piece);
        assert_string_equal(outcome.err.message, whole.err.message);
        assert_int_equal(outcome.events, whole.events);
        assert_true(outcome.digest == whole.digest);
    }
    return whole;
}

static void assert_accepted(struct buffer *bytes, const char *syntax, size_t events)
{
    struct outcome outcome = read_bytes(bytes, syntax);
    assert_string_equal(outcome.err.message, "");
    assert_int_equal(outcome.events, events);
    buffer_free(bytes);
}

// `why` is part of the message.
static void assert_refused(struct buffer *bytes, const char *syntax, const char *why)
{
    struct outcome outcome = read_bytes(bytes, syntax);
    assert_int_equal(outcome.err.code, ERROR_BAD_DATA);
    if (!strstr(outcome.err.message, why))
        fail_msg("\"%s\" lacks \"%s\"", outcome.err.message, why);
    buffer_free(bytes);
}

static struct buffer start(void)
{
    struct buffer bytes;
    buffer_init(&bytes, BUFFER_MAX);
    put_explicit(&bytes, SOP_INSTANCE, "UI", "1.2.3\0", 6);
    return bytes;
}

static struct buffer nested(size_t depth)
{
    struct buffer bytes = start();
    for (size_t i = 0; i < depth; i++) {
        put_header(&bytes, SEQUENCE, "SQ", UNDEFINED);
        put_item_tag(&bytes, ITEM, UNDEFINED);
    }
    for (size_t i = 0; i < depth; i++) {
        put_item_tag(&bytes, ITEM_END, 0);
        put_item_tag(&bytes, SEQUENCE_END, 0);
    }
    return bytes;
}

static void sequences_nest_64_deep_and_no_deeper(void **state)
{
    (void)state;
    struct buffer deepest = nested(64), deeper = nested(65), absurd = nested(100000);
    assert_accepted(&deepest, DICOM_TS_EXPLICIT, 2 + 64 * 4);
    assert_refused(&deeper, DICOM_TS_EXPLICIT, "more than 64 deep");
    assert_refused(&absurd, DICOM_TS_EXPLICIT, "more than 64 deep");
}

static void lacking_delimiters_are_refused(void **state)
{
    (void)state;
    struct buffer sequence = start(), item = start(), inside = start();
    put_header(&sequence, SEQUENCE, "SQ", UNDEFINED);
    put_item_tag(&sequence, ITEM, UNDEFINED);
    put_item_tag(&sequence, ITEM_END, 0);
    assert_refused(&sequence, DICOM_TS_EXPLICIT, "lacks its delimiter: the data set ends");

    put_header(&item, SEQUENCE, "SQ", UNDEFINED);
    put_item_tag(&item, ITEM, UNDEFINED);
    put_explicit(&item, PATIENT_ID, "LO", "ab", 2);
    assert_refused(&item, DICOM_TS_EXPLICIT, "lacks its delimiter: the data set ends");

    put_header(&inside, SEQUENCE, "SQ", 8); // the item has no delimiter within the sequence's length
    put_item_tag(&inside, ITEM, UNDEFINED);
    put_item_tag(&inside, ITEM_END, 0);
    assert_refused(&inside, DICOM_TS_EXPLICIT, "lacks its delimiter where");
}

static void what_is_longer_than_its_parent_is_refused(void **state)
{
    (void)state;
    struct buffer item = start(), element = start(), sequence = start();
    put_header(&item, SEQUENCE, "SQ", 8);
    put_item_tag(&item, ITEM, 10);
    put_explicit(&item, PATIENT_ID, "LO", "ab", 2);
    assert_refused(&item, DICOM_TS_EXPLICIT, "(FFFE,E000) at byte 26 has 10 bytes, more than");

    put_header(&element, SEQUENCE, "SQ", 18);
    put_item_tag(&element, ITEM, 10);
    put_explicit(&element, PATIENT_ID, "LO", "abcd", 4);
    assert_refused(&element, DICOM_TS_EXPLICIT, "(0010,0020) at byte 34 has 4 bytes, more than the 2 left");

    put_header(&sequence, SEQUENCE, "SQ", 8 + 12);
    put_item_tag(&sequence, ITEM, 12);
    put_header(&sequence, SEQUENCE, "SQ", 8);
    put_item_tag(&sequence, ITEM, 0);
    assert_refused(&sequence, DICOM_TS_EXPLICIT, "has 8 bytes, more than the 0 left");
}

static void headers_cut_by_their_parents_end_are_refused(void **state)
{
    (void)state;
    struct buffer bytes = start();
    put_header(&bytes, SEQUENCE, "SQ", 8 + 4);
    put_item_tag(&bytes, ITEM, 4);
    put_explicit(&bytes, PATIENT_ID, "LO", NULL, 0);
    assert_refused(&bytes, DICOM_TS_EXPLICIT, "ends in bytes that are no element");

    struct buffer long_form = start();
    put_header(&long_form, SEQUENCE, "SQ", 8 + 8);
    put_item_tag(&long_form, ITEM, 8);
    put_explicit(&long_form, PRIVATE, "OB", NULL, 0);
    assert_refused(&long_form, DICOM_TS_EXPLICIT, "goes past the end");
}

static void stray_delimiters_are_refused(void **state)
{
    (void)state;
    static const dicom_tag strays[] = {ITEM, ITEM_END, SEQUENCE_END, DICOM_TAG(0xFFFE, 0x0000)};
    for (size_t i = 0; i < 4; i++) {
        struct buffer top = start(), item = start();
        put_item_tag(&top, strays[i], 0);
        assert_refused(&top, DICOM_TS_EXPLICIT, "where none is due");
        put_header(&item, SEQUENCE, "SQ", 8 + 18);
        put_item_tag(&item, ITEM, 18);
        put_item_tag(&item, strays[i], 0); // an item delimiter, too, since more follows
        put_explicit(&item, PATIENT_ID, "LO", "ab", 2);
        assert_refused(&item, DICOM_TS_EXPLICIT, "where none is due");
    }
    struct buffer sequence = start(), behind = start(), element = start();
    put_header(&sequence, SEQUENCE, "SQ", 16);
    put_item_tag(&sequence, SEQUENCE_END, 0);
    put_item_tag(&sequence, ITEM, 0);
    assert_refused(&sequence, DICOM_TS_EXPLICIT, "is where an item is due");
    put_header(&behind, SEQUENCE, "SQ", UNDEFINED);
    put_item_tag(&behind, ITEM, 0);
    put_item_tag(&behind, ITEM_END, 0); // the item has ended before
    assert_refused(&behind, DICOM_TS_EXPLICIT, "is where an item or a sequence delimiter is due");
    put_header(&element, SEQUENCE, "SQ", UNDEFINED);
    put_explicit(&element, PATIENT_ID, "LO", NULL, 0);
    put_item_tag(&element, SEQUENCE_END, 0);
    assert_refused(&element, DICOM_TS_EXPLICIT, "is where an item or a sequence delimiter is due");
}

static void delimiters_that_end_what_ends_by_length_are_accepted(void **state)
{
    (void)state;
    struct buffer bytes = start();
    put_header(&bytes, SEQUENCE, "SQ", 8 + 18 + 8);
    put_item_tag(&bytes, ITEM, 18);
    put_explicit(&bytes, PATIENT_ID, "LO", "ab", 2);
    put_item_tag(&bytes, ITEM_END, 0);
    put_item_tag(&bytes, SEQUENCE_END, 0);
    put_explicit(&bytes, DICOM_TAG(0x0030, 0x0010), "LO", "cd", 2);
    assert_accepted(&bytes, DICOM_TS_EXPLICIT, 8);
}

static void un_of_undefined_length_holds_implicit_vr(void **state)
{
    (void)state;
    struct buffer bytes = start();
    put_header(&bytes, PRIVATE, "UN", UNDEFINED);
    put_item_tag(&bytes, ITEM, UNDEFINED);
    put_implicit(&bytes, PATIENT_ID, "ab", 2);
    put_item_tag(&bytes, ITEM_END, 0);
    put_item_tag(&bytes, SEQUENCE_END, 0);
    put_explicit(&bytes, DICOM_TAG(0x0030, 0x0010), "LO", "cd", 2); // explicit again
    assert_accepted(&bytes, DICOM_TS_EXPLICIT, 8);
}

static void un_of_undefined_length_is_little_endian_in_big_endian_too(void **state)
{
    (void)state;
    static const uint8_t head[] = "\x00\x29\x10\x10UN\0\0\xFF\xFF\xFF\xFF";
    static const uint8_t tail[] = "\x00\x30\x00\x10LO\0\2ab";
    struct buffer bytes;
    buffer_init(&bytes, BUFFER_MAX);
    buffer_append(&bytes, head, sizeof head - 1);
    put_item_tag(&bytes, ITEM, UNDEFINED);
    put_implicit(&bytes, PATIENT_ID, "ab", 2);
    put_item_tag(&bytes, ITEM_END, 0);
    put_item_tag(&bytes, SEQUENCE_END, 0);
    buffer_append(&bytes, tail, sizeof tail - 1);
    assert_accepted(&bytes, DICOM_TS_BIG_ENDIAN, 7);
}

static void lengths_past_the_end_are_refused(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0xFFFFFFFE, 0xFFFFFFF0, 0x80000000, 201};
    for (size_t i = 0; i < 4; i++) {
        struct buffer bytes = start();
        uint8_t value[200] = {0};
        put_header(&bytes, PIXELS, "OW", lengths[i]);
        buffer_append(&bytes, value, sizeof value);
        assert_refused(&bytes, DICOM_TS_EXPLICIT, "is cut off");
    }
    struct buffer header = start();
    put_header(&header, PIXELS, "OW", 0);
    header.size -= 2;
    assert_refused(&header, DICOM_TS_EXPLICIT, "is cut off");
    struct buffer tail = start();
    buffer_text(&tail, "tail");
    assert_refused(&tail, DICOM_TS_EXPLICIT, "no element and no padding");
}

static void zeros_behind_the_last_element_are_padding(void **state)
{
    (void)state;
    static const struct {
        size_t zeros;
        bool accepted;
    } rows[] = {{1, true},
                {7, true},
                {8, true},
                {9, true},
                {2048, true},
                {DICOM_PADDING_MAX, true},
                {DICOM_PADDING_MAX + 1, false}};
    static const char *const syntaxes[] = {DICOM_TS_EXPLICIT, DICOM_TS_IMPLICIT, DICOM_TS_BIG_ENDIAN};
    static const uint8_t zeros[DICOM_PADDING_MAX + 1];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t k = 0; k < 3; k++) {
            struct buffer bytes;
            buffer_init(&bytes, BUFFER_MAX);
            buffer_append(&bytes, zeros, rows[i].zeros);
            if (rows[i].accepted)
                assert_accepted(&bytes, syntaxes[k], 1);
            else
                assert_refused(&bytes, syntaxes[k], "no element and no padding");
        }
    struct buffer bytes = start();
    put_explicit(&bytes, PATIENT_ID, "LO", "P1", 2);
    buffer_append(&bytes, zeros, 300);
    buffer_text(&bytes, "x");
    assert_refused(&bytes, DICOM_TS_EXPLICIT, "no element and no padding");
    bytes = start();
    put_header(&bytes, SEQUENCE, "SQ", UINT32_MAX); // not inside a sequence
    buffer_append(&bytes, zeros, 300);
    assert_refused(&bytes, DICOM_TS_EXPLICIT, "is where an item");
}

static void odd_lengths_and_disorder_are_accepted(void **state)
{
    (void)state;
    struct buffer bytes = start();
    put_explicit(&bytes, PATIENT_ID, "LO", "abc", 3);
    put_explicit(&bytes, DICOM_TAG(0x0008, 0x0060), "CS", "CT", 2);
    put_explicit(&bytes, DICOM_TAG(0x0008, 0x0060), "CS", "MR", 2);
    put_explicit(&bytes, DICOM_TAG(0x0008, 0x0000), "UL", "\xFF\xFF\0\0", 4); // a wrong group length
    assert_accepted(&bytes, DICOM_TS_EXPLICIT, 6);
}

static void what_identifies_may_occur_twice_with_one_value_only(void **state)
{
    (void)state;
    static const dicom_tag tags[] = {SOP_INSTANCE, PATIENT_ID, DICOM_TAG(0x0020, 0x000D), DICOM_TAG(0x0020, 0x000E)};
    char longer[200];
    memset(longer, '1', sizeof longer);
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        struct buffer same, other, empty, longs;
        struct buffer *all[] = {&same, &other, &empty, &longs};
        for (size_t k = 0; k < 4; k++) {
            buffer_init(all[k], BUFFER_MAX);
            put_explicit(all[k], tags[i], "UI", k == 3 ? longer : "1.2.3\0", k == 3 ? 200 : 6);
        }
        put_explicit(&same, tags[i], "UI", "1.2.3 ", 6); // padded in another way
        put_explicit(&same, tags[i], "UI", "1.2.3", 5);
        assert_accepted(&same, DICOM_TS_EXPLICIT, 4);
        put_explicit(&other, tags[i], "UI", "1.2.4\0", 6);
        assert_refused(&other, DICOM_TS_EXPLICIT, "occurs twice, with different values");
        put_explicit(&empty, tags[i], "UI", "", 0);
        assert_refused(&empty, DICOM_TS_EXPLICIT, "occurs twice, with different values");
        put_explicit(&longs, tags[i], "UI", longer, sizeof longer);
        assert_refused(&longs, DICOM_TS_EXPLICIT, "occurs twice, with different values");
    }
    struct buffer inside = start();
    put_header(&inside, SEQUENCE, "SQ", UNDEFINED);
    put_item_tag(&inside, ITEM, 14);
    put_explicit(&inside, SOP_INSTANCE, "UI", "1.2.4\0", 6);
    put_item_tag(&inside, SEQUENCE_END, 0);
    assert_accepted(&inside, DICOM_TS_EXPLICIT, 7);
}

// `vr` is two bytes. A long header is one that GDCM alone reads.
static struct buffer with_vr(dicom_tag tag, const char *vr, size_t size, bool is_long)
{
    static const char value[] = "abcdefgh";
    struct buffer bytes = start();
    buffer_u16le(&bytes, dicom_tag_group(tag));
    buffer_u16le(&bytes, dicom_tag_element(tag));
    buffer_append(&bytes, vr, 2);
    if (is_long)
        buffer_u16le(&bytes, 0);
    if (is_long)
        buffer_u32le(&bytes, (uint32_t)size);
    else
        buffer_u16le(&bytes, (uint16_t)size);
    buffer_append(&bytes, value, size);
    put_explicit(&bytes, DICOM_TAG(0x0030, 0x0010), "LO", "cd", 2);
    return bytes;
}

// As DCMTK and GDCM read them.
static void a_vr_that_is_none_is_forgiven_among_explicit_ones(void **state)
{
    (void)state;
    static const char *const printable[] = {"??", "  ", "--", "lo", "L "}, zeros[2] = {0}, odd[2] = {0x44, 0};
    static const dicom_tag tags[] = {PATIENT_ID, PRIVATE, SEQUENCE, DICOM_TAG(0x0028, 0x3006)};
    for (size_t k = 0; k < sizeof tags / sizeof *tags; k++) {
        for (size_t i = 0; i < sizeof printable / sizeof *printable; i++)
            for (size_t size = 0; size <= 4; size += 4) {
                struct buffer is_short = with_vr(tags[k], printable[i], size, false),
                              is_long = with_vr(tags[k], printable[i], size, true);
                assert_accepted(&is_short, DICOM_TS_EXPLICIT, 4);
                assert_accepted(&is_long, DICOM_TS_EXPLICIT, 4);
            }
        struct buffer empty = with_vr(tags[k], zeros, 0, false);
        assert_accepted(&empty, DICOM_TS_EXPLICIT, 4);
    }
    struct buffer full = with_vr(PATIENT_ID, zeros, 4, false), garbage = with_vr(PATIENT_ID, odd, 4, false);
    assert_accepted(&full, DICOM_TS_EXPLICIT, 4);
    assert_accepted(&garbage, DICOM_TS_EXPLICIT, 4);
    struct buffer last = start(), inside = start();
    put_item_tag(&last, PATIENT_ID, 0);
    assert_accepted(&last, DICOM_TS_EXPLICIT, 3);
    put_header(&inside, SEQUENCE, "SQ", 8 + 8);
    put_item_tag(&inside, ITEM, 8);
    put_item_tag(&inside, PATIENT_ID, 0);
    assert_accepted(&inside, DICOM_TS_EXPLICIT, 7);
}

static void a_vr_that_is_none_is_refused_where_it_may_mean_another_thing(void **state)
{
    (void)state;
    static const char zeros[2] = {0}, length[2] = {0x44, 0};
    struct buffer unordered = with_vr(DICOM_TAG(0x0008, 0x0016), "??", 4, false), // the tag before is higher
        implicit = with_vr(PATIENT_ID, length, 0, false), implicit_pixels = with_vr(PIXELS, zeros, 8, false),
                  nothing = with_vr(PATIENT_ID, zeros, 4, true);
    assert_refused(&unordered, DICOM_TS_EXPLICIT, "has no VR (3F3FH)");
    assert_refused(&implicit, DICOM_TS_EXPLICIT, "has no VR (4400H)");
    assert_refused(&implicit_pixels, DICOM_TS_EXPLICIT, "has no VR (0000H)"); // of 80000H bytes
    assert_refused(&nothing, DICOM_TS_EXPLICIT, "has no VR (0000H)");
}

static void unknown_vrs_are_refused_in_group_2_only(void **state)
{
    (void)state;
    struct buffer meta, future = start(), defect = start();
    buffer_init(&meta, BUFFER_MAX);
    put_explicit(&meta, DICOM_TAG(0x0002, 0x0010), "ZZ", "ab", 2);
    assert_refused(&meta, DICOM_TS_EXPLICIT, "unknown VR ZZ");
    put_item_tag(&future, PRIVATE, DICOM_VR('Z', 'Z') >> 8 | 'Z' << 8); // VR, two reserved bytes
    buffer_u32le(&future, 2);
    buffer_text(&future, "ab");
    assert_accepted(&future, DICOM_TS_EXPLICIT, 3);
    put_explicit(&defect, PRIVATE, "ZZ", "ab", 2);
    assert_accepted(&defect, DICOM_TS_EXPLICIT, 3);
}

static void a_mislabelled_encoding_is_refused(void **state)
{
    (void)state;
    struct buffer implicit, implicit_later = start();
    buffer_init(&implicit, BUFFER_MAX);
    put_implicit(&implicit, SOP_INSTANCE, "1.2.3\0", 6);
    struct buffer copy = {0};
    buffer_init(&copy, BUFFER_MAX);
    buffer_append(&copy, implicit.data, implicit.size);
    assert_accepted(&copy, DICOM_TS_IMPLICIT, 2);
    assert_refused(&implicit, DICOM_TS_EXPLICIT, "has no VR (0600H)");
    struct buffer explicit = start();
    assert_refused(&explicit, DICOM_TS_IMPLICIT, "has the explicit VR UI");
    put_implicit(&implicit_later, PATIENT_ID, "ab", 2);
    assert_refused(&implicit_later, DICOM_TS_EXPLICIT, "has no VR (0200H)");
}

static void undefined_length_is_refused_on_other_vrs(void **state)
{
    (void)state;
    struct buffer text = start(), implicit;
    put_header(&text, PATIENT_ID, "UT", UNDEFINED);
    put_item_tag(&text, SEQUENCE_END, 0);
    assert_refused(&text, DICOM_TS_EXPLICIT, "undefined length, which VR UT");
    buffer_init(&implicit, BUFFER_MAX);
    put_item_tag(&implicit, PATIENT_ID, UNDEFINED);
    put_item_tag(&implicit, SEQUENCE_END, 0);
    assert_refused(&implicit, DICOM_TS_IMPLICIT, "undefined length, which VR LO");
}

static struct buffer encapsulated(void)
{
    struct buffer bytes = start();
    put_header(&bytes, PIXELS, "OB", UNDEFINED);
    put_implicit(&bytes, ITEM, NULL, 0);
    put_implicit(&bytes, ITEM, "\xFE\xFF\xDD\xE0", 4); // a delimiter's bytes inside a fragment are pixels
    return bytes;
}

static void fragments_end_with_their_delimiter_or_the_stream(void **state)
{
    (void)state;
    struct buffer closed = encapsulated(), open = encapsulated(), cut = encapsulated(), endless = encapsulated(),
                  foreign = encapsulated();
    put_item_tag(&closed, SEQUENCE_END, 0);
    assert_accepted(&closed, "1.2.840.10008.1.2.4.50", 6);
    assert_accepted(&open, "1.2.840.10008.1.2.4.50", 6);
    cut.size--;
    assert_refused(&cut, "1.2.840.10008.1.2.4.50", "is cut off: 1 of 4");
    put_item_tag(&endless, ITEM, UNDEFINED);
    assert_refused(&endless, "1.2.840.10008.1.2.4.50", "fragment of undefined length");
    put_explicit(&foreign, PATIENT_ID, "LO", NULL, 0);
    assert_refused(&foreign, "1.2.840.10008.1.2.4.50", "(0010,0020)");
}

static void big_endian_is_read(void **state)
{
    (void)state;
    static const uint8_t data[] =
        "\x00\x08\x11\x40SQ\0\0\0\0\0\x12\xFF\xFE\xE0\x00\0\0\0\x0A\x00\x28\x00\x10US\0\x02\x02\x00";
    struct buffer bytes;
    buffer_init(&bytes, BUFFER_MAX);
    buffer_append(&bytes, data, sizeof data - 1);
    assert_accepted(&bytes, DICOM_TS_BIG_ENDIAN, 6);
}

static struct buffer deflated(const struct buffer *bytes)
{
    struct buffer out;
    z_stream z = {0};
    buffer_init(&out, BUFFER_MAX);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY), Z_OK);
    size_t bound = deflateBound(&z, bytes->size);
    z.next_in = bytes->data;
    z.avail_in = (uInt)bytes->size;
    z.next_out = buffer_reserve(&out, bound);
    z.avail_out = (uInt)bound;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.size = z.total_out;
    deflateEnd(&z);
    return out;
}

static void deflated_data_sets_are_inflated(void **state)
{
    (void)state;
    struct buffer bytes = start();
    put_explicit(&bytes, PATIENT_ID, "LO", "abcd", 4);
    struct buffer plain = deflated(&bytes), padded = deflated(&bytes), trailer = deflated(&bytes),
                  cut = deflated(&bytes), junk = deflated(&bytes);
    assert_accepted(&plain, DICOM_TS_DEFLATED, 3);
    buffer_append(&padded, "\0\0\0", 3);
    assert_accepted(&padded, DICOM_TS_DEFLATED, 3);
    buffer_text(&trailer, "crc4");
    buffer_u32le(&trailer, (uint32_t)bytes.size);
    assert_accepted(&trailer, DICOM_TS_DEFLATED, 3);
    cut.size -= 3;
    assert_refused(&cut, DICOM_TS_DEFLATED, "is cut off after");
    buffer_text(&junk, "junk");
    assert_refused(&junk, DICOM_TS_DEFLATED, "bytes other than zero");
    assert_refused(&bytes, DICOM_TS_DEFLATED, "damaged");
}

static void a_deflate_bomb_is_refused(void **state)
{
    (void)state;
    struct buffer bytes = start();
    put_header(&bytes, PIXELS, "OW", 40 << 20);
    uint8_t *zeros = buffer_reserve(&bytes, 40 << 20);
    assert_non_null(zeros);
    memset(zeros, 0, 40 << 20);
    bytes.size += 40 << 20;
    struct buffer bomb = deflated(&bytes);
    assert_int_equal(read_pieces(&bomb, DICOM_TS_DEFLATED, SIZE_MAX).err.code, ERROR_LIMIT);
    buffer_free(&bomb);
    buffer_free(&bytes);
}

static void long_values_are_accepted(void **state)
{
    (void)state;
    struct buffer bytes = start();
    char digits[10000];
    memset(digits, '1', sizeof digits);
    put_explicit(&bytes, DICOM_TAG(0x0018, 0x0050), "DS", digits, sizeof digits);
    assert_accepted(&bytes, DICOM_TS_EXPLICIT, 3);
}

static bool broken_next(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    (void)payload, (void)data, (void)size;
    return error_set(err, ERROR_CLOSED, "the peer went away");
}

static void a_broken_stream_is_reported_as_it_broke(void **state)
{
    (void)state;
    struct error err = {0};
    struct dicom_event event;
    struct dicom_reader *reader =
        dicom_reader_new((struct source){.next = broken_next}, dicom_transfer_syntax(DICOM_TS_EXPLICIT), &err);
    assert_false(dicom_reader_next(reader, &event, &err));
    assert_int_equal(err.code, ERROR_CLOSED);
    dicom_reader_free(reader);
}

static void an_empty_data_set_is_one(void **state)
{
    (void)state;
    struct buffer bytes;
    buffer_init(&bytes, BUFFER_MAX);
    assert_accepted(&bytes, DICOM_TS_EXPLICIT, 1);
}

int run_reader_tests(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_nest_64_deep_and_no_deeper),
        cmocka_unit_test(lacking_delimiters_are_refused),
        cmocka_unit_test(what_is_longer_than_its_parent_is_refused),
        cmocka_unit_test(headers_cut_by_their_parents_end_are_refused),
        cmocka_unit_test(stray_delimiters_are_refused),
        cmocka_unit_test(delimiters_that_end_what_ends_by_length_are_accepted),
        cmocka_unit_test(un_of_undefined_length_holds_implicit_vr),
        cmocka_unit_test(un_of_undefined_length_is_little_endian_in_big_endian_too),
        cmocka_unit_test(lengths_past_the_end_are_refused),
        cmocka_unit_test(zeros_behind_the_last_element_are_padding),
        cmocka_unit_test(odd_lengths_and_disorder_are_accepted),
        cmocka_unit_test(what_identifies_may_occur_twice_with_one_value_only),
        cmocka_unit_test(a_vr_that_is_none_is_forgiven_among_explicit_ones),
        cmocka_unit_test(a_vr_that_is_none_is_refused_where_it_may_mean_another_thing),
        cmocka_unit_test(unknown_vrs_are_refused_in_group_2_only),
        cmocka_unit_test(a_mislabelled_encoding_is_refused),
        cmocka_unit_test(undefined_length_is_refused_on_other_vrs),
        cmocka_unit_test(fragments_end_with_their_delimiter_or_the_stream),
        cmocka_unit_test(big_endian_is_read),
        cmocka_unit_test(deflated_data_sets_are_inflated),
        cmocka_unit_test(a_deflate_bomb_is_refused),
        cmocka_unit_test(long_values_are_accepted),
        cmocka_unit_test(a_broken_stream_is_reported_as_it_broke),
        cmocka_unit_test(an_empty_data_set_is_one),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}
