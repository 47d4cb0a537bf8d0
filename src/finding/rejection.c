// A rejection note: a Key Object Selection Document (PS3.3 A.35.4, TID 2010) by which a PACS hides what is listed in it
// (IHE RAD, Imaging Object Change Management).
#include "finding/object.h"

#include <string.h>

#define KEY_OBJECT_CLASS "1.2.840.10008.5.1.4.1.1.88.59"

static const struct object_kind kind = {KEY_OBJECT_CLASS, "KO", NULL, "rejection", "AI result rejected"};

static const struct finding_code titles[] = {
    [FINDING_FOR_QUALITY] = {"113001", "DCM", "Rejected for Quality Reasons"},
    [FINDING_FOR_SAFETY] = {"113037", "DCM", "Rejected for Patient Safety Reasons"},
};
static const struct finding_code description = {"113012", "DCM", "Key Object Description"};

static const char *text_of(enum finding_rejection why)
{
    return why == FINDING_FOR_SAFETY ? "These results should never have been made: the images are not of one patient"
                                     : "These results hold no more: newer ones, or a reviewer, have taken their place";
}

static void write_reference(struct dicom_writer *w, const struct finding_object *object)
{
    dicom_write_sequence(w, 0x00081199);
    dicom_write_item(w);
    object_write_reference(w, object->sop_class, object->sop_instance);
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
}

static void write_evidence(struct object *note, const struct finding_object *objects, size_t count)
{
    struct dicom_writer *w = &note->writer;
    dicom_write_sequence(w, 0x0040A375);
    dicom_write_item(w);
    dicom_write_sequence(w, 0x00081115);
    for (size_t i = 0; i < count; i++) {
        dicom_write_item(w);
        write_reference(w, &objects[i]);
        dicom_write_text(w, 0x0020000E, objects[i].series);
        dicom_write_item_end(w);
    }
    dicom_write_sequence_end(w);
    dicom_write_text(w, 0x0020000D, note->study);
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
}

static void write_template(struct dicom_writer *w)
{
    dicom_write_sequence(w, 0x0040A504);
    dicom_write_item(w);
    dicom_write_text(w, 0x00080105, "DCMR");
    dicom_write_text(w, 0x0040DB00, "2010");
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
}

static void write_content(struct dicom_writer *w, enum finding_rejection why, const struct finding_object *objects,
                          size_t count)
{
    dicom_write_sequence(w, 0x0040A730);
    dicom_write_item(w);
    dicom_write_text(w, 0x0040A010, "CONTAINS");
    dicom_write_text(w, 0x0040A040, "TEXT");
    object_write_code(w, 0x0040A043, &description);
    dicom_write_text(w, 0x0040A160, text_of(why));
    dicom_write_item_end(w);
    for (size_t i = 0; i < count; i++) {
        bool is_image = strcmp(objects[i].sop_class, OBJECT_SEG_CLASS) == 0;
        dicom_write_item(w);
        write_reference(w, &objects[i]);
        dicom_write_text(w, 0x0040A010, "CONTAINS");
        dicom_write_text(w, 0x0040A040, is_image ? "IMAGE" : "COMPOSITE");
        dicom_write_item_end(w);
    }
    dicom_write_sequence_end(w);
}

bool finding_to_rejection(const struct finding_context *context, enum finding_rejection why,
                          const struct finding_object *objects, size_t count, struct buffer *out, struct error *err)
{
    struct object note;
    struct dicom_writer *w = &note.writer;
    if (count == 0)
        return error_set(err, ERROR_USAGE, "a rejection note that rejects nothing");
    if (!object_begin(&note, context, NULL, 0, out, err))
        return false;
    object_write_head(&note, &kind);
    dicom_write_sequence(w, 0x00081111);
    dicom_write_sequence_end(w);
    object_write_middle(&note, &kind);
    dicom_write_text(w, 0x0040A040, "CONTAINER");
    object_write_code(w, 0x0040A043, &titles[why]);
    dicom_write_text(w, 0x0040A050, "SEPARATE");
    write_evidence(&note, objects, count);
    write_template(w);
    write_content(w, why, objects, count);
    return object_end(&note, "a rejection note", err);
}
