// Who sends a request, and whether he may have what its route is for (access/allow.h): by a token, by the cookie of a
// session, or, where no login is needed, by coming from loopback.
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "service/dimse/dimse_service.h"
#include "service/internal.h"
#include "service/oidc/oidc.h"

const struct access_subject *service_subject(const struct http_request *request)
{
    const struct service_note *note = http_note(request);
    return &note->subject;
}

const struct service_login *service_login(const struct http_request *request)
{
    static const struct service_login none;
    const struct service_note *note = http_note(request);
    return note->login ? note->login : &none;
}

struct access_scope service_scope(const struct http_request *request)
{
    return access_scope_of(service_subject(request));
}

struct access_scope service_lasting_scope(const struct http_request *request)
{
    const struct service_login *login = service_login(request);
    struct access_subject subject = *service_subject(request);
    if (login->way == SERVICE_BY_SESSION)
        subject.labels = login->session.labels;
    return access_scope_of(&subject);
}

static bool check_study(struct service *service, struct http_request *request, struct error *err)
{
    bool seen = false;
    const struct access_scope scope = service_scope(request);
    const char *study = http_path_part(request, "study");
    return !study || scope.hidden == 0 ||
           (archive_sees(service->archive, scope, study, &seen, err) &&
            (seen || error_set(err, ERROR_NOT_FOUND, "there is no study %.64s here", study)));
}

bool service_admit_subject(struct service *service, struct http_request *request, const struct http_route *route,
                           const struct access_subject *subject, struct error *err)
{
    struct service_note *note = arena_alloc(http_arena(request), sizeof *note);
    if (!note)
        return error_set(err, ERROR_MEMORY, "no memory for who asks");
    *note = (struct service_note){.subject = *subject};
    http_set_note(request, note);
    note->refused = !access_check(subject, (enum access_action)route->action, err);
    if (note->refused)
        service_about(request, &(struct service_about){.detail = arena_printf(http_arena(request), "%s %s: %s",
                                                                              http_method(request), http_path(request),
                                                                              err->message)});
    return !note->refused && check_study(service, request, err) && service_audit_admit(service, route, err);
}

// ---- whether logins are needed

static bool listens_elsewhere(const struct service *service)
{
    char host[SERVICE_HOST_SIZE];
    uint16_t port;
    if (!*config_text(service->config, "http.tls_listen"))
        return false;
    service_listen_address(service->config, "http.tls_listen", host, &port);
    return !access_address_is_loopback(host);
}

bool service_needs_logins(const struct service *service)
{
    return access_accounts_exist(service->access) || oidc_is_entered(service) || service->names.list[0] ||
           *config_text(service->config, "http.trusted_proxies") || listens_elsewhere(service);
}

static bool in_data(const struct service *service, const char *name, char out[STORE_FOLDER_MAX + 64])
{
    int size = snprintf(out, STORE_FOLDER_MAX + 64, "%s/%s", config_text(service->config, "data"), name);
    return size > 0 && size < STORE_FOLDER_MAX + 64;
}

// Who was logged in when the backup was made may have been sent away since.
static bool end_sessions(struct service *service, struct error *err)
{
    struct access_session *sessions;
    struct arena arena;
    size_t count = 0;
    arena_init(&arena, 16 << 20);
    bool ok = access_session_list(service->access, &arena, clock_now_ns(), &sessions, &count, err);
    for (size_t i = 0; ok && i < count; i++)
        ok = access_session_end(service->access, sessions[i].id, "hilum", err) || err->code == ERROR_NOT_FOUND;
    arena_free(&arena);
    return ok;
}

bool service_open_logins(struct service *service, struct error *err)
{
    char path[STORE_FOLDER_MAX + 64], line[ACCESS_SECRET_SIZE + 1];
    access_set_idle(service->access, config_integer(service->config, "login.idle_minutes") * 60 * CLOCK_SECOND);
    if (!access_secret_make("hc_", service->command_secret) || !in_data(service, "token", path))
        return error_set(err, ERROR_INTERNAL, "no token for the program's own commands can be made");
    snprintf(line, sizeof line, "%s\n", service->command_secret);
    if (!file_replace(path, line, strlen(line), 0600, err) ||
        (store_is_restored(service->store) && !end_sessions(service, err)))
        return false;
    return service_open_first(service, err);
}

bool service_open_first(struct service *service, struct error *err)
{
    char path[STORE_FOLDER_MAX + 64];
    if (!service_needs_logins(service) || access_accounts_exist(service->access) ||
        access_first_is_due(service->access))
        return true;
    if (!in_data(service, "first-administrator", path) || !access_first_begin(service->access, path, err))
        return false;
    log_warning("service", "nobody can log in yet: the code that makes the first administrator is in %s", path);
    return true;
}

// ---- who it is

