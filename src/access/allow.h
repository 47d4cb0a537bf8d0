// Who may do what: one table of roles and actions (allow.c), which `hilum access table` prints. What has no cell in it
// is refused, so that an action or a role that comes later may do nothing until somebody has decided.
//
// Whoever asks for something is a subject, however he came: by HTTP, by DICOM, later with a login or a token. People
// and programs hold roles; a DICOM peer holds the rights of its entry (enum access_right), which the same table maps to
// actions: there is no second system of rights.
//
// Threads: any. Nothing here allocates or fails but by refusing.
#ifndef ACCESS_ALLOW_H
#define ACCESS_ALLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "access/access.h"
#include "base/error.h"

enum access_action {          // none is 0: who asks has to say what for
    ACCESS_TO_SEE_HEALTH = 1, // whether it serves: what a monitor, or C-ECHO, asks
    ACCESS_TO_LOAD_PAGE,      // the program of the page, without any data
    ACCESS_TO_SEE_STATUS,     // version, titles, ports, counts
    ACCESS_TO_SEE_OPERATION,  // metrics, deliveries
    ACCESS_TO_OPERATE,        // ask another system who it is
    ACCESS_TO_SEE_CONFIGURATION,
    ACCESS_TO_CONFIGURE,       // peers, rules, targets
    ACCESS_TO_ENTER_MODELS,    // which models there are; which images they are asked about is for the rules
    ACCESS_TO_QUERY,           // find patients and studies: their data, the reading list, their flags
    ACCESS_TO_RETRIEVE,        // objects and their pixels
    ACCESS_TO_STORE,           // bring objects in
    ACCESS_TO_RECEIVE,         // be sent objects: another system's part
    ACCESS_TO_SEE_RESULTS,     // what models said of a study, and what became of it: jobs, results, findings
    ACCESS_TO_LABEL,           // say who sees a study
    ACCESS_TO_JUDGE,           // findings, conflicts, what is read; and to ask the models again
    ACCESS_TO_EXPORT,          // send to other systems again
    ACCESS_TO_LOG_IN,          // say who one is, and that one leaves
    ACCESS_TO_MANAGE_ACCOUNTS, // accounts, sessions and tokens of others
    ACCESS_TO_SEE_AUDIT,
    ACCESS_TO_ACKNOWLEDGE, // say to know of what the audit trail tells, which also frees what waits for that
    ACCESS_ACTION_END
};

enum access_role {
    ACCESS_RADIOLOGIST,
    ACCESS_RESIDENT,
    ACCESS_TECHNOLOGIST,
    ACCESS_ADMINISTRATOR,
    ACCESS_MODEL_OWNER,
    ACCESS_AUDITOR,
    ACCESS_SERVICE, // another program, not a person
    ACCESS_ROLE_END
};
enum { ACCESS_ROLES_ALL = (1 << ACCESS_ROLE_END) - 1 };

enum access_kind {
    ACCESS_LOCAL,  // a program or person on loopback, without a login
    ACCESS_PEER,   // another DICOM system, by title and address
    ACCESS_USER,   // a person who has logged in
    ACCESS_TOKEN,  // a program with a token
    ACCESS_NOBODY, // who came by HTTP and has neither, where one is needed
    ACCESS_KIND_END
};

struct access_subject { // all zero: may do nothing
    enum access_kind kind;
    char name[ACCESS_NAME_SIZE];    // as the audit trail shows it; a peer's is its title
    char address[ACCESS_HOST_SIZE]; // numeric; of an entry its host
    unsigned roles;                 // 1 << enum access_role each
    unsigned rights;                // enum access_right, of a peer
    uint64_t labels;                // bits of the labels whose studies he sees (label.h)
    bool verified;                  // that it is who it says; a title and an address are no proof
};

// Who asks on loopback without a login: holds every role, is verified by nothing.
struct access_subject access_local_subject(const char *address);
// Who came by HTTP without a login, where one is needed: may do what anybody may.
struct access_subject access_nobody(const char *address);
// As entered, or as made up for a peer on loopback (struct access_ticket).
struct access_subject access_peer_subject(const struct access_peer *peer, const char *address);

bool access_allows(const struct access_subject *subject, enum access_action action);
// The same; false is FORBIDDEN, and names subject and action in words, and who may: "peer CT1 at 10.0.0.7 may not query
// patients and studies; that takes the role radiologist, ..., or a peer's right find".
bool access_check(const struct access_subject *subject, enum access_action action, struct error *err);

// What he does not see.
struct access_scope access_scope_of(const struct access_subject *subject);

// ---- for who shows the table

const char *access_action_words(enum access_action action); // "query patients and studies"
const char *access_role_words(enum access_role role);       // "model owner"
const char *access_right_word(enum access_right right);     // "find"

#endif
