// Building the tree. Elements, items and fragments of open levels wait in scratch vectors; when a level ends, its own
// are copied to the arena in one piece.
#include "dicom/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "dicom/reader.h"
#include "dicom/text_check.h"
#include "dicom/un_sequence.h"

struct scratch {
    void *data; // owned
    size_t count;
    size_t capacity;
};

// An open data set or item, and within it possibly a sequence whose items follow.
struct frame {
    struct dicom_dataset *dataset;
    size_t first_element;
    size_t first_item; // of the open sequence, which is the last element
};

struct builder {
    struct arena *arena;
    struct dicom_parse_options options;
    struct scratch elements, items, fragments;
    struct frame frames[DICOM_DEPTH_MAX + 1];
    unsigned depth;
    unsigned deepest;
    uint64_t shift;           // added to every offset
    struct text_check *check; // NULL: not asked
};

static bool full(const struct builder *builder, struct error *err)
{
    return error_set(err, ERROR_LIMIT, "the data set does not fit into %zu bytes of memory", builder->arena->limit);
}

// A new zeroed place at the end. Never more memory than the arena may have: what does not fit there in the end is not
// gathered here.
static void *grow(struct builder *builder, struct scratch *scratch, size_t unit, struct error *err)
{
    if (scratch->count == scratch->capacity) {
        size_t capacity = scratch->capacity ? scratch->capacity * 2 : 64;
        if (capacity / 2 * unit > builder->arena->limit) {
            full(builder, err);
            return NULL;
        }
        void *data = realloc(scratch->data, capacity * unit);
        if (!data) {
            error_set(err, ERROR_MEMORY, "out of memory for a data set");
            return NULL;
        }
        scratch->data = data;
        scratch->capacity = capacity;
    }
    return memset((char *)scratch->data + scratch->count++ * unit, 0, unit);
}

// Moves the entries from `first` on into the arena.
static void *settle(struct builder *builder, struct scratch *scratch, size_t first, size_t unit, struct error *err)
{
    void *copy = arena_copy(builder->arena, (char *)scratch->data + first * unit, (scratch->count - first) * unit);
    if (!copy)
        full(builder, err);
    scratch->count = first;
    return copy;
}

static struct frame *open_frame(struct builder *builder)
{
    return &builder->frames[builder->depth];
}

static struct dicom_element *last_element(struct builder *builder)
{
    return (struct dicom_element *)builder->elements.data + builder->elements.count - 1;
}

static bool begin_dataset(struct builder *builder, const struct dicom_dataset *parent, struct error *err)
{
    struct frame *frame = open_frame(builder);
    frame->dataset = arena_alloc(builder->arena, sizeof *frame->dataset);
    if (!frame->dataset)
        return full(builder, err);
    frame->dataset->parent = parent;
    frame->first_element = builder->elements.count;
    return true;
}

static bool end_dataset(struct builder *builder, struct error *err)
{
    struct frame *frame = open_frame(builder);
    struct dicom_dataset *dataset = frame->dataset;
    dataset->count = builder->elements.count - frame->first_element;
    dataset->sorted = true;
    if (dataset->count == 0)
        return true;
    dataset->elements = settle(builder, &builder->elements, frame->first_element, sizeof(struct dicom_element), err);
    if (!dataset->elements)
        return false;
    for (size_t i = 1; i < dataset->count && dataset->sorted; i++)
        dataset->sorted = dataset->elements[i - 1].tag <= dataset->elements[i].tag;
    return true;
}

static struct dicom_element *add_element(struct builder *builder, const struct dicom_event *event, struct error *err)
{
    struct dicom_element *element = grow(builder, &builder->elements, sizeof *element, err);
    if (!element)
        return NULL;
    element->tag = event->tag;
    element->vr = event->vr;
    element->vr_from_dictionary = event->vr_from_dictionary;
    element->big_endian = event->big_endian;
    element->undefined_length = event->length == UINT32_MAX;
    element->length = element->undefined_length || event->type != DICOM_EVENT_ELEMENT ? 0 : event->length;
    element->offset = event->value_offset + builder->shift;
    element->tag_offset = event->tag_offset + builder->shift;
    return element;
}

static bool build(struct builder *builder, struct source source, const struct dicom_transfer_syntax *syntax,
                  const struct dicom_dataset *parent, struct error *err);

