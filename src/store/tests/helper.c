#include "helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alarm.h"

// ---- the folder

static void copy_file(const char *from, const char *to)
{
    size_t size;
    void *bytes = load_file(from, &size);
    save_file(to, bytes, size);
    free(bytes);
}

void helper_copy_into(const char *from, const char *to)
{
    DIR *open = opendir(from);
    assert_non_null(open);
    for (struct dirent *entry; (entry = readdir(open));) {
        char source[2 * HELPER_PATH], target[2 * HELPER_PATH];
        snprintf(source, sizeof source, "%s/%.200s", from, entry->d_name);
        snprintf(target, sizeof target, "%s/%.200s", to, entry->d_name);
        if (entry->d_type == DT_REG)
            copy_file(source, target);
        else if (entry->d_name[0] != '.') {
            assert_int_equal(mkdir(target, 0700), 0);
            helper_copy_into(source, target);
        }
    }
    closedir(open);
}

void helper_copy(const char *from, char to[HELPER_PATH])
{
    folder_make(to, HELPER_PATH);
    helper_copy_into(from, to);
}

void helper_path(char out[HELPER_PATH], const char *folder, const char *part, uint64_t container, const char *ending)
{
    snprintf(out, HELPER_PATH, "%.200s/%s/%010llu%s", folder, part, (unsigned long long)container, ending);
}

size_t helper_count(const char *folder, const char *part, const char *ending)
{
    char path[HELPER_PATH];
    size_t count = 0;
    snprintf(path, sizeof path, "%.200s/%s", folder, part);
    DIR *open = opendir(path);
    assert_non_null(open);
    for (struct dirent *entry; (entry = readdir(open));) {
        const char *dot = strchr(entry->d_name, '.');
        count += dot && strcmp(dot, ending) == 0;
    }
    closedir(open);
    return count;
}

