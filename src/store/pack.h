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

// [R5] Index, sync, a second name in packs/; then settle_later. What was done by an earlier try is done again without
// harm. Any thread.
bool pack_make(struct store *store, struct pack *pack, struct error *err);
bool pack_insert_row(struct database *db, const struct waiting_pack *pack, struct error *err);
// The row that keeps a pack from being walked at the next start; not synced, which it must be before a start is done
// [A7c].
bool pack_list(struct store *store, uint64_t container, uint64_t arrival_last, struct error *err);
// The numbers of the packs that have this row, ascending. The caller frees *out, which is NULL on failure or not.
bool pack_listed(struct store *store, uint64_t **out, size_t *count, struct error *err);
// The row says that a lane was removed without a record, so that nobody looks for it [A8]. Best effort, for the disk
// may be full: who looks finds that no row of an object names it.
void pack_forget(struct store *store, uint64_t container);

// ---- settle.c: packs leave the lanes together

// The pack waits with others, and is a lane still, to a reader and to a start: the sync of packs/ and that of the rows
// are made for all of them. Settles at once those that wait already when they are PACKS_WAITING_MAX. Any thread.
bool settle_later(struct store *store, struct waiting_pack pack, struct error *err);
// [R5, A7c] Of all that wait: sync of packs/ [S5], the rows that list them, synced [S6], and the old names away, of
// each that has its name in packs/ still. A thread does so a second after the first has come; called at the stop and at
// the end of a start too. On failure they wait on. Any thread.
bool pack_settle(struct store *store, struct error *err);
bool settle_open(struct store *store, struct error *err);
void settle_close(struct store *store);

// ---- pairs.c: lanes and packs of one number

// Do lanes/ and packs/ name one file of that number?
bool pair_is_one(const struct store *store, uint64_t container);
// Before anything else looks at them: a folder that was copied without its hard links, or over an older copy of itself,
// has two files where there was one. A lane whose records are all in the pack, which has a whole index, is taken for
// the pack: its name becomes the pack's second one, and what it has besides is kept as lanes/NNNNNNNNNN.lane.aside.
// CONFLICT: they differ in what they hold; *err names both.
bool pairs_resolve(struct store *store, struct error *err);

// missing.c: raises an alarm for containers that rows tell of and that are not there [A8].
bool missing_find(struct store *store, const struct store_replay *replay, struct error *err);

#endif
