// Reading the audit files back: the check of the chain (audit_chain.h).
#ifndef ACCESS_AUDIT_WALK_H
#define ACCESS_AUDIT_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "access/audit_line.h"
#include "base/error.h"
#include "base/hash.h"

enum { ACCESS_PATH_SIZE = 4096 };

struct access_walk {
    uint64_t segment; // being read
    uint64_t line;    // in it
    uint64_t lines;   // in all, the broken one counted
    uint64_t seq;     // of the last sound line
    uint64_t size;    // of the sound lines of this file
    uint64_t torn;    // bytes behind them without a line end
    uint8_t value[HASH_SIZE];
    bool joined; // a line was read, or this is the first file: what follows must continue it
};

bool access_segment_path(char path[ACCESS_PATH_SIZE], const char *folder, uint64_t segment, struct error *err);
bool access_segment_last(const char *folder, uint64_t *last, struct error *err); // 0: none

// Checks the last file and, unless it begins a chain, the one before it. BAD_DATA: broken; walk->torn above 0: only its
// end is not whole.
bool access_walk_last(struct access_walk *walk, const char *folder, uint64_t last, struct error *err);
// Checks all.
bool access_walk_all(struct access_walk *walk, const char *folder, struct error *err);

#endif
