// What is fetched from the provider: its description, its keys, and the ID token for a code. What came is kept under a
// lock; it is fetched without one.
#include "service/oidc/oidc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "http/client.h"

#define DISCOVERY "/.well-known/openid-configuration"
enum { SECRET_SIZE = ACCESS_CLIENT_SECRET_SIZE };

struct oidc {
    _Atomic unsigned holders;
    struct arena texts;
    struct oidc_settings settings;
    int64_t version;
    pthread_mutex_t lock;           // of what follows
    uint64_t entered[OIDC_AT_ONCE]; // whose places they are; 0: free
    struct oidc_provider known;
    int64_t known_ns; // monotonic, as those below; 0: it is not known
    int64_t keys_again_ns;
    int64_t logged_ns; // when the minute of `logged` began
    unsigned logged;
    int64_t failed_ns; // 0: it has not
    struct error failure;
};

// The copies of all texts, in the arena; false: no memory.
static bool copy_settings(struct oidc *oidc, const struct access_provider *provider, const char *authorities_file)
{
    struct oidc_settings *to = &oidc->settings;
    const struct {
        const char **to, *from;
    } texts[] = {{&to->issuer, provider->issuer},
                 {&to->client_id, provider->client_id},
                 {&to->client_secret, provider->client_secret},
                 {&to->name, provider->name},
                 {&to->scopes, provider->scopes},
                 {&to->groups_claim, provider->groups_claim},
                 {&to->roles, provider->roles},
                 {&to->authorities, *provider->authorities ? provider->authorities : NULL},
                 {&to->authorities_file, *authorities_file ? authorities_file : NULL}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i].to = texts[i].from ? arena_strdup(&oidc->texts, texts[i].from) : NULL;
        if (texts[i].from && !*texts[i].to)
            return false;
    }
    return true;
}

struct oidc *oidc_open(const struct access_provider *provider, const char *authorities_file, struct error *err)
{
    struct oidc *oidc = calloc(1, sizeof *oidc);
    if (!oidc) {
        error_set(err, ERROR_MEMORY, "no memory for the identity provider");
        return NULL;
    }
    pthread_mutex_init(&oidc->lock, NULL);
    arena_init(&oidc->texts, OIDC_ROW_BYTES);
    oidc->holders = 1;
    oidc->version = provider->version;
    if (copy_settings(oidc, provider, authorities_file))
        return oidc;
    oidc_release(oidc);
    error_set(err, ERROR_MEMORY, "no memory for the identity provider");
    return NULL;
}

void oidc_keep(struct oidc *oidc)
{
    oidc->holders++;
}

void oidc_release(struct oidc *oidc)
{
    if (!oidc || --oidc->holders > 0)
        return;
    oidc_provider_free(&oidc->known);
    arena_free(&oidc->texts);
    pthread_mutex_destroy(&oidc->lock);
    free(oidc);
}

const struct oidc_settings *oidc_settings(const struct oidc *oidc)
{
    return &oidc->settings;
}

int64_t oidc_version(const struct oidc *oidc)
{
    return oidc->version;
}

void oidc_provider_free(struct oidc_provider *provider)
{
    json_decref(provider->key_set);
    provider->key_set = NULL;
}

// ---- one fetch

// The answer as JSON, the caller's; NULL with *err, BAD_DATA for what is none.
static json_t *fetch(const struct oidc_settings *settings, struct http_call *call, int64_t deadline_ns, int *status,
                     struct error *err)
{
    struct buffer answer;
    json_error_t where;
    json_t *json = NULL;
    call->timeout_ns = deadline_ns - clock_monotonic_ns();
    call->connect_ns = OIDC_CONNECT_SECONDS * CLOCK_SECOND;
    call->authorities = settings->authorities_file;
    call->authorities_text = settings->authorities;
    call->fd = -1;
    if (call->timeout_ns < CLOCK_MS) {
        error_set(err, ERROR_TIMEOUT, "%s did not answer in time", call->url);
        return NULL;
    }
    buffer_init(&answer, OIDC_ANSWER_MAX);
    bool ok = http_client_call(call, status, &answer, err);
    if (ok)
        json = json_loadb(answer.data ? (const char *)answer.data : "", answer.size, JSON_REJECT_DUPLICATES, &where);
    if (ok && !json_is_object(json)) {
        error_set(err, ERROR_BAD_DATA, "%s answers %d and no JSON object", call->url, *status);
        json_decref(json);
        json = NULL;
    }
    buffer_free(&answer);
    return json;
}

