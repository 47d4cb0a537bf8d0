// A store alone, to try the power-cut layer on. `run` appends records from two threads and writes down what was
// acknowledged, with the time; `check` opens what a power cut left and compares. Before its last life `run` has some
// that end with a kill when a record is written and not synced, so that starts replay; and there are quiet times in it,
// so that lanes begin as spare files.
//
//     driver run FOLDER ANSWERS COUNT
//     driver life FOLDER ANSWERS NUMBER     (run's own: until a fault ends it)
//     driver check FOLDER ANSWERS CUT_NS
//
// ANSWERS has a line for each answer: TIME_NS, then + (stored), - (refused), ! (a durable row) or = (an anchored line
// of an audit trail, by its number), then the name.
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/clock.h"
#include "store/database.h"
#include "store/event.h"
#include "store/format.h"
#include "store/store.h"

enum { THREADS = 2, DATA_MAX = 200000, PER_LANE = 20, LIVES = 6, OBJECTS_PER_KILL = 9, QUIET_LANES = 4 };
static const uint64_t spare_bytes = 4 << 20;
static const int64_t quiet_ns = 900 * CLOCK_MS; // enough for spare files to be made

struct writer {
    struct store *store;
    const char *folder;
    int answers_fd;
    int number;
    int count;
    pthread_barrier_t *quiet;
    uint64_t *anchored; // lines in this life, of all writers
    bool no_spare;      // after a quiet time there was none
};

struct row {
    const char *name;
    struct store_record record;
    bool fail;
};

static const char *const schema[] = {
    "CREATE TABLE object(name TEXT PRIMARY KEY, container INTEGER NOT NULL, offset INTEGER NOT NULL, filler BLOB) "
    "STRICT;"
    "CREATE TABLE note(name TEXT PRIMARY KEY) STRICT",
    NULL,
};

// ---- what an object holds follows from its name

static size_t bytes_of(const char *name, uint8_t *out)
{
    uint8_t digest[HASH_SIZE];
    hash_of(name, strlen(name), digest);
    uint64_t state;
    memcpy(&state, digest, sizeof state);
    size_t size = digest[9] % 8 == 0 ? (size_t)(state % DATA_MAX) : (size_t)(state % 9000);
    for (size_t i = 0; i < size; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(state >> 56);
    }
    return size;
}

// ---- rows

static bool insert_object(struct database *db, void *payload, struct error *err)
{
    static const uint8_t filler[600];
    const struct row *row = payload;
    if (!sql_run(db, err, "INSERT INTO object(name, container, offset, filler) VALUES (?, ?, ?, ?)", "tiib", row->name,
                 (int64_t)row->record.place.container, (int64_t)row->record.place.offset, (const void *)filler,
                 sizeof filler) ||
        !store_event_add(db, STORE_EVENT_OBJECT_STORED, "", row->name, NULL, err))
        return false;
    return !row->fail || error_set(err, ERROR_CONFLICT, "refused on request");
}

static bool insert_note(struct database *db, void *payload, struct error *err)
{
    return sql_run(db, err, "INSERT INTO note(name) VALUES (?)", "t", (const char *)payload);
}

static bool known(void *payload, const struct store_place *place, bool *out, struct error *err)
{
    int64_t one;
    struct database *db = store_read_begin(payload, err);
    bool ok = db && sql_get_int(db, err, &one, out, "SELECT 1 FROM object WHERE container = ? AND offset = ?", "ii",
                                (int64_t)place->container, (int64_t)place->offset);
    store_read_end(payload, db);
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
    struct row row = {.name = meta, .record = *record};
    (void)meta_size;
    return store_write(payload, STORE_REPLAYABLE, insert_object, &row, err);
}

static struct store *open_store(const char *folder)
{
    static const struct store_migration migration = {.room = "driver", .steps = schema};
    struct error err;
    struct store_replayed replayed;
    struct store *store = store_open(&(struct store_options){.folder = folder, .spare_bytes = spare_bytes}, &err);
    struct store_replay replay = {.names = names, .known = known, .record = take, .payload = store};
    if (store && store_migrate(store, &migration, &err) && store_replay(store, &replay, false, &replayed, &err))
        return store;
    printf("cannot start: %s\n", err.message);
    return NULL;
}

// ---- run

static void answer(const struct writer *writer, char what, const char *name)
{
    dprintf(writer->answers_fd, "%" PRId64 " %c%s\n", clock_monotonic_ns(), what, name);
}

static bool put(const struct writer *writer, struct store_lane *lane, struct row *row, struct error *err)
{
    uint8_t *data = malloc(DATA_MAX);
    size_t size = bytes_of(row->name, data);
    bool ok = store_record_begin(lane, err) && store_record_write(lane, data, size, err) &&
              store_record_seal(lane, row->name, strlen(row->name), &row->record, err);
    free(data);
    if (!ok || store_write(writer->store, STORE_REPLAYABLE, insert_object, row, err))
        return ok;
    struct error withdrawn;
    if (!row->fail || !store_record_withdraw(writer->store, &row->record, &withdrawn))
        return false;
    return error_set(err, ERROR_CONFLICT, "withdrawn");
}

