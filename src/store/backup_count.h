// How many rows each table has, which is kept with a backup and compared when it is put back.
#ifndef STORE_BACKUP_COUNT_H
#define STORE_BACKUP_COUNT_H

#include <jansson.h>

#include "store/database.h"

// {"object": 12, ...}; the caller's.
bool backup_count_tables(struct database *db, json_t **out, struct error *err);

#endif
