// Backups (store/backup.h) while the server runs: each day at a time, or when somebody asks. One thread makes them;
// what became of the last one is told by an alarm, a metric and GET /api/backups.
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "service/internal.h"
#include "store/backup.h"

enum {
    LOOK_SECONDS = 20,  // between two looks at the clock
    RETRY_MINUTES = 60, // after a failure
    DAY_MINUTES = 24 * 60,
    SILENT_HOURS = 50, // since the last one, until it is an alarm: two nights, and a slow one
    NEVER_HOURS = 1,   // since the start, where there is none
    BESIDE_MAX = 4096, // files of models, certificates, configuration
    MODELS_DEPTH = 4,
};

struct backups {
    struct service *service;
    const char *folder, *key_path; // of the configuration
    int at;                        // minute of the day; -1: only when somebody asks
    unsigned keep;
    struct backup_key key;
    pthread_t thread;
    bool runs;
    atomic_bool stop;

    pthread_mutex_t lock; // of what follows
    pthread_cond_t changed;
    bool asked, begin, working;
    char what[32];
    uint64_t done, total;
    int64_t began_ns;     // of the one that is made
    int64_t last_ns;      // the last whole one
    int64_t failed_ns;    // when the last try failed; 0: it did not
    struct error failure; // why
    json_t *made;         // that there are, newest first
};

bool service_backup_time(const char *text, int *minutes)
{
    int64_t hour, minute;
    if (strlen(text) != 5 || text[2] != ':' || !text_to_i64(text, 2, &hour) || !text_to_i64(text + 3, 2, &minute) ||
        hour < 0 || hour > 23 || minute < 0 || minute > 59)
        return false;
    *minutes = (int)(hour * 60 + minute);
    return true;
}

// ---- files from elsewhere that belong to the archive: configuration, certificates, keys, models

struct beside {
    const char *paths[BESIDE_MAX + 1];
    size_t count;
    uint64_t left_out; // cannot be read, or past a limit; the log names them
    struct arena arena;
};

static void leave_out(struct beside *beside, const char *path, const char *why)
{
    beside->left_out++;
    log_warning("backup", "%s is not in the backup: %s", path, why);
}

static void add_path(struct beside *beside, const char *path)
{
    char *own = beside->count < BESIDE_MAX ? arena_strdup(&beside->arena, path) : NULL;
    if (own)
        beside->paths[beside->count++] = own;
    else
        leave_out(beside, path, "too many files belong to it");
}

// What is named with a path from the working folder is put down with its whole one.
static void add_file(struct beside *beside, const char *path)
{
    char whole[4096];
    struct stat status;
    if (!*path || stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    if (realpath(path, whole))
        add_path(beside, whole);
}

// What the configuration names, and is gone or cannot be read, is told.
static void add_named(struct beside *beside, const char *path)
{
    struct error why;
    int fd = *path ? file_open(path, NULL, &why) : -1;
    if (fd >= 0) {
        close(fd);
        add_file(beside, path);
    } else if (*path)
        leave_out(beside, path, why.message);
}

static void add_folder(struct beside *beside, const char *path, int depth)
{
    char name[4096];
    struct stat status;
    DIR *folder = depth < MODELS_DEPTH ? opendir(path) : NULL;
    if (!folder)
        leave_out(beside, path, depth < MODELS_DEPTH ? "it cannot be listed" : "it is too deep in the models' folder");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        int size = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        if (size < 0 || (size_t)size >= sizeof name || stat(name, &status) != 0)
            leave_out(beside, name, "it leads nowhere, or its path is too long");
        else if (S_ISDIR(status.st_mode))
            add_folder(beside, name, depth + 1);
        else
            add_file(beside, name);
    }
    if (folder)
        closedir(folder);
}

static void gather(const struct backups *backups, struct beside *beside)
{
    static const char *const keys[] = {"tls.certificate", "tls.key", "tls.authorities", "tls.revoked", "audit.key"};
    const json_t *config = backups->service->config;
    add_file(beside, backups->service->config_name);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        add_named(beside, config_text(config, keys[i]));
    if (*config_text(config, "models.folder"))
        add_folder(beside, config_text(config, "models.folder"), 0);
}

