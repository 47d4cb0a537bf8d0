#include "access/audit_trail.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "access/audit_chain.h"
#include "access/audit_entry.h"
#include "access/audit_walk.h"
#include "base/alarm.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

// What a person says to know.
struct word {
    char by[ACCESS_ACTOR_MAX];                    // who says so; "": nobody
    char tells[ACCESS_TALES][ERROR_MESSAGE_SIZE]; // that he has seen
    struct buffer damages;                        // likewise: texts with a NUL behind each
};

// What is refused, by what is free to invent in it, and how many new ones of each a period has lines for.
enum refused { REFUSED_ASSOCIATION, REFUSED_OBJECT, REFUSED_SUBJECT, REFUSED_ALL };
static const struct {
    int64_t period_ns;
    uint64_t news;
} allowed[REFUSED_ALL] = {
    [REFUSED_ASSOCIATION] = {CLOCK_SECOND, ACCESS_REFUSALS_PER_SECOND},
    [REFUSED_OBJECT] = {60 * CLOCK_SECOND, ACCESS_REFUSALS_PER_MINUTE},
    [REFUSED_SUBJECT] = {60 * CLOCK_SECOND, ACCESS_REFUSALS_PER_MINUTE},
};

struct access_trail {
    pthread_t thread;
    struct store *store;              // or NULL
    struct access_chain chain;        // the thread's
    struct store_audit_head anchored; // the thread's

    pthread_mutex_t lock;
    pthread_cond_t work; // for the thread: dirty, stop or a flush
    pthread_cond_t turn; // for the others: the thread has finished a turn
    struct access_entry_list queue;
    struct access_sums sums;
    size_t bytes; // of all entries, the thread's too
    uint64_t lost, lost_told;
    bool dirty; // something waits to be told
    bool stop;
    char tells[ACCESS_TALES][ERROR_MESSAGE_SIZE]; // what nobody has said to know; "": nothing
    struct word word;                             // for the thread's next turn
    bool walking;                                 // somebody has the whole trail walked through just now
    int waiting;                                  // for that
    pthread_cond_t walked;
    uint64_t flush_wanted, flush_done; // numbers of turns
    bool flush_sums;                   // the next one tells all sums
    struct access_trail_end end;       // as the last turn left it
    bool healthy;
    struct error failure;        // of the last turn, when not healthy
    int64_t seen_ns, seen_at_ns; // the callers' clock, and the monotonic one then
    struct {
        int64_t period;
        uint64_t news; // that have begun a sum in it
    } allowances[REFUSED_ALL];
};

// ---- what callers do

// The clock of the callers, which may be a simulated one.
// Who wants the trail walked through waits so long for others, and so many do: each holds a connection.
enum { TURN_SECONDS = 30, TURNS_MAX = 16 };

static int64_t now_of(const struct access_trail *trail)
{
    return trail->seen_ns + (clock_monotonic_ns() - trail->seen_at_ns);
}

static void wake(struct access_trail *trail)
{
    if (!trail->dirty)
        pthread_cond_signal(&trail->work);
    trail->dirty = true;
}

static void wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t monotonic_ns)
{
    struct timespec until = {.tv_sec = monotonic_ns / CLOCK_SECOND, .tv_nsec = monotonic_ns % CLOCK_SECOND};
    pthread_cond_timedwait(condition, lock, &until);
}

// Slow is better than lost, but a disk that does not take the trail must not stop the images.
static bool make_room(struct access_trail *trail, size_t bytes)
{
    int64_t patience = clock_monotonic_ns() + ACCESS_PATIENCE_MS * CLOCK_MS;
    while (trail->bytes + bytes > ACCESS_WAITING_MAX) {
        if (!trail->healthy || clock_monotonic_ns() >= patience)
            return false;
        wake(trail);
        wait_until(&trail->turn, &trail->lock, patience);
    }
    return true;
}

// A sum that is over leaves the table; what it has not told goes to the queue.
static void retire(struct access_trail *trail, struct access_entry *entry)
{
    access_sum_unlink(&trail->sums, entry);
    if (entry->count > 0) {
        access_entry_append(&trail->queue, entry);
        wake(trail);
    } else {
        trail->bytes -= entry->bytes;
        free(entry);
    }
}

