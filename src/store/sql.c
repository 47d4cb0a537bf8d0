// One connection and its statements.
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/internal.h"

// ---- errors

static enum error_code code_of_constraint(int extended)
{
    switch (extended) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        return ERROR_DUPLICATE;
    default:
        return ERROR_BAD_VALUE;
    }
}

// SQLite tells a file that may not grow (EFBIG, EDQUOT) as an I/O error; to a sender it is a full disk.
static bool is_full(int code, int number)
{
    int primary = code & 0xFF;
    return primary == SQLITE_FULL || ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) &&
                                      (number == ENOSPC || number == EDQUOT || number == EFBIG));
}

static enum error_code code_of(int code, int number)
{
    if (is_full(code, number))
        return ERROR_FULL;
    switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERROR_BUSY;
    case SQLITE_CONSTRAINT:
        return code_of_constraint(code);
    case SQLITE_NOMEM:
        return ERROR_MEMORY;
    case SQLITE_TOOBIG:
        return ERROR_LIMIT;
    case SQLITE_INTERRUPT:
        return ERROR_CANCELLED;
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return ERROR_IO;
    default:
        return ERROR_INTERNAL;
    }
}

bool database_is_failed_sync(int code)
{
    return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
}

// [A3]
static bool is_damaged(const char *text, const char *doing, struct error *err)
{
    static const char advice[] = "Restore hilum.db from a backup, or stop the server and run `hilum rebuild`";
    alarm_raise(ALARM_DATABASE, "hilum.db", "%s. %s", text, advice);
    return error_set(err, ERROR_IO, "the database is damaged (%.60s: %s). %s", doing, text, advice);
}

bool database_fail(struct database *db, int code, const char *doing, struct error *err)
{
    // A failed COMMIT does not tell its errno; it is the last one then, as it is cleared before each call.
    int number = db->handle && sqlite3_system_errno(db->handle) ? sqlite3_system_errno(db->handle) : errno;
    db->sync_failed = db->sync_failed || database_is_failed_sync(code);
    const char *text = db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(code);
    enum error_code kind = code_of(code, number);
    db->failed = db->failed || kind == ERROR_FULL || kind == ERROR_BUSY || kind == ERROR_IO;
    if ((code & 0xFF) == SQLITE_CORRUPT || (code & 0xFF) == SQLITE_NOTADB)
        return is_damaged(text, doing, err);
    switch (kind) {
    case ERROR_FULL:
        return error_set(err, ERROR_FULL, "no space left for the database (%s): free space on its disk", doing);
    case ERROR_BUSY:
        return error_set(err, ERROR_BUSY, "another process holds the database (%s)", doing);
    default:
        return error_set(err, kind, "database (%s): %s", doing, text);
    }
}

// ---- the trace

// With HILUM_SQL_TRACE in the environment each text that SQLite is given is appended to the file of that name, for
// tests/interop: "prepare" or "exec", a unit separator, the text, a record separator. Compiled out without
// HILUM_FAULTS.
static void trace(const char *how, const char *text)
{
#ifdef HILUM_FAULTS
    const char *path = getenv("HILUM_SQL_TRACE");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    const char *parts[] = {how, "\x1f", text, "\x1e"};
    struct iovec io[4];
    for (int i = 0; i < 4; i++)
        io[i] = (struct iovec){(void *)(uintptr_t)parts[i], strlen(parts[i])};
    if (writev(fd, io, 4) < 0)
        log_warning("store", "the trace %s cannot be written", path);
    close(fd);
#else
    (void)how;
    (void)text;
#endif
}

// ---- opening

bool database_exec(struct database *db, const char *sql, struct error *err)
{
    trace("exec", sql);
    errno = 0;
    int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    if (code == SQLITE_OK)
        return true;
    char doing[64];
    snprintf(doing, sizeof doing, "%.60s", sql);
    return database_fail(db, code, doing, err);
}

static int count_wal_pages(void *payload, sqlite3 *handle, const char *name, int pages)
{
    (void)handle;
    (void)name;
    struct database *db = payload;
    db->wal_pages = pages;
    return SQLITE_OK;
}

// Another process, or a reader, holds the database: not 0 waits on.
static int wait_for_other(void *payload, int tries)
{
    struct database *db = payload;
    int64_t now_ns = clock_monotonic_ns();
    if (tries == 0)
        db->busy_since_ns = now_ns;
    int64_t most_ms = db->busy_ms;
    if (atomic_load(&db->stopping) && most_ms > SQL_BUSY_AT_STOP_MS)
        most_ms = SQL_BUSY_AT_STOP_MS;
    if (now_ns - db->busy_since_ns >= most_ms * CLOCK_MS)
        return 0;
    clock_sleep_ns((tries < 10 ? 2 : 25) * CLOCK_MS);
    return 1;
}

