// multipart/related (RFC 2387, PS3.18 8.6.1.2) of memory and objects, never whole in memory.
#include "service/dicomweb/dicomweb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/text.h"

const char *dicomweb_base(struct http_request *request)
{
    const char *host = http_header(request, "Host");
    return arena_printf(http_arena(request), "%s://%s/dicom-web", http_is_secure(request) ? "https" : "http",
                        host ? host : "127.0.0.1");
}

void dicomweb_reply_error(struct http_request *request, const struct error *err)
{
    http_reply_status(request, err->code == ERROR_UNSUPPORTED ? 406 : error_http(err->code), err);
}

const char *dicomweb_json_type(struct http_request *request, struct error *err)
{
    int dicom = http_accepts(request, DICOMWEB_JSON);
    int plain = http_accepts(request, "application/json");
    if (dicom == 0 && plain == 0)
        error_set(err, ERROR_UNSUPPORTED, "this is given as %s, which Accept does not take", DICOMWEB_JSON);
    return dicom >= plain && dicom > 0 ? DICOMWEB_JSON : plain > 0 ? "application/json" : NULL;
}

int dicomweb_wanted(const struct http_request *request, const char *type, const char *syntax, bool *alone)
{
    const struct http_parameter parameters[] = {{"transfer-syntax", syntax}, {"type", type}};
    int related = http_accepts_with(request, "multipart/related", parameters, 2);
    int single = http_accepts_with(request, type, parameters, 1);
    *alone = single > related;
    return *alone ? single : related;
}

// What the reply holds until it is sent.
struct held {
    struct reader *parts;
    size_t count;
};

static void give_back(void *payload)
{
    struct held *held = payload;
    for (size_t i = 0; i < held->count; i++)
        reader_release(&held->parts[i]);
}

bool multipart_start(struct multipart *multipart, struct http_request *request, struct archive *archive,
                     const char *type, bool alone, struct error *err)
{
    uint8_t random[16];
    *multipart = (struct multipart){.request = request, .archive = archive, .type = type, .alone = alone};
    // Unguessable, so that no data set can hold it on purpose.
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return error_set(err, ERROR_INTERNAL, "no random bytes for a boundary");
    text_hex(multipart->boundary, random, sizeof random);
    return true;
}

static bool too_many(struct error *err)
{
    return error_set(err, ERROR_LIMIT, "the answer has too many parts; ask for a series or fewer objects");
}

static bool grow(struct multipart *multipart, struct error *err)
{
    size_t larger = multipart->capacity ? multipart->capacity * 2 : 16;
    struct reader *parts = arena_calloc(http_arena(multipart->request), larger, sizeof *parts);
    if (!parts)
        return too_many(err);
    if (multipart->count > 0)
        memcpy(parts, multipart->parts, multipart->count * sizeof *parts);
    multipart->parts = parts;
    multipart->capacity = larger;
    return true;
}

// Takes the part, also on failure.
static bool add(struct multipart *multipart, struct reader part, struct error *err)
{
    if (multipart->count == multipart->capacity && !grow(multipart, err)) {
        reader_release(&part);
        return false;
    }
    multipart->parts[multipart->count++] = part;
    return true;
}

bool multipart_memory(struct multipart *multipart, const void *data, size_t size, struct error *err)
{
    return add(multipart, reader_from_memory(data, size), err);
}

static bool begin_alone(struct multipart *multipart, const char *extra, struct error *err)
{
    if (multipart->head)
        return error_set(err, ERROR_UNSUPPORTED,
                         "more than one %s is given as multipart/related, which Accept does not take", multipart->type);
    multipart->head = arena_printf(http_arena(multipart->request), "%s%s", multipart->type, extra ? extra : "");
    return multipart->head || too_many(err);
}

bool multipart_part(struct multipart *multipart, const char *extra, struct error *err)
{
    if (multipart->alone)
        return begin_alone(multipart, extra, err);
    const char *head =
        arena_printf(http_arena(multipart->request), "%s--%s\r\nContent-Type: %s%s\r\n\r\n",
                     multipart->count ? "\r\n" : "", multipart->boundary, multipart->type, extra ? extra : "");
    return head ? multipart_memory(multipart, head, strlen(head), err) : too_many(err);
}

bool multipart_object(struct multipart *multipart, const struct archive_object *object, struct error *err)
{
    struct reader reader;
    return archive_proved_reader(multipart->archive, object, &reader, err) && add(multipart, reader, err);
}

bool multipart_piece(struct multipart *multipart, const struct archive_object *object, uint64_t offset, uint64_t size,
                     struct error *err)
{
    struct reader reader;
    if (!archive_reader(multipart->archive, object, &reader, err))
        return false;
    reader_narrow(&reader, offset, size);
    return add(multipart, reader, err);
}

// What goes around the parts; the Content-Type of the whole, or NULL.
static const char *finish(struct multipart *multipart, struct error *err)
{
    struct arena *arena = http_arena(multipart->request);
    if (multipart->alone)
        return multipart->head;
    const char *tail = arena_printf(arena, "\r\n--%s--\r\n", multipart->boundary);
    if (!tail || !multipart_memory(multipart, tail, strlen(tail), err))
        return NULL;
    return arena_printf(arena, "multipart/related; type=\"%s\"; boundary=%s", multipart->type, multipart->boundary);
}

void multipart_send(struct multipart *multipart, bool ok, const struct error *err)
{
    struct error late = {0};
    struct held *held = arena_alloc(http_arena(multipart->request), sizeof *held);
    const char *type = ok ? finish(multipart, &late) : NULL;
    struct held now = {multipart->parts, multipart->count};
    if (ok && (!held || !type)) {
        too_many(&late);
        err = &late;
        ok = false;
    }
    if (!ok) {
        give_back(&now);
        dicomweb_reply_error(multipart->request, err);
        return;
    }
    *held = now;
    http_reply_parts(multipart->request, 200, type, multipart->parts, multipart->count, give_back, held);
}
