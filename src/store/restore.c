// Looking at backups, and putting one back (backup.h).
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "store/backup_count.h"
#include "store/backup_list.h"
#include "store/format.h"

// ---- looking

static void read_head(const struct backup_list *list, struct backup_listed *out)
{
    const json_t *head = list->head;
    out->made_ns = json_integer_value(json_object_get(head, "made_ns"));
    out->files = (uint64_t)json_integer_value(json_object_get(head, "count"));
    out->bytes = (uint64_t)json_integer_value(json_object_get(head, "bytes"));
    out->damaged = (uint64_t)json_integer_value(json_object_get(head, "damages"));
    out->containers = list->count;
    out->whole = true;
    const char *version = json_string_value(json_object_get(head, "version"));
    const char *archive = json_string_value(json_object_get(head, "archive"));
    text_copy(out->version, sizeof out->version, version ? version : "");
    text_copy(out->archive, sizeof out->archive, archive ? archive : "");
}

bool backup_list(const char *folder, const struct backup_key *key, struct arena *arena, struct backup_listed **out,
                 size_t *count, struct error *err)
{
    char(*names)[BACKUP_NAME_SIZE];
    struct vault vault;
    struct error why;
    *count = 0;
    if (!vault_open(&vault, folder, key, VAULT_READ, err))
        return false;
    bool ok = vault_lists(&vault, &names, count, err);
    *out = ok ? arena_calloc(arena, *count + 1, sizeof **out) : NULL;
    if (ok && !*out)
        ok = error_set(err, ERROR_MEMORY, "no memory for a list of %zu backups", *count);
    for (size_t i = 0; ok && i < *count; i++) {
        struct backup_listed *one = &(*out)[*count - 1 - i];
        struct backup_list list;
        text_copy(one->name, sizeof one->name, names[i]);
        if (!backup_list_read(&vault, names[i], &list, &why))
            continue;
        read_head(&list, one);
        backup_list_free(&list);
    }
    free(names);
    vault_close(&vault);
    return ok;
}

// ---- a backup that is read from its beginning to its end

struct reading {
    struct vault vault;
    struct backup_list list;
    char name[BACKUP_NAME_SIZE];
    backup_progress_fn *progress;
    void *payload;
    uint64_t done, total;
    void (*tell)(void *payload, const char *file, const char *why);
    struct backup_checked *checked;
};

static void tick(void *payload, uint64_t bytes)
{
    struct reading *reading = payload;
    reading->done += bytes;
    if (reading->progress)
        reading->progress(reading->payload, "bytes", reading->done < reading->total ? reading->done : reading->total,
                          reading->total);
}

static bool open_reading(struct reading *reading, const char *folder, const struct backup_key *key, const char *name,
                         struct error *err)
{
    struct backup_listed head = {0};
    if (!vault_open(&reading->vault, folder, key, VAULT_READ, err))
        return false;
    if (backup_list_choose(&reading->vault, name, reading->name, err) &&
        backup_list_read(&reading->vault, reading->name, &reading->list, err)) {
        read_head(&reading->list, &head);
        reading->total = head.bytes;
        return true;
    }
    vault_close(&reading->vault);
    return false;
}

static void close_reading(struct reading *reading)
{
    backup_list_free(&reading->list);
    vault_close(&reading->vault);
}

static void container_path(const struct backup_row *row, char out[64])
{
    char name[STORE_NAME_SIZE];
    if (row->packed)
        store_pack_name(name, row->container);
    else
        store_lane_name(name, row->container);
    snprintf(out, 64, "%s/%s", row->packed ? "packs" : "lanes", name);
}

// ---- comparing

static void check_one(struct reading *reading, const char *path, const uint8_t name[VAULT_NAME_SIZE], uint64_t size)
{
    const struct vault_tick ticks = {tick, reading};
    struct error why;
    reading->checked->files++;
    reading->checked->bytes += size;
    if (vault_get(&reading->vault, name, size, -1, &ticks, &why))
        return;
    reading->checked->bad++;
    if (reading->tell)
        reading->tell(reading->payload, path, why.message);
}

