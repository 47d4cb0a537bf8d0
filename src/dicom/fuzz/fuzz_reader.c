// Attacks the data set parser, the tree, typed access, character sets and the JSON writer. The first byte of an input
// picks the transfer syntax, the size of the pieces in which the rest, the data set, arrives, and what is asked of the
// parser. Run by tools/fuzz.
#include <stdlib.h>
#include <string.h>

#include "dicom/charset.h"
#include "dicom/json.h"

enum { ARENA_MAX = 32 << 20, ARENA_SMALL = 2 << 10, JSON_MAX = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct pieces {
    const uint8_t *data;
    size_t size;
    size_t piece;
};

static bool next(void *payload, const uint8_t **data, size_t *size, struct error *err)
{
    (void)err;
    struct pieces *pieces = payload;
    *data = pieces->data;
    *size = pieces->size < pieces->piece ? pieces->size : pieces->piece;
    pieces->data += *size;
    pieces->size -= *size;
    return true;
}

static uint64_t pass(void *payload, uint64_t size)
{
    struct pieces *pieces = payload;
    uint64_t passed = size < pieces->size ? size : pieces->size;
    pieces->data += passed;
    pieces->size -= passed;
    return passed;
}

static void use_element(const struct dicom_dataset *dataset, const struct dicom_element *element, struct arena *arena)
{
    int64_t integer;
    double number;
    char text[16];
    size_t count = dicom_value_count(dataset, element->tag);
    for (size_t i = 0; i < 3; i++) {
        dicom_integer(dataset, element->tag, i, &integer);
        dicom_number(dataset, element->tag, i, &number);
        const char *value = dicom_text_at(dataset, element->tag, i, arena);
        if (value && i > 0 && i >= count)
            abort();
    }
    dicom_charset_is_known(dicom_text(dataset, element->tag, arena));
    dicom_text_copy(dataset, element->tag, text, sizeof text);
}

static void use(const struct dicom_dataset *dataset, unsigned depth, struct arena *arena)
{
    if (depth > DICOM_DEPTH_MAX)
        abort();
    for (size_t i = 0; i < dataset->count; i++) {
        const struct dicom_element *element = &dataset->elements[i];
        if (!dicom_find(dataset, element->tag))
            abort();
        if (i < 100)
            use_element(dataset, element, arena);
        for (size_t k = 0; k < element->item_count; k++) {
            if (!element->items[k]->parent)
                abort();
            use(element->items[k], depth + 1, arena);
        }
    }
}

static void write_json(const struct dicom_dataset *dataset, struct arena *arena, struct buffer *json)
{
    struct dicom_json_options options = {.bulk_base = "http://host", .inline_max = 100};
    struct error err = {0};
    dicom_json_write(json, dataset, &options, arena, &err);
    for (size_t i = 0; i < dataset->count && i < 3; i++)
        dicom_json_write_element(json, dataset, &dataset->elements[i], &options, arena, &err);
}

// What comes of the data set: its JSON, or why it is refused.
static bool read_all(uint8_t choice, struct source source, struct buffer *out)
{
    static const char *const syntaxes[] = {DICOM_TS_IMPLICIT, DICOM_TS_EXPLICIT, DICOM_TS_DEFLATED,
                                           DICOM_TS_BIG_ENDIAN};
    struct dicom_parse_options options = {.value_max = choice & 16 ? 8 : 64 << 10,
                                          .depth_max = choice & 32 ? 1 : DICOM_DEPTH_MAX,
                                          .stop_at_pixels = choice & 64,
                                          .charset = choice & 16 ? "ISO 2022 IR 13\\ISO 2022 IR 87" : NULL,
                                          .check_text = true};
    struct arena arena;
    struct error err = {0};
    const struct dicom_dataset *dataset;
    arena_init(&arena, choice & 128 ? ARENA_SMALL : ARENA_MAX);
    bool well = dicom_parse(source, dicom_transfer_syntax(syntaxes[choice & 3]), &options, &arena, &dataset, &err);
    if (well) {
        use(dataset, 0, &arena);
        write_json(dataset, &arena, out);
        // Nothing is replaced without being told.
        if (!dataset->unreadable && out->size > 0 && memmem(out->data, out->size, "\xEF\xBF\xBD", 3))
            abort();
        buffer_text(out, dataset->unreadable ? "unreadable" : "");
    } else if (err.code == ERROR_NONE || !err.message[0]) {
        abort();
    } else {
        buffer_text(out, err.message);
    }
    arena_free(&arena);
    return well;
}

// However the bytes arrive, the same comes of them. But damage to a deflated stream may be noticed before or after
// another fault of what it holds, or lie behind the place where the reader stops.
static bool agree(uint8_t choice, bool well, const struct buffer *a, bool also_well, const struct buffer *b)
{
    if ((choice & 3) == 2 && !(well && also_well))
        return well == also_well || (choice & 64);
    return well == also_well && a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t sizes[] = {SIZE_MAX, 1, 7, 64};
    if (size == 0)
        return 0;
    size_t piece = sizes[*data >> 2 & 3];
    struct pieces parts = {data + 1, size - 1, piece}, one = {data + 1, size - 1, SIZE_MAX};
    struct buffer of_parts, of_one;
    buffer_init(&of_parts, JSON_MAX);
    buffer_init(&of_one, JSON_MAX);
    bool well = read_all(*data, (struct source){next, &parts, piece == 64 ? pass : NULL}, &of_parts);
    if (piece != SIZE_MAX &&
        !agree(*data, well, &of_parts, read_all(*data, (struct source){next, &one, NULL}, &of_one), &of_one))
        abort();
    buffer_free(&of_parts);
    buffer_free(&of_one);
    return 0;
}
