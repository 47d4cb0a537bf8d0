#include "store/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"

enum { SCAN_BLOCK = 256 << 10, SCAN_STEP = 16 };

bool scan_begin(struct scan *scan, struct store *store, const struct store_replay *replay, uint64_t container, int fd,
                struct error *err)
{
    uint8_t header[STORE_FILE_HEADER];
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_errno(err, errno, "cannot ask for the size of container %llu", (unsigned long long)container);
    *scan = (struct scan){.store = store,
                          .replay = replay,
                          .container = container,
                          .fd = fd,
                          .size = (uint64_t)status.st_size,
                          .at = STORE_FILE_HEADER,
                          .end = STORE_FILE_HEADER};
    memcpy(scan->id, store->id, sizeof scan->id);
    if (scan->size >= sizeof header && !file_pread(fd, header, sizeof header, 0, err))
        return false;
    if (scan->size >= sizeof header && !format_read_file_header(header, container, scan->id))
        log_warning("store", "container %llu has a damaged file header", (unsigned long long)container);
    scan->block = malloc(SCAN_BLOCK);
    return scan->block ||
           error_set(err, ERROR_MEMORY, "no memory to walk container %llu", (unsigned long long)container);
}

void scan_end(struct scan *scan)
{
    free(scan->block);
    scan->block = NULL;
}

// ---- headers

// Whether the record lies in the file whole.
static bool fits(const struct scan *scan, const struct format_record *record)
{
    uint64_t room = scan->size - record->record.place.offset - STORE_RECORD_HEADER;
    return record->record.size <= room && record->meta_size <= room - record->record.size;
}

static bool header_at(struct scan *scan, const uint8_t *bytes, uint64_t offset, struct format_record *out)
{
    struct store_place place = {scan->container, offset};
    return format_read_record_header(bytes, &place, scan->id, out) && fits(scan, out);
}

// The first valid header at `from` or, at a multiple of 16, behind it.
static bool find_header(struct scan *scan, uint64_t from, struct format_record *out, bool *found, struct error *err)
{
    size_t want = STORE_RECORD_HEADER; // one header in the usual case, blocks when it is not there
    *found = false;
    while (scan->size >= STORE_RECORD_HEADER && from <= scan->size - STORE_RECORD_HEADER) {
        uint64_t left = scan->size - from;
        size_t size = left < want ? (size_t)left : want;
        if (!file_pread(scan->fd, scan->block, size, from, err))
            return false;
        size_t i = 0;
        for (; i + STORE_RECORD_HEADER <= size; i += SCAN_STEP) {
            *found = header_at(scan, scan->block + i, from + i, out);
            if (*found)
                return true;
        }
        from += i;
        want = SCAN_BLOCK;
    }
    return true;
}

// ---- contents

static bool digest_of(struct scan *scan, struct hash *hash, uint64_t offset, uint64_t size, uint8_t out[HASH_SIZE],
                      struct error *err)
{
    hash_start(hash);
    while (size > 0) {
        size_t step = size < SCAN_BLOCK ? (size_t)size : SCAN_BLOCK;
        if (!file_pread(scan->fd, scan->block, step, offset, err))
            return false;
        hash_add(hash, scan->block, step);
        offset += step;
        size -= step;
    }
    hash_end(hash, out);
    return true;
}

static bool is_whole(struct scan *scan, const struct format_record *record, bool *out, struct error *err)
{
    uint8_t data[HASH_SIZE], meta[HASH_SIZE];
    uint64_t start = record->record.place.offset + STORE_RECORD_HEADER;
    struct hash *hash = hash_new();
    if (!hash)
        return error_set(err, ERROR_MEMORY, "no memory to check a record");
    bool ok = digest_of(scan, hash, start, record->record.size, data, err) &&
              digest_of(scan, hash, start + record->record.size, record->meta_size, meta, err);
    hash_free(hash);
    if (ok)
        *out = memcmp(data, record->record.digest, HASH_SIZE) == 0 && memcmp(meta, record->meta_digest, HASH_SIZE) == 0;
    return ok;
}

// Whether the record counts, and as what.
static bool judge(struct scan *scan, const struct format_record *record, enum scan_kind *kind, bool *counts,
                  struct error *err)
{
    bool known = false;
    *counts = true;
    *kind = SCAN_VOID;
    if (tombstones_has(scan->store, &record->record.place))
        return true;
    if (!scan->replay->known(scan->replay->payload, &record->record.place, &known, err))
        return false;
    *kind = known ? SCAN_KNOWN : SCAN_NEW;
    return known || is_whole(scan, record, counts, err);
}

bool scan_next(struct scan *scan, struct format_record *out, enum scan_kind *kind, bool *found, struct error *err)
{
    for (;;) {
        bool counts;
        if (!find_header(scan, scan->at, out, found, err))
            return false;
        if (!*found)
            return true;
        if (!judge(scan, out, kind, &counts, err))
            return false;
        if (counts)
            break;
        scan->at = out->record.place.offset + STORE_RECORD_HEADER; // data of its size may not be there: look inside
    }
    if (out->record.place.offset != scan->end)
        log_error("store", "container %llu is damaged between offsets %llu and %llu",
                  (unsigned long long)scan->container, (unsigned long long)scan->end,
                  (unsigned long long)out->record.place.offset);
    scan->at = scan->end = format_record_end(out);
    return true;
}
