// The DICOM port: accepts connections and gives each a thread, within limits that hold before anything is read.
#include "service/dimse/dimse_service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/wire.h"

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

static bool listen_at(struct dimse_service *dimse, size_t which, const char *key, struct error *err)
{
    char host[SERVICE_HOST_SIZE];
    uint16_t port;
    if (!*config_text(dimse->service->config, key))
        return true;
    service_listen_address(dimse->service->config, key, host, &port);
    dimse->sockets[which] = wire_listen(host, port, err);
    return dimse->sockets[which] >= 0;
}

static bool start(struct dimse_service *dimse, struct error *err)
{
    if (!listen_at(dimse, 0, "dicom.listen", err) || !listen_at(dimse, 1, "dicom.tls_listen", err))
        return false;
    dimse->wake = eventfd(0, EFD_CLOEXEC);
    return (dimse->wake >= 0 && pthread_create(&dimse->thread, NULL, dimse_service_run, dimse) == 0) ||
           error_set(err, ERROR_MEMORY, "cannot start the DICOM listener");
}

static void release(struct dimse_service *dimse)
{
    close_fd(dimse->sockets[0]);
    close_fd(dimse->sockets[1]);
    close_fd(dimse->wake);
    pthread_mutex_destroy(&dimse->mutex);
    pthread_cond_destroy(&dimse->ended);
    free(dimse);
}

struct dimse_service *dimse_service_start(struct service *service, struct error *err)
{
    struct dimse_service *dimse = calloc(1, sizeof *dimse);
    if (!dimse) {
        error_set(err, ERROR_MEMORY, "no memory for the DICOM listener");
        return NULL;
    }
    dimse->service = service;
    dimse->sockets[0] = dimse->sockets[1] = dimse->wake = -1;
    dimse->timers = dimse_timers_default;
    dimse->timers.artim_ns = config_integer(service->config, "dicom.artim_seconds") * CLOCK_SECOND;
    dimse->timers.idle_ns = config_integer(service->config, "dicom.idle_seconds") * CLOCK_SECOND;
    pthread_mutex_init(&dimse->mutex, NULL);
    pthread_cond_init(&dimse->ended, NULL);
    if (start(dimse, err))
        return dimse;
    release(dimse);
    return NULL;
}

uint16_t dimse_service_port(const struct dimse_service *dimse)
{
    return wire_port(dimse->sockets[0]);
}

uint16_t dimse_service_tls_port(const struct dimse_service *dimse)
{
    return dimse->sockets[1] >= 0 ? wire_port(dimse->sockets[1]) : 0;
}

static void address_text(const struct sockaddr_storage *address, char *out, socklen_t size)
{
    const void *bytes = address->ss_family == AF_INET6
                            ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr
                            : (const void *)&((const struct sockaddr_in *)address)->sin_addr;
    if (!inet_ntop(address->ss_family, bytes, out, size))
        text_copy(out, size, "?");
}

// ---- room for the next connection; all under the mutex

static bool waits(const struct dimse_slot *slot)
{
    return slot->used && !slot->admitted && !slot->ousted;
}

static size_t waiting_of(const struct dimse_service *dimse, const char *address)
{
    size_t waiting = 0;
    for (size_t i = 0; i < DIMSE_SLOTS; i++)
        waiting += waits(&dimse->slots[i]) && strcmp(dimse->slots[i].address, address) == 0;
    return waiting;
}

// The address that has most connections without a word; NULL: there are none.
static const char *busiest(const struct dimse_service *dimse)
{
    const char *found = NULL;
    size_t most = 0;
    for (size_t i = 0; i < DIMSE_SLOTS; i++) {
        size_t waiting = waits(&dimse->slots[i]) ? waiting_of(dimse, dimse->slots[i].address) : 0;
        if (waiting > most) {
            most = waiting;
            found = dimse->slots[i].address;
        }
    }
    return found;
}

// One line a minute.
static void tell_ousted(struct dimse_service *dimse, const char *address)
{
    int64_t now_ns = clock_monotonic_ns();
    dimse->ousted++;
    if (now_ns < dimse->tell_ns)
        return;
    log_warning("dimse",
                "%llu connections that had asked for no association were closed to make room for newer ones, the last "
                "of %s: who opens them there?",
                (unsigned long long)dimse->ousted, address);
    dimse->ousted = 0;
    dimse->tell_ns = now_ns + 60 * CLOCK_SECOND;
}

// The oldest of the address that has not been admitted makes room.
static void oust(struct dimse_service *dimse, const char *address)
{
    struct dimse_slot *oldest = NULL;
    for (size_t i = 0; address && i < DIMSE_SLOTS; i++) {
        struct dimse_slot *slot = &dimse->slots[i];
        if (waits(slot) && strcmp(slot->address, address) == 0 && (!oldest || slot->number < oldest->number))
            oldest = slot;
    }
    if (!oldest)
        return;
    oldest->ousted = true;
    shutdown(oldest->watch, SHUT_RDWR);
    tell_ousted(dimse, oldest->address);
}

