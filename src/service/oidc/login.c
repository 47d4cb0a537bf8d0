// The two requests of a login by a provider: to it, and back. A person's browser goes there by itself, so what is
// refused is told to the page, which asks for the words (GET /api/login): no address has a text that is shown.
#include "service/oidc/oidc.h"

#include <cjose/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"

#define DEADLINE_NS (OIDC_WHOLE_SECONDS * CLOCK_SECOND)

// ---- cookies: of this browser's logins, sent to their two addresses alone, and of a refusal

// All logins that a browser has under way have one cookie, so that none of several tabs takes the place of another:
// what tells them apart is their states, of which each is used up by its own answer.

static const struct cookie {
    const char *name, *path, *site; // SameSite: the callback is reached from the provider's page
    int seconds;
} login_cookie = {"hilum-login", OIDC_PATH, "Lax", OIDC_WAITING_SECONDS},
  refused_cookie = {"hilum-refused", "/api/login", "Strict", 600};

static void set_cookie(struct http_request *request, const struct cookie *cookie, const char *value)
{
    char name[SERVICE_COOKIE_SIZE];
    service_cookie_name(request, "__Secure-", cookie->name, name);
    http_set_header(request, "Set-Cookie",
                    arena_printf(http_arena(request), "%s=%s; Path=%s; Max-Age=%d; HttpOnly; SameSite=%s%s", name,
                                 value, cookie->path, *value ? cookie->seconds : 0, cookie->site,
                                 http_is_secure(request) ? "; Secure" : ""));
}

static bool read_cookie(const struct http_request *request, const struct cookie *cookie, char out[ACCESS_SECRET_SIZE])
{
    char name[SERVICE_COOKIE_SIZE];
    service_cookie_name(request, "__Secure-", cookie->name, name);
    return service_read_cookie(request, name, out) && *out;
}

// ---- answers

static void redirect(struct http_request *request, const char *to)
{
    http_set_header(request, "Location", to);
    http_reply(request, 302, NULL, "", 0);
}

// `actor`: who it is, once the provider has said so in a token that counts; NULL before. What nobody is behind is
// a refused request, of which the audit trail keeps each detail, and not all the same ones (access.h).
static void refuse(struct service *service, struct http_request *request, const char *actor, const struct error *why)
{
    char id[ACCESS_SECRET_SIZE];
    struct oidc *oidc = oidc_hold(service);
    char detail[ERROR_MESSAGE_SIZE + 64];
    snprintf(detail, sizeof detail, "login by %.40s: %s", oidc ? oidc_settings(oidc)->name : "an identity provider",
             why->message);
    bool logs = oidc && oidc_may_log(oidc);
    oidc_release(oidc);
    access_audit(service->access,
                 &(struct access_record){.event = actor ? ACCESS_EVENT_LOGIN : ACCESS_EVENT_REFUSED,
                                         .success = false,
                                         .actor = actor ? actor : service_subject(request)->name,
                                         .address = http_address(request),
                                         .patient = "",
                                         .study = "",
                                         .detail = detail},
                 clock_now_ns());
    if (logs)
        log_warning("service", "%s", detail);
    if (actor)
        service_note_person(request);
    if (access_secret_make("", id)) {
        oidc_refusal_keep(oidc_waiting(service), id, why->message);
        set_cookie(request, &refused_cookie, id);
    }
    redirect(request, "/");
}

// ---- what the page asks

json_t *oidc_ways(struct service *service)
{
    struct oidc *oidc = oidc_hold(service);
    if (!oidc)
        return json_array();
    const char *name = oidc_settings(oidc)->name;
    char words[128];
    snprintf(words, sizeof words, "Log in with %.80s", name);
    json_t *ways = json_pack("[{s:s, s:s, s:s}]", "name", name, "words", words, "url", OIDC_PATH);
    oidc_release(oidc);
    return ways;
}

