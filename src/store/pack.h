// Making a pack of a lane, in the running store and at start.
#ifndef STORE_PACK_H
#define STORE_PACK_H

#include "store/format.h"

struct pack {
    uint64_t container;
    int fd;       // of the lane; stays the caller's
    uint64_t end; // of the last record
    bool damaged; // rows name a record at `end`, and there is none
    struct format_index index;
};

// [R5] Index, sync, a second name in packs/, sync of packs/, the row that says so, synced, and the old name away. What
// was done by an earlier try is done again without harm.
bool pack_make(struct store *store, struct pack *pack, struct error *err);
// The row that keeps a pack from being walked at the next start. Of a pack without a lane it must be synced before the
// start is done [A7c].
bool pack_list(struct store *store, uint64_t container, uint64_t arrival_last, enum store_durability durability,
               struct error *err);
// The numbers of the packs that have this row, ascending. The caller frees *out, which is NULL on failure or not.
bool pack_listed(struct store *store, uint64_t **out, size_t *count, struct error *err);
// The row says that a lane was removed without a record, so that nobody looks for it [A8]. Best effort, for the disk
// may be full: who looks finds that no row of an object names it.
void pack_forget(struct store *store, uint64_t container);

// missing.c: raises an alarm for containers that rows tell of and that are not there [A8].
bool missing_find(struct store *store, const struct store_replay *replay, struct error *err);

#endif
