// A new database from the objects in the data folder, with no server beside it.
#include "base/clock.h"
#include "service/internal.h"
#include "service/service.h"

static bool note(struct store *store, const char *audit_key, const char *detail, struct error *err)
{
    struct access *access = access_open(store, store_folder(store), audit_key, err);
    if (!access)
        return false;
    access_audit_change(access, true, "hilum", detail, clock_now_ns());
    access_close(access);
    return true;
}

static bool make_rows(struct store *store, bool reduced, struct archive_rebuild *rebuild, struct archive_counts *counts,
                      struct error *err)
{
    struct image_decoder *decoder = image_decoder_open(reduced, err);
    struct archive *archive = decoder ? archive_open_rebuild(store, decoder, rebuild, err) : NULL;
    bool ok = archive && archive_count(archive, ACCESS_ALL, counts, err) && flow_pass_over(store, archive, err);
    archive_close(archive);
    image_decoder_close(decoder);
    return ok;
}

bool service_rebuild(const struct service_rebuild *rebuild, struct service_rebuilt *out, struct error *err)
{
    const struct store_options options = {.folder = rebuild->folder,
                                          .rebuild = rebuild->replace ? STORE_REBUILD_REPLACE : STORE_REBUILD};
    struct archive_rebuild rows = {.progress = rebuild->progress, .payload = rebuild->payload};
    struct archive_counts counts = {0};
    struct store *store = store_open(&options, err);
    bool ok = store && service_migrate(store, err) && make_rows(store, rebuild->reduced, &rows, &counts, err) &&
              note(store, rebuild->audit_key, "the database was rebuilt from objects", err) &&
              store_rebuild_done(store, rows.unreadable + rows.left_out, err);
    store_close(store);
    *out = (struct service_rebuilt){.objects = counts.instances,
                                    .studies = counts.studies,
                                    .patients = counts.patients,
                                    .conflicts = counts.conflicts,
                                    .unreadable = rows.unreadable,
                                    .left_out = rows.left_out};
    return ok;
}

bool service_rebuild_confirm(const char *folder, const char *audit_key, struct error *err)
{
    struct store *store = store_open(&(struct store_options){.folder = folder}, err);
    bool ok = store && service_migrate(store, err) && store_rebuild_confirm(store, err) &&
              note(store, audit_key, "the rebuild of the database was confirmed", err);
    store_close(store);
    return ok;
}
