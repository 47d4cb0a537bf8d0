// Walking the records of a container whose bytes may be anything.
#ifndef STORE_SCAN_H
#define STORE_SCAN_H

#include "store/format.h"

struct scan {
    struct store *store;
    const struct store_replay *replay; // its `known` is asked
    uint64_t container;
    int fd;
    uint64_t size; // of the file
    uint64_t at;   // where the next header is looked for
    uint64_t end;  // behind the last record accepted
    uint8_t id[STORE_ID_SIZE];
    uint8_t *block; // owned
};

enum scan_kind {
    SCAN_NEW,   // header, data and meta text agree; no rows
    SCAN_KNOWN, // has rows, so it was synced before: the data are not read again
    SCAN_VOID   // has a tombstone
};

bool scan_begin(struct scan *scan, struct store *store, const struct store_replay *replay, uint64_t container, int fd,
                struct error *err);
// The next record that counts; *found false at the end. A power cut can only tear what comes last in a lane. If valid
// records follow a bad place then the disk did it, and they are taken all the same.
bool scan_next(struct scan *scan, struct format_record *out, enum scan_kind *kind, bool *found, struct error *err);
void scan_end(struct scan *scan);

#endif
