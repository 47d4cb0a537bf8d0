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
//   state, cookie  the answer is to a request of ours, of this browser, and is taken once (CSRF of the login, RFC
//   6819);
//                  several tabs share the cookie, and each has its state
//   PKCE, nonce    the code and the token are those of this request (injection, RFC 9700 section 4.5)
//   iss            the answer is of the provider that was asked (mix-up, RFC 9207)
//   ID token       by a key of the provider, for us, of now: id_token.c, where nothing of it is believed before
//   refusals       are told to the page in words that stay here meanwhile: no address carries a text to be shown
//
// The provider is entered while the server runs (access/provider.h). A login that began with another one than is
// entered at its end is refused in words.
//
// A login that ends well is always a new session. An account is the provider's person by issuer and subject, never by
// name or mail address: those change hands (access/account.h).
//
// All that is fetched has a deadline, a limit and no redirects, over TLS unless the provider is on loopback, and is
// fetched without a lock: a provider that hangs delays only those who log in by it, of whom OIDC_AT_ONCE wait for it at
// most, OIDC_OF_ADDRESS of one address. A failed fetch of its description answers all for OIDC_FAILED_SECONDS.
//
// Threads: any, but for the pure functions' arguments.
#ifndef SERVICE_OIDC_H
#define SERVICE_OIDC_H

#include <jansson.h>

#include "access/account.h"
#include "access/provider.h"
#include "service/internal.h"

#define OIDC_PATH "/api/session/provider"
#define OIDC_CALLBACK OIDC_PATH "/callback"

