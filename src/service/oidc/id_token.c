// The ID token. Nothing of its payload is looked at before its signature holds, and the header only for which key and
// algorithm: both of which we choose from lists of ours (RFC 8725).
#include "service/oidc/oidc.h"

#include <cjose/base64.h>
#include <cjose/jwk.h>
#include <cjose/jws.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"

#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// What a signature may be, and whose: never "none", and no HMAC, whose key would be one that all know.
static const struct algorithm {
    const char *name, *type, *curve; // alg of the token; kty and crv of the key
} algorithms[] = {{"RS256", "RSA", NULL}, {"PS256", "RSA", NULL}, {"ES256", "EC", "P-256"}};

// ---- the compact form (RFC 7515, section 7.1)

// How many characters of base64url (RFC 4648, section 5, without padding) begin `text`; 0 where they cannot be an
// encoding. libcjose ends the process at some that are none ("A=").
static size_t encoded(const char *text, size_t size)
{
    size_t count = 0;
    while (count < size && text[count] && strchr(BASE64URL, text[count]))
        count++;
    return count % 4 == 1 ? 0 : count;
}

static bool check_form(const char *token, size_t size, struct error *err)
{
    size_t at = 0, parts = 0;
    if (size > OIDC_TOKEN_MAX)
        return error_set(err, ERROR_BAD_DATA, "the ID token has %zu bytes, %d are the most; " OIDC_TOO_LARGE, size,
                         OIDC_TOKEN_MAX);
    while (at < size) {
        size_t part = encoded(token + at, size - at);
        parts++;
        at += part;
        if (part == 0 || at == size)
            break;
        if (token[at] != '.' || parts == 3)
            return error_set(err, ERROR_BAD_DATA, "the ID token is no JWS: byte %zu of it has no place there", at);
        at++;
    }
    return (at == size && parts == 3 && token[size - 1] != '.') ||
           error_set(err, ERROR_BAD_DATA,
                     "the ID token is no JWS: it needs header, payload and signature with dots between");
}

// Twice the same member would be one thing to us and another one to somebody else (RFC 8725, section 2.4); no UTF-8 is
// no JSON.
static json_t *read_object(const void *text, size_t size, const char *what, struct error *err)
{
    json_error_t where;
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (json_is_object(object))
        return object;
    error_set(err, ERROR_BAD_DATA, "the ID token's %s is no JSON object: %s", what,
              object ? "another kind of value" : where.text);
    json_decref(object);
    return NULL;
}

static json_t *read_header(const char *token, size_t size, struct error *err)
{
    cjose_err why;
    uint8_t *text = NULL;
    size_t text_size = 0, part = (size_t)((const char *)memchr(token, '.', size) - token);
    if (!cjose_base64url_decode(token, part, &text, &text_size, &why)) {
        error_set(err, ERROR_BAD_DATA, "the ID token's header is no base64url");
        return NULL;
    }
    json_t *header = read_object(text, text_size, "header", err);
    free(text);
    return header;
}

static const struct algorithm *check_header(const json_t *header, struct error *err)
{
    char shown[40];
    const char *alg = json_string_value(json_object_get(header, "alg"));
    if (json_object_get(header, "crit")) {
        error_set(err, ERROR_FORBIDDEN, "the ID token has 'crit': something that must be understood, and is not here");
        return NULL;
    }
    for (size_t i = 0; alg && i < sizeof algorithms / sizeof *algorithms; i++)
        if (strcmp(alg, algorithms[i].name) == 0)
            return &algorithms[i];
    error_set(err, ERROR_FORBIDDEN,
              "the ID token's algorithm is %s; set the client's signature at the provider to RS256, PS256 or ES256",
              alg ? text_show(shown, sizeof shown, alg, strlen(alg)) : "not named");
    return NULL;
}

// ---- the key

static bool is_text(const json_t *object, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && strcmp(text, wanted) == 0;
}

// A member that may be absent, and then does not speak against it.
static bool may_be(const json_t *object, const char *name, const char *wanted)
{
    return !json_object_get(object, name) || is_text(object, name, wanted);
}

static bool fits(const json_t *key, const struct algorithm *algorithm, const char *kid)
{
    return is_text(key, "kty", algorithm->type) && (!algorithm->curve || is_text(key, "crv", algorithm->curve)) &&
           may_be(key, "use", "sig") && may_be(key, "alg", algorithm->name) && (!kid || is_text(key, "kid", kid));
}

