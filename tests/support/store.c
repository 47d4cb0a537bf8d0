#include "support/store.h"

struct store *open_store(const char *folder, const struct store_migration *const rooms[], struct error *err)
{
    struct store *store = store_open(&(struct store_options){.folder = folder}, err);
    for (; store && *rooms; rooms++)
        if (!store_migrate(store, *rooms, err)) {
            store_close(store);
            return NULL;
        }
    return store;
}