static void add_new(struct access_trail *trail, const struct access_record *record, uint64_t hash, int64_t now_ns)
{
    size_t bytes = access_entry_size(record);
    struct access_entry *entry = make_room(trail, bytes) ? access_entry_new(record, now_ns) : NULL;
    if (!entry) {
        trail->lost++;
        return;
    }
    trail->bytes += bytes;
    wake(trail);
    // make_room may have waited, and another thread may have brought the same key: then it is one line more, no harm.
    if (!access_sum_wanted(record) || access_sum_find(&trail->sums, record, hash)) {
        access_entry_append(&trail->queue, entry);
        return;
    }
    if (trail->sums.count == ACCESS_SUMS_MAX)
        retire(trail, trail->sums.by_age.head);
    access_sum_insert(&trail->sums, entry, hash, now_ns);
}

static bool add_to_sum(struct access_trail *trail, const struct access_record *record, uint64_t hash, int64_t now_ns)
{
    struct access_entry *entry = access_sum_find(&trail->sums, record, hash);
    bool over = entry && access_sum_over(entry, now_ns);
    if (over && !access_sum_goes_on(entry, now_ns)) {
        retire(trail, entry);
        return false;
    }
    if (!entry)
        return false;
    if (over)
        entry->told = false;
    if (over || !entry->told)
        wake(trail);
    if (entry->count++ == 0)
        entry->time_ns = now_ns;
    return true;
}

static const char further[] = "refused too: further requests and objects";

static enum refused refused_of(const struct access_record *record)
{
    if (record->event == ACCESS_EVENT_ASSOCIATION)
        return REFUSED_ASSOCIATION;
    return record->detail == further ? REFUSED_SUBJECT : REFUSED_OBJECT;
}

static bool is_too_new(struct access_trail *trail, enum refused what, int64_t now_ns)
{
    int64_t period = now_ns / allowed[what].period_ns;
    if (trail->allowances[what].period != period) {
        trail->allowances[what].period = period;
        trail->allowances[what].news = 0;
    }
    return trail->allowances[what].news++ >= allowed[what].news;
}

// Titles, addresses and what is asked for are free to invent: past a number in a period the further ones are told
// together, first without what they are about, then without who. false: it is that already.
static bool widen(struct access_record *record)
{
    static const char others[] = "(others)";
    bool is_association = record->event == ACCESS_EVENT_ASSOCIATION, is_object = refused_of(record) == REFUSED_OBJECT;
    if (!is_object && record->actor == others)
        return false;
    record->patient = "";
    record->study = "";
    record->detail = is_association ? "refused associations of further titles and addresses" : further;
    if (is_object)
        return true;
    record->actor = others;
    record->address = "";
    record->verified = "";
    return true;
}

static void put(struct access_trail *trail, const struct access_record *record, int64_t now_ns)
{
    struct access_record wide = *record;
    uint64_t hash = 0;
    if (access_sum_wanted(record)) {
        bool is_new;
        do {
            hash = access_sum_hash(&wide);
            if (add_to_sum(trail, &wide, hash, now_ns))
                return;
            is_new = access_sum_is_refusal(record) && is_too_new(trail, refused_of(&wide), now_ns);
        } while (is_new && widen(&wide));
    }
    add_new(trail, &wide, hash, now_ns);
}

void access_trail_put(struct access_trail *trail, const struct access_record *record, int64_t now_ns)
{
    pthread_mutex_lock(&trail->lock);
    trail->seen_ns = now_ns;
    trail->seen_at_ns = clock_monotonic_ns();
    put(trail, record, now_ns);
    pthread_mutex_unlock(&trail->lock);
}

bool access_trail_healthy(struct access_trail *trail)
{
    pthread_mutex_lock(&trail->lock);
    bool healthy = trail->healthy;
    pthread_mutex_unlock(&trail->lock);
    return healthy;
}

struct access_trail_end access_trail_end(struct access_trail *trail)
{
    pthread_mutex_lock(&trail->lock);
    struct access_trail_end end = trail->end;
    pthread_mutex_unlock(&trail->lock);
    return end;
}