static json_t *fetch_well(const struct oidc_settings *settings, const char *url, int64_t deadline_ns, int64_t *date_ns,
                          struct error *err)
{
    int status;
    struct http_call call = {.method = "GET", .url = url, .date_ns = date_ns};
    json_t *json = fetch(settings, &call, deadline_ns, &status, err);
    if (!json || status == 200)
        return json;
    error_set(err, ERROR_BAD_DATA, "%s answers %d", url, status);
    json_decref(json);
    return NULL;
}

bool oidc_fetch_description(const struct oidc_settings *settings, int64_t deadline_ns, json_t **out, int64_t *date_ns,
                            struct error *err)
{
    char url[OIDC_URL_SIZE];
    size_t size = strlen(settings->issuer);
    bool slash = size > 0 && settings->issuer[size - 1] == '/';
    snprintf(url, sizeof url, "%.*s" DISCOVERY, (int)(size - slash), settings->issuer);
    *out = fetch_well(settings, url, deadline_ns, date_ns, err);
    return *out != NULL;
}

// ---- the description

static bool read_url(const json_t *json, const char *name, bool needed, char out[OIDC_URL_SIZE], struct error *err)
{
    char host[SERVICE_HOST_SIZE];
    uint16_t port;
    struct error why;
    const char *url = json_string_value(json_object_get(json, name));
    *out = '\0';
    if (!url)
        return !needed || error_set(err, ERROR_BAD_DATA, "the provider's description has no %s", name);
    if (!access_url_read(url, name, host, sizeof host, &port, &why))
        return error_set(err, ERROR_BAD_DATA, "in the provider's description, %.200s", why.message);
    return text_copy(out, OIDC_URL_SIZE, url);
}

static bool lists(const json_t *list, const char *word)
{
    size_t i;
    json_t *value;
    json_array_foreach((json_t *)(uintptr_t)list, i, value)
    {
        const char *text = json_string_value(value);
        if (text && strcmp(text, word) == 0)
            return true;
    }
    return false;
}

bool oidc_read_description(const struct oidc_settings *settings, const json_t *json, struct oidc_provider *out,
                           struct error *err)
{
    char shown[100];
    const char *issuer = json_string_value(json_object_get(json, "issuer"));
    *out = (struct oidc_provider){
        .promises_iss = json_is_true(json_object_get(json, "authorization_response_iss_parameter_supported")),
        .knows_s256 = lists(json_object_get(json, "code_challenge_methods_supported"), "S256")};
    if (!issuer || strcmp(issuer, settings->issuer) != 0)
        return error_set(err, ERROR_MISMATCH, "the provider calls itself '%s', and its entry has the issuer '%.80s'",
                         text_show(shown, sizeof shown, issuer ? issuer : "", issuer ? strlen(issuer) : 0),
                         settings->issuer);
    return read_url(json, "authorization_endpoint", true, out->authorization, err) &&
           read_url(json, "token_endpoint", true, out->token, err) &&
           read_url(json, "jwks_uri", true, out->keys, err) &&
           read_url(json, "end_session_endpoint", false, out->logout, err);
}

bool oidc_fetch_keys(const struct oidc_settings *settings, int64_t deadline_ns, struct oidc_provider *provider,
                     struct error *err)
{
    json_t *set = fetch_well(settings, provider->keys, deadline_ns, NULL, err);
    const json_t *list = json_object_get(set, "keys");
    if (set && (json_array_size(list) == 0 || json_array_size(list) > OIDC_KEYS_MAX)) {
        error_set(err, ERROR_BAD_DATA, "%s publishes %zu keys; 1 to %d are taken", provider->keys,
                  json_array_size(list), OIDC_KEYS_MAX);
        json_decref(set);
        set = NULL;
    }
    if (!set)
        return false;
    json_decref(provider->key_set);
    provider->key_set = set;
    return true;
}

// ---- what is known

uint64_t *oidc_enter(struct oidc *oidc, uint64_t share, struct error *err)
{
    uint64_t *place = NULL;
    size_t own = 0;
    pthread_mutex_lock(&oidc->lock);
    for (size_t i = 0; i < OIDC_AT_ONCE; i++) {
        own += oidc->entered[i] == share;
        if (oidc->entered[i] == 0)
            place = &oidc->entered[i];
    }
    if (own >= OIDC_OF_ADDRESS)
        place = NULL;
    if (place)
        *place = share;
    pthread_mutex_unlock(&oidc->lock);
    if (own >= OIDC_OF_ADDRESS)
        error_set(err, ERROR_BUSY, "%d logins from your address wait for %.40s already: try again in some seconds",
                  OIDC_OF_ADDRESS, oidc->settings.name);
    else if (!place)
        error_set(err, ERROR_BUSY, "%d logins wait for %.40s already: try again in some seconds", OIDC_AT_ONCE,
                  oidc->settings.name);
    return place;
}

