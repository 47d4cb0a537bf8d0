// From a data set to its frames: every byte of each, whatever the transfer syntax, and nothing of what stands beside.
// The data sets lie in memory of just their size, and so do the frames, so that AddressSanitizer sees a step outside.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "support.h"
#include "support/deflate.h"

#define PIXELS DICOM_TAG(0x7FE0, 0x0010)
#define EXTENDED_OFFSETS DICOM_TAG(0x7FE0, 0x0001)
#define JPEG "1.2.840.10008.1.2.4.50"
#define J2K "1.2.840.10008.1.2.4.90"
#define RLE "1.2.840.10008.1.2.5"
#define UNDEFINED UINT32_C(0xFFFFFFFF)

enum { OBJECT_MAX = 1 << 20, ARENA_MAX = 4 << 20, VALUE_MAX = 64, PIECES_MAX = 8, FRAME_MAX = 4096 };

// ---- objects by hand

// Pixel data that are one value, or fragments behind a basic offset table (both of text, so that they can be written
// down here; a fragment's length is its own).
struct piece {
    const char *bytes;
    uint32_t size;
};

struct object {
    struct wanted image;
    const char *syntax, *vr;
    const void *value;
    uint32_t value_size;
    const struct piece *fragments; // NULL: one value
    size_t fragment_count;
    const uint32_t *basic; // offsets, frames of them; NULL: an empty table
    const uint64_t *extended;
    size_t table_count;
};

struct opened {
    uint8_t *bytes;
    size_t size;
    struct arena arena;
    struct image_frames frames;
    int released;
};

static void put_item(struct buffer *out, uint16_t element, const void *bytes, uint32_t size)
{
    buffer_u16le(out, 0xFFFE);
    buffer_u16le(out, element);
    buffer_u32le(out, size);
    buffer_append(out, bytes, size);
}

static void put_fragments(struct buffer *out, const struct object *object)
{
    uint8_t table[4 * PIECES_MAX], extended[8 * PIECES_MAX];
    const uint32_t count = (uint32_t)object->table_count;
    for (size_t i = 0; object->basic && i < count; i++)
        bytes_put_u32le(table + 4 * i, object->basic[i]);
    for (size_t i = 0; object->extended && i < count; i++)
        bytes_put_u64le(extended + 8 * i, object->extended[i]);
    if (object->extended)
        put_element(out, false, EXTENDED_OFFSETS, "OV", extended, 8 * count);
    put_element(out, false, PIXELS, "OB", NULL, UNDEFINED);
    put_item(out, 0xE000, table, object->basic ? 4 * count : 0);
    for (size_t i = 0; i < object->fragment_count; i++)
        put_item(out, 0xE000, object->fragments[i].bytes, object->fragments[i].size);
    put_item(out, 0xE0DD, NULL, 0);
}

static void make_bytes(const struct object *object, struct opened *out)
{
    const struct dicom_transfer_syntax *syntax = dicom_transfer_syntax_or_default(object->syntax);
    struct buffer bytes, packed;
    buffer_init(&bytes, OBJECT_MAX);
    put_image(&bytes, &object->image, syntax->big_endian);
    if (object->fragments)
        put_fragments(&bytes, object);
    else if (object->vr)
        put_element(&bytes, syntax->big_endian, PIXELS, object->vr, object->value, object->value_size);
    assert_false(bytes.failed);
    buffer_init(&packed, OBJECT_MAX);
    if (syntax->deflated)
        deflate_bytes(&packed, bytes.data, bytes.size);
    else
        buffer_append(&packed, bytes.data, bytes.size);
    out->size = packed.size;
    out->bytes = malloc(packed.size);
    memcpy(out->bytes, packed.data, packed.size);
    buffer_free(&packed);
    buffer_free(&bytes);
}

static bool read_opened(void *payload, uint64_t offset, void *to, size_t size, struct error *err)
{
    const struct opened *opened = payload;
    (void)err;
    memcpy(to, opened->bytes + offset, size);
    return true;
}

static void release_opened(void *payload)
{
    ((struct opened *)payload)->released++;
}

