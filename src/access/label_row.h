// Inside the access room: the rows of labels.
#ifndef ACCESS_LABEL_ROW_H
#define ACCESS_LABEL_ROW_H

#include "access/label.h"

struct label_change {
    const struct access_label *label; // as wanted; of a removal its name
    struct access_scope scope;        // of who removes
    bool changed;                     // out: false when it is as wanted already
    bool was_there;                   // out
    struct access_label before, now;  // out
};

extern const char label_tables[]; // a step of the room's migration

bool label_row_get(struct database *db, const char *name, struct access_label *out, bool *found, struct error *err);
bool label_rows(struct database *db, struct access_label out[ACCESS_LABELS_MAX], size_t *count, struct error *err);
// Inside a write function.
bool label_row_put(struct database *db, struct label_change *change, struct error *err);
bool label_row_remove(struct database *db, struct label_change *change, struct error *err);
// Of a list of names. What is no label is refused, or, with `enter` and inside a write function, entered as one.
bool label_bits(struct database *db, const char *names, bool enter, uint64_t *out, struct error *err);
// The same by rows that were read; what is none of them gives nothing.
uint64_t label_bits_of(const struct access_label *labels, size_t count, const char *names);

// The sets of labels that studies have, with how many have each.
bool label_row_sets(struct database *db, struct access_unseen out[ACCESS_UNSEEN_MAX], size_t *count, struct error *err);

#endif