static bool configure(struct database *db, bool writer, struct error *err)
{
    char cache[64];
    snprintf(cache, sizeof cache, "PRAGMA cache_size=-%d", writer ? SQL_WRITER_CACHE_KIB : SQL_READER_CACHE_KIB);
    sqlite3_extended_result_codes(db->handle, 1);
    db->busy_ms = SQL_BUSY_MS;
    if (writer)
        sqlite3_busy_handler(db->handle, wait_for_other, db);
    else
        sqlite3_busy_timeout(db->handle, SQL_BUSY_MS);
    if (!database_exec(db, cache, err) ||
        !database_exec(db, "PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0", err))
        return false;
    if (!writer)
        return true;
    // The WAL is cut back to 16 MiB after a long reader has let it grow.
    if (!database_exec(db,
                       "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
                       "PRAGMA foreign_keys=ON; PRAGMA journal_size_limit=16777216",
                       err))
        return false;
    sqlite3_wal_hook(db->handle, count_wal_pages, db);
    return true;
}

struct database *database_open(const char *folder, bool writer, struct error *err)
{
    char path[STORE_FOLDER_MAX + 32];
    struct database *db = calloc(1, sizeof *db);
    if (!db) {
        error_set(err, ERROR_MEMORY, "no memory for a database connection");
        return NULL;
    }
    snprintf(path, sizeof path, "%s/hilum.db", folder);
    // One thread at a time has a connection, so SQLite's own mutex is not needed.
    int flags = writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    int code = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    bool ok = code == SQLITE_OK ? configure(db, writer, err) : database_fail(db, code, path, err);
    if (ok)
        return db;
    database_close(db);
    return NULL;
}

void database_close(struct database *db)
{
    if (!db)
        return;
    for (int set = 0; set < SQL_CACHE_SETS; set++)
        for (int way = 0; way < SQL_CACHE_WAYS; way++)
            sqlite3_finalize(db->cache[set][way].statement);
    for (int way = 0; way < SQL_MADE_WAYS; way++)
        sqlite3_finalize(db->made[way].statement);
    if (sqlite3_close(db->handle) != SQLITE_OK)
        log_error("store", "a statement was left open on a database connection");
    free(db);
}

static void reset(struct sql *sql)
{
    if (!sql->running)
        return;
    log_error("store", "statement not ended by sql_done: %.80s", sqlite3_sql(sql->statement));
    sql_done(sql);
}

void database_reset(struct database *db)
{
    for (int set = 0; set < SQL_CACHE_SETS; set++)
        for (int way = 0; way < SQL_CACHE_WAYS; way++)
            reset(&db->cache[set][way]);
    for (int way = 0; way < SQL_MADE_WAYS; way++)
        reset(&db->made[way]);
}

// ---- preparing

static struct sql *cache_set(struct database *db, uint64_t key)
{
    static_assert(SQL_CACHE_SETS == 32, "cache_set takes five bits");
    return db->cache[key * UINT64_C(0x9E3779B97F4A7C15) >> 59];
}

// The slot that holds the statement, or else the one to use for it: empty or the longest unused. NULL when all are
// running.
static struct sql *cache_slot(struct sql *set, int ways, uint64_t key)
{
    struct sql *oldest = NULL;
    for (int way = 0; way < ways; way++) {
        struct sql *slot = &set[way];
        if (slot->running)
            continue;
        if (slot->key == key)
            return slot;
        if (!oldest || slot->used < oldest->used)
            oldest = slot;
    }
    return oldest;
}

static bool prepare(struct database *db, const char *sql, unsigned flags, sqlite3_stmt **out, struct error *err)
{
    trace("prepare", sql);
    errno = 0;
    int code = sqlite3_prepare_v3(db->handle, sql, -1, flags, out, NULL);
    if (code == SQLITE_OK && *out)
        return true;
    char doing[80];
    snprintf(doing, sizeof doing, "%.76s", sql);
    return database_fail(db, code, doing, err);
}

// Its cache has no room: prepared for this once, and finalized by sql_done.
static struct sql *prepare_once(struct database *db, const char *text, struct error *err)
{
    struct sql *sql = calloc(1, sizeof *sql);
    if (!sql) {
        error_set(err, ERROR_MEMORY, "no memory for a statement");
        return NULL;
    }
    *sql = (struct sql){.db = db, .running = true, .once = true};
    if (prepare(db, text, 0, &sql->statement, err))
        return sql;
    free(sql);
    return NULL;
}

static struct sql *prepare_kept(struct database *db, struct sql *slot, uint64_t key, const char *text,
                                struct error *err)
{
    if (!slot)
        return prepare_once(db, text, err);
    // The text is compared too: an address that was not a constant's, or an equal hash, must not run another statement.
    if (slot->key != key || strcmp(sqlite3_sql(slot->statement), text) != 0) {
        sqlite3_finalize(slot->statement);
        *slot = (struct sql){.db = db};
        if (!prepare(db, text, SQLITE_PREPARE_PERSISTENT, &slot->statement, err))
            return NULL;
        slot->key = key;
    }
    slot->used = ++db->tick;
    slot->bind_code = SQLITE_OK;
    slot->running = true;
    return slot;
}