static bool open_object(const struct object *object, struct opened *out, struct error *err)
{
    const struct dicom_parse_options options = {.value_max = VALUE_MAX, .depth_max = 1};
    const struct dicom_dataset *dataset;
    memset(out, 0, sizeof *out);
    arena_init(&out->arena, ARENA_MAX);
    make_bytes(object, out);
    struct source_memory memory = {out->bytes, out->size};
    assert_ok(dicom_parse(source_from_memory(&memory), dicom_transfer_syntax_or_default(object->syntax), &options,
                          &out->arena, &dataset, err),
              *err);
    const struct reader reader = {read_opened, release_opened, out, 0, out->size};
    return image_frames_open(&out->frames, dataset, object->syntax, reader, NULL, err);
}

static void close_object(struct opened *opened)
{
    image_frames_close(&opened->frames);
    assert_int_equal(opened->released, 1);
    arena_free(&opened->arena);
    free(opened->bytes);
}

static void assert_not_opened(const struct object *object, enum error_code code, const char *told)
{
    struct opened opened;
    struct error err = {0};
    assert_false(open_object(object, &opened, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.message, told))
        fail_msg("'%s' does not say '%s'", err.message, told);
    close_object(&opened);
}

static void assert_frame(struct opened *opened, uint32_t index, const void *expected, size_t size)
{
    struct error err;
    enum image_color color;
    uint8_t *out = malloc(size);
    assert_int_equal(opened->frames.format.frame_bytes, size);
    assert_ok(image_frame(&opened->frames, index, out, size, &color, &err), err);
    for (size_t i = 0; i < size; i++)
        if (out[i] != ((const uint8_t *)expected)[i])
            fail_msg("frame %u, byte %zu is %u, not %u", index, i, out[i], ((const uint8_t *)expected)[i]);
    free(out);
}

static void assert_no_frame(struct opened *opened, uint32_t index, enum error_code code)
{
    struct error err = {0};
    enum image_color color;
    const size_t size = (size_t)opened->frames.format.frame_bytes;
    uint8_t *out = malloc(size);
    assert_false(image_frame(&opened->frames, index, out, size, &color, &err));
    assert_int_equal(err.code, code);
    free(out);
}

// 1 2 3 ... 255 1 2: no byte of a frame is what stands one frame, or an even number of bytes, beside.
static const uint8_t *count_up(void)
{
    static uint8_t bytes[4 * FRAME_MAX];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(1 + i % 255);
    return bytes;
}

static const uint8_t *swapped(const uint8_t *bytes, size_t size, size_t unit)
{
    static uint8_t out[4 * FRAME_MAX];
    for (size_t i = 0; i < size; i++)
        out[i] = bytes[i / unit * unit + unit - 1 - i % unit];
    return out;
}

// All three frames of `size` bytes are what they are in `expected`, one after the other; how the object has them is
// told.
static void assert_three_frames(const struct object *object, const uint8_t *expected, size_t size, bool as_it_lies)
{
    struct opened opened;
    struct error err;
    assert_ok(open_object(object, &opened, &err), err);
    assert_int_equal(opened.frames.as_it_lies, as_it_lies);
    for (uint32_t i = 0; i < 3; i++) {
        size_t count;
        assert_frame(&opened, i, expected + size * i, size);
        const struct dicom_fragment *place = image_frame_stored(&opened.frames, i, &count, &err);
        assert_int_equal(place != NULL, as_it_lies);
        if (!place)
            continue;
        assert_int_equal(count, 1);
        assert_int_equal(place->length, size);
        assert_memory_equal(opened.bytes + place->offset, expected + size * i, size);
    }
    assert_no_frame(&opened, 3, ERROR_NOT_FOUND);
    assert_no_frame(&opened, UINT32_MAX, ERROR_NOT_FOUND);
    close_object(&opened);
}

// ---- native

static const struct object ct = {.image = {.photometric = "MONOCHROME2 ",
                                           .frames = "3 ",
                                           .samples = 1,
                                           .planar = -1,
                                           .rows = 4,
                                           .columns = 6,
                                           .allocated = 16,
                                           .stored = 12,
                                           .high = 11,
                                           .is_signed = 0},
                                 .syntax = DICOM_TS_EXPLICIT,
                                 .vr = "OW",
                                 .value_size = 144};