void helper_sql(const char *folder, const char *sql)
{
    char path[HELPER_PATH];
    sqlite3 *db;
    snprintf(path, sizeof path, "%.200s/hilum.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

void helper_lose_rows(const char *folder)
{
    helper_sql(folder,
               "DELETE FROM object; DELETE FROM container; DELETE FROM event; UPDATE store_state SET clean = 1");
}

// ---- the store

uint64_t helper_spare_bytes;

static const char *const schema[] = {
    "CREATE TABLE object(name TEXT PRIMARY KEY, container INTEGER NOT NULL, offset INTEGER NOT NULL,"
    " arrival INTEGER NOT NULL) STRICT",
    NULL,
};

struct store *helper_open(const char *folder, struct error *err)
{
    static const struct store_migration migration = {.room = "test", .steps = schema};
    struct store *store = store_open(&(struct store_options){.folder = folder, .spare_bytes = helper_spare_bytes}, err);
    if (store && !store_migrate(store, &migration, err)) {
        store_close(store);
        return NULL;
    }
    return store;
}

void helper_make(struct place *place)
{
    folder_make(place->folder, HELPER_PATH);
    place->store = helper_open(place->folder, &place->err);
    assert_non_null(place->store);
    assert_int_equal(helper_replay(place->store), 0);
}

void helper_remove(struct place *place)
{
    store_close(place->store);
    folder_delete(place->folder);
}

void helper_reopen(struct place *place, uint64_t *replayed)
{
    store_close(place->store);
    place->store = helper_open(place->folder, &place->err);
    if (!place->store)
        fail_msg("%s", place->err.message);
    *replayed = helper_replay(place->store);
}

// ---- objects

void helper_bytes(const char *name, uint8_t **data, size_t *size)
{
    unsigned long long seed = 0, count = 0;
    assert_int_equal(sscanf(name, "%llu-%llu", &seed, &count), 2);
    *size = (size_t)count;
    *data = malloc(*size + 1);
    assert_non_null(*data);
    uint64_t state = seed * 2862933555777941757u + 3037000493u;
    for (size_t i = 0; i < *size; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        (*data)[i] = (uint8_t)(state >> 56);
    }
}

static bool insert_object(struct database *db, void *payload, struct error *err)
{
    const struct lane_object *object = payload;
    if (!sql_run(db, err, "INSERT INTO object(name, container, offset, arrival) VALUES (?, ?, ?, ?)", "tiii",
                 object->name, (int64_t)object->record.place.container, (int64_t)object->record.place.offset,
                 (int64_t)object->record.arrival) ||
        !store_event_add(db, STORE_EVENT_OBJECT_STORED, "", object->name, NULL, err))
        return false;
    return !object->fail || error_set(err, ERROR_CONFLICT, "rows refused on request");
}

static bool write_pieces(struct store_lane *lane, const uint8_t *data, size_t size, struct error *err)
{
    for (size_t at = 0; at < size;) {
        size_t step = size - at < 40000 ? size - at : 40000;
        if (!store_record_write(lane, data + at, step, err))
            return false;
        at += step;
    }
    return true;
}

bool helper_put(struct store *store, struct store_lane *lane, const char *name, bool fail_rows, struct error *err)
{
    struct lane_object object = {.name = name, .fail = fail_rows};
    struct error withdrawn;
    uint8_t *data;
    size_t size;
    if (!store_record_begin(lane, err))
        return false;
    helper_bytes(name, &data, &size);
    bool ok = write_pieces(lane, data, size, err);
    free(data);
    if (!ok) {
        store_record_drop(lane);
        return false;
    }
    if (!store_record_seal(lane, name, strlen(name), &object.record, err))
        return false;
    if (store_write(store, STORE_REPLAYABLE, insert_object, &object, err))
        return true;
    store_record_withdraw(store, &object.record, &withdrawn);
    return false;
}

static struct database *reader(struct store *store)
{
    struct error err;
    struct database *db = store_read_begin(store, &err);
    assert_non_null(db);
    return db;
}

bool helper_has(struct store *store, const char *name, struct store_place *out)
{
    struct error err;
    struct database *db = reader(store);
    bool row;
    struct sql *sql = sql_prepare(db, "SELECT container, offset FROM object WHERE name = ?", &err);
    assert_non_null(sql);
    sql_bind_text(sql, 1, name);
    assert_true(sql_step(sql, &row, &err));
    if (row && out)
        *out = (struct store_place){(uint64_t)sql_int(sql, 0), (uint64_t)sql_int(sql, 1)};
    sql_done(sql);
    store_read_end(store, db);
    return row;
}

struct store_lane *helper_lane(struct place *place)
{
    struct store_lane *lane = store_lane_open(place->store, &place->err);
    assert_non_null(lane);
    return lane;
}

void helper_store(struct place *place, struct store_lane *lane, const char *name)
{
    if (!helper_put(place->store, lane, name, false, &place->err))
        fail_msg("%s: %s", name, place->err.message);
}

void helper_check(struct store *store, const char *name)
{
    struct store_place place;
    struct buffer bytes;
    struct error err;
    uint8_t *data;
    size_t size;
    if (!helper_has(store, name, &place))
        fail_msg("object %s has no row", name);
    helper_bytes(name, &data, &size);
    buffer_init(&bytes, size);
    if (!store_read(store, &place, &bytes, &err))
        fail_msg("object %s: %s", name, err.message);
    assert_int_equal(bytes.size, size);
    assert_true(size == 0 || memcmp(bytes.data, data, size) == 0);
    buffer_free(&bytes);
    free(data);
}

int64_t helper_objects(struct store *store)
{
    struct error err;
    struct database *db = reader(store);
    int64_t count = -1;
    bool found;
    assert_true(sql_get_int(db, &err, &count, &found, "SELECT count(*) FROM object", ""));
    store_read_end(store, db);
    return count;
}

// ---- replay

static bool known(void *payload, const struct store_place *place, bool *out, struct error *err)
{
    struct store *store = payload;
    int64_t one;
    struct database *db = store_read_begin(store, err);
    bool ok = db && sql_get_int(db, err, &one, out, "SELECT 1 FROM object WHERE container = ? AND offset = ?", "ii",
                                (int64_t)place->container, (int64_t)place->offset);
    store_read_end(store, db);
    return ok;
}

static bool names(void *payload, uint64_t container, bool *out, struct error *err)
{
    int64_t one;
    struct database *db = store_read_begin(payload, err);
    bool ok = db && sql_get_int(db, err, &one, out, "SELECT 1 FROM object WHERE container = ? LIMIT 1", "i",
                                (int64_t)container);
    store_read_end(payload, db);
    return ok;
}

static bool take(void *payload, const struct store_record *record, const char *meta, size_t meta_size,
                 struct error *err)
{
    struct lane_object object = {.name = meta, .record = *record};
    assert_int_equal(strlen(meta), meta_size);
    return store_write(payload, STORE_REPLAYABLE, insert_object, &object, err);
}

bool helper_replay_as(struct store *store, bool all, struct store_replayed *out, struct error *err)
{
    struct store_replay replay = {.names = names, .known = known, .record = take, .payload = store};
    return store_replay(store, &replay, all, out, err);
}

bool helper_try_replay(struct store *store, uint64_t *count, struct error *err)
{
    struct store_replayed replayed = {0};
    bool ok = helper_replay_as(store, false, &replayed, err);
    *count = replayed.records;
    return ok;
}

uint64_t helper_replay(struct store *store)
{
    struct error err;
    uint64_t count = 0;
    if (!helper_try_replay(store, &count, &err))
        fail_msg("%s", err.message);
    return count;
}

// ---- children

static void run_child(const char *what, const char *folder, const char *fault, int out, int in)
{
    dup2(out, STDOUT_FILENO);
    dup2(in, STDIN_FILENO);
    if (fault)
        setenv("HILUM_FAULT", fault, 1);
    execl("/proc/self/exe", "test_store", "child", what, folder, (char *)NULL);
    _exit(127);
}

pid_t helper_child(const char *what, const char *folder, const char *fault, int *out, int *in)
{
    int from[2], to[2];
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        run_child(what, folder, fault, from[1], to[0]);
    close(from[1]);
    close(to[0]);
    *out = from[0];
    *in = to[1];
    return pid;
}

// ---- alarms

int helper_forget_alarms(void **state)
{
    (void)state;
    for (int kind = 0; kind < ALARM_KIND_COUNT; kind++)
        alarm_clear((enum alarm_kind)kind, NULL);
    return 0;
}

size_t helper_alarms(void)
{
    static struct alarm all[ALARMS_MAX];
    uint64_t unlisted;
    return alarm_list(all, &unlisted);
}

// ---- failures

_Atomic int helper_fail_lane_syncs;
_Atomic int helper_fail_folder_syncs;
_Atomic int helper_fail_tombstone_syncs;
_Atomic int helper_fail_wal_syncs;
_Atomic int helper_fail_disk_syncs;
_Atomic int helper_pack_syncs;
_Atomic int64_t helper_clock_offset_s;
void (*helper_before_open)(const char *path);

static bool is_of(int fd, const char *part)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    path[size > 0 ? size : 0] = '\0';
    return strstr(path, part) != NULL;
}

static bool fails(_Atomic int *count, int fd, const char *part)
{
    if (atomic_load(count) <= 0 || !is_of(fd, part))
        return false;
    atomic_fetch_sub(count, 1);
    return true;
}

// In front of the C library's.
int fsync(int fd)
{
    if (fails(&helper_fail_folder_syncs, fd, "/lanes") && !is_of(fd, "/lanes/")) {
        errno = EIO;
        return -1;
    }
    if (is_of(fd, "/packs/"))
        atomic_fetch_add(&helper_pack_syncs, 1);
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    if (fails(&helper_fail_lane_syncs, fd, "/lanes/") || fails(&helper_fail_tombstone_syncs, fd, "/tombstones") ||
        fails(&helper_fail_wal_syncs, fd, "/hilum.db-wal")) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
    if (fails(&helper_fail_disk_syncs, fd, "/")) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_syncfs, fd);
}

int openat(int fd, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (helper_before_open)
        helper_before_open(path);
    return (int)syscall(SYS_openat, fd, path, flags, mode);
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int code = (int)syscall(SYS_clock_gettime, id, out);
    if (id == CLOCK_REALTIME)
        out->tv_sec += (time_t)atomic_load(&helper_clock_offset_s);
    return code;
}

void helper_limit_files(uint64_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}
