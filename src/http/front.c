// TLS in front of libmicrohttpd. Each connection has a thread: it shakes hands, gives one end of a pair of sockets to
// libmicrohttpd, and carries the bytes between the other end and the TLS connection until one of the two has closed.
//
// A request is answered before the next one is read, so one thread may carry both directions: while a reply waits for
// its reader nothing is taken of him, as without TLS.
#include "http/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/wait.h"
#include "base/wire.h"

enum {
    FRONT_STACK = 256 << 10,
    FRONTS_MAX = HTTP_CONNECTIONS_MAX + HTTP_HANDSHAKES_MAX + 128, // those that make room for others among them
    CARRIED = 128 << 10,
    PAIR_BUFFER = 512 << 10, // so that libmicrohttpd goes on reading while a record is encrypted
};

struct front {
    struct front *next, *previous;
    struct http_fronts *fronts;
    struct sockaddr_storage address;
    socklen_t address_size;
    int fd;    // the thread's, until the wire has it
    int watch; // the same socket, to shut it down
    int given; // libmicrohttpd's end; -1: it shakes hands still
    bool ousted;
};

struct http_fronts {
    struct http_server *server;
    struct tls *(*tls)(void *payload, struct error *err);
    void (*foreign)(void *payload, enum http_foreign what, const char *address);
    void *payload;
    int listening, wake;
    pthread_t thread;
    bool accepting;       // the thread runs
    pthread_mutex_t lock; // of what follows
    pthread_cond_t ended;
    struct front *first; // the newest
    size_t count;
    uint64_t ousted; // not logged yet
    int64_t tell_ns;
};

// ---- the list

static void enter(struct http_fronts *fronts, struct front *front)
{
    pthread_mutex_lock(&fronts->lock);
    front->next = fronts->first;
    if (fronts->first)
        fronts->first->previous = front;
    fronts->first = front;
    fronts->count++;
    pthread_mutex_unlock(&fronts->lock);
}

static void leave(struct front *front)
{
    struct http_fronts *fronts = front->fronts;
    pthread_mutex_lock(&fronts->lock);
    if (front->next)
        front->next->previous = front->previous;
    if (front->previous)
        front->previous->next = front->next;
    else
        fronts->first = front->next;
    close(front->watch);
    if (--fronts->count == 0)
        pthread_cond_signal(&fronts->ended);
    pthread_mutex_unlock(&fronts->lock);
    free(front);
}

static struct front *find(const struct http_fronts *fronts, int given)
{
    struct front *front = fronts->first;
    while (front && front->given != given)
        front = front->next;
    return front;
}

bool http_fronts_have(struct http_fronts *fronts, int fd)
{
    if (!fronts || fd < 0)
        return false;
    pthread_mutex_lock(&fronts->lock);
    bool have = find(fronts, fd) != NULL;
    pthread_mutex_unlock(&fronts->lock);
    return have;
}

void http_fronts_cut(struct http_fronts *fronts, int fd)
{
    pthread_mutex_lock(&fronts->lock);
    struct front *front = find(fronts, fd);
    if (front)
        shutdown(front->watch, SHUT_RDWR);
    pthread_mutex_unlock(&fronts->lock);
}

// ---- carrying

// From libmicrohttpd. *nothing: there was nothing by now. false: it has closed, or the peer is gone.
static bool take(int pair, struct wire *wire, bool *nothing)
{
    uint8_t block[CARRIED];
    struct error err;
    ssize_t size = recv(pair, block, sizeof block, MSG_DONTWAIT);
    *nothing = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    if (*nothing)
        return true;
    struct iovec part = {block, size > 0 ? (size_t)size : 0};
    return size > 0 && wire->send(wire->payload, &part, 1, INT64_MAX, &err) == WIRE_OK;
}

