// Making a backup while the store is open (backup.h has the order, and why).
#include "store/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "store/backup_count.h"
#include "store/backup_list.h"
#include "store/format.h"
#include "store/pack.h"

enum {
    CAPTURES_MAX = 100, // tries to find the anchor at rest
    CAPTURE_WAIT_MS = 20,
    COPY_PAGES = 4096, // of the database, between two looks at `stop`
    FILES_MAX = 100000,
    DAMAGED_TOLD = 100, // by name, in the list
};

static const char temporary[] = "backup.tmp"; // folder in the data folder, for the copy of the database

struct making {
    struct store *store;
    const struct backup_order *order;
    struct backup_made *made;
    struct vault vault;
    struct backup_list list, before; // before: of the newest backup there is, or empty
    json_t *files;                   // of the head; borrowed
    uint8_t anchor[ANCHOR_BYTES];
    uint64_t number;         // of the backup
    uint64_t container_last; // that the copied database knows
    const char *what;        // is being read
    uint64_t done, total;
};

// ---- progress

static void show(struct making *making, uint64_t more)
{
    making->done += more;
    if (making->order->progress)
        making->order->progress(making->order->payload, making->what,
                                making->done < making->total ? making->done : making->total, making->total);
}

static void tick(void *payload, uint64_t bytes)
{
    show(payload, bytes);
}

static void begin_part(struct making *making, const char *what, uint64_t total)
{
    making->what = what;
    making->done = 0;
    making->total = total;
}

static bool goes_on(const struct making *making, struct error *err)
{
    return !making->order->stop || !atomic_load(making->order->stop) ||
           error_set(err, ERROR_CANCELLED, "the backup was ended");
}

// ---- one file into the vault

static bool put(struct making *making, int fd, uint64_t size, uint8_t name[VAULT_NAME_SIZE], struct error *err)
{
    const struct vault_tick ticks = {tick, making};
    bool is_new;
    if (!vault_put(&making->vault, fd, size, &ticks, name, &is_new, err))
        return false;
    making->made->files++;
    making->made->bytes += size;
    making->made->new_files += is_new;
    making->made->new_bytes += is_new ? size : 0;
    return true;
}

// The first `size` bytes of an open file, and its row in the list.
static bool put_file(struct making *making, int fd, const char *path, uint64_t size, struct error *err)
{
    uint8_t name[VAULT_NAME_SIZE];
    char hex[2 * VAULT_NAME_SIZE + 1];
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_errno(err, errno, "cannot look at %s", path);
    if (!put(making, fd, size, name, err))
        return false;
    text_hex(hex, name, VAULT_NAME_SIZE);
    json_int_t written_ns = (json_int_t)status.st_mtim.tv_sec * CLOCK_SECOND + status.st_mtim.tv_nsec;
    json_t *row = json_pack("{s:s, s:I, s:I, s:s}", "path", path, "size", (json_int_t)size, "written_ns", written_ns,
                            "name", hex);
    return (row && json_array_append_new(making->files, row) == 0) ||
           error_set(err, ERROR_BAD_VALUE, "%.200s: its name is not UTF-8", path);
}

// ---- the anchor, and the other files as they are beside it

struct captured {
    char **paths; // below the data folder; owned
    uint64_t *sizes;
    size_t count;
};

static void captured_free(struct captured *captured)
{
    for (size_t i = 0; i < captured->count; i++)
        free(captured->paths[i]);
    free(captured->paths);
    free(captured->sizes);
    *captured = (struct captured){0};
}