// ---- one backup

static void show(void *payload, const char *what, uint64_t done, uint64_t total)
{
    struct backups *backups = payload;
    pthread_mutex_lock(&backups->lock);
    text_copy(backups->what, sizeof backups->what, what);
    backups->done = done;
    backups->total = total;
    pthread_mutex_unlock(&backups->lock);
}

// Kept with the backup, and said again when it is put back, so that a person sees that all is there.
static json_t *said_of(struct service *service)
{
    struct archive_counts counts;
    struct error err;
    if (!archive_count(service->archive, ACCESS_ALL, &counts, &err))
        return NULL;
    return json_pack("{s:I, s:I, s:I, s:I}", "patients", (json_int_t)counts.patients, "studies",
                     (json_int_t)counts.studies, "series", (json_int_t)counts.series, "instances",
                     (json_int_t)counts.instances);
}

// The folder of the last backup is put down in the data folder: where it is empty later, a disk is not mounted.
static bool state_path(const struct backups *backups, char out[STORE_FOLDER_MAX + 64])
{
    int size = snprintf(out, STORE_FOLDER_MAX + 64, "%s/backup-folder", store_folder(backups->service->store));
    return size > 0 && size < STORE_FOLDER_MAX + 64;
}

static bool was_here(const struct backups *backups)
{
    char path[STORE_FOLDER_MAX + 64];
    struct buffer text;
    struct error ignored;
    buffer_init(&text, STORE_FOLDER_MAX + 64);
    bool same = state_path(backups, path) && file_read(path, &text, &ignored) && text.size == strlen(backups->folder) &&
                memcmp(text.data, backups->folder, text.size) == 0;
    buffer_free(&text);
    return same;
}

static void note_folder(const struct backups *backups)
{
    char path[STORE_FOLDER_MAX + 64];
    struct error err;
    if (!was_here(backups) && state_path(backups, path) &&
        !file_replace(path, backups->folder, strlen(backups->folder), 0600, &err))
        log_warning("backup", "%s", err.message);
}

static void note_audit(const struct backups *backups, bool ok, const char *detail)
{
    access_audit_change(backups->service->access, ok, "hilum", detail, clock_now_ns());
}

static void tell_made(const struct backups *backups, const struct backup_made *made, int64_t took_ns)
{
    char detail[256];
    snprintf(detail, sizeof detail,
             "backup %s was made: %" PRIu64 " files, %" PRIu64 " MiB, of which new %" PRIu64 ", %" PRIu64 " MiB",
             made->name, made->files, made->bytes >> 20, made->new_files, made->new_bytes >> 20);
    log_info("backup", "%s, in %" PRId64 " s, into %s; its key is %s, of which a copy must be elsewhere", detail,
             took_ns / CLOCK_SECOND, backups->folder, backups->key_path);
    note_audit(backups, true, detail);
    if (made->damaged + made->left_out > 0)
        alarm_raise(ALARM_BACKUP, "last backup",
                    "backup %s has %" PRIu64 " damaged or missing files of its own and lacks %" PRIu64
                    " files; the log names them",
                    made->name, made->damaged, made->left_out);
    else
        alarm_clear(ALARM_BACKUP, "last backup");
    if (made->kept[0])
        alarm_raise(ALARM_BACKUP, "old backups", "backups past backup.keep stay in %.60s: %.160s", backups->folder,
                    made->kept);
    else
        alarm_clear(ALARM_BACKUP, "old backups");
    if (made->healed > 0)
        log_warning("backup", "%" PRIu64 " files of earlier backups had rotted in %s: look at its disk", made->healed,
                    backups->folder);
}

// Who may write there can damage what is there. A file system of the network may show all as everybody's.
static void tell_open_folder(const struct backups *backups)
{
    struct stat status;
    if (stat(backups->folder, &status) == 0 && (status.st_mode & 022) != 0)
        log_warning("backup", "others may write into %s (mode %03o), and so damage or remove the backups",
                    backups->folder, (unsigned)status.st_mode & 0777);
}