static struct dimse_slot *find_slot(struct dimse_service *dimse, const char *address, bool *pressed)
{
    struct dimse_slot *free_slot = NULL;
    size_t waiting = waiting_of(dimse, address), left = 0;
    for (size_t i = 0; i < DIMSE_SLOTS; i++)
        if (!dimse->slots[i].used) {
            free_slot = &dimse->slots[i];
            left++;
        }
    if (waiting >= DIMSE_WAITING_PER_ADDRESS)
        oust(dimse, address);
    else if (left <= DIMSE_SLOTS_LEFT)
        oust(dimse, busiest(dimse));
    *pressed = waiting >= DIMSE_LINGERING_PER_ADDRESS;
    return free_slot;
}

static bool start_thread(struct dimse_slot *slot)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, DIMSE_STACK);
    bool ok = pthread_create(&thread, &attributes, dimse_service_association, slot) == 0;
    pthread_attr_destroy(&attributes);
    return ok;
}

static void take(struct dimse_service *dimse, int fd, bool tls, const char *address)
{
    bool pressed = false;
    int watch = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_lock(&dimse->mutex);
    struct dimse_slot *slot = dimse->stopping || watch < 0 ? NULL : find_slot(dimse, address, &pressed);
    if (slot) {
        *slot = (struct dimse_slot){.used = true,
                                    .pressed = pressed,
                                    .fd = fd,
                                    .watch = watch,
                                    .number = ++dimse->connections,
                                    .tls = tls,
                                    .dimse = dimse};
        text_copy(slot->address, sizeof slot->address, address);
        dimse->running++;
    }
    pthread_mutex_unlock(&dimse->mutex);
    if (slot && start_thread(slot))
        return;
    if (slot)
        dimse_service_leave(slot);
    else
        close_fd(watch);
    atomic_fetch_add(&dimse->service->counters.associations_refused, 1);
    close(fd);
}

void dimse_service_leave(struct dimse_slot *slot)
{
    struct dimse_service *dimse = slot->dimse;
    pthread_mutex_lock(&dimse->mutex);
    close(slot->watch);
    slot->used = false;
    slot->association = NULL;
    if (--dimse->running == 0)
        pthread_cond_signal(&dimse->ended);
    pthread_mutex_unlock(&dimse->mutex);
}

static void accept_one(struct dimse_service *dimse, size_t which)
{
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    char address[INET6_ADDRSTRLEN];
    int fd = accept4(dimse->sockets[which], (struct sockaddr *)&from, &size, SOCK_CLOEXEC);
    if (fd >= 0) {
        address_text(&from, address, sizeof address);
        take(dimse, fd, which == 1, address);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
        clock_sleep_ns(50 * CLOCK_MS); // out of descriptors: what runs must end first; do not spin meanwhile
    }
}

void *dimse_service_run(void *payload)
{
    struct dimse_service *dimse = payload;
    struct pollfd waits[] = {{.fd = dimse->sockets[0], .events = POLLIN},
                             {.fd = dimse->sockets[1], .events = POLLIN}, // a negative one is passed over
                             {.fd = dimse->wake, .events = POLLIN}};
    while ((poll(waits, 3, -1) >= 0 || errno == EINTR) && !waits[2].revents)
        for (size_t i = 0; i < 2; i++)
            if (waits[i].revents)
                accept_one(dimse, i);
    return NULL;
}

static void interrupt_all(struct dimse_service *dimse)
{
    pthread_mutex_lock(&dimse->mutex);
    dimse->stopping = true;
    for (size_t i = 0; i < DIMSE_SLOTS; i++) {
        struct dimse_slot *slot = &dimse->slots[i];
        if (slot->used && slot->association)
            dimse_interrupt(slot->association);
        else if (slot->used)
            shutdown(slot->watch, SHUT_RDWR);
    }
    while (dimse->running > 0)
        pthread_cond_wait(&dimse->ended, &dimse->mutex);
    pthread_mutex_unlock(&dimse->mutex);
}

void dimse_service_stop(struct dimse_service *dimse)
{
    uint64_t one = 1;
    if (!dimse)
        return;
    if (write(dimse->wake, &one, sizeof one) != sizeof one)
        log_error("dimse", "cannot wake the listener");
    pthread_join(dimse->thread, NULL);
    for (size_t i = 0; i < 2; i++) {
        close_fd(dimse->sockets[i]);
        dimse->sockets[i] = -1;
    }
    interrupt_all(dimse);
    release(dimse);
}