static const struct object rgb_of_9 = {.image = {.photometric = "RGB ",
                                                 .frames = "3 ",
                                                 .samples = 3,
                                                 .planar = 0,
                                                 .rows = 3,
                                                 .columns = 3,
                                                 .allocated = 8,
                                                 .stored = 8,
                                                 .high = 7,
                                                 .is_signed = 0},
                                       .syntax = DICOM_TS_EXPLICIT,
                                       .vr = "OW",
                                       .value_size = 82};

static void native_frames_follow_each_other(void **state)
{
    (void)state;
    struct object object = ct;
    object.value = count_up();
    assert_three_frames(&object, count_up(), 48, true);
}

static void native_pixels_one_byte_short_lack_their_last_frame_line_44(void **state)
{
    (void)state;
    struct object object = ct;
    struct opened opened;
    struct error err;
    size_t count;
    object.value = count_up();
    object.value_size = 143;
    assert_ok(open_object(&object, &opened, &err), err);
    assert_frame(&opened, 1, count_up() + 48, 48);
    assert_no_frame(&opened, 2, ERROR_BAD_DATA);
    assert_null(image_frame_stored(&opened.frames, 2, &count, &err));
    close_object(&opened);
}

static void a_frame_of_another_size_than_is_due_is_not_given(void **state)
{
    (void)state;
    struct object object = ct;
    struct opened opened;
    struct error err;
    enum image_color color;
    uint8_t out[64];
    object.value = count_up();
    assert_ok(open_object(&object, &opened, &err), err);
    assert_false(image_frame(&opened.frames, 0, out, 47, &color, &err));
    assert_false(image_frame(&opened.frames, 0, out, 49, &color, &err));
    assert_non_null(strstr(err.message, "frames of 48 bytes; 49 are due"));
    close_object(&opened);
}

// Words are swapped over the whole value: a frame of odd size begins in the middle of one.
static void big_endian_frames_of_odd_size_are_whole(void **state)
{
    (void)state;
    struct object object = rgb_of_9;
    object.syntax = DICOM_TS_BIG_ENDIAN;
    object.value = swapped(count_up(), 82, 2);
    assert_three_frames(&object, count_up(), 27, false);
    object.vr = "OB"; // bytes have no order
    object.value = count_up();
    assert_three_frames(&object, count_up(), 27, true);
}

static void big_endian_samples_are_turned(void **state)
{
    (void)state;
    struct object object = ct;
    object.syntax = DICOM_TS_BIG_ENDIAN;
    object.value = swapped(count_up(), 144, 2);
    assert_three_frames(&object, count_up(), 48, false);
}

// ---- one bit a pixel

static const struct object bits_of_15 = {.image = {.photometric = "MONOCHROME2 ",
                                                   .frames = "4 ",
                                                   .samples = 1,
                                                   .planar = -1,
                                                   .rows = 3,
                                                   .columns = 5,
                                                   .allocated = 1,
                                                   .stored = 1,
                                                   .high = 0,
                                                   .is_signed = 0},
                                         .vr = "OW",
                                         .value_size = 8};

// Frame `index` of `bits` bits each, by arithmetic on single bits.
static void cut_bits(const uint8_t *value, uint32_t index, uint32_t bits, uint8_t *out)
{
    memset(out, 0, (bits + 7) / 8);
    for (uint32_t i = 0; i < bits; i++) {
        const uint32_t at = index * bits + i;
        out[i / 8] |= (uint8_t)((value[at / 8] >> (at % 8) & 1) << (i % 8));
    }
}