// To libmicrohttpd, whose own bytes go out meanwhile. false: it has closed.
static bool give(int pair, struct wire *wire, const uint8_t *data, size_t size)
{
    while (size > 0) {
        bool nothing;
        ssize_t sent = send(pair, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
            return false;
        struct pollfd wait = {.fd = pair, .events = POLLIN | POLLOUT};
        if ((poll(&wait, 1, -1) < 0 && errno != EINTR) || ((wait.revents & POLLIN) && !take(pair, wire, &nothing)))
            return false;
    }
    return true;
}

// All that has come by now. false: the peer has closed, or libmicrohttpd.
static bool receive(int pair, struct wire *wire)
{
    uint8_t block[16 << 10]; // a record
    enum wire_result result;
    struct error err;
    size_t size;
    while ((result = wire->receive(wire->payload, block, sizeof block, 0, &size, &err)) == WIRE_OK)
        if (!give(pair, wire, block, size))
            return false;
    return result == WIRE_TIMEOUT;
}

static void carry(const struct front *front, int pair, struct wire *wire)
{
    bool going = receive(pair, wire), nothing = false; // what came with the handshake
    struct pollfd waits[] = {{.fd = front->watch, .events = POLLIN}, {.fd = pair, .events = POLLIN}};
    while (going && (poll(waits, 2, -1) >= 0 || errno == EINTR)) {
        if (waits[1].revents)
            going = take(pair, wire, &nothing);
        if (going && waits[0].revents)
            going = receive(pair, wire);
    }
    // The peer may have asked and closed its side: what is answered is still its.
    shutdown(pair, SHUT_WR);
    while (take(pair, wire, &nothing))
        poll(&waits[1], 1, -1);
}

// ---- who speaks no TLS

// One who called http:// at this port is told where to call; nginx does so too. Its Host is repeated only where it is
// made of what hosts are made of.
static void tell_address(int fd, const char *head, int64_t deadline_ns)
{
    static const char fits[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:[]";
    char answer[768], text[400];
    const char *host = strcasestr(head, "\nHost:");
    host = host ? host + 6 + strspn(host + 6, " ") : "";
    const size_t size = strspn(host, fits);
    const bool whole = size > 0 && size < 256 && host[size] == '\r';
    snprintf(text, sizeof text, "This port speaks HTTPS, and http:// was said to it. Call https://%.*s%s\n",
             whole ? (int)size : 0, host, whole ? "/" : " and the same name and port.");
    int length = snprintf(answer, sizeof answer,
                          "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
                          "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nContent-Length: %zu\r\n"
                          "Connection: close\r\n\r\n%s",
                          strlen(text), text);
    if (send(fd, answer, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) != length)
        return;
    // Bytes of it that nobody has read would take the answer back with a reset.
    char rest[4096];
    shutdown(fd, SHUT_WR);
    while (wait_ready(fd, POLLIN, deadline_ns) == 1 && recv(fd, rest, sizeof rest, MSG_DONTWAIT) > 0)
        continue;
}

// The head of a request, or what of it has come by the deadline.
static void read_head(int fd, char *head, size_t capacity, int64_t deadline_ns)
{
    size_t size = 0;
    head[0] = '\0';
    while (size < capacity - 1 && !strstr(head, "\r\n\r\n") && wait_ready(fd, POLLIN, deadline_ns) == 1) {
        ssize_t got = recv(fd, head + size, capacity - 1 - size, MSG_DONTWAIT);
        if (got <= 0)
            break;
        size += (size_t)got;
        head[size] = '\0';
    }
}

// By its first byte, as at the port without TLS: a request line begins with a capital letter, an A-ASSOCIATE-RQ with 1
// (PS3.8 section 9.3.2), and no TLS record with either. true: it has its answer.
static bool is_foreign(const struct front *front, const char *address)
{
    enum { ASSOCIATE_RQ = 0x01, HEAD_SIZE = 4096, ANSWER_SECONDS = 2 };
    const struct http_fronts *fronts = front->fronts;
    char head[HEAD_SIZE];
    uint8_t first = 0;
    if (wait_ready(front->fd, POLLIN, clock_monotonic_ns() + HTTP_HANDSHAKE_SECONDS * CLOCK_SECOND) != 1 ||
        recv(front->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
        return false;
    const bool http = first >= 'A' && first <= 'Z';
    if (!http && first != ASSOCIATE_RQ)
        return false;
    if (fronts->foreign)
        fronts->foreign(fronts->payload, http ? HTTPS_FOREIGN_HTTP : HTTPS_FOREIGN_DICOM, address);
    if (!http)
        return true;
    int64_t deadline_ns = clock_monotonic_ns() + ANSWER_SECONDS * CLOCK_SECOND;
    read_head(front->fd, head, sizeof head, deadline_ns);
    tell_address(front->fd, head, deadline_ns);
    return true;
}

// ---- a connection

static bool shake_hands(struct front *front, struct wire *wire, struct error *err)
{
    struct http_fronts *fronts = front->fronts;
    char address[INET6_ADDRSTRLEN];
    struct in6_addr v6 = http_address_of((const struct sockaddr *)&front->address);
    http_address_text(&v6, address);
    if (is_foreign(front, address)) {
        close(front->fd);
        return error_set(err, ERROR_PROTOCOL, "it speaks no TLS");
    }
    struct tls *tls = fronts->tls(fronts->payload, err);
    if (!tls) {
        close(front->fd);
        return false;
    }
    bool ok =
        tls_wire(wire, front->fd, tls, NULL, clock_monotonic_ns() + HTTP_HANDSHAKE_SECONDS * CLOCK_SECOND, NULL, err);
    tls_release(tls);
    return ok;
}

static void tell(struct front *front, const struct error *err)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr v6 = http_address_of((const struct sockaddr *)&front->address);
    http_address_text(&v6, text);
    log_debug("http", "no HTTPS with %s: %s", text, err->message);
}

// The other end is libmicrohttpd's. -1: it does not take it.
static int hand_over(struct front *front)
{
    struct http_fronts *fronts = front->fronts;
    int pair[2], size = PAIR_BUFFER;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    for (int i = 0; i < 2; i++)
        (void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    pthread_mutex_lock(&fronts->lock);
    front->given = pair[1];
    bool open = !front->ousted;
    pthread_mutex_unlock(&fronts->lock);
    if (open && MHD_add_connection(fronts->server->daemon, pair[1], (struct sockaddr *)&front->address,
                                   front->address_size) == MHD_YES)
        return pair[0];
    if (!open)
        close(pair[1]); // else libmicrohttpd has closed it
    close(pair[0]);
    return -1;
}

static void *run_front(void *payload)
{
    struct front *front = payload;
    struct wire wire;
    struct error err;
    if (shake_hands(front, &wire, &err)) {
        int pair = hand_over(front);
        if (pair >= 0) {
            carry(front, pair, &wire);
            close(pair);
        }
        wire.close(wire.payload);
    } else {
        tell(front, &err);
    }
    leave(front);
    return NULL;
}

// ---- who comes

// Under the lock: of those that shake hands the oldest makes room.
static void oust(struct http_fronts *fronts)
{
    struct front *oldest = NULL;
    size_t shaking = 0;
    for (struct front *front = fronts->first; front; front = front->next)
        if (front->given < 0 && !front->ousted) {
            oldest = front;
            shaking++;
        }
    if (shaking <= HTTP_HANDSHAKES_MAX)
        return;
    oldest->ousted = true;
    shutdown(oldest->watch, SHUT_RDWR);
    fronts->ousted++;
    int64_t now_ns = clock_monotonic_ns();
    if (now_ns < fronts->tell_ns)
        return;
    log_warning("http", "%llu TLS handshakes that did not end were broken off to make room for newer ones",
                (unsigned long long)fronts->ousted);
    fronts->ousted = 0;
    fronts->tell_ns = now_ns + 60 * CLOCK_SECOND;
}

static bool start_thread(struct front *front)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, FRONT_STACK);
    bool ok = pthread_create(&thread, &attributes, run_front, front) == 0;
    pthread_attr_destroy(&attributes);
    return ok;
}

static bool has_room(struct http_fronts *fronts)
{
    pthread_mutex_lock(&fronts->lock);
    bool room = fronts->count < FRONTS_MAX;
    pthread_mutex_unlock(&fronts->lock);
    return room;
}

static void accept_one(struct http_fronts *fronts)
{
    struct front *front = calloc(1, sizeof *front);
    if (!front)
        return;
    front->fronts = fronts;
    front->given = -1;
    front->address_size = sizeof front->address;
    front->fd = accept4(fronts->listening, (struct sockaddr *)&front->address, &front->address_size, SOCK_CLOEXEC);
    front->watch = front->fd >= 0 && has_room(fronts) ? fcntl(front->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (front->watch < 0) {
        if (front->fd >= 0)
            close(front->fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            clock_sleep_ns(50 * CLOCK_MS); // what runs must end first; do not spin meanwhile
        free(front);
        return;
    }
    enter(fronts, front);
    pthread_mutex_lock(&fronts->lock);
    oust(fronts);
    pthread_mutex_unlock(&fronts->lock);
    if (!start_thread(front)) {
        close(front->fd);
        leave(front);
    }
}

static void *run_accepting(void *payload)
{
    struct http_fronts *fronts = payload;
    struct pollfd waits[] = {{.fd = fronts->listening, .events = POLLIN}, {.fd = fronts->wake, .events = POLLIN}};
    while ((poll(waits, 2, -1) >= 0 || errno == EINTR) && !waits[1].revents)
        if (waits[0].revents)
            accept_one(fronts);
    return NULL;
}

// ---- start and stop

static void release(struct http_fronts *fronts)
{
    if (fronts->listening >= 0)
        close(fronts->listening);
    if (fronts->wake >= 0)
        close(fronts->wake);
    pthread_cond_destroy(&fronts->ended);
    pthread_mutex_destroy(&fronts->lock);
    free(fronts);
}

struct http_fronts *http_fronts_start(struct http_server *server, const struct http_options *options, struct error *err)
{
    struct http_fronts *fronts = calloc(1, sizeof *fronts);
    if (!fronts) {
        error_set(err, ERROR_MEMORY, "no memory for HTTPS");
        return NULL;
    }
    *fronts = (struct http_fronts){.server = server,
                                   .tls = options->tls,
                                   .foreign = options->foreign,
                                   .payload = options->payload,
                                   .listening = -1,
                                   .wake = -1};
    pthread_mutex_init(&fronts->lock, NULL);
    pthread_cond_init(&fronts->ended, NULL);
    bool ok = http_listen_on(options->tls_host, options->tls_port, &fronts->listening, err);
    fronts->wake = ok ? eventfd(0, EFD_CLOEXEC) : -1;
    server->fronts = fronts; // before the first connection
    fronts->accepting = fronts->wake >= 0 && pthread_create(&fronts->thread, NULL, run_accepting, fronts) == 0;
    if (fronts->accepting)
        return fronts;
    if (ok)
        error_set(err, ERROR_MEMORY, "cannot start the HTTPS listener");
    server->fronts = NULL;
    release(fronts);
    return NULL;
}

uint16_t http_fronts_port(const struct http_fronts *fronts)
{
    return http_bound_port(fronts->listening);
}

void http_fronts_quiesce(struct http_fronts *fronts)
{
    uint64_t one = 1;
    if (!fronts || !fronts->accepting)
        return;
    if (write(fronts->wake, &one, sizeof one) != sizeof one)
        log_error("http", "cannot wake the HTTPS listener");
    pthread_join(fronts->thread, NULL);
    fronts->accepting = false;
    pthread_mutex_lock(&fronts->lock);
    for (struct front *front = fronts->first; front; front = front->next) {
        front->ousted |= front->given < 0;
        if (front->given < 0)
            shutdown(front->watch, SHUT_RDWR);
    }
    pthread_mutex_unlock(&fronts->lock);
}

void http_fronts_stop(struct http_fronts *fronts)
{
    if (!fronts)
        return;
    pthread_mutex_lock(&fronts->lock);
    for (struct front *front = fronts->first; front; front = front->next)
        shutdown(front->watch, SHUT_RD); // what is on its way to the peer goes out
    int64_t until_ns = clock_now_ns() + CLOCK_SECOND;
    struct timespec until = {.tv_sec = until_ns / CLOCK_SECOND, .tv_nsec = until_ns % CLOCK_SECOND};
    while (fronts->count > 0 && pthread_cond_timedwait(&fronts->ended, &fronts->lock, &until) == 0)
        continue;
    for (struct front *front = fronts->first; front; front = front->next)
        shutdown(front->watch, SHUT_RDWR);
    while (fronts->count > 0)
        pthread_cond_wait(&fronts->ended, &fronts->lock);
    pthread_mutex_unlock(&fronts->lock);
    release(fronts);
}
