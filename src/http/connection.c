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

struct in6_addr http_address_of(const struct sockaddr *address)
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

void http_address_text(const struct in6_addr *v6, char text[INET6_ADDRSTRLEN])
{
    if (IN6_IS_ADDR_V4MAPPED(v6))
        inet_ntop(AF_INET, v6->s6_addr + 12, text, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, v6, text, INET6_ADDRSTRLEN);
}

// ---- room for the next connection; all under the lock

static bool is_of(const struct http_connection *c, const struct in6_addr *v6)
{
    return !v6 || memcmp(&c->address, v6, sizeof *v6) == 0;
}

// Those of an address (NULL: of all) that count; or of them only those that wait.
static size_t count_of(const struct http_server *server, const struct in6_addr *v6, bool waiting)
{
    size_t count = 0;
    for (const struct http_connection *c = server->first; c; c = c->next)
        count += !c->ousted && is_of(c, v6) && (!waiting || c->idle_since > 0);
    return count;
}

// The address that has most connections without a request; NULL: there are none.
static const struct in6_addr *busiest(const struct http_server *server)
{
    const struct in6_addr *found = NULL;
    size_t most = 0;
    for (const struct http_connection *c = server->first; c; c = c->next) {
        size_t waiting = c->idle_since > 0 && !c->ousted ? count_of(server, &c->address, true) : 0;
        if (waiting > most) {
            most = waiting;
            found = &c->address;
        }
    }
    return found;
}

// The one of that address that has waited longest makes room.
static bool oust(struct http_server *server, const struct in6_addr *v6)
{
    struct http_connection *oldest = NULL;
    int64_t least = INT64_MAX;
    for (struct http_connection *c = server->first; c && v6; c = c->next) {
        int64_t since = c->idle_since;
        if (!c->ousted && since > 0 && since < least && is_of(c, v6)) {
            oldest = c;
            least = since;
        }
    }
    if (!oldest)
        return false;
    oldest->ousted = true;
    shutdown(oldest->fd, SHUT_RDWR);
    return true;
}

// One line a minute.
static void tell_crowd(struct http_server *server, const struct in6_addr *v6, size_t open)
{
    char text[INET6_ADDRSTRLEN];
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns < server->crowd.tell_ns)
        return;
    http_address_text(v6, text);
    log_warning("http",
                "many connections (%zu are open): %llu that waited without a request were closed to make room for "
                "newer ones, %llu were refused; the last came from %s",
                open, (unsigned long long)server->crowd.ousted, (unsigned long long)server->crowd.refused, text);
    server->crowd = (struct crowd){.tell_ns = now_ns + 60 * CLOCK_SECOND};
}

bool http_connection_admit(struct http_server *server, const struct sockaddr *address)
{
    struct in6_addr v6 = http_address_of(address);
    pthread_mutex_lock(&server->lock);
    size_t open = count_of(server, NULL, false);
    bool shares = http_is_loopback(&v6) || count_of(server, &v6, false) < HTTP_PER_ADDRESS_MAX;
    bool fits = open < HTTP_CONNECTIONS_MAX && shares;
    bool room = fits || oust(server, shares ? busiest(server) : &v6);
    if (!fits) {
        server->crowd.ousted += room;
        server->crowd.refused += !room;
        tell_crowd(server, &v6, open);
    }
    pthread_mutex_unlock(&server->lock);
    return room;
}

struct http_connection *http_connection_open(struct http_server *server, int fd, const struct sockaddr *address)
{
    struct http_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->server = server;
    connection->fd = fd;
    connection->address = http_address_of(address);
    http_address_text(&connection->address, connection->address_text);
    connection->secure = http_fronts_have(server->fronts, fd);
    connection->request.connection = connection;
    arena_init(&connection->request.arena, HTTP_SPACE);
    http_connection_allow(connection, server->request_seconds, 0);
    http_connection_waits(connection);
    pthread_mutex_lock(&server->lock);
    connection->next = server->first;
    if (server->first)
        server->first->previous = connection;
    server->first = connection;
    server->open++;
    pthread_mutex_unlock(&server->lock);
    return connection;
}

void http_connection_waits(struct http_connection *connection)
{
    connection->idle_since = atomic_fetch_add(&connection->server->waits, 1) + 1;
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
        if (c->secure)
            http_fronts_cut(server->fronts, c->fd);
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