uint64_t access_trail_lost(struct access_trail *trail)
{
    pthread_mutex_lock(&trail->lock);
    uint64_t lost = trail->lost;
    pthread_mutex_unlock(&trail->lock);
    return lost;
}

bool access_trail_flush(struct access_trail *trail, bool sums, struct error *err)
{
    pthread_mutex_lock(&trail->lock);
    uint64_t mine = ++trail->flush_wanted;
    trail->flush_sums = trail->flush_sums || sums;
    pthread_cond_signal(&trail->work);
    while (trail->flush_done < mine)
        pthread_cond_wait(&trail->turn, &trail->lock);
    bool ok = trail->healthy;
    if (!ok)
        *err = trail->failure;
    pthread_mutex_unlock(&trail->lock);
    return ok;
}

// ---- what a person knows of

struct found {
    struct buffer texts; // owned
    size_t count;
};

static void add_damage(void *payload, const struct access_damage *damage)
{
    struct found *found = payload;
    char digest[ACCESS_CHAIN_DIGITS + 1];
    if (damage->known_in > 0 || found->count == ACCESS_DAMAGES_MAX)
        return;
    found->count++;
    text_hex(digest, damage->digest, HASH_SIZE);
    buffer_printf(&found->texts, ACCESS_KNOWN_WORDS "%s: %s", digest, damage->said[0]);
    if (damage->places > 1)
        buffer_printf(&found->texts, "; and %llu more places in it", (unsigned long long)damage->places - 1);
    buffer_byte(&found->texts, '\0');
}

// One at a time: a trail may have gigabytes, and whoever asks for it often would have the disk for himself. The others
// wait for their turn, so that nobody keeps an administrator from it by asking again and again.
static bool take_turn(struct access_trail *trail, struct error *err)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TURN_SECONDS;
    pthread_mutex_lock(&trail->lock);
    bool may_wait = trail->waiting < TURNS_MAX;
    trail->waiting += may_wait;
    while (may_wait && trail->walking && pthread_cond_timedwait(&trail->walked, &trail->lock, &until) == 0)
        continue;
    trail->waiting -= may_wait;
    bool is_mine = !trail->walking;
    trail->walking = true;
    pthread_mutex_unlock(&trail->lock);
    return is_mine || error_set(err, ERROR_BUSY, "the audit trail is walked through for others just now; ask again");
}

static void end_turn(struct access_trail *trail)
{
    pthread_mutex_lock(&trail->lock);
    trail->walking = false;
    pthread_cond_signal(&trail->walked);
    pthread_mutex_unlock(&trail->lock);
}

static bool find_damages(struct access_trail *trail, struct buffer *out, struct error *err)
{
    struct found found;
    struct access_audit_check check = {.wrong = add_damage, .payload = &found, .key = trail->chain.key.path};
    found.count = 0;
    buffer_init(&found.texts, (size_t)ACCESS_DAMAGES_MAX * ACCESS_DETAIL_MAX);
    *out = found.texts;
    if (!take_turn(trail, err))
        return false;
    bool ok = access_audit_check(trail->chain.folder, &check, err) &&
              (!found.texts.failed || error_set(err, ERROR_MEMORY, "no memory for what is damaged in the audit trail"));
    end_turn(trail);
    *out = found.texts;
    return ok;
}

// With the lock: the sentences that a person is shown, and what stands for them and the lines that they are about.
static bool gather(const struct access_trail *trail, const struct buffer *damages, struct access_unknown *out,
                   struct error *err)
{
    static const size_t digest = sizeof ACCESS_KNOWN_WORDS - 1 + ACCESS_CHAIN_DIGITS + 2;
    const char *text = (const char *)damages->data;
    uint8_t parts[2][HASH_SIZE], all[HASH_SIZE];
    buffer_init(&out->texts, (size_t)(ACCESS_DAMAGES_MAX + ACCESS_TALES) * ACCESS_DETAIL_MAX);
    for (enum access_tale tale = 0; tale < ACCESS_TALES; tale++)
        if (trail->tells[tale][0])
            buffer_append(&out->texts, trail->tells[tale], strlen(trail->tells[tale]) + 1);
    for (size_t at = 0; at < damages->size; at += strlen(text + at) + 1)
        buffer_append(&out->texts, text + at + digest, strlen(text + at + digest) + 1);
    hash_of(out->texts.data, out->texts.size, parts[0]);
    hash_of(damages->data, damages->size, parts[1]);
    hash_of(parts, sizeof parts, all);
    text_hex(out->version, all, (sizeof out->version - 1) / 2);
    return !out->texts.failed || error_set(err, ERROR_MEMORY, "no memory for what the audit trail tells");
}

