// The nesting of data sets is bounded by the reader (DICOM_DEPTH_MAX), so comparing items by recursion is too.
#include "dicom/compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dicom/values.h"

enum { BLOCK = 16 << 10, SHOWN_NUMBERS = 8 };

#define UNREADABLE "\xEF\xBF\xBD" // U+FFFD

struct comparison {
    const struct reader *a_reader, *b_reader;
    const dicom_tag *left_out;
    struct arena *arena;
    struct error *err;
    bool failed; // *err says why
    // of the top level
    struct dicom_unlike *out;
    size_t capacity, count;
};

static bool fail_memory(struct comparison *c)
{
    c->failed = true;
    return error_set(c->err, ERROR_LIMIT, "two data sets do not fit into memory to be compared");
}

static bool same_items(struct comparison *c, const struct dicom_dataset *a, const struct dicom_dataset *b, bool top);

// ---- elements by what they are

// A private element goes by its creator's name and the lower half of its number; "" and the whole number else.
struct keyed {
    uint16_t group, number;
    const char *creator;
    const struct dicom_element *element;
};

static bool is_creator(dicom_tag tag)
{
    uint16_t number = dicom_tag_element(tag);
    return dicom_tag_is_private(tag) && number >= 0x10 && number <= 0xFF;
}

static bool is_left_out(const struct comparison *c, dicom_tag tag, bool top)
{
    if (dicom_tag_element(tag) == 0 || dicom_tag_group(tag) == 2 || tag == 0x00080005 || tag == 0xFFFCFFFC ||
        is_creator(tag) || (top && dicom_tag_group(tag) == 0x7FE0))
        return true;
    for (const dicom_tag *left_out = c->left_out; top && left_out && *left_out; left_out++)
        if (*left_out == tag)
            return true;
    return false;
}

static const char *creator_of(const struct dicom_dataset *dataset, dicom_tag tag, struct arena *arena)
{
    const char *creator = dicom_tag_is_private(tag)
                              ? dicom_text(dataset, DICOM_TAG(dicom_tag_group(tag), dicom_tag_element(tag) >> 8), arena)
                              : NULL;
    return creator ? creator : "";
}

static int compare_keys(const void *left, const void *right)
{
    const struct keyed *a = left, *b = right;
    int names = strcmp(a->creator, b->creator);
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (names != 0)
        return names;
    return a->number != b->number ? (a->number < b->number ? -1 : 1) : 0;
}

// In a stable order; NULL when the arena is full.
static struct keyed *sort_elements(struct comparison *c, const struct dicom_dataset *dataset, bool top, size_t *count)
{
    struct keyed *list = arena_calloc(c->arena, dataset->count + 1, sizeof *list);
    bool sorted = true;
    *count = 0;
    for (size_t i = 0; list && i < dataset->count; i++) {
        const struct dicom_element *element = &dataset->elements[i];
        if (is_left_out(c, element->tag, top))
            continue;
        const char *creator = creator_of(dataset, element->tag, c->arena);
        uint16_t number = dicom_tag_element(element->tag);
        list[*count] =
            (struct keyed){dicom_tag_group(element->tag), *creator ? number & 0xFF : number, creator, element};
        sorted = sorted && (*count == 0 || compare_keys(&list[*count - 1], &list[*count]) <= 0);
        ++*count;
    }
    if (!list)
        fail_memory(c);
    else if (!sorted)
        qsort(list, *count, sizeof *list, compare_keys);
    return list;
}

// ---- values

static bool is_plain(const struct dicom_element *element)
{
    for (uint32_t i = 0; i < element->length; i++)
        if (element->value[i] >= 0x80 || element->value[i] == 0x1B)
            return false;
    return true;
}

static bool same_loaded(const struct dicom_element *a, const struct dicom_element *b)
{
    return a->length == b->length && a->value && b->value && memcmp(a->value, b->value, a->length) == 0;
}

static enum dicom_vr unit_vr(enum dicom_vr vr)
{
    return vr == DICOM_VR_AT ? DICOM_VR_US : vr; // two numbers each
}

static bool read_value(struct comparison *c, const struct dicom_element *element, const struct reader *reader,
                       uint64_t offset, size_t size, uint8_t *out)
{
    struct dicom_element turned = *element;
    turned.vr = unit_vr(element->vr);
    if (dicom_value_read(&turned, reader, offset, size, out, c->err))
        return true;
    c->failed = true;
    return false;
}

