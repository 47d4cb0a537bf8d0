// Associations that we ask for.
#include "base/text.h"
#include "service/internal.h"

const struct dimse_proposal service_echo = {DIMSE_VERIFICATION, {DICOM_TS_IMPLICIT, DICOM_TS_EXPLICIT}};

const struct service_call service_calls[] = {
    {"C-ECHO", &service_echo},
    {"C-STORE", NULL},
    {NULL, NULL},
};

bool dimse_service_may_call(const struct access_peer *entry)
{
    return entry->tls || entry->plain_accepted || access_address_is_loopback(entry->host) ||
           text_same_fold(entry->host, "localhost");
}

struct dimse_association *dimse_service_call(struct service *service, const struct access_peer *entry,
                                             const struct dimse_proposal *proposals, size_t count,
                                             const struct dimse_timers *timers, struct error *err)
{
    struct dimse_peer peer = {.host = entry->host,
                              .port = entry->port,
                              .called = entry->title,
                              .calling = service->titles.list[0],
                              .fingerprint = entry->certificate};
    if (!dimse_service_may_call(entry)) {
        error_set(err, ERROR_FORBIDDEN,
                  "%.60s is off loopback, and its entry allows neither TLS (tls: required) nor that it is spoken with "
                  "without (plain: accepted): change the entry of %.60s",
                  entry->host, entry->name);
        return NULL;
    }
    if (entry->tls && !(peer.tls = service_tls_side(service->tls, TLS_CLIENT, err)))
        return NULL;
    struct dimse_association *association = dimse_connect(&peer, proposals, count, timers, err);
    tls_release(peer.tls);
    return association;
}
