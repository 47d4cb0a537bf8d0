#include "archive/archive.h"

#include <stdlib.h>
#include <string.h>

#include "archive/internal.h"
#include "archive/rows.h"
#include "base/log.h"

bool archive_uid_is_usable(const char *uid)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-";
    size_t size = strlen(uid);
    return size > 0 && size < DICOM_UID_SIZE && *uid != '.' && strspn(uid, allowed) == size && strcspn(uid, ".-") > 0;
}

// ---- start: records whose rows a crash took

// A record that cannot be understood now was understood when it was acknowledged: that is a defect to hear of, not a
// reason to keep all the others away.
static bool take_again(void *payload, const struct store_record *record, const char *meta, size_t meta_size,
                       struct error *err)
{
    struct archive *archive = payload;
    if (archive_put_again(archive, record, meta, meta_size, err))
        return true;
    if (err->code == ERROR_FULL || err->code == ERROR_BUSY || err->code == ERROR_IO || err->code == ERROR_MEMORY)
        return false;
    log_error("archive", "record %llu of container %llu stays without rows: %s", (unsigned long long)record->arrival,
              (unsigned long long)record->place.container, err->message);
    if (archive->rebuild)
        archive->rebuild->left_out++;
    return true;
}

static void show(void *payload, const char *what, uint64_t done, uint64_t total)
{
    const struct archive_rebuild *rebuild = ((const struct archive *)payload)->rebuild;
    if (rebuild && rebuild->progress)
        rebuild->progress(rebuild->payload, what, done, total);
}

static bool start(struct archive *archive, struct error *err)
{
    struct store_replay replay = {
        .names = rows_named, .known = rows_known, .record = take_again, .payload = archive, .progress = show};
    struct store_replayed replayed = {0};
    if (!store_migrate(archive->store, &rows_migration, err) || !rows_complete_names(archive->store, err) ||
        !store_replay(archive->store, &replay, archive->rebuild != NULL, &replayed, err))
        return false;
    if (archive->rebuild)
        archive->rebuild->unreadable = replayed.unreadable;
    if (replayed.records > 0)
        log_info("archive", "%llu objects were taken up again", (unsigned long long)replayed.records);
    return true;
}

struct archive *archive_open_rebuild(struct store *store, struct image_decoder *decoder,
                                     struct archive_rebuild *rebuild, struct error *err)
{
    struct archive *archive = calloc(1, sizeof *archive);
    if (!archive) {
        error_set(err, ERROR_MEMORY, "no memory for the archive");
        return NULL;
    }
    archive->store = store;
    archive->decoder = decoder;
    archive->rebuild = rebuild;
    bool ok = start(archive, err);
    archive->rebuild = NULL;
    if (ok)
        return archive;
    free(archive);
    return NULL;
}

struct archive *archive_open(struct store *store, struct image_decoder *decoder, struct error *err)
{
    return archive_open_rebuild(store, decoder, NULL, err);
}

void archive_close(struct archive *archive)
{
    free(archive);
}

struct store *archive_store(const struct archive *archive)
{
    return archive->store;
}