static bool look_through(struct access_trail *trail, struct buffer *damages, struct access_unknown *out,
                         struct error *err)
{
    bool ok = find_damages(trail, damages, err);
    pthread_mutex_lock(&trail->lock);
    buffer_init(&out->texts, 0);
    ok = ok && gather(trail, damages, out, err);
    pthread_mutex_unlock(&trail->lock);
    if (!ok)
        buffer_free(&out->texts);
    return ok;
}

bool access_trail_unknown(struct access_trail *trail, struct access_unknown *out, struct error *err)
{
    struct buffer damages;
    bool ok = look_through(trail, &damages, out, err);
    buffer_free(&damages);
    return ok;
}

// With the lock: the thread's next turn is to tell it. Takes the damages' texts.
static bool take_word(struct access_trail *trail, struct buffer *damages, const char *by, const char *version,
                      struct error *err)
{
    struct access_unknown now;
    bool ok = gather(trail, damages, &now, err), nothing = now.texts.size == 0;
    buffer_free(&now.texts);
    if (!ok)
        return false;
    if (nothing)
        return error_set(err, ERROR_NOT_FOUND,
                         "the audit trail tells of no break, no older database, no missing lines and no damage that "
                         "nobody knows of");
    if (strcmp(version, now.version) != 0)
        return error_set(err, ERROR_CONFLICT,
                         "what the audit trail tells is not what was seen (version %.40s): look at it again", version);
    if (trail->word.by[0])
        return error_set(err, ERROR_BUSY, "somebody else says that he knows just now; ask again");
    text_copy(trail->word.by, sizeof trail->word.by, by);
    memcpy(trail->word.tells, trail->tells, sizeof trail->tells);
    trail->word.damages = *damages;
    buffer_init(damages, 0);
    return true;
}

// What came while it was told stands, and he has not seen it.
static bool nothing_came(struct access_trail *trail, struct error *err)
{
    bool nothing = true;
    pthread_mutex_lock(&trail->lock);
    for (enum access_tale tale = 0; tale < ACCESS_TALES; tale++)
        if (trail->tells[tale][0])
            nothing = error_set(err, ERROR_CONFLICT, "this has come since, and stands: %.180s", trail->tells[tale]);
    pthread_mutex_unlock(&trail->lock);
    return nothing;
}

bool access_trail_acknowledge(struct access_trail *trail, const char *by, const char *version, struct error *err)
{
    struct buffer damages;
    bool ok = find_damages(trail, &damages, err);
    pthread_mutex_lock(&trail->lock);
    ok = ok && take_word(trail, &damages, by, version, err);
    pthread_mutex_unlock(&trail->lock);
    buffer_free(&damages);
    return ok && access_trail_flush(trail, false, err) && nothing_came(trail, err);
}

// ---- what the thread does

// Copies what the sum has not told into the queue; the sum itself stays.
static void tell(struct access_trail *trail, struct access_entry *sum)
{
    struct access_entry *copy = access_entry_new(&sum->record, sum->time_ns);
    if (!copy)
        return; // it stays untold until the next turn
    copy->count = sum->count;
    trail->bytes += copy->bytes;
    access_entry_append(&trail->queue, copy);
    sum->count = 0;
    sum->told = true;
}

// `all`: also the counts of running minutes.
static void collect_sums(struct access_trail *trail, bool all)
{
    int64_t now_ns = now_of(trail);
    for (struct access_entry *entry = trail->sums.by_age.head, *next; entry; entry = next) {
        next = entry->next;
        bool over = access_sum_over(entry, now_ns);
        if (over && !access_sum_goes_on(entry, now_ns))
            retire(trail, entry);
        else if (entry->count > 0 && (over || all || !entry->told))
            tell(trail, entry);
    }
}

