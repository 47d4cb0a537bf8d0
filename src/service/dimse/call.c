// Associations that we ask for.
#include "service/internal.h"

const struct dimse_proposal service_echo = {DIMSE_VERIFICATION, {DICOM_TS_IMPLICIT, DICOM_TS_EXPLICIT}};

const struct service_call service_calls[] = {
    {"C-ECHO", &service_echo},
    {"C-STORE", NULL},
    {NULL, NULL},
};

struct dimse_association *dimse_service_call(struct service *service, const struct access_peer *entry,
                                             const struct dimse_proposal *proposals, size_t count,
                                             const struct dimse_timers *timers, struct error *err)
{
    struct dimse_peer peer = {.host = entry->host,
                              .port = entry->port,
                              .called = entry->title,
                              .calling = service->titles.list[0],
                              .fingerprint = entry->certificate};
    if (entry->tls && !(peer.tls = service_tls_side(service->tls, TLS_CLIENT, err)))
        return NULL;
    struct dimse_association *association = dimse_connect(&peer, proposals, count, timers, err);
    tls_release(peer.tls);
    return association;
}
