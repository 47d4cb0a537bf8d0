// What the files of this room share.
#ifndef ACCESS_INTERNAL_H
#define ACCESS_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/access.h"
#include "access/audit_trail.h"
#include "access/callers.h"

enum { ACCESS_ADDRESS_SIZE = 48, ACCESS_RESOLVED_MAX = 8 };

// A peer as admission needs it. `addresses` are those of a host that is a name.
struct access_known {
    struct access_peer peer;
    uint64_t labels; // peer.labels as bits
    bool numeric;
    bool resolved;
    int64_t resolved_ns;
    size_t count;
    char addresses[ACCESS_RESOLVED_MAX][ACCESS_ADDRESS_SIZE];
};

// The associations of one title and address; a row exists while there are any, so there are never more rows than
// associations.
struct access_count {
    char title[ACCESS_TITLE_SIZE];
    char address[ACCESS_ADDRESS_SIZE];
    uint32_t count;
};

struct access {
    struct store *store;
    struct access_trail *trail;
    struct login *login;

    pthread_mutex_t reload_lock;  // taken before `lock`: one reload at a time, so that the last one has the last word
    pthread_mutex_t resolve_lock; // taken before `lock`: one look-up of a name at a time

    pthread_mutex_t lock;       // what is below
    struct access_known *known; // owned, by name
    size_t known_count;
    uint64_t known_version; // raised by each reload
    struct access_count counts[ACCESS_ASSOCIATIONS_ALL];
    size_t count_rows;
    uint32_t total, without_entry;
    struct access_caller callers[ACCESS_CALLERS_MAX];
    size_t caller_count;
};

// ---- callers.c

void access_note_call(struct access *access, const char *called, const char *calling,
                      const struct access_ticket *ticket, enum access_answer answer, int64_t now_ns);

// ---- admit.c

// Looks the name of its host up, of which known->addresses are then those found; may wait for a server of names.
void access_resolve(struct access_known *known);

// ---- peer.c

bool access_peers_reload(struct access *access, struct error *err);
// The numeric address in one form: IPv4 inside IPv6 unwrapped, letters small. Any other text is copied (and cut).
void access_canonical(char out[ACCESS_ADDRESS_SIZE], const char *address, bool *numeric);
// An AE title as PS3.5 has it, without what has ever been a path or a wildcard.

// ---- access_sql.c

struct access_peer_change {
    const struct access_peer *peer; // as wanted; NULL: remove
    const char *name;
    const char *actor;
    int64_t now_ns;
    bool changed;              // out: false when it is as wanted already
    bool was_there;            // out
    struct access_peer before; // out, when it was
    int64_t version;           // out
};

bool access_sql_peer_change(struct database *db, struct access_peer_change *change, struct error *err);
bool access_sql_peer_get(struct database *db, const char *name, struct access_peer *out, bool *found,
                         struct error *err);
bool access_sql_peer_count(struct database *db, int64_t *out, struct error *err);
bool access_sql_peer_list(struct database *db, struct arena *arena, struct access_peer **out, size_t *count,
                          struct error *err);

#endif
