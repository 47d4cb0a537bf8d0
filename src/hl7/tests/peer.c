#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/check.h"

void peer_start(struct peer *peer, const char *mode, const char *argument)
{
    int in[2], out[2];
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    peer->pid = fork();
    assert_true(peer->pid >= 0);
    if (peer->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execl("/usr/bin/python3", "/usr/bin/python3", "src/hl7/tests/peer.py", mode, argument, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    peer->in = in[1];
    peer->out = out[0];
}

size_t peer_read(struct peer *peer, char *text, size_t capacity, int line)
{
    size_t size = 0;
    while (size + 1 < capacity) {
        ssize_t got = read(peer->out, text + size, line ? 1 : capacity - size - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0 || (line && text[size] == '\n'))
            break;
        size += (size_t)got;
    }
    text[size] = '\0';
    return size;
}

void peer_write(struct peer *peer, const void *data, size_t size)
{
    const char *from = data;
    while (size > 0) {
        ssize_t sent = write(peer->in, from, size);
        assert_true(sent > 0);
        from += sent;
        size -= (size_t)sent;
    }
    close(peer->in);
    peer->in = -1;
}

void peer_end(struct peer *peer)
{
    int status;
    if (peer->in >= 0)
        close(peer->in);
    assert_int_equal(waitpid(peer->pid, &status, 0), peer->pid);
    close(peer->out);
    assert_int_equal(status, 0);
}

int listen_somewhere(unsigned short *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 10}; // accept must not wait for a peer that failed to start
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}
