// The audit files and their chain. FOLDER/audit-00000001.log, -00000002.log ...: lines of audit_line.h, only appended
// to; a file past ACCESS_SEGMENT_MAX is left and the next begun. Every line holds
//
//     value = SHA-256(value of the line before || the line without its line end and without the 64 digits of `value`)
//
// or, in files that were begun with a key (audit_key.h; their first line names it), HMAC-SHA-256 of the same,
//
// so that a changed, added, removed or moved line breaks all that follow. The first line of a file repeats the value it
// continues as `previous`; 64 zeros there begin a new chain: in the first file, and where an earlier one was found
// broken. A tail cut off whole, or a chain computed anew, shows at the line that the store's anchor names
// (docs/store-format.md, "Identity"). That a chain was computed anew shows without the anchor too where there is a key,
// to whoever checks it with that. Files of the time before the key stay as they are. A trail that lost its key tells
// so, as a break, and goes on without one until it is back.
//
// Threads: one at a time.
#ifndef ACCESS_AUDIT_CHAIN_H
#define ACCESS_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "access/access.h"
#include "access/audit_key.h"
#include "access/audit_line.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"

enum { ACCESS_SEGMENT_MAX = 16 << 20, ACCESS_SEGMENTS_MAX = 100000, ACCESS_BATCH_MAX = 1 << 20 };

// A place in the chain: behind the line `seq`.
struct access_chain_place {
    uint64_t seq;
    uint64_t size; // of the file
    uint8_t value[HASH_SIZE];
    bool first; // the next line is the file's first
};

struct access_chain {
    char *folder; // owned
    int fd;
    uint64_t segment;
    uint64_t segment_max;           // ACCESS_SEGMENT_MAX; tests set less
    struct access_chain_place safe; // what is on disk
    struct access_chain_place next; // with the lines of `batch`
    struct buffer batch;
    struct hash *hash;
    struct access_key key;        // key.there false: the values are made without one
    bool dirty;                   // bytes behind safe.size may be left of a failed write
    struct store_audit_head head; // the last line on disk
    uint64_t written;             // lines since it was opened
    uint64_t unanchored;          // lines on disk behind the anchored one; whoever anchors `head` sets it back
    bool broken;                  // what access_chain_open found is no mere unfinished line
    char host[256];
};

// Continues the chain in `folder`, in which the anchored line must be (segment 0: none), with the key at `key_path` (""
// or NULL: FOLDER/audit-key), which is made when no file has had one yet. `found` (ERROR_MESSAGE_SIZE)
// receives what the trail must say about its own past, or "".
bool access_chain_open(struct access_chain *chain, const char *folder, const char *key_path,
                       const struct store_audit_head *anchored, char *found, struct error *err);
// The next line begins a file. With no batch.
bool access_chain_next_file(struct access_chain *chain, struct error *err);
void access_chain_close(struct access_chain *chain); // drops an uncommitted batch

// Whether the file is as it was left: under its name, as long as what was written. When not, a new chain in a new file
// is begun, and `found` says why; else it is "". With no batch.
bool access_chain_look(struct access_chain *chain, char *found, struct error *err);

// Adds a line to the batch. false: the batch is full (or out of memory); commit and add again.
bool access_chain_add(struct access_chain *chain, const struct access_record *record, int64_t time_ns, uint64_t count);
// Writes the batch and syncs. On failure nothing of it counts, and the same records may be added again.
bool access_chain_commit(struct access_chain *chain, struct error *err);

#endif