// Of values of unequal length: what is behind `size` in the longer one is padding.
static bool is_padding(struct comparison *c, const struct dicom_element *element, const struct reader *reader,
                       uint32_t size)
{
    uint8_t last;
    return element->length - size == 1 && read_value(c, element, reader, size, 1, &last) && (last == 0 || last == ' ');
}

static bool same_bytes(struct comparison *c, const struct dicom_element *a, const struct dicom_element *b)
{
    uint8_t x[BLOCK], y[BLOCK];
    uint32_t size = a->length < b->length ? a->length : b->length;
    if ((a->length > size && !is_padding(c, a, c->a_reader, size)) ||
        (b->length > size && !is_padding(c, b, c->b_reader, size)))
        return false;
    for (uint32_t at = 0, n; at < size; at += n) {
        n = size - at < BLOCK ? size - at : BLOCK;
        if (!read_value(c, a, c->a_reader, at, n, x) || !read_value(c, b, c->b_reader, at, n, y) ||
            memcmp(x, y, n) != 0)
            return false;
    }
    return true;
}

static bool same_texts(enum dicom_vr vr, const char *a, const char *b)
{
    const char *x, *y;
    size_t x_size, y_size;
    for (size_t i = 0;; i++) {
        bool in_a = dicom_text_split(vr, a, strlen(a), i, &x, &x_size);
        bool in_b = dicom_text_split(vr, b, strlen(b), i, &y, &y_size);
        if (in_a != in_b || !in_a)
            return in_a == in_b;
        if (x_size != y_size || memcmp(x, y, x_size) != 0)
            return false;
    }
}

static bool same_text(struct comparison *c, const struct dicom_dataset *in_a, const struct dicom_element *a,
                      const struct dicom_dataset *in_b, const struct dicom_element *b)
{
    if (same_loaded(a, b) && is_plain(a))
        return true;
    if ((!a->value && a->length > 0) || (!b->value && b->length > 0))
        return same_bytes(c, a, b);
    const char *x = dicom_element_text(in_a, a, c->arena), *y = dicom_element_text(in_b, b, c->arena);
    if (!x || !y)
        return fail_memory(c);
    if (strstr(x, UNREADABLE) || strstr(y, UNREADABLE))
        return same_bytes(c, a, b);
    return same_texts(a->vr, x, y);
}

// ---- sequences

static const struct dicom_dataset *parse_items(struct comparison *c, const struct dicom_dataset *in,
                                               const struct dicom_element *element)
{
    static const uint8_t end[8] = {0xFE, 0xFF, 0xDD, 0xE0};
    const dicom_tag tag = element->tag;
    const uint8_t head[8] = {
        (uint8_t)(tag >> 16), (uint8_t)(tag >> 24), (uint8_t)tag, (uint8_t)(tag >> 8), 0xFF, 0xFF, 0xFF, 0xFF};
    const struct dicom_dataset *parsed;
    struct error ignored;
    uint8_t *bytes = arena_alloc(c->arena, sizeof head + element->length + sizeof end);
    if (!bytes)
        return fail_memory(c), NULL;
    memcpy(bytes, head, sizeof head);
    memcpy(bytes + sizeof head, element->value, element->length);
    memcpy(bytes + sizeof head + element->length, end, sizeof end);
    struct source_memory memory = {bytes, sizeof head + element->length + sizeof end};
    if (!dicom_parse(source_from_memory(&memory), dicom_transfer_syntax_or_default(DICOM_TS_IMPLICIT), NULL, c->arena,
                     &parsed, &ignored))
        return NULL;
    struct dicom_dataset *whole = (struct dicom_dataset *)(uintptr_t)parsed;
    whole->parent = in; // whose character set holds
    return whole;
}

// The sequence that an element is: itself; or, of an UN whose sender did not know it (PS3.5 section 6.2.2), its value
// read as implicit VR. NULL when it is none.
static const struct dicom_element *as_sequence(struct comparison *c, const struct dicom_dataset *in,
                                               const struct dicom_element *element)
{
    if (element->vr == DICOM_VR_SQ || element->length == 0)
        return element;
    const struct dicom_dataset *whole =
        element->vr == DICOM_VR_UN && element->value ? parse_items(c, in, element) : NULL;
    const struct dicom_element *sequence = whole ? dicom_find(whole, element->tag) : NULL;
    return sequence && sequence->vr == DICOM_VR_SQ ? sequence : NULL;
}

