// What comes under a SOP Instance UID that is there already: the same object, or a conflict.
#include <string.h>

#include "archive/compare.h"
#include "archive/internal.h"
#include "archive/rows.h"
#include "base/log.h"

static bool count_versions(struct archive *archive, struct rows_object *object, struct error *err)
{
    struct database *db = store_read_begin(archive->store, err);
    bool ok = db && rows_versions(db, object, &object->beside, &object->same, err);
    store_read_end(archive->store, db);
    return ok;
}

// The sender may delete what is called the same: so what is stored is read first.
static bool prove_same(struct archive *archive, struct rows_object *object, uint64_t size, struct error *err)
{
    struct archive_object known = {.sop_instance = object->sop_instance, .place = object->same.place, .size = size};
    struct error why;
    memcpy(known.digest, object->record.digest, sizeof known.digest);
    if (archive_prove(archive, &known, &why))
        return true;
    if (why.code != ERROR_IO && why.code != ERROR_DAMAGED) {
        *err = why;
        return false;
    }
    object->is_lost = true;
    log_warning("archive", "object %s came again, and what was stored of it is lost (%s): it is stored anew",
                object->sop_instance, why.message);
    return true;
}

static bool compare_with(struct archive *archive, const struct compare_side *newer, const struct archive_object *known,
                         struct arena *arena, struct compare *out, struct error *err)
{
    struct compare_side other = {.transfer_syntax = known->transfer_syntax, .charset = known->charset};
    struct error why;
    if (!archive_prove(archive, known, &why) || !archive_reader(archive, known, &other.reader, &why)) {
        *out = (struct compare){.result = COMPARE_UNKNOWN};
        memcpy(out->reason, why.message, sizeof out->reason);
        return true;
    }
    bool ok = compare_objects(newer, &other, archive->decoder, arena, out, err);
    reader_release(&other.reader);
    return ok;
}

// What came of it, in the arena. `turned`: the other one is said to differ.
static bool keep(struct arena *arena, const struct compare *compare, bool turned, struct rows_against *out,
                 struct error *err)
{
    static const enum archive_conflict_kind kinds[] = {[COMPARE_SAME] = ARCHIVE_OTHER_ATTRIBUTES,
                                                       [COMPARE_ATTRIBUTES] = ARCHIVE_OTHER_ATTRIBUTES,
                                                       [COMPARE_MEANING] = ARCHIVE_OTHER_MEANING,
                                                       [COMPARE_PIXELS] = ARCHIVE_OTHER_PIXELS,
                                                       [COMPARE_UNKNOWN] = ARCHIVE_NOT_COMPARED};
    struct archive_difference *unlike = arena_calloc(arena, COMPARE_SHOWN, sizeof *unlike);
    if (!unlike)
        return error_set(err, ERROR_LIMIT, "no memory for what differs in two objects");
    for (size_t i = 0; i < compare->count; i++) {
        const struct archive_difference *one = &compare->differences[i];
        unlike[i] = turned ? (struct archive_difference){one->tag, one->known, one->said} : *one;
    }
    out->kind = kinds[compare->result];
    out->unlike = unlike;
    out->unlike_count = compare->count;
    return true;
}

// The differences from the one that is served.
static bool keep_served(struct rows_object *object, const struct compare *compare, struct error *err)
{
    struct rows_against served;
    if (!keep(object->arena, compare, false, &served, err))
        return false;
    object->kind = served.kind;
    object->unlike = served.unlike;
    object->unlike_count = served.unlike_count;
    if (compare->result == COMPARE_UNKNOWN)
        log_warning("archive", "object %s came again and cannot be compared: %s", object->sop_instance,
                    compare->reason);
    return true;
}

// The served one first, then the others.
static bool compare_all(struct archive *archive, struct rows_object *object, const struct reader *reader,
                        struct error *err)
{
    const struct compare_side newer = {*reader, object->transfer_syntax, object->charset};
    struct archive_object *known;
    struct compare compare;
    size_t count;
    if (!archive_versions(archive, ACCESS_ALL, object->sop_instance, object->arena, &known, &count, err))
        return false;
    object->beside = count;
    object->against_count = 0;
    for (size_t i = 0; i < count && i < ROWS_VERSIONS_COMPARED; i++) {
        struct rows_against *against = &object->against[object->against_count++];
        if (!compare_with(archive, &newer, &known[i], object->arena, &compare, err))
            return false;
        if (compare.result == COMPARE_SAME) {
            object->outcome = ARCHIVE_SAME;
            object->is_set_aside = i > 0;
            return true;
        }
        against->instance = known[i].id;
        if (!keep(object->arena, &compare, true, against, err) || (i == 0 && !keep_served(object, &compare, err)))
            return false;
    }
    return true;
}

