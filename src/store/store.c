// The folder: opening, the lock, the counters, closing.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "store/pack.h"

enum { LIST_MAX = 64 << 20 };

static const char *const schema[] = {
    "CREATE TABLE store_state(one INTEGER PRIMARY KEY CHECK (one = 1), id BLOB NOT NULL, epoch INTEGER NOT NULL,"
    " event_last INTEGER NOT NULL, clean INTEGER NOT NULL) STRICT;"
    "CREATE TABLE container(number INTEGER PRIMARY KEY, packed INTEGER NOT NULL, arrival_last INTEGER NOT NULL) STRICT;"
    "CREATE TABLE event(number INTEGER PRIMARY KEY, kind TEXT NOT NULL, time_ns INTEGER NOT NULL, study TEXT NOT NULL,"
    " subject TEXT NOT NULL, detail TEXT NOT NULL) STRICT;"
    "CREATE TABLE cursor(consumer TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;",
    // What an earlier program wrote last and nobody has followed yet.
    "UPDATE event SET kind='result.changed' WHERE kind='finding.made';",
    "UPDATE event SET detail=substr(detail, 1, length(detail)-1) || ',\"image\":1}' WHERE kind='object.stored'"
    " AND detail LIKE '{%}' AND detail NOT LIKE '%\"image\"%';",
    // What the anchor had come to, and whether a rebuild was done (enum rebuild_state).
    "ALTER TABLE store_state ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE store_state ADD COLUMN rebuild INTEGER NOT NULL DEFAULT 0;",
    // When a rebuild was done.
    "ALTER TABLE store_state ADD COLUMN rebuilt_ns INTEGER NOT NULL DEFAULT 0;",
    // How many objects it could not bring back.
    "ALTER TABLE store_state ADD COLUMN rebuild_lost INTEGER NOT NULL DEFAULT 0;",
    // When the backup was made that it was put back from, until a start has told of it; whether beside its original.
    "ALTER TABLE store_state ADD COLUMN restored_ns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE store_state ADD COLUMN copied INTEGER NOT NULL DEFAULT 0;",
    NULL,
};

// A store that is being opened.
struct opening {
    struct store *store;
    struct identity identity;
    struct state state;
    bool rebuild;
};

// ---- names

void store_lane_name(char out[STORE_NAME_SIZE], uint64_t container)
{
    snprintf(out, STORE_NAME_SIZE, "%010llu.lane", (unsigned long long)container);
}

void store_pack_name(char out[STORE_NAME_SIZE], uint64_t container)
{
    snprintf(out, STORE_NAME_SIZE, "%010llu.pack", (unsigned long long)container);
}

bool store_name_number(const char *name, const char *ending, uint64_t *out)
{
    const char *dot = strchr(name, '.');
    if (!dot || strcmp(dot, ending) != 0 || dot - name < 10 || name[0] == ' ')
        return false;
    // Rows hold numbers as signed 64-bit integers.
    return text_to_u64(name, (size_t)(dot - name), out) && *out > 0 && *out < INT64_MAX;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

struct number_list {
    uint64_t *items;
    size_t count, capacity;
};

static bool list_add(struct number_list *list, uint64_t number, struct error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        uint64_t *grown = capacity <= LIST_MAX ? realloc(list->items, capacity * sizeof *grown) : NULL;
        if (!grown)
            return error_set(err, ERROR_MEMORY, "no memory for a list of %zu files", list->count);
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = number;
    return true;
}

static bool list_folder(DIR *folder, const char *ending, struct number_list *list, struct error *err)
{
    uint64_t number;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (store_name_number(entry->d_name, ending, &number) && !list_add(list, number, err))
            return false;
    return true;
}

bool store_list_has(const uint64_t *numbers, size_t count, uint64_t number)
{
    return count > 0 && bsearch(&number, numbers, count, sizeof *numbers, compare_numbers) != NULL;
}

bool store_list(int folder_fd, const char *ending, uint64_t **out, size_t *count, struct error *err)
{
    struct number_list list = {0};
    int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (!folder)
        return error_errno(err, errno, "cannot list the containers");
    bool ok = list_folder(folder, ending, &list, err);
    closedir(folder);
    if (!ok) {
        free(list.items);
        return false;
    }
    if (list.count > 0)
        qsort(list.items, list.count, sizeof *list.items, compare_numbers);
    *out = list.items;
    *count = list.count;
    return true;
}

// ---- opening

static bool lock_one(const struct store *store, int fd, struct error *err)
{
    char pid[24] = "";
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno != EWOULDBLOCK)
        return error_errno(err, errno, "cannot lock %s", store->folder);
    ssize_t got = pread(store->lock_fd, pid, sizeof pid - 1, 0);
    pid[got > 0 ? got : 0] = '\0';
    if (got <= 0)
        return error_set(err, ERROR_CONFLICT,
                         "%s is in use by another process, whose number went with the file lock: stop it, or choose "
                         "another data folder",
                         store->folder);
    return error_set(err, ERROR_CONFLICT, "%s is in use by process %lld: stop it, or choose another data folder",
                     store->folder, strtoll(pid, NULL, 10));
}