// A trail of which only the numbers are real: they rise over all lives.
static bool anchor(struct writer *writer, struct error *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char name[32];
    struct store_audit_head head;
    pthread_mutex_lock(&lock);
    store_anchored_audit(writer->store, &head);
    head = (struct store_audit_head){.segment = 1, .line = head.line + ++*writer->anchored};
    bool ok = store_anchor(writer->store, &head, err);
    snprintf(name, sizeof name, "%" PRIu64, head.line);
    if (ok)
        answer(writer, '=', name);
    pthread_mutex_unlock(&lock);
    return ok;
}

static bool has_spare(const char *folder)
{
    char path[4096];
    uint64_t *numbers = NULL;
    size_t count = 0;
    struct error err;
    snprintf(path, sizeof path, "%.4000s/lanes", folder);
    int lanes = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = lanes >= 0 && store_list(lanes, ".spare", &numbers, &count, &err);
    free(numbers);
    close(lanes);
    return ok && count > 0;
}

static void be_quiet(struct writer *writer)
{
    pthread_barrier_wait(writer->quiet);
    clock_sleep_ns(quiet_ns);
    writer->no_spare = writer->no_spare || !has_spare(writer->folder);
    pthread_barrier_wait(writer->quiet);
}

static void *write_all(void *payload)
{
    struct writer *writer = payload;
    struct store_lane *lane = NULL;
    struct error err;
    for (int i = 0; i < writer->count; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d-%d", writer->number, i);
        struct row row = {.name = name, .fail = i % 10 == 9};
        if (!lane)
            lane = store_lane_open(writer->store, &err);
        if (put(writer, lane, &row, &err))
            answer(writer, '+', name);
        else if (row.fail && err.code == ERROR_CONFLICT)
            answer(writer, '-', name);
        else
            fprintf(stderr, "%s: %s\n", name, err.message);
        if (i % 7 == 6 && store_write(writer->store, STORE_DURABLE, insert_note, name, &err))
            answer(writer, '!', name);
        if (i % 3 == 2 && !anchor(writer, &err))
            fprintf(stderr, "%s\n", err.message);
        if (i % PER_LANE == PER_LANE - 1) {
            if (!store_lane_close(lane, &err))
                fprintf(stderr, "%s\n", err.message);
            lane = NULL;
        }
        if (i % (PER_LANE * QUIET_LANES) == PER_LANE * QUIET_LANES - 1)
            be_quiet(writer);
    }
    store_lane_close(lane, &err);
    return NULL;
}

static int live(const char *folder, const char *answers, int count, int life)
{
    struct writer writers[THREADS];
    pthread_t threads[THREADS];
    pthread_barrier_t quiet;
    bool spares = true;
    uint64_t anchored = 0;
    struct store *store = open_store(folder);
    int fd = open(answers, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (!store || fd < 0)
        return 1;
    pthread_barrier_init(&quiet, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){store, folder, fd, life * THREADS + i, count, &quiet, &anchored, false};
        if (pthread_create(&threads[i], NULL, write_all, &writers[i]) != 0)
            return 1;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        spares = spares && !writers[i].no_spare;
    }
    if (!spares)
        fprintf(stderr, "no spare file was made in a quiet time\n");
    close(fd);
    store_close(store);
    return !spares;
}

