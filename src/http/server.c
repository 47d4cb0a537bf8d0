// The server: its start and stop, and what libmicrohttpd calls.
#include "http/internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

enum {
    POOL_SIZE = 32 << 10, // headers of a request; small replies are three times slower with 64 kB
    STACK_SIZE = 512 << 10,
    BACKLOG = 128,
    LEAVING_MAX = 128, // connections that make room for others and are not gone yet
};

// ---- called by libmicrohttpd

static void on_log(void *payload, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void on_log(void *payload, const char *format, va_list args)
{
    (void)payload;
    char text[256];
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("http", "%s", text);
}

static enum MHD_Result on_accept(void *payload, const struct sockaddr *address, socklen_t size)
{
    (void)size;
    return http_connection_admit(payload, address) ? MHD_YES : MHD_NO;
}

static void on_connection(void *payload, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        const union MHD_ConnectionInfo *address = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        *context = http_connection_open(payload, fd->connect_fd, address->client_addr);
    } else if (*context) {
        http_connection_close(*context);
        *context = NULL;
    }
}

// Escapes are left in the text: target.c decodes it.
static size_t on_unescape(void *payload, struct MHD_Connection *mhd, char *text)
{
    (void)payload;
    (void)mhd;
    return strlen(text);
}

static void *on_uri(void *payload, const char *uri, struct MHD_Connection *mhd)
{
    (void)payload;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_connection *connection = info->socket_context;
    if (!connection)
        return NULL;
    http_request_begin(&connection->request, mhd, uri);
    return &connection->request;
}

static void on_completed(void *payload, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    (void)payload;
    (void)mhd;
    (void)code;
    struct http_request *request = *context;
    if (!request)
        return;
    struct http_connection *connection = request->connection;
    http_request_end(request);
    http_connection_allow(connection, connection->server->idle_seconds + connection->server->request_seconds, 0);
    http_connection_waits(connection);
    *context = NULL;
}

// ---- a request

static uint64_t announced_size(const struct http_request *request)
{
    uint64_t size = 0;
    const char *length = http_header(request, "Content-Length");
    if (length)
        text_to_u64(length, strlen(length), &size);
    return size;
}

// A refused body is read all the same when it is short: closing on unread bytes would reset the connection before the
// client has read the reply.
static bool answer_before_body(const struct http_request *request)
{
    return request->close || http_header(request, "Expect") || announced_size(request) > HTTP_DISCARD_MAX;
}

static bool check_room(struct http_request *request, uint64_t bytes)
{
    const struct http_server *server = request->connection->server;
    struct error err;
    if (!server->can_spool || server->can_spool(server->payload, bytes, &err))
        return true;
    return http_refuse(request, error_http(err.code), "the body cannot be kept: %s", err.message);
}

static bool admit(struct http_request *request)
{
    const struct http_server *server = request->connection->server;
    request->barred = server->admit && !server->admit(server->payload, request, request->route, &request->refusal);
    if (request->barred)
        request->refused = error_http(request->refusal.code);
    return !request->barred;
}

static bool open_body(struct http_request *request)
{
    const struct http_route *route = request->route;
    if (!route->to_file) {
        buffer_init(&request->body, route->body_max);
        return true;
    }
    if (!check_room(request, announced_size(request)))
        return false;
    request->body_fd = open(request->connection->server->spool, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return request->body_fd >= 0 ||
           http_refuse(request, MHD_HTTP_INSUFFICIENT_STORAGE, "no file can be made for the body");
}

static void tell_answered(struct http_request *request)
{
    const struct http_server *server = request->connection->server;
    struct error err;
    if (server->answered && !server->answered(server->payload, request, request->route, request->status, &err))
        http_reply_instead(request, &err);
}

static void reply_refusal(struct http_request *request)
{
    if (request->barred) {
        http_reply_error(request, &request->refusal);
        tell_answered(request);
    } else {
        http_reply_refusal(request);
    }
}

static void take_headers(struct http_request *request, const char *method, const char *version)
{
    struct http_server *server = request->connection->server;
    request->connection->idle_since = 0;
    budget_for_peer(true); // the connection's thread, until the next request
    pthread_mutex_lock(&server->lock);
    server->busy++;
    pthread_mutex_unlock(&server->lock);
    request->stage = HTTP_STAGE_BODY;
    request->method = method;
    request->version = version;
    request->body_start_ns = clock_monotonic_ns();
    http_connection_allow(request->connection, server->request_seconds, 0);
    if ((!http_screen(request) || !admit(request) || !open_body(request)) && answer_before_body(request)) {
        request->stage = HTTP_STAGE_REPLY;
        reply_refusal(request);
        http_send(request);
    }
}

static void keep_in_file(struct http_request *request, const char *data, size_t size)
{
    struct error err;
    if (request->received > request->route->body_max)
        http_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "a body of more than %llu bytes",
                    (unsigned long long)request->route->body_max);
    else if (check_room(request, size) && !file_write_fd(request->body_fd, data, size, &err))
        http_refuse(request, error_http(err.code), "the body cannot be kept: %s", err.message);
    if (request->refused && ftruncate(request->body_fd, 0) != 0)
        log_warning("http", "a refused body takes %llu bytes until its end", (unsigned long long)request->received);
}