// The folder itself, for the file may be taken for a stale one and be removed; and the file, which is all that an
// earlier program looks at.
static bool lock_folder(struct store *store, struct error *err)
{
    char pid[24];
    store->lock_fd = openat(store->folder_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return error_errno(err, errno, "cannot open %s/lock", store->folder);
    if (!lock_one(store, store->folder_fd, err) || !lock_one(store, store->lock_fd, err))
        return false;
    int size = snprintf(pid, sizeof pid, "%lld\n", (long long)getpid());
    if (ftruncate(store->lock_fd, 0) != 0)
        return error_errno(err, errno, "cannot write %s/lock", store->folder);
    // The number is only to show: a full disk does not keep the store from being read.
    struct error ignored;
    file_pwrite(store->lock_fd, pid, (size_t)size, 0, &ignored);
    return true;
}

static bool open_folders(struct store *store, struct error *err)
{
    static const char *const parts[] = {"lanes", "packs", "quarantine"};
    char path[STORE_FOLDER_MAX + 32];
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", store->folder, parts[i]);
        if (!file_make_folders(path, 0700, err))
            return false;
    }
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    store->folder_fd = open(store->folder, flags);
    if (store->folder_fd < 0)
        return error_errno(err, errno, "cannot open %s", store->folder);
    store->lanes_fd = openat(store->folder_fd, "lanes", flags);
    store->packs_fd = openat(store->folder_fd, "packs", flags);
    if (store->lanes_fd < 0 || store->packs_fd < 0)
        return error_errno(err, errno, "cannot open the folders in %s", store->folder);
    return true;
}

static bool refuse_two_file_systems(const struct store *store, int code, struct error *err)
{
    enum { SHOWN = 80 };
    char lanes[STORE_FOLDER_MAX + 32], packs[STORE_FOLDER_MAX + 32], paths[2][PATH_MAX];
    snprintf(lanes, sizeof lanes, "%s/lanes", store->folder);
    snprintf(packs, sizeof packs, "%s/packs", store->folder);
    return error_set(err, ERROR_CONFLICT,
                     "no file in %.*s can have a second name in %.*s (%s): both must be on one file system, which has "
                     "hard links",
                     SHOWN, realpath(lanes, paths[0]) ? paths[0] : lanes, SHOWN,
                     realpath(packs, paths[1]) ? paths[1] : packs, strerror(code));
}

static bool is_forbidden(int code)
{
    return code == EACCES || code == EPERM || code == EROFS;
}

static bool refuse_folder(const struct store *store, const char *part, int code, struct error *err)
{
    return error_set(err, ERROR_FORBIDDEN,
                     "no file can be made in %.90s/%s (%s): it must belong to the user that runs the server, uid %u, "
                     "who may write there",
                     store->folder, part, strerror(code), (unsigned)geteuid());
}

