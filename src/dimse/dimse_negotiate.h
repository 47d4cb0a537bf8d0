// A-ASSOCIATE-RQ and -AC (PS3.8 sections 9.3.2, 9.3.3 and Annex D): the variable field behind the PDU header.
//
//   2 protocol version   2 reserved   16 called title   16 calling title   32 reserved   items
//   item: 1 type   1 reserved   2 length   value
//     10H application context UID
//     20H presentation context of RQ: identifier, 3 reserved, sub-items 30H abstract syntax, 40H transfer syntaxes
//     21H of AC: identifier, reserved, result, reserved, sub-item 40H
//     50H user information: sub-items 51H maximum length, 52H implementation class UID, 55H implementation version name
#ifndef DIMSE_NEGOTIATE_H
#define DIMSE_NEGOTIATE_H

#include "dimse_association.h"

// Reads the request in association->pdu into association->request. false (failure noted) when it cannot be understood:
// the caller aborts. A request that can be understood but not be accepted has association->reject set.
bool dimse_read_request(struct dimse_association *association);

// Reads the answer in association->pdu into the results of association->request.contexts. false: as above.
bool dimse_read_answer(struct dimse_association *association);

// The whole PDU of association->request, as request or as answer.
void dimse_write_request(const struct dimse_association *association, struct buffer *out);
void dimse_write_answer(const struct dimse_association *association, struct buffer *out);

// A context behind the others, in the arena; NULL when it is full. The contexts' array has DIMSE_CONTEXTS_MAX places.
struct dimse_context *dimse_add_context(struct dimse_association *association, uint8_t id);
bool dimse_reserve_syntaxes(struct dimse_association *association, struct dimse_context *context, size_t count);

// "permanently: calling AE title not recognized", of an A-ASSOCIATE-RJ's result, source and reason.
void dimse_reject_text(const uint8_t reject[3], char *out, size_t capacity);

#endif
