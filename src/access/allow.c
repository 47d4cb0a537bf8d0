// The table of who may do what, and its one reader.
#include "access/allow.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum {
    RADIOLOGIST = 1 << ACCESS_RADIOLOGIST,
    RESIDENT = 1 << ACCESS_RESIDENT,
    TECHNOLOGIST = 1 << ACCESS_TECHNOLOGIST,
    ADMINISTRATOR = 1 << ACCESS_ADMINISTRATOR,
    MODEL_OWNER = 1 << ACCESS_MODEL_OWNER,
    AUDITOR = 1 << ACCESS_AUDITOR,
    SERVICE = 1 << ACCESS_SERVICE,
    READERS = RADIOLOGIST | RESIDENT, // their judgements weigh differently once there are preliminary ones
    CLINIC = READERS | TECHNOLOGIST,  // who looks after patients
    ANY_PEER = ACCESS_STORE | ACCESS_FIND | ACCESS_GET | ACCESS_TARGET, // an entry has one right at least
};

// Technologists keep images coming and results going, and change no rules. Administrators run the system, find studies
// and see what became of them, but look at no images and judge nothing. Model owners enter models and see what these
// say, no images. Auditors see the audit trail alone; to acknowledge is the administrator's, since it sets going what
// was held back.
static const struct {
    const char *words; // behind "may" and "may not"
    unsigned roles;    // who may: a role that is not named may not
    unsigned rights;   // of a peer, any of them
    bool anybody;      // also who has not logged in
} actions[ACCESS_ACTION_END] = {
    [ACCESS_TO_SEE_HEALTH] = {"see whether it serves", ACCESS_ROLES_ALL, ANY_PEER, true},
    [ACCESS_TO_LOAD_PAGE] = {"load the page", CLINIC | ADMINISTRATOR | MODEL_OWNER | AUDITOR, 0, true},
    [ACCESS_TO_SEE_STATUS] = {"see the status", CLINIC | ADMINISTRATOR | MODEL_OWNER | SERVICE, 0},
    [ACCESS_TO_SEE_OPERATION] = {"see the operation", TECHNOLOGIST | ADMINISTRATOR | SERVICE, 0},
    [ACCESS_TO_OPERATE] = {"operate the system", ADMINISTRATOR, 0},
    [ACCESS_TO_SEE_CONFIGURATION] = {"see the configuration", TECHNOLOGIST | ADMINISTRATOR | MODEL_OWNER, 0},
    [ACCESS_TO_CONFIGURE] = {"change the configuration", ADMINISTRATOR, 0},
    [ACCESS_TO_ENTER_MODELS] = {"enter models", ADMINISTRATOR | MODEL_OWNER, 0},
    [ACCESS_TO_QUERY] = {"query patients and studies", CLINIC | ADMINISTRATOR | SERVICE, ACCESS_FIND},
    [ACCESS_TO_RETRIEVE] = {"retrieve objects", CLINIC | SERVICE, ACCESS_GET},
    [ACCESS_TO_STORE] = {"store objects", TECHNOLOGIST | ADMINISTRATOR | SERVICE, ACCESS_STORE},
    [ACCESS_TO_RECEIVE] = {"be sent objects", 0, ACCESS_TARGET},
    [ACCESS_TO_SEE_RESULTS] = {"see results", CLINIC | ADMINISTRATOR | MODEL_OWNER | SERVICE, 0},
    [ACCESS_TO_LABEL] = {"say who sees a study", RADIOLOGIST | ADMINISTRATOR, 0},
    [ACCESS_TO_JUDGE] = {"judge", READERS, 0},
    [ACCESS_TO_EXPORT] = {"send to other systems again", TECHNOLOGIST | ADMINISTRATOR, 0},
    [ACCESS_TO_LOG_IN] = {"log in", ACCESS_ROLES_ALL, 0, true},
    [ACCESS_TO_MANAGE_ACCOUNTS] = {"manage accounts", ADMINISTRATOR, 0},
    [ACCESS_TO_SEE_AUDIT] = {"see the audit trail", ADMINISTRATOR | AUDITOR, 0},
    [ACCESS_TO_ACKNOWLEDGE] = {"acknowledge in the audit trail", ADMINISTRATOR, 0},
};

