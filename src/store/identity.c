// What must agree at a start: the folder, its database and its anchor (docs/store-format.md, A1 to A7c and A10).
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "store/pack.h"

static bool refuse(const struct store *store, const char *why, struct error *err)
{
    return error_set(err, ERROR_CONFLICT,
                     "%.90s: %s. Restore hilum.db from a backup, or run `hilum rebuild --data DIR`", store->folder,
                     why);
}

// ---- the folder

// The store id in a container's header; false: it cannot be opened, or the header is damaged or of another number.
static bool id_in(int folder_fd, const char *ending, uint64_t number, uint8_t id[STORE_ID_SIZE])
{
    uint8_t header[STORE_FILE_HEADER];
    char name[STORE_NAME_SIZE];
    struct error ignored;
    snprintf(name, sizeof name, "%010llu%s", (unsigned long long)number, ending);
    int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool ok = file_pread(fd, header, sizeof header, 0, &ignored) && format_read_file_header(header, number, id);
    close(fd);
    return ok;
}

// What is looked for among the containers.
struct look {
    struct identity *out;   // gets the id of the newest that says one
    const uint8_t *anchors; // the id that the anchor has; NULL: none
    uint64_t newest;
    bool agrees; // a container has the anchor's id
};

// From the newest down to one that has the anchor's id, which is the newest itself where nothing is wrong.
static bool look_at(struct look *look, int folder_fd, const char *ending, struct error *err)
{
    uint8_t id[STORE_ID_SIZE];
    uint64_t *numbers;
    size_t count;
    if (!store_list(folder_fd, ending, &numbers, &count, err))
        return false;
    look->out->used = look->out->used || count > 0;
    for (size_t i = count; i-- > 0 && !look->agrees && (look->anchors || numbers[i] > look->newest);) {
        if (!id_in(folder_fd, ending, numbers[i], id))
            continue;
        look->agrees = look->anchors && memcmp(id, look->anchors, sizeof id) == 0;
        if (numbers[i] > look->newest) {
            look->newest = numbers[i];
            look->out->known = true;
            memcpy(look->out->id, id, sizeof id);
        }
    }
    free(numbers);
    return true;
}

bool identity_find(struct store *store, struct identity *out, struct error *err)
{
    const struct anchor *anchor = &store->anchor;
    struct look look = {.out = out, .anchors = anchor->whole ? anchor->found.id : NULL};
    *out = (struct identity){.used = anchor->fd >= 0};
    if (!look_at(&look, store->packs_fd, ".pack", err) || !look_at(&look, store->lanes_fd, ".lane", err))
        return false;
    out->anchor_is_foreign = anchor->whole && out->known && !look.agrees;
    if (!anchor->whole || out->anchor_is_foreign)
        return true;
    out->known = true;
    memcpy(out->id, anchor->found.id, STORE_ID_SIZE);
    return true;
}

