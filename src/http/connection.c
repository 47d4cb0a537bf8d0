// The open connections: how many, of whom, and until when each may take for what it does.
#include "http/internal.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

enum { WATCH_MS = 250 };

static struct in6_addr as_v6(const struct sockaddr *address)
{
    struct in6_addr v6 = IN6ADDR_ANY_INIT;
    if (address && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        v6 = in6->sin6_addr;
    } else if (address && address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        v6.s6_addr[10] = v6.s6_addr[11] = 0xFF;
        memcpy(v6.s6_addr + 12, &in->sin_addr, 4);
    }
    return v6;
}

bool http_is_loopback(const struct in6_addr *v6)
{
    return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
}

static void address_text(const struct in6_addr *v6, char text[INET6_ADDRSTRLEN])
{
    if (IN6_IS_ADDR_V4MAPPED(v6))
        inet_ntop(AF_INET, v6->s6_addr + 12, text, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, v6, text, INET6_ADDRSTRLEN);
}

bool http_connection_admit(struct http_server *server, const struct sockaddr *address)
{
    struct in6_addr v6 = as_v6(address);
    size_t same = 0;
    pthread_mutex_lock(&server->lock);
    size_t open = server->open;
    for (const struct http_connection *c = server->first; c; c = c->next)
        same += memcmp(&c->address, &v6, sizeof v6) == 0;
    pthread_mutex_unlock(&server->lock);
    if (open < HTTP_CONNECTIONS_MAX && (same < HTTP_PER_ADDRESS_MAX || http_is_loopback(&v6)))
        return true;
    char text[INET6_ADDRSTRLEN];
    address_text(&v6, text);
    log_warning("http", "connection of %s refused: %zu open, %zu of them from there", text, open, same);
    return false;
}

struct http_connection *http_connection_open(struct http_server *server, int fd, const struct sockaddr *address)
{
    struct http_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->server = server;
    connection->fd = fd;
    connection->address = as_v6(address);
    address_text(&connection->address, connection->address_text);
    connection->request.connection = connection;
    arena_init(&connection->request.arena, HTTP_SPACE);
    http_connection_allow(connection, server->request_seconds, 0);
    pthread_mutex_lock(&server->lock);
    connection->next = server->first;
    if (server->first)
        server->first->previous = connection;
    server->first = connection;
    server->open++;
    pthread_mutex_unlock(&server->lock);
    return connection;
}

void http_connection_close(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    pthread_mutex_lock(&server->lock);
    if (connection->next)
        connection->next->previous = connection->previous;
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        server->first = connection->next;
    server->open--;
    pthread_mutex_unlock(&server->lock);
    http_request_end(&connection->request);
    arena_free(&connection->request.arena);
    free(connection);
}

void http_connection_allow(struct http_connection *connection, int seconds, uint64_t bytes)
{
    uint64_t for_bytes = bytes / HTTP_RATE_MIN;
    if (for_bytes > INT32_MAX)
        for_bytes = INT32_MAX;
    connection->deadline_ns = clock_monotonic_ns() + (seconds + (int64_t)for_bytes) * CLOCK_SECOND;
}

// The descriptor is still the connection's: it leaves the list, under the lock, before it is closed.
static void cut_late(struct http_server *server, int64_t now_ns)
{
    for (struct http_connection *c = server->first; c; c = c->next) {
        int64_t deadline_ns = c->deadline_ns;
        if (deadline_ns == 0 || deadline_ns > now_ns)
            continue;
        log_debug("http", "%s cut off: too slow", c->address_text);
        c->deadline_ns = 0;
        shutdown(c->fd, SHUT_RDWR);
    }
}

void *http_connection_watch(void *payload)
{
    struct http_server *server = payload;
    pthread_mutex_lock(&server->lock);
    while (!server->stopping) {
        int64_t now_ns = clock_monotonic_ns();
        cut_late(server, now_ns);
        int64_t wake_ns = now_ns + WATCH_MS * CLOCK_MS;
        struct timespec wake = {.tv_sec = wake_ns / CLOCK_SECOND, .tv_nsec = wake_ns % CLOCK_SECOND};
        pthread_cond_timedwait(&server->change, &server->lock, &wake);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}
