// The port without TLS: accepts, looks at a connection's first byte, and hands it to libmicrohttpd, which would wait
// for the line end of what is no HTTP and tell nobody what came. A scanner that is sent here by a wrong port number
// begins with an A-ASSOCIATE-RQ, a browser that was told https:// with a ClientHello.
//
// What says nothing within WAIT_MS is handed over as it is, so that all the limits of connections stay those of
// connection.c; so is the oldest when YOUNG_MAX wait.
#include "http/internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    YOUNG_MAX = 64,
    WAIT_MS = 50,
    ACCEPT_AT_ONCE = 16,
    ASSOCIATE_RQ = 0x01, // PS3.8 section 9.3.2
    TLS_HANDSHAKE = 0x16 // RFC 8446, section 5.1
};

struct young {
    int fd;
    struct sockaddr_storage address;
    socklen_t address_size;
    int64_t until_ns; // monotonic
};

struct http_door {
    struct http_server *server;
    void (*foreign)(void *payload, enum http_foreign what, const char *address);
    int listening, wake;
    pthread_t thread;
    struct young young[YOUNG_MAX]; // in the order in which they came
    size_t count;
};

// ---- what becomes of one

static void hand_over(struct http_door *door, const struct young *one)
{
    MHD_add_connection(door->server->daemon, one->fd, (const struct sockaddr *)&one->address,
                       one->address_size); // which closes it where it does not take it
}

static void turn_away(struct http_door *door, const struct young *one, enum http_foreign what)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr v6 = http_address_of((const struct sockaddr *)&one->address);
    http_address_text(&v6, text);
    close(one->fd);
    if (door->foreign)
        door->foreign(door->server->payload, what, text);
}

// What is to be read of it, or its end, by its first byte.
static void look_at(struct http_door *door, const struct young *one)
{
    uint8_t first = 0;
    ssize_t size = recv(one->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (size == 1 && first == ASSOCIATE_RQ)
        turn_away(door, one, HTTP_FOREIGN_DICOM);
    else if (size == 1 && first == TLS_HANDSHAKE)
        turn_away(door, one, HTTP_FOREIGN_TLS);
    else
        hand_over(door, one);
}

static struct young remove_at(struct http_door *door, size_t at)
{
    struct young one = door->young[at];
    door->count--;
    memmove(&door->young[at], &door->young[at + 1], (door->count - at) * sizeof *door->young);
    return one;
}

// ---- the thread

// false: none waits.
static bool accept_one(struct http_door *door)
{
    struct young one = {.address_size = sizeof one.address, .until_ns = clock_monotonic_ns() + WAIT_MS * CLOCK_MS};
    one.fd = accept4(door->listening, (struct sockaddr *)&one.address, &one.address_size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (one.fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            clock_sleep_ns(50 * CLOCK_MS); // what runs must end first; do not spin meanwhile
        return false;
    }
    if (door->count == YOUNG_MAX) {
        struct young oldest = remove_at(door, 0);
        hand_over(door, &oldest);
    }
    door->young[door->count++] = one;
    return true;
}

// The last two are the listening socket and the wake-up.
static size_t list_waits(const struct http_door *door, struct pollfd waits[YOUNG_MAX + 2])
{
    for (size_t i = 0; i < door->count; i++)
        waits[i] = (struct pollfd){.fd = door->young[i].fd, .events = POLLIN};
    waits[door->count] = (struct pollfd){.fd = door->listening, .events = POLLIN};
    waits[door->count + 1] = (struct pollfd){.fd = door->wake, .events = POLLIN};
    return door->count + 2;
}

static int wait_ms(const struct http_door *door)
{
    int64_t left_ns = door->count > 0 ? door->young[0].until_ns - clock_monotonic_ns() : 0;
    return door->count == 0 ? -1 : left_ns > 0 ? (int)(left_ns / CLOCK_MS) + 1 : 0;
}

// From the youngest, so that what is removed moves none that is still to be looked at; those that are late go in order.
static void sort_out(struct http_door *door, const struct pollfd *waits)
{
    for (size_t i = door->count; i-- > 0;)
        if (waits[i].revents) {
            struct young one = remove_at(door, i);
            look_at(door, &one);
        }
    while (door->count > 0 && door->young[0].until_ns <= clock_monotonic_ns()) {
        struct young one = remove_at(door, 0);
        hand_over(door, &one);
    }
}

static void *run_door(void *payload)
{
    struct http_door *door = payload;
    for (;;) {
        struct pollfd waits[YOUNG_MAX + 2];
        size_t count = list_waits(door, waits);
        if (poll(waits, count, wait_ms(door)) < 0 && errno != EINTR)
            clock_sleep_ns(50 * CLOCK_MS);
        if (waits[count - 1].revents)
            return NULL;
        sort_out(door, waits);
        for (int i = 0; waits[count - 2].revents && i < ACCEPT_AT_ONCE && accept_one(door); i++)
            continue;
    }
}

// ---- start and stop

struct http_door *http_door_start(struct http_server *server, const struct http_options *options, int listening,
                                  struct error *err)
{
    struct http_door *door = calloc(1, sizeof *door);
    if (door)
        *door = (struct http_door){.server = server, .foreign = options->foreign, .listening = listening};
    if (door && (door->wake = eventfd(0, EFD_CLOEXEC)) >= 0) {
        if (pthread_create(&door->thread, NULL, run_door, door) == 0)
            return door;
        close(door->wake);
    }
    free(door);
    error_set(err, ERROR_MEMORY, "cannot start the HTTP listener");
    return NULL;
}

void http_door_stop(struct http_door *door)
{
    uint64_t one = 1;
    if (!door)
        return;
    while (write(door->wake, &one, sizeof one) != sizeof one && errno == EINTR)
        continue;
    pthread_join(door->thread, NULL);
    while (door->count > 0) {
        struct young left = remove_at(door, 0);
        close(left.fd);
    }
    close(door->wake);
    close(door->listening);
    free(door);
}
