// Who has called us lately, as he named himself, and what he was answered: in memory, for who looks why a peer does not
// talk. Also of titles and addresses that have no entry.
#ifndef ACCESS_CALLERS_H
#define ACCESS_CALLERS_H

#include "access/access.h"

enum { ACCESS_CALLERS_MAX = 256 }; // titles, called titles and addresses; past it the one heard of longest ago goes

struct access_caller {
    char title[ACCESS_TITLE_SIZE];   // the calling AE title
    char called[ACCESS_TITLE_SIZE];  // as whom he called us
    char address[48];                // numeric
    char peer[ACCESS_NAME_SIZE];     // the entry by which he was admitted last; "": none
    uint64_t admitted, refused;      // since the start, or since he came back into the list
    int64_t admitted_ns, refused_ns; // the last of each; 0: never
    enum access_answer answer;       // of the last refusal
    char why[ERROR_MESSAGE_SIZE];    // its words
};

// All, those heard of last first, in `arena`; any thread. MEMORY.
bool access_callers(struct access *access, struct arena *arena, struct access_caller **out, size_t *count,
                    struct error *err);

#endif
