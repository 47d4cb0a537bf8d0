// A store in a folder of its own with one table of objects, as a room above would use it; and what can be made to fail.
#ifndef STORE_TESTS_HELPER_H
#define STORE_TESTS_HELPER_H

#include <sys/types.h>

#include "store/database.h"
#include "store/event.h"
#include "store/store.h"
#include "support/check.h"
#include "support/folder.h"

enum { HELPER_PATH = 256 };

struct place {
    char folder[HELPER_PATH];
    struct store *store;
    struct error err;
};

// ---- the folder and the store; all assert

void helper_make(struct place *place);                            // a folder and an open, replayed store
void helper_remove(struct place *place);                          // closes and deletes
struct store *helper_open(const char *folder, struct error *err); // with the table of objects, not replayed
uint64_t helper_replay(struct store *store);                      // how many were handed over
bool helper_replay_as(struct store *store, bool all, struct store_replayed *out, struct error *err);
bool helper_try_replay(struct store *store, uint64_t *count, struct error *err);
void helper_reopen(struct place *place, uint64_t *replayed); // close, open, replay
void helper_copy(const char *from, char to[HELPER_PATH]);    // all files as they are now, as a kill would leave them
void helper_copy_into(const char *from, const char *to);     // the same, into a folder that is there
void helper_path(char out[HELPER_PATH], const char *folder, const char *part, uint64_t container, const char *ending);
void helper_sql(const char *folder, const char *sql); // run on the database of a folder that nobody has open
void helper_lose_rows(const char *folder);            // all but the state's
size_t helper_count(const char *folder, const char *part, const char *ending); // files

// ---- objects: the name says what the bytes are ("SEED-SIZE")

struct lane_object {
    const char *name;
    struct store_record record;
    bool fail; // the rows are refused
};

void helper_bytes(const char *name, uint8_t **data, size_t *size); // the caller frees
// Bytes, seal, rows with an event. false as the store says; rows that fail are withdrawn.
bool helper_put(struct store *store, struct store_lane *lane, const char *name, bool fail_rows, struct error *err);
bool helper_has(struct store *store, const char *name, struct store_place *out);   // a row is there
struct store_lane *helper_lane(struct place *place);                               // a new one, or the test fails
void helper_store(struct place *place, struct store_lane *lane, const char *name); // helper_put, or the test fails
void helper_check(struct store *store, const char *name);                          // row and bytes are right
int64_t helper_objects(struct store *store);                                       // rows

// ---- a child of this program: `test_store child WHAT FOLDER`

// With HILUM_FAULT set unless NULL. Its output comes on *out.
pid_t helper_child(const char *what, const char *folder, const char *fault, int *out, int *in);
int helper_child_main(const char *what, const char *folder);

// ---- alarms (base/alarm.h)

int helper_forget_alarms(void **state); // cmocka's set-up or tear-down: none stands
size_t helper_alarms(void);             // how many stand

// ---- what fails on demand

extern uint64_t helper_spare_bytes;          // of stores opened from now on
extern _Atomic int helper_fail_lane_syncs;   // the next n fdatasync of a lane answer EIO
extern _Atomic int helper_fail_folder_syncs; // of lanes/
extern _Atomic int helper_fail_tombstone_syncs;
extern _Atomic int helper_fail_wal_syncs;
extern _Atomic int helper_fail_disk_syncs;    // syncfs, of any
extern _Atomic int helper_pack_syncs;         // fsync of files in packs/ so far
extern _Atomic int64_t helper_clock_offset_s; // of the wall clock

// Called before each openat, so that a test can change what is about to be read; NULL: nothing is.
extern void (*helper_before_open)(const char *path);

void helper_limit_files(uint64_t bytes); // RLIMIT_FSIZE, as a disk that fills up; 0: no limit

int test_database(void);
int test_events(void);
int test_lanes(void);
int test_replay(void);
int test_faults(void);
int test_threads(void);
int test_spares(void);
int test_identity(void);
int test_backup(void);

#endif
