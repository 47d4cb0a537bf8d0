// Messages in P-DATA-TF PDUs (PS3.7 section 6.3, PS3.8 Annex E), from the inside.
#ifndef DIMSE_MESSAGE_H
#define DIMSE_MESSAGE_H

#include "dimse_association.h"

// Sends a command set, and the data set when `data` is not NULL, in PDUs as long as the peer allows. false: the
// association has failed, or the source has (then *err is the source's).
bool dimse_send_message(struct dimse_association *association, const struct dimse_message *message,
                        const struct source *data, struct error *err);

#endif
