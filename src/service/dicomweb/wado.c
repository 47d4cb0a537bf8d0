// WADO-RS (PS3.18 section 10.4): objects and metadata, as they were received.
#include "service/dicomweb/dicomweb.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dicom/json.h"
#include "dicom/part10.h"

enum { METADATA_MAX = 256 << 20, HEADER_ARENA = 96 << 20, OBJECT_HEAD_MAX = 1024 };

static bool find(struct service *service, struct http_request *request, struct archive_object **objects, size_t *count,
                 struct error *err)
{
    return archive_objects(service->archive, service_scope(request), http_path_part(request, "study"),
                           http_path_part(request, "series"), http_path_part(request, "instance"), http_arena(request),
                           objects, count, err);
}

// ---- objects

// The Part 10 head in front of the data set's bytes: the bytes as they came, whatever preamble the sender had.
static bool add_object(struct multipart *multipart, const struct archive_object *object, struct error *err)
{
    struct dicom_meta meta = {0};
    struct buffer head;
    struct arena *arena = http_arena(multipart->request);
    text_copy(meta.sop_class, sizeof meta.sop_class, object->sop_class);
    text_copy(meta.sop_instance, sizeof meta.sop_instance, object->sop_instance);
    text_copy(meta.transfer_syntax, sizeof meta.transfer_syntax, object->transfer_syntax);
    buffer_init(&head, OBJECT_HEAD_MAX);
    dicom_meta_write(&head, &meta);
    const void *copy = head.failed ? NULL : arena_copy(arena, head.data, head.size);
    const char *extra = arena_printf(arena, "; transfer-syntax=%s", object->transfer_syntax);
    size_t size = head.size;
    buffer_free(&head);
    if (!copy || !extra)
        return error_set(err, ERROR_LIMIT, "the answer has too many parts; ask for a series or fewer objects");
    return multipart_part(multipart, extra, err) && multipart_memory(multipart, copy, size, err) &&
           multipart_object(multipart, object, err);
}

// Objects leave in the transfer syntax they came in, whatever it is, when Accept names none (PS3.18 would have them
// made explicit little endian).
static bool check_accepted(const struct http_request *request, const struct archive_object *object, bool *alone,
                           struct error *err)
{
    if (dicomweb_wanted(request, DICOMWEB_OBJECT, object->transfer_syntax, alone) > 0)
        return true;
    return error_set(err, ERROR_UNSUPPORTED,
                     "%s is given as %s in the transfer syntax it came in, %s, which Accept does not take",
                     object->sop_instance, DICOMWEB_OBJECT, object->transfer_syntax);
}

void wado_retrieve(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct multipart multipart = {.request = request, .archive = service->archive};
    struct archive_object *objects;
    struct error err;
    size_t count = 0;
    bool alone = false, ignored;
    bool ok = find(service, request, &objects, &count, &err) && check_accepted(request, &objects[0], &alone, &err) &&
              multipart_start(&multipart, request, service->archive, DICOMWEB_OBJECT, alone, &err);
    for (size_t i = 0; ok && i < count; i++)
        ok = check_accepted(request, &objects[i], &ignored, &err) && add_object(&multipart, &objects[i], &err);
    multipart_send(&multipart, ok, &err);
}

// ---- metadata

static bool add_metadata(struct service *service, const struct archive_object *object, const char *base,
                         struct arena *scratch, struct buffer *out, struct error *err)
{
    const struct dicom_dataset *dataset;
    const char *bulk = arena_printf(scratch, "%s/studies/%s/series/%s/instances/%s/bulkdata", base, object->study,
                                    object->series, object->sop_instance);
    struct dicom_json_options options = {.bulk_base = bulk, .inline_max = 1024};
    if (!bulk)
        return error_set(err, ERROR_LIMIT, "no memory for metadata");
    return archive_dataset(service->archive, object, DICOMWEB_HEADER_VALUE_MAX, scratch, &dataset, err) &&
           dicom_json_write(out, dataset, &options, scratch, err);
}

void wado_metadata(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct archive_object *objects;
    struct buffer out;
    struct arena scratch;
    struct error err;
    size_t count = 0;
    const char *base = dicomweb_base(request);
    const char *type = dicomweb_json_type(request, &err);
    buffer_init(&out, METADATA_MAX);
    arena_init(&scratch, HEADER_ARENA);
    bool ok = type && (base || error_set(&err, ERROR_LIMIT, "no memory for metadata"));
    ok = ok && find(service, request, &objects, &count, &err);
    for (size_t i = 0; ok && i < count; i++) {
        buffer_byte(&out, i ? ',' : '[');
        arena_reset(&scratch);
        ok = add_metadata(service, &objects[i], base, &scratch, &out, &err);
    }
    buffer_byte(&out, ']');
    arena_free(&scratch);
    ok = ok && buffer_check(&out, "the metadata", &err);
    if (ok) {
        http_reply_buffer(request, 200, type, &out);
    } else {
        buffer_free(&out);
        dicomweb_reply_error(request, &err);
    }
}
