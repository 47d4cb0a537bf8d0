#include "base/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/wait.h"

enum { LISTEN_BACKLOG = 256, HOST_PORT_SIZE = 272 };

struct tcp_socket {
    int fd;
    bool tcp;
};

static void set_option(int fd, int level, int name)
{
    int on = 1;
    (void)setsockopt(fd, level, name, &on, sizeof on);
}

static enum wire_result socket_receive(void *payload, uint8_t *data, size_t size, int64_t deadline_ns, size_t *got,
                                       struct error *err)
{
    struct tcp_socket *sock = payload;
    for (;;) {
        ssize_t n = recv(sock->fd, data, size, MSG_DONTWAIT);
        if (n > 0) {
            *got = (size_t)n;
            // The kernel falls back to delayed acknowledgements after each answer; a peer with Nagle's algorithm waits
            // for ours.
            if (sock->tcp)
                set_option(sock->fd, IPPROTO_TCP, TCP_QUICKACK);
            return WIRE_OK;
        }
        if (n == 0)
            return WIRE_END;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            error_set(err, ERROR_CLOSED, "the connection broke: %s", strerror(errno));
            return WIRE_BROKEN;
        }
        if (wait_ready(sock->fd, POLLIN, deadline_ns) == 0)
            return WIRE_TIMEOUT;
    }
}

static void skip_parts(struct iovec **parts, size_t *count, size_t sent)
{
    while (*count > 0 && sent >= (*parts)->iov_len) {
        sent -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (sent > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + sent;
        (*parts)->iov_len -= sent;
    }
}

static enum wire_result socket_send(void *payload, struct iovec *parts, size_t count, int64_t deadline_ns,
                                    struct error *err)
{
    struct tcp_socket *sock = payload;
    while (count > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t n = sendmsg(sock->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            skip_parts(&parts, &count, (size_t)n);
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            error_set(err, ERROR_CLOSED, "the connection broke while sending: %s", strerror(errno));
            return WIRE_BROKEN;
        }
        if (wait_ready(sock->fd, POLLOUT, deadline_ns) == 0)
            return WIRE_TIMEOUT;
    }
    return WIRE_OK;
}

static void socket_shut(void *payload)
{
    struct tcp_socket *sock = payload;
    (void)shutdown(sock->fd, SHUT_RDWR);
}

static void socket_close(void *payload)
{
    struct tcp_socket *sock = payload;
    close(sock->fd);
    free(sock);
}

bool wire_socket(struct wire *wire, int fd, struct error *err)
{
    struct tcp_socket *sock = calloc(1, sizeof *sock);
    if (sock == NULL) {
        close(fd);
        return error_set(err, ERROR_MEMORY, "no memory for a connection");
    }
    int on = 1;
    sock->fd = fd;
    sock->tcp = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
    *wire = (struct wire){
        .receive = socket_receive, .send = socket_send, .shut = socket_shut, .close = socket_close, .payload = sock};
    return true;
}

void wire_address(int fd, char *out, size_t capacity)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    text_copy(out, capacity, "local");
    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0 ||
        (address.ss_family != AF_INET && address.ss_family != AF_INET6))
        return;
    char host[NI_MAXHOST];
    if (getnameinfo((struct sockaddr *)&address, size, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0)
        return;
    // An IPv4 peer of a dual-stack socket is the same peer as over IPv4.
    text_copy(out, capacity, text_starts(host, "::ffff:") && strchr(host, '.') != NULL ? host + 7 : host);
}

static bool resolve(const char *host, uint16_t port, int flags, struct addrinfo **out, struct error *err)
{
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    int failed = getaddrinfo(host, service, &hints, out);
    if (failed != 0)
        return error_set(err, ERROR_NOT_FOUND, "host \"%s\" has no address: %s", host, gai_strerror(failed));
    return true;
}

// 0, or the errno value.
static int connect_one(int fd, const struct addrinfo *to, int64_t deadline_ns)
{
    if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (wait_ready(fd, POLLOUT, deadline_ns) == 0)
        return ETIMEDOUT;
    int failed = 0;
    socklen_t size = sizeof failed;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) == 0 ? failed : errno;
}

int wire_connect(const char *host, uint16_t port, int64_t deadline_ns, struct error *err)
{
    struct addrinfo *all = NULL;
    if (!resolve(host, port, 0, &all, err))
        return -1;
    int failed = EHOSTUNREACH;
    int fd = -1;
    for (const struct addrinfo *one = all; one != NULL && fd < 0; one = one->ai_next) {
        int candidate = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (candidate < 0) {
            failed = errno;
            continue;
        }
        failed = connect_one(candidate, one, deadline_ns);
        if (failed == 0)
            fd = candidate;
        else
            close(candidate);
    }
    freeaddrinfo(all);
    char shown[HOST_PORT_SIZE];
    if (fd < 0)
        error_set(err, failed == ETIMEDOUT ? ERROR_TIMEOUT : ERROR_CLOSED, "cannot connect to %s: %s",
                  text_show_host_port(shown, sizeof shown, host, port), strerror(failed));
    return fd;
}

static int listen_one(const struct addrinfo *at)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    int failed = errno;
    close(fd);
    errno = failed;
    return -1;
}

bool wire_host_is_known(const char *host, struct error *err)
{
    struct addrinfo *all = NULL;
    bool known = resolve(host, 1, AI_PASSIVE, &all, err);
    if (known)
        freeaddrinfo(all);
    return known;
}

int wire_listen(const char *host, uint16_t port, struct error *err)
{
    struct addrinfo *all = NULL;
    if (!resolve(host, port, AI_PASSIVE, &all, err))
        return -1;
    int fd = -1;
    for (const struct addrinfo *one = all; one != NULL && fd < 0; one = one->ai_next)
        fd = listen_one(one);
    int failed = errno;
    freeaddrinfo(all);
    char shown[HOST_PORT_SIZE];
    if (fd < 0)
        error_errno(err, failed, "cannot listen at %s", text_show_host_port(shown, sizeof shown, host, port));
    return fd;
}

uint16_t wire_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}
