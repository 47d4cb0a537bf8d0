// The store room: the data folder with its lock, lanes and packs (objects' bytes), the database, and the event log. It
// knows no DICOM: an object is bytes and a meta text. docs/store-format.md is the format and the protocol; the state
// names and row numbers in comments are that page's.
//
//   store.h     the folder: open, lanes, records, replay, reading bytes back (this file)
//   database.h  SQLite: write transactions (one committing connection, grouped), read connections, statements
//   event.h     the numbered log
//
// Threads: a store may be used by any thread. A lane belongs to one thread at a time.
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/reader.h"

struct store;
struct store_lane;

// STORE_REBUILD makes a new database where it is lost or damaged, and goes on with a rebuild that was not finished; a
// sound database is CONFLICT. STORE_REBUILD_REPLACE puts a sound one aside too.
enum store_rebuild { STORE_REBUILD_NO, STORE_REBUILD, STORE_REBUILD_REPLACE };

enum { STORE_FOLDER_MAX = 3800 }; // characters of the folder's path, so that names in it fit PATH_MAX

struct store_options {
    const char *folder;       // made when missing
    uint64_t low_water_bytes; // the reserve that store_can_take leaves free on the file system; reads go on
    uint64_t spare_bytes;     // at most this much zeros written ahead in quiet times, for faster syncs; 0: none
    enum store_rebuild rebuild;
};

// Opens the folder: lock (CONFLICT when another process holds it, with its pid), spare files given back, database,
// counters [R1, R2]. CONFLICT too when database and folder do not belong together [A1, A2, A4]; what else does not
// agree raises alarms (base/alarm.h). Nothing is replayed yet: rooms run their migrations first (store_migrate in
// database.h), then
// store_replay is called once.
struct store *store_open(const struct store_options *options, struct error *err);
void store_close(
    struct store *store); // ends the writer thread, checkpoints, unlocks; NULL is fine. All lanes must be closed.

const char *store_folder(const struct store *store);

// Why nothing more is stored until a restart, or NULL: a sync failed, or a refused object could not be put down. An
// alarm for an administrator.
const char *store_stopped(const struct store *store);

// Whether `bytes` more may be written below the folder: FULL, with the figures, when less than the low-water mark would
// be left on the file system, or when storing has stopped. Spare files are given back first. Lanes and the quarantine
// ask by themselves, with each piece; whoever else keeps bytes that come from outside (a body on its way) asks here.
// What a stop needs (rows, audit records, tombstones) does not: the reserve is for it. Any thread.
bool store_can_take(struct store *store, uint64_t bytes, struct error *err);

// Whether what comes can be stored, for those who tell of it: false when store_can_take refuses a byte, and while
// writes to the database fail (BUSY: another process holds it, FULL, IO), with since when and why. Who stores just
// tries. While they fail the database is tried again, once a second and without waiting for others, so it ends when the
// fault does. Any thread.
bool store_can_write(struct store *store, struct error *err);

// What is free on the folder's file system, and the low-water mark. false: the file system does not say.
struct store_space {
    uint64_t free_bytes, low_water_bytes;
};
bool store_space(const struct store *store, struct store_space *out);

// ---- identity (docs/store-format.md, "Identity" and "Rebuild")

// A line of the audit trail that is on the disk, and how many may follow it. No line is written that an anchor on the
// disk does not allow for: so a trail that goes on for more was written beside a newer anchor [A7b].
#define STORE_AHEAD_UNKNOWN UINT64_MAX
struct store_audit_head {
    uint64_t segment; // number of its file; 0: none
    uint64_t line;    // its number in the chain
    uint8_t value[HASH_SIZE];
    uint64_t ahead;     // lines; STORE_AHEAD_UNKNOWN: nobody knows how many
    uint64_t unwritten; // 1: records wait behind it that could not be written as lines; 0: none
};

