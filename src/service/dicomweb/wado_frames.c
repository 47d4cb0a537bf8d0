// WADO-RS frames and bulk data (PS3.18 sections 10.4.1.1.6 and 10.4.1.1.5). Frames that are given as they lie in the
// file go from there to the wire; what must be inflated, turned, shifted or decoded goes through memory frame by frame,
// and waits for its reader in a file without a name where it is long.
#include "service/dicomweb/dicomweb.h"

#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

enum {
    FRAMES_PER_REQUEST = 256,
    TREE_ARENA = 64 << 20,
    VALUE_KEPT = 64 << 10,
    MADE_REPLY_MAX = 1 << 30, // decoded or inflated
    BULK_DEPTH = 16,
};

// One request: the object and its tree.
struct asked {
    struct service *service;
    struct http_request *request;
    struct archive_object *object;
    const struct dicom_transfer_syntax *syntax;
    const struct dicom_dataset *dataset; // in `arena`
    struct arena arena;
    struct image_frames frames; // zeros until they are opened
};

static bool open_object(struct asked *asked, struct error *err)
{
    size_t count = 0;
    if (!archive_objects(asked->service->archive, service_scope(asked->request),
                         http_path_part(asked->request, "study"), http_path_part(asked->request, "series"),
                         http_path_part(asked->request, "instance"), http_arena(asked->request), &asked->object, &count,
                         err))
        return false;
    asked->syntax = dicom_transfer_syntax_or_default(asked->object->transfer_syntax);
    // The values of a deflated object have no place in the file: they are loaded.
    size_t value_max = asked->syntax->deflated ? TREE_ARENA : VALUE_KEPT;
    return archive_dataset(asked->service->archive, asked->object, value_max, &asked->arena, &asked->dataset, err);
}

// "1,2,5" -> zero-based numbers.
static bool read_numbers(const struct asked *asked, uint32_t *numbers, size_t *count, struct error *err)
{
    const char *text = http_path_part(asked->request, "frames");
    *count = 0;
    for (const char *p = text;; p++) {
        uint64_t number;
        size_t size = strcspn(p, ",");
        if (!text_to_u64(p, size, &number) || number == 0 || *count == FRAMES_PER_REQUEST)
            return error_set(err, ERROR_BAD_VALUE, "'%.60s' is no list of at most %d frame numbers from 1", text,
                             FRAMES_PER_REQUEST);
        if (number > asked->frames.format.frames)
            return error_set(err, ERROR_NOT_FOUND, "there is no frame %llu; the object has %u",
                             (unsigned long long)number, asked->frames.format.frames);
        numbers[(*count)++] = (uint32_t)(number - 1);
        p += size;
        if (!*p)
            return true;
    }
}

// ---- from the file

static bool send_pieces(struct asked *asked, struct multipart *multipart, const struct dicom_fragment *pieces,
                        size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!multipart_piece(multipart, asked->object, pieces[i].offset, pieces[i].length, err))
            return false;
    return true;
}

static bool send_stored(struct asked *asked, struct multipart *multipart, const char *extra, const uint32_t *numbers,
                        size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        size_t pieces;
        const struct dicom_fragment *stored = image_frame_stored(&asked->frames, numbers[i], &pieces, err);
        if (!stored || !multipart_part(multipart, extra, err) || !send_pieces(asked, multipart, stored, pieces, err))
            return false;
    }
    return true;
}

// ---- through memory

// Parts made in memory and sent as one: multipart/related, or one alone.
struct made_reply {
    struct http_request *request;
    struct buffer body; // what is not in the file yet
    int fd;             // -1: all is in memory
    uint64_t spooled;
    struct multipart names; // for its boundary
};

