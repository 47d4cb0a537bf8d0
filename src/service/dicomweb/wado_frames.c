// WADO-RS frames and bulk data (PS3.18 sections 10.4.1.1.6 and 10.4.1.1.5). Native little-endian pixels go from the
// file to the wire as they lie there; what must be inflated, turned, shifted or decoded goes through memory, one
// request's worth.
#include "service/dicomweb/dicomweb.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "image/image.h"

enum {
    FRAMES_PER_REQUEST = 256,
    TREE_ARENA = 64 << 20,
    VALUE_KEPT = 64 << 10,        // offset tables, mostly
    MEMORY_REPLY_MAX = 256 << 20, // decoded or inflated
    BULK_DEPTH = 16,
};

// One request: the object, its tree, and where the pixels lie.
struct frames {
    struct service *service;
    struct http_request *request;
    struct archive_object *object;
    const struct dicom_transfer_syntax *syntax;
    const struct dicom_dataset *dataset; // in `arena`
    const struct dicom_element *pixels;
    struct image_format format;
    struct arena arena;
    int fd; // of the container, acquired
    uint64_t data_offset;
};

static const struct dicom_element *find_pixels(const struct dicom_dataset *dataset)
{
    static const dicom_tag tags[] = {0x7FE00010, 0x7FE00008, 0x7FE00009};
    const struct dicom_element *pixels = NULL;
    for (size_t i = 0; !pixels && i < sizeof tags / sizeof *tags; i++)
        pixels = dicom_find(dataset, tags[i]);
    return pixels;
}

static bool open_object(struct frames *f, struct error *err)
{
    size_t count = 0;
    if (!archive_objects(f->service->archive, http_path_part(f->request, "study"), http_path_part(f->request, "series"),
                         http_path_part(f->request, "instance"), http_arena(f->request), &f->object, &count, err))
        return false;
    f->syntax = dicom_transfer_syntax_or_default(f->object->transfer_syntax);
    // Of a deflated object the pixels have no place in the file: they are loaded.
    size_t value_max = f->syntax->deflated ? TREE_ARENA : VALUE_KEPT;
    return archive_dataset(f->service->archive, f->object, value_max, &f->arena, &f->dataset, err);
}

static bool open_frames(struct frames *f, struct error *err)
{
    if (!open_object(f, err) || !image_describe(f->dataset, &f->format, err))
        return false;
    f->pixels = find_pixels(f->dataset);
    if (!f->pixels)
        return error_set(err, ERROR_NOT_FOUND, "%s has no pixel data", f->object->sop_instance);
    return true;
}

// "1,2,5" -> zero-based numbers.
static bool read_numbers(const struct frames *f, uint32_t *numbers, size_t *count, struct error *err)
{
    const char *text = http_path_part(f->request, "frames");
    *count = 0;
    for (const char *p = text;; p++) {
        uint64_t number;
        size_t size = strcspn(p, ",");
        if (!text_to_u64(p, size, &number) || number == 0 || *count == FRAMES_PER_REQUEST)
            return error_set(err, ERROR_BAD_VALUE, "'%.60s' is no list of at most %d frame numbers from 1", text,
                             FRAMES_PER_REQUEST);
        if (number > f->format.frames)
            return error_set(err, ERROR_NOT_FOUND, "there is no frame %llu; the object has %u",
                             (unsigned long long)number, f->format.frames);
        numbers[(*count)++] = (uint32_t)(number - 1);
        p += size;
        if (!*p)
            return true;
    }
}

// ---- from the file

static bool send_range(struct frames *f, struct multipart *multipart, const char *extra, uint64_t offset, uint64_t size,
                       struct error *err)
{
    uint64_t base;
    int fd;
    return multipart_part(multipart, extra, err) && archive_bytes(f->service->archive, f->object, &fd, &base, err) &&
           multipart_file(multipart, f->object->place.container, fd, base + offset, size, err);
}

static bool send_native(struct frames *f, struct multipart *multipart, const uint32_t *numbers, size_t count,
                        struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t offset, size;
        if (!image_native_frame(&f->format, f->pixels->length, numbers[i], &offset, &size, err) ||
            !send_range(f, multipart, NULL, f->pixels->offset + offset, size, err))
            return false;
    }
    return true;
}

