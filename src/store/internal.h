// What the files of this room share: the store itself, and the connection. No other room includes it.
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "store/anchor.h"
#include "store/database.h"
#include "store/event.h"
#include "store/store.h"

enum {
    STORE_DESCRIPTORS_KEPT = 64, // idle ones are closed past this
};

// ---- connections (sql.c)

enum {
    SQL_CACHE_SETS = 32, // with 4 ways: at most 128 statements are kept per connection
    SQL_CACHE_WAYS = 4,
    SQL_MADE_WAYS = 8, // and of those made at run time, whose texts a peer chooses, at most 8 that are short
    SQL_MADE_TEXT_MAX = 4 << 10,
    SQL_BUSY_MS = 5000,          // how long another process may hold the database
    SQL_BUSY_AT_STOP_MS = 200,   // the same once the server stops: there may be many writes to go
    SQL_WRITER_CACHE_KIB = 2048, // 16 readers and the writer stay within 18 MiB of page cache
    SQL_READER_CACHE_KIB = 1024,
};

struct sql {
    struct database *db;
    sqlite3_stmt *statement;
    uint64_t key;  // of a constant its address, of a made text its hash; 0 in an unused slot
    uint64_t used; // tick of the last use
    int bind_code; // the first failed bind, told by sql_step
    bool running;
    bool once;
};

struct database {
    sqlite3 *handle;
    struct sql cache[SQL_CACHE_SETS][SQL_CACHE_WAYS];
    struct sql made[SQL_MADE_WAYS];
    uint64_t tick;
    uint64_t event_next; // the writer's: number of the next event, inside a transaction
    int wal_pages;       // the writer's: pages in the WAL after the last commit
    bool full_sync;      // the writer's: PRAGMA synchronous is FULL
    bool sync_failed;    // the disk would not sync the WAL or the database
    bool failed;         // in this transaction: the file could not be had, read or written
    bool running_once;
    atomic_bool stopping;  // the writer's: store_event_wake was called
    int64_t busy_ms;       // the writer's: how long it waits for another process, or for readers
    int64_t busy_since_ns; // the writer's: begin of that wait
};

struct database *database_open(const char *folder, bool writer, struct error *err);
void database_close(struct database *db);
void database_reset(struct database *db); // statements left open by a defect
bool database_exec(struct database *db, const char *sql, struct error *err);
bool database_is_failed_sync(int code);
bool database_fail(struct database *db, int code, const char *doing, struct error *err); // false

// ---- the write queue (write.c) and the readers' pool (read.c)

struct write_call;

struct write_queue {
    pthread_mutex_t lock;
    struct write_call *first;
    struct write_call **last;
    bool led;          // a thread runs a group now
    int checkpoint_at; // pages of WAL
    struct database *db;
    int64_t failing_since_ns; // when the first of the writes began that failed for the database's sake; 0: none
    int64_t tried_ns;         // end of the last one, monotonic
    struct error failure;     // its reason
};

void write_queue_init(struct write_queue *queue, struct database *db);
void write_queue_close(struct write_queue *queue);

struct read_pool {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct database *idle[STORE_READERS_MAX];
    int idle_count;
    int out_count;
};

void read_pool_init(struct read_pool *pool);
void read_pool_close(struct read_pool *pool);

// ---- events (event.c)

struct event_board {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    _Atomic uint64_t last; // committed
    _Atomic uint64_t epoch;
    bool woken;
};

// event_detail.c: the JSON text of a detail, by its kind's members. LIMIT when it does not fit.
enum { EVENT_DETAIL_MAX = 4096 };
bool event_detail_write(enum store_event_kind kind, const struct store_event_detail *detail, char out[EVENT_DETAIL_MAX],
                        struct error *err);

void event_board_init(struct event_board *board);
void event_board_close(struct event_board *board);
void event_publish(struct store *store, uint64_t last);

// ---- tombstones (tombstone.c)

struct tombstones {
    pthread_mutex_t lock;
    int fd;
    uint64_t end;
    struct store_place *places; // sorted
    size_t count, capacity;
};

bool tombstones_open(struct store *store, struct error *err);
void tombstones_close(struct store *store);
bool tombstones_has(struct store *store, const struct store_place *place);
uint64_t tombstones_highest_container(struct store *store);
uint64_t tombstones_count(struct store *store);

// ---- descriptors (container.c)

struct descriptor {
    uint64_t container;
    uint64_t used;
    int fd;
    int holders;
};

struct descriptors {
    pthread_mutex_t lock;
    struct descriptor *items;
    size_t count, capacity;
    uint64_t tick;
};

void descriptors_init(struct descriptors *descriptors);
void descriptors_close(struct descriptors *descriptors);

// ---- spare files (spare.c)

enum { SPARES_MAX = 32 };

struct spare {
    uint64_t number, size;
    int fd;
};

struct spares {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool ready_to_close, runs;
    atomic_bool stopping;
    _Atomic int64_t used_ns; // the last record begun or sealed
    struct spare ready[SPARES_MAX];
    uint64_t count;
    uint64_t wanted, size; // how many, how long
    uint64_t bytes;        // what they follow from
    uint64_t bytes_max;    // of all
    uint64_t next_number;
    uint64_t burst_bytes, burst_longest; // seen since it was quiet
};

// What an earlier run left. Before the first write of a start: the disk may be full but for them [R1].
bool spares_remove_old(struct store *store, struct error *err);
bool spares_open(struct store *store, uint64_t bytes_max, struct error *err);
void spares_close(struct store *store);
void spares_touch(struct store *store);                    // an object comes in: this is no quiet time
void spares_note(struct store *store, uint64_t lane_size); // a lane is closed
// Gives a spare the lane's name. false: there is none.
bool spares_take(struct store *store, const char *lane, int *fd, uint64_t *size);
bool spares_any(struct store *store);
bool spares_give_back(struct store *store); // their room on the disk; true if there were any