static void frames_of_bits_begin_anywhere_in_a_byte(void **state)
{
    (void)state;
    static const char *const syntaxes[] = {DICOM_TS_EXPLICIT, DICOM_TS_BIG_ENDIAN, DICOM_TS_DEFLATED};
    static const uint8_t value[8] = {0xA5, 0x3C, 0x71, 0xE8, 0x96, 0x0F, 0xD2, 0x4B};
    for (size_t s = 0; s < sizeof syntaxes / sizeof syntaxes[0]; s++) {
        struct object object = bits_of_15;
        struct opened opened;
        struct error err;
        uint8_t expected[2];
        object.syntax = syntaxes[s];
        object.value = s == 1 ? swapped(value, 8, 2) : value;
        assert_ok(open_object(&object, &opened, &err), err);
        assert_false(opened.frames.as_it_lies);
        for (uint32_t i = 0; i < 4; i++) {
            cut_bits(value, i, 15, expected);
            assert_frame(&opened, i, expected, 2);
        }
        close_object(&opened);
    }
}

static void frames_of_bits_that_fill_bytes_lie_as_they_come(void **state)
{
    (void)state;
    struct object object = bits_of_15;
    struct opened opened;
    struct error err;
    size_t count;
    object.image.columns = 8;
    object.image.frames = "2 ";
    object.syntax = DICOM_TS_EXPLICIT;
    object.value = count_up();
    object.value_size = 6;
    assert_ok(open_object(&object, &opened, &err), err);
    assert_true(opened.frames.as_it_lies);
    assert_frame(&opened, 1, count_up() + 3, 3);
    const struct dicom_fragment *place = image_frame_stored(&opened.frames, 1, &count, &err);
    assert_non_null(place);
    assert_memory_equal(opened.bytes + place->offset, count_up() + 3, 3);
    close_object(&opened);
}

static void bits_that_end_early_lack_their_last_frame(void **state)
{
    (void)state;
    struct object object = bits_of_15;
    struct opened opened;
    struct error err;
    object.syntax = DICOM_TS_EXPLICIT;
    object.value = count_up();
    object.value_size = 7; // 56 bits of 60
    assert_ok(open_object(&object, &opened, &err), err);
    assert_no_frame(&opened, 3, ERROR_BAD_DATA);
    close_object(&opened);
}

// ---- colours that may be subsampled, and deflated ones

static void colors_have_the_size_that_their_length_tells(void **state)
{
    (void)state;
    static const char *const syntaxes[] = {DICOM_TS_EXPLICIT, DICOM_TS_BIG_ENDIAN, DICOM_TS_DEFLATED};
    static const char *const declared[] = {"YBR_FULL_422", "YBR_PARTIAL_422 "};
    for (size_t i = 0; i < 2 * 2 * 3; i++) {
        struct object object = rgb_of_9;
        const size_t frame = (i / 6 ? 3 : 2) * 16 * 16;
        object.syntax = syntaxes[i % 3];
        object.image.photometric = declared[i / 3 % 2];
        object.image.rows = object.image.columns = 16;
        object.value_size = (uint32_t)(3 * frame);
        object.value = i % 3 == 1 ? swapped(count_up(), 3 * frame, 2) : count_up();
        assert_three_frames(&object, count_up(), frame, i % 3 == 0);
    }
}

static void a_length_that_contradicts_the_colors_is_refused(void **state)
{
    (void)state;
    struct object object = rgb_of_9;
    object.image.photometric = "YBR_FULL_422";
    object.image.columns = 4;
    object.value = count_up();
    object.value_size = 90; // three frames of 24 or of 36 are due
    assert_not_opened(&object, ERROR_BAD_DATA, "3 subsampled frames have 72, frames with all samples 108");
}

static void floating_point_pixels_are_turned_by_their_size(void **state)
{
    (void)state;
    struct object object = {.image = ct.image, .syntax = DICOM_TS_BIG_ENDIAN};
    struct opened opened;
    struct error err;
    struct buffer bytes;
    const struct dicom_dataset *dataset;
    object.image.allocated = 32;
    object.image.stored = object.image.high = object.image.is_signed = -1;
    buffer_init(&bytes, OBJECT_MAX);
    put_image(&bytes, &object.image, true);
    put_element(&bytes, true, DICOM_TAG(0x7FE0, 0x0008), "OF", swapped(count_up(), 288, 4), 288);
    memset(&opened, 0, sizeof opened);
    arena_init(&opened.arena, ARENA_MAX);
    struct source_memory memory = {bytes.data, bytes.size};
    assert_ok(dicom_parse(source_from_memory(&memory), dicom_transfer_syntax(DICOM_TS_BIG_ENDIAN), NULL, &opened.arena,
                          &dataset, &err),
              err);
    const struct reader reader = {read_opened, release_opened, &opened, 0, bytes.size};
    opened.bytes = bytes.data;
    assert_ok(image_frames_open(&opened.frames, dataset, DICOM_TS_BIG_ENDIAN, reader, NULL, &err), err);
    assert_frame(&opened, 1, count_up() + 96, 96);
    close_object(&opened);
}