static bool fragments_of(const struct frames *f, uint32_t number, size_t *first, size_t *count, struct error *err)
{
    uint8_t table[VALUE_KEPT];
    size_t size = f->pixels->fragment_count > 0 ? f->pixels->fragments[0].length : 0;
    if (size > sizeof table)
        size = 0; // too long to be worth it: one fragment a frame is what remains
    if (size > 0 && !file_pread(f->fd, table, size, f->data_offset + f->pixels->fragments[0].offset, err))
        return false;
    return image_fragments_of(f->pixels, f->format.frames, table, size, number, first, count, err);
}

static bool send_stored(struct frames *f, struct multipart *multipart, const uint32_t *numbers, size_t count,
                        struct error *err)
{
    const char *extra = arena_printf(http_arena(f->request), "; transfer-syntax=%s", f->object->transfer_syntax);
    for (size_t i = 0; i < count; i++) {
        size_t first, pieces;
        if (!fragments_of(f, numbers[i], &first, &pieces, err) || !multipart_part(multipart, extra, err))
            return false;
        for (size_t k = first; k < first + pieces; k++) {
            const struct dicom_fragment *fragment = &f->pixels->fragments[k];
            uint64_t base;
            int fd;
            if (!archive_bytes(f->service->archive, f->object, &fd, &base, err) ||
                !multipart_file(multipart, f->object->place.container, fd, base + fragment->offset, fragment->length,
                                err))
                return false;
        }
    }
    return true;
}

// ---- through memory

// All bytes of one encapsulated frame, in malloc'd memory.
static uint8_t *gather(struct frames *f, uint32_t number, size_t *size, struct error *err)
{
    size_t first, pieces, used = 0;
    uint64_t total = 0;
    if (!fragments_of(f, number, &first, &pieces, err))
        return NULL;
    for (size_t k = first; k < first + pieces; k++)
        total += f->pixels->fragments[k].length;
    uint8_t *bytes = total <= MEMORY_REPLY_MAX ? malloc((size_t)total + 1) : NULL;
    if (!bytes) {
        error_set(err, ERROR_LIMIT, "frame %u has %llu bytes, more than fit into memory", number + 1,
                  (unsigned long long)total);
        return NULL;
    }
    for (size_t k = first; k < first + pieces; k++) {
        const struct dicom_fragment *fragment = &f->pixels->fragments[k];
        if (!file_pread(f->fd, bytes + used, fragment->length, f->data_offset + fragment->offset, err)) {
            free(bytes);
            return NULL;
        }
        used += fragment->length;
    }
    *size = used;
    return bytes;
}

static bool decode(struct frames *f, uint32_t number, uint8_t *out, struct error *err)
{
    enum image_color color;
    size_t size;
    uint8_t *bytes = gather(f, number, &size, err);
    bool ok = bytes && image_decoder_frame(f->service->decoder, f->object->transfer_syntax, &f->format, bytes, size,
                                           out, &color, err);
    free(bytes);
    return ok;
}

static void swap(uint8_t *bytes, uint64_t size, size_t unit)
{
    for (uint64_t i = 0; i + unit <= size; i += unit)
        for (size_t k = 0; k < unit / 2; k++) {
            uint8_t c = bytes[i + k];
            bytes[i + k] = bytes[i + unit - 1 - k];
            bytes[i + unit - 1 - k] = c;
        }
}

// Bytes [offset, offset + size) of a value, which may be loaded or lie in the file, little endian.
static bool copy_value(const struct frames *f, const struct dicom_element *element, uint64_t offset, uint64_t size,
                       uint8_t *out, struct error *err)
{
    if (element->value)
        memcpy(out, element->value + offset, size);
    else if (f->syntax->deflated)
        return error_set(err, ERROR_LIMIT, "the inflated value does not fit into %d bytes of memory", TREE_ARENA);
    else if (!file_pread(f->fd, out, size, f->data_offset + element->offset + offset, err))
        return false;
    if (element->big_endian)
        swap(out, size, dicom_vr_unit(element->vr));
    return true;
}

// A frame of one bit a pixel may begin inside a byte.
static bool copy_bits(struct frames *f, uint64_t first_bit, uint64_t bits, uint8_t *out, struct error *err)
{
    uint64_t first = first_bit / 8, last = (first_bit + bits + 7) / 8;
    unsigned shift = (unsigned)(first_bit % 8);
    uint8_t *bytes = calloc(1, last - first + 1);
    if (!bytes)
        return error_set(err, ERROR_MEMORY, "no memory for a frame");
    bool ok = copy_value(f, f->pixels, first, last - first, bytes, err);
    for (uint64_t i = 0; ok && i < (bits + 7) / 8; i++)
        out[i] = (uint8_t)(bytes[i] >> shift | bytes[i + 1] << (8 - shift));
    if (ok && bits % 8)
        out[bits / 8] &= (uint8_t)((1u << (bits % 8)) - 1);
    free(bytes);
    return ok;
}

