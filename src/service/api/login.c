// Logging in and out over HTTP, one's own session and password, and the first administrator.
#include "service/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "service/oidc/oidc.h"

void api_login(void *payload, struct http_request *request)
{
    struct service *service = payload;
    service_reply_json(request, 200,
                       json_pack("{s:b, s:b, s:b, s:o, s:o*}", "needed", service_needs_logins(service), "password",
                                 access_accounts_exist(service->access), "first", access_first_is_due(service->access),
                                 "providers", oidc_ways(service), "refused", oidc_refusal(service, request)));
}

// ---- the session

static json_t *actions_to_json(const struct access_subject *subject)
{
    json_t *list = json_array();
    for (enum access_action action = 1; action < ACCESS_ACTION_END; action++)
        if (access_allows(subject, action))
            json_array_append_new(list, json_string(access_action_words(action)));
    return list;
}

static json_t *session_to_json(struct service *service, const struct access_subject *subject,
                               const struct access_session *session)
{
    static const char *const kinds[ACCESS_KIND_END] = {
        [ACCESS_LOCAL] = "local", [ACCESS_USER] = "user", [ACCESS_TOKEN] = "token"};
    char ends[CLOCK_RFC3339_SIZE], emergency[CLOCK_RFC3339_SIZE];
    const char *way = !session ? "" : session->way == ACCESS_BY_PASSWORD ? "password" : "provider";
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:I, s:s?, s:s, s:s?}", "name", subject->name, "shown",
                     session ? session->shown : subject->name, "kind", kinds[subject->kind], "roles",
                     access_roles_to_json(subject->roles), "actions", actions_to_json(subject), "labels",
                     access_labels_to_json(service->access, subject->labels), "csrf", session ? session->csrf : "",
                     "idle_s", (json_int_t)(session ? access_idle_ns(service->access) / CLOCK_SECOND : 0), "ends",
                     session ? clock_rfc3339(ends, session->ends_ns) : NULL, "way", way, "emergency",
                     session && session->emergency_ns ? clock_rfc3339(emergency, session->emergency_ns) : NULL);
}

void api_session(void *payload, struct http_request *request)
{
    const struct access_subject *subject = service_subject(request);
    const struct service_login *login = service_login(request);
    struct error err;
    if (subject->kind == ACCESS_NOBODY) {
        error_set(&err, ERROR_LOGIN, "nobody is logged in here");
        http_reply_error(request, &err);
        return;
    }
    service_reply_json(request, 200,
                       session_to_json(payload, subject, login->way == SERVICE_BY_SESSION ? &login->session : NULL));
}

// 429 with how long to wait (RFC 6585, section 4) for who tried too often.
static void reply_refused(struct http_request *request, const struct error *err, int wait_s)
{
    char seconds[12];
    if (err->code != ERROR_BUSY) {
        http_reply_status(request, err->code == ERROR_FORBIDDEN ? 401 : error_http(err->code), err);
        return;
    }
    snprintf(seconds, sizeof seconds, "%d", wait_s > 0 ? wait_s : 1);
    http_set_header(request, "Retry-After", seconds);
    http_reply_status(request, 429, err);
}

static void reply_session(struct service *service, struct http_request *request, const char *secret,
                          const struct access_session *session)
{
    service_set_cookie(request, secret);
    service_reply_json(request, 200, session_to_json(service, &session->subject, session));
}

// A password may have any characters and any length that the room takes.
static const char *secret_member(const json_t *body, const char *name, struct error *err)
{
    const json_t *value = json_object_get(body, name);
    const char *text = json_string_value(value);
    if (text && *text && strlen(text) == json_string_length(value))
        return text;
    error_set(err, ERROR_BAD_VALUE, "the body needs '%s', a text without NUL", name);
    return NULL;
}

static void fold(char *name)
{
    for (; *name; name++)
        if (*name >= 'A' && *name <= 'Z')
            *name = (char)(*name - 'A' + 'a');
}

static bool read_name(const json_t *body, char out[ACCESS_NAME_SIZE], struct error *err)
{
    const char *name = service_member(body, "name", err);
    if (!name)
        return false;
    if (!text_copy(out, ACCESS_NAME_SIZE, name))
        return error_set(err, ERROR_BAD_VALUE, "'name' is longer than any");
    fold(out);
    return true;
}

