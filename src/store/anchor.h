// DATA/anchor: whose folder this is and how far it had come at least, in two slots that are written in turn
// (docs/store-format.md, "Identity").
#ifndef STORE_ANCHOR_H
#define STORE_ANCHOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

enum { ANCHOR_SLOT = 4096, ANCHOR_BYTES = 2 * ANCHOR_SLOT, ANCHOR_SIZE = 160, STORE_ID_SIZE = 16 };

struct anchored {
    uint64_t generation; // 0: nothing was read
    uint8_t id[STORE_ID_SIZE];
    uint64_t epoch, event, container, arrival, tombstones;
    struct store_audit_head audit;
};

struct anchor {
    pthread_mutex_t lock;  // of `last`
    int fd;                // -1: there is no file
    bool whole;            // it has a whole slot
    struct anchored found; // at the start
    struct anchored last;  // written by this process, or found
};

void anchor_bytes(uint8_t out[ANCHOR_SIZE], const struct anchored *in);
bool anchor_parse(const uint8_t bytes[ANCHOR_SIZE], struct anchored *out); // false: not a whole slot

// Opens the anchor of a folder and reads the newer whole slot into `found`. None is no failure.
bool anchor_open(struct store *store, struct error *err);
void anchor_close(struct store *store);
// What was found is of another folder, and counts for nothing: the next one replaces the file.
void anchor_forget(struct store *store);
// As store_anchor without a line, at a start: a disk without room, which only the first anchor of a folder needs, is a
// warning.
bool anchor_if_room(struct store *store, struct error *err);

#endif