// Of parts that have `bytes` in all.
static bool made_start(struct made_reply *reply, struct asked *asked, uint64_t bytes, bool alone, struct error *err)
{
    *reply = (struct made_reply){.request = asked->request, .fd = -1};
    buffer_init(&reply->body, MADE_REPLY_MAX);
    if (bytes > MADE_REPLY_MAX)
        return error_set(err, ERROR_LIMIT, "the answer has %llu bytes, which is more than %d; ask for less",
                         (unsigned long long)bytes, MADE_REPLY_MAX);
    if (bytes > HTTP_REPLY_MEMORY_MAX)
        reply->fd = http_spool_open(asked->request, bytes);
    return multipart_start(&reply->names, asked->request, asked->service->archive, DICOMWEB_BYTES, alone, err);
}

// Puts what was made into the file, when there is one.
static bool made_spool(struct made_reply *reply, struct error *err)
{
    struct buffer *body = &reply->body;
    if (reply->fd < 0)
        return buffer_check(body, "the answer", err);
    if (!buffer_check(body, "the answer", err) || !file_write_fd(reply->fd, body->data, body->size, err))
        return false;
    reply->spooled += body->size;
    buffer_clear(body);
    return true;
}

// Begins a part, with room for `size` bytes of it to be filled by the caller before the next; NULL with *err when there
// is none.
static uint8_t *made_part(struct made_reply *reply, uint64_t size, struct error *err)
{
    struct buffer *body = &reply->body;
    bool first = reply->spooled + body->size == 0;
    if (!made_spool(reply, err))
        return NULL;
    if (!reply->names.alone)
        buffer_printf(body, "%s--%s\r\nContent-Type: " DICOMWEB_BYTES "\r\n\r\n", first ? "" : "\r\n",
                      reply->names.boundary);
    uint8_t *to = buffer_reserve(body, size > 0 ? (size_t)size : 1);
    if (to)
        body->size += (size_t)size;
    else
        buffer_check(body, "the answer", err);
    return to;
}

static const char *made_type(struct made_reply *reply)
{
    if (reply->names.alone)
        return DICOMWEB_BYTES;
    buffer_printf(&reply->body, "\r\n--%s--\r\n", reply->names.boundary);
    const char *type =
        arena_printf(http_arena(reply->request), "multipart/related; type=\"" DICOMWEB_BYTES "\"; boundary=%s",
                     reply->names.boundary);
    return type ? type : "multipart/related";
}

static void made_send(struct made_reply *reply, bool ok, struct error *err)
{
    const char *type = ok ? made_type(reply) : NULL;
    if (ok && made_spool(reply, err)) {
        if (reply->fd < 0)
            http_reply_buffer(reply->request, 200, type, &reply->body);
        else
            http_reply_file(reply->request, 200, type, reply->fd, reply->spooled);
    } else {
        if (reply->fd >= 0)
            close(reply->fd);
        dicomweb_reply_error(reply->request, err);
    }
    buffer_free(&reply->body);
}

static bool made_frame(struct asked *asked, struct made_reply *reply, uint32_t number, struct error *err)
{
    enum image_color color;
    const size_t size = (size_t)asked->frames.format.frame_bytes;
    uint8_t *to = made_part(reply, reply->fd < 0 ? size : 0, err);
    if (!to)
        return false;
    if (reply->fd < 0)
        return image_frame(&asked->frames, number, to, size, &color, err);
    reply->spooled += size;
    return made_spool(reply, err) && image_frame_to(&asked->frames, number, reply->fd, &color, err);
}

static bool add_frame(struct asked *asked, struct made_reply *reply, uint32_t number, struct error *err)
{
    return made_frame(asked, reply, number, err) || archive_doubt(asked->service->archive, asked->object, err);
}

static void reply_made(struct asked *asked, const uint32_t *numbers, size_t count, bool alone)
{
    struct made_reply reply;
    struct error err;
    bool ok = made_start(&reply, asked, count * asked->frames.format.frame_bytes, alone, &err);
    for (size_t i = 0; ok && i < count; i++)
        ok = add_frame(asked, &reply, numbers[i], &err);
    made_send(&reply, ok, &err);
}

// ---- the handlers

