#include "dicom/text_check.h"

#include <stdlib.h>
#include <string.h>

#include "dicom/un_sequence.h"

#define TAG_CHARSET DICOM_TAG(0x0008, 0x0005)

enum { SCRATCH_MAX = 4 * TEXT_CHECK_MAX + 1024, SMALL = 256 };

struct text_check *text_check_new(const char *otherwise)
{
    struct text_check *check = calloc(1, sizeof *check);
    if (!check)
        return NULL;
    check->otherwise = otherwise;
    arena_init(&check->scratch, SCRATCH_MAX);
    return check;
}

void text_check_free(struct text_check *check)
{
    if (!check)
        return;
    arena_free(&check->scratch);
    free(check);
}

// What the tree takes the element for: one that was sent as UN may be known (see dataset.c).
static enum dicom_vr vr_of(const struct dicom_event *event)
{
    const struct dicom_attribute *attribute = event->vr == DICOM_VR_UN ? dicom_attribute(event->tag) : NULL;
    return attribute ? attribute->vr : event->vr;
}

static void see_charset(struct text_check *check, unsigned depth, const uint8_t *value, size_t size)
{
    size_t kept = size < DICOM_CHARSET_SIZE ? size : DICOM_CHARSET_SIZE - 1;
    if (check->named[depth]) // dicom_find gives the first, too
        return;
    check->named[depth] = true;
    memcpy(check->charsets[depth], value, kept);
    check->charsets[depth][kept] = '\0';
    check->unreadable |= check->seen[depth];
}

static void see_text(struct text_check *check, unsigned depth, enum dicom_vr vr, const uint8_t *value, size_t size)
{
    const struct dicom_charset charset = {check->charsets[depth], check->otherwise};
    bool readable = true;
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == 0))
        size--;
    if (dicom_charset_is_plain(value, size))
        return;
    check->seen[depth] = true;
    arena_reset(&check->scratch);
    check->unreadable |= !dicom_charset_to_utf8(&charset, vr, value, size, &check->scratch, &readable) || !readable;
}

static void begin_item(struct text_check *check, unsigned depth)
{
    memcpy(check->charsets[depth], check->charsets[depth - 1], DICOM_CHARSET_SIZE);
    check->seen[depth] = check->named[depth] = false;
}

static bool see_event(struct text_check *check, unsigned outside, struct dicom_reader *reader,
                      const struct dicom_event *event, const uint8_t *value, struct error *err);

// A sequence in an UN of known length. One that cannot be read so stays bytes, which are no text.
static void see_un_sequence(struct text_check *check, unsigned depth, dicom_tag tag, const uint8_t *value,
                            uint32_t size)
{
    struct un_sequence un;
    struct dicom_event event = {0};
    struct error ignored;
    bool before = check->unreadable, ok = true;
    struct dicom_reader *reader =
        dicom_reader_new(un_sequence(&un, tag, value, size), dicom_transfer_syntax(DICOM_TS_IMPLICIT), &ignored);
    do
        ok = reader && dicom_reader_next(reader, &event, &ignored) &&
             see_event(check, depth, reader, &event, NULL, &ignored);
    while (ok && event.type != DICOM_EVENT_END);
    if (!ok)
        check->unreadable = before;
    dicom_reader_free(reader);
}

static void see_value(struct text_check *check, unsigned depth, const struct dicom_event *event, const uint8_t *value)
{
    enum dicom_vr vr = vr_of(event);
    if (event->tag == TAG_CHARSET)
        see_charset(check, depth, value, event->length);
    if (vr == DICOM_VR_SQ)
        see_un_sequence(check, depth, event->tag, value, event->length);
    else
        see_text(check, depth, vr, value, event->length);
}

static bool is_seen(const struct dicom_event *event)
{
    enum dicom_vr vr = vr_of(event);
    if (event->type != DICOM_EVENT_ELEMENT || event->length > TEXT_CHECK_MAX)
        return false;
    return event->tag == TAG_CHARSET || (event->length > 0 && (dicom_vr_is_text(vr) || vr == DICOM_VR_SQ));
}

// `outside` is the depth of what the reader reads.
static bool see_event(struct text_check *check, unsigned outside, struct dicom_reader *reader,
                      const struct dicom_event *event, const uint8_t *value, struct error *err)
{
    unsigned depth = outside + event->depth;
    bool is_item = event->type == DICOM_EVENT_ITEM;
    if (depth + is_item > DICOM_DEPTH_MAX)
        return true; // of an UN sequence too deep for the tree
    if (is_item)
        begin_item(check, depth + 1);
    if (!is_seen(event))
        return true;
    uint8_t small[SMALL], *large = NULL;
    if (!value && event->length > SMALL && !(large = malloc(event->length)))
        return error_set(err, ERROR_MEMORY, "no memory for a text of %u bytes", event->length);
    uint8_t *own = large ? large : small;
    bool ok = value || dicom_reader_value(reader, own, err);
    if (ok)
        see_value(check, depth, event, value ? value : own);
    free(large);
    return ok;
}

bool text_check_event(struct text_check *check, struct dicom_reader *reader, const struct dicom_event *event,
                      const uint8_t *value, struct error *err)
{
    return see_event(check, 0, reader, event, value, err);
}
