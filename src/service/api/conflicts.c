// GET /api/conflicts: objects that came under a SOP Instance UID which was there already, with other bytes. GET
// /api/flagged: objects that were stored although something is wrong with them.
#include "service/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

static const struct {
    unsigned flag;
    const char *word;
} words[] = {{ARCHIVE_FLAG_UID, "uid"},           {ARCHIVE_FLAG_CHARSET, "charset"},   {ARCHIVE_FLAG_PIXELS, "pixels"},
             {ARCHIVE_FLAG_CONFLICT, "conflict"}, {ARCHIVE_FLAG_IDENTITY, "identity"}, {ARCHIVE_FLAG_LEVEL, "level"}};
enum { WORDS = sizeof words / sizeof *words };

static json_t *flags_to_json(unsigned flags)
{
    json_t *list = json_array();
    for (size_t i = 0; i < WORDS; i++)
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

// ---- flagged

// ?flag=WORD, for one kind only. 0: any.
static bool read_flag(struct http_request *request, unsigned *out, struct error *err)
{
    const char *word = http_query(request, "flag");
    *out = 0;
    for (size_t i = 0; word && i < WORDS; i++)
        if (strcmp(words[i].word, word) == 0)
            *out = words[i].flag;
    return !word || *out != 0 ||
           error_set(err, ERROR_BAD_VALUE,
                     "flag is '%.20s'; give uid, charset, pixels, conflict, identity or level, or leave it out", word);
}

static json_t *differences_to_json(const struct archive_flagged *flagged)
{
    json_t *list = json_array();
    for (size_t i = 0; i < flagged->difference_count; i++) {
        const struct archive_difference *difference = &flagged->differences[i];
        const struct dicom_attribute *attribute = dicom_attribute(difference->tag);
        char tag[9];
        snprintf(tag, sizeof tag, "%08X", (unsigned)difference->tag);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "tag", tag, "attribute",
                                              attribute ? attribute->keyword : tag, "object", difference->said, "known",
                                              difference->known));
    }
    return list;
}

void api_flagged(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct archive_flagged *flagged;
    struct error err;
    unsigned flag;
    size_t count = 0;
    if (!read_flag(request, &flag, &err) ||
        !archive_flagged(service->archive, flag, http_arena(request), &flagged, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *one = to_json(&flagged[i].object);
        json_object_set_new(one, "differences", differences_to_json(&flagged[i]));
        json_array_append_new(list, one);
    }
    service_reply_json(request, 200, list);
}
