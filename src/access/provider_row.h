// The row of the identity provider: what provider_sql.c does for provider.c.
#ifndef ACCESS_PROVIDER_ROW_H
#define ACCESS_PROVIDER_ROW_H

#include "access/provider.h"
#include "store/database.h"

extern const char provider_tables[]; // a step of the room's migration

// The texts are in `arena`.
bool provider_row_get(struct database *db, struct arena *arena, struct access_provider *out, bool *found,
                      struct error *err);

// Inside a write function.
struct provider_change {
    const struct access_provider *provider; // as wanted; NULL: remove it
    const char *actor;
    int64_t now_ns;
    struct arena *arena;           // for `before`
    bool changed, was_there;       // out
    bool ends;                     // out: whether those who came in by it are out
    struct access_provider before; // out
    int64_t version;               // out
};
bool provider_row_change(struct database *db, struct provider_change *change, struct error *err);

#endif