// Fills one batch from the list. The entries are kept until it is committed.
static struct access_entry *fill_batch(struct access_trail *trail, struct access_entry *entry)
{
    while (entry && access_chain_add(&trail->chain, &entry->record, entry->time_ns, entry->count))
        entry = entry->next;
    return entry;
}

static size_t drop_until(struct access_entry_list *list, const struct access_entry *end)
{
    size_t bytes = 0;
    while (list->head != end) {
        struct access_entry *entry = list->head;
        list->head = entry->next;
        bytes += entry->bytes;
        free(entry);
    }
    if (!list->head)
        list->tail = NULL;
    return bytes;
}

static bool write_list(struct access_trail *trail, struct access_entry_list *list, size_t *freed, struct error *err)
{
    *freed = 0;
    while (list->head) {
        struct access_entry *end = fill_batch(trail, list->head);
        if (end == list->head)
            return error_set(err, ERROR_MEMORY, "no memory for the audit trail");
        if (!access_chain_commit(&trail->chain, err))
            return false;
        *freed += drop_until(list, end);
    }
    return true;
}

static bool write_line(struct access_trail *trail, bool success, const char *actor, const char *detail, int64_t now_ns,
                       struct error *err)
{
    struct access_record record = {.event = (enum access_event)ACCESS_EVENT_TRAIL,
                                   .success = success,
                                   .actor = actor,
                                   .address = "",
                                   .patient = "",
                                   .study = "",
                                   .detail = detail};
    if (!access_chain_add(&trail->chain, &record, now_ns, 1))
        return error_set(err, ERROR_MEMORY, "no memory for the audit trail");
    return access_chain_commit(&trail->chain, err);
}

static bool write_own(struct access_trail *trail, const char *detail, int64_t now_ns, struct error *err)
{
    return write_line(trail, false, "hilum", detail, now_ns, err);
}

static bool tell_lost(struct access_trail *trail, uint64_t lost, int64_t now_ns, struct error *err)
{
    char detail[128];
    snprintf(detail, sizeof detail, "%llu records were lost while the trail could not be written",
             (unsigned long long)lost);
    return write_own(trail, detail, now_ns, err);
}

static void complain(bool ok, const struct error *failure)
{
    if (ok)
        alarm_clear(ALARM_AUDIT, "writing");
    else
        alarm_raise(ALARM_AUDIT, "writing",
                    "the audit trail cannot be written, it is kept in memory while that lasts: %s", failure->message);
}

// The line is synced: its place may be put down elsewhere, and that `ahead` lines may follow it.
static bool anchor(struct access_trail *trail, uint64_t ahead, struct error *err)
{
    struct store_audit_head head = trail->chain.head;
    head.ahead = ahead;
    head.unwritten = 0;
    if (!trail->store || head.segment == 0 || memcmp(&head, &trail->anchored, sizeof head) == 0)
        return true;
    if (!store_anchor(trail->store, &head, err))
        return false;
    trail->anchored = head;
    trail->chain.unanchored = 0;
    return true;
}

// Before they are written: whatever a kill leaves of so many lines is allowed for [A7b].
static bool make_way(struct access_trail *trail, uint64_t lines, struct error *err)
{
    struct store_audit_head head = trail->anchored;
    uint64_t ahead = trail->chain.unanchored + lines;
    if (!trail->store || ahead <= head.ahead)
        return true;
    head.ahead = ahead > ACCESS_AHEAD ? ahead : ACCESS_AHEAD;
    if (!store_anchor(trail->store, &head, err))
        return false;
    trail->anchored = head;
    return true;
}

// What waits is lost when this process ends before the disk takes it: the next start is to tell. The anchor is written
// in place, so that a full disk takes it.
static void tell_unwritten(struct access_trail *trail)
{
    struct store_audit_head head = trail->anchored;
    struct error ignored; // the alarm has said that nothing can be written
    if (!trail->store || head.segment == 0 || head.unwritten)
        return;
    head.unwritten = 1;
    if (store_anchor(trail->store, &head, &ignored))
        trail->anchored = head;
}

