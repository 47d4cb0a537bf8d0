// An ID token counts only when it is what was asked for. The tokens are signed here, by keys made here.
#include "support/check.h"

#include <cjose/base64.h>
#include <cjose/jwk.h>
#include <cjose/jws.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "service/oidc/oidc.h"

#define ISSUER "https://login.example.org/realms/site"
#define CLIENT "hilum"
#define NONCE "n-0S6_WzA2Mj"
enum { NOW_S = 1790000000 };

static cjose_jwk_t *rsa, *ec, *small, *stranger;
static json_t *keys; // what the provider publishes: rsa, ec, small

static cjose_jwk_t *named(cjose_jwk_t *key, const char *kid)
{
    assert_non_null(key);
    assert_true(cjose_jwk_set_kid(key, kid, strlen(kid), NULL));
    return key;
}

static json_t *published(const cjose_jwk_t *key)
{
    char *text = cjose_jwk_to_json(key, false, NULL);
    json_t *out = json_loads(text, 0, NULL);
    free(text);
    return out;
}

static int make_keys(void **state)
{
    (void)state;
    rsa = named(cjose_jwk_create_RSA_random(2048, NULL, 0, NULL), "rsa");
    stranger = named(cjose_jwk_create_RSA_random(2048, NULL, 0, NULL), "rsa");
    small = named(cjose_jwk_create_RSA_random(1024, NULL, 0, NULL), "small");
    ec = named(cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, NULL), "ec");
    keys = json_pack("{s:[o, o, o]}", "keys", published(rsa), published(ec), published(small));
    return keys ? 0 : -1;
}

static int free_keys(void **state)
{
    (void)state;
    json_decref(keys);
    cjose_jwk_release(rsa);
    cjose_jwk_release(stranger);
    cjose_jwk_release(small);
    cjose_jwk_release(ec);
    return 0;
}

// ---- tokens

static char *sign(const cjose_jwk_t *key, const char *alg, const char *kid, const char *payload, size_t size)
{
    const char *text = NULL;
    cjose_header_t *header = cjose_header_new(NULL);
    assert_true(cjose_header_set(header, "alg", alg, NULL));
    if (kid)
        assert_true(cjose_header_set(header, "kid", kid, NULL));
    cjose_jws_t *jws = cjose_jws_sign(key, header, (const uint8_t *)payload, size, NULL);
    assert_non_null(jws);
    assert_true(cjose_jws_export(jws, &text, NULL));
    char *out = strdup(text);
    cjose_jws_release(jws);
    cjose_header_release(header);
    return out;
}

static char *encoded(const char *text)
{
    char *out = NULL;
    size_t size;
    assert_true(cjose_base64url_encode((const uint8_t *)text, strlen(text), &out, &size, NULL));
    return out;
}

// Of parts as they stand, with a signature that is none.
static char *forged(const char *header, const char *payload, const char *signature)
{
    char *a = encoded(header), *b = encoded(payload), *out = NULL;
    assert_true(asprintf(&out, "%s.%s.%s", a, b, signature) > 0);
    free(a);
    free(b);
    return out;
}

static json_t *right_claims(void)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "iss", ISSUER, "sub", "4711", "aud", CLIENT, "nonce", NONCE,
                     "iat", (json_int_t)NOW_S - 5, "exp", (json_int_t)NOW_S + 300);
}

static char *right_payload(void)
{
    json_t *claims = right_claims();
    char *out = json_dumps(claims, 0);
    json_decref(claims);
    return out;
}

static char *sign_claims(json_t *claims)
{
    char *payload = json_dumps(claims, JSON_COMPACT);
    char *out = sign(rsa, "RS256", "rsa", payload, strlen(payload));
    free(payload);
    json_decref(claims);
    return out;
}