static void an_object_without_pixels_has_no_frames(void **state)
{
    (void)state;
    struct object object = ct;
    object.vr = NULL;
    assert_not_opened(&object, ERROR_NOT_FOUND, "no pixel data");
}

// ---- what is not what its transfer syntax says

static void native_pixels_under_an_encapsulated_name_are_read_when_their_length_is_right(void **state)
{
    (void)state;
    struct object object = ct;
    struct opened opened;
    struct error err;
    object.syntax = RLE;
    object.value = count_up();
    assert_ok(open_object(&object, &opened, &err), err);
    assert_false(opened.frames.encapsulated);
    assert_frame(&opened, 2, count_up() + 96, 48);
    close_object(&opened);
    object.value_size = 146;
    assert_not_opened(&object, ERROR_BAD_DATA, "a value of 146 bytes; native frames would have 144");
    object.value_size = 100;
    assert_not_opened(&object, ERROR_BAD_DATA, "a value of 100 bytes");
}

static void fragments_under_a_native_name_are_refused(void **state)
{
    (void)state;
    static const struct piece one[] = {{"abcd", 4}};
    struct object object = ct;
    object.fragments = one;
    object.fragment_count = 1;
    assert_not_opened(&object, ERROR_BAD_DATA, "is native, the pixel data are fragments");
}

// ---- which fragments make which frame

#define SOI "\xFF\xD8\xFF\xE0"
#define MORE "more"

static const struct object jpegs = {.image = {.photometric = "MONOCHROME2 ",
                                              .frames = "3 ",
                                              .samples = 1,
                                              .planar = -1,
                                              .rows = 8,
                                              .columns = 8,
                                              .allocated = 8,
                                              .stored = 8,
                                              .high = 7,
                                              .is_signed = 0},
                                    .syntax = JPEG};

// `parts` says of each frame how many fragments it has: "121".
static void assert_parts(const struct object *object, const char *parts)
{
    struct opened opened;
    struct error err;
    size_t next = 0, count;
    assert_ok(open_object(object, &opened, &err), err);
    for (uint32_t i = 0; parts[i]; i++) {
        const struct dicom_fragment *stored = image_frame_stored(&opened.frames, i, &count, &err);
        assert_non_null(stored);
        assert_int_equal(count, parts[i] - '0');
        for (size_t k = 0; k < count; k++, next++) {
            assert_int_equal(stored[k].length, object->fragments[next].size);
            assert_memory_equal(opened.bytes + stored[k].offset, object->fragments[next].bytes, stored[k].length);
        }
    }
    close_object(&opened);
}

static struct object with(const struct piece *fragments, size_t count, const char *frames)
{
    struct object object = jpegs;
    object.fragments = fragments;
    object.fragment_count = count;
    object.image.frames = frames;
    return object;
}

// Fragments of 10, 20, 30 and 4 bytes: they begin at 0, 18, 46 and 84.
static const struct piece four[] = {
    {"aaaaaaaaaa", 10}, {"bbbbbbbbbbbbbbbbbbbb", 20}, {"cccccccccccccccccccccccccccccc", 30}, {"dddd", 4}};

static void the_offset_table_tells_frames_apart(void **state)
{
    (void)state;
    static const uint32_t basic[] = {0, 46}, basic_of_3[] = {0, 18, 84};
    static const uint64_t extended[] = {0, 46};
    struct object object = with(four, 4, "2 ");
    object.basic = basic;
    object.table_count = 2;
    assert_parts(&object, "22");
    object.basic = NULL;
    object.extended = extended;
    assert_parts(&object, "22");
    object = with(four, 4, "3 ");
    object.basic = basic_of_3;
    object.table_count = 3;
    assert_parts(&object, "121");
}

