// The identity provider that people may log in by (OpenID Connect), as an administrator enters it while the server
// runs.
//
// There is one at most. It is a row like a peer: with a version that each change raises and that goes on after a
// removal, every version kept with who made it, every change a line of the audit trail. Its client's secret stands in
// the database, whose file has mode 0600 and whose backups are encrypted; it is told to nobody again, and stands in no
// version and in no line.
//
// Who came in by a provider is one of its people: when it is removed, or when it is another issuer, other roles or
// another claim by now, the sessions that came by it end with the same commit. The accounts stay, and those of an
// issuer that is not the provider's cannot log in by one. That must leave an administrator who can log in.
//
// Threads: any.
#ifndef ACCESS_PROVIDER_H
#define ACCESS_PROVIDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

struct access;

enum {
    ACCESS_URL_SIZE = 1024,
    ACCESS_CLIENT_SECRET_SIZE = 1024,
    ACCESS_PROVIDER_TEXT_SIZE = 4096,         // of the table of roles; of the others at most
    ACCESS_AUTHORITIES_SIZE = (64 << 10) + 1, // of PEM text
};

struct access_provider { // no text is NULL
    const char *name;    // what the button says after "Log in with"; the key
    const char *issuer;  // as the provider calls itself
    const char *client_id;
    const char *client_secret; // "": a public client
    const char *scopes;        // what is asked for, with spaces between
    const char *groups_claim;  // where the ID token has the groups; with dots a member of a member
    const char *roles;         // "GROUP=role, GROUP=role"
    const char *authorities;   // PEM text of those whose word counts for its certificate; "": the configuration's
    int64_t version;
};

// Enters it, or changes what is there: provider->version 0 replaces whatever is there, another one only that version
// (CONFLICT). What is so already is left alone. Durable, audited as `actor`, an event CONFIG_CHANGED. BAD_VALUE names
// what is wrong; CONFLICT: no administrator who can log in would be left.
bool access_provider_put(struct access *access, const struct access_provider *provider, const char *actor,
                         struct error *err);
bool access_provider_remove(struct access *access, const char *actor, struct error *err); // NOT_FOUND: there is none
// *found false: there is none. The texts are in `arena`.
bool access_provider_get(struct access *access, struct arena *arena, struct access_provider *out, bool *found,
                         struct error *err);

// Members by the names above; "hasSecret" stands for the secret. The caller's.
json_t *access_provider_to_json(const struct access_provider *provider);
// Changes `provider` by what the members name, with texts in `arena`; *provider begins as what is there, or as
// access_provider_start. The version is that of the members, 0 without one. "client_secret" null: none from now on;
// "": as it was. A secret is one issuer's: with another issuer it must be given anew. BAD_VALUE; unknown ones too.
bool access_provider_change(const json_t *members, struct arena *arena, struct access_provider *provider,
                            struct error *err);
extern const struct access_provider access_provider_start; // what one that is new has where nothing is named
// Whether it may be entered: BAD_VALUE names what is wrong.
bool access_provider_check(const struct access_provider *provider, struct error *err);

// ---- provider_check.c: its addresses and its table of roles

// Host and port of an address that may be fetched, or shown to a browser: https, or http on loopback; without user,
// fragment or anything that readers of addresses take in two ways. BAD_VALUE; `what` names it.
bool access_url_read(const char *url, const char *what, char *host, size_t host_size, uint16_t *port,
                     struct error *err);
bool access_issuer_check(const char *issuer, struct error *err);
// "GROUP=role, GROUP=role": the roles of a group, 0 none.
unsigned access_roles_of_group(const char *table, const char *group);
bool access_groups_check(const char *table, struct error *err);

#endif