// Could a lane become a pack? By trying it, for two mounts of one file system have one device. A full disk is no
// answer.
static bool check_link(const struct store *store, struct error *err)
{
    static const char name[] = "link-trial", second[] = "link-trial-2";
    unlinkat(store->lanes_fd, name, 0); // of a start that was killed
    unlinkat(store->packs_fd, name, 0);
    unlinkat(store->packs_fd, second, 0);
    int fd = openat(store->lanes_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return !is_forbidden(errno) || refuse_folder(store, "lanes", errno, err);
    close(fd);
    int code = linkat(store->lanes_fd, name, store->packs_fd, name, 0) == 0 ? 0 : errno;
    int other = openat(store->packs_fd, second, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool forbidden = other < 0 && is_forbidden(errno);
    if (other >= 0)
        close(other);
    unlinkat(store->lanes_fd, name, 0);
    unlinkat(store->packs_fd, name, 0);
    unlinkat(store->packs_fd, second, 0);
    if (forbidden)
        return refuse_folder(store, "packs", EACCES, err);
    bool never = code == EXDEV || code == EPERM || code == EOPNOTSUPP || code == ENOSYS;
    return !never || refuse_two_file_systems(store, code, err);
}

// A new database begins at an epoch that no earlier database of this folder had: the seconds since 1970.
static bool first_state(struct database *db, void *payload, struct error *err)
{
    const struct opening *opening = payload;
    const struct identity *identity = &opening->identity;
    uint8_t id[STORE_ID_SIZE];
    memcpy(id, identity->id, sizeof id);
    if (!identity->known && getrandom(id, sizeof id, 0) != sizeof id)
        return error_errno(err, errno, "no random numbers");
    return sql_run(db, err,
                   "INSERT INTO store_state(one, id, epoch, event_last, clean, rebuild)"
                   " VALUES (1, ?, ?, 0, 1, ?) ON CONFLICT (one) DO NOTHING",
                   "bii", (const void *)id, sizeof id, clock_now_ns() / CLOCK_SECOND,
                   (int64_t)(opening->rebuild ? REBUILD_RUNS : REBUILD_NONE));
}

static bool read_state(struct database *db, void *payload, struct error *err)
{
    struct opening *opening = payload;
    struct store *store = opening->store;
    size_t size = 0;
    bool row = false;
    struct sql *sql = sql_prepare(
        db,
        "SELECT id, epoch, event_last, clean, generation, rebuild, rebuilt_ns, rebuild_lost, restored_ns, copied,"
        " coalesce((SELECT max(number) FROM container), 0), coalesce((SELECT max(number) FROM event), 0)"
        " FROM store_state",
        err);
    if (!sql)
        return false;
    bool ok = sql_step(sql, &row, err);
    const void *id = ok && row ? sql_blob(sql, 0, &size) : NULL;
    if (ok && size != STORE_ID_SIZE)
        ok = error_set(err, ERROR_BAD_DATA, "the database has no store id: restore it, or run `hilum rebuild`");
    if (ok) {
        int64_t last = sql_int(sql, 2), listed = sql_int(sql, 11); // the first is set when events are dropped
        memcpy(store->id, id, STORE_ID_SIZE);
        opening->state = (struct state){.epoch = (uint64_t)sql_int(sql, 1),
                                        .event = (uint64_t)(listed > last ? listed : last),
                                        .container = (uint64_t)sql_int(sql, 10),
                                        .generation = (uint64_t)sql_int(sql, 4),
                                        .rebuilt_ns = sql_int(sql, 6),
                                        .rebuild_lost = (uint64_t)sql_int(sql, 7),
                                        .restored_ns = sql_int(sql, 8),
                                        .copied = sql_int(sql, 9) != 0};
        atomic_store(&store->board.epoch, opening->state.epoch);
        atomic_store(&store->board.last, opening->state.event);
        store->was_clean = sql_int(sql, 3) != 0;
        atomic_store(&store->rebuild, (enum rebuild_state)sql_int(sql, 5));
    }
    sql_done(sql);
    return ok;
}

struct stop_mark {
    bool clean;
    uint64_t generation; // of the anchor, which is synced
};

static bool set_clean(struct database *db, void *payload, struct error *err)
{
    const struct stop_mark *mark = payload;
    return sql_run(db, err, "UPDATE store_state SET clean = ?, generation = ?", "ii", (int64_t)mark->clean,
                   (int64_t)mark->generation);
}

static bool mark_stop(struct store *store, bool clean, struct error *err)
{
    struct stop_mark mark = {clean, store->anchor.last.generation};
    return store_write(store, STORE_DURABLE, set_clean, &mark, err);
}

static bool highest(int folder_fd, const char *ending, uint64_t *highest, struct error *err)
{
    uint64_t *list;
    size_t count;
    if (!store_list(folder_fd, ending, &list, &count, err))
        return false;
    if (count > 0 && list[count - 1] > *highest)
        *highest = list[count - 1];
    free(list);
    return true;
}

static void compare_containers(struct store *store, uint64_t last)
{
    uint64_t anchored = store->anchor.found.container;
    if (last < anchored)
        alarm_raise(ALARM_CONTAINER, "containers",
                    "the newest is %llu, and %llu was there: files with objects, and their rows, are gone",
                    (unsigned long long)last, (unsigned long long)anchored);
    atomic_store(&store->durable.container, last < anchored ? last : anchored);
    atomic_store(&store->next_container, (last < anchored ? anchored : last) + 1);
}

// [R2] Every row that names a container was committed after the container's own row, so no other room's rows need to be
// asked.
static bool read_counters(struct database *db, void *payload, struct error *err)
{
    struct store *store = payload;
    int64_t container = 0, arrival = 0;
    bool found;
    if (!sql_get_int(db, err, &container, &found, "SELECT max(number) FROM container", "") ||
        !sql_get_int(db, err, &arrival, &found, "SELECT max(arrival_last) FROM container", ""))
        return false;
    uint64_t last = (uint64_t)container;
    if (!highest(store->lanes_fd, ".lane", &last, err) || !highest(store->packs_fd, ".pack", &last, err))
        return false;
    if (tombstones_highest_container(store) > last)
        last = tombstones_highest_container(store);
    compare_containers(store, last);
    atomic_store(&store->next_arrival, (uint64_t)arrival + 1); // store_replay adds what lanes and unlisted packs hold
    atomic_store(&store->durable.arrival, store->anchor.found.arrival);
    return true;
}

// A database that says nothing of this folder is not written to.
static bool check_before(struct opening *opening, struct error *err)
{
    struct store *store = opening->store;
    return opening->rebuild || (identity_check(store, store->writes.db, &opening->identity, err) &&
                                identity_check_anchor(store, &opening->identity, err));
}

static bool check_rebuild(struct opening *opening, struct error *err)
{
    if (opening->rebuild || atomic_load(&opening->store->rebuild) != REBUILD_RUNS)
        return true;
    return error_set(err, ERROR_CONFLICT, "%.90s: a rebuild was not finished. Run `hilum rebuild --data DIR` again",
                     opening->store->folder);
}

static void tell_unconfirmed(const struct opening *opening)
{
    char time[CLOCK_RFC3339_SIZE], lost[96] = "";
    if (opening->state.rebuild_lost > 0)
        snprintf(lost, sizeof lost, ", and %llu objects could not be brought back (its output and log name them)",
                 (unsigned long long)opening->state.rebuild_lost);
    if (store_is_unconfirmed(opening->store))
        alarm_raise(ALARM_REBUILT, "hilum.db",
                    "rebuilt at %s%s: enter peers, rules, targets and labels of studies again (`hilum config apply "
                    "FILE`); once they are "
                    "there, stop the server and run `hilum rebuild --confirm`",
                    clock_rfc3339(time, opening->state.rebuilt_ns), lost);
}

// The anchor is there before the database says so, and both before the first lane is made.
static bool settle(struct opening *opening, struct error *err)
{
    struct store *store = opening->store;
    if (opening->rebuild)
        identity_forget_ahead(store);
    else if (!identity_compare(store, &opening->state, err))
        return false;
    tell_unconfirmed(opening);
    if (!file_sync_folder(store->folder, err) || !anchor_if_room(store, err) || !mark_stop(store, false, err) ||
        !file_sync_folder(store->folder, err)) // [S10]
        return false;
    atomic_store(&store->durable.epoch, opening->state.epoch);
    atomic_store(&store->durable.event, opening->state.event);
    return true;
}

static bool open_database(struct opening *opening, struct error *err)
{
    static const struct store_migration migration = {.room = "store", .steps = schema};
    struct store *store = opening->store;
    struct database *db = database_open(store->folder, true, err);
    if (!db)
        return false;
    write_queue_init(&store->writes, db);
    return check_before(opening, err) && store_migrate(store, &migration, err) &&
           store_write(store, STORE_DURABLE, first_state, opening, err) &&
           store_write(store, STORE_REPLAYABLE, read_state, opening, err) && check_rebuild(opening, err) &&
           store_write(store, STORE_REPLAYABLE, read_counters, store, err) && settle(opening, err);
}

static bool find_identity(struct opening *opening, bool replace, struct error *err)
{
    struct store *store = opening->store;
    if (!identity_find(store, &opening->identity, err))
        return false;
    if (!opening->rebuild)
        return identity_needs_database(store, &opening->identity, err);
    if (!rebuild_prepare(store, &opening->identity, replace, err))
        return false;
    if (opening->identity.anchor_is_foreign)
        anchor_forget(store);
    return true;
}

static struct store *store_new(const struct store_options *options, struct error *err)
{
    if (strlen(options->folder) > STORE_FOLDER_MAX) {
        error_set(err, ERROR_LIMIT, "the data folder's path is longer than %d: %.60s...", STORE_FOLDER_MAX,
                  options->folder);
        return NULL;
    }
    struct store *store = calloc(1, sizeof *store);
    if (!store) {
        error_set(err, ERROR_MEMORY, "no memory for the store");
        return NULL;
    }
    text_copy(store->folder, sizeof store->folder, options->folder);
    store->low_water_bytes = options->low_water_bytes;
    store->lock_fd = store->folder_fd = store->lanes_fd = store->packs_fd = store->tombstones.fd = -1;
    store->anchor.fd = -1;
    pthread_mutex_init(&store->anchor.lock, NULL);
    pthread_mutex_init(&store->quarantine_lock, NULL);
    pthread_mutex_init(&store->waiting.lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&store->waiting.came, &monotonic);
    pthread_condattr_destroy(&monotonic);
    event_board_init(&store->board);
    read_pool_init(&store->readers);
    descriptors_init(&store->descriptors);
    return store;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void store_free(struct store *store)
{
    check_stop(store);
    settle_close(store);
    spares_close(store);
    descriptors_close(&store->descriptors);
    read_pool_close(&store->readers);
    if (store->writes.db)
        write_queue_close(&store->writes);
    tombstones_close(store);
    anchor_close(store);
    pthread_mutex_destroy(&store->anchor.lock);
    event_board_close(&store->board);
    pthread_mutex_destroy(&store->quarantine_lock);
    pthread_mutex_destroy(&store->waiting.lock);
    pthread_cond_destroy(&store->waiting.came);
    close_fd(store->packs_fd);
    close_fd(store->lanes_fd);
    close_fd(store->lock_fd);
    close_fd(store->folder_fd); // last: it ends the lock
    free(store);
}

struct store *store_open(const struct store_options *options, struct error *err)
{
    struct store *store = store_new(options, err);
    if (!store)
        return NULL;
    struct opening opening = {.store = store, .rebuild = options->rebuild != STORE_REBUILD_NO};
    bool locked =
        open_folders(store, err) && lock_folder(store, err) && check_link(store, err) && spares_remove_old(store, err);
    if (locked)
        store_room_for_start(store);
    if (locked && anchor_open(store, err) && tombstones_open(store, err) && pairs_resolve(store, err) &&
        find_identity(&opening, options->rebuild == STORE_REBUILD_REPLACE, err) && open_database(&opening, err) &&
        spares_open(store, options->spare_bytes, err) && settle_open(store, err)) {
        store_keep_room_for_start(store);
        return store;
    }
    store_free(store);
    return NULL;
}

void store_close(struct store *store)
{
    struct error err;
    if (!store)
        return;
    check_stop(store);
    if (!pack_settle(store, &err))
        log_warning("store", "the last packs keep their names in lanes until the next start: %s", err.message);
    if (!mark_stop(store, true, &err) || !store_anchor(store, NULL, &err))
        log_warning("store", "the stop could not be marked as clean: %s", err.message);
    store_free(store);
}

void store_stop(struct store *store, const char *why)
{
    const char *none = NULL;
    if (atomic_compare_exchange_strong(&store->stopped, &none, why))
        log_error("store", "storing has stopped until a restart: %s", why);
}

void store_sync_failed(struct store *store, const struct error *err)
{
    if (err->code != ERROR_FULL)
        store_stop(store, "the disk failed to sync what was written: check it");
}

void store_note_durable(_Atomic uint64_t *bound, uint64_t value)
{
    uint64_t before = atomic_load(bound);
    while (before < value && !atomic_compare_exchange_weak(bound, &before, value))
        continue;
}

// ---- rebuild

bool store_is_unconfirmed(const struct store *store)
{
    return atomic_load(&store->rebuild) == REBUILD_WAITS;
}

struct rebuild {
    enum rebuild_state state;
    uint64_t lost;
};

static bool write_rebuild(struct database *db, void *payload, struct error *err)
{
    const struct rebuild *rebuild = payload;
    return sql_run(db, err, "UPDATE store_state SET rebuild = ?, rebuilt_ns = ?, rebuild_lost = ?", "iii",
                   (int64_t)rebuild->state, clock_now_ns(), (int64_t)rebuild->lost);
}

static bool set_rebuild(struct store *store, struct rebuild rebuild, struct error *err)
{
    if (!store_write(store, STORE_DURABLE, write_rebuild, &rebuild, err))
        return false;
    atomic_store(&store->rebuild, rebuild.state);
    return true;
}

bool store_rebuild_done(struct store *store, uint64_t lost, struct error *err)
{
    return set_rebuild(store, (struct rebuild){REBUILD_WAITS, lost}, err);
}

bool store_rebuild_confirm(struct store *store, struct error *err)
{
    if (!store_is_unconfirmed(store))
        return error_set(err, ERROR_CONFLICT, "%.90s: no rebuild waits for a confirmation", store->folder);
    if (!set_rebuild(store, (struct rebuild){REBUILD_NONE, 0}, err))
        return false;
    alarm_clear(ALARM_REBUILT, NULL);
    return true;
}

const char *store_stopped(const struct store *store)
{
    return atomic_load(&store->stopped);
}

const char *store_folder(const struct store *store)
{
    return store->folder;
}
