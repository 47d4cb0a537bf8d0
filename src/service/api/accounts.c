// Accounts, sessions and tokens, for who manages them.
#include "service/internal.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"

// ---- accounts

static json_t *account_to_json(struct service *service, const struct access_account *account)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:b, s:b, s:s, s:s, s:I}", "name", account->name, "shown", account->shown,
                     "roles", access_roles_to_json(account->roles), "labels",
                     access_labels_to_json(service->access, account->labels), "enabled", account->enabled,
                     "hasPassword", account->has_password, "issuer", account->issuer, "subject", account->subject,
                     "version", (json_int_t)account->version);
}

void api_accounts(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_account *accounts;
    struct error err;
    size_t count = 0;
    if (!access_account_list(service->access, http_arena(request), &accounts, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, account_to_json(service, &accounts[i]));
    service_tell_total(request, count);
    service_reply_json(request, 200, list);
}

static bool text_member(const json_t *body, const char *name, char *out, size_t capacity, struct error *err)
{
    const json_t *value = json_object_get(body, name);
    const char *text = json_string_value(value);
    return !value || (text && strlen(text) == json_string_length(value) && text_copy(out, capacity, text)) ||
           error_set(err, ERROR_BAD_VALUE, "'%s' must be a text of at most %zu bytes", name, capacity - 1);
}

// What is not named stays as it is; an account that is new is enabled.
static bool read_account(struct service *service, const json_t *body, struct access_account *account,
                         const char **password, struct error *err)
{
    const json_t *roles = json_object_get(body, "roles"), *labels = json_object_get(body, "labels"),
                 *enabled = json_object_get(body, "enabled"), *version = json_object_get(body, "version"),
                 *secret = json_object_get(body, "password");
    *password = json_string_value(secret);
    if (secret && (!*password || strlen(*password) != json_string_length(secret)))
        return error_set(err, ERROR_BAD_VALUE, "'password' must be a text without NUL");
    if (enabled && !json_is_boolean(enabled))
        return error_set(err, ERROR_BAD_VALUE, "'enabled' must be true or false");
    if (enabled)
        account->enabled = json_is_true(enabled);
    account->version = 0;
    return text_member(body, "shown", account->shown, sizeof account->shown, err) &&
           text_member(body, "issuer", account->issuer, sizeof account->issuer, err) &&
           text_member(body, "subject", account->subject, sizeof account->subject, err) &&
           (!roles || access_roles_read(roles, &account->roles, err)) &&
           (!labels || access_labels_read(service->access, labels, &account->labels, err)) &&
           (!version || service_version(body, &account->version, err));
}

// Of who was removed or disabled: what he has left that still counts. NULL with *err.
static json_t *left_by(struct service *service, struct http_request *request, const char *name, struct error *err)
{
    struct access_token *tokens;
    size_t count = 0;
    char ends[CLOCK_RFC3339_SIZE], shown[160];
    if (!access_token_left(service->access, http_arena(request), name, clock_now_ns(), &tokens, &count, err))
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            list, json_sprintf("the token %s, which %s made, keeps its rights until %s: remove it if it is not needed",
                               text_show(shown, sizeof shown, tokens[i].name, strlen(tokens[i].name)), name,
                               clock_rfc3339(ends, tokens[i].ends_ns)));
    return list;
}

static void reply_account(struct service *service, struct http_request *request, const char *name)
{
    struct access_account account;
    struct error err;
    json_t *warnings = NULL;
    bool ok = access_account_get(service->access, name, &account, &err) &&
              (account.enabled || (warnings = left_by(service, request, name, &err)) != NULL);
    if (!ok) {
        http_reply_error(request, &err);
        return;
    }
    json_t *json = account_to_json(service, &account);
    if (json_array_size(warnings) > 0)
        json_object_set(json, "warnings", warnings);
    json_decref(warnings);
    service_reply_json(request, 200, json);
}

void api_account_put(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_account account = {0};
    struct error err;
    const char *name = http_path_part(request, "name"), *password = NULL;
    json_t *body =
        service_read_json(request, "name shown roles labels enabled issuer subject password version hasPassword", &err);
    bool known = body && access_account_get(service->access, name, &account, &err);
    if (!known)
        account = (struct access_account){.enabled = true};
    bool ok = body && (known || err.code == ERROR_NOT_FOUND) &&
              (text_copy(account.name, sizeof account.name, name) ||
               error_set(&err, ERROR_BAD_VALUE, "the name is longer than any")) &&
              read_account(service, body, &account, &password, &err) &&
              access_account_put(service->access, &account, password, service_subject(request)->name, &err);
    if (ok)
        reply_account(service, request, name);
    else
        http_reply_error(request, &err);
    json_decref(body);
}