// The right claims, but for one that is what `value` is as JSON; NULL: absent.
static char *but(const char *name, const char *value)
{
    json_t *claims = right_claims();
    if (value)
        json_object_set_new(claims, name, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(claims, name);
    return sign_claims(claims);
}

static const struct oidc_expected expected = {
    .issuer = ISSUER, .client_id = CLIENT, .nonce = NONCE, .now_ns = NOW_S * CLOCK_SECOND};

static bool verify_as(const char *token, const struct oidc_expected *as, json_t **claims, struct error *err)
{
    return oidc_token_verify(token, strlen(token), keys, as, claims, err);
}

// Takes the token.
static void assert_taken(char *token)
{
    json_t *claims = NULL;
    struct error err;
    assert_ok(verify_as(token, &expected, &claims, &err), err);
    assert_string_equal(json_string_value(json_object_get(claims, "sub")), "4711");
    json_decref(claims);
    free(token);
}

// Takes the token; the words have `part`.
static void assert_refused(char *token, enum error_code code, const char *part)
{
    json_t *claims = NULL;
    struct error err = {0};
    assert_false(verify_as(token, &expected, &claims, &err));
    assert_null(claims);
    if (err.code != code || !strstr(err.message, part))
        fail_msg("%s: %s, and not '%s'", error_name(err.code), err.message, part);
    free(token);
}

// ---- the tests

static void a_token_of_each_algorithm_that_is_all_it_should_be_is_taken(void **state)
{
    char *payload = right_payload();
    (void)state;
    assert_taken(sign(rsa, "RS256", "rsa", payload, strlen(payload)));
    assert_taken(sign(rsa, "PS256", "rsa", payload, strlen(payload)));
    assert_taken(sign(ec, "ES256", "ec", payload, strlen(payload)));
    assert_taken(sign(ec, "ES256", NULL, payload, strlen(payload))); // there is but one that it can be
    free(payload);
}

static void other_algorithms_are_refused_whatever_they_are_signed_with(void **state)
{
    char *payload = right_payload();
    (void)state;
    assert_refused(forged("{\"alg\":\"none\"}", payload, "AA"), ERROR_FORBIDDEN, "algorithm is none");
    assert_refused(forged("{\"alg\":\"None\",\"kid\":\"rsa\"}", payload, "AA"), ERROR_FORBIDDEN, "algorithm is None");
    assert_refused(forged("{\"kid\":\"rsa\"}", payload, "AA"), ERROR_FORBIDDEN, "algorithm is not named");
    assert_refused(forged("{\"alg\":7}", payload, "AA"), ERROR_FORBIDDEN, "algorithm is not named");
    assert_refused(sign(rsa, "RS512", "rsa", payload, strlen(payload)), ERROR_FORBIDDEN, "algorithm is RS512");
    free(payload);
}

// The public key as the secret of an HMAC: who believes the token's own algorithm takes it.
static void an_hmac_made_with_the_public_key_is_refused(void **state)
{
    char *public = cjose_jwk_to_json(rsa, false, NULL), *payload = right_payload();
    (void)state;
    cjose_jwk_t *secret = cjose_jwk_create_oct_spec((const uint8_t *)public, strlen(public), NULL);
    assert_refused(sign(secret, "HS256", "rsa", payload, strlen(payload)), ERROR_FORBIDDEN, "algorithm is HS256");
    cjose_jwk_release(secret);
    free(public);
    free(payload);
}

static void only_the_key_that_is_named_and_published_counts(void **state)
{
    char *payload = right_payload();
    (void)state;
    assert_refused(sign(stranger, "RS256", "rsa", payload, strlen(payload)), ERROR_FORBIDDEN, "signature");
    assert_refused(sign(rsa, "RS256", "new", payload, strlen(payload)), ERROR_NOT_FOUND, "the key 'new'");
    assert_refused(sign(rsa, "RS256", "ec", payload, strlen(payload)), ERROR_NOT_FOUND, "the key 'ec'");
    assert_refused(sign(rsa, "RS256", NULL, payload, strlen(payload)), ERROR_FORBIDDEN, "which of the provider's 2");
    assert_refused(sign(small, "RS256", "small", payload, strlen(payload)), ERROR_FORBIDDEN, "has 1024 bits");
    json_t *first = json_array_get(json_object_get(keys, "keys"), 0);
    json_object_set_new(first, "use", json_string("enc"));
    assert_refused(sign(rsa, "RS256", "rsa", payload, strlen(payload)), ERROR_NOT_FOUND, "the key 'rsa'");
    json_object_set_new(first, "use", json_string("sig"));
    json_object_set_new(first, "alg", json_string("PS256"));
    assert_refused(sign(rsa, "RS256", "rsa", payload, strlen(payload)), ERROR_NOT_FOUND, "the key 'rsa'");
    json_object_set_new(first, "alg", json_string("RS256"));
    assert_taken(sign(rsa, "RS256", "rsa", payload, strlen(payload)));
    json_object_del(first, "alg");
    free(payload);
}

// Of two that may be meant the token has to name one: a key of another curve can not be meant.
static void a_key_of_another_curve_is_not_that_of_the_algorithm(void **state)
{
    char *payload = right_payload();
    json_t *list = json_object_get(keys, "keys");
    cjose_jwk_t *other = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_384, NULL);
    (void)state;
    json_array_append_new(list, published(other));
    assert_taken(sign(ec, "ES256", NULL, payload, strlen(payload)));
    assert_refused(sign(other, "ES256", NULL, payload, strlen(payload)), ERROR_FORBIDDEN, "signature");
    json_array_remove(list, json_array_size(list) - 1);
    cjose_jwk_release(other);
    free(payload);
}