static bool frame_to_memory(struct frames *f, uint32_t number, uint8_t *out, struct error *err)
{
    uint64_t offset, size;
    if (f->syntax->encapsulated)
        return decode(f, number, out, err);
    if (!image_native_frame(&f->format, f->pixels->length, number, &offset, &size, err))
        return false;
    return f->format.bits_allocated == 1 ? copy_bits(f, offset, size, out, err)
                                         : copy_value(f, f->pixels, offset, size, out, err);
}

// Parts made in memory and sent as one: multipart/related, or one alone.
struct memory_reply {
    struct http_request *request;
    struct buffer body;
    struct multipart names; // for its boundary
};

static bool memory_start(struct memory_reply *reply, struct frames *f, bool alone, struct error *err)
{
    reply->request = f->request;
    buffer_init(&reply->body, MEMORY_REPLY_MAX);
    return multipart_start(&reply->names, f->request, f->service->archive, DICOMWEB_BYTES, alone, err);
}

// Room for a part of `size` bytes, to be filled by the caller before the next; NULL with *err when there is none.
static uint8_t *memory_part(struct memory_reply *reply, uint64_t size, struct error *err)
{
    struct buffer *body = &reply->body;
    if (!reply->names.alone)
        buffer_printf(body, "%s--%s\r\nContent-Type: " DICOMWEB_BYTES "\r\n\r\n", body->size ? "\r\n" : "",
                      reply->names.boundary);
    uint8_t *to = size <= MEMORY_REPLY_MAX ? buffer_reserve(body, (size_t)size) : NULL;
    if (!to) {
        error_set(err, ERROR_LIMIT, "the answer does not fit into %d bytes; ask for less", MEMORY_REPLY_MAX);
        return NULL;
    }
    body->size += (size_t)size;
    return to;
}

static void memory_send(struct memory_reply *reply, bool ok, const struct error *err)
{
    const char *type = DICOMWEB_BYTES;
    if (!ok) {
        buffer_free(&reply->body);
        dicomweb_reply_error(reply->request, err);
        return;
    }
    if (!reply->names.alone) {
        buffer_printf(&reply->body, "\r\n--%s--\r\n", reply->names.boundary);
        type = arena_printf(http_arena(reply->request), "multipart/related; type=\"" DICOMWEB_BYTES "\"; boundary=%s",
                            reply->names.boundary);
    }
    http_reply_buffer(reply->request, 200, type ? type : "multipart/related", &reply->body);
}