static void keep_in_memory(struct http_request *request, const char *data, size_t size)
{
    buffer_append(&request->body, data, size);
    if (request->body.failed && budget_was_refused())
        http_refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, BUDGET_USED_UP);
    else if (request->body.failed)
        http_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "a body of more than %zu bytes", request->body.limit);
    if (request->body.failed)
        buffer_free(&request->body);
}

// Whether the rest of a refused body is read, so that the client sees the reply, which libmicrohttpd sends behind a
// body only. One that was being taken would have been read up to the route's limit anyway.
static bool discard(struct http_request *request, size_t size)
{
    request->discarded += size;
    return request->discarded <= HTTP_DISCARD_MAX ||
           (request->body_fd >= 0 && request->received <= request->route->body_max);
}

// false: the connection is to be closed without a reply, for a body that has been refused and does not end.
static bool take_body(struct http_request *request, const char *data, size_t size)
{
    request->received += size;
    // The allowance counts from the start of the body, so that slow bytes do not buy time.
    http_connection_allow(request->connection, request->connection->server->request_seconds, request->received);
    request->connection->deadline_ns -= clock_monotonic_ns() - request->body_start_ns;
    if (request->refused)
        return discard(request, size);
    if (request->body_fd >= 0)
        keep_in_file(request, data, size);
    else
        keep_in_memory(request, data, size);
    return true;
}

static void answer_by_route(struct http_request *request)
{
    const struct http_server *server = request->connection->server;
    const struct http_route *route = request->route;
    struct error err;
    route->handle(server->payload, request);
    if (!request->replied) {
        error_set(&err, ERROR_INTERNAL, "no reply was made for %s", route->path);
        http_reply_error(request, &err);
    }
    tell_answered(request);
}

static void answer(struct http_request *request)
{
    request->stage = HTTP_STAGE_REPLY;
    request->connection->deadline_ns = 0;
    if (request->refused)
        reply_refusal(request);
    else
        answer_by_route(request);
    http_send(request);
}

static enum MHD_Result on_request(void *payload, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **context)
{
    (void)payload;
    (void)mhd;
    (void)url;
    struct http_request *request = *context;
    if (!request)
        return MHD_NO;
    if (request->stage == HTTP_STAGE_LINE) {
        take_headers(request, method, version);
        return MHD_YES;
    }
    if (*size > 0) {
        bool go_on = take_body(request, data, *size);
        *size = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    answer(request);
    return MHD_YES;
}

// ---- start and stop

bool http_listen_on(const char *host, uint16_t port, int *fd, struct error *err)
{
    char digits[8], shown[80];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *address;
    snprintf(digits, sizeof digits, "%u", port);
    if (getaddrinfo(host, digits, &hints, &address) != 0)
        return error_set(err, ERROR_BAD_VALUE, "'%s' is not a numeric address to listen on", host);
    *fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    bool fine = *fd >= 0 && setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                bind(*fd, address->ai_addr, address->ai_addrlen) == 0 && listen(*fd, BACKLOG) == 0;
    int number = errno;
    freeaddrinfo(address);
    if (fine)
        return true;
    if (*fd >= 0)
        close(*fd);
    return error_errno(err, number, "cannot listen for HTTP at %s",
                       text_show_host_port(shown, sizeof shown, host, port));
}

uint16_t http_bound_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static void init_locks(struct http_server *server)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->change, &attributes);
    pthread_condattr_destroy(&attributes);
}