// The media type of a stored code stream (PS3.18 Table 8.7.3-5).
static const char *media_type(const char *transfer_syntax)
{
    static const char *const rows[][2] = {
        {"1.2.840.10008.1.2.4.50", "image/jpeg"},  {"1.2.840.10008.1.2.4.51", "image/jpeg"},
        {"1.2.840.10008.1.2.4.57", "image/jpeg"},  {"1.2.840.10008.1.2.4.70", "image/jpeg"},
        {"1.2.840.10008.1.2.4.80", "image/jls"},   {"1.2.840.10008.1.2.4.81", "image/jls"},
        {"1.2.840.10008.1.2.4.90", "image/jp2"},   {"1.2.840.10008.1.2.4.91", "image/jp2"},
        {"1.2.840.10008.1.2.4.201", "image/jphc"}, {"1.2.840.10008.1.2.4.202", "image/jphc"},
        {"1.2.840.10008.1.2.4.203", "image/jphc"}, {"1.2.840.10008.1.2.5", "image/dicom-rle"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i][0], transfer_syntax) == 0)
            return rows[i][1];
    return "application/octet-stream";
}

// How the frames are to be given.
struct form {
    int quality;
    bool stored; // as the code stream that came, not decoded
    bool alone;
};

// Decoded, unless the code stream is wanted more, or as much and by name: its media type, or any transfer syntax.
static struct form choose_form(const struct asked *asked)
{
    struct form decoded = {0}, stored = {.stored = true};
    const char *accept = http_header(asked->request, "Accept");
    const char *syntax = asked->object->transfer_syntax;
    const char *media = media_type(syntax);
    decoded.quality = dicomweb_wanted(asked->request, DICOMWEB_BYTES, DICOM_TS_EXPLICIT, &decoded.alone);
    if (!asked->frames.encapsulated || !accept || strcmp(media, DICOMWEB_BYTES) == 0)
        return decoded;
    stored.quality = dicomweb_wanted(asked->request, media, syntax, &stored.alone);
    if (stored.quality == 0) // viewers ask for bytes in any transfer syntax, not for the media type of each
        stored.quality = dicomweb_wanted(asked->request, DICOMWEB_BYTES, syntax, &stored.alone);
    bool named =
        strstr(accept, "transfer-syntax=*") || strstr(accept, "transfer-syntax=\"*\"") || strstr(accept, media);
    return stored.quality > decoded.quality || (named && stored.quality == decoded.quality) ? stored : decoded;
}

static void reply_from_file(struct asked *asked, const uint32_t *numbers, size_t count, struct form form)
{
    struct multipart multipart;
    struct error err;
    const char *syntax = asked->object->transfer_syntax;
    const char *extra = form.stored ? arena_printf(http_arena(asked->request), "; transfer-syntax=%s", syntax) : NULL;
    bool ok = multipart_start(&multipart, asked->request, asked->service->archive,
                              form.stored ? media_type(syntax) : DICOMWEB_BYTES, form.alone, &err) &&
              send_stored(asked, &multipart, extra, numbers, count, &err);
    multipart_send(&multipart, ok, &err);
}

static bool check_form(const struct form *form, size_t count, struct error *err)
{
    if (form->quality > 0 && (!form->alone || count == 1))
        return true;
    return error_set(err, ERROR_UNSUPPORTED,
                     "frames are given as multipart/related; type=\"" DICOMWEB_BYTES "\", one of them also alone, "
                     "or as the media type they are kept in; Accept takes none of these");
}

static void answer(struct asked *asked)
{
    uint32_t numbers[FRAMES_PER_REQUEST];
    struct form form = choose_form(asked);
    struct error err;
    size_t count;
    if (!read_numbers(asked, numbers, &count, &err) || !check_form(&form, count, &err)) {
        dicomweb_reply_error(asked->request, &err);
        return;
    }
    if (form.stored || asked->frames.as_it_lies)
        reply_from_file(asked, numbers, count, form);
    else
        reply_made(asked, numbers, count, form.alone);
}