// Just one may be meant (OpenID Connect Core, section 10.1).
static const json_t *find_key(const json_t *keys, const struct algorithm *algorithm, const json_t *header,
                              struct error *err)
{
    char shown[64];
    const json_t *list = json_object_get(keys, "keys"), *found = NULL, *key;
    const json_t *named = json_object_get(header, "kid");
    const char *kid = json_string_value(named);
    size_t i, count = 0;
    if (named && !kid) {
        error_set(err, ERROR_BAD_DATA, "the ID token's 'kid' is no text");
        return NULL;
    }
    json_array_foreach((json_t *)(uintptr_t)list, i, key)
    {
        if (i < OIDC_KEYS_MAX && fits(key, algorithm, kid)) {
            found = key;
            count++;
        }
    }
    if (count == 1)
        return found;
    if (count == 0)
        error_set(err, ERROR_NOT_FOUND, "the ID token is signed with the key '%s', which the provider does not publish",
                  kid ? text_show(shown, sizeof shown, kid, strlen(kid)) : "");
    else
        error_set(err, ERROR_FORBIDDEN, "the ID token does not say which of the provider's %zu keys it is signed with",
                  count);
    return NULL;
}

// Only what the public key is made of.
static json_t *public_members(const json_t *key, const struct algorithm *algorithm)
{
    static const char *const coded[] = {"n", "e", "x", "y"};
    json_t *out = json_pack("{s:s, s:s*}", "kty", algorithm->type, "crv", algorithm->curve);
    for (size_t i = 0; out && i < sizeof coded / sizeof *coded; i++) {
        json_t *value = json_object_get(key, coded[i]);
        size_t size = json_string_length(value);
        if (size > 0 && encoded(json_string_value(value), size) == size)
            json_object_set(out, coded[i], value);
    }
    return out;
}

static cjose_jwk_t *open_key(const json_t *key, const struct algorithm *algorithm, struct error *err)
{
    cjose_err why;
    json_t *members = public_members(key, algorithm);
    cjose_jwk_t *out = members ? cjose_jwk_import_json(members, &why) : NULL;
    json_decref(members);
    size_t bits = out ? cjose_jwk_get_keysize(out, &why) : 0;
    if (out && (algorithm->curve || (bits >= OIDC_RSA_MIN && bits <= OIDC_RSA_MAX)))
        return out;
    if (out)
        error_set(err, ERROR_FORBIDDEN, "the provider's key has %zu bits; %d to %d are taken", bits, OIDC_RSA_MIN,
                  OIDC_RSA_MAX);
    else
        error_set(err, ERROR_FORBIDDEN, "the provider's key for this ID token is no key");
    cjose_jwk_release(out);
    return NULL;
}

// The signed payload as it was sent; its claims, the caller's.
static json_t *check_signature(const char *token, size_t size, const cjose_jwk_t *key, struct error *err)
{
    cjose_err why;
    uint8_t *text = NULL;
    size_t text_size = 0;
    json_t *claims = NULL;
    cjose_jws_t *jws = cjose_jws_import(token, size, &why);
    if (!jws)
        error_set(err, ERROR_BAD_DATA, "the ID token is no JWS");
    else if (!cjose_jws_verify(jws, key, &why))
        error_set(err, ERROR_FORBIDDEN, "the ID token's signature is not by the provider's key");
    else if (!cjose_jws_get_plaintext(jws, &text, &text_size, &why))
        error_set(err, ERROR_BAD_DATA, "the ID token has no payload");
    else
        claims = read_object(text, text_size, "payload", err);
    cjose_jws_release(jws);
    return claims;
}

// ---- the claims (OpenID Connect Core, section 3.1.3.7)

static const char *shown_claim(const json_t *claims, const char *name, char *out, size_t capacity)
{
    const char *text = json_string_value(json_object_get(claims, name));
    return text ? text_show(out, capacity, text, strlen(text)) : "absent";
}

static bool check_issuer(const json_t *claims, const char *issuer, struct error *err)
{
    char shown[100];
    return is_text(claims, "iss", issuer) ||
           error_set(err, ERROR_FORBIDDEN, "the ID token is of the issuer '%s'; oidc.issuer is %.80s",
                     shown_claim(claims, "iss", shown, sizeof shown), issuer);
}

static bool names(const json_t *list, const char *wanted)
{
    size_t i;
    const json_t *value;
    json_array_foreach((json_t *)(uintptr_t)list, i, value)
    {
        const char *text = json_string_value(value);
        if (text && strcmp(text, wanted) == 0)
            return true;
    }
    return false;
}

// A token for several has to say to whom it was given: us.
static bool check_audience(const json_t *claims, const char *client_id, struct error *err)
{
    char shown[80];
    const json_t *audience = json_object_get(claims, "aud"), *party = json_object_get(claims, "azp");
    if (!is_text(claims, "aud", client_id) && !names(audience, client_id))
        return error_set(err, ERROR_FORBIDDEN, "the ID token is for '%s', not for oidc.client_id, %.60s",
                         json_is_array(audience) ? "others" : shown_claim(claims, "aud", shown, sizeof shown),
                         client_id);
    if (party ? is_text(claims, "azp", client_id) : json_array_size(audience) <= 1)
        return true;
    return error_set(err, ERROR_FORBIDDEN, "the ID token was given to '%s' (azp), not to oidc.client_id, %.60s",
                     shown_claim(claims, "azp", shown, sizeof shown), client_id);
}

