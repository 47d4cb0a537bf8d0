// Content items are written in the order of their tags: relationship, type, name, value, and what they contain.
#include "finding/content.h"

CONTENT_DCM(language, "121049", "Language of Content Item and Descendants");
CONTENT_DCM(observer_type, "121005", "Observer Type");
CONTENT_DCM(device, "121007", "Device");
CONTENT_DCM(device_uid, "121012", "Device Observer UID");
CONTENT_DCM(device_name, "121013", "Device Observer Name");
CONTENT_DCM(device_manufacturer, "121014", "Device Observer Manufacturer");
CONTENT_DCM(device_model, "121015", "Device Observer Model Name");
static const struct finding_code english = {"en-US", "RFC5646", "English (United States)"};

static void open_named(struct dicom_writer *w, const char *relation, const char *type, const struct finding_code *name)
{
    dicom_write_text(w, 0x0040A010, relation);
    dicom_write_text(w, 0x0040A040, type);
    if (name)
        object_write_code(w, 0x0040A043, name);
}

void content_open_item(struct dicom_writer *w, const char *relation, const char *type, const struct finding_code *name)
{
    dicom_write_item(w);
    open_named(w, relation, type, name);
}

void content_open(struct dicom_writer *w)
{
    dicom_write_sequence(w, 0x0040A730);
}

void content_close(struct dicom_writer *w)
{
    dicom_write_sequence_end(w);
    dicom_write_item_end(w);
}

void content_template(struct dicom_writer *w, const char *identifier)
{
    dicom_write_sequence(w, 0x0040A504);
    dicom_write_item(w);
    dicom_write_text(w, 0x00080105, "DCMR");
    dicom_write_text(w, 0x0040DB00, identifier);
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
}

void content_open_container(struct dicom_writer *w, const struct finding_code *name, const char *template)
{
    content_open_item(w, CONTENT_CONTAINS, "CONTAINER", name);
    dicom_write_text(w, 0x0040A050, "SEPARATE");
    if (template)
        content_template(w, template);
    content_open(w);
}

void content_text(struct dicom_writer *w, const char *relation, const struct finding_code *name, const char *text)
{
    content_open_item(w, relation, "TEXT", name);
    dicom_write_text(w, 0x0040A160, text && *text ? text : "unknown");
    dicom_write_item_end(w);
}

void content_uid(struct dicom_writer *w, const char *relation, const struct finding_code *name, const char *uid)
{
    content_open_item(w, relation, "UIDREF", name);
    dicom_write_text(w, 0x0040A124, uid);
    dicom_write_item_end(w);
}

void content_code(struct dicom_writer *w, const char *relation, const struct finding_code *name,
                  const struct finding_code *value)
{
    content_open_item(w, relation, "CODE", name);
    object_write_code(w, 0x0040A168, value);
    dicom_write_item_end(w);
}

void content_object(struct dicom_writer *w, const char *type, const struct finding_code *name, const char *sop_class,
                    const char *instance, int64_t segment)
{
    dicom_write_item(w);
    dicom_write_sequence(w, 0x00081199);
    dicom_write_item(w);
    object_write_reference(w, sop_class, instance);
    if (segment > 0)
        dicom_write_integer(w, 0x0062000B, segment);
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
    open_named(w, CONTENT_CONTAINS, type, name);
    dicom_write_item_end(w);
}

void content_language(struct dicom_writer *w)
{
    content_code(w, CONTENT_MODIFIER, &language, &english);
}

void content_observer(struct dicom_writer *w, const struct finding_context *context)
{
    const char *title = context->model_title;
    char uid[DICOM_UID_SIZE];
    object_device_uid(uid, context->result->model_digest);
    content_code(w, CONTENT_CONTEXT, &observer_type, &device);
    content_uid(w, CONTENT_CONTEXT, &device_uid, uid);
    content_text(w, CONTENT_CONTEXT, &device_name, title && *title ? title : context->result->model);
    content_text(w, CONTENT_CONTEXT, &device_manufacturer, OBJECT_MANUFACTURER);
    content_text(w, CONTENT_CONTEXT, &device_model, context->result->model);
}

void content_root(struct dicom_writer *w, const struct finding_code *title)
{
    dicom_write_text(w, 0x0040A040, "CONTAINER");
    object_write_code(w, 0x0040A043, title);
    dicom_write_text(w, 0x0040A050, "SEPARATE");
}

static void write_series(struct dicom_writer *w, const struct content_series *series)
{
    dicom_write_item(w);
    dicom_write_sequence(w, 0x00081199);
    for (size_t i = 0; i < series->count; i++) {
        dicom_write_item(w);
        object_write_reference(w, series->sop_class, series->instances[i]);
        dicom_write_item_end(w);
    }
    dicom_write_sequence_end(w);
    dicom_write_text(w, 0x0020000E, series->series);
    dicom_write_item_end(w);
}

void content_evidence(struct dicom_writer *w, dicom_tag tag, const char *study, const struct content_series *series,
                      size_t count)
{
    dicom_write_sequence(w, tag);
    dicom_write_item(w);
    dicom_write_sequence(w, 0x00081115);
    for (size_t i = 0; i < count; i++)
        write_series(w, &series[i]);
    dicom_write_sequence_end(w);
    dicom_write_text(w, 0x0020000D, study);
    dicom_write_item_end(w);
    dicom_write_sequence_end(w);
}

void content_empty_sequence(struct dicom_writer *w, dicom_tag tag)
{
    dicom_write_sequence(w, tag);
    dicom_write_sequence_end(w);
}
