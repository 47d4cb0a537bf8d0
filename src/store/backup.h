// Backups: what a data folder holds at one moment, in a folder elsewhere, encrypted, and put back from there.
//
// A backup folder holds any number of backups of one archive. What several have in common is in it once, by the digest
// of its bytes: packs never change, so the next backup reads and writes only the new ones, the lanes, the database and
// the audit trail. It is made while the server works, in this order, so that what is put back starts:
//
//   1  the anchor, and how long the audit trail and the other files of the folder are beside just this anchor
//   2  a copy of the database in one read transaction: it is not older than the anchor, which holds lower bounds
//   3  lanes and packs, each record of a new pack against its digest: rows name no container that is not there by now.
//      What a lane has got since is handed over by the replay [R3]
//   4  the tombstones, which may have got more since, and void what the lanes were copied with
//
// docs/store-format.md, "Backups", has the bytes. A backup is whole when its list is there, which is written last.
//
// What is put back is an older database: what was told to PACS and record since then is not in it. So its first start
// raises the alarm of an older copy, and nothing is sent until somebody says that he knows (store.h); of a copy that is
// made beside the original nothing is ever sent.
//
// Threads: any; one backup at a time writes into a folder (CONFLICT, by flock).
#ifndef STORE_BACKUP_H
#define STORE_BACKUP_H

#include <jansson.h>
#include <stdatomic.h>

#include "store/store.h"

// ---- the key: 256 random bits, in a file of one line that fits on paper

enum { BACKUP_KEY_SIZE = 32, BACKUP_KEY_NAME_SIZE = 17, BACKUP_NAME_SIZE = 32 };

struct backup_key {
    uint8_t bytes[BACKUP_KEY_SIZE];
    char name[BACKUP_KEY_NAME_SIZE]; // follows from it, and tells keys apart; no secret
};

// A new key into a new file of mode 0600: DUPLICATE when there is one.
bool backup_key_make(const char *path, struct backup_key *out, struct error *err);
// FORBIDDEN when others than its owner may read the file.
bool backup_key_read(const char *path, struct backup_key *out, struct error *err);

// ---- making

// `done` of `total` bytes of what is being read; `what` is "packs", "database", ... Called by the thread that works.
typedef void backup_progress_fn(void *payload, const char *what, uint64_t done, uint64_t total);

struct backup_order {
    const char *folder; // of backups; made when missing, if `begin`
    const struct backup_key *key;
    bool begin;                   // a new backup folder where none is: else NOT_FOUND, for a disk may not be mounted
    unsigned keep;                // backups: the oldest go past this; 0: all stay
    const char *const *beside;    // NULL, or a NULL-ended list of absolute paths of files elsewhere that belong to it
    const json_t *said;           // NULL, or an object that is kept with the backup, for who compares
    const atomic_bool *stop;      // NULL, or: gives up soon after it is true (CANCELLED)
    backup_progress_fn *progress; // or NULL
    void *payload;
};

struct backup_made {
    char name[BACKUP_NAME_SIZE]; // "000012-20261129T021500Z": its number, and when
    uint64_t files, bytes;       // of the archive
    uint64_t new_files, new_bytes;
    uint64_t healed;               // files of earlier backups that had rotted, and were written again
    char kept[ERROR_MESSAGE_SIZE]; // why backups past `keep` are still there; "": they are not
    uint64_t damaged;  // containers that are missing or have a record that does not match its digest, and the database;
                       // alarms name them
    uint64_t left_out; // of `beside`: cannot be read; the log names them
};

// FULL when either disk has no room, FORBIDDEN for another key. CONFLICT when another backup goes on there, when the
// backups there are of another archive, or of this one when it had come further than this store (another server runs
// with it), and in a copy beside its original. What was written before a failure stays, and the next one needs not
// write it again. Of the packs that earlier backups have one of BACKUP_LOOKS is read again and compared each time.
enum { BACKUP_LOOKS = 32 };
bool backup_make(struct store *store, const struct backup_order *order, struct backup_made *out, struct error *err);

// ---- looking

struct backup_listed {
    char name[BACKUP_NAME_SIZE];
    int64_t made_ns;
    char version[32]; // of the program
    char archive[17]; // whose: tells data folders apart; no secret
    uint64_t files, bytes, containers, damaged;
    bool whole; // its list can be read with this key
};
// Newest first, in `arena`. NOT_FOUND: it is no folder of backups.
bool backup_list(const char *folder, const struct backup_key *key, struct arena *arena, struct backup_listed **out,
                 size_t *count, struct error *err);

struct backup_checked {
    uint64_t files, bytes;
    uint64_t bad; // missing, cut or changed
};
// Reads all files of a backup (`name` NULL: the newest) and compares each with its digest. `tell` gets each that is
// bad; with `drop` it is removed, so that the next backup writes it again. true with bad > 0: it was looked through,
// and is damaged.
bool backup_check(const char *folder, const struct backup_key *key, const char *name, bool drop,
                  void (*tell)(void *payload, const char *file, const char *why), backup_progress_fn *progress,
                  void *payload, struct backup_checked *out, struct error *err);

// ---- putting back

struct backup_restore {
    const char *folder;
    const struct backup_key *key;
    const char *name; // NULL: the newest
    const char *data; // the data folder: absent or empty. Where root makes it, it becomes the folder's owner's
    bool copy;        // beside the original, for a trial: nothing will ever be sent from it
    backup_progress_fn *progress;
    void *payload;
};

struct backup_restored {
    char name[BACKUP_NAME_SIZE];
    int64_t made_ns;
    char archive[17];
    uint64_t files, bytes, containers;
    uint64_t tables, rows; // of the database: each table has as many rows as when the backup was made
    uint64_t beside;       // files from elsewhere, below DATA/restored
    json_t *said;          // as it was given when the backup was made, or NULL; the caller's
};
// Each file is compared with its digest, the database is checked and its tables are counted. On failure the folder
// does not start. CONFLICT: something is in the folder.
bool backup_put_back(const struct backup_restore *restore, struct backup_restored *out, struct error *err);

#endif