json_t *oidc_refusal(struct service *service, struct http_request *request)
{
    char id[ACCESS_SECRET_SIZE], words[ERROR_MESSAGE_SIZE];
    if (!read_cookie(request, &refused_cookie, id))
        return NULL;
    set_cookie(request, &refused_cookie, "");
    return json_string(oidc_refusal_take(oidc_waiting(service), id, words)
                           ? words
                           : "the last login was refused, and why is not known any more: try again");
}

const char *oidc_redirect_uri(const struct service *service, struct arena *arena)
{
    char address[SERVICE_ADDRESS_SIZE];
    const char *name = service->names.list[0];
    if (name)
        return arena_printf(arena, "https://%s%s", name, OIDC_CALLBACK);
    return arena_printf(arena, "http://%s%s", service_http_address(service, address), OIDC_CALLBACK);
}

// Of the Host that the http room has let pass: a name of ours, or an address. What comes back in the clear could be
// read on the way.
static bool make_redirect_uri(const struct http_request *request, char *out, size_t capacity, struct error *err)
{
    char name[SERVICE_HOST_SIZE];
    uint16_t port;
    const char *host = http_header(request, "Host");
    bool secure = http_is_secure(request);
    int size = snprintf(out, capacity, "%s://%s%s", secure ? "https" : "http", host ? host : "", OIDC_CALLBACK);
    if (!host || size < 0 || (size_t)size >= capacity)
        return error_set(err, ERROR_BAD_VALUE, "the request has no Host that a provider could answer to");
    return access_url_read(out, "the address of this page", name, sizeof name, &port, err) ||
           error_set(err, ERROR_FORBIDDEN,
                     "a login by a provider needs HTTPS: call this page with https:// (a proxy in front that has it is "
                     "believed when http.trusted_proxies names it)");
}

const char *oidc_redirect_uri_for(const struct service *service, struct http_request *request)
{
    char uri[SERVICE_HOST_SIZE + 64];
    struct error ignored;
    return (http_is_secure(request) || !service->names.list[0]) && make_redirect_uri(request, uri, sizeof uri, &ignored)
               ? arena_strdup(http_arena(request), uri)
               : oidc_redirect_uri(service, http_arena(request));
}

// ---- to the provider

static bool make_challenge(const char *verifier, char out[ACCESS_SECRET_SIZE])
{
    uint8_t digest[HASH_SIZE];
    char *text = NULL;
    size_t size;
    cjose_err why;
    hash_of(verifier, strlen(verifier), digest);
    bool ok =
        cjose_base64url_encode(digest, sizeof digest, &text, &size, &why) && text_copy(out, ACCESS_SECRET_SIZE, text);
    free(text);
    return ok;
}

static const char *make_location(struct arena *arena, const struct oidc_settings *settings, const char *endpoint,
                                 const char *state, const struct oidc_begun *begun)
{
    char challenge[ACCESS_SECRET_SIZE] = "";
    const char *const parameters[][2] = {{"client_id", settings->client_id},
                                         {"redirect_uri", begun->redirect_uri},
                                         {"scope", settings->scopes},
                                         {"state", state},
                                         {"nonce", begun->nonce},
                                         {"code_challenge", challenge},
                                         {"code_challenge_method", "S256"}};
    struct buffer out;
    buffer_init(&out, 8 << 10);
    buffer_printf(&out, "%s%sresponse_type=code", endpoint, strchr(endpoint, '?') ? "&" : "?");
    if (begun->anew_ns)
        buffer_printf(&out, "&prompt=login");
    bool ok = make_challenge(begun->verifier, challenge);
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        buffer_printf(&out, "&%s=", parameters[i][0]);
        buffer_percent(&out, parameters[i][1]);
    }
    const char *location = ok && !out.failed ? arena_strndup(arena, (const char *)out.data, out.size) : NULL;
    buffer_free(&out);
    return location;
}