static bool check_nonce(const json_t *claims, const char *nonce, struct error *err)
{
    return is_text(claims, "nonce", nonce) ||
           error_set(err, ERROR_FORBIDDEN,
                     "the ID token does not answer this login: its nonce is another one, or "
                     "none");
}

// Seconds since 1970, which may have a fraction (RFC 7519, section 2).
static bool read_time(const json_t *claims, const char *name, bool needed, bool *found, int64_t *out_ns,
                      struct error *err)
{
    const json_t *value = json_object_get(claims, name);
    double seconds = json_number_value(value);
    *found = json_is_number(value) && seconds >= 0 && seconds < 9e9;
    *out_ns = *found ? (int64_t)(seconds * 1e9) : 0;
    return *found || (!value && !needed) ||
           error_set(err, ERROR_FORBIDDEN, "the ID token's '%s' is %s", name, value ? "no time" : "absent");
}

static bool refuse_time(const char *what, int64_t time_ns, int64_t now_ns, struct error *err)
{
    char time[CLOCK_RFC3339_SIZE], now[CLOCK_RFC3339_SIZE];
    return error_set(err, ERROR_MISMATCH,
                     "the ID token %s %s, and it is %s here: one of the two clocks is off; `hilum check` says which "
                     "to look at",
                     what, clock_rfc3339(time, time_ns), clock_rfc3339(now, now_ns));
}

static bool check_times(const json_t *claims, int64_t now_ns, struct error *err)
{
    const int64_t leeway_ns = OIDC_LEEWAY_SECONDS * CLOCK_SECOND;
    int64_t ends_ns, made_ns, begins_ns;
    bool ends, made, begins;
    if (!read_time(claims, "exp", true, &ends, &ends_ns, err) ||
        !read_time(claims, "iat", true, &made, &made_ns, err) ||
        !read_time(claims, "nbf", false, &begins, &begins_ns, err))
        return false;
    if (ends_ns + leeway_ns <= now_ns)
        return refuse_time("ended at", ends_ns, now_ns, err);
    if (made_ns - leeway_ns > now_ns)
        return refuse_time("was made at", made_ns, now_ns, err);
    return !begins || begins_ns - leeway_ns <= now_ns || refuse_time("begins at", begins_ns, now_ns, err);
}

// The access token that came beside belongs to it (section 3.1.3.6): half of its SHA-256, for all our algorithms.
static bool check_access_token(const json_t *claims, const char *access_token, struct error *err)
{
    cjose_err why;
    uint8_t digest[HASH_SIZE];
    char *half = NULL;
    size_t size = 0;
    if (!json_object_get(claims, "at_hash"))
        return true;
    if (access_token)
        hash_of(access_token, strlen(access_token), digest);
    bool ok = access_token && cjose_base64url_encode(digest, HASH_SIZE / 2, &half, &size, &why) &&
              is_text(claims, "at_hash", half);
    free(half);
    return ok || error_set(err, ERROR_FORBIDDEN, "the ID token belongs to another access token (at_hash)");
}

static bool check_subject(const json_t *claims, struct error *err)
{
    const char *subject = json_string_value(json_object_get(claims, "sub"));
    return (subject && *subject && strlen(subject) < ACCESS_HOST_SIZE) ||
           error_set(err, ERROR_FORBIDDEN, "the ID token's 'sub' is no text of 1 to %d bytes", ACCESS_HOST_SIZE - 1);
}

static bool check_claims(const json_t *claims, const struct oidc_expected *expected, struct error *err)
{
    return check_issuer(claims, expected->issuer, err) && check_audience(claims, expected->client_id, err) &&
           check_times(claims, expected->now_ns, err) && check_nonce(claims, expected->nonce, err) &&
           check_access_token(claims, expected->access_token, err) && check_subject(claims, err);
}

bool oidc_token_verify(const char *token, size_t size, const json_t *keys, const struct oidc_expected *expected,
                       json_t **claims, struct error *err)
{
    json_t *header = check_form(token, size, err) ? read_header(token, size, err) : NULL, *read = NULL;
    const struct algorithm *algorithm = header ? check_header(header, err) : NULL;
    const json_t *found = algorithm ? find_key(keys, algorithm, header, err) : NULL;
    cjose_jwk_t *key = found ? open_key(found, algorithm, err) : NULL;
    if (key)
        read = check_signature(token, size, key, err);
    cjose_jwk_release(key);
    json_decref(header);
    if (read && check_claims(read, expected, err)) {
        *claims = read;
        return true;
    }
    json_decref(read);
    return false;
}