// Cookies are of a host and not of a port (RFC 6265, section 8.5): two servers on one machine would take each other's.
// ":8443" of "NAME:8443"; "" where the browser leaves it out.
static const char *port_of(const struct http_request *request)
{
    const char *host = http_header(request, "Host"), *colon = host ? strrchr(host, ':') : NULL;
    const char *own = http_is_secure(request) ? ":443" : ":80";
    bool is_port = colon && colon[1] && colon[1 + strspn(colon + 1, "0123456789")] == '\0' && strlen(colon) <= 6;
    return is_port && strcmp(colon, own) != 0 ? colon : "";
}

void service_cookie_name(const struct http_request *request, const char *prefix, const char *name,
                         char out[SERVICE_COOKIE_SIZE])
{
    const char *port = port_of(request);
    snprintf(out, SERVICE_COOKIE_SIZE, "%s%s%s%s", http_is_secure(request) ? prefix : "", name, *port ? "-" : "",
             *port ? port + 1 : "");
}

bool service_read_cookie(const struct http_request *request, const char *name, char out[ACCESS_SECRET_SIZE])
{
    const char *p = http_header(request, "Cookie");
    for (size_t size = strlen(name); p && *p; p += strcspn(p, ";"), p += strspn(p, "; "))
        if (strncmp(p, name, size) == 0 && p[size] == '=')
            return text_copy_n(out, ACCESS_SECRET_SIZE, p + size + 1, strcspn(p + size + 1, "; "));
    return false;
}

void service_set_cookie(struct http_request *request, const char *secret)
{
    const char *secure = http_is_secure(request) ? "; Secure" : "";
    char name[SERVICE_COOKIE_SIZE];
    service_cookie_name(request, "__Host-", "hilum", name);
    http_set_header(request, "Set-Cookie",
                    arena_printf(http_arena(request), "%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s", name, secret,
                                 secure, *secret ? "" : "; Max-Age=0"));
    service_note_person(request);
}

void service_note_person(struct http_request *request)
{
    char name[SERVICE_COOKIE_SIZE];
    service_cookie_name(request, "__Secure-", "hilum-before", name);
    http_set_header(request, "Set-Cookie",
                    arena_printf(http_arena(request), "%s=1; Path=%s; HttpOnly; SameSite=Lax%s", name, OIDC_PATH,
                                 http_is_secure(request) ? "; Secure" : ""));
}

bool service_had_session(const struct http_request *request)
{
    char name[SERVICE_COOKIE_SIZE], ignored[ACCESS_SECRET_SIZE];
    service_cookie_name(request, "__Secure-", "hilum-before", name);
    return service_read_cookie(request, name, ignored) && service_login(request)->way != SERVICE_BY_SESSION;
}

static bool is_command(const struct service *service, const char *secret, const char *address)
{
    unsigned differs = strlen(secret) != strlen(service->command_secret) || !*secret;
    for (size_t i = 0; !differs && secret[i]; i++)
        differs |= (unsigned)(secret[i] ^ service->command_secret[i]);
    return !differs && access_address_is_loopback(address);
}

// What is looked at in the background, or only to know whether one is in, keeps no session from its end.
static bool is_background(const struct http_request *request)
{
    return http_header(request, "X-Hilum-Background") || strcmp(http_path(request), "/api/events") == 0 ||
           (strcmp(http_path(request), "/api/session") == 0 && strcmp(http_method(request), "GET") == 0);
}

static bool changes(const struct http_request *request)
{
    const char *method = http_method(request);
    return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 && strcmp(method, "OPTIONS") != 0;
}

// A page elsewhere can make a browser send its cookie, and not this header (who logs in has no session to borrow).
static bool check_csrf(const struct http_request *request, const struct http_route *route,
                       const struct access_session *session, struct error *err)
{
    const char *given = http_header(request, "X-Hilum-CSRF");
    if (!changes(request) || (route->action == ACCESS_TO_LOG_IN && strcmp(http_method(request), "POST") == 0) ||
        (given && strcmp(given, session->csrf) == 0))
        return true;
    return error_set(err, ERROR_FORBIDDEN,
                     "a request with a session's cookie needs the header X-Hilum-CSRF as GET /api/session has it");
}

static bool by_token(struct service *service, struct http_request *request, const char *authorization,
                     struct service_login *login, struct access_subject *out, struct error *err)
{
    const char *address = http_address(request);
    bool bearer = text_starts(authorization, "Bearer ") &&
                  text_copy(login->secret, sizeof login->secret, authorization + strlen("Bearer "));
    login->way = SERVICE_BY_TOKEN;
    if (bearer && is_command(service, login->secret, address)) {
        *out = access_local_subject(address);
        text_copy(out->name, sizeof out->name, "command");
        login->way = SERVICE_BY_COMMAND;
        return true;
    }
    return (bearer && access_token_subject(service->access, login->secret, address, clock_now_ns(), out)) ||
           error_set(err, ERROR_LOGIN,
                     "the token counts for nothing here: it is mistyped, has ended, or was removed (that of the "
                     "program's own commands is made anew at each start)");
}