void api_account_delete(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    const char *name = http_path_part(request, "name");
    json_t *warnings = access_account_remove(service->access, name, service_subject(request)->name, &err)
                           ? left_by(service, request, name, &err)
                           : NULL;
    if (!warnings)
        http_reply_error(request, &err);
    else if (json_array_size(warnings) > 0)
        service_reply_json(request, 200, json_pack("{s:O}", "warnings", warnings));
    else
        http_reply(request, 204, NULL, "", 0);
    json_decref(warnings);
}

// ---- sessions

void api_sessions(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_session *sessions;
    struct error err;
    size_t count = 0;
    char began[CLOCK_RFC3339_SIZE], used[CLOCK_RFC3339_SIZE], ends[CLOCK_RFC3339_SIZE];
    if (!access_session_list(service->access, http_arena(request), clock_now_ns(), &sessions, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "id", sessions[i].id, "name",
                                              sessions[i].subject.name, "shown", sessions[i].shown, "way",
                                              sessions[i].way == ACCESS_BY_PASSWORD ? "password" : "provider", "began",
                                              clock_rfc3339(began, sessions[i].began_ns), "used",
                                              clock_rfc3339(used, sessions[i].used_ns), "ends",
                                              clock_rfc3339(ends, sessions[i].ends_ns)));
    service_reply_json(request, 200, list);
}

void api_sessions_delete(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    if (access_session_end(service->access, http_path_part(request, "id"), service_subject(request)->name, &err))
        http_reply(request, 204, NULL, "", 0);
    else
        http_reply_error(request, &err);
}

// ---- tokens

static json_t *token_to_json(struct service *service, const struct access_token *token)
{
    char made[CLOCK_RFC3339_SIZE], ends[CLOCK_RFC3339_SIZE];
    return json_pack("{s:s, s:o, s:o, s:s, s:s, s:s}", "name", token->name, "roles", access_roles_to_json(token->roles),
                     "labels", access_labels_to_json(service->access, token->labels), "made",
                     clock_rfc3339(made, token->made_ns), "ends", clock_rfc3339(ends, token->ends_ns), "madeBy",
                     token->made_by);
}

// Whether nobody is there any more who made it: neither an account that may log in, nor a token, nor whoever is at this
// machine ("command", "http").
static bool is_maker_gone(struct service *service, const struct access_token *tokens, size_t count, const char *maker)
{
    struct access_account account;
    struct error ignored;
    for (size_t i = 0; i < count; i++)
        if (strcmp(tokens[i].name, maker) == 0)
            return false;
    return strcmp(maker, "command") != 0 && strcmp(maker, "http") != 0 &&
           (!access_account_get(service->access, maker, &account, &ignored) || !account.enabled);
}

void api_tokens(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_token *tokens;
    struct error err;
    size_t count = 0;
    if (!access_token_list(service->access, http_arena(request), &tokens, &count, &err)) {
        http_reply_error(request, &err);
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *token = token_to_json(service, &tokens[i]);
        json_object_set_new(token, "makerGone", json_boolean(is_maker_gone(service, tokens, count, tokens[i].made_by)));
        json_array_append_new(list, token);
    }
    service_reply_json(request, 200, list);
}

static bool read_token(struct service *service, const json_t *body, struct access_token *out, int64_t now_ns,
                       struct error *err)
{
    const char *name = service_member(body, "name", err);
    const json_t *days = json_object_get(body, "days"), *labels = json_object_get(body, "labels");
    if (!name)
        return false;
    if (!text_copy(out->name, sizeof out->name, name))
        return error_set(err, ERROR_BAD_VALUE, "'name' is longer than any");
    if (!json_is_integer(days) || json_integer_value(days) < 1 || json_integer_value(days) > ACCESS_TOKEN_DAYS_MAX)
        return error_set(err, ERROR_BAD_VALUE, "'days' must be a whole number from 1 to %d", ACCESS_TOKEN_DAYS_MAX);
    out->ends_ns = now_ns + json_integer_value(days) * 86400 * CLOCK_SECOND;
    return access_roles_read(json_object_get(body, "roles"), &out->roles, err) &&
           (!labels || access_labels_read(service->access, labels, &out->labels, err));
}

void api_token_make(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct access_token token = {0};
    struct error err;
    char secret[ACCESS_SECRET_SIZE];
    int64_t now_ns = clock_now_ns();
    json_t *body = service_read_json(request, "name roles labels days", &err);
    if (body && read_token(service, body, &token, now_ns, &err) &&
        access_token_make(service->access, &token, service_subject(request)->name, now_ns, secret, &err)) {
        token.made_ns = now_ns;
        json_t *made = token_to_json(service, &token);
        json_object_set_new(made, "token", json_string(secret));
        service_reply_json(request, 201, made);
    } else {
        http_reply_error(request, &err);
    }
    json_decref(body);
}

void api_token_delete(void *payload, struct http_request *request)
{
    struct service *service = payload;
    struct error err;
    if (access_token_remove(service->access, http_path_part(request, "name"), service_subject(request)->name, &err))
        http_reply(request, 204, NULL, "", 0);
    else
        http_reply_error(request, &err);
}