static void reply_from_memory(struct frames *f, const uint32_t *numbers, size_t count, bool alone)
{
    struct memory_reply reply;
    struct error err;
    bool ok = memory_start(&reply, f, alone, &err);
    for (size_t i = 0; ok && i < count; i++) {
        uint8_t *to = memory_part(&reply, f->format.frame_bytes, &err);
        ok = to && frame_to_memory(f, numbers[i], to, &err);
    }
    memory_send(&reply, ok, &err);
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
static struct form choose_form(const struct frames *f)
{
    struct form decoded = {0}, stored = {.stored = true};
    const char *accept = http_header(f->request, "Accept");
    const char *syntax = f->object->transfer_syntax;
    const char *media = media_type(syntax);
    decoded.quality = dicomweb_wanted(f->request, DICOMWEB_BYTES, DICOM_TS_EXPLICIT, &decoded.alone);
    if (!f->syntax->encapsulated || !accept || strcmp(media, DICOMWEB_BYTES) == 0)
        return decoded;
    stored.quality = dicomweb_wanted(f->request, media, syntax, &stored.alone);
    if (stored.quality == 0) // viewers ask for bytes in any transfer syntax, not for the media type of each
        stored.quality = dicomweb_wanted(f->request, DICOMWEB_BYTES, syntax, &stored.alone);
    bool named =
        strstr(accept, "transfer-syntax=*") || strstr(accept, "transfer-syntax=\"*\"") || strstr(accept, media);
    return stored.quality > decoded.quality || (named && stored.quality == decoded.quality) ? stored : decoded;
}

static void reply_from_file(struct frames *f, const uint32_t *numbers, size_t count, struct form form)
{
    struct multipart multipart;
    struct error err;
    bool ok = multipart_start(&multipart, f->request, f->service->archive,
                              form.stored ? media_type(f->object->transfer_syntax) : DICOMWEB_BYTES, form.alone, &err);
    ok = ok && (form.stored ? send_stored(f, &multipart, numbers, count, &err)
                            : send_native(f, &multipart, numbers, count, &err));
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

static void answer(struct frames *f)
{
    uint32_t numbers[FRAMES_PER_REQUEST];
    struct form form = choose_form(f);
    struct error err;
    size_t count;
    if (!read_numbers(f, numbers, &count, &err) || !check_form(&form, count, &err) ||
        !archive_bytes(f->service->archive, f->object, &f->fd, &f->data_offset, &err)) {
        dicomweb_reply_error(f->request, &err);
        return;
    }
    bool as_it_lies =
        !f->syntax->encapsulated && !f->syntax->deflated && !f->pixels->big_endian && f->format.bits_allocated != 1;
    dicomweb_audit(f->service, f->request, ACCESS_EVENT_RETRIEVED, f->object->study, http_path(f->request));
    if (form.stored || as_it_lies)
        reply_from_file(f, numbers, count, form);
    else
        reply_from_memory(f, numbers, count, form.alone);
    store_release(f->service->store, f->object->place.container);
}

void wado_frames(void *payload, struct http_request *request)
{
    struct frames f = {.service = payload, .request = request};
    struct error err;
    arena_init(&f.arena, TREE_ARENA);
    if (open_frames(&f, &err))
        answer(&f);
    else
        dicomweb_reply_error(request, &err);
    arena_free(&f.arena);
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

static bool send_bulk(struct frames *f, struct multipart *multipart, const struct dicom_element *element,
                      struct error *err)
{
    if (element->fragment_count == 0)
        return send_range(f, multipart, NULL, element->offset, element->length, err);
    for (size_t i = 1; i < element->fragment_count; i++)
        if (!send_range(f, multipart, NULL, element->fragments[i].offset, element->fragments[i].length, err))
            return false;
    return true;
}

static void bulk_from_file(struct frames *f, const struct dicom_element *element, bool alone)
{
    struct multipart multipart;
    struct error err;
    bool ok = multipart_start(&multipart, f->request, f->service->archive, DICOMWEB_BYTES, alone, &err) &&
              send_bulk(f, &multipart, element, &err);
    multipart_send(&multipart, ok, &err);
}

static void bulk_from_memory(struct frames *f, const struct dicom_element *element, bool alone)
{
    struct memory_reply reply;
    struct error err;
    bool ok = memory_start(&reply, f, alone, &err) &&
              archive_bytes(f->service->archive, f->object, &f->fd, &f->data_offset, &err);
    if (ok) {
        uint8_t *to = memory_part(&reply, element->length, &err);
        ok = to && copy_value(f, element, 0, element->length, to, &err);
        store_release(f->service->store, f->object->place.container);
    }
    memory_send(&reply, ok, &err);
}

static const struct dicom_element *find_bulk(struct frames *f, bool *alone, struct error *err)
{
    const char *path = http_path_part(f->request, "path");
    if (dicomweb_wanted(f->request, DICOMWEB_BYTES, DICOM_TS_EXPLICIT, alone) == 0) {
        error_set(err, ERROR_UNSUPPORTED, "bulk data are given as " DICOMWEB_BYTES ", which Accept does not take");
        return NULL;
    }
    const struct dicom_element *element = open_object(f, err) ? walk(f->dataset, path) : NULL;
    if (f->dataset && (!element || element->items)) {
        error_set(err, ERROR_NOT_FOUND, "there is no bulk data at '%.80s'", path);
        return NULL;
    }
    return element;
}

void wado_bulkdata(void *payload, struct http_request *request)
{
    struct frames f = {.service = payload, .request = request};
    struct error err;
    bool alone;
    arena_init(&f.arena, TREE_ARENA);
    const struct dicom_element *element = find_bulk(&f, &alone, &err);
    if (element)
        dicomweb_audit(f.service, request, ACCESS_EVENT_RETRIEVED, f.object->study, http_path(request));
    if (!element)
        dicomweb_reply_error(request, &err);
    else if (element->length > 0 && (f.syntax->deflated || element->big_endian))
        bulk_from_memory(&f, element, alone);
    else
        bulk_from_file(&f, element, alone);
    arena_free(&f.arena);
}
