#include "store/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/file.h"

static const char file_magic[8] = {'H', 'I', 'L', 'U', 'M', 'L', 'N', '1'};
static const char record_magic[8] = {'H', 'I', 'L', 'U', 'M', 'O', 'B', '1'};
static const char index_magic[8] = {'H', 'I', 'L', 'U', 'M', 'I', 'X', '1'};
static const char end_magic[8] = {'H', 'I', 'L', 'U', 'M', 'E', 'N', 'D'};

enum {
    FILE_SIGNED = 32,
    RECORD_SIGNED = 96,
    ENTRY_SIZE = 24,
    INDEX_HEAD = 16,
    INDEX_TAIL = HASH_SIZE + 16,
};

// ---- file header

void format_file_header(uint8_t out[STORE_FILE_HEADER], uint64_t container, const uint8_t id[STORE_ID_SIZE])
{
    memset(out, 0, STORE_FILE_HEADER);
    memcpy(out, file_magic, sizeof file_magic);
    bytes_put_u64le(out + 8, container);
    memcpy(out + 16, id, STORE_ID_SIZE);
    hash_of(out, FILE_SIGNED, out + FILE_SIGNED);
}

bool format_file_is_of(const uint8_t *header, uint64_t *container, uint8_t id[STORE_ID_SIZE])
{
    uint8_t digest[HASH_SIZE];
    hash_of(header, FILE_SIGNED, digest);
    *container = bytes_u64le(header + 8);
    memcpy(id, header + 16, STORE_ID_SIZE);
    return memcmp(header, file_magic, sizeof file_magic) == 0 && memcmp(header + FILE_SIGNED, digest, HASH_SIZE) == 0;
}

bool format_read_file_header(const uint8_t *header, uint64_t container, uint8_t id[STORE_ID_SIZE])
{
    uint8_t said[STORE_ID_SIZE];
    uint64_t number;
    if (!format_file_is_of(header, &number, said) || number != container)
        return false;
    memcpy(id, said, sizeof said);
    return true;
}

// ---- record header

// The id, which no peer knows, keeps a sender from hiding a valid header in an object's data.
static void sign_record(const uint8_t *header, const struct store_place *place, const uint8_t *id,
                        uint8_t out[HASH_SIZE])
{
    uint8_t text[RECORD_SIGNED + STORE_ID_SIZE + 16];
    memcpy(text, header, RECORD_SIGNED);
    memcpy(text + RECORD_SIGNED, id, STORE_ID_SIZE);
    bytes_put_u64le(text + RECORD_SIGNED + STORE_ID_SIZE, place->container);
    bytes_put_u64le(text + RECORD_SIGNED + STORE_ID_SIZE + 8, place->offset);
    hash_of(text, sizeof text, out);
}

void format_record_header(uint8_t out[STORE_RECORD_HEADER], const struct format_record *in,
                          const uint8_t id[STORE_ID_SIZE])
{
    memset(out, 0, STORE_RECORD_HEADER);
    memcpy(out, record_magic, sizeof record_magic);
    bytes_put_u64le(out + 8, in->record.arrival);
    bytes_put_u64le(out + 16, in->record.size);
    bytes_put_u32le(out + 24, in->meta_size);
    memcpy(out + 32, in->record.digest, HASH_SIZE);
    memcpy(out + 64, in->meta_digest, HASH_SIZE);
    sign_record(out, &in->record.place, id, out + RECORD_SIGNED);
}

bool format_read_record_header(const uint8_t *header, const struct store_place *place, const uint8_t id[STORE_ID_SIZE],
                               struct format_record *out)
{
    uint8_t digest[HASH_SIZE];
    if (memcmp(header, record_magic, sizeof record_magic) != 0)
        return false;
    sign_record(header, place, id, digest);
    if (memcmp(header + RECORD_SIGNED, digest, HASH_SIZE) != 0)
        return false;
    out->record.place = *place;
    out->record.arrival = bytes_u64le(header + 8);
    out->record.size = bytes_u64le(header + 16);
    out->meta_size = bytes_u32le(header + 24);
    memcpy(out->record.digest, header + 32, HASH_SIZE);
    memcpy(out->meta_digest, header + 64, HASH_SIZE);
    return out->record.size < INT64_MAX / 2 && out->record.arrival < INT64_MAX && out->meta_size <= STORE_META_MAX;
}

bool format_read_record(int fd, const struct store_place *place, const uint8_t id[STORE_ID_SIZE],
                        struct format_record *out, struct error *err)
{
    uint8_t file[STORE_FILE_HEADER], header[STORE_RECORD_HEADER], own_id[STORE_ID_SIZE];
    if (place->offset > INT64_MAX / 2)
        return error_set(err, ERROR_BAD_VALUE, "offset %llu cannot be in a container",
                         (unsigned long long)place->offset);
    if (!file_pread(fd, file, sizeof file, 0, err) || !file_pread(fd, header, sizeof header, place->offset, err))
        return error_prefix(err, "container %llu", (unsigned long long)place->container);
    bool has_id = format_read_file_header(file, place->container, own_id);
    return format_read_record_header(header, place, has_id ? own_id : id, out) ||
           error_set(err, ERROR_IO, "container %llu has no valid record at offset %llu",
                     (unsigned long long)place->container, (unsigned long long)place->offset);
}