static struct http_server *server_new(const struct http_options *options, int fd)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->routes = options->routes;
    server->payload = options->payload;
    server->hosts = options->hosts;
    server->trusted_proxies = options->trusted_proxies ? options->trusted_proxies : "";
    server->spool = options->spool;
    server->can_spool = options->can_spool;
    server->admit = options->admit;
    server->answered = options->answered;
    server->idle_seconds = options->idle_seconds ? options->idle_seconds : HTTP_IDLE_SECONDS;
    server->request_seconds = options->request_seconds ? options->request_seconds : HTTP_REQUEST_SECONDS;
    server->port = http_bound_port(fd);
    init_locks(server);
    return server;
}

static void server_free(struct http_server *server)
{
    pthread_cond_destroy(&server->change);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

// libmicrohttpd's own limit is above ours: at its limit it stops accepting, and the next peer would wait unanswered. It
// has no socket to listen on: door.c and front.c give it its connections.
static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    return MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_NO_LISTEN_SOCKET |
                                MHD_USE_ITC | MHD_USE_ERROR_LOG | MHD_ALLOW_UPGRADE,
                            0, on_accept, server, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_SIZE, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)HTTP_CONNECTIONS_MAX + LEAVING_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                            (unsigned)server->idle_seconds, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_SIZE,
                            MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, server,
                            MHD_OPTION_URI_LOG_CALLBACK, on_uri, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
                            server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_END);
}

static bool start_threads(struct http_server *server, const struct http_options *options, int fd, struct error *err)
{
    int number = pthread_create(&server->watch, NULL, http_connection_watch, server);
    if (number != 0)
        return error_errno(err, number, "cannot start the HTTP server's watch thread");
    server->daemon = start_daemon(server);
    if (!server->daemon)
        error_set(err, ERROR_INTERNAL, "libmicrohttpd did not start for port %u", server->port);
    else if ((!options->tls_host || (server->fronts = http_fronts_start(server, options, err))) &&
             (server->door = http_door_start(server, options, fd, err)))
        return true;
    server->stopping = true;
    http_fronts_quiesce(server->fronts);
    pthread_join(server->watch, NULL);
    if (server->daemon)
        MHD_stop_daemon(server->daemon);
    http_fronts_stop(server->fronts);
    return false;
}

static void check_routes(const struct http_route *routes)
{
    for (; routes->method; routes++)
        assert(routes->path[0] == '/' && routes->handle && (routes->to_file || routes->body_max <= HTTP_BODY_MAX));
}

struct http_server *http_server_start(const struct http_options *options, struct error *err)
{
    int fd = -1;
    check_routes(options->routes);
    if (!http_listen_on(options->host, options->port, &fd, err))
        return NULL;
    struct http_server *server = server_new(options, fd);
    if (!server)
        error_set(err, ERROR_MEMORY, "no memory for the HTTP server");
    if (server && start_threads(server, options, fd, err))
        return server;
    if (server)
        server_free(server);
    close(fd);
    return NULL;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

uint16_t http_server_tls_port(const struct http_server *server)
{
    return server->fronts ? http_fronts_port(server->fronts) : 0;
}

static void wait_for_replies(struct http_server *server)
{
    int64_t until_ns = clock_monotonic_ns() + HTTP_STOP_SECONDS * CLOCK_SECOND;
    struct timespec until = {.tv_sec = until_ns / CLOCK_SECOND, .tv_nsec = until_ns % CLOCK_SECOND};
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    pthread_cond_broadcast(&server->change);
    while (server->busy > 0 && pthread_cond_timedwait(&server->change, &server->lock, &until) == 0)
        continue;
    if (server->busy > 0)
        log_warning("http", "%zu replies cut off: not taken within %d s", server->busy, HTTP_STOP_SECONDS);
    pthread_mutex_unlock(&server->lock);
}

void http_server_stop(struct http_server *server)
{
    if (!server)
        return;
    http_fronts_quiesce(server->fronts);
    http_door_stop(server->door);
    wait_for_replies(server);
    pthread_join(server->watch, NULL);
    MHD_stop_daemon(server->daemon);
    http_fronts_stop(server->fronts);
    server_free(server);
}