// What the provider is, in words for who wants to log in by it.
static bool get_provider(struct oidc *oidc, int64_t deadline_ns, struct oidc_provider *out, struct error *err)
{
    return oidc_provider_get(oidc, deadline_ns, out, err) ||
           error_prefix(err,
                        "%.40s cannot be reached, or is not what is configured; accounts with a password still "
                        "work",
                        oidc_settings(oidc)->name);
}

// The secret that this browser's other logins have, if some are under way, or one of its own.
static bool know_browser(const struct http_request *request, char out[ACCESS_SECRET_SIZE])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    return (read_cookie(request, &login_cookie, out) && strlen(out) == 43 && strspn(out, letters) == 43) ||
           access_secret_make("", out);
}

static const char *begin(struct service *service, struct oidc *oidc, struct http_request *request,
                         char browser[ACCESS_SECRET_SIZE], struct error *err)
{
    struct oidc_provider provider;
    struct oidc_begun begun = {.version = oidc_version(oidc),
                               .anew_ns = service_had_session(request) ? clock_now_ns() : 0};
    char state[ACCESS_SECRET_SIZE];
    int64_t now_ns = clock_monotonic_ns();
    uint64_t share = access_address_share(http_address(request)), *place = NULL;
    if (!make_redirect_uri(request, begun.redirect_uri, sizeof begun.redirect_uri, err) ||
        !(place = oidc_enter(oidc, share, err)))
        return NULL;
    bool ok = get_provider(oidc, now_ns + DEADLINE_NS, &provider, err);
    oidc_leave(oidc, place);
    if (!ok)
        return NULL;
    const char *location = NULL;
    if (know_browser(request, browser) && access_secret_make("", state) && access_secret_make("", begun.nonce) &&
        access_secret_make("", begun.verifier))
        location = make_location(http_arena(request), oidc_settings(oidc), provider.authorization, state, &begun);
    oidc_provider_free(&provider);
    if (location)
        oidc_waiting_add(oidc_waiting(service), state, browser, share, &begun, now_ns);
    else
        error_set(err, ERROR_INTERNAL, "no random bits or no memory for a login");
    return location;
}

void oidc_begin(void *payload, struct http_request *request)
{
    struct service *service = payload;
    char browser[ACCESS_SECRET_SIZE];
    struct error err;
    struct oidc *oidc = oidc_hold(service);
    if (!oidc) {
        error_set(&err, ERROR_NOT_FOUND, "no identity provider is entered here");
        http_reply_error(request, &err);
        return;
    }
    const char *location = begin(service, oidc, request, browser, &err);
    oidc_release(oidc);
    if (!location) {
        refuse(service, request, NULL, &err);
        return;
    }
    set_cookie(request, &login_cookie, browser);
    redirect(request, location);
}

// ---- and back

// A parameter that stands there twice is one thing to us and another one to somebody else.
static bool check_query(const struct http_request *request, struct error *err)
{
    for (size_t i = 0; i < http_query_count(request); i++)
        if (http_query_repeats(request, i))
            return error_set(err, ERROR_BAD_VALUE, "the provider's answer has a parameter twice: log in again");
    return true;
}

static bool check_issuer(const struct http_request *request, const struct oidc_settings *settings,
                         const struct oidc_provider *provider, struct error *err)
{
    const char *issuer = http_query(request, "iss");
    if (issuer ? strcmp(issuer, settings->issuer) == 0 : !provider->promises_iss)
        return true;
    return error_set(err, ERROR_FORBIDDEN, "the answer is not from %.40s, which was asked: its issuer is %s",
                     settings->name, issuer ? "another one" : "not named");
}

