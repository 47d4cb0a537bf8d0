// Every service of DIMSE that a peer may use here, in one place. What comes next is a row more.
#include "service/dimse/dimse_service.h"

#include <string.h>

// The peer's first transfer syntax, but explicit VR little endian before implicit: it keeps the VRs of private
// attributes.
static const char *choose_transfer(const struct dimse_context *context)
{
    const char *first = context->proposed_count > 0 ? context->proposed[0] : NULL;
    if (!first || strcmp(first, DICOM_TS_IMPLICIT) != 0)
        return first;
    for (size_t i = 1; i < context->proposed_count; i++)
        if (strcmp(context->proposed[i], DICOM_TS_EXPLICIT) == 0)
            return context->proposed[i];
    return first;
}

static const char *choose_plain_transfer(const struct dimse_context *context)
{
    for (size_t i = 0; i < context->proposed_count; i++)
        if (strcmp(context->proposed[i], DICOM_TS_IMPLICIT) == 0 ||
            strcmp(context->proposed[i], DICOM_TS_EXPLICIT) == 0)
            return context->proposed[i];
    return NULL;
}

static bool answer_echo(struct dimse_session *session, const struct dimse_message *message, struct error *err)
{
    return dimse_respond(session->association, message, 0x0000, NULL, err);
}

// A row without its action does not compile.
#pragma GCC diagnostic error "-Wmissing-field-initializers"
const struct dimse_offer dimse_offers[] = {
    {"C-ECHO", DIMSE_VERIFICATION, DIMSE_SCU, ACCESS_TO_SEE_HEALTH, DIMSE_C_ECHO_RQ, choose_plain_transfer,
     answer_echo},
    {"C-STORE", NULL, DIMSE_SCU, ACCESS_TO_STORE, DIMSE_C_STORE_RQ, choose_transfer, dimse_session_store},
    {NULL, NULL, DIMSE_SCU, 0, 0, NULL, NULL},
};

static bool is_of(const struct dimse_offer *offer, const char *sop_class)
{
    return offer->sop_class ? strcmp(offer->sop_class, sop_class) == 0 : dicom_sop_class_is_storage(sop_class);
}

const struct dimse_offer *dimse_offer_of_class(const char *sop_class, enum dimse_role role)
{
    for (const struct dimse_offer *offer = dimse_offers; offer->name; offer++)
        if (offer->role == role && is_of(offer, sop_class))
            return offer;
    return NULL;
}

const struct dimse_offer *dimse_offer_of_message(const struct dimse_message *message)
{
    for (const struct dimse_offer *offer = dimse_offers; offer->name; offer++)
        if (offer->command == message->command && is_of(offer, message->context->abstract))
            return offer;
    return NULL;
}