// What the anchor said of the audit trail when the store was opened; and what that of a folder says now, which another
// process may have open (segment 0 when there is none).
void store_anchored_audit(const struct store *store, struct store_audit_head *out);
bool store_anchored_audit_of(const char *folder, struct store_audit_head *out, struct error *err);
// Puts down how far the folder has come: the audit trail's head, which must be synced [S8] (NULL: the one before), and
// what is on the disk for certain of the rest. On the disk itself when it returns [S9].
bool store_anchor(struct store *store, const struct store_audit_head *head, struct error *err);

// The database and its anchor are older copies of what this folder had, says somebody who knows of something newer
// [A7b]: an alarm, and the replay that comes raises the epoch [R6]. `why`, at most 90 characters, goes on from "it is
// an older copy: ".
void store_tell_older(struct store *store, const char *why);
// Why it is one, as store_open [A5, A7a, A7c] or store_tell_older has found; "": nothing says so.
const char *store_older(const struct store *store);
// The alarm of a database that was found older at an earlier start, and that nobody has said to know; and its end.
// While it stands nothing is told to anybody: what waits in an older copy may have been told, and taken back, since. It
// stands as long as the process where the folder is a copy beside its original (backup.h).
void store_alarm_older(const char *why);
void store_alarm_older_ends(void);
bool store_alarm_older_stands(void);

// The folder was put back from a backup (backup.h), and this is the first start since: what the database knows of who
// is logged in is of then.
bool store_is_restored(const struct store *store);

// The database was rebuilt from objects, and nobody has confirmed that what only the old one knew was entered again.
bool store_is_unconfirmed(const struct store *store);
// The end of a rebuild: from now on the store opens, unconfirmed, and with an alarm that says when it was rebuilt, and
// how many objects were `lost`: could not be read or understood.
bool store_rebuild_done(struct store *store, uint64_t lost, struct error *err);
bool store_rebuild_confirm(struct store *store, struct error *err); // CONFLICT when nothing waits for it

// Looks through the database and the packs' ends in the background, once; what is damaged raises an alarm [A12].
// store_close ends it.
bool store_check_start(struct store *store, struct error *err);

// Where an object's bytes are. `offset` is of the record header; the data follow it at STORE_RECORD_HEADER.
struct store_place {
    uint64_t container;
    uint64_t offset;
};

enum { STORE_FILE_HEADER = 64, STORE_RECORD_HEADER = 128, STORE_META_MAX = 16 << 10 };

// ---- writing

struct store_record {
    struct store_place place;
    uint64_t arrival;
    uint64_t size; // of the data
    uint8_t digest[HASH_SIZE];
};

// A new, empty lane. The file is made at the first record. NULL out of memory.
struct store_lane *store_lane_open(struct store *store, struct error *err);

// -> RECEIVING. FULL as store_can_take says.
bool store_record_begin(struct store_lane *lane, struct error *err);
// Appends data. A failure (FULL as store_can_take says, or the disk) leaves the lane usable: the record is dropped by
// store_record_drop.
bool store_record_write(struct store_lane *lane, const void *data, size_t size, struct error *err);
// Forgets the record begun; its bytes are cut or overwritten. The lane stays usable. Without a record begun it does
// nothing.
void store_record_drop(struct store_lane *lane);
// The digest of the data, which is whole now: after this only seal, quarantine or drop. Lets a caller find out that it
// has these bytes already before it pays for a sync.
void store_record_digest(struct store_lane *lane, uint8_t out[HASH_SIZE]);
// The data of the record begun, or, after its seal, of the record sealed last: valid until the next record is begun or
// the lane is closed. Holds nothing that must be released.
struct reader store_record_reader(const struct store_lane *lane);
// Copies the data of the record begun to the quarantine with the reason, and drops the record.
void store_record_quarantine(struct store_lane *lane, const char *reason);
// -> WRITTEN -> SYNCED: meta text, header, one fdatasync [S1], and on a new lane the folder's [S2]. On failure the
// record is void, and after a failed sync the lane too; unless it failed for want of space, storing stops.
bool store_record_seal(struct store_lane *lane, const void *meta, size_t meta_size, struct store_record *out,
                       struct error *err);
