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

// [R5] Index, sync, a second name in packs/. What was done by an earlier try is done again without harm. Then the pack
// waits for pack_settle with others, which this calls when PACKS_WAITING_MAX wait; until then it is a lane still, to a
// reader and to a start. Any thread.
bool pack_make(struct store *store, struct pack *pack, struct error *err);
// [R5, A7c] Of all that wait: sync of packs/, the rows that list them, synced, and the old names away. A lane of its
// own each time would cost two syncs more for every association. Called in quiet times too, at the stop and at the end
// of a start. On failure they wait on. Any thread.
bool pack_settle(struct store *store, struct error *err);
// The row that keeps a pack from being walked at the next start; not synced, which it must be before a start is done
// [A7c].
bool pack_list(struct store *store, uint64_t container, uint64_t arrival_last, struct error *err);
// The numbers of the packs that have this row, ascending. The caller frees *out, which is NULL on failure or not.
bool pack_listed(struct store *store, uint64_t **out, size_t *count, struct error *err);
// The row says that a lane was removed without a record, so that nobody looks for it [A8]. Best effort, for the disk
// may be full: who looks finds that no row of an object names it.
void pack_forget(struct store *store, uint64_t container);

// missing.c: raises an alarm for containers that rows tell of and that are not there [A8].
bool missing_find(struct store *store, const struct store_replay *replay, struct error *err);

#endif
