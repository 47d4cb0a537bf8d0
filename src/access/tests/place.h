// A folder of its own for each test, with what the room needs opened in it.
#ifndef ACCESS_TESTS_PLACE_H
#define ACCESS_TESTS_PLACE_H

#include <sys/resource.h>

#include "support/check.h"
#include "support/folder.h"

#include "access/access.h"
#include "store/store.h"

enum { PLACE_PATH = 256 };

struct place {
    char folder[PLACE_PATH];
    char audit[PLACE_PATH + 8];
    struct store *store;
    struct access *access;
    struct error err;
};

void place_open(struct place *place); // a new folder
void place_reopen(struct place *place);
void place_close(struct place *place);

// How long a file that this process writes may become; RLIM_INFINITY: as long as the disk lets it.
void place_limit_files(rlim_t size);

// The whole audit trail as one text, files in order; the caller frees.
char *place_trail(const char *folder);
size_t place_count(const char *text, const char *part); // occurrences
uint64_t place_sum_counts(const char *text);            // of all lines

int test_login(void);
int test_peers(void);
int test_provider(void);
int test_admission(void);
int test_allow(void);
int test_labels(void);
int test_audit(void);
int test_audit_anchor(void);
int test_audit_chain(void);
int test_audit_read(void);

#endif