static bool has_database(const struct store *store)
{
    struct stat status;
    return fstatat(store->folder_fd, "hilum.db", &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_size > 0;
}

bool identity_needs_database(const struct store *store, const struct identity *identity, struct error *err)
{
    return !identity->used || has_database(store) ||
           refuse(store, "objects or an anchor are here, and no database", err);
}

// ---- the database

static bool count_of(struct database *db, const char *query, int64_t *out, struct error *err)
{
    bool found;
    return sql_get_int(db, err, out, &found, query, "");
}

static bool read_id(struct database *db, uint8_t out[STORE_ID_SIZE], bool *found, struct error *err)
{
    int64_t tables = 0;
    *found = false;
    if (!count_of(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'store_state'", &tables, err))
        return false;
    if (tables == 0)
        return true;
    struct sql *sql = sql_prepare(db, "SELECT id FROM store_state", err);
    bool row = false;
    size_t size = 0;
    bool ok = sql && sql_step(sql, &row, err);
    const void *id = ok && row ? sql_blob(sql, 0, &size) : NULL;
    *found = size == STORE_ID_SIZE;
    if (*found)
        memcpy(out, id, size);
    sql_done(sql);
    return ok;
}

bool identity_check(const struct store *store, struct database *db, const struct identity *identity, struct error *err)
{
    uint8_t id[STORE_ID_SIZE];
    bool found;
    if (!read_id(db, id, &found, err))
        return false;
    if (!found)
        return !identity->used || refuse(store, "objects or an anchor are here, and the database is empty", err);
    if (!identity->known || memcmp(id, identity->id, STORE_ID_SIZE) == 0)
        return true;
    if (identity->anchor_is_foreign && memcmp(id, store->anchor.found.id, STORE_ID_SIZE) == 0)
        return refuse(store, "its database and its anchor are of one data folder, its lanes and packs of another", err);
    return refuse(store, "its database is that of another data folder", err);
}

bool identity_check_anchor(const struct store *store, const struct identity *identity, struct error *err)
{
    return !identity->anchor_is_foreign ||
           error_set(err, ERROR_CONFLICT,
                     "%.90s: its anchor is that of another data folder. Restore it from a backup, or remove it",
                     store->folder);
}

// ---- the counters

// Not that of damage, which has another end.
static const char older_subject[] = "hilum.db's age";
static atomic_bool older_stands, copy_stands; // of the process, as alarms are

void store_alarm_older(const char *why)
{
    older_stands = true;
    alarm_raise(
        ALARM_DATABASE, older_subject,
        "it is an older copy: %.90s. What was judged and told since is not in it, so nothing is sent: restore the "
        "newest, or go on: hilum audit acknowledge --by NAME",
        why);
}

void store_alarm_older_ends(void)
{
    older_stands = false;
    alarm_clear(ALARM_DATABASE, older_subject);
}

bool store_alarm_older_stands(void)
{
    return older_stands || copy_stands;
}

void store_tell_older(struct store *store, const char *why)
{
    snprintf(store->older, sizeof store->older, "%s", why);
    store_alarm_older(why);
}

const char *store_older(const struct store *store)
{
    return store->older;
}

// [A5] The anchor keeps what it has until somebody writes it who has told of this: a kill in between is told again.
static void compare_database(struct store *store, const struct state *state)
{
    const struct anchored *found = &store->anchor.found;
    char why[ERROR_MESSAGE_SIZE];
    if (state->epoch < found->epoch || state->event < found->event) {
        snprintf(why, sizeof why, "it ends at event %llu, epoch %llu, and event %llu, epoch %llu was there",
                 (unsigned long long)state->event, (unsigned long long)state->epoch, (unsigned long long)found->event,
                 (unsigned long long)found->epoch);
        store_tell_older(store, why);
    }
    atomic_store(&store->durable.epoch, found->epoch);
    atomic_store(&store->durable.event, found->event);
}

void identity_forget_ahead(struct store *store)
{
    store->anchor.found.audit.ahead = store->anchor.last.audit.ahead = STORE_AHEAD_UNKNOWN;
}

static void compare_anchor(struct store *store, const struct state *state)
{
    struct anchor *anchor = &store->anchor;
    if (state->generation == 0 && !anchor->whole)
        log_info("store", "%s gets its anchor", store->folder); // new, or of an earlier program
    else if (!anchor->whole)
        alarm_raise(ALARM_DATABASE, "anchor",
                    "it was removed or damaged: what is missing here cannot be told this time");
    else if (anchor->found.generation < state->generation) {
        alarm_raise(ALARM_DATABASE, "anchor", "it is an older copy: what is missing here cannot be told for certain");
        identity_forget_ahead(store);
    }
    if (anchor->last.generation < state->generation)
        anchor->last.generation = state->generation;
}

static void compare_tombstones(struct store *store)
{
    uint64_t count = tombstones_count(store);
    if (count < store->anchor.found.tombstones)
        alarm_raise(ALARM_CONTAINER, "tombstones",
                    "%llu are there, and %llu were: objects that were refused or removed may come back",
                    (unsigned long long)count, (unsigned long long)store->anchor.found.tombstones);
}

// Is it one of this folder?
static bool is_ours(const struct store *store, int folder_fd, const char *ending, uint64_t number)
{
    uint8_t id[STORE_ID_SIZE];
    return id_in(folder_fd, ending, number, id) && memcmp(id, store->id, sizeof id) == 0;
}

// Is one of this folder there that is newer than the database knows of?
static bool find_newer(const struct store *store, int folder_fd, const char *ending, uint64_t known, uint64_t *newer,
                       struct error *err)
{
    uint64_t *numbers;
    size_t count;
    if (!store_list(folder_fd, ending, &numbers, &count, err))
        return false;
    for (size_t i = count; i-- > 0 && numbers[i] > known && numbers[i] > *newer;)
        if (is_ours(store, folder_fd, ending, numbers[i]))
            *newer = numbers[i];
    free(numbers);
    return true;
}

// [A7a] A container's row is committed before its file is made, and a clean stop and the start after it sync the
// database: so after a clean stop no power cut leaves a file without its row. Where the anchor is as old, only this
// tells it.
static bool compare_numbers(struct store *store, const struct state *state, struct error *err)
{
    uint64_t newer = 0;
    char why[ERROR_MESSAGE_SIZE];
    if (!find_newer(store, store->packs_fd, ".pack", state->container, &newer, err) ||
        !find_newer(store, store->lanes_fd, ".lane", state->container, &newer, err))
        return false;
    snprintf(why, sizeof why, "it ends at container %llu, and %llu is here", (unsigned long long)state->container,
             (unsigned long long)newer);
    if (newer > 0)
        store_tell_older(store, why);
    return true;
}

// The newest pack of this folder that has neither its row nor its lane; 0: none.
static bool find_unlisted(const struct store *store, const uint64_t *listed, size_t listed_count, uint64_t *newest,
                          struct error *err)
{
    uint64_t *packs, *lanes = NULL;
    size_t pack_count, lane_count;
    if (!store_list(store->packs_fd, ".pack", &packs, &pack_count, err))
        return false;
    bool ok = store_list(store->lanes_fd, ".lane", &lanes, &lane_count, err);
    *newest = 0;
    for (size_t i = pack_count; ok && i-- > 0 && *newest == 0;)
        if (!store_list_has(listed, listed_count, packs[i]) && !store_list_has(lanes, lane_count, packs[i]) &&
            is_ours(store, store->packs_fd, ".pack", packs[i]))
            *newest = packs[i];
    free(packs);
    free(lanes);
    return ok;
}

// [A7c] A pack's row, and all before it, is synced before its lane goes: so no kill or power cut leaves a pack with
// neither, clean stop or not.
static bool compare_packs(struct store *store, struct error *err)
{
    uint64_t *listed, newest = 0;
    size_t count;
    char why[ERROR_MESSAGE_SIZE];
    bool ok = pack_listed(store, &listed, &count, err) && find_unlisted(store, listed, count, &newest, err);
    free(listed);
    snprintf(why, sizeof why, "it does not know of pack %llu, which was in it", (unsigned long long)newest);
    if (ok && newest > 0)
        store_tell_older(store, why);
    return ok;
}

static bool compare_containers(struct store *store, const struct state *state, struct error *err)
{
    return (!store->was_clean || store->older[0] || compare_numbers(store, state, err)) &&
           (store->older[0] || compare_packs(store, err));
}

// What was put back from a backup is an older copy, however well all agrees: what came, was judged and was told since
// is not in it.
static void tell_restored(struct store *store, const struct state *state)
{
    char why[ERROR_MESSAGE_SIZE], time[CLOCK_RFC3339_SIZE];
    copy_stands = state->copied;
    if (state->copied)
        alarm_raise(
            ALARM_DATABASE, "copy",
            "this is a copy beside its original, as of a backup: nothing is sent from it. To take the original's "
            "place, put the backup back without --copy");
    store->restored = state->restored_ns > 0;
    store->restored_untold = store->restored;
    snprintf(why, sizeof why, "it was put back from the backup of %s", clock_rfc3339(time, state->restored_ns));
    if (store->restored)
        store_tell_older(store, why);
}

bool store_is_restored(const struct store *store)
{
    return store->restored;
}

static bool write_told(struct database *db, void *payload, struct error *err)
{
    (void)payload;
    return sql_run(db, err, "UPDATE store_state SET restored_ns = 0", "");
}

void identity_restored_is_told(struct store *store)
{
    struct error err;
    if (atomic_exchange(&store->restored_untold, false) &&
        !store_write(store, STORE_REPLAYABLE, write_told, NULL, &err))
        atomic_store(&store->restored_untold, true);
}

bool identity_compare(struct store *store, const struct state *state, struct error *err)
{
    tell_restored(store, state);
    compare_anchor(store, state);
    compare_database(store, state);
    compare_tombstones(store);
    return compare_containers(store, state, err);
}

// ---- rebuild

static bool read_rebuild(struct database *db, enum rebuild_state *out, struct error *err)
{
    int64_t state = 0;
    if (!count_of(db, "SELECT count(*) FROM pragma_table_info('store_state') WHERE name = 'rebuild'", &state, err) ||
        (state == 1 && !count_of(db, "SELECT rebuild FROM store_state", &state, err)))
        return false;
    *out = (enum rebuild_state)state;
    return true;
}

enum worth { WORTH_KEEPING, WORTH_GOING_ON, WORTH_NOTHING };

static enum worth judge(struct store *store, const struct identity *identity, struct error *why)
{
    enum rebuild_state state;
    enum worth worth = WORTH_NOTHING;
    if (!has_database(store))
        return worth;
    struct database *db = database_open(store->folder, true, why);
    if (db && identity_check(store, db, identity, why) && read_rebuild(db, &state, why) && check_database(db, why))
        worth = state == REBUILD_RUNS ? WORTH_GOING_ON : WORTH_KEEPING;
    database_close(db);
    return worth;
}

static bool move(const struct store *store, const char *from, const char *to, struct error *err)
{
    return renameat(store->folder_fd, from, store->folder_fd, to) == 0 || errno == ENOENT ||
           error_errno(err, errno, "cannot put %s aside", from);
}

// The database first: a write-ahead log without one is nothing to SQLite.
static bool put_aside(const struct store *store, struct error *err)
{
    enum { ASIDE_MAX = 1000 };
    char name[2 * STORE_NAME_SIZE], log[sizeof name + 8], date[CLOCK_DICOM_DATE_SIZE], time[CLOCK_DICOM_TIME_SIZE];
    int64_t now_ns = clock_now_ns();
    int number = 1;
    clock_dicom_date(date, now_ns);
    clock_dicom_time(time, now_ns);
    do
        snprintf(name, sizeof name, "hilum.db.lost-%s-%.6s-%d", date, time, number);
    while (faccessat(store->folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && ++number <= ASIDE_MAX);
    if (number > ASIDE_MAX)
        return error_set(err, ERROR_LIMIT, "%s holds %d databases that were put aside: remove some", store->folder,
                         ASIDE_MAX);
    snprintf(log, sizeof log, "%s-wal", name);
    if (!move(store, "hilum.db", name, err) || !move(store, "hilum.db-wal", log, err) ||
        !file_sync_folder(store->folder, err))
        return false;
    unlinkat(store->folder_fd, "hilum.db-shm", 0);
    log_info("store", "the old database is %s/%s", store->folder, name);
    return true;
}

bool rebuild_prepare(struct store *store, const struct identity *identity, bool replace, struct error *err)
{
    struct error why = {.code = ERROR_NONE};
    enum worth worth = judge(store, identity, &why);
    if (worth == WORTH_GOING_ON)
        return true;
    if (worth == WORTH_KEEPING && !replace)
        return error_set(err, ERROR_CONFLICT,
                         "the database of %.90s is sound: a rebuild would give up its rules, findings, judgements and "
                         "deliveries. --replace does it all the same",
                         store->folder);
    if (why.code != ERROR_NONE)
        log_warning("store", "the database is given up: %s", why.message);
    return !has_database(store) || put_aside(store, err);
}