void oidc_leave(struct oidc *oidc, uint64_t *place)
{
    pthread_mutex_lock(&oidc->lock);
    *place = 0;
    pthread_mutex_unlock(&oidc->lock);
}

static bool fetch_all(const struct oidc_settings *settings, int64_t deadline_ns, struct oidc_provider *out,
                      struct error *err)
{
    json_t *json = NULL;
    bool ok = oidc_fetch_description(settings, deadline_ns, &json, NULL, err) &&
              oidc_read_description(settings, json, out, err) && oidc_fetch_keys(settings, deadline_ns, out, err);
    json_decref(json);
    return ok;
}

// With the lock; the copy has the key set too.
static void copy_known(const struct oidc *oidc, struct oidc_provider *out)
{
    *out = oidc->known;
    json_incref(out->key_set);
}

// What came, or why nothing did.
static void keep(struct oidc *oidc, const struct oidc_provider *fetched, const struct error *failure)
{
    int64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&oidc->lock);
    if (fetched) {
        oidc_provider_free(&oidc->known);
        oidc->known = *fetched;
        json_incref(oidc->known.key_set);
        oidc->known_ns = now_ns;
    } else {
        oidc->failure = *failure;
    }
    oidc->failed_ns = fetched ? 0 : now_ns;
    pthread_mutex_unlock(&oidc->lock);
}

bool oidc_provider_get(struct oidc *oidc, int64_t deadline_ns, struct oidc_provider *out, struct error *err)
{
    int64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&oidc->lock);
    bool known = oidc->known_ns && now_ns - oidc->known_ns < OIDC_KNOWN_SECONDS * CLOCK_SECOND;
    bool failed = !known && oidc->failed_ns && now_ns - oidc->failed_ns < OIDC_FAILED_SECONDS * CLOCK_SECOND;
    if (known)
        copy_known(oidc, out);
    else if (failed)
        *err = oidc->failure;
    pthread_mutex_unlock(&oidc->lock);
    if (known || failed)
        return known;
    *out = (struct oidc_provider){.key_set = NULL};
    bool ok = fetch_all(&oidc->settings, deadline_ns, out, err);
    keep(oidc, ok ? out : NULL, err);
    return ok;
}

bool oidc_may_log(struct oidc *oidc)
{
    int64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&oidc->lock);
    if (now_ns - oidc->logged_ns > 60 * CLOCK_SECOND) {
        oidc->logged_ns = now_ns;
        oidc->logged = 0;
    }
    bool ok = oidc->logged < OIDC_LOGGED_A_MINUTE;
    oidc->logged += ok;
    pthread_mutex_unlock(&oidc->lock);
    return ok;
}

bool oidc_knows_logout(struct oidc *oidc, char out[OIDC_URL_SIZE])
{
    pthread_mutex_lock(&oidc->lock);
    text_copy(out, OIDC_URL_SIZE, oidc->known.logout);
    pthread_mutex_unlock(&oidc->lock);
    return *out != '\0';
}

// Whether it is time to look for a key that is new; counted as done.
static bool may_fetch_keys_again(struct oidc *oidc)
{
    int64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&oidc->lock);
    bool ok = !oidc->keys_again_ns || now_ns - oidc->keys_again_ns >= OIDC_KEYS_AGAIN_SECONDS * CLOCK_SECOND;
    if (ok)
        oidc->keys_again_ns = now_ns;
    pthread_mutex_unlock(&oidc->lock);
    return ok;
}

// ---- a code, and what it is worth

static void add(struct buffer *form, const char *name, const char *value)
{
    buffer_printf(form, "%s%s=", form->size ? "&" : "", name);
    buffer_percent(form, value);
}

static bool percent(char *out, size_t capacity, const char *text)
{
    struct buffer coded;
    buffer_init(&coded, capacity - 1);
    buffer_percent(&coded, text);
    bool ok = !coded.failed && text_copy_n(out, capacity, coded.data ? (const char *)coded.data : "", coded.size);
    buffer_free(&coded);
    return ok;
}