// `text` begins with the tale's words, or with the file and them.
static void raise_tale(enum access_tale tale, const char *text)
{
    if (tale == ACCESS_TALE_OLDER)
        store_alarm_older(strstr(text, ACCESS_OLDER_WORDS) + strlen(ACCESS_OLDER_WORDS));
    else
        alarm_raise(ALARM_AUDIT, access_tales[tale].alarm,
                    "%.180s; find out why, then: hilum audit acknowledge --by NAME", text);
}

static void end_tale(enum access_tale tale)
{
    if (tale == ACCESS_TALE_OLDER)
        store_alarm_older_ends();
    else
        alarm_clear(ALARM_AUDIT, access_tales[tale].alarm);
}

static void set_tells(struct access_trail *trail, enum access_tale tale, const char *text)
{
    pthread_mutex_lock(&trail->lock);
    text_copy(trail->tells[tale], sizeof trail->tells[tale], text);
    pthread_mutex_unlock(&trail->lock);
}

// What the trail must say about its own past, or the database's, is an alarm, and the first line of a file.
static bool confess(struct access_trail *trail, enum access_tale tale, const char *found, int64_t now_ns,
                    struct error *err)
{
    set_tells(trail, tale, found);
    raise_tale(tale, found);
    return access_chain_next_file(&trail->chain, err) && write_own(trail, found, now_ns, err);
}

static bool look(struct access_trail *trail, int64_t now_ns, struct error *err)
{
    char found[ERROR_MESSAGE_SIZE];
    return access_chain_look(&trail->chain, found, err) &&
           (!found[0] || confess(trail, ACCESS_TALE_BREAK, found, now_ns, err));
}

static bool acknowledge_one(struct access_trail *trail, enum access_tale tale, const char *by, int64_t now_ns,
                            struct error *err)
{
    char detail[ACCESS_ACTOR_MAX + 64];
    snprintf(detail, sizeof detail, "%s%s", access_tales[tale].known, by);
    if (!access_chain_next_file(&trail->chain, err) || !write_line(trail, true, by, detail, now_ns, err))
        return false;
    set_tells(trail, tale, "");
    end_tale(tale);
    return true;
}

static bool acknowledge_damages(struct access_trail *trail, const struct buffer *damages, const char *by,
                                int64_t now_ns, struct error *err)
{
    const char *text = (const char *)damages->data;
    bool ok = damages->size == 0 || access_chain_next_file(&trail->chain, err);
    for (size_t at = 0; ok && at < damages->size; at += strlen(text + at) + 1)
        ok = write_line(trail, true, by, text + at, now_ns, err);
    return ok;
}

// Whoever knows of it is told in a file that begins with that. On failure it stands.
static bool acknowledge(struct access_trail *trail, const struct word *word, int64_t now_ns, struct error *err)
{
    for (enum access_tale tale = 0; tale < ACCESS_TALES; tale++)
        if (trail->tells[tale][0] && strcmp(trail->tells[tale], word->tells[tale]) == 0 &&
            !acknowledge_one(trail, tale, word->by, now_ns, err))
            return false;
    return acknowledge_damages(trail, &word->damages, word->by, now_ns, err);
}

static uint64_t count_lines(const struct access_entry_list *list)
{
    uint64_t count = 0;
    for (const struct access_entry *entry = list->head; entry; entry = entry->next)
        count++;
    return count;
}

// That may come of the trail itself in a turn.
static uint64_t own_lines(const struct buffer *damages)
{
    uint64_t count = ACCESS_OWN_LINES;
    for (size_t i = 0; i < damages->size; i++)
        count += damages->data[i] == '\0';
    return count;
}

// What could not be written goes before what came meanwhile.
static void put_back(struct access_trail *trail, struct access_entry_list *list)
{
    if (!list->head)
        return;
    list->tail->next = trail->queue.head;
    if (!trail->queue.head)
        trail->queue.tail = list->tail;
    trail->queue.head = list->head;
}

static void set_end(struct access_trail *trail)
{
    const struct access_chain *chain = &trail->chain;
    trail->end = (struct access_trail_end){chain->segment, chain->safe.size, chain->written};
}