struct sql *sql_prepare(struct database *db, const char *sql, struct error *err)
{
    uint64_t key = (uint64_t)(uintptr_t)sql;
    return prepare_kept(db, cache_slot(cache_set(db, key), SQL_CACHE_WAYS, key), key, sql, err);
}

struct sql *sql_prepare_made(struct database *db, const char *text, struct error *err)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325); // FNV-1a
    for (const char *p = text; *p; p++)
        hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001B3);
    hash |= 1; // 0 is an unused slot
    bool kept = strlen(text) <= SQL_MADE_TEXT_MAX;
    return prepare_kept(db, kept ? cache_slot(db->made, SQL_MADE_WAYS, hash) : NULL, hash, text, err);
}

void sql_done(struct sql *sql)
{
    if (!sql)
        return;
    if (sql->once) {
        sqlite3_finalize(sql->statement);
        free(sql);
        return;
    }
    sqlite3_reset(sql->statement);
    sqlite3_clear_bindings(sql->statement); // large values are not kept
    sql->running = false;
}

// ---- values in

static void note_bind(struct sql *sql, int code)
{
    if (sql->bind_code == SQLITE_OK)
        sql->bind_code = code;
}

void sql_bind_int(struct sql *sql, int index, int64_t value)
{
    note_bind(sql, sqlite3_bind_int64(sql->statement, index, value));
}

void sql_bind_real(struct sql *sql, int index, double value)
{
    note_bind(sql, sqlite3_bind_double(sql->statement, index, value));
}

void sql_bind_text(struct sql *sql, int index, const char *value)
{
    note_bind(sql, sqlite3_bind_text(sql->statement, index, value, -1, SQLITE_TRANSIENT));
}

void sql_bind_blob(struct sql *sql, int index, const void *value, size_t size)
{
    note_bind(sql, sqlite3_bind_blob64(sql->statement, index, value, size, SQLITE_TRANSIENT));
}

// ---- running

bool sql_step(struct sql *sql, bool *row, struct error *err)
{
    errno = 0;
    int code = sql->bind_code == SQLITE_OK ? sqlite3_step(sql->statement) : sql->bind_code;
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        *row = code == SQLITE_ROW;
        return true;
    }
    char doing[64];
    snprintf(doing, sizeof doing, "%.60s", sqlite3_sql(sql->statement));
    return database_fail(sql->db, code, doing, err);
}

int64_t sql_int(struct sql *sql, int column)
{
    return sqlite3_column_int64(sql->statement, column);
}

double sql_real(struct sql *sql, int column)
{
    return sqlite3_column_double(sql->statement, column);
}

const char *sql_text(struct sql *sql, int column)
{
    return (const char *)sqlite3_column_text(sql->statement, column);
}

const void *sql_blob(struct sql *sql, int column, size_t *size)
{
    const void *data = sqlite3_column_blob(sql->statement, column);
    *size = (size_t)sqlite3_column_bytes(sql->statement, column);
    return data;
}

bool sql_is_null(struct sql *sql, int column)
{
    return sqlite3_column_type(sql->statement, column) == SQLITE_NULL;
}

int64_t sql_changes(struct database *db)
{
    return sqlite3_changes64(db->handle);
}

int64_t sql_last_rowid(struct database *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

// ---- the short forms

static void bind_all(struct sql *sql, const char *format, va_list *args)
{
    for (int index = 1; format && *format; format++, index++) {
        switch (*format) {
        case 'i':
            sql_bind_int(sql, index, va_arg(*args, int64_t));
            break;
        case 'd':
            sql_bind_real(sql, index, va_arg(*args, double));
            break;
        case 't':
            sql_bind_text(sql, index, va_arg(*args, const char *));
            break;
        case 'b': {
            const void *value = va_arg(*args, const void *);
            sql_bind_blob(sql, index, value, va_arg(*args, size_t));
            break;
        }
        default:
            assert(!"a letter of i, d, t, b");
        }
    }
}

bool sql_run(struct database *db, struct error *err, const char *text, const char *format, ...)
{
    va_list args;
    struct sql *sql = sql_prepare(db, text, err);
    if (!sql)
        return false;
    va_start(args, format);
    bind_all(sql, format, &args);
    va_end(args);
    bool row = true, ok = true;
    while (ok && row)
        ok = sql_step(sql, &row, err);
    sql_done(sql);
    return ok;
}

bool sql_get_int(struct database *db, struct error *err, int64_t *out, bool *found, const char *text,
                 const char *format, ...)
{
    va_list args;
    struct sql *sql = sql_prepare(db, text, err);
    if (!sql)
        return false;
    va_start(args, format);
    bind_all(sql, format, &args);
    va_end(args);
    bool row = false;
    bool ok = sql_step(sql, &row, err);
    if (ok) {
        *found = row;
        if (row)
            *out = sql_int(sql, 0);
    }
    sql_done(sql);
    return ok;
}