bool backup_check(const char *folder, const struct backup_key *key, const char *name,
                  void (*tell)(void *payload, const char *file, const char *why), backup_progress_fn *progress,
                  void *payload, struct backup_checked *out, struct error *err)
{
    struct reading reading = {.progress = progress, .payload = payload, .tell = tell, .checked = out};
    struct backup_file file;
    char path[64];
    *out = (struct backup_checked){0};
    if (!open_reading(&reading, folder, key, name, err))
        return false;
    for (size_t i = 0; i < reading.list.count; i++) {
        container_path(&reading.list.rows[i], path);
        check_one(&reading, path, reading.list.rows[i].name, reading.list.rows[i].size);
    }
    for (size_t i = 0; backup_list_file(&reading.list, i, &file); i++)
        check_one(&reading, file.path, file.name, file.size);
    close_reading(&reading);
    return true;
}

// ---- putting back

struct putting {
    struct reading reading;
    const struct backup_restore *restore;
    struct backup_restored *out;
    int fd;    // of the data folder
    uid_t uid; // whose its files become
    gid_t gid;
};

// As root the files become the folder's owner's, who will run the server.
static bool give(const struct putting *putting, int fd, struct error *err)
{
    return geteuid() != 0 || fchown(fd, putting->uid, putting->gid) == 0 ||
           error_errno(err, errno, "cannot give files of %.200s to uid %u", putting->restore->data,
                       (unsigned)putting->uid);
}

