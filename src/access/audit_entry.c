#include "access/audit_entry.h"

#include <stdlib.h>
#include <string.h>

#include "access/audit_line.h"
#include "base/clock.h"
#include "base/text.h"

#define MINUTE (60 * CLOCK_SECOND)

enum { TEXTS = 6 };

static const size_t limits[TEXTS] = {ACCESS_ACTOR_MAX, ACCESS_ADDRESS_MAX,  ACCESS_PATIENT_MAX,
                                     ACCESS_STUDY_MAX, ACCESS_VERIFIED_MAX, ACCESS_DETAIL_MAX};

static void texts_of(const struct access_record *record, const char *out[TEXTS])
{
    const char *const texts[TEXTS] = {record->actor, record->address,  record->patient,
                                      record->study, record->verified, record->detail};
    for (size_t i = 0; i < TEXTS; i++)
        out[i] = texts[i] ? texts[i] : "";
}

// One byte past the limit is kept, so that the line's writer sees the cut.
static size_t kept(const char *text, size_t i)
{
    return strnlen(text, limits[i] + 1);
}

void access_entry_append(struct access_entry_list *list, struct access_entry *entry)
{
    entry->next = NULL;
    entry->previous = list->tail;
    if (list->tail)
        list->tail->next = entry;
    else
        list->head = entry;
    list->tail = entry;
}

void access_entry_free_all(struct access_entry_list *list)
{
    while (list->head) {
        struct access_entry *entry = list->head;
        list->head = entry->next;
        free(entry);
    }
    list->tail = NULL;
}

size_t access_entry_size(const struct access_record *record)
{
    const char *texts[TEXTS];
    size_t size = sizeof(struct access_entry);
    texts_of(record, texts);
    for (size_t i = 0; i < TEXTS; i++)
        size += kept(texts[i], i) + 1;
    return size;
}

struct access_entry *access_entry_new(const struct access_record *record, int64_t now_ns)
{
    const char *texts[TEXTS];
    size_t bytes = access_entry_size(record);
    struct access_entry *entry = malloc(bytes);
    if (!entry)
        return NULL;
    *entry = (struct access_entry){.time_ns = now_ns, .count = 1, .bytes = bytes};
    char *to = (char *)(entry + 1);
    texts_of(record, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        size_t size = kept(texts[i], i);
        text_copy_n(to, size + 1, texts[i], size);
        texts[i] = to;
        to += size + 1;
    }
    entry->record = (struct access_record){.event = record->event,
                                           .success = record->success,
                                           .actor = texts[0],
                                           .address = texts[1],
                                           .patient = texts[2],
                                           .study = texts[3],
                                           .verified = texts[4],
                                           .detail = texts[5]};
    return entry;
}

// ---- sums

static bool is_association(const struct access_record *record)
{
    return (record->event == ACCESS_EVENT_ASSOCIATION || record->event == ACCESS_EVENT_LOGIN) && !record->success;
}

bool access_sum_is_refusal(const struct access_record *record)
{
    return record->event == ACCESS_EVENT_REFUSED || is_association(record);
}

bool access_sum_wanted(const struct access_record *record)
{
    return record->event == ACCESS_EVENT_STORED || record->event == ACCESS_EVENT_QUERY ||
           record->event == ACCESS_EVENT_RETRIEVED || record->event == ACCESS_EVENT_AUDIT_USED ||
           access_sum_is_refusal(record);
}

// How many of the texts tell sums apart: all but the detail, which is what somebody asked and an example of the rest.
static size_t texts_apart(const struct access_record *record)
{
    bool asks = record->event == ACCESS_EVENT_QUERY || record->event == ACCESS_EVENT_AUDIT_USED ||
                record->event == ACCESS_EVENT_REFUSED;
    return asks ? TEXTS : TEXTS - 1;
}

// FNV-1a over what tells sums apart, each text with its end.
uint64_t access_sum_hash(const struct access_record *record)
{
    const char *texts[TEXTS];
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)record->event << 1 ^ (uint64_t)record->success;
    texts_of(record, texts);
    for (size_t i = 0; i < texts_apart(record); i++) {
        size_t size = kept(texts[i], i);
        for (size_t k = 0; k < size; k++)
            hash = (hash ^ (uint8_t)texts[i][k]) * UINT64_C(0x100000001b3);
        hash *= UINT64_C(0x100000001b3);
    }
    return hash;
}

static bool same(const struct access_entry *entry, const struct access_record *record)
{
    const char *mine[TEXTS], *texts[TEXTS];
    if (entry->record.event != record->event || entry->record.success != record->success)
        return false;
    texts_of(&entry->record, mine);
    texts_of(record, texts);
    for (size_t i = 0; i < texts_apart(record); i++)
        if (strncmp(mine[i], texts[i], limits[i] + 1) != 0)
            return false;
    return true;
}

struct access_entry *access_sum_find(struct access_sums *sums, const struct access_record *record, uint64_t hash)
{
    struct access_entry *entry = sums->buckets[hash % ACCESS_SUM_BUCKETS];
    while (entry && (entry->hash != hash || !same(entry, record)))
        entry = entry->same_bucket;
    return entry;
}

void access_sum_insert(struct access_sums *sums, struct access_entry *entry, uint64_t hash, int64_t now_ns)
{
    struct access_entry **bucket = &sums->buckets[hash % ACCESS_SUM_BUCKETS];
    entry->hash = hash;
    entry->same_bucket = *bucket;
    *bucket = entry;
    entry->until_ns = is_association(&entry->record) ? now_ns + CLOCK_SECOND : (now_ns / MINUTE + 1) * MINUTE;
    access_entry_append(&sums->by_age, entry);
    sums->count++;
}

void access_sum_unlink(struct access_sums *sums, struct access_entry *entry)
{
    struct access_entry **at = &sums->buckets[entry->hash % ACCESS_SUM_BUCKETS];
    while (*at != entry)
        at = &(*at)->same_bucket;
    *at = entry->same_bucket;
    if (entry->previous)
        entry->previous->next = entry->next;
    else
        sums->by_age.head = entry->next;
    if (entry->next)
        entry->next->previous = entry->previous;
    else
        sums->by_age.tail = entry->previous;
    sums->count--;
}

bool access_sum_over(const struct access_entry *entry, int64_t now_ns)
{
    return now_ns >= entry->until_ns || now_ns < entry->until_ns - MINUTE;
}

bool access_sum_goes_on(struct access_entry *entry, int64_t now_ns)
{
    if (!is_association(&entry->record) || entry->count == 0)
        return false;
    entry->until_ns = now_ns + CLOCK_SECOND;
    return true;
}