static bool compare_stored(struct archive *archive, const struct archive_object *other,
                           const struct archive_object *served, struct arena *arena, struct rows_against *out,
                           struct error *err)
{
    struct compare_side side = {.transfer_syntax = other->transfer_syntax, .charset = other->charset};
    struct compare compare = {.result = COMPARE_UNKNOWN};
    struct error why;
    bool ok = true;
    if (archive_prove(archive, other, &why) && archive_reader(archive, other, &side.reader, &why)) {
        ok = compare_with(archive, &side, served, arena, &compare, err);
        reader_release(&side.reader);
    }
    out->instance = other->id;
    return ok && keep(arena, &compare, false, out, err);
}

static const struct archive_object *find_id(const struct archive_object *versions, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++)
        if (versions[i].id == id)
            return &versions[i];
    return NULL;
}

bool archive_compare_versions(struct archive *archive, const char *sop_instance, int64_t id, struct arena *arena,
                              struct rows_against **out, size_t *count, size_t *versions, struct error *err)
{
    struct archive_object *known;
    *count = 0;
    *out = arena_calloc(arena, ROWS_VERSIONS_COMPARED, sizeof **out);
    if (!*out)
        return error_set(err, ERROR_LIMIT, "no memory for the versions of %s", sop_instance);
    if (!archive_versions(archive, ACCESS_ALL, sop_instance, arena, &known, versions, err))
        return false;
    const struct archive_object *served = find_id(known, *versions, id);
    for (size_t i = 0; served && i < *versions && *count < ROWS_VERSIONS_COMPARED; i++)
        if (&known[i] != served && !compare_stored(archive, &known[i], served, arena, &(*out)[(*count)++], err))
            return false;
    return true;
}

bool archive_settle(struct archive *archive, struct rows_object *object, const struct reader *reader, struct error *err)
{
    object->is_lost = false;
    if (!count_versions(archive, object, err))
        return false;
    object->is_set_aside = object->same.id && !object->same.is_served;
    object->outcome = object->same.id ? ARCHIVE_SAME : object->beside > 0 ? ARCHIVE_KEPT_BESIDE : ARCHIVE_STORED;
    return object->same.id ? prove_same(archive, object, reader->size, err)
                           : object->beside == 0 || compare_all(archive, object, reader, err);
}

bool archive_needs_record(const struct rows_object *object)
{
    return object->outcome != ARCHIVE_SAME || object->is_lost;
}

static void log_conflict(const struct rows_object *object)
{
    static const char *const words[] = {[ARCHIVE_OTHER_ATTRIBUTES] = "other attributes",
                                        [ARCHIVE_OTHER_PIXELS] = "other pixels",
                                        [ARCHIVE_NOT_COMPARED] = "what could not be compared",
                                        [ARCHIVE_OTHER_MEANING] = "attributes that change what its pixels mean"};
    log_warning("archive", "object %s of study %s came again, %s, with %s: %s is served", object->sop_instance,
                object->study, object->event.how, words[object->kind],
                object->outcome == ARCHIVE_REPLACED ? "the newer one" : "the one that was there");
}

bool archive_commit_rows(struct archive *archive, struct rows_object *object, const struct reader *reader,
                         struct error *err)
{
    do {
        if (!store_write(archive->store, STORE_REPLAYABLE, rows_put, object, err) ||
            (object->is_stale && !archive_settle(archive, object, reader, err)))
            return false;
    } while (object->is_stale && archive_needs_record(object));
    if (object->is_mended) {
        store_mended(&object->same.place);
        log_warning("archive", "object %s is whole again: container %llu has it", object->sop_instance,
                    (unsigned long long)object->record.place.container);
    }
    if (object->outcome == ARCHIVE_KEPT_BESIDE || object->outcome == ARCHIVE_REPLACED)
        log_conflict(object);
    return true;
}