static bool same_sequence(struct comparison *c, const struct dicom_dataset *in_a, const struct dicom_element *a,
                          const struct dicom_dataset *in_b, const struct dicom_element *b)
{
    const struct dicom_element *x = as_sequence(c, in_a, a), *y = as_sequence(c, in_b, b);
    if (!x || !y || x->item_count != y->item_count)
        return false;
    for (size_t i = 0; i < x->item_count; i++)
        if (!same_items(c, x->items[i], y->items[i], false))
            return false;
    return true;
}

static bool same_element(struct comparison *c, const struct dicom_dataset *in_a, const struct dicom_element *from_a,
                         const struct dicom_dataset *in_b, const struct dicom_element *from_b)
{
    struct dicom_element a = *from_a, b = *from_b;
    if (a.vr == DICOM_VR_SQ || b.vr == DICOM_VR_SQ)
        return same_sequence(c, in_a, &a, in_b, &b);
    if (a.fragment_count > 0 || b.fragment_count > 0)
        return false;
    if (a.vr == DICOM_VR_UN)
        a.vr = b.vr;
    if (b.vr == DICOM_VR_UN)
        b.vr = a.vr;
    return dicom_vr_is_text(a.vr) && dicom_vr_is_text(b.vr) ? same_text(c, in_a, &a, in_b, &b) : same_bytes(c, &a, &b);
}

// ---- what differs, for people

static const char *shown_numbers(const struct dicom_dataset *in, const struct dicom_element *element,
                                 struct arena *arena)
{
    char text[DICOM_UNLIKE_TEXT_MAX];
    size_t size = 0;
    double number;
    for (size_t i = 0; i < SHOWN_NUMBERS && dicom_element_number(in, element, i, &number); i++) {
        int wrote = snprintf(text + size, sizeof text - size, "%s%.15g", i > 0 ? "\\" : "", number);
        if (wrote < 0 || (size_t)wrote >= sizeof text - size)
            break;
        size += (size_t)wrote;
    }
    return size > 0 ? arena_strndup(arena, text, size) : arena_printf(arena, "(%" PRIu32 " bytes)", element->length);
}

static const char *shown(const struct dicom_dataset *in, const struct dicom_element *element, struct arena *arena)
{
    char text[DICOM_UNLIKE_TEXT_MAX];
    if (!element)
        return "";
    if (element->vr == DICOM_VR_SQ)
        return arena_printf(arena, "(%zu items)", element->item_count);
    const char *value = dicom_vr_is_text(element->vr) ? dicom_text(in, element->tag, arena) : NULL;
    return value ? arena_strdup(arena, text_show(text, sizeof text, value, strlen(value)))
                 : shown_numbers(in, element, arena);
}

static bool note(struct comparison *c, const struct dicom_dataset *in_a, const struct dicom_element *a,
                 const struct dicom_dataset *in_b, const struct dicom_element *b)
{
    if (c->count++ >= c->capacity)
        return true;
    struct dicom_unlike *unlike = &c->out[c->count - 1];
    *unlike = (struct dicom_unlike){a ? a->tag : b->tag, shown(in_a, a, c->arena), shown(in_b, b, c->arena)};
    return (unlike->a && unlike->b) || fail_memory(c);
}

// ---- data sets

// At the top all that differs is noted; below it the first difference ends it.
static bool same_items(struct comparison *c, const struct dicom_dataset *a, const struct dicom_dataset *b, bool top)
{
    size_t a_count, b_count;
    struct keyed *x = sort_elements(c, a, top, &a_count), *y = sort_elements(c, b, top, &b_count);
    bool same = true;
    for (size_t i = 0, k = 0; !c->failed && (i < a_count || k < b_count);) {
        int order = i == a_count ? 1 : k == b_count ? -1 : compare_keys(&x[i], &y[k]);
        const struct dicom_element *left = order <= 0 ? x[i++].element : NULL;
        const struct dicom_element *right = order >= 0 ? y[k++].element : NULL;
        if (left && right && same_element(c, a, left, b, right))
            continue;
        same = false;
        if (!top || c->failed || !note(c, a, left, b, right))
            break;
    }
    return same && !c->failed;
}

bool dicom_compare(const struct dicom_side *a, const struct dicom_side *b, const dicom_tag *left_out,
                   struct arena *arena, struct dicom_unlike *out, size_t capacity, size_t *count, struct error *err)
{
    struct comparison c = {.a_reader = a->reader,
                           .b_reader = b->reader,
                           .left_out = left_out,
                           .arena = arena,
                           .err = err,
                           .out = out,
                           .capacity = capacity};
    same_items(&c, a->dataset, b->dataset, true);
    *count = c.count;
    return !c.failed;
}