static void tell_failed(const struct backups *backups, const struct error *err)
{
    char detail[ERROR_MESSAGE_SIZE + 32];
    snprintf(detail, sizeof detail, "no backup was made: %s", err->message);
    note_audit(backups, false, detail);
    alarm_raise(ALARM_BACKUP, "last backup", "none was made into %.60s: %.160s", backups->folder, err->message);
}

// With a key that is in no file any more nobody could read the backup.
static bool check_key(const struct backups *backups, struct error *err)
{
    struct backup_key now;
    if (!backup_key_read(backups->key_path, &now, err))
        return false;
    return memcmp(now.bytes, backups->key.bytes, sizeof now.bytes) == 0 ||
           error_set(
               err, ERROR_CONFLICT,
               "%.100s holds another key than at the start of the server, %s: bring back the one of before, %s, or "
               "name another folder and restart",
               backups->key_path, now.name, backups->key.name);
}

static bool make(struct backups *backups, bool begin, struct backup_made *made, struct error *err)
{
    struct beside *beside = calloc(1, sizeof *beside);
    if (!beside)
        return error_set(err, ERROR_MEMORY, "no memory for a backup");
    if (!check_key(backups, err)) {
        free(beside);
        return false;
    }
    arena_init(&beside->arena, 16 << 20);
    gather(backups, beside);
    json_t *said = said_of(backups->service);
    const struct backup_order order = {.folder = backups->folder,
                                       .key = &backups->key,
                                       .begin = begin || !was_here(backups),
                                       .keep = backups->keep,
                                       .beside = beside->paths,
                                       .said = said,
                                       .stop = &backups->stop,
                                       .progress = show,
                                       .payload = backups};
    bool ok = backup_make(backups->service->store, &order, made, err);
    made->left_out += beside->left_out;
    if (!ok && err->code == ERROR_NOT_FOUND && !order.begin)
        error_set(err, ERROR_NOT_FOUND,
                  "there are no backups in %.100s, and there were: is its disk mounted? To begin anew: hilum backup "
                  "--begin",
                  backups->folder);
    json_decref(said);
    arena_free(&beside->arena);
    free(beside);
    return ok;
}

// ---- what there is

static json_t *listed_to_json(const struct backup_listed *one)
{
    char when[CLOCK_RFC3339_SIZE];
    return one->whole
               ? json_pack("{s:s, s:b, s:s, s:s, s:s, s:I, s:I, s:I}", "name", one->name, "readable", 1, "time",
                           clock_rfc3339(when, one->made_ns), "version", one->version, "archive", one->archive, "files",
                           (json_int_t)one->files, "bytes", (json_int_t)one->bytes, "damaged", (json_int_t)one->damaged)
               : json_pack("{s:s, s:b}", "name", one->name, "readable", 0);
}

static void list_made(struct backups *backups)
{
    struct backup_listed *all;
    struct arena arena;
    struct error err;
    size_t count = 0;
    int64_t last_ns = 0, now_ns = clock_now_ns();
    arena_init(&arena, 64 << 20);
    json_t *made = json_array();
    if (!backup_list(backups->folder, &backups->key, &arena, &all, &count, &err) && err.code != ERROR_NOT_FOUND)
        log_warning("backup", "%s", err.message);
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(made, listed_to_json(&all[i]));
        // One that a clock ahead has dated keeps no other from being made.
        if (all[i].whole && all[i].made_ns > last_ns && all[i].made_ns <= now_ns)
            last_ns = all[i].made_ns;
    }
    arena_free(&arena);
    pthread_mutex_lock(&backups->lock);
    json_decref(backups->made);
    backups->made = made;
    backups->last_ns = last_ns;
    pthread_mutex_unlock(&backups->lock);
}

static void work(struct backups *backups, bool begin)
{
    struct backup_made made;
    struct error err;
    int64_t began_ns = clock_monotonic_ns();
    bool ok = make(backups, begin, &made, &err);
    if (ok) {
        note_folder(backups);
        tell_open_folder(backups);
        tell_made(backups, &made, clock_monotonic_ns() - began_ns);
        list_made(backups);
    } else if (err.code != ERROR_CANCELLED)
        tell_failed(backups, &err);
    pthread_mutex_lock(&backups->lock);
    backups->failed_ns = ok ? 0 : clock_now_ns();
    if (!ok)
        backups->failure = err;
    backups->working = false;
    pthread_mutex_unlock(&backups->lock);
}

