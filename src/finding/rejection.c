// A Key Object Selection Document (PS3.3 A.35.4) with TID 2010 that takes objects of ours back, as IHE RAD Imaging
// Object Change Management has it (RAD-66): its title says why, its content names them, and so does its evidence.
#include <string.h>

#include "finding/content.h"

enum { OBJECTS_MAX = 1024 };

static const struct object_kind kind = {FINDING_KEY_CLASS, "KO", NULL, "rejection", "Rejected AI result"};

CONTENT_DCM(description, "113012", "Key Object Description");
static const struct finding_code titles[] = {
    [FINDING_FOR_QUALITY] = {"113001", "DCM", "Rejected for Quality Reasons"},
    [FINDING_FOR_SAFETY] = {"113037", "DCM", "Rejected for Patient Safety Reasons"},
};

// A current result that nobody has judged is the newer one itself.
static const char *why_of(const struct finding_result *result)
{
    if (result->standing == FINDING_WITHDRAWN)
        return object_text(result->reason);
    return result->standing == FINDING_CURRENT && result->revision > 0 ? "it was revised after review"
                                                                       : "a newer result has taken its place";
}

static void write_description(struct object *object)
{
    const struct finding_result *result = object->context->result;
    const char *text = arena_printf(&object->scratch, "What %s %s said does not hold any more: %s", result->model,
                                    object_text(result->model_version), why_of(result));
    content_text(&object->writer, CONTENT_CONTAINS, &description, text);
}

static void write_content(struct object *object, const struct finding_object *objects, size_t count)
{
    struct dicom_writer *w = &object->writer;
    dicom_write_sequence(w, 0x0040A730);
    content_language(w);
    content_observer(w, object->context);
    write_description(object);
    for (size_t i = 0; i < count; i++)
        content_object(w, strcmp(objects[i].sop_class, FINDING_SEG_CLASS) == 0 ? "IMAGE" : "COMPOSITE", NULL,
                       objects[i].sop_class, objects[i].sop_instance, 0);
    dicom_write_sequence_end(w);
}

static bool write_evidence(struct object *object, const struct finding_object *objects, size_t count, struct error *err)
{
    struct content_series *series = arena_calloc(&object->scratch, count, sizeof *series);
    if (!series)
        return error_set(err, ERROR_MEMORY, "no memory for a rejection note");
    for (size_t i = 0; i < count; i++)
        series[i] = (struct content_series){objects[i].series, objects[i].sop_class, &objects[i].sop_instance, 1};
    content_evidence(&object->writer, 0x0040A375, object->study, series, count);
    return true;
}

static bool check(enum finding_rejection why, const struct finding_object *objects, size_t count, struct error *err)
{
    if ((unsigned)why >= sizeof titles / sizeof *titles || count == 0 || count > OBJECTS_MAX)
        return error_set(err, ERROR_USAGE, "a note rejects 1 to %d objects, not %zu", OBJECTS_MAX, count);
    for (size_t i = 0; i < count; i++)
        if (!*object_text(objects[i].sop_class) || !*object_text(objects[i].series) ||
            !*object_text(objects[i].sop_instance))
            return error_set(err, ERROR_BAD_VALUE, "object %zu of a rejection note has no class, series or UID", i + 1);
    return true;
}

bool finding_to_rejection(const struct finding_context *context, enum finding_rejection why,
                          const struct finding_object *objects, size_t count, struct buffer *out, struct error *err)
{
    struct object object;
    if (!check(why, objects, count, err) || !object_begin(&object, context, NULL, 0, out, err))
        return false;
    object_write_head(&object, &kind);
    content_empty_sequence(&object.writer, 0x00081111);
    object_write_middle(&object, &kind);
    content_root(&object.writer, &titles[why]);
    if (!write_evidence(&object, objects, count, err)) {
        object_drop(&object);
        return false;
    }
    content_template(&object.writer, "2010");
    write_content(&object, objects, count);
    return object_end(&object, "a rejection note", err);
}