static void a_key_set_that_is_none_verifies_nothing(void **state)
{
    static const char *const sets[] = {
        "{}",
        "[]",
        "{\"keys\":7}",
        "{\"keys\":[7, {\"kty\":\"RSA\",\"kid\":\"rsa\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rsa\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rsa\",\"n\":\"AAAAA=AA\",\"e\":\"A=\"}]}", // libcjose ends the process
        "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rsa\",\"n\":\"\",\"e\":\"\"}]}"};
    char *token = sign_claims(right_claims());
    struct error err;
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        json_t *set = json_loads(sets[i], 0, NULL), *claims = NULL;
        assert_false(oidc_token_verify(token, strlen(token), set, &expected, &claims, &err));
        json_decref(set);
    }
    free(token);
}

static void a_token_of_another_time_is_refused_and_the_clocks_are_named(void **state)
{
    (void)state;
    assert_taken(but("exp", "1789999941")); // the last second of the leeway
    assert_refused(but("exp", "1789999940"), ERROR_MISMATCH, "one of the two clocks is off");
    assert_taken(but("iat", "1790000060"));
    assert_refused(but("iat", "1790000061"), ERROR_MISMATCH, "2026-09-21T14:14:21");
    assert_refused(but("nbf", "1790000061"), ERROR_MISMATCH, "begins at");
    assert_taken(but("nbf", "1790000000.5"));
    assert_refused(but("exp", NULL), ERROR_FORBIDDEN, "'exp' is absent");
    assert_refused(but("iat", NULL), ERROR_FORBIDDEN, "'iat' is absent");
    assert_refused(but("exp", "\"1790000300\""), ERROR_FORBIDDEN, "'exp' is no time");
    assert_refused(but("exp", "1e300"), ERROR_FORBIDDEN, "'exp' is no time");
    assert_refused(but("iat", "-5"), ERROR_FORBIDDEN, "'iat' is no time");
}

static void a_token_of_another_issuer_or_for_another_client_is_refused(void **state)
{
    (void)state;
    assert_refused(but("iss", "\"https://login.example.org/realms/other\""), ERROR_FORBIDDEN, "realms/other");
    assert_refused(but("iss", "\"" ISSUER "/\""), ERROR_FORBIDDEN, "issuer");
    assert_refused(but("iss", NULL), ERROR_FORBIDDEN, "'absent'");
    assert_refused(but("aud", "\"portal\""), ERROR_FORBIDDEN, "for 'portal'");
    assert_refused(but("aud", "[\"portal\", \"pacs\"]"), ERROR_FORBIDDEN, "for 'others'");
    assert_refused(but("aud", "[]"), ERROR_FORBIDDEN, "oidc.client_id");
    assert_refused(but("aud", NULL), ERROR_FORBIDDEN, "oidc.client_id");
    assert_taken(but("aud", "[\"hilum\"]"));
    assert_refused(but("aud", "[\"hilum\", \"portal\"]"), ERROR_FORBIDDEN, "given to 'absent' (azp)");
    assert_refused(but("azp", "\"portal\""), ERROR_FORBIDDEN, "given to 'portal' (azp)");
    json_t *claims = right_claims();
    json_object_set_new(claims, "aud", json_pack("[s, s]", "portal", CLIENT));
    json_object_set_new(claims, "azp", json_string(CLIENT));
    assert_taken(sign_claims(claims));
}

static void a_token_of_another_login_is_refused(void **state)
{
    (void)state;
    assert_refused(but("nonce", "\"n-0S6_WzA2Mk\""), ERROR_FORBIDDEN, "nonce");
    assert_refused(but("nonce", NULL), ERROR_FORBIDDEN, "nonce");
    assert_refused(but("sub", NULL), ERROR_FORBIDDEN, "'sub'");
    assert_refused(but("sub", "\"\""), ERROR_FORBIDDEN, "'sub'");
}

static void the_access_token_that_came_beside_must_be_its_own(void **state)
{
    // OpenID Connect Core's own example (appendix A.3).
    struct oidc_expected as = expected;
    json_t *claims = NULL;
    struct error err;
    char *token = but("at_hash", "\"77QmUPtjPfzWtF2AnpK9RQ\"");
    (void)state;
    as.access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    assert_ok(verify_as(token, &as, &claims, &err), err);
    json_decref(claims);
    as.access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Z";
    assert_false(verify_as(token, &as, &claims, &err));
    assert_non_null(strstr(err.message, "at_hash"));
    assert_refused(token, ERROR_FORBIDDEN, "at_hash"); // none came
}

