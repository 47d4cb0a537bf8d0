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

static void write_json(const struct dicom_dataset *dataset, struct arena *arena)
{
    struct dicom_json_options options = {.bulk_base = "http://host", .inline_max = 100};
    struct buffer json;
    struct error err = {0};
    buffer_init(&json, JSON_MAX);
    dicom_json_write(&json, dataset, &options, arena, &err);
    for (size_t i = 0; i < dataset->count && i < 3; i++)
        dicom_json_write_element(&json, dataset, &dataset->elements[i], &options, arena, &err);
    buffer_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const syntaxes[] = {DICOM_TS_IMPLICIT, DICOM_TS_EXPLICIT, DICOM_TS_DEFLATED,
                                           DICOM_TS_BIG_ENDIAN};
    static const size_t sizes[] = {SIZE_MAX, 1, 7, 64};
    if (size == 0)
        return 0;
    struct pieces pieces = {data + 1, size - 1, sizes[*data >> 2 & 3]};
    struct dicom_parse_options options = {.value_max = *data & 16 ? 8 : 64 << 10,
                                          .depth_max = *data & 32 ? 1 : DICOM_DEPTH_MAX,
                                          .stop_at_pixels = *data & 64};
    struct arena arena;
    struct error err = {0};
    const struct dicom_dataset *dataset;
    arena_init(&arena, *data & 128 ? ARENA_SMALL : ARENA_MAX);
    if (dicom_parse((struct source){.next = next, .payload = &pieces}, dicom_transfer_syntax(syntaxes[*data & 3]),
                    &options, &arena, &dataset, &err)) {
        use(dataset, 0, &arena);
        write_json(dataset, &arena);
    } else if (err.code == ERROR_NONE || !err.message[0]) {
        abort();
    }
    arena_free(&arena);
    return 0;
}
