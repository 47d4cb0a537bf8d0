// A delivery by C-STORE: one object to one peer, in the transfer syntax it has.
#include "service/deliver.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/reader.h"
#include "dimse/dimse.h"

enum { BLOCK = 128 << 10, SECONDS = 30 };

// PS3.4 table B.2-1: of the Bxxx, which say that the object is stored.
static void describe_warning(uint16_t status, const char *comment, char out[DELIVER_WARNING_SIZE])
{
    static const struct {
        uint16_t status;
        const char *meaning;
    } known[] = {{0xB000, "coercion of data elements"},
                 {0xB006, "elements discarded"},
                 {0xB007, "the data set does not match the SOP class"}};
    const char *meaning = "a warning";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].status == status)
            meaning = known[i].meaning;
    snprintf(out, DELIVER_WARNING_SIZE, "the peer took it, and warns with %04XH (%s)%s%s", status, meaning,
             *comment ? ": " : "", comment);
}

static bool send(struct service *service, struct dimse_association *association, const struct archive_object *object,
                 enum queue_failure *how, char warning[DELIVER_WARNING_SIZE], struct error *err)
{
    uint16_t status = 0;
    char comment[65] = "";
    const struct dimse_context *context = dimse_context_for(association, object->sop_class, object->transfer_syntax);
    if (!context) {
        *how = QUEUE_REFUSED;
        return error_set(err, ERROR_UNSUPPORTED, "the peer does not take SOP class %s in transfer syntax %s",
                         object->sop_class, object->transfer_syntax);
    }
    struct source_reader from = {.block_size = BLOCK};
    if (!archive_proved_reader(service->archive, object, &from.reader, err))
        return false;
    from.block = malloc(BLOCK);
    bool ok = from.block != NULL || error_set(err, ERROR_MEMORY, "no memory to send");
    if (ok) {
        *how = QUEUE_UNCERTAIN;
        ok = dimse_store(association, context, object->sop_class, object->sop_instance, source_from_reader(&from),
                         &status, comment, err);
    }
    free(from.block);
    reader_release(&from.reader);
    if (!ok && err->code == ERROR_DAMAGED) // told before the last fragment, so the target has no object
        *how = QUEUE_DAMAGED;
    // PS3.4 Annex B.2.3: Bxxx are warnings, the object is stored. A7xx says that there is no room now, 0110 that
    // something failed there: another try may succeed.
    if (ok && (status & 0xF000) == 0xB000)
        describe_warning(status, comment, warning);
    if (!ok || status == 0 || (status & 0xF000) == 0xB000)
        return ok;
    *how = (status & 0xFF00) == 0xA700 || status == 0x0110 ? QUEUE_NOT_TAKEN : QUEUE_REFUSED;
    return error_set(err, ERROR_CONFLICT, "the peer answered %04XH %s", status, comment);
}

static bool may_receive(const struct access_peer *entry)
{
    struct access_subject peer = access_peer_subject(entry, entry->host);
    return access_allows(&peer, ACCESS_TO_RECEIVE);
}

bool deliver_dicom(struct service *service, const struct queue_delivery *delivery, enum queue_failure *how,
                   char warning[DELIVER_WARNING_SIZE], struct error *err)
{
    static const struct dimse_timers timers = {
        .artim_ns = SECONDS * CLOCK_SECOND, .idle_ns = SECONDS * CLOCK_SECOND, .transfer_ns = SECONDS * CLOCK_SECOND};
    struct access_peer entry;
    struct archive_object *object;
    struct arena arena;
    size_t count = 0;
    *how = QUEUE_NOT_TAKEN;
    arena_init(&arena, 1 << 20);
    bool ok = access_peer_get(service->access, delivery->target, &entry, err);
    if (ok && !may_receive(&entry))
        ok = error_set(err, ERROR_FORBIDDEN, "peer '%s' has no right 'target'; enter it with hilum peer add",
                       entry.name);
    if (ok) {
        ok = archive_objects(service->archive, ACCESS_ALL, NULL, NULL, delivery->subject, &arena, &object, &count, err);
        if (!ok && err->code == ERROR_NOT_FOUND) // nothing will bring it back by itself
            *how = QUEUE_REFUSED;
    }
    struct dimse_association *association = NULL;
    if (ok) {
        struct dimse_proposal proposal = {object->sop_class, {object->transfer_syntax}};
        association = dimse_service_call(service, &entry, &proposal, 1, &timers, err);
        ok = association && send(service, association, object, how, warning, err);
    }
    if (ok) {
        struct error ignored; // the object is there, however the goodbye goes
        dimse_release(association, &ignored);
    } else {
        dimse_close(association);
    }
    arena_free(&arena);
    return ok;
}
