// Reading the audit files back: the check of the chain (audit_chain.h).
#ifndef ACCESS_AUDIT_WALK_H
#define ACCESS_AUDIT_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "access/audit_key.h"
#include "access/audit_line.h"
#include "base/error.h"
#include "base/hash.h"
#include "store/store.h"

enum { ACCESS_PATH_SIZE = 4096, ACCESS_KNOWNS_MAX = 100000 };

struct access_walk {
    uint64_t segment;                  // being read
    uint64_t line;                     // in it
    uint64_t lines;                    // in all, the broken one counted
    uint64_t seq;                      // of the last sound line
    uint64_t size;                     // of the sound lines of this file
    uint64_t files;                    // of access_walk_all
    uint64_t sound_files, sound_lines; // of those: in which nothing was told wrong
    uint64_t first;                    // the number of the first file; 0: there is none
    uint64_t wrongs;                   // told so far
    uint64_t torn;                     // bytes behind them without a line end
    uint8_t value[HASH_SIZE];
    const struct access_key *key;        // NULL: there is none
    char key_name[ACCESS_KEY_NAME_SIZE]; // of this file; "": it has none
    uint64_t unchecked;                  // lines of files with another key, whose values nobody can tell here
    bool joined;                         // a line was read, or this is the first file: what follows must continue it
    struct store_audit_head anchored;    // a line that must be met; segment 0: none
    bool reached;                        // it was
    uint64_t behind;                     // lines since then
    // With this what is wrong is told, by file, and the walk goes on behind it. NULL: the first wrong ends it.
    void (*wrong)(void *payload, const struct access_damage *damage);
    void *payload;
    struct access_damage damage; // of the file that is read
    const char *text;            // the line that is looked at; NULL: none
    size_t text_size;
    const struct access_knowns *knowns; // of `wrong`
};

// What persons have said to know of: the digests of damages, and the files that say so.
struct access_knowns {
    struct access_known_damage {
        uint8_t digest[HASH_SIZE];
        uint64_t segment;
    } * items; // owned
    size_t count, capacity;
};

bool access_segment_path(char path[ACCESS_PATH_SIZE], const char *folder, uint64_t segment, struct error *err);
bool access_segment_last(const char *folder, uint64_t *last, struct error *err); // 0: none

// Checks the last file, those from the anchored line's on, and, when that is the last one alone and begins no chain,
// the one before it. BAD_DATA: broken; walk->torn above 0: only its end is not whole.
bool access_walk_last(struct access_walk *walk, const char *folder, uint64_t last, const struct access_key *key,
                      const struct store_audit_head *anchored, struct error *err);
// Whether what was walked has met the anchored line; BAD_DATA when not.
bool access_walk_reached(const struct access_walk *walk, struct error *err);
// What the trail tells and nobody has said to know: of each tale "audit-00000002.log: WORDS", or "". It begins a file,
// so the first line of each is read.
struct access_standing {
    char text[ACCESS_TALES][ERROR_MESSAGE_SIZE];
};
bool access_walk_standing(const char *folder, struct access_standing *out, struct error *err);
// Whether a file was begun with a key.
bool access_walk_has_key(const char *folder, bool *has_key, struct error *err);
// Checks all, as the caller has set `key`, `anchored`, `wrong`, `payload` and `knowns`.
bool access_walk_all(struct access_walk *walk, const char *folder, struct error *err);

#endif
