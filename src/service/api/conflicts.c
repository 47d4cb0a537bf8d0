// GET /api/conflicts: objects that came under a SOP Instance UID which was there already, with other bytes.
#include "service/internal.h"

#include "base/clock.h"
#include "base/text.h"

static json_t *to_json(const struct archive_object *object)
{
    char received[CLOCK_RFC3339_SIZE], digest[2 * HASH_SIZE + 1];
    text_hex(digest, object->digest, HASH_SIZE);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s}", "study", object->study, "series", object->series,
                     "instance", object->sop_instance, "transferSyntax", object->transfer_syntax, "received",
                     clock_rfc3339(received, object->received_ns), "bytes", (json_int_t)object->size, "sha256", digest);
}

void api_conflicts(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct archive_object *objects;
    struct error err;
    size_t count = 0;
    if (!archive_conflicts(service->archive, http_arena(request), &objects, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, to_json(&objects[i]));
    service_reply_json(request, 200, list);
}