static bool by_session(struct service *service, struct http_request *request, const struct http_route *route,
                       struct service_login *login, struct access_subject *out, bool *found, struct error *err)
{
    char name[SERVICE_COOKIE_SIZE];
    service_cookie_name(request, "__Host-", "hilum", name);
    *found = service_read_cookie(request, name, login->secret) &&
             access_session(service->access, login->secret, http_address(request), is_background(request),
                            clock_now_ns(), &login->session);
    if (!*found)
        return true;
    login->way = SERVICE_BY_SESSION;
    *out = login->session.subject;
    return check_csrf(request, route, &login->session, err);
}

// Without logins whoever is on this machine may do everything; but behind a proxy that nobody has told of everybody
// seems to be. He may see that it serves, and no more.
static bool is_local(const struct http_request *request, const struct http_route *route, struct access_subject *out,
                     struct error *err)
{
    if (!http_came_by_proxy(request)) {
        *out = access_local_subject(http_address(request));
        return true;
    }
    return route->action == ACCESS_TO_SEE_HEALTH ||
           error_set(err, ERROR_FORBIDDEN,
                     "this came by a proxy, and without logins each of its users would be this machine's: set "
                     "http.trusted_proxies to its address and http.names to the names that it is called by");
}

static bool find_subject(struct service *service, struct http_request *request, const struct http_route *route,
                         struct service_login *login, struct access_subject *out, struct error *err)
{
    const char *authorization = http_header(request, "Authorization"), *address = http_address(request);
    bool found = false;
    *out = access_nobody(address);
    if (authorization)
        return by_token(service, request, authorization, login, out, err);
    if (!by_session(service, request, route, login, out, &found, err))
        return false;
    if (!found && access_address_is_loopback(address) && !service_needs_logins(service))
        return is_local(request, route, out, err);
    return true;
}

bool service_admit(void *payload, struct http_request *request, const struct http_route *route, struct error *err)
{
    struct service *service = payload;
    struct access_subject subject;
    struct error why;
    struct service_login *login = arena_alloc(http_arena(request), sizeof *login);
    if (!login)
        return error_set(err, ERROR_MEMORY, "no memory for who asks");
    bool known = find_subject(service, request, route, login, &subject, &why);
    bool admitted = service_admit_subject(service, request, route, &subject, err);
    struct service_note *note = http_note(request);
    if (note)
        note->login = login;
    if (!known) {
        *err = why;
        if (note)
            note->refused = true;
    }
    if ((!known || !admitted) && err->code == ERROR_LOGIN)
        http_set_header(request, "WWW-Authenticate", "Bearer realm=\"hilum\"");
    return known && admitted;
}

bool service_is_still(struct service *service, const struct service_login *login)
{
    struct access_session session;
    struct access_subject subject;
    int64_t now_ns = clock_now_ns();
    switch (login->way) {
    case SERVICE_BY_SESSION:
        return access_session(service->access, login->secret, "", true, now_ns, &session) &&
               session.subject.labels == login->session.subject.labels; // an emergency has begun, or has ended
    case SERVICE_BY_TOKEN:
        return access_token_subject(service->access, login->secret, "", now_ns, &subject);
    case SERVICE_BY_COMMAND:
        return true;
    case SERVICE_BY_NOTHING:
        break;
    }
    return !service_needs_logins(service);
}

// ---- whose word it is

const char *service_by(struct http_request *request, const json_t *body, struct error *err)
{
    const struct access_subject *subject = service_subject(request);
    const char *typed = json_string_value(json_object_get(body, "by"));
    if (subject->kind != ACCESS_USER && subject->kind != ACCESS_TOKEN)
        return service_member(body, "by", err);
    const char *name = subject->kind == ACCESS_USER ? service_login(request)->session.shown : subject->name;
    if (!typed || strcmp(typed, name) == 0 || strcmp(typed, subject->name) == 0)
        return arena_strdup(http_arena(request), name);
    error_set(err, ERROR_BAD_VALUE, "'by' is '%.60s', and you are logged in as %s: leave it out", typed, name);
    return NULL;
}

// ---- the doors, for who shows or tests them

static size_t count_routes(void)
{
    size_t count = 0;
    while (service_routes[count].method)
        count++;
    return count;
}

static size_t count_offers(void)
{
    size_t count = 0;
    while (dimse_offers[count].name)
        count++;
    return count;
}

bool service_door(size_t index, struct service_door *out)
{
    size_t routes = count_routes();
    if (index < routes) {
        const struct http_route *route = &service_routes[index];
        *out = (struct service_door){route->method, route->path, (enum access_action)route->action, false};
        return true;
    }
    if (index - routes >= count_offers())
        return false;
    const struct dimse_offer *offer = &dimse_offers[index - routes];
    *out = (struct service_door){offer->name, offer->sop_class, offer->action, true};
    return true;
}

bool service_door_takes(size_t index, const char *transfer_syntax)
{
    char proposed[1][DICOM_UID_SIZE];
    const struct dimse_context context = {.proposed = proposed, .proposed_count = 1};
    return text_copy(proposed[0], sizeof proposed[0], transfer_syntax) &&
           dimse_offers[index - count_routes()].choose(&context) != NULL;
}