// client_secret_basic (RFC 6749, section 2.3.1: both are coded as a form first), or a public client's bare name.
static bool set_client(const struct oidc_settings *settings, struct http_call *call, struct buffer *form,
                       char user[SECRET_SIZE], char password[3 * SECRET_SIZE], struct error *err)
{
    if (!*settings->client_secret) {
        add(form, "client_id", settings->client_id);
        return true;
    }
    if (!percent(user, SECRET_SIZE, settings->client_id) ||
        !percent(password, (size_t)3 * SECRET_SIZE, settings->client_secret))
        return error_set(err, ERROR_BAD_VALUE, "client_id or client_secret is too long");
    call->user = user;
    call->password = password;
    return true;
}

static bool refuse_exchange(struct oidc *oidc, const json_t *answer, int status, struct error *err)
{
    const struct oidc_settings *settings = &oidc->settings;
    char shown[48], details[200];
    const char *code = json_string_value(json_object_get(answer, "error"));
    const char *why = json_string_value(json_object_get(answer, "error_description"));
    if (oidc_may_log(oidc))
        log_warning("service", "%s gave no ID token for a code (%d, %s): %s", settings->name, status,
                    code ? text_show(shown, sizeof shown, code, strlen(code)) : "no error named",
                    why ? text_show(details, sizeof details, why, strlen(why)) : "without a word");
    if (code && (strcmp(code, "invalid_client") == 0 || strcmp(code, "unauthorized_client") == 0))
        return error_set(err, ERROR_FORBIDDEN,
                         "%.40s does not take us for its client (%s): client_id or client_secret, as they are entered, "
                         "are not what it has",
                         settings->name, code);
    if (code && strcmp(code, "invalid_grant") == 0)
        return error_set(err, ERROR_FORBIDDEN,
                         "%.40s does not take the code (invalid_grant): it has been used or has ended; log in again",
                         settings->name);
    return error_set(err, ERROR_FORBIDDEN, "%.40s gives no ID token: it answers %d, %s", settings->name, status,
                     code ? text_show(shown, sizeof shown, code, strlen(code)) : "without an error's name");
}

static json_t *ask_tokens(struct oidc *oidc, int64_t deadline_ns, const char *url, const struct oidc_answer *answer,
                          struct error *err)
{
    const struct oidc_settings *settings = &oidc->settings;
    char user[SECRET_SIZE], password[3 * SECRET_SIZE];
    struct http_call call = {.method = "POST", .url = url, .type = "application/x-www-form-urlencoded"};
    struct buffer form;
    int status = 0;
    buffer_init(&form, 16 << 10);
    add(&form, "grant_type", "authorization_code");
    add(&form, "code", answer->code);
    add(&form, "redirect_uri", answer->redirect_uri);
    add(&form, "code_verifier", answer->verifier);
    json_t *json = NULL;
    if (set_client(settings, &call, &form, user, password, err) && buffer_check(&form, "the code", err)) {
        call.body = form.data;
        call.size = form.size;
        json = fetch(settings, &call, deadline_ns, &status, err);
        if (!json && err->code == ERROR_LIMIT)
            error_set(err, ERROR_LIMIT, "the answer with the ID token has more than %d bytes; " OIDC_TOO_LARGE,
                      OIDC_ANSWER_MAX);
    }
    buffer_free(&form);
    if (!json || (status == 200 && json_is_string(json_object_get(json, "id_token"))))
        return json;
    refuse_exchange(oidc, json, status, err);
    json_decref(json);
    return NULL;
}

bool oidc_exchange(struct oidc *oidc, int64_t deadline_ns, struct oidc_provider *provider,
                   const struct oidc_answer *answer, json_t **claims, struct error *err)
{
    json_t *tokens = ask_tokens(oidc, deadline_ns, provider->token, answer, err);
    if (!tokens)
        return false;
    const json_t *token = json_object_get(tokens, "id_token");
    const char *text = json_string_value(token);
    struct oidc_expected expected = {.issuer = oidc->settings.issuer,
                                     .client_id = oidc->settings.client_id,
                                     .nonce = answer->nonce,
                                     .access_token = json_string_value(json_object_get(tokens, "access_token")),
                                     .now_ns = clock_now_ns()};
    size_t size = json_string_length(token);
    bool ok = oidc_token_verify(text, size, provider->key_set, &expected, claims, err);
    if (!ok && err->code == ERROR_NOT_FOUND && may_fetch_keys_again(oidc) &&
        oidc_fetch_keys(&oidc->settings, deadline_ns, provider, err)) {
        keep(oidc, provider, NULL);
        ok = oidc_token_verify(text, size, provider->key_set, &expected, claims, err);
    }
    json_decref(tokens);
    return ok;
}