uint64_t format_record_end(const struct format_record *record)
{
    return format_align(record->record.place.offset + STORE_RECORD_HEADER + record->record.size + record->meta_size);
}

// ---- pack index

bool format_index_add(struct format_index *index, const struct store_record *record, struct error *err)
{
    if (index->count == index->capacity) {
        size_t capacity = index->capacity ? index->capacity * 2 : 16;
        struct format_entry *grown =
            capacity <= FORMAT_INDEX_MAX ? realloc(index->entries, capacity * sizeof *grown) : NULL;
        if (!grown)
            return error_set(err, ERROR_LIMIT, "a container holds %zu records; %d is the limit", index->count,
                             FORMAT_INDEX_MAX);
        index->entries = grown;
        index->capacity = capacity;
    }
    index->entries[index->count++] = (struct format_entry){record->place.offset, record->size, record->arrival};
    return true;
}

void format_index_free(struct format_index *index)
{
    free(index->entries);
    *index = (struct format_index){0};
}

bool format_index_bytes(const struct format_index *index, uint64_t offset, struct buffer *out, struct error *err)
{
    uint8_t digest[HASH_SIZE];
    buffer_append(out, index_magic, sizeof index_magic);
    buffer_u64le(out, index->count);
    for (size_t i = 0; i < index->count; i++) {
        buffer_u64le(out, index->entries[i].offset);
        buffer_u64le(out, index->entries[i].size);
        buffer_u64le(out, index->entries[i].arrival);
    }
    if (!buffer_check(out, "pack index", err))
        return false;
    hash_of(out->data, out->size, digest);
    buffer_append(out, digest, sizeof digest);
    buffer_u64le(out, offset);
    buffer_append(out, end_magic, sizeof end_magic);
    return buffer_check(out, "pack index", err);
}

static bool bad_index(struct error *err, const char *what)
{
    return error_set(err, ERROR_BAD_DATA, "the pack's index is damaged: %s", what);
}

static bool check_digest(int fd, uint64_t offset, size_t size, uint64_t *count, struct error *err)
{
    uint8_t digest[HASH_SIZE];
    uint8_t *bytes = malloc(size + HASH_SIZE);
    if (!bytes)
        return error_set(err, ERROR_MEMORY, "no memory for an index of %zu bytes", size);
    bool ok = file_pread(fd, bytes, size + HASH_SIZE, offset, err);
    if (ok) {
        hash_of(bytes, size, digest);
        *count = bytes_u64le(bytes + 8);
        if (memcmp(bytes, index_magic, sizeof index_magic) != 0 || memcmp(bytes + size, digest, HASH_SIZE) != 0 ||
            *count != (size - INDEX_HEAD) / ENTRY_SIZE)
            ok = bad_index(err, "its digest does not fit");
    }
    free(bytes);
    return ok;
}

bool format_index_check(int fd, uint64_t *count, uint64_t *offset, struct error *err)
{
    struct stat status;
    uint8_t tail[16];
    if (fstat(fd, &status) != 0)
        return error_errno(err, errno, "cannot ask for the size of a pack");
    uint64_t end = (uint64_t)status.st_size;
    if (end < STORE_FILE_HEADER + INDEX_HEAD + INDEX_TAIL)
        return bad_index(err, "the file is too short");
    if (!file_pread(fd, tail, sizeof tail, end - sizeof tail, err))
        return false;
    *offset = bytes_u64le(tail);
    if (memcmp(tail + 8, end_magic, sizeof end_magic) != 0 || *offset < STORE_FILE_HEADER ||
        *offset > end - INDEX_HEAD - INDEX_TAIL)
        return bad_index(err, "its end is not there");
    uint64_t size = end - INDEX_TAIL - *offset;
    if (size > (uint64_t)FORMAT_INDEX_MAX * ENTRY_SIZE + INDEX_HEAD || (size - INDEX_HEAD) % ENTRY_SIZE != 0)
        return bad_index(err, "its size is wrong");
    return check_digest(fd, *offset, (size_t)size, count, err);
}

bool format_index_read(int fd, struct format_index *out, struct error *err)
{
    uint8_t entry[ENTRY_SIZE];
    uint64_t count, offset;
    bool ok = format_index_check(fd, &count, &offset, err);
    for (uint64_t i = 0; ok && i < count; i++) {
        ok = file_pread(fd, entry, sizeof entry, offset + INDEX_HEAD + i * ENTRY_SIZE, err);
        const struct store_record record = {
            .place.offset = bytes_u64le(entry), .size = bytes_u64le(entry + 8), .arrival = bytes_u64le(entry + 16)};
        ok = ok && format_index_add(out, &record, err);
    }
    if (!ok)
        format_index_free(out);
    return ok;
}
