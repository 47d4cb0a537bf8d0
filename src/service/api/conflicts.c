// GET /api/conflicts: objects that came under a SOP Instance UID which was there already, with other bytes. GET
// /api/flagged: objects that were stored although something is wrong with them.
#include "service/internal.h"

#include "base/clock.h"
#include "base/text.h"

static json_t *flags_to_json(unsigned flags)
{
    static const struct {
        unsigned flag;
        const char *word;
    } words[] = {{ARCHIVE_FLAG_UID, "uid"},
                 {ARCHIVE_FLAG_CHARSET, "charset"},
                 {ARCHIVE_FLAG_PIXELS, "pixels"},
                 {ARCHIVE_FLAG_CONFLICT, "conflict"}};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (flags & words[i].flag)
            json_array_append_new(list, json_string(words[i].word));
    return list;
}

static json_t *to_json(const struct archive_object *object)
{
    char received[CLOCK_RFC3339_SIZE], digest[2 * HASH_SIZE + 1];
    text_hex(digest, object->digest, HASH_SIZE);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:o}", "study", object->study, "series", object->series,
                     "instance", object->sop_instance, "transferSyntax", object->transfer_syntax, "received",
                     clock_rfc3339(received, object->received_ns), "bytes", (json_int_t)object->size, "sha256", digest,
                     "flags", flags_to_json(object->flags));
}

typedef bool list_fn(struct archive *archive, struct arena *arena, struct archive_object **out, size_t *count,
                     struct error *err);

static void reply_list(struct service *service, struct http_request *request, list_fn *find)
{
    struct archive_object *objects;
    struct error err;
    size_t count = 0;
    if (!find(service->archive, http_arena(request), &objects, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, to_json(&objects[i]));
    service_reply_json(request, 200, list);
}

void api_conflicts(void *payload, struct http_request *request)
{
    reply_list(payload, request, archive_conflicts);
}

void api_flagged(void *payload, struct http_request *request)
{
    reply_list(payload, request, archive_flagged);
}