static void without_a_table_one_fragment_is_one_frame(void **state)
{
    (void)state;
    struct object object = with(four, 4, "4 ");
    assert_parts(&object, "1111");
    object = with(four, 4, "1 ");
    assert_parts(&object, "4");
    object.image.frames = "0 ";
    assert_parts(&object, "4");
}

static const uint32_t lies[][4] = {{0, 18, 9999, 0}, {0, 19, 46, 0}, {0, 46, 18, 0},         {0, 0, 18, 0},
                                   {18, 46, 84, 0},  {0, 18, 18, 0}, {0, 18, UINT32_MAX, 0}, {0, 46, 84, 9}};

static void a_table_that_lies_says_nothing_line_38(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct object object = with(four, 4, "4 "); // as many fragments as frames need no table
        object.basic = lies[i];
        object.table_count = 4;
        assert_parts(&object, "1111");
        object = with(four, 4, "3 "); // here nothing else tells
        object.basic = lies[i];
        object.table_count = i == 7 ? 4 : 3; // of another size
        assert_not_opened(&object, ERROR_BAD_DATA, "3 frames in 4 fragments, of which 0 begin a frame");
    }
}

static void frames_are_found_where_a_code_stream_begins(void **state)
{
    (void)state;
    static const struct piece jpeg[] = {{SOI "1", 5}, {MORE, 4}, {SOI "2", 5}, {SOI "3", 5}, {MORE, 4}};
    static const struct piece j2k[] = {{"\xFF\x4F\xFF\x51\0\x2F\0\0", 8},
                                       {"\xFF\x4F\0\0\0\0\0\0", 8},
                                       {"\0\0\0\x0CjP  \r\n\x87\n", 12},
                                       {"\xFF\x4F\xFF\x51\0\x2F\0\0", 8}};
    struct object object = with(jpeg, 5, "3 ");
    assert_parts(&object, "212");
    object.basic = lies[0];
    object.table_count = 3;
    assert_parts(&object, "212");
    object = with(j2k, 4, "3 ");
    object.syntax = J2K;
    assert_parts(&object, "211");
    object = with(jpeg, 5, "2 "); // three begin
    assert_not_opened(&object, ERROR_BAD_DATA, "2 frames in 5 fragments, of which 3 begin a frame");
    object = with(jpeg + 1, 4, "2 "); // the first does not
    assert_not_opened(&object, ERROR_BAD_DATA, "2 frames in 4 fragments, of which 2 begin a frame");
    object.syntax = "1.2.840.10008.1.2.8.1"; // deflated frames begin with any byte
    assert_not_opened(&object, ERROR_BAD_DATA, "of which 0 begin a frame");
}

static void frames_of_rle_are_found_by_their_header(void **state)
{
    (void)state;
    static char header[3][70];
    for (int i = 0; i < 3; i++) {
        bytes_put_u32le((uint8_t *)header[i], i == 1 ? 3 : 2);
        bytes_put_u32le((uint8_t *)header[i] + 4, 64);
        bytes_put_u32le((uint8_t *)header[i] + 8, 67);
    }
    const struct piece fragments[] = {{header[0], 70}, {header[1], 70}, {header[2], 70}};
    struct object object = with(fragments, 3, "2 ");
    object.syntax = RLE;
    object.image.allocated = object.image.stored = 16;
    object.image.high = 15;
    assert_parts(&object, "21");
}

static void empty_fragments_at_the_end_are_no_frames(void **state)
{
    (void)state;
    static const struct piece fragments[] = {{SOI "1", 5}, {SOI "2", 5}, {"", 0}, {"", 0}};
    struct object object = with(fragments, 4, "2 ");
    assert_parts(&object, "11");
    object = with(fragments + 1, 2, "1 ");
    assert_parts(&object, "1");
}

