// A store for the tests of a room above it.
#ifndef SUPPORT_STORE_H
#define SUPPORT_STORE_H

#include "store/database.h"
#include "store/store.h"

// Opens the store of a folder with the tables of these rooms (NULL-ended). The caller closes it; NULL with *err.
struct store *open_store(const char *folder, const struct store_migration *const rooms[], struct error *err);

#endif
