// The database: SQLite in WAL. One connection commits, for one thread at a time: the first caller leads and takes what
// others wait with into its transaction. Every other connection only reads. Prepared statements only, in what SQLite
// and PostgreSQL have in common (tests/interop has the table of the rest). Rooms own their tables, in ROOM_sql.c.
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

struct store;
struct database; // a connection: inside a write function, or a reader's

// ---- migrations

// A room's schema: steps in order, each one or more statements of SQL; applied ones are counted in table
// migration(room, step). Steps are never edited, only added.
struct store_migration {
    const char *room;
    const char *const *steps; // NULL-ended
    const char *const *base;  // NULL, or what a new database begins with: where the first `base_steps` steps lead
    int64_t base_steps;
};
// At start, before store_replay, lowest room first. A database made by a newer program (more steps than known) is
// refused.
bool store_migrate(struct store *store, const struct store_migration *migration, struct error *err);

// ---- writing

enum store_durability {
    STORE_REPLAYABLE, // not synced: lanes bring it back
    STORE_DURABLE     // the WAL is synced before the call returns [S6]
};

// Runs `write` inside a transaction on the committing connection and returns after the commit. Calls of many threads
// are grouped into one transaction, each inside a savepoint: one that returns false is rolled back alone and its error
// handed to its caller. If the commit itself fails every caller of the group gets the error and all is rolled back.
// FULL for a full disk, BUSY when another process holds the database for more than 5 s; both heal without a restart.
// `write` must not call store_write, must not wait, and may be run again.
typedef bool store_write_fn(struct database *db, void *payload, struct error *err);
bool store_write(struct store *store, enum store_durability durability, store_write_fn *write, void *payload,
                 struct error *err);

// ---- reading

// A reading connection from a pool, with a snapshot as of its first statement; it waits when STORE_READERS_MAX are out,
// BUSY after 30 s. No network I/O while it is held. store_read_end takes NULL too.
enum { STORE_READERS_MAX = 16 };
struct database *store_read_begin(struct store *store, struct error *err);
void store_read_end(struct store *store, struct database *db);

// ---- statements

// Statements are kept prepared per connection, by the address of `sql`, so `sql` must be a constant. They are reset by
// sql_done, and must be.
struct sql; // a statement being run

struct sql *sql_prepare(struct database *db, const char *sql, struct error *err);
void sql_bind_int(struct sql *sql, int index, int64_t value); // index from 1
void sql_bind_real(struct sql *sql, int index, double value);
void sql_bind_text(struct sql *sql, int index, const char *value); // copied; NULL binds NULL
void sql_bind_blob(struct sql *sql, int index, const void *value, size_t size);
// true with *row: a row is there. false in *row: done. A second row with a unique key is DUPLICATE, any other
// constraint violation BAD_VALUE.
bool sql_step(struct sql *sql, bool *row, struct error *err);
int64_t sql_int(struct sql *sql, int column); // from 0
double sql_real(struct sql *sql, int column);
const char *sql_text(struct sql *sql, int column); // valid until the next step; NULL for NULL
const void *sql_blob(struct sql *sql, int column, size_t *size);
bool sql_is_null(struct sql *sql, int column);
void sql_done(struct sql *sql); // NULL is fine

// Prepares, binds by format ('i' int64_t, 'd' double, 't' text, 'b' const void * and size_t), runs to the end, and
// drops any rows.
bool sql_run(struct database *db, struct error *err, const char *sql, const char *format, ...);
// The same, for a query of one integer: *found false when there is no row.
bool sql_get_int(struct database *db, struct error *err, int64_t *out, bool *found, const char *sql, const char *format,
                 ...);

// A statement made at run time (a query with a variable WHERE). The last few of a connection are kept by their text,
// the long ones not: a peer chooses them. Values are bound, never written into it, so that there are few texts.
struct sql *sql_prepare_made(struct database *db, const char *sql, struct error *err);

int64_t sql_changes(struct database *db); // rows changed by the last statement
int64_t sql_last_rowid(struct database *db);

#endif
