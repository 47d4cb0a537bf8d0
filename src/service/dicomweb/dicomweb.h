// Inside service/dicomweb: what QIDO-RS and WADO-RS share.
#ifndef SERVICE_DICOMWEB_H
#define SERVICE_DICOMWEB_H

#include "service/internal.h"

#define DICOMWEB_JSON "application/dicom+json"
#define DICOMWEB_OBJECT "application/dicom"
#define DICOMWEB_BYTES "application/octet-stream"

enum { DICOMWEB_HEADER_VALUE_MAX = 64 << 10 }; // longer values become BulkDataURI

// "http://HOST/dicom-web" as the client called us, in the request's arena; NULL when the arena is full.
const char *dicomweb_base(struct http_request *request);

// What there is in no form that Accept takes (UNSUPPORTED) is 406; all else as http_reply_error.
void dicomweb_reply_error(struct http_request *request, const struct error *err);

// The media type that a JSON answer gets; NULL when Accept takes none.
const char *dicomweb_json_type(struct http_request *request, struct error *err);

// How much the client wants parts of this type and transfer syntax (0: not at all, to 1000), and whether as the body
// itself rather than in multipart/related.
int dicomweb_wanted(const struct http_request *request, const char *type, const char *syntax, bool *alone);

// A reply of parts, of memory and of objects: multipart/related, or the one part alone.
struct multipart {
    struct http_request *request;
    struct archive *archive;
    struct reader *parts; // in the request's arena; released when the reply is sent
    size_t count, capacity;
    char boundary[40];
    const char *type; // of every part: "application/dicom"
    bool alone;
    const char *head; // alone: the Content-Type, once the part has begun
};

bool multipart_start(struct multipart *multipart, struct http_request *request, struct archive *archive,
                     const char *type, bool alone, struct error *err);
// Begins a part; `extra` (may be NULL) is appended to its Content-Type, such as ";
// transfer-syntax=1.2.840.10008.1.2.1". UNSUPPORTED for a second one when it is to be alone.
bool multipart_part(struct multipart *multipart, const char *extra, struct error *err);
bool multipart_memory(struct multipart *multipart, const void *data, size_t size,
                      struct error *err); // in the request's arena
// The object's data set, proved as it is sent: a reply with one that is not what was stored is cut off.
bool multipart_object(struct multipart *multipart, const struct archive_object *object, struct error *err);
// `size` bytes of it from `offset` on.
bool multipart_piece(struct multipart *multipart, const struct archive_object *object, uint64_t offset, uint64_t size,
                     struct error *err);
// Sends it, or on `ok` false the error; either way what was acquired is given back.
void multipart_send(struct multipart *multipart, bool ok, const struct error *err);

#endif