// ---- when

// The last time before now that the clocks here showed the configured minute.
static int64_t last_due(const struct backups *backups, int64_t now_ns)
{
    struct tm parts;
    time_t now = (time_t)(now_ns / CLOCK_SECOND);
    if (!localtime_r(&now, &parts))
        return 0;
    int since = parts.tm_hour * 60 + parts.tm_min - backups->at;
    if (since < 0)
        since += DAY_MINUTES;
    return (now - parts.tm_sec - (time_t)since * 60) * CLOCK_SECOND;
}

// A copy on the same disk is lost with it, and may fill it: one is made there only when somebody asks.
static bool is_on_one_disk(const struct backups *backups)
{
    char path[STORE_FOLDER_MAX + 1];
    struct stat here, there;
    text_copy(path, sizeof path, backups->folder);
    while (stat(path, &there) != 0) { // the folder, or where it will be made
        char *slash = strrchr(path, '/');
        if (!slash || errno != ENOENT)
            return false; // trying says why
        slash[slash == path] = '\0';
    }
    return stat(store_folder(backups->service->store), &here) == 0 && here.st_dev == there.st_dev;
}

// By the times alone, so that a server that was off at the minute makes it when it is back, and one after a failure.
static bool is_due(const struct backups *backups, int64_t now_ns)
{
    if (backups->at < 0)
        return false;
    int64_t due_ns = last_due(backups, now_ns);
    bool rests = backups->failed_ns > due_ns && backups->failed_ns <= now_ns &&
                 now_ns - backups->failed_ns < RETRY_MINUTES * 60 * CLOCK_SECOND;
    bool made = due_ns <= backups->last_ns && backups->last_ns <= now_ns;
    return !made && !rests && !is_on_one_disk(backups);
}

static void tell_silence(const struct backups *backups, int64_t now_ns)
{
    char last[CLOCK_RFC3339_SIZE] = "there is none";
    bool never = backups->last_ns == 0;
    int64_t silent_ns = now_ns - (never ? backups->service->started_ns : backups->last_ns);
    if (!never)
        clock_rfc3339(last, backups->last_ns);
    if (backups->at < 0 || silent_ns < (never ? NEVER_HOURS : SILENT_HOURS) * 3600 * CLOCK_SECOND)
        alarm_clear(ALARM_BACKUP, "age of the backups");
    else if (is_on_one_disk(backups))
        alarm_raise(ALARM_BACKUP, "age of the backups",
                    "the last one: %s. %.80s is on the data folder's own disk, where none is made by itself: mount "
                    "another disk there, or name another folder",
                    last, backups->folder);
    else
        alarm_raise(ALARM_BACKUP, "age of the backups", "the last one in %.80s: %s. `hilum backup` says what is wrong",
                    backups->folder, last);
}

static void wait_a_while(struct backups *backups)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LOOK_SECONDS;
    if (!backups->asked && !atomic_load(&backups->stop))
        pthread_cond_timedwait(&backups->changed, &backups->lock, &until);
}

static void *run(void *payload)
{
    struct backups *backups = payload;
    list_made(backups);
    pthread_mutex_lock(&backups->lock);
    while (!atomic_load(&backups->stop)) {
        int64_t now_ns = clock_now_ns();
        tell_silence(backups, now_ns);
        if (!backups->asked && !is_due(backups, now_ns)) {
            wait_a_while(backups);
            continue;
        }
        bool begin = backups->begin;
        backups->asked = backups->begin = false;
        backups->working = true;
        backups->began_ns = now_ns;
        backups->done = backups->total = 0;
        pthread_mutex_unlock(&backups->lock);
        work(backups, begin);
        pthread_mutex_lock(&backups->lock);
    }
    pthread_mutex_unlock(&backups->lock);
    return NULL;
}

static bool begin_thread(struct backups *backups, struct error *err)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&backups->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&backups->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (!*backups->folder)
        return true;
    int code = pthread_create(&backups->thread, NULL, run, backups);
    backups->runs = code == 0;
    return backups->runs || error_errno(err, code, "cannot start the thread of backups");
}