// What a start makes anew, what is a copy, and what is taken in another way.
static bool is_left_out(const char *name)
{
    static const char *const names[] = {"lock",     "token",        "reserve",
                                        "hilum.db", "hilum.db-wal", "hilum.db-shm",
                                        "anchor",   "tombstones",   "first-administrator",
                                        NULL};
    size_t size = strlen(name);
    for (size_t i = 0; names[i]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return name[0] == '.' || text_starts(name, "hilum.db.lost-") || (size > 4 && strcmp(name + size - 4, ".tmp") == 0);
}

// The trail is taken to the end of a line.
static bool whole_lines(int fd, uint64_t *size, struct error *err)
{
    char bytes[4096];
    while (*size > 0) {
        size_t piece = *size < sizeof bytes ? (size_t)*size : sizeof bytes;
        if (!file_pread(fd, bytes, piece, *size - piece, err))
            return false;
        const char *end = memrchr(bytes, '\n', piece);
        *size -= end ? (uint64_t)(bytes + piece - (end + 1)) : piece;
        if (end)
            return true;
    }
    return true;
}

static bool captured_add(struct captured *captured, const char *path, uint64_t size, struct error *err)
{
    if (captured->count >= FILES_MAX)
        return error_set(err, ERROR_LIMIT, "the data folder holds more than %d files beside its objects", FILES_MAX);
    char **paths = realloc(captured->paths, (captured->count + 1) * sizeof *paths);
    if (paths)
        captured->paths = paths;
    uint64_t *sizes = realloc(captured->sizes, (captured->count + 1) * sizeof *sizes);
    if (sizes)
        captured->sizes = sizes;
    char *own = paths && sizes ? strdup(path) : NULL;
    if (!own)
        return error_set(err, ERROR_MEMORY, "no memory for a list of files");
    captured->paths[captured->count] = own;
    captured->sizes[captured->count++] = size;
    return true;
}

// What is no regular file is none of ours; what has gone meanwhile need not be in it.
static bool capture_file(const struct store *store, struct captured *captured, const char *path, struct error *err)
{
    struct stat status;
    int fd = openat(store->folder_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP || errno == ENXIO || error_errno(err, errno, "cannot open %s", path);
    bool ok = fstat(fd, &status) == 0 || error_errno(err, errno, "cannot look at %s", path);
    uint64_t size = ok ? (uint64_t)status.st_size : 0;
    if (ok && S_ISREG(status.st_mode))
        ok = (!text_starts(path, "audit-0") || whole_lines(fd, &size, err)) && captured_add(captured, path, size, err);
    close(fd);
    return ok;
}

static bool capture_folder(const struct store *store, const char *folder, struct captured *captured, struct error *err)
{
    char path[512];
    bool ok = true, top = strcmp(folder, ".") == 0;
    int fd = openat(store->folder_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
    if (!list)
        return error_errno(err, errno, "cannot list %s/%s", store->folder, folder);
    for (struct dirent *entry; ok && (entry = readdir(list));) {
        if (entry->d_name[0] == '.' || (top && is_left_out(entry->d_name)))
            continue;
        snprintf(path, sizeof path, "%s%s%s", top ? "" : folder, top ? "" : "/", entry->d_name);
        ok = capture_file(store, captured, path, err);
    }
    closedir(list);
    return ok;
}

static bool read_anchor(const struct store *store, uint8_t out[ANCHOR_BYTES], struct error *err)
{
    int fd = openat(store->folder_fd, "anchor", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_errno(err, errno, "cannot open %s/anchor", store->folder);
    bool ok = file_pread(fd, out, ANCHOR_BYTES, 0, err);
    close(fd);
    return ok;
}

// The anchor says how many lines of the audit trail may follow the one that it names: both are taken while it stays the
// same. It is written three times a second at most.
static bool capture(struct making *making, struct captured *captured, struct error *err)
{
    uint8_t after[ANCHOR_BYTES];
    for (int i = 0; i < CAPTURES_MAX; i++) {
        captured_free(captured);
        if (!read_anchor(making->store, making->anchor, err) || !capture_folder(making->store, ".", captured, err) ||
            !capture_folder(making->store, "quarantine", captured, err) || !read_anchor(making->store, after, err) ||
            !goes_on(making, err))
            return false;
        if (memcmp(after, making->anchor, sizeof after) == 0)
            return true;
        clock_sleep_ns(CAPTURE_WAIT_MS * CLOCK_MS);
    }
    return error_set(err, ERROR_BUSY, "the audit trail is written all the time: no moment was found to copy it");
}

// ---- the database

static bool count_table(struct database *db, const char *table, json_t *counts, struct error *err)
{
    char query[160];
    int64_t rows;
    bool found;
    snprintf(query, sizeof query, "SELECT count(*) FROM \"%.100s\"", table);
    struct sql *sql = sql_prepare_made(db, query, err);
    bool ok = sql && sql_step(sql, &found, err);
    rows = ok && found ? sql_int(sql, 0) : -1;
    sql_done(sql);
    return ok && (json_object_set_new(counts, table, json_integer(rows)) == 0 ||
                  error_set(err, ERROR_MEMORY, "no memory for the tables' names"));
}

// What can be compared with what is put back.
bool backup_count_tables(struct database *db, json_t **out, struct error *err)
{
    char names[256][64];
    size_t count = 0;
    bool row = true;
    struct sql *sql =
        sql_prepare(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name", err);
    bool ok = sql != NULL;
    while (ok && count < sizeof names / sizeof *names && (ok = sql_step(sql, &row, err)) && row)
        text_copy(names[count++], sizeof *names, sql_text(sql, 0));
    sql_done(sql);
    *out = json_object();
    for (size_t i = 0; ok && i < count; i++)
        ok = count_table(db, names[i], *out, err);
    if (!ok)
        json_decref(*out);
    return ok;
}

static bool copy_pages(struct making *making, sqlite3_backup *copy, struct error *err)
{
    int code;
    do {
        if (!goes_on(making, err))
            return false;
        code = sqlite3_backup_step(copy, COPY_PAGES);
        begin_part(making, "database", (uint64_t)sqlite3_backup_pagecount(copy));
        show(making, (uint64_t)(sqlite3_backup_pagecount(copy) - sqlite3_backup_remaining(copy)));
    } while (code == SQLITE_OK);
    return code == SQLITE_DONE || error_set(err, code == SQLITE_FULL ? ERROR_FULL : ERROR_IO,
                                            "the database cannot be copied: %s", sqlite3_errstr(code));
}

// The reader's transaction holds the snapshot, so writes of others do not begin the copy anew.
static bool copy_database(struct making *making, struct database *db, const char *path, struct error *err)
{
    sqlite3 *to = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, &to, flags, NULL);
    // A copy that a power cut damages is made again.
    if (code == SQLITE_OK)
        code = sqlite3_exec(to, "PRAGMA synchronous=OFF", NULL, NULL, NULL);
    sqlite3_backup *copy = code == SQLITE_OK ? sqlite3_backup_init(to, "main", db->handle, "main") : NULL;
    bool ok = copy ? copy_pages(making, copy, err)
                   : error_set(err, ERROR_IO, "no copy of the database can be begun: %s", sqlite3_errstr(code));
    if (copy)
        sqlite3_backup_finish(copy);
    sqlite3_close(to);
    return ok;
}

static bool read_snapshot(struct making *making, struct database *db, struct error *err)
{
    json_t *tables, *head = making->list.head;
    int64_t event = 0, epoch = 0, container = 0;
    bool found;
    if (!sql_get_int(db, err, &epoch, &found, "SELECT epoch FROM store_state", "") ||
        !sql_get_int(db, err, &event, &found, "SELECT max(number) FROM event", "") ||
        !sql_get_int(db, err, &container, &found, "SELECT max(number) FROM container", "") ||
        !backup_count_tables(db, &tables, err))
        return false;
    making->container_last = (uint64_t)container;
    return (json_object_set_new(head, "epoch", json_integer(epoch)) == 0 &&
            json_object_set_new(head, "event", json_integer(event)) == 0 &&
            json_object_set_new(head, "tables", tables) == 0) ||
           error_set(err, ERROR_MEMORY, "no memory for a backup's list");
}

static void remove_copy(const struct store *store)
{
    static const char *const names[] = {"hilum.db", "hilum.db-journal", "hilum.db-wal", "hilum.db-shm"};
    char path[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", temporary, names[i]);
        unlinkat(store->folder_fd, path, 0);
    }
    unlinkat(store->folder_fd, temporary, AT_REMOVEDIR);
}

static bool room_for_copy(struct store *store, struct error *err)
{
    struct stat status;
    uint64_t size = 0;
    static const char *const names[] = {"hilum.db", "hilum.db-wal"};
    for (size_t i = 0; i < 2; i++)
        if (fstatat(store->folder_fd, names[i], &status, 0) == 0)
            size += (uint64_t)status.st_size;
    return store_can_take(store, size, err) || error_prefix(err, "no room for a copy of the database");
}

static bool take_database(struct making *making, struct error *err)
{
    struct store *store = making->store;
    char path[STORE_FOLDER_MAX + 64];
    snprintf(path, sizeof path, "%s/%s/hilum.db", store->folder, temporary);
    remove_copy(store); // of a process that was killed
    if (!room_for_copy(store, err))
        return false;
    if (mkdirat(store->folder_fd, temporary, 0700) != 0)
        return error_errno(err, errno, "cannot make %s/%s", store->folder, temporary);
    struct database *db = store_read_begin(store, err);
    bool ok = db && read_snapshot(making, db, err) && copy_database(making, db, path, err);
    store_read_end(store, db);
    return ok;
}

// A damaged database is copied as it is, and that is told while an earlier backup has a sound one.
static bool look_through(struct making *making, const char *folder, struct error *err)
{
    json_t *damaged = json_object_get(making->list.head, "damaged");
    struct error why;
    struct database *db = database_open(folder, false, &why);
    bool sound = db && check_database(db, &why);
    database_close(db);
    if (sound)
        return true;
    making->made->damaged++;
    alarm_raise(ALARM_DATABASE, "hilum.db", "found by the backup: %.200s", why.message);
    return json_array_append_new(damaged, json_sprintf("hilum.db: %.200s", why.message)) == 0 ||
           error_set(err, ERROR_MEMORY, "no memory for a backup's list");
}

static bool put_database(struct making *making, struct error *err)
{
    char path[STORE_FOLDER_MAX + 64], folder[STORE_FOLDER_MAX + 32];
    uint64_t size;
    snprintf(path, sizeof path, "%s/%s/hilum.db", making->store->folder, temporary);
    snprintf(folder, sizeof folder, "%s/%s", making->store->folder, temporary);
    if (!look_through(making, folder, err))
        return false;
    int fd = file_open(path, &size, err);
    if (fd < 0)
        return false;
    begin_part(making, "database", size);
    bool ok = put_file(making, fd, "hilum.db", size, err);
    close(fd);
    return ok;
}

// ---- lanes and packs

static bool tell_damaged(struct making *making, uint64_t container, const char *why, struct error *err)
{
    char text[ERROR_MESSAGE_SIZE], subject[ALARM_SUBJECT_SIZE];
    json_t *damaged = json_object_get(making->list.head, "damaged");
    snprintf(subject, sizeof subject, "container %" PRIu64, container);
    snprintf(text, sizeof text, "%s: %.180s", subject, why);
    making->made->damaged++;
    alarm_raise(ALARM_CONTAINER, subject, "found by the backup: %.160s; restore it from an earlier one", why);
    return json_array_size(damaged) >= DAMAGED_TOLD || json_array_append_new(damaged, json_string(text)) == 0 ||
           error_set(err, ERROR_MEMORY, "no memory for a backup's list");
}

static bool check_data(struct making *making, int fd, const struct format_record *record, struct error *why)
{
    uint8_t digest[HASH_SIZE];
    uint64_t at = record->record.place.offset + STORE_RECORD_HEADER, left = record->record.size;
    hash_start(making->vault.hash);
    while (left > 0) {
        size_t size = left < VAULT_PIECE ? (size_t)left : VAULT_PIECE;
        if (!file_pread(fd, making->vault.plain, size, at, why))
            return false;
        hash_add(making->vault.hash, making->vault.plain, size);
        at += size;
        left -= size;
    }
    hash_end(making->vault.hash, digest);
    return memcmp(digest, record->record.digest, HASH_SIZE) == 0 ||
           error_set(why, ERROR_DAMAGED, "the data at offset %" PRIu64 " do not match their digest",
                     record->record.place.offset);
}

// Each record of a pack that is new to the backups, withdrawn ones aside: so that what the disk has lost is noticed
// while an earlier backup may have it.
static bool check_pack(struct making *making, uint64_t container, int fd, struct error *why)
{
    struct format_index index = {0};
    struct format_record record;
    bool ok = format_index_read(fd, &index, why);
    for (size_t i = 0; ok && i < index.count; i++) {
        const struct store_place place = {container, index.entries[i].offset};
        ok = tombstones_has(making->store, &place) ||
             (format_read_record(fd, &place, making->store->id, &record, why) && check_data(making, fd, &record, why));
    }
    format_index_free(&index);
    return ok;
}

// Zeros where the pack is not what it should be: then it is read.
static void mark(int fd, const struct stat *status, uint8_t out[BACKUP_MARK_SIZE])
{
    uint8_t headers[2 * STORE_RECORD_HEADER], digest[HASH_SIZE];
    struct format_index index = {0};
    struct error ignored;
    struct hash *hash = hash_new();
    bool ok = hash && format_index_read(fd, &index, &ignored) && index.count > 0 &&
              file_pread(fd, headers, STORE_RECORD_HEADER, index.entries[0].offset, &ignored) &&
              file_pread(fd, headers + STORE_RECORD_HEADER, STORE_RECORD_HEADER, index.entries[index.count - 1].offset,
                         &ignored);
    if (ok) {
        hash_start(hash);
        hash_add(hash, &status->st_mtim, sizeof status->st_mtim);
        hash_add(hash, index.entries, index.count * sizeof *index.entries);
        hash_add(hash, headers, sizeof headers);
        hash_end(hash, digest);
        memcpy(out, digest, BACKUP_MARK_SIZE);
    }
    format_index_free(&index);
    hash_free(hash);
}

static bool is_marked(const struct backup_row *row)
{
    static const uint8_t none[BACKUP_MARK_SIZE];
    return memcmp(row->mark, none, sizeof none) != 0;
}

// false in *there: it is neither a lane nor a pack any more.
static bool open_container(const struct store *store, uint64_t container, struct backup_row *row, int *fd, bool *there,
                           struct error *err)
{
    char name[STORE_NAME_SIZE];
    struct stat status;
    store_lane_name(name, container);
    *fd = openat(store->lanes_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *row = (struct backup_row){.container = container, .packed = *fd < 0};
    store_pack_name(name, container);
    if (*fd < 0 && errno == ENOENT)
        *fd = openat(store->packs_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    *there = *fd >= 0 || errno != ENOENT;
    if (*fd < 0)
        return !*there || error_errno(err, errno, "cannot open container %" PRIu64, container);
    if (fstat(*fd, &status) == 0) {
        row->size = (uint64_t)status.st_size;
        if (row->packed)
            mark(*fd, &status, row->mark);
        return true;
    }
    close(*fd);
    return error_errno(err, errno, "cannot look at container %" PRIu64, container);
}

// What lies on a disk for years rots: in turn each is looked at again, and what is bad is written again.
static bool is_sound(struct making *making, const struct backup_row *row)
{
    struct error why;
    if ((row->container + making->number) % BACKUP_LOOKS != 0 ||
        vault_get(&making->vault, row->name, row->size, -1, NULL, &why))
        return true;
    making->made->healed++;
    log_warning("backup", "container %" PRIu64 " in %s had rotted (%s), and is written again", row->container,
                making->order->folder, why.message);
    return false;
}

static bool is_known(struct making *making, struct backup_row *row)
{
    const struct backup_row *before = row->packed ? backup_list_find(&making->before, row->container) : NULL;
    if (!before || !before->packed || before->size != row->size || !is_marked(row) ||
        memcmp(before->mark, row->mark, sizeof row->mark) != 0 || !vault_has(&making->vault, before->name, row->size) ||
        !is_sound(making, before))
        return false;
    memcpy(row->name, before->name, sizeof row->name);
    making->made->files++;
    making->made->bytes += row->size;
    return true;
}

static bool take_container(struct making *making, uint64_t container, struct error *err)
{
    struct backup_row row;
    struct error why;
    bool there;
    int fd;
    if (!goes_on(making, err) || !open_container(making->store, container, &row, &fd, &there, err))
        return false;
    if (!there) // an empty lane that has gone; what rows name and is not there, missing_find tells at each start
        return true;
    bool known = is_known(making, &row), ok = true;
    if (!known && row.packed && !check_pack(making, container, fd, &why))
        ok = tell_damaged(making, container, why.message, err);
    ok = ok && (known || put(making, fd, row.size, row.name, err)) && backup_list_add(&making->list, &row, err);
    if (known)
        show(making, row.size);
    close(fd);
    return ok;
}

// Those of both folders, ascending and each once, that the copied database knows.
static bool list_containers(const struct making *making, uint64_t **out, size_t *count, struct error *err)
{
    uint64_t *lanes, *packs = NULL, *all = NULL;
    size_t lane_count, pack_count = 0, l = 0, p = 0;
    if (!store_list(making->store->lanes_fd, ".lane", &lanes, &lane_count, err))
        return false;
    bool ok = store_list(making->store->packs_fd, ".pack", &packs, &pack_count, err) &&
              ((all = calloc(lane_count + pack_count + 1, sizeof *all)) != NULL ||
               error_set(err, ERROR_MEMORY, "no memory for the numbers of %zu containers", lane_count + pack_count));
    *count = 0;
    while (ok && (l < lane_count || p < pack_count)) {
        bool lane = p == pack_count || (l < lane_count && lanes[l] <= packs[p]);
        uint64_t next = lane ? lanes[l++] : packs[p++];
        if (next <= making->container_last && (*count == 0 || all[*count - 1] != next))
            all[(*count)++] = next;
    }
    free(lanes);
    free(packs);
    *out = all;
    return ok;
}

static uint64_t size_of_all(const struct store *store, const uint64_t *numbers, size_t count)
{
    char name[STORE_NAME_SIZE];
    struct stat status;
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) {
        store_pack_name(name, numbers[i]);
        bool there = fstatat(store->packs_fd, name, &status, 0) == 0;
        store_lane_name(name, numbers[i]);
        if (there || fstatat(store->lanes_fd, name, &status, 0) == 0)
            size += (uint64_t)status.st_size;
    }
    return size;
}

// A pack that the database lists and that is in neither folder.
static bool tell_missing(struct making *making, const uint64_t *numbers, size_t count, struct error *err)
{
    uint64_t *listed;
    size_t listed_count;
    bool ok = pack_listed(making->store, &listed, &listed_count, err);
    for (size_t i = 0; ok && i < listed_count; i++)
        if (listed[i] <= making->container_last && !store_list_has(numbers, count, listed[i]))
            ok = tell_damaged(making, listed[i], "it is not there", err);
    free(listed);
    return ok;
}

static bool take_containers(struct making *making, struct error *err)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    bool ok = list_containers(making, &numbers, &count, err) && tell_missing(making, numbers, count, err);
    if (ok)
        begin_part(making, "objects", size_of_all(making->store, numbers, count));
    for (size_t i = 0; ok && i < count; i++)
        ok = take_container(making, numbers[i], err);
    free(numbers);
    return ok;
}

// ---- the other files

static bool take_captured(struct making *making, const struct captured *captured, struct error *err)
{
    bool ok = true;
    begin_part(making, "audit trail", 0);
    for (size_t i = 0; i < captured->count; i++)
        making->total += captured->sizes[i];
    for (size_t i = 0; ok && i < captured->count; i++) {
        int fd = openat(making->store->folder_fd, captured->paths[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) // an old file of the quarantine
            continue;
        ok = fd >= 0 || error_errno(err, errno, "cannot open %s", captured->paths[i]);
        ok = ok && put_file(making, fd, captured->paths[i], captured->sizes[i], err);
        if (fd >= 0)
            close(fd);
    }
    return ok;
}

// The file as it is now.
static bool take_whole(struct making *making, int fd, const char *path, struct error *err)
{
    struct stat status;
    bool ok = fstat(fd, &status) == 0 || error_errno(err, errno, "cannot look at %s", path);
    ok = ok && put_file(making, fd, path, (uint64_t)status.st_size, err);
    close(fd);
    return ok;
}

static bool take_tombstones(struct making *making, struct error *err)
{
    int fd = openat(making->store->folder_fd, "tombstones", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || error_errno(err, errno, "cannot open the tombstones");
    return take_whole(making, fd, "tombstones", err);
}

static bool take_anchor(struct making *making, struct error *err)
{
    char hex[2 * ANCHOR_BYTES + 1];
    text_hex(hex, making->anchor, sizeof making->anchor);
    return json_object_set_new(making->list.head, "anchor", json_string(hex)) == 0 ||
           error_set(err, ERROR_MEMORY, "no memory for a backup's list");
}

static bool take_beside(struct making *making, struct error *err)
{
    const char *const *paths = making->order->beside;
    struct error why;
    begin_part(making, "files from elsewhere", 0);
    for (size_t i = 0; paths && paths[i]; i++) {
        int fd = file_open(paths[i], NULL, &why);
        if (fd < 0) {
            making->made->left_out++;
            log_warning("backup", "%s is not in the backup: %s", paths[i], why.message);
        } else if (!take_whole(making, fd, paths[i], err))
            return false;
    }
    return true;
}

// ---- the whole

static bool choose_name(struct making *making, struct error *err)
{
    char(*names)[BACKUP_NAME_SIZE], date[CLOCK_DICOM_DATE_SIZE], time[CLOCK_DICOM_TIME_SIZE];
    struct tm parts;
    uint64_t number = 0;
    size_t count;
    int64_t now_ns = clock_now_ns();
    time_t seconds = (time_t)(now_ns / CLOCK_SECOND);
    if (!vault_lists(&making->vault, &names, &count, err))
        return false;
    if (count > 0)
        text_to_u64(names[count - 1], strcspn(names[count - 1], "-"), &number);
    free(names);
    if (!gmtime_r(&seconds, &parts))
        return error_set(err, ERROR_INTERNAL, "the clock shows no time");
    strftime(date, sizeof date, "%Y%m%d", &parts);
    strftime(time, sizeof time, "%H%M%S", &parts);
    making->number = number + 1;
    if (making->number > 999999)
        return error_set(err, ERROR_LIMIT,
                         "%.160s/lists has a backup with the last number that there is, 999999: remove it",
                         making->order->folder);
    snprintf(making->made->name, sizeof making->made->name, "%06u-%sT%sZ", (unsigned)making->number, date, time);
    return true;
}

static bool begin_list(struct making *making, struct error *err)
{
    char archive[BACKUP_KEY_NAME_SIZE];
    uint8_t digest[HASH_SIZE];
    hash_of(making->store->id, STORE_ID_SIZE, digest); // the id itself is told to nobody
    text_hex(archive, digest, 8);
    making->list.head =
        json_pack("{s:i, s:s, s:I, s:s, s:s, s:[], s:[], s:o?}", "form", 1, "backup", making->made->name, "made_ns",
                  (json_int_t)clock_now_ns(), "archive", archive, "version", HILUM_VERSION, "files", "damaged", "said",
                  making->order->said ? json_deep_copy(making->order->said) : NULL);
    making->files = json_object_get(making->list.head, "files");
    return making->files != NULL || error_set(err, ERROR_MEMORY, "no memory for a backup's list");
}

// The newest list, whose packs need not be read again. Of another archive, or of this one as it was later, it is none
// to go on from.
static bool read_before(struct making *making, struct error *err)
{
    char name[BACKUP_NAME_SIZE];
    struct error why;
    const char *archive = json_string_value(json_object_get(making->list.head, "archive"));
    if (!backup_list_choose(&making->vault, NULL, name, &why))
        return true;
    if (!backup_list_read(&making->vault, name, &making->before, &why)) {
        log_warning("backup", "the last backup cannot be read, so that all is read anew: %s", why.message);
        return true;
    }
    const char *before = json_string_value(json_object_get(making->before.head, "archive"));
    if (!before || strcmp(before, archive) != 0)
        return error_set(err, ERROR_CONFLICT,
                         "the backups in %.100s are of archive %.16s, and this is %s: name another folder",
                         making->order->folder, before ? before : "?", archive);
    json_int_t epoch = json_integer_value(json_object_get(making->before.head, "epoch"));
    return epoch <= (json_int_t)atomic_load(&making->store->board.epoch) ||
           error_set(
               err, ERROR_CONFLICT,
               "the newest backup in %.100s, %s, is of this archive after it was put back elsewhere: another server "
               "runs with it. Stop one of the two; this one may go on into another folder",
               making->order->folder, name);
}

static bool finish_list(struct making *making, struct error *err)
{
    json_t *head = making->list.head;
    return (json_object_set_new(head, "containers", json_integer((json_int_t)making->list.count)) == 0 &&
            json_object_set_new(head, "count", json_integer((json_int_t)making->made->files)) == 0 &&
            json_object_set_new(head, "bytes", json_integer((json_int_t)making->made->bytes)) == 0 &&
            json_object_set_new(head, "damages", json_integer((json_int_t)making->made->damaged)) == 0) ||
           error_set(err, ERROR_MEMORY, "no memory for a backup's list");
}

static bool take_all(struct making *making, struct captured *captured, struct error *err)
{
    return choose_name(making, err) && begin_list(making, err) && read_before(making, err) &&
           capture(making, captured, err) && take_database(making, err) && take_containers(making, err) &&
           take_captured(making, captured, err) && take_tombstones(making, err) && take_anchor(making, err) &&
           take_beside(making, err) && put_database(making, err) && finish_list(making, err) && goes_on(making, err) &&
           backup_list_write(&making->vault, making->made->name, &making->list, err);
}

// ---- the oldest go

struct names {
    uint8_t *bytes; // owned
    size_t count, capacity;
};

static bool names_add(struct names *names, const uint8_t name[VAULT_NAME_SIZE])
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? names->capacity * 2 : 1024;
        uint8_t *grown = realloc(names->bytes, capacity * VAULT_NAME_SIZE);
        if (!grown)
            return false;
        names->bytes = grown;
        names->capacity = capacity;
    }
    memcpy(names->bytes + names->count++ * VAULT_NAME_SIZE, name, VAULT_NAME_SIZE);
    return true;
}

static int compare_bytes(const void *a, const void *b)
{
    return memcmp(a, b, VAULT_NAME_SIZE);
}

// Sorted, each once: two lists have most of them in common.
static void names_settle(struct names *names)
{
    size_t kept = 0;
    if (names->count > 0)
        qsort(names->bytes, names->count, VAULT_NAME_SIZE, compare_bytes);
    for (size_t i = 0; i < names->count; i++)
        if (kept == 0 || memcmp(names->bytes + (kept - 1) * VAULT_NAME_SIZE, names->bytes + i * VAULT_NAME_SIZE,
                                VAULT_NAME_SIZE) != 0)
            memmove(names->bytes + kept++ * VAULT_NAME_SIZE, names->bytes + i * VAULT_NAME_SIZE, VAULT_NAME_SIZE);
    names->count = kept;
}

static bool names_of(struct vault *vault, const char *name, struct names *names, struct error *err)
{
    struct backup_list list;
    struct backup_file file;
    if (!backup_list_read(vault, name, &list, err))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < list.count; i++)
        ok = names_add(names, list.rows[i].name);
    for (size_t i = 0; ok && backup_list_file(&list, i, &file); i++)
        ok = names_add(names, file.name);
    backup_list_free(&list);
    names_settle(names);
    return ok || error_set(err, ERROR_MEMORY, "no memory for the names of %zu files", names->count);
}

// A list that cannot be read may name any file: then nothing is removed.
static bool drop_oldest(struct vault *vault, unsigned keep, struct error *err)
{
    char(*lists)[BACKUP_NAME_SIZE];
    struct names names = {0};
    size_t count;
    uint64_t removed = 0;
    if (!vault_lists(vault, &lists, &count, err))
        return false;
    size_t first = count > keep ? count - keep : 0;
    bool ok = true;
    for (size_t i = first; ok && i < count; i++)
        ok = names_of(vault, lists[i], &names, err);
    for (size_t i = 0; ok && i < first; i++)
        ok = vault_remove_list(vault, lists[i], err);
    ok = ok && vault_sweep(vault, names.bytes, names.count, &removed, err);
    if (ok && first > 0)
        log_info("backup", "%zu backups past %u, and %llu files that only they named, are removed", first, keep,
                 (unsigned long long)removed);
    free(lists);
    free(names.bytes);
    return ok;
}

bool backup_make(struct store *store, const struct backup_order *order, struct backup_made *out, struct error *err)
{
    struct making making = {.store = store, .order = order, .made = out};
    struct captured captured = {0};
    struct error why;
    *out = (struct backup_made){0};
    if (store->copied)
        return error_set(
            err, ERROR_CONFLICT,
            "this is a copy beside its original (hilum restore --copy), which makes no backups: they would "
            "stand among the original's");
    if (!vault_open(&making.vault, order->folder, order->key, order->begin ? VAULT_BEGIN : VAULT_WRITE, err))
        return false;
    making.vault.stop = order->stop;
    bool ok = take_all(&making, &captured, err);
    remove_copy(store);
    // The backup is whole all the same.
    if (ok && order->keep > 0 && !drop_oldest(&making.vault, order->keep, &why))
        text_copy(out->kept, sizeof out->kept, why.message);
    captured_free(&captured);
    backup_list_free(&making.list);
    backup_list_free(&making.before);
    vault_close(&making.vault);
    return ok;
}