void wado_frames(void *payload, struct http_request *request)
{
    struct asked asked = {.service = payload, .request = request};
    struct error err;
    arena_init(&asked.arena, TREE_ARENA);
    if (open_object(&asked, &err) && archive_frames(asked.service->archive, asked.object, asked.dataset,
                                                    asked.service->decoder, &asked.frames, &err))
        answer(&asked);
    else
        dicomweb_reply_error(request, &err);
    image_frames_close(&asked.frames);
    arena_free(&asked.arena);
}

// ---- bulk data: the path is tags and item numbers, such as 52009229/0/00180000

static const struct dicom_element *walk(const struct dicom_dataset *dataset, const char *path)
{
    const struct dicom_element *element = NULL;
    char part[16];
    for (unsigned step = 0; step < BULK_DEPTH && dataset; step++) {
        dicom_tag tag;
        uint64_t index;
        size_t size = strcspn(path, "/");
        if (!text_copy_n(part, sizeof part, path, size) || !dicom_tag_parse(part, &tag))
            return NULL;
        element = dicom_find(dataset, tag);
        path += size;
        if (!element || *path == '\0')
            return element;
        size = strcspn(++path, "/");
        if (!text_to_u64(path, size, &index) || path[size] != '/')
            return NULL;
        dataset = index < element->item_count ? element->items[index] : NULL;
        path += size + 1;
    }
    return NULL;
}

static void bulk_from_file(struct asked *asked, const struct dicom_element *element, bool alone)
{
    struct multipart multipart;
    struct error err;
    const struct dicom_fragment value = {element->offset, element->length};
    bool ok = multipart_start(&multipart, asked->request, asked->service->archive, DICOMWEB_BYTES, alone, &err);
    if (element->fragment_count == 0)
        ok = ok && multipart_part(&multipart, NULL, &err) && send_pieces(asked, &multipart, &value, 1, &err);
    for (size_t i = 1; ok && i < element->fragment_count; i++)
        ok = multipart_part(&multipart, NULL, &err) && send_pieces(asked, &multipart, &element->fragments[i], 1, &err);
    multipart_send(&multipart, ok, &err);
}

static void bulk_from_memory(struct asked *asked, const struct dicom_element *element, bool alone)
{
    struct made_reply reply;
    struct reader reader = {0};
    struct error err;
    bool ok = made_start(&reply, asked, element->length, alone, &err) &&
              (asked->syntax->deflated || archive_reader(asked->service->archive, asked->object, &reader, &err));
    uint8_t *to = ok ? made_part(&reply, element->length, &err) : NULL;
    ok = to && dicom_value_read(element, asked->syntax->deflated ? NULL : &reader, 0, element->length, to, &err);
    reader_release(&reader);
    made_send(&reply, ok, &err);
}

static const struct dicom_element *find_bulk(struct asked *asked, bool *alone, struct error *err)
{
    const char *path = http_path_part(asked->request, "path");
    if (dicomweb_wanted(asked->request, DICOMWEB_BYTES, DICOM_TS_EXPLICIT, alone) == 0) {
        error_set(err, ERROR_UNSUPPORTED, "bulk data are given as " DICOMWEB_BYTES ", which Accept does not take");
        return NULL;
    }
    const struct dicom_element *element = open_object(asked, err) ? walk(asked->dataset, path) : NULL;
    if (asked->dataset && (!element || element->items)) {
        error_set(err, ERROR_NOT_FOUND, "there is no bulk data at '%.80s'", path);
        return NULL;
    }
    return element;
}

void wado_bulkdata(void *payload, struct http_request *request)
{
    struct asked asked = {.service = payload, .request = request};
    struct error err;
    bool alone;
    arena_init(&asked.arena, TREE_ARENA);
    const struct dicom_element *element = find_bulk(&asked, &alone, &err);
    if (!element)
        dicomweb_reply_error(request, &err);
    else if (element->length > 0 && (asked.syntax->deflated || element->big_endian))
        bulk_from_memory(&asked, element, alone);
    else
        bulk_from_file(&asked, element, alone);
    arena_free(&asked.arena);
}