static bool log_in(struct service *service, struct http_request *request, const char *name, const char *password,
                   int *wait_s, struct error *err)
{
    struct access_session session;
    char secret[ACCESS_SECRET_SIZE];
    if (!access_log_in(service->access, name, password, http_address(request), clock_now_ns(), secret, &session, wait_s,
                       err))
        return false;
    reply_session(service, request, secret, &session);
    return true;
}

void api_session_post(void *payload, struct http_request *request)
{
    struct error err;
    char name[ACCESS_NAME_SIZE];
    int wait_s = 1;
    json_t *body = service_read_json(request, "name password", &err);
    const char *password = body && read_name(body, name, &err) ? secret_member(body, "password", &err) : NULL;
    if (!password || !log_in(payload, request, name, password, &wait_s, &err))
        reply_refused(request, &err, wait_s);
    json_decref(body);
}

void api_emergency(void *payload, struct http_request *request)
{
    struct service *service = payload;
    const struct service_login *login = service_login(request);
    struct access_session session;
    struct error err;
    json_t *body = service_read_json(request, "reason", &err);
    const char *reason = body ? service_member(body, "reason", &err) : NULL;
    bool ok = reason && (login->way == SERVICE_BY_SESSION ||
                         error_set(&err, ERROR_FORBIDDEN, "an emergency is a person's, who is logged in"));
    if (ok && access_session_emergency(service->access, login->secret, reason, http_address(request), clock_now_ns(),
                                       &session, &err))
        service_reply_json(request, 200, session_to_json(service, &session.subject, &session));
    else
        http_reply_error(request, &err);
    json_decref(body);
}

// The provider's session is not ours to end: the answer says where he ends it (RP-Initiated Logout 1.0), if he likes.
static bool end_at_provider(struct oidc *oidc, struct http_request *request)
{
    char url[OIDC_URL_SIZE];
    struct buffer whole;
    if (!oidc_knows_logout(oidc, url))
        return false;
    const struct oidc_settings *settings = oidc_settings(oidc);
    buffer_init(&whole, 8 << 10);
    buffer_printf(&whole, "%s%sclient_id=", url, strchr(url, '?') ? "&" : "?");
    buffer_percent(&whole, settings->client_id);
    buffer_byte(&whole, '\0');
    service_reply_json(request, 200,
                       whole.failed ? NULL : json_pack("{s:s, s:s}", "provider", settings->name, "url", whole.data));
    buffer_free(&whole);
    return true;
}

void api_session_delete(void *payload, struct http_request *request)
{
    struct service *service = payload;
    const struct service_login *login = service_login(request);
    if (login->way == SERVICE_BY_SESSION)
        access_log_out(service->access, login->secret, http_address(request), clock_now_ns());
    service_set_cookie(request, "");
    bool by_provider = login->way == SERVICE_BY_SESSION && login->session.way == ACCESS_BY_PROVIDER;
    struct oidc *oidc = by_provider ? oidc_hold(service) : NULL;
    if (!oidc || !end_at_provider(oidc, request))
        http_reply(request, 204, NULL, "", 0);
    oidc_release(oidc);
}

void api_first(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    char name[ACCESS_NAME_SIZE];
    int wait_s = 1;
    json_t *body = service_read_json(request, "code name password", &err);
    const char *code = body && read_name(body, name, &err) ? secret_member(body, "code", &err) : NULL;
    const char *password = code ? secret_member(body, "password", &err) : NULL;
    if (!password || !access_first_make(service->access, code, name, password, http_address(request), &wait_s, &err) ||
        !log_in(service, request, name, password, &wait_s, &err))
        reply_refused(request, &err, wait_s);
    json_decref(body);
}

void api_password(void *payload, struct http_request *request)
{
    struct service *service = payload;
    const struct access_subject *subject = service_subject(request);
    const char *name = http_path_part(request, "name");
    struct error err;
    int wait_s = 1;
    json_t *body = service_read_json(request, "old new", &err);
    const char *old = body ? secret_member(body, "old", &err) : NULL;
    const char *password = old ? secret_member(body, "new", &err) : NULL;
    bool ok = password && (subject->kind == ACCESS_USER && strcmp(subject->name, name) == 0
                               ? access_password_change(service->access, name, old, password, http_address(request),
                                                        clock_now_ns(), &wait_s, &err)
                               : error_set(&err, ERROR_FORBIDDEN,
                                           "only the password of one's own account is changed here; an administrator "
                                           "sets others' with PUT /api/accounts/NAME"));
    if (!ok || !log_in(service, request, name, password, &wait_s, &err)) // all sessions have ended, this one too
        reply_refused(request, &err, wait_s);
    json_decref(body);
}