// -> WITHDRAWN [S3]. false: storing has stopped (see the page).
bool store_record_withdraw(struct store *store, const struct store_record *record, struct error *err);

// Index, sync, a name in packs/, sync, the row that lists it, sync, the lane's name away [R5]. An empty lane leaves no
// file. Frees the lane on failure too (the file stays a lane until the next start, which is an alarm). NULL is fine.
bool store_lane_close(struct store_lane *lane, struct error *err);

// The zeros written ahead for this lane are used up, and another lane would have some.
bool store_lane_is_used_up(const struct store_lane *lane);

// Size of the lane so far, to close long ones: a lane past this is better closed and another opened.
uint64_t store_lane_size(const struct store_lane *lane);

// ---- replay

// `known`: whether rows name that place. `record` is called for each valid record that has none, in arrival order, and
// writes its rows; `meta` ends with a NUL. false from either stops the start.
// `names`: whether rows name any place in that container. `progress` (NULL: nobody looks): how many of what is walked
// ("packs") or handed over ("objects") are done.
struct store_replay {
    bool (*names)(void *payload, uint64_t container, bool *out, struct error *err);
    bool (*known)(void *payload, const struct store_place *place, bool *out, struct error *err);
    bool (*record)(void *payload, const struct store_record *record, const char *meta, size_t meta_size,
                   struct error *err);
    void *payload;
    void (*progress)(void *payload, const char *what, uint64_t done, uint64_t total);
};

struct store_replayed {
    uint64_t records;    // handed over
    uint64_t unreadable; // of the packs that were walked: their index has them, and they are not whole any more
};

// [R3] to [R7]. To be called before the first lane is opened. `all` walks the packs too (rebuild). A pack that was
// walked and lacks records of its index raises an alarm.
bool store_replay(struct store *store, const struct store_replay *replay, bool all, struct store_replayed *out,
                  struct error *err);

// ---- reading

// An open read-only descriptor of the container, shared and counted: give it back with store_release. Valid while a
// lane is renamed. Up to 64 are kept open. A container that is not there is ERROR_IO and an alarm: rows name it [A13].
bool store_acquire(struct store *store, uint64_t container, int *fd, struct error *err);
// Exactly `size` bytes of a descriptor that store_acquire gave, at `offset` of the container. What rows name and the
// file does not have any more, or a disk does not give, is ERROR_IO and an alarm [A13].
bool store_pread(uint64_t container, int fd, void *out, size_t size, uint64_t offset, struct error *err);
void store_release(struct store *store, uint64_t container);

// The whole data of a record into `out` (appended), checked against its digest: DAMAGED and an alarm when they do not
// match [A13]. LIMIT when it does not fit.
bool store_read(struct store *store, const struct store_place *place, struct buffer *out, struct error *err);
// Bytes that somebody else has read are not those of the record: DAMAGED and an alarm [A13]. false.
bool store_mismatch(const struct store_place *place, struct error *err);
// Rows name another place for the object that was there: the alarm of these bytes is no more.
void store_mended(const struct store_place *place);

// ---- quarantine

// Keeps refused bytes for an administrator: DATA/quarantine/NNNNNNNNNN.dcm and .txt (the reason). The oldest go when
// there are more than 100 files or 256 MiB. Best effort: failures are logged, and nothing is kept that store_can_take
// refuses.
struct store_quarantine;
struct store_quarantine *store_quarantine_open(struct store *store);
void store_quarantine_write(struct store_quarantine *file, const void *data, size_t size); // stops at 64 MiB
void store_quarantine_close(struct store_quarantine *file, const char *reason);
bool store_quarantine_count(struct store *store, size_t *out, struct error *err); // how many files are kept
struct store_refused {
    uint64_t number, size;
    int64_t refused_ns; // when its file was written last
    const char *reason; // several lines, or "" where it could not be written
};
// All of them, newest first, in `arena`.
bool store_quarantine_list(struct store *store, struct arena *arena, struct store_refused **out, size_t *count,
                           struct error *err);
bool store_quarantine_remove(struct store *store, uint64_t number, struct error *err); // NOT_FOUND

#endif