// A life of its own process, with a fault, until it is killed.
static bool live_and_die(const char *folder, const char *answers, int life)
{
    char number[16], fault[64];
    int status;
    snprintf(number, sizeof number, "%d", life);
    snprintf(fault, sizeof fault, "lane.after_write:%d", OBJECTS_PER_KILL * (life + 1));
    pid_t pid = fork();
    if (pid == 0) {
        setenv("HILUM_FAULT", fault, 1);
        execl("/proc/self/exe", "powercut-driver", "life", folder, answers, number, (char *)NULL);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static int run(const char *folder, const char *answers, int count)
{
    for (int life = 0; life < LIVES; life++) {
        if (!live_and_die(folder, answers, life)) {
            fprintf(stderr, "life %d did not end with a kill\n", life);
            return 1;
        }
    }
    return live(folder, answers, count, LIVES);
}

// ---- check

static bool has(struct store *store, const char *table, const char *name, struct store_place *place)
{
    struct error err;
    char text[128];
    bool row = false;
    snprintf(text, sizeof text, "SELECT %s FROM %s WHERE name = ?", place ? "container, offset" : "1", table);
    struct database *db = store_read_begin(store, &err);
    struct sql *sql = db ? sql_prepare_made(db, text, &err) : NULL;
    if (sql) {
        sql_bind_text(sql, 1, name);
        if (!sql_step(sql, &row, &err))
            printf("%s: %s\n", name, err.message);
        if (row && place)
            *place = (struct store_place){(uint64_t)sql_int(sql, 0), (uint64_t)sql_int(sql, 1)};
    }
    sql_done(sql);
    store_read_end(store, db);
    return row;
}

static bool is_whole(struct store *store, const char *name)
{
    static uint8_t data[DATA_MAX];
    struct store_place place;
    struct buffer bytes;
    struct error err;
    size_t size = bytes_of(name, data);
    if (!has(store, "object", name, &place)) {
        printf("%s is lost: no row\n", name);
        return false;
    }
    buffer_init(&bytes, DATA_MAX);
    bool ok = store_read(store, &place, &bytes, &err);
    if (!ok)
        printf("%s is lost: %s\n", name, err.message);
    else if (bytes.size != size || (size > 0 && memcmp(bytes.data, data, size) != 0)) {
        printf("%s has other bytes\n", name);
        ok = false;
    }
    buffer_free(&bytes);
    return ok;
}

static bool is_anchored(struct store *store, const char *name)
{
    struct store_audit_head head;
    store_anchored_audit(store, &head);
    return head.line >= strtoull(name, NULL, 10);
}

static bool check_answer(struct store *store, char what, const char *name)
{
    static const char *const wrong[] = {"was refused and is there", "is lost: a durable row",
                                        "is lost: an anchored line"};
    if (what == '+')
        return is_whole(store, name);
    bool good = what == '-'   ? !has(store, "object", name, NULL)
                : what == '!' ? has(store, "note", name, NULL)
                              : is_anchored(store, name);
    if (!good)
        printf("%s %s\n", name, wrong[what == '-' ? 0 : what == '!' ? 1 : 2]);
    return good;
}

static int check_answers(struct store *store, FILE *answers, int64_t cut_ns)
{
    char name[64], what;
    int64_t time_ns;
    int bad = 0;
    while (fscanf(answers, "%" SCNd64 " %c%63s", &time_ns, &what, name) == 3)
        if (time_ns < cut_ns)
            bad += !check_answer(store, what, name);
    return bad;
}

// Rows come after their record's sync, acknowledged or not.
static int check_rows(struct store *store)
{
    struct error err;
    int bad = 0;
    bool row = true;
    struct database *db = store_read_begin(store, &err);
    struct sql *sql = db ? sql_prepare(db, "SELECT name FROM object", &err) : NULL;
    while (sql && sql_step(sql, &row, &err) && row)
        bad += !is_whole(store, sql_text(sql, 0));
    sql_done(sql);
    store_read_end(store, db);
    return bad + row; // of a query that failed
}

// A pack is never seen without its whole index: looked at before the store is opened.
static int check_packs(const char *folder)
{
    char path[4096];
    uint64_t *numbers = NULL, records, offset;
    size_t count = 0;
    struct error err;
    int bad = 0;
    snprintf(path, sizeof path, "%.4000s/packs", folder);
    int packs = open(path, O_RDONLY | O_DIRECTORY);
    if (packs < 0 || !store_list(packs, ".pack", &numbers, &count, &err))
        count = 0;
    for (size_t i = 0; i < count; i++) {
        char name[STORE_NAME_SIZE];
        store_pack_name(name, numbers[i]);
        int fd = openat(packs, name, O_RDONLY);
        bool ok = fd >= 0 && format_index_check(fd, &records, &offset, &err);
        if (!ok)
            printf("%s: %s\n", name, err.message);
        bad += !ok;
        close(fd);
    }
    free(numbers);
    close(packs);
    return bad;
}

// A power cut is nothing that an administrator has to look after.
static int check_alarms(void)
{
    static struct alarm alarms[ALARMS_MAX];
    uint64_t unlisted;
    size_t count = alarm_list(alarms, &unlisted);
    for (size_t i = 0; i < count; i++)
        printf("an alarm about %s: %s\n", alarms[i].subject, alarms[i].text);
    return (int)count;
}

static int check(const char *folder, const char *answers, int64_t cut_ns)
{
    int bad = check_packs(folder);
    struct store *store = open_store(folder);
    FILE *file = fopen(answers, "r");
    if (!store || !file)
        return 1;
    bad += check_answers(store, file, cut_ns) + check_rows(store) + check_alarms();
    fclose(file);
    store_close(store);
    return bad > 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "run") == 0)
        return run(argv[2], argv[3], (int)strtol(argv[4], NULL, 10));
    if (argc == 5 && strcmp(argv[1], "life") == 0)
        return live(argv[2], argv[3], INT_MAX, (int)strtol(argv[4], NULL, 10));
    if (argc == 5 && strcmp(argv[1], "check") == 0)
        return check(argv[2], argv[3], strtoll(argv[4], NULL, 10));
    fprintf(stderr, "usage: driver run FOLDER ANSWERS COUNT | driver check FOLDER ANSWERS CUT_NS\n");
    return 2;
}