static bool make_folder(const struct putting *putting, const char *path, struct error *err)
{
    if (mkdirat(putting->fd, path, 0700) != 0)
        return errno == EEXIST || error_errno(err, errno, "cannot make %.200s/%.200s", putting->restore->data, path);
    int fd = openat(putting->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_errno(err, errno, "cannot open %.200s/%.200s", putting->restore->data, path);
    bool ok = give(putting, fd, err);
    close(fd);
    return ok;
}

static bool make_parents(const struct putting *putting, const char *path, struct error *err)
{
    char part[1024];
    if (!text_copy(part, sizeof part, path))
        return error_set(err, ERROR_LIMIT, "the path %.200s is too long", path);
    bool ok = true;
    for (char *slash = strchr(part, '/'); ok && slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        ok = make_folder(putting, part, err);
        *slash = '/';
    }
    return ok;
}

static void set_written(int fd, int64_t written_ns)
{
    const struct timespec written = {.tv_sec = written_ns / CLOCK_SECOND, .tv_nsec = written_ns % CLOCK_SECOND};
    const struct timespec both[2] = {written, written};
    if (written_ns > 0)
        futimens(fd, both);
}

static bool put_file(struct putting *putting, const char *path, const struct backup_file *file, struct error *err)
{
    const struct vault_tick ticks = {tick, &putting->reading};
    if (!make_parents(putting, path, err))
        return false;
    int fd = openat(putting->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot make %.200s/%.200s", putting->restore->data, path);
    bool ok = give(putting, fd, err) && (vault_get(&putting->reading.vault, file->name, file->size, fd, &ticks, err) ||
                                         error_prefix(err, "%.200s", path));
    if (ok)
        set_written(fd, file->written_ns);
    if (close(fd) != 0 && ok)
        ok = error_errno(err, errno, "cannot write %.200s/%.200s", putting->restore->data, path);
    putting->out->files++;
    putting->out->bytes += file->size;
    return ok;
}

// A path of the list leads nowhere else than below the data folder.
static bool is_plain(const char *path)
{
    for (const char *part = path; *part; part += strcspn(part, "/"), part += *part == '/') {
        size_t size = strcspn(part, "/");
        if (size == 0 || (size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))
            return false;
    }
    size_t whole = strlen(path);
    return whole > 0 && path[whole - 1] != '/';
}

static bool put_listed(struct putting *putting, const struct backup_file *file, struct error *err)
{
    char path[1024];
    bool elsewhere = file->path[0] == '/', database = strcmp(file->path, "hilum.db") == 0;
    int size = snprintf(path, sizeof path, "%s%s",
                        elsewhere  ? "restored"
                        : database ? "restored.tmp/"
                                   : "",
                        file->path);
    if (size < 0 || (size_t)size >= sizeof path || !is_plain(path))
        return error_set(err, ERROR_DAMAGED, "the backup lists a file '%.100s', which cannot be one of its",
                         file->path);
    putting->out->beside += elsewhere;
    return put_file(putting, path, file, err);
}

static bool put_containers(struct putting *putting, struct error *err)
{
    const struct backup_list *list = &putting->reading.list;
    char path[64];
    bool ok = true;
    for (size_t i = 0; ok && i < list->count; i++) {
        struct backup_file file = {.size = list->rows[i].size};
        memcpy(file.name, list->rows[i].name, sizeof file.name);
        container_path(&list->rows[i], path);
        ok = put_file(putting, path, &file, err);
    }
    putting->out->containers = list->count;
    return ok;
}

static bool put_files(struct putting *putting, struct error *err)
{
    struct backup_file file;
    bool ok = true;
    for (size_t i = 0; ok && backup_list_file(&putting->reading.list, i, &file); i++)
        ok = put_listed(putting, &file, err);
    return ok;
}

static bool put_anchor(struct putting *putting, struct error *err)
{
    const char *hex = json_string_value(json_object_get(putting->reading.list.head, "anchor"));
    uint8_t bytes[ANCHOR_BYTES];
    size_t size;
    if (!hex || !text_unhex(hex, bytes, sizeof bytes, &size) || size != sizeof bytes)
        return error_set(err, ERROR_DAMAGED, "the backup has no anchor");
    int fd = openat(putting->fd, "anchor", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot make %.200s/anchor", putting->restore->data);
    bool ok = give(putting, fd, err) && file_write_fd(fd, bytes, sizeof bytes, err);
    close(fd);
    return ok;
}

// ---- the database: looked through, counted, marked, and only then in its place

static bool compare_counts(struct putting *putting, struct database *db, struct error *err)
{
    const json_t *before = json_object_get(putting->reading.list.head, "tables"), *count;
    json_t *now;
    const char *table;
    bool ok = true;
    if (!backup_count_tables(db, &now, err))
        return false;
    if (json_object_size(now) != json_object_size(before))
        ok = error_set(err, ERROR_DAMAGED, "the database has %zu tables, and %zu were in the backup",
                       json_object_size(now), json_object_size(before));
    json_object_foreach(now, table, count)
    {
        const json_t *had = json_object_get(before, table);
        if (ok && !json_equal(had, count))
            ok = error_set(err, ERROR_DAMAGED, "table %.60s has %lld rows, and %lld were in the backup", table,
                           (long long)json_integer_value(count), (long long)json_integer_value(had));
        putting->out->tables++;
        putting->out->rows += (uint64_t)json_integer_value(count);
    }
    json_decref(now);
    return ok;
}

static bool mark(const struct putting *putting, struct database *db, struct error *err)
{
    return sql_run(db, err, "UPDATE store_state SET restored_ns = ?, copied = ?", "ii", putting->out->made_ns,
                   (int64_t)putting->restore->copy);
}

// Its journal goes with it.
static bool settle_database(const struct putting *putting, const char *folder, struct error *err)
{
    char path[STORE_FOLDER_MAX + 64];
    struct database *db = database_open(folder, true, err);
    bool ok = db && sql_run(db, err, "PRAGMA wal_checkpoint(TRUNCATE)", "");
    database_close(db);
    snprintf(path, sizeof path, "%s/hilum.db", folder);
    int fd = ok ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    ok = ok && (fd >= 0 || error_errno(err, errno, "cannot open %s", path));
    ok = ok && give(putting, fd, err);
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool place_database(struct putting *putting, struct error *err)
{
    char folder[STORE_FOLDER_MAX + 32];
    snprintf(folder, sizeof folder, "%s/restored.tmp", putting->restore->data);
    struct database *db = database_open(folder, true, err);
    bool ok = db && check_database(db, err) && compare_counts(putting, db, err) && mark(putting, db, err);
    database_close(db);
    ok = ok && settle_database(putting, folder, err);
    // All else is on the disk before the folder has a database.
    ok = ok && (syncfs(putting->fd) == 0 || error_errno(err, errno, "cannot sync %.200s", putting->restore->data));
    ok = ok && (renameat(putting->fd, "restored.tmp/hilum.db", putting->fd, "hilum.db") == 0 ||
                error_errno(err, errno, "cannot place the database"));
    if (!ok)
        return false;
    unlinkat(putting->fd, "restored.tmp/hilum.db-wal", 0);
    unlinkat(putting->fd, "restored.tmp/hilum.db-shm", 0);
    unlinkat(putting->fd, "restored.tmp", AT_REMOVEDIR);
    return fsync(putting->fd) == 0 || error_errno(err, errno, "cannot sync %.200s", putting->restore->data);
}

// ---- the folder

static bool check_empty(const struct putting *putting, struct error *err)
{
    int fd = openat(putting->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    bool ok = folder || error_errno(err, errno, "cannot list %.200s", putting->restore->data);
    for (struct dirent *entry; ok && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            strcmp(entry->d_name, "lost+found") != 0)
            ok =
                error_set(err, ERROR_CONFLICT,
                          "%.160s holds '%.40s': a backup is put back into a new or empty folder. Name another one, or "
                          "move away what is there",
                          putting->restore->data, entry->d_name);
    if (folder)
        closedir(folder);
    return ok;
}

static bool open_folder(struct putting *putting, struct error *err)
{
    const char *path = putting->restore->data;
    struct stat status;
    if (strlen(path) > STORE_FOLDER_MAX)
        return error_set(err, ERROR_LIMIT, "the data folder's path is longer than %d", STORE_FOLDER_MAX);
    if (!file_make_folders(path, 0700, err))
        return false;
    putting->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (putting->fd < 0 || fstat(putting->fd, &status) != 0)
        return error_errno(err, errno, "cannot open %.200s", path);
    putting->uid = status.st_uid;
    putting->gid = status.st_gid;
    return check_empty(putting, err);
}

static bool check_room(const struct putting *putting, struct error *err)
{
    uint64_t free_bytes, wanted = putting->reading.total;
    if (!file_space(putting->restore->data, &free_bytes, err))
        return false;
    return free_bytes >= wanted ||
           error_set(err, ERROR_FULL, "the backup has %" PRIu64 " MiB, and %.160s has room for %" PRIu64, wanted >> 20,
                     putting->restore->data, free_bytes >> 20);
}

static void describe(struct putting *putting)
{
    struct backup_listed head = {0};
    read_head(&putting->reading.list, &head);
    text_copy(putting->out->name, sizeof putting->out->name, putting->reading.name);
    text_copy(putting->out->archive, sizeof putting->out->archive, head.archive);
    putting->out->made_ns = head.made_ns;
    const json_t *said = json_object_get(putting->reading.list.head, "said");
    putting->out->said = said ? json_deep_copy(said) : NULL;
}

bool backup_put_back(const struct backup_restore *restore, struct backup_restored *out, struct error *err)
{
    struct putting putting = {.reading = {.progress = restore->progress, .payload = restore->payload},
                              .restore = restore,
                              .out = out,
                              .fd = -1};
    *out = (struct backup_restored){0};
    if (!open_reading(&putting.reading, restore->folder, restore->key, restore->name, err))
        return false;
    describe(&putting);
    bool ok = open_folder(&putting, err) && check_room(&putting, err) && make_folder(&putting, "lanes", err) &&
              make_folder(&putting, "packs", err) && make_folder(&putting, "quarantine", err) &&
              make_folder(&putting, "restored.tmp", err) && put_containers(&putting, err) && put_files(&putting, err) &&
              put_anchor(&putting, err) && place_database(&putting, err);
    if (putting.fd >= 0)
        close(putting.fd);
    close_reading(&putting.reading);
    if (!ok) {
        json_decref(out->said);
        out->said = NULL;
    }
    return ok;
}
