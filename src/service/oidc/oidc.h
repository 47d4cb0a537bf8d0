// Login by an identity provider: OpenID Connect Core 1.0, authorization code flow with PKCE (RFC 7636), as RFC 9700
// (BCP 240) has it. A site's people log in where they always do, and their groups there are their roles here.
//
//   browser                          Hilum                                  provider
//     | GET /api/session/provider      |                                       |
//     |------------------------------->| discovery and keys, unless known ---->|
//     |<-- 302, a cookie --------------| (state, nonce, verifier kept)         |
//     |------ state, nonce, challenge, client_id, redirect_uri --------------->|
//     |<----- 302 with code and state ----------------- who it is, is his affair
//     | GET ...provider/callback       |                                       |
//     |------------------------------->| state and cookie checked, used up     |
//     |                                | code, verifier, secret -------------->|
//     |                                |<---- ID token, signed ----------------|
//     |                                | verified; groups -> roles; account    |
//     |<-- 302 to the page, a session -|                                       |
//
// What guards it, each with its test (docs/security.md):
//   state, cookie  the answer is to a request of ours, of this browser, and is taken once (CSRF of the login, RFC 6819)
//   PKCE, nonce    the code and the token are those of this request (injection, RFC 9700 section 4.5)
//   iss            the answer is of the provider that was asked (mix-up, RFC 9207)
//   ID token       by a key of the provider, for us, of now: id_token.c, where nothing of it is believed before
//   refusals       are told to the page in words that stay here meanwhile: no address carries a text to be shown
//
// A login that ends well is always a new session. An account is the provider's person by issuer and subject, never by
// name or mail address: those change hands (access/account.h).
//
// All that is fetched has a deadline, a limit and no redirects, over TLS unless the provider is on loopback, and is
// fetched without a lock: a provider that hangs delays only those who log in by it, of whom OIDC_AT_ONCE wait for it at
// most. A failed fetch of its description answers all for OIDC_FAILED_SECONDS.
//
// Threads: any, but for the pure functions' arguments.
#ifndef SERVICE_OIDC_H
#define SERVICE_OIDC_H

#include <jansson.h>

#include "access/account.h"
#include "service/internal.h"

#define OIDC_PATH "/api/session/provider"
#define OIDC_CALLBACK OIDC_PATH "/callback"

enum {
    OIDC_TOKEN_MAX = 16 << 10,  // bytes of an ID token
    OIDC_ANSWER_MAX = 64 << 10, // of anything that the provider says
    OIDC_KEYS_MAX = 64,         // of its key set
    OIDC_RSA_MIN = 2048,        // bits (RFC 7518, section 3.3)
    OIDC_RSA_MAX = 8192,
    OIDC_LEEWAY_SECONDS = 60, // by which its clock and ours may differ
    OIDC_GROUPS_MAX = 1000,
    OIDC_WAITING_MAX = 1024,    // logins that have begun and not ended; the oldest goes for the next
    OIDC_WAITING_SECONDS = 600, // of one
    OIDC_REFUSALS_MAX = 64,     // told to the page once, the last
    OIDC_AT_ONCE = 4,           // who wait for the provider
    OIDC_CONNECT_SECONDS = 5,
    OIDC_WHOLE_SECONDS = 10,
    OIDC_KNOWN_SECONDS = 3600,    // how long its description counts
    OIDC_KEYS_AGAIN_SECONDS = 60, // at most so often the keys are fetched for a token whose key is not among them
    OIDC_FAILED_SECONDS = 5,      // how long a failure answers for the next
    OIDC_CLOCK_OFF_SECONDS = 30,  // a difference of the clocks that a check calls a fault
    OIDC_URL_SIZE = 1024,
};

// ---- id_token.c: an ID token, from text to claims; pure

struct oidc_expected {
    const char *issuer, *client_id, *nonce;
    const char *access_token; // that came with it; NULL: none
    int64_t now_ns;
};

// Whether the token (compact JWS, `size` bytes, hostile) is what we asked for: signed with RS256, PS256 or ES256 by the
// one key of `keys` (a JWK set, RFC 7517) that it names and that may sign so; OpenID Connect Core 3.1.3.7 for its
// claims. On success *claims is the caller's. BAD_DATA: it is no JWS or no JSON; NOT_FOUND: its key is not in the set;
// MISMATCH: its times are not of now by our clock, which one of the two clocks may be the reason of; FORBIDDEN: all
// else.
bool oidc_token_verify(const char *token, size_t size, const json_t *keys, const struct oidc_expected *expected,
                       json_t **claims, struct error *err);

#endif
