// A record kept in memory, and the table of sums. No locks here: the trail's lock is held around it.
#ifndef ACCESS_AUDIT_ENTRY_H
#define ACCESS_AUDIT_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/access.h"

struct access_entry {
    struct access_entry *next, *previous; // in the queue (next only), or in the sums by age
    struct access_entry *same_bucket;
    struct access_record record; // its texts lie behind the entry
    uint64_t hash;
    int64_t time_ns;  // of the first access not told yet
    int64_t until_ns; // end of the period
    uint64_t count;   // not told yet
    size_t bytes;     // of this allocation
    bool told;        // at least once
};

struct access_entry_list {
    struct access_entry *head, *tail;
};

void access_entry_append(struct access_entry_list *list, struct access_entry *entry);
void access_entry_free_all(struct access_entry_list *list);

size_t access_entry_size(const struct access_record *record);
struct access_entry *access_entry_new(const struct access_record *record, int64_t now_ns); // NULL out of memory

enum { ACCESS_SUM_BUCKETS = 1024 };

struct access_sums {
    struct access_entry *buckets[ACCESS_SUM_BUCKETS];
    struct access_entry_list by_age;
    size_t count;
};

bool access_sum_wanted(const struct access_record *record);
bool access_sum_is_refusal(const struct access_record *record); // of an association, an object or a request
struct access_entry *access_sum_find(struct access_sums *sums, const struct access_record *record, uint64_t hash);
uint64_t access_sum_hash(const struct access_record *record);
void access_sum_insert(struct access_sums *sums, struct access_entry *entry, uint64_t hash, int64_t now_ns);
void access_sum_unlink(struct access_sums *sums, struct access_entry *entry);
// Whether now is outside its period: later, or (the clock was set back) long before.
bool access_sum_over(const struct access_entry *entry, int64_t now_ns);
// Begins its next period; a refused association's runs on while it is used.
bool access_sum_goes_on(struct access_entry *entry, int64_t now_ns);

#endif