enum {
    OIDC_TOKEN_MAX = 16 << 10,  // bytes of an ID token
    OIDC_ANSWER_MAX = 64 << 10, // of anything that the provider says
    OIDC_KEYS_MAX = 64,         // of its key set
    OIDC_RSA_MIN = 2048,        // bits (RFC 7518, section 3.3)
    OIDC_RSA_MAX = 8192,
    OIDC_LEEWAY_SECONDS = 60,     // by which its clock and ours may differ
    OIDC_GROUPS_SHOWN = 8,        // of those that came, in a refusal; all that fit into a token are looked at
    OIDC_WAITING_MAX = 1024,      // logins that have begun and not ended; the oldest goes for the next
    OIDC_WAITING_OF_ADDRESS = 64, // of these of one address (access_address_share): its own oldest goes first
    OIDC_WAITING_SECONDS = 600,   // of one
    OIDC_REFUSALS_MAX = 64,       // told to the page once, the last
    OIDC_AT_ONCE = 4,             // who wait for the provider
    OIDC_OF_ADDRESS = 2,          // of these of one address
    OIDC_CONNECT_SECONDS = 5,
    OIDC_WHOLE_SECONDS = 10,
    OIDC_KNOWN_SECONDS = 3600,    // how long its description counts
    OIDC_KEYS_AGAIN_SECONDS = 60, // at most so often the keys are fetched for a token whose key is not among them
    OIDC_FAILED_SECONDS = 5,      // how long a failure answers for the next
    OIDC_LOGGED_A_MINUTE = 30,    // refusals, so that nobody fills the log
    OIDC_CLOCK_OFF_SECONDS = 30,  // a difference of the clocks that a check calls a fault
    OIDC_URL_SIZE = ACCESS_URL_SIZE,
    OIDC_ROW_BYTES = 1 << 20, // of the texts that it is entered with
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

// Behind what says how large it is.
#define OIDC_TOO_LARGE                                                                                                 \
    "mostly that is too many groups: let the provider send only those that are assigned to this application, and in "  \
    "their short form"

// What it was entered with. The texts live as long as the struct oidc, or are the caller's.
struct oidc_settings {
    const char *issuer, *client_id, *client_secret, *name, *scopes, *groups_claim, *roles;
    const char *authorities;      // PEM text; NULL: those of the file
    const char *authorities_file; // NULL: the system's
};

// ---- account.c: from claims to an account; pure

// Name (of preferred_username, else email, in the letters that a name has), the person's name, issuer, subject, and the
// roles of the groups in the claim `groups_claim`. FORBIDDEN in words for who has no role here, or no name. What
// gives no role, and says of whom, leaves issuer and subject in *out; all other refusals leave "" there.
bool oidc_account_of(const json_t *claims, const struct oidc_settings *settings, struct access_account *out,
                     struct error *err);

// Of a provider that was asked at `anew_ns` to ask who it is (prompt=login): FORBIDDEN where the claims say
// ("auth_time") that it did so before. A provider that does not say when is believed.
bool oidc_check_anew(const json_t *claims, const struct oidc_settings *settings, int64_t anew_ns, struct error *err);

// ---- provider.c: what is fetched

struct oidc; // one provider as it was entered, and what is known of it

// `authorities_file` ("" none) counts where the provider has none of its own; the texts are copied. Held once by the
// caller; NULL on failure.
struct oidc *oidc_open(const struct access_provider *provider, const char *authorities_file, struct error *err);
void oidc_keep(struct oidc *oidc);    // is held once more
void oidc_release(struct oidc *oidc); // NULL is fine; the last one frees it
const struct oidc_settings *oidc_settings(const struct oidc *oidc);
int64_t oidc_version(const struct oidc *oidc); // of its row

// What the provider says of itself (OpenID Connect Discovery 1.0), checked.
struct oidc_provider {
    char authorization[OIDC_URL_SIZE], token[OIDC_URL_SIZE], keys[OIDC_URL_SIZE];
    char logout[OIDC_URL_SIZE];    // "": it offers none
    bool promises_iss, knows_s256; // RFC 9207; RFC 7636 (false: it does not say so)
    json_t *key_set;               // owned: oidc_provider_free
};
void oidc_provider_free(struct oidc_provider *provider);

// Each fetches anew, until the deadline (monotonic). NOT_FOUND, CLOSED, TIMEOUT, FORBIDDEN, PROTOCOL as
// http_client_call says; BAD_DATA: it answers something else than what it should. *date_ns (may be NULL): its clock.
bool oidc_fetch_description(const struct oidc_settings *settings, int64_t deadline_ns, json_t **out, int64_t *date_ns,
                            struct error *err);
// Without key_set. MISMATCH: it is another issuer; BAD_DATA: it lacks what we need.
bool oidc_read_description(const struct oidc_settings *settings, const json_t *json, struct oidc_provider *out,
                           struct error *err);
bool oidc_fetch_keys(const struct oidc_settings *settings, int64_t deadline_ns, struct oidc_provider *provider,
                     struct error *err);

// One of OIDC_AT_ONCE places for who waits for the provider, the caller's until oidc_leave; NULL, BUSY: they are taken,
// or OIDC_OF_ADDRESS of them by his own address. `share`: access_address_share.
uint64_t *oidc_enter(struct oidc *oidc, uint64_t share, struct error *err);
void oidc_leave(struct oidc *oidc, uint64_t *place);
// What is known of it, or fetched; the caller's.
bool oidc_provider_get(struct oidc *oidc, int64_t deadline_ns, struct oidc_provider *out, struct error *err);
// Whether the log has room for one more refusal in this minute; counted.
bool oidc_may_log(struct oidc *oidc);
bool oidc_knows_logout(struct oidc *oidc, char out[OIDC_URL_SIZE]); // asks nobody

// The ID token for a code, verified (oidc_token_verify's errors besides): its claims, the caller's.
struct oidc_answer {
    const char *code, *verifier, *redirect_uri, *nonce;
};
bool oidc_exchange(struct oidc *oidc, int64_t deadline_ns, struct oidc_provider *provider,
                   const struct oidc_answer *answer, json_t **claims, struct error *err);

// ---- current.c: the provider that is entered now; service->oidc

bool oidc_start(struct service *service, struct error *err);  // oidc_stop also after a failure
void oidc_stop(struct oidc_current *current);                 // NULL is fine; nobody holds one any more
bool oidc_reload(struct service *service, struct error *err); // after its row has changed
struct oidc *oidc_hold(const struct service *service);        // to be released; NULL: none is entered
bool oidc_is_entered(const struct service *service);
struct oidc_waiting *oidc_waiting(const struct service *service);

// ---- waiting.c: logins that have begun, and refusals that wait to be told; in memory

struct oidc_begun {
    char nonce[ACCESS_SECRET_SIZE], verifier[ACCESS_SECRET_SIZE];
    char redirect_uri[SERVICE_HOST_SIZE + 64];
    int64_t version; // of the provider that it began with
    int64_t anew_ns; // when the provider was asked to ask who it is, whoever is logged in there; 0: it was not
};
struct oidc_waiting *oidc_waiting_open(struct error *err);
void oidc_waiting_close(struct oidc_waiting *waiting); // NULL is fine
// `state` and `browser` are secrets, of which only digests are kept. `share`: access_address_share of who begins; who
// has OIDC_WAITING_OF_ADDRESS takes the place of his own oldest. `now_ns` is monotonic.
void oidc_waiting_add(struct oidc_waiting *waiting, const char *state, const char *browser, uint64_t share,
                      const struct oidc_begun *begun, int64_t now_ns);
// It is used up by that, whoever asks. NOT_FOUND: none such; FORBIDDEN: it is another browser's.
bool oidc_waiting_take(struct oidc_waiting *waiting, const char *state, const char *browser, int64_t now_ns,
                       struct oidc_begun *out, struct error *err);
void oidc_refusal_keep(struct oidc_waiting *waiting, const char *id, const char *words);
bool oidc_refusal_take(struct oidc_waiting *waiting, const char *id, char words[ERROR_MESSAGE_SIZE]); // false: none

// ---- login.c: the handlers are internal.h's

// The buttons of the login screen, and why this browser's last login by a provider was refused: told once, NULL without
// one. The caller's.
json_t *oidc_ways(struct service *service);
json_t *oidc_refusal(struct service *service, struct http_request *request);
// Where to register us at the provider: "https://hilum.example.org/api/session/provider/callback", as far as the
// configuration tells.
const char *oidc_redirect_uri(const struct service *service, struct arena *arena);
// The same for who asks now: by the name that he calls us by, where that is over HTTPS, or is all that there is.
const char *oidc_redirect_uri_for(const struct service *service, struct http_request *request);

#endif