static void what_is_no_token_is_refused_by_its_form(void **state)
{
    char *whole = sign_claims(right_claims()), *huge = malloc(OIDC_TOKEN_MAX + 2);
    json_t *claims = NULL;
    struct error err;
    (void)state;
    for (size_t size = 0; size < strlen(whole); size++) {
        assert_false(oidc_token_verify(whole, size, keys, &expected, &claims, &err));
        assert_null(claims);
    }
    for (size_t at = 0; at < strlen(whole); at += 7) {
        char kept = whole[at];
        static const char wrong[] = {'\0', '.', '=', '+', ' ', (char)0xC3};
        for (size_t i = 0; i < sizeof wrong; i++) {
            whole[at] = wrong[i];
            assert_false(
                oidc_token_verify(whole, strlen(whole) > at ? strlen(whole) : at + 1, keys, &expected, &claims, &err));
        }
        whole[at] = kept;
    }
    assert_taken(whole);
    assert_refused(strdup("..."), ERROR_BAD_DATA, "no JWS");
    assert_refused(strdup("e30.e30.AA.AA"), ERROR_BAD_DATA, "no JWS");
    assert_refused(strdup("e30A=.e30.AA"), ERROR_BAD_DATA, "no JWS");
    assert_refused(strdup("e30.e30.AAAAA"), ERROR_BAD_DATA, "no JWS");    // no encoding is that long
    assert_refused(strdup("e30.e30.AA.AA.AA"), ERROR_BAD_DATA, "no JWS"); // encrypted
    memset(huge, 'A', OIDC_TOKEN_MAX + 1);
    huge[OIDC_TOKEN_MAX + 1] = '\0';
    assert_refused(huge, ERROR_BAD_DATA, "are the most");
}

// Signed as they are, or not signed at all: what is read of them is refused before or after.
static void what_is_ambiguous_or_no_text_is_refused(void **state)
{
    static const char *const twice = "{\"iss\":\"" ISSUER "\",\"sub\":\"4711\",\"sub\":\"4712\",\"aud\":\"hilum\"}";
    static const char *const latin = "{\"sub\":\"M\xFCller\"}", *const nul = "{\"sub\":\"47\\u000011\"}";
    (void)state;
    assert_refused(sign(rsa, "RS256", "rsa", twice, strlen(twice)), ERROR_BAD_DATA, "duplicate");
    assert_refused(sign(rsa, "RS256", "rsa", latin, strlen(latin)), ERROR_BAD_DATA, "0xfc");
    assert_refused(sign(rsa, "RS256", "rsa", nul, strlen(nul)), ERROR_BAD_DATA, "payload");
    assert_refused(sign(rsa, "RS256", "rsa", "[]", 2), ERROR_BAD_DATA, "another kind");
    assert_refused(forged("{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}", "AA"), ERROR_BAD_DATA, "duplicate");
    assert_refused(forged("{\"alg\":\"RS256\",\"kid\":7}", "{}", "AA"), ERROR_BAD_DATA, "'kid'");
    assert_refused(forged("[\"RS256\"]", "{}", "AA"), ERROR_BAD_DATA, "header");
    assert_refused(forged("{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"b64\"],\"b64\":false}", "{}", "AA"),
                   ERROR_FORBIDDEN, "'crit'");
}

int test_id_token(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_of_each_algorithm_that_is_all_it_should_be_is_taken),
        cmocka_unit_test(other_algorithms_are_refused_whatever_they_are_signed_with),
        cmocka_unit_test(an_hmac_made_with_the_public_key_is_refused),
        cmocka_unit_test(only_the_key_that_is_named_and_published_counts),
        cmocka_unit_test(a_key_of_another_curve_is_not_that_of_the_algorithm),
        cmocka_unit_test(a_key_set_that_is_none_verifies_nothing),
        cmocka_unit_test(a_token_of_another_time_is_refused_and_the_clocks_are_named),
        cmocka_unit_test(a_token_of_another_issuer_or_for_another_client_is_refused),
        cmocka_unit_test(a_token_of_another_login_is_refused),
        cmocka_unit_test(the_access_token_that_came_beside_must_be_its_own),
        cmocka_unit_test(what_is_no_token_is_refused_by_its_form),
        cmocka_unit_test(what_is_ambiguous_or_no_text_is_refused),
    };
    return cmocka_run_group_tests_name("id token", tests, make_keys, free_keys);
}