// The provider's words are for the log; its code has a form (RFC 6749, section 4.1.2.1) and is shown if it has it.
static bool check_error(struct oidc *oidc, const struct http_request *request, struct error *err)
{
    const struct oidc_settings *settings = oidc_settings(oidc);
    char shown[200];
    const char *code = http_query(request, "error"), *words = http_query(request, "error_description");
    if (!code)
        return true;
    bool fit = code[strspn(code, "abcdefghijklmnopqrstuvwxyz_")] == '\0' && strlen(code) <= 40;
    if (oidc_may_log(oidc))
        log_warning("service", "%s refuses a login (%s): %s", settings->name, fit ? code : "an error of no form",
                    words ? text_show(shown, sizeof shown, words, strlen(words)) : "without a word");
    if (strcmp(code, "access_denied") == 0)
        return error_set(err, ERROR_FORBIDDEN, "%.40s did not let you in, or you went back (access_denied)",
                         settings->name);
    return error_set(err, ERROR_FORBIDDEN, "%.40s refuses the login (%s); the server's log has its words",
                     settings->name, fit ? code : "an error of no form");
}

static json_t *ask_claims(struct oidc *oidc, const struct http_request *request, const struct oidc_begun *begun,
                          struct error *err)
{
    struct oidc_provider provider;
    const struct oidc_settings *settings = oidc_settings(oidc);
    const char *code = http_query(request, "code");
    int64_t deadline_ns = clock_monotonic_ns() + DEADLINE_NS;
    json_t *claims = NULL;
    if (!get_provider(oidc, deadline_ns, &provider, err))
        return NULL;
    const struct oidc_answer answer = {code, begun->verifier, begun->redirect_uri, begun->nonce};
    bool ok = check_issuer(request, settings, &provider, err) && check_error(oidc, request, err) &&
              ((code && *code) || error_set(err, ERROR_BAD_VALUE, "%.40s sent no code back", settings->name)) &&
              (oidc_exchange(oidc, deadline_ns, &provider, &answer, &claims, err) ||
               error_prefix(err, "%.40s", settings->name));
    oidc_provider_free(&provider);
    if (ok && oidc_check_anew(claims, settings, begun->anew_ns, err))
        return claims;
    json_decref(claims);
    return NULL;
}

// What was agreed with another provider, or another client's secret, says nothing of who logs in by this one.
static bool check_same(const struct oidc *oidc, int64_t version, struct error *err)
{
    return (oidc && oidc_version(oidc) == version) ||
           error_set(err, ERROR_FORBIDDEN, "the provider was changed meanwhile; log in again");
}

// The answer to a request of this browser, which is used up by it. `oidc` NULL: none is entered any more.
static json_t *answered(struct service *service, struct oidc *oidc, struct http_request *request, struct error *err)
{
    char browser[ACCESS_SECRET_SIZE] = "";
    struct oidc_begun begun;
    const char *state = http_query(request, "state");
    read_cookie(request, &login_cookie, browser);
    if (!check_query(request, err) ||
        !oidc_waiting_take(oidc_waiting(service), state ? state : "", browser, clock_monotonic_ns(), &begun, err) ||
        !check_same(oidc, begun.version, err))
        return NULL;
    uint64_t *place = oidc_enter(oidc, access_address_share(http_address(request)), err);
    if (!place)
        return NULL;
    json_t *claims = ask_claims(oidc, request, &begun, err);
    oidc_leave(oidc, place);
    return claims;
}

void oidc_callback(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_account account = {.name = ""};
    struct access_session session;
    char secret[ACCESS_SECRET_SIZE];
    struct error err;
    struct oidc *oidc = oidc_hold(service);
    json_t *claims = answered(service, oidc, request, &err);
    if (claims && oidc_account_of(claims, oidc_settings(oidc), &account, &err) &&
        access_log_in_by_provider(service->access, &account, oidc_version(oidc), http_address(request), clock_now_ns(),
                                  secret, &session, &err)) {
        service_set_cookie(request, secret);
        redirect(request, "/");
    } else {
        const char *subject = json_string_value(json_object_get(claims, "sub"));
        struct error ignored; // told in the log
        if (claims && *account.issuer && account.roles == 0)
            access_provider_gives_no_role(service->access, account.issuer, account.subject, &ignored);
        refuse(service, request, claims ? (*account.name ? account.name : subject) : NULL, &err);
    }
    json_decref(claims);
    oidc_release(oidc);
}
