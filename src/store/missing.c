// Containers that rows tell of and that are not there [A8].
#include <stdio.h>
#include <stdlib.h>

#include "base/alarm.h"
#include "store/pack.h"

struct absent {
    uint64_t container;
    bool packed; // the table lists it as a pack; else it was a lane, which may have gone without a record
};

struct search {
    struct store *store;
    const struct store_replay *replay;
    uint64_t *lanes, *packs; // numbers of the files, ascending
    size_t lane_count, pack_count;
    struct absent *absent;
    size_t count, capacity;
};

static bool add(struct search *search, struct absent absent, struct error *err)
{
    if (search->count == search->capacity) {
        size_t capacity = search->capacity ? 2 * search->capacity : 64;
        struct absent *grown = realloc(search->absent, capacity * sizeof *grown);
        if (!grown)
            return error_set(err, ERROR_MEMORY, "no memory for the numbers of %zu containers", search->count);
        search->absent = grown;
        search->capacity = capacity;
    }
    search->absent[search->count++] = absent;
    return true;
}

static bool compare_rows(struct search *search, struct database *db, struct error *err)
{
    struct sql *sql = sql_prepare(db, "SELECT number, packed FROM container WHERE packed < 2 ORDER BY number", err);
    bool row = true, ok = sql != NULL;
    while (ok && (ok = sql_step(sql, &row, err)) && row) {
        uint64_t number = (uint64_t)sql_int(sql, 0);
        if (!store_list_has(search->packs, search->pack_count, number) &&
            !store_list_has(search->lanes, search->lane_count, number))
            ok = add(search, (struct absent){number, sql_int(sql, 1) == 1}, err);
    }
    sql_done(sql);
    return ok;
}

static bool find(struct search *search, struct error *err)
{
    struct store *store = search->store;
    if (!store_list(store->lanes_fd, ".lane", &search->lanes, &search->lane_count, err) ||
        !store_list(store->packs_fd, ".pack", &search->packs, &search->pack_count, err))
        return false;
    struct database *db = store_read_begin(store, err);
    bool ok = db && compare_rows(search, db, err);
    store_read_end(store, db);
    return ok;
}

// A lane without a row of an object is none that somebody misses: a crash came before its first record, or all it got
// was refused.
static bool sort_out(struct search *search, size_t *missing, struct error *err)
{
    *missing = 0;
    for (size_t i = 0; i < search->count; i++) {
        struct absent absent = search->absent[i];
        bool named = absent.packed;
        if (!named && !search->replay->names(search->replay->payload, absent.container, &named, err))
            return false;
        if (named)
            search->absent[(*missing)++] = absent;
        else
            pack_forget(search->store, absent.container);
    }
    return true;
}

static void tell(const struct search *search, size_t missing)
{
    enum { TOLD = 6 };
    char numbers[TOLD * 24] = "";
    for (size_t i = 0, size = 0; i < missing && i < TOLD; i++)
        size += (size_t)snprintf(numbers + size, sizeof numbers - size, "%s%llu", i > 0 ? ", " : "",
                                 (unsigned long long)search->absent[i].container);
    if (missing > 0)
        alarm_raise(ALARM_CONTAINER, "packs",
                    "%zu files with objects are not there (%s%s): restore them from a backup. Reading these objects "
                    "fails until then",
                    missing, numbers, missing > TOLD ? ", ..." : "");
}

bool missing_find(struct store *store, const struct store_replay *replay, struct error *err)
{
    struct search search = {.store = store, .replay = replay};
    size_t missing = 0;
    bool ok = find(&search, err) && sort_out(&search, &missing, err);
    if (ok)
        tell(&search, missing);
    free(search.absent);
    free(search.lanes);
    free(search.packs);
    return ok;
}