// A sequence sent as UN of known length holds implicit VR little endian (PS3.5 section 6.2.2, note 2). One that cannot
// be read so stays bytes.
static void open_un_sequence(struct builder *builder, struct dicom_element *element)
{
    struct un_sequence un;
    struct builder *inner = calloc(1, sizeof *inner);
    if (!inner)
        return;
    inner->arena = builder->arena;
    inner->options = builder->options;
    inner->shift = element->offset - UN_SEQUENCE_HEADER;
    struct error ignored;
    struct source source = un_sequence(&un, element->tag, element->value, element->length);
    if (build(inner, source, dicom_transfer_syntax(DICOM_TS_IMPLICIT), open_frame(builder)->dataset, &ignored) &&
        builder->depth + inner->deepest <= DICOM_DEPTH_MAX) {
        const struct dicom_element *sequence = &inner->frames[0].dataset->elements[0];
        element->vr = DICOM_VR_SQ;
        element->items = sequence->items;
        element->item_count = sequence->item_count;
        element->length = 0;
        element->value = NULL;
    }
    free(inner);
}

// A sender that did not know an attribute sends it as UN; the dictionary may know it (PS3.5 section 6.2.2).
static void learn_vr(struct builder *builder, struct dicom_element *element)
{
    const struct dicom_attribute *attribute = dicom_attribute(element->tag);
    if (!attribute || attribute->vr == DICOM_VR_UN)
        return;
    if (attribute->vr != DICOM_VR_SQ) {
        element->vr = attribute->vr;
        element->vr_from_dictionary = true;
    } else if (element->length == 0) {
        element->vr = DICOM_VR_SQ;
    } else if (element->value && builder->depth < builder->options.depth_max) {
        open_un_sequence(builder, element);
    }
}

static bool check_text(struct builder *builder, struct dicom_reader *reader, const struct dicom_event *event,
                       const uint8_t *value, struct error *err)
{
    return !builder->check || text_check_event(builder->check, reader, event, value, err);
}

// What says how text is to be read is always kept.
static bool is_kept(const struct builder *builder, const struct dicom_event *event)
{
    size_t most = builder->options.value_max;
    if (event->tag == DICOM_TAG(0x0008, 0x0005) && most < DICOM_CHARSET_SIZE)
        most = DICOM_CHARSET_SIZE;
    return event->length > 0 && event->length <= most;
}

static bool on_element(struct builder *builder, struct dicom_reader *reader, const struct dicom_event *event,
                       struct error *err)
{
    struct dicom_element *element = add_element(builder, event, err);
    if (!element)
        return false;
    if (is_kept(builder, event)) {
        uint8_t *value = arena_alloc(builder->arena, event->length);
        if (!value)
            return full(builder, err);
        if (!dicom_reader_value(reader, value, err))
            return false;
        element->value = value;
    }
    if (!check_text(builder, reader, event, element->value, err))
        return false;
    if (element->vr == DICOM_VR_UN)
        learn_vr(builder, element);
    return true;
}

static bool on_item(struct builder *builder, struct error *err)
{
    const struct dicom_dataset *parent = open_frame(builder)->dataset;
    builder->depth++;
    if (builder->depth > builder->deepest)
        builder->deepest = builder->depth;
    struct dicom_dataset **place = grow(builder, &builder->items, sizeof *place, err);
    if (!place || !begin_dataset(builder, parent, err))
        return false;
    *place = open_frame(builder)->dataset;
    return true;
}

static bool on_item_end(struct builder *builder, struct error *err)
{
    if (!end_dataset(builder, err))
        return false;
    builder->depth--;
    return true;
}

static bool on_sequence_end(struct builder *builder, struct error *err)
{
    struct dicom_element *element = last_element(builder);
    size_t first = open_frame(builder)->first_item;
    element->item_count = builder->items.count - first;
    if (element->item_count == 0)
        return true;
    element->items = settle(builder, &builder->items, first, sizeof *element->items, err);
    return element->items != NULL;
}

static bool on_fragment(struct builder *builder, const struct dicom_event *event, struct error *err)
{
    struct dicom_fragment *fragment = grow(builder, &builder->fragments, sizeof *fragment, err);
    if (!fragment)
        return false;
    *fragment = (struct dicom_fragment){event->value_offset + builder->shift, event->length};
    return true;
}

static bool on_fragments_end(struct builder *builder, struct error *err)
{
    struct dicom_element *element = last_element(builder);
    element->fragment_count = builder->fragments.count;
    if (element->fragment_count == 0)
        return true;
    element->fragments = settle(builder, &builder->fragments, 0, sizeof *element->fragments, err);
    return element->fragments != NULL;
}