// ---- the reserve (room.c)

bool store_space_left(const struct store *store, uint64_t *left); // on the file system; false: it does not say
// A file that holds what a start writes: given back before the first write [R1], made again when the store is open.
void store_room_for_start(struct store *store);
void store_keep_room_for_start(struct store *store);

// ---- packs whose names in lanes/ wait to go (settle.c)

enum { PACKS_WAITING_MAX = 16 };

struct waiting_packs {
    pthread_mutex_t lock;
    struct waiting_pack {
        uint64_t container, arrival_last;
    } items[PACKS_WAITING_MAX];
    size_t count;
    int64_t wait_ns, due_ns; // how long the first one waits; until when, monotonic
    pthread_cond_t came;
    pthread_t thread;
    bool runs, stopping;
};

// ---- identity (identity.c): docs/store-format.md, A1 to A7 and A10

// The folder's own, as anchor or newest container have it.
struct identity {
    uint8_t id[STORE_ID_SIZE];
    bool known;             // one of them has it
    bool used;              // an anchor, lanes or packs are there
    bool anchor_is_foreign; // no lane or pack has the anchor's id, and one has another: that one's counts
};

// What `store_state` says of a rebuild.
enum rebuild_state { REBUILD_NONE, REBUILD_RUNS, REBUILD_WAITS };

// What the database says at a start.
struct state {
    uint64_t epoch, event;
    uint64_t container;    // the highest that has a row
    uint64_t generation;   // of the anchor; 0: it knows of none
    int64_t rebuilt_ns;    // when its last rebuild was done, or confirmed
    uint64_t rebuild_lost; // how many objects it could not bring back
    int64_t restored_ns;   // when the backup was made that it was put back from, until it is told; 0: it was not
    bool copied;           // beside its original
};

bool identity_find(struct store *store, struct identity *out, struct error *err);
// Before a database is opened, which would make one: is one there where one must be [A1]?
bool identity_needs_database(const struct store *store, const struct identity *identity, struct error *err);
// Before anything is written into it: does it belong to this folder [A1, A2]?
bool identity_check(const struct store *store, struct database *db, const struct identity *identity, struct error *err);
// And the anchor, once the database does [A2]?
bool identity_check_anchor(const struct store *store, const struct identity *identity, struct error *err);
// The anchor does not tell any more how far the audit trail may go on.
void identity_forget_ahead(struct store *store);
// How far had it come? Raises alarms [A5, A6, A7, A7a, A7c], and sets what the anchor may say.
bool identity_compare(struct store *store, const struct state *state, struct error *err);
// A line of the audit trail is on the disk that says that the folder was put back from a backup: the next start need
// not.
void identity_restored_is_told(struct store *store);
// Puts the database of a folder that is to be rebuilt aside when it is lost or damaged, or `replace`; one in which a
// rebuild was going on stays. CONFLICT: it is sound.
bool rebuild_prepare(struct store *store, const struct identity *identity, bool replace, struct error *err);

// ---- the check in the background (check.c)

struct check {
    pthread_t thread;
    atomic_bool stopping;
    bool runs;
};

void check_stop(struct store *store);
bool check_database(struct database *db, struct error *err); // BAD_DATA: damaged

// ---- the store

struct store {
    char folder[STORE_FOLDER_MAX + 1];
    uint64_t low_water_bytes;
    int lock_fd, folder_fd, lanes_fd, packs_fd;
    uint8_t id[STORE_ID_SIZE];
    bool was_clean;                 // the last stop
    char older[ERROR_MESSAGE_SIZE]; // why the database is an older copy [A5, A7a to A7c]; "": it is none
    bool restored;                  // at this start, from a backup
    atomic_bool restored_untold;    // no line of the audit trail says so yet
    _Atomic(enum rebuild_state) rebuild;
    struct anchor anchor;
    struct {
        _Atomic uint64_t epoch, event, container, arrival;
    } durable; // what the anchor may say: lower bounds of what is on the disk for certain
    struct check check;
    _Atomic uint64_t next_container;
    _Atomic uint64_t next_arrival;
    _Atomic(const char *) stopped; // why nothing more is taken; NULL: it is
    struct write_queue writes;
    struct read_pool readers;
    struct event_board board;
    struct tombstones tombstones;
    struct descriptors descriptors;
    struct spares spares;
    struct waiting_packs waiting;
    pthread_mutex_t quarantine_lock;
};

// Nothing more is stored until a restart. `why` is a constant; the first one stays.
void store_stop(struct store *store, const char *why);
// A sync failed, as err says. The kernel calls the pages clean that it could not write, so a later sync proves nothing:
// storing stops, unless it was for want of space.
void store_sync_failed(struct store *store, const struct error *err);

// `value` was synced: the lower bound rises to it.
void store_note_durable(_Atomic uint64_t *bound, uint64_t value);

enum { STORE_NAME_SIZE = 32 };
void store_lane_name(char out[STORE_NAME_SIZE], uint64_t container); // "0000000001.lane"
void store_pack_name(char out[STORE_NAME_SIZE], uint64_t container);
// The number in "NNNNNNNNNN.lane" or ".pack"; false for any other name.
bool store_name_number(const char *name, const char *ending, uint64_t *out);

// Numbers of the files in an open folder, ascending. The caller frees *out.
bool store_list(int folder_fd, const char *ending, uint64_t **out, size_t *count, struct error *err);
bool store_list_has(const uint64_t *numbers, size_t count, uint64_t number); // `numbers` ascending; NULL for none

#endif