static void missing_and_empty_fragments_are_refused_line_39(void **state)
{
    (void)state;
    static const struct piece fragments[] = {{SOI "1", 5}, {"", 0}, {SOI "2", 5}};
    struct object object = with(fragments, 0, "1 ");
    struct opened opened;
    struct error err;
    size_t count;
    assert_not_opened(&object, ERROR_BAD_DATA, "without a fragment");
    object = with(fragments + 1, 1, "1 ");
    assert_ok(open_object(&object, &opened, &err), err);
    assert_no_frame(&opened, 0, ERROR_BAD_DATA);
    close_object(&opened);
    object = with(fragments, 3, "3 ");
    assert_ok(open_object(&object, &opened, &err), err);
    assert_null(image_frame_stored(&opened.frames, 1, &count, &err));
    assert_int_equal(err.code, ERROR_BAD_DATA);
    assert_non_null(image_frame_stored(&opened.frames, 2, &count, &err));
    close_object(&opened);
}

static void a_thousand_frames_in_three_fragments_are_refused_line_40(void **state)
{
    (void)state;
    const struct object object = with(four, 3, "1000");
    assert_not_opened(&object, ERROR_BAD_DATA, "1000 frames in 3 fragments");
}

// ---- real files, through the decode children

static void frames_of_real_files_are_decoded(void **state)
{
    (void)state;
    struct error err;
    struct image_decoder *decoder = image_decoder_open(false, &err);
    static const char *const files[] = {"SC_rgb_rle_2frame.dcm", "JPEG2000.dcm", "MR_small_jpeg_ls_lossless.dcm"};
    assert_non_null(decoder);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];
        struct picture picture;
        enum image_color color;
        snprintf(path, sizeof path, PYDICOM_FILES "%s", files[i]);
        assert_ok(picture_open(&picture, path, &err), err);
        picture.frames.decoder = decoder;
        for (uint32_t k = 0; k < picture.format.frames; k++) {
            const size_t size = (size_t)picture.format.frame_bytes;
            uint8_t *expected = picture_frame(&picture, k, &color, &err), *out = malloc(size);
            assert_non_null(expected);
            assert_ok(image_frame(&picture.frames, k, out, size, &color, &err), err);
            assert_memory_equal(out, expected, size);
            free(out);
            free(expected);
        }
        picture_close(&picture);
    }
    image_decoder_close(decoder);
}

int test_frames(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(native_frames_follow_each_other),
        cmocka_unit_test(native_pixels_one_byte_short_lack_their_last_frame_line_44),
        cmocka_unit_test(a_frame_of_another_size_than_is_due_is_not_given),
        cmocka_unit_test(big_endian_frames_of_odd_size_are_whole),
        cmocka_unit_test(big_endian_samples_are_turned),
        cmocka_unit_test(frames_of_bits_begin_anywhere_in_a_byte),
        cmocka_unit_test(frames_of_bits_that_fill_bytes_lie_as_they_come),
        cmocka_unit_test(bits_that_end_early_lack_their_last_frame),
        cmocka_unit_test(colors_have_the_size_that_their_length_tells),
        cmocka_unit_test(a_length_that_contradicts_the_colors_is_refused),
        cmocka_unit_test(floating_point_pixels_are_turned_by_their_size),
        cmocka_unit_test(an_object_without_pixels_has_no_frames),
        cmocka_unit_test(native_pixels_under_an_encapsulated_name_are_read_when_their_length_is_right),
        cmocka_unit_test(fragments_under_a_native_name_are_refused),
        cmocka_unit_test(the_offset_table_tells_frames_apart),
        cmocka_unit_test(without_a_table_one_fragment_is_one_frame),
        cmocka_unit_test(a_table_that_lies_says_nothing_line_38),
        cmocka_unit_test(frames_are_found_where_a_code_stream_begins),
        cmocka_unit_test(frames_of_rle_are_found_by_their_header),
        cmocka_unit_test(empty_fragments_at_the_end_are_no_frames),
        cmocka_unit_test(missing_and_empty_fragments_are_refused_line_39),
        cmocka_unit_test(a_thousand_frames_in_three_fragments_are_refused_line_40),
        cmocka_unit_test(frames_of_real_files_are_decoded),
    };
    return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
