// Bytes of lanes and packs, as docs/store-format.md draws them. Nothing here trusts what it decodes.
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H

#include "store/internal.h"

// ---- file header

void format_file_header(uint8_t out[STORE_FILE_HEADER], uint64_t container, const uint8_t id[STORE_ID_SIZE]);
// The store id in a valid header of that container.
bool format_file_is_of(const uint8_t *header, uint64_t *container, uint8_t id[STORE_ID_SIZE]); // false: damaged
bool format_read_file_header(const uint8_t *header, uint64_t container, uint8_t id[STORE_ID_SIZE]);

// ---- record header

struct format_record {
    struct store_record record;
    uint32_t meta_size;
    uint8_t meta_digest[HASH_SIZE];
};

void format_record_header(uint8_t out[STORE_RECORD_HEADER], const struct format_record *in,
                          const uint8_t id[STORE_ID_SIZE]);
// false unless the digest is right for that place in a file of that id.
bool format_read_record_header(const uint8_t *header, const struct store_place *place, const uint8_t id[STORE_ID_SIZE],
                               struct format_record *out);

// The header at that place of an open container. A damaged file header costs no record: `id`, the store's own, is tried
// then.
bool format_read_record(int fd, const struct store_place *place, const uint8_t id[STORE_ID_SIZE],
                        struct format_record *out, struct error *err);

// Where the next record starts. A valid header's sizes cannot overflow: format_read_record_header refuses sizes past
// INT64_MAX / 2.
uint64_t format_record_end(const struct format_record *record);

static inline uint64_t format_align(uint64_t offset)
{
    return (offset + 15) & ~UINT64_C(15);
}

// ---- pack index

enum { FORMAT_INDEX_MAX = 1 << 20 }; // records of one container

struct format_index {
    struct format_entry {
        uint64_t offset, size, arrival;
    } * entries; // owned
    size_t count, capacity;
};

bool format_index_add(struct format_index *index, const struct store_record *record, struct error *err);
void format_index_free(struct format_index *index);
// The index's bytes for a file whose records end at `offset`.
bool format_index_bytes(const struct format_index *index, uint64_t offset, struct buffer *out, struct error *err);
// Whether an open pack ends in a whole index; the number of records in it, and where it starts.
bool format_index_check(int fd, uint64_t *count, uint64_t *offset, struct error *err);
// The entries of an open pack whose index is whole, into an empty `out`; the caller frees them.
bool format_index_read(int fd, struct format_index *out, struct error *err);

#endif