static const char *const roles[ACCESS_ROLE_END] = {
    [ACCESS_RADIOLOGIST] = "radiologist",   [ACCESS_RESIDENT] = "resident",
    [ACCESS_TECHNOLOGIST] = "technologist", [ACCESS_ADMINISTRATOR] = "administrator",
    [ACCESS_MODEL_OWNER] = "model owner",   [ACCESS_AUDITOR] = "auditor",
    [ACCESS_SERVICE] = "service",
};

static const char *const kinds[ACCESS_KIND_END] = {[ACCESS_LOCAL] = "local program",
                                                   [ACCESS_PEER] = "peer",
                                                   [ACCESS_USER] = "user",
                                                   [ACCESS_TOKEN] = "program",
                                                   [ACCESS_NOBODY] = "who has not logged in,"};

struct access_subject access_local_subject(const char *address)
{
    struct access_subject subject = {
        .kind = ACCESS_LOCAL, .name = "http", .roles = ACCESS_ROLES_ALL, .labels = ACCESS_LABELS_ALL};
    text_copy(subject.address, sizeof subject.address, address);
    return subject;
}

struct access_subject access_nobody(const char *address)
{
    struct access_subject subject = {.kind = ACCESS_NOBODY, .name = "nobody"};
    text_copy(subject.address, sizeof subject.address, address);
    return subject;
}

struct access_subject access_peer_subject(const struct access_peer *peer, const char *address)
{
    struct access_subject subject = {.kind = ACCESS_PEER, .rights = peer->rights};
    text_copy(subject.name, sizeof subject.name, peer->title);
    text_copy(subject.address, sizeof subject.address, address);
    return subject;
}

struct access_scope access_scope_of(const struct access_subject *subject)
{
    return (struct access_scope){.hidden = ACCESS_LABELS_ALL & ~subject->labels};
}

static bool is_action(enum access_action action)
{
    return action > 0 && action < ACCESS_ACTION_END;
}

bool access_allows(const struct access_subject *subject, enum access_action action)
{
    return is_action(action) &&
           ((subject->kind == ACCESS_NOBODY && actions[action].anybody) || (subject->roles & actions[action].roles) ||
            (subject->rights & actions[action].rights));
}

const char *access_action_words(enum access_action action)
{
    return is_action(action) ? actions[action].words : "do what nobody has a word for";
}

const char *access_role_words(enum access_role role)
{
    return roles[role];
}

// ---- a refusal in words

enum { WHO_SIZE = 160 };

static void add(char who[WHO_SIZE], const char *before, const char *word)
{
    size_t used = strlen(who);
    snprintf(who + used, WHO_SIZE - used, "%s%s", before, word);
}

// "the role administrator or model owner", "a peer's right find", both, or "more than anybody has".
static void name_holders(char who[WHO_SIZE], enum access_action action)
{
    unsigned wanted = is_action(action) ? actions[action].roles : 0,
             rights = is_action(action) ? actions[action].rights : 0;
    *who = '\0';
    for (unsigned role = 0; role < ACCESS_ROLE_END; role++)
        if (wanted & 1u << role)
            add(who, *who ? " or " : "the role ", roles[role]);
    for (unsigned right = 1; right < ANY_PEER; right <<= 1)
        if (rights & right)
            add(who, *who ? " or a peer's right " : "a peer's right ", access_right_word(right));
    if (!*who)
        add(who, "", "more than anybody has");
}

bool access_check(const struct access_subject *subject, enum access_action action, struct error *err)
{
    char who[WHO_SIZE];
    if (access_allows(subject, action))
        return true;
    if (subject->kind == ACCESS_NOBODY)
        return error_set(err, ERROR_LOGIN, "to %s needs a login", access_action_words(action));
    name_holders(who, action);
    return error_set(err, ERROR_FORBIDDEN, "%s %s at %s may not %s; that takes %s", kinds[subject->kind], subject->name,
                     subject->address, access_action_words(action), who);
}