struct backups *backups_start(struct service *service, struct error *err)
{
    struct backups *backups = calloc(1, sizeof *backups);
    if (!backups) {
        error_set(err, ERROR_MEMORY, "no memory for backups");
        return NULL;
    }
    backups->service = service;
    backups->made = json_array();
    backups->folder = config_text(service->config, "backup.folder");
    backups->key_path = config_text(service->config, "backup.key");
    backups->keep = (unsigned)config_integer(service->config, "backup.keep");
    if (!service_backup_time(config_text(service->config, "backup.at"), &backups->at) || store_is_copy(service->store))
        backups->at = -1;
    bool ok =
        !*backups->folder || backup_key_read(backups->key_path, &backups->key, err) || error_prefix(err, "backup.key");
    ok = begin_thread(backups, err) && ok;
    if (ok)
        return backups;
    backups_stop(backups);
    return NULL;
}

void backups_stop(struct backups *backups)
{
    if (!backups)
        return;
    pthread_mutex_lock(&backups->lock);
    atomic_store(&backups->stop, true);
    pthread_cond_signal(&backups->changed);
    pthread_mutex_unlock(&backups->lock);
    if (backups->runs)
        pthread_join(backups->thread, NULL);
    json_decref(backups->made);
    pthread_cond_destroy(&backups->changed);
    pthread_mutex_destroy(&backups->lock);
    memset(&backups->key, 0, sizeof backups->key);
    free(backups);
}

// ---- for who asks

bool backups_ask(struct backups *backups, bool begin, struct error *err)
{
    if (!backups->runs)
        return error_set(err, ERROR_CONFLICT,
                         "no folder of backups is configured: backup.folder and backup.key of the configuration file");
    pthread_mutex_lock(&backups->lock);
    bool ok = !backups->working && !backups->asked;
    backups->asked = backups->asked || ok;
    backups->begin = ok ? begin : backups->begin;
    pthread_cond_signal(&backups->changed);
    pthread_mutex_unlock(&backups->lock);
    return ok || error_set(err, ERROR_CONFLICT, "a backup is being made; GET /api/backups says how far it is");
}

static json_t *time_or_null(int64_t time_ns)
{
    char text[CLOCK_RFC3339_SIZE];
    return time_ns > 0 ? json_string(clock_rfc3339(text, time_ns)) : json_null();
}

static json_t *running_to_json(const struct backups *backups)
{
    if (!backups->working && !backups->asked)
        return json_null();
    return json_pack("{s:o, s:s, s:I, s:I}", "since",
                     time_or_null(backups->working ? backups->began_ns : clock_now_ns()), "what", backups->what, "done",
                     (json_int_t)backups->done, "total", (json_int_t)backups->total);
}

static json_t *failed_to_json(const struct backups *backups)
{
    return backups->failed_ns == 0
               ? json_null()
               : json_pack("{s:o, s:s}", "time", time_or_null(backups->failed_ns), "reason", backups->failure.message);
}

json_t *backups_to_json(struct backups *backups)
{
    const char *at = config_text(backups->service->config, "backup.at");
    pthread_mutex_lock(&backups->lock);
    bool same_disk = backups->runs && is_on_one_disk(backups);
    json_t *json = json_pack("{s:s, s:s, s:s, s:i, s:b, s:o, s:o, s:o, s:O}", "folder", backups->folder, "key",
                             backups->runs ? backups->key.name : "", "at", at, "keep", (int)backups->keep, "sameDisk",
                             same_disk, "last", time_or_null(backups->last_ns), "running", running_to_json(backups),
                             "failed", failed_to_json(backups), "backups", backups->made);
    pthread_mutex_unlock(&backups->lock);
    return json;
}

int64_t backups_last_ns(struct backups *backups)
{
    pthread_mutex_lock(&backups->lock);
    int64_t last_ns = backups->last_ns;
    pthread_mutex_unlock(&backups->lock);
    return last_ns;
}

bool backups_are_made(const struct backups *backups)
{
    return backups->runs;
}