// Reads to the end of a sequence that is not kept.
static bool skip_sequence(struct builder *builder, struct dicom_reader *reader, unsigned depth, struct error *err)
{
    struct dicom_event event;
    do
        if (!dicom_reader_next(reader, &event, err) || !check_text(builder, reader, &event, NULL, err))
            return false;
    while (event.type != DICOM_EVENT_SEQUENCE_END || event.depth != depth);
    return true;
}

static bool on_sequence(struct builder *builder, struct dicom_reader *reader, const struct dicom_event *event,
                        struct error *err)
{
    if (!add_element(builder, event, err))
        return false;
    if (event->depth >= builder->options.depth_max)
        return skip_sequence(builder, reader, event->depth, err);
    open_frame(builder)->first_item = builder->items.count;
    return true;
}

static bool on_event(struct builder *builder, struct dicom_reader *reader, const struct dicom_event *event,
                     struct error *err)
{
    switch (event->type) {
    case DICOM_EVENT_ELEMENT:
        return on_element(builder, reader, event, err);
    case DICOM_EVENT_SEQUENCE:
        return on_sequence(builder, reader, event, err);
    case DICOM_EVENT_ITEM:
        return check_text(builder, reader, event, NULL, err) && on_item(builder, err);
    case DICOM_EVENT_ITEM_END:
        return on_item_end(builder, err);
    case DICOM_EVENT_SEQUENCE_END:
        return on_sequence_end(builder, err);
    case DICOM_EVENT_FRAGMENTS:
        return add_element(builder, event, err) != NULL;
    case DICOM_EVENT_FRAGMENT:
        return on_fragment(builder, event, err);
    case DICOM_EVENT_FRAGMENTS_END:
        return on_fragments_end(builder, err);
    case DICOM_EVENT_END:
        break;
    }
    return end_dataset(builder, err);
}

static bool is_pixels(const struct dicom_event *event)
{
    return event->depth == 0 && (event->tag == DICOM_TAG(0x7FE0, 0x0008) || event->tag == DICOM_TAG(0x7FE0, 0x0009) ||
                                 event->tag == DICOM_TAG(0x7FE0, 0x0010));
}

static bool build_all(struct builder *builder, struct dicom_reader *reader, struct error *err)
{
    struct dicom_event event;
    do {
        if (!dicom_reader_next(reader, &event, err))
            return false;
        if (builder->options.stop_at_pixels && is_pixels(&event))
            event.type = DICOM_EVENT_END;
        if (!on_event(builder, reader, &event, err))
            return false;
    } while (event.type != DICOM_EVENT_END);
    return true;
}

static bool build(struct builder *builder, struct source source, const struct dicom_transfer_syntax *syntax,
                  const struct dicom_dataset *parent, struct error *err)
{
    struct dicom_reader *reader = dicom_reader_new(source, syntax, err);
    if (!reader)
        return false;
    bool built = begin_dataset(builder, parent, err) && build_all(builder, reader, err);
    dicom_reader_free(reader);
    free(builder->elements.data);
    free(builder->items.data);
    free(builder->fragments.data);
    return built;
}

static bool take_charset(struct builder *builder, struct error *err)
{
    struct dicom_dataset *dataset = builder->frames[0].dataset;
    const char *charset = builder->options.charset;
    if (!charset || !*charset)
        return true;
    dataset->charset = arena_strdup(builder->arena, charset);
    return dataset->charset || full(builder, err);
}

bool dicom_parse(struct source source, const struct dicom_transfer_syntax *syntax,
                 const struct dicom_parse_options *options, struct arena *arena, const struct dicom_dataset **out,
                 struct error *err)
{
    static const struct dicom_parse_options standard = {.value_max = 64 << 10, .depth_max = DICOM_DEPTH_MAX};
    struct builder builder = {.arena = arena, .options = options ? *options : standard};
    if (builder.options.check_text && !(builder.check = text_check_new(builder.options.charset)))
        return error_set(err, ERROR_MEMORY, "out of memory for a data set");
    bool ok = build(&builder, source, syntax, NULL, err) && take_charset(&builder, err);
    if (ok && builder.check)
        builder.frames[0].dataset->unreadable = builder.check->unreadable;
    text_check_free(builder.check);
    if (ok)
        *out = builder.frames[0].dataset;
    return ok;
}