// Called with the lock, which it drops while it writes.
static void turn(struct access_trail *trail)
{
    size_t freed = 0;
    struct error failure = {0};
    uint64_t wanted = trail->flush_wanted;
    trail->dirty = false;
    collect_sums(trail, trail->flush_sums || trail->stop);
    trail->flush_sums = false;
    struct access_entry_list list = trail->queue;
    trail->queue = (struct access_entry_list){0};
    uint64_t lost = trail->lost;
    int64_t now_ns = now_of(trail);
    struct word word = trail->word;
    trail->word.by[0] = '\0';
    buffer_init(&trail->word.damages, 0);
    bool tells_lost = lost != trail->lost_told, stops = trail->stop;
    pthread_mutex_unlock(&trail->lock);
    bool ok = make_way(trail, count_lines(&list) + own_lines(&word.damages), &failure) &&
              look(trail, now_ns, &failure) && write_list(trail, &list, &freed, &failure);
    if (ok && tells_lost && (ok = tell_lost(trail, lost - trail->lost_told, now_ns, &failure)))
        trail->lost_told = lost;
    ok = ok && (!word.by[0] || acknowledge(trail, &word, now_ns, &failure)) &&
         anchor(trail, stops ? 0 : ACCESS_AHEAD, &failure);
    buffer_free(&word.damages);
    complain(ok, &failure);
    if (!ok && (list.head || tells_lost))
        tell_unwritten(trail);
    pthread_mutex_lock(&trail->lock);
    set_end(trail);
    put_back(trail, &list);
    trail->bytes -= freed;
    trail->dirty = trail->dirty || trail->queue.head != NULL; // or set meanwhile
    trail->healthy = ok;
    trail->failure = failure;
    trail->flush_done = wanted;
    pthread_cond_broadcast(&trail->turn);
}

// Gathers for a moment once something waits; looks every second whether a period is over, or a full disk is mended, and
// now and then whether the file is still there.
static void wait_for_work(struct access_trail *trail)
{
    int64_t now_ns = clock_monotonic_ns();
    bool idle = !trail->dirty && trail->sums.count == 0 && trail->healthy;
    int64_t until = now_ns + (trail->healthy && trail->dirty ? ACCESS_GATHER_MS * CLOCK_MS
                              : idle                         ? ACCESS_LOOK_S * CLOCK_SECOND
                                                             : CLOCK_SECOND);
    while (!trail->stop && trail->flush_wanted == trail->flush_done && clock_monotonic_ns() < until) {
        bool was_dirty = trail->dirty;
        wait_until(&trail->work, &trail->lock, until);
        if (!was_dirty && trail->dirty && trail->healthy)
            until = clock_monotonic_ns() + ACCESS_GATHER_MS * CLOCK_MS;
    }
}

static void *run(void *payload)
{
    struct access_trail *trail = payload;
    pthread_mutex_lock(&trail->lock);
    for (bool stop = false; !stop;) {
        wait_for_work(trail);
        stop = trail->stop; // before the turn, which then takes all
        turn(trail);
    }
    pthread_mutex_unlock(&trail->lock);
    return NULL;
}

// ---- open and close

static void init_locks(struct access_trail *trail)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&trail->lock, NULL);
    pthread_cond_init(&trail->work, &attributes);
    pthread_cond_init(&trail->turn, &attributes);
    pthread_cond_init(&trail->walked, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void free_trail(struct access_trail *trail)
{
    buffer_free(&trail->word.damages);
    access_entry_free_all(&trail->queue);
    access_entry_free_all(&trail->sums.by_age);
    access_chain_close(&trail->chain);
    pthread_cond_destroy(&trail->turn);
    pthread_cond_destroy(&trail->walked);
    pthread_cond_destroy(&trail->work);
    pthread_mutex_destroy(&trail->lock);
    free(trail);
}

// [A7b] More lines behind the anchored one than an anchor ever allowed for: it is an older copy, and so is the
// database, or the store would have told.
static void compare_with_anchor(struct access_trail *trail)
{
    char why[ERROR_MESSAGE_SIZE];
    uint64_t behind = trail->chain.unanchored;
    if (!trail->store || trail->chain.broken || trail->anchored.segment == 0 || behind <= trail->anchored.ahead)
        return;
    snprintf(why, sizeof why, "the audit trail has %llu lines more than it and its anchor know of",
             (unsigned long long)behind);
    if (!store_older(trail->store)[0])
        store_tell_older(trail->store, why);
}

static bool tell_older(struct access_trail *trail, struct error *err)
{
    char found[ERROR_MESSAGE_SIZE];
    if (!trail->store || !store_older(trail->store)[0])
        return true;
    snprintf(found, sizeof found, ACCESS_OLDER_WORDS "%.150s", store_older(trail->store));
    return confess(trail, ACCESS_TALE_OLDER, found, trail->seen_ns, err);
}

// What an earlier process held when it ended.
static bool tell_missing(struct access_trail *trail, struct error *err)
{
    char found[ERROR_MESSAGE_SIZE];
    if (!trail->anchored.unwritten)
        return true;
    snprintf(found, sizeof found,
             ACCESS_MISSING_WORDS "the server ended while the trail could not be written; line %llu was before that",
             (unsigned long long)trail->anchored.line);
    return confess(trail, ACCESS_TALE_MISSING, found, trail->seen_ns, err);
}

static bool tell_cut(struct access_trail *trail, const char *found, struct error *err)
{
    log_warning("access", "%s", found);
    return make_way(trail, 1, err) && write_own(trail, found, trail->seen_ns, err);
}

// What was told at an earlier start, and nobody has said to know.
static bool tell_again(struct access_trail *trail, const char *folder, struct error *err)
{
    struct access_standing standing;
    if (!access_walk_standing(folder, &standing, err))
        return false;
    for (enum access_tale tale = 0; tale < ACCESS_TALES; tale++) {
        if (!standing.text[tale][0] || trail->tells[tale][0])
            continue;
        set_tells(trail, tale, standing.text[tale]);
        raise_tale(tale, standing.text[tale]);
    }
    return true;
}

static bool open_chain(struct access_trail *trail, const char *folder, const char *key, uint64_t segment_max,
                       struct error *err)
{
    char found[ERROR_MESSAGE_SIZE];
    if (trail->store)
        store_anchored_audit(trail->store, &trail->anchored);
    if (!access_chain_open(&trail->chain, folder, key, &trail->anchored, found, err))
        return false;
    trail->chain.segment_max = segment_max;
    compare_with_anchor(trail);
    bool ok = true;
    if (trail->chain.broken)
        ok = confess(trail, ACCESS_TALE_BREAK, found, trail->seen_ns, err);
    else if (found[0])
        ok = tell_cut(trail, found, err);
    return ok && tell_older(trail, err) && tell_missing(trail, err) && anchor(trail, ACCESS_AHEAD, err) &&
           tell_again(trail, folder, err);
}

struct access_trail *access_trail_open(struct store *store, const char *folder, const char *key, uint64_t segment_max,
                                       struct error *err)
{
    struct access_trail *trail = calloc(1, sizeof *trail);
    if (!trail) {
        error_set(err, ERROR_MEMORY, "no memory for the audit trail");
        return NULL;
    }
    trail->store = store;
    trail->healthy = true;
    trail->seen_ns = clock_now_ns();
    trail->seen_at_ns = clock_monotonic_ns();
    buffer_init(&trail->word.damages, 0);
    init_locks(trail);
    bool ok = open_chain(trail, folder, key, segment_max, err);
    set_end(trail);
    if (ok && pthread_create(&trail->thread, NULL, run, trail) != 0)
        ok = error_set(err, ERROR_MEMORY, "cannot start the audit thread");
    if (ok)
        return trail;
    free_trail(trail);
    return NULL;
}

void access_trail_close(struct access_trail *trail)
{
    if (!trail)
        return;
    pthread_mutex_lock(&trail->lock);
    trail->stop = true;
    pthread_cond_signal(&trail->work);
    pthread_mutex_unlock(&trail->lock);
    pthread_join(trail->thread, NULL);
    free_trail(trail);
}
